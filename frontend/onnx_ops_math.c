/* onnx_ops_math.c - operators on elements: activations, arithmetic, softmax, means. */
#include <string.h>

#include "onnx_import.h"

oct_onnx_handler oct_onnx_build_unary, oct_onnx_build_clip, oct_onnx_build_leaky_relu, oct_onnx_build_hardsigmoid,
    oct_onnx_build_softmax, oct_onnx_build_binary, oct_onnx_build_divide, oct_onnx_build_reduce_mean;

bool oct_onnx_build_unary(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    return x && oct_onnx_emit(im, im->op->to, &x, 1, NULL, NULL);
}

static struct oct_node *number(struct oct_onnx *im, const char *suffix, float v) {
    struct oct_type t = {.dtype = OCT_F32};
    const char *name = oct_fresh_const_name(im->m, oct_sprintf(im->a, "%.48s%s", im->out[0]->name, suffix));
    return oct_build_const_copy(im->m, name, &t, &v, im->span);
}

bool oct_onnx_build_clip(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    float lo = -INFINITY, hi = INFINITY;
    if (!x || (oct_onnx_has(im, 1) && !oct_onnx_scalar(im, 1, &lo)) || (oct_onnx_has(im, 2) && !oct_onnx_scalar(im, 2, &hi)))
        return false;
    if (isnan(lo) || isnan(hi)) return oct_onnx_invalid(im, "its bounds are %g and %g", (double)lo, (double)hi);
    if (lo > hi) lo = hi; /* as ONNX defines it: min(max(x, lo), hi) */
    if (lo == -INFINITY && hi == INFINITY) return oct_onnx_alias(im);
    if (lo == 0 && hi == 6) return oct_onnx_emit(im, OCT_OP_relu6, &x, 1, NULL, NULL);
    if (lo == 0 && hi == INFINITY) return oct_onnx_emit(im, OCT_OP_relu, &x, 1, NULL, NULL);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, clip);
    at.clip[0] = lo;
    at.clip[1] = hi;
    return oct_onnx_emit(im, OCT_OP_clip, &x, 1, &at, NULL);
}

bool oct_onnx_build_leaky_relu(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, alpha, oct_onnx_attr_float(im, "alpha", 0.01f));
    if (!isfinite(at.alpha)) return oct_onnx_invalid(im, "alpha is %g", (double)at.alpha);
    return x && oct_onnx_emit(im, OCT_OP_leaky_relu, &x, 1, &at, NULL);
}

/* max(0, min(1, alpha x + beta)); octavo's op has alpha = 1/6, beta = 1/2, all others become mul, add, clip. */
bool oct_onnx_build_hardsigmoid(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    float alpha = oct_onnx_attr_float(im, "alpha", 0.2f), beta = oct_onnx_attr_float(im, "beta", 0.5f);
    if (!x || im->failed) return false;
    if (!isfinite(alpha) || !isfinite(beta))
        return oct_onnx_invalid(im, "alpha and beta are %g and %g", (double)alpha, (double)beta);
    if (fabsf(alpha - 1.0f / 6) <= 2e-8f && beta == 0.5f) return oct_onnx_emit(im, OCT_OP_hardsigmoid, &x, 1, NULL, NULL);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, clip);
    at.clip[0] = 0;
    at.clip[1] = 1;
    struct oct_node *a = number(im, ".alpha", alpha), *b = number(im, ".beta", beta);
    struct oct_node *ax = a && b ? oct_onnx_step(im, ".mul", OCT_OP_mul, (struct oct_node *[]){x, a}, 2, NULL, NULL) : NULL;
    struct oct_node *sum = ax ? oct_onnx_step(im, ".add", OCT_OP_add, (struct oct_node *[]){ax, b}, 2, NULL, NULL) : NULL;
    return sum && oct_onnx_emit(im, OCT_OP_clip, &sum, 1, &at, NULL);
}

static struct oct_node *reshaped(struct oct_onnx *im, const char *suffix, struct oct_node *x, int rank, const int64_t *dim) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, shape);
    at.shape.n = rank;
    memcpy(at.shape.v, dim, (size_t)rank * sizeof *dim);
    return oct_onnx_step(im, suffix, OCT_OP_reshape, &x, 1, &at, NULL);
}

/* Before operator set 13: over all axes from `axis` on, as if they were one. */
static bool softmax_of_rows(struct oct_onnx *im, struct oct_node *x, int axis) {
    int64_t dim[OCT_MAX_RANK], row = 1;
    memcpy(dim, x->type.dim, sizeof dim);
    for (int i = axis; i < x->type.rank; i++) row *= dim[i];
    dim[axis] = row;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, axis);
    struct oct_node *flat = reshaped(im, ".rows", x, axis + 1, dim);
    if (!flat || !(flat = oct_onnx_step(im, ".softmax", OCT_OP_softmax, &flat, 1, &at, NULL))) return false;
    oct_attrs_init(&at);
    OCT_MARK(at, shape);
    at.shape.n = x->type.rank;
    memcpy(at.shape.v, x->type.dim, (size_t)x->type.rank * sizeof *dim);
    return oct_onnx_emit(im, OCT_OP_reshape, &flat, 1, &at, NULL);
}

bool oct_onnx_build_softmax(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    int axis;
    const bool rows = im->opset < 13 && im->op->domain[0] == 0;
    if (!x || !oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", rows ? 1 : -1), x->type.rank, &axis)) return false;
    if (rows && axis < x->type.rank - 1 && x->type.dim[axis] != OCT_DIM_N) return softmax_of_rows(im, x, axis);
    if (x->type.dim[axis] == OCT_DIM_N)
        return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, axis);
    return oct_onnx_emit(im, OCT_OP_softmax, &x, 1, &at, NULL);
}

/* Before operator set 7, with broadcast=1: the axes of b are those of a from `axis` on, the last ones where it is not given. */
static struct oct_node *aligned(struct oct_onnx *im, const struct oct_node *a, struct oct_node *b) {
    if (!oct_onnx_attr_int(im, "broadcast", 0) && !oct_shape_equal(&a->type, &b->type))
        return oct_onnx_invalid(im, "its operands are of different shapes, without broadcast=1"), NULL;
    int axis, rank = b->type.rank;
    if (!oct_onnx_attr(im, "axis") || !rank) return b;
    if (!oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), a->type.rank, &axis)) return NULL;
    if (axis + rank > a->type.rank)
        return oct_onnx_invalid(im, "its second operand has too many dimensions for axis %d", axis), NULL;
    if (axis + rank == a->type.rank) return b;
    int64_t dim[OCT_MAX_RANK];
    memcpy(dim, b->type.dim, sizeof dim);
    for (; axis + rank < a->type.rank; rank++) dim[rank] = 1;
    return reshaped(im, ".b", b, rank, dim);
}

bool oct_onnx_build_binary(struct oct_onnx *im) {
    struct oct_node *a = oct_onnx_float_operand(im, 0), *b = oct_onnx_float_operand(im, 1);
    if (a && b && im->opset < 7) b = aligned(im, a, b);
    return a && b && oct_onnx_emit(im, im->op->to, (struct oct_node *[]){a, b}, 2, NULL, NULL);
}

/* By constants as a product with the reciprocal: exact for powers of two, otherwise said to be off by a last bit. */
bool oct_onnx_build_divide(struct oct_onnx *im) {
    struct oct_node *a = oct_onnx_float_operand(im, 0);
    const struct oct_onnx_const *c = im->in[1]->c;
    if (!a) return false;
    if (im->opset < 7 && oct_onnx_attr(im, "axis"))
        return oct_onnx_unsupported(im, "convert the model to a newer operator set", "it divides along an axis");
    if (!c) {
        struct oct_node *b = oct_onnx_float_operand(im, 1);
        return b && oct_onnx_emit(im, OCT_OP_div, (struct oct_node *[]){a, b}, 2, NULL, NULL);
    }
    if (c->type != ONNX_FLOAT) return oct_onnx_invalid(im, "its operands are of different types");
    if (!oct_onnx_budget(im, (size_t)c->n * sizeof(float))) return false;
    struct oct_onnx_const r = *c;
    float *v = OCT_NEW_N(im->a, float, c->n);
    bool exact = true;
    for (int64_t i = 0; i < c->n; i++) {
        float x = ((const float *)c->data)[i];
        int e;
        v[i] = 1.0f / x;
        exact &= fabsf(frexpf(x, &e)) == 0.5f && isnormal(v[i]);
        if (!isfinite(v[i])) return oct_onnx_invalid(im, "element %lld of its divisor is %g", (long long)i, (double)x);
    }
    r.data = v;
    struct oct_node *b = oct_onnx_const_node(im, oct_sprintf(im->a, "%.48s.reciprocal", im->in[1]->name), &r, NULL);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!exact) OCT_SET(at, why, "x / c in the source: the product with 1 / c may differ in the last bit");
    return b && oct_onnx_emit(im, OCT_OP_mul, (struct oct_node *[]){a, b}, 2, &at, NULL);
}

bool oct_onnx_build_reduce_mean(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || !oct_onnx_axes_input(im, 1, &at.axes)) return false;
    if (at.axes.n <= 0) {
        if (oct_onnx_attr_int(im, "noop_with_empty_axes", 0)) return oct_onnx_alias(im);
        at.axes.n = x->type.rank;
        for (int i = 0; i < x->type.rank; i++) at.axes.v[i] = i;
    }
    if (!oct_onnx_axes(im, &at.axes, x->type.rank)) return false;
    for (int i = 0; i < at.axes.n; i++)
        if (x->type.dim[at.axes.v[i]] == OCT_DIM_N)
            return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
    OCT_MARK(at, axes);
    if (oct_onnx_attr_int(im, "keepdims", 1)) OCT_SET(at, keepdims, true);
    return oct_onnx_emit(im, OCT_OP_mean, &x, 1, &at, NULL);
}
