/* quantize_weights.c - a linear op's weights become i8 constants, its bias an i32 one, each read through dequantize (NUMERICS 3).
 *
 * Scales s_w[c] follow from the weights of output channel c (of a run of channels, or of the whole tensor). The bias is held in
 * units of s_x s_w[c]; where |b / (s_x s_w[c])| would exceed 2^30, s_w[c] is raised to |b| / (2^30 s_x), which costs weight
 * precision only where the weights do not matter beside the bias. A channel without weights takes that scale too. Every scale
 * stays a normal fp32 number, and so does every product s_x s_w[c]. */
#include <float.h>

#include "links.h"

/* Words of QRULE(weight), QRULE(weight_observer), QRULE(granularity), in order. */
enum { WEIGHT_I8, WEIGHT_FLOAT, WEIGHT_U8 };
static const enum oct_scheme weight_scheme[] = {OCT_scheme_sym, OCT_scheme_full, OCT_scheme_pot, OCT_scheme_asym};
enum { RANGE_FULL, RANGE_NARROW };
enum { OBSERVER_MINMAX, OBSERVER_MSE };
enum { PER_CHANNEL, PER_TENSOR, PER_GROUP };

/* All codes of the width; parameters follow from these. */
static struct oct_reach whole_codes(const struct oct_qconfig *rule) {
    struct oct_reach r = oct_codes_of_bits((int)rule->weight_bits, rule->weight != WEIGHT_U8);
    if (weight_scheme[rule->weight_scheme] == OCT_scheme_asym && rule->weight_range == RANGE_NARROW) r.lo++;
    return r;
}

/* Those that weights take: the restricted symmetric schemes leave out the least, so that zero is the middle. */
struct oct_reach oct_weight_codes(const struct oct_qconfig *rule) {
    const enum oct_scheme scheme = weight_scheme[rule->weight_scheme];
    struct oct_reach r = whole_codes(rule);
    if (scheme == OCT_scheme_sym || scheme == OCT_scheme_pot) r.lo++;
    return r;
}

static enum oct_dtype type_of(const struct oct_qconfig *rule) {
    const bool nibble = rule->weight_bits <= 4;
    if (rule->weight == WEIGHT_U8) return nibble ? OCT_U4 : OCT_U8;
    return nibble ? OCT_I4 : OCT_I8;
}

/* One scale for all weights? Integer products take one zero point, or none. */
static bool per_tensor(const struct oct_qconfig *rule) {
    return rule->granularity == PER_TENSOR || rule->weight == WEIGHT_U8 || weight_scheme[rule->weight_scheme] == OCT_scheme_asym;
}

int64_t oct_weight_run(const struct oct_qconfig *rule, int64_t outs) {
    const int64_t run = per_tensor(rule) ? outs : rule->granularity == PER_GROUP ? (int64_t)rule->group_size : 1;
    return run < outs ? run : outs;
}

/* One output channel's least scale: the bias must fit, and products of scales must stay normal. */
static float least_scale(float bias, float s_x) {
    const double fit = fabs((double)bias) / (0x1p30 * (double)s_x), normal = 2 * (double)FLT_MIN / fmin((double)s_x, 1);
    return (float)fmin(fmax(fit, normal), (double)FLT_MAX);
}

static float next_power_of_two(float s) { return exp2f(ceilf(log2f(s))); }

/* The range that the observer chooses from the weights themselves, where it is another than minmax and mse, which know how to
 * give a scale. False: all weights count. */
static bool observed_range(const struct oct_qconfig *rule, const float *w, int64_t n, struct oct_reach codes, float range[2]) {
    if (rule->weight_observer <= OBSERVER_MSE || !rule->cx) return false;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i])) return false;
    struct oct_arena *a = oct_arena_new(rule->cx);
    struct oct_observed o = {
        .w = w, .n = n, .scheme = weight_scheme[rule->weight_scheme], .qmin = codes.lo, .qmax = codes.hi, .scratch = a};
    const char *name = oct_word_at(a, oct_qrule_info(OCT_Q_weight_observer)->words, rule->weight_observer);
    o.observer = oct_observer_for(rule->cx, (struct oct_span){0, 0, 0}, name, rule->weight_param, &o.param);
    const bool chosen = n > 0 && o.observer && o.observer->range(&o, range) && range[1] > range[0];
    oct_arena_free(a);
    return chosen;
}

float oct_weight_scale_of(const struct oct_qconfig *rule, const float *w, int64_t n) {
    const struct oct_reach r = whole_codes(rule);
    float range[2];
    if (observed_range(rule, w, n, r, range))
        return oct_weight_scale(range, 2, 1, weight_scheme[rule->weight_scheme], false, r.lo, r.hi);
    return oct_weight_scale(w, n, 1, weight_scheme[rule->weight_scheme], rule->weight_observer == OBSERVER_MSE, r.lo, r.hi);
}

int32_t oct_weight_zero_of(const struct oct_qconfig *rule, const float *w, int64_t n, float scale) {
    const struct oct_reach r = whole_codes(rule);
    float range[2];
    if (observed_range(rule, w, n, r, range)) w = range, n = 2;
    return oct_weight_zero(w, n, weight_scheme[rule->weight_scheme], scale, r.lo, r.hi);
}

static float channel_scale(const float *w, int64_t n, const struct oct_qconfig *rule, float least, bool biased) {
    const float s = oct_weight_scale_of(rule, w, n);
    if (s == 0 && !biased) return 1;
    if (s >= least) return s;
    return weight_scheme[rule->weight_scheme] == OCT_scheme_pot ? next_power_of_two(least) : least;
}

static struct oct_node *dequantized(struct oct_module *m, const struct oct_node *from, struct oct_node *c) {
    return oct_make(m, OCT_OP_dequantize, oct_suffixed(m, from->name, "dq"), &c, 1, NULL, NULL, from->span);
}

int32_t oct_weight_code(float w, float scale, int32_t zero, struct oct_reach codes) {
    return oct_quantize1(w, scale, zero, codes.lo, codes.hi, OCT_divide_div, OCT_order_before);
}

uint32_t oct_weight_index(const struct oct_weights *w, int64_t i) {
    return w->q->axis < 0 ? 0 : (uint32_t)(i * w->q->n / (w->outs * w->per));
}

/* The codes that env->round chooses, else the nearest ones. */
void oct_round_weights(struct oct_pass_env *env, const struct oct_weights *w, int32_t *code) {
    if (env->round && oct_has_flag(w->op, OCT_LINEAR) && env->round(env->round_user, w, code)) return;
    const int64_t total = w->outs * w->per;
    for (int64_t i = 0; i < total; i++) {
        const uint32_t k = oct_weight_index(w, i);
        code[i] = oct_weight_code(w->w[i], oct_scale(w->q, k), oct_zero(w->q, k), w->codes);
    }
}

/* Codes are for repair_layers to choose: quantize(@w), clipped to the codes that there are. */
static struct oct_node *left_open(struct oct_module *m, const struct oct_weights *w, struct oct_node *wn, enum oct_dtype dtype) {
    struct oct_type t = wn->type;
    struct oct_attrs at;
    t.dtype = dtype;
    t.q = w->q;
    oct_attrs_init(&at);
    OCT_MARK(at, clip), at.clip[0] = (float)w->codes.lo, at.clip[1] = (float)w->codes.hi;
    return oct_make(m, OCT_OP_quantize, oct_suffixed(m, wn->name, "q"), &wn, 1, &at, &t, wn->span);
}

static struct oct_node *coded(struct oct_pass_env *env, struct oct_module *m, const struct oct_weights *w,
                              const struct oct_node *wn, enum oct_dtype dtype) {
    const int64_t total = w->outs * w->per;
    int32_t *code = OCT_NEW_N(env->scratch, int32_t, total);
    oct_round_weights(env, w, code);
    struct oct_type t = wn->type;
    t.dtype = dtype;
    t.q = w->q;
    void *data = oct_alloc_n(m->arena, (size_t)total, oct_dtype_size(t.dtype));
    for (int64_t i = 0; i < total; i++) oct_store_int(t.dtype, data, i, code[i]);
    return oct_new_const(m, wn->name, "q", &t, data, wn->span);
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
    return dequantized(m, bn, oct_new_const(m, bn->name, "q", &t, code, bn->span));
}

/* Rule saturation: scales rise until no 16-bit sum of the kernels can saturate. scale[k]: of output channels [k run, (k+1) run).
 */
static void raise_to_safe(struct oct_pass_env *env, const struct oct_node *n, const struct oct_qconfig *rule,
                          const struct oct_input *in, int64_t run, float *scale) {
    const struct oct_node *wn = n->operand[1];
    const int64_t outs = wn->type.dim[0], per = oct_type_elements(&wn->type, 1) / outs;
    const enum oct_scheme scheme = weight_scheme[rule->weight_scheme];
    struct oct_safe safe;
    if (type_of(rule) == OCT_U8 || type_of(rule) == OCT_U4 || scheme == OCT_scheme_asym) return; /* less a zero point: no bytes */
    if (!oct_safe_begin(&safe, env->scratch, n, rule, in->range, in->dead)) return;
    safe.codes = oct_weight_codes(rule);
    for (int64_t first = 0; first < outs; first += run) {
        float *s = &scale[first / run];
        const float before = *s;
        for (int64_t o = first; o < first + run && o < outs; o++)
            *s = oct_safe_scale(&safe, oct_const_floats(wn) + o * per, *s, scheme == OCT_scheme_pot);
        oct_safe_note(&safe, before, *s);
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

/* Parameters of all weights: one scale for each run of output channels. Channels that share one have it each. b: the bias that
 * they have to leave room for, or NULL. */
static const struct oct_quant *choose(struct oct_pass_env *env, struct oct_module *m, const struct oct_node *n,
                                      const struct oct_node *wn, const float *b, const struct oct_qconfig *rule,
                                      const struct oct_input *in) {
    const float *w = oct_const_floats(wn);
    const int64_t outs = wn->type.dim[0], per = oct_type_elements(&wn->type, 1) / outs;
    const int64_t run = oct_weight_run(rule, outs);
    float *scale = OCT_NEW_N(env->scratch, float, outs);
    for (int64_t first = 0; first < outs; first += run) {
        const int64_t end = first + run < outs ? first + run : outs;
        float largest = 0; /* of the biases that share the scale */
        for (int64_t o = first; b && o < end; o++) largest = fmaxf(largest, fabsf(b[o]));
        scale[first / run] =
            channel_scale(w + first * per, (end - first) * per, rule, least_scale(largest, in->scale), largest > 0);
    }
    if (in->loss) raise_to_safe(env, n, rule, in, run, scale);
    if (per_tensor(rule)) return oct_quant_tensor(m->arena, scale[0], oct_weight_zero_of(rule, w, outs * per, scale[0]));
    for (int64_t o = outs - 1; o >= 0; o--) scale[o] = scale[o / run];
    return oct_quant_channel(m->arena, 0, (uint32_t)outs, scale, NULL);
}

/* Rule bias=none: the op computes without it. */
static void leave_out_bias(struct oct_pass_env *env, struct oct_node *n) {
    const struct oct_node *bn = oct_operand(n, 2);
    const float *b = oct_const_floats(bn);
    float largest = 0;
    if (!b) return;
    for (int64_t i = 0; i < oct_type_elements(&bn->type, 1); i++) largest = fmaxf(largest, fabsf(b[i]));
    n->noperands = 2;
    if (env->explain)
        oct_text_addf(env->explain,
                      "bias: %s: left out by a rule (bias=none), though the model has it; its largest magnitude was %g\n",
                      n->name, (double)largest);
}

/* What a correction is added to. */
static void add_zero_bias(struct oct_module *m, struct oct_node *n) {
    struct oct_layer l;
    if (!oct_operand(n, 2) && oct_layer_of(n, &l)) oct_layer_rewrite(m, &l, "", NULL, OCT_NEW_N(m->arena, float, l.outs));
}

unsigned oct_quantize_weights(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, const struct oct_input *in) {
    const struct oct_qconfig rule = oct_qconfig_for(m, n);
    if (rule.bias == OCT_BIAS_NONE) leave_out_bias(env, n);
    else if (rule.bias_correction && rule.weight != WEIGHT_FLOAT) add_zero_bias(m, n);
    struct oct_node *wn = n->operand[1], *bn = oct_operand(n, 2);
    const float *w = oct_const_floats(wn), *b = oct_const_floats(bn);
    if (!w) return 0; /* placed by hand, or computed: elim_qdq says what it thinks of it */
    if (rule.weight == WEIGHT_FLOAT) {
        oct_set_why(m, n, "float: a rule keeps its weights float (weight=float)");
        return 0;
    }
    const int64_t outs = wn->type.dim[0], total = oct_type_elements(&wn->type, 1);
    if (!outs || !total) return 0;
    const struct oct_weights weights = {.op = n,
                                        .w = w,
                                        .outs = outs,
                                        .per = total / outs,
                                        .q = choose(env, m, n, wn, b, &rule, in),
                                        .codes = oct_weight_codes(&rule)};
    m->cursor = n;
    const enum oct_dtype dtype = type_of(&rule);
    n->operand[1] =
        dequantized(m, wn, oct_wants_repair(m) ? left_open(m, &weights, wn, dtype) : coded(env, m, &weights, wn, dtype));
    if (!b || rule.bias == OCT_BIAS_FLOAT) return 1; /* elim_qdq leaves the op in float then */
    n->operand[2] = quantized_bias(m, bn, in->scale, weights.q);
    return 2;
}

struct oct_node *oct_codes_by_rule(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, int i) {
    const struct oct_node *wn = oct_operand(n, i);
    const struct oct_qconfig rule = oct_qconfig_for(m, n);
    const float *w = oct_const_floats(wn);
    const int64_t outs = w && wn->type.rank ? wn->type.dim[0] : 0, total = w ? oct_type_elements(&wn->type, 1) : 0;
    const struct oct_input any = {.scale = 1}; /* products are scaled in fp32: no bias in units of theirs, no sums of 16 bits */
    if (!outs || !total) return NULL;
    if (rule.weight == WEIGHT_FLOAT) {
        oct_set_why(m, n, "float: a rule keeps its weights float (weight=float)");
        return NULL;
    }
    const struct oct_weights weights = {.op = n,
                                        .w = w,
                                        .outs = outs,
                                        .per = total / outs,
                                        .q = choose(env, m, n, wn, NULL, &rule, &any),
                                        .codes = oct_weight_codes(&rule)};
    m->cursor = n;
    return coded(env, m, &weights, wn, type_of(&rule));
}
