/* shape_product.c - shapes of dense and matmul, and what all ops with weight and bias share. Requires infer.c. */
#include "hooks.h"
#include "infer.h"

bool shape_dense(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    if (!oct_need_rank(cx, n, 0, 1, OCT_MAX_RANK) || !oct_need_rank(cx, n, 1, 2, 2) || !oct_need_numbers(cx, n, 1, 0))
        return false;
    const struct oct_type *x = &n->operand[0]->type, *w = &n->operand[1]->type;
    const int last = x->rank - 1;
    if (!oct_need_numbers(cx, n, 0, last)) return false;
    if (x->dim[last] != w->dim[1]) {
        oct_misuse(cx, n, OCT_E2114, "input has %lld features but weight %s expects %lld", (long long)x->dim[last],
                   oct_quoted(cx, n->operand[1]), (long long)w->dim[1]);
        oct_note_operand(cx, n, 0);
        oct_note_operand(cx, n, 1);
        if (x->dim[last] == w->dim[0])
            oct_help(cx, "weights are [outputs,inputs]: transpose %s with perm=(1,0)", oct_quoted(cx, n->operand[1]));
        return false;
    }
    out->rank = x->rank;
    for (int i = 0; i < last; i++) out->dim[i] = x->dim[i];
    out->dim[last] = w->dim[0];
    return true;
}

bool shape_matmul(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    if (!oct_need_rank(cx, n, 0, 2, OCT_MAX_RANK) || !oct_need_rank(cx, n, 1, 2, OCT_MAX_RANK)) return false;
    const struct oct_type *a = &n->operand[0]->type, *b = &n->operand[1]->type;
    if (!oct_need_numbers(cx, n, 0, a->rank - 1) || !oct_need_numbers(cx, n, 1, b->rank - 2)) return false;
    if (a->dim[a->rank - 1] != b->dim[b->rank - 2]) {
        oct_misuse(cx, n, OCT_E2115, "the rows of a have %lld elements but the columns of b have %lld",
                   (long long)a->dim[a->rank - 1], (long long)b->dim[b->rank - 2]);
        oct_note_operand(cx, n, 0);
        return oct_note_operand(cx, n, 1);
    }
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank - 2; i++) { /* leading axes broadcast, aligned at the right */
        const int ia = i - (out->rank - a->rank), ib = i - (out->rank - b->rank);
        if (oct_broadcast_dim(ia < 0 ? 1 : a->dim[ia], ib < 0 ? 1 : b->dim[ib], &out->dim[i])) continue;
        oct_misuse(cx, n, OCT_E2116, "leading axes of a and b do not broadcast");
        oct_note_operand(cx, n, 0);
        return oct_note_operand(cx, n, 1);
    }
    out->dim[out->rank - 2] = a->dim[a->rank - 2];
    out->dim[out->rank - 1] = b->dim[b->rank - 1];
    return true;
}

bool verify_linear(struct oct_ctx *cx, const struct oct_node *n) {
    if (oct_has_operand(n, 2)) {
        const struct oct_type *b = &n->operand[2]->type;
        const int64_t results = n->operand[1]->type.dim[0];
        if (b->rank != 1 || b->dim[0] != results) {
            oct_misuse(cx, n, OCT_E2113, "bias %s must have %lld elements, one for each output channel",
                       oct_quoted(cx, n->operand[2]), (long long)results);
            oct_note_operand(cx, n, 1);
            return oct_note_operand(cx, n, 2);
        }
    }
    return oct_need_finite(cx, n, 1) && oct_need_finite(cx, n, 2);
}
