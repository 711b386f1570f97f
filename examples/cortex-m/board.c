/* board.c - from reset to main on a Cortex-M: vector table, FPU and MVE on where they are, .data and .bss, semihosting. No vendor code.
 */
#include "board.h"

int main(void);

extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[]; /* from the linker script */

/* A request to the debugger; its meaning in r0, its argument in r1. */
static void semihosting(uint32_t request, const void *argument) {
    register uint32_t r0 __asm__("r0") = request;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void board_print(const char *text) { semihosting(0x04, text); } /* SYS_WRITE0 */

void board_print_number(uint32_t n) {
    char digits[11], *p = digits + sizeof digits - 1;
    *p = 0;
    do *--p = (char)('0' + n % 10);
    while (n /= 10);
    board_print(p);
}

_Noreturn void board_exit(int code) {
    const uint32_t why[] = {0x20026, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
    semihosting(0x20, why);                           /* SYS_EXIT_EXTENDED */
    for (;;) {}
}

static _Noreturn void fault(void) {
    board_print("the processor met a fault\n");
    board_exit(70);
}

_Noreturn void reset(void) {
#if __ARM_ARCH > 6 /* v6-M knows neither the register nor what it opens */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: full access to the FPU and MVE, before anything may use them */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = data_load;
    for (uint32_t *to = data_begin; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0;
    board_exit(main());
}

union vector {
    const uint32_t *stack;
    void (*handler)(void);
};
/* Stack, reset, NMI, and the faults: hard, memory, bus, usage, secure. Interrupts stay off. */
__attribute__((section(".vectors"), used)) static const union vector vectors[16] = {
    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},   {.handler = fault}, {.handler = fault}, {.handler = fault}};
