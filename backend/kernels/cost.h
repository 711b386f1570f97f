/* cost.h - what work costs on a core of a target (targets/costs.def), for the figures of ways; cycles. */
#ifndef OCT_COST_H
#define OCT_COST_H

#include "../backend.h"

/* Vector operations, by as many as loops do in a cycle. */
double oct_cost_operations(const struct oct_target *t, double n);
/* Bytes of weights that are read `times` times, as far as they are beyond the near caches. */
double oct_cost_stream(const struct oct_target *t, int64_t bytes, int64_t times);
/* Vectors of sums that become codes in memory; codes that are copied to scratch memory as 16 bits. */
double oct_cost_finish(const struct oct_target *t, int64_t vectors);
double oct_cost_widen(const struct oct_target *t, int64_t codes);

/* Quarter cycles for bytes of weights that are read `times` times, as far as they are beyond the cache, or in memory; for scratch
 * memory that does not stay in the near cache, written and read. */
int64_t oct_cost_weights(int64_t bytes, int64_t times);
int64_t oct_cost_scratch(int64_t bytes, int64_t times);

#endif
