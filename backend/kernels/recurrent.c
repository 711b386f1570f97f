/* recurrent.c - lstm and gru: a loop over steps in which the state, in scratch memory, is multiplied with r (rows.h), and then
 * the gates, element by element, make the next state. docs/numerics.md 11. */
#include "map.h"
#include "real.h"
#include "rows.h"

bool oct_fits_recurrent(const struct oct_kbuild *b) { return oct_rows_fit(b); }

struct cell {
    struct oct_kbuild *b;
    int64_t steps, rows, h, pitch;     /* pitch: of gates in scratch, from one row to the next */
    int32_t g, y, gate, state, memory; /* buffers; memory: c of lstm, the reset state of gru */
    int32_t bias;                      /* gru: of the product under the reset gate; -1: none */
    struct oct_layout lies;            /* states in scratch: [rows][h] */
    int lanes;                         /* of the elements of a state */
};

static void open_cell(struct cell *c, struct oct_kbuild *b, int gates) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    *c = (struct cell){.b = b, .steps = in->dim[0], .rows = in->dim[1], .h = in->dim[2] / gates, .bias = -1};
    const int lanes = oct_vec_lanes(b->target, LP_F32);
    c->pitch = (gates * c->h + lanes - 1) / lanes * lanes;
    if (gates == 3) c->pitch += lanes; /* the last gate alone may be written as whole vectors, too */
    c->lanes = out->stride[2] == 1 || c->h == 1 ? lanes : 1;
    c->g = oct_k_in(b, 0);
    c->y = oct_k_out(b);
    c->gate = oct_k_scratch(b, "gate", LP_F32, c->rows * c->pitch);
    c->state = oct_k_scratch(b, "state", LP_F32, c->rows * c->h);
    c->memory = oct_k_scratch(b, "memory", LP_F32, c->rows * c->h);
    oct_layout_plain(&c->lies, 2, (int64_t[]){c->rows, c->h});
}

static void store_nothing(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    struct lp_val none = lp_flt(LP_F32, 0);
    if (lanes > 1) none = lp_op1(b->k, "none", LP_OP_splat, lp_vector(LP_F32, lanes), none);
    lp_store(b->k, *(const int32_t *)user, at[0], none);
}
/* An initial state: operand i, or 0. */
static void start(const struct cell *c, int i, int32_t to) {
    struct oct_kbuild *b = c->b;
    if (i < b->nin && b->in[i].node) oct_k_copy(b, oct_k_in(b, i), &b->in[i].at, to, &c->lies);
    else
        oct_k_chunks(b, "i", c->rows * c->h, oct_vec_lanes(b->target, LP_F32), OCT_FEWEST, 1, (int64_t[]){1},
                     (struct lp_addr[]){lp_at(0)}, store_nothing, &to);
}

/* The inputs' share of gates [first, first + count) in step t, to scratch. */
static void copy_gates(const struct cell *c, int32_t t, int64_t first, int64_t count) {
    struct lp_kernel *k = c->b->k;
    const struct oct_layout *in = &c->b->in[0].at;
    const int32_t n = lp_loop(k, "n", c->rows), i = lp_loop(k, "i", count);
    const struct lp_addr from = lp_plus(
        lp_plus(lp_plus(lp_at(in->offset + first * in->stride[2]), t, in->stride[0]), n, in->stride[1]), i, in->stride[2]);
    lp_store(k, c->gate, lp_plus(lp_plus(lp_at(first), n, c->pitch), i, 1), lp_load(k, NULL, lp_scalar(LP_F32), c->g, from));
    oct_k_close(c->b, 2);
}

/* Rows of gates in scratch. */
static struct oct_rows_at gates_from(const struct cell *c, int64_t first) {
    return (struct oct_rows_at){c->gate, lp_at(first), c->pitch};
}

/* gate += a state times outputs of r. */
static void multiply(const struct cell *c, struct oct_rows *r, int32_t state, bool range, const struct oct_rows_at *from,
                     const struct oct_rows_at *to) {
    struct oct_rows_at x = {state, lp_at(0), c->h};
    if (r->dynamic) {
        struct oct_layout codes = c->lies;
        codes.stride[0] = r->pitch;
        if (range) {
            oct_rows_range(r, state, &c->lies);
            oct_rows_codes(r, state, &c->lies, r->codes, &codes);
        }
        x = (struct oct_rows_at){r->codes, lp_at(0), r->pitch};
    }
    oct_rows_multiply(r, c->rows, &x, from, to, -INFINITY, INFINITY);
}

/* Elements of a step: at[0] gates of a row, at[1] states, at[2] the result, at[3] the inputs' share. */
static void each_element(struct cell *c, int32_t t, oct_chunk_fn *fn) {
    struct lp_kernel *k = c->b->k;
    const struct oct_layout *in = &c->b->in[0].at, *out = &c->b->out.at;
    struct lp_addr at[] = {lp_at(0), lp_at(0), lp_plus(lp_at(out->offset), t, out->stride[0]),
                           lp_plus(lp_at(in->offset), t, in->stride[0])};
    const int64_t step[] = {c->pitch, c->h, out->stride[1], in->stride[1]}, stride[] = {1, 1, out->stride[2], in->stride[2]};
    const int lanes = in->stride[2] == 1 ? c->lanes : 1;
    const bool loop = c->rows > 1;
    if (loop) {
        const int32_t n = lp_loop(k, "n", c->rows);
        for (int i = 0; i < 4; i++) at[i] = lp_plus(at[i], n, step[i]);
    }
    oct_k_chunks(c->b, "i", c->h, lanes, OCT_FEWEST, 4, stride, at, fn, c);
    if (loop) lp_end(k);
}

static struct lp_val load(const struct cell *c, const char *name, int lanes, int32_t buf, struct lp_addr at) {
    return lp_load(c->b->k, name, lp_vector(LP_F32, lanes), buf, at);
}

/* ---- lstm
 * ----------------------------------------------------------------------------------------------------------------------- */

static void lstm_element(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct cell *c = user;
    struct lp_kernel *k = b->k;
    struct lp_val g[4]; /* i o f c */
    for (int i = 0; i < 4; i++) {
        g[i] = load(c, "g", lanes, c->gate, lp_offset(at[0], i * c->h));
        g[i] = lp_op1(k, "gate", LP_OP_mov, (struct lp_type){0}, i < 3 ? oct_r_sigmoid(k, g[i]) : oct_r_tanh(k, g[i]));
    }
    const struct lp_val kept = lp_op2(k, NULL, LP_OP_fmul, g[2], load(c, NULL, lanes, c->memory, at[1])),
                        memory = lp_op2(k, "c", LP_OP_fadd, kept, lp_op2(k, NULL, LP_OP_fmul, g[0], g[3])),
                        h = lp_op2(k, "h", LP_OP_fmul, g[1], oct_r_tanh(k, memory));
    lp_store(k, c->memory, at[1], memory);
    lp_store(k, c->state, at[1], h);
    lp_store(k, c->y, at[2], h);
}

bool oct_build_lstm(struct oct_kbuild *b) {
    struct cell c;
    struct oct_rows r;
    struct lp_kernel *k = b->k;
    open_cell(&c, b, 4);
    oct_rows_open(&r, b, 0, 4 * c.h, c.rows, NULL);
    const struct oct_layout *in = &b->in[0].at;
    const bool direct = c.pitch == 4 * c.h && in->stride[2] == 1; /* gates are read where they lie */
    if (r.dynamic && r.pitch > r.terms) oct_rows_clear(b, r.codes, c.rows * r.pitch);
    start(&c, 2, c.state);
    start(&c, 3, c.memory);
    const int32_t t = lp_loop(k, "t", c.steps);
    const struct oct_rows_at gate = gates_from(&c, 0), from = {c.g, lp_plus(lp_at(in->offset), t, in->stride[0]), in->stride[1]};
    if (!direct) copy_gates(&c, t, 0, 4 * c.h);
    multiply(&c, &r, c.state, true, direct ? &from : &gate, &gate);
    each_element(&c, t, lstm_element);
    lp_end(k);
    struct oct_layout last = b->out.at; /* the last row: the memory */
    last.offset += c.steps * last.stride[0];
    last.rank = 2;
    for (int a = 0; a < 2; a++) last.dim[a] = last.dim[a + 1], last.stride[a] = last.stride[a + 1];
    oct_k_copy(b, c.memory, &c.lies, c.y, &last);
    return true;
}

/* ---- gru
 * ------------------------------------------------------------------------------------------------------------------------ */

static void gru_reset(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct cell *c = user;
    struct lp_kernel *k = b->k;
    const struct lp_val reset = oct_r_sigmoid(k, load(c, "r", lanes, c->gate, lp_offset(at[0], c->h)));
    lp_store(k, c->memory, at[1], lp_op2(k, NULL, LP_OP_fmul, reset, load(c, NULL, lanes, c->state, at[1])));
}

static void gru_element(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct cell *c = user;
    struct lp_kernel *k = b->k;
    struct lp_val fresh = load(c, "a", lanes, c->gate, lp_offset(at[0], 2 * c->h));
    if (b->node->at.reset_after) {
        const struct lp_val reset = oct_r_sigmoid(k, load(c, "r", lanes, c->gate, lp_offset(at[0], c->h)));
        const struct lp_addr share = lp_offset(at[3], 2 * c->h * b->in[0].at.stride[2]);
        fresh = lp_op2(k, "a", LP_OP_fadd, load(c, NULL, lanes, c->g, share), lp_op2(k, NULL, LP_OP_fmul, reset, fresh));
    }
    fresh = lp_op1(k, "fresh", LP_OP_mov, (struct lp_type){0}, oct_r_tanh(k, fresh));
    const struct lp_val z = lp_op1(k, "z", LP_OP_mov, (struct lp_type){0}, oct_r_sigmoid(k, load(c, "z", lanes, c->gate, at[0]))),
                        added = lp_op2(k, NULL, LP_OP_fmul, lp_op2(k, NULL, LP_OP_fsub, lp_flt(LP_F32, 1), z), fresh),
                        kept = lp_op2(k, NULL, LP_OP_fmul, z, load(c, NULL, lanes, c->state, at[1])),
                        h = lp_op2(k, "h", LP_OP_fadd, added, kept);
    lp_store(k, c->state, at[1], h);
    lp_store(k, c->y, at[2], h);
}

/* reset_after: the product under the reset gate starts from its bias instead of the inputs' share. */
static void start_under_reset(const struct cell *c) {
    struct lp_kernel *k = c->b->k;
    const int32_t n = lp_loop(k, "n", c->rows), i = lp_loop(k, "i", c->h);
    const struct lp_val v = c->bias < 0
                                ? lp_flt(LP_F32, 0)
                                : lp_load(k, NULL, lp_scalar(LP_F32), c->bias, lp_plus(lp_at(c->b->in[2].at.offset), i, 1));
    lp_store(k, c->gate, lp_plus(lp_plus(lp_at(2 * c->h), n, c->pitch), i, 1), v);
    oct_k_close(c->b, 2);
}

bool oct_build_gru(struct oct_kbuild *b) {
    struct cell c;
    struct oct_rows r, last;
    struct lp_kernel *k = b->k;
    const bool after = b->node->at.reset_after;
    open_cell(&c, b, 3);
    oct_rows_open(&r, b, 0, (after ? 3 : 2) * c.h, c.rows, NULL);
    if (!after) oct_rows_open(&last, b, 2 * c.h, c.h, c.rows, &r);
    if (b->nin > 2 && b->in[2].node) c.bias = oct_k_in(b, 2);
    if (r.dynamic && r.pitch > r.terms) oct_rows_clear(b, r.codes, c.rows * r.pitch);
    start(&c, 3, c.state);
    const int32_t t = lp_loop(k, "t", c.steps);
    const struct oct_rows_at gate = gates_from(&c, 0), third = gates_from(&c, 2 * c.h);
    copy_gates(&c, t, 0, 2 * c.h);
    if (after) start_under_reset(&c);
    multiply(&c, &r, c.state, true, &gate, &gate);
    if (!after) { /* only now: whole vectors of the first two gates may have been written over it */
        copy_gates(&c, t, 2 * c.h, c.h);
        each_element(&c, t, gru_reset);
        multiply(&c, &last, c.memory, true, &third, &third);
    }
    each_element(&c, t, gru_element);
    lp_end(k);
    return true;
}
