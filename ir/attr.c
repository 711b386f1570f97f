/* attr.c - the table of attributes, generated from attrs.def and words.def. Requires nothing but those. */
#include <string.h>

#include "ir.h"

#define WORD_TEXT(enumeration, word, doc) #word,
#define WORD_LIST(enumeration)            static const char *const words_##enumeration[] = {OCT_WORDS_##enumeration(WORD_TEXT) NULL};
WORD_LIST(profile)
WORD_LIST(divide)
WORD_LIST(order)
WORD_LIST(scheme)
WORD_LIST(part)
static const char *const words_dtype[] = {
#define DTYPE(name, word, bits, is_float, is_signed) word,
#include "dtypes.def"
#undef DTYPE
    NULL};

/* KIND_x: what a row of attrs.def becomes in struct oct_attr_info: kind and words. */
#define KIND_INT          OCT_KIND_INT, NULL
#define KIND_INT2         OCT_KIND_INT2, NULL
#define KIND_INT4         OCT_KIND_INT4, NULL
#define KIND_INTS         OCT_KIND_INTS, NULL
#define KIND_F32          OCT_KIND_F32, NULL
#define KIND_F32X2        OCT_KIND_F32X2, NULL
#define KIND_FLAG         OCT_KIND_FLAG, NULL
#define KIND_STR          OCT_KIND_STR, NULL
#define KIND_WORD_profile OCT_KIND_WORD, words_profile
#define KIND_WORD_divide  OCT_KIND_WORD, words_divide
#define KIND_WORD_order   OCT_KIND_WORD, words_order
#define KIND_WORD_scheme  OCT_KIND_WORD, words_scheme
#define KIND_WORD_part    OCT_KIND_WORD, words_part
#define KIND_WORD_dtype   OCT_KIND_WORD, words_dtype
#define ROW(field, doc, kind, words)                                                                                             \
    { #field, doc, kind, offsetof(struct oct_attrs, field), words }
#define ROW_OF(field, doc, kind_and_words) ROW(field, doc, kind_and_words)

static const struct oct_attr_info infos[] = {
#define ATTR(field, kind, def, doc) ROW_OF(field, doc, KIND_##kind),
#include "attrs.def"
#undef ATTR
};
_Static_assert(OCT_ATTR_COUNT <= 64, "struct oct_attrs.set has a bit for each attribute");

#define UNWRAP(...) __VA_ARGS__
static const struct oct_attrs defaults = {
    .set = 0,
#define ATTR(field, kind, def, doc) .field = UNWRAP def,
#include "attrs.def"
#undef ATTR
};

const struct oct_attr_info *oct_attr_info(enum oct_attr_id id) { return &infos[id]; }

void oct_attrs_init(struct oct_attrs *at) { *at = defaults; }

static bool same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

bool oct_attr_equal(const struct oct_attrs *a, const struct oct_attrs *b, enum oct_attr_id id) {
    static const size_t sizes[] = {[OCT_KIND_INT] = 8,
                                   [OCT_KIND_INT2] = 16,
                                   [OCT_KIND_INT4] = 32,
                                   [OCT_KIND_F32] = 4,
                                   [OCT_KIND_F32X2] = 8,
                                   [OCT_KIND_FLAG] = sizeof(bool),
                                   [OCT_KIND_WORD] = sizeof(enum oct_profile)};
    const char *x = (const char *)a + infos[id].offset, *y = (const char *)b + infos[id].offset;
    if (infos[id].kind == OCT_KIND_INTS) {
        const struct oct_ints *p = (const void *)x, *q = (const void *)y;
        return p->n == q->n && !memcmp(p->v, q->v, (size_t)p->n * sizeof p->v[0]);
    }
    if (infos[id].kind == OCT_KIND_STR)
        return same_text(*(const char *const *)(const void *)x, *(const char *const *)(const void *)y);
    return !memcmp(x, y, sizes[infos[id].kind]);
}
