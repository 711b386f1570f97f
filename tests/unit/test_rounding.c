/* Rounding of weights by second moments: moments against sums written out; adaround against all roundings there are; GPTQ against
 * OBQ as its authors state it, with the inverse of the matrix updated weight by weight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "parse_helper.h"
#include "passes/gram.h"

static uint32_t seed = 5;
static int noise(int n) {
    seed = seed * 1664525u + 1013904223u;
    return (int)((seed >> 8) % (uint32_t)n);
}

enum { K = 9, MOST = 12 };

struct problem {
    double h[MOST * MOST], work[3 * MOST];
    float w[MOST], scale[MOST];
    int32_t code[MOST];
    struct oct_rounding r;
};

static void nearest(struct problem *p) {
    for (int i = 0; i < p->r.k; i++) {
        const double c = rint((double)p->w[i] / (double)p->scale[i]);
        p->code[i] = (int32_t)fmin(fmax(c, p->r.codes.lo), p->r.codes.hi);
    }
}

/* Moments of correlated samples: at least as many as weights, so that no rounding is free. */
static void make(struct problem *p, int k) {
    memset(p, 0, sizeof *p);
    for (int s = 0; s < 3 * k; s++) {
        double x[MOST], common = noise(100);
        for (int i = 0; i < k; i++) x[i] = common + noise(100);
        for (int i = 0; i < k * k; i++) p->h[i] += x[i / k] * x[i % k] / (3 * k);
    }
    for (int i = 0; i < k; i++) {
        p->scale[i] = 0.25f;
        p->w[i] = (float)(noise(4001) - 2000) / 1000;
    }
    p->r = (struct oct_rounding){
        .k = k, .h = p->h, .w = p->w, .scale = p->scale, .codes = {-7, 7}, .code = p->code, .work = p->work};
    nearest(p);
}

static double error_of(const struct problem *p, const int32_t *code) {
    double sum = 0;
    for (int i = 0; i < p->r.k * p->r.k; i++) {
        const int a = i / (int)p->r.k, b = i % (int)p->r.k;
        sum += ((double)p->scale[a] * code[a] - (double)p->w[a]) * p->h[i] * ((double)p->scale[b] * code[b] - (double)p->w[b]);
    }
    return sum;
}

static void adaround_finds_the_best_of_all(void **state) {
    (void)state;
    int best_found = 0;
    const int problems = 200;
    for (int n = 0; n < problems; n++) {
        static struct problem p;
        make(&p, K);
        const double before = error_of(&p, p.code);
        assert_true(fabs(oct_rounding_error(&p.r) - before) <= 1e-9 * before);
        oct_adaround(&p.r);
        const double after = error_of(&p, p.code);
        assert_true(after <= before * (1 + 1e-12));
        double least = INFINITY;
        for (int choice = 0; choice < 1 << K; choice++) {
            int32_t code[K];
            for (int i = 0; i < K; i++) {
                code[i] = (int32_t)floor((double)p.w[i] / (double)p.scale[i]) + (choice >> i & 1);
                if (code[i] < -7) code[i] = -7;
                if (code[i] > 7) code[i] = 7;
            }
            least = fmin(least, error_of(&p, code));
        }
        for (int i = 0; i < K; i++) assert_true(fabs(p.code[i] - (double)p.w[i] / 0.25) < 1 || abs(p.code[i]) == 7);
        assert_true(after >= least * (1 - 1e-9));
        assert_true(after <= 2 * least); /* a local one may remain, never a bad one */
        best_found += after <= least * (1 + 1e-9);
    }
    assert_true(best_found >= problems * 8 / 10);
}

/* a := its inverse, by Gauss and Jordan. */
static void invert(double *a, int k) {
    double b[MOST * MOST] = {0};
    for (int i = 0; i < k; i++) b[i * k + i] = 1;
    for (int c = 0; c < k; c++) {
        const double d = a[c * k + c];
        for (int j = 0; j < k; j++) a[c * k + j] /= d, b[c * k + j] /= d;
        for (int i = 0; i < k; i++) {
            const double f = a[i * k + c];
            for (int j = 0; j < k && i != c; j++) a[i * k + j] -= f * a[c * k + j], b[i * k + j] -= f * b[c * k + j];
        }
    }
    memcpy(a, b, sizeof(double) * (size_t)(k * k));
}

static void gptq_equals_obq(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    for (int n = 0; n < 200; n++) {
        static struct problem p;
        const int k = 2 + noise(MOST - 1);
        make(&p, k);
        double inverse[MOST * MOST], w[MOST], lambda = 0;
        for (int i = 0; i < k; i++) lambda += 0.01 * p.h[i * k + i] / k, w[i] = (double)p.w[i];
        memcpy(inverse, p.h, sizeof inverse);
        for (int i = 0; i < k; i++) inverse[i * k + i] += lambda;
        invert(inverse, k);
        int32_t want[MOST];
        bool done[MOST] = {false};
        for (int step = 0; step < k; step++) {
            int at = -1; /* of those left the one with the largest activations */
            for (int i = 0; i < k; i++)
                if (!done[i] && (at < 0 || p.h[i * k + i] > p.h[at * k + at])) at = i;
            want[at] = (int32_t)fmin(fmax(rint(w[at] / (double)p.scale[at]), -7), 7);
            const double wrong = (w[at] - (double)p.scale[at] * want[at]) / inverse[at * k + at];
            double row[MOST];
            for (int i = 0; i < k; i++) row[i] = inverse[at * k + i];
            const double d = row[at];
            for (int i = 0; i < k; i++) w[i] -= wrong * row[i];
            for (int i = 0; i < k; i++)
                for (int j = 0; j < k; j++) inverse[i * k + j] -= row[i] * row[j] / d;
            done[at] = true;
        }
        struct oct_gptq f;
        oct_gptq_factor(a, k, p.h, &f);
        oct_gptq(&f, &p.r);
        for (int i = 0; i < k; i++) assert_int_equal(p.code[i], want[i]);
    }
    oct_ctx_free(&cx);
}

static void moments_are_exact(void **state) {
    (void)state;
    static const char *const ops[] = {
        ("octavo 1\nmodel m\ninput x : f32[N,4,7,6]\nconst @w : f32[6,2,3,2] = random seed=1\ny = conv2d(x, @w) groups=2 "
         "pad=(1,0,2,1) stride=(2,1) dilation=(1,2)\noutput y\n"),
        ("octavo 1\nmodel m\ninput x : f32[N,3,5,5]\nconst @w : f32[3,1,3,3] = random seed=1\ny = conv2d(x, @w) groups=3 "
         "pad=(0,2,3,1) stride=3\noutput y\n"),
        "octavo 1\nmodel m\ninput x : f32[N,3,11]\nconst @w : f32[4,11] = random seed=1\ny = dense(x, @w)\noutput y\n"};
    for (size_t n = 0; n < sizeof ops / sizeof *ops; n++)
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            struct oct_ctx cx;
            oct_ctx_init(&cx);
            cx.threads = threads;
            struct oct_arena *a = oct_arena_new(&cx);
            const struct oct_module *m = oct_parse(&cx, "t", ops[n], strlen(ops[n]));
            assert_non_null(m);
            const struct oct_node *y = oct_find_value(m, "y");
            const struct oct_type *x = &y->operand[0]->type, *w = &y->operand[1]->type;
            struct oct_patches p;
            oct_patches_of(y, &p);
            const int64_t runs = 37, size = oct_type_elements(x, 1), total = size * runs, step = (int64_t)n + 1;
            int16_t *code = OCT_NEW_N(a, int16_t, total);
            float *real = OCT_NEW_N(a, float, total);
            for (int64_t i = 0; i < total; i++) real[i] = code[i] = (int16_t)(noise(511) - 255);
            const int64_t k = oct_type_elements(w, 1) / w->dim[0];
            assert_int_equal(p.k, k);
            const struct oct_patch_data c = {.p = &p, .runs = runs, .code = code}, r = {.p = &p, .runs = runs, .real = real};
            double *sum = OCT_NEW_N(a, double, p.groups *k), *same = OCT_NEW_N(a, double, p.groups *k);
            double *want = OCT_NEW_N(a, double, k), *square = OCT_NEW_N(a, double, k *k), *h = OCT_NEW_N(a, double, k *k),
                   *mean = OCT_NEW_N(a, double, k), *patch = OCT_NEW_N(a, double, k);
            oct_patch_sums(&cx, &c, sum);
            oct_patch_sums(&cx, &r, same);
            for (int64_t g = 0; g < p.groups; g++) {
                int64_t rows = 0, taken = 0;
                double mean_want[64] = {0};
                for (int64_t i = 0; i < k * k; i++) square[i] = 0;
                for (int64_t i = 0; i < k; i++) want[i] = 0;
                for (int64_t run = 0; run < runs; run++) {
                    const int64_t outs = oct_type_elements(&y->type, 1) / w->dim[0];
                    for (int64_t row = 0; row < outs; row++, rows++) {
                        for (int64_t i = 0; i < k; i++) {
                            if (x->rank == 3) {
                                patch[i] = code[run * size + row * k + i];
                                continue;
                            }
                            const int64_t kx = i % w->dim[3], ky = i / w->dim[3] % w->dim[2], ch = i / (w->dim[3] * w->dim[2]);
                            const int64_t iy = row / y->type.dim[3] * y->at.stride[0] - y->at.pad[0] + ky * y->at.dilation[0],
                                          ix = row % y->type.dim[3] * y->at.stride[1] - y->at.pad[1] + kx * y->at.dilation[1];
                            const bool in = iy >= 0 && iy < x->dim[2] && ix >= 0 && ix < x->dim[3];
                            patch[i] = in ? code[run * size + ((g * w->dim[1] + ch) * x->dim[2] + iy) * x->dim[3] + ix] : 0;
                        }
                        for (int64_t i = 0; i < k; i++) want[i] += patch[i];
                        if (rows % step) continue;
                        taken++;
                        for (int64_t i = 0; i < k; i++) mean_want[i] += patch[i];
                        for (int64_t i = 0; i < k * k; i++) square[i] += patch[i / k] * patch[i % k];
                    }
                }
                oct_gram(&cx, a, &c, g, step, h, mean);
                for (int64_t i = 0; i < k; i++) {
                    assert_true(sum[g * k + i] == want[i] && same[g * k + i] == want[i]);
                    assert_true(mean[i] == mean_want[i] / (double)taken);
                }
                for (int64_t i = 0; i < k * k; i++) assert_true(h[i] == square[i] / (double)taken);
            }
            oct_ctx_free(&cx);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(adaround_finds_the_best_of_all), cmocka_unit_test(gptq_equals_obq),
                                       cmocka_unit_test(moments_are_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
