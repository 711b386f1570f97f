/* emit_llvm.c - prints a program through the C interface of LLVM 19: the same loops as emit_c.c prints, a function for each, the
 * constants as read-only data, the entries with their calls. Spellings are the LLVM column of loops.def; this file knows
 * statements, types and the functions of that column. The only file that includes llvm-c. Requires verified kernels. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "llvm.h"
#include "loops/rows.h"

struct gen {
    struct oct_ctx *cx;
    struct oct_arena *a;
    LLVMContextRef c;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    LLVMTypeRef ptr, i32, word; /* word: an integer as wide as a pointer; loops count and addresses add up in it */
    const char *cpu, *features;
    /* of the function at work */
    const struct lp_kernel *k;
    LLVMValueRef fn, *slot, *var;   /* by register: its memory, until mem2reg; by loop variable */
    LLVMBasicBlockRef *head, *exit; /* by loop variable */
    LLVMValueRef lo, hi;
};

OCT_NORETURN static void fault(const struct gen *g, const char *what, const char *which) {
    oct_internal(g->cx, (struct oct_span){0, 0, 0}, "loops: LLVM: %s: %s", which, what);
}

/* ---- types and constants --------------------------------------------------------------------------------------------------- */

static LLVMTypeRef type_of(const struct gen *g, struct lp_type t) {
    LLVMTypeRef e = t.elem == LP_MASK  ? LLVMInt1TypeInContext(g->c)
                    : t.elem == LP_F32 ? LLVMFloatTypeInContext(g->c)
                    : t.elem == LP_F64 ? LLVMDoubleTypeInContext(g->c)
                                       : LLVMIntTypeInContext(g->c, (unsigned)lp_elem_bits((enum lp_elem)t.elem));
    return t.lanes == 1 ? e : LLVMVectorType(e, t.lanes);
}

/* A value of an expression. Uniform: one lane that serves every lane. A number has no type yet. */
struct val {
    LLVMValueRef v;
    struct lp_type t;
    bool uniform, number;
    double n;
};

static struct val constant(const struct gen *g, enum lp_elem e, int64_t i, double f) {
    LLVMTypeRef t = type_of(g, lp_scalar(e));
    return (struct val){
        .v = lp_is(e, LP_FLOATS) ? LLVMConstReal(t, f) : LLVMConstInt(t, (uint64_t)i, 1), .t = lp_scalar(e), .uniform = true};
}

/* Lanes of x, then of y, by number. */
static struct val pick(const struct gen *g, struct val x, struct val y, int lanes, const int *lane) {
    LLVMValueRef from[2] = {x.v, y.v}, index[64];
    for (int i = 0; i < 2; i++)
        if (x.t.lanes == 1) {
            LLVMTypeRef one = LLVMVectorType(type_of(g, x.t), 1);
            from[i] = LLVMBuildInsertElement(g->b, LLVMGetPoison(one), from[i], LLVMConstInt(g->i32, 0, 0), "");
        }
    for (int l = 0; l < lanes; l++) index[l] = LLVMConstInt(g->i32, (unsigned)lane[l], 0);
    struct val r = {.t = lp_vector((enum lp_elem)x.t.elem, lanes)};
    r.v = LLVMBuildShuffleVector(g->b, from[0], from[1], LLVMConstVector(index, (unsigned)lanes), "");
    if (lanes == 1) r.v = LLVMBuildExtractElement(g->b, r.v, LLVMConstInt(g->i32, 0, 0), "");
    return r;
}

static struct val widened(const struct gen *g, struct val x, int lanes) {
    static const int first[64] = {0};
    if (x.t.lanes == lanes) {
        x.uniform = false;
        return x;
    }
    if (x.t.lanes != 1) fault(g, "lanes do not agree", "operand");
    return pick(g, x, x, lanes, first);
}

/* ---- the functions of the LLVM column ----------------------------------------------------------------------------------------
 */

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
        if (!p->uniform) *x = widened(p->g, *x, lanes);
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

static LLVMValueRef intrinsic(const struct gen *g, const char *name, int ntypes, LLVMTypeRef *types, int n, LLVMValueRef *arg) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) fault(g, "LLVM lacks it", name);
    return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->c, id, types, (size_t)ntypes),
                          LLVMGetIntrinsicDeclaration(g->m, id, types, (size_t)ntypes), arg, (unsigned)n, "");
}
/* Of operands and a result of one type. */
static struct val fn_intrinsic(const struct app *p) {
    LLVMTypeRef type = type_of(p->g, p->x[0].t);
    LLVMValueRef arg[2] = {p->x[0].v, p->x[1].v};
    return like(p, 0, intrinsic(p->g, p->f->uname && is_unsigned(p->x[0]) ? p->f->uname : p->f->sname, 1, &type, p->n, arg));
}
/* Truncates to i32; saturates, NaN gives 0. */
static struct val fn_near(const struct app *p) {
    struct val r = p->x[0];
    r.t.elem = LP_I32;
    r.v = intrinsic(p->g, p->f->sname, 2, (LLVMTypeRef[]){type_of(p->g, r.t), type_of(p->g, p->x[0].t)}, 1,
                    (LLVMValueRef[]){p->x[0].v});
    return r;
}
static struct val fn_sum(const struct app *p) {
    if (p->x[0].t.lanes == 1) return p->x[0];
    return (struct val){
        .t = lp_scalar((enum lp_elem)p->x[0].t.elem),
        .v = intrinsic(p->g, p->f->sname, 1, (LLVMTypeRef[]){type_of(p->g, p->x[0].t)}, 1, (LLVMValueRef[]){p->x[0].v})};
}

static struct val converted(const struct gen *g, struct val x, enum lp_elem to) {
    enum lp_elem from = (enum lp_elem)x.t.elem;
    const int in = lp_elem_bits(from), out = lp_elem_bits(to);
    LLVMOpcode op;
    if (lp_is(from, LP_FLOATS)) op = out > in ? LLVMFPExt : LLVMFPTrunc;
    else if (lp_is(to, LP_FLOATS)) op = is_unsigned(x) ? LLVMUIToFP : LLVMSIToFP;
    else op = out < in ? LLVMTrunc : is_unsigned(x) ? LLVMZExt : LLVMSExt;
    x.t.elem = (uint8_t)to;
    if (in != out || lp_is(from, LP_FLOATS) != lp_is(to, LP_FLOATS)) x.v = LLVMBuildCast(g->b, op, x.v, type_of(g, x.t), "");
    return x;
}
static enum lp_elem result_elem(const struct gen *g, const struct lp_stmt *s) {
    return (enum lp_elem)g->k->reg[s->dst].type.elem;
}
/* To the element type that the name says, or of the result. */
static struct val fn_convert(const struct app *p) {
    return converted(p->g, p->x[0], p->f->sint < 0 ? result_elem(p->g, p->s) : (enum lp_elem)p->f->sint);
}
static struct val fn_bits(const struct app *p) {
    struct val r = p->x[0];
    r.t.elem = (uint8_t)result_elem(p->g, p->s);
    r.v = LLVMBuildBitCast(p->g->b, r.v, type_of(p->g, r.t), "");
    return r;
}
static LLVMValueRef clamp(const struct gen *g, struct val x, const char *to, int64_t limit) {
    LLVMTypeRef type = type_of(g, x.t);
    struct val bound = widened(g, constant(g, (enum lp_elem)x.t.elem, limit, 0), x.t.lanes);
    return intrinsic(g, to, 1, &type, 2, (LLVMValueRef[]){x.v, bound.v});
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

static const struct fn functions[] = {
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
    {"every", fn_every, false, 0, 0, 0, NULL, NULL},
    {"dots", fn_dots, true, 0, 0, 0, NULL, NULL},
};

/* ---- expressions
 * ---------------------------------------------------------------------------------------------------------------- */

static struct val operand(const struct gen *g, struct lp_val v) {
    if (lp_is_imm(v)) return constant(g, (enum lp_elem)v.type.elem, v.imm.i, v.imm.f);
    return (struct val){.v = LLVMBuildLoad2(g->b, type_of(g, v.type), g->slot[v.reg], ""), .t = v.type};
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

static struct val spell(const struct gen *g, const struct lp_stmt *s) {
    struct parse p = {.g = g, .s = s, .at = lp_row_info(s->row)->llvm};
    for (int i = 0; i < s->nargs; i++) p.part[i] = operand(g, s->arg[i]);
    while (letter(p.at[0]) && p.at[1] == ' ' && p.at[2] == '=') {
        struct val *part = &p.part[*p.at - 'a'];
        p.at += 3;
        *part = expression(&p);
        p.at += strspn(p.at, "; ");
    }
    struct val r = expression(&p);
    if (*p.at) fault(g, "text behind the expression", lp_row_info(s->row)->name);
    return widened(g, r, g->k->reg[s->dst].type.lanes);
}

/* ---- statements
 * ------------------------------------------------------------------------------------------------------------------ */

static LLVMValueRef word(const struct gen *g, int64_t v) { return LLVMConstInt(g->word, (uint64_t)v, 1); }

/* &buffer[affine]: the verifier proved it within the buffer. *align: bytes that divide every address. */
static LLVMValueRef address(const struct gen *g, const struct lp_stmt *s, unsigned *align) {
    const struct lp_buf *buf = &g->k->buf[s->buf];
    const int64_t size = (int64_t)lp_elem_size(buf->elem);
    uint64_t all = (uint64_t)buf->align | (uint64_t)(s->addr.base * size);
    LLVMValueRef sum = NULL;
    for (int i = 0; i < s->addr.nterms; i++) {
        const int64_t coef = s->addr.term[i].coef;
        if (!coef) continue;
        LLVMValueRef v = g->var[s->addr.term[i].var];
        if (coef != 1) v = LLVMBuildMul(g->b, v, word(g, coef), "");
        sum = sum ? LLVMBuildAdd(g->b, sum, v, "") : v;
        all |= (uint64_t)(coef * size);
    }
    if (s->addr.index.type.lanes) {
        LLVMValueRef v = LLVMBuildSExtOrBitCast(g->b, operand(g, s->addr.index).v, g->word, "");
        sum = sum ? LLVMBuildAdd(g->b, sum, v, "") : v;
        all |= (uint64_t)size;
    }
    if (!sum) sum = word(g, s->addr.base);
    else if (s->addr.base) sum = LLVMBuildAdd(g->b, sum, word(g, s->addr.base), "");
    *align = (unsigned)(all & -all);
    return LLVMBuildInBoundsGEP2(g->b, type_of(g, lp_scalar(buf->elem)), LLVMGetParam(g->fn, (unsigned)s->buf), &sum, 1, "");
}

static struct val masked(const struct gen *g, const struct lp_stmt *s, struct val x, LLVMValueRef at, unsigned align) {
    LLVMTypeRef types[2] = {type_of(g, x.t), g->ptr};
    LLVMValueRef mask = widened(g, operand(g, s->mask), x.t.lanes).v, bytes = LLVMConstInt(g->i32, align, 0);
    if (s->kind == LP_STMT_STORE) intrinsic(g, "llvm.masked.store", 2, types, 4, (LLVMValueRef[]){x.v, at, bytes, mask});
    else x.v = intrinsic(g, "llvm.masked.load", 2, types, 4, (LLVMValueRef[]){at, bytes, mask, LLVMConstNull(types[0])});
    return x;
}

/* A mask of one lane: an access that may not happen. */
static LLVMBasicBlockRef begin_if(const struct gen *g, const struct lp_stmt *s) {
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(g->c, g->fn, "then"),
                      after = LLVMAppendBasicBlockInContext(g->c, g->fn, "after");
    LLVMBuildCondBr(g->b, operand(g, s->mask).v, then, after);
    LLVMPositionBuilderAtEnd(g->b, then);
    return after;
}
static void end_if(const struct gen *g, LLVMBasicBlockRef after) {
    LLVMBuildBr(g->b, after);
    LLVMPositionBuilderAtEnd(g->b, after);
}

static void assign(const struct gen *g, const struct lp_names *names, int32_t reg, LLVMValueRef v) {
    if (LLVMIsAInstruction(v) && g->k->reg[reg].name) LLVMSetValueName2(v, names->reg[reg], strlen(names->reg[reg]));
    LLVMBuildStore(g->b, v, g->slot[reg]);
}

static void statement(const struct gen *g, const struct lp_names *names, const struct lp_stmt *s) {
    unsigned align;
    if (s->kind == LP_STMT_NOTE) return;
    if (s->kind == LP_STMT_OP) {
        if (s->dst >= 0) assign(g, names, s->dst, spell(g, s).v);
        else { /* a hint: for reading, of data used again, in the data cache */
            LLVMValueRef arg[4] = {address(g, s, &align), LLVMConstInt(g->i32, 0, 0), LLVMConstInt(g->i32, 3, 0),
                                   LLVMConstInt(g->i32, 1, 0)};
            intrinsic(g, "llvm.prefetch", 1, (LLVMTypeRef[]){g->ptr}, 4, arg);
        }
        return;
    }
    const bool load = s->kind == LP_STMT_LOAD;
    struct val x = load ? (struct val){.t = g->k->reg[s->dst].type} : operand(g, s->arg[0]);
    LLVMValueRef at = address(g, s, &align);
    if (s->mask.type.lanes && x.t.lanes > 1) x = masked(g, s, x, at, align);
    else {
        LLVMBasicBlockRef after = NULL;
        if (s->mask.type.lanes) {
            if (load) LLVMBuildStore(g->b, LLVMConstNull(type_of(g, x.t)), g->slot[s->dst]);
            after = begin_if(g, s);
        }
        if (load) x.v = LLVMBuildLoad2(g->b, type_of(g, x.t), at, "");
        LLVMSetAlignment(load ? x.v : LLVMBuildStore(g->b, x.v, at), align);
        if (load && after) assign(g, names, s->dst, x.v);
        if (after) {
            end_if(g, after);
            return;
        }
    }
    if (load) assign(g, names, s->dst, x.v);
}

/* ---- functions
 * -------------------------------------------------------------------------------------------------------------------- */

static void loop(const struct gen *g, const struct lp_names *names, const struct lp_stmt *s, bool leaving) {
    const bool range = s->kind == LP_STMT_RANGE;
    const int32_t v = s->var;
    if (!leaving) { /* trip >= 1, a range may be empty */
        LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b);
        LLVMValueRef first = range ? g->lo : word(g, 0);
        g->head[v] = LLVMAppendBasicBlockInContext(g->c, g->fn, oct_sprintf(g->a, "for.%s", names->var[v]));
        g->exit[v] = LLVMAppendBasicBlockInContext(g->c, g->fn, "done");
        if (range) LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, g->lo, g->hi, ""), g->head[v], g->exit[v]);
        else LLVMBuildBr(g->b, g->head[v]);
        LLVMPositionBuilderAtEnd(g->b, g->head[v]);
        g->var[v] = LLVMBuildPhi(g->b, g->word, names->var[v]);
        LLVMAddIncoming(g->var[v], &first, &before, 1);
        return;
    }
    LLVMValueRef next = LLVMBuildAdd(g->b, g->var[v], word(g, 1), "");
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
    LLVMAddIncoming(g->var[v], &next, &latch, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, next, range ? g->hi : word(g, s->trip), ""), g->head[v], g->exit[v]);
    LLVMMoveBasicBlockAfter(g->exit[v], latch);
    LLVMPositionBuilderAtEnd(g->b, g->exit[v]);
}

static const LLVMAttributeIndex whole_function = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;
static void attribute(const struct gen *g, LLVMValueRef fn, LLVMAttributeIndex at, const char *name, uint64_t value) {
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, at, LLVMCreateEnumAttribute(g->c, kind, value));
}
static void attribute_text(const struct gen *g, LLVMValueRef fn, const char *name, const char *value) {
    LLVMAddAttributeAtIndex(fn, whole_function,
                            LLVMCreateStringAttribute(g->c, name, (unsigned)strlen(name), value, (unsigned)strlen(value)));
}

/* No call of memcpy or memset is made of a loop; nothing unwinds. */
static LLVMValueRef new_function(const struct gen *g, const char *name, LLVMTypeRef result, LLVMTypeRef *param, int n) {
    LLVMValueRef fn = LLVMAddFunction(g->m, name, LLVMFunctionType(result, param, (unsigned)n, 0));
    attribute(g, fn, whole_function, "nounwind", 0);
    attribute_text(g, fn, "no-builtins", "");
    if (*g->cpu) attribute_text(g, fn, "target-cpu", g->cpu);
    if (*g->features) attribute_text(g, fn, "target-features", g->features);
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->c, fn, "entry"));
    return fn;
}

static void describe_buffers(const struct gen *g, const struct lp_names *names) {
    for (int32_t i = 0; i < g->k->nbufs; i++) {
        const struct lp_buf *b = &g->k->buf[i];
        const unsigned at = (unsigned)i + 1;
        LLVMSetValueName2(LLVMGetParam(g->fn, (unsigned)i), names->buf[i], strlen(names->buf[i]));
        attribute(g, g->fn, at, "noalias", 0);
        attribute(g, g->fn, at, "nocapture", 0);
        attribute(g, g->fn, at, "align", (uint64_t)b->align);
        attribute(g, g->fn, at, "dereferenceable", (uint64_t)b->size * lp_elem_size(b->elem));
        if (b->kind == LP_BUF_IN || b->kind == LP_BUF_CONST) attribute(g, g->fn, at, "readonly", 0);
    }
}

static LLVMValueRef layer(struct gen *g, const struct oct_function *f) {
    const struct lp_kernel *k = g->k = f->k;
    const struct lp_names names = lp_name_all(k, g->a);
    LLVMTypeRef *param = OCT_NEW_N(g->a, LLVMTypeRef, k->nbufs + 2);
    for (int32_t i = 0; i < k->nbufs; i++) param[i] = g->ptr;
    param[k->nbufs] = param[k->nbufs + 1] = g->i32;
    g->fn = new_function(g, f->name, LLVMVoidTypeInContext(g->c), param, k->nbufs + (k->has_range ? 2 : 0));
    LLVMSetLinkage(g->fn, LLVMInternalLinkage);
    attribute(g, g->fn, whole_function, "noinline", 0); /* one function a layer, one frame at a time */
    describe_buffers(g, &names);
    if (k->has_range) {
        LLVMSetValueName2(LLVMGetParam(g->fn, (unsigned)k->nbufs), "lo", 2);
        LLVMSetValueName2(LLVMGetParam(g->fn, (unsigned)k->nbufs + 1), "hi", 2);
        g->lo = LLVMBuildSExtOrBitCast(g->b, LLVMGetParam(g->fn, (unsigned)k->nbufs), g->word, "from");
        g->hi = LLVMBuildSExtOrBitCast(g->b, LLVMGetParam(g->fn, (unsigned)k->nbufs + 1), g->word, "to");
    }
    g->slot = OCT_NEW_N(g->a, LLVMValueRef, k->nregs);
    g->var = OCT_NEW_N(g->a, LLVMValueRef, k->nvars);
    g->head = OCT_NEW_N(g->a, LLVMBasicBlockRef, k->nvars);
    g->exit = OCT_NEW_N(g->a, LLVMBasicBlockRef, k->nvars);
    struct lp_walk w;
    int32_t *defs = OCT_NEW_N(g->a, int32_t, k->nregs);
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));)
        if (!lp_is_loop(s) && s->dst >= 0) defs[s->dst]++;
    for (int32_t r = 0; r < k->nregs; r++) /* a register that changes names the values that mem2reg joins */
        g->slot[r] = LLVMBuildAlloca(g->b, type_of(g, k->reg[r].type), k->reg[r].name && defs[r] > 1 ? names.reg[r] : "");
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (lp_is_loop(s)) loop(g, &names, s, w.leaving);
        else statement(g, &names, s);
    }
    LLVMBuildRetVoid(g->b);
    return g->fn;
}

static LLVMValueRef data(const struct gen *g, const struct oct_packed *d, const char *name) {
    LLVMValueRef bytes = LLVMConstStringInContext2(g->c, d->data, (size_t)oct_packed_bytes(d), 1);
    LLVMValueRef v = LLVMAddGlobal(g->m, LLVMTypeOf(bytes), name);
    LLVMSetInitializer(v, bytes);
    LLVMSetGlobalConstant(v, 1);
    LLVMSetLinkage(v, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(v, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(v, OCT_ARENA_ALIGN);
    return v;
}

static LLVMValueRef entry(const struct gen *g, const struct oct_program *p, const struct oct_entry *e,
                          const LLVMValueRef *function, const LLVMValueRef *constants) {
    LLVMTypeRef *param = OCT_NEW_N(g->a, LLVMTypeRef, e->nparams + 1);
    for (int i = 0; i <= e->nparams; i++) param[i] = g->ptr;
    const int n = e->nparams + e->run;
    LLVMValueRef fn = new_function(g, e->name, e->run ? g->i32 : LLVMVoidTypeInContext(g->c), param, n), arena = NULL;
    for (int i = 0; i < e->nparams; i++) {
        LLVMSetValueName2(LLVMGetParam(fn, (unsigned)i), e->param[i].name, strlen(e->param[i].name));
        attribute(g, fn, (unsigned)i + 1, "nocapture", 0);
    }
    if (e->run) {
        arena = LLVMGetParam(fn, (unsigned)e->nparams);
        LLVMSetValueName2(arena, "arena", 5);
        attribute(g, fn, (unsigned)n, "nocapture", 0);
    }
    for (int c = 0; c < e->ncalls; c++) {
        const struct oct_call *call = &e->call[c];
        const struct lp_kernel *k = p->function[call->function].k;
        LLVMValueRef *arg = OCT_NEW_N(g->a, LLVMValueRef, k->nbufs + 2);
        for (int32_t i = 0; i < k->nbufs; i++) {
            const struct oct_arg *x = &call->arg[i];
            LLVMValueRef at = word(g, x->at);
            arg[i] = x->kind == OCT_ARG_PARAM ? LLVMGetParam(fn, (unsigned)x->at)
                     : x->kind == OCT_ARG_CONST
                         ? constants[x->at]
                         : LLVMBuildInBoundsGEP2(g->b, LLVMInt8TypeInContext(g->c), arena, &at, 1, call->layer);
        }
        if (k->has_range) {
            arg[k->nbufs] = LLVMConstInt(g->i32, 0, 0);
            arg[k->nbufs + 1] = LLVMConstInt(g->i32, (uint64_t)k->body->trip, 0);
        }
        LLVMBuildCall2(g->b, LLVMGlobalGetValueType(function[call->function]), function[call->function], arg,
                       (unsigned)(k->nbufs + (k->has_range ? 2 : 0)), "");
    }
    if (e->run) LLVMBuildRet(g->b, LLVMConstInt(g->i32, 0, 0));
    else LLVMBuildRetVoid(g->b);
    return fn;
}

/* The entry behind one calling convention, for the JIT. */
static void shim(const struct gen *g, const struct oct_entry *e, LLVMValueRef to, const char *name) {
    LLVMTypeRef param[2] = {g->ptr, g->ptr};
    LLVMValueRef fn = new_function(g, name, g->i32, param, 2), io = LLVMGetParam(fn, 0), zero = LLVMConstInt(g->i32, 0, 0);
    LLVMValueRef *arg = OCT_NEW_N(g->a, LLVMValueRef, e->nparams + 1);
    for (int i = 0; i < e->nparams; i++) {
        LLVMValueRef at = word(g, i);
        arg[i] = LLVMBuildLoad2(g->b, g->ptr, LLVMBuildInBoundsGEP2(g->b, g->ptr, io, &at, 1, ""), "");
    }
    arg[e->nparams] = LLVMGetParam(fn, 1);
    LLVMValueRef r = LLVMBuildCall2(g->b, LLVMGlobalGetValueType(to), to, arg, (unsigned)(e->nparams + e->run), "");
    LLVMBuildRet(g->b, e->run ? r : zero);
}
static const char *shim_name(struct oct_arena *a, int entry_number) { return oct_sprintf(a, "octavo_entry_%d", entry_number); }

static void program(struct gen *g, const struct oct_program *p, bool shims) {
    LLVMValueRef *function = OCT_NEW_N(g->a, LLVMValueRef, p->nfunctions),
                 *constants = OCT_NEW_N(g->a, LLVMValueRef, p->nconstants);
    for (int i = 0; i < p->nconstants; i++) constants[i] = data(g, p->constant[i].data, oct_sprintf(g->a, "data_%d", i));
    for (int i = 0; i < p->nfunctions; i++) function[i] = layer(g, &p->function[i]);
    for (int i = 0; i < p->nentries; i++) {
        LLVMValueRef fn = entry(g, p, &p->entry[i], function, constants);
        if (shims) shim(g, &p->entry[i], fn, shim_name(g->a, i));
    }
}

/* ---- when LLVM fails
 * --------------------------------------------------------------------------------------------------------------- It ends the
 * process: a fault that it finds itself through a handler, out of memory by abort(). Nothing has been written by then. */

static void on_fatal_error(const char *why) {
    fprintf(stderr, "octavo: LLVM: %s\n", why);
    _exit(OCT_EXIT_INTERNAL);
}

/* Reports what LLVM says and disposes of it. */
static void refused(const struct gen *g, const char *doing, char *why, void (*dispose)(char *)) {
    const char *copy = oct_strdup(g->a, why ? why : "no reason given");
    if (why) dispose(why);
    oct_internal(g->cx, (struct oct_span){0, 0, 0}, "LLVM: %s: %s", doing, copy);
}
static void check(const struct gen *g, const char *doing, LLVMErrorRef e) {
    if (e) refused(g, doing, LLVMGetErrorMessage(e), LLVMDisposeErrorMessage);
}

/* ---- from a program to an object
 * -------------------------------------------------------------------------------------------------- */

/* Owns what LLVM made; closing twice does nothing, unwinding closes too. */
struct session {
    struct gen g;
    LLVMTargetMachineRef tm;
    LLVMTargetDataRef layout;
    LLVMPassBuilderOptionsRef options;
    LLVMMemoryBufferRef made;
    bool open;
};
static void close_session(void *arg) {
    struct session *w = arg;
    if (!w->open) return;
    w->open = false;
    if (w->made) LLVMDisposeMemoryBuffer(w->made);
    if (w->options) LLVMDisposePassBuilderOptions(w->options);
    if (w->g.b) LLVMDisposeBuilder(w->g.b);
    if (w->g.m) LLVMDisposeModule(w->g.m);
    if (w->layout) LLVMDisposeTargetData(w->layout);
    if (w->tm) LLVMDisposeTargetMachine(w->tm);
    LLVMContextDispose(w->g.c);
    LLVMResetFatalErrorHandler();
}

static void initialize(void) {
#define TARGET(name)                                                                                                             \
    LLVMInitialize##name##TargetInfo();                                                                                          \
    LLVMInitialize##name##Target();                                                                                              \
    LLVMInitialize##name##TargetMC();                                                                                            \
    LLVMInitialize##name##AsmPrinter();
    TARGET(X86)
    TARGET(AArch64)
    TARGET(ARM)
#undef TARGET
}

/* A triple that is not normalised is understood in part: the float ABI would be lost. */
static const char *triple_of(struct oct_arena *a, const struct oct_target *t) {
    char *raw = *t->triple ? NULL : LLVMGetDefaultTargetTriple(), *normal = LLVMNormalizeTargetTriple(raw ? raw : t->triple);
    const char *r = oct_strdup(a, normal);
    if (raw) LLVMDisposeMessage(raw);
    LLVMDisposeMessage(normal);
    return r;
}

static void open_session(struct session *w, struct oct_ctx *cx, struct oct_arena *a, const struct oct_target *t,
                         const char *name) {
    struct gen *g = &w->g;
    *w = (struct session){.open = true};
    LLVMInstallFatalErrorHandler(on_fatal_error);
    initialize();
    *g = (struct gen){.cx = cx, .a = a, .c = LLVMContextCreate(), .cpu = t->cpu, .features = t->features};
    oct_defer(a, close_session, w);
    const char *triple = triple_of(a, t);
    char *why = NULL;
    LLVMTargetRef target;
    if (LLVMGetTargetFromTriple(triple, &target, &why)) refused(g, triple, why, LLVMDisposeMessage);
    /* Where programs are loaded anywhere, position-independent; on bare metal as the target has it. */
    const LLVMRelocMode reloc = strstr(triple, "-linux") ? LLVMRelocPIC : LLVMRelocDefault;
    w->tm = LLVMCreateTargetMachine(target, triple, t->cpu, t->features, LLVMCodeGenLevelDefault, reloc, LLVMCodeModelDefault);
    if (!w->tm) refused(g, triple, NULL, NULL);
    w->layout = LLVMCreateTargetDataLayout(w->tm);
    g->m = LLVMModuleCreateWithNameInContext(name, g->c);
    LLVMSetTarget(g->m, triple);
    LLVMSetModuleDataLayout(g->m, w->layout);
    g->b = LLVMCreateBuilderInContext(g->c);
    g->ptr = LLVMPointerTypeInContext(g->c, 0);
    g->i32 = LLVMInt32TypeInContext(g->c);
    g->word = LLVMIntPtrTypeInContext(g->c, w->layout);
    w->options = LLVMCreatePassBuilderOptions();
}

static void verify(const struct gen *g) {
    char *why = NULL;
    if (LLVMVerifyModule(g->m, LLVMReturnStatusAction, &why))
        refused(g, "the module is not well formed", why, LLVMDisposeMessage);
    LLVMDisposeMessage(why);
}

/* The module, verified; optimised unless it is to be read. */
static void make(struct session *w, const struct oct_program *p, bool shims, bool optimise) {
    program(&w->g, p, shims);
    verify(&w->g);
    check(&w->g, "passes", LLVMRunPasses(w->g.m, optimise ? "default<O2>" : "function(mem2reg)", w->tm, w->options));
}

static void generate(struct session *w, LLVMCodeGenFileType type) {
    char *why = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(w->tm, w->g.m, type, &why, &w->made)) {
        w->made = NULL;
        refused(&w->g, "code generation", why, LLVMDisposeMessage);
    }
}

static bool emit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, const struct oct_target *t,
                 enum oct_llvm_form form, struct oct_text *out) {
    struct session *w = OCT_NEW(a, struct session);
    open_session(w, cx, a, t, p->name);
    make(w, p, false, form != OCT_LLVM_IR);
    oct_text_init(out, a);
    if (form == OCT_LLVM_IR) {
        char *text = LLVMPrintModuleToString(w->g.m);
        oct_text_add(out, text);
        LLVMDisposeMessage(text);
    } else {
        generate(w, form == OCT_LLVM_ASM ? LLVMAssemblyFile : LLVMObjectFile);
        oct_text_addn(out, LLVMGetBufferStart(w->made), LLVMGetBufferSize(w->made));
    }
    close_session(w);
    return true;
}

/* ---- in this process
 * -------------------------------------------------------------------------------------------------------------- */

static void close_jit(void *jit) {
    LLVMErrorRef e = LLVMOrcDisposeLLJIT(jit);
    if (e) LLVMConsumeError(e);
}

/* Loads the very object that emit would write for the host, and the entries' shims. */
static bool jit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, oct_jit_fn **fn) {
    struct session *w = OCT_NEW(a, struct session);
    LLVMOrcLLJITRef j;
    open_session(w, cx, a, oct_target_find("host"), p->name);
    make(w, p, true, true);
    generate(w, LLVMObjectFile);
    check(&w->g, "JIT", LLVMOrcCreateLLJIT(&j, NULL));
    oct_defer(a, close_jit, j);
    LLVMMemoryBufferRef object = w->made;
    w->made = NULL; /* the JIT's from here on */
    check(&w->g, "JIT", LLVMOrcLLJITAddObjectFile(j, LLVMOrcLLJITGetMainJITDylib(j), object));
    for (int i = 0; i < p->nentries; i++) {
        LLVMOrcExecutorAddress at;
        check(&w->g, p->entry[i].name, LLVMOrcLLJITLookup(j, &at, shim_name(a, i)));
        const uintptr_t address_of = (uintptr_t)at;
        memcpy(&fn[i], &address_of, sizeof fn[i]); /* a number is no pointer to a function */
    }
    close_session(w);
    return true;
}

const struct oct_llvm octavo_llvm = {OCTAVO_VERSION, emit, jit};
