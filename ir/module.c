/* module.c - modules: lists of nodes in execution order, building, rewriting. Requires names, ops and infer.c. */
#include <string.h>

#include "infer.h"
#include "names.h"

struct oct_module *oct_module_new(struct oct_ctx *cx, const char *name) {
    struct oct_arena *a = oct_arena_new(cx);
    struct oct_module *m = OCT_NEW(a, struct oct_module);
    *m = (struct oct_module){.cx = cx, .arena = a, .name = oct_strdup(a, name), .names = oct_names_new(a)};
    for (unsigned i = 0; i < OCT_OPTION_COUNT; i++) m->option[i] = oct_option_info(i)->def;
    return m;
}

void oct_module_free(struct oct_module *m) {
    if (m) oct_arena_free(m->arena);
}

static bool is_const(const struct oct_node *n) { return n->op == OCT_OP_const; }

const char *oct_fresh_value_name(struct oct_module *m, const char *base) { return oct_names_fresh(m->names, base, false); }
const char *oct_fresh_const_name(struct oct_module *m, const char *base) { return oct_names_fresh(m->names, base, true); }
struct oct_node *oct_find_value(const struct oct_module *m, const char *name) {
    return oct_names_find(m->names, name, false);
}
struct oct_node *oct_find_const(const struct oct_module *m, const char *name) {
    return oct_names_find(m->names, name, true);
}

/* ---- the list ---- */

static void insert(struct oct_module *m, struct oct_node *n, struct oct_node *before) {
    n->next = before;
    n->prev = before ? before->prev : m->last;
    *(n->prev ? &n->prev->next : &m->first) = n;
    *(before ? &before->prev : &m->last) = n;
    m->nnodes++;
}

static void unlink_node(struct oct_module *m, struct oct_node *n) {
    *(n->prev ? &n->prev->next : &m->first) = n->next;
    *(n->next ? &n->next->prev : &m->last) = n->prev;
    if (m->cursor == n) m->cursor = n->next;
    n->prev = n->next = NULL;
    m->nnodes--;
}

/* ---- building ---- */

/* Copies what the caller's type points to into the module, so that no node borrows memory that a pass frees. */
static const struct oct_quant *own_quant(struct oct_module *m, const struct oct_quant *q) {
    if (!q) return NULL;
    struct oct_quant *copy = OCT_NEW(m->arena, struct oct_quant);
    *copy = *oct_quant_channel(m->arena, q->axis, q->n, q->scale, q->zero);
    copy->block = q->block;
    return copy;
}

static void own_attrs(struct oct_module *m, struct oct_attrs *at) {
    for (unsigned i = 0; i < OCT_ATTR_COUNT; i++) {
        if (oct_attr_info(i)->kind != OCT_KIND_STR) continue;
        const char **field = (void *)((char *)at + oct_attr_info(i)->offset);
        if (*field) *field = oct_strdup(m->arena, *field);
    }
}

static struct oct_node *new_node(struct oct_module *m, enum oct_op op, const struct oct_attrs *at, struct oct_span span) {
    struct oct_node *n = OCT_NEW(m->arena, struct oct_node);
    n->op = op;
    n->span = span;
    if (at) n->at = *at;
    else oct_attrs_init(&n->at);
    own_attrs(m, &n->at);
    return n;
}

/* Gives the node its name and its place; NULL after a diagnostic when the name is taken or no identifier. */
static struct oct_node *enter(struct oct_module *m, struct oct_node *n, const char *name) {
    const bool constant = is_const(n);
    if (!name) name = oct_names_fresh(m->names, oct_op_info(n->op)->name, constant);
    const struct oct_node *other = oct_names_find(m->names, name, constant);
    if (other) {
        oct_error(m->cx, n->span, OCT_E2001, "%s '%s%s' is defined twice", constant ? "constant" : "value", constant ? "@" : "",
                  name);
        oct_note(m->cx, other->span, "first defined here");
        oct_help(m->cx, "rename one of them, for example to '%s'", oct_names_fresh(m->names, name, constant));
        return NULL;
    }
    if (!oct_is_identifier(name)) {
        oct_error(m->cx, n->span, OCT_E2002, "'%.*s' is no name: letters, digits, '_' and '.', at most %d bytes, no digit first",
                  80, name, OCT_NAME_MAX);
        return NULL;
    }
    n->name = oct_strdup(m->arena, name);
    oct_names_put(m->names, n->name, constant, n);
    insert(m, n, m->cursor);
    return n;
}

struct oct_node *oct_build(struct oct_module *m, enum oct_op op, const char *name, struct oct_node *const *operand, int noperands,
                           const struct oct_attrs *at, const struct oct_type *declared, struct oct_span span) {
    struct oct_node *n = new_node(m, op, at, span);
    n->name = name; /* for diagnostics, until it has one of its own */
    n->noperands = noperands;
    n->operand = OCT_NEW_N(m->arena, struct oct_node *, noperands);
    for (int i = 0; i < noperands; i++) n->operand[i] = oct_resolve(operand[i]);
    if (!oct_infer_declared(m->cx, n, declared)) return NULL;
    if (n->type.q && !(noperands && n->operand[0] && n->type.q == n->operand[0]->type.q)) n->type.q = own_quant(m, n->type.q);
    return enter(m, n, name);
}

struct oct_node *oct_build_input(struct oct_module *m, const char *name, const struct oct_type *t, struct oct_span span) {
    return oct_build(m, OCT_OP_input, name, NULL, 0, NULL, t, span);
}

struct oct_node *oct_build_const(struct oct_module *m, const char *name, const struct oct_type *t, const void *data,
                                 struct oct_span span) {
    struct oct_node *n = oct_build(m, OCT_OP_const, name, NULL, 0, NULL, t, span);
    if (n) n->data = data;
    return n;
}

struct oct_node *oct_build_const_copy(struct oct_module *m, const char *name, const struct oct_type *t, const void *data,
                                      struct oct_span span) {
    struct oct_node *n = oct_build_const(m, name, t, NULL, span);
    if (!n) return NULL;
    const size_t bytes = (size_t)oct_type_elements(&n->type, 1) * oct_dtype_size(n->type.dtype);
    void *copy = oct_alloc(m->arena, bytes);
    if (bytes) memcpy(copy, data, bytes);
    n->data = copy;
    return n;
}

void oct_add_output(struct oct_module *m, const char *name, struct oct_node *n, struct oct_span span) {
    const uint32_t k = m->noutputs;
    if ((k & (k - 1)) == 0) { /* full at every power of two */
        struct oct_output *more = OCT_NEW_N(m->arena, struct oct_output, k ? 2 * (size_t)k : 1);
        if (k) memcpy(more, m->output, k * sizeof *more);
        m->output = more;
    }
    m->output[m->noutputs++] =
        (struct oct_output){.name = oct_strdup(m->arena, name ? name : n->name), .node = oct_resolve(n), .span = span};
}

/* ---- rewriting ---- */

void oct_replace(struct oct_module *m, struct oct_node *old, struct oct_node *by) {
    by = oct_resolve(by);
    OCT_CHECK(m->cx, !old->fwd);
    OCT_CHECK(m->cx, old != by);
    old->fwd = by;
}

void oct_rename(struct oct_module *m, struct oct_node *n, const char *name) {
    const bool constant = is_const(n);
    const struct oct_node *other = oct_names_find(m->names, name, constant);
    if (other == n) return;
    OCT_CHECK(m->cx, !other && oct_is_identifier(name));
    if (oct_names_find(m->names, n->name, constant) == n) oct_names_drop(m->names, n->name, constant);
    n->name = oct_strdup(m->arena, name);
    oct_names_put(m->names, n->name, constant, n);
}

void oct_replace_named(struct oct_module *m, struct oct_node *old, struct oct_node *by) {
    by = oct_resolve(by);
    oct_replace(m, old, by);
    if (is_const(old) == is_const(by)) {
        oct_names_drop(m->names, old->name, is_const(old)); /* the old node keeps the text until it leaves, for diagnostics */
        oct_rename(m, by, old->name);
    }
    if (OCT_HAS(old->at, from)) OCT_SET(by->at, from, old->at.from);
    if (OCT_HAS(old->at, doc)) OCT_SET(by->at, doc, old->at.doc);
}

static void take_out(struct oct_module *m, struct oct_node *n) {
    if (n->name && oct_names_find(m->names, n->name, is_const(n)) == n) oct_names_drop(m->names, n->name, is_const(n));
    unlink_node(m, n);
}

void oct_remove(struct oct_module *m, struct oct_node *n) { take_out(m, n); }

/* Follows a chain of replacements and shortens it, so that long chains cost linear time. */
static struct oct_node *settle_one(struct oct_node *n) {
    struct oct_node *end = oct_resolve(n);
    while (n && n->fwd) {
        struct oct_node *next = n->fwd;
        n->fwd = end;
        n = next;
    }
    return end;
}

static void place_const(struct oct_module *m, struct oct_node *c, struct oct_node *before) {
    if (!c || !is_const(c) || c->mark) return;
    c->mark = 1;
    unlink_node(m, c);
    insert(m, c, before);
}

void oct_module_settle(struct oct_module *m) {
    m->cursor = NULL;
    OCT_FOR_NODES(m, n) {
        n->mark = 0;
        for (int i = 0; i < n->noperands; i++) n->operand[i] = settle_one(n->operand[i]);
    }
    for (uint32_t i = 0; i < m->noutputs; i++) m->output[i].node = settle_one(m->output[i].node);
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (n->fwd) take_out(m, n);
    }
    /* Constants go to just before their first use, in operand order; those of outputs alone to the end; unused ones leave. So the
     * place of a constant, which a text with a weights file does not tell, follows from its uses. */
    OCT_FOR_NODES(m, n)
    for (int i = 0; i < n->noperands; i++) place_const(m, n->operand[i], n);
    for (uint32_t i = 0; i < m->noutputs; i++) place_const(m, m->output[i].node, NULL);
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (is_const(n) && !n->mark) take_out(m, n);
    }
}

void oct_count_uses(struct oct_module *m) {
    OCT_FOR_NODES(m, n) n->nuses = 0;
    OCT_FOR_NODES(m, n)
    for (int i = 0; i < n->noperands; i++)
        if (n->operand[i]) oct_resolve(n->operand[i])->nuses++;
    for (uint32_t i = 0; i < m->noutputs; i++) oct_resolve(m->output[i].node)->nuses++;
}

/* ---- copying ---- */

struct oct_module *oct_module_clone(const struct oct_module *m, struct oct_ctx *cx) {
    struct oct_module *c = oct_module_new(cx, m->name);
    c->doc = m->doc ? oct_strdup(c->arena, m->doc) : NULL;
    c->after = m->after ? oct_strdup(c->arena, m->after) : NULL;
    memcpy(c->option, m->option, sizeof c->option);
    c->option_set = m->option_set;
    c->nrules = m->nrules;
    c->rule = OCT_NEW_N(c->arena, struct oct_rule, m->nrules);
    for (uint32_t i = 0; i < m->nrules; i++) {
        c->rule[i] = m->rule[i];
        if (c->rule[i].pattern) c->rule[i].pattern = oct_strdup(c->arena, c->rule[i].pattern);
        for (unsigned k = 0; k < OCT_QRULE_COUNT; k++)
            if (m->rule[i].set >> k & 1u) oct_qrule_copy(c->arena, &c->rule[i].q, &m->rule[i].q, k);
    }
    /* Each original's tag points to its copy while cloning; the tags are restored afterwards. */
    void **saved = OCT_NEW_N(c->arena, void *, m->nnodes);
    uint32_t k = 0;
    OCT_FOR_NODES(m, n) {
        OCT_CHECK(cx, !n->fwd); /* settled modules only */
        struct oct_node *copy = new_node(c, n->op, &n->at, n->span);
        copy->type = n->type;
        copy->type.q = own_quant(c, n->type.q);
        copy->data = n->data;
        copy->noperands = n->noperands;
        copy->operand = OCT_NEW_N(c->arena, struct oct_node *, n->noperands);
        for (int i = 0; i < n->noperands; i++) copy->operand[i] = n->operand[i] ? n->operand[i]->tag : NULL;
        saved[k++] = n->tag;
        n->tag = copy;
        copy->name = oct_strdup(c->arena, n->name);
        oct_names_put(c->names, copy->name, is_const(copy), copy);
        insert(c, copy, NULL);
    }
    for (uint32_t i = 0; i < m->noutputs; i++) oct_add_output(c, m->output[i].name, m->output[i].node->tag, m->output[i].span);
    k = 0;
    OCT_FOR_NODES(m, n) n->tag = saved[k++];
    return c;
}
