/* llvm_speed.c - shared objects with a net_run each, run in turn on the same input: PROGRAM ROUNDS A.so B.so ... prints
 * microseconds of each, the tenth percentile of the thread's processor time. Exit 1 when outputs differ from the first's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 32 };
typedef int run_fn(const void *x, void *y, void *arena);
static _Alignas(64) unsigned char arena[1 << 20];
static int8_t x[1 << 20], y[1 << 16], first[1 << 16];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}
static int by_value(const void *a, const void *b) {
    const double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

int main(int argc, char **argv) {
    const int rounds = argc > 2 ? atoi(argv[1]) : 0, n = argc - 2;
    run_fn *run[MOST];
    if (rounds < 1 || n > MOST) return 64;
    double *took = malloc(sizeof *took * (size_t)(rounds * n));
    for (size_t i = 0; i < sizeof x; i++) x[i] = (int8_t)(i * 2654435761u >> 13);
    for (int i = 0; i < n; i++) {
        void *so = dlopen(argv[i + 2], RTLD_NOW), *f = so ? dlsym(so, "net_run") : NULL;
        if (!f) return fprintf(stderr, "%s\n", dlerror()), 69;
        memcpy(&run[i], &f, sizeof f);
        memset(y, 0, sizeof y);
        run[i](x, y, arena);
        if (!i) memcpy(first, y, sizeof y);
        else if (memcmp(first, y, sizeof y)) return fprintf(stderr, "%s: outputs differ\n", argv[i + 2]), 1;
    }
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++) {
            const double begun = now();
            run[i](x, y, arena);
            took[i * rounds + r] = now() - begun;
        }
    for (int i = 0; i < n; i++) {
        qsort(took + i * rounds, (size_t)rounds, sizeof *took, by_value);
        printf("%.1f\n", took[i * rounds + rounds / 10]);
    }
    free(took);
    return 0;
}
