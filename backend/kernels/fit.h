/* fit.h - any monotone step function of an integer as one multiply, one add and one shift, proved equal. */
#ifndef OCT_FIT_H
#define OCT_FIT_H

#include "kernels.h"

/* clamp((x mul + add) >> shift, qmin, qmax), or a table of steps: the number of them that are <= x. */
struct oct_fit {
    int64_t mul, add;
    int shift;
    bool wide;   /* x mul + add needs 64 bits on the range it was fitted for */
    bool clamps; /* the shift's result leaves [qmin, qmax] on that range */
    int32_t qmin, qmax;
    const int32_t *steps; /* 256 steps, ascending, the last of them out of reach; NULL: multiply, add, shift */
    int32_t first;        /* value below the first step */
};
/* f never decreases on [lo, hi], within int32, and has values in [qmin, qmax]; slope: about what it rises per unit.
 * Looks for the narrowest sequence that is equal to f on all of [lo, hi]: between two neighbouring values of f it need only be
 * right at the last point below the step and the first one above. A function that none follows becomes a table, as long as it has
 * at most 256 values; otherwise false. */
bool oct_fit_step(struct oct_arena *scratch, int64_t (*f)(const void *user, int64_t x), const void *user, int64_t lo, int64_t hi,
                  double slope, int32_t qmin, int32_t qmax, struct oct_fit *out);
int32_t oct_fit_value(const struct oct_fit *f, int64_t x);
/* What is needed in memory (the table), opened before loops; then the sequence for an i32 register within [lo, hi]: an i32. */
int32_t oct_fit_open(struct oct_kbuild *b, const struct oct_fit *f);
struct lp_val oct_fit_build(struct lp_kernel *k, const struct oct_fit *f, int32_t table, struct lp_val x);

#endif
