/* test_vec_elementwise.c - element-wise kernels on vectors of 256 and of 512 bits against the interpreter: all cases of the
 * scalar ones, and numbers of elements around the lanes. */
#include "elementwise_case.h"
#include "vector_case.h"

static void around_the_lanes(void **state) {
    (void)state;
    static const int counts[] = {1, 3, 4, 5, 7, 8, 12, 15, 16, 17, 20, 28, 31, 32, 33, 63, 64, 65};
    static const char *const ops[] = {"add", "sub", "mul"}, *const profiles[] = {"q31", "tflm", "onnx"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *d = oct_sprintf(kc.arena, "%d", counts[i]);
        const int pair = i % 2 ? 0 : 1 + (int)(i / 2 % 2), n = counts[i];
        kc_check("input a : %s\ninput b : %s\ny : %s = %s(a, b) profile=%s", typed(pairs[pair].a, d), typed(pairs[pair].b, d),
                 typed(pairs[pair].y, d), ops[i % 3], profiles[i / 3 % 3]);
        kc_check("input x : f32[%d]\ny : i8[%d] scale=0.1 zero=-7 = quantize(x)", n, n);
        kc_check("input x : u8[%d] scale=0.1 zero=7\ny = dequantize(x)", n);
    }
}

/* A few planes to pixels, as at the boundary of a model. */
static void planes_to_pixels(void **state) {
    (void)state;
    static const int counts[] = {2, 15, 16, 17, 31, 32, 33, 47, 64, 100};
    for (int planes = 1; planes <= 5; planes++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            kc_check("input x : i8[%d,%d] scale=0.5 zero=1\ny = transpose(x) perm=(1,0)", planes, counts[i]);
            kc_check("input x : f32[%d,%d]\ny = transpose(x) perm=(1,0)", planes, counts[i]);
            kc_check("input x : i16[2,%d,%d] scale=0.5 zero=1\ny = transpose(x) perm=(0,2,1)", planes, counts[i]);
        }
}

/* Both dims below, at and above a tile. */
static void turned(void **state) {
    (void)state;
    static const int sizes[] = {3, 4, 5, 8, 9, 15, 16, 17, 33, 50};
    static const char *const types[] = {"i8[%s] scale=0.5 zero=1", "u8[%s] scale=0.5 zero=1", "i16[%s] scale=0.5 zero=1",
                                        "f32[%s]"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            const char *type = types[(i + j) % 4];
            kc_check("input x : %s\ny = transpose(x) perm=(1,0)",
                     typed(type, oct_sprintf(kc.arena, "%d,%d", sizes[i], sizes[j])));
            kc_check("input x : %s\ny = transpose(x) perm=(0,2,1,3)",
                     typed(types[i % 4], oct_sprintf(kc.arena, "2,%d,%d,1", sizes[i], sizes[j])));
        }
    kc_check("input x : i8[2,16,3,20] scale=0.5 zero=1\ny = transpose(x) perm=(3,2,0,1)");
}

/* Parts with other parameters, around the lanes. */
static void concats(void **state) {
    (void)state;
    static const int channels[] = {1, 4, 7, 8, 15, 16, 17, 32, 35, 64};
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const int c = channels[i];
        kc_check("input a : i8[1,%d,2,3] scale=0.5 zero=-7\ninput b : u8[1,%d,2,3] scale=0.3 zero=4\ninput c : i16[1,1,2,3] "
                 "scale=0.01 zero=1\ny : i8[1,%d,2,3] scale=0.5 zero=-7 = concat(a, b, c) axis=1 profile=%s",
                 c, c, 2 * c + 1, profiles[i % 3]);
    }
}

/* What vectors do not serve says so. */
static void fallbacks(void **state) {
    (void)state;
    kc_check("input a : i8[300] scale=1.0 zero=0\ninput b : i8[300] scale=1e-9 zero=0\ny : i8[300] scale=1e-9 zero=4 = "
             "add(a, b)");
    assert_non_null(strstr(kc.last.fallback.s, "scalar code: no sum of 32 bits"));
    kc_check("input x : f32[1,4,5,6]\ny : i8[1,4,5,6] scale=0.1 zero=-7 = quantize(x)");
    assert_non_null(strstr(kc.last.fallback.s, "no neighbours")); /* the layout that ran last is a view */
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 7; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES                                                                                                                    \
    cmocka_unit_test(around_the_lanes), cmocka_unit_test(planes_to_pixels), cmocka_unit_test(turned), cmocka_unit_test(concats), \
        cmocka_unit_test(binary_codes), cmocka_unit_test(narrow_sums_are_found_and_refused), cmocka_unit_test(requantizing),     \
        cmocka_unit_test(pointwise), cmocka_unit_test(tables), cmocka_unit_test(floats), cmocka_unit_test(fallbacks)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
