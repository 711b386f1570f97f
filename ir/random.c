/* random.c - what the constant `random seed=S within=(lo,hi)` stands for. Counter-based: element i follows from the seed and i
 * alone, so a constant is the same wherever and in whatever order it is made. Requires only the types of ir.h. */
#include "ir.h"

/* The finalizer of splitmix64: a bijection of 64 bits that leaves no pattern of its argument. */
static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t oct_random(uint64_t seed, uint64_t index) {
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    return mix(mix(seed + golden) + (index + 1) * golden);
}

/* Smallest and largest code: those in [lo, hi) where limits were given, otherwise all; of i64 only those that i32 has. */
static bool codes(const struct oct_type *t, const struct oct_attrs *at, int64_t *first, int64_t *last) {
    const enum oct_dtype of = t->dtype == OCT_I64 ? OCT_I32 : t->dtype;
    double least = (double)oct_dtype_min(of), most = (double)oct_dtype_max(of);
    if (OCT_HAS(*at, within)) {
        least = fmax(least, ceil((double)at->within[0]));
        most = fmin(most, ceil((double)at->within[1]) - 1);
    }
    if (least > most) return false;
    *first = (int64_t)least;
    *last = (int64_t)most;
    return true;
}

const char *oct_random_fault(const struct oct_type *t, const struct oct_attrs *at) {
    int64_t first, last;
    if (!(at->within[0] < at->within[1]) || !isfinite(at->within[0]) || !isfinite(at->within[1]))
        return "within=(lo,hi) must be finite, lo below hi";
    return oct_dtype_is_float(t->dtype) || codes(t, at, &first, &last) ? NULL
                                                                       : "within=(lo,hi) holds no code of the element type";
}

void oct_random_fill(const struct oct_type *t, const struct oct_attrs *at, void *data) {
    const uint64_t n = (uint64_t)oct_type_elements(t, 1), seed = (uint64_t)at->seed;
    if (oct_dtype_is_float(t->dtype)) {
        const double lo = (double)at->within[0], hi = (double)at->within[1];
        const float below_hi = nextafterf(at->within[1], at->within[0]);
        for (uint64_t i = 0; i < n; i++) {
            const float x = (float)(lo + (hi - lo) * ((double)(oct_random(seed, i) >> 11) * 0x1p-53));
            ((float *)data)[i] = x < at->within[1] ? x : below_hi; /* rounding may have reached hi */
        }
        return;
    }
    int64_t first, last;
    if (!codes(t, at, &first, &last)) return;
    const uint64_t count = (uint64_t)(last - first) + 1; /* at most 2^32, so the product fits 64 bits */
    for (uint64_t i = 0; i < n; i++)
        oct_store_int(t->dtype, data, (int64_t)i, first + (int64_t)((oct_random(seed, i) >> 32) * count >> 32));
}
