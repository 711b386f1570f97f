/* observer_minmax.c - the whole observed range. */
#include "mass.h"

bool oct_observe_minmax(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, false);
    range[0] = (float)m.min;
    range[1] = (float)m.max;
    return true;
}
