/* elementwise_case.h - add, sub, mul, requantize, pointwise functions, lut and batchnorm: parameter extremes, broadcast, every
 * profile, floats. */
#ifndef ELEMENTWISE_CASE_H
#define ELEMENTWISE_CASE_H

#include "kernel_case.h"

static const struct {
    const char *a, *b, *y;
} pairs[] = {
    /* scale and zero point of operands and result */
    {"i8[%s] scale=0.5 zero=-7", "i8[%s] scale=0.25 zero=12", "i8[%s] scale=0.6 zero=3"},
    {"i8[%s] scale=0.0231 zero=-128", "i8[%s] scale=0.0417 zero=-128", "i8[%s] scale=0.0389 zero=-128"},
    {"u8[%s] scale=0.3 zero=255", "i8[%s] scale=1.7 zero=127", "u8[%s] scale=1.9 zero=0"},
    {"i8[%s] scale=1.0 zero=0", "i8[%s] scale=1e-9 zero=0", "i8[%s] scale=1e6 zero=100"},
    {"i8[%s] scale=100.0 zero=0", "i8[%s] scale=50.0 zero=0", "i8[%s] scale=0.01 zero=-100"},
    {"i8[%s] scale=0.5 zero=1", "i8[%s] scale=0.25 zero=0", "i8[%s] scale=0.25 zero=-1"},
    {"i8[%s] scale=1.0 zero=0", "i8[%s] scale=1.0 zero=0", "i8[%s] scale=2e13 zero=77"},
};
enum { PAIRS = sizeof pairs / sizeof *pairs };
static const struct {
    const char *a, *b, *y;
} dims[] = {{"1,3,4,5", "1,3,4,5", "1,3,4,5"}, {"1,3,4,5", "3,1,1", "1,3,4,5"}, {"2,1,4,5", "1,3,4,1", "2,3,4,5"},
            {"7", "2,3,7", "2,3,7"},           {"2,300", "2,300", "2,300"},     {"1,2,3,3", "1", "1,2,3,3"}};
enum { DIMS = sizeof dims / sizeof *dims };

static const char *typed(const char *type, const char *d) {
    char *s = oct_alloc(kc.arena, 200);
    const char *at = strchr(type, '%');
    snprintf(s, 200, "%.*s%s%s", (int)(at - type), type, d, at + 2);
    return s;
}

static void binary_codes(void **state) {
    (void)state;
    static const char *const ops[] = {"add", "sub", "mul"}, *const profiles[] = {"q31", "tflm", "onnx"};
    for (int o = 0; o < 3; o++)
        for (int p = 0; p < 3; p++)
            for (int i = 0; i < PAIRS; i++) {
                if (p == 1 && (i == 4 || i == 3)) continue; /* tflm saturates its left shift there: a back end refuses it */
                int d = (i + o + p) % DIMS;
                kc_check("input a : %s\ninput b : %s\ny : %s = %s(a, b) profile=%s", typed(pairs[i].a, dims[d].a),
                         typed(pairs[i].b, dims[d].b), typed(pairs[i].y, dims[d].y), ops[o], profiles[p]);
                kc_check("input a : %s\ninput b : %s\ny : %s = %s(a, b) clip=(5,77) profile=%s", typed(pairs[i].a, "2,300"),
                         typed(pairs[i].b, "2,300"), typed(pairs[i].y, "2,300"), ops[o], profiles[p]);
            }
    kc_check("input a : i16[40,40] scale=0.01 zero=-32768\ninput b : i16[40,40] scale=0.02 zero=32767\ny : i16[40,40] scale=0.03 "
             "zero=5 = add(a, b)");
    kc_check("input a : i8[300] scale=0.5 zero=3\nconst @k : i8[1] scale=0.25 zero=-4 = (17)\ny : i8[300] scale=0.5 zero=0 = "
             "mul(a, @k)");
    kc_check("input a : i8[300] scale=0.5 zero=3\ny : i8[300] scale=0.5 zero=0 = add(a, a)");
}

static void narrow_sums_are_found_and_refused(void **state) {
    (void)state;
    /* equal scales: 32 bits suffice; the registry's plan says so in the text of the kernel */
    struct oct_text t;
    kc_check("input a : i8[2,300] scale=0.5 zero=1\ninput b : i8[2,300] scale=0.5 zero=-1\ny : i8[2,300] scale=0.5 zero=4 = "
             "add(a, b)");
    oct_text_init(&t, kc.arena);
    lp_print(&t, kc.last.k);
    assert_null(strstr(t.s, "i64"));
    kc_check("input a : i8[2,300] scale=1.0 zero=0\ninput b : i8[2,300] scale=1e-9 zero=0\ny : i8[2,300] scale=1e-9 zero=4 = "
             "add(a, b)");
    oct_text_init(&t, kc.arena);
    lp_print(&t, kc.last.k);
    assert_non_null(strstr(t.s, "i64"));
}

static void requantizing(void **state) {
    (void)state;
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    for (int p = 0; p < 3; p++) {
        kc_check("input x : i8[1,3,5,7] scale=0.5 zero=-7\ny : i8[1,3,5,7] scale=0.77 zero=12 = requantize(x) profile=%s",
                 profiles[p]);
        kc_check(
            "input x : u8[300] scale=0.01 zero=255\ny : i8[300] scale=0.013 zero=-128 = requantize(x) clip=(-100,50) profile=%s",
            profiles[p]);
        kc_check("input x : i8[300] scale=1e-9 zero=0\ny : i8[300] scale=1.0 zero=-3 = requantize(x) profile=%s", profiles[p]);
        kc_check("input x : i8[300] scale=0.5 zero=0\ny : i16[300] scale=0.51 zero=7 = requantize(x) profile=%s", profiles[p]);
    }
}

static void pointwise(void **state) {
    (void)state;
    static const char *const ops[] = {"relu(x)",
                                      "relu6(x)",
                                      "clip(x) clip=(-0.5,2.25)",
                                      "leaky_relu(x) alpha=0.1",
                                      "sigmoid(x)",
                                      "tanh(x)",
                                      "hardswish(x)",
                                      "hardsigmoid(x)",
                                      "exp(x)",
                                      "sqrt(x)",
                                      "abs(x)",
                                      "sign(x)",
                                      "floor(x)",
                                      "round(x)",
                                      "reciprocal(x)",
                                      "log(x)",
                                      "erf(x)",
                                      "softplus(x)",
                                      "elu(x) alpha=1.3"};
    for (int o = 0; o < (int)(sizeof ops / sizeof *ops); o++) {
        kc_check("input x : i8[1,3,5,20] scale=0.05 zero=-7\ny : i8[1,3,5,20] scale=0.01 zero=-128 = %s", ops[o]);
        kc_check("input x : u8[300] scale=0.11 zero=255\ny : i8[300] scale=0.02 zero=3 = %s", ops[o]);
        kc_check("input x : i8[300] scale=0.11 zero=12\ny : i16[300] scale=0.002 zero=3 = %s", ops[o]);
        kc_check("input x : i16[300] scale=0.001 zero=12\ny : i16[300] scale=0.0002 zero=-30000 = %s", ops[o]);
        kc_check("input x : f32[1,3,5,20]\ny = %s", ops[o]);
        kc_check("input x : f32[700]\ny = %s", ops[o]);
    }
}

static void tables(void **state) {
    (void)state;
    struct oct_text t;
    oct_text_init(&t, kc.arena);
    for (int i = 0; i < 256; i++) oct_text_addf(&t, "%s%d", i ? "," : "", (int)(int8_t)mix((uint64_t)i));
    kc_check("input x : i8[1,2,5,7] scale=0.5 zero=-7\nconst @t : i8[256] scale=0.1 zero=2 = (%s)\ny : i8[1,2,5,7] scale=0.1 "
             "zero=2 = lut(x, @t)",
             t.s);
    kc_check("input x : u8[300] scale=0.5 zero=7\nconst @t : i8[256] scale=0.1 zero=2 = (%s)\ny : i8[300] scale=0.1 zero=2 = "
             "lut(x, @t)",
             t.s);
}

static void floats(void **state) {
    (void)state;
    static const char *const ops[] = {"add", "sub", "mul", "max", "min", "div", "less", "equal"};
    for (int o = 0; o < 8; o++)
        for (int d = 0; d < DIMS; d++) {
            kc_check("input a : f32[%s]\ninput b : f32[%s]\ny = %s(a, b)", dims[d].a, dims[d].b, ops[o]);
            if (o == 7) kc_check("input a : f32[%s]\nq = round(a)\ny = where(q, a, q)", dims[d].a);
            if (o == 3 || o == 4) {
                kc_check("input a : i8[%s] scale=0.5 zero=-7\ninput b : u8[%s] scale=0.3 zero=12\ny : i8[%s] scale=0.4 zero=1 = "
                         "%s(a, b)",
                         dims[d].a, dims[d].b, dims[d].y, ops[o]);
                kc_check(
                    "input a : i16[%s] scale=0.01 zero=-7\ninput b : u8[%s] scale=0.3 zero=12\ny : i16[%s] scale=0.01 zero=1 "
                    "= %s(a, b) profile=tflm",
                    dims[d].a, dims[d].b, dims[d].y, ops[o]);
            }
            if (o > 2) continue;
            kc_check("input a : f32[%s]\ninput b : f32[%s]\ny = %s(a, b) clip=(0.0,inf)", dims[d].a, dims[d].b, ops[o]);
        }
    kc_check("input x : f32[2,3,4,5]\nconst @s : f32[3] = (1.5,-0.3,2)\nconst @b : f32[3] = (0.1,0,-3)\nconst @m : f32[3] = "
             "(0.2,-7,1e-3)\nconst @v : f32[3] = (1,0.01,4)\n"
             "y = batchnorm(x, @s, @b, @m, @v) eps=0.001");
}

#endif
