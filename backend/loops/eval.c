/* eval.c - what kernels mean: the evaluator. It runs kernels of any ISA on any machine, whole layers of them: statements become
 * a flat list of steps over a frame of lanes, immediates become constants of the frame. Requires verify.c. */
#include <math.h>
#include <string.h>

#include "rows.h"

struct machine;
struct step {
    const struct lp_stmt *s;
    void (*run)(struct machine *m, const struct step *st); /* OP */
    uint32_t dst, arg[LP_MAX_ARGS];                        /* offsets in the frame */
    int lanes;                                             /* of the destination, or of what is stored */
    enum lp_elem elem;                                     /* of operand 0 */
    int64_t imm;
    uint32_t jump;  /* loops: the step after the end; ends: the first step of the body */
    uint32_t index; /* of an access: frame offset of the index register, 0: none */
    uint32_t mask;  /* 0: none */
    size_t size;    /* bytes of one element */
    enum { STEP_OP, STEP_LOAD, STEP_STORE, STEP_LOOP, STEP_END, STEP_NONE } kind;
};
struct machine {
    const struct lp_kernel *k;
    unsigned char *frame;
    int64_t *var, *end; /* loop variables and where they stop */
    void *const *mem;
};

OCT_NORETURN static void trap(const struct machine *m, const struct step *st, const char *what) {
    oct_internal(m->k->cx, (struct oct_span){0, 0, 0}, "loops: %s: %s",
                 st->s->kind == LP_STMT_OP ? lp_row_info(st->s->row)->name : m->k->buf[st->s->buf].name, what);
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------------------- */

#define W(x)      ((uint64_t)(x))
#define DST(T)    ((T *)(void *)(m->frame + st->dst))
#define ARG(T, n) ((const T *)(const void *)(m->frame + st->arg[n]))
#define EV(name)  static void ev_##name(struct machine *m, const struct step *st)
#define LANES     for (int l = 0; l < st->lanes; l++)
/* Instances of a row's expression for one element type; operands that a row lacks read the frame's first bytes, unused. */
#define INSTANCE(name, e, T, UT, expr)                                                                                           \
    EV(name##_##e) {                                                                                                             \
        typedef UT U;                                                                                                            \
        T *d = DST(T);                                                                                                           \
        const T *x = ARG(T, 0), *y = ARG(T, 1);                                                                                  \
        const int64_t i = st->imm;                                                                                               \
        (void)i;                                                                                                                 \
        LANES {                                                                                                                  \
            const T a = x[l], b = y[l];                                                                                          \
            (void)a, (void)b, (void)sizeof(U);                                                                                   \
            d[l] = (T)(expr);                                                                                                    \
        }                                                                                                                        \
    }
#define ON_SIGNED(X, name, expr)                                                                                                 \
    X(name, I8, int8_t, uint8_t, expr)                                                                                           \
    X(name, I16, int16_t, uint16_t, expr) X(name, I32, int32_t, uint32_t, expr) X(name, I64, int64_t, uint64_t, expr)
#define ON_INTS(X, name, expr)                                                                                                   \
    ON_SIGNED(X, name, expr)                                                                                                     \
    X(name, U8, uint8_t, uint8_t, expr) X(name, U16, uint16_t, uint16_t, expr) X(name, U32, uint32_t, uint32_t, expr)
#define ON_FLOATS(X, name, expr) X(name, F32, float, float, expr) X(name, F64, double, double, expr)

#define COMPARE(name, e, T, UT, expr)                                                                                            \
    EV(name##_##e) {                                                                                                             \
        uint8_t *d = DST(uint8_t);                                                                                               \
        const T *x = ARG(T, 0), *y = ARG(T, 1);                                                                                  \
        LANES {                                                                                                                  \
            const T a = x[l], b = y[l];                                                                                          \
            d[l] = expr;                                                                                                         \
        }                                                                                                                        \
    }
#define CHECKED(name, e, T, UT, what)                                                                                            \
    EV(name##_##e) {                                                                                                             \
        T *d = DST(T);                                                                                                           \
        const T *x = ARG(T, 0), *y = ARG(T, 1);                                                                                  \
        LANES {                                                                                                                  \
            T r; /* of its own: gcc 12 reports overflow wrongly where the result overwrites an operand */                        \
            if (__builtin_##what##_overflow(x[l], y[l], &r)) trap(m, st, "wraps");                                               \
            d[l] = r;                                                                                                            \
        }                                                                                                                        \
    }
#define DISTANCE(name, e, T, UT, expr)                                                                                           \
    EV(name##_##e) {                                                                                                             \
        typedef UT U;                                                                                                            \
        T *d = DST(T);                                                                                                           \
        const T *x = ARG(T, 0), *y = ARG(T, 1);                                                                                  \
        LANES {                                                                                                                  \
            const T a = x[l], b = y[l];                                                                                          \
            if ((uint64_t)b >= 8 * sizeof(T)) trap(m, st, "shift distance");                                                     \
            (void)sizeof(U);                                                                                                     \
            d[l] = (T)(expr);                                                                                                    \
        }                                                                                                                        \
    }
#define DEF_MAP_I(name, expr)   ON_INTS(INSTANCE, name, expr)
#define DEF_MAP_S(name, expr)   ON_SIGNED(INSTANCE, name, expr)
#define DEF_MAP_F(name, expr)   ON_FLOATS(INSTANCE, name, expr)
#define DEF_MAP_X(name, expr)   ON_INTS(INSTANCE, name, expr) INSTANCE(name, MASK, uint8_t, uint8_t, expr)
#define DEF_CMP(name, expr)     ON_INTS(COMPARE, name, expr) ON_FLOATS(COMPARE, name, expr)
#define DEF_NW(name, what)      ON_INTS(CHECKED, name, what)
#define DEF_SHIFT(name, expr)   ON_INTS(DISTANCE, name, expr)
#define DEF_SHIFT_S(name, expr) ON_SIGNED(DISTANCE, name, expr)
#define DEF_HOOK(name, expr)    EV(name);

#define ROW(name, sig, classes, kind, expr, ...) DEF_##kind(name, expr)
#include "loops.def"
#undef ROW

typedef void ev_fn(struct machine *m, const struct step *st);
#define ENTRY(name, e, T, UT, expr) [LP_##e] = ev_##name##_##e,
#define TAB_MAP_I(name)             ON_INTS(ENTRY, name, )
#define TAB_MAP_S(name)             ON_SIGNED(ENTRY, name, )
#define TAB_MAP_F(name)             ON_FLOATS(ENTRY, name, )
#define TAB_MAP_X(name)             ON_INTS(ENTRY, name, ) ENTRY(name, MASK, , , )
#define TAB_CMP(name)               ON_INTS(ENTRY, name, ) ON_FLOATS(ENTRY, name, )
#define TAB_NW(name)                ON_INTS(ENTRY, name, )
#define TAB_SHIFT(name)             ON_INTS(ENTRY, name, )
#define TAB_SHIFT_S(name)           ON_SIGNED(ENTRY, name, )
#define TAB_HOOK(name)                                                                                                           \
    ev_##name, ev_##name, ev_##name, ev_##name, ev_##name, ev_##name, ev_##name, ev_##name, ev_##name, ev_##name
static ev_fn *const row_fn[LP_ROW_COUNT][LP_ELEM_COUNT] = {
#define ROW(name, sig, classes, kind, ...) [LP_OP_##name] = {TAB_##kind(name)},
#include "loops.def"
#undef ROW
};

/* Hooks. */
static size_t elem_size(const struct step *st) { return lp_elem_size(st->elem); }
EV(mov) { memmove(m->frame + st->dst, m->frame + st->arg[0], (size_t)st->lanes * elem_size(st)); }
/* The upper word of a product, `half` added to its lower word before. */
static void high_word(struct machine *m, const struct step *st, uint32_t half) {
    int32_t *d = DST(int32_t);
    const int32_t *a = ARG(int32_t, 0), *b = ARG(int32_t, 1), *c = ARG(int32_t, 2);
    LANES d[l] = (int32_t)((uint32_t)c[l] + (uint32_t)(((uint64_t)((int64_t)a[l] * b[l]) + half) >> 32));
}
EV(mulh_add) { high_word(m, st, 0); }
EV(mulhr_add) { high_word(m, st, (uint32_t)1 << 31); }
EV(pin) { ev_mov(m, st); }
EV(prefetch) { (void)m, (void)st; }
EV(splat) { LANES memcpy(m->frame + st->dst + (size_t)l * elem_size(st), m->frame + st->arg[0], elem_size(st)); }
EV(repeat) {
    size_t n = st->s->arg[0].type.lanes * elem_size(st);
    for (size_t at = 0; at < (size_t)st->lanes * elem_size(st); at += n)
        memcpy(m->frame + st->dst + at, m->frame + st->arg[0], n);
}
EV(shuffle) {
    unsigned char to[64 * 8];
    size_t e = elem_size(st);
    int n = lp_is_imm(st->s->arg[0]) ? st->s->arg[1].type.lanes : st->s->arg[0].type.lanes;
    LANES {
        int from = st->s->shuffle[l];
        memcpy(to + (size_t)l * e, m->frame + st->arg[from >= n] + (size_t)(from % n) * e, e);
    }
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * e);
}
EV(select) {
    size_t e = lp_elem_size((enum lp_elem)st->s->arg[1].type.elem);
    const uint8_t *mask = ARG(uint8_t, 0);
    LANES memmove(m->frame + st->dst + (size_t)l * e, m->frame + st->arg[mask[l] ? 1 : 2] + (size_t)l * e, e);
}
EV(mull) { LANES DST(int64_t)[l] = (int64_t)ARG(int32_t, 0)[l] * ARG(int32_t, 1)[l]; }

static int64_t get(const unsigned char *p, enum lp_elem e, int l) {
    switch (e) {
    case LP_I8: return ((const int8_t *)(const void *)p)[l];
    case LP_I16: return ((const int16_t *)(const void *)p)[l];
    case LP_U16: return ((const uint16_t *)(const void *)p)[l];
    case LP_I32: return ((const int32_t *)(const void *)p)[l];
    case LP_U32: return ((const uint32_t *)(const void *)p)[l];
    case LP_I64: return ((const int64_t *)(const void *)p)[l];
    default: return p[l];
    }
}
static void put(unsigned char *p, enum lp_elem e, int l, int64_t v) { /* modulo 2^bits, little-endian host */
    size_t n = lp_elem_size(e);
    memcpy(p + (size_t)l * n, &v, n);
}
static enum lp_elem dst_elem(const struct machine *m, const struct step *st) {
    return (enum lp_elem)m->k->reg[st->s->dst].type.elem;
}

EV(cvt) { LANES put(m->frame + st->dst, dst_elem(m, st), l, get(m->frame + st->arg[0], st->elem, l)); }
EV(sat) {
    enum lp_elem e = dst_elem(m, st);
    LANES {
        int64_t v = get(m->frame + st->arg[0], st->elem, l);
        put(m->frame + st->dst, e, l, v < lp_elem_min(e) ? lp_elem_min(e) : v > lp_elem_max(e) ? lp_elem_max(e) : v);
    }
}
EV(div) {
    LANES {
        int64_t a = get(m->frame + st->arg[0], st->elem, l), b = get(m->frame + st->arg[1], st->elem, l);
        if (b == 0 || (b == -1 && a == lp_elem_min(st->elem))) trap(m, st, "divides by 0 or overflows");
        put(m->frame + st->dst, st->elem, l, a / b);
    }
}
EV(reduce_add) {
    uint64_t sum = 0;
    for (int l = 0; l < st->s->arg[0].type.lanes; l++) sum += (uint64_t)get(m->frame + st->arg[0], st->elem, l);
    put(m->frame + st->dst, st->elem, 0, (int64_t)sum);
}

/* Nearest integer, ties to even, saturating; NaN gives 0. rint keeps that meaning in the default rounding mode. */
static int32_t nearest(double x) {
    if (isnan(x)) return 0;
    double r = rint(x);
    return r >= 2147483647.0 ? INT32_MAX : r <= -2147483648.0 ? INT32_MIN : (int32_t)r;
}
EV(i2f) { LANES DST(float)[l] = (float)ARG(int32_t, 0)[l]; }
EV(i2d) { LANES DST(double)[l] = (double)ARG(int32_t, 0)[l]; }
EV(f2d) { LANES DST(double)[l] = (double)ARG(float, 0)[l]; }
EV(d2f) { LANES DST(float)[l] = (float)ARG(double, 0)[l]; }
EV(f2i) { LANES DST(int32_t)[l] = nearest((double)ARG(float, 0)[l]); }
EV(d2i) { LANES DST(int32_t)[l] = nearest(ARG(double, 0)[l]); }
EV(f2i_near) {
    LANES {
        const float x = ARG(float, 0)[l];
        if (!(fabsf(x) <= 0x1p22f)) trap(m, st, "beyond 2^22");
        DST(int32_t)[l] = nearest((double)x);
    }
}
EV(fma) {
    if (st->elem == LP_F32) LANES DST(float)[l] = fmaf(ARG(float, 0)[l], ARG(float, 1)[l], ARG(float, 2)[l]);
    else LANES DST(double)[l] = fma(ARG(double, 0)[l], ARG(double, 1)[l], ARG(double, 2)[l]);
}
EV(bits_of) { memmove(m->frame + st->dst, m->frame + st->arg[0], (size_t)st->lanes * 4); }
EV(of_bits) { memmove(m->frame + st->dst, m->frame + st->arg[0], (size_t)st->lanes * 4); }
EV(fabs) { LANES DST(float)[l] = fabsf(ARG(float, 0)[l]); }
EV(fsqrt) { LANES DST(float)[l] = sqrtf(ARG(float, 0)[l]); }
EV(ffloor) { LANES DST(float)[l] = floorf(ARG(float, 0)[l]); }

/* Sum of `n` products from lane n l on, in 64 bits. */
static int64_t products(const struct machine *m, const struct step *st, int x, int y, int l, int n) {
    enum lp_elem ex = (enum lp_elem)st->s->arg[x].type.elem, ey = (enum lp_elem)st->s->arg[y].type.elem;
    int64_t sum = 0;
    for (int i = n * l; i < n * (l + 1); i++) sum += get(m->frame + st->arg[x], ex, i) * get(m->frame + st->arg[y], ey, i);
    return sum;
}
static void accumulate(struct machine *m, const struct step *st, int l, int64_t v) {
    put(m->frame + st->dst, LP_I32, l, (int64_t)((uint64_t)get(m->frame + st->arg[0], LP_I32, l) + (uint64_t)v));
}
EV(madd16) {
    int32_t to[64];
    LANES to[l] = (int32_t)(uint32_t)products(m, st, 0, 1, l, 2);
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * 4);
}
EV(mul_even) {
    int64_t to[64];
    LANES to[l] = (int64_t)ARG(int32_t, 0)[2 * l] * ARG(int32_t, 1)[2 * l];
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * 8);
}
EV(high) {
    int32_t to[64];
    LANES to[l] = (int32_t)(ARG(int64_t, l % 2)[l / 2] >> 32);
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * 4);
}
/* Two vectors to one of half the width, by runs of 16 bytes. */
static void pack(struct machine *m, const struct step *st) {
    const enum lp_elem to = dst_elem(m, st);
    const int n = st->lanes / 2, run = 16 / (int)elem_size(st);
    unsigned char out[64 * 2];
    for (int at = 0; at < n; at += run)
        for (int i = 0, len = n - at < run ? n - at : run; i < 2 * len; i++) {
            const int64_t v = get(m->frame + st->arg[i >= len], st->elem, at + i % len);
            put(out, to, 2 * at + i, v < lp_elem_min(to) ? lp_elem_min(to) : v > lp_elem_max(to) ? lp_elem_max(to) : v);
        }
    memcpy(m->frame + st->dst, out, (size_t)st->lanes * lp_elem_size(to));
}
EV(packs32) { pack(m, st); }
EV(packs16) { pack(m, st); }
EV(packus16) { pack(m, st); }
EV(maddubs) {
    int16_t to[64];
    LANES {
        int64_t v = products(m, st, 0, 1, l, 2);
        to[l] = (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
    }
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * 2);
}
EV(dot2) { LANES accumulate(m, st, l, products(m, st, 1, 2, l, 2)); }
EV(dot4) { LANES accumulate(m, st, l, products(m, st, 1, 2, l, 4)); }
EV(dot4s) { ev_dot4(m, st); }
EV(mmla) {
    const int8_t *a = ARG(int8_t, 1), *b = ARG(int8_t, 2);
    LANES {
        int64_t sum = 0;
        for (int i = 0; i < 8; i++) sum += a[l / 2 * 8 + i] * b[l % 2 * 8 + i];
        accumulate(m, st, l, sum);
    }
}
EV(mladav) {
    const int8_t *a = ARG(int8_t, 1), *b = ARG(int8_t, 2);
    const uint8_t *mask = ARG(uint8_t, 3);
    int n = 0;
    for (int i = 1; i < 4; i++)
        if (st->s->arg[i].reg >= 0) n = st->s->arg[i].type.lanes;
    int64_t sum = 0;
    for (int i = 0; i < n; i++) sum += mask[i] ? a[i] * b[i] : 0;
    accumulate(m, st, 0, sum);
}
EV(lookup16) {
    uint8_t to[64];
    LANES {
        const uint8_t at = ARG(uint8_t, 1)[l];
        to[l] = at < 128 ? ARG(uint8_t, 0)[at & 15] : 0;
    }
    memcpy(m->frame + st->dst, to, (size_t)st->lanes);
}
EV(sxtb16) {
    int16_t to[64];
    LANES to[l] = ARG(int8_t, 0)[2 * l + st->imm];
    memcpy(m->frame + st->dst, to, (size_t)st->lanes * 2);
}

/* ---- from statements to steps
 * ----------------------------------------------------------------------------------------------------- */

struct builder {
    const struct lp_kernel *k;
    uint32_t *reg; /* frame offset of each register */
    uint32_t top;  /* bytes of the frame so far */
    struct {
        uint32_t at;
        struct lp_val v;
    } * imm;
    size_t nimms;
};

static uint32_t reserve(struct builder *b, size_t bytes) {
    uint32_t at = b->top;
    b->top += (uint32_t)((bytes + 15) & ~(size_t)15);
    return at;
}

/* An immediate serves every lane, so its constant has as many lanes as any row can read. */
static uint32_t operand(struct builder *b, struct lp_val v) {
    if (!lp_is_imm(v)) return b->reg[v.reg];
    b->imm[b->nimms].v = v;
    return b->imm[b->nimms++].at = reserve(b, 64 * lp_elem_size((enum lp_elem)v.type.elem));
}

static void fill(unsigned char *at, struct lp_val v) {
    for (int l = 0; l < 64; l++) {
        float f = (float)v.imm.f;
        if (v.type.elem == LP_F32) memcpy(at + 4 * l, &f, 4);
        else if (v.type.elem == LP_F64) memcpy(at + 8 * l, &v.imm.f, 8);
        else put(at, (enum lp_elem)v.type.elem, l, v.imm.i);
    }
}

static void make_step(struct builder *b, struct step *st, const struct lp_stmt *s) {
    st->s = s;
    st->imm = s->imm;
    if (s->dst >= 0) {
        st->dst = b->reg[s->dst];
        st->lanes = b->k->reg[s->dst].type.lanes;
    }
    for (int i = 0; i < s->nargs; i++) st->arg[i] = operand(b, s->arg[i]);
    if (s->nargs) st->elem = (enum lp_elem)s->arg[0].type.elem;
    if (s->kind == LP_STMT_OP) {
        st->kind = STEP_OP;
        st->run = row_fn[s->row][st->elem];
        return;
    }
    st->kind = s->kind == LP_STMT_LOAD ? STEP_LOAD : s->kind == LP_STMT_STORE ? STEP_STORE : STEP_NONE;
    if (st->kind == STEP_STORE) st->lanes = s->arg[0].type.lanes;
    if (s->addr.index.type.lanes) st->index = b->reg[s->addr.index.reg];
    if (s->mask.type.lanes) st->mask = operand(b, s->mask);
    if (s->buf >= 0) st->size = lp_elem_size(b->k->buf[s->buf].elem);
}

static struct step *compile(const struct lp_kernel *k, struct oct_arena *a, struct machine *m, uint32_t *nsteps) {
    struct lp_walk w;
    uint32_t n = 0;
    size_t nimms = 0;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w)); n++) nimms += LP_MAX_ARGS + 1;

    struct builder b = {.k = k, .reg = OCT_NEW_N(a, uint32_t, k->nregs), .imm = oct_alloc_n(a, nimms, sizeof *b.imm)};
    reserve(&b, 64 * 8); /* offset 0 means none, and is what absent operands read */
    for (int32_t r = 0; r < k->nregs; r++)
        b.reg[r] = reserve(&b, k->reg[r].type.lanes * lp_elem_size((enum lp_elem)k->reg[r].type.elem));
    struct step *steps = OCT_NEW_N(a, struct step, n);
    uint32_t at = 0, open[24];
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w)); at++) {
        struct step *st = &steps[at];
        if (!lp_is_loop(s)) make_step(&b, st, s);
        else if (!w.leaving) {
            open[w.depth - 1] = at;
            *st = (struct step){.s = s, .kind = STEP_LOOP};
        } else {
            steps[open[w.depth]].jump = at + 1;
            *st = (struct step){.s = s, .kind = STEP_END, .jump = open[w.depth] + 1};
        }
    }
    m->frame = oct_alloc(a, b.top);
    for (size_t i = 0; i < b.nimms; i++) fill(m->frame + b.imm[i].at, b.imm[i].v);
    *nsteps = n;
    return steps;
}

/* ---- running
 * -------------------------------------------------------------------------------------------------------------------- */

static int64_t address(const struct machine *m, const struct step *st) {
    const struct lp_addr *ad = &st->s->addr;
    int64_t at = ad->base;
    for (int i = 0; i < ad->nterms; i++) at += ad->term[i].coef * m->var[ad->term[i].var];
    if (st->index) {
        int32_t index;
        memcpy(&index, m->frame + st->index, 4);
        if (index < ad->index_min || index > ad->index_max) trap(m, st, "index outside its bounds");
        at += index;
    }
    return at;
}

/* Lane by lane: under a mask, or where a load runs past the end into padding whose value must not matter. */
static void access_lanes(struct machine *m, const struct step *st, int64_t at, int64_t size) {
    unsigned char *mem = m->mem[st->s->buf];
    for (int l = 0; l < st->lanes; l++) {
        unsigned char *lane = m->frame + (st->kind == STEP_LOAD ? st->dst : st->arg[0]) + (size_t)l * st->size;
        bool active = !st->mask || m->frame[st->mask + (uint32_t)l];
        if (!active && st->kind == STEP_LOAD) memset(lane, 0, st->size);
        if (!active) continue;
        if (at + l < 0 || at + l >= size) {
            if (st->mask) trap(m, st, "active lane out of bounds");
            memset(lane, 0xa5, st->size);
        } else if (st->kind == STEP_LOAD) memcpy(lane, mem + (size_t)(at + l) * st->size, st->size);
        else memcpy(mem + (size_t)(at + l) * st->size, lane, st->size);
    }
}

static void access_memory(struct machine *m, const struct step *st) {
    int64_t at = address(m, st), size = m->k->buf[st->s->buf].size;
    if (st->mask || at < 0 || at + st->lanes > size) {
        access_lanes(m, st, at, size);
        return;
    }
    unsigned char *mem = (unsigned char *)m->mem[st->s->buf] + (size_t)at * st->size;
    if (st->kind == STEP_LOAD) memcpy(m->frame + st->dst, mem, (size_t)st->lanes * st->size);
    else memcpy(mem, m->frame + st->arg[0], (size_t)st->lanes * st->size);
}

void lp_eval_count(const struct lp_kernel *k, void *const *mem, int64_t lo, int64_t hi, uint64_t *counts) {
    const char *why;
    if (!lp_verify(k, &why)) oct_internal(k->cx, (struct oct_span){0, 0, 0}, "loops: %s", why);
    struct oct_arena *a = oct_arena_new(k->cx);
    struct machine m = {.k = k, .mem = mem, .var = OCT_NEW_N(a, int64_t, k->nvars), .end = OCT_NEW_N(a, int64_t, k->nvars)};
    uint32_t n, at = 0;
    int32_t band = 0; /* variable of the range */
    const struct step *steps = compile(k, a, &m, &n);
    while (at < n) {
        const struct step *st = &steps[at++];
        switch (st->kind) {
        case STEP_OP:
            st->run(&m, st);
            if (counts) counts[st->s->row]++;
            break;
        case STEP_LOAD:
        case STEP_STORE:
            access_memory(&m, st);
            if (counts) counts[LP_ROW_COUNT + (st->kind == STEP_STORE)]++;
            break;
        case STEP_LOOP: {
            int32_t v = st->s->var;
            m.var[v] = 0;
            m.end[v] = st->s->trip;
            if (st->s->kind == LP_STMT_RANGE) {
                if (lo < 0 || hi > lp_units(k)) oct_internal(k->cx, (struct oct_span){0, 0, 0}, "loops: range outside its units");
                band = v;
                m.var[v] = k->pieces > 1 ? lo / k->pieces : lo * st->s->trip / k->bands;
                m.end[v] = k->pieces == 1 ? hi * st->s->trip / k->bands : lo < hi ? (hi + k->pieces - 1) / k->pieces : 0;
            } else if (st->s->kind == LP_STMT_PIECE) {
                const int64_t first = m.var[band] * k->pieces + st->s->first;
                m.var[v] = lo > first ? lo - first : 0;
                if (hi - first < m.end[v]) m.end[v] = hi - first;
            }
            if (m.var[v] >= m.end[v]) at = st->jump;
            break;
        }
        case STEP_END:
            if (++m.var[st->s->var] < m.end[st->s->var]) at = st->jump;
            break;
        case STEP_NONE: break;
        }
    }
    oct_arena_free(a);
}

void lp_eval(const struct lp_kernel *k, void *const *mem, int64_t lo, int64_t hi) { lp_eval_count(k, mem, lo, hi, NULL); }
