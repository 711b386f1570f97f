/* winograd.c - 3x3 convolution of stride 1 on 8-bit codes as Winograd's F(4x4,3x3) or F(2x2,3x3) in integers: a quarter or less
 * than half of the multiplications, the same bits.
 *
 * A tile of 4x4 results sees 6x6 codes. With the points 0, 1, -1, 2, -2 and infinity, and the rows of the kernel's transform
 * scaled to integers, the sum over channels of the products of transforms gives 576 Y after the transform back, where Y = sum w
 * x + bias. All of it is exact modulo 2^32: transformed weights and codes fit 16 bits, pair steps do not overflow, sums may wrap.
 * 576 Y / 9 modulo 2^32 is 64 Y, whose upper 26 bits are Y where |Y| < 2^25: that is proved from the weights and the codes that
 * can occur. F(2x2,3x3) (4x4 codes, points 0, 1, -1 and infinity) gives 4 Y, so 30 bits are enough there; where that is not
 * proved either, the direct kernel takes the layer.
 *
 * A strip of rows of tiles at a time: codes to points, [point][tile][channel]; then by groups of outputs: 36 (or 16) products of
 * matrices (madd.h), [point][tile][output]; the transform back and the requantization. Weights are transformed beforehand, or for
 * each group just before they are used: they are 8 (7) times as many bytes then, which large layers would have to fetch from
 * memory. The last row and column of tiles overlap those before where a tile does not divide the result: tables say where tiles
 * start. */
#include "winograd.h"

#include <stdlib.h>

#include "cost.h"
#include "madd.h"
#include "vec.h"

enum {
    SCRATCH_BYTES = 1 << 20,
    GROUP_BYTES = 160 * 1024,
    SLICE_BYTES = 20 * 1024,
    SUMS_BYTES = 12 * 1024,
    LEAST_PAIRS = 4,
    CACHE_BYTES = 400 * 1024
};

static const struct oct_wino_kind kinds[] = {
    {"f4",
     4,
     6,
     9,
     6,
     0x38e38e39,
     {{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 12}}, /* the last one's other 2: winograd_steps.c */
     {{4, 0, -5, 0, 1, 0},
      {0, -4, -4, 1, 1, 0},
      {0, 4, -4, -1, 1, 0},
      {0, -2, -1, 2, 1, 0},
      {0, 2, -1, -2, 1, 0},
      {0, 4, 0, -5, 0, 1}}},
    {"f2",
     2,
     4,
     1,
     2,
     1,
     {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- ways -------------------------------------------------------------------------------------------------------------------
 */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Quarter cycles, as measured: for a vector of codes of a column of the image, and of a row of a tile; for the way back of a
 * vector of sums; for the transform of a vector of weights. */
struct costs {
    int64_t column, row, back, weights;
};
static const struct costs costs[KINDS] = {{44, 40, 440, 200}, {28, 28, 120, 90}};

/* Elements to the next point: an odd number of cache lines, as the points of a tile would share few sets of the cache. */
static int64_t spread(int64_t elements, int64_t size) {
    enum { LINE = 64 };
    const int64_t lines = (elements * size + LINE - 1) / LINE;
    return (lines | 1) * LINE / size;
}

/* Do strips write rows of their own? Others must be one thread's. */
static bool are_apart(const struct oct_wino_cut *c) { return c->down % c->rows == 0 && c->oh % c->kind->out == 0; }

/* Blocks of a group: as many as divide them all, leave its sums (and weights, if they are made) in the cache, and give threads,
 * who share the groups of strips, equal shares. */
static int64_t blocks_of_group(const struct oct_kbuild *b, const struct oct_wino_cut *c, int64_t blocks, int64_t bytes) {
    const double little = 0.03;
    const int64_t strips = are_apart(c) ? c->strips : 1;
    int64_t n = blocks;
    while (n > 1 && (blocks % n || n * bytes > GROUP_BYTES || oct_k_idle(b, strips * (blocks / n)) > little)) n--;
    return n;
}
/* How often the codes of a strip are transformed, by all threads that do groups of it. */
static int64_t transforms_of(const struct oct_kbuild *b, const struct oct_wino_cut *c) {
    const int64_t threads = b->threads > 1 ? b->threads : 1;
    if (!are_apart(c)) return threads * c->strips;
    return c->strips % threads == 0 ? c->strips : least(threads * c->strips, c->strips + threads);
}

/* Slices of pairs, if sums are so few that they stay in the near cache with the weights of a slice; `bytes`: of a pair. */
static int64_t slices_of(int64_t pairs, int64_t bytes, int64_t sums) {
    int64_t n = pairs;
    while (n > 1 && (pairs % n || n * bytes > SLICE_BYTES)) n--;
    return sums > SUMS_BYTES || n < LEAST_PAIRS ? 1 : pairs / n;
}

/* Quarter cycles for weights that are read `times` times: those of a layer that the second cache holds cost nothing beside it. */
static int64_t weights_cost(int64_t bytes, int64_t times) { return bytes > CACHE_BYTES ? oct_cost_weights(bytes, times) : 0; }

static struct oct_wino_cut cut_of(const struct oct_kbuild *b, int kind, bool fresh, int vectors, int64_t rows) {
    const struct oct_layout *out = &b->out.at;
    const struct oct_wino_kind *w = &kinds[kind];
    const int lanes = b->target->vector_bits / 32, n = 2 * lanes;
    struct oct_wino_cut c = {.kind = w, .fresh = fresh, .oh = out->dim[2], .ow = out->dim[3], .c = b->in[0].at.dim[1]};
    const int64_t points = w->side * w->side, pairs = (c.c + 1) / 2, all = (out->dim[1] + lanes - 1) / lanes;
    c.down = (c.oh + w->out - 1) / w->out;
    c.across = (c.ow + w->out - 1) / w->out;
    c.rows = rows;
    c.strips = (c.down + rows - 1) / rows;
    c.tiles = rows * c.across;
    c.chunk = c.c % (2 * n) == 0 ? 2 * n : c.c % n == 0 ? n : c.c;
    c.half = spread((c.ow + 2) * c.chunk + n, 2);
    c.points = spread(c.tiles * c.c + (c.c < n ? n - c.c : 0), 2); /* a tile of few channels runs into the next */
    int64_t product = 0;
    for (int64_t left = all; left > 0; left -= vectors) {
        const int64_t v = least(left, vectors);
        product += oct_madd_cost(c.tiles, oct_madd_pixels(b->target, c.tiles, v), v);
    }
    const struct costs *cost = &costs[kind];
    const int64_t columns = (rows * (c.ow + 2) * c.c + n - 1) / n, codes = points * c.points * 2;
    const int64_t u = points * 2 * c.c * all * lanes;
    const int64_t transform = columns * cost->column + c.tiles * w->side * ((c.c + n - 1) / n) * cost->row;
    const int64_t each = points * pairs * product + c.tiles * all * cost->back + (fresh ? pairs * all * cost->weights : 0);
    c.cost = c.strips * each + transforms_of(b, &c) * transform + weights_cost(fresh ? 9 * c.c * all * lanes : u, c.strips) +
             oct_cost_scratch(codes, c.strips);
    return c;
}

/* The best number of rows of tiles in a strip; none: cut.rows == 0. */
static struct oct_wino_cut best_cut(const struct oct_kbuild *b, int kind, bool fresh, int vectors) {
    const int64_t out = kinds[kind].out, down = (b->out.at.dim[2] + out - 1) / out;
    struct oct_wino_cut best = {.cost = INT64_MAX};
    for (int64_t rows = 1; rows <= down; rows++) {
        const struct oct_wino_cut c = cut_of(b, kind, fresh, vectors, rows);
        if (c.points * 2 * kinds[kind].side * kinds[kind].side <= SCRATCH_BYTES && c.cost < best.cost) best = c;
    }
    return best;
}

static bool proved(const struct oct_kbuild *b, const struct oct_wino_kind *kind) {
    return oct_layer_reach(b) < (int64_t)1 << (31 - kind->shift);
}

/* 3x3 of stride 1 with channels side by side, results too, and a tile of them or more. */
bool oct_fits_winograd(const struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    if (b->target->vector_bits < 256 || !oct_layer_fits(b)) return false;
    if (w->dim[2] != 3 || w->dim[3] != 3 || at->stride[0] != 1 || at->stride[1] != 1 || at->dilation[0] != 1 ||
        at->dilation[1] != 1)
        return false;
    if (b->in[0].at.stride[1] != 1 || b->out.at.stride[1] != 1) return false;
    if (b->in[0].at.dim[1] < b->target->vector_bits / 32 || oct_conv2d_vec_refuses(b)) return false;
    const struct oct_wino_kind *last = &kinds[KINDS - 1];
    return b->out.at.dim[2] >= last->out && b->out.at.dim[3] >= last->out && proved(b, last);
}

/* For every kind, weights as they are or transformed, and number of vectors that outputs take: the rows that cost least. */
void oct_ways_winograd(const struct oct_kbuild *b, struct oct_ways *out) {
    const int lanes = b->target->vector_bits / 32;
    const int64_t all = (b->out.at.dim[1] + lanes - 1) / lanes;
    for (int kind = 0; kind < KINDS; kind++) {
        if (b->out.at.dim[2] < kinds[kind].out || b->out.at.dim[3] < kinds[kind].out || !proved(b, &kinds[kind])) continue;
        for (int fresh = 0; fresh < 2; fresh++)
            for (int n = 1; n <= 4 && n <= all; n++) {
                const struct oct_wino_cut c = best_cut(b, kind, fresh, n);
                if (!c.rows) continue;
                struct oct_way *w = oct_k_offer(out, "%s%s %dx%d", kinds[kind].name, fresh ? " fresh" : "",
                                                oct_madd_pixels(b->target, c.tiles, n), n);
                w->recipe = 2 * kind + fresh;
                w->pixels = oct_madd_pixels(b->target, c.tiles, n);
                w->vectors = n;
                *w->steps = 'a';
                w->gain = 9.0 * kinds[kind].out * kinds[kind].out / (kinds[kind].side * kinds[kind].side);
                w->cycles = oct_cost_operations(b->target, (double)(b->out.at.dim[0] * c.cost));
            }
    }
}

/* ---- constants --------------------------------------------------------------------------------------------------------------
 */

/* G w G^T, [point][output][channel]. */
static const int16_t *transformed(const struct oct_wino *v) {
    const struct oct_wino_kind *kind = v->cut.kind;
    const int points = kind->side * kind->side;
    const int64_t n = v->l.outputs, c = v->cut.c;
    int16_t *u = OCT_NEW_N(v->b->arena, int16_t, points * n * c);
    for (int64_t i = 0; i < n * c; i++) {
        const int16_t *w = v->l.w + i * 9;
        for (int p = 0; p < points; p++) {
            int sum = 0;
            for (int t = 0; t < 9; t++) sum += kind->kernel[p / kind->side][t / 3] * kind->kernel[p % kind->side][t % 3] * w[t];
            OCT_CHECK(v->b->cx, sum >= INT16_MIN && sum <= INT16_MAX);
            u[p * n * c + i] = (int16_t)sum;
        }
    }
    return u;
}
/* The codes of the weights, [output][channel][tap]. */
static const int8_t *narrow(const struct oct_wino *v) {
    int8_t *w = OCT_NEW_N(v->b->arena, int8_t, v->l.outputs * v->cut.c * 9);
    for (int64_t i = 0; i < v->l.outputs * v->cut.c * 9; i++) w[i] = (int8_t)v->l.w[i];
    return w;
}

/* No transformed code leaves 16 bits, nor a pair of products 32. */
static void check_codes(const struct oct_wino *v) {
    const struct oct_wino_kind *kind = v->cut.kind;
    int most_u = 0, most_v = 0;
    for (int i = 0; i < kind->side * kind->side; i++) {
        int u = 0, x = 0;
        for (int t = 0; t < 9; t++) u += abs(kind->kernel[i / kind->side][t / 3] * kind->kernel[i % kind->side][t % 3]);
        /* of one sign: codes may be unsigned, so the greater of what the positive and the negative coefficients reach */
        int positive = 0, negative = 0;
        for (int t = 0; t < kind->side * kind->side; t++) {
            x = kind->codes[i / kind->side][t / kind->side] * kind->codes[i % kind->side][t % kind->side];
            *(x < 0 ? &negative : &positive) += abs(x);
        }
        x = positive > negative ? positive : negative;
        const int both = 128 * (positive + negative);
        most_u = u * 128 > most_u ? u * 128 : most_u;
        most_v = x * 255 > most_v ? x * 255 : most_v;
        most_v = both > most_v ? both : most_v;
    }
    OCT_CHECK(v->b->cx, most_u <= INT16_MAX && most_v <= INT16_MAX && (int64_t)most_u * most_v * 2 <= INT32_MAX);
}

/* Weights from output `first` on: [group][point][block][pair][output][2], or as they are, [block][pair][vector][tap][output][2].
 */
static int32_t pack_part(const struct oct_wino *v, const struct oct_wino_part *p) {
    const struct oct_wino_cut *cut = &v->cut;
    const int64_t n = v->l.outputs - p->first, c = cut->c, block = (int64_t)p->vectors * v->lanes, pairs = (c + 1) / 2,
                  points = cut->kind->side * cut->kind->side;
    struct oct_arena *a = v->b->arena;
    if (cut->fresh) {
        const struct oct_pack pack = {
            .rank = 3,
            .dim = {n, c, 9},
            .ndims = 6,
            .d = {{p->groups * p->blocks, 0, block},
                  {pairs, 1, 2},
                  {p->vectors, 0, v->lanes},
                  {9, 2, 1},
                  {v->lanes, 0, 1},
                  {2, 1, 1}},
        };
        return oct_k_const(v->b, "w", LP_I8, oct_pack_elements(&pack),
                           oct_pack_data(a, &pack, LP_I8, narrow(v) + p->first * c * 9));
    }
    const int16_t *u = transformed(v);
    int16_t *rest = OCT_NEW_N(a, int16_t, points * n * c);
    for (int64_t q = 0; q < points; q++)
        for (int64_t i = 0; i < n * c; i++) rest[q * n * c + i] = u[(q * v->l.outputs + p->first) * c + i];
    const struct oct_pack pack = {
        .rank = 3,
        .dim = {points, n, c},
        .ndims = 6,
        .d = {{p->groups, 1, p->blocks * block}, {points, 0, 1}, {p->blocks, 1, block}, {pairs, 2, 2}, {block, 1, 1}, {2, 2, 1}},
    };
    return oct_k_const(v->b, "w", LP_I16, oct_pack_elements(&pack), oct_pack_data(a, &pack, LP_I16, rest));
}

static void add_part(struct oct_wino *v, int64_t first, int64_t blocks, int pixels, int64_t vectors) {
    if (!blocks) return;
    struct oct_wino_part *p = &v->part[v->parts++];
    const struct oct_wino_cut *c = &v->cut;
    const int64_t block = vectors * v->lanes, words = (c->c + 1) / 2 * 2 * block, points = c->kind->side * c->kind->side,
                  left = v->l.outputs - first;
    const int64_t each = points * (c->tiles * block * 4 + (c->fresh ? words * 2 : 0));
    *p = (struct oct_wino_part){.first = first, .vectors = (int)vectors, .pixels = pixels, .words = words};
    p->blocks =
        left < blocks * block && left % v->lanes ? blocks : blocks_of_group(v->b, c, blocks, each); /* an odd end: no groups */
    p->groups = blocks / p->blocks;
    p->group = v->groups;
    v->groups += p->groups;
    p->slices =
        c->fresh ? slices_of((c->c + 1) / 2, points * p->blocks * block * 4, points * c->tiles * p->blocks * block * 4) : 1;
    p->outputs = least(left, p->blocks * block);
    p->w = pack_part(v, p);
    v->sums_pitch = most(v->sums_pitch, spread(c->tiles * p->blocks * block, 4));
    v->fresh_pitch = most(v->fresh_pitch, spread(p->blocks * words / p->slices, 2));
}

/* First row of results of a row of tiles. */
static int64_t row_of(const struct oct_wino_cut *c, int64_t tile) { return least(tile * c->kind->out, c->oh - c->kind->out); }

/* Where the rows of the image start that each row of tiles sees, -1: outside; where tiles start in half, and in the result. */
static void open_tables(struct oct_wino *v) {
    struct oct_kbuild *b = v->b;
    const struct oct_wino_cut *c = &v->cut;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int side = c->kind->side;
    const int64_t lines = c->strips * c->rows;
    int32_t *rows = OCT_NEW_N(b->arena, int32_t, lines * side), *from = OCT_NEW_N(b->arena, int32_t, c->across),
            *to = OCT_NEW_N(b->arena, int32_t, lines * c->across);
    for (int64_t i = 0; i < lines; i++) {
        const int64_t top = row_of(c, least(i / c->rows * c->rows, c->down - c->rows) + i % c->rows);
        for (int64_t j = 0; j < side; j++) {
            const int64_t y = top + j - b->node->at.pad[0];
            const bool outside = y < 0 || y >= in->dim[2];
            rows[i * side + j] = outside ? -1 : (int32_t)(y * in->stride[2]);
            v->outside[j] |= outside;
        }
        for (int64_t t = 0; t < c->across; t++) {
            const int64_t x = least(t * c->kind->out, c->ow - c->kind->out);
            from[t] = (int32_t)(x * c->chunk);
            to[i * c->across + t] = (int32_t)(top * out->stride[2] + x * out->stride[3]);
            v->last_to = most(v->last_to, to[i * c->across + t]);
        }
    }
    v->last_row = (in->dim[2] - 1) * in->stride[2];
    v->last_from = (c->ow - c->kind->out) * c->chunk;
    v->rows = oct_k_const(b, "rows", LP_I32, lines * side, rows);
    v->from = oct_k_const(b, "from", LP_I32, c->across, from);
    v->to = oct_k_const(b, "to", LP_I32, lines * c->across, to);
}

static void open_all(struct oct_wino *v) {
    struct layer *l = &v->l;
    struct oct_kbuild *b = v->b;
    const struct oct_wino_cut *c = &v->cut;
    const int side = c->kind->side, points = side * side;
    check_codes(v);
    v->x = oct_k_in(b, 0);
    l->y = oct_k_out(b);
    open_tables(v);
    const int64_t all = (l->outputs + v->lanes - 1) / v->lanes, vectors = b->way.vectors, rest = all % vectors;
    add_part(v, 0, all / vectors, b->way.pixels, vectors);
    if (rest) add_part(v, (all - rest) * v->lanes, 1, oct_madd_pixels(b->target, c->tiles, rest), rest);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, all * v->lanes);
    for (int64_t o = 0; o < l->outputs; o++) /* modulo 2^32, as the sums are */
        bias[o] = (int32_t)((uint32_t)(uint64_t)l->bias[o] * ((uint32_t)c->kind->odd << c->kind->shift));
    v->bias = oct_k_const(b, "bias", LP_I32, all * v->lanes, bias);
    oct_rqv_open(&v->rq, b, &l->rq, l->lo, l->hi, all * v->lanes);
    v->half = oct_k_scratch(b, "half", LP_I16, side * c->half);
    v->codes = oct_k_scratch(b, "codes", LP_I16, points * c->points + 1);
    if (c->fresh) v->fresh = oct_k_scratch(b, "u", LP_I16, points * v->fresh_pitch);
    v->sums = oct_k_scratch(b, "sums", LP_I32, points * v->sums_pitch);
}

/* ---- building -------------------------------------------------------------------------------------------------------------- */

static void multiply_tiles(const struct oct_wino *v, const struct oct_wino_part *p, int pixels, struct lp_addr x,
                           struct lp_addr w, struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const struct oct_madd sum = {.b = v->b,
                                 .lanes = v->lanes,
                                 .vectors = p->vectors,
                                 .codes = v->codes,
                                 .weights = c->fresh ? v->fresh : p->w,
                                 .pixel = c->c,
                                 .runs = 1,
                                 .pairs = (c->c + 1) / 2 / p->slices,
                                 .fresh = p->slices == 1};
    oct_madd_row acc[OCT_MADD_PIXELS];
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < p->vectors; i++) {
            acc[q][i] = lp_reg(k, lp_vector(LP_I32, v->lanes), oct_sprintf(v->b->arena, "c%dp%d", i, q));
            if (!sum.fresh) lp_load_to(k, acc[q][i], v->sums, lp_offset(to, (q * p->blocks * p->vectors + i) * v->lanes));
        }
    oct_madd_build(&sum, pixels, x, w, acc);
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < p->vectors; i++)
            lp_store(k, v->sums, lp_offset(to, (q * p->blocks * p->vectors + i) * v->lanes), acc[q][i]);
}

/* Sums of a group, [point][tile][output]; codes: of its first pair at the first point; w: its weights. */
static void build_products(const struct oct_wino *v, const struct oct_wino_part *p, struct lp_addr codes, struct lp_addr w) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const int64_t block = (int64_t)p->vectors * v->lanes, tile = p->blocks * block;
    lp_note(k, OCT_PRODUCTS_BEGIN);
    const int32_t point = lp_loop(k, "point", c->kind->side * c->kind->side);
    struct lp_addr x = lp_plus(codes, point, c->points), to = lp_plus(lp_at(0), point, v->sums_pitch);
    w = lp_plus(w, point, c->fresh ? v->fresh_pitch : p->blocks * p->words);
    if (p->blocks > 1) {
        const int32_t i = lp_loop(k, "block", p->blocks);
        w = lp_plus(w, i, p->words / p->slices);
        to = lp_plus(to, i, block);
    }
    const int64_t whole = c->tiles / p->pixels, rest = c->tiles % p->pixels;
    struct lp_addr at = x, sums = to;
    if (whole > 1) {
        const int32_t t = lp_loop(k, "tiles", whole);
        at = lp_plus(at, t, p->pixels * c->c);
        sums = lp_plus(sums, t, p->pixels * tile);
    }
    if (whole) multiply_tiles(v, p, p->pixels, at, w, sums);
    if (whole > 1) lp_end(k);
    if (rest) multiply_tiles(v, p, (int)rest, lp_offset(x, whole * p->pixels * c->c), w, lp_offset(to, whole * p->pixels * tile));
    oct_k_close(v->b, 1 + (p->blocks > 1));
    lp_note(k, OCT_PRODUCTS_END);
}

static void clear_sums(const struct oct_wino *v, int64_t n) {
    struct lp_kernel *k = v->b->k;
    const struct lp_val none = lp_op1(k, "none", LP_OP_splat, lp_vector(LP_I32, v->lanes), lp_int(LP_I32, 0));
    const int32_t i = lp_loop(k, "i", n / v->lanes);
    lp_store(k, v->sums, lp_plus(lp_at(0), i, v->lanes), none);
    lp_end(k);
}

static void build_part(const struct oct_wino *v, const struct oct_wino_part *p, int32_t strip, struct lp_addr y) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_kind *kind = v->cut.kind;
    const int64_t outputs = p->blocks * p->vectors * v->lanes;
    struct lp_addr w = lp_at(0), channel = lp_at(p->first);
    y = lp_offset(y, p->first);
    const bool loop = p->groups > 1 || k->pieces > 1;
    if (loop) {
        const int32_t g = lp_piece(k, "group", p->group, p->groups);
        w = lp_plus(w, g, p->blocks * p->words * (v->cut.fresh ? 9 : kind->side * kind->side));
        channel = lp_plus(channel, g, outputs);
        y = lp_plus(y, g, outputs);
    }
    if (v->cut.fresh) {
        struct lp_addr x = lp_at(0);
        if (p->slices > 1) {
            clear_sums(v, kind->side * kind->side * v->sums_pitch);
            const int32_t slice = lp_loop(k, "slice", p->slices);
            x = lp_plus(x, slice, (v->cut.c + 1) / 2 * 2 / p->slices);
            w = lp_plus(w, slice, p->words / p->slices * 9);
        }
        oct_wino_weights(v, p, w);
        build_products(v, p, x, lp_at(0));
        if (p->slices > 1) lp_end(k);
    } else build_products(v, p, lp_at(0), w);
    oct_wino_results(v, p, strip, channel, y);
    if (loop) lp_end(k);
}

bool oct_build_winograd(struct oct_kbuild *b) {
    struct oct_wino *v = OCT_NEW(b->arena, struct oct_wino);
    if (!oct_layer_plan(&v->l, b)) return false;
    v->b = b;
    v->lanes = b->target->vector_bits / 32;
    v->cut = best_cut(b, b->way.recipe / 2, b->way.recipe % 2, b->way.vectors);
    open_all(v);
    const struct oct_wino_kind *kind = v->cut.kind;
    b->recipe = oct_sprintf(b->arena, "Winograd F(%dx%d,3x3) in 16 bits%s, %d tiles at once, products of %d tiles x %d channels",
                            kind->out, kind->out, v->cut.fresh ? ", weights transformed as it runs" : "", (int)v->cut.tiles,
                            v->part[0].pixels, v->part[0].vectors * v->lanes);
    b->products = kind->side * kind->side * v->cut.strips * v->cut.tiles * v->cut.c * v->l.outputs * b->out.at.dim[0];
    oct_text_addf(&b->proof, "|acc| < 2^%d: exact modulo 2^32. ", 31 - kind->shift);
    struct lp_kernel *k = b->k;
    const bool apart = are_apart(&v->cut);
    int32_t strip = lp_range_of(k, "strip", apart ? v->cut.strips : 1, b->threads > 1 ? v->groups : 1);
    if (!apart) strip = lp_loop(k, "strip", v->cut.strips);
    struct lp_addr x = lp_at(b->in[0].at.offset), y = lp_at(b->out.at.offset);
    const bool batch = b->out.at.dim[0] > 1;
    if (batch) {
        const int32_t n = lp_loop(k, "n", b->out.at.dim[0]);
        x = lp_plus(x, n, b->in[0].at.stride[0]);
        y = lp_plus(y, n, b->out.at.stride[0]);
    }
    oct_wino_codes(v, strip, x);
    for (int i = 0; i < v->parts; i++) build_part(v, &v->part[i], strip, y);
    oct_k_close(b, 1 + !apart + batch);
    return true;
}
