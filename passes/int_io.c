/* int_io.c - option io=int8: the model's inputs and outputs become codes. An input that is only quantized, one way, takes the
 * quantize's type; an output that is a dequantize gives its codes. Scale and zero point are then part of the signature, where the
 * header of the compiled model states them. io=float leaves the boundary as it is. Requires elim_qdq. */
#include "elim.h"

/* Every quantize of an input: tag is the first, mark counts those of the same type. */
static void count_quantizes(struct oct_module *m) {
    OCT_FOR_NODES(m, n) n->mark = 0, n->tag = NULL;
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_quantize || n->operand[0]->op != OCT_OP_input || !oct_is_activation(&n->type) ||
            OCT_HAS(n->at, clip)) /* which an input cannot promise */
            continue;
        struct oct_node *in = n->operand[0];
        if (!in->tag) in->tag = n;
        in->mark += oct_type_equal(&n->type, &((const struct oct_node *)in->tag)->type);
    }
}

bool oct_pass_int_io(struct oct_pass_env *env, struct oct_module *m) {
    if (m->option[OCT_OPT_io] == OCT_IO_INT8) {
        oct_count_uses(m);
        count_quantizes(m);
        OCT_FOR_NODES(m, n) {
            if (n->op != OCT_OP_quantize || n->operand[0]->op != OCT_OP_input) continue;
            struct oct_node *in = n->operand[0];
            if (!in->mark || in->mark != in->nuses) continue;
            in->type = n->type;
            oct_replace(m, n, in);
            env->changes++;
        }
        for (uint32_t i = 0; i < m->noutputs; i++) {
            struct oct_node *codes = oct_codes_of(m->output[i].node);
            if (!codes || !oct_is_activation(&codes->type)) continue;
            m->output[i].node = codes;
            env->changes++;
        }
        oct_sweep(m);
    }
    oct_explain_left(env, m);
    return true;
}
