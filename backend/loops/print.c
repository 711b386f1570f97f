/* print.c - the canonical text of a kernel: equal text = equal kernel, names included. For people, goldens and for finding equal
 * kernels; C is printed by emit_c.c. */
#include <stdio.h>

#include "rows.h"

static const char *const kinds[] = {
    [LP_BUF_IN] = "in", [LP_BUF_OUT] = "out", [LP_BUF_INOUT] = "inout", [LP_BUF_CONST] = "const", [LP_BUF_SCRATCH] = "scratch"};
static const char *const tails[] = {
    [LP_TAIL_NONE] = "", [LP_TAIL_OVERREAD] = " overread", [LP_TAIL_MASK] = " mask", [LP_TAIL_OVERLAP] = " overlap"};

static void print_type(struct oct_text *out, struct lp_type t) {
    oct_text_add(out, lp_elem_name((enum lp_elem)t.elem));
    if (t.lanes > 1) oct_text_addf(out, "x%d", t.lanes);
}

static void print_value(struct oct_text *out, const struct lp_names *n, struct lp_val v) {
    if (!lp_is_imm(v)) oct_text_add(out, n->reg[v.reg]);
    else if (v.type.elem == LP_F32) oct_text_add_f32(out, (float)v.imm.f);
    else if (v.type.elem == LP_F64) oct_text_addf(out, "%.17g", v.imm.f);
    else oct_text_addf(out, "%lld", (long long)v.imm.i);
}

static void print_access(struct oct_text *out, const struct lp_names *n, const struct lp_stmt *s) {
    oct_text_addf(out, "%s[", n->buf[s->buf]);
    for (int i = 0; i < s->addr.nterms; i++)
        oct_text_addf(out, "%lld*%s + ", (long long)s->addr.term[i].coef, n->var[s->addr.term[i].var]);
    oct_text_addf(out, "%lld", (long long)s->addr.base);
    if (s->addr.index.type.lanes)
        oct_text_addf(out, " + %s in %lld..%lld", n->reg[s->addr.index.reg], (long long)s->addr.index_min,
                      (long long)s->addr.index_max);
    oct_text_add(out, "]");
    if (s->mask.type.lanes) {
        oct_text_add(out, " mask ");
        print_value(out, n, s->mask);
    }
}

static void print_statement(struct oct_text *out, const struct lp_kernel *k, const struct lp_names *n, const struct lp_stmt *s) {
    if (s->dst >= 0) {
        oct_text_addf(out, "%s : ", n->reg[s->dst]);
        print_type(out, k->reg[s->dst].type);
        oct_text_add(out, " = ");
    }
    if (s->kind == LP_STMT_NOTE) oct_text_addf(out, "# %s", s->name);
    else if (s->kind == LP_STMT_OP) oct_text_add(out, lp_row_info(s->row)->name);
    if (s->buf >= 0) print_access(out, n, s);
    if (s->kind == LP_STMT_STORE) oct_text_add(out, " =");
    for (int i = 0; i < s->nargs; i++) {
        oct_text_add(out, i ? ", " : " ");
        print_value(out, n, s->arg[i]);
    }
    const char *signature = s->kind == LP_STMT_OP ? lp_row_info(s->row)->signature : "";
    for (; *signature; signature++)
        if (*signature == '#') oct_text_addf(out, ", %lld", (long long)s->imm);
    for (int i = 0; s->shuffle && i < k->reg[s->dst].type.lanes; i++)
        oct_text_addf(out, "%s%d", i ? " " : ", lanes ", s->shuffle[i]);
    oct_text_add(out, "\n");
}

void lp_print(struct oct_text *out, const struct lp_kernel *k) {
    struct oct_arena *a = oct_arena_new(k->cx);
    struct lp_names n = lp_name_all(k, a);
    for (int32_t i = 0; i < k->nbufs; i++) {
        const struct lp_buf *b = &k->buf[i];
        oct_text_addf(out, "%s %s : %s[%lld] align %d%s", kinds[b->kind], n.buf[i], lp_elem_name(b->elem), (long long)b->size,
                      b->align, tails[b->tail]);
        if (b->overread) oct_text_addf(out, " %lld", (long long)b->overread);
        oct_text_add(out, "\n");
    }
    if (k->has_range && k->pieces > 1) oct_text_addf(out, "pieces %lld\n", (long long)k->pieces);
    static const char *const loops[] = {[LP_STMT_FOR] = "for", [LP_STMT_RANGE] = "range", [LP_STMT_PIECE] = "piece"};
    struct lp_walk w;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        bool loop = lp_is_loop(s);
        if (loop && w.leaving) continue;
        for (int i = loop ? 1 : 0; i < w.depth; i++) oct_text_add(out, "  ");
        if (loop) oct_text_addf(out, "%s %s < %lld", loops[s->kind], n.var[s->var], (long long)s->trip);
        if (loop && s->first) oct_text_addf(out, " from %lld", (long long)s->first);
        if (loop) oct_text_add(out, "\n");
        else print_statement(out, k, &n, s);
    }
    oct_arena_free(a);
}
