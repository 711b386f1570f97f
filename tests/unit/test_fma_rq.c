/* Requantization by a fused multiply-add: what the search says is equal is equal on every accumulator, by the interpreter's
 * arithmetic; constants one unit off are refused; slopes of all sizes, with and without what a kernel can give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "ir/fma_rq.h"
#include "ir/interp.h"

static uint32_t state_of_noise = 11;
static uint32_t noise(void) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return state_of_noise >> 8 ^ state_of_noise << 13;
}

struct own {
    struct oct_requant r;
    int32_t zero, qmin, qmax;
    const struct oct_fma_rq *fma; /* by it instead */
};
static int32_t own_code(const void *user, int64_t acc) {
    const struct own *o = user;
    const int64_t v = oct_requant_apply(&o->r, acc) + o->zero;
    return (int32_t)(v < o->qmin ? o->qmin : v > o->qmax ? o->qmax : v);
}
static int32_t fma_code(const void *user, int64_t acc) {
    const struct own *o = user;
    int32_t v;
    if (!oct_fma_rq_value(o->fma, acc, &v)) return INT32_MIN;
    return v < o->qmin ? o->qmin : v > o->qmax ? o->qmax : v;
}

struct counts {
    int one, times, two, none, near;
};

/* One random channel; every accumulator of its range. */
static void check(struct oct_steps *s, enum oct_profile p, double m, int64_t lo, int64_t hi, const struct oct_fma_limits *limits,
                  struct counts *n) {
    const int32_t zero = (int32_t)(noise() % 256) - 128, qmin = noise() % 3 ? -128 : zero;
    struct own o = {.zero = zero, .qmin = qmin, .qmax = 127};
    assert_true(oct_requant_from_real(p, m, &o.r));
    oct_steps_find(s, own_code, &o, lo, hi, m, zero);
    struct oct_fma_rq r;
    o.fma = &r;
    if (!oct_fma_rq_fit(s, m, qmin, 127, limits, &r)) {
        n->none++;
        return;
    }
    assert_true(r.times <= limits->times && (limits->two_steps || !(r.before > 0)));
    n->one += !(r.before > 0) && r.times == 1;
    n->times += r.times > 1;
    n->two += r.before > 0;
    for (int64_t acc = lo; acc <= hi; acc++) assert_int_equal(own_code(&o, acc), fma_code(&o, acc));
    /* The constants around it: refused exactly where some accumulator is wrong. */
    for (int i = 0; i < 4; i++) {
        struct oct_fma_rq off = r;
        if (i < 2) off.scale = nextafterf(off.scale, i ? INFINITY : 0);
        else off.bias += i == 2 ? 1 : -1;
        o.fma = &off;
        bool equal = true;
        for (int64_t acc = lo; acc <= hi && equal; acc++) equal = own_code(&o, acc) == fma_code(&o, acc);
        assert_int_equal(oct_steps_agree(s, fma_code, &o), equal);
        n->near += !equal;
    }
}

static void equal_where_it_says_so(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 256);
    static const struct oct_fma_limits limits[] = {{1, false}, {258, false}, {1, true}};
    static const enum oct_profile profiles[] = {OCT_profile_q31, OCT_profile_onnx, OCT_profile_q31};
    struct counts n = {0};
    for (int i = 0; i < 330; i++) {
        const double m = ldexp(1.0 + (double)noise() / 4294967296.0, -(i % 9));
        const int64_t reach = (int64_t)(100 / m) + noise() % 200;
        check(&s, profiles[i % 3], m, -reach, reach + noise() % 50, &limits[noise() % 3], &n);
    }

    assert_true(n.one > 250 && n.none == 0 && n.near > 500);
    for (int i = 0; i < 60; i++) { /* two roundings: no line, but here and there one fits */
        const double m = ldexp(1.0 + (double)noise() / 4294967296.0, -1 - i % 3);
        check(&s, OCT_profile_tflm, m, -(int64_t)(100 / m), (int64_t)(100 / m), &limits[i % 3], &n);
    }
    assert_true(n.none > 20);
    for (int i = 0; i < 20; i++) { /* slopes of which 24 bits are too few */
        const double m = ldexp(1.0 + (double)noise() / 4294967296.0, -13);
        check(&s, OCT_profile_q31, m, -(int64_t)(120 / m), (int64_t)(120 / m), &limits[1 + i % 2], &n);
    }
    assert_true(n.times && n.two && n.near > 500);
    oct_ctx_free(&cx);
}

/* Ties: q31 rounds them up; an accumulator of 2^31 would wrap; slopes of 0; one code alone. */
static void edges(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_steps s;
    oct_steps_init(&s, oct_own(&cx), 256);
    const struct oct_fma_limits limits = {1, true};
    struct counts n = {0};
    for (int e = -9; e < 4; e++) check(&s, OCT_profile_q31, ldexp(1, e), -3000, 3000, &limits, &n);
    check(&s, OCT_profile_q31, 1e-11, -3000, 3000, &limits, &n);
    check(&s, OCT_profile_q31, 0.3, 5, 5, &limits, &n);
    for (int64_t bias = -(1 << 30); bias <= 1 << 30; bias += 1 << 30) { /* dead channels, one code alone or a few */
        check(&s, OCT_profile_q31, 0.01, bias - 4000, bias + 4000, &limits, &n);
        check(&s, OCT_profile_q31, 1e-8, bias - 30000, bias + 30000, &limits, &n);
    }
    assert_int_equal(n.none, 0);
    const struct oct_fma_rq r = {.times = 1, .bias = OCT_FMA_BITS, .scale = 0x1p-10f, .add = 12570624.0f};
    int32_t code;
    assert_true(oct_fma_rq_value(&r, 1024, &code) && code == 1);
    assert_false(oct_fma_rq_value(&r, 0x7f800000 - OCT_FMA_BITS, &code));
    assert_false(oct_fma_rq_value(&r, -OCT_FMA_BITS, &code));
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_where_it_says_so), cmocka_unit_test(edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
