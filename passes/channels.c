/* channels.c - see channels.h. */
#include "channels.h"

struct oct_channels *oct_channels_root(struct oct_channels *c) {
    while (c->group != c) c = c->group = c->group->group;
    return c;
}

static void unite(struct oct_channels *a, struct oct_channels *b) {
    a = oct_channels_root(a), b = oct_channels_root(b);
    if (a == b) return;
    b->group = a;
    a->pinned |= b->pinned;
}

static void pin(const struct oct_node *n) {
    if (oct_channels_of(n)) oct_channels_root(oct_channels_of(n))->pinned = true;
}

enum { MOST_CHANNELS = 1 << 16 };

bool oct_has_channels(const struct oct_node *n) {
    const struct oct_type *t = &n->type;
    return t->rank >= 2 && n->op != OCT_OP_const && t->dim[1] != OCT_DIM_N && t->dim[1] <= MOST_CHANNELS;
}

static bool linear_with_constants(const struct oct_node *n) {
    return oct_has_flag(n, OCT_LINEAR) && oct_is_const(n->operand[1]) && oct_channels_of(n->operand[0]) &&
           (n->noperands < 3 || !n->operand[2] || oct_is_const(n->operand[2]));
}

bool oct_is_depthwise(const struct oct_node *n) {
    return n->op == OCT_OP_conv2d && n->at.groups > 1 && n->at.groups == n->operand[0]->type.dim[1] &&
           n->at.groups == n->type.dim[1];
}

enum oct_channel_role oct_channel_role(const struct oct_node *n) {
    const struct oct_node *x = n->noperands ? n->operand[0] : NULL;
    if (!x || !oct_channels_of(n) || !oct_channels_of(x)) return OCT_MIXES;
    if (oct_has_flag(n, OCT_LINEAR)) {
        if (!linear_with_constants(n)) return OCT_MIXES;
        if (n->op == OCT_OP_dense) return x->type.rank == 2 ? OCT_PRODUCES : OCT_MIXES;
        return n->at.groups == 1 ? OCT_PRODUCES : oct_is_depthwise(n) ? OCT_KEEPS : OCT_MIXES;
    }
    if (oct_channels_of(n)->n != oct_channels_of(x)->n) return OCT_MIXES;
    switch (n->op) {
    case OCT_OP_add:
    case OCT_OP_sub:
    case OCT_OP_mul:
        return oct_channels_of(n->operand[1]) && oct_shape_equal(&x->type, &n->operand[1]->type) ? OCT_KEEPS : OCT_MIXES;
    case OCT_OP_max_pool2d:
    case OCT_OP_avg_pool2d:
    case OCT_OP_observe:
    case OCT_OP_requantize:
    case OCT_OP_lut: return OCT_KEEPS;
    case OCT_OP_mean:
        for (int i = 0; i < n->at.axes.n; i++)
            if (n->at.axes.v[i] < 2) return OCT_MIXES;
        return OCT_KEEPS;
    case OCT_OP_reshape:
    case OCT_OP_flatten:
    case OCT_OP_squeeze: /* [N,C,1,1] -> [N,C] */
        return n->type.dim[0] == x->type.dim[0] &&
                       oct_type_elements(&x->type, 1) == (x->type.dim[0] == OCT_DIM_N ? 1 : x->type.dim[0]) * x->type.dim[1]
                   ? OCT_KEEPS
                   : OCT_MIXES;
    default: return oct_has_flag(n, OCT_POINTWISE) ? OCT_KEEPS : OCT_MIXES;
    }
}

void oct_channels_join(const struct oct_node *n, enum oct_channel_role role) {
    if (n->op == OCT_OP_input || role == OCT_MIXES) {
        pin(n);
        for (int i = 0; i < n->noperands; i++) pin(n->operand[i]);
    } else if (role == OCT_KEEPS)
        for (int i = 0; i < n->noperands; i++)
            if (oct_channels_of(n->operand[i])) unite(oct_channels_of(n), oct_channels_of(n->operand[i]));
}

void oct_channels_pin_outputs(const struct oct_module *m) {
    for (uint32_t i = 0; i < m->noutputs; i++) pin(m->output[i].node);
}
