/* linear_f32.c - conv2d and dense on floats. Each accumulator starts as the bias and takes its products in the order kh, kw, ci,
 * multiply then add, taps in the padding skipped (docs/numerics.md 7), so results are the interpreter's bits; the freedom that is
 * left is across outputs: a block of output channels at a time, weights packed so that the block lies side by side. */
#include "real.h"
#include "window.h"

enum { BLOCK = 8, UNROLL = 9 };

/* Output channels of one group, `block` at a time. */
struct accumulate {
    int32_t x, w;
    int64_t ci, x_step, co; /* inputs of a group, distance of two channels, outputs of a group (= distance of two weight rows) */
    int block;
    struct lp_val acc[BLOCK];
};

/* All products of one tap. */
static void products(struct oct_kbuild *b, void *user, struct lp_addr at, struct lp_addr weight) {
    struct accumulate *u = user;
    struct lp_type f = lp_scalar(LP_F32);
    int loops = 0;
    oct_k_loop(b, "ci", u->ci, &at, u->x_step, &weight, u->co, &loops);
    struct lp_val x = lp_load(b->k, "v", f, u->x, at);
    for (int j = 0; j < u->block; j++) {
        struct lp_val p = lp_op2(b->k, NULL, LP_OP_fmul, x, lp_load(b->k, NULL, f, u->w, lp_offset(weight, j)));
        lp_op_to(b->k, u->acc[j], LP_OP_fadd, 2, (struct lp_val[]){u->acc[j], p}, 0);
    }
    oct_k_close(b, loops);
}

static bool all_float(const struct oct_kbuild *b) {
    for (int i = 0; i < b->nin; i++)
        if (b->in[i].node && !oct_k_is_float(&b->in[i].node->type)) return false;
    bool constant = b->in[1].node->op == OCT_OP_const && (b->nin < 3 || !b->in[2].node || b->in[2].node->op == OCT_OP_const);
    return constant && oct_k_is_float(&b->node->type);
}

static int32_t bias_of(struct oct_kbuild *b, int64_t n) {
    bool given = b->nin > 2 && b->in[2].node;
    return oct_k_const(b, "bias", LP_F32, n, given ? b->in[2].node->data : OCT_NEW_N(b->arena, float, n));
}

/* `count` outputs from channel address `out` on: accumulators from the bias, `taps` fills them, results are stored. */
struct outputs {
    int32_t y, bias;
    struct lp_addr out, bias_at;
    int64_t step; /* distance of two output channels */
};
static void start(struct oct_kbuild *b, struct accumulate *u, const struct outputs *o) {
    for (int j = 0; j < u->block; j++) {
        u->acc[j] = lp_reg(b->k, lp_scalar(LP_F32), "acc");
        lp_load_to(b->k, u->acc[j], o->bias, lp_offset(o->bias_at, j));
    }
}
static void finish(struct oct_kbuild *b, struct accumulate *u, const struct outputs *o) {
    for (int j = 0; j < u->block; j++)
        lp_store(b->k, o->y, lp_offset(o->out, j * o->step),
                 oct_r_clamp(b->k, u->acc[j], b->node->at.clip[0], b->node->at.clip[1]));
}

/* Splits n channels into blocks: a loop over the full ones, then what remains. */
struct split {
    int64_t first, trip;
    int block;
};
static int blocks(int64_t n, struct split s[2]) {
    int parts = 0;
    if (n / BLOCK) s[parts++] = (struct split){0, n / BLOCK, BLOCK};
    if (n % BLOCK) s[parts++] = (struct split){n / BLOCK * BLOCK, 1, (int)(n % BLOCK)};
    return parts;
}

bool oct_fits_conv2d_f32(const struct oct_kbuild *b) { return all_float(b); }

bool oct_build_conv2d_f32(struct oct_kbuild *b) {
    const struct oct_attrs *at = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *wt = &b->in[1].node->type;
    int64_t groups = at->groups, co = wt->dim[0] / groups, ci = wt->dim[1], kh = wt->dim[2], kw = wt->dim[3];
    struct oct_pack pack = {.rank = 4,
                            .dim = {wt->dim[0], ci, kh, kw},
                            .ndims = 5,
                            .d = {{groups, 0, co}, {kh, 2, 1}, {kw, 3, 1}, {ci, 1, 1}, {co, 0, 1}}};
    const void *data = oct_pack_data(b->arena, &pack, LP_F32, b->in[1].node->data);
    struct oct_axis y = oct_window_axis(b->arena, in->dim[2], out->dim[2], kh, at->stride[0], at->dilation[0], at->pad[0]);
    struct oct_axis x = oct_window_axis(b->arena, in->dim[3], out->dim[3], kw, at->stride[1], at->dilation[1], at->pad[1]);
    struct accumulate u = {.x = oct_k_in(b, 0), .ci = ci, .x_step = in->stride[1], .co = co};
    struct outputs o = {.y = oct_k_out(b), .step = out->stride[1]};
    u.w = oct_k_const(b, "w", LP_F32, oct_pack_elements(&pack), data);
    o.bias = bias_of(b, wt->dim[0]);
    for (int iy = 0; iy < y.nruns; iy++)
        for (int ix = 0; ix < x.nruns; ix++) {
            struct oct_window win = oct_window_open(b, &y, iy, &x, ix);
            struct lp_addr weight = lp_at(0), bias = lp_at(0), from = win.in, to = win.out;
            if (groups > 1) {
                int32_t g = lp_loop(b->k, "g", groups);
                win.loops++;
                from = lp_plus(from, g, ci * in->stride[1]);
                to = lp_plus(to, g, co * out->stride[1]);
                weight = lp_plus(weight, g, kh * kw * ci * co);
                bias = lp_plus(bias, g, co);
            }
            struct split s[2];
            for (int i = 0, n = blocks(co, s); i < n; i++) {
                int loops = 0;
                struct lp_addr w = lp_offset(weight, s[i].first);
                o.out = lp_offset(to, s[i].first * out->stride[1]);
                o.bias_at = lp_offset(bias, s[i].first);
                if (s[i].trip > 1) {
                    int32_t v = lp_loop(b->k, "co", s[i].trip);
                    loops++;
                    w = lp_plus(w, v, BLOCK);
                    o.out = lp_plus(o.out, v, BLOCK * out->stride[1]);
                    o.bias_at = lp_plus(o.bias_at, v, BLOCK);
                }
                u.block = s[i].block;
                start(b, &u, &o);
                oct_window_taps(b, &win, from, w, kw * ci * co, ci * co, ci == 1 && co == 1 ? UNROLL : 1, products, &u);
                finish(b, &u, &o);
                oct_k_close(b, loops);
            }
            oct_k_close(b, win.loops);
        }
    return true;
}

bool oct_fits_dense_f32(const struct oct_kbuild *b) { return all_float(b); }

bool oct_build_dense_f32(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_type *wt = &b->in[1].node->type;
    int64_t outputs = wt->dim[0], inputs = wt->dim[1];
    int last = in->rank - 1;
    struct oct_pack pack = {.rank = 2, .dim = {outputs, inputs}, .ndims = 2, .d = {{inputs, 1, 1}, {outputs, 0, 1}}};
    struct accumulate u = {.x = oct_k_in(b, 0), .ci = inputs, .x_step = in->stride[last], .co = outputs};
    struct outputs o = {.y = oct_k_out(b), .step = out->stride[last]};
    u.w = oct_k_const(b, "w", LP_F32, oct_pack_elements(&pack), oct_pack_data(b->arena, &pack, LP_F32, b->in[1].node->data));
    o.bias = bias_of(b, outputs);
    struct lp_addr at[2];
    int rows = oct_k_nest(b, 2, (const struct oct_layout *[]){out, in}, 1u << last, at);
    struct split s[2];
    for (int i = 0, n = blocks(outputs, s); i < n; i++) {
        int loops = 0;
        struct lp_addr w = lp_at(s[i].first);
        o.out = lp_offset(at[0], s[i].first * o.step);
        o.bias_at = lp_at(s[i].first);
        if (s[i].trip > 1) {
            int32_t v = lp_loop(b->k, "o", s[i].trip);
            loops++;
            w = lp_plus(w, v, BLOCK);
            o.out = lp_plus(o.out, v, BLOCK * o.step);
            o.bias_at = lp_plus(o.bias_at, v, BLOCK);
        }
        u.block = s[i].block;
        start(b, &u, &o);
        products(b, &u, at[1], w);
        finish(b, &u, &o);
        oct_k_close(b, loops);
    }
    oct_k_close(b, rows);
    return true;
}
