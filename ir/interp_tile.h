/* interp_tile.h - the inner loops of conv2d, dense and matmul over 16 output channels at once; included by interp_tile.c for each
 * element type and instruction set. Before: TILE_T the element, TILE(name) decorates names, TILE_TARGET an attribute or nothing.
 *
 * Vectors lie across output channels, so each output is one chain of multiply, then add, in the order kh, kw, ci that
 * docs/numerics.md fixes; pixels and channels of a tile are independent chains. */

typedef TILE_T TILE(v) __attribute__((vector_size(8 * sizeof(TILE_T))));
/* The same, as it lies in memory. */
typedef TILE_T TILE(vm) __attribute__((vector_size(8 * sizeof(TILE_T)), aligned(sizeof(TILE_T)), may_alias));

/* `pixels` outputs that share the taps [b0, b1) of each kernel row. at: index of the first pixel's input at tap 0 of the first
 * row (negative where that tap lies in the padding). */
TILE_TARGET static inline __attribute__((always_inline)) void TILE(pixels)(const struct oct_tile_row *r, int pixels, int64_t at,
                                                                           int64_t b0, int64_t b1, TILE_T *out) {
    TILE(v) lo[6], hi[6];
    const TILE_T *bias = r->bias;
#pragma GCC unroll 6
    for (int p = 0; p < pixels; p++) {
        lo[p] = *(const TILE(vm) *)bias;
        hi[p] = *(const TILE(vm) *)(bias + 8);
    }
    /* Taps that lie behind each other in memory are one run of channels. */
    int64_t run = r->tap == r->ci ? (b1 - b0) * r->ci : r->ci;
    for (int64_t a = 0; a < r->kh; a++) {
        for (int64_t b = b0; b < b1; b += run == r->ci ? 1 : b1 - b0) {
            const TILE_T *x = (const TILE_T *)r->x + (at + a * r->row + b * r->tap);
            const TILE_T *w = (const TILE_T *)r->w + (a * r->kw + b) * r->ci * 16;
            for (int64_t i = 0; i < run; i++, w += 16) {
                TILE(v) w0 = *(const TILE(vm) *)w, w1 = *(const TILE(vm) *)(w + 8);
#pragma GCC unroll 6
                for (int p = 0; p < pixels; p++) {
                    TILE_T s = x[p * r->step + i];
                    lo[p] = lo[p] + w0 * s;
                    hi[p] = hi[p] + w1 * s;
                }
            }
        }
    }
#pragma GCC unroll 6
    for (int p = 0; p < pixels; p++) {
        *(TILE(vm) *)(out + p * 16) = lo[p];
        *(TILE(vm) *)(out + p * 16 + 8) = hi[p];
    }
}

/* Depthwise: channel c of the output reads channel c of the input; weights are [kh][kw][16]. */
TILE_TARGET static inline __attribute__((always_inline)) void TILE(deep)(const struct oct_tile_row *r, int pixels, int64_t at,
                                                                         int64_t b0, int64_t b1, TILE_T *out) {
    TILE(v) lo[4], hi[4];
    const TILE_T *bias = r->bias;
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++) {
        lo[p] = *(const TILE(vm) *)bias;
        hi[p] = *(const TILE(vm) *)(bias + 8);
    }
    for (int64_t a = 0; a < r->kh; a++) {
        for (int64_t b = b0; b < b1; b++) {
            const TILE_T *x = (const TILE_T *)r->x + (at + a * r->row + b * r->tap);
            const TILE_T *w = (const TILE_T *)r->w + (a * r->kw + b) * 16;
            TILE(v) w0 = *(const TILE(vm) *)w, w1 = *(const TILE(vm) *)(w + 8);
#pragma GCC unroll 4
            for (int p = 0; p < pixels; p++) {
                lo[p] = lo[p] + w0 * *(const TILE(vm) *)(x + p * r->step);
                hi[p] = hi[p] + w1 * *(const TILE(vm) *)(x + p * r->step + 8);
            }
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++) {
        *(TILE(vm) *)(out + p * 16) = lo[p];
        *(TILE(vm) *)(out + p * 16 + 8) = hi[p];
    }
}

/* One row of outputs: pixels at the edges one by one, those with all taps inside in tiles. */
TILE_TARGET static void TILE(row)(const struct oct_tile_row *r) {
    TILE_T *out = r->out;
    for (int64_t o = 0; o < r->ow;) {
        int64_t left = o * r->stride - r->pad; /* input column of tap 0 */
        int64_t b0 = left >= 0 ? 0 : (-left + r->dilation - 1) / r->dilation;
        int64_t b1 = left >= r->iw ? 0 : (r->iw - left + r->dilation - 1) / r->dilation;
        if (b1 > r->kw) b1 = r->kw;
        if (b0 > b1) b0 = b1;
        int64_t inside = 1; /* pixels from o on with the same taps */
        if (b0 == 0 && b1 == r->kw) {
            int64_t last = (r->iw - 1 - (r->kw - 1) * r->dilation + r->pad) / r->stride; /* last output with all taps inside */
            inside = (last < r->ow - 1 ? last : r->ow - 1) - o + 1;
        }
        int64_t at = left * r->column;
        if (r->depthwise) {
            for (; inside >= 4; inside -= 4, o += 4, at += 4 * r->step) TILE(deep)(r, 4, at, b0, b1, out + o * 16);
            for (; inside > 0; inside--, o++, at += r->step) TILE(deep)(r, 1, at, b0, b1, out + o * 16);
        } else {
            for (; inside >= 6; inside -= 6, o += 6, at += 6 * r->step) TILE(pixels)(r, 6, at, b0, b1, out + o * 16);
            for (; inside >= 2; inside -= 2, o += 2, at += 2 * r->step) TILE(pixels)(r, 2, at, b0, b1, out + o * 16);
            for (; inside > 0; inside--, o++, at += r->step) TILE(pixels)(r, 1, at, b0, b1, out + o * 16);
        }
    }
}

#undef TILE_T
#undef TILE
