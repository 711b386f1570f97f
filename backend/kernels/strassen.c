/* strassen.c - 1x1 convolution of stride 1 on 8-bit codes with seven products of matrices of half the size for eight (Strassen's
 * algorithm in Winograd's form, one level): an eighth of the multiplications less, the same bits.
 *
 * Pixels, channels and outputs are cut into halves: X = [x11 x12; x21 x22] by pixels and channels, W = [w11 w12; w21 w22] by
 * channels and outputs. Sums of up to four codes or weights fit 16 bits, their products go by pairs (madd.h), and all sums are
 * exact modulo 2^32, which is enough: the result fits.
 *
 *   s1 = x21 + x22   s2 = s1 - x11   s3 = x11 - x21   s4 = x12 - s2
 *   t1 = w12 - w11   t2 = w22 - t1   t3 = w22 - w12   t4 = w21 - t2
 *   u1 = x11 w11     u2 = u1 + s2 t2   u3 = u2 + s3 t3    v = s1 t1
 *   y11 = u1 + x12 w21                 y12 = u2 + v + s4 w22
 *   y21 = u3 + x22 t4                  y22 = u3 + v
 *
 * A band of pixels at a time: the left factors of its seven products from its codes; then for each block of outputs of the first
 * half, and the one of the second half that belongs to it, the right factors from its weights; one product after the other, tile
 * of pixels by tile, its weights in the near cache, while what products add up to waits in scratch memory; the results. One loop
 * over products, which takes from a table what each adds to, is a sixth of the text that C compilers would have of them all.
 * Weights stay 8 bits in memory. Where pixels are odd, both halves have the one in the middle. */
#include "cost.h"
#include "layer.h"
#include "madd.h"
#include "rq_vec.h"
#include "shape.h"
#include "vec.h"

enum { PRODUCTS = 7, QUARTERS = 4, CODES_BYTES = 400 * 1024, LEAST_PIXELS = 16 };
enum { X11_W11, X12_W21, S2_T2, S3_T3, X22_T4, S1_T1, S4_W22 }; /* in this order they are made */
/* Sums in scratch memory, less the bias: after each product. */
enum { U1, Y11, U2, U3, Y21, V, V_S4_W22, ZERO, SUMS };
static const int start[PRODUCTS] = {[X11_W11] = ZERO, [X12_W21] = U1, [S2_T2] = U1, [S3_T3] = U2,
                                    [X22_T4] = U3,    [S1_T1] = ZERO, [S4_W22] = V}; /* sums that they add to */
static const struct {
    int down, right, a, b; /* which half of pixels and of outputs; sums that it is made of */
} quarters[QUARTERS] = {{0, 0, Y11, ZERO}, {1, 0, Y21, ZERO}, {0, 1, V_S4_W22, U2}, {1, 1, U3, V}};

struct strassen {
    struct layer l;
    struct oct_kbuild *b;
    struct oct_shape s;
    struct oct_rqv rq;
    int lanes, vectors, pixels;
    int64_t parts, half, second, run; /* bands; pixels of a half, and where the second half of a band starts */
    int64_t channels, outputs, block; /* of a half; outputs of a block */
    int64_t panel, words, sums;       /* elements of a left factor, a right one, of sums */
    int32_t w, bias, starts, quarters, codes, weights, u; /* buffers */
};

/* ---- ways -------------------------------------------------------------------------------------------------------------------
 */

/* Bands: as few as leave the codes of one in the cache. */
static int64_t parts_of(const struct oct_shape *s) {
    const int64_t pixels = s->h * s->w;
    int64_t parts = 1;
    while (parts < pixels && (pixels % parts || (pixels / parts + 1) / 2 * (s->c / 2) * 2 * PRODUCTS > CODES_BYTES)) parts++;
    return parts;
}

bool oct_fits_strassen(const struct oct_kbuild *b) {
    if (b->target->vector_bits < 256 || !oct_layer_fits(b) || oct_conv2d_vec_refuses(b)) return false;
    const struct oct_shape s = oct_shape_of_conv(b);
    const int n = b->target->vector_bits / 16;
    return s.flat && s.in_channel == 1 && s.out_channel == 1 && (s.h * s.w / parts_of(&s) + 1) / 2 >= LEAST_PIXELS &&
           s.c % (2 * n) == 0 && b->out.at.dim[1] % (2 * n) == 0;
}

/* Pixels whose sums wait at the same time: a part of a half, few enough for the near cache, in which tiles leave few over. */
static int64_t run_of(int64_t half, int64_t tile) {
    enum { MOST = 64, FEWEST = 16 };
    int64_t best = half;
    for (int64_t n = half; n >= FEWEST; n--)
        if (half % n == 0 && (best > MOST || (n + tile - 1) / tile * best < (best + tile - 1) / tile * n)) best = n;
    return best;
}

/* Two vectors of outputs: one more would leave tiles of few pixels. */
void oct_ways_strassen(const struct oct_kbuild *b, struct oct_ways *out) {
    enum { VECTORS = 2, STORE = 4, KEEP = 8 }; /* quarter cycles for a vector that is stored, and read again */
    const struct oct_shape s = oct_shape_of_conv(b);
    const int lanes = b->target->vector_bits / 32;
    const int64_t parts = parts_of(&s), half = (s.h * s.w / parts + 1) / 2, outputs = b->out.at.dim[1];
    const int64_t blocks = outputs / (2 * VECTORS * lanes), pairs = s.c / 4;
    for (int p = 2; p <= oct_madd_most(b->target, VECTORS); p++) {
        const double product =
            (double)(pairs * oct_madd_cost(half, p, VECTORS)) * (oct_madd_crowds(b->target, p, VECTORS) ? 1.1 : 1);
        const double codes = (double)(half * (s.c / 2) / (2 * lanes) * PRODUCTS * STORE),
                     weights = (double)(pairs * VECTORS * PRODUCTS * STORE), sums = (double)(half * VECTORS * PRODUCTS * KEEP);
        struct oct_way *w = oct_k_offer(out, "%dx%d", p, VECTORS);
        w->pixels = p;
        w->vectors = VECTORS;
        *w->steps = 'a';
        w->gain = 8.0 / (double)PRODUCTS;
        w->cycles = (double)(s.images * parts) *
                        (oct_cost_operations(b->target, codes + (double)blocks * ((double)PRODUCTS * product + weights + sums)) +
                         oct_cost_finish(b->target, 2 * half * outputs / lanes)) +
                    oct_cost_stream(b->target, s.c * outputs, s.images * parts);
    }
}

/* ---- buffers ----------------------------------------------------------------------------------------------------------------
 */

/* [block][half of channels][half of outputs][pair][output][2] */
static int32_t pack_weights(const struct strassen *v) {
    struct oct_kbuild *b = v->b;
    const struct oct_pack pack = {
        .rank = 2,
        .dim = {2 * v->outputs, 2 * v->channels},
        .ndims = 6,
        .d = {{v->outputs / v->block, 0, v->block},
              {2, 1, v->channels},
              {2, 0, v->outputs},
              {v->channels / 2, 1, 2},
              {v->block, 0, 1},
              {2, 1, 1}},
    };
    return oct_k_const(b, "w", LP_I8, oct_pack_elements(&pack),
                       oct_pack_data(b->arena, &pack, LP_I8, oct_layer_rows(b, b->arena)));
}

/* Where sums start from. */
static int32_t pack_starts(const struct strassen *v) {
    int32_t *at = OCT_NEW_N(v->b->arena, int32_t, PRODUCTS);
    for (int i = 0; i < PRODUCTS; i++) at[i] = (int32_t)(start[i] * v->sums);
    return oct_k_const(v->b, "starts", LP_I32, PRODUCTS, at);
}
/* Where results come from and go to. */
static int32_t pack_quarters(const struct strassen *v) {
    int32_t *at = OCT_NEW_N(v->b->arena, int32_t, 4 * QUARTERS);
    for (int i = 0; i < QUARTERS; i++) {
        at[4 * i] = (int32_t)(quarters[i].a * v->sums);
        at[4 * i + 1] = (int32_t)(quarters[i].b * v->sums);
        at[4 * i + 2] = (int32_t)(quarters[i].right * v->outputs);
        at[4 * i + 3] = (int32_t)(quarters[i].down * v->second * v->s.out_col + quarters[i].right * v->outputs);
    }
    return oct_k_const(v->b, "quarters", LP_I32, 4 * QUARTERS, at);
}

static void open_all(struct strassen *v) {
    struct oct_kbuild *b = v->b;
    const int64_t n = 2 * v->outputs;
    v->l.x = oct_k_in(b, 0);
    v->l.y = oct_k_out(b);
    v->w = pack_weights(v);
    int32_t *bias = OCT_NEW_N(b->arena, int32_t, n);
    for (int64_t o = 0; o < n; o++) bias[o] = (int32_t)(uint32_t)(uint64_t)v->l.bias[o];
    const struct oct_rqv_sums sums = {.lo = v->l.lo, .hi = v->l.hi, .padded = n, .bias = bias};
    oct_rqv_begin(&v->rq, b, &v->l.rq, &sums);
    v->bias = oct_k_const(b, "bias", LP_I32, n, bias);
    v->panel = v->half * v->channels;
    v->words = v->channels * v->block;
    v->sums = v->run * v->block;
    v->codes = oct_k_scratch(b, "codes", LP_I16, PRODUCTS * v->panel);
    v->weights = oct_k_scratch(b, "weights", LP_I16, PRODUCTS * v->words);
    v->u = oct_k_scratch(b, "u", LP_I32, SUMS * v->sums);
    v->starts = pack_starts(v);
    v->quarters = pack_quarters(v);
}

/* ---- codes and weights ------------------------------------------------------------------------------------------------------
 */

static struct lp_val add(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_add, a, b); }
static struct lp_val sub(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_sub, a, b); }
static struct lp_val named(struct lp_kernel *k, const char *name, struct lp_val v) {
    return lp_op1(k, name, LP_OP_mov, (struct lp_type){0}, v);
}
static struct lp_val wide(const struct strassen *v, const char *name, int32_t buf, struct lp_addr at) {
    struct lp_kernel *k = v->b->k;
    const int n = 2 * v->lanes;
    const struct lp_val x = lp_load(k, NULL, lp_vector((enum lp_elem)k->buf[buf].elem, n), buf, at);
    return lp_op1(k, name, LP_OP_cvt, lp_vector(LP_I16, n), x);
}
static void store_all(const struct strassen *v, int32_t buf, struct lp_addr to, int64_t panel, const struct lp_val *x) {
    for (int i = 0; i < PRODUCTS; i++) lp_store(v->b->k, buf, lp_offset(to, i * panel), x[i]);
}

/* x: the first pixel of the band. */
static void build_codes(const struct strassen *v, struct lp_addr x) {
    struct lp_kernel *k = v->b->k;
    struct lp_addr to = lp_at(0);
    const int32_t p = lp_loop(k, "pixel", v->half), c = lp_loop(k, "c", v->channels / (2 * v->lanes));
    x = lp_plus(lp_plus(x, p, v->s.in_col), c, 2 * v->lanes);
    to = lp_plus(lp_plus(to, p, v->channels), c, 2 * v->lanes);
    const struct lp_addr below = lp_offset(x, v->second * v->s.in_col);
    const struct lp_val x11 = wide(v, "x11", v->l.x, x), x12 = wide(v, "x12", v->l.x, lp_offset(x, v->channels)),
                        x21 = wide(v, "x21", v->l.x, below), x22 = wide(v, "x22", v->l.x, lp_offset(below, v->channels));
    const struct lp_val s1 = named(k, "s1", add(k, x21, x22)), s2 = named(k, "s2", sub(k, s1, x11));
    const struct lp_val factors[PRODUCTS] = {
        [X11_W11] = x11, [X12_W21] = x12,           [S2_T2] = s2, [S3_T3] = sub(k, x11, x21), [X22_T4] = x22,
        [S1_T1] = s1,    [S4_W22] = sub(k, x12, s2)};
    store_all(v, v->codes, to, v->panel, factors);
    oct_k_close(v->b, 2);
}

/* w: the first weight of the block. */
static void build_weights(const struct strassen *v, struct lp_addr w) {
    struct lp_kernel *k = v->b->k;
    const int32_t i = lp_loop(k, "i", v->words / (2 * v->lanes));
    w = lp_plus(w, i, 2 * v->lanes);
    const struct lp_addr to = lp_plus(lp_at(0), i, 2 * v->lanes);
    const struct lp_val w11 = wide(v, "w11", v->w, w), w12 = wide(v, "w12", v->w, lp_offset(w, v->words)),
                        w21 = wide(v, "w21", v->w, lp_offset(w, 2 * v->words)),
                        w22 = wide(v, "w22", v->w, lp_offset(w, 3 * v->words));
    const struct lp_val t1 = named(k, "t1", sub(k, w12, w11)), t2 = named(k, "t2", sub(k, w22, t1));
    const struct lp_val factors[PRODUCTS] = {
        [X11_W11] = w11, [X12_W21] = w21, [S2_T2] = t2, [S3_T3] = sub(k, w22, w12), [X22_T4] = sub(k, w21, t2),
        [S1_T1] = t1,    [S4_W22] = w22};
    store_all(v, v->weights, to, v->words, factors);
    lp_end(k);
}

/* ---- products ---------------------------------------------------------------------------------------------------------------
 */

/* An entry of a table, which lies within [0, last]. */
static struct lp_val entry(struct lp_kernel *k, int32_t table, struct lp_addr at, int64_t last) {
    const struct lp_val i = lp_op2(k, NULL, LP_OP_max, lp_load(k, "at", lp_scalar(LP_I32), table, at), lp_int(LP_I32, 0));
    return lp_op2(k, "at", LP_OP_min, i, lp_int(LP_I32, last));
}

static void clear_sums(const struct strassen *v) {
    struct lp_kernel *k = v->b->k;
    const struct lp_val none = lp_op1(k, "none", LP_OP_splat, lp_vector(LP_I32, v->lanes), lp_int(LP_I32, 0));
    const int32_t i = lp_loop(k, "i", v->sums / v->lanes);
    lp_store(k, v->u, lp_plus(lp_at(ZERO * v->sums), i, v->lanes), none);
    lp_end(k);
}

/* A product for a tile; x, w: its factors, from: the sums that it adds to, to: where they go. */
static void build_tile(const struct strassen *v, int pixels, struct lp_addr x, struct lp_addr w, struct lp_addr from,
                       struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    oct_madd_row acc[OCT_MADD_PIXELS];
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < v->vectors; i++) {
            acc[q][i] = lp_reg(k, lp_vector(LP_I32, v->lanes), oct_sprintf(v->b->arena, "c%dp%d", i, q));
            lp_load_to(k, acc[q][i], v->u, lp_offset(from, q * v->block + (int64_t)i * v->lanes));
        }
    const struct oct_madd sum = {.b = v->b,
                                 .lanes = v->lanes,
                                 .vectors = v->vectors,
                                 .codes = v->codes,
                                 .weights = v->weights,
                                 .pixel = v->channels,
                                 .runs = 1,
                                 .pairs = v->channels / 2};
    oct_madd_build(&sum, pixels, x, w, acc);
    for (int q = 0; q < pixels; q++)
        for (int i = 0; i < v->vectors; i++) lp_store(k, v->u, lp_offset(to, q * v->block + (int64_t)i * v->lanes), acc[q][i]);
}
/* x: the first codes of a run. */
static void build_products(const struct strassen *v, struct lp_addr x) {
    struct lp_kernel *k = v->b->k;
    const int64_t tiles = v->run / v->pixels, done = tiles * v->pixels, last = ZERO * v->sums;
    const int32_t product = lp_loop(k, "product", PRODUCTS);
    const struct lp_addr w = lp_plus(lp_at(0), product, v->words), to = lp_plus(lp_at(0), product, v->sums),
                         from = lp_indexed(lp_at(0), entry(k, v->starts, lp_plus(lp_at(0), product, 1), last), 0, last);
    x = lp_plus(x, product, v->panel);
    const int32_t tile = lp_loop(k, "tile", tiles);
    build_tile(v, v->pixels, lp_plus(x, tile, v->pixels * v->channels), w, lp_plus(from, tile, v->pixels * v->block),
               lp_plus(to, tile, v->pixels * v->block));
    lp_end(k);
    if (done < v->run)
        build_tile(v, (int)(v->run - done), lp_offset(x, done * v->channels), w, lp_offset(from, done * v->block),
                   lp_offset(to, done * v->block));
    lp_end(k);
}

/* y, channel: of the block in the first half of outputs. */
static void build_results(const struct strassen *v, struct lp_addr y, struct lp_addr channel) {
    struct lp_kernel *k = v->b->k;
    const int64_t last = (SUMS - 1) * v->sums, right = v->second * v->s.out_col + v->outputs;
    const int32_t quarter = lp_loop(k, "quarter", QUARTERS);
    const struct lp_addr at = lp_plus(lp_at(0), quarter, 4);
    struct lp_addr a = lp_indexed(lp_at(0), entry(k, v->quarters, at, last), 0, last),
                   b = lp_indexed(lp_at(0), entry(k, v->quarters, lp_offset(at, 1), last), 0, last);
    channel = lp_indexed(channel, entry(k, v->quarters, lp_offset(at, 2), v->outputs), 0, v->outputs);
    y = lp_indexed(y, entry(k, v->quarters, lp_offset(at, 3), right), 0, right);
    struct oct_rqv_loaded words[OCT_MADD_VECTORS];
    struct lp_val bias[OCT_MADD_VECTORS];
    struct oct_rqv_piece piece[OCT_MADD_VECTORS];
    const struct lp_type type = lp_vector(LP_I32, v->lanes);
    for (int i = 0; i < v->vectors; i++) {
        const struct lp_addr first = lp_offset(channel, (int64_t)i * v->lanes);
        words[i] = oct_rqv_words(&v->rq, first);
        bias[i] = lp_load(k, "b", type, v->bias, first);
    }
    const int32_t pixel = lp_loop(k, "pixel", v->run);
    a = lp_plus(a, pixel, v->block);
    b = lp_plus(b, pixel, v->block);
    y = lp_plus(y, pixel, v->s.out_col);
    for (int i = 0; i < v->vectors; i++) {
        const int64_t first = (int64_t)i * v->lanes;
        const struct lp_val sum =
            add(k, lp_load(k, NULL, type, v->u, lp_offset(a, first)), lp_load(k, NULL, type, v->u, lp_offset(b, first)));
        piece[i] = (struct oct_rqv_piece){oct_rqv_codes(&v->rq, &words[i], named(k, "sum", add(k, sum, bias[i]))),
                                          lp_offset(y, first), v->lanes};
    }
    oct_rqv_store(&v->rq, v->l.y, v->vectors, piece);
    oct_k_close(v->b, 2);
}

bool oct_build_strassen(struct oct_kbuild *b) {
    struct strassen *v = OCT_NEW(b->arena, struct strassen);
    if (!oct_layer_plan(&v->l, b)) return false;
    struct lp_kernel *k = b->k;
    v->b = b;
    v->s = oct_shape_of_conv(b);
    v->lanes = b->target->vector_bits / 32;
    v->vectors = b->way.vectors;
    v->pixels = b->way.pixels;
    v->block = (int64_t)v->vectors * v->lanes;
    v->parts = parts_of(&v->s);
    const int64_t pixels = v->s.h * v->s.w / v->parts;
    v->half = (pixels + 1) / 2;
    v->second = pixels - v->half;
    v->run = run_of(v->half, v->pixels);
    v->channels = v->s.c / 2;
    v->outputs = b->out.at.dim[1] / 2;
    open_all(v);
    b->recipe = oct_sprintf(
        b->arena, "Strassen's seven products for eight, pairs of 16 bits, %d pixels at once, tile of %d pixels x %d channels",
        (int)pixels, v->pixels, (int)v->block);
    b->products = PRODUCTS * v->half * v->channels * v->outputs * v->parts * v->s.images;
    const int64_t blocks = v->outputs / v->block;
    const int32_t band = lp_range_of(k, "band", v->parts, b->threads > 1 ? blocks : 1);
    struct lp_addr x = lp_plus(lp_at(b->in[0].at.offset), band, pixels * v->s.in_col),
                   y = lp_plus(lp_at(b->out.at.offset), band, pixels * v->s.out_col), w = lp_at(0), channel = lp_at(0);
    int loops = 1;
    if (v->s.images > 1) {
        const int32_t n = lp_loop(k, "n", v->s.images);
        x = lp_plus(x, n, v->s.in_image);
        y = lp_plus(y, n, v->s.out_image);
        loops++;
    }
    build_codes(v, x);
    clear_sums(v);
    if (blocks > 1 || k->pieces > 1) {
        const int32_t i = lp_piece(k, "block", 0, blocks);
        w = lp_plus(w, i, 4 * v->words);
        channel = lp_plus(channel, i, v->block);
        y = lp_plus(y, i, v->block);
        loops++;
    }
    build_weights(v, w);
    struct lp_addr codes = lp_at(0);
    if (v->run < v->half) {
        const int32_t run = lp_loop(k, "run", v->half / v->run);
        codes = lp_plus(codes, run, v->run * v->channels);
        y = lp_plus(y, run, v->run * v->s.out_col);
        loops++;
    }
    lp_note(k, OCT_PRODUCTS_BEGIN);
    build_products(v, codes);
    lp_note(k, OCT_PRODUCTS_END);
    build_results(v, y, channel);
    oct_k_close(b, loops);
    return true;
}
