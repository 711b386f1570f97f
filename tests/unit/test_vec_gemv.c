/* test_vec_gemv.c - dense on one row by streamed weights, by the evaluator and by LLVM, against the interpreter: outputs and
 * inputs below, at and above each block and run, on every ISA; sums of 16 bits at their limit and one beyond. */
#include "linear_case.h"
#include "vector_case.h"

static const char *const targets[] = {"x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"};

static void blocks_and_runs(void **state) {
    (void)state;
    static const int outputs[] = {1, 7, 8, 9, 16, 23, 32, 33, 48, 64, 65, 130, 1},
                     inputs[] = {1, 2, 3, 4, 5, 31, 32, 33, 35, 64, 100, 131, 333};
    uint64_t r = 5;
    kc.sample = 23;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (size_t j = 0; j < sizeof inputs / sizeof *inputs; j++) {
            const struct codes *c = &codes[r % CODES8];
            struct params p = params_of(c, outputs[i], r);
            kc.target = oct_target_find(targets[(i + j) % 3]);
            kc_check("input x : %s[1,%d] %s\nconst @w : %s[%d,%d] %s = random seed=%d within=%s\nconst @b : i32[%d] = random "
                     "seed=3 within=(-5000,5000)\ny : %s = dense(x, @w%s) %s",
                     c->x, inputs[j], p.x, c->w, outputs[i], inputs[j], p.wq, (int)(r % 997), c->within, outputs[i], p.y,
                     r % 2 ? ", @b" : "", c->attrs);
            if (c->w[0] == 'i' && inputs[j] > 4) assert_string_equal(kc.info->name, "gemv_vec"); /* pairs may be as cheap */
            r = mix(r) >> 20;
        }
    vc_compare();
}

/* Threads share blocks, the last of them narrower (kc_check_shares). */
static void shares(void **state) {
    (void)state;
    const int before = kc.shared;
    kc.share_all = true;
    kc.sample = 1;
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        kc.target = oct_target_find(targets[t]);
        kc_check("input x : u8[1,513] scale=0.05 zero=3\nconst @w : i8[516,513] scale=0.01 = random seed=1 within=(-128,128)\n"
                 "y : i8 scale=9.0 zero=-5 = dense(x, @w)");
        assert_string_equal(kc.info->name, "gemv_vec");
    }
    assert_true(kc.shared > before);
    kc.share_all = false;
    vc_compare();
}

/* Codes of 255 at most times the weights of a pair: 16 bits just hold it; one more, and the codes go in halves. Then two pairs,
 * of half of that. Then halves, whose run ends where 15 (128 n + 128 n) leaves 16 bits: at 8 quads. */
static void near_misses(void **state) {
    (void)state;
    static const struct {
        int high, weights[4];
        const char *recipe, *proof;
    } cases[] = {
        {255, {64, 64, 127, 1}, "bytes", "|sum of 2 products| <= 32640"},
        {255, {64, 65, 127, 1}, "halves", NULL},
        {255, {-64, -64, 0, 0}, "bytes", "|sum of 2 products| <= 32640"},
        {256, {-64, -64, 0, 0}, "bytes", "<= 32640"},
        {255, {-64, -65, 0, 0}, "halves", NULL},
        {255, {32, 32, -32, -32}, "bytes", "|sum of 4 products| <= 32640"},
        {254, {127, -127, 127, -127}, "bytes", "|sum of 2 products| <= 32258"},
        {127, {127, 127, 3, 3}, "bytes", "|sum of 2 products| <= 32258"},
        {129, {127, 127, 3, 3}, "bytes", "|sum of 2 products| <= 32766"},
        {130, {127, 127, 3, 3}, "halves", NULL},
        {255, {-128, -128, -128, -128}, "halves", "|sum of 16 products| <= 30720"},
    };
    kc.sample = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oct_text w;
        oct_text_init(&w, kc.arena);
        const int terms = 128, outputs = 3; /* the middle one decides */
        for (int o = 0; o < outputs; o++)
            for (int k = 0; k < terms; k++)
                oct_text_addf(&w, "%s%d", o || k ? "," : "", o == 1 ? cases[i].weights[k % 4] : k % 4 == o ? 3 : 0);
        for (int t = 0; t < 2; t++) {
            kc.target = oct_target_find(targets[t]);
            kc_check("input a : u8[1,%d] scale=0.05 zero=0\nx : u8 scale=0.05 zero=0 = requantize(a) clip=(0.0,%d.0)\n"
                     "const @w : i8[%d,%d] scale=0.01 = (%s)\ny : i8 scale=9.0 zero=0 = dense(x, @w)",
                     terms, cases[i].high > 255 ? 255 : cases[i].high, outputs, terms, w.s);
            assert_string_equal(kc.info->name, "gemv_vec");
            if (strncmp(kc.last.recipe, cases[i].recipe, strlen(cases[i].recipe)) != 0)
                fail_msg("case %d: %s", (int)i, kc.last.recipe);
            if (cases[i].proof && !strstr(kc.last.proof.s, cases[i].proof)) fail_msg("case %d: %s", (int)i, kc.last.proof.s);
        }
    }
    vc_compare();
}

int main(void) {
    kc.prefer = "gemv_vec";
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(blocks_and_runs, kc_setup, kc_teardown),
                                       cmocka_unit_test_setup_teardown(shares, kc_setup, kc_teardown),
                                       cmocka_unit_test_setup_teardown(near_misses, kc_setup, kc_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
