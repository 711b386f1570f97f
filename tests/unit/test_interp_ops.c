/* The other ops of the interpreter against plain formulas in this file, integers by exact rationals (requant_oracle.h):
 * elementwise with broadcast, pools, mean, softmax, pointwise functions, quantize and dequantize, moves; every profile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "interp_case.h"
#include "requant_oracle.h"

static int64_t clamped(wide v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : (int64_t)v; }
static struct oct_attrs with_profile(enum oct_profile p) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, profile, p);
    return at;
}
static int32_t quantized(float x, float s, int32_t z) {
    return oct_quantize1(x, s, z, -128, 127, OCT_divide_div, OCT_order_before);
}

/* ---- add, sub, mul ------------------------------------------------------------------------------------------------------- */

/* Element of a broadcast operand behind element i of a result. */
static int64_t behind(const struct oct_type *t, const struct oct_type *y, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        int axis = d - (y->rank - t->rank);
        int64_t k = i % y->dim[d];
        i /= y->dim[d];
        if (axis < 0) continue;
        if (t->dim[axis] != 1) at += k * stride;
        stride *= t->dim[axis];
    }
    return at;
}

static const struct {
    int ra, rb;
    int64_t a[4], b[4];
} shapes[] = {{4, 4, {1, 3, 5, 7}, {1, 3, 5, 7}}, {4, 4, {1, 3, 5, 7}, {1, 3, 1, 1}}, {4, 1, {1, 3, 5, 7}, {7}},
              {2, 4, {5, 1}, {1, 3, 1, 7}},       {3, 3, {1, 1, 300}, {4, 2, 1}},     {1, 1, {1}, {9}}};

/* Independent forms of add and mul. */
static wide sum_q31(double ma, double mb, int64_t a, int64_t b) {
    int e = ilogb(ma > mb ? ma : mb) + 1;
    wide one = (wide)1 << (31 - e), ia = (wide)(ma * ldexp(1, 31 - e) + 0.5), ib = (wide)(mb * ldexp(1, 31 - e) + 0.5);
    assert_true(ia < (wide)1 << 31 && ib < (wide)1 << 31); /* the case of rounding up to 2^31 is not among these scales */
    return floor_div(2 * (a * ia + b * ib) + one, 2 * one);
}
static wide sum_tflm(float sa, float sb, float sy, int64_t a, int64_t b, bool minus) {
    double twice = 2 * (double)(sa > sb ? sa : sb);
    wide va = oracle_tflm((double)sa / twice, a * (1 << 20)), vb = oracle_tflm((double)sb / twice, b * (1 << 20));
    return oracle_tflm(twice / ((double)(1 << 20) * (double)sy), (int64_t)(minus ? va - vb : va + vb));
}

static void elementwise_codes(void **state) {
    (void)state;
    static const enum oct_op ops[] = {OCT_OP_add, OCT_OP_sub, OCT_OP_mul};
    static const float scale[][3] = {{0.02f, 0.05f, 0.06f}, {0.5f, 0.5f, 0.5f}, {0.3f, 0.0001f, 0.2f}, {0.25f, 0.5f, 1.0f}};
    for (unsigned s = 0; s < 6 * 3 * 4 * 4; s++) {
        enum oct_op op = ops[s / 6 % 3];
        enum oct_profile p = (enum oct_profile)(s / 18 % 4);
        const float *k = scale[s / 72];
        if (p == OCT_profile_pot && s / 72 != 3) continue;
        struct net t;
        net_open(&t, s);
        net_input(&t, code_type(&t, OCT_I8, k[0], 17, shapes[s % 6].ra, shapes[s % 6].a));
        net_input(&t, code_type(&t, OCT_U8, k[1], 99, shapes[s % 6].rb, shapes[s % 6].b));
        struct oct_attrs at = with_profile(p);
        int64_t hi = s % 2 ? 127 : 60;
        if (s % 2 == 0) OCT_MARK(at, clip), at.clip[1] = 60;
        struct oct_type yt = like_codes(&t, OCT_I8, k[2], -9);
        struct oct_tensor *y = net_run(&t, op, &at, &yt);
        assert_non_null(y);
        for (int64_t i = 0; i < oct_tensor_elements(y); i++) {
            const struct oct_tensor *xa = net_value(&t, 0), *xb = net_value(&t, 1);
            int64_t a = code_of(xa, behind(&xa->type, &y->type, i)) - 17, b = code_of(xb, behind(&xb->type, &y->type, i)) - 99;
            double ma = (double)k[0] / (double)k[2], mb = (double)k[1] / (double)k[2];
            wide v;
            if (p == OCT_profile_onnx) {
                float fa = k[0] * (float)a, fb = k[1] * (float)b,
                      f = op == OCT_OP_add   ? fa + fb
                          : op == OCT_OP_sub ? fa - fb
                                             : fa * fb;
                v = (wide)quantized(f, k[2], -9) + 9;
            } else if (op == OCT_OP_mul) {
                float product = k[0] * k[1];
                double m = p == OCT_profile_tflm ? (double)(product / k[2]) : (double)k[0] * (double)k[1] / (double)k[2];
                v = oracle(p, m, a * b);
            } else {
                bool minus = op == OCT_OP_sub;
                v = p == OCT_profile_tflm ? sum_tflm(k[0], k[1], k[2], a, b, minus) : sum_q31(ma, mb, a, minus ? -b : b);
            }
            assert_int_equal(code_of(y, i), clamped(v - 9, -128, hi));
        }
        net_close(&t);
    }
}

static void elementwise_floats(void **state) {
    (void)state;
    static const enum oct_op ops[] = {OCT_OP_add, OCT_OP_sub, OCT_OP_mul};
    for (unsigned s = 0; s < 18; s++) {
        struct net t;
        net_open(&t, s);
        net_input(&t, float_type(shapes[s % 6].ra, shapes[s % 6].a));
        net_input(&t, float_type(shapes[s % 6].rb, shapes[s % 6].b));
        struct oct_tensor *y = net_run(&t, ops[s / 6], NULL, NULL);
        assert_non_null(y);
        for (int64_t i = 0; i < oct_tensor_elements(y); i++) {
            const struct oct_tensor *xa = net_value(&t, 0), *xb = net_value(&t, 1);
            float a = real_of(xa, behind(&xa->type, &y->type, i)), b = real_of(xb, behind(&xb->type, &y->type, i));
            assert_true(real_of(y, i) == (s / 6 == 0 ? a + b : s / 6 == 1 ? a - b : a * b));
        }
        net_close(&t);
    }
}

/* ---- pools and mean ----------------------------------------------------------------------------------------------------------
 */

/* M S / n rounded once, ties toward +inf. */
static wide average_q31(double m, int64_t sum, int64_t n) {
    int e;
    wide i = multiplier(m, &e), one = (wide)1 << (31 - e);
    return floor_div(2 * sum * i + n * one, 2 * n * one);
}
static wide average_codes_tflm(int64_t codes, int64_t n) { /* half away from zero */
    int64_t size = codes < 0 ? -codes : codes, v = (2 * size + n) / (2 * n);
    return codes < 0 ? -v : v;
}
static wide mean_tflm(double m, int64_t sum, int64_t n) {
    int e, k = 0;
    int64_t i = multiplier(m, &e);
    while (n >> (k + 1)) k++;
    if (k > 31 + e) k = 31 + e;
    return oracle_tflm_parts((i << k) / n, e - k, sum);
}

static void pools(void **state) {
    (void)state;
    static const struct {
        int64_t h, w, kh, kw, sh, sw, pad[4];
        bool ceil, count;
    } k[] = {{6, 6, 2, 2, 2, 2, {0, 0, 0, 0}, false, false}, {7, 5, 3, 3, 1, 1, {1, 1, 1, 1}, false, false},
             {7, 5, 3, 3, 2, 2, {1, 1, 1, 1}, false, true},  {8, 8, 3, 2, 2, 3, {0, 1, 0, 0}, true, true},
             {8, 7, 3, 3, 2, 2, {0, 0, 0, 0}, true, false},  {5, 9, 5, 9, 1, 1, {0, 0, 0, 0}, false, false}};
    for (unsigned s = 0; s < 6 * 2 * 5; s++) {
        unsigned c = s % 6;
        bool same = s / 6 % 2;
        int form = (int)(s / 12); /* 0..2 a profile, 3 max of codes, 4 floats */
        struct net t;
        net_open(&t, s);
        float sx = 0.1f, sy = same ? 0.1f : 0.07f;
        int32_t zx = -11, zy = same ? -11 : 20;
        net_input(&t,
                  form == 4 ? float_type(DIMS(1, 2, k[c].h, k[c].w)) : code_type(&t, OCT_I8, sx, zx, DIMS(1, 2, k[c].h, k[c].w)));
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_MARK(at, kernel), at.kernel[0] = k[c].kh, at.kernel[1] = k[c].kw;
        OCT_MARK(at, stride), at.stride[0] = k[c].sh, at.stride[1] = k[c].sw;
        for (int i = 0; i < 4; i++) OCT_MARK(at, pad), at.pad[i] = k[c].pad[i];
        OCT_SET(at, ceil, k[c].ceil);
        bool max = form == 3 || (form == 4 && same);
        if (!max) OCT_SET(at, count_pad, k[c].count);
        if (form < 3) OCT_SET(at, profile, (enum oct_profile)form);
        struct oct_type yt = like_codes(&t, OCT_I8, sy, zy);
        struct oct_tensor *y = net_run(&t, max ? OCT_OP_max_pool2d : OCT_OP_avg_pool2d, &at, form < 3 ? &yt : NULL);
        assert_non_null(y);
        for (int64_t i = 0; i < oct_tensor_elements(y); i++) {
            int64_t ox = i % y->type.dim[3], oy = i / y->type.dim[3] % y->type.dim[2],
                    plane = i / y->type.dim[3] / y->type.dim[2];
            int64_t sum = 0, n = 0, inside = 0, most = -129;
            float total = 0, best = -INFINITY, real = 0;
            for (int64_t a = 0; a < k[c].kh; a++)
                for (int64_t b = 0; b < k[c].kw; b++) {
                    int64_t iy = oy * k[c].sh - k[c].pad[0] + a, ix = ox * k[c].sw - k[c].pad[1] + b;
                    if (k[c].count && iy < k[c].h + k[c].pad[2] && ix < k[c].w + k[c].pad[3]) n++;
                    if (iy < 0 || iy >= k[c].h || ix < 0 || ix >= k[c].w) continue;
                    int64_t at_x = (plane * k[c].h + iy) * k[c].w + ix;
                    inside++;
                    if (form == 4) {
                        float v = real_of(net_value(&t, 0), at_x);
                        total += v;
                        best = v > best ? v : best;
                        continue;
                    }
                    int64_t q = code_of(net_value(&t, 0), at_x);
                    sum += q - zx;
                    most = q > most ? q : most;
                    real += sx * (float)(q - zx);
                }
            if (!k[c].count) n = inside;
            double m = (double)sx / (double)sy;
            if (form == 4) assert_true(real_of(y, i) == (max ? best : total / (float)n));
            else if (form == 3) assert_int_equal(code_of(y, i), most);
            else if (form == OCT_profile_q31) assert_int_equal(code_of(y, i), clamped(average_q31(m, sum, n) + zy, -128, 127));
            else if (form == OCT_profile_onnx) assert_int_equal(code_of(y, i), quantized(real / (float)n, sy, zy));
            else {
                int64_t p = (int64_t)average_codes_tflm(sum + n * zx, n);
                assert_int_equal(code_of(y, i), same ? p : clamped(oracle_tflm(m, p - zx) + zy, -128, 127));
            }
        }
        net_close(&t);
    }
}

static void means(void **state) {
    (void)state;
    static const struct oct_ints axes[] = {{2, {2, 3}}, {1, {1}}, {2, {1, 3}}, {3, {1, 2, 3}}};
    for (unsigned s = 0; s < 4 * 4 * 2; s++) {
        unsigned form = s / 4 % 4; /* a profile, or 3: floats */
        struct net t;
        net_open(&t, s);
        float sx = 0.1f, sy = s / 16 ? 0.1f : 0.03f;
        net_input(&t, form == 3 ? float_type(DIMS(2, 3, 5, 7)) : code_type(&t, OCT_I8, sx, 40, DIMS(2, 3, 5, 7)));
        struct oct_attrs at;
        oct_attrs_init(&at);
        OCT_SET(at, axes, axes[s % 4]);
        if (form < 3) OCT_SET(at, profile, (enum oct_profile)form);
        struct oct_type yt = like_codes(&t, OCT_I8, sy, -3);
        struct oct_tensor *y = net_run(&t, OCT_OP_mean, &at, form < 3 ? &yt : NULL);
        assert_non_null(y);
        int64_t dim[] = {2, 3, 5, 7};
        bool gone[4] = {false};
        for (int i = 0; i < at.axes.n; i++) gone[at.axes.v[i]] = true;
        for (int64_t i = 0; i < oct_tensor_elements(y); i++) {
            int64_t sum = 0, n = 0;
            float total = 0, real = 0;
            for (int64_t j = 0; j < 210; j++) {
                int64_t index[4], rest = j, to = 0;
                for (int d = 3; d >= 0; d--) index[d] = rest % dim[d], rest /= dim[d];
                for (int d = 0; d < 4; d++)
                    if (!gone[d]) to = to * dim[d] + index[d];
                if (to != i) continue;
                n++;
                if (form == 3) total += real_of(net_value(&t, 0), j);
                else {
                    sum += code_of(net_value(&t, 0), j) - 40;
                    real += sx * (float)(code_of(net_value(&t, 0), j) - 40);
                }
            }
            double m = (double)sx / (double)sy;
            if (form == 3) assert_true(real_of(y, i) == total / (float)n);
            else if (form == OCT_profile_onnx) assert_int_equal(code_of(y, i), quantized(real / (float)n, sy, -3));
            else assert_int_equal(code_of(y, i), clamped((form ? mean_tflm(m, sum, n) : average_q31(m, sum, n)) - 3, -128, 127));
        }
        net_close(&t);
    }
}

/* ---- softmax
 * -------------------------------------------------------------------------------------------------------------------- */

static void softmaxes(void **state) {
    (void)state;
    for (unsigned s = 0; s < 3 * 4 * 2; s++) {
        static const float scales[] = {0.01f, 0.06f, 0.3f, 2.0f};
        unsigned p = s % 3, axis = s / 12 + 1;
        float sx = scales[s / 3 % 4];
        struct net t;
        net_open(&t, s);
        net_input(&t, code_type(&t, OCT_I8, sx, 12, DIMS(3, 12, 5)));
        struct oct_attrs at = with_profile((enum oct_profile)p);
        OCT_SET(at, axis, axis);
        struct oct_type yt = like_codes(&t, OCT_I8, 1.0f / 256, -128);
        struct oct_tensor *y = net_run(&t, OCT_OP_softmax, &at, &yt);
        assert_non_null(y);
        const struct oct_tensor *x = net_value(&t, 0);
        int64_t count = axis == 1 ? 12 : 5, stride = axis == 1 ? 5 : 1;
        for (int64_t i = 0; i < 180; i++) {
            int64_t first = axis == 1 ? i / 60 * 60 + i % 5 : i / 5 * 5, most = -128;
            double exact = 0;
            for (int64_t j = 0; j < count; j++)
                most = code_of(x, first + j * stride) > most ? code_of(x, first + j * stride) : most;
            uint64_t sum = 0;
            for (int64_t j = 0; j < count; j++) {
                int64_t d = most - code_of(x, first + j * stride);
                exact += exp(-(double)sx * (double)d);
                sum += (uint64_t)rint((double)oct_expf(-(sx * (float)d)) * 8388608.0);
            }
            int64_t d = most - code_of(x, i);
            exact = exp(-(double)sx * (double)d) / exact * 256 - 128; /* the real value, in codes */
            exact = exact > 127 ? 127 : exact;
            assert_true(fabs((double)code_of(y, i) - exact) < (p == OCT_profile_tflm ? 0.75 : 0.51));
            uint64_t e = (uint64_t)rint((double)oct_expf(-(sx * (float)d)) * 8388608.0);
            if (p == OCT_profile_q31)
                assert_int_equal(code_of(y, i), clamped(floor_div((wide)e * 512 + sum, (wide)sum * 2) - 128, -128, 127));
        }
        net_close(&t);
    }
}

static void softmax_of_floats(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 3);
    net_input(&t, float_type(DIMS(4, 9)));
    struct oct_tensor *y = net_run(&t, OCT_OP_softmax, NULL, NULL);
    assert_non_null(y);
    for (int64_t r = 0; r < 4; r++) {
        float most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < 9; i++)
            most = real_of(net_value(&t, 0), r * 9 + i) > most ? real_of(net_value(&t, 0), r * 9 + i) : most;
        for (int64_t i = 0; i < 9; i++) sum += oct_expf(real_of(net_value(&t, 0), r * 9 + i) - most);
        for (int64_t i = 0; i < 9; i++)
            assert_true(real_of(y, r * 9 + i) == oct_expf(real_of(net_value(&t, 0), r * 9 + i) - most) / sum);
    }
    net_close(&t);
}

static void tflm_softmax_asks_for_its_scale(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 3);
    net_input(&t, code_type(&t, OCT_I8, 0.1f, 0, DIMS(1, 4)));
    struct oct_attrs at = with_profile(OCT_profile_tflm);
    struct oct_type yt = like_codes(&t, OCT_I8, 1.0f / 255, -128);
    assert_null(net_run(&t, OCT_OP_softmax, &at, &yt));
    assert_int_equal(oct_exit_code(&t.cx), OCT_EXIT_UNSUPPORTED);
    net_close(&t);
}

/* ---- one operand
 * ------------------------------------------------------------------------------------------------------------------- */

static float point(enum oct_op op, float x) {
    switch (op) {
    case OCT_OP_relu: return x < 0 ? 0 : x;
    case OCT_OP_relu6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case OCT_OP_clip: return x < -0.75f ? -0.75f : x > 1.5f ? 1.5f : x;
    case OCT_OP_leaky_relu: return x < 0 ? 0.2f * x : x;
    case OCT_OP_sigmoid: return oct_sigmoidf(x);
    case OCT_OP_tanh: return oct_tanhf(x);
    case OCT_OP_hardswish: {
        float r = x + 3;
        r = r < 0 ? 0 : r > 6 ? 6 : r;
        r = x * r;
        return r / 6;
    }
    case OCT_OP_hardsigmoid: {
        float r = x / 6;
        r = r + 0.5f;
        return r < 0 ? 0 : r > 1 ? 1 : r;
    }
    case OCT_OP_exp: return oct_expf(x);
    case OCT_OP_abs: return x < 0 ? -x : x;
    case OCT_OP_sign: return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
    case OCT_OP_floor: return (float)floor((double)x);
    case OCT_OP_round: return (float)nearbyint((double)x);
    case OCT_OP_reciprocal: return 1 / x;
    case OCT_OP_log: return oct_logf(x);
    case OCT_OP_erf: return oct_erff(x);
    case OCT_OP_softplus: return oct_softplusf(x);
    case OCT_OP_elu: return x < 0 ? 0.2f * oct_expm1f(x) : x;
    default: return sqrtf(x);
    }
}

static void pointwise_functions(void **state) {
    (void)state;
    static const enum oct_op ops[] = {OCT_OP_relu, OCT_OP_relu6,     OCT_OP_clip,        OCT_OP_leaky_relu, OCT_OP_sigmoid,
                                      OCT_OP_tanh, OCT_OP_hardswish, OCT_OP_hardsigmoid, OCT_OP_exp,        OCT_OP_sqrt,
                                      OCT_OP_abs,  OCT_OP_sign,      OCT_OP_floor,       OCT_OP_round,      OCT_OP_reciprocal,
                                      OCT_OP_log,  OCT_OP_erf,       OCT_OP_softplus,    OCT_OP_elu};
    enum { OPS = sizeof ops / sizeof *ops };
    for (unsigned s = 0; s < OPS * 3 * 2; s++) {
        enum oct_op op = ops[s % OPS];
        static const enum oct_dtype types[] = {OCT_F32, OCT_I8, OCT_I16};
        enum oct_dtype d = types[s / OPS % 3];
        int64_t n = s / (3 * OPS) ? 17 : 1000; /* fewer elements than codes, and more */
        struct net t;
        net_open(&t, s);
        net_input(&t, d == OCT_F32 ? float_type(DIMS(1, n)) : code_type(&t, d, d == OCT_I8 ? 0.07f : 0.0003f, 13, DIMS(1, n)));
        struct oct_attrs at;
        oct_attrs_init(&at);
        if (op == OCT_OP_clip) OCT_MARK(at, clip), at.clip[0] = -0.75f, at.clip[1] = 1.5f;
        if (op == OCT_OP_leaky_relu || op == OCT_OP_elu) OCT_SET(at, alpha, 0.2f);
        struct oct_type yt = like_codes(&t, OCT_I8, 0.05f, -100);
        struct oct_tensor *y = net_run(&t, op, &at, d == OCT_F32 ? NULL : &yt);
        assert_non_null(y);
        for (int64_t i = 0; i < n; i++) {
            if (d == OCT_F32) {
                float got = real_of(y, i), expected = point(op, real_of(net_value(&t, 0), i));
                assert_true(got == expected || (isnan(got) && isnan(expected)));
                continue;
            }
            float x = (d == OCT_I8 ? 0.07f : 0.0003f) * (float)(code_of(net_value(&t, 0), i) - 13);
            assert_int_equal(code_of(y, i), quantized(point(op, x), 0.05f, -100));
        }
        net_close(&t);
    }
}

static void lookup(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 1);
    net_input(&t, code_type(&t, OCT_I8, 0.1f, 0, DIMS(1, 500)));
    net_const(&t, code_type(&t, OCT_U8, 0.2f, 3, DIMS(256)));
    struct oct_type yt = like_codes(&t, OCT_U8, 0.2f, 3);
    struct oct_tensor *y = net_run(&t, OCT_OP_lut, NULL, &yt);
    assert_non_null(y);
    for (int64_t i = 0; i < 500; i++)
        assert_int_equal(code_of(y, i), code_of(net_value(&t, 1), code_of(net_value(&t, 0), i) + 128));
    net_close(&t);
}

static void requantized(void **state) {
    (void)state;
    for (int p = 0; p < 4; p++) {
        struct net t;
        net_open(&t, (uint32_t)p);
        float sx = p == OCT_profile_pot ? 0.25f : 0.013f, sy = p == OCT_profile_pot ? 1.0f : 0.05f;
        net_input(&t, code_type(&t, OCT_U8, sx, 31, DIMS(1, 700)));
        struct oct_attrs at = with_profile((enum oct_profile)p);
        struct oct_type yt = like_codes(&t, OCT_I8, sy, 4);
        struct oct_tensor *y = net_run(&t, OCT_OP_requantize, &at, &yt);
        assert_non_null(y);
        for (int64_t i = 0; i < 700; i++) {
            int64_t x = code_of(net_value(&t, 0), i) - 31;
            if (p == OCT_profile_onnx) assert_int_equal(code_of(y, i), quantized(sx * (float)x, sy, 4));
            else assert_int_equal(code_of(y, i), clamped(oracle((enum oct_profile)p, (double)sx / (double)sy, x) + 4, -128, 127));
        }
        net_close(&t);
    }
}

static void channels_have_their_own_parameters(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 2);
    static const float scale[] = {0.1f, 0.02f, 0.5f};
    static const int32_t zero[] = {0, -7, 100};
    net_input(&t, float_type(DIMS(1, 3, 4)));
    struct oct_type qt = type_of(OCT_I8, DIMS(1, 3, 4));
    qt.q = oct_quant_channel(t.a, 1, 3, scale, zero);
    struct oct_node *q = oct_build(t.m, OCT_OP_quantize, "q", t.operand, 1, NULL, &qt, (struct oct_span){0, 0, 0});
    assert_non_null(q);
    oct_add_output(t.m, "q", q, (struct oct_span){0, 0, 0});
    t.node = oct_build(t.m, OCT_OP_dequantize, "y", &q, 1, NULL, NULL, (struct oct_span){0, 0, 0});
    assert_non_null(t.node);
    oct_add_output(t.m, "y", t.node, (struct oct_span){0, 0, 0});
    t.ex = oct_exec_new(&t.cx, t.m, 1);
    struct oct_tensor *x = oct_exec_value(t.ex, t.operand[0]);
    net_fill(&t, &x->type, x->data);
    oct_exec_run(t.ex, NULL, NULL);
    for (int64_t i = 0; i < 12; i++) {
        int64_t code = code_of(oct_exec_value(t.ex, q), i);
        assert_int_equal(code, quantized(real_of(x, i), scale[i / 4], zero[i / 4]));
        assert_true(real_of(oct_exec_value(t.ex, t.node), i) == scale[i / 4] * (float)(code - zero[i / 4]));
    }
    net_close(&t);
}

static void batchnorms(void **state) {
    (void)state;
    struct net t;
    net_open(&t, 4);
    net_input(&t, float_type(DIMS(2, 3, 2, 2)));
    for (int i = 0; i < 4; i++) net_const(&t, float_type(DIMS(3)));
    for (int i = 0; i < 3; i++) ((float *)(uintptr_t)t.operand[4]->data)[i] = 0.5f + (float)i;
    struct oct_tensor *y = net_run(&t, OCT_OP_batchnorm, NULL, NULL);
    assert_non_null(y);
    for (int64_t i = 0; i < 24; i++) {
        int64_t c = i / 4 % 3;
        float k = real_of(net_value(&t, 1), c) / sqrtf(real_of(net_value(&t, 4), c) + 1e-5f),
              v = (real_of(net_value(&t, 0), i) - real_of(net_value(&t, 3), c)) * k;
        assert_true(real_of(y, i) == v + real_of(net_value(&t, 2), c));
    }
    net_close(&t);
}

/* ---- moves
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static void moves(void **state) {
    (void)state;
    for (unsigned s = 0; s < 8; s++) {
        bool integer = s & 1;
        struct net t;
        net_open(&t, s);
        struct oct_type x = integer ? code_type(&t, OCT_I8, 0.1f, 9, DIMS(2, 3, 4, 5)) : float_type(DIMS(2, 3, 4, 5));
        net_input(&t, x);
        struct oct_attrs at;
        oct_attrs_init(&at);
        enum oct_op op = (enum oct_op[]){OCT_OP_transpose, OCT_OP_slice, OCT_OP_pad, OCT_OP_flatten}[s / 2];
        if (op == OCT_OP_transpose) OCT_SET(at, perm, ((struct oct_ints){4, {0, 2, 3, 1}}));
        if (op == OCT_OP_slice) {
            OCT_SET(at, axes, ((struct oct_ints){2, {3, 1}}));
            OCT_SET(at, begin, ((struct oct_ints){2, {-1, 1}}));
            OCT_SET(at, end, ((struct oct_ints){2, {-100, 3}}));
            OCT_SET(at, step, ((struct oct_ints){2, {-2, 1}}));
        }
        if (op == OCT_OP_pad) {
            OCT_SET(at, pads, ((struct oct_ints){8, {0, 1, 0, 2, 0, 0, 3, 1}}));
            OCT_SET(at, value, 0.52f);
        }
        struct oct_tensor *y = net_run(&t, op, &at, NULL);
        assert_non_null(y);
        for (int64_t i = 0; i < oct_tensor_elements(y); i++) {
            int64_t d[4] = {0}, rest = i, from = i;
            for (int k = y->type.rank - 1; k >= 0; k--) d[k] = rest % y->type.dim[k], rest /= y->type.dim[k];
            if (op == OCT_OP_transpose) from = ((d[0] * 3 + d[3]) * 4 + d[1]) * 5 + d[2];
            if (op == OCT_OP_slice) from = ((d[0] * 3 + d[1] + 1) * 4 + d[2]) * 5 + 4 - 2 * d[3];
            if (op == OCT_OP_pad) {
                int64_t c = d[1] - 1, w = d[3] - 2;
                from = c < 0 || c >= 3 || d[2] >= 4 || w < 0 || w >= 5 ? -1 : ((d[0] * 3 + c) * 4 + d[2]) * 5 + w;
            }
            if (integer) assert_int_equal(code_of(y, i), from < 0 ? quantized(0.52f, 0.1f, 9) : code_of(net_value(&t, 0), from));
            else assert_true(real_of(y, i) == (from < 0 ? 0.52f : real_of(net_value(&t, 0), from)));
        }
        net_close(&t);
    }
}

static void joined(void **state) {
    (void)state;
    for (int p = 0; p < 3; p++) {
        struct net t;
        net_open(&t, (uint32_t)p);
        net_input(&t, code_type(&t, OCT_I8, 0.1f, 9, DIMS(2, 3, 4)));
        net_input(&t, code_type(&t, OCT_I8, 0.03f, -9, DIMS(2, 2, 4)));
        net_input(&t, code_type(&t, OCT_U8, 0.1f, 9, DIMS(2, 1, 4)));
        struct oct_attrs at = with_profile((enum oct_profile)p);
        OCT_SET(at, axis, 1);
        struct oct_type yt = like_codes(&t, OCT_I8, 0.1f, 9);
        struct oct_tensor *y = net_run(&t, OCT_OP_concat, &at, &yt);
        assert_non_null(y);
        for (int64_t i = 0; i < 48; i++) {
            int64_t c = i / 4 % 6, n = i / 24, k = i % 4;
            if (c < 3) {
                assert_int_equal(code_of(y, i), code_of(net_value(&t, 0), (n * 3 + c) * 4 + k));
                continue;
            }
            bool third = c == 5;
            float sx = third ? 0.1f : 0.03f;
            int64_t x = third ? code_of(net_value(&t, 2), n * 4 + k) - 9 : code_of(net_value(&t, 1), (n * 2 + c - 3) * 4 + k) + 9;
            if (p == OCT_profile_onnx) assert_int_equal(code_of(y, i), quantized(sx * (float)x, 0.1f, 9));
            else
                assert_int_equal(code_of(y, i),
                                 clamped(oracle((enum oct_profile)p, (double)sx / (double)0.1f, x) + 9, -128, 127));
        }
        net_close(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_codes),
        cmocka_unit_test(elementwise_floats),
        cmocka_unit_test(pools),
        cmocka_unit_test(means),
        cmocka_unit_test(softmaxes),
        cmocka_unit_test(softmax_of_floats),
        cmocka_unit_test(tflm_softmax_asks_for_its_scale),
        cmocka_unit_test(pointwise_functions),
        cmocka_unit_test(lookup),
        cmocka_unit_test(requantized),
        cmocka_unit_test(channels_have_their_own_parameters),
        cmocka_unit_test(batchnorms),
        cmocka_unit_test(moves),
        cmocka_unit_test(joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
