/* test_vec_winograd.c - Winograd's convolutions, by the evaluator for vectors of 256 and 512 bits, by LLVM and as C, against the
 * interpreter: both kinds, weights transformed beforehand and at run time, every number of vectors; results below, at and above
 * tiles and strips, all padding, odd channels, codes and weights at their ends; and the layers whose sums have one bit too many.
 */
#include "linear_case.h"
#include "vector_case.h"

static const char *const targets[] = {"x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"};
static const char *const kinds[] = {"winograd f4 ", "winograd f4 fresh", "winograd f2 ", "winograd f2 fresh"};

/* By the kind that is wanted, if the layer has a tile of results for it. */
static void check(const struct shape *s, const struct codes *c, int kind, uint64_t r) {
    kc.target = oct_target_find(targets[s->per_in < 16 ? 0 : r / 5 % 3]);
    kc.prefer = kinds[kind];
    kc.turn = (int)(r % 4);
    const int before = kc.preferred;
    check_conv(s, c, r % 3 != 0, r);
    if (kc.preferred == before && *c->w == 'i')
        fail_msg("%s was not built", kc.prefer); /* others less a zero point may take 16 bits */
}

/* Results that tiles divide and that they do not, one strip and several, odd and uneven channels, windows of padding alone. */
static const struct shape shapes[] = {
    {1, 1, 16, 16, 8, 8, 3, 3, "pad=1"},
    {1, 1, 13, 16, 12, 8, 3, 3, "pad=1"},
    {1, 1, 17, 9, 7, 9, 3, 3, "pad=1"},
    {2, 1, 32, 24, 11, 6, 3, 3, ""},
    {1, 1, 35, 19, 12, 13, 3, 3, "pad=(2,0,1,2)"},
    {1, 1, 48, 33, 6, 15, 3, 3, "pad=(0,2,2,0)"},
    {1, 1, 64, 40, 4, 4, 3, 3, "pad=1"},
    {1, 1, 64, 23, 5, 7, 3, 3, "pad=1"},
    {1, 1, 9, 1, 2, 2, 3, 3, "pad=2"},
    {1, 1, 16, 5, 1, 3, 3, 3, "pad=(2,1,3,2)"},
    {1, 1, 31, 64, 6, 6, 3, 3, ""},
};
static void ways_and_shapes(void **state) {
    (void)state;
    uint64_t r = 3;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 4; kind++) {
            check(&shapes[i], &codes[(i + (size_t)kind) % CODES8], kind, r);
            r = mix(r) >> 20;
        }
}

/* Every code, weight and zero point at its ends, for every kind. */
static void ends(void **state) {
    (void)state;
    uint64_t r = 8;
    for (size_t c = 0; c < CODES8; c++)
        for (int kind = 0; kind < 4; kind++) {
            check(&shapes[(c + (size_t)kind) % 3], &codes[c], kind, r);
            r = mix(r) >> 20;
        }
}

/* Results of one and of two tiles more and less than a strip takes; a layer whose weights go by slices, one by groups. */
static void larger(void **state) {
    (void)state;
    static const struct shape large[] = {
        {1, 1, 64, 64, 20, 21, 3, 3, "pad=1"},
        {1, 1, 128, 16, 7, 7, 3, 3, "pad=1"},
        {1, 1, 72, 56, 9, 10, 3, 3, "pad=1"},
    };
    uint64_t r = 5;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int kind = 0; kind < 4; kind++) {
            if (i == 1 && kind == 0) continue;                             /* twice what the next has */
            const struct codes small = {"i8", "i8", "i8", "(-60,61)", ""}; /* sums of 26 bits */
            check(&large[i], &small, kind, r);
            r = mix(r) >> 20;
        }
}

/* The greatest sum that each kind holds, and the next one, which a slower kernel takes: weights of one value and codes at their
 * end reach it. */
static void near_misses(void **state) {
    (void)state;
    static const struct {
        int channels, size, weight, bias;
        bool f4, f2;
    } cases[] = {
        {115, 6, 127, 0, true, true},
        {116, 6, 127, 0, false, true},
        {114, 6, -128, 0, true, true},
        {115, 6, -128, 0, false, true},
        {16, 6, 127, (1 << 25) - 1 - 16 * 9 * 255 * 127, true, true},
        {16, 6, 127, (1 << 25) - 16 * 9 * 255 * 127, false, true},
        {16, 6, -128, -(1 << 25) + 1 + 16 * 9 * 255 * 128, true, true},
        {16, 6, -128, -(1 << 25) + 16 * 9 * 255 * 128, false, true},
        {16, 4, 127, (1 << 29) - 1 - 16 * 9 * 255 * 127, false, true},
        {16, 4, 127, (1 << 29) - 16 * 9 * 255 * 127, false, false},
        {16, 4, -128, -(1 << 29) + 1 + 16 * 9 * 255 * 128, false, true},
        {16, 4, -128, -(1 << 29) + 16 * 9 * 255 * 128, false, false},
        {1842, 3, 127, 0, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int kind = 0; kind < 4; kind++) {
            kc.target = oct_target_find(targets[0]);
            kc.prefer = kinds[kind];
            kc.turn = (int)i;
            const int before = kc.preferred;
            kc_check("input a : u8[1,%d,%d,%d] scale=0.05 zero=0\nx : u8 scale=0.05 zero=0 = requantize(a) clip=(255.0,255.0)\n"
                     "const @w : i8[9,%d,3,3] scale=0.01 = random seed=1 within=(%d,%d)\nconst @b : i32[9] = "
                     "(%d, 1, 2, 3, 4, 5, 6, 7, 8)\ny : i8 scale=%s zero=0 = conv2d(x, @w, @b) pad=1",
                     cases[i].channels, cases[i].size, cases[i].size, cases[i].channels, cases[i].weight, cases[i].weight + 1,
                     cases[i].bias, cases[i].f4 || i % 2 ? "90.0" : "1700.0");
            if ((kc.preferred > before) != (kind < 2 ? cases[i].f4 : cases[i].f2)) fail_msg("%s: case %d", kinds[kind], (int)i);
            if (!cases[i].f2) assert_string_equal(kc.info->name, "conv2d_vec");
        }
}

/* What is left to the direct kernel. */
static void refusals(void **state) {
    (void)state;
    static const struct shape others[] = {
        {1, 1, 16, 16, 8, 8, 3, 3, "pad=1 stride=2"},
        {1, 1, 16, 16, 8, 8, 3, 3, "pad=2 dilation=(2,1)"},
        {1, 1, 16, 16, 8, 8, 3, 2, "pad=1"},
        {1, 1, 7, 16, 8, 8, 3, 3, "pad=1"},
        {1, 1, 16, 16, 3, 8, 3, 3, ""}, /* one row of results */
    };
    const int before = kc_used("winograd");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (int kind = 0; kind < 4; kind++) {
            kc.target = oct_target_find(targets[0]);
            kc.prefer = kinds[kind];
            check_conv(&others[i], &codes[0], true, 3);
        }
    assert_int_equal(kc_used("winograd"), before);
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 2 : 13; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ways_and_shapes), cmocka_unit_test(ends),     cmocka_unit_test(larger),
                                       cmocka_unit_test(near_misses),     cmocka_unit_test(refusals), VC_AGAIN};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
