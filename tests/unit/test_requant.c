/* Requantization profiles against independent arithmetic: exact rationals in 128-bit integers, multipliers taken from the bits of
 * a double, and fp32 products rounded by hand. At every boundary point that int8 results can have, around each of them, at ties
 * and at the ends of int32. Also one value quantized and dequantized. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ir/interp.h"
#include "requant_oracle.h"

static uint32_t state_of_noise = 1;
static uint32_t noise(void) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return state_of_noise >> 8 ^ state_of_noise << 13;
}

/* ---- requantization ----------------------------------------------------------------------------------------------------------
 */

static void check(enum oct_profile p, double m, int64_t acc) {
    struct oct_requant r;
    assert_true(oct_requant_from_real(p, m, &r));
    wide expected = oracle(p, m, acc);
    if (oct_requant_apply(&r, acc) != (int64_t)expected)
        fail_msg("profile %d, M %a, acc %lld: %lld, expected %lld", (int)p, m, (long long)acc,
                 (long long)oct_requant_apply(&r, acc), (long long)expected);
}

/* Accumulators near which the result of multiplier m may step, over the int8 range and a little beyond. */
static void check_boundaries(enum oct_profile p, double m) {
    for (int code = -259; code <= 259; code++) {
        double at = ((double)code + 0.5) / m;
        if (fabs(at) > 2147483000.0) continue;
        for (int64_t d = -2; d <= 2; d++) check(p, m, (int64_t)at + d);
    }
    const int64_t ends[] = {INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, -1, 0, 1, 1 << 24, (1 << 24) + 1, -(1 << 24) - 1};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) check(p, m, ends[i]);
    for (int i = 0; i < 50; i++) check(p, m, (int32_t)(noise() >> (noise() % 31)) * (noise() & 1 ? 1 : -1));
}

static void each_profile_at_its_boundary_points(void **state) {
    (void)state;
    for (int i = 0; i < 400; i++) {
        double m = ldexp(1.0 + (double)noise() / 4294967296.0, -(int)(noise() % 24));
        for (int p = 0; p < OCT_profile_pot; p++) check_boundaries((enum oct_profile)p, m);
    }
}

static void shifts_of_every_size(void **state) {
    (void)state;
    const double odd[] = {1.0, 1.0 + 0x1p-52, 1.5, 1.9999999999, 2 - 0x1p-52, 1.0 + 0x1p-31, 1.0 + 0x1.8p-31};
    for (int e = -70; e < 29; e++) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            double m = ldexp(odd[i], e);
            check_boundaries(OCT_profile_q31, m);
            check_boundaries(OCT_profile_tflm, m);
            check_boundaries(OCT_profile_onnx, m);
        }
        check_boundaries(OCT_profile_pot, ldexp(1, e));
    }
}

static void ties_go_where_each_profile_says(void **state) {
    (void)state;
    static const struct {
        enum oct_profile p;
        int64_t acc, y;
    } half[] = {{OCT_profile_q31, 1, 1},  {OCT_profile_q31, -1, 0},  {OCT_profile_q31, 3, 2},  {OCT_profile_q31, -3, -1},
                {OCT_profile_pot, 1, 1},  {OCT_profile_pot, -1, 0},  {OCT_profile_pot, 3, 2},  {OCT_profile_pot, -3, -1},
                {OCT_profile_onnx, 1, 0}, {OCT_profile_onnx, -1, 0}, {OCT_profile_onnx, 3, 2}, {OCT_profile_onnx, -3, -2},
                {OCT_profile_tflm, 1, 1}, {OCT_profile_tflm, -1, 0}, {OCT_profile_tflm, 3, 2}, {OCT_profile_tflm, -3, -1}};
    for (size_t i = 0; i < sizeof half / sizeof *half; i++) {
        struct oct_requant r;
        assert_true(oct_requant_from_real(half[i].p, 0.5, &r));
        assert_int_equal(oct_requant_apply(&r, half[i].acc), half[i].y);
    }
    struct oct_requant r; /* tflm's second rounding: half away from zero; and the first may make a tie that is none */
    assert_true(oct_requant_from_real(OCT_profile_tflm, 0.25, &r));
    assert_int_equal(oct_requant_apply(&r, -2), -1);
    assert_int_equal(oct_requant_apply(&r, 2), 1);
    assert_int_equal(oct_requant_apply(&r, 1), 1); /* 0.25 -> 0.5 -> 1: double rounding */
    assert_true(oct_requant_from_real(OCT_profile_q31, 0.25, &r));
    assert_int_equal(oct_requant_apply(&r, 1), 0);
}

static void wide_accumulators(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t acc = (int64_t)((uint64_t)noise() << 32 | noise()) >> (20 + noise() % 40);
        double m = ldexp(1.0 + (double)noise() / 4294967296.0, -(int)(noise() % 40));
        check(OCT_profile_q31, m, acc);
        check(OCT_profile_tflm, m, acc);
        check(OCT_profile_onnx, m, acc);
    }
}

/* M from scales: fp32 products in profile onnx, one double product and quotient in the others. */
static void multipliers_from_scales(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        float sx = ldexpf(1.0f + (float)(noise() >> 9) * 0x1p-23f, -(int)(noise() % 12)),
              sw = ldexpf(1.0f + (float)(noise() >> 9) * 0x1p-23f, -(int)(noise() % 20)),
              sy = ldexpf(1.0f + (float)(noise() >> 9) * 0x1p-23f, -6);
        struct oct_requant r;
        assert_true(oct_requant_from_scales(OCT_profile_onnx, sx, sw, sy, &r));
        int xx, xw, xy; /* fp32 mantissas: the low 29 of 53 bits are 0 */
        wide p = (mantissa((double)sx, &xx) >> 29) * (mantissa((double)sw, &xw) >> 29), y = mantissa((double)sy, &xy) >> 29;
        int x = xx + xw + 58, xd = x - 70 - (xy + 29), bits = 0;
        wide exact = (p << 70) / y; /* more than 60 bits, and a last one that says whether anything is left */
        exact |= (p << 70) % y != 0;
        wide product = to_fp32(p, &x);
        wide quotient = (product << 80) / y;
        quotient |= (product << 80) % y != 0;
        x = x - 80 - (xy + 29);
        quotient = to_fp32(quotient, &x);
        assert_true(ldexp((double)quotient, x) == (double)r.scale);
        assert_true(oct_requant_from_scales(OCT_profile_q31, sx, sw, sy, &r));
        for (wide t = exact; t; t >>= 1) bits++;
        wide d = half_even(exact, bits - 53);
        xd += bits - 53;
        int e;
        int64_t m = multiplier(ldexp((double)d, xd), &e);
        assert_int_equal(r.multiplier, m);
        assert_int_equal(r.exponent, e);
    }
}

static void refusals(void **state) {
    (void)state;
    struct oct_requant r;
    for (int p = 0; p < OCT_profile_COUNT; p++) {
        enum oct_profile profile = (enum oct_profile)p;
        assert_false(oct_requant_from_real(profile, 0, &r));
        assert_false(oct_requant_from_real(profile, -1, &r));
        assert_false(oct_requant_from_real(profile, NAN, &r));
        assert_false(oct_requant_from_real(profile, INFINITY, &r));
        assert_false(oct_requant_from_real(profile, 0x1p30, &r));
        assert_true(oct_requant_from_real(profile, 0x1p29, &r));
    }
    assert_false(oct_requant_from_real(OCT_profile_q31, nextafter(0x1p30, 0), &r)); /* its 31 bits round up to 2^30 */
    assert_false(oct_requant_from_real(OCT_profile_pot, 0.3, &r));
    assert_true(oct_requant_from_real(OCT_profile_q31, 0.3, &r));
}

/* ---- one value
 * ------------------------------------------------------------------------------------------------------------------ */

static int32_t quantize(float x, float s, int32_t z) {
    return oct_quantize1(x, s, z, -128, 127, OCT_divide_div, OCT_order_before);
}

static void special_values(void **state) {
    (void)state;
    assert_int_equal(quantize(NAN, 0.5f, 7), 7);
    assert_int_equal(quantize(INFINITY, 0.5f, 7), 127);
    assert_int_equal(quantize(-INFINITY, 0.5f, 7), -128);
    assert_int_equal(quantize(3e38f, 1e-38f, 0), 127); /* x / s overflows */
    assert_int_equal(quantize(-0.0f, 0.5f, 7), 7);
    assert_int_equal(oct_quantize1(INFINITY, 0.5f, 7, -128, 127, OCT_divide_rcp, OCT_order_after), 127);
    assert_int_equal(oct_quantize1(NAN, 0.5f, 7, -128, 127, OCT_divide_rcp, OCT_order_after), 7);
    assert_int_equal(oct_quantize1(1e30f, 1, 0, INT32_MIN, INT32_MAX, OCT_divide_div, OCT_order_before), INT32_MAX);
    assert_int_equal(oct_quantize1(-1e30f, 1, 100, INT32_MIN, INT32_MAX, OCT_divide_div, OCT_order_before), INT32_MIN);
}

static void divide_or_multiply(void **state) {
    (void)state;
    const float s = 0.00214854861f, x = 0.273939937f; /* a pair on which they differ */
    assert_int_equal(oct_quantize1(x, s, 0, -128, 128, OCT_divide_div, OCT_order_before), 127);
    assert_int_equal(oct_quantize1(x, s, 0, -128, 128, OCT_divide_rcp, OCT_order_before), 128);
}

static void ties_and_the_zero_point(void **state) {
    (void)state;
    assert_int_equal(oct_quantize1(0.5f, 1, 1, -128, 127, OCT_divide_div, OCT_order_before), 1); /* RNE(0.5) + 1 */
    assert_int_equal(oct_quantize1(0.5f, 1, 1, -128, 127, OCT_divide_div, OCT_order_after), 2);  /* RNE(1.5) */
    assert_int_equal(quantize(1.5f, 1, 0), 2);
    assert_int_equal(quantize(-0.5f, 1, 0), 0);
    assert_int_equal(quantize(-1.5f, 1, 0), -2);
    assert_int_equal(quantize(126.5f, 1, 0), 126);
    assert_int_equal(quantize(127.5f, 1, 0), 127); /* clamped before it rounds to 128 */
}

static void codes_survive_dequantize_and_quantize(void **state) {
    (void)state;
    for (int i = 0; i < 3000; i++) {
        float s = ldexpf(1.0f + (float)(noise() >> 9) * 0x1p-23f, (int)(noise() % 60) - 40);
        int32_t z = (int32_t)(noise() % 256) - 128;
        for (int32_t q = -128; q < 128; q++) assert_int_equal(quantize(oct_dequantize1(q, s, z), s, z), q);
    }
    assert_true(oct_dequantize1(INT32_MIN, 1, INT32_MAX) == -0x1p32f); /* the difference leaves 32 bits */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_profile_at_its_boundary_points),
        cmocka_unit_test(shifts_of_every_size),
        cmocka_unit_test(ties_go_where_each_profile_says),
        cmocka_unit_test(wide_accumulators),
        cmocka_unit_test(multipliers_from_scales),
        cmocka_unit_test(refusals),
        cmocka_unit_test(special_values),
        cmocka_unit_test(divide_or_multiply),
        cmocka_unit_test(ties_and_the_zero_point),
        cmocka_unit_test(codes_survive_dequantize_and_quantize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
