/* octavo.h - what goes with the C that octavo makes: status codes, and conversions at the boundary for those who hold scale and
 * zero point in data. C99; no allocation, no library. Generated objects do not need it: they carry their own conversions. */
#ifndef OCTAVO_H
#define OCTAVO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum octavo_status { OCTAVO_OK = 0, OCTAVO_ERROR = 1 };

/* q = clamp(round half to even(x / scale) + zero, -128, 127); NaN gives zero. scale > 0, -128 <= zero <= 127. */
void octavo_quantize_i8(const float *x, int8_t *q, size_t n, float scale, int32_t zero);
/* y = scale (q - zero) */
void octavo_dequantize_i8(const int8_t *q, float *y, size_t n, float scale, int32_t zero);

#ifdef __cplusplus
}
#endif

#endif
