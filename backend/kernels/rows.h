/* rows.h - rows of floats times constant weights inside a kernel: what the dynamic forms of dense and conv2d and the steps of
 * lstm and gru share. Under `dynamic` the rows become 8-bit codes by the range that they have then, products are exact integers,
 * and one fp32 factor an output scales them (docs/numerics.md 10); otherwise all is fp32, summed in the order of the terms.
 * Nothing of the first is ever contracted: its bits are the interpreter's for every target. */
#ifndef OCT_ROWS_H
#define OCT_ROWS_H

#include "madd.h"

/* Where rows of floats lie: elements that are neighbours, so many from one row to the next (0: all rows read the same). */
struct oct_rows_at {
    int32_t buf;
    struct lp_addr at;
    int64_t row;
};
struct oct_rows {
    struct oct_kbuild *b;
    bool dynamic;
    int64_t terms, outputs;
    int lanes;      /* outputs in a vector; 1: scalar code */
    int64_t padded; /* outputs, whole vectors of them; room that `from` and `to` must have in a row */
    int32_t codes;  /* scratch, i16: codes less the zero point; rows `pitch` apart, what lies behind `terms` is 0 */
    int64_t pitch;
    int32_t range;             /* scratch for the range of a vector; -1: scalar */
    struct lp_val scale, zero; /* registers: parameters made last */
    int vectors;               /* of a block */
    int32_t w, scales;         /* constants */
};
/* Do they fit: constant weights, floats or codes of a byte whose sums 32 bits hold? w: operand 1. */
bool oct_rows_fit(const struct oct_kbuild *b);
/* Outputs [first, first + outputs) of the weights, each with all its terms in the order ky, kx, channel; `rows` as many as one
 * call of oct_rows_multiply takes. Opens constants and scratch; `share`: take codes and registers of that one, which has as many
 * terms. */
void oct_rows_open(struct oct_rows *r, struct oct_kbuild *b, int64_t first, int64_t outputs, int64_t rows,
                   const struct oct_rows *share);
/* Only what the next two need: lanes, registers. */
void oct_rows_parameters(struct oct_rows *r, struct oct_kbuild *b);
/* Parameters from the range of a buffer's elements along a layout, into r->scale and r->zero. */
void oct_rows_range(struct oct_rows *r, int32_t buf, const struct oct_layout *at);
/* The elements along a layout as codes less the zero point, to i16 elements along another of equal dims. */
void oct_rows_codes(struct oct_rows *r, int32_t buf, const struct oct_layout *from, int32_t to, const struct oct_layout *at);
/* to[row][o] = clamp(from[row][o] + sum over i of x[row][i] w[o][i]); x: the rows' codes, or floats. */
void oct_rows_multiply(const struct oct_rows *r, int64_t rows, const struct oct_rows_at *x, const struct oct_rows_at *from,
                       const struct oct_rows_at *to, float lo, float hi);
/* n zeros of 16 bits. */
void oct_rows_clear(struct oct_kbuild *b, int32_t buf, int64_t n);

#endif
