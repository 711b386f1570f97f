/* infer.c - one node's type. */
#include "infer.h"

bool oct_infer_declared(struct oct_ctx *cx, struct oct_node *n, const struct oct_type *declared) {
    struct oct_type t = {.dtype = OCT_F32};
    if (declared) t = *declared;
    n->type = t;
    if (!oct_op_info(n->op)->shape(cx, n, &t)) return false;
    n->type = t;
    return oct_op_info(n->op)->verify(cx, n);
}
bool oct_infer(struct oct_ctx *cx, struct oct_node *n) { return oct_infer_declared(cx, n, NULL); }
