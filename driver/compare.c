/* compare.c - octavo compare A B: what B makes of data beside A, value by value of the same name. A is interpreted; B too, or
 * compiled by --engine. */
#include "report.h"

bool verb_compare(struct drv *d) {
    struct drv_arrays arrays;
    struct oct_dataset in_a, in_b;
    struct drv_report r;
    if (!drv_read_arrays(d, "--data", &d->o.data, &arrays)) return false;
    struct drv_comparison c = {.data_a = &in_a, .data_b = &in_b, .of = "data"};
    c.a = drv_read_model(d, d->o.args.v[0]);
    c.b = drv_read_model(d, d->o.args.v[1]);
    if (!c.a || !c.b || !drv_fit(d, &arrays, c.a, &in_a) || !drv_fit(d, &arrays, c.b, &in_b)) return false;
    if (d->o.labels && !drv_read_labels(d, in_a.samples, &c.labels)) return false;
    if (!drv_report_make(d, &c, &r)) return false;
    if (d->o.json) drv_report_json(&d->say, &r);
    else drv_report_table(&d->say, &r);
    if (d->o.html && !drv_report_write(d, &r, d->o.html)) return false;
    for (int i = 0; i < r.nlayers; i++) {
        const double db = drv_layer_sqnr(&r.layer[i]);
        if (db >= d->o.min_sqnr || d->o.min_sqnr != d->o.min_sqnr) continue;
        d->exit_code = OCT_EXIT_THRESHOLD;
        oct_text_addf(&d->talk, "octavo compare: SQNR of '%s' is %.2f dB, below %g\n", r.layer[i].name, db, d->o.min_sqnr);
    }
    return true;
}
