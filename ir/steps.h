/* steps.h - the threshold proof: two requantizers are equal on a whole range of accumulators if they are at its ends and on both
 * sides of each step of one of them (NUMERICS 5). Requires that both never decrease on the range, as every requantizer with a
 * multiplier >= 0 that does not wrap there: between two steps the one is constant, and the other, equal at both ends, has no
 * room to move. Nothing here knows what the functions are: back end and quantizer each bring their own arithmetic. */
#ifndef OCT_STEPS_H
#define OCT_STEPS_H

#include "context.h"

/* The code of an accumulator. */
typedef int32_t oct_code_fn(const void *user, int64_t acc);

struct oct_steps {
    int64_t room, n;
    int64_t *acc;  /* the points: both ends, then the last before and the first behind each step */
    int32_t *code; /* what the function gives there */
};
/* Room, in the arena, for functions of up to `codes` codes (256 for bytes). */
void oct_steps_init(struct oct_steps *s, struct oct_arena *a, int64_t codes);
/* Finds the points of f on [lo, hi]. About code = zero + slope acc: a guess that makes it fast, not what it gives. */
void oct_steps_find(struct oct_steps *s, oct_code_fn *f, const void *user, int64_t lo, int64_t hi, double slope, double zero);
/* Is g equal to the function whose points these are, on all of the range? */
bool oct_steps_agree(const struct oct_steps *s, oct_code_fn *g, const void *user);

/* ---- one of the functions: through fp32, as vectors of floats do it fastest ------------------------------------------------ */

/* rne(clamp((float)acc * scale, qmin - zero, qmax - zero)) + zero; conversion, product and rounding to even in fp32. */
struct oct_fp32_rq {
    float scale; /* >= 0, finite */
    int32_t zero, qmin, qmax;
};
int32_t oct_fp32_rq_code(const void *rq, int64_t acc);

#endif
