/* avx512_by_simde.h - the AVX-512 and VNNI intrinsics of emitted C on a processor with AVX2 alone: SIMDe's, and for those that SIMDe
 * 0.7.4 lacks, halves by AVX2 or loops over lanes. Included before the emitted file, whose target pragma is taken out. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define WIDEN(name, in, from, to, lanes)                                                                                         \
    static inline __m512i shim_##name(in a) {                                                                                    \
        union {                                                                                                                  \
            in v;                                                                                                                \
            from l[sizeof(in) / sizeof(from)];                                                                                   \
        } x = {a};                                                                                                               \
        union {                                                                                                                  \
            __m512i v;                                                                                                           \
            to l[lanes];                                                                                                         \
        } r;                                                                                                                     \
        for (int i = 0; i < lanes; i++) r.l[i] = (to)x.l[i];                                                                     \
        return r.v;                                                                                                              \
    }
#define NARROW(name, out, from, to, lanes)                                                                                       \
    static inline out shim_##name(__m512i a) {                                                                                   \
        union {                                                                                                                  \
            __m512i v;                                                                                                           \
            from l[lanes];                                                                                                       \
        } x = {a};                                                                                                               \
        union {                                                                                                                  \
            out v;                                                                                                               \
            to l[lanes];                                                                                                         \
        } r;                                                                                                                     \
        for (int i = 0; i < lanes; i++) r.l[i] = (to)x.l[i];                                                                     \
        return r.v;                                                                                                              \
    }
#define NARROW_SMALL(name, in, out, from, to, lanes)                                                                                    \
    static inline out shim_##name(in a) {                                                                                   \
        union {                                                                                                                  \
            in v;                                                                                                                \
            from l[lanes];                                                                                                       \
        } x = {a};                                                                                                               \
        union {                                                                                                                  \
            out v;                                                                                                               \
            to l[sizeof(out) / sizeof(to)];                                                                                      \
        } r = {0};                                                                                                               \
        for (int i = 0; i < lanes; i++) r.l[i] = (to)x.l[i];                                                                     \
        return r.v;                                                                                                              \
    }
#define HALVES(name, out, out_half, in, in_half, half)                                                                           \
    static inline out shim_##name(in a) {                                                                                        \
        union {                                                                                                                  \
            in v;                                                                                                                \
            in_half h[2];                                                                                                        \
        } x = {a};                                                                                                               \
        union {                                                                                                                  \
            out v;                                                                                                               \
            out_half h[2];                                                                                                       \
        } r;                                                                                                                     \
        for (int i = 0; i < 2; i++) r.h[i] = half(x.h[i]);                                                                       \
        return r.v;                                                                                                              \
    }
WIDEN(cvtepi8_epi32, __m128i, int8_t, int32_t, 16)
WIDEN(cvtepu8_epi32, __m128i, uint8_t, int32_t, 16)
WIDEN(cvtepi16_epi32, __m256i, int16_t, int32_t, 16)
WIDEN(cvtepu16_epi32, __m256i, uint16_t, int32_t, 16)
WIDEN(cvtepu8_epi16, __m256i, uint8_t, int16_t, 32)
WIDEN(cvtepi32_epi64, __m256i, int32_t, int64_t, 8)
NARROW(cvtepi32_epi8, __m128i, int32_t, int8_t, 16)
NARROW(cvtepi32_epi16, __m256i, int32_t, int16_t, 16)
NARROW_SMALL(256cvtepi32_epi8, __m256i, __m128i, int32_t, int8_t, 8)
NARROW_SMALL(128cvtepi32_epi8, __m128i, __m128i, int32_t, int8_t, 4)
NARROW_SMALL(256cvtepi32_epi16, __m256i, __m128i, int32_t, int16_t, 8)
NARROW_SMALL(128cvtepi32_epi16, __m128i, __m128i, int32_t, int16_t, 4)
NARROW_SMALL(256cvtepi16_epi8, __m256i, __m128i, int16_t, int8_t, 16)
NARROW_SMALL(128cvtepi16_epi8, __m128i, __m128i, int16_t, int8_t, 8)
NARROW_SMALL(256cvtepi64_epi32, __m256i, __m128i, int64_t, int32_t, 4)
NARROW_SMALL(128cvtepi64_epi32, __m128i, __m128i, int64_t, int32_t, 2)
HALVES(cvtps_epi32, __m512i, __m256i, __m512, __m256, _mm256_cvtps_epi32)
HALVES(cvtpd_epi32, __m256i, __m128i, __m512d, __m256d, _mm256_cvtpd_epi32)
HALVES(cvtepi32_pd, __m512d, __m256d, __m256i, __m128i, _mm256_cvtepi32_pd)
#define _mm512_cvtepi8_epi32(a)  shim_cvtepi8_epi32(a)
#define _mm512_cvtepu8_epi32(a)  shim_cvtepu8_epi32(a)
#define _mm512_cvtepi16_epi32(a) shim_cvtepi16_epi32(a)
#define _mm512_cvtepu16_epi32(a) shim_cvtepu16_epi32(a)
#define _mm512_cvtepu8_epi16(a)  shim_cvtepu8_epi16(a)
#define _mm512_cvtepi32_epi64(a) shim_cvtepi32_epi64(a)
#define _mm512_cvtepi32_epi8(a)  shim_cvtepi32_epi8(a)
#define _mm512_cvtepi32_epi16(a) shim_cvtepi32_epi16(a)
#define _mm512_cvtps_epi32(a)    shim_cvtps_epi32(a)
#define _mm512_cvtpd_epi32(a)    shim_cvtpd_epi32(a)
#define _mm512_cvtepi32_pd(a)    shim_cvtepi32_pd(a)
#define _mm_cvtepi32_epi8(a) shim_128cvtepi32_epi8(a)
#define _mm256_cvtepi32_epi8(a)  shim_256cvtepi32_epi8(a)
#define _mm_cvtepi32_epi16(a) shim_128cvtepi32_epi16(a)
#define _mm256_cvtepi32_epi16(a) shim_256cvtepi32_epi16(a)
#define _mm_cvtepi16_epi8(a) shim_128cvtepi16_epi8(a)
#define _mm256_cvtepi16_epi8(a)  shim_256cvtepi16_epi8(a)
#define _mm_cvtepi64_epi32(a) shim_128cvtepi64_epi32(a)
#define _mm256_cvtepi64_epi32(a) shim_256cvtepi64_epi32(a)
#undef _mm512_madd_epi16 /* SIMDe's alias has the arguments of the masked one */
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
