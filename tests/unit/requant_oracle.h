/* requant_oracle.h - requantization by independent arithmetic: exact rationals in 128-bit integers, multipliers taken from the
 * bits of a double, fp32 products rounded by hand. Shares nothing with ir/requant.c but the definition in docs/numerics.md. */
#ifndef OCT_TEST_REQUANT_ORACLE_H
#define OCT_TEST_REQUANT_ORACLE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ir/ir.h"

__extension__ typedef __int128 wide;

static inline wide floor_div(wide a, wide b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* v / 2^s, half to even; v >= 0. */
static inline wide half_even(wide v, int s) {
    if (s <= 0) return v << -s;
    if (s > 120) return 0;
    wide q = v >> s, rest = v - (q << s), half = (wide)1 << (s - 1);
    return q + (rest > half || (rest == half && (q & 1)));
}

/* Mantissa and exponent of a positive finite number: x = mantissa 2^exponent, exactly. */
static inline wide mantissa(double x, int *exponent) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    *exponent = (int)(u >> 52 & 2047) - 1075;
    return (wide)((u & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52);
}

/* m in [2^30, 2^31) and e with M ~ m 2^(e-31), from the 53 bits of M: half up is half away for a positive number. */
static inline int64_t multiplier(double m, int *e) {
    int x;
    wide v = mantissa(m, &x); /* [2^52, 2^53) */
    int64_t q = (int64_t)((v + ((wide)1 << 21)) >> 22);
    *e = x + 53;
    if (q == (int64_t)1 << 31) q >>= 1, ++*e;
    return q;
}

/* floor(acc m 2^(e-31) + 1/2) */
static inline wide oracle_q31(double real, int64_t acc) {
    int e;
    wide m = multiplier(real, &e);
    if (31 - e > 100) return 0;
    wide one = (wide)1 << (31 - e);
    return floor_div(2 * acc * m + one, 2 * one);
}

/* First floor(x + 1/2) of the doubled high product, then half away from zero; the multiplier is m 2^(e-31). */
static inline wide oracle_tflm_parts(int64_t m, int e, int64_t acc) {
    wide shifted = acc * ((wide)1 << (e > 0 ? e : 0));
    acc = shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int64_t)shifted;
    wide high = floor_div((wide)acc * m + ((wide)1 << 30), (wide)1 << 31);
    if (e >= 0) return high;
    wide one = (wide)1 << -e, size = high < 0 ? -high : high;
    wide rounded = (2 * size + one) / (2 * one);
    return high < 0 ? -rounded : rounded;
}
static inline wide oracle_tflm(double real, int64_t acc) {
    int e;
    int64_t m = multiplier(real, &e);
    return e < -31 ? 0 : oracle_tflm_parts(m, e, acc);
}

/* Rounds v 2^x to 24 bits, half to even; returns the mantissa and changes x. */
static inline wide to_fp32(wide v, int *x) {
    int bits = 0;
    for (wide t = v; t; t >>= 1) bits++;
    if (bits <= 24) return v;
    int drop = bits - 24;
    *x += drop;
    return half_even(v, drop);
}

static inline wide oracle_onnx(float scale, int64_t acc) {
    int xa = 0, xs;
    bool negative = acc < 0;
    wide a = to_fp32(negative ? -(wide)acc : acc, &xa);
    wide s = mantissa((double)scale, &xs);
    int x = xa + xs;
    wide p = to_fp32(a * s, &x); /* no subnormals in these tests */
    if (x > 60) return negative ? INT32_MIN : INT32_MAX;
    wide r = half_even(p, -x);
    if (negative) return -r < INT32_MIN ? INT32_MIN : -r;
    return r > INT32_MAX ? INT32_MAX : r;
}

static inline wide oracle(enum oct_profile p, double m, int64_t acc) {
    return p == OCT_profile_tflm ? oracle_tflm(m, acc) : p == OCT_profile_onnx ? oracle_onnx((float)m, acc) : oracle_q31(m, acc);
}

#endif
