/* sum.c - exact sums (sum.h). */
#include "sum.h"

#include <math.h>
#include <string.h>

static void negate(struct oct_sum *s) {
    uint64_t carry = 1;
    for (int i = 0; i < OCT_SUM_LIMBS; i++) {
        s->limb[i] = ~s->limb[i] + carry;
        carry = carry && s->limb[i] == 0;
    }
}

void oct_sum_merge(struct oct_sum *into, const struct oct_sum *from) {
    uint64_t carry = 0;
    for (int i = 0; i < OCT_SUM_LIMBS; i++) {
        const uint64_t a = into->limb[i] + carry;
        carry = a < carry;
        into->limb[i] = a + from->limb[i];
        carry += into->limb[i] < a;
    }
}

void oct_sum_add(struct oct_sum *s, double x) {
    int e;
    const double f = frexp(fabs(x), &e); /* |x| = f 2^e, f in [1/2, 1) */
    int at = e - 53 + OCT_SUM_FRACTION;  /* of the lowest of 53 bits */
    uint64_t bits = (uint64_t)ldexp(f, 53);
    if (at < 0) {
        bits = at > -64 ? bits >> -at : 0;
        at = 0;
    }
    struct oct_sum term = {{0}};
    const int limb = at / 64, shift = at % 64;
    term.limb[limb] = bits << shift;
    if (shift && limb + 1 < OCT_SUM_LIMBS) term.limb[limb + 1] = bits >> (64 - shift);
    if (x < 0) negate(&term);
    oct_sum_merge(s, &term);
}

static bool is_negative(const struct oct_sum *s) { return s->limb[OCT_SUM_LIMBS - 1] >> 63; }

double oct_sum_mean(const struct oct_sum *s, uint64_t n) {
    struct oct_sum a = *s;
    const bool minus = is_negative(s);
    if (minus) negate(&a);
    int top = OCT_SUM_LIMBS - 1;
    while (top > 0 && !a.limb[top]) top--;
    uint64_t head = a.limb[top], rest = 0; /* the 64 highest bits, and whether any below is set */
    int e = top * 64 - OCT_SUM_FRACTION;
    if (head && top) {
        int shift = 0;
        while (!(head >> 63)) head <<= 1, shift++;
        if (shift) head |= a.limb[top - 1] >> (64 - shift);
        rest = shift ? a.limb[top - 1] << shift : a.limb[top - 1];
        for (int i = 0; i < top - 1; i++) rest |= a.limb[i];
        e -= shift;
    }
    const double v = ldexp((double)(head | (rest != 0)), e) / (double)n;
    return minus ? -v : v;
}

void oct_sum_print(const struct oct_sum *s, char out[OCT_SUM_TEXT]) {
    static const char digit[] = "0123456789abcdef";
    struct oct_sum a = *s;
    char *p = out;
    if (is_negative(s)) *p++ = '-', negate(&a);
    int low = 0, high = OCT_SUM_LIMBS * 16 - 1; /* digits that are printed */
    const int point = OCT_SUM_FRACTION / 4;
#define DIGIT(i) (a.limb[(i) / 16] >> ((i) % 16 * 4) & 15)
    while (low < point && !DIGIT(low)) low++;
    while (high > point && !DIGIT(high)) high--;
    for (int i = high; i >= low; i--) {
        if (i == point - 1) *p++ = '.';
        *p++ = digit[DIGIT(i)];
    }
#undef DIGIT
    *p = 0;
}

const char *oct_sum_parse(const char *p, const char *end, struct oct_sum *out) {
    static const char digits[] = "0123456789abcdef";
    const bool minus = p < end && *p == '-';
    p += minus;
    const char *start = p, *point = NULL;
    while (p < end && *p && (strchr(digits, *p) || (*p == '.' && !point))) {
        if (*p == '.') point = p;
        p++;
    }
    const char *whole_end = point ? point : p;
    const int whole = OCT_SUM_LIMBS * 16 - OCT_SUM_FRACTION / 4;
    if (whole_end == start || whole_end - start > whole || (point && (p == point + 1 || p - point - 1 > OCT_SUM_FRACTION / 4)))
        return NULL;
    *out = (struct oct_sum){{0}};
    int at = (int)(whole_end - start) - 1 + OCT_SUM_FRACTION / 4;
    for (const char *c = start; c < p; c++) {
        if (*c == '.') continue;
        out->limb[at / 16] |= (uint64_t)(strchr(digits, *c) - digits) << (at % 16 * 4);
        at--;
    }
    if (is_negative(out)) return NULL;
    if (minus) negate(out);
    return p;
}
