/* fma_rq.h - requantization by one fused multiply-add of floats, and the search for constants with which it is proved equal to
 * another requantizer.
 *
 * The bits of 1.5 2^23 plus an integer below 2^22 are the float that is 1.5 2^23 more than this integer; and a float in
 * [2^23, 2^24) is an integer, so that a sum that lands there has been rounded to one, once. So with x = float(bits) of
 * (acc times + bias) the code is bits(scale x + add) less the bits of 1.5 2^23: rne(scale (acc times + offset)), exact but for
 * the 24 bits of scale. bias moves the line up and down in steps far finer than `add`, which is an integer, can. Where 24 bits of
 * slope are too few, a multiple of the accumulator, made by a fused multiply-add before, gives more slopes to choose from. */
#ifndef OCT_FMA_RQ_H
#define OCT_FMA_RQ_H

#include "steps.h"

enum { OCT_FMA_BITS = 0x4b400000 }; /* of 1.5 2^23 */

struct oct_fma_rq {
    int32_t times; /* the accumulator comes as acc times + bias, modulo 2^32 */
    int64_t bias;
    float before, subtract; /* two steps: x = fma(x, before, -subtract) is `before` times acc + something; before 0: one step */
    float scale, add;
};
/* What the kernel can give: sums multiplied by up to `times` as they are added up, at no cost; a second step. */
struct oct_fma_limits {
    int times;
    bool two_steps;
};
/* Looks for constants with which the sequence, clamped to [qmin, qmax], is equal to the function that `s` was found of, whose
 * slope is about m, and proves it. False: none was found. */
bool oct_fma_rq_fit(const struct oct_steps *s, double m, int32_t qmin, int32_t qmax, const struct oct_fma_limits *limits,
                    struct oct_fma_rq *r);
/* What the sequence gives, not clamped; false where it is not monotone any more. */
bool oct_fma_rq_value(const struct oct_fma_rq *r, int64_t acc, int32_t *code);

#endif
