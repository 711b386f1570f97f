/* The runtime's conversions against the interpreter's definition: ties, ends, infinities, NaN, every zero point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/interp.h"
#include "runtime/octavo.c"

static void conversions_equal_the_definition(void **state) {
    (void)state;
    for (int32_t zero = -128; zero <= 127; zero++)
        for (int i = -1200; i <= 1200; i++) {
            const float scale = i & 1 ? 0.25f : 0.1f, x[] = {(float)i * 0.125f, (float)i * 1e30f, i ? INFINITY / (float)i : NAN};
            int8_t q[3];
            octavo_quantize_i8(x, q, 3, scale, zero);
            for (int k = 0; k < 3; k++)
                assert_int_equal(q[k], oct_quantize1(x[k], scale, zero, -128, 127, OCT_divide_div, OCT_order_before));
            float y[3];
            octavo_dequantize_i8(q, y, 3, scale, zero);
            for (int k = 0; k < 3; k++) assert_true(y[k] == oct_dequantize1(q[k], scale, zero));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conversions_equal_the_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
