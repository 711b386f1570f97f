/* real.h - float arithmetic for builders: quantize, dequantize, the functions of ir/fmath.c as straight-line rows, and the value
 * of a pointwise op at compile time (for tables). docs/numerics.md 6 and 7. */
#ifndef OCT_REAL_H
#define OCT_REAL_H

#include "kernels.h"

/* min(max(x, lo), hi) of numerics 7: NaN passes, -0 survives. Bounds at infinity cost nothing. */
struct lp_val oct_r_clamp(struct lp_kernel *k, struct lp_val x, float lo, float hi);
struct lp_val oct_r_exp(struct lp_kernel *k, struct lp_val x), oct_r_tanh(struct lp_kernel *k, struct lp_val x),
    oct_r_sigmoid(struct lp_kernel *k, struct lp_val x);
/* The pointwise op of a node (relu ... sqrt) on a float register. */
struct lp_val oct_r_point(struct lp_kernel *k, const struct oct_node *n, struct lp_val x);
float oct_point_value(const struct oct_node *n, float x);

/* One scale and zero point as a kernel sees it: immediates, or registers loaded for a channel. */
struct oct_r_params {
    struct lp_val scale, zero; /* f32 (the reciprocal under divide=rcp), i32 */
    int64_t qmin, qmax;
};
struct oct_r_params oct_r_params(const struct oct_type *t);
/* An integer to f32 with one rounding: i32, or i64 below 2^53. */
struct lp_val oct_r_float_of(struct lp_kernel *k, struct lp_val v);
/* i32 code -> f32; f32 -> i32 code. */
struct lp_val oct_r_dequantize(struct lp_kernel *k, const struct oct_r_params *p, struct lp_val code);
struct lp_val oct_r_quantize(struct lp_kernel *k, const struct oct_r_params *p, enum oct_divide d, enum oct_order o,
                             struct lp_val x);
/* An element of operand i as it lies in memory, one or a vector, as a real value; a real value as what lies in memory for the
 * result: codes are an i32 within their range. */
struct lp_val oct_r_value(struct oct_kbuild *b, int i, struct lp_val x);
struct lp_val oct_r_result(struct oct_kbuild *b, struct lp_val v);
/* An element of operand i as a real value, codes dequantized; a real value stored as the result, quantized where it is codes (and
 * cut by the node's clip in codes). What profile onnx means: the float op between the two (docs/numerics.md 4). */
struct lp_val oct_r_load(struct oct_kbuild *b, int i, int32_t buf, struct lp_addr at);
void oct_r_store(struct oct_kbuild *b, int32_t buf, struct lp_addr at, struct lp_val v);
bool oct_r_through_float(const struct oct_kbuild *b); /* operands and result are codes, profile onnx */
/* The same at compile time, divide=div, order=before. */
float oct_real_of(const struct oct_type *t, int32_t code);
int32_t oct_code_of(const struct oct_type *t, float x);

/* Floats in and out, weights and bias constant: a conv2d or dense of linear_f32.c and the like. */
bool oct_r_linear(const struct oct_kbuild *b);

#endif
