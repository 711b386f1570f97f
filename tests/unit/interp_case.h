/* interp_case.h - one-op models for the tests of the interpreter: random operands, the node, its value; and plain readers of
 * elements. */
#ifndef OCT_TEST_INTERP_CASE_H
#define OCT_TEST_INTERP_CASE_H

#include <stdlib.h>
#include <string.h>

#include "ir/interp.h"

struct net {
    struct oct_ctx cx;
    struct oct_module *m;
    struct oct_arena *a;
    struct oct_exec *ex;
    struct oct_node *operand[8], *node;
    int operands;
    uint32_t seed;
};

static inline uint32_t net_noise(struct net *t) {
    t->seed = t->seed * 1664525u + 1013904223u;
    return t->seed >> 7 ^ t->seed << 19;
}
static inline float net_float(struct net *t) { return (float)(int32_t)net_noise(t) * 0x1p-30f; }

static inline void net_open(struct net *t, uint32_t seed) {
    memset(t, 0, sizeof *t);
    oct_ctx_init(&t->cx);
    t->m = oct_module_new(&t->cx, "t");
    t->a = oct_arena_new(&t->cx);
    t->seed = seed * 2654435761u + 1;
}
static inline void net_close(struct net *t) {
    oct_exec_free(t->ex);
    oct_ctx_free(&t->cx);
}

static inline struct oct_type type_of(enum oct_dtype d, int rank, const int64_t *dim) {
    struct oct_type y = {.dtype = d, .rank = rank};
    for (int i = 0; i < rank; i++) y.dim[i] = dim[i];
    return y;
}
#define DIMS(...)                                                                                                                \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }
static inline struct oct_type float_type(int rank, const int64_t *dim) { return type_of(OCT_F32, rank, dim); }
static inline struct oct_type code_type(struct net *t, enum oct_dtype d, float scale, int32_t zero, int rank,
                                        const int64_t *dim) {
    struct oct_type y = type_of(d, rank, dim);
    y.q = oct_quant_tensor(t->a, scale, zero);
    return y;
}
/* A result type: parameters alone. */
static inline struct oct_type like_codes(struct net *t, enum oct_dtype d, float scale, int32_t zero) {
    struct oct_type y = code_type(t, d, scale, zero, 0, NULL);
    y.rank = OCT_ANY_RANK;
    return y;
}

/* Element i as a number; codes without their zero point taken off. */
static inline int64_t code_of(const struct oct_tensor *x, int64_t i) {
    switch (x->type.dtype) {
    case OCT_I8: return ((const int8_t *)x->data)[i];
    case OCT_U8: return ((const uint8_t *)x->data)[i];
    case OCT_I16: return ((const int16_t *)x->data)[i];
    case OCT_U16: return ((const uint16_t *)x->data)[i];
    default: return ((const int32_t *)x->data)[i];
    }
}
static inline float real_of(const struct oct_tensor *x, int64_t i) { return ((const float *)x->data)[i]; }

/* Random elements: floats in (-2, 2), codes over all of their type. */
static inline void net_fill(struct net *t, const struct oct_type *y, void *data) {
    int64_t n = oct_type_elements(y, 1);
    for (int64_t i = 0; i < n; i++) {
        uint32_t v = net_noise(t);
        switch (y->dtype) {
        case OCT_F32: ((float *)data)[i] = net_float(t); break;
        case OCT_I8:
        case OCT_U8: ((uint8_t *)data)[i] = (uint8_t)v; break;
        case OCT_I16:
        case OCT_U16: ((uint16_t *)data)[i] = (uint16_t)v; break;
        default: ((int32_t *)data)[i] = (int32_t)v >> 16; break;
        }
    }
}

static inline struct oct_node *net_operand(struct net *t, struct oct_node *n) { return t->operand[t->operands++] = n; }
static inline struct oct_node *net_input(struct net *t, struct oct_type y) {
    return net_operand(t, oct_build_input(t->m, oct_fresh_value_name(t->m, "x"), &y, (struct oct_span){0, 0, 0}));
}
static inline struct oct_node *net_const(struct net *t, struct oct_type y) {
    void *data = oct_alloc(t->a, (size_t)oct_type_elements(&y, 1) * oct_dtype_size(y.dtype));
    net_fill(t, &y, data);
    return net_operand(t, oct_build_const(t->m, oct_fresh_const_name(t->m, "w"), &y, data, (struct oct_span){0, 0, 0}));
}

/* Builds the op over the operands made so far, runs it on random inputs. NULL when the IR refuses it. */
static inline struct oct_tensor *net_run(struct net *t, enum oct_op op, const struct oct_attrs *at,
                                         const struct oct_type *declared) {
    t->node = oct_build(t->m, op, "y", t->operand, t->operands, at, declared, (struct oct_span){0, 0, 0});
    if (!t->node) return NULL;
    oct_add_output(t->m, "y", t->node, (struct oct_span){0, 0, 0});
    t->ex = oct_exec_new(&t->cx, t->m, 1);
    if (!t->ex) return NULL;
    for (int i = 0; i < t->operands; i++)
        if (t->operand[i]->op == OCT_OP_input)
            net_fill(t, &oct_exec_value(t->ex, t->operand[i])->type, oct_exec_value(t->ex, t->operand[i])->data);
    oct_exec_run(t->ex, NULL, NULL);
    return oct_exec_value(t->ex, t->node);
}
static inline const struct oct_tensor *net_value(struct net *t, int operand) {
    return oct_exec_value(t->ex, t->operand[operand]);
}

#endif
