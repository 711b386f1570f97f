/* fuse_dynamic.c - what exporters write for a product with ranges at run time becomes the dynamic form of one op:
 *   mul(dequantize(dense(sub(codes, zero), w)), mul(scale, s_w)), codes, zero, scale of one dynamic_quantize(x)  ->  dense(x, w)
 * dynamic and so for conv2d. The same bits: docs/numerics.md 10 has the operations in this order. Requires cse (the three parts
 * then read one x) and dce. What differs from the pattern stays as it is, and is right, but slower. */
#include "rewrite.h"

static const struct oct_node *part_of(const struct oct_node *n, enum oct_part part) {
    return n && n->op == OCT_OP_dynamic_quantize && n->at.part == part ? oct_operand(n, 0) : NULL;
}
static bool is_number(const struct oct_type *t) {
    return t->q && t->q->axis < 0 && t->q->scale[0] == 1 && oct_zero(t->q, 0) == 0;
}

/* The float value whose codes less their zero point n holds, and whether n subtracts that itself. */
static struct oct_node *source_of(const struct oct_node *n) {
    if (n->op != OCT_OP_sub || n->type.dtype != OCT_I16 || !is_number(&n->type) || OCT_HAS(n->at, clip)) return NULL;
    const struct oct_node *x = part_of(oct_operand(n, 0), OCT_part_codes);
    return x && x == part_of(oct_operand(n, 1), OCT_part_zero) ? oct_resolve(oct_operand(n, 0)->operand[0]) : NULL;
}

/* A constant with one number for the whole, or one for each of `outs` along the axis of channels. */
static const float *scales_of(const struct oct_node *c, int64_t outs, int from_end, int64_t *n) {
    const float *s = oct_const_floats(c);
    if (!s) return NULL;
    *n = oct_type_elements(&c->type, 1);
    if (*n == 1) return s;
    const int axis = c->type.rank - from_end;
    return *n == outs && axis >= 0 && c->type.dim[axis] == outs ? s : NULL;
}

/* The scale of x times a constant, or alone. */
static bool scale_matches(const struct oct_node *n, const struct oct_node *x, const struct oct_node **factor) {
    *factor = NULL;
    if (part_of(n, OCT_part_scale) == x) return true;
    if (n->op != OCT_OP_mul || OCT_HAS(n->at, clip)) return false;
    for (int i = 0; i < 2; i++) {
        *factor = oct_operand(n, 1 - i);
        if (part_of(oct_operand(n, i), OCT_part_scale) == x && oct_is_const(*factor)) return true;
    }
    return false;
}

static bool fuse(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, int i) {
    struct oct_node *dq = oct_operand(n, i), *sum = dq->op == OCT_OP_dequantize ? oct_operand(dq, 0) : NULL;
    if (!sum || (sum->op != OCT_OP_dense && sum->op != OCT_OP_conv2d) || sum->type.dtype != OCT_I32 || !is_number(&sum->type))
        return false;
    struct oct_node *x = source_of(oct_operand(sum, 0)), *w = oct_operand(sum, 1);
    const struct oct_node *factor;
    if (!x || oct_operand(sum, 2) || OCT_HAS(sum->at, clip) || !oct_is_const(w) || w->type.q->axis >= 0 ||
        w->type.q->scale[0] != 1)
        return false;
    if (sum->op == OCT_OP_conv2d && sum->at.groups != 1) return false;
    if (!scale_matches(oct_operand(n, 1 - i), x, &factor)) return false;
    const int64_t outs = w->type.dim[0];
    const float one = 1, *s = &one;
    int64_t count = 1;
    if (factor && !(s = scales_of(factor, outs, sum->op == OCT_OP_dense ? 1 : 3, &count))) return false;
    for (int64_t o = 0; o < count; o++)
        if (!(s[o] >= 1.1754944e-38f) || !isfinite(s[o])) return false;
    const int32_t zero = oct_zero(w->type.q, 0);
    if (count > 1 && zero) return false;
    float *scale = OCT_NEW_N(m->arena, float, count);
    for (int64_t o = 0; o < count; o++) scale[o] = s[o];
    struct oct_type t = w->type;
    t.q = count > 1 ? oct_quant_channel(m->arena, 0, (uint32_t)count, scale, NULL) : oct_quant_tensor(m->arena, scale[0], zero);
    m->cursor = n;
    struct oct_node *codes = oct_new_const(m, w->name, "s", &t, w->data, w->span);
    struct oct_attrs at = sum->at;
    OCT_DROP(at, profile);
    at.profile = OCT_profile_q31;
    OCT_SET(at, dynamic, true);
    if (OCT_HAS(n->at, clip)) OCT_MARK(at, clip), at.clip[0] = n->at.clip[0], at.clip[1] = n->at.clip[1];
    struct oct_node *by = oct_make(m, sum->op, n->name, (struct oct_node *[]){x, codes}, 2, &at, NULL, n->span);
    by->nuses = n->nuses;
    oct_replace_named(m, n, by);
    env->changes++;
    return true;
}

bool oct_pass_fuse_dynamic(struct oct_pass_env *env, struct oct_module *m) {
    oct_count_uses(m);
    OCT_FOR_NODES(m, n) {
        oct_resolve_operands(n);
        if (n->op == OCT_OP_mul && n->type.dtype == OCT_F32 && !fuse(env, m, n, 0)) fuse(env, m, n, 1);
    }
    oct_sweep(m);
    return true;
}
