/* elim_island.c - one float op between dequantize and quantize becomes the integer op of the same name (docs/numerics.md).
 *
 * Operands become the codes behind their dequantize; a bias becomes plain i32 in units of s_x s_w; the clip of a fused activation
 * becomes codes; the rounding profile is written down. What prevents it is noted on the op, in terms of what to change. */
#include "elim.h"

bool oct_scales_fit(enum oct_profile p, float s_a, float s_b, float s_y) {
    struct oct_requant r;
    return oct_requant_from_scales(p, s_a, s_b, s_y, &r);
}

/* ---- operands ---- */

/* Bias operand of a linear op on codes x and w: the constant itself where its scale is that of the products, otherwise new codes.
 */
static struct oct_node *integer_bias(struct oct_module *m, struct oct_node *p, const struct oct_type *x,
                                     const struct oct_type *w) {
    struct oct_node *b = p->operand[2], *codes = oct_codes_of(b);
    const struct oct_node *c = codes ? codes : b;
    const float *f = oct_const_floats(b);
    if (!f && !(oct_is_const(codes) && codes->type.dtype == OCT_I32)) return NULL;
    struct oct_type t = {.dtype = OCT_I32, .rank = 1, .dim = {c->type.dim[0]}};
    const uint32_t n = (uint32_t)t.dim[0];
    bool same = codes != NULL;
    for (uint32_t i = 0; same && i < n; i++)
        same = oct_scale(codes->type.q, i) == oct_scale(x->q, 0) * oct_scale(w->q, i) && !oct_zero(codes->type.q, i);
    if (same && codes->nuses == 1 && b->nuses == 1) { /* nobody else reads it: it may lose its scale in place */
        codes->type.q = NULL;
        return codes;
    }
    if (same) return oct_new_const(m, codes->name, "i", &t, codes->data, codes->span);
    int32_t *code = OCT_NEW_N(m->arena, int32_t, n);
    for (uint32_t i = 0; i < n; i++) {
        const float real =
            f ? f[i]
              : oct_dequantize1(((const int32_t *)codes->data)[i], oct_scale(codes->type.q, i), oct_zero(codes->type.q, i));
        code[i] = oct_bias_code(real, oct_scale(x->q, 0), oct_scale(w->q, i));
    }
    return oct_new_const(m, c->name, f ? "q" : "i", &t, code, c->span);
}

static bool weight_fits(const struct oct_type *w) {
    if (!w->q || w->q->axis > 0 || w->q->block ||
        (w->dtype != OCT_I8 && w->dtype != OCT_U8 && w->dtype != OCT_I4 && w->dtype != OCT_U4))
        return false;
    for (uint32_t i = 0; w->q->axis == 0 && i < w->q->n; i++)
        if (oct_zero(w->q, i)) return false;
    return true;
}

/* ---- rounding ---- */

/* Can the profile express every multiplier of this op? */
static bool profile_fits(enum oct_profile profile, const struct oct_node *p, struct oct_node *const *codes,
                         const struct oct_type *y) {
    const float s_y = y->q->scale[0];
    const struct oct_type *a = &codes[0]->type, *b = p->noperands > 1 ? &codes[1]->type : NULL;
    switch (p->op) {
    case OCT_OP_conv2d:
    case OCT_OP_dense:
        for (uint32_t i = 0; i < b->q->n; i++)
            if (!oct_scales_fit(profile, a->q->scale[0], b->q->scale[i], s_y)) return false;
        return true;
    case OCT_OP_matmul:
    case OCT_OP_mul: return oct_scales_fit(profile, a->q->scale[0], b->q->scale[0], s_y);
    case OCT_OP_softmax:
        if (profile == OCT_profile_tflm) return s_y == 1.0f / 256 && oct_zero(y->q, 0) == oct_dtype_min(y->dtype);
        return s_y > 0x1p-23f; /* docs/numerics.md 4.3: W < 2^39 */
    default: break;
    }
    for (int i = 0; i < p->noperands; i++)
        if (!oct_scales_fit(profile, codes[i]->type.q->scale[0], 1, s_y)) return false;
    return true;
}

/* Is there an integer form for codes of these widths? 16-bit softmax would need a table of 65,536 exponentials, and a product of
 * 16-bit codes more than 64 bits to be scaled exactly. */
static bool width_fits(enum oct_profile profile, const struct oct_node *p, struct oct_node *const *codes,
                       const struct oct_type *y) {
    if (p->op != OCT_OP_softmax && (p->op != OCT_OP_mul || profile == OCT_profile_onnx)) return true;
    bool narrow = p->op == OCT_OP_mul || oct_dtype_size(y->dtype) == 1;
    for (int i = 0; i < p->noperands; i++) narrow &= oct_dtype_size(codes[i]->type.dtype) == 1;
    return narrow;
}

static bool clips_codes(const struct oct_node *p) { return oct_takes(p, OCT_A_clip) && p->op != OCT_OP_clip; }

/* The real interval of a fused activation as codes of q, met with q's own clip; left out where it clips nothing. */
static void clip_to_codes(struct oct_attrs *at, const struct oct_node *q) {
    const struct oct_type *y = &q->type;
    const int32_t qmin = (int32_t)oct_dtype_min(y->dtype), qmax = (int32_t)oct_dtype_max(y->dtype);
    const float s = y->q->scale[0];
    const int32_t z = oct_zero(y->q, 0);
    int32_t lo = oct_quantize1(at->clip[0], s, z, qmin, qmax, OCT_divide_div, OCT_order_before);
    int32_t hi = oct_quantize1(at->clip[1], s, z, qmin, qmax, OCT_divide_div, OCT_order_before);
    if (OCT_HAS(q->at, clip)) {
        const int32_t least = (int32_t)ceilf(fmaxf(q->at.clip[0], (float)qmin)),
                      most = (int32_t)floorf(fminf(q->at.clip[1], (float)qmax));
        lo = lo < least ? least : lo > most ? most : lo;
        hi = hi > most ? most : hi < least ? least : hi;
    }
    const bool whole = lo == qmin && hi == qmax;
    at->clip[0] = whole ? -INFINITY : (float)lo;
    at->clip[1] = whole ? INFINITY : (float)hi;
    if (whole) OCT_DROP(*at, clip);
    else OCT_MARK(*at, clip);
}

/* ---- the op ---- */

static bool has_integer_form(const struct oct_node *p) {
    return oct_has_flag(p, OCT_REQUANT) && !oct_has_flag(p, OCT_QDQ) && p->type.dtype == OCT_F32;
}

struct oct_node *oct_elim_island(struct oct_module *m, struct oct_node *p, const struct oct_node *q) {
    const struct oct_type *y = &q->type;
    const char *name = oct_op_info(p->op)->name;
    if (oct_kept_float(m, p)) {
        oct_set_why(m, p, "%s", oct_kept_float_why(m, p));
        return NULL;
    }
    if (!has_integer_form(p)) {
        if (!OCT_HAS(p->at, why) && p->op != OCT_OP_input)
            oct_set_why(m, p, "float: %s has no integer form%s", name,
                        p->op == OCT_OP_lstm || p->op == OCT_OP_gru ? "; rule act=dynamic makes its products integer" : "");
        return NULL;
    }
    if (p->nuses > 1) {
        oct_set_why(m, p, "float: its unquantized value has other readers than '%s'; let them read its dequantize", q->name);
        return NULL;
    }
    if (OCT_HAS(q->at, clip) && !clips_codes(p)) {
        oct_set_why(m, p, "float: '%s' clips its codes, and the integer form of %s has no clip", q->name, name);
        return NULL;
    }
    if (!oct_is_activation(y)) {
        oct_set_why(m, p,
                    "float: its result is to have a scale per channel or %s codes; integer ops give 8 or 16 bits with one scale",
                    oct_dtype_name(y->dtype));
        return NULL;
    }
    const bool linear = oct_has_flag(p, OCT_LINEAR);
    struct oct_node *few[3], **codes = p->noperands <= 3 ? few : OCT_NEW_N(m->arena, struct oct_node *, p->noperands);
    for (int i = 0; i < p->noperands; i++) {
        if (linear && i == 2) break;
        codes[i] = oct_codes_of(p->operand[i]);
        if (!codes[i]) {
            if (!OCT_HAS(p->at, why))
                oct_set_why(m, p, "float: operand '%s' is not quantized (no range, or a rule keeps it float)",
                            p->operand[i]->name);
            return NULL;
        }
        const bool fits =
            linear && i == 1 ? oct_is_const(codes[i]) && weight_fits(&codes[i]->type) : oct_is_activation(&codes[i]->type);
        if (!fits) {
            oct_set_why(m, p, "float: the codes of operand '%s' (%s) are of a kind that %s does not take", codes[i]->name,
                        oct_type_text(m->arena, &codes[i]->type), name);
            return NULL;
        }
    }
    if (!profile_fits(oct_profile_for(m, p->op), p, codes, y)) {
        oct_set_why(m, p, "float: profile %s has no multiplier for these scales; choose another profile or scheme",
                    oct_word_at(m->arena, oct_option_info(OCT_OPT_profile)->words, (int)oct_profile_for(m, p->op)));
        return NULL;
    }
    if (!width_fits(oct_profile_for(m, p->op), p, codes, y)) {
        oct_set_why(m, p, "float: the integer form of %s takes 8-bit codes; give it act=i8 or act=u8, or act=float", name);
        return NULL;
    }
    if (linear && oct_const_floats(oct_operand(p, 2)) && oct_qconfig_for(m, p).bias == OCT_BIAS_FLOAT) {
        oct_set_why(m, p, "float: a rule keeps its bias float (bias=float)");
        return NULL;
    }
    if (linear && p->noperands > 2) {
        codes[2] = NULL;
        if (p->operand[2] && !(codes[2] = integer_bias(m, p, &codes[0]->type, &codes[1]->type))) {
            oct_set_why(m, p, "float: its bias '%s' is no constant", p->operand[2]->name);
            return NULL;
        }
    }
    struct oct_attrs at = p->at;
    OCT_DROP(at, why);
    at.why = NULL;
    OCT_SET(at, profile, oct_profile_for(m, p->op));
    if (clips_codes(p) && (OCT_HAS(at, clip) || OCT_HAS(q->at, clip))) clip_to_codes(&at, q);
    struct oct_node *by = oct_make(m, p->op, p->name, codes, p->noperands, &at, y, p->span);
    by->nuses = q->nuses;
    return by;
}
