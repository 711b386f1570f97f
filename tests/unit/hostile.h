/* hostile.h - shared by the tests of readers: a context per case, and every truncation and every flipped byte of a file. */
#ifndef HOSTILE_H
#define HOSTILE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/frontend.h"

/* Rendered diagnostics of a context, for looking at. */
static inline const char *diagnostics(struct oct_ctx *cx) {
    struct oct_text t;
    oct_text_init(&t, oct_own(cx));
    oct_text_add(&t, "");
    oct_diag_render(cx, &t);
    return t.s;
}

typedef bool reads(struct oct_ctx *cx, struct oct_bytes file);

/* One reading of exactly `len` bytes in a block of that size, so that a sanitizer sees any step beyond. Failure must come with
 * exactly one error. */
static inline bool read_once(reads *r, const uint8_t *bytes, size_t len, int *exit_code) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    uint8_t *copy = malloc(len ? len : 1);
    if (len) memcpy(copy, bytes, len);
    const bool ok = r(&cx, (struct oct_bytes){copy, len});
    assert_int_equal(oct_error_count(&cx), ok ? 0 : 1);
    if (exit_code) *exit_code = oct_exit_code(&cx);
    oct_ctx_free(&cx);
    assert_int_equal(oct_memory_now(&cx), 0);
    free(copy);
    return ok;
}

/* Counts what was refused among all truncations (all of which must be) and all bytes flipped in three ways. */
static inline void mangle(reads *r, const uint8_t *bytes, size_t len) {
    int code;
    assert_true(read_once(r, bytes, len, NULL));
    for (size_t n = 0; n < len; n++) {
        assert_false(read_once(r, bytes, n, &code));
        assert_int_equal(code, OCT_EXIT_DATA);
    }
    uint8_t *copy = malloc(len);
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < len; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            memcpy(copy, bytes, len);
            copy[i] ^= masks[k];
            if (!read_once(r, copy, len, &code)) assert_true(code == OCT_EXIT_DATA || code == OCT_EXIT_UNSUPPORTED);
        }
    free(copy);
}

static inline const char *write_temp(const char *dir, const char *name, const void *data, size_t len) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
    return path;
}

#endif
