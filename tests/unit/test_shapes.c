/* Shape and type rules of every op: closed forms, and each misuse with its own diagnostic. */
#include "build.h"

struct row {
    const char *op, *operands, *attrs, *declared, *want; /* want: the type, or the id of the diagnostic */
};

static void check(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct fix f;
        fix_begin(&f);
        struct oct_node *y = build(&f, rows[i].op, rows[i].operands, rows[i].attrs, rows[i].declared);
        const char *got = y ? oct_type_text(oct_own(&f.cx), &y->type) : diags(&f), *want = rows[i].want;
        if (*want == 'E' ? y || !strstr(got, oct_sprintf(oct_own(&f.cx), "[%s]", want)) : strcmp(got, want) != 0)
            fail_msg("row %zu: %s(%s) %s: %s, wanted %s", i, rows[i].op, rows[i].operands, rows[i].attrs, got, want);
        if (y) { /* inferring again changes nothing */
            const struct oct_type before = y->type;
            const struct oct_attrs at = y->at;
            assert_true(oct_infer(&f.cx, y));
            assert_true(oct_type_equal(&before, &y->type));
            for (unsigned a = 0; a < OCT_ATTR_COUNT; a++) assert_true(oct_attr_equal(&at, &y->at, a));
            const bool batch_moved = oct_type_has_n(&y->type) && y->type.dim[0] != OCT_DIM_N;
            oct_add_output(f.m, "y", batch_moved ? leaf(&f, "other", "f32[N]") : y, no_span);
            if (!oct_verify(f.m)) fail_msg("row %zu: %s", i, diags(&f));
        } else {
            assert_int_equal(oct_exit_code(&f.cx), OCT_EXIT_DATA);
            assert_int_equal(oct_error_count(&f.cx), 1);
        }
        fix_end(&f);
    }
}
#define CHECK(...)                                                                                                               \
    do {                                                                                                                         \
        static const struct row rows[] = {__VA_ARGS__};                                                                          \
        check(rows, sizeof rows / sizeof *rows);                                                                                 \
    } while (0)

#define IMG "f32[N,3,32,32]"
static void convolutions(void **state) {
    (void)state;
    CHECK(
        {"conv2d", IMG " @f32[16,3,3,3]", "", NULL, "f32[N,16,30,30]"},
        {"conv2d", IMG " @f32[16,3,3,3] @f32[16]", "pad=(1,1,1,1)", NULL, "f32[N,16,32,32]"},
        {"conv2d", IMG " @f32[16,3,3,3] _", "pad=(1,1,1,1)", NULL, "f32[N,16,32,32]"},
        {"conv2d", IMG " @f32[16,3,3,3]", "pad=(0,0,1,1) stride=2", NULL, "f32[N,16,16,16]"},
        {"conv2d", IMG " @f32[16,3,5,1]", "pad=(2,0,1,3) stride=(3,2)", NULL, "f32[N,16,11,18]"},
        {"conv2d", IMG " @f32[16,3,3,3]", "dilation=(2,5)", NULL, "f32[N,16,28,22]"},
        {"conv2d", "f32[1,8,5,5] @f32[12,2,5,5]", "groups=4", NULL, "f32[1,12,1,1]"},
        {"conv2d", "f32[1,8,7,7] @f32[8,1,3,3]", "groups=8 pad=(N,0,0,0) stride=2", NULL, "f32[1,8,4,4]"}, /* N in pad[0]: same */
        {"conv2d", "f32[1,1,1,1] @f32[1,1,1,1]", "pad=(5,5,5,5) stride=1000", NULL, "f32[1,1,1,1]"},
        {"conv2d", IMG " @f32[16,4,3,3]", "", NULL, "E2103"}, {"conv2d", IMG " @f32[16,1,3,3]", "", NULL, "E2103"},
        {"conv2d", "f32[N,3,32] @f32[16,3,3,3]", "", NULL, "E2104"}, {"conv2d", IMG " @f32[16,3,3]", "", NULL, "E2104"},
        {"conv2d", IMG " @f32[16,3,3,3]", "groups=2", NULL, "E2110"},
        {"conv2d", IMG " @f32[16,3,3,3]", "groups=0", NULL, "E2110"},
        {"conv2d", IMG " @f32[16,1,3,3]", "groups=3", NULL, "E2110"},
        {"conv2d", IMG " @f32[16,3,3,3]", "groups=-1", NULL, "E2110"},
        {"conv2d", IMG " @f32[16,3,3,3]", "stride=0", NULL, "E2108"},
        {"conv2d", IMG " @f32[16,3,3,3]", "stride=(1,-1)", NULL, "E2108"},
        {"conv2d", IMG " @f32[16,3,3,3]", "dilation=9223372036854775807", NULL, "E2108"},
        {"conv2d", IMG " @f32[16,3,3,3]", "dilation=2147483647", NULL, "E2111"},
        {"conv2d", IMG " @f32[16,3,33,33]", "", NULL, "E2111"},
        {"conv2d", IMG " @f32[16,3,3,3]", "pad=(-1,0,0,0)", NULL, "E2109"},
        {"conv2d", IMG " @f32[16,3,3,3]", "pad=(0,0,9223372036854775807,0)", NULL, "E2109"},
        {"conv2d", IMG " @f32[16,3,3,3]", "pad=(0,0,2147483647,2147483647)", NULL, "E2105"},
        {"conv2d", IMG " @f32[16,3,3,3]", "pad=(1,N,0,0)", NULL, "E2106"},
        {"conv2d", IMG " @f32[16,3,3,3]", "stride=(1,N)", NULL, "E2106"},
        {"conv2d", IMG " @f32[16,3,3,3]", "groups=N", NULL, "E2106"},
        {"conv2d", IMG " @f32[16,3,3,3] @f32[15]", "", NULL, "E2113"},
        {"conv2d", IMG " @f32[16,3,3,3] @f32[16,1]", "", NULL, "E2113"}, {"conv2d", IMG, "", NULL, "E2003"},
        {"conv2d", IMG " _", "", NULL, "E2003"}, {"conv2d", IMG " @f32[16,3,3,3] @f32[16] @f32[16]", "", NULL, "E2003"},
        {"conv2d", IMG " @f32[16,3,3,3]", "axis=1", NULL, "E2004"},
        {"conv2d", IMG " @f32[16,3,3,3]", "clip=(nan,1)", NULL, "E2005"},
        {"conv2d", IMG " @f32[16,3,3,3]", "clip=(2,1)", NULL, "E2219"},
        {"conv2d", IMG " @f32[16,3,3,3]", "profile=q31", NULL, "E2217"},
        {"conv2d", IMG " @f32[16,3,3,3]", "", "f32[N,16,32,32]", "E2102"},
        {"conv2d", IMG " @f32[16,3,3,3]", "", "f32[1,16,30,30]", "E2102"},
        {"conv2d", IMG " @f32[16,3,3,3]", "", "i8[N,16,30,30]q", "E2209"});
}

static void quantized_products(void **state) {
    (void)state;
#define X "i8[N,3,8,8]q"
#define Y "i8[N,4,8,8]q"
    CHECK({"conv2d", X " @i8[4,3,1,1]c @i32[4]", "clip=(-128,7) profile=onnx", Y, "i8[N,4,8,8] scale=0.5 zero=0"},
          {"conv2d", X " @i8[4,3,1,1]q", "clip=(-inf,7)", Y, "i8[N,4,8,8] scale=0.5 zero=0"},
          {"conv2d", "u8[N,3,8,8]q @i4[4,3,1,1]c", "", "i16[N,4,8,8]q", "i16[N,4,8,8] scale=0.5 zero=0"},
          {"dense", "i8[N,6]q @i8[2,6]c @i32[2]", "", "i8[N,2]q", "i8[N,2] scale=0.5 zero=0"},
          {"matmul", "i8[N,2,6]q i8[N,6,5]q", "", "i8[N,2,5]q", "i8[N,2,5] scale=0.5 zero=0"},
          {"conv2d", X " @i8[4,3,1,1]c", "", NULL, "E2208"}, {"conv2d", X " @i8[4,3,1,1]c", "", "i8[N,4,8,8]", "E2208"},
          {"conv2d", X " @i8[4,3,1,1]c", "", "i32[N,4,8,8]q", "i32[N,4,8,8] scale=0.5 zero=0"},
          {"conv2d", X " @i8[4,3,1,1]c", "", "f32[N,4,8,8]", "E2208"},
          {"conv2d", X " @i8[4,3,1,1]c", "", "i8[4,4,8,8]c", "E2212"}, {"conv2d", X " @f32[4,3,1,1]", "", Y, "E2210"},
          {"conv2d", "f32[N,3,8,8] @i8[4,3,1,1]c", "", NULL, "E2210"}, {"conv2d", X " @i8[4,3,1,1]", "", Y, "E2211"},
          {"conv2d", "i8[N,3,8,8] @i8[4,3,1,1]c", "", Y, "E2211"}, {"conv2d", X " @i8[4,3,1,1]z", "", Y, "E2214"},
          {"conv2d", "i8[N,3,8,8]q @i8[4,3,1,1]l", "", Y, "E2214"}, {"conv2d", X " @i16[4,3,1,1]q", "", Y, "E2213"},
          {"conv2d", "i8[1,3,8,8]c @i8[4,3,1,1]c", "", Y, "E2212"}, {"conv2d", "i32[N,3,8,8]q @i8[4,3,1,1]c", "", Y, "E2213"},
          {"conv2d", X " @i8[4,3,1,1]c @i32[4]q", "", Y, "E2215"}, {"conv2d", X " @i8[4,3,1,1]c @f32[4]", "", Y, "E2215"},
          {"conv2d", X " @i8[4,3,1,1]c @i32[3]", "", Y, "E2113"},
          {"conv2d", "f32[N,3,8,8] @f32[4,3,1,1] @i32[4]", "", NULL, "E2215"},
          {"conv2d", X " @i8[4,3,1,1]c", "clip=(-129,0)", Y, "E2218"}, {"conv2d", X " @i8[4,3,1,1]c", "clip=(0,0.5)", Y, "E2218"},
          {"conv2d", X " @i8[4,3,1,1]c", "clip=(0,128)", Y, "E2218"}, {"matmul", "i8[2,6]q @i8[6,5]c", "", "i8[2,5]q", "E2212"},
          {"matmul", "i8[2,6]q f32[6,5]", "", "i8[2,5]q", "E2210"}, {"add", "i8[2,6]q f32[6]", "", "i8[2,6]q", "E2210"},
          {"add", "i8[2,6]q u8[6]q", "clip=(0,255)", "u8[2,6]q", "u8[2,6] scale=0.5 zero=0"},
          {"add", "i64[2] i64[2]", "", NULL, "E2213"},
          {"batchnorm", "i8[N,2]q @f32[2] @f32[2] @f32[2] @f32[2]", "", "i8[N,2]q", "E2216"});
}

static void products(void **state) {
    (void)state;
    CHECK({"dense", "f32[N,6] @f32[2,6]", "", NULL, "f32[N,2]"}, {"dense", "f32[6] @f32[2,6]", "", NULL, "f32[2]"},
          {"dense", "f32[N,4,5,6] @f32[2,6] @f32[2]", "", NULL, "f32[N,4,5,2]"},
          {"dense", "f32[N,6] @f32[6,2]", "", NULL, "E2114"}, {"dense", "f32[N] @f32[6,2]", "", NULL, "E2106"},
          {"dense", "f32[] @f32[6,2]", "", NULL, "E2104"}, {"dense", "f32[N,6] @f32[2,6,1]", "", NULL, "E2104"},
          {"dense", "f32[N,6] @f32[2,6] @f32[3]", "", NULL, "E2113"}, {"matmul", "f32[N,2,6] f32[N,6,5]", "", NULL, "f32[N,2,5]"},
          {"matmul", "f32[N,2,6] f32[6,5]", "", NULL, "f32[N,2,5]"},
          {"matmul", "f32[2,6] f32[7,1,6,5]", "", NULL, "f32[7,1,2,5]"},
          {"matmul", "f32[3,1,2,6] f32[4,6,5]", "", NULL, "f32[3,4,2,5]"}, {"matmul", "f32[2,6] f32[5,6]", "", NULL, "E2115"},
          {"matmul", "f32[3,2,6] f32[4,6,5]", "", NULL, "E2116"}, {"matmul", "f32[N,2,6] f32[4,6,5]", "", NULL, "E2116"},
          {"matmul", "f32[6] f32[6,5]", "", NULL, "E2104"}, {"matmul", "f32[2,6] f32[N,5]", "", NULL, "E2106"});
}

static void pools(void **state) {
    (void)state;
    CHECK(
        {"max_pool2d", "f32[N,3,7,8]", "kernel=2 stride=2", NULL, "f32[N,3,3,4]"},
        {"max_pool2d", "f32[N,3,7,8]", "kernel=2 stride=2 ceil", NULL, "f32[N,3,4,4]"},
        {"avg_pool2d", "f32[N,3,7,7]", "kernel=3 stride=3 ceil", NULL, "f32[N,3,3,3]"},
        {"avg_pool2d", "f32[1,1,6,6]", "kernel=2 stride=5 pad=(1,1,1,1) ceil", NULL, "f32[1,1,2,2]"},
        {"avg_pool2d", "f32[1,1,4,4]", "kernel=1 stride=4 ceil", NULL, "f32[1,1,1,1]"}, /* a second window would start outside */
        {"avg_pool2d", "f32[1,1,5,4]", "kernel=2 stride=4 ceil", NULL, "f32[1,1,2,1]"},
        {"max_pool2d", "f32[N,3,8,8]", "kernel=3 dilation=3", NULL, "f32[N,3,2,2]"},
        {"max_pool2d", "i8[N,3,8,8]q", "kernel=(3,1) stride=2 pad=(N,0,0,0)", NULL, "i8[N,3,4,4] scale=0.5 zero=0"},
        {"avg_pool2d", "i8[N,3,8,8]q", "kernel=8 profile=tflm", "i8[N,3,1,1]q", "i8[N,3,1,1] scale=0.5 zero=0"},
        {"max_pool2d", "i8[N,3,8,8]q", "kernel=2", "u8[N,3,7,7]q", "E2206"},
        {"max_pool2d", "i8[N,3,8,8]", "kernel=2", NULL, "E2211"}, {"max_pool2d", "f32[N,3,8,8]", "", NULL, "E2006"},
        {"max_pool2d", "f32[N,3,8,8]", "kernel=0", NULL, "E2108"},
        {"max_pool2d", "f32[N,3,8,8]", "kernel=2 pad=(2,0,0,0)", NULL, "E2112"},
        {"avg_pool2d", "f32[N,3,8,8]", "kernel=9", NULL, "E2111"},
        {"avg_pool2d", "f32[N,3,8,8]", "kernel=2 dilation=2", NULL, "E2004"},
        {"max_pool2d", "f32[N,3,8,8]", "kernel=2 count_pad", NULL, "E2004"},
        {"max_pool2d", "f32[N,3,8,8]", "kernel=9223372036854775807", NULL, "E2108"},
        {"max_pool2d", "f32[N,8,8]", "kernel=2", NULL, "E2104"});
}

static void elementwise(void **state) {
    (void)state;
    CHECK({"relu", "f32[N,3]", "", NULL, "f32[N,3]"}, {"relu", "i8[N,3]q", "profile=pot", "u8[N,3]q", "u8[N,3] scale=0.5 zero=0"},
          {"relu", "i8[N,3]q", "", NULL, "E2208"}, {"relu", "f32[N,3]", "profile=q31", NULL, "E2217"},
          {"leaky_relu", "f32[2]", "alpha=inf", NULL, "E2005"}, {"clip", "f32[2]", "clip=(0,6.5)", NULL, "f32[2]"},
          {"clip", "i8[2]q", "clip=(0.25,900)", "i8[2]q", "i8[2] scale=0.5 zero=0"},
          {"add", "f32[N,3,4,5] f32[N,3,4,5]", "", NULL, "f32[N,3,4,5]"},
          {"add", "f32[N,3,4,5] f32[3,1,1]", "", NULL, "f32[N,3,4,5]"}, {"mul", "f32[1,3] f32[N,1]", "", NULL, "f32[N,3]"},
          {"sub", "f32[] f32[7,1,2]", "", NULL, "f32[7,1,2]"}, {"add", "f32[3,1] f32[1,4]", "", NULL, "f32[3,4]"},
          {"add", "f32[N,3] f32[4]", "", NULL, "E2116"}, {"add", "f32[N,3] f32[2,3]", "", NULL, "E2116"},
          {"add", "f32[65536,1] f32[1,65536]", "", NULL, "E2105"}, {"softmax", "f32[N,10]", "", NULL, "f32[N,10]"},
          {"softmax", "f32[N,10]", "axis=-3", NULL, "E2117"}, {"softmax", "f32[N,10]", "axis=2", NULL, "E2117"},
          {"softmax", "f32[N,10]", "axis=0", NULL, "E2119"}, {"softmax", "f32[N,10]", "axis=N", NULL, "E2106"},
          {"softmax", "f32[]", "", NULL, "E2117"},
          {"batchnorm", "f32[N,2,5,5] @f32[2] @f32[2] @f32[2] @f32[2]", "eps=0.5", NULL, "f32[N,2,5,5]"},
          {"batchnorm", "f32[N,2,5,5] @f32[2] @f32[2] @f32[2] @f32[2]", "eps=0", NULL, "E2131"},
          {"batchnorm", "f32[N,2,5,5] @f32[2] @f32[2] @f32[2] @f32[2]", "eps=-1", NULL, "E2005"},
          {"batchnorm", "f32[N,2,5,5] @f32[2] @f32[3] @f32[2] @f32[2]", "", NULL, "E2130"},
          {"batchnorm", "f32[2] @f32[2] @f32[2] @f32[2] @f32[2]", "", NULL, "E2104"},
          {"lut", "i8[N,3]q @i8[256]", "", "i8[N,3]q", "i8[N,3] scale=0.5 zero=0"},
          {"lut", "i8[N,3]q @u8[256]", "", "i8[N,3]q", "E2132"},
          {"lut", "u4[N,3]q @i16[16]", "", "i16[N,3]q", "i16[N,3] scale=0.5 zero=0"},
          {"lut", "i8[N,3]q @i8[255]", "", "i8[N,3]q", "E2132"}, {"lut", "i8[N,3]q i8[256]", "", "i8[N,3]q", "E2307"},
          {"lut", "i16[N,3]q @i8[256]", "", "i8[N,3]q", "E2213"});
}

static void conversions(void **state) {
    (void)state;
    CHECK({"quantize", "f32[N,3]", "divide=rcp order=after", "u8[N,3]q", "u8[N,3] scale=0.5 zero=0"},
          {"quantize", "@f32[4,3]", "", "i4[4,3]z", "i4[4,3] scale[0]=(4 values)"},
          {"quantize", "f32[N,3]", "", "i8[N,3]", "E2208"}, {"quantize", "f32[N,3]", "", NULL, "E2208"},
          {"quantize", "f32[N,3]", "", "i32[N,3]q", "E2213"}, {"quantize", "i8[N,3]q", "", "i8[N,3]q", "E2213"},
          {"quantize", "f32[N,3]", "profile=q31", "i8[N,3]q", "E2004"}, {"dequantize", "i8[N,3]q", "", NULL, "f32[N,3]"},
          {"dequantize", "@i32[4,3]c", "", "f32[4,3]", "f32[4,3]"}, {"dequantize", "i8[N,3]", "", NULL, "E2211"},
          {"dequantize", "f32[N,3]", "", NULL, "E2210"}, {"dequantize", "i8[N,3]q", "", "i8[N,3]q", "E2209"},
          {"requantize", "i8[N,3]q", "clip=(0,5)", "i16[N,3]q", "i16[N,3] scale=0.5 zero=0"},
          {"requantize", "f32[N,3]", "", "i8[N,3]q", "E2210"}, {"requantize", "i8[N,3]q", "", NULL, "E2208"},
          {"observe", "f32[N,3]", "range=(-1,2) to=u8 observer=mse", NULL, "f32[N,3]"},
          {"observe", "i8[N,3]q", "", NULL, "E2216"}, {"observe", "f32[N,3]", "to=f32", NULL, "E2213"},
          {"observe", "f32[N,3]", "to=i64", NULL, "E2213"}, {"observe", "f32[N,3]", "range=(2,1)", NULL, "E2219"},
          {"observe", "f32[N,3]", "range=(0,inf)", NULL, "E2005"});
}

static void axes(void **state) {
    (void)state;
    CHECK({"mean", "f32[N,3,8,8]", "axes=(2,3) keepdims", NULL, "f32[N,3,1,1]"},
          {"mean", "f32[N,3,8,8]", "axes=(-1,1)", NULL, "f32[N,8]"}, {"mean", "f32[3]", "axes=(0)", NULL, "f32[]"},
          {"mean", "f32[N,3]", "", NULL, "E2006"}, {"mean", "f32[N,3]", "axes=(0)", NULL, "E2119"},
          {"mean", "f32[N,3]", "axes=(1,-1)", NULL, "E2118"}, {"mean", "f32[N,3]", "axes=(2)", NULL, "E2117"},
          {"squeeze", "f32[N,3,1,1]", "", NULL, "f32[N,3]"}, {"squeeze", "f32[1,3,1]", "axes=(-1)", NULL, "f32[1,3]"},
          {"squeeze", "f32[1,3,1]", "axes=(1)", NULL, "E2123"}, {"squeeze", "f32[N,3,1]", "axes=(0)", NULL, "E2123"},
          {"squeeze", "i8[N,1]q", "", NULL, "i8[N] scale=0.5 zero=0"},
          {"unsqueeze", "f32[N,3]", "axes=(0,-1)", NULL, "f32[1,N,3,1]"}, {"unsqueeze", "f32[N,3]", "axes=(4)", NULL, "E2117"},
          {"unsqueeze", "f32[N,3]", "", NULL, "E2006"}, {"unsqueeze", "f32[1,1,1,1,1,1,1]", "axes=(0,1)", NULL, "E2107"},
          {"unsqueeze", "f32[N,3]", "axes=(0,0)", NULL, "E2118"}, {"flatten", "f32[N,3,4,5]", "", NULL, "f32[N,60]"},
          {"flatten", "f32[2,3,4,5]", "axis=2", NULL, "f32[6,20]"}, {"flatten", "f32[2,3]", "axis=-1", NULL, "f32[2,3]"},
          {"flatten", "f32[2,3]", "axis=2", NULL, "f32[6,1]"}, {"flatten", "f32[2,3]", "axis=0", NULL, "f32[1,6]"},
          {"flatten", "f32[N,3,4]", "axis=2", NULL, "E2122"}, {"flatten", "f32[N,3,4]", "axis=4", NULL, "E2117"},
          {"flatten", "f32[N,1,4]", "axis=2", NULL, "f32[N,4]"},
          {"transpose", "f32[N,3,4,5]", "perm=(0,2,3,1)", NULL, "f32[N,4,5,3]"},
          {"transpose", "@i8[4,3]c", "perm=(1,0)", NULL, "i8[3,4] scale[1]=(4 values)"},
          {"transpose", "f32[2,3]", "", NULL, "E2124"}, {"transpose", "f32[2,3]", "perm=(0,0)", NULL, "E2124"},
          {"transpose", "f32[2,3]", "perm=(0,2)", NULL, "E2124"}, {"transpose", "f32[2,3]", "perm=(0,-1)", NULL, "E2124"},
          {"transpose", "f32[2,3]", "perm=(0,1,2)", NULL, "E2124"},
          {"concat", "f32[N,3,8] f32[N,5,8] f32[N,1,8]", "axis=-2", NULL, "f32[N,9,8]"},
          {"concat", "f32[3]", "axis=0", NULL, "f32[3]"}, {"concat", "f32[3]", "", NULL, "E2006"},
          {"concat", "f32[N,3] f32[N,3]", "axis=0", NULL, "E2119"}, {"concat", "f32[2,3] f32[N,3]", "axis=0", NULL, "E2129"},
          {"concat", "f32[2,3] f32[2,3,1]", "axis=0", NULL, "E2129"}, {"concat", "f32[2,3] f32[2,4]", "axis=0", NULL, "E2129"},
          {"concat", "f32[2,3] _", "axis=0", NULL, "E2003"}, {"concat", "", "axis=0", NULL, "E2003"},
          {"concat", "i8[2,3]q i8[2,3]q", "axis=0", "i8[4,3]q", "i8[4,3] scale=0.5 zero=0"},
          {"concat", "f32[1073741824] f32[1073741824] f32[1073741824]", "axis=0", NULL, "E2105"});
}

static void moves(void **state) {
    (void)state;
    CHECK({"reshape", "f32[N,3,4]", "shape=(N,12)", NULL, "f32[N,12]"},
          {"reshape", "f32[N,3,4]", "shape=(N,-1)", NULL, "f32[N,12]"},
          {"reshape", "f32[N,3,4]", "shape=(-1,12)", NULL, "f32[N,12]"},
          {"reshape", "f32[N,3,4]", "shape=(-1,2,N,6)", NULL, "E2122"},
          {"reshape", "f32[N,3,4]", "shape=(-1,N,12)", NULL, "f32[1,N,12]"},
          {"reshape", "f32[2,3,4]", "shape=(4,-1)", NULL, "f32[4,6]"}, {"reshape", "f32[2,3,4]", "shape=(24)", NULL, "f32[24]"},
          {"reshape", "f32[1]", "shape=()", NULL, "f32[]"}, {"reshape", "f32[N,3,4]", "shape=(12,N)", NULL, "E2122"},
          {"reshape", "f32[N,3,4]", "shape=(12)", NULL, "E2120"}, {"reshape", "f32[N,3,4]", "shape=(-1,6)", NULL, "E2120"},
          {"reshape", "f32[2,3,4]", "shape=(5,-1)", NULL, "E2120"}, {"reshape", "f32[2,3,4]", "shape=(-1,-1)", NULL, "E2121"},
          {"reshape", "f32[2,3,4]", "shape=(0,24)", NULL, "E2121"}, {"reshape", "f32[2,3,4]", "shape=(-2,-12)", NULL, "E2121"},
          {"reshape", "f32[2,3,4]", "shape=(N,24)", NULL, "E2121"}, {"reshape", "f32[N,3,4]", "shape=(N,N)", NULL, "E2121"},
          {"reshape", "f32[2]", "", NULL, "E2006"}, {"reshape", "f32[2,3,4]", "shape=(4611686018427387904,4,-1)", NULL, "E2120"},
          {"reshape", "@i8[4,3]c", "shape=(12)", NULL, "E2212"}, {"reshape", "i8[N,3]q", "shape=(N,3)", "i8[N,3]l", "E2207"},
          {"reshape", "i64[2,3]", "shape=(6)", NULL, "i64[6]"},
          {"slice", "f32[N,8,9]", "axes=(1,2) begin=(1,-3) end=(7,9) step=(2,1)", NULL, "f32[N,3,3]"},
          {"slice", "f32[10]", "begin=(8) end=(2) step=(-3)", NULL, "f32[2]"},
          {"slice", "f32[10]", "begin=(-1) end=(-11) step=(-1)", NULL, "f32[10]"},
          {"slice", "f32[10]", "begin=(100) end=(-100) step=(-4)", NULL, "f32[3]"},
          {"slice", "f32[10]", "begin=(-100) end=(100) step=(3)", NULL, "f32[4]"},
          {"slice", "f32[10]", "begin=(2) end=(9223372036854775807)", NULL, "f32[8]"},
          {"slice", "f32[10]", "begin=(0) end=(10) step=(9223372036854775807)", NULL, "f32[1]"},
          {"slice", "f32[10]", "begin=(9) end=(-9223372036854775807) step=(-9223372036854775807)", NULL, "f32[1]"},
          {"slice", "f32[10]", "begin=(-1) end=(-10) step=(-1)", NULL, "f32[9]"},
          {"slice", "f32[10]", "begin=(0) end=(-1)", NULL, "f32[9]"}, {"slice", "f32[10]", "begin=(5) end=(5)", NULL, "E2127"},
          {"slice", "f32[10]", "begin=(5) end=(7) step=(-1)", NULL, "E2127"},
          {"slice", "f32[10]", "begin=(0) end=(5) step=(0)", NULL, "E2126"},
          {"slice", "f32[N,10]", "begin=(0) end=(5)", NULL, "E2119"}, {"slice", "f32[10]", "begin=(0) end=(5,6)", NULL, "E2125"},
          {"slice", "f32[10]", "", NULL, "E2125"}, {"slice", "f32[10]", "axes=(1) begin=(0) end=(5)", NULL, "E2117"},
          {"slice", "f32[10,2]", "axes=(0,-2) begin=(0,0) end=(5,5)", NULL, "E2118"},
          {"slice", "f32[10]", "begin=(N) end=(5)", NULL, "E2106"},
          {"pad", "f32[N,3]", "pads=(0,1,0,2) value=-inf", NULL, "f32[N,6]"},
          {"pad", "f32[N,3]", "pads=(1,0,0,0)", NULL, "E2119"}, {"pad", "f32[N,3]", "pads=(0,-1,0,0)", NULL, "E2128"},
          {"pad", "f32[N,3]", "pads=(0,1)", NULL, "E2128"},
          {"pad", "f32[N,3]", "pads=(0,9223372036854775807,0,1)", NULL, "E2128"},
          {"pad", "i8[N,3]q", "pads=(0,1,0,0) value=0.3", NULL, "i8[N,4] scale=0.5 zero=0"},
          {"pad", "i8[N,3]q", "pads=(0,1,0,0) value=inf", NULL, "E2220"}, {"pad", "i64[3]", "pads=(1,0) value=7", NULL, "i64[4]"},
          {"pad", "u8[3]", "pads=(1,0) value=-7", NULL, "E2220"}, {"pad", "f32[3]", "pads=(1,0) value=nan", NULL, "E2005"});
}

static void leaves(void **state) {
    (void)state;
    struct fix f;
    static const struct {
        const char *type, *want;
    } bad[] = {{"f32[3,N]", "E2106"}, {"@f32[N]", "E2106"},           {"f32[N,0]", "E2105"},
               {"f32[-1]", "E2105"},  {"f32[2147483648,2]", "E2105"}, {"f32[9223372036854775807,9223372036854775807]", "E2105"},
               {"f32[2]q", "E2201"},  {"i64[2]q", "E2201"},           {"f32[N,N]", "E2106"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fix_begin(&f);
        if (leaf(&f, "x", bad[i].type)) fail_msg("%s was taken", bad[i].type);
        const char *got = diags(&f);
        if (!strstr(got, bad[i].want)) fail_msg("%s: %s", bad[i].type, got);
        fix_end(&f);
    }
    fix_begin(&f);
    assert_non_null(leaf(&f, "x", "f32[2147483648]"));
    assert_null(oct_build(f.m, OCT_OP_input, "y", NULL, 0, NULL, NULL, no_span));
    assert_non_null(strstr(diags(&f), "[E2101]"));
    fix_end(&f);
}

/* N may stand in any axis of a value between, but images keep it in axis 0. */
static void a_moved_batch_stays_out_of_images(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_attrs at = attrs(&f, "perm=(1,0,2,3)"), pool = attrs(&f, "kernel=2");
    struct oct_node *x = leaf(&f, "x", "f32[N,3,8,8]"), *t = oct_build(f.m, OCT_OP_transpose, "t", &x, 1, &at, NULL, no_span);
    assert_non_null(t);
    assert_null(oct_build(f.m, OCT_OP_max_pool2d, "p", &t, 1, &pool, NULL, no_span));
    assert_non_null(strstr(diags(&f), "axis 1 of 'x' must be a number, not N [E2106]"));
    oct_add_output(f.m, "t", t, no_span);
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "[E2306]"));
    fix_end(&f);
}

static void parameters_compare_by_value(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    const float s[4] = {1, 2, 3, 4}, other[4] = {1, 2, 3, 5};
    const int32_t z[4] = {0, 0, 0, 0}, moved[4] = {0, 0, 1, 0};
    struct oct_arena *a = f.m->arena;
    const struct oct_quant *q = oct_quant_channel(a, 0, 4, s, NULL);
    assert_true(oct_quant_equal(q, oct_quant_channel(a, 0, 4, s, z)));
    assert_true(oct_quant_equal(NULL, NULL));
    assert_false(oct_quant_equal(q, NULL) || oct_quant_equal(NULL, q));
    assert_false(oct_quant_equal(q, oct_quant_channel(a, 1, 4, s, z)));
    assert_false(oct_quant_equal(q, oct_quant_channel(a, 0, 3, s, z)));
    assert_false(oct_quant_equal(q, oct_quant_channel(a, 0, 4, other, z)));
    assert_false(oct_quant_equal(q, oct_quant_channel(a, 0, 4, s, moved)));
    struct oct_quant blocked = *q;
    blocked.block = 2;
    assert_false(oct_quant_equal(q, &blocked));
    fix_end(&f);
}

static void quantization_parameters(void **state) {
    (void)state;
    static const struct {
        float scale;
        int32_t zero;
        const char *want;
    } bad[] = {{0, 0, "E2202"},      {-1, 0, "E2202"},  {INFINITY, 0, "E2202"}, {NAN, 0, "E2202"},
               {1e-40f, 0, "E2202"}, {1, 128, "E2203"}, {1, -129, "E2203"},     {1e-38f, 0, "E2202"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fix f;
        fix_begin(&f);
        struct oct_type t = {
            .dtype = OCT_I8, .rank = 1, .dim = {4}, .q = oct_quant_tensor(oct_own(&f.cx), bad[i].scale, bad[i].zero)};
        assert_null(oct_build_input(f.m, "x", &t, no_span));
        assert_non_null(strstr(diags(&f), bad[i].want));
        t.q = oct_quant_tensor(oct_own(&f.cx), 9e-12f, -128);
        assert_non_null(oct_build_input(f.m, "y", &t, no_span));
        const float scales[3] = {1, 1, 1};
        t.q = oct_quant_channel(oct_own(&f.cx), 0, 3, scales, NULL);
        assert_null(oct_build_input(f.m, "z", &t, no_span));
        assert_non_null(strstr(diags(&f), "E2205"));
        t.q = oct_quant_channel(oct_own(&f.cx), 1, 3, scales, NULL);
        assert_null(oct_build_input(f.m, "z", &t, no_span));
        assert_non_null(strstr(diags(&f), "E2204"));
        fix_end(&f);
    }
}

static void same_padding(void **state) {
    (void)state;
    for (int64_t in = 1; in < 12; in++)
        for (int64_t k = 1; k < 6; k++)
            for (int64_t s = 1; s < 5; s++)
                for (int64_t d = 1; d < 4; d++) {
                    int64_t b[2], a[2];
                    for (int upper = 0; upper < 2; upper++) {
                        oct_same_pad(in, k, s, d, upper, &b[upper], &a[upper]);
                        const int64_t covers = (k - 1) * d + 1, padded = in + b[upper] + a[upper];
                        if (padded >= covers) assert_int_equal((padded - covers) / s + 1, (in + s - 1) / s);
                        assert_true(b[upper] >= 0 && a[upper] >= 0);
                    }
                    assert_int_equal(b[0], a[1]);
                    assert_int_equal(a[0], b[1]);
                    assert_true(a[1] - b[1] == 0 || a[1] - b[1] == 1);
                }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions),
                                       cmocka_unit_test(quantized_products),
                                       cmocka_unit_test(products),
                                       cmocka_unit_test(pools),
                                       cmocka_unit_test(elementwise),
                                       cmocka_unit_test(conversions),
                                       cmocka_unit_test(axes),
                                       cmocka_unit_test(moves),
                                       cmocka_unit_test(leaves),
                                       cmocka_unit_test(a_moved_batch_stays_out_of_images),
                                       cmocka_unit_test(parameters_compare_by_value),
                                       cmocka_unit_test(quantization_parameters),
                                       cmocka_unit_test(same_padding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
