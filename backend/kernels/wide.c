/* wide.c - see wide.h. */
#include "wide.h"

#include "../loops/rows.h"

/* Where each row that is copied starts in the image, or -1. */
static int32_t row_table(const struct oct_wide *v, int64_t n) {
    int32_t *at = OCT_NEW_N(v->b->arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = i - v->top;
        at[i] = row < 0 || row >= v->h ? -1 : (int32_t)(row * v->row);
    }
    return oct_k_const(v->b, "rows", LP_I32, n, at);
}

static enum lp_elem elem_of(const struct oct_wide *v) { return v->floats ? LP_F32 : v->bytes ? LP_U8 : LP_I16; }

void oct_wide_open(struct oct_wide *v) {
    const int64_t rows = (v->bands - 1) * v->step + v->seen;
    v->x = oct_k_in(v->b, 0);
    v->floats = v->b->k->buf[v->x].elem == LP_F32;
    v->lanes = v->b->target->vector_bits / lp_elem_bits(elem_of(v));
    v->wide = oct_k_scratch(v->b,
                            v->floats  ? "padded"
                            : v->bytes ? "bytes"
                                       : "wide",
                            elem_of(v), v->seen * v->cols * v->c + v->lanes);
    v->table = v->top || rows > v->h ? row_table(v, rows) : -1;
}

/* The codes of one row: at + index register. */
struct source {
    const struct oct_wide *v;
    struct lp_addr at;
    struct lp_val keep, else_zero; /* masks of one lane, as wide as integers of its size; type.lanes 0: the row is in the image */
};

/* The code of padding, as scratch holds it: 0.0 for floats. */
static int64_t padding(const struct oct_wide *v) {
    return v->floats ? 0 : oct_zero(v->b->in[0].node->type.q, 0) - (v->bytes ? v->lowest : 0);
}

static struct lp_val lanes_of(struct lp_kernel *k, struct lp_val v, int n) {
    return v.reg < 0 || n == 1 ? v : lp_op1(k, NULL, LP_OP_splat, lp_vector((enum lp_elem)v.type.elem, n), v);
}

/* n codes as scratch holds them, to `to`. */
static void widen(const void *context, struct lp_addr at, struct lp_addr to, int n) {
    const struct source *from = context;
    const struct oct_wide *v = from->v;
    struct lp_kernel *k = v->b->k;
    const enum lp_elem stored = v->b->k->buf[v->x].elem, e = elem_of(v);
    struct lp_val x = lp_load(k, NULL, lp_vector(stored, n), v->x, at);
    if (stored != e) x = lp_op1(k, NULL, LP_OP_cvt, lp_vector(e, n), x);
    if (v->bytes && v->lowest) x = lp_op2(k, NULL, LP_OP_sub, x, lp_int(e, v->lowest & UINT8_MAX));
    if (from->keep.type.lanes) {
        if (v->floats) x = lp_op1(k, NULL, LP_OP_bits_of, lp_vector(LP_I32, n), x);
        x = lp_op2(k, NULL, LP_OP_and, x, lanes_of(k, from->keep, n));
        if (padding(v)) x = lp_op2(k, NULL, LP_OP_or, x, lanes_of(k, from->else_zero, n));
        if (v->floats) x = lp_op1(k, NULL, LP_OP_of_bits, lp_vector(LP_F32, n), x);
    }
    lp_store(k, v->wide, to, x);
}

void oct_run(struct lp_kernel *k, int n, struct lp_addr from, struct lp_addr to, int64_t count, oct_run_fn *each,
             const void *context) {
    const int64_t whole = count / n, rest = count % n;
    if (whole > 1) {
        const int32_t i = lp_loop(k, "i", whole);
        each(context, lp_plus(from, i, n), lp_plus(to, i, n), n);
        lp_end(k);
    } else if (whole) each(context, from, to, n);
    if (rest && whole) each(context, lp_offset(from, count - n), lp_offset(to, count - n), n);
    for (int64_t done = 0, size = n / 2; !whole && size; size /= 2)
        if (count - done >= size) {
            each(context, lp_offset(from, done), lp_offset(to, done), (int)size);
            done += size;
        }
}

/* The zero point, `count` times and not once more: gcc 12 has taken stores that run into the next row, which is written later, for
 * independent of it, and reordered them. */
static void fill(const struct oct_wide *v, struct lp_addr to, int64_t count) {
    struct lp_kernel *k = v->b->k;
    const enum lp_elem e = elem_of(v);
    const struct lp_val zero = v->floats ? lp_flt(e, 0) : lp_int(e, padding(v));
    for (int64_t n = v->lanes, done = 0; n && done < count; n /= 2) {
        const int64_t trips = (count - done) / n;
        struct lp_addr here = lp_offset(to, done);
        if (!trips) continue;
        const struct lp_val all = n == 1 ? zero : lp_op1(k, "zero", LP_OP_splat, lp_vector(e, (int)n), zero);
        if (trips > 1) here = lp_plus(here, lp_loop(k, "i", trips), n);
        lp_store(k, v->wide, here, all);
        if (trips > 1) lp_end(k);
        done += trips * n;
    }
}

/* Copies the rows that band `band` of image `image` sees. */
void oct_wide_build(const struct oct_wide *v, int32_t band, struct lp_addr image) {
    struct lp_kernel *k = v->b->k;
    const int64_t step = v->step, left = v->left, end = v->cols - left, cols = v->w < end ? v->w : end;
    struct lp_addr entry = lp_plus(lp_at(0), band, step), to = lp_at(0);
    struct source from = {.v = v, .at = lp_plus(image, band, step * v->row)};
    const bool several = v->seen > 1;
    if (several) {
        const int32_t row = lp_loop(k, "row", v->seen);
        entry = lp_plus(entry, row, 1);
        to = lp_plus(to, row, v->cols * v->c);
        from.at = lp_plus(from.at, row, v->row);
    }
    if (v->table >= 0) {
        const int64_t last = (v->h - 1) * v->row;
        const struct lp_val at = lp_load(k, "at", lp_scalar(LP_I32), v->table, entry),
                            out = lp_shift(k, "outside", LP_OP_sar, at, 31), zero = lp_int(LP_I32, padding(v));
        struct lp_val index = lp_op2(k, "index", LP_OP_max, at, lp_int(LP_I32, 0));
        index = lp_op2(k, "index", LP_OP_min, index, lp_int(LP_I32, last));
        from.at = lp_indexed(image, index, 0, last);
        from.keep = lp_op1(k, v->floats ? "keep" : NULL, LP_OP_not, (struct lp_type){0}, out);
        if (!v->floats) from.keep = lp_op1(k, "keep", LP_OP_cvt, lp_scalar(elem_of(v)), from.keep);
        if (padding(v))
            from.else_zero = lp_op1(k, "pad", LP_OP_cvt, lp_scalar(elem_of(v)), lp_op2(k, NULL, LP_OP_and, out, zero));
    }
    fill(v, to, left * v->c);
    const struct lp_addr first = lp_offset(to, left * v->c);
    if (v->channel == 1 && v->col == v->c) oct_run(k, v->lanes, from.at, first, cols * v->c, widen, &from);
    else {
        struct lp_addr at = from.at, place = first;
        int loops = 0;
        if (cols > 1) {
            const int32_t col = lp_loop(k, "col", cols);
            at = lp_plus(at, col, v->col);
            place = lp_plus(place, col, v->c);
            loops++;
        }
        if (v->channel == 1) oct_run(k, v->lanes, at, place, v->c, widen, &from);
        else {
            if (v->c > 1) {
                const int32_t c = lp_loop(k, "c", v->c);
                at = lp_plus(at, c, v->channel);
                place = lp_plus(place, c, 1);
                loops++;
            }
            widen(&from, at, place, 1);
        }
        oct_k_close(v->b, loops);
    }
    fill(v, lp_offset(first, cols * v->c), (end - cols) * v->c);
    if (several) lp_end(k);
}
