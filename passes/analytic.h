/* analytic.h - what a linear op reads on average, by the closed form for clipped Gaussians (analytic.c): what bias correction
 * wants that looks at no sample of the quantized model. */
#ifndef OCT_ANALYTIC_H
#define OCT_ANALYTIC_H

#include "rewrite.h"

/* E[min(max(x, lo), hi)] of a normal x; bounds may be infinite. */
double oct_clipped_mean(double mean, double deviation, double lo, double hi);

/* A float model whose linear ops have known means and deviations before their bounds. */
struct oct_analytic {
    struct oct_module *m; /* a copy; NULL: none is wanted */
    struct oct_channel_stats *s;
    uint32_t count;
};
/* Runs the data through a copy of the float model. False after a diagnostic. */
bool oct_analytic_begin(struct oct_analytic *a, struct oct_pass_env *env, const struct oct_module *real);
/* One run of what the linear op of that name reads: every element is its channel's mean. NULL: *why says why. */
const float *oct_analytic_read(const struct oct_analytic *a, struct oct_arena *arena, const char *name, const char **why);
void oct_analytic_end(struct oct_analytic *a);

#endif
