/* observer_percentile.c - the range that keeps p percent of the values (NUMERICS 4): under the symmetric schemes of |x|, under
 * the asymmetric one all but (100 - p) / 2 percent on either side. Within a bin values are uniform; p is the number as fp32. */
#include "mass.h"

bool oct_observe_percentile(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, oct_is_symmetric(o));
    const double out = m.total * ((100 - o->param) / 100);
    if (oct_is_symmetric(o)) {
        range[1] = (float)oct_mass_quantile(&m, m.total - out);
        range[0] = -range[1];
    } else oct_clamp_range(&m, oct_mass_quantile(&m, out / 2), oct_mass_quantile(&m, m.total - out / 2), range);
    return true;
}
