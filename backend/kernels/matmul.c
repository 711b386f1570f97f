/* matmul.c - batched product of two activations, codes and floats: a[..., M, K] b[..., K, N], batch axes broadcast. */
#include <inttypes.h>

#include "real.h"
#include "vec.h"
#include "window.h"

/* Operand i over the result's axes; the axis it is summed along does not appear (*step: distance of two elements of that axis).
 */
static struct oct_layout operand(const struct oct_kbuild *b, int i, int64_t *step) {
    struct oct_layout in = b->in[i].at, to = b->out.at;
    int summed = i ? in.rank - 2 : in.rank - 1;
    *step = in.stride[summed];
    in.dim[summed] = 1;
    return oct_layout_broadcast(&in, &to);
}

static bool matrices(const struct oct_kbuild *b) { return b->in[0].at.rank >= 2 && b->in[1].at.rank >= 2; }
bool oct_fits_matmul(const struct oct_kbuild *b) {
    for (int i = 0; i < 2; i++) {
        const struct oct_type *t = &b->in[i].node->type;
        if (!oct_k_is_codes(t) || oct_dtype_size(t->dtype) > 2 || t->q->axis >= 0) return false;
    }
    return matrices(b) && oct_k_is_codes(&b->node->type);
}
bool oct_fits_matmul_f32(const struct oct_kbuild *b) {
    return matrices(b) && oct_k_is_float(&b->in[0].node->type) && oct_k_is_float(&b->in[1].node->type) &&
           oct_k_is_float(&b->node->type);
}

static struct lp_val element(struct oct_kbuild *b, int i, int32_t buf, struct lp_addr at) {
    if (b->k->buf[buf].elem == LP_F32) return lp_load(b->k, NULL, lp_scalar(LP_F32), buf, at);
    struct lp_val v = oct_k_load_code(b, NULL, buf, at);
    int32_t z = oct_zero(b->in[i].node->type.q, 0);
    return z ? lp_op2(b->k, NULL, LP_OP_sub_nw, v, lp_int(LP_I32, z)) : v;
}

static void build(struct oct_kbuild *b, const struct oct_rq *rq, bool wide) {
    const enum lp_elem sum = !rq ? LP_F32 : wide ? LP_I64 : LP_I32;
    int64_t step[2], terms = b->in[0].at.dim[b->in[0].at.rank - 1];
    struct oct_layout a = operand(b, 0, &step[0]), c = operand(b, 1, &step[1]);
    int32_t x = oct_k_in(b, 0), y = oct_k_in(b, 1), out = oct_k_out(b);
    struct lp_addr at[3];
    int loops = oct_k_nest(b, 3, (const struct oct_layout *[]){&b->out.at, &a, &c}, 0, at), inner = 0;
    struct lp_val acc = lp_reg(b->k, lp_scalar(sum), "acc");
    lp_set(b->k, acc, rq ? lp_int(sum, 0) : lp_flt(LP_F32, 0));
    oct_k_loop(b, "k", terms, &at[1], step[0], &at[2], step[1], &inner);
    struct lp_val p = lp_op2(b->k, NULL,
                             wide ? LP_OP_mull
                             : rq ? LP_OP_mul_nw
                                  : LP_OP_fmul,
                             element(b, 0, x, at[1]), element(b, 1, y, at[2]));
    lp_op_to(b->k, acc, rq ? LP_OP_add_nw : LP_OP_fadd, 2, (struct lp_val[]){acc, p}, 0);
    oct_k_close(b, inner);
    if (rq) oct_k_store_code(b, out, at[0], oct_rq_build(b, rq, acc, -1, lp_at(0)));
    else lp_store(b->k, out, at[0], oct_r_clamp(b->k, acc, b->node->at.clip[0], b->node->at.clip[1]));
    oct_k_close(b, loops);
}

bool oct_build_matmul_f32(struct oct_kbuild *b) {
    build(b, NULL, false);
    return true;
}

bool oct_build_matmul(struct oct_kbuild *b) {
    int64_t terms = b->in[0].at.dim[b->in[0].at.rank - 1], most[2];
    for (int i = 0; i < 2; i++) {
        int32_t lo, hi, z = oct_zero(b->in[i].node->type.q, 0);
        oct_k_code_range(b->in[i].node, &lo, &hi);
        most[i] = hi - z > z - lo ? hi - z : z - lo;
    }
    int64_t hi = terms * most[0] * most[1], lo = -hi;
    enum oct_profile p;
    double m = oct_rq_linear(b->node, b->in[0].node, oct_scale(b->in[1].node->type.q, 0), &p);
    int32_t qmin, qmax;
    oct_k_clamp_range(b->node, &qmin, &qmax);
    struct oct_rq rq;
    const bool wide = hi > INT32_MAX;
    b->acc_bound = hi;
    if (wide) oct_k_fallback(b, "sums of 64 bits: an accumulator may reach %" PRId64, hi);
    if (wide) b->overflow_proofs.refused++;
    else b->overflow_proofs.accepted++;
    if (!oct_rq_plan(b, p, 1, &m, &lo, &hi, oct_zero(b->node->type.q, 0), qmin, qmax, &rq)) return false;
    if (b->target->vector_bits >= 256) {
        int64_t step[2];
        const struct oct_layout a = operand(b, 0, &step[0]), c = operand(b, 1, &step[1]);
        const char *why = oct_matmul_vec_refuses(b);
        if (!why && oct_matmul_vec_build(b, &rq, &a, step[0], &c, step[1])) return true;
        oct_k_fallback(b, "scalar code: %s", why ? why : "a requantizer of more than 32 bits");
    }
    build(b, &rq, wide);
    return true;
}
