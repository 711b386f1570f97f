/* scaling.h - linear layers while factors per channel move between them: gathered as numbers, then rounded into weights and
 * biases once (scaling.c). Shared by equalize and smooth. */
#ifndef OCT_SCALING_H
#define OCT_SCALING_H

#include "links.h"

/* A layer at work: its weights are w[o][i] in[channel of i] / out[o], its bias is b[o] / out[o]. */
struct oct_scaled {
    struct oct_layer l;
    float *largest; /* [o][i], over taps */
    double *in, *out;
};
struct oct_scaling {
    struct oct_module *m;
    struct oct_arena *scratch;
    struct oct_scaled *layer;
    uint32_t count;
};
/* Takes the nodes' marks. */
void oct_scaling_begin(struct oct_scaling *s, struct oct_module *m, struct oct_arena *scratch);
/* The layer at work, made on first use. */
struct oct_scaled *oct_scaled_of(struct oct_scaling *s, const struct oct_layer *l);
/* Largest magnitudes of the weights as they are scaled now: by output channel; and by channel that the link's `from` makes. */
void oct_scaled_made(const struct oct_scaled *from, double *range);
void oct_scaled_read(const struct oct_scaled *to, int64_t run, double *range);
/* Channel c of the link: divided by s on one side, multiplied on the other. */
void oct_scaled_move(struct oct_scaled *from, struct oct_scaled *to, int64_t run, int64_t c, double s);
/* Rewrites all layers at work; counts them in env->changes; a line for each begins with `repair`. */
void oct_scaling_end(struct oct_pass_env *env, struct oct_scaling *s, const char *repair, const char *suffix);

/* Channels whose range is no more than this share of the largest have no say: the factor that suits them would blow them up. */
#define OCT_DEAD_BELOW 0x1p-16

#endif
