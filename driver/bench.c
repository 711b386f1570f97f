/* bench.c - octavo bench: how long one run of the compiled C takes on this machine. The whole model is timed without
 * instruments; layers by a second build with them, whose overhead (some 50 ns a layer) is theirs alone. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../runtime/octavo_team.h"
#include "bench.h"
#include "tuned.h"

enum { RUNS = 200, WARM_UP = 5 };
static const uint64_t enough_ns = 2000000000; /* stop early after this much, but not before 10 runs */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}
/* The q-th of 100 parts of the sorted values; the nearest rank. */
static uint64_t percentile(const uint64_t *v, int64_t n, int64_t q) { return v[(n - 1) * q / 100]; }

struct buffers {
    void **io, *arena;
};

bool drv_bench_inputs(struct drv *d, const struct oct_module *m, struct oct_dataset *out) {
    struct drv_arrays arrays;
    if (d->o.data.n) {
        if (!drv_read_arrays(d, "--data", &d->o.data, &arrays) || !drv_fit(d, &arrays, m, out)) return false;
        out->samples = oct_dataset_chunk(out->in, out->nin);
        return true;
    }
    struct oct_input_data *in = OCT_NEW_N(d->a, struct oct_input_data, m->nnodes);
    uint32_t x = 1;
    *out = (struct oct_dataset){.in = in};
    OCT_FOR_NODES(m, node) {
        if (node->op != OCT_OP_input) continue;
        const size_t elements = (size_t)oct_type_elements(&node->type, 1), bytes = elements * oct_dtype_size(node->type.dtype);
        unsigned char *p = oct_alloc(d->a, bytes);
        for (size_t i = 0; i < (node->type.dtype == OCT_F32 ? elements : bytes); i++) {
            x = x * 1664525u + 1013904223u;
            if (node->type.dtype == OCT_F32) ((float *)(void *)p)[i] = (float)(x >> 8) / 8388608.0f - 1;
            else p[i] = (unsigned char)(x >> 24);
        }
        in[out->nin++] = (struct oct_input_data){.input = node, .data = p};
    }
    out->samples = oct_dataset_chunk(in, out->nin);
    return true;
}

static bool fill(struct drv *d, const struct oct_module *m, const struct drv_native *n, struct buffers *b) {
    uint32_t k = 0;
    struct oct_dataset data;
    if (!drv_bench_inputs(d, m, &data)) return false;
    b->io = OCT_NEW_N(d->a, void *, m->nnodes + m->noutputs);
    b->arena = drv_aligned(oct_alloc(d->a, n->arena_bytes + 256));
    for (uint32_t i = 0; i < data.nin; i++) {
        b->io[k] = oct_alloc(d->a, oct_input_bytes(&data.in[i]) + 64);
        oct_input_read(&data.in[i], 0, b->io[k++]);
    }
    for (uint32_t i = 0; i < m->noutputs; i++) {
        const struct oct_type *t = &m->output[i].node->type;
        b->io[k++] = oct_alloc(d->a, (size_t)oct_type_elements(t, 1) * oct_dtype_size(t->dtype) + 64);
    }
    return true;
}

static bool run_once(struct drv *d, const struct drv_native *n, const struct buffers *b) {
    if (drv_native_run(n, b->io, b->arena)) return true;
    oct_internal(d->cx, (struct oct_span){0, 0, 0}, "the compiled model returned an error");
}

/* Sorted times of whole runs; returns how many. */
static int64_t measure(struct drv *d, const struct drv_native *n, const struct buffers *b, uint64_t *times, int64_t most) {
    int64_t runs = 0;
    uint64_t sum = 0;
    for (int i = 0; i < WARM_UP; i++) run_once(d, n, b);
    while (runs < most && (runs < 10 || sum < enough_ns)) {
        const uint64_t start = now_ns();
        run_once(d, n, b);
        sum += times[runs++] = now_ns() - start;
    }
    qsort(times, (size_t)runs, sizeof *times, by_value);
    return runs;
}

/* ---- threads ----------------------------------------------------------------------------------------------------------------
 */

struct shared_run {
    const struct drv_native *n;
    const struct buffers *b;
};
static void run_part(void *arg, int32_t part, int32_t parts, void (*meet)(void *team), void *team) {
    const struct shared_run *r = arg;
    r->n->part(r->b->io, r->b->arena, part, parts, meet, team);
}

/* One thread and several by turns; sorted times of both. */
static int64_t measure_both(struct drv *d, const struct drv_native *n, const struct buffers *b, struct octavo_pool *pool,
                            uint64_t *one, uint64_t *several, int64_t most) {
    enum { TURN = 10, TURN_NS = 10000000 }; /* a processor that was idle takes milliseconds to be at its best */
    struct shared_run job = {n, b};
    int64_t runs = 0;
    uint64_t sum = 0;
    uint64_t first = now_ns();
    run_once(d, n, b);
    first = now_ns() - first + 1;
    while (runs < most && (runs < 10 || sum < enough_ns)) {
        int64_t turn = first * TURN < TURN_NS ? (int64_t)(TURN_NS / first) : TURN;
        if (turn > most - runs) turn = most - runs;
        for (int i = 0; i < WARM_UP; i++) run_once(d, n, b);
        for (int64_t i = 0; i < turn; i++) {
            const uint64_t start = now_ns();
            run_once(d, n, b);
            sum += one[runs + i] = now_ns() - start;
        }
        for (int i = 0; i < WARM_UP; i++) octavo_pool_run(pool, run_part, &job);
        for (int64_t i = 0; i < turn; i++) {
            const uint64_t start = now_ns();
            octavo_pool_run(pool, run_part, &job);
            sum += several[runs + i] = now_ns() - start;
        }
        runs += turn;
    }
    qsort(one, (size_t)runs, sizeof *one, by_value);
    qsort(several, (size_t)runs, sizeof *several, by_value);
    return runs;
}

/* Outputs of the last run that are not the interpreter's; -1 after diagnostics. */
static int64_t count_wrong(struct drv *d, const struct oct_module *m, const struct buffers *b) {
    struct oct_exec *ex = oct_exec_new(d->cx, m, 1);
    uint32_t k = 0;
    int64_t wrong = 0;
    if (!ex) return -1;
    OCT_FOR_NODES(m, x) {
        if (x->op != OCT_OP_input) continue;
        const struct oct_tensor *t = oct_exec_value(ex, x);
        memcpy(t->data, b->io[k++], (size_t)oct_tensor_elements(t) * oct_dtype_size(x->type.dtype));
    }
    oct_exec_run(ex, NULL, NULL);
    for (uint32_t i = 0; i < m->noutputs; i++, k++) {
        const struct oct_tensor *t = oct_exec_value(ex, m->output[i].node);
        const size_t size = oct_dtype_size(m->output[i].node->type.dtype);
        for (int64_t j = 0; j < oct_tensor_elements(t); j++)
            wrong += memcmp((char *)t->data + (size_t)j * size, (char *)b->io[k] + (size_t)j * size, size) != 0;
    }
    oct_exec_free(ex);
    return wrong;
}

/* bench --threads N: the same object by one thread and by N. */
static bool bench_threads(struct drv *d, const struct oct_module *m, const char *cflags, int64_t most) {
    int threads = (int)d->o.threads;
    struct oct_compiled c;
    struct buffers b;
    struct octavo_pool pool;
    if (threads > OCTAVO_POOL_MAX) return drv_misuse(d, "--threads: at most %d", (int)OCTAVO_POOL_MAX);
    const struct drv_native *n = drv_native_load_parts(d, m, cflags, false, threads, &c);
    if (!n || !fill(d, m, n, &b)) return false;
    if (c.program->parts < threads) threads = c.program->parts; /* no step is worth sharing */
    uint64_t *one = OCT_NEW_N(d->a, uint64_t, most), *several = OCT_NEW_N(d->a, uint64_t, most);
    if (octavo_pool_start(&pool, threads)) return drv_misuse(d, "--threads: the system gives no %d threads", threads);
    const int64_t runs = measure_both(d, n, &b, &pool, one, several, most);
    octavo_pool_stop(&pool);
    const int64_t wrong = count_wrong(d, m, &b);
    if (wrong < 0) return false;
    const double a = (double)percentile(one, runs, 50), t = (double)percentile(several, runs, 50);
    if (d->o.json) {
        struct drv_json j;
        drv_json_init(&j, &d->say);
        drv_json_open(&j, NULL, '{');
        drv_json_int(&j, "threads", threads);
        drv_json_int(&j, "runs", runs);
        drv_json_num(&j, "one_median_ns", a);
        drv_json_num(&j, "median_ns", t);
        drv_json_num(&j, "gain", a / t);
        drv_json_int(&j, "wrong", wrong);
        drv_json_close(&j, '}');
        return true;
    }
    oct_text_addf(&d->say,
                  "%lld runs by turns: one thread %.1f us, %d threads %.1f us (medians; p10 %.1f and %.1f): %.2f times as fast\n"
                  "outputs of the last run of %d that differ from the interpreter's: %lld\n",
                  (long long)runs, a / 1e3, threads, t / 1e3, (double)percentile(one, runs, 10) / 1e3,
                  (double)percentile(several, runs, 10) / 1e3, a / t, threads, (long long)wrong);
    return true;
}

/* ---- layers ------------------------------------------------------------------------------------------------------------------
 */

struct drv_layer *drv_layers_of(struct drv *d, const struct oct_compiled *c, size_t *n) {
    json_t *report = json_loadb(c->json.s, c->json.len, 0, NULL), *list = json_object_get(report, "layers"), *item;
    size_t i;
    struct drv_layer *l = OCT_NEW_N(d->a, struct drv_layer, json_array_size(list));
    *n = json_array_size(list);
    json_array_foreach(list, i, item) {
        const char *name = json_string_value(json_object_get(item, "name")),
                   *kernel = json_string_value(json_object_get(item, "kernel")),
                   *steps = json_string_value(json_object_get(item, "steps"));
        l[i] = (struct drv_layer){.name = oct_strdup(d->a, name ? name : ""),
                                  .kernel = oct_strdup(d->a, kernel ? kernel : ""),
                                  .macs = json_integer_value(json_object_get(item, "macs")),
                                  .ns = (double)NAN,
                                  .products = json_integer_value(json_object_get(item, "products")),
                                  .steps = oct_strdup(d->a, steps ? steps : ""),
                                  .gain = json_number_value(json_object_get(item, "gain"))};
    }
    json_decref(report);
    return l;
}

/* The median of each step over some runs of the build with instruments. */
static bool time_layers(struct drv *d, const struct oct_module *m, const char *cflags, struct drv_layer *l, size_t n) {
    enum { TIMED = 21 };
    struct oct_compiled c;
    struct buffers b;
    const struct drv_native *native = drv_native_load(d, m, cflags, true, &c);
    if (!native || !fill(d, m, native, &b)) return false;
    uint64_t *t = OCT_NEW_N(d->a, uint64_t, TIMED * n), *in = OCT_NEW_N(d->a, uint64_t, TIMED * n);
    for (int r = 0; r < TIMED; r++) {
        unsigned steps;
        run_once(d, native, &b);
        const uint64_t *times = drv_native_times(native, &steps), *products = drv_native_products(native);
        if (steps != n) return true; /* layers and functions do not correspond: no figures rather than wrong ones */
        for (size_t i = 0; i < n; i++) t[i * TIMED + (size_t)r] = times[i], in[i * TIMED + (size_t)r] = products[i];
    }
    for (size_t i = 0; i < n; i++) {
        qsort(t + i * TIMED, TIMED, sizeof *t, by_value);
        qsort(in + i * TIMED, TIMED, sizeof *in, by_value);
        l[i].ns = (double)percentile(t + i * TIMED, TIMED, 50);
        l[i].products_ns = (double)percentile(in + i * TIMED, TIMED, 50);
    }
    return true;
}

/* What it does of what its steps reach in registers, as measured now; NAN where neither is known. */
static double share(const struct drv_layer *l, const struct oct_tuned *ceilings) {
    const double ceiling = oct_tuned_ceiling(ceilings, l->steps);
    return ceiling > 0 && l->macs ? (double)l->macs / l->gain / l->ns / ceiling : (double)NAN;
}

/* The same of its products alone, where they stand out. */
static double products_share(const struct drv_layer *l, const struct oct_tuned *ceilings) {
    const double ceiling = oct_tuned_ceiling(ceilings, l->steps);
    return ceiling > 0 && l->products ? (double)l->products / l->products_ns / ceiling : (double)NAN;
}

static void print_json(struct drv *d, const uint64_t *times, int64_t runs, const struct drv_layer *l, size_t n,
                       const struct oct_tuned *ceilings) {
    struct drv_json j;
    drv_json_init(&j, &d->say);
    drv_json_open(&j, NULL, '{');
    drv_json_int(&j, "median_ns", (int64_t)percentile(times, runs, 50));
    drv_json_int(&j, "p10_ns", (int64_t)percentile(times, runs, 10));
    drv_json_int(&j, "p90_ns", (int64_t)percentile(times, runs, 90));
    drv_json_int(&j, "runs", runs);
    drv_json_open(&j, "ceilings", '{');
    for (int i = 0; i < ceilings->nceilings; i++) drv_json_num(&j, ceilings->ceiling[i].steps, ceilings->ceiling[i].gmacs);
    drv_json_close(&j, '}');
    drv_json_open(&j, "layers", '[');
    for (size_t i = 0; i < n; i++) {
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "name", l[i].name);
        drv_json_str(&j, "kernel", l[i].kernel);
        drv_json_num(&j, "ns", l[i].ns);
        drv_json_int(&j, "macs", l[i].macs);
        drv_json_num(&j, "gmacs", (double)l[i].macs / l[i].ns);
        drv_json_str(&j, "steps", l[i].steps);
        drv_json_num(&j, "gain", l[i].gain);
        drv_json_num(&j, "share", share(&l[i], ceilings));
        drv_json_num(&j, "products_ns", l[i].products ? l[i].products_ns : (double)NAN);
        drv_json_num(&j, "products_share", products_share(&l[i], ceilings));
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_close(&j, '}');
}

/* Which large layers are near their ceiling, their products where these stand out, and which are not. */
static void print_goal(struct drv *d, const struct drv_layer *l, size_t n, const struct oct_tuned *ceilings) {
    enum { LARGE = 5000000, GOAL = 88 };
    struct oct_text below;
    int large = 0, reach = 0;
    oct_text_init(&below, d->a);
    for (size_t i = 0; i < n; i++) {
        const double alone = products_share(&l[i], ceilings), s = 100 * (alone == alone ? alone : share(&l[i], ceilings));
        if (l[i].macs < LARGE || s != s) continue;
        large++;
        if (s >= (double)GOAL) reach++;
        else oct_text_addf(&below, "%s %s %.0f %%", below.len ? "," : "; below:", l[i].name, s);
    }
    if (large)
        oct_text_addf(&d->say, "\n%d of %d layers of 5 MMAC and more reach %d %% of their ceiling%s\n", reach, large, GOAL,
                      below.len ? below.s : "");
}

static void print(struct drv *d, const uint64_t *times, int64_t runs, const struct drv_layer *l, size_t n,
                  const struct oct_tuned *ceilings) {
    oct_text_addf(&d->say, "%lld runs: median %.1f us, p10 %.1f us, p90 %.1f us\n", (long long)runs,
                  (double)percentile(times, runs, 50) / 1e3, (double)percentile(times, runs, 10) / 1e3,
                  (double)percentile(times, runs, 90) / 1e3);
    for (int i = 0; i < ceilings->nceilings; i++)
        oct_text_addf(&d->say, "%s%s %.1f", i ? ", " : "ceilings of this core in registers, GMAC/s: ", ceilings->ceiling[i].steps,
                      ceilings->ceiling[i].gmacs);
    oct_text_addf(&d->say, "%s\n%-28s %-24s %10s %12s %8s %8s\n", ceilings->nceilings ? "\n" : "", "layer", "kernel", "us",
                  "MACs", "GMAC/s", "share");
    for (size_t i = 0; i < n; i++) {
        const double s = 100 * share(&l[i], ceilings);
        oct_text_addf(&d->say, "%-28s %-24s %10.1f %12lld %8.2f", l[i].name, l[i].kernel, l[i].ns / 1e3, (long long)l[i].macs,
                      (double)l[i].macs / l[i].ns);
        if (s == s) oct_text_addf(&d->say, " %3.0f %% %s", s, l[i].steps);
        if (s == s && l[i].gain > 1) oct_text_addf(&d->say, " x %.4g", l[i].gain);
        if (l[i].products)
            oct_text_addf(&d->say, "; products %.1f us, %.0f %%", l[i].products_ns / 1e3, 100 * products_share(&l[i], ceilings));
        oct_text_add(&d->say, "\n");
    }
    print_goal(d, l, n, ceilings);
}

bool verb_bench(struct drv *d) {
    if (d->o.target && !d->o.emulate) return drv_misuse(d, "--target is for --emulate; time is this machine's");
    struct oct_compiled c;
    struct buffers b;
    size_t nlayers;
    const char *cflags = d->o.cflags ? d->o.cflags : "-O3 -march=native";
    const int64_t most = d->o.runs ? d->o.runs : RUNS;
    struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (m && d->o.emulate) return drv_bench_emulate(d, m);
    if (m && d->o.threads > 1) return bench_threads(d, m, cflags, most);
    const struct drv_native *n = m ? drv_native_load(d, m, cflags, false, &c) : NULL;
    if (!n || !fill(d, m, n, &b)) return false;
    uint64_t *times = OCT_NEW_N(d->a, uint64_t, most);
    const int64_t runs = measure(d, n, &b, times, most);
    struct drv_layer *l = drv_layers_of(d, &c, &nlayers);
    const struct oct_compile_options opt = {.target = oct_target_find("host")};
    struct oct_tuned ceilings = {0};
    if (!time_layers(d, m, cflags, l, nlayers) || !drv_ceilings(d, &opt, NULL, cflags, &ceilings)) return false;
    if (d->o.json) print_json(d, times, runs, l, nlayers, &ceilings);
    else print(d, times, runs, l, nlayers, &ceilings);
    return true;
}
