/* Runs with the end-to-end tests, for it takes half a minute. Two sweeps over all 2^32 accumulators, profiles q31 and tflm, one
 * multiplier each: against quotients that are carried from one accumulator to the next by addition alone. Half of the line on
 * each of two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "ir/interp.h"
#include "requant_oracle.h"

struct part {
    double m;
    enum oct_profile p;
    int64_t from, to; /* accumulators [from, to) */
    int64_t wrong, first_wrong;
};

/* floor((acc m + half) / 2^s) for acc = from, from + 1, ...: quotient and remainder grow by m each time. tflm rounds that once
 * more, half away from zero, by -e bits. */
static void *sweep(void *arg) {
    struct part *p = arg;
    struct oct_requant r;
    int e;
    const int64_t m = multiplier(p->m, &e);
    const bool twice = p->p == OCT_profile_tflm;
    const int s = twice ? 31 : 31 - e, k = -e;
    p->wrong = !oct_requant_from_real(p->p, p->m, &r);
    const wide v = (wide)p->from * m + ((wide)1 << (s - 1));
    int64_t quotient = (int64_t)floor_div(v, (wide)1 << s), rest = (int64_t)(v - ((wide)quotient << s));
    const int64_t one = (int64_t)1 << s;
    for (int64_t acc = p->from; acc < p->to; acc++) {
        int64_t y = quotient;
        if (twice) y = y < 0 ? -((-y + ((int64_t)1 << k >> 1)) >> k) : (y + ((int64_t)1 << k >> 1)) >> k;
        if (oct_requant_apply(&r, acc) != y && p->wrong++ == 0) p->first_wrong = acc;
        rest += m;
        if (rest >= one) rest -= one, quotient++; /* m < 2^31 <= 2^s */
    }
    return NULL;
}

static void all_accumulators(double m, enum oct_profile p) {
    struct part part[2] = {{m, p, INT32_MIN, 0, 0, 0}, {m, p, 0, (int64_t)INT32_MAX + 1, 0, 0}};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, sweep, &part[0]), 0);
    sweep(&part[1]);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++)
        if (part[i].wrong)
            fail_msg("%lld of 2^31 differ, the first at %lld", (long long)part[i].wrong, (long long)part[i].first_wrong);
}

static void q31(void **state) { (void)state, all_accumulators(0.00123456789, OCT_profile_q31); }
static void tflm(void **state) { (void)state, all_accumulators(0.0371, OCT_profile_tflm); }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(q31), cmocka_unit_test(tflm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
