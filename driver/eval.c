/* eval.c - octavo eval: how often a model is right, and how often it agrees with another one. Figures are computed sample after
 * sample in order, from outputs that do not depend on the threads. */
#include <math.h>

#include "driver.h"

/* Outputs of one model on the data, which are fitted to its own input types. */
static bool outputs_of(struct drv *d, const char *path, const struct drv_arrays *arrays, enum drv_engine engine,
                       struct drv_results *out) {
    struct oct_dataset data;
    struct oct_module *m = drv_read_model(d, path);
    return m && drv_fit(d, arrays, m, &data) && drv_execute(d, m, &data, engine, out);
}

struct figures {
    int64_t n;
    double top1, float_top1, agreement, sqnr_db; /* NAN: not asked for */
};

static void print(struct drv *d, const struct figures *f) {
    if (d->o.json) {
        struct drv_json j;
        drv_json_init(&j, &d->say);
        drv_json_open(&j, NULL, '{');
        drv_json_int(&j, "n", f->n);
        drv_json_num(&j, "top1", f->top1);
        drv_json_num(&j, "agreement", f->agreement);
        drv_json_num(&j, "float_top1", f->float_top1);
        drv_json_num(&j, "sqnr_db", f->sqnr_db);
        drv_json_close(&j, '}');
        return;
    }
    oct_text_addf(&d->say, "%lld samples\n", (long long)f->n);
    if (!isnan(f->top1)) oct_text_addf(&d->say, "top-1          %6.2f %%\n", 100 * f->top1);
    if (!isnan(f->float_top1)) oct_text_addf(&d->say, "top-1 against  %6.2f %%\n", 100 * f->float_top1);
    if (!isnan(f->agreement))
        oct_text_addf(&d->say, "agreement      %6.2f %%\nSQNR           %6.2f dB\n", 100 * f->agreement, f->sqnr_db);
}

/* A threshold that was asked for fails when its figure is lower, or is no number. */
static void threshold(struct drv *d, const char *what, double value, double least) {
    if (isnan(least) || value >= least) return;
    d->exit_code = OCT_EXIT_THRESHOLD;
    oct_text_addf(&d->talk, "octavo eval: %s is %g, below %g\n", what, value, least);
}

bool verb_eval(struct drv *d) {
    struct drv_arrays arrays;
    struct drv_results mine, ref;
    const int64_t *labels = NULL;
    struct figures f = {.top1 = NAN, .float_top1 = NAN, .agreement = NAN, .sqnr_db = NAN};
    if (!d->o.labels && !d->o.against) return drv_misuse(d, "say what to compare with: --labels Y.npy, --against MODEL, or both");
    if ((!isnan(d->o.min_top1) && !d->o.labels) || (!(isnan(d->o.min_agreement) && isnan(d->o.min_sqnr)) && !d->o.against))
        return drv_misuse(d, "--min-top1 needs --labels; --min-agreement and --min-sqnr need --against");
    const enum drv_engine engine = drv_engine_of(d);
    if (!drv_read_arrays(d, "--data", &d->o.data, &arrays) || !outputs_of(d, d->o.args.v[0], &arrays, engine, &mine))
        return false;
    f.n = mine.r[0].dim[0];
    if (d->o.labels && !drv_read_labels(d, f.n, &labels)) return false;
    if (labels) f.top1 = drv_top1(&mine.r[0], labels, f.n);
    if (d->o.against) {
        if (!outputs_of(d, d->o.against, &arrays, DRV_ENGINE_INTERP, &ref)) return false;
        if (ref.r[0].row != mine.r[0].row || ref.r[0].dim[0] != f.n) {
            oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E4004, "outputs '%s' and '%s' of the two models have other shapes",
                      mine.r[0].name, ref.r[0].name);
            return false;
        }
        f.agreement = drv_agreement(&mine.r[0], &ref.r[0], f.n);
        f.sqnr_db = drv_sqnr_db(&mine.r[0], &ref.r[0], f.n);
        if (labels) f.float_top1 = drv_top1(&ref.r[0], labels, f.n);
    }
    print(d, &f);
    threshold(d, "top-1", f.top1, d->o.min_top1);
    threshold(d, "agreement", f.agreement, d->o.min_agreement);
    threshold(d, "SQNR", f.sqnr_db, d->o.min_sqnr);
    return true;
}
