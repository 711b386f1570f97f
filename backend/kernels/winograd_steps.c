/* winograd_steps.c - the transforms of winograd.h as loops. Each is done along one axis and then the other, and never holds more
 * values than the registers of a machine with 16 of them, but for the way back. */
#include "wide.h"
#include "winograd.h"

enum { SIDE = OCT_WINO_SIDE, OUT = 4 };

static struct lp_val add(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_add, a, b); }
static struct lp_val sub(struct lp_kernel *k, struct lp_val a, struct lp_val b) { return lp_op2(k, NULL, LP_OP_sub, a, b); }
static struct lp_val shl(struct lp_kernel *k, struct lp_val a, int n) { return lp_shift(k, NULL, LP_OP_shl, a, n); }
static struct lp_val times(struct lp_kernel *k, struct lp_val a, int n) {
    return lp_op2(k, NULL, LP_OP_mul, a, lp_int((enum lp_elem)a.type.elem, n));
}
static struct lp_val named(struct lp_kernel *k, const char *name, struct lp_val v) {
    return lp_op1(k, name, LP_OP_mov, (struct lp_type){0}, v);
}
static void name_all(struct lp_kernel *k, int n, struct lp_val *r) {
    for (int i = 0; i < n; i++) r[i] = named(k, "t", r[i]);
}

/* B^T of the codes of a tile along an axis. */
static void forward(struct lp_kernel *k, const struct oct_wino_kind *kind, const struct lp_val *x, struct lp_val *r) {
    if (kind->side == 4) {
        r[0] = sub(k, x[0], x[2]);
        r[1] = add(k, x[1], x[2]);
        r[2] = sub(k, x[2], x[1]);
        r[3] = sub(k, x[1], x[3]);
    } else {
        const struct lp_val a = named(k, "a", sub(k, x[4], x[2])), d = named(k, "d", sub(k, x[3], x[1])),
                            twice = named(k, "d", add(k, d, d));
        r[0] = add(k, a, shl(k, sub(k, x[0], x[2]), 2));
        r[1] = sub(k, add(k, x[3], x[4]), shl(k, add(k, x[1], x[2]), 2));
        r[2] = add(k, sub(k, x[4], x[3]), shl(k, sub(k, x[1], x[2]), 2));
        r[3] = add(k, a, twice);
        r[4] = sub(k, a, twice);
        r[5] = sub(k, sub(k, x[5], x[3]), shl(k, d, 2));
    }
    name_all(k, kind->side, r);
}

/* G of the weights of a window along an axis. */
static void of_kernel(struct lp_kernel *k, const struct oct_wino_kind *kind, const struct lp_val *w, struct lp_val *r) {
    const struct lp_val ends = named(k, "e", add(k, w[0], w[2])), plus = add(k, ends, w[1]), minus = sub(k, ends, w[1]);
    if (kind->side == 4) {
        r[0] = add(k, w[0], w[0]);
        r[1] = plus;
        r[2] = minus;
        r[3] = add(k, w[2], w[2]);
    } else {
        const struct lp_val even = named(k, "a", add(k, w[0], shl(k, w[2], 2))), odd = named(k, "b", add(k, w[1], w[1]));
        r[0] = times(k, w[0], 6);
        r[1] = times(k, plus, -4);
        r[2] = times(k, minus, -4);
        r[3] = add(k, even, odd);
        r[4] = sub(k, even, odd);
        r[5] = times(k, w[2], 12);
    }
    name_all(k, kind->side, r);
}

/* A^T of the sums of a tile along an axis. */
static void backward(struct lp_kernel *k, const struct oct_wino_kind *kind, const struct lp_val *m, struct lp_val *r) {
    if (kind->side == 4) {
        r[0] = add(k, add(k, m[0], m[1]), m[2]);
        r[1] = sub(k, sub(k, m[1], m[2]), m[3]);
    } else {
        const struct lp_val s12 = named(k, "s", add(k, m[1], m[2])), d12 = named(k, "d", sub(k, m[1], m[2])),
                            s34 = named(k, "s", add(k, m[3], m[4])), d34 = sub(k, m[3], m[4]),
                            twice = named(k, "d", add(k, d34, d34));
        r[0] = add(k, add(k, m[0], s12), s34);
        r[1] = add(k, d12, twice);
        r[2] = add(k, s12, shl(k, s34, 2));
        r[3] = add(k, add(k, d12, shl(k, twice, 2)), add(k, m[5], m[5]));
    }
    name_all(k, kind->out, r);
}

/* An entry of a table, proved to lie within [0, last]. */
static struct lp_addr indexed(struct lp_kernel *k, struct lp_addr at, int32_t table, struct lp_addr entry, int64_t last) {
    struct lp_val i = lp_load(k, "at", lp_scalar(LP_I32), table, entry);
    i = lp_op2(k, "at", LP_OP_max, i, lp_int(LP_I32, 0));
    i = lp_op2(k, "at", LP_OP_min, i, lp_int(LP_I32, last));
    return lp_indexed(at, i, 0, last);
}

/* ---- codes -------------------------------------------------------------------------------------------------------------------
 * A row of tiles at a time: `side` rows of the image become as many rows of sums along the columns ("half",
 * [row][column][channel] with the columns of padding), these along the rows become points. */

struct source { /* the rows of the image that a row of tiles sees */
    const struct oct_wino *v;
    struct lp_val index[SIDE];           /* first element */
    struct lp_val keep[SIDE], pad[SIDE]; /* masks of 16 bits; type.lanes 0: the row lies in the image */
};

static struct lp_val lanes_of(struct lp_kernel *k, struct lp_val v, int n) {
    return v.type.lanes == n ? v : lp_op1(k, NULL, LP_OP_splat, lp_vector(LP_I16, n), v);
}

/* n neighbours of every row. */
static void transform_columns(const void *context, struct lp_addr from, struct lp_addr to, int n) {
    const struct source *s = context;
    const struct oct_wino *v = s->v;
    const struct oct_wino_kind *kind = v->cut.kind;
    struct lp_kernel *k = v->b->k;
    struct lp_val x[SIDE], r[SIDE];
    for (int i = 0; i < kind->side; i++) {
        const enum lp_elem e = (enum lp_elem)k->buf[v->x].elem;
        x[i] = lp_load(k, NULL, lp_vector(e, n), v->x, lp_indexed(from, s->index[i], 0, v->last_row));
        x[i] = lp_op1(k, NULL, LP_OP_cvt, lp_vector(LP_I16, n), x[i]);
        if (v->outside[i]) {
            x[i] = lp_op2(k, NULL, LP_OP_and, x[i], lanes_of(k, s->keep[i], n));
            x[i] = lp_op2(k, NULL, LP_OP_or, x[i], lanes_of(k, s->pad[i], n));
        }
        x[i] = named(k, "x", x[i]);
    }
    forward(k, kind, x, r);
    for (int i = 0; i < kind->side; i++) lp_store(k, v->half, lp_offset(to, i * v->cut.half), r[i]);
}

static struct source open_rows(const struct oct_wino *v, struct lp_addr entry) {
    struct lp_kernel *k = v->b->k;
    const int n = 2 * v->lanes;
    struct source s = {.v = v};
    for (int i = 0; i < v->cut.kind->side; i++) {
        const struct lp_val at = lp_load(k, "at", lp_scalar(LP_I32), v->rows, lp_offset(entry, i));
        struct lp_val index = lp_op2(k, "index", LP_OP_max, at, lp_int(LP_I32, 0));
        s.index[i] = lp_op2(k, "index", LP_OP_min, index, lp_int(LP_I32, v->last_row));
        if (!v->outside[i]) continue;
        const struct lp_val out = lp_shift(k, "outside", LP_OP_sar, at, 31),
                            zero = lp_int(LP_I32, oct_zero(v->b->in[0].node->type.q, 0));
        const struct lp_val keep = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I16),
                                          lp_op1(k, NULL, LP_OP_not, (struct lp_type){0}, out)),
                            pad = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I16), lp_op2(k, NULL, LP_OP_and, out, zero));
        s.keep[i] = lp_op1(k, "keep", LP_OP_splat, lp_vector(LP_I16, n), keep);
        s.pad[i] = lp_op1(k, "pad", LP_OP_splat, lp_vector(LP_I16, n), pad);
    }
    return s;
}

/* Columns of the image, whole channels or a chunk of them, to half. */
static void build_columns(const struct oct_wino *v, const struct source *s, struct lp_addr from) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const struct oct_layout *in = &v->b->in[0].at;
    const struct lp_addr to = lp_at(v->b->node->at.pad[1] * c->chunk);
    if (in->stride[3] == c->chunk) {
        oct_run(k, 2 * v->lanes, from, to, in->dim[3] * c->chunk, transform_columns, s);
        return;
    }
    const int32_t col = lp_loop(k, "col", in->dim[3]);
    oct_run(k, 2 * v->lanes, lp_plus(from, col, in->stride[3]), lp_plus(to, col, c->chunk), c->chunk, transform_columns, s);
    lp_end(k);
}

/* A vector of channels of a row of a tile to its points. */
static void transform_row(const struct oct_wino *v, struct lp_addr from, struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_kind *kind = v->cut.kind;
    struct lp_val x[SIDE], r[SIDE];
    for (int j = 0; j < kind->side; j++)
        x[j] = lp_load(k, "x", lp_vector(LP_I16, 2 * v->lanes), v->half, lp_offset(from, j * v->cut.chunk));
    forward(k, kind, x, r);
    for (int j = 0; j < kind->side; j++) lp_store(k, v->codes, lp_offset(to, j * v->cut.points), r[j]);
}
static void build_rows(const struct oct_wino *v, struct lp_addr to) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const int n = 2 * v->lanes;
    const int32_t tile = lp_loop(k, "tile", c->across);
    to = lp_plus(to, tile, c->c);
    struct lp_addr from = indexed(k, lp_at(0), v->from, lp_plus(lp_at(0), tile, 1), v->last_from);
    const int32_t row = lp_loop(k, "row", c->kind->side);
    from = lp_plus(from, row, c->half);
    to = lp_plus(to, row, c->kind->side * c->points);
    const int64_t whole = c->chunk / n;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "c", whole);
        transform_row(v, lp_plus(from, i, n), lp_plus(to, i, n));
        lp_end(k);
    } else if (whole) transform_row(v, from, to);
    const int64_t last =
        whole ? c->chunk - n : 0; /* the last vector overlaps the one before, or the next tile, which comes later */
    if (c->chunk % n) transform_row(v, lp_offset(from, last), lp_offset(to, last));
    oct_k_close(v->b, 2);
}

/* Columns of padding are the same in all rows of tiles: sums along them of the zero point. What is written too much is written
 * again, or lies behind all. */
static void build_padding(const struct oct_wino *v) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const int64_t left = v->b->node->at.pad[1], width = v->b->in[0].at.dim[3], cols = c->ow + 2, n = 2 * v->lanes;
    const int32_t zero = oct_zero(v->b->in[0].node->type.q, 0);
    for (int i = 0; i < c->kind->side; i++) {
        int sum = 0;
        for (int j = 0; j < c->kind->side; j++) sum += c->kind->codes[i][j];
        const int64_t runs[2][2] = {{0, left}, {left + width, cols - left - width}};
        for (int side = 0; side < 2; side++) {
            const int64_t trips = runs[side][1] > 0 ? (runs[side][1] * c->chunk + n - 1) / n : 0;
            if (!trips) continue;
            const struct lp_val all = lp_op1(k, "zero", LP_OP_splat, lp_vector(LP_I16, (int)n), lp_int(LP_I16, sum * zero));
            const int32_t t = lp_loop(k, "i", trips);
            lp_store(k, v->half, lp_plus(lp_at(i * c->half + runs[side][0] * c->chunk), t, n), all);
            lp_end(k);
        }
    }
}

void oct_wino_codes(const struct oct_wino *v, int32_t strip, struct lp_addr image) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const int side = c->kind->side;
    build_padding(v);
    struct lp_addr entry = lp_plus(lp_at(0), strip, c->rows * side), to = lp_at(0);
    if (c->rows > 1) {
        const int32_t r = lp_loop(k, "line", c->rows);
        entry = lp_plus(entry, r, side);
        to = lp_plus(to, r, c->across * c->c);
    }
    const struct source s = open_rows(v, entry);
    if (c->chunk < c->c) {
        const int32_t i = lp_loop(k, "chunk", c->c / c->chunk);
        image = lp_plus(image, i, c->chunk);
        to = lp_plus(to, i, c->chunk);
    }
    build_columns(v, &s, image);
    build_rows(v, to);
    oct_k_close(v->b, (c->rows > 1) + (c->chunk < c->c));
}

/* ---- weights -----------------------------------------------------------------------------------------------------------------
 */

void oct_wino_weights(const struct oct_wino *v, const struct oct_wino_part *p, struct lp_addr w) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_kind *kind = v->cut.kind;
    const int n = 2 * v->lanes;
    struct lp_addr to = lp_at(0);
    struct lp_val t[SIDE][3];
    if (p->blocks > 1) {
        const int32_t block = lp_loop(k, "block", p->blocks);
        w = lp_plus(w, block, 9 * p->words);
        to = lp_plus(to, block, p->words / p->slices);
    }
    const int32_t i = lp_loop(k, "w", p->words / p->slices / n);
    to = lp_plus(to, i, n);
    w = lp_plus(w, i, 9 * n);
    for (int kx = 0; kx < 3; kx++) {
        struct lp_val x[3], r[SIDE];
        for (int ky = 0; ky < 3; ky++) {
            x[ky] = lp_load(k, NULL, lp_vector(LP_I8, n), p->w, lp_offset(w, (ky * 3 + kx) * n));
            x[ky] = lp_op1(k, "w", LP_OP_cvt, lp_vector(LP_I16, n), x[ky]);
        }
        of_kernel(k, kind, x, r);
        for (int y = 0; y < kind->side; y++) t[y][kx] = r[y];
    }
    for (int y = 0; y < kind->side; y++) {
        struct lp_val r[SIDE];
        of_kernel(k, kind, t[y], r);
        for (int x = 0; x < kind->side; x++) lp_store(k, v->fresh, lp_offset(to, (y * kind->side + x) * v->fresh_pitch), r[x]);
    }
    oct_k_close(v->b, 1 + (p->blocks > 1));
}

/* ---- results -----------------------------------------------------------------------------------------------------------------
 */

/* The results of a tile, for a vector of outputs of which `count` exist. */
static void restore(const struct oct_wino *v, struct lp_addr sums, struct lp_addr channel, struct lp_addr y, int count) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_kind *kind = v->cut.kind;
    const struct oct_layout *out = &v->b->out.at;
    const struct lp_type type = lp_vector(LP_I32, v->lanes);
    const int side = kind->side;
    struct lp_val t[SIDE][OUT];
    const struct lp_val bias = lp_load(k, "b", type, v->bias, channel);
    for (int i = 0; i < side; i++) {
        struct lp_val m[SIDE];
        for (int j = 0; j < side; j++) m[j] = lp_load(k, "m", type, v->sums, lp_offset(sums, (i * side + j) * v->sums_pitch));
        if (i == 1) m[1] = named(k, "m", add(k, m[1], bias));
        backward(k, kind, m, t[i]);
    }
    const struct oct_rqv_loaded words = oct_rqv_words(&v->rq, channel);
    for (int j = 0; j < kind->out; j++) {
        struct lp_val m[SIDE], r[OUT];
        struct oct_rqv_piece piece[OUT];
        for (int i = 0; i < side; i++) m[i] = t[i][j];
        backward(k, kind, m, r);
        for (int i = 0; i < kind->out; i++) {
            if (kind->odd != 1) r[i] = times(k, r[i], (int32_t)kind->inverse);
            const struct lp_val acc = named(k, "acc", lp_shift(k, NULL, LP_OP_sar, r[i], kind->shift));
            piece[i] = (struct oct_rqv_piece){oct_rqv_codes(&v->rq, &words, acc),
                                              lp_offset(y, i * out->stride[2] + j * out->stride[3]), count};
        }
        oct_rqv_store(&v->rq, v->l.y, kind->out, piece);
    }
}

void oct_wino_results(const struct oct_wino *v, const struct oct_wino_part *p, int32_t strip, struct lp_addr channel,
                      struct lp_addr image) {
    struct lp_kernel *k = v->b->k;
    const struct oct_wino_cut *c = &v->cut;
    const int32_t tile = lp_loop(k, "tile", c->tiles);
    const struct lp_addr sums = lp_plus(lp_at(0), tile, p->blocks * p->vectors * v->lanes);
    const struct lp_addr y = indexed(k, image, v->to, lp_plus(lp_plus(lp_at(0), strip, c->tiles), tile, 1), v->last_to);
    const int64_t whole = p->outputs / v->lanes, rest = p->outputs % v->lanes, last = whole * v->lanes;
    if (whole) {
        const int32_t i = lp_loop(k, "channels", whole);
        restore(v, lp_plus(sums, i, v->lanes), lp_plus(channel, i, v->lanes), lp_plus(y, i, v->lanes), v->lanes);
        lp_end(k);
    }
    if (rest) restore(v, lp_offset(sums, last), lp_offset(channel, last), lp_offset(y, last), (int)rest);
    lp_end(k);
}
