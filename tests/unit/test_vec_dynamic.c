/* test_vec_dynamic.c - ranges at run time, recurrences and gather, in scalar code and on vectors of 256 and of 512 bits, against
 * the interpreter: rows and outputs around tiles and lanes, odd terms, weights that leave 8 bits, every option of the cells, NaN
 * and infinities in what is quantized (kernel_case.h puts them in), layouts with strides. */
#include "kernel_case.h"
#include "vector_case.h"

static void dense(void **state) {
    (void)state;
    static const int outputs[] = {1, 7, 8, 9, 33}, rows[] = {1, 2, 13}, terms[] = {1, 2, 3, 16, 31};
    int n = 0;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++, n++)
            kc_check(
                "input x : f32[%d,%d]\nconst @w : %s[%d,%d] scale=0.03 zero=%d = random seed=%d\nconst @b : f32[%d] = random "
                "seed=2\ny = dense(x, @w%s) dynamic%s",
                rows[j], terms[n % 5], n % 4 == 3 ? "u8" : "i8", outputs[i], terms[n % 5],
                n % 4 == 3 ? 200
                : n % 3    ? 0
                           : -5,
                n + 1, outputs[i], n % 2 ? ", @b" : "", n % 3 ? "" : " clip=(-0.5,6)");
    kc_check("input x : f32[2,3,5]\nconst @w : i8[2,5] scale[0]=(0.5,3e-20) = random seed=1\ny = dense(x, @w) dynamic");
}

static void convolutions(void **state) {
    (void)state;
    static const char *const attrs[] = {"", " pad=1", " pad=(2,0,1,1) stride=2", " dilation=2 pad=2", " stride=(1,2) clip=(0,9)"};
    int n = 0;
    for (int c = 1; c < 10; c += 8)
        for (int o = 1; o < 18; o += 7, n++)
            kc_check(
                "input x : f32[%d,%d,6,7]\nconst @w : i8[%d,%d,3,%d] scale=0.02 zero=%d = random seed=%d\nconst @b : f32[%d] = "
                "random seed=2\ny = conv2d(x, @w%s) dynamic%s",
                1 + n % 2, c, o, c, 1 + n % 3, n % 5 ? 0 : 9, n + 1, o, n % 2 ? ", @b" : "", attrs[n % 5]);
}

static void recurrences(void **state) {
    (void)state;
    static const int h[] = {1, 8, 13};
    int n = 0;
    for (size_t i = 0; i < sizeof h / sizeof *h; i++)
        for (int rows = 1; rows < 4; rows++, n++) {
            const bool codes = n % 2;
            const char *r = codes ? "i8" : "f32", *q = codes ? " scale=0.01 zero=0" : "", *form = codes ? " dynamic" : "";
            kc_check(
                "input g : f32[3,%d,%d]\nconst @r : %s[%d,%d]%s = random seed=3\ninput h : f32[%d,%d]\ninput c : f32[%d,%d]\ny = "
                "lstm(g, @r%s)%s",
                rows, 4 * h[i], r, 4 * h[i], h[i], q, rows, h[i], rows, h[i],
                n % 3 == 0   ? ", h, c"
                : n % 3 == 1 ? ", _, c"
                             : "",
                form);
            for (int after = 0; after < 2; after++)
                kc_check("input g : f32[3,%d,%d]\nconst @r : %s[%d,%d]%s = random seed=3\nconst @b : f32[%d] = random "
                         "seed=4\ninput h : "
                         "f32[%d,%d]\ny = gru(g, @r%s%s)%s%s",
                         rows, 3 * h[i], r, 3 * h[i], h[i], q, h[i], rows, h[i],
                         after && n % 3 ? ", @b"
                         : n % 4        ? ", _"
                                        : "",
                         n % 4 ? ", h" : "", form, after ? " reset_after" : "");
        }
}

static void tables(void **state) {
    (void)state;
    static const char *const table[] = {"f32[7,5]", "i8[7,5] scale=0.5 zero=3",
                                        "u8[3,2,4] scale[0]=(0.5,0.25,3) zero[0]=(1,2,255)", "i8[2,9] scale[0]=(0.5,1e-3)",
                                        "f32[4]"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int t = 0; t < 3; t++)
            kc_check("const @x : %s = random seed=2\ninput rows : %s = gather(@x, rows)", table[i],
                     t == 0   ? "i64[3,2]\ny"
                     : t == 1 ? "i32[]\ny"
                              : "i8[4]\ny");
}

static void parameters(void **state) {
    (void)state;
    for (int n = 0; n < 40; n += 13)
        for (int part = 0; part < 3; part++)
            kc_check("input x : f32[%d,3]\ny = dynamic_quantize(x)%s", n + 1,
                     part == 0   ? ""
                     : part == 1 ? " part=scale"
                                 : " part=zero");
}

static void sums(void **state) {
    (void)state;
    kc_check(
        "input x : i16[3,6] scale=1.0 zero=0\nconst @w : i8[5,6] scale=1.0 zero=0 = random seed=1\ny : i32 scale=1.0 zero=0 = "
        "dense(x, @w)");
    kc_check("input x : u8[3,6] scale=1.0 zero=12\ninput w : u8[6,9] scale=1.0 zero=9\ny : i32 scale=1.0 zero=0 = matmul(x, w)");
    kc_check(
        "input x : u8[1,2,5,5] scale=1.0 zero=12\nconst @w : i8[4,2,3,3] scale=1.0 zero=3 = random seed=1\ny : i32 scale=1.0 "
        "zero=0 = conv2d(x, @w) pad=1");
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 47; /* compilers take their time */
    return kc_setup(state);
}
int main(void) {
#define CASES                                                                                                                    \
    cmocka_unit_test(dense), cmocka_unit_test(convolutions), cmocka_unit_test(recurrences), cmocka_unit_test(tables),            \
        cmocka_unit_test(parameters), cmocka_unit_test(sums)
    const struct CMUnitTest tests[] = {CASES, cmocka_unit_test(printed_c), VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
