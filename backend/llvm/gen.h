/* gen.h - what the files of the LLVM back end share. Only this folder includes llvm-c. */
#ifndef OCT_LLVM_GEN_H
#define OCT_LLVM_GEN_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "../program.h"

struct gen {
    struct oct_ctx *cx;
    struct oct_arena *a;
    LLVMContextRef c;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    LLVMTypeRef ptr, i32, word; /* word: an integer as wide as a pointer; loops count and addresses add up in it */
    const char *cpu, *features;
    LLVMDIBuilderRef di; /* NULL: no line info */
    LLVMMetadataRef file, type;
    enum lp_isa isa; /* of the target */
    /* of the function at work */
    const struct lp_kernel *k;
    LLVMValueRef fn, *slot;         /* by register: its memory, until mem2reg */
    LLVMValueRef *var, *to;         /* by loop variable: its value; its end */
    LLVMBasicBlockRef *head, *exit; /* by loop variable */
    LLVMValueRef lo, hi;
    int32_t band; /* variable of the range, where bands have pieces */
};

/* A value of an expression. Uniform: one lane that serves every lane. A number has no type yet. */
struct val {
    LLVMValueRef v;
    struct lp_type t;
    bool uniform, number;
    double n;
};

/* ---- spell.c */

LLVMTypeRef oct_ll_type(const struct gen *g, struct lp_type t);
struct val oct_ll_operand(const struct gen *g, struct lp_val v);
/* All lanes of a value of one. */
struct val oct_ll_widened(const struct gen *g, struct val x, int lanes);
/* A call of LLVM's intrinsic of that name, overloaded for those types. */
LLVMValueRef oct_ll_intrinsic(const struct gen *g, const char *name, int ntypes, LLVMTypeRef *types, int n, LLVMValueRef *arg);
/* steps.c: what the target's own instruction makes of a statement's row; NULL where LLVM finds it, or there is none. */
LLVMValueRef oct_ll_step(const struct gen *g, const struct lp_stmt *s);
/* The value that a statement's row makes, with all lanes of its register. */
struct val oct_ll_spell(const struct gen *g, const struct lp_stmt *s);

/* ---- machine.c */

/* "LLVM 19.1.7, TRIPLE". */
const char *oct_ll_made_by(struct oct_arena *a, const struct oct_target *t);
/* The machine and its triple; NULL after diagnostics. */
LLVMTargetMachineRef oct_ll_machine(struct gen *g, const struct oct_target *t, const char **triple);
/* "target T, cpu C, features F" */
const char *oct_ll_target_text(struct oct_arena *a, const struct oct_target *t);
#define OCT_LL_ADVICE "choose a --cpu and --features that have what the target's kernels need, or another --target"
/* From now on, until it is NULL, a fault that LLVM finds ends the process with a message that names the target, and exit 69. */
void oct_ll_handle_faults(const char *target);
/* A fault of ours: reports what LLVM says, disposes of it, and unwinds. */
void oct_ll_refused(const struct gen *g, const char *doing, char *why, void (*dispose)(char *));

/* ---- debug.c: line info */

void oct_ll_debug_begin(struct gen *g, const struct oct_program *p);
/* The function stands at that line of the source, and so does, until another line is set, what the builder makes. 0: unknown. */
void oct_ll_debug_function(const struct gen *g, LLVMValueRef fn, const char *name, uint32_t line, bool local);
void oct_ll_debug_line(const struct gen *g, LLVMValueRef fn, uint32_t line);
void oct_ll_debug_end(struct gen *g);
void oct_ll_debug_close(struct gen *g);

/* ---- emit_llvm.c */

/* The program into g->m, with a shim for each entry (oct_jit_fn) where asked. */
void oct_ll_program(struct gen *g, const struct oct_program *p, bool shims);
const char *oct_ll_shim_name(struct oct_arena *a, int entry_number);

#endif
