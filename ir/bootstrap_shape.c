/* bootstrap_shape.c - stands in for the shape and verify hooks until they are here. */
#include "hooks.h"
#define SHAPE(name)                                                                                                              \
    bool shape_##name(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {                                            \
        (void)cx, (void)n, (void)out;                                                                                            \
        return true;                                                                                                             \
    }
#define VERIFY(name)                                                                                                             \
    bool verify_##name(struct oct_ctx *cx, const struct oct_node *n) {                                                           \
        (void)cx, (void)n;                                                                                                       \
        return true;                                                                                                             \
    }
bool oct_verify(struct oct_module *m) {
    (void)m;
    return true;
}
SHAPE(broadcast)
SHAPE(concat)
SHAPE(conv2d)
SHAPE(dense)
SHAPE(flatten)
SHAPE(leaf)
SHAPE(lut)
SHAPE(matmul)
SHAPE(mean)
SHAPE(pad)
SHAPE(pool2d)
SHAPE(reshape)
SHAPE(same)
SHAPE(slice)
SHAPE(squeeze)
SHAPE(transpose)
SHAPE(unsqueeze)
VERIFY(axes)
VERIFY(axis)
VERIFY(batchnorm)
VERIFY(clip)
VERIFY(conv2d)
VERIFY(dense)
VERIFY(dequantize)
VERIFY(lut)
VERIFY(none)
VERIFY(pool2d)
VERIFY(quantize)
VERIFY(requantize)
