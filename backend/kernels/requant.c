/* requant.c - accumulators to codes: the profile's own sequence, or a cheaper one with the proof that it is equal (NUMERICS 5).
 *
 * The arithmetic here is the kernels' own: the interpreter's (ir/requant.c) is written apart, so that one checks the other. */
#include "kernels.h"

#include <inttypes.h>
#include <math.h>

double oct_rq_real(enum oct_profile p, float s_in, float s_w, float s_out) {
    if (p == OCT_profile_onnx) {
        float product = s_in * s_w;
        return (double)(product / s_out);
    }
    return (double)s_in * (double)s_w / (double)s_out;
}

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

static int64_t unclamped(const struct oct_rq *rq, uint32_t c, int64_t acc) {
    switch (rq->form) {
    case OCT_RQ_IDENTITY: return acc + rq->zero;
    case OCT_RQ_SHARED: return floor_shift(acc * rq->mul[c] + ((int64_t)1 << (rq->shift - 1)), rq->shift) + rq->zero;
    case OCT_RQ_Q31: return floor_shift(acc * rq->mul[c] + ((int64_t)1 << (rq->shifts[c] - 1)), rq->shifts[c]) + rq->zero;
    default: {
        int64_t x = floor_shift(acc * rq->mul[c] + ((int64_t)1 << 30), 31);
        int n = rq->shifts[c];
        if (n > 0) x = floor_shift(x - (x < 0) + ((int64_t)1 << (n - 1)), n);
        return x + rq->zero;
    }
    }
}

int32_t oct_rq_value(const struct oct_rq *rq, uint32_t c, int64_t acc) {
    return (int32_t)clamp64(unclamped(rq, c, clamp64(acc, INT32_MIN, INT32_MAX)), rq->qmin, rq->qmax);
}

/* What the profile says for one channel. */
struct own {
    enum oct_profile profile;
    const struct oct_rq *rq; /* q31, pot, tflm */
    uint32_t c;
    float scale; /* onnx */
};
static int32_t own_value(const struct own *o, int64_t acc) {
    if (o->profile != OCT_profile_onnx) return oct_rq_value(o->rq, o->c, acc);
    float f = (float)acc * o->scale;
    if (f > 2147483648.0f) f = 2147483648.0f;
    if (f < -2147483648.0f) f = -2147483648.0f;
    return (int32_t)clamp64((int64_t)rintf(f) + o->rq->zero, o->rq->qmin, o->rq->qmax);
}

/* ---- the threshold proof
 * ------------------------------------------------------------------------------------------------------- */

/* The least acc in (lo, hi] whose value is >= code, given value(lo) < code <= value(hi). */
static int64_t first_reaching(const struct own *o, int32_t code, int64_t lo, int64_t hi, double m) {
    double guess = ((double)code - o->rq->zero - 0.5) / m;
    if (guess > (double)lo + 2 && guess < (double)hi - 2) {
        int64_t g = (int64_t)guess;
        if (own_value(o, g - 2) < code && own_value(o, g + 2) >= code) lo = g - 2, hi = g + 2;
    }
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (own_value(o, mid) < code) lo = mid;
        else hi = mid;
    }
    return hi;
}

struct points {
    int n;
    int64_t acc[2 + 2 * 65536];
    int32_t code[2 + 2 * 65536];
};
static void add_point(struct points *p, const struct own *o, int64_t acc) {
    p->acc[p->n] = acc;
    p->code[p->n++] = own_value(o, acc);
}
/* Both ends of the reachable range and both sides of each step of the profile's function on it. Both functions are monotone and
 * do not wrap there, so agreeing at these points they agree everywhere between. */
static void boundary_points(struct points *p, const struct own *o, int64_t lo, int64_t hi, double m) {
    p->n = 0;
    add_point(p, o, lo);
    add_point(p, o, hi);
    int32_t top = own_value(o, hi);
    for (int64_t at = lo; own_value(o, at) < top;) {
        int64_t step = first_reaching(o, own_value(o, at) + 1, at, hi, m);
        add_point(p, o, step - 1);
        add_point(p, o, step);
        at = step;
    }
}
static bool agrees(const struct oct_rq *rq, uint32_t c, const struct points *p) {
    for (int i = 0; i < p->n; i++)
        if (oct_rq_value(rq, c, p->acc[i]) != p->code[i]) return false;
    return true;
}

/* Multipliers for one shift for all channels; a multiplier may move by a few units to pass. False: some channel has none. */
static bool try_shared(struct oct_rq *rq, enum oct_profile p, const struct oct_rq *own, const double *m, const int64_t *lo,
                       const int64_t *hi, int shift, int32_t *mul, struct points *pts, int64_t *npoints) {
    *rq = *own;
    rq->form = OCT_RQ_SHARED;
    rq->shift = shift;
    rq->mul = mul;
    *npoints = 0;
    for (uint32_t c = 0; c < own->n; c++) {
        double real = round(ldexp(m[c], shift));
        if (real > 2147483645.0) return false;
        const struct own o = {p, own, c, (float)m[c]};
        boundary_points(pts, &o, clamp64(lo[c], INT32_MIN, INT32_MAX), clamp64(hi[c], INT32_MIN, INT32_MAX), m[c]);
        *npoints += pts->n;
        static const int nudge[] = {0, 1, -1, 2, -2};
        size_t i = 0;
        for (; i < sizeof nudge / sizeof *nudge; i++) {
            mul[c] = (int32_t)real + nudge[i];
            if (mul[c] >= 0 && agrees(rq, c, pts)) break;
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
    for (uint32_t c = 0; c < rq->n; c++) {
        int64_t a = unclamped(rq, c, clamp64(lo[c], INT32_MIN, INT32_MAX)),
                z = unclamped(rq, c, clamp64(hi[c], INT32_MIN, INT32_MAX));
        if (a < INT32_MIN || z > INT32_MAX) rq->narrow = false;
    }
}

bool oct_rq_plan(struct oct_kbuild *b, enum oct_profile p, uint32_t n, const double *m, const int64_t *lo, const int64_t *hi,
                 int32_t zero, int32_t qmin, int32_t qmax, struct oct_rq *rq) {
    int32_t *mul = OCT_NEW_N(b->arena, int32_t, n), *shifts = OCT_NEW_N(b->arena, int32_t, n);
    *rq = (struct oct_rq){.form = OCT_RQ_Q31,
                          .n = n,
                          .mul = mul,
                          .shifts = shifts,
                          .zero = zero,
                          .qmin = qmin,
                          .qmax = qmax,
                          .lo = lo[0],
                          .hi = hi[0]};
    int top = INT32_MIN;
    bool left = false, right = false, one = true;
    for (uint32_t c = 0; c < n; c++) {
        if (lo[c] < rq->lo) rq->lo = lo[c];
        if (hi[c] > rq->hi) rq->hi = hi[c];
        int e;
        if (!(m[c] > 0) || m[c] >= 1073741824.0) return refuse(b, OCT_E6003, "a requantization multiplier is not in (0, 2^30)");
        mul[c] = mantissa(m[c], &e);
        if (e > 30) return refuse(b, OCT_E6003, "a requantization multiplier is not in (0, 2^30)");
        if (e > top) top = e;
        if (e > 0) left = true;
        else right = true;
        if (m[c] != 1.0) one = false;
        shifts[c] = p == OCT_profile_tflm ? -e : 31 - e;
        if (p == OCT_profile_tflm ? -e > 31 : 31 - e > 62) mul[c] = 0, shifts[c] = 1;
        int64_t most = hi[c] > -lo[c] ? hi[c] : -lo[c];
        if (p == OCT_profile_tflm && e > 0 && most > (INT32_MAX >> e))
            return refuse(b, OCT_E6003, "profile tflm shifts an accumulator left beyond 32 bits");
    }
    rq->wide = rq->lo < INT32_MIN || rq->hi > INT32_MAX;
    if (one && !rq->wide) {
        rq->form = OCT_RQ_IDENTITY;
        rq->narrow = rq->lo > INT32_MIN + 65536 && rq->hi < INT32_MAX - 65536;
        return true;
    }
    if (p == OCT_profile_tflm && !left) {
        rq->form = OCT_RQ_TFLM;
    } else if (p == OCT_profile_tflm) { /* M >= 1: nothing is rounded twice, so it is q31 */
        if (right) return refuse(b, OCT_E6003, "profile tflm with multipliers above and below 1 in one layer");
        for (uint32_t c = 0; c < n; c++) shifts[c] += 31;
    }
    if (rq->wide) /* clamped to 32 bits first: right where the result has reached its own clamp there */
        for (uint32_t c = 0; c < n; c++)
            if ((hi[c] > INT32_MAX && oct_rq_value(rq, c, INT32_MAX) < qmax) ||
                (lo[c] < INT32_MIN && oct_rq_value(rq, c, INT32_MIN) > qmin))
                return refuse(b, OCT_E6002, "an accumulator may leave 32 bits before its result saturates");

    struct oct_rq cheap;
    int64_t npoints;
    bool same_shift = rq->form == OCT_RQ_Q31 && p != OCT_profile_onnx;
    for (uint32_t c = 0; c < n && same_shift; c++) same_shift = shifts[c] == shifts[0];
    if (same_shift) { /* the profile's own sequence has one shift already */
        rq->form = OCT_RQ_SHARED;
        rq->shift = shifts[0];
    } else if (!b->no_requant_proof) {
        struct oct_arena *scratch = oct_arena_new(b->cx);
        struct points *pts = OCT_NEW(scratch, struct points);
        int32_t *other = OCT_NEW_N(b->arena, int32_t, n);
        bool ok = (top <= -1 && try_shared(&cheap, p, rq, m, lo, hi, 32, other, pts, &npoints)) ||
                  (31 - top <= 62 && try_shared(&cheap, p, rq, m, lo, hi, 31 - top, other, pts, &npoints));
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
            if (p == OCT_profile_onnx) return refuse(b, OCT_E6003, "profile onnx, and no integer sequence proves equal to it");
            oct_k_fallback(b, "a shift for each channel: one for all is not equal");
            oct_text_addf(&b->proof, "requantize: the profile's own sequence; one shift for all channels is not equal. ");
        }
    } else if (p == OCT_profile_onnx) {
        return refuse(b, OCT_E6003, "profile onnx needs the requantization proof");
    }
    set_narrow(rq, lo, hi);
    return true;
}

int oct_rq_words(const struct oct_rq *rq) {
    if (rq->n == 1 || rq->form == OCT_RQ_IDENTITY) return 0;
    return rq->form == OCT_RQ_SHARED ? 1 : 2;
}
void oct_rq_fill(const struct oct_rq *rq, int32_t *words) {
    for (uint32_t c = 0; c < rq->n && oct_rq_words(rq); c++) {
        words[c] = rq->mul[c];
        if (oct_rq_words(rq) > 1) words[rq->n + c] = rq->shifts[c] - (rq->form == OCT_RQ_Q31);
    }
}

/* ---- building
 * ---------------------------------------------------------------------------------------------------------------------- */

static struct lp_val i64(int64_t v) { return lp_int(LP_I64, v); }
static struct lp_val i32(int64_t v) { return lp_int(LP_I32, v); }
static struct lp_val word(struct oct_kbuild *b, const struct oct_rq *rq, int which, int32_t params, struct lp_addr at) {
    if (rq->n == 1) return i32(which ? rq->shifts[0] - (rq->form == OCT_RQ_Q31) : rq->mul[0]);
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

struct lp_val oct_rq_build(struct oct_kbuild *b, const struct oct_rq *rq, struct lp_val acc, int32_t params, struct lp_addr at) {
    struct lp_kernel *k = b->k;
    if (acc.type.elem == LP_I64) {
        if (rq->wide) {
            acc = lp_op2(k, "acc", LP_OP_max, acc, i64(INT32_MIN));
            acc = lp_op2(k, "acc", LP_OP_min, acc, i64(INT32_MAX));
        }
        acc = lp_op1(k, "acc", LP_OP_cvt, lp_scalar(LP_I32), acc);
    }
    struct lp_val y;
    bool zero_added = false;
    if (rq->form == OCT_RQ_IDENTITY) {
        y = rq->narrow ? acc : lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), acc);
    } else {
        struct lp_val product = lp_op2(k, NULL, LP_OP_mull, acc, word(b, rq, 0, params, at));
        if (rq->form == OCT_RQ_SHARED) {
            zero_added = folds_zero(rq);
            int64_t add = ((int64_t)1 << (rq->shift - 1)) + (zero_added ? rq->zero * ((int64_t)1 << rq->shift) : 0);
            y = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, product, i64(add)), rq->shift);
        } else if (rq->form == OCT_RQ_Q31) {
            struct lp_val n = word(b, rq, 1, params, at);
            struct lp_val half = n.reg < 0
                                     ? lp_shift(k, NULL, LP_OP_sar, product, (int)n.imm.i)
                                     : lp_op2(k, NULL, LP_OP_sarv, product, lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), n));
            y = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, half, i64(1)), 1);
        } else {
            struct lp_val high = lp_shift(k, NULL, LP_OP_sar, lp_op2(k, NULL, LP_OP_add_nw, product, i64((int64_t)1 << 30)), 31);
            struct lp_val x = lp_op1(k, "high", LP_OP_cvt, lp_scalar(LP_I32), high);
            y = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I64), round_away(b, rq, x, word(b, rq, 1, params, at)));
        }
        if (rq->narrow) y = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I32), y);
    }
    enum lp_elem e = (enum lp_elem)y.type.elem;
    if (rq->zero && !zero_added) y = lp_op2(k, NULL, LP_OP_add, y, lp_int(e, rq->zero));
    y = lp_op2(k, "code", LP_OP_max, y, lp_int(e, rq->qmin));
    y = lp_op2(k, "code", LP_OP_min, y, lp_int(e, rq->qmax));
    return e == LP_I32 ? y : lp_op1(k, "code", LP_OP_cvt, lp_scalar(LP_I32), y);
}
