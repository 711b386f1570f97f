/* onnx_make.h - composing an operator from ops of the module: short ways to make the next value. They pass NULL on, so that a
 * handler may nest them and look at the end only. */
#ifndef OCT_ONNX_MAKE_H
#define OCT_ONNX_MAKE_H

#include "onnx_import.h"

/* A scalar f32 constant; values on the way, named after the op. */
struct oct_node *oct_onnx_number(struct oct_onnx *im, float v);
struct oct_node *oct_onnx_make1(struct oct_onnx *im, enum oct_op op, struct oct_node *x);
struct oct_node *oct_onnx_make2(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b);
/* The last of them: result 0. */
bool oct_onnx_last1(struct oct_onnx *im, enum oct_op op, struct oct_node *x);
bool oct_onnx_last2(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b);
bool oct_onnx_last3(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b, struct oct_node *c);
/* x clamped. */
struct oct_node *oct_onnx_clamped(struct oct_onnx *im, struct oct_node *x, float lo, float hi);
/* The same elements with other dimensions (OCT_DIM_N: the batch); as result 0. */
struct oct_node *oct_onnx_reshaped(struct oct_onnx *im, const char *suffix, struct oct_node *x, int rank, const int64_t *dim);
bool oct_onnx_last_reshape(struct oct_onnx *im, struct oct_node *x, int rank, const int64_t *dim);
struct oct_node *oct_onnx_permuted(struct oct_onnx *im, const char *suffix, struct oct_node *x, const struct oct_ints *perm);
/* Axes that a reduction goes over (input 1, or the attribute), none of them the batch; false after a report. Without any: all, or
 * none of them (n = 0) where noop_with_empty_axes says so. */
bool oct_onnx_reduced_axes(struct oct_onnx *im, const struct oct_node *x, struct oct_ints *axes);
/* The largest, the sum over axes, which stay with size 1. */
struct oct_node *oct_onnx_max_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes);
struct oct_node *oct_onnx_sum_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes);

#endif
