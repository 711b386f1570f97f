/* The printer: every statement form, constants inline, in the file and by hash, parameters short and long. */
#include "build.h"

static const char *print(struct fix *f, const struct oct_weights_ref *w) {
    struct oct_text t;
    oct_text_init(&t, oct_own(&f->cx));
    oct_print(&t, f->m, w);
    return t.s;
}

static void statements(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    f.m->doc = "a \"test\"\n";
    f.m->after = "fold_bn.2";
    f.m->option[OCT_OPT_io] = 1;
    f.m->option_set = 1u << OCT_OPT_io;
    struct oct_rule rules[] = {
        {.kind = OCT_RULE_ANY, .set = 1u << OCT_Q_act | 1u << OCT_Q_granularity},
        {.kind = OCT_RULE_OP, .op = OCT_OP_softmax, .set = 1u << OCT_Q_act, .q = {.act = 3}},
        {.kind = OCT_RULE_NAME, .pattern = "c*\"", .set = 1u << OCT_Q_weight_observer, .q = {.weight_observer = 1}}};
    f.m->rule = rules;
    f.m->nrules = 3;
    struct oct_node *x = leaf(&f, "image", "f32[N,3,4,4]"), *w = leaf(&f, "c1.w", "@f32[16,3,3,3]");
    OCT_SET(x->at, doc, "pixels");
    struct oct_attrs at = attrs(&f, "pad=(N,0,0,0) stride=2 clip=(0,inf) from=Conv_12");
    struct oct_node *y = oct_build(f.m, OCT_OP_conv2d, "c1", (struct oct_node *[]){x, w, NULL}, 3, &at, NULL, no_span);
    at = attrs(&f, "stride=(1,2) kernel=2 ceil");
    y = oct_build(f.m, OCT_OP_max_pool2d, "p", &y, 1, &at, NULL, no_span);
    at = attrs(&f, "shape=(N,-1)");
    y = oct_build(f.m, OCT_OP_reshape, NULL, &y, 1, &at, NULL, no_span);
    oct_add_output(f.m, "reshape", y, no_span);
    oct_add_output(f.m, "probs", y, no_span);
    assert_true(oct_verify(f.m));
    assert_string_equal(print(&f, &(struct oct_weights_ref){.file = "t.safetensors", .xxh3 = "9c1e0123456789ab"}),
                        "octavo 1\nmodel test \"a \\\"test\\\"\\n\" after=fold_bn.2\noption io=float\nrule any act=i8 "
                        "granularity=channel\nrule op=softmax act=float\n"
                        "rule name=\"c*\\\"\" weight_observer=mse\nweights \"t.safetensors\" xxh3=9c1e0123456789ab\n\n"
                        "input image : f32[N,3,4,4] doc=\"pixels\"\n"
                        "c1 : f32[N,16,2,2] = conv2d(image, @c1.w, _) pad=(0,0,1,1) stride=2 clip=(0.0,inf) from=\"Conv_12\"\n"
                        "p : f32[N,16,1,1] = max_pool2d(c1) stride=(1,2) kernel=2 ceil\n"
                        "reshape : f32[N,16] = reshape(p) shape=(N,16)\n\noutput reshape\noutput probs = reshape\n");
    fix_end(&f);
}

static struct oct_node *constant(struct fix *f, const char *name, enum oct_dtype t, int64_t n, const void *data,
                                 const struct oct_quant *q) {
    const struct oct_type type = {.dtype = t, .rank = 1, .dim = {n}, .q = q};
    return oct_build_const_copy(f->m, name, &type, data, no_span);
}

static int stored_count;
static char stored_keys[400];
static void see(void *user, const struct oct_stored *t) {
    (void)user;
    stored_count++;
    snprintf(stored_keys + strlen(stored_keys), sizeof stored_keys - strlen(stored_keys), "%s:%s[%d] ", t->key,
             oct_dtype_name(t->dtype), (int)t->dim[0]);
}

static void constants(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    int8_t bytes[16] = {-128, 0, 127};
    float floats[16] = {0.1f, -INFINITY, 3};
    int32_t zeros[16] = {1};
    for (int i = 3; i < 16; i++) floats[i] = 1;
    floats[1] = 1e-9f;
    const struct oct_quant *many = oct_quant_channel(f.m->arena, 0, 16, floats, NULL),
                           *zeroed = oct_quant_channel(f.m->arena, 0, 16, floats, zeros);
    struct oct_node *k[9];
    floats[1] = -INFINITY;
    k[0] = constant(&f, "inline", OCT_F32, 3, floats, NULL);
    k[1] = constant(&f, "codes", OCT_I8, 3, bytes, oct_quant_tensor(f.m->arena, 0.25f, -3));
    k[2] = constant(&f, "bias", OCT_I32, 3, zeros, NULL);
    k[3] = constant(&f, "big", OCT_I8, 16, bytes, NULL);
    k[4] = constant(&f, "chan", OCT_I8, 16, bytes, many);
    k[5] = constant(&f, "chanz", OCT_I8, 16, bytes, zeroed);
    k[6] = constant(&f, "nibbles", OCT_I4, 16, (const int8_t[16]){7}, NULL);
    floats[0] = NAN;
    k[7] = constant(&f, "nans", OCT_F32, 1, floats, NULL);
    const struct oct_type t = {.dtype = OCT_F32, .rank = 2, .dim = {100, 100}};
    const struct oct_attrs at = attrs(&f, "seed=7 within=(-0.5,0.5) from=w");
    k[8] = oct_build(f.m, OCT_OP_const, "rnd", NULL, 0, &at, &t, no_span);
    assert_true(oct_const_in_file(k[3]) && oct_const_in_file(k[7]) && !oct_const_in_file(k[0]) && !oct_const_in_file(k[8]));
    for (int i = 0; i < 9; i++) oct_add_output(f.m, oct_sprintf(f.m->arena, "o%d", i), k[i], no_span);
    assert_true(oct_verify(f.m));
#define OUTPUTS                                                                                                                  \
    "\noutput o0 = @inline\noutput o1 = @codes\noutput o2 = @bias\noutput o3 = @big\noutput o4 = @chan\noutput o5 = "            \
    "@chanz\noutput o6 = @nibbles\noutput o7 = @nans\noutput o8 = @rnd\n"
    assert_string_equal(
        print(&f, NULL),
        "octavo 1\nmodel test\n\nconst @inline : f32[3] = (0.1, -inf, 3.0)\nconst @codes : i8[3] scale=0.25 zero=-3 = (-128, 0, "
        "127)\n"
        "const @bias : i32[3] = (1, 0, 0)\nconst @chan : i8[16] scale[0]=file\nconst @chanz : i8[16] scale[0]=file zero[0]=file\n"
        "const @nibbles : i4[16]\nconst @rnd : f32[100,100] = random seed=7 within=(-0.5,0.5) from=\"w\"\n" OUTPUTS);
    const struct oct_weights_ref by_hash = {.by_hash = true, .file = "store.safetensors"};
    const char *hashed = print(&f, &by_hash);
    char scale[17], zero[17], data[17];
    oct_tensor_hash(OCT_F32, 1, &(int64_t){16}, zeroed->scale, scale);
    oct_tensor_hash(OCT_I32, 1, &(int64_t){16}, zeroed->zero, zero);
    oct_const_hash(k[5], data);
    assert_non_null(
        strstr(hashed, oct_sprintf(f.m->arena, "const @chanz : i8[16] scale[0]=#%s zero[0]=#%s = #%s\n", scale, zero, data)));
    assert_non_null(strstr(hashed, "const @big : i8[16] = #"));
    oct_each_stored(f.m, NULL, see, NULL);
    assert_string_equal(stored_keys, "big:i8[16] chan:i8[16] chan:scale:f32[16] chanz:i8[16] chanz:scale:f32[16] "
                                     "chanz:zero:i32[16] nibbles:i4[16] nans:f32[1] ");
    stored_keys[0] = 0;
    oct_each_stored(f.m, &by_hash, see, NULL);
    assert_non_null(strstr(stored_keys, zero));
    fix_end(&f);
}

static void types(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    static const struct {
        const char *in, *out;
    } cases[] = {{"f32[]", "f32[]"},
                 {"i8[N,3]q", "i8[N,3] scale=0.5 zero=0"},
                 {"i8[2,3]z", "i8[2,3] scale[0]=(0.5,0.5) zero[0]=(1,1)"},
                 {"i32[2]c", "i32[2] scale[0]=(0.5,0.5)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *s = cases[i].in;
        const struct oct_type t = parse_type(&f, &s);
        struct oct_text out;
        oct_text_init(&out, f.m->arena);
        oct_type_print(&out, &t);
        assert_string_equal(out.s, cases[i].out);
    }
    const float one = 1;
    struct oct_type t = {.dtype = OCT_I32, .rank = 1, .dim = {2}, .q = oct_quant_channel(f.m->arena, -1, 1, &one, NULL)};
    struct oct_text out;
    oct_text_init(&out, f.m->arena);
    oct_type_print(&out, &t);
    assert_string_equal(out.s, "i32[2] scale=1.0");
    struct oct_type u = t;
    u.q = oct_quant_tensor(f.m->arena, 1, 0);
    assert_true(oct_type_equal(&t, &u)); /* no zero points are zero points of 0 */
    u.q = oct_quant_tensor(f.m->arena, 1, 1);
    assert_false(oct_type_equal(&t, &u));
    static const int64_t limits[OCT_DTYPE_COUNT][2] = {[OCT_I4] = {-8, 7},
                                                       [OCT_U4] = {0, 15},
                                                       [OCT_I8] = {-128, 127},
                                                       [OCT_U8] = {0, 255},
                                                       [OCT_I16] = {-32768, 32767},
                                                       [OCT_U16] = {0, 65535},
                                                       [OCT_I32] = {INT32_MIN, INT32_MAX},
                                                       [OCT_I64] = {INT64_MIN, INT64_MAX}};
    for (unsigned d = OCT_I4; d < OCT_DTYPE_COUNT; d++) {
        enum oct_dtype back;
        assert_true(oct_dtype_min(d) == limits[d][0] && oct_dtype_max(d) == limits[d][1]);
        assert_true(oct_dtype_parse(oct_dtype_name(d), &back) && back == d);
    }
    fix_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(statements), cmocka_unit_test(constants), cmocka_unit_test(types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
