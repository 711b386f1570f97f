/* requant.c - rounding profiles, and one value quantized or dequantized: docs/numerics.md, sections 2 and 6, in the
 * most literal form, 128-bit integers where 64 bits do not hold the formula. Requires round-to-nearest-even and
 * -ffp-contract=off. */
#include "interp_impl.h"

__extension__ typedef __int128 wide;

static int64_t clamp64(wide v) { return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v; }
static int32_t sat32(wide v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v; }

bool oct_requant_from_real(enum oct_profile p, double m, struct oct_requant *r) {
    *r = (struct oct_requant){.profile = p};
    if (!(m > 0 && m < 0x1p30)) return false;
    int e;
    double f = frexp(m, &e);
    switch (p) {
    case OCT_profile_onnx: r->scale = (float)m; return true;
    case OCT_profile_pot: r->exponent = e - 1; return f == 0.5;
    default: break;
    }
    double q = round(f * 0x1p31);
    if (q == 0x1p31) q = 0x1p30, e++;
    if (e > 30) return false;
    if (p == OCT_profile_tflm && e < -31) q = 0, e = 0;
    r->multiplier = (int32_t)q;
    r->exponent = e;
    return true;
}

bool oct_requant_from_scales(enum oct_profile p, float s_in, float s_w, float s_out, struct oct_requant *r) {
    if (p != OCT_profile_onnx) return oct_requant_from_real(p, (double)s_in * (double)s_w / (double)s_out, r);
    float product = s_in * s_w; /* each step rounded to fp32 */
    *r = (struct oct_requant){.profile = p, .scale = product / s_out};
    return r->scale >= 0 && r->scale < 0x1p30f;
}

bool oct_requant_linear(enum oct_profile p, enum oct_dtype x, float s_in, float s_w, float s_out, struct oct_requant *r) {
    if (!oct_requant_from_scales(p, s_in, s_w, s_out, r)) return false;
    if (p != OCT_profile_tflm || x != OCT_I16) return true;
    /* TFLite's form for 16-bit activations, a 16-bit multiplier and one rounding, is q31 with the rounded multiplier. */
    const int32_t m = r->multiplier < 0x7FFF0000 ? (r->multiplier + (1 << 15)) >> 16 : 0x7FFF;
    r->profile = OCT_profile_q31;
    r->multiplier = m * 65536;
    return true;
}

/* floor(v / 2^s + 1/2); |v| < 2^95 */
static int64_t round_shift(wide v, int s) {
    if (s > 96) return 0;
    if (s <= 0) return clamp64(v * ((wide)1 << -s));
    return clamp64((v + ((wide)1 << (s - 1))) >> s);
}

/* gemmlowp's SaturatingRoundingDoublingHighMul: a b / 2^31, ties toward +inf (the nudges and the truncation amount to that). */
int32_t oct_srdhm(int32_t a, int32_t b) {
    int64_t ab = (int64_t)a * b;
    return sat32((ab + (ab >= 0 ? (1 << 30) : 1 - (1 << 30))) / ((int64_t)1 << 31));
}

/* gemmlowp's RoundingDivideByPOT: half away from zero; 0 <= s <= 31. */
int32_t oct_rdbpot(int32_t x, int s) {
    int64_t mask = ((int64_t)1 << s) - 1;
    int64_t remainder = x & mask, threshold = (mask >> 1) + (x < 0);
    return (int32_t)(((int64_t)x >> s) + (remainder > threshold));
}

int64_t oct_requant_apply(const struct oct_requant *r, int64_t acc) {
    switch (r->profile) {
    case OCT_profile_tflm: {
        int left = r->exponent > 0 ? r->exponent : 0;
        int32_t x = left == 0 && acc == (int32_t)acc ? (int32_t)acc : sat32((wide)acc * ((wide)1 << left));
        return oct_rdbpot(oct_srdhm(x, r->multiplier), left - r->exponent);
    }
    case OCT_profile_onnx: {
        float v = (float)acc * r->scale;
        if (v >= 0x1p31f) return INT32_MAX;
        if (v < -0x1p31f) return INT32_MIN;
        return (int64_t)rintf(v);
    }
    case OCT_profile_pot: return round_shift(acc, -r->exponent);
    default: {
        int s = 31 - r->exponent;
        if (acc == (int32_t)acc && s < 63) return (acc * r->multiplier + ((int64_t)1 << (s - 1))) >> s; /* 64 bits hold it */
        return round_shift((wide)acc * r->multiplier, s);
    }
    }
}

int32_t oct_requant_code(const void *codes, int64_t acc) {
    const struct oct_requant_codes *c = codes;
    const int64_t v = oct_requant_apply(&c->r, acc) + c->zero;
    return (int32_t)(v < c->lo ? c->lo : v > c->hi ? c->hi : v);
}

int32_t oct_quantize1(float x, float scale, int32_t zero, int32_t qmin, int32_t qmax, enum oct_divide d, enum oct_order o) {
    float v = d == OCT_divide_rcp ? x * (1.0f / scale) : x / scale;
    if (isnan(v)) return zero;
    int64_t shift = zero;
    if (o == OCT_order_after) v = v + (float)zero, shift = 0;
    double lo = (double)(qmin - shift), hi = (double)(qmax - shift); /* in double every bound is exact */
    double c = (double)v < lo ? lo : (double)v > hi ? hi : (double)v;
    return (int32_t)((int64_t)rint(c) + shift);
}

float oct_dequantize1(int32_t q, float scale, int32_t zero) { return scale * (float)((int64_t)q - zero); }
