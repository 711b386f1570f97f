/* linear_f32.c - conv2d and dense on floats. Each accumulator starts as the bias and takes its products in the order kh, kw, ci,
 * multiply then add (in one rounding where bits need not be the interpreter's and the target has it), taps in the padding skipped
 * (docs/numerics.md 7); the freedom that is left is across outputs: tiles of pixels by blocks of output channels, in lanes where
 * the target has vectors, weights packed so that a block lies side by side. */
#include "map.h"
#include "real.h"
#include "window.h"

enum { SCALARS = 8, UNROLL = 9, MOST_VECTORS = 8, MOST_PIXELS = 14, FEWEST_LANES = 4 };

/* Outputs first, ... of which `vectors` x `lanes` are one block; `trip` blocks. */
struct block {
    int64_t first, trip;
    int lanes, vectors;
};

/* A tile: accumulators of one block of output channels for some pixels. */
struct tile {
    int32_t x, w, y, bias;
    int64_t ci, x_step, co; /* inputs of a group, distance of two channels, outputs of a group (= distance of two weight rows) */
    int64_t x_pixel, y_pixel, y_step; /* distance of two pixels in x and y, of two output channels */
    struct block block;
    int pixels;
    bool fused, depthwise; /* one rounding; lanes are input channels too */
    struct lp_val acc[MOST_PIXELS][MOST_VECTORS];
};

/* All products of one tap. */
static void products(struct oct_kbuild *b, void *user, struct lp_addr at, struct lp_addr weight) {
    struct tile *t = user;
    struct lp_kernel *k = b->k;
    const struct lp_type f = lp_vector(LP_F32, t->block.lanes);
    struct lp_val w[MOST_VECTORS], x[MOST_VECTORS];
    int loops = 0;
    oct_k_loop(b, "ci", t->ci, &at, t->x_step, &weight, t->co, &loops);
    if (t->pixels > 1)
        for (int j = 0; j < t->block.vectors; j++) w[j] = lp_load(k, "w", f, t->w, lp_offset(weight, j * f.lanes));
    for (int p = 0; p < t->pixels; p++) {
        const struct lp_addr from = lp_offset(at, p * t->x_pixel);
        if (!t->depthwise) x[0] = lp_load(k, "v", lp_scalar(LP_F32), t->x, from);
        if (!t->depthwise && f.lanes > 1) x[0] = lp_op1(k, "v", LP_OP_splat, f, x[0]);
        for (int j = 0; j < t->block.vectors; j++) {
            if (t->pixels == 1) w[j] = lp_load(k, NULL, f, t->w, lp_offset(weight, j * f.lanes));
            struct lp_val v = t->depthwise ? lp_load(k, "v", f, t->x, lp_offset(from, j * f.lanes * t->x_step)) : x[0];
            if (t->fused) lp_op_to(k, t->acc[p][j], LP_OP_fma, 3, (struct lp_val[]){v, w[j], t->acc[p][j]}, 0);
            else
                lp_op_to(k, t->acc[p][j], LP_OP_fadd, 2, (struct lp_val[]){t->acc[p][j], lp_op2(k, NULL, LP_OP_fmul, v, w[j])},
                         0);
        }
    }
    oct_k_close(b, loops);
}

bool oct_r_linear(const struct oct_kbuild *b) {
    for (int i = 0; i < b->nin; i++)
        if (b->in[i].node && !oct_k_is_float(&b->in[i].node->type)) return false;
    bool constant = b->in[1].node->op == OCT_OP_const && (b->nin < 3 || !b->in[2].node || b->in[2].node->op == OCT_OP_const);
    return constant && oct_k_is_float(&b->node->type);
}

static int32_t bias_of(struct oct_kbuild *b, int64_t n) {
    bool given = b->nin > 2 && b->in[2].node;
    return oct_k_const(b, "bias", LP_F32, n, given ? b->in[2].node->data : OCT_NEW_N(b->arena, float, n));
}

/* Accumulators from the bias; clamped, to the result. */
static void start(struct oct_kbuild *b, struct tile *t, struct lp_addr bias) {
    const struct lp_type f = lp_vector(LP_F32, t->block.lanes);
    for (int j = 0; j < t->block.vectors; j++)
        for (int p = 0; p < t->pixels; p++) {
            t->acc[p][j] = lp_reg(b->k, f, "acc");
            if (p) lp_set(b->k, t->acc[p][j], t->acc[0][j]);
            else lp_load_to(b->k, t->acc[p][j], t->bias, lp_offset(bias, j * f.lanes));
        }
}
static void finish(struct oct_kbuild *b, struct tile *t, struct lp_addr out) {
    for (int p = 0; p < t->pixels; p++)
        for (int j = 0; j < t->block.vectors; j++)
            lp_store(b->k, t->y, lp_offset(out, p * t->y_pixel + j * t->block.lanes * t->y_step),
                     oct_r_clamp(b->k, t->acc[p][j], b->node->at.clip[0], b->node->at.clip[1]));
}

/* Splits n outputs into blocks: as many of the largest as there are, then smaller ones. */
enum { MOST_BLOCKS = 12 };
static int blocks(int64_t n, int lanes, int vectors, struct block *s) {
    int parts = 0;
    for (int64_t done = 0; done < n;) {
        const int64_t left = n - done;
        while (lanes > 1 && left < lanes) lanes = lanes / 2 < FEWEST_LANES ? 1 : lanes / 2, vectors = lanes > 1 ? 1 : SCALARS;
        int here = (int64_t)vectors * lanes <= left ? vectors : (int)(left / lanes);
        s[parts] = (struct block){done, left / ((int64_t)here * lanes), lanes, here};
        done += s[parts].trip * here * lanes;
        parts++;
    }
    return parts;
}

/* One loop over the blocks; w, out and bias move along. */
static int open_block(struct oct_kbuild *b, const struct tile *t, struct lp_addr *x, struct lp_addr *w, struct lp_addr *out,
                      struct lp_addr *bias) {
    const struct block *s = &t->block;
    const int64_t size = (int64_t)s->lanes * s->vectors;
    struct lp_addr *moving[] = {w, bias, out, x};
    const int64_t step[] = {1, 1, t->y_step, t->depthwise ? t->x_step : 0};
    for (int i = 0; i < 4; i++) *moving[i] = lp_offset(*moving[i], s->first * step[i]);
    if (s->trip == 1) return 0;
    int32_t v = lp_loop(b->k, "co", s->trip);
    for (int i = 0; i < 4; i++)
        if (step[i]) *moving[i] = lp_plus(*moving[i], v, size * step[i]);
    return 1;
}

/* Lanes of the outputs: where they are neighbours in memory, and, if they are input channels too, those are. */
static int lanes_for(struct oct_kbuild *b, const struct tile *t) {
    int lanes = oct_vec_lanes(b->target, LP_F32);
    if (lanes > 1 && (t->y_step != 1 || (t->depthwise && t->x_step != 1))) {
        oct_k_fallback(b, "scalar code: outputs that are no neighbours in memory");
        lanes = 1;
    }
    if (lanes > 1) b->k->isa = b->target->isa;
    return lanes;
}

bool oct_fits_conv2d_f32(const struct oct_kbuild *b) { return oct_r_linear(b); }

bool oct_build_conv2d_f32(struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *wt = &b->in[1].node->type;
    int64_t groups = at->groups, co = wt->dim[0] / groups, ci = wt->dim[1], kh = wt->dim[2], kw = wt->dim[3];
    struct oct_pack pack = {.rank = 4,
                            .dim = {wt->dim[0], ci, kh, kw},
                            .ndims = 5,
                            .d = {{groups, 0, co}, {kh, 2, 1}, {kw, 3, 1}, {ci, 1, 1}, {co, 0, 1}}};
    struct tile t = {
        .x_step = in->stride[1], .x_pixel = at->stride[1] * in->stride[3], .y_pixel = out->stride[3], .y_step = out->stride[1]};
    t.depthwise = groups > 1 && ci == 1 && co == 1 && oct_vec_lanes(b->target, LP_F32) > 1;
    if (t.depthwise) { /* channels are the outputs of one group */
        pack.d[0].extent = 1;
        pack.d[4].extent = co = groups;
        groups = 1;
    }
    const void *data = oct_pack_data(b->arena, &pack, LP_F32, b->in[1].node->data);
    struct oct_axis y = oct_window_axis(b->arena, in->dim[2], out->dim[2], kh, at->stride[0], at->dilation[0], at->pad[0]);
    struct oct_axis x = oct_window_axis(b->arena, in->dim[3], out->dim[3], kw, at->stride[1], at->dilation[1], at->pad[1]);
    t.x = oct_k_in(b, 0);
    t.y = oct_k_out(b);
    t.ci = ci;
    t.co = co;
    t.w = oct_k_const(b, "w", LP_F32, oct_pack_elements(&pack), data);
    t.bias = bias_of(b, wt->dim[0]);
    const int lanes = lanes_for(b, &t), vectors = lanes == 1 ? SCALARS : co < 2 * lanes ? 1 : 2;
    const int most = lanes == 1                                           ? 1
                     : (b->target->registers - 4) / vectors < MOST_PIXELS ? (b->target->registers - 4) / vectors
                                                                          : MOST_PIXELS;
    t.fused = lanes > 1 && !b->strict_float;
    if (lanes > 1) b->recipe = oct_sprintf(b->arena, "%d channels x %d pixels", lanes * vectors, most);
    for (int iy = 0; iy < y.nruns; iy++)
        for (int ix = 0; ix < x.nruns; ix++)
            for (int64_t done = 0; done < x.run[ix].count;) {
                struct oct_run run = x.run[ix];
                t.pixels = run.count - done < most ? (int)(run.count - done) : most;
                run.first += done;
                run.count = (run.count - done) / t.pixels * t.pixels;
                done += run.count;
                struct oct_window win = oct_window_open_tiles(b, &y, iy, &x, &run, t.pixels);
                struct lp_addr weight = lp_at(0), bias = lp_at(0), from = win.in, to = win.out;
                if (groups > 1) {
                    int32_t g = lp_loop(b->k, "g", groups);
                    win.loops++;
                    from = lp_plus(from, g, ci * in->stride[1]);
                    to = lp_plus(to, g, co * out->stride[1]);
                    weight = lp_plus(weight, g, kh * kw * ci * co);
                    bias = lp_plus(bias, g, co);
                }
                struct block s[MOST_BLOCKS];
                for (int i = 0, n = blocks(co, lanes, vectors, s); i < n; i++) {
                    struct lp_addr xs = from, ws = weight, ys = to, bs = bias;
                    t.block = s[i];
                    const int loops = open_block(b, &t, &xs, &ws, &ys, &bs);
                    start(b, &t, bs);
                    oct_window_taps(b, &win, xs, ws, kw * ci * co, ci * co, ci == 1 && (co == 1 || t.depthwise) ? UNROLL : 1,
                                    products, &t);
                    finish(b, &t, ys);
                    oct_k_close(b, loops);
                }
                oct_k_close(b, win.loops);
            }
    return true;
}

bool oct_fits_dense_f32(const struct oct_kbuild *b) { return oct_r_linear(b); }

bool oct_build_dense_f32(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *wt = &b->in[1].node->type;
    int64_t outputs = wt->dim[0], inputs = wt->dim[1];
    int last = in->rank - 1;
    struct oct_pack pack = {.rank = 2, .dim = {outputs, inputs}, .ndims = 2, .d = {{inputs, 1, 1}, {outputs, 0, 1}}};
    struct tile t = {.ci = inputs, .x_step = in->stride[last], .co = outputs, .y_step = out->stride[last], .pixels = 1};
    t.x = oct_k_in(b, 0);
    t.y = oct_k_out(b);
    t.w = oct_k_const(b, "w", LP_F32, oct_pack_elements(&pack), oct_pack_data(b->arena, &pack, LP_F32, b->in[1].node->data));
    t.bias = bias_of(b, outputs);
    const int lanes = lanes_for(b, &t);
    t.fused = lanes > 1 && !b->strict_float;
    if (lanes > 1) b->recipe = oct_sprintf(b->arena, "%d outputs at once", lanes * MOST_VECTORS);
    struct lp_addr at[2];
    int rows = oct_k_nest(b, 2, (const struct oct_layout *[]){out, in}, 1u << last, at);
    struct block s[MOST_BLOCKS];
    for (int i = 0, n = blocks(outputs, lanes, MOST_VECTORS, s); i < n; i++) {
        struct lp_addr xs = at[1], ws = lp_at(0), ys = at[0], bs = lp_at(0);
        t.block = s[i];
        const int loops = open_block(b, &t, &xs, &ws, &ys, &bs);
        start(b, &t, bs);
        products(b, &t, xs, ws);
        finish(b, &t, ys);
        oct_k_close(b, loops);
    }
    oct_k_close(b, rows);
    return true;
}
