/* depthwise_vec.c - depthwise convolution of 8-bit codes with channels in lanes: NHWC, no border, no scratch memory.
 *
 * Two input rows, interleaved channel by channel and widened to 16 bits, make a pair: one pair step (madd16) of a pair and its
 * two weights is two taps of `lanes` channels. A band is one or two output rows, which share the pairs of the input rows they
 * see; a pair of which an output row sees one row has weight 0 for the other. Columns that the next output pixel sees again stay
 * in registers. Places outside the image are the zero point, put in while the code is built: bands of rows and runs of pixels
 * with the same taps inside share their code. The last block of channels overlaps the one before where the lanes do not divide
 * them. */
#include "cost.h"
#include "layer.h"
#include "map.h"
#include "rq_vec.h"
#include "vec.h"
#include "window.h"

enum { MAX_ROWS = 2, MAX_TAPS = 64, MAX_KEPT = 8 };

struct depthwise {
    struct layer l;
    struct oct_rqv rq;
    struct oct_rqv_loaded words; /* of the block at hand */
    int32_t bias, *times;
    int lanes;                                    /* channels at once */
    int rows, pairs;                              /* of a band: output rows, pairs of input rows */
    int64_t kw, kept;                             /* columns of a window; how many of them the next pixel keeps */
    int32_t w;                                    /* buffer */
    int64_t block_words;                          /* of w: i16 of a block of channels */
    int64_t weight[MAX_ROWS][MAX_TAPS][MAX_TAPS]; /* by output row, pair, column: place in a block, -1: no tap */
    struct lp_val zero, *window;                  /* kept columns: [column][pair] */
};
/* Bands that see the same rows of the image: input rows [from, to) of a band's are inside. */
struct bands {
    int64_t first, count, step; /* output rows */
    int64_t from, to;
};
/* Where one pixel's window and result lie. */
struct pixel {
    struct lp_addr x, y, w, channel;
    const struct bands *in;
    int64_t from, to; /* columns inside the image */
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
    const struct oct_attrs *at = &b->node->at;
    if (!eight_bits(b)) return "codes of 16 bits";
    if (at->dilation[0] != 1 || at->dilation[1] != 1) return "a dilated window";
    if (w->dim[2] * w->dim[3] > MAX_TAPS) return "a window of more than 64 taps";
    if (b->in[0].at.stride[1] != 1 || b->out.at.stride[1] != 1) return "channels that are no neighbours in memory";
    if (w->dim[0] < 8) return "less than 8 channels";
    if (oct_layer_reach(b) >= OCT_RQV_LIMIT) return "sums of more than 32 bits";
    return NULL;
}
bool oct_fits_depthwise_vec(const struct oct_kbuild *b) {
    return b->target->vector_bits >= 256 && oct_layer_fits(b) && is_depthwise(b) && !oct_depthwise_vec_refuses(b);
}

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
/* Bands of one output row or two. For each vector of channels a pixel takes two operations for each of its steps, four for each
 * pair of rows in each of its new columns, and its requantization. */
void oct_ways_depthwise_vec(const struct oct_kbuild *b, struct oct_ways *out) {
    enum { STEP = 3, PAIR = 4 };
    const struct oct_layout *y = &b->out.at;
    const int lanes = oct_vec_lanes(b->target, LP_I32);
    const int64_t kw = b->in[1].node->type.dim[3], sx = b->node->at.stride[1], fresh = sx < kw ? sx : kw;
    for (int rows = 1; rows <= MAX_ROWS && rows <= y->dim[2]; rows++) {
        const int64_t places = y->dim[0] * ((y->dim[1] + lanes - 1) / lanes) * ((y->dim[2] + rows - 1) / rows) * y->dim[3];
        struct oct_way *w = oct_k_offer(out, "%d rows", rows);
        *w->steps = 'a';
        w->pixels = rows;
        w->cycles = oct_cost_operations(b->target,
                                        (double)(places * (steps_of(b, rows) * kw * STEP + pairs_of(b, rows) * fresh * PAIR))) +
                    oct_cost_finish(b->target, places * rows);
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

/* ---- one pixel of a band
 * -------------------------------------------------------------------------------------------------------- */

/* Rows 2p and 2p + 1 of a column, interleaved and widened. */
static struct lp_val pair_of(struct depthwise *d, const struct pixel *at, int p, int64_t column) {
    struct oct_kbuild *b = d->l.b;
    const struct oct_layout *in = &b->in[0].at;
    const struct lp_type bytes = lp_vector((enum lp_elem)b->k->buf[d->l.x].elem, d->lanes);
    struct lp_val row[2];
    bool inside[2];
    for (int i = 0; i < 2; i++) {
        inside[i] = 2 * p + i >= at->in->from && 2 * p + i < at->in->to && column >= at->from && column < at->to;
        if (inside[i])
            row[i] = lp_load(b->k, "x", bytes, d->l.x, lp_offset(at->x, (2 * p + i) * in->stride[2] + column * in->stride[3]));
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

static void build_pixel(struct depthwise *d, const struct pixel *at) {
    struct oct_kbuild *b = d->l.b;
    struct lp_kernel *k = b->k;
    const int64_t sx = b->node->at.stride[1];
    const bool fused = b->target->isa == LP_ISA_VNNI;
    struct lp_val acc[MAX_ROWS], bias = lp_load(k, "bias", lp_vector(LP_I32, d->lanes), d->bias, at->channel);
    for (int r = 0; r < d->rows; r++) {
        acc[r] = lp_reg(k, bias.type, "acc");
        lp_set(k, acc[r], bias);
    }
    for (int64_t col = 0; col < d->kw; col++) {
        for (int p = 0; p < d->pairs; p++) {
            struct lp_val x = col < d->kept ? d->window[col * d->pairs + p] : pair_of(d, at, p, col);
            for (int r = 0; r < d->rows; r++) {
                if (d->weight[r][p][col] < 0) continue;
                struct lp_val w = lp_load(k, "w", x.type, d->w, lp_offset(at->w, d->weight[r][p][col]));
                if (fused) lp_op_to(k, acc[r], LP_OP_dot2, 3, (struct lp_val[]){acc[r], x, w}, 0);
                else lp_op_to(k, acc[r], LP_OP_add, 2, (struct lp_val[]){acc[r], lp_op2(k, NULL, LP_OP_madd16, x, w)}, 0);
            }
            for (int r = 0; r < d->rows; r++) lp_op_to(k, acc[r], LP_OP_pin, 1, &acc[r], 0); /* not all products first */
            if (col >= sx && col - sx < d->kept) lp_set(k, d->window[(col - sx) * d->pairs + p], x);
        }
    }
    const int64_t down = b->out.at.stride[2];
    struct oct_rqv_piece piece[MAX_ROWS];
    for (int r = 0; r < d->rows; r++)
        piece[r] = (struct oct_rqv_piece){oct_rqv_codes(&d->rq, &d->words, acc[r]), lp_offset(at->y, r * down), d->lanes};
    oct_rqv_store(&d->rq, d->l.y, d->rows, piece);
}

/* A band of one block of channels: runs of pixels whose new columns are all inside, the others one by one. */
static void build_row(struct depthwise *d, struct pixel at) {
    struct oct_kbuild *b = d->l.b;
    const struct oct_attrs *a = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int64_t sx = a->stride[1], width = in->dim[3];
    d->words = oct_rqv_words(&d->rq, at.channel);
    at.from = a->pad[1];
    at.to = a->pad[1] + width;
    for (int64_t col = 0; col < d->kept; col++)
        for (int p = 0; p < d->pairs; p++) lp_set(b->k, d->window[col * d->pairs + p], pair_of(d, &at, p, col));
    for (int64_t x = 0, run; x < out->dim[3]; x += run) {
        struct pixel now = at;
        const int64_t left = x * sx - a->pad[1] + d->kept; /* first new column */
        run = 1;
        if (left >= 0) run = (width - (left + d->kw - d->kept)) / sx + 1; /* pixels of which the last new column is inside */
        if (left >= 0 && left + d->kw - d->kept > width) run = 1;
        if (run > out->dim[3] - x) run = out->dim[3] - x;
        now.x = lp_offset(at.x, x * sx * in->stride[3]);
        now.y = lp_offset(at.y, x * out->stride[3]);
        now.from = a->pad[1] - x * sx;
        now.to = now.from + width;
        if (run > 1) {
            int32_t col = lp_loop(b->k, "col", run);
            now.x = lp_plus(now.x, col, sx * in->stride[3]);
            now.y = lp_plus(now.y, col, out->stride[3]);
        }
        build_pixel(d, &now);
        if (run > 1) lp_end(b->k);
    }
}

/* ---- the layer
 * ------------------------------------------------------------------------------------------------------------------ */

/* The next bands, from output row y on, that see the same of their input rows. */
static struct bands next_bands(const struct depthwise *d, int64_t y) {
    const struct oct_kbuild *b = d->l.b;
    const struct oct_attrs *at = &b->node->at;
    const int64_t height = b->in[0].at.dim[2], rows = b->out.at.dim[2],
                  seen = (d->rows - 1) * at->stride[0] + b->in[1].node->type.dim[2];
    struct bands s = {.step = d->rows};
    for (; y < rows; y += d->rows, s.count++) {
        const int64_t first = y + d->rows > rows ? rows - d->rows : y, top = first * at->stride[0] - at->pad[0];
        const int64_t from = top < 0 ? -top : 0, to = height - top < seen ? height - top : seen;
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

/* The channel at which a block begins, as an index: by table where blocks overlap. */
static struct lp_addr at_channel(struct depthwise *d, struct lp_addr a, int32_t unit, int32_t block, int64_t size,
                                 struct lp_val first) {
    if (first.type.lanes) return lp_indexed(a, first, 0, d->l.outputs - d->lanes);
    return lp_plus(lp_plus(a, unit, size * d->lanes), block, d->lanes);
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
    d->rows = b->way.pixels;
    d->pairs = pairs_of(b, d->rows);
    d->kept = d->kw > at->stride[1] ? d->kw - at->stride[1] : 0;
    if (d->kept * d->pairs > MAX_KEPT) d->kept = 0;
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

    /* a range over parts of a cache line's channels: while a band is at hand, other blocks find its lines again */
    enum { UNIT = 4 };
    const int64_t size = largest_divisor(blocks, UNIT);
    int32_t starts = -1;
    if (channels % d->lanes) {
        int32_t *start = OCT_NEW_N(b->arena, int32_t, blocks);
        for (int64_t i = 0; i < blocks; i++) start[i] = (int32_t)first_channel(d, i);
        starts = oct_k_const(b, "start", LP_I32, blocks, start);
    }
    d->window = OCT_NEW_N(b->arena, struct lp_val, d->kept * d->pairs + 1);
    /* Threads share bands, or units of blocks and bands where that is more even. What overlaps is one thread's: two blocks of
     * channels, or the last two bands. */
    const int64_t units = blocks / size, bands = out->dim[2] / d->rows;
    const int64_t pieces = b->threads > 1 ? bands : 1;
    const bool by_units = starts < 0 && (pieces == 1 || oct_k_idle(b, pieces) > oct_k_idle(b, units * pieces) + 0.03);
    int32_t unit = lp_range_of(k, "unit", by_units ? units : 1, pieces);
    if (!by_units) unit = lp_loop(k, "unit", units);
    d->zero = lp_reg(k, lp_vector(LP_I16, 2 * d->lanes), "outside");
    lp_set(k, d->zero, lp_int(LP_I16, oct_zero(b->in[0].node->type.q, 0)));
    for (int64_t i = 0; i < d->kept * d->pairs; i++) d->window[i] = lp_reg(k, d->zero.type, "kept");
    struct pixel first = {.x = lp_at(in->offset - at->pad[0] * in->stride[2] - at->pad[1] * in->stride[3]),
                          .y = lp_at(out->offset)};
    int images = 0;
    oct_k_loop(b, "n", out->dim[0], &first.x, in->stride[0], &first.y, out->stride[0], &images);
    struct bands s;
    for (int64_t y = 0; y < out->dim[2]; y += s.count * d->rows) {
        s = next_bands(d, y);
        struct pixel now = first;
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
        int32_t block = lp_loop(k, "block", size);
        struct lp_val start = {0};
        if (starts >= 0) {
            start = lp_load(k, "start", lp_scalar(LP_I32), starts, lp_plus(lp_plus(lp_at(0), unit, size), block, 1));
            start = lp_op2(k, NULL, LP_OP_max, start, lp_int(LP_I32, 0)); /* change nothing: say where it lies */
            start = lp_op2(k, "start", LP_OP_min, start, lp_int(LP_I32, channels - d->lanes));
        }
        now.x = at_channel(d, now.x, unit, block, size, start);
        now.y = at_channel(d, now.y, unit, block, size, start);
        now.channel = at_channel(d, lp_at(0), unit, block, size, start);
        now.w = lp_plus(lp_plus(lp_at(0), unit, size * d->block_words), block, d->block_words);
        build_row(d, now);
        lp_end(k);
        oct_k_close(b, loops);
    }
    oct_k_close(b, images + !by_units + 1);
    b->recipe = oct_sprintf(b->arena, "row pairs, %d channels x %d rows", d->lanes, d->rows);
    return true;
}
