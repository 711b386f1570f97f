/* linear_pairs.c - conv2d and dense on bytes with products in pairs: two terms of a sum are the halves of a word (i16x2), and one
 * step (dot2, SMLAD) adds both products. For targets whose general registers are their only vectors.
 *
 * The terms of one input row are a run: consecutive elements over its taps and channels, cut into quads of four terms; weights of
 * 0 fill the last. A convolution first widens the input rows of an output row to 16 bits, into scratch memory: from there a word
 * is one load for all output channels. Where channels come in fours, SXTB16 widens a word of codes at once, as terms 0 2 and 1 3;
 * weights are packed to match. Weights are such words themselves, or, where that would take too much memory, words of four codes
 * that are widened at each use. acc = b' + sum w x as in linear.c. */
#include "pairs.h"

enum { SHARE = 64 /* of the flash, for a layer's weights to be kept in 16 bits */ };

struct pairs {
    struct layer l;
    int64_t place;                  /* terms that a pixel takes: its channels, perhaps some of weight 0 */
    int64_t rows, runs, run, quads; /* input rows of a sum, runs of each, terms and quads of a run */
    bool interleaved;               /* a quad is the words 0 2, 1 3, not 0 1, 2 3 */
    bool bytes;                     /* weights are words of four codes */
    int32_t x;                      /* where terms are read: scratch memory, widened, or codes */
    bool x_codes;
    int64_t x_row, x_run, x_pixel; /* distances there */
    int32_t w, w_rest;
    int64_t tile, blocks, over;
};

bool oct_fits_conv2d_pairs(const struct oct_kbuild *b) {
    return oct_has_pairs(b->target) && oct_fits_conv2d(b) && !oct_layer_nibbles(b) &&
           oct_dtype_size(b->in[0].node->type.dtype) == 1 && b->node->at.groups == 1 && oct_layer_reach(b) <= INT32_MAX;
}
bool oct_fits_dense_pairs(const struct oct_kbuild *b) {
    const struct oct_layout *x = &b->in[0].at;
    return oct_has_pairs(b->target) && oct_fits_dense(b) && !oct_layer_nibbles(b) && b->in[0].node->type.dtype == OCT_I8 &&
           x->stride[x->rank - 1] == 1 && x->dim[x->rank - 1] % OCT_QUAD == 0 && oct_layer_reach(b) <= INT32_MAX;
}

/* ---- weights ----------------------------------------------------------------------------------------------------------------
 */

/* Weights as they lie in runs: [outputs][tap][place]; a convolution's stand as [outputs][channel][ky][kx]. */
static int16_t *channels_last(const struct pairs *p, int64_t taps) {
    const struct layer *l = &p->l;
    int16_t *w = OCT_NEW_N(l->b->arena, int16_t, l->outputs * taps * p->place);
    for (int64_t o = 0; o < l->outputs; o++)
        for (int64_t i = 0; i < l->terms; i++) w[(o * taps + i % taps) * p->place + i / taps] = l->w[o * l->terms + i];
    return w;
}

/* Blocks of `tile` channels from `first` on; in each, for each row, run and quad, the words of the channels side by side. */
static int32_t pack(const struct pairs *p, const char *name, const int16_t *from, int64_t first, int64_t blocks, int64_t tile) {
    struct oct_kbuild *b = p->l.b;
    const int64_t lines = p->rows * p->runs, apart = p->interleaved ? 2 : 1; /* apart: terms of a word */
    struct oct_pack k = {.rank = 3, .dim = {p->l.outputs - first, lines, p->run}, .ndims = 3};
    k.d[0] = (struct oct_pack_dim){blocks, 0, tile};
    k.d[1] = (struct oct_pack_dim){lines, 1, 1};
    k.d[2] = (struct oct_pack_dim){p->quads, 2, OCT_QUAD};
    if (p->bytes) { /* SXTB16 takes every other code */
        k.d[k.ndims++] = (struct oct_pack_dim){tile, 0, 1};
        k.d[k.ndims++] = (struct oct_pack_dim){2, 2, apart};
        k.d[k.ndims++] = (struct oct_pack_dim){2, 2, 3 - apart};
    } else {
        k.d[k.ndims++] = (struct oct_pack_dim){2, 2, 3 - apart};
        k.d[k.ndims++] = (struct oct_pack_dim){tile, 0, 1};
        k.d[k.ndims++] = (struct oct_pack_dim){2, 2, apart};
    }
    const int64_t n = oct_pack_elements(&k);
    const int16_t *wide = oct_pack_data(b->arena, &k, LP_I16, from + first * lines * p->run);
    if (!p->bytes) return oct_k_const(b, name, LP_I16, n, wide);
    int8_t *narrow = OCT_NEW_N(b->arena, int8_t, n);
    for (int64_t i = 0; i < n; i++) narrow[i] = (int8_t)wide[i];
    return oct_k_const(b, name, LP_I8, n, narrow);
}

static void open_weights(struct pairs *p, int64_t taps, int64_t tile, bool bytes) {
    struct layer *l = &p->l;
    p->tile = tile < l->outputs ? tile : l->outputs;
    p->blocks = l->outputs / p->tile;
    p->over = l->outputs % p->tile;
    p->bytes = l->w8 && (bytes || l->outputs * l->terms > l->b->target->flash / SHARE);
    const int16_t *w = channels_last(p, taps);
    p->w = pack(p, "w", w, 0, p->blocks, p->tile);
    if (p->over) p->w_rest = pack(p, "w_rest", w, p->blocks * p->tile, 1, p->over);
}

/* ---- sums -------------------------------------------------------------------------------------------------------------------
 */

void oct_load_quad(struct lp_kernel *k, const char *name, int32_t buf, bool narrow, struct lp_addr at, int64_t apart,
                   struct lp_val word[2]) {
    struct lp_val v = narrow ? lp_load(k, name, oct_codes, buf, at) : (struct lp_val){0};
    for (int h = 0; h < 2; h++)
        word[h] =
            narrow ? lp_op(k, name, LP_OP_sxtb16, oct_pair, 1, &v, h) : lp_load(k, name, oct_pair, buf, lp_offset(at, h * apart));
}

struct oct_split oct_split_row(int64_t width, int64_t most) {
    const int64_t tiles = (width + most - 1) / most, large = width % tiles, size = width / tiles;
    if (!large) return (struct oct_split){{0}, {tiles}, {size}};
    return (struct oct_split){{0, large * (size + 1)}, {large, tiles - large}, {size + 1, size}};
}

static void multiply(const struct pairs *p, struct lp_val acc, const struct lp_val x[2], const struct lp_val w[2]) {
    for (int h = 0; h < 2; h++) lp_op_to(p->l.b->k, acc, LP_OP_dot2, 3, (struct lp_val[]){acc, x[h], w[h]}, 0);
}

/* Four terms for every accumulator. What more of them share stays in registers. */
struct quad {
    const struct pairs *p;
    int32_t w;
    int tile, pixels;
    struct lp_val (*acc)[OCT_MAX_PIXELS];
};
static void build_quad(struct oct_kbuild *b, void *user, struct lp_addr x, struct lp_addr w) {
    const struct quad *q = user;
    const struct pairs *p = q->p;
    struct lp_val xs[2], ws[OCT_MAX_TILE][2];
    const int64_t next = p->bytes ? OCT_QUAD : 2, apart = 2 * q->tile;
    const bool shared = q->pixels > 1;
    if (shared && p->bytes)
        for (int t = 0; t < q->tile; t++) oct_load_quad(b->k, "w", q->w, true, lp_offset(w, t * next), apart, ws[t]);
    else if (shared)
        for (int h = 0; h < 2; h++) /* in the order of memory: neighbours are one load */
            for (int t = 0; t < q->tile; t++) ws[t][h] = lp_load(b->k, "w", oct_pair, q->w, lp_offset(w, t * next + h * apart));
    for (int i = 0; i < q->pixels; i++) {
        oct_load_quad(b->k, "x", p->x, p->x_codes, lp_offset(x, i * p->x_pixel), 2, xs);
        for (int t = 0; t < q->tile; t++) {
            if (!shared) oct_load_quad(b->k, "w", q->w, p->bytes, lp_offset(w, t * next), apart, ws[t]);
            multiply(p, q->acc[t][i], xs, ws[t]);
        }
    }
}

static void build_sum(const struct pairs *p, int32_t wbuf, int tile, int pixels, struct lp_addr x, struct lp_addr w,
                      oct_tile_acc acc) {
    struct oct_kbuild *b = p->l.b;
    struct quad quad = {p, wbuf, tile, pixels, acc};
    const int64_t step = (int64_t)OCT_QUAD * tile;
    int loops = 0;
    if (p->runs == 1 && p->quads == 1) oct_k_turns(b, "ky", p->rows, x, p->x_row, w, step, build_quad, &quad);
    else {
        oct_k_loop(b, "ky", p->rows, &x, p->x_row, &w, p->runs * p->quads * step, &loops);
        oct_k_loop(b, "kx", p->runs, &x, p->x_run, &w, p->quads * step, &loops);
        oct_k_turns(b, "quad", p->quads, x, OCT_QUAD, w, step, build_quad, &quad);
    }
    oct_k_close(b, loops);
}

static void build_tile(const struct pairs *p, int32_t wbuf, int tile, int pixels, struct lp_addr x, struct lp_addr w,
                       struct lp_addr channel, struct oct_place y) {
    oct_tile_acc acc;
    oct_tile_open(&p->l, tile, pixels, channel, acc);
    build_sum(p, wbuf, tile, pixels, x, w, acc);
    oct_tile_close(&p->l, tile, pixels, channel, acc, y);
}

/* All output channels of some pixels. */
static void build_blocks(const struct pairs *p, int pixels, struct lp_addr x, struct oct_place y) {
    struct oct_kbuild *b = p->l.b;
    struct lp_addr channel = lp_at(0), w = lp_at(0);
    struct oct_place out = y;
    int loops = 0;
    if (p->blocks > 1) {
        int32_t block = lp_loop(b->k, "block", p->blocks);
        channel = lp_plus(channel, block, p->tile);
        w = lp_plus(w, block, p->rows * p->runs * p->quads * OCT_QUAD * p->tile);
        out.at = lp_plus(out.at, block, p->tile * y.channel);
        loops++;
    }
    build_tile(p, p->w, (int)p->tile, pixels, x, w, channel, out);
    oct_k_close(b, loops);
    if (!p->over) return;
    y.at = lp_offset(y.at, p->blocks * p->tile * y.channel);
    build_tile(p, p->w_rest, (int)p->over, pixels, x, lp_at(0), lp_at(p->blocks * p->tile), y);
}

/* ---- conv2d -----------------------------------------------------------------------------------------------------------------
 */

/* One element, or a quad, in 16 bits. */
static void widen(struct oct_kbuild *b, void *user, struct lp_addr from, struct lp_addr to) {
    const struct pairs *p = user;
    if (p->interleaved) {
        struct lp_val word[2];
        oct_load_quad(b->k, "x", p->l.x, true, from, 0, word);
        for (int h = 0; h < 2; h++) lp_store(b->k, p->x, lp_offset(to, 2 * h), word[h]);
        return;
    }
    struct lp_val v = lp_load(b->k, NULL, lp_scalar((enum lp_elem)b->k->buf[p->l.x].elem), p->l.x, from);
    lp_store(b->k, p->x, to, lp_op1(b->k, NULL, LP_OP_cvt, lp_scalar(LP_I16), v));
}

/* The rows that an output row sees, `width` pixels of each. */
static void widen_rows(struct pairs *p, struct lp_addr x, int64_t width) {
    struct oct_kbuild *b = p->l.b;
    const struct oct_layout *in = &b->in[0].at;
    const int64_t channels = in->dim[1];
    struct lp_addr to = lp_at(0);
    int loops = 0;
    oct_k_loop(b, "ky", p->rows, &x, b->node->at.dilation[0] * in->stride[2], &to, p->x_row, &loops);
    if (in->stride[1] == 1 && in->stride[3] == channels && p->place == channels) width *= channels;
    else {
        oct_k_loop(b, "ix", width, &x, in->stride[3], &to, p->place, &loops);
        width = channels;
    }
    const int64_t step = p->interleaved ? OCT_QUAD : 1;
    oct_k_turns(b, "i", width / step, x, in->stride[1] * step, to, step, widen, p);
    oct_k_close(b, loops);
}

static int64_t quads(int64_t terms) { return (terms + OCT_QUAD - 1) / OCT_QUAD; }
/* Pixels that take whole quads, or whole words, are aligned; they do where no more quads come of it. */
static int64_t place_of(int64_t channels, int64_t taps) {
    for (int64_t unit = OCT_QUAD; unit > 1; unit /= 2) {
        const int64_t place = (channels + unit - 1) / unit * unit;
        if (quads(place * taps) == quads(channels * taps)) return place;
    }
    return channels;
}

bool oct_build_conv2d_pairs(struct oct_kbuild *b) {
    struct pairs p = {0};
    struct layer *l = &p.l;
    if (!oct_layer_plan(l, b)) return false;
    b->k->isa = b->target->isa;
    oct_layer_open(l);
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int64_t kh = b->in[1].node->type.dim[2], kw = b->in[1].node->type.dim[3], channels = in->dim[1], width = out->dim[3],
                  seen = (width - 1) * at->stride[1] + (kw - 1) * at->dilation[1] + 1;
    p.rows = kh;
    p.runs = at->dilation[1] > 1 ? kw : 1;
    p.place = place_of(channels, kw / p.runs);
    p.run = kw / p.runs * p.place;
    p.quads = quads(p.run);
    p.interleaved = channels % OCT_QUAD == 0 && in->stride[1] == 1 && b->in[0].node->type.dtype == OCT_I8;
    p.x_row = seen * p.place;
    p.x_run = at->dilation[1] * p.place;
    p.x_pixel = at->stride[1] * p.place;
    open_weights(&p, kh * kw, b->target->tile_oc < OCT_MAX_TILE ? b->target->tile_oc : OCT_MAX_TILE, false);
    p.x = oct_k_scratch(b, "wide", LP_I16, kh * p.x_row + OCT_QUAD - 1);
    const struct oct_split split =
        oct_split_row(width, b->target->tile_px < OCT_MAX_PIXELS ? b->target->tile_px : OCT_MAX_PIXELS);
    b->recipe = oct_sprintf(b->arena, "pairs, %d channels x %d pixels, weights of %s", (int)p.tile, (int)split.size[0],
                            p.bytes ? "8 bits" : "16 bits");

    struct lp_addr x, y;
    const int loops = oct_open_rows(b, &x, &y);
    widen_rows(&p, x, seen);
    for (int part = 0; part < 2; part++) {
        if (!split.count[part]) continue;
        const int64_t pixels = split.size[part];
        struct lp_addr xc = lp_at(split.first[part] * p.x_pixel), yc = lp_offset(y, split.first[part] * out->stride[3]);
        int inner = 0;
        oct_k_loop(b, "col", split.count[part], &xc, pixels * p.x_pixel, &yc, pixels * out->stride[3], &inner);
        build_blocks(&p, (int)pixels, xc, (struct oct_place){yc, out->stride[3], out->stride[1]});
        oct_k_close(b, inner);
    }
    oct_k_close(b, loops);
    lp_end(b->k);
    return true;
}

/* ---- dense ------------------------------------------------------------------------------------------------------------------
 */

bool oct_build_dense_pairs(struct oct_kbuild *b) {
    struct pairs p = {0};
    struct layer *l = &p.l;
    if (!oct_layer_plan(l, b)) return false;
    b->k->isa = b->target->isa;
    oct_layer_open(l);
    struct oct_layout in = b->in[0].at, out = b->out.at;
    const int last = in.rank - 1;
    p.rows = p.runs = 1;
    p.run = p.place = in.dim[last];
    p.quads = p.run / OCT_QUAD;
    p.x = l->x;
    p.x_codes = p.interleaved = true;
    open_weights(&p, 1, 2 * b->target->tile_oc < OCT_MAX_TILE ? 2 * b->target->tile_oc : OCT_MAX_TILE,
                 true); /* each is used once */
    b->recipe = oct_sprintf(b->arena, "pairs, %d outputs at once, weights of %s", (int)p.tile, p.bytes ? "8 bits" : "16 bits");
    const int64_t channel = out.stride[last];
    in.dim[last] = out.dim[last] = 1;
    struct lp_addr at[2];
    int loops = oct_k_nest(b, 2, (const struct oct_layout *[]){&out, &in}, 0, at);
    build_blocks(&p, 1, at[1], (struct oct_place){at[0], 0, channel});
    oct_k_close(b, loops);
    return true;
}
