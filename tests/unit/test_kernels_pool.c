/* test_kernels_pool.c - pools and means over a table of shapes and parameters, every profile, against the interpreter; near
 * misses of the fitted division. */
#include "pool_case.h"
#include "../../backend/kernels/fit.h"

/* A step function that bends: where no multiply and shift follows it, a table does, and nothing is ever approximated. */
static int64_t crooked(const void *user, int64_t x) {
    int64_t bend = *(const int64_t *)user;
    return x < bend ? x / 64 : (x + 40) / 64;
}

static void fits_are_exact(void **state) {
    (void)state;
    int tables = 0, fitted = 0;
    for (int64_t bend = 0; bend < 4096; bend += 61) {
        struct oct_fit f;
        assert_true(oct_fit_step(kc.arena, crooked, &bend, 0, 4095, 1.0 / 64, 0, 64, &f));
        if (f.steps) tables++;
        else fitted++;
        for (int64_t x = 0; x < 4096; x++) assert_int_equal(oct_fit_value(&f, x), crooked(&bend, x));
    }
    assert_true(tables > 50 && fitted >= 1);
    int64_t bend = 1000000; /* more than 256 values, and no sequence: refused */
    struct oct_fit f;
    assert_false(oct_fit_step(kc.arena, crooked, &bend, 0, 2000000, 1.0 / 64, 0, 65535, &f));
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(max_pools), cmocka_unit_test(average_pools), cmocka_unit_test(means),
                                       cmocka_unit_test(fits_are_exact), cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
