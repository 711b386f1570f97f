/* engine_c.c - compiled C as an engine: a module goes through the C back end and the host's compiler into a shared object, which
 * is loaded and called. A shim beside the generated file gives every model one calling convention; with `timed` the compiler's
 * function instrumentation tells when each step begins and ends. */
#include <dlfcn.h>
#include <pthread.h>
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
    "u64 shim_times[MOST];\n"
    "unsigned shim_steps;\n"
    "static int depth;\n"
    "static u64 began;\n"
    "NOT static u64 now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);\n"
    "    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec; }\n"
    "HOOK void __cyg_profile_func_enter(void *f, void *from) { (void)f; (void)from;\n"
    "    if (++depth == 1) shim_steps = 0; else if (depth == 3) began = now(); }\n"
    "HOOK void __cyg_profile_func_exit(void *f, void *from) { (void)f; (void)from;\n"
    "    if (depth-- == 3 && shim_steps < MOST) shim_times[shim_steps++] = now() - began; }\n";

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
    oct_text_init(&timing, d->a);
    oct_text_add(&timing, timing_shim);
    const char *args[12] = {"-shared", "-fPIC", "-o", "m.so", "shim.c"};
    int n = 5;
    bool ok = drv_build_sources(b, drv_native_prefix, c, args, &n) && drv_build_write(b, "shim.c", shim);
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

/* ---- data sets ------------------------------------------------------------------------------------------------------------ */

struct stream {
    char *data;
    size_t bytes; /* of one run */
};
struct worker {
    const struct drv_native *n;
    const struct stream *s;
    uint32_t nstreams;
    void **io, *arena;
    int64_t first, step, runs;
    bool failed;
};

static void *work(void *arg) {
    struct worker *w = arg;
    for (int64_t r = w->first; r < w->runs && !w->failed; r += w->step) {
        for (uint32_t i = 0; i < w->nstreams; i++) w->io[i] = w->s[i].data + (size_t)r * w->s[i].bytes;
        w->failed = !drv_native_run(w->n, w->io, w->arena);
    }
    return NULL;
}

static bool run_all(struct drv *d, const struct drv_native *n, const struct stream *s, uint32_t nstreams, int64_t runs) {
    unsigned threads = (int64_t)d->cx->threads < runs ? d->cx->threads : (unsigned)runs;
    struct worker *w = OCT_NEW_N(d->a, struct worker, threads);
    pthread_t *thread = OCT_NEW_N(d->a, pthread_t, threads);
    bool *started = OCT_NEW_N(d->a, bool, threads), ok = true;
    for (unsigned i = 0; i < threads; i++)
        w[i] = (struct worker){.n = n,
                               .s = s,
                               .nstreams = nstreams,
                               .io = OCT_NEW_N(d->a, void *, nstreams),
                               .arena = drv_aligned(oct_alloc(d->a, n->arena_bytes + 256)),
                               .first = i,
                               .step = threads,
                               .runs = runs};
    for (unsigned i = 1; i < threads; i++) started[i] = pthread_create(&thread[i], NULL, work, &w[i]) == 0;
    for (unsigned i = 0; i < threads; i++)
        if (!started[i]) work(&w[i]); /* the first share, and those without a thread */
    for (unsigned i = 1; i < threads; i++)
        if (started[i]) pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < threads; i++) ok = ok && !w[i].failed;
    return ok;
}

bool drv_native_dataset(struct drv *d, const struct drv_native *n, const struct oct_dataset *data, struct drv_results *out) {
    const int64_t runs = data->samples / oct_dataset_chunk(data->in, data->nin);
    struct stream *s = OCT_NEW_N(d->a, struct stream, data->nin + out->n);
    uint32_t k = 0;
    for (uint32_t i = 0; i < data->nin; i++) {
        const struct oct_type *t = &data->in[i].input->type;
        const size_t bytes = (size_t)oct_type_elements(t, 1) * oct_dtype_size(t->dtype);
        char *copy = oct_alloc_n(d->a, (size_t)runs, bytes); /* io is not const: outputs are written through it */
        memcpy(copy, data->in[i].data, (size_t)runs * bytes);
        s[k++] = (struct stream){copy, bytes};
    }
    for (uint32_t i = 0; i < out->n; i++) {
        const struct oct_type *t = &out->r[i].type;
        s[k++] = (struct stream){out->r[i].data, (size_t)oct_type_elements(t, 1) * oct_dtype_size(t->dtype)};
    }
    if (run_all(d, n, s, k, runs)) return true;
    oct_internal(d->cx, (struct oct_span){0, 0, 0}, "the compiled model returned an error");
}
