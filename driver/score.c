/* score.c - figures about the outputs of a model: how often its classes are right, how far it is from another model. */
#include <math.h>

#include "driver.h"

int64_t drv_class(const struct drv_result *r, int64_t i) {
    int64_t best = 0;
    double top = -INFINITY;
    for (int64_t k = 0; k < r->row; k++) {
        const double v = drv_real(&r->type, r->data, i * r->row + k);
        if (v > top) {
            top = v;
            best = k;
        }
    }
    return best;
}

bool drv_read_labels(struct drv *d, int64_t samples, const int64_t **out) {
    struct oct_array x;
    int64_t from, to;
    if (!oct_npy_read(d->cx, d->a, d->o.labels, &x)) return false;
    if (d->o.samples && x.rank > 0) {
        if (!drv_samples(d, x.dim[0], &from, &to)) return false;
        oct_array_slice(&x, from, to);
    }
    int64_t n = 1, *v = OCT_NEW_N(d->a, int64_t, samples);
    for (int i = 0; i < x.rank; i++) n *= x.dim[i];
    const bool integers = x.type != OCT_NPY_F32 && x.type != OCT_NPY_F64;
    if (!integers || n != samples || x.rank < 1 || x.dim[0] != samples) {
        oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E4004, "%s: wanted %lld integers, one for each sample", x.name,
                  (long long)samples);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        switch (x.type) {
        case OCT_NPY_I8: v[i] = ((const int8_t *)x.data)[i]; break;
        case OCT_NPY_U8: v[i] = ((const uint8_t *)x.data)[i]; break;
        case OCT_NPY_I16: v[i] = ((const int16_t *)x.data)[i]; break;
        case OCT_NPY_I32: v[i] = ((const int32_t *)x.data)[i]; break;
        default: v[i] = ((const int64_t *)x.data)[i]; break;
        }
    }
    *out = v;
    return true;
}

double drv_top1(const struct drv_result *r, const int64_t *labels, int64_t n) {
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i++) hits += drv_class(r, i) == labels[i];
    return (double)hits / (double)n;
}

double drv_agreement(const struct drv_result *r, const struct drv_result *ref, int64_t n) {
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i++) hits += drv_class(r, i) == drv_class(ref, i);
    return (double)hits / (double)n;
}

double drv_sqnr_db(const struct drv_result *r, const struct drv_result *ref, int64_t n) {
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < n * r->row; i++) {
        const double x = drv_real(&ref->type, ref->data, i), e = drv_real(&r->type, r->data, i) - x;
        signal += x * x;
        noise += e * e;
    }
    return noise == 0 ? INFINITY : 10 * log10(signal / noise);
}
