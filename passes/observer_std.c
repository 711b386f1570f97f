/* observer_std.c - mean +- N standard deviations, within what was observed; under the symmetric schemes +- (|mean| + N std). Mean
 * and variance are those of the histogram's bins with values uniform in each (of weights: the exact ones). */
#include <math.h>

#include "mass.h"

bool oct_observe_std(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, false);
    const double mean = oct_mass_mean(&m), reach = o->param * sqrt(oct_mass_variance(&m, mean));
    if (oct_is_symmetric(o)) oct_clamp_range(&m, -fabs(mean) - reach, fabs(mean) + reach, range);
    else oct_clamp_range(&m, mean - reach, mean + reach, range);
    return true;
}
