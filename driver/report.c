/* report.c - collects the figures of a report, and what its forms share. */
#include <math.h>
#include <string.h>

#include "cc.h"
#include "report.h"

double drv_decibels(double signal, double noise) { return noise == 0 ? INFINITY : 10 * log10(signal / noise); }

double drv_layer_cosine(const struct drv_layer *l) { return l->noise == 0 ? 1 : l->dot / sqrt(l->signal * l->power); }

struct oct_module *drv_report_float(struct drv *d, const struct oct_module *m, bool data) {
    struct oct_module *copy = oct_module_clone(m, d->cx);
    struct oct_dataset cal;
    struct oct_run_options run = {.stop_after = data ? "smooth" : "equalize"}; /* what stands behind in pipeline.def quantizes */
    if (data) {
        if (!drv_data(d) || !drv_fit(d, drv_data(d), copy, &cal)) return NULL;
        run.data = &cal;
        run.observe = drv_observe;
        run.observe_user = d;
    }
    return oct_run_pipeline(d->cx, copy, &run) ? copy : NULL;
}

bool drv_report_make(struct drv *d, const struct drv_comparison *c, struct drv_report *r) {
    *r = (struct drv_report){.a = c->a->name, .b = c->b->name, .doc = c->b->doc, .of = c->of, .samples = c->data_a->samples};
    const int64_t chunk = oct_dataset_chunk(c->data_a->in, c->data_a->nin);
    if (chunk != oct_dataset_chunk(c->data_b->in, c->data_b->nin) || c->data_a->samples % chunk != 0)
        return drv_misuse(d, "the models do not take the data in equal batches");
    drv_report_match(d, c, r);
    if (r->nlayers == 0) return drv_misuse(d, "the models have no value of the same name and size");
    struct drv_variant weighed;
    if (!drv_report_weights(d, c, r, &weighed) || !drv_report_measure(d, c, r, &weighed) ||
        !drv_report_memory(d, c->b, &r->memory))
        return false;
    drv_report_explain(d, r);
    return true;
}

bool drv_report_write(struct drv *d, const struct drv_report *r, const char *path) {
    struct oct_text *t = OCT_NEW(d->a, struct oct_text);
    oct_text_init(t, d->a);
    const size_t n = strlen(path);
    if (n > 5 && strcmp(path + n - 5, ".json") == 0) drv_report_json(t, r);
    else drv_report_html(t, r);
    return oct_outputs_add(d->out, path, t->s, t->len);
}
