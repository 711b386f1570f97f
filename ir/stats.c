/* stats.c - histograms that merge to the same bits in any order. Requires arena.c. */
#include <math.h>
#include <string.h>

#include "stats.h"

enum { HALF = OCT_GRID_BINS / 2 };

void oct_histogram_init(struct oct_histogram *h) {
    memset(h, 0, sizeof *h);
    h->k = OCT_GRID_MIN_K;
}

/* The smallest k with -2^k <= x < 2^k. */
static int exponent_for(float x) {
    if (x == 0) return OCT_GRID_MIN_K;
    int e;
    float m = frexpf(fabsf(x), &e); /* |x| = m 2^e, m in [1/2, 1) */
    int k = x < 0 && m == 0.5f ? e - 1 : e;
    return k < OCT_GRID_MIN_K ? OCT_GRID_MIN_K : k;
}

/* Doubles the range until it is 2^k: bin j (counted from the centre) goes to floor(j / 2). */
static void grow(struct oct_histogram *h, int k) {
    if (k <= h->k) return;
    if (h->total == 0) {
        h->k = k;
        return;
    }
    for (; h->k < k; h->k++) {
        if (h->k + 14 < k) { /* so far that everything falls into the two centre bins: do it at once */
            uint64_t below = 0, above = 0;
            for (int i = 0; i < HALF; i++) below += h->count[i], above += h->count[HALF + i];
            memset(h->count, 0, sizeof h->count);
            h->count[HALF - 1] = below;
            h->count[HALF] = above;
            h->k = k - 1;
            continue; /* one more doubling keeps the two centre bins as they are */
        }
        for (int j = 0; j < HALF; j += 2) h->count[HALF + j / 2] = h->count[HALF + j] + h->count[HALF + j + 1];
        memset(h->count + HALF + HALF / 2, 0, HALF / 2 * sizeof *h->count);
        for (int j = 1; j <= HALF; j += 2) h->count[HALF - 1 - j / 2] = h->count[HALF - j] + h->count[HALF - j - 1];
        memset(h->count, 0, HALF / 2 * sizeof *h->count);
    }
}

/* Adds x; *lo > *hi when nothing is finite, else the extremes. */
static void add(struct oct_histogram *h, const float *x, int64_t n, float *least, float *most) {
    float lo = INFINITY, hi = -INFINITY;
    uint64_t nan = 0, inf = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(x[i])) {
            lo = x[i] < lo ? x[i] : lo;
            hi = x[i] > hi ? x[i] : hi;
        } else if (isnan(x[i])) nan++;
        else inf++;
    }
    h->nan += nan;
    h->inf += inf;
    *least = lo, *most = hi;
    if (lo > hi) return;
    lo += 0.0f, hi += 0.0f; /* -0 becomes 0: the sign of zero must not depend on which came first */
    int klo = exponent_for(lo), khi = exponent_for(hi);
    grow(h, klo > khi ? klo : khi);
    if (h->total == 0 || lo < h->min) h->min = lo;
    if (h->total == 0 || hi > h->max) h->max = hi;
    const double per_bin = ldexp(1.0, 12 - h->k); /* HALF / 2^k: a power of two, so the product is exact */
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        double u = (double)x[i] * per_bin;
        int j = (int)u;
        h->count[HALF + j - (u < j)]++;
    }
    h->total += (uint64_t)n - nan - inf;
}

void oct_histogram_add(struct oct_histogram *h, const float *x, int64_t n) {
    float lo, hi;
    add(h, x, n, &lo, &hi);
}

/* x^k by squaring: the same bits on every machine. */
static double power(double x, int64_t k) {
    double y = 1;
    for (; k > 0; k >>= 1, x *= x)
        if (k & 1) y *= x;
    return y;
}

void oct_histogram_add_batch(struct oct_histogram *h, const float *x, int64_t n, float rate, int64_t index, int64_t batches) {
    struct oct_batches *b = &h->batches;
    float lo, hi;
    add(h, x, n, &lo, &hi);
    if (lo > hi) return;
    b->n++;
    oct_sum_add(&b->low, (double)lo);
    oct_sum_add(&b->high, (double)hi);
    if (!(rate > 0)) return;
    const double c = (double)rate, weight = power(1 - c, batches - 1 - index) * (index ? c : 1);
    b->moving = OCT_MOVING_ONE_RUN;
    b->rate = rate;
    oct_sum_add(&b->moving_low, weight * (double)lo);
    oct_sum_add(&b->moving_high, weight * (double)hi);
}

static void merge_batches(struct oct_batches *into, const struct oct_batches *from, bool same_run) {
    if (!from->n) return;
    if (into->n && !same_run && (into->moving != OCT_MOVING_NONE || from->moving != OCT_MOVING_NONE)) {
        into->moving = OCT_MOVING_MIXED;
        into->rate = 0;
        into->moving_low = into->moving_high = (struct oct_sum){{0}};
    } else {
        into->moving = from->moving;
        into->rate = from->rate;
        oct_sum_merge(&into->moving_low, &from->moving_low);
        oct_sum_merge(&into->moving_high, &from->moving_high);
    }
    into->n += from->n;
    oct_sum_merge(&into->low, &from->low);
    oct_sum_merge(&into->high, &from->high);
}

void oct_histogram_merge(struct oct_histogram *into, const struct oct_histogram *from) { oct_histogram_join(into, from, false); }

void oct_histogram_join(struct oct_histogram *into, const struct oct_histogram *from, bool same_run) {
    merge_batches(&into->batches, &from->batches, same_run);
    into->nan += from->nan;
    into->inf += from->inf;
    if (from->total == 0) return;
    struct oct_histogram other = *from;
    grow(into, other.k);
    grow(&other, into->k);
    for (int i = 0; i < OCT_GRID_BINS; i++) into->count[i] += other.count[i];
    if (into->total == 0 || other.min < into->min) into->min = other.min;
    if (into->total == 0 || other.max > into->max) into->max = other.max;
    into->total += other.total;
}

double oct_histogram_edge(const struct oct_histogram *h, int i) { return ldexp((double)(i - HALF), h->k - 12); }

void oct_stats_init(struct oct_stats *s, struct oct_arena *a) { *s = (struct oct_stats){.arena = a}; }

const struct oct_histogram *oct_stats_find(const struct oct_stats *s, const char *name) {
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->entry[i].name, name)) return s->entry[i].h;
    return NULL;
}

struct oct_histogram *oct_stats_get(struct oct_stats *s, const char *name) {
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->entry[i].name, name)) return s->entry[i].h;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? 2 * s->cap : 16;
        struct oct_stats_entry *e = OCT_NEW_N(s->arena, struct oct_stats_entry, cap);
        if (s->n) memcpy(e, s->entry, s->n * sizeof *e);
        s->entry = e;
        s->cap = cap;
    }
    struct oct_histogram *h = OCT_NEW(s->arena, struct oct_histogram);
    oct_histogram_init(h);
    s->entry[s->n++] = (struct oct_stats_entry){oct_strdup(s->arena, name), h};
    return h;
}

void oct_stats_merge(struct oct_stats *into, const struct oct_stats *from) {
    for (uint32_t i = 0; i < from->n; i++) oct_histogram_merge(oct_stats_get(into, from->entry[i].name), from->entry[i].h);
}
