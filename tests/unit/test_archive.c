/* test_archive.c - ar archives: every byte against the form, offsets of the index, names of every length around the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/archive.h"

static struct oct_ctx cx;
static struct oct_arena *arena;
static struct oct_text out;

static int setup(void **state) {
    (void)state;
    oct_ctx_init(&cx);
    arena = oct_arena_new(&cx);
    oct_text_init(&out, arena);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    oct_ctx_free(&cx);
    return 0;
}

/* The header at an offset: its name without padding, its size; the offset of what follows the member. */
static size_t header(size_t at, char *name, size_t *size) {
    assert_true(at % 2 == 0 && at + 60 <= out.len);
    memcpy(name, out.s + at, 16);
    size_t n = 16;
    while (n && name[n - 1] == ' ') n--;
    name[n] = 0;
    char digits[11] = {0};
    memcpy(digits, out.s + at + 48, 10);
    *size = strtoul(digits, NULL, 10);
    assert_memory_equal(out.s + at + 58, "`\n", 2);
    assert_true(at + 60 + *size <= out.len);
    return at + 60 + *size + (*size & 1);
}
static size_t number(size_t at) {
    const unsigned char *p = (const unsigned char *)out.s + at;
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static void one_member(void **state) {
    (void)state;
    static const char *const symbol[] = {"f"};
    const struct oct_member m = {.name = "a.o", .data = "abc", .len = 3, .symbol = symbol, .nsymbols = 1};
    assert_true(oct_archive_write(&out, &m, 1));
    static const char wanted[] = "!<arch>\n"
                                 "/               0           0     0     0       10        `\n"
                                 "\0\0\0\1\0\0\0\116f\0"
                                 "a.o/            0           0     0     644     3         `\n"
                                 "abc\n";
    assert_int_equal(out.len, sizeof wanted - 1);
    assert_memory_equal(out.s, wanted, out.len);
}

/* Names of 1 to 40 letters, members of every length, 0 to 3 symbols each: all are found again from the index. */
static void many_members(void **state) {
    (void)state;
    enum { N = 40 };
    struct oct_member m[N];
    char names[N][N + 1], data[N][N];
    const char *symbol[N][3];
    size_t nsymbols = 0;
    for (size_t i = 0; i < N; i++) {
        memset(names[i], 'a' + (int)(i % 26), i + 1);
        names[i][i + 1] = 0;
        memset(data[i], (int)i, N);
        for (size_t s = 0; s < i % 4; s++) symbol[i][s] = oct_sprintf(arena, "symbol_%zu_of_%zu", s, i);
        m[i] = (struct oct_member){names[i], data[i], i, symbol[i], i % 4};
        nsymbols += i % 4;
    }
    assert_true(oct_archive_write(&out, m, N));

    char name[17];
    size_t size, names_at = header(8, name, &size), at;
    assert_string_equal(name, "/");
    assert_int_equal(number(68), nsymbols);
    at = header(names_at, name, &size);
    assert_string_equal(name, "//");
    size_t next = 68 + 4;
    const char *text = out.s + next + 4 * nsymbols;
    for (size_t i = 0; i < N; i++) {
        for (size_t s = 0; s < i % 4; s++, next += 4) {
            assert_int_equal(number(next), at);
            assert_string_equal(text, symbol[i][s]);
            text += strlen(text) + 1;
        }
        const char *member = out.s + at + 60;
        at = header(at, name, &size);
        assert_int_equal(size, i);
        if (i) assert_memory_equal(member, data[i], i);
        const char *is = *name == '/' ? out.s + names_at + 60 + strtoul(name + 1, NULL, 10) : name;
        assert_memory_equal(is, names[i], i + 1);
        assert_int_equal(is[i + 1], '/');
        assert_int_equal(*name == '/', i + 1 > 15);
    }
    assert_int_equal(at, out.len);
}

static void too_large(void **state) {
    (void)state;
    const struct oct_member m[] = {{.name = "a.o", .data = "", .len = (size_t)1 << 31},
                                   {.name = "b.o", .data = "", .len = (size_t)1 << 31}};
    assert_false(oct_archive_write(&out, m, 2));
    assert_int_equal(out.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_member, setup, teardown),
        cmocka_unit_test_setup_teardown(many_members, setup, teardown),
        cmocka_unit_test_setup_teardown(too_large, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
