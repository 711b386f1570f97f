/* fold_channels: the bits stay, the multiplications go; near misses stay in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "passes/pass.h"

enum { C = 6, H = 5, W = 4 };

static uint32_t rng;
static int32_t random_code(void) {
    rng = rng * 1664525u + 1013904223u;
    return (int32_t)(rng >> 24) - 128;
}

static struct oct_type type(struct oct_module *m, enum oct_dtype dtype, int rank, const int64_t *dim, float scale, int32_t zero) {
    struct oct_type t = {.dtype = dtype, .rank = rank};
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    if (scale > 0) t.q = oct_quant_tensor(m->arena, scale, zero);
    return t;
}

static struct oct_node *weights(struct oct_module *m, int64_t o, int64_t i, int64_t k, int rank, const char *dead) {
    int8_t *w = OCT_NEW_N(m->arena, int8_t, o * i * k * k);
    for (int64_t e = 0; e < o * i * k * k; e++) w[e] = dead && dead[e / (i * k * k)] == 'd' ? 0 : (int8_t)random_code();
    struct oct_type t = type(m, OCT_I8, rank, (int64_t[]){o, i, k, k}, 0.01f, 0);
    return oct_build_const(m, oct_fresh_const_name(m, "w"), &t, w, (struct oct_span){0, 0, 0});
}

static struct oct_node *bias(struct oct_module *m, int64_t o, const char *dead, int32_t value) {
    int32_t *b = OCT_NEW_N(m->arena, int32_t, o);
    for (int64_t e = 0; e < o; e++) b[e] = dead && dead[e] == 'd' ? value : random_code() * 20;
    struct oct_type t = type(m, OCT_I32, 1, &o, 0, 0);
    return oct_build_const(m, oct_fresh_const_name(m, "b"), &t, b, (struct oct_span){0, 0, 0});
}

static struct oct_node *conv(struct oct_module *m, struct oct_node *x, int64_t o, int64_t groups, int64_t k, int64_t pad,
                             const char *dead, int32_t dead_bias, int32_t zero) {
    const int64_t i = x->type.dim[1];
    struct oct_node *operand[3] = {x, weights(m, o, i / groups, k, 4, dead), bias(m, o, dead, dead_bias)};
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, groups, groups);
    OCT_MARK(at, pad);
    for (int e = 0; e < 4; e++) at.pad[e] = pad;
    OCT_SET(at, profile, OCT_profile_q31);
    struct oct_type t =
        type(m, OCT_I8, 4, (int64_t[]){1, o, x->type.dim[2] + 2 * pad - k + 1, x->type.dim[3] + 2 * pad - k + 1}, 0.5f, zero);
    struct oct_node *y = oct_build(m, OCT_OP_conv2d, NULL, operand, 3, &at, &t, (struct oct_span){0, 0, 0});
    assert_non_null(y);
    return y;
}

static struct oct_node *finish(struct oct_module *m, struct oct_node *x) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, axes);
    at.axes = (struct oct_ints){2, {2, 3}};
    OCT_SET(at, profile, OCT_profile_q31);
    struct oct_type t = type(m, OCT_I8, 2, (int64_t[]){1, x->type.dim[1]}, 0.3f, 5);
    struct oct_node *y = oct_build(m, OCT_OP_mean, NULL, &x, 1, &at, &t, (struct oct_span){0, 0, 0});
    assert_non_null(y);
    struct oct_node *operand[3] = {y, weights(m, 3, y->type.dim[1], 1, 2, NULL), bias(m, 3, NULL, 0)};
    oct_attrs_init(&at);
    OCT_SET(at, profile, OCT_profile_q31);
    t = type(m, OCT_I8, 2, (int64_t[]){1, 3}, 0.2f, 0);
    y = oct_build(m, OCT_OP_dense, NULL, operand, 3, &at, &t, (struct oct_span){0, 0, 0});
    assert_non_null(y);
    oct_add_output(m, "y", y, (struct oct_span){0, 0, 0});
    return y;
}

static void outputs_of(struct oct_ctx *cx, const struct oct_module *m, uint32_t seed, int8_t *out) {
    rng = seed;
    struct oct_exec *ex = oct_exec_new(cx, m, 1);
    assert_non_null(ex);
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_input) continue;
        const struct oct_tensor *t = oct_exec_value(ex, n);
        for (int64_t i = 0; i < oct_tensor_elements(t); i++) ((int8_t *)t->data)[i] = (int8_t)random_code();
    }
    oct_exec_run(ex, NULL, NULL);
    const struct oct_tensor *y = oct_exec_value(ex, m->output[0].node);
    memcpy(out, y->data, (size_t)oct_tensor_elements(y));
    oct_exec_free(ex);
}

static int64_t macs(const struct oct_module *m) {
    int64_t sum = 0;
    OCT_FOR_NODES(m, n) sum += oct_macs(n);
    return sum;
}

/* One network: conv (some channels dead) -> conv with `groups` -> 1x1 conv -> add with itself -> mean -> dense. Returns how many
 * of the first conv's channels are left after the pass; checks the bits. */
static int64_t left_after(const char *dead, int32_t dead_bias, int32_t zero, int64_t pad, int64_t groups, int64_t *saved) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_module *m = oct_module_new(&cx, "m");
    rng = 7;
    struct oct_type t = type(m, OCT_I8, 4, (int64_t[]){1, 3, H, W}, 0.1f, -3);
    struct oct_node *x = oct_build_input(m, "x", &t, (struct oct_span){0, 0, 0});
    struct oct_node *c = conv(m, x, C, 1, 3, 1, dead, dead_bias, zero);
    const char *name = c->name;
    struct oct_node *d = conv(m, c, C, groups, 3, pad, groups == C ? dead : NULL, 0, zero);
    struct oct_node *p = conv(m, d, 4, 1, 1, 0, NULL, 0, 3);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, OCT_profile_q31);
    struct oct_type ta = type(m, OCT_I8, 4, p->type.dim, 0.9f, -7);
    struct oct_node *s = oct_build(m, OCT_OP_add, NULL, (struct oct_node *[]){p, p}, 2, &at, &ta, (struct oct_span){0, 0, 0});
    finish(m, s);
    assert_true(oct_verify(m));
    int8_t before[4][3], after[3];
    for (uint32_t i = 0; i < 4; i++) outputs_of(&cx, m, i, before[i]);
    const int64_t had = macs(m);
    const struct oct_run_options opt = {.passes = (const char *const[]){"fold_channels", "dce", NULL}};
    assert_true(oct_run_pipeline(&cx, m, &opt));
    for (uint32_t i = 0; i < 4; i++) {
        outputs_of(&cx, m, i, after);
        assert_memory_equal(before[i], after, 3);
    }
    const int64_t left = oct_find_value(m, name)->type.dim[1];
    if (saved) *saved = had - macs(m);
    oct_ctx_free(&cx);
    return left;
}

static void dead_channels_leave(void **state) {
    (void)state;
    int64_t saved;
    assert_int_equal(left_after("......", 0, -128, 1, C, &saved), 6);
    assert_int_equal(saved, 0);
    assert_int_equal(left_after("d..d..", -100000, -128, 1, C, &saved),
                     4); /* clamped to the zero point: absorbed even under padding */
    assert_int_equal(saved, 2 * (3 * 9 + 9 + 4) * H * W);
    assert_int_equal(left_after("dddddd", -100000, -128, 1, C, &saved), 1); /* one stays: a tensor has channels */
}

/* A constant other than the zero point may not go where a padded full convolution reads it (at the border it is missing from the
 * sum); without padding, or when padding equals it, it may. */
static void a_constant_beside_the_zero_point_stays_under_padding(void **state) {
    (void)state;
    assert_int_equal(left_after("d..d..", 100000, -128, 1, 1, NULL), 6);
    assert_int_equal(left_after("d..d..", 100000, -128, 0, 1, NULL), 4);
    assert_int_equal(left_after("d..d..", 100000, 127, 1, 1, NULL), 4);
    assert_int_equal(left_after("d..d..", 100000, -128, 1, C, NULL),
                     4); /* depthwise: its weights are zero there, constant again */
}

/* Near miss: a channel that reaches two codes stays. The dead channels' weights are zero, so the bias alone decides: one that
 * requantizes to a code is constant whatever it is. A channel with one weight of 1 is not. */
static void a_channel_with_two_codes_stays(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        struct oct_module *m = oct_module_new(&cx, "m");
        struct oct_type t = type(m, OCT_I8, 2, (int64_t[]){1, 2}, 1.0f, 0);
        struct oct_node *x = oct_build_input(m, "x", &t, (struct oct_span){0, 0, 0});
        /* y0 = requant(x0 * k): k = 1 with M = 1/512: |acc| <= 128 rounds to 0 for acc in [-128, 127] only if acc > -256; near
         * miss: k = 2 gives -256/512 = -1/2, rounded up to 0, and 2 * 127 = 254 -> 0; k = 3 reaches -384/512 -> -1: two codes. */
        static int8_t w[2][4] = {{2, 0, 5, 7}, {3, 0, 5, 7}};
        struct oct_type wt = type(m, OCT_I8, 2, (int64_t[]){2, 2}, 1.0f, 0),
                        yt = type(m, OCT_I8, 2, (int64_t[]){1, 2}, 512.0f, 0);
        struct oct_node *operand[3] = {x, oct_build_const(m, "w", &wt, w[wide], (struct oct_span){0, 0, 0}), bias(m, 2, "dd", 0)};
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_SET(at, profile, OCT_profile_q31);
        struct oct_node *y = oct_build(m, OCT_OP_dense, "mid", operand, 3, &at, &yt, (struct oct_span){0, 0, 0});
        assert_non_null(y);
        rng = 3;
        struct oct_node *next[3] = {y, weights(m, 3, 2, 1, 2, NULL), bias(m, 3, NULL, 0)};
        struct oct_type zt = type(m, OCT_I8, 2, (int64_t[]){1, 3}, 9.0f, 0);
        struct oct_node *z = oct_build(m, OCT_OP_dense, "out", next, 3, &at, &zt, (struct oct_span){0, 0, 0});
        oct_add_output(m, "y", z, (struct oct_span){0, 0, 0});
        int8_t before[3], after[3];
        outputs_of(&cx, m, 9, before);
        const struct oct_run_options opt = {.passes = (const char *const[]){"fold_channels", NULL}};
        assert_true(oct_run_pipeline(&cx, m, &opt));
        outputs_of(&cx, m, 9, after);
        assert_memory_equal(before, after, 3);
        assert_int_equal(oct_find_value(m, "mid")->type.dim[1], wide ? 2 : 1);
        oct_ctx_free(&cx);
    }
}

/* 16-bit activations under tflm round by a multiplier of 16 bits. The constant of a dead channel must be the code that the
 * interpreter gives: with the multiplier of 31 bits it would be another here. */
static void sixteen_bits_under_tflm(void **state) {
    (void)state;
    struct oct_requant wide, narrow;
    const float s_x = 0.001f, s_w = 0.0123f, s_y = 0.00002f;
    assert_true(oct_requant_from_scales(OCT_profile_tflm, s_x, s_w, s_y, &wide));
    assert_true(oct_requant_linear(OCT_profile_tflm, OCT_I16, s_x, s_w, s_y, &narrow));
    int32_t b = 1;
    while (oct_requant_apply(&wide, b) == oct_requant_apply(&narrow, b)) b++;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_module *m = oct_module_new(&cx, "m");
    struct oct_type t = type(m, OCT_I16, 2, (int64_t[]){1, 1}, s_x, 0), wt = type(m, OCT_I8, 2, (int64_t[]){2, 1}, s_w, 0),
                    yt = type(m, OCT_I16, 2, (int64_t[]){1, 2}, s_y, 0), vt = type(m, OCT_I8, 2, (int64_t[]){1, 2}, 1.0f, 0),
                    zt = type(m, OCT_I16, 2, (int64_t[]){1, 1}, s_y, 0);
    const struct oct_type bt = {.dtype = OCT_I32, .rank = 1, .dim = {2}};
    static const int8_t w[2] = {0, 3}, v[2] = {1, 1};
    const int32_t bias_codes[2] = {b, 5};
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, OCT_profile_tflm);
    struct oct_node *x = oct_build_input(m, "x", &t, (struct oct_span){0, 0, 0});
    struct oct_node *first[3] = {x, oct_build_const(m, "w", &wt, w, x->span), oct_build_const(m, "b", &bt, bias_codes, x->span)};
    struct oct_node *y = oct_build(m, OCT_OP_dense, "y", first, 3, &at, &yt, x->span);
    struct oct_node *second[2] = {y, oct_build_const(m, "v", &vt, v, x->span)};
    oct_add_output(m, "z", oct_build(m, OCT_OP_dense, "z", second, 2, &at, &zt, x->span), x->span);
    int16_t before = 0, after = 0;
    for (int pass = 0; pass < 2; pass++) {
        struct oct_exec *ex = oct_exec_new(&cx, m, 1);
        assert_non_null(ex);
        *(int16_t *)oct_exec_value(ex, oct_find_value(m, "x"))->data = 100;
        oct_exec_run(ex, NULL, NULL);
        *(pass ? &after : &before) = *(const int16_t *)oct_exec_value(ex, m->output[0].node)->data;
        oct_exec_free(ex);
        const struct oct_run_options opt = {.passes = (const char *const[]){"fold_channels", NULL}};
        if (!pass) assert_true(oct_run_pipeline(&cx, m, &opt));
    }
    assert_int_equal(oct_find_value(m, "y")->type.dim[1], 1);
    assert_int_equal(before, after);
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_channels_leave), cmocka_unit_test(a_constant_beside_the_zero_point_stays_under_padding),
        cmocka_unit_test(a_channel_with_two_codes_stays), cmocka_unit_test(sixteen_bits_under_tflm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
