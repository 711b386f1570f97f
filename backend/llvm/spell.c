/* spell.c - expressions of the LLVM column of loops.def: a statement's operands in, a value out. Its table lists the functions
 * that the column may use. Knows rows by their text only. Requires verified kernels. */
#include <stdlib.h>
#include <string.h>

#include "../loops/rows.h"
#include "gen.h"

OCT_NORETURN static void fault(const struct gen *g, const char *what, const char *which) {
    oct_internal(g->cx, (struct oct_span){0, 0, 0}, "loops: LLVM: %s: %s", which, what);
}

/* ---- types and constants ------------------------------------------------------------------------------------------- */

LLVMTypeRef oct_ll_type(const struct gen *g, struct lp_type t) {
    LLVMTypeRef e = t.elem == LP_MASK  ? LLVMInt1TypeInContext(g->c)
                    : t.elem == LP_F32 ? LLVMFloatTypeInContext(g->c)
                    : t.elem == LP_F64 ? LLVMDoubleTypeInContext(g->c)
                                       : LLVMIntTypeInContext(g->c, (unsigned)lp_elem_bits((enum lp_elem)t.elem));
    return t.lanes == 1 ? e : LLVMVectorType(e, t.lanes);
}

static struct val constant(const struct gen *g, enum lp_elem e, int64_t i, double f) {
    LLVMTypeRef t = oct_ll_type(g, lp_scalar(e));
    return (struct val){
        .v = lp_is(e, LP_FLOATS) ? LLVMConstReal(t, f) : LLVMConstInt(t, (uint64_t)i, 1), .t = lp_scalar(e), .uniform = true};
}

/* Lanes of x, then of y, by number. */
static struct val pick(const struct gen *g, struct val x, struct val y, int lanes, const int *lane) {
    LLVMValueRef from[2] = {x.v, y.v}, index[64];
    for (int i = 0; i < 2; i++)
        if (x.t.lanes == 1) {
            LLVMTypeRef one = LLVMVectorType(oct_ll_type(g, x.t), 1);
            from[i] = LLVMBuildInsertElement(g->b, LLVMGetPoison(one), from[i], LLVMConstInt(g->i32, 0, 0), "");
        }
    for (int l = 0; l < lanes; l++) index[l] = LLVMConstInt(g->i32, (unsigned)lane[l], 0);
    struct val r = {.t = lp_vector((enum lp_elem)x.t.elem, lanes)};
    r.v = LLVMBuildShuffleVector(g->b, from[0], from[1], LLVMConstVector(index, (unsigned)lanes), "");
    if (lanes == 1) r.v = LLVMBuildExtractElement(g->b, r.v, LLVMConstInt(g->i32, 0, 0), "");
    return r;
}

struct val oct_ll_widened(const struct gen *g, struct val x, int lanes) {
    static const int first[64] = {0};
    if (x.t.lanes == lanes) {
        x.uniform = false;
        return x;
    }
    if (x.t.lanes != 1) fault(g, "lanes do not agree", "operand");
    return pick(g, x, x, lanes, first);
}

/* ---- the functions of the LLVM column ------------------------------------------------------------------------------ */

struct app;
struct fn {
    const char *name;
    struct val (*build)(const struct app *p);
    bool agree;                /* operands are given one number of lanes, numbers a type */
    int sint, uint, real;      /* opcodes or predicates for signed, unsigned, float operands */
    const char *sname, *uname; /* intrinsics */
};
/* A function applied to operands. */
struct app {
    const struct gen *g;
    const struct fn *f;
    const struct lp_stmt *s;
    struct val x[3];
    int n, imm;   /* operands; the name's argument */
    bool uniform; /* all that agree are */
};
enum { NO_WRAP = 1 }; /* the name's argument "nw" */

/* Gives numbers a type and all operands the same lanes. */
static void agree(struct app *p) {
    int like = -1, lanes = 1;
    p->uniform = true;
    for (int i = 0; i < p->n; i++)
        if (!p->x[i].number) {
            if (like < 0 || p->x[like].t.elem == LP_MASK) like = i;
            if (!p->x[i].uniform) p->uniform = false;
            if (p->x[i].t.lanes > lanes) lanes = p->x[i].t.lanes;
        }
    if (like < 0) fault(p->g, "only numbers", p->f->name);
    for (int i = 0; i < p->n; i++) {
        struct val *x = &p->x[i];
        if (x->number) *x = constant(p->g, (enum lp_elem)p->x[like].t.elem, (int64_t)x->n, x->n);
        if (!p->uniform) *x = oct_ll_widened(p->g, *x, lanes);
    }
}

static bool is_unsigned(struct val x) { return !lp_is((enum lp_elem)x.t.elem, LP_SIGNED | LP_FLOATS); }

/* Like operand i, which agreed. */
static struct val like(const struct app *p, int i, LLVMValueRef v) {
    return (struct val){.v = v, .t = p->x[i].t, .uniform = p->uniform};
}

static struct val fn_binary(const struct app *p) {
    const bool u = is_unsigned(p->x[0]);
    LLVMValueRef v = LLVMBuildBinOp(p->g->b, (LLVMOpcode)(u ? p->f->uint : p->f->sint), p->x[0].v, p->x[1].v, "");
    if (p->imm == NO_WRAP && LLVMIsAInstruction(v)) (u ? LLVMSetNUW : LLVMSetNSW)(v, 1);
    return like(p, 0, v);
}
static struct val fn_compare(const struct app *p) {
    const struct val *x = p->x;
    struct val r = like(p, 0, NULL);
    r.t.elem = LP_MASK;
    if (lp_is((enum lp_elem)x->t.elem, LP_FLOATS))
        r.v = LLVMBuildFCmp(p->g->b, (LLVMRealPredicate)p->f->real, x[0].v, x[1].v, "");
    else r.v = LLVMBuildICmp(p->g->b, (LLVMIntPredicate)(is_unsigned(*x) ? p->f->uint : p->f->sint), x[0].v, x[1].v, "");
    return r;
}
static struct val fn_select(const struct app *p) {
    return like(p, 1, LLVMBuildSelect(p->g->b, p->x[0].v, p->x[1].v, p->x[2].v, ""));
}
static struct val fn_negate(const struct app *p) {
    struct val r = p->x[0];
    r.v = LLVMBuildFNeg(p->g->b, r.v, "");
    return r;
}

LLVMValueRef oct_ll_intrinsic(const struct gen *g, const char *name, int ntypes, LLVMTypeRef *types, int n, LLVMValueRef *arg) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) fault(g, "LLVM lacks it", name);
    return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->c, id, types, (size_t)ntypes),
                          LLVMGetIntrinsicDeclaration(g->m, id, types, (size_t)ntypes), arg, (unsigned)n, "");
}
/* Of operands and a result of one type. */
static struct val fn_intrinsic(const struct app *p) {
    LLVMTypeRef type = oct_ll_type(p->g, p->x[0].t);
    LLVMValueRef arg[3] = {p->x[0].v, p->x[1].v, p->x[2].v};
    return like(p, 0,
                oct_ll_intrinsic(p->g, p->f->uname && is_unsigned(p->x[0]) ? p->f->uname : p->f->sname, 1, &type, p->n, arg));
}
/* Truncates to i32; saturates, NaN gives 0. */
static struct val fn_near(const struct app *p) {
    struct val r = p->x[0];
    r.t.elem = LP_I32;
    r.v = oct_ll_intrinsic(p->g, p->f->sname, 2, (LLVMTypeRef[]){oct_ll_type(p->g, r.t), oct_ll_type(p->g, p->x[0].t)}, 1,
                           (LLVMValueRef[]){p->x[0].v});
    return r;
}
static struct val fn_sum(const struct app *p) {
    if (p->x[0].t.lanes == 1) return p->x[0];
    return (struct val){.t = lp_scalar((enum lp_elem)p->x[0].t.elem),
                        .v = oct_ll_intrinsic(p->g, p->f->sname, 1, (LLVMTypeRef[]){oct_ll_type(p->g, p->x[0].t)}, 1,
                                              (LLVMValueRef[]){p->x[0].v})};
}

static struct val converted(const struct gen *g, struct val x, enum lp_elem to) {
    enum lp_elem from = (enum lp_elem)x.t.elem;
    const int in = lp_elem_bits(from), out = lp_elem_bits(to);
    LLVMOpcode op;
    if (lp_is(from, LP_FLOATS)) op = out > in ? LLVMFPExt : LLVMFPTrunc;
    else if (lp_is(to, LP_FLOATS)) op = is_unsigned(x) ? LLVMUIToFP : LLVMSIToFP;
    else op = out < in ? LLVMTrunc : is_unsigned(x) ? LLVMZExt : LLVMSExt;
    x.t.elem = (uint8_t)to;
    if (in != out || lp_is(from, LP_FLOATS) != lp_is(to, LP_FLOATS)) x.v = LLVMBuildCast(g->b, op, x.v, oct_ll_type(g, x.t), "");
    return x;
}
static enum lp_elem result_elem(const struct gen *g, const struct lp_stmt *s) {
    return (enum lp_elem)g->k->reg[s->dst].type.elem;
}
/* To the element type that the name says, or of the result. */
static struct val fn_convert(const struct app *p) {
    return converted(p->g, p->x[0], p->f->sint < 0 ? result_elem(p->g, p->s) : (enum lp_elem)p->f->sint);
}
/* The same bits as lanes of the result's type. */
static struct val fn_bits(const struct app *p) {
    struct val r = p->x[0];
    const enum lp_elem to = result_elem(p->g, p->s);
    const int parts = lp_elem_bits(to) / lp_elem_bits((enum lp_elem)r.t.elem);
    if (r.uniform && parts > 1) { /* one lane for all: as many as make one of the result's */
        r = oct_ll_widened(p->g, r, parts);
        r.uniform = true;
    }
    r.t.lanes = (uint8_t)(r.t.lanes * lp_elem_bits((enum lp_elem)r.t.elem) / lp_elem_bits(to));
    r.t.elem = (uint8_t)to;
    r.v = LLVMBuildBitCast(p->g->b, r.v, oct_ll_type(p->g, r.t), "");
    return r;
}
static LLVMValueRef clamp(const struct gen *g, struct val x, const char *to, int64_t limit) {
    LLVMTypeRef type = oct_ll_type(g, x.t);
    struct val bound = oct_ll_widened(g, constant(g, (enum lp_elem)x.t.elem, limit, 0), x.t.lanes);
    return oct_ll_intrinsic(g, to, 1, &type, 2, (LLVMValueRef[]){x.v, bound.v});
}
/* Nearest value of the result type: only the comparisons that can matter. */
static struct val fn_saturate(const struct app *p) {
    const enum lp_elem from = (enum lp_elem)p->x[0].t.elem, to = result_elem(p->g, p->s);
    const bool u = is_unsigned(p->x[0]);
    struct val r = p->x[0];
    if (lp_elem_min(from) < lp_elem_min(to)) r.v = clamp(p->g, r, "llvm.smax", lp_elem_min(to));
    if (lp_elem_max(from) > lp_elem_max(to)) r.v = clamp(p->g, r, u ? "llvm.umin" : "llvm.smin", lp_elem_max(to));
    return converted(p->g, r, to);
}

static struct val fn_splat(const struct app *p) {
    struct val r = p->x[0];
    r.uniform = true;
    return r;
}
static struct val fn_shuffle(const struct app *p) {
    int lane[64];
    const int lanes = p->g->k->reg[p->s->dst].type.lanes;
    for (int l = 0; l < lanes; l++) lane[l] = p->s->shuffle[l];
    return pick(p->g, p->x[0], p->x[1], lanes, lane);
}
/* The lanes again and again, as many as the result has, or twice. */
static struct val fn_repeat(const struct app *p) {
    int lane[64];
    const int lanes = p->f->sint ? p->f->sint * p->x[0].t.lanes : p->g->k->reg[p->s->dst].type.lanes;
    if (p->x[0].uniform) return p->x[0];
    for (int l = 0; l < lanes; l++) lane[l] = l % p->x[0].t.lanes;
    return pick(p->g, p->x[0], p->x[0], lanes, lane);
}
/* Blocks of so many lanes, each twice. */
static struct val fn_each(const struct app *p) {
    int lane[64];
    if (p->x[0].uniform) return p->x[0];
    for (int l = 0; l < 2 * p->x[0].t.lanes; l++) lane[l] = l / (2 * p->imm) * p->imm + l % p->imm;
    return pick(p->g, p->x[0], p->x[0], 2 * p->x[0].t.lanes, lane);
}
static struct val every(const struct gen *g, struct val x, int step, int first) {
    int lane[64];
    if (x.uniform) return x;
    for (int l = 0; l < x.t.lanes / step; l++) lane[l] = step * l + first;
    return pick(g, x, x, x.t.lanes / step, lane);
}
/* Odd lanes of both alternately. */
static struct val fn_odds(const struct app *p) {
    int lane[64];
    const int n = p->x[0].t.lanes;
    for (int l = 0; l < n; l++) lane[l] = l % 2 * n + l / 2 * 2 + 1;
    return pick(p->g, p->x[0], p->x[1], n, lane);
}
/* Runs of 16 bytes of both alternately; a last one may be shorter. */
static struct val fn_runs(const struct app *p) {
    int lane[64];
    const int n = p->x[0].t.lanes, run = 128 / lp_elem_bits((enum lp_elem)p->x[0].t.elem);
    for (int at = 0; at < n; at += run)
        for (int i = 0, len = n - at < run ? n - at : run; i < 2 * len; i++) lane[2 * at + i] = i / len * n + at + i % len;
    return pick(p->g, p->x[0], p->x[1], 2 * n, lane);
}
/* One lane of so many; the immediate says which. */
static struct val fn_every(const struct app *p) { return every(p->g, p->x[0], p->imm, (int)p->s->imm); }
/* Sums of so many products of neighbouring lanes, in i32. */
static struct val fn_dots(const struct app *p) {
    const struct gen *g = p->g;
    struct val sum = {.uniform = p->uniform};
    for (int i = 0; i < p->imm; i++) {
        struct val x = converted(g, every(g, p->x[0], p->imm, i), LP_I32), y = converted(g, every(g, p->x[1], p->imm, i), LP_I32);
        LLVMValueRef product = LLVMBuildMul(g->b, x.v, y.v, "");
        sum.v = i ? LLVMBuildAdd(g->b, sum.v, product, "") : product;
        sum.t = x.t;
    }
    return sum;
}

/* Table x[0], 16 lanes, at x[1]: no expression of LLVM takes lanes that the program chooses; x86 has an instruction. */
static struct val fn_lookup(const struct app *p) {
    const struct gen *g = p->g;
    const struct lp_type t = g->k->reg[p->s->dst].type;
    const int lanes = t.lanes <= 16 ? 16 : t.lanes <= 32 ? 32 : 64;
    const char *name = lanes == 16   ? "llvm.x86.ssse3.pshuf.b.128"
                       : lanes == 32 ? "llvm.x86.avx2.pshuf.b"
                                     : "llvm.x86.avx512.pshuf.b.512";
    struct val table = p->x[0], at = oct_ll_widened(g, p->x[1], t.lanes);
    if (g->isa >= (lanes == 64 ? LP_ISA_AVX512 : LP_ISA_AVX2) && g->isa <= LP_ISA_VNNI) {
        int lane[64];
        for (int l = 0; l < lanes; l++) lane[l] = l % 16;
        table = pick(g, table, table, lanes, lane);
        for (int l = 0; l < lanes; l++) lane[l] = l % t.lanes;
        if (t.lanes < lanes) at = pick(g, at, at, lanes, lane);
        struct val r = {.t = lp_vector((enum lp_elem)t.elem, lanes)};
        r.v = oct_ll_intrinsic(g, name, 0, NULL, 2, (LLVMValueRef[]){table.v, at.v});
        return t.lanes < lanes ? pick(g, r, r, t.lanes, lane) : r;
    }
    struct val r = {.v = LLVMGetPoison(oct_ll_type(g, t)), .t = t};
    LLVMTypeRef byte = LLVMInt8TypeInContext(g->c);
    for (int l = 0; l < t.lanes; l++) {
        LLVMValueRef lane = LLVMConstInt(g->i32, (unsigned)l, 0);
        LLVMValueRef i = t.lanes > 1 ? LLVMBuildExtractElement(g->b, at.v, lane, "") : at.v;
        LLVMValueRef from = LLVMBuildZExt(g->b, LLVMBuildAnd(g->b, i, LLVMConstInt(byte, 15, 0), ""), g->i32, "");
        LLVMValueRef v = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGE, i, LLVMConstInt(byte, 0, 0), ""),
                                         LLVMBuildExtractElement(g->b, table.v, from, ""), LLVMConstInt(byte, 0, 0), "");
        r.v = t.lanes > 1 ? LLVMBuildInsertElement(g->b, r.v, v, lane, "") : v;
    }
    return r;
}

/* ---- Arm's DSP extension: halves and bytes of a general register. LLVM finds these instructions in no expression of ours. */

static LLVMValueRef as_word(const struct gen *g, struct val x) { return LLVMBuildBitCast(g->b, x.v, g->i32, ""); }
static struct val fn_smlad(const struct app *p) {
    const struct gen *g = p->g;
    LLVMValueRef arg[] = {as_word(g, p->x[1]), as_word(g, p->x[2]), p->x[0].v};
    return (struct val){.v = oct_ll_intrinsic(g, p->f->sname, 0, NULL, 3, arg), .t = lp_scalar(LP_I32)};
}
static struct val fn_sxtb16(const struct app *p) {
    const struct gen *g = p->g;
    LLVMValueRef w = as_word(g, p->x[0]), arg[] = {w, w, LLVMConstInt(g->i32, 24, 0)};
    if (p->s->imm) arg[0] = oct_ll_intrinsic(g, "llvm.fshl", 1, (LLVMTypeRef[]){g->i32}, 3, arg); /* rotated right by 8 */
    const struct lp_type pair = lp_vector(LP_I16, 2);
    return (struct val){.v = LLVMBuildBitCast(g->b, oct_ll_intrinsic(g, p->f->sname, 0, NULL, 1, arg), oct_ll_type(g, pair), ""),
                        .t = pair};
}

/* PKHBT and PKHTB: the lower, the upper halves of two words. */
static struct val fn_halves(const struct app *p) {
    const struct gen *g = p->g;
    const uint8_t *lane = p->s->shuffle;
    const struct lp_type pair = lp_vector(LP_I16, 2);
    if (!lp_type_equal(p->x[0].t, pair) || !lp_type_equal(p->x[1].t, pair) || lane[0] > 1 || lane[1] != lane[0] + 2)
        return fn_shuffle(p);
    LLVMValueRef a = as_word(g, p->x[0]), b = as_word(g, p->x[1]), half = LLVMConstInt(g->i32, 16, 0);
    LLVMValueRef lower = LLVMConstInt(g->i32, 0xffff, 0), upper = LLVMConstInt(g->i32, 0xffff0000, 0);
    LLVMValueRef r = lane[0] ? LLVMBuildOr(g->b, LLVMBuildLShr(g->b, a, half, ""), LLVMBuildAnd(g->b, b, upper, ""), "")
                             : LLVMBuildOr(g->b, LLVMBuildAnd(g->b, a, lower, ""), LLVMBuildShl(g->b, b, half, ""), "");
    return (struct val){.v = LLVMBuildBitCast(g->b, r, oct_ll_type(g, pair), ""), .t = pair};
}

/* A copy, behind assembler without text that changes the value as far as LLVM knows: it would add up the products of several
 * steps first, and spill. */
static struct val fn_pin(const struct app *p) {
    const struct gen *g = p->g;
    const struct lp_type t = g->k->reg[p->s->dst].type;
    const int bits = t.lanes * lp_elem_bits((enum lp_elem)t.elem), most = g->isa == LP_ISA_AVX2 ? 256 : 512;
    if (g->isa < LP_ISA_AVX2 || g->isa > LP_ISA_VNNI || t.lanes == 1 || bits < 128 || bits > most || (bits & (bits - 1)))
        return p->x[0];
    char *in = g->isa == LP_ISA_AVX2 ? "=x,0" : "=v,0";
    struct val x = oct_ll_widened(g, p->x[0], t.lanes);
    LLVMTypeRef type = oct_ll_type(g, t), fn = LLVMFunctionType(type, &type, 1, 0);
    LLVMValueRef code = LLVMGetInlineAsm(fn, "", 0, in, strlen(in), 0, 0, LLVMInlineAsmDialectATT, 0);
    x.v = LLVMBuildCall2(g->b, fn, code, &x.v, 1, "");
    return x;
}

static const struct fn functions[] = {
    {"pin", fn_pin, false, 0, 0, 0, NULL, NULL},
    {"add", fn_binary, true, LLVMAdd, LLVMAdd, 0, NULL, NULL},
    {"sub", fn_binary, true, LLVMSub, LLVMSub, 0, NULL, NULL},
    {"mul", fn_binary, true, LLVMMul, LLVMMul, 0, NULL, NULL},
    {"div", fn_binary, true, LLVMSDiv, LLVMUDiv, 0, NULL, NULL},
    {"and", fn_binary, true, LLVMAnd, LLVMAnd, 0, NULL, NULL},
    {"or", fn_binary, true, LLVMOr, LLVMOr, 0, NULL, NULL},
    {"xor", fn_binary, true, LLVMXor, LLVMXor, 0, NULL, NULL},
    {"shl", fn_binary, true, LLVMShl, LLVMShl, 0, NULL, NULL},
    {"lshr", fn_binary, true, LLVMLShr, LLVMLShr, 0, NULL, NULL},
    {"ashr", fn_binary, true, LLVMAShr, LLVMAShr, 0, NULL, NULL},
    {"fadd", fn_binary, true, LLVMFAdd, 0, 0, NULL, NULL},
    {"fsub", fn_binary, true, LLVMFSub, 0, 0, NULL, NULL},
    {"fmul", fn_binary, true, LLVMFMul, 0, 0, NULL, NULL},
    {"fdiv", fn_binary, true, LLVMFDiv, 0, 0, NULL, NULL},
    {"fneg", fn_negate, false, 0, 0, 0, NULL, NULL},
    {"lt", fn_compare, true, LLVMIntSLT, LLVMIntULT, LLVMRealOLT, NULL, NULL},
    {"le", fn_compare, true, LLVMIntSLE, LLVMIntULE, LLVMRealOLE, NULL, NULL},
    {"gt", fn_compare, true, LLVMIntSGT, LLVMIntUGT, LLVMRealOGT, NULL, NULL},
    {"eq", fn_compare, true, LLVMIntEQ, LLVMIntEQ, LLVMRealOEQ, NULL, NULL},
    {"ne", fn_compare, true, LLVMIntNE, LLVMIntNE, LLVMRealUNE, NULL, NULL},
    {"select", fn_select, true, 0, 0, 0, NULL, NULL},
    {"min", fn_intrinsic, true, 0, 0, 0, "llvm.smin", "llvm.umin"},
    {"max", fn_intrinsic, true, 0, 0, 0, "llvm.smax", "llvm.umax"},
    {"fabs", fn_intrinsic, true, 0, 0, 0, "llvm.fabs", NULL},
    {"fma", fn_intrinsic, true, 0, 0, 0, "llvm.fma", NULL},
    {"sqrt", fn_intrinsic, true, 0, 0, 0, "llvm.sqrt", NULL},
    {"copysign", fn_intrinsic, true, 0, 0, 0, "llvm.copysign", NULL},
    {"near", fn_near, false, 0, 0, 0, "llvm.fptosi.sat", NULL},
    {"sum", fn_sum, false, 0, 0, 0, "llvm.vector.reduce.add", NULL},
    {"to", fn_convert, false, -1, 0, 0, NULL, NULL},
    {"i16", fn_convert, false, LP_I16, 0, 0, NULL, NULL},
    {"i32", fn_convert, false, LP_I32, 0, 0, NULL, NULL},
    {"i64", fn_convert, false, LP_I64, 0, 0, NULL, NULL},
    {"bits", fn_bits, false, 0, 0, 0, NULL, NULL},
    {"sat", fn_saturate, false, 0, 0, 0, NULL, NULL},
    {"splat", fn_splat, false, 0, 0, 0, NULL, NULL},
    {"shuffle", fn_shuffle, true, 0, 0, 0, NULL, NULL},
    {"repeat", fn_repeat, false, 0, 0, 0, NULL, NULL},
    {"twice", fn_repeat, false, 2, 0, 0, NULL, NULL},
    {"each", fn_each, false, 0, 0, 0, NULL, NULL},
    {"odds", fn_odds, false, 0, 0, 0, NULL, NULL},
    {"runs", fn_runs, true, 0, 0, 0, NULL, NULL},
    {"every", fn_every, false, 0, 0, 0, NULL, NULL},
    {"dots", fn_dots, true, 0, 0, 0, NULL, NULL},
    {"lookup", fn_lookup, false, 0, 0, 0, NULL, NULL},
    {"smlad", fn_smlad, false, 0, 0, 0, "llvm.arm.smlad", NULL},
    {"halves", fn_halves, true, 0, 0, 0, NULL, NULL},
    {"sxtb16", fn_sxtb16, false, 0, 0, 0, "llvm.arm.sxtb16", NULL},
};

/* ---- expressions --------------------------------------------------------------------------------------------------- */

struct val oct_ll_operand(const struct gen *g, struct lp_val v) {
    if (lp_is_imm(v)) return constant(g, (enum lp_elem)v.type.elem, v.imm.i, v.imm.f);
    return (struct val){.v = LLVMBuildLoad2(g->b, oct_ll_type(g, v.type), g->slot[v.reg], ""), .t = v.type};
}

struct parse {
    const struct gen *g;
    const struct lp_stmt *s;
    const char *at;
    struct val part[26]; /* by letter: operands, then named parts */
};
static bool letter(char c) { return c >= 'a' && c <= 'z'; }

static struct val expression(struct parse *p);
static struct val application(struct parse *p) {
    const size_t len = strspn(p->at, "abcdefghijklmnopqrstuvwxyz0123456789");
    const struct fn *f = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strlen(functions[i].name) == len && !memcmp(functions[i].name, p->at, len)) f = &functions[i];
    if (!f) fault(p->g, "no such function", p->at);
    p->at += len;
    int imm = 0;
    if (*p->at == '.') {
        char *end;
        imm = (int)strtol(p->at + 1, &end, 10);
        if (end == p->at + 1) imm = NO_WRAP, end += 2;
        p->at = end;
    }
    struct app app = {.g = p->g, .f = f, .s = p->s, .imm = imm};
    do {
        p->at++; /* '(' or ',' */
        app.x[app.n++] = expression(p);
    } while (*p->at == ',' && app.n < 3);
    if (*p->at++ != ')') fault(p->g, "is not closed", f->name);
    if (f->agree) agree(&app);
    return f->build(&app);
}
/* Recursion ends with the text, which is a constant of loops.def. */
static struct val expression(struct parse *p) {
    while (*p->at == ' ') p->at++;
    if (*p->at == '#') {
        p->at++;
        return (struct val){.number = true, .n = (double)p->s->imm};
    }
    if (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) {
        char *end;
        struct val r = {.number = true, .n = (double)strtoll(p->at, &end, 10)};
        p->at = end;
        return r;
    }
    if (letter(p->at[0]) && !letter(p->at[1]) && !(p->at[1] >= '0' && p->at[1] <= '9')) return p->part[*p->at++ - 'a'];
    return application(p);
}

struct val oct_ll_spell(const struct gen *g, const struct lp_stmt *s) {
    LLVMValueRef own = oct_ll_step(g, s);
    if (own) return (struct val){.v = own, .t = g->k->reg[s->dst].type};
    struct parse p = {.g = g, .s = s, .at = lp_row_info(s->row)->llvm};
    const char *dsp = strchr(p.at, '|');
    const bool word = lp_elem_bits((enum lp_elem)g->k->reg[s->dst].type.elem) * g->k->reg[s->dst].type.lanes == 32;
    if (dsp && word && (g->k->isa == LP_ISA_DSP || g->k->isa == LP_ISA_MVE)) p.at = dsp + 2;
    for (int i = 0; i < s->nargs; i++) p.part[i] = oct_ll_operand(g, s->arg[i]);
    while (letter(p.at[0]) && p.at[1] == ' ' && p.at[2] == '=') {
        struct val *part = &p.part[*p.at - 'a'];
        p.at += 3;
        *part = expression(&p);
        p.at += strspn(p.at, "; ");
    }
    struct val r = expression(&p);
    if (*p.at && strncmp(p.at, " |", 2)) fault(g, "text behind the expression", lp_row_info(s->row)->name);
    return oct_ll_widened(g, r, g->k->reg[s->dst].type.lanes);
}
