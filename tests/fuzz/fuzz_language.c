/* fuzz_language.c - libFuzzer target: any bytes as a model text. What parses must print as a text that parses and prints the
 * same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Constants in a weights file cannot come back: no file is written here. */
static bool self_contained(const struct oct_module *m) {
    OCT_FOR_NODES(m, n)
    if (n->op == OCT_OP_const && oct_const_in_file(n)) return false;
    return true;
}

static void print(struct oct_ctx *cx, const struct oct_module *m, struct oct_text *out) {
    oct_text_init(out, oct_own(cx));
    oct_print(out, m, NULL);
}

static void round_trip(struct oct_ctx *cx, const struct oct_module *m) {
    struct oct_text once, twice;
    print(cx, m, &once);
    const struct oct_module *again = oct_parse(cx, NULL, once.s, once.len);
    if (again) print(cx, again, &twice);
    if (again && twice.len == once.len && !memcmp(twice.s, once.s, once.len)) return;
    oct_text_init(&twice, oct_own(cx));
    oct_text_add(&twice, "");
    if (!again) oct_diag_render(cx, &twice);
    else print(cx, again, &twice);
    fprintf(stderr, "no round trip:\n%s\n---- became ----\n%s\n", once.s, twice.s);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);                     /* without on_fatal an internal error prints and exits, which is a finding */
    char *exact = malloc(size ? size : 1); /* no byte behind the text may be read */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    const struct oct_module *m = oct_parse(&cx, NULL, exact, size);
    if (m && self_contained(m)) round_trip(&cx, m);
    if (!m && !oct_exit_code(&cx)) abort();
    struct oct_text out;
    oct_text_init(&out, oct_own(&cx));
    oct_diag_render(&cx, &out);
    oct_ctx_free(&cx);
    free(exact);
    return 0;
}
