/* Diagnostics: pinned text, places and carets; suggestions; exit codes; internal errors. */
#include "build.h"

static struct oct_span span(uint32_t source, uint32_t start, uint32_t end) { return (struct oct_span){source, start, end}; }

static void carets_point(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    static const char text[] = "model m\nx = relu(a)\n\ty = conv2d(x,\tw) stride=2\nlast";
    const uint32_t s = oct_source_add(&f.cx, "net.8vo", text, strlen(text));
    const uint32_t y = (uint32_t)(strstr(text, "conv2d") - text), x = (uint32_t)(strstr(text, "relu") - text);
    assert_int_equal(oct_exit_code(&f.cx), 0);
    oct_error(&f.cx, span(s, y, y + 12), OCT_E2103, "conv2d: input has %d channels but weight 'w' expects %d", 32, 64);
    oct_note(&f.cx, span(s, x, x + 7), "'x' is f32[1,32,28,28], defined here");
    oct_help(&f.cx, "did you mean 'x_wide'?");
    assert_string_equal(diags(&f), "net.8vo:3:6: error: conv2d: input has 32 channels but weight 'w' expects 64 [E2103]\n"
                                   "   3 |     y = conv2d(x,   w) stride=2\n"
                                   "     |         ^~~~~~~~~~~~~~\n"
                                   "net.8vo:2:5: note: 'x' is f32[1,32,28,28], defined here\n"
                                   "   2 | x = relu(a)\n"
                                   "     |     ^~~~~~~\n"
                                   "     = did you mean 'x_wide'?\n");
    assert_string_equal(diags(&f), ""); /* each is rendered once */
    oct_warning(&f.cx, span(s, (uint32_t)sizeof text - 1, (uint32_t)sizeof text - 1), OCT_E1001, "end");
    assert_string_equal(diags(&f), "net.8vo:4:5: warning: end [E1001]\n   4 | last\n     |     ^\n");
    oct_error(&f.cx, span(s, 0, (uint32_t)sizeof text - 1), OCT_E7002, "several lines");
    assert_string_equal(diags(&f), "net.8vo:1:1: error: several lines [E7002]\n   1 | model m\n     | ^~~~~~~\n");
    oct_error(&f.cx, span(s, 7, 8), OCT_E1001, "the end of a line");
    assert_string_equal(diags(&f), "net.8vo:1:8: error: the end of a line [E1001]\n   1 | model m\n     |        ^\n");
    oct_error(&f.cx, span(s, 4000000000u, 4000000001u), OCT_E1001, "beyond");
    assert_non_null(strstr(diags(&f), "net.8vo:4:5: error: beyond"));
    assert_int_equal(oct_exit_code(&f.cx), 65); /* of the first error, E2103; warnings do not count */
    assert_int_equal(oct_error_count(&f.cx), 4);
    fix_end(&f);
}

static void sources_without_text_and_without_place(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    const uint32_t s = oct_source_add(&f.cx, "m\n.onnx", NULL, 0), empty = oct_source_add(&f.cx, "empty.8vo", "", 0);
    oct_error(&f.cx, span(s, 0, 0), OCT_E7002, "node 'a\tb\x1b[31m' is bad");
    oct_error(&f.cx, no_span, OCT_E7002, "no place");
    oct_error(&f.cx, span(77, 1, 2), OCT_E7002, "no such source");
    oct_error(&f.cx, span(empty, 0, 0), OCT_E1001, "nothing there");
    assert_string_equal(
        diags(&f),
        "m .onnx: error: node 'a b?[31m' is bad [E7002]\noctavo: error: no place [E7002]\noctavo: error: no such source [E7002]\n"
        "empty.8vo:1:1: error: nothing there [E1001]\n   1 | \n     | ^\n");
    assert_int_equal(oct_exit_code(&f.cx), 66);
    for (int i = 0; i < 100; i++) assert_int_equal(oct_source_add(&f.cx, "again", "", 0), 3 + i);
    assert_string_equal(oct_source_get(&f.cx, 1)->name, "m\n.onnx");
    assert_null(oct_source_get(&f.cx, 0));
    assert_null(oct_source_get(&f.cx, 103));
    fix_end(&f);
}

static void long_lines_are_cut_around_the_caret(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    enum { LEN = 5000 };
    char *line = oct_alloc(oct_own(&f.cx), LEN + 1);
    memset(line, 'a', LEN);
    memcpy(line + 3000, "HERE", 4);
    const uint32_t s = oct_source_add(&f.cx, "l", line, LEN);
    oct_error(&f.cx, span(s, 3000, 3004), OCT_E1001, "m");
    char want[400];
    snprintf(want, sizeof want, "l:1:3001: error: m [E1001]\n   1 | ...%.60sHERE%.46s...\n     | %63s^~~~\n", line, line, "");
    assert_string_equal(diags(&f), want);
    oct_error(&f.cx, span(s, 3000, LEN), OCT_E1001, "m");
    const char *got = diags(&f);
    assert_true(strlen(got) < 300);
    static const char utf8[] = "# \xc3\xa9\xe2\x82\xac here"; /* characters, not bytes, are counted */
    const uint32_t u = oct_source_add(&f.cx, "u", utf8, sizeof utf8 - 1);
    oct_error(&f.cx, span(u, 8, 12), OCT_E1001, "m");
    assert_string_equal(diags(&f), "u:1:6: error: m [E1001]\n   1 | # \xc3\xa9\xe2\x82\xac here\n     |      ^~~~\n");
    fix_end(&f);
}

static void node_errors_name_both_sides(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    assert_null(build(&f, "conv2d", "f32[1,32,28,28] @f32[16,64,3,3]", "", NULL));
    assert_string_equal(
        diags(&f), "octavo: error: conv2d: input has 32 channels but weight '@w' expects 64 [E2103]\n"
                   "octavo: note: 'x' is f32[1,32,28,28], defined here\noctavo: note: '@w' is f32[16,64,3,3], defined here\n");
    assert_null(build(&f, "relu", "f32[2]", "stride=2", NULL));
    assert_string_equal(diags(&f),
                        "octavo: error: relu: has no attribute 'stride' [E2004]\n     = relu takes profile from doc why\n");
    assert_null(build(&f, "batchnorm", "f32[2]", "", NULL));
    assert_string_equal(
        diags(&f), "octavo: error: batchnorm: takes 5 operands, not 1 [E2003]\n     = batchnorm(x, scale, bias, mean, var)\n");
    fix_end(&f);
}

static void many_are_kept_in_order(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_text want;
    oct_text_init(&want, oct_own(&f.cx));
    for (int i = 0; i < 100; i++) {
        oct_warning(&f.cx, no_span, OCT_E1001, "number %d", i);
        oct_text_addf(&want, "octavo: warning: number %d [E1001]\n", i);
    }
    assert_string_equal(diags(&f), want.s);
    assert_int_equal(oct_exit_code(&f.cx), 0);
    fix_end(&f);
}

static void suggestions(void **state) {
    (void)state;
    static const char *const words[] = {"conv2d", "dense", "relu", "relu6", "softmax", "avg_pool2d", "max_pool2d"};
    static const struct {
        const char *word, *want;
    } cases[] = {{"conv2", "conv2d"}, {"cnov2d", "conv2d"},  {"Relu", "relu"},      {"relu7", "relu"},           {"reul", "relu"},
                 {"rleu", "relu"},    {"lure", NULL},        {"softmx", "softmax"}, {"maxpool2d", "max_pool2d"}, {"x", NULL},
                 {"", NULL},          {"convolution", NULL}, {"relu", "relu"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = oct_did_you_mean(cases[i].word, words, sizeof words / sizeof *words);
        if (cases[i].want ? !got || strcmp(got, cases[i].want) != 0 : got != NULL)
            fail_msg("%s: %s", cases[i].word, got ? got : "NULL");
    }
    char longest[100];
    memset(longest, 'a', 99);
    longest[99] = 0;
    assert_null(oct_did_you_mean(longest, words, 1));
    const char *const hay[] = {longest};
    assert_null(oct_did_you_mean("aaa", hay, 1));
}

static void internal_errors_unwind_with_70(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    jmp_buf out;
    f.cx.on_fatal = &out;
    const int rc = setjmp(out);
    if (rc == 0) {
        OCT_CHECK(&f.cx, f.m != NULL);
        oct_internal(&f.cx, no_span, "a test's own: %d", 3);
    }
    assert_int_equal(rc, OCT_EXIT_INTERNAL);
    fix_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(carets_point),
                                       cmocka_unit_test(sources_without_text_and_without_place),
                                       cmocka_unit_test(long_lines_are_cut_around_the_caret),
                                       cmocka_unit_test(node_errors_name_both_sides),
                                       cmocka_unit_test(many_are_kept_in_order),
                                       cmocka_unit_test(suggestions),
                                       cmocka_unit_test(internal_errors_unwind_with_70)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
