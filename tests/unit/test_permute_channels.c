/* permute_channels: the same function before and after, to the bit where sums are of whole numbers (their order cannot matter
 * then), within the runner's bound otherwise; the same codes where both are quantized with the same scales. Who is tied or known
 * outside stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "parse_helper.h"
#include "passes/pass.h"

static uint32_t state_of_noise = 11;
static int noise(int n) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return (int)((state_of_noise >> 8) % (uint32_t)n);
}

/* x -> c -> d depthwise -> add(p, q) of two that read d -> pool -> mean -> dense, and a dense that reads it flattened with its
 * pixels. */
static const char text[] =
    "octavo 1\nmodel m\noption permute_channels=on\nrule any saturation=pair\ninput x : f32[N,3,6,6]\n"
    "x.obs = observe(x) range=(-8.0,7.0)\n"
    "const @c.w : f32[12,3,3,3] = random seed=1\nconst @c.b : f32[12] = random seed=2\n"
    "c = conv2d(x.obs, @c.w, @c.b) pad=1 clip=(0.0,inf)\nc.obs = observe(c) range=(0.0,20.0)\n"
    "const @d.w : f32[12,1,3,3] = random seed=3\nd = conv2d(c.obs, @d.w) pad=1 groups=12\nd.obs = observe(d) range=(-20.0,20.0)\n"
    "const @p.w : f32[10,12,1,1] = random seed=4\np = conv2d(d.obs, @p.w)\np.obs = observe(p) range=(-20.0,20.0)\n"
    "const @q.w : f32[10,12,3,3] = random seed=5\nconst @q.b : f32[10] = random seed=6\n"
    "q = conv2d(d.obs, @q.w, @q.b) pad=1\nq.obs = observe(q) range=(-40.0,40.0)\n"
    "a = add(p.obs, q.obs)\na.obs = observe(a) range=(-50.0,50.0)\n"
    "const @r.w : f32[9,10,3,3] = random seed=7\nr = conv2d(a.obs, @r.w)\nr.obs = observe(r) range=(-90.0,90.0)\n"
    "l = leaky_relu(r.obs) alpha=0.5\nl.obs = observe(l) range=(-90.0,90.0)\n"
    "g = max_pool2d(l.obs) kernel=2 stride=2\nm = mean(g) axes=(2,3)\nm.obs = observe(m) range=(-90.0,90.0)\n"
    "const @y.w : f32[4,9] = random seed=8\ny = dense(m.obs, @y.w)\ny.obs = observe(y) range=(-90.0,90.0)\n"
    "const @s.w : f32[6,12,1,1] = random seed=9\ns = conv2d(d.obs, @s.w)\ns.obs = observe(s) range=(-90.0,90.0)\n"
    "f = flatten(s.obs)\nconst @z.w : f32[2,216] = random seed=10\nz = dense(f, @z.w)\nz.obs = observe(z) range=(-90.0,90.0)\n"
    "output y = y.obs\noutput z = z.obs\n";

/* Whole numbers in place of the random weights. */
static void make_whole(struct oct_module *m) {
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_const || n->type.dtype != OCT_F32) continue;
        const int64_t total = oct_type_elements(&n->type, 1);
        float *w = OCT_NEW_N(m->arena, float, total);
        for (int64_t i = 0; i < total; i++) w[i] = (float)(noise(3) - 1);
        n->data = w;
        OCT_DROP(n->at, seed);
        OCT_DROP(n->at, within);
    }
}

/* Both outputs, for inputs by `seed`. */
static int run_all(struct oct_ctx *cx, const struct oct_module *m, uint32_t seed, float *out) {
    struct oct_exec *ex = oct_exec_new(cx, m, 1);
    assert_non_null(ex);
    state_of_noise = seed;
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_input) continue;
        const struct oct_tensor *t = oct_exec_value(ex, n);
        for (int64_t i = 0; i < oct_tensor_elements(t); i++) {
            const int v = noise(16) - 8;
            if (t->type.dtype == OCT_F32) ((float *)t->data)[i] = (float)v;
            else ((int8_t *)t->data)[i] = (int8_t)(16 * v + noise(16));
        }
    }
    oct_exec_run(ex, NULL, NULL);
    int n = 0;
    for (uint32_t o = 0; o < m->noutputs; o++) {
        const struct oct_tensor *t = oct_exec_value(ex, m->output[o].node);
        for (int64_t i = 0; i < oct_tensor_elements(t); i++)
            out[n++] = t->type.dtype == OCT_F32 ? ((const float *)t->data)[i] : (float)oct_load_int(t->type.dtype, t->data, i);
    }
    oct_exec_free(ex);
    return n;
}
static void assert_same(struct oct_ctx *cx, const struct oct_module *a, const struct oct_module *b) {
    for (uint32_t seed = 1; seed < 8; seed++) {
        float p[64], q[64];
        const int n = run_all(cx, a, seed, p);
        assert_int_equal(run_all(cx, b, seed, q), n);
        for (int i = 0; i < n; i++)
            if (p[i] != q[i]) fail_msg("output %d: %g, before it was %g", i, (double)q[i], (double)p[i]);
    }
}
static void pass(struct parse_test *t, struct oct_module *m, const char *const *passes, bool check) {
    if (!oct_run_pipeline(&t->cx, m, &(struct oct_run_options){.passes = passes, .check_each = check}))
        fail_msg("%s", parse_errors(t));
}
#define PASS_ALL(t, m, check, ...) pass((t), (m), (const char *const[]){__VA_ARGS__, NULL}, (check))

static void whole_numbers_keep_their_bits(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = parse_model(&t, text);
    make_whole(m);
    struct oct_module *before = oct_module_clone(m, &t.cx);
    PASS_ALL(&t, m, true, "permute_channels");
    static const char *const moved[] = {"c.w.permuted", "c.b.permuted", "d.w.permuted", "p.w.permuted", "q.w.permuted",
                                        "q.b.permuted", "r.w.permuted", "y.w.permuted", "s.w.permuted"};
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
        if (!oct_find_const(m, moved[i])) fail_msg("%s is not there", moved[i]);
    assert_non_null(oct_find_const(m, "z.w")); /* its channels are pixels too */
    assert_same(&t.cx, before, m);
    parse_end(&t);
}

static void any_weights_stay_within_the_bound(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    PASS_ALL(&t, parse_model(&t, text), true, "permute_channels"); /* check_each compares */
    parse_end(&t);
}

static void equal_scales_give_equal_codes(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = parse_model(&t, text), *before = oct_module_clone(m, &t.cx);
    PASS_ALL(&t, m, false, "permute_channels");
    struct oct_module *both[2] = {before, m};
    for (int i = 0; i < 2; i++) {
        both[i]->rule[0].q.saturation = 0; /* plain scales do not depend on the order */
        PASS_ALL(&t, both[i], false, "insert_qdq", "cse", "elim_qdq", "int_io", "fold_channels");
        assert_int_equal(both[i]->output[0].node->type.dtype, OCT_I8);
    }
    assert_same(&t.cx, before, m);
    parse_end(&t);
}

static double bits_lost(struct parse_test *t, const char *model, bool permute) {
    struct oct_module *m = parse_model(t, model);
    struct oct_text explain;
    oct_text_init(&explain, t->a);
    oct_text_add(&explain, "");
    const char *const passes[] = {"permute_channels", "insert_qdq", NULL};
    if (!oct_run_pipeline(&t->cx, m, &(struct oct_run_options){.passes = passes + !permute, .explain = &explain}))
        fail_msg("%s", parse_errors(t));
    const char *all = strstr(explain.s, "saturation: in all");
    assert_non_null(all);
    unsigned raised, of;
    double bits;
    assert_int_equal(sscanf(all, "saturation: in all %u of %u scales rise, by %lf bits", &raised, &of, &bits), 3);
    return bits;
}

/* Four inputs of a dense layer, two of either sign: in pairs of equal sign they cost a bit, mixed nothing; with the output's
 * order known outside, or the option off, nothing moves. */
static void signs_meet(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    static const char model[] =
        "octavo 1\nmodel m\noption permute_channels=%s\nrule any saturation=pair\ninput x : f32[N,2]\n"
        "x.obs = observe(x) range=(0.0,1.0)\nconst @v : f32[4,2] = (1.0,0.0,0.0,1.0,1.0,0.0,0.0,1.0)\n"
        "h = dense(x.obs, @v)\nh.obs = observe(h) range=(0.0,1.0)\nconst @w : f32[1,4] = (1.0,1.0,-1.0,-1.0)\n"
        "y = dense(h.obs, @w)\ny.obs = observe(y) range=(-2.0,2.0)\noutput y.obs\n%s";
    const char *free_ = oct_sprintf(t.a, model, "on", ""), *known = oct_sprintf(t.a, model, "on", "output h.obs\n"),
               *off = oct_sprintf(t.a, model, "off", "");
    const double lost = bits_lost(&t, free_, false);
    assert_true(lost > 0.15 && bits_lost(&t, free_, true) == 0);
    assert_true(bits_lost(&t, known, true) == lost);
    assert_true(bits_lost(&t, off, true) == lost);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_keep_their_bits),
        cmocka_unit_test(any_weights_stay_within_the_bound),
        cmocka_unit_test(equal_scales_give_equal_codes),
        cmocka_unit_test(signs_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
