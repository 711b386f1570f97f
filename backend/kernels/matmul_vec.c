/* matmul_vec.c - product of two activations of 8-bit codes by vectors, exact: pairs of neighbours along the summed axis, less
 * their zero points in 16 bits, times such pairs of as many columns as a vector has lanes (madd16).
 *
 * For each matrix of a batch both operands are laid out in scratch memory as madd.h wants them: rows of a[m][k] one behind the
 * other, b[k][n] as [block of columns][pair][column][2]. An odd k is paired with 0. Lanes beyond the last column hold 0, and no
 * result of theirs is stored. */
#include "madd.h"
#include "map.h"
#include "rq_vec.h"
#include "vec.h"

enum { MOST_SCRATCH = 4 << 20 }; /* bytes */

struct product {
    struct oct_kbuild *b;
    struct oct_rqv rq;
    struct oct_rqv_loaded words; /* all immediates */
    int lanes;
    int64_t rows, columns, terms, pairs;
    int64_t a_row, a_term, b_term, y_row; /* strides */
    int32_t w, wide, y;                   /* buffers; w: b by pairs, wide: a in 16 bits */
};

const char *oct_matmul_vec_refuses(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[1].at, *out = &b->out.at;
    const int r = out->rank, s = in->rank;
    for (int i = 0; i < 2; i++)
        if (oct_dtype_size(b->in[i].node->type.dtype) != 1) return "codes of 16 bits";
    if (oct_dtype_size(b->node->type.dtype) > 2) return "results of 32 bits";
    if (b->acc_bound >= OCT_RQV_LIMIT) return "sums of more than 32 bits";
    if (out->dim[r - 1] > 1 && (out->stride[r - 1] != 1 || in->stride[s - 1] != 1))
        return "columns that are no neighbours in memory";
    if ((in->dim[s - 2] + 1) * (out->dim[r - 1] + out->dim[r - 2] + 64) * 2 > MOST_SCRATCH) return "matrices of more than 4 MB";
    return NULL;
}

/* Codes from `at` on in 16 bits, less the zero point. */
static struct lp_val centred(const struct product *p, int operand, struct lp_addr at, int lanes) {
    struct lp_kernel *k = p->b->k;
    const int32_t buf = oct_k_in(p->b, operand), z = oct_zero(p->b->in[operand].node->type.q, 0);
    struct lp_val v = lp_load(k, NULL, lp_vector(k->buf[buf].elem, lanes), buf, at);
    v = lp_op1(k, "v", LP_OP_cvt, lp_scalar(LP_I16), v);
    return z ? lp_op2(k, "v", LP_OP_sub, v, lp_int(LP_I16, z)) : v;
}

static void widen(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct product *p = user;
    lp_store(b->k, p->wide, at[1], centred(p, 0, at[0], lanes));
}
static void stage_a(struct product *p, struct lp_addr a) {
    struct lp_kernel *k = p->b->k;
    const int32_t m = lp_loop(k, "m", p->rows);
    const int64_t stride[2] = {p->a_term, 1};
    oct_k_chunks(p->b, "k", p->terms, p->a_term == 1 ? 2 * p->lanes : 1, OCT_FEWEST, 2, stride,
                 (struct lp_addr[]){lp_plus(a, m, p->a_row), lp_plus(lp_at(0), m, 2 * p->pairs)}, widen, p);
    lp_end(k);
}

/* Two rows of b (one and zeros), `columns` of them, by pairs. */
static void stage_pair(struct product *p, struct lp_addr from, struct lp_addr to, int columns, bool alone) {
    struct lp_kernel *k = p->b->k;
    uint8_t lane[64];
    for (int l = 0; l < 2 * columns; l++) lane[l] = (uint8_t)(l % 2 * columns + l / 2);
    if (columns < p->lanes) /* requantizers may count on sums within their bounds */
        lp_store(k, p->w, to, lp_op1(k, "zero", LP_OP_splat, lp_vector(LP_I16, 2 * p->lanes), lp_int(LP_I16, 0)));
    const struct lp_val first = centred(p, 1, from, columns);
    struct lp_val second = lp_reg(k, lp_vector(LP_I16, columns), "none");
    if (alone) lp_set(k, second, lp_int(LP_I16, 0));
    else second = centred(p, 1, lp_offset(from, p->b_term), columns);
    if (columns > 1) {
        lp_store(k, p->w, to, lp_shuffle(k, "pairs", first, second, 2 * columns, lane));
        return;
    }
    lp_store(k, p->w, to, first);
    lp_store(k, p->w, lp_offset(to, 1), second);
}

/* A block of columns: `vectors` of them, of which `columns` are there. */
struct block {
    struct lp_addr b, y;
    int vectors;
    int64_t columns;
};
static void stage_b(struct product *p, const struct block *blk) {
    struct lp_kernel *k = p->b->k;
    const int64_t whole = p->terms / 2, pair = 2 * (int64_t)blk->vectors * p->lanes;
    for (int odd = 0; odd < 2; odd++) {
        struct lp_addr from = blk->b, to = lp_at(0);
        if (odd ? p->terms % 2 == 0 : whole == 0) continue;
        const int32_t i = odd ? -1 : lp_loop(k, "pair", whole);
        from = odd ? lp_offset(from, whole * 2 * p->b_term) : lp_plus(from, i, 2 * p->b_term);
        to = odd ? lp_offset(to, whole * pair) : lp_plus(to, i, pair);
        for (int64_t at = 0; at < blk->columns; at += p->lanes)
            stage_pair(p, lp_offset(from, at), lp_offset(to, 2 * at),
                       (int)(blk->columns - at < p->lanes ? blk->columns - at : p->lanes), odd);
        if (!odd) lp_end(k);
    }
}

static void build_tile(struct product *p, const struct block *blk, int rows, struct lp_addr wide, struct lp_addr y) {
    struct lp_kernel *k = p->b->k;
    oct_madd_row acc[OCT_MADD_PIXELS];
    struct oct_rqv_piece piece[OCT_MADD_PIXELS * OCT_MADD_VECTORS];
    for (int m = 0; m < rows; m++)
        for (int i = 0; i < blk->vectors; i++)
            acc[m][i] = lp_reg(k, lp_vector(LP_I32, p->lanes), oct_sprintf(p->b->arena, "c%dm%d", i, m));
    const struct oct_madd sum = {.b = p->b,
                                 .lanes = p->lanes,
                                 .vectors = blk->vectors,
                                 .codes = p->wide,
                                 .weights = p->w,
                                 .pixel = 2 * p->pairs,
                                 .runs = 1,
                                 .pairs = p->pairs,
                                 .fresh = true};
    oct_madd_build(&sum, rows, wide, lp_at(0), acc);
    for (int m = 0; m < rows; m++)
        for (int i = 0; i < blk->vectors; i++) {
            const int64_t first = (int64_t)i * p->lanes, left = blk->columns - first;
            piece[m * blk->vectors + i] =
                (struct oct_rqv_piece){oct_rqv_codes(&p->rq, &p->words, acc[m][i]), lp_offset(y, m * p->y_row + first),
                                       (int)(left < p->lanes ? left : p->lanes)};
        }
    oct_rqv_store(&p->rq, p->y, rows * blk->vectors, piece);
}

static void build_block(struct product *p, const struct block *blk) {
    struct lp_kernel *k = p->b->k;
    const int rows = oct_madd_pixels(p->b->target, p->rows, blk->vectors);
    const int64_t tiles = p->rows / rows, rest = p->rows % rows;
    stage_b(p, blk);
    struct lp_addr wide = lp_at(0), y = blk->y;
    if (tiles > 1) {
        const int32_t t = lp_loop(k, "tile", tiles);
        wide = lp_plus(wide, t, rows * 2 * p->pairs);
        y = lp_plus(y, t, rows * p->y_row);
    }
    build_tile(p, blk, rows, wide, y);
    if (tiles > 1) lp_end(k);
    if (rest) build_tile(p, blk, (int)rest, lp_at(tiles * rows * 2 * p->pairs), lp_offset(blk->y, tiles * rows * p->y_row));
}

bool oct_matmul_vec_build(struct oct_kbuild *b, const struct oct_rq *rq, const struct oct_layout *a, int64_t a_term,
                          const struct oct_layout *c, int64_t b_term) {
    const struct oct_layout *out = &b->out.at;
    const int r = out->rank;
    struct product *p = OCT_NEW(b->arena, struct product);
    *p = (struct product){.b = b,
                          .lanes = b->target->vector_bits / 32,
                          .rows = out->dim[r - 2],
                          .columns = out->dim[r - 1],
                          .terms = b->in[0].at.dim[b->in[0].at.rank - 1],
                          .a_row = a->stride[r - 2],
                          .a_term = a_term,
                          .b_term = b_term,
                          .y_row = out->stride[r - 2]};
    p->pairs = (p->terms + 1) / 2;
    if (!oct_rqv_fits(rq, &rq->lo, &rq->hi)) return false;
    b->k->isa = b->target->isa;
    const int64_t all = (p->columns + p->lanes - 1) / p->lanes;
    int64_t cost;
    const int vectors = oct_madd_vectors(b->target, p->rows, all, &cost);
    const int64_t block = (int64_t)vectors * p->lanes, blocks = p->columns / block, rest = p->columns % block;
    oct_k_in(b, 0);
    oct_k_in(b, 1);
    p->y = oct_k_out(b);
    p->wide = oct_k_scratch(b, "wide", LP_I16, p->rows * 2 * p->pairs);
    p->w = oct_k_scratch(b, "w", LP_I16, p->pairs * 2 * block);
    oct_rqv_open(&p->rq, b, rq, &rq->lo, &rq->hi, 1);
    p->words = oct_rqv_words(&p->rq, lp_at(0));
    struct lp_addr at[3];
    const int loops = oct_k_nest(b, 3, (const struct oct_layout *[]){out, a, c}, 3u << (r - 2), at);
    stage_a(p, at[1]);
    struct block blk = {at[2], at[0], vectors, block};
    if (blocks) {
        const int32_t i = lp_loop(b->k, "block", blocks);
        blk.b = lp_plus(at[2], i, block);
        blk.y = lp_plus(at[0], i, block);
        build_block(p, &blk);
        lp_end(b->k);
    }
    if (rest) {
        blk = (struct block){lp_offset(at[2], blocks * block), lp_offset(at[0], blocks * block),
                             (int)((rest + p->lanes - 1) / p->lanes), rest};
        build_block(p, &blk);
    }
    oct_k_close(b, loops);
    b->recipe = oct_sprintf(b->arena, "pairs of 16 bits, tile of %d rows x %d columns",
                            oct_madd_pixels(b->target, p->rows, vectors), (int)block);
    return true;
}
