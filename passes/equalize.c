/* equalize.c - cross-layer equalization (rule cle=on): the weights of two linear ops, of which the second alone reads what the
 * first makes, take factors that level the ranges of their channels (Nagel et al. 2019; NUMERICS 7):
 *   s[i] = sqrt(r1[i] r2[i]) / r2[i],   W1[i,:] /= s[i],   b1[i] /= s[i],   W2[:,i] *= s[i]
 * where r1[i] and r2[i] are the largest magnitudes of W1[i,:] and W2[:,i]; both become sqrt(r1[i] r2[i]). Repeated over all links
 * of the model until nothing moves. The function computed stays what it was, since relu and what else may stand between commutes
 * with positive factors; so one scale for a whole tensor of weights, or of activations, serves all its channels alike.
 *
 * Requires activations in the clip attributes (fuse_act): relu6 and other bounds forbid it, as do other readers. */
#include "scaling.h"

enum { OFF }; /* first word of QRULE(cle) */
enum { MOST_ROUNDS = 200 };
static const double settled = 1e-3; /* no factor moves by more than this share */

struct pair {
    struct oct_scaled *a, *b;
    int64_t run;
    double *from, *to; /* ranges of the channels between */
    bool *dead;        /* channels that stay */
};

static void find_ranges(struct pair *p) {
    oct_scaled_made(p->a, p->from);
    oct_scaled_read(p->b, p->run, p->to);
}

/* Channels that training left without weights (zero, or beside the others next to it) keep what they have: the factor that levels
 * them would blow up their biases, and with them the range of the activation. */
static void find_dead(struct pair *p) {
    double from = 0, to = 0;
    find_ranges(p);
    for (int64_t c = 0; c < p->a->l.outs; c++) from = fmax(from, p->from[c]), to = fmax(to, p->to[c]);
    for (int64_t c = 0; c < p->a->l.outs; c++)
        p->dead[c] = p->from[c] <= from * OCT_DEAD_BELOW || p->to[c] <= to * OCT_DEAD_BELOW;
}

/* One step for one link; returns how far the farthest factor is from 1. */
static double level(struct pair *p) {
    double far = 0;
    find_ranges(p);
    for (int64_t c = 0; c < p->a->l.outs; c++) {
        if (p->dead[c]) continue;
        const double s = sqrt(p->from[c] * p->to[c]) / p->to[c];
        oct_scaled_move(p->a, p->b, p->run, c, s);
        far = fmax(far, fabs(s - 1));
    }
    return far;
}

bool oct_pass_equalize(struct oct_pass_env *env, struct oct_module *m) {
    if (!m->nrules || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    struct pair *pair = OCT_NEW_N(env->scratch, struct pair, m->nnodes);
    struct oct_scaling work;
    uint32_t pairs = 0;
    oct_links_begin(m);
    oct_scaling_begin(&work, m, env->scratch);
    OCT_FOR_NODES(m, n) {
        struct oct_link link;
        if (!oct_has_flag(n, OCT_LINEAR) || oct_qconfig_for(m, n).cle == OFF) continue;
        const char *no = oct_link_from(m, n, &link);
        if (no) {
            if (env->explain) oct_text_addf(env->explain, "cle: %s: not equalized with what reads it: %s\n", n->name, no);
            continue;
        }
        struct pair *p = &pair[pairs++];
        p->a = oct_scaled_of(&work, &link.from);
        p->b = oct_scaled_of(&work, &link.to);
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
    oct_scaling_end(env, &work, "cle", "equalized");
    if (env->explain && pairs) oct_text_addf(env->explain, "cle: %u links level after %d rounds, to %.2g\n", pairs, rounds, far);
    return true;
}
