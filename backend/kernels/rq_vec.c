/* rq_vec.c - see rq_vec.h.
 *
 * (acc mul + 2^(s-1)) >> s is taken from the upper halves of the products alone: for s >= 33 the rounding term has no lower half
 * and floor(floor(p / 2^32 + r) / 2^(s-32)) = floor((p + r 2^32) / 2^s). Smaller s are brought there by a left shift of the
 * accumulator, which is first cut to where its code reaches the clamp, if it would not fit otherwise. */
#include "rq_vec.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static struct lp_val i32(int64_t v) { return lp_int(LP_I32, v); }

/* ---- words of a channel -------------------------------------------------------------------------------------------------- */

/* The least acc whose code is >= code, the limit when there is none. */
static int64_t reaches(const struct oct_rq *rq, uint32_t c, int32_t code) {
    int64_t lo = INT32_MIN, hi = INT32_MAX;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (oct_rq_value(rq, c, mid) >= code) hi = mid;
        else lo = mid + 1;
    }
    return lo;
}
static int64_t within(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

struct words {
    int32_t w[OCT_RQV_WORDS];
    int64_t reach; /* |acc| after the cut and the left shift */
    bool cut;
};

enum { MOST_LEFT = 20 }; /* M >= 2^19 beyond: codes of -1 and 1 are at the clamp */

/* wide: see struct oct_rqv. */
static struct words words_of(const struct oct_rq *rq, uint32_t c, int64_t lo, int64_t hi, bool wide) {
    const bool twice = rq->form == OCT_RQ_TFLM;
    struct words x = {{rq->mul[c], 0, 0, 0, (int32_t)lo, (int32_t)hi, -1, 0}, 0, false};
    int32_t *mul = &x.w[OCT_RQV_MUL];
    int total = rq->form == OCT_RQ_SHARED ? rq->shift : rq->shifts[c], left;
    for (; !twice && total < 33 && *mul && *mul < 1 << 30; total++) *mul *= 2;
    if (twice) left = rq->lefts[c] + !wide; /* with the doubling of the product */
    else left = total < 33 && *mul ? 33 - total : 0;
    int right = twice ? total : *mul ? total + left - 32 : 1;
    if (left > MOST_LEFT) { /* any multiplier that saturates will do */
        left = MOST_LEFT;
        *mul = 1 << 30;
        right = twice ? 0 : 1;
        x.cut = true;
    }
    const int64_t most = INT32_MAX >> left;
    if (lo < -most || hi > most) x.cut = true;
    if (x.cut) {
        const int64_t top = reaches(rq, c, rq->qmax), bottom = reaches(rq, c, rq->qmin + 1) - 1;
        x.w[OCT_RQV_LEAST] = (int32_t)within(lo, bottom, top);
        x.w[OCT_RQV_MOST] = (int32_t)within(hi, bottom, top);
    }
    const int64_t low = -(int64_t)x.w[OCT_RQV_LEAST], high = x.w[OCT_RQV_MOST];
    x.reach = (low > high ? low : high) << left;
    x.w[OCT_RQV_LEFT] = left;
    x.w[OCT_RQV_SHIFT] = right;
    x.w[OCT_RQV_ROUND] = right ? 1 << (right - 1) : 0;
    x.w[OCT_RQV_SIGN] = right ? -1 : 0;
    if (wide) { /* the rounding term follows all bits of the shift but one */
        x.w[OCT_RQV_SHIFT] = right ? right - 1 : 0;
        x.w[OCT_RQV_ROUND] = x.w[OCT_RQV_HALF] = right ? 1 : 0;
    }
    return x;
}

/* Can zero 2^shift join the rounding term of every channel? The upper half stays below half of what mul reaches. */
static bool folds_zero(const struct oct_rq *rq, const struct words *x) {
    for (uint32_t c = 0; c < rq->n; c++) {
        const int shift = x[c].w[OCT_RQV_SHIFT];
        const int64_t zero = (int64_t)(rq->zero < 0 ? -rq->zero : rq->zero) << shift;
        if (x[c].reach / 2 + 2 + x[c].w[OCT_RQV_ROUND] + zero > INT32_MAX) return false;
    }
    return true;
}

/* TFLM: see struct oct_rqv. */
static bool is_wide(const struct oct_rq *rq) { return rq->form == OCT_RQ_TFLM && (rq->lo <= -(1 << 30) || rq->hi >= 1 << 30); }

bool oct_rqv_fits(const struct oct_rq *rq, const int64_t *lo, const int64_t *hi) {
    if (rq->wide || rq->full || rq->lo <= -OCT_RQV_LIMIT || rq->hi >= OCT_RQV_LIMIT) return false;
    for (uint32_t c = 0; c < rq->n && rq->form != OCT_RQ_FLOAT && rq->form != OCT_RQ_IDENTITY; c++)
        if (words_of(rq, c, lo[c], hi[c], is_wide(rq)).reach > INT32_MAX) return false;
    return true;
}

static void used(struct oct_rqv *v, enum oct_rqv_word which, const int32_t *words, int64_t padded, int32_t *params,
                 int64_t *size) {
    bool same = true;
    for (uint32_t c = 1; c < v->rq->n; c++) same &= words[c] == words[0];
    v->word[which].used = true;
    v->word[which].at = -1;
    v->word[which].all = words[0];
    if (same) return;
    v->word[which].at = *size;
    memcpy(params + *size, words, v->rq->n * sizeof *words);
    *size += padded;
}

/* ---- the way ------------------------------------------------------------------------------------------------------------------
 */

struct channel {
    const struct oct_rq *rq;
    uint32_t c;
};
static int32_t value_of(const void *user, int64_t acc) {
    const struct channel *ch = user;
    return oct_rq_value(ch->rq, ch->c, acc);
}
static double slope_of(const struct oct_rq *rq, uint32_t c) {
    switch (rq->form) {
    case OCT_RQ_FLOAT: return (double)rq->scale[c];
    case OCT_RQ_SHARED: return ldexp((double)rq->mul[c], -rq->shift);
    case OCT_RQ_TFLM: return ldexp((double)rq->mul[c], rq->lefts[c] - rq->shifts[c] - 31);
    default: return ldexp((double)rq->mul[c], -rq->shifts[c]);
    }
}

/* Fused requantizers of all channels; before < 0 where there is none. */
static struct oct_fma_rq *fit_all(struct oct_rqv *v, const struct oct_rqv_sums *s) {
    const struct oct_rq *rq = v->rq;
    const struct oct_fma_limits limits = {s->times ? s->most_times : 1, true};
    struct oct_fma_rq *fit = OCT_NEW_N(v->b->arena, struct oct_fma_rq, rq->n);
    const bool tried =
        rq->form != OCT_RQ_IDENTITY && (int64_t)rq->qmax - rq->qmin < 256 && !v->b->no_requant_proof && !v->b->no_float;
    struct oct_arena *scratch = oct_arena_new(v->b->cx);
    struct oct_steps steps;
    oct_steps_init(&steps, scratch, 256);
    for (uint32_t c = 0; c < rq->n; c++) {
        const struct channel ch = {rq, c};
        const double m = slope_of(rq, c);
        fit[c].before = -1;
        if (!tried) continue;
        oct_steps_find(&steps, value_of, &ch, s->lo[c], s->hi[c], m, rq->zero);
        if (!oct_fma_rq_fit(&steps, m, rq->qmin, rq->qmax, &limits, &fit[c])) fit[c].before = -1;
    }
    oct_arena_free(scratch);
    return fit;
}

static enum oct_rqv_way way_of(const struct oct_fma_rq *fit, int64_t n) {
    enum oct_rqv_way way = OCT_RQV_FMA;
    for (int64_t c = 0; c < n; c++) {
        if (fit[c].before < 0) return OCT_RQV_OWN;
        if (fit[c].before > 0) way = OCT_RQV_FMA2;
    }
    return way;
}

/* Chooses; what is asked of the sums. One way for all channels: of the layers with weights of four networks quantized here (kws,
 * ic, vww, resnet20) 55 take one multiply-add, 13 two, and none integers, so that a way for each block would save next to
 * nothing. */
static struct oct_fma_rq *choose_way(struct oct_rqv *v, const struct oct_rqv_sums *s) {
    const int64_t n = v->rq->n;
    struct oct_fma_rq *fit = fit_all(v, s);
    v->way = way_of(fit, n);
    v->adds_bias = !s->bias;
    for (int64_t c = 0; c < n; c++) {
        if (s->times) s->times[c] = v->way == OCT_RQV_OWN ? 1 : fit[c].times;
        if (v->way == OCT_RQV_OWN) continue;
        if (s->bias) s->bias[c] = (int32_t)((uint32_t)s->bias[c] * (uint32_t)fit[c].times + (uint32_t)(uint64_t)fit[c].bias);
        if (v->way == OCT_RQV_FMA2 && !(fit[c].before > 0)) fit[c].before = 1, fit[c].subtract = 0;
    }
    if (v->way != OCT_RQV_OWN)
        oct_text_addf(&v->b->proof, "On vectors: %s of floats, proved equal in the same way. ",
                      v->way == OCT_RQV_FMA ? "one fused multiply-add" : "two fused multiply-adds");
    return fit;
}

static int32_t bits_of(float f) {
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static void add_fused_words(struct oct_rqv *v, const struct oct_fma_rq *fit, int64_t padded, int32_t *params, int64_t *size) {
    const int64_t n = v->rq->n;
    const bool two = v->way == OCT_RQV_FMA2;
    int32_t *column = OCT_NEW_N(v->b->arena, int32_t, n);
    for (int which = OCT_RQV_BIAS; which < OCT_RQV_WORDS; which++) {
        if (which == OCT_RQV_BIAS ? !v->adds_bias : (which == OCT_RQV_BEFORE || which == OCT_RQV_SUBTRACT) && !two) continue;
        for (int64_t c = 0; c < n; c++)
            column[c] = which == OCT_RQV_BIAS       ? (int32_t)(uint32_t)(uint64_t)fit[c].bias
                        : which == OCT_RQV_BEFORE   ? bits_of(fit[c].before)
                        : which == OCT_RQV_SUBTRACT ? bits_of(-fit[c].subtract)
                        : which == OCT_RQV_SCALE    ? bits_of(fit[c].scale)
                                                    : bits_of(fit[c].add);
        used(v, (enum oct_rqv_word)which, column, padded, params, size);
    }
}

void oct_rqv_open(struct oct_rqv *v, struct oct_kbuild *b, const struct oct_rq *rq, const int64_t *lo, const int64_t *hi,
                  int64_t padded) {
    const struct oct_rqv_sums sums = {.lo = lo, .hi = hi, .padded = padded};
    oct_rqv_begin(v, b, rq, &sums);
}

void oct_rqv_begin(struct oct_rqv *v, struct oct_kbuild *b, const struct oct_rq *rq, const struct oct_rqv_sums *sums) {
    const int64_t *lo = sums->lo, *hi = sums->hi, padded = sums->padded;
    const uint32_t n = rq->n;
    *v = (struct oct_rqv){.b = b, .rq = rq, .lanes = b->target->vector_bits / 32, .buf = -1};
    int32_t *params = OCT_NEW_N(b->arena, int32_t, padded * OCT_RQV_WORDS), *column = OCT_NEW_N(b->arena, int32_t, n);
    int64_t size = 0;
    OCT_CHECK(b->cx, !rq->wide && !rq->full && rq->lo > -OCT_RQV_LIMIT && rq->hi < OCT_RQV_LIMIT);
    const struct oct_fma_rq *fit = choose_way(v, sums);
    const bool own = v->way == OCT_RQV_OWN;
    if (!own) add_fused_words(v, fit, padded, params, &size);
    v->wide = is_wide(rq);
    v->clamps = rq->form == OCT_RQ_IDENTITY && !rq->narrow;
    if (!own)
        ; /* nothing more */
    else if (rq->form == OCT_RQ_FLOAT) {
        for (uint32_t c = 0; c < n; c++) {
            const double reach = (double)(-lo[c] > hi[c] ? -lo[c] : hi[c]) * (double)rq->scale[c];
            v->clamps |= !(reach < 4194303.0);
            memcpy(&column[c], &rq->scale[c], sizeof column[c]);
        }
        used(v, OCT_RQV_MUL, column, padded, params, &size);
    } else if (rq->form != OCT_RQ_IDENTITY) {
        struct words *x = OCT_NEW_N(b->arena, struct words, n);
        bool left = false, cut = false, whole = false;
        for (uint32_t c = 0; c < n; c++) {
            x[c] = words_of(rq, c, lo[c], hi[c], v->wide);
            OCT_CHECK(b->cx, x[c].reach <= INT32_MAX);
            left |= x[c].w[OCT_RQV_LEFT] != 0;
            cut |= x[c].cut;
            whole |= x[c].w[OCT_RQV_SIGN] == 0;
        }
        v->zero_added = rq->zero && !v->wide && folds_zero(rq, x);
        for (uint32_t c = 0; c < n && v->zero_added; c++)
            x[c].w[OCT_RQV_ROUND] += (int32_t)(rq->zero * ((int64_t)1 << x[c].w[OCT_RQV_SHIFT]));
        for (int which = 0; which <= OCT_RQV_HALF; which++) {
            if (which == OCT_RQV_LEFT && !left) continue;
            if ((which == OCT_RQV_LEAST || which == OCT_RQV_MOST) && !cut) continue;
            if (which == OCT_RQV_SIGN && (rq->form != OCT_RQ_TFLM || !whole)) continue;
            if (which == OCT_RQV_HALF && !v->wide) continue;
            for (uint32_t c = 0; c < n; c++) column[c] = x[c].w[which];
            used(v, (enum oct_rqv_word)which, column, padded, params, &size);
        }
    }
    if (size) v->buf = oct_k_const(b, "requantize", LP_I32, size, params);
}

/* ---- building -------------------------------------------------------------------------------------------------------------- */

static struct lp_val odd_lanes(const struct oct_rqv *v, struct lp_val x) {
    uint8_t lane[64];
    if (x.reg < 0) return x;
    for (int l = 0; l < v->lanes; l++) lane[l] = (uint8_t)(l | 1);
    return lp_shuffle(v->b->k, NULL, x, x, v->lanes, lane);
}

struct oct_rqv_loaded oct_rqv_words(const struct oct_rqv *v, struct lp_addr channel) {
    struct oct_rqv_loaded w = {.mul_odd = i32(0)};
    static const char *const names[] = {"mul",  "round", "shift",  "left", "least", "most", "sign",
                                        "half", "start", "before", "less", "scale", "add"};
    for (int i = 0; i < OCT_RQV_WORDS; i++) {
        const bool fused = i >= OCT_RQV_BIAS, second = i == OCT_RQV_BEFORE || i == OCT_RQV_SUBTRACT;
        w.word[i] = i32(v->word[i].all);
        if (fused != (v->way != OCT_RQV_OWN) || (second && v->way != OCT_RQV_FMA2)) continue;
        if (v->word[i].used && v->word[i].at >= 0)
            w.word[i] = lp_load(v->b->k, names[i], lp_vector(LP_I32, v->lanes), v->buf, lp_offset(channel, v->word[i].at));
    }
    if (v->way == OCT_RQV_OWN && v->rq->form != OCT_RQ_FLOAT && v->rq->form != OCT_RQ_IDENTITY)
        w.mul_odd = odd_lanes(v, w.word[OCT_RQV_MUL]);
    return w;
}

static struct lp_val op2(const struct oct_rqv *v, enum lp_row row, struct lp_val a, struct lp_val b) {
    return lp_op2(v->b->k, NULL, row, a, b);
}

/* Shift by one distance for all lanes, or one for each. */
static struct lp_val shifted(const struct oct_rqv *v, enum lp_row by_one, enum lp_row by_each, struct lp_val x, struct lp_val n) {
    if (n.reg >= 0) return op2(v, by_each, x, n);
    return n.imm.i ? lp_shift(v->b->k, NULL, by_one, x, (int)n.imm.i) : x;
}

/* Upper halves of acc mul (+ 2^31). */
static struct lp_val high_product(const struct oct_rqv *v, const struct oct_rqv_loaded *w, struct lp_val acc, bool rounds) {
    struct lp_val p[2] = {op2(v, LP_OP_mul_even, acc, w->word[OCT_RQV_MUL]),
                          op2(v, LP_OP_mul_even, odd_lanes(v, acc), w->mul_odd)};
    for (int i = 0; i < 2 && rounds; i++) {
        if (v->wide) p[i] = lp_shift(v->b->k, NULL, LP_OP_shl, p[i], 1);
        p[i] = op2(v, LP_OP_add, p[i], lp_int(LP_I64, (int64_t)1 << 31));
    }
    return op2(v, LP_OP_high, p[0], p[1]);
}

/* A word as the float that it is the bits of. */
static struct lp_val float_word(const struct oct_rqv *v, struct lp_val w) {
    if (w.reg >= 0) return lp_op1(v->b->k, NULL, LP_OP_of_bits, (struct lp_type){0}, w);
    const int32_t bits = (int32_t)w.imm.i;
    float f;
    memcpy(&f, &bits, sizeof f);
    return lp_flt(LP_F32, (double)f);
}
static struct lp_val fused(const struct oct_rqv *v, const struct oct_rqv_loaded *w, struct lp_val acc) {
    struct lp_kernel *k = v->b->k;
    const struct lp_val *word = w->word;
    if (v->adds_bias) acc = op2(v, LP_OP_add, acc, word[OCT_RQV_BIAS]);
    struct lp_val x = lp_op1(k, NULL, LP_OP_of_bits, (struct lp_type){0}, acc);
    if (v->way == OCT_RQV_FMA2)
        x = lp_op3(k, NULL, LP_OP_fma, x, float_word(v, word[OCT_RQV_BEFORE]), float_word(v, word[OCT_RQV_SUBTRACT]));
    x = lp_op3(k, NULL, LP_OP_fma, x, float_word(v, word[OCT_RQV_SCALE]), float_word(v, word[OCT_RQV_ADD]));
    return op2(v, LP_OP_sub, lp_op1(k, NULL, LP_OP_bits_of, (struct lp_type){0}, x), i32(OCT_FMA_BITS));
}

static struct lp_val by_float(const struct oct_rqv *v, const struct oct_rqv_loaded *w, struct lp_val acc) {
    const struct oct_rq *rq = v->rq;
    struct lp_kernel *k = v->b->k;
    struct lp_val scale = w->word[OCT_RQV_MUL];
    if (scale.reg < 0) scale = lp_flt(LP_F32, (double)rq->scale[0]);
    else scale = lp_op1(k, NULL, LP_OP_of_bits, (struct lp_type){0}, scale);
    struct lp_val y = op2(v, LP_OP_fmul, lp_op1(k, NULL, LP_OP_i2f, (struct lp_type){0}, acc), scale);
    if (v->clamps) {
        y = op2(v, LP_OP_fmax, y, lp_flt(LP_F32, (double)(rq->qmin - rq->zero)));
        y = op2(v, LP_OP_fmin, y, lp_flt(LP_F32, (double)(rq->qmax - rq->zero)));
    }
    return lp_op1(k, NULL, LP_OP_f2i_near, (struct lp_type){0}, y);
}

struct lp_val oct_rqv_codes(const struct oct_rqv *v, const struct oct_rqv_loaded *w, struct lp_val acc) {
    const struct oct_rq *rq = v->rq;
    struct lp_val y = acc;
    if (v->way != OCT_RQV_OWN) return fused(v, w, acc);
    if (rq->form == OCT_RQ_FLOAT) y = by_float(v, w, acc);
    else if (rq->form == OCT_RQ_IDENTITY && v->clamps) {
        y = op2(v, LP_OP_max, y, i32((int64_t)rq->qmin - rq->zero));
        y = op2(v, LP_OP_min, y, i32((int64_t)rq->qmax - rq->zero));
    } else if (rq->form != OCT_RQ_IDENTITY) {
        const struct lp_val *word = w->word;
        if (v->word[OCT_RQV_LEAST].used) {
            acc = op2(v, LP_OP_max, acc, word[OCT_RQV_LEAST]);
            acc = op2(v, LP_OP_min, acc, word[OCT_RQV_MOST]);
        }
        if (v->word[OCT_RQV_LEFT].used) acc = shifted(v, LP_OP_shl, LP_OP_shlv, acc, word[OCT_RQV_LEFT]);
        const bool tflm = rq->form == OCT_RQ_TFLM;
        y = high_product(v, w, acc, tflm);
        if (tflm) { /* ties away from zero, where it shifts at all */
            struct lp_val sign = lp_shift(v->b->k, NULL, LP_OP_sar, y, 31);
            if (v->word[OCT_RQV_SIGN].used) sign = op2(v, LP_OP_and, sign, word[OCT_RQV_SIGN]);
            y = op2(v, LP_OP_add, y, sign);
        }
        if (!v->wide) y = op2(v, LP_OP_add, y, word[OCT_RQV_ROUND]);
        y = shifted(v, LP_OP_sar, LP_OP_sarv, y, word[OCT_RQV_SHIFT]);
        if (v->wide) y = shifted(v, LP_OP_sar, LP_OP_sarv, op2(v, LP_OP_add, y, word[OCT_RQV_ROUND]), word[OCT_RQV_HALF]);
    }
    return rq->zero && !v->zero_added ? op2(v, LP_OP_add, y, i32(rq->zero)) : y;
}

/* ---- storing --------------------------------------------------------------------------------------------------------------- */

/* Codes of `n` vectors, narrowed: two become i16, four bytes. Runs of four lanes of one vector and the next alternate. */
static struct lp_val narrowed(const struct oct_rqv *v, enum lp_elem elem, int n, const struct oct_rqv_piece *piece) {
    const bool bytes = elem != LP_I16;
    const int vectors = bytes ? 4 : 2;
    struct lp_val half[2], all;
    for (int i = 0; i < vectors / 2; i++) {
        struct lp_val a = piece[2 * i < n ? 2 * i : n - 1].y, b = piece[2 * i + 1 < n ? 2 * i + 1 : n - 1].y;
        half[i] = op2(v, LP_OP_packs32, a, b);
    }
    all = half[0];
    if (bytes) all = op2(v, elem == LP_U8 ? LP_OP_packus16 : LP_OP_packs16, half[0], half[1]);
    if (v->rq->qmin > (elem == LP_U8 ? 0 : elem == LP_I8 ? INT8_MIN : INT16_MIN))
        all = op2(v, LP_OP_max, all, lp_int(elem, v->rq->qmin));
    if (v->rq->qmax < (elem == LP_U8 ? UINT8_MAX : elem == LP_I8 ? INT8_MAX : INT16_MAX))
        all = op2(v, LP_OP_min, all, lp_int(elem, v->rq->qmax));
    return all;
}

/* One vector's codes behind the other's. */
static struct lp_val in_order(const struct oct_rqv *v, struct lp_val all) {
    enum { RUN = 4 }; /* lanes of a vector in 16 bytes */
    uint8_t lane[64];
    const int lanes = all.type.lanes, vectors = lanes / v->lanes;
    for (int i = 0; i < vectors; i++)
        for (int l = 0; l < v->lanes; l++) lane[i * v->lanes + l] = (uint8_t)((l / RUN * vectors + i) * RUN + l % RUN);
    return lp_shuffle(v->b->k, "codes", all, all, lanes, lane);
}

static struct lp_val part_of(const struct oct_rqv *v, struct lp_val x, int from, int n) {
    uint8_t lane[64];
    for (int l = 0; l < n; l++) lane[l] = (uint8_t)(from + l);
    return lp_shuffle(v->b->k, NULL, x, x, n, lane);
}

/* Is b right behind a? */
static bool follows(const struct oct_rqv_piece *a, const struct oct_rqv_piece *b, int lanes) {
    bool same = a->count == lanes && a->at.nterms == b->at.nterms && a->at.base + lanes == b->at.base;
    for (int i = 0; same && i < a->at.nterms; i++)
        same = a->at.term[i].var == b->at.term[i].var && a->at.term[i].coef == b->at.term[i].coef;
    return same;
}

/* Lanes [from, from + count) of x, in powers of two. */
static void store_lanes(const struct oct_rqv *v, int32_t buf, struct lp_addr at, struct lp_val x, int from, int count) {
    while (count > 0) {
        int n = 1;
        while (2 * n <= count) n *= 2;
        lp_store(v->b->k, buf, at, n == x.type.lanes ? x : part_of(v, x, from, n));
        at = lp_offset(at, n);
        from += n;
        count -= n;
    }
}

/* Four pieces of eight bytes that lie apart: two by two out of the halves of all, without moves of single bytes' worth of lanes
 * across the halves, which machines of 256 bits are slow at. */
static void store_apart(const struct oct_rqv *v, int32_t buf, struct lp_val all, int n, const struct oct_rqv_piece *piece) {
    const struct lp_val low = part_of(v, all, 0, 16), high = part_of(v, all, 16, 16);
    for (int i = 0; i < n; i += 2) {
        uint8_t lane[16];
        for (int l = 0; l < 16; l++) lane[l] = (uint8_t)(l / 8 * 4 + i * 4 + l % 8 / 4 * 16 + l % 4);
        const struct lp_val two = lp_shuffle(v->b->k, "codes", low, high, 16, lane);
        for (int j = i; j < i + 2 && j < n; j++) store_lanes(v, buf, piece[j].at, two, j % 2 * 8, piece[j].count);
    }
}

void oct_rqv_store(const struct oct_rqv *v, int32_t buf, int n, const struct oct_rqv_piece *piece) {
    const enum lp_elem elem = v->b->k->buf[buf].elem;
    const int at_once = elem == LP_I16 ? 2 : 4;
    for (int first = 0; first < n; first += at_once) {
        const struct oct_rqv_piece *p = piece + first;
        const int here = n - first < at_once ? n - first : at_once;
        const struct lp_val all = narrowed(v, elem, here, p);
        bool apart = all.type.lanes == 32 && v->lanes == 8;
        for (int i = 1; i < here; i++) apart &= !follows(&p[i - 1], &p[i], v->lanes);
        if (apart) {
            store_apart(v, buf, all, here, p);
            continue;
        }
        const struct lp_val codes = in_order(v, all);
        for (int i = 0, next; i < here; i = next) {
            int count = p[i].count;
            for (next = i + 1; next < here && follows(&p[next - 1], &p[next], v->lanes); next++) count += p[next].count;
            store_lanes(v, buf, p[i].at, codes, i * v->lanes, count);
        }
    }
}
