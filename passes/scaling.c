/* scaling.c - see scaling.h. */
#include "scaling.h"

void oct_scaling_begin(struct oct_scaling *s, struct oct_module *m, struct oct_arena *scratch) {
    *s = (struct oct_scaling){.m = m, .scratch = scratch, .layer = OCT_NEW_N(scratch, struct oct_scaled, m->nnodes)};
    OCT_FOR_NODES(m, n) n->mark = 0; /* of a layer at work: its index + 1 */
}

static double *ones(struct oct_arena *a, int64_t n) {
    double *x = OCT_NEW_N(a, double, n);
    for (int64_t i = 0; i < n; i++) x[i] = 1;
    return x;
}

struct oct_scaled *oct_scaled_of(struct oct_scaling *s, const struct oct_layer *l) {
    if (l->n->mark) return &s->layer[l->n->mark - 1];
    struct oct_scaled *x = &s->layer[s->count++];
    l->n->mark = s->count;
    x->l = *l;
    x->in = ones(s->scratch, l->ins * l->groups);
    x->out = ones(s->scratch, l->outs);
    x->largest = OCT_NEW_N(s->scratch, float, l->outs * l->ins);
    for (int64_t k = 0; k < l->outs * l->ins * l->taps; k++)
        x->largest[k / l->taps] = fmaxf(x->largest[k / l->taps], fabsf(l->w[k]));
    return x;
}

static double range_at(const struct oct_scaled *s, int64_t o, int64_t i) {
    return (double)s->largest[o * s->l.ins + i] * s->in[oct_layer_channel(&s->l, o, i)] / s->out[o];
}

void oct_scaled_made(const struct oct_scaled *from, double *range) {
    for (int64_t o = 0; o < from->l.outs; o++) {
        range[o] = 0;
        for (int64_t i = 0; i < from->l.ins; i++) range[o] = fmax(range[o], range_at(from, o, i));
    }
}

void oct_scaled_read(const struct oct_scaled *to, int64_t run, double *range) {
    const struct oct_layer *l = &to->l;
    for (int64_t c = 0; c < l->ins * l->groups / run; c++) range[c] = 0;
    for (int64_t o = 0; o < l->outs; o++)
        for (int64_t i = 0; i < l->ins; i++) {
            double *r = &range[oct_layer_channel(l, o, i) / run];
            *r = fmax(*r, range_at(to, o, i));
        }
}

void oct_scaled_move(struct oct_scaled *from, struct oct_scaled *to, int64_t run, int64_t c, double s) {
    from->out[c] *= s;
    for (int64_t k = c * run; k < (c + 1) * run; k++) to->in[k] *= s;
}

static void rewrite(struct oct_module *m, struct oct_scaled *s, const char *suffix) {
    const struct oct_layer *l = &s->l;
    float *w = OCT_NEW_N(m->arena, float, l->outs * l->ins * l->taps), *b = l->b ? OCT_NEW_N(m->arena, float, l->outs) : NULL;
    for (int64_t o = 0; o < l->outs; o++) {
        for (int64_t i = 0, k = o * l->ins * l->taps; i < l->ins; i++)
            for (int64_t t = 0; t < l->taps; t++, k++)
                w[k] = (float)((double)l->w[k] * s->in[oct_layer_channel(l, o, i)] / s->out[o]);
        if (b) b[o] = (float)((double)l->b[o] / s->out[o]);
    }
    oct_layer_rewrite(m, &s->l, suffix, w, b);
}

static double sqnr(const struct oct_module *m, const struct oct_layer *l) {
    const struct oct_qconfig rule = oct_qconfig_for(m, l->n);
    return oct_weights_sqnr(&rule, l->w, l->outs, l->ins * l->taps);
}

void oct_scaling_end(struct oct_pass_env *env, struct oct_scaling *s, const char *repair, const char *suffix) {
    for (uint32_t i = 0; i < s->count; i++) {
        struct oct_scaled *x = &s->layer[i];
        const double before = env->explain ? sqnr(s->m, &x->l) : 0;
        rewrite(s->m, x, suffix);
        env->changes++;
        if (!env->explain) continue;
        double least = INFINITY, most = 0;
        for (int64_t o = 0; o < x->l.outs; o++) {
            least = fmin(least, x->out[o]);
            most = fmax(most, x->out[o]);
        }
        oct_text_addf(env->explain, "%s: %s: output channels divided by %.3g to %.3g; weights as codes: %.1f dB, were %.1f\n",
                      repair, x->l.n->name, least, most, sqnr(s->m, &x->l), before);
    }
    oct_sweep(s->m);
}
