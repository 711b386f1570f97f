/* object.c - one object of what was compiled, by the C compiler, and what it takes. */
#include <string.h>

#include "cc.h"

/* A section each, so that a linker drops what nobody calls: conversions, as a rule. */
#define DEFAULT_FLAGS "-O2 -ffunction-sections -fdata-sections"

/* Its version and machine, for a certificate. */
static const char *compiler(struct drv *d, struct drv_build *b, const char *cc) {
    const char *version, *machine;
    if (!drv_build_try(b, cc, (const char *const[]){"--version", NULL}, &version)) return NULL;
    if (!drv_build_try(b, cc, (const char *const[]){"-dumpmachine", NULL}, &machine)) machine = "unknown";
    return oct_sprintf(d->a, "%.*s, %.*s", (int)strcspn(version, "\n"), version, (int)strcspn(machine, "\n"), machine);
}

/* One object of the sources. */
static bool build_object(struct drv *d, struct drv_build *b, const char *name, const struct oct_compiled *c) {
    const char *cc = d->o.cc ? d->o.cc : "cc", *flags = d->o.cflags ? d->o.cflags : DEFAULT_FLAGS;
    const char *frames = drv_measure_flag(b, cc);
    const char *sources[3], *objects[2] = {"c.o", NULL};
    int n = 0;
    if (d->o.certify) d->toolchain = compiler(d, b, cc);
    if (!drv_build_sources(b, name, c, sources, &n)) return false;
    for (int i = 0; i < n; i++) {
        if (i) objects[i] = "w.o";
        const char *args[] = {"-c", "-o", objects[i], sources[i], i ? NULL : frames, NULL};
        if (!drv_build_run(b, oct_sprintf(d->a, "%s %s", cc, flags), args, NULL)) return false;
    }
    const char *args[] = {"-r", "-nostdlib", "-o", "out", objects[0], objects[1], NULL};
    return drv_build_run(b, cc, args, NULL);
}

bool drv_cc_object(struct drv *d, const char *name, const struct oct_compiled *c, struct oct_text *made,
                   struct oct_sizes *sizes) {
    struct oct_bytes object;
    struct drv_build *b = drv_build_begin(d);
    if (!b) return false;
    const bool ok = build_object(d, b, name, c) && drv_build_read(b, "out", &object);
    if (ok) drv_measure(b, d->o.cc ? d->o.cc : "cc", sizes);
    drv_build_end(b); /* what was read stays */
    oct_text_init(made, d->a);
    if (ok) oct_text_addn(made, (const char *)object.data, object.len);
    return ok;
}
