/* real.c - see real.h. */
#include "real.h"

#include "../../ir/interp.h"

static struct lp_val f32(double v) { return lp_flt(LP_F32, v); }
static struct lp_val op1(struct lp_kernel *k, enum lp_row row, struct lp_val a) {
    return lp_op1(k, NULL, row, (struct lp_type){0}, a);
}
static struct lp_val op2(struct lp_kernel *k, enum lp_row row, struct lp_val a, struct lp_val b) {
    return lp_op2(k, NULL, row, a, b);
}
static struct lp_val horner(struct lp_kernel *k, struct lp_val p, struct lp_val r, double c) { /* p r + c, two roundings */
    return op2(k, LP_OP_fadd, op2(k, LP_OP_fmul, p, r), f32(c));
}
static struct lp_val choose(struct lp_kernel *k, struct lp_val mask, struct lp_val a, struct lp_val b) {
    return lp_op3(k, NULL, LP_OP_select, mask, a, b);
}

struct lp_val oct_r_clamp(struct lp_kernel *k, struct lp_val x, float lo, float hi) {
    if (lo > -INFINITY) x = op2(k, LP_OP_fmax, f32((double)lo), x);
    if (hi < INFINITY) x = op2(k, LP_OP_fmin, f32((double)hi), x);
    return x;
}

static struct lp_val power_of_two(struct lp_kernel *k, struct lp_val n) {
    return op1(k, LP_OP_of_bits, lp_shift(k, NULL, LP_OP_shl, op2(k, LP_OP_add, n, lp_int(LP_I32, 127)), 23));
}

/* Step by step oct_expf. */
struct lp_val oct_r_exp(struct lp_kernel *k, struct lp_val x) {
    const double magic = 12582912.0;
    x = lp_op1(k, "x", LP_OP_mov, (struct lp_type){0}, oct_r_clamp(k, x, -104.0f, 89.0f));
    struct lp_val t = lp_op2(k, "t", LP_OP_fadd, op2(k, LP_OP_fmul, x, f32((double)1.44269504f)), f32(magic));
    struct lp_val n = lp_op2(k, "n", LP_OP_sub, op1(k, LP_OP_bits_of, t), lp_int(LP_I32, 0x4b400000));
    t = lp_op2(k, "t", LP_OP_fsub, t, f32(magic));
    struct lp_val r = op2(k, LP_OP_fsub, x, op2(k, LP_OP_fmul, t, f32((double)0.693359375f)));
    r = lp_op2(k, "r", LP_OP_fsub, r, op2(k, LP_OP_fmul, t, f32((double)-2.12194440e-4f)));
    struct lp_val p = f32((double)0.00138146f);
    const float c[] = {0.008368716f, 0.04166839f, 0.16666521f, 0.49999994f};
    for (int i = 0; i < 4; i++) p = horner(k, p, r, (double)c[i]);
    p = op2(k, LP_OP_fmul, op2(k, LP_OP_fmul, r, r), p);
    struct lp_val y = op2(k, LP_OP_fadd, op2(k, LP_OP_fadd, p, r), f32(1.0));
    struct lp_val half = lp_shift(k, "half", LP_OP_sar, n, 1);
    y = op2(k, LP_OP_fmul, y, power_of_two(k, half));
    return lp_op2(k, "e", LP_OP_fmul, y, power_of_two(k, op2(k, LP_OP_sub, n, half)));
}

static struct lp_val magnitude(struct lp_kernel *k, struct lp_val x, struct lp_val negative) {
    return lp_op3(k, "a", LP_OP_select, negative, op1(k, LP_OP_fneg, x), x);
}

static struct lp_val r_tanh(struct lp_kernel *k, struct lp_val x) {
    struct lp_val negative = lp_op2(k, "neg", LP_OP_lt, x, f32(0)), a = magnitude(k, x, negative);
    struct lp_val z = lp_op2(k, "z", LP_OP_fmul, x, x), p = f32((double)-0.005717037f);
    const float c[] = {0.020650579f, -0.053743497f, 0.13331491f, -0.33333284f};
    for (int i = 0; i < 4; i++) p = horner(k, p, z, (double)c[i]);
    struct lp_val small = op2(k, LP_OP_fadd, op2(k, LP_OP_fmul, op2(k, LP_OP_fmul, p, z), x), x);
    small = lp_op1(k, "small", LP_OP_mov, (struct lp_type){0}, small);
    struct lp_val e = oct_r_exp(k, op2(k, LP_OP_fadd, a, a));
    struct lp_val y = op2(k, LP_OP_fsub, f32(1.0), op2(k, LP_OP_fdiv, f32(2.0), op2(k, LP_OP_fadd, e, f32(1.0))));
    y = lp_op1(k, "big", LP_OP_mov, (struct lp_type){0}, y);
    y = choose(k, negative, op1(k, LP_OP_fneg, y), y);
    return choose(k, op2(k, LP_OP_lt, a, f32((double)0.625f)), small, y);
}

static struct lp_val r_sigmoid(struct lp_kernel *k, struct lp_val x) {
    struct lp_val negative = lp_op2(k, "neg", LP_OP_lt, x, f32(0));
    struct lp_val e = oct_r_exp(k, choose(k, negative, x, op1(k, LP_OP_fneg, x)));
    return op2(k, LP_OP_fdiv, choose(k, negative, e, f32(1.0)), op2(k, LP_OP_fadd, f32(1.0), e));
}

struct lp_val oct_r_point(struct lp_kernel *k, const struct oct_node *n, struct lp_val x) {
    switch (n->op) {
    case OCT_OP_relu: return oct_r_clamp(k, x, 0, INFINITY);
    case OCT_OP_relu6: return oct_r_clamp(k, x, 0, 6);
    case OCT_OP_clip: return oct_r_clamp(k, x, n->at.clip[0], n->at.clip[1]);
    case OCT_OP_leaky_relu: return choose(k, op2(k, LP_OP_lt, x, f32(0)), op2(k, LP_OP_fmul, f32((double)n->at.alpha), x), x);
    case OCT_OP_sigmoid: return r_sigmoid(k, x);
    case OCT_OP_tanh: return r_tanh(k, x);
    case OCT_OP_hardswish:
        return op2(k, LP_OP_fdiv, op2(k, LP_OP_fmul, x, oct_r_clamp(k, op2(k, LP_OP_fadd, x, f32(3.0)), 0, 6)), f32(6.0));
    case OCT_OP_hardsigmoid: return oct_r_clamp(k, op2(k, LP_OP_fadd, op2(k, LP_OP_fdiv, x, f32(6.0)), f32(0.5)), 0, 1);
    case OCT_OP_exp: return oct_r_exp(k, x);
    default: return op1(k, LP_OP_fsqrt, x);
    }
}

static float clampf(float x, float lo, float hi) {
    float v = x < lo ? lo : x;
    return v > hi ? hi : v;
}

float oct_point_value(const struct oct_node *n, float x) {
    switch (n->op) {
    case OCT_OP_relu: return x < 0 ? 0 : x;
    case OCT_OP_relu6: return clampf(x, 0, 6);
    case OCT_OP_clip: return clampf(x, n->at.clip[0], n->at.clip[1]);
    case OCT_OP_leaky_relu: return x < 0 ? n->at.alpha * x : x;
    case OCT_OP_sigmoid: return oct_sigmoidf(x);
    case OCT_OP_tanh: return oct_tanhf(x);
    case OCT_OP_hardswish: return x * clampf(x + 3.0f, 0, 6) / 6.0f;
    case OCT_OP_hardsigmoid: return clampf(x / 6.0f + 0.5f, 0, 1);
    case OCT_OP_exp: return oct_expf(x);
    default: return sqrtf(x);
    }
}

/* ---- codes and reals
 * --------------------------------------------------------------------------------------------------------------- */

struct oct_r_params oct_r_params(const struct oct_type *t) {
    return (struct oct_r_params){f32((double)oct_scale(t->q, 0)), lp_int(LP_I32, oct_zero(t->q, 0)), oct_dtype_min(t->dtype),
                                 oct_dtype_max(t->dtype)};
}

static bool is_zero(struct lp_val v) { return v.reg < 0 && v.imm.i == 0; }

struct lp_val oct_r_float_of(struct lp_kernel *k, struct lp_val v) {
    if (v.type.elem == LP_I32) return op1(k, LP_OP_i2f, v);
    const struct lp_type i32 = lp_scalar(LP_I32);
    struct lp_val high = lp_op1(k, NULL, LP_OP_cvt, i32, lp_shift(k, NULL, LP_OP_sar, v, 31));
    struct lp_val low = lp_op1(k, NULL, LP_OP_cvt, i32, op2(k, LP_OP_and, v, lp_int(LP_I64, INT32_MAX)));
    struct lp_val d = op2(k, LP_OP_fmul, op1(k, LP_OP_i2d, high), lp_flt(LP_F64, 0x1p31));
    return op1(k, LP_OP_d2f, op2(k, LP_OP_fadd, d, op1(k, LP_OP_i2d, low)));
}

static struct lp_val widened(struct lp_kernel *k, struct lp_val v) {
    return v.reg < 0 ? lp_int(LP_I64, v.imm.i) : lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), v);
}

struct lp_val oct_r_dequantize(struct lp_kernel *k, const struct oct_r_params *p, struct lp_val code) {
    if (!is_zero(p->zero)) {
        bool wide = p->qmax > UINT16_MAX; /* 32-bit codes: the difference needs 33 */
        code = op2(k, LP_OP_sub_nw, wide ? widened(k, code) : code, wide ? widened(k, p->zero) : p->zero);
    }
    return op2(k, LP_OP_fmul, p->scale, oct_r_float_of(k, code));
}

/* An i32 or its negation as a float value: bound - zero, exact (codes and zero points are below 2^24). */
static struct lp_val bound(struct lp_kernel *k, int64_t code, struct lp_val zero) {
    if (zero.reg < 0) return f32((double)code - (double)zero.imm.i);
    return op1(k, LP_OP_i2f, op2(k, LP_OP_sub_nw, lp_int(LP_I32, code), zero));
}

struct lp_val oct_r_quantize(struct lp_kernel *k, const struct oct_r_params *p, enum oct_divide d, enum oct_order o,
                             struct lp_val x) {
    struct lp_val v = op2(k, d == OCT_divide_div ? LP_OP_fdiv : LP_OP_fmul, x, p->scale);
    if (o == OCT_order_before) {
        v = op2(k, LP_OP_fmax, bound(k, p->qmin, p->zero), v);
        v = op2(k, LP_OP_fmin, bound(k, p->qmax, p->zero), v);
        if (v.type.lanes > 1 && p->qmax - p->qmin < 1 << 20) { /* near zero, NaN aside: cheaper on vectors */
            v = choose(k, op2(k, LP_OP_eq, v, v), v, f32(0));
            v = op1(k, LP_OP_f2i_near, v);
        } else v = op1(k, LP_OP_f2i, v);
        return is_zero(p->zero) ? v : op2(k, LP_OP_add_nw, v, p->zero);
    }
    struct lp_val zero = p->zero.reg < 0 ? f32((double)p->zero.imm.i) : op1(k, LP_OP_i2f, p->zero);
    v = lp_op2(k, "v", LP_OP_fadd, v, zero);
    struct lp_val code = op1(k, LP_OP_f2i, oct_r_clamp(k, v, (float)p->qmin, (float)p->qmax));
    return choose(k, op2(k, LP_OP_eq, v, v), code, p->zero); /* NaN gives the zero point */
}

bool oct_r_through_float(const struct oct_kbuild *b) {
    for (int i = 0; i < b->nin; i++)
        if (!b->in[i].node || !oct_k_is_codes(&b->in[i].node->type) || b->in[i].node->type.q->axis >= 0) return false;
    return oct_k_is_codes(&b->node->type) && b->node->type.q->axis < 0 && b->node->at.profile == OCT_profile_onnx;
}

struct lp_val oct_r_value(struct oct_kbuild *b, int i, struct lp_val x) {
    if (x.type.elem == LP_F32) return x;
    struct oct_r_params p = oct_r_params(&b->in[i].node->type);
    return lp_op1(b->k, "x", LP_OP_mov, (struct lp_type){0}, oct_r_dequantize(b->k, &p, oct_k_code_of(b, x)));
}

struct lp_val oct_r_result(struct oct_kbuild *b, struct lp_val v) {
    if (oct_k_is_float(&b->node->type)) return v;
    struct oct_r_params p = oct_r_params(&b->node->type);
    int32_t lo, hi;
    oct_k_clamp_range(b->node, &lo, &hi);
    v = oct_r_quantize(b->k, &p, OCT_divide_div, OCT_order_before, v);
    if (lo > p.qmin) v = lp_op2(b->k, "q", LP_OP_max, v, lp_int(LP_I32, lo));
    if (hi < p.qmax) v = lp_op2(b->k, "q", LP_OP_min, v, lp_int(LP_I32, hi));
    return v;
}

struct lp_val oct_r_load(struct oct_kbuild *b, int i, int32_t buf, struct lp_addr at) {
    return oct_r_value(b, i, lp_load(b->k, b->k->buf[buf].elem == LP_F32 ? "x" : NULL, lp_scalar(b->k->buf[buf].elem), buf, at));
}

void oct_r_store(struct oct_kbuild *b, int32_t buf, struct lp_addr at, struct lp_val v) {
    oct_k_store_code(b, buf, at, oct_r_result(b, v));
}

float oct_real_of(const struct oct_type *t, int32_t code) { return oct_scale(t->q, 0) * (float)(code - oct_zero(t->q, 0)); }

int32_t oct_code_of(const struct oct_type *t, float x) {
    int32_t z = oct_zero(t->q, 0);
    float v = x / oct_scale(t->q, 0);
    if (isnan(v)) return z;
    return (int32_t)nearbyintf(clampf(v, (float)(oct_dtype_min(t->dtype) - z), (float)(oct_dtype_max(t->dtype) - z))) + z;
}
