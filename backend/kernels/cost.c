/* cost.c - see cost.h. */
#include "cost.h"

enum { NEAR_BYTES = 32 * 1024, CACHE_BYTES = 256 * 1024, FAR_BYTES = 1 << 20 };

int64_t oct_cost_weights(int64_t bytes, int64_t times) {
    return bytes > FAR_BYTES ? bytes * times : bytes > CACHE_BYTES ? bytes * times * 2 / 5 : 0;
}
int64_t oct_cost_scratch(int64_t bytes, int64_t times) {
    return bytes > 2 * CACHE_BYTES ? bytes * times / 3 : bytes > NEAR_BYTES ? bytes * times / 8 : 0;
}
