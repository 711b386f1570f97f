/* onnx_ops_shape.c - operators that move elements or leave them as they are. Shapes, axes and ranges are resolved by the module's
 * own shape rules; here are ONNX's ways to say them. */
#include <string.h>

#include "onnx_make.h"

oct_onnx_handler oct_onnx_build_reshape, oct_onnx_build_flatten, oct_onnx_build_squeeze, oct_onnx_build_unsqueeze,
    oct_onnx_build_transpose, oct_onnx_build_concat, oct_onnx_build_slice, oct_onnx_build_split, oct_onnx_build_pad,
    oct_onnx_build_identity, oct_onnx_build_dropout, oct_onnx_build_cast, oct_onnx_build_cast_like, oct_onnx_build_depth_to_space,
    oct_onnx_build_space_to_depth;

/* 0 in the target copies the input's dimension, unless allowzero says that it means 0. */
bool oct_onnx_build_reshape(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || !oct_onnx_int_list(im, 1, &at.shape)) return false;
    bool zero = oct_onnx_attr_int(im, "allowzero", 0), n_in = oct_type_has_n(&x->type), free_dim = false;
    for (int i = 0; i < at.shape.n; i++) {
        int64_t *d = &at.shape.v[i];
        if (*d == OCT_DIM_N && !im->in[1]->c->has_n) return oct_onnx_invalid(im, "target dimension %d is %lld", i, (long long)*d);
        if (*d == 0 && !zero && i < x->type.rank) *d = x->type.dim[i];
        else if (*d == 0) return oct_onnx_invalid(im, "target dimension %d is 0", i);
        free_dim |= *d == -1 || *d == OCT_DIM_N;
    }
    if (n_in && !free_dim)
        return oct_onnx_unsupported(im, "export with a symbolic batch throughout, or with a fixed one throughout",
                                    "the batch of its input is symbolic, but its target shape fixes all sizes");
    OCT_MARK(at, shape);
    return oct_onnx_emit(im, OCT_OP_reshape, &x, 1, &at, NULL);
}

bool oct_onnx_build_flatten(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    int64_t axis = oct_onnx_attr_int(im, "axis", 1);
    if (!x) return false;
    if (axis < -x->type.rank || axis > x->type.rank)
        return oct_onnx_invalid(im, "axis %lld is out of range for %d dimensions", (long long)axis, x->type.rank);
    OCT_SET(at, axis, axis < 0 ? axis + x->type.rank : axis);
    return oct_onnx_emit(im, OCT_OP_flatten, &x, 1, &at, NULL);
}

bool oct_onnx_build_squeeze(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || !oct_onnx_axes_input(im, 1, &at.axes)) return false;
    if (at.axes.n < 0) at.axes.n = 0; /* all of size 1 */
    else OCT_MARK(at, axes);
    return oct_onnx_axes(im, &at.axes, x->type.rank) && oct_onnx_emit(im, OCT_OP_squeeze, &x, 1, &at, NULL);
}

bool oct_onnx_build_unsqueeze(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || !oct_onnx_axes_input(im, 1, &at.axes)) return false;
    if (at.axes.n < 0) return oct_onnx_invalid(im, "it has no axes");
    OCT_MARK(at, axes);
    return oct_onnx_axes(im, &at.axes, x->type.rank + at.axes.n) && oct_onnx_emit(im, OCT_OP_unsqueeze, &x, 1, &at, NULL);
}

bool oct_onnx_build_transpose(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || !oct_onnx_attr_ints(im, "perm", &at.perm)) return false;
    if (at.perm.n < 0) /* reversed */
        for (at.perm.n = 0; at.perm.n < x->type.rank; at.perm.n++) at.perm.v[at.perm.n] = x->type.rank - 1 - at.perm.n;
    OCT_MARK(at, perm);
    return oct_onnx_emit(im, OCT_OP_transpose, &x, 1, &at, NULL);
}

/* Codes are joined as they are, so all parts need the same parameters. */
bool oct_onnx_build_concat(struct oct_onnx *im) {
    struct oct_node **part = OCT_NEW_N(im->a, struct oct_node *, im->nin);
    int axis;
    for (int i = 0; i < im->nin; i++) {
        if (!im->in[i]) return oct_onnx_invalid(im, "input %d is left out", i);
        if (!(part[i] = oct_onnx_operand(im, i))) return false;
        if (part[i]->type.dtype != part[0]->type.dtype) return oct_onnx_invalid(im, "its inputs are of different types");
        if (part[i]->type.q != part[0]->type.q && !oct_quant_equal(part[i]->type.q, part[0]->type.q))
            return oct_onnx_unsupported(im, "quantize the parts alike", "it joins codes of different scales");
    }
    if (!oct_onnx_attr(im, "axis")) return oct_onnx_invalid(im, "it has no axis");
    if (!oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), part[0]->type.rank, &axis)) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, axis);
    struct oct_type t = {.dtype = part[0]->type.dtype, .rank = OCT_ANY_RANK, .q = part[0]->type.q};
    return oct_onnx_emit(im, OCT_OP_concat, part, im->nin, &at, t.q ? &t : NULL);
}

bool oct_onnx_slice_lists(struct oct_onnx *im, int rank, struct oct_ints *begin, struct oct_ints *end, struct oct_ints *axes,
                          struct oct_ints *step) {
    bool has_axes = oct_onnx_has(im, 3), has_steps = oct_onnx_has(im, 4);
    if (!oct_onnx_int_list(im, 1, begin) || !oct_onnx_int_list(im, 2, end)) return false;
    if ((has_axes && !oct_onnx_int_list(im, 3, axes)) || (has_steps && !oct_onnx_int_list(im, 4, step))) return false;
    if (!has_axes) axes->n = begin->n;
    if (!has_steps) step->n = begin->n;
    if (end->n != begin->n || axes->n != begin->n || step->n != begin->n)
        return oct_onnx_invalid(im, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < begin->n; i++) {
        if (!has_axes) axes->v[i] = i;
        if (!has_steps) step->v[i] = 1;
    }
    return oct_onnx_axes(im, axes, rank);
}

/* A full range of the batch is none. */
bool oct_onnx_build_slice(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_ints begin, end, axes, step;
    if (!x || !oct_onnx_slice_lists(im, x->type.rank, &begin, &end, &axes, &step)) return false;
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (int i = 0; i < begin.n; i++) {
        if (x->type.dim[axes.v[i]] == OCT_DIM_N) {
            if (begin.v[i] == 0 && step.v[i] == 1 &&
                (end.v[i] >= OCT_MAX_ELEMENTS || (end.v[i] == OCT_DIM_N && im->in[2]->c->has_n)))
                continue;
            return oct_onnx_unsupported(im, NULL, "it takes a part of the batch");
        }
        at.axes.v[at.axes.n++] = axes.v[i];
        at.begin.v[at.begin.n++] = begin.v[i];
        at.end.v[at.end.n++] = end.v[i];
        at.step.v[at.step.n++] = step.v[i];
    }
    if (!at.axes.n) return oct_onnx_alias(im);
    OCT_MARK(at, axes), OCT_MARK(at, begin), OCT_MARK(at, end), OCT_MARK(at, step);
    return oct_onnx_emit(im, OCT_OP_slice, &x, 1, &at, NULL);
}

/* Sizes from input 1, or equal ones, the last taking what remains (num_outputs). */
bool oct_onnx_build_split(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    int axis;
    if (!x || !oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), x->type.rank, &axis)) return false;
    int64_t size = x->type.dim[axis], at_index = 0, count = oct_onnx_attr_int(im, "num_outputs", im->nout);
    if (size == OCT_DIM_N) return oct_onnx_unsupported(im, NULL, "it splits the batch");
    const struct oct_onnx_const *sizes = oct_onnx_has(im, 1) ? oct_onnx_constant(im, 1) : NULL;
    if (im->failed) return false;
    if (count != im->nout || (sizes && (sizes->n != im->nout || sizes->type != ONNX_INT64)))
        return oct_onnx_invalid(im, "it has %d results, but asks for %lld parts", im->nout,
                                (long long)(sizes ? sizes->n : count));
    if (!sizes && im->opset < 18 && size % count)
        return oct_onnx_invalid(im, "%lld elements do not split into %lld equal parts", (long long)size, (long long)count);
    for (int i = 0; i < im->nout; i++) {
        int64_t part = sizes ? oct_onnx_get_int(sizes, i) : (size + count - 1) / count;
        if (!sizes && part > size - at_index) part = size - at_index;
        if (part < 1 || part > size - at_index) return oct_onnx_invalid(im, "part %d is of size %lld", i, (long long)part);
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_SET(at, axes, ((struct oct_ints){1, {axis}}));
        OCT_SET(at, begin, ((struct oct_ints){1, {at_index}}));
        at_index += part;
        OCT_SET(at, end, ((struct oct_ints){1, {at_index}}));
        if (im->out[i] && !oct_onnx_emit_to(im, i, OCT_OP_slice, &x, 1, &at, NULL)) return false;
    }
    return at_index == size || oct_onnx_invalid(im, "its parts leave %lld elements over", (long long)(size - at_index));
}

/* Inputs data, pads (before each axis, then after each), value?, axes?. */
bool oct_onnx_build_pad(struct oct_onnx *im) {
    const char *mode = oct_onnx_attr_str(im, "mode", "constant");
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct oct_ints axes = {0}, pads;
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (!x || im->failed) return false;
    if (strcmp(mode, "constant"))
        return oct_onnx_unsupported(im, "octavo pads with a constant only", "its mode is %s", oct_onnx_quote(im, mode));
    if (!oct_onnx_int_list(im, 1, &pads)) return false;
    if (oct_onnx_has(im, 3) && (!oct_onnx_int_list(im, 3, &axes) || !oct_onnx_axes(im, &axes, x->type.rank))) return false;
    if (!oct_onnx_has(im, 3))
        for (axes.n = 0; axes.n < x->type.rank; axes.n++) axes.v[axes.n] = axes.n;
    if (pads.n != 2 * axes.n) return oct_onnx_invalid(im, "it has %d pads for %d axes", pads.n, axes.n);
    if (2 * x->type.rank > OCT_MAX_RANK)
        return oct_onnx_unsupported(im, NULL, "its input has more than %d dimensions", OCT_MAX_RANK / 2);
    OCT_MARK(at, pads);
    at.pads.n = 2 * x->type.rank;
    for (int i = 0; i < pads.n; i++) {
        if (pads.v[i] < 0) return oct_onnx_unsupported(im, "use Slice", "a pad is negative");
        at.pads.v[i < axes.n ? axes.v[i] : x->type.rank + axes.v[i - axes.n]] = pads.v[i];
    }
    float value = 0;
    if (oct_onnx_has(im, 2) && !oct_onnx_scalar(im, 2, &value)) return false;
    if (x->type.q) { /* a code in ONNX, a real value here */
        if (x->type.q->axis >= 0) return oct_onnx_unsupported(im, NULL, "it pads codes with a scale for each channel");
        value = (value - (float)oct_zero(x->type.q, 0)) * oct_scale(x->type.q, 0);
    }
    if (value != 0) OCT_SET(at, value, value);
    return oct_onnx_emit(im, OCT_OP_pad, &x, 1, &at, NULL);
}

bool oct_onnx_build_identity(struct oct_onnx *im) { return oct_onnx_alias(im); }

bool oct_onnx_build_dropout(struct oct_onnx *im) {
    if (oct_onnx_has(im, 2)) {
        const struct oct_onnx_const *training = oct_onnx_constant(im, 2);
        if (!training) return false;
        if (training->n != 1 || oct_onnx_get_int(training, 0))
            return oct_onnx_unsupported(im, "export the model for inference", "it is in training mode");
    }
    return oct_onnx_alias(im);
}

/* Between floating types: octavo computes all of them as f32, truth values as 0 and 1. Constants have been folded. */
static bool cast_to(struct oct_onnx *im, int32_t to) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    if (!x || im->failed) return false;
    bool real = to == ONNX_FLOAT || to == ONNX_FLOAT16 || to == ONNX_DOUBLE || to == ONNX_BFLOAT16;
    if (x->type.q && x->type.q->axis < 0 && x->type.q->scale[0] == 1 && to == ONNX_FLOAT) /* numbers: dequantized, they are floats */
        return oct_onnx_emit(im, OCT_OP_dequantize, &x, 1, NULL, NULL);
    if (x->type.dtype != OCT_F32 || !(real || to == ONNX_BOOL))
        return oct_onnx_unsupported(im, "use QuantizeLinear and DequantizeLinear", "it casts a run-time value of type %s to %s",
                                    oct_dtype_name(x->type.dtype), oct_onnx_type_name(to));
    if (to == ONNX_BFLOAT16) return oct_onnx_unsupported(im, "octavo computes in f32", "it rounds to bfloat16");
    if (to != ONNX_FLOAT) oct_onnx_tell_type(im, to, "f32");
    if (to != ONNX_BOOL) return oct_onnx_alias(im);
    struct oct_node *zero = oct_onnx_number(im, 0);
    return oct_onnx_last2(im, OCT_OP_equal, oct_onnx_make2(im, OCT_OP_equal, x, zero), zero);
}
bool oct_onnx_build_cast(struct oct_onnx *im) { return cast_to(im, (int32_t)oct_onnx_attr_int(im, "to", 0)); }
bool oct_onnx_build_cast_like(struct oct_onnx *im) {
    const struct oct_onnx_value *like = im->in[1];
    if (!like->c && like->node->type.dtype != OCT_F32)
        return oct_onnx_unsupported(im, "use Cast", "it casts to the type of a value of codes");
    return cast_to(im, like->c ? like->c->type : ONNX_FLOAT);
}

/* ---- blocks of pixels and channels -------------------------------------------------------------------------------------- */

/* [N, C, H, W] through six axes: split to `parts`, permuted, joined to [N, c, h, w]. */
static bool regroup(struct oct_onnx *im, struct oct_node *x, const int64_t *parts, struct oct_ints perm, int64_t c, int64_t h,
                    int64_t w) {
    int64_t six[6];
    memcpy(six, parts, sizeof six);
    struct oct_node *y = oct_onnx_permuted(im, ".turned", oct_onnx_reshaped(im, ".parts", x, 6, six), &perm);
    return oct_onnx_last_reshape(im, y, 4, (int64_t[]){x->type.dim[0], c, h, w});
}
/* The input, [N,C,H,W], and the size of a block; NULL after a report. */
static struct oct_node *blocks(struct oct_onnx *im, int64_t *b) {
    struct oct_node *x = oct_onnx_operand(im, 0);
    *b = oct_onnx_attr_int(im, "blocksize", 0);
    if (!x || im->failed) return NULL;
    if (x->type.rank != 4) return oct_onnx_invalid(im, "its input is %s", oct_type_text(im->a, &x->type)), NULL;
    if (*b < 1 || *b > INT32_MAX) return oct_onnx_invalid(im, "blocksize is %lld", (long long)*b), NULL;
    return x;
}

bool oct_onnx_build_depth_to_space(struct oct_onnx *im) {
    int64_t b;
    const char *mode = oct_onnx_attr_str(im, "mode", "DCR");
    struct oct_node *x = blocks(im, &b);
    if (!x) return false;
    const int64_t *d = x->type.dim, c = d[1] / (b * b);
    if (d[1] % (b * b)) return oct_onnx_invalid(im, "%lld channels do not make blocks of %lld", (long long)d[1], (long long)b);
    if (!strcmp(mode, "DCR"))
        return regroup(im, x, (int64_t[]){d[0], b, b, c, d[2], d[3]}, (struct oct_ints){6, {0, 3, 4, 1, 5, 2}}, c, d[2] * b,
                       d[3] * b);
    if (!strcmp(mode, "CRD"))
        return regroup(im, x, (int64_t[]){d[0], c, b, b, d[2], d[3]}, (struct oct_ints){6, {0, 1, 4, 2, 5, 3}}, c, d[2] * b,
                       d[3] * b);
    return oct_onnx_invalid(im, "mode is %s", oct_onnx_quote(im, mode));
}

bool oct_onnx_build_space_to_depth(struct oct_onnx *im) {
    int64_t b;
    struct oct_node *x = blocks(im, &b);
    if (!x) return false;
    const int64_t *d = x->type.dim;
    if (d[2] % b || d[3] % b)
        return oct_onnx_invalid(im, "%lldx%lld pixels do not make blocks of %lld", (long long)d[2], (long long)d[3],
                                (long long)b);
    return regroup(im, x, (int64_t[]){d[0], d[1], d[2] / b, b, d[3] / b, b}, (struct oct_ints){6, {0, 3, 5, 1, 2, 4}},
                   d[1] * b * b, d[2] / b, d[3] / b);
}
