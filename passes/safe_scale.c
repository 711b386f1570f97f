/* safe_scale.c - weight scales under which sums of 16 bits cannot saturate (ir/sat16.h; rule saturation=pair, pair2, ...).
 *
 * Codes are rounded quotients, so no |code| grows with the scale, and neither does any lane of a sum: the scales that are safe
 * are all those from a least one on. It is found by bisection over fp32 numbers, so it is exact, and the same everywhere.
 * Codes of one lane may differ in sign: opposite ones cancel, which is why pairs of them cost nothing (permute_channels). */
#include <math.h>
#include <string.h>

#include "rewrite.h"

/* Quads that are added in 16 bits, by the words of QRULE(saturation). */
static const int quads_of[] = {0, 1, 2, 4, 8, 16};

int oct_safe_quads(const struct oct_qconfig *rule) { return quads_of[rule->saturation]; }

static bool kernels_add_pairs(const struct oct_node *n) {
    return (n->op == OCT_OP_conv2d && n->at.groups == 1) || n->op == OCT_OP_dense;
}

bool oct_wants_safe(const struct oct_module *m) {
    for (uint32_t i = 0; i < m->nrules; i++)
        if ((m->rule[i].set >> OCT_Q_saturation & 1u) && m->rule[i].q.saturation) return true;
    return false;
}

bool oct_safe_begin(struct oct_safe *s, struct oct_arena *scratch, const struct oct_node *n, const struct oct_qconfig *rule,
                    int32_t range, const uint8_t *dead) {
    const struct oct_type *w = &n->operand[1]->type;
    const int quads = oct_safe_quads(rule);
    if (!quads || !kernels_add_pairs(n)) return false;
    const bool window = w->rank == 4;
    *s = (struct oct_safe){
        .quads = quads, .range = range, .c = w->dim[1], .kh = window ? w->dim[2] : 1, .kw = window ? w->dim[3] : 1};
    s->live = OCT_NEW_N(scratch, int64_t, s->c);
    for (int64_t i = 0; i < s->c; i++)
        if (!dead || !dead[i]) s->live[s->nlive++] = i;
    s->w = OCT_NEW_N(scratch, float, s->kh * s->kw * s->nlive);
    s->code = OCT_NEW_N(scratch, int8_t, s->kh * s->kw * s->nlive);
    return true;
}

/* From [c][ky][kx] to the order of kernels, [ky][kx][c], of the channels that stay. */
static void to_kernel_order(struct oct_safe *s, const float *w) {
    float *to = s->w;
    for (int64_t ky = 0; ky < s->kh; ky++)
        for (int64_t kx = 0; kx < s->kw; kx++)
            for (int64_t i = 0; i < s->nlive; i++) *to++ = w[(s->live[i] * s->kh + ky) * s->kw + kx];
}

static bool safe(const struct oct_safe *s, float scale) {
    const int64_t length = s->kw * s->nlive, n = s->kh * length;
    for (int64_t i = 0; i < n; i++) s->code[i] = (int8_t)oct_weight_code(s->w[i], scale, 0, s->codes);
    return oct_sat16_exact(oct_sat16_reach(s->code, s->kh, length, s->range, s->quads));
}

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static float of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float oct_safe_scale(struct oct_safe *s, const float *w, float scale, bool power_of_two) {
    to_kernel_order(s, w);
    if (safe(s, scale)) return scale;
    float above = scale;
    do above *= 2;
    while (!safe(s, above)); /* when it exceeds twice the largest weight, all codes are 0 */
    if (power_of_two) return above;
    uint32_t bad = bits_of(fmaxf(scale, above / 2)), good = bits_of(above); /* positive floats are ordered as their bits are */
    while (good - bad > 1) {
        const uint32_t middle = bad + (good - bad) / 2;
        if (safe(s, of_bits(middle))) good = middle;
        else bad = middle;
    }
    return of_bits(good);
}

void oct_safe_note(struct oct_safe *s, float before, float after) {
    const double bits = log2((double)after / (double)before);
    s->loss.channels++;
    s->loss.raised += after > before;
    s->loss.bits += bits;
    if (bits > s->loss.most) s->loss.most = bits;
}
