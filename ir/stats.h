/* stats.h - what calibration remembers of a value: counts on a grid that does not depend on the order or the sharding of the data
 * (NUMERICS 4). Filled by passes/calibrate.c, read by the observers, stored in .stats files (frontend/stats_file.c). */
#ifndef OCT_STATS_H
#define OCT_STATS_H

#include "context.h"
#include "sum.h"

/* Counts of finite values on [-2^k, 2^k) in OCT_GRID_BINS equal bins; bin i covers [(i - BINS/2) w, (i + 1 - BINS/2) w) with
 * w = 2^(k+1) / BINS. k is the smallest (>= OCT_GRID_MIN_K) whose grid holds every value seen; growing merges adjacent pairs,
 * which is exact, so equal data give equal states in whatever order and split. */
/* The extremes of batches (observers averaged, moving): exact sums, so that order and split do not matter. The moving average is of
 * one run in the order of its data, where one was wanted; merging it with anything gives MIXED, for good. */
enum oct_moving { OCT_MOVING_NONE, OCT_MOVING_ONE_RUN, OCT_MOVING_MIXED };
struct oct_batches {
    uint64_t n; /* batches with finite values */
    struct oct_sum low, high;
    enum oct_moving moving;
    float rate;                           /* c of m += c (m_b - m); 0 unless ONE_RUN */
    struct oct_sum moving_low, moving_high; /* weighted sums; 0 unless ONE_RUN */
};

enum { OCT_GRID_BINS = 8192, OCT_GRID_MIN_K = -120, OCT_GRID_MAX_K = 128 };
struct oct_histogram {
    int k;
    uint64_t count[OCT_GRID_BINS];
    uint64_t total, nan, inf; /* total counts finite values; NaN and infinities are counted apart and dropped */
    float min, max;           /* of the finite values; 0, 0 while there are none */
    struct oct_batches batches; /* of what was added as batches */
};
void oct_histogram_init(struct oct_histogram *h);
void oct_histogram_add(struct oct_histogram *h, const float *x, int64_t n);
/* Adds batch `index` of `batches`; where rate > 0 to a moving average of that rate too. */
void oct_histogram_add_batch(struct oct_histogram *h, const float *x, int64_t n, float rate, int64_t index, int64_t batches);
void oct_histogram_merge(struct oct_histogram *into, const struct oct_histogram *from);
/* The same of two workers' parts of one run, whose moving average it keeps. */
void oct_histogram_join(struct oct_histogram *into, const struct oct_histogram *from, bool same_run);
/* Lower edge of bin i. */
double oct_histogram_edge(const struct oct_histogram *h, int i);

/* The histograms of a model's observed values, by value name, in the order of first use. */
struct oct_stats_entry {
    const char *name;
    struct oct_histogram *h;
};
struct oct_stats {
    struct oct_arena *arena;
    struct oct_stats_entry *entry;
    uint32_t n, cap;
};
void oct_stats_init(struct oct_stats *s, struct oct_arena *a);
/* The histogram of `name`, made empty on first use. */
struct oct_histogram *oct_stats_get(struct oct_stats *s, const char *name);
const struct oct_histogram *oct_stats_find(const struct oct_stats *s, const char *name);
/* Adds all of `from`; names that are new are appended in their order. */
void oct_stats_merge(struct oct_stats *into, const struct oct_stats *from);

#endif
