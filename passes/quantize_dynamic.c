/* quantize_dynamic.c - ops under rule act=dynamic: constant weights become codes, and the op says `dynamic`, so that what it
 * multiplies with them becomes codes at run time (docs/numerics.md 10); rows of a table become codes too. Results stay float: no
 * range is needed, and no data. What has no such form says why. Requires shapes. */
#include "rewrite.h"

/* Operand that holds the weights; -1: none that could be codes. */
static int weights_of(struct oct_module *m, struct oct_node *n) {
    switch (n->op) {
    case OCT_OP_dense:
    case OCT_OP_lstm:
    case OCT_OP_gru: return 1;
    case OCT_OP_gather: return 0;
    case OCT_OP_conv2d:
        if (n->at.groups == 1) return 1;
        oct_set_why(m, n, "float: products with ranges at run time take one group of channels, not %lld",
                    (long long)n->at.groups);
        return -1;
    case OCT_OP_matmul:
        oct_set_why(m, n, "float: both matrices are computed, and act=dynamic wants one of them constant");
        return -1;
    default: return -1;
    }
}

static void quantize(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n) {
    const int at = weights_of(m, n);
    struct oct_node *w = at < 0 ? NULL : oct_codes_by_rule(env, m, n, at);
    if (!w) return;
    struct oct_node **operand = OCT_NEW_N(env->scratch, struct oct_node *, n->noperands);
    for (int i = 0; i < n->noperands; i++) operand[i] = i == at ? w : oct_operand(n, i);
    if (at == 1) OCT_SET(n->at, dynamic, true);
    oct_replace_named(m, n, oct_build_like(m, n, operand, n->noperands, NULL));
    env->changes++;
}

bool oct_pass_quantize_dynamic(struct oct_pass_env *env, struct oct_module *m) {
    if (!m->nrules || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (n->type.dtype == OCT_F32 && !n->at.dynamic && oct_qconfig_for(m, n).act == OCT_ACT_DYNAMIC) quantize(env, m, n);
    }
    oct_sweep(m);
    return true;
}
