/* fuse_act.c - relu, relu6 and clip become the clip attribute of the op that feeds them, where that op takes one (conv2d, dense,
 * matmul, add, sub, mul) and nothing else reads its unclipped result. Exact. Requires fold_bn before it: a clipped result can no
 * longer absorb a batch norm. */
#include "rewrite.h"

static float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }

bool oct_clamp_of(const struct oct_node *n, float *lo, float *hi) {
    switch (n->op) {
    case OCT_OP_relu: *lo = 0, *hi = INFINITY; return true;
    case OCT_OP_relu6: *lo = 0, *hi = 6; return true;
    case OCT_OP_clip: *lo = n->at.clip[0], *hi = n->at.clip[1]; return true;
    default: return false;
    }
}

bool oct_pass_fuse_act(struct oct_pass_env *env, struct oct_module *m) {
    oct_count_uses(m);
    OCT_FOR_NODES(m, n) {
        float lo, hi;
        oct_resolve_operands(n);
        if (!oct_clamp_of(n, &lo, &hi) || n->type.dtype != OCT_F32) continue;
        struct oct_node *x = n->operand[0];
        if (!oct_takes(x, OCT_A_clip) || oct_has_flag(x, OCT_QDQ) || x->type.dtype != OCT_F32) continue;
        if (x->nuses > 1) {
            oct_explain(env, n, "a %s of its own: the unclipped '%s' has other uses", oct_op_info(n->op)->name, x->name);
            continue;
        }
        /* clamp(clamp(x, a, b), lo, hi) = clamp(x, clamp(a, lo, hi), clamp(b, lo, hi)) */
        const float a = clamp(x->at.clip[0], lo, hi), b = clamp(x->at.clip[1], lo, hi);
        OCT_MARK(x->at, clip);
        x->at.clip[0] = a;
        x->at.clip[1] = b;
        x->nuses = n->nuses;
        oct_replace_named(m, n, x);
        env->changes++;
    }
    oct_module_settle(m);
    return true;
}
