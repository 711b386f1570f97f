/* test_kernels_linear.c - conv2d and dense on codes, run by the evaluator, against the interpreter: shapes below, at and above
 * each tile, every kind of window, groups, extreme zero points, weights and saturation; and the bounds of the accumulator, where
 * one more is too much: widened with the same bits, or refused. */
#include "kernel_case.h"

/* Tiles of accumulators that no target of the table needs to have: channels x pixels; loops written out in part or whole. */
static const struct oct_target tiles[] = {
    {.name = "4x2", .tile_oc = 4, .tile_px = 2, .unroll = 1}, {.name = "2x2", .tile_oc = 2, .tile_px = 2, .unroll = 4},
    {.name = "1x1", .tile_oc = 1, .tile_px = 1, .unroll = 2}, {.name = "3x4", .tile_oc = 3, .tile_px = 4, .unroll = 3},
    {.name = "8x3", .tile_oc = 8, .tile_px = 3, .unroll = 1},
};
enum { TILES = sizeof tiles / sizeof *tiles };

/* What codes the operands hold. Weights are random within [lo, hi). */
struct codes {
    const char *x, *w, *y, *within, *attrs;
};
static const struct codes codes[] = {
    {"i8", "i8", "i8", "(-128,128)", ""},
    {"i8", "i8", "i8", "(127,128)", ""},
    {"i8", "i8", "u8", "(-127,-126)", "profile=tflm"},
    {"u8", "i8", "i8", "(-128,-127)", ""},
    {"u8", "u8", "i8", "(0,256)", "clip=(-9.0,90.0)"},
    {"i16", "i8", "i16", "(-128,128)", ""},
    {"i8", "i8", "i16", "(-3,4)", ""},
};
enum { CODES = sizeof codes / sizeof *codes };

static int32_t lowest(const char *type) { return *type == 'u' ? 0 : strcmp(type, "i8") == 0 ? -128 : 0; }
static int32_t highest(const char *type) { return *type == 'u' ? 255 : strcmp(type, "i8") == 0 ? 127 : 0; }

/* Zero points at both ends and inside; scales of the result from "almost all saturates" to "almost all is one code". */
struct params {
    char x[60], y[60], wq[700];
};
static struct params params_of(const struct codes *c, int outputs, uint64_t r) {
    static const char *const scales[] = {"0.04", "0.9", "2.5", "60.0"};
    struct params p;
    const bool w_unsigned = *c->w == 'u';
    int zx = r % 3 == 0 ? lowest(c->x) : r % 3 == 1 ? highest(c->x) : (lowest(c->x) + highest(c->x)) / 2 + 3;
    int zy = r / 3 % 3 == 0 ? lowest(c->y) : r / 3 % 3 == 1 ? highest(c->y) : (lowest(c->y) + highest(c->y)) / 2 - 3;
    if (c->x[1] == '1') zx = 0;
    if (c->y[1] == '1') zy = 0;
    snprintf(p.x, sizeof p.x, "scale=0.05 zero=%d", zx);
    snprintf(p.y, sizeof p.y, "%s scale=%s zero=%d", c->y, scales[r / 9 % 4], zy);
    if (w_unsigned || outputs > 40) {
        snprintf(p.wq, sizeof p.wq, "scale=0.013 zero=%d", w_unsigned ? (int)(r % 256) : 0);
    } else { /* a scale for each channel */
        size_t n = (size_t)snprintf(p.wq, sizeof p.wq, "scale[0]=(");
        for (int i = 0; i < outputs; i++)
            n += (size_t)snprintf(p.wq + n, sizeof p.wq - n, "%s%.6f", i ? "," : "",
                                  0.002 + (double)(mix(r + (uint64_t)i) % 1000) * 0.00002);
        snprintf(p.wq + n, sizeof p.wq - n, ")");
    }
    return p;
}

struct shape {
    int n, groups, per_in, per_out, h, w, kh, kw;
    const char *attrs;
};
static void check_conv(const struct shape *s, const struct codes *c, bool bias, uint64_t r) {
    const int in = s->groups * s->per_in, out = s->groups * s->per_out;
    struct params p = params_of(c, out, r);
    char b[120] = "";
    if (bias) snprintf(b, sizeof b, "const @b : i32[%d] = random seed=%d within=(-20000,20000)\n", out, (int)(r % 1000));
    kc.target = &tiles[r / 7 % TILES];
    kc_check("input x : %s[%d,%d,%d,%d] %s\nconst @w : %s[%d,%d,%d,%d] %s = random seed=%d within=%s\n%sy : %s = conv2d(x, @w%s) "
             "groups=%d %s %s",
             c->x, s->n, in, s->h, s->w, p.x, c->w, out, s->per_in, s->kh, s->kw, p.wq, (int)(r % 997), c->within, b, p.y,
             bias ? ", @b" : "", s->groups, s->attrs, c->attrs);
}

/* Output channels and pixels around the tiles; primes. */
static void tiles_of_channels_and_pixels(void **state) {
    (void)state;
    static const int channels[] = {1, 2, 3, 4, 5, 7, 8, 9, 13}, widths[] = {1, 2, 3, 4, 5, 7};
    uint64_t r = 1;
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++)
            for (int t = 0; t < 2; t++) {
                struct shape s = {1, 1, 1 + (int)((i + j) % 3), channels[i], 2, widths[j], 1, 1, ""};
                check_conv(&s, &codes[r % CODES], r % 2, r);
                r = mix(r) >> 20;
            }
}

static const struct shape windows[] = {
    {1, 1, 3, 8, 6, 6, 3, 3, "pad=1"},
    {2, 1, 3, 5, 7, 5, 3, 3, "pad=same stride=2"},
    {1, 1, 1, 1, 1, 1, 1, 1, ""},
    {1, 1, 2, 5, 2, 2, 5, 5, "pad=2"},
    {1, 1, 2, 7, 9, 8, 2, 3, "pad=(0,2,1,0) stride=(3,2)"},
    {1, 1, 4, 3, 9, 9, 3, 2, "dilation=(2,3) pad=(4,0,1,3)"},
    {1, 1, 5, 4, 11, 1, 7, 1, "pad=(3,0,3,0) stride=(2,1)"},
    {3, 1, 1, 9, 1, 13, 1, 5, "stride=(1,3)"},
    {1, 1, 17, 4, 3, 3, 1, 1, "stride=2"},
    {1, 5, 1, 1, 6, 7, 3, 3, "pad=1"}, /* depthwise */
    {2, 8, 1, 1, 5, 5, 3, 3, "pad=(0,0,1,1) stride=2"},
    {1, 3, 1, 1, 9, 9, 2, 4, "dilation=(3,2) pad=(1,0,2,5)"},
    {1, 4, 1, 1, 8, 8, 7, 5, "pad=3"}, /* too many taps to write out */
    {1, 3, 1, 4, 5, 6, 3, 3, "pad=1"}, /* with a channel multiplier */
    {1, 2, 1, 5, 4, 4, 2, 2, "stride=2"},
    {1, 2, 3, 4, 6, 5, 3, 3, "pad=1 stride=(2,1)"}, /* groups of several */
    {2, 3, 2, 3, 4, 7, 1, 3, "pad=(0,1,0,1)"},
    {1, 16, 2, 2, 3, 3, 2, 2, "pad=(1,0,0,1)"},
    {1, 37, 1, 2, 3, 3, 3, 3, "pad=1"},
    {1, 29, 3, 1, 2, 3, 2, 2, "pad=1 dilation=2"},
};
static void windows_and_groups(void **state) {
    (void)state;
    uint64_t r = 5;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        for (size_t c = 0; c < CODES; c++)
            for (int turn = 0; turn < 2; turn++) {
                check_conv(&windows[i], &codes[c], (turn + (int)i) % 3 != 0, r);
                r = mix(r) >> 20;
            }
}

static void dense_layers(void **state) {
    (void)state;
    static const int outputs[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23}, inputs[] = {1, 2, 7, 64};
    static const char *const rows[] = {"", "3,", "2,2,"};
    uint64_t r = 9;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (size_t j = 0; j < sizeof inputs / sizeof *inputs; j++)
            for (int t = 0; t < 3; t++) {
                const struct codes *c = &codes[r % CODES];
                struct params p = params_of(c, outputs[i], r);
                kc.target = &tiles[r / 7 % TILES];
                kc_check("input x : %s[%s%d] %s\nconst @w : %s[%d,%d] %s = random seed=%d within=%s\nconst @b : i32[%d] = random "
                         "seed=3 within=(-5000,5000)\ny : %s = dense(x, @w%s) %s",
                         c->x, *rows[t] ? rows[t] : "1,", inputs[j], p.x, c->w, outputs[i], inputs[j], p.wq, (int)(r % 997),
                         c->within, outputs[i], p.y, r % 2 ? ", @b" : "", c->attrs);
                r = mix(r) >> 20;
            }
}

/* ---- bounds of the accumulator ------------------------------------------------------------------------------------------ */

static bool has_wide_sum(void) {
    bool wide = false;
    for (int32_t i = 0; i < kc.last.k->nregs; i++)
        wide |= kc.last.k->reg[i].type.elem == LP_I64 && kc.last.k->reg[i].name && strcmp(kc.last.k->reg[i].name, "c0p0") == 0;
    return wide;
}
/* How often a row stands in the loop over the terms of a sum. */
static int rows_in_sum(enum lp_row row) {
    int n = 0;
    const struct lp_stmt *s = kc.last.k->body;
    while (s && s->kind != LP_STMT_FOR) s = s->next;
    assert_non_null(s);
    for (s = s->body; s; s = s->next)
        if (s->kind == LP_STMT_OP && s->row == row) n++;
    return n;
}

/* 40 weights of 127 and codes from the zero point -128 up: the products reach 40 127 255. */
enum { TERMS = 40, REACH = TERMS * 127 * 255 };
static void dense_with_bias(int64_t bias, const char *within, const char *scale) {
    kc_check(
        "input x : i8[1,%d] scale=1.0 zero=-128\nconst @w : i8[1,%d] scale=1.0 = random seed=1 within=%s\nconst @b : i32[1] = "
        "(%lld)\ny : i8 scale=%s zero=3 = dense(x, @w, @b)",
        TERMS, TERMS, within, (long long)bias, scale);
}
static void one_more_than_int32_is_widened(void **state) {
    (void)state;
    static const char *const scales[] = {"1000.0", "0.5", "16000000.0"}; /* 2^31 / 16e6 = 134 > 127: saturates just so */
    for (int s = 0; s < 3; s++) {
        dense_with_bias(INT32_MAX - REACH, "(127,128)", scales[s]);
        assert_false(has_wide_sum());
        assert_int_equal(kc.last.acc_bound, INT32_MAX);
        assert_int_equal(kc.last.overflow_proofs.accepted, 1);
        assert_int_equal(kc.last.overflow_proofs.refused, 0);
        dense_with_bias(INT32_MAX - REACH + 1, "(127,128)", scales[s]);
        assert_true(has_wide_sum());
        assert_int_equal(kc.last.acc_bound, (int64_t)INT32_MAX + 1);
        assert_int_equal(kc.last.overflow_proofs.accepted, 0);
        assert_int_equal(kc.last.overflow_proofs.refused, 1);
        dense_with_bias((int64_t)INT32_MIN + REACH, "(-127,-126)", scales[s]);
        assert_false(has_wide_sum());
        dense_with_bias((int64_t)INT32_MIN + REACH - 1, "(-127,-126)", scales[s]);
        assert_true(has_wide_sum());
    }
    /* far beyond, by words of 16 bits */
    kc_check("input x : i16[2,700] scale=1.0 zero=0\nconst @w : i8[9,700] scale=1.0 = random seed=1 within=(100,128)\n"
             "y : i16 scale=1.0 zero=0 = dense(x, @w)");
    assert_true(has_wide_sum());
    kc_check("input x : i16[1,80,3,4] scale=1.0 zero=0\nconst @w : i8[5,80,3,3] scale=1.0 = random seed=2 within=(-128,-127)\n"
             "y : i16 scale=9.0 zero=0 = conv2d(x, @w) pad=(1,0,1,2)");
    kc_check("input x : i16[1,3,24,24] scale=1.0 zero=0\nconst @w : i8[3,1,23,23] scale=1.0 = random seed=2 within=(127,128)\n"
             "y : i16 scale=9.0 zero=0 = conv2d(x, @w) groups=3");
}

/* A result that has not reached its clamp where 32 bits end: all bits of the sum count then. */
static void a_wide_sum_that_does_not_saturate_keeps_its_bits(void **state) {
    (void)state;
    static const char *const scales[] = {"20000000.0", "17100000.0", "16900000.0", "3e9"};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        for (int over = 0; over < 2; over++) {
            dense_with_bias((int64_t)INT32_MAX - REACH + over, "(127,128)", scales[i]);
            assert_int_equal(has_wide_sum(), over);
        }
}

/* Channels of which one needs all bits and another has a multiplier too large for that: refused, with its reason. */
static void what_no_sequence_holds_is_refused(void **state) {
    (void)state;
    const char *text =
        "octavo 1\nmodel m\ninput x : i8[1,40] scale=1.0 zero=-128\nconst @w : i8[2,40] scale[0]=(%s, 1e-8) = random "
        "seed=1 within=(127,128)\n"
        "const @b : i32[2] = (2147483647, 2147483647)\ny : i8 scale=1.0 zero=0 = dense(x, @w, @b)\noutput y\n";
    for (int refused = 0; refused < 2; refused++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        struct oct_arena *a = oct_arena_new(&cx);
        const char *s = oct_sprintf(a, text, refused ? "1.0" : "1e-7");
        struct oct_module *m = oct_parse(&cx, "case", s, strlen(s));
        struct oct_compile_options opt = {.target = oct_target_find("host"), .name = "m", .batch = 1};
        struct oct_compiled out;
        assert_non_null(m);
        assert_int_equal(oct_compile(&cx, a, m, &opt, &out), !refused);
        struct oct_text d;
        oct_text_init(&d, a);
        oct_diag_render(&cx, &d);
        if (refused) assert_non_null(strstr(d.s, "E6002"));
        else assert_int_equal(d.len, 0);
        oct_ctx_free(&cx);
    }
}

/* Codes that never come near zero: the folded bias lies outside 32 bits though no sum does. Sums wrap there and come back, so
 * they must be the kind of addition that may; one less, and they are proved not to. */
static void partial_sums_that_wrap(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        kc.target = &tiles[0];
        kc_check(
            "input i : i8[1,40] scale=1.0 zero=-128\nconst @w : i8[1,40] scale=1.0 = random seed=1 within=(127,128)\nconst @b : "
            "i32[1] = (%d)\nx : i8 scale=1.0 zero=100 = requantize(i) clip=(100.0,127.0)\ny : i8 scale=16000000.0 zero=9 = "
            "dense(x, @w, @b)",
            INT32_MIN + 40 * 127 * 100 - over);
        assert_false(has_wide_sum());
        assert_int_equal(rows_in_sum(LP_OP_add), over);
        assert_int_equal(rows_in_sum(LP_OP_add_nw), !over);
        assert_int_equal(kc.last.overflow_proofs.accepted, 1);
    }
}

static void every_kernel_ran(void **state) {
    (void)state;
    uint32_t n;
    const struct oct_kernel_info *k = oct_kernel_list(&n);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(k[i].name, "conv2d") == 0 || strcmp(k[i].name, "dense") == 0) assert_true(kc.used[i] > 100);
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

static int setup(void **state) {
    kc.sample = 61;
    return kc_setup(state);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_of_channels_and_pixels),
        cmocka_unit_test(windows_and_groups),
        cmocka_unit_test(dense_layers),
        cmocka_unit_test(one_more_than_int32_is_widened),
        cmocka_unit_test(a_wide_sum_that_does_not_saturate_keeps_its_bits),
        cmocka_unit_test(what_no_sequence_holds_is_refused),
        cmocka_unit_test(partial_sums_that_wrap),
        cmocka_unit_test(every_kernel_ran),
        cmocka_unit_test(printed_c),
    };
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
