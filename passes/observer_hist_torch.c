/* observer_hist_torch.c - what PyTorch's HistogramObserver does, in double: 2048 bins between the extremes; in steps of 1e-5 of
 * the mass the end moves that has the longer way to its quantile, as long as the squared distance to the centres of 2^bits equal
 * cells does not grow. Greedy: it stops at the first step that is worse. The cells of a reduced range are those of the whole
 * type. The bins are spread from the grid of the state, so that the range does not depend on the order of the data, as PyTorch's
 * does. */
#include <math.h>

#include "mass.h"

static double cube(double x) { return x * x * x; }

/* Squared distance to the centres of `cells` cells of bins first..last, over all bins; a bin of width 1. */
static double error(const double *count, int first, int last, double cells) {
    const double width = (last - first + 1) / cells;
    double sum = 0;
    for (int i = 0; i < OCT_MASS_BINS; i++) {
        const double begin = i - first, end = begin + 1;
        const double a = fmin(fmax(floor(begin / width), 0), cells - 1), b = fmin(fmax(floor(end / width), 0), cells - 1);
        const double half = width / 2, whole = (cube(half) - cube(-half)) / 3;
        sum += count[i] * ((cube(half) - cube(begin - (a + 0.5) * width)) / 3 + (b - a - 1) * whole +
                           (cube(end - (b + 0.5) * width) - cube(-half)) / 3);
    }
    return sum;
}

bool oct_observe_hist_torch(struct oct_observed *o, float range[2]) {
    const struct oct_mass m = oct_mass_of(o, false);
    range[0] = (float)m.min;
    range[1] = (float)m.max;
    if (!(m.min < m.max)) return true;
    double *count = OCT_NEW_N(o->scratch, double, OCT_MASS_BINS), *below = OCT_NEW_N(o->scratch, double, OCT_MASS_BINS);
    oct_mass_bins(&m, m.min, m.max, OCT_MASS_BINS, count);
    double total = 0;
    for (int i = 0; i < OCT_MASS_BINS; i++) below[i] = total += count[i];
    const double cells = exp2(ceil(log2(oct_codes_of(o)))), step = 1e-5;
    double alpha = 0, beta = 1, least = INFINITY;
    int first = 0, last = OCT_MASS_BINS - 1;
    while (alpha < beta) {
        const double next_alpha = alpha + step, next_beta = beta - step;
        int l = first, r = last;
        while (l < last && below[l] < next_alpha * total) l++;
        while (r > first && below[r] > next_beta * total) r--;
        const bool left = l - first > last - r;
        if (left) alpha = next_alpha;
        else beta = next_beta;
        const int f = left ? l : first, e = left ? last : r;
        if (f == first && e == last) continue;
        const double now = error(count, f, e, cells);
        if (now > least) break;
        least = now, first = f, last = e;
    }
    const double width = (m.max - m.min) / (double)OCT_MASS_BINS;
    range[0] = (float)(m.min + width * first);
    range[1] = (float)(m.min + width * (last + 1));
    return true;
}
