/* search.c - octavo quantize under budgets: decides which rules the layers get. Every figure is measured: a configuration is
 * quantized and computes the data (search_eval.c), and what flash and RAM take is read from the object that the compiler makes.
 *
 * 1. All layers alike: each observer with each granularity; the least loss stays.
 * 2. While the object is too large (or, without a limit of its size, while the accuracy asked for holds): of the steps that make
 * a layer smaller the one that costs the least loss a byte.
 * 3. While the accuracy asked for does not hold: of the steps that make a layer better the one that takes away the most loss, if
 * the object still fits. Losses of all steps are measured for the first choice; after it, those of the REMEASURED best are
 * measured anew for each choice, since layers depend on each other. No clock and no random number is asked: the same command
 * gives the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cc.h"
#include "search.h"

enum { REMEASURED = 6 };
const char *const srch_metric_word[SRCH_METRICS] = {"top1", "agreement", "sqnr", "loss"};

enum kind { ALIKE, SMALLER, BETTER };
/* What layers can be given: field and word of a rule. Words that the rules do not have are passed over. ALIKE rows are tried for
 * all layers at once. */
static const struct step {
    enum kind kind;
    const char *field, *word;
} steps[] = {
    {ALIKE, "act_observer", "mse"},
    {ALIKE, "act_observer", "minmax"},
    {ALIKE, "act_observer", "percentile"},
    {ALIKE, "act_observer", "entropy"},
    {ALIKE, "act_observer", "hist"},
    {SMALLER, "weight_bits", "4"},
    {BETTER, "weight_bits", "8"},
    {BETTER, "act", "i16"},
    {BETTER, "act", "float"},
    {BETTER, "act_observer", "mse"},
    {BETTER, "act_observer", "minmax"},
    {BETTER, "weight_observer", "mse"},
    {BETTER, "granularity", "channel"},
    {BETTER, "granularity", "tensor"},
};
enum { STEPS = sizeof steps / sizeof *steps };
static const char *const granularities[] = {"channel", "tensor"};

/* ---- budgets -------------------------------------------------------------------------------------------------------------- */

/* "200K", "1M", "65536"; -1: none of these. */
static int64_t bytes_of(const char *s) {
    char *end;
    const double v = strtod(s, &end), unit = *end == 'K' ? 1024 : *end == 'M' ? 1024 * 1024 : 1;
    if (end == s || end[*end == 'K' || *end == 'M'] || !(v > 0) || v * unit > 0x1p40) return -1;
    return (int64_t)(v * unit);
}

static bool sizes(struct drv *d, const char *option, const char *text, int64_t *out) {
    *out = text ? bytes_of(text) : -1;
    return !text || *out > 0 || drv_misuse(d, "%s wants bytes, as in 65536, 64K or 1M, not '%s'", option, text);
}

/* "top1>=-0.3,sqnr>=20": per cent and points for shares (with a sign: relative to the float model), dB, and a plain number for
 * the loss. */
static bool accuracies(struct search *s, const char *text) {
    struct drv *d = s->d;
    for (int i = 0; i < SRCH_METRICS; i++) s->budget.least[i] = NAN;
    while (text && *text) {
        int k = 0;
        while (k < SRCH_METRICS && strncmp(text, srch_metric_word[k], strlen(srch_metric_word[k])) != 0) k++;
        const char *op = k < SRCH_METRICS ? text + strlen(srch_metric_word[k]) : "";
        const char *want = k == SRCH_LOSS ? "<=" : ">=";
        char *end;
        double v = strncmp(op, want, 2) == 0 ? strtod(op + 2, &end) : NAN;
        if (!isfinite(v) || end == op + 2 || (*end && *end != ','))
            return drv_misuse(d, "--budget wants top1>=X, agreement>=X, sqnr>=X or loss<=X, with commas between, not '%s'", text);
        const bool relative = op[2] == '-' || op[2] == '+';
        if (k == SRCH_TOP1 && !s->labels) return drv_misuse(d, "--budget top1 needs --labels Y.npy");
        if (k == SRCH_TOP1) v = v / 100 + (relative ? s->float_top1 : 0);
        if (k == SRCH_AGREEMENT) v = v / 100 + (relative ? 1 : 0);
        s->budget.least[k] = v;
        text = end + (*end == ',');
    }
    return true;
}

/* How far a score is from the budget of a metric; 0: it holds. */
static double lacks(const struct search *s, const struct srch_score *x, int k) {
    const double have[SRCH_METRICS] = {x->top1, x->agreement, x->sqnr_db, -x->loss};
    const double want = k == SRCH_LOSS ? -s->budget.least[k] : s->budget.least[k];
    return isnan(want) ? 0 : isnan(have[k]) ? INFINITY : fmax(want - have[k], 0);
}

static bool accurate(const struct search *s, const struct srch_score *x) {
    for (int k = 0; k < SRCH_METRICS; k++)
        if (lacks(s, x, k) > 0) return false;
    return true;
}
static bool wants_accuracy(const struct search *s) {
    for (int k = 0; k < SRCH_METRICS; k++)
        if (!isnan(s->budget.least[k])) return true;
    return false;
}
static bool fits(int64_t have, int64_t most) { return most < 0 || (have >= 0 && have <= most); }
static bool small_enough(const struct search *s, const struct srch_score *x) {
    return fits(x->flash, s->budget.flash) && fits(x->arena, s->budget.ram);
}

/* ---- one choice --------------------------------------------------------------------------------------------------------- */

struct state {
    struct search *s;
    const struct srch_config *now; /* NULL: no rules */
    struct srch_score score;       /* of it, built */
    struct candidate {
        int64_t layer;
        const struct step *step;
        double gain; /* of loss, for a byte where steps make things smaller; stale until measured for the choice at hand */
        bool gone;   /* taken or refused */
        bool fresh;  /* measured for it */
    } * candidate;
    uint32_t n;
    bool ranked; /* every gain was measured once */
};

static void take(struct state *t, const struct srch_config *c) {
    t->now = c;
    t->score = *srch_measure(t->s, c, true);
}

static void list_steps(struct state *t, enum kind kind) {
    t->candidate = OCT_NEW_N(t->s->d->a, struct candidate, (size_t)t->s->nlayers * STEPS);
    t->n = 0;
    t->ranked = false;
    for (int64_t i = 0; i < t->s->nlayers; i++)
        for (int k = 0; k < STEPS; k++)
            if (steps[k].kind == kind) t->candidate[t->n++] = (struct candidate){i, &steps[k], INFINITY, false, false};
}

/* The configuration with a candidate's step; NULL where there is none such, or it changes nothing. */
static const struct srch_config *with(const struct state *t, const struct candidate *c) {
    return srch_choose(t->s, t->now, c->layer, c->step->field, c->step->word);
}

static double gain_of(const struct state *t, const struct candidate *c, const struct srch_score *x) {
    if (x->failed) return -INFINITY;
    const double less = t->score.loss - x->loss;
    /* shares move by whole samples: the loss leads there; a ratio that is asked for leads by itself */
    const double better = lacks(t->s, &t->score, SRCH_SQNR) > 0 ? x->sqnr_db - t->score.sqnr_db : less;
    if (c->step->kind == BETTER) return better > 0 ? better : -INFINITY;
    const int64_t saved = t->score.weights - x->weights;
    return saved > 0 ? less / (double)saved : -INFINITY;
}

static int by_gain(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->gone != y->gone) return x->gone ? 1 : -1;
    if (x->gain != y->gain) return x->gain > y->gain ? -1 : 1;
    return x->layer != y->layer ? (x->layer < y->layer ? -1 : 1) : (x->step > y->step) - (x->step < y->step);
}

static void say(const struct state *t, const char *what, const char *rules, const struct srch_score *x) {
    struct oct_text *out = &t->s->d->talk;
    oct_text_addf(out, "search: %s %s: loss %.4g", what, *rules ? rules : "as it is", x->loss);
    if (!isnan(x->top1)) oct_text_addf(out, ", top-1 %.2f", 100 * x->top1);
    oct_text_addf(out, ", agreement %.2f, SQNR %.2f dB; %lld bytes of weights", 100 * x->agreement, x->sqnr_db,
                  (long long)x->weights);
    if (x->flash >= 0) oct_text_addf(out, ", flash %lld, arena %lld", (long long)x->flash, (long long)x->arena);
    oct_text_add(out, "\n");
}

/* One that must be measured for this choice: for the first one all, then those that look best. NULL: no more. */
static struct candidate *stale(struct state *t) {
    for (uint32_t i = 0; i < t->n && (!t->ranked || i < REMEASURED); i++)
        if (!t->candidate[i].gone && !t->candidate[i].fresh) return &t->candidate[i];
    return NULL;
}

/* The best candidate comes first, with its gain for this choice. */
static void rank(struct state *t) {
    struct search *s = t->s;
    for (uint32_t i = 0; i < t->n; i++) t->candidate[i].fresh = false;
    for (struct candidate *c; (c = stale(t)); qsort(t->candidate, t->n, sizeof *t->candidate, by_gain)) {
        const struct srch_config *next = with(t, c);
        const bool others = s->parts && (uint64_t)(c->layer * STEPS + (c->step - steps)) % s->parts != s->part;
        c->fresh = true;
        c->gone = !next || others;
        if (c->gone) continue;
        const struct srch_score x = *srch_measure(s, next, false);
        c->gain = gain_of(t, c, &x);
        c->gone = isinf(c->gain);
        if (!t->ranked && s->d->o.explain && !x.failed) say(t, "sensitivity of", next->text, &x);
    }
    t->ranked = true;
}

/* Takes steps of one kind until `enough`; each must leave a model that is `allowed`. */
static void walk(struct state *t, enum kind kind, bool (*enough)(const struct search *, const struct srch_score *),
                 bool (*allowed)(const struct search *, const struct srch_score *)) {
    list_steps(t, kind);
    while (!(enough && enough(t->s, &t->score))) {
        rank(t);
        struct candidate *best = &t->candidate[0];
        if (!t->n || best->gone || t->s->parts) return;
        const struct srch_config *next = with(t, best);
        const struct srch_score x = *srch_measure(t->s, next, true);
        best->gone = true;
        if (x.failed || (allowed && !allowed(t->s, &x))) {
            if (!x.failed) say(t, "refused", next->text, &x);
            continue;
        }
        take(t, next);
        say(t, "took", next->text, &x);
    }
}

/* All layers alike: the least loss of the observers and granularities. */
static void choose_alike(struct state *t) {
    const struct srch_config *best = NULL;
    const struct srch_score *first = srch_measure(t->s, NULL, false);
    double least = first->failed ? INFINITY : first->loss;
    for (int k = 0; k < STEPS; k++)
        for (size_t g = 0; steps[k].kind == ALIKE && g < sizeof granularities / sizeof *granularities; g++) {
            const struct srch_config *c = srch_choose(t->s, NULL, -1, steps[k].field, steps[k].word);
            if (c) c = srch_choose(t->s, c, -1, "granularity", granularities[g]);
            if (!c) continue;
            const struct srch_score x = *srch_measure(t->s, c, false);
            if (t->s->d->o.explain && !x.failed) say(t, "all layers", c->text, &x);
            if (x.failed || x.loss >= least) continue;
            least = x.loss;
            best = c;
        }
    take(t, best);
    if (!t->score.failed) say(t, "all layers", best ? best->text : "", &t->score);
}

/* ---- the verdict --------------------------------------------------------------------------------------------------------------
 */

static void too_much(struct drv *d, const char *what, int64_t have, int64_t most) {
    if (!fits(have, most))
        oct_text_addf(&d->talk, "octavo quantize: %s takes %lld bytes, %lld more than the budget of %lld\n", what,
                      (long long)have, (long long)(have - most), (long long)most);
}

/* Says what is missed, and by how much. */
static bool missed(const struct state *t) {
    const struct search *s = t->s;
    struct drv *d = s->d;
    too_much(d, "flash", t->score.flash, s->budget.flash);
    too_much(d, "the arena", t->score.arena, s->budget.ram);
    for (int k = 0; k < SRCH_METRICS; k++) {
        const double by = lacks(s, &t->score, k);
        if (by > 0)
            oct_text_addf(&d->talk, "octavo quantize: %s misses its budget by %.4g\n", srch_metric_word[k],
                          k < SRCH_SQNR ? 100 * by : by);
    }
    return !accurate(s, &t->score) || !small_enough(s, &t->score);
}

static void print_front(const struct search *s) {
    const struct srch_point **front;
    const uint32_t n = srch_pareto(s, s->d->a, &front);
    oct_text_addf(&s->d->talk, "search: %u configurations measured; those that no other one beats in bytes and loss:\n",
                  s->npoints);
    for (uint32_t i = 0; i < n; i++) {
        const struct srch_score *x = &front[i]->score;
        oct_text_addf(&s->d->talk, "%10lld bytes  loss %-10.4g agreement %6.2f", (long long)x->weights, x->loss,
                      100 * x->agreement);
        if (!isnan(x->top1)) oct_text_addf(&s->d->talk, "  top-1 %6.2f", 100 * x->top1);
        oct_text_addf(&s->d->talk, "  %s\n", *front[i]->key ? front[i]->key : "as it is");
    }
}

static bool read_part(struct search *s) {
    const char *text = s->d->o.part;
    if (!text) return true;
    char *end;
    const long long part = strtoll(text, &end, 10), parts = *end == '/' ? strtoll(end + 1, &end, 10) : 0;
    if (*end || part < 1 || part > parts || parts > 1000000)
        return drv_misuse(s->d, "--part wants K/N with K from 1 to N, not '%s'", text);
    if (!s->d->o.journal) return drv_misuse(s->d, "--part writes figures alone: --journal FILE");
    s->part = (uint32_t)(part - 1);
    s->parts = (uint32_t)parts;
    return true;
}

bool drv_search_wanted(const struct drv *d) { return d->o.budget || d->o.flash || d->o.ram; }

bool drv_search(struct drv *d, struct oct_module *m, struct oct_module **found) {
    struct search s = {.d = d};
    struct state t = {.s = &s};
    *found = NULL;
    if (!d->o.data.n || drv_is_calibrated(m)) return drv_misuse(d, "budgets want a float model and data: --data CAL.npy");
    s.target = drv_target(d);
    if (!s.target || !sizes(d, "--flash", d->o.flash, &s.budget.flash) || !sizes(d, "--ram", d->o.ram, &s.budget.ram) ||
        !read_part(&s) || !srch_open(&s, m) || !accuracies(&s, d->o.budget))
        return false;
    if (!d->o.cc) s.llvm = drv_llvm(d, *s.target->triple != 0);
    if (!d->o.cc && !s.llvm && *s.target->triple) return false;
    if (d->o.journal && !srch_journal_open(&s, d->o.journal)) return false;
    if (!isnan(s.float_top1)) oct_text_addf(&d->talk, "search: float top-1 %.2f\n", 100 * s.float_top1);

    choose_alike(&t);
    if (t.score.failed) { /* under no rules at all either: why, once more, where errors are heard */
        srch_module(&s, NULL, d);
        return oct_error_count(d->cx) == 0 ? drv_misuse(d, "no object could be built under any rules") : false;
    }
    if (s.budget.flash >= 0) walk(&t, SMALLER, small_enough, NULL);
    else if (wants_accuracy(&s) && accurate(&s, &t.score)) walk(&t, SMALLER, NULL, accurate);
    if (wants_accuracy(&s)) walk(&t, BETTER, accurate, small_enough);
    if (s.parts) return true;
    if (d->o.pareto && !srch_pareto_write(&s, d->o.pareto)) return false;
    print_front(&s);
    if (missed(&t)) {
        d->exit_code = OCT_EXIT_THRESHOLD;
        return true;
    }
    *found = srch_module(&s, t.now, d);
    return *found != NULL;
}
