/* graphs.c - runs graphs that octavo compiled on the inputs in the program and compares every byte of their outputs with the interpreter's.
 * random_graphs.py writes graphs.h (the table below) and data.bin. Prints a line for each graph: its name and how many bytes are
 * wrong; bytes written behind an output or behind the arena count as wrong. On a board: -DBOARD, with board.c of examples/cortex-m. */
#include <stdint.h>
#ifdef BOARD
#include "board.h"
#else
#include <stdio.h>
static void board_print(const char *text) { fputs(text, stdout), fflush(stdout); }
static void board_print_number(uint32_t n) { printf("%u", (unsigned)n); }
#endif

enum { PORTS = 8, GAP = 64, UNTOUCHED = 0xa5 };
struct graph {
    const char *name;
    int (*run)(const void *const *x, void *const *y, void *arena);
    uint32_t arena, samples;
    uint32_t in[PORTS], out[PORTS]; /* bytes of one sample, behind the last one 0 */
};
#include "graphs.h"

/* For each graph and sample: inputs, then the outputs that are wanted; each padded to 64 bytes. */
extern const uint8_t data[];
static _Alignas(64) uint8_t arena[MOST_ARENA + GAP], y[MOST_OUTPUT];

static uint32_t padded(uint32_t n) { return (n + GAP - 1) / GAP * GAP; }

/* Runs the sample at *at, moves *at behind it; returns the wrong bytes. */
static uint32_t wrong_bytes(const struct graph *g, const uint8_t **at) {
    const void *x[PORTS];
    void *to[PORTS];
    uint32_t used = 0, wrong = 0;
    for (int i = 0; g->in[i]; i++) x[i] = *at, *at += padded(g->in[i]);
    for (int i = 0; g->out[i]; i++) to[i] = y + used, used += padded(g->out[i]) + GAP;
    for (uint32_t i = 0; i < used; i++) y[i] = UNTOUCHED;
    for (uint32_t i = 0; i < g->arena + GAP; i++) arena[i] = UNTOUCHED;
    wrong += g->run(x, to, arena) != 0;
    for (int i = 0; g->out[i]; i++) {
        const uint8_t *got = to[i];
        const uint32_t n = padded(g->out[i]) + GAP;
        for (uint32_t k = 0; k < n; k++) wrong += got[k] != (k < g->out[i] ? (*at)[k] : UNTOUCHED);
        *at += padded(g->out[i]);
    }
    for (uint32_t i = g->arena; i < g->arena + GAP; i++) wrong += arena[i] != UNTOUCHED;
    return wrong;
}

int main(void) {
    const uint8_t *at = data;
    for (const struct graph *g = graphs; g < graphs + sizeof graphs / sizeof *graphs; g++) {
        uint32_t wrong = 0;
        board_print(g->name);
        board_print(" ");
        for (uint32_t s = 0; s < g->samples; s++) wrong += wrong_bytes(g, &at);
        board_print_number(wrong);
        board_print("\n");
    }
    return 0;
}
