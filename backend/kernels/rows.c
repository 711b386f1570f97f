/* rows.c - see rows.h. */
#include "rows.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "real.h"

enum { SCALARS = 4 /* outputs at once without vectors */ };

/* ---- weights ------------------------------------------------------------------------------------------------------------------
 */

static int64_t weight(const struct oct_node *w, int64_t o, int64_t i) {
    return oct_load_int(w->type.dtype, w->data, i) - oct_zero(w->type.q, (uint32_t)o);
}
static int64_t terms_of(const struct oct_node *w) {
    int64_t terms = 1;
    for (int a = 1; a < w->type.rank; a++) terms *= w->type.dim[a];
    return terms;
}

bool oct_rows_fit(const struct oct_kbuild *b) {
    const struct oct_node *w = b->in[1].node;
    if (w->op != OCT_OP_const) return false;
    if (!b->node->at.dynamic) return oct_k_is_float(&w->type);
    const int64_t terms = terms_of(w);
    for (int64_t o = 0; o < w->type.dim[0]; o++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < terms; i++) sum += 255 * llabs(weight(w, o, o * terms + i));
        if (sum > INT32_MAX) return false;
    }
    return true;
}

/* Element number of the term-th in kernel order: channels innermost, which lie outermost in OIHW. */
static int64_t place_of(const struct oct_node *w, int64_t o, int64_t term) {
    const int64_t c = w->type.dim[1], terms = terms_of(w), taps = terms / c;
    return o * terms + term % c * taps + term / c;
}

/* w[block][pair][output of the block][2] on codes, w[block][term][output of the block] on floats; the last block may have fewer
 * vectors. Scalar code takes both as one term after the other. */
static void pack(struct oct_rows *r, const struct oct_node *w, int64_t first) {
    const int64_t block = (int64_t)r->vectors * r->lanes, group = r->dynamic && r->lanes > 1 ? 2 : 1,
                  all = r->padded * ((r->terms + group - 1) / group * group);
    int16_t *codes = OCT_NEW_N(r->b->arena, int16_t, all);
    float *reals = OCT_NEW_N(r->b->arena, float, all);
    int64_t to = 0;
    bool narrow = true;
    for (int64_t o0 = 0; o0 < r->padded; o0 += block)
        for (int64_t t0 = 0; t0 < r->terms; t0 += group)
            for (int64_t o = o0; o < o0 + block && o < r->padded; o++)
                for (int64_t t = t0; t < t0 + group; t++, to++) {
                    if (o >= r->outputs || t >= r->terms) continue;
                    const int64_t at = place_of(w, first + o, t);
                    if (!r->dynamic) reals[to] = ((const float *)w->data)[at];
                    else codes[to] = (int16_t)weight(w, first + o, at);
                    narrow &= codes[to] >= INT8_MIN && codes[to] <= INT8_MAX;
                }
    if (!r->dynamic) {
        r->w = oct_k_const(r->b, "w", LP_F32, all, reals);
        return;
    }
    int8_t *bytes = OCT_NEW_N(r->b->arena, int8_t, all);
    for (int64_t i = 0; i < all; i++) bytes[i] = (int8_t)codes[i];
    r->w = narrow ? oct_k_const(r->b, "w", LP_I8, all, bytes) : oct_k_const(r->b, "w", LP_I16, all, codes);
    float *scale = OCT_NEW_N(r->b->arena, float, r->padded);
    for (int64_t o = 0; o < r->padded; o++) scale[o] = o < r->outputs ? oct_scale(w->type.q, (uint32_t)(first + o)) : 1;
    r->scales = oct_k_const(r->b, "scales", LP_F32, r->padded, scale);
}

void oct_rows_parameters(struct oct_rows *r, struct oct_kbuild *b) {
    r->b = b;
    r->lanes = oct_vec_lanes(b->target, LP_I32);
    if (r->lanes > 1) b->k->isa = b->target->isa;
    r->range = r->lanes > 1 ? oct_k_scratch(b, "range", LP_F32, 2 * r->lanes) : -1;
    r->scale = lp_reg(b->k, lp_scalar(LP_F32), "scale");
    r->zero = lp_reg(b->k, lp_scalar(LP_I32), "zero");
}

void oct_rows_open(struct oct_rows *r, struct oct_kbuild *b, int64_t first, int64_t outputs, int64_t rows,
                   const struct oct_rows *share) {
    const struct oct_node *w = b->in[1].node;
    *r = share ? *share : (struct oct_rows){.b = b, .dynamic = b->node->at.dynamic, .terms = terms_of(w)};
    r->pitch = (r->terms + 1) / 2 * 2;
    if (!share && r->dynamic) {
        oct_rows_parameters(r, b);
        r->codes = oct_k_scratch(b, "codes", LP_I16, rows * r->pitch);
    }
    r->lanes = oct_vec_lanes(b->target, LP_I32);
    if (r->lanes > 1) b->k->isa = b->target->isa;
    r->outputs = outputs;
    r->padded = (outputs + r->lanes - 1) / r->lanes * r->lanes;
    int64_t cost;
    r->vectors = r->lanes > 1 ? oct_madd_vectors(b->target, rows, r->padded / r->lanes, &cost) : SCALARS;
    pack(r, w, first);
    oct_k_say_lanes(b, r->lanes * r->vectors);
}

/* ---- ranges and codes ---------------------------------------------------------------------------------------------------------
 */

static struct lp_val all_lanes(struct lp_kernel *k, struct lp_val v, int lanes) {
    return lanes > 1 && v.reg >= 0 ? lp_op1(k, "all", LP_OP_splat, lp_vector((enum lp_elem)v.type.elem, lanes), v) : v;
}

/* The axes that layouts share, the last of them a run of neighbours where `lanes` stays above 1. */
struct walked {
    struct oct_walk walk[OCT_MAX_RANK];
    int walks;
    int64_t dim, stride[2];
    struct lp_addr at[2];
};
static struct walked walk_of(struct oct_kbuild *b, int n, const struct oct_layout *const *at, int *lanes) {
    struct walked w = {.dim = 1};
    w.walks = oct_k_walks(n, at, 0, w.walk);
    for (int i = 0; i < n; i++) {
        w.at[i] = lp_at(at[i]->offset);
        w.stride[i] = w.walks ? w.walk[w.walks - 1].stride[i] : 1;
        if (w.stride[i] != 1) *lanes = 1;
    }
    if (w.walks) w.dim = w.walk[w.walks - 1].dim;
    oct_k_open(b, w.walks - 1, w.walk, n, w.at);
    return w;
}
static void walk_end(struct oct_kbuild *b, const struct walked *w) { oct_k_close(b, w->walks - 1); }

struct extremes {
    int32_t buf;
    struct lp_val least, most, lanes_least, lanes_most; /* of single elements, of vectors */
};
static void note_range(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct extremes *e = user;
    const struct lp_val x = lp_load(b->k, "x", lp_vector(LP_F32, lanes), e->buf, at[0]),
                        least = lanes > 1 ? e->lanes_least : e->least, most = lanes > 1 ? e->lanes_most : e->most;
    lp_op_to(b->k, least, LP_OP_fmin, 2, (struct lp_val[]){x, least}, 0); /* passes over NaN */
    lp_op_to(b->k, most, LP_OP_fmax, 2, (struct lp_val[]){x, most}, 0);
}

void oct_rows_range(struct oct_rows *r, int32_t buf, const struct oct_layout *at) {
    struct oct_kbuild *b = r->b;
    struct lp_kernel *k = b->k;
    const struct lp_type f = lp_scalar(LP_F32);
    struct extremes e = {.buf = buf, .least = lp_reg(k, f, "least"), .most = lp_reg(k, f, "most")};
    lp_set(k, e.least, lp_flt(LP_F32, 0));
    lp_set(k, e.most, lp_flt(LP_F32, 0));
    if (r->lanes > 1) {
        e.lanes_least = lp_reg(k, lp_vector(LP_F32, r->lanes), "leasts");
        e.lanes_most = lp_reg(k, lp_vector(LP_F32, r->lanes), "mosts");
        lp_set(k, e.lanes_least, lp_flt(LP_F32, 0));
        lp_set(k, e.lanes_most, lp_flt(LP_F32, 0));
    }
    int lanes = r->lanes;
    const struct walked w = walk_of(b, 1, &at, &lanes);
    oct_k_chunks(b, "i", w.dim, lanes, r->lanes, 1, w.stride, w.at, note_range, &e);
    walk_end(b, &w);
    if (r->lanes > 1) { /* the lanes, one by one, through memory */
        lp_store(k, r->range, lp_at(0), e.lanes_least);
        lp_store(k, r->range, lp_at(r->lanes), e.lanes_most);
        const int32_t l = lp_loop(k, "l", r->lanes);
        const struct lp_addr lane = lp_plus(lp_at(0), l, 1);
        lp_op_to(k, e.least, LP_OP_fmin, 2, (struct lp_val[]){lp_load(k, NULL, f, r->range, lane), e.least}, 0);
        lp_op_to(k, e.most, LP_OP_fmax, 2, (struct lp_val[]){lp_load(k, NULL, f, r->range, lp_offset(lane, r->lanes)), e.most},
                 0);
        lp_end(k);
    }
    struct lp_val s = lp_op2(k, NULL, LP_OP_fdiv, lp_op2(k, NULL, LP_OP_fsub, e.most, e.least), lp_flt(LP_F32, 255));
    s = lp_op2(k, "s", LP_OP_fmin, s, lp_flt(LP_F32, (double)FLT_MAX));
    lp_op_to(k, r->scale, LP_OP_select, 3,
             (struct lp_val[]){lp_op2(k, NULL, LP_OP_lt, s, lp_flt(LP_F32, (double)FLT_MIN)), lp_flt(LP_F32, 1), s}, 0);
    const struct lp_val z = lp_op2(k, "z", LP_OP_fsub, lp_flt(LP_F32, 0), lp_op2(k, NULL, LP_OP_fdiv, e.least, r->scale));
    lp_op_to(k, r->zero, LP_OP_f2i, 1, (struct lp_val[]){oct_r_clamp(k, z, 0, 255)}, 0);
}

struct coded {
    struct oct_rows *r;
    int32_t from, to;
    struct lp_val lo, hi; /* what the code of a real can be, less the zero point, as floats */
};
static void store_codes(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct coded *c = user;
    struct lp_kernel *k = b->k;
    struct lp_val v = lp_load(k, NULL, lp_vector(LP_F32, lanes), c->from, at[0]);
    v = lp_op2(k, NULL, LP_OP_fdiv, v, all_lanes(k, c->r->scale, lanes));
    v = lp_op2(k, NULL, LP_OP_fmax, all_lanes(k, c->lo, lanes), v);
    v = lp_op2(k, "v", LP_OP_fmin, all_lanes(k, c->hi, lanes), v);
    if (lanes > 1) { /* of NaN 0; near zero otherwise, which is cheaper on vectors */
        v = lp_op3(k, NULL, LP_OP_select, lp_op2(k, NULL, LP_OP_eq, v, v), v, lp_flt(LP_F32, 0));
        v = lp_op1(k, NULL, LP_OP_f2i_near, (struct lp_type){0}, v);
    } else v = lp_op1(k, NULL, LP_OP_f2i, (struct lp_type){0}, v);
    lp_store(k, c->to, at[1], lp_op1(k, "code", LP_OP_cvt, lp_vector(LP_I16, lanes), v));
}

void oct_rows_codes(struct oct_rows *r, int32_t buf, const struct oct_layout *from, int32_t to, const struct oct_layout *at) {
    struct lp_kernel *k = r->b->k;
    const struct lp_val negative = lp_op2(k, NULL, LP_OP_sub_nw, lp_int(LP_I32, 0), r->zero),
                        above = lp_op2(k, NULL, LP_OP_sub_nw, lp_int(LP_I32, 255), r->zero);
    struct coded c = {r, buf, to, lp_op1(k, "lo", LP_OP_i2f, (struct lp_type){0}, negative),
                      lp_op1(k, "hi", LP_OP_i2f, (struct lp_type){0}, above)};
    int lanes = r->lanes;
    const struct walked w = walk_of(r->b, 2, (const struct oct_layout *[]){from, at}, &lanes);
    oct_k_chunks(r->b, "i", w.dim, lanes, OCT_FEWEST, 2, w.stride, w.at, store_codes, &c);
    walk_end(r->b, &w);
}

static void store_zeros(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    struct lp_val zero = lp_int(LP_I16, 0);
    if (lanes > 1) zero = lp_op1(b->k, "none", LP_OP_splat, lp_vector(LP_I16, lanes), zero);
    lp_store(b->k, *(const int32_t *)user, at[0], zero);
}
void oct_rows_clear(struct oct_kbuild *b, int32_t buf, int64_t n) {
    oct_k_chunks(b, "i", n, oct_vec_lanes(b->target, LP_I16), OCT_FEWEST, 1, (int64_t[]){1}, (struct lp_addr[]){lp_at(0)},
                 store_zeros, &buf);
}

/* ---- products -----------------------------------------------------------------------------------------------------------------
 */

/* A tile: `rows` of them x `vectors` of outputs from o on. */
struct tile {
    const struct oct_rows *r;
    int rows, vectors;
    struct lp_addr x, w, o;
    struct oct_rows_at from, to;
    int64_t x_row;
    float lo, hi;
};

static struct lp_addr at_vector(const struct tile *t, const struct oct_rows_at *a, int row, int i) {
    return lp_offset(a->at, row * a->row + (int64_t)i * t->r->lanes);
}

static void store_tile(const struct tile *t, oct_madd_row *acc) {
    const struct oct_rows *r = t->r;
    struct lp_kernel *k = r->b->k;
    const struct lp_type f = lp_vector(LP_F32, r->lanes);
    for (int i = 0; i < t->vectors; i++) {
        struct lp_val step = {0};
        if (r->dynamic) {
            step = lp_load(k, NULL, f, r->scales, lp_offset(t->o, (int64_t)i * r->lanes));
            step = lp_op2(k, "step", LP_OP_fmul, all_lanes(k, r->scale, r->lanes), step);
        }
        for (int row = 0; row < t->rows; row++) {
            struct lp_val y = acc[row][i];
            if (r->dynamic) {
                y = lp_op2(k, NULL, LP_OP_fmul, lp_op1(k, NULL, LP_OP_i2f, f, y), step);
                y = lp_op2(k, "y", LP_OP_fadd, y, lp_load(k, NULL, f, t->from.buf, at_vector(t, &t->from, row, i)));
            }
            lp_store(k, t->to.buf, at_vector(t, &t->to, row, i), oct_r_clamp(k, y, t->lo, t->hi));
        }
    }
}

static void codes_by_vectors(const struct tile *t, int32_t codes, oct_madd_row *acc) {
    const struct oct_rows *r = t->r;
    const struct oct_madd s = {.b = r->b,
                               .lanes = r->lanes,
                               .vectors = t->vectors,
                               .codes = codes,
                               .weights = r->w,
                               .pixel = t->x_row,
                               .runs = 1,
                               .pairs = r->pitch / 2};
    oct_madd_build(&s, t->rows, t->x, t->w, acc);
}

/* One term after the other: scalars on codes; floats, scalars or vectors. */
static void term_by_term(const struct tile *t, int32_t x, oct_madd_row *acc) {
    const struct oct_rows *r = t->r;
    struct lp_kernel *k = r->b->k;
    const bool fused = !r->dynamic && r->lanes > 1 && !r->b->strict_float;
    const int32_t i = lp_loop(k, "i", r->terms);
    const struct lp_addr from = lp_plus(t->x, i, 1), weights = lp_plus(t->w, i, (int64_t)t->vectors * r->lanes);
    struct lp_val v[OCT_MADD_PIXELS];
    for (int row = 0; row < t->rows; row++) {
        const struct lp_addr at = lp_offset(from, row * t->x_row);
        v[row] =
            r->dynamic ? oct_k_load_code(r->b, "x", x, at) : all_lanes(k, lp_load(k, "x", lp_scalar(LP_F32), x, at), r->lanes);
    }
    for (int j = 0; j < t->vectors; j++) {
        const struct lp_addr at = lp_offset(weights, (int64_t)j * r->lanes);
        const struct lp_val w =
            r->dynamic ? oct_k_load_code(r->b, "w", r->w, at) : lp_load(k, "w", lp_vector(LP_F32, r->lanes), r->w, at);
        for (int row = 0; row < t->rows; row++) {
            const struct lp_val a = acc[row][j];
            if (fused) lp_op_to(k, a, LP_OP_fma, 3, (struct lp_val[]){v[row], w, a}, 0);
            else {
                const struct lp_val p = lp_op2(k, NULL, r->dynamic ? LP_OP_mul_nw : LP_OP_fmul, v[row], w);
                lp_op_to(k, a, r->dynamic ? LP_OP_add_nw : LP_OP_fadd, 2, (struct lp_val[]){a, p}, 0);
            }
        }
    }
    lp_end(k);
}

static void build_tile(const struct tile *t, int32_t x) {
    const struct oct_rows *r = t->r;
    struct lp_kernel *k = r->b->k;
    oct_madd_row acc[OCT_MADD_PIXELS];
    for (int row = 0; row < t->rows; row++)
        for (int i = 0; i < t->vectors; i++) {
            acc[row][i] =
                lp_reg(k, lp_vector(r->dynamic ? LP_I32 : LP_F32, r->lanes), oct_sprintf(r->b->arena, "a%dp%d", i, row));
            if (r->dynamic) lp_set(k, acc[row][i], lp_int(LP_I32, 0));
            else lp_load_to(k, acc[row][i], t->from.buf, at_vector(t, &t->from, row, i));
        }
    if (r->dynamic && r->lanes > 1) codes_by_vectors(t, x, acc);
    else term_by_term(t, x, acc);
    store_tile(t, acc);
}

void oct_rows_multiply(const struct oct_rows *r, int64_t rows, const struct oct_rows_at *x, const struct oct_rows_at *from,
                       const struct oct_rows_at *to, float lo, float hi) {
    struct lp_kernel *k = r->b->k;
    const int64_t block = (int64_t)r->vectors * r->lanes, blocks = r->padded / block, rest = r->padded % block,
                  depth = r->dynamic && r->lanes > 1 ? r->pitch : r->terms;
    for (int whole = 1; whole >= 0; whole--) {
        const int64_t trip = whole ? blocks : rest > 0, first = whole ? 0 : blocks * block;
        if (!trip) continue;
        const int vectors = whole ? r->vectors : (int)(rest / r->lanes);
        struct tile t = {.r = r, .vectors = vectors, .x_row = x->row, .lo = lo, .hi = hi};
        struct lp_addr o = lp_at(first), w = lp_at(first * depth), start = lp_offset(from->at, first),
                       end = lp_offset(to->at, first);
        if (trip > 1) {
            const int32_t i = lp_loop(k, "block", trip);
            o = lp_plus(o, i, block);
            w = lp_plus(w, i, block * depth);
            start = lp_plus(start, i, block);
            end = lp_plus(end, i, block);
        }
        const int64_t most = r->lanes > 1 ? oct_madd_pixels(r->b->target, rows, vectors) : 1;
        for (int64_t done = 0; done < rows;) {
            const int64_t here = rows - done < most ? rows - done : most, trips = (rows - done) / here;
            t.rows = (int)here;
            t.w = w, t.o = o;
            t.x = lp_offset(x->at, done * x->row);
            t.from = (struct oct_rows_at){from->buf, lp_offset(start, done * from->row), from->row};
            t.to = (struct oct_rows_at){to->buf, lp_offset(end, done * to->row), to->row};
            if (trips > 1) {
                const int32_t i = lp_loop(k, "row", trips);
                t.x = lp_plus(t.x, i, here * x->row);
                if (from->row) t.from.at = lp_plus(t.from.at, i, here * from->row);
                t.to.at = lp_plus(t.to.at, i, here * to->row);
            }
            build_tile(&t, x->buf);
            if (trips > 1) lp_end(k);
            done += trips * here;
        }
        if (trip > 1) lp_end(k);
    }
}
