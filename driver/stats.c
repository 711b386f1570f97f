/* stats.c - octavo stats merge: observer states of several runs as one; the same bytes whatever the order of the files. */
#include <string.h>

#include "driver.h"

bool verb_stats(struct drv *d) {
    const char *out = drv_out(d);
    if (!out) return false;
    if (strcmp(d->o.args.v[0], "merge") != 0)
        return drv_misuse(d, "there is no '%s'; octavo stats merge A.stats B.stats -o C.stats", d->o.args.v[0]);
    struct oct_stats s;
    oct_stats_init(&s, d->a);
    for (int i = 1; i < d->o.args.n; i++) {
        struct oct_bytes file;
        if (!oct_read_file(d->cx, d->o.args.v[i], &file) || !oct_stats_parse(d->cx, file, d->o.args.v[i], &s)) return false;
    }
    struct oct_text text;
    oct_text_init(&text, d->a);
    oct_stats_print(&text, &s);
    return oct_outputs_add(d->out, out, text.s, text.len);
}
