/* quant.c - quantize and dequantize, per tensor and per channel. docs/numerics.md 6. */
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

static bool build(struct oct_kbuild *b, const struct oct_type *t, bool quantize) {
    const struct oct_attrs *at = &b->node->at;
    bool rcp = quantize && at->divide == OCT_divide_rcp, many = t->q->axis >= 0;
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    struct channel c = {0};
    if (many) c = per_channel(b, t->q, &b->out.at, rcp);
    struct lp_addr where[3];
    int loops = oct_k_nest(b, many ? 3 : 2, (const struct oct_layout *[]){&b->out.at, &b->in[0].at, &c.at}, 0, where);
    struct oct_r_params p = oct_r_params(t);
    if (rcp) p.scale.imm.f = (double)(1.0f / oct_scale(t->q, 0));
    if (many) {
        p.scale = lp_load(b->k, "scale", lp_scalar(LP_F32), c.scales, where[2]);
        p.zero = lp_load(b->k, "zero", lp_scalar(LP_I32), c.zeros, where[2]);
    }
    if (quantize)
        oct_k_store_code(b, y, where[0],
                         oct_r_quantize(b->k, &p, at->divide, at->order, lp_load(b->k, NULL, lp_scalar(LP_F32), x, where[1])));
    else lp_store(b->k, y, where[0], oct_r_dequantize(b->k, &p, oct_k_load_code(b, NULL, x, where[1])));
    oct_k_close(b, loops);
    return true;
}

static bool plain(const struct oct_type *t) { return oct_k_is_codes(t) && !t->q->block; }
bool oct_fits_quantize(const struct oct_kbuild *b) { /* bounds of 16 bits are floats without rounding */
    return oct_k_is_float(&b->in[0].node->type) && plain(&b->node->type) && oct_dtype_size(b->node->type.dtype) <= 2;
}
bool oct_fits_dequantize(const struct oct_kbuild *b) { return oct_k_is_float(&b->node->type) && plain(&b->in[0].node->type); }
bool oct_build_quantize(struct oct_kbuild *b) { return build(b, &b->node->type, true); }
bool oct_build_dequantize(struct oct_kbuild *b) { return build(b, &b->in[0].node->type, false); }
