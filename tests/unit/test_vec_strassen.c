/* test_vec_strassen.c - Strassen's 1x1 convolution, by the evaluator for vectors of 256 and 512 bits, by LLVM and as C, against
 * the interpreter: every tile, even and odd numbers of pixels, one run and several, one band and several, images; codes, weights
 * and zero points at their ends; and the layers that are left to the direct kernel. */
#include "linear_case.h"
#include "vector_case.h"

static const char *const targets[] = {"x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"};

static void check(const struct shape *s, const struct codes *c, uint64_t r) {
    kc.target = oct_target_find(targets[s->per_in % 64 || s->per_out % 64 ? 0 : r / 5 % 3]);
    kc.prefer = "strassen ";
    kc.turn = (int)(r % 5);
    const int before = kc.preferred;
    check_conv(s, c, r % 3 != 0, r);
    if (kc.preferred == before && *c->w == 'i')
        fail_msg("strassen was not built"); /* others less a zero point may take 16 bits */
}

static const struct shape shapes[] = {
    {1, 1, 32, 32, 8, 4, 1, 1, ""},   /* the least there is */
    {1, 1, 64, 64, 7, 5, 1, 1, ""},   /* odd: the halves share a pixel */
    {1, 1, 32, 64, 7, 7, 1, 1, ""},   /* halves of 25 */
    {2, 1, 64, 64, 6, 7, 1, 1, ""},   /* images */
    {1, 1, 96, 32, 14, 14, 1, 1, ""}, /* two runs of sums */
    {1, 1, 128, 64, 1, 67, 1, 1, ""}, /* a prime */
};
static void shapes_and_codes(void **state) {
    (void)state;
    uint64_t r = 3;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t c = 0; c < CODES8; c++) {
            if (i > 2 && c % 2 != i % 2) continue;
            check(&shapes[i], &codes[c], r);
            r = mix(r) >> 20;
        }
}

/* More codes than stay in the cache: bands. */
static void bands(void **state) {
    (void)state;
    const struct shape large = {1, 1, 512, 32, 20, 12, 1, 1, ""};
    check(&large, &codes[0], 2);
}

static void refusals(void **state) {
    (void)state;
    static const struct shape others[] = {
        {1, 1, 32, 32, 5, 6, 1, 1, ""},         /* few pixels */
        {1, 1, 48, 32, 8, 8, 1, 1, ""},         /* halves of channels that are no vectors */
        {1, 1, 32, 48, 8, 8, 1, 1, ""},         /* nor of outputs */
        {1, 1, 32, 32, 8, 8, 1, 1, "stride=2"}, /* not all pixels */
        {1, 1, 32, 32, 8, 8, 1, 1, "pad=1"},    /* or more of them */
        {1, 1, 32, 32, 8, 8, 1, 2, ""},         /* a window */
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        kc.target = oct_target_find(targets[0]);
        kc.prefer = "strassen ";
        const int before = kc.preferred;
        check_conv(&others[i], &codes[0], true, 7);
        if (kc.preferred != before) fail_msg("case %d was built", (int)i);
    }
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 2 : 13; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes_and_codes), cmocka_unit_test(bands), cmocka_unit_test(refusals),
                                       VC_AGAIN};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
