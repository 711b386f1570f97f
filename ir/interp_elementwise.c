/* interp_elementwise.c - what takes an element (or one of each of two operands) to an element: add, sub, mul, pointwise
 * functions, lut, batchnorm, quantize, dequantize, requantize; and the way through float that profile onnx means. */
#include "interp_impl.h"

/* ---- quantize, dequantize -------------------------------------------------------------------------------------------- */

/* Index of the quantization parameters of element i. */
static uint32_t parameter_of(const struct oct_type *t, int64_t inner, int64_t i) {
    if (t->q->axis < 0) return 0;
    int64_t index = i / inner % t->dim[t->q->axis];
    return (uint32_t)(t->q->block > 0 ? index / t->q->block : index);
}
static int64_t inner_of(const struct oct_type *t) { return t->q->axis < 0 ? 1 : oct_inner(t, t->q->axis); }

void oct_dequantize_tensor(const struct oct_tensor *t, float *dst) {
    int64_t n = oct_tensor_elements(t), inner = inner_of(&t->type);
    for (int64_t at = 0; at < n; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = n - at < OCT_RUN ? n - at : OCT_RUN;
        oct_load_codes(t, at, 1, k, 0, code);
        for (int64_t i = 0; i < k; i++) {
            uint32_t p = parameter_of(&t->type, inner, at + i);
            dst[at + i] = oct_dequantize1(code[i], oct_scale(t->type.q, p), oct_zero(t->type.q, p));
        }
    }
}

void oct_quantize_tensor(const float *src, const struct oct_tensor *t, struct oct_code_range codes, enum oct_divide d,
                         enum oct_order o) {
    int64_t n = oct_tensor_elements(t), inner = inner_of(&t->type);
    for (int64_t at = 0; at < n; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = n - at < OCT_RUN ? n - at : OCT_RUN;
        for (int64_t i = 0; i < k; i++) {
            uint32_t p = parameter_of(&t->type, inner, at + i);
            code[i] = oct_quantize1(src[at + i], oct_scale(t->type.q, p), oct_zero(t->type.q, p), codes.lo, codes.hi, d, o);
        }
        oct_store_codes(t, at, k, code);
    }
}

void interp_quantize(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    oct_quantize_tensor(in[0]->data, out, oct_code_range(n), n->at.divide, n->at.order);
}

void interp_dequantize(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,
                       struct oct_tensor *out) {
    (void)ex, (void)n;
    oct_dequantize_tensor(in[0], out->data);
}

/* ---- through float ------------------------------------------------------------------------------------------------------- */

size_t oct_through_float_scratch(const struct oct_step *s) {
    size_t bytes = oct_scratch_bytes(oct_tensor_elements(&s->out), sizeof(float));
    for (int i = 0; i < s->n->noperands; i++)
        bytes += oct_scratch_bytes(oct_tensor_elements(s->in[i]), sizeof(float)) +
                 oct_scratch_bytes(1, sizeof(struct oct_tensor) + sizeof(void *));
    return bytes + 64;
}

static struct oct_tensor float_like(const struct oct_tensor *t, void *data) {
    struct oct_tensor f = {t->type, data};
    f.type.dtype = OCT_F32;
    f.type.q = NULL;
    return f;
}

/* The hook sees the node's attributes; a clip there is in codes, so it is applied to the codes of the result. */
void oct_through_float(struct oct_exec *ex, const struct oct_node *n, oct_interp_fn *hook, const struct oct_tensor *const *in,
                       struct oct_tensor *out) {
    struct oct_tensor *f = oct_scratch(ex, n->noperands, sizeof *f);
    const struct oct_tensor **pf = oct_scratch(ex, n->noperands, sizeof *pf);
    for (int i = 0; i < n->noperands; i++) {
        f[i] = float_like(in[i], oct_scratch(ex, oct_tensor_elements(in[i]), sizeof(float)));
        oct_dequantize_tensor(in[i], f[i].data);
        pf[i] = &f[i];
    }
    struct oct_tensor y = float_like(out, oct_scratch(ex, oct_tensor_elements(out), sizeof(float)));
    struct oct_node plain = *n;
    plain.at.clip[0] = -INFINITY;
    plain.at.clip[1] = INFINITY;
    hook(ex, &plain, pf, &y);
    const struct oct_code_range all_codes = {(int32_t)oct_dtype_min(out->type.dtype), (int32_t)oct_dtype_max(out->type.dtype)};
    oct_quantize_tensor(y.data, out, all_codes, OCT_divide_div, OCT_order_before);
    struct oct_code_range range = oct_code_range(n);
    for (int64_t at = 0, all = oct_tensor_elements(out); at < all; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = all - at < OCT_RUN ? all - at : OCT_RUN;
        oct_load_codes(out, at, 1, k, 0, code);
        for (int64_t i = 0; i < k; i++) code[i] = oct_clamp_code(code[i], range);
        oct_store_codes(out, at, k, code);
    }
}

/* ---- pointwise ---------------------------------------------------------------------------------------------------------------
 */

static float point(const struct oct_node *n, float x) {
    switch (n->op) {
    case OCT_OP_relu: return oct_clampf(x, 0, INFINITY);
    case OCT_OP_relu6: return oct_clampf(x, 0, 6);
    case OCT_OP_clip: return oct_clampf(x, n->at.clip[0], n->at.clip[1]);
    case OCT_OP_leaky_relu: return x < 0 ? n->at.alpha * x : x;
    case OCT_OP_sigmoid: return oct_sigmoidf(x);
    case OCT_OP_tanh: return oct_tanhf(x);
    case OCT_OP_hardswish: return x * oct_clampf(x + 3.0f, 0, 6) / 6.0f;
    case OCT_OP_hardsigmoid: return oct_clampf(x / 6.0f + 0.5f, 0, 1);
    case OCT_OP_exp: return oct_expf(x);
    case OCT_OP_abs: return fabsf(x);
    case OCT_OP_sign: return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case OCT_OP_floor: return floorf(x);
    case OCT_OP_round: return oct_roundf(x);
    case OCT_OP_reciprocal: return 1.0f / x;
    case OCT_OP_log: return oct_logf(x);
    case OCT_OP_erf: return oct_erff(x);
    case OCT_OP_softplus: return oct_softplusf(x);
    case OCT_OP_elu: return x < 0 ? n->at.alpha * oct_expm1f(x) : x;
    default: return sqrtf(x);
    }
}

static int32_t point_code(const struct oct_node *n, int32_t code, const struct oct_type *x, const struct oct_type *y) {
    float v = point(n, oct_dequantize1(code, oct_scale(x->q, 0), oct_zero(x->q, 0)));
    return oct_quantize1(v, oct_scale(y->q, 0), oct_zero(y->q, 0), (int32_t)oct_dtype_min(y->dtype),
                         (int32_t)oct_dtype_max(y->dtype), OCT_divide_div, OCT_order_before);
}

void interp_pointwise(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    const struct oct_tensor *x = in[0];
    int64_t all = oct_tensor_elements(x);
    if (!oct_is_integer_form(&out->type)) {
        const float *p = x->data;
        float *y = out->data;
        for (int64_t i = 0; i < all; i++) y[i] = point(n, p[i]);
        return;
    }
    const struct oct_type *tx = &x->type, *ty = &out->type;
    bool table = oct_dtype_size(tx->dtype) == 1 && all >= 256; /* the same results, sooner */
    int32_t lowest = (int32_t)oct_dtype_min(tx->dtype), of[256];
    if (table)
        for (int32_t c = lowest; c <= oct_dtype_max(tx->dtype); c++) of[c - lowest] = point_code(n, c, tx, ty);
    for (int64_t at = 0; at < all; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = all - at < OCT_RUN ? all - at : OCT_RUN;
        oct_load_codes(x, at, 1, k, 0, code);
        for (int64_t i = 0; i < k; i++) code[i] = table ? of[code[i] - lowest] : point_code(n, code[i], tx, ty);
        oct_store_codes(out, at, k, code);
    }
}

void interp_lut(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n;
    int64_t all = oct_tensor_elements(out), lowest = oct_dtype_min(in[0]->type.dtype), entries = oct_tensor_elements(in[1]);
    for (int64_t at = 0; at < all; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = all - at < OCT_RUN ? all - at : OCT_RUN;
        oct_load_codes(in[0], at, 1, k, lowest, code);
        for (int64_t i = 0; i < k; i++)
            if (code[i] < entries) oct_load_codes(in[1], code[i], 1, 1, 0, &code[i]);
        oct_store_codes(out, at, k, code);
    }
}

void interp_batchnorm(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex;
    const float *x = in[0]->data, *scale = in[1]->data, *bias = in[2]->data, *mean = in[3]->data, *var = in[4]->data;
    float *y = out->data;
    int64_t all = oct_tensor_elements(out), inner = oct_inner(&out->type, 1), channels = out->type.dim[1];
    for (int64_t at = 0, row = 0; at < all; row++) {
        int64_t c = row % channels;
        float k = scale[c] / sqrtf(var[c] + n->at.eps);
        for (int64_t i = 0; i < inner; i++, at++) y[at] = (x[at] - mean[c]) * k + bias[c];
    }
}

/* ---- requantize
 * -------------------------------------------------------------------------------------------------------------------- */

static void identity(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n;
    memcpy(out->data, in[0]->data, (size_t)oct_tensor_elements(out) * sizeof(float));
}

void interp_requantize(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in,
                       struct oct_tensor *out) {
    if (n->at.profile == OCT_profile_onnx) {
        oct_through_float(ex, n, identity, in, out);
        return;
    }
    int64_t all = oct_tensor_elements(out);
    int32_t zx = oct_zero(in[0]->type.q, 0), zy = oct_zero(out->type.q, 0);
    struct oct_code_range range = oct_code_range(n);
    for (int64_t at = 0; at < all; at += OCT_RUN) {
        int32_t code[OCT_RUN];
        int64_t k = all - at < OCT_RUN ? all - at : OCT_RUN;
        oct_load_codes(in[0], at, 1, k, zx, code);
        for (int64_t i = 0; i < k; i++) code[i] = oct_clamp_code(oct_requant_apply(ex->now->prep, code[i]) + zy, range);
        oct_store_codes(out, at, k, code);
    }
}

/* ---- add, sub, mul
 * -------------------------------------------------------------------------------------------------------------------- */

/* Element strides of both operands over the result's axes, neighbouring axes joined where both allow it. */
struct walk {
    int rank;
    int64_t dim[OCT_MAX_RANK + 1], sa[OCT_MAX_RANK + 1], sb[OCT_MAX_RANK + 1];
};

static void strides_in(const struct oct_type *t, const struct oct_type *y, int64_t *s) {
    int64_t stride = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        int axis = d - (y->rank - t->rank);
        int64_t size = axis < 0 ? 1 : t->dim[axis];
        s[d] = size > 1 ? stride : 0;
        stride *= size;
    }
}

static struct walk walk_of(const struct oct_type *a, const struct oct_type *b, const struct oct_type *y) {
    struct walk w = {1, {1}, {0}, {0}};
    int64_t sa[OCT_MAX_RANK], sb[OCT_MAX_RANK];
    strides_in(a, y, sa);
    strides_in(b, y, sb);
    for (int d = 0; d < y->rank; d++) {
        if (y->dim[d] == 1) continue;
        int last = w.rank - 1;
        bool join = w.sa[last] == sa[d] * y->dim[d] && w.sb[last] == sb[d] * y->dim[d];
        if (w.dim[last] == 1 || join) {
            w.dim[last] *= y->dim[d];
        } else {
            w.dim[++last] = y->dim[d];
            w.rank++;
        }
        w.sa[last] = sa[d];
        w.sb[last] = sb[d];
    }
    return w;
}

/* add and sub in q31: both multipliers over one exponent. */
struct sum_requant {
    int64_t ma, mb;
    int exponent;
};
struct binary {
    struct oct_requant a, b, y; /* tflm add: the three steps; mul: y alone */
    struct sum_requant sum;
    int shift; /* tflm add: left shift of the operands */
};

static int64_t combine(const struct oct_node *n, const struct binary *p, int64_t a, int64_t b) {
    if (n->op == OCT_OP_mul) return oct_requant_apply(&p->y, a * b);
    if (n->op == OCT_OP_sub && n->at.profile != OCT_profile_tflm) b = -b;
    if (n->at.profile == OCT_profile_tflm) {
        int64_t va = oct_requant_apply(&p->a, a * (1 << p->shift)), vb = oct_requant_apply(&p->b, b * (1 << p->shift));
        return oct_requant_apply(&p->y, n->op == OCT_OP_sub ? va - vb : va + vb);
    }
    int s = 31 - p->sum.exponent; /* |a ma + b mb| < 2^49 */
    return s >= 63 ? 0 : (a * p->sum.ma + b * p->sum.mb + ((int64_t)1 << (s - 1))) >> s;
}

static float combine_float(const struct oct_node *n, float a, float b) {
    switch (n->op) {
    case OCT_OP_max: return a > b ? a : b;
    case OCT_OP_min: return a < b ? a : b;
    case OCT_OP_div: return a / b;
    case OCT_OP_less: return a < b ? 1.0f : 0.0f;
    case OCT_OP_equal: return a == b ? 1.0f : 0.0f;
    case OCT_OP_add: return oct_clampf(a + b, n->at.clip[0], n->at.clip[1]);
    case OCT_OP_sub: return oct_clampf(a - b, n->at.clip[0], n->at.clip[1]);
    default: return oct_clampf(a * b, n->at.clip[0], n->at.clip[1]);
    }
}

/* The integer form is the float one between dequantize and quantize: under profile onnx, and of max and min always. */
static bool goes_through_float(const struct oct_node *n) {
    return n->at.profile == OCT_profile_onnx || n->op == OCT_OP_max || n->op == OCT_OP_min;
}

static void binary(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    bool integer = oct_is_integer_form(&out->type);
    if (integer && goes_through_float(n)) {
        oct_through_float(ex, n, binary, in, out);
        return;
    }
    struct walk w = walk_of(&in[0]->type, &in[1]->type, &out->type);
    int64_t inner = w.dim[w.rank - 1], sa = w.sa[w.rank - 1], sb = w.sb[w.rank - 1], all = oct_tensor_elements(out),
            index[OCT_MAX_RANK + 1] = {0};
    struct oct_code_range range = integer ? oct_code_range(n) : (struct oct_code_range){0, 0};
    int32_t za = integer ? oct_zero(in[0]->type.q, 0) : 0, zb = integer ? oct_zero(in[1]->type.q, 0) : 0,
            zy = integer ? oct_zero(out->type.q, 0) : 0;
    for (int64_t at = 0; at < all; at += inner) {
        int64_t ia = 0, ib = 0;
        for (int d = 0; d < w.rank - 1; d++) ia += index[d] * w.sa[d], ib += index[d] * w.sb[d];
        if (!integer) {
            const float *a = (const float *)in[0]->data + ia, *b = (const float *)in[1]->data + ib;
            float *y = (float *)out->data + at;
            for (int64_t i = 0; i < inner; i++) y[i] = combine_float(n, a[i * sa], b[i * sb]);
        }
        for (int64_t i = 0; integer && i < inner; i += OCT_RUN) {
            int32_t a[OCT_RUN], b[OCT_RUN];
            int64_t k = inner - i < OCT_RUN ? inner - i : OCT_RUN;
            oct_load_codes(in[0], ia + i * sa, sa, k, za, a);
            oct_load_codes(in[1], ib + i * sb, sb, k, zb, b);
            for (int64_t j = 0; j < k; j++) a[j] = oct_clamp_code(combine(n, ex->now->prep, a[j], b[j]) + zy, range);
            oct_store_codes(out, at + i, k, a);
        }
        for (int d = w.rank - 2; d >= 0 && ++index[d] == w.dim[d]; d--) index[d] = 0;
    }
}

void interp_add(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    binary(ex, n, in, out);
}
void interp_mul(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    binary(ex, n, in, out);
}

/* condition ? a : b, element by element. */
void interp_where(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    (void)ex, (void)n;
    const struct oct_type *y = &out->type;
    int64_t stride[3][OCT_MAX_RANK], index[OCT_MAX_RANK] = {0}, at[3] = {0};
    for (int i = 0; i < 3; i++) strides_in(&in[i]->type, y, stride[i]);
    for (int64_t k = 0, all = oct_tensor_elements(out); k < all; k++) {
        const int from = ((const float *)in[0]->data)[at[0]] != 0 ? 1 : 2;
        ((float *)out->data)[k] = ((const float *)in[from]->data)[at[from]];
        for (int d = y->rank - 1; d >= 0; d--) { /* the odometer's next index */
            for (int i = 0; i < 3; i++) at[i] += stride[i][d];
            if (++index[d] < y->dim[d]) break;
            for (int i = 0; i < 3; i++) at[i] -= stride[i][d] * y->dim[d];
            index[d] = 0;
        }
    }
}

/* ---- preparing
 * -----------------------------------------------------------------------------------------------------------------------------
 */

static bool sum_requant(double ma, double mb, struct sum_requant *r) {
    double most = ma > mb ? ma : mb;
    if (!(most > 0 && most < 0x1p30)) return false;
    (void)frexp(most, &r->exponent);
    for (;; r->exponent++) {
        double one = ldexp(1, 31 - r->exponent);
        r->ma = (int64_t)round(ma * one);
        r->mb = (int64_t)round(mb * one);
        if (r->ma < (int64_t)1 << 31 && r->mb < (int64_t)1 << 31) return r->exponent <= 30;
    }
}

static bool prepare_binary(struct oct_exec *ex, struct oct_step *step) {
    const struct oct_node *n = step->n;
    struct binary *p = OCT_NEW(ex->arena, struct binary);
    step->prep = p;
    float a = oct_scale(step->in[0]->type.q, 0), b = oct_scale(step->in[1]->type.q, 0), y = oct_scale(step->out.type.q, 0);
    if (n->op == OCT_OP_mul) {
        double m = n->at.profile == OCT_profile_tflm ? (double)(a * b / y) : (double)a * (double)b / (double)y;
        return oct_requant_from_real(n->at.profile, m, &p->y) || oct_refuse_requant(ex, n, m);
    }
    double ma = (double)a / (double)y, mb = (double)b / (double)y;
    if (n->at.profile != OCT_profile_tflm) {
        struct oct_requant unused;
        if (n->at.profile == OCT_profile_pot) { /* every factor a power of two */
            if (!oct_requant_from_real(OCT_profile_pot, ma, &unused)) return oct_refuse_requant(ex, n, ma);
            if (!oct_requant_from_real(OCT_profile_pot, mb, &unused)) return oct_refuse_requant(ex, n, mb);
        }
        return sum_requant(ma, mb, &p->sum) || oct_refuse_requant(ex, n, ma > mb ? ma : mb);
    }
    p->shift = step->in[0]->type.dtype == OCT_I16 ? 15 : 20;
    double twice = 2.0 * (double)(a > b ? a : b), my = twice / ((double)(1 << p->shift) * (double)y);
    if (!oct_requant_from_real(OCT_profile_tflm, (double)a / twice, &p->a)) return oct_refuse_requant(ex, n, (double)a / twice);
    if (!oct_requant_from_real(OCT_profile_tflm, (double)b / twice, &p->b)) return oct_refuse_requant(ex, n, (double)b / twice);
    return oct_requant_from_real(OCT_profile_tflm, my, &p->y) || oct_refuse_requant(ex, n, my);
}

static bool prepare_requantize(struct oct_exec *ex, struct oct_step *step) {
    struct oct_requant *r = OCT_NEW(ex->arena, struct oct_requant);
    step->prep = r;
    double m = (double)oct_scale(step->in[0]->type.q, 0) / (double)oct_scale(step->out.type.q, 0);
    return oct_requant_from_real(step->n->at.profile, m, r) || oct_refuse_requant(ex, step->n, m);
}

bool oct_prepare_elementwise(struct oct_exec *ex, struct oct_step *step) {
    enum oct_op op = step->n->op;
    bool two = oct_op_info(op)->interp == interp_add || op == OCT_OP_mul;
    if ((!two && op != OCT_OP_requantize) || !oct_is_integer_form(&step->out.type)) return true;
    if (goes_through_float(step->n)) {
        step->scratch = oct_through_float_scratch(step);
        return true;
    }
    return two ? prepare_binary(ex, step) : prepare_requantize(ex, step);
}
