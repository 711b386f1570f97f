/* layer.h - a conv2d or dense on codes before any loop: its weights less their zero points, the zero point of its input folded
 * into the bias, the accumulators that it can reach, its requantizer. What every kernel of such a layer starts from. */
#ifndef OCT_LAYER_H
#define OCT_LAYER_H

#include "kernels.h"

/* acc = bias + sum w x in exact integers, whatever the op; weights row-major [outputs][terms]. */
struct layer {
    struct oct_kbuild *b;
    int64_t outputs, terms, groups;
    const int16_t *w;
    bool w8;                 /* they fit i8 */
    bool w4;                 /* of a type of 4 bits, which they fit: kernels of linear.c keep two in a byte */
    int64_t *lo, *hi, *bias; /* reachable accumulators; folded bias */
    bool wide, proved;       /* i64 accumulators; no partial sum wraps, in any order of the terms */
    struct oct_rq rq;
    int32_t x, y, params, bias_buf; /* buffers */
    int64_t words;                  /* of the requantizer in params */
};
/* Constant weights of 8 bits, codes in and out, a scale for the whole of either. */
bool oct_layer_fits(const struct oct_kbuild *b);
bool oct_layer_fits_sums(const struct oct_kbuild *b); /* or sums of 32 bits out */
/* Do the weights less their zero points fit i8? */
bool oct_layer_narrow(const struct oct_kbuild *b);
/* Are the weights of a type of 4 bits, and fit i4 less their zero points? Then rows of scalar code keep two in a byte. */
bool oct_layer_nibbles(const struct oct_kbuild *b);
/* No |accumulator| exceeds it. */
int64_t oct_layer_reach(const struct oct_kbuild *b);
/* Those weights in kernel order: [output][ky][kx, channel]. They fit i8. */
const int8_t *oct_layer_rows(const struct oct_kbuild *b, struct oct_arena *a);
/* Codes that come in, padding among them. */
void oct_layer_codes(const struct oct_kbuild *b, int32_t *lo, int32_t *hi);
/* Everything but the buffers; groups stay 1. Adds to the proof text, the counters and the fallbacks; false after diagnostics. */
bool oct_layer_plan(struct layer *l, struct oct_kbuild *b);
/* Buffers: x, y, bias, and behind it the words of the requantizer, per output channel. */
void oct_layer_open(struct layer *l);

/* ---- a tile: channels x pixels accumulators, each a register of its own (linear.c) --------------------------------------------
 */

enum { OCT_MAX_TILE = 8, OCT_MAX_PIXELS = 4 };
typedef struct lp_val oct_tile_acc[OCT_MAX_TILE][OCT_MAX_PIXELS];
struct oct_place { /* of a tile in memory: first element, distance of pixels, distance of channels */
    struct lp_addr at;
    int64_t pixel, channel;
};
/* Accumulators that hold the bias of the channels from `channel` on. */
void oct_tile_open(const struct layer *l, int tile, int pixels, struct lp_addr channel, oct_tile_acc acc);
/* Requantizes and stores them at y. */
void oct_tile_close(const struct layer *l, int tile, int pixels, struct lp_addr channel, oct_tile_acc acc, struct oct_place y);

#endif
