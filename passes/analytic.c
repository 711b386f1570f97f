/* analytic.c - see analytic.h. The Gaussian of a channel has the mean and the deviation that it has over the calibration data
 * before its clip (batch norms, whose bias and factor they once were, are folded by now). */
#include "analytic.h"
#include "channel_stats.h"

static double density(double x) { return isinf(x) ? 0 : exp(-x * x / 2) / sqrt(2 * acos(-1)); }
static double below(double x) { return erfc(-x / sqrt(2)) / 2; }

double oct_clipped_mean(double mean, double deviation, double lo, double hi) {
    if (!(deviation > 0)) return fmin(fmax(mean, lo), hi);
    const double a = (lo - mean) / deviation, b = (hi - mean) / deviation;
    double e = mean * (below(b) - below(a)) + deviation * (density(a) - density(b));
    if (!isinf(lo)) e += lo * below(a);
    if (!isinf(hi)) e += hi * below(-b);
    return e;
}

/* Means are taken of `n.raw`; a clip of n's name follows it. */
static struct oct_node *unclipped(struct oct_module *m, struct oct_node *n) {
    if (n->at.clip[0] == -INFINITY && n->at.clip[1] == INFINITY) return n;
    struct oct_attrs plain = n->at, at;
    OCT_DROP(plain, clip), plain.clip[0] = -INFINITY, plain.clip[1] = INFINITY;
    oct_attrs_init(&at);
    OCT_MARK(at, clip), at.clip[0] = n->at.clip[0], at.clip[1] = n->at.clip[1];
    m->cursor = n;
    struct oct_node *raw = oct_make(m, n->op, oct_suffixed(m, n->name, "raw"), n->operand, n->noperands, &plain, NULL, n->span);
    oct_replace_named(m, n, oct_make(m, OCT_OP_clip, oct_suffixed(m, n->name, "clip"), &raw, 1, &at, NULL, n->span));
    return raw;
}

bool oct_analytic_begin(struct oct_analytic *a, struct oct_pass_env *env, const struct oct_module *real) {
    struct oct_module *m = a->m = oct_module_clone(real, env->cx);
    struct oct_pass_env mine = *env;
    mine.observe = NULL; /* the interpreter: its biases are codes, for which compiled float ops have no kernels */
    a->s = OCT_NEW_N(m->arena, struct oct_channel_stats, m->nnodes);
    a->count = 0;
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        oct_resolve_operands(n);
        if (!oct_has_flag(n, OCT_LINEAR) || n->type.dtype != OCT_F32 || n->type.rank != (n->op == OCT_OP_dense ? 2 : 4)) continue;
        if (!next) continue; /* nothing reads it */
        a->s[a->count++] = (struct oct_channel_stats){.value = unclipped(m, n), .axis = 1, .channels = n->type.dim[1], .run = 1};
    }
    m->cursor = NULL;
    oct_module_settle(m);
    return !a->count || oct_channel_moments(&mine, m, a->s, a->count);
}

/* Does u, which reads x, keep means of channels, and each channel in one piece, in their order? */
static bool keeps_means(const struct oct_node *u, const struct oct_node *x) {
    switch (u->op) {
    case OCT_OP_avg_pool2d: return u->at.pad[0] == 0 && u->at.pad[1] == 0 && u->at.pad[2] == 0 && u->at.pad[3] == 0;
    case OCT_OP_mean:
        for (int i = 0; i < u->at.axes.n; i++)
            if (u->at.axes.v[i] < 2) return false;
        return true;
    case OCT_OP_reshape:
    case OCT_OP_flatten:
    case OCT_OP_squeeze:
        return x->type.rank > 1 && u->type.rank > 1 && u->type.dim[0] == x->type.dim[0] && u->type.dim[1] % x->type.dim[1] == 0;
    default: return false;
    }
}

const float *oct_analytic_read(const struct oct_analytic *a, struct oct_arena *arena, const char *name, const char **why) {
    const struct oct_node *n = oct_find_value(a->m, name);
    if (n->op == OCT_OP_clip) n = n->operand[0];
    const struct oct_type *t = &n->operand[0]->type;
    const struct oct_node *x = n->operand[0];
    while (x->noperands && keeps_means(x, x->operand[0])) x = x->operand[0];
    float lo = -INFINITY, hi = INFINITY;
    if (oct_clamp_of(x, &lo, &hi)) x = x->operand[0];
    const struct oct_channel_stats *s = NULL;
    for (uint32_t i = 0; i < a->count && !s; i++)
        if (a->s[i].value == x) s = &a->s[i];
    *why = "what it reads is no linear op's result, clipped or averaged";
    if (!s) return NULL;
    const int64_t total = oct_type_elements(t, 1), one = total / oct_input_batch(t);
    float *read = OCT_NEW_N(arena, float, total);
    for (int64_t i = 0; i < total; i++) {
        const int64_t c = i % one / (one / s->channels);
        read[i] = (float)oct_clipped_mean(s->mean[c], s->deviation[c], (double)lo, (double)hi);
    }
    return read;
}

void oct_analytic_end(struct oct_analytic *a) {
    if (a->m) oct_module_free(a->m);
    a->m = NULL;
}
