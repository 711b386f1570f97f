/* repair_layers.c - weights are rounded, and biases corrected, layer by layer, each on what the layers before it have become
 * (rules rounding and bias_correction; NUMERICS 7). It is one pass because either wants to see what the other did before.
 *
 * Requires insert_qdq, which left weights as quantize(@w) with their final scales where this pass is wanted, and data. Afterwards
 * they are constants. Rounding: codes that keep the layer's results near, by the second moments of what it reads (adaround.c,
 * gptq.c); the activations are codes, so the moments are exact sums. Correction: b -= E[W~ x~] - E[W x], where x is what the
 * float model would have there, quantize and dequantize left out
 * (its biases are the int32 ones, half a unit off at the most): then each result has the float mean over the data, channel by
 * channel. Where that correction follows, rounding need not care for means: moments are about them. The analytic correction,
 * b -= (W~ - W) E[x], takes E[x] from the closed form for clipped Gaussians (analytic.c) and looks at no layer's codes. */
#include <math.h>
#include <string.h>

#include "analytic.h"
#include "gram.h"

/* Words of QRULE(rounding) and QRULE(bias_correction), in order. */
enum { NEAREST, ADAROUND, GPTQ };
enum { UNCORRECTED, EMPIRICAL, ANALYTIC };
static const char *const rounding_name[] = {"nearest", "adaround", "gptq"};

bool oct_wants_repair(const struct oct_module *m) {
    for (uint32_t i = 0; i < m->nrules; i++)
        if ((m->rule[i].set >> OCT_Q_rounding & 1u && m->rule[i].q.rounding != NEAREST) ||
            (m->rule[i].set >> OCT_Q_bias_correction & 1u && m->rule[i].q.bias_correction != UNCORRECTED))
            return m->option[OCT_OPT_quantize] != OCT_QUANTIZE_OFF;
    return false;
}

/* The quantize of a linear op's float weights; NULL: they are not for this pass. */
static struct oct_node *open_weights(const struct oct_node *n) {
    struct oct_node *dq = oct_has_flag(n, OCT_LINEAR) ? oct_operand(n, 1) : NULL;
    struct oct_node *q = dq && dq->op == OCT_OP_dequantize ? oct_operand(dq, 0) : NULL;
    return q && q->op == OCT_OP_quantize && oct_const_floats(q->operand[0]) ? q : NULL;
}

struct layer {
    struct oct_pass_env *env;
    struct oct_module *m;
    struct oct_node *n;
    struct oct_qconfig rule;
    struct oct_weights w;
    struct oct_patches p;
    struct oct_patch_data x; /* codes; x.x is NULL where the op reads floats */
    double s_x;
    struct oct_patch_data real; /* what the float model has there */
    int32_t *code;              /* less the zero point of the weights */
    int32_t zero;
    float *scale;              /* of each weight */
    struct oct_arena *scratch; /* for this layer */
};

/* Where the codes come from that a layer reads: a dequantize. */
static const struct oct_node *source(const struct oct_node *n) {
    const struct oct_node *x = oct_operand(n, 0);
    while (oct_has_flag(x, OCT_SHARESQ)) x = oct_operand(x, 0);
    return x;
}

static void open_layer(struct layer *l, struct oct_node *q) {
    const struct oct_type *t = &q->type;
    const int64_t total = oct_type_elements(t, 1);
    l->w = (struct oct_weights){
        .op = l->n, .w = oct_const_floats(q->operand[0]), .outs = t->dim[0], .per = total / t->dim[0], .q = t->q};
    l->w.codes = (struct oct_reach){(int32_t)fmax(q->at.clip[0], (double)oct_dtype_min(t->dtype)),
                                    (int32_t)fmin(q->at.clip[1], (double)oct_dtype_max(t->dtype))};
    l->code = OCT_NEW_N(l->scratch, int32_t, total);
    l->scale = OCT_NEW_N(l->scratch, float, total);
    for (int64_t i = 0; i < total; i++) l->scale[i] = oct_scale(t->q, oct_weight_index(&l->w, i));
    l->zero = oct_zero(t->q, 0); /* only a whole tensor has one */
    oct_round_weights(l->env, &l->w, l->code);
    for (int64_t i = 0; i < total; i++) l->code[i] -= l->zero;
    oct_patches_of(l->n, &l->p);
    const struct oct_node *x = source(l->n);
    l->s_x = x->op == OCT_OP_dequantize ? (double)oct_operand(x, 0)->type.q->scale[0] : 0;
}

/* What the layer reads, for all samples: codes of 8 bits as such, whether or not ops that only move them stand in between. */
static void take_codes(struct layer *l, const struct oct_walk *walk) {
    const struct oct_node *x = oct_operand(l->n, 0), *codes = oct_operand(source(l->n), 0);
    const enum oct_dtype held = x->op == OCT_OP_dequantize ? codes->type.dtype : OCT_F32;
    const bool small = oct_dtype_size(codes->type.dtype) == 1;
    const void *data = oct_walk_data(walk, x);
    const int64_t total = oct_type_elements(&x->type, 1) * walk->runs;
    const int32_t zero = oct_zero(codes->type.q, 0);
    int16_t *code = small ? OCT_NEW_N(l->scratch, int16_t, total) : NULL;
    float *real = small || held == OCT_F32 ? NULL : OCT_NEW_N(l->scratch, float, total);
    for (int64_t i = 0; i < total && (code || real); i++) {
        const int32_t d = held == OCT_F32  ? (int32_t)rint((double)((const float *)data)[i] / l->s_x)
                          : held == OCT_I8 ? ((const int8_t *)data)[i] - zero
                                           : (int32_t)oct_load_int(held, data, i) - zero;
        if (code) code[i] = (int16_t)d;
        else real[i] = (float)(l->s_x * d);
    }
    l->x = (struct oct_patch_data){.p = &l->p, .runs = walk->runs, .code = code, .real = real ? real : small ? NULL : data};
}

/* ---- rounding ---------------------------------------------------------------------------------------------------------------
 */

struct rounding {
    struct layer *l;
    struct oct_rounding row; /* of output `first` */
    int64_t first;
    const struct oct_gptq *gptq; /* NULL: adaround */
    double *before, *after, *signal;
};

static void round_row(void *user, int64_t o) {
    const struct rounding *g = user;
    struct oct_rounding r = g->row;
    const int64_t at = g->first + o;
    r.w += at * r.k;
    r.scale += at * r.k;
    r.code += at * r.k;
    r.work += o * 3 * r.k;
    double signal = 0;
    for (int64_t i = 0; i < r.k; i++)
        for (int64_t j = 0; j < r.k; j++) signal += (double)r.w[i] * r.h[i * r.k + j] * (double)r.w[j];
    g->signal[at] = signal;
    g->before[at] = oct_rounding_error(&r);
    if (g->gptq) oct_gptq(g->gptq, &r);
    else oct_adaround(&r);
    g->after[at] = oct_rounding_error(&r);
}

static double sum(const double *x, int64_t n) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += x[i];
    return s;
}

/* Why the weights of a layer get the nearest codes though its rule says otherwise; NULL: they do not. */
static const char *refusal(const struct layer *l) {
    if (oct_safe_quads(&l->rule)) return "rule saturation chose the scales for the nearest codes";
    if (!l->x.code) return "its activations are no 8-bit codes";
    if (l->p.k > OCT_GRAM_MOST) return "its sums are too long: the matrix of second moments would not fit in memory";
    return NULL;
}

static void choose_codes(struct layer *l) {
    const int64_t total = l->w.outs * l->w.per, k = l->p.k, outs = l->w.outs / l->p.groups;
    if (l->rule.rounding == NEAREST) return;
    const char *name = rounding_name[l->rule.rounding], *no = refusal(l);
    if (no) {
        if (l->env->explain) oct_text_addf(l->env->explain, "%s: %s: weights take the nearest codes: %s\n", name, l->n->name, no);
        return;
    }
    const int64_t step = oct_gram_step(&l->p, l->x.runs);
    double *h = OCT_NEW_N(l->scratch, double, k *k), *mean = OCT_NEW_N(l->scratch, double, k);
    double *figure = OCT_NEW_N(l->scratch, double, 3 * l->w.outs);
    struct rounding g = {.l = l, .before = figure, .after = figure + l->w.outs, .signal = figure + 2 * l->w.outs};
    g.row = (struct oct_rounding){.k = k,
                                  .h = h,
                                  .w = l->w.w,
                                  .scale = l->scale,
                                  .codes = {l->w.codes.lo - l->zero, l->w.codes.hi - l->zero},
                                  .code = l->code,
                                  .work = OCT_NEW_N(l->scratch, double, 3 * k * outs)};
    int32_t *nearest = OCT_NEW_N(l->scratch, int32_t, total);
    memcpy(nearest, l->code, (size_t)total * sizeof *nearest);
    for (int64_t group = 0; group < l->p.groups; group++) {
        struct oct_arena *a = oct_arena_new(l->env->cx);
        struct oct_gptq f;
        oct_gram(l->env->cx, a, &l->x, group, step, h, mean);
        if (l->rule.bias_correction == EMPIRICAL)
            for (int64_t i = 0; i < k * k; i++) h[i] -= mean[i / k] * mean[i % k];
        if (l->rule.rounding == GPTQ) oct_gptq_factor(a, k, h, &f), g.gptq = &f;
        g.first = group * outs;
        oct_parallel(l->env->cx, outs, round_row, &g);
        oct_arena_free(a);
    }
    if (!l->env->explain) return;
    const double before = sum(g.before, l->w.outs), after = sum(g.after, l->w.outs), signal = sum(g.signal, l->w.outs);
    int64_t moved = 0;
    for (int64_t i = 0; i < total; i++) moved += nearest[i] != l->code[i];
    oct_text_addf(l->env->explain,
                  "%s: %s: results of its rounded weights: %.1f dB, were %.1f; %lld of %lld codes are not the nearest\n", name,
                  l->n->name, 10 * log10(signal / after), 10 * log10(signal / before), (long long)moved, (long long)total);
}

/* ---- correction -------------------------------------------------------------------------------------------------------------
 */

/* Mean of W x for each output, or, by codes, of W~ x, from sums of patches of x in a unit. */
static void mean_results(const struct layer *l, const double *sums, double patches, bool codes, double unit, double *y) {
    for (int64_t o = 0; o < l->w.outs; o++) {
        const double *x = sums + o / (l->w.outs / l->p.groups) * l->p.k;
        double s = 0;
        for (int64_t k = 0; k < l->p.k; k++) {
            const int64_t i = o * l->p.k + k;
            s += x[k] * (codes ? (double)l->scale[i] * l->code[i] : (double)l->w.w[i]);
        }
        y[o] = s / patches * unit;
    }
}

/* The bias less d[o]: an i32 constant behind a dequantize, or floats. */
static void change_bias(struct layer *l, const double *d) {
    struct oct_module *m = l->m;
    struct oct_node *b = oct_operand(l->n, 2), *c = b->op == OCT_OP_dequantize ? oct_operand(b, 0) : b;
    void *data = oct_alloc_n(m->arena, (size_t)l->w.outs, oct_dtype_size(c->type.dtype));
    for (int64_t o = 0; o < l->w.outs; o++) {
        if (c->type.dtype == OCT_F32) ((float *)data)[o] = (float)((double)((const float *)c->data)[o] - d[o]);
        else {
            const double code =
                (double)oct_load_int(c->type.dtype, c->data, o) - rint(d[o] / (double)oct_scale(c->type.q, (uint32_t)o));
            const double lo = (double)oct_dtype_min(c->type.dtype) + 1, hi = (double)oct_dtype_max(c->type.dtype);
            oct_store_int(c->type.dtype, data, o, (int64_t)fmin(fmax(code, lo), hi));
        }
    }
    m->cursor = l->n;
    struct oct_node *by = oct_new_const(m, c->name, "corrected", &c->type, data, c->span);
    l->n->operand[2] = b == c ? by : oct_make(m, OCT_OP_dequantize, b->name, &by, 1, NULL, NULL, b->span);
}

/* Why a layer's bias stays as it is; NULL: it need not. */
static const char *uncorrectable(const struct layer *l) {
    const struct oct_node *b = oct_operand(l->n, 2), *c = b && b->op == OCT_OP_dequantize ? oct_operand(b, 0) : b;
    if (l->s_x == 0) return "it does not read codes with one scale";
    return oct_is_const(c) ? NULL : b ? "its bias is no constant" : "it has no bias";
}

/* analytic: NULL where the means are those of the data. */
static void correct_bias(struct layer *l, const struct oct_analytic *analytic) {
    const char *no = uncorrectable(l);
    if (!no && analytic) {
        l->real =
            (struct oct_patch_data){.p = &l->p, .runs = 1, .real = oct_analytic_read(analytic, l->scratch, l->n->name, &no)};
        if (l->real.real) no = NULL;
    }
    if (no) {
        if (l->env->explain) oct_text_addf(l->env->explain, "bias: %s: not corrected: %s\n", l->n->name, no);
        return;
    }
    const int64_t elements = l->p.groups * l->p.k, outs = l->w.outs;
    double *sums = OCT_NEW_N(l->scratch, double, elements), *is = OCT_NEW_N(l->scratch, double, outs),
           *was = OCT_NEW_N(l->scratch, double, outs);
    const struct oct_patch_data *x = analytic ? &l->real : &l->x;
    oct_patch_sums(l->env->cx, x, sums);
    mean_results(l, sums, (double)(l->p.rows * x->runs), true, x->code ? l->s_x : 1, is);
    if (!analytic) oct_patch_sums(l->env->cx, &l->real, sums);
    mean_results(l, sums, (double)(l->p.rows * l->real.runs), false, 1, was);
    double off = 0, scale = 0;
    for (int64_t o = 0; o < outs; o++) {
        is[o] -= was[o];
        off += is[o] * is[o] / (double)outs;
        scale += was[o] * was[o] / (double)outs;
    }
    change_bias(l, is);
    if (l->env->explain)
        oct_text_addf(l->env->explain,
                      "bias: %s: means of its results were off by %.3g (rms over %lld channels; they are %.3g)%s\n", l->n->name,
                      sqrt(off), (long long)outs, sqrt(scale), analytic ? ", for Gaussians" : "");
}

/* ---- the walk ---------------------------------------------------------------------------------------------------------------
 */

/* The float model: quantize and dequantize pairs are left out. */
static struct oct_module *float_copy(struct oct_pass_env *env, const struct oct_module *m) {
    struct oct_module *f = oct_module_clone(m, env->cx);
    OCT_FOR_NODES(f, n) {
        oct_resolve_operands(n);
        if (n->op == OCT_OP_dequantize && n->operand[0]->op == OCT_OP_quantize) oct_replace(f, n, n->operand[0]->operand[0]);
    }
    oct_sweep(f);
    return f;
}

static void close_weights(struct layer *l, const struct oct_node *q) {
    const int64_t total = l->w.outs * l->w.per;
    void *data = oct_alloc_n(l->m->arena, (size_t)total, oct_dtype_size(q->type.dtype));
    for (int64_t i = 0; i < total; i++) oct_store_int(q->type.dtype, data, i, l->code[i] + l->zero);
    l->m->cursor = l->n;
    struct oct_node *c = oct_new_const(l->m, q->operand[0]->name, "q", &q->type, data, q->span), *old = oct_operand(l->n, 1);
    l->n->operand[1] = oct_make(l->m, OCT_OP_dequantize, old->name, &c, 1, NULL, NULL, old->span);
    l->env->changes++;
}

static bool repair(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, struct oct_walk *walk,
                   struct oct_walk *real, const struct oct_analytic *analytic) {
    struct layer l = {.env = env, .m = m, .n = n, .rule = oct_qconfig_for(m, n), .scratch = oct_arena_new(env->cx)};
    struct oct_node *q = open_weights(n);
    open_layer(&l, q);
    const bool corrects = l.rule.bias_correction == EMPIRICAL;
    bool ok = true;
    if (l.s_x > 0 && (l.rule.rounding != NEAREST || corrects)) {
        ok = oct_walk_to(walk, n);
        if (ok) take_codes(&l, walk);
    }
    if (ok && l.s_x > 0 && corrects) {
        const struct oct_node *f = oct_find_value(real->m, n->name);
        ok = oct_walk_to(real, (struct oct_node *)f);
        if (ok) l.real = (struct oct_patch_data){.p = &l.p, .runs = real->runs, .real = oct_walk_data(real, f->operand[0])};
    }
    if (ok) {
        choose_codes(&l);
        if (l.rule.bias_correction != UNCORRECTED) correct_bias(&l, corrects ? NULL : analytic);
        close_weights(&l, q);
    }
    oct_arena_free(l.scratch);
    return ok;
}

enum { MOST_BYTES = 1 << 29 }; /* of the values that are kept for all samples */

bool oct_pass_repair_layers(struct oct_pass_env *env, struct oct_module *m) {
    if (!oct_wants_repair(m)) return true;
    uint32_t open = 0, by_form = 0;
    OCT_FOR_NODES(m, n) {
        if (!open_weights(n)) continue;
        open++;
        by_form += oct_qconfig_for(m, n).bias_correction == ANALYTIC;
    }
    if (!open) return true;
    if (!env->data) {
        oct_error(env->cx, m->first->span, OCT_E5103, "repair_layers: rules rounding and bias_correction need calibration data");
        oct_help(env->cx, "give them: --data CAL.npy; statistics alone do not serve");
        return false;
    }
    struct oct_module *f = float_copy(env, m);
    struct oct_walk walk, real;
    const int64_t bytes = oct_walk_plan(&walk, env, m) + oct_walk_plan(&real, env, f), all = walk.runs;
    if (bytes > 0 && walk.runs > MOST_BYTES / bytes) walk.runs = real.runs = MOST_BYTES / bytes > 0 ? MOST_BYTES / bytes : 1;
    if (env->explain && walk.runs < all)
        oct_text_addf(env->explain, "repair_layers: %lld of %lld samples are used: %lld KB each at a time\n",
                      (long long)walk.runs, (long long)all, (long long)(bytes >> 10));
    struct oct_analytic analytic = {.m = NULL};
    bool ok = !by_form || oct_analytic_begin(&analytic, env, f);
    for (struct oct_node *n = m->first; n && ok; n = n->next)
        if (open_weights(n)) ok = repair(env, m, n, &walk, &real, &analytic);
    oct_analytic_end(&analytic);
    oct_walk_end(&walk);
    oct_walk_end(&real);
    oct_module_free(f);
    oct_sweep(m);
    return ok;
}
