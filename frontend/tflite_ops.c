/* tflite_ops.c - the TFLite operators: their options (field numbers follow TensorFlow's schema), operands in the order of axes
 * that each wants, weights turned into octavo's layouts. Requires tflite_import.h. */
#include <string.h>

#include "tflite_import.h"

#define TFL(name, code, lo, hi, build, op) oct_tfl_handler oct_tfl_build_##build;
#include "tflite_ops.def"
#undef TFL

static const struct oct_tfl_op ops[] = {
#define TFL(name, code, lo, hi, build, op) {#name, code, lo, hi, oct_tfl_build_##build, OCT_OP_##op},
#include "tflite_ops.def"
#undef TFL
};

const struct oct_tfl_op *oct_tfl_op_find(int64_t code) {
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i].code == code) return &ops[i];
    return NULL;
}

/* Axes of NHWC as axes of NCHW. */
static const int nchw_axis[] = {0, 2, 3, 1};

static int64_t option(struct oct_tfl *im, unsigned field, unsigned size, int64_t otherwise) {
    return oct_fb_int(&im->fb, im->options, field, size, otherwise);
}

/* Axis in [-rank, rank) to [0, rank); reports. */
static bool axis_of(struct oct_tfl *im, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank) return oct_tfl_invalid(im, "axis %lld of a tensor of %d dimensions", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* The operand in the order that is at hand. */
static struct oct_node *either(struct oct_tfl *im, struct oct_tfl_tensor *t, bool nchw) {
    return nchw ? oct_tfl_nchw(im, t) : oct_tfl_as_is(im, t);
}

/* ---- windows ----------------------------------------------------------------------------------------------------------------
 */

/* stride and dilation (h,w), padding SAME (0) or VALID (1). */
static bool window(struct oct_tfl *im, const struct oct_node *x, const int64_t kernel[2], const int64_t stride[2],
                   const int64_t dilation[2], int64_t padding, struct oct_attrs *at) {
    oct_attrs_init(at);
    for (int i = 0; i < 2; i++)
        if (stride[i] < 1 || dilation[i] < 1 || kernel[i] < 1) return oct_tfl_invalid(im, "a stride, dilation or window below 1");
    if (padding != 0 && padding != 1) return oct_tfl_invalid(im, "padding of kind %lld", (long long)padding);
    if (stride[0] != 1 || stride[1] != 1) OCT_MARK(*at, stride), memcpy(at->stride, stride, sizeof at->stride);
    if (dilation[0] != 1 || dilation[1] != 1) OCT_MARK(*at, dilation), memcpy(at->dilation, dilation, sizeof at->dilation);
    if (padding == 1) return true;
    int64_t pad[4];
    for (int i = 0; i < 2; i++) oct_same_pad(x->type.dim[2 + i], kernel[i], stride[i], dilation[i], true, &pad[i], &pad[2 + i]);
    if (pad[0] | pad[1] | pad[2] | pad[3]) OCT_MARK(*at, pad), memcpy(at->pad, pad, sizeof at->pad);
    return true;
}

/* ---- weights ------------------------------------------------------------------------------------------------------------------
 */

/* Weights in octavo's layout, which the caller gives by axes. Codes with float activations (what converters call dynamic range)
 * are dequantized: exact weights, and activations that stay float. */
static struct oct_node *weights(struct oct_tfl *im, int rank, const int *perm) {
    struct oct_tfl_tensor *w = im->in[1];
    if (!w->data) {
        oct_tfl_unsupported(im, "convert the model with constant weights", "its weights are computed at run time");
        return NULL;
    }
    struct oct_node *n = oct_tfl_permuted(im, w, rank, perm);
    if (!n || n->type.dtype == OCT_F32 || !oct_tfl_is_float(im->in[0])) return n;
    oct_warning(
        im->cx, im->span, OCT_E3010,
        "weights %s are codes, their activations float: octavo multiplies floats where TFLite quantizes activations at run time",
        oct_import_quote(im->a, w->name));
    return oct_tfl_step(im, ".w", OCT_OP_dequantize, &n, 1, NULL, NULL);
}

/* The bias as octavo has it: floats, or i32 in units of the products. False after a report; *out NULL: none. */
static bool bias(struct oct_tfl *im, struct oct_node **out) {
    *out = NULL;
    if (!oct_tfl_has(im, 2)) return true;
    struct oct_tfl_tensor *b = im->in[2];
    if (!b->data || b->rank != 1) return oct_tfl_unsupported(im, NULL, "its bias is no constant vector");
    if (oct_tfl_is_float(b)) return (*out = oct_tfl_as_is(im, b)) != NULL;
    if (b->type != TFL_INT32 && b->type != TFL_INT64)
        return oct_tfl_unsupported(im, NULL, "its bias is of a type that octavo does not know");
    const int64_t n = b->dim[0];
    int32_t *v = oct_tfl_memory(im, n, sizeof *v);
    if (!v) return false;
    for (int64_t i = 0; i < n; i++) {
        const int64_t is = b->type == TFL_INT32 ? ((const int32_t *)b->data)[i] : ((const int64_t *)b->data)[i];
        if (is != (int32_t)is) return oct_tfl_unsupported(im, NULL, "bias %lld does not fit 32 bits", (long long)is);
        v[i] = (int32_t)is;
    }
    const struct oct_type t = {.dtype = OCT_I32, .rank = 1, .dim = {n}};
    const char *name = oct_fresh_const_name(im->m, oct_import_readable(b->name));
    if (!(*out = oct_build_const(im->m, name, &t, v, im->span))) im->failed = true;
    return *out != NULL;
}

/* Options: padding, strides, and from number `behind` on the activation and the dilations. Weights are turned by `oihw`. */
static bool convolution(struct oct_tfl *im, const int *oihw, int64_t channels_per_group, unsigned behind) {
    enum { PADDING, STRIDE_W, STRIDE_H, ACTIVATION = 0, DILATION_W, DILATION_H };
    struct oct_node *operand[3] = {oct_tfl_nchw(im, im->in[0])};
    if (!operand[0] || !(operand[1] = weights(im, 4, oihw)) || !bias(im, &operand[2])) return false;
    struct oct_attrs at;
    if (!window(im, operand[0], &im->in[1]->dim[1], (int64_t[]){option(im, STRIDE_H, 4, 0), option(im, STRIDE_W, 4, 0)},
                (int64_t[]){option(im, behind + DILATION_H, 4, 1), option(im, behind + DILATION_W, 4, 1)},
                option(im, PADDING, 1, 0), &at))
        return false;
    const int64_t c = operand[0]->type.dim[1];
    if (channels_per_group < 1 || c % channels_per_group)
        return oct_tfl_invalid(im, "%lld input channels, weights for %lld", (long long)c, (long long)channels_per_group);
    if (c != channels_per_group) OCT_SET(at, groups, c / channels_per_group);
    return oct_tfl_emit(im, OCT_OP_conv2d, operand, operand[2] ? 3 : 2, &at, true, option(im, behind + ACTIVATION, 1, 0));
}

bool oct_tfl_build_conv(struct oct_tfl *im) {
    static const int oihw[] = {0, 3, 1, 2};
    if (im->in[1]->rank != 4) return oct_tfl_invalid(im, "its weights have %d dimensions", im->in[1]->rank);
    return convolution(im, oihw, im->in[1]->dim[3], 3);
}

bool oct_tfl_build_depthwise(struct oct_tfl *im) {
    static const int oihw[] = {3, 0, 1, 2}; /* from [1,H,W,C]; behind the strides stands the multiplier */
    if (im->in[1]->rank != 4 || im->in[1]->dim[0] != 1) return oct_tfl_invalid(im, "its weights are not [1,H,W,channels]");
    return convolution(im, oihw, 1, 4);
}

/* Everything but the last axis is the batch unless keep_num_dims; TFLite then takes rows of I elements. */
static struct oct_node *rows(struct oct_tfl *im, struct oct_node *x, int64_t inputs) {
    int64_t all = 1;
    for (int i = 0; i < x->type.rank; i++)
        if (x->type.dim[i] != OCT_DIM_N) all *= x->type.dim[i];
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, shape, ((struct oct_ints){2, {oct_type_has_n(&x->type) && all == inputs ? OCT_DIM_N : all / inputs, inputs}}));
    return oct_tfl_step(im, ".rows", OCT_OP_reshape, &x, 1, &at, NULL);
}

bool oct_tfl_build_dense(struct oct_tfl *im) {
    enum { ACTIVATION, FORMAT, KEEP };
    static const int oi[] = {0, 1};
    if (option(im, FORMAT, 1, 0)) return oct_tfl_unsupported(im, NULL, "its weights are shuffled");
    if (im->in[1]->rank != 2 || im->in[1]->dim[1] < 1) return oct_tfl_invalid(im, "its weights are no matrix");
    struct oct_node *operand[3] = {oct_tfl_as_is(im, im->in[0])};
    if (!operand[0] || !(operand[1] = weights(im, 2, oi)) || !bias(im, &operand[2])) return false;
    if (!option(im, KEEP, 1, 0) && operand[0]->type.rank != 2 && !(operand[0] = rows(im, operand[0], im->in[1]->dim[1])))
        return false;
    return oct_tfl_emit(im, OCT_OP_dense, operand, operand[2] ? 3 : 2, NULL, false, option(im, ACTIVATION, 1, 0));
}

bool oct_tfl_build_pool(struct oct_tfl *im) {
    enum { PADDING, STRIDE_W, STRIDE_H, WIDTH, HEIGHT, ACTIVATION };
    struct oct_node *x = oct_tfl_nchw(im, im->in[0]);
    if (!x) return false;
    const int64_t kernel[2] = {option(im, HEIGHT, 4, 0), option(im, WIDTH, 4, 0)};
    struct oct_attrs at;
    if (!window(im, x, kernel, (int64_t[]){option(im, STRIDE_H, 4, 0), option(im, STRIDE_W, 4, 0)}, (int64_t[]){1, 1},
                option(im, PADDING, 1, 0), &at))
        return false;
    OCT_MARK(at, kernel);
    memcpy(at.kernel, kernel, sizeof at.kernel);
    if (option(im, ACTIVATION, 1, 0) && im->op->to == OCT_OP_max_pool2d && !oct_tfl_is_float(im->out))
        return oct_tfl_unsupported(im, NULL, "a maximum of codes with a fused activation");
    return oct_tfl_emit(im, im->op->to, &x, 1, &at, true, option(im, ACTIVATION, 1, 0));
}

/* ---- element by element
 * --------------------------------------------------------------------------------------------------------- */

bool oct_tfl_build_unary(struct oct_tfl *im) {
    const bool nchw = oct_tfl_prefers_nchw(im->in[0]);
    struct oct_node *x = either(im, im->in[0], nchw);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (im->op->to == OCT_OP_leaky_relu) OCT_SET(at, alpha, oct_fb_float(&im->fb, im->options, 0, 0));
    if (im->op->to == OCT_OP_clip) OCT_MARK(at, clip), at.clip[0] = -1, at.clip[1] = 1;
    return x && oct_tfl_emit(im, im->op->to, &x, 1, &at, nchw, 0);
}

bool oct_tfl_build_binary(struct oct_tfl *im) {
    struct oct_tfl_tensor *a = im->in[0], *b = im->in[1];
    const bool nchw = a->rank == 4 && b->rank == 4 && (oct_tfl_prefers_nchw(a) || oct_tfl_prefers_nchw(b));
    struct oct_node *operand[2] = {either(im, a, nchw), either(im, b, nchw)};
    return operand[0] && operand[1] && oct_tfl_emit(im, im->op->to, operand, 2, NULL, nchw, option(im, 0, 1, 0));
}

bool oct_tfl_build_quantize(struct oct_tfl *im) {
    const bool nchw = oct_tfl_prefers_nchw(im->in[0]);
    struct oct_node *x = either(im, im->in[0], nchw);
    return x && oct_tfl_emit(im, x->type.dtype == OCT_F32 ? OCT_OP_quantize : OCT_OP_requantize, &x, 1, NULL, nchw, 0);
}

/* Codes to floats; 16-bit floats were read as floats already. */
bool oct_tfl_build_dequantize(struct oct_tfl *im) {
    struct oct_tfl_tensor *x = im->in[0];
    if (oct_tfl_is_float(x)) {
        bool same = oct_tfl_is_float(im->out) && x->rank == im->out->rank;
        for (int i = 0; same && i < x->rank; i++) same = x->dim[i] == im->out->dim[i];
        if (!same) return oct_tfl_invalid(im, "its result has another shape or type than its input");
        im->out->data = x->data;
        im->out->node = x->node;
        im->out->nchw = x->nchw;
        im->out->state = TFL_KNOWN;
        return true;
    }
    const bool nchw = oct_tfl_prefers_nchw(x);
    struct oct_node *n = either(im, x, nchw);
    return n && oct_tfl_emit(im, OCT_OP_dequantize, &n, 1, NULL, nchw, 0);
}

bool oct_tfl_build_softmax(struct oct_tfl *im) {
    const float beta = oct_fb_float(&im->fb, im->options, 0, 0);
    if (beta != 1) return oct_tfl_unsupported(im, NULL, "its beta is %g; octavo has 1", (double)beta);
    struct oct_node *x = oct_tfl_as_is(im, im->in[0]);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, -1);
    return x && oct_tfl_emit(im, OCT_OP_softmax, &x, 1, &at, false, 0);
}

/* ---- moves
 * ------------------------------------------------------------------------------------------------------------------------ */

/* RESHAPE, SQUEEZE, EXPAND_DIMS: to the shape that the file states for the result. */
bool oct_tfl_build_reshape(struct oct_tfl *im) {
    struct oct_tfl_tensor *t = im->in[0];
    struct oct_node *x = t->nchw && t->nchw->type.dim[2] == 1 && t->nchw->type.dim[3] == 1 ? t->nchw : oct_tfl_as_is(im, t);
    if (!x) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    struct oct_ints shape = {im->out->rank, {0}};
    memcpy(shape.v, im->out->dim, (size_t)im->out->rank * sizeof *shape.v);
    if (oct_type_has_n(&x->type)) {
        if (!shape.n || shape.v[0] != 1) return oct_tfl_unsupported(im, NULL, "its result has no axis for the batch");
        shape.v[0] = OCT_DIM_N;
    }
    OCT_SET(at, shape, shape);
    return oct_tfl_emit(im, OCT_OP_reshape, &x, 1, &at, false, 0);
}

bool oct_tfl_build_transpose(struct oct_tfl *im) {
    struct oct_node *x = oct_tfl_as_is(im, im->in[0]);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, perm);
    if (!x || !oct_tfl_int_list(im, 1, &at.perm)) return false;
    if (at.perm.n != x->type.rank) return oct_tfl_invalid(im, "its permutation has %d numbers", at.perm.n);
    return oct_tfl_emit(im, OCT_OP_transpose, &x, 1, &at, false, 0);
}

bool oct_tfl_build_pad(struct oct_tfl *im) {
    struct oct_tfl_tensor *t = im->in[0], *pads = im->in[1];
    const int rank = t->rank;
    if (!pads->data || (pads->type != TFL_INT32 && pads->type != TFL_INT64) || pads->rank != 2 || pads->dim[0] != rank ||
        pads->dim[1] != 2)
        return oct_tfl_unsupported(im, "convert the model with fixed sizes",
                                   "its pads are no constant of two numbers for each axis");
    if (rank > OCT_MAX_RANK / 2) return oct_tfl_unsupported(im, NULL, "it pads a tensor of %d dimensions", rank);
    const bool nchw = rank == 4 && !t->data;
    struct oct_node *x = either(im, t, nchw);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, pads);
    at.pads.n = 2 * rank;
    for (int i = 0; i < 2 * rank; i++) {
        const int64_t n = pads->type == TFL_INT32 ? ((const int32_t *)pads->data)[i] : ((const int64_t *)pads->data)[i];
        at.pads.v[(nchw ? nchw_axis[i / 2] : i / 2) + (i % 2 ? rank : 0)] = n;
    }
    if (oct_tfl_has(im, 2)) { /* the value; the others pad with 0.0, which codes have as their zero point */
        const struct oct_tfl_tensor *v = im->in[2];
        if (!v->data || v->rank > 1 || (v->rank == 1 && v->dim[0] != 1))
            return oct_tfl_unsupported(im, NULL, "the value that it pads with is no constant");
        if (oct_tfl_is_float(v)) OCT_SET(at, value, *(const float *)v->data);
        else if (v->type == TFL_INT8 && v->q && t->q)
            OCT_SET(at, value, oct_scale(v->q, 0) * (float)(*(const int8_t *)v->data - oct_zero(v->q, 0)));
        else return oct_tfl_unsupported(im, NULL, "the value that it pads with is of another type");
    }
    return x && oct_tfl_emit(im, OCT_OP_pad, &x, 1, &at, nchw, 0);
}

bool oct_tfl_build_concat(struct oct_tfl *im) {
    bool nchw = im->out->rank == 4;
    for (int i = 0; i < im->nin; i++) {
        if (!oct_tfl_has(im, i)) return oct_tfl_invalid(im, "input %d is left out", i);
        nchw = nchw && im->in[i]->rank == 4;
    }
    int axis = 0;
    if (!axis_of(im, option(im, 0, 4, 0), im->out->rank, &axis)) return false;
    struct oct_node **operand = oct_tfl_memory(im, im->nin, sizeof *operand);
    if (!operand) return false;
    for (int i = 0; i < im->nin; i++)
        if (!(operand[i] = either(im, im->in[i], nchw))) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, nchw ? nchw_axis[axis] : axis);
    return oct_tfl_emit(im, OCT_OP_concat, operand, im->nin, &at, nchw, option(im, 1, 1, 0));
}

bool oct_tfl_build_mean(struct oct_tfl *im) {
    struct oct_tfl_tensor *t = im->in[0];
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, axes);
    if (!oct_tfl_int_list(im, 1, &at.axes)) return false;
    if (option(im, 0, 1, 0)) OCT_SET(at, keepdims, true);
    unsigned over = 0;
    for (int i = 0; i < at.axes.n; i++) {
        int axis = 0;
        if (!axis_of(im, at.axes.v[i], t->rank, &axis)) return false;
        at.axes.v[i] = axis;
        over |= 1u << axis;
    }
    /* What is left keeps its order under both. */
    const bool nchw = t->nchw && (at.keepdims || over == (1u << 1 | 1u << 2));
    if (nchw)
        for (int i = 0; i < at.axes.n; i++) at.axes.v[i] = nchw_axis[at.axes.v[i]];
    struct oct_node *x = either(im, t, nchw);
    return x && oct_tfl_emit(im, OCT_OP_mean, &x, 1, &at, nchw && at.keepdims, 0);
}

/* begin, end and step of every axis; a bit of a mask frees one end. Shrunk axes are dropped behind it. */
bool oct_tfl_build_slice(struct oct_tfl *im) {
    enum { BEGIN_MASK, END_MASK, ELLIPSIS_MASK, NEW_AXIS_MASK, SHRINK_MASK, OFFSET };
    struct oct_node *x = oct_tfl_as_is(im, im->in[0]);
    struct oct_attrs at, squeeze;
    oct_attrs_init(&at);
    oct_attrs_init(&squeeze);
    if (!x || !oct_tfl_int_list(im, 1, &at.begin) || !oct_tfl_int_list(im, 2, &at.end) || !oct_tfl_int_list(im, 3, &at.step))
        return false;
    const int n = at.begin.n;
    if (at.end.n != n || at.step.n != n || n > x->type.rank) return oct_tfl_invalid(im, "its lists differ in length");
    if (option(im, ELLIPSIS_MASK, 4, 0) || option(im, NEW_AXIS_MASK, 4, 0) || option(im, OFFSET, 1, 0))
        return oct_tfl_unsupported(im, NULL, "it has an ellipsis, a new axis or an offset");
    const int64_t begin = option(im, BEGIN_MASK, 4, 0), end = option(im, END_MASK, 4, 0), shrink = option(im, SHRINK_MASK, 4, 0);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        const int64_t step = at.step.v[i], size = x->type.dim[i];
        int64_t from = at.begin.v[i], to = at.end.v[i];
        if (shrink >> i & 1) to = from == -1 ? INT32_MAX : from + 1, squeeze.axes.v[squeeze.axes.n++] = i;
        if (begin >> i & 1) from = step < 0 ? INT32_MAX : 0;
        if (end >> i & 1) to = step < 0 ? INT32_MIN : INT32_MAX;
        if (from == 0 && step == 1 && (to >= INT32_MAX || (size != OCT_DIM_N && to >= size) || (size == OCT_DIM_N && to == 1)))
            continue;
        at.axes.v[kept] = i, at.begin.v[kept] = from, at.end.v[kept] = to, at.step.v[kept] = step;
        kept++;
    }
    at.axes.n = at.begin.n = at.end.n = at.step.n = kept;
    OCT_MARK(at, axes), OCT_MARK(at, begin), OCT_MARK(at, end), OCT_MARK(at, step), OCT_MARK(squeeze, axes);
    if (kept && squeeze.axes.n) x = oct_tfl_step(im, ".slice", OCT_OP_slice, &x, 1, &at, NULL);
    if (!x) return false;
    if (squeeze.axes.n) return oct_tfl_emit(im, OCT_OP_squeeze, &x, 1, &squeeze, false, 0);
    return oct_tfl_emit(im, kept ? OCT_OP_slice : OCT_OP_reshape, &x, 1, &at, false, 0);
}

/* SHAPE and PACK: their result is of use to a reshape only, whose own result's shape the file states. */
bool oct_tfl_build_sizes(struct oct_tfl *im) {
    if (im->out->type != TFL_INT32 && im->out->type != TFL_INT64)
        return oct_tfl_unsupported(im, NULL, "it packs more than sizes");
    im->out->state = TFL_SIZES;
    return true;
}
