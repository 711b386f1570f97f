/* test_kernels_softmax.c - softmax of codes and floats along every axis against the interpreter. */
#include "softmax_case.h"

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(codes), cmocka_unit_test(floats), cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
