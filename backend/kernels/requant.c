/* requant.c - accumulators to codes: the profile's own sequence, or a cheaper one with the proof that it is equal (NUMERICS 5).
 *
 * The arithmetic here is the kernels' own: the interpreter's (ir/requant.c) is written apart, so that one checks the other. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../ir/steps.h"
#include "fixed.h"
#include "real.h"

/* M = mul * 2^(e - 31), mul in [2^30, 2^31). */
static int32_t mantissa(double m, int *e) {
    double f = frexp(m, e);
    int64_t q = (int64_t)round(f * 2147483648.0);
    if (q == (int64_t)1 << 31) q >>= 1, ++*e;
    return (int32_t)q;
}

static int64_t floor_shift(int64_t v, int n) { return v < 0 ? ~(~v >> n) : v >> n; }
static int64_t clamp64(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* ---- values -------------------------------------------------------------------------------------------------------------------
 */

/* Can zero << shift join the rounding term in 64 bits? The product stays below 2^62. */
static bool folds_zero(const struct oct_rq *rq) { return rq->shift <= 44; }

static float clampf(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

static int64_t unclamped(const struct oct_rq *rq, uint32_t c, int64_t acc) {
    const int64_t mul = rq->mul[c];
    switch (rq->form) {
    case OCT_RQ_IDENTITY: return acc + rq->zero;
    case OCT_RQ_SHARED: return floor_shift(acc * mul + ((int64_t)1 << (rq->shift - 1)), rq->shift) + rq->zero;
    case OCT_RQ_LONG:
        acc = floor_shift(acc, 32) * mul + (((acc & UINT32_MAX) * mul) >> 32); /* acc mul / 2^32, rounded down */
        return floor_shift(floor_shift(acc, rq->shifts[c] - 1) + 1, 1) + rq->zero;
    case OCT_RQ_Q31: return floor_shift(acc * mul + ((int64_t)1 << (rq->shifts[c] - 1)), rq->shifts[c]) + rq->zero;
    case OCT_RQ_FLOAT:
        return (int64_t)rintf(clampf((float)acc * rq->scale[c], (float)(rq->qmin - rq->zero), (float)(rq->qmax - rq->zero))) +
               rq->zero;
    default: {
        int64_t x = clamp64(acc * ((int64_t)1 << rq->lefts[c]), INT32_MIN, INT32_MAX);
        return oct_fx_shift(oct_fx_mul(x, mul), rq->shifts[c]) + rq->zero;
    }
    }
}

/* The part of an accumulator that the sequence sees. */
static int64_t seen(const struct oct_rq *rq, int64_t acc) { return rq->full ? acc : clamp64(acc, INT32_MIN, INT32_MAX); }

int32_t oct_rq_value(const struct oct_rq *rq, uint32_t c, int64_t acc) {
    return (int32_t)clamp64(unclamped(rq, c, seen(rq, acc)), rq->qmin, rq->qmax);
}

/* ---- the threshold proof
 * ------------------------------------------------------------------------------------------------------- */

/* One channel of a requantizer, for ir/steps.h. */
struct channel {
    const struct oct_rq *rq;
    uint32_t c;
};
static int32_t value_of(const void *user, int64_t acc) {
    const struct channel *ch = user;
    return oct_rq_value(ch->rq, ch->c, acc);
}

/* Multipliers for one shift for all channels; a multiplier may move by a few units to pass. False: some channel has none. */
static bool try_shared(struct oct_rq *rq, const struct oct_rq *own, const double *m, const int64_t *lo, const int64_t *hi,
                       int shift, int32_t *mul, struct oct_steps *steps, int64_t *npoints) {
    *rq = *own;
    rq->form = OCT_RQ_SHARED;
    rq->left = false; /* the multipliers hold it */
    rq->shift = shift;
    rq->mul = mul;
    *npoints = 0;
    for (uint32_t c = 0; c < own->n; c++) {
        double real = round(ldexp(m[c], shift));
        if (real > 2147483645.0) return false;
        const struct channel theirs = {own, c}, ours = {rq, c};
        oct_steps_find(steps, value_of, &theirs, seen(own, lo[c]), seen(own, hi[c]), m[c], own->zero);
        *npoints += steps->n;
        static const int nudge[] = {0, 1, -1, 2, -2};
        size_t i = 0;
        for (; i < sizeof nudge / sizeof *nudge; i++) {
            mul[c] = (int32_t)real + nudge[i];
            if (mul[c] >= 0 && oct_steps_agree(steps, value_of, &ours)) break;
        }
        if (i == sizeof nudge / sizeof *nudge) return false;
    }
    return true;
}

/* ---- planning
 * ------------------------------------------------------------------------------------------------------------------- */

static bool refuse(struct oct_kbuild *b, enum oct_diag_id id, const char *what) {
    oct_error(b->cx, b->node->span, id, "%s '%s': %s", oct_op_info(b->node->op)->name, b->node->name, what);
    return false;
}

/* The unclamped result fits i32 at both ends, so in between. */
static void set_narrow(struct oct_rq *rq, const int64_t *lo, const int64_t *hi) {
    rq->narrow = true;
    for (uint32_t c = 0; c < rq->n; c++)
        if (unclamped(rq, c, seen(rq, lo[c])) < INT32_MIN || unclamped(rq, c, seen(rq, hi[c])) > INT32_MAX) rq->narrow = false;
}

double oct_rq_linear(const struct oct_node *y, const struct oct_node *x, float s_w, enum oct_profile *p) {
    const float s_x = oct_scale(x->type.q, 0), s_y = oct_scale(y->type.q, 0), product = s_x * s_w;
    *p = y->at.profile;
    if (*p == OCT_profile_onnx) return (double)(product / s_y);
    double m = (double)s_x * (double)s_w / (double)s_y;
    if (*p != OCT_profile_tflm || x->type.dtype != OCT_I16) return m;
    *p = OCT_profile_q31;
    int e;
    int64_t q = mantissa(m, &e);
    q = q < 0x7FFF0000 ? (q + (1 << 15)) >> 16 : 0x7FFF;
    return e < -31 ? 0 : ldexp((double)q, e - 15);
}

/* What the profile itself does: form, multipliers and shifts of exponents e. */
static void own_sequence(struct oct_rq *rq, enum oct_profile p, const int *e, const int64_t *lo, const int64_t *hi, int32_t *mul,
                         int32_t *shifts, int32_t *lefts) {
    bool rounds_twice = false, saturates = false;
    for (uint32_t c = 0; c < rq->n; c++) {
        lefts[c] = e[c] > 0 ? e[c] : 0;
        rounds_twice |= e[c] < 0;
        saturates |= rq->wide || hi[c] > (INT32_MAX >> lefts[c]) || -lo[c] > (INT32_MAX >> lefts[c]);
    }
    rq->form = p == OCT_profile_onnx                                  ? OCT_RQ_FLOAT
               : p == OCT_profile_tflm && (rounds_twice || saturates) ? OCT_RQ_TFLM
                                                                      : OCT_RQ_Q31;
    for (uint32_t c = 0; c < rq->n; c++) {
        const int most = rq->form == OCT_RQ_TFLM ? 31 : 62;
        shifts[c] = rq->form == OCT_RQ_TFLM ? lefts[c] - e[c] : 31 - e[c];
        rq->left |= rq->form == OCT_RQ_TFLM && lefts[c] > 0;
        if (shifts[c] > most) mul[c] = 0, shifts[c] = 1;
    }
}

/* An accumulator beyond 32 bits. Clamped first it is right where the result has reached its own clamp by then, and under tflm,
 * which says so. Otherwise the sequence has to take all its bits. */
static bool hold_wide(struct oct_rq *rq, enum oct_profile p, const int *e, const int64_t *lo, const int64_t *hi,
                      int32_t *shifts) {
    bool reached = p == OCT_profile_tflm;
    for (uint32_t c = 0; c < rq->n && !reached; c++) {
        if ((hi[c] > INT32_MAX && oct_rq_value(rq, c, INT32_MAX) < rq->qmax) ||
            (lo[c] < INT32_MIN && oct_rq_value(rq, c, INT32_MIN) > rq->qmin))
            break;
        reached = c + 1 == rq->n;
    }
    if (reached) return true;
    const int64_t limit = (int64_t)1 << (p == OCT_profile_onnx ? 53 : 61); /* a double holds it; the upper product fits */
    if (rq->lo <= -limit || rq->hi >= limit) return false;
    rq->full = true;
    rq->wide = false;
    if (p == OCT_profile_onnx) return true;
    rq->form = OCT_RQ_LONG;
    for (uint32_t c = 0; c < rq->n; c++) {
        shifts[c] = rq->mul[c] ? 31 - e[c] - 32 : 1;
        if (shifts[c] < 1 || shifts[c] > 62) return false;
    }
    return true;
}

bool oct_rq_plan(struct oct_kbuild *b, enum oct_profile p, uint32_t n, const double *m, const int64_t *lo, const int64_t *hi,
                 int32_t zero, int32_t qmin, int32_t qmax, struct oct_rq *rq) {
    int32_t *mul = OCT_NEW_N(b->arena, int32_t, n), *shifts = OCT_NEW_N(b->arena, int32_t, n),
            *lefts = OCT_NEW_N(b->arena, int32_t, n);
    float *scale = OCT_NEW_N(b->arena, float, n);
    int *e = OCT_NEW_N(b->arena, int, n), top = INT32_MIN;
    *rq = (struct oct_rq){.n = n,
                          .mul = mul,
                          .shifts = shifts,
                          .lefts = lefts,
                          .scale = scale,
                          .zero = zero,
                          .qmin = qmin,
                          .qmax = qmax,
                          .lo = lo[0],
                          .hi = hi[0]};
    bool one = true;
    for (uint32_t c = 0; c < n; c++) {
        if (lo[c] < rq->lo) rq->lo = lo[c];
        if (hi[c] > rq->hi) rq->hi = hi[c];
        if (!(m[c] >= 0) || m[c] >= 1073741824.0) return refuse(b, OCT_E6003, "a requantization multiplier is not below 2^30");
        mul[c] = mantissa(m[c], &e[c]);
        scale[c] = (float)m[c];
        if (e[c] > 30) return refuse(b, OCT_E6003, "a requantization multiplier is not below 2^30");
        if (p == OCT_profile_pot && mul[c] != 1 << 30)
            return refuse(b, OCT_E6003, "profile pot, and a requantization multiplier that is no power of two");
        if (e[c] > top) top = e[c];
        if (m[c] != 1.0) one = false;
    }
    rq->wide = rq->lo < INT32_MIN || rq->hi > INT32_MAX;
    if (one && !rq->wide) { /* what saturation and rounding of a large accumulator would change lies beyond the clamp */
        rq->form = OCT_RQ_IDENTITY;
        rq->narrow = rq->lo > INT32_MIN + 65536 && rq->hi < INT32_MAX - 65536;
        return true;
    }
    own_sequence(rq, p, e, lo, hi, mul, shifts, lefts);
    if (rq->wide && !hold_wide(rq, p, e, lo, hi, shifts))
        return refuse(b, OCT_E6002,
                      "an accumulator may leave 32 bits before its result saturates, and its multiplier is too large");

    struct oct_rq cheap;
    int64_t npoints;
    bool same_shift = rq->form == OCT_RQ_Q31;
    for (uint32_t c = 0; c < n && same_shift; c++) same_shift = shifts[c] == shifts[0];
    if (same_shift) { /* the profile's own sequence has one shift already */
        rq->form = OCT_RQ_SHARED;
        rq->shift = shifts[0];
    } else if (!b->no_requant_proof && !rq->full && (int64_t)qmax - qmin < 65536) {
        struct oct_arena *scratch = oct_arena_new(b->cx);
        struct oct_steps steps;
        oct_steps_init(&steps, scratch, (int64_t)qmax - qmin + 1);
        int32_t *other = OCT_NEW_N(b->arena, int32_t, n);
        bool ok = (top <= -1 && try_shared(&cheap, rq, m, lo, hi, 32, other, &steps, &npoints)) ||
                  (31 - top <= 62 && try_shared(&cheap, rq, m, lo, hi, 31 - top, other, &steps, &npoints));
        oct_arena_free(scratch);
        if (ok) {
            b->proofs_accepted++;
            oct_text_addf(&b->proof,
                          "requantize: one multiply and one shift by %d for all channels, equal to %s at both ends and all "
                          "boundary points (%" PRId64 " points). ",
                          cheap.shift,
                          p == OCT_profile_onnx   ? "onnx"
                          : p == OCT_profile_tflm ? "tflm"
                                                  : "q31",
                          npoints);
            *rq = cheap;
        } else {
            b->proofs_refused++;
            oct_k_fallback(b, rq->form == OCT_RQ_FLOAT ? "through float: no integer sequence is equal"
                                                       : "a shift for each channel: one for all is not equal");
            oct_text_addf(&b->proof, "requantize: the profile's own sequence; one shift for all channels is not equal. ");
        }
    }
    set_narrow(rq, lo, hi);
    return true;
}

/* Shifts as they are used: Q31 and LONG round by one more shift of 1. */
static int32_t shift_word(const struct oct_rq *rq, uint32_t c) {
    return rq->shifts[c] - (rq->form == OCT_RQ_Q31 || rq->form == OCT_RQ_LONG);
}
int oct_rq_words(const struct oct_rq *rq) {
    if (rq->n == 1 || rq->form == OCT_RQ_IDENTITY) return 0;
    return rq->form == OCT_RQ_SHARED || rq->form == OCT_RQ_FLOAT ? 1 : rq->left ? 3 : 2;
}
void oct_rq_fill(const struct oct_rq *rq, int32_t *words) {
    for (uint32_t c = 0; c < rq->n && oct_rq_words(rq); c++) {
        words[c] = rq->mul[c];
        if (rq->form == OCT_RQ_FLOAT) memcpy(&words[c], &rq->scale[c], sizeof words[c]);
        if (oct_rq_words(rq) > 1) words[rq->n + c] = shift_word(rq, c);
        if (oct_rq_words(rq) > 2) words[2 * rq->n + c] = rq->lefts[c];
    }
}

/* ---- building
 * ---------------------------------------------------------------------------------------------------------------------- */

static struct lp_val i64(int64_t v) { return lp_int(LP_I64, v); }
static struct lp_val i32(int64_t v) { return lp_int(LP_I32, v); }
enum { WORD_MUL, WORD_SHIFT, WORD_LEFT };
static struct lp_val word(struct oct_kbuild *b, const struct oct_rq *rq, int which, int32_t params, struct lp_addr at) {
    if (rq->n == 1) return i32(which == WORD_MUL ? rq->mul[0] : which == WORD_SHIFT ? shift_word(rq, 0) : rq->lefts[0]);
    return lp_load(b->k, NULL, lp_scalar(LP_I32), params, lp_offset(at, which * (int64_t)rq->n));
}

/* RDBPOT of an i32, by a shift that may be a register. */
static struct lp_val round_away(struct oct_kbuild *b, const struct oct_rq *rq, struct lp_val x, struct lp_val n) {
    struct lp_kernel *k = b->k;
    struct lp_val down = lp_op2(k, NULL, LP_OP_add, x, lp_shift(k, NULL, LP_OP_sar, x, 31)); /* x - (x < 0) */
    if (n.reg < 0) {
        if (n.imm.i == 0) return x;
        struct lp_val half = lp_op2(k, NULL, LP_OP_add, lp_shift(k, NULL, LP_OP_sar, down, (int)n.imm.i - 1), i32(1));
        return lp_shift(k, NULL, LP_OP_sar, half, 1);
    }
    bool none = false;
    for (uint32_t c = 0; c < rq->n; c++) none |= rq->shifts[c] == 0;
    struct lp_val less = lp_op2(k, "less", LP_OP_sub, n, i32(1));
    if (none) less = lp_op2(k, "less", LP_OP_max, less, i32(0));
    struct lp_val half = lp_op2(k, NULL, LP_OP_add, lp_op2(k, NULL, LP_OP_sarv, down, less), i32(1));
    struct lp_val y = lp_shift(k, "rounded", LP_OP_sar, half, 1);
    return none ? lp_op3(k, "rounded", LP_OP_select, lp_op2(k, NULL, LP_OP_lt, n, i32(1)), x, y) : y;
}

static struct lp_val widened(struct lp_kernel *k, struct lp_val v) { return lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), v); }
static struct lp_val narrowed(struct lp_kernel *k, const char *name, struct lp_val v) {
    return lp_op1(k, name, LP_OP_cvt, lp_scalar(LP_I32), v);
}

/* acc mul / 2^32, rounded down, of an accumulator of up to 62 bits. */
static struct lp_val long_product(struct lp_kernel *k, struct lp_val acc, struct lp_val mul) {
    struct lp_val m = lp_op1(k, "m", LP_OP_cvt, lp_scalar(LP_I64), mul);
    struct lp_val low = lp_op2(k, NULL, LP_OP_mul_nw, lp_op2(k, NULL, LP_OP_and, acc, i64(UINT32_MAX)), m);
    struct lp_val high = lp_op2(k, NULL, LP_OP_mul_nw, lp_shift(k, NULL, LP_OP_sar, acc, 32), m);
    return lp_op2(k, NULL, LP_OP_add_nw, high, lp_shift(k, NULL, LP_OP_sar, low, 32));
}

static struct lp_val clamped(struct lp_kernel *k, struct lp_val y, const struct oct_rq *rq) {
    enum lp_elem e = (enum lp_elem)y.type.elem;
    y = lp_op2(k, "code", LP_OP_max, y, lp_int(e, rq->qmin));
    return lp_op2(k, "code", LP_OP_min, y, lp_int(e, rq->qmax));
}

/* Does the upper word of the product hold all that SHARED needs, beside what is added to it? */
static bool by_high_word(const struct oct_kbuild *b, const struct oct_rq *rq) {
    enum { LEAST = 32, MOST = 54 };
    const struct oct_target *t = b->target;
    /* One instruction; or where products are made of parts, as the lower word costs most. */
    const bool cheap = t->isa == LP_ISA_DSP || t->isa == LP_ISA_MVE || (t->lacks & LP_LACK_MUL64);
    return cheap && rq->form == OCT_RQ_SHARED && rq->shift >= LEAST && rq->shift <= MOST && labs(rq->zero) <= 256;
}
/* (acc mul + 2^(shift - 1)) >> shift, and the zero point: floors nest, so the lower word of the product matters where the shift
 * is 32 alone. Both words' upper halves stay below 2^30, so that the sum does not wrap. */
static struct lp_val high_word(struct lp_kernel *k, const struct oct_rq *rq, struct lp_val acc, struct lp_val mul) {
    const int more = rq->shift - 32;
    const int64_t add = rq->zero * ((int64_t)1 << more) + (more ? (int64_t)1 << (more - 1) : 0);
    struct lp_val y = lp_op3(k, NULL, more ? LP_OP_mulh_add : LP_OP_mulhr_add, acc, mul, i32(add));
    if (rq->qmin >= INT8_MIN && rq->qmax <= INT8_MAX && (rq->qmin == INT8_MIN || rq->qmax == INT8_MAX)) {
        y = lp_op(k, NULL, LP_OP_ssat8, lp_scalar(LP_I32), 1, &y, more);
        if (rq->qmin > INT8_MIN) y = lp_op2(k, "code", LP_OP_max, y, i32(rq->qmin));
        if (rq->qmax < INT8_MAX) y = lp_op2(k, "code", LP_OP_min, y, i32(rq->qmax));
        return y;
    }
    return clamped(k, more ? lp_shift(k, NULL, LP_OP_sar, y, more) : y, rq);
}

/* Clamped in float, before the only rounding to an integer: the bounds are integers, so it is the same as after it. */
static struct lp_val by_float(struct oct_kbuild *b, const struct oct_rq *rq, struct lp_val acc, int32_t params,
                              struct lp_addr at) {
    struct lp_kernel *k = b->k;
    struct lp_val scale = lp_flt(LP_F32, (double)rq->scale[0]);
    if (rq->n > 1) scale = lp_op1(k, NULL, LP_OP_of_bits, lp_scalar(LP_F32), word(b, rq, WORD_MUL, params, at));
    struct lp_val v = lp_op2(k, "v", LP_OP_fmul, oct_r_float_of(k, acc), scale);
    v = oct_r_clamp(k, v, (float)(rq->qmin - rq->zero), (float)(rq->qmax - rq->zero));
    v = lp_op1(k, "code", LP_OP_f2i, lp_scalar(LP_I32), v);
    return rq->zero ? lp_op2(k, "code", LP_OP_add_nw, v, i32(rq->zero)) : v;
}

struct lp_val oct_rq_build(struct oct_kbuild *b, const struct oct_rq *rq, struct lp_val acc, int32_t params, struct lp_addr at) {
    struct lp_kernel *k = b->k;
    if (acc.type.elem == LP_I64 && !rq->full) {
        if (rq->wide) {
            acc = lp_op2(k, "acc", LP_OP_max, acc, i64(INT32_MIN));
            acc = lp_op2(k, "acc", LP_OP_min, acc, i64(INT32_MAX));
        }
        acc = narrowed(k, "acc", acc);
    }
    if (rq->form == OCT_RQ_FLOAT) return by_float(b, rq, acc, params, at);
    struct lp_val y;
    bool zero_added = false;
    if (rq->form == OCT_RQ_IDENTITY) {
        y = rq->narrow ? acc : widened(k, acc);
    } else {
        struct lp_val mul = word(b, rq, WORD_MUL, params, at);
        if (rq->left) {
            struct lp_val n = widened(k, word(b, rq, WORD_LEFT, params, at));
            acc = lp_op1(k, "acc", LP_OP_sat, lp_scalar(LP_I32), lp_op2(k, NULL, LP_OP_shlv, widened(k, acc), n));
        }
        if (by_high_word(b, rq)) return high_word(k, rq, acc, mul);
        struct lp_val product = rq->form == OCT_RQ_LONG ? long_product(k, acc, mul) : lp_op2(k, NULL, LP_OP_mull, acc, mul);
        if (rq->form == OCT_RQ_SHARED) {
            zero_added = folds_zero(rq);
            int64_t add = ((int64_t)1 << (rq->shift - 1)) + (zero_added ? rq->zero * ((int64_t)1 << rq->shift) : 0);
            y = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, product, i64(add)), rq->shift);
        } else if (rq->form == OCT_RQ_TFLM) {
            struct lp_val high = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, product, i64((int64_t)1 << 30)), 31);
            y = widened(k, round_away(b, rq, narrowed(k, "high", high), word(b, rq, WORD_SHIFT, params, at)));
        } else {
            struct lp_val n = word(b, rq, WORD_SHIFT, params, at);
            struct lp_val half = n.reg < 0 ? lp_shift(k, NULL, LP_OP_sar, product, (int)n.imm.i)
                                           : lp_op2(k, NULL, LP_OP_sarv, product, widened(k, n));
            y = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, half, i64(1)), 1);
        }
        if (rq->narrow) y = narrowed(k, NULL, y);
    }
    enum lp_elem e = (enum lp_elem)y.type.elem;
    if (rq->zero && !zero_added) y = lp_op2(k, NULL, LP_OP_add, y, lp_int(e, rq->zero));
    y = clamped(k, y, rq);
    return e == LP_I32 ? y : narrowed(k, "code", y);
}
