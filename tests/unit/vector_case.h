/* vector_case.h - a kernel run through LLVM in this process, for tests of kernels that need vectors. */
#ifndef VECTOR_CASE_H
#define VECTOR_CASE_H

#include "kernel_case.h"
#include "../../backend/llvm.h"

/* What LLVM compiles vector kernels for: AVX2 where the machine has it; their meaning does not depend on it. */
static inline const struct oct_target *vc_machine(void) {
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return oct_target_find("x86-64-v3");
#endif
    return oct_target_find("host");
}

/* Runs the kernel, compiled for this machine, on memory by buffer. */
static inline void vc_run(const struct lp_kernel *k, void *const *mem) {
    struct oct_arena *a = oct_arena_new(&kc.cx);
    struct oct_arg *arg = OCT_NEW_N(a, struct oct_arg, k->nbufs + 2);
    struct oct_param *param = OCT_NEW_N(a, struct oct_param, k->nbufs);
    for (int32_t i = 0; i < k->nbufs; i++) {
        arg[i] = (struct oct_arg){OCT_ARG_PARAM, i};
        param[i] =
            (struct oct_param){k->buf[i].name, k->buf[i].elem, k->buf[i].kind != LP_BUF_IN && k->buf[i].kind != LP_BUF_CONST};
    }
    struct oct_function function = {.name = "k", .k = k};
    struct oct_call call = {.layer = "y", .function = 0, .arg = arg};
    struct oct_entry entry = {.name = "run", .param = param, .nparams = k->nbufs, .call = &call, .ncalls = 1};
    const struct oct_program program = {.name = "k", .function = &function, .nfunctions = 1, .entry = &entry, .nentries = 1};
    oct_jit_fn *run;
    assert_true(octavo_llvm.jit(&kc.cx, a, &program, vc_machine(), &run));
    run(mem, NULL);
    oct_arena_free(a);
}

#endif
