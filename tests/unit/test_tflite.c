/* The TFLite reader against the seeds of its fuzz target: what they become, that every truncated file and every file with one
 * byte changed is either read or refused with a reason and the right exit code, and what refusals say. PROMISES: P1, P2, P3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/flatbuf.h"
#include "frontend/frontend.h"

static const char *const seeds[] = {"conv", "elements", "floats", "int16", "moves", "pools"};
enum { SEEDS = sizeof seeds / sizeof *seeds, MOST = 8192 };

static size_t read_seed(const char *name, uint8_t *data) {
    char path[512];
    const char *source = getenv("OCTAVO_SOURCE");
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus_tflite/%s.tflite", source ? source : ".", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(data, 1, MOST, f);
    fclose(f);
    assert_in_range(n, 100, MOST - 1);
    return n;
}

/* Imports and gives the exit code; the diagnostics, or the model's text, go to `said`. */
static int import(const uint8_t *data, size_t n, int profile, char *said, size_t size) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, data, n);
    struct oct_module *m = oct_import_tflite(&cx, NULL, (struct oct_bytes){exact, n}, profile);
    const int code = oct_exit_code(&cx);
    assert_int_equal(m != NULL, code == 0);
    if (said) {
        struct oct_text t;
        oct_text_init(&t, oct_own(&cx));
        oct_text_add(&t, "");
        if (m) oct_print(&t, m, NULL);
        else oct_diag_render(&cx, &t);
        snprintf(said, size, "%s", t.s);
    }
    oct_ctx_free(&cx);
    free(exact);
    return code;
}

static void holds(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in:\n%s", part, text);
}

static void reads_operators_in_their_layouts(void **state) {
    (void)state;
    uint8_t data[MOST];
    char text[8192];
    assert_int_equal(import(data, read_seed("conv", data), OCT_PRESET_tflite_ref, text, sizeof text), 0);
    holds(text, "input t0 : i8[N,6,6,2] scale=0.5 zero=-3");
    holds(text, "= transpose(t0) perm=(0,3,1,2)");
    /* SAME at stride 2: the odd row goes below; RELU is the code of 0; scales along the output channels */
    holds(text, " : i8[N,4,3,3] scale=0.5 zero=-3 = conv2d(t0.nchw, @t1, @t2) pad=(0,0,1,1) stride=2 clip=(-3.0,127.0) profile=tflm");
    /* RELU6: -3 + 6 / 0.5 */
    holds(text, " : i8[N,8,1,1] scale=0.5 zero=-3 = conv2d(t3, @t4, @t5) groups=4 clip=(-3.0,9.0) profile=tflm");
    holds(text, "= dense(t8, @t9, @t10) profile=q31");
    assert_int_equal(import(data, read_seed("conv", data), OCT_PRESET_tflite_xnn, text, sizeof text), 0);
    holds(text, "= dense(t8, @t9, @t10) profile=onnx");
    assert_int_equal(import(data, read_seed("pools", data), OCT_PRESET_tflite_xnn, text, sizeof text), 0);
    holds(text, "stride=2 kernel=2 profile=tflm"); /* the average pool */
    holds(text, "axis=1 profile=onnx");            /* channels are joined in NCHW */
    assert_int_equal(import(data, read_seed("int16", data), OCT_PRESET_tflite_ref, text, sizeof text), 0);
    holds(text, "i4[3,3]");
    assert_int_equal(import(data, read_seed("moves", data), OCT_PRESET_tflite_ref, text, sizeof text), 0);
    holds(text, "pads=(0,0,1,0,0,0,0,2)"); /* rows and columns of NHWC as they lie in NCHW */
    holds(text, "value=5.0");              /* 0.5 (7 + 3) */
    holds(text, "shape=(N,16)");           /* its sizes were computed at run time */
}

static void refuses_every_cut_file(void **state) {
    (void)state;
    uint8_t data[MOST];
    for (int s = 0; s < SEEDS; s++) {
        const size_t n = read_seed(seeds[s], data);
        for (size_t cut = 0; cut < n; cut++) {
            const int code = import(data, cut, OCT_PRESET_tflite_ref, NULL, 0);
            assert_true(code == 0 || code == OCT_EXIT_DATA || code == OCT_EXIT_UNSUPPORTED);
            if (cut < n / 2) assert_int_not_equal(code, 0);
        }
    }
}

static void survives_every_changed_byte(void **state) {
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    uint8_t data[MOST];
    for (int s = 0; s < SEEDS; s++) {
        const size_t n = read_seed(seeds[s], data);
        for (size_t i = 0; i < n; i++)
            for (int c = 0; c < 3; c++) {
                data[i] ^= changes[c];
                const int code = import(data, n, OCT_PRESET_tflite_ref, NULL, 0);
                assert_true(code == 0 || code == OCT_EXIT_DATA || code == OCT_EXIT_UNSUPPORTED);
                data[i] ^= changes[c];
            }
    }
}

/* The byte where the vector of scales of the tensor with these first scales lies. */
static size_t find(const uint8_t *data, size_t n, const void *what, size_t len) {
    for (size_t i = 0; i + len <= n; i += 4)
        if (!memcmp(data + i, what, len)) return i;
    fail_msg("not in the seed");
    return 0;
}

static void says_what_is_wrong(void **state) {
    (void)state;
    uint8_t data[MOST];
    char said[4096];
    const size_t n = read_seed("conv", data);
    memcpy(data + 4, "TFL2", 4);
    assert_int_equal(import(data, n, OCT_PRESET_tflite_ref, said, sizeof said), OCT_EXIT_DATA);
    holds(said, "another file identifier");
    memcpy(data + 4, "TFL3", 4);
    const float scales[] = {0.01f, 0.02f, 0.03f, 0.04f}, nan = 0.0f / 0.0f, none = 0;
    const size_t at = find(data, n, scales, sizeof scales);
    memcpy(data + at + 4, &none, 4);
    assert_int_equal(import(data, n, OCT_PRESET_tflite_ref, said, sizeof said), OCT_EXIT_DATA);
    holds(said, "scale 1 is 0; scales are finite and above 0");
    memcpy(data + at + 4, &nan, 4);
    assert_int_equal(import(data, n, OCT_PRESET_tflite_ref, said, sizeof said), OCT_EXIT_DATA);
    memcpy(data + at, scales, sizeof scales);
    const uint32_t three = 3;
    memcpy(data + at - 4, &three, 4); /* the vector's length */
    assert_int_equal(import(data, n, OCT_PRESET_tflite_ref, said, sizeof said), OCT_EXIT_DATA);
    holds(said, "the number of its scales is not that of its channels");
    const uint32_t huge = 0x7ffffff0;
    memcpy(data + at - 4, &huge, 4);
    assert_int_equal(import(data, n, OCT_PRESET_tflite_ref, said, sizeof said), OCT_EXIT_DATA);
    holds(said, "something lies behind the end of the file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_operators_in_their_layouts),
        cmocka_unit_test(refuses_every_cut_file),
        cmocka_unit_test(survives_every_changed_byte),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
