/* shape_same.c - leaves, ops whose result has the shape of an operand, and broadcasts. Requires infer.c. */
#include <string.h>

#include "hooks.h"
#include "infer.h"

static void like(struct oct_type *out, const struct oct_type *t) {
    out->rank = t->rank;
    memcpy(out->dim, t->dim, sizeof out->dim);
}

bool verify_none(struct oct_ctx *cx, const struct oct_node *n) {
    (void)cx, (void)n;
    return true;
}

bool shape_leaf(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] == OCT_DIM_N && (i > 0 || n->op == OCT_OP_const))
            return oct_misuse(cx, n, OCT_E2106,
                              n->op == OCT_OP_const ? "a constant has no batch: N must be a number"
                                                    : "N stands for the batch, which is axis 0 of an input, not axis %d",
                              i);
    const char *fault = OCT_HAS(n->at, seed) ? oct_random_fault(out, &n->at) : NULL;
    if (fault) return oct_misuse(cx, n, OCT_E2219, "%s", fault);
    return true;
}

bool shape_same(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    (void)cx;
    like(out, &n->operand[0]->type);
    return true;
}

/* softmax: resolves the axis, the last one by default; it must not be the batch. */
bool shape_along(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    like(out, &n->operand[0]->type);
    if (!OCT_HAS(n->at, axis)) OCT_SET(n->at, axis, -1);
    if (!oct_resolve_axis(cx, n, out->rank, &n->at.axis)) return false;
    if (out->dim[n->at.axis] != OCT_DIM_N) return true;
    oct_misuse(cx, n, OCT_E2119, "axis %lld is the batch; samples must not depend on each other", (long long)n->at.axis);
    return oct_note_operand(cx, n, 0);
}

/* All operands, two or three, aligned at the right. */
bool shape_broadcast(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    like(out, &n->operand[0]->type);
    for (int k = 1; k < n->noperands; k++) {
        struct oct_type a;
        const struct oct_type *b = &n->operand[k]->type;
        like(&a, out);
        out->rank = a.rank > b->rank ? a.rank : b->rank;
        for (int i = 0; i < out->rank; i++) {
            const int ia = i - (out->rank - a.rank), ib = i - (out->rank - b->rank);
            if (oct_broadcast_dim(ia < 0 ? 1 : a.dim[ia], ib < 0 ? 1 : b->dim[ib], &out->dim[i])) continue;
            oct_misuse(cx, n, OCT_E2116, "%s and %s do not broadcast at axis %d", oct_typed(cx, n->operand[k - 1]),
                       oct_typed(cx, n->operand[k]), i);
            for (int j = 0; j < n->noperands; j++) oct_note_operand(cx, n, j);
            oct_help(cx, "sizes must be equal, or one of them 1; axes are aligned at the right");
            return false;
        }
    }
    return true;
}

bool verify_batchnorm(struct oct_ctx *cx, const struct oct_node *n) {
    if (!oct_need_rank(cx, n, 0, 2, OCT_MAX_RANK)) return false;
    const int64_t channels = n->type.dim[1];
    for (int i = 1; i < n->noperands; i++) {
        const struct oct_type *t = &n->operand[i]->type;
        if (t->rank == 1 && t->dim[0] == channels && channels != OCT_DIM_N) {
            if (!oct_need_finite(cx, n, i)) return false;
            continue;
        }
        oct_misuse(cx, n, OCT_E2130, "'%s' must have one element for each of the channels in axis 1",
                   oct_op_info(n->op)->operands[i]);
        oct_note_operand(cx, n, 0);
        return oct_note_operand(cx, n, i);
    }
    const float *var = n->operand[4]->data;
    for (int64_t i = 0; var && i < channels; i++)
        if (!(var[i] + n->at.eps > 0)) {
            oct_misuse(cx, n, OCT_E2131, "variance %g of channel %lld plus eps %g is not positive", (double)var[i], (long long)i,
                       (double)n->at.eps);
            return oct_note_operand(cx, n, 4);
        }
    return true;
}

bool shape_lut(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) { return shape_same(cx, n, out); }

bool verify_lut(struct oct_ctx *cx, const struct oct_node *n) {
    const struct oct_type *x = &n->operand[0]->type, *t = &n->operand[1]->type;
    const int64_t codes = oct_dtype_max(x->dtype) - oct_dtype_min(x->dtype) + 1;
    if (n->operand[1]->op != OCT_OP_const) {
        oct_misuse(cx, n, OCT_E2307, "the table must be a constant");
        return oct_note_operand(cx, n, 1);
    }
    if (t->rank == 1 && t->dim[0] == codes && t->dtype == n->type.dtype) return true;
    oct_misuse(cx, n, OCT_E2132, "the table must be %s[%lld]: one entry for each code of x, of the result's type",
               oct_dtype_name(n->type.dtype), (long long)codes);
    oct_note_operand(cx, n, 0);
    return oct_note_operand(cx, n, 1);
}

bool verify_observe(struct oct_ctx *cx, const struct oct_node *n) {
    if (oct_dtype_is_float(n->at.to) || oct_dtype_max(n->at.to) > UINT16_MAX)
        return oct_misuse(cx, n, OCT_E2213, "to=%s is no type for codes", oct_dtype_name(n->at.to));
    if (n->at.bits && (n->at.bits < 2 || n->at.bits > 16))
        return oct_misuse(cx, n, OCT_E2005, "bits=%lld is no width of codes: 2 to 16, or 0 for all that the type has",
                          (long long)n->at.bits);
    if (OCT_HAS(n->at, range) && !(isfinite(n->at.range[0]) && isfinite(n->at.range[1])))
        return oct_misuse(cx, n, OCT_E2005, "range must be finite");
    return true;
}

bool verify_requantize(struct oct_ctx *cx, const struct oct_node *n) { return verify_none(cx, n); }
