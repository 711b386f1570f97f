/* onnx_ops_norm.c - normalisation by what is computed at run time: LayerNormalization, InstanceNormalization, LRN, and
 * MeanVarianceNormalization, made of means, products and square roots. */
#include <string.h>

#include "onnx_make.h"

oct_onnx_handler oct_onnx_build_layernorm, oct_onnx_build_instancenorm, oct_onnx_build_mean_variance, oct_onnx_build_lrn;

static struct oct_node *mean_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, *axes);
    OCT_SET(at, keepdims, true);
    return x ? oct_onnx_step(im, ".mean", OCT_OP_mean, &x, 1, &at, NULL) : NULL;
}
static struct oct_node *square(struct oct_onnx *im, struct oct_node *x) { return oct_onnx_make2(im, OCT_OP_mul, x, x); }
static struct oct_node *plus(struct oct_onnx *im, struct oct_node *x, float k) {
    return oct_onnx_make2(im, OCT_OP_add, x, oct_onnx_number(im, k));
}

/* Axes [from, rank), of which none is the batch. */
static bool axes_from(struct oct_onnx *im, const struct oct_type *t, int from, struct oct_ints *axes) {
    *axes = (struct oct_ints){0};
    for (int i = from; i < t->rank; i++) {
        if (t->dim[i] == OCT_DIM_N)
            return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
        axes->v[axes->n++] = i;
    }
    return true;
}

/* x less its mean; the mean; 1 / sqrt(variance + epsilon). */
struct centred {
    struct oct_node *x, *mean, *inverse;
};
static struct centred centred(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes, float epsilon) {
    struct centred c = {.mean = mean_over(im, x, axes)};
    c.x = oct_onnx_make2(im, OCT_OP_sub, x, c.mean);
    struct oct_node *variance = plus(im, mean_over(im, square(im, c.x), axes), epsilon);
    c.inverse = oct_onnx_make1(im, OCT_OP_reciprocal, oct_onnx_make1(im, OCT_OP_sqrt, variance));
    return c;
}

bool oct_onnx_build_layernorm(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0), *scale = oct_onnx_float_operand(im, 1),
                    *bias = oct_onnx_has(im, 2) ? oct_onnx_float_operand(im, 2) : NULL;
    const float epsilon = oct_onnx_attr_float(im, "epsilon", 1e-5f);
    int axis;
    struct oct_ints axes;
    if (!x || !scale || im->failed || !oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", -1), x->type.rank, &axis)) return false;
    if (!axes_from(im, &x->type, axis, &axes)) return false;
    const struct centred c = centred(im, x, &axes, epsilon);
    if (!c.inverse) return false;
    if (im->nout > 1 && im->out[1]) oct_onnx_result(im, 1, c.mean);
    if (im->nout > 2 && im->out[2]) oct_onnx_result(im, 2, c.inverse);
    struct oct_node *y = oct_onnx_make2(im, OCT_OP_mul, c.x, c.inverse);
    if (!bias) return oct_onnx_last2(im, OCT_OP_mul, y, scale);
    return oct_onnx_last2(im, OCT_OP_add, oct_onnx_make2(im, OCT_OP_mul, y, scale), bias);
}

/* One number for each channel, so that it meets axis 1 of `rank`. */
static struct oct_node *by_channel(struct oct_onnx *im, const char *suffix, int input, int rank) {
    struct oct_node *v = oct_onnx_float_operand(im, input);
    int64_t dim[OCT_MAX_RANK];
    if (!v) return NULL;
    if (v->type.rank != 1) return oct_onnx_invalid(im, "its input %d is no vector", input), NULL;
    dim[0] = v->type.dim[0];
    for (int i = 1; i < rank - 1; i++) dim[i] = 1;
    return oct_onnx_reshaped(im, suffix, v, rank - 1, dim);
}

bool oct_onnx_build_instancenorm(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    const float epsilon = oct_onnx_attr_float(im, "epsilon", 1e-5f);
    struct oct_ints axes;
    if (!x || im->failed) return false;
    if (x->type.rank < 3) return oct_onnx_invalid(im, "its input is %s", oct_type_text(im->a, &x->type));
    if (!axes_from(im, &x->type, 2, &axes)) return false;
    struct oct_node *scale = by_channel(im, ".scale", 1, x->type.rank), *bias = by_channel(im, ".bias", 2, x->type.rank);
    if (!scale || !bias) return false;
    const struct centred c = centred(im, x, &axes, epsilon);
    struct oct_node *k = oct_onnx_make2(im, OCT_OP_mul, c.inverse, scale);
    return oct_onnx_last2(im, OCT_OP_add, oct_onnx_make2(im, OCT_OP_mul, c.x, k), bias);
}

bool oct_onnx_build_mean_variance(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_ints axes;
    if (!x || !oct_onnx_attr_ints(im, "axes", &axes)) return false;
    if (axes.n < 0) axes = (struct oct_ints){3, {0, 2, 3}};
    if (!oct_onnx_axes(im, &axes, x->type.rank)) return false;
    for (int i = 0; i < axes.n; i++)
        if (x->type.dim[axes.v[i]] == OCT_DIM_N)
            return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
    struct oct_node *d = oct_onnx_make2(im, OCT_OP_sub, x, mean_over(im, x, &axes));
    struct oct_node *deviation = plus(im, oct_onnx_make1(im, OCT_OP_sqrt, mean_over(im, square(im, d), &axes)), 1e-9f);
    return oct_onnx_last2(im, OCT_OP_div, d, deviation);
}

/* x (bias + alpha mean)^-beta, the mean over `size` neighbouring channels' squares: an average pool over channels as rows. */
bool oct_onnx_build_lrn(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    const int64_t size = oct_onnx_attr_int(im, "size", 0);
    const float alpha = oct_onnx_attr_float(im, "alpha", 1e-4f), beta = oct_onnx_attr_float(im, "beta", 0.75f),
                bias = oct_onnx_attr_float(im, "bias", 1);
    if (!x || im->failed) return false;
    const struct oct_type t = x->type;
    if (size < 1 || size > INT32_MAX) return oct_onnx_invalid(im, "size is %lld", (long long)size);
    if (!isfinite(alpha) || !isfinite(beta) || !isfinite(bias)) return oct_onnx_invalid(im, "one of its numbers is not finite");
    if (t.rank < 2 || size > t.dim[1]) return oct_onnx_unsupported(im, NULL, "its window is larger than the image");
    int64_t pixels = 1;
    for (int i = 2; i < t.rank; i++) pixels *= t.dim[i];
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, kernel), OCT_MARK(at, pad);
    at.kernel[0] = size;
    at.kernel[1] = 1;
    at.pad[0] = (size - 1) / 2;
    at.pad[2] = size - 1 - at.pad[0];
    OCT_SET(at, count_pad, true);
    struct oct_node *rows = oct_onnx_reshaped(im, ".rows", square(im, x), 4, (int64_t[]){t.dim[0], 1, t.dim[1], pixels});
    if (!rows || !(rows = oct_onnx_step(im, ".near", OCT_OP_avg_pool2d, &rows, 1, &at, NULL))) return false;
    struct oct_node *v = plus(im, oct_onnx_make2(im, OCT_OP_mul, rows, oct_onnx_number(im, alpha)), bias);
    v = oct_onnx_make2(im, OCT_OP_mul, oct_onnx_make1(im, OCT_OP_log, v), oct_onnx_number(im, -beta));
    return oct_onnx_last2(im, OCT_OP_mul, x, oct_onnx_reshaped(im, ".factor", oct_onnx_make1(im, OCT_OP_exp, v), t.rank, t.dim));
}
