/* fixed.h - gemmlowp's two roundings at compile time, for tables and proofs: docs/numerics.md 2. Apart from the interpreter's. */
#ifndef OCT_FIXED_H
#define OCT_FIXED_H

#include <stdint.h>

/* SRDHM: a b / 2^31, ties toward +inf; the pair of -2^31 does not occur. */
static inline int64_t oct_fx_mul(int64_t a, int64_t b) {
    int64_t p = a * b + ((int64_t)1 << 30);
    return p < 0 ? ~(~p >> 31) : p >> 31;
}
/* RDBPOT: x / 2^n, ties away from zero; 0 <= n <= 62. */
static inline int64_t oct_fx_shift(int64_t x, int n) {
    if (n == 0) return x;
    int64_t half = x - (x < 0) + ((int64_t)1 << (n - 1));
    return half < 0 ? ~(~half >> n) : half >> n;
}
static inline int64_t oct_fx_sat(int64_t v) { return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v; }

#endif
