/* legal.c - writes what a machine lacks (isa.h) in rows that it has, so that no compiler has to call a library: products of more
 * than 32 bits by parts of 16, 64-bit shifts by words, division and square root bit by bit. Kernels stay kernels: the evaluator
 * runs the result, and every printer spells it. Requires a kernel that lp_verify accepts. */
#include "rows.h"

#include <math.h>

/* What rewriting one statement works on. All rows here go lane by lane. */
struct work {
    struct lp_kernel *k;
    struct lp_val dst;
    const struct lp_val *arg;
    int lanes, distance; /* distance: of shifts by an immediate */
};

static struct lp_val i32(int64_t v) { return lp_int(LP_I32, v); }
static struct lp_val op(const struct work *w, enum lp_row row, struct lp_val a, struct lp_val b) {
    return lp_op(w->k, NULL, row, lp_vector((enum lp_elem)a.type.elem, w->lanes), 2, (struct lp_val[]){a, b}, 0);
}
static struct lp_val shifted(const struct work *w, enum lp_row row, struct lp_val a, int distance) {
    return lp_op(w->k, NULL, row, lp_vector((enum lp_elem)a.type.elem, w->lanes), 1, &a, distance);
}
static struct lp_val converted(const struct work *w, enum lp_elem to, struct lp_val a) {
    return lp_op(w->k, NULL, LP_OP_cvt, lp_vector(to, w->lanes), 1, &a, 0);
}
static struct lp_val choose(const struct work *w, struct lp_val mask, struct lp_val yes, struct lp_val no) {
    return lp_op(w->k, NULL, LP_OP_select, lp_vector((enum lp_elem)yes.type.elem, w->lanes), 3, (struct lp_val[]){mask, yes, no},
                 0);
}
static void finish(const struct work *w, enum lp_row row, struct lp_val a, struct lp_val b) {
    lp_op_to(w->k, w->dst, row, 2, (struct lp_val[]){a, b}, 0);
}

/* ---- words of 64 bits ---------------------------------------------------------------------------------------------------- */

/* Both as i32; `low` has no sign of its own. */
struct words {
    struct lp_val high, low;
};
static struct words split(const struct work *w, struct lp_val x) {
    if (lp_is_imm(x)) return (struct words){i32((int32_t)(x.imm.i >> 32)), i32((int32_t)(uint32_t)x.imm.i)};
    return (struct words){converted(w, LP_I32, shifted(w, LP_OP_shr, x, 32)), converted(w, LP_I32, x)};
}
static void join(const struct work *w, struct words x) {
    finish(w, LP_OP_or, shifted(w, LP_OP_shl, converted(w, LP_I64, x.high), 32),
           converted(w, LP_I64, converted(w, LP_U32, x.low)));
}

/* ---- products: 2^32 ah bh + 2^16 (ah bl + al bh) + al bl ------------------------------------------------------------------ */

static struct lp_val upper_half(const struct work *w, bool is_signed, struct lp_val x) {
    return shifted(w, is_signed ? LP_OP_sar : LP_OP_shr, x, 16);
}
static struct lp_val lower_half(const struct work *w, struct lp_val x) { return op(w, LP_OP_and, x, i32(0xffff)); }

/* Of two words, signed or not: each product of halves fits 32 bits, and so does each sum with half a word (signed:
 * |ah bl| <= 2^15 (2^16 - 1); unsigned: (2^16 - 1)^2 + 2^16 - 1 < 2^32). */
static struct words product(const struct work *w, bool is_signed, struct lp_val a, struct lp_val b) {
    struct lp_val al = lower_half(w, a), ah = upper_half(w, is_signed, a), bl = lower_half(w, b),
                  bh = upper_half(w, is_signed, b);
    struct lp_val lowest = op(w, LP_OP_mul, al, bl);
    struct lp_val one = op(w, LP_OP_add, op(w, LP_OP_mul, ah, bl), shifted(w, LP_OP_shr, lowest, 16));
    struct lp_val other = op(w, LP_OP_add, op(w, LP_OP_mul, al, bh), lower_half(w, one));
    struct lp_val high = op(w, LP_OP_add, op(w, LP_OP_mul, ah, bh), upper_half(w, is_signed, one));
    return (struct words){op(w, LP_OP_add, high, upper_half(w, is_signed, other)),
                          op(w, LP_OP_or, shifted(w, LP_OP_shl, other, 16), lower_half(w, lowest))};
}

static void full_product(const struct work *w) { join(w, product(w, true, w->arg[0], w->arg[1])); }
static void high_product(const struct work *w) { finish(w, LP_OP_add, product(w, true, w->arg[0], w->arg[1]).high, w->arg[2]); }
static void rounded_high_product(const struct work *w) {
    struct words p = product(w, true, w->arg[0], w->arg[1]);
    finish(w, LP_OP_add, op(w, LP_OP_add, p.high, shifted(w, LP_OP_shr, p.low, 31)), w->arg[2]);
}
/* Modulo 2^64, so that signs do not matter: the upper words' product lies beyond. */
static void long_product(const struct work *w) {
    struct words a = split(w, w->arg[0]), b = split(w, w->arg[1]), p = product(w, false, a.low, b.low);
    struct lp_val cross = op(w, LP_OP_add, op(w, LP_OP_mul, a.high, b.low), op(w, LP_OP_mul, a.low, b.high));
    join(w, (struct words){op(w, LP_OP_add, p.high, cross), p.low});
}

/* ---- 64-bit shifts --------------------------------------------------------------------------------------------------------- */

/* Right by a register: within a word's distance, bits go from the upper word to the lower (in two steps, as no shift by 32 is
 * defined); beyond it, the lower word is the upper one, moved by what is left. */
static void shift_right(const struct work *w, enum lp_row row) {
    struct words x = split(w, w->arg[0]);
    struct lp_val n = split(w, w->arg[1]).low, within = op(w, LP_OP_and, n, i32(31)), rest = op(w, LP_OP_xor, within, i32(31));
    struct lp_val far = op(w, LP_OP_lt, i32(31), n), high = op(w, row, x.high, within);
    struct lp_val low =
        op(w, LP_OP_or, op(w, LP_OP_shrv, x.low, within), op(w, LP_OP_shlv, shifted(w, LP_OP_shl, x.high, 1), rest));
    struct lp_val sign = row == LP_OP_sarv ? shifted(w, LP_OP_sar, x.high, 31) : i32(0);
    join(w, (struct words){choose(w, far, sign, high), choose(w, far, high, low)});
}
static void shift_right_signed(const struct work *w) { shift_right(w, LP_OP_sarv); }
static void shift_right_unsigned(const struct work *w) { shift_right(w, LP_OP_shrv); }
/* By a distance that is known: C has to spell this shift as a function of any distance, which compilers need not inline. */
static void shift_right_known(const struct work *w) {
    const int n = w->distance;
    if (!n) {
        lp_set(w->k, w->dst, w->arg[0]);
        return;
    }
    struct words x = split(w, w->arg[0]);
    if (n >= 32) x.low = n > 32 ? shifted(w, LP_OP_sar, x.high, n - 32) : x.high;
    else x.low = op(w, LP_OP_or, shifted(w, LP_OP_shr, x.low, n), shifted(w, LP_OP_shl, x.high, 32 - n));
    join(w, (struct words){shifted(w, LP_OP_sar, x.high, n < 32 ? n : 31), x.low});
}
static void shift_left(const struct work *w) {
    struct words x = split(w, w->arg[0]);
    struct lp_val n = split(w, w->arg[1]).low, within = op(w, LP_OP_and, n, i32(31)), rest = op(w, LP_OP_xor, within, i32(31));
    struct lp_val far = op(w, LP_OP_lt, i32(31), n), low = op(w, LP_OP_shlv, x.low, within);
    struct lp_val high =
        op(w, LP_OP_or, op(w, LP_OP_shlv, x.high, within), op(w, LP_OP_shrv, shifted(w, LP_OP_shr, x.low, 1), rest));
    join(w, (struct words){choose(w, far, low, high), choose(w, far, i32(0), low)});
}

/* ---- division: a bit of the quotient a turn -------------------------------------------------------------------------------- */

/* Quotients of magnitudes, then the sign. A magnitude may be 2^(bits - 1), so that comparisons take no notice of signs. */
static void divide(const struct work *w) {
    const enum lp_elem e = (enum lp_elem)w->dst.type.elem;
    const int bits = lp_elem_bits(e);
    const bool is_signed = lp_is(e, LP_SIGNED);
    const struct lp_val zero = lp_int(e, 0), lowest = lp_int(e, lp_elem_min(e));
    struct lp_val left = lp_reg(w->k, w->dst.type, "left"), by = lp_reg(w->k, w->dst.type, "by"), minus = {0}, bound;
    lp_set(w->k, left, w->arg[0]);
    lp_set(w->k, by, w->arg[1]);
    if (is_signed) {
        struct lp_val a = op(w, LP_OP_lt, left, zero), b = op(w, LP_OP_lt, by, zero);
        minus = op(w, LP_OP_xor, a, b);
        lp_set(w->k, left, choose(w, a, op(w, LP_OP_sub, zero, left), left));
        lp_set(w->k, by, choose(w, b, op(w, LP_OP_sub, zero, by), by));
    }
    bound = is_signed ? op(w, LP_OP_xor, by, lowest) : by;
    struct lp_val rest = lp_reg(w->k, w->dst.type, "rest"); /* below `by` at the head of a turn */
    lp_set(w->k, rest, zero);
    lp_loop(w->k, "bit", bits);
    struct lp_val carry = {0};
    if (!is_signed) carry = op(w, LP_OP_lt, lp_int(e, lp_elem_max(e) / 2), rest);
    finish(&(struct work){.k = w->k, .dst = rest, .lanes = w->lanes}, LP_OP_or, shifted(w, LP_OP_shl, rest, 1),
           shifted(w, LP_OP_shr, left, bits - 1));
    struct lp_val fits = op(w, LP_OP_le, bound, is_signed ? op(w, LP_OP_xor, rest, lowest) : rest);
    if (!is_signed) fits = op(w, LP_OP_or, fits, carry);
    lp_set(w->k, rest, op(w, LP_OP_sub, rest, choose(w, fits, by, zero)));
    lp_set(w->k, left, op(w, LP_OP_or, shifted(w, LP_OP_shl, left, 1), choose(w, fits, lp_int(e, 1), zero)));
    lp_end(w->k);
    lp_set(w->k, w->dst, is_signed ? choose(w, minus, op(w, LP_OP_sub, zero, left), left) : left);
}

/* ---- square root ------------------------------------------------------------------------------------------------------------
 */

/* 25 bits of the root of the mantissa, one a turn, the last of them for rounding (no root lies halfway between two floats). The
 * exponent is halved; subnormals are scaled by 2^24 first. */
static void square_root(const struct work *w) {
    const struct lp_type word = lp_vector(LP_I32, w->lanes);
    const struct lp_val zero = lp_flt(LP_F32, 0), x = w->arg[0];
    struct lp_val tiny = op(w, LP_OP_lt, x, lp_flt(LP_F32, 0x1p-126));
    struct lp_val normal = choose(w, tiny, op(w, LP_OP_fmul, x, lp_flt(LP_F32, 0x1p24)), x);
    struct lp_val bits = lp_op(w->k, NULL, LP_OP_bits_of, word, 1, &normal, 0);
    struct lp_val exponent = op(w, LP_OP_sub, shifted(w, LP_OP_sar, bits, 23), i32(127));
    struct lp_val one = op(w, LP_OP_or, op(w, LP_OP_and, bits, i32(0x7fffff)), i32(0x800000)); /* 1 to 2, in 2^-23 */
    struct lp_val m = lp_reg(w->k, word, "m"), root = lp_reg(w->k, word, "root"), rest = lp_reg(w->k, word, "rest");
    lp_set(w->k, m, shifted(w, LP_OP_shl, op(w, LP_OP_shlv, one, op(w, LP_OP_and, exponent, i32(1))), 7));
    lp_set(w->k, root, i32(0));
    lp_set(w->k, rest, i32(0));
    lp_loop(w->k, "bit", 25);
    lp_set(w->k, rest, op(w, LP_OP_or, shifted(w, LP_OP_shl, rest, 2), shifted(w, LP_OP_shr, m, 30)));
    lp_set(w->k, m, shifted(w, LP_OP_shl, m, 2));
    lp_set(w->k, root, shifted(w, LP_OP_shl, root, 1));
    struct lp_val twice = shifted(w, LP_OP_shl, root, 1), more = op(w, LP_OP_lt, twice, rest); /* rest < 2^28 */
    lp_set(w->k, rest, op(w, LP_OP_sub, rest, choose(w, more, op(w, LP_OP_add, twice, i32(1)), i32(0))));
    lp_set(w->k, root, op(w, LP_OP_add, root, choose(w, more, i32(1), i32(0))));
    lp_end(w->k);
    struct lp_val rounded = shifted(w, LP_OP_shr, op(w, LP_OP_add, root, op(w, LP_OP_and, root, i32(1))), 1);
    struct lp_val half = op(w, LP_OP_add, shifted(w, LP_OP_sar, exponent, 1), choose(w, tiny, i32(126 - 12), i32(126)));
    struct lp_val sum = op(w, LP_OP_add, rounded, shifted(w, LP_OP_shl, half, 23)); /* the mantissa's own 1 is the 127th */
    struct lp_val found = lp_op(w->k, NULL, LP_OP_of_bits, w->dst.type, 1, &sum, 0);
    /* 0, -0, infinity and NaN are their own roots. */
    struct lp_val finite = choose(w, op(w, LP_OP_lt, x, lp_flt(LP_F32, INFINITY)), found, x);
    struct lp_val positive = choose(w, op(w, LP_OP_lt, zero, x), finite, x);
    lp_set(w->k, w->dst, choose(w, op(w, LP_OP_lt, x, zero), lp_flt(LP_F32, NAN), positive));
}

/* ---- which rows, and where they stand -------------------------------------------------------------------------------------- */

static const struct rule {
    enum lp_row row;
    unsigned elems; /* of the result */
    enum lp_lack lack;
    void (*rewrite)(const struct work *w);
} rules[] = {
    {LP_OP_mull, LP_IS(I64), LP_LACK_MUL64, full_product},
    {LP_OP_mulh_add, LP_IS(I32), LP_LACK_MUL64, high_product},
    {LP_OP_mulhr_add, LP_IS(I32), LP_LACK_MUL64, rounded_high_product},
    {LP_OP_mul, LP_IS(I64), LP_LACK_MUL64, long_product},
    {LP_OP_mul_nw, LP_IS(I64), LP_LACK_MUL64, long_product},
    {LP_OP_shlv, LP_IS(I64), LP_LACK_SHIFT64, shift_left},
    {LP_OP_shrv, LP_IS(I64), LP_LACK_SHIFT64, shift_right_unsigned},
    {LP_OP_sarv, LP_IS(I64), LP_LACK_SHIFT64, shift_right_signed},
    {LP_OP_sar, LP_IS(I64), LP_LACK_SHIFT64, shift_right_known},
    {LP_OP_div, LP_IS(I32) | LP_IS(U32), LP_LACK_DIV, divide},
    {LP_OP_div, LP_IS(I64), LP_LACK_DIV64, divide},
    {LP_OP_fsqrt, LP_IS(F32), LP_LACK_SQRT, square_root},
};

static const struct rule *rule_of(const struct lp_kernel *k, const struct lp_stmt *s, unsigned lacks) {
    if (s->kind != LP_STMT_OP || s->dst < 0) return NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].row == s->row && (rules[i].lack & lacks) && lp_is((enum lp_elem)k->reg[s->dst].type.elem, rules[i].elems))
            return &rules[i];
    return NULL;
}

void lp_legalise(struct lp_kernel *k, unsigned lacks) {
    struct lp_stmt **at = &k->body, **open[sizeof k->open / sizeof *k->open];
    for (int depth = 0; *at || depth;) {
        struct lp_stmt *s = *at;
        if (!s) {
            at = open[--depth];
            continue;
        }
        if (lp_is_loop(s)) {
            open[depth++] = &s->next;
            at = &s->body;
            continue;
        }
        const struct rule *r = rule_of(k, s, lacks);
        if (!r) {
            at = &s->next;
            continue;
        }
        const struct lp_type type = k->reg[s->dst].type;
        k->tail = at; /* the builder appends in the statement's place */
        *at = NULL;
        r->rewrite(&(struct work){k, {type, s->dst, {0}}, s->arg, type.lanes, (int)s->imm});
        at = k->tail;
        *at = s->next;
    }
    k->tail = at;
}
