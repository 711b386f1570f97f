/* main.c - classifies one handwritten digit, on a machine with or without an operating system. Exit 0: it saw what was written.
 */
#include "board.h"
#include "digits.h"

static const float image[64] = {/* someone's 5 */
                                0,  0, 12, 16, 16, 15, 3, 0,  0, 4, 16, 16, 6, 2,  1,  0,  0, 14, 16, 4, 0, 0,
                                0,  0, 0,  9,  16, 16, 5, 0,  0, 0, 0,  0,  7, 15, 8,  0,  0, 0,  0,  0, 0, 12,
                                11, 0, 0,  0,  0,  0,  5, 16, 7, 0, 0,  0,  0, 0,  14, 15, 0, 0,  0,  0};
static _Alignas(16) uint8_t arena[DIGITS_ARENA_SIZE];

int main(void) {
    int8_t codes[64], probs[10];
    int best = 0;
    digits_quantize_image(image, codes);
    if (digits_run(codes, probs, arena) != 0) return 70;
    for (int c = 1; c < 10; c++)
        if (probs[c] > probs[best]) best = c;
    board_print("this is a ");
    board_print_number((uint32_t)best);
    board_print("\n");
    return best != 5;
}
