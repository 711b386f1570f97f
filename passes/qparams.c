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

/* Squared error of the channel under scale s. */
static double channel_error(const float *w, int64_t n, int64_t stride, double s, double lo, double hi) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)w[i * stride], q = rint(x / s);
        q = q < lo ? lo : q > hi ? hi : q;
        const double d = x - s * q;
        sum += d * d;
    }
    return sum;
}

float oct_weight_scale(const float *w, int64_t n, int64_t stride, enum oct_scheme s, bool mse, int32_t qmin, int32_t qmax) {
    float m = 0;
    for (int64_t i = 0; i < n; i++) m = fmaxf(m, fabsf(w[i * stride]));
    if (!(m > 0) || !isfinite(m)) return 0;
    const double widest = symmetric_scale((double)m, s, qmin, qmax), lo = s == OCT_scheme_full ? qmin : -(double)qmax;
    float best = (float)widest;
    if (mse && s != OCT_scheme_pot) {
        double least = channel_error(w, n, stride, (double)best, lo, qmax);
        for (int i = 127; i >= 38; i--) { /* down to 0.3 of the range: narrower never pays for 4 bits and more */
            const float f = (float)(widest * i / 128);
            const double e = channel_error(w, n, stride, (double)f, lo, qmax);
            if (e < least) least = e, best = f;
        }
    }
    return best;
}
