/* point.c - the pointwise ops, and the functions of ir/fmath.c behind them, as straight-line rows; and their values at compile
 * time, for tables. docs/numerics.md 7. */
#include "../../ir/interp.h"
#include "real.h"

static struct lp_val f32(double v) { return lp_flt(LP_F32, v); }
static struct lp_val i32(int64_t v) { return lp_int(LP_I32, v); }
static struct lp_val op1(struct lp_kernel *k, enum lp_row row, struct lp_val a) {
    return lp_op1(k, NULL, row, (struct lp_type){0}, a);
}
static struct lp_val op2(struct lp_kernel *k, enum lp_row row, struct lp_val a, struct lp_val b) {
    return lp_op2(k, NULL, row, a, b);
}
static struct lp_val choose(struct lp_kernel *k, struct lp_val mask, struct lp_val a, struct lp_val b) {
    return lp_op3(k, NULL, LP_OP_select, mask, a, b);
}
static struct lp_val kept(struct lp_kernel *k, const char *name, struct lp_val v) {
    return lp_op1(k, name, LP_OP_mov, (struct lp_type){0}, v);
}
static struct lp_val horner(struct lp_kernel *k, struct lp_val p, struct lp_val r, double c) { /* p r + c, two roundings */
    return op2(k, LP_OP_fadd, op2(k, LP_OP_fmul, p, r), f32(c));
}
/* c[0], the coefficient of the highest power, to c[n - 1]. */
static struct lp_val polynomial(struct lp_kernel *k, struct lp_val x, const float *c, int n) {
    struct lp_val p = f32((double)c[0]);
    for (int i = 1; i < n; i++) p = horner(k, p, x, (double)c[i]);
    return p;
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
    static const float c[] = {0.00138146f, 0.008368716f, 0.04166839f, 0.16666521f, 0.49999994f};
    struct lp_val p = polynomial(k, r, c, 5);
    p = op2(k, LP_OP_fmul, op2(k, LP_OP_fmul, r, r), p);
    struct lp_val y = op2(k, LP_OP_fadd, op2(k, LP_OP_fadd, p, r), f32(1.0));
    struct lp_val half = lp_shift(k, "half", LP_OP_sar, n, 1);
    y = op2(k, LP_OP_fmul, y, power_of_two(k, half));
    return lp_op2(k, "e", LP_OP_fmul, y, power_of_two(k, op2(k, LP_OP_sub, n, half)));
}

static struct lp_val magnitude(struct lp_kernel *k, struct lp_val x, struct lp_val negative) {
    return lp_op3(k, "a", LP_OP_select, negative, op1(k, LP_OP_fneg, x), x);
}

struct lp_val oct_r_tanh(struct lp_kernel *k, struct lp_val x) {
    struct lp_val negative = lp_op2(k, "neg", LP_OP_lt, x, f32(0)), a = magnitude(k, x, negative);
    static const float c[] = {-0.005717037f, 0.020650579f, -0.053743497f, 0.13331491f, -0.33333284f};
    struct lp_val z = lp_op2(k, "z", LP_OP_fmul, x, x), p = polynomial(k, z, c, 5);
    struct lp_val small = op2(k, LP_OP_fadd, op2(k, LP_OP_fmul, op2(k, LP_OP_fmul, p, z), x), x);
    small = kept(k, "small", small);
    struct lp_val e = oct_r_exp(k, op2(k, LP_OP_fadd, a, a));
    struct lp_val y = op2(k, LP_OP_fsub, f32(1.0), op2(k, LP_OP_fdiv, f32(2.0), op2(k, LP_OP_fadd, e, f32(1.0))));
    y = kept(k, "big", y);
    y = choose(k, negative, op1(k, LP_OP_fneg, y), y);
    return choose(k, op2(k, LP_OP_lt, a, f32((double)0.625f)), small, y);
}

struct lp_val oct_r_sigmoid(struct lp_kernel *k, struct lp_val x) {
    struct lp_val negative = lp_op2(k, "neg", LP_OP_lt, x, f32(0));
    struct lp_val e = oct_r_exp(k, choose(k, negative, x, op1(k, LP_OP_fneg, x)));
    return op2(k, LP_OP_fdiv, choose(k, negative, e, f32(1.0)), op2(k, LP_OP_fadd, f32(1.0), e));
}

/* Step by step oct_logf. */
static struct lp_val r_log(struct lp_kernel *k, struct lp_val x) {
    static const float c[] = {0.06746601f,  -0.11675641f, 0.11888175f, -0.124055915f, 0.14219551f,
                              -0.16667996f, 0.20002119f,  -0.2500001f, 0.33333313f};
    x = kept(k, "x", x);
    struct lp_val tiny = lp_op2(k, "tiny", LP_OP_lt, x, f32(0x1p-126));
    struct lp_val u = op1(k, LP_OP_bits_of, choose(k, tiny, op2(k, LP_OP_fmul, x, f32(8388608.0)), x));
    u = lp_op2(k, "u", LP_OP_add, u, i32(0x3f800000 - 0x3f3504f3));
    struct lp_val e = op1(k, LP_OP_i2f, lp_shift(k, NULL, LP_OP_sar, u, 23)); /* x > 0 there: no sign */
    e = lp_op2(k, "e", LP_OP_fadd, choose(k, tiny, f32(-150.0), f32(-127.0)), e);
    struct lp_val m = op2(k, LP_OP_add, op2(k, LP_OP_and, u, i32(0x7fffff)), i32(0x3f3504f3));
    struct lp_val r = lp_op2(k, "r", LP_OP_fsub, op1(k, LP_OP_of_bits, m), f32(1.0)), z = lp_op2(k, "z", LP_OP_fmul, r, r);
    struct lp_val y = op2(k, LP_OP_fmul, op2(k, LP_OP_fmul, polynomial(k, r, c, 9), r), z);
    y = op2(k, LP_OP_fadd, y, op2(k, LP_OP_fmul, e, f32((double)-2.12194440e-4f)));
    y = op2(k, LP_OP_fsub, y, op2(k, LP_OP_fmul, f32(0.5), z));
    y = op2(k, LP_OP_fadd, op2(k, LP_OP_fadd, r, y), op2(k, LP_OP_fmul, e, f32((double)0.693359375f)));
    y = choose(k, op2(k, LP_OP_eq, x, f32(HUGE_VAL)), x, y);
    return choose(k, op2(k, LP_OP_lt, f32(0), x), y, choose(k, op2(k, LP_OP_eq, x, f32(0)), f32(-HUGE_VAL), f32((double)NAN)));
}

static struct lp_val r_erf(struct lp_kernel *k, struct lp_val x) {
    struct lp_val negative = lp_op2(k, "neg", LP_OP_lt, x, f32(0)), a = magnitude(k, x, negative);
    struct lp_val z = lp_op2(k, "z", LP_OP_fmul, x, x);
    struct lp_val small = kept(k, "small", op2(k, LP_OP_fmul, polynomial(k, z, oct_erf_small, OCT_ERF_SMALL), x));
    struct lp_val e = oct_r_exp(k, polynomial(k, oct_r_clamp(k, a, -INFINITY, 4.0f), oct_erf_tail, OCT_ERF_TAIL));
    struct lp_val y = kept(k, "big", op2(k, LP_OP_fsub, f32(1.0), e));
    return choose(k, op2(k, LP_OP_lt, a, f32(1.0)), small, choose(k, negative, op1(k, LP_OP_fneg, y), y));
}

static struct lp_val r_expm1(struct lp_kernel *k, struct lp_val x) {
    struct lp_val t = kept(k, "t", oct_r_tanh(k, op2(k, LP_OP_fmul, x, f32(0.5))));
    return op2(k, LP_OP_fdiv, op2(k, LP_OP_fadd, t, t), op2(k, LP_OP_fsub, f32(1.0), t));
}

static struct lp_val r_softplus(struct lp_kernel *k, struct lp_val x) {
    struct lp_val e = kept(k, "ea", oct_r_exp(k, op1(k, LP_OP_fneg, op1(k, LP_OP_fabs, x))));
    struct lp_val u = kept(k, "ua", op2(k, LP_OP_fadd, e, f32(1.0))), d = kept(k, "d", op2(k, LP_OP_fsub, u, f32(1.0)));
    struct lp_val none = lp_op2(k, "none", LP_OP_eq, d, f32(0)), l = r_log(k, u);
    l = op2(k, LP_OP_fdiv, op2(k, LP_OP_fmul, l, e), choose(k, none, f32(1.0), d));
    return op2(k, LP_OP_fadd, oct_r_clamp(k, x, 0, INFINITY), choose(k, none, e, l));
}

static struct lp_val r_round(struct lp_kernel *k, struct lp_val x) {
    struct lp_val a = lp_op1(k, "a", LP_OP_fabs, (struct lp_type){0}, x);
    struct lp_val r = kept(k, "r", op2(k, LP_OP_fsub, op2(k, LP_OP_fadd, a, f32(8388608.0)), f32(8388608.0)));
    r = choose(k, op2(k, LP_OP_lt, x, f32(0)), op1(k, LP_OP_fneg, r), r);
    return choose(k, op2(k, LP_OP_lt, a, f32(8388608.0)), r, x);
}

struct lp_val oct_r_point(struct lp_kernel *k, const struct oct_node *n, struct lp_val x) {
    switch (n->op) {
    case OCT_OP_relu: return oct_r_clamp(k, x, 0, INFINITY);
    case OCT_OP_relu6: return oct_r_clamp(k, x, 0, 6);
    case OCT_OP_clip: return oct_r_clamp(k, x, n->at.clip[0], n->at.clip[1]);
    case OCT_OP_leaky_relu: return choose(k, op2(k, LP_OP_lt, x, f32(0)), op2(k, LP_OP_fmul, f32((double)n->at.alpha), x), x);
    case OCT_OP_sigmoid: return oct_r_sigmoid(k, x);
    case OCT_OP_tanh: return oct_r_tanh(k, x);
    case OCT_OP_hardswish:
        return op2(k, LP_OP_fdiv, op2(k, LP_OP_fmul, x, oct_r_clamp(k, op2(k, LP_OP_fadd, x, f32(3.0)), 0, 6)), f32(6.0));
    case OCT_OP_hardsigmoid: return oct_r_clamp(k, op2(k, LP_OP_fadd, op2(k, LP_OP_fdiv, x, f32(6.0)), f32(0.5)), 0, 1);
    case OCT_OP_exp: return oct_r_exp(k, x);
    case OCT_OP_abs: return op1(k, LP_OP_fabs, x);
    case OCT_OP_sign:
        return choose(k, op2(k, LP_OP_lt, f32(0), x), f32(1.0), choose(k, op2(k, LP_OP_lt, x, f32(0)), f32(-1.0), x));
    case OCT_OP_floor: return op1(k, LP_OP_ffloor, x);
    case OCT_OP_round: return r_round(k, x);
    case OCT_OP_reciprocal: return op2(k, LP_OP_fdiv, f32(1.0), x);
    case OCT_OP_log: return r_log(k, x);
    case OCT_OP_erf: return r_erf(k, x);
    case OCT_OP_softplus: return r_softplus(k, x);
    case OCT_OP_elu:
        return choose(k, op2(k, LP_OP_lt, x, f32(0)), op2(k, LP_OP_fmul, f32((double)n->at.alpha), r_expm1(k, x)), x);
    default: return op1(k, LP_OP_fsqrt, x);
    }
}

static float clampf(float x, float lo, float hi) {
    float v = x < lo ? lo : x;
    return v > hi ? hi : v;
}

/* Written apart from the interpreter's, which is what tables made of these are held against. */
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
    case OCT_OP_abs: return fabsf(x);
    case OCT_OP_sign: return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case OCT_OP_floor: return floorf(x);
    case OCT_OP_round: return oct_roundf(x);
    case OCT_OP_reciprocal: return 1.0f / x;
    case OCT_OP_log: return oct_logf(x);
    case OCT_OP_erf: return oct_erff(x);
    case OCT_OP_softplus: return oct_softplusf(x);
    case OCT_OP_elu: return x < 0 ? n->at.alpha * oct_expm1f(x) : x;
    default: return sqrtf(x);
    }
}
