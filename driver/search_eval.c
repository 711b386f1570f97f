/* search_eval.c - measures one configuration of a search: its rules are put on a copy of the model, the passes run on the counts
 * of one calibration, the quantized model computes the data, and where its object is wanted, that is built and its sections are
 * read. What fails in a copy is no error of the command: the configuration counts as one that cannot be made. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/program.h"
#include "cc.h"
#include "search.h"

/* ---- configurations ---------------------------------------------------------------------------------------------------------
 */

static int field_of(const char *name) {
    for (int i = 0; i < OCT_QRULE_COUNT; i++)
        if (strcmp(oct_qrule_info((enum oct_qrule_id)i)->name, name) == 0) return i;
    return -1;
}

static const char *text_of(struct oct_arena *a, const struct srch_config *c) {
    struct oct_text t;
    oct_text_init(&t, a);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct oct_rule *r = &c->rule[i];
        if (!r->set) continue;
        oct_text_addf(&t, "%s%s", t.len ? "; " : "", i ? r->pattern : "any");
        for (unsigned k = 0; k < OCT_QRULE_COUNT; k++)
            if (r->set >> k & 1) oct_text_addf(&t, " %s=%s", oct_qrule_info(k)->name, oct_qrule_text(a, &r->q, k));
    }
    return t.len ? t.s : "";
}

const struct srch_config *srch_choose(struct search *s, const struct srch_config *c, int64_t layer, const char *field,
                                      const char *word) {
    struct oct_arena *a = s->d->a;
    struct oct_qconfig value; /* is there such a field, and does it take the word? */
    const int id = field_of(field);
    const bool number = *word >= '0' && *word <= '9',
               listed = id >= 0 && (number || oct_word_index(oct_qrule_info((enum oct_qrule_id)id)->words, word) >= 0);
    if (!listed || !oct_qrule_set(a, &value, (enum oct_qrule_id)id, number ? NULL : word, number ? strtof(word, NULL) : NAN))
        return NULL;
    struct srch_config *out = OCT_NEW(a, struct srch_config);
    out->n = s->nlayers + 1;
    out->rule = OCT_NEW_N(a, struct oct_rule, out->n);
    for (uint32_t i = 0; i < out->n; i++) {
        if (c) out->rule[i] = c->rule[i];
        else out->rule[i] = (struct oct_rule){.kind = i ? OCT_RULE_NAME : OCT_RULE_ANY, .pattern = i ? s->layer[i - 1] : NULL};
    }
    struct oct_rule *r = &out->rule[1 + layer];
    r->set |= (uint32_t)1 << id;
    oct_qrule_copy(a, &r->q, &value, (enum oct_qrule_id)id);
    out->text = text_of(a, out);
    return out;
}

/* What is said of all comes first, so that the model's own rules stay above it; what is said of layers comes last. */
static void add_rules(struct oct_module *m, const struct srch_config *c) {
    if (!c) return;
    struct oct_rule *rules = OCT_NEW_N(m->arena, struct oct_rule, m->nrules + c->n);
    uint32_t n = 0;
    if (c->rule[0].set) rules[n++] = c->rule[0];
    for (uint32_t i = 0; i < m->nrules; i++) rules[n++] = m->rule[i];
    for (uint32_t i = 1; i < c->n; i++)
        if (c->rule[i].set) rules[n++] = c->rule[i];
    m->rule = rules;
    m->nrules = n;
}

struct oct_module *srch_module(struct search *s, const struct srch_config *c, struct drv *d) {
    struct oct_module *m = oct_module_clone(s->base, d->cx);
    struct oct_run_options run = {.stats = &s->stats, .explain = d->o.explain ? &d->talk : NULL};
    add_rules(m, c);
    return oct_run_pipeline(d->cx, m, &run) ? m : NULL;
}

/* ---- figures ------------------------------------------------------------------------------------------------------------------
 */

static bool is_probability(const struct oct_module *m, uint32_t i) {
    const struct oct_node *n = m->output[i].node;
    while (n->op == OCT_OP_dequantize || n->op == OCT_OP_reshape || n->op == OCT_OP_flatten) n = n->operand[0];
    return n->op == OCT_OP_softmax;
}

static double divergence(const struct drv_result *r, const struct drv_result *ref, int64_t samples) {
    const double least = 0x1p-20;
    double sum = 0;
    for (int64_t i = 0; i < samples * r->row; i++) {
        const double p = fmax(drv_real(&ref->type, ref->data, i), least), q = fmax(drv_real(&r->type, r->data, i), least);
        sum += p * log(p / q) - p + q; /* each term >= 0, also where sums are not quite 1 */
    }
    return sum / (double)samples;
}

static double loss_of(const struct search *s, const struct drv_results *x) {
    double sum = 0;
    for (uint32_t i = 0; i < x->n; i++)
        sum += is_probability(s->base, i) ? divergence(&x->r[i], &s->ref.r[i], x->samples)
                                          : pow(10, -drv_sqnr_db(&x->r[i], &s->ref.r[i], x->r[i].dim[0]) / 10);
    return sum;
}

static int64_t weight_bytes(const struct oct_module *m) {
    int64_t sum = 0;
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_const) continue;
        const int64_t e = oct_type_elements(&n->type, 1);
        const bool half = n->type.dtype == OCT_I4 || n->type.dtype == OCT_U4;
        sum += half ? (e + 1) / 2 : e * (int64_t)oct_dtype_size(n->type.dtype);
    }
    return sum;
}

/* ---- one measurement --------------------------------------------------------------------------------------------------------
 */

/* A command of its own for a trial: its diagnostics and memory are dropped with it. */
static void begin(struct drv *trial, struct oct_ctx *cx, const struct drv *d) {
    *trial = *d;
    oct_ctx_init(cx);
    cx->threads = d->cx->threads;
    cx->on_fatal = d->cx->on_fatal;
    cx->sys_alloc = d->cx->sys_alloc;
    cx->sys_free = d->cx->sys_free;
    trial->cx = cx;
    trial->a = oct_arena_new(cx);
    trial->o.explain = false;
    oct_text_init(&trial->talk, trial->a);
}

static bool figures(struct search *s, struct drv *trial, struct oct_module *m, struct srch_score *score) {
    struct oct_dataset data;
    struct drv_results x;
    if (!drv_fit(trial, s->d->data, m, &data) || !drv_execute(trial, m, &data, drv_engine_of(trial), &x)) return false;
    score->loss = loss_of(s, &x);
    score->agreement = drv_agreement(&x.r[0], &s->ref.r[0], x.r[0].dim[0]);
    score->sqnr_db = drv_sqnr_db(&x.r[0], &s->ref.r[0], x.r[0].dim[0]);
    score->top1 = s->labels ? drv_top1(&x.r[0], s->labels, x.r[0].dim[0]) : NAN;
    score->weights = weight_bytes(m);
    return true;
}

static bool build(struct search *s, struct drv *trial, struct oct_module *m, struct srch_score *score) {
    struct oct_compile_options opt = {.target = s->target, .name = "model", .batch = 1, .no_source = s->llvm != NULL};
    struct oct_compiled c;
    struct oct_sizes sizes;
    struct oct_text made;
    oct_text_init(&made, trial->a);
    if (!oct_compile(trial->cx, trial->a, m, &opt, &c)) return false;
    if (s->llvm ? !s->llvm->emit(trial->cx, trial->a, c.program, s->target, OCT_LLVM_OBJ, &made, &sizes)
                : !drv_cc_object(trial, "model", &c, &made, &sizes))
        return false;
    score->flash = sizes.text_bytes < 0 ? -1 : sizes.text_bytes + (sizes.rodata_bytes < 0 ? 0 : sizes.rodata_bytes);
    score->arena = c.program->arena_bytes;
    return true;
}

static struct srch_point *point_of(struct search *s, const char *key) {
    for (uint32_t i = 0; i < s->npoints; i++)
        if (strcmp(s->point[i].key, key) == 0) return &s->point[i];
    if (s->npoints == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        struct srch_point *more = OCT_NEW_N(s->d->a, struct srch_point, s->cap);
        if (s->npoints) memcpy(more, s->point, s->npoints * sizeof *more);
        s->point = more;
    }
    s->point[s->npoints] = (struct srch_point){
        key, {.loss = NAN, .top1 = NAN, .agreement = NAN, .sqnr_db = NAN, .weights = -1, .flash = -1, .arena = -1}};
    return &s->point[s->npoints++];
}

struct srch_score *srch_remember(struct search *s, const char *key) {
    return &point_of(s, key)->score;
}

const struct srch_score *srch_measure(struct search *s, const struct srch_config *c, bool built) {
    struct srch_point *p = point_of(s, c ? c->text : "");
    struct srch_score *score = &p->score;
    if (score->failed || (score->weights >= 0 && (!built || score->flash >= 0))) return score;
    struct oct_ctx cx;
    struct drv trial;
    begin(&trial, &cx, s->d);
    struct oct_module *m = srch_module(s, c, &trial);
    score->failed = !m || (score->weights < 0 && !figures(s, &trial, m, score)) || (built && !build(s, &trial, m, score));
    oct_ctx_free(&cx);
    if (s->journal) srch_journal_add(s, p);
    return score;
}

/* ---- the beginning -------------------------------------------------------------------------------------------------------- */

static bool has_weights(const struct oct_node *n) {
    return (oct_op_info(n->op)->flags & OCT_LINEAR) && n->operand[1]->op == OCT_OP_const;
}

bool srch_open(struct search *s, struct oct_module *m) {
    struct drv *d = s->d;
    struct oct_dataset data;
    struct oct_module *plain = oct_module_clone(m, d->cx);
    struct oct_run_options fuse = {.stop_after = "fuse_act"},
                           count = {.stop_after = "calibrate", .data = &data, .stats = &s->stats};
    plain->option[OCT_OPT_quantize] = OCT_QUANTIZE_OFF;
    if (!drv_data(d) || !drv_fit(d, d->data, plain, &data) || !drv_execute(d, plain, &data, DRV_ENGINE_INTERP, &s->ref))
        return false;
    s->float_top1 = NAN;
    if (d->o.labels) {
        if (!drv_read_labels(d, s->ref.r[0].dim[0], &s->labels)) return false;
        s->float_top1 = drv_top1(&s->ref.r[0], s->labels, s->ref.r[0].dim[0]);
    }
    if (!oct_run_pipeline(d->cx, m, &fuse)) return false;
    s->base = m;
    oct_stats_init(&s->stats, d->a);
    struct oct_module *counted = oct_module_clone(m, d->cx);
    if (!drv_fit(d, d->data, counted, &data)) return false;
    if (drv_engine_of(d) != DRV_ENGINE_INTERP) count.observe = drv_observe, count.observe_user = d;
    if (!oct_run_pipeline(d->cx, counted, &count)) return false;
    OCT_FOR_NODES(m, n) s->nlayers += has_weights(n);
    s->layer = OCT_NEW_N(d->a, const char *, s->nlayers);
    uint32_t i = 0;
    OCT_FOR_NODES(m, n) {
        if (has_weights(n)) s->layer[i++] = n->name;
    }
    return true;
}
