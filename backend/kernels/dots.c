/* dots.c - see dots.h. */
#include "dots.h"

enum { QUAD = 4, UNROLL = 1, FEW = 4 /* steps that are all written out */ };

int32_t oct_dots_ones(struct oct_kbuild *b, int lanes) {
    int16_t *one = OCT_NEW_N(b->arena, int16_t, 2 * lanes);
    for (int l = 0; l < 2 * lanes; l++) one[l] = 1;
    return oct_k_const(b, "ones", LP_I16, 2 * lanes, one);
}

/* ---- steps ------------------------------------------------------------------------------------------------------------------
 */

static struct lp_val codes_at(const struct oct_dots *s, struct lp_addr at) {
    struct lp_kernel *k = s->b->k;
    const struct lp_val quad = lp_load(k, NULL, lp_vector(LP_U8, QUAD), s->codes, at);
    return lp_op1(k, "x", LP_OP_repeat, lp_vector(LP_U8, QUAD * s->lanes), quad);
}
static int64_t vector_bytes(const struct oct_dots *s) { return QUAD * (int64_t)s->lanes; }
static int64_t quad_bytes(const struct oct_dots *s) { return s->vectors * vector_bytes(s); }
/* Weights of vector i; without a name they are read where they are used. */
static struct lp_val weights_at(const struct oct_dots *s, const char *name, struct lp_addr w, int i) {
    return lp_load(s->b->k, name, lp_vector(LP_I8, QUAD * s->lanes), s->weights, lp_offset(w, i * vector_bytes(s)));
}
static void add_to(struct lp_kernel *k, struct lp_val acc, struct lp_val v) {
    lp_op_to(k, acc, LP_OP_add, 2, (struct lp_val[]){acc, v}, 0);
}
static void pin_row(struct lp_kernel *k, struct lp_val *acc, int n) {
    for (int i = 0; i < n; i++) lp_op_to(k, acc[i], LP_OP_pin, 1, &acc[i], 0);
}

/* One quad of each pixel: by dot4 to acc, by maddubs to sum (fresh: its first). Weights of one pixel alone are used once. */
static void build_quad(const struct oct_dots *s, int pixels, bool fresh, struct lp_addr x, struct lp_addr w, oct_madd_row *sum) {
    struct lp_kernel *k = s->b->k;
    struct lp_val weights[OCT_MADD_VECTORS];
    for (int i = 0; i < s->vectors; i++) weights[i] = weights_at(s, pixels > 1 ? oct_sprintf(s->b->arena, "w%d", i) : NULL, w, i);
    for (int q = 0; q < pixels; q++) {
        const struct lp_val codes = codes_at(s, lp_offset(x, q * s->pixel));
        for (int i = 0; i < s->vectors; i++) {
            struct lp_val step[] = {codes, weights[i]};
            if (s->how == OCT_DOT4) lp_op_to(k, sum[q][i], LP_OP_dot4, 3, (struct lp_val[]){sum[q][i], codes, weights[i]}, 0);
            else if (fresh) lp_op_to(k, sum[q][i], LP_OP_maddubs, 2, step, 0);
            else add_to(k, sum[q][i], lp_op2(k, NULL, LP_OP_maddubs, codes, weights[i]));
        }
        pin_row(k, sum[q], s->vectors);
    }
}

static void widen_to(const struct oct_dots *s, struct lp_val acc, struct lp_val sum) {
    struct lp_kernel *k = s->b->k;
    const struct lp_val ones = lp_load(k, NULL, lp_vector(LP_I16, 2 * s->lanes), s->ones, lp_at(0));
    add_to(k, acc, lp_op2(k, NULL, LP_OP_madd16, sum, ones));
}

/* Sums of 16 bits for a tile. */
static void open_sums(const struct oct_dots *s, int pixels, oct_madd_row *sum) {
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < s->vectors; i++)
            sum[q][i] = lp_reg(s->b->k, lp_vector(LP_I16, 2 * s->lanes), oct_sprintf(s->b->arena, "s%dp%d", i, q));
}

typedef void step_fn(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *acc);

static void step_dot4(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    (void)quads;
    build_quad(s, pixels, false, x, w, acc);
}
static void step_short(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *sum) {
    (void)quads;
    build_quad(s, pixels, false, x, w, sum);
}
/* So many quads, whose products are added in 16 bits, to accumulators of 32 bits. */
static void step_at_once(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    oct_madd_row sum[OCT_MADD_PIXELS];
    open_sums(s, pixels, sum);
    for (int d = 0; d < quads; d++) build_quad(s, pixels, d == 0, lp_offset(x, d * QUAD), lp_offset(w, d * quad_bytes(s)), sum);
    for (int q = 0; q < pixels; q++) {
        for (int i = 0; i < s->vectors; i++) widen_to(s, acc[q][i], sum[q][i]);
        pin_row(k, acc[q], s->vectors);
    }
}
/* Products that are used at once. */
static void step_single(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    struct lp_val weights[OCT_MADD_VECTORS];
    (void)quads;
    for (int i = 0; i < s->vectors; i++) weights[i] = weights_at(s, pixels > 1 ? oct_sprintf(s->b->arena, "w%d", i) : NULL, w, i);
    for (int q = 0; q < pixels; q++) {
        const struct lp_val codes = codes_at(s, lp_offset(x, q * s->pixel));
        for (int i = 0; i < s->vectors; i++) widen_to(s, acc[q][i], lp_op2(k, NULL, LP_OP_maddubs, codes, weights[i]));
        pin_row(k, acc[q], s->vectors);
    }
}
/* A single pixel: its codes stay, and each sum is made and used before the next. */
static void step_row(const struct oct_dots *s, int pixels, int quads, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    struct lp_val codes[OCT_DOTS_AT_ONCE];
    (void)pixels;
    for (int d = 0; d < quads; d++) codes[d] = codes_at(s, lp_offset(x, d * QUAD));
    for (int i = 0; i < s->vectors; i++) {
        struct lp_val sum = {0};
        for (int d = 0; d < quads; d++) {
            const struct lp_val pair =
                lp_op2(k, NULL, LP_OP_maddubs, codes[d], weights_at(s, NULL, lp_offset(w, d * quad_bytes(s)), i));
            sum = d ? lp_op2(k, NULL, LP_OP_add, sum, pair) : pair;
        }
        widen_to(s, acc[0][i], sum);
        pin_row(k, &acc[0][i], 1);
    }
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------
 */

/* Steps of `size` quads, `written` of them written out in a turn of a loop, over `quads` quads; the last may be smaller. */
static void build_steps(const struct oct_dots *s, const char *name, int pixels, int64_t quads, int size, int written,
                        step_fn *step, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    if (quads <= FEW * size) written = quads < size ? 1 : (int)(quads / size);
    const int64_t turn = (int64_t)size * written, whole = quads / turn;
    struct lp_addr codes = x, weights = w;
    if (whole > 1) {
        const int32_t i = lp_loop(k, name, whole);
        codes = lp_plus(codes, i, turn * QUAD);
        weights = lp_plus(weights, i, turn * quad_bytes(s));
    }
    for (int64_t at = 0; whole && at < turn; at += size)
        step(s, pixels, size, lp_offset(codes, at * QUAD), lp_offset(weights, at * quad_bytes(s)), acc);
    if (whole > 1) lp_end(k);
    for (int64_t at = whole * turn; at < quads; at += size)
        step(s, pixels, quads - at < size ? (int)(quads - at) : size, lp_offset(x, at * QUAD), lp_offset(w, at * quad_bytes(s)),
             acc);
}

static struct lp_addr sum_at(const struct oct_dots *s, int pixel, int i) {
    return lp_at((pixel * (int64_t)s->vectors + i) * s->lanes);
}

/* Accumulators of 16 bits over `quads` quads, then widened. */
static void build_flushed(const struct oct_dots *s, int pixels, int64_t quads, struct lp_addr x, struct lp_addr w,
                          oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    oct_madd_row sum[OCT_MADD_PIXELS];
    open_sums(s, pixels, sum);
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < s->vectors; i++) lp_set(k, sum[q][i], lp_int(LP_I16, 0));
    build_steps(s, "i", pixels, quads, 1, UNROLL, step_short, x, w, sum);
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < s->vectors; i++) {
            if (s->sums >= 0) lp_load_to(k, acc[q][i], s->sums, sum_at(s, q, i));
            widen_to(s, acc[q][i], sum[q][i]);
            if (s->sums >= 0) lp_store(k, s->sums, sum_at(s, q, i), acc[q][i]);
        }
}

void oct_dots_build(const struct oct_dots *s, int pixels, struct lp_addr x, struct lp_addr w, oct_madd_row *acc) {
    struct lp_kernel *k = s->b->k;
    const bool kept = s->how > OCT_DOTS_AT_ONCE && s->sums >= 0;
    for (int q = 0; kept && q < pixels; q++)
        for (int i = 0; i < s->vectors; i++) lp_store(k, s->sums, sum_at(s, q, i), acc[q][i]);
    if (s->runs > 1) {
        const int32_t run = lp_loop(k, "ky", s->runs);
        x = lp_plus(x, run, s->step);
        w = lp_plus(w, run, s->quads * quad_bytes(s));
    }
    if (s->how <= OCT_DOTS_AT_ONCE) {
        const int size = s->how == OCT_DOT4 ? 1 : s->how;
        step_fn *step = s->how == OCT_DOT4 ? step_dot4 : s->how == 1 ? step_single : pixels == 1 ? step_row : step_at_once;
        build_steps(s, "i", pixels, s->quads, size, size == 1 ? UNROLL : 1, step, x, w, acc);
    } else {
        const int64_t whole = s->quads / s->how, rest = s->quads % s->how;
        struct lp_addr codes = x, weights = w;
        if (whole > 1) {
            const int32_t i = lp_loop(k, "part", whole);
            codes = lp_plus(codes, i, (int64_t)s->how * QUAD);
            weights = lp_plus(weights, i, s->how * quad_bytes(s));
        }
        if (whole) build_flushed(s, pixels, s->how, codes, weights, acc);
        if (whole > 1) lp_end(k);
        if (rest)
            build_flushed(s, pixels, rest, lp_offset(x, whole * s->how * QUAD), lp_offset(w, whole * s->how * quad_bytes(s)),
                          acc);
    }
    if (s->runs > 1) lp_end(k);
    for (int q = 0; kept && q < pixels; q++)
        for (int i = 0; i < s->vectors; i++) lp_load_to(k, acc[q][i], s->sums, sum_at(s, q, i));
}

/* ---- costs ------------------------------------------------------------------------------------------------------------------
 */

/* Beside the accumulators: weights, a quad of codes, a product, one more for gcc. Accumulators of 32 bits beside those of 16 of a
 * loop wait in memory; beside those of one step there is room for both. */
int oct_dots_most(const struct oct_target *t, int how, int64_t vectors) {
    const bool both = how > 1 && how <= OCT_DOTS_AT_ONCE;
    const int64_t beside = vectors + (how == OCT_DOT4 || both ? 2 : 3),
                  most = vectors == OCT_MADD_VECTORS ? 1 : (t->registers - beside) / (both ? 2 * vectors : vectors);
    return most < 1 ? 1 : most > OCT_MADD_PIXELS ? OCT_MADD_PIXELS : (int)most;
}

/* Operations, of which four a cycle are not reached, products and loads, two a cycle; vectors of 64 bytes have two places to go
 * for all of them. */
static double step_cost(const struct oct_target *t, int how, int64_t pixels, int64_t vectors, int64_t quads) {
    const int64_t tile = pixels * vectors, groups = how == OCT_DOT4 ? 0 : (quads + how - 1) / how;
    const double products = (double)(tile * (quads + groups)), loads = (double)((pixels + vectors) * quads);
    double operations = how == OCT_DOT4 ? products : products + (double)(tile * quads);
    if (how > OCT_DOTS_AT_ONCE) operations += (double)(tile * groups * 3); /* zeroed, sums of 32 bits read and written */
    double cost = operations;
    if (t->vector_bits <= 256 && 2 * products > cost) cost = 2 * products;
    if (2 * loads > cost) cost = 2 * loads;
    return cost + (double)quads / (double)UNROLL + 4;
}
double oct_dots_cost(const struct oct_target *t, int how, int64_t width, int64_t pixels, int64_t vectors, int64_t quads) {
    if (pixels > width) pixels = width;
    return (double)(width / pixels) * step_cost(t, how, pixels, vectors, quads) +
           (width % pixels ? step_cost(t, how, width % pixels, vectors, quads) : 0);
}
int oct_dots_pixels(const struct oct_target *t, int how, int64_t width, int64_t vectors) {
    enum { QUADS = 64 };
    int best = 1;
    for (int p = 2; p <= oct_dots_most(t, how, vectors); p++)
        if (oct_dots_cost(t, how, width, p, vectors, QUADS) < oct_dots_cost(t, how, width, best, vectors, QUADS)) best = p;
    return best;
}
