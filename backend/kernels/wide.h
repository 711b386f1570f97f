/* wide.h - rows of 8-bit codes copied to scratch memory, 16 bits a code or as unsigned bytes, or of floats as they are, with the
 * padding around them: what vector kernels of windows read, so that their input needs no border and may lie in memory in any way.
 */
#ifndef OCT_WIDE_H
#define OCT_WIDE_H

#include "kernels.h"

struct oct_wide {
    struct oct_kbuild *b;      /* operand 0 is the image */
    int64_t h, w, c;           /* of it */
    int64_t row, col, channel; /* strides */
    int64_t top, left;         /* padding */
    int64_t bands, step;       /* how often rows are copied; rows from one band to the next */
    int64_t seen, cols;        /* rows and columns of scratch; a row of it is cols * c codes long, channels innermost */
    bool bytes;                /* u8, less the lowest code that comes: */
    int32_t lowest;
    /* filled by oct_wide_open */
    bool floats;            /* else codes */
    int lanes;              /* elements of scratch in a vector */
    int32_t x, wide, table; /* buffers */
};
/* Buffers. Behind the last row a vector of codes may be read. */
void oct_wide_open(struct oct_wide *v);
/* Copies the rows of band `band` of the image at `image`; the first of them is row band * step - top. */
void oct_wide_build(const struct oct_wide *v, int32_t band, struct lp_addr image);

/* `count` neighbours by vectors of n: a loop, the last vector overlapping the one before; powers of two where there are fewer. */
typedef void oct_run_fn(const void *context, struct lp_addr from, struct lp_addr to, int lanes);
void oct_run(struct lp_kernel *k, int n, struct lp_addr from, struct lp_addr to, int64_t count, oct_run_fn *each,
             const void *context);

#endif
