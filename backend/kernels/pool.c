/* pool.c - max_pool2d, avg_pool2d, mean, on codes and on floats. Sums of codes are exact; the division by the number of elements
 * and the change of scale are one fitted step function (fit.h) per number of elements. docs/numerics.md 4.2, 4.6, 7. */
#include <math.h>

#include "fit.h"
#include "fixed.h"
#include "map.h"
#include "real.h"
#include "window.h"

enum { UNROLL = 16 }; /* taps */

static bool rank4(const struct oct_kbuild *b) { return b->node->type.rank == 4; }

static void axes_of(struct oct_kbuild *b, struct oct_axis *y, struct oct_axis *x) {
    const struct oct_attrs *at = &b->node->at;
    const int64_t *in = b->in[0].at.dim, *out = b->out.at.dim;
    bool dilates = b->node->op == OCT_OP_max_pool2d;
    *y = oct_window_axis(b->arena, in[2], out[2], at->kernel[0], at->stride[0], dilates ? at->dilation[0] : 1, at->pad[0]);
    *x = oct_window_axis(b->arena, in[3], out[3], at->kernel[1], at->stride[1], dilates ? at->dilation[1] : 1, at->pad[1]);
}

/* ---- max
 * ------------------------------------------------------------------------------------------------------------------------- */

/* A NaN once met stays: x > best is false for it, so it is asked for. */
static struct lp_val greater(struct lp_kernel *k, struct lp_val best, struct lp_val v) {
    if (v.type.elem != LP_F32) return lp_op2(k, "best", LP_OP_max, best, v);
    struct lp_val wins = lp_op2(k, NULL, LP_OP_or, lp_op2(k, NULL, LP_OP_lt, best, v), lp_op2(k, NULL, LP_OP_ne, v, v));
    return lp_op3(k, "best", LP_OP_select, wins, v, best);
}

/* One rectangle of outputs: a channel of a window, or a vector of them. */
struct most {
    const struct oct_window *w;
    struct lp_val best;
    int32_t in, out;
    bool first; /* nothing in `best` yet */
};

static void max_tap(struct oct_kbuild *b, void *user, struct lp_addr at, struct lp_addr weight) {
    (void)weight;
    struct most *m = user;
    struct lp_val v = lp_load(b->k, "v", m->best.type, m->in, at);
    lp_set(b->k, m->best, m->first ? v : greater(b->k, m->best, v));
    m->first = false;
}

static void max_channels(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    struct most *m = user;
    const enum lp_elem e = b->k->buf[m->out].elem;
    m->best = lp_reg(b->k, lp_vector(e, lanes), "best");
    m->first = m->w->taps > 0 && m->w->taps <= UNROLL && e != LP_F32;
    if (!m->first) lp_set(b->k, m->best, e == LP_F32 ? lp_flt(LP_F32, -INFINITY) : lp_int(e, oct_dtype_min(b->node->type.dtype)));
    oct_window_taps(b, m->w, at[1], lp_at(0), 0, 0, UNROLL, max_tap, m);
    lp_store(b->k, m->out, at[0], m->best);
}

/* fn for all channels of a window, in vectors of at most `lanes` where they are neighbours in memory. */
static void each_channel(struct oct_kbuild *b, const struct oct_window *w, int lanes, oct_chunk_fn *fn, void *user) {
    const int64_t stride[2] = {b->out.at.stride[1], b->in[0].at.stride[1]}, channels = b->out.at.dim[1];
    const bool neighbours = channels == 1 || (stride[0] == 1 && stride[1] == 1);
    if (lanes > 1 && !neighbours) oct_k_fallback(b, "scalar code: channels that are no neighbours in memory");
    if (neighbours && lanes > 1 && channels >= lanes) oct_k_say_lanes(b, lanes);
    oct_k_chunks(b, "c", channels, neighbours ? lanes : 1, OCT_FEWEST, 2, stride, (struct lp_addr[]){w->out, w->in}, fn, user);
}

bool oct_fits_max_pool(const struct oct_kbuild *b) { return rank4(b); }

bool oct_build_max_pool(struct oct_kbuild *b) {
    struct oct_axis y, x;
    axes_of(b, &y, &x);
    struct most m = {.in = oct_k_in(b, 0), .out = oct_k_out(b)};
    for (int iy = 0; iy < y.nruns; iy++)
        for (int ix = 0; ix < x.nruns; ix++) {
            struct oct_window w = oct_window_open(b, &y, iy, &x, ix);
            m.w = &w;
            each_channel(b, &w, oct_vec_lanes(b->target, b->k->buf[m.out].elem), max_channels, &m);
            oct_k_close(b, w.loops);
        }
    return true;
}

/* ---- averages of codes
 * ------------------------------------------------------------------------------------------------------------- */

/* What an average has to give for a sum of raw codes: the definitions of docs/numerics.md 4.2, in 128 bits. */
__extension__ typedef __int128 wide;
struct average {
    enum oct_profile profile;
    bool pool;         /* avg_pool2d, else mean */
    bool same;         /* equal parameters */
    int64_t n, inside; /* divisor; elements inside the image */
    int64_t zx, zy, qmin, qmax;
    int64_t m; /* M = s_x / s_y = m 2^(e - 31) */
    int e;
};

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }
static wide floor_div(wide a, wide n) { return a >= 0 ? a / n : -((-a + n - 1) / n); }

static int64_t tflm(int64_t acc, int64_t m, int e) {
    if (e < -31) return 0;
    return oct_fx_shift(oct_fx_mul(oct_fx_sat(acc * ((int64_t)1 << (e > 0 ? e : 0))), m), e < 0 ? -e : 0);
}

static int64_t average(const void *user, int64_t raw) {
    const struct average *a = user;
    int64_t s = raw - a->inside * a->zx, v;
    if (a->profile != OCT_profile_tflm) {
        wide rounded = (wide)s * a->m + (wide)a->n * ((wide)1 << (30 - a->e));
        v = 31 - a->e >= 100 ? 0 : (int64_t)floor_div(floor_div(rounded, (wide)1 << (31 - a->e)), a->n);
    } else if (a->pool) {
        int64_t c = raw + (a->n - a->inside) * a->zx;
        int64_t p = (c + (c > 0 ? a->n / 2 : -(a->n / 2))) / a->n;
        if (a->same) return clamp(p, a->qmin, a->qmax);
        v = tflm(p - a->zx, a->m, a->e);
    } else {
        int k = 0;
        while (k < 32 && a->n >> (k + 1)) k++;
        if (k > 31 + a->e) k = 31 + a->e;
        v = tflm(s, ((int64_t)a->m << (k > 0 ? k : 0)) / a->n, a->e - (k > 0 ? k : 0));
    }
    return clamp(v + a->zy, a->qmin, a->qmax);
}

/* The fitted sequence for windows of `inside` elements divided by n; false after a diagnostic. */
static bool plan_average(struct oct_kbuild *b, int64_t n, int64_t inside, struct oct_fit *fit) {
    const struct oct_node *x = b->in[0].node, *y = b->node;
    int32_t lo, hi;
    oct_k_code_range(x, &lo, &hi);
    struct average a = {.profile = y->at.profile,
                        .pool = y->op == OCT_OP_avg_pool2d,
                        .same = oct_quant_equal(x->type.q, y->type.q),
                        .n = n,
                        .inside = inside,
                        .zx = oct_zero(x->type.q, 0),
                        .zy = oct_zero(y->type.q, 0),
                        .qmin = oct_dtype_min(y->type.dtype),
                        .qmax = oct_dtype_max(y->type.dtype)};
    double m = (double)oct_scale(x->type.q, 0) / (double)oct_scale(y->type.q, 0);
    a.m = (int64_t)round(frexp(m, &a.e) * 0x1p31);
    if (a.m == (int64_t)1 << 31) {
        a.m /= 2;
        a.e++;
    }
    bool ok = a.e <= 30 && a.n < (int64_t)1 << 22 && (double)inside * 65536 < 0x1p30 &&
              oct_fit_step(b->arena, average, &a, inside * lo, inside * hi, m / (double)n, (int32_t)a.qmin, (int32_t)a.qmax, fit);
    if (ok && !fit->steps) b->proofs_accepted++;
    else b->proofs_refused++;
    if (!ok)
        oct_error(b->cx, y->span, OCT_E6003, "%s: no integer sequence of 64 bits gives the mean of %lld elements at these scales",
                  y->name, (long long)n);
    return ok;
}

static void say_average(struct oct_kbuild *b, int64_t n, int64_t inside, const struct oct_fit *fit) {
    int32_t lo, hi;
    oct_k_code_range(b->in[0].node, &lo, &hi);
    if (b->proof.len) return; /* the first window speaks for all */
    if (fit->steps) {
        oct_text_addf(&b->proof, "sum in [%lld, %lld]; mean of %lld by a table of its steps", (long long)(inside * lo),
                      (long long)(inside * hi), (long long)n);
        return;
    }
    oct_text_addf(&b->proof, "sum in [%lld, %lld], %d bits; (sum * %lld + %lld) >> %d equals the mean of %lld at every step",
                  (long long)(inside * lo), (long long)(inside * hi), fit->wide ? 64 : 32, (long long)fit->mul,
                  (long long)fit->add, fit->shift, (long long)n);
}

/* A sum of codes in i32, or in i16 where all of it fits; or of real values. One, or a vector of channels. */
struct sum {
    struct lp_val acc;
    int32_t in, out;
    bool first;
    const struct oct_window *w;
    const struct mean *mean;
    unsigned reduced; /* axes of a mean */
};

static void sum_tap(struct oct_kbuild *b, void *user, struct lp_addr at, struct lp_addr weight) {
    (void)weight;
    struct sum *s = user;
    const bool real = s->acc.type.elem == LP_F32;
    const int lanes = s->acc.type.lanes;
    struct lp_val v = lp_load(b->k, NULL, lp_vector(b->k->buf[s->in].elem, lanes), s->in, at);
    if (real) v = oct_r_value(b, 0, v);
    else if (v.type.elem != s->acc.type.elem) v = lp_op1(b->k, NULL, LP_OP_cvt, s->acc.type, v);
    if (s->first) lp_set(b->k, s->acc, v);
    else lp_op_to(b->k, s->acc, real ? LP_OP_fadd : LP_OP_add_nw, 2, (struct lp_val[]){s->acc, v}, 0);
    s->first = false;
}

/* Elements that an average counts: those inside, or with count_pad those inside the padded image (the same for all of a run). */
static int64_t divisor(const struct oct_attrs *at, const struct oct_axis *ax, const struct oct_run *r, int64_t pad_after) {
    if (!at->count_pad) return r->tap_end - r->tap;
    int64_t from = r->first * ax->stride - ax->pad, to = from + ax->kernel, last = ax->in + pad_after;
    return (to < last ? to : last) - from;
}

/* Sums are floats: of floats, or of codes under profile onnx. */
static bool real_sum(const struct oct_kbuild *b) { return oct_k_is_float(&b->node->type) || oct_r_through_float(b); }
static bool requantizes(const struct oct_kbuild *b) {
    return oct_k_is_codes(&b->node->type) && oct_k_is_codes(&b->in[0].node->type) && b->node->at.profile != OCT_profile_onnx;
}
bool oct_fits_avg_pool(const struct oct_kbuild *b) { return rank4(b) && requantizes(b); }
bool oct_fits_avg_pool_real(const struct oct_kbuild *b) { return rank4(b) && real_sum(b); }

/* How the sum of a window becomes its mean. */
struct mean {
    int64_t n, inside;
    struct oct_fit fit;
    int32_t table;
};

/* Before any loop: what the mean of `inside` elements over n needs. Codes only; false after a diagnostic. */
static bool open_mean(struct oct_kbuild *b, int64_t n, int64_t inside, struct mean *m) {
    *m = (struct mean){.n = n, .inside = inside};
    if (!n || real_sum(b)) return true;
    if (!plan_average(b, n, inside, &m->fit)) return false;
    say_average(b, n, inside, &m->fit);
    m->table = oct_fit_open(b, &m->fit);
    return true;
}

/* The element type of a sum: narrow in vectors, where the extremes of the codes times their number fit. */
static enum lp_elem sum_elem(const struct oct_kbuild *b, const struct mean *m, int lanes) {
    int32_t lo, hi;
    if (real_sum(b)) return LP_F32;
    oct_k_code_range(b->in[0].node, &lo, &hi);
    return lanes > 1 && m->inside * lo >= INT16_MIN && m->inside * hi <= INT16_MAX ? LP_I16 : LP_I32;
}

static int mean_lanes(const struct oct_kbuild *b, const struct mean *m) {
    return m->fit.steps ? 1 : oct_vec_lanes(b->target, m->n ? sum_elem(b, m, 2) : LP_I32);
}

/* The codes of a vector of sums, as many at a time as a register holds at the width of the division. */
static void store_fitted(struct oct_kbuild *b, int32_t out, struct lp_addr at, struct lp_val acc, const struct mean *m) {
    const int lanes = acc.type.lanes, most = oct_vec_lanes(b->target, m->fit.wide ? LP_I64 : LP_I32);
    uint8_t lane[64];
    for (int first = 0; first < lanes; first += most) {
        const int n = lanes - first < most ? lanes - first : most;
        for (int l = 0; l < n; l++) lane[l] = (uint8_t)(first + l);
        const struct lp_val part = n < lanes ? lp_shuffle(b->k, "sum", acc, acc, n, lane) : acc;
        oct_k_store_code(b, out, lp_offset(at, first), oct_fit_build(b->k, &m->fit, m->table, oct_k_code_of(b, part)));
    }
}

static void store_mean(struct oct_kbuild *b, int32_t out, struct lp_addr at, struct lp_val acc, const struct mean *m) {
    const struct lp_type to = lp_vector(b->k->buf[out].elem, acc.type.lanes);
    if (acc.type.elem == LP_F32)
        oct_r_store(b, out, at,
                    m->n ? lp_op2(b->k, "mean", LP_OP_fdiv, acc, lp_flt(LP_F32, (double)(float)m->n))
                         : lp_op1(b->k, "mean", LP_OP_mov, acc.type, lp_flt(LP_F32, 0)));
    else if (!m->n)
        lp_store(b->k, out, at, lp_op1(b->k, NULL, LP_OP_mov, to, lp_int((enum lp_elem)to.elem, oct_zero(b->node->type.q, 0))));
    else store_fitted(b, out, at, acc, m);
}

static void average_channels(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    struct sum *s = user;
    const enum lp_elem e = sum_elem(b, s->mean, lanes);
    s->acc = lp_reg(b->k, lp_vector(e, lanes), "sum");
    s->first = e != LP_F32 && s->w->taps > 0 && s->w->taps <= UNROLL;
    if (!s->first) lp_set(b->k, s->acc, e == LP_F32 ? lp_flt(LP_F32, 0) : lp_int(e, 0));
    oct_window_taps(b, s->w, at[1], lp_at(0), 0, 0, UNROLL, sum_tap, s);
    store_mean(b, s->out, at[0], s->acc, s->mean);
}

bool oct_build_avg_pool(struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    struct oct_axis y, x;
    axes_of(b, &y, &x);
    struct sum s = {.in = oct_k_in(b, 0), .out = oct_k_out(b)};
    for (int iy = 0; iy < y.nruns; iy++)
        for (int ix = 0; ix < x.nruns; ix++) {
            const struct oct_run *ry = &y.run[iy], *rx = &x.run[ix];
            int64_t n = divisor(at, &y, ry, at->pad[2]) * divisor(at, &x, rx, at->pad[3]);
            struct mean m;
            if (!open_mean(b, n, (ry->tap_end - ry->tap) * (rx->tap_end - rx->tap), &m)) return false;
            struct oct_window w = oct_window_open(b, &y, iy, &x, ix);
            s.w = &w;
            s.mean = &m;
            each_channel(b, &w, mean_lanes(b, &m), average_channels, &s);
            oct_k_close(b, w.loops);
        }
    return true;
}

/* ---- mean over axes
 * ------------------------------------------------------------------------------------------------------------------ */

bool oct_fits_mean(const struct oct_kbuild *b) { return requantizes(b); }
bool oct_fits_mean_real(const struct oct_kbuild *b) { return real_sum(b); }

static void mean_of(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    struct sum *s = user;
    const struct oct_layout *in = &b->in[0].at;
    const enum lp_elem e = sum_elem(b, s->mean, lanes);
    struct lp_addr from = at[1];
    int loops = 0;
    s->acc = lp_reg(b->k, lp_vector(e, lanes), "sum");
    lp_set(b->k, s->acc, e == LP_F32 ? lp_flt(LP_F32, 0) : lp_int(e, 0));
    for (int a = 0; a < in->rank; a++) /* row-major: the order that the float sum is defined in */
        if (s->reduced >> a & 1u) oct_k_loop(b, "r", in->dim[a], &from, in->stride[a], NULL, 0, &loops);
    sum_tap(b, s, from, lp_at(0));
    oct_k_close(b, loops);
    store_mean(b, s->out, at[0], s->acc, s->mean);
}

bool oct_build_mean(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    unsigned reduced = 0;
    for (int i = 0; i < b->node->at.axes.n; i++) {
        int64_t axis = b->node->at.axes.v[i];
        reduced |= 1u << (axis < 0 ? axis + in->rank : axis);
    }
    /* The result, seen with the operand's axes; those that are averaged do not move it. */
    struct oct_layout to = {.rank = in->rank, .offset = out->offset, .size = out->size};
    int64_t n = 1;
    for (int a = 0, o = 0; a < in->rank; a++) {
        bool gone = reduced >> a & 1u;
        to.dim[a] = in->dim[a];
        to.stride[a] = gone ? 0 : out->stride[o];
        if (gone) n *= in->dim[a];
        if (!gone || b->node->at.keepdims) o++;
    }
    struct mean m;
    struct sum s = {.in = oct_k_in(b, 0), .out = oct_k_out(b), .mean = &m, .reduced = reduced};
    if (!open_mean(b, n, n, &m)) return false;
    struct oct_walk walk[OCT_MAX_RANK], none = {.dim = 1};
    struct lp_addr at[2] = {lp_at(to.offset), lp_at(in->offset)};
    const int walks = oct_k_walks(2, (const struct oct_layout *[]){&to, in}, reduced, walk);
    const struct oct_walk *last = walks ? &walk[walks - 1] : &none;
    const bool neighbours = last->stride[0] == 1 && last->stride[1] == 1;
    if (neighbours && mean_lanes(b, &m) > 1) oct_k_say_lanes(b, mean_lanes(b, &m));
    oct_k_open(b, walks - 1, walk, 2, at);
    oct_k_chunks(b, oct_k_axis_name(walks - 1), last->dim, neighbours ? mean_lanes(b, &m) : 1, OCT_FEWEST, 2, last->stride, at,
                 mean_of, &s);
    oct_k_close(b, walks - 1);
    return true;
}
