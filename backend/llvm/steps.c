/* steps.c - statements whose row the target has an instruction for that LLVM would not find: llvm_steps.def names it. */
#include <string.h>

#include "../loops/rows.h"
#include "gen.h"

/* Lanes of an operand that fill a parameter of the intrinsic, whatever its own lanes are called. */
static int lanes_of(LLVMTypeRef param, enum lp_elem elem) {
    return (int)(LLVMGetVectorSize(param) * LLVMGetIntTypeWidth(LLVMGetElementType(param))) / lp_elem_bits(elem);
}

LLVMValueRef oct_ll_step(const struct gen *g, const struct lp_stmt *s) {
    const char *name = lp_row_llvm_step(s->row, g->isa, g->k->reg[s->dst].type.lanes);
    if (!name) return NULL;
    LLVMTypeRef param[LP_MAX_ARGS];
    LLVMValueRef arg[LP_MAX_ARGS];
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMGetParamTypes(LLVMIntrinsicGetType(g->c, id, NULL, 0), param);
    for (int a = 0; a < s->nargs; a++) {
        const struct val x = oct_ll_operand(g, s->arg[a]);
        const int lanes = lanes_of(param[a], (enum lp_elem)x.t.elem);
        arg[a] = LLVMBuildBitCast(g->b, oct_ll_widened(g, x, lanes).v, param[a], "");
    }
    return oct_ll_intrinsic(g, name, 0, NULL, s->nargs, arg);
}
