/* fold_bn.c - batch norm into the weights of the convolution or dense layer before it, or of the one behind it.
 *
 * With g = scale / sqrt(var + eps) and t = bias - mean g per channel, batchnorm(v) = g v + t. Then
 *   batchnorm(op(x, w, b)) = op(x, g[o] w, g[o] b[o] + t[o])
 *   op(batchnorm(x), w, b) = op(x, w[o,i] g[i], b[o] + sum over i and taps of w[o,i] t[i])    without zero padding, or t = 0:
 * padding stands for batchnorm(0) = t, not for 0. Everything is computed in double and stored in fp32. Refused, with the reason
 * on the batch norm: a result that others read too, a clip in between, a padded convolution behind, a variance that makes g
 * infinite. Requires constants folded and shared (const_fold, cse, dce). One walk. */
#include "rewrite.h"

/* g and t of each channel. */
struct affine {
    double *g, *t;
    int64_t n;
};

bool oct_bn_channel(const struct oct_node *bn, int64_t c, double *g, double *t) {
    const float *p[4]; /* scale, bias, mean, var */
    for (int i = 0; i < 4; i++)
        if (!(p[i] = oct_const_floats(oct_operand(bn, i + 1)))) return false;
    *g = (double)p[0][c] / sqrt((double)p[3][c] + (double)bn->at.eps);
    *t = (double)p[1][c] - (double)p[2][c] * *g;
    return isfinite(*g) && isfinite(*t);
}

static bool affine_of(struct oct_pass_env *env, const struct oct_node *bn, struct affine *a) {
    a->n = bn->operand[1]->type.dim[0];
    a->g = OCT_NEW_N(env->scratch, double, a->n);
    a->t = OCT_NEW_N(env->scratch, double, a->n);
    for (int64_t c = 0; c < a->n; c++)
        if (!oct_bn_channel(bn, c, &a->g[c], &a->t[c])) return false;
    return true;
}

static bool all_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* The linear op again on x with other weights and bias; its value is that of `bn` or of `lin`, whichever the caller replaces.
 * NULL when a product left the range of fp32. */
static struct oct_node *rebuild(struct oct_pass_env *env, struct oct_module *m, struct oct_node *lin, struct oct_node *x,
                                const float *w, const float *b, const char *bias_name) {
    const struct oct_node *wn = lin->operand[1];
    const struct oct_type bt = {.dtype = OCT_F32, .rank = 1, .dim = {wn->type.dim[0]}};
    if (!all_finite(w, oct_type_elements(&wn->type, 1)) || !all_finite(b, bt.dim[0])) return NULL;
    m->cursor = lin->next;
    struct oct_node *operand[3] = {x, oct_new_const(m, wn->name, "folded", &wn->type, w, lin->span),
                                   oct_new_const(m, bias_name, "folded", &bt, b, lin->span)};
    struct oct_node *by = oct_build_like(m, lin, operand, 3, NULL);
    env->changes++;
    return by;
}

/* Can this node's weights take a factor? Reports why not on the batch norm. */
static bool foldable(struct oct_pass_env *env, const struct oct_node *bn, const struct oct_node *lin) {
    struct oct_node *b = oct_operand(lin, 2);
    if (!oct_const_floats(oct_operand(lin, 1)) || (b && !oct_const_floats(b))) {
        oct_explain(env, bn, "batch norm not folded: the weights of '%s' are not float constants", lin->name);
        return false;
    }
    return true;
}

/* batchnorm(op(x)): the op before. */
static void fold_after(struct oct_pass_env *env, struct oct_module *m, struct oct_node *bn, const struct affine *a) {
    struct oct_node *lin = bn->operand[0];
    if (!oct_has_flag(lin, OCT_LINEAR)) {
        oct_set_why(m, bn, "batch norm not folded: '%s' before it is no convolution or dense layer", lin->name);
        return;
    }
    if (lin->op == OCT_OP_dense && lin->type.rank != 2) {
        oct_explain(env, bn, "batch norm not folded: axis 1 of '%s' is not its output channel", lin->name);
        return;
    }
    if (lin->nuses > 1) {
        oct_explain(env, bn, "batch norm not folded: '%s' has other uses, which want it unscaled", lin->name);
        return;
    }
    if (OCT_HAS(lin->at, clip)) {
        oct_explain(env, bn, "batch norm not folded: '%s' is clipped before it", lin->name);
        return;
    }
    if (!foldable(env, bn, lin)) return;

    const struct oct_node *wn = lin->operand[1], *bias = oct_operand(lin, 2);
    const int64_t total = oct_type_elements(&wn->type, 1), per = total / a->n;
    const float *w = oct_const_floats(wn), *b = bias ? oct_const_floats(bias) : NULL;
    float *w2 = OCT_NEW_N(m->arena, float, total), *b2 = OCT_NEW_N(m->arena, float, a->n);
    for (int64_t o = 0; o < a->n; o++) {
        for (int64_t i = o * per; i < (o + 1) * per; i++) w2[i] = (float)((double)w[i] * a->g[o]);
        b2[o] = (float)((b ? (double)b[o] * a->g[o] : 0) + a->t[o]);
    }
    struct oct_node *by = rebuild(env, m, lin, lin->operand[0], w2, b2, (bias ? bias : bn->operand[2])->name);
    if (!by) {
        oct_explain(env, bn, "batch norm not folded: a folded weight or bias overflows fp32");
        return;
    }
    by->nuses = bn->nuses;
    oct_replace_named(m, bn, by);
}

static bool all_zero(const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* op(batchnorm(x)): `lin` takes it in. The reason of a refusal is noted on the batch norm, which has been passed already. */
static void fold_before(struct oct_pass_env *env, struct oct_module *m, struct oct_node *lin) {
    struct oct_node *bn = lin->operand[0];
    struct affine a;
    if (bn->op != OCT_OP_batchnorm || !foldable(env, bn, lin)) return;
    if (bn->nuses > 1) {
        oct_explain(env, bn, "batch norm not folded into '%s': it has other uses", lin->name);
        return;
    }
    if (lin->op == OCT_OP_dense && bn->type.rank != 2) {
        oct_explain(env, bn, "batch norm not folded into '%s': axis 1 is not what the dense layer sums over", lin->name);
        return;
    }
    if (!affine_of(env, bn, &a)) return;
    const int64_t *pad = lin->at.pad;
    if (lin->op == OCT_OP_conv2d && (pad[0] || pad[1] || pad[2] || pad[3]) && !all_zero(a.t, a.n)) {
        oct_explain(env, bn, "batch norm not folded into '%s': its zero padding is not a zero before the batch norm", lin->name);
        return;
    }

    const struct oct_node *wn = lin->operand[1], *bias = oct_operand(lin, 2);
    const int64_t outs = wn->type.dim[0], ins = wn->type.dim[1], taps = oct_type_elements(&wn->type, 1) / (outs * ins);
    const int64_t groups = lin->op == OCT_OP_conv2d ? lin->at.groups : 1;
    const float *w = oct_const_floats(wn), *b = bias ? oct_const_floats(bias) : NULL;
    float *w2 = OCT_NEW_N(m->arena, float, outs *ins *taps), *b2 = OCT_NEW_N(m->arena, float, outs);
    for (int64_t o = 0, k = 0; o < outs; o++) {
        double sum = b ? (double)b[o] : 0;
        for (int64_t i = 0; i < ins; i++) {
            const int64_t c = o / (outs / groups) * ins + i;
            for (int64_t t = 0; t < taps; t++, k++) {
                w2[k] = (float)((double)w[k] * a.g[c]);
                sum += (double)w[k] * a.t[c];
            }
        }
        b2[o] = (float)sum;
    }
    struct oct_node *by = rebuild(env, m, lin, bn->operand[0], w2, b2, (bias ? bias : bn->operand[2])->name);
    if (!by) {
        oct_explain(env, bn, "batch norm not folded into '%s': a folded weight or bias overflows fp32", lin->name);
        return;
    }
    by->nuses = lin->nuses;
    oct_replace_named(m, lin, by);
}

bool oct_pass_fold_bn(struct oct_pass_env *env, struct oct_module *m) {
    oct_count_uses(m);
    OCT_FOR_NODES(m, n) {
        struct affine a;
        if (n->fwd) continue;
        oct_resolve_operands(n);
        if (n->type.dtype != OCT_F32) continue;
        if (oct_has_flag(n, OCT_LINEAR)) fold_before(env, m, n);
        if (n->op != OCT_OP_batchnorm) continue;
        if (!affine_of(env, n, &a)) {
            oct_explain(env, n, "batch norm not folded: its parameters are not constants, or give an infinite factor");
            continue;
        }
        fold_after(env, m, n, &a);
    }
    oct_sweep(m);
    return true;
}
