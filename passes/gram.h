/* gram.h - what a linear op multiplies its weights with, over many samples: means and second moments of its patches (gram.c), and
 * codes of weights chosen by them (adaround.c, gptq.c). Pure number code. */
#ifndef OCT_GRAM_H
#define OCT_GRAM_H

#include "walk.h"

/* The operands of one output of a conv2d or dense: element k of a patch meets weight k of a row (im2col). Padding is 0. A dense
 * layer is a window of one pixel on images of one. */
struct oct_patches {
    int64_t groups, k;               /* elements of a patch, in each group */
    int64_t rows;                    /* patches of one run */
    int64_t c, h, w, kh, kw, oh, ow; /* c: channels of a group */
    int64_t stride[2], dilation[2], pad[2];
};
void oct_patches_of(const struct oct_node *n, struct oct_patches *p);

/* Values of all runs: codes less their zero point, or real values. */
struct oct_patch_data {
    const struct oct_patches *p;
    int64_t runs;
    const int16_t *code; /* within +-255 */
    const float *real;   /* where code is NULL */
};
/* sum[group * k + element]: over all patches. Exact for codes, in the order of the samples for floats. */
void oct_patch_sums(const struct oct_ctx *cx, const struct oct_patch_data *d, double *sum);
/* h[k * k]: means of products over every `step`-th patch of a group, exact before the division; of codes only. mean[k]: of
 * the same patches. Scratch is the arena's. */
void oct_gram(const struct oct_ctx *cx, struct oct_arena *scratch, const struct oct_patch_data *d, int64_t group, int64_t step,
              double *h, double *mean);
/* Step that keeps the number of patches, and the work, within bounds. */
int64_t oct_gram_step(const struct oct_patches *p, int64_t runs);
enum { OCT_GRAM_MOST = 4096 }; /* elements of a patch: the matrix takes 128 MB */

/* One row of weights, to become codes under scales that are given. The error that counts is e' h e with e = scale code - w. */
struct oct_rounding {
    int64_t k;
    const double *h;        /* k * k, symmetric */
    const float *w, *scale; /* k each */
    struct oct_reach codes;
    int32_t *code; /* nearest on entry, the choice in the end */
    double *work;  /* 3 k */
};
double oct_rounding_error(const struct oct_rounding *r);
/* Up or down, weight by weight: flips of one and of two weights as long as any lowers the error. */
void oct_adaround(const struct oct_rounding *r);
/* What GPTQ rounds by: h + lambda I = U D U' (U unit upper triangular), in the order of falling diagonals; lambda: 1 % of their
 * mean. */
struct oct_gptq {
    int64_t k;
    int32_t *order;
    double *u; /* row j holds U[0..j-1][j] */
};
void oct_gptq_factor(struct oct_arena *scratch, int64_t k, const double *h, struct oct_gptq *f);
void oct_gptq(const struct oct_gptq *f, const struct oct_rounding *r);

#endif
