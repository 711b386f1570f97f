/* build.h - modules for tests from short texts, without the parser: build(&f, "conv2d", "f32[N,3,8,8] @f32[16,3,3,3]",
 * "stride=2", NULL). Types: f32[N,3,8,8]; a trailing q gives scale 0.5 and zero point 0, c one scale for each index of axis 0, z
 * the same with zero points 1, l scales along the last axis; a leading @ makes a constant of zeros; _ is an absent operand. */
#ifndef BUILD_H
#define BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

struct fix {
    struct oct_ctx cx;
    struct oct_module *m;
};
static const struct oct_span no_span = {0, 0, 0};

static inline void fix_begin(struct fix *f) {
    oct_ctx_init(&f->cx);
    f->m = oct_module_new(&f->cx, "test");
}
static inline void fix_end(struct fix *f) { oct_ctx_free(&f->cx); }

/* All diagnostics since the last call. */
static inline const char *diags(struct fix *f) {
    struct oct_text t;
    oct_text_init(&t, oct_own(&f->cx));
    oct_diag_render(&f->cx, &t);
    return t.s;
}

static inline int64_t parse_int(const char **s) {
    if (**s == 'N') {
        ++*s;
        return OCT_DIM_N;
    }
    char *end;
    const int64_t v = strtoll(*s, &end, 10);
    assert_ptr_not_equal(end, *s);
    *s = end;
    return v;
}

static inline struct oct_type parse_type(struct fix *f, const char **s) {
    struct oct_type t = {.rank = 0};
    char word[8] = "";
    for (size_t i = 0; **s && **s != '[' && i < 7;) word[i++] = *(*s)++;
    assert_true(oct_dtype_parse(word, &t.dtype));
    assert_int_equal(*(*s)++, '[');
    while (**s != ']') {
        t.dim[t.rank++] = parse_int(s);
        if (**s == ',') ++*s;
    }
    ++*s;
    const char kind = **s;
    if (kind && kind != ' ') ++*s;
    if (kind == 'q') t.q = oct_quant_tensor(oct_own(&f->cx), 0.5f, 0);
    if (kind == 'c' || kind == 'z' || kind == 'l') {
        const int axis = kind == 'l' ? t.rank - 1 : 0;
        const uint32_t n = (uint32_t)t.dim[axis];
        float *scale = OCT_NEW_N(oct_own(&f->cx), float, n);
        int32_t *zero = OCT_NEW_N(oct_own(&f->cx), int32_t, n);
        for (uint32_t i = 0; i < n; i++) scale[i] = 0.5f, zero[i] = 1;
        t.q = oct_quant_channel(oct_own(&f->cx), axis, n, scale, kind == 'z' ? zero : NULL);
    }
    return t;
}

static inline void parse_attr(struct fix *f, struct oct_attrs *at, const char **s) {
    char name[32] = "";
    for (size_t i = 0; **s && **s != '=' && **s != ' ' && i < 31;) name[i++] = *(*s)++;
    for (unsigned id = 0; id < OCT_ATTR_COUNT; id++) {
        const struct oct_attr_info *info = oct_attr_info(id);
        if (strcmp(info->name, name) != 0) continue;
        void *field = (char *)at + info->offset;
        at->set |= (uint64_t)1 << id;
        if (info->kind == OCT_KIND_FLAG) {
            *(bool *)field = true;
            return;
        }
        assert_int_equal(*(*s)++, '=');
        int64_t ints[2 * OCT_MAX_RANK] = {0};
        float floats[2 * OCT_MAX_RANK] = {0};
        int n = 0;
        if (info->kind == OCT_KIND_STR || info->kind == OCT_KIND_WORD) {
            const size_t len = strcspn(*s, " ");
            const char *word = oct_strndup(oct_own(&f->cx), *s, len);
            *s += len;
            if (info->kind == OCT_KIND_STR) *(const char **)field = word;
            else
                for (int k = 0; info->words[k]; k++)
                    if (!strcmp(info->words[k], word)) memcpy(field, &k, sizeof k);
            return;
        }
        const bool list = **s == '(';
        *s += list;
        while (**s && **s != ')' && **s != ' ') {
            if (info->kind == OCT_KIND_F32 || info->kind == OCT_KIND_F32X2) {
                char *end;
                floats[n++] = strtof(*s, &end);
                *s = end;
            } else ints[n++] = parse_int(s);
            if (**s == ',') ++*s;
        }
        *s += list;
        if (info->kind == OCT_KIND_INT2 && n == 1) ints[1] = ints[0], n = 2;
        switch (info->kind) {
        case OCT_KIND_F32: memcpy(field, floats, sizeof *floats); break;
        case OCT_KIND_F32X2: memcpy(field, floats, 2 * sizeof *floats); break;
        case OCT_KIND_INTS:
            ((struct oct_ints *)field)->n = n;
            memcpy(((struct oct_ints *)field)->v, ints, sizeof((struct oct_ints *)field)->v);
            break;
        default: memcpy(field, ints, (size_t)n * sizeof *ints); break;
        }
        return;
    }
    fail_msg("no attribute '%s'", name);
}

static inline struct oct_attrs attrs(struct fix *f, const char *s) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (; *s; s += *s == ' ') parse_attr(f, &at, &s);
    return at;
}

static inline struct oct_node *leaf(struct fix *f, const char *name, const char *type) {
    const bool constant = *type == '@';
    type += constant;
    const struct oct_type t = parse_type(f, &type);
    if (!constant) return oct_build_input(f->m, name, &t, no_span);
    const int64_t n = oct_type_elements(&t, 1);
    return oct_build_const(f->m, name, &t, n < 0 ? "" : oct_alloc(f->m->arena, (size_t)n * oct_dtype_size(t.dtype)), no_span);
}

static inline struct oct_node *build(struct fix *f, const char *op, const char *operands, const char *at_text,
                                     const char *declared) {
    enum oct_op id;
    struct oct_node *operand[16];
    int n = 0;
    assert_true(oct_op_parse(op, &id));
    for (const char *s = operands; *s;) {
        const size_t len = strcspn(s, " ");
        const char *type = oct_strndup(oct_own(&f->cx), s, len);
        operand[n++] =
            *s == '_' ? NULL : leaf(f, *s == '@' ? oct_fresh_const_name(f->m, "w") : oct_fresh_value_name(f->m, "x"), type);
        s += len + (s[len] == ' ');
    }
    const struct oct_attrs at = attrs(f, at_text);
    struct oct_type t;
    if (declared) t = parse_type(f, &declared);
    return oct_build(f->m, id, NULL, operand, n, &at, declared ? &t : NULL, no_span);
}

#endif
