/* count.c - figures about single nodes: multiply-accumulates, content hashes. */
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#include "ir.h"

int64_t oct_macs(const struct oct_node *n) {
    const bool recurrent = n->op == OCT_OP_lstm || n->op == OCT_OP_gru;
    if (n->op != OCT_OP_conv2d && n->op != OCT_OP_dense && n->op != OCT_OP_matmul && !recurrent) return 0;
    const struct oct_type *w = &n->operand[1]->type;
    if (recurrent) { /* a row of the state times each gate's weights, every step */
        const int64_t gates = oct_type_elements(&n->operand[0]->type, 1);
        int64_t all;
        return gates < 0 || __builtin_mul_overflow(gates, w->dim[1], &all) ? INT64_MAX : all;
    }
    int64_t taps = 1; /* products in one element of the result */
    if (n->op == OCT_OP_matmul) taps = w->dim[w->rank - 2];
    else
        for (int i = 1; i < w->rank; i++) taps *= w->dim[i];
    const int64_t out = oct_type_elements(&n->type, 1);
    int64_t macs;
    return out < 0 || taps < 0 || __builtin_mul_overflow(out, taps, &macs) ? INT64_MAX : macs;
}

void oct_tensor_hash(enum oct_dtype dtype, int rank, const int64_t *dim, const void *data, char hex[17]) {
    static const char digits[] = "0123456789abcdef";
    struct oct_type t = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
    const int64_t r = rank;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, oct_dtype_name(dtype), strlen(oct_dtype_name(dtype)));
    XXH3_64bits_update(&state, &r, sizeof r);
    XXH3_64bits_update(&state, dim, (size_t)rank * sizeof *dim);
    XXH3_64bits_update(&state, data, (size_t)oct_type_elements(&t, 1) * oct_dtype_size(dtype));
    uint64_t h = XXH3_64bits_digest(&state);
    for (int i = 15; i >= 0; i--, h >>= 4) hex[i] = digits[h & 15];
    hex[16] = 0;
}

void oct_const_hash(const struct oct_node *n, char hex[17]) {
    oct_tensor_hash(n->type.dtype, n->type.rank, n->type.dim, n->data, hex);
}
