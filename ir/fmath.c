/* fmath.c - exp, tanh, log and the logistic function in plain IEEE binary32: multiply and add, no FMA, no tables, no libm, so
 * that every machine gives the same bits. Requires round-to-nearest and -ffp-contract=off. The same algorithms are printed into
 * emitted C, so they stay short and close to straight-line. Coefficients: our own weighted minimax fits (relative error of the
 * result below 4e-9 each), rounded to binary32. Largest errors over all floats, in ulp (tests/unit/test_fmath.c):
 *   oct_expf 0.99   oct_tanhf 1.34   oct_logf 0.83   oct_sigmoidf 2.41   oct_erff 2.8   oct_expm1f 2.5 (x <= 0) oct_softplusf 3.3
 */
#include <string.h>

#include "interp.h"

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
/* 2^n for n in [-126, 127]. */
static float power_of_two(uint32_t n) { return float_of((n + 127u) << 23); }

static const float ln2_hi = 0.693359375f;    /* 355/512: n ln2_hi is exact for |n| < 2^15 */
static const float ln2_lo = -2.12194440e-4f; /* ln 2 - ln2_hi */

/* e^x = 2^n e^r, n = RNE(x / ln 2), |r| <= ln 2 / 2. Underflow is gradual; inf, 0 and NaN come out by themselves. */
float oct_expf(float x) {
    x = x < -104.0f ? -104.0f : x; /* e^-104 rounds to 0, e^89 to inf */
    x = x > 89.0f ? 89.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which its low bits then hold */
    float t = x * 1.44269504f + magic;
    uint32_t n = bits_of(t) - bits_of(magic); /* two's complement; never converted, so a NaN does no harm */
    t -= magic;
    float r = x - t * ln2_hi;
    r -= t * ln2_lo;
    float p = 0.00138146f;
    p = p * r + 0.008368716f;
    p = p * r + 0.04166839f;
    p = p * r + 0.16666521f;
    p = p * r + 0.49999994f;
    float y = r * r * p + r + 1.0f;
    uint32_t half = (uint32_t)((int32_t)n >> 1); /* 2^n in two factors: n reaches -150 and 128 */
    return y * power_of_two(half) * power_of_two(n - half);
}

/* Odd polynomial below 0.625, where 1 - 2 / (e^2x + 1) would cancel. */
float oct_tanhf(float x) {
    float a = x < 0 ? -x : x;
    if (a < 0.625f) {
        float z = x * x;
        float p = -0.005717037f;
        p = p * z + 0.020650579f;
        p = p * z - 0.053743497f;
        p = p * z + 0.13331491f;
        p = p * z - 0.33333284f;
        return p * z * x + x;
    }
    float y = 1.0f - 2.0f / (oct_expf(a + a) + 1.0f);
    return x < 0 ? -y : y;
}

/* log x = e log 2 + log(1 + r), 1 + r in [sqrt 1/2, sqrt 2). */
float oct_logf(float x) {
    if (!(x > 0)) return x == 0 ? -INFINITY : NAN;
    if (x == INFINITY) return x;
    float e = -127.0f;
    if (x < 1.17549435e-38f) { /* subnormal */
        x *= 8388608.0f;
        e = -150.0f;
    }
    uint32_t u = bits_of(x) + (0x3f800000u - 0x3f3504f3u); /* 0x3f3504f3 = sqrt(1/2) */
    e += (float)(int32_t)(u >> 23);
    float r = float_of((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f; /* exact */
    float z = r * r;
    float p = 0.06746601f;
    p = p * r - 0.11675641f;
    p = p * r + 0.11888175f;
    p = p * r - 0.124055915f;
    p = p * r + 0.14219551f;
    p = p * r - 0.16667996f;
    p = p * r + 0.20002119f;
    p = p * r - 0.2500001f;
    p = p * r + 0.33333313f;
    float y = p * r * z + e * ln2_lo - 0.5f * z;
    return r + y + e * ln2_hi;
}

/* 1 / (1 + e^-x), from e^-|x| so that nothing overflows and small results keep their digits. */
float oct_sigmoidf(float x) {
    float e = oct_expf(x < 0 ? x : -x);
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* x P(x^2) below 1; 1 - erfc with log erfc(x) a polynomial from there to 4, where the result rounds to 1. */
const float oct_erf_small[OCT_ERF_SMALL] = {-9.64156e-06f, 0.00011256964f, -0.0008482831f, 0.0052209455f,
                                            -0.0268654f,   0.11283782f,    -0.37612638f,   1.1283792f};
const float oct_erf_tail[OCT_ERF_TAIL] = {-2.169759e-05f, 0.00044147234f, -0.004205283f, 0.025210334f,
                                          -0.10842209f,   -0.6332164f,    -1.1295803f,   0.0001884666f};

static float polynomial(float x, const float *c, int n) {
    float p = c[0];
    for (int i = 1; i < n; i++) p = p * x + c[i];
    return p;
}

float oct_erff(float x) {
    float a = x < 0 ? -x : x;
    if (a < 1) return polynomial(x * x, oct_erf_small, OCT_ERF_SMALL) * x;
    float y = 1.0f - oct_expf(polynomial(a > 4 ? 4.0f : a, oct_erf_tail, OCT_ERF_TAIL));
    return x < 0 ? -y : y;
}

/* e^x - 1 = 2 t / (1 - t) with t = tanh(x / 2): nothing cancels for x <= 0. */
float oct_expm1f(float x) {
    float t = oct_tanhf(x * 0.5f);
    return (t + t) / (1.0f - t);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e), e = e^-|x|; u = fl(1 + e) misses a part of e, which the quotient e / (u - 1) makes up.
 */
float oct_softplusf(float x) {
    float e = oct_expf(x < 0 ? x : -x), u = 1.0f + e, d = u - 1.0f;
    return (x < 0 ? 0 : x) + (d == 0 ? e : oct_logf(u) * e / d);
}

/* To the nearest integer, ties to even; floats from 2^23 on are integers. */
float oct_roundf(float x) {
    float a = x < 0 ? -x : x;
    if (!(a < 8388608.0f)) return x;
    a += 8388608.0f;
    a -= 8388608.0f;
    return x < 0 ? -a : a;
}
