/* linear.c - conv2d and dense on codes: direct convolution over NHWC images whose border holds the zero point, no im2col.
 *
 * acc = b' + sum w x with b' = b - z_x sum w, so that no zero point is left in the loops (padding reads z_x from the border).
 * A tile is channels x pixels accumulators, each a register of its own; the loops over taps and input channels stay rolled. */
#include "layer.h"
#include "vec.h"
#include "window.h"

bool oct_fits_dense(const struct oct_kbuild *b) { return oct_layer_fits_sums(b); }
bool oct_fits_conv2d(const struct oct_kbuild *b) {
    for (int i = 0; i < 4; i++)
        if (b->in[0].at.border[i] < b->node->at.pad[i]) return false;
    return oct_layer_fits_sums(b);
}

static void say_scalar(struct oct_kbuild *b, const char *why) {
    oct_k_fallback(b, "scalar code: %s", why ? why : "results of 32 bits");
}

/* Elements in memory that hold one term of all channels of a tile. */
static int64_t row_of(const struct layer *l, int64_t tile) { return l->w4 ? (tile + 1) / 2 : tile; }

/* Weights of outputs [first, first + blocks * tile) of each group: groups, blocks, terms in the order of `dims`, then the tile's
 * channels, of 4 bits the even one in the lower half of the byte. */
static int32_t pack_weights(struct layer *l, const char *name, int64_t first, int64_t blocks, int64_t tile) {
    const enum lp_elem elem = l->w8 ? LP_I8 : LP_I16;
    struct oct_kbuild *b = l->b;
    const struct oct_type *w = &b->in[1].node->type;
    struct oct_pack p = {.rank = w->rank};
    for (int a = 0; a < w->rank; a++) p.dim[a] = w->dim[a];
    p.dim[0] -= first;
    if (l->groups > 1) p.d[p.ndims++] = (struct oct_pack_dim){l->groups, 0, l->outputs / l->groups};
    p.d[p.ndims++] = (struct oct_pack_dim){blocks, 0, tile};
    for (int a = 2; a < w->rank; a++) p.d[p.ndims++] = (struct oct_pack_dim){w->dim[a], a, 1}; /* kh, kw */
    p.d[p.ndims++] = (struct oct_pack_dim){w->dim[1], 1, 1};
    p.d[p.ndims++] = (struct oct_pack_dim){tile, 0, 1};
    const int64_t n = oct_pack_elements(&p);
    const int16_t *from = l->w + first * l->terms;
    const int64_t given = (l->outputs - first) * l->terms;
    const void *source = from;
    if (elem == LP_I8) {
        int8_t *narrow = OCT_NEW_N(b->arena, int8_t, given);
        for (int64_t i = 0; i < given; i++) narrow[i] = (int8_t)from[i];
        source = narrow;
    }
    const void *data = oct_pack_data(b->arena, &p, elem, source);
    if (!l->w4) return oct_k_const(b, name, elem, n, data);
    const int64_t row = row_of(l, tile), rows = n / tile;
    uint8_t *two = OCT_NEW_N(b->arena, uint8_t, rows * row);
    for (int64_t i = 0; i < n; i++)
        two[i / tile * row + i % tile / 2] |= (uint8_t)((((const uint8_t *)data)[i] & 15u) << i % tile % 2 * 4);
    return oct_k_const(b, name, LP_I8, rows * row, two);
}

static struct lp_val accumulate(struct layer *l, struct lp_val acc, struct lp_val x, struct lp_val w) {
    struct lp_kernel *k = l->b->k;
    struct lp_val p = lp_op2(k, NULL, LP_OP_mul_nw, x, w);
    if (l->wide) p = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), p);
    lp_op_to(k, acc, l->proved || l->wide ? LP_OP_add_nw : LP_OP_add, 2, (struct lp_val[]){acc, p}, 0);
    return acc;
}

/* The loops of one sum: x moves by `step`, the weights follow in order. */
struct sum {
    int n;
    struct {
        const char *name;
        int64_t trip, step;
    } loop[3];
};
static void add_loop(struct sum *s, const char *name, int64_t trip, int64_t step) {
    if (trip == 1) return;
    if (s->n && s->loop[s->n - 1].step == trip * step) { /* one longer loop does for both */
        s->loop[s->n - 1].trip *= trip;
        s->loop[s->n - 1].step = step;
        s->loop[s->n - 1].name = name;
        return;
    }
    s->loop[s->n].name = name, s->loop[s->n].trip = trip, s->loop[s->n].step = step, s->n++;
}

/* One term of the sum for every accumulator of the tile. */
struct term {
    struct layer *l;
    int tile, pixels;
    int64_t pixel; /* distance of pixels in x */
    int32_t w;
    struct lp_val (*acc)[OCT_MAX_PIXELS];
};
static void build_term(struct oct_kbuild *b, void *user, struct lp_addr x, struct lp_addr w) {
    const struct term *s = user;
    struct lp_val in[OCT_MAX_PIXELS];
    for (int p = 0; p < s->pixels; p++)
        in[p] = oct_k_load_code(b, oct_sprintf(b->arena, "x%d", p), s->l->x, lp_offset(x, p * s->pixel));
    struct lp_val byte = {0};
    for (int t = 0; t < s->tile; t++) {
        const char *name = oct_sprintf(b->arena, "w%d", t);
        struct lp_val v;
        if (s->l->w4) {
            if (t % 2 == 0) byte = oct_k_load_code(b, NULL, s->w, lp_offset(w, t / 2));
            v = lp_shift(b->k, name, LP_OP_sar, t % 2 ? byte : lp_shift(b->k, NULL, LP_OP_shl, byte, 28), t % 2 ? 4 : 28);
        } else v = oct_k_load_code(b, name, s->w, lp_offset(w, t));
        for (int p = 0; p < s->pixels; p++) accumulate(s->l, s->acc[t][p], in[p], v);
    }
}

static void build_sum(struct layer *l, const struct sum *s, int tile, int pixels, struct oct_place x, int32_t wbuf,
                      struct lp_addr w, oct_tile_acc acc) {
    struct term term = {l, tile, pixels, x.pixel, wbuf, acc};
    const int64_t row = row_of(l, tile);
    int64_t stride = row;
    int loops = 0;
    for (int i = 0; i < s->n; i++) stride *= s->loop[i].trip;
    for (int i = 0; i < s->n - 1; i++) {
        stride /= s->loop[i].trip;
        oct_k_loop(l->b, s->loop[i].name, s->loop[i].trip, &x.at, s->loop[i].step, &w, stride, &loops);
    }
    if (s->n) {
        const int last = s->n - 1;
        oct_k_turns(l->b, s->loop[last].name, s->loop[last].trip, x.at, s->loop[last].step, w, row, build_term, &term);
    } else build_term(l->b, &term, x.at, w);
    oct_k_close(l->b, loops);
}

void oct_tile_open(const struct layer *l, int tile, int pixels, struct lp_addr channel, oct_tile_acc acc) {
    struct lp_kernel *k = l->b->k;
    const enum lp_elem e = l->wide ? LP_I64 : LP_I32;
    for (int t = 0; t < tile; t++) {
        struct lp_val bias = lp_load(k, NULL, lp_scalar(e), l->bias_buf, lp_offset(channel, t));
        for (int p = 0; p < pixels; p++) {
            acc[t][p] = lp_reg(k, lp_scalar(e), oct_sprintf(l->b->arena, "c%dp%d", t, p));
            lp_set(k, acc[t][p], p ? acc[t][0] : bias);
        }
    }
}
void oct_tile_close(const struct layer *l, int tile, int pixels, struct lp_addr channel, oct_tile_acc acc, struct oct_place y) {
    for (int t = 0; t < tile; t++)
        for (int p = 0; p < pixels; p++) {
            struct lp_val code = oct_rq_build(l->b, &l->rq, acc[t][p], l->params, lp_offset(channel, l->words + t));
            oct_k_store_code(l->b, l->y, lp_offset(y.at, p * y.pixel + t * y.channel), code);
        }
}

static void build_tile(struct layer *l, const struct sum *s, int tile, int pixels, struct oct_place x, struct oct_place y,
                       int32_t wbuf, struct lp_addr w, struct lp_addr channel) {
    oct_tile_acc acc;
    oct_tile_open(l, tile, pixels, channel, acc);
    build_sum(l, s, tile, pixels, x, wbuf, w, acc);
    oct_tile_close(l, tile, pixels, channel, acc, y);
}

/* Outputs of one group at one tile of pixels: whole blocks in a loop, then the rest. Weights are packed for all groups. */
struct weights {
    int32_t main, rest;
    int64_t blocks, tile, over;
};
static struct weights weights_of(struct layer *l, int64_t want) {
    const int64_t count = l->outputs / l->groups;
    struct weights w = {.tile = want < count ? want : count};
    w.blocks = count / w.tile;
    w.over = count % w.tile;
    w.main = pack_weights(l, "w", 0, w.blocks, w.tile);
    if (w.over) w.rest = pack_weights(l, "w_rest", w.blocks * w.tile, 1, w.over);
    return w;
}
static void build_blocks(struct layer *l, const struct sum *s, const struct weights *w, int pixels, struct oct_place x,
                         struct oct_place y) {
    struct lp_kernel *k = l->b->k;
    const int64_t count = w->blocks * w->tile, per_group = count + w->over;
    struct lp_addr channel = lp_at(0), main = lp_at(0), rest = lp_at(0);
    int loops = 0;
    if (l->groups > 1) {
        int32_t g = lp_loop(k, "group", l->groups);
        channel = lp_plus(channel, g, per_group);
        main = lp_plus(main, g, w->blocks * row_of(l, w->tile) * l->terms);
        rest = lp_plus(rest, g, row_of(l, w->over) * l->terms);
        x.at = lp_plus(x.at, g, l->b->in[1].node->type.dim[1] * x.channel);
        y.at = lp_plus(y.at, g, per_group * y.channel);
        loops++;
    }
    struct lp_addr first = channel;
    struct oct_place out = y;
    if (w->blocks > 1) {
        int32_t block = lp_loop(k, "block", w->blocks);
        first = lp_plus(first, block, w->tile);
        main = lp_plus(main, block, row_of(l, w->tile) * l->terms);
        out.at = lp_plus(out.at, block, w->tile * y.channel);
    }
    build_tile(l, s, (int)w->tile, pixels, x, out, w->main, main, first);
    if (w->blocks > 1) lp_end(k);
    if (w->over) {
        out.at = lp_offset(y.at, count * y.channel);
        build_tile(l, s, (int)w->over, pixels, x, out, w->rest, rest, lp_offset(channel, count));
    }
    oct_k_close(l->b, loops);
}

/* One input channel to one output channel: taps unrolled, channels innermost. */
static void build_depthwise(struct layer *l, struct lp_addr x, struct lp_addr y, const struct oct_layout *in,
                            const struct oct_layout *out) {
    struct oct_kbuild *b = l->b;
    struct lp_kernel *k = b->k;
    const struct oct_type *w = &b->in[1].node->type;
    const int64_t channels = l->outputs, kh = w->dim[2], kw = w->dim[3];
    const enum lp_elem elem = l->w8 ? LP_I8 : LP_I16, e = l->wide ? LP_I64 : LP_I32;
    struct oct_pack p = {.rank = 2, .dim = {channels, kh * kw}, .ndims = 2, .d = {{kh * kw, 1, 1}, {channels, 0, 1}}};
    int8_t *narrow = OCT_NEW_N(b->arena, int8_t, channels * kh * kw);
    for (int64_t i = 0; i < channels * kh * kw; i++) narrow[i] = (int8_t)l->w[i];
    int32_t wbuf =
        oct_k_const(b, "w", elem, channels * kh * kw, oct_pack_data(b->arena, &p, elem, l->w8 ? (const void *)narrow : l->w));
    int32_t c = lp_loop(k, "c", channels);
    x = lp_plus(x, c, in->stride[1]);
    y = lp_plus(y, c, out->stride[1]);
    struct lp_addr weights = lp_plus(lp_at(0), c, 1), channel = weights;
    struct lp_val acc = lp_reg(k, lp_scalar(e), "acc");
    lp_load_to(k, acc, l->bias_buf, channel);
    const int64_t row = b->node->at.dilation[0] * in->stride[2], col = b->node->at.dilation[1] * in->stride[3];
    enum { UNROLL = 32 };
    if (kh * kw <= UNROLL) {
        for (int64_t i = 0; i < kh; i++)
            for (int64_t j = 0; j < kw; j++)
                accumulate(l, acc, oct_k_load_code(b, NULL, l->x, lp_offset(x, i * row + j * col)),
                           oct_k_load_code(b, NULL, wbuf, lp_offset(weights, (i * kw + j) * channels)));
    } else {
        int32_t i = lp_loop(k, "ky", kh), j = lp_loop(k, "kx", kw);
        accumulate(l, acc, oct_k_load_code(b, NULL, l->x, lp_plus(lp_plus(x, i, row), j, col)),
                   oct_k_load_code(b, NULL, wbuf, lp_plus(lp_plus(weights, i, kw * channels), j, channels)));
        oct_k_close(b, 2);
    }
    oct_k_store_code(b, l->y, y, oct_rq_build(b, &l->rq, acc, l->params, lp_offset(channel, l->words)));
    lp_end(k);
}

static const char *two_to_a_byte(const struct layer *l) { return l->w4 ? ", weights two to a byte" : ""; }

bool oct_build_conv2d(struct oct_kbuild *b) {
    struct layer l;
    if (!oct_layer_plan(&l, b)) return false;
    oct_layer_open(&l);
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *w = &b->in[1].node->type;
    const int64_t groups = at->groups, per_group = l.outputs / groups, kh = w->dim[2], kw = w->dim[3], width = out->dim[3];
    const bool depthwise = w->dim[1] == 1 && per_group == 1 && groups > 1;
    struct lp_kernel *k = b->k;
    struct sum s = {0};
    add_loop(&s, "ky", kh, at->dilation[0] * in->stride[2]);
    add_loop(&s, "kx", kw, at->dilation[1] * in->stride[3]);
    add_loop(&s, "ci", w->dim[1], in->stride[1]);
    int64_t tile = b->target->tile_oc < OCT_MAX_TILE ? b->target->tile_oc : OCT_MAX_TILE;
    int64_t px = b->target->tile_px < OCT_MAX_PIXELS ? b->target->tile_px : OCT_MAX_PIXELS;
    if (px > width) px = width;
    if (depthwise) px = 1;
    if (b->target->vector_bits >= 256) say_scalar(b, depthwise ? oct_depthwise_vec_refuses(b) : oct_conv2d_vec_refuses(b));
    b->recipe = depthwise    ? "direct depthwise"
                : groups > 1 ? oct_sprintf(b->arena, "direct grouped%s", two_to_a_byte(&l))
                             : oct_sprintf(b->arena, "direct %d channels x %d pixels%s", (int)tile, (int)px, two_to_a_byte(&l));
    l.groups = groups;
    struct weights packed = {0};
    if (!depthwise) packed = weights_of(&l, tile);

    struct lp_addr x, y;
    const int loops = oct_open_rows(b, &x, &y);
    const int64_t xp = at->stride[1] * in->stride[3], yp = out->stride[3];
    for (int part = 0; part < 2; part++) { /* whole tiles of pixels, then the rest of the row */
        const int64_t trips = part ? width % px != 0 : width / px, pixels = part ? width % px : px,
                      first = part ? width - width % px : 0;
        if (!trips) continue;
        struct lp_addr xc = lp_offset(x, first * xp), yc = lp_offset(y, first * yp);
        if (trips > 1) {
            int32_t col = lp_loop(k, "col", trips);
            xc = lp_plus(xc, col, px * xp);
            yc = lp_plus(yc, col, px * yp);
        }
        if (depthwise) build_depthwise(&l, xc, yc, in, out);
        else
            build_blocks(&l, &s, &packed, (int)pixels, (struct oct_place){xc, xp, in->stride[1]},
                         (struct oct_place){yc, yp, out->stride[1]});
        if (trips > 1) lp_end(k);
    }
    oct_k_close(b, loops);
    lp_end(k);
    return true;
}

bool oct_build_dense(struct oct_kbuild *b) {
    struct layer l;
    if (!oct_layer_plan(&l, b)) return false;
    oct_layer_open(&l);
    if (b->target->vector_bits >= 256) say_scalar(b, oct_dense_vec_refuses(b));
    int64_t tile = b->target->tile_oc * 2 < OCT_MAX_TILE ? b->target->tile_oc * 2 : OCT_MAX_TILE;
    b->recipe = oct_sprintf(b->arena, "%d outputs at once%s", (int)tile, two_to_a_byte(&l));
    struct weights w = weights_of(&l, tile);
    struct oct_layout in = b->in[0].at, out = b->out.at;
    const int last = in.rank - 1;
    struct sum s = {0};
    add_loop(&s, "i", in.dim[last], in.stride[last]);
    const int64_t channel = out.stride[last];
    in.dim[last] = out.dim[last] = 1;
    struct lp_addr at[2];
    int loops = oct_k_nest(b, 2, (const struct oct_layout *[]){&out, &in}, 0, at);
    build_blocks(&l, &s, &w, 1, (struct oct_place){at[1], 0, 0}, (struct oct_place){at[0], 0, channel});
    oct_k_close(b, loops);
    return true;
}
