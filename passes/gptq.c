/* gptq.c - weights rounded one after the other, each taking over what those before it did wrong (Frantar et al. 2022). With
 * h + lambda I = U D U' the error of a row is the sum over j of D[j] (e[j] + sum over k < j of U[k][j] e[k])^2: so weight j is
 * rounded to the code nearest w[j] - sum of U[k][j] e[k], which is what OBQ's updates by the inverse of h come to. Weights with
 * the largest activations come first, when most others are still free to answer for them. */
#include <math.h>
#include <stdlib.h>

#include "gram.h"

static const double damping = 0.01;

struct place {
    double diagonal;
    int32_t at;
};
static int by_diagonal(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    return x->diagonal != y->diagonal ? (x->diagonal > y->diagonal ? -1 : 1) : (x->at > y->at) - (x->at < y->at);
}

void oct_gptq_factor(struct oct_arena *scratch, int64_t k, const double *h, struct oct_gptq *f) {
    *f = (struct oct_gptq){.k = k, .order = OCT_NEW_N(scratch, int32_t, k), .u = OCT_NEW_N(scratch, double, k *k)};
    struct place *place = OCT_NEW_N(scratch, struct place, k);
    double lambda = 0;
    for (int64_t i = 0; i < k; i++) {
        place[i] = (struct place){h[i * k + i], (int32_t)i};
        lambda += h[i * k + i] * damping / (double)k;
    }
    if (!(lambda > 0)) lambda = 1;
    qsort(place, (size_t)k, sizeof *place, by_diagonal);
    for (int64_t i = 0; i < k; i++) f->order[i] = place[i].at;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j <= i; j++) f->u[i * k + j] = h[f->order[i] * k + f->order[j]] + (i == j ? lambda : 0);
    /* from the last row up: row j becomes U[.][j] and leaves the rest without what it explains */
    for (int64_t j = k - 1; j >= 0; j--) {
        double *row = f->u + j * k;
        const double d = row[j];
        for (int64_t i = 0; i < j; i++) {
            const double c = row[i] / d;
            double *above = f->u + i * k;
            for (int64_t n = 0; n <= i; n++) above[n] -= c * row[n];
        }
        for (int64_t i = 0; i < j; i++) row[i] /= d;
    }
}

void oct_gptq(const struct oct_gptq *f, const struct oct_rounding *r) {
    double *e = r->work; /* in order */
    for (int64_t j = 0; j < f->k; j++) {
        const int32_t at = f->order[j];
        const double *u = f->u + j * f->k;
        double want = (double)r->w[at];
        for (int64_t i = 0; i < j; i++) want -= u[i] * e[i];
        const double code = rint(want / (double)r->scale[at]);
        r->code[at] = (int32_t)fmin(fmax(code, r->codes.lo), r->codes.hi);
        e[j] = (double)r->scale[at] * r->code[at] - (double)r->w[at];
    }
}
