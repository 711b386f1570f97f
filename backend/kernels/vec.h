/* vec.h - which layers vector kernels leave to the scalar ones. */
#ifndef OCT_VEC_H
#define OCT_VEC_H

#include "kernels.h"

/* Why linear_vec.c does not serve a convolution, a dense; NULL: it does. */
const char *oct_conv2d_vec_refuses(const struct oct_kbuild *b);
const char *oct_dense_vec_refuses(const struct oct_kbuild *b);
/* Why depthwise_vec.c does not serve a depthwise layer; NULL: it does. */
const char *oct_depthwise_vec_refuses(const struct oct_kbuild *b);
/* Why matmul_vec.c does not serve a product of two activations whose sums stay within b->acc_bound; NULL: it may. */
const char *oct_matmul_vec_refuses(const struct oct_kbuild *b);
/* Builds it: operands over the result's axes, and the distance of two elements along the summed axis in either. False, and
 * nothing built, for a requantizer that vectors do not have. */
bool oct_matmul_vec_build(struct oct_kbuild *b, const struct oct_rq *rq, const struct oct_layout *a, int64_t a_term,
                          const struct oct_layout *c, int64_t b_term);

#endif
