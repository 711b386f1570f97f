/* runner.c - runs passes in the order of pipeline.def. Verifying, settling, timing, stopping and resuming are done here, once, so
 * that a pass is nothing but its rewrite. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "plugin.h"
#include "rewrite.h"

static const struct oct_pass_info pass_table[] = {
#define PASS(name, requires_, establishes, doc) {#name, doc, oct_pass_##name, requires_, establishes},
#include "passes.def"
#undef PASS
};
static const struct oct_pipeline_row pipeline[] = {
#define PIPE(label, pass, reason) {label, #pass, reason},
#include "pipeline.def"
#undef PIPE
};
enum { NPASSES = sizeof pass_table / sizeof pass_table[0], NROWS = sizeof pipeline / sizeof pipeline[0] };

const struct oct_pass_info *oct_pass_list(uint32_t *n) {
    *n = NPASSES;
    return pass_table;
}

const struct oct_pass_info *oct_pass_find(const char *name) {
    for (uint32_t i = 0; i < NPASSES; i++)
        if (!strcmp(pass_table[i].name, name)) return &pass_table[i];
    return NULL;
}

const struct oct_pipeline_row *oct_pipeline(uint32_t *n) {
    *n = NROWS;
    return pipeline;
}

void oct_explain(struct oct_pass_env *env, const struct oct_node *n, const char *fmt, ...) {
    struct oct_text t;
    va_list ap;
    oct_text_init(&t, env->m->arena);
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    struct oct_node *mine = (struct oct_node *)n;
    OCT_SET(mine->at, why, t.s);
    if (env->explain) oct_text_addf(env->explain, "%s: %s\n", n->name, t.s);
}

/* ---- one pass --------------------------------------------------------------------------------------------------------- */

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What a pass requires and the graph does not show by its types. */
static bool has_ranges(struct oct_module *m, const char *pass) {
    if (m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_observe || OCT_HAS(n->at, range)) continue;
        oct_error(m->cx, n->span, OCT_E5003, "%s: '%s' has no range yet", pass, n->name);
        oct_help(m->cx, "run the pass calibrate before it, with --data CAL.npy");
        return false;
    }
    return true;
}

/* Index of a label, NROWS when there is none such. */
static uint32_t row_of(const char *label) {
    uint32_t i = 0;
    while (i < NROWS && strcmp(pipeline[i].label, label)) i++;
    return i;
}

/* A model stands behind a row only when all rows before it ran as well, in this run or before: compiling on skips them. A pass
 * out of turn leaves the model where it stands. */
static void advance(struct oct_module *m, const char *pass) {
    const uint32_t row = m->after ? row_of(m->after) + 1 : 0;
    if (row < NROWS && !strcmp(pipeline[row].pass, pass)) m->after = pipeline[row].label;
}

static bool run_pass(struct oct_pass_env *env, struct oct_module *m, const struct oct_pass_info *p, const char *label,
                     const struct oct_run_options *opt) {
    struct oct_module *before = opt->check_each ? oct_module_clone(m, m->cx) : NULL;
    const double start = now_ms();
    m->cx->phase = label;
    m->cursor = NULL;
    env->changes = 0;
    const unsigned errors = oct_error_count(m->cx);
    if ((p->requires_ & OCT_NEEDS_RANGES) && !has_ranges(m, p->name)) return false;
    if (!p->run(env, m) || oct_error_count(m->cx) > errors) return false;
    m->cursor = NULL;
    oct_module_settle(m);
    advance(m, p->name);
    if (!oct_verify(m)) oct_internal(m->cx, (struct oct_span){0, 0, 0}, "pass '%s' left the module broken", label);
    const double ms = now_ms() - start;
    if (before) {
        oct_check_pass(before, m, p);
        oct_module_free(before);
    }
    oct_arena_reset(env->scratch);
    return !opt->after || opt->after(opt->user, m, label, ms, env->changes);
}

/* ---- which passes --------------------------------------------------------------------------------------------------------- */

static const char *near_pass(const char *word) {
    const char *names[NPASSES];
    for (uint32_t i = 0; i < NPASSES; i++) names[i] = pass_table[i].name;
    return oct_did_you_mean(word, names, NPASSES);
}

static const char *near_label(const char *word) {
    const char *names[NROWS];
    for (uint32_t i = 0; i < NROWS; i++) names[i] = pipeline[i].label;
    return oct_did_you_mean(word, names, NROWS);
}

static bool unknown(struct oct_ctx *cx, enum oct_diag_id id, const char *what, const char *word, const char *near) {
    oct_error(cx, (struct oct_span){0, 0, 0}, id, "%s '%s' is not known", what, word);
    if (near) oct_help(cx, "did you mean '%s'?", near);
    else oct_help(cx, "'octavo passes' lists them");
    return false;
}

static bool run_listed(struct oct_pass_env *env, struct oct_module *m, const struct oct_run_options *opt) {
    for (uint32_t i = 0; opt->passes[i]; i++)
        if (!oct_pass_find(opt->passes[i])) return unknown(m->cx, OCT_E5001, "pass", opt->passes[i], near_pass(opt->passes[i]));
    for (uint32_t i = 0; opt->passes[i]; i++) {
        const struct oct_pass_info *p = oct_pass_find(opt->passes[i]);
        if (!run_pass(env, m, p, p->name, opt)) return false;
    }
    return true;
}

static bool run_rows(struct oct_pass_env *env, struct oct_module *m, const struct oct_run_options *opt) {
    uint32_t row = 0, end = NROWS;
    if (m->after) {
        row = row_of(m->after);
        if (row == NROWS)
            return unknown(m->cx, OCT_E5002, "the pass that this model is a dump of, after", m->after, near_label(m->after));
        row++;
    }
    if (opt->stop_after) {
        end = row_of(opt->stop_after);
        if (end == NROWS) return unknown(m->cx, OCT_E5001, "pass", opt->stop_after, near_label(opt->stop_after));
        end++;
    }
    for (; row < end; row++)
        if (!run_pass(env, m, oct_pass_find(pipeline[row].pass), pipeline[row].label, opt)) return false;
    return true;
}

bool oct_run_pipeline(struct oct_ctx *cx, struct oct_module *m, const struct oct_run_options *opt) {
    const char *phase = cx->phase;
    struct oct_pass_env env = {.cx = cx,
                               .m = m,
                               .data = opt->data,
                               .observe = opt->observe,
                               .observe_user = opt->observe_user,
                               .round = opt->round ? opt->round : oct_plugin_round,
                               .round_user = opt->round ? opt->round_user : cx,
                               .stats = opt->stats,
                               .explain = opt->explain};
    env.scratch = oct_arena_new(cx);
    oct_module_settle(m);
    bool ok = oct_verify(m) && (opt->passes ? run_listed(&env, m, opt) : run_rows(&env, m, opt));
    oct_arena_free(env.scratch);
    cx->phase = phase;
    return ok;
}
