/* language_args.c - lists, attributes, element types, dimensions, scale and zero: what statements carry besides names. Requires
 * attrs.def (through oct_attr_info), language.c for faults and language_const.c for parameters in the weights file. */
#include <float.h>
#include <string.h>

#include "language.h"

/* ---- growing lists in the statement's arena -------------------------------------------------------------------------------- */

/* Room for one more in an array of `n`, in the statement's arena; at most `max`. */
static void *grow(struct oct_lang *l, void *old, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap) return old;
    const uint32_t more = *cap ? *cap * 2 : 4;
    void *p = oct_alloc_n(l->scratch, more, size);
    if (n) memcpy(p, old, n * size);
    *cap = more;
    return p;
}

void oct_lang_push_item(struct oct_lang *l, struct oct_list *list, const struct oct_item *it) {
    if (list->n == OCT_LIST_MAX) {
        if (!l->bad && oct_lang_error(l, it->at, OCT_E1013, "more than %d elements in a list", OCT_LIST_MAX))
            oct_help(l->cx, "large constants belong in the weights file");
        return;
    }
    list->item = grow(l, list->item, list->n, &list->cap, sizeof *it);
    list->item[list->n++] = *it;
}

void oct_lang_push_arg(struct oct_lang *l, struct oct_args *args, const struct oct_arg *arg) {
    if (args->n == OCT_ARGS_MAX) {
        if (!l->bad) oct_lang_error(l, arg->name.at, OCT_E1013, "more than %d attributes", OCT_ARGS_MAX);
        return;
    }
    args->arg = grow(l, args->arg, args->n, &args->cap, sizeof *arg);
    args->arg[args->n++] = *arg;
}

void oct_lang_push_first(struct oct_lang *l, struct oct_args *args, const struct oct_arg *arg) {
    const uint32_t n = args->n;
    oct_lang_push_arg(l, args, arg);
    if (args->n == n) return;
    memmove(args->arg + 1, args->arg, n * sizeof *arg);
    args->arg[0] = *arg;
}

/* ---- values of attributes
 * ------------------------------------------------------------------------------------------------------ */

bool oct_lang_float(const struct oct_item *it, float *out) {
    if (it->kind == OCT_ITEM_FLOAT) *out = it->u.f;
    else if (it->kind == OCT_ITEM_INT) *out = (float)it->u.i;
    else if (it->kind == OCT_ITEM_NAME && !strcmp(it->u.text, "inf")) *out = INFINITY;
    else if (it->kind == OCT_ITEM_NAME && !strcmp(it->u.text, "nan")) *out = NAN;
    else return false;
    return true;
}

/* `it` as exactly n floats. */
static bool floats(const struct oct_item *it, uint32_t n, float *out) {
    if (it->kind != OCT_ITEM_LIST) return n == 1 && oct_lang_float(it, out);
    if (it->u.list->n != n || n == 1) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!oct_lang_float(&it->u.list->item[i], &out[i])) return false;
    return true;
}

/* `it` as integers, one alone being a list of one; N too where `with_n`. -1 when it is none, otherwise how many. */
static int ints(const struct oct_item *it, bool with_n, int64_t out[OCT_MAX_RANK]) {
    const struct oct_list one = {(struct oct_item *)it, 1, 1}, *list = it->kind == OCT_ITEM_LIST ? it->u.list : &one;
    if (list->n > OCT_MAX_RANK) return -1;
    for (uint32_t i = 0; i < list->n; i++) {
        const struct oct_item *e = &list->item[i];
        if (e->kind == OCT_ITEM_INT) out[i] = e->u.i;
        else if (with_n && e->kind == OCT_ITEM_NAME && !strcmp(e->u.text, "N")) out[i] = OCT_DIM_N;
        else return -1;
    }
    return (int)list->n;
}

/* INT, INT2 and INT4 take one number for all of theirs, INT4 also (h,w). */
static bool spread(int n, int want, int64_t *v) {
    if (n == want) return true;
    if (n != 1 && !(n == 2 && want == 4)) return false;
    for (int i = n; i < want; i++) v[i] = v[i - n];
    return true;
}

static int word_index(const char *const *words, const char *word) {
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

/* What an attribute of a kind looks like, for advice. */
static const char *example(struct oct_lang *l, const struct oct_attr_info *info) {
    static const char *const kinds[] = {[OCT_KIND_INT] = "=1",
                                        [OCT_KIND_INT2] = "=2 or %s=(2,1)",
                                        [OCT_KIND_INT4] = "=1 or %s=(1,1,2,2)",
                                        [OCT_KIND_INTS] = "=(1,2)",
                                        [OCT_KIND_F32] = "=0.5",
                                        [OCT_KIND_F32X2] = "=(0.0,6.0)",
                                        [OCT_KIND_FLAG] = "",
                                        [OCT_KIND_STR] = "=\"text\"",
                                        [OCT_KIND_WORD] = "="};
    struct oct_text t;
    oct_text_init(&t, l->scratch);
    oct_text_addf(&t, "write %s", info->name);
    const char *form = kinds[info->kind], *again = strstr(form, "%s");
    oct_text_addn(&t, form, again ? (size_t)(again - form) : strlen(form));
    if (again) oct_text_addf(&t, "%s%s", info->name, again + 2);
    for (int i = 0; info->kind == OCT_KIND_WORD && info->words[i]; i++) oct_text_addf(&t, "%s%s", i ? "|" : "", info->words[i]);
    oct_text_addf(&t, ": %s", info->doc);
    return t.s;
}

/* Stores a value in the field of an attribute; false when it is not of the attribute's kind. */
static bool store(struct oct_lang *l, struct oct_attrs *at, enum oct_attr_id id, const struct oct_item *it) {
    const struct oct_attr_info *info = oct_attr_info(id);
    void *field = (char *)at + info->offset;
    int64_t v[OCT_MAX_RANK] = {0};
    float f[2];
    int n;
    switch (info->kind) {
    case OCT_KIND_INT:
        if (it->kind != OCT_ITEM_INT) return false;
        *(int64_t *)field = it->u.i;
        return true;
    case OCT_KIND_INT2:
    case OCT_KIND_INT4:
        if (id == OCT_A_pad && it->kind == OCT_ITEM_NAME && !strcmp(it->u.text, "same")) v[0] = OCT_PAD_SAME;
        else if (!spread(ints(it, false, v), info->kind == OCT_KIND_INT2 ? 2 : 4, v)) return false;
        memcpy(field, v, (info->kind == OCT_KIND_INT2 ? 2 : 4) * sizeof *v);
        return true;
    case OCT_KIND_INTS:
        if ((n = ints(it, id == OCT_A_shape, v)) < 0) return false;
        ((struct oct_ints *)field)->n = n;
        memcpy(((struct oct_ints *)field)->v, v, sizeof v);
        return true;
    case OCT_KIND_F32: return floats(it, 1, field);
    case OCT_KIND_F32X2:
        if (!floats(it, 2, f)) return false;
        memcpy(field, f, sizeof f);
        return true;
    case OCT_KIND_FLAG:
        if (it->kind != OCT_ITEM_NONE) return false;
        *(bool *)field = true;
        return true;
    case OCT_KIND_STR:
        if (it->kind != OCT_ITEM_STRING && it->kind != OCT_ITEM_NAME) return false;
        *(const char **)field = oct_strdup(l->m->arena, it->u.text);
        return true;
    case OCT_KIND_WORD:
        if (it->kind != OCT_ITEM_NAME || (n = word_index(info->words, it->u.text)) < 0) return false;
        *(int *)field = n; /* the field is an enum, and enums of this compiler are ints */
        return true;
    }
    return false;
}

bool oct_lang_attr(struct oct_lang *l, struct oct_attrs *at, uint64_t legal, const char *owner, const struct oct_arg *arg) {
    const char *name = arg->name.u.text, *names[OCT_ATTR_COUNT];
    size_t n = 0;
    struct oct_text all;
    oct_text_init(&all, l->scratch);
    oct_text_addf(&all, "%s takes:", owner);
    int id = OCT_ATTR_COUNT;
    for (int i = 0; i < OCT_ATTR_COUNT; i++) {
        if (!(legal >> i & 1)) continue;
        names[n++] = oct_attr_info((enum oct_attr_id)i)->name;
        oct_text_addf(&all, " %s", names[n - 1]);
        if (!strcmp(names[n - 1], name)) id = i;
    }
    if (arg->value.kind == OCT_ITEM_BAD) return false;
    if (id == OCT_ATTR_COUNT) {
        if (oct_lang_error(l, arg->name.at, OCT_E1014, "%s takes no attribute '%s'", owner, name))
            oct_lang_suggest(l, name, names, n, all.s);
        return false;
    }
    if (at->set >> id & 1) {
        oct_lang_error(l, arg->name.at, OCT_E1015, "'%s' is given twice", name);
        return false;
    }
    at->set |= (uint64_t)1 << id;
    if (arg->index.kind == OCT_ITEM_NONE && store(l, at, (enum oct_attr_id)id, &arg->value)) return true;
    if (oct_lang_error(l, arg->value.kind ? arg->value.at : arg->name.at, OCT_E1017, "%s: '%s' does not take this", owner, name))
        oct_help(l->cx, "%s", example(l, oct_attr_info((enum oct_attr_id)id)));
    return false;
}

/* ---- types
 * ------------------------------------------------------------------------------------------------------------------------ */

static bool dimension(struct oct_lang *l, const struct oct_item *it, bool with_n, int64_t *out) {
    const bool is_n = it->kind == OCT_ITEM_NAME && !strcmp(it->u.text, "N");
    if (it->kind == OCT_ITEM_INT && it->u.i > 0) *out = it->u.i;
    else if (is_n && with_n) *out = OCT_DIM_N;
    else if (it->kind != OCT_ITEM_BAD) {
        if (oct_lang_error(l, it->at, OCT_E1019, is_n ? "a constant has no batch dimension N" : "this is no dimension"))
            oct_help(l->cx, "a dimension is a whole number from 1 on%s", with_n ? ", or N for the batch" : "");
        return false;
    }
    return it->kind != OCT_ITEM_BAD;
}

bool oct_lang_type(struct oct_lang *l, const struct oct_annotation *a, bool with_n, struct oct_type *out) {
    *out = (struct oct_type){.rank = OCT_ANY_RANK};
    if (!oct_dtype_parse(a->dtype.u.text, &out->dtype)) {
        const char *names[OCT_DTYPE_COUNT];
        struct oct_text all;
        oct_text_init(&all, l->scratch);
        oct_text_add(&all, "there are:");
        for (int i = 0; i < OCT_DTYPE_COUNT; i++) oct_text_addf(&all, " %s", names[i] = oct_dtype_name((enum oct_dtype)i));
        if (oct_lang_error(l, a->dtype.at, OCT_E1021, "there is no element type '%s'", a->dtype.u.text))
            oct_help(l->cx, "%s", all.s);
        return false;
    }
    if (!a->dims) return true;
    if (a->dims->n > OCT_MAX_RANK) {
        oct_lang_error(l, a->dims->item[OCT_MAX_RANK].at, OCT_E1019, "more than %d dimensions", OCT_MAX_RANK);
        return false;
    }
    out->rank = (int)a->dims->n;
    for (int i = 0; i < out->rank; i++)
        if (!dimension(l, &a->dims->item[i], with_n, &out->dim[i])) return false;
    if (oct_type_elements(out, 1) >= 0) return true;
    oct_lang_error(l, a->dtype.at, OCT_E1019, "a tensor of more than %lld elements", (long long)OCT_MAX_ELEMENTS);
    return false;
}

/* ---- scale and zero
 * -------------------------------------------------------------------------------------------------------------- */

bool oct_lang_is_qual(const struct oct_arg *a) { return !strcmp(a->name.u.text, "scale") || !strcmp(a->name.u.text, "zero"); }

/* The tensor of the weights file that `scale[0]=file` or `scale[0]=#hash` names: a vector of `dtype`. */
static const struct oct_st_tensor *vector_of_file(struct oct_lang *l, const struct oct_arg *a, const char *key,
                                                  enum oct_dtype dtype) {
    if (a->value.kind == OCT_ITEM_HASH) key = a->value.u.text;
    else if (key) key = oct_sprintf(l->scratch, "%s:%s", key, a->name.u.text);
    else {
        if (oct_lang_error(l, a->value.at, OCT_E1022, "only a constant has parameters in the weights file under its own name"))
            oct_help(l->cx, "list them here, or name them by content: %s[0]=#0123456789abcdef", a->name.u.text);
        return NULL;
    }
    const struct oct_st_tensor *t = oct_lang_tensor(l, key, a->value.at);
    if (!t || (t->dtype == dtype && t->rank == 1)) return t && oct_lang_hash_fits(l, &a->value, dtype, t) ? t : NULL;
    oct_lang_error(l, a->value.at, OCT_E1022, "tensor '%s' of the weights file is no vector of %s", key, oct_dtype_name(dtype));
    return NULL;
}

static bool is_scale(float s) { return s >= FLT_MIN && s <= FLT_MAX; }
static bool bad_scale(struct oct_lang *l, struct oct_span at) {
    if (oct_lang_error(l, at, OCT_E2202, "a scale is a number from %g up, and finite", (double)FLT_MIN))
        oct_help(l->cx, "a code q stands for scale * (q - zero)");
    return false;
}
static bool bad_zero(struct oct_lang *l, struct oct_span at, enum oct_dtype t) {
    oct_lang_error(l, at, OCT_E2203, "a zero point of %s is a whole number from %lld to %lld", oct_dtype_name(t),
                   (long long)oct_dtype_min(t), (long long)oct_dtype_max(t));
    return false;
}
static bool zero_fits(enum oct_dtype t, int64_t z) {
    return z >= oct_dtype_min(t) && z <= oct_dtype_max(t) && z >= INT32_MIN && z <= INT32_MAX;
}

/* Reads the numbers of one qualifier into *n floats or integers of the module's arena. */
static bool scales(struct oct_lang *l, const struct oct_arg *a, const char *key, uint32_t *n, const float **out) {
    const struct oct_item *v = &a->value;
    if (v->kind == OCT_ITEM_HASH || (v->kind == OCT_ITEM_NAME && !strcmp(v->u.text, "file"))) {
        const struct oct_st_tensor *t = vector_of_file(l, a, key, OCT_F32);
        if (!t) return false;
        *n = (uint32_t)t->dim[0];
        *out = t->data;
        for (uint32_t i = 0; i < *n; i++)
            if (!is_scale((*out)[i])) return bad_scale(l, v->at);
        return true;
    }
    const struct oct_list one = {(struct oct_item *)v, 1, 1}, *list = v->kind == OCT_ITEM_LIST ? v->u.list : &one;
    float *s = OCT_NEW_N(l->m->arena, float, list->n);
    for (uint32_t i = 0; i < list->n; i++)
        if (list->item[i].kind == OCT_ITEM_BAD) return false;
        else if (!oct_lang_float(&list->item[i], &s[i]) || !is_scale(s[i])) return bad_scale(l, list->item[i].at);
    *n = list->n;
    *out = s;
    return true;
}

static bool zeros(struct oct_lang *l, const struct oct_arg *a, const char *key, enum oct_dtype dtype, uint32_t *n,
                  const int32_t **out) {
    const struct oct_item *v = &a->value;
    if (v->kind == OCT_ITEM_HASH || (v->kind == OCT_ITEM_NAME && !strcmp(v->u.text, "file"))) {
        const struct oct_st_tensor *t = vector_of_file(l, a, key, OCT_I32);
        if (!t) return false;
        *n = (uint32_t)t->dim[0];
        *out = t->data;
        for (uint32_t i = 0; i < *n; i++)
            if (!zero_fits(dtype, (*out)[i])) return bad_zero(l, v->at, dtype);
        return true;
    }
    const struct oct_list one = {(struct oct_item *)v, 1, 1}, *list = v->kind == OCT_ITEM_LIST ? v->u.list : &one;
    int32_t *z = OCT_NEW_N(l->m->arena, int32_t, list->n);
    for (uint32_t i = 0; i < list->n; i++)
        if (list->item[i].kind == OCT_ITEM_BAD) return false;
        else if (list->item[i].kind != OCT_ITEM_INT || !zero_fits(dtype, list->item[i].u.i))
            return bad_zero(l, list->item[i].at, dtype);
        else z[i] = (int32_t)list->item[i].u.i;
    *n = list->n;
    *out = z;
    return true;
}

/* The axis a qualifier speaks of; -1: per tensor. */
static bool axis_of(struct oct_lang *l, const struct oct_arg *a, const struct oct_type *t, int *axis) {
    *axis = -1;
    if (a->index.kind == OCT_ITEM_BAD || a->value.kind == OCT_ITEM_BAD) return false;
    const bool many = a->value.kind == OCT_ITEM_LIST || a->value.kind == OCT_ITEM_HASH ||
                      (a->value.kind == OCT_ITEM_NAME && !strcmp(a->value.u.text, "file"));
    if (many != (a->index.kind == OCT_ITEM_INT)) {
        if (oct_lang_error(l, a->name.at, OCT_E1022, many ? "%s for which axis?" : "one %s cannot be per channel",
                           a->name.u.text))
            oct_help(l->cx, "per channel: %s[0]=(a,b,...), the number being the axis; per tensor: %s=a", a->name.u.text,
                     a->name.u.text);
        return false;
    }
    if (!many) return true;
    const int rank = t->rank == OCT_ANY_RANK ? OCT_MAX_RANK : t->rank;
    if (a->index.u.i < 0 || a->index.u.i >= rank) {
        oct_lang_error(l, a->index.at, OCT_E2204, "%s has no axis %lld", oct_type_text(l->scratch, t), (long long)a->index.u.i);
        return false;
    }
    *axis = (int)a->index.u.i;
    return true;
}

bool oct_lang_quant(struct oct_lang *l, const struct oct_args *quals, const char *key, struct oct_type *t) {
    const struct oct_arg *scale = NULL, *zero = NULL;
    for (uint32_t i = 0; i < quals->n; i++) {
        const struct oct_arg *a = &quals->arg[i];
        if (!oct_lang_is_qual(a)) continue;
        const struct oct_arg **slot = a->name.u.text[0] == 's' ? &scale : &zero;
        if (*slot) {
            oct_lang_error(l, a->name.at, OCT_E1015, "'%s' is given twice", a->name.u.text);
            return false;
        }
        *slot = a;
    }
    if (!scale && !zero) return true;
    if (!scale) {
        if (oct_lang_error(l, zero->name.at, OCT_E1022, "a zero point without a scale"))
            oct_help(l->cx, "write both: a code q stands for scale * (q - zero)");
        return false;
    }
    if (oct_dtype_is_float(t->dtype)) {
        if (oct_lang_error(l, scale->name.at, OCT_E2201, "%s has no codes", oct_dtype_name(t->dtype)))
            oct_help(l->cx, "scale and zero belong to integer types, such as i8");
        return false;
    }
    struct oct_quant *q = OCT_NEW(l->m->arena, struct oct_quant);
    int axis;
    if (!axis_of(l, scale, t, &q->axis) || !scales(l, scale, key, &q->n, &q->scale)) return false;
    if (q->axis >= 0 && t->rank != OCT_ANY_RANK && t->dim[q->axis] != q->n) {
        oct_lang_error(l, scale->value.at, OCT_E2205, "%u scales for axis %d of %s", q->n, q->axis, oct_type_text(l->scratch, t));
        return false;
    }
    if (zero) {
        uint32_t n;
        if (!axis_of(l, zero, t, &axis) || !zeros(l, zero, key, t->dtype, &n, &q->zero)) return false;
        if (axis != q->axis || n != q->n) {
            if (oct_lang_error(l, zero->value.at, OCT_E2205, "%u zero points beside %u scales", n, q->n))
                oct_note(l->cx, scale->value.at, "the scales are here");
            return false;
        }
    }
    t->q = q;
    return true;
}
