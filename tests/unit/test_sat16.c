/* Bounds of 16-bit sums against what the steps themselves do: vpmaddubsw and 16-bit additions on all activations at both ends of
 * their range. A bound is reached, and the first weights beyond it give a wrong sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/sat16.h"

static uint64_t state_of_noise = 1;
static uint32_t noise(void) {
    state_of_noise = state_of_noise * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state_of_noise >> 33);
}

static int64_t saturated(int64_t v) { return v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v; }

/* What one lane holds behind the quads first .. first + n - 1 of a row, as the steps compute it and in exact integers. */
struct lane {
    int64_t got, exact;
};
static struct lane lane_of(const int8_t *row, const uint8_t *x, int64_t length, int64_t first, int64_t n, int half) {
    struct lane r = {0, 0};
    for (int64_t q = first; q < first + n; q++) {
        int64_t pair = 0;
        for (int64_t i = 4 * q + 2 * half; i < 4 * q + 2 * half + 2; i++) pair += i < length ? row[i] * x[i] : 0;
        r.exact += pair;
        r.got = (int16_t)(uint16_t)(r.got + saturated(pair));
    }
    return r;
}

/* All activations of each lane at 0 or at the end. */
struct found {
    int64_t least, most;
    bool wrong;
};
static struct found by_trial(const int8_t *w, int64_t rows, int64_t length, int32_t range, int64_t n) {
    struct found f = {0, 0, false};
    const int64_t quads = (length + 3) / 4;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t first = 0; first < quads; first += n)
            for (int half = 0; half < 2; half++) {
                const int64_t count = first + n < quads ? n : quads - first;
                for (uint32_t bits = 0; bits < 1u << (2 * count); bits++) {
                    uint8_t x[64] = {0};
                    for (int64_t i = 0; i < 2 * count; i++)
                        if (bits >> i & 1) x[4 * (first + i / 2) + 2 * half + i % 2] = (uint8_t)range;
                    const struct lane r = lane_of(w + row * length, x, length, first, count, half);
                    if (r.exact < f.least) f.least = r.exact;
                    if (r.exact > f.most) f.most = r.exact;
                    if (r.got != r.exact) f.wrong = true;
                }
            }
    return f;
}

static void check(const int8_t *w, int64_t rows, int64_t length, int32_t range, int64_t n) {
    const struct found f = by_trial(w, rows, length, range, n);
    const struct oct_sat16 r = oct_sat16_reach(w, rows, length, range, n);
    assert_int_equal(r.least, f.least);
    assert_int_equal(r.most, f.most);
    assert_int_equal(oct_sat16_exact(r), !f.wrong);
}

static void reaches_what_trial_finds(void **state) {
    (void)state;
    static const int32_t ranges[] = {0, 1, 127, 128, 129, 217, 254, 255};
    static const int spans[] = {1, 20, 64, 90, 128};
    int exact = 0, cases = 0;
    for (int64_t length = 1; length <= 17; length++)
        for (int64_t n = 1; n <= 4; n++)
            for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
                for (size_t s = 0; s < sizeof spans / sizeof *spans; s++) {
                    int8_t w[2 * 17];
                    for (int64_t i = 0; i < 2 * length; i++)
                        w[i] = (int8_t)((int)(noise() % (uint32_t)(2 * spans[s])) - spans[s]);
                    check(w, 2, length, ranges[r], n);
                    exact += oct_sat16_exact(oct_sat16_reach(w, 2, length, ranges[r], n));
                    cases++;
                }
    assert_true(exact > cases / 10 && cases - exact > cases / 10);
}

/* One unit of one weight beyond what fits. */
static void near_misses(void **state) {
    (void)state;
    static const struct {
        int32_t range;
        int64_t n;
        int8_t fits[8], not [8];
    } cases[] = {
        {255, 1, {64, 64}, {64, 65}},
        {255, 1, {127, 1, 127, 1}, {127, 1, 127, 2}},
        {255, 1, {-127, -1, 127, -128}, {-127, -2, 127, -128}},
        {128, 2, {-128, -128, 0, 0, 127}, {-128, -128, 0, 0, -1}}, /* -32768 */
        {217, 1, {100, 51}, {100, 52}},                            /* 32767 */
        {217, 2, {100, 0, 0, 0, 51, -9}, {100, 0, 0, 0, 52, -9}},
        {255, 2, {60, 4, 0, 0, 60, 4}, {60, 4, 0, 0, 60, 5}},
        {255, 2, {0, 0, -60, -4, 0, 0, -60, -4}, {0, 0, -60, -4, 0, 0, -60, -5}},
        {255, 2, {60, 4, 60, 4, 0, 0, 60, 4}, {61, 4, 60, 4, 64, 0, 60, 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(cases[i].fits, 1, 8, cases[i].range, cases[i].n);
        check(cases[i].not, 1, 8, cases[i].range, cases[i].n);
        assert_true(oct_sat16_exact(oct_sat16_reach(cases[i].fits, 1, 8, cases[i].range, cases[i].n)));
        assert_false(oct_sat16_exact(oct_sat16_reach(cases[i].not, 1, 8, cases[i].range, cases[i].n)));
    }
    /* 129 of 8 bits: two of 127 fit, two of -128 do not. */
    const int8_t low[] = {-128, -128}, high[] = {127, 127};
    assert_false(oct_sat16_exact(oct_sat16_reach(low, 1, 2, 129, 1)));
    assert_true(oct_sat16_exact(oct_sat16_reach(high, 1, 2, 129, 1)));
    assert_false(oct_sat16_exact(oct_sat16_reach(high, 1, 2, 130, 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reaches_what_trial_finds), cmocka_unit_test(near_misses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
