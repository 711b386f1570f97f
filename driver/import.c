/* import.c - octavo import: a model as text, its weights beside it; nothing is rewritten. */
#include "driver.h"

bool verb_import(struct drv *d) {
    const char *out = drv_out(d);
    struct oct_module *m = out ? drv_read_model(d, d->o.args.v[0]) : NULL;
    return m && oct_write_model(d->out, m, out);
}
