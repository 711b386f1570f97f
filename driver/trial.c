/* trial.c - runs what was compiled: a small program around it takes the vectors from a file, calls NAME_run, and writes the
 * outputs to another. It is linked and run in a build folder: here, or under qemu where the target is another Linux machine; a
 * program of its own, so that code that is broken harms nobody. Nothing here knows what outputs should be but by bytes. */
#include "certificate.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* Where code of a target can run, by the beginning of its triple. A missing compiler or emulator is no fault. */
static const struct machine {
    const char *triple, *cc, *emulator; /* emulator NULL: this machine */
} machines[] = {
    {"aarch64-", "aarch64-linux-gnu-gcc -static", "qemu-aarch64"},
    {"armv7", "arm-linux-gnueabihf-gcc -static", "qemu-arm"},
#if defined __x86_64__
    {"x86_64-", "cc", NULL},
#endif
};
enum { SECONDS = 300 }; /* after which a program is taken for hanging */

/* Can this processor execute code for such a target? */
static bool can_execute(const struct oct_target *t) {
#if defined __x86_64__
    __builtin_cpu_init();
    static const struct {
        const char *word;
        int feature;
    } features[] = {{"x86-64-v2", 0}, {"x86-64-v3", 1}, {"x86-64-v4", 2}, {"+avx512vnni", 3}};
    const bool has[] = {__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"),
                        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"),
                        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"),
                        __builtin_cpu_supports("avx512vnni")};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if ((strcmp(t->cpu, features[i].word) == 0 || strstr(t->features, features[i].word)) && !has[features[i].feature])
            return false;
#endif
    return true;
}

/* NULL: nowhere. */
static const struct machine *find_machine(const struct oct_target *t) {
    static const struct machine here = {"", "cc", NULL};
    if (!*t->triple) return &here;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (strncmp(t->triple, machines[i].triple, strlen(machines[i].triple)) == 0)
            return machines[i].emulator || can_execute(t) ? &machines[i] : NULL;
    return NULL;
}

bool drv_runs_here(const struct oct_target *t) {
    const struct machine *m = find_machine(t);
    return m && !m->emulator;
}

/* ---- the program
 * --------------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct oct_node *n, int64_t batch) {
    return (size_t)oct_type_elements(&n->type, batch) * oct_dtype_size(n->type.dtype);
}

static void write_program(struct oct_text *t, const struct oct_compile_options *opt, const struct drv_trial *trial) {
    struct oct_text args;
    oct_text_init(&args, t->arena);
    char *upper = oct_strdup(t->arena, opt->name);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    unsigned inputs = 0;
    oct_text_addf(t, "#include <stdio.h>\n#include \"%s.h\"\nextern unsigned alarm(unsigned);\n", opt->file);
    oct_text_addf(t, "static _Alignas(64) unsigned char arena[%s_ARENA_SIZE];\n", upper);
    OCT_FOR_NODES(trial->m, n) {
        if (n->op != OCT_OP_input) continue;
        oct_text_addf(t, "static _Alignas(16) unsigned char x%u[%zu];\n", inputs, bytes_of(n, opt->batch));
        oct_text_addf(&args, "(void *)x%u, ", inputs++);
    }
    for (uint32_t i = 0; i < trial->m->noutputs; i++) {
        oct_text_addf(t, "static _Alignas(16) unsigned char y%u[%zu];\n", i, bytes_of(trial->m->output[i].node, opt->batch));
        oct_text_addf(&args, "(void *)y%u, ", i);
    }
    oct_text_addf(t,
                  "int main(void) {\n    FILE *in = fopen(\"in.bin\", \"rb\"), *out = fopen(\"out.bin\", \"wb\");\n"
                  "    if (!in || !out) return 2;\n    alarm(%d);\n    for (long i = 0; i < %" PRId64 "; i++) {\n",
                  SECONDS, trial->runs);
    for (unsigned i = 0; i < inputs; i++) oct_text_addf(t, "        if (fread(x%u, sizeof x%u, 1, in) != 1) return 3;\n", i, i);
    oct_text_addf(t, "        if (%s_run(%sarena)) return 4;\n", opt->name, args.len ? args.s : "");
    for (uint32_t i = 0; i < trial->m->noutputs; i++)
        oct_text_addf(t, "        if (fwrite(y%u, sizeof y%u, 1, out) != 1) return 5;\n", i, i);
    oct_text_add(t, "    }\n    return fclose(out) != 0;\n}\n");
}

static bool write_bytes(struct drv_build *b, const char *name, const void *data, size_t len) {
    struct oct_text t;
    oct_text_init(&t, drv_build_arena(b));
    oct_text_addn(&t, data, len);
    return drv_build_write(b, name, &t);
}

bool drv_is_code(const char *suffix) {
    static const char *const all[] = {".c", ".weights.S", ".s", ".o", ".a"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(suffix, all[i]) == 0) return true;
    return false;
}

/* ---- outputs
 * ------------------------------------------------------------------------------------------------------------------------ */

/* Names the first element that differs. */
static const char *first_difference(struct oct_arena *a, const struct drv_trial *t, int64_t batch, const uint8_t *got,
                                    size_t len) {
    const uint8_t *want = (const uint8_t *)t->out.s;
    const size_t each = t->runs ? t->out.len / (size_t)t->runs : 0;
    size_t i = 0;
    while (i < len && i < t->out.len && got[i] == want[i]) i++;
    if (i == t->out.len && i == len) return NULL;
    if (i == len || i == t->out.len) return "the program wrote too few or too many outputs";
    const char *label = t->label[i / each];
    i %= each;
    uint32_t o = 0;
    for (size_t bytes; (bytes = bytes_of(t->m->output[o].node, batch)) <= i; o++) i -= bytes;
    return oct_sprintf(a, "output '%s' is not the interpreter's on vector '%s', at element %zu", t->m->output[o].name, label,
                       i / oct_dtype_size(t->m->output[o].node->type.dtype));
}

/* ---- */

struct trying {
    struct drv *d;
    struct drv_build *b;
    const struct oct_compile_options *opt;
    const struct machine *machine;
    const char *cc, *made; /* made: name of the file whose code runs */
};

static bool write_all(struct trying *w, const struct drv_file *file, int nfiles, const struct drv_trial *trial,
                      const char **args) {
    struct oct_text program;
    int n = 0;
    oct_text_init(&program, w->d->a);
    write_program(&program, w->opt, trial);
    args[n++] = "-o";
    args[n++] = "trial";
    args[n++] = "trial.main.c";
    if (!drv_build_write(w->b, "trial.main.c", &program) || !write_bytes(w->b, "in.bin", trial->in.s, trial->in.len))
        return false;
    for (int i = 0; i < nfiles; i++) {
        const char *name = oct_sprintf(w->d->a, "%s%s", w->opt->file, file[i].suffix);
        if (!write_bytes(w->b, name, file[i].data, file[i].len)) return false;
        if (!drv_is_code(file[i].suffix)) continue;
        if (!w->made) w->made = name;
        args[n++] = oct_sprintf(w->d->a, "./%s", name);
    }
    args[n] = NULL;
    return true;
}

static bool is_there(struct drv_build *b, const char *command) {
    return drv_build_try(b, command, (const char *const[]){"--version", NULL}, NULL);
}

static bool build_and_run(struct trying *w, const struct drv_file *file, int nfiles, const struct drv_trial *trial,
                          const char **what, const char **fault) {
    struct drv *d = w->d;
    const char *args[16], *emulator = w->machine->emulator,
                          *const version = strchr(w->cc, ' ') ? oct_strndup(d->a, w->cc, strcspn(w->cc, " ")) : w->cc;
    struct oct_bytes out;
    if (!write_all(w, file, nfiles, trial, args)) return false;
    if (!w->made) *what = "no: this is no code that a linker takes";
    else if (!is_there(w->b, version)) *what = oct_sprintf(d->a, "no: '%s' is not there to link it", version);
    else if (emulator && !is_there(w->b, emulator)) *what = oct_sprintf(d->a, "no: '%s' is not there to run it", emulator);
    else
        *what = emulator ? oct_sprintf(d->a, "%s, %" PRId64 " vectors, by %s", w->made, trial->runs, emulator)
                         : oct_sprintf(d->a, "%s, %" PRId64 " vectors, on this machine", w->made, trial->runs);
    if (strncmp(*what, "no: ", 4) == 0) return true;
    if (!drv_build_try(w->b, oct_sprintf(d->a, "%s %s", w->cc, d->o.cflags ? d->o.cflags : "-O2"), args, NULL))
        return *fault = oct_sprintf(d->a, "%s does not link it (--cc, --cflags)", w->cc), false;
    if (!drv_build_try(w->b, emulator ? emulator : "env", (const char *const[]){drv_build_path(w->b, "trial"), NULL}, NULL))
        return *fault = "the program around it crashed, hung or failed", false;
    if (!drv_build_has(w->b, "out.bin") || !drv_build_read(w->b, "out.bin", &out)) return *fault = "it wrote no outputs", false;
    *fault = first_difference(d->a, trial, w->opt->batch, out.data, out.len);
    return !*fault;
}

bool drv_trial_run(struct drv *d, const struct oct_compile_options *opt, const struct drv_file *file, int nfiles,
                   const struct drv_trial *trial, const char **what, const char **fault) {
    struct trying w = {.d = d, .opt = opt, .machine = find_machine(opt->target)};
    *fault = NULL;
    if (!w.machine) {
        *what = oct_sprintf(d->a, "no: this machine does not run code for %s, and octavo drives no emulator of it",
                            opt->target->name);
        return true;
    }
    w.cc = !d->o.cc ? w.machine->cc : w.machine->emulator ? oct_sprintf(d->a, "%s -static", d->o.cc) : d->o.cc;
    w.b = drv_build_begin(d);
    if (!w.b) return false;
    const bool ok = build_and_run(&w, file, nfiles, trial, what, fault);
    drv_build_end(w.b);
    return ok;
}
