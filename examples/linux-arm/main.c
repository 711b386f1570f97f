/* main.c - runs a network that octavo compiled on the samples in the program and compares every output code with the
 * interpreter's. QUANTIZE is the name of the input's conversion in net.h. Exit 0: no code differs. */
#include <stdio.h>

#include "net.h"
#include "samples.h"

extern const float inputs[SAMPLES][INPUTS];
extern const int8_t codes[SAMPLES][OUTPUTS];

static _Alignas(16) uint8_t arena[NET_ARENA_SIZE];
static int8_t x[INPUTS], y[OUTPUTS];

int main(void) {
    int wrong = 0;
    printf("top-1:");
    for (int i = 0; i < SAMPLES; i++) {
        int best = 0;
        QUANTIZE(inputs[i], x);
        if (net_run(x, y, arena) != 0) return 70;
        for (int c = 0; c < OUTPUTS; c++) {
            if (y[c] > y[best]) best = c;
            wrong += y[c] != codes[i][c];
        }
        printf(" %d", best);
    }
    printf("\ninputs: %d\ndiffering codes: %d\narena: %d bytes\n", SAMPLES, wrong, NET_ARENA_SIZE);
    return wrong != 0;
}
