/* conv2d, dense and matmul of the interpreter against plain loops in this file: float bit for bit, since the order is defined;
 * integers exactly, requantized by the oracle of requant_oracle.h. Shapes below, at and above the blocks of 16 channels and tiles
 * of 6 pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "interp_case.h"
#include "requant_oracle.h"

struct conv {
    int64_t n, c, h, w, o, kh, kw, sh, sw, dh, dw, pad[4], groups;
};
static const struct conv convs[] = {
    {1, 3, 8, 8, 16, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 1},   {2, 5, 7, 9, 17, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 1},
    {1, 1, 9, 5, 15, 4, 2, 2, 2, 1, 1, {1, 0, 2, 1}, 1},   {1, 4, 6, 6, 33, 1, 1, 1, 1, 1, 1, {0, 0, 0, 0}, 1},
    {1, 4, 6, 7, 3, 1, 1, 2, 3, 1, 1, {0, 0, 0, 0}, 1},    {1, 2, 11, 13, 4, 3, 2, 1, 1, 2, 3, {2, 3, 2, 3}, 1},
    {2, 6, 5, 5, 6, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 6},    {1, 17, 6, 14, 17, 3, 3, 2, 2, 1, 1, {0, 0, 1, 1}, 17},
    {1, 33, 4, 3, 33, 5, 1, 1, 1, 1, 1, {2, 0, 2, 0}, 33}, {1, 6, 5, 5, 4, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 2},
    {1, 4, 5, 5, 8, 3, 3, 1, 1, 1, 1, {1, 1, 1, 1}, 4},    {1, 2, 3, 3, 5, 3, 3, 1, 1, 1, 1, {4, 5, 4, 5}, 1},
    {1, 3, 2, 1, 2, 7, 7, 3, 3, 1, 1, {3, 3, 3, 3}, 1},    {1, 16, 1, 300, 2, 1, 3, 1, 1, 1, 1, {0, 1, 0, 1}, 1},
};

static struct oct_attrs attrs_of(const struct conv *k) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (int i = 0; i < 4; i++) OCT_MARK(at, pad), at.pad[i] = k->pad[i];
    OCT_MARK(at, stride), at.stride[0] = k->sh, at.stride[1] = k->sw;
    OCT_MARK(at, dilation), at.dilation[0] = k->dh, at.dilation[1] = k->dw;
    OCT_SET(at, groups, k->groups);
    return at;
}

/* Index of x and w for one tap of one output, or -1 for x in the padding. */
static int64_t tap(const struct conv *k, int64_t n, int64_t o, int64_t y, int64_t x, int64_t a, int64_t b, int64_t i,
                   int64_t *w) {
    int64_t ci = k->c / k->groups, g = o / (k->o / k->groups), iy = y * k->sh - k->pad[0] + a * k->dh,
            ix = x * k->sw - k->pad[1] + b * k->dw;
    *w = ((o * ci + i) * k->kh + a) * k->kw + b;
    return iy < 0 || iy >= k->h || ix < 0 || ix >= k->w ? -1 : ((n * k->c + g * ci + i) * k->h + iy) * k->w + ix;
}

static void float_convolutions(void **state) {
    (void)state;
    for (unsigned s = 0; s < 2 * sizeof convs / sizeof *convs; s++) {
        const struct conv *k = &convs[s / 2];
        struct net t;
        net_open(&t, s);
        net_input(&t, float_type(DIMS(k->n, k->c, k->h, k->w)));
        net_const(&t, float_type(DIMS(k->o, k->c / k->groups, k->kh, k->kw)));
        bool bias = s % 2 == 0;
        if (bias) net_const(&t, float_type(DIMS(k->o)));
        struct oct_attrs at = attrs_of(k);
        if (!bias) OCT_MARK(at, clip), at.clip[0] = -0.5f, at.clip[1] = 1.25f;
        struct oct_tensor *y = net_run(&t, OCT_OP_conv2d, &at, NULL);
        assert_non_null(y);
        int64_t at_y = 0;
        for (int64_t n = 0; n < k->n; n++)
            for (int64_t o = 0; o < k->o; o++)
                for (int64_t r = 0; r < y->type.dim[2]; r++)
                    for (int64_t c = 0; c < y->type.dim[3]; c++, at_y++) {
                        float acc = bias ? real_of(net_value(&t, 2), o) : 0;
                        for (int64_t a = 0; a < k->kh; a++)
                            for (int64_t b = 0; b < k->kw; b++)
                                for (int64_t i = 0, w; i < k->c / k->groups; i++) {
                                    int64_t x = tap(k, n, o, r, c, a, b, i, &w);
                                    if (x < 0) continue;
                                    float product = real_of(net_value(&t, 0), x) * real_of(net_value(&t, 1), w);
                                    acc = acc + product;
                                }
                        if (!bias) acc = acc < -0.5f ? -0.5f : acc > 1.25f ? 1.25f : acc;
                        float got = real_of(y, at_y);
                        assert_memory_equal(&got, &acc, sizeof acc);
                    }
        net_close(&t);
    }
}

static struct oct_type weight_type(struct net *t, enum oct_dtype d, bool channels, int rank, const int64_t *dim) {
    float *scale = OCT_NEW_N(t->a, float, dim[0]);
    for (int64_t i = 0; i < dim[0]; i++) scale[i] = 0.001f + 0.0001f * (float)(i % 7);
    struct oct_type y = type_of(d, rank, dim);
    y.q = channels ? oct_quant_channel(t->a, 0, (uint32_t)dim[0], scale, NULL)
                   : oct_quant_tensor(t->a, 0.002f, d == OCT_U8 ? 128 : 3);
    return y;
}

static int64_t clamped(wide v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : (int64_t)v; }

/* M as each profile forms it. */
static double factor(enum oct_profile p, float sx, float sw, float sy) {
    if (p != OCT_profile_onnx) return (double)sx * (double)sw / (double)sy;
    float product = sx * sw;
    return (double)(product / sy);
}

static void integer_convolutions(void **state) {
    (void)state;
    static const enum oct_dtype of_x[] = {OCT_I8, OCT_U8, OCT_I16}, of_w[] = {OCT_I8, OCT_U8, OCT_I8};
    for (unsigned s = 0; s < 9 * sizeof convs / sizeof *convs; s++) {
        const struct conv *k = &convs[s / 9];
        enum oct_profile p = (enum oct_profile)(s % 3);
        unsigned kind = s / 3 % 3;
        if (kind == 2 && p == OCT_profile_tflm) continue; /* its own form: below */
        struct net t;
        net_open(&t, s);
        int32_t zx = kind == 0 ? -128 + (int32_t)(s % 256) : kind == 1 ? 200 : -32768;
        net_input(&t, code_type(&t, of_x[kind], 0.03f, zx, DIMS(k->n, k->c, k->h, k->w)));
        net_const(&t, weight_type(&t, of_w[kind], kind != 1, DIMS(k->o, k->c / k->groups, k->kh, k->kw)));
        bool bias = s % 2 == 0;
        if (bias) net_const(&t, type_of(OCT_I32, DIMS(k->o)));
        struct oct_attrs at = attrs_of(k);
        OCT_SET(at, profile, p);
        int64_t lo = -128, hi = 127;
        if (s % 4 == 1) OCT_MARK(at, clip), at.clip[0] = (float)(lo = -20), at.clip[1] = (float)(hi = 90);
        float sy = kind == 2 ? 30.0f : 0.11f;
        struct oct_type yt = like_codes(&t, OCT_I8, sy, 5);
        struct oct_tensor *y = net_run(&t, OCT_OP_conv2d, &at, &yt);
        assert_non_null(y);
        const struct oct_quant *wq = t.operand[1]->type.q;
        int64_t at_y = 0;
        for (int64_t n = 0; n < k->n; n++)
            for (int64_t o = 0; o < k->o; o++)
                for (int64_t r = 0; r < y->type.dim[2]; r++)
                    for (int64_t c = 0; c < y->type.dim[3]; c++, at_y++) {
                        int64_t acc = bias ? code_of(net_value(&t, 2), o) : 0;
                        for (int64_t a = 0; a < k->kh; a++)
                            for (int64_t b = 0; b < k->kw; b++)
                                for (int64_t i = 0, w; i < k->c / k->groups; i++) {
                                    int64_t x = tap(k, n, o, r, c, a, b, i, &w);
                                    if (x >= 0)
                                        acc += (code_of(net_value(&t, 0), x) - zx) *
                                               (code_of(net_value(&t, 1), w) - oct_zero(wq, (uint32_t)o));
                                }
                        double m = factor(p, 0.03f, oct_scale(wq, (uint32_t)o), sy);
                        assert_int_equal(code_of(y, at_y), clamped(oracle(p, m, acc) + 5, lo, hi));
                    }
        net_close(&t);
    }
}

/* 16-bit activations under tflm: a multiplier of 16 bits, rounded once. */
static void tflm_of_16_bit_activations(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 77);
    net_input(&t, code_type(&t, OCT_I16, 0.001f, 0, DIMS(20, 50)));
    net_const(&t, weight_type(&t, OCT_I8, true, DIMS(18, 50)));
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, OCT_profile_tflm);
    struct oct_type yt = like_codes(&t, OCT_I16, 0.004f, 0);
    struct oct_tensor *y = net_run(&t, OCT_OP_dense, &at, &yt);
    assert_non_null(y);
    for (int64_t r = 0; r < 20; r++)
        for (int64_t o = 0; o < 18; o++) {
            int64_t acc = 0;
            for (int64_t i = 0; i < 50; i++) acc += code_of(net_value(&t, 0), r * 50 + i) * code_of(net_value(&t, 1), o * 50 + i);
            int e;
            int64_t m = multiplier(factor(OCT_profile_tflm, 0.001f, oct_scale(t.operand[1]->type.q, (uint32_t)o), 0.004f), &e);
            int64_t reduced = m < 0x7FFF0000 ? (m + 32768) >> 16 : 0x7FFF;
            int64_t v = (int64_t)floor_div((wide)acc * reduced * 2 + ((wide)1 << (15 - e)), (wide)1 << (16 - e));
            assert_int_equal(code_of(y, r * 18 + o), clamped(v, -32768, 32767));
        }
    net_close(&t);
}

/* Sums beyond 32 bits: every product at its largest. */
static void sums_that_leave_32_bits(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 5);
    net_input(&t, code_type(&t, OCT_I16, 1, -32768, DIMS(1, 1, 1, 600)));
    struct oct_type wt = type_of(OCT_I8, DIMS(1, 1, 1, 600));
    wt.q = oct_quant_tensor(t.a, 1, 0);
    int8_t *w = oct_alloc(t.a, 600);
    memset(w, -128, 600);
    net_operand(&t, oct_build_const(t.m, "w", &wt, w, (struct oct_span){0, 0, 0}));
    struct oct_type yt = like_codes(&t, OCT_I16, 4e5f, 0);
    t.node = oct_build(t.m, OCT_OP_conv2d, "y", t.operand, 2, NULL, &yt, (struct oct_span){0, 0, 0});
    assert_non_null(t.node);
    oct_add_output(t.m, "y", t.node, (struct oct_span){0, 0, 0});
    t.ex = oct_exec_new(&t.cx, t.m, 1);
    assert_non_null(t.ex);
    for (int i = 0; i < 600; i++) ((int16_t *)oct_exec_value(t.ex, t.operand[0])->data)[i] = 32767;
    oct_exec_run(t.ex, NULL, NULL);
    int64_t acc = -128ll * 65535 * 600;
    assert_true(acc < INT32_MIN);
    assert_int_equal(code_of(oct_exec_value(t.ex, t.node), 0), (int64_t)oracle(OCT_profile_q31, 1.0 / (double)4e5f, acc));
    net_close(&t);
}

/* Weights that are no constants are packed at each run. */
static void weights_that_are_values(void **state) {
    (void)state;
    for (int form = 0; form < 2; form++) {
        struct net t;
        net_open(&t, 9);
        if (form)
            net_input(&t, code_type(&t, OCT_I8, 0.1f, 3, DIMS(4, 21))),
                net_input(&t, code_type(&t, OCT_I8, 0.1f, 0, DIMS(19, 21)));
        else net_input(&t, float_type(DIMS(4, 21))), net_input(&t, float_type(DIMS(19, 21)));
        struct oct_type yt = like_codes(&t, OCT_I8, 3, -1);
        struct oct_tensor *y = net_run(&t, OCT_OP_dense, NULL, form ? &yt : NULL);
        assert_non_null(y);
        for (int64_t r = 0; r < 4; r++)
            for (int64_t o = 0; o < 19; o++) {
                float sum = 0;
                int64_t acc = 0;
                for (int64_t i = 0; i < 21; i++) {
                    if (form) {
                        acc += (code_of(net_value(&t, 0), r * 21 + i) - 3) * code_of(net_value(&t, 1), o * 21 + i);
                        continue;
                    }
                    float product = real_of(net_value(&t, 0), r * 21 + i) * real_of(net_value(&t, 1), o * 21 + i);
                    sum += product;
                }
                if (form)
                    assert_int_equal(
                        code_of(y, r * 19 + o),
                        clamped(oracle(OCT_profile_q31, factor(OCT_profile_q31, 0.1f, 0.1f, 3), acc) - 1, -128, 127));
                else assert_true(real_of(y, r * 19 + o) == sum);
            }
        net_close(&t);
    }
}

static void matrix_products(void **state) {
    (void)state;
    for (unsigned s = 0; s < 4; s++) {
        struct net t;
        net_open(&t, s);
        bool integer = s & 1;
        enum { M = 7, K = 10, N = 18 };
        if (integer)
            net_input(&t, code_type(&t, OCT_I8, 0.1f, 4, DIMS(3, 2, M, K))),
                net_input(&t, code_type(&t, OCT_U8, 0.2f, 77, DIMS(2, K, N)));
        else net_input(&t, float_type(DIMS(3, 2, M, K))), net_input(&t, float_type(DIMS(2, K, N)));
        struct oct_type yt = like_codes(&t, OCT_I8, 2, 7);
        struct oct_tensor *y = net_run(&t, OCT_OP_matmul, NULL, integer ? &yt : NULL);
        assert_non_null(y);
        assert_int_equal(oct_tensor_elements(y), 6 * M * N);
        for (int64_t i = 0; i < 6 * M * N; i++) {
            int64_t j = i % N, r = i / N % M, b = i / N / M, acc = 0;
            float sum = 0;
            for (int64_t k = 0; k < K; k++) {
                int64_t ia = (b * M + r) * K + k, ib = (b % 2 * K + k) * N + j;
                if (integer) {
                    acc += (code_of(net_value(&t, 0), ia) - 4) * (code_of(net_value(&t, 1), ib) - 77);
                    continue;
                }
                float product = real_of(net_value(&t, 0), ia) * real_of(net_value(&t, 1), ib);
                sum += product;
            }
            if (integer)
                assert_int_equal(code_of(y, i),
                                 clamped(oracle(OCT_profile_q31, factor(OCT_profile_q31, 0.1f, 0.2f, 2), acc) + 7, -128, 127));
            else assert_true(real_of(y, i) == sum);
        }
        net_close(&t);
    }
}

static void a_factor_that_is_no_power_of_two_is_refused_by_pot(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 1);
    net_input(&t, code_type(&t, OCT_I8, 0.3f, 0, DIMS(1, 4)));
    net_const(&t, weight_type(&t, OCT_I8, false, DIMS(2, 4)));
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, OCT_profile_pot);
    struct oct_type yt = like_codes(&t, OCT_I8, 1, 0);
    assert_null(net_run(&t, OCT_OP_dense, &at, &yt));
    assert_int_equal(oct_exit_code(&t.cx), OCT_EXIT_DATA);
    net_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_convolutions),
        cmocka_unit_test(integer_convolutions),
        cmocka_unit_test(tflm_of_16_bit_activations),
        cmocka_unit_test(sums_that_leave_32_bits),
        cmocka_unit_test(weights_that_are_values),
        cmocka_unit_test(matrix_products),
        cmocka_unit_test(a_factor_that_is_no_power_of_two_is_refused_by_pot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
