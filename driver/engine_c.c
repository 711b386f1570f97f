/* engine_c.c - compiled C as an engine: a module goes through the C back end and the host's compiler into a shared object, which
 * is loaded and called. A shim beside the generated file gives every model one calling convention; with `timed` the compiler's
 * function instrumentation tells when each step begins and ends. */
#include <dlfcn.h>
#include <string.h>

#include "tuned.h"

/* The prefix of the generated names; MACROS are upper case. */
const char drv_native_prefix[] = "octavo_model";

static void write_call(struct oct_text *t, const struct oct_module *m, const char *returns, const char *name,
                       const char *parameters, const char *arguments) {
    oct_text_addf(t,
                  "%s shim_%s(void *const *io, void *arena%s);\n%s shim_%s(void *const *io, void *arena%s) { %s octavo_model_%s(",
                  returns, name, parameters, returns, name, parameters, *arguments ? "" : "return", name);
    uint32_t n = 0;
    OCT_FOR_NODES(m, x) {
        if (x->op == OCT_OP_input) oct_text_addf(t, "io[%u], ", n++);
    }
    for (uint32_t i = 0; i < m->noutputs; i++) oct_text_addf(t, "io[%u], ", n++);
    oct_text_addf(t, "arena%s); }\n", arguments);
}
static void write_shim(struct oct_text *t, const struct oct_module *m, int threads) {
    oct_text_add(t, "#include \"octavo_model.h\"\n");
    write_call(t, m, "int", "run", "", "");
    if (threads > 1)
        write_call(t, m, "void", "run_part", ", int32_t part, int32_t parts, void (*meet)(void *team), void *team",
                   ", part, parts, meet, team");
    oct_text_add(t, "extern const unsigned long shim_arena;\nconst unsigned long shim_arena = OCTAVO_MODEL_ARENA_SIZE;\n");
}

/* Depth 1 is shim_run, depth 2 the model's run function, depth 3 its steps: layers, in order of execution. */
static const char timing_shim[] =
    "#include <time.h>\n"
    "typedef unsigned long long u64;\n"
    "#define NOT __attribute__((no_instrument_function))\n"
    "#define HOOK NOT __attribute__((visibility(\"hidden\"))) /* libc has hooks that do nothing */\n"
    "enum { MOST = 4096 };\n"
    "u64 shim_times[MOST], shim_products[MOST];\n"
    "unsigned shim_steps;\n"
    "static int depth;\n"
    "static u64 began, products, inside;\n"
    "NOT static u64 now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);\n"
    "    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec; }\n"
    "HOOK void __cyg_profile_func_enter(void *f, void *from) { (void)f; (void)from;\n"
    "    if (++depth == 1) shim_steps = 0; else if (depth == 3) inside = 0, began = now(); }\n"
    "NOT void shim_products_begin(void);\nNOT void shim_products_end(void);\n"
    "NOT void shim_products_begin(void) { products = now(); }\n"
    "NOT void shim_products_end(void) { inside += now() - products; }\n"
    "HOOK void __cyg_profile_func_exit(void *f, void *from) { (void)f; (void)from;\n"
    "    if (depth-- == 3 && shim_steps < MOST) shim_products[shim_steps] = inside, shim_times[shim_steps++] = now() - began; "
    "}\n";

/* The program with calls for the comments around products. */
static struct oct_text with_calls(struct drv *d, const struct oct_text *c) {
    static const char *const marks[][2] = {{"/* " OCT_PRODUCTS_BEGIN " */", "shim_products_begin();"},
                                           {"/* " OCT_PRODUCTS_END " */", "shim_products_end();"}};
    struct oct_text t;
    oct_text_init(&t, d->a);
    oct_text_add(&t, "void shim_products_begin(void);\nvoid shim_products_end(void);\n");
    for (const char *p = c->s, *next; *p; p = next) {
        const char *call = NULL;
        next = p + 1;
        for (int i = 0; i < 2 && *p == '/'; i++)
            if (strncmp(p, marks[i][0], strlen(marks[i][0])) == 0) call = marks[i][1], next = p + strlen(marks[i][0]);
        if (call) oct_text_add(&t, call);
        else oct_text_addn(&t, p, 1);
    }
    return t;
}

static void close_object(void *object) { dlclose(object); }

static void *symbol(struct drv *d, void *object, const char *name) {
    void *p = dlsym(object, name);
    if (!p) oct_internal(d->cx, (struct oct_span){0, 0, 0}, "the compiled model lacks '%s'", name);
    return p;
}

/* The object stays loaded when its file is gone. */
static bool build(struct drv *d, const struct oct_compiled *c, const struct oct_text *shim, const char *cflags, bool timed,
                  void **object) {
    struct drv_build *b = drv_build_begin(d);
    if (!b) return false;
    struct oct_text timing;
    struct oct_compiled program = *c;
    if (timed) program.c = with_calls(d, &c->c);
    oct_text_init(&timing, d->a);
    oct_text_add(&timing, timing_shim);
    const char *args[12] = {"-shared", "-fPIC", "-o", "m.so", "shim.c"};
    int n = 5;
    bool ok = drv_build_sources(b, drv_native_prefix, &program, args, &n) && drv_build_write(b, "shim.c", shim);
    if (ok && timed) {
        ok = drv_build_write(b, "timing.c", &timing);
        args[n++] = "timing.c";
        args[n++] = "-finstrument-functions";
    }
    args[n] = NULL;
    const char *command = oct_sprintf(d->a, "%s %s", d->o.cc ? d->o.cc : "cc", cflags);
    ok = ok && drv_build_run(b, command, args, NULL);
    if (ok) {
        *object = dlopen(drv_build_path(b, "m.so"), RTLD_NOW | RTLD_LOCAL);
        if (!*object) {
            oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E7006, "the compiled model cannot be loaded: %s", dlerror());
            oct_help(d->cx, "--engine c needs a compiler for this machine");
            ok = false;
        }
    }
    drv_build_end(b);
    return ok;
}

const struct drv_native *drv_native_load(struct drv *d, const struct oct_module *m, const char *cflags, bool timed,
                                         struct oct_compiled *out) {
    return drv_native_load_parts(d, m, cflags, timed, 1, out);
}

const struct drv_native *drv_native_load_parts(struct drv *d, const struct oct_module *m, const char *cflags, bool timed,
                                               int threads, struct oct_compiled *out) {
    struct oct_compile_options opt = {.target = oct_target_find("host"),
                                      .name = drv_native_prefix,
                                      .batch = 1,
                                      .threads = threads,
                                      .strict_float = d->o.strict_float};
    struct oct_text shim;
    bool ok;
    opt.tuned = drv_tuned(d, opt.target, &ok);
    if (!ok) return NULL;
    void *object;
    oct_text_init(&shim, d->a);
    write_shim(&shim, m, threads);
    if (!oct_compile(d->cx, d->a, m, &opt, out) || !build(d, out, &shim, cflags, timed, &object)) return NULL;
    oct_defer(d->a, close_object, object);
    struct drv_native *n = OCT_NEW(d->a, struct drv_native);
    void *run = symbol(d, object, "shim_run");
    memcpy(&n->run, &run, sizeof run); /* a pointer to data is no pointer to a function */
    void *part = threads > 1 ? symbol(d, object, "shim_run_part") : NULL;
    memcpy(&n->part, &part, sizeof part);
    n->arena_bytes = *(const unsigned long *)symbol(d, object, "shim_arena");
    if (timed) {
        n->times = symbol(d, object, "shim_times");
        n->products = symbol(d, object, "shim_products");
        n->steps = symbol(d, object, "shim_steps");
    }
    return n;
}

bool drv_native_entries(struct drv *d, const struct oct_compiled *c, const char *cflags, oct_jit_fn **entry) {
    const struct oct_program *p = c->program;
    struct oct_text shim;
    void *object;
    oct_text_init(&shim, d->a);
    for (int i = 0; i < p->nentries; i++) {
        const char *name = p->entry[i].name;
        oct_text_addf(&shim,
                      "int %s(void *arena);\nint shim_%d(void *const *io, void *arena);\n"
                      "int shim_%d(void *const *io, void *arena) { (void)io; return %s(arena); }\n",
                      name, i, i, name);
    }
    if (!build(d, c, &shim, cflags, false, &object)) return false;
    oct_defer(d->a, close_object, object);
    for (int i = 0; i < p->nentries; i++) {
        void *run = symbol(d, object, oct_sprintf(d->a, "shim_%d", i));
        memcpy(&entry[i], &run, sizeof run);
    }
    return true;
}

void *drv_aligned(void *memory) { return (char *)memory + (-(uintptr_t)memory & 63); }
bool drv_native_run(const struct drv_native *n, void *const *io, void *arena) { return n->run(io, arena) == 0; }
const uint64_t *drv_native_times(const struct drv_native *n, unsigned *steps) {
    *steps = *n->steps;
    return n->times;
}
const uint64_t *drv_native_products(const struct drv_native *n) { return n->products; }

/* ---- data sets ------------------------------------------------------------------------------------------------------------ */

struct team {
    const struct drv_native *n;
    const struct oct_dataset *data;
    const struct drv_results *out;
    struct {
        void **io, *arena; /* of one worker: its own inputs, then a place in each result */
    } * worker;
    struct drv_progress progress;
    _Atomic bool failed;
};

static void run_one(void *user, unsigned worker, int64_t run) {
    struct team *t = user;
    void **io = t->worker[worker].io;
    for (uint32_t i = 0; i < t->data->nin; i++) oct_input_read(&t->data->in[i], run, io[i]);
    for (uint32_t i = 0; i < t->out->n; i++) {
        const struct oct_type *type = &t->out->r[i].type;
        const size_t bytes = (size_t)oct_type_elements(type, 1) * oct_dtype_size(type->dtype);
        io[t->data->nin + i] = (char *)t->out->r[i].data + (size_t)run * bytes;
    }
    if (!drv_native_run(t->n, io, t->worker[worker].arena)) t->failed = true;
    drv_progress_add(&t->progress, 1);
}

bool drv_native_dataset(struct drv *d, const struct drv_native *n, const struct oct_dataset *data, struct drv_results *out) {
    const int64_t runs = data->samples / oct_dataset_chunk(data->in, data->nin);
    const unsigned workers = oct_workers(d->cx, runs);
    struct team t = {.n = n, .data = data, .out = out, .worker = oct_alloc_n(d->a, workers, sizeof *t.worker)};
    for (unsigned w = 0; w < workers; w++) {
        t.worker[w].io = OCT_NEW_N(d->a, void *, data->nin + out->n);
        t.worker[w].arena = drv_aligned(oct_alloc(d->a, n->arena_bytes + 256));
        for (uint32_t i = 0; i < data->nin; i++) t.worker[w].io[i] = oct_alloc(d->a, oct_input_bytes(&data->in[i]) + 64);
    }
    drv_progress_begin(&t.progress, d->verb->name, runs);
    oct_share(d->cx, runs, run_one, &t);
    drv_progress_end(&t.progress);
    if (!t.failed) return true;
    oct_internal(d->cx, (struct oct_span){0, 0, 0}, "the compiled model returned an error");
}
