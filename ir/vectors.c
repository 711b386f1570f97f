/* vectors.c - what to feed a model with where no data are at hand. */
#include "ir.h"

void oct_input_range(const struct oct_module *m, const struct oct_node *input, float *lo, float *hi) {
    *lo = -1;
    *hi = 1;
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_quantize || n->operand[0] != input || n->type.q->axis >= 0) continue;
        const double scale = (double)oct_scale(n->type.q, 0), zero = oct_zero(n->type.q, 0);
        *lo = (float)(scale * ((double)oct_dtype_min(n->type.dtype) - zero));
        *hi = (float)(scale * ((double)oct_dtype_max(n->type.dtype) - zero));
        return;
    }
}
