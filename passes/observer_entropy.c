/* observer_entropy.c - the range whose codes tell most: least Kullback-Leibler divergence D(P || Q) (NUMERICS 4), over 2048 bins.
 *
 * P is the window with the mass of both tails in its end bins. Q knows only the window's own counts, merged into one group for
 * each code and spread evenly over the group's bins that have mass in P. Both are shares; to each bin of both 1e-4 / 2048 is
 * added before they are normalised again. Under the symmetric schemes bins are of |x|, a group is a code of one sign, and every
 * window is tried; under the asymmetric one zero is in the window, and its ends are searched on a grid of 64 x 64, then refined.
 * Ties keep the wider range. Where there are more codes than bins nothing can be told: the whole range. Only shares enter:
 * neither the order of the data matters nor their repetition. */
#include <math.h>

#include "mass.h"

struct window {
    double lo, hi; /* of the bins */
    int zero;      /* the bin that holds 0 */
    int groups;
    double share[OCT_MASS_BINS], p_log[OCT_MASS_BINS];
};
static const double EVEN = 1e-4 / (double)OCT_MASS_BINS;

/* log2, of IEEE operations alone: the same bits on every machine. m = 2^e f, f in [sqrt(1/2), sqrt 2), by atanh. */
static double log_2(double x) {
    int e;
    double f = frexp(x, &e);
    if (f < 0.70710678118654752) f *= 2, e--;
    const double t = (f - 1) / (f + 1), t2 = t * t;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2) sum = sum * t2 + 1.0 / k;
    return e + 2.8853900817779268 * t * sum;
}

static double p_log_p(double share) { return (share + EVEN) * log_2(share + EVEN); }

/* D of bins first..last. Bins without mass have the same share in P and Q, and so no part in it. */
static double divergence(const struct window *w, int first, int last) {
    const int n = last - first + 1;
    if (n < w->groups) return INFINITY;
    double left = 0, right = 0, inside = 0;
    for (int i = 0; i < first; i++) left += w->share[i];
    for (int i = last + 1; i < OCT_MASS_BINS; i++) right += w->share[i];
    for (int i = first; i <= last; i++) inside += w->share[i];
    if (!(inside > 0)) return INFINITY;
    double sum = 0;
    for (int g = 0; g < w->groups; g++) {
        const int from = first + (int)((int64_t)g * n / w->groups), to = first + (int)((int64_t)(g + 1) * n / w->groups);
        double mass = 0, p_sum = 0, p_log = 0;
        int used = 0;
        for (int i = from; i < to; i++) {
            const double tail = (i == first ? left : 0) + (i == last ? right : 0), p = w->share[i] + tail;
            mass += w->share[i];
            if (!(p > 0)) continue;
            used++;
            p_sum += p + EVEN;
            p_log += tail > 0 ? p_log_p(p) : w->p_log[i];
        }
        if (used) sum += p_log - p_sum * log_2(mass / inside / used + EVEN);
    }
    return sum / (1 + n * EVEN);
}

static void bins_of(const struct window *w, double lo, double hi, int *first, int *last) {
    *first = w->zero - (w->lo < 0 ? (int)rint(lo / w->lo * w->zero) : 0);
    *last = w->zero + (w->hi > 0 ? (int)rint(hi / w->hi * (OCT_MASS_BINS - 1 - w->zero)) : 0);
}

static double error(void *user, double lo, double hi) {
    int first, last;
    bins_of(user, lo, hi, &first, &last);
    return divergence(user, first, last);
}

bool oct_observe_entropy(struct oct_observed *o, float range[2]) {
    const bool symmetric = oct_is_symmetric(o);
    const struct oct_mass m = oct_mass_of(o, symmetric);
    struct window *w = OCT_NEW(o->scratch, struct window);
    w->lo = symmetric ? 0 : fmin(m.min, 0);
    w->hi = fmax(m.max, 0);
    w->groups = (int)(symmetric ? oct_codes_of(o) / 2 : oct_codes_of(o));
    const double width = (w->hi - w->lo) / (double)OCT_MASS_BINS;
    if (width > 0) {
        oct_mass_bins(&m, w->lo, w->hi, OCT_MASS_BINS, w->share);
        for (int i = 0; i < OCT_MASS_BINS; i++) {
            w->share[i] /= m.total;
            w->p_log[i] = p_log_p(w->share[i]);
        }
        w->zero = (int)fmin(-w->lo / width, OCT_MASS_BINS - 1);
    }
    struct oct_search s = {w->lo, w->hi, symmetric ? OCT_MASS_BINS : 64, symmetric ? 0 : 6, error, w, 0, 0};
    oct_search_range(&s, range);
    int first, last;
    bins_of(w, w->lo * s.a, w->hi * s.c, &first, &last);
    range[0] = (float)(w->lo + first * width);
    range[1] = last < OCT_MASS_BINS - 1 ? (float)(w->lo + (last + 1) * width) : (float)w->hi;
    if (symmetric) range[0] = -range[1];
    return true;
}
