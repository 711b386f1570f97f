/* softmax.c - softmax along one axis: codes under q31 and pot (table of exponentials, exact sum, exact quotient by restoring
 * division), under tflm (gemmlowp's fixed point), under onnx through float; and floats. docs/numerics.md 4.3, 4.4, 7. */
#include <math.h>

#include "../../ir/interp.h"
#include "fixed.h"
#include "map.h"
#include "real.h"
#include "window.h"

static int axis_of(const struct oct_kbuild *b) {
    int64_t a = b->node->at.axis;
    return (int)(a < 0 ? a + b->out.at.rank : a);
}

/* Loops over the rows; at[0] is the first element of the result's row, at[1] of the operand's. */
static int rows(struct oct_kbuild *b, int axis, struct lp_addr *at) {
    return oct_k_nest(b, 2, (const struct oct_layout *[]){&b->out.at, &b->in[0].at}, 1u << axis, at);
}

struct along {
    int loops;
    struct lp_addr in, out;
};
static struct along walk(struct oct_kbuild *b, int axis, const struct lp_addr *at) {
    struct along w = {0, at[1], at[0]};
    oct_k_loop(b, "i", b->out.at.dim[axis], &w.in, b->in[0].at.stride[axis], &w.out, b->out.at.stride[axis], &w.loops);
    return w;
}

/* ---- codes
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static bool eight_bits(const struct oct_kbuild *b) {
    const struct oct_type *x = &b->in[0].node->type, *y = &b->node->type;
    return oct_k_is_codes(x) && oct_k_is_codes(y) && oct_dtype_size(x->dtype) == 1 && x->q->axis < 0 && y->q->axis < 0;
}

/* What both fixed-point forms walk: the largest code of a row, and the exponential of a code's distance to it, by table. */
struct codes {
    int32_t in, out, table;
    int32_t kept; /* scratch: the exponentials of a row, where the target has vectors; else -1, and they are looked up twice */
    int step;     /* from one of them to the next */
    int axis, loops;
    struct lp_addr at[2];
    struct lp_val max;
};
static struct codes open_row(struct oct_kbuild *b, const int32_t *exponential, int step) {
    struct lp_kernel *k = b->k;
    struct codes c = {.in = oct_k_in(b, 0), .out = oct_k_out(b), .step = step, .axis = axis_of(b)};
    c.table = oct_k_const(b, "exponential", LP_I32, 256, exponential);
    c.kept = oct_vec_lanes(b->target, LP_I64) > 1 ? oct_k_scratch(b, "kept", LP_I32, b->out.at.dim[c.axis] * step) : -1;
    c.loops = rows(b, c.axis, c.at);
    struct lp_type code = lp_scalar((enum lp_elem)k->buf[c.in].elem);
    struct lp_val top = lp_reg(k, code, "top");
    lp_set(k, top, lp_int((enum lp_elem)code.elem, oct_dtype_min(b->in[0].node->type.dtype)));
    struct along a = walk(b, c.axis, c.at);
    lp_op_to(k, top, LP_OP_max, 2, (struct lp_val[]){top, lp_load(k, NULL, code, c.in, a.in)}, 0);
    oct_k_close(b, a.loops);
    c.max = lp_op1(k, "max", LP_OP_cvt, lp_scalar(LP_I32), top);
    return c;
}
static struct lp_val exponential_of(struct oct_kbuild *b, const struct codes *c, struct lp_addr at) {
    struct lp_val d = lp_op2(b->k, NULL, LP_OP_sub_nw, c->max, oct_k_load_code(b, NULL, c->in, at));
    d = lp_op2(b->k, NULL, LP_OP_and, d, lp_int(LP_I32, 255)); /* changes nothing: says that the table holds it */
    return lp_load(b->k, NULL, lp_scalar(LP_I32), c->table, lp_indexed(lp_at(0), d, 0, 255));
}
/* v less the zero point; a scalar, or a vector of i32. */
static void store_clamped(struct oct_kbuild *b, const struct codes *c, struct lp_addr at, struct lp_val v) {
    const enum oct_dtype t = b->node->type.dtype;
    const int32_t zero = oct_zero(b->node->type.q, 0), lo = (int32_t)oct_dtype_min(t), hi = (int32_t)oct_dtype_max(t);
    v = lp_op2(b->k, NULL, LP_OP_add_nw, v, lp_int(LP_I32, zero));
    if (v.type.lanes > 1 && oct_dtype_size(t) == 1) {
        lp_store(b->k, c->out, at, oct_k_bytes_of(b, 1, &v, lo, hi));
        return;
    }
    v = lp_op2(b->k, NULL, LP_OP_max, v, lp_int(LP_I32, lo));
    oct_k_store_code(b, c->out, at, lp_op2(b->k, NULL, LP_OP_min, v, lp_int(LP_I32, hi)));
}

/* The exponential at the row's position i, which is kept for later. */
static struct lp_val first_look(struct oct_kbuild *b, const struct codes *c, struct along *a) {
    struct lp_addr at[2] = {c->at[1], lp_at(0)};
    a->loops = 0;
    oct_k_loop(b, "i", b->out.at.dim[c->axis], &at[0], b->in[0].at.stride[c->axis], &at[1], c->step, &a->loops);
    const struct lp_val e = exponential_of(b, c, at[0]);
    if (c->kept >= 0) lp_store(b->k, c->kept, at[1], e);
    return e;
}
/* fn for the kept exponentials of a row, as many at once as 64 bits for each allow. */
static void each_kept(struct oct_kbuild *b, const struct codes *c, oct_chunk_fn *fn, void *user) {
    const int64_t n = b->out.at.dim[c->axis], stride[2] = {b->out.at.stride[c->axis], c->step};
    const int lanes = n > 1 && stride[0] != 1 ? 1 : oct_vec_lanes(b->target, LP_I64);
    if (lanes == 1) oct_k_fallback(b, "scalar code: elements that are no neighbours in memory");
    else if (n >= lanes) oct_k_say_lanes(b, lanes);
    oct_k_chunks(b, "i", n, lanes, OCT_FEWEST, 2, stride, (struct lp_addr[]){c->at[0], lp_at(0)}, fn, user);
}

bool oct_fits_softmax(const struct oct_kbuild *b) {
    if (!eight_bits(b) || (b->node->at.profile != OCT_profile_q31 && b->node->at.profile != OCT_profile_pot)) return false;
    /* 2^17 S shifted by the bits of the quotient fits 63 bits */
    double w = round(0x1p16 / (double)oct_scale(b->node->type.q, 0));
    return w < 0x1p30 && (double)b->out.at.dim[axis_of(b)] * 0x1p40 * (w / 0x1p16 + 2) * 2 < 0x1p63;
}

/* Numerator and divisor, (2 T W + 2^16 S) / (2^17 S), are integers below 2^53, T <= 2^23 and S <= n 2^23. Then the floor of the
 * rounded quotient is that of the quotient: below an integer k it is by 1 / divisor at least, k divisor <= 2^53, so that k does
 * not round to it. */
static bool quotients_are_exact(const struct oct_kbuild *b, int axis, int64_t w) {
    return 0x1p24 * (double)w + (double)b->out.at.dim[axis] * 0x1p40 < 0x1p53;
}
/* A sum below 2^47 as a double. */
static struct lp_val double_of(struct lp_kernel *k, struct lp_val sum) {
    const struct lp_type i32 = lp_scalar(LP_I32), f64 = lp_scalar(LP_F64);
    const struct lp_val high = lp_op1(k, NULL, LP_OP_cvt, i32, lp_shift(k, NULL, LP_OP_sar, sum, 16)),
                        low = lp_op1(k, NULL, LP_OP_cvt, i32, lp_op2(k, NULL, LP_OP_and, sum, lp_int(LP_I64, 0xffff)));
    return lp_op2(k, "sum", LP_OP_fadd,
                  lp_op2(k, NULL, LP_OP_fmul, lp_op1(k, NULL, LP_OP_i2d, f64, high), lp_flt(LP_F64, 0x1p16)),
                  lp_op1(k, NULL, LP_OP_i2d, f64, low));
}
struct quotient {
    const struct codes *c;
    double factor;
    struct lp_val half, divisor;
};
static struct lp_val for_all(struct lp_kernel *k, struct lp_val v, int lanes) {
    return lanes > 1 ? lp_op1(k, "all", LP_OP_splat, lp_vector((enum lp_elem)v.type.elem, lanes), v) : v;
}
static void quotient(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct quotient *q = user;
    struct lp_kernel *k = b->k;
    const struct lp_type none = {0};
    struct lp_val e = lp_op1(k, NULL, LP_OP_i2d, none, lp_load(k, NULL, lp_vector(LP_I32, lanes), q->c->kept, at[1]));
    e = lp_op2(k, NULL, LP_OP_fmul, e, lp_flt(LP_F64, q->factor));
    e = lp_op2(k, NULL, LP_OP_fadd, e, for_all(k, q->half, lanes));
    e = lp_op2(k, "q", LP_OP_fdiv, e, for_all(k, q->divisor, lanes));
    const struct lp_val near = lp_op1(k, "near", LP_OP_d2i, none, e),
                        above = lp_op2(k, NULL, LP_OP_lt, e, lp_op1(k, NULL, LP_OP_i2d, none, near));
    store_clamped(b, q->c, at[0],
                  lp_op3(k, "v", LP_OP_select, above, lp_op2(k, NULL, LP_OP_sub_nw, near, lp_int(LP_I32, 1)), near));
}

bool oct_build_softmax(struct oct_kbuild *b) {
    const struct oct_quant *qx = b->in[0].node->type.q, *qy = b->node->type.q;
    struct lp_kernel *k = b->k;
    const struct lp_type i64 = lp_scalar(LP_I64), i32 = lp_scalar(LP_I32);
    int32_t *exponential = OCT_NEW_N(b->arena, int32_t, 256);
    for (int d = 0; d < 256; d++) exponential[d] = (int32_t)nearbyintf(0x1p23f * oct_expf(-(oct_scale(qx, 0) * (float)d)));
    int64_t w = (int64_t)round(0x1p16 / (double)oct_scale(qy, 0)), most = (w >> 16) + 2;
    int common = 16; /* numerator and denominator by the powers of two that they share */
    while (common > 0 && (w & (((int64_t)1 << common) - 1))) common--;
    int bits = 1;
    while (((int64_t)1 << bits) <= most) bits++;

    b->recipe = "table, exact quotient";
    struct codes c = open_row(b, exponential, 1);
    struct lp_val sum = lp_reg(k, i64, "sum");
    lp_set(k, sum, lp_int(LP_I64, 0));
    struct along a;
    lp_op_to(k, sum, LP_OP_add_nw, 2, (struct lp_val[]){sum, lp_op1(k, NULL, LP_OP_cvt, i64, first_look(b, &c, &a))}, 0);
    oct_k_close(b, a.loops);
    if (c.kept >= 0 && !b->no_float && quotients_are_exact(b, c.axis, w)) {
        struct quotient q = {&c, 2.0 * (double)w, double_of(k, sum), lp_flt(LP_F64, 0)};
        q.divisor = lp_op2(k, "divisor", LP_OP_fmul, q.half, lp_flt(LP_F64, 0x1p17));
        q.half = lp_op2(k, "half", LP_OP_fmul, q.half, lp_flt(LP_F64, 0x1p16));
        each_kept(b, &c, quotient, &q);
        oct_k_close(b, c.loops);
        return true;
    }
    if (c.kept >= 0)
        oct_k_fallback(b, b->no_float ? "scalar code: quotients without floats" : "scalar code: quotients of more than 53 bits");
    a = walk(b, c.axis, c.at);
    /* v = floor((2 T W + 2^16 S) / (2^17 S)) */
    struct lp_val rest = lp_op1(k, "rest", LP_OP_cvt, i64, exponential_of(b, &c, a.in));
    struct lp_val half = lp_shift(k, NULL, LP_OP_shl, sum, 16 - common);
    lp_op_to(k, rest, LP_OP_mul_nw, 2, (struct lp_val[]){rest, lp_int(LP_I64, 2 * (w >> common))}, 0);
    lp_op_to(k, rest, LP_OP_add_nw, 2, (struct lp_val[]){rest, half}, 0);
    struct lp_val v = lp_reg(k, i32, "v");
    lp_set(k, v, lp_int(LP_I32, 0));
    lp_note(k, "quotient of rest by the sum, bit by bit");
    for (int bit = bits - 1; bit >= 0; bit--) {
        struct lp_val part = lp_shift(k, "part", LP_OP_shl, sum, 17 - common + bit);
        struct lp_val fits = lp_op2(k, "fits", LP_OP_le, part, rest);
        if (bit) {
            struct lp_val less = lp_op2(k, NULL, LP_OP_sub, rest, part);
            lp_op_to(k, rest, LP_OP_select, 3, (struct lp_val[]){fits, less, rest}, 0);
        }
        struct lp_val more = lp_op2(k, NULL, LP_OP_add_nw, v, lp_int(LP_I32, (int64_t)1 << bit));
        lp_op_to(k, v, LP_OP_select, 3, (struct lp_val[]){fits, more, v}, 0);
    }
    store_clamped(b, &c, a.out, v);
    oct_k_close(b, a.loops);
    oct_k_close(b, c.loops);
    return true;
}

/* ---- codes, tflm: gemmlowp's fixed point
 * -------------------------------------------------------------------------------------------------- */

/* e^a in Q0.31 for a <= 0 in Q5.26: a series around -1/8 on the part below 1/4, one factor for each bit above. */
static int64_t fixed_exp(int64_t a) {
    static const int64_t factor[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* e^-1/4 .. e^-16 */
    if (a == 0) return INT32_MAX;
    int64_t low = (a & 0xffffff) - 0x1000000, x = low * 32 + (1 << 28);
    int64_t x2 = oct_fx_mul(x, x), x3 = oct_fx_mul(x2, x), x4 = oct_fx_mul(x2, x2);
    int64_t p = oct_fx_shift(oct_fx_mul(oct_fx_shift(x4, 2) + x3, 715827883) + x2, 1);
    int64_t g = 1895147668 + oct_fx_mul(1895147668, x + p);
    for (int i = 0; i < 7; i++)
        if ((low - a) >> (24 + i) & 1) g = oct_fx_mul(g, factor[i]);
    return g;
}

/* Scale of the operand in Q5.26: real = m 2^(e - 31). */
static int64_t fixed_scale(const struct oct_kbuild *b, int *e) {
    double real = fmin((double)oct_scale(b->in[0].node->type.q, 0) * 0x1p26, 0x1p31 - 1);
    int64_t m = (int64_t)round(frexp(real, e) * 0x1p31);
    if (m >> 31) m /= 2, ++*e;
    return m;
}

bool oct_fits_softmax_tflm(const struct oct_kbuild *b) {
    const struct oct_type *y = &b->node->type;
    if (!eight_bits(b) || oct_dtype_size(y->dtype) != 1 || b->node->at.profile != OCT_profile_tflm) return false;
    int e;
    (void)fixed_scale(b, &e);
    return e >= 0 && oct_scale(y->q, 0) == 1.0f / 256 && oct_zero(y->q, 0) == oct_dtype_min(y->dtype) &&
           y->dim[axis_of(b)] < 4096;
}

/* SRDHM. */
static struct lp_val high_half(struct lp_kernel *k, const char *name, struct lp_val a, struct lp_val b) {
    struct lp_val p = lp_op2(k, NULL, LP_OP_add_nw, lp_op2(k, NULL, LP_OP_mull, a, b), lp_int(LP_I64, (int64_t)1 << 30));
    return lp_op1(k, name, LP_OP_cvt, lp_scalar(LP_I32), lp_shift(k, NULL, LP_OP_sar, p, 31));
}
static struct lp_val shifted_saturated(struct lp_kernel *k, struct lp_val v, int n) {
    v = lp_shift(k, NULL, LP_OP_shl, lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), v), n);
    return lp_op1(k, NULL, LP_OP_sat, lp_scalar(LP_I32), v);
}

/* 1 / sum for sum in [2^19, 2^31): `half`, the sum shifted into [2^30, 2^31), by three steps of Newton; *n: that shift. */
static struct lp_val reciprocal(struct lp_kernel *k, struct lp_val half, struct lp_val *n) {
    *n = lp_reg(k, lp_scalar(LP_I32), "n");
    lp_set(k, *n, lp_int(LP_I32, 0));
    for (int step = 8; step; step /= 2) {
        struct lp_val less = lp_op2(k, "less", LP_OP_lt, half, lp_int(LP_I32, (int64_t)1 << (31 - step)));
        struct lp_val up = lp_shift(k, NULL, LP_OP_shl, half, step),
                      more = lp_op2(k, NULL, LP_OP_add_nw, *n, lp_int(LP_I32, step));
        lp_op_to(k, half, LP_OP_select, 3, (struct lp_val[]){less, up, half}, 0);
        lp_op_to(k, *n, LP_OP_select, 3, (struct lp_val[]){less, more, *n}, 0);
    }
    struct lp_val x = lp_reg(k, lp_scalar(LP_I32), "x"); /* 48/17 - 32/17 half, in Q2.29 */
    lp_op_to(k, x, LP_OP_add, 2,
             (struct lp_val[]){high_half(k, NULL, half, lp_int(LP_I32, -1010580540)), lp_int(LP_I32, 1515870810)}, 0);
    for (int i = 0; i < 3; i++) {
        struct lp_val miss = lp_op2(k, NULL, LP_OP_sub, lp_int(LP_I32, 1 << 29), high_half(k, NULL, half, x));
        lp_op_to(k, x, LP_OP_add, 2, (struct lp_val[]){x, shifted_saturated(k, high_half(k, NULL, x, miss), 2)}, 0);
    }
    return lp_op1(k, "reciprocal", LP_OP_mov, (struct lp_type){0}, shifted_saturated(k, x, 1));
}

/* One exponential, or a vector, by the reciprocal of the sum; both are positive, so are all shifts' operands. */
struct product {
    const struct codes *c;
    struct lp_val reciprocal, down;
};
static void store_product(struct oct_kbuild *b, const struct product *p, struct lp_addr at, struct lp_val v) {
    struct lp_kernel *k = b->k;
    v = lp_shift(k, NULL, LP_OP_shr, lp_op2(k, NULL, LP_OP_add_nw, v, lp_int(LP_I64, (int64_t)1 << 30)), 31);
    v = lp_op2(k, NULL, LP_OP_add_nw, lp_op2(k, NULL, LP_OP_shrv, v, for_all(k, p->down, v.type.lanes)), lp_int(LP_I64, 1));
    v = lp_op1(k, "v", LP_OP_cvt, lp_scalar(LP_I32), lp_shift(k, NULL, LP_OP_shr, v, 1));
    store_clamped(b, p->c, at, v);
}
/* They lie 2 apart, as the products of a vector's even lanes want them. */
static void product(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct product *p = user;
    const int n = lanes > 1 ? 2 * lanes : 1;
    const struct lp_val e = lp_load(b->k, NULL, lp_vector(LP_I32, n), p->c->kept, at[1]);
    store_product(b, p, at[0], lp_op2(b->k, NULL, n > 1 ? LP_OP_mul_even : LP_OP_mull, for_all(b->k, p->reciprocal, n), e));
}

bool oct_build_softmax_tflm(struct oct_kbuild *b) {
    struct lp_kernel *k = b->k;
    const struct lp_type i64 = lp_scalar(LP_I64), i32 = lp_scalar(LP_I32);
    int e;
    const int64_t m = fixed_scale(b, &e), farthest = ((int64_t)31 << 26) >> e;
    int32_t *exponential = OCT_NEW_N(b->arena, int32_t, 256);
    for (int64_t d = 0; d < 256; d++)
        exponential[d] = d > farthest ? 0 : (int32_t)fixed_exp(oct_fx_mul(oct_fx_sat(-d * ((int64_t)1 << e)), m));

    struct codes c = open_row(b, exponential, 2);
    struct lp_val sum = lp_reg(k, i32, "sum"); /* Q12.19 */
    lp_set(k, sum, lp_int(LP_I32, 0));
    struct along a;
    b->recipe = "table, fixed point";
    struct lp_val part = lp_shift(k, NULL, LP_OP_sar, first_look(b, &c, &a), 11);
    part = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, part, lp_int(LP_I32, 1)), 1);
    lp_op_to(k, sum, LP_OP_add_nw, 2, (struct lp_val[]){sum, part}, 0);
    oct_k_close(b, a.loops);
    struct product p = {.c = &c};
    struct lp_val n;
    p.reciprocal = reciprocal(k, sum, &n);
    /* the product goes down by 34 - n, rounded; one less here, the last with the rounding */
    p.down = lp_op1(k, "down", LP_OP_cvt, i64, lp_op2(k, NULL, LP_OP_sub_nw, lp_int(LP_I32, 33), n));
    if (c.kept >= 0) each_kept(b, &c, product, &p);
    else {
        a = walk(b, c.axis, c.at);
        store_product(b, &p, a.out, lp_op2(k, NULL, LP_OP_mull, p.reciprocal, exponential_of(b, &c, a.in)));
        oct_k_close(b, a.loops);
    }
    oct_k_close(b, c.loops);
    return true;
}

/* ---- floats
 * -------------------------------------------------------------------------------------------------------------------------------
 */

bool oct_fits_softmax_onnx(const struct oct_kbuild *b) {
    return oct_r_through_float(b) && oct_dtype_size(b->in[0].node->type.dtype) <= 2;
}

/* Floats, or codes through float. */
bool oct_build_softmax_f32(struct oct_kbuild *b) {
    struct lp_kernel *k = b->k;
    int axis = axis_of(b);
    int32_t in = oct_k_in(b, 0), out = oct_k_out(b);
    struct lp_addr at[2];
    int loops = rows(b, axis, at);
    struct lp_type f = lp_scalar(LP_F32);
    struct lp_val max = lp_reg(k, f, "max"), sum = lp_reg(k, f, "sum");
    lp_set(k, max, lp_flt(LP_F32, -INFINITY));
    struct along a = walk(b, axis, at);
    lp_op_to(k, max, LP_OP_fmax, 2, (struct lp_val[]){oct_r_load(b, 0, in, a.in), max}, 0);
    oct_k_close(b, a.loops);
    lp_set(k, sum, lp_flt(LP_F32, 0));
    a = walk(b, axis, at);
    const bool kept = oct_k_is_float(&b->node->type); /* in the result, where floats fit; otherwise made twice */
    struct lp_val e = oct_r_exp(k, lp_op2(k, NULL, LP_OP_fsub, oct_r_load(b, 0, in, a.in), max));
    lp_op_to(k, sum, LP_OP_fadd, 2, (struct lp_val[]){sum, e}, 0);
    if (kept) lp_store(k, out, a.out, e);
    oct_k_close(b, a.loops);
    a = walk(b, axis, at);
    e = kept ? lp_load(k, NULL, f, out, a.out) : oct_r_exp(k, lp_op2(k, NULL, LP_OP_fsub, oct_r_load(b, 0, in, a.in), max));
    oct_r_store(b, out, a.out, lp_op2(k, NULL, LP_OP_fdiv, e, sum));
    oct_k_close(b, a.loops);
    oct_k_close(b, loops);
    return true;
}
