/* repair.c - the words of --repair, each a rule (repairs.def). */
#include <string.h>

#include "driver.h"

static const struct drv_repair repairs[] = {
#define REPAIR(word, field, value, doc) {#word, doc, OCT_Q_##field, value},
#include "repairs.def"
#undef REPAIR
};
enum { NREPAIRS = sizeof repairs / sizeof *repairs };

static const struct drv_repair *find(const char *word, size_t length) {
    for (int i = 0; i < NREPAIRS; i++)
        if (strlen(repairs[i].word) == length && !memcmp(repairs[i].word, word, length)) return &repairs[i];
    return NULL;
}

bool drv_repairs(struct drv *d, const char *list, void (*each)(void *user, const struct drv_repair *r), void *user) {
    for (const char *s = list; *s; s += *s == ',') {
        const size_t length = strcspn(s, ",");
        const struct drv_repair *r = find(s, length);
        if (!r) {
            const char *words[NREPAIRS];
            for (int i = 0; i < NREPAIRS; i++) words[i] = repairs[i].word;
            const char *word = oct_strndup(d->a, s, length), *near = oct_did_you_mean(word, words, NREPAIRS);
            struct oct_text all;
            oct_text_init(&all, d->a);
            for (int i = 0; i < NREPAIRS; i++) oct_text_addf(&all, "%s%s", i ? " " : "", words[i]);
            return near ? drv_misuse(d, "--repair: '%s' is not known; did you mean '%s'?", word, near)
                        : drv_misuse(d, "--repair: '%s' is not known; repairs: %s", word, all.s);
        }
        each(user, r);
        s += length;
    }
    return true;
}
