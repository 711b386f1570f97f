/* The ONNX reader against hand-made bytes: what is read, what is refused, and that one run reports everything. PROMISES: P1, P2, P3
 * and the protobuf, tensor and attribute attacks. */
#include "onnx_case.h"

/* ---- protobuf ------------------------------------------------------------------------------------------------------------ */

static void small_model(void) {
    input("x", DIMS(BATCH, 3));
    node("Relu", "x", "y", NULL);
    output("y");
}

static void a_small_model_is_read(void **state) {
    (void)state;
    small_model();
    accept("y : f32[N,3] = relu(x)");
}

static void every_cut_is_refused_cleanly(void **state) {
    (void)state;
    small_model();
    init_fill("w", DIMS(2, 2), 1);
    struct pb m = model_of(17);
    for (size_t n = 0; n < m.n; n++) {
        struct pb cut = {malloc(n + 1), n, n};
        memcpy(cut.p, m.p, n);
        import_bytes(&cut);
        assert_int_equal(oct_exit_code(&cx), 65);
        assert_int_equal(count(said, "error:"), 1);
        done();
    }
    for (size_t i = 0; i < m.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) { /* any answer, but an answer */
            struct pb flip = {malloc(m.n), m.n, m.n};
            memcpy(flip.p, m.p, m.n);
            flip.p[i] ^= (uint8_t)(1u << bit);
            import_bytes(&flip);
            int code = oct_exit_code(&cx);
            assert_true(code == 0 || code == 65 || code == 69);
            done();
        }
    free(m.p);
}

static void numbers_out_of_form_are_refused(void **state) {
    (void)state;
    struct pb m = {0};
    byte(&m, 8); /* ir_version */
    for (int i = 0; i < 10; i++) byte(&m, 0x80);
    byte(&m, 1);
    refuse_bytes(m, 65, "does not fit 64 bits");
    m = (struct pb){0};
    byte(&m, 8);
    for (int i = 0; i < 9; i++) byte(&m, 0xff);
    byte(&m, 2);
    refuse_bytes(m, 65, "does not fit 64 bits");
    m = (struct pb){0};
    byte(&m, 8);
    for (int i = 0; i < 9; i++) byte(&m, 0xff);
    byte(&m, 1); /* -1 in ten bytes is a number */
    refuse_bytes(m, 65, "no ONNX graph");
}

static void groups_and_wrong_types_are_refused(void **state) {
    (void)state;
    for (unsigned wire = 3; wire < 8; wire++) {
        struct pb m = {0};
        if (wire == 5) continue;
        varint(&m, 100 << 3 | wire);
        refuse_bytes(m, 65, "unknown wire type");
    }
    struct pb m = {0};
    varint(&m, 7 << 3), varint(&m, 5); /* graph as a number */
    refuse_bytes(m, 65, "wrong wire type");
    m = (struct pb){0};
    bytes(&m, 1, "\1", 1); /* ir_version packed */
    refuse_bytes(m, 65, "wrong wire type");
    m = (struct pb){0};
    varint(&m, 0); /* field 0 */
    refuse_bytes(m, 65, "impossible number");
    m = (struct pb){0};
    struct pb g = {0};
    msg(&m, 7, &g), msg(&m, 7, &g);
    refuse_bytes(m, 65, "given twice");
    m = (struct pb){0};
    bytes(&m, 6, "a\0b", 3);
    refuse_bytes(m, 65, "zero byte");
    m = (struct pb){0};
    varint(&m, 7 << 3 | 2), varint(&m, UINT64_MAX);
    refuse_bytes(m, 65, "beyond the message");
}

/* Graph within attribute within node, 5,000 times: refused by the scan; 10 times: the operator is named. */
static void nested(int depth, int code, const char *why) {
    struct pb inner = {0};
    for (int i = 0; i < depth; i++) {
        struct pb a = {0}, n = {0}, g = {0};
        str(&a, 1, "then_branch"), msg(&a, 6, &inner), str(&n, 4, "If"), str(&n, 2, "y"), msg(&n, 5, &a), msg(&g, 1, &n);
        inner = g;
    }
    graph = inner;
    output("y");
    refuse(code, why);
}
static void deep_nesting_is_refused_without_recursion(void **state) {
    (void)state;
    nested(5000, 65, "nested too deeply");
    nested(10, 69, "(If)");
}

/* Two bytes of file for each empty message: refused before anything is unpacked. */
static void empty_messages_do_not_grow(void **state) {
    (void)state;
    struct pb n = {0};
    for (int i = 0; i < 1000000; i++) byte(&n, 5 << 3 | 2), byte(&n, 0);
    msg(&graph, 1, &n);
    struct pb m = model_of(17);
    size_t len = m.n;
    import_bytes(&m);
    assert_int_equal(oct_exit_code(&cx), 65);
    assert_non_null(strstr(said, "memory"));
    assert_true(oct_memory_peak(&cx) < ((size_t)64 << 20) + 20 * len);
    done();
}

static void unpacking_stays_below_what_the_scan_foresaw(void **state) {
    (void)state;
    for (int i = 0; i < 3000; i++) node("Relu", "x", "y", NULL); /* all but the first are refused, after unpacking */
    for (int i = 0; i < 3000; i++) INIT_INTS("i", 1, 2, 3);
    struct pb m = model_of(17);
    oct_ctx_init(&cx);
    size_t memory = 0;
    assert_true(oct_onnx_scan(&cx, (struct oct_span){0, 0, 0}, (struct oct_bytes){m.p, m.n}, &memory));
    assert_true(memory > m.n && memory < OCT_ONNX_MEMORY_BASE + OCT_ONNX_MEMORY_PER_BYTE * m.n);
    oct_ctx_free(&cx);
    import_bytes(&m); /* the allocator's cap is that bound: it would fail as malformed */
    assert_null(strstr(said, "malformed"));
    done();
}

static void packed_and_unpacked_numbers_are_the_same(void **state) {
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        input("x", DIMS(BATCH, 4));
        struct pb t = {0}, list = {0};
        num(&t, 1, 3), num(&t, 2, 7), str(&t, 8, "s");
        int64_t shape[] = {0, 2, -1};
        for (int i = 0; i < 3; i++) {
            if (packed) varint(&list, (uint64_t)shape[i]);
            else num(&t, 7, shape[i]);
        }
        if (packed) msg(&t, 7, &list);
        msg(&graph, 5, &t);
        node("Reshape", "x s", "y", NULL);
        output("y");
        accept("y : f32[N,2,2] = reshape(x)");
    }
    struct pb t = {0};
    num(&t, 1, 1), num(&t, 2, 1), str(&t, 8, "w"), bytes(&t, 4, "abcde", 5);
    msg(&graph, 5, &t);
    refuse(65, "do not fill");
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------
 */

static void bad_tensor(int type, int rank, const int64_t *dim, const void *data, size_t n, int code, const char *why) {
    small_model();
    init("w", type, rank, dim, data, n);
    refuse(code, why);
}
static void tensors_that_lie_are_refused(void **state) {
    (void)state;
    static const float f[4];
    bad_tensor(1, DIMS(2), f, 4, 65, "dimensions ask for 8");
    bad_tensor(1, DIMS(2), f, 12, 65, "dimensions ask for 8");
    bad_tensor(1, DIMS(-1), f, 4, 65, "negative");
    bad_tensor(1, DIMS(INT64_MIN), f, 4, 65, "negative");
    bad_tensor(1, DIMS(INT64_C(1) << 31, INT64_C(1) << 31), f, 4, 65, "too many");
    bad_tensor(1, DIMS(INT64_C(1) << 32, INT64_C(1) << 32), f, 0, 65, "too many");
    bad_tensor(1, DIMS(INT64_MAX), f, 16, 65, "too many");
    bad_tensor(1, DIMS(0, INT64_MAX), f, 0, 65, "too many");
    bad_tensor(1, DIMS(65536, 65536), f, 16, 65, "too many");
    bad_tensor(0, DIMS(1), f, 4, 69, "undefined");
    bad_tensor(8, DIMS(1), f, 4, 69, "string");
    bad_tensor(-5, DIMS(1), f, 4, 69, "unknown");
    bad_tensor(99, DIMS(1), f, 4, 69, "unknown");
    bad_tensor(1, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), f, 4, 69, "more than 8");
    small_model();
    struct pb t = tensor("w", 1, DIMS(1), f, 4);
    flt(&t, 4, 1); /* raw_data and float_data */
    msg(&graph, 5, &t);
    refuse(65, "more than one place");
    small_model();
    t = (struct pb){0};
    num(&t, 1, 1), num(&t, 2, 3), str(&t, 8, "w"), num(&t, 5, 300); /* int8 from int32_data */
    msg(&graph, 5, &t);
    refuse(65, "no int8");
}

static void weights_have_to_be_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        input("x", DIMS(BATCH, 1, 4, 4));
        init_fill("w", DIMS(1, 1, 1, 1), bad[i]);
        node("Conv", "x w", "y", NULL);
        output("y");
        refuse(65, "NaN or infinity");
    }
    input("x", DIMS(BATCH, 2, 4, 4));
    init_fill("one", DIMS(2), 1), init_fill("var", DIMS(2), -1);
    node("BatchNormalization", "x one one one var", "y", NULL);
    output("y");
    refuse(65, "not positive");
}

/* The bits of 1.5, -2 and 0.5 in the shorter types; all become f32, told once. */
static void other_floats_become_f32(void **state) {
    (void)state;
    static const uint16_t half[] = {0x3e00, 0xc000, 0x3800}, bf[] = {0x3fc0, 0xc000, 0x3f00};
    static const double dbl[] = {1.5, -2, 0.5};
    for (int k = 0; k < 3; k++) {
        input("x", DIMS(BATCH, 3));
        init("w",
             k == 0   ? 10
             : k == 1 ? 16
                      : 11,
             DIMS(3),
             k == 0   ? (const void *)half
             : k == 1 ? (const void *)bf
                      : dbl,
             k == 2 ? 24 : 6);
        node("Add", "x w", "y", NULL);
        output("y");
        const char *s = accept_opset(17);
        if (!strstr(s, "1.5") || !strstr(s, "-2.0") || !strstr(s, "0.5")) fail_msg("%s", s);
        assert_int_equal(count(said, "become f32"), 1);
        done();
    }
}

static void doubles_have_to_fit(void **state) {
    (void)state;
    small_model();
    static const double big = 1e300, inf = INFINITY;
    init("w", 11, DIMS(1), &big, 8);
    refuse(65, "exceeds the range of f32");
    small_model();
    init("w", 11, DIMS(1), &inf, 8);
    accept("relu");
}

/* ---- graphs
 * --------------------------------------------------------------------------------------------------------------------- */

static void graphs_that_do_not_hold_together_are_refused(void **state) {
    (void)state;
    input("x", DIMS(1, 3)), node("Relu", "nothing", "y", NULL), output("y");
    refuse(65, "nothing defines its input 'nothing'");
    input("x", DIMS(1, 3)), node("Add", "x b", "a", NULL), node("Relu", "a", "b", NULL), output("b");
    refuse(65, "cyclic or not sorted");
    input("x", DIMS(1, 3)), node("Relu", "x", "y", NULL), node("Relu", "x", "y", NULL), output("y");
    refuse(65, "defined twice");
    input("x", DIMS(1, 3)), node("Relu", "x", "x", NULL), output("x");
    refuse(65, "defined twice");
    input("x", DIMS(1, 3)), input("x", DIMS(1, 3)), node("Relu", "x", "y", NULL), output("y");
    refuse(65, "declared twice");
    small_model(), init_fill("w", DIMS(1), 1), init_fill("w", DIMS(1), 1);
    refuse(65, "two initializers");
    input("x", DIMS(1, 3)), output("y");
    refuse(65, "nothing defines the output");
    input("x", DIMS(1, 3)), node("Relu", "x", "y", NULL);
    refuse(65, "no outputs");
    small_model(), output("y");
    refuse(65, "named twice");
    input("x", DIMS(1, 0)), node("Relu", "x", "y", NULL), output("y");
    refuse(69, "dimension 1 is 0");
    input("x", DIMS(1, -1)), node("Relu", "x", "y", NULL), output("y");
    refuse(65, "dimension 1 is -1");
    input("x", DIMS(INT64_C(1) << 40)), node("Relu", "x", "y", NULL), output("y");
    refuse(65, "dimension 0 is");
    input("x", DIMS(1 << 20, 1 << 20)), node("Relu", "x", "y", NULL), output("y");
    refuse(65, "too many elements");
    input("x", DIMS(3, BATCH)), node("Relu", "x", "y", NULL), output("y");
    refuse(69, "dimension 1 ('batch') is not fixed");
    node("Relu", "", "y", NULL), output("y");
    refuse(65, "0 inputs");
}

static void other_versions_are_named(void **state) {
    (void)state;
    static const int64_t bad[] = {0, 1, 5, 23, INT64_MAX, -1};
    for (int i = 0; i < 6; i++) {
        small_model();
        refuse_bytes(model_of(bad[i]), 69, "octavo reads 6 to 22");
    }
    for (int64_t v = 6; v <= 22; v++) {
        small_model();
        accept_opset(v);
        done();
    }
    struct pb m = {0};
    small_model();
    msg(&m, 7, &graph);
    refuse_bytes(m, 65, "no operator set");
}

/* One run lists all of them, with what hangs on each left out. */
static void everything_unsupported_is_listed(void **state) {
    (void)state;
    input("x", DIMS(BATCH, 3));
    node("Foo", "x", "a", NULL);
    node("Relu", "a", "b", NULL); /* nothing to say: its input is lost */
    struct pb attrs = {0};
    attr_int(&attrs, "strange", 1);
    node("Relu", "b", "c", &attrs); /* but this can be seen */
    node("Sigmod", "x", "d", NULL);
    attr_str(&attrs, "mode", "reflect");
    INIT_INTS("pads", 0, 1, 0, 1);
    node("Pad", "x pads", "e", &attrs);
    output("c"), output("d"), output("e");
    struct pb m = model_of(17);
    import_bytes(&m);
    assert_int_equal(oct_exit_code(&cx), 69);
    assert_int_equal(count(said, "error:"), 4);
    assert_non_null(strstr(said, "(Foo)"));
    assert_non_null(strstr(said, "'strange'"));
    assert_non_null(strstr(said, "did you mean Sigmoid?"));
    assert_non_null(strstr(said, "'reflect'"));
    done();
}

static void hostile_names_become_identifiers(void **state) {
    (void)state;
    char *huge = malloc(1000001);
    memset(huge, 'n', 1000000), huge[1000000] = 0;
    input("x", DIMS(BATCH, 3));
    struct pb n = {0};
    str(&n, 1, "x"), str(&n, 2, "*/ \"\n%s\\ ?\?/"), str(&n, 4, "Relu"), msg(&graph, 1, &n);
    n = (struct pb){0};
    str(&n, 1, "*/ \"\n%s\\ ?\?/"), str(&n, 2, "__ _ _s_ ___"), str(&n, 4, "Relu"), msg(&graph, 1, &n);
    n = (struct pb){0};
    str(&n, 1, "__ _ _s_ ___"), str(&n, 2, huge), str(&n, 4, "Relu"), msg(&graph, 1, &n);
    output(huge);
    const char *s = accept_opset(17);
    assert_true(strlen(s) < 4096);
    assert_null(strstr(s, "*/ \"\n"));
    assert_non_null(strstr(s, "from=\"*/ \\\"\\n%s\\\\ ?\?/\""));
    done();
    free(huge);
}

/* ---- attributes
 * ---------------------------------------------------------------------------------------------------------------------- */

static void conv(void (*set)(struct pb *), int code, const char *text) {
    struct pb attrs = {0};
    input("x", DIMS(BATCH, 4, 8, 8));
    init_fill("w", DIMS(4, 4, 3, 3), 1);
    if (set) set(&attrs);
    node("Conv", "x w", "y", &attrs);
    output("y");
    if (code) refuse(code, text);
    else accept(text);
}
static void stride_0(struct pb *a) { INTS(a, "strides", 0, 1); }
static void stride_huge(struct pb *a) { INTS(a, "strides", INT64_MAX, 1); }
static void stride_1(struct pb *a) { INTS(a, "strides", 1); }
static void dilation_huge(struct pb *a) { INTS(a, "dilations", INT32_MAX, INT32_MAX); }
static void dilation_huger(struct pb *a) { INTS(a, "dilations", INT64_C(1) << 40, 1); }
static void pads_negative(struct pb *a) { INTS(a, "pads", -1, 0, 0, 0); }
static void pads_many(struct pb *a) { INTS(a, "pads", 1, 1, 1, 1, 1, 1, 1, 1, 1); }
static void group_3(struct pb *a) { attr_int(a, "group", 3); }
static void group_0(struct pb *a) { attr_int(a, "group", 0); }
static void group_neg(struct pb *a) { attr_int(a, "group", INT64_MIN); }
static void twice(struct pb *a) { attr_int(a, "group", 1), attr_int(a, "group", 1); }
static void wrong_type(struct pb *a) { attr_float(a, "group", 1); }
static void kernel_5(struct pb *a) { INTS(a, "kernel_shape", 5, 5); }
static void auto_bad(struct pb *a) { attr_str(a, "auto_pad", "SAME"); }
static void lopsided(struct pb *a) { INTS(a, "pads", 0, 1, 2, 3); }
static void same_upper(struct pb *a) { attr_str(a, "auto_pad", "SAME_UPPER"), INTS(a, "strides", 2, 2); }
static void same_lower(struct pb *a) { attr_str(a, "auto_pad", "SAME_LOWER"), INTS(a, "strides", 2, 2); }
static void attributes_out_of_range_are_refused(void **state) {
    (void)state;
    conv(stride_0, 65, "'strides' is 0");
    conv(stride_huge, 65, "'strides' is 9223372036854775807");
    conv(stride_1, 65, "1 elements instead of 2");
    conv(dilation_huge, 65, "larger than the padded input");
    conv(dilation_huger, 65, "'dilations' is");
    conv(pads_negative, 65, "'pads' is -1");
    conv(pads_many, 65, "9 elements");
    conv(group_3, 65, "groups=3 must divide");
    conv(group_0, 65, "groups=0");
    conv(group_neg, 65, "groups");
    conv(twice, 65, "given twice");
    conv(wrong_type, 65, "wrong type");
    conv(kernel_5, 65, "kernel_shape");
    conv(auto_bad, 65, "auto_pad is 'SAME'");
    conv(lopsided, 0, "y : f32[N,4,8,10] = conv2d(x, @w) pad=(0,1,2,3)");
    conv(same_upper, 0, "pad=(0,0,1,1) stride=2");
    conv(same_lower, 0, "pad=(1,1,0,0) stride=2");
}

static void axes_and_windows_out_of_range_are_refused(void **state) {
    (void)state;
    struct pb a = {0};
    input("x", DIMS(BATCH, 3)), attr_int(&a, "axis", 2), node("Softmax", "x", "y", &a), output("y");
    refuse(65, "axis 2 is out of range");
    input("x", DIMS(BATCH, 3)), attr_int(&a, "axis", INT64_MIN), node("Flatten", "x", "y", &a), output("y");
    refuse(65, "out of range");
    input("x", DIMS(BATCH, 3)), attr_int(&a, "axis", 0), node("Softmax", "x", "y", &a), output("y");
    refuse(69, "over the batch");
    input("x", DIMS(BATCH, 3, 4)), INTS(&a, "perm", 0, 1, 1), node("Transpose", "x", "y", &a), output("y");
    refuse(65, "perm");
    input("x", DIMS(BATCH, 1, 8, 8)), INTS(&a, "kernel_shape", 2, 2), INTS(&a, "pads", 2, 2, 2, 2), node("MaxPool", "x", "y", &a),
        output("y");
    refuse(65, "without any input");
    input("x", DIMS(BATCH, 1, 8, 8)), INTS(&a, "kernel_shape", 0, 2), node("MaxPool", "x", "y", &a), output("y");
    refuse(65, "kernel_shape is 0");
    input("x", DIMS(BATCH, 1, 8, 8)), node("MaxPool", "x", "y", NULL), output("y");
    refuse(65, "kernel_shape");
    input("x", DIMS(BATCH, 3)), INIT_INTS("p", 0, -1, 0, 0), node("Pad", "x p", "y", NULL), output("y");
    refuse(69, "negative");
    input("x", DIMS(BATCH, 3)), INIT_INTS("s", 0), INIT_INTS("e", 1), INIT_INTS("ax", 1), INIT_INTS("st", 0);
    node("Slice", "x s e ax st", "y", NULL), output("y");
    refuse(65, "step 0");
}

/* ---- folding
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static void constant_ints(const char *name, int n, const int64_t *v) {
    struct pb t = tensor("", 7, 1, (int64_t[]){n}, v, (size_t)n * 8), a = {0}, attrs = {0};
    str(&a, 1, "value"), msg(&a, 5, &t), num(&a, 20, 4), msg(&attrs, 5, &a);
    node("Constant", "", name, &attrs);
}

/* x.view(x.size(0), -1) and friends: the batch passes through Shape, Gather, Unsqueeze, Concat. */
static void the_batch_passes_through_shapes(void **state) {
    (void)state;
    input("x", DIMS(BATCH, 4, 2, 2));
    node("Shape", "x", "s", NULL);
    INIT_INTS("zero", 0), INIT_INTS("rest", -1);
    node("Gather", "s zero", "g", NULL);
    struct pb a = {0};
    attr_int(&a, "axis", 0), node("Concat", "g rest", "t", &a);
    node("Reshape", "x t", "y", NULL), output("y");
    accept("y : f32[N,16] = reshape(x)");

    input("x", DIMS(BATCH, 4, 2, 2)); /* computing with it cannot be done */
    node("Shape", "x", "s", NULL), INIT_INTS("two", 2), node("Mul", "s two", "t", NULL), node("Reshape", "x t", "y", NULL),
        output("y");
    refuse(69, "size of the batch");
    input("x", DIMS(BATCH, 4)), INIT_INTS("t", 2, 2), node("Reshape", "x t", "y", NULL), output("y");
    refuse(69, "fixes all sizes");
    input("x", DIMS(2, 4)), INIT_INTS("t", INT64_MIN, 2), node("Reshape", "x t", "y", NULL), output("y");
    refuse(65, "target dimension 0");
}

/* Pads as an exporter computes them: reshaped, reversed, transposed. */
static void shape_arithmetic_folds(void **state) {
    (void)state;
    input("x", DIMS(BATCH, 4, 6, 6));
    constant_ints("p", 8, (int64_t[]){0, 0, 1, 2, 3, 0, 0, 0}); /* torch order: last axis first, (before, after) pairs */
    constant_ints("pairs", 2, (int64_t[]){-1, 2}), constant_ints("first", 1, (int64_t[]){-1}),
        constant_ints("last", 1, (int64_t[]){INT64_MIN + 1});
    constant_ints("zero", 1, (int64_t[]){0}), constant_ints("back", 1, (int64_t[]){-1});
    node("Reshape", "p pairs", "a", NULL);
    node("Slice", "a first last zero back", "b", NULL);
    node("Transpose", "b", "c", NULL);
    node("Reshape", "c back", "d", NULL);
    node("Pad", "x d", "y", NULL), output("y");
    accept("pads=(0,3,1,0,0,0,2,0)"); /* channels 3 before, height 1 and 2 */
}

static void folding_is_checked_and_bounded(void **state) {
    (void)state;
    small_model(), constant_ints("big", 3, (int64_t[]){1 << 15, 1 << 15, 1}), node("ConstantOfShape", "big", "z", NULL);
    refuse(65, "too much memory");
    small_model(), constant_ints("neg", 1, (int64_t[]){-1}), node("ConstantOfShape", "neg", "z", NULL);
    refuse(65, "dimension 0 is -1");
    small_model(), constant_ints("a", 1, (int64_t[]){1}), constant_ints("b", 1, (int64_t[]){0}), node("Div", "a b", "z", NULL);
    refuse(65, "by 0");
    small_model(), constant_ints("a", 1, (int64_t[]){INT64_MIN}), constant_ints("b", 1, (int64_t[]){-1}),
        node("Div", "a b", "z", NULL);
    accept("relu"); /* wraps, does not trap */
    small_model(), constant_ints("a", 2, (int64_t[]){1, 2}), constant_ints("i", 1, (int64_t[]){2}),
        node("Gather", "a i", "z", NULL);
    refuse(65, "index 2 is out of range");
    small_model(), constant_ints("s", 1, (int64_t[]){0}), constant_ints("e", 1, (int64_t[]){INT64_MAX}),
        constant_ints("d", 1, (int64_t[]){1}), node("Range", "s e d", "z", NULL);
    refuse(65, "too much memory");
    small_model(), constant_ints("s", 1, (int64_t[]){0}), node("Range", "s s s", "z", NULL);
    refuse(65, "no end");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_model_is_read),
        cmocka_unit_test(every_cut_is_refused_cleanly),
        cmocka_unit_test(numbers_out_of_form_are_refused),
        cmocka_unit_test(groups_and_wrong_types_are_refused),
        cmocka_unit_test(deep_nesting_is_refused_without_recursion),
        cmocka_unit_test(empty_messages_do_not_grow),
        cmocka_unit_test(unpacking_stays_below_what_the_scan_foresaw),
        cmocka_unit_test(packed_and_unpacked_numbers_are_the_same),
        cmocka_unit_test(tensors_that_lie_are_refused),
        cmocka_unit_test(weights_have_to_be_finite),
        cmocka_unit_test(other_floats_become_f32),
        cmocka_unit_test(doubles_have_to_fit),
        cmocka_unit_test(graphs_that_do_not_hold_together_are_refused),
        cmocka_unit_test(other_versions_are_named),
        cmocka_unit_test(everything_unsupported_is_listed),
        cmocka_unit_test(hostile_names_become_identifiers),
        cmocka_unit_test(attributes_out_of_range_are_refused),
        cmocka_unit_test(axes_and_windows_out_of_range_are_refused),
        cmocka_unit_test(the_batch_passes_through_shapes),
        cmocka_unit_test(shape_arithmetic_folds),
        cmocka_unit_test(folding_is_checked_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
