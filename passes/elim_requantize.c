/* elim_requantize.c - from codes to codes of other parameters: nothing, or one requantize. Two in a row become one only where a
 * single one gives the same on every code: rounding twice is not rounding once. */
#include "elim.h"

/* A change of parameters of 8-bit codes, as docs/numerics.md has it. */
struct step {
    enum oct_profile profile;
    float s_x, s_y;
    int32_t z_x, z_y, qmin, qmax; /* of the result */
    struct oct_requant r;
};

static bool step_init(struct step *s, enum oct_profile p, const struct oct_type *x, const struct oct_type *y) {
    *s = (struct step){.profile = p,
                       .s_x = x->q->scale[0],
                       .s_y = y->q->scale[0],
                       .z_x = oct_zero(x->q, 0),
                       .z_y = oct_zero(y->q, 0),
                       .qmin = (int32_t)oct_dtype_min(y->dtype),
                       .qmax = (int32_t)oct_dtype_max(y->dtype)};
    return oct_requant_from_scales(p, s->s_x, 1, s->s_y, &s->r);
}

static int32_t step_apply(const struct step *s, int32_t code) {
    if (s->profile == OCT_profile_onnx)
        return oct_quantize1(oct_dequantize1(code, s->s_x, s->z_x), s->s_y, s->z_y, s->qmin, s->qmax, OCT_divide_div,
                             OCT_order_before);
    const int64_t v = oct_requant_apply(&s->r, (int64_t)code - s->z_x) + s->z_y;
    return (int32_t)(v < s->qmin ? s->qmin : v > s->qmax ? s->qmax : v);
}

/* x = requantize(w) that only q reads, with the same codes for q straight from w: gives w, otherwise x. */
static struct oct_node *look_through(struct oct_module *m, const struct oct_node *q, struct oct_node *x) {
    const bool alone = x->nuses == 1 && q->operand[0]->nuses == 1;
    if (x->op != OCT_OP_requantize || !alone || OCT_HAS(x->at, clip)) return x;
    struct oct_node *w = oct_operand(x, 0);
    struct step first, second, both;
    if (oct_dtype_size(w->type.dtype) != 1 || !oct_is_activation(&w->type)) return x;
    if (!step_init(&first, x->at.profile, &w->type, &x->type) || !step_init(&second, oct_profile_for(m, OCT_OP_requantize), &x->type, &q->type) ||
        !step_init(&both, oct_profile_for(m, OCT_OP_requantize), &w->type, &q->type))
        return x;
    for (int32_t c = (int32_t)oct_dtype_min(w->type.dtype); c <= oct_dtype_max(w->type.dtype); c++)
        if (step_apply(&second, step_apply(&first, c)) != step_apply(&both, c)) return x;
    return w;
}

/* Are all codes of x such as q gives? */
static bool within_clip(const struct oct_node *x, const struct oct_node *q) {
    const struct oct_reach r = oct_reach_of(x);
    return (float)r.lo >= q->at.clip[0] && (float)r.hi <= q->at.clip[1];
}

struct oct_node *oct_elim_requantize(struct oct_module *m, struct oct_node *q) {
    struct oct_node *x = oct_codes_of(q->operand[0]);
    const bool clips = OCT_HAS(q->at, clip);
    if (oct_type_equal(&x->type, &q->type) && (!clips || within_clip(x, q))) return x;
    if (!oct_is_activation(&x->type) || !oct_is_activation(&q->type)) {
        oct_set_why(m, q, "stays: from %s to %s there is no integer form", oct_type_text(m->arena, &x->type),
                    oct_type_text(m->arena, &q->type));
        return NULL;
    }
    if (!oct_scales_fit(oct_profile_for(m, OCT_OP_requantize), x->type.q->scale[0], 1, q->type.q->scale[0])) {
        oct_set_why(m, q, "stays: the profile has no multiplier for the scales on both sides; choose another profile or scheme");
        return NULL;
    }
    if (!clips) x = look_through(m, q, x);
    if (!clips && oct_type_equal(&x->type, &q->type)) return x; /* there and back */
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, oct_profile_for(m, OCT_OP_requantize));
    if (clips) OCT_MARK(at, clip), at.clip[0] = q->at.clip[0], at.clip[1] = q->at.clip[1];
    struct oct_node *by = oct_make(m, OCT_OP_requantize, q->name, &x, 1, &at, &q->type, q->span);
    by->nuses = q->nuses;
    return by;
}
