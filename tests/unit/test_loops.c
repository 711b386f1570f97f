/* test_loops.c - every row of loops.def: the evaluator against a formula of its own, vectors against scalars, and the printed C
 * of four compilations against the evaluator. */
#include <math.h>

#include "loops_case.h"
#include "../../backend/loops/rows.h"

__extension__ typedef __int128 wide;
enum { COUNT = 768 }; /* elements a case runs over */

static struct oct_ctx cx;
static struct oct_arena *arena;
static int setup(void **state) {
    (void)state;
    oct_ctx_init(&cx);
    arena = oct_arena_new(&cx);
    return 0;
}
static int teardown(void **state) {
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

static wide get(const void *p, enum lp_elem e, int i) {
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
static void put(void *p, enum lp_elem e, int i, wide v) {
    uint64_t bits = (uint64_t)v;
    memcpy((char *)p + (size_t)i * lp_elem_size(e), &bits, lp_elem_size(e));
}
static double getf(const void *p, enum lp_elem e, int i) {
    return e == LP_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static void putf(void *p, enum lp_elem e, int i, double v) {
    if (e == LP_F32) ((float *)p)[i] = (float)v;
    else ((double *)p)[i] = v;
}
static bool is_float(enum lp_elem e) { return e == LP_F32 || e == LP_F64; }

static const double odd_floats[] = {
    0.0,        -0.0,       0.5,      -0.5,         1.5,          2.5,           -2.5,          1e-40,        -1e-45,
    1e30,       -1e30,      3e38,     2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0, 8388607.5,    8388608.0,
    -4194304.5, 16777217.0, INFINITY, -INFINITY,    NAN,          0.1,           2147483646.5,  -2147483648.5};

/* Edges in all pairs, then small values, then any bits. */
static void *make_data(enum lp_elem e, int which, uint64_t seed) {
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

static wide modulo(wide v, enum lp_elem e) {
    if (e == LP_MASK) return v & 1;
    wide size = (wide)1 << lp_elem_bits(e), r = ((v % size) + size) % size;
    return r > lp_elem_max(e) ? r - size : r;
}
static wide floor_shift(wide a, int n) {
    wide d = (wide)1 << n, q = a / d;
    return q * d > a ? q - 1 : q;
}
static wide nearest(double x) {
    if (isnan(x)) return 0;
    if (x >= 4e9) return INT32_MAX;
    if (x <= -4e9) return INT32_MIN;
    double down = floor(x), rest = x - down;
    wide r = (wide)down + (rest > 0.5 || (rest == 0.5 && fmod(down, 2.0) != 0.0));
    return r > INT32_MAX ? INT32_MAX : r < INT32_MIN ? INT32_MIN : r;
}

/* Integer results; *skip: outside what the row defines. */
static wide formula(const struct scalar_case *c, int i, bool *skip) {
    enum lp_elem e = c->arg[0];
    if (c->row == LP_OP_select) return get(c->in[get(c->in[0], LP_MASK, i) ? 1 : 2], c->to, i);
    if (is_float(e)) {
        double x = getf(c->in[0], e, i), y = c->nargs > 1 ? getf(c->in[1], e, i) : 0;
        switch (c->row) {
        case LP_OP_lt: return x < y;
        case LP_OP_le: return x <= y;
        case LP_OP_eq: return x == y;
        case LP_OP_ne: return !(x == y);
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

static double formula_float(const struct scalar_case *c, int i) {
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
    case LP_OP_fneg: return copysign(a, signbit(a) ? 1.0 : -1.0);
    case LP_OP_fabs: return copysign(a, 1.0);
    case LP_OP_fsqrt: return sqrt(a);
    case LP_OP_ffloor: return trunc(a) == a ? a : trunc(a) - (a < 0);
    default: return a; /* mov, pin, f2d, d2f */
    }
}

/* ---- making cases
 * ------------------------------------------------------------------------------------------------------------------ */

static void add_case(struct cases *cs, enum lp_row row, int nargs, const enum lp_elem *arg, enum lp_elem to, int imm) {
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
static struct cases *make_cases(void) {
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
static struct lp_kernel *case_kernel(const struct scalar_case *c, int lanes) {
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
static void same(const struct scalar_case *c, const void *got, const char *by) {
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

static void evaluator_agrees_with_formulas(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    assert_true(cs->n > 200);
    void *got = oct_alloc(arena, COUNT * 8);
    const int lanes[] = {1, 2, 3, 16, 64};
    for (int i = 0; i < cs->n; i++)
        for (int j = 0; j < 5; j++) {
            const struct scalar_case *c = &cs->c[i];
            memset(got, 0x55, COUNT * 8);
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            lp_eval(case_kernel(c, lanes[j]), mem, 0, 0);
            same(c, got, "the evaluator");
        }
}

static void printed_c_agrees_with_formulas(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    struct oct_text body, file;
    oct_text_init(&body, arena);
    oct_text_init(&file, arena);
    uint64_t helpers = 0;
    for (int i = 0; i < cs->n; i++) {
        lp_emit_c(&body, case_kernel(&cs->c[i], 1), oct_sprintf(arena, "k%d", i), &helpers);
        oct_text_addf(&body, "void w%d(void **m);\nvoid w%d(void **m) { k%d(m[0], m[1]%s%s); }\n", i, i, i,
                      cs->c[i].nargs > 1 ? ", m[2]" : "", cs->c[i].nargs > 2 ? ", m[3]" : "");
    }
    oct_text_add(&file, "#include <stdint.h>\n");
    lp_emit_c_prologue(&file, true);
    lp_emit_c_helpers(&file, helpers);
    oct_text_add(&file, body.s);
    void *got = oct_alloc(arena, COUNT * 8);
    for (size_t j = 0; j < compiler_count(); j++) {
        void *so = load_c(file.s, compilers[j]);
        for (int i = 0; i < cs->n; i++) {
            char name[16];
            snprintf(name, sizeof name, "w%d", i);
            void (*run)(void **);
            *(void **)&run = dlsym(so, name);
            assert_non_null(run);
            const struct scalar_case *c = &cs->c[i];
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            memset(got, 0x55, COUNT * 8);
            run(mem);
            same(c, got, compilers[j]);
        }
        dlclose(so);
    }
}

/* f2i, ffloor, fsqrt: helper functions in C; a dense sweep over all exponents and around every tie up to 2^24. */
static void float_helpers_agree_on_a_dense_sweep(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    int32_t *bits = oct_alloc(arena, N * 4), *want = oct_alloc(arena, 3 * N * 4), *got = oct_alloc(arena, 3 * N * 4);
    for (int32_t i = 0; i < N; i++) {
        float f = ldexpf((float)(2 * (i / 4) + 1) * (i & 2 ? 1.0f : -1.0f), -1); /* halves */
        if (i & 1) bits[i] = (int32_t)((uint32_t)i * 4099u);
        else memcpy(&bits[i], &f, 4);
        if (i % 8 == 6) bits[i]++;
        if (i % 8 == 4) bits[i]--;
    }
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t in = lp_buffer(k, "bits", LP_I32, LP_BUF_IN, N, 4), out = lp_buffer(k, "out", LP_I32, LP_BUF_OUT, 3 * N, 4);
    int32_t i = lp_loop(k, "i", N);
    struct lp_val x =
        lp_op1(k, "x", LP_OP_of_bits, (struct lp_type){0}, lp_load(k, NULL, lp_scalar(LP_I32), in, lp_plus(lp_at(0), i, 1)));
    struct lp_val y[3];
    y[0] = lp_op1(k, "n", LP_OP_f2i, (struct lp_type){0}, x);
    struct lp_val nan_free = lp_op2(k, "ok", LP_OP_eq, x, x);
    for (int j = 1; j < 3; j++) {
        struct lp_val f = lp_op1(k, "f", j == 1 ? LP_OP_ffloor : LP_OP_fsqrt, (struct lp_type){0}, x);
        if (j == 2) nan_free = lp_op2(k, "ok", LP_OP_eq, f, f);
        y[j] = lp_op3(k, "y", LP_OP_select, nan_free, lp_op1(k, NULL, LP_OP_bits_of, (struct lp_type){0}, f), lp_int(LP_I32, 0));
    }
    for (int j = 0; j < 3; j++) lp_store(k, out, lp_plus(lp_at(j), i, 3), y[j]);
    lp_end(k);
    lp_eval(k, (void *[]){bits, want}, 0, 0);
    struct oct_text t, file;
    oct_text_init(&t, arena);
    oct_text_init(&file, arena);
    uint64_t helpers = 0;
    lp_emit_c(&t, k, "k", &helpers);
    oct_text_add(&file, "#include <stdint.h>\n");
    lp_emit_c_prologue(&file, true);
    lp_emit_c_helpers(&file, helpers);
    oct_text_addf(&file, "%svoid w(void **m);\nvoid w(void **m) { k(m[0], m[1]); }\n", t.s);
    for (size_t j = 0; j < compiler_count(); j++) {
        void *so = load_c(file.s, compilers[j]);
        void (*run)(void **);
        *(void **)&run = dlsym(so, "w");
        run((void *[]){bits, got});
        assert_memory_equal(want, got, 3 * N * 4);
        dlclose(so);
    }
}

/* ---- rows that need vectors
 * ------------------------------------------------------------------------------------------------------ */

/* out[0..] = row(in...), operands of the given types read from the start of each buffer. */
static void run_row(enum lp_row row, int64_t imm, struct lp_type to, int nargs, const struct lp_type *types, void *const *in,
                    void *out) {
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
    void *mem[5];
    for (int i = 0; i < nargs; i++) mem[i] = in[i];
    mem[nargs] = out;
    lp_eval(k, mem, 0, 0);
}

static void dot_steps(void **state) {
    (void)state;
    for (int n = 1; n <= 16; n++)
        for (uint64_t seed = 0; seed < 40; seed++) {
            int16_t a[64], b[64], r16[64];
            int8_t s[64], t[64];
            uint8_t u[64], msk[64];
            int32_t acc[64], got[64];
            for (int i = 0; i < 64; i++) {
                uint64_t r = mix(seed * 64 + (uint64_t)i);
                a[i] = seed < 2 ? INT16_MIN : (int16_t)r;
                b[i] = seed < 1 ? INT16_MIN : seed < 2 ? INT16_MAX : (int16_t)(r >> 16);
                s[i] = seed < 2 ? INT8_MIN : (int8_t)(r >> 24);
                t[i] = seed < 1 ? INT8_MIN : seed < 2 ? INT8_MAX : (int8_t)(r >> 48);
                u[i] = seed < 2 ? 255 : (uint8_t)(r >> 32);
                msk[i] = (uint8_t)(r >> 40 & 1);
                acc[i] = seed < 1 ? INT32_MAX : (int32_t)(uint32_t)(r >> 20);
            }
            struct lp_type i32n = lp_vector(LP_I32, n), i16p = lp_vector(LP_I16, 2 * n), u8q = lp_vector(LP_U8, 4 * n),
                           i8q = lp_vector(LP_I8, 4 * n);
            run_row(LP_OP_madd16, 0, i32n, 2, (struct lp_type[]){i16p, i16p}, (void *[]){a, b}, got);
            for (int l = 0; l < n; l++)
                assert_int_equal(got[l], (int32_t)((uint32_t)(a[2 * l] * b[2 * l]) + (uint32_t)(a[2 * l + 1] * b[2 * l + 1])));
            run_row(LP_OP_dot2, 0, i32n, 3, (struct lp_type[]){i32n, i16p, i16p}, (void *[]){acc, a, b}, got);
            for (int l = 0; l < n; l++)
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)(a[2 * l] * b[2 * l]) +
                                                   (uint32_t)(a[2 * l + 1] * b[2 * l + 1])));
            run_row(LP_OP_maddubs, 0, lp_vector(LP_I16, n), 2,
                    (struct lp_type[]){lp_vector(LP_U8, 2 * n), lp_vector(LP_I8, 2 * n)}, (void *[]){u, s}, r16);
            for (int l = 0; l < n; l++) {
                int v = u[2 * l] * s[2 * l] + u[2 * l + 1] * s[2 * l + 1];
                assert_int_equal(r16[l], v > 32767 ? 32767 : v < -32768 ? -32768 : v);
            }
            run_row(LP_OP_dot4, 0, i32n, 3, (struct lp_type[]){i32n, u8q, i8q}, (void *[]){acc, u, s}, got);
            for (int l = 0; l < n; l++) {
                int v = 0;
                for (int i = 4 * l; i < 4 * l + 4; i++) v += u[i] * s[i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            run_row(LP_OP_dot4s, 0, i32n, 3, (struct lp_type[]){i32n, i8q, i8q}, (void *[]){acc, s, t}, got);
            for (int l = 0; l < n; l++) {
                int v = 0;
                for (int i = 4 * l; i < 4 * l + 4; i++) v += s[i] * t[i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            struct lp_type i8n = lp_vector(LP_I8, n);
            run_row(LP_OP_mladav, 0, lp_scalar(LP_I32), 4, (struct lp_type[]){lp_scalar(LP_I32), i8n, i8n, lp_vector(LP_MASK, n)},
                    (void *[]){acc, s, t, msk}, got);
            uint32_t sum = (uint32_t)acc[0];
            for (int i = 0; i < n; i++) sum += msk[i] ? (uint32_t)(s[i] * t[i]) : 0;
            assert_int_equal(got[0], (int32_t)sum);
            struct lp_type i8v = lp_vector(LP_I8, 16), i4 = lp_vector(LP_I32, 4);
            run_row(LP_OP_mmla, 0, i4, 3, (struct lp_type[]){i4, i8v, i8v}, (void *[]){acc, s, t}, got);
            for (int l = 0; l < 4; l++) {
                int v = 0;
                for (int i = 0; i < 8; i++) v += s[l / 2 * 8 + i] * t[l % 2 * 8 + i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            for (int half = 0; half < 2; half++) {
                run_row(LP_OP_sxtb16, half, lp_vector(LP_I16, n), 1, (struct lp_type[]){lp_vector(LP_I8, 2 * n)}, (void *[]){s},
                        r16);
                for (int l = 0; l < n; l++) assert_int_equal(r16[l], s[2 * l + half]);
            }
            run_row(LP_OP_reduce_add, 0, lp_scalar(LP_I32), 1, (struct lp_type[]){i32n}, (void *[]){acc}, got);
            sum = 0;
            for (int l = 0; l < n; l++) sum += (uint32_t)acc[l];
            assert_int_equal(got[0], (int32_t)sum);
            int8_t r8[64];
            run_row(LP_OP_repeat, 0, lp_vector(LP_I8, 3 * n), 1, (struct lp_type[]){i8n}, (void *[]){s}, r8);
            for (int l = 0; l < 3 * n; l++) assert_int_equal(r8[l], s[l % n]);
            run_row(LP_OP_splat, 0, i8q, 1, (struct lp_type[]){lp_scalar(LP_I8)}, (void *[]){s}, r8);
            for (int l = 0; l < 4 * n; l++) assert_int_equal(r8[l], s[0]);
        }
}

static void shuffles_and_tails(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, 10, 1), y = lp_buffer(k, "y", LP_I8, LP_BUF_OUT, 19, 1),
            n = lp_buffer(k, "n", LP_I8, LP_BUF_IN, 8, 1);
    k->buf[y].tail = LP_TAIL_MASK;
    k->buf[x].tail = LP_TAIL_OVERREAD;
    k->buf[x].overread = 6;
    struct lp_val a = lp_load(k, "a", lp_vector(LP_I8, 8), x, lp_at(0)), b = lp_load(k, "b", lp_vector(LP_I8, 8), x, lp_at(8));
    const uint8_t interleave[8] = {0, 8, 1, 9, 2, 3, 4, 5};
    lp_store(k, y, lp_at(0), lp_shuffle(k, "s", a, b, 8, interleave));
    struct lp_val m = lp_op2(k, "m", LP_OP_lt, lp_load(k, "n", lp_vector(LP_I8, 8), n, lp_at(0)), lp_int(LP_I8, 3));
    lp_store_masked(k, y, lp_at(16), a, m);
    int8_t in[10] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, out[24] = {0}, lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    lp_eval(k, (void *[]){in, out, lane}, 0, 0);
    const int8_t want[24] = {10, 18, 11, 19, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 12, 0, 0, 0, 0, 0};
    assert_memory_equal(out, want, 24);
    struct lp_kernel *q = lp_new(&cx, arena);
    x = lp_buffer(q, "x", LP_I8, LP_BUF_IN, 5, 1);
    y = lp_buffer(q, "y", LP_I8, LP_BUF_OUT, 8, 1);
    n = lp_buffer(q, "n", LP_I8, LP_BUF_IN, 8, 1);
    q->buf[x].tail = LP_TAIL_MASK;
    m = lp_op2(q, "m", LP_OP_lt, lp_load(q, "n", lp_vector(LP_I8, 8), n, lp_at(0)), lp_int(LP_I8, 5));
    lp_store(q, y, lp_at(0), lp_load_masked(q, "v", lp_vector(LP_I8, 8), x, lp_at(0), m));
    lp_eval(q, (void *[]){in, out, lane}, 0, 0);
    const int8_t masked[8] = {10, 11, 12, 13, 14, 0, 0, 0};
    assert_memory_equal(out, masked, 8);
}

/* ---- loops, ranges, tables
 * --------------------------------------------------------------------------------------------------------- */

/* y[r][c] = table[x[r][c] + 128] summed along c, over rows of a range; also the sample whose C is looked at. */
static struct lp_kernel *sample(void) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, 6 * 5, 1), table = lp_buffer(k, "table", LP_I32, LP_BUF_CONST, 256, 4);
    int32_t y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 6, 4);
    int32_t r = lp_range(k, "r", 6);
    struct lp_val acc = lp_reg(k, lp_scalar(LP_I32), "acc");
    lp_set(k, acc, lp_int(LP_I32, 7));
    int32_t c = lp_loop(k, "c", 5);
    struct lp_val v = lp_load(k, NULL, lp_scalar(LP_I8), x, lp_plus(lp_plus(lp_at(0), r, 5), c, 1));
    struct lp_val i = lp_op2(k, NULL, LP_OP_add_nw, lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I32), v), lp_int(LP_I32, 128));
    struct lp_val t = lp_load(k, NULL, lp_scalar(LP_I32), table, lp_indexed(lp_at(0), i, 0, 255));
    lp_op_to(k, acc, LP_OP_add_nw, 2, (struct lp_val[]){acc, t}, 0);
    lp_end(k);
    lp_store(k, y, lp_plus(lp_at(0), r, 1), acc);
    lp_end(k);
    return k;
}

static void ranges_tables_and_text(void **state) {
    (void)state;
    struct lp_kernel *k = sample();
    int8_t x[30];
    int32_t table[256], y[6] = {0};
    for (int i = 0; i < 30; i++) x[i] = (int8_t)(mix((uint64_t)i));
    for (int i = 0; i < 256; i++) table[i] = i * i;
    uint64_t counts[LP_ROW_COUNT + 2] = {0};
    lp_eval_count(k, (void *[]){x, table, y}, 2, 5, counts);
    for (int r = 0; r < 6; r++) {
        int32_t want = 7;
        for (int c = 0; c < 5; c++) want += table[x[r * 5 + c] + 128];
        assert_int_equal(y[r], r >= 2 && r < 5 ? want : 0);
    }
    assert_int_equal(counts[LP_OP_add_nw], 3 * 5 * 2);
    assert_int_equal(counts[LP_ROW_COUNT], 3 * 5 * 2);
    assert_int_equal(counts[LP_ROW_COUNT + 1], 3);
    struct oct_text one, two, c;
    oct_text_init(&one, arena);
    oct_text_init(&two, arena);
    oct_text_init(&c, arena);
    lp_print(&one, k);
    lp_print(&two, sample());
    assert_string_equal(one.s, two.s);
    assert_string_equal(one.s, "in x : i8[30] align 1\nconst table : i32[256] align 4\nout y : i32[6] align 4\nrange r < 6\n  "
                               "acc : i32 = mov 7\n  for c < 5\n"
                               "    t : i8 = x[5*r + 1*c + 0]\n    t_1 : i32 = cvt t\n    t_2 : i32 = add_nw t_1, 128\n"
                               "    t_3 : i32 = table[0 + t_2 in 0..255]\n    acc : i32 = add_nw acc, t_3\n  y[1*r + 0] = acc\n");
    uint64_t helpers = 0;
    lp_emit_c(&c, k, "rows", &helpers);
    assert_int_equal(helpers, 0);
    assert_string_equal(c.s, "static void rows(const int8_t *restrict x, const int32_t *restrict table, int32_t *restrict y, "
                             "int32_t lo, int32_t hi) {\n"
                             "    for (int32_t r = lo; r < hi; ++r) {\n"
                             "        int32_t acc = 7;\n"
                             "        for (int32_t c = 0; c < 5; ++c) {\n"
                             "            acc = acc + table[(int32_t)x[r * 5 + c] + 128];\n"
                             "        }\n"
                             "        y[r] = acc;\n"
                             "    }\n"
                             "}\n");
}

/* A temporary is not moved past a store that may change what it loaded, nor past a new value of a register that it read. */
static void temporaries_keep_their_value(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t b = lp_buffer(k, "b", LP_I32, LP_BUF_INOUT, 3, 4);
    struct lp_type i32 = lp_scalar(LP_I32);
    struct lp_val old = lp_load(k, NULL, i32, b, lp_at(0)), acc = lp_reg(k, i32, "acc");
    lp_set(k, acc, lp_int(LP_I32, 5));
    struct lp_val twice = lp_op2(k, NULL, LP_OP_add, acc, acc);
    lp_store(k, b, lp_at(0), lp_int(LP_I32, INT32_MIN));
    lp_set(k, acc, lp_int(LP_I32, -9));
    lp_store(k, b, lp_at(1), old);
    lp_store(k, b, lp_at(2), lp_op2(k, NULL, LP_OP_sub, twice, acc));
    lp_load(k, "unused", i32, b, lp_at(0));
    struct oct_text t;
    oct_text_init(&t, arena);
    uint64_t helpers = 0;
    oct_text_add(&t, "#include <stdint.h>\n");
    lp_emit_c(&t, k, "k", &helpers);
    oct_text_add(&t, "void w(void **m);\nvoid w(void **m) { k(m[0]); }\n");
    int32_t want[3] = {77, 0, 0}, got[3];
    lp_eval(k, (void *[]){want}, 0, 0);
    assert_int_equal(want[1], 77);
    assert_int_equal(want[2], 19);
    for (size_t j = 0; j < compiler_count(); j++) {
        memcpy(got, (int32_t[]){77, 0, 0}, sizeof got);
        void *so = load_c(t.s, compilers[j]);
        void (*run)(void **);
        *(void **)&run = dlsym(so, "w");
        run((void *[]){got});
        assert_memory_equal(got, want, sizeof got);
        dlclose(so);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluator_agrees_with_formulas),
        cmocka_unit_test(printed_c_agrees_with_formulas),
        cmocka_unit_test(float_helpers_agree_on_a_dense_sweep),
        cmocka_unit_test(dot_steps),
        cmocka_unit_test(shuffles_and_tails),
        cmocka_unit_test(ranges_tables_and_text),
        cmocka_unit_test(temporaries_keep_their_value),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
