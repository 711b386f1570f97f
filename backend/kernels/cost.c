/* cost.c - see cost.h. */
#include "cost.h"

enum { NEAR_BYTES = 32 * 1024, CACHE_BYTES = 256 * 1024, FAR_BYTES = 1 << 20 };

int64_t oct_cost_weights(int64_t bytes, int64_t times) {
    return bytes > FAR_BYTES ? bytes * times * 3 / 5 : bytes > CACHE_BYTES ? bytes * times * 2 / 5 : 0;
}
int64_t oct_cost_scratch(int64_t bytes, int64_t times) {
    return bytes > 2 * CACHE_BYTES ? bytes * times / 3 : bytes > NEAR_BYTES ? bytes * times / 8 : 0;
}

double oct_cost_operations(const struct oct_target *t, double n) { return n / oct_target_costs(t)->operations; }
double oct_cost_stream(const struct oct_target *t, int64_t bytes, int64_t times) {
    const struct oct_costs *c = oct_target_costs(t);
    if (bytes <= c->second / 2) return 0; /* activations are there, too */
    return (double)(bytes * times) / (bytes <= 2 * c->second ? c->beyond : c->far);
}
double oct_cost_finish(const struct oct_target *t, int64_t vectors) { return (double)vectors * oct_target_costs(t)->finish; }
double oct_cost_widen(const struct oct_target *t, int64_t codes) {
    return (double)codes / (t->vector_bits / 16) * oct_target_costs(t)->widen;
}
