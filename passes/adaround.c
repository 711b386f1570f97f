/* adaround.c - rounding of weights up or down by what it does to the results, not to each weight (Nagel et al. 2020), without
 * gradients: descent over single weights and pairs. The error of a row is e' h e; a change d of weight i adds
 * 2 d (h e)[i] + d^2 h[i][i], so that h e, kept up to date, tells what each flip is worth. Always the best flip, the first of
 * equals: the result depends on nothing but the numbers. Never worse than the nearest codes, from which it starts. */
#include <math.h>

#include "gram.h"

double oct_rounding_error(const struct oct_rounding *r) {
    double sum = 0, *e = r->work;
    for (int64_t i = 0; i < r->k; i++) e[i] = (double)r->scale[i] * r->code[i] - (double)r->w[i];
    for (int64_t i = 0; i < r->k; i++) {
        double row = 0;
        for (int64_t j = 0; j < r->k; j++) row += r->h[i * r->k + j] * e[j];
        sum += e[i] * row;
    }
    return sum;
}

/* The other code that w may become: the one on its other side. The same where there is none. */
static int32_t other_code(const struct oct_rounding *r, int64_t i) {
    const double x = (double)r->w[i] / (double)r->scale[i];
    const int32_t c = r->code[i], to = c > x ? c - 1 : c < x ? c + 1 : c;
    return fabs(to - x) >= 1 || to < r->codes.lo || to > r->codes.hi ? c : to;
}

struct state {
    const struct oct_rounding *r;
    double *he, *change; /* h e; what a flip adds to weight i, 0: none */
    double least;        /* gain that counts */
};

static double gain(const struct state *s, int64_t i) {
    const double d = s->change[i];
    return -d * (2 * s->he[i] + d * s->r->h[i * s->r->k + i]);
}

static void flip(struct state *s, int64_t i) {
    const struct oct_rounding *r = s->r;
    const double d = s->change[i], *row = r->h + i * r->k;
    r->code[i] += d > 0 ? 1 : -1;
    s->change[i] = -d;
    for (int64_t j = 0; j < r->k; j++) s->he[j] += d * row[j];
}

static void flip_singles(struct state *s) {
    for (;;) {
        int64_t best = -1;
        double most = s->least;
        for (int64_t i = 0; i < s->r->k; i++) {
            const double g = gain(s, i);
            if (g > most) most = g, best = i;
        }
        if (best < 0) return;
        flip(s, best);
    }
}

/* The best partner for weight i; true when the pair was flipped. */
static bool flip_pair(struct state *s, int64_t i) {
    const double d = 2 * s->change[i], own = gain(s, i), *row = s->r->h + i * s->r->k;
    int64_t best = -1;
    double most = s->least;
    if (d == 0) return false;
    for (int64_t j = 0; j < i; j++) {
        const double g = own + gain(s, j) - d * s->change[j] * row[j];
        if (s->change[j] != 0 && g > most) most = g, best = j;
    }
    if (best < 0) return false;
    flip(s, i);
    flip(s, best);
    return true;
}

enum { MOST_SWEEPS = 20 };

void oct_adaround(const struct oct_rounding *r) {
    struct state s = {.r = r, .he = r->work + r->k, .change = r->work + 2 * r->k};
    const double error = oct_rounding_error(r);
    s.least = error * 1e-9;
    for (int64_t i = 0; i < r->k; i++) {
        double row = 0;
        for (int64_t j = 0; j < r->k; j++) row += r->h[i * r->k + j] * r->work[j];
        s.he[i] = row;
        s.change[i] = (double)r->scale[i] * (other_code(r, i) - r->code[i]);
    }
    flip_singles(&s);
    bool any = true;
    for (int sweep = 0; any && sweep < MOST_SWEEPS; sweep++) {
        any = false;
        for (int64_t i = 1; i < r->k; i++) any |= flip_pair(&s, i);
        flip_singles(&s);
    }
}
