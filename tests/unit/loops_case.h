/* loops_case.h - helpers of the kernel IR's tests: a context, generated C compiled by several compilers and loaded. */
#ifndef LOOPS_CASE_H
#define LOOPS_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../backend/loops/loops.h"

/* The flags of promise P13. */
#define CLEAN "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wcast-align -Wno-psabi -Werror"
static const char *const compilers[] = {"gcc -O1", "gcc -O0", "gcc -O3", "clang-19 -O0", "clang-19 -O3",
                                        "gcc -O1 -fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all"};
/* All where the environment says OCTAVO_FULL=1 (tests/e2e/kernels_c.sh does), otherwise the first: unit tests stay quick. */
static inline bool full_matrix(void) { return getenv("OCTAVO_FULL") != NULL; }
static inline size_t compiler_count(void) { return full_matrix() ? sizeof compilers / sizeof *compilers : 1; }

/* Compiles a C file to a shared object and loads it; the caller closes it. */
static inline void *load_c(const char *text, const char *compiler) {
    char dir[] = "/tmp/octavo-loops-XXXXXX", path[64], cmd[512];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/k.c", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    snprintf(cmd, sizeof cmd, "%s %s -shared -fPIC -o %s/k.so %s/k.c", compiler, CLEAN, dir, dir);
    if (system(cmd) != 0) fail_msg("%s", cmd);
    snprintf(path, sizeof path, "%s/k.so", dir);
    void *so = dlopen(path, RTLD_NOW);
    if (!so) fail_msg("%s", dlerror());
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
    return so;
}

/* A counter-based generator: the same values on every machine. */
static inline uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
