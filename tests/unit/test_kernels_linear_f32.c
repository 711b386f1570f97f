/* test_kernels_linear_f32.c - conv2d, dense and matmul on floats, and matmul on codes: bit for bit the interpreter's. */
#include "linear_f32_case.h"

static void products(void **state) {
    (void)state;
    static const char *const d[][3] = {
        {"3,5", "5,4", "3,4"}, {"2,3,5", "2,5,4", "2,3,4"}, {"2,3,4,7", "1,3,7,2", "2,3,4,2"}, {"1,1", "1,1", "1,1"}};
    for (int i = 0; i < 4; i++) {
        kc_check("input a : f32[%s]\ninput b : f32[%s]\ny = matmul(a, b)", d[i][0], d[i][1]);
        kc_check("input a : i8[%s] scale=0.5 zero=-7\ninput b : i8[%s] scale=0.25 zero=100\ny : i8[%s] scale=3.1 zero=4 = "
                 "matmul(a, b)",
                 d[i][0], d[i][1], d[i][2]);
        kc_check("input a : u8[%s] scale=0.5 zero=255\ninput b : i8[%s] scale=0.25 zero=-128\ny : i8[%s] scale=40.0 zero=-100 = "
                 "matmul(a, b) clip=(-90,10)",
                 d[i][0], d[i][1], d[i][2]);
    }
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions), cmocka_unit_test(dense_layers), cmocka_unit_test(products),
                                       cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
