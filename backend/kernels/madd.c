/* madd.c - see madd.h. */
#include "madd.h"

enum { UNROLL = 2 };

/* One pair of codes of each pixel times the weights of all channels. */
static void build_pair(const struct oct_madd *s, int pixels, struct lp_addr x, struct lp_addr w, bool fresh, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    const int n = 2 * s->lanes;
    const enum lp_elem e = k->buf[s->weights].elem;
    struct lp_val weights[OCT_MADD_VECTORS];
    for (int i = 0; i < s->vectors; i++) {
        const char *name = pixels > 1 ? oct_sprintf(s->b->arena, "w%d", i) : NULL; /* used once: where it is used */
        weights[i] = lp_load(k, e == LP_I16 ? name : NULL, lp_vector(e, n), s->weights, lp_offset(w, (int64_t)i * n));
        if (e != LP_I16) weights[i] = lp_op1(k, name, LP_OP_cvt, lp_vector(LP_I16, n), weights[i]);
    }
    for (int q = 0; q < pixels; q++) {
        const struct lp_val pair = lp_load(k, NULL, lp_vector(LP_I16, 2), s->codes, lp_offset(x, q * s->pixel)),
                            codes = lp_op1(k, "x", LP_OP_repeat, lp_vector(LP_I16, n), pair);
        for (int i = 0; i < s->vectors; i++) {
            struct lp_val step[] = {codes, weights[i]};
            if (fresh) lp_op_to(k, acc[q][i], LP_OP_madd16, 2, step, 0);
            else
                lp_op_to(k, acc[q][i], LP_OP_add, 2,
                         (struct lp_val[]){acc[q][i], lp_op2(k, NULL, LP_OP_madd16, step[0], step[1])}, 0);
        }
        for (int i = 0; i < s->vectors; i++) lp_op_to(k, acc[q][i], LP_OP_pin, 1, &acc[q][i], 0);
    }
}

/* How many pairs to write out: a divisor of them all where one is near. */
static int64_t turns(int64_t pairs) {
    if (pairs <= 8) return pairs;
    for (int64_t n = UNROLL; n > 1; n--)
        if (pairs % n == 0) return n;
    return UNROLL;
}

void oct_madd_build(const struct oct_madd *s, int pixels, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    const int64_t pair = 2 * (int64_t)s->vectors * s->lanes, pairs = s->pairs - s->fresh, at_once = turns(pairs),
                  whole = pairs ? pairs / at_once : 0;
    if (s->fresh) {
        build_pair(s, pixels, x, w, true, acc);
        x = lp_offset(x, 2);
        w = lp_offset(w, pair);
    }
    if (s->runs > 1) {
        const int32_t run = lp_loop(k, "ky", s->runs);
        x = lp_plus(x, run, s->step);
        w = lp_plus(w, run, pairs * pair);
    }
    struct lp_addr codes = x, weights = w;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "i", whole);
        codes = lp_plus(codes, i, 2 * at_once);
        weights = lp_plus(weights, i, at_once * pair);
    }
    for (int64_t j = 0; j < at_once; j++)
        build_pair(s, pixels, lp_offset(codes, 2 * j), lp_offset(weights, j * pair), false, acc);
    if (whole > 1) lp_end(k);
    for (int64_t j = whole * at_once; j < pairs; j++)
        build_pair(s, pixels, lp_offset(x, 2 * j), lp_offset(w, j * pair), false, acc);
    if (s->runs > 1) lp_end(k);
}

/* ---- costs -------------------------------------------------------------------------------------------------------------------
 */

/* Beside the accumulators: the weights of a step, a pair of codes, a product. With one pixel a weight is used once. */
int oct_madd_most(const struct oct_target *t, int64_t vectors) {
    const int64_t registers = t->registers - 2;
    if (vectors == OCT_MADD_VECTORS) return 1;
    const int64_t most = (registers - vectors) / vectors;
    return most < 1 ? 1 : most > OCT_MADD_PIXELS ? OCT_MADD_PIXELS : (int)most;
}

bool oct_madd_crowds(const struct oct_target *t, int64_t pixels, int64_t vectors) {
    return pixels > 1 && (pixels + 2) * vectors + 2 > t->registers;
}

/* Quarter cycles of a step of one pair: four operations a cycle, two of them products; loads, of which two a cycle are not always
 * reached; the loop. */
static int64_t step_cost(int64_t pixels, int64_t vectors) {
    const int64_t operations = 2 * pixels * vectors + vectors, loads = 3 * (pixels + vectors);
    return (operations > loads ? operations : loads) + 1;
}
int64_t oct_madd_cost(int64_t width, int64_t pixels, int64_t vectors) {
    if (pixels > width) pixels = width;
    return width / pixels * step_cost(pixels, vectors) + (width % pixels ? step_cost(width % pixels, vectors) : 0);
}
int oct_madd_pixels(const struct oct_target *t, int64_t width, int64_t vectors) {
    int64_t best = 1;
    for (int64_t p = 2; p <= oct_madd_most(t, vectors); p++)
        if (oct_madd_cost(width, p, vectors) < oct_madd_cost(width, best, vectors)) best = p;
    return (int)best;
}
int oct_madd_vectors(const struct oct_target *t, int64_t width, int64_t all, int64_t *cost) {
    int64_t best = 1;
    *cost = INT64_MAX;
    for (int64_t n = 1; n <= OCT_MADD_VECTORS && n <= all; n++) {
        const int64_t rest = all % n;
        int64_t c = all / n * oct_madd_cost(width, oct_madd_pixels(t, width, n), n);
        if (rest) c += oct_madd_cost(width, oct_madd_pixels(t, width, rest), rest);
        if (c < *cost) *cost = c, best = n;
    }
    return (int)best;
}
