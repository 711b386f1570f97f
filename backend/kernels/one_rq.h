/* one_rq.h - requantization where all elements share one multiplier (element-wise ops, parts of a concat): of one accumulator, or
 * of a vector of them where the target has vectors and 32 bits are enough. */
#ifndef OCT_ONE_RQ_H
#define OCT_ONE_RQ_H

#include "rq_vec.h"

struct oct_one_rq {
    struct oct_rq rq;  /* planned by the caller */
    bool inner;        /* its result is no code of b->node's type, but an i32 */
    bool long_product; /* for the caller: accumulators of 64 bits */
    /* filled by oct_one_rq_open */
    struct oct_rqv vec;
    struct oct_rqv_loaded words; /* all immediates */
    bool vectors;
};
void oct_one_rq_open(struct oct_kbuild *b, struct oct_one_rq *r);
/* Accumulators at once at most. */
int oct_one_rq_lanes(const struct oct_kbuild *b, const struct oct_one_rq *r);
/* Clamped; vectors that become bytes are narrowed already. */
struct lp_val oct_one_rq_code(struct oct_kbuild *b, struct oct_one_rq *r, struct lp_val acc);

#endif
