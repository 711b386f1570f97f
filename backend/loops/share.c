/* share.c - makes a range of a kernel's outermost loops, so that threads can share kernels whose builders know nothing of
 * threads.
 *
 * A turn of an outermost loop may be another thread's when what it stores nobody else stores, when it reads nothing that others
 * store, and when no register carries a value into it or out of it. Stores are followed element by element, so that rectangles
 * side by side (a pool with padding) pass and overlapping ones (a fill and a copy over it) do not. Loops that store to scratch
 * memory alone, and statements outside of loops that store nothing, are done by every thread for itself. */
#include "rows.h"

/* One outermost loop, or statements between loops. */
struct item {
    struct lp_stmt *first; /* the loop, or the first of the statements */
    int64_t trip;          /* 1 for statements */
    int32_t turn;          /* number of its first turn; all turns count, from 1 on */
    bool shared;           /* stores results: its turns are spread over threads */
};
struct share {
    struct lp_kernel *k;
    struct oct_arena *a; /* scratch */
    struct item *item;
    int32_t nitems;
    int32_t *writer; /* register: number of the shared item that writes it, -1: none */
    int32_t **owner; /* buffer of results: by element, the turn that stores it; 0: none yet */
};

static bool is_result(const struct lp_kernel *k, int32_t buf) {
    return buf >= 0 && (k->buf[buf].kind == LP_BUF_OUT || k->buf[buf].kind == LP_BUF_INOUT);
}

/* ---- items and registers ------------------------------------------------------------------------------------------------- */

static int64_t find_items(struct share *sh) {
    const struct lp_kernel *k = sh->k;
    int64_t n = 0, turns = 0;
    for (const struct lp_stmt *s = k->body; s; s = s->next) n++;
    sh->item = OCT_NEW_N(sh->a, struct item, n);
    for (struct lp_stmt *s = k->body, *last = NULL; s; last = s, s = s->next) {
        if (last && !lp_is_loop(s) && !lp_is_loop(last)) continue;
        const int64_t trip = lp_is_loop(s) ? s->trip : 1;
        sh->item[sh->nitems++] = (struct item){.first = s, .trip = trip, .turn = (int32_t)(turns + 1)};
        turns += trip;
    }
    return turns;
}

/* The statements in text order, loops left out, and the item that each is in. */
struct cursor {
    struct lp_walk w;
    int32_t item;
};
static struct cursor start(const struct share *sh) {
    struct cursor c = {.item = -1};
    lp_walk_start(&c.w, sh->k);
    return c;
}
static const struct lp_stmt *next(const struct share *sh, struct cursor *c) {
    const struct lp_stmt *s;
    while ((s = lp_walk_next(&c->w))) {
        if (!c->w.leaving && c->item + 1 < sh->nitems && s == sh->item[c->item + 1].first) c->item++;
        if (!lp_is_loop(s)) return s;
    }
    return NULL;
}

/* False where a shared item stores to scratch memory: another may read it. */
static bool find_shared(struct share *sh) {
    struct cursor c = start(sh);
    for (const struct lp_stmt *s; (s = next(sh, &c));)
        if (s->kind == LP_STMT_STORE) sh->item[c.item].shared |= is_result(sh->k, s->buf);
    c = start(sh);
    for (const struct lp_stmt *s; (s = next(sh, &c));) {
        if (!sh->item[c.item].shared) continue;
        if (s->kind == LP_STMT_STORE && !is_result(sh->k, s->buf)) return false;
        if (s->dst >= 0) sh->writer[s->dst] = c.item;
    }
    return true;
}

/* Is a register that a shared item writes read there alone, and after it was written? */
static bool stays(const struct share *sh, const bool *written, int32_t item, struct lp_val v) {
    if (!v.type.lanes || lp_is_imm(v)) return true;
    const int32_t writer = sh->writer[v.reg];
    return writer < 0 || (writer == item && written[v.reg]);
}
static bool registers_stay(const struct share *sh) {
    bool *written = OCT_NEW_N(sh->a, bool, sh->k->nregs + 1);
    struct cursor c = start(sh);
    for (const struct lp_stmt *s; (s = next(sh, &c));) {
        for (int i = 0; i < s->nargs; i++)
            if (!stays(sh, written, c.item, s->arg[i])) return false;
        if (!stays(sh, written, c.item, s->addr.index) || !stays(sh, written, c.item, s->mask)) return false;
        if (s->dst < 0) continue;
        if (sh->writer[s->dst] >= 0 && sh->writer[s->dst] != c.item) return false;
        written[s->dst] = true;
    }
    return true;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------- */

/* The turns of the loop around a store own what they store; what a turn loads nobody else may store. */
static bool own(const struct share *sh, const struct lp_walk *w, const struct lp_stmt *s, int32_t first_turn) {
    const bool storing = s->kind == LP_STMT_STORE;
    const int lanes = storing ? s->arg[0].type.lanes : sh->k->reg[s->dst].type.lanes;
    int32_t *owner = sh->owner[s->buf];
    int64_t trip[LP_MAX_TERMS + 1], coef[LP_MAX_TERMS + 1], index[LP_MAX_TERMS + 1] = {0};
    int axes = 1; /* number 0: the outermost loop */
    trip[0] = w->depth ? w->open[0]->trip : 1;
    coef[0] = 0;
    for (int t = 0; t < s->addr.nterms; t++)
        for (int d = 0; d < w->depth; d++) {
            if (w->open[d]->var != s->addr.term[t].var) continue;
            const int axis = d ? axes++ : 0;
            trip[axis] = w->open[d]->trip;
            coef[axis] = s->addr.term[t].coef;
        }
    for (int64_t at = s->addr.base;;) {
        const int32_t turn = first_turn + (int32_t)index[0];
        for (int l = 0; l < lanes && at + l < sh->k->buf[s->buf].size; l++) {
            if (owner[at + l] && owner[at + l] != turn) return false;
            if (storing) owner[at + l] = turn;
        }
        int axis = axes - 1;
        for (; axis >= 0; axis--) {
            at += coef[axis];
            if (++index[axis] < trip[axis]) break;
            at -= coef[axis] * trip[axis];
            index[axis] = 0;
        }
        if (axis < 0) return true;
    }
}
static bool turns_are_apart(const struct share *sh, enum lp_stmt_kind kind) {
    struct cursor c = start(sh);
    for (const struct lp_stmt *s; (s = next(sh, &c));) {
        if (s->kind != kind || !is_result(sh->k, s->buf)) continue;
        if (s->addr.index.type.lanes || !sh->item[c.item].shared) return false; /* where, or by whom, is not known */
        if (!own(sh, &c.w, s, sh->item[c.item].turn)) return false;
    }
    return true;
}

/* ---- the range ------------------------------------------------------------------------------------------------------------- */

/* Statements between loops become the body of a loop of one turn. */
static void enclose(const struct share *sh, int32_t item) {
    struct lp_kernel *k = sh->k;
    struct lp_stmt *first = sh->item[item].first, *end = item + 1 < sh->nitems ? sh->item[item + 1].first : NULL, *last = first;
    struct lp_stmt **to = &k->body, *loop = OCT_NEW(k->arena, struct lp_stmt);
    while (*to != first) to = &(*to)->next;
    while (last->next != end) last = last->next;
    *loop = (struct lp_stmt){
        .kind = LP_STMT_RANGE, .next = end, .var = k->nvars++, .name = "once", .trip = 1, .body = first, .dst = -1, .buf = -1};
    last->next = NULL;
    *to = loop;
}

bool lp_share(struct lp_kernel *k) {
    if (k->has_range || k->depth) return k->has_range;
    struct oct_arena *a = oct_arena_new(k->cx);
    struct share sh = {
        .k = k, .a = a, .writer = OCT_NEW_N(a, int32_t, k->nregs + 1), .owner = OCT_NEW_N(a, int32_t *, k->nbufs + 1)};
    const int64_t turns = find_items(&sh);
    int64_t bands = 0;
    for (int32_t r = 0; r < k->nregs; r++) sh.writer[r] = -1;
    for (int32_t i = 0; i < k->nbufs; i++)
        if (is_result(k, i)) sh.owner[i] = OCT_NEW_N(a, int32_t, k->buf[i].size);
    bool can = turns < INT32_MAX && find_shared(&sh);
    for (int32_t i = 0; i < sh.nitems; i++)
        if (sh.item[i].shared && sh.item[i].trip > bands) bands = sh.item[i].trip;
    can = can && bands > 1 && registers_stay(&sh) && turns_are_apart(&sh, LP_STMT_STORE) && turns_are_apart(&sh, LP_STMT_LOAD);
    for (int32_t i = 0; can && i < sh.nitems; i++) {
        if (!sh.item[i].shared) continue;
        if (lp_is_loop(sh.item[i].first)) sh.item[i].first->kind = LP_STMT_RANGE;
        else enclose(&sh, i);
    }
    if (can) {
        k->has_range = true;
        k->bands = bands;
        k->pieces = 1;
    }
    oct_arena_free(a);
    return can;
}
