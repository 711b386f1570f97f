/* cost.h - what memory costs a kernel, for the figures of its ways. */
#ifndef OCT_COST_H
#define OCT_COST_H

#include <stdint.h>

/* Quarter cycles for bytes of weights that are read `times` times, as far as they are beyond the cache, or in memory; for scratch
 * memory that does not stay in the near cache, written and read. */
int64_t oct_cost_weights(int64_t bytes, int64_t times);
int64_t oct_cost_scratch(int64_t bytes, int64_t times);

#endif
