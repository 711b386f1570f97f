/* quantize_weights.c - a linear op's weights become i8 constants, its bias an i32 one, each read through dequantize (NUMERICS 3).
 *
 * Scales s_w[c] follow from the weights of output channel c (or of the whole tensor). The bias is held in units of s_x s_w[c];
 * where |b / (s_x s_w[c])| would exceed 2^30, s_w[c] is raised to |b| / (2^30 s_x), which costs weight precision only where the
 * weights do not matter beside the bias. A channel without weights takes that scale too. Every scale stays a normal fp32 number,
 * and so does every product s_x s_w[c]. */
#include <float.h>

#include "rewrite.h"

/* Words of QRULE(weight), QRULE(weight_observer), QRULE(granularity), in order. */
enum { WEIGHT_I8, WEIGHT_FLOAT };
enum { OBSERVER_MINMAX, OBSERVER_MSE };
enum { PER_CHANNEL, PER_TENSOR };

static const enum oct_scheme weight_scheme[] = {OCT_scheme_sym, OCT_scheme_full, OCT_scheme_pot};

struct oct_reach oct_weight_codes(const struct oct_qconfig *rule) {
    const int32_t most = (int32_t)oct_dtype_max(OCT_I8);
    return (struct oct_reach){weight_scheme[rule->weight_scheme] == OCT_scheme_full ? -most - 1 : -most, most};
}

/* One output channel's least scale: the bias must fit, and products of scales must stay normal. */
static float least_scale(float bias, float s_x) {
    const double fit = fabs((double)bias) / (0x1p30 * (double)s_x), normal = 2 * (double)FLT_MIN / fmin((double)s_x, 1);
    return (float)fmin(fmax(fit, normal), (double)FLT_MAX);
}

static float next_power_of_two(float s) { return exp2f(ceilf(log2f(s))); }

static float channel_scale(const float *w, int64_t n, const struct oct_qconfig *rule, float least, bool biased) {
    const enum oct_scheme scheme = weight_scheme[rule->weight_scheme];
    const int32_t most = oct_weight_codes(rule).hi;
    float s = oct_weight_scale(w, n, 1, scheme, rule->weight_observer == OBSERVER_MSE, -most - 1, most);
    if (s == 0 && !biased) return 1;
    if (s >= least) return s;
    return scheme == OCT_scheme_pot ? next_power_of_two(least) : least;
}

static struct oct_node *dequantized(struct oct_module *m, const struct oct_node *from, const struct oct_type *t,
                                    const void *data) {
    struct oct_node *c = oct_new_const(m, from->name, "q", t, data, from->span);
    return oct_make(m, OCT_OP_dequantize, oct_suffixed(m, from->name, "dq"), &c, 1, NULL, NULL, from->span);
}

int32_t oct_weight_code(float w, float scale, struct oct_reach codes) {
    return oct_quantize1(w, scale, 0, codes.lo, codes.hi, OCT_divide_div, OCT_order_before);
}

uint32_t oct_weight_index(const struct oct_weights *w, int64_t i) {
    return w->q->axis < 0 ? 0 : (uint32_t)(i * w->q->n / (w->outs * w->per));
}

/* The codes that env->round chooses, else the nearest ones. */
static void round_weights(struct oct_pass_env *env, const struct oct_weights *w, int32_t *code) {
    if (env->round && env->round(env->round_user, w, code)) return;
    const int64_t total = w->outs * w->per;
    for (int64_t i = 0; i < total; i++) code[i] = oct_weight_code(w->w[i], w->q->scale[oct_weight_index(w, i)], w->codes);
}

static struct oct_node *quantized_weight(struct oct_pass_env *env, struct oct_module *m, const struct oct_weights *w) {
    const struct oct_node *wn = w->op->operand[1];
    const int64_t total = w->outs * w->per;
    int32_t *code = OCT_NEW_N(env->scratch, int32_t, total);
    round_weights(env, w, code);
    struct oct_type t = wn->type;
    t.dtype = OCT_I8;
    t.q = w->q;
    void *data = oct_alloc_n(m->arena, (size_t)total, oct_dtype_size(t.dtype));
    for (int64_t i = 0; i < total; i++) oct_store_int(t.dtype, data, i, code[i]);
    return dequantized(m, wn, &t, data);
}

int32_t oct_bias_code(float b, float s_x, float s_w) {
    const double code = rint((double)b / ((double)s_x * (double)s_w)), limit = INT32_MAX;
    return isnan(code) ? 0 : (int32_t)fmin(fmax(code, -limit), limit);
}

static struct oct_node *quantized_bias(struct oct_module *m, const struct oct_node *bn, float s_x, const struct oct_quant *w) {
    const float *b = oct_const_floats(bn);
    const uint32_t n = (uint32_t)bn->type.dim[0];
    int32_t *code = OCT_NEW_N(m->arena, int32_t, n);
    float *scale = OCT_NEW_N(m->arena, float, n);
    for (uint32_t c = 0; c < n; c++) {
        scale[c] = s_x * oct_scale(w, c);
        code[c] = oct_bias_code(b[c], s_x, oct_scale(w, c));
    }
    struct oct_type t = bn->type;
    t.dtype = OCT_I32;
    t.q = w->axis < 0 ? oct_quant_tensor(m->arena, scale[0], 0) : oct_quant_channel(m->arena, 0, n, scale, NULL);
    return dequantized(m, bn, &t, code);
}

/* Rule saturation: scales rise until no 16-bit sum of the kernels can saturate. */
static void raise_to_safe(struct oct_pass_env *env, const struct oct_node *n, const struct oct_qconfig *rule,
                          const struct oct_input *in, uint32_t scales, float *scale) {
    const struct oct_node *wn = n->operand[1];
    const int64_t outs = wn->type.dim[0], per = oct_type_elements(&wn->type, 1) / outs;
    const enum oct_scheme scheme = weight_scheme[rule->weight_scheme];
    struct oct_safe safe;
    if (!oct_safe_begin(&safe, env->scratch, n, rule, in->range, in->dead)) return;
    safe.codes = oct_weight_codes(rule);
    for (uint32_t c = 0; c < scales; c++) {
        const float before = scale[c];
        for (int64_t o = c * outs / scales; o < (c + 1) * outs / scales; o++)
            scale[c] = oct_safe_scale(&safe, oct_const_floats(wn) + o * per, scale[c], scheme == OCT_scheme_pot);
        oct_safe_note(&safe, before, scale[c]);
    }
    in->loss->bits += safe.loss.bits;
    in->loss->channels += safe.loss.channels;
    in->loss->raised += safe.loss.raised;
    in->loss->most = fmax(in->loss->most, safe.loss.most);
    if (env->explain)
        oct_text_addf(env->explain,
                      "saturation: %s: activations 0..%d, %d products to a sum of 16 bits: %u of %u scales rise, by %.3f bits on "
                      "average, %.3f at most\n",
                      n->name, (int)in->range, 2 * safe.quads, safe.loss.raised, safe.loss.channels,
                      safe.loss.bits / safe.loss.channels, safe.loss.most);
}

unsigned oct_quantize_weights(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, const struct oct_input *in) {
    const float s_x = in->scale;
    struct oct_node *wn = n->operand[1], *bn = oct_operand(n, 2);
    const struct oct_qconfig rule = oct_qconfig_for(m, n);
    const float *w = oct_const_floats(wn), *b = oct_const_floats(bn);
    if (!w) return 0; /* placed by hand, or computed: elim_qdq says what it thinks of it */
    if (rule.weight == WEIGHT_FLOAT) {
        oct_set_why(m, n, "float: a rule keeps its weights float (weight=float)");
        return 0;
    }
    const int64_t outs = wn->type.dim[0], total = oct_type_elements(&wn->type, 1);
    if (!outs || !total) return 0;
    const uint32_t scales = rule.granularity == PER_CHANNEL ? (uint32_t)outs : 1;
    const int64_t per = total / scales;
    float *scale = OCT_NEW_N(m->arena, float, scales);
    for (uint32_t c = 0; c < scales; c++) {
        float largest = 0; /* of the biases that share the scale */
        for (int64_t o = c * outs / scales; b && o < (c + 1) * outs / scales; o++) largest = fmaxf(largest, fabsf(b[o]));
        scale[c] = channel_scale(w + c * per, per, &rule, least_scale(largest, s_x), largest > 0);
    }
    raise_to_safe(env, n, &rule, in, scales, scale);
    const struct oct_quant *q = scales == 1 && rule.granularity == PER_TENSOR
                                    ? oct_quant_tensor(m->arena, scale[0], 0)
                                    : oct_quant_channel(m->arena, 0, scales, scale, NULL);
    const struct oct_weights weights = {
        .op = n, .w = w, .outs = outs, .per = total / outs, .q = q, .codes = oct_weight_codes(&rule)};
    m->cursor = n;
    n->operand[1] = quantized_weight(env, m, &weights);
    if (b) n->operand[2] = quantized_bias(m, bn, s_x, q);
    return b ? 2 : 1;
}
