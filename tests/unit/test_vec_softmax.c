/* test_vec_softmax.c - softmax of codes on vectors of 256 and of 512 bits against the interpreter: all cases of the scalar
 * kernels, rows around the lanes, and quotients that leave the 53 bits of a double. */
#include "softmax_case.h"
#include "vector_case.h"

static void around_the_lanes(void **state) {
    (void)state;
    static const int lengths[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 33, 100};
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int p = 0; p < 3; p++)
            kc_check("input x : i8[3,%d] scale=%s zero=7\ny : i8[3,%d] scale=0.00390625 zero=-128 = softmax(x) axis=1 profile=%s",
                     lengths[i], i % 2 ? "0.003" : "0.11", lengths[i], profiles[p]);
}

/* 2^24 W + 2^40 n below 2^53, and not: W = 2^28.99 and 2^29. */
static void near_misses(void **state) {
    (void)state;
    static const struct {
        const char *scale;
        bool fits;
    } cases[] = {{"0.0001232", true}, {"0.00012207031", false}};
    for (size_t i = 0; i < 2; i++) {
        kc_check("input x : i8[2,9] scale=0.11 zero=7\ny : i16[2,9] scale=%s zero=-5 = softmax(x) axis=1", cases[i].scale);
        const bool refused = kc.last.fallback.s && strstr(kc.last.fallback.s, "53 bits");
        if (refused == cases[i].fits) fail_msg("scale %s", cases[i].scale);
    }
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 17; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES cmocka_unit_test(around_the_lanes), cmocka_unit_test(near_misses), cmocka_unit_test(codes), cmocka_unit_test(floats)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
