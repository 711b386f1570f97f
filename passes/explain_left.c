/* explain_left.c - one line for everything that is not integer in the end: each float op, each quantize and dequantize, with the
 * reason and what to do. Nothing is silent. */
#include "elim.h"

/* A node that reads n, for the reason of a dequantize: `tag`, the first in order. */
static void note_readers(struct oct_module *m) {
    OCT_FOR_NODES(m, n) n->tag = NULL;
    OCT_FOR_NODES(m, n)
    for (int i = 0; i < n->noperands; i++)
        if (n->operand[i] && !n->operand[i]->tag) n->operand[i]->tag = n;
}

static void explain(struct oct_pass_env *env, const struct oct_module *m, const struct oct_node *n) {
    const struct oct_node *reader = n->tag, *x = oct_operand(n, 0);
    if (OCT_HAS(n->at, why)) {
        const char *why = n->at.why;
        oct_explain(env, n, "%s", why);
    } else if (n->op == OCT_OP_quantize) {
        if (x->op == OCT_OP_input)
            oct_explain(env, n, "stays: boundary of the model (option io=float, or '%s' is read in another way too)", x->name);
        else oct_explain(env, n, "stays: '%s' before it is float", x->name);
    } else if (n->op == OCT_OP_dequantize) {
        if (reader) oct_explain(env, n, "stays: '%s' reads it as float", reader->name);
        else oct_explain(env, n, "stays: boundary of the model (option io=float)");
    } else {
        oct_explain(env, n, "%s",
                    oct_kept_float(m, n) ? oct_kept_float_why(m, n) : "float: no range was observed for its result");
    }
}

void oct_explain_left(struct oct_pass_env *env, struct oct_module *m) {
    if (m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) {
        if (env->explain) oct_text_addf(env->explain, "%s: compiled as float (option quantize=off)\n", m->name);
        return;
    }
    note_readers(m);
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_input || n->op == OCT_OP_const) continue;
        if (n->type.dtype == OCT_F32 || n->op == OCT_OP_quantize) explain(env, m, n);
    }
}
