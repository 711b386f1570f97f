/* onnx_attr.c - operands and attributes of the node at work, as the handlers want them: of the right type, within range, or
 * reported. */
#include <limits.h>
#include <string.h>

#include "onnx_import.h"

/* ---- operands ----------------------------------------------------------------------------------------------------- */

struct oct_node *oct_onnx_operand(struct oct_onnx *im, int i) {
    struct oct_onnx_value *v = im->in[i];
    if (!v->node) v->node = oct_onnx_const_node(im, v->name, v->c, NULL);
    return v->node;
}

struct oct_node *oct_onnx_float_operand(struct oct_onnx *im, int i) {
    struct oct_node *n = oct_onnx_operand(im, i);
    if (!n || n->type.dtype == OCT_F32) return n;
    oct_onnx_unsupported(im, "put DequantizeLinear before it and QuantizeLinear after it", "its input %d has elements of type %s",
                         i, oct_dtype_name(n->type.dtype));
    return NULL;
}

const struct oct_onnx_const *oct_onnx_constant(struct oct_onnx *im, int i) {
    if (!im->in[i]->c)
        oct_onnx_unsupported(im, "simplify the model before the import (onnxsim)", "its input %d is no constant", i);
    return im->in[i]->c;
}

/* A vector of integers, or one integer. */
static bool int_vector(struct oct_onnx *im, int i, const struct oct_onnx_const *c) {
    if (!c) return false;
    if (c->type == ONNX_FLOAT || c->rank > 1) return oct_onnx_invalid(im, "its input %d is no list of integers", i);
    return true;
}

bool oct_onnx_int_list(struct oct_onnx *im, int i, struct oct_ints *out) {
    const struct oct_onnx_const *c = oct_onnx_constant(im, i);
    if (!int_vector(im, i, c)) return false;
    if (c->n > OCT_MAX_RANK) return oct_onnx_unsupported(im, NULL, "its input %d has more than %d elements", i, OCT_MAX_RANK);
    out->n = (int)c->n;
    for (int k = 0; k < out->n; k++) out->v[k] = oct_onnx_get_int(c, k);
    return true;
}

bool oct_onnx_scalar(struct oct_onnx *im, int i, float *out) {
    const struct oct_onnx_const *c = oct_onnx_constant(im, i);
    if (!c) return false;
    if (c->n != 1) return oct_onnx_invalid(im, "its input %d is no scalar", i);
    *out = (float)oct_onnx_get_real(c, 0);
    return true;
}

/* ---- attributes ---------------------------------------------------------------------------------------------------- */

enum { A_FLOAT = 1, A_INT = 2, A_STRING = 3, A_INTS = 7 };

const OctOnnx__Attribute *oct_onnx_attr(const struct oct_onnx *im, const char *name) {
    for (size_t i = 0; i < im->node->n_attribute; i++)
        if (im->node->attribute[i]->name && !strcmp(im->node->attribute[i]->name, name)) return im->node->attribute[i];
    return NULL;
}

/* The attribute when it is there and of this type; files without a type say it by the field that is set. */
static const OctOnnx__Attribute *typed(struct oct_onnx *im, const char *name, int32_t type,
                                       bool (*set)(const OctOnnx__Attribute *)) {
    const OctOnnx__Attribute *a = oct_onnx_attr(im, name);
    if (!a) return NULL;
    if (a->type == type && (set(a) || type != A_STRING)) return a; /* zeros and empty lists may be left out */
    if (!a->has_type && set(a)) return a;
    oct_onnx_invalid(im, "attribute '%s' is of the wrong type", name);
    return NULL;
}
static bool has_int(const OctOnnx__Attribute *a) { return a->has_i; }
static bool has_float(const OctOnnx__Attribute *a) { return a->has_f; }
static bool has_str(const OctOnnx__Attribute *a) { return a->has_s; }
static bool has_ints(const OctOnnx__Attribute *a) { return a->n_ints > 0; }

int64_t oct_onnx_attr_int(struct oct_onnx *im, const char *name, int64_t otherwise) {
    const OctOnnx__Attribute *a = typed(im, name, A_INT, has_int);
    return a ? a->i : otherwise;
}

float oct_onnx_attr_float(struct oct_onnx *im, const char *name, float otherwise) {
    const OctOnnx__Attribute *a = typed(im, name, A_FLOAT, has_float);
    return a ? a->f : otherwise;
}

const char *oct_onnx_attr_str(struct oct_onnx *im, const char *name, const char *otherwise) {
    const OctOnnx__Attribute *a = typed(im, name, A_STRING, has_str);
    return a ? oct_strndup(im->a, (const char *)a->s.data, a->s.len) : otherwise;
}

bool oct_onnx_attr_ints(struct oct_onnx *im, const char *name, struct oct_ints *out) {
    const OctOnnx__Attribute *a = typed(im, name, A_INTS, has_ints);
    out->n = -1;
    if (!a) return !im->failed;
    if (a->n_ints > OCT_MAX_RANK) return oct_onnx_invalid(im, "attribute '%s' has %zu elements", name, a->n_ints);
    out->n = (int)a->n_ints;
    for (int i = 0; i < out->n; i++) out->v[i] = a->ints[i];
    return true;
}

/* ---- axes ------------------------------------------------------------------------------------------------------------ */

bool oct_onnx_axis(struct oct_onnx *im, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return oct_onnx_invalid(im, "axis %lld is out of range for %d dimensions", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

bool oct_onnx_axes(struct oct_onnx *im, struct oct_ints *axes, int rank) {
    unsigned seen = 0;
    for (int i = 0; i < axes->n; i++) {
        int axis = 0;
        if (!oct_onnx_axis(im, axes->v[i], rank, &axis)) return false;
        if (seen >> axis & 1) return oct_onnx_invalid(im, "axis %d is named twice", axis);
        seen |= 1u << axis;
        axes->v[i] = axis;
    }
    return true;
}

bool oct_onnx_axes_input(struct oct_onnx *im, int i, struct oct_ints *out) {
    if (oct_onnx_has(im, i)) return oct_onnx_int_list(im, i, out);
    return oct_onnx_attr_ints(im, "axes", out);
}

/* ---- windows ----------------------------------------------------------------------------------------------------------- */

/* `n` numbers in [lo, 2^31) of an attribute, `otherwise` each when it is absent. */
static bool small_ints(struct oct_onnx *im, const char *name, int n, int64_t lo, int64_t otherwise, int64_t *out) {
    struct oct_ints list;
    if (!oct_onnx_attr_ints(im, name, &list)) return false;
    if (list.n >= 0 && list.n != n) return oct_onnx_invalid(im, "attribute '%s' has %d elements instead of %d", name, list.n, n);
    for (int i = 0; i < n; i++) {
        out[i] = list.n < 0 ? otherwise : list.v[i];
        if (out[i] < lo || out[i] > INT32_MAX)
            return oct_onnx_invalid(im, "attribute '%s' is %lld; it has to be %lld at least and below 2^31", name,
                                    (long long)out[i], (long long)lo);
    }
    return true;
}

bool oct_onnx_window(struct oct_onnx *im, const struct oct_type *x, int spatial, struct oct_onnx_window *w) {
    int64_t stride[2], dilation[2], pad[4];
    if (!small_ints(im, "strides", spatial, 1, 1, stride) || !small_ints(im, "dilations", spatial, 1, 1, dilation)) return false;
    const char *automatic = oct_onnx_attr_str(im, "auto_pad", "NOTSET");
    bool same = !strcmp(automatic, "SAME_UPPER") || !strcmp(automatic, "SAME_LOWER"), valid = !strcmp(automatic, "VALID");
    if (!same && !valid && strcmp(automatic, "NOTSET"))
        return oct_onnx_invalid(im, "auto_pad is %s", oct_onnx_quote(im, automatic));
    memset(pad, 0, sizeof pad);
    if (!same && !valid && !small_ints(im, "pads", 2 * spatial, 0, 0, pad)) return false;
    int first = 2 - spatial; /* a 1-D window is the lower row of a 2-D one */
    for (int i = 0; i < 2; i++) w->stride[i] = w->dilation[i] = 1;
    memset(w->pad, 0, sizeof w->pad);
    for (int i = 0; i < spatial; i++) {
        w->stride[first + i] = stride[i];
        w->dilation[first + i] = dilation[i];
        w->pad[first + i] = pad[i];
        w->pad[first + i + 2] = pad[spatial + i];
        if (same)
            oct_same_pad(x->dim[2 + i], w->kernel[first + i], stride[i], dilation[i], !strcmp(automatic, "SAME_UPPER"),
                         &w->pad[first + i], &w->pad[first + i + 2]);
    }
    return !im->failed;
}
