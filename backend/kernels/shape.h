/* shape.h - a convolution or a dense layer as images whose rows are read in bands: what the vector kernels of linear_vec.c loop
 * over. A dense layer is an image of one line, a row of it a pixel. */
#ifndef OCT_SHAPE_H
#define OCT_SHAPE_H

#include "kernels.h"

struct oct_shape {
    int64_t images, h, w, c; /* input */
    int64_t oh, ow;          /* output */
    int64_t kh, kw, sy, sx, dy, pad[4];
    int64_t in_row, in_col, in_channel, out_row, out_col, out_channel; /* strides */
    int64_t in_image, out_image;
    bool flat; /* a window of one pixel that moves by one over rows that follow each other: the image is one long row */
    /* filled by oct_shape_cut */
    int64_t rows, bands; /* output rows of a band */
    int64_t seen, cols;  /* rows and columns of scratch */
    int64_t pitch;       /* of a row of scratch, in codes */
};
struct oct_shape oct_shape_of_conv(const struct oct_kbuild *b), oct_shape_of_dense(const struct oct_kbuild *b);
/* Cuts it into bands, a long row into rows, as `bytes` of scratch per code allow. */
struct oct_shape oct_shape_cut(struct oct_shape s, int64_t bytes);
/* Cuts it into lower bands, a long row into more rows, where threads would else have unequal shares, a band being so many
 * `pieces`, pixels being computed by tiles. Rows that two bands see are copied for both. */
void oct_shape_share(const struct oct_kbuild *b, struct oct_shape *s, int64_t pieces, int64_t tile);

#endif
