/* The language: what is read and how it prints, weights files, random constants, what docs/language.md promises. Refusals with
 * their messages are golden tests (tests/golden/language); hostile texts are test_language_hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parse_helper.h"

static void prints_as(const char *text, const char *printed) {
    struct parse_test t;
    parse_begin(&t);
    assert_string_equal(parse_print(&t, parse_model(&t, text), NULL), printed);
    parse_end(&t);
}

static void a_model_reads_and_prints(void **state) {
    (void)state;
    prints_as("octavo 1\n"
              "model net \"two layers\"  # comment\n"
              "option io=float\n"
              "rule any act=i8 granularity=channel\n"
              "rule op=softmax act=float\n"
              "rule name=\"c*\" weight_observer=mse\n"
              "\n"
              "input image : f32[N,3,8,8]\n"
              "const @w : f32[4,3,3,3] = random seed=7 within=(-0.5,0.5)\n"
              "const @b : f32[4] = (0.1, -2, 3e-9, 4)\n"
              "c1 = conv2d(image, @w, @b) pad=same stride=2 doc=\"a \\\"quote\\\"\"\n"
              "p = mean(relu(c1)) axes=(2,-1)\n"
              "y = softmax(p) axis=-1\n"
              "output probs = y\n",
              "octavo 1\n"
              "model net \"two layers\"\n"
              "option io=float\n"
              "rule any act=i8 granularity=channel\n"
              "rule op=softmax act=float\n"
              "rule name=\"c*\" weight_observer=mse\n"
              "\n"
              "input image : f32[N,3,8,8]\n"
              "const @w : f32[4,3,3,3] = random seed=7 within=(-0.5,0.5)\n"
              "const @b : f32[4] = (0.1, -2.0, 3e-09, 4.0)\n"
              "c1 : f32[N,4,4,4] = conv2d(image, @w, @b) pad=(0,0,1,1) stride=2 doc=\"a \\\"quote\\\"\"\n"
              "relu : f32[N,4,4,4] = relu(c1)\n"
              "p : f32[N,4] = mean(relu) axes=(2,3)\n"
              "y : f32[N,4] = softmax(p) axis=1\n"
              "\n"
              "output probs = y\n");
}

static void lines_end_where_they_end(void **state) {
    (void)state;
    const char *printed =
        "octavo 1\nmodel model\n\ninput x : f32[2]\nrelu : f32[2] = relu(x)\ny : f32[2] = add(relu, x)\n\noutput y\n";
    prints_as("octavo 1\ninput x : f32[2]\ny = add(relu(x), x)\noutput y", printed);
    prints_as("\xef\xbb\xbfoctavo 1\r\ninput x : f32[2]\r\n\r\ny = add(relu(x), x)\r\noutput y\r\n", printed);
    prints_as("#!octavo\n\n  # \xff\n\toctavo 1 #0123456789abcdef\ninput x : f32[\n2]\ny = add(\n relu( # inner\n  x),\n\n "
              "x)\noutput y##\n",
              printed);
}

static void no_word_is_reserved(void **state) {
    (void)state;
    prints_as("octavo 1\nmodel model\ninput input : f32[2]\nconst @const : f32[2] = (1, 2)\noutput = add(input, @const)\n"
              "const = relu(output)\nrandom : f32[2] = relu(const)\nN = relu(random)\nfile = relu(N)\noctavo = relu(file)\n"
              "output output\noutput const = octavo\n",
              "octavo 1\nmodel model\n\ninput input : f32[2]\nconst @const : f32[2] = (1.0, 2.0)\noutput : f32[2] = add(input, "
              "@const)\n"
              "const : f32[2] = relu(output)\nrandom : f32[2] = relu(const)\nN : f32[2] = relu(random)\nfile : f32[2] = relu(N)\n"
              "octavo : f32[2] = relu(file)\n\noutput output\noutput const = octavo\n");
}

/* Every kind of attribute, in each form it may be written in. */
static void attributes_take_their_forms(void **state) {
    (void)state;
    static const struct {
        const char *written, *printed;
    } rows[] = {
        {"max_pool2d(x) kernel=2", "max_pool2d(x) kernel=2"},
        {"max_pool2d(x) kernel=(2,3) stride=(2,2) ceil", "max_pool2d(x) stride=2 kernel=(2,3) ceil"},
        {"max_pool2d(x) kernel=3 pad=1", "max_pool2d(x) pad=(1,1,1,1) kernel=3"},
        {"max_pool2d(x) kernel=(3,1) pad=(1,0)", "max_pool2d(x) pad=(1,0,1,0) kernel=(3,1)"},
        {"max_pool2d(x) kernel=3 pad=(1,0,0,1)", "max_pool2d(x) pad=(1,0,0,1) kernel=3"},
        {"mean(max_pool2d(x) kernel=2) axes=-1 keepdims", "mean(max_pool2d) axes=(3) keepdims"},
        {"mean(\n max_pool2d(x)\n  kernel=2\n stride=(2,\n2)) axes=(1)", "mean(max_pool2d) axes=(1)"},
        {"mean(x) axes=-1 keepdims", "mean(x) axes=(3) keepdims"},
        {"reshape(x) shape=(N,-1,2)", "reshape(x) shape=(N,128,2)"},
        {"clip(x) clip=(-inf,6)", "clip(x) clip=(-inf,6.0)"},
        {"leaky_relu(x) alpha=1", "leaky_relu(x) alpha=1.0"},
        {"observe(x) observer=mse to=u8 scheme=full range=(0,1)",
         "observe(x) observer=\"mse\" to=u8 scheme=full range=(0.0,1.0)"},
        {"relu(x) why=\"\\x07\\xff\xc3\xa9\\n\" from=\"\"", "relu(x) from=\"\" why=\"\\x07\\xff\xc3\xa9\\n\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct parse_test t;
        parse_begin(&t);
        const struct oct_module *m =
            parse_model(&t, oct_sprintf(t.a, "octavo 1\ninput x : f32[N,4,8,8]\ny = %s\noutput y\n", rows[i].written));
        const char *line = strstr(parse_print(&t, m, NULL), "\ny : ");
        line = line ? strstr(line, "= ") : NULL;
        assert_non_null(line);
        assert_int_equal(strncmp(line + 2, rows[i].printed, strlen(rows[i].printed)), 0);
        assert_int_equal(line[2 + strlen(rows[i].printed)], '\n');
        parse_end(&t);
    }
}

static void types_carry_their_parameters(void **state) {
    (void)state;
    const char *text = "octavo 1\nmodel model\n\n"
                       "input x : i8[N,2] scale=0.5 zero=-3\n"
                       "const @w : i8[2,2] scale[0]=(0.25,0.5) = (1, -128, 127, 0)\n"
                       "const @s : u8[2,2] scale[1]=(1.0,2.0) zero[1]=(0,255) = (1, 2, 3, 4)\n"
                       "const @e : i4[3] scale=1.0 zero=-8 = (-8, 7, 0)\n"
                       "const @l : i64[2] = (-9223372036854775808, 9223372036854775807)\n"
                       "y : i8[N,2] scale=1.0 zero=0 = dense(x, @w)\n"
                       "d : f32[N,2] = dequantize(y)\n"
                       "u : u8[N,2] scale=0.125 zero=255 = quantize(d)\n"
                       "\noutput d\noutput u\noutput k = @s\noutput k2 = @e\noutput k3 = @l\n";
    struct parse_test t;
    parse_begin(&t);
    const struct oct_module *m = parse_model(&t, text);
    const struct oct_node *w = oct_find_const(m, "w"), *l = oct_find_const(m, "l"), *x = oct_find_value(m, "x");
    assert_int_equal(w->type.q->axis, 0);
    assert_null(w->type.q->zero);
    assert_memory_equal(w->data, ((int8_t[]){1, -128, 127, 0}), 4);
    assert_memory_equal(l->data, ((int64_t[]){INT64_MIN, INT64_MAX}), 16);
    assert_int_equal(oct_zero(x->type.q, 0), -3);
    parse_end(&t);
}

/* ---- constants ---- */

static void random_constants_are_pinned(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    const struct oct_module *m = parse_model(&t, "octavo 1\ninput x : f32[2]\n"
                                                 "const @a : f32[40000] = random seed=1\n"
                                                 "const @b : f32[10] = random seed=1 within=(-1,1)\n"
                                                 "const @c : i8[40000] = random\n"
                                                 "const @d : i32[40000] = random seed=-5 within=(-2.5,2)\n"
                                                 "output x\noutput a = @a\noutput b = @b\noutput c = @c\noutput d = @d\n");
    const float *a = oct_find_const(m, "a")->data, *b = oct_find_const(m, "b")->data;
    const int8_t *c = oct_find_const(m, "c")->data;
    const int32_t *d = oct_find_const(m, "d")->data;
    assert_memory_equal(a, b, 10 * sizeof *a); /* an element does not depend on how many there are */
    assert_true(oct_random(1, 0) == UINT64_C(0x5e41ab087439611e));
    double sum = 0, square = 0;
    uint32_t seen[256] = {0};
    for (int i = 0; i < 40000; i++) {
        assert_true(a[i] >= -1 && a[i] < 1);
        sum += (double)a[i];
        square += (double)a[i] * (double)a[i];
        seen[c[i] + 128]++;
        assert_in_range(d[i] + 2, 0, 3); /* -2, -1, 0, 1 */
    }
    assert_true(fabs(sum / 40000) < 0.015 && fabs(square / 40000 - 1.0 / 3) < 0.01);
    for (int i = 0; i < 256; i++) assert_in_range(seen[i], 90, 230); /* 156 expected, sigma 12.5 */
    parse_end(&t);
}

static char dir[64];
static const char *write_file(const char *name, const void *data, size_t len) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void weights_come_from_their_file(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/octavo-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct parse_test t;
    parse_begin(&t);
    static const float fc[20] = {1, 2, 3}, scale[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const int8_t codes[20] = {-128, 127, 5};
    static const int32_t zero[10] = {0, 1, -128};
    char key[17], scale_key[17];
    oct_tensor_hash(OCT_F32, 2, (int64_t[]){10, 2}, fc, key);
    oct_tensor_hash(OCT_F32, 1, (int64_t[]){10}, scale, scale_key);
    const struct oct_st_tensor tensors[] = {{"fc.w", OCT_F32, 2, {10, 2}, fc, sizeof fc},
                                            {"q.w", OCT_I8, 2, {10, 2}, codes, sizeof codes},
                                            {"q.w:scale", OCT_F32, 1, {10}, scale, sizeof scale},
                                            {"q.w:zero", OCT_I32, 1, {10}, zero, sizeof zero},
                                            {key, OCT_F32, 2, {10, 2}, fc, sizeof fc},
                                            {scale_key, OCT_F32, 1, {10}, scale, sizeof scale}};
    struct oct_text file;
    oct_text_init(&file, t.a);
    oct_safetensors_write(&file, tensors, sizeof tensors / sizeof *tensors);
    write_file("w.safetensors", file.s, file.len);
    const char *model = oct_sprintf(t.a, "%s/m.8vo", dir);
    const struct oct_weights_ref by_name = {.file = "w.safetensors"}, by_hash = {.file = "w.safetensors", .by_hash = true};

    const struct oct_module *m =
        parse_with(&t, model, &by_name,
                   "octavo 1\nweights \"w.safetensors\"\ninput x : f32[N,2]\ninput y : i8[N,2] scale=1 zero=0\n"
                   "const @q.w : i8 scale[0]=file zero[0]=file\na = dense(x, @fc.w)\noutput a\noutput q = @q.w\n");
    const struct oct_node *fcw = oct_find_const(m, "fc.w"), *qw = oct_find_const(m, "q.w");
    assert_memory_equal(fcw->data, fc, sizeof fc);
    assert_int_equal(fcw->type.dim[0], 10);
    assert_memory_equal(qw->data, codes, sizeof codes);
    assert_memory_equal(qw->type.q->scale, scale, sizeof scale);
    assert_memory_equal(qw->type.q->zero, zero, sizeof zero);

    m = parse_at(&t, model,
                 oct_sprintf(t.a,
                             "octavo 1\nweights \"w.safetensors\"\ninput x : f32[N,2]\nconst @any : f32[10,2] = #%s from=\"f\"\n"
                             "const @r : i8[10,2] scale[0]=#%s = random\na = dense(x, @any)\noutput a\noutput r = @r\n",
                             key, scale_key));
    assert_memory_equal(oct_find_const(m, "any")->data, fc, sizeof fc);
    const char *once = parse_print(&t, m, &by_hash);
    assert_non_null(strstr(once, oct_sprintf(t.a, "const @any : f32[10,2] = #%s from=\"f\"\n", key)));
    assert_string_equal(parse_print(&t, parse_at(&t, model, once), &by_hash), once);

    parse_end(&t);
    unlink(oct_sprintf(parse_begin(&t)->a, "%s/w.safetensors", dir));
    rmdir(dir);
    parse_end(&t);
}

/* ---- docs/language.md ---- */

static char *read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    char *s = calloc(1, 1 << 18);
    assert_true(fread(s, 1, (1 << 18) - 1, f) > 1000);
    fclose(f);
    return s;
}

static void names_choice(struct parse_test *t, const char *manual, const struct oct_choice_info *c) {
    const char *row = oct_sprintf(t->a, "`%s` (%s)", c->name, *c->words ? c->words : "number");
    if (!strstr(manual, row)) fail_msg("docs/language.md lacks %s", row);
}

static void the_manual_tells_the_truth(void **state) {
    (void)state;
    const char *source = getenv("OCTAVO_SOURCE");
    assert_non_null(source);
    struct parse_test t;
    parse_begin(&t);
    char *manual = read_all(oct_sprintf(t.a, "%s/docs/language.md", source));
    int blocks = 0;
    for (const char *p = manual; (p = strstr(p, "```octavo\n")); blocks++) {
        p += strlen("```octavo\n");
        const char *end = strstr(p, "```");
        assert_non_null(end);
        parse_model(&t, oct_strndup(t.a, p, (size_t)(end - p)));
    }
    assert_true(blocks >= 4);
    for (int i = 0; i < OCT_ATTR_COUNT; i++)
        if (!strstr(manual, oct_sprintf(t.a, "`%s`", oct_attr_info((enum oct_attr_id)i)->name)))
            fail_msg("docs/language.md does not name the attribute %s", oct_attr_info((enum oct_attr_id)i)->name);
    for (char *p = manual; (p = strchr(p, '\n'));) *p = ' '; /* a list of words may be broken anywhere */
    for (int i = 0; i < OCT_OPTION_COUNT; i++) names_choice(&t, manual, oct_option_info((enum oct_option_id)i));
    for (int i = 0; i < OCT_QRULE_COUNT; i++) names_choice(&t, manual, oct_qrule_info((enum oct_qrule_id)i));
    free(manual);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_reads_and_prints),     cmocka_unit_test(lines_end_where_they_end),
        cmocka_unit_test(no_word_is_reserved),          cmocka_unit_test(attributes_take_their_forms),
        cmocka_unit_test(types_carry_their_parameters), cmocka_unit_test(random_constants_are_pinned),
        cmocka_unit_test(weights_come_from_their_file), cmocka_unit_test(the_manual_tells_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
