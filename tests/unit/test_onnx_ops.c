/* The ONNX reader and operators that are made of several ops: what they become, and what is refused, and with which words. Their
 * values are compared with ONNX's own by tests/e2e/onnx_cases.py. */
#include "onnx_case.h"

static void image(void) { input("x", DIMS(BATCH, 4, 6, 6)); }

/* One node over the image, and what is said of it. */
static void one(const char *op, const char *in, struct pb *attrs, int code, const char *text) {
    node(op, in, "y", attrs), output("y");
    if (code) refuse(code, text);
    else accept(text);
}

static void functions_become_ops(void **state) {
    (void)state;
    static const float two = 2;
    struct pb a = {0};
    image(), one("Neg", "x", NULL, 0, "y : f32[N,4,6,6] = mul(x, @y.k)");
    image(), attr_float(&a, "alpha", 0.5f), one("Celu", "x", &a, 0, "y.elu : f32[N,4,6,6] = elu(y.mul) alpha=1.0");
    image(), init("k", 1, 0, NULL, &two, 4), one("Pow", "x k", NULL, 0, "y : f32[N,4,6,6] = mul(x, x)");
    image(), init("k", 1, 0, NULL, &two, 4), one("PRelu", "x k", NULL, 0, "leaky_relu(x) alpha=2.0");
    image(), init("k", 1, 0, NULL, &two, 4), one("Greater", "x k", NULL, 0, "y : f32[N,4,6,6] = less(@k, x)");
    image(), one("Max", "x", NULL, 0, "output y = x");
    image(), one("Pow", "x x", NULL, 69, "its exponent is computed at run time");
    image(), attr_float(&a, "alpha", NAN), one("Elu", "x", &a, 65, "alpha is nan");
    image(), attr_float(&a, "alpha", 0), one("Celu", "x", &a, 65, "alpha is 0");
    image(), attr_str(&a, "approximate", "maybe"), one("Gelu", "x", &a, 65, "approximate is 'maybe'");
}

static void reductions_keep_to_the_sample(void **state) {
    (void)state;
    struct pb a = {0};
    image(), INTS(&a, "axes", 1, 3), one("ReduceMax", "x", &a, 0, "max_pool2d(y.rows) kernel=(1,24)");
    image(), INTS(&a, "axes", 0), one("ReduceMax", "x", &a, 69, "it goes over the batch");
    image(), one("ReduceL2", "x", NULL, 69, "it goes over the batch");
    image(), INTS(&a, "axes", 4), one("ReduceMin", "x", &a, 65, "axis 4 is out of range");
    image(), INTS(&a, "axes", 1, -3), one("ReduceProd", "x", &a, 65, "axis 1 is named twice");
    image(), attr_int(&a, "axis", 0), one("LogSoftmax", "x", &a, 69, "it goes over the batch");
    image(), init_fill("s", DIMS(4), 1), attr_int(&a, "axis", 0),
        one("LayerNormalization", "x s", &a, 69, "it goes over the batch");
    image(), attr_int(&a, "size", 5), one("LRN", "x", &a, 69, "its window is larger than the image");
    image(), attr_int(&a, "size", -1), one("LRN", "x", &a, 65, "size is -1");
}

static void pixels_are_moved_or_mixed(void **state) {
    (void)state;
    struct pb a = {0};
    const float twice[4] = {1, 1, 2, 2}, batch[4] = {2, 1, 1, 1}, huge[4] = {1, 1, 1e9f, 1e9f}, nothing[4] = {1, 1, 0, NAN};
    image(), init("k", 1, DIMS(4), twice, 16), one("Resize", "x - k", NULL, 0, "y : f32[N,4,12,12] = reshape(");
    image(), init("k", 1, DIMS(4), twice, 16), attr_str(&a, "mode", "linear"), one("Resize", "x - k", &a, 0, " = dense(");
    image(), init("k", 1, DIMS(4), batch, 16), one("Resize", "x - k", NULL, 69, "it resizes the batch");
    image(), init("k", 1, DIMS(4), huge, 16), one("Resize", "x - k", NULL, 65, "axis 2 gets");
    image(), init("k", 1, DIMS(4), nothing, 16), one("Resize", "x - k", NULL, 65, "axis 2 gets 0 elements");
    image(), init("k", 1, DIMS(2), twice, 8), one("Resize", "x - k", NULL, 65, "its scales are not one for each of 4 axes");
    image(), INIT_INTS("k", 1, 1, 2, 2), one("Resize", "x - k", NULL, 65, "its scales are not one");
    image(), one("Resize", "x", NULL, 65, "it has neither scales nor sizes");
    image(), init("k", 1, DIMS(4), twice, 16), attr_str(&a, "mode", "best"), one("Resize", "x - k", &a, 65, "mode is 'best'");
    image(), attr_int(&a, "blocksize", 2), one("DepthToSpace", "x", &a, 0, "y : f32[N,1,12,12] = reshape(y.turned)");
    image(), attr_int(&a, "blocksize", 4), one("SpaceToDepth", "x", &a, 65, "6x6 pixels do not make blocks of 4");
    image(), attr_int(&a, "blocksize", INT32_MAX),
        one("DepthToSpace", "x", &a, 65, "4 channels do not make blocks of 2147483647");
    image(), attr_int(&a, "blocksize", 0), one("SpaceToDepth", "x", &a, 65, "blocksize is 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions_become_ops), cmocka_unit_test(reductions_keep_to_the_sample),
                                       cmocka_unit_test(pixels_are_moved_or_mixed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
