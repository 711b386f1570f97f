/* elim.h - the parts of elim_qdq: integer forms of single ops (elim_island.c), tables of pointwise chains (elim_table.c), changes
 * of parameters (elim_requantize.c), constants of what stays float (elim_const.c). The first three are asked about one quantize node q = quantize(p) whose type is the result wanted, and
 * build before m->cursor. A node that is built has nuses set to what q had. */
#ifndef OCT_ELIM_H
#define OCT_ELIM_H

#include "rewrite.h"

/* The codes behind a dequantize, NULL for any other node. */
static inline struct oct_node *oct_codes_of(const struct oct_node *x) {
    return x && x->op == OCT_OP_dequantize ? oct_resolve(x->operand[0]) : NULL;
}
/* Types that integer ops compute with: 8 or 16 bits, one scale. */
static inline bool oct_is_activation(const struct oct_type *t) {
    return t->q && t->q->axis < 0 && (t->dtype == OCT_I8 || t->dtype == OCT_U8 || t->dtype == OCT_I16 || t->dtype == OCT_U16);
}
/* Does the profile have a multiplier for s_a s_b / s_y? */
bool oct_scales_fit(enum oct_profile p, float s_a, float s_b, float s_y);

/* p in its integer form with q's type as result; NULL, with the reason noted on p, where it has none. */
struct oct_node *oct_elim_island(struct oct_module *m, struct oct_node *p, const struct oct_node *q);
/* A lut in place of q and all that is pointwise before it, back to 8-bit codes; NULL where that is not the form. */
struct oct_node *oct_elim_table(struct oct_module *m, const struct oct_node *q);
/* q = quantize(dequantize(x)): x itself, or one requantize; NULL, with the reason noted on q, where there is no integer form. */
struct oct_node *oct_elim_requantize(struct oct_module *m, struct oct_node *q);
/* Constants that float ops read through dequantize become float constants (elim_const.c); how many. */
unsigned oct_elim_consts(struct oct_module *m);
/* Lines for --explain about all that is still float, and the same words as `why` of the nodes (explain_left.c). */
void oct_explain_left(struct oct_pass_env *env, struct oct_module *m);

#endif
