/* Arenas and text: alignment, zeroing, growth, running out of memory, shortest floats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/context.h"

static void blocks_are_aligned_zeroed_and_apart(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    unsigned char *last = NULL;
    for (size_t size = 0; size < 20000; size = size * 3 + 1) {
        unsigned char *p = oct_alloc(a, size);
        assert_int_equal((uintptr_t)p % (size < 256 ? 16 : 64), 0);
        assert_ptr_not_equal(p, last);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
        last = p;
    }
    assert_true(oct_memory_peak(&cx) >= 20000);
    oct_ctx_free(&cx);
    assert_int_equal(oct_memory_now(&cx), 0);
}

static int failing_after;
static void *failing_alloc(size_t n) { return failing_after-- > 0 ? malloc(n) : NULL; }

static void no_memory_unwinds_with_71(void **state) {
    (void)state;
    for (volatile int after = 0; after < 6; after++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        cx.sys_alloc = failing_alloc;
        failing_after = after;
        jmp_buf out;
        cx.on_fatal = &out;
        int rc = setjmp(out);
        if (rc == 0) {
            struct oct_arena *a = oct_arena_new(&cx);
            for (;;) oct_alloc(a, 1 << 16);
        }
        assert_int_equal(rc, OCT_EXIT_MEMORY);
        oct_ctx_free(&cx);
    }
}

static void floats_print_shortest_and_exact(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    static const struct {
        float x;
        const char *s;
    } cases[] = {{0.1f, "0.1"},     {1.0f, "1.0"},       {-128.0f, "-128.0"}, {1e-9f, "1e-09"}, {16777216.0f, "16777216.0"},
                 {INFINITY, "inf"}, {-INFINITY, "-inf"}, {NAN, "nan"},        {-0.0f, "-0.0"},  {3.4028235e38f, "3.4028235e+38"},
                 {1e-45f, "1e-45"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oct_text t;
        oct_text_init(&t, a);
        oct_text_add_f32(&t, cases[i].x);
        assert_string_equal(t.s, cases[i].s);
    }
    uint32_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 1664525u + 1013904223u;
        float x, y;
        memcpy(&x, &bits, 4);
        if (isnan(x)) continue;
        struct oct_text t;
        oct_text_init(&t, a);
        oct_text_add_f32(&t, x);
        y = strtof(t.s, NULL);
        assert_memory_equal(&x, &y, 4);
        if (i % 1000 == 0) oct_arena_reset(a);
    }
    oct_ctx_free(&cx);
}

static void strings_quote(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_text t;
    oct_text_init(&t, oct_arena_new(&cx));
    oct_text_add_quoted(&t, "a\"b\\c\n\x01\xff\xc3\xa9");
    assert_string_equal(t.s, "\"a\\\"b\\\\c\\n\\x01\\xff\xc3\xa9\"");
    oct_text_init(&t, oct_own(&cx));
    oct_text_add_json(&t, "a\"b\\c\n\x01\xff\xc3\xa9");
    assert_string_equal(t.s, "\"a\\\"b\\\\c\\u000a\\u0001\\ufffd\xc3\xa9\"");
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_aligned_zeroed_and_apart),
                                       cmocka_unit_test(no_memory_unwinds_with_71),
                                       cmocka_unit_test(floats_print_shortest_and_exact), cmocka_unit_test(strings_quote)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
