/* opt.c - octavo opt: passes, and the model they give; without --passes and --stop-after the whole pipeline. */
#include "driver.h"

bool verb_opt(struct drv *d) {
    struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (!m) return false;
    if (!d->o.out.n && !d->o.dump_dir)
        return drv_misuse(d, "say where to write: -o OUT.8vo ('-' is stdout), or --dump-after and --dump-dir");
    if (!drv_rewrite(d, m)) return false;
    if (!d->o.out.n) return true;
    const char *out = drv_out(d);
    return out && oct_write_model(d->out, m, out);
}
