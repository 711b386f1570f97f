/* rq_vec.h - requantization of vectors: the codes of oct_rq_build, a vector of channels (or of anything, when all share one
 * multiplier) at a time, and their way into memory as bytes. Requires accumulators of 32 bits (OCT_RQV_LIMIT).
 *
 *   oct_rqv_open     before the loops: words per channel become a constant
 *   oct_rqv_begin    the same, for a kernel whose sums may start where the requantizer wants them to
 *   oct_rqv_words    the words of one vector of channels, in registers, for as many pixels as share them
 *   oct_rqv_codes    accumulators to i32 with the zero point, not clamped yet
 *   oct_rqv_store    several such vectors: narrowed, clamped, stored */
#ifndef OCT_RQ_VEC_H
#define OCT_RQ_VEC_H

#include "../../ir/fma_rq.h"
#include "kernels.h"

#define OCT_RQV_LIMIT ((int64_t)1 << 31) /* |acc| stays below */

enum oct_rqv_word {
    OCT_RQV_MUL,
    OCT_RQV_ROUND,
    OCT_RQV_SHIFT,
    OCT_RQV_LEFT,
    OCT_RQV_LEAST,
    OCT_RQV_MOST,
    OCT_RQV_SIGN,
    OCT_RQV_HALF,
    OCT_RQV_BIAS, /* by floats: these five (ir/fma_rq.h) */
    OCT_RQV_BEFORE,
    OCT_RQV_SUBTRACT,
    OCT_RQV_SCALE,
    OCT_RQV_ADD,
    OCT_RQV_WORDS
};
enum oct_rqv_way {
    OCT_RQV_FMA,  /* one fused multiply-add and a subtraction, proved equal */
    OCT_RQV_FMA2, /* two of them */
    OCT_RQV_OWN   /* the sequence of oct_rq itself, in integers (FLOAT: product and rounding in fp32) */
};
struct oct_rqv {
    struct oct_kbuild *b;
    const struct oct_rq *rq;
    int lanes;   /* i32 in a vector of the target */
    int32_t buf; /* words; -1: immediates alone */
    struct {
        bool used;
        int64_t at;  /* in buf; < 0: the same for all channels: */
        int32_t all; /* that word */
    } word[OCT_RQV_WORDS];
    enum oct_rqv_way way; /* of all channels: the one that the worst of them needs */
    bool adds_bias;       /* FMA: the sums come without */
    bool zero_added;      /* OWN: by the rounding term */
    bool clamps;          /* FLOAT: products may leave the range in which f2i_near is right; IDENTITY: the sum may wrap */
    bool wide;            /* TFLM: accumulators that cannot be doubled, and sums with the rounding term that would wrap */
};
/* Accumulators of 32 bits are enough on the way: not so for one whose code never reaches its clamp though it must be shifted left
 * (16-bit operands of an element-wise op). Convolutions and dense layers to 8 bits always fit. */
bool oct_rqv_fits(const struct oct_rq *rq, const int64_t *lo, const int64_t *hi);
/* lo, hi: reach of the accumulator by channel, as oct_rq_plan was given them. Words of `padded` channels are there to be loaded.
 */
void oct_rqv_open(struct oct_rqv *v, struct oct_kbuild *b, const struct oct_rq *rq, const int64_t *lo, const int64_t *hi,
                  int64_t padded);

/* Sums, and what of them the requantizer may change before they are built, so that it has less to do. */
struct oct_rqv_sums {
    const int64_t *lo, *hi; /* reach by channel */
    int64_t padded;
    int32_t *bias;  /* [n] what a sum starts from: replaced by what it is to start from. NULL: it stays */
    int32_t *times; /* [n] what the sum (and bias) is to be multiplied by, up to most_times: set. NULL: nothing */
    int most_times;
};
void oct_rqv_begin(struct oct_rqv *v, struct oct_kbuild *b, const struct oct_rq *rq, const struct oct_rqv_sums *sums);

struct oct_rqv_loaded {
    struct lp_val word[OCT_RQV_WORDS], mul_odd;
};
/* Words of the channels from `channel` on; every channel has the same address where all words are immediates. */
struct oct_rqv_loaded oct_rqv_words(const struct oct_rqv *v, struct lp_addr channel);
struct lp_val oct_rqv_codes(const struct oct_rqv *v, const struct oct_rqv_loaded *w, struct lp_val acc);

/* A vector of codes and where its first `count` lanes go, one behind the other. */
struct oct_rqv_piece {
    struct lp_val y;
    struct lp_addr at;
    int count;
};
/* Clamps, narrows to the elements of `buf` (i8, u8, i16) and stores. Pieces that lie behind each other share a store. */
void oct_rqv_store(const struct oct_rqv *v, int32_t buf, int n, const struct oct_rqv_piece *piece);

#endif
