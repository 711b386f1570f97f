/* tile_f32.c - see tile_f32.h. */
#include "tile_f32.h"

/* ---- sums -------------------------------------------------------------------------------------------------------------------
 */

struct tile {
    struct oct_kbuild *b;
    const struct oct_tf_terms *s;
    bool fused;
    int lanes, vectors, pixels;
    oct_tf_row *acc;
};

static struct lp_val weights_at(const struct tile *t, const char *name, struct lp_addr w, int j) {
    return lp_load(t->b->k, name, lp_vector(LP_F32, t->lanes), t->s->w, lp_offset(w, (int64_t)j * t->lanes));
}
static struct lp_val input_at(const struct tile *t, struct lp_addr x, int p) {
    const struct lp_val v = lp_load(t->b->k, NULL, lp_scalar(LP_F32), t->s->x, lp_offset(x, p * t->s->pixel));
    return lp_op1(t->b->k, "v", LP_OP_splat, lp_vector(LP_F32, t->lanes), v);
}
static void add_product(const struct tile *t, struct lp_val *acc, struct lp_val x, struct lp_val w) {
    struct lp_kernel *k = t->b->k;
    if (t->fused) lp_op_to(k, *acc, LP_OP_fma, 3, (struct lp_val[]){x, w, *acc}, 0);
    else lp_op_to(k, *acc, LP_OP_fadd, 2, (struct lp_val[]){*acc, lp_op2(k, NULL, LP_OP_fmul, x, w)}, 0);
}
static void pin(const struct tile *t, struct lp_val *acc) { lp_op_to(t->b->k, *acc, LP_OP_pin, 1, acc, 0); }

/* One term of all pixels and channels. What there is less of, weights or inputs, waits in registers; of the other there is one at
 * a time. */
static void term(struct oct_kbuild *b, void *user, struct lp_addr x, struct lp_addr w) {
    const struct tile *t = user;
    struct lp_val kept[OCT_TF_VECTORS];
    if (t->vectors <= t->pixels) {
        for (int j = 0; j < t->vectors; j++) kept[j] = weights_at(t, oct_sprintf(b->arena, "w%d", j), w, j);
        for (int p = 0; p < t->pixels; p++) {
            const struct lp_val v = input_at(t, x, p);
            for (int j = 0; j < t->vectors; j++) add_product(t, &t->acc[p][j], v, kept[j]);
            for (int j = 0; j < t->vectors; j++) pin(t, &t->acc[p][j]);
        }
        return;
    }
    for (int p = 0; p < t->pixels; p++) kept[p] = input_at(t, x, p);
    for (int j = 0; j < t->vectors; j++) {
        const struct lp_val weights = weights_at(t, t->pixels > 1 ? "w" : NULL, w, j);
        for (int p = 0; p < t->pixels; p++) add_product(t, &t->acc[p][j], kept[p], weights);
        for (int p = 0; p < t->pixels; p++) pin(t, &t->acc[p][j]);
    }
}

/* How many terms to write out: all of a few, else a divisor of them where there is one. */
static int64_t turns(int64_t terms) {
    enum { ALL = 9, SOME = 4 };
    if (terms <= ALL) return terms;
    for (int64_t n = SOME; n > 1; n--)
        if (terms % n == 0) return n;
    return 2;
}

void oct_tf_sum(struct oct_kbuild *b, const struct oct_tf_terms *s, bool fused, int lanes, int vectors, int pixels,
                struct lp_addr x, struct lp_addr w, oct_tf_row *acc) {
    struct tile t = {b, s, fused, lanes, vectors, pixels, acc};
    const int64_t size = (int64_t)vectors * lanes, at_once = turns(s->length), whole = s->length / at_once;
    int loops = 0;
    if (s->runs > 1) {
        const int32_t run = lp_loop(b->k, "ky", s->runs);
        x = lp_plus(x, run, s->step);
        w = lp_plus(w, run, s->length * size);
        loops++;
    }
    struct lp_addr here = x, weights = w;
    if (whole > 1) {
        const int32_t i = lp_loop(b->k, "i", whole);
        here = lp_plus(here, i, at_once);
        weights = lp_plus(weights, i, at_once * size);
        for (int n = 0; n < s->naheads; n++)
            lp_prefetch(b->k, s->ahead[n].buf, lp_plus(s->ahead[n].at, i, s->ahead[n].floats / whole));
    }
    for (int64_t i = 0; i < at_once; i++) term(b, &t, lp_offset(here, i), lp_offset(weights, i * size));
    if (whole > 1) lp_end(b->k);
    for (int64_t i = whole * at_once; i < s->length; i++) term(b, &t, lp_offset(x, i), lp_offset(w, i * size));
    oct_k_close(b, loops);
}

/* ---- costs ------------------------------------------------------------------------------------------------------------------
 */

/* Beside the accumulators: the fewer of weights and inputs, and one of the others. */
static int64_t most_pixels(const struct oct_target *t, int64_t vectors) {
    int64_t p = OCT_TF_PIXELS;
    while (p > 1 && p * vectors + (p < vectors ? p : vectors) + 1 > t->registers) p--;
    return p;
}

/* Half cycles of a term: two products a cycle, two loads a cycle, of which those of weights may be from the second cache and
 * count twice; a product's result after four cycles; the loop. */
static int64_t term_cost(int64_t pixels, int64_t vectors) {
    enum { LATENCY = 8 };
    const int64_t products = pixels * vectors, loads = pixels + 2 * vectors, most = products > loads ? products : loads;
    return 4 * (most > LATENCY ? most : LATENCY) + 1;
}
static int64_t cut_cost(const struct oct_tf_cut *c, int64_t vectors) {
    return c->larger * term_cost(c->pixels + 1, vectors) + (c->tiles - c->larger) * term_cost(c->pixels, vectors);
}

struct oct_tf_cut oct_tf_cut(const struct oct_target *t, int64_t width, int64_t vectors) {
    const int64_t most = most_pixels(t, vectors), tiles = (width + most - 1) / most;
    return (struct oct_tf_cut){tiles, width % tiles, (int)(width / tiles)};
}

int oct_tf_vectors(const struct oct_target *t, int64_t width, int64_t all, bool whole, int64_t *cost) {
    int64_t best = 1;
    *cost = INT64_MAX;
    for (int64_t n = 1; n <= OCT_TF_VECTORS && n <= all && n + 2 <= t->registers; n++) {
        const int64_t rest = all % n;
        struct oct_tf_cut cut = oct_tf_cut(t, width, n);
        if (rest && whole) continue;
        int64_t c = all / n * cut_cost(&cut, n);
        cut = oct_tf_cut(t, width, rest ? rest : 1);
        if (rest) c += cut_cost(&cut, rest);
        if (c < *cost) *cost = c, best = n;
    }
    return (int)best;
}
