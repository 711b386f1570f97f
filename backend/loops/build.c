/* build.c - the builder: appends statements, checks types at once. Requires an arena that outlives the kernel. */
#include <stdio.h>
#include <string.h>

#include "rows.h"

static void fault(const struct lp_kernel *k, const char *what, const char *row) {
    oct_internal(k->cx, (struct oct_span){0, 0, 0}, "loops: %s: %s", row, what);
}

struct lp_kernel *lp_new(struct oct_ctx *cx, struct oct_arena *a) {
    struct lp_kernel *k = OCT_NEW(a, struct lp_kernel);
    k->cx = cx;
    k->arena = a;
    k->tail = &k->body;
    return k;
}

/* Room for one more element in a growing array of the arena. */
static void *grow(struct oct_arena *a, void *p, int32_t n, int32_t *cap, size_t size) {
    if (n < *cap) return p;
    int32_t more = *cap ? *cap * 2 : 16;
    void *q = oct_alloc_n(a, (size_t)more, size);
    if (n) memcpy(q, p, (size_t)n * size);
    *cap = more;
    return q;
}

int32_t lp_buffer(struct lp_kernel *k, const char *name, enum lp_elem elem, enum lp_buf_kind kind, int64_t size, int align) {
    if (elem == LP_MASK || size < 1 || size > INT32_MAX || align < (int)lp_elem_size(elem)) fault(k, "size or alignment", name);
    k->buf = grow(k->arena, k->buf, k->nbufs, &k->cap_bufs, sizeof *k->buf);
    k->buf[k->nbufs] =
        (struct lp_buf){.name = oct_strdup(k->arena, name), .elem = elem, .kind = kind, .size = size, .align = align};
    return k->nbufs++;
}

static struct lp_stmt *append(struct lp_kernel *k, enum lp_stmt_kind kind) {
    struct lp_stmt *s = OCT_NEW(k->arena, struct lp_stmt);
    s->kind = kind;
    s->dst = -1;
    s->buf = -1;
    *k->tail = s;
    k->tail = &s->next;
    return s;
}

static int32_t open_loop(struct lp_kernel *k, enum lp_stmt_kind kind, const char *name, int64_t trip) {
    if (k->depth == (int)(sizeof k->open / sizeof *k->open)) fault(k, "loops nested too deeply", name);
    if (trip < 1 || trip > INT32_MAX) fault(k, "trip count", name);
    struct lp_stmt *s = append(k, kind);
    s->name = oct_strdup(k->arena, name);
    s->trip = trip;
    s->var = k->nvars++;
    k->open[k->depth] = s;
    k->open_tail[k->depth++] = k->tail;
    k->tail = &s->body;
    return s->var;
}

int32_t lp_loop(struct lp_kernel *k, const char *name, int64_t trip) { return open_loop(k, LP_STMT_FOR, name, trip); }

int32_t lp_range_of(struct lp_kernel *k, const char *name, int64_t trip, int64_t pieces) {
    if (k->depth || k->has_range) fault(k, "a range is outermost and alone", name);
    if (pieces < 1 || pieces > LP_MAX_PIECES || trip > INT32_MAX / pieces) fault(k, "pieces of a range", name);
    k->has_range = true;
    k->bands = trip;
    k->pieces = pieces;
    return open_loop(k, LP_STMT_RANGE, name, trip);
}
int32_t lp_range(struct lp_kernel *k, const char *name, int64_t trip) { return lp_range_of(k, name, trip, 1); }

int32_t lp_piece(struct lp_kernel *k, const char *name, int64_t first, int64_t trip) {
    if (!k->has_range || k->pieces == 1) return lp_loop(k, name, trip);
    const int32_t var = open_loop(k, LP_STMT_PIECE, name, trip);
    k->open[k->depth - 1]->first = first;
    return var;
}

void lp_end(struct lp_kernel *k) {
    if (!k->depth) fault(k, "no loop is open", "end");
    k->tail = k->open_tail[--k->depth];
}

void lp_note(struct lp_kernel *k, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, k->arena);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    append(k, LP_STMT_NOTE)->name = t.s;
}

/* ---- addresses
 * ------------------------------------------------------------------------------------------------------------------ */

struct lp_addr lp_plus(struct lp_addr a, int32_t var, int64_t coef) {
    if (!coef) return a;
    for (int i = 0; i < a.nterms; i++)
        if (a.term[i].var == var) {
            a.term[i].coef += coef;
            return a;
        }
    if (a.nterms == LP_MAX_TERMS) return (struct lp_addr){.nterms = LP_MAX_TERMS + 1}; /* the access will be refused */
    a.term[a.nterms].var = var;
    a.term[a.nterms++].coef = coef;
    return a;
}
struct lp_addr lp_offset(struct lp_addr a, int64_t d) {
    a.base += d;
    return a;
}
struct lp_addr lp_indexed(struct lp_addr a, struct lp_val index, int64_t min, int64_t max) {
    a.index = index;
    a.index_min = min;
    a.index_max = max;
    return a;
}

/* ---- operations
 * ----------------------------------------------------------------------------------------------------------------- */

struct lp_val lp_reg(struct lp_kernel *k, struct lp_type t, const char *name) {
    if (t.elem >= LP_ELEM_COUNT || t.lanes < 1 || t.lanes > 64) fault(k, "type of a register", name ? name : "temporary");
    k->reg = grow(k->arena, k->reg, k->nregs, &k->cap_regs, sizeof *k->reg);
    k->reg[k->nregs] = (struct lp_reg){t, name ? oct_strdup(k->arena, name) : NULL};
    return (struct lp_val){t, k->nregs++, {0}};
}

static struct lp_stmt *access(struct lp_kernel *k, enum lp_stmt_kind kind, int32_t buf, struct lp_addr at, struct lp_val mask) {
    if (buf < 0 || buf >= k->nbufs) fault(k, "no such buffer", "access");
    if (at.nterms > LP_MAX_TERMS) fault(k, "too many terms in an address", k->buf[buf].name);
    if (at.index.type.lanes && (lp_is_imm(at.index) || !lp_type_equal(at.index.type, lp_scalar(LP_I32))))
        fault(k, "an index is an i32 register", k->buf[buf].name);
    struct lp_stmt *s = append(k, kind);
    s->buf = buf;
    s->addr = at;
    s->mask = mask;
    return s;
}

static void load(struct lp_kernel *k, struct lp_val dst, int32_t buf, struct lp_addr at, struct lp_val mask) {
    if (lp_is_imm(dst) || buf < 0 || buf >= k->nbufs || dst.type.elem != k->buf[buf].elem)
        fault(k, "element types differ", "load");
    access(k, LP_STMT_LOAD, buf, at, mask)->dst = dst.reg;
}
static void store(struct lp_kernel *k, int32_t buf, struct lp_addr at, struct lp_val v, struct lp_val mask) {
    if (buf < 0 || buf >= k->nbufs || v.type.elem != k->buf[buf].elem) fault(k, "element types differ", "store");
    struct lp_stmt *s = access(k, LP_STMT_STORE, buf, at, mask);
    s->arg[0] = v;
    s->nargs = 1;
}

void lp_load_to(struct lp_kernel *k, struct lp_val dst, int32_t buf, struct lp_addr at) {
    load(k, dst, buf, at, (struct lp_val){0});
}
struct lp_val lp_load(struct lp_kernel *k, const char *name, struct lp_type t, int32_t buf, struct lp_addr at) {
    return lp_load_masked(k, name, t, buf, at, (struct lp_val){0});
}
struct lp_val lp_load_masked(struct lp_kernel *k, const char *name, struct lp_type t, int32_t buf, struct lp_addr at,
                             struct lp_val mask) {
    struct lp_val dst = lp_reg(k, t, name);
    load(k, dst, buf, at, mask);
    return dst;
}
void lp_store(struct lp_kernel *k, int32_t buf, struct lp_addr at, struct lp_val v) { store(k, buf, at, v, (struct lp_val){0}); }
void lp_store_masked(struct lp_kernel *k, int32_t buf, struct lp_addr at, struct lp_val v, struct lp_val mask) {
    store(k, buf, at, v, mask);
}
void lp_prefetch(struct lp_kernel *k, int32_t buf, struct lp_addr at) {
    struct lp_stmt *s = access(k, LP_STMT_OP, buf, at, (struct lp_val){0});
    s->row = LP_OP_prefetch;
}

static void op(struct lp_kernel *k, struct lp_val dst, enum lp_row row, int nargs, const struct lp_val *arg, int64_t imm,
               const uint8_t *shuffle) {
    struct lp_stmt *s = append(k, LP_STMT_OP);
    s->row = row;
    s->dst = dst.reg;
    s->nargs = nargs;
    for (int i = 0; i < nargs; i++) s->arg[i] = arg[i];
    s->imm = imm;
    s->shuffle = shuffle;
    const char *why;
    if (lp_is_imm(dst) || row == LP_OP_prefetch) fault(k, "destination", lp_row_info(row)->name);
    if (!lp_row_check(s, dst.type, &why)) fault(k, why, lp_row_info(row)->name);
}

void lp_op_to(struct lp_kernel *k, struct lp_val dst, enum lp_row row, int nargs, const struct lp_val *arg, int64_t imm) {
    op(k, dst, row, nargs, arg, imm, NULL);
}
void lp_set(struct lp_kernel *k, struct lp_val dst, struct lp_val v) { op(k, dst, LP_OP_mov, 1, &v, 0, NULL); }

static struct lp_val result(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_type t, int nargs,
                            const struct lp_val *arg) {
    struct lp_type out;
    const char *why;
    if (!lp_row_result(row, t, nargs, arg, &out, &why)) fault(k, why, lp_row_info(row)->name);
    return lp_reg(k, out, name);
}
struct lp_val lp_op(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_type t, int nargs, const struct lp_val *arg,
                    int64_t imm) {
    struct lp_val dst = result(k, name, row, t, nargs, arg);
    op(k, dst, row, nargs, arg, imm, NULL);
    return dst;
}
struct lp_val lp_op1(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_type t, struct lp_val a) {
    return lp_op(k, name, row, t, 1, &a, 0);
}
struct lp_val lp_op2(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, struct lp_val b) {
    return lp_op(k, name, row, (struct lp_type){0}, 2, (struct lp_val[]){a, b}, 0);
}
struct lp_val lp_op3(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, struct lp_val b, struct lp_val c) {
    return lp_op(k, name, row, (struct lp_type){0}, 3, (struct lp_val[]){a, b, c}, 0);
}
struct lp_val lp_shift(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, int distance) {
    return lp_op(k, name, row, (struct lp_type){0}, 1, &a, distance);
}
struct lp_val lp_shuffle(struct lp_kernel *k, const char *name, struct lp_val a, struct lp_val b, int lanes,
                         const uint8_t *lane) {
    uint8_t *copy = oct_alloc(k->arena, (size_t)lanes);
    memcpy(copy, lane, (size_t)lanes);
    struct lp_val args[] = {a, b};
    struct lp_val dst = result(k, name, LP_OP_shuffle, lp_vector((enum lp_elem)a.type.elem, lanes), 2, args);
    op(k, dst, LP_OP_shuffle, 2, args, 0, copy);
    return dst;
}

static bool is_float(enum lp_elem e) { return e == LP_F32 || e == LP_F64; }
bool lp_has_floats(const struct lp_kernel *k) {
    for (int32_t i = 0; i < k->nbufs; i++)
        if (is_float(k->buf[i].elem)) return true;
    for (int32_t i = 0; i < k->nregs; i++)
        if (is_float((enum lp_elem)k->reg[i].type.elem)) return true;
    return false;
}
