/* sat16.h - what 16-bit sums of products of bytes can reach. The cheap steps of x86 without VNNI add two products of an unsigned
 * activation and a signed weight in saturating 16 bits (vpmaddubsw), and then perhaps several such pairs, before they widen:
 * exact only where no weights at hand can reach beyond 16 bits. The back end proves that here, the quantizer chooses weights by
 * it.
 *
 * Weights of one output channel stand in kernel order: `rows` rows (of a window; 1 for a dense layer), each of `length`
 * neighbours (kx and channels, channels innermost). Four neighbours of a row, counted from its start, are a quad; their first two
 * products go to one 16-bit lane, the last two to another. `n` quads of a row, counted from its start too, are added before they
 * widen; fewer are left at its end. Activations are 0 .. range: codes less the lowest that can come (padding counts). */
#ifndef OCT_SAT16_H
#define OCT_SAT16_H

#include <stdbool.h>
#include <stdint.h>

enum { OCT_SAT16_QUAD = 4, OCT_SAT16_LEAST = INT16_MIN, OCT_SAT16_MOST = INT16_MAX };

/* Every lane, and every sum on the way to it, lies within; activations at the ends of their range reach both. */
struct oct_sat16 {
    int64_t least, most; /* <= 0, >= 0 */
};
/* n >= 1, range >= 0. */
struct oct_sat16 oct_sat16_reach(const int8_t *w, int64_t rows, int64_t length, int32_t range, int64_t n);
/* No such sum leaves 16 bits. */
static inline bool oct_sat16_exact(struct oct_sat16 s) { return s.least >= OCT_SAT16_LEAST && s.most <= OCT_SAT16_MOST; }

#endif
