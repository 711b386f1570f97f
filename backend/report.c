/* report.c - what was made of a model: NAME.json with numbers for programs, a line for each layer for people (--explain). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "program.h"

static void json_pair(struct oct_text *t, const char *key, const char *s) {
    oct_text_addf(t, "\"%s\": ", key);
    oct_text_add_json(t, s);
}

static const char *kernel_name(const struct oct_step *s) {
    static const char *const names[] = {[OCT_STEP_COPY] = "copy", [OCT_STEP_FILL] = "border"};
    return s->kind == OCT_STEP_NODE ? s->info->name : names[s->kind];
}
static const char *text_or(const struct oct_text *t, const char *none) { return t->len ? t->s : none; }
static int64_t macs_of(const struct oct_step *s) { return s->kind == OCT_STEP_NODE ? oct_macs(s->node) : 0; }

static void print_totals(const struct oct_unit *u, struct oct_text *j) {
    const struct oct_program *p = u->program;
    int64_t macs = 0, weights = 0;
    uint32_t overflow[2] = {0, 0}, requantize[2] = {0, 0};
    int64_t channels[2] = {0, 0};
    for (int i = 0; i < p->nconstants; i++) weights += oct_packed_bytes(p->constant[i].data);
    for (int i = 0; i < u->plan.nsteps; i++) {
        const struct oct_kbuild *b = &u->plan.step[i].b;
        macs += macs_of(&u->plan.step[i]);
        for (int c = 0; c < 2 && u->plan.step[i].kind == OCT_STEP_NODE; c++) channels[c] += u->plan.step[i].node->at.folded[c];
        overflow[0] += b->overflow_proofs.accepted;
        overflow[1] += b->overflow_proofs.refused;
        requantize[0] += b->proofs_accepted;
        requantize[1] += b->proofs_refused;
    }
    oct_text_addf(j,
                  "  \"arena_bytes\": %" PRId64 ",\n  \"arena_lower_bound\": %" PRId64 ",\n  \"weight_bytes\": %" PRId64
                  ",\n  \"text_bytes\": null,\n  \"rodata_bytes\": null,\n  \"stack_bytes\": null,\n  \"functions\": null,\n  "
                  "\"macs\": %" PRId64 ",\n  \"proofs\": {\n    \"overflow\": {\"accepted\": %" PRIu32 ", \"refused\": %" PRIu32
                  "},\n    \"requantize\": {\"accepted\": %" PRIu32 ", \"refused\": %" PRIu32
                  "},\n    \"constant_channel\": {\"accepted\": %" PRId64 ", \"refused\": %" PRId64 "}\n  },\n",
                  u->plan.arena_bytes, u->plan.arena_lower_bound, weights, macs, overflow[0], overflow[1], requantize[0],
                  requantize[1], channels[0], channels[1]);
}

/* ---- speed: predicted from costs, measured by a tuner
 * -------------------------------------------------------------------------- */

struct speed {
    double cycles, share; /* predicted; of what the steps reach at best in registers. NAN: not known */
    double us, measured;  /* in the tuner's file, and the share of the ceiling that stands there */
};
static struct speed speed_of(const struct oct_unit *u, const struct oct_step *s) {
    const struct oct_way *w = &s->b.way;
    struct speed v = {(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (s->kind != OCT_STEP_NODE) return v;
    const double macs = (double)(macs_of(s) * u->opt->batch) / w->gain, ceiling = oct_target_ceiling(u->opt->target, w->steps);
    if (w->cycles < HUGE_VAL) v.cycles = w->cycles;
    if (ceiling > 0 && macs > 0 && v.cycles > 0) v.share = macs / v.cycles / ceiling;
    if (!s->b.tuned) return v;
    const double us = oct_tuned_us(s->b.tuned, w->text), top = oct_tuned_ceiling(u->opt->tuned, w->steps);
    if (us > 0) v.us = us;
    if (us > 0 && top > 0 && macs > 0) v.measured = macs / (us * 1e3) / top;
    return v;
}

static void json_figure(struct oct_text *j, const char *key, const char *fmt, double v) {
    oct_text_addf(j, ", \"%s\": ", key);
    if (isfinite(v)) oct_text_addf(j, fmt, v);
    else oct_text_add(j, "null");
}
static void print_speed(const struct oct_unit *u, const struct oct_step *s, struct oct_text *j) {
    const struct speed v = speed_of(u, s);
    const char *advice = oct_advice(j->arena, u->opt->target, s);
    oct_text_add(j, ", ");
    json_pair(j, "way", s->kind == OCT_STEP_NODE ? s->b.way.text : kernel_name(s));
    oct_text_add(j, ", ");
    json_pair(j, "steps", s->b.way.steps);
    json_figure(j, "gain", "%.4g", s->kind == OCT_STEP_NODE ? s->b.way.gain : 1);
    json_figure(j, "products", "%.0f", s->kind == OCT_STEP_NODE && s->b.products ? (double)s->b.products : (double)NAN);
    json_figure(j, "predicted_cycles", "%.0f", v.cycles);
    json_figure(j, "predicted_share", "%.3f", v.share);
    json_figure(j, "measured_us", "%.1f", v.us);
    json_figure(j, "measured_share", "%.3f", v.measured);
    oct_text_add(j, ", \"faster\": ");
    if (advice) oct_text_add_json(j, advice);
    else oct_text_add(j, "null");
}
/* "; winograd f4 4x2: 56000 cycles predicted, 63 % of the ceiling of steps a, times 4; 17.4 us measured, 61 %" */
static void explain_speed(const struct oct_unit *u, const struct oct_step *s, struct oct_text *e) {
    const struct speed v = speed_of(u, s);
    const struct oct_way *w = &s->b.way;
    const char *advice = oct_advice(e->arena, u->opt->target, s);
    if (isfinite(v.cycles)) {
        oct_text_addf(e, "%s: way '%s', of %d: %.0f cycles predicted", s->node->name, w->text, s->b.nways, v.cycles);
        if (isfinite(v.share)) oct_text_addf(e, ", %.0f %% of the ceiling of steps %s", 100 * v.share, w->steps);
        if (isfinite(v.share) && w->gain > 1) oct_text_addf(e, " times %.4g", w->gain);
        if (isfinite(v.us)) oct_text_addf(e, "; %.1f us measured", v.us);
        if (isfinite(v.measured)) oct_text_addf(e, ", %.0f %%", 100 * v.measured);
        oct_text_add(e, "\n");
    }
    if (advice) oct_text_addf(e, "%s: faster: %s\n", s->node->name, advice);
}

static void print_layer(const struct oct_unit *u, const struct oct_step *s, struct oct_text *j) {
    oct_text_add(j, "{");
    json_pair(j, "name", s->node->name);
    oct_text_add(j, ", ");
    json_pair(j, "kernel", kernel_name(s));
    oct_text_add(j, ", ");
    json_pair(j, "recipe", s->b.recipe);
    oct_text_add(j, ", ");
    json_pair(j, "proof", text_or(&s->b.proof, ""));
    if (s->b.acc_bound >= 0) oct_text_addf(j, ", \"acc_bound\": %" PRId64, s->b.acc_bound);
    else oct_text_add(j, ", \"acc_bound\": null");
    oct_text_addf(j, ", \"macs\": %" PRId64, macs_of(s));
    print_speed(u, s, j);
    oct_text_add(j, "}");
}

static void print_fallback(const struct oct_step *s, struct oct_text *j) {
    oct_text_add(j, "{");
    json_pair(j, "name", s->node->name);
    oct_text_add(j, ", ");
    json_pair(j, "kernel", kernel_name(s));
    oct_text_add(j, ", ");
    json_pair(j, "reason", s->b.fallback.s);
    oct_text_add(j, "}");
}

void oct_print_report(const struct oct_unit *u, struct oct_text *j, struct oct_text *e) {
    const struct oct_plan *p = &u->plan;
    int n = 0;
    oct_text_add(j, "{\n");
    print_totals(u, j);
    oct_text_add(j, "  \"layers\": [");
    for (int i = 0; i < p->nsteps; i++) {
        const struct oct_step *s = &p->step[i];
        oct_text_add(j, i ? ",\n    " : "\n    ");
        print_layer(u, s, j);
        oct_text_addf(e, "%s: kernel %s, %s.%s%s\n", s->node->name, kernel_name(s), s->b.recipe, s->b.proof.len ? " " : "",
                      text_or(&s->b.proof, ""));
        explain_speed(u, s, e);
    }
    oct_text_add(j, "\n  ],\n  \"fallbacks\": [");
    for (int i = 0; i < p->nsteps; i++) {
        const struct oct_step *s = &p->step[i];
        if (!s->b.fallback.len) continue;
        oct_text_add(j, n++ ? ",\n    " : "\n    ");
        print_fallback(s, j);
        oct_text_addf(e, "%s: fallback: %s\n", s->node->name, s->b.fallback.s);
    }
    oct_text_add(j, n ? "\n  ]\n}\n" : "]\n}\n");
    oct_text_addf(e, "arena: %" PRId64 " bytes, no planner can do with less than %" PRId64 "\n", p->arena_bytes,
                  p->arena_lower_bound);
}

/* These keys stand in front of all that comes from the model. */
void oct_report_fill(struct oct_text *json, const char *key, const char *value) {
    const char *place = oct_sprintf(json->arena, "\"%s\": null", key), *at = strstr(json->s, place);
    if (!at) return;
    struct oct_text out;
    oct_text_init(&out, json->arena);
    oct_text_addn(&out, json->s, (size_t)(at - json->s));
    oct_text_addf(&out, "\"%s\": %s", key, value);
    oct_text_add(&out, at + strlen(place));
    *json = out;
}
void oct_report_number(struct oct_text *json, const char *key, int64_t v) {
    if (v >= 0) oct_report_fill(json, key, oct_sprintf(json->arena, "%" PRId64, v));
}
