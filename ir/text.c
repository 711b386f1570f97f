/* text.c - growing text in an arena. Requires arena.c. Locale-free: nothing of octavo calls setlocale. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"

void oct_text_init(struct oct_text *t, struct oct_arena *a) { *t = (struct oct_text){.arena = a}; }

static void reserve(struct oct_text *t, size_t more) {
    if (t->s && t->cap - t->len > more) return;
    size_t cap = t->cap ? t->cap * 2 : 240;
    while (cap <= t->len + more) cap *= 2;
    char *s = oct_alloc(t->arena, cap);
    if (t->len) memcpy(s, t->s, t->len);
    t->s = s;
    t->cap = cap;
}

void oct_text_addn(struct oct_text *t, const char *s, size_t n) {
    reserve(t, n + 1);
    if (n) memcpy(t->s + t->len, s, n);
    t->len += n;
    t->s[t->len] = 0;
}

void oct_text_add(struct oct_text *t, const char *s) { oct_text_addn(t, s, strlen(s)); }

void oct_text_vaddf(struct oct_text *t, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    reserve(t, 200);
    int n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
    if (n > 0 && (size_t)n >= t->cap - t->len) {
        reserve(t, (size_t)n + 1);
        vsnprintf(t->s + t->len, t->cap - t->len, fmt, again);
    }
    va_end(again);
    if (n > 0) t->len += (size_t)n;
    t->s[t->len] = 0;
}

void oct_text_addf(struct oct_text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(t, fmt, ap);
    va_end(ap);
}

void oct_text_add_f32(struct oct_text *t, float x) {
    if (isnan(x)) {
        oct_text_add(t, "nan");
        return;
    }
    if (isinf(x)) {
        oct_text_add(t, x < 0 ? "-inf" : "inf");
        return;
    }
    char buf[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, (double)x);
        if (strtof(buf, NULL) == x) break;
    }
    oct_text_add(t, buf);
    if (!strpbrk(buf, ".e")) oct_text_add(t, ".0");
}

size_t oct_utf8_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; /* overlong, surrogates, beyond U+10FFFF */
    if (s[0] == 0xed && s[1] >= 0xa0) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] >= 0x90) return 0;
    return n;
}

void oct_text_add_quoted(struct oct_text *t, const char *s) {
    oct_text_addn(t, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        size_t n = *p >= 0x80 ? oct_utf8_length((const char *)p) : 0;
        if (n) {
            oct_text_addn(t, (const char *)p, n);
            p += n - 1;
        } else if (*p == '"' || *p == '\\') oct_text_addf(t, "\\%c", *p);
        else if (*p == '\n') oct_text_add(t, "\\n");
        else if (*p == '\t') oct_text_add(t, "\\t");
        else if (*p < 0x20 || *p >= 0x7f) oct_text_addf(t, "\\x%02x", *p);
        else oct_text_addn(t, (const char *)p, 1);
    }
    oct_text_addn(t, "\"", 1);
}

void oct_text_add_json(struct oct_text *t, const char *s) {
    oct_text_addn(t, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        const size_t n = *p >= 0x80 ? oct_utf8_length((const char *)p) : 0;
        if (n) {
            oct_text_addn(t, (const char *)p, n);
            p += n - 1;
        } else if (*p >= 0x80) oct_text_add(t, "\\ufffd");
        else if (*p == '"' || *p == '\\') oct_text_addf(t, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f) oct_text_addf(t, "\\u%04x", *p);
        else oct_text_addn(t, (const char *)p, 1);
    }
    oct_text_addn(t, "\"", 1);
}
