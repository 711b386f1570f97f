/* test_vec_conv.c - conv2d on vectors, by the evaluator and by LLVM, against the interpreter: channels and pixels below, at and
 * above each tile and primes, every kind of window and padding, odd pairs, bands of rows, results in other layouts, zero points,
 * weights and saturation at their ends; and what it must leave to the scalar kernel. */
#include "linear_case.h"
#include "vector_case.h"

static const char *const targets[] = {"x86-64-v3", "x86-64-v4"};

static void check(const struct shape *s, const struct codes *c, bool bias, uint64_t r) {
    kc.target = oct_target_find(targets[r / 7 % 2]);
    check_conv(s, c, bias, r);
    if (c->w[0] == 'i') assert_string_equal(kc.info->name, "conv2d_vec"); /* others less a zero point may take 16 bits */
}

/* Vectors hold 8 or 16 channels; tiles 6, 12 or more pixels. */
static void tiles_of_channels_and_pixels(void **state) {
    (void)state;
    static const int channels[] = {1, 5, 7, 8, 9, 15, 16, 17, 23, 24, 31, 33, 40, 47, 67};
    static const int widths[] = {1, 2, 3, 5, 6, 7, 11, 12, 13, 14, 15, 25, 29, 31};
    uint64_t r = 1;
    kc.sample = 61;
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j += 1 + (i + j) % 3) {
            struct shape s = {1, 1, 1 + (int)((i + j) % 5), channels[i], 2, widths[j], 1, 1 + (int)(r % 2), ""};
            if (widths[j] == 1) s.kw = 1;
            check(&s, &codes[r % CODES8], r % 2, r);
            r = mix(r) >> 20;
        }
    vc_compare();
}

static const struct shape windows[] = {
    {1, 1, 3, 8, 6, 6, 3, 3, "pad=1"},
    {2, 1, 3, 5, 7, 5, 3, 3, "pad=same stride=2"},
    {1, 1, 1, 17, 9, 8, 3, 3, "pad=1 stride=2"}, /* odd pairs */
    {1, 1, 1, 9, 49, 10, 10, 4, "pad=same stride=2"},
    {1, 1, 2, 5, 2, 2, 5, 5, "pad=2"}, /* rows of padding alone */
    {1, 1, 2, 7, 9, 8, 2, 3, "pad=(0,2,1,0) stride=(3,2)"},
    {1, 1, 4, 18, 9, 9, 3, 2, "dilation=(2,1) pad=(4,0,1,3)"},
    {1, 1, 5, 4, 11, 1, 7, 1, "pad=(3,0,3,0) stride=(2,1)"},
    {3, 1, 1, 9, 1, 13, 1, 5, "stride=(1,3)"},
    {1, 1, 17, 4, 3, 3, 1, 1, "stride=2"},
    {1, 1, 64, 19, 5, 5, 1, 1, ""},
    {1, 1, 65, 8, 4, 3, 3, 3, "pad=1"},
    {1, 1, 6, 33, 12, 7, 5, 5, "pad=2"},
    {2, 1, 7, 16, 4, 4, 2, 2, "stride=2"},
    {1, 1, 3, 3, 1, 1, 3, 3, "pad=1"},
    {1, 1, 8, 8, 5, 4, 5, 4, ""},
    {1, 1, 4, 24, 8, 3, 1, 3, "pad=(1,9,2,0)"}, /* pixels of padding alone */
    {1, 1, 100, 8, 23, 40, 1, 1, ""},           /* bands */
    {1, 1, 128, 3, 12, 40, 2, 1, "pad=(1,0,0,0)"},
};
static void kinds_of_windows(void **state) {
    (void)state;
    uint64_t r = 5;
    kc.sample = 71;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        for (size_t c = 0; c < CODES8 + 2; c++) {
            const struct codes to16 = {"u8", "i8", "i16", "(-128,128)", ""}; /* results of 16 bits */
            check(&windows[i], c < CODES8 ? &codes[c] : &to16, c % 3 != 0, r);
            r = mix(r) >> 20;
        }
    vc_compare();
}

/* One row takes many channels at once, several share the weights. */
static void dense_layers(void **state) {
    (void)state;
    static const int outputs[] = {1, 7, 8, 9, 16, 23, 32, 63, 64, 65, 130}, inputs[] = {1, 2, 7, 64, 131};
    static const char *const rows[] = {"1,", "3,", "2,2,", "7,", "2,1,13,"};
    uint64_t r = 9;
    kc.sample = 7;
    kc.prefer = "dense_vec";
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
            const struct codes *c = &codes[r % CODES8];
            const int in = inputs[(i + t) % 5];
            struct params p = params_of(c, outputs[i], r);
            kc.target = oct_target_find(targets[r / 7 % 2]);
            kc_check(
                "input x : %s[%s%d] %s\nconst @w : %s[%d,%d] %s = random seed=%d within=%s\nconst @b : i32[%d] = random seed=3 "
                "within=(-5000,5000)\ny : %s = dense(x, @w%s) %s",
                c->x, rows[t], in, p.x, c->w, outputs[i], in, p.wq, (int)(r % 997), c->within, outputs[i], p.y,
                r % 2 ? ", @b" : "", c->attrs);
            if (c->w[0] == 'i' && t != 2 && t != 4) /* several axes may lie unevenly, or have a border */
                assert_string_equal(kc.info->name, "dense_vec");
            r = mix(r) >> 20;
        }
    kc.prefer = NULL;
    vc_compare();
}

/* A tuner may choose any way of a layer: all are exact. */
static void every_way(void **state) {
    (void)state;
    static const struct shape shapes[] = {{1, 1, 9, 17, 5, 7, 3, 3, "pad=1"}, {1, 1, 36, 41, 2, 7, 1, 1, ""}};
    kc.sample = 11;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t t = 0; t <= i; t++) {
            kc.target = oct_target_find(targets[t]);
            int ways = 1;
            for (kc.nth = 1; kc.nth <= ways; kc.nth++) {
                check_conv(&shapes[i], &codes[i], true, 7);
                ways = kc.last.nways;
            }
            if (ways < 10) fail_msg("%d ways", ways);
        }
    kc.nth = 0;
    vc_compare();
}

/* What the scalar kernel serves, and says why. */
static void refusals(void **state) {
    (void)state;
    static const struct {
        struct shape s;
        struct codes c;
        const char *why;
    } cases[] = {
        {{1, 1, 3, 8, 6, 6, 3, 3, "pad=1"}, {"i16", "i8", "i16", "(-128,128)", ""}, "scalar code: input codes of 16 bits"},
        {{1, 2, 3, 8, 6, 6, 3, 3, "pad=1"}, {"i8", "i8", "i8", "(-128,128)", ""}, "scalar code: groups of channels"},
        {{1, 1, 3, 8, 6, 9, 3, 3, "dilation=2"},
         {"i8", "i8", "i8", "(-128,128)", ""},
         "scalar code: a window dilated along its rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kc.target = oct_target_find("x86-64-v3");
        check_conv(&cases[i].s, &cases[i].c, true, 3);
        assert_string_equal(kc.info->name, "conv2d");
        assert_non_null(kc.last.fallback.s);
        assert_non_null(strstr(kc.last.fallback.s, cases[i].why));
    }
    static const struct {
        const char *text, *kernel;
    } near[] = {
        /* 2^14 codes of 255 at most times 127, a bias: 32 bits, and one bias more */
        {"input x : u8[1,128,16,8] scale=0.05 zero=0\nconst @w : i8[8,128,16,8] scale=0.01 = random seed=1 within=(127,128)\n"
         "const @b : i32[8] = (%d, 1, 2, 3, 4, 5, 6, 7)\ny : i8 scale=9000.0 zero=0 = conv2d(x, @w, @b)",
         "conv2d_vec"},
        {"input x : u8[1,128,16,8] scale=0.05 zero=0\nconst @w : i8[8,128,16,8] scale=0.01 = random seed=1 within=(127,128)\n"
         "const @b : i32[8] = (%d, 1, 2, 3, 4, 5, 6, 7)\ny : i8 scale=9000.0 zero=0 = conv2d(x, @w, @b)",
         "conv2d"},
        /* weights less a zero point: 8 bits, and one more */
        {"input x : u8[1,3,5,5] scale=0.05 zero=0\nconst @w : u8[8,3,3,3] scale=0.01 zero=127 = random seed=1 within=(0,255)\n"
         "const @b : i32[8] = (%d, 1, 2, 3, 4, 5, 6, 7)\ny : i8 scale=0.5 zero=0 = conv2d(x, @w, @b)",
         "conv2d_vec"},
        {"input x : u8[1,3,5,5] scale=0.05 zero=0\nconst @w : u8[8,3,3,3] scale=0.01 zero=126 = random seed=1 within=(253,254)\n"
         "const @b : i32[8] = (%d, 1, 2, 3, 4, 5, 6, 7)\ny : i8 scale=0.5 zero=0 = conv2d(x, @w, @b)",
         "conv2d_vec"},
        {"input x : u8[1,3,5,5] scale=0.05 zero=0\nconst @w : u8[8,3,3,3] scale=0.01 zero=126 = random seed=1 within=(254,255)\n"
         "const @b : i32[8] = (%d, 1, 2, 3, 4, 5, 6, 7)\ny : i8 scale=0.5 zero=0 = conv2d(x, @w, @b)",
         "conv2d"},
    };
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        const int bias = i < 2 ? INT32_MAX - 16384 * 127 * 255 + (int)i : 100;
        kc_check(near[i].text, bias);
        if (strcmp(kc.info->name, near[i].kernel) != 0) fail_msg("%s: %s", near[i].text, kc.info->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tiles_of_channels_and_pixels, kc_setup, kc_teardown),
        cmocka_unit_test_setup_teardown(kinds_of_windows, kc_setup, kc_teardown),
        cmocka_unit_test_setup_teardown(dense_layers, kc_setup, kc_teardown),
        cmocka_unit_test_setup_teardown(every_way, kc_setup, kc_teardown),
        cmocka_unit_test_setup_teardown(refusals, kc_setup, kc_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
