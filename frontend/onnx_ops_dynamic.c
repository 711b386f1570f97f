/* onnx_ops_dynamic.c - operators on codes whose parameters are known at run time only: DynamicQuantizeLinear, MatMulInteger,
 * ConvInteger, and ONNX Runtime's that hold several of these. Codes are numbers here (scale 1, zero point 0), so that each
 * operator stands for itself; pass fuse_dynamic makes one op of the pattern around them. */
#include <string.h>

#include "onnx_import.h"

oct_onnx_handler oct_onnx_build_dynamic_quantize, oct_onnx_build_dynamic_matmul, oct_onnx_build_integer_to_float;

static struct oct_type number_type(struct oct_onnx *im, enum oct_dtype dtype) {
    return (struct oct_type){.dtype = dtype, .rank = OCT_ANY_RANK, .q = oct_quant_tensor(im->a, 1, 0)};
}

static struct oct_node *part_of(struct oct_onnx *im, struct oct_node *x, const char *suffix, enum oct_part part) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (part != OCT_part_codes) OCT_SET(at, part, part);
    return oct_onnx_step(im, suffix, OCT_OP_dynamic_quantize, &x, 1, &at, NULL);
}

bool oct_onnx_build_dynamic_quantize(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    static const enum oct_part part[] = {OCT_part_codes, OCT_part_scale, OCT_part_zero};
    static const char *const suffix[] = {"", ".scale", ".zero"};
    for (int i = 0; x && i < im->nout; i++)
        if (im->out[i] && !oct_onnx_result(im, i, part_of(im, x, suffix[i], part[i]))) return false;
    return x != NULL;
}

/* Input i as numbers; NULL after a report. */
static struct oct_node *numbers(struct oct_onnx *im, int i) {
    struct oct_onnx_value *v = im->in[i];
    const struct oct_quant *one = oct_quant_tensor(im->a, 1, 0);
    if (!v->node && v->c) v->node = oct_onnx_const_node(im, v->name, v->c, one);
    if (!v->node) return NULL;
    if (v->node->type.q && oct_quant_equal(v->node->type.q, one)) return v->node;
    if (v->c) return oct_onnx_const_node(im, v->name, v->c, one);
    oct_onnx_unsupported(im, NULL, "its input %d has other parameters where it is made", i);
    return NULL;
}

/* Input `at` less its zero point, input `zero`: itself where that is 0. Exact in 16 bits. */
static struct oct_node *shifted(struct oct_onnx *im, int at, int zero, const char *suffix) {
    struct oct_node *x = numbers(im, at);
    if (!x || !oct_onnx_has(im, zero)) return x;
    const struct oct_onnx_const *c = im->in[zero]->c;
    bool none = c != NULL;
    for (int64_t i = 0; none && i < c->n; i++) none = oct_onnx_get_int(c, i) == 0;
    if (none) return x;
    struct oct_node *z = numbers(im, zero);
    if (!z) return NULL;
    if (z->type.rank == 1 && z->type.dim[0] > 1 && at == 0) { /* one a row */
        struct oct_attrs as;
        oct_attrs_init(&as);
        OCT_SET(as, axes, ((struct oct_ints){1, {1}}));
        z = oct_onnx_step(im, ".rows", OCT_OP_unsqueeze, &z, 1, &as, NULL);
    }
    const struct oct_type t = number_type(im, OCT_I16);
    return z ? oct_onnx_step(im, suffix, OCT_OP_sub, (struct oct_node *[]){x, z}, 2, NULL, &t) : NULL;
}

/* Fixed weights with their zero point in the type, turned to [outputs,inputs] for a matrix; under `scale` (one, or one an
 * output). NULL, without a report, where they are none such. */
static struct oct_node *fixed(struct oct_onnx *im, int at, int zero, bool matrix, const struct oct_onnx_const *scale) {
    const struct oct_onnx_const *w = im->in[at]->c, *z = oct_onnx_has(im, zero) ? im->in[zero]->c : NULL;
    if (!w || (oct_onnx_has(im, zero) && !z) || (matrix && w->rank != 2) || w->n < 1) return NULL;
    struct oct_type t = {.rank = w->rank};
    if (!oct_onnx_dtype(w->type, &t.dtype) || oct_dtype_size(t.dtype) != 1 || oct_dtype_is_float(t.dtype)) return NULL;
    memcpy(t.dim, w->dim, sizeof t.dim);
    if (matrix) t.dim[0] = w->dim[1], t.dim[1] = w->dim[0];
    const int64_t outs = t.dim[0], per = w->n / outs;
    if ((z && z->n != 1 && z->n != outs) || (scale && scale->n != 1 && scale->n != outs)) return NULL;
    bool same = true;
    const int64_t first = z ? oct_onnx_get_int(z, 0) : 0;
    for (int64_t o = 0; z && o < z->n; o++) same &= oct_onnx_get_int(z, o) == first;
    const bool channels = (scale && scale->n > 1) || !same; /* then zero points go into the codes */
    const int64_t kept = channels ? 0 : first;
    if (channels && (first || !same)) t.dtype = OCT_I8;
    if (!oct_onnx_budget(im, (size_t)w->n)) return NULL;
    int8_t *codes = OCT_NEW_N(im->a, int8_t, w->n);
    for (int64_t o = 0; o < outs; o++)
        for (int64_t i = 0; i < per; i++) {
            int64_t v = oct_onnx_get_int(w, matrix ? i * outs + o : o * per + i);
            if (z && channels) v -= oct_onnx_get_int(z, z->n > 1 ? o : 0);
            if (v < oct_dtype_min(t.dtype) || v > oct_dtype_max(t.dtype)) return NULL;
            oct_store_int(t.dtype, codes, o * per + i, v);
        }
    float *s = OCT_NEW_N(im->a, float, channels ? outs : 1);
    for (int64_t o = 0; o < (channels ? outs : 1); o++) {
        s[o] = scale ? ((const float *)scale->data)[scale->n > 1 ? o : 0] : 1;
        if (!(s[o] > 0) || !isfinite(s[o])) return oct_onnx_invalid(im, "scale %lld is %g", (long long)o, (double)s[o]), NULL;
    }
    t.q = channels ? oct_quant_channel(im->a, 0, (uint32_t)outs, s, NULL) : oct_quant_tensor(im->a, s[0], (int32_t)kept);
    return oct_build_const(im->m, oct_fresh_const_name(im->m, oct_import_readable(im->in[at]->name)), &t, codes, im->span);
}

/* The product of inputs a and b, less their zero points, as i32 sums. */
static struct oct_node *product(struct oct_onnx *im, int a, int b, int za, int zb, const char *suffix) {
    struct oct_node *x = shifted(im, a, za, ".x"), *w = x ? fixed(im, b, zb, true, NULL) : NULL;
    const struct oct_type t = number_type(im, OCT_I32);
    if (!x || im->failed) return NULL;
    const enum oct_op op = w ? OCT_OP_dense : OCT_OP_matmul;
    if (!w) w = shifted(im, b, zb, ".w");
    return w ? oct_onnx_step(im, suffix, op, (struct oct_node *[]){x, w}, 2, NULL, &t) : NULL;
}

bool oct_onnx_build_integer(struct oct_onnx *im) {
    if (im->op->to == OCT_OP_dense) return oct_onnx_result(im, 0, product(im, 0, 1, 2, 3, ""));
    struct oct_node *x = shifted(im, 0, 2, ".x"), *w = x ? fixed(im, 1, 3, false, NULL) : NULL;
    const struct oct_type t = number_type(im, OCT_I32);
    if (!x || im->failed) return false;
    if (!w) return oct_onnx_unsupported(im, "make its weights constant", "its weights are no fixed codes of 8 bits");
    return oct_onnx_conv_of(im, x, w, NULL, &t);
}

/* A float result with or without the bias, input i. */
static bool biased(struct oct_onnx *im, struct oct_node *y, int i) {
    if (!y || !oct_onnx_has(im, i)) return oct_onnx_result(im, 0, y);
    struct oct_node *b = oct_onnx_float_operand(im, i);
    return b && oct_onnx_emit(im, OCT_OP_add, (struct oct_node *[]){y, b}, 2, NULL, NULL);
}

/* DynamicQuantizeMatMul(A, B, b_scale, b_zero_point?, bias?): the dynamic form itself. */
bool oct_onnx_build_dynamic_matmul(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    const struct oct_onnx_const *scale = x ? oct_onnx_constant(im, 2) : NULL;
    if (!scale) return false;
    struct oct_node *w = fixed(im, 1, 3, true, scale);
    if (!w) return im->failed ? false : oct_onnx_unsupported(im, NULL, "its weights are no fixed codes of 8 bits");
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, dynamic, true);
    return biased(
        im, oct_onnx_step(im, oct_onnx_has(im, 4) ? ".product" : "", OCT_OP_dense, (struct oct_node *[]){x, w}, 2, &at, NULL), 4);
}

/* MatMulIntegerToFloat(A, B, a_scale, b_scale, a_zero_point?, b_zero_point?, bias?). */
bool oct_onnx_build_integer_to_float(struct oct_onnx *im) {
    struct oct_node *sums = product(im, 0, 1, 4, 5, ".sums"), *a = sums ? oct_onnx_float_operand(im, 2) : NULL,
                    *b = a ? oct_onnx_float_operand(im, 3) : NULL;
    if (!b) return false;
    struct oct_node *scale = oct_onnx_step(im, ".scale", OCT_OP_mul, (struct oct_node *[]){a, b}, 2, NULL, NULL),
                    *real = oct_onnx_step(im, ".real", OCT_OP_dequantize, &sums, 1, NULL, NULL);
    if (!scale || !real) return false;
    return biased(
        im,
        oct_onnx_step(im, oct_onnx_has(im, 6) ? ".product" : "", OCT_OP_mul, (struct oct_node *[]){real, scale}, 2, NULL, NULL),
        6);
}
