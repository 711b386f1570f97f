/* report_table.c - a report as text: a line for each value, then what harms the output most, and why. */
#include <math.h>

#include "report.h"

enum { WORST = 5 };

static void decibels(struct oct_text *t, double db) {
    if (isnan(db)) oct_text_addf(t, " %9s", "-");
    else oct_text_addf(t, " %9.2f", db);
}

static void answers(struct oct_text *t, const struct drv_answers *a) {
    if (!a->known) return;
    oct_text_addf(t, "\nanswers: %lld of %lld samples change", (long long)a->changed, (long long)a->samples);
    if (a->labelled)
        oct_text_addf(t, "; %.2f %% right before, %.2f %% now (%lld lost, %lld gained)",
                      100.0 * (double)a->right_a / (double)a->samples, 100.0 * (double)a->right_b / (double)a->samples,
                      (long long)a->lost, (long long)a->gained);
    oct_text_add(t, "\n");
}

void drv_report_table(struct oct_text *t, const struct drv_report *r) {
    oct_text_addf(t, "%-28s %9s %9s %9s %12s %10s %10s\n", "tensor", "SQNR dB", "alone dB", "effect dB", "max abs", "cosine",
                  "clipped %");
    for (int i = 0; i < r->nlayers; i++) {
        const struct drv_layer *l = &r->layer[i];
        oct_text_addf(t, "%-28s", l->name);
        decibels(t, drv_layer_sqnr(l));
        decibels(t, l->is_alone ? drv_layer_alone(l) : (double)NAN);
        decibels(t, l->reached > 0 ? drv_layer_effect(l) : (double)NAN);
        oct_text_addf(t, " %12.6g %10.7f %10.4f\n", l->max_abs, drv_layer_cosine(l), 100 * drv_layer_clipped(l));
    }
    answers(t, &r->answers);
    const char *head = "\nwhat harms the output most:\n";
    for (int i = 0; i < r->nlayers && i < WORST; i++) {
        const struct drv_layer *l = &r->layer[r->worst[i]];
        for (int k = 0; k < l->nfindings; k++) {
            oct_text_addf(t, "%s  %s: %s%s%s\n", head, l->name, l->finding[k].why, l->finding[k].advice ? "; try: " : "",
                          l->finding[k].advice ? l->finding[k].advice : "");
            head = "";
        }
    }
}
