/* absorb_bias.c - high-bias absorption (rule absorb_bias=on of the op that makes the values; Nagel et al. 2019, NUMERICS 7): a
 * channel that relu hardly ever clips gives up what all its values share, and the one op that reads it takes it as bias:
 *   c = max(0, beta - 3 gamma),   b1 -= c,   b2 += W2 c
 * so that one scale for all channels need not reach so far. Equalized layers want it: their large factors make large biases. beta
 * and gamma, mean and deviation of the channel, were those of its batch norm; that is folded by now, so they are taken from the
 * calibration data, behind the relu where it is fused: a channel that it clips often has too small a mean for any c.
 * Values below c come out as c: what the outputs differ by is said under --explain.
 *
 * Requires data, and fuse_act. Refused besides what links.c refuses: no relu, zeros beside the values (padding), leaky relu. */
#include "channel_stats.h"
#include "links.h"

enum { OFF }; /* first word of QRULE(absorb_bias) */
static const double deviations = 3;

/* A layer at work, with the bias that it is to have. */
struct biased {
    struct oct_layer l;
    double *b;
    bool moved;
};

struct work {
    struct oct_pass_env *env;
    struct biased *layer; /* of node->mark - 1 */
    uint32_t count;
};

static struct biased *biased_of(struct work *k, const struct oct_layer *l) {
    if (l->n->mark) return &k->layer[l->n->mark - 1];
    struct biased *x = &k->layer[k->count++];
    l->n->mark = k->count;
    x->l = *l;
    x->b = OCT_NEW_N(k->env->scratch, double, l->outs);
    for (int64_t o = 0; o < l->outs && l->b; o++) x->b[o] = (double)l->b[o];
    return x;
}

/* Why a link that factors may cross is none that constants may cross. */
static const char *refusal(const struct oct_link *l) {
    if (!l->clipped) return "no relu holds its values from below";
    if (l->piecewise) return "a leaky relu stands in between";
    return l->pads ? "zeros stand beside its values (padding)" : NULL;
}

static bool absorb(struct work *k, const struct oct_link *l, const struct oct_channel_stats *x) {
    struct biased *from = biased_of(k, &l->from), *to = biased_of(k, &l->to);
    const struct oct_layer *t = &l->to;
    double *c = OCT_NEW_N(k->env->scratch, double, l->from.outs), most = 0;
    int64_t some = 0;
    for (int64_t o = 0; o < l->from.outs; o++) {
        c[o] = fmax(0, x->mean[o] - deviations * x->deviation[o]);
        from->b[o] -= c[o];
        some += c[o] > 0;
        most = fmax(most, c[o]);
    }
    for (int64_t o = 0; o < t->outs; o++)
        for (int64_t i = 0; i < t->ins * t->taps; i++)
            to->b[o] += (double)t->w[o * t->ins * t->taps + i] * c[oct_layer_channel(t, o, i / t->taps) / l->run];
    if (some) from->moved = to->moved = true;
    if (k->env->explain)
        oct_text_addf(k->env->explain, "absorb_bias: %s: '%s' takes the bias of %lld of %lld channels, up to %.3g\n",
                      l->from.n->name, l->to.n->name, (long long)some, (long long)l->from.outs, most);
    return some > 0;
}

static void rewrite(struct oct_pass_env *env, struct oct_module *m, struct biased *x) {
    float *b = OCT_NEW_N(m->arena, float, x->l.outs);
    for (int64_t o = 0; o < x->l.outs; o++) b[o] = (float)x->b[o];
    oct_layer_rewrite(m, &x->l, "absorbed", NULL, b);
    env->changes++;
}

bool oct_pass_absorb_bias(struct oct_pass_env *env, struct oct_module *m) {
    if (!m->nrules || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    struct oct_link *link = OCT_NEW_N(env->scratch, struct oct_link, m->nnodes);
    struct oct_channel_stats *x = OCT_NEW_N(env->scratch, struct oct_channel_stats, m->nnodes);
    uint32_t n = 0;
    oct_links_begin(m);
    OCT_FOR_NODES(m, node) {
        if (!oct_has_flag(node, OCT_LINEAR) || oct_qconfig_for(m, node).absorb_bias == OFF) continue;
        const char *no = oct_link_from(m, node, &link[n]);
        if (!no) no = refusal(&link[n]);
        if (no) {
            if (env->explain) oct_text_addf(env->explain, "absorb_bias: %s: keeps its bias: %s\n", node->name, no);
            continue;
        }
        const int axis = oct_channel_axis(node, node);
        x[n++] = (struct oct_channel_stats){.value = node, .axis = axis, .channels = node->type.dim[axis], .run = 1};
    }
    if (!n) return true;
    if (!oct_channel_data(env, m, "absorb_bias")) return false;
    struct oct_module *was = env->explain ? oct_module_clone(m, env->cx) : NULL;
    if (!oct_channel_moments(env, m, x, n)) return false;
    struct work k = {.env = env, .layer = OCT_NEW_N(env->scratch, struct biased, m->nnodes)};
    OCT_FOR_NODES(m, node) node->mark = 0;
    uint32_t links = 0;
    for (uint32_t i = 0; i < n; i++) links += absorb(&k, &link[i], &x[i]);
    for (uint32_t i = 0; i < k.count; i++)
        if (k.layer[i].moved) rewrite(env, m, &k.layer[i]);
    oct_sweep(m);
    if (!was) return true;
    if (links) oct_explain_repair(env, "absorb_bias", links, was, m);
    oct_module_free(was);
    return true;
}
