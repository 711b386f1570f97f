/* elementwise.c - add, sub, mul, requantize, pointwise functions and lut: an element (or one of each of two operands, with
 * broadcast) to an element. docs/numerics.md 4, 4.1, 4.5. */
#include <math.h>
#include <stdlib.h>

#include "fit.h"
#include "map.h"
#include "one_rq.h"
#include "real.h"

static bool codes(const struct oct_kbuild *b, int n) {
    for (int i = 0; i < n; i++)
        if (!b->in[i].node || !oct_k_is_codes(&b->in[i].node->type) || b->in[i].node->type.q->axis >= 0) return false;
    return oct_k_is_codes(&b->node->type) && b->node->type.q->axis < 0;
}
static bool bytes(const struct oct_type *t) { return oct_dtype_size(t->dtype) == 1; }
static bool small(const struct oct_type *t) { return oct_dtype_size(t->dtype) <= 2; } /* codes whose differences i32 holds */

/* fn for every element of the result and those of the operands that belong to it, `lanes` at once at most, not fewer than
 * `fewest` but one. */
static void map_from(struct oct_kbuild *b, int nin, int lanes, int fewest, oct_map_fn *fn, void *user) {
    struct oct_layout in[OCT_MAX_MAPPED - 1];
    struct oct_map m = {.n = 1 + nin, .at = {&b->out.at}, .lanes = lanes, .fewest = fewest, .fn = fn, .user = user};
    for (int i = 0; i < nin; i++) {
        in[i] = oct_layout_broadcast(&b->in[i].at, &b->out.at);
        m.at[1 + i] = &in[i];
        m.buf[1 + i] = oct_k_in(b, i);
    }
    m.buf[0] = oct_k_out(b);
    oct_k_map(b, &m);
}
static void map(struct oct_kbuild *b, int nin, int lanes, oct_map_fn *fn, void *user) {
    map_from(b, nin, lanes, OCT_FEWEST, fn, user);
}

static struct lp_val clamp_code(struct oct_kbuild *b, struct lp_val v) {
    int32_t lo, hi;
    enum lp_elem e = (enum lp_elem)v.type.elem;
    oct_k_clamp_range(b->node, &lo, &hi);
    v = lp_op2(b->k, NULL, LP_OP_max, v, lp_int(e, lo));
    return lp_op2(b->k, "q", LP_OP_min, v, lp_int(e, hi));
}

/* ---- through float: what profile onnx means, and pointwise functions of 16-bit codes
 * ------------------------------------------------ */

/* One operation on two floats; comparisons give 1 or 0. */
static struct lp_val float_binary(struct oct_kbuild *b, struct lp_val x, struct lp_val y) {
    const enum oct_op op = b->node->op;
    const enum lp_row row = op == OCT_OP_add    ? LP_OP_fadd
                            : op == OCT_OP_sub  ? LP_OP_fsub
                            : op == OCT_OP_mul  ? LP_OP_fmul
                            : op == OCT_OP_div  ? LP_OP_fdiv
                            : op == OCT_OP_max  ? LP_OP_fmax
                            : op == OCT_OP_min  ? LP_OP_fmin
                            : op == OCT_OP_less ? LP_OP_lt
                                                : LP_OP_eq;
    struct lp_val v = lp_op2(b->k, "r", row, x, y);
    if (row != LP_OP_lt && row != LP_OP_eq) return v;
    return lp_op3(b->k, "r", LP_OP_select, v, lp_flt(LP_F32, 1.0), lp_flt(LP_F32, 0.0));
}

static struct lp_val float_of_codes(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    (void)user;
    struct lp_val v = oct_r_value(b, 0, x[0]);
    if (b->nin == 2) v = float_binary(b, v, oct_r_value(b, 1, x[1]));
    else if (b->node->op != OCT_OP_requantize) v = oct_r_point(b->k, b->node, v);
    return oct_r_result(b, v);
}
static bool through_float(struct oct_kbuild *b, int nin) {
    b->recipe = "through float";
    map(b, nin, oct_vec_lanes(b->target, LP_F32), float_of_codes, NULL);
    return true;
}

bool oct_fits_binary_onnx(const struct oct_kbuild *b) { return oct_r_through_float(b); }
bool oct_build_binary_onnx(struct oct_kbuild *b) { return through_float(b, 2); }
bool oct_fits_requantize_onnx(const struct oct_kbuild *b) { return oct_r_through_float(b); }
bool oct_build_requantize_onnx(struct oct_kbuild *b) { return through_float(b, 1); }
bool oct_fits_binary_codes(const struct oct_kbuild *b) {
    return codes(b, 2) && small(&b->in[0].node->type) && small(&b->in[1].node->type);
}
bool oct_fits_point_codes(const struct oct_kbuild *b) { return codes(b, 1) && small(&b->in[0].node->type); }
bool oct_build_point_codes(struct oct_kbuild *b) { return through_float(b, 1); }

/* ---- add and sub of codes, q31
 * ------------------------------------------------------------------------------------------------------- */

/* clamp(((a ma + b mb + add) >> shift) + after): a and b are raw codes, zero points and rounding are in `add`. */
struct sum_plan {
    int64_t ma, mb, add;
    int shift;
    int32_t after;
    bool wide;
};
struct sum_case {
    int32_t alo, ahi, blo, bhi, za, zb, zy, qmin, qmax;
    double real_a, real_b; /* s_a / s_y and +-s_b / s_y */
};

/* One exponent for both multipliers, one rounding: docs/numerics.md 4.1. */
static bool exact_sum(const struct sum_case *c, struct sum_plan *p) {
    double most = fmax(c->real_a, fabs(c->real_b));
    int e;
    (void)frexp(most, &e);
    for (;; e++) {
        p->ma = (int64_t)round(ldexp(c->real_a, 31 - e));
        p->mb = (int64_t)round(ldexp(c->real_b, 31 - e));
        if (p->ma < (int64_t)1 << 31 && llabs(p->mb) < (int64_t)1 << 31) break;
    }
    p->shift = 31 - e;
    p->after = 0;
    p->wide = true;
    if (e > 30) return false;
    if (p->shift >= 63) { /* all vanishes */
        *p = (struct sum_plan){0, 0, c->zy, 0, 0, false};
        return true;
    }
    p->add = -c->za * p->ma - c->zb * p->mb + ((int64_t)1 << (p->shift - 1));
    if (p->shift > 40) p->after = c->zy; /* z_y goes in before the shift where 64 bits hold it */
    else p->add += c->zy * ((int64_t)1 << p->shift);
    return true;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* Addends for which the narrow multipliers give `want` on every pair of codes; empty when lo > hi. */
static bool narrow_addends(const struct sum_case *c, const int16_t *want, int64_t ma, int64_t mb, int shift, int64_t *add) {
    int64_t lo = -((int64_t)1 << 31), hi = (int64_t)1 << 31, one = (int64_t)1 << shift;
    for (int32_t a = c->alo; a <= c->ahi; a++)
        for (int32_t b = c->blo; b <= c->bhi; b++) {
            int64_t v = *want++, sum = a * ma + b * mb;
            if (v > c->qmin && v * one - sum > lo) lo = v * one - sum;
            if (v < c->qmax && (v + 1) * one - 1 - sum < hi) hi = (v + 1) * one - 1 - sum;
            if (lo > hi) return false;
        }
    int64_t reach = (c->ahi > -c->alo ? c->ahi : -c->alo) * ma + (c->bhi > -c->blo ? c->bhi : -c->blo) * llabs(mb);
    *add = clamp(0, lo, hi);
    if (*add == 0 || hi - lo < one) *add = lo + (hi - lo) / 2;
    return llabs(*add) + reach < (int64_t)1 << 31;
}

/* Tries 32-bit sequences against all pairs of codes. */
static bool narrow_sum(struct oct_kbuild *b, const struct sum_case *c, const struct sum_plan *exact, struct sum_plan *p) {
    if (!exact->wide || c->ahi - c->alo > 255 || c->bhi - c->blo > 255) return false;
    int16_t *want = OCT_NEW_N(b->arena, int16_t, (c->ahi - c->alo + 1) * (c->bhi - c->blo + 1)), *w = want;
    for (int32_t x = c->alo; x <= c->ahi; x++)
        for (int32_t y = c->blo; y <= c->bhi; y++)
            *w++ =
                (int16_t)clamp(((x * exact->ma + y * exact->mb + exact->add) >> exact->shift) + exact->after, c->qmin, c->qmax);
    enum { NUDGE = 2 };
    for (int shift = 24; shift >= 8; shift--) {
        int64_t ma = (int64_t)round(ldexp(c->real_a, shift)), mb = (int64_t)round(ldexp(c->real_b, shift));
        if ((double)(ma + llabs(mb)) * 256 > 0x1p31) continue;
        for (int i = 0; i < (2 * NUDGE + 1) * (2 * NUDGE + 1); i++) {
            *p = (struct sum_plan){ma + i / (2 * NUDGE + 1) - NUDGE, mb + i % (2 * NUDGE + 1) - NUDGE, 0, shift, 0, false};
            if (p->ma >= 0 && narrow_addends(c, want, p->ma, p->mb, shift, &p->add)) return true;
        }
    }
    return false;
}

static bool power_of_two(double m) {
    int e;
    return frexp(fabs(m), &e) == 0.5;
}

static struct lp_val scaled(struct oct_kbuild *b, struct lp_val code, int64_t m, bool wide) {
    code = oct_k_code_of(b, code);
    if (wide) code = lp_op1(b->k, NULL, LP_OP_cvt, lp_scalar(LP_I64), code);
    return lp_op2(b->k, NULL, LP_OP_mul_nw, code, lp_int(wide ? LP_I64 : LP_I32, m));
}

/* One element. */
static struct lp_val sum_of_one(struct oct_kbuild *b, const struct sum_plan *p, const struct lp_val *x) {
    const enum lp_elem e = p->wide ? LP_I64 : LP_I32;
    struct lp_val v = lp_op2(b->k, NULL, LP_OP_add_nw, scaled(b, x[0], p->ma, p->wide), scaled(b, x[1], p->mb, p->wide));
    v = lp_op2(b->k, NULL, LP_OP_add_nw, v, lp_int(e, p->add));
    if (p->shift) v = lp_shift(b->k, NULL, LP_OP_sar, v, p->shift);
    if (p->after) v = lp_op2(b->k, NULL, LP_OP_add_nw, v, lp_int(e, p->after));
    return clamp_code(b, v);
}

/* A vector of bytes, in one or two of i32. */
static struct lp_val sum_of_lanes(struct oct_kbuild *b, const struct sum_plan *p, const struct lp_val *x) {
    struct lp_kernel *k = b->k;
    const int all = x[0].type.lanes, most = oct_vec_lanes(b->target, LP_I32), lanes = all < most ? all : most;
    struct lp_val y[2];
    int n = 0;
    for (int at = 0; at < all; at += lanes, n++) {
        struct lp_val v[2];
        uint8_t lane[64];
        for (int l = 0; l < lanes; l++) lane[l] = (uint8_t)(at + l);
        for (int i = 0; i < 2; i++)
            v[i] = scaled(b, lanes == all ? x[i] : lp_shuffle(k, "x", x[i], x[i], lanes, lane), i ? p->mb : p->ma, false);
        y[n] = lp_op2(k, NULL, LP_OP_add_nw, lp_op2(k, NULL, LP_OP_add_nw, v[0], v[1]), lp_int(LP_I32, p->add));
        if (p->shift) y[n] = lp_shift(k, NULL, LP_OP_sar, y[n], p->shift);
    }
    int32_t lo, hi;
    oct_k_clamp_range(b->node, &lo, &hi);
    return oct_k_bytes_of(b, n, y, lo, hi);
}
static struct lp_val sum_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    return x[0].type.lanes > 1 ? sum_of_lanes(b, user, x) : sum_of_one(b, user, x);
}

bool oct_fits_sum(const struct oct_kbuild *b) {
    return codes(b, 2) && small(&b->in[0].node->type) && small(&b->in[1].node->type) &&
           (b->node->at.profile == OCT_profile_q31 || b->node->at.profile == OCT_profile_pot);
}

bool oct_build_sum(struct oct_kbuild *b) {
    const struct oct_node *x = b->in[0].node, *y = b->in[1].node, *n = b->node;
    struct sum_case c = {.za = oct_zero(x->type.q, 0), .zb = oct_zero(y->type.q, 0), .zy = oct_zero(n->type.q, 0)};
    oct_k_code_range(x, &c.alo, &c.ahi);
    oct_k_code_range(y, &c.blo, &c.bhi);
    oct_k_clamp_range(n, &c.qmin, &c.qmax);
    double sy = (double)oct_scale(n->type.q, 0);
    c.real_a = (double)oct_scale(x->type.q, 0) / sy;
    c.real_b = (double)oct_scale(y->type.q, 0) / sy * (n->op == OCT_OP_sub ? -1 : 1);
    struct sum_plan exact, p;
    if (!exact_sum(&c, &exact)) {
        oct_error(b->cx, n->span, OCT_E6003, "%s: a scale of the operands is 2^30 times the result's or more", n->name);
        return false;
    }
    if (n->at.profile == OCT_profile_pot && !(power_of_two(c.real_a) && power_of_two(c.real_b))) {
        oct_error(b->cx, n->span, OCT_E6003, "%s: profile pot, and a ratio of scales that is no power of two", n->name);
        return false;
    }
    bool narrow = !b->no_requant_proof && narrow_sum(b, &c, &exact, &p);
    if (!narrow) p = exact;
    if (narrow) b->proofs_accepted++;
    else b->proofs_refused++;
    b->recipe = p.wide ? "64-bit sum" : "32-bit sum";
    oct_text_addf(&b->proof, "(a * %lld + b * %lld + %lld) >> %d: %s", (long long)p.ma, (long long)p.mb, (long long)p.add,
                  p.shift, narrow ? "equal on every pair of codes" : "the profile's own");
    const bool vectors = !p.wide && bytes(&x->type) && bytes(&y->type) && bytes(&n->type);
    if (!vectors && oct_vec_lanes(b->target, LP_I16) > 1)
        oct_k_fallback(b, "scalar code: %s", p.wide ? "no sum of 32 bits is equal" : "codes of 16 bits");
    map(b, 2, vectors ? oct_vec_lanes(b->target, LP_I16) : 1, sum_of, &p);
    return true;
}

/* ---- products and requantization
 * ------------------------------------------------------------------------------------------------------ */

static double multiplier(const struct oct_node *n, const struct oct_node *a, const struct oct_node *b) {
    float sa = oct_scale(a->type.q, 0), sy = oct_scale(n->type.q, 0), sb = b ? oct_scale(b->type.q, 0) : 1.0f;
    return b && n->at.profile == OCT_profile_tflm ? (double)(sa * sb / sy) : (double)sa * (double)sb / (double)sy;
}

static struct lp_val centred(struct oct_kbuild *b, int i, struct lp_val x) {
    struct lp_val v = oct_k_code_of(b, x);
    int32_t z = oct_zero(b->in[i].node->type.q, 0);
    return z ? lp_op2(b->k, NULL, LP_OP_sub_nw, v, lp_int(LP_I32, z)) : v;
}

static void centred_range(const struct oct_node *n, int64_t *lo, int64_t *hi) {
    int32_t l, h;
    oct_k_code_range(n, &l, &h);
    *lo = (int64_t)l - oct_zero(n->type.q, 0);
    *hi = (int64_t)h - oct_zero(n->type.q, 0);
}

bool oct_fits_mul(const struct oct_kbuild *b) {
    return codes(b, 2) && small(&b->in[0].node->type) && small(&b->in[1].node->type) && b->node->at.profile != OCT_profile_onnx;
}

/* One requantization for all elements, under the node's own profile and clamp. */
static bool plan_one(struct oct_kbuild *b, double m, int64_t lo, int64_t hi, struct oct_rq *rq) {
    int32_t qmin, qmax;
    oct_k_clamp_range(b->node, &qmin, &qmax);
    return oct_rq_plan(b, b->node->at.profile, 1, &m, &lo, &hi, oct_zero(b->node->type.q, 0), qmin, qmax, rq);
}
static bool leaves_32(int64_t lo, int64_t hi) { return lo < INT32_MIN || hi > INT32_MAX; }

static struct lp_val product_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    struct oct_one_rq *r = user;
    return oct_one_rq_code(
        b, r, lp_op2(b->k, "p", r->long_product ? LP_OP_mull : LP_OP_mul_nw, centred(b, 0, x[0]), centred(b, 1, x[1])));
}
static struct lp_val requantized(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    return oct_one_rq_code(b, user, centred(b, 0, x[0]));
}

bool oct_build_mul(struct oct_kbuild *b) {
    int64_t al, ah, bl, bh;
    centred_range(b->in[0].node, &al, &ah);
    centred_range(b->in[1].node, &bl, &bh);
    int64_t corner[4] = {al * bl, al * bh, ah * bl, ah * bh}, lo = corner[0], hi = corner[0];
    for (int i = 1; i < 4; i++) {
        if (corner[i] < lo) lo = corner[i];
        if (corner[i] > hi) hi = corner[i];
    }
    struct oct_one_rq r = {.long_product = leaves_32(lo, hi)};
    if (!plan_one(b, multiplier(b->node, b->in[0].node, b->in[1].node), lo, hi, &r.rq)) return false;
    oct_one_rq_open(b, &r);
    map(b, 2, oct_one_rq_lanes(b, &r), product_of, &r);
    return true;
}

bool oct_fits_requantize(const struct oct_kbuild *b) {
    return codes(b, 1) && small(&b->in[0].node->type) && b->node->at.profile != OCT_profile_onnx;
}

bool oct_build_requantize(struct oct_kbuild *b) {
    int64_t lo, hi;
    centred_range(b->in[0].node, &lo, &hi);
    struct oct_one_rq r = {0};
    if (!plan_one(b, multiplier(b->node, b->in[0].node, NULL), lo, hi, &r.rq)) return false;
    oct_one_rq_open(b, &r);
    map(b, 1, oct_one_rq_lanes(b, &r), requantized, &r);
    return true;
}

static struct lp_val looked_up(struct oct_kbuild *b, int i, struct lp_val x, int32_t table) {
    struct lp_val index = oct_k_code_of(b, x);
    int32_t lowest = (int32_t)oct_dtype_min(b->in[i].node->type.dtype);
    if (lowest) index = lp_op2(b->k, NULL, LP_OP_sub_nw, index, lp_int(LP_I32, lowest));
    return lp_load(b->k, NULL, lp_scalar((enum lp_elem)b->k->buf[table].elem), table, lp_indexed(lp_at(0), index, 0, 255));
}

/* ---- add and sub, tflm: operands scaled to 2^20 (2^15) of twice the larger scale, then one requantization of their sum
 * ------------------------- */

bool oct_fits_sum_tflm(const struct oct_kbuild *b) {
    return codes(b, 2) && small(&b->in[0].node->type) && small(&b->in[1].node->type) && b->node->at.profile == OCT_profile_tflm;
}

/* One operand's requantization to the common scale; of 256 codes that is a table, unless vectors do without. */
struct scaled {
    struct oct_one_rq r;
    int64_t lo, hi; /* what it gives */
    int32_t table;
    bool wide; /* shifted codes leave 32 bits */
};
static bool plan_scaled(struct oct_kbuild *b, int i, int shift, double twice, struct scaled *s) {
    const struct oct_type *t = &b->in[i].node->type;
    double m = (double)oct_scale(t->q, 0) / twice;
    const int64_t one = (int64_t)1 << shift;
    centred_range(b->in[i].node, &s->lo, &s->hi);
    int64_t lo = s->lo * one, hi = s->hi * one;
    s->wide = leaves_32(lo, hi);
    if (!oct_rq_plan(b, OCT_profile_tflm, 1, &m, &lo, &hi, 0, INT32_MIN, INT32_MAX, &s->r.rq)) return false;
    s->lo = oct_rq_value(&s->r.rq, 0, lo);
    s->hi = oct_rq_value(&s->r.rq, 0, hi);
    s->table = -1;
    s->r.inner = true;
    oct_one_rq_open(b, &s->r);
    if (!bytes(t) || s->r.vectors) return true;
    int32_t *table = OCT_NEW_N(b->arena, int32_t, 256);
    for (int64_t c = 0; c < 256; c++)
        table[c] = oct_rq_value(&s->r.rq, 0, (oct_dtype_min(t->dtype) + c - oct_zero(t->q, 0)) * one);
    s->table = oct_k_const(b, i ? "scaled_b" : "scaled_a", LP_I32, 256, table);
    return true;
}
static struct lp_val build_scaled(struct oct_kbuild *b, int i, int shift, struct scaled *s, struct lp_val x) {
    if (s->table >= 0) return looked_up(b, i, x, s->table);
    struct lp_val v = centred(b, i, x);
    if (s->wide) v = lp_op1(b->k, NULL, LP_OP_cvt, lp_scalar(LP_I64), v);
    v = lp_op2(b->k, NULL, LP_OP_mul_nw, v, lp_int((enum lp_elem)v.type.elem, (int64_t)1 << shift));
    return oct_one_rq_code(b, &s->r, v);
}

struct tflm_sum {
    struct scaled s[2];
    struct oct_one_rq r;
    int shift;
    bool sub, wide;
};
static struct lp_val tflm_sum_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    struct tflm_sum *t = user;
    struct lp_val v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = build_scaled(b, i, t->shift, &t->s[i], x[i]);
        if (t->wide) v[i] = lp_op1(b->k, NULL, LP_OP_cvt, lp_scalar(LP_I64), v[i]);
    }
    return oct_one_rq_code(b, &t->r, lp_op2(b->k, "sum", t->sub ? LP_OP_sub_nw : LP_OP_add_nw, v[0], v[1]));
}

bool oct_build_sum_tflm(struct oct_kbuild *b) {
    const struct oct_node *n = b->node;
    struct tflm_sum t = {.shift = b->in[0].node->type.dtype == OCT_I16 ? 15 : 20, .sub = n->op == OCT_OP_sub};
    float sa = oct_scale(b->in[0].node->type.q, 0), sb = oct_scale(b->in[1].node->type.q, 0);
    double twice = 2.0 * (double)(sa > sb ? sa : sb), m = twice / ((double)(1 << t.shift) * (double)oct_scale(n->type.q, 0));
    for (int i = 0; i < 2; i++)
        if (!plan_scaled(b, i, t.shift, twice, &t.s[i])) return false;
    int64_t lo = t.s[0].lo + (t.sub ? -t.s[1].hi : t.s[1].lo), hi = t.s[0].hi + (t.sub ? -t.s[1].lo : t.s[1].hi);
    t.wide = leaves_32(lo, hi);
    if (!plan_one(b, m, lo, hi, &t.r.rq)) return false;
    oct_one_rq_open(b, &t.r);
    const bool vectors = t.s[0].r.vectors && t.s[1].r.vectors && t.r.vectors && !t.s[0].wide && !t.s[1].wide && !t.wide;
    b->recipe = vectors ? "scaled operands" : t.s[0].table >= 0 && t.s[1].table >= 0 ? "tables" : "scaled operands";
    map(b, 2, vectors ? oct_vec_lanes(b->target, LP_I32) : 1, tflm_sum_of, &t);
    return true;
}

/* ---- tables
 * -----------------------------------------------------------------------------------------------------------------------------
 */

/* 256 codes by 16 tables of 16, of which a lookup of vectors takes one at a time and gives 0 from 128 on. For codes below 128, as
 * unsigned, the xor of the tables so far, as code, code - 16, ... stay below 128, is the code's own when table t is stored as
 * t ^ (t - 1). The other codes get there at table 8, with sums of their own. */
enum { TABLES = 16, HALF = TABLES / 2, FEWEST_LOOKED_UP = 16 };
struct table {
    int32_t whole, parts; /* buffers: by code, from the lowest on; 16 xors; whole: -1 where no code goes alone */
};
static struct lp_val from_tables(struct oct_kbuild *b, const struct table *t, struct lp_val x) {
    struct lp_kernel *k = b->k;
    const int lanes = x.type.lanes;
    const enum lp_elem e = k->buf[t->parts].elem;
    struct lp_val half[2], first = x.type.elem == LP_U8 ? x : lp_op1(k, "u", LP_OP_cvt, lp_scalar(LP_U8), x), at = first;
    for (int i = 0; i < TABLES; i++) {
        if (i) { /* pinned: gcc would take 16 i at once from a constant for each, and keep those in memory */
            at = lp_op2(k, "at", LP_OP_sub, at, lp_int(LP_U8, 16));
            lp_op_to(k, at, LP_OP_pin, 1, &at, 0);
        }
        const struct lp_val v = lp_op2(k, NULL, LP_OP_lookup16, lp_load(k, NULL, lp_vector(e, 16), t->parts, lp_at(16 * i)), at);
        half[i / HALF] = i % HALF ? lp_op2(k, "y", LP_OP_xor, half[i / HALF], v) : v;
    }
    const struct lp_val below =
        lp_op2(k, "below", LP_OP_lt, first, lp_op1(k, NULL, LP_OP_splat, lp_vector(LP_U8, lanes), lp_int(LP_U8, 128)));
    return lp_op3(k, "y", LP_OP_select, below, half[0], half[1]);
}
static struct lp_val from_table(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    const struct table *t = user;
    return x[0].type.lanes > 1 ? from_tables(b, t, x[0]) : looked_up(b, 0, x[0], t->whole);
}

/* The results of all codes, from the lowest on; vectors where they are bytes. whole: the buffer that holds them; -1: none yet. */
static bool by_table(struct oct_kbuild *b, const uint8_t *results, int32_t whole) {
    const struct oct_layout in = oct_layout_broadcast(&b->in[0].at, &b->out.at);
    const enum lp_elem e = oct_k_elem(b->node->type.dtype);
    struct oct_walk walk[OCT_MAX_RANK];
    const int walks = oct_k_walks(2, (const struct oct_layout *[]){&b->out.at, &in}, 0, walk);
    const struct oct_walk *last = walks ? &walk[walks - 1] : NULL;
    const bool vectors = last && bytes(&b->node->type) && oct_vec_lanes(b->target, e) > 1 && last->dim >= FEWEST_LOOKED_UP &&
                         last->stride[0] == 1 && last->stride[1] == 1;
    struct table t = {whole, -1};
    if (vectors) {
        uint8_t *parts = OCT_NEW_N(b->arena, uint8_t, 256);
        const int lowest = (int)oct_dtype_min(b->in[0].node->type.dtype);
        for (int i = 0; i < 256; i++) { /* as unsigned */
            const int before = i % 128 >= 16 ? results[(i - 16 - lowest) & 255] : 0;
            parts[i] = (uint8_t)(results[(i - lowest) & 255] ^ before);
        }
        t.parts = oct_k_const(b, "tables", e, 256, parts);
    }
    if (whole < 0 && !(vectors && last->dim % FEWEST_LOOKED_UP == 0)) t.whole = oct_k_const(b, "table", e, 256, results);
    map_from(b, 1, vectors ? oct_vec_lanes(b->target, e) : 1, FEWEST_LOOKED_UP, from_table, &t);
    return true;
}

bool oct_fits_point_table(const struct oct_kbuild *b) {
    return codes(b, 1) && bytes(&b->in[0].node->type) && bytes(&b->node->type);
}

/* All 256 codes through the definition, at compile time. */
bool oct_build_point_table(struct oct_kbuild *b) {
    const struct oct_type *x = &b->in[0].node->type, *y = &b->node->type;
    uint8_t *table = OCT_NEW_N(b->arena, uint8_t, 256);
    b->recipe = "table";
    for (int32_t c = 0; c < 256; c++)
        table[c] = (uint8_t)oct_code_of(y, oct_point_value(b->node, oct_real_of(x, (int32_t)oct_dtype_min(x->dtype) + c)));
    return by_table(b, table, -1);
}

bool oct_fits_lut(const struct oct_kbuild *b) {
    return bytes(&b->in[0].node->type) && b->in[1].node->op == OCT_OP_const && b->in[1].at.rank == 1 && b->in[1].at.dim[0] == 256;
}
bool oct_build_lut(struct oct_kbuild *b) {
    b->recipe = "table";
    return by_table(b, b->in[1].node->data, oct_k_in(b, 1));
}

/* ---- float
 * -------------------------------------------------------------------------------------------------------------------------------
 */

bool oct_fits_float(const struct oct_kbuild *b) {
    for (int i = 0; i < b->nin; i++)
        if (b->in[i].node && !oct_k_is_float(&b->in[i].node->type)) return false;
    return oct_k_is_float(&b->node->type);
}

static struct lp_val binary_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    (void)user;
    return oct_r_clamp(b->k, float_binary(b, x[0], x[1]), b->node->at.clip[0], b->node->at.clip[1]);
}
bool oct_build_binary_f32(struct oct_kbuild *b) {
    map(b, 2, oct_vec_lanes(b->target, LP_F32), binary_of, NULL);
    return true;
}

static struct lp_val point_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    (void)user;
    return oct_r_point(b->k, b->node, x[0]);
}
bool oct_build_point_f32(struct oct_kbuild *b) {
    map(b, 1, oct_vec_lanes(b->target, LP_F32), point_of, NULL);
    return true;
}

static struct lp_val where_of(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    (void)user;
    return lp_op3(b->k, "r", LP_OP_select, lp_op2(b->k, "c", LP_OP_ne, x[0], lp_flt(LP_F32, 0)), x[1], x[2]);
}
bool oct_build_where(struct oct_kbuild *b) {
    map(b, 3, oct_vec_lanes(b->target, LP_F32), where_of, NULL);
    return true;
}

/* (x - mean) k + bias, k = scale / sqrt(var + eps) made at compile time in fp32. */
bool oct_fits_batchnorm(const struct oct_kbuild *b) {
    for (int i = 1; i < 5; i++)
        if (b->in[i].node->op != OCT_OP_const) return false;
    return oct_fits_float(b);
}

bool oct_build_batchnorm(struct oct_kbuild *b) {
    int64_t channels = b->out.at.dim[1];
    const float *scale = b->in[1].node->data, *bias = b->in[2].node->data, *mean = b->in[3].node->data,
                *var = b->in[4].node->data;
    float *p = OCT_NEW_N(b->arena, float, 3 * channels);
    for (int64_t c = 0; c < channels; c++) {
        p[3 * c] = mean[c];
        p[3 * c + 1] = scale[c] / sqrtf(var[c] + b->node->at.eps);
        p[3 * c + 2] = bias[c];
    }
    struct oct_layout per_channel = {.rank = b->out.at.rank, .size = 3 * channels};
    for (int a = 0; a < per_channel.rank; a++) per_channel.dim[a] = b->out.at.dim[a];
    per_channel.stride[1] = 3;
    int32_t x = oct_k_in(b, 0), out = oct_k_out(b), params = oct_k_const(b, "params", LP_F32, 3 * channels, p);
    struct lp_addr at[3];
    int loops = oct_k_nest(b, 3, (const struct oct_layout *[]){&b->out.at, &b->in[0].at, &per_channel}, 0, at);
    struct lp_type f = lp_scalar(LP_F32);
    struct lp_val v = lp_load(b->k, NULL, f, x, at[1]);
    v = lp_op2(b->k, NULL, LP_OP_fsub, v, lp_load(b->k, NULL, f, params, at[2]));
    v = lp_op2(b->k, NULL, LP_OP_fmul, v, lp_load(b->k, NULL, f, params, lp_offset(at[2], 1)));
    v = lp_op2(b->k, NULL, LP_OP_fadd, v, lp_load(b->k, NULL, f, params, lp_offset(at[2], 2)));
    lp_store(b->k, out, at[0], v);
    oct_k_close(b, loops);
    return true;
}
