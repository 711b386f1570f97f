/* main.c - runs a network that octavo compiled on the samples in the image and compares every output code with the interpreter's.
 * QUANTIZE is the name of the input's conversion in net.h. Exit 0: no code differs. */
#include "board.h"
#include "net.h"
#include "samples.h"

extern const float inputs[SAMPLES][INPUTS];
extern const int8_t codes[SAMPLES][OUTPUTS];
extern const uint8_t network_text[], network_constants[], network_end[]; /* from the linker script */

_Alignas(16) uint8_t arena[NET_ARENA_SIZE];
static int8_t x[INPUTS], y[OUTPUTS];

/* Where a counter of instructions looks: from net_run to here is one inference. */
__attribute__((noinline)) static void inference_done(void) { __asm__ volatile(""); }

static void print_figure(const char *name, uint32_t n, const char *unit) {
    board_print(name);
    board_print_number(n);
    board_print(unit);
}

int main(void) {
    uint32_t wrong = 0, depth = 0;
    for (int i = 0; i < SAMPLES; i++) {
        QUANTIZE(inputs[i], x);
        const uintptr_t sp = stack_paint();
        const int status = net_run(x, y, arena);
        inference_done();
        const uint32_t now = stack_depth(sp);
        if (now > depth) depth = now;
        if (status != 0) board_exit(70);
        int best = 0;
        for (int c = 0; c < OUTPUTS; c++) {
            if (y[c] > y[best]) best = c;
            wrong += y[c] != codes[i][c];
        }
        print_figure(i ? " " : "top-1: ", (uint32_t)best, "");
    }
    print_figure("\ninputs: ", SAMPLES, "\n");
    print_figure("differing codes: ", wrong, "\n");
    print_figure("flash: ", (uint32_t)(network_end - network_text), " bytes");
    print_figure(" = text: ", (uint32_t)(network_constants - network_text), "");
    print_figure(" + constants: ", (uint32_t)(network_end - network_constants), "\n");
    print_figure("arena: ", NET_ARENA_SIZE, " bytes\n");
    print_figure("painted stack: ", depth, " bytes\n");
    return wrong != 0;
}
