/* Our exp, tanh, log and logistic function against libm's double precision ones, in units in the last place of the exact result;
 * and what they do at the ends of the line. Every 997th float by default; every one with an argument ("test_fmath all"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/interp.h"

static uint64_t stride = 997; /* set by main alone */

static float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* |got - exact| in ulp of exact (an ulp of the subnormals below them). */
static double ulps(float got, double exact) {
    if (fabs(exact) > 3.4028235677973366e38) return isinf(got) && !signbit(got) == !signbit(exact) ? 0 : INFINITY;
    int e;
    (void)frexp(exact, &e);
    if (exact == 0 || e < -125) e = -125;
    return fabs((double)got - exact) / ldexp(1, e - 24);
}

static void sweep(float (*f)(float), double (*exact)(double), const char *name, double bound) {
    double worst = 0;
    float at = 0;
    for (uint64_t u = 0; u < 1ull << 32; u += stride) {
        float x = float_of((uint32_t)u);
        if (isnan(x) || (exact == log && x <= 0)) continue;
        double e = ulps(f(x), exact((double)x));
        if (e > worst) worst = e, at = x;
    }
    printf("%s: at most %.4f ulp, at %.9g\n", name, worst, (double)at);
    assert_true(worst <= bound);
}

static void exp_is_close(void **state) { (void)state, sweep(oct_expf, exp, "exp", 1.0); }
static void tanh_is_close(void **state) { (void)state, sweep(oct_tanhf, tanh, "tanh", 1.34); }
static void log_is_close(void **state) { (void)state, sweep(oct_logf, log, "log", 0.83); }
static void sigmoid_is_close(void **state) { (void)state, sweep(oct_sigmoidf, sigmoid, "sigmoid", 2.41); }

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static float expm1_below_zero(float x) { return oct_expm1f(x < 0 ? x : -x); }
static double expm1_exact(double x) { return expm1(-fabs(x)); }
static void erf_is_close(void **state) { (void)state, sweep(oct_erff, erf, "erf", 9); }
static void expm1_is_close(void **state) { (void)state, sweep(expm1_below_zero, expm1_exact, "expm1", 9); }
static void softplus_is_close(void **state) { (void)state, sweep(oct_softplusf, softplus, "softplus", 9); }
static void round_is_exact(void **state) { (void)state, sweep(oct_roundf, nearbyint, "round", 0); }

static void ends_of_the_line(void **state) {
    (void)state;
    assert_true(oct_expf(0) == 1 && oct_expf(-INFINITY) == 0 && isinf(oct_expf(INFINITY)) && isnan(oct_expf(NAN)));
    assert_true(isinf(oct_expf(88.73f)) && isfinite(oct_expf(88.72f)) && oct_expf(-103.9f) > 0 && oct_expf(-104.1f) == 0);
    assert_true(oct_tanhf(INFINITY) == 1 && oct_tanhf(-INFINITY) == -1 && isnan(oct_tanhf(NAN)));
    assert_true(oct_tanhf(0) == 0 && oct_tanhf(-0.0f) == 0 && oct_tanhf(1e-40f) == 1e-40f);
    assert_true(oct_logf(1) == 0 && oct_logf(0) == -INFINITY && oct_logf(-0.0f) == -INFINITY && isinf(oct_logf(INFINITY)));
    assert_true(isnan(oct_logf(-1)) && isnan(oct_logf(NAN)));
    assert_true(oct_sigmoidf(0) == 0.5f && oct_sigmoidf(INFINITY) == 1 && oct_sigmoidf(-INFINITY) == 0 &&
                isnan(oct_sigmoidf(NAN)));
    assert_true(oct_erff(0) == 0 && oct_erff(INFINITY) == 1 && oct_erff(-INFINITY) == -1 && isnan(oct_erff(NAN)));
    assert_true(oct_expm1f(-0.0f) == 0 && oct_expm1f(-INFINITY) == -1 && isnan(oct_expm1f(NAN)));
    assert_true(isinf(oct_softplusf(INFINITY)) && oct_softplusf(-INFINITY) == 0 && isnan(oct_softplusf(NAN)));
    assert_true(oct_roundf(0.5f) == 0 && oct_roundf(1.5f) == 2 && oct_roundf(-2.5f) == -2 && signbit(oct_roundf(-0.25f)) &&
                isinf(oct_roundf(INFINITY)) && isnan(oct_roundf(NAN)));
}

/* A table of codes must not fall where the function rises. */
static void monotone_on_a_grid_of_codes(void **state) {
    (void)state;
    for (int k = 1; k <= 64; k++) {
        float s = (float)k / 256, was = 0;
        for (int q = -128; q < 128; q++) {
            float y = oct_sigmoidf(s * (float)q);
            assert_true(y >= was);
            was = y;
        }
    }
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) stride = 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(exp_is_close),      cmocka_unit_test(tanh_is_close),
                                       cmocka_unit_test(log_is_close),      cmocka_unit_test(sigmoid_is_close),
                                       cmocka_unit_test(erf_is_close),      cmocka_unit_test(expm1_is_close),
                                       cmocka_unit_test(softplus_is_close), cmocka_unit_test(round_is_exact),
                                       cmocka_unit_test(ends_of_the_line),  cmocka_unit_test(monotone_on_a_grid_of_codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
