/* choice.c - the tables of module options and quantization rules, from options.def and qconfig.def. */
#include <string.h>

#include "ir.h"

static const struct oct_choice_info options[] = {
#define OPTION(name, words, def, doc) {#name, words, doc, def},
#include "options.def"
#undef OPTION
};
static const struct oct_choice_info qrules[] = {
#define QRULE(field, words, def, doc) {#field, words, doc, def},
#include "qconfig.def"
#undef QRULE
};
static const size_t qrule_offset[] = {
#define QRULE(field, words, def, doc) offsetof(struct oct_qconfig, field),
#include "qconfig.def"
#undef QRULE
};

const struct oct_choice_info *oct_option_info(enum oct_option_id id) { return &options[id]; }
const struct oct_choice_info *oct_qrule_info(enum oct_qrule_id id) { return &qrules[id]; }
uint8_t *oct_qrule_field(struct oct_qconfig *q, enum oct_qrule_id id) { return (uint8_t *)q + qrule_offset[id]; }

void oct_qconfig_default(struct oct_qconfig *q) {
    for (int i = 0; i < OCT_QRULE_COUNT; i++) *oct_qrule_field(q, (enum oct_qrule_id)i) = qrules[i].def;
}

int oct_word_index(const char *words, const char *word) {
    const size_t len = strlen(word);
    for (int i = 0; *words; i++) {
        const size_t n = strcspn(words, " ");
        if (n == len && !memcmp(words, word, n)) return i;
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
