/* test_vec_linear_f32.c - conv2d and dense on floats with outputs in lanes: bit for bit the interpreter's where asked, near it
 * with products and sums rounded once; channels and pixels around the tiles. */
#include "linear_f32_case.h"
#include "vector_case.h"

static void around_the_tiles(void **state) {
    (void)state;
    static const int channels[] = {4, 7, 8, 11, 12, 15, 16, 23, 24, 33, 47}, widths[] = {1, 5, 6, 7, 12, 13, 14, 15, 29};
    for (int i = 0; i < 33; i++) {
        const int c = channels[i % 11], w = widths[i % 9], in = 1 + i % 3;
        kc_check("input x : f32[1,%d,3,%d]\nconst @w : f32[%d,%d,1,1] = random seed=%d within=(-0.5,0.5)\ny = conv2d(x, @w)", in,
                 w, c, in, i);
        kc_check("input x : f32[%d,%d,4,%d]\nconst @w : f32[%d,1,3,3] = random seed=%d within=(-0.5,0.5)\ny = conv2d(x, @w) "
                 "groups=%d pad=1 stride=%d",
                 1 + i % 2, c, w, c, i, c, 1 + i / 2 % 2);
        kc_check("input x : f32[%d,%d]\nconst @w : f32[%d,%d] = random seed=%d within=(-0.5,0.5)\ny = dense(x, @w)", 1 + i % 2, w,
                 3 * c, w, i);
    }
}

/* Rows of one rounding in a dense layer of 64 outputs, in the layout without gaps. */
static int fused_rows(void) {
    const int first = kc.nran, sample = kc.sample;
    kc.sample = 1;
    kc_check("input x : f32[1,64]\nconst @w : f32[64,64] = random seed=1 within=(-0.5,0.5)\ny = dense(x, @w)");
    kc.sample = sample;
    struct oct_text t;
    oct_text_init(&t, kc.arena);
    lp_print(&t, kc.ran[first].k);
    int n = 0;
    for (const char *p = t.s; (p = strstr(p, "= fma ")); p++) n++;
    return n;
}
static void rounded_once(void **state) {
    (void)state;
    kc.loose = true;
    convolutions(NULL);
    dense_layers(NULL);
    around_the_tiles(NULL);
    assert_int_equal(fused_rows(), 64 * 32 / kc.target->vector_bits);
    kc.loose = false;
    assert_int_equal(fused_rows(), 0);
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 17; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES                                                                                                                    \
    cmocka_unit_test(around_the_tiles), cmocka_unit_test(convolutions), cmocka_unit_test(dense_layers),                          \
        cmocka_unit_test(rounded_once)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
