/* interp_move.c - what moves elements and changes none: leaf, copy, transpose, slice, pad, concat (which requantizes parts whose
 * parameters are not the result's). */
#include "interp_impl.h"

/* Copies a box of elements of `size` bytes between two layouts given by strides (in elements). */
static void copy_box(int rank, const int64_t *dim, size_t size, unsigned char *dst, const int64_t *ds, const unsigned char *src,
                     const int64_t *ss) {
    int64_t index[OCT_MAX_RANK] = {0}, rows = 1;
    for (int d = 0; d < rank; d++) {
        if (dim[d] == 0) return;
        if (d < rank - 1) rows *= dim[d];
    }
    int64_t inner = rank > 0 ? dim[rank - 1] : 1, dd = rank > 0 ? ds[rank - 1] : 1, sd = rank > 0 ? ss[rank - 1] : 1;
    for (int64_t row = 0; row < rows; row++) {
        int64_t to = 0, from = 0;
        for (int d = 0; d < rank - 1; d++) to += index[d] * ds[d], from += index[d] * ss[d];
        if (dd == 1 && sd == 1) memcpy(dst + to * (int64_t)size, src + from * (int64_t)size, (size_t)inner * size);
        else
            for (int64_t i = 0; i < inner; i++)
                memcpy(dst + (to + i * dd) * (int64_t)size, src + (from + i * sd) * (int64_t)size, size);
        for (int d = rank - 2; d >= 0 && ++index[d] == dim[d]; d--) index[d] = 0;
    }
}

static void strides_of(const struct oct_type *t, int64_t *s) {
    int64_t stride = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        s[d] = stride;
        stride *= t->dim[d];
    }
}

void interp_leaf(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n, (void)in, (void)out; /* the data are there */
}

void interp_copy(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n;
    memcpy(out->data, in[0]->data, (size_t)oct_tensor_elements(out) * oct_dtype_size(out->type.dtype));
}

void interp_transpose(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    const struct oct_type *y = &out->type;
    int64_t sx[OCT_MAX_RANK], from[OCT_MAX_RANK], to[OCT_MAX_RANK];
    strides_of(&in[0]->type, sx);
    strides_of(y, to);
    for (int d = 0; d < y->rank; d++) from[d] = sx[n->at.perm.v[d]];
    copy_box(y->rank, y->dim, oct_dtype_size(y->dtype), out->data, to, in[0]->data, from);
}

void interp_slice(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    const struct oct_type *x = &in[0]->type, *y = &out->type;
    int64_t from[OCT_MAX_RANK], to[OCT_MAX_RANK], start = 0;
    strides_of(x, from);
    strides_of(y, to);
    for (int i = 0; i < n->at.axes.n; i++) { /* resolved by the shape rule */
        int64_t axis = n->at.axes.v[i];
        start += n->at.begin.v[i] * from[axis];
        from[axis] *= n->at.step.v[i];
    }
    size_t size = oct_dtype_size(y->dtype);
    copy_box(y->rank, y->dim, size, out->data, to, (const unsigned char *)in[0]->data + start * (int64_t)size, from);
}

void interp_pad(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    const struct oct_type *x = &in[0]->type, *y = &out->type;
    int64_t all = oct_tensor_elements(out), from[OCT_MAX_RANK], to[OCT_MAX_RANK] = {0}, write = 0;
    if (oct_dtype_is_float(y->dtype)) {
        for (int64_t i = 0; i < all; i++) ((float *)out->data)[i] = n->at.value;
    } else {
        int32_t code = y->q ? oct_quantize1(n->at.value, oct_scale(y->q, 0), oct_zero(y->q, 0), (int32_t)oct_dtype_min(y->dtype),
                                            (int32_t)oct_dtype_max(y->dtype), OCT_divide_div, OCT_order_before)
                            : (int32_t)n->at.value;
        for (int64_t i = 0; i < all; i++) oct_store_codes(out, i, 1, &code);
    }
    strides_of(x, from);
    strides_of(y, to);
    for (int d = 0; d < x->rank; d++) write += n->at.pads.v[d] * to[d];
    size_t size = oct_dtype_size(y->dtype);
    copy_box(x->rank, x->dim, size, (unsigned char *)out->data + write * (int64_t)size, to, in[0]->data, from);
}

/* ---- concat -----------------------------------------------------------------------------------------------------------------
 */

/* Do equal codes mean equal values? */
static bool same_codes(const struct oct_type *x, const struct oct_type *y) {
    return x->dtype == y->dtype && oct_quant_equal(x->q, y->q);
}

/* One part's codes in the parameters of the result. */
static int32_t part_code(const struct oct_node *n, const struct oct_requant *r, int32_t code, const struct oct_type *x,
                         const struct oct_type *y) {
    struct oct_code_range all = {(int32_t)oct_dtype_min(y->dtype), (int32_t)oct_dtype_max(y->dtype)};
    if (n->at.profile == OCT_profile_onnx)
        return oct_quantize1(oct_dequantize1(code, oct_scale(x->q, 0), oct_zero(x->q, 0)), oct_scale(y->q, 0), oct_zero(y->q, 0),
                             all.lo, all.hi, OCT_divide_div, OCT_order_before);
    return oct_clamp_code(oct_requant_apply(r, (int64_t)code - oct_zero(x->q, 0)) + oct_zero(y->q, 0), all);
}

void interp_concat(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct oct_requant *requant = ex->now->prep;
    const struct oct_type *y = &out->type;
    int axis = (int)n->at.axis;
    int64_t inner = oct_inner(y, axis), row = y->dim[axis] * inner, rows = row > 0 ? oct_tensor_elements(out) / row : 0, at = 0;
    size_t size = oct_dtype_size(y->dtype);
    for (int k = 0; k < n->noperands; k++) {
        const struct oct_type *x = &in[k]->type;
        int64_t run = x->dim[axis] * inner;
        bool same = !y->q || same_codes(x, y);
        for (int64_t r = 0; r < rows; r++) {
            if (same) {
                memcpy((unsigned char *)out->data + (size_t)(r * row + at) * size,
                       (const unsigned char *)in[k]->data + (size_t)(r * run) * size, (size_t)run * size);
                continue;
            }
            for (int64_t i = 0; i < run; i += OCT_RUN) {
                int32_t code[OCT_RUN];
                int64_t m = run - i < OCT_RUN ? run - i : OCT_RUN;
                oct_load_codes(in[k], r * run + i, 1, m, 0, code);
                for (int64_t j = 0; j < m; j++) code[j] = part_code(n, &requant[k], code[j], x, y);
                oct_store_codes(out, r * row + at + i, m, code);
            }
        }
        at += run;
    }
}

bool oct_prepare_move(struct oct_exec *ex, struct oct_step *step) {
    const struct oct_node *n = step->n;
    if (n->op != OCT_OP_concat || !oct_is_integer_form(&step->out.type)) return true;
    struct oct_requant *r = OCT_NEW_N(ex->arena, struct oct_requant, n->noperands);
    step->prep = r;
    for (int k = 0; k < n->noperands; k++) {
        const struct oct_type *x = &step->in[k]->type;
        if (same_codes(x, &step->out.type)) continue;
        double m = (double)oct_scale(x->q, 0) / (double)oct_scale(step->out.type.q, 0);
        if (!oct_requant_from_real(n->at.profile, m, &r[k])) return oct_refuse_requant(ex, n, m);
    }
    return true;
}
