/* test_vec_recipes.c - quads of bytes in conv2d and dense, by the evaluator, LLVM and C, against the interpreter: every recipe on
 * channels and pixels below, at and above each tile, windows, zero points at both ends, saturating results; layers in which some
 * blocks of channels are refused; and weights one unit beyond a proof, which it must refuse, with the right sums. */
#include "linear_case.h"
#include "vector_case.h"

static const struct {
    const char *target, *recipe;
} recipes[] = {
    {"x86-64-v3", "b"},   {"x86-64-v3", "b2"},  {"x86-64-v3", "b4"},        {"x86-64-v3", "c8"}, {"x86-64-v3", "c16"},
    {"x86-64-v3", "c32"}, {"x86-64-v4", "b"},   {"x86-64-v4", "b2"},        {"x86-64-v4", "b4"}, {"x86-64-v4", "c8"},
    {"x86-64-v4", "c16"}, {"x86-64-v4", "c32"}, {"x86-64-v4-vnni", "dot4"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* The layers to come are built in recipe i wherever it is offered. */
static void choose(const char *kernel, size_t i) {
    kc.target = oct_target_find(recipes[i].target);
    kc.prefer = oct_sprintf(kc.arena, "%s %s", kernel, recipes[i].recipe);
}
static bool chosen(void) { return strncmp(kc.last.way.text, kc.prefer, strlen(kc.prefer)) == 0; }
static void must_be_chosen(void) {
    if (!chosen()) fail_msg("%s instead of %s", kc.last.way.text, kc.prefer);
}

static const struct codes small[] = {
    {"u8", "i8", "i8", "(-1,2)", ""},
    {"i8", "i8", "u8", "(-1,2)", ""},
    {"i8", "i8", "i8", "(0,3)", "profile=onnx"},
    {"u8", "i8", "i8", "(-2,1)", "clip=(-9.0,90.0)"},
};
static const struct shape shapes[] = {
    {1, 1, 67, 9, 1, 1, 1, 1, ""},
    {1, 1, 68, 8, 1, 4, 1, 1, ""}, /* quads read from the image */
    {2, 1, 72, 17, 2, 3, 1, 1, ""},
    {1, 1, 80, 16, 1, 13, 1, 1, ""},
    {1, 1, 65, 33, 1, 5, 1, 1, ""},
    {1, 1, 24, 23, 5, 6, 3, 3, "pad=1"},
    {1, 1, 23, 7, 6, 5, 3, 3, "pad=1 stride=2"},
    {1, 1, 19, 40, 3, 7, 2, 5, "pad=(1,2,0,1)"},
    {1, 1, 70, 65, 3, 2, 1, 1, "stride=2"},
    {2, 1, 31, 24, 4, 4, 3, 3, "dilation=(2,1) pad=2"},
};
static void all_recipes(void **state) {
    (void)state;
    uint64_t r = 1;
    kc.sample = 43;
    for (size_t i = 0; i < RECIPES; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            choose("conv2d_vec", i);
            check_conv(&shapes[s], &small[r % 4], r % 3 != 0, r);
            must_be_chosen();
            r = mix(r) >> 20;
        }
    vc_compare();
    kc_compare_c();
}

/* dot4 is exact for any weights: all at their ends. */
static void dot4_of_any_weights(void **state) {
    (void)state;
    uint64_t r = 7;
    kc.sample = 23;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t c = 0; c < CODES8; c++) {
            choose("conv2d_vec", RECIPES - 1);
            check_conv(&shapes[s], &codes[c], r % 3 != 0, r);
            if (codes[c].w[0] == 'i') must_be_chosen(); /* others less a zero point may take 16 bits */
            r = mix(r) >> 20;
        }
    vc_compare();
}

static void dense(void **state) {
    (void)state;
    uint64_t r = 3;
    kc.sample = 13;
    for (size_t i = 0; i < RECIPES; i++)
        for (int n = 0; n < 4; n++) {
            const struct codes *c = &small[r % 4];
            const int in = (const int[]){128, 131, 66, 100}[n], out = (const int[]){8, 33, 67, 130}[n];
            const struct params p = params_of(c, out, r);
            choose("dense_vec", i);
            kc_check("input x : %s[%s%d] %s\nconst @w : i8[%d,%d] %s = random seed=%d within=%s\ny : %s = dense(x, @w) %s", c->x,
                     n % 2 ? "1," : "7,", in, p.x, out, in, p.wq, (int)(r % 997), c->within, p.y, c->attrs);
            must_be_chosen();
            r = mix(r) >> 20;
        }
    vc_compare();
    kc_compare_c();
}

/* ---- proofs: 1x1 layers whose weights are written out by channel -------------------------------------------------------------
 */

enum { INPUTS = 136, OUTPUTS = 64 };
/* Sums `n` quads wide in one lane reach 255 total; extra goes to the last of them. */
static void fill_channel(int *w, int n, int total, int extra) {
    for (int q = 0; q < n; q++) w[4 * q] = total / n;
    if (n == 1) w[0] = total / 2, w[1] = total / 2;
    w[4 * (n - 1) + (n == 1)] += extra;
}
static void check_weights(const char *x, int w[OUTPUTS][INPUTS]) {
    struct oct_text t;
    oct_text_init(&t, kc.arena);
    for (int o = 0; o < OUTPUTS; o++)
        for (int i = 0; i < INPUTS; i++) oct_text_addf(&t, "%s%d", o + i ? "," : "", w[o][i]);
    kc_check("input x : %s[1,%d,2,6] scale=0.05 zero=%d\nconst @w : i8[%d,%d,1,1] scale=0.01 = (%s)\ny : i8 scale=0.5 zero=3 = "
             "conv2d(x, @w)",
             x, INPUTS, *x == 'u' ? 0 : -128, OUTPUTS, INPUTS, t.s);
}
static int number_of(const char *recipe) { return recipe[1] ? atoi(recipe + 1) : 1; }

static void near_misses(void **state) {
    (void)state;
    kc.sample = 29;
    for (size_t i = 0; i + 1 < RECIPES; i++) /* dot4 proves nothing */
        for (int sign = -1; sign <= 1; sign += 2)
            for (int extra = 0; extra < 2; extra++) {
                static int w[OUTPUTS][INPUTS];
                memset(w, 0, sizeof w);
                for (int o = 0; o < OUTPUTS; o++) fill_channel(w[o], number_of(recipes[i].recipe), 128 * sign, 0);
                w[37][4 * (number_of(recipes[i].recipe) - 1)] += extra * sign;
                choose("conv2d_vec", i);
                check_weights(extra && sign > 0 ? "i8" : "u8", w);
                const char *why = kc.last.fallback.len ? kc.last.fallback.s : "";
                if (extra) {
                    if (chosen() && (!strstr(why, "pairs of 16 bits in 1 of ") || !strstr(why, "may reach 32895")))
                        fail_msg("%s: %s", kc.last.way.text, why);
                    if (!chosen() && !strstr(kc.last.proof.s, "Bytes refused in") && number_of(recipes[i].recipe) == 1)
                        fail_msg("%s: %s", kc.last.way.text, kc.last.proof.s);
                } else {
                    must_be_chosen();
                    if (*why || !strstr(kc.last.proof.s, "<= 32640 < 2^15 in")) fail_msg("%s%s", why, kc.last.proof.s);
                }
            }
    vc_compare();
}

/* Blocks that fit and blocks that do not in one layer, one behind the other, alternately and at random. */
static void mixed_layers(void **state) {
    (void)state;
    int mixed = 0;
    kc.sample = 17;
    for (size_t i = 0; i + 1 < RECIPES; i++)
        for (int pattern = 0; pattern < 3; pattern++) {
            static int w[OUTPUTS][INPUTS];
            for (int o = 0; o < OUTPUTS; o++) {
                const uint64_t block = (uint64_t)o / 16;
                const bool large = pattern == 0 ? block >= 2 : pattern == 1 ? block % 2 : mix(block + i) % 3 == 0;
                for (int c = 0; c < INPUTS; c++) {
                    const int v = (int)(mix((uint64_t)(o * INPUTS + c)) % 3) - 1;
                    w[o][c] = large ? 127 * v : v;
                }
            }
            choose("conv2d_vec", i);
            check_weights(i % 2 ? "i8" : "u8", w);
            mixed += chosen() && kc.last.fallback.len;
        }
    if (mixed < 12) fail_msg("only %d layers were mixed", mixed);
    vc_compare();
    kc_compare_c();
}

static int teardown(void **state) {
    kc.prefer = NULL;
    return kc_teardown(state);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_recipes, kc_setup, teardown),
        cmocka_unit_test_setup_teardown(dot4_of_any_weights, kc_setup, teardown),
        cmocka_unit_test_setup_teardown(dense, kc_setup, teardown),
        cmocka_unit_test_setup_teardown(near_misses, kc_setup, teardown),
        cmocka_unit_test_setup_teardown(mixed_layers, kc_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
