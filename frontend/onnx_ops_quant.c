/* onnx_ops_quant.c - QuantizeLinear and DequantizeLinear: scale and zero point move into the type of the codes. */
#include <string.h>

#include "../ir/interp.h"
#include "onnx_import.h"

oct_onnx_handler oct_onnx_build_quantize, oct_onnx_build_dequantize;
oct_onnx_folder oct_onnx_fold_quantize;

static bool good_scales(struct oct_onnx *im, const struct oct_onnx_const *c) {
    for (int64_t i = 0; i < c->n; i++) {
        float s = ((const float *)c->data)[i];
        if (!isfinite(s) || s <= 0)
            return oct_onnx_invalid(im, "scale %lld is %g; scales are finite and above 0", (long long)i, (double)s);
    }
    return true;
}

/* Zero points as int32, NULL when all are 0; each lies in its type, which is that of the codes. */
static bool zeros(struct oct_onnx *im, const struct oct_type *t, int64_t n, const int32_t **out) {
    *out = NULL;
    if (!oct_onnx_has(im, 2)) return true;
    const struct oct_onnx_const *z = oct_onnx_constant(im, 2);
    enum oct_dtype type;
    if (!z) return false;
    if (!oct_onnx_dtype(z->type, &type) || type != t->dtype)
        return oct_onnx_invalid(im, "its zero point is %s, its codes are %s", oct_onnx_type_name(z->type),
                                oct_dtype_name(t->dtype));
    if (z->n != n) return oct_onnx_invalid(im, "it has %lld scales and %lld zero points", (long long)n, (long long)z->n);
    int32_t *v = OCT_NEW_N(im->a, int32_t, n);
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        v[i] = (int32_t)oct_onnx_get_int(z, i);
        any |= v[i] != 0;
    }
    if (any && t->dtype == OCT_I32) return oct_onnx_invalid(im, "the zero point of int32 codes is not 0");
    if (any) *out = v;
    return true;
}

const struct oct_quant *oct_onnx_quant(struct oct_onnx *im, const struct oct_type *t) {
    const struct oct_onnx_const *s = oct_onnx_constant(im, 1);
    const int32_t *zero;
    if (!s) return NULL;
    if (oct_onnx_attr_int(im, "block_size", 0))
        return oct_onnx_unsupported(im, "quantize by tensor or by channel", "its scales are by blocks"), NULL;
    if (s->type != ONNX_FLOAT || s->rank > 1 || s->n < 1)
        return oct_onnx_invalid(im, "its scale is no float scalar or vector"), NULL;
    if (!good_scales(im, s) || !zeros(im, t, s->n, &zero)) return NULL;
    const float *scale = s->data;
    if (s->n == 1) return oct_quant_tensor(im->a, scale[0], zero ? zero[0] : 0);
    int axis;
    if (!oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 1), t->rank, &axis)) return NULL;
    if (t->dim[axis] != s->n)
        return oct_onnx_invalid(im, "it has %lld scales for an axis of another size", (long long)s->n), NULL;
    return oct_quant_channel(im->a, axis, (uint32_t)s->n, scale, zero);
}

/* What QuantizeLinear makes: the zero point's type, else output_dtype, else uint8. */
static bool result_type(struct oct_onnx *im, const int64_t *dim, int rank, struct oct_type *t) {
    int32_t type = (int32_t)oct_onnx_attr_int(im, "output_dtype", 0);
    if (oct_onnx_has(im, 2)) {
        const struct oct_onnx_const *z = oct_onnx_constant(im, 2);
        if (!z) return false;
        type = z->type;
    }
    *t = (struct oct_type){.rank = rank};
    memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
    if (!oct_onnx_dtype(type ? type : ONNX_UINT8, &t->dtype) || t->dtype == OCT_F32)
        return oct_onnx_unsupported(im, "octavo reads codes of int8, uint8, int16 and uint16", "its codes are %s",
                                    oct_onnx_type_name(type));
    t->q = oct_onnx_quant(im, t);
    return t->q != NULL;
}

bool oct_onnx_build_quantize(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_type t;
    return x && result_type(im, x->type.dim, x->type.rank, &t) && oct_onnx_emit(im, OCT_OP_quantize, &x, 1, NULL, &t);
}

/* Constant codes under these parameters; nodes that read the same ones with the same parameters share the constant. */
static struct oct_node *codes(struct oct_onnx *im) {
    struct oct_onnx_value *v = im->in[0];
    struct oct_type t = {.rank = v->c->rank};
    memcpy(t.dim, v->c->dim, sizeof t.dim);
    if (!oct_onnx_dtype(v->c->type, &t.dtype) || t.dtype == OCT_F32)
        return oct_onnx_invalid(im, "it reads elements of type %s", oct_onnx_type_name(v->c->type)), NULL;
    const struct oct_quant *q = oct_onnx_quant(im, &t);
    if (!q) return NULL;
    if (v->node && oct_quant_equal(v->node->type.q, q)) return v->node;
    struct oct_node *n = oct_onnx_const_node(im, v->name, v->c, q);
    if (n) v->node = n;
    return n;
}

bool oct_onnx_build_dequantize(struct oct_onnx *im) {
    if (im->in[0]->c) {
        struct oct_node *x = codes(im);
        return x && oct_onnx_emit(im, OCT_OP_dequantize, &x, 1, NULL, NULL);
    }
    struct oct_node *x = im->in[0]->node;
    if (x->type.dtype == OCT_F32) return oct_onnx_invalid(im, "it reads floats");
    const struct oct_quant *q = oct_onnx_quant(im, &x->type);
    if (!q) return false;
    if (!oct_quant_equal(q, x->type.q))
        return oct_onnx_unsupported(im, "dequantize with the scale and zero point that were used to quantize",
                                    "it reads codes under other parameters than they were made with");
    return oct_onnx_emit(im, OCT_OP_dequantize, &x, 1, NULL, NULL);
}

/* Weights that the file keeps in float, before QuantizeLinear. */
bool oct_onnx_fold_quantize(struct oct_onnx *im, struct oct_onnx_const *out) {
    const struct oct_onnx_const *c = im->in[0]->c;
    struct oct_type t;
    if (!c || c->type != ONNX_FLOAT || !result_type(im, c->dim, c->rank, &t)) return false;
    size_t size = oct_dtype_size(t.dtype);
    if (!oct_onnx_budget(im, (size_t)c->n * size)) return false;
    char *to = OCT_NEW_N(im->a, char, (size_t)c->n *size);
    int64_t inner = 1; /* elements from one channel to the next */
    for (int i = t.q->axis + 1; t.q->axis >= 0 && i < c->rank; i++) inner *= c->dim[i];
    for (int64_t i = 0; i < c->n; i++) {
        uint32_t channel = t.q->axis < 0 ? 0 : (uint32_t)(i / inner % t.q->n);
        int32_t v =
            oct_quantize1(((const float *)c->data)[i], oct_scale(t.q, channel), oct_zero(t.q, channel),
                          (int32_t)oct_dtype_min(t.dtype), (int32_t)oct_dtype_max(t.dtype), OCT_divide_div, OCT_order_before);
        memcpy(to + (size_t)i * size, &v, size); /* little-endian: the low bytes */
    }
    *out = *c;
    out->type = t.dtype == OCT_I8    ? ONNX_INT8
                : t.dtype == OCT_U8  ? ONNX_UINT8
                : t.dtype == OCT_I16 ? ONNX_INT16
                : t.dtype == OCT_U16 ? ONNX_UINT16
                                     : ONNX_INT32;
    out->data = to;
    return true;
}
