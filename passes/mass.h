/* mass.h - where values lie, as the observers see it (mass.c): runs of a histogram's bins, or single weights. Sums go over the
 * runs in rising order, in plain double: the same bits on every machine. */
#ifndef OCT_MASS_H
#define OCT_MASS_H

#include "pass.h"

/* n runs that rise and do not overlap; a value is uniform within its run [lo, hi]; lo == hi: that very value. */
struct oct_mass {
    int64_t n;
    double *lo, *hi, *count;
    double total, min, max; /* sum of the counts, > 0; the extremes */
};
enum { OCT_MASS_BINS = 2048 };

/* What is observed, or (magnitude) its absolute value, from o->scratch. The outermost runs end at the exact extremes. */
struct oct_mass oct_mass_of(const struct oct_observed *o, bool magnitude);

double oct_mass_mean(const struct oct_mass *m);
/* E (x - mean)^2 and E |x - mean|. */
double oct_mass_variance(const struct oct_mass *m, double mean);
double oct_mass_deviation(const struct oct_mass *m, double mean);
/* The x below which `below` of the total lies. */
double oct_mass_quantile(const struct oct_mass *m, double below);
/* Spreads the mass over n equal bins of [lo, hi], lo < hi; what lies outside falls into the outermost. */
void oct_mass_bins(const struct oct_mass *m, double lo, double hi, int n, double *count);

/* Looks for the least error(user, lo a, hi c), a and c in (0, 1], lo <= 0 <= hi; an end that is 0 stays. First a full grid of
 * i / coarse, then `refinements` times the step halves and the eight neighbours of the best are tried. Ties keep what was first:
 * the wider range. */
struct oct_search {
    double lo, hi;
    int coarse, refinements;
    double (*error)(void *user, double lo, double hi);
    void *user;
    double a, c; /* what was found */
};
void oct_search_range(struct oct_search *s, float range[2]);

/* A range of the asymmetric scheme as it is; of the symmetric ones the ends become +- the larger magnitude. */
static inline bool oct_is_symmetric(const struct oct_observed *o) { return o->scheme != OCT_scheme_asym; }
/* Number of codes. */
static inline double oct_codes_of(const struct oct_observed *o) { return (double)o->qmax - o->qmin + 1; }
/* The range clamped to what was observed: means, too, leave it by rounding, or in a file made up. */
void oct_keep_within(const struct oct_histogram *h, double lo, double hi, float range[2]);
void oct_clamp_range(const struct oct_mass *m, double lo, double hi, float range[2]);

#endif
