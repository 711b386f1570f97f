/* forms.c - which element types and quantization parameters each op takes and gives. Requires the op table.
 *
 *   float form     operands f32 -> f32
 *   integer form   operands i8 u8 i16 u16 with one scale and zero point each -> the same kinds, parameters by annotation
 * (SHARESQ: the operand's). Weights of conv2d and dense: 4 or 8 bits, per tensor, or along axis 0 with zero point 0; their bias:
 * i32 without parameters, its scale being that of the products quantize       f32 -> 4 to 16 bits, per tensor or per channel;
 * dequantize: any type with parameters -> f32 moves          any type, integers without parameters too: their codes are just
 * carried along
 *
 *   dynamic form   x f32, weight codes, attribute 'dynamic' -> f32: conv2d, dense; of lstm and gru the product with r
 *   accumulators   conv2d, dense, matmul: integer operands -> i32, not narrowed
 *
 * An integer type without scale is a bag of numbers: an input, a constant, or what a move makes of it. No op computes with it. */
#include <float.h>

#include "infer.h"

enum {
    ACT = 1u << OCT_I8 | 1u << OCT_U8 | 1u << OCT_I16 | 1u << OCT_U16,
    SMALL = 1u << OCT_I4 | 1u << OCT_U4,
    BYTES = SMALL | 1u << OCT_I8 | 1u << OCT_U8,
    CODES = SMALL | ACT,
    WITH_I32 = CODES | 1u << OCT_I32
};

static bool within(enum oct_dtype t, unsigned set) { return set >> t & 1u; }

bool oct_quant_check(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *t) {
    const struct oct_quant *q = t->q;
    if (!q) return true;
    if (!within(t->dtype, WITH_I32)) {
        oct_misuse(cx, n, OCT_E2201, "%s cannot have a scale", oct_dtype_name(t->dtype));
        oct_help(cx, "types with codes are i4, u4, i8, u8, i16, u16 and i32");
        return false;
    }
    if (q->axis >= t->rank || (q->axis >= 0 && t->dim[q->axis] == OCT_DIM_N))
        return oct_misuse(cx, n, OCT_E2204, "scale[%d] has no axis of numbers in %s", q->axis, oct_type_text(oct_own(cx), t));
    const int64_t runs = q->axis < 0 ? 1 : q->block > 0 ? (t->dim[q->axis] + q->block - 1) / q->block : t->dim[q->axis];
    if (q->n != runs)
        return oct_misuse(cx, n, OCT_E2205, "scale[%d] has %u values, but axis %d of %s wants %lld", q->axis, q->n, q->axis,
                          oct_type_text(oct_own(cx), t), (long long)runs);
    for (uint32_t i = 0; i < q->n; i++) {
        if (!(q->scale[i] >= FLT_MIN && q->scale[i] <= FLT_MAX)) {
            oct_misuse(cx, n, OCT_E2202, "scale %g of channel %u must be a normal positive number", (double)q->scale[i], i);
            oct_help(cx, "codes stand for scale * (code - zero); a scale of 0, below %g, infinite or negative says nothing",
                     (double)FLT_MIN);
            return false;
        }
        if (q->zero && (q->zero[i] < oct_dtype_min(t->dtype) || q->zero[i] > oct_dtype_max(t->dtype)))
            return oct_misuse(cx, n, OCT_E2203, "zero point %d is no code of %s: they run from %lld to %lld", (int)q->zero[i],
                              oct_dtype_name(t->dtype), (long long)oct_dtype_min(t->dtype), (long long)oct_dtype_max(t->dtype));
    }
    return true;
}

static const struct oct_type *operand(const struct oct_node *n, int i) { return &n->operand[i]->type; }

/* ---- operands ---- */

static bool need_float(struct oct_ctx *cx, const struct oct_node *n, int i, enum oct_diag_id id, const char *help) {
    if (operand(n, i)->dtype == OCT_F32) return true;
    oct_misuse(cx, n, id, "operand %s must be f32", oct_quoted(cx, n->operand[i]));
    oct_note_operand(cx, n, i);
    if (help) oct_help(cx, "%s", help);
    return false;
}

/* Codes of one of the types, with parameters. */
static bool need_codes(struct oct_ctx *cx, const struct oct_node *n, int i, unsigned types) {
    const struct oct_type *t = operand(n, i);
    const char *name = oct_quoted(cx, n->operand[i]);
    if (oct_dtype_is_float(t->dtype)) {
        oct_misuse(cx, n, OCT_E2210, "operand %s is float, but %s", name,
                   i ? "the one before it is quantized" : "codes are wanted");
        oct_note_operand(cx, n, i);
        if (i) oct_note_operand(cx, n, 0);
        oct_help(cx, "put quantize before it, or dequantize before the others");
        return false;
    }
    if (!t->q && within(t->dtype, types)) {
        oct_misuse(cx, n, OCT_E2211, "operand %s is %s without a scale, so its numbers mean nothing", name,
                   oct_dtype_name(t->dtype));
        oct_note_operand(cx, n, i);
        oct_help(cx, "annotate it where it is defined, like ': %s scale=0.5 zero=0'", oct_dtype_name(t->dtype));
        return false;
    }
    if (t->q && within(t->dtype, types)) return true;
    oct_misuse(cx, n, OCT_E2213, "operand %s is %s, which is not taken here", name, oct_dtype_name(t->dtype));
    return oct_note_operand(cx, n, i);
}

static bool need_activation(struct oct_ctx *cx, const struct oct_node *n, int i, unsigned types) {
    if (!need_codes(cx, n, i, types)) return false;
    if (operand(n, i)->q->axis < 0) return true;
    oct_misuse(cx, n, OCT_E2212, "operand %s has a scale per channel; one scale is wanted here", oct_quoted(cx, n->operand[i]));
    return oct_note_operand(cx, n, i);
}

static bool need_weight(struct oct_ctx *cx, const struct oct_node *n) {
    if (!need_codes(cx, n, 1, BYTES)) return false;
    const struct oct_quant *q = operand(n, 1)->q;
    bool zeros = true;
    for (uint32_t i = 0; q->zero && i < q->n; i++) zeros = zeros && !q->zero[i];
    if (q->axis < 0 || (q->axis == 0 && zeros && !q->block)) return true;
    oct_misuse(cx, n, OCT_E2214, "weight %s has %s", oct_quoted(cx, n->operand[1]),
               q->axis ? "scales along an axis that the product sums over" : "zero points per channel that are not 0");
    oct_note_operand(cx, n, 1);
    oct_help(cx, "an integer product takes weights with one scale, or with scale[0] and zero point 0");
    return false;
}

static bool need_bias(struct oct_ctx *cx, const struct oct_node *n, bool integer) {
    if (!oct_has_operand(n, 2)) return true;
    const struct oct_type *b = operand(n, 2);
    if (b->dtype == (integer ? OCT_I32 : OCT_F32) && !b->q) return true;
    oct_misuse(cx, n, OCT_E2215, "bias %s must be %s", oct_quoted(cx, n->operand[2]),
               integer ? "i32 without a scale" : "f32, as x is");
    oct_note_operand(cx, n, 2);
    if (integer) oct_help(cx, "its scale is the product of the scales of x and w, its zero point 0");
    return false;
}

/* Dynamic: codes of x are made at run time, of the weight they are there. */
static bool need_dynamic(struct oct_ctx *cx, const struct oct_node *n) {
    if (operand(n, 0)->dtype == OCT_F32) return need_weight(cx, n);
    oct_misuse(cx, n, OCT_E2210, "operand %s must be f32: dynamic makes codes of it at run time", oct_quoted(cx, n->operand[0]));
    oct_note_operand(cx, n, 0);
    oct_help(cx, "codes that are there already want a result type with a scale instead");
    return false;
}

/* gru, lstm: the gates' share of the inputs, initial states, bias are floats; so is r, or codes. */
static bool need_recurrent(struct oct_ctx *cx, const struct oct_node *n) {
    for (int i = 0; i < n->noperands; i++)
        if (i != 1 && n->operand[i] && !need_float(cx, n, i, OCT_E2216, "its states are floats")) return false;
    return n->at.dynamic ? need_weight(cx, n) : need_float(cx, n, 1, OCT_E2210, "say 'dynamic' where r is codes");
}

/* A table of floats, or of codes with one scale or one for each row; numbers of rows, which stand for nothing but themselves. */
static bool need_table(struct oct_ctx *cx, const struct oct_node *n) {
    const struct oct_type *t = operand(n, 0), *rows = operand(n, 1);
    if (t->dtype != OCT_F32 && !need_codes(cx, n, 0, WITH_I32)) return false;
    if (t->q && (t->q->axis > 0 || t->q->block)) {
        oct_misuse(cx, n, OCT_E2212, "table %s has scales along an axis that is not that of its rows",
                   oct_quoted(cx, n->operand[0]));
        return oct_note_operand(cx, n, 0);
    }
    if (!oct_dtype_is_float(rows->dtype) && !rows->q) return true;
    oct_misuse(cx, n, OCT_E2213, "numbers of rows are integers without a scale, not %s", oct_typed(cx, n->operand[1]));
    return oct_note_operand(cx, n, 1);
}

/* Channel parameters belong to an axis; of the moves only transpose takes them along. */
static bool move_keeps_parameters(struct oct_ctx *cx, const struct oct_node *n) {
    const struct oct_quant *q = operand(n, 0)->q;
    if (!q || q->axis < 0 || n->op == OCT_OP_transpose) return true;
    oct_misuse(cx, n, OCT_E2212, "operand %s has a scale per channel, which would lose its axis", oct_quoted(cx, n->operand[0]));
    oct_note_operand(cx, n, 0);
    oct_help(cx, "dequantize it first");
    return false;
}

/* Decides the form by the first operand and holds the others to it. */
static bool check_form(struct oct_ctx *cx, const struct oct_node *n, bool *integer) {
    const unsigned flags = oct_op_info(n->op)->flags;
    *integer = !oct_dtype_is_float(operand(n, 0)->dtype);
    switch (n->op) {
    case OCT_OP_quantize: *integer = true; return need_float(cx, n, 0, OCT_E2213, "requantize goes from codes to codes");
    case OCT_OP_observe: return need_float(cx, n, 0, OCT_E2216, "only float values are observed");
    case OCT_OP_dequantize: *integer = false; return need_codes(cx, n, 0, WITH_I32);
    case OCT_OP_requantize: return need_activation(cx, n, 0, ACT);
    case OCT_OP_lut: return need_activation(cx, n, 0, BYTES);
    case OCT_OP_dynamic_quantize: *integer = false; return need_float(cx, n, 0, OCT_E2213, "requantize goes from codes to codes");
    case OCT_OP_lstm:
    case OCT_OP_gru: *integer = false; return need_recurrent(cx, n);
    case OCT_OP_gather: *integer = false; return need_table(cx, n);
    default: break;
    }
    if (flags & OCT_FLOAT_ONLY) {
        for (int i = 0; i < n->noperands; i++)
            if (!need_float(cx, n, i, OCT_E2216,
                            n->op == OCT_OP_batchnorm
                                ? "batchnorm is float only: fold it into the convolution before it, or dequantize"
                                : "it has no integer form: put dequantize before it"))
                return false;
        return true;
    }
    if (flags & OCT_MOVES) return move_keeps_parameters(cx, n);
    if (n->at.dynamic) {
        *integer = false;
        return need_dynamic(cx, n) && need_bias(cx, n, false);
    }
    if (*integer && !need_activation(cx, n, 0, ACT)) return false;
    if (flags & OCT_LINEAR) {
        if (*integer) return need_weight(cx, n) && need_bias(cx, n, true);
        return need_float(cx, n, 1, OCT_E2210,
                          "x is float: dequantize the weight, or quantize x, or say 'dynamic': at run time") &&
               need_bias(cx, n, false);
    }
    for (int i = 1; i < n->noperands; i++)
        if (*integer ? !need_activation(cx, n, i, ACT)
                     : !need_float(cx, n, i, OCT_E2210, "put dequantize before it, or quantize before the others"))
            return false;
    return true;
}

/* ---- the result ---- */

/* The annotation decides: quantized results. */
static bool take_declared(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *declared, struct oct_type *out) {
    if (!declared || !declared->q) {
        oct_misuse(cx, n, OCT_E2208, "the result is quantized and needs a type with a scale");
        oct_help(cx, "annotate it: '%s : i8 scale=... zero=... = %s(...)'", n->name ? n->name : "y", oct_op_info(n->op)->name);
        return false;
    }
    const bool sums = (oct_op_info(n->op)->flags & OCT_LINEAR) || n->op == OCT_OP_matmul;
    if (!within(declared->dtype, n->op == OCT_OP_quantize ? CODES : sums ? ACT | 1u << OCT_I32 : ACT))
        return oct_misuse(cx, n, OCT_E2213, "the result cannot be %s", oct_dtype_name(declared->dtype));
    if (n->op != OCT_OP_quantize && declared->q->axis >= 0)
        return oct_misuse(cx, n, OCT_E2212, "the result has a scale per channel; one scale is wanted here");
    out->dtype = declared->dtype;
    out->q = declared->q;
    return true;
}

static bool is_code(float x, enum oct_dtype t) {
    return isinf(x) || (x == truncf(x) && x >= (float)oct_dtype_min(t) && x <= (float)oct_dtype_max(t));
}

static bool check_integer_attrs(struct oct_ctx *cx, const struct oct_node *n, bool integer, enum oct_dtype result) {
    if (OCT_HAS(n->at, profile) && !integer) {
        oct_misuse(cx, n, OCT_E2217, "profile says how codes are rounded, but this is the float form");
        return oct_note_operand(cx, n, 0);
    }
    if (integer && n->op != OCT_OP_clip && OCT_HAS(n->at, clip) &&
        !(is_code(n->at.clip[0], result) && is_code(n->at.clip[1], result)))
        return oct_misuse(cx, n, OCT_E2218, "clip=(%g,%g) must be codes of %s: integers from %lld to %lld", (double)n->at.clip[0],
                          (double)n->at.clip[1], oct_dtype_name(result), (long long)oct_dtype_min(result),
                          (long long)oct_dtype_max(result));
    return true;
}

bool oct_form_check(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *declared, struct oct_type *out) {
    const struct oct_op_info *info = oct_op_info(n->op);
    if (!info->max_operands) { /* leaves: the annotation is all there is */
        if (!declared || declared->rank == OCT_ANY_RANK) {
            oct_misuse(cx, n, OCT_E2101, "needs a type with dimensions");
            oct_help(cx, "like 'f32[N,3,32,32]'");
            return false;
        }
        *out = *declared;
        return true;
    }
    bool integer;
    if (!check_form(cx, n, &integer)) return false;
    if (info->flags & OCT_SHARESQ) {
        out->dtype = operand(n, 0)->dtype;
        out->q = operand(n, 0)->q;
        return true;
    }
    out->dtype = OCT_F32;
    if (n->op == OCT_OP_dynamic_quantize && n->at.part != OCT_part_scale) { /* codes that mean their own number */
        static const float one = 1;
        static const struct oct_quant number = {.axis = -1, .n = 1, .scale = &one};
        out->dtype = OCT_U8;
        out->q = &number;
    }
    if (integer && !take_declared(cx, n, declared, out)) return false;
    return check_integer_attrs(cx, n, integer, out->dtype);
}

bool oct_form_agrees(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *declared, const struct oct_type *t) {
    if (!declared) return true;
    if (declared->q && !t->q && oct_dtype_is_float(t->dtype)) {
        oct_misuse(cx, n, OCT_E2209, "the annotation has a scale, but the result of float operands is float");
        if (n->noperands) oct_note_operand(cx, n, 0);
        oct_help(cx, "quantize the result: 'q : %s scale=... zero=... = quantize(...)'", oct_dtype_name(declared->dtype));
        return false;
    }
    if (declared->dtype != t->dtype) {
        oct_misuse(cx, n, OCT_E2206, "the result is %s, but the annotation says %s", oct_dtype_name(t->dtype),
                   oct_dtype_name(declared->dtype));
        return oct_note_operand(cx, n, 0);
    }
    if (!declared->q || oct_quant_equal(declared->q, t->q)) return true;
    oct_misuse(cx, n, OCT_E2207, "the result shares the parameters of its operand, but the annotation gives others");
    oct_note_operand(cx, n, 0);
    oct_help(cx, "leave them out, and put requantize after it where others are wanted");
    return false;
}
