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

/* Terms in slices while sums wait, with a last block of less than its channels and vectors; chunks of blocks; long rows of
 * pixels. */
static void slices_and_chunks(void **state) {
    (void)state;
    static const char *const shape[][3] = {{"1,67,4,5", "33,67,3,3", "pad=1"},
                                           {"1,40,3,9", "64,40,5,3", "pad=(2,1,2,1) stride=(1,2)"},
                                           {"1,420,7,7", "24,420,1,1", ""},
                                           {"2,3,24,17", "16,3,3,3", "pad=1"},
                                           {"1,5,30,30", "9,5,1,1", ""}};
    for (int i = 0; i < 5; i++)
        kc_check("input x : f32[%s]\nconst @w : f32[%s] = random seed=%d within=(-0.1,0.1)\ny = conv2d(x, @w) %s clip=(-1.0,inf)",
                 shape[i][0], shape[i][1], i, shape[i][2]);
}

/* Padding is read as zeros; 0 w + acc is not acc where acc is -0, so a bias of -0 keeps the kernel of windows. */
static void padding_that_counts(void **state) {
    (void)state;
    static const struct {
        const char *bias, *attrs;
        bool vectors;
    } c[] = {{"0", "pad=1", true}, {"-1e-45", "pad=1", true}, {"-0.0", "pad=1", false}, {"-0.0", "", true}};
    for (int i = 0; i < 4; i++) {
        const int before = kc_used("conv2d_f32_vec"), windows = kc_used("conv2d_f32");
        kc_check("input x : f32[1,1,3,5]\nconst @w : f32[8,1,2,2] = random seed=%d within=(-0.5,0.5)\n"
                 "const @b : f32[8] = (1,2,3,4,5,6,7,%s)\ny = conv2d(x, @w, @b) %s",
                 i, c[i].bias, c[i].attrs);
        assert_int_equal(kc_used("conv2d_f32_vec") > before, c[i].vectors);
        assert_int_equal(kc_used("conv2d_f32") > windows, !c[i].vectors);
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
    slices_and_chunks(NULL);
    assert_int_equal(fused_rows() % (64 * 32 / kc.target->vector_bits), 0);
    assert_true(fused_rows() > 0);
    kc.loose = false;
    assert_int_equal(fused_rows(), 0);
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 17; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES                                                                                                                    \
    cmocka_unit_test(around_the_tiles), cmocka_unit_test(slices_and_chunks), cmocka_unit_test(padding_that_counts),              \
        cmocka_unit_test(convolutions), cmocka_unit_test(dense_layers), cmocka_unit_test(rounded_once)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
