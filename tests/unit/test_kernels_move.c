/* test_kernels_move.c - kernels that move elements, quantize and dequantize: the evaluator against the interpreter, C against
 * both. */
#include "kernel_case.h"

static const char *const types[] = {"i8[%s] scale=0.5 zero=-7", "u8[%s] scale=0.25 zero=255", "i16[%s] scale=0.01 zero=12",
                                    "f32[%s]"};

static const char *typed(int t, const char *dims) {
    char *s = oct_alloc(kc.arena, 200);
    const char *at = strchr(types[t], '%');
    snprintf(s, 200, "%.*s%s%s", (int)(at - types[t]), types[t], dims, at + 2);
    return s;
}

static void shapes(void **state) {
    (void)state;
    for (int t = 0; t < 4; t++) {
        kc_check("input x : %s\ny = reshape(x) shape=(N,-1)", typed(t, "N,3,4,5"));
        kc_check("input x : %s\ny = reshape(x) shape=(3,2)", typed(t, "2,3"));
        kc_check("input x : %s\ny = reshape(x) shape=(1,4,3,2)", typed(t, "1,2,4,3"));
        kc_check("input x : %s\ny = reshape(x) shape=(1,6,2,2)", typed(t, "24"));
        kc_check("input x : %s\ny = flatten(x) axis=1", typed(t, "N,7,1,1"));
        kc_check("input x : %s\ny = squeeze(x) axes=(2,3)", typed(t, "1,7,1,1"));
        kc_check("input x : %s\ny = unsqueeze(x) axes=(1,3)", typed(t, "1,7"));
        kc_check("input x : %s\ny = transpose(x) perm=(0,2,3,1)", typed(t, "1,3,4,5"));
        kc_check("input x : %s\ny = transpose(x) perm=(2,0,1)", typed(t, "2,3,5"));
        kc_check("input x : %s\ny = slice(x) axes=(1,3) begin=(1,0) end=(3,5) step=(1,2)", typed(t, "1,3,4,5"));
        kc_check("input x : %s\ny = slice(x) axes=(1) begin=(-1) end=(-6) step=(-2)", typed(t, "2,7"));
        kc_check("input x : %s\ny = pad(x) pads=(0,1,0,2,0,0,3,1) value=0.5", typed(t, "1,2,3,4"));
        kc_check("input x : %s\ny = pad(x) pads=(2,0,0,3)", typed(t, "3,4"));
        kc_check("input x : %s\ninput z : %s\ny : %s = concat(x, z) axis=1", typed(t, "1,3,4,2"), typed(t, "1,5,4,2"),
                 typed(t, "1,8,4,2"));
    }
}

static void concat_requantizes(void **state) {
    (void)state;
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    for (int p = 0; p < 3; p++)
        kc_check("input a : i8[1,3,2,2] scale=0.5 zero=-7\ninput b : i8[1,2,2,2] scale=0.3 zero=4\ninput c : i8[1,1,2,2] "
                 "scale=0.25 zero=1\n"
                 "y : i8[1,6,2,2] scale=0.5 zero=-7 = concat(a, b, c) axis=1 profile=%s",
                 profiles[p]);
    kc_check("input a : u8[2,3] scale=1.0 zero=0\ninput b : u8[2,3] scale=0.5 zero=0\ny : u8[2,6] scale=0.5 zero=0 = concat(a, "
             "b) axis=-1 profile=pot");
}

static void quantizing(void **state) {
    (void)state;
    static const char *const to[] = {"i8[2,33] scale=0.00214854861 zero=5", "u8[2,33] scale=1.0 zero=128",
                                     "i16[2,33] scale=1e-5 zero=-3",        "i8[2,33] scale=1e-30 zero=-128",
                                     "i8[2,33] scale=3e37 zero=127",        "i8[2,33] scale[0]=(0.01,0.5) zero[0]=(3,-4)"};
    static const char *const how[] = {"", " divide=rcp", " order=after", " divide=rcp order=after"};
    for (int t = 0; t < 6; t++) {
        for (int h = 0; h < 4; h++) kc_check("input x : f32[2,33]\ny : %s = quantize(x)%s", to[t], how[h]);
        kc_check("input x : %s\ny = dequantize(x)", to[t]);
    }
    kc_check("input x : f32[1,3,4,5]\ny : i8[1,3,4,5] scale[1]=(0.01,0.02,0.03) = quantize(x)");
}

static void printed_c(void **state) {
    (void)state;
    kc_compare_c();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(concat_requantizes),
                                       cmocka_unit_test(quantizing), cmocka_unit_test(printed_c)};
    return cmocka_run_group_tests(tests, kc_setup, kc_teardown);
}
