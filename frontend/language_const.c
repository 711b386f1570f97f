/* language_const.c - constants: written in the text, random, or in the weights file. Requires safetensors.c for the file,
 * language_args.c for types. A constant's data are the file's bytes themselves wherever they lie there. */
#include <string.h>

#include "language.h"

/* ---- the weights file -------------------------------------------------------------------------------------------------- */

/* Up to this many tensors are searched for one that was meant. */
enum { SEARCH_MAX = 10000 };

const struct oct_st_tensor *oct_lang_tensor(struct oct_lang *l, const char *key, struct oct_span at) {
    if (l->weights_bad) {
        l->bad = true; /* the weights statement said why */
        return NULL;
    }
    if (!l->have_weights) {
        if (oct_lang_error(l, at, OCT_E1009, "no weights file is named above, and this is in one"))
            oct_help(l->cx, "write: weights \"FILE.safetensors\"");
        l->have_weights = l->weights_bad = true;
        return NULL;
    }
    const struct oct_st_tensor *t = oct_safetensors_find(&l->weights, key);
    if (t) return t;
    const size_t n = l->weights.n < SEARCH_MAX ? l->weights.n : SEARCH_MAX;
    const char **names = OCT_NEW_N(l->scratch, const char *, n);
    for (size_t i = 0; i < n; i++) names[i] = l->weights.tensor[i].name;
    if (oct_lang_error(l, at, OCT_E1023, "the weights file has no tensor '%s'", key)) {
        if (l->text[at.start] == '#')
            oct_help(l->cx, "keys are hashes of what they hold; use the store that was written with this text");
        else oct_lang_suggest(l, key, names, n, NULL);
    }
    return NULL;
}

bool oct_lang_hash_fits(struct oct_lang *l, const struct oct_item *hash, enum oct_dtype dtype, const struct oct_st_tensor *t) {
    char is[17];
    if (hash->kind != OCT_ITEM_HASH) return true;
    oct_tensor_hash(dtype, t->rank, t->dim, t->data, is);
    if (!strcmp(is, hash->u.text)) return true;
    if (oct_lang_error(l, hash->at, OCT_E1009, "the weights file holds other data under this key: their hash is %s", is))
        oct_help(l->cx, "keys are hashes of what they hold; use the store that was written with this text");
    return false;
}

/* i4 and u4 lie one to a byte in files. */
static enum oct_dtype stored_as(enum oct_dtype t) { return t == OCT_I4 ? OCT_I8 : t == OCT_U4 ? OCT_U8 : t; }

static bool codes_fit(enum oct_dtype t, const void *data, int64_t n) {
    const int8_t *p = data;
    for (int64_t i = 0; i < n; i++) {
        const int code = t == OCT_U4 ? (uint8_t)p[i] : p[i];
        if (code < oct_dtype_min(t) || code > oct_dtype_max(t)) return false;
    }
    return true;
}

/* Data of the tensor of the file that a name or hash says, for a constant of type `t`, whose dimensions it fills in where they
 * were left out. */
static const void *data_of_file(struct oct_lang *l, const struct oct_item *name, struct oct_type *t) {
    const char *key = name->u.text;
    const struct oct_span at = name->at;
    const struct oct_st_tensor *st = oct_lang_tensor(l, key, at);
    if (!st) return NULL;
    struct oct_type in_file = {.dtype = st->dtype, .rank = st->rank};
    memcpy(in_file.dim, st->dim, sizeof in_file.dim);
    if (t->rank == OCT_ANY_RANK) {
        t->rank = st->rank;
        memcpy(t->dim, st->dim, sizeof t->dim);
    }
    if (st->dtype != stored_as(t->dtype) || !oct_shape_equal(&in_file, t)) {
        oct_lang_error(l, at, OCT_E1024, "'%s' is %s in the weights file, not %s", key, oct_type_text(l->scratch, &in_file),
                       oct_type_text(l->scratch, t));
        return NULL;
    }
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] < 1) {
            oct_lang_error(l, at, OCT_E1024, "'%s' of the weights file has no elements", key);
            return NULL;
        }
    const int64_t n = oct_type_elements(t, 1);
    if (n < 0) {
        oct_lang_error(l, at, OCT_E1019, "a tensor of more than %lld elements", (long long)OCT_MAX_ELEMENTS);
        return NULL;
    }
    if (stored_as(t->dtype) == t->dtype || codes_fit(t->dtype, st->data, n))
        return oct_lang_hash_fits(l, name, t->dtype, st) ? st->data : NULL;
    oct_lang_error(l, at, OCT_E1024, "'%s' of the weights file has codes that do not fit %s", key, oct_dtype_name(t->dtype));
    return NULL;
}

/* ---- random constants --------------------------------------------------------------------------------------------------------
 */

static const void *random_data(struct oct_lang *l, const struct oct_type *t, const struct oct_attrs *at, struct oct_span span) {
    const uint64_t n = (uint64_t)oct_type_elements(t, 1);
    l->random_bytes += n * oct_dtype_size(t->dtype);
    if (l->random_bytes > OCT_RANDOM_MAX) {
        oct_lang_error(l, span, OCT_E1025, "random constants of more than %d MiB", OCT_RANDOM_MAX >> 20);
        return NULL;
    }
    const char *fault = oct_random_fault(t, at);
    if (fault) {
        if (oct_lang_error(l, span, OCT_E1025, "%s", fault)) oct_help(l->cx, "within=(-1.0,1.0) is the default");
        return NULL;
    }
    void *data = oct_alloc_n(l->m->arena, n, oct_dtype_size(t->dtype));
    oct_random_fill(t, at, data);
    return data;
}

/* ---- constants in the text
 * ----------------------------------------------------------------------------------------------------- */

static const void *inline_data(struct oct_lang *l, const struct oct_type *t, const struct oct_item *v) {
    const struct oct_list one = {(struct oct_item *)v, 1, 1}, *list = v->kind == OCT_ITEM_LIST ? v->u.list : &one;
    const int64_t n = oct_type_elements(t, 1);
    if (n != list->n) {
        if (oct_lang_error(l, v->at, OCT_E1024, "%u elements for %s, which has %lld", list->n, oct_type_text(l->scratch, t),
                           (long long)n))
            oct_help(l->cx, "the list is flat, the last dimension running fastest");
        return NULL;
    }
    void *data = oct_alloc_n(l->m->arena, list->n, oct_dtype_size(t->dtype));
    for (uint32_t i = 0; i < list->n; i++) {
        const struct oct_item *e = &list->item[i];
        float x;
        if (e->kind == OCT_ITEM_BAD) return NULL;
        if (t->dtype == OCT_F32 && oct_lang_float(e, &x)) ((float *)data)[i] = x;
        else if (t->dtype != OCT_F32 && e->kind == OCT_ITEM_INT && e->u.i >= oct_dtype_min(t->dtype) &&
                 e->u.i <= oct_dtype_max(t->dtype))
            oct_store_int(t->dtype, data, i, e->u.i);
        else {
            if (t->dtype == OCT_F32) oct_lang_error(l, e->at, OCT_E1024, "this is no number");
            else
                oct_lang_error(l, e->at, OCT_E1024, "an element of %s is a whole number from %lld to %lld",
                               oct_dtype_name(t->dtype), (long long)oct_dtype_min(t->dtype), (long long)oct_dtype_max(t->dtype));
            return NULL;
        }
    }
    return data;
}

/* ---- the statement, and uses
 * ------------------------------------------------------------------------------------------------------ */

static struct oct_node *build(struct oct_lang *l, const char *name, const struct oct_type *t, const void *data,
                              const struct oct_attrs *at, struct oct_span span) {
    oct_lang_define(l, true, name);
    struct oct_node *n = oct_build_const(l->m, oct_strdup(l->m->arena, name), t, data, span);
    if (!n) l->bad = true;
    else if (at) n->at = *at;
    return n;
}

static bool dims_needed(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type,
                        const struct oct_type *t) {
    if (t->rank != OCT_ANY_RANK) return true;
    if (oct_lang_error(l, type->dtype.at, OCT_E1019, "constant '%s' has no dimensions", name->u.text))
        oct_help(l->cx, "they may be left out only where the weights file knows them; a scalar is f32[]");
    return false;
}

void oct_lang_const(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type,
                    const struct oct_item *data, const struct oct_args *args) {
    if (l->bad) return;
    const bool by_hash = data && data->kind == OCT_ITEM_HASH;
    const bool random = data && data->kind == OCT_ITEM_NAME && !strcmp(data->u.text, "random");
    const bool file = !data || by_hash || (data->kind == OCT_ITEM_NAME && !strcmp(data->u.text, "file"));
    uint64_t legal = (uint64_t)1 << OCT_A_from | (uint64_t)1 << OCT_A_doc | (uint64_t)1 << OCT_A_why;
    if (random) legal |= (uint64_t)1 << OCT_A_seed | (uint64_t)1 << OCT_A_within;
    const char *owner = random ? "a random constant" : "a constant";
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (uint32_t i = 0; i < type->quals.n; i++)
        if (!oct_lang_is_qual(&type->quals.arg[i])) oct_lang_attr(l, &at, legal, owner, &type->quals.arg[i]);
    for (uint32_t i = 0; args && i < args->n; i++) oct_lang_attr(l, &at, legal, owner, &args->arg[i]);
    if (random) OCT_MARK(at, seed); /* what makes it print as random again */

    struct oct_type t;
    const void *bytes = NULL;
    if (l->bad || !oct_lang_type(l, type, false, &t)) return;
    if (file) bytes = data_of_file(l, by_hash ? data : name, &t);
    else if (dims_needed(l, name, type, &t)) bytes = random ? random_data(l, &t, &at, data->at) : inline_data(l, &t, data);
    if (!bytes || !oct_lang_quant(l, &type->quals, name->u.text, &t) || l->bad) {
        l->bad = true;
        return;
    }
    build(l, name->u.text, &t, bytes, &at, name->at);
}

struct oct_node *oct_lang_use_const(struct oct_lang *l, const struct oct_item *name) {
    struct oct_node *n = oct_find_const(l->m, name->u.text);
    if (n) return n;
    if (l->bad) return &l->silent;
    struct oct_type t = {.rank = OCT_ANY_RANK};
    const struct oct_st_tensor *st = NULL;
    if (l->have_weights || l->weights_bad) st = oct_lang_tensor(l, name->u.text, name->at);
    else if (oct_lang_error(l, name->at, OCT_E1023, "there is no constant '@%s' up to here, and no weights file", name->u.text))
        oct_help(l->cx, "write: const @%s : f32[...] = random, or name the file: weights \"FILE.safetensors\"", name->u.text);
    if (st) {
        t.dtype = st->dtype;
        const void *data = data_of_file(l, name, &t);
        if (data) n = build(l, name->u.text, &t, data, NULL, name->at);
    }
    if (n) return n;
    oct_lang_silence(l, true, name->u.text);
    return &l->silent;
}

struct oct_node *oct_lang_number(struct oct_lang *l, const struct oct_item *number) {
    float x;
    if (l->bad || !oct_lang_float(number, &x)) return &l->silent;
    const struct oct_type scalar = {.dtype = OCT_F32};
    struct oct_node *n = oct_build_const_copy(l->m, oct_fresh_const_name(l->m, "k"), &scalar, &x, number->at);
    return n ? n : &l->silent;
}
