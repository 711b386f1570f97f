/* options.c - reads the command line by the tables options.def and verbs.def, and prints help from them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum kind { FLAG, STR, LIST, INT, NUM, WORD, NAME };
static const struct option {
    const char *spelling, *arg, *doc;
    enum kind kind;
    int bit; /* of drv_verb.options */
    size_t offset;
} options[] = {
#define ROW(field, kind, spelling, arg, doc, bit) {spelling, arg, doc, kind, DRV_BIT_##bit, offsetof(struct drv_options, field)},
#define OPT(field, kind, spelling, arg, doc)      ROW(field, kind, spelling, arg, doc, field)
#define REWRITE(field, kind, spelling, arg, doc)  ROW(field, kind, spelling, arg, doc, rewrite)
#include "options.def"
};

#define O(field) ((uint64_t)1 << DRV_BIT_##field)
static const struct drv_verb verbs[] = {
#define VERB(name, args, least, most, options, doc) {#name, args, doc, least, most, options, verb_##name},
#include "verbs.def"
#undef VERB
};
_Static_assert(DRV_BIT_COUNT <= 64, "an option is a bit");

const struct drv_verb *drv_verbs(int *n) {
    *n = sizeof verbs / sizeof *verbs;
    return verbs;
}

static bool takes(const struct drv_verb *verb, int option) { return verb->options >> options[option].bit & 1; }

static bool misuse(struct oct_ctx *cx, const char *fmt, ...) OCT_PRINTF(2, 3);
static bool misuse(struct oct_ctx *cx, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct oct_text t;
    oct_text_init(&t, oct_own(cx));
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(cx, (struct oct_span){0, 0, 0}, OCT_E7001, "%s", t.s);
    return false;
}

/* The words that a WORD or a NAME takes, separated by spaces. */
static const char *words_of(const struct option *opt) {
    if (*opt->arg == '=') {
        for (int i = 0; i < OCT_OPTION_COUNT; i++)
            if (strcmp(oct_option_info((enum oct_option_id)i)->name, opt->arg + 1) == 0)
                return oct_option_info((enum oct_option_id)i)->words;
    } else if (*opt->arg == '~')
        for (int i = 0; i < OCT_QRULE_COUNT; i++)
            if (strcmp(oct_qrule_info((enum oct_qrule_id)i)->name, opt->arg + 1) == 0)
                return oct_qrule_info((enum oct_qrule_id)i)->words;
    return opt->arg;
}

/* Index of the option that `word` spells (up to a '='), -1 when there is none such. */
static int find(const char *word) {
    const size_t n = word[1] == '-' ? strcspn(word, "=") : strlen(word);
    for (int i = 0; i < DRV_OPTION_COUNT; i++)
        if (strlen(options[i].spelling) == n && memcmp(options[i].spelling, word, n) == 0) return i;
    return -1;
}

static bool unknown(struct oct_ctx *cx, const struct drv_verb *verb, const char *word) {
    const char *known[DRV_OPTION_COUNT];
    size_t n = 0;
    for (int i = 0; i < DRV_OPTION_COUNT; i++)
        if (takes(verb, i)) known[n++] = options[i].spelling;
    const char *near = oct_did_you_mean(oct_strndup(oct_own(cx), word, strcspn(word, "=")), known, n);
    misuse(cx, "octavo %s takes no option '%s'", verb->name, word);
    if (near) oct_help(cx, "did you mean '%s'?", near);
    else oct_help(cx, "'octavo %s --help' lists what it takes", verb->name);
    return false;
}

static void push(struct oct_ctx *cx, struct drv_list *l, const char *v) {
    if ((l->n & (l->n - 1)) == 0) { /* full at every power of two */
        const char **more = OCT_NEW_N(oct_own(cx), const char *, l->n ? 2 * l->n : 1);
        if (l->n) memcpy(more, l->v, (size_t)l->n * sizeof *more);
        l->v = more;
    }
    l->v[l->n++] = v;
}

/* What the option wants in the place of this value; NULL: it fits. */
static const char *wanted(struct oct_ctx *cx, const struct option *opt, const char *v) {
    char *end = NULL;
    bool fits = true;
    errno = 0;
    switch (opt->kind) {
    case INT: fits = *v >= '0' && *v <= '9' && strtoll(v, &end, 10) > 0 && !*end && !errno; break;
    case NUM: fits = isfinite(strtod(v, &end)) && end != v && !*end; break;
    case WORD: fits = oct_word_index(words_of(opt), v) >= 0; break;
    default: break;
    }
    return fits               ? NULL
           : opt->kind == INT ? "a number above zero,"
           : opt->kind == NUM ? "a number,"
                              : oct_sprintf(oct_own(cx), "one of: %s;", words_of(opt));
}

static bool set(struct oct_ctx *cx, struct drv_options *o, const struct option *opt, const char *v) {
    void *field = (char *)o + opt->offset;
    const char *want = wanted(cx, opt, v);
    if (want) return misuse(cx, "%s wants %s not '%s'", opt->spelling, want, v);
    switch (opt->kind) {
    case FLAG: *(bool *)field = true; return true;
    case LIST: push(cx, field, v); return true;
    case STR:
    case NAME:
        if (*(const char **)field) return misuse(cx, "%s is given twice", opt->spelling);
        *(const char **)field = v;
        return true;
    case INT: *(int64_t *)field = strtoll(v, NULL, 10); return true;
    case NUM: *(double *)field = strtod(v, NULL); return true;
    case WORD: *(int *)field = oct_word_index(words_of(opt), v); return true;
    }
    return false;
}

const char *drv_option_spelling(enum drv_option o) { return options[o].spelling; }

const char *drv_option_text(struct drv *d, enum drv_option o) {
    const void *field = (const char *)&d->o + options[o].offset;
    switch (options[o].kind) {
    case FLAG: return *(const bool *)field ? "" : NULL;
    case STR:
    case NAME: return *(const char *const *)field;
    case INT: return *(const int64_t *)field ? oct_sprintf(d->a, "%lld", (long long)*(const int64_t *)field) : NULL;
    case WORD: return *(const int *)field < 0 ? NULL : oct_word_at(d->a, words_of(&options[o]), *(const int *)field);
    default: return NULL;
    }
}

bool drv_option_set(struct drv *d, enum drv_option o, const char *text) {
    return !wanted(d->cx, &options[o], text) && set(d->cx, &d->o, &options[o], text);
}

bool drv_parse(struct oct_ctx *cx, const struct drv_verb *verb, int argc, char **argv, struct drv_options *o, bool *help) {
    *o = (struct drv_options){0};
    for (int i = 0; i < DRV_OPTION_COUNT; i++) {
        void *field = (char *)o + options[i].offset;
        if (options[i].kind == WORD) *(int *)field = -1;
        if (options[i].kind == NUM) *(double *)field = NAN;
    }
    bool only_args = false;
    int stdins = 0;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_args || word[0] != '-' || !word[1]) {
            push(cx, &o->args, word);
            stdins += strcmp(word, "-") == 0;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_args = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
            return true;
        }
        const int k = find(word);
        if (k < 0 || !takes(verb, k)) return unknown(cx, verb, word);
        const char *eq = word[1] == '-' ? strchr(word, '=') : NULL, *value = NULL;
        if (options[k].kind == FLAG) {
            if (eq) return misuse(cx, "%s takes no value", options[k].spelling);
        } else if (eq) value = eq + 1;
        else if (i + 1 < argc) value = argv[++i];
        else return misuse(cx, "%s wants a value behind it", options[k].spelling);
        const char *input = value && k != DRV_out ? strrchr(value, '=') : NULL;
        stdins += value && k != DRV_out && strcmp(input ? input + 1 : value, "-") == 0;
        if (!set(cx, o, &options[k], value)) return false;
    }
    if (stdins > 1) return misuse(cx, "stdin ('-') can be read only once");
    if (o->args.n < verb->least) return misuse(cx, "octavo %s wants %s", verb->name, verb->args);
    if (o->args.n > verb->most) return misuse(cx, "octavo %s: '%s' is one argument too many", verb->name, o->args.v[verb->most]);
    return true;
}

/* ---- help ------------------------------------------------------------------------------------------------------------- */

static const char *with_argument(struct oct_text *t, const struct option *o) {
    t->len = 0;
    oct_text_add(t, o->spelling);
    if (o->kind == WORD || o->kind == NAME) {
        oct_text_add(t, " ");
        for (const char *p = words_of(o); *p; p++) oct_text_addn(t, *p == ' ' ? "|" : p, 1);
    } else if (*o->arg) oct_text_addf(t, " %s", o->arg);
    return t->s;
}

void drv_usage(struct oct_text *out, const struct drv_verb *verb) {
    if (!verb) {
        oct_text_add(out,
                     "octavo: compiles trained neural networks to small, exact, fast int8 native code\n\n"
                     "usage: octavo VERB [ARGUMENTS] [OPTIONS]\n       octavo MODEL [OPTIONS]              (means compile)\n\n");
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) oct_text_addf(out, "  %-9s %s\n", verbs[i].name, verbs[i].doc);
        oct_text_add(
            out, "\n'octavo VERB --help' lists the options of a verb; --version prints the version.\n"
                 "exit codes: 0 done, 1 a threshold failed, 64 usage, 65 bad model or data, 66 no such input, 69 unsupported,\n"
                 "            70 internal, 71 out of memory, 73 cannot create output, 74 input or output failed\n");
        return;
    }
    oct_text_addf(out, "usage: octavo %s %s%s[OPTIONS]\n\n%s\n\n", verb->name, verb->args, *verb->args ? " " : "", verb->doc);
    struct oct_text t;
    oct_text_init(&t, out->arena);
    for (int i = 0; i < DRV_OPTION_COUNT; i++)
        if (takes(verb, i)) oct_text_addf(out, "  %-30s %s\n", with_argument(&t, &options[i]), options[i].doc);
}
