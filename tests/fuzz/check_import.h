/* check_import.h - what every importer's fuzz target checks: what is read must pass the verifier, print, and parse back to the
 * same text; what is refused must say why; memory stays within P3. No path is given, so that no file can be reached. */
#ifndef OCT_CHECK_IMPORT_H
#define OCT_CHECK_IMPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stop(const char *what, const char *text) {
    fprintf(stderr, "%s\n%s\n", what, text ? text : "");
    abort();
}

static void diagnostics(struct oct_ctx *cx, struct oct_text *out) {
    oct_text_init(out, oct_own(cx));
    oct_text_add(out, "");
    oct_diag_render(cx, out);
}

/* Constants in a weights file cannot come back: no file is written here. */
static bool self_contained(const struct oct_module *m) {
    OCT_FOR_NODES(m, n)
    if ((n->op == OCT_OP_const && oct_const_in_file(n)) || (n->type.q && n->type.q->n > OCT_INLINE_MAX)) return false;
    return true;
}

static void check_module(struct oct_ctx *cx, struct oct_module *m) {
    struct oct_text once, twice, said;
    if (!oct_verify(m)) {
        diagnostics(cx, &said);
        stop("imported, but not valid:", said.s);
    }
    oct_text_init(&once, oct_own(cx));
    oct_print(&once, m, NULL);
    if (!self_contained(m)) return;
    const struct oct_module *again = oct_parse(cx, NULL, once.s, once.len);
    if (!again) {
        diagnostics(cx, &said);
        fprintf(stderr, "%s\n", once.s);
        stop("the text of an import does not parse:", said.s);
    }
    oct_text_init(&twice, oct_own(cx));
    oct_print(&twice, again, NULL);
    if (twice.len != once.len || memcmp(twice.s, once.s, once.len) != 0) stop(once.s, twice.s);
}

static int check_import(const uint8_t *data, size_t size, struct oct_module *(*import)(struct oct_ctx *, struct oct_bytes)) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);                        /* without on_fatal an internal error prints and exits, which is a finding */
    uint8_t *exact = malloc(size ? size : 1); /* no byte behind the file may be read */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    struct oct_module *m = import(&cx, (struct oct_bytes){exact, size});
    int code = oct_exit_code(&cx);
    struct oct_text said;
    diagnostics(&cx, &said);
    if ((m != NULL) != (code == 0) || (!m && code != OCT_EXIT_DATA && code != OCT_EXIT_UNSUPPORTED))
        stop("exit code without reason", said.s);
    if (oct_memory_peak(&cx) > ((size_t)64 << 20) + 20 * size) stop("too much memory", said.s);
    if (m) check_module(&cx, m);
    oct_ctx_free(&cx);
    free(exact);
    return 0;
}

#endif
