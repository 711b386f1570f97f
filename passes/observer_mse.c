/* observer_mse.c - the range (lo, hi) that minimises sum over bins of count * mean squared error in the bin, values taken as
 * uniform within a bin, the quantizer with the real scale, zero point and number of codes. The error of a bin is a difference of
 * the antiderivative below, so a candidate costs one evaluation a bin edge.
 *
 * Search: the ends shrink by i/16 of the observed ends on a full 17 x 17 grid (so a joint optimum is not missed), then each
 * refinement halves the step around the best and tries its neighbours, six times. Ties keep the wider range. Plain IEEE double
 * arithmetic: the same answer on every machine. */
#include <math.h>

#include "mass.h"

enum { COARSE = 16, REFINEMENTS = 6, MAX_BINS = 2048 };

struct bins { /* runs of equal bins that hold all data */
    const struct oct_observed *o;
    int n;
    double edge[MAX_BINS + 1], count[MAX_BINS];
};

/* integral from 0 to x of (t - Q(t))^2 dt for a quantizer with levels s n, n in [nlo, nhi], nlo <= 0 <= nhi. Inside, with
 * u = x/s and n = RNE(u), whole cells contribute s^3/12 each: s^3 (n/12 + (u - n)^3 / 3); outside, the cube of the distance. */
static double antiderivative(double x, double s, double nlo, double nhi) {
    double u = x / s, n = rint(u);
    if (n > nhi) n = nhi;
    if (n < nlo) n = nlo;
    double d = u - n;
    return s * s * s * (n / 12 + d * d * d / 3);
}

static double error(void *user, double lo, double hi) {
    const struct bins *b = user;
    float scale;
    int32_t zero;
    oct_choose_qparams((float)lo, (float)hi, b->o->scheme, b->o->qmin, b->o->qmax, &scale, &zero);
    double s = (double)scale, nlo = b->o->qmin - zero, nhi = b->o->qmax - zero, sum = 0;
    double before = antiderivative(b->edge[0], s, nlo, nhi);
    for (int i = 0; i < b->n; i++) {
        double after = antiderivative(b->edge[i + 1], s, nlo, nhi);
        if (b->count[i] > 0) sum += b->count[i] * (after - before) / (b->edge[i + 1] - b->edge[i]);
        before = after;
    }
    return sum;
}

/* The occupied part of the grid, in at most MAX_BINS runs; the outermost edges are the exact extremes. */
static void gather(const struct oct_histogram *h, struct bins *b) {
    int first = 0, last = OCT_GRID_BINS - 1;
    while (first < last && !h->count[first]) first++;
    while (last > first && !h->count[last]) last--;
    int run = (last - first + MAX_BINS) / MAX_BINS;
    b->n = 0;
    for (int i = first; i <= last; i += run) {
        uint64_t c = 0;
        for (int j = i; j < i + run && j <= last; j++) c += h->count[j];
        b->edge[b->n] = oct_histogram_edge(h, i);
        b->count[b->n++] = (double)c;
    }
    b->edge[b->n] = oct_histogram_edge(h, last + 1);
    if (b->edge[b->n] > (double)h->max && b->edge[b->n - 1] < (double)h->max) b->edge[b->n] = (double)h->max;
    if (b->edge[0] < (double)h->min && b->edge[1] > (double)h->min) b->edge[0] = (double)h->min;
}

bool oct_observe_mse(struct oct_observed *o, float range[2]) {
    if (!o->h) { /* weights: the scale with the least error, as the range that it spans */
        range[1] = oct_weight_scale(o->w, o->n, 1, o->scheme, true, o->qmin, o->qmax) * (float)o->qmax;
        range[0] = -range[1];
        return true;
    }
    struct bins *b = OCT_NEW(o->scratch, struct bins);
    b->o = o;
    gather(o->h, b);
    struct oct_search s = {fmin((double)o->h->min, 0), fmax((double)o->h->max, 0), COARSE, REFINEMENTS, error, b, 0, 0};
    oct_search_range(&s, range);
    return true;
}
