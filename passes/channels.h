/* channels.h - which channels (axis 1) of which values belong together: what passes that take out or reorder channels start from
 * (channels.c). A pass gives each value that it can handle a struct oct_channels (as node->tag, first member of its own); an op
 * then makes channels of its own (PRODUCES), carries its operand's on (KEEPS), or does anything else with them (MIXES). */
#ifndef OCT_CHANNELS_H
#define OCT_CHANNELS_H

#include "rewrite.h"

struct oct_channels {
    struct oct_channels *group; /* union-find parent; itself: the root */
    int32_t n;
    bool pinned; /* of a root: something outside knows their order */
};
static inline struct oct_channels *oct_channels_of(const struct oct_node *n) { return n ? n->tag : NULL; }
struct oct_channels *oct_channels_root(struct oct_channels *c);
/* Has the node channels at all: axis 1 of a number that is not the batch? Constants have none. */
bool oct_has_channels(const struct oct_node *n);

/* Anything; conv2d and dense over all channels; result channel c depends on operand channel c alone. */
enum oct_channel_role { OCT_MIXES, OCT_PRODUCES, OCT_KEEPS };
enum oct_channel_role oct_channel_role(const struct oct_node *n);
bool oct_is_depthwise(const struct oct_node *n);
/* Behind the pass's own look at n, in execution order: unites what must go together, pins what must stay. */
void oct_channels_join(const struct oct_node *n, enum oct_channel_role role);
/* Outputs are pinned. */
void oct_channels_pin_outputs(const struct oct_module *m);

#endif
