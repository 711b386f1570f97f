/* winograd.h - what the rooms of the Winograd kernel share: winograd.c (fitting, ways, constants, the order of the loops) and
 * winograd_steps.c (the transforms as loops). */
#ifndef OCT_WINOGRAD_H
#define OCT_WINOGRAD_H

#include "layer.h"
#include "rq_vec.h"

enum { OCT_WINO_SIDE = 6, OCT_WINO_POINTS = OCT_WINO_SIDE * OCT_WINO_SIDE };

/* F(out x out, 3x3): a tile of `out` x `out` results sees side x side codes. `kernel` and `codes` are the matrices G and B^T of
 * integers; what the transform back gives is odd 2^shift times the results, `inverse` is 1 / odd modulo 2^32. The point 1 counts
 * once in every result, so a bias is added there. */
struct oct_wino_kind {
    const char *name;
    int out, side, odd, shift;
    uint32_t inverse;
    int8_t kernel[OCT_WINO_SIDE][3], codes[OCT_WINO_SIDE][OCT_WINO_SIDE];
};

/* How a layer is cut. */
struct oct_wino_cut {
    const struct oct_wino_kind *kind;
    bool fresh;           /* weights are transformed at run time, and stay 8 bits in memory */
    int64_t oh, ow, c;    /* results; channels of the codes */
    int64_t down, across; /* rows and columns of tiles */
    int64_t rows, strips; /* rows of tiles in a strip; strips */
    int64_t tiles;        /* in a strip */
    int64_t chunk;        /* channels whose codes are transformed together: one vector, or all */
    int64_t half, points; /* distance of rows of half transformed codes, of points of transformed codes */
    int64_t cost;         /* quarter cycles for one image */
};
struct oct_wino_part { /* outputs that share a tile of accumulators: groups x blocks x vectors of them */
    int64_t first, groups, blocks, outputs;
    int64_t group; /* of all parts' groups, which threads share: number of the first */
    int vectors, pixels;
    int64_t words;  /* weights of a block at one point */
    int64_t slices; /* of its pairs, whose weights are made and used one after the other */
    int32_t w;      /* buffer */
};
struct oct_wino {
    struct layer l;
    struct oct_kbuild *b;
    struct oct_wino_cut cut;
    struct oct_rqv rq;
    int lanes;
    struct oct_wino_part part[2];
    int parts;
    int64_t groups;                                            /* of all parts */
    int64_t sums_pitch, fresh_pitch;                           /* distance of points in sums, in fresh weights */
    int32_t x, bias, rows, from, to, half, codes, fresh, sums; /* buffers */
    int64_t last_row, last_from, last_to;                      /* greatest entries of the tables rows, from and to */
    bool outside[OCT_WINO_SIDE];                               /* may that row of a tile lie outside of the image? */
};

/* Transformed codes of a strip, [point][tile][channel]; image: where operand 0 starts. */
void oct_wino_codes(const struct oct_wino *v, int32_t strip, struct lp_addr image);
/* Transformed weights of a slice of a group, [point][block][pair][output][2]; w: where its codes start in the part's constant. */
void oct_wino_weights(const struct oct_wino *v, const struct oct_wino_part *p, struct lp_addr w);
/* Results of a group of a strip from its sums, [point][tile][output]; channel: the first of the group, image: where the result
 * starts. */
void oct_wino_results(const struct oct_wino *v, const struct oct_wino_part *p, int32_t strip, struct lp_addr channel,
                      struct lp_addr image);

#endif
