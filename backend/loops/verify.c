/* verify.c - proves that a kernel is sound: types, definite assignment, every access in bounds for all loop values and all
 * values of index registers (interval analysis), ranges outermost, pieces within them. */
#include <string.h>

#include "rows.h"

struct span64 {
    int64_t lo, hi;
};
struct state {
    const struct lp_kernel *k;
    const char **why;
    bool *set;             /* register: assigned on every way to here */
    bool *set_before[2];   /* the range; the loop over pieces */
    int32_t *ndefs;        /* register: statements that assign it */
    struct span64 *values; /* register: what it may hold; exact work only for registers with one definition */
    int64_t *trip;         /* loop variable: its trip count while its loop is open, else 0 */
    bool in_range, in_piece, seen_range;
};

static bool refuse(struct state *st, const struct lp_stmt *s, const char *what) {
    const char *at = s->kind == LP_STMT_OP ? lp_row_info(s->row)->name
                     : s->buf >= 0         ? st->k->buf[s->buf].name
                     : s->name             ? s->name
                                           : "kernel";
    *st->why = oct_sprintf(st->k->arena, "%s: %s", at, what);
    return false;
}

/* ---- intervals
 * -------------------------------------------------------------------------------------------------------------------- */

static struct span64 whole(enum lp_elem e) { return (struct span64){lp_elem_min(e), lp_elem_max(e)}; }
static struct span64 span_of(const struct state *st, struct lp_val v) {
    return lp_is_imm(v) ? (struct span64){v.imm.i, v.imm.i} : st->values[v.reg];
}
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* What an integer row can result in; the whole type where nothing better is known. */
static struct span64 transfer(const struct state *st, const struct lp_stmt *s, enum lp_elem e) {
    struct span64 all = whole(e), a = s->nargs > 0 ? span_of(st, s->arg[0]) : all,
                  b = s->nargs > 1 ? span_of(st, s->arg[1]) : all, r = all;
    if (s->row == LP_OP_select) {
        struct span64 c = span_of(st, s->arg[2]);
        return (struct span64){least(b.lo, c.lo), most(b.hi, c.hi)};
    }
    if (s->nargs && !lp_is((enum lp_elem)s->arg[0].type.elem, LP_INTS)) return all;
    switch (s->row) {
    case LP_OP_mov:
    case LP_OP_splat:
    case LP_OP_repeat:
    case LP_OP_cvt: r = a; break;
    case LP_OP_add:
    case LP_OP_add_nw:
        if (__builtin_add_overflow(a.lo, b.lo, &r.lo) || __builtin_add_overflow(a.hi, b.hi, &r.hi)) return all;
        break;
    case LP_OP_sub:
    case LP_OP_sub_nw:
        if (__builtin_sub_overflow(a.lo, b.hi, &r.lo) || __builtin_sub_overflow(a.hi, b.lo, &r.hi)) return all;
        break;
    case LP_OP_mul:
    case LP_OP_mul_nw: {
        int64_t p;
        r = (struct span64){INT64_MAX, INT64_MIN};
        for (int i = 0; i < 4; i++) { /* the ends of one times the ends of the other */
            if (__builtin_mul_overflow(i & 1 ? a.hi : a.lo, i & 2 ? b.hi : b.lo, &p)) return all;
            r = (struct span64){least(r.lo, p), most(r.hi, p)};
        }
        break;
    }
    case LP_OP_and:
        if (a.lo < 0 && b.lo < 0) return all;
        r = (struct span64){0, a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : least(a.hi, b.hi)};
        break;
    case LP_OP_shr:
    case LP_OP_sar:
        if (s->row == LP_OP_shr && a.lo < 0) return all; /* a sign would be shifted in as bits */
        r = (struct span64){a.lo >> s->imm, a.hi >> s->imm};
        break;
    case LP_OP_min: r = (struct span64){least(a.lo, b.lo), least(a.hi, b.hi)}; break;
    case LP_OP_max: r = (struct span64){most(a.lo, b.lo), most(a.hi, b.hi)}; break;
    case LP_OP_sat: return (struct span64){most(all.lo, least(a.lo, all.hi)), least(all.hi, most(a.hi, all.lo))};
    default: return all;
    }
    return r.lo < all.lo || r.hi > all.hi ? all : r; /* it may wrap */
}

/* Adds to both ends; false on overflow. */
static bool widen(struct span64 *s, int64_t lo, int64_t hi) {
    struct span64 r;
    if (__builtin_add_overflow(s->lo, lo, &r.lo) || __builtin_add_overflow(s->hi, hi, &r.hi)) return false;
    *s = r;
    return true;
}

/* Element range of an access: base + sum coef [0, trip) + index. */
static bool address_span(struct state *st, const struct lp_stmt *s, struct span64 *out) {
    const struct lp_addr *ad = &s->addr;
    *out = (struct span64){ad->base, ad->base};
    if (ad->nterms < 0 || ad->nterms > LP_MAX_TERMS) return refuse(st, s, "address terms");
    for (int i = 0; i < ad->nterms; i++) {
        int64_t far, var = ad->term[i].var, coef = ad->term[i].coef;
        if (var < 0 || var >= st->k->nvars || !st->trip[var]) return refuse(st, s, "address uses a loop that is not open");
        if (__builtin_mul_overflow(coef, st->trip[var] - 1, &far)) return refuse(st, s, "address overflows");
        if (!widen(out, far < 0 ? far : 0, far > 0 ? far : 0)) return refuse(st, s, "address overflows");
        if (out->lo < INT32_MIN || out->hi > INT32_MAX) return refuse(st, s, "partial sum of an address leaves 32 bits");
    }
    if (ad->index.type.lanes) {
        struct lp_val ix = ad->index;
        if (ix.reg < 0 || ix.reg >= st->k->nregs || !lp_type_equal(st->k->reg[ix.reg].type, lp_scalar(LP_I32)))
            return refuse(st, s, "index type");
        if (!st->set[ix.reg]) return refuse(st, s, "index register read before it is set");
        if (st->values[ix.reg].lo < ad->index_min || st->values[ix.reg].hi > ad->index_max)
            return refuse(st, s, "index register not proved within its bounds");
        if (!widen(out, ad->index_min, ad->index_max)) return refuse(st, s, "address overflows");
    }
    return true;
}

/* ---- statements
 * ------------------------------------------------------------------------------------------------------------------- */

static bool readable(struct state *st, const struct lp_stmt *s, struct lp_val v) {
    if (v.type.elem >= LP_ELEM_COUNT || v.type.lanes < 1 || v.type.lanes > 64) return refuse(st, s, "operand type");
    if (lp_is_imm(v)) {
        bool fits = lp_is((enum lp_elem)v.type.elem, LP_FLOATS) ||
                    (v.imm.i >= lp_elem_min((enum lp_elem)v.type.elem) && v.imm.i <= lp_elem_max((enum lp_elem)v.type.elem));
        return fits || refuse(st, s, "immediate does not fit its type");
    }
    if (v.reg >= st->k->nregs || !lp_type_equal(st->k->reg[v.reg].type, v.type))
        return refuse(st, s, "operand is not that register's type");
    return st->set[v.reg] || refuse(st, s, "register read before it is set");
}

static bool check_access(struct state *st, const struct lp_stmt *s, struct lp_type t) {
    const struct lp_kernel *k = st->k;
    if (s->buf < 0 || s->buf >= k->nbufs) return refuse(st, s, "no such buffer");
    const struct lp_buf *b = &k->buf[s->buf];
    bool load = s->kind == LP_STMT_LOAD, store = s->kind == LP_STMT_STORE;
    if ((load || store) && t.elem != b->elem) return refuse(st, s, "element type is not the buffer's");
    if (store && (b->kind == LP_BUF_IN || b->kind == LP_BUF_CONST)) return refuse(st, s, "store to a buffer that is only read");
    if (store && k->has_range && b->kind != LP_BUF_SCRATCH) { /* of scratch memory each thread has its own */
        if (!st->in_range) return refuse(st, s, "store outside the range");
        if (k->pieces > 1 && !st->in_piece) return refuse(st, s, "store outside the pieces");
    }
    struct span64 at;
    if (!address_span(st, s, &at)) return false;
    bool masked = s->mask.type.lanes != 0;
    if (masked && (s->mask.type.elem != LP_MASK || (!lp_is_imm(s->mask) && s->mask.type.lanes != t.lanes)))
        return refuse(st, s, "mask type");
    if (masked && b->tail != LP_TAIL_MASK) return refuse(st, s, "masked access to a buffer without mask tail");
    if (masked && !readable(st, s, s->mask)) return false;
    int64_t limit = b->size + (load && b->tail == LP_TAIL_OVERREAD ? b->overread : 0);
    /* Under a mask the lanes past the end must be off: the evaluator checks it, the first lane is proved here. */
    int64_t last = at.hi + (masked ? 0 : t.lanes - 1);
    if (at.lo < 0 || last >= limit)
        return refuse(st, s,
                      oct_sprintf(k->arena, "element %lld..%lld is outside [0, %lld)", (long long)at.lo, (long long)last,
                                  (long long)limit));
    return true;
}

static bool check_statement(struct state *st, const struct lp_stmt *s) {
    const struct lp_kernel *k = st->k;
    for (int i = 0; i < s->nargs; i++)
        if (!readable(st, s, s->arg[i])) return false;
    if (s->dst >= k->nregs) return refuse(st, s, "no such register");
    if (s->kind == LP_STMT_OP) {
        const char *why;
        if (!lp_row_check(s, s->dst >= 0 ? k->reg[s->dst].type : (struct lp_type){0}, &why)) return refuse(st, s, why);
        if ((s->dst < 0) != (s->row == LP_OP_prefetch)) return refuse(st, s, "destination");
    }
    if (s->kind != LP_STMT_OP || s->row == LP_OP_prefetch) {
        if (s->kind == LP_STMT_LOAD && s->dst < 0) return refuse(st, s, "destination");
        if (s->kind == LP_STMT_STORE && s->nargs != 1) return refuse(st, s, "number of operands");
        struct lp_type t = s->kind == LP_STMT_LOAD    ? k->reg[s->dst].type
                           : s->kind == LP_STMT_STORE ? s->arg[0].type
                                                      : lp_scalar(LP_I8);
        if (!check_access(st, s, t)) return false;
    }
    if (s->dst < 0) return true;
    enum lp_elem e = (enum lp_elem)k->reg[s->dst].type.elem;
    st->values[s->dst] = st->ndefs[s->dst] == 1 && s->kind == LP_STMT_OP && lp_is(e, LP_INTS) ? transfer(st, s, e) : whole(e);
    st->set[s->dst] = true;
    return true;
}

static bool enter(struct state *st, const struct lp_walk *w, const struct lp_stmt *s) {
    if (s->trip < 1 || s->trip > INT32_MAX || s->var < 0 || s->var >= st->k->nvars) return refuse(st, s, "loop");
    if (st->trip[s->var]) return refuse(st, s, "loop variable in use");
    if (s->kind == LP_STMT_RANGE) {
        if (w->depth != 1) return refuse(st, s, "a range must be outermost");
        if (!st->k->has_range || s->trip > st->k->bands) return refuse(st, s, "a range of other units");
        if (st->k->pieces > 1 && (st->seen_range || s->trip != st->k->bands)) return refuse(st, s, "a second range");
        st->seen_range = st->in_range = true;
        memcpy(st->set_before[0], st->set, (size_t)st->k->nregs * sizeof *st->set);
    }
    if (s->kind == LP_STMT_PIECE) {
        if (!st->in_range || st->in_piece || st->k->pieces < 2) return refuse(st, s, "pieces of no range");
        if (s->first < 0 || s->first > st->k->pieces - s->trip) return refuse(st, s, "pieces that no band has");
        st->in_piece = true;
        memcpy(st->set_before[1], st->set, (size_t)st->k->nregs * sizeof *st->set);
    }
    st->trip[s->var] = s->trip;
    return true;
}

/* A loop with a constant trip count runs at least once, so what it sets stays set; a range may be empty. */
static void leave(struct state *st, const struct lp_stmt *s) {
    st->trip[s->var] = 0;
    if (s->kind == LP_STMT_FOR) return;
    const bool piece = s->kind == LP_STMT_PIECE;
    *(piece ? &st->in_piece : &st->in_range) = false;
    memcpy(st->set, st->set_before[piece], (size_t)st->k->nregs * sizeof *st->set);
}

bool lp_verify(const struct lp_kernel *k, const char **why) {
    struct oct_arena *a = oct_arena_new(k->cx);
    struct state st = {.k = k,
                       .why = why,
                       .set = OCT_NEW_N(a, bool, k->nregs),
                       .set_before = {OCT_NEW_N(a, bool, k->nregs), OCT_NEW_N(a, bool, k->nregs)},
                       .ndefs = OCT_NEW_N(a, int32_t, k->nregs),
                       .values = OCT_NEW_N(a, struct span64, k->nregs),
                       .trip = OCT_NEW_N(a, int64_t, k->nvars)};
    *why = NULL;
    bool ok = k->depth == 0;
    if (!ok) *why = "a loop is still open";
    struct lp_walk w;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));)
        if (s->dst >= 0 && s->dst < k->nregs) st.ndefs[s->dst]++;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; ok && (s = lp_walk_next(&w));) {
        if (s->kind == LP_STMT_NOTE) continue;
        if (!lp_is_loop(s)) ok = check_statement(&st, s);
        else if (w.leaving) leave(&st, s);
        else ok = enter(&st, &w, s);
    }
    oct_arena_free(a);
    return ok;
}
