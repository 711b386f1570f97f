/* links.c - see links.h. */
#include <string.h>

#include "links.h"

bool oct_layer_of(struct oct_node *n, struct oct_layer *l) {
    if (!oct_has_flag(n, OCT_LINEAR)) return false;
    const struct oct_node *wn = oct_operand(n, 1), *bn = oct_operand(n, 2);
    if (!oct_const_floats(wn) || (bn && !oct_const_floats(bn)) || n->type.dtype != OCT_F32) return false;
    const int64_t outs = wn->type.dim[0], ins = wn->type.dim[1], total = oct_type_elements(&wn->type, 1);
    if (total <= 0) return false;
    *l = (struct oct_layer){
        .n = n, .outs = outs, .ins = ins, .taps = total / (outs * ins), .groups = n->op == OCT_OP_conv2d ? n->at.groups : 1};
    l->w = oct_const_floats(wn);
    l->b = oct_const_floats(bn);
    return true;
}

void oct_layer_rewrite(struct oct_module *m, struct oct_layer *l, const char *suffix, const float *w, const float *b) {
    struct oct_node *const n = l->n, *wn = oct_operand(n, 1), *bn = oct_operand(n, 2);
    const struct oct_type bt = {.dtype = OCT_F32, .rank = 1, .dim = {l->outs}};
    m->cursor = n;
    if (w) n->operand[1] = oct_new_const(m, wn->name, suffix, &wn->type, l->w = w, n->span);
    if (!b) return;
    if (n->noperands < 3) {
        struct oct_node **operand = OCT_NEW_N(m->arena, struct oct_node *, 3);
        memcpy(operand, n->operand, 2 * sizeof *operand);
        n->operand = operand;
        n->noperands = 3;
    }
    n->operand[2] = oct_new_const(m, bn ? bn->name : wn->name, bn ? suffix : "b", &bt, l->b = b, n->span);
}

void oct_links_begin(struct oct_module *m) {
    oct_module_settle(m);
    oct_count_uses(m);
    OCT_FOR_NODES(m, n) n->tag = NULL;
    OCT_FOR_NODES(m, n)
    for (int i = 0; i < n->noperands; i++)
        if (n->operand[i]) n->operand[i]->tag = n;
}

static const char *refusal(const struct oct_module *m, const struct oct_node *n, const char *what) {
    return oct_sprintf(m->arena, "'%s' %s", n->name, what);
}

/* Where channels are while one walks from op to op: along `axis`, each as `run` neighbours. */
struct path {
    int axis;
    int64_t run;
};

/* Takes `u`, which reads x, into the path; false: it does not commute with positive factors per channel. */
static bool take(const struct oct_node *u, const struct oct_node *x, struct path *p, struct oct_link *l) {
    switch (u->op) {
    case OCT_OP_leaky_relu: l->piecewise = true; return true;
    case OCT_OP_relu: l->clipped = true; return true;
    case OCT_OP_max_pool2d: return p->axis == 1;
    case OCT_OP_avg_pool2d:
        for (int i = 0; i < 4; i++) l->pads |= u->at.pad[i] != 0;
        return p->axis == 1;
    case OCT_OP_mean:
        for (int i = 0; i < u->at.axes.n; i++)
            if (u->at.axes.v[i] <= p->axis) return false;
        return true;
    case OCT_OP_pad:
        if (u->at.value != 0 || u->at.pads.v[p->axis] || u->at.pads.v[p->axis + x->type.rank]) return false;
        l->pads = true;
        return true;
    case OCT_OP_reshape:
    case OCT_OP_flatten:
    case OCT_OP_squeeze: { /* channels stay axis 1, each with all that stood behind it */
        if (p->axis != 1 || u->type.rank < 2 || u->type.dim[0] != x->type.dim[0] || u->type.dim[1] % x->type.dim[1]) return false;
        const int64_t more = u->type.dim[1] / x->type.dim[1];
        int64_t behind = 1, kept = 1;
        for (int i = 2; i < x->type.rank; i++) behind *= x->type.dim[i];
        for (int i = 2; i < u->type.rank; i++) kept *= u->type.dim[i];
        if (more != 1 && kept != 1) return false;
        p->run *= more;
        return more * kept == behind;
    }
    default: return false;
    }
}

const char *oct_link_from(const struct oct_module *m, struct oct_node *n, struct oct_link *l) {
    *l = (struct oct_link){.run = 1};
    if (!oct_layer_of(n, &l->from)) return refusal(m, n, "has weights that are no float constants");
    if (n->at.clip[0] == 0 && n->at.clip[1] == INFINITY) l->clipped = true;
    else if (n->at.clip[0] != -INFINITY || n->at.clip[1] != INFINITY)
        return oct_sprintf(m->arena, "'%s' is clipped to [%g, %g], which a factor per channel would move", n->name,
                           (double)n->at.clip[0], (double)n->at.clip[1]);
    struct path p = {.axis = oct_channel_axis(n, n), .run = 1};
    for (const struct oct_node *x = n;;) {
        struct oct_node *u = x->tag;
        if (!u) return refusal(m, x, "is an output");
        if (x->nuses > 1) return refusal(m, x, "has more than one reader");
        if (oct_has_flag(u, OCT_LINEAR) && u->operand[0] == x) {
            if (!oct_layer_of(u, &l->to)) return refusal(m, u, "has weights that are no float constants");
            if (p.axis != (u->op == OCT_OP_dense ? x->type.rank - 1 : 1)) return refusal(m, u, "sums over another axis");
            for (int i = 0; i < 4 && u->op == OCT_OP_conv2d; i++) l->pads |= u->at.pad[i] != 0;
            l->run = p.run;
            OCT_CHECK(m->cx, l->to.ins * l->to.groups == l->from.outs * l->run);
            return NULL;
        }
        if (!take(u, x, &p, l))
            return oct_sprintf(m->arena, "%s '%s' in between does not commute with factors per channel", oct_op_info(u->op)->name,
                               u->name);
        x = u;
    }
}

double oct_weights_sqnr(const struct oct_qconfig *rule, const float *w, int64_t outs, int64_t per) {
    const struct oct_reach codes = oct_weight_codes(rule);
    const int64_t run = oct_weight_run(rule, outs);
    double signal = 0, noise = 0;
    for (int64_t o = 0; o < outs; o += run, w += run * per) {
        const int64_t n = (o + run < outs ? run : outs - o) * per;
        const float s = oct_weight_scale_of(rule, w, n);
        const int32_t z = oct_weight_zero_of(rule, w, n, s);
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)w[i], y = s > 0 ? (double)s * (oct_weight_code(w[i], s, z, codes) - z) : 0;
            signal += x * x;
            noise += (x - y) * (x - y);
        }
    }
    return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}
