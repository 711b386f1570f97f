/* layer.c - see layer.h. */
#include "layer.h"

#include <inttypes.h>

static int64_t weight(const struct oct_node *w, int64_t i) {
    switch (w->type.dtype) {
    case OCT_U4:
    case OCT_U8: return ((const uint8_t *)w->data)[i];
    case OCT_I16: return ((const int16_t *)w->data)[i];
    default: return ((const int8_t *)w->data)[i];
    }
}

static bool const_or_absent(const struct oct_kbuild *b, int i) {
    return i >= b->nin || !b->in[i].node || b->in[i].node->op == OCT_OP_const;
}
bool oct_layer_fits(const struct oct_kbuild *b) { return oct_layer_fits_sums(b) && oct_dtype_size(b->node->type.dtype) <= 2; }
bool oct_layer_fits_sums(const struct oct_kbuild *b) {
    const struct oct_type *x = &b->in[0].node->type, *w = &b->in[1].node->type;
    return oct_k_is_codes(x) && oct_k_is_codes(w) && oct_k_is_codes(&b->node->type) && x->q->axis < 0 &&
           b->node->type.q->axis < 0 && const_or_absent(b, 1) && const_or_absent(b, 2) && oct_dtype_size(w->dtype) == 1 &&
           oct_dtype_size(x->dtype) <= 2;
}

static int64_t bias_of(const struct oct_kbuild *b, int64_t o) {
    const struct oct_node *bias = b->nin > 2 ? b->in[2].node : NULL;
    return bias ? oct_load_int(bias->type.dtype, bias->data, o) : 0;
}
/* What codes less the zero point can be; padding is the zero point itself. */
static void input_range(const struct oct_kbuild *b, int64_t *lo, int64_t *hi) {
    const struct oct_node *x = b->in[0].node;
    const int64_t zx = oct_zero(x->type.q, 0);
    int32_t xlo, xhi;
    oct_k_code_range(x, &xlo, &xhi);
    *lo = (xlo < zx ? xlo : zx) - zx;
    *hi = (xhi > zx ? xhi : zx) - zx;
}

/* n weights of output o, from its i-th on, less their zero point. */
static void weights_of(const struct oct_node *w, int64_t o, int64_t i, int64_t n, int16_t *to) {
    const int64_t from = o * (oct_type_elements(&w->type, 1) / w->type.dim[0]) + i;
    const int32_t zero = oct_zero(w->type.q, (uint32_t)o);
    if (w->type.dtype == OCT_I8)
        for (int64_t k = 0; k < n; k++) to[k] = (int16_t)(((const int8_t *)w->data)[from + k] - zero);
    else
        for (int64_t k = 0; k < n; k++) to[k] = (int16_t)(weight(w, from + k) - zero);
}
/* What the weights of an output add up to, the positive ones and the others; and the extremes of all weights so far. */
struct weight_sums {
    int64_t positive, negative;
    int16_t least, most;
};
static void add_up(const struct oct_kbuild *b, int64_t o, struct weight_sums *s) {
    enum { CHUNK = 256 };
    const struct oct_node *w = b->in[1].node;
    const int64_t terms = oct_type_elements(&w->type, 1) / w->type.dim[0];
    s->positive = s->negative = 0;
    for (int64_t i = 0; i < terms; i += CHUNK) {
        int16_t v[CHUNK];
        const int64_t n = terms - i < CHUNK ? terms - i : CHUNK;
        int32_t all = 0, positive = 0;
        weights_of(w, o, i, n, v);
        for (int64_t k = 0; k < n; k++) {
            all += v[k];
            positive += v[k] > 0 ? v[k] : 0;
            s->least = v[k] < s->least ? v[k] : s->least;
            s->most = v[k] > s->most ? v[k] : s->most;
        }
        s->positive += positive;
        s->negative += all - positive;
    }
}

static bool weights_within(const struct oct_kbuild *b, int64_t lo, int64_t hi) {
    struct weight_sums s = {0};
    for (int64_t o = 0; o < b->in[1].node->type.dim[0]; o++) add_up(b, o, &s);
    return s.least >= lo && s.most <= hi;
}
bool oct_layer_narrow(const struct oct_kbuild *b) { return weights_within(b, INT8_MIN, INT8_MAX); }
bool oct_layer_nibbles(const struct oct_kbuild *b) {
    const enum oct_dtype t = b->in[1].node->type.dtype;
    return (t == OCT_I4 || t == OCT_U4) && weights_within(b, oct_dtype_min(OCT_I4), oct_dtype_max(OCT_I4));
}

const int8_t *oct_layer_rows(const struct oct_kbuild *b, struct oct_arena *a) {
    const struct oct_node *w = b->in[1].node;
    const bool conv = w->type.rank == 4;
    const int64_t outputs = w->type.dim[0], c = w->type.dim[1], kh = conv ? w->type.dim[2] : 1, kw = conv ? w->type.dim[3] : 1;
    int8_t *rows = OCT_NEW_N(a, int8_t, outputs * c * kh * kw), *to = rows;
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t ky = 0; ky < kh; ky++)
            for (int64_t kx = 0; kx < kw; kx++)
                for (int64_t i = 0; i < c; i++)
                    *to++ = (int8_t)(weight(w, ((o * c + i) * kh + ky) * kw + kx) - oct_zero(w->type.q, (uint32_t)o));
    return rows;
}

void oct_layer_codes(const struct oct_kbuild *b, int32_t *lo, int32_t *hi) {
    const int64_t zero = oct_zero(b->in[0].node->type.q, 0);
    int64_t least, most;
    input_range(b, &least, &most);
    *lo = (int32_t)(zero + least);
    *hi = (int32_t)(zero + most);
}

int64_t oct_layer_reach(const struct oct_kbuild *b) {
    struct weight_sums s = {0};
    int64_t dlo, dhi, reach = 0;
    input_range(b, &dlo, &dhi); /* <= 0, >= 0 */
    for (int64_t o = 0; o < b->in[1].node->type.dim[0]; o++) {
        add_up(b, o, &s);
        const int64_t lo = bias_of(b, o) + s.positive * dlo + s.negative * dhi,
                      hi = bias_of(b, o) + s.positive * dhi + s.negative * dlo;
        if (-lo > reach) reach = -lo;
        if (hi > reach) reach = hi;
    }
    return reach;
}

/* Zero-point folding, bounds of the accumulator from the weights at hand, the requantizer. */
bool oct_layer_plan(struct layer *l, struct oct_kbuild *b) {
    const struct oct_node *x = b->in[0].node, *w = b->in[1].node, *y = b->node;
    const int64_t zx = oct_zero(x->type.q, 0), outputs = w->type.dim[0];
    int64_t terms = 1;
    for (int a = 1; a < w->type.rank; a++) terms *= w->type.dim[a];
    int32_t qmin, qmax;
    int64_t dlo, dhi;
    input_range(b, &dlo, &dhi);
    /* A sum with terms left out is the sum whose other codes are 0: so partial sums, which start from the folded bias, lie within
     * what codes can give once 0 is one of them. */
    const int64_t clo = dlo + zx, chi = dhi + zx, plo = clo < 0 ? clo : 0, phi = chi > 0 ? chi : 0;
    *l = (struct layer){
        .b = b, .outputs = outputs, .terms = terms, .groups = 1, .w8 = true, .w4 = oct_layer_nibbles(b), .proved = true};
    int16_t *codes = OCT_NEW_N(b->arena, int16_t, outputs * terms);
    double *m = OCT_NEW_N(b->arena, double, outputs);
    l->w = codes;
    l->lo = OCT_NEW_N(b->arena, int64_t, outputs);
    l->hi = OCT_NEW_N(b->arena, int64_t, outputs);
    l->bias = OCT_NEW_N(b->arena, int64_t, outputs);
    int64_t bound = 0;
    enum oct_profile profile = y->at.profile;
    for (int64_t o = 0; o < outputs; o++) {
        const int64_t first = bias_of(b, o);
        int64_t sum = 0, least = 0, most = 0, lo = first, hi = first, zw = oct_zero(w->type.q, (uint32_t)o);
        for (int64_t i = 0; i < terms; i++) {
            int64_t v = weight(w, o * terms + i) - zw;
            codes[o * terms + i] = (int16_t)v;
            if (v < INT8_MIN || v > INT8_MAX) l->w8 = false;
            sum += v;
            least += v < 0 ? v * phi : v * plo;
            most += v < 0 ? v * plo : v * phi;
            lo += v < 0 ? v * dhi : v * dlo;
            hi += v < 0 ? v * dlo : v * dhi;
        }
        l->bias[o] = first - zx * sum;
        l->lo[o] = lo;
        l->hi[o] = hi;
        if (l->bias[o] + least < INT32_MIN || l->bias[o] + most > INT32_MAX) l->proved = false;
        if (lo < INT32_MIN || hi > INT32_MAX) l->wide = true;
        if (-lo > bound) bound = -lo;
        if (hi > bound) bound = hi;
        m[o] = oct_rq_linear(y, x, oct_scale(w->type.q, (uint32_t)o), &profile);
    }
    oct_text_addf(&b->proof, "|acc| <= %" PRId64 "%s, %s. ", bound,
                  l->wide              ? " >= 2^31"
                  : bound <= INT32_MAX ? " < 2^31"
                                       : ", on the negative side alone",
                  l->wide     ? "so sums are 64 bits wide"
                  : l->proved ? "proved, partial sums too"
                              : "proved; partial sums may wrap and come back");
    b->acc_bound = bound;
    if (l->wide) b->overflow_proofs.refused++;
    else b->overflow_proofs.accepted++;
    if (l->wide) oct_k_fallback(b, "sums of 64 bits: an accumulator may reach %" PRId64, bound);
    if (!l->w8) oct_k_fallback(b, "weights of 16 bits: less their zero point they leave 8");
    oct_k_clamp_range(y, &qmin, &qmax);
    return oct_rq_plan(b, profile, (uint32_t)outputs, m, l->lo, l->hi, oct_zero(y->type.q, 0), qmin, qmax, &l->rq);
}

void oct_layer_open(struct layer *l) {
    struct oct_kbuild *b = l->b;
    const int64_t n = l->outputs, words = oct_rq_words(&l->rq);
    l->x = oct_k_in(b, 0);
    l->y = oct_k_out(b);
    int32_t *params = OCT_NEW_N(b->arena, int32_t, n * (words + 1));
    int64_t narrow = l->wide ? 0 : n;
    for (int64_t o = 0; o < narrow; o++) params[o] = (int32_t)(uint32_t)(uint64_t)l->bias[o]; /* modulo 2^32, as the sums are */
    l->words = narrow;
    oct_rq_fill(&l->rq, params + narrow);
    l->params = narrow + words * n ? oct_k_const(b, "params", LP_I32, narrow + words * n, params) : -1;
    l->bias_buf = l->wide ? oct_k_const(b, "bias", LP_I64, n, l->bias) : l->params;
}
