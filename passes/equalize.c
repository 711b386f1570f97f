/* equalize.c - cross-layer equalization (rule cle=on): the weights of two linear ops, of which the second alone reads what the
 * first makes, take factors that level the ranges of their channels (Nagel et al. 2019; NUMERICS 7):
 *   s[i] = sqrt(r1[i] r2[i]) / r2[i],   W1[i,:] /= s[i],   b1[i] /= s[i],   W2[:,i] *= s[i]
 * where r1[i] and r2[i] are the largest magnitudes of W1[i,:] and W2[:,i]; both become sqrt(r1[i] r2[i]). Repeated over all links
 * of the model until nothing moves. The function computed stays what it was, since relu and what else may stand between commutes
 * with positive factors; so one scale for a whole tensor of weights, or of activations, serves all its channels alike.
 *
 * Requires activations in the clip attributes (fuse_act): relu6 and other bounds forbid it, as do other readers. */
#include "links.h"

enum { OFF }; /* first word of QRULE(cle) */
enum { MOST_ROUNDS = 200 };
static const double settled = 1e-3; /* no factor moves by more than this share */

static const double dead_below = 0x1p-16; /* of the largest range */

/* A layer at work: its weights are w[o][i] in[channel of i] / out[o]. */
struct scaled {
    struct oct_layer l;
    float *largest; /* [o][i], over taps */
    double *in, *out;
};
struct pair {
    struct scaled *a, *b;
    int64_t run;
    double *from, *to; /* ranges of the channels between */
    bool *dead;        /* channels that stay */
};

static double *ones(struct oct_arena *a, int64_t n) {
    double *x = OCT_NEW_N(a, double, n);
    for (int64_t i = 0; i < n; i++) x[i] = 1;
    return x;
}

/* The layer of a node, made on first use; node->mark is its index + 1. */
static struct scaled *scaled_of(struct oct_arena *a, struct scaled *all, uint32_t *count, const struct oct_layer *l) {
    if (l->n->mark) return &all[l->n->mark - 1];
    struct scaled *s = &all[(*count)++];
    l->n->mark = *count;
    s->l = *l;
    s->in = ones(a, l->ins * l->groups);
    s->out = ones(a, l->outs);
    s->largest = OCT_NEW_N(a, float, l->outs * l->ins);
    for (int64_t k = 0; k < l->outs * l->ins * l->taps; k++)
        s->largest[k / l->taps] = fmaxf(s->largest[k / l->taps], fabsf(l->w[k]));
    return s;
}

/* Ranges of the weights as they are scaled now: by output channel, and by the operand channel that they read. */
static double range_at(const struct scaled *s, int64_t o, int64_t i) {
    return (double)s->largest[o * s->l.ins + i] * s->in[oct_layer_channel(&s->l, o, i)] / s->out[o];
}
static void find_ranges(struct pair *p) {
    const struct oct_layer *a = &p->a->l, *b = &p->b->l;
    for (int64_t o = 0; o < a->outs; o++) p->from[o] = p->to[o] = 0;
    for (int64_t o = 0; o < a->outs; o++)
        for (int64_t i = 0; i < a->ins; i++) p->from[o] = fmax(p->from[o], range_at(p->a, o, i));
    for (int64_t o = 0; o < b->outs; o++)
        for (int64_t i = 0; i < b->ins; i++) {
            double *to = &p->to[oct_layer_channel(b, o, i) / p->run];
            *to = fmax(*to, range_at(p->b, o, i));
        }
}

/* Channels that training left without weights (zero, or beside the others next to it) keep what they have: the factor that levels
 * them would blow up their biases, and with them the range of the activation. */
static void find_dead(struct pair *p) {
    double from = 0, to = 0;
    find_ranges(p);
    for (int64_t c = 0; c < p->a->l.outs; c++) from = fmax(from, p->from[c]), to = fmax(to, p->to[c]);
    for (int64_t c = 0; c < p->a->l.outs; c++) p->dead[c] = p->from[c] <= from * dead_below || p->to[c] <= to * dead_below;
}

/* One step for one link; returns how far the farthest factor is from 1. */
static double level(struct pair *p) {
    double far = 0;
    find_ranges(p);
    for (int64_t c = 0; c < p->a->l.outs; c++) {
        if (p->dead[c]) continue;
        const double s = sqrt(p->from[c] * p->to[c]) / p->to[c];
        p->a->out[c] *= s;
        for (int64_t k = c * p->run; k < (c + 1) * p->run; k++) p->b->in[k] *= s;
        far = fmax(far, fabs(s - 1));
    }
    return far;
}

static void rewrite(struct oct_module *m, struct scaled *s) {
    const struct oct_layer *l = &s->l;
    float *w = OCT_NEW_N(m->arena, float, l->outs * l->ins * l->taps), *b = l->b ? OCT_NEW_N(m->arena, float, l->outs) : NULL;
    for (int64_t o = 0; o < l->outs; o++) {
        for (int64_t i = 0, k = o * l->ins * l->taps; i < l->ins; i++)
            for (int64_t t = 0; t < l->taps; t++, k++)
                w[k] = (float)((double)l->w[k] * s->in[oct_layer_channel(l, o, i)] / s->out[o]);
        if (b) b[o] = (float)((double)l->b[o] / s->out[o]);
    }
    oct_layer_rewrite(m, &s->l, "equalized", w, b);
}

static double sqnr(const struct oct_module *m, const struct oct_layer *l) {
    const struct oct_qconfig rule = oct_qconfig_for(m, l->n);
    return oct_weights_sqnr(&rule, l->w, l->outs, l->ins * l->taps);
}

bool oct_pass_equalize(struct oct_pass_env *env, struct oct_module *m) {
    if (!m->nrules || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    struct scaled *layer = OCT_NEW_N(env->scratch, struct scaled, m->nnodes);
    struct pair *pair = OCT_NEW_N(env->scratch, struct pair, m->nnodes);
    uint32_t layers = 0, pairs = 0;
    oct_links_begin(m);
    OCT_FOR_NODES(m, n) n->mark = 0;
    OCT_FOR_NODES(m, n) {
        struct oct_link link;
        if (!oct_has_flag(n, OCT_LINEAR) || oct_qconfig_for(m, n).cle == OFF) continue;
        const char *no = oct_link_from(m, n, &link);
        if (no) {
            if (env->explain) oct_text_addf(env->explain, "cle: %s: not equalized with what reads it: %s\n", n->name, no);
            continue;
        }
        struct pair *p = &pair[pairs++];
        p->a = scaled_of(env->scratch, layer, &layers, &link.from);
        p->b = scaled_of(env->scratch, layer, &layers, &link.to);
        p->run = link.run;
        p->from = OCT_NEW_N(env->scratch, double, link.from.outs);
        p->to = OCT_NEW_N(env->scratch, double, link.from.outs);
        p->dead = OCT_NEW_N(env->scratch, bool, link.from.outs);
        find_dead(p);
    }
    double far = 1;
    int rounds = 0;
    for (; far > settled && rounds < MOST_ROUNDS && pairs; rounds++) {
        far = 0;
        for (uint32_t i = 0; i < pairs; i++) far = fmax(far, level(&pair[i]));
    }
    for (uint32_t i = 0; i < layers; i++) {
        const double before = env->explain ? sqnr(m, &layer[i].l) : 0;
        rewrite(m, &layer[i]);
        env->changes++;
        if (!env->explain) continue;
        double least = INFINITY, most = 0;
        for (int64_t o = 0; o < layer[i].l.outs; o++) {
            least = fmin(least, layer[i].out[o]);
            most = fmax(most, layer[i].out[o]);
        }
        oct_text_addf(env->explain, "cle: %s: output channels divided by %.3g to %.3g; weights as codes: %.1f dB, were %.1f\n",
                      layer[i].l.n->name, least, most, sqnr(m, &layer[i].l), before);
    }
    if (env->explain && pairs) oct_text_addf(env->explain, "cle: %u links level after %d rounds, to %.2g\n", pairs, rounds, far);
    oct_sweep(m);
    return true;
}
