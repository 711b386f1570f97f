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

/* Compiles kernels for this machine: a function of the memory of its buffers for each. Ranges are whole. */
static inline oct_jit_fn **vc_load(int n, const struct lp_kernel *const *k) {
    struct oct_arena *a = kc.arena;
    struct oct_function *function = OCT_NEW_N(a, struct oct_function, n);
    struct oct_entry *entry = OCT_NEW_N(a, struct oct_entry, n);
    oct_jit_fn **run = OCT_NEW_N(a, oct_jit_fn *, n);
    for (int i = 0; i < n; i++) {
        struct oct_arg *arg = OCT_NEW_N(a, struct oct_arg, k[i]->nbufs);
        struct oct_param *param = OCT_NEW_N(a, struct oct_param, k[i]->nbufs);
        struct oct_call *call = OCT_NEW(a, struct oct_call);
        for (int32_t j = 0; j < k[i]->nbufs; j++) {
            const struct lp_buf *b = &k[i]->buf[j];
            arg[j] = oct_arg(OCT_ARG_PARAM, j);
            param[j] = (struct oct_param){b->name, b->elem, b->kind != LP_BUF_IN && b->kind != LP_BUF_CONST};
        }
        function[i] = (struct oct_function){.name = oct_sprintf(a, "k%d", i), .k = k[i]};
        *call = (struct oct_call){.layer = "y", .function = i, .arg = arg};
        entry[i] = (struct oct_entry){
            .name = oct_sprintf(a, "run%d", i), .param = param, .nparams = k[i]->nbufs, .call = call, .ncalls = 1};
    }
    const struct oct_program program = {.name = "k", .function = function, .nfunctions = n, .entry = entry, .nentries = n};
    assert_true(octavo_llvm.jit(&kc.cx, a, &program, vc_machine(), run));
    return run;
}

/* Runs one kernel on memory by buffer. */
static inline void vc_run(const struct lp_kernel *k, void *const *mem) { vc_load(1, &k)[0](mem, NULL); }

/* All kernels that the evaluator ran and were kept, by LLVM on the same memory. */
static inline void vc_compare(void) {
    const struct lp_kernel **function = OCT_NEW_N(kc.arena, const struct lp_kernel *, kc.nran);
    const int functions = kc_functions(function);
    oct_jit_fn **run = vc_load(functions, function);
    for (int i = 0; i < kc.nran; i++) {
        const struct kc_ran *r = &kc.ran[i];
        void *mem[OCT_K_MAX_BUFS];
        for (int j = 0; j < r->k->nbufs; j++) {
            const size_t bytes = (size_t)r->k->buf[j].size * lp_elem_size(r->k->buf[j].elem);
            mem[j] = oct_alloc(kc.arena, bytes);
            memcpy(mem[j], r->before[j], bytes);
        }
        run[r->function](mem, NULL);
        for (int j = 0; j < r->k->nbufs; j++)
            if (!kc_same(&r->k->buf[j], mem[j], r->after[j])) {
                struct oct_text t;
                oct_text_init(&t, kc.arena);
                lp_print(&t, r->k);
                fail_msg("LLVM: buffer %s of\n%.6000s", r->k->buf[j].name, t.s);
            }
    }
}

/* The cases of a program, with kernels of 256 and of 512 bits by the evaluator, then all of them again by LLVM and as printed C.
 */
static inline void vc_target_256(void **state) {
    (void)state;
    kc.target = oct_target_find("x86-64-v3");
}
static inline void vc_target_512(void **state) {
    (void)state;
    kc.target = oct_target_find("x86-64-v4");
}
static inline void vc_by_llvm(void **state) {
    (void)state;
    vc_compare();
}
static inline void vc_printed_c(void **state) {
    (void)state;
    kc_compare_c();
}
#define VC_AGAIN              cmocka_unit_test(vc_by_llvm), cmocka_unit_test(vc_printed_c)
#define VC_BOTH_WIDTHS(cases) cmocka_unit_test(vc_target_256), cases, cmocka_unit_test(vc_target_512), cases, VC_AGAIN

#endif
