/* insert_qdq.c - each observe becomes quantize and dequantize with frozen parameters; weights, biases and other constants that
 * meet quantized values become integer constants read through dequantize. Reads ranges and rules only, no data.
 *
 * Requires calibrate. Afterwards no observe is left, and the model is still a float graph that computes what its quantized form
 * will (fake quantization), so it can be run and compared as it is. Quantize and dequantize placed by hand stay as they are: a
 * value that was dequantized is not quantized again. */
#include "rewrite.h"

/* Ops whose results have the same range whatever the data: [0, 255/256] gives scale 1/256 and all codes (NUMERICS 5). */
static void range_of(const struct oct_node *o, float *lo, float *hi) {
    const struct oct_node *x = oct_operand(o, 0);
    *lo = o->at.range[0];
    *hi = o->at.range[1];
    const bool fixed = x->op == OCT_OP_softmax || x->op == OCT_OP_sigmoid || x->op == OCT_OP_hardsigmoid;
    if (fixed && o->at.scheme == OCT_scheme_asym && (o->at.to == OCT_I8 || o->at.to == OCT_U8)) *lo = 0, *hi = 255.0f / 256;
}

static const struct oct_quant *choose(struct oct_module *m, float lo, float hi, enum oct_scheme s, struct oct_reach codes) {
    float scale;
    int32_t zero;
    oct_choose_qparams(lo, hi, s, codes.lo, codes.hi, &scale, &zero);
    return oct_quant_tensor(m->arena, scale, zero);
}

/* The type whose scale a value has, when it comes from codes: elim_qdq brings the dequantize down to its reader. */
static const struct oct_type *codes_of(struct oct_node *x) {
    const struct oct_node *from = oct_origin(x);
    return from->op == OCT_OP_dequantize ? &from->operand[0]->type : NULL;
}

enum { MOST_MOVES = 64 }; /* looked through */

/* Codes that a dequantized value can have; padding is the zero point. */
static struct oct_reach reach_of(struct oct_node *x) {
    const struct oct_node *codes = oct_origin(x)->operand[0];
    const struct oct_reach all = {(int32_t)oct_dtype_min(codes->type.dtype), (int32_t)oct_dtype_max(codes->type.dtype)};
    struct oct_reach r = oct_reach_of(codes);
    const int32_t z = oct_zero(codes->type.q, 0);
    int moves = 0;
    for (x = oct_resolve(x); oct_has_flag(x, OCT_SHARESQ); x = oct_operand(x, 0))
        if (++moves > MOST_MOVES || (x->op == OCT_OP_pad && x->at.value != 0)) return all;
    return (struct oct_reach){r.lo < z ? r.lo : z, r.hi > z ? r.hi : z};
}

/* Of node->mark: an observe or quantize reads it; and its weights were quantized here. */
enum { READ = 1, WEIGHED };

/* A linear op whose weights are codes now, and whose result gets type y with such codes. */
static void nudge(struct oct_pass_env *env, struct oct_module *m, const struct oct_node *n, const struct oct_type *y,
                  struct oct_reach codes, struct oct_nudges *sum) {
    const struct oct_type *x = codes_of(n->operand[0]);
    const struct oct_node *bias = oct_operand(n, 2);
    const struct oct_reach r = reach_of(n->operand[0]);
    const int32_t zx = oct_zero(x->q, 0), zy = oct_zero(y->q, 0);
    const struct oct_nudged op = {
        .weight = oct_operand(n, 1)->operand[0],
        .bias = bias ? bias->operand[0] : NULL,
        .x = x,
        .y = y,
        .x_lo = r.lo - zx,
        .x_hi = r.hi - zx,
        .qmin = oct_quantize1(n->at.clip[0], y->q->scale[0], zy, codes.lo, codes.hi, OCT_divide_div, OCT_order_before),
        .qmax = oct_quantize1(n->at.clip[1], y->q->scale[0], zy, codes.lo, codes.hi, OCT_divide_div, OCT_order_before)};
    oct_nudge_scales(env, m, n, &op, sum);
}

/* The observe node `o` of value x: x.q = quantize(x), x.dq = dequantize(x.q). */
static void replace_observe(struct oct_pass_env *env, struct oct_module *m, struct oct_node *o, struct oct_nudges *nudges) {
    struct oct_node *x = o->operand[0];
    if (x->op == OCT_OP_dequantize || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF || oct_dtype_is_float(o->at.to)) {
        oct_replace(m, o, x);
        return;
    }
    float lo, hi;
    range_of(o, &lo, &hi);
    struct oct_type t = x->type;
    t.dtype = o->at.to;
    const struct oct_reach codes = oct_observed_codes(o);
    t.q = choose(m, lo, hi, o->at.scheme, codes);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (x->mark == WEIGHED && m->option[OCT_OPT_nudge_scales] == OCT_NUDGE_ON) nudge(env, m, x, &t, codes, nudges);
    if (codes.lo > oct_dtype_min(t.dtype) || codes.hi < oct_dtype_max(t.dtype))
        OCT_MARK(at, clip), at.clip[0] = (float)codes.lo, at.clip[1] = (float)codes.hi;
    m->cursor = o;
    struct oct_node *q = oct_make(m, OCT_OP_quantize, oct_suffixed(m, x->name, "q"), &x, 1, &at, &t, x->span);
    oct_replace(m, o, oct_make(m, OCT_OP_dequantize, oct_suffixed(m, x->name, "dq"), &q, 1, NULL, NULL, x->span));
    env->changes++;
}

/* Constant operand i of an op whose other operands are quantized: per tensor, in the type of the others. */
static void quantize_operand(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, int i, enum oct_dtype dtype) {
    const struct oct_node *c = n->operand[i];
    const float *x = oct_const_floats(c);
    const int64_t total = oct_type_elements(&c->type, 1);
    const int32_t qmin = (int32_t)oct_dtype_min(dtype), qmax = (int32_t)oct_dtype_max(dtype);
    float lo = 0, hi = 0;
    for (int64_t k = 0; k < total; k++) {
        lo = fminf(lo, x[k]);
        hi = fmaxf(hi, x[k]);
    }
    struct oct_type t = c->type;
    t.dtype = dtype;
    t.q = choose(m, lo, hi, (enum oct_scheme)oct_qconfig_for(m, n).act_scheme, (struct oct_reach){qmin, qmax});
    const size_t size = oct_dtype_size(dtype);
    char *code = oct_alloc_n(m->arena, (size_t)total, size);
    for (int64_t k = 0; k < total; k++) {
        const int32_t q = oct_quantize1(x[k], t.q->scale[0], oct_zero(t.q, 0), qmin, qmax, OCT_divide_div, OCT_order_before);
        for (size_t byte = 0; byte < size; byte++) code[(size_t)k * size + byte] = (char)((uint32_t)q >> 8 * byte);
    }
    m->cursor = n;
    struct oct_node *k = oct_new_const(m, c->name, "q", &t, code, c->span);
    n->operand[i] = oct_make(m, OCT_OP_dequantize, oct_suffixed(m, c->name, "dq"), &k, 1, NULL, NULL, c->span);
    env->changes++;
}

/* Constants beside quantized operands. A single number in add, sub or mul stays: the op is then a table of codes. */
static void quantize_constants(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n) {
    const struct oct_type *codes = NULL;
    for (int i = 0; i < n->noperands && !codes; i++)
        if (n->operand[i] && !oct_is_const(n->operand[i])) codes = codes_of(n->operand[i]);
    if (!codes || !codes->q || codes->q->axis >= 0) return;
    for (int i = 0; i < n->noperands; i++) {
        const struct oct_node *c = n->operand[i];
        if (!oct_const_floats(c)) continue;
        const bool number = oct_takes(n, OCT_A_clip) && n->op != OCT_OP_matmul && oct_type_elements(&c->type, 1) == 1;
        if (!number) quantize_operand(env, m, n, i, codes->dtype);
    }
}

bool oct_pass_insert_qdq(struct oct_pass_env *env, struct oct_module *m) {
    struct oct_loss loss = {0, 0, 0, 0};
    struct oct_nudges nudges = {0, 0, 0, 0, 0, 0, 0};
    struct oct_fold_ahead ahead = {NULL};
    if (m->option[OCT_OPT_quantize] != OCT_QUANTIZE_OFF && oct_wants_safe(m)) oct_fold_ahead(&ahead, env, m);
    /* READ: the value will be quantized, so its op can become an integer op if its operands are codes too */
    OCT_FOR_NODES(m, n) n->mark = 0, oct_note_origin(m, n);
    OCT_FOR_NODES(m, n)
    if (n->op == OCT_OP_quantize || n->op == OCT_OP_observe) {
        n->operand[0]->mark = READ;
        oct_origin(n->operand[0])->mark = READ;
    }
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (n->op == OCT_OP_quantize && n->operand[0]->op == OCT_OP_observe) n->operand[0] = n->operand[0]->operand[0];
        oct_resolve_operands(n);
        oct_note_origin(m, n); /* anew: operands have become dequantize nodes */
        if (n->op == OCT_OP_observe) {
            replace_observe(env, m, n, &nudges);
        } else if (oct_kept_float(m, n)) {
            continue;
        } else if (oct_has_flag(n, OCT_LINEAR) && n->mark) {
            const struct oct_type *x = codes_of(n->operand[0]);
            if (!x || x->q->axis >= 0) continue;
            const struct oct_reach r = reach_of(n->operand[0]);
            const struct oct_input in = {
                .scale = x->q->scale[0], .range = r.hi - r.lo, .dead = oct_fold_ahead_dead(&ahead, n), .loss = &loss};
            const unsigned changed = oct_quantize_weights(env, m, n, &in);
            if (changed == (oct_operand(n, 2) ? 2 : 1) && !oct_wants_repair(m)) n->mark = WEIGHED;
            env->changes += changed;
        } else if (oct_has_flag(n, OCT_REQUANT) && !oct_has_flag(n, OCT_QDQ | OCT_LINEAR) && n->mark &&
                   n->type.dtype == OCT_F32) {
            quantize_constants(env, m, n);
        }
    }
    oct_sweep(m);
    oct_fold_ahead_end(&ahead);
    if (env->explain && loss.channels)
        oct_text_addf(env->explain, "saturation: in all %u of %u scales rise, by %.3f bits on average, %.3f at most\n",
                      loss.raised, loss.channels, loss.bits / loss.channels, loss.most);
    if (env->explain && nudges.channels)
        oct_text_addf(env->explain,
                      "nudge_scales: in all %u of %u channels proved as they are, %u when moved by at most %d ulp; all channels "
                      "of %u of %u "
                      "layers, of %u when moved\n",
                      nudges.before, nudges.channels, nudges.after, nudges.ulps, nudges.whole_before, nudges.layers,
                      nudges.whole_after);
    return true;
}
