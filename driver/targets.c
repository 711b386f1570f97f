/* targets.c - octavo targets: the table of the back end. */
#include "../backend/backend.h"
#include "driver.h"

bool verb_targets(struct drv *d) {
    uint32_t n;
    const struct oct_target *t = oct_target_list(&n);
    struct drv_json j;
    drv_json_init(&j, &d->say);
    if (d->o.json) {
        drv_json_open(&j, NULL, '{');
        drv_json_open(&j, "targets", '[');
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!d->o.json) {
            oct_text_addf(&d->say, "%-16s %-28s %s\n", t[i].name, t[i].triple, t[i].doc);
            continue;
        }
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "name", t[i].name);
        drv_json_str(&j, "triple", t[i].triple);
        drv_json_int(&j, "vector_bits", t[i].vector_bits);
        drv_json_int(&j, "pointer_bytes", t[i].pointer_bytes);
        drv_json_str(&j, "doc", t[i].doc);
        drv_json_close(&j, '}');
    }
    if (d->o.json) {
        drv_json_close(&j, ']');
        drv_json_close(&j, '}');
    }
    return true;
}
