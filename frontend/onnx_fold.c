/* onnx_fold.c - values that are known at import: constants and the shape arithmetic that exporters write. The batch N may pass
 * through (Gather, Slice, Concat, Cast, Reshape...), but nothing may be computed with it. */
#include <string.h>

#include "onnx_import.h"

oct_onnx_folder oct_onnx_fold_constant, oct_onnx_fold_of_shape, oct_onnx_fold_shape, oct_onnx_fold_size, oct_onnx_fold_gather,
    oct_onnx_fold_range, oct_onnx_fold_rounding, oct_onnx_fold_negative, oct_onnx_fold_arithmetic, oct_onnx_fold_cast,
    oct_onnx_fold_concat;

/* ---- helpers ------------------------------------------------------------------------------------------------------------- */

bool oct_onnx_known(const struct oct_onnx *im) {
    for (int i = 0; i < im->nin; i++)
        if (im->in[i] && !im->in[i]->c) return false;
    return true;
}

/* The batch may not take part. */
static bool numbers_only(struct oct_onnx *im) {
    for (int i = 0; i < im->nin; i++)
        if (im->in[i] && im->in[i]->c && im->in[i]->c->has_n)
            return oct_onnx_unsupported(im, "export with a fixed batch size",
                                        "it computes with the size of the batch, which is symbolic");
    return true;
}

void *oct_onnx_new_const(struct oct_onnx *im, struct oct_onnx_const *out, int32_t type, int rank, const int64_t *dim) {
    *out = (struct oct_onnx_const){.type = type, .rank = rank, .n = 1};
    for (int i = 0; i < rank; i++) {
        out->dim[i] = dim[i];
        if (dim[i] && out->n > OCT_MAX_ELEMENTS / dim[i]) return oct_onnx_budget(im, SIZE_MAX), NULL;
        out->n *= dim[i];
    }
    size_t bytes = (size_t)out->n * oct_onnx_size(type);
    if (!oct_onnx_budget(im, bytes + sizeof *out)) return NULL;
    void *data = oct_alloc(im->a, bytes);
    out->data = data;
    return data;
}

static void put_int(const struct oct_onnx_const *c, void *data, int64_t i, int64_t v) {
    memcpy((char *)data + (size_t)i * oct_onnx_size(c->type), &v, oct_onnx_size(c->type)); /* little-endian: the low bytes */
}

/* ---- constants and shapes -------------------------------------------------------------------------------------------------- */

bool oct_onnx_fold_constant(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (im->node->n_attribute != 1) return oct_onnx_invalid(im, "it has %zu values instead of one", im->node->n_attribute);
    const OctOnnx__Attribute *a = im->node->attribute[0];
    if (!strcmp(a->name, "value")) {
        const struct oct_onnx_const *c =
            a->t ? oct_onnx_read_tensor(im, a->t, oct_sprintf(im->a, "constant %s", oct_onnx_quote(im, im->out[0]->name))) : NULL;
        if (!c) return im->failed ? false : oct_onnx_invalid(im, "its value is no tensor");
        *out = *c;
        return true;
    }
    bool real = !strncmp(a->name, "value_float", 11), list = a->name[strlen(a->name) - 1] == 's';
    size_t n = !list ? 1 : real ? a->n_floats : a->n_ints;
    if (!list && !(real ? a->has_f : a->has_i)) return oct_onnx_invalid(im, "its value is missing");
    *out = (struct oct_onnx_const){.type = real ? ONNX_FLOAT : ONNX_INT64, .rank = list, .dim = {(int64_t)n}, .n = (int64_t)n};
    out->data = real ? (list ? (const void *)a->floats : &a->f) : (list ? (const void *)a->ints : &a->i);
    return true;
}

bool oct_onnx_fold_of_shape(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints dim;
    if (!oct_onnx_known(im) || !numbers_only(im) || !oct_onnx_int_list(im, 0, &dim)) return false;
    for (int i = 0; i < dim.n; i++)
        if (dim.v[i] < 0) return oct_onnx_invalid(im, "dimension %d is %lld", i, (long long)dim.v[i]);
    const OctOnnx__Attribute *a = oct_onnx_attr(im, "value");
    static const float zero = 0;
    const struct oct_onnx_const fallback = {.type = ONNX_FLOAT, .n = 1, .data = &zero};
    const struct oct_onnx_const *value = !a ? &fallback : a->t ? oct_onnx_read_tensor(im, a->t, "its value") : NULL;
    if (!value || value->n != 1) return im->failed ? false : oct_onnx_invalid(im, "its value is not one element");
    char *to = oct_onnx_new_const(im, out, value->type, dim.n, dim.v);
    size_t size = oct_onnx_size(value->type);
    for (int64_t i = 0; to && i < out->n; i++) memcpy(to + (size_t)i * size, value->data, size);
    return to != NULL;
}

/* Known even for a value that is not: its type is. */
bool oct_onnx_fold_shape(struct oct_onnx *im, struct oct_onnx_const *out) {
    const struct oct_onnx_const *c = im->in[0]->c;
    const int64_t *dim = c ? c->dim : im->in[0]->node->type.dim;
    int64_t rank = c ? c->rank : im->in[0]->node->type.rank;
    int64_t start = oct_onnx_attr_int(im, "start", 0), end = oct_onnx_attr_int(im, "end", rank);
    if (im->failed) return false;
    if (start < 0) start = start < -rank ? 0 : start + rank;
    if (end < 0) end = end < -rank ? 0 : end + rank;
    if (end > rank) end = rank;
    int64_t n = end > start ? end - start : 0;
    int64_t *to = oct_onnx_new_const(im, out, ONNX_INT64, 1, &n);
    if (!to) return false;
    for (int64_t i = 0; i < n; i++) {
        to[i] = dim[start + i];
        out->has_n |= to[i] == OCT_DIM_N;
    }
    return true;
}

/* The product of the dimensions, which the batch must not be among. */
bool oct_onnx_fold_size(struct oct_onnx *im, struct oct_onnx_const *out) {
    const struct oct_onnx_const *c = im->in[0]->c;
    if (!c && oct_type_has_n(&im->in[0]->node->type))
        return oct_onnx_unsupported(im, "export with a fixed batch size", "it counts the batch, whose size is symbolic");
    int64_t *to = oct_onnx_new_const(im, out, ONNX_INT64, 0, NULL);
    if (to) *to = c ? c->n : oct_type_elements(&im->in[0]->node->type, 1);
    return to != NULL;
}

bool oct_onnx_fold_gather(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im)) return false;
    const struct oct_onnx_const *c = im->in[0]->c, *index = im->in[1]->c;
    int axis;
    if (index->has_n) return numbers_only(im);
    if (index->type == ONNX_FLOAT) return oct_onnx_invalid(im, "its indices are floats");
    if (!oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), c->rank, &axis)) return false;
    int rank = c->rank - 1 + index->rank;
    if (rank > OCT_MAX_RANK) return oct_onnx_unsupported(im, NULL, "its result has %d dimensions", rank);
    int64_t dim[OCT_MAX_RANK] = {0}, outer = 1, inner = 1, size = c->dim[axis];
    for (int i = 0, k = 0; i < c->rank; i++) {
        if (i < axis) outer *= c->dim[i];
        if (i > axis) inner *= c->dim[i];
        if (i != axis) dim[k++] = c->dim[i];
        else
            for (int j = 0; j < index->rank; j++) dim[k++] = index->dim[j];
    }
    char *to = oct_onnx_new_const(im, out, c->type, rank, dim);
    if (!to) return false;
    size_t run = (size_t)inner * oct_onnx_size(c->type);
    for (int64_t o = 0; o < outer && out->n; o++)
        for (int64_t k = 0; k < index->n; k++, to += run) {
            int64_t i = oct_onnx_get_int(index, k);
            if (i < -size || i >= size)
                return oct_onnx_invalid(im, "index %lld is out of range for %lld elements", (long long)i, (long long)size);
            memcpy(to, (const char *)c->data + (size_t)(o * size + (i < 0 ? i + size : i)) * run, run);
        }
    out->has_n = c->has_n;
    return true;
}

bool oct_onnx_fold_concat(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im)) return false;
    const struct oct_onnx_const *first = im->in[0]->c;
    int64_t dim[OCT_MAX_RANK], outer = 1, inner = 1;
    int axis;
    if (!oct_onnx_attr(im, "axis")) return oct_onnx_invalid(im, "it has no axis");
    if (!oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), first->rank, &axis)) return false;
    memcpy(dim, first->dim, sizeof dim);
    bool has_n = first->has_n;
    for (int k = 1; k < im->nin; k++) {
        const struct oct_onnx_const *c = im->in[k] ? im->in[k]->c : NULL;
        bool fits = c && c->rank == first->rank && c->type == first->type;
        for (int i = 0; fits && i < c->rank; i++) fits = i == axis || c->dim[i] == dim[i];
        if (!fits) return oct_onnx_invalid(im, "input %d does not fit input 0", k);
        if (dim[axis] > OCT_MAX_ELEMENTS) return oct_onnx_budget(im, SIZE_MAX);
        dim[axis] += c->dim[axis];
        has_n |= c->has_n;
    }
    char *to = oct_onnx_new_const(im, out, first->type, first->rank, dim);
    if (!to) return false;
    for (int i = 0; i < first->rank; i++) *(i < axis ? &outer : &inner) *= i == axis ? 1 : dim[i];
    for (int64_t o = 0; o < outer && out->n; o++)
        for (int k = 0; k < im->nin; k++) {
            size_t run = (size_t)(im->in[k]->c->dim[axis] * inner) * oct_onnx_size(first->type);
            if (run) memcpy(to, (const char *)im->in[k]->c->data + (size_t)o * run, run);
            to += run;
        }
    out->has_n = has_n;
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------------
 */

/* A real number as an integer type: toward zero, out of range to the nearest end, NaN to 0. */
static int64_t to_int(double x) { return isnan(x) ? 0 : x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x; }

bool oct_onnx_fold_cast(struct oct_onnx *im, struct oct_onnx_const *out) {
    const struct oct_onnx_const *c = im->in[0]->c;
    int32_t to = (int32_t)oct_onnx_attr_int(im, "to", 0);
    if (!c || im->failed) return false;
    if (!oct_onnx_size(to) || to == ONNX_INT4 || to == ONNX_UINT4)
        return oct_onnx_unsupported(im, NULL, "it casts to %s", oct_onnx_type_name(to));
    if (to == ONNX_UINT32 || to == ONNX_UINT64 || (c->has_n && to == ONNX_INT32)) to = ONNX_INT64;
    if (to == ONNX_FLOAT16 || to == ONNX_BFLOAT16 || to == ONNX_DOUBLE) {
        oct_onnx_tell_type(im, to, "f32");
        to = ONNX_FLOAT;
    }
    if (to == c->type) {
        *out = *c;
        return true;
    }
    if (!numbers_only(im)) return false;
    void *data = oct_onnx_new_const(im, out, to, c->rank, c->dim);
    for (int64_t i = 0; data && i < c->n; i++) {
        double x = oct_onnx_get_real(c, i);
        if (to == ONNX_FLOAT) ((float *)data)[i] = (float)x;
        else if (to == ONNX_BOOL) ((uint8_t *)data)[i] = x != 0;
        else put_int(out, data, i, c->type == ONNX_FLOAT ? to_int(x) : oct_onnx_get_int(c, i));
    }
    return data != NULL;
}

/* start, limit, step; all of one type. */
bool oct_onnx_fold_range(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im) || !numbers_only(im)) return false;
    const struct oct_onnx_const *c[3] = {im->in[0]->c, im->in[1]->c, im->in[2]->c};
    for (int i = 0; i < 3; i++)
        if (c[i]->n != 1 || c[i]->type != c[0]->type) return oct_onnx_invalid(im, "its inputs are not three scalars of one type");
    double start = oct_onnx_get_real(c[0], 0), limit = oct_onnx_get_real(c[1], 0), step = oct_onnx_get_real(c[2], 0);
    double count = ceil((limit - start) / step);
    if (step == 0 || !isfinite(count)) return oct_onnx_invalid(im, "it has no end");
    int64_t n = count <= 0 ? 0 : count > (double)OCT_MAX_ELEMENTS ? OCT_MAX_ELEMENTS : (int64_t)count;
    void *data = oct_onnx_new_const(im, out, c[0]->type, 1, &n);
    for (int64_t i = 0; data && i < n; i++) {
        if (c[0]->type == ONNX_FLOAT) ((float *)data)[i] = (float)(start + (double)i * step);
        else
            put_int(out, data, i,
                    (int64_t)((uint64_t)oct_onnx_get_int(c[0], 0) + (uint64_t)i * (uint64_t)oct_onnx_get_int(c[2], 0)));
    }
    return data != NULL;
}

bool oct_onnx_fold_rounding(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    if (c->type != ONNX_FLOAT) return oct_onnx_invalid(im, "its input is %s", oct_onnx_type_name(c->type));
    bool down = !strcmp(im->op->name, "Floor");
    float *to = oct_onnx_new_const(im, out, ONNX_FLOAT, c->rank, c->dim);
    for (int64_t i = 0; to && i < c->n; i++)
        to[i] = down ? floorf(((const float *)c->data)[i]) : ceilf(((const float *)c->data)[i]);
    return to != NULL;
}

/* Integers wrap. */
bool oct_onnx_fold_negative(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im) || !numbers_only(im)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    if (c->type == ONNX_BOOL) return oct_onnx_invalid(im, "its input is bool");
    void *data = oct_onnx_new_const(im, out, c->type, c->rank, c->dim);
    for (int64_t i = 0; data && i < c->n; i++) {
        if (c->type == ONNX_FLOAT) ((float *)data)[i] = -((const float *)c->data)[i];
        else put_int(out, data, i, (int64_t)(0 - (uint64_t)oct_onnx_get_int(c, i)));
    }
    return data != NULL;
}

/* ---- + - * / with broadcast
 * ---------------------------------------------------------------------------------------------------- */

static bool broadcast(struct oct_onnx *im, const struct oct_onnx_const *a, const struct oct_onnx_const *b, int *rank,
                      int64_t *dim, int64_t stride[2][OCT_MAX_RANK]) {
    const struct oct_onnx_const *c[2] = {a, b};
    *rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t step[2] = {1, 1};
    for (int i = 0; i < *rank; i++) dim[i] = 1;
    for (int i = *rank - 1; i >= 0; i--)
        for (int k = 0; k < 2; k++) {
            int j = i - (*rank - c[k]->rank);
            int64_t d = j < 0 ? 1 : c[k]->dim[j];
            stride[k][i] = d == 1 ? 0 : step[k];
            step[k] *= d;
            if (d == 1) continue;
            if (dim[i] != 1 && dim[i] != d) return oct_onnx_invalid(im, "its inputs do not broadcast");
            dim[i] = d;
        }
    return true;
}

/* Integers wrap in 64 bits and are cut to their type; division truncates. */
static bool int_result(struct oct_onnx *im, char op, int64_t a, int64_t b, int64_t *out) {
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    if (op == 'D' && b == 0) return oct_onnx_invalid(im, "it divides an integer by 0");
    *out = op == 'A'   ? (int64_t)(x + y)
           : op == 'S' ? (int64_t)(x - y)
           : op == 'M' ? (int64_t)(x * y)
           : b == -1   ? (int64_t)(0 - x)
                       : a / b;
    return true;
}
static float real_result(char op, float a, float b) { return op == 'A' ? a + b : op == 'S' ? a - b : op == 'M' ? a * b : a / b; }

bool oct_onnx_fold_arithmetic(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im) || !numbers_only(im)) return false;
    const struct oct_onnx_const *a = im->in[0]->c, *b = im->in[1]->c;
    int rank;
    int64_t dim[OCT_MAX_RANK], stride[2][OCT_MAX_RANK], index[OCT_MAX_RANK] = {0}, at[2] = {0, 0};
    if (a->type != b->type || a->type == ONNX_BOOL)
        return oct_onnx_invalid(im, "its inputs are %s and %s", oct_onnx_type_name(a->type), oct_onnx_type_name(b->type));
    if (!broadcast(im, a, b, &rank, dim, stride)) return false;
    void *data = oct_onnx_new_const(im, out, a->type, rank, dim);
    char op = im->op->name[0]; /* of Add, Sub, Mul, Div */
    for (int64_t i = 0; data && i < out->n; i++) {
        int64_t v = 0;
        if (a->type == ONNX_FLOAT)
            ((float *)data)[i] = real_result(op, ((const float *)a->data)[at[0]], ((const float *)b->data)[at[1]]);
        else if (!int_result(im, op, oct_onnx_get_int(a, at[0]), oct_onnx_get_int(b, at[1]), &v)) return false;
        else put_int(out, data, i, v);
        for (int k = rank - 1; k >= 0; k--) {
            at[0] += stride[0][k], at[1] += stride[1][k];
            if (++index[k] < dim[k]) break;
            at[0] -= stride[0][k] * dim[k], at[1] -= stride[1][k] * dim[k];
            index[k] = 0;
        }
    }
    return data != NULL;
}
