/* test_kernels_linear.c - conv2d and dense on codes, run by the evaluator, against the interpreter: shapes below, at and above
 * each tile, every kind of window, groups, extreme zero points, weights and saturation; and the bounds of the accumulator, where
 * one more is too much: widened with the same bits, or refused. */
#include "linear_case.h"

/* Tiles of accumulators that no target of the table needs to have: channels x pixels; loops written out in part or whole. */
static const struct oct_target tiles[] = {
    {.name = "4x2", .tile_oc = 4, .tile_px = 2, .unroll = 1},
    {.name = "2x2", .tile_oc = 2, .tile_px = 2, .unroll = 4},
    {.name = "1x1", .tile_oc = 1, .tile_px = 1, .unroll = 2},
    {.name = "3x4", .tile_oc = 3, .tile_px = 4, .unroll = 3},
    {.name = "8x3", .tile_oc = 8, .tile_px = 3, .unroll = 1},
    /* Products in pairs: weights of 16 bits where the flash allows, else of 8. */
    {.name = "pairs", .isa = LP_ISA_DSP, .tile_oc = 2, .tile_px = 3, .unroll = 2, .flash = 1 << 20},
    {.name = "pairs of bytes", .isa = LP_ISA_DSP, .tile_oc = 3, .tile_px = 2, .unroll = 4},
};
enum { TILES = sizeof tiles / sizeof *tiles };

static void check_tiled(const struct shape *s, const struct codes *c, bool bias, uint64_t r) {
    kc.target = &tiles[r / 7 % TILES];
    check_conv(s, c, bias, r);
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
                check_tiled(&s, &codes[r % CODES], r % 2, r);
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
    {2, 1, 8, 5, 4, 6, 3, 3, "pad=1"}, /* channels in fours */
    {1, 1, 4, 7, 5, 7, 2, 3, "pad=(0,1,1,1) stride=(1,2)"},
    {1, 1, 12, 3, 6, 6, 2, 2, "dilation=(1,2) pad=1"},
    {1, 5, 1, 1, 6, 7, 3, 3, "pad=1"}, /* depthwise */
    {2, 8, 1, 1, 5, 5, 3, 3, "pad=(0,0,1,1) stride=2"},
    {1, 8, 1, 1, 6, 9, 3, 3, "pad=1"}, /* channels in fours */
    {2, 12, 1, 1, 7, 7, 3, 3, "stride=2 pad=(0,0,1,1)"},
    {1, 4, 1, 1, 5, 11, 2, 3, "stride=(1,2)"},
    {1, 4, 1, 1, 9, 5, 5, 1, "dilation=(2,1) pad=(2,0,2,0)"},
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
                check_tiled(&windows[i], &codes[c], (turn + (int)i) % 3 != 0, r);
                r = mix(r) >> 20;
            }
}

static void dense_layers(void **state) {
    (void)state;
    static const int outputs[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23}, inputs[] = {1, 4, 7, 20, 64};
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
        struct oct_compile_options opt = {.target = oct_target_find("c99"), .name = "m", .batch = 1};
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
        if (strstr("conv2d conv2d_pairs dense dense_pairs depthwise_pairs", k[i].name)) assert_true(kc.used[i] > 50);
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
