/* move.c - ops that move elements: reshape and its kin, transpose, slice, pad, concat. Codes and floats alike; only concat may
 * have to change the parameters of a part. */
#include <math.h>

#include "map.h"
#include "one_rq.h"
#include "real.h"

static bool same_element(const struct oct_kbuild *b, int i) { return b->in[i].node->type.dtype == b->node->type.dtype; }
bool oct_fits_move(const struct oct_kbuild *b) { return same_element(b, 0); }

/* The row-major walk of `at`, if it is one run of memory. */
static bool contiguous(const struct oct_layout *at) {
    int64_t step = 1;
    for (int a = at->rank - 1; a >= 0; a--) {
        if (at->dim[a] > 1 && at->stride[a] != step) return false;
        step *= at->dim[a];
    }
    return true;
}

/* A run of memory seen with the dims of another layout of as many elements. */
static struct oct_layout as_shape_of(const struct oct_layout *run, const struct oct_layout *shape) {
    struct oct_layout r;
    oct_layout_plain(&r, shape->rank, shape->dim);
    r.offset = run->offset;
    r.size = run->size;
    return r;
}

/* Shapes without common finer axes, as [2,3] and [3,2], where neither side is one run of memory: in two steps, through a run. */
static void through_scratch(struct oct_kbuild *b, int32_t x, int32_t y) {
    struct oct_layout from, to;
    oct_layout_plain(&from, b->in[0].at.rank, b->in[0].at.dim);
    oct_layout_plain(&to, b->out.at.rank, b->out.at.dim);
    int32_t run = oct_k_scratch(b, "run", (enum lp_elem)b->k->buf[x].elem, from.size);
    oct_k_copy(b, x, &b->in[0].at, run, &from);
    oct_k_copy(b, run, &to, y, &b->out.at);
    b->recipe = "two copies";
}

bool oct_build_reshape(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    struct oct_layout from = *in, to = *out;
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    if (!oct_layout_refine(in, out, &from, &to)) {
        from = contiguous(in) ? as_shape_of(in, out) : *in;
        to = contiguous(in) ? *out : as_shape_of(out, in);
        if (!contiguous(in) && !contiguous(out)) {
            through_scratch(b, x, y);
            return true;
        }
    }
    oct_k_copy(b, x, &from, y, &to);
    return true;
}

bool oct_build_transpose(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at;
    struct oct_layout from = *in;
    for (int a = 0; a < in->rank; a++) {
        int64_t p = b->node->at.perm.v[a];
        from.dim[a] = in->dim[p];
        from.stride[a] = in->stride[p];
    }
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    oct_k_copy(b, x, &from, y, &b->out.at);
    return true;
}

bool oct_build_slice(struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    struct oct_layout from = b->in[0].at;
    for (int i = 0; i < at->axes.n; i++) {
        int64_t axis = at->axes.v[i] < 0 ? at->axes.v[i] + from.rank : at->axes.v[i], dim = b->in[0].at.dim[axis];
        int64_t begin = at->begin.v[i] < 0 ? at->begin.v[i] + dim : at->begin.v[i], step = i < at->step.n ? at->step.v[i] : 1;
        if (begin < 0) begin = 0;
        if (begin > dim - 1) begin = dim - 1;
        from.offset += begin * from.stride[axis];
        from.stride[axis] *= step;
        from.dim[axis] = b->out.at.dim[axis];
    }
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    oct_k_copy(b, x, &from, y, &b->out.at);
    return true;
}

static void fill(struct oct_kbuild *b, int32_t y, const struct oct_layout *to, struct lp_val v) {
    struct lp_addr at;
    int loops = oct_k_nest(b, 1, (const struct oct_layout *[]){to}, 0, &at);
    lp_store(b->k, y, at, v);
    oct_k_close(b, loops);
}

/* Fills what lies before and after along each axis, then copies the middle: every element is written once. */
bool oct_build_pad(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at;
    const struct oct_type *t = &b->node->type;
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    struct lp_val v = oct_k_is_float(t) ? lp_flt(LP_F32, (double)b->node->at.value)
                      : t->q            ? lp_int(oct_k_elem(t->dtype), oct_code_of(t, b->node->at.value))
                                        : lp_int(oct_k_elem(t->dtype), (int64_t)b->node->at.value);
    struct oct_layout rest = b->out.at; /* what is not written yet */
    for (int a = 0; a < in->rank; a++) {
        int64_t before = b->node->at.pads.v[a], after = b->node->at.pads.v[in->rank + a];
        for (int side = 0; side < 2; side++) {
            struct oct_layout part = rest;
            part.dim[a] = side ? after : before;
            if (side) part.offset += (before + in->dim[a]) * rest.stride[a];
            if (part.dim[a] > 0) fill(b, y, &part, v);
        }
        rest.dim[a] = in->dim[a];
        rest.offset += before * rest.stride[a];
    }
    oct_k_copy(b, x, in, y, &rest);
    return true;
}
/* ---- concat
 * --------------------------------------------------------------------------------------------------------------------------------
 */

/* Do equal codes mean equal values? */
static bool same_codes(const struct oct_kbuild *b, int i) {
    const struct oct_type *x = &b->in[i].node->type, *y = &b->node->type;
    return x->dtype == y->dtype && (!x->q || !y->q || oct_quant_equal(x->q, y->q));
}

bool oct_fits_concat(const struct oct_kbuild *b) {
    for (int i = 0; i < b->nin; i++) {
        const struct oct_type *x = &b->in[i].node->type;
        if (same_codes(b, i)) continue;
        if (!oct_k_is_codes(x) || !oct_k_is_codes(&b->node->type) || x->q->axis >= 0 || oct_dtype_size(x->dtype) > 2)
            return false;
    }
    return b->nin < OCT_K_MAX_BUFS;
}

/* A part whose codes mean something else in the result. */
struct part {
    int operand;
    struct oct_one_rq r; /* profile onnx: through float instead */
};
static struct lp_val requantized(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    struct part *p = user;
    if (b->node->at.profile == OCT_profile_onnx) return oct_r_result(b, oct_r_value(b, p->operand, x[0]));
    const int32_t z = oct_zero(b->in[p->operand].node->type.q, 0);
    return oct_one_rq_code(b, &p->r, lp_op2(b->k, "v", LP_OP_sub_nw, oct_k_code_of(b, x[0]), lp_int(LP_I32, z)));
}
static bool requantize(struct oct_kbuild *b, int i, int32_t x, int32_t y, const struct oct_layout *to) {
    const struct oct_type *tx = &b->in[i].node->type, *ty = &b->node->type;
    const double m = (double)oct_scale(tx->q, 0) / (double)oct_scale(ty->q, 0);
    const bool real = b->node->at.profile == OCT_profile_onnx;
    int32_t qlo, qhi;
    oct_k_code_range(b->in[i].node, &qlo, &qhi);
    const int64_t z = oct_zero(tx->q, 0), lo = qlo - z, hi = qhi - z;
    struct part p = {.operand = i};
    if (!real) {
        if (!oct_rq_plan(b, b->node->at.profile, 1, &m, &lo, &hi, oct_zero(ty->q, 0), (int32_t)oct_dtype_min(ty->dtype),
                         (int32_t)oct_dtype_max(ty->dtype), &p.r.rq))
            return false;
        oct_one_rq_open(b, &p.r);
    }
    const struct oct_map map = {.n = 2,
                                .buf = {y, x},
                                .at = {to, &b->in[i].at},
                                .lanes = real ? oct_vec_lanes(b->target, LP_F32) : oct_one_rq_lanes(b, &p.r),
                                .fn = requantized,
                                .user = &p};
    oct_k_map(b, &map);
    return true;
}

bool oct_build_concat(struct oct_kbuild *b) {
    int64_t axis = b->node->at.axis < 0 ? b->node->at.axis + b->out.at.rank : b->node->at.axis;
    int32_t y = oct_k_out(b);
    struct oct_layout to = b->out.at;
    for (int i = 0; i < b->nin; i++) {
        to.dim[axis] = b->in[i].at.dim[axis];
        int32_t x = oct_k_in(b, i);
        if (same_codes(b, i)) oct_k_copy(b, x, &b->in[i].at, y, &to);
        else if (!requantize(b, i, x, y, &to)) return false;
        to.offset += to.dim[axis] * to.stride[axis];
    }
    return true;
}
