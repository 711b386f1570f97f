/* reach.c - codes that a quantized value can take, from the ops that make it. */
#include "interp.h"

static void widen(struct oct_reach *r, int64_t code) {
    if (code < r->lo) r->lo = (int32_t)code;
    if (code > r->hi) r->hi = (int32_t)code;
}

/* The dtype's codes, met with a clip of codes (op clip has real values in its own). */
static struct oct_reach made_by(const struct oct_node *n) {
    const int64_t qmin = oct_dtype_min(n->type.dtype), qmax = oct_dtype_max(n->type.dtype);
    struct oct_reach r = {(int32_t)qmin, (int32_t)qmax};
    if (n->op == OCT_OP_clip || !OCT_HAS(n->at, clip)) return r;
    const double lo = ceil((double)n->at.clip[0]), hi = floor((double)n->at.clip[1]);
    if (lo > (double)qmin) r.lo = lo < (double)qmax ? (int32_t)lo : r.hi;
    if (hi < (double)qmax) r.hi = hi > (double)r.lo ? (int32_t)hi : r.lo;
    if (n->op == OCT_OP_quantize) widen(&r, oct_zero(n->type.q, 0)); /* of NaN */
    return r;
}

static struct oct_reach table_reach(const struct oct_node *table) {
    const int64_t n = oct_type_elements(&table->type, 1);
    struct oct_reach r = {INT32_MAX, INT32_MIN};
    for (int64_t i = 0; i < n; i++) widen(&r, oct_load_int(table->type.dtype, table->data, i));
    return r;
}

enum { MOST_MOVES = 64 }; /* looked through; a value asks anew for each reader */

struct oct_reach oct_reach_of(const struct oct_node *n) {
    struct oct_reach pad = {INT32_MAX, INT32_MIN}, r;
    const struct oct_node *from = n;
    for (int i = 0; i < MOST_MOVES && (oct_op_info(from->op)->flags & OCT_SHARESQ); i++) {
        const struct oct_type *t = &from->type;
        if (from->op == OCT_OP_pad && t->q)
            widen(&pad, oct_quantize1(from->at.value, t->q->scale[0], oct_zero(t->q, 0), (int32_t)oct_dtype_min(t->dtype),
                                      (int32_t)oct_dtype_max(t->dtype), OCT_divide_div, OCT_order_before));
        else if (from->op == OCT_OP_pad) widen(&pad, (int64_t)from->at.value);
        from = oct_resolve(from->operand[0]);
    }
    const bool table = from->op == OCT_OP_lut && from->operand[1]->op == OCT_OP_const;
    r = table ? table_reach(from->operand[1]) : made_by(from);
    if (pad.lo <= pad.hi) widen(&r, pad.lo), widen(&r, pad.hi);
    return r;
}
