/* bench.h - what the two ways of octavo bench share: time on this machine (bench.c), instructions in an emulator (emulate.c). */
#ifndef DRV_BENCH_H
#define DRV_BENCH_H

#include "cc.h"

/* A step of a run, in order of execution. */
struct drv_layer {
    const char *name, *kernel;
    int64_t macs;
    double ns;            /* median; NAN when it could not be told apart */
    const char *steps;    /* what its sums are made of, "": nothing with a ceiling */
    int64_t products;     /* multiplications of the part that is products alone; 0: none stands out */
    double products_ns;   /* median of it */
    double gain;          /* multiplications for each that is done */
    int64_t instructions; /* from the entry of its function to that of the next */
};
/* Names, kernels and MACs from the report that the back end wrote. */
struct drv_layer *drv_layers_of(struct drv *d, const struct oct_compiled *c, size_t *n);
/* Inputs of one run: the first of --data, or numbers from a generator (in [-1, 1), or any codes). */
bool drv_bench_inputs(struct drv *d, const struct oct_module *m, struct oct_dataset *out);
/* With --emulate: compiles for the target, runs that under qemu, compares with the interpreter, prints instructions. */
bool drv_bench_emulate(struct drv *d, struct oct_module *m);

#endif
