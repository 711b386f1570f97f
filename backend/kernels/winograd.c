/* winograd.c - 3x3 convolution of stride 1 on 8-bit codes as Winograd's F(4x4,3x3) in integers: a quarter of the multiplications,
 * the same bits.
 *
 * A tile of 4x4 results sees 6x6 codes. With the points 0, 1, -1, 2, -2 and infinity, and the rows of the kernel's transform
 * scaled to integers, the sum over channels of the products of transforms gives 576 Y after the transform back, where Y = sum w
 * x. All of it is exact modulo 2^32: transformed weights and codes fit 16 bits (|u| <= 18432; |v| <= 68 * 255), pair steps do not
 * overflow, sums may wrap. 576 Y / 9 modulo 2^32 is 64 Y, whose upper 26 bits are Y where -2^25 <= Y < 2^25: that is proved from
 * the weights and the codes that can occur; a layer of which it is not true takes the direct kernel.
 *
 * A strip of tiles at a time: rows to 16 bits (wide.h); their transform, [point][tile][channel]; 36 products of matrices
 * (madd.h), [point][tile][output]; the transform back and the requantization. The last row and column of tiles overlap those
 * before where 4 does not divide the result: tables say where tiles start. */
#include <inttypes.h>

#include "cost.h"
#include "layer.h"
#include "madd.h"
#include "rq_vec.h"
#include "vec.h"
#include "wide.h"

enum { POINTS = 36, SIDE = 6, OUT = 4, SCRATCH_BYTES = 1 << 20 };

/* How a layer is cut. */
struct cut {
    int64_t oh, ow, c, outputs, channels; /* channels: outputs in whole vectors */
    int64_t down, across;                 /* rows and columns of tiles */
    int64_t rows, strips, tiles;          /* rows of tiles in a strip; strips; tiles in a strip */
    int64_t codes, sums;                  /* distance of points in the scratch of transformed codes, of sums */
    int64_t cost;                         /* quarter cycles for one image */
};
struct part { /* outputs that share a tile of accumulators */
    int64_t first, blocks;
    int vectors, pixels;
    int32_t w;
};
struct winograd {
    struct layer l;
    struct oct_kbuild *b;
    struct cut cut;
    struct oct_rqv rq;
    struct oct_wide in;
    int lanes;
    struct part part[2];
    int parts;
    int32_t bias, codes, sums, from, to; /* buffers */
    int64_t last_from, last_to;          /* greatest entries of the tables from and to */
};

/* ---- fitting --------------------------------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Quarter cycles for the transform of a vector of codes of a tile and for the way back of a vector of sums, as counted from their
 * operations. */
enum { INPUT_COST = 300, OUTPUT_COST = 440 };

/* Elements to the next point: an odd number of cache lines, as the 36 points of a tile would share few sets of the cache. */
static int64_t spread(int64_t elements, int64_t size) {
    enum { LINE = 64 };
    const int64_t lines = (elements * size + LINE - 1) / LINE;
    return (lines | 1) * LINE / size;
}

static struct cut cut_of(const struct oct_kbuild *b) {
    const struct oct_layout *out = &b->out.at;
    const int lanes = b->target->vector_bits / 32;
    struct cut c = {.oh = out->dim[2], .ow = out->dim[3], .c = b->in[0].at.dim[1], .outputs = out->dim[1], .cost = INT64_MAX};
    c.channels = (c.outputs + lanes - 1) / lanes * lanes;
    c.down = (c.oh + OUT - 1) / OUT;
    c.across = (c.ow + OUT - 1) / OUT;
    for (int64_t rows = 1; rows <= c.down; rows++) {
        const int64_t tiles = rows * c.across, strips = (c.down + rows - 1) / rows;
        const int64_t bytes = POINTS * tiles * (2 * c.c + 4 * c.channels);
        int64_t product;
        if (bytes > SCRATCH_BYTES) continue;
        oct_madd_vectors(b->target, tiles, c.channels / lanes, &product);
        const int64_t each = POINTS * ((c.c + 1) / 2) * product + tiles * ((c.c + 2 * lanes - 1) / (2 * lanes)) * INPUT_COST +
                             tiles * (c.channels / lanes) * OUTPUT_COST;
        const int64_t cost =
            strips * each + oct_cost_weights(POINTS * 2 * c.c * c.channels, strips) + oct_cost_scratch(bytes, strips);
        if (cost < c.cost) c.cost = cost, c.rows = rows, c.strips = strips, c.tiles = tiles;
    }
    c.codes = spread(c.tiles * c.c + (c.c < 2 * lanes ? 2 * lanes - c.c : 0), 2); /* a tile of few channels runs into the next */
    c.sums = spread(c.tiles * c.channels, 4);
    return c;
}
/* Reach of sum w x over the codes as they are, padding among them. */
static void reach_of(const struct oct_kbuild *b, int64_t *lo, int64_t *hi) {
    const struct oct_node *x = b->in[0].node, *w = b->in[1].node;
    const int64_t outputs = w->type.dim[0], terms = oct_type_elements(&w->type, 1) / outputs, zx = oct_zero(x->type.q, 0);
    int32_t xlo, xhi;
    oct_k_code_range(x, &xlo, &xhi);
    const int64_t clo = least(xlo, zx), chi = -least(-xhi, -zx);
    *lo = *hi = 0;
    for (int64_t o = 0; o < outputs; o++) {
        int64_t low = 0, high = 0;
        for (int64_t i = 0; i < terms; i++) {
            const int64_t v = oct_load_int(w->type.dtype, w->data, o * terms + i) - oct_zero(w->type.q, (uint32_t)o);
            low += v < 0 ? v * chi : v * clo;
            high += v < 0 ? v * clo : v * chi;
        }
        *lo = least(*lo, low);
        *hi = -least(-*hi, -high);
    }
}
static bool proved(const struct oct_kbuild *b) {
    int64_t lo, hi;
    reach_of(b, &lo, &hi);
    return lo >= -(1 << 25) && hi < 1 << 25;
}

bool oct_fits_winograd(const struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    if (b->target->vector_bits < 256 || !oct_layer_fits(b)) return false;
    if (w->dim[2] != 3 || w->dim[3] != 3 || at->stride[0] != 1 || at->stride[1] != 1 || at->dilation[0] != 1 ||
        at->dilation[1] != 1)
        return false;
    if (b->out.at.stride[1] != 1 || b->out.at.dim[2] < OUT || b->out.at.dim[3] < OUT) return false;
    if (b->in[0].at.dim[1] < b->target->vector_bits / 32 || oct_conv2d_vec_refuses(b)) return false;
    return cut_of(b).rows && proved(b);
}
void oct_ways_winograd(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct cut c = cut_of(b);
    int64_t product;
    const int vectors = oct_madd_vectors(b->target, c.tiles, c.channels / (b->target->vector_bits / 32), &product),
              pixels = oct_madd_pixels(b->target, c.tiles, vectors);
    struct oct_way *w = oct_k_offer(out, "f4 %dx%d", pixels, vectors);
    *w->steps = 'a';
    w->gain = 4;
    w->pixels = pixels;
    w->vectors = vectors;
    w->cycles = oct_cost_operations(b->target, (double)(b->out.at.dim[0] * c.cost));
}

/* ---- constants --------------------------------------------------------------------------------------------------------------
 */

/* G w G^T, [point][output][channel]. */
static const int16_t *transformed(const struct winograd *v) {
    static const int g[SIDE][3] = {{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 12}};
    const int64_t n = v->l.outputs, c = v->cut.c;
    int16_t *u = OCT_NEW_N(v->b->arena, int16_t, POINTS * n * c);
    for (int64_t i = 0; i < n * c; i++) {
        const int16_t *w = v->l.w + i * 9;
        for (int p = 0; p < POINTS; p++) {
            int sum = 0;
            for (int t = 0; t < 9; t++) sum += g[p / SIDE][t / 3] * g[p % SIDE][t % 3] * w[t];
            OCT_CHECK(v->b->cx, sum >= INT16_MIN && sum <= INT16_MAX);
            u[p * n * c + i] = (int16_t)sum;
        }
    }
    return u;
}

static void add_part(struct winograd *v, const int16_t *u, int64_t first, int64_t blocks, int pixels, int64_t vectors) {
    if (!blocks) return;
    struct part *p = &v->part[v->parts++];
    const int64_t block = vectors * v->lanes, n = v->l.outputs, c = v->cut.c;
    *p = (struct part){.first = first, .blocks = blocks, .vectors = (int)vectors, .pixels = pixels};
    /* outputs before `first` are left out by starting there: rows are n outputs apart, the last ones run past the axis */
    int16_t *rest = OCT_NEW_N(v->b->arena, int16_t, POINTS * (n - first) * c);
    for (int64_t q = 0; q < POINTS; q++)
        for (int64_t i = 0; i < (n - first) * c; i++) rest[q * (n - first) * c + i] = u[(q * n + first) * c + i];
    const struct oct_pack pack = {
        .rank = 3,
        .dim = {POINTS, n - first, c},
        .ndims = 5,
        .d = {{POINTS, 0, 1}, {blocks, 1, block}, {(c + 1) / 2, 2, 2}, {block, 1, 1}, {2, 2, 1}},
    };
    p->w = oct_k_const(v->b, "w", LP_I16, oct_pack_elements(&pack), oct_pack_data(v->b->arena, &pack, LP_I16, rest));
}

/* First row of results of a row of tiles. */
static int64_t row_of(const struct cut *c, int64_t tile) { return least(tile * OUT, c->oh - OUT); }

/* Where each tile of each strip starts in scratch and in the result; the rows that each strip reads. */
static void open_tables(struct winograd *v) {
    struct oct_kbuild *b = v->b;
    const struct cut *c = &v->cut;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int64_t n = c->strips * c->tiles, cols = c->ow + 2;
    int32_t *from = OCT_NEW_N(b->arena, int32_t, n), *to = OCT_NEW_N(b->arena, int32_t, n);
    int64_t *start = OCT_NEW_N(b->arena, int64_t, c->strips);
    for (int64_t i = 0; i < n; i++) {
        const int64_t strip = i / c->tiles, t = i % c->tiles, top = least(strip * c->rows, c->down - c->rows);
        const int64_t y = row_of(c, top + t / c->across), x = least(t % c->across * OUT, c->ow - OUT);
        start[strip] = row_of(c, top);
        from[i] = (int32_t)(((y - start[strip]) * cols + x) * c->c);
        to[i] = (int32_t)(y * out->stride[2] + x * out->stride[3]);
        if (from[i] > v->last_from) v->last_from = from[i];
        if (to[i] > v->last_to) v->last_to = to[i];
    }
    v->in = (struct oct_wide){.b = b,
                              .h = in->dim[2],
                              .w = in->dim[3],
                              .c = c->c,
                              .row = in->stride[2],
                              .col = in->stride[3],
                              .channel = in->stride[1],
                              .top = b->node->at.pad[0],
                              .left = b->node->at.pad[1],
                              .bands = c->strips,
                              .start = start,
                              .seen = c->rows * OUT + 2,
                              .cols = cols};
    oct_wide_open(&v->in);
    v->from = oct_k_const(b, "from", LP_I32, n, from);
    v->to = oct_k_const(b, "to", LP_I32, n, to);
}

static void open_all(struct winograd *v) {
    struct layer *l = &v->l;
    struct oct_kbuild *b = v->b;
    const struct cut *c = &v->cut;
    open_tables(v);
    l->y = oct_k_out(b);
    const int16_t *u = transformed(v);
    const int64_t all = c->channels / v->lanes, vectors = b->way.vectors, rest = all % vectors;
    add_part(v, u, 0, all / vectors, b->way.pixels, vectors);
    if (rest) add_part(v, u, (all - rest) * v->lanes, 1, oct_madd_pixels(b->target, c->tiles, rest), rest);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, c->channels);
    for (int64_t o = 0; o < l->outputs; o++) bias[o] = (int32_t)(uint32_t)(uint64_t)l->bias[o];
    const struct oct_rqv_sums sums = {.lo = l->lo, .hi = l->hi, .padded = c->channels, .bias = bias};
    oct_rqv_begin(&v->rq, b, &l->rq, &sums);
    v->bias = oct_k_const(b, "bias", LP_I32, c->channels, bias);
    v->codes = oct_k_scratch(b, "codes", LP_I16, POINTS * c->codes + 1);
    v->sums = oct_k_scratch(b, "sums", LP_I32, POINTS * c->sums);
}

/* ---- building -------------------------------------------------------------------------------------------------------------- */

static struct lp_val add(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_add, a, b); }
static struct lp_val sub(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_sub, a, b); }
static struct lp_val shl(struct lp_kernel *k, struct lp_val a, int n) { return lp_shift(k, NULL, LP_OP_shl, a, n); }
static struct lp_val named(struct lp_kernel *k, const char *name, struct lp_val v) {
    return lp_op1(k, name, LP_OP_mov, (struct lp_type){0}, v);
}

/* B^T of six codes. */
static void forward(struct lp_kernel *k, const struct lp_val *x, struct lp_val *r) {
    const struct lp_val a = named(k, "a", sub(k, x[4], x[2])), d = named(k, "d", sub(k, x[3], x[1])),
                        twice = named(k, "d", add(k, d, d));
    r[0] = add(k, a, shl(k, sub(k, x[0], x[2]), 2));
    r[1] = sub(k, add(k, x[3], x[4]), shl(k, add(k, x[1], x[2]), 2));
    r[2] = add(k, sub(k, x[4], x[3]), shl(k, sub(k, x[1], x[2]), 2));
    r[3] = add(k, a, twice);
    r[4] = sub(k, a, twice);
    r[5] = sub(k, sub(k, x[5], x[3]), shl(k, d, 2));
    for (int i = 0; i < SIDE; i++) r[i] = named(k, "t", r[i]);
}

/* A^T of six sums, with the powers of two that the kernel's transform left out. */
static void backward(struct lp_kernel *k, const struct lp_val *m, struct lp_val *r) {
    const struct lp_val s12 = named(k, "s", shl(k, add(k, m[1], m[2]), 2)), d12 = named(k, "d", shl(k, sub(k, m[1], m[2]), 2)),
                        s34 = named(k, "s", add(k, m[3], m[4])), d34 = named(k, "d", sub(k, m[3], m[4]));
    r[0] = add(k, add(k, m[0], s12), s34);
    r[1] = add(k, d12, shl(k, d34, 1));
    r[2] = add(k, s12, shl(k, s34, 2));
    r[3] = add(k, add(k, d12, shl(k, d34, 3)), shl(k, m[5], 1));
    for (int i = 0; i < OUT; i++) r[i] = named(k, "t", r[i]);
}

/* An entry of a table, proved to lie within [0, last]. */
static struct lp_addr indexed(struct lp_kernel *k, struct lp_addr at, int32_t table, struct lp_addr entry, int64_t last) {
    struct lp_val i = lp_load(k, "at", lp_scalar(LP_I32), table, entry);
    i = lp_op2(k, "at", LP_OP_max, i, lp_int(LP_I32, 0));
    i = lp_op2(k, "at", LP_OP_min, i, lp_int(LP_I32, last));
    return lp_indexed(at, i, 0, last);
}

/* A vector of channels of a tile. */
static void transform_channels(const struct winograd *v, struct lp_addr from, struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    struct lp_val t[SIDE][SIDE];
    for (int j = 0; j < SIDE; j++) {
        struct lp_val x[SIDE], r[SIDE];
        for (int i = 0; i < SIDE; i++)
            x[i] = lp_load(k, "x", lp_vector(LP_I16, 2 * v->lanes), v->in.wide, lp_offset(from, (i * v->in.cols + j) * c->c));
        forward(k, x, r);
        for (int i = 0; i < SIDE; i++) t[i][j] = r[i];
    }
    for (int i = 0; i < SIDE; i++) {
        struct lp_val r[SIDE];
        forward(k, t[i], r);
        for (int j = 0; j < SIDE; j++) lp_store(k, v->codes, lp_offset(to, (i * SIDE + j) * c->codes), r[j]);
    }
}
static void build_transform(const struct winograd *v, int32_t strip) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    const int n = 2 * v->lanes;
    const int32_t tile = lp_loop(k, "tile", c->tiles);
    const struct lp_addr entry = lp_plus(lp_plus(lp_at(0), strip, c->tiles), tile, 1), to = lp_plus(lp_at(0), tile, c->c),
                         from = indexed(k, lp_at(0), v->from, entry, v->last_from);
    const int64_t whole = c->c / n;
    if (whole) {
        const int32_t i = lp_loop(k, "c", whole);
        transform_channels(v, lp_plus(from, i, n), lp_plus(to, i, n));
        lp_end(k);
    }
    const int64_t last = whole ? c->c - n : 0; /* the last vector overlaps the one before, or the next tile, which comes later */
    if (c->c % n) transform_channels(v, lp_offset(from, last), lp_offset(to, last));
    lp_end(k);
}

static void multiply_tiles(const struct winograd *v, const struct part *p, int pixels, struct lp_addr x, struct lp_addr w,
                           struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    const struct oct_madd sum = {.b = v->b,
                                 .lanes = v->lanes,
                                 .vectors = p->vectors,
                                 .codes = v->codes,
                                 .weights = p->w,
                                 .pixel = c->c,
                                 .runs = 1,
                                 .pairs = (c->c + 1) / 2,
                                 .fresh = true};
    oct_madd_row acc[OCT_MADD_PIXELS];
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < p->vectors; i++)
            acc[q][i] = lp_reg(k, lp_vector(LP_I32, v->lanes), oct_sprintf(v->b->arena, "c%dp%d", i, q));
    oct_madd_build(&sum, pixels, x, w, acc);
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < p->vectors; i++) lp_store(k, v->sums, lp_offset(to, q * c->channels + i * v->lanes), acc[q][i]);
}
static void build_products(const struct winograd *v, const struct part *p) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    const int64_t block = (int64_t)p->vectors * v->lanes, words = (c->c + 1) / 2 * 2 * block;
    const int32_t point = lp_loop(k, "point", POINTS);
    struct lp_addr x = lp_plus(lp_at(0), point, c->codes), w = lp_plus(lp_at(0), point, p->blocks * words),
                   to = lp_plus(lp_at(p->first), point, c->sums);
    if (p->blocks > 1) {
        const int32_t i = lp_loop(k, "block", p->blocks);
        w = lp_plus(w, i, words);
        to = lp_plus(to, i, block);
    }
    const int64_t whole = c->tiles / p->pixels, rest = c->tiles % p->pixels;
    struct lp_addr at = x, sums = to;
    if (whole > 1) {
        const int32_t t = lp_loop(k, "tiles", whole);
        at = lp_plus(at, t, p->pixels * c->c);
        sums = lp_plus(sums, t, p->pixels * c->channels);
    }
    multiply_tiles(v, p, p->pixels, at, w, sums);
    if (whole > 1) lp_end(k);
    if (rest)
        multiply_tiles(v, p, (int)rest, lp_offset(x, whole * p->pixels * c->c), w,
                       lp_offset(to, whole * p->pixels * c->channels));
    oct_k_close(v->b, 1 + (p->blocks > 1));
}

/* 4x4 results of a vector of outputs, of which `count` exist. */
static void restore_outputs(const struct winograd *v, struct lp_addr sums, struct lp_addr channel, struct lp_addr y, int count) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    const struct oct_layout *out = &v->b->out.at;
    const struct lp_type type = lp_vector(LP_I32, v->lanes);
    struct lp_val t[SIDE][OUT];
    for (int i = 0; i < SIDE; i++) {
        struct lp_val m[SIDE];
        for (int j = 0; j < SIDE; j++) m[j] = lp_load(k, "m", type, v->sums, lp_offset(sums, (i * SIDE + j) * c->sums));
        backward(k, m, t[i]);
    }
    const struct lp_val bias = lp_load(k, "b", type, v->bias, channel);
    const struct oct_rqv_loaded words = oct_rqv_words(&v->rq, channel);
    for (int j = 0; j < OUT; j++) {
        struct lp_val m[SIDE], r[OUT];
        struct oct_rqv_piece piece[OUT];
        for (int i = 0; i < SIDE; i++) m[i] = t[i][j];
        backward(k, m, r);
        for (int i = 0; i < OUT; i++) {
            const struct lp_val y64 = lp_op2(k, NULL, LP_OP_mul, r[i], lp_int(LP_I32, 0x38e38e39)); /* 1/9 modulo 2^32 */
            const struct lp_val acc = lp_op2(k, "acc", LP_OP_add, lp_shift(k, NULL, LP_OP_sar, y64, 6), bias);
            piece[i] = (struct oct_rqv_piece){oct_rqv_codes(&v->rq, &words, acc),
                                              lp_offset(y, i * out->stride[2] + j * out->stride[3]), count};
        }
        oct_rqv_store(&v->rq, v->l.y, OUT, piece);
    }
}
static void build_results(const struct winograd *v, int32_t strip, struct lp_addr y) {
    struct lp_kernel *k = v->b->k;
    const struct cut *c = &v->cut;
    const int32_t tile = lp_loop(k, "tile", c->tiles);
    const struct lp_addr entry = lp_plus(lp_plus(lp_at(0), strip, c->tiles), tile, 1);
    struct lp_addr sums = lp_plus(lp_at(0), tile, c->channels);
    y = indexed(k, y, v->to, entry, v->last_to);
    const int64_t whole = c->outputs / v->lanes, rest = c->outputs % v->lanes, last = whole * v->lanes;
    if (whole) {
        const int32_t i = lp_loop(k, "channels", whole);
        restore_outputs(v, lp_plus(sums, i, v->lanes), lp_plus(lp_at(0), i, v->lanes), lp_plus(y, i, v->lanes), v->lanes);
        lp_end(k);
    }
    if (rest) restore_outputs(v, lp_offset(sums, last), lp_at(last), lp_offset(y, last), (int)rest);
    lp_end(k);
}

bool oct_build_winograd(struct oct_kbuild *b) {
    struct winograd *v = OCT_NEW(b->arena, struct winograd);
    if (!oct_layer_plan(&v->l, b)) return false;
    int64_t lo, hi;
    reach_of(b, &lo, &hi);
    v->b = b;
    v->lanes = b->target->vector_bits / 32;
    v->cut = cut_of(b);
    open_all(v);
    b->recipe = oct_sprintf(b->arena, "Winograd F(4x4,3x3) in 16 bits, %d tiles at once, products of %d tiles x %d channels",
                            (int)v->cut.tiles, v->part[0].pixels, v->part[0].vectors * v->lanes);
    oct_text_addf(&b->proof, "sum w x in [%" PRId64 ", %" PRId64 "], within 26 bits: exact modulo 2^32. ", lo, hi);
    struct lp_kernel *k = b->k;
    const int32_t strip = lp_range(k, "strip", v->cut.strips);
    struct lp_addr x = lp_at(b->in[0].at.offset), y = lp_at(b->out.at.offset);
    const bool batch = b->out.at.dim[0] > 1;
    if (batch) {
        const int32_t n = lp_loop(k, "n", b->out.at.dim[0]);
        x = lp_plus(x, n, b->in[0].at.stride[0]);
        y = lp_plus(y, n, b->out.at.stride[0]);
    }
    oct_wide_build(&v->in, strip, x);
    build_transform(v, strip);
    for (int i = 0; i < v->parts; i++) build_products(v, &v->part[i]);
    build_results(v, strip, y);
    oct_k_close(b, 1 + batch);
    return true;
}
