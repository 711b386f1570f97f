/* depthwise_pairs.c - depthwise convolution of bytes with products in pairs (linear_pairs.c): the halves of a word are two taps
 * of one channel, one above the other.
 *
 * For each output row the input rows that it sees go into scratch memory as such words, all words of a pixel and channel side by
 * side, so that a tap column is one or two loads. Of an odd number of rows the last stands alone in its word; the other half is
 * anything, and its weight 0. Four channels at once are widened by SXTB16 and paired by PKHBT and PKHTB: then the lone row of
 * channels 2 and 3 stands in the upper half, as it came. */
#include "pairs.h"

enum { MAX_WORDS = 4 };
struct column {
    struct layer l;
    int64_t rows, cols, words, channels; /* taps; words of a tap column */
    bool fours;                          /* channels are widened four at a time */
    int32_t x, w;                        /* scratch memory; weights */
    int64_t pixel;                       /* distance of output pixels in x */
    int pixels;                          /* of the tile at work */
    struct lp_val (*acc)[OCT_MAX_PIXELS];
};

bool oct_fits_depthwise_pairs(const struct oct_kbuild *b) {
    const struct oct_type *w = &b->in[1].node->type;
    return oct_has_pairs(b->target) && oct_fits_conv2d(b) && oct_dtype_size(b->in[0].node->type.dtype) == 1 &&
           b->node->at.groups == b->in[0].at.dim[1] && w->dim[0] == b->node->at.groups && w->dim[2] >= 2 &&
           w->dim[2] <= 2 * MAX_WORDS && oct_layer_reach(b) <= INT32_MAX;
}

/* Does the last row stand alone, and in which half of its word? */
static bool is_lone(const struct column *s, int64_t ky) { return ky == s->rows - 1 && ky % 2 == 0; }
static int64_t half_of(const struct column *s, int64_t ky, int64_t channel) {
    return is_lone(s, ky) && s->fours ? channel % OCT_QUAD / 2 : ky % 2;
}

/* [channel][kx][word][half] */
static int32_t pack(const struct column *s) {
    struct oct_kbuild *b = s->l.b;
    const int64_t n = s->channels * s->cols * s->words * 2;
    int16_t *w = OCT_NEW_N(b->arena, int16_t, n);
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t ky = 0; ky < s->rows; ky++)
            for (int64_t kx = 0; kx < s->cols; kx++)
                w[((c * s->cols + kx) * s->words + ky / 2) * 2 + half_of(s, ky, c)] = s->l.w[c * s->l.terms + ky * s->cols + kx];
    return oct_k_const(b, "w", LP_I16, n, w);
}

/* ---- the rows as words ------------------------------------------------------------------------------------------------------
 */

static struct lp_addr row_of(const struct column *s, struct lp_addr x, int64_t ky) {
    return lp_offset(x, ky * s->l.b->node->at.dilation[0] * s->l.b->in[0].at.stride[2]);
}
static void widen_four(struct oct_kbuild *b, void *user, struct lp_addr from, struct lp_addr to) {
    static const uint8_t lower[] = {0, 2}, upper[] = {1, 3};
    const struct column *s = user;
    struct lp_val word[OCT_QUAD][MAX_WORDS];
    for (int64_t j = 0; j < s->words; j++) {
        struct lp_val above[2], below[2]; /* channels 0 2, 1 3 */
        const bool lone = is_lone(s, 2 * j);
        oct_load_quad(b->k, "x", s->l.x, true, row_of(s, from, 2 * j), 0, above);
        if (!lone) oct_load_quad(b->k, "x", s->l.x, true, row_of(s, from, 2 * j + 1), 0, below);
        for (int c = 0; c < OCT_QUAD; c++)
            word[c][j] = lone ? above[c % 2] : lp_shuffle(b->k, "column", above[c % 2], below[c % 2], 2, c < 2 ? lower : upper);
    }
    for (int c = 0; c < OCT_QUAD; c++)
        for (int64_t j = 0; j < s->words; j++) lp_store(b->k, s->x, lp_offset(to, (c * s->words + j) * 2), word[c][j]);
}
static void widen_one(struct oct_kbuild *b, void *user, struct lp_addr from, struct lp_addr to) {
    const struct column *s = user;
    const enum lp_elem elem = (enum lp_elem)b->k->buf[s->l.x].elem;
    for (int64_t ky = 0; ky < s->rows; ky++) {
        struct lp_val v = lp_load(b->k, NULL, lp_scalar(elem), s->l.x, row_of(s, from, ky));
        lp_store(b->k, s->x, lp_offset(to, ky), lp_op1(b->k, NULL, LP_OP_cvt, lp_scalar(LP_I16), v));
    }
}
static void widen_rows(struct column *s, struct lp_addr x, int64_t width) {
    struct oct_kbuild *b = s->l.b;
    const struct oct_layout *in = &b->in[0].at;
    const int64_t place = s->words * 2, at_once = s->fours ? OCT_QUAD : 1;
    struct lp_addr to = lp_at(0);
    int loops = 0;
    oct_k_loop(b, "ix", width, &x, in->stride[3], &to, s->channels * place, &loops);
    oct_k_turns(b, "c", s->channels / at_once, x, at_once * in->stride[1], to, at_once * place, s->fours ? widen_four : widen_one,
                s);
    oct_k_close(b, loops);
}

/* ---- sums --------------------------------------------------------------------------------------------------------------------
 */

static void build_column(struct oct_kbuild *b, void *user, struct lp_addr x, struct lp_addr w) {
    const struct column *s = user;
    struct lp_val xs[MAX_WORDS], ws[MAX_WORDS];
    for (int64_t j = 0; j < s->words; j++) ws[j] = lp_load(b->k, "w", oct_pair, s->w, lp_offset(w, 2 * j));
    for (int p = 0; p < s->pixels; p++) {
        for (int64_t j = 0; j < s->words; j++) xs[j] = lp_load(b->k, "x", oct_pair, s->x, lp_offset(x, p * s->pixel + 2 * j));
        for (int64_t j = 0; j < s->words; j++)
            lp_op_to(b->k, s->acc[0][p], LP_OP_dot2, 3, (struct lp_val[]){s->acc[0][p], xs[j], ws[j]}, 0);
    }
}

bool oct_build_depthwise_pairs(struct oct_kbuild *b) {
    struct column s = {0};
    struct layer *l = &s.l;
    if (!oct_layer_plan(l, b)) return false;
    oct_layer_open(l);
    b->k->isa = b->target->isa;
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *w = &b->in[1].node->type;
    s.rows = w->dim[2];
    s.cols = w->dim[3];
    s.words = (s.rows + 1) / 2;
    s.channels = in->dim[1];
    s.fours = s.channels % OCT_QUAD == 0 && in->stride[1] == 1 && b->in[0].node->type.dtype == OCT_I8;
    const int64_t width = out->dim[3], seen = (width - 1) * at->stride[1] + (s.cols - 1) * at->dilation[1] + 1,
                  place = s.channels * s.words * 2;
    s.pixel = at->stride[1] * place;
    s.w = pack(&s);
    s.x = oct_k_scratch(b, "columns", LP_I16, seen * place);
    const struct oct_split split = oct_split_row(width, OCT_MAX_PIXELS);
    b->recipe = oct_sprintf(b->arena, "pairs of taps, %d pixels", (int)split.size[0]);

    struct lp_addr x, y;
    const int loops = oct_open_rows(b, &x, &y);
    widen_rows(&s, x, seen);
    for (int part = 0; part < 2; part++) {
        if (!split.count[part]) continue;
        struct lp_addr from = lp_at(split.first[part] * s.pixel), to = lp_offset(y, split.first[part] * out->stride[3]),
                       weights = lp_at(0), channel = lp_at(0);
        oct_tile_acc acc;
        int inner = 0;
        s.pixels = (int)split.size[part];
        s.acc = acc;
        oct_k_loop(b, "col", split.count[part], &from, s.pixels * s.pixel, &to, s.pixels * out->stride[3], &inner);
        if (s.channels > 1) {
            int32_t c = lp_loop(b->k, "c", s.channels);
            from = lp_plus(from, c, s.words * 2);
            to = lp_plus(to, c, out->stride[1]);
            weights = lp_plus(weights, c, s.cols * s.words * 2);
            channel = lp_plus(channel, c, 1);
            inner++;
        }
        oct_tile_open(l, 1, s.pixels, channel, acc);
        oct_k_turns(b, "kx", s.cols, from, at->dilation[1] * place, weights, s.words * 2, build_column, &s);
        oct_tile_close(l, 1, s.pixels, channel, acc, (struct oct_place){to, out->stride[3], 0});
        oct_k_close(b, inner);
    }
    oct_k_close(b, loops);
    lp_end(b->k);
    return true;
}
