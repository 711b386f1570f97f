/* import.c - see import.h. */
#include "import.h"

#include <string.h>

enum { QUOTE_MAX = 80, FROM_MAX = 1024 };

const char *oct_import_quote(struct oct_arena *a, const char *s) {
    struct oct_text t;
    oct_text_init(&t, a);
    if (strlen(s) > QUOTE_MAX) s = oct_sprintf(a, "%.*s...", QUOTE_MAX, s);
    oct_text_add_quoted(&t, s);
    t.s[0] = t.s[t.len - 1] = '\'';
    return t.s;
}

const char *oct_import_model_name(struct oct_arena *a, const char *path) {
    const char *base = path && strrchr(path, '/') ? strrchr(path, '/') + 1 : path ? path : "";
    char *s = oct_sprintf(a, "%.64s", base);
    char *dot = strrchr(s, '.');
    if (dot && dot > s) *dot = 0;
    for (char *p = s; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))) *p = '_';
    return !*s || (*s >= '0' && *s <= '9') ? oct_sprintf(a, "model_%s", s) : s;
}

const char *oct_import_readable(const char *source) {
    const char *s = source;
    while (*s == '/' || *s == ':' || *s == '.') s++;
    return *s ? s : source;
}

void oct_import_from(struct oct_arena *a, struct oct_attrs *at, const char *name, const char *source) {
    if (!strcmp(name, source)) return;
    OCT_SET(*at, from, strlen(source) > FROM_MAX ? oct_strndup(a, source, FROM_MAX) : source);
}

struct oct_node *oct_import_node(struct oct_module *m, const char *source, const char *suffix, enum oct_op op,
                                 struct oct_node *const *operand, int n, const struct oct_attrs *given,
                                 const struct oct_type *declared, struct oct_span span) {
    struct oct_attrs at;
    if (given) at = *given;
    else oct_attrs_init(&at);
    const char *readable = oct_import_readable(source),
               *name = oct_fresh_value_name(m, *suffix ? oct_sprintf(m->arena, "%.48s%s", readable, suffix) : readable);
    if (!*suffix) oct_import_from(m->arena, &at, name, source);
    return oct_build(m, op, name, operand, n, &at, declared, span);
}

void oct_import_gather(void *to, const void *from, size_t size, int rank, const int64_t *dim, const int64_t *stride) {
    int64_t index[OCT_MAX_RANK] = {0}, n = 1, offset = 0;
    for (int i = 0; i < rank; i++) n *= dim[i];
    char *p = to;
    for (int64_t k = 0; k < n; k++, p += size) {
        memcpy(p, (const char *)from + offset * (int64_t)size, size);
        for (int i = rank - 1; i >= 0; i--) { /* the odometer's next index */
            offset += stride[i];
            if (++index[i] < dim[i]) break;
            offset -= stride[i] * dim[i];
            index[i] = 0;
        }
    }
}

void oct_import_drop_unused(struct oct_module *m) {
    oct_count_uses(m);
    for (struct oct_node *n = m->last, *prev; n; n = prev) {
        prev = n->prev;
        if (n->nuses || (n->op != OCT_OP_const && n->op != OCT_OP_dequantize)) continue;
        for (int i = 0; i < n->noperands; i++) n->operand[i]->nuses--;
        oct_remove(m, n);
    }
}
