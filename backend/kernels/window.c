/* window.c - see window.h. Layouts are taken from the operand 0 and the result: any strides. */
#include "window.h"

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

struct oct_axis oct_window_axis(struct oct_arena *a, int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                                int64_t pad) {
    struct oct_axis ax = {
        in, out, kernel, stride, dilation, pad, OCT_NEW_N(a, struct oct_run, 2 * kernel + 3 < out ? 2 * kernel + 3 : out), 0};
    for (int64_t o = 0; o < out; o++) {
        int64_t at = o * stride - pad; /* of tap 0 */
        int64_t tap = at >= 0 ? 0 : floor_div(-at + dilation - 1, dilation), end = floor_div(in - 1 - at, dilation) + 1;
        if (tap > kernel) tap = kernel;
        if (end > kernel) end = kernel;
        if (end < tap) end = tap;
        struct oct_run *r = ax.nruns ? &ax.run[ax.nruns - 1] : NULL;
        if (r && r->tap == tap && r->tap_end == end) r->count++;
        else ax.run[ax.nruns++] = (struct oct_run){o, 1, tap, end};
    }
    return ax;
}

void oct_k_loop(struct oct_kbuild *b, const char *name, int64_t trip, struct lp_addr *a, int64_t coef, struct lp_addr *a2,
                int64_t coef2, int *opened) {
    if (trip == 1) return;
    int32_t v = lp_loop(b->k, name, trip);
    *a = lp_plus(*a, v, coef);
    if (a2) *a2 = lp_plus(*a2, v, coef2);
    ++*opened;
}

static int64_t turns(int64_t trip, int64_t want) {
    if (want <= 1) return 1;
    if (trip < 2 * want) return trip;
    for (int64_t n = want; n < 2 * want; n++)
        if (trip % n == 0) return n;
    return want;
}
void oct_k_turns(struct oct_kbuild *b, const char *name, int64_t trip, struct lp_addr at, int64_t da, struct lp_addr weight,
                 int64_t dw, oct_tap_fn *turn, void *user) {
    const int64_t n = turns(trip, b->target->unroll), whole = trip / n;
    struct lp_addr a = at, w = weight;
    int loops = 0;
    oct_k_loop(b, name, whole, &a, n * da, &w, n * dw, &loops);
    for (int64_t i = 0; i < n; i++) turn(b, user, lp_offset(a, i * da), lp_offset(w, i * dw));
    oct_k_close(b, loops);
    for (int64_t i = whole * n; i < trip; i++) turn(b, user, lp_offset(at, i * da), lp_offset(weight, i * dw));
}

struct oct_window oct_window_open_tiles(struct oct_kbuild *b, const struct oct_axis *y, int iy, const struct oct_axis *x,
                                        const struct oct_run *columns, int64_t pixels) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    struct oct_window w = {.y = y, .x = x, .ry = &y->run[iy], .rx = columns};
    w.taps = (w.ry->tap_end - w.ry->tap) * (w.rx->tap_end - w.rx->tap);
    w.in = lp_at(in->offset + (w.ry->first * y->stride - y->pad) * in->stride[2] +
                 (w.rx->first * x->stride - x->pad) * in->stride[3]);
    w.out = lp_at(out->offset + w.ry->first * out->stride[2] + w.rx->first * out->stride[3]);
    oct_k_loop(b, "n", out->dim[0], &w.in, in->stride[0], &w.out, out->stride[0], &w.loops);
    oct_k_loop(b, "y", w.ry->count, &w.in, y->stride * in->stride[2], &w.out, out->stride[2], &w.loops);
    oct_k_loop(b, "x", w.rx->count / pixels, &w.in, pixels * x->stride * in->stride[3], &w.out, pixels * out->stride[3],
               &w.loops);
    return w;
}

struct oct_window oct_window_open(struct oct_kbuild *b, const struct oct_axis *y, int iy, const struct oct_axis *x, int ix) {
    return oct_window_open_tiles(b, y, iy, x, &x->run[ix], 1);
}

struct lp_addr oct_window_tap(const struct oct_kbuild *b, const struct oct_window *w, struct lp_addr in, int64_t ky, int64_t kx) {
    const struct oct_layout *at = &b->in[0].at;
    return lp_offset(in, ky * w->y->dilation * at->stride[2] + kx * w->x->dilation * at->stride[3]);
}

void oct_window_taps(struct oct_kbuild *b, const struct oct_window *w, struct lp_addr in, struct lp_addr weight, int64_t wy,
                     int64_t wx, int64_t unroll, oct_tap_fn *tap, void *user) {
    const struct oct_layout *at = &b->in[0].at;
    int64_t rows = w->ry->tap_end - w->ry->tap, cols = w->rx->tap_end - w->rx->tap, sy = w->y->dilation * at->stride[2],
            sx = w->x->dilation * at->stride[3];
    if (!w->taps) return;
    in = oct_window_tap(b, w, in, w->ry->tap, w->rx->tap);
    weight = lp_offset(weight, w->ry->tap * wy + w->rx->tap * wx);
    if (w->taps <= unroll) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) tap(b, user, lp_offset(in, i * sy + j * sx), lp_offset(weight, i * wy + j * wx));
        return;
    }
    int loops = 0;
    oct_k_loop(b, "ky", rows, &in, sy, &weight, wy, &loops);
    oct_k_loop(b, "kx", cols, &in, sx, &weight, wx, &loops);
    tap(b, user, in, weight);
    oct_k_close(b, loops);
}

int oct_open_rows(struct oct_kbuild *b, struct lp_addr *x, struct lp_addr *y) {
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int32_t row = lp_range(b->k, "row", out->dim[2]);
    *x = lp_plus(lp_at(in->offset - at->pad[0] * in->stride[2] - at->pad[1] * in->stride[3]), row, at->stride[0] * in->stride[2]);
    *y = lp_plus(lp_at(out->offset), row, out->stride[2]);
    int loops = 0;
    oct_k_loop(b, "n", out->dim[0], x, in->stride[0], y, out->stride[0], &loops);
    return loops;
}

bool oct_rows_of(const struct oct_kbuild *b, int64_t *rows, int64_t *in_step, int64_t *out_step) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    *rows = 1;
    *in_step = *out_step = 0;
    for (int a = in->rank - 2; a >= 0; a--) {
        if (in->dim[a] == 1) continue;
        if (*rows > 1 && (in->stride[a] != *rows * *in_step || out->stride[a] != *rows * *out_step)) return false;
        if (*rows == 1) *in_step = in->stride[a], *out_step = out->stride[a];
        *rows *= in->dim[a];
    }
    return true;
}
