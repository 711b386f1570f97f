/* parse_helper.h - model texts in tests. Every text that a test parses makes the round trip: what it prints as must parse, and
 * print as the same bytes again. Include after cmocka.h. */
#ifndef OCT_PARSE_HELPER_H
#define OCT_PARSE_HELPER_H

#include <stdio.h>
#include <string.h>

#include "frontend/frontend.h"

/* A context, with what its errors would look like kept as text. */
struct parse_test {
    struct oct_ctx cx;
    struct oct_arena *a;
};
static inline struct parse_test *parse_begin(struct parse_test *t) {
    oct_ctx_init(&t->cx);
    t->a = oct_arena_new(&t->cx);
    return t;
}
static inline void parse_end(struct parse_test *t) { oct_ctx_free(&t->cx); }
static inline const char *parse_errors(struct parse_test *t) {
    struct oct_text out;
    oct_text_init(&out, t->a);
    oct_text_add(&out, "");
    oct_diag_render(&t->cx, &out);
    return out.s;
}
static inline const char *parse_print(struct parse_test *t, const struct oct_module *m, const struct oct_weights_ref *w) {
    struct oct_text out;
    oct_text_init(&out, t->a);
    oct_print(&out, m, w);
    return out.s;
}
static inline struct oct_module *parse_at(struct parse_test *t, const char *path, const char *text) {
    struct oct_module *m = oct_parse(&t->cx, path, text, strlen(text));
    if (!m) fail_msg("does not parse:\n%s\n%s", text, parse_errors(t));
    return m;
}
/* Parses a text that is right, and makes the round trip. `path` and `w` where a weights file is named, otherwise NULL. */
static inline struct oct_module *parse_with(struct parse_test *t, const char *path, const struct oct_weights_ref *w,
                                            const char *text) {
    struct oct_module *m = parse_at(t, path, text);
    const char *once = parse_print(t, m, w);
    struct oct_module *again = parse_at(t, path, once);
    assert_string_equal(parse_print(t, again, w), once);
    oct_module_free(again);
    return m;
}
static inline struct oct_module *parse_model(struct parse_test *t, const char *text) { return parse_with(t, NULL, NULL, text); }

#endif
