/* sum.h - sums of doubles that do not depend on the order (sum.c): fixed point, wide enough to hold every float exactly. */
#ifndef OCT_SUM_H
#define OCT_SUM_H

#include <stdbool.h>
#include <stdint.h>

/* Two's complement, least limb first, in units of 2^-256; 191 bits before the point. All zero: 0. */
enum { OCT_SUM_LIMBS = 7, OCT_SUM_FRACTION = 256 };
struct oct_sum {
    uint64_t limb[OCT_SUM_LIMBS];
};
/* Adds x, |x| < 2^128; what is below 2^-256 is cut off toward zero (floats and their like have nothing there). */
void oct_sum_add(struct oct_sum *s, double x);
void oct_sum_merge(struct oct_sum *into, const struct oct_sum *from);
/* The sum over n, n > 0: the sum rounded to the nearest double, then divided. */
double oct_sum_mean(const struct oct_sum *s, uint64_t n);
/* Hexadecimal with a point, as "-1f.8"; at most OCT_SUM_TEXT bytes with the NUL. Reading takes that form and returns the end, NULL
 * when it is none. */
enum { OCT_SUM_TEXT = OCT_SUM_LIMBS * 16 + 3 };
void oct_sum_print(const struct oct_sum *s, char out[OCT_SUM_TEXT]);
const char *oct_sum_parse(const char *p, const char *end, struct oct_sum *out);

#endif
