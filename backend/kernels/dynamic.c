/* dynamic.c - dense and conv2d of floats with weights that are codes (rows.h); dynamic_quantize, the codes alone; gather. A
 * convolution first copies the codes that each pixel of a row of the result sees behind each other, zeros for the padding. */
#include <string.h>

#include "map.h"
#include "real.h"
#include "rows.h"

static bool constant_bias(const struct oct_kbuild *b) {
    return b->nin < 3 || !b->in[2].node || b->in[2].node->op == OCT_OP_const;
}
bool oct_fits_dynamic(const struct oct_kbuild *b) { return b->node->at.dynamic && constant_bias(b) && oct_rows_fit(b); }

/* The bias, 0 where there is none and behind the last output. */
static struct oct_rows_at bias_of(struct oct_kbuild *b, const struct oct_rows *r) {
    float *bias = OCT_NEW_N(b->arena, float, r->padded);
    const bool given = b->nin > 2 && b->in[2].node;
    if (given) memcpy(bias, b->in[2].node->data, (size_t)r->outputs * sizeof *bias);
    return (struct oct_rows_at){oct_k_const(b, "bias", LP_F32, r->padded, bias), lp_at(0), 0};
}

/* Rows of `n` along the last axis, `pitch` apart, with the dims of another layout. */
static struct oct_layout rows_like(const struct oct_layout *like, int64_t pitch) {
    struct oct_layout at;
    oct_layout_plain(&at, like->rank, like->dim);
    const int last = at.rank - 1;
    for (int a = 0; a < last; a++) at.stride[a] = at.stride[a] / at.dim[last] * pitch;
    at.size = at.dim[last] ? at.size / at.dim[last] * pitch : 0;
    return at;
}

bool oct_build_dense_dynamic(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int last = in->rank - 1;
    const int64_t terms = in->dim[last], outputs = out->dim[last], rows = oct_layout_elements(in) / terms;
    const int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    struct oct_rows r;
    oct_rows_open(&r, b, 0, outputs, rows, NULL);
    const struct oct_layout codes = rows_like(in, r.pitch), staged = rows_like(out, r.padded), plain = rows_like(out, outputs);
    const bool direct = r.padded == outputs && oct_layout_same(out, &plain);
    struct oct_rows_at from = bias_of(b, &r), to = {y, lp_at(out->offset), outputs};
    if (!direct) to = (struct oct_rows_at){oct_k_scratch(b, "staged", LP_F32, rows * r.padded), lp_at(0), r.padded};
    if (r.pitch > terms) oct_rows_clear(b, r.codes, rows * r.pitch);
    oct_rows_range(&r, x, in);
    oct_rows_codes(&r, x, in, r.codes, &codes);
    oct_rows_multiply(&r, rows, &(struct oct_rows_at){r.codes, lp_at(0), r.pitch}, &from, &to, b->node->at.clip[0],
                      b->node->at.clip[1]);
    if (!direct) oct_k_copy(b, to.buf, &staged, y, out);
    return true;
}

/* ---- conv2d
 * --------------------------------------------------------------------------------------------------------------------- */

static void copy_codes(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const int32_t *buf = user;
    lp_store(b->k, buf[1], at[1], lp_load(b->k, NULL, lp_vector(LP_I16, lanes), buf[0], at[0]));
}

/* What the pixels of one row of the result see: codes from the image at `x` on to rows of `columns`. */
static void gather(struct oct_kbuild *b, int32_t image, const struct oct_layout *at, struct lp_addr x, int32_t columns,
                   int64_t pitch) {
    const struct oct_attrs *a = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    struct lp_kernel *k = b->k;
    const int64_t c = w->dim[1], kh = w->dim[2], kw = w->dim[3];
    const int64_t trip[] = {b->out.at.dim[3], kh, kw},
                  from[] = {a->stride[1] * at->stride[3], a->dilation[0] * at->stride[2], a->dilation[1] * at->stride[3]},
                  to[] = {pitch, kw * c, c};
    static const char *const names[] = {"ox", "ky", "kx"};
    struct lp_addr place[] = {x, lp_at(0)};
    int loops = 0;
    for (int i = 0; i < 3; i++) {
        if (trip[i] == 1) continue;
        const int32_t v = lp_loop(k, names[i], trip[i]);
        place[0] = lp_plus(place[0], v, from[i]);
        place[1] = lp_plus(place[1], v, to[i]);
        loops++;
    }
    oct_k_chunks(b, "ci", c, oct_vec_lanes(b->target, LP_I16), OCT_FEWEST, 2, (int64_t[]){1, 1}, place, copy_codes,
                 (int32_t[]){image, columns});
    oct_k_close(b, loops);
}

bool oct_fits_conv2d_dynamic(const struct oct_kbuild *b) { return oct_fits_dynamic(b) && b->node->at.groups == 1; }

bool oct_build_conv2d_dynamic(struct oct_kbuild *b) {
    const struct oct_attrs *a = &b->node->at;
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const int64_t outputs = out->dim[1], width = out->dim[3], height = out->dim[2];
    struct lp_kernel *k = b->k;
    const int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    struct oct_layout image;
    oct_layout_nhwc(&image, in->dim, a->pad);
    const int32_t codes = oct_k_scratch(b, "image", LP_I16, image.size);
    struct oct_rows r;
    oct_rows_open(&r, b, 0, outputs, width, NULL);
    oct_rows_clear(b, codes, image.size);
    if (r.pitch > r.terms) oct_rows_clear(b, r.codes, width * r.pitch);
    oct_rows_range(&r, x, in);
    oct_rows_codes(&r, x, in, codes, &image);
    const bool direct = r.padded == outputs && out->stride[1] == 1;
    const struct oct_rows_at from = bias_of(b, &r);
    const int32_t staged = direct ? -1 : oct_k_scratch(b, "staged", LP_F32, width * r.padded);
    /* the window of pixel (0, 0) starts in the border */
    struct lp_addr start = lp_at(image.offset - a->pad[0] * image.stride[2] - a->pad[1] * image.stride[3]),
                   place = lp_at(out->offset);
    int loops = 0;
    const int64_t trip[] = {out->dim[0], height}, step[] = {image.stride[0], a->stride[0] * image.stride[2]},
                  move[] = {out->stride[0], out->stride[2]};
    for (int i = 0; i < 2; i++) {
        if (trip[i] == 1) continue;
        const int32_t v = lp_loop(k, i ? "oy" : "n", trip[i]);
        start = lp_plus(start, v, step[i]);
        place = lp_plus(place, v, move[i]);
        loops++;
    }
    gather(b, codes, &image, start, r.codes, r.pitch);
    const struct oct_rows_at to =
        direct ? (struct oct_rows_at){y, place, out->stride[3]} : (struct oct_rows_at){staged, lp_at(0), r.padded};
    oct_rows_multiply(&r, width, &(struct oct_rows_at){r.codes, lp_at(0), r.pitch}, &from, &to, a->clip[0], a->clip[1]);
    if (!direct) {
        const int32_t ox = lp_loop(k, "ox", width), o = lp_loop(k, "o", outputs);
        const struct lp_val v = lp_load(k, NULL, lp_scalar(LP_F32), staged, lp_plus(lp_plus(lp_at(0), ox, r.padded), o, 1));
        lp_store(k, y, lp_plus(lp_plus(place, ox, out->stride[3]), o, out->stride[1]), v);
        oct_k_close(b, 2);
    }
    oct_k_close(b, loops);
    return true;
}

/* ---- dynamic_quantize
 * ------------------------------------------------------------------------------------------------------------- */

bool oct_fits_dynamic_quantize(const struct oct_kbuild *b) {
    (void)b;
    return true;
}

bool oct_build_dynamic_quantize(struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    struct lp_kernel *k = b->k;
    const int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    struct oct_rows r = {0};
    oct_rows_parameters(&r, b);
    oct_rows_range(&r, x, in);
    if (b->node->at.part == OCT_part_scale) lp_store(k, y, lp_at(out->offset), r.scale);
    else if (b->node->at.part == OCT_part_zero) oct_k_store_code(b, y, lp_at(out->offset), r.zero);
    else {
        struct oct_layout terms;
        oct_layout_plain(&terms, in->rank, in->dim);
        const int32_t codes = oct_k_scratch(b, "terms", LP_I16, terms.size);
        oct_rows_codes(&r, x, in, codes, &terms);
        struct lp_addr at[2];
        const int loops = oct_k_nest(b, 2, (const struct oct_layout *[]){out, &terms}, 0, at);
        oct_k_store_code(b, y, at[0], lp_op2(k, "code", LP_OP_add_nw, oct_k_load_code(b, "term", codes, at[1]), r.zero));
        oct_k_close(b, loops);
    }
    return true;
}

/* ---- gather
 * ----------------------------------------------------------------------------------------------------------------------- */

bool oct_fits_gather(const struct oct_kbuild *b) {
    (void)b;
    return true;
}

/* rows x inner elements: the number of the row clamped, then its elements. */
bool oct_build_gather(struct oct_kbuild *b) {
    struct lp_kernel *k = b->k;
    const struct oct_type *t = &b->in[0].node->type;
    const struct oct_layout *table = &b->in[0].at, *rows = &b->in[1].at, *out = &b->out.at;
    const int32_t x = oct_k_in(b, 0), numbers = oct_k_in(b, 1), y = oct_k_out(b);
    const int64_t last = table->dim[0] - 1;
    const enum lp_elem e = k->buf[numbers].elem;
    struct oct_layout outer = *out, inner = *out, row = *table; /* of the result: along the numbers, along a row */
    outer.rank = rows->rank;
    inner.rank = row.rank = table->rank - 1;
    for (int a = 0; a < inner.rank; a++) {
        inner.dim[a] = out->dim[rows->rank + a], inner.stride[a] = out->stride[rows->rank + a];
        row.dim[a] = table->dim[a + 1], row.stride[a] = table->stride[a + 1];
    }
    const int32_t scales = t->q && t->q->axis == 0 ? oct_k_const(b, "scale", LP_F32, t->q->n, t->q->scale) : -1,
                  zeros = scales >= 0 && t->q->zero ? oct_k_const(b, "zero", LP_I32, t->q->n, t->q->zero) : -1;
    struct lp_addr at[2];
    const int loops = oct_k_nest(b, 2, (const struct oct_layout *[]){&outer, rows}, 0, at);
    struct lp_val n = lp_load(k, "n", lp_scalar(e), numbers, at[1]);
    if (e != LP_I64) n = lp_op1(k, "n", LP_OP_cvt, lp_scalar(LP_I64), n);
    const struct lp_val none = lp_int(LP_I64, 0), from_end = lp_op2(k, NULL, LP_OP_add, n, lp_int(LP_I64, last + 1));
    n = lp_op3(k, "n", LP_OP_select, lp_op2(k, NULL, LP_OP_lt, n, none), from_end, n);
    n = lp_op2(k, NULL, LP_OP_min, lp_op2(k, NULL, LP_OP_max, n, none), lp_int(LP_I64, last));
    n = lp_op1(k, "row", LP_OP_cvt, lp_scalar(LP_I32), n);
    struct oct_r_params p = {0};
    if (t->q) p = oct_r_params(t);
    if (scales >= 0) p.scale = lp_load(k, "scale", lp_scalar(LP_F32), scales, lp_indexed(lp_at(0), n, 0, last));
    if (zeros >= 0) p.zero = lp_load(k, "zero", lp_scalar(LP_I32), zeros, lp_indexed(lp_at(0), n, 0, last));
    const struct lp_val first = lp_op2(k, "first", LP_OP_mul_nw, n, lp_int(LP_I32, table->stride[0]));
    struct lp_addr place[2];
    const int within = oct_k_nest(b, 2, (const struct oct_layout *[]){&inner, &row}, 0, place);
    struct lp_addr to = at[0];
    to.base += place[0].base - inner.offset;
    for (int i = 0; i < place[0].nterms; i++) to = lp_plus(to, place[0].term[i].var, place[0].term[i].coef);
    const struct lp_addr from = lp_indexed(place[1], first, 0, last * table->stride[0]);
    struct lp_val v = lp_load(k, "x", lp_scalar(k->buf[x].elem), x, from);
    if (t->q) v = oct_r_dequantize(k, &p, oct_k_code_of(b, v));
    lp_store(k, y, to, v);
    oct_k_close(b, within + loops);
    return true;
}
