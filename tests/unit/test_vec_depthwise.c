/* test_vec_depthwise.c - depthwise convolution with channels in lanes, for targets of 256 and of 512 bits, against the
 * interpreter: channels below, at and above the lanes, every kind of window, edge and band, extreme zero points, weights and
 * saturation; what it leaves to the scalar kernel, and why. */
#include "linear_case.h"
#include "vector_case.h"

static const char *const targets[] = {"x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"};

static void check(const struct shape *s, const struct codes *c, bool bias, uint64_t r, bool fits) {
    kc.target = oct_target_find(targets[r / 5 % 3]);
    const int before = kc_used("depthwise_vec"), layouts = 2 * 2; /* on two inputs, all but that whose channels lie apart */
    check_conv(s, c, bias, r);
    assert_int_equal(kc_used("depthwise_vec") - before, fits ? layouts : 0);
    assert_non_null(strstr(kc.last.fallback.s, "scalar code: "));
    if (fits) assert_non_null(strstr(kc.last.fallback.s, "no neighbours"));
}

static void channels(void **state) {
    (void)state;
    static const int channels[] = {4, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 32, 33, 37, 64, 80};
    static const char *const attrs[] = {"pad=1", "", "pad=(0,0,1,1) stride=2"};
    uint64_t r = 3;
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (size_t a = 0; a < 3; a++) {
            struct shape s = {1 + (int)(r % 2), channels[i], 1, 1, 5 + (int)(i % 2), 4 + (int)(r / 2 % 3), 3, 3, attrs[a]};
            check(&s, &codes[r / 16 % CODES8], r % 3 != 0, r, true);
            r = mix(r) >> 20;
        }
}

static const struct shape windows[] = {
    {1, 8, 1, 1, 1, 1, 3, 3, "pad=1"},
    {1, 8, 1, 1, 2, 1, 3, 3, "pad=1"},
    {1, 9, 1, 1, 3, 3, 3, 3, ""},
    {1, 8, 1, 1, 3, 2, 3, 3, "pad=1"},
    {1, 8, 1, 1, 7, 9, 3, 3, "pad=1 stride=2"},
    {1, 8, 1, 1, 8, 8, 3, 3, "pad=same stride=2"},
    {1, 8, 1, 1, 6, 7, 5, 5, "pad=2"},
    {1, 8, 1, 1, 9, 8, 5, 5, "pad=2 stride=2"},
    {1, 17, 1, 1, 5, 5, 5, 5, "pad=(1,2,2,1)"},
    {1, 8, 1, 1, 25, 5, 10, 4, "pad=(4,1,5,1) stride=2"},
    {1, 8, 1, 1, 12, 1, 7, 1, ""},
    {1, 10, 1, 1, 12, 1, 6, 1, "pad=(3,0,2,0)"},
    {2, 8, 1, 1, 1, 12, 1, 5, "pad=(0,2,0,2)"},
    {1, 8, 1, 1, 4, 11, 2, 2, "stride=3"},
    {1, 8, 1, 1, 4, 6, 3, 3, "pad=(2,2,2,2)"},
    {1, 8, 1, 1, 4, 5, 3, 3, "pad=(0,2,0,0) stride=(1,2)"},
    {1, 8, 1, 1, 9, 4, 1, 1, ""},
    {1, 8, 1, 1, 3, 3, 8, 8, "pad=4"},
    {1, 8, 1, 1, 6, 9, 3, 2, "pad=(1,0,1,1) stride=(2,1)"},
    {1, 8, 1, 1, 4, 4, 3, 3, "pad=1 stride=(3,4)"},
    {1, 8, 1, 1, 9, 9, 3, 3, "pad=1 dilation=2"},
    {1, 9, 1, 1, 9, 11, 3, 3, "pad=(2,3,2,3) dilation=(2,3)"},
    {1, 8, 1, 1, 9, 9, 3, 2, "pad=1 dilation=(1,2) stride=2"},
    {1, 8, 1, 1, 4, 29, 3, 3, "pad=1"},
    {1, 6, 1, 1, 7, 17, 5, 5, "pad=2"},
};
static void windows_and_edges(void **state) {
    (void)state;
    uint64_t r = 5;
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        for (size_t c = 0; c < CODES8; c++) {
            check(&windows[i], &codes[c], (c + i) % 3 != 0, r, true);
            r = mix(r) >> 20;
        }
}

static void left_to_the_scalar_kernel(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {1, 3, 1, 1, 5, 5, 3, 3, "pad=1"},
        {1, 8, 1, 1, 9, 9, 9, 8, "pad=4"},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check(&shapes[i], &codes[0], true, i, false);
    check(&windows[0], &codes[CODES8], true, 1, false);
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 11; /* LLVM takes its time */
    return kc_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(channels), cmocka_unit_test(windows_and_edges),
                                       cmocka_unit_test(left_to_the_scalar_kernel), VC_AGAIN};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
