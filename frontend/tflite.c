/* tflite.c - TFLite import: the tensors of the one subgraph, then its operators in the file's order, then its outputs. What the
 * operators mean is in tflite_ops.c. The file is hostile: bytes are read through flatbuf.h alone, counts are capped, and copies
 * come from a budget. Field numbers follow TensorFlow's schema, version 3. */
#include "tflite_import.h"

#include <string.h>

#include "../ir/interp.h"

enum { MAX_OPERATORS = 1 << 15, MAX_TENSORS = 1 << 17, MAX_ENDS = 1024 };
enum { MODEL_VERSION, MODEL_OPERATOR_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS };
enum { CODE_OLD, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN };
enum { GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS };
enum { TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANT, TENSOR_VARIABLE, TENSOR_SPARSITY, TENSOR_SIGNATURE };
enum { QUANT_SCALE = 2, QUANT_ZERO, QUANT_DETAILS, QUANT_AXIS = 6 };
enum { OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_OPTIONS = 4 };
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };

static const int to_nchw[] = {0, 3, 1, 2}, to_nhwc[] = {0, 2, 3, 1};

/* ---- reports ------------------------------------------------------------------------------------------------------------- */

static const char *operator_text(struct oct_tfl *im) {
    if (!im->op) return "the graph";
    const char *result = im->out ? im->out->name : "";
    return oct_sprintf(im->a, "operator %u (%s) of result %s", im->number, im->op->name, oct_import_quote(im->a, result));
}

static bool report(struct oct_tfl *im, enum oct_diag_id id, const char *fmt, va_list ap) {
    struct oct_text t;
    oct_text_init(&t, im->a);
    oct_text_vaddf(&t, fmt, ap);
    oct_error(im->cx, im->span, id, "%s: %s", operator_text(im), t.s);
    im->failed = true;
    return false;
}
bool oct_tfl_unsupported(struct oct_tfl *im, const char *advice, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(im, OCT_E3005, fmt, ap);
    va_end(ap);
    if (advice) oct_help(im->cx, "%s", advice);
    return false;
}
bool oct_tfl_invalid(struct oct_tfl *im, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(im, OCT_E3006, fmt, ap);
    va_end(ap);
    return false;
}

/* False after a fault of the bytes, which is told once. */
static bool sound(struct oct_tfl *im) {
    if (!im->fb.fault) return true;
    oct_error(im->cx, im->span, OCT_E3001, "malformed TFLite file at byte %zu: %s", im->fb.fault_at, im->fb.fault);
    oct_help(im->cx, "the file is damaged or is no TFLite model; convert or copy it again");
    return false;
}

void *oct_tfl_memory(struct oct_tfl *im, int64_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)n, size, &bytes) || bytes > im->memory_left) {
        if (!im->failed) oct_error(im->cx, im->span, OCT_E3002, "reading the model's constants would take too much memory");
        im->failed = true;
        return NULL;
    }
    im->memory_left -= bytes;
    return oct_alloc(im->a, bytes);
}

/* ---- tensors -------------------------------------------------------------------------------------------------------------- */

struct element {
    int type;
    const char *name;
    unsigned size;        /* bytes in the file; int4: two in one */
    bool is_value;        /* can be a value of the module, */
    enum oct_dtype dtype; /* as this */
};
/* NULL: a type that octavo does not know. */
static const struct element *element_of(int type) {
    static const struct element elements[] = {
        {TFL_FLOAT32, "float32", 4, true, OCT_F32}, {TFL_FLOAT16, "float16", 2, true, OCT_F32},
        {TFL_INT32, "int32", 4, true, OCT_I32},     {TFL_UINT8, "uint8", 1, true, OCT_U8},
        {TFL_INT64, "int64", 8, false, OCT_I32},    {TFL_INT16, "int16", 2, true, OCT_I16},
        {TFL_INT8, "int8", 1, true, OCT_I8},        {TFL_INT4, "int4", 1, true, OCT_I4}};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].type == type) return &elements[i];
    return NULL;
}
static const char *type_name(struct oct_arena *a, int type) {
    const struct element *e = element_of(type);
    return e ? e->name : oct_sprintf(a, "number %d", type);
}
static bool is_value(const struct oct_tfl_tensor *t) {
    const struct element *e = element_of(t->type);
    return e && e->is_value;
}
bool oct_tfl_is_float(const struct oct_tfl_tensor *t) { return t->type == TFL_FLOAT32 || t->type == TFL_FLOAT16; }

static int64_t elements(const struct oct_tfl_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

static bool tensor_error(struct oct_tfl *im, const struct oct_tfl_tensor *t, enum oct_diag_id id, const char *what) {
    oct_error(im->cx, im->span, id, "tensor %lld (%s): %s", (long long)(t - im->tensor), oct_import_quote(im->a, t->name), what);
    return false;
}

static bool read_shape(struct oct_tfl *im, struct oct_fb_table from, struct oct_tfl_tensor *t) {
    const struct oct_fb_vector shape = oct_fb_vector(&im->fb, from, TENSOR_SHAPE, 4),
                               signature = oct_fb_vector(&im->fb, from, TENSOR_SIGNATURE, 4);
    if (!sound(im)) return false;
    if (shape.n > OCT_MAX_RANK) return tensor_error(im, t, OCT_E3009, "it has too many dimensions");
    t->rank = (int)shape.n;
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        t->dim[i] = oct_fb_int_at(&im->fb, shape, (uint32_t)i, 4);
        if (t->dim[i] < 0) return tensor_error(im, t, OCT_E3007, "it has a negative dimension");
        if (__builtin_mul_overflow(n, t->dim[i] ? t->dim[i] : 1, &n) || n > OCT_MAX_ELEMENTS)
            return tensor_error(im, t, OCT_E3007, "its dimensions multiply to too many elements");
    }
    t->batch = signature.n == shape.n && t->rank && t->dim[0] == 1 && oct_fb_int_at(&im->fb, signature, 0, 4) == -1;
    for (int i = 1; signature.n == shape.n && i < t->rank; i++)
        t->unfixed |= oct_fb_int_at(&im->fb, signature, (uint32_t)i, 4) == -1;
    return true;
}

static bool read_quant(struct oct_tfl *im, struct oct_fb_table from, struct oct_tfl_tensor *t) {
    const struct oct_fb_table quant = oct_fb_table(&im->fb, from, TENSOR_QUANT);
    const struct oct_fb_vector scale = oct_fb_vector(&im->fb, quant, QUANT_SCALE, 4),
                               zero = oct_fb_vector(&im->fb, quant, QUANT_ZERO, 8);
    const int64_t axis = oct_fb_int(&im->fb, quant, QUANT_AXIS, 4, 0), details = oct_fb_int(&im->fb, quant, QUANT_DETAILS, 1, 0);
    if (!sound(im)) return false;
    if (details) return tensor_error(im, t, OCT_E3009, "its quantization parameters are of a kind that octavo does not know");
    if (!scale.n || oct_tfl_is_float(t) || !is_value(t)) return true; /* ranges that a converter left */
    const enum oct_dtype dtype = element_of(t->type)->dtype;
    const bool channels = scale.n > 1;
    if (channels && (axis < 0 || axis >= t->rank || t->dim[axis] != scale.n))
        return tensor_error(im, t, OCT_E3007, "the number of its scales is not that of its channels");
    if (zero.n > 1 && zero.n != scale.n) return tensor_error(im, t, OCT_E3007, "it has not as many zero points as scales");
    float *s = oct_tfl_memory(im, scale.n, sizeof *s);
    int32_t *z = s ? oct_tfl_memory(im, scale.n, sizeof *z) : NULL;
    if (!z) return false;
    bool any = false;
    for (uint32_t i = 0; i < scale.n; i++) {
        const int64_t point = zero.n ? oct_fb_int_at(&im->fb, zero, zero.n > 1 ? i : 0, 8) : 0;
        s[i] = oct_fb_float_at(&im->fb, scale, i);
        if (!(s[i] > 0) || !isfinite(s[i]))
            return tensor_error(im, t, OCT_E3007,
                                oct_sprintf(im->a, "scale %u is %g; scales are finite and above 0", i, (double)s[i]));
        if (point < oct_dtype_min(dtype) || point > oct_dtype_max(dtype) || (dtype == OCT_I32 && point))
            return tensor_error(im, t, OCT_E3007, oct_sprintf(im->a, "zero point %lld is no code of its type", (long long)point));
        z[i] = (int32_t)point;
        any |= point != 0;
    }
    t->q = channels ? oct_quant_channel(im->a, (int)axis, scale.n, s, any ? z : NULL) : oct_quant_tensor(im->a, s[0], z[0]);
    return true;
}

static float half(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
    if (exponent == 31) bits = sign | 0x7f800000u | fraction << 13;
    if (!exponent) {
        const float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Points t->data at the elements; copies where they are packed, of 16-bit floats, or not aligned. */
static bool take_data(struct oct_tfl *im, struct oct_tfl_tensor *t, struct oct_fb_vector bytes) {
    const struct element *e = element_of(t->type);
    if (!e) return true; /* told when it is used */
    const int64_t n = elements(t), need = t->type == TFL_INT4 ? (n + 1) / 2 : n * e->size;
    if (bytes.n != need)
        return tensor_error(im, t, OCT_E3007,
                            oct_sprintf(im->a, "its data are %u bytes, its shape wants %lld", bytes.n, (long long)need));
    const uint8_t *from = im->fb.data + bytes.at;
    if (t->type == TFL_INT4 || t->type == TFL_FLOAT16) {
        void *to = oct_tfl_memory(im, n, t->type == TFL_INT4 ? 1 : sizeof(float));
        if (!to) return false;
        for (int64_t i = 0; i < n; i++)
            if (t->type == TFL_FLOAT16) ((float *)to)[i] = half((uint16_t)(from[2 * i] | from[2 * i + 1] << 8));
            else ((int8_t *)to)[i] = (int8_t)((int8_t)(from[i / 2] << (i & 1 ? 0 : 4)) >> 4); /* the low half first */
        t->data = to;
    } else if ((uintptr_t)from % e->size) {
        void *to = oct_tfl_memory(im, n, e->size);
        if (!to) return false;
        memcpy(to, from, (size_t)need);
        t->data = to;
    } else {
        t->data = from;
    }
    for (int64_t i = 0; oct_tfl_is_float(t) && i < n; i++)
        if (!isfinite(((const float *)t->data)[i])) return tensor_error(im, t, OCT_E3007, "it holds NaN or infinity");
    return true;
}

static bool read_tensor(struct oct_tfl *im, struct oct_fb_table from, struct oct_fb_vector buffers, struct oct_tfl_tensor *t) {
    t->name = oct_fb_string(&im->fb, from, TENSOR_NAME);
    t->type = (int)oct_fb_int(&im->fb, from, TENSOR_TYPE, 1, 0);
    if (!sound(im) || !read_shape(im, from, t) || !read_quant(im, from, t)) return false;
    if (oct_fb_has(&im->fb, from, TENSOR_SPARSITY)) return tensor_error(im, t, OCT_E3009, "its elements are stored sparsely");
    if (oct_fb_int(&im->fb, from, TENSOR_VARIABLE, 1, 0))
        return tensor_error(im, t, OCT_E3009, "it is a variable that outlives a run; make the state an input and an output");
    const int64_t buffer = oct_fb_int(&im->fb, from, TENSOR_BUFFER, 4, 0);
    if (buffer < 0 || (buffer && buffer >= buffers.n))
        return tensor_error(im, t, OCT_E3003, "it names a buffer that is not there");
    const struct oct_fb_table holder =
        buffers.n ? oct_fb_table_at(&im->fb, buffers, (uint32_t)buffer) : (struct oct_fb_table){0, 0, 0, 0};
    const struct oct_fb_vector bytes = oct_fb_vector(&im->fb, holder, BUFFER_DATA, 1);
    if (oct_fb_int(&im->fb, holder, BUFFER_OFFSET, 8, 0) > 1)
        return tensor_error(im, t, OCT_E3009,
                            "its data lie behind the model; octavo reads models below 2 GB with the data inside");
    if (!sound(im)) return false;
    if (!bytes.n || !elements(t)) return true; /* computed, or an empty list */
    t->state = TFL_KNOWN;
    return take_data(im, t, bytes);
}

/* ---- nodes of tensors --------------------------------------------------------------------------------------------------------
 */

static struct oct_type type_of(const struct oct_tfl_tensor *t) {
    struct oct_type type = {.dtype = element_of(t->type)->dtype, .rank = t->rank, .q = t->q};
    memcpy(type.dim, t->dim, sizeof type.dim);
    return type;
}

/* Can it be a value of the module? */
static bool is_data(struct oct_tfl *im, const struct oct_tfl_tensor *t) {
    if (!elements(t)) return oct_tfl_invalid(im, "%s is empty", oct_import_quote(im->a, t->name));
    if (is_value(t)) return true;
    return oct_tfl_unsupported(im, NULL, "it reads %s, whose elements are of type %s", oct_import_quote(im->a, t->name),
                               type_name(im->a, t->type));
}

static struct oct_node *constant(struct oct_tfl *im, const struct oct_tfl_tensor *t, const struct oct_type *type,
                                 const void *data) {
    const char *name = oct_fresh_const_name(im->m, oct_import_readable(t->name));
    struct oct_node *n = oct_build_const(im->m, name, type, data, im->span);
    if (n) oct_import_from(im->a, &n->at, name, t->name);
    else im->failed = true;
    return n;
}

struct oct_node *oct_tfl_permuted(struct oct_tfl *im, const struct oct_tfl_tensor *t, int rank, const int *perm) {
    if (!is_data(im, t)) return NULL;
    struct oct_type type = type_of(t);
    int64_t stride[OCT_MAX_RANK], step[OCT_MAX_RANK], axis = -1, n = 1;
    for (int i = t->rank - 1; i >= 0; i--) step[i] = n, n *= t->dim[i];
    type.rank = rank;
    for (int i = 0; i < rank; i++) {
        type.dim[i] = perm[i] < 0 ? 1 : t->dim[perm[i]];
        stride[i] = perm[i] < 0 ? 0 : step[perm[i]];
        if (t->q && t->q->axis >= 0 && t->q->axis == perm[i]) axis = i;
    }
    const size_t size = oct_dtype_size(type.dtype);
    void *to = oct_tfl_memory(im, n, size);
    if (!to) return NULL;
    oct_import_gather(to, t->data, size, rank, type.dim, stride);
    if (t->q && t->q->axis >= 0) type.q = oct_quant_channel(im->a, (int)axis, t->q->n, t->q->scale, t->q->zero);
    return constant(im, t, &type, to);
}

static struct oct_node *turned(struct oct_tfl *im, const struct oct_tfl_tensor *t, struct oct_node *x, const int *perm,
                               const char *suffix) {
    if (x->op == OCT_OP_transpose) { /* back to where it came from */
        bool inverse = true;
        for (int i = 0; i < 4; i++) inverse = inverse && x->at.perm.v[perm[i]] == i;
        if (inverse) return x->operand[0];
    }
    const int64_t *d = x->type.dim;
    struct oct_attrs at;
    oct_attrs_init(&at);
    struct oct_ints list = {4, {0}};
    const bool in_place = perm == to_nhwc ? d[1] == 1 || (d[2] == 1 && d[3] == 1) : d[3] == 1 || (d[1] == 1 && d[2] == 1);
    for (int i = 0; i < 4; i++) list.v[i] = in_place ? d[perm[i]] : perm[i];
    if (in_place) OCT_SET(at, shape, list);
    else OCT_SET(at, perm, list);
    const char *name = oct_fresh_value_name(im->m, oct_sprintf(im->a, "%.48s%s", oct_import_readable(t->name), suffix));
    struct oct_node *y = oct_build(im->m, in_place ? OCT_OP_reshape : OCT_OP_transpose, name, &x, 1, &at, NULL, im->span);
    if (!y) im->failed = true;
    return y;
}

struct oct_node *oct_tfl_as_is(struct oct_tfl *im, struct oct_tfl_tensor *t) {
    if (t->node || !is_data(im, t)) return t->node;
    if (t->data) {
        const struct oct_type type = type_of(t);
        t->node = constant(im, t, &type, t->data);
    } else {
        t->node = turned(im, t, t->nchw, to_nhwc, ".nhwc");
    }
    return t->node;
}

struct oct_node *oct_tfl_nchw(struct oct_tfl *im, struct oct_tfl_tensor *t) {
    if (t->nchw || !is_data(im, t)) return t->nchw;
    if (t->rank != 4) {
        oct_tfl_unsupported(im, NULL, "its input %s has %d dimensions; an image has 4", oct_import_quote(im->a, t->name),
                            t->rank);
        return NULL;
    }
    t->nchw = t->data ? oct_tfl_permuted(im, t, 4, to_nchw) : turned(im, t, t->node, to_nchw, ".nchw");
    return t->nchw;
}

bool oct_tfl_int_list(struct oct_tfl *im, int i, struct oct_ints *out) {
    const struct oct_tfl_tensor *t = im->in[i];
    const int64_t n = elements(t);
    if (t->type != TFL_INT32 && t->type != TFL_INT64) return oct_tfl_invalid(im, "its input %d is no list of integers", i);
    if (n > OCT_MAX_RANK) return oct_tfl_unsupported(im, NULL, "its input %d has more than %d elements", i, OCT_MAX_RANK);
    if (n && !t->data)
        return oct_tfl_unsupported(im, "convert the model with fixed sizes", "its input %d is computed at run time", i);
    out->n = (int)n;
    for (int k = 0; k < out->n; k++)
        out->v[k] = t->type == TFL_INT32 ? ((const int32_t *)t->data)[k] : ((const int64_t *)t->data)[k];
    return true;
}

/* ---- building
 * ------------------------------------------------------------------------------------------------------------------ */

struct oct_node *oct_tfl_step(struct oct_tfl *im, const char *suffix, enum oct_op op, struct oct_node *const *operand, int n,
                              const struct oct_attrs *given, const struct oct_type *declared) {
    for (int i = 0; i < n; i++)
        if (!operand[i] && im->failed) return NULL; /* an operand that was refused */
    struct oct_node *node = oct_import_node(im->m, im->out->name, suffix, op, operand, n, given, declared, im->span);
    if (!node) {
        oct_note(im->cx, im->span, "in TFLite %s", operator_text(im));
        im->failed = true;
    }
    return node;
}

/* Limits of an activation in real values; false for one that is none of them. */
static bool activation_limits(int64_t activation, float limit[2], enum oct_op *op) {
    enum { NONE, RELU, RELU_N1_TO_1, RELU6 };
    limit[0] = activation == NONE ? -INFINITY : activation == RELU_N1_TO_1 ? -1 : 0;
    limit[1] = activation == RELU_N1_TO_1 ? 1 : activation == RELU6 ? 6 : INFINITY;
    *op = activation == RELU ? OCT_OP_relu : activation == RELU6 ? OCT_OP_relu6 : OCT_OP_clip;
    return activation >= NONE && activation <= RELU6;
}

/* The codes that stand for the limits, as TFLite finds them. */
static void clip_codes(struct oct_attrs *at, const struct oct_type *y, const float limit[2]) {
    const int32_t least = (int32_t)oct_dtype_min(y->dtype), most = (int32_t)oct_dtype_max(y->dtype), zero = oct_zero(y->q, 0);
    const float scale = oct_scale(y->q, 0);
    const int32_t lo = oct_quantize1(limit[0], scale, zero, least, most, OCT_divide_div, OCT_order_before),
                  hi = oct_quantize1(limit[1], scale, zero, least, most, OCT_divide_div, OCT_order_before);
    if (lo > least || hi < most) OCT_MARK(*at, clip), at->clip[0] = (float)lo, at->clip[1] = (float)hi;
}

/* The shape that was inferred is the file's; the batch, which the file has as 1, aside. */
static bool shape_agrees(const struct oct_tfl_tensor *t, const struct oct_type *y, bool nchw) {
    if (y->rank != t->rank) return false;
    for (int i = 0; i < t->rank; i++) {
        const int64_t is = y->dim[nchw ? i == 0 ? 0 : i == 3 ? 1 : i + 1 : i];
        if (is != t->dim[i] && !(is == OCT_DIM_N && t->dim[i] == 1)) return false;
    }
    return true;
}

bool oct_tfl_emit(struct oct_tfl *im, enum oct_op op, struct oct_node *const *operand, int n, const struct oct_attrs *given,
                  bool nchw, int64_t activation) {
    struct oct_tfl_tensor *out = im->out;
    if (!is_data(im, out)) return false;
    struct oct_attrs at;
    if (given) at = *given;
    else oct_attrs_init(&at);
    const unsigned flags = oct_op_info(op)->flags;
    const bool integer = !oct_tfl_is_float(out);
    struct oct_type declared = type_of(out);
    declared.rank = OCT_ANY_RANK;
    float limit[2];
    enum oct_op act;
    if (!activation_limits(activation, limit, &act))
        return oct_tfl_unsupported(im, NULL, "its fused activation is number %lld", (long long)activation);
    if (integer && !out->q && (flags & OCT_REQUANT))
        return oct_tfl_invalid(im, "its result is %s without a scale", type_name(im->a, out->type));
    if (integer && activation) clip_codes(&at, &declared, limit);
    if (integer && flags & OCT_REQUANT) OCT_SET(at, profile, oct_profile_for(im->m, op));
    const bool shares = flags & OCT_SHARESQ;
    if (shares && integer && operand[0] && !oct_quant_equal(operand[0]->type.q, out->q))
        return oct_tfl_unsupported(im, NULL, "it moves codes, but its result has other quantization parameters than its input");
    const bool two = !integer && activation;
    struct oct_node *y = oct_tfl_step(im, two ? ".linear" : "", op, operand, n, &at, !integer || shares ? NULL : &declared);
    if (y && two) {
        oct_attrs_init(&at);
        if (act == OCT_OP_clip) OCT_MARK(at, clip), memcpy(at.clip, limit, sizeof limit);
        y = oct_tfl_step(im, "", act, &y, 1, &at, NULL);
    }
    if (!y) return false;
    if (!shape_agrees(out, &y->type, nchw)) {
        struct oct_type stated = type_of(out);
        return oct_tfl_invalid(im, "its result is %s%s, but the file says %s", oct_type_text(im->a, &y->type),
                               nchw ? " (NCHW)" : "", oct_type_text(im->a, &stated));
    }
    *(nchw ? &out->nchw : &out->node) = y;
    out->state = TFL_KNOWN;
    return true;
}

/* ---- the graph
 * --------------------------------------------------------------------------------------------------------------------- */

static bool graph_error(struct oct_tfl *im, const char *what, long long number) {
    oct_error(im->cx, im->span, OCT_E3003, "%s %lld", what, number);
    im->failed = true;
    return false;
}

/* Tensor number i of a list; NULL: left out (-1), or after a report. */
static struct oct_tfl_tensor *tensor_at(struct oct_tfl *im, struct oct_fb_vector list, uint32_t i) {
    const int64_t number = oct_fb_int_at(&im->fb, list, i, 4);
    if (number >= 0 && number < im->ntensors) return &im->tensor[number];
    if (number != -1) graph_error(im, "an operator, input or output names tensor", (long long)number);
    return NULL;
}

static bool unknown_operator(struct oct_tfl *im, int64_t builtin, const char *custom) {
    if (*custom)
        oct_error(im->cx, im->span, OCT_E3004, "operator %u is %s, which octavo does not know", im->number,
                  oct_import_quote(im->a, custom));
    else
        oct_error(im->cx, im->span, OCT_E3004, "operator %u is builtin number %lld, which octavo does not know", im->number,
                  (long long)builtin);
    oct_help(im->cx, "replace it by operators that octavo reads, or cut the model before it");
    im->failed = true;
    return false;
}

static bool import_operator(struct oct_tfl *im, struct oct_fb_table from, struct oct_fb_vector codes) {
    im->failed = false;
    im->out = NULL;
    const struct oct_fb_vector in = oct_fb_vector(&im->fb, from, OPERATOR_INPUTS, 4),
                               out = oct_fb_vector(&im->fb, from, OPERATOR_OUTPUTS, 4);
    const int64_t code = oct_fb_int(&im->fb, from, OPERATOR_CODE, 4, 0);
    im->options = oct_fb_table(&im->fb, from, OPERATOR_OPTIONS);
    if (im->fb.fault) return false;
    if (code < 0 || code >= codes.n) return graph_error(im, "an operator names operator code", (long long)code);
    const struct oct_fb_table row = oct_fb_table_at(&im->fb, codes, (uint32_t)code);
    /* Old files have the number in a byte, which newer ones fill with 127 where it does not fit. */
    const int64_t old = oct_fb_int(&im->fb, row, CODE_OLD, 1, 0), builtin = oct_fb_int(&im->fb, row, CODE_BUILTIN, 4, 0);
    const char *custom = oct_fb_string(&im->fb, row, CODE_CUSTOM);
    if (im->fb.fault) return false;
    im->op = oct_tfl_op_find(builtin > old ? builtin : old);
    struct oct_tfl_tensor *result = NULL;
    for (uint32_t i = 0; i < out.n && i < MAX_ENDS; i++) {
        struct oct_tfl_tensor *t = tensor_at(im, out, i);
        if (!t) return (im->failed || graph_error(im, "a result is left out by operator", im->number));
        if (t->state == TFL_KNOWN || t->state == TFL_LOST)
            return graph_error(im, "a tensor is computed twice, or is constant and computed: by operator", im->number);
        t->state = TFL_LOST; /* until a handler says otherwise */
        if (!i) result = t;
    }
    if (*custom || !im->op) return unknown_operator(im, builtin > old ? builtin : old, custom);
    if (out.n != 1) return graph_error(im, "not one result, but so many:", out.n);
    im->out = result;
    if ((int64_t)in.n < im->op->min_in || (int64_t)in.n > im->op->max_in)
        return oct_tfl_invalid(im, "%u inputs, but %d to %d are allowed", in.n, im->op->min_in, im->op->max_in);
    if (!(im->in = oct_tfl_memory(im, in.n, sizeof *im->in))) return false;
    im->nin = (int)in.n;
    bool sizes = false;
    for (uint32_t i = 0; i < in.n; i++) {
        im->in[i] = tensor_at(im, in, i);
        if (im->failed) return false;
        if (!im->in[i] && (int)i < im->op->min_in) return oct_tfl_invalid(im, "input %u is left out", i);
        if (!im->in[i]) continue;
        if (im->in[i]->state == TFL_LOST) return false;
        if (im->in[i]->state == TFL_UNDEFINED && elements(im->in[i]))
            return oct_tfl_invalid(im, "input %s is not defined before it", oct_import_quote(im->a, im->in[i]->name));
        sizes |= i == 0 && im->in[i]->state == TFL_SIZES;
    }
    if (sizes) im->out->state = TFL_SIZES; /* of sizes alone come sizes */
    else im->op->build(im);
    if (im->failed) im->out->state = TFL_LOST;
    return !im->failed;
}

static bool import_input(struct oct_tfl *im, struct oct_tfl_tensor *t) {
    if (t->data || t->node) return tensor_error(im, t, OCT_E3003, "it is an input, but a constant or named twice");
    if (t->unfixed) {
        tensor_error(im, t, OCT_E3009, "a dimension of this input behind the first is not fixed");
        oct_help(im->cx, "only dimension 0, the batch, may be symbolic; convert with fixed sizes");
        return false;
    }
    if (!is_value(t) || !elements(t))
        return tensor_error(
            im, t, OCT_E3009,
            oct_sprintf(im->a, "an input of %lld elements of type %s", (long long)elements(t), type_name(im->a, t->type)));
    struct oct_type type = type_of(t);
    if (type.dtype != OCT_F32 && !type.q) return tensor_error(im, t, OCT_E3009, "it is an input of integers without a scale");
    if (t->batch) type.dim[0] = OCT_DIM_N;
    const char *name = oct_fresh_value_name(im->m, oct_import_readable(t->name));
    if (!(t->node = oct_build_input(im->m, name, &type, im->span))) return false;
    oct_import_from(im->a, &t->node->at, name, t->name);
    t->state = TFL_KNOWN;
    return true;
}

static bool import_output(struct oct_tfl *im, struct oct_tfl_tensor *t) {
    if (t->state == TFL_LOST) return false;
    if (t->state != TFL_KNOWN || t->data) return tensor_error(im, t, OCT_E3003, "it is an output that nothing computes");
    struct oct_node *n = oct_tfl_as_is(im, t);
    if (!n) return false;
    for (uint32_t i = 0; i < im->m->noutputs; i++)
        if (!strcmp(im->m->output[i].name, n->name)) return tensor_error(im, t, OCT_E3003, "an output is named twice");
    oct_add_output(im->m, n->name, n, im->span);
    return true;
}

static bool import_graph(struct oct_tfl *im, struct oct_fb_table model) {
    struct oct_fb *f = &im->fb;
    const struct oct_fb_vector codes = oct_fb_vector(f, model, MODEL_OPERATOR_CODES, 4),
                               graphs = oct_fb_vector(f, model, MODEL_SUBGRAPHS, 4),
                               buffers = oct_fb_vector(f, model, MODEL_BUFFERS, 4);
    const int64_t version = oct_fb_int(f, model, MODEL_VERSION, 4, 0);
    if (f->fault) return false;
    if (version != 3) {
        oct_error(im->cx, im->span, OCT_E3009, "the file is of schema version %lld; octavo reads 3", (long long)version);
        return false;
    }
    if (graphs.n != 1) return graph_error(im, "octavo reads models of one subgraph; subgraphs in this one:", graphs.n);
    const struct oct_fb_table graph = oct_fb_table_at(f, graphs, 0);
    const struct oct_fb_vector tensors = oct_fb_vector(f, graph, GRAPH_TENSORS, 4),
                               inputs = oct_fb_vector(f, graph, GRAPH_INPUTS, 4),
                               outputs = oct_fb_vector(f, graph, GRAPH_OUTPUTS, 4),
                               operators = oct_fb_vector(f, graph, GRAPH_OPERATORS, 4);
    if (f->fault) return false;
    if (tensors.n > MAX_TENSORS || operators.n > MAX_OPERATORS || inputs.n > MAX_ENDS || outputs.n > MAX_ENDS) {
        oct_error(im->cx, im->span, OCT_E3002, "%u tensors, %u operators, %u inputs and %u outputs are more than octavo reads",
                  tensors.n, operators.n, inputs.n, outputs.n);
        return false;
    }
    im->tensor = OCT_NEW_N(im->a, struct oct_tfl_tensor, tensors.n);
    im->ntensors = tensors.n;
    for (uint32_t i = 0; i < tensors.n; i++) im->tensor[i].name = "";
    for (uint32_t i = 0; i < tensors.n && !f->fault; i++)
        if (!read_tensor(im, oct_fb_table_at(f, tensors, i), buffers, &im->tensor[i])) return false;
    bool all = true;
    for (uint32_t i = 0; i < inputs.n; i++) {
        struct oct_tfl_tensor *t = tensor_at(im, inputs, i);
        all = t && import_input(im, t) && all;
    }
    for (im->number = 0; all && im->number < operators.n && !f->fault; im->number++)
        import_operator(im, oct_fb_table_at(f, operators, im->number), codes);
    if (!outputs.n) oct_error(im->cx, im->span, OCT_E3003, "the graph has no outputs");
    im->op = NULL;
    for (uint32_t i = 0; all && i < outputs.n; i++) {
        struct oct_tfl_tensor *t = tensor_at(im, outputs, i);
        if (t) import_output(im, t);
        else if (!im->failed) graph_error(im, "an output is left out: number", i);
    }
    return all;
}

struct oct_module *oct_import_tflite(struct oct_ctx *cx, const char *path, struct oct_bytes file, int profile) {
    const unsigned before = oct_error_count(cx);
    struct oct_module *m = oct_module_new(cx, oct_import_model_name(oct_own(cx), path));
    struct oct_tfl *im = OCT_NEW(m->arena, struct oct_tfl);
    *im = (struct oct_tfl){.cx = cx, .m = m, .a = m->arena, .fb = {.data = file.data, .len = file.len}};
    im->span.source = oct_source_add(cx, path ? path : "<tflite>", NULL, file.len);
    im->memory_left = ((size_t)16 << 20) + 4 * file.len;
    m->option[OCT_OPT_profile] = (uint8_t)profile;
    m->option_set |= (uint32_t)1 << OCT_OPT_profile;
    const struct oct_fb_table model = oct_fb_root(&im->fb, "TFL3");
    const char *description = oct_fb_string(&im->fb, model, MODEL_DESCRIPTION);
    if (*description) m->doc = description;
    if (!im->fb.fault) import_graph(im, model);
    sound(im);
    if (oct_error_count(cx) == before) {
        oct_import_drop_unused(m);
        oct_module_settle(m);
        if (oct_verify(m)) return m;
    }
    oct_module_free(m);
    return NULL;
}
