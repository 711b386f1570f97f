/* The ONNX reader and models that are quantized already: QuantizeLinear and DequantizeLinear in all their forms, operators from
 * codes to codes; what they hold survives, and what does not hold together is refused with the node's name. PROMISES: the
 * quantization attacks. */
#include "onnx_case.h"

static void quantized(float scale, int zero_type, int zero, int code, const char *text) {
    input("x", DIMS(BATCH, 3));
    init("s", 1, DIMS(1), &scale, 4);
    init("z", zero_type, DIMS(1), &zero, zero_type == 6 ? 4 : 1);
    node("QuantizeLinear", "x s z", "q", NULL), node("DequantizeLinear", "q s z", "y", NULL), output("y");
    if (code) refuse(code, text);
    else accept(text);
}
static void scales_and_zero_points_are_checked(void **state) {
    (void)state;
    quantized(0, 3, 0, 65, "scale 0 is 0");
    quantized(-1, 3, 0, 65, "scale 0 is -1");
    quantized(NAN, 3, 0, 65, "scale 0 is");
    quantized(INFINITY, 3, 0, 65, "scale 0 is inf");
    quantized(0.5f, 3, -7, 0, "q : i8[N,3] scale=0.5 zero=-7 = quantize(x)");
    quantized(0.5f, 2, 200, 0, "q : u8[N,3] scale=0.5 zero=200 = quantize(x)");
    quantized(1e-40f, 3, 0, 65, "normal positive number");
    quantized(0.5f, 6, 1, 65, "zero point of int32");
    quantized(0.5f, 9, 1, 69, "codes are bool");
}

static void channels_have_to_agree(void **state) {
    (void)state;
    static const int8_t w[6] = {1, 2, 3, 4, 5, 6};
    static const float s[3] = {1, 2, 4};
    for (int scales = 2; scales <= 3; scales++) {
        struct pb a = {0};
        input("x", DIMS(BATCH, 2)), init("w", 3, DIMS(2, 3), w, 6), init("s", 1, 1, (int64_t[]){scales}, s, (size_t)scales * 4);
        attr_int(&a, "axis", 1);
        node("DequantizeLinear", "w s", "wf", &a), node("MatMul", "x wf", "y", NULL), output("y");
        if (scales == 2) refuse(65, "2 scales for an axis of another size");
        else accept("i8[3,2] scale[0]=(1.0,2.0,4.0)"); /* turned, and the scales with it */
    }
    input("x", DIMS(BATCH, 2)), init("s", 1, DIMS(3), s, 12), init("z", 3, DIMS(2), w, 2);
    node("QuantizeLinear", "x s z", "y", NULL), output("y");
    refuse(65, "3 scales and 2 zero points");
    input("x", DIMS(BATCH, 2)), init("s", 1, DIMS(1), s, 4), init("t", 1, DIMS(1), s + 1, 4);
    node("QuantizeLinear", "x s", "q", NULL), node("DequantizeLinear", "q t", "y", NULL), output("y");
    refuse(69, "other parameters");
    value(11, "x", 3, DIMS(BATCH, 2)), node("Relu", "x", "y", NULL), output("y");
    refuse(69, "without a scale");
}

static const float half = 0.5f, three[3] = {1, 2, 4};
static const int8_t weights[6] = {1, 2, 3, 4, 5, 6};

/* y = x times weights [2,3] of this type, dequantized by scales s (and zero points z) along an axis. */
static void product(int type, const void *data, size_t bytes_of_data, const char *inputs, int64_t axis, int64_t block) {
    struct pb a = {0};
    input("x", DIMS(BATCH, 2)), init("w", type, DIMS(2, 3), data, bytes_of_data);
    attr_int(&a, "axis", axis);
    if (block) attr_int(&a, "block_size", block);
    node("DequantizeLinear", inputs, "wf", &a), node("MatMul", "x wf", "y", NULL), output("y");
}

static void widths_survive(void **state) {
    (void)state;
    static const uint16_t zero = 300;
    static const int16_t below = -300;
    input("x", DIMS(BATCH, 3)), init("s", 1, 0, NULL, &half, 4), init("z", 4, 0, NULL, &zero, 2);
    node("QuantizeLinear", "x s z", "q", NULL), node("DequantizeLinear", "q s z", "y", NULL), output("y");
    accept("q : u16[N,3] scale=0.5 zero=300 = quantize(x)");
    input("x", DIMS(BATCH, 3)), init("s", 1, 0, NULL, &half, 4), init("z", 5, 0, NULL, &below, 2);
    node("QuantizeLinear", "x s z", "q", NULL), node("DequantizeLinear", "q s z", "y", NULL), output("y");
    accept("q : i16[N,3] scale=0.5 zero=-300 = quantize(x)");
    product(3, weights, 6, "w s", 0, 0), init("s", 1, 0, NULL, &half, 4);
    accept("const @w.t : i8[3,2] scale=0.5 zero=0 = (1, 4, 2, 5, 3, 6)");
}

/* Two to a byte, the first in the low half; a last one may stand alone. */
static void four_bits_survive(void **state) {
    (void)state;
    static const uint8_t packed[3] = {0x21, 0x8f, 0x70};
    product(22, packed, 3, "w s", 1, 0), init("s", 1, DIMS(3), three, 12);
    accept("const @w.t : i4[3,2] scale[0]=(1.0,2.0,4.0) = (1, -8, 2, 0, -1, 7)");
    product(21, packed, 3, "w s", 0, 0), init("s", 1, 0, NULL, &half, 4);
    accept("const @w.t : u4[3,2] scale=0.5 zero=0 = (1, 8, 2, 0, 15, 7)");
    product(22, packed, 2, "w s", 0, 0), init("s", 1, 0, NULL, &half, 4);
    refuse(65, "it holds 2 bytes, but its dimensions ask for 3");
    product(22, packed, 3, "w s z", 0, 0), init("s", 1, 0, NULL, &half, 4), init("z", 3, 0, NULL, weights, 1);
    refuse(65, "its zero point is int8, its codes are i4");
}

/* Parameters that several nodes share, that are left out, that come through Identity, Cast, ConstantOfShape. */
static void parameters_are_looked_for(void **state) {
    (void)state;
    input("x", DIMS(BATCH, 3)), init("s", 1, 0, NULL, &half, 4);
    node("QuantizeLinear", "x s", "q", NULL), node("DequantizeLinear", "q s", "r", NULL);
    node("Relu", "r", "t", NULL), node("QuantizeLinear", "t s -", "u", NULL), node("DequantizeLinear", "u s", "y", NULL),
        output("y");
    accept("u : u8[N,3] scale=0.5 zero=0 = quantize(t)");

    struct pb to_float = {0}, zero = {0}, dims = tensor("", 3, 1, (int64_t[]){1}, weights, 1), a = {0};
    static const double precise = 0.5;
    input("x", DIMS(BATCH, 3)), init("d", 11, 0, NULL, &precise, 8), INIT_INTS("one", 1);
    attr_int(&to_float, "to", 1), node("Cast", "d", "c", &to_float), node("Identity", "c", "s", NULL);
    str(&a, 1, "value"), msg(&a, 5, &dims), num(&a, 20, 4), msg(&zero, 5, &a);
    node("ConstantOfShape", "one", "z", &zero);
    node("QuantizeLinear", "x s z", "q", NULL), node("Identity", "q", "p", NULL), node("DequantizeLinear", "p s z", "y", NULL),
        output("y");
    accept("q : i8[N,3] scale=0.5 zero=1 = quantize(x)");

    input("x", DIMS(BATCH, 2)), init("v", 3, DIMS(2, 3), weights, 6), init("s", 1, 0, NULL, &half, 4),
        node("Identity", "v", "w", NULL);
    node("DequantizeLinear", "w s", "f", NULL), node("MatMul", "x f", "y", NULL), output("y");
    accept("i8[3,2] scale=0.5 zero=0 = (1, 4, 2, 5, 3, 6)");
}

static void hostile_parameters_are_refused(void **state) {
    (void)state;
    const float bad[3] = {1, NAN, 2}, null[3] = {1, 2, 0};
    static const struct {
        int64_t axis, block;
        int code;
        const char *why;
    } cases[] = {{2, 0, 65, "node of result 'wf' (DequantizeLinear): axis 2 is out of range"},
                 {-3, 0, 65, "axis -3 is out of range"},
                 {INT64_MIN, 0, 65, "is out of range"},
                 {0, 0, 65, "it has 3 scales for an axis of another size"},
                 {1, 2, 69, "its scales are by blocks"},
                 {1, -1, 69, "its scales are by blocks"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        product(3, weights, 6, "w s", cases[i].axis, cases[i].block), init("s", 1, DIMS(3), three, 12);
        refuse(cases[i].code, cases[i].why);
    }
    product(3, weights, 6, "w s", 1, 0), init("s", 1, DIMS(3), bad, 12);
    refuse(65, "node of result 'wf' (DequantizeLinear): scale 1 is nan");
    product(3, weights, 6, "w s", 1, 0), init("s", 1, DIMS(3), null, 12);
    refuse(65, "scale 2 is 0");
    product(3, weights, 6, "w s", 1, 0), init("s", 1, DIMS(1, 3), three, 12);
    refuse(65, "its scale is no float scalar or vector");
    product(3, weights, 6, "w s", 1, 0), init("s", 3, DIMS(3), weights, 3);
    refuse(65, "its scale is no float scalar or vector");
    product(3, weights, 6, "w s", 1, 0), init("s", 1, DIMS(0), three, 0);
    refuse(65, "its scale is no float scalar or vector");
    product(3, weights, 6, "w s z", 1, 0), init("s", 1, DIMS(3), three, 12), init("z", 2, DIMS(3), weights, 3);
    refuse(65, "its zero point is uint8, its codes are i8");
    product(1, three, 12, "w s", 1, 0), init("s", 1, DIMS(3), three, 12);
    refuse(65, "it holds 12 bytes, but its dimensions ask for 24");
}

/* QLinearConv over x [N,1,2,2] of u8, one 1x1 kernel of i8; each call has one thing wrong with it. */
static void convolution(float scale, int zero_type, int zeros, int biases, const char *inputs) {
    static const int32_t bias[2] = {0, 0};
    value(11, "x", 2, DIMS(BATCH, 1, 2, 2));
    init("s", 1, 0, NULL, &scale, 4), init("z", 2, 0, NULL, weights, 1), init("w", 3, DIMS(1, 1, 1, 1), weights, 1);
    init("wz", zero_type, 1, (int64_t[]){zeros}, bias, (size_t)zeros),
        init("b", 6, 1, (int64_t[]){biases}, bias, 4 * (size_t)biases);
    node("QLinearConv", inputs, "y", NULL), value(12, "y", 2, 0, NULL);
}
static void operators_from_codes_to_codes_are_checked(void **state) {
    (void)state;
    static const char all[] = "x s z w s wz s z b";
    convolution(0.5f, 3, 1, 1, all);
    accept("y : u8[N,1,2,2] scale=0.5 zero=1 = quantize(y.real)");
    convolution(0, 3, 1, 1, all);
    refuse(65, "scale 0 is 0");
    convolution(NAN, 3, 1, 1, all);
    refuse(65, "scale 0 is nan");
    convolution(0.5f, 2, 1, 1, all);
    refuse(65, "its zero point is uint8, its codes are i8");
    convolution(0.5f, 3, 2, 1, all);
    refuse(65, "it has 1 scales and 2 zero points");
    convolution(0.5f, 3, 1, 2, all);
    refuse(65, "must have 1 elements, one for each output channel");
    convolution(0.5f, 3, 1, 1, "x s z - s wz s z b");
    refuse(65, "input 3 is left out");
    convolution(0.5f, 3, 1, 1, "x s z w s wz - z b");
    refuse(65, "node of result 'y' (QLinearConv): input 6 is left out");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scales_and_zero_points_are_checked),
                                       cmocka_unit_test(channels_have_to_agree),
                                       cmocka_unit_test(widths_survive),
                                       cmocka_unit_test(four_bits_survive),
                                       cmocka_unit_test(parameters_are_looked_for),
                                       cmocka_unit_test(hostile_parameters_are_refused),
                                       cmocka_unit_test(operators_from_codes_to_codes_are_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
