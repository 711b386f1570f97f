/* window.h - sliding windows over images: output positions grouped by which taps lie inside the image, so that no kernel tests
 * for padding at run time and none reads it. */
#ifndef OCT_WINDOW_H
#define OCT_WINDOW_H

#include "kernels.h"

/* Outputs first .. first + count - 1 along one axis see exactly the taps [tap, tap_end) inside the image. */
struct oct_run {
    int64_t first, count, tap, tap_end;
};
struct oct_axis {
    int64_t in, out, kernel, stride, dilation, pad;
    struct oct_run *run;
    int nruns;
};
struct oct_axis oct_window_axis(struct oct_arena *a, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                                int64_t pad);

/* One rectangle of outputs: a run of rows, a run of columns. */
struct oct_window {
    const struct oct_axis *y, *x;
    const struct oct_run *ry, *rx;
    int64_t taps;           /* inside the image */
    struct lp_addr in, out; /* of tap (0, 0) (which may lie outside) and of the result, channel 0, at the loops' position */
    int loops;              /* opened */
};
/* Opens the loops over images, rows and columns of rectangle (iy, ix); close with oct_k_close. */
struct oct_window oct_window_open(struct oct_kbuild *b, const struct oct_axis *y, int iy, const struct oct_axis *x, int ix);
/* The same for a run of columns of which `pixels` at a time, side by side, are one tile: in and out are of the first. */
struct oct_window oct_window_open_tiles(struct oct_kbuild *b, const struct oct_axis *y, int iy, const struct oct_axis *x,
                                        const struct oct_run *columns, int64_t pixels);
/* Address of a tap of the window. */
struct lp_addr oct_window_tap(const struct oct_kbuild *b, const struct oct_window *w, struct lp_addr in, int64_t ky, int64_t kx);

/* Calls `tap` for every tap of the window in the order rows, columns: unrolled when they are few, as loops otherwise. */
typedef void oct_tap_fn(struct oct_kbuild *b, void *user, struct lp_addr at, struct lp_addr weight);
/* `weight`: address whose element moves by wy and wx per tap (0, 0 when not needed). */
void oct_window_taps(struct oct_kbuild *b, const struct oct_window *w, struct lp_addr in, struct lp_addr weight, int64_t wy,
                     int64_t wx, int64_t unroll, oct_tap_fn *tap, void *user);
/* A loop unless the trip count is 1; *opened counts. Adds `coef` per step to *a (and coef2 to *a2 unless NULL). */
void oct_k_loop(struct oct_kbuild *b, const char *name, int64_t trip, struct lp_addr *a, int64_t coef, struct lp_addr *a2,
                int64_t coef2, int *opened);

/* `trip` turns of a loop, of which about as many are written out as the target says: all where they are few, a number that divides
 * the trip rather than one that leaves a rest. `turn` builds one; `at` and `weight` move by da and dw from one to the next. */
void oct_k_turns(struct oct_kbuild *b, const char *name, int64_t trip, struct lp_addr at, int64_t da, struct lp_addr weight,
                 int64_t dw, oct_tap_fn *turn, void *user);

/* Opens the range over rows of a convolution's result and the loop over its images: the address of the first tap of the row's first
 * window (in a border where it is padding), and of its first result. Returns the loops to close before the range's end. */
int oct_open_rows(struct oct_kbuild *b, struct lp_addr *x, struct lp_addr *y);

/* All axes of operand 0 and the result but the last as one: its size and its step in both layouts; false where they do not follow
 * each other evenly. */
bool oct_rows_of(const struct oct_kbuild *b, int64_t *rows, int64_t *in_step, int64_t *out_step);

#endif
