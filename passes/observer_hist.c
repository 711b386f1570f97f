/* observer_hist.c - the range whose equal cells, one a code, have centres nearest to the values: of 2048 bins between the
 * extremes (zero included), density times the integral of the squared distance to the centre of the cell that a value falls into.
 * The measure of PyTorch's HistogramObserver, but with the real number of codes, on a full grid of both ends that is then
 * refined, instead of one greedy path. (observer_mse.c takes the codes' own values for centres: zero is one of them.) */
#include <math.h>

#include "mass.h"

struct cells {
    const struct oct_observed *o;
    double lo, hi; /* of the bins */
    double count[OCT_MASS_BINS];
};

/* integral from lo to x of (t - centre(t))^2 dt; each whole cell adds width^3 / 12, beyond the outermost the distance grows. */
static double antiderivative(double x, double lo, double width, double codes) {
    const double u = (x - lo) / width, cell = fmin(fmax(floor(u), 0), codes - 1), d = u - cell - 0.5;
    return width * width * width * (cell / 12 + d * d * d / 3);
}

static double error(void *user, double lo, double hi) {
    const struct cells *c = user;
    if (oct_is_symmetric(c->o)) hi = fmax(-lo, hi), lo = -hi;
    const double codes = oct_codes_of(c->o), width = (hi - lo) / codes, step = (c->hi - c->lo) / (double)OCT_MASS_BINS;
    double sum = 0, before = antiderivative(c->lo, lo, width, codes);
    for (int i = 0; i < OCT_MASS_BINS; i++) {
        const double after = antiderivative(c->lo + (i + 1) * step, lo, width, codes);
        if (c->count[i] > 0) sum += c->count[i] / step * (after - before);
        before = after;
    }
    return sum;
}

bool oct_observe_hist(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, false);
    struct cells *c = OCT_NEW(o->scratch, struct cells);
    c->o = o;
    c->lo = fmin(m.min, 0);
    c->hi = fmax(m.max, 0);
    if (c->lo < c->hi) oct_mass_bins(&m, c->lo, c->hi, OCT_MASS_BINS, c->count);
    oct_search_range(&(struct oct_search){c->lo, c->hi, 32, 6, error, c, 0, 0}, range);
    return true;
}
