/* test_vec_pool.c - pools and means with channels in lanes, vectors of 256 and of 512 bits, against the interpreter: all cases of
 * the scalar kernels, and channels around the lanes. */
#include "pool_case.h"
#include "vector_case.h"

static void around_the_lanes(void **state) {
    (void)state;
    static const int channels[] = {4, 7, 8, 12, 15, 16, 19, 31, 32, 33, 47, 64, 70};
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const int c = channels[i];
        kc_check("input x : i8[1,%d,6,5] scale=0.5 zero=-128\ny = max_pool2d(x) kernel=3 stride=2 pad=1", c);
        kc_check("input x : u8[1,%d,6,5] scale=0.5 zero=9\ny : i8[1,%d,3,3] scale=0.31 zero=5 = avg_pool2d(x) kernel=3 stride=2 "
                 "pad=1 profile=%s",
                 c, c, profiles[i % 3]);
        /* sums that fit 16 bits, and the first number of elements at which they do not */
        kc_check("input x : i8[1,%d,%d,2] scale=0.5 zero=3\ny : i8[1,%d,1,1] scale=0.31 zero=5 = mean(x) axes=(2,3) keepdims", c,
                 128 + (int)(i % 2), c);
        kc_check("input x : f32[1,%d,4,4]\ny = max_pool2d(x) kernel=2 stride=2", c);
        kc_check("input x : f32[1,%d,4,4]\ny = avg_pool2d(x) kernel=2 stride=2", c);
    }
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 23; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES                                                                                                                    \
    cmocka_unit_test(around_the_lanes), cmocka_unit_test(max_pools), cmocka_unit_test(average_pools), cmocka_unit_test(means)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
