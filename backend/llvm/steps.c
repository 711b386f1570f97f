/* steps.c - rows for which instruction selection does not find the machine's step by itself: once a loop's invariant operands
 * have moved out of it, their lanes are taken apart there and the pattern is lost. And the pin. */
#include <string.h>

#include "../loops/rows.h"
#include "gen.h"

static const struct {
    enum lp_row row;
    enum lp_isa isa; /* that has it; so has every ISA from there to x86's last */
    int lanes;       /* of the result */
    const char *name;
} steps[] = {
    {LP_OP_madd16, LP_ISA_AVX2, 4, "llvm.x86.sse2.pmadd.wd"},
    {LP_OP_madd16, LP_ISA_AVX2, 8, "llvm.x86.avx2.pmadd.wd"},
    {LP_OP_madd16, LP_ISA_AVX512, 16, "llvm.x86.avx512.pmaddw.d.512"},
    {LP_OP_maddubs, LP_ISA_AVX2, 8, "llvm.x86.ssse3.pmadd.ub.sw.128"},
    {LP_OP_maddubs, LP_ISA_AVX2, 16, "llvm.x86.avx2.pmadd.ub.sw"},
    {LP_OP_maddubs, LP_ISA_AVX512, 32, "llvm.x86.avx512.pmaddubs.w.512"},
    {LP_OP_dot2, LP_ISA_VNNI, 8, "llvm.x86.avx512.vpdpwssd.256"},
    {LP_OP_dot2, LP_ISA_VNNI, 16, "llvm.x86.avx512.vpdpwssd.512"},
    {LP_OP_dot4, LP_ISA_VNNI, 8, "llvm.x86.avx512.vpdpbusd.256"},
    {LP_OP_dot4, LP_ISA_VNNI, 16, "llvm.x86.avx512.vpdpbusd.512"},
};

/* Assembler without text that changes the value, as far as LLVM knows: it would add up the products of several steps first, and
 * spill. */
static LLVMValueRef pin(const struct gen *g, const struct lp_stmt *s) {
    const struct lp_type t = g->k->reg[s->dst].type;
    const int bits = t.lanes * lp_elem_bits((enum lp_elem)t.elem), most = g->isa == LP_ISA_AVX2 ? 256 : 512;
    if (g->isa < LP_ISA_AVX2 || g->isa > LP_ISA_VNNI || t.lanes == 1 || bits < 128 || bits > most) return NULL;
    char *in = g->isa == LP_ISA_AVX2 ? "=x,0" : "=v,0";
    LLVMTypeRef type = oct_ll_type(g, t), fn = LLVMFunctionType(type, &type, 1, 0);
    LLVMValueRef x = oct_ll_widened(g, oct_ll_operand(g, s->arg[0]), t.lanes).v;
    LLVMValueRef code = LLVMGetInlineAsm(fn, "", 0, in, strlen(in), 0, 0, LLVMInlineAsmDialectATT, 0);
    return LLVMBuildCall2(g->b, fn, code, &x, 1, "");
}

LLVMValueRef oct_ll_step(const struct gen *g, const struct lp_stmt *s) {
    const int lanes = g->k->reg[s->dst].type.lanes;
    if (s->row == LP_OP_pin) return pin(g, s);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i].row != s->row || steps[i].lanes != lanes || g->isa < steps[i].isa || g->isa > LP_ISA_VNNI) continue;
        LLVMTypeRef param[LP_MAX_ARGS];
        LLVMValueRef arg[LP_MAX_ARGS];
        const unsigned id = LLVMLookupIntrinsicID(steps[i].name, strlen(steps[i].name));
        LLVMTypeRef fn = LLVMIntrinsicGetType(g->c, id, NULL, 0);
        LLVMGetParamTypes(fn, param);
        for (int a = 0; a < s->nargs; a++) {
            const int all = s->row == LP_OP_dot4 ? 4 : 2; /* lanes of a factor for one of the result */
            struct val x = oct_ll_operand(g, s->arg[a]);
            x = oct_ll_widened(g, x, s->nargs == 3 && a == 0 ? lanes : all * lanes);
            arg[a] = LLVMBuildBitCast(g->b, x.v, param[a], "");
        }
        return oct_ll_intrinsic(g, steps[i].name, 0, NULL, s->nargs, arg);
    }
    return NULL;
}
