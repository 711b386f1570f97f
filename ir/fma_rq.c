/* fma_rq.c - see fma_rq.h. Requires fmaf to round once, as IEEE 754 does. */
#include "fma_rq.h"

#include <math.h>
#include <string.h>

static const double ONE = 12582912.0; /* 1.5 2^23 */

static float float_of(int32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static int32_t bits_of(float f) {
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Bits of floats >= 0 are in the order of the floats, and every step keeps that order: monotone while nothing is negative in the
 * end and nothing is infinite. */
bool oct_fma_rq_value(const struct oct_fma_rq *r, int64_t acc, int32_t *code) {
    const int64_t bits = acc * r->times + r->bias;
    if (bits <= 0 || bits >= 0x7f800000) return false;
    float x = float_of((int32_t)bits);
    if (r->before > 0) x = fmaf(x, r->before, -r->subtract);
    x = fmaf(x, r->scale, r->add);
    if (!(x >= 0) || isinf(x)) return false;
    *code = bits_of(x) - OCT_FMA_BITS;
    return true;
}

struct clamped {
    const struct oct_fma_rq *r;
    int32_t qmin, qmax;
};
static int32_t clamped_code(const void *user, int64_t acc) {
    const struct clamped *c = user;
    int32_t code;
    if (!oct_fma_rq_value(c->r, acc, &code)) return INT32_MIN; /* equal to none */
    return code < c->qmin ? c->qmin : code > c->qmax ? c->qmax : code;
}

/* Offsets o, open at both ends, with which rne(slope acc + o) is right at all points, as far as doubles can tell. */
struct between {
    double low, high;
};
static struct between offsets(const struct oct_steps *s, double slope, int32_t qmin, int32_t qmax) {
    struct between o = {-INFINITY, INFINITY};
    for (int64_t i = 0; i < s->n; i++) {
        const double y = slope * (double)s->acc[i], low = s->code[i] - 0.5 - y, high = s->code[i] + 0.5 - y;
        if (s->code[i] > qmin && low > o.low) o.low = low;
        if (s->code[i] < qmax && high < o.high) o.high = high;
    }
    return o;
}

/* Integers bias and whole with slope bias - whole in the middle of the offsets, or near enough; bias as near to `from` as can be.
 */
static bool bias_for(double slope, const struct between *o, double from, int64_t *bias, double *whole) {
    enum { TRIES = 600 };
    const double middle = (o->low + o->high) / 2, start = rint(slope * from - middle);
    for (int i = 0; i < TRIES; i++) {
        *whole = start + (i & 1 ? (i + 1) / 2 : -(i / 2));
        const double b = rint((middle + *whole) / slope), offset = slope * b - *whole;
        if (!(fabs(b - from) < 0x1p22)) return false;
        *bias = (int64_t)b;
        if (offset > o->low && offset < o->high) return true;
    }
    return false;
}

/* One slope: times `scale` (and `before`), already chosen. */
static bool try_slope(const struct oct_steps *s, int32_t qmin, int32_t qmax, struct oct_fma_rq *r) {
    const double before = r->before > 0 ? (double)r->before : 1, unit = (double)r->scale * before; /* of the sum as it comes */
    const double zero = r->before > 0 ? 0 : ONE; /* x is more than the sum by it */
    struct between o = offsets(s, unit * r->times, qmin, qmax);
    if (isinf(o.low)) o.low = o.high - 1; /* one side alone counts */
    if (isinf(o.high)) o.high = o.low + 1;
    int64_t bias;
    double whole;
    /* the accumulators that count in the middle: there floats hold most of their multiples */
    const double from = zero - rint((double)r->times * (double)(s->acc[1] / 2 + s->acc[s->n - 2] / 2));
    if (!(o.low < o.high) || !bias_for(unit, &o, from, &bias, &whole)) return false;
    const double add = ONE - whole;
    if (fabs(add) > 0x1p24) return false;
    r->bias = bias - (int64_t)zero + OCT_FMA_BITS;
    r->subtract = (float)(before * ONE);
    r->add = (float)add;
    const struct clamped user = {r, qmin, qmax};
    return oct_steps_agree(s, clamped_code, &user);
}

static bool constant(const struct oct_steps *s, int32_t code, struct oct_fma_rq *r) {
    *r = (struct oct_fma_rq){
        .times = 1, .bias = OCT_FMA_BITS - s->acc[0] / 2 - s->acc[s->n - 1] / 2, .scale = 0, .add = (float)(ONE + code)};
    const struct clamped user = {r, code, code};
    return oct_steps_agree(s, clamped_code, &user);
}

bool oct_fma_rq_fit(const struct oct_steps *s, double m, int32_t qmin, int32_t qmax, const struct oct_fma_limits *limits,
                    struct oct_fma_rq *r) {
    enum { NEAR = 2, MOST_BEFORE = 127 };
    if (s->n == 0) return false;
    if (s->code[0] == s->code[s->n - 1]) return constant(s, s->code[0], r);
    if (!(m > 0x1p-40 && m < 0x1p20)) return false;
    for (int two = 0; two <= limits->two_steps; two++)
        for (int by = two ? 3 : 1; by <= (two ? MOST_BEFORE : limits->times); by += 2) { /* twice a slope has the same bits */
            const float nearest = (float)(m / by);
            for (int ulp = 0; ulp <= (by == 1 ? 2 * NEAR : 0); ulp++) {
                const int32_t away = ulp & 1 ? (ulp + 1) / 2 : -(ulp / 2);
                *r = (struct oct_fma_rq){
                    .times = two ? 1 : by, .before = two ? (float)by : 0, .scale = float_of(bits_of(nearest) + away)};
                if (try_slope(s, qmin, qmax, r)) return true;
            }
        }
    return false;
}
