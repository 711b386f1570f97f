/* shape_move.c - reshape, slice and pad. Requires infer.c. N counts as a number that divides nothing. */
#include "hooks.h"
#include "infer.h"

/* Product of the numbers among dims [0, to), N left out; within the cap, as the operand's whole product is. */
static int64_t numbers(const struct oct_type *t, int to) {
    int64_t p = 1;
    for (int i = 0; i < to; i++)
        if (t->dim[i] != OCT_DIM_N) p *= t->dim[i];
    return p;
}

static int batch_axis(const struct oct_type *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] == OCT_DIM_N) return i;
    return -1;
}

/* One target entry: a number from 1, N, or one -1 that takes what remains (the batch, when that is all that does). */
bool shape_reshape(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    struct oct_ints *shape = &n->at.shape;
    if (!OCT_HAS(n->at, shape)) return oct_misuse(cx, n, OCT_E2006, "needs shape=(...)");
    const int64_t have = numbers(x, x->rank);
    const bool has_n = batch_axis(x) >= 0;
    int64_t product = 1;
    int rest = -1, batches = 0;
    for (int i = 0; i < shape->n; i++) {
        const int64_t d = shape->v[i];
        if (d == -1 && rest < 0) rest = i;
        else if (d == OCT_DIM_N) batches++;
        else if (d < 1) {
            oct_misuse(cx, n, OCT_E2121, d == -1 ? "shape has more than one -1" : "shape has an entry of %lld", (long long)d);
            oct_help(cx, "entries are numbers from 1, N for the batch, and at most one -1 for what remains");
            return false;
        } else if (__builtin_mul_overflow(product, d, &product) || product > have) product = have + 1;
    }
    if (batches > 1 || (batches && !has_n)) {
        oct_misuse(cx, n, OCT_E2121, batches > 1 ? "shape has N twice" : "shape has N, but the operand has no batch");
        return oct_note_operand(cx, n, 0);
    }
    if (rest >= 0 && has_n && !batches && product == have) {
        shape->v[rest] = OCT_DIM_N;
        batches = 1;
    } else if (rest >= 0 && have % product == 0) {
        shape->v[rest] = have / product;
        product = have;
    }
    if (product != have || batches != has_n) {
        oct_misuse(cx, n, OCT_E2120, "the elements of %s do not fill the target shape", oct_typed(cx, n->operand[0]));
        oct_note_operand(cx, n, 0);
        oct_help(cx, has_n ? "%lld elements for each sample; the batch is N" : "%lld elements", (long long)have);
        return false;
    }
    out->rank = shape->n;
    for (int i = 0; i < shape->n; i++) out->dim[i] = shape->v[i];
    if (has_n && numbers(x, batch_axis(x)) != numbers(out, batch_axis(out))) {
        oct_misuse(cx, n, OCT_E2122,
                   "this would mix the elements of different samples: N stands behind %lld elements, then behind %lld",
                   (long long)numbers(x, batch_axis(x)), (long long)numbers(out, batch_axis(out)));
        return oct_note_operand(cx, n, 0);
    }
    return true;
}

/* First index, and one past the last in the direction of the step, as both are resolved and printed. Indices count from the end
 * when negative and are clamped; "past the first" of a negative step is written -size-1, which resolves to itself. */
static void resolve_range(int64_t size, int64_t step, int64_t *begin, int64_t *end, int64_t *count) {
    int64_t b = *begin < -size ? -size - 1 : *begin, e = *end < -size ? -size - 1 : *end;
    if (b < 0) b += size;
    if (e < 0) e += size;
    const int64_t least = step < 0 ? -1 : 0, most = step < 0 ? size - 1 : size;
    b = b < least ? least : b > most ? most : b;
    e = e < least ? least : e > most ? most : e;
    *count = 0;
    if (step > 0 && e > b) *count = (e - b - 1) / step + 1;
    if (step < 0 && b > e) *count = (b - e - 1) / -step + 1;
    *begin = b;
    *end = e < 0 ? -size - 1 : e;
}

bool shape_slice(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    struct oct_attrs *at = &n->at;
    if (!OCT_HAS(*at, axes)) { /* the first ones */
        OCT_MARK(*at, axes);
        at->axes.n = at->begin.n;
        for (int i = 0; i < at->axes.n; i++) at->axes.v[i] = i;
    }
    if (!OCT_HAS(*at, step)) {
        OCT_MARK(*at, step);
        at->step.n = at->begin.n;
        for (int i = 0; i < at->step.n; i++) at->step.v[i] = 1;
    }
    const int k = at->axes.n;
    if (at->begin.n != k || at->end.n != k || at->step.n != k || !k) {
        oct_misuse(cx, n, OCT_E2125, "begin, end, axes and step must be lists of one length: %d, %d, %d, %d", at->begin.n,
                   at->end.n, k, at->step.n);
        oct_help(cx, "like axes=(2,3) begin=(1,1) end=(31,31)");
        return false;
    }
    if (!oct_resolve_axes(cx, n, x->rank, &at->axes)) return false;
    out->rank = x->rank;
    for (int i = 0; i < x->rank; i++) out->dim[i] = x->dim[i];
    for (int i = 0; i < k; i++) {
        const int64_t axis = at->axes.v[i], size = x->dim[axis];
        int64_t *step = &at->step.v[i];
        if (size == OCT_DIM_N) {
            oct_misuse(cx, n, OCT_E2119, "axis %lld is the batch, whose size is not known", (long long)axis);
            return oct_note_operand(cx, n, 0);
        }
        if (!*step) return oct_misuse(cx, n, OCT_E2126, "step 0 along axis %lld", (long long)axis);
        if (*step > size) *step = size; /* such steps take the first element alone */
        if (*step < -size) *step = -size;
        resolve_range(size, *step, &at->begin.v[i], &at->end.v[i], &out->dim[axis]);
        if (out->dim[axis] < 1) {
            oct_misuse(cx, n, OCT_E2127, "nothing is left of axis %lld, whose size is %lld", (long long)axis, (long long)size);
            return oct_note_operand(cx, n, 0);
        }
    }
    return true;
}

bool shape_pad(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    const struct oct_ints *pads = &n->at.pads;
    if (pads->n != 2 * x->rank) {
        oct_misuse(cx, n, OCT_E2128, "pads must have %d entries, not %d: before each axis, then after each", 2 * x->rank,
                   pads->n);
        return oct_note_operand(cx, n, 0);
    }
    out->rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        const int64_t before = pads->v[i], after = pads->v[x->rank + i];
        if (before < 0 || after < 0 || before > OCT_MAX_ELEMENTS || after > OCT_MAX_ELEMENTS) {
            oct_misuse(cx, n, OCT_E2128, "pads of axis %d are %lld and %lld, but must be from 0 to %lld", i, (long long)before,
                       (long long)after, (long long)OCT_MAX_ELEMENTS);
            if (before < 0 || after < 0) oct_help(cx, "to cut elements off, use slice");
            return false;
        }
        if (x->dim[i] == OCT_DIM_N && (before || after)) {
            oct_misuse(cx, n, OCT_E2119, "axis %d is the batch, which cannot be padded", i);
            return oct_note_operand(cx, n, 0);
        }
        out->dim[i] = x->dim[i] == OCT_DIM_N ? OCT_DIM_N : x->dim[i] + before + after;
    }
    const float v = n->at.value;
    const bool code = v == truncf(v) && v >= (float)oct_dtype_min(x->dtype) && v <= (float)oct_dtype_max(x->dtype);
    if (oct_dtype_is_float(x->dtype) || (x->q ? isfinite(v) : code)) return true;
    return oct_misuse(cx, n, OCT_E2220, "value %g has no code of %s", (double)v, oct_dtype_name(x->dtype));
}
