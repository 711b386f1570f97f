/* elim_table.c - codes -> dequantize -> pointwise ops -> quantize is one function of 256 codes (or 16): a table, made by running
 * that very chain in the interpreter. Exact by construction, and the target needs no libm.
 *
 * Pointwise are the ops of that flag, and add, sub and mul with a single number. A chain goes on through codes that only it
 * reads, so tables of tables become one. */
#include <string.h>

#include "elim.h"

enum { MAX_CHAIN = 32, MAX_CODES = 256 };

static bool is_number(const struct oct_node *n) { return oct_const_floats(n) && oct_type_elements(&n->type, 1) == 1; }

/* Index of the operand that a pointwise node is a function of; -1 for any other node. */
static int variable(const struct oct_node *n) {
    if (oct_has_flag(n, OCT_POINTWISE) || n->op == OCT_OP_lut) return 0;
    if (n->op != OCT_OP_add && n->op != OCT_OP_sub && n->op != OCT_OP_mul) return -1;
    const struct oct_node *a = oct_operand(n, 0), *b = oct_operand(n, 1);
    if (oct_shape_equal(&n->type, &a->type) && is_number(b)) return 0;
    return oct_shape_equal(&n->type, &b->type) && is_number(a) ? 1 : -1;
}

static bool few_codes(const struct oct_type *t) {
    return t->q && t->q->axis < 0 && (t->dtype == OCT_I8 || t->dtype == OCT_U8 || t->dtype == OCT_I4 || t->dtype == OCT_U4);
}

/* The chain that ends in q: step[0] = q, then towards the source, which is the operand of the last step. */
struct chain {
    const struct oct_node *step[MAX_CHAIN];
    int n;
    struct oct_node *source;
    bool computes; /* more than quantize and dequantize: those alone are a requantize */
};

static bool collect(const struct oct_module *m, const struct oct_node *q, struct chain *c) {
    struct oct_node *best = NULL;
    int length = 0;
    bool computes = false, alone = true; /* alone: what was passed so far has no reader but the chain */
    const struct oct_node *at = q;
    while (c->n < MAX_CHAIN) {
        const bool carries = at->op == OCT_OP_quantize || at->op == OCT_OP_dequantize || at->op == OCT_OP_requantize;
        const int operand = carries ? 0 : variable(at);
        if (operand < 0 || oct_kept_float(m, at)) break;
        c->step[c->n++] = at;
        computes |= !carries;
        struct oct_node *x = oct_operand(at, operand);
        if (x->type.q && x->type.q->axis >= 0) break;  /* a function of the code and its channel */
        if (few_codes(&x->type) && (!best || alone)) { /* the chain may start here */
            best = x;
            length = c->n;
            c->computes = computes;
        }
        alone &= x->nuses == 1;
        if (best && !alone) break; /* going on would compute again what others need anyway */
        at = x;
    }
    c->source = best;
    c->n = length;
    return best != NULL;
}

/* Runs the chain on all codes of the source; table[i] is the result for the i-th code. */
static void *run_chain(struct oct_module *m, const struct chain *c, size_t *bytes, int *ncodes) {
    struct oct_module *side = oct_module_new(m->cx, "table");
    struct oct_type t = c->source->type;
    const int64_t lowest = oct_dtype_min(t.dtype);
    *ncodes = (int)(oct_dtype_max(t.dtype) - lowest + 1);
    t.rank = 1;
    t.dim[0] = *ncodes;
    struct oct_node *in = oct_build_input(side, "codes", &t, c->source->span), *x = in;
    OCT_CHECK(m->cx, in);
    for (int i = c->n - 1; i >= 0; i--) {
        const struct oct_node *s = c->step[i];
        const int k = variable(s) > 0;
        struct oct_node *operand[2] = {x, x};
        if (s->noperands == 2) {
            const struct oct_node *other = oct_operand(s, 1 - k);
            operand[1 - k] = oct_build_const(side, oct_fresh_const_name(side, "k"), &other->type, other->data, s->span);
        }
        struct oct_type declared = s->type;
        declared.rank = x->type.rank;
        memcpy(declared.dim, x->type.dim, sizeof declared.dim);
        /* a number of rank r makes the result rank r: only results with parameters need their type declared, and keep x's shape
         */
        struct oct_attrs at = s->at;
        x = oct_make(side, s->op, s->name, operand, s->noperands, &at, declared.q ? &declared : NULL, s->span);
    }
    oct_add_output(side, "y", x, x->span);
    struct oct_exec *ex = oct_exec_new(m->cx, side, 1);
    OCT_CHECK(m->cx, ex);
    int8_t *code = oct_exec_value(ex, in)->data;
    for (int i = 0; i < *ncodes; i++) code[i] = (int8_t)(lowest + i);
    oct_exec_run(ex, NULL, NULL);
    *bytes = (size_t)*ncodes * oct_dtype_size(x->type.dtype);
    void *table = memcpy(oct_alloc(m->arena, *bytes), oct_exec_value(ex, x)->data, *bytes);
    oct_exec_free(ex);
    oct_module_free(side);
    return table;
}

struct oct_node *oct_elim_table(struct oct_module *m, const struct oct_node *q) {
    struct chain c = {.n = 0};
    if (!oct_is_activation(&q->type) || !collect(m, q, &c) || !c.computes) return NULL;
    size_t bytes;
    int ncodes;
    void *data = run_chain(m, &c, &bytes, &ncodes);
    const struct oct_node *last =
        oct_operand(q, 0)->op == OCT_OP_dequantize ? q : oct_operand(q, 0); /* the float value that q rounds */
    const struct oct_type tt = {.dtype = q->type.dtype, .rank = 1, .dim = {ncodes}};
    struct oct_node *operand[2] = {c.source, oct_new_const(m, last->name, "table", &tt, data, q->span)};
    struct oct_node *by = oct_make(m, OCT_OP_lut, last->name, operand, 2, NULL, &q->type, last->span);
    by->nuses = q->nuses;
    return by;
}
