/* rq_vec.h - requantization of vectors: the codes of oct_rq_build, a vector of channels (or of anything, when all share one
 * multiplier) at a time, and their way into memory as bytes. Requires accumulators of 32 bits (OCT_RQV_LIMIT).
 *
 *   oct_rqv_open     before the loops: words per channel become a constant
 *   oct_rqv_words    the words of one vector of channels, in registers, for as many pixels as share them
 *   oct_rqv_codes    accumulators to i32 with the zero point, not clamped yet
 *   oct_rqv_store    several such vectors: narrowed, clamped, stored */
#ifndef OCT_RQ_VEC_H
#define OCT_RQ_VEC_H

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
    OCT_RQV_WORDS
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
    bool zero_added; /* by the rounding term */
    bool clamps;     /* FLOAT: products may leave the range in which f2i_near is right; IDENTITY: the sum may wrap */
    bool wide;       /* TFLM: accumulators that cannot be doubled, and sums with the rounding term that would wrap */
};
/* Accumulators of 32 bits are enough on the way: not so for one whose code never reaches its clamp though it must be shifted left
 * (16-bit operands of an element-wise op). Convolutions and dense layers to 8 bits always fit. */
bool oct_rqv_fits(const struct oct_rq *rq, const int64_t *lo, const int64_t *hi);
/* lo, hi: reach of the accumulator by channel, as oct_rq_plan was given them. Words of `padded` channels are there to be loaded.
 */
void oct_rqv_open(struct oct_rqv *v, struct oct_kbuild *b, const struct oct_rq *rq, const int64_t *lo, const int64_t *hi,
                  int64_t padded);

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
