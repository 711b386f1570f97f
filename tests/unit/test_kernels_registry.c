/* test_kernels_registry.c - every row of kernels.def runs against the interpreter: a row without a case fails. Cases of codes
 * beyond 8 bits, of parameters at the edge of each requantization form, and what stays refused. */
#include "kernel_case.h"

#define W16 "const @w : i8[16,6] scale=0.02 zero=0 = random seed=3 within=(-128,127)\n"
#define CONV                                                                                                                     \
    "const @w : i8[4,3,3,3] scale[0]=(0.02,3.1,1e-5,0.7) = random seed=5 within=(-128,127)\nconst @b : i32[4] = "                \
    "(100,-2000,0,7)\n"
#define X16 "input x : i16[3,6] scale=0.001 zero=0\n"
#define POINT(op, attrs)                                                                                                         \
    "input x : i8[2,3,4,5] scale=0.05 zero=-3\ny : i8[2,3,4,5] scale=0.03 zero=7 = " op "(x)" attrs,                             \
        "input x : i16[2,300] scale=0.0004 zero=-30\ny : i8[2,300] scale=0.1 zero=7 = " op "(x)" attrs,                          \
        "input x : f32[2,300]\ny = " op "(x)" attrs
#define BINARY(op)                                                                                                               \
    "input a : i8[2,300] scale=0.05 zero=-3\ninput b : u8[2,300] scale=0.3 zero=255\ny : i8[2,300] scale=0.3 zero=7 = " op       \
    "(a, b)",                                                                                                                    \
        "input a : i8[2,300] scale=0.05 zero=-3\ninput b : u8[2,300] scale=0.3 zero=255\ny : i8[2,300] scale=0.3 zero=7 = " op   \
        "(a, b) profile=tflm",                                                                                                   \
        "input a : i8[2,300] scale=0.05 zero=-3\ninput b : u8[2,300] scale=0.3 zero=255\ny : i8[2,300] scale=0.3 zero=7 = " op   \
        "(a, b) profile=onnx",                                                                                                   \
        "input a : f32[2,300]\ninput b : f32[2,300]\ny = " op "(a, b)",                                                          \
        "input a : i16[2,300] scale=0.05 zero=-3\ninput b : u16[2,300] scale=0.03 zero=65535\ny : i16[2,300] scale=0.3 zero=7 "  \
        "= " op "(a, b)",                                                                                                        \
        "input a : i16[2,300] scale=0.05 zero=0\ninput b : i16[2,300] scale=0.03 zero=-32768\ny : i16[2,300] scale=0.3 zero=7 "  \
        "= " op "(a, b) profile=tflm",                                                                                           \
        "input a : i8[2,300] scale=0.05 zero=0\ninput b : i16[2,300] scale=40.0 zero=-32768\ny : i8[2,300] scale=0.001 zero=7 "  \
        "= " op "(a, b) profile=tflm",                                                                                           \
        "input a : i16[2,300] scale=0.05 zero=-32768\ninput b : u16[2,300] scale=0.03 zero=0\ny : u16[2,300] scale=90.0 "        \
        "zero=7 = " op "(a, b) profile=onnx"

static const char *const cases[] = {
    POINT("relu", ""),
    POINT("relu6", ""),
    POINT("clip", " clip=(-1,1.5)"),
    POINT("leaky_relu", " alpha=0.2"),
    POINT("sigmoid", ""),
    POINT("tanh", ""),
    POINT("hardswish", ""),
    POINT("hardsigmoid", ""),
    POINT("exp", ""),
    POINT("sqrt", ""),
    POINT("abs", ""),
    POINT("sign", ""),
    POINT("floor", ""),
    POINT("round", ""),
    POINT("reciprocal", ""),
    POINT("log", ""),
    POINT("erf", ""),
    POINT("softplus", ""),
    POINT("elu", " alpha=1.5"),
    BINARY("add"),
    BINARY("sub"),
    BINARY("mul"),
    "input a : i8[2,3] scale=0.5 zero=3\ninput b : u8[3] scale=0.25 zero=9\ny : i8[2,3] scale=0.6 zero=1 = max(a, b)",
    "input a : i8[2,3] scale=0.5 zero=3\ninput b : u8[3] scale=0.25 zero=9\ny : i16[2,3] scale=0.6 zero=1 = min(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ny = max(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ny = min(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ny = div(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ny = less(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ny = equal(a, b)",
    "input a : f32[2,3]\ninput b : f32[3]\ninput c : f32[4,1,1]\ny = where(c, a, b)",
    "input x : f32[3,8]\nconst @w : i8[5,8] scale=0.01 = random seed=1\ny = dense(x, @w) dynamic",
    "input x : f32[1,3,4,5]\nconst @w : i8[4,3,2,2] scale=0.01 = random seed=1\ny = conv2d(x, @w) dynamic",
    "input x : f32[3,8]\ny = dynamic_quantize(x)",
    "input g : f32[2,1,12]\nconst @r : f32[12,3] = random seed=1\ny = lstm(g, @r)",
    "input g : f32[2,2,9]\nconst @r : i8[9,3] scale=0.01 = random seed=1\ny = gru(g, @r) dynamic",
    "const @x : f32[5,3] = random seed=1\ninput rows : i64[2]\ny = gather(@x, rows)",
    /* linear ops: every profile, multipliers on both sides of 1, 16-bit operands whose sums leave 32 bits */
    "input x : i8[3,8] scale=0.5 zero=-3\nconst @w : i8[5,8] scale=0.01 = random seed=1 within=(-127,128)\n"
    "y : i8[3,5] scale=0.9 zero=3 = dense(x, @w)",
    "input x : i8[2,3,6,5] scale=0.5 zero=-3\n" CONV "y : i8[2,4,4,3] scale=0.9 zero=3 = conv2d(x, @w, @b)",
    "input x : i8[2,3,6,5] scale=0.5 zero=-3\n" CONV "y : i8[2,4,4,3] scale=0.9 zero=3 = conv2d(x, @w, @b) profile=tflm",
    "input x : i8[2,3,6,5] scale=0.5 zero=-3\n" CONV
    "y : i8[2,4,4,3] scale=0.9 zero=3 = conv2d(x, @w, @b) profile=onnx clip=(-5,99)",
    "input x : i16[2,3,6,5] scale=0.5 zero=-3\n" CONV "y : i16[2,4,4,3] scale=0.9 zero=3 = conv2d(x, @w, @b) profile=tflm",
    "input x : u8[1,18,3,3] scale=0.5 zero=200\nconst @w : i8[36,1,2,2] scale=0.01 zero=2 = random seed=1 within=(-128,127)\ny : "
    "i8[1,36,2,2] "
    "scale=2.0 zero=0 = conv2d(x, @w) groups=18",
    "input x : i8[1,16,3,3] scale=0.5 zero=20\nconst @w : i8[48,1,2,2] scale=0.01 zero=2 = random seed=1 within=(-128,127)\ny : "
    "i8[1,48,2,2] "
    "scale=2.0 zero=0 = conv2d(x, @w) groups=16",
    "input x : i8[1,32,7,5] scale=0.5 zero=20\nconst @w : i8[32,32,1,1] scale=0.01 = random seed=1 within=(-128,127)\ny : "
    "i8[1,32,7,5] scale=2.0 zero=0 = conv2d(x, @w)",
    "input x : i8[1,16,4,4] scale=0.5 zero=20\nconst @w : i8[16,1,3,3] scale=0.01 = random seed=1 within=(-128,127)\ny : "
    "i8[1,16,2,2] scale=2.0 zero=0 = conv2d(x, @w) groups=16",
    "input x : i8[1,32,8,8] scale=0.5 zero=3\nconst @w : i8[32,32,3,3] scale=0.01 zero=0 = random seed=1 within=(-128,128)\ny : "
    "i8[1,32,8,8] scale=30.0 zero=0 = conv2d(x, @w) pad=1",
    "input x : i8[1,12] scale=0.1 zero=5\nconst @w : i8[9,12] scale=0.02 = random seed=2 within=(-128,128)\n"
    "y : i8[1,9] scale=0.9 zero=3 = dense(x, @w)",
    "input x : i8[3,6] scale=0.1 zero=5\n" W16 "y : u8[3,16] scale=0.2 zero=128 = dense(x, @w)",
    "input x : i8[3,6] scale=0.1 zero=5\n" W16 "y : u8[3,16] scale=0.00001 zero=128 = dense(x, @w) profile=tflm",
    X16 W16 "y : i16[3,16] scale=0.0007 zero=1 = dense(x, @w)",
    X16 W16 "y : i16[3,16] scale=0.0007 zero=1 = dense(x, @w) profile=onnx",
    X16 W16 "y : i16[3,16] scale=0.0007 zero=1 = dense(x, @w) profile=tflm",
    "input x : f32[1,3,6,5]\nconst @w : f32[4,3,3,3] = random seed=1 within=(-1,1)\ny = conv2d(x, @w)",
    "input x : f32[3,6]\nconst @w : f32[4,6] = random seed=1 within=(-1,1)\ny = dense(x, @w)",
    "input a : i8[2,5,6] scale=0.1 zero=4\ninput b : u8[2,6,3] scale=0.3 zero=7\ny : i8[2,5,3] scale=1.1 zero=0 = matmul(a, b)",
    "input a : i8[2,5,6] scale=0.1 zero=4\ninput b : u8[2,6,3] scale=0.3 zero=7\ny : i8[2,5,3] scale=1.1 zero=0 = matmul(a, b) "
    "profile=onnx",
    "input a : i16[2,5,6] scale=0.1 zero=4\ninput b : i16[2,6,3] scale=0.3 zero=-32768\ny : i16[2,5,3] scale=5000.0 zero=0 = "
    "matmul(a, b)",
    "input a : i16[2,5,6] scale=0.1 zero=4\ninput b : i16[2,6,3] scale=0.3 zero=0\ny : i16[2,5,3] scale=5000.0 zero=0 = "
    "matmul(a, b) profile=tflm",
    "input a : i16[2,5,6] scale=0.1 zero=4\ninput b : i16[2,6,3] scale=0.3 zero=0\ny : i16[2,5,3] scale=5000.0 zero=0 = "
    "matmul(a, b) profile=onnx",
    "input a : u16[2,5,6] scale=1.0 zero=0\ninput b : u16[2,6,3] scale=1.0 zero=0\ny : i16[2,5,3] scale=1e14 zero=0 = matmul(a, "
    "b)",
    "input a : f32[2,5,6]\ninput b : f32[2,6,3]\ny = matmul(a, b)",
    /* windows and means */
    "input x : i8[1,3,5,7] scale=0.5 zero=3\ny = max_pool2d(x) kernel=2",
    "input x : i8[1,3,5,7] scale=0.5 zero=3\ny : i8[1,3,4,6] scale=0.4 zero=1 = avg_pool2d(x) kernel=2",
    "input x : i8[1,3,5,7] scale=0.5 zero=3\ny : i8[1,3,5,7] scale=0.4 zero=1 = avg_pool2d(x) kernel=3 pad=1 profile=onnx",
    "input x : i16[1,3,5,7] scale=0.5 zero=3\ny : i16[1,3,4,6] scale=0.4 zero=1 = avg_pool2d(x) kernel=2",
    "input x : f32[1,3,5,7]\ny = avg_pool2d(x) kernel=2",
    "input x : u8[1,3,5,7] scale=0.5 zero=3\ny : i8[1,3] scale=0.4 zero=1 = mean(x) axes=(2,3)",
    "input x : u8[1,3,5,7] scale=0.5 zero=3\ny : i8[1,3] scale=0.4 zero=1 = mean(x) axes=(2,3) profile=onnx",
    "input x : f32[1,3,5,7]\ny = mean(x) axes=(2,3)",
    /* softmax */
    "input x : i8[7,30] scale=0.1 zero=3\ny : i8[7,30] scale=0.00390625 zero=-128 = softmax(x) axis=1",
    "input x : i8[7,30] scale=0.1 zero=3\ny : i8[7,30] scale=0.00390625 zero=-128 = softmax(x) axis=1 profile=tflm",
    "input x : i8[7,30] scale=0.1 zero=3\ny : u8[7,30] scale=0.003 zero=1 = softmax(x) axis=1 profile=onnx",
    "input x : f32[7,30]\ny = softmax(x) axis=1",
    /* codes to codes and back */
    "input x : i16[7,30] scale=0.1 zero=3\ny : u8[7,30] scale=9.0 zero=3 = requantize(x)",
    "input x : i16[7,30] scale=0.1 zero=-32768\ny : u8[7,30] scale=9.0 zero=3 = requantize(x) profile=onnx",
    "input x : i16[7,30] scale=1e5 zero=-32768\ny : u8[7,30] scale=0.5 zero=3 = requantize(x) profile=tflm",
    "input x : i8[7,30] scale=0.1 zero=3\nconst @t : i8[256] scale=0.1 zero=0 = random seed=9 within=(-128,127)\ny : i8[7,30] "
    "scale=0.1 zero=0 = lut(x, @t)",
    "input x : f32[7,30]\ny : u16[7,30] scale=0.1 zero=9 = quantize(x)",
    "input x : i32[7,30] scale=0.1 zero=-2147483648\ny = dequantize(x)",
    "input x : i32[7,3] scale[1]=(0.1,2,30) zero[1]=(0,5,2147483647)\ny = dequantize(x)",
    "input x : f32[2,3,4]\nconst @s : f32[3] = (1,2,3)\nconst @v : f32[3] = (1,1,4)\ny = batchnorm(x, @s, @s, @s, @v)",
    /* moves */
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ny = reshape(x) shape=(6,20)",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ny = flatten(x) axis=1",
    "input x : i8[2,3,1,5] scale=0.5 zero=1\ny = squeeze(x) axes=(2)",
    "input x : i8[2,3,5] scale=0.5 zero=1\ny = unsqueeze(x) axes=(1)",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ny = transpose(x) perm=(0,2,3,1)",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ny = slice(x) axes=(3) begin=(4) end=(-6) step=(-2)",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ny = pad(x) pads=(0,1,0,2,0,0,3,1) value=2.0",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ninput v : u8[2,3,2,5] scale=0.5 zero=1\ninput w : i16[2,3,1,5] scale=0.01 zero=99\n"
    "y : i8[2,3,7,5] scale=0.5 zero=1 = concat(x, v, w) axis=2",
    "input x : i8[2,3,4,5] scale=0.5 zero=1\ninput v : u8[2,3,2,5] scale=7.0 zero=1\ny : u8[2,3,6,5] scale=0.25 zero=1 = "
    "concat(x, v) "
    "axis=2 profile=onnx",
};

static void every_case(void **state) {
    (void)state;
    static const char *const targets[] = {"c99", "x86-64-v3"}; /* without and with vectors */
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        kc.target = oct_target_find(targets[t]);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) kc_check("%s", cases[i]);
    }
    static const char *const dearer[][2] = {{"gemv_vec", "dense("}, {"strassen", "32,7,5"}}; /* where others cost less */
    for (size_t d = 0; d < sizeof dearer / sizeof *dearer; d++) {
        kc.prefer = dearer[d][0];
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            if (strstr(cases[i], dearer[d][1])) kc_check("%s", cases[i]);
    }
    kc.prefer = NULL;
    const int printed = kc.nran; /* a file of C has vectors of one ISA; the others print in tests of their own */
    kc.target = oct_target_find("cortex-m4");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) kc_check("%s", cases[i]);
    kc.nran = printed;
    kc.target = oct_target_find("c99");
}

/* The same without the proof of cheaper sequences: each profile's own. */
static void every_case_unproved(void **state) {
    (void)state;
    kc.no_requant_proof = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) kc_check("%s", cases[i]);
    kc.no_requant_proof = false;
}

static void every_row(void **state) {
    (void)state;
    uint32_t n;
    const struct oct_kernel_info *k = oct_kernel_list(&n);
    for (uint32_t i = 0; i < n; i++)
        if (!kc.used[i]) fail_msg("no case of this file reaches kernel '%s' (%s)", k[i].name, k[i].doc);
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case), cmocka_unit_test(every_row),
                                       cmocka_unit_test(every_case_unproved), cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
