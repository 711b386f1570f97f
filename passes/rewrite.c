/* rewrite.c - small things that several passes do to a graph. */
#include <stdio.h>

#include "rewrite.h"

void oct_resolve_operands(struct oct_node *n) {
    for (int i = 0; i < n->noperands; i++) n->operand[i] = oct_resolve(n->operand[i]);
}

bool oct_kept_float(const struct oct_module *m, const struct oct_node *n) {
    if (n->at.dynamic) return true;
    if (!m->nrules || oct_has_flag(n, OCT_QDQ)) return false;
    const uint8_t act = oct_qconfig_for(m, n).act;
    return act == OCT_ACT_FLOAT || act == OCT_ACT_DYNAMIC;
}

const char *oct_kept_float_why(const struct oct_module *m, const struct oct_node *n) {
    if (n->at.dynamic) return "float, but for its products: codes by the range at run time";
    return oct_qconfig_for(m, n).act == OCT_ACT_FLOAT ? "float: a rule keeps it float (act=float)"
                                                      : "float: it has no constant weights that act=dynamic could make codes";
}

void oct_note_origin(const struct oct_module *m, struct oct_node *n) {
    n->tag = oct_has_flag(n, OCT_SHARESQ) && !oct_kept_float(m, n) ? oct_origin(oct_operand(n, 0)) : n;
}

struct oct_reach oct_codes_of_bits(int bits, bool with_sign) {
    const int32_t half = 1 << (bits - 1);
    return with_sign ? (struct oct_reach){-half, half - 1} : (struct oct_reach){0, 2 * half - 1};
}

struct oct_reach oct_observed_codes(const struct oct_node *o) {
    struct oct_reach r = {(int32_t)oct_dtype_min(o->at.to), (int32_t)oct_dtype_max(o->at.to)};
    const int32_t least = r.lo;
    if (o->at.reduced) r = (struct oct_reach){r.lo / 2, r.hi / 2};
    if (o->at.bits > 0) {
        const struct oct_reach few = oct_codes_of_bits((int)o->at.bits, least < 0);
        r = (struct oct_reach){r.lo > few.lo ? r.lo : few.lo, r.hi < few.hi ? r.hi : few.hi};
    }
    if (o->at.narrow) r.lo++;
    return r;
}

const char *oct_suffixed(struct oct_module *m, const char *base, const char *suffix) {
    return oct_sprintf(m->arena, "%s.%s", base, suffix);
}

struct oct_node *oct_new_const(struct oct_module *m, const char *base, const char *suffix, const struct oct_type *t,
                               const void *data, struct oct_span span) {
    struct oct_node *n = oct_build_const(m, oct_fresh_const_name(m, oct_suffixed(m, base, suffix)), t, data, span);
    if (!n) oct_internal(m->cx, span, "a pass built an illegal constant '%s.%s'", base, suffix);
    return n;
}

struct oct_node *oct_make(struct oct_module *m, enum oct_op op, const char *name, struct oct_node *const *operand, int noperands,
                          const struct oct_attrs *at, const struct oct_type *declared, struct oct_span span) {
    const char *fresh = oct_fresh_value_name(m, name ? name : oct_op_info(op)->name);
    struct oct_node *n = oct_build(m, op, fresh, operand, noperands, at, declared, span);
    if (!n) oct_internal(m->cx, span, "a pass built an illegal %s '%s'", oct_op_info(op)->name, fresh);
    return n;
}

struct oct_node *oct_build_like(struct oct_module *m, const struct oct_node *n, struct oct_node *const *operand, int noperands,
                                const struct oct_type *declared) {
    struct oct_attrs at = n->at;
    at.why = NULL;
    OCT_DROP(at, why);
    return oct_make(m, n->op, n->name, operand, noperands, &at, declared, n->span);
}

void oct_set_why(struct oct_module *m, struct oct_node *n, const char *fmt, ...) {
    struct oct_text t;
    va_list ap;
    oct_text_init(&t, m->arena);
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    OCT_SET(n->at, why, t.s);
}

unsigned oct_sweep(struct oct_module *m) {
    unsigned gone = 0;
    oct_module_settle(m);
    oct_count_uses(m);
    for (struct oct_node *n = m->last, *prev; n; n = prev) { /* users stand behind: one walk from the end finds all */
        prev = n->prev;
        if (n->nuses || n->op == OCT_OP_input) continue;
        for (int i = 0; i < n->noperands; i++)
            if (n->operand[i]) n->operand[i]->nuses--;
        gone += n->op != OCT_OP_const;
        oct_remove(m, n);
    }
    return gone;
}
