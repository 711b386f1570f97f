/* elim_const.c - constants that are still read through dequantize when all islands are found: their readers are float ops, which
 * want float constants. The values are the same bits; the rounding that quantization did to them stays in. */
#include "elim.h"

static struct oct_node *dequantized(struct oct_module *m, const struct oct_node *dq) {
    const struct oct_node *c = oct_operand(dq, 0);
    const struct oct_quant *q = c->type.q;
    const int64_t total = oct_type_elements(&c->type, 1);
    int64_t inner = 1; /* elements between neighbours along the axis of the parameters */
    for (int a = c->type.rank - 1; a > q->axis && q->axis >= 0; a--) inner *= c->type.dim[a];
    float *x = OCT_NEW_N(m->arena, float, total);
    for (int64_t i = 0; i < total; i++) {
        const uint32_t k = q->axis < 0 ? 0 : (uint32_t)(i / inner % c->type.dim[q->axis]);
        x[i] = oct_dequantize1((int32_t)oct_load_int(c->type.dtype, c->data, i), oct_scale(q, k), oct_zero(q, k));
    }
    return oct_new_const(m, c->name, "dq", &dq->type, x, dq->span);
}

unsigned oct_elim_consts(struct oct_module *m) {
    unsigned changes = 0;
    OCT_FOR_NODES(m, n) {
        const struct oct_node *c = n->op == OCT_OP_dequantize ? oct_operand(n, 0) : NULL;
        if (!oct_is_const(c) || c->type.q->block || c->type.dtype == OCT_I64) continue;
        m->cursor = n;
        oct_replace(m, n, dequantized(m, n));
        changes++;
    }
    return changes;
}
