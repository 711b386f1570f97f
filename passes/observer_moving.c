/* observer_moving.c - moving average of the batches' extremes (PyTorch's MovingAverageMinMax): the first sets them, then
 * m += c (m_b - m) in the order of the data. That is the sum of the extremes, weighted (1-c)^(later batches), and c of that but
 * for the first: as such it is computed, exactly and in any order of work, once the number of batches is known. Of shards it
 * is not defined: their order is not. */
#include "mass.h"

bool oct_observe_moving(struct oct_observed *o, float range[2]) {
    const struct oct_batches *b = &o->h->batches;
    if (b->moving == OCT_MOVING_NONE)
        o->why = "its statistics were kept without a moving average; make them anew, with this observer";
    else if (b->moving == OCT_MOVING_MIXED)
        o->why = "its statistics come from several runs, and a moving average depends on their order; use averaged, or one run";
    else if (b->rate != (float)o->param) o->why = "its statistics were kept with another rate (act_param); make them anew";
    else {
        oct_keep_within(o->h, oct_sum_mean(&b->moving_low, 1), oct_sum_mean(&b->moving_high, 1), range);
        return true;
    }
    return false;
}
