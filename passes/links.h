/* links.h - two linear ops of which the second alone reads what the first makes: factors per channel can move from the weights of
 * one to those of the other (links.c). What the repairs of ranges start from: equalize, smooth, absorb_bias. */
#ifndef OCT_LINKS_H
#define OCT_LINKS_H

#include "rewrite.h"

/* A conv2d or dense with float constants for weights (outs x ins x taps, ins of one group) and bias. */
struct oct_layer {
    struct oct_node *n;
    int64_t outs, ins, taps, groups;
    const float *w, *b; /* b may be NULL */
};
bool oct_layer_of(struct oct_node *n, struct oct_layer *l);
/* Operand channel that weight w[o][i] reads. */
static inline int64_t oct_layer_channel(const struct oct_layer *l, int64_t o, int64_t i) {
    return o / (l->outs / l->groups) * l->ins + i;
}
/* Gives the layer other weights and bias (NULL: it keeps its own), from the module's arena. */
void oct_layer_rewrite(struct oct_module *m, struct oct_layer *l, const char *suffix, const float *w, const float *b);

/* from's output channel c is read as to's operand channels [c run, (c + 1) run). */
struct oct_link {
    struct oct_layer from, to;
    int64_t run;
    bool clipped;   /* negative values do not get through unchanged */
    bool pads;      /* zeros stand beside the values on their way, or are read beside them */
    bool piecewise; /* an op between is linear in each channel only for one sign */
};
/* Notes for oct_link_from who reads each value; nodes' tags hold it until other tags are written. */
void oct_links_begin(struct oct_module *m);
/* The link from a linear op whose channels may be scaled by positive factors; NULL, or why there is none, in the module's arena.
 */
const char *oct_link_from(const struct oct_module *m, struct oct_node *n, struct oct_link *l);

/* Signal to noise, in dB, of the weights as codes under scales that a rule would choose; INFINITY: exact. */
double oct_weights_sqnr(const struct oct_qconfig *rule, const float *w, int64_t outs, int64_t per);

/* The axis of the channels of a value that a dense layer or a convolution reads or makes. */
static inline int oct_channel_axis(const struct oct_node *op, const struct oct_node *value) {
    return op->op == OCT_OP_dense ? value->type.rank - 1 : 1;
}

#endif
