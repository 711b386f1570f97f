/* one_rq.c - see one_rq.h. */
#include "one_rq.h"

#include "map.h"

void oct_one_rq_open(struct oct_kbuild *b, struct oct_one_rq *r) {
    r->vectors = oct_vec_lanes(b->target, LP_I32) > 1 && oct_rqv_fits(&r->rq, &r->rq.lo, &r->rq.hi);
    if (!r->vectors) return;
    oct_rqv_open(&r->vec, b, &r->rq, &r->rq.lo, &r->rq.hi, 1);
    r->words = oct_rqv_words(&r->vec, lp_at(0));
}

int oct_one_rq_lanes(const struct oct_kbuild *b, const struct oct_one_rq *r) {
    return r->vectors ? oct_vec_lanes(b->target, LP_I32) : 1;
}

struct lp_val oct_one_rq_code(struct oct_kbuild *b, struct oct_one_rq *r, struct lp_val acc) {
    if (acc.type.lanes == 1) return oct_rq_build(b, &r->rq, acc, -1, lp_at(0));
    r->vec.lanes = acc.type.lanes;
    struct lp_val y = oct_rqv_codes(&r->vec, &r->words, acc);
    if (!r->inner && oct_dtype_size(b->node->type.dtype) == 1) return oct_k_bytes_of(b, 1, &y, r->rq.qmin, r->rq.qmax);
    y = lp_op2(b->k, NULL, LP_OP_max, y, lp_int(LP_I32, r->rq.qmin));
    return lp_op2(b->k, "q", LP_OP_min, y, lp_int(LP_I32, r->rq.qmax));
}
