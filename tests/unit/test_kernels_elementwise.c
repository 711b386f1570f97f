/* test_kernels_elementwise.c - element-wise kernels of one element at a time against the interpreter. */
#include "elementwise_case.h"

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(binary_codes), cmocka_unit_test(narrow_sums_are_found_and_refused),
                                       cmocka_unit_test(requantizing), cmocka_unit_test(pointwise),
                                       cmocka_unit_test(tables),       cmocka_unit_test(floats),
                                       cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
