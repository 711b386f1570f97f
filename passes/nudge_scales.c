/* nudge_scales.c - weight scales moved by a few units in their last place, until the requantizer is proved equal to one fused
 * multiply-add of floats (option nudge_scales=on; ir/fma_rq.h, NUMERICS 5). Codes of weights and biases stay as they are: only
 * what they stand for moves, by 2^-24 of itself a unit. A channel for which no scale within reach has a proof keeps its own.
 *
 * Requires the weights of the op as oct_quantize_weights left them, the type of its result, and the codes that its input can
 * have. What fold_channels takes out later leaves sums within the range that is proved here. */
#include <math.h>

#include "../ir/fma_rq.h"
#include "rewrite.h"

enum { MOST_ULPS = 64 };

struct channels {
    enum oct_profile profile;
    const struct oct_type *x, *y;
    int32_t qmin, qmax;
    int64_t *lo, *hi; /* of the sum of each output channel */
    struct oct_steps steps;
};

/* Sums of output channels, bias included, for every choice of codes. */
static void find_ranges(struct channels *ch, const struct oct_nudged *op) {
    const struct oct_node *w = op->weight;
    const int64_t outs = w->type.dim[0], per = oct_type_elements(&w->type, 1) / outs;
    for (int64_t o = 0; o < outs; o++) {
        int64_t lo = op->bias ? oct_load_int(OCT_I32, op->bias->data, o) : 0, hi = lo;
        for (int64_t i = 0; i < per; i++) {
            const int64_t v = oct_load_int(w->type.dtype, w->data, o * per + i) - oct_zero(w->type.q, (uint32_t)o);
            lo += v * (v < 0 ? op->x_hi : op->x_lo);
            hi += v * (v < 0 ? op->x_lo : op->x_hi);
        }
        ch->lo[o] = lo;
        ch->hi[o] = hi;
    }
}

static bool proved(struct channels *ch, int64_t o, float s_w) {
    struct oct_requant_codes q = {.zero = oct_zero(ch->y->q, 0), .lo = ch->qmin, .hi = ch->qmax};
    const float s_x = ch->x->q->scale[0], s_y = ch->y->q->scale[0];
    if (!oct_requant_linear(ch->profile, ch->x->dtype, s_x, s_w, s_y, &q.r)) return false;
    const double m = (double)s_x * (double)s_w / (double)s_y;
    struct oct_fma_rq found;
    oct_steps_find(&ch->steps, oct_requant_code, &q, ch->lo[o], ch->hi[o], m, q.zero);
    return oct_fma_rq_fit(&ch->steps, m, ch->qmin, ch->qmax, &(struct oct_fma_limits){1, false}, &found);
}

/* Channels [from, to) that share a scale. */
static bool all_proved(struct channels *ch, int64_t from, int64_t to, float s_w) {
    for (int64_t o = from; o < to; o++)
        if (!proved(ch, o, s_w)) return false;
    return true;
}

/* The nearest scale that is proved, larger before smaller; 0: none within reach. */
static float nearest(struct channels *ch, int64_t from, int64_t to, float scale, int *ulps) {
    float up = scale, down = scale;
    for (*ulps = 0; *ulps <= MOST_ULPS; ++*ulps) {
        if (all_proved(ch, from, to, up)) return up;
        if (*ulps && all_proved(ch, from, to, down)) return down;
        up = nextafterf(up, INFINITY);
        down = nextafterf(down, 0);
    }
    return 0;
}

void oct_nudge_scales(struct oct_pass_env *env, struct oct_module *m, const struct oct_node *n, const struct oct_nudged *op,
                      struct oct_nudges *sum) {
    struct oct_type *w = &op->weight->type;
    const int64_t outs = w->dim[0], scales = w->q->n;
    struct channels ch = {.profile = oct_profile_for(m, n->op), .x = op->x, .y = op->y, .qmin = op->qmin, .qmax = op->qmax};
    if (ch.profile == OCT_profile_onnx || oct_dtype_size(op->y->dtype) != 1) return; /* fp32 already; too many steps */
    ch.lo = OCT_NEW_N(env->scratch, int64_t, outs);
    ch.hi = OCT_NEW_N(env->scratch, int64_t, outs);
    oct_steps_init(&ch.steps, env->scratch, 256);
    find_ranges(&ch, op);
    for (int64_t o = 0; o < outs; o++)
        if (ch.lo[o] < INT32_MIN || ch.hi[o] > INT32_MAX) return;
    float *scale = OCT_NEW_N(m->arena, float, scales), *bias = OCT_NEW_N(m->arena, float, scales);
    struct oct_nudges here = {0, 0, 0, 0, 1, 0, 0};
    for (int64_t c = 0; c < scales; c++) {
        int ulps;
        const float found = nearest(&ch, c * outs / scales, (c + 1) * outs / scales, w->q->scale[c], &ulps);
        scale[c] = found > 0 ? found : w->q->scale[c];
        bias[c] = scale[c] * op->x->q->scale[0];
        here.channels++;
        here.before += found > 0 && !ulps;
        here.after += found > 0;
        if (found > 0 && ulps > here.ulps) here.ulps = ulps;
    }
    here.whole_before = here.before == here.channels;
    here.whole_after = here.after == here.channels;
    w->q = w->q->axis < 0 ? oct_quant_tensor(m->arena, scale[0], oct_zero(w->q, 0))
                          : oct_quant_channel(m->arena, 0, (uint32_t)scales, scale, NULL);
    if (op->bias)
        op->bias->type.q = w->q->axis < 0 ? oct_quant_tensor(m->arena, bias[0], 0)
                                          : oct_quant_channel(m->arena, 0, (uint32_t)scales, bias, NULL);
    if (env->explain)
        oct_text_addf(
            env->explain,
            "nudge_scales: %s: one fused multiply-add requantizes %u of %u channels, %u with scales moved by at most %d ulp\n",
            n->name, here.before, here.channels, here.after, here.ulps);
    sum->channels += here.channels;
    sum->before += here.before;
    sum->after += here.after;
    sum->layers++;
    sum->whole_before += here.whole_before;
    sum->whole_after += here.whole_after;
    if (here.ulps > sum->ulps) sum->ulps = here.ulps;
}
