/* interp_linear.c - conv2d, dense, matmul. The input is laid channels innermost (integers widened, zero point taken off), weights
 * lie in blocks of 16 output channels, and interp_tile.h does the sums: float in the order kh, kw, ci from the bias on; integers
 * exactly, in 32 bits where the weights at hand prove that no partial sum leaves them, otherwise in 64. */
#include <stdlib.h>

#include "interp_impl.h"
#include "interp_tile_row.h"

enum { BLOCK = 16, ROWS = 64 /* rows of a dense or matmul taken at a time */ };

/* A convolution over `n` images of h x w. dense and matmul are one over an image of 1 x rows with a 1 x 1 kernel. */
struct shape {
    int64_t n, c, h, w, oh, ow, groups, ci, co; /* ci, co: of one group */
    int64_t kh, kw, sh, sw, dh, dw, top, left;
    bool depthwise; /* groups = c = co: run as one group, channel by channel */
    int64_t blocks; /* of 16 output channels, in one group */
    int64_t column; /* elements of a staged pixel */
};

/* Prepared: element type of the sums, requantizers, and the packed weights when they are constants. */
struct linear {
    struct shape s;
    enum oct_tile_type type;
    oct_tile_fn *tile;
    size_t size;                 /* bytes of an element */
    void *w;                     /* [group][block][kh][kw][ci][16], NULL: packed at each run */
    void *bias;                  /* [group][block][16] */
    struct oct_requant *requant; /* one per output channel; NULL: float */
    const float *w_scale;        /* dynamic: one per output channel; the sums are integers, the result float; else NULL */
};

static void finish_shape(struct shape *s) {
    s->depthwise = s->groups > 1 && s->groups == s->c && s->co == 1;
    if (s->depthwise) s->co = s->groups, s->groups = 1;
    s->blocks = (s->co + BLOCK - 1) / BLOCK;
    s->column = s->depthwise ? s->blocks * BLOCK : s->c;
}

static struct shape shape_of_conv(const struct oct_node *n, const struct oct_type *x, const struct oct_type *w,
                                  const struct oct_type *y) {
    const struct oct_attrs *at = &n->at;
    struct shape s = {.n = x->dim[0],
                      .c = x->dim[1],
                      .h = x->dim[2],
                      .w = x->dim[3],
                      .oh = y->dim[2],
                      .ow = y->dim[3],
                      .groups = at->groups,
                      .ci = w->dim[1],
                      .co = w->dim[0] / at->groups,
                      .kh = w->dim[2],
                      .kw = w->dim[3],
                      .sh = at->stride[0],
                      .sw = at->stride[1],
                      .dh = at->dilation[0],
                      .dw = at->dilation[1],
                      .top = at->pad[0],
                      .left = at->pad[1]};
    finish_shape(&s);
    return s;
}

static struct shape shape_of_rows(int64_t rows, int64_t depth, int64_t co) {
    struct shape s = {.n = 1,
                      .c = depth,
                      .h = 1,
                      .w = rows,
                      .oh = 1,
                      .ow = rows,
                      .groups = 1,
                      .ci = depth,
                      .co = co,
                      .kh = 1,
                      .kw = 1,
                      .sh = 1,
                      .sw = 1,
                      .dh = 1,
                      .dw = 1};
    finish_shape(&s);
    return s;
}

static int64_t weights_packed(const struct shape *s) { return s->groups * s->blocks * s->kh * s->kw * s->ci * BLOCK; }
static int64_t biases_packed(const struct shape *s) { return s->groups * s->blocks * BLOCK; }

/* ---- packing ---------------------------------------------------------------------------------------------------------- */

static int64_t code_at(const struct oct_tensor *t, int64_t i) {
    int32_t v;
    oct_load_codes(t, i, 1, 1, 0, &v);
    return v;
}

static void put(enum oct_tile_type type, void *to, int64_t i, const struct oct_tensor *from, int64_t j, int64_t zero) {
    switch (type) {
    case OCT_TILE_F32: ((float *)to)[i] = ((const float *)from->data)[j]; break;
    case OCT_TILE_I32: ((int32_t *)to)[i] = (int32_t)(code_at(from, j) - zero); break;
    default: ((int64_t *)to)[i] = code_at(from, j) - zero; break;
    }
}

/* Weights OIHW (dense: OI) into blocks. Unused lanes of the last block stay as they are: zero. */
static void pack(const struct linear *l, const struct oct_tensor *w, const struct oct_tensor *b, void *to_w, void *to_b) {
    const struct shape *s = &l->s;
    int64_t taps = s->kh * s->kw;
    for (int64_t o = 0; o < s->groups * s->co; o++) { /* output channel of the whole */
        int64_t g = o / s->co, lane = o % s->co % BLOCK, block = g * s->blocks + o % s->co / BLOCK;
        int64_t zero = w->type.q ? oct_zero(w->type.q, (uint32_t)o) : 0;
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < s->ci; i++)
                put(l->type, to_w, ((block * taps + t) * s->ci + i) * BLOCK + lane, w, (o * s->ci + i) * taps + t, zero);
        if (b) put(l->type, to_b, block * BLOCK + lane, b, o, 0);
    }
}

/* Image n of x: [c][h][w] into [h][w][column]. dense: rows are pixels already. */
static void stage(const struct linear *l, const struct oct_tensor *x, struct oct_dynamic d, int64_t n, void *to) {
    const struct shape *s = &l->s;
    int64_t pixels = s->h * s->w, from = n * s->c * pixels;
    const struct oct_quant *q = x->type.q;
    for (int64_t y = 0; y < s->h; y++) {
        for (int64_t c = 0; c < s->c; c++) {
            int64_t at = from + c * pixels + y * s->w, out = y * s->w * s->column + c;
            int64_t zero = q ? oct_zero(q, (uint32_t)c) : 0;
            if (l->type == OCT_TILE_F32) {
                const float *p = (const float *)x->data + at;
                for (int64_t i = 0; i < s->w; i++) ((float *)to)[out + i * s->column] = p[i];
                continue;
            }
            for (int64_t i = 0; i < s->w;) {
                int32_t run[OCT_RUN];
                int64_t k = s->w - i < OCT_RUN ? s->w - i : OCT_RUN;
                if (!l->w_scale) oct_load_codes(x, at + i, 1, k, zero, run);
                for (int64_t j = 0; l->w_scale && j < k; j++) run[j] = oct_dynamic_term(d, ((const float *)x->data)[at + i + j]);
                for (int64_t j = 0; j < k; j++, i++) {
                    if (l->type == OCT_TILE_I32) ((int32_t *)to)[out + i * s->column] = run[j];
                    else ((int64_t *)to)[out + i * s->column] = run[j];
                }
            }
        }
    }
}

/* n elements as they lie, widened. */
static void widen(enum oct_tile_type type, const struct oct_tensor *x, int64_t at, int64_t stride, int64_t n, int64_t zero,
                  void *to) {
    for (int64_t i = 0; i < n; i++) put(type, to, i, x, at + i * stride, zero);
}

/* ---- results ------------------------------------------------------------------------------------------------------------- */

static int64_t sum_at(enum oct_tile_type type, const void *sums, int64_t i) {
    return type == OCT_TILE_I32 ? ((const int32_t *)sums)[i] : ((const int64_t *)sums)[i];
}

/* What is known when the op runs: dynamic parameters, and the float bias that goes with them (NULL: none). */
struct now {
    struct oct_dynamic d;
    const float *bias;
};

/* A sum under dynamic parameters. */
static float scaled(const struct linear *l, const struct now *r, int64_t sum, int64_t o) {
    const float step = r->d.scale * l->w_scale[o], y = (float)sum * step;
    return r->bias ? y + r->bias[o] : y;
}

/* `count` sums, [column][16], of output channels o .. o + lanes - 1; result (column, channel) goes to at + column * dx + channel
 * * dc. */
static void finish(const struct linear *l, const struct oct_node *n, const struct now *r, const void *sums, int64_t count,
                   int64_t o, int64_t lanes, struct oct_tensor *y, int64_t at, int64_t dx, int64_t dc) {
    struct oct_code_range range = l->requant ? oct_code_range(n) : (struct oct_code_range){0, 0};
    float lo = n->at.clip[0], hi = n->at.clip[1];
    for (int64_t c = 0; c < lanes; c++) {
        int64_t to = at + c * dc;
        if (!l->requant) {
            float *p = (float *)y->data + to;
            for (int64_t i = 0; i < count; i++) {
                const int64_t from = i * BLOCK + c;
                p[i * dx] = oct_clampf(
                    l->w_scale ? scaled(l, r, sum_at(l->type, sums, from), o + c) : ((const float *)sums)[from], lo, hi);
            }
            continue;
        }
        const struct oct_requant *rq = &l->requant[o + c];
        int32_t zero = oct_zero(y->type.q, (uint32_t)(o + c));
        int64_t k = dx == 1 ? OCT_RUN : 1; /* results stored at a time */
        for (int64_t i = 0; i < count; i += k) {
            int32_t run[OCT_RUN];
            int64_t m = count - i < k ? count - i : k;
            for (int64_t j = 0; j < m; j++)
                run[j] = oct_clamp_code(oct_requant_apply(rq, sum_at(l->type, sums, (i + j) * BLOCK + c)) + zero, range);
            oct_store_codes(y, to + i * dx, m, run);
        }
    }
}

/* Kernel rows [a0, a1) of output row y that lie inside the image. */
static void rows_inside(const struct shape *s, int64_t y, int64_t *a0, int64_t *a1) {
    int64_t top = y * s->sh - s->top;
    *a0 = top >= 0 ? 0 : (-top + s->dh - 1) / s->dh;
    *a1 = top >= s->h ? 0 : (s->h - top + s->dh - 1) / s->dh;
    if (*a1 > s->kh) *a1 = s->kh;
    if (*a0 > *a1) *a0 = *a1;
}

static const void *offset(const struct linear *l, const void *p, int64_t i) {
    return (const unsigned char *)p + (size_t)i * l->size;
}

/* ---- hooks ----------------------------------------------------------------------------------------------------------------- */

/* Weights and biases in blocks: the prepared ones, or packed now into scratch. */
static void packed(struct oct_exec *ex, const struct linear *l, const struct oct_tensor *w, const struct oct_tensor *b,
                   const void **pw, const void **pb) {
    if (l->w) {
        *pw = l->w, *pb = l->bias;
        return;
    }
    void *to_w = oct_scratch(ex, weights_packed(&l->s), l->size), *to_b = oct_scratch(ex, biases_packed(&l->s), l->size);
    memset(to_w, 0, (size_t)weights_packed(&l->s) * l->size);
    memset(to_b, 0, (size_t)biases_packed(&l->s) * l->size);
    pack(l, w, b, to_w, to_b);
    *pw = to_w, *pb = to_b;
}

static struct now parameters(const struct linear *l, const struct oct_tensor *x, const struct oct_tensor *bias) {
    if (!l->w_scale) return (struct now){{1, 0}, NULL};
    return (struct now){oct_dynamic_of(x->data, oct_tensor_elements(x)), bias ? bias->data : NULL};
}

void interp_conv2d(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct linear *l = ex->now->prep;
    const struct shape *s = &l->s;
    const void *w, *bias;
    const struct oct_tensor *given = n->noperands > 2 ? in[2] : NULL;
    packed(ex, l, in[1], l->w_scale ? NULL : given, &w, &bias);
    const struct now r = parameters(l, in[0], given);
    void *x = oct_scratch(ex, s->h * s->w * s->column, l->size), *sums = oct_scratch(ex, s->ow * BLOCK, l->size);
    if (s->depthwise) memset(x, 0, (size_t)(s->h * s->w * s->column) * l->size); /* lanes beyond the last channel */
    int64_t block_size = s->kh * s->kw * s->ci * BLOCK;
    for (int64_t image = 0; image < s->n; image++) {
        stage(l, in[0], r.d, image, x);
        for (int64_t b = 0; b < s->groups * s->blocks; b++) {
            int64_t first = b % s->blocks * BLOCK, g = b / s->blocks; /* channel within the group */
            int64_t lanes = s->co - first < BLOCK ? s->co - first : BLOCK, o = g * s->co + first;
            for (int64_t y = 0; y < s->oh; y++) {
                int64_t a0, a1;
                rows_inside(s, y, &a0, &a1);
                int64_t iy = a0 < a1 ? y * s->sh - s->top + a0 * s->dh : 0;
                struct oct_tile_row row = {.x = offset(l, x, iy * s->w * s->column + (s->depthwise ? first : g * s->ci)),
                                           .column = s->column,
                                           .row = s->dh * s->w * s->column,
                                           .tap = s->dw * s->column,
                                           .step = s->sw * s->column,
                                           .iw = s->w,
                                           .ow = s->ow,
                                           .kw = s->kw,
                                           .kh = a1 - a0,
                                           .ci = s->ci,
                                           .stride = s->sw,
                                           .dilation = s->dw,
                                           .pad = s->left,
                                           .depthwise = s->depthwise,
                                           .w = offset(l, w, b * block_size + a0 * s->kw * s->ci * BLOCK),
                                           .bias = offset(l, bias, b * BLOCK),
                                           .out = sums};
                l->tile(&row);
                int64_t channels = s->groups * s->co, at = ((image * channels + o) * s->oh + y) * s->ow;
                finish(l, n, &r, sums, s->ow, o, lanes, out, at, 1, s->oh * s->ow);
            }
        }
    }
}

/* rows x depth times packed weights, to rows x co at `at`. x: staged rows. */
static void multiply(const struct linear *l, const struct oct_node *n, const struct now *now, const void *x, int64_t rows,
                     const void *w, const void *bias, void *sums, struct oct_tensor *out, int64_t at) {
    const struct shape *s = &l->s;
    for (int64_t b = 0; b < s->blocks; b++) {
        int64_t o = b * BLOCK, lanes = s->co - o < BLOCK ? s->co - o : BLOCK;
        for (int64_t first = 0; first < rows; first += ROWS) {
            int64_t count = rows - first < ROWS ? rows - first : ROWS;
            struct oct_tile_row r = {.x = offset(l, x, first * s->c),
                                     .column = s->c,
                                     .row = 0,
                                     .tap = s->c,
                                     .step = s->c,
                                     .iw = count,
                                     .ow = count,
                                     .kw = 1,
                                     .kh = 1,
                                     .ci = s->c,
                                     .stride = 1,
                                     .dilation = 1,
                                     .pad = 0,
                                     .w = offset(l, w, b * s->c * BLOCK),
                                     .bias = offset(l, bias, b * BLOCK),
                                     .out = sums};
            l->tile(&r);
            finish(l, n, now, sums, count, o, lanes, out, at + first * s->co + o, s->co, 1);
        }
    }
}

void interp_dense(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct linear *l = ex->now->prep;
    const struct shape *s = &l->s;
    const void *w, *bias, *x = in[0]->data;
    const struct oct_tensor *given = n->noperands > 2 ? in[2] : NULL;
    packed(ex, l, in[1], l->w_scale ? NULL : given, &w, &bias);
    void *sums = oct_scratch(ex, ROWS * BLOCK, l->size);
    const struct now r = parameters(l, in[0], given);
    if (l->type != OCT_TILE_F32) {
        void *wide = oct_scratch(ex, s->w * s->c, l->size);
        if (!l->w_scale) widen(l->type, in[0], 0, 1, s->w * s->c, oct_zero(in[0]->type.q, 0), wide);
        for (int64_t i = 0; l->w_scale && i < s->w * s->c; i++) {
            const int32_t term = oct_dynamic_term(r.d, ((const float *)in[0]->data)[i]);
            if (l->type == OCT_TILE_I32) ((int32_t *)wide)[i] = term;
            else ((int64_t *)wide)[i] = term;
        }
        x = wide;
    }
    multiply(l, n, &r, x, s->w, w, bias, sums, out, 0);
}

/* Start of matrix i of an operand whose leading axes are broadcast to those of y. */
static int64_t matrix_at(const struct oct_type *t, const struct oct_type *y, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = y->rank - 3; d >= 0; d--) {
        int64_t k = i % y->dim[d];
        int axis = d - (y->rank - t->rank);
        i /= y->dim[d];
        if (axis < 0) continue;
        if (t->dim[axis] > 1) at += k * stride;
        stride *= t->dim[axis];
    }
    return at * t->dim[t->rank - 2] * t->dim[t->rank - 1];
}

void interp_matmul(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct linear *l = ex->now->prep;
    const struct shape *s = &l->s;
    const struct oct_tensor *a = in[0], *b = in[1];
    void *x = oct_scratch(ex, s->w * s->c, l->size), *w = oct_scratch(ex, weights_packed(s), l->size);
    void *bias = oct_scratch(ex, biases_packed(s), l->size), *sums = oct_scratch(ex, ROWS * BLOCK, l->size);
    memset(w, 0, (size_t)weights_packed(s) * l->size);
    memset(bias, 0, (size_t)biases_packed(s) * l->size);
    const struct now r = {{1, 0}, NULL};
    int64_t za = a->type.q ? oct_zero(a->type.q, 0) : 0, zb = b->type.q ? oct_zero(b->type.q, 0) : 0;
    int64_t matrices = oct_tensor_elements(out) / (s->w * s->co > 0 ? s->w * s->co : 1);
    for (int64_t i = 0; i < matrices; i++) {
        widen(l->type, a, matrix_at(&a->type, &out->type, i), 1, s->w * s->c, za, x);
        int64_t from = matrix_at(&b->type, &out->type, i);
        for (int64_t k = 0; k < s->c; k++)
            for (int64_t o = 0; o < s->co; o++)
                put(l->type, w, (o / BLOCK * s->c + k) * BLOCK + o % BLOCK, b, from + k * s->co + o, zb);
        multiply(l, n, &r, x, s->w, w, bias, sums, out, i * s->w * s->co);
    }
}

/* ---- preparing
 * ----------------------------------------------------------------------------------------------------------------- */

/* Largest |code - zero| of a type; of floats, which become codes at run time, too. */
static int64_t reach(const struct oct_type *t) {
    if (!t->q) return 255;
    int64_t lo = oct_dtype_min(t->dtype), hi = oct_dtype_max(t->dtype), most = 0;
    for (uint32_t i = 0; i < t->q->n; i++) {
        int64_t z = oct_zero(t->q, i), r = hi - z > z - lo ? hi - z : z - lo;
        if (r > most) most = r;
    }
    return most;
}

/* Does every sum, and every partial one, stay within 32 bits? */
static bool fits_32(const struct shape *s, bool constant, const struct oct_tensor *x, const struct oct_tensor *w,
                    const struct oct_tensor *b) {
    int64_t depth = s->kh * s->kw * s->ci, most = reach(&x->type);
    if (!constant) return (double)depth * (double)most * (double)reach(&w->type) < 0x1p31 && !b;
    for (int64_t o = 0; o < s->groups * s->co; o++) {
        int64_t zero = oct_zero(w->type.q, (uint32_t)o);
        double sum = b ? fabs((double)code_at(b, o)) : 0;
        for (int64_t i = 0; i < depth; i++) sum += (double)most * (double)llabs(code_at(w, o * depth + i) - zero);
        if (sum >= 0x1p31) return false;
    }
    return true;
}

bool oct_prepare_linear(struct oct_exec *ex, struct oct_step *step) {
    const struct oct_node *n = step->n;
    if (n->op != OCT_OP_conv2d && n->op != OCT_OP_dense && n->op != OCT_OP_matmul) return true;
    const struct oct_tensor *x = step->in[0], *w = step->in[1], *b = n->noperands > 2 ? step->in[2] : NULL;
    const struct oct_type *y = &step->out.type, *tx = &x->type;
    struct linear *l = OCT_NEW(ex->arena, struct linear);
    step->prep = l;
    int64_t depth = tx->rank > 0 ? tx->dim[tx->rank - 1] : 1;
    if (n->op == OCT_OP_conv2d) l->s = shape_of_conv(n, tx, &w->type, y);
    else if (n->op == OCT_OP_dense) l->s = shape_of_rows(depth > 0 ? oct_tensor_elements(x) / depth : 0, depth, w->type.dim[0]);
    else l->s = shape_of_rows(tx->dim[tx->rank - 2], depth, y->dim[y->rank - 1]);
    const struct shape *s = &l->s;
    bool constant = n->operand[1]->op == OCT_OP_const && (!b || n->operand[2]->op == OCT_OP_const);
    if (oct_is_integer_form(y)) {
        l->type = fits_32(s, constant, x, w, b) ? OCT_TILE_I32 : OCT_TILE_I64;
        int64_t channels = s->groups * s->co;
        l->requant = OCT_NEW_N(ex->arena, struct oct_requant, channels);
        for (int64_t o = 0; o < channels; o++) {
            uint32_t c = (uint32_t)o;
            float sx = oct_scale(tx->q, tx->q->axis < 0 ? 0 : c), sw = oct_scale(w->type.q, c), sy = oct_scale(y->q, c);
            if (!oct_requant_linear(n->at.profile, tx->dtype, sx, sw, sy, &l->requant[o]))
                return oct_refuse_requant(ex, n, (double)sx * (double)sw / (double)sy);
        }
    }
    if (n->at.dynamic) {
        const int64_t channels = s->groups * s->co;
        float *scale = OCT_NEW_N(ex->arena, float, channels);
        for (int64_t o = 0; o < channels; o++) scale[o] = oct_scale(w->type.q, (uint32_t)o);
        l->type = fits_32(s, constant, x, w, NULL) ? OCT_TILE_I32 : OCT_TILE_I64;
        l->w_scale = scale;
        b = NULL; /* added at the end */
    }
    l->size = l->type == OCT_TILE_I64 ? 8 : 4;
    l->tile = oct_tile_for(l->type);
    int64_t wide = n->op == OCT_OP_conv2d ? s->h * s->w * s->column : s->w * s->c;
    step->scratch =
        oct_scratch_bytes(wide, l->size) + oct_scratch_bytes((n->op == OCT_OP_conv2d ? s->ow : ROWS) * BLOCK, l->size);
    if (constant && n->op != OCT_OP_matmul) {
        l->w = oct_alloc_n(ex->arena, (size_t)weights_packed(s), l->size);
        l->bias = oct_alloc_n(ex->arena, (size_t)biases_packed(s), l->size);
        pack(l, w, b, l->w, l->bias);
    } else {
        step->scratch += oct_scratch_bytes(weights_packed(s), l->size) + oct_scratch_bytes(biases_packed(s), l->size);
    }
    return true;
}
