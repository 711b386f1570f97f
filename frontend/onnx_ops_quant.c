/* onnx_ops_quant.c - QuantizeLinear and DequantizeLinear, whose scale and zero point move into the type of the codes; and the
 * operators that have codes on both sides (ONNX Runtime's QOperator form): each is its float operator between them. */
#include <limits.h>
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
static bool zeros(struct oct_onnx *im, int input, const struct oct_type *t, int64_t n, const int32_t **out) {
    *out = NULL;
    if (!oct_onnx_has(im, input)) return true;
    const struct oct_onnx_const *z = oct_onnx_constant(im, input);
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

/* Parameters of a tensor of this type from inputs `scale` and the one behind it; several scales lie along `axis`. */
static const struct oct_quant *quant_from(struct oct_onnx *im, int scale, int64_t along, const struct oct_type *t) {
    const struct oct_onnx_const *s = oct_onnx_constant(im, scale);
    const int32_t *zero;
    if (!s) return NULL;
    if (s->type != ONNX_FLOAT || s->rank > 1 || s->n < 1)
        return oct_onnx_invalid(im, "its scale is no float scalar or vector"), NULL;
    if (!good_scales(im, s) || !zeros(im, scale + 1, t, s->n, &zero)) return NULL;
    const float *v = s->data;
    if (s->n == 1) return oct_quant_tensor(im->a, v[0], zero ? zero[0] : 0);
    int axis;
    if (!oct_onnx_axis(im, along, t->rank, &axis)) return NULL;
    if (t->dim[axis] != s->n)
        return oct_onnx_invalid(im, "it has %lld scales for an axis of another size", (long long)s->n), NULL;
    return oct_quant_channel(im->a, axis, (uint32_t)s->n, v, zero);
}

const struct oct_quant *oct_onnx_quant(struct oct_onnx *im, const struct oct_type *t) {
    if (oct_onnx_attr_int(im, "block_size", 0))
        return oct_onnx_unsupported(im, "quantize by tensor or by channel", "its scales are by blocks"), NULL;
    return quant_from(im, 1, oct_onnx_attr_int(im, "axis", 1), t);
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
        return oct_onnx_unsupported(im, "octavo reads codes of int4, uint4, int8, uint8, int16 and uint16", "its codes are %s",
                                    oct_onnx_type_name(type));
    t->q = oct_onnx_quant(im, t);
    return t->q != NULL;
}

bool oct_onnx_build_quantize(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_type t;
    return x && result_type(im, x->type.dim, x->type.rank, &t) && oct_onnx_emit(im, OCT_OP_quantize, &x, 1, NULL, &t);
}

/* Constant codes under parameters; nodes that read the same ones with the same parameters share the constant. */
static struct oct_node *codes(struct oct_onnx *im, int input, const struct oct_type *t, const struct oct_quant *q) {
    struct oct_onnx_value *v = im->in[input];
    if (t->dtype == OCT_F32) return oct_onnx_invalid(im, "it reads elements of type %s", oct_onnx_type_name(v->c->type)), NULL;
    if (v->node && oct_quant_equal(v->node->type.q, q)) return v->node;
    struct oct_node *n = oct_onnx_const_node(im, v->name, v->c, q);
    if (n) v->node = n;
    return n;
}

/* The type that input `input` has without its parameters. */
static struct oct_type stored_type(const struct oct_onnx_value *v) {
    if (!v->c) return v->node->type;
    struct oct_type t = {.rank = v->c->rank};
    memcpy(t.dim, v->c->dim, sizeof t.dim);
    if (!oct_onnx_dtype(v->c->type, &t.dtype)) t.dtype = OCT_F32;
    return t;
}

/* Codes that input `input` holds under these parameters; NULL after a report. */
static struct oct_node *codes_under(struct oct_onnx *im, int input, const struct oct_type *t, const struct oct_quant *q) {
    if (!q) return NULL;
    if (im->in[input]->c) return codes(im, input, t, q);
    struct oct_node *x = im->in[input]->node;
    if (x->type.dtype == OCT_F32) return oct_onnx_invalid(im, "it reads floats"), NULL;
    if (oct_quant_equal(q, x->type.q)) return x;
    oct_onnx_unsupported(im, "dequantize with the scale and zero point that were used to quantize",
                         "it reads codes under other parameters than they were made with");
    return NULL;
}

/* Rows of a fixed table of codes, gathered as numbers and moved since, get their parameters here: the gather, which dequantizes,
 * and what moves them are built anew. n: how many moves, the last first. */
enum { MOST_MOVED = 8 };
static const struct oct_node *gathered(const struct oct_onnx *im, const struct oct_node **move, int *n) {
    const struct oct_node *x = im->in[0]->node;
    for (*n = 0; x && *n < MOST_MOVED && (oct_op_info(x->op)->flags & OCT_MOVES); x = x->operand[0]) move[(*n)++] = x;
    const bool table = x && x->op == OCT_OP_gather && x->operand[0]->op == OCT_OP_const && x->operand[0]->type.q;
    return table ? x : NULL;
}
static bool build_rows(struct oct_onnx *im, const struct oct_node *g, const struct oct_node *const *move, int n) {
    const struct oct_node *table = g->operand[0];
    struct oct_type t = table->type;
    t.q = oct_onnx_quant(im, &t);
    if (!t.q) return false;
    if (t.q->axis >= 0) return oct_onnx_unsupported(im, "give the table one scale", "its table has several scales");
    struct oct_node *w = oct_build_const(im->m, oct_fresh_const_name(im->m, table->name), &t, table->data, im->span), *y = NULL;
    if (w) y = oct_onnx_step(im, n ? ".rows" : "", OCT_OP_gather, (struct oct_node *[]){w, g->operand[1]}, 2, NULL, NULL);
    for (int i = n - 1; y && i >= 0; i--) {
        struct oct_attrs at = move[i]->at;
        OCT_DROP(at, from);
        y = oct_onnx_step(im, i ? oct_sprintf(im->a, ".moved%d", i) : "", move[i]->op, &y, 1, &at, NULL);
    }
    return oct_onnx_result(im, 0, y);
}

bool oct_onnx_build_dequantize(struct oct_onnx *im) {
    const struct oct_node *move[MOST_MOVED];
    int moves;
    const struct oct_node *g = gathered(im, move, &moves);
    if (g) return build_rows(im, g, move, moves);
    const struct oct_type t = stored_type(im->in[0]);
    struct oct_node *x = codes_under(im, 0, &t, oct_onnx_quant(im, &t));
    return x && oct_onnx_emit(im, OCT_OP_dequantize, &x, 1, NULL, NULL);
}

/* ---- operators from codes to codes -------------------------------------------------------------------------------------------
 */

oct_onnx_handler oct_onnx_build_conv, oct_onnx_build_gemm, oct_onnx_build_matmul, oct_onnx_build_binary, oct_onnx_build_pool,
    oct_onnx_build_global_pool, oct_onnx_build_softmax, oct_onnx_build_unary, oct_onnx_build_leaky_relu, oct_onnx_build_concat,
    oct_onnx_build_reduce_mean;

/* Codes, scale and zero point are three inputs behind each other, from `first` on `count` times (or to the end); the result's
 * scale is input `result`. */
struct qlinear {
    const char *name;
    oct_onnx_handler *real; /* the float operator */
    int first, count, bias, result;
};
enum { NO_BIAS = -1, TO_THE_END = INT_MAX };
static const struct qlinear qlinears[] = {
    {"QLinearConv", oct_onnx_build_conv, 0, 2, 8, 6},
    {"QLinearMatMul", oct_onnx_build_matmul, 0, 2, NO_BIAS, 6},
    {"QGemm", oct_onnx_build_gemm, 0, 2, 6, 7},
    {"QLinearAdd", oct_onnx_build_binary, 0, 2, NO_BIAS, 6},
    {"QLinearMul", oct_onnx_build_binary, 0, 2, NO_BIAS, 6},
    {"QLinearAveragePool", oct_onnx_build_pool, 0, 1, NO_BIAS, 3},
    {"QLinearGlobalAveragePool", oct_onnx_build_global_pool, 0, 1, NO_BIAS, 3},
    {"QLinearReduceMean", oct_onnx_build_reduce_mean, 0, 1, NO_BIAS, 3},
    {"QLinearSoftmax", oct_onnx_build_softmax, 0, 1, NO_BIAS, 3},
    {"QLinearSigmoid", oct_onnx_build_unary, 0, 1, NO_BIAS, 3},
    {"QLinearLeakyRelu", oct_onnx_build_leaky_relu, 0, 1, NO_BIAS, 3},
    {"QLinearConcat", oct_onnx_build_concat, 2, TO_THE_END, NO_BIAS, 0},
};

static const struct qlinear *qlinear_of(const char *name) {
    for (size_t i = 0; i < sizeof qlinears / sizeof *qlinears; i++)
        if (!strcmp(qlinears[i].name, name)) return &qlinears[i];
    return NULL;
}

/* Along which axis the scales of operand k lie, where it has several: outputs of convolutions, columns of matrices. */
static int64_t scales_along(struct oct_onnx *im, const struct qlinear *q, int k) {
    if (q->real == oct_onnx_build_conv) return 0;
    return q->real == oct_onnx_build_gemm && k == 1 && oct_onnx_attr_int(im, "transB", 0) ? 0 : -1;
}

/* How many operands on codes there are beside the bias. */
static int operands_of(const struct oct_onnx *im, const struct qlinear *q) {
    return q->count == TO_THE_END ? (im->nin - q->first) / 3 : q->count;
}

const struct oct_quant *oct_onnx_qlinear_input(struct oct_onnx *im, const char *name, const struct oct_type *t, bool *reads) {
    const struct qlinear *q = qlinear_of(im->op->name);
    *reads = false;
    for (int k = 0; q && k < operands_of(im, q); k++) {
        const int at = q->first + 3 * k;
        if (!oct_onnx_has(im, at) || strcmp(im->in[at]->name, name)) continue;
        *reads = oct_onnx_has(im, at + 1);
        return *reads ? quant_from(im, at + 1, scales_along(im, q, k), t) : NULL;
    }
    return NULL;
}

/* The bias: int32 in units of the products, zero point 0. */
static struct oct_node *bias_codes(struct oct_onnx *im, int input, const struct oct_quant *x, const struct oct_quant *w) {
    const struct oct_onnx_const *c = oct_onnx_constant(im, input);
    if (!c) return NULL;
    if (c->type != ONNX_INT32 || c->rank != 1 || (w->axis >= 0 && c->n != w->n))
        return oct_onnx_invalid(im, "its bias is no int32 vector of one element for each result channel"), NULL;
    float *scale = OCT_NEW_N(im->a, float, c->n);
    for (int64_t i = 0; i < c->n; i++) scale[i] = x->scale[0] * w->scale[w->axis < 0 ? 0 : i];
    const struct oct_type t = stored_type(im->in[input]);
    return codes(im, input, &t, oct_quant_channel(im->a, 0, (uint32_t)c->n, scale, NULL));
}

bool oct_onnx_build_qlinear(struct oct_onnx *im) {
    const struct qlinear *q = qlinear_of(im->op->name);
    if (!q) return oct_onnx_unsupported(im, NULL, "octavo has no form for it");
    if (oct_onnx_attr_int(im, "channels_last", 0))
        return oct_onnx_unsupported(im, "export images as NCHW", "its channels are last");
    const int given = q->count == TO_THE_END ? (im->nin - q->first) / 3 : q->count,
              n = given + (q->bias >= 0 && oct_onnx_has(im, q->bias));
    struct oct_onnx_value **in = OCT_NEW_N(im->a, struct oct_onnx_value *, n), *real = OCT_NEW(im->a, struct oct_onnx_value),
                          *result = im->out[0];
    const struct oct_quant *parameters[2] = {NULL, NULL};
    for (int k = 0; k < n; k++) {
        const int at = k < given ? q->first + 3 * k : q->bias;
        if (!oct_onnx_has(im, at)) return oct_onnx_invalid(im, "input %d is left out", at);
        struct oct_node *x;
        if (k < given) {
            const struct oct_type t = stored_type(im->in[at]);
            const struct oct_quant *p = quant_from(im, at + 1, scales_along(im, q, k), &t);
            if (k < 2) parameters[k] = p;
            x = codes_under(im, at, &t, p);
        } else {
            x = bias_codes(im, at, parameters[0], parameters[1]);
        }
        if (!x || !(x = oct_onnx_step(im, oct_sprintf(im->a, ".x%d", k), OCT_OP_dequantize, &x, 1, NULL, NULL))) return false;
        in[k] = OCT_NEW(im->a, struct oct_onnx_value);
        *in[k] = (struct oct_onnx_value){.name = x->name, .state = ONNX_KNOWN, .node = x};
    }
    struct oct_onnx_value **all = im->in;
    const int count = im->nin;
    *real = (struct oct_onnx_value){.name = oct_sprintf(im->a, "%.48s.real", result->name), .state = ONNX_LOST};
    im->in = in, im->nin = n, im->out[0] = real;
    const bool built = q->real(im);
    im->in = all, im->nin = count, im->out[0] = result;
    if (!built) return false;
    if (!oct_onnx_has(im, q->result)) return oct_onnx_result(im, 0, real->node); /* QGemm may give floats */
    struct oct_type t = {.rank = real->node->type.rank, .dtype = OCT_U8};
    memcpy(t.dim, real->node->type.dim, sizeof t.dim);
    if (oct_onnx_has(im, q->result + 1)) {
        const struct oct_onnx_const *zero = oct_onnx_constant(im, q->result + 1);
        if (!zero || !oct_onnx_dtype(zero->type, &t.dtype) || t.dtype == OCT_F32)
            return im->failed ? false : oct_onnx_invalid(im, "its result's zero point is of no type for codes");
    }
    if (!(t.q = quant_from(im, q->result, 0, &t))) return false;
    if (!(im->m->option_set >> OCT_OPT_profile & 1)) { /* ONNX Runtime's rounding goes with its operators */
        im->m->option[OCT_OPT_profile] = OCT_profile_onnx;
        im->m->option_set |= 1u << OCT_OPT_profile;
    }
    return oct_onnx_emit(im, OCT_OP_quantize, &real->node, 1, NULL, &t);
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
    out->type = t.dtype == OCT_I4    ? ONNX_INT4
                : t.dtype == OCT_U4  ? ONNX_UINT4
                : t.dtype == OCT_I8  ? ONNX_INT8
                : t.dtype == OCT_U8  ? ONNX_UINT8
                : t.dtype == OCT_I16 ? ONNX_INT16
                : t.dtype == OCT_U16 ? ONNX_UINT16
                                     : ONNX_INT32;
    out->data = to;
    return true;
}
