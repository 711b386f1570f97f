/* mass.c - sums, quantiles and searches that observers share. Requires stats.c. */
#include <math.h>
#include <stdlib.h>

#include "mass.h"

enum { HALF = OCT_GRID_BINS / 2 };

static void push(struct oct_mass *m, double lo, double hi, double count) {
    m->lo[m->n] = lo, m->hi[m->n] = hi, m->count[m->n++] = count;
    m->total += count;
}

static void ends(struct oct_mass *m, double min, double max) {
    m->min = min;
    m->max = max;
    if (m->lo[0] < min) m->lo[0] = min;
    if (m->hi[m->n - 1] > max) m->hi[m->n - 1] = max;
    if (m->hi[0] < m->lo[0]) m->hi[0] = m->lo[0]; /* magnitudes: the extreme may be the edge that its bin leaves out */
    if (m->lo[m->n - 1] > m->hi[m->n - 1]) m->lo[m->n - 1] = m->hi[m->n - 1];
}

static void from_histogram(struct oct_mass *m, const struct oct_histogram *h, bool magnitude) {
    const double min = (double)h->min, max = (double)h->max;
    if (!magnitude) {
        for (int i = 0; i < OCT_GRID_BINS; i++)
            if (h->count[i]) push(m, oct_histogram_edge(h, i), oct_histogram_edge(h, i + 1), (double)h->count[i]);
        ends(m, min, max);
        return;
    }
    for (int j = 0; j < HALF; j++) {
        const uint64_t c = h->count[HALF + j] + h->count[HALF - 1 - j];
        if (c) push(m, oct_histogram_edge(h, HALF + j), oct_histogram_edge(h, HALF + j + 1), (double)c);
    }
    ends(m, min > 0 ? min : max < 0 ? -max : 0, -min > max ? -min : max);
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void from_weights(struct oct_mass *m, const struct oct_observed *o, bool magnitude) {
    float *x = OCT_NEW_N(o->scratch, float, o->n);
    for (int64_t i = 0; i < o->n; i++) x[i] = magnitude ? fabsf(o->w[i]) : o->w[i];
    qsort(x, (size_t)o->n, sizeof *x, by_value);
    for (int64_t i = 0, j; i < o->n; i = j) {
        for (j = i + 1; j < o->n && x[j] == x[i];) j++;
        push(m, (double)x[i], (double)x[i], (double)(j - i));
    }
    ends(m, (double)x[0], (double)x[o->n - 1]);
}

struct oct_mass oct_mass_of(const struct oct_observed *o, bool magnitude) {
    const int64_t most = o->h ? OCT_GRID_BINS : o->n;
    struct oct_mass m = {.n = 0};
    m.lo = OCT_NEW_N(o->scratch, double, most);
    m.hi = OCT_NEW_N(o->scratch, double, most);
    m.count = OCT_NEW_N(o->scratch, double, most);
    if (o->h) from_histogram(&m, o->h, magnitude);
    else from_weights(&m, o, magnitude);
    return m;
}

double oct_mass_mean(const struct oct_mass *m) {
    double sum = 0;
    for (int64_t i = 0; i < m->n; i++) sum += m->count[i] * ((m->lo[i] + m->hi[i]) / 2);
    return sum / m->total;
}

double oct_mass_variance(const struct oct_mass *m, double mean) {
    double sum = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double d = (m->lo[i] + m->hi[i]) / 2 - mean, w = m->hi[i] - m->lo[i];
        sum += m->count[i] * (d * d + w * w / 12);
    }
    return sum / m->total;
}

double oct_mass_deviation(const struct oct_mass *m, double mean) {
    double sum = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double a = m->lo[i] - mean, b = m->hi[i] - mean;
        sum += m->count[i] * (a < 0 && b > 0 ? (a * a + b * b) / (2 * (b - a)) : fabs(a + b) / 2);
    }
    return sum / m->total;
}

double oct_mass_quantile(const struct oct_mass *m, double below) {
    double before = 0;
    for (int64_t i = 0; i < m->n; i++) {
        if (before + m->count[i] >= below) {
            const double share = (below - before) / m->count[i];
            return m->lo[i] + (m->hi[i] - m->lo[i]) * (share > 0 ? share : 0);
        }
        before += m->count[i];
    }
    return m->max;
}

void oct_mass_bins(const struct oct_mass *m, double lo, double hi, int n, double *count) {
    const double width = (hi - lo) / n;
    for (int k = 0; k < n; k++) count[k] = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double a = (m->lo[i] - lo) / width, b = (m->hi[i] - lo) / width;
        int k = (int)fmin(fmax(floor(a), 0), n - 1);
        if (!(b > a)) {
            count[k] += m->count[i];
            continue;
        }
        for (; k < n - 1 && k < b; k++) { /* the part of the run below the upper edge of bin k */
            const double from = k > a ? k : a, to = k + 1 < b ? k + 1 : b;
            if (to > from) count[k] += m->count[i] * ((to - from) / (b - a));
        }
        if (b > n - 1) count[n - 1] += m->count[i] * ((b - (a > n - 1 ? a : n - 1)) / (b - a));
    }
}

void oct_search_range(struct oct_search *s, float range[2]) {
    range[0] = (float)s->lo;
    range[1] = (float)s->hi;
    s->a = s->c = 1;
    if (s->lo == 0 && s->hi == 0) return;
    double best = INFINITY, ba = 1, bc = 1;
    for (int i = s->coarse; i >= 1; i--) {
        if (s->lo == 0 && i < s->coarse) break;
        for (int j = s->coarse; j >= 1; j--) {
            if (s->hi == 0 && j < s->coarse) break;
            const double a = (double)i / s->coarse, c = (double)j / s->coarse, e = s->error(s->user, s->lo * a, s->hi * c);
            if (e < best) best = e, ba = a, bc = c;
        }
    }
    double step = 1.0 / s->coarse;
    for (int r = 0; r < s->refinements; r++) {
        step /= 2;
        const double a0 = ba, c0 = bc;
        for (int i = 1; i >= -1; i--)
            for (int j = 1; j >= -1; j--) {
                const double a = a0 + i * step, c = c0 + j * step;
                if ((i == 0 && j == 0) || a <= 0 || a > 1 || c <= 0 || c > 1 || (s->lo == 0 && i) || (s->hi == 0 && j)) continue;
                const double e = s->error(s->user, s->lo * a, s->hi * c);
                if (e < best) best = e, ba = a, bc = c;
            }
    }
    range[0] = (float)(s->lo * ba);
    range[1] = (float)(s->hi * bc);
    s->a = ba;
    s->c = bc;
}

void oct_clamp_range(const struct oct_mass *m, double lo, double hi, float range[2]) {
    range[0] = (float)(lo > m->min ? lo : m->min);
    range[1] = (float)(hi < m->max ? hi : m->max);
}

void oct_keep_within(const struct oct_histogram *h, double lo, double hi, float range[2]) {
    range[0] = (float)fmin(fmax(lo, (double)h->min), (double)h->max);
    range[1] = (float)fmax(fmin(hi, (double)h->max), (double)h->min);
}
