/* verify.c - whole modules: order, names, data, outputs; and every node anew through infer.c. Linear in the number of operands.
 */
#include <string.h>

#include "infer.h"
#include "names.h"

static bool check_order(struct oct_module *m) {
    bool ok = true;
    OCT_FOR_NODES(m, n) n->mark = 0;
    OCT_FOR_NODES(m, n) {
        for (int i = 0; i < n->noperands; i++) {
            const struct oct_node *x = n->operand[i];
            if (!x || (x->mark && !x->fwd)) continue;
            ok = oct_misuse(m->cx, n, OCT_E2301, "operand %s is used before it is defined", oct_quoted(m->cx, x));
            oct_note_operand(m->cx, n, i);
        }
        n->mark = 1;
    }
    return ok;
}

static bool check_leaf(struct oct_module *m, const struct oct_node *n) {
    const bool constant = n->op == OCT_OP_const;
    if (!n->name || !oct_is_identifier(n->name) || oct_names_find(m->names, n->name, constant) != n)
        return oct_misuse(m->cx, n, OCT_E2302, "the name %s does not lead to this node", oct_quoted(m->cx, n));
    if (constant && !n->data && !OCT_HAS(n->at, seed))
        return oct_misuse(m->cx, n, OCT_E2303, "constant %s has no data", oct_quoted(m->cx, n));
    return true;
}

static bool check_outputs(struct oct_module *m) {
    bool ok = true;
    if (!m->noutputs) {
        oct_error(m->cx, m->last ? m->last->span : (struct oct_span){0, 0, 0}, OCT_E2304, "model '%s' has no output", m->name);
        if (m->last) oct_help(m->cx, "to return the last value: output %s", m->last->name);
        return false;
    }
    struct oct_arena *a = oct_arena_new(m->cx);
    struct oct_names *seen = oct_names_new(a);
    for (uint32_t i = 0; i < m->noutputs; i++) {
        const struct oct_output *o = &m->output[i];
        const struct oct_type *t = &o->node->type;
        if (!o->node->mark || o->node->fwd) {
            ok = false;
            oct_error(m->cx, o->span, OCT_E2301, "output '%s' is no value of the model", o->name);
        }
        if (!oct_is_identifier(o->name)) {
            ok = false;
            oct_error(m->cx, o->span, OCT_E2002, "'%.80s' is no name for an output", o->name);
        } else if (oct_names_find(seen, o->name, false)) {
            ok = false;
            oct_error(m->cx, o->span, OCT_E2305, "output '%s' is named twice", o->name);
            oct_help(m->cx, "give it a name of its own: output %s = ...", oct_names_fresh(seen, o->name, false));
        }
        oct_names_put(seen, o->name, false, o->node);
        if (oct_type_has_n(t) && t->dim[0] != OCT_DIM_N) {
            ok = false;
            oct_error(m->cx, o->span, OCT_E2306, "output '%s' is %s: the batch N must be its axis 0", o->name,
                      oct_typed(m->cx, o->node));
        }
    }
    oct_arena_free(a);
    return ok;
}

bool oct_verify(struct oct_module *m) {
    if (!check_order(m)) return false;
    bool ok = true;
    OCT_FOR_NODES(m, n) {
        const struct oct_type declared = n->type;
        ok = oct_infer_declared(m->cx, n, &declared) && check_leaf(m, n) && ok;
    }
    return check_outputs(m) && ok;
}
