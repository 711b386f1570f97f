/* cse.c - one node for values computed twice the same way: same op, operands, attributes and type. Constants are compared by
 * content, so that copies which exporters make of shared weights become one again.
 *
 * The first in execution order stays and keeps its name. Linear: one walk, one hash table. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rewrite.h"

/* Attributes that say something about a node but not about its value. */
static const uint64_t SILENT = (uint64_t)1 << OCT_A_from | (uint64_t)1 << OCT_A_doc | (uint64_t)1 << OCT_A_why;

static size_t const_bytes(const struct oct_node *n) {
    return (size_t)oct_type_elements(&n->type, 1) * oct_dtype_size(n->type.dtype);
}

static uint64_t hash_attr(const struct oct_attrs *at, const struct oct_attr_info *info, uint64_t h) {
    static const size_t size[] = {[OCT_KIND_INT] = 8, [OCT_KIND_INT2] = 16, [OCT_KIND_INT4] = 32,
                                  [OCT_KIND_F32] = 4, [OCT_KIND_F32X2] = 8, [OCT_KIND_WORD] = sizeof(int)};
    const char *field = (const char *)at + info->offset;
    if (info->kind == OCT_KIND_INTS) {
        const struct oct_ints *v = (const struct oct_ints *)(const void *)field;
        return XXH3_64bits_withSeed(v->v, (size_t)v->n * sizeof v->v[0], h);
    }
    if (info->kind >= sizeof size / sizeof size[0]) return h;
    return XXH3_64bits_withSeed(field, size[info->kind], h); /* flags and strings do not enter */
}

/* Equal nodes hash equally, whether a default is spelled or not. */
static uint64_t hash_node(const struct oct_node *n) {
    uint64_t h = XXH3_64bits(n->type.dim, (size_t)n->type.rank * sizeof n->type.dim[0]);
    const uint64_t head[2] = {(uint64_t)n->op << 32 | (uint64_t)n->type.dtype, (uint64_t)n->noperands};
    h = XXH3_64bits_withSeed(head, sizeof head, h);
    for (int i = 0; i < n->noperands; i++) h = XXH3_64bits_withSeed(&n->operand[i], sizeof n->operand[i], h);
    if (oct_is_const(n)) return XXH3_64bits_withSeed(n->data, const_bytes(n), h);
    const uint64_t legal = oct_op_info(n->op)->attrs & ~SILENT;
    for (unsigned id = 0; id < OCT_ATTR_COUNT; id++)
        if (legal >> id & 1u) h = hash_attr(&n->at, oct_attr_info((enum oct_attr_id)id), h);
    return h;
}

static bool same_attrs(const struct oct_node *a, const struct oct_node *b) {
    const uint64_t legal = oct_op_info(a->op)->attrs & ~SILENT;
    for (unsigned id = 0; id < OCT_ATTR_COUNT; id++)
        if ((legal >> id & 1u) && !oct_attr_equal(&a->at, &b->at, (enum oct_attr_id)id)) return false;
    return true;
}

static bool same_value(const struct oct_node *a, const struct oct_node *b) {
    if (a->op != b->op || a->noperands != b->noperands || !oct_type_equal(&a->type, &b->type)) return false;
    for (int i = 0; i < a->noperands; i++)
        if (a->operand[i] != b->operand[i]) return false;
    if (oct_is_const(a)) return a->data == b->data || !memcmp(a->data, b->data, const_bytes(a));
    return same_attrs(a, b);
}

bool oct_pass_cse(struct oct_pass_env *env, struct oct_module *m) {
    size_t size = 16;
    while (size < (size_t)m->nnodes * 2) size *= 2;
    struct oct_node **slot = OCT_NEW_N(env->scratch, struct oct_node *, size);
    OCT_FOR_NODES(m, n) {
        oct_resolve_operands(n);
        if (n->op == OCT_OP_input) continue;
        size_t i = (size_t)hash_node(n) & (size - 1);
        while (slot[i] && !same_value(slot[i], n)) i = (i + 1) & (size - 1);
        if (slot[i]) {
            oct_replace(m, n, slot[i]);
            env->changes++;
        } else {
            slot[i] = n;
        }
    }
    oct_sweep(m); /* constants that were only copies */
    return true;
}
