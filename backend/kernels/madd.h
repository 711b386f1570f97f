/* madd.h - sums of products of pairs of neighbouring 16-bit codes with pairs of weights (madd16), a tile of pixels x vectors of
 * channels at once; and what such a tile costs.
 *
 * Each accumulator is a register of its own. The compiler is told to keep them (pin), pixel by pixel, because gcc otherwise makes
 * all products of a step first and spills. */
#ifndef OCT_MADD_H
#define OCT_MADD_H

#include "kernels.h"

enum { OCT_MADD_PIXELS = 24, OCT_MADD_VECTORS = 8 };

struct oct_madd {
    struct oct_kbuild *b;
    int lanes, vectors;     /* channels in a vector; vectors of a tile */
    int32_t codes, weights; /* buffers: i16; i8 (widened on load) or i16, [run][pair][channel of the tile][2] */
    int64_t pixel;          /* distance of pixels in codes */
    int64_t runs, step;     /* runs of `pairs` pairs each, `step` codes from one to the next */
    int64_t pairs;
    bool fresh; /* the accumulators hold nothing yet: the first products are their values; one run alone */
};
typedef struct lp_val oct_madd_row[OCT_MADD_VECTORS];
/* acc[pixel][vector] += all products; x and w: of the first pixel's first pair. */
void oct_madd_build(const struct oct_madd *s, int pixels, struct lp_addr x, struct lp_addr w, oct_madd_row *acc);

/* Quarter cycles per pair for `width` pixels in tiles of `pixels` x `vectors`, and the pixels that cost least. Counted for cores
 * of four vector operations a cycle, two of them products. */
int64_t oct_madd_cost(int64_t width, int64_t pixels, int64_t vectors);
int oct_madd_most(const struct oct_target *t, int64_t vectors); /* pixels of a tile at most */
/* Does a tile leave few registers? Then it is no good default: gcc keeps what loops do not change in some and spills sums, which
 * halves its speed, where others gain a twentieth. */
bool oct_madd_crowds(const struct oct_target *t, int64_t pixels, int64_t vectors);
int oct_madd_pixels(const struct oct_target *t, int64_t width, int64_t vectors);
/* Vectors of a tile for `all` vectors of channels, and *cost for all of them. */
int oct_madd_vectors(const struct oct_target *t, int64_t width, int64_t all, int64_t *cost);

#endif
