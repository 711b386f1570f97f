/* vec.h - which layers vector kernels leave to the scalar ones. */
#ifndef OCT_VEC_H
#define OCT_VEC_H

#include "kernels.h"

/* Why linear_vec.c does not serve a convolution, a dense; NULL: it does. */
const char *oct_conv2d_vec_refuses(const struct oct_kbuild *b);
const char *oct_dense_vec_refuses(const struct oct_kbuild *b);
/* Why depthwise_vec.c does not serve a depthwise layer; NULL: it does. */
const char *oct_depthwise_vec_refuses(const struct oct_kbuild *b);

#endif
