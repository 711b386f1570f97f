/* hosted.c - what main.c wants of a board, where there is an operating system. */
#include <stdio.h>

#include "board.h"

void board_print(const char *text) { fputs(text, stdout); }
void board_print_number(uint32_t n) { printf("%lu", (unsigned long)n); }
