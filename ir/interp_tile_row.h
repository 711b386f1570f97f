/* interp_tile_row.h - the inner loops behind conv2d, dense and matmul: one row of outputs for 16 output channels. */
#ifndef OCT_INTERP_TILE_ROW_H
#define OCT_INTERP_TILE_ROW_H

#include <stdbool.h>
#include <stdint.h>

/* All distances in elements. The input lies channels innermost; a row of `iw` columns, each `column` elements wide. */
struct oct_tile_row {
    const void *x;    /* channel 0 (of the group or block) of column 0, in the first kernel row that lies inside the image */
    int64_t column;   /* between neighbouring input columns */
    int64_t row, tap; /* between kernel rows, and between taps of one: dilation included */
    int64_t step;     /* between neighbouring outputs: stride * column */
    int64_t iw, ow, kw;
    int64_t kh;                    /* kernel rows inside the image */
    int64_t ci;                    /* input channels of an output; depthwise: 1 */
    int64_t stride, dilation, pad; /* of the width */
    bool depthwise;
    const void *w;    /* of the first such kernel row: [kh][kw][ci][16] */
    const void *bias; /* 16 starting values */
    void *out;        /* [ow][16] */
};
typedef void oct_tile_fn(const struct oct_tile_row *r);
enum oct_tile_type { OCT_TILE_F32, OCT_TILE_I32, OCT_TILE_I64, OCT_TILE_TYPES };
/* The fastest form that this machine has; all forms give the same bits. */
oct_tile_fn *oct_tile_for(enum oct_tile_type t);

#endif
