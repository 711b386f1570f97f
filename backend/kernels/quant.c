/* quant.c - quantize and dequantize, per tensor and per channel. docs/numerics.md 6. */
#include "map.h"
#include "real.h"

/* Scales and zero points as two arrays along the axis, and where the current element's lie. */
struct channel {
    int32_t scales, zeros;
    struct oct_layout at;
};

static struct channel per_channel(struct oct_kbuild *b, const struct oct_quant *q, const struct oct_layout *like,
                                  bool reciprocal) {
    float *s = OCT_NEW_N(b->arena, float, q->n);
    int32_t *z = OCT_NEW_N(b->arena, int32_t, q->n);
    for (uint32_t i = 0; i < q->n; i++) {
        s[i] = reciprocal ? 1.0f / oct_scale(q, i) : oct_scale(q, i);
        z[i] = oct_zero(q, i);
    }
    struct channel c = {
        oct_k_const(b, "scale", LP_F32, q->n, s), oct_k_const(b, "zero", LP_I32, q->n, z), {.rank = like->rank, .size = q->n}};
    for (int a = 0; a < like->rank; a++) c.at.dim[a] = like->dim[a];
    c.at.stride[q->axis] = 1;
    return c;
}

/* x: the element, and per channel its scale and zero point. */
struct how {
    const struct oct_type *t;
    bool quantize;
};
static struct lp_val converted(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    const struct how *h = user;
    const struct oct_attrs *at = &b->node->at;
    struct oct_r_params p = oct_r_params(h->t);
    if (h->quantize && at->divide == OCT_divide_rcp) p.scale.imm.f = (double)(1.0f / oct_scale(h->t->q, 0));
    if (h->quantize) {
        int32_t lo, hi;
        oct_k_clamp_range(b->node, &lo, &hi);
        p.qmin = lo;
        p.qmax = hi;
    }
    if (h->t->q->axis >= 0) p.scale = x[1], p.zero = x[2];
    return h->quantize ? oct_r_quantize(b->k, &p, at->divide, at->order, x[0])
                       : oct_r_dequantize(b->k, &p, oct_k_code_of(b, x[0]));
}

static bool build(struct oct_kbuild *b, const struct oct_type *t, bool quantize) {
    const bool many = t->q->axis >= 0, wide = oct_dtype_size(t->dtype) > 2; /* differences of 33 bits */
    struct how h = {t, quantize};
    struct channel c = {0};
    struct oct_map m = {.at = {&b->out.at, &b->in[0].at, &c.at, &c.at},
                        .n = many ? 4 : 2,
                        .lanes = wide ? 1 : oct_vec_lanes(b->target, LP_F32),
                        .fn = converted,
                        .user = &h};
    m.buf[1] = oct_k_in(b, 0);
    m.buf[0] = oct_k_out(b);
    if (many) {
        c = per_channel(b, t->q, &b->out.at, quantize && b->node->at.divide == OCT_divide_rcp);
        m.buf[2] = c.scales;
        m.buf[3] = c.zeros;
    }
    oct_k_map(b, &m);
    return true;
}

static bool plain(const struct oct_type *t) { return oct_k_is_codes(t) && !t->q->block; }
bool oct_fits_quantize(const struct oct_kbuild *b) { /* bounds of 16 bits are floats without rounding */
    return oct_k_is_float(&b->in[0].node->type) && plain(&b->node->type) && oct_dtype_size(b->node->type.dtype) <= 2;
}
bool oct_fits_dequantize(const struct oct_kbuild *b) { return oct_k_is_float(&b->node->type) && plain(&b->in[0].node->type); }
bool oct_build_quantize(struct oct_kbuild *b) { return build(b, &b->node->type, true); }
bool oct_build_dequantize(struct oct_kbuild *b) { return build(b, &b->in[0].node->type, false); }
