/* fuse_bias.c - add(dense or conv2d without bias, one number per output channel) becomes the bias: exporters write MatMul and
 * Add. The number may be a constant or, in a quantized model, a dequantized one. Requires cse and dce, for the single-use test.
 */
#include "rewrite.h"

/* Is c one value for each of `outs` channels, which lie on `axis` of the result (counted from its end)? */
static bool per_channel(const struct oct_node *c, int64_t outs, int from_end) {
    const int axis = c->type.rank - from_end;
    if (axis < 0) return false;
    for (int i = 0; i < c->type.rank; i++)
        if (c->type.dim[i] != (i == axis ? outs : 1)) return false;
    return true;
}

/* The operand as a bias f32[outs]: itself, or a constant of another shape but the same elements. NULL: it is none. */
static struct oct_node *as_bias(struct oct_module *m, struct oct_node *c, int64_t outs) {
    const float *v = oct_const_floats(c);
    for (int64_t i = 0; v && i < oct_type_elements(&c->type, 1); i++)
        if (!isfinite(v[i])) return NULL; /* which an add may hold, a bias not */
    if (c->type.rank == 1) return oct_is_const(c) || (c->op == OCT_OP_dequantize && oct_is_const(oct_operand(c, 0))) ? c : NULL;
    if (!oct_const_floats(c)) return NULL;
    const struct oct_type t = {.dtype = OCT_F32, .rank = 1, .dim = {outs}};
    return oct_new_const(m, c->name, "bias", &t, c->data, c->span);
}

static bool fuse(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, int i) {
    struct oct_node *lin = n->operand[i], *c = n->operand[1 - i];
    if (!oct_has_flag(lin, OCT_LINEAR) || oct_operand(lin, 2) || lin->nuses > 1 || OCT_HAS(lin->at, clip)) return false;
    if (lin->type.dtype != OCT_F32 || !oct_shape_equal(&lin->type, &n->type)) return false;
    const int64_t outs = lin->operand[1]->type.dim[0];
    if (!per_channel(c, outs, lin->op == OCT_OP_dense ? 1 : lin->type.rank - 1)) return false;
    m->cursor = n;
    struct oct_node *operand[3] = {lin->operand[0], lin->operand[1], as_bias(m, c, outs)};
    if (!operand[2]) return false;
    struct oct_node *by = oct_build_like(m, lin, operand, 3, NULL);
    if (OCT_HAS(n->at, clip)) { /* add's own, from an earlier fusion */
        OCT_MARK(by->at, clip);
        by->at.clip[0] = n->at.clip[0];
        by->at.clip[1] = n->at.clip[1];
    }
    by->nuses = n->nuses;
    oct_replace_named(m, n, by);
    env->changes++;
    return true;
}

bool oct_pass_fuse_bias(struct oct_pass_env *env, struct oct_module *m) {
    oct_count_uses(m);
    OCT_FOR_NODES(m, n) {
        oct_resolve_operands(n);
        if (n->op == OCT_OP_add && !fuse(env, m, n, 0)) fuse(env, m, n, 1);
    }
    oct_sweep(m);
    return true;
}
