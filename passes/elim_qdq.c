/* elim_qdq.c - dequantize-op-quantize islands become integer ops.
 *
 * One walk in execution order; at each quantize the pattern is matched from there backward:
 *   quantize(dequantize(x))        x itself with equal parameters, else one requantize (elim_requantize.c)
 *   quantize(pointwise ops(codes)) a table (elim_table.c)
 *   quantize(op(dequantize...))    the integer op (elim_island.c)
 * and exact commutations bring the two ends together: what moves elements, and max pooling, goes before dequantize and behind
 * quantize. dequantize(quantize(x)) is never dropped: it would delete the rounding that the model was calibrated or trained with.
 *
 * Requires insert_qdq (or an imported Q/DQ model). An integer op takes the name of the float value that it computes. What stays
 * float carries the reason in `why`; explain_left prints it. Its constants become float again (elim_const.c). */
#include "elim.h"

/* May elements of x move before they are dequantized? Exactly: not where they would lose the axis of their parameters. */
static bool moves_codes(const struct oct_node *n, const struct oct_type *codes) {
    if (!codes->q) return false;
    if (codes->q->axis >= 0) return n->op == OCT_OP_transpose;
    if (n->op == OCT_OP_max_pool2d) return oct_is_activation(codes);
    if (n->op != OCT_OP_pad) return true;
    const int32_t z = oct_zero(codes->q, 0); /* the padding value must be one of the values that codes stand for */
    const int32_t code = oct_quantize1(n->at.value, codes->q->scale[0], z, (int32_t)oct_dtype_min(codes->dtype),
                                       (int32_t)oct_dtype_max(codes->dtype), OCT_divide_div, OCT_order_before);
    return codes->dtype != OCT_I32 && oct_dequantize1(code, codes->q->scale[0], z) == n->at.value;
}

/* n = move(dequantize(x))  ->  n = move(x), n.dq = dequantize(n) */
static void push_down(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n) {
    struct oct_node *x = oct_codes_of(n->operand[0]);
    if (!x || oct_kept_float(m, n)) return;
    if (!moves_codes(n, &x->type)) {
        oct_set_why(m, n, "float: %s",
                    n->op == OCT_OP_pad && x->type.q->axis < 0
                        ? "its value is none that the operand's codes stand for; pad with 0, or with scale times a whole number"
                        : "the operand has a scale per channel, whose axis would move");
        return;
    }
    m->cursor = n;
    struct oct_node *by = oct_build_like(m, n, &x, 1, NULL);
    oct_replace_named(m, n, by);
    struct oct_node *dq = oct_make(m, OCT_OP_dequantize, oct_suffixed(m, by->name, "dq"), &by, 1, NULL, NULL, by->span);
    dq->nuses = n->nuses;
    by->nuses = 1;
    n->fwd = dq; /* readers want the float value; the name went to the codes */
    env->changes++;
}

/* q = quantize(p), p = move(x)  ->  p = move(q'), q' = quantize(x). Returns q', where matching goes on. */
static struct oct_node *push_up(struct oct_pass_env *env, struct oct_module *m, struct oct_node *q, struct oct_node *p) {
    struct oct_node *x = p->operand[0];
    struct oct_type t = x->type;
    t.dtype = q->type.dtype;
    t.q = q->type.q;
    m->cursor = q;
    struct oct_node *first = oct_make(m, OCT_OP_quantize, oct_suffixed(m, x->name, "q"), &x, 1, &q->at, &t, q->span);
    struct oct_node *by = oct_build_like(m, p, &first, 1, NULL);
    first->nuses = 1;
    by->nuses = q->nuses;
    oct_replace(m, q, by);
    oct_replace_named(m, p, by);
    env->changes++;
    return first;
}

static bool can_push_up(const struct oct_module *m, const struct oct_node *q, const struct oct_node *p) {
    return oct_has_flag(p, OCT_SHARESQ) && p->type.dtype == OCT_F32 && p->nuses == 1 && !oct_codes_of(p->operand[0]) &&
           q->type.q->axis < 0 && !oct_kept_float(m, p) && (p->op != OCT_OP_max_pool2d || oct_is_activation(&q->type));
}

/* A clamp between equal parameters stays an op of its own: max(q, z) is cheaper than a table. 16-bit codes have no table at all.
 */
static bool better_than_table(const struct oct_node *p, const struct oct_node *q) {
    const struct oct_node *x = p->noperands ? oct_codes_of(oct_operand(p, 0)) : NULL;
    if (!x || !oct_has_flag(p, OCT_POINTWISE) || p->nuses > 1 || !oct_is_activation(&x->type)) return false;
    if (x->type.dtype == OCT_I16 || x->type.dtype == OCT_U16) return true;
    if (OCT_HAS(q->at, clip)) return false;
    return (p->op == OCT_OP_relu || p->op == OCT_OP_relu6 || p->op == OCT_OP_clip) && x->type.dtype == q->type.dtype &&
           oct_quant_equal(x->type.q, q->type.q);
}

static void eliminate(struct oct_pass_env *env, struct oct_module *m, struct oct_node *q) {
    struct oct_node *p = q->operand[0];
    while (can_push_up(m, q, p)) {
        q = push_up(env, m, q, p);
        p = q->operand[0];
    }
    m->cursor = q;
    struct oct_node *codes = oct_codes_of(p), *by = NULL;
    if (!better_than_table(p, q)) by = oct_elim_table(m, q);
    const bool table = by != NULL;
    if (!by) by = codes ? oct_elim_requantize(m, q) : oct_elim_island(m, p, q);
    if (!by) return;
    env->changes++;
    if (q->prev != by) { /* not built here: codes that were there before */
        by->nuses += q->nuses;
        oct_replace(m, q, by);
    } else if (codes) {
        oct_replace_named(m, q, by); /* the value is q's own */
    } else {
        oct_replace(m, q, by);
        if (!(table && p->nuses > 1)) oct_replace_named(m, p, by);
    }
}

bool oct_pass_elim_qdq(struct oct_pass_env *env, struct oct_module *m) {
    oct_count_uses(m);
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (n->fwd) continue;
        oct_resolve_operands(n);
        if (n->op == OCT_OP_quantize) eliminate(env, m, n);
        else if (oct_has_flag(n, OCT_SHARESQ) && n->type.dtype == OCT_F32) push_down(env, m, n);
    }
    oct_sweep(m);
    env->changes += oct_elim_consts(m);
    oct_sweep(m);
    return true;
}
