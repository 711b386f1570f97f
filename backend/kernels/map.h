/* map.h - element-wise kernels: what is done to one element, or to a vector of neighbours, in loops over layouts; the target says
 * how many at once. */
#ifndef OCT_MAP_H
#define OCT_MAP_H

#include "kernels.h"

/* Lanes of a vector register of the target; 1 where it has none that kernels use. */
static inline int oct_vec_lanes(const struct oct_target *t, enum lp_elem e) {
    return t->vector_bits >= 256 ? t->vector_bits / (8 * (int)lp_elem_size(e)) : 1;
}

/* One vector of i32, or two of which the second follows the first, as bytes of the result's kind, cut to [lo, hi]. */
struct lp_val oct_k_bytes_of(struct oct_kbuild *b, int n, const struct lp_val *v, int32_t lo, int32_t hi);

/* Adds to the recipe how many elements are worked on at once. */
void oct_k_say_lanes(struct oct_kbuild *b, int lanes);

/* `dim` neighbours in chunks: of `lanes` in a loop, then of half as many and so on down to `fewest`, the rest one by one. In
 * chunk's addresses layout j has moved by stride[j] for each element before it. */
enum { OCT_MAX_MAPPED = 4, OCT_FEWEST = 4 };
typedef void oct_chunk_fn(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at);
void oct_k_chunks(struct oct_kbuild *b, const char *name, int64_t dim, int lanes, int fewest, int n, const int64_t *stride,
                  const struct lp_addr *at, oct_chunk_fn *fn, void *user);

/* From elements of the operands' buffers to one of the result's, or to an i32 that is in its range; x[i] and the result have the
 * same number of lanes. */
typedef struct lp_val oct_map_fn(struct oct_kbuild *b, void *user, const struct lp_val *x);
struct oct_map {
    int n; /* operands and the result, which is number 0; all of the result's dims */
    int32_t buf[OCT_MAX_MAPPED];
    const struct oct_layout *at[OCT_MAX_MAPPED];
    int lanes;  /* at most so many at once */
    int fewest; /* and, but for one by one, at least so many; 0: OCT_FEWEST */
    oct_map_fn *fn;
    void *user;
};
/* Notes a fallback where the target has vectors and the layouts do not: elements that are no neighbours in memory. */
void oct_k_map(struct oct_kbuild *b, const struct oct_map *m);
/* y = x, element by element, along layouts of equal dims. */
void oct_k_copy(struct oct_kbuild *b, int32_t x, const struct oct_layout *from, int32_t y, const struct oct_layout *to);

#endif
