/* observers.c - the table of observers, from observers.def. */
#include <string.h>

#include "plugin.h"

#define ACT  0
#define BOTH OCT_OBSERVES_WEIGHTS
static const struct oct_observer table[] = {
#define OBSERVER(name, serves, parameter, least, greatest, doc)                                                                  \
    {#name, doc, serves, parameter, least, greatest, oct_observe_##name},
#include "../ir/observers.def"
#undef OBSERVER
};

const struct oct_observer *oct_observer_list(uint32_t *n) {
    *n = sizeof table / sizeof *table;
    return table;
}

const struct oct_observer *oct_observer_find(const struct oct_ctx *cx, const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return oct_plugin_observer(cx, name);
}

const struct oct_observer *oct_observer_for(struct oct_ctx *cx, struct oct_span span, const char *name, float given,
                                            double *param) {
    const struct oct_observer *o = oct_observer_find(cx, name);
    if (!o) {
        const char *names[sizeof table / sizeof *table];
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) names[i] = table[i].name;
        const char *near = oct_did_you_mean(name, names, sizeof table / sizeof *table);
        oct_error(cx, span, OCT_E5101, "no observer is called '%.64s'", name);
        if (near) oct_help(cx, "did you mean '%s'?", near);
        else oct_help(cx, "docs/quantization.md lists them; one of your own is loaded by --observer-plugin");
        return NULL;
    }
    *param = o->greatest > 0 && given != 0 ? (double)given : o->param;
    if (o->greatest > 0 && !(*param >= o->least && *param <= o->greatest)) {
        oct_error(cx, span, OCT_E5105, "observer %s takes a number from %g to %g, not %g", name, o->least, o->greatest, *param);
        return NULL;
    }
    return o;
}
