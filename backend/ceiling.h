/* ceiling.h - what a core can do at best with each kind of step that sums are made of: as figures of targets (costs.def), and as
 * a program that does nothing but such steps, in registers, for measuring it. */
#ifndef OCT_CEILING_H
#define OCT_CEILING_H

#include "program.h"

enum { OCT_CEILINGS_MOST = 8 };
struct oct_ceiling {
    const char *steps; /* of struct oct_way */
    double macs;       /* of one run of its entry */
};
/* A run entry for each kind that the target has; opt->name is the prefix. Returns how many. */
int oct_ceiling_make(struct oct_ctx *cx, struct oct_arena *a, const struct oct_compile_options *opt,
                     struct oct_ceiling c[OCT_CEILINGS_MOST], struct oct_compiled *made);

#endif
