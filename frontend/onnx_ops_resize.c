/* onnx_ops_resize.c - Resize and Upsample. Each axis by itself: nearest pixels that only repeat or skip are moves; everything
 * else (linear, cubic) is a product with a constant matrix, one row for each new pixel. */
#include <string.h>

#include "onnx_make.h"

oct_onnx_handler oct_onnx_build_resize;

enum mode { NEAREST, LINEAR, CUBIC };
struct resize {
    enum mode mode;
    const char *coordinates, *nearest; /* words of ONNX */
    float a;                           /* cubic */
    bool exclude_outside;
};
/* One axis: `in` pixels become `out`, one of them 1 / scale of the old ones apart. */
struct axis {
    int64_t in, out;
    double scale;
};

/* Where the middle of pixel i lies among the old ones. */
static double place(const struct resize *r, const struct axis *a, int64_t i) {
    const double x = (double)i, in = (double)a->in, out = (double)a->out;
    if (!strcmp(r->coordinates, "asymmetric")) return x / a->scale;
    if (!strcmp(r->coordinates, "tf_half_pixel_for_nn")) return (x + 0.5) / a->scale;
    if (!strcmp(r->coordinates, "align_corners")) return a->out == 1 ? 0 : x * (in - 1) / (out - 1);
    if (!strcmp(r->coordinates, "pytorch_half_pixel") && a->out == 1) return 0;
    if (!strcmp(r->coordinates, "half_pixel_symmetric")) return in / 2 * (1 - out / (a->scale * in)) + (x + 0.5) / a->scale - 0.5;
    return (x + 0.5) / a->scale - 0.5;
}

static int64_t within(double x, int64_t n) { return x < 0 ? 0 : x > (double)(n - 1) ? n - 1 : (int64_t)x; }

static int64_t nearest(const struct resize *r, const struct axis *a, int64_t i) {
    const double x = place(r, a, i);
    const double near = !strcmp(r->nearest, "floor")               ? floor(x)
                        : !strcmp(r->nearest, "ceil")              ? ceil(x)
                        : !strcmp(r->nearest, "round_prefer_ceil") ? floor(x + 0.5)
                                                                   : ceil(x - 0.5);
    return within(near, a->in);
}

/* Keys' kernel at distance d. */
static double cubic(double a, double d) {
    d = fabs(d);
    return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* What pixel i takes of each old one. */
static void weights_of(const struct resize *r, const struct axis *a, int64_t i, float *row) {
    memset(row, 0, (size_t)a->in * sizeof *row);
    if (r->mode == NEAREST) {
        row[nearest(r, a, i)] = 1;
        return;
    }
    const int reach = r->mode == LINEAR ? 1 : 2;
    const double x = place(r, a, i), first = floor(x) - (reach - 1);
    double weight[4], sum = 0;
    for (int k = 0; k < 2 * reach; k++) {
        const double at = first + k, d = x - at;
        weight[k] = r->mode == LINEAR ? 1 - fabs(d) : cubic((double)r->a, d);
        if (r->exclude_outside && (at < 0 || at > (double)(a->in - 1))) weight[k] = 0;
        sum += weight[k];
    }
    for (int k = 0; k < 2 * reach; k++)
        row[within(first + k, a->in)] += (float)(r->exclude_outside ? weight[k] / sum : weight[k]);
}

/* ---- building ------------------------------------------------------------------------------------------------------------ */

/* Each pixel along an axis k times. */
static struct oct_node *repeated(struct oct_onnx *im, struct oct_node *x, int axis, int64_t k) {
    const struct oct_type t = x->type;
    int64_t dim[OCT_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < t.rank; i++) {
        dim[rank++] = t.dim[i];
        if (i == axis) dim[rank++] = 1;
    }
    struct oct_node **copies = OCT_NEW_N(im->a, struct oct_node *, k), *one = oct_onnx_reshaped(im, ".pixels", x, rank, dim);
    for (int64_t i = 0; i < k; i++) copies[i] = one;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, axis + 1);
    const struct oct_type q = {.dtype = t.dtype, .rank = OCT_ANY_RANK, .q = t.q};
    if (!one || !(one = oct_onnx_step(im, ".repeated", OCT_OP_concat, copies, (int)k, &at, t.q ? &q : NULL))) return NULL;
    memcpy(dim, t.dim, sizeof dim);
    dim[axis] *= k;
    return oct_onnx_reshaped(im, ".larger", one, t.rank, dim);
}

/* Nearest pixels as moves; NULL without a report where they are none. */
static struct oct_node *moved(struct oct_onnx *im, const struct resize *r, struct oct_node *x, int axis, const struct axis *a) {
    enum { MOST_COPIES = 64 };
    const int64_t first = nearest(r, a, 0), step = a->out > 1 ? nearest(r, a, 1) - first : 1, k = a->out / a->in;
    bool repeats = k * a->in == a->out && k >= 1 && k <= MOST_COPIES && x->type.rank<OCT_MAX_RANK, skips = step> 0;
    for (int64_t i = 0; i < a->out; i++) {
        repeats = repeats && nearest(r, a, i) == i / k;
        skips &= nearest(r, a, i) == first + i * step;
    }
    if (repeats) return k == 1 ? x : repeated(im, x, axis, k);
    if (!skips) return NULL;
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {axis}}));
    OCT_SET(at, begin, ((struct oct_ints){1, {first}}));
    OCT_SET(at, end, ((struct oct_ints){1, {first + (a->out - 1) * step + 1}}));
    OCT_SET(at, step, ((struct oct_ints){1, {step}}));
    return oct_onnx_step(im, ".pixels", OCT_OP_slice, &x, 1, &at, NULL);
}

/* By a matrix, along the last axis. */
static struct oct_node *product(struct oct_onnx *im, const struct resize *r, struct oct_node *x, int axis, const struct axis *a) {
    struct oct_type t = {.dtype = OCT_F32, .rank = 2, .dim = {a->out, a->in}};
    if (x->type.dtype != OCT_F32) return oct_onnx_unsupported(im, "dequantize before it", "it mixes codes"), NULL;
    if (a->in > OCT_MAX_ELEMENTS / a->out || !oct_onnx_budget(im, (size_t)(a->in * a->out) * sizeof(float))) return NULL;
    float *w = OCT_NEW_N(im->a, float, a->in * a->out);
    for (int64_t i = 0; i < a->out; i++) weights_of(r, a, i, w + i * a->in);
    const char *name = oct_fresh_const_name(im->m, oct_sprintf(im->a, "%.48s.w", oct_import_readable(im->out[0]->name)));
    struct oct_node *matrix = oct_build_const(im->m, name, &t, w, im->span);
    struct oct_ints perm = {x->type.rank, {0}};
    for (int i = 0; i < perm.n; i++) perm.v[i] = i;
    perm.v[axis] = perm.n - 1; /* its own inverse */
    perm.v[perm.n - 1] = axis;
    const bool last = axis == perm.n - 1;
    if (!last) x = oct_onnx_permuted(im, ".turned", x, &perm);
    x = oct_onnx_make2(im, OCT_OP_dense, x, matrix);
    return last || !x ? x : oct_onnx_permuted(im, ".back", x, &perm);
}

/* The sizes and scales that inputs or attributes ask for. */
static bool read_axes(struct oct_onnx *im, const struct oct_type *t, int scales, struct axis *a) {
    const int sizes = im->op->max_in == 4 && oct_onnx_has(im, 3) ? 3 : 0;
    const struct oct_onnx_const *c = sizes || oct_onnx_has(im, scales) ? oct_onnx_constant(im, sizes ? sizes : scales) : NULL;
    if (!c) return im->failed ? false : oct_onnx_invalid(im, "it has neither scales nor sizes");
    if (c->has_n || c->n != t->rank || (c->type == ONNX_FLOAT) == (sizes > 0))
        return oct_onnx_invalid(im, "its %s are not one for each of %d axes", sizes ? "sizes" : "scales", t->rank);
    for (int i = 0; i < t->rank; i++) {
        const double v = oct_onnx_get_real(c, i);
        if (t->dim[i] == OCT_DIM_N) {
            if (!sizes && v != 1) return oct_onnx_unsupported(im, NULL, "it resizes the batch");
            a[i] = (struct axis){1, 1, 1};
            continue;
        }
        const double out = sizes ? v : floor((double)t->dim[i] * v);
        if (!(out >= 1 && out <= (double)OCT_MAX_ELEMENTS)) return oct_onnx_invalid(im, "axis %d gets %g elements", i, out);
        a[i] = (struct axis){t->dim[i], (int64_t)out, sizes ? out / (double)t->dim[i] : v};
    }
    return true;
}

bool oct_onnx_build_resize(struct oct_onnx *im) {
    const bool old = im->op->max_in < 4 || im->opset < 11; /* Upsample, and Resize when it was new */
    struct resize r = {.coordinates = old ? "asymmetric" : oct_onnx_attr_str(im, "coordinate_transformation_mode", "half_pixel"),
                       .nearest = old ? "floor" : oct_onnx_attr_str(im, "nearest_mode", "round_prefer_floor"),
                       .a = oct_onnx_attr_float(im, "cubic_coeff_a", -0.75f),
                       .exclude_outside = oct_onnx_attr_int(im, "exclude_outside", 0)};
    const char *mode = oct_onnx_attr_str(im, "mode", "nearest");
    static const char *const known[] = {
        "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners", "tf_half_pixel_for_nn", NULL};
    struct oct_node *x = oct_onnx_operand(im, 0);
    struct axis a[OCT_MAX_RANK];
    if (!x || im->failed) return false;
    int k = 0;
    while (known[k] && strcmp(known[k], r.coordinates)) k++;
    if (!known[k])
        return oct_onnx_unsupported(im, NULL, "coordinate_transformation_mode is %s", oct_onnx_quote(im, r.coordinates));
    if (oct_onnx_attr(im, "axes")) return oct_onnx_unsupported(im, "give sizes of all axes", "it names axes");
    if (strcmp(oct_onnx_attr_str(im, "keep_aspect_ratio_policy", "stretch"), "stretch"))
        return oct_onnx_unsupported(im, "give the sizes", "it keeps the ratio of sizes");
    r.mode = !strcmp(mode, "nearest") ? NEAREST : !strcmp(mode, "linear") ? LINEAR : CUBIC;
    if (r.mode == CUBIC && strcmp(mode, "cubic")) return oct_onnx_invalid(im, "mode is %s", oct_onnx_quote(im, mode));
    if (!read_axes(im, &x->type, old ? 1 : 2, a)) return false;
    const struct oct_node *from = x;
    for (int i = 0; i < from->type.rank; i++) {
        if (a[i].in == a[i].out && a[i].scale == 1) continue;
        if (r.mode != NEAREST && a[i].out < a[i].in && oct_onnx_attr_int(im, "antialias", 0))
            return oct_onnx_unsupported(im, NULL, "it averages what it makes smaller (antialias)");
        if (!strcmp(r.coordinates, "align_corners") && a[i].scale * (double)a[i].in != (double)a[i].out)
            return oct_onnx_unsupported(im, "give the sizes", "it aligns corners, but %g pixels become %g", (double)a[i].in,
                                        a[i].scale * (double)a[i].in);
        struct oct_node *y = r.mode == NEAREST ? moved(im, &r, x, i, &a[i]) : NULL;
        if (im->failed || !(x = y ? y : product(im, &r, x, i, &a[i]))) return false;
    }
    return x == from ? oct_onnx_alias(im) : oct_onnx_last_reshape(im, x, x->type.rank, x->type.dim);
}
