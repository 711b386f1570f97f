/* depthwise_vec.c - depthwise convolution of 8-bit codes with channels in lanes: NHWC, no scratch memory.
 *
 * Two input rows, interleaved channel by channel and widened to 16 bits, make a pair: one pair step (madd16) of a pair and its
 * two weights is two taps of `lanes` channels. A tile is some neighbouring pixels of one or two output rows, whose sums stay in
 * registers, as do the weights of one pair of rows; columns of pairs are made one after the other, and each serves all sums of
 * the tile that see it. A pair of which an output row sees one row has weight 0 for the other. Places outside the image and its
 * border are the zero point, put in while the code is built: bands of rows and runs of tiles with the same taps inside share
 * their code, so a border above and below (OCT_K_BORDER_ROWS) leaves one band to build. The last block of channels overlaps the
 * one before where the lanes do not divide them. */
#include "cost.h"
#include "layer.h"
#include "map.h"
#include "rq_vec.h"
#include "vec.h"
#include "window.h"

enum { MAX_ROWS = 2, MAX_TAPS = 64, MAX_PIXELS = 8, LEAST_CHANNELS = 4 };

struct depthwise {
    struct layer l;
    struct oct_rqv rq;
    int32_t bias, *times;
    int lanes;                                    /* channels at once */
    int rows, pairs;                              /* of a band: output rows, pairs of input rows */
    int pixels;                                   /* of a tile, in each row */
    int64_t kw;                                   /* columns of a window */
    int32_t w;                                    /* buffer */
    int64_t block_words;                          /* of w: i16 of a block of channels */
    int64_t weight[MAX_ROWS][MAX_TAPS][MAX_TAPS]; /* by output row, pair, column: place in a block, -1: no tap */
    struct lp_val zero;
    int64_t size;         /* blocks of a unit */
    int32_t unit, starts; /* variable; first channels of blocks, -1: they follow each other */
};
/* Bands that see the same rows of the image and its border: input rows [from, to) of a band's are inside. */
struct bands {
    int64_t first, count, step; /* output rows */
    int64_t from, to;
};
/* Where a tile's window and result lie. */
struct tile {
    struct lp_addr x, y, w, channel;
    const struct bands *in;
    int64_t from, to; /* columns inside */
};

/* ---- fitting
 * -------------------------------------------------------------------------------------------------------------------- */

static bool eight_bits(const struct oct_kbuild *b) {
    return oct_dtype_size(b->in[0].node->type.dtype) == 1 && oct_dtype_size(b->node->type.dtype) == 1;
}
static bool is_depthwise(const struct oct_kbuild *b) {
    const struct oct_type *w = &b->in[1].node->type;
    return w->dim[1] == 1 && w->dim[0] == b->node->at.groups && b->node->at.groups > 1;
}

const char *oct_depthwise_vec_refuses(const struct oct_kbuild *b) {
    const struct oct_type *w = &b->in[1].node->type;
    if (!eight_bits(b)) return "codes of 16 bits";
    if (w->dim[2] * w->dim[3] > MAX_TAPS) return "a window of more than 64 taps";
    if (b->in[0].at.stride[1] != 1 || b->out.at.stride[1] != 1) return "channels that are no neighbours in memory";
    if (w->dim[0] < LEAST_CHANNELS) return "less than 4 channels";
    if (oct_layer_reach(b) >= OCT_RQV_LIMIT) return "sums of more than 32 bits";
    return NULL;
}
bool oct_fits_depthwise_vec(const struct oct_kbuild *b) {
    return b->target->vector_bits >= 256 && oct_layer_fits(b) && is_depthwise(b) && !oct_depthwise_vec_refuses(b);
}

/* Tiles of one output row or two. For each vector of channels every sum takes its pair steps and additions, and its
 * requantization; columns of pairs are loaded, interleaved and widened once for a tile. */
static int pairs_of(const struct oct_kbuild *b, int rows) {
    return (int)(((rows - 1) * b->node->at.stride[0] + b->in[1].node->type.dim[2] + 1) / 2);
}
/* Pair steps of a column: output rows times the pairs that each sees a row of. */
static int steps_of(const struct oct_kbuild *b, int rows) {
    const int sy = (int)b->node->at.stride[0], kh = (int)b->in[1].node->type.dim[2];
    int n = 0;
    for (int r = 0; r < rows; r++) n += (r * sy + kh - 1) / 2 - r * sy / 2 + 1;
    return n;
}
/* Columns that `pixels` pixels see; those between, where strides are longer than windows, are not. */
static int64_t columns_of(const struct oct_kbuild *b, int64_t pixels) {
    const int64_t kw = b->in[1].node->type.dim[3], sx = b->node->at.stride[1];
    return pixels * (sx < kw ? sx : kw) + (kw > sx ? kw - sx : 0);
}
static double tile_cycles(const struct oct_kbuild *b, int rows, int64_t pixels) {
    enum { STEP = 2, PAIR = 4, WEIGHT = 1 };
    const int64_t kw = b->in[1].node->type.dim[3], steps = steps_of(b, rows) * kw;
    const int64_t operations = steps * (pixels * STEP + WEIGHT) + pairs_of(b, rows) * columns_of(b, pixels) * PAIR;
    return oct_cost_operations(b->target, (double)operations) + oct_cost_finish(b->target, rows * pixels);
}
void oct_ways_depthwise_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    const struct oct_layout *y = &b->out.at;
    const int lanes = oct_vec_lanes(b->target, LP_I32);
    const int64_t kw = b->in[1].node->type.dim[3];
    for (int rows = 1; rows <= MAX_ROWS && rows <= y->dim[2]; rows++) {
        if (rows > 1 && b->node->at.dilation[0] != 1) break; /* rows of different taps do not meet in a pair */
        for (int pixels = 1; pixels <= MAX_PIXELS && pixels <= y->dim[3]; pixels++) {
            if (pixels > 1 && rows * (pixels + kw) + 2 > b->target->registers) break;
            const int64_t bands = y->dim[0] * ((y->dim[1] + lanes - 1) / lanes) * ((y->dim[2] + rows - 1) / rows),
                          rest = y->dim[3] % pixels;
            struct oct_way *w = oct_k_offer(out, "%d x %d", rows, pixels);
            *w->steps = 'a';
            w->recipe = rows;
            w->pixels = pixels;
            w->cycles = (double)bands *
                        ((double)(y->dim[3] / pixels) * tile_cycles(b, rows, pixels) + (rest ? tile_cycles(b, rows, rest) : 0));
        }
    }
}

/* ---- constants
 * ------------------------------------------------------------------------------------------------------------------ */

/* First channel of a block: the last ends with the channels. */
static int64_t first_channel(const struct depthwise *d, int64_t block) {
    int64_t c = block * d->lanes, last = d->l.outputs - d->lanes;
    return c < last ? c : last;
}

/* Tap of output row r that row i of the band's input is; -1: none. */
static int64_t tap_of(const struct depthwise *d, int r, int64_t i) {
    const struct oct_kbuild *b = d->l.b;
    int64_t tap = i - r * b->node->at.stride[0];
    return tap >= 0 && tap < b->in[1].node->type.dim[2] ? tap : -1;
}

/* Weights less their zero points are below 256; sums come as many times as the requantizer wants them. */
static int16_t weight(const struct depthwise *d, int64_t c, int64_t tap) {
    return (int16_t)(d->l.w[c * d->l.terms + tap] * d->times[c]);
}

static void pack_weights(struct depthwise *d, int64_t blocks) {
    d->block_words = 0;
    for (int64_t k = 0; k < d->kw; k++)
        for (int p = 0; p < d->pairs; p++)
            for (int r = 0; r < d->rows; r++) {
                bool any = tap_of(d, r, 2 * p) >= 0 || tap_of(d, r, 2 * p + 1) >= 0;
                d->weight[r][p][k] = any ? d->block_words : -1;
                if (any) d->block_words += 2 * d->lanes;
            }
    int16_t *w = OCT_NEW_N(d->l.b->arena, int16_t, blocks * d->block_words);
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t k = 0; k < d->kw; k++)
            for (int i = 0; i < 2 * d->pairs; i++)
                for (int r = 0; r < d->rows; r++) {
                    const int64_t tap = tap_of(d, r, i), to = block * d->block_words + d->weight[r][i / 2][k] + i % 2;
                    for (int64_t c = 0; tap >= 0 && c < d->lanes; c++)
                        w[to + 2 * c] = weight(d, first_channel(d, block) + c, tap * d->kw + k);
                }
    d->w = oct_k_const(d->l.b, "w", LP_I16, blocks * d->block_words, w);
}

/* ---- a tile
 * ---------------------------------------------------------------------------------------------------------------------- */

/* Rows 2p and 2p + 1 of a column, interleaved and widened. */
static struct lp_val pair_of(struct depthwise *d, const struct tile *at, int p, int64_t column) {
    struct oct_kbuild *b = d->l.b;
    const struct oct_layout *in = &b->in[0].at;
    const struct lp_type bytes = lp_vector((enum lp_elem)b->k->buf[d->l.x].elem, d->lanes);
    struct lp_val row[2];
    bool inside[2];
    for (int i = 0; i < 2; i++) {
        const int64_t down = (2 * p + i) * b->node->at.dilation[0];
        inside[i] = down >= at->in->from && down < at->in->to && column >= at->from && column < at->to;
        if (inside[i])
            row[i] = lp_load(b->k, "x", bytes, d->l.x, lp_offset(at->x, down * in->stride[2] + column * in->stride[3]));
    }
    if (!inside[0] && !inside[1]) return d->zero;
    for (int i = 0; i < 2; i++)
        if (!inside[i])
            row[i] =
                lp_op1(b->k, "outside", LP_OP_mov, bytes, lp_int((enum lp_elem)bytes.elem, oct_zero(b->in[0].node->type.q, 0)));
    uint8_t lane[64];
    for (int i = 0; i < 2 * d->lanes; i++) lane[i] = (uint8_t)(i % 2 * d->lanes + i / 2);
    struct lp_val both = lp_shuffle(b->k, "rows", row[0], row[1], 2 * d->lanes, lane);
    return lp_op1(b->k, "pair", LP_OP_cvt, lp_vector(LP_I16, 2 * d->lanes), both);
}

/* Sums of a tile: [row][pixel]. A sum that has not begun is its bias. */
struct sums {
    struct lp_val acc[MAX_ROWS][MAX_PIXELS], bias;
    bool begun[MAX_ROWS][MAX_PIXELS];
};
static void add_product(struct depthwise *d, struct sums *s, int r, int64_t q, struct lp_val x, struct lp_val w) {
    struct lp_kernel *k = d->l.b->k;
    const struct lp_val acc = s->acc[r][q], before = s->begun[r][q] ? acc : s->bias;
    s->begun[r][q] = true;
    if (d->l.b->target->isa == LP_ISA_VNNI) lp_op_to(k, acc, LP_OP_dot2, 3, (struct lp_val[]){before, x, w}, 0);
    else lp_op_to(k, acc, LP_OP_add, 2, (struct lp_val[]){before, lp_op2(k, NULL, LP_OP_madd16, x, w)}, 0);
    lp_op_to(k, acc, LP_OP_pin, 1, &acc, 0); /* not all products first */
}

/* All columns of one pair of rows. */
static void add_pair(struct depthwise *d, const struct tile *at, int pixels, int p, struct sums *s) {
    struct lp_kernel *k = d->l.b->k;
    const int64_t sx = d->l.b->node->at.stride[1], dx = d->l.b->node->at.dilation[1];
    struct lp_val w[MAX_ROWS][MAX_TAPS];
    const struct lp_type type = lp_vector(LP_I16, 2 * d->lanes);
    for (int r = 0; r < d->rows; r++)
        for (int64_t c = 0; c < d->kw; c++)
            if (d->weight[r][p][c] >= 0)
                w[r][c] = lp_load(k, pixels > 1 ? "w" : NULL, type, d->w, lp_offset(at->w, d->weight[r][p][c]));
    for (int64_t column = 0; column <= (pixels - 1) * sx + (d->kw - 1) * dx; column++) {
        struct lp_val x = {0};
        for (int64_t q = 0; q < pixels; q++) {
            const int64_t c = (column - q * sx) / dx;
            if (column < q * sx || (column - q * sx) % dx || c >= d->kw) continue;
            if (!x.type.lanes) x = pair_of(d, at, p, column);
            for (int r = 0; r < d->rows; r++)
                if (d->weight[r][p][c] >= 0) add_product(d, s, r, q, x, w[r][c]);
        }
    }
}

/* Moves to a block of the unit: its channels, in codes and words, and its weights. block -1: the only one. */
static void at_block(struct depthwise *d, struct tile *at, int32_t block) {
    struct lp_kernel *k = d->l.b->k;
    struct lp_addr number = lp_plus(lp_at(0), d->unit, d->size); /* of the block */
    at->channel = lp_at(0);
    at->w = lp_plus(lp_at(0), d->unit, d->size * d->block_words);
    if (block >= 0) {
        number = lp_plus(number, block, 1);
        at->w = lp_plus(at->w, block, d->block_words);
    }
    struct lp_addr *const places[] = {&at->x, &at->y, &at->channel};
    if (d->starts >= 0) {
        const int64_t last = d->l.outputs - d->lanes;
        struct lp_val start = lp_load(k, "start", lp_scalar(LP_I32), d->starts, number);
        start = lp_op2(k, NULL, LP_OP_max, start, lp_int(LP_I32, 0)); /* change nothing: say where it lies */
        start = lp_op2(k, "start", LP_OP_min, start, lp_int(LP_I32, last));
        for (int i = 0; i < 3; i++) *places[i] = lp_indexed(*places[i], start, 0, last);
        return;
    }
    for (int i = 0; i < 3; i++) {
        *places[i] = lp_plus(*places[i], d->unit, d->size * d->lanes);
        if (block >= 0) *places[i] = lp_plus(*places[i], block, d->lanes);
    }
}

/* All blocks of a unit: a tile's codes lie close together in memory, and few lines share a set of the cache. */
static void build_tile(struct depthwise *d, struct tile at, int pixels) {
    struct oct_kbuild *b = d->l.b;
    const struct oct_layout *out = &b->out.at;
    at_block(d, &at, d->size > 1 ? lp_loop(b->k, "block", d->size) : -1);
    const struct oct_rqv_loaded words = oct_rqv_words(&d->rq, at.channel);
    struct sums s = {.bias = lp_load(b->k, "bias", lp_vector(LP_I32, d->lanes), d->bias, at.channel)};
    for (int r = 0; r < d->rows; r++)
        for (int q = 0; q < pixels; q++) s.acc[r][q] = lp_reg(b->k, s.bias.type, "acc");
    for (int p = 0; p < d->pairs; p++) add_pair(d, &at, pixels, p, &s);
    struct oct_rqv_piece piece[MAX_ROWS * MAX_PIXELS];
    for (int r = 0; r < d->rows; r++)
        for (int q = 0; q < pixels; q++)
            piece[r * pixels + q] = (struct oct_rqv_piece){oct_rqv_codes(&d->rq, &words, s.acc[r][q]),
                                                           lp_offset(at.y, r * out->stride[2] + q * out->stride[3]), d->lanes};
    oct_rqv_store(&d->rq, d->l.y, d->rows * pixels, piece);
    if (d->size > 1) lp_end(b->k);
}

/* A band: runs of tiles whose columns are all inside, the edges one by one, but that behind what a run leaves is of its tile. */
static void build_row(struct depthwise *d, struct tile at) {
    struct oct_kbuild *b = d->l.b;
    const struct oct_attrs *a = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int64_t sx = a->stride[1], left = a->pad[1], reach = (d->kw - 1) * a->dilation[1] + 1, begin = -in->border[1],
                  end = in->dim[3] + in->border[3];
    /* Bands that come once and take little of the time get small tiles, edges single pixels: less code. */
    const int64_t most = at.in->count == 1 && out->dim[2] > 6 * d->rows && d->pixels > 2 ? 2 : d->pixels;
    for (int64_t x = 0, run, pixels; x < out->dim[3]; x += run * pixels) {
        struct tile now = at;
        const int64_t from = x * sx - left, rest = out->dim[3] - x;
        int64_t inside = from >= begin && from + reach <= end ? (end - from - reach) / sx + 1 : 0; /* pixels from here on */
        if (inside > rest) inside = rest;
        pixels = inside >= most ? most : inside || out->dim[3] <= most ? rest : 1;
        if (pixels > most) pixels = most;
        run = inside >= pixels ? inside / pixels : 1;
        now.x = lp_offset(at.x, x * sx * in->stride[3]);
        now.y = lp_offset(at.y, x * out->stride[3]);
        now.from = begin - from;
        now.to = end - from;
        if (run > 1) {
            const int32_t tile = lp_loop(b->k, "tile", run);
            now.x = lp_plus(now.x, tile, pixels * sx * in->stride[3]);
            now.y = lp_plus(now.y, tile, pixels * out->stride[3]);
        }
        build_tile(d, now, (int)pixels);
        if (run > 1) lp_end(b->k);
    }
}

/* ---- the layer
 * ------------------------------------------------------------------------------------------------------------------ */

/* The next bands, from output row y on, that see the same of their input rows. */
static struct bands next_bands(const struct depthwise *d, int64_t y) {
    const struct oct_kbuild *b = d->l.b;
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at;
    const int64_t begin = -in->border[0], end = in->dim[2] + in->border[2], rows = b->out.at.dim[2],
                  seen = (d->rows - 1) * at->stride[0] + (b->in[1].node->type.dim[2] - 1) * at->dilation[0] + 1;
    struct bands s = {.step = d->rows};
    for (; y < rows; y += d->rows, s.count++) {
        const int64_t first = y + d->rows > rows ? rows - d->rows : y, top = first * at->stride[0] - at->pad[0];
        const int64_t from = top < begin ? begin - top : 0, to = end - top < seen ? end - top : seen;
        if (s.count == 0) s.first = first, s.from = from, s.to = to;
        if (s.from != from || s.to != to || first != s.first + s.count * s.step) break;
    }
    return s;
}

static int64_t largest_divisor(int64_t n, int64_t most) {
    for (int64_t i = most; i > 1; i--)
        if (n % i == 0) return i;
    return 1;
}

bool oct_build_depthwise_vec(struct oct_kbuild *b) {
    struct depthwise *d = OCT_NEW(b->arena, struct depthwise);
    if (!oct_layer_plan(&d->l, b)) return false;
    struct lp_kernel *k = b->k;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_attrs *at = &b->node->at;
    const int64_t channels = d->l.outputs;
    d->lanes = oct_vec_lanes(b->target, LP_I32);
    while (d->lanes > channels) d->lanes /= 2;
    const int64_t blocks = (channels + d->lanes - 1) / d->lanes;
    d->kw = b->in[1].node->type.dim[3];
    d->rows = b->way.recipe;
    d->pixels = b->way.pixels;
    d->pairs = pairs_of(b, d->rows);
    k->isa = b->target->isa;
    d->l.x = oct_k_in(b, 0);
    d->l.y = oct_k_out(b);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, channels);
    for (int64_t c = 0; c < channels; c++) bias[c] = (int32_t)(uint32_t)(uint64_t)d->l.bias[c]; /* modulo 2^32, as the sums are */
    d->times = OCT_NEW_N(b->arena, int32_t, channels);
    const struct oct_rqv_sums sums = {
        .lo = d->l.lo, .hi = d->l.hi, .padded = channels, .bias = bias, .times = d->times, .most_times = INT16_MAX / 256};
    oct_rqv_begin(&d->rq, b, &d->l.rq, &sums);
    d->rq.lanes = d->lanes;
    d->bias = oct_k_const(b, "bias", LP_I32, channels, bias);
    pack_weights(d, blocks);

    enum { UNIT = 256 }; /* channels of a tile and its weights that the first cache holds */
    d->size = largest_divisor(blocks, UNIT / d->lanes);
    d->starts = -1;
    if (channels % d->lanes) {
        int32_t *start = OCT_NEW_N(b->arena, int32_t, blocks);
        for (int64_t i = 0; i < blocks; i++) start[i] = (int32_t)first_channel(d, i);
        d->starts = oct_k_const(b, "start", LP_I32, blocks, start);
    }
    /* Threads share bands, or units of blocks and bands where that is more even. What overlaps is one thread's: two blocks of
     * channels, or the last two bands. */
    const int64_t units = blocks / d->size, bands = out->dim[2] / d->rows;
    const int64_t pieces = b->threads > 1 ? bands : 1;
    const bool by_units = d->starts < 0 && (pieces == 1 || oct_k_idle(b, pieces) > oct_k_idle(b, units * pieces) + 0.03);
    d->unit = lp_range_of(k, "unit", by_units ? units : 1, pieces);
    if (!by_units) d->unit = lp_loop(k, "unit", units);
    d->zero = lp_reg(k, lp_vector(LP_I16, 2 * d->lanes), "outside");
    lp_set(k, d->zero, lp_int(LP_I16, oct_zero(b->in[0].node->type.q, 0)));
    struct tile first = {.x = lp_at(in->offset - at->pad[0] * in->stride[2] - at->pad[1] * in->stride[3]),
                         .y = lp_at(out->offset)};
    int images = 0;
    oct_k_loop(b, "n", out->dim[0], &first.x, in->stride[0], &first.y, out->stride[0], &images);
    struct bands s;
    for (int64_t y = 0; y < out->dim[2]; y += s.count * d->rows) {
        s = next_bands(d, y);
        struct tile now = first;
        int loops = 0;
        now.in = &s;
        now.x = lp_offset(now.x, s.first * at->stride[0] * in->stride[2]);
        now.y = lp_offset(now.y, s.first * out->stride[2]);
        if (pieces > 1) {
            const int64_t last = pieces - s.count;
            const int32_t band = lp_piece(k, "band", y / d->rows < last ? y / d->rows : last, s.count);
            now.x = lp_plus(now.x, band, s.step * at->stride[0] * in->stride[2]);
            now.y = lp_plus(now.y, band, s.step * out->stride[2]);
            loops++;
        } else
            oct_k_loop(b, "band", s.count, &now.x, s.step * at->stride[0] * in->stride[2], &now.y, s.step * out->stride[2],
                       &loops);
        build_row(d, now);
        oct_k_close(b, loops);
    }
    oct_k_close(b, images + !by_units + 1);
    b->recipe = oct_sprintf(b->arena, "row pairs, %d channels x %d rows x %d pixels", d->lanes, d->rows, d->pixels);
    return true;
}
