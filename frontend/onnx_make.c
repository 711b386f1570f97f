/* onnx_make.c - see onnx_make.h. */
#include "onnx_make.h"

#include <string.h>

struct oct_node *oct_onnx_number(struct oct_onnx *im, float v) {
    struct oct_type t = {.dtype = OCT_F32};
    const char *name = oct_fresh_const_name(im->m, oct_sprintf(im->a, "%.48s.k", oct_import_readable(im->out[0]->name)));
    return oct_build_const_copy(im->m, name, &t, &v, im->span);
}

static const char *suffix_of(struct oct_onnx *im, enum oct_op op) { return oct_sprintf(im->a, ".%s", oct_op_info(op)->name); }

struct oct_node *oct_onnx_make1(struct oct_onnx *im, enum oct_op op, struct oct_node *x) {
    return x ? oct_onnx_step(im, suffix_of(im, op), op, &x, 1, NULL, NULL) : NULL;
}
struct oct_node *oct_onnx_make2(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b) {
    return a && b ? oct_onnx_step(im, suffix_of(im, op), op, (struct oct_node *[]){a, b}, 2, NULL, NULL) : NULL;
}
bool oct_onnx_last1(struct oct_onnx *im, enum oct_op op, struct oct_node *x) {
    return x && oct_onnx_emit(im, op, &x, 1, NULL, NULL);
}
bool oct_onnx_last2(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b) {
    return a && b && oct_onnx_emit(im, op, (struct oct_node *[]){a, b}, 2, NULL, NULL);
}
bool oct_onnx_last3(struct oct_onnx *im, enum oct_op op, struct oct_node *a, struct oct_node *b, struct oct_node *c) {
    return a && b && c && oct_onnx_emit(im, op, (struct oct_node *[]){a, b, c}, 3, NULL, NULL);
}

struct oct_node *oct_onnx_clamped(struct oct_onnx *im, struct oct_node *x, float lo, float hi) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, clip);
    at.clip[0] = lo;
    at.clip[1] = hi;
    return x ? oct_onnx_step(im, ".clip", OCT_OP_clip, &x, 1, &at, NULL) : NULL;
}

static void set_shape(struct oct_attrs *at, int rank, const int64_t *dim) {
    oct_attrs_init(at);
    OCT_MARK(*at, shape);
    at->shape.n = rank;
    memcpy(at->shape.v, dim, (size_t)rank * sizeof *dim);
}
struct oct_node *oct_onnx_reshaped(struct oct_onnx *im, const char *suffix, struct oct_node *x, int rank, const int64_t *dim) {
    struct oct_attrs at;
    set_shape(&at, rank, dim);
    return x ? oct_onnx_step(im, suffix, OCT_OP_reshape, &x, 1, &at, NULL) : NULL;
}
bool oct_onnx_last_reshape(struct oct_onnx *im, struct oct_node *x, int rank, const int64_t *dim) {
    struct oct_attrs at;
    set_shape(&at, rank, dim);
    return x && oct_onnx_emit(im, OCT_OP_reshape, &x, 1, &at, NULL);
}

struct oct_node *oct_onnx_permuted(struct oct_onnx *im, const char *suffix, struct oct_node *x, const struct oct_ints *perm) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, perm, *perm);
    return x ? oct_onnx_step(im, suffix, OCT_OP_transpose, &x, 1, &at, NULL) : NULL;
}

/* ---- over axes ---------------------------------------------------------------------------------------------------------- */

bool oct_onnx_reduced_axes(struct oct_onnx *im, const struct oct_node *x, struct oct_ints *axes) {
    *axes = (struct oct_ints){0};
    if (!oct_onnx_axes_input(im, 1, axes)) return false;
    if (axes->n <= 0) {
        axes->n = 0;
        if (oct_onnx_attr_int(im, "noop_with_empty_axes", 0)) return !im->failed;
        for (axes->n = 0; axes->n < x->type.rank; axes->n++) axes->v[axes->n] = axes->n;
    }
    if (!oct_onnx_axes(im, axes, x->type.rank)) return false;
    for (int i = 0; i < axes->n; i++)
        if (x->type.dim[axes->v[i]] == OCT_DIM_N)
            return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
    return !im->failed;
}

/* [batch, 1, all that stays, all that goes]: a window of max_pool2d then is one row. */
struct oct_node *oct_onnx_max_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes) {
    if (!x || !axes->n) return x;
    const struct oct_type t = x->type;
    struct oct_ints perm = {0};
    unsigned gone = 0;
    int64_t dim[OCT_MAX_RANK], flat[4] = {t.dim[0] == OCT_DIM_N ? OCT_DIM_N : 1, 1, 1, 1};
    bool moved = false;
    for (int i = 0; i < axes->n; i++) gone |= 1u << axes->v[i];
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < t.rank; i++) {
            if ((gone >> i & 1u) != (unsigned)pass) continue;
            moved |= perm.n != i;
            perm.v[perm.n++] = i;
            dim[i] = pass ? 1 : t.dim[i];
            if (t.dim[i] != OCT_DIM_N) flat[2 + pass] *= t.dim[i];
        }
    if (moved) x = oct_onnx_permuted(im, ".turned", x, &perm);
    x = oct_onnx_reshaped(im, ".rows", x, 4, flat);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_MARK(at, kernel);
    at.kernel[0] = 1;
    at.kernel[1] = flat[3];
    if (!x || !(x = oct_onnx_step(im, ".max", OCT_OP_max_pool2d, &x, 1, &at, NULL))) return NULL;
    return oct_onnx_reshaped(im, ".kept", x, t.rank, dim);
}

struct oct_node *oct_onnx_sum_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes) {
    if (!x || !axes->n) return x;
    int64_t n = 1;
    for (int i = 0; i < axes->n; i++) n *= x->type.dim[axes->v[i]];
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, *axes);
    OCT_SET(at, keepdims, true);
    struct oct_node *mean = oct_onnx_step(im, ".mean", OCT_OP_mean, &x, 1, &at, NULL);
    return n == 1 ? mean : oct_onnx_make2(im, OCT_OP_mul, mean, oct_onnx_number(im, (float)n));
}
