/* onnx_ops_nn.c - operators with weights or windows: Conv, Gemm, MatMul, BatchNormalization, the pools. */
#include <string.h>

#include "onnx_import.h"

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

/* The value is fixed by the model: a constant, possibly quantized. */
static const struct oct_node *origin(const struct oct_node *n) {
    while (n && (n->op == OCT_OP_dequantize || n->op == OCT_OP_quantize)) n = n->operand[0];
    return n && n->op == OCT_OP_const ? n : NULL;
}

static bool all_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static struct oct_node *weights(struct oct_onnx *im, int i) {
    const struct oct_onnx_const *c = im->in[i]->c;
    if (c && c->type == ONNX_FLOAT && !all_finite(c->data, c->n)) {
        oct_onnx_invalid(im, "its weights %s hold NaN or infinity", oct_onnx_quote(im, im->in[i]->name));
        return NULL;
    }
    struct oct_node *n = oct_onnx_float_operand(im, i);
    if (!n || origin(n)) return n;
    oct_onnx_unsupported(im, "simplify the model before the import, or use constant weights",
                         "its weights (input %d) are computed at run time", i);
    return NULL;
}

/* [K,O] elements as [O,K]. */
static const void *turned(struct oct_onnx *im, const void *data, size_t size, int64_t k, int64_t o) {
    if (!oct_onnx_budget(im, (size_t)(k * o) * size)) return NULL;
    void *to = OCT_NEW_N(im->a, char, (size_t)(k * o) * size);
    oct_import_gather(to, data, size, 2, (const int64_t[]){o, k}, (const int64_t[]){1, o});
    return to;
}

/* The fixed matrix of input i, transposed to octavo's [outputs,inputs]: floats, or codes and their dequantize. */
static struct oct_node *turned_weights(struct oct_onnx *im, int i) {
    struct oct_node *n = weights(im, i);
    if (!n || n->type.rank != 2) return NULL;
    struct oct_node *stored = n->op == OCT_OP_dequantize ? n->operand[0] : n;
    if (stored->op != OCT_OP_const) return NULL;
    struct oct_type t = stored->type;
    t.dim[0] = stored->type.dim[1];
    t.dim[1] = stored->type.dim[0];
    const void *data = turned(im, stored->data, oct_dtype_size(t.dtype), stored->type.dim[0], stored->type.dim[1]);
    if (!data) return NULL;
    if (t.q && t.q->axis >= 0) t.q = oct_quant_channel(im->a, 1 - t.q->axis, t.q->n, t.q->scale, t.q->zero);
    struct oct_node *w =
        oct_build_const(im->m, oct_fresh_const_name(im->m, oct_sprintf(im->a, "%s.t", stored->name)), &t, data, im->span);
    if (!w || stored == n) return w;
    return oct_onnx_step(im, ".w", OCT_OP_dequantize, &w, 1, NULL, NULL);
}

/* ---- one spatial dimension as two ------------------------------------------------------------------------------------- */

static struct oct_node *add_height(struct oct_onnx *im, const char *suffix, struct oct_node *x) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {2}}));
    return oct_onnx_step(im, suffix, OCT_OP_unsqueeze, &x, 1, &at, NULL);
}

/* The windowed op as result 0; over three axes through four. */
static bool windowed(struct oct_onnx *im, enum oct_op op, struct oct_node **operand, int n, const struct oct_attrs *at,
                     const struct oct_type *declared, int spatial) {
    if (spatial == 2) return oct_onnx_emit(im, op, operand, n, at, declared);
    struct oct_node *y = oct_onnx_step(im, ".2d", op, operand, n, at, declared);
    struct oct_attrs squeeze;
    oct_attrs_init(&squeeze);
    OCT_SET(squeeze, axes, ((struct oct_ints){1, {2}}));
    return y && oct_onnx_emit(im, OCT_OP_squeeze, &y, 1, &squeeze, NULL);
}

static void set_window(struct oct_attrs *at, const struct oct_onnx_window *w) {
    oct_attrs_init(at);
    if (w->stride[0] != 1 || w->stride[1] != 1) OCT_MARK(*at, stride), memcpy(at->stride, w->stride, sizeof at->stride);
    if (w->dilation[0] != 1 || w->dilation[1] != 1)
        OCT_MARK(*at, dilation), memcpy(at->dilation, w->dilation, sizeof at->dilation);
    if (w->pad[0] || w->pad[1] || w->pad[2] || w->pad[3]) OCT_MARK(*at, pad), memcpy(at->pad, w->pad, sizeof at->pad);
}

/* 1 or 2 spatial dimensions, all known; 0 after a report. */
static int spatial_of(struct oct_onnx *im, const struct oct_node *x) {
    if (x->type.rank == 3 || x->type.rank == 4) {
        bool known = true;
        for (int i = 1; i < x->type.rank; i++) known &= x->type.dim[i] != OCT_DIM_N;
        if (known) return x->type.rank - 2;
    }
    oct_onnx_unsupported(im, "octavo has windows of one and two dimensions, over [N,C,W] and [N,C,H,W]", "its input is %s",
                         oct_type_text(im->a, &x->type));
    return 0;
}

/* ---- handlers ---------------------------------------------------------------------------------------------------------- */

oct_onnx_handler oct_onnx_build_conv, oct_onnx_build_gemm, oct_onnx_build_matmul, oct_onnx_build_batchnorm, oct_onnx_build_pool,
    oct_onnx_build_global_pool;

bool oct_onnx_build_conv(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0), *w = weights(im, 1), *b = oct_onnx_has(im, 2) ? weights(im, 2) : NULL;
    return !im->failed && oct_onnx_conv_of(im, x, w, b, NULL);
}

bool oct_onnx_conv_of(struct oct_onnx *im, struct oct_node *x, struct oct_node *w, struct oct_node *b,
                      const struct oct_type *declared) {
    int spatial = spatial_of(im, x);
    if (!spatial) return false;
    if (w->type.rank != spatial + 2)
        return oct_onnx_invalid(im, "its weights have %d dimensions, its input %d", w->type.rank, x->type.rank);
    struct oct_ints shape;
    if (!oct_onnx_attr_ints(im, "kernel_shape", &shape)) return false;
    bool agrees = shape.n < 0 || shape.n == spatial;
    for (int i = 0; agrees && i < shape.n; i++) agrees = shape.v[i] == w->type.dim[2 + i];
    if (!agrees) return oct_onnx_invalid(im, "kernel_shape does not agree with the shape of the weights");
    struct oct_onnx_window win = {.kernel = {1, 1}};
    for (int i = 0; i < spatial; i++) win.kernel[2 - spatial + i] = w->type.dim[2 + i];
    struct oct_attrs at;
    if (!oct_onnx_window(im, &x->type, spatial, &win)) return false;
    set_window(&at, &win);
    int64_t groups = oct_onnx_attr_int(im, "group", 1);
    if (groups != 1) OCT_SET(at, groups, groups);
    if (spatial == 1) {
        x = add_height(im, ".x", x);
        w = add_height(im, ".w", w);
        if (!x || !w) return false;
    }
    return windowed(im, OCT_OP_conv2d, (struct oct_node *[]){x, w, b}, b ? 3 : 2, &at, declared, spatial);
}

/* C of Gemm as the bias of dense: one element for each of `o` outputs; NULL when it is something else (no report). */
static struct oct_node *gemm_bias(struct oct_onnx *im, int64_t o, float beta) {
    const struct oct_onnx_const *c = im->in[2]->c;
    if (!c) {
        struct oct_node *n = oct_onnx_float_operand(im, 2);
        return n && origin(n) && beta == 1 && n->type.rank == 1 && n->type.dim[0] == o ? n : NULL;
    }
    bool row = c->n == 1 || (c->n == o && c->rank >= 1 && c->dim[c->rank - 1] == o);
    if (c->type != ONNX_FLOAT || !row) return NULL;
    if (!all_finite(c->data, c->n)) return oct_onnx_invalid(im, "its bias holds NaN or infinity"), NULL;
    if (beta == 1 && c->rank == 1 && c->n == o) return oct_onnx_operand(im, 2);
    if (!oct_onnx_budget(im, (size_t)o * sizeof(float))) return NULL;
    float *b = OCT_NEW_N(im->a, float, o);
    for (int64_t i = 0; i < o; i++) b[i] = beta * ((const float *)c->data)[c->n == 1 ? 0 : i];
    return oct_onnx_const_node(im, im->in[2]->name,
                               &(struct oct_onnx_const){.type = ONNX_FLOAT, .rank = 1, .dim = {o}, .n = o, .data = b}, NULL);
}

static struct oct_node *transposed(struct oct_onnx *im, const char *suffix, struct oct_node *x) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, perm, ((struct oct_ints){2, {1, 0}}));
    return oct_onnx_step(im, suffix, OCT_OP_transpose, &x, 1, &at, NULL);
}

/* Fixed weights times alpha; codes keep theirs. */
static struct oct_node *scaled(struct oct_onnx *im, struct oct_node *w, float alpha) {
    if (alpha == 1) return w;
    if (w->op != OCT_OP_const) {
        oct_onnx_unsupported(im, "fold alpha into the scale of the weights", "alpha is %g and the weights are quantized",
                             (double)alpha);
        return NULL;
    }
    int64_t n = oct_type_elements(&w->type, 1);
    if (!oct_onnx_budget(im, (size_t)n * sizeof(float))) return NULL;
    float *v = OCT_NEW_N(im->a, float, n);
    for (int64_t i = 0; i < n; i++) v[i] = alpha * ((const float *)w->data)[i];
    return oct_build_const(im->m, oct_fresh_const_name(im->m, w->name), &w->type, v, im->span);
}

bool oct_onnx_build_gemm(struct oct_onnx *im) {
    float alpha = oct_onnx_attr_float(im, "alpha", 1), beta = oct_onnx_attr_float(im, "beta", 1);
    bool trans_a = oct_onnx_attr_int(im, "transA", 0), trans_b = oct_onnx_attr_int(im, "transB", 0);
    struct oct_node *a = oct_onnx_float_operand(im, 0), *b = oct_onnx_float_operand(im, 1);
    if (im->failed) return false;
    if (a->type.rank != 2 || b->type.rank != 2)
        return oct_onnx_invalid(im, "its matrices have %d and %d dimensions, not 2", a->type.rank, b->type.rank);
    if (trans_a && !(a = transposed(im, ".a", a))) return false;
    bool fixed = origin(b), add = oct_onnx_has(im, 2) && beta != 0;
    struct oct_node *bias = NULL;
    if (fixed) {
        b = trans_b ? weights(im, 1) : turned_weights(im, 1);
        if (!b || !(b = scaled(im, b, alpha)))
            return im->failed ? false : oct_onnx_unsupported(im, NULL, "its weights are quantized in an unusual way");
        bias = add ? gemm_bias(im, b->type.dim[0], beta) : NULL;
        if (im->failed) return false;
    } else {
        if (alpha != 1) return oct_onnx_unsupported(im, "use Mul", "alpha is %g and both matrices are computed", (double)alpha);
        if (trans_b && !(b = transposed(im, ".b", b))) return false;
    }
    enum oct_op op = fixed ? OCT_OP_dense : OCT_OP_matmul;
    if (!add || bias) return oct_onnx_emit(im, op, (struct oct_node *[]){a, b, bias}, bias ? 3 : 2, NULL, NULL);
    if (beta != 1) return oct_onnx_unsupported(im, "use Mul", "beta is %g and C is no bias", (double)beta);
    struct oct_node *product = oct_onnx_step(im, ".ab", op, (struct oct_node *[]){a, b}, 2, NULL, NULL),
                    *c = oct_onnx_float_operand(im, 2);
    return product && c && oct_onnx_emit(im, OCT_OP_add, (struct oct_node *[]){product, c}, 2, NULL, NULL);
}

bool oct_onnx_build_matmul(struct oct_onnx *im) {
    struct oct_node *a = oct_onnx_float_operand(im, 0), *b = oct_onnx_float_operand(im, 1);
    if (im->failed) return false;
    if (a->type.rank < 2 || b->type.rank < 2)
        return oct_onnx_unsupported(im, "give the vector a second axis by Reshape", "one of its operands is a vector");
    if (!origin(b) || b->type.rank != 2) return oct_onnx_emit(im, OCT_OP_matmul, (struct oct_node *[]){a, b}, 2, NULL, NULL);
    struct oct_node *w = turned_weights(im, 1);
    if (!w) return im->failed ? false : oct_onnx_unsupported(im, NULL, "its weights are quantized in an unusual way");
    return oct_onnx_emit(im, OCT_OP_dense, (struct oct_node *[]){a, w}, 2, NULL, NULL);
}

bool oct_onnx_build_batchnorm(struct oct_onnx *im) {
    if (oct_onnx_attr_int(im, "training_mode", 0))
        return oct_onnx_unsupported(im, "export the model for inference", "it is in training mode");
    struct oct_node *operand[5];
    operand[0] = oct_onnx_float_operand(im, 0);
    for (int i = 1; i < 5; i++) operand[i] = weights(im, i);
    if (im->failed) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, eps, oct_onnx_attr_float(im, "epsilon", 1e-5f));
    const struct oct_onnx_const *var = im->in[4]->c;
    for (int64_t i = 0; var && i < var->n; i++)
        if (!(((const float *)var->data)[i] + at.eps > 0))
            return oct_onnx_invalid(im, "variance %lld plus epsilon is not positive", (long long)i);
    return oct_onnx_emit(im, OCT_OP_batchnorm, operand, 5, &at, NULL);
}

bool oct_onnx_build_pool(struct oct_onnx *im) {
    bool average = im->op->to == OCT_OP_avg_pool2d;
    struct oct_node *x = average ? oct_onnx_float_operand(im, 0) : oct_onnx_operand(im, 0);
    if (!x) return false;
    int spatial = spatial_of(im, x);
    if (!spatial) return false;
    struct oct_ints shape;
    if (!oct_onnx_attr_ints(im, "kernel_shape", &shape)) return false;
    if (shape.n != spatial) return oct_onnx_invalid(im, "kernel_shape needs %d numbers", spatial);
    struct oct_onnx_window win = {.kernel = {1, 1}};
    for (int i = 0; i < spatial; i++) {
        if (shape.v[i] < 1 || shape.v[i] > INT32_MAX) return oct_onnx_invalid(im, "kernel_shape is %lld", (long long)shape.v[i]);
        win.kernel[2 - spatial + i] = shape.v[i];
    }
    if (!oct_onnx_window(im, &x->type, spatial, &win)) return false;
    if (average && (win.dilation[0] != 1 || win.dilation[1] != 1)) return oct_onnx_unsupported(im, NULL, "its window is dilated");
    struct oct_attrs at;
    set_window(&at, &win);
    OCT_MARK(at, kernel);
    memcpy(at.kernel, win.kernel, sizeof at.kernel);
    if (oct_onnx_attr_int(im, "ceil_mode", 0)) OCT_SET(at, ceil, true);
    if (average && oct_onnx_attr_int(im, "count_include_pad", 0)) OCT_SET(at, count_pad, true);
    if (spatial == 1 && !(x = add_height(im, ".x", x))) return false;
    return windowed(im, im->op->to, &x, 1, &at, NULL, spatial);
}

bool oct_onnx_build_global_pool(struct oct_onnx *im) {
    bool average = im->op->to == OCT_OP_mean;
    struct oct_node *x = average ? oct_onnx_float_operand(im, 0) : oct_onnx_operand(im, 0);
    if (!x) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (average) {
        if (x->type.rank < 3) return oct_onnx_invalid(im, "its input is %s", oct_type_text(im->a, &x->type));
        OCT_MARK(at, axes);
        for (int i = 2; i < x->type.rank; i++) at.axes.v[at.axes.n++] = i;
        OCT_SET(at, keepdims, true);
        return oct_onnx_emit(im, OCT_OP_mean, &x, 1, &at, NULL);
    }
    int spatial = spatial_of(im, x);
    if (!spatial) return false;
    OCT_MARK(at, kernel);
    for (int i = 0; i < spatial; i++) at.kernel[2 - spatial + i] = x->type.dim[2 + i];
    if (spatial == 1 && !(x = add_height(im, ".x", x))) return false;
    return windowed(im, OCT_OP_max_pool2d, &x, 1, &at, NULL, spatial);
}
