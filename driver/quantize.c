/* quantize.c - octavo quantize: the whole pipeline, and the model it gives: types carry scale and zero point. */
#include "driver.h"

bool verb_quantize(struct drv *d) {
    const char *out = drv_out(d);
    struct oct_module *m = out ? drv_read_model(d, d->o.args.v[0]) : NULL;
    if (!m) return false;
    if (!d->o.data.n && !d->o.stats.n && !drv_is_calibrated(m) && !drv_holds_quantized(m))
        return drv_misuse(d, "calibration data are needed: --data CAL.npy, or --stats S.stats of an earlier run");
    struct oct_module *found = m;
    if (drv_search_wanted(d) ? !drv_search(d, m, &found) : !drv_rewrite(d, m)) return false;
    return !found || oct_write_model(d->out, found, out);
}
