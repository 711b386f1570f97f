/* lower_bn.c - a batch norm over an image that could not be folded becomes a depthwise 1x1 convolution, which has an integer
 * form: scale and shift per channel are its weights and bias, computed in double. Batch norms over other shapes stay. Requires
 * fold_bn. */
#include "rewrite.h"

bool oct_pass_lower_bn(struct oct_pass_env *env, struct oct_module *m) {
    OCT_FOR_NODES(m, n) {
        oct_resolve_operands(n);
        if (n->op != OCT_OP_batchnorm || n->type.rank != 4) continue;
        const int64_t channels = n->type.dim[1];
        float *w = OCT_NEW_N(m->arena, float, channels), *b = OCT_NEW_N(m->arena, float, channels);
        bool finite = true;
        for (int64_t c = 0; finite && c < channels; c++) {
            double g, t;
            finite = oct_bn_channel(n, c, &g, &t);
            w[c] = (float)g;
            b[c] = (float)t;
            finite = finite && isfinite(w[c]) && isfinite(b[c]);
        }
        if (!finite) continue;
        m->cursor = n;
        const struct oct_type wt = {.dtype = OCT_F32, .rank = 4, .dim = {channels, 1, 1, 1}};
        const struct oct_type bt = {.dtype = OCT_F32, .rank = 1, .dim = {channels}};
        struct oct_node *operand[3] = {n->operand[0], oct_new_const(m, n->operand[1]->name, "folded", &wt, w, n->span),
                                       oct_new_const(m, n->operand[2]->name, "folded", &bt, b, n->span)};
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_SET(at, groups, channels);
        if (OCT_HAS(n->at, why)) OCT_SET(at, why, n->at.why);
        struct oct_node *by = oct_make(m, OCT_OP_conv2d, n->name, operand, 3, &at, NULL, n->span);
        oct_replace_named(m, n, by);
        env->changes++;
    }
    oct_sweep(m);
    return true;
}
