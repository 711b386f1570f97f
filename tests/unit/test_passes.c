/* Passes: each rewrite by running the model before and after it. Rewrites of float keep the outputs to the bit or within a bound
 * (the runner's own check, check_each); elim_qdq gives at most one code of difference from quantize(f(dequantize)) per op, none
 * where the rewrite is exact; shapes of the result (which ops are there) by counting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "parse_helper.h"
#include "passes/pass.h"

/* Runs passes ("a b c") on a text, with the runner's check before and after each. */
static struct oct_module *passed(struct parse_test *t, const char *text, const char *const *passes, struct oct_text *explain) {
    struct oct_module *m = parse_model(t, text);
    const struct oct_run_options opt = {.passes = passes, .check_each = true, .explain = explain};
    if (!oct_run_pipeline(&t->cx, m, &opt)) fail_msg("%s", parse_errors(t));
    /* what a pass leaves is a model: it makes the round trip */
    const char *text2 = parse_print(t, m, NULL);
    if (!strstr(text2, "weights ")) {
        bool all_inline = true;
        OCT_FOR_NODES(m, n) all_inline &= n->op != OCT_OP_const || !oct_const_in_file(n);
        if (all_inline) assert_string_equal(parse_print(t, parse_at(t, NULL, text2), NULL), text2);
    }
    return m;
}
#define PASSED(t, text, ...) passed((t), (text), (const char *const[]){__VA_ARGS__, NULL}, NULL)

static unsigned count(const struct oct_module *m, enum oct_op op) {
    unsigned n = 0;
    OCT_FOR_NODES(m, x) n += x->op == op;
    return n;
}

/* ---- const_fold, cse, dce ---- */

static void folds_constants(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = PASSED(&t,
                                  "octavo 1\nmodel m\ninput x : f32[N,4]\n"
                                  "const @a : f32[4] = (1.0, 2.0, 3.0, 4.0)\nconst @b : f32[1] = (0.5)\n"
                                  "k = mul(@a, @b)\nk2 = add(k, @a)\ny = add(x, k2)\noutput y\n",
                                  "const_fold");
    assert_int_equal(count(m, OCT_OP_mul), 0);
    assert_int_equal(count(m, OCT_OP_add), 1);
    const struct oct_node *k = oct_find_const(m, "k2");
    assert_non_null(k);
    assert_true(((const float *)k->data)[3] == 6.0f);
    assert_null(oct_find_const(m, "a"));
    parse_end(&t);
}

static void keeps_quantized_constants_visible(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m =
        PASSED(&t,
               "octavo 1\nmodel m\ninput x : f32[N,2]\nconst @w : i8[2] scale=0.5 zero=0 = (3, 4)\n"
               "const @f : f32[2] = (0.3, 0.8)\nd = dequantize(@w)\nq : i8 scale=0.5 zero=0 = quantize(@f)\ne = dequantize(q)\n"
               "y = add(x, d)\nz = add(y, e)\noutput z\n",
               "const_fold");
    assert_int_equal(count(m, OCT_OP_dequantize), 2); /* folding them would lose the scale */
    assert_int_equal(count(m, OCT_OP_quantize), 0);
    parse_end(&t);
}

static void shares_and_drops(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    static const char text[] = "octavo 1\nmodel m\ninput x : f32[N,4]\n"
                               "const @a : f32[4] = (1.0, 2.0, 3.0, 4.0)\nconst @b : f32[4] = (1.0, 2.0, 3.0, 4.0)\n"
                               "p = add(x, @a)\nq = add(x, @b)\nr = leaky_relu(x) alpha=0.1\ns = leaky_relu(x) alpha=0.2\n"
                               "u = leaky_relu(x) alpha=0.1 doc=\"other words\"\n"
                               "y = add(p, q)\nz = add(y, r)\nz2 = add(z, s)\nz3 = add(z2, u)\ndead = relu(z)\noutput z3\n";
    struct oct_module *m = PASSED(&t, text, "cse");
    assert_int_equal(count(m, OCT_OP_const), 1);
    assert_int_equal(count(m, OCT_OP_leaky_relu), 2); /* not 0.1 for 0.2; doc is no difference */
    assert_int_equal(count(m, OCT_OP_add), 5);
    m = PASSED(&t, text, "dce");
    assert_int_equal(count(m, OCT_OP_relu), 0);
    assert_int_equal(count(m, OCT_OP_add), 6);
    parse_end(&t);
}

/* ---- batch norm ---- */

#define BN_CONSTS                                                                                                                \
    "const @g : f32[4] = (1.5, -0.5, 2.0, 0.1)\nconst @h : f32[4] = (0.1, 0.2, -0.3, 0.4)\n"                                     \
    "const @mu : f32[4] = (0.5, -1.0, 0.25, 3.0)\nconst @var : f32[4] = (1.0, 0.5, 2.0, 0.01)\n"
#define BN_HEAD                                                                                                                  \
    "octavo 1\nmodel m\ninput x : f32[N,4,5,5]\n" BN_CONSTS "const @w : f32[4,4,3,3] = random seed=1 within=(-0.5,0.5)\n"

static void folds_batch_norm(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned left; /* batch norms */
    } cases[] = {
        {BN_HEAD "c = conv2d(x, @w) pad=(1,1,1,1)\ny = batchnorm(c, @g, @h, @mu, @var) eps=0.001\noutput y\n", 0},
        {BN_HEAD
         "const @b : f32[4] = (1.0, 2.0, 3.0, -4.0)\nc = conv2d(x, @w, @b)\ny = batchnorm(c, @g, @h, @mu, @var)\noutput y\n",
         0},
        {BN_HEAD "c = batchnorm(x, @g, @h, @mu, @var)\ny = conv2d(c, @w)\noutput y\n", 0},
        {BN_HEAD "c = conv2d(x, @w)\nd = batchnorm(c, @g, @h, @mu, @var)\ne = batchnorm(d, @g, @h, @mu, @var)\noutput e\n", 0},
        /* near misses: padding stands for 0 behind the batch norm, another reader, a clip in between */
        {BN_HEAD "c = batchnorm(x, @g, @h, @mu, @var)\ny = conv2d(c, @w) pad=(0,0,0,1)\noutput y\n", 1},
        {BN_HEAD "c = conv2d(x, @w)\ny = batchnorm(c, @g, @h, @mu, @var)\noutput y\noutput c\n", 1},
        {BN_HEAD "c = conv2d(x, @w) clip=(0.0,inf)\ny = batchnorm(c, @g, @h, @mu, @var)\noutput y\n", 1},
        /* depthwise behind: each channel has its own factor */
        {BN_HEAD
         "const @d : f32[4,1,3,3] = random seed=2\nc = batchnorm(x, @g, @h, @mu, @var)\ny = conv2d(c, @d) groups=4\noutput y\n",
         0},
        /* two groups: outputs 0,1 read inputs 0,1 and outputs 2,3 inputs 2,3 */
        {BN_HEAD
         "const @d : f32[4,2,3,3] = random seed=3\nc = batchnorm(x, @g, @h, @mu, @var)\ny = conv2d(c, @d) groups=2\noutput y\n",
         0},
        {"octavo 1\nmodel m\ninput x : f32[N,3]\n" BN_CONSTS
         "const @w : f32[4,3] = random seed=1\nc = dense(x, @w)\ny = batchnorm(c, @g, @h, @mu, @var)\noutput y\n",
         0},
        {"octavo 1\nmodel m\ninput x : f32[N,4,3]\n" BN_CONSTS /* axis 1 is not what dense makes */
         "const @w : f32[4,3] = random seed=1\nc = dense(x, @w)\ny = batchnorm(c, @g, @h, @mu, @var)\noutput y\n",
         1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parse_test t;
        struct oct_text explain;
        parse_begin(&t);
        oct_text_init(&explain, t.a);
        struct oct_module *m = passed(&t, cases[i].text, (const char *const[]){"fold_bn", NULL}, &explain);
        if (count(m, OCT_OP_batchnorm) != cases[i].left) fail_msg("case %zu: %u batch norms left", i, count(m, OCT_OP_batchnorm));
        OCT_FOR_NODES(m, n)
        if (n->op == OCT_OP_batchnorm && !OCT_HAS(n->at, why)) fail_msg("case %zu: refused without a reason", i);
        m = PASSED(&t, cases[i].text, "fold_bn", "lower_bn");
        assert_int_equal(count(m, OCT_OP_batchnorm), i == 10); /* not an image */
        parse_end(&t);
    }
}

static void fuses_bias_and_activation(void **state) {
    (void)state;
    static const char head[] =
        "octavo 1\nmodel m\ninput x : f32[N,3]\nconst @w : f32[4,3] = random seed=1\nconst @b : f32[4] = (1.0, 2.0, 3.0, -4.0)\n";
    static const struct {
        const char *text;
        unsigned adds, relus;
    } cases[] = {
        {"d = dense(x, @w)\na = add(d, @b)\ny = relu(a)\noutput y\n", 0, 0},
        {"d = dense(x, @w)\na = add(@b, d)\ny = relu6(a)\noutput y\n", 0, 0},
        {"d = dense(x, @w)\na = add(d, @b)\ny = relu(a)\noutput y\noutput d\n", 1, 0}, /* the add takes the clip */
        {"d = dense(x, @w)\na = add(d, @b)\ny = relu(a)\noutput y\noutput a\n", 0, 1}, /* the bare sum is wanted too */
        {"d = dense(x, @w)\na = clip(d) clip=(-0.5,0.25)\ny = relu(a)\noutput y\n", 0, 0},
        {"d = dense(x, @w) clip=(0.0,inf)\na = add(d, @b)\noutput a\n", 1, 0}, /* clipped before the sum */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parse_test t;
        parse_begin(&t);
        const char *text = oct_sprintf(t.a, "%s%s", head, cases[i].text);
        struct oct_module *m = PASSED(&t, text, "fuse_bias", "fuse_act");
        if (count(m, OCT_OP_add) != cases[i].adds || count(m, OCT_OP_relu) + count(m, OCT_OP_relu6) != cases[i].relus)
            fail_msg("case %zu:\n%s", i, parse_print(&t, m, NULL));
        parse_end(&t);
    }
}

/* ---- elim_qdq ---- */

static uint64_t next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

static struct oct_exec *run_codes(struct parse_test *t, struct oct_module *m) {
    struct oct_exec *ex = oct_exec_new(&t->cx, m, 64);
    uint64_t seed = 7;
    assert_non_null(ex);
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_input) continue;
        struct oct_tensor *v = oct_exec_value(ex, n);
        const int64_t bytes = oct_tensor_elements(v) * (int64_t)oct_dtype_size(v->type.dtype);
        if (v->type.dtype == OCT_F32)
            for (int64_t i = 0; i < bytes / 4; i++) ((float *)v->data)[i] = (float)(int64_t)(next_random(&seed) % 4096) / 512 - 4;
        else
            for (int64_t i = 0; i < bytes; i++) ((uint8_t *)v->data)[i] = (uint8_t)next_random(&seed);
    }
    oct_exec_run(ex, NULL, NULL);
    return ex;
}

static int64_t code_at(const struct oct_tensor *v, int64_t i) {
    switch (v->type.dtype) {
    case OCT_I8: return ((const int8_t *)v->data)[i];
    case OCT_U8: return ((const uint8_t *)v->data)[i];
    case OCT_I16: return ((const int16_t *)v->data)[i];
    default: fail_msg("no codes"); return 0;
    }
}

#define X                                                                                                                        \
    "octavo 1\nmodel m\ninput x : i8[N,4,6,6] scale=0.05 zero=-7\ninput v : u8[N,4,6,6] scale=0.03 zero=100\nxf = "              \
    "dequantize(x)\nvf = dequantize(v)\n"
#define W "const @w : i8[2,4,1,1] scale[0]=(0.01,0.02) = (10, -20, 127, -127, 3, 0, 55, -90)\n"
struct island {
    const char *text;
    enum oct_op want; /* the op that must be there afterwards */
    unsigned floats;  /* float values that may stay */
    int off;          /* most codes of difference */
};
static const struct island islands[] = {
    {X "f = add(xf, vf)\ny : i8 scale=0.06 zero=3 = quantize(f)\noutput y\n", OCT_OP_add, 0, 1},
    {X "f = sub(xf, vf) clip=(0.0,inf)\ny : i8 scale=0.06 zero=-128 = quantize(f)\noutput y\n", OCT_OP_sub, 0, 1},
    {X "f = mul(xf, vf)\ny : i8 scale=0.2 zero=3 = quantize(f)\noutput y\n", OCT_OP_mul, 0, 1},
    {X "f = add(xf, vf) clip=(0.0,6.0)\ny : u8 scale=0.0235 zero=0 = quantize(f)\noutput y\n", OCT_OP_add, 0, 1},
    {X "f = avg_pool2d(xf) kernel=3 stride=2\ny : i8 scale=0.05 zero=-7 = quantize(f)\noutput y\n", OCT_OP_avg_pool2d, 0, 1},
    {X "f = mean(xf) axes=(2,3) keepdims\ny : i8 scale=0.02 zero=1 = quantize(f)\noutput y\n", OCT_OP_mean, 0, 1},
    {X "f = softmax(xf) axis=1\ny : i8 scale=0.00390625 zero=-128 = quantize(f)\noutput y\n", OCT_OP_softmax, 0, 1},
    {X "f = concat(xf, vf) axis=1\ny : i8 scale=0.06 zero=3 = quantize(f)\noutput y\n", OCT_OP_concat, 0, 1},
    {X "f = matmul(xf, vf)\ny : i8 scale=0.5 zero=0 = quantize(f)\noutput y\n", OCT_OP_matmul, 0, 1},
    /* linear: bias codes that fit, codes of another scale, a float bias, none; weights with one scale and a zero point */
    {X W "const @b : i32[2] scale[0]=(0.0005,0.001) = (700, -900)\nwf = dequantize(@w)\nbf = dequantize(@b)\n"
         "f = conv2d(xf, wf, bf) clip=(0.0,6.0)\ny : i8 scale=0.01 zero=-128 = quantize(f)\noutput y\n",
     OCT_OP_conv2d, 0, 1},
    {X W "const @b : i32[2] scale=0.25 zero=0 = (2, -1)\nwf = dequantize(@w)\nbf = dequantize(@b)\n"
         "f = conv2d(xf, wf, bf)\ny : i8 scale=0.01 zero=0 = quantize(f)\noutput y\n",
     OCT_OP_conv2d, 0, 1},
    {X W "const @b : f32[2] = (0.3, -0.7)\nwf = dequantize(@w)\n"
         "f = conv2d(xf, wf, @b)\ny : i8 scale=0.01 zero=0 = quantize(f)\noutput y\n",
     OCT_OP_conv2d, 0, 1},
    {X "const @w : u8[1,6] scale=0.01 zero=3 = (0, 255, 3, 17, 100, 9)\nwf = dequantize(@w)\nf = dense(xf, wf)\n"
       "y : u8 scale=0.1 zero=80 = quantize(f)\noutput y\n",
     OCT_OP_dense, 0, 1},
    /* exact: moves, max pooling, identities, tables */
    {X "f = max_pool2d(xf) kernel=2 stride=2\ny : i8 scale=0.05 zero=-7 = quantize(f)\noutput y\n", OCT_OP_max_pool2d, 0, 0},
    {X "f = transpose(xf) perm=(0,2,3,1)\ng = reshape(f) shape=(N,-1)\ny : i8 scale=0.05 zero=-7 = quantize(g)\noutput y\n",
     OCT_OP_transpose, 0, 0},
    {X "f = pad(xf) pads=(0,0,1,1,0,0,1,1)\ny : i8 scale=0.05 zero=-7 = quantize(f)\noutput y\n", OCT_OP_pad, 0, 0},
    {X "f = slice(xf) axes=(2) begin=(1) end=(5) step=(2)\ny : i8 scale=0.1 zero=-7 = quantize(f)\noutput y\n", OCT_OP_requantize,
     0, 1},
    {X "y : u8 scale=0.04 zero=9 = quantize(xf)\noutput y\n", OCT_OP_requantize, 0, 1},
    {X "f = sigmoid(xf)\ny : i8 scale=0.00390625 zero=-128 = quantize(f)\noutput y\n", OCT_OP_lut, 0, 0},
    {X "const @c : f32[1] = (3.0)\na = add(xf, @c)\nb = relu6(a)\nf = leaky_relu(b) alpha=0.3\ny : i8 scale=0.05 zero=-128 = "
       "quantize(f)\noutput y\n",
     OCT_OP_lut, 0, 0},
    {X "f = relu(xf)\ny : i8 scale=0.05 zero=-7 = quantize(f)\noutput y\n", OCT_OP_relu, 0, 0},
    {X "f = tanh(xf)\nq : i8 scale=0.0078125 zero=0 = quantize(f)\nd = dequantize(q)\ng = exp(d)\ny : i8 scale=0.02 zero=-128 = "
       "quantize(g)\noutput y\n",
     OCT_OP_lut, 0, 0},
    /* two changes of parameters */
    {X "q : i16 scale=0.025 zero=0 = quantize(xf)\nd = dequantize(q)\ny : i8 scale=0.1 zero=0 = quantize(d)\noutput y\n",
     OCT_OP_requantize, 0, 1},
    /* what must stay float: another reader of the float value; an operand that is no code; per-channel results */
    {X "f = add(xf, vf)\ny : i8 scale=0.06 zero=3 = quantize(f)\noutput y\noutput f\n", OCT_OP_quantize, 3, 0},
    {X "input r : f32[N,4,6,6]\nf = add(xf, r)\ny : i8 scale=0.06 zero=3 = quantize(f)\noutput y\n", OCT_OP_quantize, 3, 0},
    {X "y : i8 scale[1]=(0.1,0.2,0.3,0.4) zero[1]=(1,2,3,4) = quantize(xf)\noutput y\n", OCT_OP_quantize, 1, 0},
    /* dequantize(quantize(r)) is not r */
    {X "input r : f32[N,2]\nq : i8 scale=0.06 zero=3 = quantize(r)\nd = dequantize(q)\ny = relu(d)\noutput y\n", OCT_OP_quantize,
     3, 0},
};

static void eliminates_islands(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof islands / sizeof islands[0]; i++) {
        const struct island *c = &islands[i];
        struct parse_test t;
        parse_begin(&t);
        struct oct_module *before = parse_model(&t, c->text), *m = PASSED(&t, c->text, "elim_qdq");
        unsigned floats = 0;
        OCT_FOR_NODES(m, n) floats += n->type.dtype == OCT_F32 && n->op != OCT_OP_const;
        if (!count(m, c->want) || floats != c->floats) fail_msg("case %zu: %u floats\n%s", i, floats, parse_print(&t, m, NULL));
        struct oct_exec *a = run_codes(&t, before), *b = run_codes(&t, m);
        const struct oct_tensor *x = oct_exec_value(a, before->output[0].node), *y = oct_exec_value(b, m->output[0].node);
        assert_true(oct_type_equal(&x->type, &y->type));
        if (x->type.dtype == OCT_F32) {
            assert_memory_equal(x->data, y->data, (size_t)oct_tensor_elements(x) * 4);
        } else {
            int64_t worst = 0, differ = 0;
            for (int64_t k = 0; k < oct_tensor_elements(x); k++) {
                const int64_t d = llabs(code_at(x, k) - code_at(y, k));
                worst = d > worst ? d : worst;
                differ += d != 0;
            }
            if (worst > c->off) fail_msg("case %zu: %lld codes apart", i, (long long)worst);
            print_message("island %2zu %-12s %6.3f %% of codes differ, by at most %lld\n", i, oct_op_info(c->want)->name,
                          100.0 * (double)differ / (double)oct_tensor_elements(x), (long long)worst);
        }
        oct_exec_free(a);
        oct_exec_free(b);
        parse_end(&t);
    }
}

static void composes_requantize_only_if_equal(void **state) {
    (void)state;
    static const struct {
        const char *inner, *outer;
        unsigned left;
    } cases[] = {
        {"i16 scale=0.025", "i8 scale=0.05", 0}, /* to a finer grid and back: nothing is left */
        {"i16 scale=0.025", "i8 scale=0.1", 1},
        {"i8 scale=0.1", "i8 scale=0.3", 2},   /* 3 -> 1.5 -> 2 -> 0.67 -> 1, but 3 -> 0.5 -> 1; others differ */
        {"i8 scale=0.1", "i16 scale=0.05", 2}, /* the coarse grid in between has lost what the fine one would show */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parse_test t;
        parse_begin(&t);
        const char *text = oct_sprintf(
            t.a,
            "octavo 1\nmodel m\ninput x : i8[N,40] scale=0.05 zero=0\nd = dequantize(x)\nq : %s zero=0 = quantize(d)\n"
            "e = dequantize(q)\ny : %s zero=0 = quantize(e)\noutput y\n",
            cases[i].inner, cases[i].outer);
        struct oct_module *two =
            parse_model(&t, oct_sprintf(t.a,
                                        "octavo 1\nmodel m\ninput x : i8[N,40] scale=0.05 zero=0\nq : %s zero=0 = requantize(x)\n"
                                        "y : %s zero=0 = requantize(q)\noutput y\n",
                                        cases[i].inner, cases[i].outer));
        struct oct_module *m = PASSED(&t, text, "elim_qdq");
        assert_int_equal(count(m, OCT_OP_requantize), cases[i].left);
        struct oct_exec *a = run_codes(&t, two), *b = run_codes(&t, m);
        const struct oct_tensor *x = oct_exec_value(a, two->output[0].node), *y = oct_exec_value(b, m->output[0].node);
        for (int64_t k = 0; k < oct_tensor_elements(x); k++) assert_int_equal(code_at(x, k), code_at(y, k));
        oct_exec_free(a);
        oct_exec_free(b);
        parse_end(&t);
    }
}

/* ---- insert_qdq, and the whole way ---- */

/* A conv with a bias far beyond what s_x s_w reaches, a dead channel with a bias, and a plain one. */
static const char conv_text[] =
    "octavo 1\nmodel m\ninput x : f32[N,1,4,4]\n"
    "x.obs = observe(x) to=i8 range=(-4.0,4.0)\n"
    "const @w : f32[4,1,1,2] = (1e-12, -1e-12, 0.0, 0.0, 0.5, -0.25, 0.0, 0.0)\nconst @b : f32[4] = (3.0, -2.0, 0.125, 0.0)\n"
    "c = conv2d(x.obs, @w, @b) clip=(0.0,inf)\nc.obs = observe(c) to=i8 range=(0.0,4.0)\noutput c.obs\n";

static void raises_scales_for_biases(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = PASSED(&t, conv_text, "insert_qdq");
    const struct oct_node *w = oct_find_const(m, "w.q"), *b = oct_find_const(m, "b.q");
    assert_true(w && b);
    const float s_x = oct_find_value(m, "x.q")->type.q->scale[0];
    const int32_t *code = b->data;
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(code[i] <= (1 << 30) + 128 && code[i] >= -(1 << 30) - 128); /* fp32 rounding of the scale */
        assert_true(b->type.q->scale[i] == s_x * w->type.q->scale[i]);
    }
    assert_true(fabs((double)code[0] * b->type.q->scale[0] - 3.0) < 1e-6);
    assert_true(fabs((double)code[1] * b->type.q->scale[1] + 2.0) < 1e-6);
    assert_true(w->type.q->scale[3] == 1.0f); /* neither weights nor bias */
    assert_int_equal(((const int8_t *)w->data)[4], 127);
    assert_int_equal(count(m, OCT_OP_observe), 0);
    parse_end(&t);

    parse_begin(&t);
    m = PASSED(&t, conv_text, "insert_qdq", "elim_qdq", "int_io");
    OCT_FOR_NODES(m, n) assert_true(n->type.dtype != OCT_F32);
    assert_string_equal(m->output[0].node->name, "c"); /* it stands for the value c */
    assert_int_equal(m->output[0].node->at.profile, OCT_profile_q31);
    struct oct_exec *ex = run_codes(&t, m);
    const int8_t *y = oct_exec_value(ex, m->output[0].node)->data; /* i8[64,4,4,3], s = 4/255, z = -128 */
    assert_int_equal(y[0], -128 + 191);                            /* 3.0 / (4/255) = 191.25 */
    assert_int_equal(y[12], -128);                                 /* -2 clipped */
    assert_int_equal(y[36], -128);                                 /* 0 */
    oct_exec_free(ex);
    parse_end(&t);
}

static void keeps_hand_placed(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m =
        PASSED(&t,
               "octavo 1\nmodel m\ninput x : f32[N,4]\nq : i8 scale=0.1 zero=1 = quantize(x)\nd = dequantize(q)\n"
               "o = observe(d) to=i8 range=(-1.0,1.0)\nr = relu(o)\np = observe(r) to=i8 range=(0.0,1.0)\n"
               "y : i8 scale=0.2 zero=0 = quantize(p)\noutput y\n",
               "insert_qdq");
    assert_int_equal(count(m, OCT_OP_quantize), 2); /* both by hand, none added */
    assert_int_equal(count(m, OCT_OP_dequantize), 1);
    assert_true(oct_find_value(m, "y")->operand[0] == oct_find_value(m, "r"));
    parse_end(&t);
}

static void honours_options_and_rules(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m =
        PASSED(&t, oct_sprintf(t.a, "%.*s%s%s", 17, conv_text, "option profile=onnx\noption io=float\n", conv_text + 17),
               "insert_qdq", "elim_qdq", "int_io");
    assert_int_equal(count(m, OCT_OP_quantize), 1);
    assert_int_equal(count(m, OCT_OP_dequantize), 1);
    assert_int_equal(oct_find_value(m, "c")->at.profile, OCT_profile_onnx);
    assert_true(OCT_HAS(oct_find_value(m, "x.q")->at, why)); /* nothing is silent */
    m = PASSED(&t, oct_sprintf(t.a, "%.*s%s%s", 17, conv_text, "option quantize=off\n", conv_text + 17), "insert_qdq", "elim_qdq",
               "int_io");
    assert_int_equal(count(m, OCT_OP_quantize) + count(m, OCT_OP_observe), 0);
    m = PASSED(&t, oct_sprintf(t.a, "%.*s%s%s", 17, conv_text, "rule op=conv2d weight=float\n", conv_text + 17), "insert_qdq",
               "elim_qdq", "int_io");
    assert_non_null(strstr(oct_find_value(m, "c")->at.why, "weight=float"));
    /* pot: 8/255 is no power of two, and the op says so instead of rounding wrongly */
    m = PASSED(&t, oct_sprintf(t.a, "%.*s%s%s", 17, conv_text, "option profile=pot\n", conv_text + 17), "insert_qdq", "elim_qdq",
               "int_io");
    assert_non_null(strstr(oct_find_value(m, "c")->at.why, "pot"));
    parse_end(&t);
}

/* ---- the runner ---- */

static void refuses_misuse(void **state) {
    (void)state;
    static const char text[] = "octavo 1\nmodel m%s\ninput x : f32[N,4]\no = observe(x) to=i8\noutput o\n";
    struct parse_test t;
    parse_begin(&t);
    struct oct_run_options opt = {.passes = (const char *const[]){"fold_bnn", NULL}};
    assert_false(oct_run_pipeline(&t.cx, parse_model(&t, oct_sprintf(t.a, text, "")), &opt));
    assert_non_null(strstr(parse_errors(&t), "did you mean 'fold_bn'?"));
    assert_int_equal(oct_exit_code(&t.cx), 64);
    parse_end(&t);

    parse_begin(&t);
    opt = (struct oct_run_options){.passes = (const char *const[]){"insert_qdq", NULL}};
    assert_false(oct_run_pipeline(&t.cx, parse_model(&t, oct_sprintf(t.a, text, "")), &opt));
    assert_non_null(strstr(parse_errors(&t), "'o' has no range yet"));
    assert_int_equal(oct_exit_code(&t.cx), 65);
    parse_end(&t);

    parse_begin(&t);
    opt = (struct oct_run_options){.stop_after = "dce.9"};
    assert_false(oct_run_pipeline(&t.cx, parse_model(&t, oct_sprintf(t.a, text, "")), &opt));
    assert_int_equal(oct_exit_code(&t.cx), 64);
    parse_end(&t);

    parse_begin(&t);
    opt = (struct oct_run_options){.stop_after = NULL};
    assert_false(oct_run_pipeline(&t.cx, parse_model(&t, oct_sprintf(t.a, text, " after=fold_everything")), &opt));
    assert_int_equal(oct_exit_code(&t.cx), 65);
    parse_end(&t);
}

static void pipeline_is_sound(void **state) {
    (void)state;
    uint32_t n;
    const struct oct_pipeline_row *row = oct_pipeline(&n);
    for (uint32_t i = 0; i < n; i++) {
        assert_non_null(oct_pass_find(row[i].pass));
        assert_true(!strncmp(row[i].label, row[i].pass, strlen(row[i].pass)));
        assert_true(strlen(row[i].reason) > 20);
        for (uint32_t k = 0; k < i; k++) assert_string_not_equal(row[i].label, row[k].label);
    }
}

/* Linear time: 100,000 nodes in a chain of adds and clips, and as many equal slices. */
static void passes_are_linear(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = oct_module_new(&t.cx, "m");
    const struct oct_span at = {0, 0, 0};
    const struct oct_type f32 = {.dtype = OCT_F32, .rank = 2, .dim = {OCT_DIM_N, 4}};
    struct oct_node *x = oct_build_input(m, "x", &f32, at), *y = x;
    struct oct_attrs attrs;
    for (int i = 0; i < 33000; i++) {
        oct_attrs_init(&attrs);
        OCT_SET(attrs, alpha, (float)i);
        struct oct_node *l = oct_build(m, OCT_OP_leaky_relu, NULL, &x, 1, &attrs, NULL, at); /* same operand, other attribute */
        y = oct_build(m, OCT_OP_add, NULL, (struct oct_node *[]){y, l}, 2, NULL, NULL, at);
        y = oct_build(m, OCT_OP_relu, NULL, &y, 1, NULL, NULL, at);
    }
    oct_add_output(m, "y", y, at);
    const struct oct_run_options opt = {.passes =
                                            (const char *const[]){"const_fold", "cse", "dce", "fuse_bias", "fold_bn", "lower_bn",
                                                                  "fuse_act", "insert_observers", "elim_qdq", NULL}};
    const clock_t start = clock();
    assert_true(oct_run_pipeline(&t.cx, m, &opt));
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("9 passes over 99,000 nodes: %.2f s\n", seconds);
    assert_true(seconds < 20);
    assert_int_equal(count(m, OCT_OP_relu), 0);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_constants),
        cmocka_unit_test(keeps_quantized_constants_visible),
        cmocka_unit_test(shares_and_drops),
        cmocka_unit_test(folds_batch_norm),
        cmocka_unit_test(fuses_bias_and_activation),
        cmocka_unit_test(eliminates_islands),
        cmocka_unit_test(composes_requantize_only_if_equal),
        cmocka_unit_test(raises_scales_for_biases),
        cmocka_unit_test(keeps_hand_placed),
        cmocka_unit_test(honours_options_and_rules),
        cmocka_unit_test(refuses_misuse),
        cmocka_unit_test(pipeline_is_sound),
        cmocka_unit_test(passes_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
