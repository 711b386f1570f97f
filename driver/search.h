/* search.h - mixed precision under budgets: which widths, granularities and observers a model takes, found by measuring. A
 * configuration is a list of rules of the language, so what was found stands in the model that comes out. Parts: search.c decides,
 * search_eval.c measures one configuration, search_journal.c remembers, search_pareto.c shows. */
#ifndef DRV_SEARCH_H
#define DRV_SEARCH_H

#include "../backend/backend.h"
#include "driver.h"

/* rule[0] speaks of all values, rule[1 + i] of layer i; a rule that sets nothing is left out. */
struct srch_config {
    struct oct_rule *rule;
    uint32_t n;
    const char *text; /* its rules, one after the other; "" for none: the key of the journal */
};

/* What was measured of a configuration. loss: over all outputs, the mean Kullback-Leibler divergence from the float model's where an
 * output is a softmax, else the energy of the error relative to that of the float output. */
struct srch_score {
    bool failed;     /* such a model cannot be made */
    double loss;     /* 0: as float */
    double top1;     /* NAN without labels; shares are 0..1 */
    double agreement, sqnr_db;
    int64_t weights; /* bytes of constants, sub-byte codes packed */
    int64_t flash, arena; /* of the object for the target: text and read-only data, and working memory; -1: not built */
};
struct srch_point {
    const char *key;
    struct srch_score score;
};

enum srch_metric { SRCH_TOP1, SRCH_AGREEMENT, SRCH_SQNR, SRCH_LOSS, SRCH_METRICS };
extern const char *const srch_metric_word[SRCH_METRICS];
struct srch_budget {
    double least[SRCH_METRICS]; /* of the loss: the most. NAN: none */
    int64_t flash, ram;         /* bytes; -1: none */
};

struct srch_journal;
struct search {
    struct drv *d;
    struct oct_module *base;   /* as --after fuse_act: what every configuration begins with */
    struct oct_stats stats;    /* of every value that an integer op makes or reads */
    struct drv_results ref;    /* of the float model */
    const int64_t *labels;     /* NULL: none */
    double float_top1;         /* NAN without labels */
    const char **layer;        /* names of ops with weights, in order */
    uint32_t nlayers;
    const struct oct_target *target;
    const struct oct_llvm *llvm; /* makes the objects that are measured; NULL: the C compiler */
    struct srch_budget budget;
    uint32_t part, parts;         /* of the first choice's steps only every parts-th is measured, and nothing is chosen; 0: all */
    struct srch_journal *journal; /* NULL: none */
    struct srch_point *point;     /* all that was measured, in that order */
    uint32_t npoints, cap;
};

/* search_eval.c */
/* Runs the float model, counts what observers want, lists layers. */
bool srch_open(struct search *s, struct oct_module *m);
/* A configuration with one more choice: of layer i (0 based), or of all (-1). NULL: there is no such field or word. */
const struct srch_config *srch_choose(struct search *s, const struct srch_config *c, int64_t layer, const char *field, const char *word);
/* The quantized model under a configuration, in the context; NULL when it cannot be made, after diagnostics. */
struct oct_module *srch_module(struct search *s, const struct srch_config *c, struct drv *d);
/* Measures it (build: and its object), or remembers what was measured. The pointer lasts until the next call. */
const struct srch_score *srch_measure(struct search *s, const struct srch_config *c, bool build);
/* What is known of a configuration, made on first use. */
struct srch_score *srch_remember(struct search *s, const char *key);

/* search_journal.c: a text file, a line for each figure, written as it is measured; a line cut off at its end is measured anew. */
bool srch_journal_open(struct search *s, const char *path);
void srch_journal_add(struct search *s, const struct srch_point *p);

/* search_pareto.c: points that no other one beats in both bytes of weights and loss, from the smallest on. */
uint32_t srch_pareto(const struct search *s, struct oct_arena *a, const struct srch_point ***front);
bool srch_pareto_write(struct search *s, const char *path); /* .svg: a picture; else JSON */

#endif
