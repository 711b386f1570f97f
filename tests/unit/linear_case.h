/* linear_case.h - random layers: conv2d with every kind of code, zero point, scale and weight. */
#ifndef LINEAR_CASE_H
#define LINEAR_CASE_H

#include "kernel_case.h"

/* What codes the operands hold. Weights are random within [lo, hi). */
struct codes {
    const char *x, *w, *y, *within, *attrs;
};
static const struct codes codes[] = {
    {"i8", "i8", "i8", "(-128,128)", ""},
    {"i8", "i8", "i8", "(127,128)", ""},
    {"i8", "i8", "u8", "(-127,-126)", "profile=tflm"},
    {"u8", "i8", "i8", "(-128,-127)", ""},
    {"u8", "u8", "i8", "(0,256)", "clip=(-9.0,90.0)"},
    {"i8", "i8", "i8", "(-3,4)", "profile=onnx"},
    {"i8", "i4", "i8", "(-8,8)", ""},
    {"u8", "u4", "u8", "(0,16)", ""},
    {"i8", "i4", "i8", "(-8,-7)", "profile=tflm"},
    {"i16", "i8", "i16", "(-128,128)", ""},
    {"i8", "i8", "i16", "(-3,4)", ""},
};
enum { CODES = sizeof codes / sizeof *codes, CODES8 = CODES - 2 }; /* the last have 16 bits */

static inline int32_t lowest(const char *type) { return *type == 'u' ? 0 : strcmp(type, "i8") == 0 ? -128 : 0; }
static inline int32_t highest(const char *type) { return *type == 'u' ? 255 : strcmp(type, "i8") == 0 ? 127 : 0; }

/* Zero points at both ends and inside; scales of the result from "almost all saturates" to "almost all is one code". */
struct params {
    char x[60], y[60], wq[700];
};
static inline struct params params_of(const struct codes *c, int outputs, uint64_t r) {
    static const char *const scales[] = {"0.04", "0.9", "2.5", "60.0"};
    struct params p;
    const bool w_unsigned = *c->w == 'u';
    int zx = r % 3 == 0 ? lowest(c->x) : r % 3 == 1 ? highest(c->x) : (lowest(c->x) + highest(c->x)) / 2 + 3;
    int zy = r / 3 % 3 == 0 ? lowest(c->y) : r / 3 % 3 == 1 ? highest(c->y) : (lowest(c->y) + highest(c->y)) / 2 - 3;
    if (c->x[1] == '1') zx = 0;
    if (c->y[1] == '1') zy = 0;
    snprintf(p.x, sizeof p.x, "scale=0.05 zero=%d", zx);
    snprintf(p.y, sizeof p.y, "%s scale=%s zero=%d", c->y, scales[r / 9 % 4], zy);
    if (w_unsigned || outputs > 40) {
        snprintf(p.wq, sizeof p.wq, "scale=0.013 zero=%d", w_unsigned ? (int)(r % (c->w[1] == '4' ? 16 : 256)) : 0);
    } else { /* a scale for each channel */
        size_t n = (size_t)snprintf(p.wq, sizeof p.wq, "scale[0]=(");
        for (int i = 0; i < outputs; i++)
            n += (size_t)snprintf(p.wq + n, sizeof p.wq - n, "%s%.6f", i ? "," : "",
                                  0.002 + (double)(mix(r + (uint64_t)i) % 1000) * 0.00002);
        snprintf(p.wq + n, sizeof p.wq - n, ")");
    }
    return p;
}

struct shape {
    int n, groups, per_in, per_out, h, w, kh, kw;
    const char *attrs;
};
static inline void check_conv(const struct shape *s, const struct codes *c, bool bias, uint64_t r) {
    const int in = s->groups * s->per_in, out = s->groups * s->per_out;
    struct params p = params_of(c, out, r);
    char b[120] = "";
    if (bias) snprintf(b, sizeof b, "const @b : i32[%d] = random seed=%d within=(-20000,20000)\n", out, (int)(r % 1000));
    kc_check("input x : %s[%d,%d,%d,%d] %s\nconst @w : %s[%d,%d,%d,%d] %s = random seed=%d within=%s\n%sy : %s = conv2d(x, @w%s) "
             "groups=%d %s %s",
             c->x, s->n, in, s->h, s->w, p.x, c->w, out, s->per_in, s->kh, s->kw, p.wq, (int)(r % 997), c->within, b, p.y,
             bias ? ", @b" : "", s->groups, s->attrs, c->attrs);
}

#endif
