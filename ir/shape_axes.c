/* shape_axes.c - ops that reduce, drop, insert, permute or join axes. Requires infer.c. */
#include <string.h>

#include "hooks.h"
#include "infer.h"

static bool need_axes(struct oct_ctx *cx, const struct oct_node *n, const char *example) {
    if (n->at.axes.n > 0) return true;
    oct_misuse(cx, n, OCT_E2006, "needs axes=(...)");
    oct_help(cx, "%s", example);
    return false;
}

static unsigned as_set(const struct oct_ints *axes) {
    unsigned s = 0;
    for (int i = 0; i < axes->n; i++) s |= 1u << axes->v[i];
    return s;
}

bool shape_mean(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    if (!need_axes(cx, n, "over all of each image: axes=(2,3)") || !oct_resolve_axes(cx, n, x->rank, &n->at.axes)) return false;
    const unsigned reduced = as_set(&n->at.axes);
    out->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!(reduced >> i & 1u)) out->dim[out->rank++] = x->dim[i];
        else if (x->dim[i] == OCT_DIM_N) {
            oct_misuse(cx, n, OCT_E2119, "axis %d is the batch; samples must not depend on each other", i);
            return oct_note_operand(cx, n, 0);
        } else if (n->at.keepdims) out->dim[out->rank++] = 1;
    }
    return true;
}

bool shape_squeeze(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    if (!OCT_HAS(n->at, axes)) { /* every axis of size 1 */
        OCT_MARK(n->at, axes);
        n->at.axes.n = 0;
        for (int i = 0; i < x->rank; i++)
            if (x->dim[i] == 1) n->at.axes.v[n->at.axes.n++] = i;
    }
    if (!oct_resolve_axes(cx, n, x->rank, &n->at.axes)) return false;
    const unsigned dropped = as_set(&n->at.axes);
    out->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!(dropped >> i & 1u)) out->dim[out->rank++] = x->dim[i];
        else if (x->dim[i] != 1) {
            oct_misuse(cx, n, OCT_E2123, "axis %d cannot be dropped: its size is not 1", i);
            return oct_note_operand(cx, n, 0);
        }
    }
    return true;
}

bool shape_unsqueeze(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    const int rank = x->rank + n->at.axes.n;
    if (!need_axes(cx, n, "where the new axes stand in the result, like axes=(0)")) return false;
    if (rank > OCT_MAX_RANK)
        return oct_misuse(cx, n, OCT_E2107, "a result of %d axes, but at most %d are possible", rank, OCT_MAX_RANK);
    if (!oct_resolve_axes(cx, n, rank, &n->at.axes)) return false;
    const unsigned added = as_set(&n->at.axes);
    out->rank = rank;
    for (int i = 0, from = 0; i < rank; i++) out->dim[i] = added >> i & 1u ? 1 : x->dim[from++];
    return true;
}

/* Two axes: what is before `axis` and what is behind it. N must be alone on its side, or it would mix with other axes. */
bool shape_flatten(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    if (!OCT_HAS(n->at, axis)) OCT_SET(n->at, axis, 1);
    if (n->at.axis != x->rank && !oct_resolve_axis(cx, n, x->rank, &n->at.axis)) return false;
    out->rank = 2;
    out->dim[0] = out->dim[1] = 1;
    bool has_n[2] = {false, false};
    for (int i = 0; i < x->rank; i++) {
        const int part = i >= n->at.axis;
        if (x->dim[i] == OCT_DIM_N) has_n[part] = true;
        else out->dim[part] *= x->dim[i]; /* within the cap on elements, as x is */
    }
    for (int part = 0; part < 2; part++) {
        if (!has_n[part]) continue;
        if (out->dim[part] != 1) {
            oct_misuse(cx, n, OCT_E2122, "axis=%lld joins the batch N with other axes", (long long)n->at.axis);
            oct_note_operand(cx, n, 0);
            oct_help(cx, "axis=1 keeps the batch apart");
            return false;
        }
        out->dim[part] = OCT_DIM_N;
    }
    return true;
}

bool shape_transpose(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    const struct oct_ints *perm = &n->at.perm;
    unsigned seen = 0;
    for (int i = 0; i < perm->n; i++)
        if (perm->v[i] >= 0 && perm->v[i] < x->rank) seen |= 1u << perm->v[i];
    if (perm->n != x->rank || seen != (1u << x->rank) - 1) {
        oct_misuse(cx, n, OCT_E2124, "perm must name each of the %d axes once", x->rank);
        oct_note_operand(cx, n, 0);
        oct_help(cx, "result axis i is source axis perm[i]; for NCHW to NHWC: perm=(0,2,3,1)");
        return false;
    }
    out->rank = x->rank;
    for (int i = 0; i < x->rank; i++) out->dim[i] = x->dim[perm->v[i]];
    if (out->q && out->q->axis >= 0) { /* channel parameters move with their axis */
        struct oct_quant *q = OCT_NEW(oct_own(cx), struct oct_quant);
        *q = *out->q;
        for (int i = 0; i < x->rank; i++)
            if (perm->v[i] == out->q->axis) q->axis = i;
        out->q = q;
    }
    return true;
}

bool shape_concat(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *first = &n->operand[0]->type;
    if (!OCT_HAS(n->at, axis)) {
        oct_misuse(cx, n, OCT_E2006, "needs axis=...");
        oct_help(cx, "channels of images are axis=1");
        return false;
    }
    if (!oct_resolve_axis(cx, n, first->rank, &n->at.axis)) return false;
    const int axis = (int)n->at.axis;
    out->rank = first->rank;
    memcpy(out->dim, first->dim, sizeof out->dim);
    if (first->dim[axis] == OCT_DIM_N) {
        oct_misuse(cx, n, OCT_E2119, "axis %d is the batch; samples must not depend on each other", axis);
        return oct_note_operand(cx, n, 0);
    }
    for (int k = 1; k < n->noperands; k++) {
        const struct oct_type *t = &n->operand[k]->type;
        bool fits = t->rank == first->rank;
        for (int i = 0; fits && i < t->rank; i++) fits = i == axis ? t->dim[i] != OCT_DIM_N : t->dim[i] == first->dim[i];
        if (!fits) {
            oct_misuse(cx, n, OCT_E2129, "part %d is %s, which does not fit %s along axis %d", k, oct_typed(cx, n->operand[k]),
                       oct_typed(cx, n->operand[0]), axis);
            oct_note_operand(cx, n, 0);
            return oct_note_operand(cx, n, k);
        }
        out->dim[axis] += t->dim[axis]; /* each <= 2^31, fewer than 2^31 parts */
    }
    return true;
}
