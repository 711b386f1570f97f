/* dots.h - sums of products of unsigned bytes with signed ones, four neighbouring codes of each channel at a time (a quad), a
 * tile of pixels x vectors of channels at once; and what such a tile costs. The sibling of madd.h for steps that are cheaper than
 * pairs of 16 bits: dot4 where the ISA has it, and maddubs, whose 16-bit results may be added before they widen. Those are exact
 * only where it is proved that no such sum leaves 16 bits (ir/sat16.h), which the caller has to see to. */
#ifndef OCT_DOTS_H
#define OCT_DOTS_H

#include "madd.h"

/* How quads become sums of 32 bits: by dot4, or by maddubs of which so many are added in 16 bits. Up to OCT_DOTS_AT_ONCE of them
 * are taken in one step beside accumulators of 32 bits; more have accumulators of 16 bits in a loop of their own. */
enum { OCT_DOT4 = -1, OCT_DOTS_AT_ONCE = 4 };

struct oct_dots {
    struct oct_kbuild *b;
    int how;                /* OCT_DOT4 or that number */
    int lanes, vectors;     /* channels in a vector; vectors of a tile */
    int32_t codes, weights; /* buffers: u8; i8, [run][quad][channel of the tile][4] */
    int64_t pixel;          /* distance of pixels in codes */
    int64_t runs, step;     /* runs of `quads` quads each, `step` codes from one to the next */
    int64_t quads;
    int32_t ones; /* buffer of oct_dots_ones; not for dot4 */
    int32_t sums; /* scratch for the accumulators of 32 bits of a tile while those of 16 are in use; -1: in registers */
};
/* A vector of ones as a constant. It is read where it is used: gcc would keep it in a register that the sums need. */
int32_t oct_dots_ones(struct oct_kbuild *b, int lanes);
/* acc[pixel][vector] += all products; x and w: of the first pixel's first quad. */
void oct_dots_build(const struct oct_dots *s, int pixels, struct lp_addr x, struct lp_addr w, oct_madd_row *acc);

/* Quarter cycles, counted as madd.h counts, for a row of `width` pixels and one run, in tiles of `pixels` x `vectors`; the pixels
 * of a tile at most, and those that cost least. */
double oct_dots_cost(const struct oct_target *t, int how, int64_t width, int64_t pixels, int64_t vectors, int64_t quads);
int oct_dots_most(const struct oct_target *t, int how, int64_t vectors);
int oct_dots_pixels(const struct oct_target *t, int how, int64_t width, int64_t vectors);

#endif
