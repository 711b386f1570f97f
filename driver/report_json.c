/* report_json.c - a report as JSON; docs/schema.json says what is where. */
#include <math.h>

#include "report.h"

static void weights(struct drv_json *j, const struct drv_weight_figures *w) {
    if (!w->known) {
        drv_json_str(j, "weights", NULL);
        return;
    }
    drv_json_open(j, "weights", '{');
    drv_json_str(j, "scales", w->tensor ? "tensor" : "channel");
    drv_json_int(j, "bits", w->bits);
    drv_json_num(j, "sqnr_db", w->sqnr_db);
    drv_json_num(j, "worst_channel_db", w->worst_db);
    drv_json_num(j, "spread", w->spread);
    drv_json_close(j, '}');
}

/* Shares of the layer's own error: what it is made of, and what of it is a mean. */
static void causes(struct drv_json *j, const struct drv_layer *l) {
    const double own = l->is_alone && l->alone > 0 ? l->alone : (double)NAN;
    drv_json_open(j, "causes", '{');
    drv_json_num(j, "clipping", l->clipping / own);
    drv_json_num(j, "rounding", l->rounding / own);
    drv_json_num(j, "weights", l->is_weighed ? l->weighed / own : (double)NAN);
    drv_json_num(j, "shift", l->shift / own);
    drv_json_close(j, '}');
}

static void histogram(struct drv_json *j, const struct drv_layer *l) {
    if (!l->bins) {
        drv_json_str(j, "histogram", NULL);
        return;
    }
    drv_json_open(j, "histogram", '{');
    drv_json_num(j, "lo", l->bins->lo);
    drv_json_num(j, "hi", l->bins->hi);
    drv_json_int(j, "below", (int64_t)l->bins->below);
    drv_json_int(j, "above", (int64_t)l->bins->above);
    drv_json_open(j, "count", '[');
    for (int i = 0; i < DRV_BINS; i++) drv_json_int(j, NULL, (int64_t)l->bins->count[i]);
    drv_json_close(j, ']');
    drv_json_close(j, '}');
}

static void layer(struct drv_json *j, const struct drv_layer *l) {
    drv_json_open(j, NULL, '{');
    drv_json_str(j, "name", l->name);
    drv_json_num(j, "sqnr_db", drv_layer_sqnr(l));
    drv_json_num(j, "max_abs", l->max_abs);
    drv_json_num(j, "cosine", drv_layer_cosine(l));
    drv_json_num(j, "clipped", drv_layer_clipped(l));
    drv_json_str(j, "op", l->op);
    drv_json_num(j, "alone_db", l->is_alone ? drv_layer_alone(l) : (double)NAN);
    drv_json_num(j, "effect_db", l->reached > 0 ? drv_layer_effect(l) : (double)NAN);
    causes(j, l);
    drv_json_num(j, "lo", l->codes ? l->range[0] : (double)NAN);
    drv_json_num(j, "hi", l->codes ? l->range[1] : (double)NAN);
    weights(j, &l->weight);
    drv_json_open(j, "findings", '[');
    for (int i = 0; i < l->nfindings; i++) {
        drv_json_open(j, NULL, '{');
        drv_json_str(j, "why", l->finding[i].why);
        drv_json_str(j, "try", l->finding[i].advice);
        drv_json_close(j, '}');
    }
    drv_json_close(j, ']');
    histogram(j, l);
    drv_json_close(j, '}');
}

static void answers(struct drv_json *j, const struct drv_answers *a) {
    if (!a->known) {
        drv_json_str(j, "answers", NULL);
        return;
    }
    drv_json_open(j, "answers", '{');
    drv_json_int(j, "samples", a->samples);
    drv_json_int(j, "classes", a->classes);
    drv_json_int(j, "changed", a->changed);
    drv_json_num(j, "top1_a", a->labelled ? (double)a->right_a / (double)a->samples : (double)NAN);
    drv_json_num(j, "top1_b", a->labelled ? (double)a->right_b / (double)a->samples : (double)NAN);
    drv_json_open(j, "moves", '[');
    for (int64_t i = 0; i < a->nmoves; i++) {
        drv_json_open(j, NULL, '{');
        drv_json_num(j, "label", a->labelled ? (double)a->move[i].label : (double)NAN);
        drv_json_int(j, "from", a->move[i].from);
        drv_json_int(j, "to", a->move[i].to);
        drv_json_int(j, "samples", a->move[i].samples);
        drv_json_close(j, '}');
    }
    drv_json_close(j, ']');
    drv_json_close(j, '}');
}

static void memory(struct drv_json *j, const struct drv_memory *m) {
    drv_json_open(j, "memory", '{');
    drv_json_str(j, "target", m->target);
    drv_json_str(j, "why_not", m->why_not);
    drv_json_int(j, "arena_bytes", m->arena_bytes);
    drv_json_int(j, "arena_lower_bound", m->lower_bound);
    drv_json_open(j, "steps", '[');
    for (int i = 0; i < m->nsteps; i++) drv_json_str(j, NULL, m->step[i]);
    drv_json_close(j, ']');
    drv_json_open(j, "blocks", '[');
    for (int i = 0; i < m->nblocks; i++) {
        drv_json_open(j, NULL, '{');
        drv_json_str(j, "name", m->block[i].name);
        drv_json_int(j, "offset", m->block[i].offset);
        drv_json_int(j, "bytes", m->block[i].bytes);
        drv_json_int(j, "first", m->block[i].first);
        drv_json_int(j, "last", m->block[i].last);
        drv_json_close(j, '}');
    }
    drv_json_close(j, ']');
    drv_json_close(j, '}');
}

void drv_report_json(struct oct_text *t, const struct drv_report *r) {
    struct drv_json j;
    drv_json_init(&j, t);
    drv_json_open(&j, NULL, '{');
    drv_json_str(&j, "a", r->a);
    drv_json_str(&j, "b", r->b);
    drv_json_str(&j, "of", r->of);
    drv_json_int(&j, "samples", r->samples);
    drv_json_open(&j, "tensors", '[');
    for (int i = 0; i < r->nlayers; i++) layer(&j, &r->layer[i]);
    drv_json_close(&j, ']');
    drv_json_open(&j, "worst", '[');
    for (int i = 0; i < r->nlayers; i++) drv_json_str(&j, NULL, r->layer[r->worst[i]].name);
    drv_json_close(&j, ']');
    answers(&j, &r->answers);
    memory(&j, &r->memory);
    drv_json_close(&j, '}');
}
