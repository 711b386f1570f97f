/* linear_vec.c - conv2d and dense on 8-bit codes by vectors, exact for any weights: pairs of neighbouring codes of a row, widened
 * to 16 bits, times the pairs of weights of as many output channels as a vector has lanes (madd16).
 *
 * A band of output rows first copies the input rows that it sees to scratch memory, 16 bits a code, with the padding around: so
 * the input needs no border and may lie in memory in any way. The kx and channels of one row of a window lie behind each other
 * there; pairs run over both. An odd one out reads one code more, whose weight is 0. Weights stay 8 bits and widen on load:
 *   w[block of channels][ky][pair][channel][2]
 * A tile is pixels x vectors of channels, each accumulator a register of its own; the compiler is told to keep them (pin), row by
 * row, because gcc otherwise makes all products of a step first and spills. */
#include "layer.h"
#include "rq_vec.h"
#include "vec.h"

enum { MAX_PIXELS = 24, MAX_VECTORS = 8, SCRATCH_BYTES = 64 * 1024, UNROLL = 2 };

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
    int32_t bias, wide, table, staged; /* buffers; -1: not needed */
    int64_t staged_channels;
};

/* ---- fitting --------------------------------------------------------------------------------------------------------------- */

/* What both ops need. */
static const char *refuses(const struct oct_kbuild *b) {
    if (oct_dtype_size(b->in[0].node->type.dtype) != 1) return "input codes of 16 bits";
    if (!oct_layer_narrow(b)) return "weights of 16 bits";
    if (oct_layer_reach(b) >= OCT_RQV_LIMIT) return "sums of more than 30 bits";
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

/* All axes but the last as one: its size and its step in both layouts; false where they do not follow each other evenly. */
static bool rows_of(const struct oct_kbuild *b, int64_t *rows, int64_t *in_step, int64_t *out_step) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    *rows = 1;
    *in_step = *out_step = 0;
    for (int a = in->rank - 2; a >= 0; a--) {
        if (in->dim[a] == 1) continue;
        if (*rows > 1 && (in->stride[a] != *rows * *in_step || out->stride[a] != *rows * *out_step)) return false;
        if (*rows == 1) *in_step = in->stride[a], *out_step = out->stride[a];
        *rows *= in->dim[a];
    }
    return true;
}
const char *oct_dense_vec_refuses(const struct oct_kbuild *b) {
    int64_t rows, in_step, out_step;
    if (!rows_of(b, &rows, &in_step, &out_step)) return "rows that lie unevenly in memory";
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
    rows_of(b, &s.w, &s.in_col, &s.out_col);
    s.ow = s.w;
    s.c = in->dim[in->rank - 1];
    s.in_channel = in->stride[in->rank - 1];
    s.out_channel = out->stride[out->rank - 1];
    if (s.w == 1) s.in_col = s.c;
    s.in_row = s.w * s.in_col;
    s.out_row = s.ow * s.out_col;
    return finished(s);
}

/* ---- tiles: how many pixels and vectors of channels ------------------------------------------------------------------------ */

/* Beside the accumulators: the weights of a step, a pair of codes, a product. With one pixel a weight is used once. */
static int64_t pixels_beside(const struct conv *v, int64_t vectors) {
    const int64_t registers = v->l.b->target->registers - 2;
    if (vectors == MAX_VECTORS) return 1;
    const int64_t most = (registers - vectors) / vectors;
    return most < 1 ? 1 : most > MAX_PIXELS ? MAX_PIXELS : most;
}

/* Quarter cycles of a step of one pair: four operations a cycle, two of them products; loads, of which two a cycle are not always
 * reached; the loop. */
static int64_t step_cost(int64_t pixels, int64_t vectors) {
    const int64_t operations = 2 * pixels * vectors + vectors, loads = 3 * (pixels + vectors);
    return (operations > loads ? operations : loads) + 1;
}
static int64_t row_cost(int64_t width, int64_t pixels, int64_t vectors) {
    if (pixels > width) pixels = width;
    return width / pixels * step_cost(pixels, vectors) + (width % pixels ? step_cost(width % pixels, vectors) : 0);
}
static int best_pixels(const struct conv *v, int64_t vectors) {
    int64_t best = 1;
    for (int64_t p = 2; p <= pixels_beside(v, vectors); p++)
        if (row_cost(v->s.ow, p, vectors) < row_cost(v->s.ow, best, vectors)) best = p;
    return (int)best;
}
/* The cheapest tile for all channels. */
static int best_vectors(const struct conv *v) {
    const int64_t all = (v->l.outputs + v->lanes - 1) / v->lanes;
    int64_t best = 1, least = INT64_MAX;
    for (int64_t n = 1; n <= MAX_VECTORS && n <= all; n++) {
        const int64_t rest = all % n, cost = all / n * row_cost(v->s.ow, best_pixels(v, n), n) +
                                             (rest ? row_cost(v->s.ow, best_pixels(v, rest), rest) : 0);
        if (cost < least) least = cost, best = n;
    }
    return (int)best;
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

static void add_part(struct conv *v, int64_t first, int64_t blocks, int64_t vectors, int64_t channels) {
    if (!blocks) return;
    struct part *p = &v->part[v->parts++];
    *p = (struct part){.first = first, .blocks = blocks, .channels = channels, .vectors = (int)vectors};
    p->pixels = best_pixels(v, vectors);
    p->w = pack_part(v, p);
}

/* Per row of padding and image: where it starts in the image, or -1. */
static int32_t row_table(struct conv *v) {
    const struct shape *s = &v->s;
    struct oct_kbuild *b = v->l.b;
    const int64_t n = (s->bands - 1) * s->rows * s->sy + s->seen;
    int32_t *at = OCT_NEW_N(b->arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i - s->pad[0];
        at[i] = row < 0 || row >= s->h ? -1 : (int32_t)(row * s->in_row);
    }
    return oct_k_const(b, "rows", LP_I32, n, at);
}

static void open_all(struct conv *v) {
    struct layer *l = &v->l;
    struct oct_kbuild *b = l->b;
    const struct shape *s = &v->s;
    const int64_t whole = best_vectors(v) * v->lanes, padded = (l->outputs + v->lanes - 1) / v->lanes * v->lanes;
    l->x = oct_k_in(b, 0);
    l->y = oct_k_out(b);
    const int64_t blocks = l->outputs / whole, rest = l->outputs % whole;
    add_part(v, 0, blocks, whole / v->lanes, whole);
    if (rest) add_part(v, blocks * whole, 1, (rest + v->lanes - 1) / v->lanes, rest);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, padded + v->lanes);
    for (int64_t o = 0; o < l->outputs; o++) bias[o] = (int32_t)(uint32_t)(uint64_t)l->bias[o];
    v->bias = oct_k_const(b, "bias", LP_I32, padded + v->lanes, bias);
    oct_rqv_open(&v->rq, b, &l->rq, l->lo, l->hi, padded + v->lanes);
    v->wide = oct_k_scratch(b, "wide", LP_I16, s->seen * s->pitch + 2 * v->lanes);
    v->table = s->pad[0] || (s->bands - 1) * s->rows * s->sy + s->seen > s->h ? row_table(v) : -1;
    v->staged = -1;
    if (s->out_channel != 1) {
        v->staged_channels = padded;
        v->staged = oct_k_scratch(b, "codes", oct_k_elem(b->node->type.dtype), s->rows * s->ow * padded);
    }
}

/* ---- input rows to 16 bits ---------------------------------------------------------------------------------------------------
 */

/* The codes of one row: at + index register. */
struct source {
    struct lp_addr at;
    struct lp_val keep, else_zero; /* masks of one 16-bit lane; type.lanes 0: the row is in the image */
};

static struct lp_val lanes_of(struct lp_kernel *k, struct lp_val v, int n) {
    return v.reg < 0 || n == 1 ? v : lp_op1(k, NULL, LP_OP_splat, lp_vector(LP_I16, n), v);
}

/* n codes, widened, to `to`. */
static void widen(struct conv *v, const struct source *from, struct lp_addr at, struct lp_addr to, int n) {
    struct lp_kernel *k = v->l.b->k;
    struct lp_val x = lp_load(k, NULL, lp_vector((enum lp_elem)k->buf[v->l.x].elem, n), v->l.x, at);
    x = lp_op1(k, NULL, LP_OP_cvt, lp_vector(LP_I16, n), x);
    if (from->keep.type.lanes) {
        x = lp_op2(k, NULL, LP_OP_and, x, lanes_of(k, from->keep, n));
        x = lp_op2(k, NULL, LP_OP_or, x, lanes_of(k, from->else_zero, n));
    }
    lp_store(k, v->wide, to, x);
}

/* `count` neighbours: whole vectors, the last of which may overlap the one before; powers of two where there are fewer. */
static void widen_run(struct conv *v, const struct source *from, struct lp_addr at, struct lp_addr to, int64_t count) {
    struct lp_kernel *k = v->l.b->k;
    const int n = 2 * v->lanes;
    const int64_t whole = count / n, rest = count % n;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "i", whole);
        widen(v, from, lp_plus(at, i, n), lp_plus(to, i, n), n);
        lp_end(k);
    } else if (whole) widen(v, from, at, to, n);
    if (rest && whole) widen(v, from, lp_offset(at, count - n), lp_offset(to, count - n), n);
    for (int64_t done = 0, size = n / 2; !whole && size; size /= 2)
        if (count - done >= size) {
            widen(v, from, lp_offset(at, done), lp_offset(to, done), (int)size);
            done += size;
        }
}

/* The zero point; up to a vector more than `count`, which is written again later or lies behind all rows. */
static void fill(struct conv *v, struct lp_addr to, int64_t count) {
    struct lp_kernel *k = v->l.b->k;
    const int n = 2 * v->lanes;
    const int64_t trips = (count + n - 1) / n;
    const struct lp_val zero = lp_int(LP_I16, oct_zero(v->l.b->in[0].node->type.q, 0));
    if (count <= 0) return;
    const struct lp_val all = lp_op1(k, "zero", LP_OP_splat, lp_vector(LP_I16, n), zero);
    if (trips > 1) {
        const int32_t i = lp_loop(k, "i", trips);
        lp_store(k, v->wide, lp_plus(to, i, n), all);
        lp_end(k);
    } else lp_store(k, v->wide, to, all);
}

/* Copies the rows that band `band` of image `image` sees. */
static void build_rows(struct conv *v, int32_t band, struct lp_addr image) {
    struct lp_kernel *k = v->l.b->k;
    const struct shape *s = &v->s;
    const int64_t step = s->rows * s->sy, left = s->pad[1], end = s->cols - left, cols = s->w < end ? s->w : end;
    struct lp_addr entry = lp_plus(lp_at(0), band, step), to = lp_at(0);
    struct source from = {.at = lp_plus(image, band, step * s->in_row)};
    const bool several = s->seen > 1;
    if (several) {
        const int32_t row = lp_loop(k, "row", s->seen);
        entry = lp_plus(entry, row, 1);
        to = lp_plus(to, row, s->pitch);
        from.at = lp_plus(from.at, row, s->in_row);
    }
    if (v->table >= 0) {
        const int64_t last = (s->h - 1) * s->in_row;
        const struct lp_val at = lp_load(k, "at", lp_scalar(LP_I32), v->table, entry),
                            out = lp_shift(k, "outside", LP_OP_sar, at, 31),
                            zero = lp_int(LP_I32, oct_zero(v->l.b->in[0].node->type.q, 0));
        struct lp_val index = lp_op2(k, "index", LP_OP_max, at, lp_int(LP_I32, 0));
        index = lp_op2(k, "index", LP_OP_min, index, lp_int(LP_I32, last));
        from.at = lp_indexed(image, index, 0, last);
        from.keep = lp_op1(k, "keep", LP_OP_cvt, lp_scalar(LP_I16), lp_op1(k, NULL, LP_OP_not, (struct lp_type){0}, out));
        from.else_zero = lp_op1(k, "pad", LP_OP_cvt, lp_scalar(LP_I16), lp_op2(k, NULL, LP_OP_and, out, zero));
    }
    fill(v, to, left * s->c);
    const struct lp_addr first = lp_offset(to, left * s->c);
    if (s->in_channel == 1 && s->in_col == s->c) widen_run(v, &from, from.at, first, cols * s->c);
    else {
        struct lp_addr at = from.at, place = first;
        int loops = 0;
        if (cols > 1) {
            const int32_t col = lp_loop(k, "col", cols);
            at = lp_plus(at, col, s->in_col);
            place = lp_plus(place, col, s->c);
            loops++;
        }
        if (s->in_channel == 1) widen_run(v, &from, at, place, s->c);
        else {
            if (s->c > 1) {
                const int32_t c = lp_loop(k, "c", s->c);
                at = lp_plus(at, c, s->in_channel);
                place = lp_plus(place, c, 1);
                loops++;
            }
            widen(v, &from, at, place, 1);
        }
        oct_k_close(v->l.b, loops);
    }
    fill(v, lp_offset(first, cols * s->c), (end - cols) * s->c);
    if (several) lp_end(k);
}

/* ---- tiles -------------------------------------------------------------------------------------------------------------------
 */

struct place {
    struct lp_addr x, y, w, channel; /* codes in scratch, result, weights, words of the channels */
};

/* One pair of codes of each pixel times the weights of all channels. */
static void build_pair(struct conv *v, const struct part *p, int pixels, struct lp_addr x, struct lp_addr w,
                       struct lp_val (*acc)[MAX_VECTORS]) {
    struct lp_kernel *k = v->l.b->k;
    const int n = 2 * v->lanes;
    struct lp_val weights[MAX_VECTORS];
    for (int i = 0; i < p->vectors; i++) {
        const struct lp_val narrow = lp_load(k, NULL, lp_vector(LP_I8, n), p->w, lp_offset(w, (int64_t)i * n));
        const char *name = pixels > 1 ? oct_sprintf(v->l.b->arena, "w%d", i) : NULL; /* used once: where it is used */
        weights[i] = lp_op1(k, name, LP_OP_cvt, lp_vector(LP_I16, n), narrow);
    }
    for (int q = 0; q < pixels; q++) {
        const struct lp_val pair = lp_load(k, NULL, lp_vector(LP_I16, 2), v->wide, lp_offset(x, q * v->s.sx * v->s.c)),
                            codes = lp_op1(k, "x", LP_OP_repeat, lp_vector(LP_I16, n), pair);
        for (int i = 0; i < p->vectors; i++) {
            const struct lp_val product = lp_op2(k, NULL, LP_OP_madd16, codes, weights[i]);
            lp_op_to(k, acc[q][i], LP_OP_add, 2, (struct lp_val[]){acc[q][i], product}, 0);
        }
        for (int i = 0; i < p->vectors; i++) lp_op_to(k, acc[q][i], LP_OP_pin, 1, &acc[q][i], 0);
    }
}

/* How many pairs to write out: a divisor of them all where one is near. */
static int64_t turns(int64_t pairs) {
    if (pairs <= 8) return pairs;
    for (int64_t n = UNROLL; n > 1; n--)
        if (pairs % n == 0) return n;
    return UNROLL;
}

static void build_sum(struct conv *v, const struct part *p, int pixels, struct lp_addr x, struct lp_addr w,
                      struct lp_val (*acc)[MAX_VECTORS]) {
    struct lp_kernel *k = v->l.b->k;
    const int64_t pair = 2 * (int64_t)p->vectors * v->lanes, at_once = turns(v->pairs), whole = v->pairs / at_once;
    if (v->s.kh > 1) {
        const int32_t ky = lp_loop(k, "ky", v->s.kh);
        x = lp_plus(x, ky, v->s.dy * v->s.pitch);
        w = lp_plus(w, ky, v->pairs * pair);
    }
    struct lp_addr codes = x, weights = w;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "i", whole);
        codes = lp_plus(codes, i, 2 * at_once);
        weights = lp_plus(weights, i, at_once * pair);
    }
    for (int64_t j = 0; j < at_once; j++) build_pair(v, p, pixels, lp_offset(codes, 2 * j), lp_offset(weights, j * pair), acc);
    if (whole > 1) lp_end(k);
    for (int64_t j = whole * at_once; j < v->pairs; j++)
        build_pair(v, p, pixels, lp_offset(x, 2 * j), lp_offset(w, j * pair), acc);
    if (v->s.kh > 1) lp_end(k);
}

static void build_tile(struct conv *v, const struct part *p, int pixels, const struct place *at) {
    struct oct_kbuild *b = v->l.b;
    struct lp_kernel *k = b->k;
    struct lp_val acc[MAX_PIXELS][MAX_VECTORS];
    for (int i = 0; i < p->vectors; i++) {
        const struct lp_val bias =
            lp_load(k, "b", lp_vector(LP_I32, v->lanes), v->bias, lp_offset(at->channel, (int64_t)i * v->lanes));
        for (int q = 0; q < pixels; q++) {
            acc[q][i] = lp_reg(k, lp_vector(LP_I32, v->lanes), oct_sprintf(b->arena, "c%dp%d", i, q));
            lp_set(k, acc[q][i], bias);
        }
    }
    build_sum(v, p, pixels, at->x, at->w, acc);
    struct oct_rqv_piece piece[MAX_PIXELS * MAX_VECTORS];
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
    build_rows(v, band, x);
    for (int i = 0; i < v->parts; i++) build_part(v, &v->part[i], v->staged >= 0 ? lp_at(0) : y);
    if (v->staged >= 0) build_unstaging(v, y);
    if (batch) lp_end(k);
    lp_end(k);
    return true;
}
bool oct_build_conv2d_vec(struct oct_kbuild *b) { return build(b, shape_of_conv); }
bool oct_build_dense_vec(struct oct_kbuild *b) { return build(b, shape_of_dense); }
