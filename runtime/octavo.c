/* octavo.c - conversions at the boundary, bit for bit those of generated objects. */
#if defined __FAST_MATH__
#error "octavo needs IEEE floats: compile without -ffast-math"
#endif
#include "octavo.h"

/* |v| <= 255 here. */
static int32_t nearest_even(float v) {
    int32_t t = (int32_t)v;
    float d = v - (float)t;
    if (d > 0.5f || (d == 0.5f && (t & 1))) return t + 1;
    if (d < -0.5f || (d == -0.5f && (t & 1))) return t - 1;
    return t;
}

void octavo_quantize_i8(const float *x, int8_t *q, size_t n, float scale, int32_t zero) {
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        if (!(v >= (float)(-128 - zero))) v = v < 0.0f ? (float)(-128 - zero) : 0.0f; /* too low, or NaN */
        if (v > (float)(127 - zero)) v = (float)(127 - zero);
        q[i] = (int8_t)(nearest_even(v) + zero);
    }
}

void octavo_dequantize_i8(const int8_t *q, float *y, size_t n, float scale, int32_t zero) {
    for (size_t i = 0; i < n; i++) y[i] = scale * (float)(q[i] - zero);
}
