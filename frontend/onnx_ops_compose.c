/* onnx_ops_compose.c - operators on elements that are made of several ops: sums of many, powers, the rarer activations,
 * comparisons and logic. Truth values are 0 and 1 in f32. */
#include <string.h>

#include "onnx_make.h"

oct_onnx_handler oct_onnx_build_variadic, oct_onnx_build_negative, oct_onnx_build_ceil, oct_onnx_build_elu,
    oct_onnx_build_softsign, oct_onnx_build_threshold, oct_onnx_build_shrink, oct_onnx_build_prelu, oct_onnx_build_pow,
    oct_onnx_build_compare, oct_onnx_build_not, oct_onnx_build_where, oct_onnx_build_is_nan, oct_onnx_build_is_inf,
    oct_onnx_build_gelu, oct_onnx_build_times_function, oct_onnx_build_hyperbolic;

static struct oct_node *scaled(struct oct_onnx *im, struct oct_node *x, float k) {
    return oct_onnx_make2(im, OCT_OP_mul, x, oct_onnx_number(im, k));
}
static bool last_scaled(struct oct_onnx *im, struct oct_node *x, float k) {
    return oct_onnx_last2(im, OCT_OP_mul, x, oct_onnx_number(im, k));
}
/* A finite attribute. */
static bool finite_attr(struct oct_onnx *im, const char *name, float otherwise, float *out) {
    *out = oct_onnx_attr_float(im, name, otherwise);
    return !im->failed && (isfinite(*out) || oct_onnx_invalid(im, "%s is %g", name, (double)*out));
}

/* Max, Min, Sum, Mean of one operand or more. */
bool oct_onnx_build_variadic(struct oct_onnx *im) {
    struct oct_node *sum = oct_onnx_float_operand(im, 0);
    const bool mean = !strcmp(im->op->name, "Mean");
    if (sum && im->nin == 1) return oct_onnx_alias(im);
    for (int i = 1; sum && i < im->nin; i++) {
        struct oct_node *x = oct_onnx_has(im, i) ? oct_onnx_float_operand(im, i) : NULL;
        if (!x) return im->failed ? false : oct_onnx_invalid(im, "input %d is left out", i);
        if (i == im->nin - 1 && !mean) return oct_onnx_last2(im, im->op->to, sum, x);
        sum = oct_onnx_make2(im, im->op->to, sum, x);
    }
    return last_scaled(im, sum, 1.0f / (float)im->nin);
}

bool oct_onnx_build_negative(struct oct_onnx *im) { return last_scaled(im, oct_onnx_float_operand(im, 0), -1); }

bool oct_onnx_build_ceil(struct oct_onnx *im) {
    return last_scaled(im, oct_onnx_make1(im, OCT_OP_floor, scaled(im, oct_onnx_float_operand(im, 0), -1)), -1);
}

/* Elu; Celu: alpha elu(x / alpha); Selu: gamma elu(x), alpha below zero. */
bool oct_onnx_build_elu(struct oct_onnx *im) {
    const bool selu = !strcmp(im->op->name, "Selu"), celu = !strcmp(im->op->name, "Celu");
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    float alpha, gamma = 1;
    if (!x || !finite_attr(im, "alpha", selu ? 1.67326319f : 1, &alpha) ||
        (selu && !finite_attr(im, "gamma", 1.05070102f, &gamma)))
        return false;
    if (celu && !(alpha != 0)) return oct_onnx_invalid(im, "alpha is 0");
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, alpha, celu ? 1 : alpha);
    if (!selu && !(celu && alpha != 1)) return oct_onnx_emit(im, OCT_OP_elu, &x, 1, &at, NULL);
    if (celu) x = scaled(im, x, 1 / alpha);
    return x && last_scaled(im, oct_onnx_step(im, ".elu", OCT_OP_elu, &x, 1, &at, NULL), celu ? alpha : gamma);
}

/* x / (1 + |x|) */
bool oct_onnx_build_softsign(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    struct oct_node *sum = oct_onnx_make2(im, OCT_OP_add, oct_onnx_make1(im, OCT_OP_abs, x), oct_onnx_number(im, 1));
    return oct_onnx_last2(im, OCT_OP_mul, x, oct_onnx_make1(im, OCT_OP_reciprocal, sum));
}

/* x above alpha, else 0. */
bool oct_onnx_build_threshold(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    float alpha;
    if (!x || !finite_attr(im, "alpha", 1, &alpha)) return false;
    struct oct_node *above = oct_onnx_make2(im, OCT_OP_less, oct_onnx_number(im, alpha), x);
    return oct_onnx_last3(im, OCT_OP_where, above, x, oct_onnx_number(im, 0));
}

/* x + bias below -lambd, x - bias above lambd, else 0. */
bool oct_onnx_build_shrink(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    float bias, lambda;
    if (!x || !finite_attr(im, "bias", 0, &bias) || !finite_attr(im, "lambd", 0.5f, &lambda)) return false;
    struct oct_node *below = oct_onnx_make2(im, OCT_OP_less, x, oct_onnx_number(im, -lambda)),
                    *above = oct_onnx_make2(im, OCT_OP_less, oct_onnx_number(im, lambda), x),
                    *up = oct_onnx_make2(im, OCT_OP_add, x, oct_onnx_number(im, bias)),
                    *down = oct_onnx_make2(im, OCT_OP_sub, x, oct_onnx_number(im, bias)), *zero = oct_onnx_number(im, 0);
    if (!above || !down || !zero) return false;
    struct oct_node *other = oct_onnx_step(im, ".above", OCT_OP_where, (struct oct_node *[]){above, down, zero}, 3, NULL, NULL);
    return oct_onnx_last3(im, OCT_OP_where, below, up, other);
}

/* max(x, 0) + slope min(x, 0); one slope for all is leaky_relu. */
bool oct_onnx_build_prelu(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0), *slope = oct_onnx_float_operand(im, 1);
    const struct oct_onnx_const *c = im->in[1]->c;
    if (!x || !slope) return false;
    if (c && c->n == 1 && slope->type.rank <= x->type.rank) {
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_SET(at, alpha, ((const float *)c->data)[0]);
        if (!isfinite(at.alpha)) return oct_onnx_invalid(im, "its slope is %g", (double)at.alpha);
        return oct_onnx_emit(im, OCT_OP_leaky_relu, &x, 1, &at, NULL);
    }
    struct oct_node *below = oct_onnx_make2(im, OCT_OP_mul, oct_onnx_clamped(im, x, -INFINITY, 0), slope);
    return oct_onnx_last2(im, OCT_OP_add, oct_onnx_make1(im, OCT_OP_relu, x), below);
}

/* x^n by squaring, n >= 1. */
static struct oct_node *power(struct oct_onnx *im, struct oct_node *x, int n) {
    struct oct_node *p = NULL;
    for (; n; n /= 2, x = n ? oct_onnx_make2(im, OCT_OP_mul, x, x) : x)
        if (n & 1) p = p ? oct_onnx_make2(im, OCT_OP_mul, p, x) : x;
    return p;
}

/* Powers by constants. One for all: products, square root, reciprocal; e^(y log x) where it is no whole number; several: that of
 * |x| with the sign of odd powers. */
bool oct_onnx_build_pow(struct oct_onnx *im) {
    enum { PRODUCTS = 64 };
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    const struct oct_onnx_const *c = im->in[1]->c;
    if (!x) return false;
    if (!c) return oct_onnx_unsupported(im, "octavo raises to constant powers only", "its exponent is computed at run time");
    bool whole = true, real = false, odd = false;
    for (int64_t i = 0; i < c->n; i++) {
        const double y = oct_onnx_get_real(c, i);
        if (!isfinite(y)) return oct_onnx_invalid(im, "exponent %lld is %g", (long long)i, y);
        whole &= y == floor(y) && fabs(y) <= 0x1p24;
        real |= y != floor(y);
        odd |= fmod(y, 2) != 0;
    }
    const float first = c->n ? (float)oct_onnx_get_real(c, 0) : 0;
    if (c->n == 1 && c->rank <= x->type.rank) {
        if (first == 1) return oct_onnx_alias(im);
        if (first == 0.5f) return oct_onnx_last1(im, OCT_OP_sqrt, x);
        if (whole && first >= 2 && first <= (float)PRODUCTS) {
            struct oct_node *half = power(im, x, (int)first / 2);
            if (fmodf(first, 2) == 0) return oct_onnx_last2(im, OCT_OP_mul, half, half);
            return oct_onnx_last2(im, OCT_OP_mul, oct_onnx_make2(im, OCT_OP_mul, half, half), x);
        }
        if (whole && first < 0 && first >= -PRODUCTS) return oct_onnx_last1(im, OCT_OP_reciprocal, power(im, x, (int)-first));
    }
    for (int64_t i = 0; i < c->n; i++)
        if (oct_onnx_get_real(c, i) <= 0) return oct_onnx_unsupported(im, NULL, "one of its exponents is 0 or below");
    if (real == whole && c->n > 1) return oct_onnx_unsupported(im, NULL, "its exponents are whole and others");
    if (!oct_onnx_budget(im, 2 * (size_t)c->n * sizeof(float))) return false;
    float *y = OCT_NEW_N(im->a, float, c->n), *sign = OCT_NEW_N(im->a, float, c->n);
    for (int64_t i = 0; i < c->n; i++) {
        y[i] = (float)oct_onnx_get_real(c, i);
        sign[i] = fmodf(y[i], 2) != 0 ? -1 : 1;
    }
    struct oct_onnx_const f = *c;
    f.type = ONNX_FLOAT;
    f.data = y;
    struct oct_node *e = oct_onnx_const_node(im, "exponent", &f, NULL);
    struct oct_node *log = oct_onnx_make1(im, OCT_OP_log, whole ? oct_onnx_make1(im, OCT_OP_abs, x) : x);
    log = oct_onnx_make2(im, OCT_OP_mul, log, e);
    if (!whole || !odd) return oct_onnx_last1(im, OCT_OP_exp, log);
    f.data = sign;
    struct oct_node *p = oct_onnx_make1(im, OCT_OP_exp, log), *s = oct_onnx_const_node(im, "sign", &f, NULL);
    return oct_onnx_last3(im, OCT_OP_where, oct_onnx_make2(im, OCT_OP_less, x, oct_onnx_number(im, 0)),
                          oct_onnx_make2(im, OCT_OP_mul, p, s), p);
}

/* ---- truth values ------------------------------------------------------------------------------------------------------- */

/* Less, Greater, their OrEqual forms; false for NaN. */
bool oct_onnx_build_compare(struct oct_onnx *im) {
    struct oct_node *a = oct_onnx_float_operand(im, 0), *b = oct_onnx_float_operand(im, 1);
    if (im->op->name[0] == 'G') {
        struct oct_node *t = a;
        a = b;
        b = t;
    }
    if (!strstr(im->op->name, "OrEqual")) return oct_onnx_last2(im, OCT_OP_less, a, b);
    return oct_onnx_last2(im, OCT_OP_add, oct_onnx_make2(im, OCT_OP_less, a, b), oct_onnx_make2(im, OCT_OP_equal, a, b));
}

static bool last_not(struct oct_onnx *im, struct oct_node *x) {
    return oct_onnx_last2(im, OCT_OP_equal, x, oct_onnx_number(im, 0));
}
/* Not; Xor: not equal. */
bool oct_onnx_build_not(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    return last_not(im, im->nin == 1 ? x : oct_onnx_make2(im, OCT_OP_equal, x, oct_onnx_float_operand(im, 1)));
}
bool oct_onnx_build_is_nan(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    return last_not(im, oct_onnx_make2(im, OCT_OP_equal, x, x));
}
bool oct_onnx_build_is_inf(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    const bool up = oct_onnx_attr_int(im, "detect_positive", 1), down = oct_onnx_attr_int(im, "detect_negative", 1);
    if (!x || im->failed) return false;
    if (!up && !down) return oct_onnx_unsupported(im, NULL, "it detects neither sign");
    if (up && down) x = oct_onnx_make1(im, OCT_OP_abs, x);
    return oct_onnx_last2(im, OCT_OP_equal, x, oct_onnx_number(im, up ? INFINITY : -INFINITY));
}

bool oct_onnx_build_where(struct oct_onnx *im) {
    return oct_onnx_last3(im, OCT_OP_where, oct_onnx_float_operand(im, 0), oct_onnx_float_operand(im, 1),
                          oct_onnx_float_operand(im, 2));
}

/* ---- x times a function of x, and exponentials ------------------------------------------------------------------------------
 */

/* x/2 (1 + erf(x / sqrt 2)), or with tanh(sqrt(2/pi) (x + 0.044715 x^3)). */
bool oct_onnx_build_gelu(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0), *f;
    const char *form = oct_onnx_attr_str(im, "approximate", "none");
    if (!x || im->failed) return false;
    if (!strcmp(form, "tanh")) {
        f = scaled(im, oct_onnx_make2(im, OCT_OP_mul, oct_onnx_make2(im, OCT_OP_mul, x, x), x), 0.044715f);
        f = oct_onnx_make1(im, OCT_OP_tanh, scaled(im, oct_onnx_make2(im, OCT_OP_add, x, f), 0.797884561f));
    } else if (!strcmp(form, "none")) f = oct_onnx_make1(im, OCT_OP_erf, scaled(im, x, 0.707106781f));
    else return oct_onnx_invalid(im, "approximate is %s", oct_onnx_quote(im, form));
    f = scaled(im, oct_onnx_make2(im, OCT_OP_add, f, oct_onnx_number(im, 1)), 0.5f);
    return oct_onnx_last2(im, OCT_OP_mul, x, f);
}

/* Mish: x tanh(softplus(x)). */
bool oct_onnx_build_times_function(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    return oct_onnx_last2(im, OCT_OP_mul, x, oct_onnx_make1(im, OCT_OP_tanh, oct_onnx_make1(im, OCT_OP_softplus, x)));
}

/* Cosh: (e^x + e^-x) / 2; Sinh: tanh times that, so that nothing cancels. */
bool oct_onnx_build_hyperbolic(struct oct_onnx *im) {
    struct oct_node *x = oct_onnx_float_operand(im, 0), *e = oct_onnx_make1(im, OCT_OP_exp, x);
    struct oct_node *sum = oct_onnx_make2(im, OCT_OP_add, e, oct_onnx_make1(im, OCT_OP_exp, scaled(im, x, -1)));
    if (!strcmp(im->op->name, "Cosh")) return last_scaled(im, sum, 0.5f);
    return oct_onnx_last2(im, OCT_OP_mul, oct_onnx_make1(im, OCT_OP_tanh, x), scaled(im, sum, 0.5f));
}
