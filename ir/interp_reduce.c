/* interp_reduce.c - many elements to one: max_pool2d, avg_pool2d, mean; and softmax, which divides by what it sums. */
#include "interp_impl.h"

__extension__ typedef __int128 iwide;
__extension__ typedef unsigned __int128 uwide;

static int64_t floordiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); } /* b > 0 */

/* ---- average of a sum: docs/numerics.md 4.2 ----------------------------------------------------------------------------- */

/* The requantizer of M = s_x / s_y; q31 for pot too. */
struct average {
    struct oct_requant r;
};

/* tflm mean: the count goes into the multiplier. */
static struct oct_requant with_count(struct oct_requant r, int64_t n) {
    int k = 63 - __builtin_clzll((unsigned long long)n);
    if (k > 32) k = 32;
    if (k > 31 + r.exponent) k = 31 + r.exponent;
    r.multiplier = (int32_t)(((int64_t)r.multiplier << k) / n);
    r.exponent -= k;
    return r;
}

/* q31: sum of q - z over n elements, times M, over n, rounded once. */
static int64_t average_q31(const struct oct_requant *r, int64_t sum, int64_t n) {
    int s = 31 - r->exponent;
    if (s >= 63) return 0;
    iwide v = (iwide)sum * r->multiplier + ((iwide)n << (s - 1));
    return floordiv((int64_t)(v >> s), n);
}

static int64_t average_mean(const struct oct_node *n, const struct average *a, int64_t sum, int64_t count) {
    if (count == 0) return 0;
    if (n->at.profile != OCT_profile_tflm) return average_q31(&a->r, sum, count);
    struct oct_requant r = with_count(a->r, count);
    return oct_requant_apply(&r, sum);
}

/* tflm average pool: half away from zero on codes, in the operand's parameters. */
static int64_t average_pool(const struct oct_node *n, const struct average *a, int64_t sum, int64_t count, int64_t zx,
                            bool same) {
    if (n->at.profile != OCT_profile_tflm || count == 0) return average_mean(n, a, sum, count);
    int64_t codes = sum + count * zx; /* padded elements count as zx */
    int64_t p = (codes > 0 ? codes + count / 2 : codes - count / 2) / count;
    return same ? p - zx : oct_requant_apply(&a->r, p - zx);
}

/* ---- pooling -------------------------------------------------------------------------------------------------------------- */

/* Rows (or columns) that window o takes of an axis of `size`: [from, from + count * dilation), and how many lie inside the padded
 * image. */
struct span {
    int64_t from, count, padded;
};
static struct span window(int64_t o, int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t before,
                          int64_t after) {
    int64_t first = o * stride - before;
    int64_t k0 = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    int64_t k1 = first >= size ? 0 : (size - first + dilation - 1) / dilation;
    int64_t k2 = first >= size + after ? 0 : (size + after - first + dilation - 1) / dilation;
    if (k1 > kernel) k1 = kernel;
    if (k2 > kernel) k2 = kernel;
    return (struct span){first + k0 * dilation, k1 > k0 ? k1 - k0 : 0, k2};
}

struct pool {
    int64_t planes, h, w, oh, ow;
};
static struct pool pool_of(const struct oct_type *x, const struct oct_type *y) {
    return (struct pool){x->dim[0] * x->dim[1], x->dim[2], x->dim[3], y->dim[2], y->dim[3]};
}
static struct span rows_of(const struct oct_node *n, int64_t y, int64_t h) {
    const struct oct_attrs *at = &n->at;
    return window(y, h, at->kernel[0], at->stride[0], at->dilation[0], at->pad[0], at->pad[2]);
}
static struct span columns_of(const struct oct_node *n, int64_t x, int64_t w) {
    const struct oct_attrs *at = &n->at;
    return window(x, w, at->kernel[1], at->stride[1], at->dilation[1], at->pad[1], at->pad[3]);
}

void interp_max_pool2d(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,
                       struct oct_tensor *out) {
    (void)ex;
    struct pool p = pool_of(&in[0]->type, &out->type);
    bool is_float = oct_dtype_is_float(out->type.dtype);
    int64_t to = 0, dh = n->at.dilation[0], dw = n->at.dilation[1];
    for (int64_t plane = 0; plane < p.planes; plane++)
        for (int64_t y = 0; y < p.oh; y++)
            for (int64_t x = 0; x < p.ow; x++, to++) {
                struct span r = rows_of(n, y, p.h), c = columns_of(n, x, p.w);
                float best = -INFINITY;
                int32_t most = (int32_t)oct_dtype_min(is_float ? OCT_I32 : out->type.dtype);
                for (int64_t a = 0; a < r.count; a++) {
                    int64_t at = (plane * p.h + r.from + a * dh) * p.w + c.from;
                    for (int64_t b = 0; b < c.count; b++) {
                        if (is_float) {
                            float v = ((const float *)in[0]->data)[at + b * dw];
                            best = v > best || v != v ? v : best; /* a NaN stays */
                        } else {
                            int32_t v;
                            oct_load_codes(in[0], at + b * dw, 1, 1, 0, &v);
                            most = v > most ? v : most;
                        }
                    }
                }
                if (is_float) ((float *)out->data)[to] = best;
                else oct_store_codes(out, to, 1, &most);
            }
}

void interp_avg_pool2d(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,
                       struct oct_tensor *out) {
    bool integer = oct_is_integer_form(&out->type);
    if (integer && n->at.profile == OCT_profile_onnx) {
        oct_through_float(ex, n, interp_avg_pool2d, in, out);
        return;
    }
    struct pool p = pool_of(&in[0]->type, &out->type);
    struct oct_code_range range = integer ? oct_code_range(n) : (struct oct_code_range){0, 0};
    int64_t to = 0, zx = integer ? oct_zero(in[0]->type.q, 0) : 0;
    bool same = integer && oct_quant_equal(in[0]->type.q, out->type.q);
    for (int64_t plane = 0; plane < p.planes; plane++)
        for (int64_t y = 0; y < p.oh; y++)
            for (int64_t x = 0; x < p.ow; x++, to++) {
                struct span r = rows_of(n, y, p.h), c = columns_of(n, x, p.w);
                int64_t count = n->at.count_pad ? r.padded * c.padded : r.count * c.count, sum = 0;
                float total = 0;
                for (int64_t a = 0; a < r.count; a++) {
                    int64_t at = (plane * p.h + r.from + a) * p.w + c.from;
                    for (int64_t b = 0; b < c.count; b++) {
                        if (!integer) {
                            total += ((const float *)in[0]->data)[at + b];
                            continue;
                        }
                        int32_t v;
                        oct_load_codes(in[0], at + b, 1, 1, zx, &v);
                        sum += v;
                    }
                }
                if (!integer) {
                    ((float *)out->data)[to] = count ? total / (float)count : 0;
                    continue;
                }
                int32_t code =
                    oct_clamp_code(average_pool(n, ex->now->prep, sum, count, zx, same) + oct_zero(out->type.q, 0), range);
                oct_store_codes(out, to, 1, &code);
            }
}

/* ---- mean --------------------------------------------------------------------------------------------------------------------
 */

/* Walks x in row-major order, so each sum takes its elements in that order; `step` gives the result's stride along each axis of
 * x, 0 along those that are averaged. */
static int64_t mean_steps(const struct oct_node *n, const struct oct_type *x, int64_t *step) {
    int64_t stride = 1, count = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        bool reduced = false;
        for (int i = 0; i < n->at.axes.n; i++) reduced = reduced || n->at.axes.v[i] == d;
        step[d] = reduced ? 0 : stride;
        if (reduced) count *= x->dim[d];
        else stride *= x->dim[d];
    }
    return count;
}

void interp_mean(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    bool integer = oct_is_integer_form(&out->type);
    if (integer && n->at.profile == OCT_profile_onnx) {
        oct_through_float(ex, n, interp_mean, in, out);
        return;
    }
    const struct oct_type *t = &in[0]->type;
    int64_t results = oct_tensor_elements(out), all = oct_tensor_elements(in[0]), step[OCT_MAX_RANK], index[OCT_MAX_RANK] = {0};
    int64_t count = mean_steps(n, t, step), zx = integer ? oct_zero(t->q, 0) : 0;
    int64_t *sums = integer ? oct_scratch(ex, results, sizeof *sums) : NULL;
    float *y = out->data;
    for (int64_t i = 0; i < results; i++) {
        if (integer) sums[i] = 0;
        else y[i] = 0;
    }
    int64_t inner = t->rank > 0 ? t->dim[t->rank - 1] : 1, along = t->rank > 0 ? step[t->rank - 1] : 0;
    for (int64_t at = 0; at < all; at += inner) {
        int64_t to = 0;
        for (int d = 0; d < t->rank - 1; d++) to += index[d] * step[d];
        for (int64_t i = 0; i < inner; i++) {
            if (!integer) {
                y[to + i * along] += ((const float *)in[0]->data)[at + i];
                continue;
            }
            int32_t v;
            oct_load_codes(in[0], at + i, 1, 1, zx, &v);
            sums[to + i * along] += v;
        }
        for (int d = t->rank - 2; d >= 0 && ++index[d] == t->dim[d]; d--) index[d] = 0;
    }
    struct oct_code_range range = integer ? oct_code_range(n) : (struct oct_code_range){0, 0};
    for (int64_t i = 0; i < results; i++) {
        if (!integer) {
            y[i] = y[i] / (float)count;
            continue;
        }
        int32_t code = oct_clamp_code(average_mean(n, ex->now->prep, sums[i], count) + oct_zero(out->type.q, 0), range);
        oct_store_codes(out, i, 1, &code);
    }
}

/* ---- softmax: docs/numerics.md 4.3, 4.4
 * ------------------------------------------------------------------------------------------- */

static uint32_t exp_code(float scale, int64_t d) { return (uint32_t)rintf(oct_expf(-(scale * (float)d)) * 8388608.0f); }

void oct_softmax_table(float scale, uint32_t table[256]) {
    for (int d = 0; d < 256; d++) table[d] = exp_code(scale, d);
}

/* x 2^k within int32. */
static int32_t shift_saturated(int32_t x, int k) {
    int64_t v = (int64_t)x * ((int64_t)1 << k);
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* e^a in Q0.31 for a <= 0 in Q5.26: a Taylor series around -1/8 on the remainder, then one factor for each bit above. */
static int32_t gemmlowp_exp(int32_t a) {
    static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* e^-1/4 .. e^-16 */
    if (a == 0) return INT32_MAX;
    int32_t rest = (a & ((1 << 24) - 1)) - (1 << 24);
    int32_t x = shift_saturated(rest, 5) + (1 << 28);
    int32_t x2 = oct_srdhm(x, x), x3 = oct_srdhm(x2, x), x4 = oct_srdhm(x2, x2);
    int32_t p = oct_rdbpot(oct_srdhm(oct_rdbpot(x4, 2) + x3, 715827883) + x2, 1);
    int32_t g = 1895147668 + oct_srdhm(1895147668, x + p); /* e^-1/8 */
    int32_t above = rest - a;
    for (int i = 0; i < 7; i++)
        if (above & (1 << (24 + i))) g = oct_srdhm(g, factor[i]);
    return g;
}

/* 1 / (1 + u) in Q0.31 for u in [0, 1) in Q0.31: three steps of Newton. */
static int32_t gemmlowp_reciprocal(int32_t u) {
    int32_t half = (int32_t)(((int64_t)u + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + oct_srdhm(half, -1010580540); /* 48/17, -32/17 in Q2.29 */
    for (int i = 0; i < 3; i++) x += shift_saturated(oct_srdhm(x, (1 << 29) - oct_srdhm(half, x)), 2);
    return shift_saturated(x, 1);
}

struct softmax {
    uint32_t table[256]; /* q31: T[d]; tflm: E(d), 0 beyond diff_min */
    uint64_t w;          /* q31: RNE(2^16 / s_y) */
};

static void softmax_float(const float *x, float *y, int64_t count, int64_t stride) {
    float most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++) most = x[i * stride] > most || x[i * stride] != x[i * stride] ? x[i * stride] : most;
    for (int64_t i = 0; i < count; i++) sum += y[i * stride] = oct_expf(x[i * stride] - most);
    for (int64_t i = 0; i < count; i++) y[i * stride] = y[i * stride] / sum;
}

static void softmax_q31(const struct softmax *p, const struct oct_tensor *x, struct oct_tensor *y, int64_t at, int64_t count,
                        int64_t stride, int32_t most) {
    bool wide = oct_dtype_size(x->type.dtype) > 1;
    float scale = oct_scale(x->type.q, 0);
    struct oct_code_range all = {(int32_t)oct_dtype_min(y->type.dtype), (int32_t)oct_dtype_max(y->type.dtype)};
    uint64_t sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < count; i++) {
            int32_t code;
            oct_load_codes(x, at + i * stride, 1, 1, 0, &code);
            int64_t d = (int64_t)most - code;
            uint32_t e = wide ? exp_code(scale, d) : p->table[d];
            if (pass == 0) {
                sum += e;
                continue;
            }
            uwide v = ((uwide)e * p->w * 2 + ((uwide)sum << 16)) / ((uwide)sum << 17);
            code = oct_clamp_code((int64_t)v + oct_zero(y->type.q, 0), all);
            oct_store_codes(y, at + i * stride, 1, &code);
        }
}

static void softmax_tflm(const struct softmax *p, const struct oct_tensor *x, struct oct_tensor *y, int64_t at, int64_t count,
                         int64_t stride, int32_t most) {
    struct oct_code_range all = {(int32_t)oct_dtype_min(y->type.dtype), (int32_t)oct_dtype_max(y->type.dtype)};
    int32_t sum = 0, reciprocal = 0, bits = 0; /* sum in Q12.19, count < 4096 */
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < count; i++) {
            int32_t code;
            oct_load_codes(x, at + i * stride, 1, 1, 0, &code);
            int32_t e = (int32_t)p->table[most - code];
            if (pass == 0) {
                sum += oct_rdbpot(e, 12);
                continue;
            }
            code = oct_clamp_code((int64_t)oct_rdbpot(oct_srdhm(reciprocal, e), bits + 31 - 8) + all.lo, all);
            oct_store_codes(y, at + i * stride, 1, &code);
        }
        int head = __builtin_clz((unsigned)sum);
        bits = 12 - head;
        reciprocal = gemmlowp_reciprocal((int32_t)(((uint32_t)sum << head) - (1u << 31)));
    }
}

void interp_softmax(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    bool integer = oct_is_integer_form(&out->type);
    if (integer && n->at.profile == OCT_profile_onnx) {
        oct_through_float(ex, n, interp_softmax, in, out);
        return;
    }
    const struct oct_type *t = &out->type;
    int axis = (int)n->at.axis;
    int64_t count = t->dim[axis], stride = oct_inner(t, axis), all = oct_tensor_elements(out);
    if (count == 0) return;
    for (int64_t row = 0; row < all / count; row++) {
        int64_t at = row / stride * count * stride + row % stride;
        if (!integer) {
            softmax_float((const float *)in[0]->data + at, (float *)out->data + at, count, stride);
            continue;
        }
        int32_t most = INT32_MIN, code;
        for (int64_t i = 0; i < count; i++) {
            oct_load_codes(in[0], at + i * stride, 1, 1, 0, &code);
            most = code > most ? code : most;
        }
        if (n->at.profile == OCT_profile_tflm) softmax_tflm(ex->now->prep, in[0], out, at, count, stride, most);
        else softmax_q31(ex->now->prep, in[0], out, at, count, stride, most);
    }
}

/* ---- preparing
 * ------------------------------------------------------------------------------------------------------------------------ */

static bool prepare_average(struct oct_exec *ex, struct oct_step *step) {
    struct average *a = OCT_NEW(ex->arena, struct average);
    step->prep = a;
    step->scratch = oct_scratch_bytes(oct_tensor_elements(&step->out), sizeof(int64_t));
    double m = (double)oct_scale(step->in[0]->type.q, 0) / (double)oct_scale(step->out.type.q, 0);
    enum oct_profile p = step->n->at.profile;
    if (!oct_requant_from_real(p, m, &a->r)) return oct_refuse_requant(ex, step->n, m);
    return p != OCT_profile_pot || oct_requant_from_real(OCT_profile_q31, m, &a->r);
}

static bool prepare_softmax(struct oct_exec *ex, struct oct_step *step) {
    struct softmax *p = OCT_NEW(ex->arena, struct softmax);
    step->prep = p;
    const struct oct_node *n = step->n;
    float sx = oct_scale(step->in[0]->type.q, 0), sy = oct_scale(step->out.type.q, 0);
    if (n->at.profile != OCT_profile_tflm) {
        oct_softmax_table(sx, p->table);
        double w = rint(65536.0 / (double)sy);
        p->w = (uint64_t)w;
        return w < 0x1p62 || oct_refuse_requant(ex, n, 1.0 / (double)sy);
    }
    int axis = (int)n->at.axis;
    struct oct_requant r;
    double m = (double)sx * 0x1p26 < 0x1p31 - 1 ? (double)sx * 0x1p26 : 0x1p31 - 1;
    bool small = oct_dtype_size(step->in[0]->type.dtype) == 1 && oct_dtype_size(step->out.type.dtype) == 1;
    /* The factor may exceed 2^30, where requantizers end: (m, e) of a quarter, and 2 more. */
    if (!small || sy != 1.0f / 256 || oct_zero(step->out.type.q, 0) != oct_dtype_min(step->out.type.dtype) ||
        step->out.type.dim[axis] >= 4096 || !oct_requant_from_real(OCT_profile_q31, m / 4, &r) || r.exponent + 2 < 0) {
        oct_error(ex->cx, n->span, OCT_E5403,
                  "'%s': softmax under profile tflm takes 8-bit codes, a result of scale=0.00390625 and lowest zero, under 4096 "
                  "elements",
                  n->name);
        oct_help(ex->cx, "use profile q31");
        return false;
    }
    int e = r.exponent + 2;
    int64_t diff_min = -((31LL << 26) >> e);
    for (int d = 0; d < 256; d++)
        p->table[d] = -d < diff_min ? 0 : (uint32_t)gemmlowp_exp(oct_srdhm(shift_saturated(-d, e), r.multiplier));
    return true;
}

bool oct_prepare_reduce(struct oct_exec *ex, struct oct_step *step) {
    enum oct_op op = step->n->op;
    bool average = op == OCT_OP_avg_pool2d || op == OCT_OP_mean;
    if ((!average && op != OCT_OP_softmax) || !oct_is_integer_form(&step->out.type)) return true;
    if (step->n->at.profile == OCT_profile_onnx) {
        step->scratch = oct_through_float_scratch(step);
        return true;
    }
    return average ? prepare_average(ex, step) : prepare_softmax(ex, step);
}
