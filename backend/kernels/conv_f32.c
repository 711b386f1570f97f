/* conv_f32.c - conv2d and dense on floats by vectors: output channels in lanes, tiles of pixels x vectors (tile_f32.h).
 *
 * Sums keep the order of docs/numerics.md 7: kh, kw, ci. A window's row is kw * ci neighbours in memory: of the input itself
 * where nothing is padded, else of rows copied to scratch with zeros around them (wide.h). A product with such a zero changes no
 * sum, unless a weight is infinite or a NaN or the sum is -0, which it can be only from a bias of -0: such layers are refused.
 *
 * Weights: [block of channels][term][channel]. Where a block's exceed the first cache, the terms are cut: a slice of weights
 * stays there while it meets all pixels of a band, whose sums wait in scratch memory. The range is over bands of output rows or,
 * where there are few, over chunks of blocks. */
#include <math.h>
#include <string.h>

#include "map.h"
#include "real.h"
#include "tile_f32.h"
#include "wide.h"
#include "window.h"

enum {
    SLICE_BYTES = 24 * 1024,  /* of weights that stay in the first cache */
    SUMS_BYTES = 48 * 1024,   /* sums that wait */
    PADDED_BYTES = 96 * 1024, /* input rows of a band */
    PIXELS = 96,              /* of a band: so often are weights that came from afar used */
    FEW_BANDS = 4,
    CHUNKS = 16,
    LONG_ROW = 256,
    STREAM = 32,
    STREAMS = 64 * 1024, /* floats of a pixel, of an image: then the next tile's inputs are asked for ahead */
};

struct shape {
    int64_t images, h, w, c, oh, ow, kh, kw, sy, sx, dy, pad[4];
    int64_t in_image, in_row, in_col, in_channel, out_image, out_row, out_col, out_channel; /* strides */
};
/* Blocks of channels that share a tile: of `vectors` whole vectors each, the channels of the last maybe fewer. */
struct part {
    int64_t first, blocks, channels;
    int vectors;
    int32_t w;
};
struct conv {
    struct oct_kbuild *b;
    struct shape s;
    int64_t outputs, rows, bands, chunks; /* rows of a band */
    int lanes;
    bool fused, padded;
    struct part part[2];
    int parts;
    struct oct_wide in;
    int32_t x, y, bias, sums; /* sums: -1 where none wait */
    int64_t x_row, x_col;     /* distances where windows are read */
};

/* ---- fitting --------------------------------------------------------------------------------------------------------------- */

static bool is_padded(const struct oct_kbuild *b) {
    const int64_t *pad = b->node->at.pad;
    return (pad[0] | pad[1] | pad[2] | pad[3]) != 0;
}
static const float *floats_of(const struct oct_kbuild *b, int i, int64_t *n) {
    const struct oct_node *c = i < b->nin ? b->in[i].node : NULL;
    *n = c ? oct_type_elements(&c->type, 1) : 0;
    return c ? c->data : NULL;
}
static bool starts_at_minus_zero(const struct oct_kbuild *b) {
    int64_t n;
    const float *bias = floats_of(b, 2, &n);
    for (int64_t i = 0; i < n; i++)
        if (bias[i] == 0 && signbit(bias[i])) return true;
    return false;
}
bool oct_fits_conv2d_f32_vec(const struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    return b->target->vector_bits >= 256 && oct_r_linear(b) && at->groups == 1 &&
           (at->dilation[1] == 1 || b->in[1].node->type.dim[3] == 1) && !(is_padded(b) && starts_at_minus_zero(b));
}

bool oct_fits_dense_f32_vec(const struct oct_kbuild *b) {
    int64_t rows, in_step, out_step;
    return b->target->vector_bits >= 256 && oct_r_linear(b) && oct_rows_of(b, &rows, &in_step, &out_step);
}

/* ---- shape ------------------------------------------------------------------------------------------------------------------
 */

static struct shape shape_of_conv(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_attrs *at = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    struct shape s = {.images = out->dim[0],
                      .h = in->dim[2],
                      .w = in->dim[3],
                      .c = in->dim[1],
                      .oh = out->dim[2],
                      .ow = out->dim[3],
                      .kh = w->dim[2],
                      .kw = w->dim[3],
                      .sy = at->stride[0],
                      .sx = at->stride[1],
                      .dy = at->dilation[0],
                      .in_image = in->stride[0],
                      .in_row = in->stride[2],
                      .in_col = in->stride[3],
                      .in_channel = in->stride[1],
                      .out_image = out->stride[0],
                      .out_row = out->stride[2],
                      .out_col = out->stride[3],
                      .out_channel = out->stride[1]};
    for (int i = 0; i < 4; i++) s.pad[i] = at->pad[i];
    return s;
}

/* Rows are pixels of an image of one line. */
static struct shape shape_of_dense(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    struct shape s = {.images = 1, .h = 1, .oh = 1, .kh = 1, .kw = 1, .sy = 1, .sx = 1, .dy = 1};
    oct_rows_of(b, &s.w, &s.in_col, &s.out_col);
    s.ow = s.w;
    s.c = in->dim[in->rank - 1];
    s.in_channel = in->stride[in->rank - 1];
    s.out_channel = out->stride[out->rank - 1];
    s.in_row = s.w * s.in_col;
    s.out_row = s.ow * s.out_col;
    return s;
}

/* A window of one pixel that moves by one sees the image as one long row; it is cut where tiles then fit best. */
static void flatten(const struct oct_target *t, struct shape *s, int64_t vectors) {
    const int64_t pixels = s->h * s->w;
    if (s->kh * s->kw != 1 || s->sy * s->sx != 1 || s->oh * s->ow != pixels || s->in_row != s->w * s->in_col ||
        s->out_row != s->ow * s->out_col)
        return;
    int64_t best = 0, least = INT64_MAX;
    for (int64_t w = 1; w <= pixels && w <= LONG_ROW; w++) {
        int64_t cost;
        if (pixels % w) continue;
        oct_tf_vectors(t, w, vectors, false, &cost);
        if (cost * (pixels / w) > least) continue;
        least = cost * (pixels / w);
        best = w;
    }
    s->h = s->oh = pixels / best;
    s->w = s->ow = best;
    s->in_row = s->w * s->in_col;
    s->out_row = s->ow * s->out_col;
}

static int64_t seen_by(const struct shape *s, int64_t rows) { return (rows - 1) * s->sy + (s->kh - 1) * s->dy + 1; }
static int64_t cols_of(const struct shape *s) { return (s->ow - 1) * s->sx + s->kw; }

/* The largest divisor of n that is at most `most`. */
static int64_t divisor(int64_t n, int64_t most) {
    while (most > 1 && n % most) most--;
    return most;
}

/* ---- constants --------------------------------------------------------------------------------------------------------------
 */

static int64_t terms_of(const struct conv *v) { return v->s.kh * v->s.kw * v->s.c; }
static bool waits(const struct conv *v, int64_t vectors) {
    return terms_of(v) * 4 * vectors * v->lanes > SLICE_BYTES && v->rows * v->s.ow > OCT_TF_PIXELS;
}
/* Slices of a row of a window: 1 where no sums wait. */
static int64_t slices_of(const struct conv *v, int64_t vectors) {
    const int64_t row = v->s.kw * v->s.c, bytes = 4 * vectors * v->lanes;
    int64_t n = 1;
    if (!waits(v, vectors)) return 1;
    while (n < row && (row % n || row / n * bytes > SLICE_BYTES)) n++;
    return n;
}
/* Weights of a slice. */
static int64_t slice_of(const struct conv *v, int64_t vectors) {
    return v->s.kw * v->s.c / slices_of(v, vectors) * vectors * v->lanes;
}

static void add_part(struct conv *v, int64_t first, int64_t blocks, int64_t vectors, int64_t channels) {
    if (!blocks) return;
    struct oct_kbuild *b = v->b;
    const struct oct_type *w = &b->in[1].node->type;
    const int64_t block = vectors * v->lanes, terms = oct_type_elements(w, 1) / v->outputs;
    struct oct_pack pack = {.rank = w->rank, .ndims = w->rank + 1, .d = {{blocks, 0, block}}};
    for (int a = 0; a < w->rank; a++) pack.dim[a] = w->dim[a];
    pack.dim[0] -= first;
    int d = 1;
    for (int a = 2; a < w->rank; a++) pack.d[d++] = (struct oct_pack_dim){w->dim[a], a, 1}; /* kh, kw */
    pack.d[d++] = (struct oct_pack_dim){w->dim[1], 1, 1};
    pack.d[d] = (struct oct_pack_dim){block, 0, 1};
    const float *from = (const float *)b->in[1].node->data + first * terms;
    const int64_t n = oct_pack_elements(&pack), behind = waits(v, vectors) ? slice_of(v, vectors) : 0;
    float *packed = oct_pack_data(b->arena, &pack, LP_F32, from), *all = packed;
    if (behind) { /* a slice that nobody uses, which is asked for ahead */
        all = OCT_NEW_N(b->arena, float, n + behind);
        memcpy(all, packed, (size_t)n * sizeof *all);
    }
    struct part *p = &v->part[v->parts++];
    *p = (struct part){first, blocks, channels, (int)vectors, oct_k_const(b, "w", LP_F32, n + behind, all)};
}

/* How many rows are a band, whether chunks of blocks are the range instead, vectors of a block. */
static int64_t choose(struct conv *v, int64_t all) {
    const struct oct_target *t = v->b->target;
    struct shape *s = &v->s;
    int64_t cost, whole_cost;
    flatten(t, s, all);
    int64_t vectors = oct_tf_vectors(t, s->ow, all, false, &cost);
    v->rows = 1;
    for (int64_t rows = 1; rows <= s->oh && v->rows * s->ow < PIXELS; rows++)
        if (s->oh % rows == 0 && (!v->padded || seen_by(s, rows) * cols_of(s) * s->c * 4 <= PADDED_BYTES) &&
            rows * s->ow * vectors * v->lanes * 4 <= SUMS_BYTES)
            v->rows = rows;
    v->chunks = 1;
    if (s->oh / v->rows < FEW_BANDS && v->outputs % v->lanes == 0) {
        const int64_t whole = oct_tf_vectors(t, s->ow, all, true, &whole_cost), chunks = divisor(all / whole, CHUNKS);
        if (chunks > 1 && whole_cost <= cost + cost / 10) {
            vectors = whole;
            v->chunks = chunks;
            v->rows = s->oh;
        }
    }
    v->bands = s->oh / v->rows;
    return vectors;
}

static void open_all(struct conv *v) {
    struct oct_kbuild *b = v->b;
    struct shape *s = &v->s;
    const int64_t all = (v->outputs + v->lanes - 1) / v->lanes, vectors = choose(v, all), whole = vectors * v->lanes;
    if (v->padded) {
        v->in = (struct oct_wide){.b = b,
                                  .h = s->h,
                                  .w = s->w,
                                  .c = s->c,
                                  .row = s->in_row,
                                  .col = s->in_col,
                                  .channel = s->in_channel,
                                  .top = s->pad[0],
                                  .left = s->pad[1],
                                  .bands = v->bands,
                                  .step = v->chunks > 1 ? 0 : v->rows * s->sy,
                                  .seen = seen_by(s, v->rows),
                                  .cols = cols_of(s)};
        oct_wide_open(&v->in);
    }
    v->x = v->padded ? v->in.wide : oct_k_in(b, 0);
    v->x_col = v->padded ? s->c : s->in_col;
    v->x_row = v->padded ? v->in.cols * s->c : s->in_row;
    v->y = oct_k_out(b);
    const int64_t blocks = v->outputs / whole, rest = v->outputs % whole;
    add_part(v, 0, blocks, vectors, whole);
    if (rest) add_part(v, blocks * whole, 1, (rest + v->lanes - 1) / v->lanes, rest);
    int64_t given;
    const float *from = floats_of(b, 2, &given);
    float *bias = OCT_NEW_N(b->arena, float, all * v->lanes);
    for (int64_t o = 0; o < given; o++) bias[o] = from[o];
    v->bias = oct_k_const(b, "bias", LP_F32, all * v->lanes, bias);
    const bool wait = s->out_channel != 1 || waits(v, vectors);
    v->sums = wait ? oct_k_scratch(b, "sums", LP_F32, v->rows * s->ow * whole) : -1;
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------
 */

struct place {
    struct lp_addr x, y, w, channel, sums; /* inputs, result, weights, bias, sums that wait */
    struct lp_addr ahead;                  /* where in a slice of weights this tile asks for the next */
};

/* A vector, or its first `n` lanes, by powers of two. */
static void store_lanes(const struct conv *v, struct lp_addr to, struct lp_val x, int64_t n) {
    struct lp_kernel *k = v->b->k;
    if (n >= v->lanes) lp_store(k, v->y, to, x);
    else
        for (int64_t done = 0, size = v->lanes / 2; size; size /= 2) {
            if (n - done < size) continue;
            uint8_t lane[64];
            for (int64_t l = 0; l < size; l++) lane[l] = (uint8_t)(done + l);
            lp_store(k, v->y, lp_offset(to, done), lp_shuffle(k, NULL, x, x, (int)size, lane));
            done += size;
        }
}

static struct lp_val clamped(const struct conv *v, struct lp_val x) {
    return oct_r_clamp(v->b->k, x, v->b->node->at.clip[0], v->b->node->at.clip[1]);
}

/* Tiles of a band. */
static int64_t tiles_of(const struct conv *v, const struct part *p) {
    return v->rows * oct_tf_cut(v->b->target, v->s.ow, p->vectors).tiles;
}

/* Terms of `runs` x `length` for one tile: from the bias to the result, or from waiting sums to waiting sums. `next`: pixels that
 * surely follow. */
static void build_tile(const struct conv *v, const struct part *p, int pixels, int64_t next, int64_t runs, int64_t length,
                       const struct place *at) {
    struct lp_kernel *k = v->b->k;
    const struct lp_type f = lp_vector(LP_F32, v->lanes);
    const int64_t block = (int64_t)p->vectors * v->lanes;
    const bool waiting = v->sums >= 0;
    oct_tf_row acc[OCT_TF_PIXELS];
    for (int j = 0; j < p->vectors; j++)
        for (int q = 0; q < pixels; q++) {
            acc[q][j] = lp_reg(k, f, oct_sprintf(v->b->arena, "c%dp%d", j, q));
            if (waiting) lp_load_to(k, acc[q][j], v->sums, lp_offset(at->sums, q * block + j * v->lanes));
            else if (q) lp_set(k, acc[q][j], acc[0][j]);
            else lp_load_to(k, acc[q][j], v->bias, lp_offset(at->channel, (int64_t)j * v->lanes));
        }
    struct oct_tf_ahead ahead[OCT_TF_PIXELS];
    struct oct_tf_terms terms = {v->x, p->w, v->s.sx * v->x_col, v->s.dy * v->x_row, runs, length, 0, ahead};
    if (waits(v, p->vectors))
        ahead[terms.naheads++] =
            (struct oct_tf_ahead){p->w, lp_offset(at->ahead, length * block), length * block / tiles_of(v, p)};
    else /* the inputs of the next tile, which lie in short runs that the processor does not foresee */
        for (int q = 0; q < next; q++)
            ahead[terms.naheads++] = (struct oct_tf_ahead){v->x, lp_offset(at->x, (pixels + q) * terms.pixel), length};
    oct_tf_sum(v->b, &terms, v->fused, v->lanes, p->vectors, pixels, at->x, at->w, acc);
    for (int q = 0; q < pixels; q++)
        for (int j = 0; j < p->vectors; j++) {
            const int64_t first = (int64_t)j * v->lanes;
            if (waiting) lp_store(k, v->sums, lp_offset(at->sums, q * block + first), acc[q][j]);
            else store_lanes(v, lp_offset(at->y, q * v->s.out_col + first), clamped(v, acc[q][j]), p->channels - first);
        }
}

/* All tiles of a band. */
static void build_tiles(const struct conv *v, const struct part *p, int64_t runs, int64_t length, struct place at) {
    struct lp_kernel *k = v->b->k;
    const struct shape *s = &v->s;
    const int64_t block = (int64_t)p->vectors * v->lanes;
    const struct oct_tf_cut cut = oct_tf_cut(v->b->target, s->ow, p->vectors);
    const int64_t share = length * block / tiles_of(v, p);
    const bool streams = !v->padded && v->x_col >= STREAM && v->s.h * v->s.w * v->x_col > STREAMS;
    at.ahead = at.w;
    if (v->rows > 1) {
        const int32_t r = lp_loop(k, "line", v->rows);
        at.x = lp_plus(at.x, r, s->sy * v->x_row);
        at.y = lp_plus(at.y, r, s->out_row);
        at.sums = lp_plus(at.sums, r, s->ow * block);
        at.ahead = lp_plus(at.ahead, r, cut.tiles * share);
    }
    for (int small = 0; small < 2; small++) {
        const int64_t tiles = small ? cut.tiles - cut.larger : cut.larger, pixels = cut.pixels + !small;
        struct place tile = at;
        if (!tiles) continue;
        if (tiles > 1) {
            const int32_t t = lp_loop(k, "tile", tiles);
            tile.x = lp_plus(tile.x, t, pixels * s->sx * v->x_col);
            tile.y = lp_plus(tile.y, t, pixels * s->out_col);
            tile.sums = lp_plus(tile.sums, t, pixels * block);
            tile.ahead = lp_plus(tile.ahead, t, share);
        }
        build_tile(v, p, (int)pixels, small || !streams ? 0 : cut.pixels, runs, length, &tile);
        if (tiles > 1) lp_end(k);
        at.x = lp_offset(at.x, tiles * pixels * s->sx * v->x_col);
        at.y = lp_offset(at.y, tiles * pixels * s->out_col);
        at.sums = lp_offset(at.sums, tiles * pixels * block);
        at.ahead = lp_offset(at.ahead, tiles * share);
    }
    if (v->rows > 1) lp_end(k);
}

/* The bias to all sums of a band. */
static void start_sums(const struct conv *v, const struct part *p, const struct place *at) {
    struct lp_kernel *k = v->b->k;
    struct lp_val bias[OCT_TF_VECTORS];
    for (int j = 0; j < p->vectors; j++)
        bias[j] = lp_load(k, "b", lp_vector(LP_F32, v->lanes), v->bias, lp_offset(at->channel, (int64_t)j * v->lanes));
    struct lp_addr to = lp_at(0);
    if (v->rows * v->s.ow > 1) to = lp_plus(to, lp_loop(k, "pixel", v->rows * v->s.ow), (int64_t)p->vectors * v->lanes);
    for (int j = 0; j < p->vectors; j++) lp_store(k, v->sums, lp_offset(to, (int64_t)j * v->lanes), bias[j]);
    if (v->rows * v->s.ow > 1) lp_end(k);
}
/* Sums, clamped, to the result. */
static void finish_sums(const struct conv *v, const struct part *p, struct place at) {
    struct lp_kernel *k = v->b->k;
    const int64_t block = (int64_t)p->vectors * v->lanes, trips[] = {v->rows, v->s.ow}, to[] = {v->s.out_row, v->s.out_col},
                  from[] = {v->s.ow * block, block};
    int loops = 0;
    for (int i = 0; i < 2; i++) {
        if (trips[i] == 1) continue;
        const int32_t var = lp_loop(k, i ? "pixel" : "line", trips[i]);
        at.y = lp_plus(at.y, var, to[i]);
        at.sums = lp_plus(at.sums, var, from[i]);
        loops++;
    }
    if (v->s.out_channel == 1)
        for (int j = 0; j < p->vectors; j++) {
            const int64_t first = (int64_t)j * v->lanes;
            const struct lp_val x = lp_load(k, "sum", lp_vector(LP_F32, v->lanes), v->sums, lp_offset(at.sums, first));
            store_lanes(v, lp_offset(at.y, first), clamped(v, x), p->channels - first);
        }
    else {
        if (p->channels > 1) {
            const int32_t c = lp_loop(k, "c", p->channels);
            at.y = lp_plus(at.y, c, v->s.out_channel);
            at.sums = lp_plus(at.sums, c, 1);
            loops++;
        }
        lp_store(k, v->y, at.y, clamped(v, lp_load(k, "sum", lp_scalar(LP_F32), v->sums, at.sums)));
    }
    oct_k_close(v->b, loops);
}

static void build_block(const struct conv *v, const struct part *p, struct place at) {
    const struct shape *s = &v->s;
    const int64_t block = (int64_t)p->vectors * v->lanes, row = s->kw * s->c;
    if (v->sums < 0) {
        build_tiles(v, p, s->kh, row, at);
        return;
    }
    start_sums(v, p, &at);
    struct place now = at;
    const int64_t slices = slices_of(v, p->vectors), runs = waits(v, p->vectors) ? 1 : s->kh;
    int loops = 0;
    if (runs == 1) oct_k_loop(v->b, "ky", s->kh, &now.x, s->dy * v->x_row, &now.w, row * block, &loops);
    oct_k_loop(v->b, "slice", slices, &now.x, row / slices, &now.w, row / slices * block, &loops);
    build_tiles(v, p, runs, row / slices, now);
    oct_k_close(v->b, loops);
    finish_sums(v, p, at);
}

static bool build(struct oct_kbuild *b, struct shape s) {
    struct conv *v = OCT_NEW(b->arena, struct conv);
    *v = (struct conv){.b = b, .s = s, .outputs = b->in[1].node->type.dim[0], .fused = !b->strict_float};
    struct lp_kernel *k = b->k;
    k->isa = b->target->isa;
    v->lanes = oct_vec_lanes(b->target, LP_F32);
    v->padded =
        (s.pad[0] | s.pad[1] | s.pad[2] | s.pad[3]) != 0 || (s.c > 1 && s.in_channel != 1) || (s.kw > 1 && s.in_col != s.c);
    open_all(v);
    const struct oct_tf_cut cut = oct_tf_cut(b->target, v->s.ow, v->part[0].vectors);
    b->recipe = oct_sprintf(b->arena, "tile of %d pixels x %d channels%s", cut.pixels + (cut.larger > 0),
                            v->part[0].vectors * v->lanes, v->sums >= 0 && waits(v, v->part[0].vectors) ? ", sliced sums" : "");
    const bool chunked = v->chunks > 1;
    const int32_t task = lp_range(k, chunked ? "chunk" : "band", chunked ? v->chunks : v->bands);
    const int64_t down = chunked ? 0 : v->rows;
    struct lp_addr x = lp_at(b->in[0].at.offset), y = lp_plus(lp_at(b->out.at.offset), task, down * v->s.out_row);
    int images = 0;
    oct_k_loop(b, "n", v->s.images, &x, v->s.in_image, &y, v->s.out_image, &images);
    if (v->padded) oct_wide_build(&v->in, task, x);
    for (int i = 0; i < v->parts; i++) {
        const struct part *p = &v->part[i];
        const int64_t block = (int64_t)p->vectors * v->lanes, blocks = p->blocks / v->chunks, terms = terms_of(v);
        struct place at = {.x = v->padded ? lp_at(0) : lp_plus(x, task, down * v->s.sy * v->s.in_row),
                           .y = lp_offset(y, p->first * v->s.out_channel),
                           .channel = lp_at(p->first)};
        if (chunked) {
            at.y = lp_plus(at.y, task, blocks * block * v->s.out_channel);
            at.w = lp_plus(at.w, task, blocks * block * terms);
            at.channel = lp_plus(at.channel, task, blocks * block);
        }
        if (blocks > 1) {
            const int32_t n = lp_loop(k, "block", blocks);
            at.y = lp_plus(at.y, n, block * v->s.out_channel);
            at.w = lp_plus(at.w, n, block * terms);
            at.channel = lp_plus(at.channel, n, block);
        }
        build_block(v, p, at);
        if (blocks > 1) lp_end(k);
    }
    oct_k_close(b, images);
    lp_end(k);
    return true;
}
bool oct_build_conv2d_f32_vec(struct oct_kbuild *b) { return build(b, shape_of_conv(b)); }
bool oct_build_dense_f32_vec(struct oct_kbuild *b) { return build(b, shape_of_dense(b)); }
