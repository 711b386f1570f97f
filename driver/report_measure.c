/* report_measure.c - runs both models over the data and sums what lies between them, value by value. Runs are spread over the
 * threads; sums are formed run by run and added in the order of the runs, so the threads change no bit. Memory does not grow with
 * the data. */
#include <math.h>
#include <string.h>

#include "report.h"

enum { ROUND = 32, BLOCK = 256, EFFECT_RUNS = 16 };
enum { ALONE, WEIGHED, VARIANTS }; /* B from A's values; A with B's weights from its own */

struct sums { /* of one value in one run: as in struct drv_layer */
    double signal, power, dot, noise, max_abs, rounding, clipping, alone, weighed, effect, reached;
    int64_t clipped;
};
struct hand {                                   /* of one worker */
    struct oct_exec *a, *b, *variant[VARIANTS]; /* NULL: not computed */
    struct drv_bins *bins;                      /* one a layer */
    double *real;                               /* of a whole value, and of A's first output */
    double *output;
};
struct measuring {
    const struct drv_report *r;
    const struct drv_comparison *c;
    struct drv_variant variant[VARIANTS];
    const struct drv_results *by_engine; /* NULL: B is interpreted */
    struct hand *hand;
    struct sums *sums; /* [run of the round][layer] */
    double *shift;     /* [run of the round][channel of any layer]: sums of errors */
    int64_t *first_channel, nchannels;
    int64_t first;                          /* run of the round */
    struct drv_result *answer_a, *answer_b; /* NULL: outputs are no answers */
    int answer;                             /* the layer that is both first outputs; -1: none */
    struct drv_progress progress;
};

static void reals(const struct oct_type *t, const void *data, int64_t at, int64_t n, double *out) {
    if (t->dtype == OCT_F32) {
        const float *x = (const float *)data + at;
        for (int64_t i = 0; i < n; i++) out[i] = (double)x[i];
    } else if (t->dtype == OCT_I8 && t->q) {
        const int8_t *x = (const int8_t *)data + at;
        const double scale = (double)oct_scale(t->q, 0), zero = oct_zero(t->q, 0);
        for (int64_t i = 0; i < n; i++) out[i] = scale * ((double)x[i] - zero);
    } else
        for (int64_t i = 0; i < n; i++) out[i] = drv_real(t, data, at + i);
}

static void count(struct drv_bins *b, const double *x, int64_t n) {
    const double per_bin = (double)DRV_BINS / (b->hi - b->lo);
    for (int64_t i = 0; i < n; i++) {
        if (x[i] < b->lo) b->below++;
        else if (x[i] >= b->hi) b->above++;
        else if (!isnan(x[i])) {
            const int k = (int)((x[i] - b->lo) * per_bin);
            b->count[k < DRV_BINS ? k : DRV_BINS - 1]++;
        }
    }
}

/* What A's own values lose in B's codes. Clipped: beyond what the codes can stand for, by more than rounding takes it. */
static void put_into_codes(const struct drv_layer *l, struct sums *s, const double *x, int64_t n) {
    const double scale = (double)oct_scale(l->codes->q, 0), zero = oct_zero(l->codes->q, 0);
    const double lo = (double)oct_dtype_min(l->codes->dtype) - zero, hi = (double)oct_dtype_max(l->codes->dtype) - zero;
    for (int64_t i = 0; i < n; i++) {
        const double u = x[i] / scale, code = u < lo ? lo : u > hi ? hi : rint(u), e = scale * (code - u);
        if (u < lo - 0.5 || u > hi + 0.5) {
            s->clipped++;
            s->clipping += e * e;
        } else s->rounding += e * e;
    }
}

/* Squared error of what a variant makes; sums of errors of channels are added to shift, if not NULL. */
static double error_of(const struct drv_layer *l, const void *a, const struct oct_type *type, const void *made, double *shift) {
    double x[BLOCK], y[BLOCK], sum = 0;
    int64_t channel = 0, left = l->inner; /* of the element at work, and elements left of it */
    for (int64_t at = 0; at < l->elements; at += BLOCK) {
        const int64_t n = l->elements - at < BLOCK ? l->elements - at : BLOCK;
        reals(&l->a->type, a, at, n, x);
        reals(type, made, at, n, y);
        for (int64_t i = 0; i < n; i++) {
            y[i] -= x[i];
            sum += y[i] * y[i];
        }
        for (int64_t i = 0; i < n && shift && l->channels; i++) {
            shift[channel] += y[i];
            if (--left > 0) continue;
            left = l->inner;
            channel = channel + 1 < l->channels ? channel + 1 : 0;
        }
    }
    return sum;
}

static void add(const struct drv_layer *l, struct sums *s, struct drv_bins *bins, const void *a, const void *b) {
    double x[BLOCK], y[BLOCK];
    for (int64_t at = 0; at < l->elements; at += BLOCK) {
        const int64_t n = l->elements - at < BLOCK ? l->elements - at : BLOCK;
        reals(&l->a->type, a, at, n, x);
        reals(&l->b->type, b, at, n, y);
        for (int64_t i = 0; i < n; i++) {
            const double e = fabs(x[i] - y[i]);
            s->signal += x[i] * x[i];
            s->power += y[i] * y[i];
            s->noise += e * e;
            s->dot += x[i] * y[i];
            if (e > s->max_abs) s->max_abs = e;
        }
        if (!l->codes) continue;
        put_into_codes(l, s, x, n);
        count(bins, x, n);
    }
}

/* ---- the effect of one layer on A's first output
 * ------------------------------------------------------------------------------- */

struct replacing {
    const struct oct_node *node;
    const double *by;
};
static void replace(void *user, const struct oct_node *n, const struct oct_tensor *value) {
    const struct replacing *p = user;
    if (n != p->node) return;
    float *x = value->data;
    for (int64_t i = 0, elements = oct_tensor_elements(value); i < elements; i++) x[i] = (float)p->by[i];
}

/* A, from the layer on, with what B makes of A's values there; everything else as A has it. */
static void measure_effect(const struct measuring *g, struct hand *h, struct sums *s) {
    const struct oct_node *out = g->c->a->output[0].node;
    const int64_t n = oct_type_elements(&out->type, 1);
    reals(&out->type, oct_exec_value(h->a, out)->data, 0, n, h->output);
    for (int i = 0; i < g->r->nlayers; i++) {
        const struct drv_layer *l = &g->r->layer[i];
        if (!l->is_alone || l->a->type.dtype != OCT_F32) continue;
        reals(&l->b->type, oct_exec_value(h->variant[ALONE], g->variant[ALONE].value[i])->data, 0, l->elements, h->real);
        struct replacing p = {l->a, h->real};
        oct_exec_run(h->a, replace, &p);
        const void *y = oct_exec_value(h->a, out)->data;
        for (int64_t k = 0; k < n; k++) {
            const double e = drv_real(&out->type, y, k) - h->output[k];
            s[i].effect += e * e;
            s[i].reached += h->output[k] * h->output[k];
        }
    }
}

/* ---- runs
 * ------------------------------------------------------------------------------------------------------------------------ */

static void keep_answer(struct drv_result *to, const void *data, int64_t run) {
    const size_t bytes = (size_t)oct_type_elements(&to->type, 1) * oct_dtype_size(to->type.dtype);
    memcpy((char *)to->data + (size_t)run * bytes, data, bytes);
}

static void run_variant(const struct measuring *g, struct hand *h, int v) {
    for (int i = 0; i < g->r->nlayers; i++) {
        const struct drv_layer *l = &g->r->layer[i];
        if (!g->variant[v].given[i]) continue;
        float *to = oct_exec_value(h->variant[v], g->variant[v].given[i])->data;
        const void *from = oct_exec_value(h->a, l->a)->data;
        for (int64_t k = 0; k < l->elements; k++) to[k] = (float)drv_real(&l->a->type, from, k);
    }
    oct_exec_run(h->variant[v], NULL, NULL);
}

/* What a variant makes of layer i differs from A's value by so much. */
static double variant_error(const struct measuring *g, struct hand *h, int v, int i, const void *a, double *shift) {
    const struct oct_node *n = h->variant[v] ? g->variant[v].value[i] : NULL;
    return n ? error_of(&g->r->layer[i], a, &n->type, oct_exec_value(h->variant[v], n)->data, shift) : 0;
}

static void run_one(void *user, unsigned worker, int64_t piece) {
    const struct measuring *g = user;
    struct hand *h = &g->hand[worker];
    const int64_t run = g->first + piece;
    struct sums *s = g->sums + piece * g->r->nlayers;
    double *shift = g->shift + piece * g->nchannels;
    memset(s, 0, (size_t)g->r->nlayers * sizeof *s);
    memset(shift, 0, (size_t)g->nchannels * sizeof *shift);
    oct_exec_feed(h->a, g->c->data_a->in, g->c->data_a->nin, run);
    oct_exec_run(h->a, NULL, NULL);
    if (h->b) {
        oct_exec_feed(h->b, g->c->data_b->in, g->c->data_b->nin, run);
        oct_exec_run(h->b, NULL, NULL);
    }
    for (int v = 0; v < VARIANTS; v++)
        if (h->variant[v]) run_variant(g, h, v);
    for (int i = 0; i < g->r->nlayers; i++) {
        const struct drv_layer *l = &g->r->layer[i];
        const size_t bytes = (size_t)l->elements * oct_dtype_size(l->b->type.dtype);
        const void *a = oct_exec_value(h->a, l->a)->data,
                   *b = h->b ? oct_exec_value(h->b, l->b)->data : (const char *)g->by_engine->r[i].data + (size_t)run * bytes;
        add(l, &s[i], &h->bins[i], a, b);
        s[i].alone = variant_error(g, h, ALONE, i, a, shift + g->first_channel[i]);
        s[i].weighed = variant_error(g, h, WEIGHED, i, a, NULL);
        if (i != g->answer) continue;
        keep_answer(g->answer_a, a, run);
        keep_answer(g->answer_b, b, run);
    }
    if (run < g->r->effect_runs) measure_effect(g, h, s);
    drv_progress_add((struct drv_progress *)&g->progress, 1);
}

/* ---- adding up
 * ------------------------------------------------------------------------------------------------------------------- */

static void add_run(struct drv_layer *l, const struct sums *s) {
    l->signal += s->signal, l->power += s->power, l->dot += s->dot, l->noise += s->noise;
    l->rounding += s->rounding, l->clipping += s->clipping;
    l->alone += s->alone, l->weighed += s->weighed, l->effect += s->effect, l->reached += s->reached;
    l->clipped += s->clipped;
    l->seen += l->elements;
    if (s->max_abs > l->max_abs) l->max_abs = s->max_abs;
}

static void add_bins(struct drv_bins *to, const struct drv_bins *b) {
    to->below += b->below;
    to->above += b->above;
    for (int k = 0; k < DRV_BINS; k++) to->count[k] += b->count[k];
}

/* Mean errors of channels as energy: n m^2 of each. */
static double energy_of_shift(const struct drv_layer *l, const double *shift) {
    double e = 0;
    for (int64_t c = 0; c < l->channels; c++) e += shift[c] * shift[c];
    return l->channels ? e / ((double)l->seen / (double)l->channels) : 0;
}

/* ---- setting out
 * ----------------------------------------------------------------------------------------------------------------- */

/* B's values over the whole data set by another engine: one result for each layer. */
static bool compiled(struct drv *d, const struct drv_comparison *c, const struct drv_report *r, struct drv_results *out) {
    struct oct_module *all = oct_module_clone(c->b, d->cx);
    struct oct_input_data *in = OCT_NEW_N(d->a, struct oct_input_data, c->data_b->nin);
    for (uint32_t i = 0; i < c->data_b->nin; i++) {
        in[i] = c->data_b->in[i];
        in[i].input = oct_find_value(all, in[i].input->name);
    }
    const struct oct_dataset fitted = {in, c->data_b->nin, c->data_b->samples};
    all->noutputs = 0;
    for (int i = 0; i < r->nlayers; i++)
        oct_add_output(all, oct_sprintf(d->a, "value_%d", i), oct_find_value(all, r->layer[i].b->name), r->layer[i].b->span);
    return drv_execute(d, all, &fitted, drv_engine_of(d), out);
}

static struct oct_exec *another(struct oct_exec *first, unsigned worker) {
    struct oct_exec *ex = worker == 0 || !first ? first : oct_exec_clone(first);
    if (!ex) return NULL;
    oct_exec_keep_all(ex, true);
    oct_exec_place(ex);
    return ex;
}

static bool make_hands(struct drv *d, struct measuring *g, unsigned workers) {
    struct oct_exec *a = oct_exec_new(d->cx, g->c->a, 1), *b = a && !g->by_engine ? oct_exec_new(d->cx, g->c->b, 1) : NULL;
    struct oct_exec *variant[VARIANTS] = {0};
    if (!a || (!b && !g->by_engine)) return false;
    for (int v = 0; v < VARIANTS; v++)
        if (g->variant[v].m && !(variant[v] = oct_exec_new(d->cx, g->variant[v].m, 1))) return false;
    int64_t most = 1;
    for (int i = 0; i < g->r->nlayers; i++)
        if (g->r->layer[i].elements > most) most = g->r->layer[i].elements;
    g->hand = OCT_NEW_N(d->a, struct hand, workers);
    for (unsigned w = 0; w < workers; w++) {
        struct hand *h = &g->hand[w];
        *h = (struct hand){another(a, w),
                           another(b, w),
                           {another(variant[ALONE], w), another(variant[WEIGHED], w)},
                           OCT_NEW_N(d->a, struct drv_bins, g->r->nlayers),
                           OCT_NEW_N(d->a, double, most),
                           OCT_NEW_N(d->a, double, oct_type_elements(&g->c->a->output[0].node->type, 1))};
        for (int i = 0; i < g->r->nlayers; i++)
            if (g->r->layer[i].bins) h->bins[i].lo = g->r->layer[i].bins->lo, h->bins[i].hi = g->r->layer[i].bins->hi;
    }
    return true;
}

static void mark_alone(struct measuring *g, struct drv_report *r) {
    int64_t alone = 0;
    for (int i = 0; i < r->nlayers; i++) {
        struct drv_layer *l = &r->layer[i];
        l->is_alone = g->variant[ALONE].value[i];
        l->is_weighed = g->variant[WEIGHED].m && g->variant[WEIGHED].value[i];
        alone += l->is_alone;
        g->first_channel[i] = g->nchannels;
        g->nchannels += l->channels;
    }
    /* As much work for effects as for all else, but at least one run and at most EFFECT_RUNS. */
    const int64_t runs = r->samples / oct_dataset_chunk(g->c->data_a->in, g->c->data_a->nin),
                  fair = 3 * runs / (alone ? alone : 1),
                  most = fair < 1             ? 1
                         : fair > EFFECT_RUNS ? EFFECT_RUNS
                                              : fair;
    r->effect_runs = runs < most ? runs : most;
}

static int first_outputs(const struct drv_comparison *c, const struct drv_report *r) {
    for (int i = 0; i < r->nlayers; i++)
        if (r->layer[i].a == c->a->output[0].node && r->layer[i].b == c->b->output[0].node) return i;
    return -1;
}

static bool every(const struct drv_layer *l) { return l; }

bool drv_report_measure(struct drv *d, const struct drv_comparison *c, struct drv_report *r, const struct drv_variant *weighed) {
    struct measuring g = {.r = r, .c = c, .variant = {[WEIGHED] = *weighed}};
    struct drv_results by_engine = {0};
    struct drv_result answer_a, answer_b;
    g.first_channel = OCT_NEW_N(d->a, int64_t, r->nlayers);
    if (!drv_report_variant(d, oct_module_clone(c->b, d->cx), r, every, &g.variant[ALONE])) return false;
    mark_alone(&g, r);
    if (drv_engine_of(d) != DRV_ENGINE_INTERP) {
        if (!compiled(d, c, r, &by_engine)) return false;
        g.by_engine = &by_engine;
    }
    const int64_t chunk = oct_dataset_chunk(c->data_a->in, c->data_a->nin), runs = r->samples / chunk;
    const unsigned workers = oct_workers(d->cx, runs);
    if (!make_hands(d, &g, workers)) return false;
    g.sums = OCT_NEW_N(d->a, struct sums, ROUND * (int64_t)r->nlayers);
    g.shift = OCT_NEW_N(d->a, double, ROUND *g.nchannels);
    double *shift = OCT_NEW_N(d->a, double, g.nchannels);
    g.answer = first_outputs(c, r);
    if (g.answer >= 0) {
        drv_result_init(d, &c->a->output[0], r->samples, chunk, g.answer_a = &answer_a);
        drv_result_init(d, &c->b->output[0], r->samples, chunk, g.answer_b = &answer_b);
    }
    drv_progress_begin(&g.progress, d->verb->name, runs);
    for (g.first = 0; g.first < runs; g.first += ROUND) {
        const int64_t n = runs - g.first < ROUND ? runs - g.first : ROUND;
        oct_share(d->cx, n, run_one, &g);
        for (int64_t k = 0; k < n; k++) {
            for (int i = 0; i < r->nlayers; i++) add_run(&r->layer[i], &g.sums[k * r->nlayers + i]);
            for (int64_t i = 0; i < g.nchannels; i++) shift[i] += g.shift[k * g.nchannels + i];
        }
    }
    drv_progress_end(&g.progress);
    for (int i = 0; i < r->nlayers; i++) {
        r->layer[i].shift = energy_of_shift(&r->layer[i], shift + g.first_channel[i]);
        for (unsigned w = 0; w < workers && r->layer[i].bins; w++) add_bins(r->layer[i].bins, &g.hand[w].bins[i]);
    }
    for (unsigned w = workers; w-- > 0;) {
        for (int v = VARIANTS; v-- > 0;) oct_exec_free(g.hand[w].variant[v]);
        oct_exec_free(g.hand[w].b);
        oct_exec_free(g.hand[w].a);
    }
    if (g.answer >= 0) drv_report_answers(d, &answer_a, &answer_b, c->labels, &r->answers);
    return true;
}
