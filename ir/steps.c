/* steps.c - see steps.h. */
#include "steps.h"

#include <math.h>

void oct_steps_init(struct oct_steps *s, struct oct_arena *a, int64_t codes) {
    const int64_t room = 2 * codes; /* both ends, two points for each of codes - 1 steps */
    *s = (struct oct_steps){.room = room, .acc = OCT_NEW_N(a, int64_t, room), .code = OCT_NEW_N(a, int32_t, room)};
}

static void add(struct oct_steps *s, int64_t acc, int32_t code) {
    s->acc[s->n] = acc;
    s->code[s->n++] = code;
}

/* The least acc in (lo, hi] with f(acc) >= code, given f(lo) < code <= f(hi) = *value; and its value. The guess is where a line
 * reaches the code: seldom off by more than the rounding of its slope. */
static int64_t first_reaching(oct_code_fn *f, const void *user, int32_t code, int64_t lo, int64_t hi, double guess,
                              int32_t *value) {
    enum { NEAR = 3 };
    if (guess > (double)(lo + NEAR) && guess < (double)(hi - NEAR))
        for (int64_t off = 0; off < NEAR; off += 2) {
            const int64_t high = (int64_t)ceil(guess) + off, low = high - 1 - 2 * off;
            const int32_t reached = f(user, high);
            if (reached < code || f(user, low) >= code) continue;
            lo = low, hi = high;
            *value = reached;
            break;
        }
    while (hi - lo > 1) {
        const int64_t mid = lo + (hi - lo) / 2;
        const int32_t there = f(user, mid);
        if (there < code) lo = mid;
        else hi = mid, *value = there;
    }
    return hi;
}

void oct_steps_find(struct oct_steps *s, oct_code_fn *f, const void *user, int64_t lo, int64_t hi, double slope, double zero) {
    const int32_t top = f(user, hi);
    int32_t code = f(user, lo);
    s->n = 0;
    add(s, lo, code);
    for (int64_t at = lo; code < top;) {
        if (s->n + 3 > s->room) {
            s->n = 0; /* more codes than was said: nothing is proved */
            return;
        }
        int32_t reached = top;
        at = first_reaching(f, user, code + 1, at, hi, ((double)code + 0.5 - zero) / slope, &reached);
        add(s, at - 1, code);
        add(s, at, code = reached);
    }
    add(s, hi, top);
}

bool oct_steps_agree(const struct oct_steps *s, oct_code_fn *g, const void *user) {
    for (int64_t i = 0; i < s->n; i++)
        if (g(user, s->acc[i]) != s->code[i]) return false;
    return s->n > 0;
}

int32_t oct_fp32_rq_code(const void *rq, int64_t acc) {
    const struct oct_fp32_rq *r = rq;
    const float least = (float)(r->qmin - r->zero), most = (float)(r->qmax - r->zero), x = (float)acc * r->scale;
    return (int32_t)rintf(x < least ? least : x > most ? most : x) + r->zero;
}
