/* observer_averaged.c - the means of the smallest and of the largest value of each batch. The sums are exact (ir/stats.h), so
 * neither the order of the batches nor shards change a bit. A batch is what the model takes at once: one sample, unless it fixes
 * more. */
#include "mass.h"

bool oct_observe_averaged(struct oct_observed *o, float range[2]) {
    const struct oct_batches *b = &o->h->batches;
    if (!b->n) {
        o->why = "its statistics were kept without the extremes of batches; make them anew";
        return false;
    }
    oct_keep_within(o->h, oct_sum_mean(&b->low, b->n), oct_sum_mean(&b->high, b->n), range);
    return true;
}
