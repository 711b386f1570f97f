/* pairs.h - products in pairs, two halves of a word at a step: what the kernels for Arm's DSP extension share (linear_pairs.c).
 */
#ifndef OCT_PAIRS_H
#define OCT_PAIRS_H

#include "layer.h"
#include "window.h"

enum { OCT_QUAD = 4 };
static const struct lp_type oct_pair = {LP_I16, 2}, oct_codes = {LP_I8, OCT_QUAD};

static inline bool oct_has_pairs(const struct oct_target *t) { return t->isa == LP_ISA_DSP || t->isa == LP_ISA_MVE; }

/* Both words of a quad: widened from codes (`narrow`), as terms 0 2 and 1 3; or as they lie, `apart` from each other. */
void oct_load_quad(struct lp_kernel *k, const char *name, int32_t buf, bool narrow, struct lp_addr at, int64_t apart,
                   struct lp_val word[2]);

/* A row in as few tiles as can be of at most `most` pixels, all of one size or of two that differ by one. */
struct oct_split {
    int64_t first[2], count[2], size[2];
};
struct oct_split oct_split_row(int64_t width, int64_t most);

#endif
