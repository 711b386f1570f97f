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
static struct lp_val choose(struct lp_kernel *k, struct lp_val mask, struct lp_val a, struct lp_val b) {
    return lp_op3(k, NULL, LP_OP_select, mask, a, b);
}

struct lp_val oct_r_clamp(struct lp_kernel *k, struct lp_val x, float lo, float hi) {
    if (lo > -INFINITY) x = op2(k, LP_OP_fmax, f32((double)lo), x);
    if (hi < INFINITY) x = op2(k, LP_OP_fmin, f32((double)hi), x);
    return x;
}

static float clampf(float x, float lo, float hi) {
    float v = x < lo ? lo : x;
    return v > hi ? hi : v;
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
