/* plugin.h - shared objects that bring an observer or a rounding (plugin.c); their own side is runtime/octavo_plugin.h. */
#ifndef OCT_PLUGIN_H
#define OCT_PLUGIN_H

#include "pass.h"

/* Loads one into the context, which keeps it to its end. False after a diagnostic. */
bool oct_plugin_load_observer(struct oct_ctx *cx, const char *path);
bool oct_plugin_load_rounding(struct oct_ctx *cx, const char *path);
/* The observer of this name that a plugin of the context brought, or NULL. */
const struct oct_observer *oct_plugin_observer(const struct oct_ctx *cx, const char *name);
/* Codes by the context's rounding plugin: an oct_round_fn whose user is the context; false too where there is no plugin. */
bool oct_plugin_round(void *user, const struct oct_weights *w, int32_t *code);

#endif
