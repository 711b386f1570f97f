/* onnx_ops_reduce.c - reductions over axes, and LogSoftmax. A sum is the mean times the number of elements, a maximum a window of
 * max_pool2d: both have integer forms. */
#include <string.h>

#include "onnx_make.h"

oct_onnx_handler oct_onnx_build_reduce, oct_onnx_build_log_softmax;

static struct oct_node *negative(struct oct_onnx *im, struct oct_node *x) {
    return oct_onnx_make2(im, OCT_OP_mul, x, oct_onnx_number(im, -1));
}

static struct oct_node *log_sum_exp(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes) {
    struct oct_node *max = oct_onnx_max_over(im, x, axes);
    struct oct_node *e = oct_onnx_make1(im, OCT_OP_exp, oct_onnx_make2(im, OCT_OP_sub, x, max));
    return oct_onnx_make2(im, OCT_OP_add, max, oct_onnx_make1(im, OCT_OP_log, oct_onnx_sum_over(im, e, axes)));
}

/* The part [begin, end) along an axis. */
static struct oct_node *part(struct oct_onnx *im, struct oct_node *x, int64_t axis, int64_t begin, int64_t end) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {axis}}));
    OCT_SET(at, begin, ((struct oct_ints){1, {begin}}));
    OCT_SET(at, end, ((struct oct_ints){1, {end}}));
    return x ? oct_onnx_step(im, ".part", OCT_OP_slice, &x, 1, &at, NULL) : NULL;
}

/* The product: halves by each other until one element is left. */
static struct oct_node *product_over(struct oct_onnx *im, struct oct_node *x, const struct oct_ints *axes) {
    for (int i = 0; i < axes->n; i++)
        while (x && x->type.dim[axes->v[i]] > 1) {
            const int64_t n = x->type.dim[axes->v[i]], half = n / 2;
            struct oct_node *p =
                oct_onnx_make2(im, OCT_OP_mul, part(im, x, axes->v[i], 0, half), part(im, x, axes->v[i], half, 2 * half));
            if (n % 2 == 0) x = p;
            else if (half == 1) x = oct_onnx_make2(im, OCT_OP_mul, p, part(im, x, axes->v[i], n - 1, n));
            else {
                struct oct_attrs at;
                oct_attrs_init(&at);
                OCT_SET(at, axis, axes->v[i]);
                struct oct_node *rest = part(im, x, axes->v[i], n - 1, n);
                x = p && rest ? oct_onnx_step(im, ".rest", OCT_OP_concat, (struct oct_node *[]){p, rest}, 2, &at, NULL) : NULL;
            }
        }
    return x;
}

static const struct reduction {
    const char *name;
    enum { MAX, MIN, SUM, L1, L2, SQUARES, LOG_SUM, LOG_SUM_EXP, PRODUCT } what;
} reductions[] = {
    {"ReduceMax", MAX},      {"ReduceMin", MIN},           {"ReduceSum", SUM},        {"ReduceL1", L1},
    {"ReduceL2", L2},        {"ReduceSumSquare", SQUARES}, {"ReduceLogSum", LOG_SUM}, {"ReduceLogSumExp", LOG_SUM_EXP},
    {"ReduceProd", PRODUCT},
};

bool oct_onnx_build_reduce(struct oct_onnx *im) {
    int what = 0;
    while (strcmp(reductions[what].name, im->op->name)) what++;
    what = (int)reductions[what].what;
    struct oct_node *x = what == MAX ? oct_onnx_operand(im, 0) : oct_onnx_float_operand(im, 0), *y = NULL;
    struct oct_ints axes;
    if (!x || !oct_onnx_reduced_axes(im, x, &axes)) return false;
    const struct oct_type t = x->type;
    switch (what) {
    case MAX: y = oct_onnx_max_over(im, x, &axes); break;
    case MIN: y = negative(im, oct_onnx_max_over(im, negative(im, x), &axes)); break;
    case SUM: y = oct_onnx_sum_over(im, x, &axes); break;
    case L1: y = oct_onnx_sum_over(im, oct_onnx_make1(im, OCT_OP_abs, x), &axes); break;
    case L2: y = oct_onnx_make1(im, OCT_OP_sqrt, oct_onnx_sum_over(im, oct_onnx_make2(im, OCT_OP_mul, x, x), &axes)); break;
    case SQUARES: y = oct_onnx_sum_over(im, oct_onnx_make2(im, OCT_OP_mul, x, x), &axes); break;
    case LOG_SUM: y = oct_onnx_make1(im, OCT_OP_log, oct_onnx_sum_over(im, x, &axes)); break;
    case LOG_SUM_EXP: y = log_sum_exp(im, x, &axes); break;
    default: y = product_over(im, x, &axes); break;
    }
    if (y && y == x) return oct_onnx_alias(im);
    int64_t dim[OCT_MAX_RANK];
    int rank = 0;
    const bool keep = oct_onnx_attr_int(im, "keepdims", 1);
    for (int i = 0; i < t.rank; i++) {
        bool gone = false;
        for (int k = 0; k < axes.n; k++) gone |= axes.v[k] == i;
        if (!gone || keep) dim[rank++] = gone ? 1 : t.dim[i];
    }
    return y && oct_onnx_last_reshape(im, y, rank, dim);
}

/* x - log sum exp x; before operator set 13 over all axes from `axis` on. */
bool oct_onnx_build_log_softmax(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    int axis;
    const bool rows = im->opset < 13;
    if (!x || !oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", rows ? 1 : -1), x->type.rank, &axis)) return false;
    struct oct_ints axes = {0};
    for (int i = axis; i < (rows ? x->type.rank : axis + 1); i++) axes.v[axes.n++] = i;
    if (x->type.dim[axis] == OCT_DIM_N)
        return oct_onnx_unsupported(im, NULL, "it goes over the batch; samples must not depend on each other");
    struct oct_node *d = oct_onnx_make2(im, OCT_OP_sub, x, oct_onnx_max_over(im, x, &axes));
    struct oct_node *sum = oct_onnx_sum_over(im, oct_onnx_make1(im, OCT_OP_exp, d), &axes);
    return oct_onnx_last2(im, OCT_OP_sub, d, oct_onnx_make1(im, OCT_OP_log, sum));
}
