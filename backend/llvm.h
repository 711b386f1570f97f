/* llvm.h - the LLVM back end as others see it. It is a module of its own, liboctavo_llvm.so, loaded when it is asked for: LLVM is
 * large, slow to load, and ends the process when it fails: with exit 70, or, out of memory, by SIGABRT, even while it is loaded;
 * whoever loads it catches that. It exports one table. */
#ifndef OCT_LLVM_H
#define OCT_LLVM_H

#include "program.h"

enum oct_llvm_form { OCT_LLVM_IR, OCT_LLVM_ASM, OCT_LLVM_OBJ };
/* One entry of a program in this process: io holds its parameters; arena as the header says, for the run entry. */
typedef int oct_jit_fn(void *const *io, void *arena);

struct oct_llvm {
    const char *version; /* OCTAVO_VERSION: the command and the module must agree */
    const char *(*made_by)(struct oct_arena *a, const struct oct_target *t); /* "LLVM 19.1.7, TRIPLE" */
    /* The program for a target as text of LLVM IR, assembler, or an object with what it takes. false after diagnostics. */
    bool (*emit)(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, const struct oct_target *t,
                 enum oct_llvm_form form, struct oct_text *out, struct oct_sizes *sizes);
    /* The object for a target that this machine can run, loaded: one function for each entry, alive as long as the arena. */
    bool (*jit)(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, const struct oct_target *t,
                oct_jit_fn **entry);
};
/* The name of the table in the module. */
#define OCT_LLVM_TABLE "octavo_llvm"
extern const struct oct_llvm octavo_llvm;

#endif
