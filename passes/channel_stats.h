/* channel_stats.h - what single channels of float values hold over the calibration data: for repairs that move ranges and means
 * between channels before anything is quantized (channel_stats.c). Memory does not grow with the data; the same bits for any
 * number of threads and any engine. */
#ifndef OCT_CHANNEL_STATS_H
#define OCT_CHANNEL_STATS_H

#include "rewrite.h"

struct oct_channel_stats {
    struct oct_node *value; /* float, and some op reads it */
    int axis;
    int64_t channels, run; /* channel c is [c run, (c + 1) run) along the axis */
    float *most;           /* largest finite magnitude */
    uint64_t *count;       /* finite elements, below 2^31 for each channel; this and what follows: by oct_channel_moments */
    double *mean, *deviation;
};
/* Run the data through the model as it is (or a copy of it): one time for the first, two for the second. False after a
 * diagnostic. */
bool oct_channel_maxima(struct oct_pass_env *env, struct oct_module *m, struct oct_channel_stats *s, uint32_t n);
bool oct_channel_moments(struct oct_pass_env *env, struct oct_module *m, struct oct_channel_stats *s, uint32_t n);

/* Is there data? Otherwise a diagnostic for the pass of that name. */
bool oct_channel_data(struct oct_pass_env *env, const struct oct_module *m, const char *pass);

/* The line of --explain that tells what a repair of so many links gains as a whole, or costs: signal to noise of the float
 * outputs of m, and of those that m and the reference, the model as it was, would have when quantized by the rules now. */
void oct_explain_repair(struct oct_pass_env *env, const char *repair, uint32_t links, const struct oct_module *reference,
                        const struct oct_module *m);

#endif
