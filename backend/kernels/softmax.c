/* softmax.c - softmax along one axis: codes under q31 and pot (table of exponentials, exact sum, exact quotient by restoring
 * division), and floats. docs/numerics.md 4.3, 7. */
#include <math.h>

#include "../../ir/interp.h"
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

bool oct_fits_softmax(const struct oct_kbuild *b) {
    const struct oct_type *x = &b->in[0].node->type, *y = &b->node->type;
    if (!oct_k_is_codes(x) || !oct_k_is_codes(y) || oct_dtype_size(x->dtype) != 1 || x->q->axis >= 0 || y->q->axis >= 0)
        return false;
    if (b->node->at.profile != OCT_profile_q31 && b->node->at.profile != OCT_profile_pot) return false;
    /* 2^17 S shifted by the bits of the quotient fits 63 bits */
    double w = round(0x1p16 / (double)oct_scale(y->q, 0));
    return w < 0x1p30 && (double)b->out.at.dim[axis_of(b)] * 0x1p40 * (w / 0x1p16 + 2) * 2 < 0x1p63;
}

bool oct_build_softmax(struct oct_kbuild *b) {
    const struct oct_type *x = &b->in[0].node->type, *y = &b->node->type;
    struct lp_kernel *k = b->k;
    int axis = axis_of(b);
    int32_t *exponential = OCT_NEW_N(b->arena, int32_t, 256);
    for (int d = 0; d < 256; d++) exponential[d] = (int32_t)nearbyintf(0x1p23f * oct_expf(-(oct_scale(x->q, 0) * (float)d)));
    int64_t w = (int64_t)round(0x1p16 / (double)oct_scale(y->q, 0)), most = (w >> 16) + 2;
    int common = 16; /* numerator and denominator by the powers of two that they share */
    while (common > 0 && (w & (((int64_t)1 << common) - 1))) common--;
    int bits = 1;
    while (((int64_t)1 << bits) <= most) bits++;

    int32_t in = oct_k_in(b, 0), out = oct_k_out(b), table = oct_k_const(b, "exponential", LP_I32, 256, exponential);
    struct lp_addr at[2];
    int loops = rows(b, axis, at);
    struct lp_type code = lp_scalar((enum lp_elem)k->buf[in].elem), i64 = lp_scalar(LP_I64), i32 = lp_scalar(LP_I32);
    struct lp_val top = lp_reg(k, code, "top");
    lp_set(k, top, lp_int((enum lp_elem)code.elem, oct_dtype_min(x->dtype)));
    struct along a = walk(b, axis, at);
    lp_op_to(k, top, LP_OP_max, 2, (struct lp_val[]){top, lp_load(k, NULL, code, in, a.in)}, 0);
    oct_k_close(b, a.loops);
    struct lp_val max = lp_op1(k, "max", LP_OP_cvt, i32, top), sum = lp_reg(k, i64, "sum");

    struct lp_val exp_of[2];
    for (int pass = 0; pass < 2; pass++) {
        if (!pass) lp_set(k, sum, lp_int(LP_I64, 0));
        a = walk(b, axis, at);
        struct lp_val d = lp_op2(k, NULL, LP_OP_sub_nw, max, oct_k_load_code(b, NULL, in, a.in));
        d = lp_op2(k, NULL, LP_OP_and, d, lp_int(LP_I32, 255)); /* changes nothing: says that the table holds it */
        exp_of[pass] =
            lp_op1(k, pass ? "rest" : NULL, LP_OP_cvt, i64, lp_load(k, NULL, i32, table, lp_indexed(lp_at(0), d, 0, 255)));
        if (!pass) {
            lp_op_to(k, sum, LP_OP_add_nw, 2, (struct lp_val[]){sum, exp_of[0]}, 0);
            oct_k_close(b, a.loops);
        }
    }
    /* v = floor((2 T W + 2^16 S) / (2^17 S)) */
    struct lp_val rest = exp_of[1], half = lp_shift(k, NULL, LP_OP_shl, sum, 16 - common);
    lp_op_to(k, rest, LP_OP_mul_nw, 2, (struct lp_val[]){rest, lp_int(LP_I64, 2 * (w >> common))}, 0);
    lp_op_to(k, rest, LP_OP_add_nw, 2, (struct lp_val[]){rest, half}, 0);
    struct lp_val v = lp_reg(k, i32, "v");
    lp_set(k, v, lp_int(LP_I32, oct_zero(y->q, 0)));
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
    v = lp_op2(k, NULL, LP_OP_max, v, lp_int(LP_I32, oct_dtype_min(y->dtype)));
    oct_k_store_code(b, out, a.out, lp_op2(k, NULL, LP_OP_min, v, lp_int(LP_I32, oct_dtype_max(y->dtype))));
    oct_k_close(b, a.loops);
    oct_k_close(b, loops);
    b->recipe = "table, exact quotient";
    return true;
}

/* ---- floats
 * -------------------------------------------------------------------------------------------------------------------------------
 */

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
    struct lp_val x = lp_load(k, "x", f, in, a.in);
    lp_op_to(k, max, LP_OP_fmax, 2, (struct lp_val[]){x, max}, 0);
    oct_k_close(b, a.loops);
    lp_set(k, sum, lp_flt(LP_F32, 0));
    a = walk(b, axis, at);
    struct lp_val e = oct_r_exp(k, lp_op2(k, NULL, LP_OP_fsub, lp_load(k, NULL, f, in, a.in), max));
    lp_op_to(k, sum, LP_OP_fadd, 2, (struct lp_val[]){sum, e}, 0);
    lp_store(k, out, a.out, e);
    oct_k_close(b, a.loops);
    a = walk(b, axis, at);
    lp_store(k, out, a.out, lp_op2(k, NULL, LP_OP_fdiv, lp_load(k, NULL, f, out, a.out), sum));
    oct_k_close(b, a.loops);
    oct_k_close(b, loops);
    return true;
}
