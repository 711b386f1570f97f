/* bootstrap_interp.c - stands in for the interpreter's hooks until they are here. */
#include "hooks.h"

static void missing(const struct oct_node *n) {
    oct_internal(&(struct oct_ctx){.phase = "interpreter"}, n->span, "no interpreter for %s yet", oct_op_info(n->op)->name);
}
#define HOOK(name)                                                                                                               \
    void interp_##name(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,                        \
                       struct oct_tensor *out) {                                                                                 \
        (void)ex, (void)in, (void)out;                                                                                           \
        missing(n);                                                                                                              \
    }
HOOK(add)
HOOK(avg_pool2d)
HOOK(batchnorm)
HOOK(concat)
HOOK(conv2d)
HOOK(copy)
HOOK(dense)
HOOK(dequantize)
HOOK(leaf)
HOOK(lut)
HOOK(matmul)
HOOK(max_pool2d)
HOOK(mean)
HOOK(mul)
HOOK(pad)
HOOK(pointwise)
HOOK(quantize)
HOOK(requantize)
HOOK(slice)
HOOK(softmax)
HOOK(transpose)
