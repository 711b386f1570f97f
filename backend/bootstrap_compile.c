/* bootstrap_compile.c - stands in for the back end until it is there; to be deleted with the file that defines oct_compile. */
#include <string.h>

#include "backend.h"

static const struct oct_target host = {.name = "host",
                                       .doc = "this machine, portable C",
                                       .triple = "",
                                       .registers = 16,
                                       .pointer_bytes = 8,
                                       .inline_weights_max = 262144,
                                       .native_i64 = true};

const struct oct_target *oct_target_list(uint32_t *n) {
    *n = 1;
    return &host;
}
const struct oct_target *oct_target_find(const char *name) { return strcmp(name, host.name) == 0 ? &host : NULL; }

bool oct_compile(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *m, const struct oct_compile_options *opt,
                 struct oct_compiled *out) {
    (void)a, (void)opt, (void)out;
    oct_error(cx, (struct oct_span){0, 0, 0}, OCT_E7006, "'%s' cannot be compiled yet: the back end is not there", m->name);
    return false;
}
