/* emit_c.c - prints a kernel as a C99 function. Spellings are the templates of loops.def; this file knows statements, names,
 * literals and parentheses. Requires a verified kernel. What is never read is not printed; a temporary (a register without a
 * name) that is read once is written where it is read, as far as nothing between changes its value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

enum { WIDTH = 118, MAX_READS = 12 };

/* How tightly an expression binds; an operand that binds less than its place needs is put in parentheses. */
enum level { LOOSE, PRODUCT, UNARY, ATOM };
struct expr {
    const char *text;
    enum level level;
    bool loads; /* from memory that some store may change */
    int nreads;
    int32_t read[MAX_READS]; /* registers it reads */
};

struct helper {
    const char *name, *text;
};
static const struct helper helpers[] = {
#define HELPER(name, text) {#name, text},
#include "c_helpers.def"
#undef HELPER
};
enum { HELPER_COUNT = sizeof helpers / sizeof *helpers };

struct emitter {
    const struct lp_kernel *k;
    struct oct_arena *a;
    struct oct_text *out;
    struct lp_names n;
    uint64_t *helpers;
    bool *live; /* register is read by something that matters */
    int32_t *ndefs, *nuses;
    const struct lp_stmt **home;   /* innermost loop (NULL: the function) that holds all occurrences of a register */
    const struct lp_stmt **first;  /* its first occurrence */
    const struct lp_stmt **parent; /* by loop variable: the loop around that loop */
    struct expr *pending;          /* register: expression not yet printed, text NULL otherwise */
    int32_t *order;                /* registers with a pending expression, oldest first */
    int npending;
    const struct lp_stmt *block; /* loop at work */
    int depth;
};

static const char *const c_types[LP_ELEM_COUNT] = {"int8_t",   "uint8_t", "int16_t", "uint16_t", "int32_t",
                                                   "uint32_t", "int64_t", "float",   "double",   "int32_t"};
static const char *c_type(struct lp_type t) { return c_types[t.elem]; }
static bool narrow(enum lp_elem e) { return e == LP_I8 || e == LP_U8 || e == LP_I16 || e == LP_U16; }

static void refuse(const struct emitter *e, const char *what, const char *which) {
    oct_internal(e->k->cx, (struct oct_span){0, 0, 0}, "loops: C: %s: %s", which, what);
}

/* ---- literals -----------------------------------------------------------------------------------------------------------------
 */

static void use_helper(struct emitter *e, struct oct_text *t, const char *name, size_t len) {
    for (int i = 0; i < HELPER_COUNT; i++)
        if (strlen(helpers[i].name) == len && !memcmp(helpers[i].name, name, len)) {
            *e->helpers |= (uint64_t)1 << i;
            oct_text_addf(t, "oct_%s", helpers[i].name);
            return;
        }
    refuse(e, "no such helper", oct_strndup(e->a, name, len));
}

static void add_float(struct emitter *e, struct oct_text *t, struct lp_val v) {
    float f = (float)v.imm.f;
    if (v.imm.f - v.imm.f != 0) { /* infinite or NaN: no literal without math.h */
        int32_t bits;
        memcpy(&bits, &f, 4);
        if (v.type.elem == LP_F64) oct_text_add(t, "(double)");
        use_helper(e, t, "of_bits", 7);
        oct_text_addf(t, "(%" PRId32 ")", bits);
    } else if (v.type.elem == LP_F32) {
        oct_text_add_f32(t, f);
        oct_text_add(t, "f");
    } else {
        char s[40];
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(s, sizeof s, "%.*g", digits, v.imm.f);
            if (strtod(s, NULL) == v.imm.f) break;
        }
        oct_text_addf(t, "%s%s", s, strpbrk(s, ".e") ? "" : ".0");
    }
}

/* An integer as C type `e` (U32 also serves the unsigned form of narrower ones). */
static void add_int(struct oct_text *t, enum lp_elem e, int64_t v) {
    if (e == LP_I64) {
        if (v == INT64_MIN) oct_text_add(t, "INT64_MIN");
        else oct_text_addf(t, "INT64_C(%" PRId64 ")", v);
    } else if (e == LP_I32 && v == INT32_MIN) oct_text_add(t, "INT32_MIN");
    else oct_text_addf(t, "%" PRId64 "%s", v, e == LP_U32 ? "u" : "");
}

/* ---- expressions --------------------------------------------------------------------------------------------------------------
 */

static void read_register(struct expr *x, int32_t reg) {
    for (int i = 0; i < x->nreads; i++)
        if (x->read[i] == reg) return;
    if (x->nreads < MAX_READS) x->read[x->nreads++] = reg;
}

/* Takes a pending expression for its one use, or reads the register. */
static struct expr operand(struct emitter *e, struct lp_val v) {
    struct expr x = {.level = ATOM};
    if (lp_is_imm(v)) {
        struct oct_text t;
        oct_text_init(&t, e->a);
        if (lp_is((enum lp_elem)v.type.elem, LP_FLOATS)) add_float(e, &t, v);
        else add_int(&t, (enum lp_elem)v.type.elem, v.imm.i);
        x.text = t.s;
        if (t.s[0] == '-') x.level = LOOSE;
        return x;
    }
    if (e->pending[v.reg].text) {
        x = e->pending[v.reg];
        e->pending[v.reg].text = NULL;
        int j = 0;
        for (int i = 0; i < e->npending; i++)
            if (e->order[i] != v.reg) e->order[j++] = e->order[i];
        e->npending = j;
        return x;
    }
    x.text = e->n.reg[v.reg];
    x.read[x.nreads++] = v.reg;
    return x;
}

static void absorb(struct expr *into, const struct expr *x) {
    into->loads |= x->loads;
    for (int i = 0; i < x->nreads; i++) read_register(into, x->read[i]);
}

static void add_operand(struct oct_text *t, const struct expr *x, enum level need) {
    oct_text_addf(t, x->level < need ? "(%s)" : "%s", x->text);
}

/* Operand as an unsigned type `to`, so that arithmetic wraps; no cast where it is that already. */
static void add_unsigned(struct oct_text *t, const struct expr *x, struct lp_val v, enum lp_elem from, const char *to) {
    if (lp_is_imm(v) && v.imm.i >= 0 && from != LP_I64) oct_text_addf(t, "%" PRId64 "u", v.imm.i);
    else if (!strcmp(c_types[from], to)) add_operand(t, x, UNARY);
    else {
        oct_text_addf(t, "(%s)", to);
        add_operand(t, x, UNARY);
    }
}

static const char *unsigned_type(enum lp_elem e, int at_least) {
    int bits = lp_elem_bits(e) < at_least ? at_least : lp_elem_bits(e);
    return bits == 8 ? "uint8_t" : bits == 16 ? "uint16_t" : bits == 32 ? "uint32_t" : "uint64_t";
}

/* Rows that C spells as a call of a helper: "@name(...)", perhaps cast back. */
static bool is_call(enum lp_row row) {
    const char *p = lp_row_info(row)->c[LP_ISA_C99];
    return p && (p[0] == '@' || !strncmp(p, "$N{@", 4));
}

static enum level place(enum lp_row row, int arg) {
    switch (row) {
    case LP_OP_add_nw:
    case LP_OP_fadd: return PRODUCT;
    case LP_OP_sub_nw:
    case LP_OP_fsub: return arg ? UNARY : PRODUCT;
    case LP_OP_mov:
    case LP_OP_pin: return LOOSE;
    case LP_OP_mul_nw:
    case LP_OP_fmul:
    case LP_OP_mull:
    case LP_OP_sarv:
    case LP_OP_cvt:
    case LP_OP_i2f:
    case LP_OP_i2d:
    case LP_OP_f2d:
    case LP_OP_d2f: return UNARY;
    default: return is_call(row) ? LOOSE : ATOM;
    }
}

static enum level level_of(enum lp_row row, bool cast, const struct expr *arg) {
    if (cast) return UNARY;
    switch (row) {
    case LP_OP_mov:
    case LP_OP_pin: return arg->level;
    case LP_OP_mul_nw:
    case LP_OP_fmul:
    case LP_OP_mull: return PRODUCT;
    case LP_OP_cvt:
    case LP_OP_sat:
    case LP_OP_i2f:
    case LP_OP_i2d:
    case LP_OP_f2d:
    case LP_OP_d2f: return UNARY;
    default: return is_call(row) ? ATOM : LOOSE;
    }
}

/* Nearest value of the result type; only the comparisons that can matter. */
static void add_saturating(struct oct_text *t, const struct expr *x, enum lp_elem from, enum lp_elem to) {
    oct_text_addf(t, "(%s)(", c_types[to]);
    if (lp_elem_min(from) < lp_elem_min(to)) {
        oct_text_addf(t, "%s < ", x->text);
        add_int(t, from, lp_elem_min(to));
        oct_text_add(t, " ? ");
        add_int(t, from, lp_elem_min(to));
        oct_text_add(t, " : ");
    }
    if (lp_elem_max(from) > lp_elem_max(to)) {
        oct_text_addf(t, "%s > ", x->text);
        add_int(t, from, lp_elem_max(to));
        oct_text_add(t, " ? ");
        add_int(t, from, lp_elem_max(to));
        oct_text_add(t, " : ");
    }
    oct_text_addf(t, "%s)", x->text);
}

/* Fills in a template of loops.def. */
static struct expr spell(struct emitter *e, const struct lp_stmt *s) {
    const char *p = lp_row_info(s->row)->c[e->k->isa];
    if (!p) p = lp_row_info(s->row)->c[LP_ISA_C99];
    if (!p || e->k->reg[s->dst].type.lanes > 1) refuse(e, "no spelling for this ISA", lp_row_info(s->row)->name);
    struct lp_type dst = e->k->reg[s->dst].type;
    enum lp_elem from = s->nargs ? (enum lp_elem)s->arg[0].type.elem : (enum lp_elem)dst.elem;
    struct expr arg[LP_MAX_ARGS], x = {.level = LOOSE};
    for (int i = 0; i < s->nargs; i++) {
        arg[i] = operand(e, s->arg[i]);
        absorb(&x, &arg[i]);
    }
    struct oct_text t;
    oct_text_init(&t, e->a);
    const char *close = "";
    while (*p) {
        if (!strncmp(p, "%sat", 4)) {
            add_saturating(&t, &arg[0], from, (enum lp_elem)dst.elem);
            p += 4;
        } else if (*p == '@') {
            size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
            const char *name = p[len + 1] == '$' ? oct_sprintf(e->a, "%.*s%d", (int)len, p + 1, from == LP_I64 ? 64 : 32)
                                                 : oct_strndup(e->a, p + 1, len);
            use_helper(e, &t, name, strlen(name));
            p += len + (p[len + 1] == '$' ? 3 : 1);
        } else if (*p == '}') {
            oct_text_add(&t, close);
            p++;
        } else if (*p != '$') oct_text_addn(&t, p++, 1);
        else if (p[1] == 'N' || p[1] == 'R') {
            bool cast = p[1] == 'N' ? narrow((enum lp_elem)dst.elem) : dst.elem != LP_U32;
            if (cast) oct_text_addf(&t, "(%s)(", c_type(dst));
            close = cast ? ")" : "";
            p += 3;
        } else if (p[1] == 'T') {
            oct_text_add(&t, c_type(dst));
            p += 2;
        } else if (p[1] == 'i') {
            oct_text_addf(&t, "%" PRId64, s->imm);
            p += 2;
        } else if (p[1] == 'w' || p[1] == 'u') {
            int i = p[2] - 'a';
            enum lp_elem el = (enum lp_elem)s->arg[i].type.elem;
            add_unsigned(&t, &arg[i], s->arg[i], el, unsigned_type(el, p[1] == 'w' ? 32 : 8));
            p += 3;
        } else {
            add_operand(&t, &arg[p[1] - 'a'], place(s->row, p[1] - 'a'));
            p += 2;
        }
    }
    x.text = t.s ? t.s : "";
    x.level = level_of(s->row, *close != 0, &arg[0]);
    return x;
}

/* buffer[affine]: the verifier proved it within [0, size), and each partial sum within int32_t. */
static struct expr element(struct emitter *e, const struct lp_stmt *s) {
    const struct lp_buf *b = &e->k->buf[s->buf];
    struct expr x = {.level = ATOM, .loads = b->kind != LP_BUF_IN && b->kind != LP_BUF_CONST};
    struct oct_text t;
    oct_text_init(&t, e->a);
    oct_text_addf(&t, "%s[", e->n.buf[s->buf]);
    size_t start = t.len;
    if (llabs(s->addr.base) > INT32_MAX) refuse(e, "address constant out of range", b->name);
    for (int i = 0; i < s->addr.nterms; i++)
        if (llabs(s->addr.term[i].coef) > INT32_MAX) refuse(e, "address constant out of range", b->name);
    for (int i = 0; i < s->addr.nterms; i++) {
        int64_t c = s->addr.term[i].coef;
        if (!c) continue;
        oct_text_add(&t, t.len > start ? c < 0 ? " - " : " + " : c < 0 ? "-" : "");
        oct_text_add(&t, e->n.var[s->addr.term[i].var]);
        if (llabs(c) != 1) oct_text_addf(&t, " * %" PRId64, (int64_t)llabs(c));
    }
    if (s->addr.index.type.lanes) {
        struct expr index = operand(e, s->addr.index);
        absorb(&x, &index);
        bool alone = t.len == start && !s->addr.base;
        if (t.len > start) oct_text_add(&t, " + ");
        add_operand(&t, &index, alone ? LOOSE : PRODUCT);
    }
    if (t.len == start) oct_text_addf(&t, "%" PRId64, s->addr.base);
    else if (s->addr.base) oct_text_addf(&t, " %c %" PRId64, s->addr.base < 0 ? '-' : '+', (int64_t)llabs(s->addr.base));
    oct_text_add(&t, "]");
    x.text = t.s;
    return x;
}

/* ---- statements ---------------------------------------------------------------------------------------------------------------
 */

static void indent(struct emitter *e) {
    for (int i = 0; i <= e->depth; i++) oct_text_add(e->out, "    ");
}

static void assign(struct emitter *e, int32_t reg, const struct lp_stmt *s, const char *text) {
    indent(e);
    if (e->home[reg] == e->block && (!s || e->first[reg] == s)) oct_text_addf(e->out, "%s ", c_type(e->k->reg[reg].type));
    oct_text_addf(e->out, "%s = %s;\n", e->n.reg[reg], text);
}

static void flush_one(struct emitter *e, int32_t reg) {
    struct expr x = operand(e, (struct lp_val){e->k->reg[reg].type, reg, {0}});
    assign(e, reg, NULL, x.text);
}

/* Prints pending expressions that would change: those that read `reg`, or (memory) those that load; all of them with neither. */
static void flush(struct emitter *e, int32_t reg, bool memory) {
    for (int i = 0; i < e->npending;) {
        int32_t r = e->order[i];
        bool hit = (reg < 0 && !memory) || (memory && e->pending[r].loads);
        for (int j = 0; j < e->pending[r].nreads; j++) hit |= e->pending[r].read[j] == reg;
        if (hit) flush_one(e, r);
        else i++;
    }
}

static int mentions(const char *text, char operand_letter) {
    int n = 0;
    for (; *text; text++)
        n += text[0] == '$' && (text[1] == operand_letter || ((text[1] == 'w' || text[1] == 'u') && text[2] == operand_letter));
    return n;
}

static void print_statement(struct emitter *e, const struct lp_stmt *s) {
    if (s->kind == LP_STMT_NOTE) {
        flush(e, -1, false);
        indent(e);
        oct_text_add(e->out, "/* ");
        for (const char *p = s->name; *p; p++) {
            bool edge = (p[0] == '*' && p[1] == '/') || (p[0] == '/' && p[1] == '*');
            oct_text_addf(e->out, edge ? "%c " : "%c", (unsigned char)*p < 32 || (unsigned char)*p > 126 ? '?' : *p);
        }
        oct_text_add(e->out, " */\n");
        return;
    }
    if (s->mask.type.lanes || (s->kind == LP_STMT_STORE && s->arg[0].type.lanes > 1))
        refuse(e, "vector access without spelling", "access");
    if (s->kind == LP_STMT_STORE) {
        struct expr v = operand(e, s->arg[0]), at = element(e, s);
        flush(e, -1, true);
        indent(e);
        oct_text_addf(e->out, "%s = %s;\n", at.text, v.text);
        return;
    }
    if (s->dst < 0 || !e->live[s->dst]) return;
    struct expr x;
    if (s->kind == LP_STMT_LOAD) {
        if (e->k->reg[s->dst].type.lanes > 1) refuse(e, "vector access without spelling", "load");
        x = element(e, s);
    } else {
        const char *template = lp_row_info(s->row)->c[LP_ISA_C99];
        for (int i = 0; i < s->nargs; i++)
            if (!lp_is_imm(s->arg[i]) && e->pending[s->arg[i].reg].text && template &&
                (template[0] == '%' || mentions(template, (char)('a' + i)) > 1))
                flush_one(e, s->arg[i].reg);
        x = spell(e, s);
    }
    bool fold = !e->k->reg[s->dst].name && e->ndefs[s->dst] == 1 && e->nuses[s->dst] == 1 && e->home[s->dst] == e->block &&
                x.nreads < MAX_READS && strlen(x.text) < WIDTH - 40;
    if (fold) {
        e->pending[s->dst] = x;
        e->order[e->npending++] = s->dst;
        return;
    }
    flush(e, s->dst, false);
    assign(e, s->dst, s, x.text);
}

/* ---- what is live, and where registers are declared
 * ------------------------------------------------------------------------------ */

static void mark(struct emitter *e, struct lp_val v, bool *changed) {
    if (lp_is_imm(v) || !v.type.lanes || e->live[v.reg]) return;
    e->live[v.reg] = *changed = true;
}

static void find_live(struct emitter *e) {
    bool changed = true;
    while (changed) {
        changed = false;
        struct lp_walk w;
        lp_walk_start(&w, e->k);
        for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
            if (lp_is_loop(s) || !(s->kind == LP_STMT_STORE || (s->dst >= 0 && e->live[s->dst]))) continue;
            for (int i = 0; i < s->nargs; i++) mark(e, s->arg[i], &changed);
            mark(e, s->addr.index, &changed);
            mark(e, s->mask, &changed);
        }
    }
}

static int depth_of(const struct emitter *e, const struct lp_stmt *loop) {
    int d = 0;
    for (; loop; loop = e->parent[loop->var]) d++;
    return d;
}

static void occurs(struct emitter *e, int32_t reg, const struct lp_stmt *block, const struct lp_stmt *s) {
    if (!e->first[reg]) {
        e->first[reg] = s;
        e->home[reg] = block;
        return;
    }
    const struct lp_stmt *a = e->home[reg], *b = block;
    while (depth_of(e, a) > depth_of(e, b)) a = e->parent[a->var];
    while (depth_of(e, b) > depth_of(e, a)) b = e->parent[b->var];
    while (a != b) {
        a = e->parent[a->var];
        b = e->parent[b->var];
    }
    e->home[reg] = a;
}

static void find_homes(struct emitter *e) {
    struct lp_walk w;
    lp_walk_start(&w, e->k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (lp_is_loop(s)) {
            if (!w.leaving) e->parent[s->var] = w.depth > 1 ? w.open[w.depth - 2] : NULL;
            continue;
        }
        if (s->kind != LP_STMT_STORE && (s->dst < 0 || !e->live[s->dst])) continue;
        const struct lp_stmt *block = w.depth ? w.open[w.depth - 1] : NULL;
        struct lp_val reads[LP_MAX_ARGS + 2] = {s->addr.index, s->mask};
        for (int i = 0; i < s->nargs; i++) reads[i + 2] = s->arg[i];
        for (int i = 0; i < s->nargs + 2; i++)
            if (reads[i].type.lanes && !lp_is_imm(reads[i])) {
                e->nuses[reads[i].reg]++;
                occurs(e, reads[i].reg, block, s);
            }
        if (s->dst >= 0) {
            e->ndefs[s->dst]++;
            occurs(e, s->dst, block, s);
        }
    }
}

/* Registers at home in the block at work whose first assignment is in a loop inside it. */
static void declare(struct emitter *e, const int32_t *at_head, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        if (e->home[at_head[i]] != e->block) continue;
        indent(e);
        oct_text_addf(e->out, "%s %s;\n", c_type(e->k->reg[at_head[i]].type), e->n.reg[at_head[i]]);
    }
}

/* Live registers that cannot be declared where they are first assigned. */
static int32_t find_heads(struct emitter *e, int32_t *at_head) {
    int32_t n = 0;
    const struct lp_stmt **block_of_first = OCT_NEW_N(e->a, const struct lp_stmt *, e->k->nregs);
    struct lp_walk w;
    lp_walk_start(&w, e->k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));)
        if (!lp_is_loop(s) && s->dst >= 0 && e->first[s->dst] == s) block_of_first[s->dst] = w.depth ? w.open[w.depth - 1] : NULL;
    for (int32_t r = 0; r < e->k->nregs; r++)
        if (e->live[r] && e->home[r] != block_of_first[r]) at_head[n++] = r;
    return n;
}

/* ---- functions ----------------------------------------------------------------------------------------------------------------
 */

static void print_parameters(struct emitter *e) {
    const struct lp_kernel *k = e->k;
    for (int32_t i = 0; i < k->nbufs; i++) {
        bool constant = k->buf[i].kind == LP_BUF_IN || k->buf[i].kind == LP_BUF_CONST;
        oct_text_addf(e->out, "%s%s%s *restrict %s", i ? ", " : "", constant ? "const " : "", c_types[k->buf[i].elem],
                      e->n.buf[i]);
    }
    if (k->has_range) oct_text_addf(e->out, "%sint32_t lo, int32_t hi", k->nbufs ? ", " : "");
    else if (!k->nbufs) oct_text_add(e->out, "void");
}

static void print_unused(struct emitter *e) {
    bool *used = OCT_NEW_N(e->a, bool, e->k->nbufs);
    struct lp_walk w;
    lp_walk_start(&w, e->k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));)
        if (s->kind == LP_STMT_STORE || (s->kind == LP_STMT_LOAD && e->live[s->dst])) used[s->buf] = true;
    for (int32_t i = 0; i < e->k->nbufs; i++)
        if (!used[i]) oct_text_addf(e->out, "    (void)%s;\n", e->n.buf[i]);
}

void lp_emit_c(struct oct_text *out, const struct lp_kernel *k, const char *name, uint64_t *used_helpers) {
    struct oct_arena *a = oct_arena_new(k->cx);
    struct emitter e = {.k = k,
                        .a = a,
                        .out = out,
                        .n = lp_name_all(k, a),
                        .helpers = used_helpers,
                        .live = OCT_NEW_N(a, bool, k->nregs),
                        .ndefs = OCT_NEW_N(a, int32_t, k->nregs),
                        .nuses = OCT_NEW_N(a, int32_t, k->nregs),
                        .home = OCT_NEW_N(a, const struct lp_stmt *, k->nregs),
                        .first = OCT_NEW_N(a, const struct lp_stmt *, k->nregs),
                        .parent = OCT_NEW_N(a, const struct lp_stmt *, k->nvars),
                        .pending = OCT_NEW_N(a, struct expr, k->nregs),
                        .order = OCT_NEW_N(a, int32_t, k->nregs)};
    find_live(&e);
    find_homes(&e);
    int32_t *at_head = OCT_NEW_N(a, int32_t, k->nregs), nheads = find_heads(&e, at_head);
    oct_text_addf(out, "static void %s(", name);
    print_parameters(&e);
    oct_text_add(out, ") {\n");
    print_unused(&e);
    declare(&e, at_head, nheads);
    struct lp_walk w;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (!lp_is_loop(s)) {
            print_statement(&e, s);
            continue;
        }
        flush(&e, -1, false);
        if (w.leaving) {
            e.depth--;
            indent(&e);
            oct_text_add(out, "}\n");
            e.block = e.parent[s->var];
            continue;
        }
        const char *v = e.n.var[s->var];
        indent(&e);
        if (s->kind == LP_STMT_RANGE) oct_text_addf(out, "for (int32_t %s = lo; %s < hi; ++%s) {\n", v, v, v);
        else oct_text_addf(out, "for (int32_t %s = 0; %s < %" PRId64 "; ++%s) {\n", v, v, s->trip, v);
        e.depth++;
        e.block = s;
        declare(&e, at_head, nheads);
    }
    oct_text_add(out, "}\n");
    oct_arena_free(a);
}

void lp_emit_c_helpers(struct oct_text *out, uint64_t wanted) {
    for (int i = HELPER_COUNT - 1; i >= 0; i--) { /* helpers that wanted ones call stand above them */
        if (!(wanted >> i & 1)) continue;
        for (const char *p = helpers[i].text; (p = strchr(p, '@')); p++)
            for (int j = 0; j < i; j++) {
                size_t len = strlen(helpers[j].name);
                if (!strncmp(p + 1, helpers[j].name, len) && p[len + 1] == '(') wanted |= (uint64_t)1 << j;
            }
    }
    for (int i = 0; i < HELPER_COUNT; i++) {
        if (!(wanted >> i & 1)) continue;
        const char *p = helpers[i].text;
        for (const char *at; (at = strchr(p, '@')); p = at + 1) {
            oct_text_addn(out, p, (size_t)(at - p));
            oct_text_add(out, "oct_");
        }
        oct_text_add(out, p);
    }
}

void lp_emit_c_prologue(struct oct_text *out, bool floats) {
    oct_text_add(out, "/* Loops stay loops: gcc would make calls of some, to memmove too. */\n"
                      "#if defined __GNUC__ && !defined __clang__\n"
                      "#pragma GCC optimize(\"no-tree-loop-distribute-patterns\")\n"
                      "#endif\n");
    if (!floats) return;
    oct_text_add(out, "#ifdef __FAST_MATH__\n"
                      "#error \"octavo: results are defined by IEEE arithmetic; compile without -ffast-math\"\n"
                      "#endif\n"
                      "/* Multiply, then add: no contraction into one rounding. */\n"
                      "#if defined __clang__\n"
                      "#pragma STDC FP_CONTRACT OFF\n"
                      "#elif defined __GNUC__\n"
                      "#pragma GCC optimize(\"fp-contract=off\")\n"
                      "#else\n"
                      "#pragma STDC FP_CONTRACT OFF\n"
                      "#endif\n");
}
