/* fit.c - fits a multiply, an add and a shift to a monotone step function. For a given multiplier and shift the steps leave an
 * interval of addends (often empty, never guessed): each step v at t, the least x with f(x) >= v, asks for
 *   t mul + add >= v 2^shift   and   (t - 1) mul + add < v 2^shift. */
#include "fit.h"

#include <math.h>
#include <string.h>

struct steps {
    int64_t lo, hi, first, last; /* f(lo), f(hi) */
    int64_t *at;                 /* at[i]: least x with f(x) >= first + 1 + i */
    bool below, above; /* f(lo) is no clamp's, f(hi) is no clamp's: the sequence must not fall below or rise above them */
};

static void find_steps(struct oct_arena *a, int64_t (*f)(const void *, int64_t), const void *user, struct steps *s) {
    int64_t n = s->last - s->first;
    s->at = OCT_NEW_N(a, int64_t, n);
    for (int64_t i = 0, from = s->lo; i < n; i++) {
        int64_t low = from, high = s->hi; /* f(high) >= v always; looks for the first such x */
        while (low < high) {
            int64_t mid = low + (high - low) / 2;
            if (f(user, mid) >= s->first + 1 + i) high = mid;
            else low = mid + 1;
        }
        s->at[i] = from = high;
    }
}

__extension__ typedef __int128 wide;

/* The interval of addends for this multiplier and shift. */
static bool addends(const struct steps *s, int64_t mul, int shift, wide *least, wide *most) {
    *least = -((wide)1 << 62);
    *most = (wide)1 << 62;
    for (int64_t i = 0; i < s->last - s->first; i++) {
        wide edge = (wide)(s->first + 1 + i) * ((wide)1 << shift);
        wide need = edge - (wide)s->at[i] * mul, cap = edge - 1 - (wide)(s->at[i] - 1) * mul;
        if (need > *least) *least = need;
        if (cap < *most) *most = cap;
        if (*least > *most) return false;
    }
    wide floor = (wide)s->first * ((wide)1 << shift) - (wide)s->lo * mul,
         roof = (wide)(s->last + 1) * ((wide)1 << shift) - 1 - (wide)s->hi * mul;
    if (s->below && floor > *least) *least = floor;
    if (s->above && roof < *most) *most = roof;
    return *least <= *most;
}

static bool within(wide v, int bits) { return v >= -((wide)1 << (bits - 1)) && v < (wide)1 << (bits - 1); }

enum { STEPS = 256 };

/* Any step function: how many steps lie at or below x. */
static bool table_of_steps(struct oct_arena *a, const struct steps *s, struct oct_fit *out) {
    int64_t n = s->last - s->first;
    if (n >= STEPS || s->lo < INT32_MIN || s->hi >= INT32_MAX) return false;
    int32_t *steps = OCT_NEW_N(a, int32_t, STEPS);
    for (int64_t i = 0; i < STEPS; i++) steps[i] = i < n ? (int32_t)s->at[i] : INT32_MAX;
    *out = (struct oct_fit){.steps = steps, .first = (int32_t)s->first};
    return true;
}

bool oct_fit_step(struct oct_arena *scratch, int64_t (*f)(const void *user, int64_t x), const void *user, int64_t lo, int64_t hi,
                  double slope, int32_t qmin, int32_t qmax, struct oct_fit *out) {
    struct steps s = {.lo = lo, .hi = hi, .first = f(user, lo), .last = f(user, hi)};
    s.below = s.first > qmin;
    s.above = s.last < qmax;
    find_steps(scratch, f, user, &s);
    for (int bits = 32; bits <= 64; bits += 32)
        for (int shift = 0; shift < bits - 1; shift++) {
            double ideal = ldexp(slope, shift);
            if (ideal > 0x1p61) break;
            for (int64_t d = 0; d < 3; d++) {
                int64_t mul = (int64_t)nearbyint(ideal) + (d == 2 ? -1 : d);
                wide least, most;
                if (mul < 0 || !within((wide)lo * mul, bits) || !within((wide)hi * mul, bits)) continue;
                if (!addends(&s, mul, shift, &least, &most)) continue;
                wide add = (wide)1 << shift >> 1; /* plain rounding where it serves */
                if (add < least || add > most) add = least + (most - least) / 2;
                wide low = (wide)lo * mul + add, high = (wide)hi * mul + add;
                if (!within(add, bits) || !within(low, bits) || !within(high, bits)) continue;
                if (!within(low >> shift, 32) || !within(high >> shift, 32)) continue;
                *out = (struct oct_fit){
                    .mul = mul, .add = (int64_t)add, .shift = shift, .wide = bits == 64, .qmin = qmin, .qmax = qmax};
                out->clamps = (low >> shift) < qmin || (high >> shift) > qmax;
                return true;
            }
        }
    return table_of_steps(scratch, &s, out);
}

int32_t oct_fit_value(const struct oct_fit *f, int64_t x) {
    if (f->steps) {
        int32_t n = 0;
        while (f->steps[n] <= x) n++;
        return f->first + n;
    }
    int64_t v = (x * f->mul + f->add) >> f->shift;
    return v < f->qmin ? f->qmin : v > f->qmax ? f->qmax : (int32_t)v;
}

int32_t oct_fit_open(struct oct_kbuild *b, const struct oct_fit *f) {
    if (f->steps) oct_k_fallback(b, "binary search in a table of steps: no multiply and shift is equal");
    return f->steps ? oct_k_const(b, "steps", LP_I32, STEPS, f->steps) : -1;
}

/* Binary search, unrolled: the invariant is that the first n steps are at or below x. */
static struct lp_val search(struct lp_kernel *k, const struct oct_fit *f, int32_t table, struct lp_val x) {
    struct lp_val n = lp_op1(k, "n", LP_OP_mov, lp_scalar(LP_I32), lp_int(LP_I32, 0));
    for (int half = STEPS / 2; half; half /= 2) {
        struct lp_val step = lp_load(k, "step", lp_scalar(LP_I32), table, lp_indexed(lp_at(half - 1), n, 0, STEPS - 2 * half));
        struct lp_val more = lp_op2(k, NULL, LP_OP_add_nw, n, lp_int(LP_I32, half));
        n = lp_op3(k, "n", LP_OP_select, lp_op2(k, NULL, LP_OP_le, step, x), more, n);
    }
    return f->first ? lp_op2(k, NULL, LP_OP_add_nw, n, lp_int(LP_I32, f->first)) : n;
}

struct lp_val oct_fit_build(struct lp_kernel *k, const struct oct_fit *f, int32_t table, struct lp_val x) {
    if (f->steps) return search(k, f, table, x);
    enum lp_elem e = f->wide ? LP_I64 : LP_I32;
    if (f->wide) x = lp_op1(k, NULL, LP_OP_cvt, lp_vector(LP_I64, x.type.lanes), x);
    if (f->mul != 1) x = lp_op2(k, NULL, LP_OP_mul_nw, x, lp_int(e, f->mul));
    if (f->add) x = lp_op2(k, NULL, LP_OP_add_nw, x, lp_int(e, f->add));
    if (f->shift) x = lp_shift(k, NULL, LP_OP_sar, x, f->shift);
    if (f->wide) x = lp_op1(k, "r", LP_OP_cvt, lp_vector(LP_I32, x.type.lanes), x);
    if (!f->clamps) return x;
    x = lp_op2(k, "r", LP_OP_max, x, lp_int(LP_I32, f->qmin));
    return lp_op2(k, "r", LP_OP_min, x, lp_int(LP_I32, f->qmax));
}
