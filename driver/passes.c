/* passes.c - octavo passes: what there is, and why the pipeline runs it where it does. */
#include "driver.h"

static void to_json(struct drv *d, const struct oct_pass_info *pass, uint32_t npasses, const struct oct_pipeline_row *row,
                    uint32_t nrows) {
    struct drv_json j;
    drv_json_init(&j, &d->say);
    drv_json_open(&j, NULL, '{');
    drv_json_open(&j, "passes", '[');
    for (uint32_t i = 0; i < npasses; i++) {
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "name", pass[i].name);
        drv_json_str(&j, "doc", pass[i].doc);
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_open(&j, "pipeline", '[');
    for (uint32_t i = 0; i < nrows; i++) {
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "label", row[i].label);
        drv_json_str(&j, "pass", row[i].pass);
        drv_json_str(&j, "reason", row[i].reason);
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_close(&j, '}');
}

bool verb_passes(struct drv *d) {
    uint32_t npasses, nrows;
    const struct oct_pass_info *pass = oct_pass_list(&npasses);
    const struct oct_pipeline_row *row = oct_pipeline(&nrows);
    if (d->o.json) {
        to_json(d, pass, npasses, row, nrows);
        return true;
    }
    oct_text_add(&d->say, "passes:\n");
    for (uint32_t i = 0; i < npasses; i++) oct_text_addf(&d->say, "  %-17s %s\n", pass[i].name, pass[i].doc);
    oct_text_add(&d->say, "\nthe pipeline, and why each stands where it does:\n");
    for (uint32_t i = 0; i < nrows; i++) oct_text_addf(&d->say, "  %-17s %s\n", row[i].label, row[i].reason);
    return true;
}
