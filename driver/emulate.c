/* emulate.c - octavo bench --emulate: how many instructions a target executes in one run, by layer. The object is linked with a
 * small program around it and runs under qemu, where a plugin counts; the outputs of that very run are compared with the
 * interpreter's. Instructions are no time: what loads, branches and divisions take is invisible here. */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "emulator.h"

static const struct oct_span nowhere;
static const char name[] = "m"; /* of the files and the prefix of symbols */

/* What emulates a target: by CPU, or by the beginning of its triple. */
static const struct machine {
    const char *cpu, *triple, *emulator, *cc;
    const char *map; /* of a board; NULL: a program of Linux */
} machines[] = {
#define MAP(code, stack, big, size)                                                                                              \
    "CODE (rx) : ORIGIN = 0, LENGTH = " code "\nSTACK (rw) : ORIGIN = 0x20000000, LENGTH = " stack "\nBIG (rwx) : ORIGIN = " big \
    ", LENGTH = " size
#define M_PROFILE(cpu, board, map)                                                                                               \
    { cpu, "thumb", "qemu-system-arm -M " board, "arm-none-eabi-gcc -mcpu=" cpu " -mthumb -mfloat-abi=hard", map }
    M_PROFILE("cortex-m4", "mps2-an386", MAP("4M", "4M", "0x21000000", "16M")),
    M_PROFILE("cortex-m7", "mps2-an500", MAP("4M", "4M", "0x60000000", "16M")),
    M_PROFILE("cortex-m55", "mps3-an547", MAP("512K", "512K", "0x60000000", "256M")),
    {NULL, "aarch64-", "qemu-aarch64", "aarch64-linux-gnu-gcc", NULL},
    {NULL, "armv7", "qemu-arm", "arm-linux-gnueabihf-gcc", NULL},
};

struct emulation {
    struct drv *d;
    struct oct_module *m;
    const struct oct_target *t;
    const struct machine *machine;
    const struct oct_llvm *llvm; /* NULL: the object is made of C */
    const char *cc, *cflags;
    struct drv_build *b;
    struct oct_compiled c;
    struct oct_dataset data;
    struct oct_bytes counts, out;
};

static bool find_machine(struct emulation *e) {
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct machine *m = &machines[i];
        if (strncmp(e->t->triple, m->triple, strlen(m->triple)) != 0 || (m->cpu && strcmp(m->cpu, e->t->cpu) != 0)) continue;
        e->machine = m;
        return true;
    }
    oct_error(e->d->cx, nowhere, OCT_E7006, "octavo drives no emulator of target '%s'", e->t->name);
    oct_help(e->d->cx, "it does of cortex-m4, cortex-m7, cortex-m55, aarch64 and armv7");
    return false;
}

/* The first word of a command answers. */
static bool need(struct emulation *e, const char *command, const char *for_what) {
    const char *program = oct_strndup(e->d->a, command, strcspn(command, " "));
    if (drv_build_try(e->b, program, (const char *const[]){"--version", NULL}, NULL)) return true;
    oct_error(e->d->cx, nowhere, OCT_E7006, "'%s' is not there %s", program, for_what);
    oct_help(e->d->cx, "scripts/setup.sh --tests installs compilers and emulators");
    return false;
}

/* ---- building ----------------------------------------------------------------------------------------------------------------
 */

static bool write_text(struct emulation *e, const char *file, const char *text) {
    struct oct_text t;
    oct_text_init(&t, e->d->a);
    oct_text_add(&t, text);
    return drv_build_write(e->b, file, &t);
}

static size_t bytes_of(const struct oct_node *n) {
    return (size_t)oct_type_elements(&n->type, 1) * oct_dtype_size(n->type.dtype);
}

/* main: inputs from a file, one run between two marks, outputs to a file. */
static bool write_main(struct emulation *e) {
    struct oct_text t, args, in, give;
    oct_text_init(&t, e->d->a);
    oct_text_init(&args, e->d->a);
    oct_text_init(&in, e->d->a);
    oct_text_init(&give, e->d->a);
    unsigned k = 0;
    oct_text_add(
        &t, "#include <stdint.h>\n#include \"m.h\"\nvoid fetch(void *to, uint32_t n);\nvoid give(const void *from, uint32_t n);\n"
            "static _Alignas(64) unsigned char arena[M_ARENA_SIZE];\n"
            "__attribute__((noinline)) static void run_is_done(void) { __asm__ volatile(\"\"); }\n"
            "int main(void) {\n");
    for (uint32_t i = 0; i < e->data.nin; i++, k++) {
        const size_t bytes = bytes_of(e->data.in[i].input);
        oct_text_addf(&t, "    static _Alignas(16) unsigned char x%u[%zu];\n    fetch(x%u, sizeof x%u);\n", i, bytes, i, i);
        oct_text_addf(&args, "(void *)x%u, ", i);
        char *x = oct_alloc(e->d->a, bytes);
        oct_input_read(&e->data.in[i], 0, x);
        oct_text_addn(&in, x, bytes);
    }
    for (uint32_t i = 0; i < e->m->noutputs; i++) {
        oct_text_addf(&t, "    static _Alignas(16) unsigned char y%u[%zu];\n", i, bytes_of(e->m->output[i].node));
        oct_text_addf(&args, "(void *)y%u, ", i);
        oct_text_addf(&give, "    give(y%u, sizeof y%u);\n", i, i);
    }
    oct_text_addf(&t,
                  "    const int status = m_run(%sarena);\n    run_is_done();\n    if (status) return 4;\n%s    return 0;\n}\n",
                  args.len ? args.s : "", give.len ? give.s : "");
    return drv_build_write(e->b, "main.c", &t) && drv_build_write(e->b, "in.bin", &in);
}

/* The object, and the weights' where they are not in it. */
static bool make_object(struct emulation *e, const char **objects) {
    const char *sources[3] = {0};
    int n = 0;
    if (e->llvm) {
        struct oct_text made;
        struct oct_sizes sizes;
        objects[0] = "m.o";
        return e->llvm->emit(e->d->cx, e->d->a, e->c.program, e->t, OCT_LLVM_OBJ, &made, &sizes) &&
               drv_build_write(e->b, "m.o", &made) && drv_build_write(e->b, "m.h", &e->c.h);
    }
    if (!drv_build_sources(e->b, name, &e->c, sources, &n)) return false;
    for (int i = 0; i < n; i++) {
        objects[i] = i ? "w.o" : "m.o";
        const char *args[] = {"-c", "-o", objects[i], sources[i], NULL};
        if (!drv_build_run(e->b, oct_sprintf(e->d->a, "%s %s", e->cc, e->cflags), args, NULL)) return false;
    }
    return true;
}

static bool link_program(struct emulation *e) {
    const char *objects[2] = {0}, *args[16];
    int n = 0;
    if (!write_main(e) || !make_object(e, objects)) return false;
    args[n++] = "-std=c11";
    args[n++] = "-O1";
    args[n++] = "-o";
    args[n++] = "program";
    if (e->machine->map) {
        if (!write_text(e, "board.c", board_c) || !write_text(e, "board.ld", oct_sprintf(e->d->a, board_ld, e->machine->map)))
            return false;
        args[n++] = "-nostartfiles";
        args[n++] = "-Tboard.ld";
        args[n++] = "-Wl,--gc-sections,-z,noexecstack";
        args[n++] = "board.c";
    } else {
        if (!write_text(e, "linux.c", linux_c)) return false;
        args[n++] = "-static";
        args[n++] = "linux.c";
    }
    args[n++] = "main.c";
    args[n++] = objects[0];
    args[n++] = objects[1];
    args[n] = NULL;
    return drv_build_run(e->b, e->cc, args, NULL);
}

/* ---- running -----------------------------------------------------------------------------------------------------------------
 */

static const struct oct_entry *run_entry(const struct oct_program *p) {
    for (int i = 0; i < p->nentries; i++)
        if (p->entry[i].run) return &p->entry[i];
    return NULL;
}

static bool write_marks(struct emulation *e) {
    const struct oct_program *p = e->c.program;
    struct oct_text t;
    oct_text_init(&t, e->d->a);
    oct_text_addf(&t, "%s\nrun_is_done\n", run_entry(p)->name);
    for (int i = 0; i < p->nfunctions; i++) oct_text_addf(&t, "%s\n", p->function[i].name);
    return drv_build_write(e->b, "marks", &t);
}

static bool run_program(struct emulation *e) {
    const char *plugin[] = {"-O2", "-fPIC", "-shared", "-o", "counter.so", "counter.c", NULL}, *log;
    if (!write_marks(e) || !write_text(e, "counter.c", counter_c) || !drv_build_run(e->b, "cc", plugin, NULL)) return false;
    const char *board[] = {"-display",  "none",    "-monitor",     "none",    "-serial", "none", "-semihosting-config",
                           "enable=on", "-plugin", "./counter.so", "-kernel", "program", NULL};
    const char *linux_program[] = {"-plugin", "./counter.so", "./program", NULL};
    const bool ran = drv_build_try(e->b, oct_sprintf(e->d->a, "timeout 600 %s", e->machine->emulator),
                                   e->machine->map ? board : linux_program, &log);
    if (!drv_build_has(e->b, "counts")) {
        oct_error(e->d->cx, nowhere, OCT_E7006, "'%s' takes no plugins of interface 1", e->machine->emulator);
        oct_help(e->d->cx, "qemu 7 and 8 do, where they are built with --enable-plugins");
        return false;
    }
    if (ran && drv_build_has(e->b, "out.bin"))
        return drv_build_read(e->b, "counts", &e->counts) && drv_build_read(e->b, "out.bin", &e->out);
    oct_internal(e->d->cx, nowhere, "the compiled model crashed, hung or failed on the emulated machine");
}

/* ---- results -----------------------------------------------------------------------------------------------------------------
 */

/* Instructions of each layer and of the run. False: the marks are not those of one run. */
static bool read_counts(struct emulation *e, struct drv_layer *l, size_t n, int64_t *all) {
    const struct oct_entry *run = run_entry(e->c.program);
    const char *at = oct_strndup(e->d->a, (const char *)e->counts.data, e->counts.len);
    int64_t begin = -1, before = 0;
    int step = -1; /* call whose function was entered last */
    for (; *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] != 0)) {
        const size_t len = strcspn(at, " ");
        const int64_t count = strtoll(at + len, NULL, 10);
        const bool done = len == strlen("run_is_done") && memcmp(at, "run_is_done", len) == 0;
        if (begin < 0) { /* conversions may run before */
            if (len != strlen(run->name) || memcmp(at, run->name, len) != 0) continue;
            begin = before = count;
            continue;
        }
        if (step >= 0 && (size_t)step < n) l[step].instructions = count - before;
        before = count;
        if (done) {
            *all = count - begin;
            return step + 1 == run->ncalls && (size_t)run->ncalls == n;
        }
        if (++step >= run->ncalls) return false;
        const char *function = e->c.program->function[run->call[step].function].name;
        if (len != strlen(function) || memcmp(at, function, len) != 0) return false;
    }
    return false;
}

static int64_t differing(struct emulation *e, const struct drv_results *want) {
    int64_t wrong = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < want->n; i++) {
        const size_t each = oct_dtype_size(want->r[i].type.dtype), bytes = bytes_of(e->m->output[i].node);
        for (size_t k = 0; k < bytes; k += each, at += each)
            wrong += at + each > e->out.len || memcmp(e->out.data + at, (const char *)want->r[i].data + k, each) != 0;
    }
    return wrong;
}

static void print(struct emulation *e, const struct drv_layer *l, size_t n, int64_t all, int64_t wrong) {
    struct oct_text *t = &e->d->say;
    int64_t macs = 0;
    for (size_t i = 0; i < n; i++) macs += l[i].macs;
    if (e->d->o.json) {
        struct drv_json j;
        drv_json_init(&j, t);
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "target", e->t->name);
        drv_json_str(&j, "emulator", e->machine->emulator);
        drv_json_int(&j, "instructions", all);
        drv_json_int(&j, "macs", macs);
        drv_json_int(&j, "differing", wrong);
        drv_json_open(&j, "layers", '[');
        for (size_t i = 0; i < n; i++) {
            drv_json_open(&j, NULL, '{');
            drv_json_str(&j, "name", l[i].name);
            drv_json_str(&j, "kernel", l[i].kernel);
            drv_json_int(&j, "instructions", l[i].instructions);
            drv_json_int(&j, "macs", l[i].macs);
            drv_json_close(&j, '}');
        }
        drv_json_close(&j, ']');
        drv_json_close(&j, '}');
        return;
    }
    oct_text_addf(t, "%" PRId64 " instructions, %" PRId64 " MACs (%.2f an instruction) on %s, by %s\n", all, macs,
                  (double)macs / (double)all, e->t->name, e->machine->emulator);
    oct_text_addf(t, "outputs that differ from the interpreter's: %" PRId64 "\n\n%-28s %-24s %14s %12s %8s\n", wrong, "layer",
                  "kernel", "instructions", "MACs", "MACs/i");
    for (size_t i = 0; i < n; i++)
        oct_text_addf(t, "%-28s %-24s %14" PRId64 " %12" PRId64 " %8.2f\n", l[i].name, l[i].kernel, l[i].instructions, l[i].macs,
                      (double)l[i].macs / (double)l[i].instructions);
}

static bool emulate(struct emulation *e) {
    struct drv *d = e->d;
    struct drv_results want;
    size_t n;
    int64_t all;
    if (!need(e, e->machine->emulator, "to run it") || !need(e, e->cc, "to link it") || !need(e, "cc", "to make qemu's counter"))
        return false;
    if (!link_program(e) || !run_program(e) || !drv_execute(d, e->m, &e->data, DRV_ENGINE_INTERP, &want)) return false;
    struct drv_layer *l = drv_layers_of(d, &e->c, &n);
    if (!read_counts(e, l, n, &all)) oct_internal(d->cx, nowhere, "the counted calls are not the program's");
    const int64_t wrong = differing(e, &want);
    if (wrong) d->exit_code = OCT_EXIT_THRESHOLD;
    print(e, l, n, all, wrong);
    return true;
}

bool drv_bench_emulate(struct drv *d, struct oct_module *m) {
    struct emulation e = {.d = d, .m = m, .cflags = d->o.cflags ? d->o.cflags : "-O2"};
    if (!d->o.target) return drv_misuse(d, "--emulate wants a --target that is not this machine");
    e.t = drv_target(d);
    if (!e.t || !find_machine(&e)) return false;
    if (!d->o.cc && !d->o.cflags) { /* as compile --emit obj decides */
        e.llvm = drv_llvm(d, true);
        if (!e.llvm) return false;
    }
    e.cc = d->o.cc ? d->o.cc : e.machine->cc;
    /* The interpreter's bits of floats, too. */
    const struct oct_compile_options opt = {
        .target = e.t, .name = name, .batch = 1, .strict_float = true, .no_source = e.llvm != NULL};
    if (!oct_compile(d->cx, d->a, m, &opt, &e.c) || !drv_bench_inputs(d, m, &e.data)) return false;
    e.b = drv_build_begin(d);
    if (!e.b) return false;
    const bool ok = emulate(&e);
    drv_build_end(e.b);
    return ok;
}
