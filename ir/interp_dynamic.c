/* interp_dynamic.c - codes by ranges at run time (docs/numerics.md 10), and rows of a table. */
#include <float.h>

#include "interp_impl.h"

struct oct_dynamic oct_dynamic_of(const float *x, int64_t n) {
    float lo = 0, hi = 0; /* 0 is always a code; NaN is passed over */
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    float scale = (hi - lo) / 255.0f;
    scale = scale < FLT_MAX ? scale : FLT_MAX;
    if (scale < FLT_MIN) scale = 1; /* all zero, or next to it */
    const float zero = oct_clampf(0.0f - lo / scale, 0, 255);
    return (struct oct_dynamic){scale, (int32_t)nearbyintf(zero)};
}

void interp_dynamic_quantize(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,
                             struct oct_tensor *out) {
    (void)ex;
    const float *x = in[0]->data;
    const int64_t all = oct_tensor_elements(in[0]);
    const struct oct_dynamic d = oct_dynamic_of(x, all);
    uint8_t *codes = out->data;
    if (n->at.part == OCT_part_scale) *(float *)out->data = d.scale;
    else if (n->at.part == OCT_part_zero) codes[0] = (uint8_t)d.zero;
    else
        for (int64_t i = 0; i < all; i++) codes[i] = (uint8_t)(oct_dynamic_term(d, x[i]) + d.zero);
}

void interp_gather(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n;
    const struct oct_tensor *x = in[0], *rows = in[1];
    const int64_t count = oct_tensor_elements(rows), inner = oct_inner(&x->type, 0), last = x->type.dim[0] - 1;
    const struct oct_quant *q = x->type.q;
    float *y = out->data;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = oct_load_int(rows->type.dtype, rows->data, i);
        if (row < 0) row += last + 1; /* counted from the end */
        row = row < 0 ? 0 : row > last ? last : row;
        for (int64_t j = 0; j < inner; j++) {
            const int64_t at = row * inner + j;
            y[i * inner + j] = q ? oct_dequantize1((int32_t)oct_load_int(x->type.dtype, x->data, at), oct_scale(q, (uint32_t)row),
                                                   oct_zero(q, (uint32_t)row))
                                 : ((const float *)x->data)[at];
        }
    }
}
