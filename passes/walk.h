/* walk.h - a model computed for all samples at once, op by op as far as one asks: what passes need that change a layer after
 * having seen what the layers before it, changed already, make of the data (walk.c). */
#ifndef OCT_WALK_H
#define OCT_WALK_H

#include "rewrite.h"

struct oct_walk {
    struct oct_pass_env *env;
    struct oct_module *m;
    int64_t runs;          /* samples over the batch that the model fixes; N counts as one */
    uint32_t segment;      /* pieces of the model that were run */
    struct oct_node *done; /* computed up to here, itself not; NULL: all */
};
/* Bytes that a walk needs for each run at the most. Values of a node's position and last reader stay in its tag until the end. */
int64_t oct_walk_plan(struct oct_walk *w, struct oct_pass_env *env, struct oct_module *m);
/* Computes what stands before n, as the model is now; what n itself and later nodes read is kept, the rest dropped. Nodes before
 * the last n must not change any more. n's tag must be of this walk. False after a diagnostic. */
bool oct_walk_to(struct oct_walk *w, struct oct_node *n);
/* Of a value that n of the last oct_walk_to reads: `runs` times the elements of its type with N = 1. Through a dequantize
 * its codes are meant. */
const void *oct_walk_data(const struct oct_walk *w, const struct oct_node *value);
void oct_walk_end(struct oct_walk *w);

/* job(user, i) for i of [0, n), on up to cx->threads threads; jobs neither allocate nor depend on each other (parallel.c). */
void oct_parallel(const struct oct_ctx *cx, int64_t n, void (*job)(void *user, int64_t i), void *user);

#endif
