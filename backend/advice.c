/* advice.c - one line on what would make a layer faster, for --explain. Only what the layer's form tells; reasons that a kernel
 * found itself are among the fallbacks. */
#include <inttypes.h>

#include "program.h"

static bool is_3x3(const struct oct_node *n) {
    const struct oct_type *w = &n->operand[1]->type;
    return n->op == OCT_OP_conv2d && w->dim[2] == 3 && w->dim[3] == 3 && n->at.groups == 1;
}

const char *oct_advice(struct oct_arena *a, const struct oct_target *t, const struct oct_step *s) {
    const struct oct_kbuild *b = &s->b;
    const struct oct_node *n = s->node;
    const int lanes = t->vector_bits / 32;
    if (s->kind != OCT_STEP_NODE || (n->op != OCT_OP_conv2d && n->op != OCT_OP_dense) || !oct_k_is_codes(&n->type)) return NULL;
    if (t->vector_bits < 256) return NULL;
    if (!s->info->ways) return "it has no kernel with vectors: the fallbacks say why";
    const int64_t outputs = n->operand[1]->type.dim[0], inputs = n->operand[1]->type.dim[1];
    if (b->in[0].at.rank == 4 && b->in[0].at.stride[1] != 1 && b->in[0].at.dim[1] > 1)
        return "its input lies in planes: --io-layout nhwc";
    if (outputs % lanes && outputs < 8 * lanes)
        return oct_sprintf(a, "%" PRId64 " output channels are no multiple of %d: %" PRId64 " %% of the lanes idle", outputs,
                           lanes, 100 - 100 * outputs / ((outputs + lanes - 1) / lanes * lanes));
    if (is_3x3(n) && (n->at.stride[0] != 1 || n->at.stride[1] != 1)) return "a stride of 2: no Winograd";
    if (is_3x3(n) && b->way.gain == 1 && inputs >= lanes && b->nways > 1)
        return "Winograd is not proved exact for these weights, or costs more on so small an image";
    if (n->at.groups > 1) return NULL;
    if (*b->way.steps == 'a' && !is_3x3(n)) return "its weights let bytes saturate: quantize with --saturation pair";
    if (*b->way.steps == 'b') return "more sums in 16 bits: quantize with --saturation pair16, or a smaller --act-range";
    return NULL;
}
