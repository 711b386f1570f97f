/* The threshold proof against looking at every accumulator: it says "equal" exactly where no accumulator of the range gives
 * another code. q31 by the interpreter's arithmetic, fp32 by ir/steps.c and once more by doubles rounded by hand here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "ir/interp.h"
#include "ir/steps.h"

static uint32_t state_of_noise = 7;
static uint32_t noise(void) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return state_of_noise >> 8 ^ state_of_noise << 13;
}

struct own {
    struct oct_requant r;
    int32_t zero, qmin, qmax;
};
static int32_t own_code(const void *user, int64_t acc) {
    const struct own *o = user;
    const int64_t v = oct_requant_apply(&o->r, acc) + o->zero;
    return (int32_t)(v < o->qmin ? o->qmin : v > o->qmax ? o->qmax : v);
}

/* A double holds an int32 and the product of two floats exactly, so this rounds where fp32 does and nowhere else. */
static int32_t fp32_by_hand(const struct oct_fp32_rq *r, int64_t acc) {
    const double x = (double)(float)((double)(float)(double)acc * (double)r->scale);
    const double clamped = fmin(fmax(x, r->qmin - r->zero), r->qmax - r->zero), below = floor(clamped), rest = clamped - below;
    const int64_t whole = (int64_t)below;
    return (int32_t)(whole + (rest > 0.5 || (rest == 0.5 && (whole & 1)))) + r->zero;
}

/* Both ways, on every accumulator. Returns what the proof says. */
static bool check(struct oct_steps *s, double m, float scale, int32_t zero, int32_t qmin, int32_t qmax, int64_t lo, int64_t hi) {
    struct own o = {.zero = zero, .qmin = qmin, .qmax = qmax};
    const struct oct_fp32_rq f = {scale, zero, qmin, qmax};
    assert_true(oct_requant_from_real(OCT_profile_q31, m, &o.r));
    bool equal = true;
    for (int64_t acc = lo; acc <= hi; acc++) {
        assert_int_equal(oct_fp32_rq_code(&f, acc), fp32_by_hand(&f, acc));
        equal &= own_code(&o, acc) == oct_fp32_rq_code(&f, acc);
    }
    oct_steps_find(s, own_code, &o, lo, hi, m, zero);
    assert_true(s->n >= 2 && s->n <= 512);
    assert_int_equal(oct_steps_agree(s, oct_fp32_rq_code, &f), equal);
    oct_steps_find(s, oct_fp32_rq_code, &f, lo, hi, m * (noise() % 3), -zero); /* whatever the guess */
    assert_int_equal(oct_steps_agree(s, own_code, &o), equal);
    return equal;
}

static void says_equal_exactly_where_it_is(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 256);
    unsigned proved = 0, refused = 0;
    for (int i = 0; i < 300; i++) {
        const double m = ldexp(1.0 + (double)noise() / 4294967296.0, -6 - (int)(noise() % 9));
        const int64_t lo = -(int64_t)(noise() % 60000), hi = noise() % 60000;
        const int32_t zero = (int32_t)(noise() % 256) - 128, qmin = i % 3 ? -128 : zero;
        if (check(&s, m, (float)m, zero, qmin, 127, lo, hi)) proved++;
        else refused++;
    }
    assert_true(proved > 50 && refused > 10); /* both happen */
    oct_ctx_free(&cx);
}

/* A multiplier of 2^-k meets ties: upwards in q31, to even in fp32. One accumulator decides. */
static void one_tie_at_the_end_is_a_near_miss(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 256);
    assert_true(check(&s, 0x1p-4, 0x1p-4f, 0, -128, 127, -7, 7));
    assert_false(check(&s, 0x1p-4, 0x1p-4f, 0, -128, 127, -7, 8));        /* 8 / 16: 1 and 0 */
    assert_true(check(&s, 0x1p-4, 0x1p-4f, 0, -128, 127, -8, 7));         /* -8 / 16: 0 and 0 */
    assert_false(check(&s, 0x1p-4, 0x1p-4f, 0, -128, 127, -24, 7));       /* -24 / 16: -1 and -2 */
    assert_true(check(&s, 0x1p-4, 0x1.000002p-4f, 0, 0, 127, -24, 2040)); /* an ulp more, and no negative codes: ties go up */
    oct_ctx_free(&cx);
}

/* Beyond 2^24 accumulators round on their way to fp32: still monotone, so the proof stays right. */
static void large_accumulators(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 256);
    unsigned proved = 0, refused = 0;
    for (int i = 0; i < 40; i++) {
        const double m = ldexp(1.0 + (double)noise() / 4294967296.0, -14 - (int)(noise() % 6));
        const int64_t lo = 20000000 - (int64_t)(noise() % 4000000);
        if (check(&s, m, (float)m, -(int32_t)(2e7 * m), -128, 127, lo, lo + 50000)) proved++;
        else refused++;
    }
    assert_true(proved && refused);
    oct_ctx_free(&cx);
}

static int32_t identity(const void *user, int64_t acc) {
    (void)user;
    return (int32_t)acc;
}
static void more_codes_than_there_is_room_for(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 4);
    oct_steps_find(&s, identity, NULL, 0, 3, 1, 0);
    assert_true(s.n == 8 && oct_steps_agree(&s, identity, NULL));
    oct_steps_find(&s, identity, NULL, 0, 4, 1, 0);
    assert_false(oct_steps_agree(&s, identity, NULL));
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_equal_exactly_where_it_is),
        cmocka_unit_test(one_tie_at_the_end_is_a_near_miss),
        cmocka_unit_test(large_accumulators),
        cmocka_unit_test(more_codes_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
