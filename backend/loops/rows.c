/* rows.c - the table of loops.def, and the type rules that its signatures state. */
#include <string.h>

#include "rows.h"

#define NONE      [LP_ISA_C99] = NULL,
#define C(s)      [LP_ISA_C99] = s,
#define CV(s)     [LP_ISA_C99] = s, [LP_C_VECTOR] = s,
#define V(s)      [LP_C_VECTOR] = s,
#define L(s)      [LP_C_LANE] = s,
#define AVX2(s)   [LP_ISA_AVX2] = s,
#define AVX512(s) [LP_ISA_AVX512] = s,
#define VNNI(s)   [LP_ISA_VNNI] = s,
#define DSP(s)    [LP_ISA_DSP] = s,
static const struct lp_row_info rows[LP_ROW_COUNT] = {
#define ROW(name, sig, classes, kind, expr, c, llvm, doc) {#name, sig, doc, classes, {c}, llvm},
#include "loops.def"
#undef ROW
};
#undef NONE
#undef C
#undef CV
#undef V
#undef L
#undef AVX2
#undef AVX512
#undef VNNI
#undef DSP

const struct lp_row_info *lp_row_info(enum lp_row row) { return &rows[row]; }

const char *lp_row_llvm_step(enum lp_row row, enum lp_isa isa, int lanes) {
    static const struct {
        enum lp_row row;
        enum lp_isa isa;
        int lanes;
        const char *name;
    } steps[] = {
#define STEP(row, isa, lanes, name) {LP_OP_##row, LP_ISA_##isa, lanes, name},
#include "llvm_steps.def"
#undef STEP
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i].row == row && steps[i].lanes == lanes && isa >= steps[i].isa && isa <= LP_ISA_VNNI) return steps[i].name;
    return NULL;
}

enum lp_isa lp_isa_base(enum lp_isa isa) {
    switch (isa) {
    case LP_ISA_AVX512: return LP_ISA_AVX2;
    case LP_ISA_VNNI: return LP_ISA_AVX512;
    case LP_ISA_DOT: return LP_ISA_NEON;
    case LP_ISA_I8MM: return LP_ISA_DOT;
    case LP_ISA_MVE: return LP_ISA_DSP;
    default: return LP_ISA_C99;
    }
}

static const struct {
    const char *name;
    int bits;
    int64_t min, max;
} elems[LP_ELEM_COUNT] = {
    [LP_I8] = {"i8", 8, INT8_MIN, INT8_MAX},
    [LP_U8] = {"u8", 8, 0, UINT8_MAX},
    [LP_I16] = {"i16", 16, INT16_MIN, INT16_MAX},
    [LP_U16] = {"u16", 16, 0, UINT16_MAX},
    [LP_I32] = {"i32", 32, INT32_MIN, INT32_MAX},
    [LP_U32] = {"u32", 32, 0, UINT32_MAX},
    [LP_I64] = {"i64", 64, INT64_MIN, INT64_MAX},
    [LP_F32] = {"f32", 32, 0, 0},
    [LP_F64] = {"f64", 64, 0, 0},
    [LP_MASK] = {"mask", 8, 0, 1},
};
const char *lp_elem_name(enum lp_elem e) { return elems[e].name; }
size_t lp_elem_size(enum lp_elem e) { return (size_t)elems[e].bits / 8; }
int lp_elem_bits(enum lp_elem e) { return elems[e].bits; }
int64_t lp_elem_min(enum lp_elem e) { return elems[e].min; }
int64_t lp_elem_max(enum lp_elem e) { return elems[e].max; }

/* One place of a signature. */
struct atom {
    char kind; /* T U V S M, E: fixed element type */
    int elem;  /* E */
    int times; /* lanes = times * N ... */
    int exact; /* ... or exactly this many, when not 0 */
};
struct signature {
    bool has_result;
    struct atom result, arg[LP_MAX_ARGS];
    int nargs;
    char imm; /* 0: none, 'b': 0..bits-1, '2': 0..1 */
};

static const char *parse_atom(const char *p, struct atom *a) {
    *a = (struct atom){.kind = *p, .times = 1};
    if (strchr("TUVSM", *p)) p++;
    else {
        a->kind = 'E';
        size_t n = strcspn(p, "*:,=");
        for (int e = 0; e < LP_ELEM_COUNT; e++)
            if (strlen(elems[e].name) == n && !memcmp(elems[e].name, p, n)) a->elem = e;
        p += n;
    }
    int *count = *p == '*' ? &a->times : *p == ':' ? &a->exact : NULL;
    if (count)
        for (*count = 0, p++; *p >= '0' && *p <= '9'; p++) *count = *count * 10 + (*p - '0');
    return p;
}

static struct signature parse(const char *p) {
    struct signature s = {0};
    if (!*p) return s;
    s.has_result = true;
    p = parse_atom(p, &s.result);
    while (*p) { /* '=' or ',' */
        p++;
        if (*p == '#') {
            s.imm = p[1];
            p += 2;
        } else p = parse_atom(p, &s.arg[s.nargs++]);
    }
    return s;
}

/* What the operands bind: T's element type (-1: open) and N (0: open). */
struct binding {
    int elem, n;
};

static bool bind_elem(struct binding *b, int elem) {
    if (b->elem < 0) b->elem = elem;
    return b->elem == elem;
}
static bool bind_lanes(struct binding *b, const struct atom *a, int lanes) {
    if (a->exact) return lanes == a->exact;
    if (lanes % a->times) return false;
    if (!b->n) b->n = lanes / a->times;
    return b->n == lanes / a->times;
}

static bool bind(struct binding *b, const struct atom *a, struct lp_val v) {
    int elem = v.type.elem, lanes = v.type.lanes;
    if (a->kind == 'E' ? elem != a->elem : a->kind == 'M' ? elem != LP_MASK : !bind_elem(b, elem)) return false;
    if (lp_is_imm(v)) return true;
    return a->kind == 'S' ? lanes == 1 : bind_lanes(b, a, lanes);
}

static bool fits(const struct binding *b, const struct atom *a, struct lp_type t) {
    int n = b->n ? b->n : t.lanes / a->times;
    switch (a->kind) {
    case 'T': return t.elem == b->elem && t.lanes == n * a->times;
    case 'U': return lp_is(t.elem, LP_INTS) && t.lanes == n * a->times;
    case 'V': return t.elem == b->elem && t.lanes >= 1 && t.lanes <= 64;
    case 'S': return t.elem == b->elem && t.lanes == 1;
    case 'M': return t.elem == LP_MASK && t.lanes == n;
    default: return t.elem == a->elem && t.lanes == (a->exact ? a->exact : n * a->times);
    }
}

static bool operands(const struct lp_row_info *r, const struct signature *s, int nargs, const struct lp_val *arg,
                     struct binding *b, const char **why) {
    *b = (struct binding){-1, 0};
    *why = "number of operands";
    if (nargs != s->nargs) return false;
    *why = "operand types";
    for (int i = 0; i < nargs; i++)
        if (!bind(b, &s->arg[i], arg[i])) return false;
    *why = "element type not of the row's classes";
    return b->elem < 0 || !r->classes || lp_is((enum lp_elem)b->elem, r->classes);
}

bool lp_row_result(enum lp_row row, struct lp_type wanted, int nargs, const struct lp_val *arg, struct lp_type *out,
                   const char **why) {
    struct signature s = parse(rows[row].signature);
    struct binding b;
    if (!operands(&rows[row], &s, nargs, arg, &b, why)) return false;
    *out = wanted;
    int n = b.n ? b.n : wanted.lanes ? wanted.lanes : 1;
    *why = "the result type must be given";
    switch (s.has_result ? s.result.kind : 0) {
    case 0: *out = (struct lp_type){0}; return true;
    case 'T': *out = lp_vector((enum lp_elem)b.elem, n * s.result.times); return true;
    case 'S': *out = lp_scalar((enum lp_elem)b.elem); return true;
    case 'M': *out = lp_vector(LP_MASK, n); return true;
    case 'E': *out = lp_vector((enum lp_elem)s.result.elem, s.result.exact ? s.result.exact : n * s.result.times); return true;
    case 'U':
        if (b.n) out->lanes = (uint8_t)(b.n * s.result.times);
        return wanted.lanes != 0;
    default: return wanted.lanes != 0;
    }
}

bool lp_row_check(const struct lp_stmt *st, struct lp_type dst, const char **why) {
    const struct lp_row_info *r = &rows[st->row];
    struct signature s = parse(r->signature);
    struct binding b;
    if (!operands(r, &s, st->nargs, st->arg, &b, why)) return false;
    *why = "result type";
    if (s.has_result && !fits(&b, &s.result, dst)) return false;
    *why = "immediate out of range";
    int64_t limit = s.imm == 'b' ? lp_elem_bits((enum lp_elem)b.elem) : s.imm == '2' ? 2 : 1;
    if (st->imm < 0 || st->imm >= limit) return false;
    *why = "lanes do not repeat evenly";
    if (st->row == LP_OP_repeat && (lp_is_imm(st->arg[0]) || dst.lanes % st->arg[0].type.lanes)) return false;
    *why = "shuffle lane out of range";
    if (st->row == LP_OP_shuffle) {
        if (!st->shuffle || !b.n) return false;
        for (int i = 0; i < dst.lanes; i++)
            if (st->shuffle[i] >= 2 * b.n) return false;
    }
    return true;
}

void lp_row_operands(const struct lp_stmt *st, struct lp_type dst, struct lp_type *type) {
    const struct lp_row_info *r = &rows[st->row];
    const struct signature s = parse(r->signature);
    struct binding b;
    const char *why;
    (void)operands(r, &s, st->nargs, st->arg, &b, &why);
    const int n = b.n ? b.n : s.result.exact || strchr("VS", s.result.kind) ? dst.lanes : dst.lanes / s.result.times;
    for (int i = 0; i < st->nargs; i++) {
        const struct atom *a = &s.arg[i];
        type[i] = st->arg[i].type;
        if (lp_is_imm(st->arg[i])) type[i].lanes = (uint8_t)(a->kind == 'S' ? 1 : a->exact ? a->exact : n * a->times);
    }
}

unsigned lp_align_of(const struct lp_kernel *k, const struct lp_stmt *access) {
    const struct lp_buf *buf = &k->buf[access->buf];
    const struct lp_addr *at = &access->addr;
    const int64_t size = (int64_t)lp_elem_size(buf->elem);
    uint64_t all = (uint64_t)buf->align | (uint64_t)(at->base * size);
    for (int i = 0; i < at->nterms; i++) all |= (uint64_t)(at->term[i].coef * size);
    if (at->index.type.lanes) all |= (uint64_t)size;
    return (unsigned)(all & -all);
}

/* ---- the walk
 * ------------------------------------------------------------------------------------------------------------------- */

void lp_walk_start(struct lp_walk *w, const struct lp_kernel *k) { *w = (struct lp_walk){.at = k->body}; }

const struct lp_stmt *lp_walk_next(struct lp_walk *w) {
    if (w->at) {
        const struct lp_stmt *s = w->at;
        w->leaving = false;
        if (lp_is_loop(s)) {
            w->open[w->depth++] = s;
            w->at = s->body;
        } else w->at = s->next;
        return s;
    }
    if (!w->depth) return NULL;
    const struct lp_stmt *s = w->open[--w->depth];
    w->leaving = true;
    w->at = s->next;
    return s;
}
