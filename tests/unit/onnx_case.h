/* onnx_case.h - ONNX models by hand, field by field, so that broken ones can be written too; and what the reader says to them. */
#ifndef ONNX_CASE_H
#define ONNX_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "frontend/onnx_scan.h"

/* ---- writing protobuf ------------------------------------------------------------------------------------------- */

struct pb {
    uint8_t *p;
    size_t n, cap;
};
static inline void raw(struct pb *b, const void *data, size_t n) {
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n) + 64;
        b->p = realloc(b->p, b->cap);
        assert_non_null(b->p);
    }
    if (n) memcpy(b->p + b->n, data, n);
    b->n += n;
}
static inline void byte(struct pb *b, unsigned v) { raw(b, &(uint8_t){(uint8_t)v}, 1); }
static inline void varint(struct pb *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) byte(b, (unsigned)(v & 0x7f) | 0x80);
    byte(b, (unsigned)v);
}
static inline void num(struct pb *b, unsigned field, int64_t v) { varint(b, field << 3), varint(b, (uint64_t)v); }
static inline void flt(struct pb *b, unsigned field, float v) { varint(b, field << 3 | 5), raw(b, &v, 4); }
static inline void bytes(struct pb *b, unsigned field, const void *data, size_t n) {
    varint(b, field << 3 | 2), varint(b, n), raw(b, data, n);
}
static inline void str(struct pb *b, unsigned field, const char *s) { bytes(b, field, s, strlen(s)); }
/* The message `sub`, which is used up. */
static inline void msg(struct pb *b, unsigned field, struct pb *sub) {
    bytes(b, field, sub->p, sub->n);
    free(sub->p);
    *sub = (struct pb){0};
}

/* ---- writing ONNX ------------------------------------------------------------------------------------------------- */

static struct pb graph;

/* op "in1 in2" -> "out1 out2"; `attrs`, which may be NULL, is used up. "-" is an absent input. */
static inline void node(const char *op, const char *in, const char *out, struct pb *attrs) {
    struct pb n = {0};
    for (int k = 1; k <= 2; k++) {
        char buf[256];
        strcpy(buf, k == 1 ? in : out);
        for (char *w = strtok(buf, " "); w; w = strtok(NULL, " ")) str(&n, (unsigned)k, strcmp(w, "-") ? w : "");
    }
    str(&n, 4, op);
    if (attrs) {
        raw(&n, attrs->p, attrs->n);
        free(attrs->p);
        *attrs = (struct pb){0};
    }
    msg(&graph, 1, &n);
}
static inline void attr_int(struct pb *attrs, const char *name, int64_t v) {
    struct pb a = {0};
    str(&a, 1, name), num(&a, 3, v), num(&a, 20, 2), msg(attrs, 5, &a);
}
static inline void attr_float(struct pb *attrs, const char *name, float v) {
    struct pb a = {0};
    str(&a, 1, name), flt(&a, 2, v), num(&a, 20, 1), msg(attrs, 5, &a);
}
static inline void attr_str(struct pb *attrs, const char *name, const char *v) {
    struct pb a = {0};
    str(&a, 1, name), str(&a, 4, v), num(&a, 20, 3), msg(attrs, 5, &a);
}
static inline void attr_ints(struct pb *attrs, const char *name, int n, const int64_t *v) {
    struct pb a = {0};
    str(&a, 1, name);
    for (int i = 0; i < n; i++) num(&a, 8, v[i]);
    num(&a, 20, 7), msg(attrs, 5, &a);
}
#define INTS(attrs, name, ...) attr_ints(attrs, name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static inline struct pb tensor(const char *name, int type, int rank, const int64_t *dim, const void *data, size_t n) {
    struct pb t = {0};
    for (int i = 0; i < rank; i++) num(&t, 1, dim[i]);
    num(&t, 2, type), str(&t, 8, name), bytes(&t, 9, data, n);
    return t;
}
static inline void init(const char *name, int type, int rank, const int64_t *dim, const void *data, size_t n) {
    struct pb t = tensor(name, type, rank, dim, data, n);
    msg(&graph, 5, &t);
}
#define DIMS(...)                                                                                                                \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]) { __VA_ARGS__ }
/* Floats, all `v`. */
static inline void init_fill(const char *name, int rank, const int64_t *dim, float v) {
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dim[i];
    float *f = malloc(n * 4 + 4);
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) f[i] = v;
    init(name, 1, rank, dim, f, n * 4);
    free(f);
}
static inline void init_ints(const char *name, int n, const int64_t *v) { init(name, 7, 1, (int64_t[]){n}, v, (size_t)n * 8); }
#define INIT_INTS(name, ...) init_ints(name, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

enum { BATCH = -999 }; /* a dimension of the name "batch" */
static inline void value(unsigned field, const char *name, int type, int rank, const int64_t *dim) {
    struct pb shape = {0}, tt = {0}, t = {0}, v = {0};
    for (int i = 0; i < rank; i++) {
        struct pb d = {0};
        if (dim[i] == BATCH) str(&d, 2, "batch");
        else num(&d, 1, dim[i]);
        msg(&shape, 1, &d);
    }
    num(&tt, 1, type), msg(&tt, 2, &shape), msg(&t, 1, &tt), str(&v, 1, name), msg(&v, 2, &t), msg(&graph, field, &v);
}
static inline void input(const char *name, int rank, const int64_t *dim) { value(11, name, 1, rank, dim); }
static inline void output(const char *name) { value(12, name, 1, 0, NULL); }

/* The graph written so far as a model; the graph is used up. */
static inline struct pb model_of(int64_t opset) {
    struct pb m = {0}, o = {0};
    num(&m, 1, 8), num(&o, 2, opset), msg(&m, 8, &o), msg(&m, 7, &graph);
    return m;
}

/* ---- importing ----------------------------------------------------------------------------------------------------- */

static struct oct_ctx cx;
static const char *said; /* diagnostics of the last import */

static inline struct oct_module *import_bytes(struct pb *m) {
    oct_ctx_init(&cx);
    struct oct_module *mod = oct_import_onnx(&cx, NULL, (struct oct_bytes){m->p, m->n});
    struct oct_text t;
    oct_text_init(&t, oct_own(&cx));
    oct_diag_render(&cx, &t);
    said = t.s ? t.s : "";
    free(m->p);
    assert_true((mod != NULL) == (oct_exit_code(&cx) == 0));
    return mod;
}
static inline void done(void) {
    oct_ctx_free(&cx);
    assert_int_equal(oct_memory_now(&cx), 0);
}
static inline unsigned count(const char *s, const char *word) {
    unsigned n = 0;
    for (; (s = strstr(s, word)); s++) n++;
    return n;
}
/* The model is refused with this exit code, one error, and words that say why. */
static inline void refuse_bytes(struct pb m, int code, const char *why) {
    import_bytes(&m);
    if (oct_exit_code(&cx) != code || !strstr(said, why) || count(said, "error:") != 1)
        fail_msg("expected exit %d and '%s', got exit %d: %s", code, why, oct_exit_code(&cx), said);
    done();
}
static inline void refuse(int code, const char *why) { refuse_bytes(model_of(17), code, why); }

/* The model is taken; its text. */
static inline const char *accept_opset(int64_t opset) {
    struct pb m = model_of(opset);
    struct oct_module *mod = import_bytes(&m);
    if (!mod) fail_msg("refused: %s", said);
    struct oct_text t;
    oct_text_init(&t, oct_own(&cx));
    oct_print(&t, mod, &(struct oct_weights_ref){.file = NULL});
    return t.s;
}
/* The text holds the line (a part of it). */
static inline void accept(const char *line) {
    const char *s = accept_opset(17);
    if (!strstr(s, line)) fail_msg("no '%s' in\n%s", line, s);
    done();
}

#endif
