/* onnx_fold_move.c - folding of operators that only move elements of a constant, or give it another shape. */
#include <string.h>

#include "onnx_import.h"

oct_onnx_folder oct_onnx_fold_reshape, oct_onnx_fold_flatten, oct_onnx_fold_squeeze, oct_onnx_fold_unsqueeze,
    oct_onnx_fold_transpose, oct_onnx_fold_slice;

/* Another shape over the same elements. */
static bool same_data(const struct oct_onnx_const *c, int rank, const int64_t *dim, struct oct_onnx_const *out) {
    int64_t d[OCT_MAX_RANK];
    memcpy(d, dim, (size_t)rank * sizeof *d); /* dim may be c's */
    *out = *c;
    out->rank = rank;
    memcpy(out->dim, d, (size_t)rank * sizeof *d);
    return true;
}

bool oct_onnx_fold_reshape(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints shape;
    if (!oct_onnx_known(im) || !oct_onnx_int_list(im, 1, &shape)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    bool zero = oct_onnx_attr_int(im, "allowzero", 0);
    int64_t product = 1;
    int rest = -1;
    for (int i = 0; i < shape.n; i++) {
        int64_t *d = &shape.v[i];
        if (*d == 0 && !zero && i < c->rank) *d = c->dim[i];
        if (*d == -1 && rest < 0) rest = i;
        else if (*d < 0 || *d > OCT_MAX_ELEMENTS || (*d && product > OCT_MAX_ELEMENTS / *d))
            return oct_onnx_invalid(im, "target dimension %d is %lld", i, (long long)*d);
        else product *= *d;
    }
    if (rest >= 0) shape.v[rest] = product ? c->n / product : 0;
    if (rest >= 0) product *= shape.v[rest];
    if (product != c->n)
        return oct_onnx_invalid(im, "the elements of its input, %lld, do not fill the target shape", (long long)c->n);
    return same_data(c, shape.n, shape.v, out);
}

bool oct_onnx_fold_flatten(struct oct_onnx *im, struct oct_onnx_const *out) {
    if (!oct_onnx_known(im)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    int64_t axis = oct_onnx_attr_int(im, "axis", 1), dim[2] = {1, 1};
    if (axis < -c->rank || axis > c->rank) return oct_onnx_invalid(im, "axis %lld is out of range", (long long)axis);
    if (axis < 0) axis += c->rank;
    for (int i = 0; i < c->rank; i++) dim[i >= axis] *= c->dim[i];
    return same_data(c, 2, dim, out);
}

bool oct_onnx_fold_squeeze(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints axes;
    if (!oct_onnx_known(im) || !oct_onnx_axes_input(im, 1, &axes)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    if (!oct_onnx_axes(im, &axes, c->rank)) return false;
    int64_t dim[OCT_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < c->rank; i++) {
        bool drop = axes.n < 0 && c->dim[i] == 1;
        for (int k = 0; k < axes.n; k++) drop |= axes.v[k] == i;
        if (drop && c->dim[i] != 1) return oct_onnx_invalid(im, "axis %d has size %lld", i, (long long)c->dim[i]);
        if (!drop) dim[rank++] = c->dim[i];
    }
    return same_data(c, rank, dim, out);
}

bool oct_onnx_fold_unsqueeze(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints axes;
    if (!oct_onnx_known(im) || !oct_onnx_axes_input(im, 1, &axes)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    int rank = c->rank + axes.n;
    if (axes.n < 0 || rank > OCT_MAX_RANK) return oct_onnx_invalid(im, "its result has %d dimensions", rank);
    if (!oct_onnx_axes(im, &axes, rank)) return false;
    int64_t dim[OCT_MAX_RANK];
    for (int i = 0, from = 0; i < rank; i++) {
        bool added = false;
        for (int k = 0; k < axes.n; k++) added |= axes.v[k] == i;
        dim[i] = added ? 1 : c->dim[from++];
    }
    return same_data(c, rank, dim, out);
}

static void strides_of(const struct oct_onnx_const *c, int64_t *stride) {
    int64_t step = 1;
    for (int i = c->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= c->dim[i];
    }
}

/* New elements: those of c from `first` on, along these dimensions and strides. */
static bool moved(struct oct_onnx *im, const struct oct_onnx_const *c, int64_t first, const int64_t *dim, const int64_t *stride,
                  struct oct_onnx_const *out) {
    void *to = oct_onnx_new_const(im, out, c->type, c->rank, dim);
    size_t size = oct_onnx_size(c->type);
    if (!to) return false;
    if (out->n) oct_import_gather(to, (const char *)c->data + (size_t)first * size, size, c->rank, dim, stride);
    out->has_n = c->has_n;
    return true;
}

bool oct_onnx_fold_transpose(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints perm;
    if (!oct_onnx_known(im) || !oct_onnx_attr_ints(im, "perm", &perm)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    int64_t source[OCT_MAX_RANK], dim[OCT_MAX_RANK], stride[OCT_MAX_RANK];
    if (perm.n < 0)
        for (perm.n = 0; perm.n < c->rank; perm.n++) perm.v[perm.n] = c->rank - 1 - perm.n;
    if (perm.n != c->rank) return oct_onnx_invalid(im, "perm has %d entries for %d dimensions", perm.n, c->rank);
    if (!oct_onnx_axes(im, &perm, c->rank)) return false;
    strides_of(c, source);
    for (int i = 0; i < c->rank; i++) {
        dim[i] = c->dim[perm.v[i]];
        stride[i] = source[perm.v[i]];
    }
    return moved(im, c, 0, dim, stride, out);
}

/* First index and number of elements of one axis: negative indices count from the end, all are clamped. */
static int64_t range_of(int64_t size, int64_t begin, int64_t end, int64_t step, int64_t *first) {
    int64_t least = step < 0 ? -1 : 0, most = step < 0 ? size - 1 : size;
    if (begin < 0) begin = begin < -size ? least : begin + size;
    if (end < 0) end = end < -size ? least : end + size;
    begin = begin < least ? least : begin > most ? most : begin;
    end = end < least ? least : end > most ? most : end;
    *first = begin;
    if (step > 0 ? end <= begin : begin <= end) return 0;
    uint64_t distance = (uint64_t)(step > 0 ? end - begin : begin - end), pace = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    return (int64_t)((distance - 1) / pace + 1);
}

bool oct_onnx_fold_slice(struct oct_onnx *im, struct oct_onnx_const *out) {
    struct oct_ints begin, end, axes, step;
    if (!oct_onnx_known(im) || !oct_onnx_slice_lists(im, im->in[0]->c->rank, &begin, &end, &axes, &step)) return false;
    const struct oct_onnx_const *c = im->in[0]->c;
    int64_t dim[OCT_MAX_RANK], stride[OCT_MAX_RANK], first = 0;
    strides_of(c, stride);
    memcpy(dim, c->dim, sizeof dim);
    for (int i = 0; i < axes.n; i++) {
        int64_t axis = axes.v[i], index;
        if (step.v[i] == 0) return oct_onnx_invalid(im, "step 0 along axis %lld", (long long)axis);
        dim[axis] = range_of(c->dim[axis], begin.v[i], end.v[i], step.v[i], &index);
        if (dim[axis]) first += index * stride[axis];
        if (dim[axis] > 1) stride[axis] *= step.v[i]; /* then |step| is below the size */
    }
    return moved(im, c, first, dim, stride, out);
}
