/* observer_minmax.c - the whole observed range. */
#include "pass.h"

void oct_observe_minmax(const struct oct_histogram *h, enum oct_scheme s, int32_t qmin, int32_t qmax, float *lo, float *hi);
void oct_observe_minmax(const struct oct_histogram *h, enum oct_scheme s, int32_t qmin, int32_t qmax, float *lo, float *hi) {
    (void)s, (void)qmin, (void)qmax;
    *lo = h->min;
    *hi = h->max;
}
