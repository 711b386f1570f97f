/* tile_f32.h - a tile of float sums, pixels x vectors of output channels, each a register of its own; and how large it is to be.
 */
#ifndef OCT_TILE_F32_H
#define OCT_TILE_F32_H

#include "kernels.h"

enum { OCT_TF_PIXELS = 14, OCT_TF_VECTORS = 14 };
typedef struct lp_val oct_tf_row[OCT_TF_VECTORS];

/* Memory that the cache had better hold soon: asked for bit by bit while a sum is made. */
struct oct_tf_ahead {
    int32_t buf;
    struct lp_addr at;
    int64_t floats;
};
/* Terms of a sum: `runs` rows of a window, `step` apart in memory, of `length` neighbours each. Weights: [run][term][vectors *
 * lanes]. */
struct oct_tf_terms {
    int32_t x, w;        /* buffers */
    int64_t pixel, step; /* distance of two pixels' first inputs, of two runs */
    int64_t runs, length;
    int naheads;
    const struct oct_tf_ahead *ahead;
};
/* Adds all terms to acc, in order: one rounding a term where `fused`, else that of the product too. */
void oct_tf_sum(struct oct_kbuild *b, const struct oct_tf_terms *s, bool fused, int lanes, int vectors, int pixels,
                struct lp_addr x, struct lp_addr w, oct_tf_row *acc);

/* A row of pixels cut into `tiles` tiles, the first `larger` of which have one pixel more than the others' `pixels`. */
struct oct_tf_cut {
    int64_t tiles, larger;
    int pixels;
};
struct oct_tf_cut oct_tf_cut(const struct oct_target *t, int64_t width, int64_t vectors);
/* Vectors of a block of channels, of `all` that there are, for rows of `width` pixels; `whole`: only numbers that divide them.
 * *cost: half cycles of one term of all pixels and channels. */
int oct_tf_vectors(const struct oct_target *t, int64_t width, int64_t all, bool whole, int64_t *cost);

#endif
