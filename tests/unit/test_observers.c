/* Histograms (order, sharding), observers against brute force, parameters against their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/pass.h"

static uint64_t rng_state;
static double uniform(void) {
    rng_state += 0x9e3779b97f4a7c15u;
    uint64_t z = rng_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}
static float heavy_tailed(void) { return (float)((uniform() - 0.5) * exp2(floor(uniform() * 30) - 15)); }

static struct oct_histogram *fresh(struct oct_arena *a) {
    struct oct_histogram *h = OCT_NEW(a, struct oct_histogram);
    oct_histogram_init(h);
    return h;
}

/* Every bin counts what lies in its half-open interval, whatever the order and the split. */
static void counts_do_not_depend_on_order_or_shards(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    enum { N = 5000 };
    static float x[N], y[N];
    rng_state = 1;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++) x[i] = i % 7 == 0 ? 0 : i % 11 == 0 ? -exp2f((float)(i % 20 - 10)) : heavy_tailed();
        x[17] = NAN, x[18] = INFINITY, x[19] = -INFINITY, x[20] = -0.0f;
        struct oct_histogram *whole = fresh(a), *backwards = fresh(a), *merged = fresh(a),
                             *shard[3] = {fresh(a), fresh(a), fresh(a)};
        oct_histogram_add(whole, x, N);
        for (int i = N - 1; i >= 0; i--) oct_histogram_add(backwards, &x[i], 1);
        for (int i = 0; i < N; i++) y[i] = x[(i * 1237 + round) % N];
        for (int i = 0, step = 100; i < N; i += step) oct_histogram_add(shard[i / 100 % 3], y + i, step);
        for (int i = 2; i >= 0; i--) oct_histogram_merge(merged, shard[i]);
        assert_memory_equal(whole, backwards, sizeof *whole);
        assert_memory_equal(whole, merged, sizeof *whole);
        assert_int_equal(whole->nan, 1);
        assert_int_equal(whole->inf, 2);
        uint64_t n = 0;
        for (int b = 0; b < OCT_GRID_BINS; b++) {
            n += whole->count[b];
            if (b % 512 && b / 2 != OCT_GRID_BINS / 4) continue;
            uint64_t expect = 0;
            for (int i = 0; i < N; i++)
                expect += isfinite(x[i]) && (double)x[i] >= oct_histogram_edge(whole, b) &&
                          (double)x[i] < oct_histogram_edge(whole, b + 1);
            assert_int_equal(whole->count[b], expect);
        }
        assert_int_equal(n, N - 3);
        assert_int_equal(whole->total, N - 3);
    }
    oct_ctx_free(&cx);
}

static void growth_over_many_octaves_is_exact(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    for (int e = -100; e < 127; e += 3) {
        float x[4] = {1e-30f, -1e-30f, exp2f((float)e), -exp2f((float)e)};
        struct oct_histogram *up = fresh(a), *down = fresh(a);
        oct_histogram_add(up, x, 4);
        for (int i = 0; i < 4; i++) oct_histogram_add(down, &x[i], 1);
        assert_memory_equal(up, down, sizeof *up);
    }
    oct_ctx_free(&cx);
}

static void choose(struct oct_arena *a, const char *name, const struct oct_histogram *h, float *lo, float *hi) {
    struct oct_observed o = {.h = h, .scheme = OCT_scheme_asym, .qmin = -128, .qmax = 127, .scratch = a};
    o.param = oct_observer_find(NULL, name)->param;
    float range[2];
    assert_true(oct_observer_find(NULL, name)->range(&o, range));
    *lo = range[0];
    *hi = range[1];
}

static double brute_error(const float *x, int n, double s, int32_t z) {
    double e = 0;
    for (int i = 0; i < n; i++) {
        double q = rint((double)x[i] / s) + z;
        q = q < -128 ? -128 : q > 127 ? 127 : q;
        e += pow((double)x[i] - s * (q - z), 2);
    }
    return e;
}

/* The chosen range is as good on the very data as the best of a fine exhaustive search, within 1 %. */
static void mse_is_near_the_exhaustive_optimum(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    enum { N = 4000 };
    static float x[N];
    rng_state = 5;
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < N; i++) {
            double g = sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
            x[i] = (float)(kind == 0 ? g : kind == 1 ? fabs(g) : kind == 2 ? (g > 0 ? g : 0) * exp(g) : -3 + uniform());
        }
        struct oct_histogram *h = fresh(a);
        oct_histogram_add(h, x, N);
        float lo, hi, s;
        int32_t z;
        choose(a, "mse", h, &lo, &hi);
        oct_choose_qparams(lo, hi, OCT_scheme_asym, -128, 127, &s, &z);
        const double ours = brute_error(x, N, (double)s, z);
        double best = INFINITY;
        for (int i = 4; i <= 40; i++)
            for (int j = 4; j <= 40; j++) {
                oct_choose_qparams(h->min * (float)i / 40, h->max * (float)j / 40, OCT_scheme_asym, -128, 127, &s, &z);
                best = fmin(best, brute_error(x, N, (double)s, z));
            }
        assert_true(ours <= best * 1.01);
        choose(a, "minmax", h, &lo, &hi);
        assert_true(lo == h->min && hi == h->max);
    }
    oct_ctx_free(&cx);
}

static void parameters_follow_their_definitions(void **state) {
    (void)state;
    float s;
    int32_t z;
    oct_choose_qparams(-1, 3, OCT_scheme_asym, -128, 127, &s, &z);
    assert_true(s == (float)(4.0 / 255) && z == -64);
    oct_choose_qparams(2, 3, OCT_scheme_asym, -128, 127, &s, &z); /* extended to 0 */
    assert_true(s == (float)(3.0 / 255) && z == -128);
    oct_choose_qparams(-3, -2, OCT_scheme_asym, 0, 255, &s, &z);
    assert_true(s == (float)(3.0 / 255) && z == 255);
    oct_choose_qparams(-2, 1, OCT_scheme_sym, -128, 127, &s, &z);
    assert_true(s == (float)(2.0 / 127) && z == 0);
    oct_choose_qparams(-2, 1, OCT_scheme_full, -128, 127, &s, &z);
    assert_true(s == (float)(2.0 / 127.5) && z == 0);
    oct_choose_qparams(-2, 1, OCT_scheme_sym, 0, 255, &s, &z);
    assert_true(s == (float)(2.0 / 127) && z == 128);
    oct_choose_qparams(-127, 1, OCT_scheme_pot, -128, 127, &s, &z);
    assert_true(s == 1 && z == 0);
    oct_choose_qparams(-128, 1, OCT_scheme_pot, -128, 127, &s, &z);
    assert_true(s == 2 && z == 0);
    oct_choose_qparams(0, 0, OCT_scheme_asym, -128, 127, &s, &z);
    assert_true(s == 1 && z == 0);
    oct_choose_qparams(NAN, NAN, OCT_scheme_asym, -128, 127, &s, &z);
    assert_true(s == 1 && z == 0);
    oct_choose_qparams(0, 1e-20f, OCT_scheme_asym, -128, 127, &s, &z);
    assert_true(s == FLT_EPSILON && z == -128);
    oct_choose_qparams(-3e38f, 3e38f, OCT_scheme_asym, -128, 127, &s, &z);
    assert_true(isfinite(s) && z >= -1 && z <= 0);
    rng_state = 9;
    for (int i = 0; i < 100000; i++) { /* zero is exact, and the range ends are within half a step of a code */
        float lo = heavy_tailed(), hi = heavy_tailed();
        oct_choose_qparams(lo, hi, OCT_scheme_asym, -128, 127, &s, &z);
        assert_true(s > 0 && z >= -128 && z <= 127);
        if (s > FLT_EPSILON) {
            assert_true((double)s * (127 - z) >= fmax(0, (double)hi) - 0.5001 * (double)s);
            assert_true((double)s * (-128 - z) <= fmin(0, (double)lo) + 0.5001 * (double)s);
        }
    }
}

static void weight_scales(void **state) {
    (void)state;
    const float w[8] = {0, 1, -2, 5, 0.5f, 7, 1.27f, 9};
    assert_true(oct_weight_scale(w, 4, 2, OCT_scheme_sym, false, -128, 127) == (float)(2.0 / 127));
    assert_true(oct_weight_scale(w + 1, 4, 2, OCT_scheme_sym, false, -128, 127) == (float)(9.0 / 127));
    assert_true(oct_weight_scale(w, 1, 1, OCT_scheme_sym, false, -128, 127) == 0);
    enum { N = 1000 };
    static float g[N];
    rng_state = 3;
    for (int i = 0; i < N; i++) g[i] = (float)(sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()));
    g[0] = 9; /* an outlier that 4 bits should clip */
    const float wide = oct_weight_scale(g, N, 1, OCT_scheme_sym, false, -8, 7),
                tight = oct_weight_scale(g, N, 1, OCT_scheme_sym, true, -8, 7);
    assert_true(wide == (float)(9.0 / 7) && tight < wide);
    double ew = 0, et = 0;
    for (int i = 0; i < N; i++) {
        double qw = fmax(-7, fmin(7, rint((double)g[i] / (double)wide))),
               qt = fmax(-7, fmin(7, rint((double)g[i] / (double)tight)));
        ew += pow((double)g[i] - qw * (double)wide, 2);
        et += pow((double)g[i] - qt * (double)tight, 2);
    }
    assert_true(et < 0.8 * ew);
}

/* Uniform values have closed forms: quantiles, mean, deviation, and the range that nothing should be clipped from. */
static void uniform_values_have_closed_forms(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    enum { N = 1 << 16 };
    static float x[N];
    for (int i = 0; i < N; i++) x[i] = (float)(2 * (i + 0.5) / (double)N - 0.5); /* even on [-0.5, 1.5] */
    struct oct_histogram *h = fresh(a);
    oct_histogram_add(h, x, N);
    float lo, hi;
    const double bin = oct_histogram_edge(h, 1) - oct_histogram_edge(h, 0);
    choose(a, "percentile", h, &lo, &hi);
    assert_true(fabs((double)lo + 0.5 - 2 * 5e-6) <= bin && fabs((double)hi - 1.5 + 2 * 5e-6) <= bin);
    choose(a, "aciq", h, &lo, &hi); /* b / std = sqrt(3) / 2: normal; mean 0.5, std 2 / sqrt(12), so nothing is left to clip */
    assert_true(lo == h->min && hi == h->max);
    struct oct_observed o = {.h = h, .scheme = OCT_scheme_asym, .qmin = -128, .qmax = 127, .param = 0.75, .scratch = a};
    float range[2];
    assert_true(oct_observer_find(NULL, "std")->range(&o, range));
    assert_true(fabs((double)range[0] - (0.5 - 0.75 * 2 / sqrt(12))) <= bin &&
                fabs((double)range[1] - (0.5 + 0.75 * 2 / sqrt(12))) <= bin);
    static const char *const whole[] = {"minmax", "hist", "hist_torch", "entropy", "mse"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        choose(a, whole[i], h, &lo, &hi);
        if ((double)lo > -0.5 + 0.02 || (double)hi < 1.5 - 0.02)
            fail_msg("%s clips evenly spread values: [%g, %g]", whole[i], (double)lo, (double)hi);
    }
    oct_ctx_free(&cx);
}

/* alpha of aciq is where the expected error, clipping plus rounding, is least: for Laplace a e^a = 3 4^bits. */
static void laplace_values_are_clipped_where_theory_says(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    enum { N = 1 << 18 };
    static float x[N];
    for (int i = 0; i < N; i++) { /* quantiles of a Laplace distribution with b = 1 */
        const double p = (i + 0.5) / (double)N;
        x[i] = (float)(p < 0.5 ? log(2 * p) : -log(2 * (1 - p)));
    }
    struct oct_histogram *h = fresh(a);
    oct_histogram_add(h, x, N);
    for (int bits = 2; bits <= 8; bits++) {
        struct oct_observed o = {
            .h = h, .scheme = OCT_scheme_asym, .qmin = -(1 << (bits - 1)), .qmax = (1 << (bits - 1)) - 1, .scratch = a};
        float range[2];
        assert_true(oct_observer_find(NULL, "aciq")->range(&o, range));
        const double alpha = (double)range[1], root = alpha * exp(alpha) / (3 * pow(4, bits));
        assert_true(fabs(log(root)) < 0.03); /* the table has three digits */
        assert_true(fabs((double)range[0] + alpha) < 0.01);
    }
    oct_ctx_free(&cx);
}

/* Exact sums: any order and any split, the mean of huge and tiny numbers, and the text form. */
static void sums_are_exact(void **state) {
    (void)state;
    enum { N = 2000 };
    static double x[N];
    rng_state = 21;
    for (int i = 0; i < N; i++) x[i] = (double)heavy_tailed();
    x[0] = 3e38, x[1] = -3e38, x[2] = 0x1p-149, x[3] = -0x1p-149, x[4] = 0, x[5] = 0x1p-149;
    struct oct_sum up = {{0}}, down = {{0}}, part[2] = {{{0}}};
    for (int i = 0; i < N; i++) {
        oct_sum_add(&up, x[i]);
        oct_sum_add(&down, x[N - 1 - i]);
        oct_sum_add(&part[i % 3 == 0], x[i]);
    }
    oct_sum_merge(&part[1], &part[0]);
    assert_memory_equal(&up, &down, sizeof up);
    assert_memory_equal(&up, &part[1], sizeof up);
    for (int i = 0; i < N; i++) oct_sum_add(&up, -x[i]);
    for (int i = 0; i < OCT_SUM_LIMBS; i++) assert_true(up.limb[i] == 0);
    struct oct_sum s = {{0}};
    oct_sum_add(&s, 3e38), oct_sum_add(&s, 1.5), oct_sum_add(&s, -3e38);
    assert_true(oct_sum_mean(&s, 3) == 0.5);
    char text[OCT_SUM_TEXT];
    oct_sum_print(&s, text);
    assert_string_equal(text, "1.8");
    struct oct_sum minus = {{0}}, back;
    oct_sum_add(&minus, -31.0625);
    oct_sum_print(&minus, text);
    assert_string_equal(text, "-1f.1");
    assert_true(oct_sum_parse(text, text + strlen(text), &back) == text + strlen(text));
    assert_memory_equal(&back, &minus, sizeof back);
    assert_true(oct_sum_mean(&back, 2) == -15.53125);
    oct_sum_print(&down, text);
    assert_non_null(oct_sum_parse(text, text + strlen(text), &back));
    assert_memory_equal(&back, &down, sizeof back);
    static const char *const wrong[] = {"", "-", ".8", "1.", "g", "1.8.1x"};
    for (size_t i = 0; i < 5; i++) assert_null(oct_sum_parse(wrong[i], wrong[i] + strlen(wrong[i]), &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_do_not_depend_on_order_or_shards),
                                       cmocka_unit_test(growth_over_many_octaves_is_exact),
                                       cmocka_unit_test(mse_is_near_the_exhaustive_optimum),
                                       cmocka_unit_test(parameters_follow_their_definitions),
                                       cmocka_unit_test(weight_scales),
                                       cmocka_unit_test(uniform_values_have_closed_forms),
                                       cmocka_unit_test(laplace_values_are_clipped_where_theory_says),
                                       cmocka_unit_test(sums_are_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
