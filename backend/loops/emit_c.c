/* emit_c.c - prints a kernel as a C99 function. Spellings are the templates of loops.def; this file knows statements, names,
 * literals and parentheses. Requires a verified kernel. What is never read is not printed; a temporary (a register without a
 * name) that is read once is written where it is read, as far as nothing between changes its value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c_text.h"

enum { WIDTH = 118 };

/* A pointer to where vector accesses of a block meet that differ by a constant: compilers take long over an address that is
 * written out at each, and make the same code of it. It points at the first of them, within the buffer. */
struct place {
    struct place *next;
    const char *name;
    int32_t buf;
    struct lp_addr at;
    int uses;
};

struct emitter {
    const struct lp_kernel *k;
    struct oct_arena *a;
    struct oct_text *out;
    struct lp_names n;
    struct lp_c_file *file;
    bool *live;     /* register is read by something that matters */
    int *mask_bits; /* register: bits of a lane, where it is a mask of several */
    int32_t *ndefs, *nuses;
    const struct lp_stmt **home;   /* innermost loop (NULL: the function) that holds all occurrences of a register */
    const struct lp_stmt **first;  /* its first occurrence */
    const struct lp_stmt **parent; /* by loop variable: the loop around that loop */
    struct place **places;         /* by loop variable: of that loop's own statements */
    struct lp_c_expr *pending;     /* register: expression not yet printed, text NULL otherwise */
    int32_t *order;                /* registers with a pending expression, oldest first */
    int npending;
    const struct lp_stmt *block; /* loop at work */
    const char *band;            /* variable of the range, where bands have pieces */
    int depth;
};

static bool is_constant(const struct lp_buf *b) { return b->kind == LP_BUF_IN || b->kind == LP_BUF_CONST; }

static const char *register_type(struct emitter *e, int32_t reg) {
    return lp_c_type(e->file, e->k->reg[reg].type, e->mask_bits[reg]);
}

/* One machine a file: its functions on vectors are spelled for one. */
static void use_vectors(struct emitter *e) {
    if (e->file->vectors && e->file->isa != e->k->isa) lp_c_refuse(e->file, "vectors of two ISAs", "file");
    e->file->vectors = true;
    e->file->isa = e->k->isa;
}

/* ---- expressions --------------------------------------------------------------------------------------------------------------
 */

static void read_register(struct lp_c_expr *x, int32_t reg) {
    for (int i = 0; i < x->nreads; i++)
        if (x->read[i] == reg) return;
    if (x->nreads < LP_C_MAX_READS) x->read[x->nreads++] = reg;
}

/* Takes a pending expression for its one use, or reads the register. */
static struct lp_c_expr operand(struct emitter *e, struct lp_val v) {
    struct lp_c_expr x = {.level = LP_C_ATOM};
    if (lp_is_imm(v)) return lp_c_literal(e->file, v);
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

static void absorb(struct lp_c_expr *into, const struct lp_c_expr *x) {
    into->loads |= x->loads;
    for (int i = 0; i < x->nreads; i++) read_register(into, x->read[i]);
}

/* Text of a value as an operand of several lanes: an immediate, or a mask, made like the register it stands beside. */
static const char *lanes_of(struct emitter *e, const struct lp_val v, const struct lp_c_expr *x, struct lp_type t, int bits) {
    if (t.lanes == 1) return x->text;
    if (lp_is_imm(v)) {
        const bool mask = t.elem == LP_MASK;
        return oct_sprintf(e->a, "%s(%s)", lp_c_splat(e->file, t, bits), mask ? (v.imm.i ? "-1" : "0") : x->text);
    }
    if (t.elem == LP_MASK && e->mask_bits[v.reg] != bits)
        return oct_sprintf(e->a, "%s(%s)", lp_c_mask_to(e->file, t.lanes, e->mask_bits[v.reg], bits), x->text);
    return x->text;
}

/* Accesses whose addresses are collected: those of vectors for AVX2, where the same code comes of them. For AVX-512, and where
 * unsigned bytes are broadcast, gcc's choice of registers was found to differ, to a layer's loss of 2 %; where weights of bytes
 * are streamed (dense layers), clang's: it spilled. */
static bool is_placed(const struct emitter *e, const struct lp_stmt *s) {
    if (e->k->isa != LP_ISA_AVX2 || s->mask.type.lanes || s->addr.index.type.lanes || !s->addr.nterms ||
        e->k->buf[s->buf].elem == LP_U8 || (e->k->buf[s->buf].kind == LP_BUF_CONST && e->k->buf[s->buf].elem == LP_I8))
        return false;
    if (s->kind == LP_STMT_LOAD) return e->live[s->dst] && e->k->reg[s->dst].type.lanes > 1;
    return s->kind == LP_STMT_STORE && s->arg[0].type.lanes > 1;
}

static bool on_vectors(const struct emitter *e, const struct lp_stmt *s) {
    for (int i = 0; i < s->nargs; i++)
        if (s->arg[i].type.lanes > 1) return true;
    if (s->kind == LP_STMT_OP && !lp_row_info(s->row)->c[LP_ISA_C99]) return true; /* a row about lanes, of one */
    return s->dst >= 0 && e->k->reg[s->dst].type.lanes > 1;
}

static struct lp_c_expr call(struct emitter *e, const struct lp_stmt *s, const struct lp_c_expr *arg) {
    const struct lp_type to = e->k->reg[s->dst].type;
    const int own = to.elem == LP_MASK ? e->mask_bits[s->dst] : 0;
    struct lp_type type[LP_MAX_ARGS];
    struct oct_text t;
    use_vectors(e);
    oct_text_init(&t, e->a);
    lp_row_operands(s, to, type);
    const int bits = lp_c_mask_bits(s->row, to, type, own);
    const bool convert = to.elem == LP_MASK && to.lanes > 1 && bits != own;
    if (convert) oct_text_addf(&t, "%s(", lp_c_mask_to(e->file, to.lanes, bits, own));
    if (s->row == LP_OP_mov || (to.lanes == 1 && (s->row == LP_OP_splat || s->row == LP_OP_repeat)))
        oct_text_add(&t, lanes_of(e, s->arg[0], &arg[0], type[0], bits));
    else if (s->row == LP_OP_splat || (s->row == LP_OP_repeat && type[0].lanes == 1)) {
        oct_text_addf(&t, "%s(", lp_c_splat(e->file, to, bits));
        oct_text_addf(&t, to.elem == LP_MASK ? "-(%s))" : "%s)", arg[0].text);
    } else {
        oct_text_addf(&t, "%s(", lp_c_row(e->file, s, to, type, bits));
        for (int i = 0; i < s->nargs; i++)
            oct_text_addf(&t, "%s%s", i ? ", " : "", lanes_of(e, s->arg[i], &arg[i], type[i], bits));
        if (strchr(lp_row_info(s->row)->signature, '#')) oct_text_addf(&t, ", %" PRId64, s->imm);
        oct_text_add(&t, ")");
    }
    if (convert) oct_text_add(&t, ")");
    return (struct lp_c_expr){.text = t.s, .level = LP_C_ATOM};
}

static struct lp_c_expr spell(struct emitter *e, const struct lp_stmt *s) {
    struct lp_c_expr arg[LP_MAX_ARGS], x, all = {0};
    for (int i = 0; i < s->nargs; i++) {
        arg[i] = operand(e, s->arg[i]);
        absorb(&all, &arg[i]);
    }
    if (on_vectors(e, s)) x = call(e, s, arg);
    else {
        const char *imm = oct_sprintf(e->a, "%" PRId64, s->imm);
        x = lp_c_fill(e->file, s->row, (enum lp_elem)e->k->reg[s->dst].type.elem, s->nargs, s->arg, arg, imm);
    }
    absorb(&x, &all);
    return x;
}

static bool same_terms(const struct lp_addr *a, const struct lp_addr *b) {
    if (a->nterms != b->nterms) return false;
    for (int i = 0; i < a->nterms; i++)
        if (a->term[i].var != b->term[i].var || a->term[i].coef != b->term[i].coef) return false;
    return true;
}

/* The place that the access, a statement of this loop, belongs to; NULL: none. */
static struct place *place_of(const struct emitter *e, const struct lp_stmt *loop, const struct lp_stmt *s) {
    for (struct place *p = loop && is_placed(e, s) ? e->places[loop->var] : NULL; p; p = p->next)
        if (p->buf == s->buf && same_terms(&p->at, &s->addr)) return p;
    return NULL;
}

/* buffer[affine]: the verifier proved it within [0, size), and each partial sum within int32_t. */
static struct lp_c_expr element(struct emitter *e, const struct lp_stmt *s) {
    const struct lp_buf *b = &e->k->buf[s->buf];
    struct lp_c_expr x = {.level = LP_C_ATOM, .loads = !is_constant(b)};
    const struct place *place = place_of(e, e->block, s);
    if (place && place->name) {
        x.text = oct_sprintf(e->a, "%s[%" PRId64 "]", place->name, s->addr.base - place->at.base);
        return x;
    }
    struct oct_text t;
    oct_text_init(&t, e->a);
    oct_text_addf(&t, "%s[", e->n.buf[s->buf]);
    size_t start = t.len;
    if (llabs(s->addr.base) > INT32_MAX) lp_c_refuse(e->file, "address constant out of range", b->name);
    for (int i = 0; i < s->addr.nterms; i++)
        if (llabs(s->addr.term[i].coef) > INT32_MAX) lp_c_refuse(e->file, "address constant out of range", b->name);
    for (int i = 0; i < s->addr.nterms; i++) {
        int64_t c = s->addr.term[i].coef;
        if (!c) continue;
        oct_text_add(&t, t.len > start ? c < 0 ? " - " : " + " : c < 0 ? "-" : "");
        oct_text_add(&t, e->n.var[s->addr.term[i].var]);
        if (llabs(c) != 1) oct_text_addf(&t, " * %" PRId64, (int64_t)llabs(c));
    }
    if (s->addr.index.type.lanes) {
        struct lp_c_expr index = operand(e, s->addr.index);
        absorb(&x, &index);
        bool alone = t.len == start && !s->addr.base;
        if (t.len > start) oct_text_add(&t, " + ");
        lp_c_add_operand(&t, &index, alone ? LP_C_LOOSE : LP_C_PRODUCT);
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
    if (e->home[reg] == e->block && (!s || e->first[reg] == s)) oct_text_addf(e->out, "%s ", register_type(e, reg));
    oct_text_addf(e->out, "%s = %s;\n", e->n.reg[reg], text);
}

static void flush_one(struct emitter *e, int32_t reg) {
    struct lp_c_expr x = operand(e, (struct lp_val){e->k->reg[reg].type, reg, {0}});
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

/* Type of what is loaded or stored; its mask, as wide as its lanes, text NULL where there is none. */
static struct lp_type access_type(struct emitter *e, const struct lp_stmt *s) {
    const struct lp_type t = s->kind == LP_STMT_LOAD ? e->k->reg[s->dst].type : s->arg[0].type;
    if (t.lanes > 1) use_vectors(e);
    return t;
}
static struct lp_c_expr mask_of(struct emitter *e, const struct lp_stmt *s) {
    struct lp_c_expr m = {0};
    if (!s->mask.type.lanes) return m;
    const struct lp_type t = access_type(e, s);
    m = operand(e, s->mask);
    m.text = lanes_of(e, s->mask, &m, lp_vector(LP_MASK, t.lanes), lp_elem_bits((enum lp_elem)t.elem));
    return m;
}

static int mentions(const char *text, char operand_letter) {
    int n = 0;
    for (; *text; text++)
        n += text[0] == '$' && (text[1] == operand_letter || ((text[1] == 'w' || text[1] == 'u') && text[2] == operand_letter));
    return n;
}

/* Is it a load of a word that the machine has an instruction for, or two at once? */
static bool is_word(const struct emitter *e, const struct lp_stmt *load, struct lp_type t) {
    return (e->k->isa == LP_ISA_DSP || e->k->isa == LP_ISA_MVE) && t.lanes * lp_elem_bits((enum lp_elem)t.elem) == 32 &&
           lp_align_of(e->k, load) % 4 == 0;
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
    if (s->kind == LP_STMT_STORE) {
        struct lp_c_expr v = operand(e, s->arg[0]), m = mask_of(e, s), at = element(e, s);
        flush(e, -1, true);
        indent(e);
        const struct lp_type t = access_type(e, s);
        if (t.lanes > 1) {
            oct_text_addf(e->out, "%s(&%s, %s%s%s);\n", lp_c_store(e->file, t, m.text != NULL), at.text,
                          lanes_of(e, s->arg[0], &v, t, 0), m.text ? ", " : "", m.text ? m.text : "");
        } else {
            if (m.text) oct_text_addf(e->out, "if (%s) ", m.text);
            oct_text_addf(e->out, "%s = %s;\n", at.text, v.text);
        }
        return;
    }
    if (s->kind == LP_STMT_OP && s->row == LP_OP_prefetch && e->k->isa != LP_ISA_C99) {
        struct lp_c_expr at = element(e, s);
        indent(e);
        oct_text_addf(e->out, "__builtin_prefetch(&%s);\n", at.text);
        return;
    }
    if (s->dst < 0 || !e->live[s->dst]) return;
    struct lp_c_expr x;
    if (s->kind == LP_STMT_LOAD) {
        const struct lp_type t = access_type(e, s);
        struct lp_c_expr m = mask_of(e, s);
        x = element(e, s);
        absorb(&x, &m);
        if (t.lanes > 1)
            x.text = oct_sprintf(e->a, "%s(&%s%s%s)", lp_c_load(e->file, t, m.text != NULL, !m.text && is_word(e, s, t)), x.text,
                                 m.text ? ", " : "", m.text ? m.text : "");
        else if (m.text) {
            x.text = oct_sprintf(e->a, "%s ? %s : 0", m.text, x.text);
            x.level = LP_C_LOOSE;
        }
    } else {
        const char *template = lp_row_info(s->row)->c[LP_ISA_C99];
        for (int i = 0; i < s->nargs; i++)
            if (!lp_is_imm(s->arg[i]) && e->pending[s->arg[i].reg].text && template && !on_vectors(e, s) &&
                (template[0] == '%' || mentions(template, (char)('a' + i)) > 1))
                flush_one(e, s->arg[i].reg);
        x = spell(e, s);
    }
    bool fold = !e->k->reg[s->dst].name && e->ndefs[s->dst] == 1 && e->nuses[s->dst] == 1 && e->home[s->dst] == e->block &&
                x.nreads < LP_C_MAX_READS && strlen(x.text) < WIDTH - 40;
    if (fold) {
        e->pending[s->dst] = x;
        e->order[e->npending++] = s->dst;
        return;
    }
    flush(e, s->dst, false);
    assign(e, s->dst, s, x.text);
}

/* Finds the places of a loop that is being opened, and declares those of several accesses. */
static void print_places(struct emitter *e, const struct lp_stmt *loop) {
    for (const struct lp_stmt *s = loop->body; s; s = s->next) {
        if (lp_is_loop(s) || !is_placed(e, s)) continue;
        struct place *p = place_of(e, loop, s);
        if (!p) {
            p = OCT_NEW(e->a, struct place);
            *p = (struct place){.next = e->places[loop->var], .buf = s->buf, .at = s->addr};
            e->places[loop->var] = p;
        }
        if (s->addr.base < p->at.base) p->at.base = s->addr.base;
        p->uses++;
    }
    for (struct place *p = e->places[loop->var]; p; p = p->next) {
        if (p->uses < 2) continue;
        const struct lp_buf *b = &e->k->buf[p->buf];
        const struct lp_stmt first = {.kind = LP_STMT_NOTE, .buf = p->buf, .addr = p->at};
        const struct lp_c_expr x = element(e, &first);
        p->name = lp_name_more(&e->n, oct_sprintf(e->a, "%s_at", e->n.buf[p->buf]));
        indent(e);
        oct_text_addf(e->out, "%s%s *%s = &%s;\n", is_constant(b) ? "const " : "", lp_c_scalar(b->elem), p->name, x.text);
    }
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

/* A mask is as wide as what it was first made of, so that what it guards need not be converted to it. */
static void find_mask_bits(struct emitter *e) {
    struct lp_walk w;
    lp_walk_start(&w, e->k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (lp_is_loop(s) || s->kind != LP_STMT_OP || s->dst < 0) continue;
        const struct lp_type to = e->k->reg[s->dst].type;
        if (to.elem != LP_MASK || to.lanes == 1 || e->mask_bits[s->dst]) continue;
        int bits = 8;
        for (int i = s->nargs; i-- > 0;)
            if (!lp_is_imm(s->arg[i]) && s->arg[i].type.elem == LP_MASK && e->mask_bits[s->arg[i].reg])
                bits = e->mask_bits[s->arg[i].reg];
        const struct lp_type arg = s->arg[0].type;
        e->mask_bits[s->dst] = lp_c_mask_bits(s->row, to, &arg, bits);
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
        oct_text_addf(e->out, "%s %s;\n", register_type(e, at_head[i]), e->n.reg[at_head[i]]);
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
        oct_text_addf(e->out, "%s%s%s *restrict %s", i ? ", " : "", is_constant(&k->buf[i]) ? "const " : "",
                      lp_c_scalar(k->buf[i].elem), e->n.buf[i]);
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

/* `unit` of `units` in turns of a loop. */
static const char *turns(struct emitter *e, const char *unit, int64_t trip, int64_t units) {
    return trip == units ? unit : oct_sprintf(e->a, "(int32_t)((int64_t)%s * %" PRId64 " / %" PRId64 ")", unit, trip, units);
}
static void print_loop(struct emitter *e, const struct lp_stmt *s) {
    const struct lp_kernel *k = e->k;
    const char *v = e->n.var[s->var], *from = "0", *to = oct_sprintf(e->a, "%" PRId64, s->trip);
    if (s->kind == LP_STMT_RANGE && k->pieces > 1) {
        e->band = v;
        from = oct_sprintf(e->a, "lo / %" PRId64, k->pieces);
        to = oct_sprintf(e->a, "(lo < hi ? (hi + %" PRId64 ") / %" PRId64 " : 0)", k->pieces - 1, k->pieces);
    } else if (s->kind == LP_STMT_RANGE) {
        from = turns(e, "lo", s->trip, k->bands);
        to = turns(e, "hi", s->trip, k->bands);
    } else if (s->kind == LP_STMT_PIECE) {
        const char *first = oct_sprintf(e->a, "(%s * %" PRId64 " + %" PRId64 ")", e->band, k->pieces, s->first);
        from = oct_sprintf(e->a, "lo > %s ? lo - %s : 0", first, first);
        to = oct_sprintf(e->a, "(hi - %s < %" PRId64 " ? hi - %s : %" PRId64 ")", first, s->trip, first, s->trip);
    }
    oct_text_addf(e->out, "for (int32_t %s = %s; %s < %s; ++%s) {\n", v, from, v, to, v);
}

void lp_emit_c(struct oct_text *out, const struct lp_kernel *k, const char *name, struct lp_c_file *file) {
    struct oct_arena *a = oct_arena_new(k->cx);
    struct emitter e = {.k = k,
                        .a = a,
                        .out = out,
                        .n = lp_name_all(k, a),
                        .file = file,
                        .live = OCT_NEW_N(a, bool, k->nregs),
                        .mask_bits = OCT_NEW_N(a, int, k->nregs),
                        .ndefs = OCT_NEW_N(a, int32_t, k->nregs),
                        .nuses = OCT_NEW_N(a, int32_t, k->nregs),
                        .home = OCT_NEW_N(a, const struct lp_stmt *, k->nregs),
                        .first = OCT_NEW_N(a, const struct lp_stmt *, k->nregs),
                        .parent = OCT_NEW_N(a, const struct lp_stmt *, k->nvars),
                        .places = OCT_NEW_N(a, struct place *, k->nvars),
                        .pending = OCT_NEW_N(a, struct lp_c_expr, k->nregs),
                        .order = OCT_NEW_N(a, int32_t, k->nregs)};
    file->floats |= lp_has_floats(k);
    find_live(&e);
    find_mask_bits(&e);
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
        indent(&e);
        print_loop(&e, s);
        e.depth++;
        e.block = s;
        declare(&e, at_head, nheads);
        print_places(&e, s);
    }
    oct_text_add(out, "}\n");
    oct_arena_free(a);
}
