/* linear_vec.c - conv2d and dense on 8-bit codes by vectors, exact for any weights: pairs of neighbouring codes of a row, widened
 * to 16 bits, times the pairs of weights of as many output channels as a vector has lanes (madd16).
 *
 * A band of output rows first copies the input rows that it sees to scratch memory, 16 bits a code, with the padding around
 * (wide.h). The kx and channels of one row of a window lie behind each other there; pairs run over both. An odd one out reads one
 * code more, whose weight is 0. Weights stay 8 bits and widen on load: w[block of channels][ky][pair][channel][2]. */
#include "cost.h"
#include "layer.h"
#include "madd.h"
#include "rq_vec.h"
#include "vec.h"
#include "wide.h"
#include "window.h"

enum { SCRATCH_BYTES = 64 * 1024 };

/* Where the rows of the input lie and how many are seen at once. */
struct shape {
    int64_t images, h, w, c; /* input */
    int64_t oh, ow;          /* output */
    int64_t kh, kw, sy, sx, dy, pad[4];
    int64_t in_row, in_col, in_channel, out_row, out_col, out_channel; /* strides */
    int64_t rows, bands;                                               /* output rows of a band */
    int64_t seen, cols;                                                /* rows and columns of scratch */
    int64_t pitch;                                                     /* of a row of scratch, in codes */
    int64_t in_image, out_image;
};
/* Blocks of channels that share a tile: `blocks` of `vectors` whole vectors each, the channels of the last maybe fewer. */
struct part {
    int64_t first, blocks, channels;
    int vectors, pixels;
    int32_t w;
};
struct conv {
    struct layer l;
    struct shape s;
    struct oct_rqv rq;
    int lanes;
    int64_t pairs; /* of one row of a window */
    struct part part[2];
    int parts;
    struct oct_wide in;
    int32_t bias, staged; /* buffers; -1: not needed */
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

/* ---- shape ------------------------------------------------------------------------------------------------------------------
 */

/* A window of one pixel that moves by one sees the image as one long row; it is cut where that divides it. */
static bool is_flat(const struct shape *s) {
    return s->kh == 1 && s->kw == 1 && s->sy == 1 && s->sx == 1 && !(s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) &&
           s->in_row == s->w * s->in_col && s->out_row == s->ow * s->out_col;
}

static int64_t seen_by(const struct shape *s, int64_t rows) { return (rows - 1) * s->sy + (s->kh - 1) * s->dy + 1; }

/* What follows from the rest: parts of a long row, bands, scratch. */
static struct shape finished(struct shape s) {
    if (is_flat(&s)) {
        const int64_t pixels = s.h * s.w, most = SCRATCH_BYTES / 2 / s.c;
        int64_t parts = 1;
        while (parts < pixels && (pixels % parts || pixels / parts > most)) parts++;
        s.h = s.oh = parts;
        s.w = s.ow = pixels / parts;
        s.in_row = s.w * s.in_col;
        s.out_row = s.ow * s.out_col;
    }
    s.cols = (s.ow - 1) * s.sx + s.kw;
    s.pitch = s.cols * s.c;
    s.rows = 1;
    for (int64_t rows = 2; rows <= s.oh; rows++) /* as many as divide the rows and fit */
        if (s.oh % rows == 0 && seen_by(&s, rows) * s.pitch * 2 <= SCRATCH_BYTES) s.rows = rows;
    s.bands = s.oh / s.rows;
    s.seen = seen_by(&s, s.rows);
    return s;
}

static struct shape shape_of_conv(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_attrs *at = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    struct shape s = {
        .images = out->dim[0],
        .in_image = in->stride[0],
        .out_image = out->stride[0],
        .c = in->dim[1],
        .in_channel = in->stride[1],
        .out_channel = out->stride[1],
        .h = in->dim[2],
        .oh = out->dim[2],
        .kh = w->dim[2],
        .sy = at->stride[0],
        .dy = at->dilation[0],
        .in_row = in->stride[2],
        .out_row = out->stride[2],
        .w = in->dim[3],
        .ow = out->dim[3],
        .kw = w->dim[3],
        .sx = at->stride[1],
        .in_col = in->stride[3],
        .out_col = out->stride[3],
    };
    for (int i = 0; i < 4; i++) s.pad[i] = at->pad[i];
    return finished(s);
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
    if (s.w == 1) s.in_col = s.c;
    s.in_row = s.w * s.in_col;
    s.out_row = s.ow * s.out_col;
    return finished(s);
}

/* ---- ways -------------------------------------------------------------------------------------------------------------------
 */

/* Every tile that the registers hold; what outputs are left over take the pixels that cost them least. */
static void offer_tiles(const struct oct_kbuild *b, const struct shape *s, struct oct_ways *out) {
    const struct oct_target *t = b->target;
    const int lanes = t->vector_bits / 32;
    const int64_t outputs = b->in[1].node->type.dim[0], all = (outputs + lanes - 1) / lanes,
                  turns = s->oh * s->kh * ((s->kw * s->c + 1) / 2),
                  weights = oct_cost_weights(s->kh * s->kw * s->c * all * lanes, 1);
    for (int n = 1; n <= OCT_MADD_VECTORS && n <= all; n++) {
        const int64_t rest = all % n, resting = rest ? oct_madd_cost(s->ow, oct_madd_pixels(t, s->ow, rest), rest) : 0;
        for (int p = 1; p <= oct_madd_most(t, n) && p <= s->ow; p++) {
            struct oct_way *w = oct_k_offer(out, "%dx%d", p, n);
            w->pixels = p;
            w->vectors = n;
            w->cycles = (double)(s->images * (turns * (all / n * oct_madd_cost(s->ow, p, n) + resting) + weights)) / 4;
        }
    }
}
void oct_ways_conv2d_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct shape s = shape_of_conv(b);
    offer_tiles(b, &s, out);
}
void oct_ways_dense_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct shape s = shape_of_dense(b);
    offer_tiles(b, &s, out);
}

/* ---- constants --------------------------------------------------------------------------------------------------------------
 */

static int32_t pack_part(struct conv *v, const struct part *p) {
    struct oct_kbuild *b = v->l.b;
    const struct shape *s = &v->s;
    const int64_t block = (int64_t)p->vectors * v->lanes, row = s->kw * s->c, given = v->l.outputs - p->first;
    int8_t *rows = OCT_NEW_N(b->arena, int8_t, given * s->kh * row); /* [output][ky][kx, channel] */
    for (int64_t o = 0; o < given; o++)
        for (int64_t i = 0; i < s->kh * row; i++) {
            const int64_t ky = i / row, kx = i % row / s->c, c = i % s->c;
            rows[o * s->kh * row + i] = (int8_t)v->l.w[(p->first + o) * v->l.terms + (c * s->kh + ky) * s->kw + kx];
        }
    const struct oct_pack pack = {
        .rank = 3,
        .dim = {given, s->kh, row},
        .ndims = 5,
        .d = {{p->blocks, 0, block}, {s->kh, 1, 1}, {v->pairs, 2, 2}, {block, 0, 1}, {2, 2, 1}},
    };
    return oct_k_const(b, "w", LP_I8, oct_pack_elements(&pack), oct_pack_data(b->arena, &pack, LP_I8, rows));
}

static void add_part(struct conv *v, int64_t first, int64_t blocks, int pixels, int64_t vectors, int64_t channels) {
    if (!blocks) return;
    struct part *p = &v->part[v->parts++];
    *p = (struct part){.first = first, .blocks = blocks, .channels = channels, .vectors = (int)vectors, .pixels = pixels};
    p->w = pack_part(v, p);
}

static void open_all(struct conv *v) {
    struct layer *l = &v->l;
    struct oct_kbuild *b = l->b;
    const struct shape *s = &v->s;
    const int64_t all = (l->outputs + v->lanes - 1) / v->lanes, padded = all * v->lanes;
    const int64_t whole = (int64_t)b->way.vectors * v->lanes;
    v->in = (struct oct_wide){.b = b,
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
                              .cols = s->cols};
    oct_wide_open(&v->in);
    l->y = oct_k_out(b);
    const int64_t blocks = l->outputs / whole, rest = l->outputs % whole;
    add_part(v, 0, blocks, b->way.pixels, b->way.vectors, whole);
    const int64_t more = (rest + v->lanes - 1) / v->lanes;
    if (rest) add_part(v, blocks * whole, 1, oct_madd_pixels(b->target, s->ow, more), more, rest);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, padded + v->lanes);
    for (int64_t o = 0; o < l->outputs; o++) bias[o] = (int32_t)(uint32_t)(uint64_t)l->bias[o];
    v->bias = oct_k_const(b, "bias", LP_I32, padded + v->lanes, bias);
    oct_rqv_open(&v->rq, b, &l->rq, l->lo, l->hi, padded + v->lanes);
    v->staged = -1;
    if (s->out_channel != 1) {
        v->staged_channels = padded;
        v->staged = oct_k_scratch(b, "codes", oct_k_elem(b->node->type.dtype), s->rows * s->ow * padded);
    }
}

/* ---- tiles -------------------------------------------------------------------------------------------------------------------
 */

struct place {
    struct lp_addr x, y, w, channel; /* codes in scratch, result, weights, words of the channels */
};

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
    const struct oct_madd sum = {.b = b,
                                 .lanes = v->lanes,
                                 .vectors = p->vectors,
                                 .codes = v->in.wide,
                                 .weights = p->w,
                                 .pixel = v->s.sx * v->s.c,
                                 .runs = v->s.kh,
                                 .step = v->s.dy * v->s.pitch,
                                 .pairs = v->pairs};
    oct_madd_build(&sum, pixels, at->x, at->w, acc);
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

/* All pixels of a band for all blocks of a part. */
static void build_part(struct conv *v, const struct part *p, struct lp_addr y) {
    struct lp_kernel *k = v->l.b->k;
    const struct shape *s = &v->s;
    const int64_t block = (int64_t)p->vectors * v->lanes, col = v->staged >= 0 ? v->staged_channels : s->out_col,
                  row = v->staged >= 0 ? s->ow * col : s->out_row;
    struct place at = {.x = lp_at(0), .y = lp_offset(y, p->first), .w = lp_at(0), .channel = lp_at(p->first)};
    if (p->blocks > 1) {
        const int32_t i = lp_loop(k, "block", p->blocks);
        at.y = lp_plus(at.y, i, block);
        at.w = lp_plus(at.w, i, s->kh * v->pairs * 2 * block);
        at.channel = lp_plus(at.channel, i, block);
    }
    if (s->rows > 1) {
        const int32_t r = lp_loop(k, "line", s->rows);
        at.x = lp_plus(at.x, r, s->sy * s->pitch);
        at.y = lp_plus(at.y, r, row);
    }
    const int64_t tiles = s->ow / p->pixels, rest = s->ow % p->pixels;
    struct place tile = at;
    if (tiles > 1) {
        const int32_t t = lp_loop(k, "tile", tiles);
        tile.x = lp_plus(tile.x, t, p->pixels * s->sx * s->c);
        tile.y = lp_plus(tile.y, t, p->pixels * col);
    }
    build_tile(v, p, p->pixels, &tile);
    if (tiles > 1) lp_end(k);
    if (rest) {
        at.x = lp_offset(at.x, tiles * p->pixels * s->sx * s->c);
        at.y = lp_offset(at.y, tiles * p->pixels * col);
        build_tile(v, p, (int)rest, &at);
    }
    oct_k_close(v->l.b, (p->blocks > 1) + (s->rows > 1));
}

/* From codes by pixel to where the result wants them. */
static void build_unstaging(struct conv *v, struct lp_addr y) {
    struct lp_kernel *k = v->l.b->k;
    const struct shape *s = &v->s;
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

static bool build(struct oct_kbuild *b, struct shape (*shape_of)(const struct oct_kbuild *)) {
    struct conv *v = OCT_NEW(b->arena, struct conv);
    if (!oct_layer_plan(&v->l, b)) return false;
    v->s = shape_of(b);
    v->lanes = b->target->vector_bits / 32;
    v->pairs = (v->s.kw * v->s.c + 1) / 2;
    open_all(v);
    const struct part *p = &v->part[0];
    b->recipe = oct_sprintf(b->arena, "pairs of 16 bits, tile of %d pixels x %d channels", p->pixels, p->vectors * v->lanes);
    struct lp_kernel *k = b->k;
    const int32_t band = lp_range(k, "band", v->s.bands);
    struct lp_addr x = lp_at(b->in[0].at.offset), y = lp_plus(lp_at(b->out.at.offset), band, v->s.rows * v->s.out_row);
    const bool batch = v->s.images > 1;
    if (batch) {
        const int32_t n = lp_loop(k, "n", v->s.images);
        x = lp_plus(x, n, v->s.in_image);
        y = lp_plus(y, n, v->s.out_image);
    }
    oct_wide_build(&v->in, band, x);
    for (int i = 0; i < v->parts; i++) build_part(v, &v->part[i], v->staged >= 0 ? lp_at(0) : y);
    if (v->staged >= 0) build_unstaging(v, y);
    if (batch) lp_end(k);
    lp_end(k);
    return true;
}
bool oct_build_conv2d_vec(struct oct_kbuild *b) { return build(b, shape_of_conv); }
bool oct_build_dense_vec(struct oct_kbuild *b) { return build(b, shape_of_dense); }
