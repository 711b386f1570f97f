/* compare.c - octavo compare A B: tensor by tensor, matched by value name, B against A. Quantized values are dequantized. A is
 * interpreted; B too, or compiled by --engine, every value that is compared being an output then. */
#include <math.h>
#include <string.h>

#include "driver.h"

struct pair {
    const char *name;
    const struct oct_node *a, *b;
    int64_t elements; /* of one run */
    int64_t seen, clipped;
    double signal, noise, power, dot, max_abs; /* sums of a^2, (a-b)^2, b^2, ab; max |a-b| */
};

static int64_t elements_of(const struct oct_node *n) { return oct_type_elements(&n->type, 1); }

/* Values of the same name and size in both models, in A's order; then outputs of the same name. */
static uint32_t match(struct drv *d, const struct oct_module *a, const struct oct_module *b, struct pair **out) {
    struct pair *p = OCT_NEW_N(d->a, struct pair, a->nnodes + a->noutputs);
    uint32_t n = 0;
    OCT_FOR_NODES(a, x) {
        const struct oct_node *y = x->op == OCT_OP_const ? NULL : oct_find_value(b, x->name);
        if (y && elements_of(x) == elements_of(y))
            p[n++] = (struct pair){.name = x->name, .a = x, .b = y, .elements = elements_of(x)};
    }
    const uint32_t values = n;
    for (uint32_t i = 0; i < a->noutputs; i++)
        for (uint32_t k = 0; k < b->noutputs; k++) {
            const struct oct_node *x = a->output[i].node, *y = b->output[k].node;
            bool known = strcmp(a->output[i].name, b->output[k].name) != 0 || elements_of(x) != elements_of(y);
            for (uint32_t v = 0; v < values; v++) known = known || (p[v].a == x && p[v].b == y);
            if (!known) p[n++] = (struct pair){.name = a->output[i].name, .a = x, .b = y, .elements = elements_of(x)};
        }
    *out = p;
    return n;
}

/* B's values over the whole data set by another engine: one result for each pair. */
static bool compiled(struct drv *d, const struct oct_module *b, const struct pair *p, uint32_t n, const struct oct_dataset *data,
                     struct drv_results *out) {
    struct oct_module *all = oct_module_clone(b, d->cx);
    struct oct_input_data *in = OCT_NEW_N(d->a, struct oct_input_data, data->nin);
    for (uint32_t i = 0; i < data->nin; i++)
        in[i] = (struct oct_input_data){oct_find_value(all, data->in[i].input->name), data->in[i].data};
    const struct oct_dataset fitted = {in, data->nin, data->samples};
    all->noutputs = 0;
    for (uint32_t i = 0; i < n; i++)
        oct_add_output(all, oct_sprintf(d->a, "value_%u", i), oct_find_value(all, p[i].b->name), p[i].b->span);
    return drv_execute(d, all, &fitted, drv_engine_of(d), out);
}

/* Adds one run. Clipped: what lies beyond the values that B's codes can stand for, by more than rounding takes it. */
static void add(struct pair *p, const void *x, const void *y) {
    double lo = -INFINITY, hi = INFINITY;
    if (p->b->type.q) {
        const double scale = (double)oct_scale(p->b->type.q, 0), zero = oct_zero(p->b->type.q, 0);
        lo = scale * ((double)oct_dtype_min(p->b->type.dtype) - zero - 0.5);
        hi = scale * ((double)oct_dtype_max(p->b->type.dtype) - zero + 0.5);
    }
    for (int64_t i = 0; i < p->elements; i++) {
        const double a = drv_real(&p->a->type, x, i), b = drv_real(&p->b->type, y, i), e = fabs(a - b);
        p->signal += a * a;
        p->power += b * b;
        p->noise += e * e;
        p->dot += a * b;
        if (e > p->max_abs) p->max_abs = e;
        p->clipped += a < lo || a > hi;
    }
    p->seen += p->elements;
}

/* Nothing differs: infinite, even where all is zero. */
static double sqnr(const struct pair *p) { return p->noise == 0 ? INFINITY : 10 * log10(p->signal / p->noise); }
static double cosine(const struct pair *p) { return p->noise == 0 ? 1 : p->dot / sqrt(p->signal * p->power); }
static double clipped(const struct pair *p) { return (double)p->clipped / (double)p->seen; }

static void feed(struct oct_exec *ex, const struct oct_dataset *data, int64_t run) {
    for (uint32_t i = 0; i < data->nin; i++) {
        struct oct_tensor *t = oct_exec_value(ex, data->in[i].input);
        const size_t bytes = (size_t)oct_tensor_elements(t) * oct_dtype_size(t->type.dtype);
        memcpy(t->data, (const char *)data->in[i].data + (size_t)run * bytes, bytes);
    }
    oct_exec_run(ex, NULL, NULL);
}

static void print(struct drv *d, const struct pair *p, uint32_t n) {
    if (d->o.json) {
        struct drv_json j;
        drv_json_init(&j, &d->say);
        drv_json_open(&j, NULL, '{');
        drv_json_open(&j, "tensors", '[');
        for (uint32_t i = 0; i < n; i++) {
            drv_json_open(&j, NULL, '{');
            drv_json_str(&j, "name", p[i].name);
            drv_json_num(&j, "sqnr_db", sqnr(&p[i]));
            drv_json_num(&j, "max_abs", p[i].max_abs);
            drv_json_num(&j, "cosine", cosine(&p[i]));
            drv_json_num(&j, "clipped", clipped(&p[i]));
            drv_json_close(&j, '}');
        }
        drv_json_close(&j, ']');
        drv_json_close(&j, '}');
        return;
    }
    oct_text_addf(&d->say, "%-28s %9s %12s %10s %10s\n", "tensor", "SQNR dB", "max abs", "cosine", "clipped %");
    for (uint32_t i = 0; i < n; i++)
        oct_text_addf(&d->say, "%-28s %9.2f %12.6g %10.7f %10.4f\n", p[i].name, sqnr(&p[i]), p[i].max_abs, cosine(&p[i]),
                      100 * clipped(&p[i]));
}

bool verb_compare(struct drv *d) {
    struct drv_arrays arrays;
    struct oct_dataset in_a, in_b;
    struct pair *p;
    if (!drv_read_arrays(d, "--data", &d->o.data, &arrays)) return false;
    struct oct_module *a = drv_read_model(d, d->o.args.v[0]), *b = drv_read_model(d, d->o.args.v[1]);
    if (!a || !b || !drv_fit(d, &arrays, a, &in_a) || !drv_fit(d, &arrays, b, &in_b)) return false;
    const int64_t chunk = oct_dataset_chunk(in_a.in, in_a.nin);
    if (chunk != oct_dataset_chunk(in_b.in, in_b.nin) || in_a.samples % chunk != 0)
        return drv_misuse(d, "the models do not take the data in equal batches");
    const uint32_t n = match(d, a, b, &p);
    if (n == 0) return drv_misuse(d, "the models have no value of the same name and size");
    struct drv_results by_engine = {0};
    const bool engine = drv_engine_of(d) != DRV_ENGINE_INTERP;
    if (engine && !compiled(d, b, p, n, &in_b, &by_engine)) return false;
    struct oct_exec *ea = oct_exec_new(d->cx, a, 1), *eb = ea && !engine ? oct_exec_new(d->cx, b, 1) : NULL;
    if (!ea || (!engine && !eb)) return false;
    oct_exec_keep_all(ea, true);
    if (eb) oct_exec_keep_all(eb, true);
    struct drv_progress progress;
    drv_progress_begin(&progress, "compare", in_a.samples);
    for (int64_t run = 0; run < in_a.samples / chunk; run++) {
        feed(ea, &in_a, run);
        if (eb) feed(eb, &in_b, run);
        for (uint32_t i = 0; i < n; i++) {
            const size_t bytes = (size_t)p[i].elements * oct_dtype_size(p[i].b->type.dtype);
            const void *y = eb ? oct_exec_value(eb, p[i].b)->data : (const char *)by_engine.r[i].data + (size_t)run * bytes;
            add(&p[i], oct_exec_value(ea, p[i].a)->data, y);
        }
        drv_progress_add(&progress, chunk);
    }
    drv_progress_end(&progress);
    print(d, p, n);
    for (uint32_t i = 0; i < n; i++)
        if (sqnr(&p[i]) < d->o.min_sqnr) {
            d->exit_code = OCT_EXIT_THRESHOLD;
            oct_text_addf(&d->talk, "octavo compare: SQNR of '%s' is %.2f dB, below %g\n", p[i].name, sqnr(&p[i]), d->o.min_sqnr);
        }
    return true;
}
