/* sat16.c - see sat16.h. An activation is free of every other, so a lane reaches its most where all positive weights meet the
 * greatest activation and all negative ones 0, and its least the other way round. Sums on the way leave terms out: no farther. */
#include "sat16.h"

struct oct_sat16 oct_sat16_reach(const int8_t *w, int64_t rows, int64_t length, int32_t range, int64_t n) {
    const int64_t quads = (length + OCT_SAT16_QUAD - 1) / OCT_SAT16_QUAD;
    struct oct_sat16 r = {0, 0};
    for (int64_t row = 0; row < rows; row++)
        for (int64_t first = 0; first < quads; first += n)
            for (int lane = 0; lane < 2; lane++) {
                int64_t positive = 0, negative = 0;
                for (int64_t q = first; q < quads && q - first < n; q++)
                    for (int64_t i = q * OCT_SAT16_QUAD + 2 * lane, end = i + 2; i < end && i < length; i++) {
                        const int64_t v = w[row * length + i];
                        if (v > 0) positive += v;
                        else negative += v;
                    }
                if (range * positive > r.most) r.most = range * positive;
                if (range * negative < r.least) r.least = range * negative;
            }
    return r;
}
