/* Links the compiled network and classifies the images of an npy file: main IMAGES.npy [LABELS.npy].
 * Everything the network needs is in digits.h: one function, one arena, no other library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

enum { PIXELS = 64, CLASSES = 10, MAX_IMAGES = 1000 };

/* The payload of a version-1 npy file (these are ours: uint8 images, int64 labels). Returns bytes read. */
static size_t read_npy(const char *path, unsigned char *to, size_t most) {
    unsigned char head[10];
    FILE *f = fopen(path, "rb");
    size_t n;
    if (!f || fread(head, 1, sizeof head, f) != sizeof head || memcmp(head, "\x93NUMPY\x01", 7) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET);
    n = fread(to, 1, most, f);
    fclose(f);
    return n;
}

int main(int argc, char **argv) {
    static unsigned char images[MAX_IMAGES * PIXELS], labels[MAX_IMAGES * 8], arena[DIGITS_ARENA_SIZE + 64];
    void *const aligned = arena + (64 - (size_t)arena % 64) % 64;
    size_t i, n, right = 0;
    int c;
    if (argc < 2) {
        fprintf(stderr, "usage: %s IMAGES.npy [LABELS.npy]\n", argv[0]);
        return 64;
    }
    n = read_npy(argv[1], images, sizeof images) / PIXELS;
    if (argc > 2) read_npy(argv[2], labels, sizeof labels);
    for (i = 0; i < n; i++) {
        float image[PIXELS];
        int8_t codes[PIXELS], probs[CLASSES];
        int best = 0, p;
        for (p = 0; p < PIXELS; p++) image[p] = images[i * PIXELS + (size_t)p];
        digits_quantize_image(image, codes);
        if (digits_run(codes, probs, aligned) != 0) return 70;
        for (c = 1; c < CLASSES; c++)
            if (probs[c] > probs[best]) best = c;
        right += argc > 2 && labels[i * 8] == best;
        if (i == 0) { /* show the first one */
            for (p = 0; p < PIXELS; p++) printf("%c%s", " .:-=+*#%@"[images[p] * 9 / 16], p % 8 == 7 ? "\n" : "");
            printf("-> %d\n", best);
        }
    }
    if (argc > 2)
        printf("%lu of %lu right, arena %lu bytes\n", (unsigned long)right, (unsigned long)n, (unsigned long)DIGITS_ARENA_SIZE);
    return 0;
}
