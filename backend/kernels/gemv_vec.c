/* gemv_vec.c - dense on one row of 8-bit codes, by vectors: every weight is used once, so the weights stream through at one load
 * and as few steps as possible for 4 of each output.
 *
 * Codes become unsigned bytes, 4 of them (a quad) go to every lane, times 4 weights of an output for each lane. Without dot4 a
 * step is maddubs, whose 16-bit results are added over a run of quads before they widen:
 *   bytes    the codes as they are, where the weights prove that no such sum leaves 16 bits (ir/sat16.h)
 *   halves   otherwise: code = 16 high + low, and a sum for either; with bytes below 16 a run of 8 quads holds any weights
 * Weights are w[block][quad][output of the block][4]. */
#include <inttypes.h>
#include <string.h>

#include "../../ir/sat16.h"
#include "cost.h"
#include "layer.h"
#include "map.h"
#include "rq_vec.h"
#include "vec.h"

enum { QUAD = OCT_SAT16_QUAD, MOST_VECTORS = 8, UNROLL = 4 };
enum { DOT4, BYTES, HALVES }; /* of a way */

struct gemv {
    struct layer l;
    struct oct_rqv rq;
    const int8_t *rows; /* [output][term] */
    int recipe, parts;  /* HALVES: 2 bytes for a code */
    int lanes, vectors; /* outputs in a vector; vectors of a block */
    int64_t quads, run; /* quads in all; of a run */
    int32_t lowest;
    int32_t codes[2], w, bias; /* buffers; codes of either part */
    int32_t staged;            /* results, where they are no neighbours in the end; -1: not needed */
    int64_t offset;            /* of the first result */
};
static const char *const recipes[] = {"dot4", "bytes", "halves"};

/* ---- fitting, ways ------------------------------------------------------------------------------------------------------------
 */

bool oct_fits_gemv_vec(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at;
    if (b->target->vector_bits < 256 || !oct_layer_fits(b) || oct_dense_vec_refuses(b)) return false;
    for (int a = 0; a < in->rank - 1; a++)
        if (in->dim[a] != 1) return false;
    return true;
}

/* Quads of a run: all, half of them, a third and so on until the sums stay within 16 bits for every output; 0: not even those of
 * single quads. */
static int64_t longest_run(const int8_t *w, int64_t outputs, int64_t terms, int32_t range) {
    const int64_t quads = (terms + QUAD - 1) / QUAD;
    for (int64_t runs = 1, run; runs <= quads; runs = (quads + run - 2) / (run - 1)) {
        run = (quads + runs - 1) / runs;
        int64_t o = 0;
        while (o < outputs && oct_sat16_exact(oct_sat16_reach(w + o * terms, 1, terms, range, run))) o++;
        if (o == outputs) return run;
        if (run == 1) break;
    }
    return 0;
}

/* Most vectors of a block: its sums of 16 and of 32 bits stay in registers beside codes, weights and a product. */
static int most_vectors(const struct oct_target *t, int parts) {
    const int most = (t->registers - 4) / (parts + 1);
    return most < MOST_VECTORS ? most : MOST_VECTORS;
}

/* Quarter cycles of a quad: half of the operations are products, two a cycle, as are loads. */
static int64_t quad_cost(int recipe, int64_t vectors) {
    const int64_t parts = recipe == HALVES ? 2 : 1, products = 2 * parts * vectors, loads = 2 * (vectors + parts);
    return (products > loads ? products : loads) + (recipe == BYTES ? vectors : 0) + 1;
}

static void offer(const struct oct_kbuild *b, int recipe, int64_t quads, struct oct_ways *out) {
    const struct oct_target *t = b->target;
    const int lanes = t->vector_bits / 32;
    const int64_t all = (b->in[1].node->type.dim[0] + lanes - 1) / lanes;
    for (int n = 1; n <= most_vectors(t, recipe == HALVES ? 2 : 1) && n <= all; n++) {
        const int64_t rest = all % n, turns = all / n * quad_cost(recipe, n) + (rest ? quad_cost(recipe, rest) : 0);
        struct oct_way *w = oct_k_offer(out, "%s %d", recipes[recipe], n);
        w->recipe = recipe;
        w->vectors = n;
        w->cycles = oct_cost_operations(t, (double)(quads * turns)) + oct_cost_stream(t, quads * QUAD * all * lanes, 1) +
                    oct_cost_finish(t, all);
    }
}
void oct_ways_gemv_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct oct_type *w = &b->in[1].node->type;
    const int64_t quads = (w->dim[1] + QUAD - 1) / QUAD;
    if (b->target->isa == LP_ISA_VNNI) {
        offer(b, DOT4, quads, out);
        return;
    }
    int32_t lo, hi;
    oct_layer_codes(b, &lo, &hi);
    if (longest_run(oct_layer_rows(b, b->arena), w->dim[0], w->dim[1], hi - lo)) offer(b, BYTES, quads, out);
    offer(b, HALVES, quads, out);
}

/* ---- codes to unsigned bytes --------------------------------------------------------------------------------------------------
 */

static void split(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct gemv *g = user;
    struct lp_kernel *k = b->k;
    const int32_t x = g->l.x;
    struct lp_val v = lp_load(k, "x", lp_vector(k->buf[x].elem, lanes), x, at[0]);
    if (g->lowest) v = lp_op2(k, NULL, LP_OP_sub, v, lp_int(k->buf[x].elem, g->lowest));
    if (k->buf[x].elem != LP_U8) v = lp_op1(k, "u", LP_OP_cvt, lp_scalar(LP_U8), v);
    lp_store(k, g->codes[0], at[1], g->parts > 1 ? lp_op2(k, NULL, LP_OP_and, v, lp_int(LP_U8, 15)) : v);
    if (g->parts > 1) lp_store(k, g->codes[1], at[1], lp_shift(k, NULL, LP_OP_shr, v, 4));
}

static void build_codes(struct gemv *g) {
    struct oct_kbuild *b = g->l.b;
    const struct oct_layout *in = &b->in[0].at;
    const int64_t stride[2] = {in->stride[in->rank - 1], 1};
    const int lanes = g->l.terms == 1 || stride[0] == 1 ? oct_vec_lanes(b->target, LP_U8) : 1;
    oct_k_chunks(b, "i", g->l.terms, lanes, OCT_FEWEST, 2, stride, (struct lp_addr[]){lp_at(in->offset), lp_at(0)}, split, g);
}

/* ---- products -----------------------------------------------------------------------------------------------------------------
 */

typedef struct lp_val sums[2][MOST_VECTORS];

static void add_to(struct lp_kernel *k, struct lp_val acc, struct lp_val v) {
    lp_op_to(k, acc, LP_OP_add, 2, (struct lp_val[]){acc, v}, 0);
}

/* One quad: acc, of 16 bits by part (dot4: of 32). */
static void build_quad(const struct gemv *g, int vectors, struct lp_addr x, struct lp_addr w, sums acc) {
    struct lp_kernel *k = g->l.b->k;
    const int n = QUAD * g->lanes;
    struct lp_val codes[2];
    for (int p = 0; p < g->parts; p++)
        codes[p] = lp_op1(k, p ? "high" : "x", LP_OP_repeat, lp_vector(LP_U8, n),
                          lp_load(k, NULL, lp_vector(LP_U8, QUAD), g->codes[p], x));
    for (int i = 0; i < vectors; i++) {
        const struct lp_val by = lp_load(k, g->parts > 1 ? "w" : NULL, lp_vector(LP_I8, n), g->w, lp_offset(w, (int64_t)i * n));
        for (int p = 0; p < g->parts; p++) {
            if (g->recipe == DOT4) lp_op_to(k, acc[p][i], LP_OP_dot4, 3, (struct lp_val[]){acc[p][i], codes[p], by}, 0);
            else add_to(k, acc[p][i], lp_op2(k, NULL, LP_OP_maddubs, codes[p], by));
        }
        /* behind both: gcc leaves no load that it folds into a broadcast to what stands behind a pin */
        for (int p = 0; p < g->parts; p++) lp_op_to(k, acc[p][i], LP_OP_pin, 1, &acc[p][i], 0);
    }
}

static void build_quads(const struct gemv *g, int vectors, int64_t quads, struct lp_addr x, struct lp_addr w, sums acc) {
    struct lp_kernel *k = g->l.b->k;
    const int64_t turn = quads <= 2 * UNROLL ? quads : UNROLL, whole = quads / turn, bytes = (int64_t)QUAD * g->lanes * vectors;
    struct lp_addr codes = x, weights = w;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "i", whole);
        codes = lp_plus(codes, i, turn * QUAD);
        weights = lp_plus(weights, i, turn * bytes);
    }
    for (int64_t j = 0; j < turn; j++) build_quad(g, vectors, lp_offset(codes, j * QUAD), lp_offset(weights, j * bytes), acc);
    if (whole > 1) lp_end(k);
    for (int64_t j = whole * turn; j < quads; j++) build_quad(g, vectors, lp_offset(x, j * QUAD), lp_offset(w, j * bytes), acc);
}

/* A run: 16-bit sums from zero, then widened, two a lane, and added to acc. */
static void build_run(const struct gemv *g, int vectors, int64_t quads, struct lp_addr x, struct lp_addr w, struct lp_val *acc) {
    struct lp_kernel *k = g->l.b->k;
    sums small;
    for (int p = 0; p < g->parts; p++)
        for (int i = 0; i < vectors; i++) {
            small[p][i] = lp_reg(k, lp_vector(LP_I16, 2 * g->lanes), oct_sprintf(g->l.b->arena, "%s%d", p ? "h" : "s", i));
            lp_set(k, small[p][i], lp_int(LP_I16, 0));
        }
    build_quads(g, vectors, quads, x, w, small);
    for (int p = 0; p < g->parts; p++)
        for (int i = 0; i < vectors; i++)
            add_to(k, acc[i], lp_op2(k, NULL, LP_OP_madd16, small[p][i], lp_int(LP_I16, p ? 16 : 1)));
}

static void build_products(const struct gemv *g, int vectors, struct lp_addr w, struct lp_val *acc) {
    struct lp_kernel *k = g->l.b->k;
    const int64_t whole = g->quads / g->run, rest = g->quads % g->run, bytes = (int64_t)QUAD * g->lanes * vectors;
    struct lp_addr x = lp_at(0), at = w;
    if (g->recipe == DOT4) {
        sums all;
        for (int i = 0; i < vectors; i++) all[0][i] = acc[i];
        build_quads(g, vectors, g->quads, x, w, all);
        return;
    }
    if (whole > 1) {
        const int32_t i = lp_loop(k, "run", whole);
        x = lp_plus(x, i, g->run * QUAD);
        at = lp_plus(at, i, g->run * bytes);
    }
    build_run(g, vectors, g->run, x, at, acc);
    if (whole > 1) lp_end(k);
    if (rest) build_run(g, vectors, rest, lp_at(whole * g->run * QUAD), lp_offset(w, whole * g->run * bytes), acc);
}

/* ---- blocks of outputs --------------------------------------------------------------------------------------------------------
 */

/* `vectors` of outputs, `count` outputs in all; channel: the first of them. */
static void build_block(const struct gemv *g, int vectors, int64_t count, struct lp_addr channel, struct lp_addr w) {
    struct oct_kbuild *b = g->l.b;
    struct lp_kernel *k = b->k;
    struct lp_val acc[MOST_VECTORS];
    struct oct_rqv_piece piece[MOST_VECTORS];
    for (int i = 0; i < vectors; i++) {
        acc[i] = lp_reg(k, lp_vector(LP_I32, g->lanes), oct_sprintf(b->arena, "c%d", i));
        lp_load_to(k, acc[i], g->bias, lp_offset(channel, (int64_t)i * g->lanes));
    }
    build_products(g, vectors, w, acc);
    for (int i = 0; i < vectors; i++) {
        const int64_t first = (int64_t)i * g->lanes;
        const struct oct_rqv_loaded words = oct_rqv_words(&g->rq, lp_offset(channel, first));
        piece[i] = (struct oct_rqv_piece){oct_rqv_codes(&g->rq, &words, acc[i]), lp_offset(channel, g->offset + first),
                                          (int)(count - first > g->lanes ? g->lanes : count - first)};
    }
    oct_rqv_store(&g->rq, g->staged >= 0 ? g->staged : g->l.y, vectors, piece);
}

static void open_all(struct gemv *g) {
    struct layer *l = &g->l;
    struct oct_kbuild *b = l->b;
    static const char *const names[] = {"low", "high"};
    const int64_t all = (l->outputs + g->lanes - 1) / g->lanes, padded = (all + 1) * g->lanes;
    l->x = oct_k_in(b, 0);
    l->y = oct_k_out(b);
    for (int p = 0; p < g->parts; p++) g->codes[p] = oct_k_scratch(b, g->parts > 1 ? names[p] : "codes", LP_U8, g->quads * QUAD);
    g->staged = -1;
    g->offset = b->out.at.offset;
    if (l->outputs > 1 && b->out.at.stride[b->out.at.rank - 1] != 1) {
        g->staged = oct_k_scratch(b, "results", oct_k_elem(b->node->type.dtype), padded);
        g->offset = 0;
    }
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, padded);
    for (int64_t o = 0; o < l->outputs; o++) {
        uint32_t v = (uint32_t)(uint64_t)l->bias[o];
        for (int64_t i = 0; i < l->terms; i++) v += (uint32_t)(g->lowest * g->rows[o * l->terms + i]);
        bias[o] = (int32_t)v;
    }
    /* Blocks of all vectors, then one of those left over. */
    const int64_t block = (int64_t)g->vectors * g->lanes, blocks = l->outputs / block, rest = all - blocks * g->vectors;
    int8_t *w = OCT_NEW_N(b->arena, int8_t, g->quads * QUAD * all * g->lanes), *to = w;
    for (int64_t first = 0; first < l->outputs; first += block) {
        const struct oct_pack pack = {
            .rank = 2,
            .dim = {l->outputs - first, l->terms},
            .ndims = 3,
            .d = {{g->quads, 1, QUAD}, {first < blocks * block ? block : rest * g->lanes, 0, 1}, {QUAD, 1, 1}}};
        memcpy(to, oct_pack_data(b->arena, &pack, LP_I8, g->rows + first * l->terms), (size_t)oct_pack_elements(&pack));
        to += oct_pack_elements(&pack);
    }
    g->w = oct_k_const(b, "w", LP_I8, to - w, w);
    const struct oct_rqv_sums start = {.lo = l->lo, .hi = l->hi, .padded = padded, .bias = bias};
    oct_rqv_begin(&g->rq, b, &l->rq, &start);
    g->bias = oct_k_const(b, "bias", LP_I32, padded, bias);
}

static void explain(struct gemv *g, int32_t range) {
    struct oct_kbuild *b = g->l.b;
    b->recipe = oct_sprintf(b->arena, "%s, %d outputs at once", recipes[g->recipe], g->vectors * g->lanes);
    if (g->recipe == DOT4) return;
    int64_t reach = 0;
    for (int64_t o = 0; o < g->l.outputs; o++) {
        const struct oct_sat16 r = oct_sat16_reach(g->rows + o * g->l.terms, 1, g->l.terms, range, g->run);
        if (r.most > reach) reach = r.most;
        if (-r.least > reach) reach = -r.least;
    }
    oct_text_addf(&b->proof, "|sum of %" PRId64 " products| <= %" PRId64 ", so 16 bits hold it. ", 2 * g->run, reach);
}

bool oct_build_gemv_vec(struct oct_kbuild *b) {
    struct gemv *g = OCT_NEW(b->arena, struct gemv);
    if (!oct_layer_plan(&g->l, b)) return false;
    const struct layer *l = &g->l;
    int32_t highest;
    oct_layer_codes(b, &g->lowest, &highest);
    g->rows = oct_layer_rows(b, b->arena);
    g->recipe = b->way.recipe;
    g->parts = g->recipe == HALVES ? 2 : 1;
    g->lanes = b->target->vector_bits / 32;
    g->vectors = b->way.vectors;
    g->quads = (l->terms + QUAD - 1) / QUAD;
    const int32_t range = g->recipe == HALVES ? 15 : highest - g->lowest;
    g->run = g->recipe == DOT4 ? g->quads : longest_run(g->rows, l->outputs, l->terms, range);
    open_all(g);
    explain(g, range);
    struct lp_kernel *k = b->k;
    const int64_t block = (int64_t)g->vectors * g->lanes, blocks = l->outputs / block, rest = l->outputs % block,
                  bytes = g->quads * QUAD * block;
    /* Threads share blocks; each makes its own bytes. */
    const int64_t pieces = b->threads > 1 && g->staged < 0 ? blocks + (rest > 0) : 1;
    lp_range_of(k, "whole", 1, pieces);
    build_codes(g);
    for (int whole = 1; whole >= 0; whole--) {
        const int64_t first = whole ? 0 : blocks, trip = whole ? blocks : rest > 0, count = whole ? block : rest;
        struct lp_addr channel = lp_at(first * block), w = lp_at(first * bytes);
        const bool loop = trip > 1 || (trip && pieces > 1);
        if (loop) {
            const int32_t i = lp_piece(k, "block", first, trip);
            channel = lp_plus(channel, i, block);
            w = lp_plus(w, i, bytes);
        }
        if (trip) build_block(g, (int)((count + g->lanes - 1) / g->lanes), count, channel, w);
        if (loop) lp_end(k);
    }
    if (g->staged >= 0) {
        const int32_t i = lp_loop(k, "i", l->outputs);
        const struct lp_addr to = lp_plus(lp_at(b->out.at.offset), i, b->out.at.stride[b->out.at.rank - 1]);
        lp_store(k, l->y, to, lp_load(k, NULL, lp_scalar(k->buf[l->y].elem), g->staged, lp_plus(lp_at(0), i, 1)));
        lp_end(k);
    }
    lp_end(k);
    return true;
}
