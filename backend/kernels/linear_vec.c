/* linear_vec.c - conv2d and dense on 8-bit codes by vectors, exact for any weights: neighbouring codes of a row times the weights
 * of as many output channels as a vector has lanes. Pairs of codes widened to 16 bits (madd.h) serve every layer; quads of bytes
 * (dots.h) the blocks of channels whose weights allow it (recipe.h), or all where the ISA has dot4.
 *
 * A band of output rows first copies the input rows that it sees to scratch memory, 16 bits a code or as unsigned bytes, with the
 * padding around (wide.h); what lies like that already is read where it is. The kx and channels of one row of a window lie behind
 * each other there; pairs and quads run over both. The last one of a row reads codes beyond it, whose weights are 0. Weights are
 * 8 bits: w[block of channels][ky][pair][channel][2], w[block][ky][quad][channel][4]. */
#include <stdio.h>
#include <string.h>

#include "cost.h"
#include "layer.h"
#include "recipe.h"
#include "rq_vec.h"
#include "shape.h"
#include "vec.h"
#include "wide.h"
#include "window.h"

/* Blocks of channels that share a tile: `blocks` of `vectors` whole vectors each, the channels of the last maybe fewer. */
struct part {
    int how; /* recipe */
    int64_t blocks, channels;
    const int64_t *first; /* channel of each block */
    int vectors, pixels;
    int32_t w, table; /* buffers; table: of `first`, -1 where they are evenly spaced */
    int64_t piece;    /* of a band: number of its first block */
};
/* Where a recipe finds its codes. */
struct source {
    bool used, direct;
    struct oct_wide in; /* unless direct */
    int32_t codes;      /* buffer */
    int64_t pixel, pitch;
    struct lp_addr x;
};
struct conv {
    struct layer l;
    struct oct_shape s;
    struct oct_recipes r;
    struct oct_rqv rq;
    int lanes;
    struct part part[3];
    int parts;
    int64_t blocks; /* of all parts */
    struct source pairs, bytes;
    int32_t bias, staged, sums, ones; /* buffers; -1: not needed */
    int64_t staged_channels;
};

/* ---- fitting --------------------------------------------------------------------------------------------------------------- */

/* What both ops need. */
static const char *refuses(const struct oct_kbuild *b) {
    if (oct_dtype_size(b->in[0].node->type.dtype) != 1) return "input codes of 16 bits";
    if (!oct_layer_narrow(b)) return "weights of 16 bits";
    if (oct_layer_reach(b) >= OCT_RQV_LIMIT) return "sums of more than 32 bits";
    return NULL;
}
const char *oct_conv2d_vec_refuses(const struct oct_kbuild *b) {
    if (b->node->at.groups != 1) return "groups of channels";
    if (b->node->at.dilation[1] != 1) return "a window dilated along its rows";
    return refuses(b);
}
bool oct_fits_conv2d_vec(const struct oct_kbuild *b) {
    return b->target->vector_bits >= 256 && oct_layer_fits(b) && !oct_conv2d_vec_refuses(b);
}

const char *oct_dense_vec_refuses(const struct oct_kbuild *b) {
    int64_t rows, in_step, out_step;
    if (!oct_rows_of(b, &rows, &in_step, &out_step)) return "rows that lie unevenly in memory";
    return refuses(b);
}
bool oct_fits_dense_vec(const struct oct_kbuild *b) {
    return b->target->vector_bits >= 256 && oct_layer_fits(b) && !oct_dense_vec_refuses(b);
}

/* ---- ways -------------------------------------------------------------------------------------------------------------------
 */

/* Vector operations for all pixels of a row of the result for one block, a row of the window. */
static double block_cost(const struct oct_kbuild *b, const struct oct_shape *s, int how, int64_t pixels, int64_t vectors) {
    const int64_t length = s->kw * s->c;
    const bool looped = how == OCT_PAIRS || how > OCT_DOTS_AT_ONCE, /* sums of a tile in registers throughout a loop */
        full = looped && oct_madd_crowds(b->target, pixels, vectors);
    const double cost = how == OCT_PAIRS ? (double)((length + 1) / 2 * oct_madd_cost(s->ow, pixels, vectors))
                                         : oct_dots_cost(b->target, how, s->ow, pixels, vectors, (length + 3) / 4);
    return full ? cost * 1.1 : cost;
}
static int pixels_for(const struct oct_kbuild *b, const struct oct_shape *s, int how, int64_t vectors) {
    if (how != OCT_PAIRS) return oct_dots_pixels(b->target, how, s->ow, vectors);
    int best = 1;
    for (int p = 2; p <= oct_madd_most(b->target, vectors); p++)
        if (block_cost(b, s, how, p, vectors) < block_cost(b, s, how, best, vectors)) best = p;
    return best;
}
static int most_pixels(const struct oct_kbuild *b, int how, int64_t vectors) {
    return how == OCT_PAIRS ? oct_madd_most(b->target, vectors) : oct_dots_most(b->target, how, vectors);
}

/* Of all whole blocks of channels, those that a recipe fits, or does not fit: how many, and the first channel of each. */
static int64_t blocks_of(const struct oct_recipes *r, int how, int64_t block, bool fits, int64_t *first) {
    int64_t n = 0;
    for (int64_t o = 0; o + block <= r->outputs; o += block)
        if (oct_recipe_fits(r, how, o, block) == fits) {
            if (first) first[n] = o;
            n++;
        }
    return n;
}
static int recipe_of_rest(const struct oct_recipes *r, int how, int64_t block) {
    return oct_recipe_fits(r, how, r->outputs - r->outputs % block, block) ? how : OCT_PAIRS;
}

/* Scratch of each code for a recipe and for that of the blocks that it does not fit. */
static int64_t bytes_of_code(const struct oct_recipes *r, int how, bool refused) {
    return how == OCT_PAIRS ? 2 : refused && !r->direct ? 3 : refused ? 2 : 1;
}

static void offer(const struct oct_recipes *r, const struct oct_shape *whole, int how, int n, int pixels, struct oct_ways *out) {
    const struct oct_kbuild *b = r->b;
    const int lanes = b->target->vector_bits / 32;
    const int64_t block = (int64_t)n * lanes, fit = blocks_of(r, how, block, true, NULL),
                  not = blocks_of(r, how, block, false, NULL), rest = (r->outputs % block + lanes - 1) / lanes,
                  bytes = (r->outputs + lanes - 1) / lanes * lanes * r->rows * r->length;
    const int rest_how = rest ? recipe_of_rest(r, how, block) : how;
    if (how != OCT_PAIRS && !fit && (!rest || rest_how == OCT_PAIRS)) return;
    const bool refused = not || rest_how != how;
    const struct oct_shape s = oct_shape_cut(*whole, bytes_of_code(r, how, refused));
    double cost = (double)fit * block_cost(b, &s, how, pixels, n);
    if (not ) cost += (double)not *block_cost(b, &s, OCT_PAIRS, pixels_for(b, &s, OCT_PAIRS, n), n);
    if (rest) cost += block_cost(b, &s, rest_how, pixels_for(b, &s, rest_how, rest), rest);
    char name[8];
    oct_recipe_name(how, name);
    struct oct_way *w = oct_k_offer(out, "%s%s%dx%d", name, *name ? " " : "", pixels, n);
    snprintf(w->steps, sizeof w->steps, "%s", how == OCT_PAIRS ? "a" : how > OCT_DOTS_AT_ONCE ? "c" : name);
    w->recipe = how;
    w->pixels = pixels;
    w->vectors = n;
    const int64_t copied = s.images * s.bands * s.seen * s.cols * s.c * (r->direct && !refused ? 0 : refused && how ? 2 : 1);
    w->cycles = oct_cost_operations(b->target, (double)(s.images * s.oh * s.kh) * cost) +
                oct_cost_stream(b->target, bytes, s.images) + oct_cost_widen(b->target, copied) +
                oct_cost_finish(b->target, s.images * s.oh * s.ow * ((r->outputs + lanes - 1) / lanes));
}

/* Every tile of pairs that the registers hold, and the likeliest ones of the other recipes; what outputs are left over take the
 * pixels that cost them least. */
static void offer_all(const struct oct_kbuild *b, const struct oct_shape *whole, struct oct_ways *out) {
    const int lanes = b->target->vector_bits / 32;
    const struct oct_recipes r = oct_recipes_of(b, whole, b->arena);
    for (int i = 0, how; oct_recipe_at(b->target, i, &how); i++) {
        const struct oct_shape s = oct_shape_cut(*whole, bytes_of_code(&r, how, false));
        if (how > OCT_DOTS_AT_ONCE && 2 * (s.kw * s.c + 3) / 4 <= how) break; /* rows are too short */
        for (int n = 1; n <= OCT_MADD_VECTORS && n * lanes < r.outputs + lanes; n++) {
            if (how == OCT_PAIRS)
                for (int p = 1; p <= most_pixels(b, how, n) && p <= s.ow; p++) offer(&r, whole, how, n, p, out);
            else if (n <= 4 || n == OCT_MADD_VECTORS)
                for (int best = pixels_for(b, &s, how, n), p = best > 1 ? best - 1 : 1; p <= best; p++)
                    offer(&r, whole, how, n, p, out);
        }
    }
}
void oct_ways_conv2d_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct oct_shape s = oct_shape_of_conv(b);
    offer_all(b, &s, out);
}
void oct_ways_dense_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct oct_shape s = oct_shape_of_dense(b);
    offer_all(b, &s, out);
}

/* ---- constants --------------------------------------------------------------------------------------------------------------
 */

static int64_t groups_of(const struct conv *v, const struct part *p, int64_t *size) {
    *size = p->how == OCT_PAIRS ? 2 : 4;
    return (v->r.length + *size - 1) / *size;
}

static int32_t pack_part(struct conv *v, const struct part *p) {
    struct oct_kbuild *b = v->l.b;
    const struct oct_recipes *r = &v->r;
    const int64_t block = (int64_t)p->vectors * v->lanes, each = r->rows * r->length, n = (p->blocks - 1) * block + p->channels;
    int8_t *rows = OCT_NEW_N(b->arena, int8_t, n * each); /* block by block */
    for (int64_t i = 0; i < n; i++) memcpy(rows + i * each, r->w + (p->first[i / block] + i % block) * each, (size_t)each);
    int64_t size, groups = groups_of(v, p, &size);
    const struct oct_pack pack = {
        .rank = 3,
        .dim = {n, r->rows, r->length},
        .ndims = 5,
        .d = {{p->blocks, 0, block}, {r->rows, 1, 1}, {groups, 2, size}, {block, 0, 1}, {size, 2, 1}},
    };
    return oct_k_const(b, "w", LP_I8, oct_pack_elements(&pack), oct_pack_data(b->arena, &pack, LP_I8, rows));
}

/* From one block to the next where all are as far apart; 0: they are not. */
static int64_t distance(const struct part *p) {
    const int64_t d = p->blocks > 1 ? p->first[1] - p->first[0] : 1;
    for (int64_t i = 2; i < p->blocks; i++)
        if (p->first[i] - p->first[i - 1] != d) return 0;
    return d;
}

static void add_part(struct conv *v, struct part part) {
    struct oct_kbuild *b = v->l.b;
    if (!part.blocks) return;
    struct part *p = &v->part[v->parts++];
    *p = part;
    p->piece = v->blocks;
    v->blocks += p->blocks;
    p->w = pack_part(v, p);
    p->table = -1;
    if (!distance(p)) {
        int32_t *first = OCT_NEW_N(b->arena, int32_t, p->blocks);
        for (int64_t i = 0; i < p->blocks; i++) first[i] = (int32_t)p->first[i];
        p->table = oct_k_const(b, "blocks", LP_I32, p->blocks, first);
    }
    (p->how == OCT_PAIRS ? &v->pairs : &v->bytes)->used = true;
}
static void plan_parts(struct conv *v) {
    struct oct_kbuild *b = v->l.b;
    const struct oct_way *way = &b->way;
    const int64_t block = (int64_t)way->vectors * v->lanes, all = v->l.outputs / block, rest = v->l.outputs % block;
    for (int fits = 1; fits >= 0; fits--) {
        struct part p = {.how = fits ? way->recipe : OCT_PAIRS, .channels = block, .vectors = way->vectors};
        int64_t *first = OCT_NEW_N(b->arena, int64_t, all + 1);
        p.blocks = blocks_of(&v->r, way->recipe, block, fits, first);
        p.first = first;
        p.pixels = fits ? way->pixels : pixels_for(b, &v->s, OCT_PAIRS, way->vectors);
        add_part(v, p);
    }
    if (!rest) return;
    struct part p = {.how = recipe_of_rest(&v->r, way->recipe, block), .blocks = 1, .channels = rest};
    int64_t *first = OCT_NEW(b->arena, int64_t);
    *first = all * block;
    p.first = first;
    p.vectors = (int)((rest + v->lanes - 1) / v->lanes);
    p.pixels = pixels_for(b, &v->s, p.how, p.vectors);
    add_part(v, p);
}

static void open_source(struct conv *v, struct source *from, bool bytes) {
    const struct oct_shape *s = &v->s;
    if (!from->used) return;
    from->direct = bytes && v->r.direct;
    from->pixel = s->sx * (from->direct ? s->in_col : s->c);
    from->pitch = from->direct ? s->in_row : s->pitch;
    if (from->direct) {
        from->codes = oct_k_in(v->l.b, 0);
        return;
    }
    from->in = (struct oct_wide){.b = v->l.b,
                                 .h = s->h,
                                 .w = s->w,
                                 .c = s->c,
                                 .row = s->in_row,
                                 .col = s->in_col,
                                 .channel = s->in_channel,
                                 .top = s->pad[0],
                                 .left = s->pad[1],
                                 .bands = s->bands,
                                 .step = s->rows * s->sy,
                                 .seen = s->seen,
                                 .cols = s->cols,
                                 .bytes = bytes,
                                 .lowest = v->r.lowest};
    oct_wide_open(&from->in);
    from->codes = from->in.wide;
    from->x = lp_at(0);
}

/* Bias of each channel, where the requantizer wants sums to start; bytes are less the lowest code. */
static void open_bias(struct conv *v, int64_t padded) {
    struct oct_kbuild *b = v->l.b;
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, padded + v->lanes);
    for (int i = 0; i < v->parts; i++) {
        const struct part *p = &v->part[i];
        const int64_t block = (int64_t)p->vectors * v->lanes;
        for (int64_t c = 0; c < (p->blocks - 1) * block + p->channels; c++) {
            const int64_t o = p->first[c / block] + c % block;
            int64_t sum = v->l.bias[o];
            for (int64_t t = 0; p->how != OCT_PAIRS && t < v->l.terms; t++)
                sum += (int64_t)v->r.lowest * v->l.w[o * v->l.terms + t];
            bias[o] = (int32_t)(uint32_t)(uint64_t)sum;
        }
    }
    const struct oct_rqv_sums sums = {.lo = v->l.lo, .hi = v->l.hi, .padded = padded + v->lanes, .bias = bias};
    oct_rqv_begin(&v->rq, b, &v->l.rq, &sums);
    v->bias = oct_k_const(b, "bias", LP_I32, padded + v->lanes, bias);
}

static void open_all(struct conv *v) {
    struct layer *l = &v->l;
    struct oct_kbuild *b = l->b;
    const struct oct_shape *s = &v->s;
    const int64_t padded = (l->outputs + v->lanes - 1) / v->lanes * v->lanes;
    l->y = oct_k_out(b);
    open_source(v, &v->pairs, false);
    open_source(v, &v->bytes, true);
    open_bias(v, padded);
    v->sums = v->staged = v->ones = -1;
    if (v->bytes.used && b->way.recipe > 0) v->ones = oct_dots_ones(b, v->lanes);
    int64_t most = 0; /* vectors of a tile that is summed in 16 bits first */
    for (int i = 0; i < v->parts; i++) {
        const struct part *p = &v->part[i];
        if (p->how > OCT_DOTS_AT_ONCE && p->pixels * p->vectors > most) most = p->pixels * p->vectors;
    }
    if (2 * most > b->target->registers / 2) v->sums = oct_k_scratch(b, "sums", LP_I32, most * v->lanes);
    if (s->out_channel != 1) {
        v->staged_channels = padded;
        v->staged = oct_k_scratch(b, "codes", oct_k_elem(b->node->type.dtype), s->rows * s->ow * padded);
    }
}

/* ---- tiles -------------------------------------------------------------------------------------------------------------------
 */

struct place {
    struct lp_addr x, y, w, channel; /* codes, result, weights, words of the channels */
};
static const struct source *source_of(const struct conv *v, const struct part *p) {
    return p->how == OCT_PAIRS ? &v->pairs : &v->bytes;
}

static void build_sums(struct conv *v, const struct part *p, int pixels, const struct place *at, oct_madd_row *acc) {
    const struct source *from = source_of(v, p);
    int64_t size;
    const int64_t groups = groups_of(v, p, &size), step = v->s.dy * from->pitch;
    if (p->how == OCT_PAIRS) {
        const struct oct_madd sum = {.b = v->l.b,
                                     .lanes = v->lanes,
                                     .vectors = p->vectors,
                                     .codes = from->codes,
                                     .weights = p->w,
                                     .pixel = from->pixel,
                                     .runs = v->s.kh,
                                     .step = step,
                                     .pairs = groups};
        oct_madd_build(&sum, pixels, at->x, at->w, acc);
    } else {
        const struct oct_dots sum = {.b = v->l.b,
                                     .how = p->how,
                                     .lanes = v->lanes,
                                     .vectors = p->vectors,
                                     .codes = from->codes,
                                     .weights = p->w,
                                     .pixel = from->pixel,
                                     .runs = v->s.kh,
                                     .step = step,
                                     .quads = groups,
                                     .ones = v->ones,
                                     .sums = v->sums};
        oct_dots_build(&sum, pixels, at->x, at->w, acc);
    }
}

static void build_tile(struct conv *v, const struct part *p, int pixels, const struct place *at) {
    struct oct_kbuild *b = v->l.b;
    struct lp_kernel *k = b->k;
    oct_madd_row acc[OCT_MADD_PIXELS];
    for (int i = 0; i < p->vectors; i++) {
        const struct lp_val bias =
            lp_load(k, "b", lp_vector(LP_I32, v->lanes), v->bias, lp_offset(at->channel, (int64_t)i * v->lanes));
        for (int q = 0; q < pixels; q++) {
            acc[q][i] = lp_reg(k, lp_vector(LP_I32, v->lanes), oct_sprintf(b->arena, "c%dp%d", i, q));
            lp_set(k, acc[q][i], bias);
        }
    }
    build_sums(v, p, pixels, at, acc);
    struct oct_rqv_piece piece[OCT_MADD_PIXELS * OCT_MADD_VECTORS];
    const bool staged = v->staged >= 0;
    for (int i = 0; i < p->vectors; i++) {
        const int64_t first = (int64_t)i * v->lanes, left = p->channels - first;
        const struct oct_rqv_loaded words = oct_rqv_words(&v->rq, lp_offset(at->channel, first));
        for (int q = 0; q < pixels; q++)
            piece[q * p->vectors + i] =
                (struct oct_rqv_piece){oct_rqv_codes(&v->rq, &words, acc[q][i]),
                                       lp_offset(at->y, q * (staged ? v->staged_channels : v->s.out_col) + first),
                                       (int)(staged || left > v->lanes ? v->lanes : left)};
    }
    oct_rqv_store(&v->rq, staged ? v->staged : v->l.y, pixels * p->vectors, piece);
}

/* The channel that block i of a part begins with, added to an address that moves by one from channel to channel. */
static struct lp_addr at_block(struct lp_kernel *k, const struct part *p, struct lp_addr at, int32_t i) {
    if (p->table < 0) return lp_plus(at, i, distance(p));
    const int64_t last = p->first[p->blocks - 1];
    struct lp_val first = lp_load(k, "first", lp_scalar(LP_I32), p->table, lp_plus(lp_at(0), i, 1));
    first = lp_op2(k, "first", LP_OP_max, first, lp_int(LP_I32, 0)); /* for the verifier, which does not know the table */
    return lp_indexed(at, lp_op2(k, "first", LP_OP_min, first, lp_int(LP_I32, last)), 0, last);
}

/* All pixels of a band for all blocks of a part. */
static void build_part(struct conv *v, const struct part *p, struct lp_addr y) {
    struct lp_kernel *k = v->l.b->k;
    const struct oct_shape *s = &v->s;
    const struct source *from = source_of(v, p);
    const int64_t block = (int64_t)p->vectors * v->lanes, col = v->staged >= 0 ? v->staged_channels : s->out_col,
                  row = v->staged >= 0 ? s->ow * col : s->out_row, first = p->table < 0 ? p->first[0] : 0;
    struct place at = {.x = from->x, .y = lp_offset(y, first), .w = lp_at(0), .channel = lp_at(first)};
    const bool loop = p->blocks > 1 || k->pieces > 1;
    if (loop) {
        int64_t size;
        const int64_t groups = groups_of(v, p, &size);
        const int32_t i = lp_piece(k, "block", p->piece, p->blocks);
        at.channel = at_block(k, p, at.channel, i);
        at.y = p->table < 0 ? lp_plus(at.y, i, distance(p)) : lp_indexed(at.y, at.channel.index, 0, at.channel.index_max);
        at.w = lp_plus(at.w, i, s->kh * groups * size * block);
    }
    if (s->rows > 1) {
        const int32_t r = lp_loop(k, "line", s->rows);
        at.x = lp_plus(at.x, r, s->sy * from->pitch);
        at.y = lp_plus(at.y, r, row);
    }
    const int64_t tiles = s->ow / p->pixels, rest = s->ow % p->pixels;
    struct place tile = at;
    if (tiles > 1) {
        const int32_t t = lp_loop(k, "tile", tiles);
        tile.x = lp_plus(tile.x, t, p->pixels * from->pixel);
        tile.y = lp_plus(tile.y, t, p->pixels * col);
    }
    build_tile(v, p, p->pixels, &tile);
    if (tiles > 1) lp_end(k);
    if (rest) {
        at.x = lp_offset(at.x, tiles * p->pixels * from->pixel);
        at.y = lp_offset(at.y, tiles * p->pixels * col);
        build_tile(v, p, (int)rest, &at);
    }
    oct_k_close(v->l.b, loop + (s->rows > 1));
}

/* From codes by pixel to where the result wants them. */
static void build_unstaging(struct conv *v, struct lp_addr y) {
    struct lp_kernel *k = v->l.b->k;
    const struct oct_shape *s = &v->s;
    const int64_t trips[] = {s->rows, s->ow, v->l.outputs}, from[] = {s->ow * v->staged_channels, v->staged_channels, 1},
                  to[] = {s->out_row, s->out_col, s->out_channel};
    static const char *const names[] = {"line", "col", "c"};
    struct lp_addr at = lp_at(0);
    int loops = 0;
    for (int i = 0; i < 3; i++) {
        if (trips[i] == 1) continue;
        const int32_t var = lp_loop(k, names[i], trips[i]);
        at = lp_plus(at, var, from[i]);
        y = lp_plus(y, var, to[i]);
        loops++;
    }
    const enum lp_elem e = k->buf[v->staged].elem;
    lp_store(k, v->l.y, y, lp_load(k, NULL, lp_scalar(e), v->staged, at));
    oct_k_close(v->l.b, loops);
}

static void explain(struct conv *v) {
    struct oct_kbuild *b = v->l.b;
    const int how = b->way.recipe, block = b->way.vectors * v->lanes;
    const char *what = how == OCT_PAIRS  ? "pairs of 16 bits"
                       : how == OCT_DOT4 ? "four bytes a step"
                       : how == 1        ? "pairs of bytes"
                                         : oct_sprintf(b->arena, "%d pairs of bytes added in 16 bits", how);
    b->recipe = oct_sprintf(b->arena, "%s, tile of %d pixels x %d channels", what, b->way.pixels, block);
    oct_recipe_explain(&v->r, b, how, block);
}

static bool build(struct oct_kbuild *b, struct oct_shape (*shape_of)(const struct oct_kbuild *)) {
    struct conv *v = OCT_NEW(b->arena, struct conv);
    if (!oct_layer_plan(&v->l, b)) return false;
    const struct oct_shape whole = shape_of(b);
    struct lp_kernel *k = b->k;
    const int how = b->way.recipe;
    v->lanes = b->target->vector_bits / 32;
    v->r = oct_recipes_of(b, &whole, b->arena);
    const int64_t block = (int64_t)b->way.vectors * v->lanes;
    const bool refused =
        blocks_of(&v->r, how, block, false, NULL) || (v->l.outputs % block && recipe_of_rest(&v->r, how, block) != how);
    v->s = oct_shape_cut(whole, bytes_of_code(&v->r, how, refused));
    /* blocks of channels are pieces; codes that are staged are moved for all channels at once */
    const int64_t pieces = b->threads > 1 && v->s.out_channel == 1 ? (v->l.outputs + block - 1) / block : 1;
    oct_shape_share(b, &v->s, pieces, b->way.pixels);
    plan_parts(v);
    open_all(v);
    explain(v);
    const int32_t band = lp_range_of(k, "band", v->s.bands, pieces);
    struct lp_addr x = lp_at(b->in[0].at.offset), y = lp_plus(lp_at(b->out.at.offset), band, v->s.rows * v->s.out_row);
    const bool batch = v->s.images > 1;
    if (batch) {
        const int32_t n = lp_loop(k, "n", v->s.images);
        x = lp_plus(x, n, v->s.in_image);
        y = lp_plus(y, n, v->s.out_image);
    }
    if (v->bytes.direct) v->bytes.x = lp_plus(x, band, v->s.rows * v->s.in_row);
    if (v->pairs.used) oct_wide_build(&v->pairs.in, band, x);
    if (v->bytes.used && !v->bytes.direct) oct_wide_build(&v->bytes.in, band, x);
    for (int i = 0; i < v->parts; i++) build_part(v, &v->part[i], v->staged >= 0 ? lp_at(0) : y);
    if (v->staged >= 0) build_unstaging(v, y);
    if (batch) lp_end(k);
    lp_end(k);
    return true;
}
bool oct_build_conv2d_vec(struct oct_kbuild *b) { return build(b, oct_shape_of_conv); }
bool oct_build_dense_vec(struct oct_kbuild *b) { return build(b, oct_shape_of_dense); }
