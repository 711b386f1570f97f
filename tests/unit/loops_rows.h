/* loops_rows.h - every element-wise row of loops.def over every type it allows, on edges and random values, with what a formula
 * of its own says of each; shared by the tests of the evaluator, of printed C and of LLVM. */
#ifndef LOOPS_ROWS_H
#define LOOPS_ROWS_H

#include <math.h>

#include "loops_case.h"
#include "../../backend/loops/rows.h"

__extension__ typedef __int128 wide;
enum { COUNT = 768 }; /* elements a case runs over */

static struct oct_ctx cx;
static struct oct_arena *arena;
static inline int setup(void **state) {
    (void)state;
    oct_ctx_init(&cx);
    arena = oct_arena_new(&cx);
    return 0;
}
static inline int teardown(void **state) {
    (void)state;
    oct_ctx_free(&cx);
    return 0;
}

/* One element-wise use of a row: operand and result types, immediate, data. */
struct scalar_case {
    enum lp_row row;
    enum lp_elem arg[3], to;
    int nargs, imm;
    void *in[3], *out; /* out: what the formula says */
};
struct cases {
    struct scalar_case c[1200];
    int n;
};

/* ---- data
 * ------------------------------------------------------------------------------------------------------------------------- */

static inline wide get(const void *p, enum lp_elem e, int i) {
    switch (e) {
    case LP_I8: return ((const int8_t *)p)[i];
    case LP_I16: return ((const int16_t *)p)[i];
    case LP_U16: return ((const uint16_t *)p)[i];
    case LP_I32: return ((const int32_t *)p)[i];
    case LP_U32: return ((const uint32_t *)p)[i];
    case LP_I64: return ((const int64_t *)p)[i];
    default: return ((const uint8_t *)p)[i];
    }
}
static inline void put(void *p, enum lp_elem e, int i, wide v) {
    uint64_t bits = (uint64_t)v;
    memcpy((char *)p + (size_t)i * lp_elem_size(e), &bits, lp_elem_size(e));
}
static inline double getf(const void *p, enum lp_elem e, int i) {
    return e == LP_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static inline void putf(void *p, enum lp_elem e, int i, double v) {
    if (e == LP_F32) ((float *)p)[i] = (float)v;
    else ((double *)p)[i] = v;
}
static inline bool is_float(enum lp_elem e) { return e == LP_F32 || e == LP_F64; }

static const double odd_floats[] = {
    0.0,        -0.0,       0.5,      -0.5,         1.5,          2.5,           -2.5,          1e-40,        -1e-45,
    1e30,       -1e30,      3e38,     2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0, 8388607.5,    8388608.0,
    -4194304.5, 16777217.0, INFINITY, -INFINITY,    NAN,          0.1,           2147483646.5,  -2147483648.5};

/* Edges in all pairs, then small values, then any bits. */
static inline void *make_data(enum lp_elem e, int which, uint64_t seed) {
    void *p = oct_alloc(arena, COUNT * 8);
    int64_t lo = lp_elem_min(e), hi = lp_elem_max(e);
    const int64_t edge[] = {lo, lo + 1, lo / 2, -1, 0, 1, 2, hi / 2, hi / 2 + 1, hi - 1, hi};
    const int ne = 11, nf = (int)(sizeof odd_floats / sizeof *odd_floats);
    for (int i = 0; i < COUNT; i++) {
        uint64_t r = mix(seed * 1000003u + (uint64_t)i * 3u + (uint64_t)which);
        if (is_float(e)) {
            int pair = which ? i / nf : i;
            double v = i < nf * nf ? odd_floats[pair % nf] : ldexp((double)(int64_t)r, (int)(r % 61) - 80);
            putf(p, e, i, v);
        } else if (e == LP_MASK) put(p, e, i, (wide)(r & 1));
        else if (i < ne * ne) put(p, e, i, edge[(which ? i / ne : i) % ne]);
        else put(p, e, i, i < COUNT / 2 ? (wide)(int64_t)(r % 200) - 100 : (wide)(int64_t)r);
    }
    return p;
}

/* ---- the formulas
 * ------------------------------------------------------------------------------------------------------------------ */

static inline wide modulo(wide v, enum lp_elem e) {
    if (e == LP_MASK) return v & 1;
    wide size = (wide)1 << lp_elem_bits(e), r = ((v % size) + size) % size;
    return r > lp_elem_max(e) ? r - size : r;
}
static inline wide floor_shift(wide a, int n) {
    wide d = (wide)1 << n, q = a / d;
    return q * d > a ? q - 1 : q;
}
static inline wide nearest(double x) {
    if (isnan(x)) return 0;
    if (x >= 4e9) return INT32_MAX;
    if (x <= -4e9) return INT32_MIN;
    double down = floor(x), rest = x - down;
    wide r = (wide)down + (rest > 0.5 || (rest == 0.5 && fmod(down, 2.0) != 0.0));
    return r > INT32_MAX ? INT32_MAX : r < INT32_MIN ? INT32_MIN : r;
}

/* Integer results; *skip: outside what the row defines. */
static inline wide formula(const struct scalar_case *c, int i, bool *skip) {
    enum lp_elem e = c->arg[0];
    if (c->row == LP_OP_select) return get(c->in[get(c->in[0], LP_MASK, i) ? 1 : 2], c->to, i);
    if (is_float(e)) {
        double x = getf(c->in[0], e, i), y = c->nargs > 1 ? getf(c->in[1], e, i) : 0;
        switch (c->row) {
        case LP_OP_lt: return x < y;
        case LP_OP_le: return x <= y;
        case LP_OP_eq: return x == y;
        case LP_OP_ne: return !(x == y);
        case LP_OP_f2i_near: *skip = !(fabs(x) <= 0x1p22); return nearest(x);
        case LP_OP_f2i:
        case LP_OP_d2i: return nearest(x);
        default: return get(c->in[0], LP_I32, i); /* bits_of */
        }
    }
    wide a = get(c->in[0], e, i), b = c->nargs > 1 ? get(c->in[1], e, i) : 0, size = (wide)1 << lp_elem_bits(e), r;
    switch (c->row) {
    case LP_OP_mov:
    case LP_OP_pin:
    case LP_OP_cvt: r = a; break;
    case LP_OP_sat: return a < lp_elem_min(c->to) ? lp_elem_min(c->to) : a > lp_elem_max(c->to) ? lp_elem_max(c->to) : a;
    case LP_OP_add:
    case LP_OP_add_nw: r = a + b; break;
    case LP_OP_sub:
    case LP_OP_sub_nw: r = a - b; break;
    case LP_OP_mul:
    case LP_OP_mul_nw:
    case LP_OP_mull: r = a * b; break;
    case LP_OP_mulh_add: r = floor_shift(a * b, 32) + get(c->in[2], e, i); break;
    case LP_OP_mulhr_add: r = floor_shift(a * b + ((wide)1 << 31), 32) + get(c->in[2], e, i); break;
    case LP_OP_ssat8: r = floor_shift(a, c->imm), r = r < -128 ? -128 : r > 127 ? 127 : r; break;
    case LP_OP_div: *skip = b == 0 || (a == lp_elem_min(e) && b == -1); return *skip ? 0 : a / b;
    case LP_OP_and: r = (a + size) % size & (b + size) % size; break;
    case LP_OP_or: r = a + b - modulo(((a + size) % size) & ((b + size) % size), e); break;
    case LP_OP_xor: r = a + b - 2 * modulo(((a + size) % size) & ((b + size) % size), e); break;
    case LP_OP_not: r = -1 - a; break;
    case LP_OP_shl: r = a * ((wide)1 << c->imm); break;
    case LP_OP_shr: r = ((a + size) % size) / ((wide)1 << c->imm); break;
    case LP_OP_sar: r = floor_shift(a, c->imm); break;
    case LP_OP_shlv:
    case LP_OP_shrv:
    case LP_OP_sarv:
        *skip = b < 0 || b >= lp_elem_bits(e);
        if (*skip) return 0;
        r = c->row == LP_OP_shlv   ? a * ((wide)1 << b)
            : c->row == LP_OP_shrv ? ((a + size) % size) / ((wide)1 << b)
                                   : floor_shift(a, (int)b);
        break;
    case LP_OP_min: return a < b ? a : b;
    case LP_OP_max: return a > b ? a : b;
    case LP_OP_lt: return a < b;
    case LP_OP_le: return a <= b;
    case LP_OP_eq: return a == b;
    case LP_OP_ne: return a != b;
    default: fail_msg("no formula for %s", lp_row_info(c->row)->name); return 0;
    }
    bool nw = c->row == LP_OP_add_nw || c->row == LP_OP_sub_nw || c->row == LP_OP_mul_nw;
    *skip = nw && r != modulo(r, c->to);
    return modulo(r, c->to);
}

static inline double formula_float(const struct scalar_case *c, int i) {
    if (c->row == LP_OP_select) return getf(c->in[get(c->in[0], LP_MASK, i) ? 1 : 2], c->to, i);
    if (c->row == LP_OP_i2f || c->row == LP_OP_i2d) return (double)get(c->in[0], LP_I32, i); /* putf rounds */
    if (c->row == LP_OP_of_bits) return (double)((const float *)c->in[0])[i];
    double a = getf(c->in[0], c->arg[0], i), b = c->nargs > 1 ? getf(c->in[1], c->arg[0], i) : 0;
    switch (c->row) { /* one operation in double and one rounding to float give the float operation */
    case LP_OP_fadd: return a + b;
    case LP_OP_fsub: return a - b;
    case LP_OP_fmul: return a * b;
    case LP_OP_fdiv: return a / b;
    case LP_OP_fmin: return isless(a, b) ? a : b;
    case LP_OP_fmax: return isgreater(a, b) ? a : b;
    case LP_OP_fma:
        return c->arg[0] == LP_F32 ? (double)fmaf((float)a, (float)b, (float)getf(c->in[2], LP_F32, i))
                                   : fma(a, b, getf(c->in[2], LP_F64, i));
    case LP_OP_fneg: return copysign(a, signbit(a) ? 1.0 : -1.0);
    case LP_OP_fabs: return copysign(a, 1.0);
    case LP_OP_fsqrt: return sqrt(a);
    case LP_OP_ffloor: return trunc(a) == a ? a : trunc(a) - (a < 0);
    default: return a; /* mov, pin, f2d, d2f */
    }
}

/* ---- making cases
 * ------------------------------------------------------------------------------------------------------------------ */

static inline void add_case(struct cases *cs, enum lp_row row, int nargs, const enum lp_elem *arg, enum lp_elem to, int imm) {
    assert_true(cs->n < (int)(sizeof cs->c / sizeof *cs->c));
    struct scalar_case *c = &cs->c[cs->n++];
    *c = (struct scalar_case){.row = row, .to = to, .nargs = nargs, .imm = imm, .out = oct_alloc(arena, COUNT * 8)};
    for (int i = 0; i < nargs; i++) {
        c->arg[i] = arg[i];
        c->in[i] = make_data(arg[i], i, (uint64_t)row * 64 + (uint64_t)arg[i]);
        bool distance = i == 1 && (row == LP_OP_shlv || row == LP_OP_shrv || row == LP_OP_sarv);
        for (int j = 0; distance && j < COUNT; j++) put(c->in[i], arg[i], j, j % lp_elem_bits(arg[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        bool skip = false;
        if (is_float(to)) putf(c->out, to, i, formula_float(c, i));
        else put(c->out, to, i, formula(c, i, &skip));
        if (!skip) continue; /* where the row defines nothing, take element 0 of harmless operands instead */
        for (int j = 0; j < nargs; j++) put(c->in[j], arg[j], i, 1);
        i--;
    }
}

/* Every row that C99 spells, over every type its signature allows. */
static inline struct cases *make_cases(void) {
    struct cases *cs = OCT_NEW(arena, struct cases);
    for (int row = 0; row < LP_ROW_COUNT; row++) {
        const struct lp_row_info *r = lp_row_info((enum lp_row)row);
        if (!r->c[LP_ISA_C99] || row == LP_OP_prefetch) continue;
        int nargs = 0;
        for (const char *p = strchr(r->signature, '='); p && *p; p++) nargs += (*p == '=' || *p == ',') && p[1] != '#';
        bool imm = strchr(r->signature, '#') != NULL;
        for (int e = 0; e < LP_MASK; e++) {
            struct lp_val v[3];
            enum lp_elem arg[3];
            for (int i = 0; i < nargs; i++) {
                arg[i] = row == LP_OP_select && !i ? LP_MASK : (enum lp_elem)e;
                v[i] = (struct lp_val){lp_scalar(arg[i]), 0, {0}};
            }
            for (int to = 0; to < (r->signature[0] == 'U' ? LP_F32 : 1); to++) {
                struct lp_type t;
                const char *why;
                if (!lp_row_result((enum lp_row)row, lp_scalar((enum lp_elem)to), nargs, v, &t, &why)) continue;
                if (!imm) add_case(cs, (enum lp_row)row, nargs, arg, (enum lp_elem)t.elem, 0);
                for (int d = 0; imm && d < lp_elem_bits((enum lp_elem)e); d += d < 2                                    ? 1
                                                                               : d == lp_elem_bits((enum lp_elem)e) - 1 ? 1
                                                                                                                        : 2)
                    add_case(cs, (enum lp_row)row, nargs, arg, (enum lp_elem)t.elem, d);
            }
        }
    }
    return cs;
}

/* out[i] = row(in0[i], ...), `lanes` at a time. Masks are stored as i32 0/1 and made by a comparison. */
static inline struct lp_kernel *case_kernel(const struct scalar_case *c, int lanes) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t in[3];
    for (int i = 0; i < c->nargs; i++) {
        enum lp_elem e = c->arg[i] == LP_MASK ? LP_U8 : c->arg[i];
        in[i] = lp_buffer(k, (const char *[]){"a", "b", "c"}[i], e, LP_BUF_IN, COUNT, 8);
    }
    enum lp_elem stored = c->to == LP_MASK ? LP_U8 : c->to;
    int32_t out = lp_buffer(k, "out", stored, LP_BUF_OUT, COUNT, 8);
    int32_t i = lp_loop(k, "i", COUNT / lanes);
    struct lp_addr at = lp_plus(lp_at(0), i, lanes);
    struct lp_val v[3];
    for (int j = 0; j < c->nargs; j++) {
        enum lp_elem e = c->arg[j] == LP_MASK ? LP_U8 : c->arg[j];
        v[j] = lp_load(k, j == 1 ? NULL : "x", lp_vector(e, lanes), in[j], at);
        if (c->arg[j] == LP_MASK) v[j] = lp_op2(k, "m", LP_OP_ne, v[j], lp_int(LP_U8, 0));
    }
    struct lp_val r = lp_op(k, c->imm % 2 ? "r" : NULL, c->row, lp_vector(c->to, lanes), c->nargs, v, c->imm);
    if (c->to == LP_MASK) {
        struct lp_val one = lp_op1(k, "one", LP_OP_mov, lp_vector(LP_U8, lanes), lp_int(LP_U8, 1));
        r = lp_op3(k, NULL, LP_OP_select, r, one, lp_int(LP_U8, 0));
    }
    lp_store(k, out, at, r);
    lp_end(k);
    return k;
}

/* Equal bits; a NaN equals a NaN. */
static inline void same(const struct scalar_case *c, const void *got, const char *by) {
    for (int i = 0; i < COUNT; i++) {
        bool eq;
        if (is_float(c->to)) {
            size_t n = lp_elem_size(c->to), at = (size_t)i * n;
            eq = !memcmp((const char *)got + at, (const char *)c->out + at, n) ||
                 (isnan(getf(got, c->to, i)) && isnan(getf(c->out, c->to, i)));
        } else eq = get(got, c->to, i) == get(c->out, c->to, i);
        if (!eq)
            fail_msg("%s by %s: %s -> %s imm %d, element %d: (%lld or %g) and (%lld or %g) gave %lld or %g instead of %lld or %g",
                     lp_row_info(c->row)->name, by, lp_elem_name(c->arg[0]), lp_elem_name(c->to), c->imm, i,
                     (long long)get(c->in[0], c->arg[0], i), is_float(c->arg[0]) ? getf(c->in[0], c->arg[0], i) : 0,
                     c->nargs > 1 ? (long long)get(c->in[1], c->arg[1], i) : 0,
                     c->nargs > 1 && is_float(c->arg[1]) ? getf(c->in[1], c->arg[1], i) : 0, (long long)get(got, c->to, i),
                     is_float(c->to) ? getf(got, c->to, i) : 0, (long long)get(c->out, c->to, i),
                     is_float(c->to) ? getf(c->out, c->to, i) : 0);
    }
}

/* out[0..] = row(in...), operands of the given types read from the start of each buffer. */
static inline struct lp_kernel *row_kernel(enum lp_row row, int64_t imm, struct lp_type to, int nargs,
                                           const struct lp_type *types) {
    struct lp_kernel *k = lp_new(&cx, arena);
    struct lp_val v[4];
    for (int i = 0; i < nargs; i++) {
        enum lp_elem e = types[i].elem == LP_MASK ? LP_U8 : (enum lp_elem)types[i].elem;
        int32_t b = lp_buffer(k, "in", e, LP_BUF_IN, types[i].lanes, 8);
        v[i] = lp_load(k, "v", lp_vector(e, types[i].lanes), b, lp_at(0));
        if (types[i].elem == LP_MASK) v[i] = lp_op2(k, "m", LP_OP_ne, v[i], lp_int(LP_U8, 0));
    }
    int32_t b = lp_buffer(k, "out", (enum lp_elem)to.elem, LP_BUF_OUT, to.lanes, 8);
    lp_store(k, b, lp_at(0), lp_op(k, "r", row, to, nargs, v, imm));
    return k;
}

/* Rows over several lanes: operands and results in multiples of n, or exactly so many. */
struct lane_row {
    enum lp_row row;
    struct {
        enum lp_elem e;
        int times, exact;
    } to, in[4];
    int nargs, imms;
};
static const struct lane_row lane_rows[] = {
    {LP_OP_madd16, {LP_I32, 1, 0}, {{LP_I16, 2, 0}, {LP_I16, 2, 0}}, 2, 1},
    {LP_OP_maddubs, {LP_I16, 1, 0}, {{LP_U8, 2, 0}, {LP_I8, 2, 0}}, 2, 1},
    {LP_OP_dot2, {LP_I32, 1, 0}, {{LP_I32, 1, 0}, {LP_I16, 2, 0}, {LP_I16, 2, 0}}, 3, 1},
    {LP_OP_dot4, {LP_I32, 1, 0}, {{LP_I32, 1, 0}, {LP_U8, 4, 0}, {LP_I8, 4, 0}}, 3, 1},
    {LP_OP_dot4s, {LP_I32, 1, 0}, {{LP_I32, 1, 0}, {LP_I8, 4, 0}, {LP_I8, 4, 0}}, 3, 1},
    {LP_OP_mmla, {LP_I32, 0, 4}, {{LP_I32, 0, 4}, {LP_I8, 0, 16}, {LP_I8, 0, 16}}, 3, 1},
    {LP_OP_mladav, {LP_I32, 0, 1}, {{LP_I32, 0, 1}, {LP_I8, 1, 0}, {LP_I8, 1, 0}, {LP_MASK, 1, 0}}, 4, 1},
    {LP_OP_mul_even, {LP_I64, 1, 0}, {{LP_I32, 2, 0}, {LP_I32, 2, 0}}, 2, 1},
    {LP_OP_high, {LP_I32, 2, 0}, {{LP_I64, 1, 0}, {LP_I64, 1, 0}}, 2, 1},
    {LP_OP_packs32, {LP_I16, 2, 0}, {{LP_I32, 1, 0}, {LP_I32, 1, 0}}, 2, 1},
    {LP_OP_packs16, {LP_I8, 2, 0}, {{LP_I16, 1, 0}, {LP_I16, 1, 0}}, 2, 1},
    {LP_OP_packus16, {LP_U8, 2, 0}, {{LP_I16, 1, 0}, {LP_I16, 1, 0}}, 2, 1},
    {LP_OP_fma, {LP_F32, 1, 0}, {{LP_F32, 1, 0}, {LP_F32, 1, 0}, {LP_F32, 1, 0}}, 3, 1},
    {LP_OP_reduce_add, {LP_I8, 0, 1}, {{LP_I8, 1, 0}}, 1, 1},
    {LP_OP_reduce_add, {LP_I32, 0, 1}, {{LP_I32, 1, 0}}, 1, 1},
    {LP_OP_reduce_add, {LP_I64, 0, 1}, {{LP_I64, 1, 0}}, 1, 1},
    {LP_OP_lookup16, {LP_I8, 1, 0}, {{LP_I8, 0, 16}, {LP_U8, 1, 0}}, 2, 1},
    {LP_OP_lookup16, {LP_U8, 4, 0}, {{LP_U8, 0, 16}, {LP_U8, 4, 0}}, 2, 1},
    {LP_OP_sxtb16, {LP_I16, 1, 0}, {{LP_I8, 2, 0}}, 1, 2},
    {LP_OP_repeat, {LP_I8, 3, 0}, {{LP_I8, 1, 0}}, 1, 1},
    {LP_OP_repeat, {LP_F32, 2, 0}, {{LP_F32, 1, 0}}, 1, 1},
    {LP_OP_splat, {LP_I8, 4, 0}, {{LP_I8, 0, 1}}, 1, 1},
    {LP_OP_splat, {LP_F64, 2, 0}, {{LP_F64, 0, 1}}, 1, 1},
};
static inline struct lp_kernel *lane_kernel(const struct lane_row *r, int n, int imm) {
    struct lp_type in[4], to = lp_vector(r->to.e, r->to.exact ? r->to.exact : r->to.times * n);
    for (int i = 0; i < r->nargs; i++) in[i] = lp_vector(r->in[i].e, r->in[i].exact ? r->in[i].exact : r->in[i].times * n);
    return row_kernel(r->row, imm, to, r->nargs, in);
}
/* Operands: extremes for the first two seeds, any bits for the others. */
static inline void lane_data(const struct lane_row *r, uint64_t seed, uint64_t data[4][64], void **mem) {
    for (int i = 0; i < r->nargs; i++) {
        mem[i] = data[i];
        for (int j = 0; j < 64; j++) data[i][j] = mix(seed * 4096 + (uint64_t)(i * 64 + j));
        if (seed < 2) memset(data[i], seed ? 0x80 : i % 2 ? 0x7f : 0x80, sizeof data[i]);
        if (r->in[i].e == LP_MASK)
            for (int j = 0; j < 64; j++) ((uint8_t *)data[i])[j] = mix(seed + (uint64_t)j) % 2;
    }
}

/* The kernels that `as` makes of the cases' (NULL: leaves the case out), printed as C, give what the formulas say by every
 * compiler. Returns how many there were. */
static inline int check_cases_in_c(struct cases *cs, struct lp_kernel *(*as)(struct lp_kernel *)) {
    struct oct_text body, file;
    int n = 0;
    oct_text_init(&body, arena);
    oct_text_init(&file, arena);
    struct lp_c_file *shared = lp_c_file_new(&cx, arena);
    bool *there = OCT_NEW_N(arena, bool, cs->n);
    for (int i = 0; i < cs->n; i++) {
        struct lp_kernel *k = as(case_kernel(&cs->c[i], 1));
        if (!k) continue;
        there[i] = true;
        n++;
        lp_emit_c(&body, k, oct_sprintf(arena, "k%d", i), shared);
        oct_text_addf(&body, "void w%d(void **m);\nvoid w%d(void **m) { k%d(m[0], m[1]%s%s); }\n", i, i, i,
                      cs->c[i].nargs > 1 ? ", m[2]" : "", cs->c[i].nargs > 2 ? ", m[3]" : "");
    }
    oct_text_add(&file, "#include <stdint.h>\n");
    lp_emit_c_prologue(&file, shared);
    oct_text_add(&file, body.s);
    void *got = oct_alloc(arena, COUNT * 8);
    for (size_t j = 0; j < compiler_count(); j++) {
        void *so = load_c(file.s, compilers[j]);
        for (int i = 0; i < cs->n; i++) {
            const struct scalar_case *c = &cs->c[i];
            void (*run)(void **);
            if (!there[i]) continue;
            *(void **)&run = dlsym(so, oct_sprintf(arena, "w%d", i));
            assert_non_null(run);
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            memset(got, 0x55, COUNT * 8);
            run(mem);
            same(c, got, compilers[j]);
        }
        dlclose(so);
    }
    return n;
}

#endif
