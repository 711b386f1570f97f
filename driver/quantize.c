/* quantize.c - octavo quantize: the whole pipeline, and the model it gives: types carry scale and zero point. */
#include "report.h"

enum { MOST_SAMPLES = 256 }; /* of a report: as many of the calibration data as tell enough */

/* What quantizing did, on the first of the calibration data. */
static bool report(struct drv *d, const struct oct_module *before, struct oct_module *after) {
    struct oct_dataset a, b;
    struct drv_report r;
    struct drv_comparison c = {.b = after, .data_a = &a, .data_b = &b, .of = "calibration data"};
    c.a = drv_report_float(d, before, true);
    if (!c.a || !drv_data(d) || !drv_fit(d, drv_data(d), c.a, &a) || !drv_fit(d, drv_data(d), after, &b)) return false;
    if (d->o.labels && !drv_read_labels(d, a.samples, &c.labels)) return false;
    const int64_t chunk = oct_dataset_chunk(a.in, a.nin), most = chunk < MOST_SAMPLES ? MOST_SAMPLES / chunk * chunk : chunk;
    if (a.samples > most) a.samples = b.samples = most;
    return drv_report_make(d, &c, &r) && drv_report_write(d, &r, d->o.report);
}

bool verb_quantize(struct drv *d) {
    const char *out = drv_out(d);
    struct oct_module *m = out ? drv_read_model(d, d->o.args.v[0]) : NULL;
    if (!m) return false;
    if (!d->o.data.n && !d->o.stats.n && !drv_is_calibrated(m) && !drv_holds_quantized(m))
        return drv_misuse(d, "calibration data are needed: --data CAL.npy, or --stats S.stats of an earlier run");
    if (d->o.report && !d->o.data.n) return drv_misuse(d, "--report compares on data: --data CAL.npy");
    const struct oct_module *before = d->o.report ? oct_module_clone(m, d->cx) : NULL;
    struct oct_module *found = m;
    if (drv_search_wanted(d) ? !drv_search(d, m, &found) : !drv_rewrite(d, m)) return false;
    if (!found) return true;
    return (!before || report(d, before, found)) && oct_write_model(d->out, found, out);
}
