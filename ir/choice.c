/* choice.c - the tables of module options and quantization rules, from options.def and qconfig.def. */
#include <string.h>

#include "ir.h"

static const struct oct_choice_info options[] = {
#define OPTION(name_, words_, def_, doc_) {.name = #name_, .words = words_, .doc = doc_, .def = def_},
#include "options.def"
#undef OPTION
};

/* The rows of observers.def as words, each behind a space. */
#define OBSERVER(name, serves, def, lo, hi, doc) " " #name
static const char act_observers[] = ""
#include "observers.def"
    ;
#undef OBSERVER
#define OCT_ACT_OBSERVERS (act_observers + 1)
#define ACT_WORD(name)
#define BOTH_WORD(name)                          " " #name
#define OBSERVER(name, serves, def, lo, hi, doc) serves##_WORD(name)
static const char weight_observers[] = ""
#include "observers.def"
    ;
#undef OBSERVER
#define OCT_WEIGHT_OBSERVERS (weight_observers + 1)

static const struct oct_choice_info qrules[] = {
#define QRULE(field, words_, def_, doc_) {.name = #field, .words = words_, .doc = doc_, .def = def_},
#define QNAME(field, words_, def_, doc_)                                                                                         \
    {.name = #field, .words = words_, .doc = doc_, .kind = OCT_CHOICE_NAME, .def_name = def_},
#define QNUM(field, least_, most_, def_, doc_)                                                                                   \
    {.name = #field, .words = "", .doc = doc_, .kind = OCT_CHOICE_NUMBER, .least = least_, .most = most_, .number = def_},
#define QINT(field, least_, most_, def_, doc_)                                                                                   \
    {.name = #field,                                                                                                             \
     .words = "",                                                                                                                \
     .doc = doc_,                                                                                                                \
     .kind = OCT_CHOICE_NUMBER,                                                                                                  \
     .least = least_,                                                                                                            \
     .most = most_,                                                                                                              \
     .number = def_,                                                                                                             \
     .whole = true},
#include "qconfig.def"
#undef QRULE
#undef QNAME
#undef QNUM
};
static const size_t qrule_offset[] = {
#define QRULE(field, words, def, doc)      offsetof(struct oct_qconfig, field),
#define QNAME(field, words, def, doc)      offsetof(struct oct_qconfig, field),
#define QNUM(field, least, most, def, doc) offsetof(struct oct_qconfig, field),
#include "qconfig.def"
#undef QRULE
#undef QNAME
#undef QNUM
};
_Static_assert(OCT_QRULE_COUNT <= 32, "struct oct_rule.set has a bit for each field");

const struct oct_choice_info *oct_option_info(enum oct_option_id id) { return &options[id]; }
const struct oct_choice_info *oct_qrule_info(enum oct_qrule_id id) { return &qrules[id]; }

static void *field_of(const struct oct_qconfig *q, enum oct_qrule_id id) { return (char *)(uintptr_t)q + qrule_offset[id]; }
uint8_t *oct_qrule_field(struct oct_qconfig *q, enum oct_qrule_id id) { return field_of(q, id); }

void oct_qconfig_default(struct oct_qconfig *q) {
    for (int i = 0; i < OCT_QRULE_COUNT; i++) {
        void *field = field_of(q, (enum oct_qrule_id)i);
        switch (qrules[i].kind) {
        case OCT_CHOICE_WORD: *(uint8_t *)field = qrules[i].def; break;
        case OCT_CHOICE_NAME: *(const char **)field = qrules[i].def_name; break;
        case OCT_CHOICE_NUMBER: *(float *)field = qrules[i].number; break;
        }
    }
}

/* Letters, digits, '_' and '-', a letter first. */
static bool is_name(const char *s) {
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123456789";
    const size_t n = strlen(s);
    return n > 0 && n <= 64 && memchr(others, s[0], 52) && strspn(s, others) == n;
}

bool oct_qrule_set(struct oct_arena *a, struct oct_qconfig *q, enum oct_qrule_id id, const char *word, float number) {
    const struct oct_choice_info *info = &qrules[id];
    void *field = field_of(q, id);
    if (info->kind == OCT_CHOICE_NUMBER) {
        if (word || !(number >= info->least && number <= info->most)) return false;
        if (info->whole && number != truncf(number)) return false;
        *(float *)field = number + 0.0f;
        return true;
    }
    if (!word) return false;
    const int index = oct_word_index(info->words, word);
    if (info->kind == OCT_CHOICE_WORD) {
        if (index < 0) return false;
        *(uint8_t *)field = (uint8_t)index;
        return true;
    }
    if (index < 0 && !is_name(word)) return false;
    char *name = oct_strdup(a, word);
    for (char *p = name; *p; p++)
        if (*p == '-') *p = '_';
    *(const char **)field = name;
    return true;
}

void oct_qrule_copy(struct oct_arena *a, struct oct_qconfig *to, const struct oct_qconfig *from, enum oct_qrule_id id) {
    void *out = field_of(to, id);
    const void *in = field_of(from, id);
    switch (qrules[id].kind) {
    case OCT_CHOICE_WORD: *(uint8_t *)out = *(const uint8_t *)in; break;
    case OCT_CHOICE_NAME: *(const char **)out = a ? oct_strdup(a, *(const char *const *)in) : *(const char *const *)in; break;
    case OCT_CHOICE_NUMBER: *(float *)out = *(const float *)in; break;
    }
}

const char *oct_qrule_text(struct oct_arena *a, const struct oct_qconfig *q, enum oct_qrule_id id) {
    const void *field = field_of(q, id);
    if (qrules[id].kind == OCT_CHOICE_WORD) return oct_word_at(a, qrules[id].words, *(const uint8_t *)field);
    if (qrules[id].kind == OCT_CHOICE_NAME) return *(const char *const *)field;
    struct oct_text t;
    oct_text_init(&t, a);
    oct_text_add_f32(&t, *(const float *)field);
    return t.s;
}

const char *oct_qrule_takes(struct oct_arena *a, enum oct_qrule_id id) {
    const struct oct_choice_info *info = &qrules[id];
    if (info->kind == OCT_CHOICE_NUMBER)
        return oct_sprintf(a, "a %snumber from %g to %g", info->whole ? "whole " : "", (double)info->least, (double)info->most);
    return oct_sprintf(a, "one of: %s%s", info->words, info->kind == OCT_CHOICE_NAME ? ", or the name of a plugin's" : "");
}

static bool same_word(const char *words, const char *word, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((words[i] == '-' ? '_' : words[i]) != (word[i] == '-' ? '_' : word[i])) return false;
    return true;
}

int oct_word_index(const char *words, const char *word) {
    const size_t len = strlen(word);
    for (int i = 0; *words; i++) {
        const size_t n = strcspn(words, " ");
        if (n == len && same_word(words, word, n)) return i;
        words += n + (words[n] == ' ');
    }
    return -1;
}

const char *oct_word_at(struct oct_arena *a, const char *words, int index) {
    for (int i = 0; *words; i++) {
        const size_t n = strcspn(words, " ");
        if (i == index) return oct_strndup(a, words, n);
        words += n + (words[n] == ' ');
    }
    return NULL;
}
