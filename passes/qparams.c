/* qparams.c - from ranges to scales and zero points (NUMERICS 1). Pure number code; no graph here. */
#include <float.h>
#include <math.h>

#include "pass.h"

/* 2^ceil(log2 s), so that nothing that fitted before clips. */
static double next_power_of_two(double s) {
    int e;
    double m = frexp(s, &e); /* s = m 2^e, m in [1/2, 1) */
    return ldexp(1.0, m == 0.5 ? e - 1 : e);
}

/* Scale for a largest magnitude m under a symmetric scheme. */
static double symmetric_scale(double m, enum oct_scheme s, int32_t qmin, int32_t qmax) {
    const double codes = (double)qmax - qmin;
    if (s == OCT_scheme_full) return m / (codes / 2);
    const double scale = m / ((codes - 1) / 2);
    return s == OCT_scheme_pot ? next_power_of_two(scale) : scale;
}

void oct_choose_qparams(float lo, float hi, enum oct_scheme s, int32_t qmin, int32_t qmax, float *scale, int32_t *zero) {
    const double l = lo < 0 ? (double)lo : 0, h = hi > 0 ? (double)hi : 0;
    *scale = 1;
    *zero = 0;
    if (!(l < h) || !isfinite(l) || !isfinite(h)) return;
    if (s == OCT_scheme_asym) {
        float f = (float)((h - l) / ((double)qmax - qmin));
        if (f < FLT_EPSILON) f = FLT_EPSILON;
        double z = qmin - rint(l / (double)f);
        *zero = (int32_t)(z < qmin ? qmin : z > qmax ? qmax : z);
        *scale = f;
        return;
    }
    const float f = (float)symmetric_scale(-l > h ? -l : h, s, qmin, qmax);
    if (f > 0 && isfinite(f)) *scale = f;
    *zero = qmin < 0 ? 0 : (int32_t)(((int64_t)qmin + qmax + 1) / 2); /* unsigned codes: the middle, 128 for u8 */
}

/* ---- weights ---- */

/* Least and greatest of the weights, and 0 among them. */
static void weight_range(const float *w, int64_t n, int64_t stride, double *lo, double *hi) {
    float l = 0, h = 0;
    for (int64_t i = 0; i < n; i++) {
        l = fminf(l, w[i * stride]);
        h = fmaxf(h, w[i * stride]);
    }
    *lo = (double)l;
    *hi = (double)h;
}

/* Scale that holds all of a range. */
static double widest_scale(double lo, double hi, enum oct_scheme s, int32_t qmin, int32_t qmax) {
    if (s == OCT_scheme_asym) return (hi - lo) / ((double)qmax - qmin);
    return symmetric_scale(fmax(-lo, hi), s, qmin, qmax);
}

/* A range that shrinks towards 0 on both sides keeps its zero point, so one that clips has that of the whole range. */
static int32_t zero_for(double lo, double hi, enum oct_scheme scheme, float s, int32_t qmin, int32_t qmax) {
    if (scheme != OCT_scheme_asym) return qmin < 0 ? 0 : (int32_t)(((int64_t)qmin + qmax + 1) / 2);
    const float whole = (float)widest_scale(lo, hi, scheme, qmin, qmax);
    const double z = qmin - rint(lo / (double)fmaxf(s, whole));
    return (int32_t)(z < qmin ? qmin : z > qmax ? qmax : z);
}

int32_t oct_weight_zero(const float *w, int64_t n, enum oct_scheme s, float scale, int32_t qmin, int32_t qmax) {
    double lo, hi;
    weight_range(w, n, 1, &lo, &hi);
    return zero_for(lo, hi, s, scale, qmin, qmax);
}

/* Squared error of the weights under scale s. */
static double weight_error(const float *w, int64_t n, int64_t stride, double s, double z, double qlo, double qhi) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)w[i * stride], q = rint(x / s) + z;
        q = q < qlo ? qlo : q > qhi ? qhi : q;
        const double d = x - s * (q - z);
        sum += d * d;
    }
    return sum;
}

float oct_weight_scale(const float *w, int64_t n, int64_t stride, enum oct_scheme s, bool mse, int32_t qmin, int32_t qmax) {
    double lo, hi;
    weight_range(w, n, stride, &lo, &hi);
    if (!(hi - lo > 0) || !isfinite(hi - lo)) return 0;
    const double widest = widest_scale(lo, hi, s, qmin, qmax);
    float best = (float)widest;
    if (mse && s != OCT_scheme_pot) {
        const double z = zero_for(lo, hi, s, best, qmin, qmax), qlo = s == OCT_scheme_sym ? (double)qmin + 1 : (double)qmin;
        double least = weight_error(w, n, stride, (double)best, z, qlo, qmax);
        /* down to 0.3 of the range, and for 2 and 3 bits to 0.1: narrower never pays */
        for (int i = 127, narrowest = qmax - qmin > 7 ? 38 : 13; i >= narrowest; i--) {
            const float f = (float)(widest * i / 128);
            const double e = weight_error(w, n, stride, (double)f, z, qlo, qmax);
            if (e < least) least = e, best = f;
        }
    }
    return best;
}
