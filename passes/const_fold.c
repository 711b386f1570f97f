/* const_fold.c - values that depend on constants alone become constants, computed by the interpreter: one run over the foldable
 * part, copied into a module of its own.
 *
 * dequantize and observe are never folded: what quantization did to a constant must stay visible to elim_qdq. quantize and
 * requantize of a constant are exact and fold. Results above MAX_ELEMENTS stay computed: a small description (an outer product,
 * a broadcast) must not become a big file. Requires shapes. */
#include <string.h>

#include "rewrite.h"

enum { MAX_ELEMENTS = 1 << 22, MAX_TOTAL = 1 << 24 };

/* May this node be computed now? Its operands are resolved; foldable ones carry their copy in `tag`. */
static bool foldable(const struct oct_node *n, int64_t *total) {
    if (n->op == OCT_OP_input || n->op == OCT_OP_observe || n->op == OCT_OP_dequantize || oct_type_has_n(&n->type)) return false;
    bool any = false;
    for (int i = 0; i < n->noperands; i++) {
        const struct oct_node *x = n->operand[i];
        if (x && !oct_is_const(x) && !x->tag) return false;
        any |= x != NULL;
    }
    const int64_t size = oct_type_elements(&n->type, 1);
    if (!any || size < 0 || size > MAX_ELEMENTS || *total + size > MAX_TOTAL) return false;
    *total += size;
    return true;
}

/* Copies a node into the side module; operands have been copied before (`tag`). */
static struct oct_node *copy_into(struct oct_module *side, struct oct_node *n, struct oct_arena *scratch) {
    struct oct_node **operand = OCT_NEW_N(scratch, struct oct_node *, n->noperands);
    for (int i = 0; i < n->noperands; i++) {
        struct oct_node *x = n->operand[i];
        if (!x) continue;
        if (!x->tag) x->tag = oct_build_const(side, oct_fresh_const_name(side, x->name), &x->type, x->data, x->span);
        operand[i] = x->tag;
    }
    return oct_make(side, n->op, n->name, operand, n->noperands, &n->at, &n->type, n->span);
}

bool oct_pass_const_fold(struct oct_pass_env *env, struct oct_module *m) {
    struct oct_module *side = oct_module_new(m->cx, "fold");
    int64_t total = 0;
    uint32_t found = 0;
    OCT_FOR_NODES(m, n) n->tag = NULL;
    OCT_FOR_NODES(m, n) {
        if (oct_is_const(n)) continue;
        oct_resolve_operands(n);
        if (!foldable(n, &total)) continue;
        n->tag = copy_into(side, n, env->scratch);
        oct_add_output(side, n->name, n->tag, n->span);
        found++;
    }
    struct oct_exec *ex = found ? oct_exec_new(m->cx, side, 1) : NULL;
    if (found && !ex) return false;
    if (ex) {
        oct_exec_run(ex, NULL, NULL);
        OCT_FOR_NODES(m, n) {
            if (oct_is_const(n) || !n->tag) continue;
            const struct oct_tensor *v = oct_exec_value(ex, n->tag);
            const size_t bytes = (size_t)oct_tensor_elements(v) * oct_dtype_size(v->type.dtype);
            void *data = memcpy(oct_alloc(m->arena, bytes), v->data, bytes);
            m->cursor = n;
            oct_replace(m, n, oct_build_const(m, oct_fresh_const_name(m, n->name), &n->type, data, n->span));
            env->changes++;
        }
        oct_exec_free(ex);
    }
    oct_module_free(side);
    oct_sweep(m);
    return true;
}
