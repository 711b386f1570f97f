/* board.h - the little that the example wants of a board: text, an end, and how deep the stack went. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_print(const char *text); /* through the debugger's semihosting */
void board_print_number(uint32_t n);
_Noreturn void board_exit(int code);

extern uint32_t stack_low[], stack_top[]; /* from the linker script; the stack grows down from stack_top */

enum { PAINT = 0x5aa5c33c };

/* Paints all that lies below the caller's frame; returns where that ends. Inlined, so that it has no frame itself. */
static inline __attribute__((always_inline)) uintptr_t stack_paint(void) {
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    for (volatile uint32_t *p = stack_low; p < sp; p++) *p = PAINT;
    return (uintptr_t)sp;
}

/* Bytes below `sp` down to the deepest word that lost its paint. */
static inline uint32_t stack_depth(uintptr_t sp) {
    const volatile uint32_t *p = stack_low;
    while ((uintptr_t)p < sp && *p == PAINT) p++;
    return (uint32_t)(sp - (uintptr_t)p);
}

#endif
