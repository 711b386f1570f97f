/* carried.c - rounding of one's own: the error of each weight is carried to the next of its output channel, so that the sum of a
 * channel's weights is kept to half a step, and with it the mean of what the channel computes. */
#include <math.h>

#include "octavo_plugin.h"

int octavo_rounding_abi(void) { return OCTAVO_PLUGIN_ABI; }
const char *octavo_rounding_name(void) { return "carried"; }
unsigned octavo_rounding_needs(void) { return 0; }

int octavo_rounding_round(const struct octavo_weights *weights, int32_t *code) {
    for (int64_t o = 0; o < weights->outs; o++) {
        const double scale = (double)weights->scale[o], zero = weights->zero[o];
        double carry = 0;
        for (int64_t i = 0; i < weights->per; i++) {
            const double want = (double)weights->w[o * weights->per + i] / scale + carry;
            const double got = fmin(fmax(rint(want), weights->qmin - zero), weights->qmax - zero);
            carry = want - got;
            code[o * weights->per + i] = (int32_t)(got + zero);
        }
    }
    return 0;
}
