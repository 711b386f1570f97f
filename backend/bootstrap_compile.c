/* bootstrap_compile.c - stands in for the back end until it is there; to be deleted with the file that defines oct_compile. */
#include "backend.h"

bool oct_compile(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *m, const struct oct_compile_options *opt,
                 struct oct_compiled *out) {
    (void)a, (void)opt, (void)out;
    oct_error(cx, (struct oct_span){0, 0, 0}, OCT_E7006, "'%s' cannot be compiled yet: the back end is not there", m->name);
    return false;
}
