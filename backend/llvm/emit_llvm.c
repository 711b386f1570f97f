/* emit_llvm.c - prints a program through the C interface of LLVM 19: the same loops as emit_c.c prints, a function for each, the
 * constants as read-only data, the entries with their calls. Rows are spelled by spell.c; this file knows statements and types.
 */
#include <string.h>

#include "../loops/rows.h"
#include "gen.h"

/* ---- statements ---------------------------------------------------------------------------------------------------- */

static LLVMValueRef word(const struct gen *g, int64_t v) { return LLVMConstInt(g->word, (uint64_t)v, 1); }

/* &buffer[affine]: the verifier proved it within the buffer. *align: bytes that divide every address. */
static LLVMValueRef address(const struct gen *g, const struct lp_stmt *s, unsigned *align) {
    const struct lp_buf *buf = &g->k->buf[s->buf];
    LLVMValueRef sum = NULL;
    for (int i = 0; i < s->addr.nterms; i++) {
        const int64_t coef = s->addr.term[i].coef;
        if (!coef) continue;
        LLVMValueRef v = g->var[s->addr.term[i].var];
        if (coef != 1) v = LLVMBuildMul(g->b, v, word(g, coef), "");
        sum = sum ? LLVMBuildAdd(g->b, sum, v, "") : v;
    }
    if (s->addr.index.type.lanes) {
        LLVMValueRef v = LLVMBuildSExtOrBitCast(g->b, oct_ll_operand(g, s->addr.index).v, g->word, "");
        sum = sum ? LLVMBuildAdd(g->b, sum, v, "") : v;
    }
    if (!sum) sum = word(g, s->addr.base);
    else if (s->addr.base) sum = LLVMBuildAdd(g->b, sum, word(g, s->addr.base), "");
    *align = lp_align_of(g->k, s);
    return LLVMBuildInBoundsGEP2(g->b, oct_ll_type(g, lp_scalar(buf->elem)), LLVMGetParam(g->fn, (unsigned)s->buf), &sum, 1, "");
}

static struct val masked(const struct gen *g, const struct lp_stmt *s, struct val x, LLVMValueRef at, unsigned align) {
    LLVMTypeRef types[2] = {oct_ll_type(g, x.t), g->ptr};
    LLVMValueRef mask = oct_ll_widened(g, oct_ll_operand(g, s->mask), x.t.lanes).v, bytes = LLVMConstInt(g->i32, align, 0);
    if (s->kind == LP_STMT_STORE) oct_ll_intrinsic(g, "llvm.masked.store", 2, types, 4, (LLVMValueRef[]){x.v, at, bytes, mask});
    else x.v = oct_ll_intrinsic(g, "llvm.masked.load", 2, types, 4, (LLVMValueRef[]){at, bytes, mask, LLVMConstNull(types[0])});
    return x;
}

/* A mask of one lane: an access that may not happen. */
static LLVMBasicBlockRef begin_if(const struct gen *g, const struct lp_stmt *s) {
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(g->c, g->fn, "then"),
                      after = LLVMAppendBasicBlockInContext(g->c, g->fn, "after");
    LLVMBuildCondBr(g->b, oct_ll_operand(g, s->mask).v, then, after);
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
        if (s->dst >= 0) assign(g, names, s->dst, oct_ll_spell(g, s).v);
        else { /* a hint: for reading, of data used again, in the data cache */
            LLVMValueRef arg[4] = {address(g, s, &align), LLVMConstInt(g->i32, 0, 0), LLVMConstInt(g->i32, 3, 0),
                                   LLVMConstInt(g->i32, 1, 0)};
            oct_ll_intrinsic(g, "llvm.prefetch", 1, (LLVMTypeRef[]){g->ptr}, 4, arg);
        }
        return;
    }
    const bool load = s->kind == LP_STMT_LOAD;
    struct val x = load ? (struct val){.t = g->k->reg[s->dst].type} : oct_ll_operand(g, s->arg[0]);
    LLVMValueRef at = address(g, s, &align);
    if (s->mask.type.lanes && x.t.lanes > 1) x = masked(g, s, x, at, align);
    else {
        LLVMBasicBlockRef after = NULL;
        if (s->mask.type.lanes) {
            if (load) LLVMBuildStore(g->b, LLVMConstNull(oct_ll_type(g, x.t)), g->slot[s->dst]);
            after = begin_if(g, s);
        }
        if (load) x.v = LLVMBuildLoad2(g->b, oct_ll_type(g, x.t), at, "");
        LLVMSetAlignment(load ? x.v : LLVMBuildStore(g->b, x.v, at), align);
        if (load && after) assign(g, names, s->dst, x.v);
        if (after) {
            end_if(g, after);
            return;
        }
    }
    if (load) assign(g, names, s->dst, x.v);
}

/* ---- functions ----------------------------------------------------------------------------------------------------- */

static LLVMValueRef choose(const struct gen *g, LLVMIntPredicate is, LLVMValueRef a, LLVMValueRef b, LLVMValueRef then,
                           LLVMValueRef otherwise) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, is, a, b, ""), then, otherwise, "");
}
/* `unit` of `units` in turns of a loop. */
static LLVMValueRef turns(const struct gen *g, LLVMValueRef unit, int64_t trip, int64_t units) {
    if (trip == units) return unit;
    LLVMTypeRef wide = LLVMInt64TypeInContext(g->c);
    LLVMValueRef all =
        LLVMBuildMul(g->b, LLVMBuildSExtOrBitCast(g->b, unit, wide, ""), LLVMConstInt(wide, (uint64_t)trip, 0), "");
    all = LLVMBuildSDiv(g->b, all, LLVMConstInt(wide, (uint64_t)units, 0), "");
    return LLVMBuildTruncOrBitCast(g->b, all, g->word, "");
}
/* The turns of a loop that the call's units have. */
static void bounds(struct gen *g, const struct lp_stmt *s, LLVMValueRef *from, LLVMValueRef *to) {
    const int64_t pieces = g->k->pieces;
    *from = word(g, 0);
    *to = word(g, s->trip);
    if (s->kind == LP_STMT_RANGE && pieces > 1) {
        g->band = s->var;
        *from = LLVMBuildSDiv(g->b, g->lo, word(g, pieces), "");
        *to = LLVMBuildSDiv(g->b, LLVMBuildAdd(g->b, g->hi, word(g, pieces - 1), ""), word(g, pieces), "");
        *to = choose(g, LLVMIntSLT, g->lo, g->hi, *to, word(g, 0));
    } else if (s->kind == LP_STMT_RANGE) {
        *from = turns(g, g->lo, s->trip, g->k->bands);
        *to = turns(g, g->hi, s->trip, g->k->bands);
    } else if (s->kind == LP_STMT_PIECE) {
        LLVMValueRef first = LLVMBuildMul(g->b, g->var[g->band], word(g, pieces), "");
        first = LLVMBuildAdd(g->b, first, word(g, s->first), "");
        LLVMValueRef before = LLVMBuildSub(g->b, g->lo, first, ""), left = LLVMBuildSub(g->b, g->hi, first, "");
        *from = choose(g, LLVMIntSGT, before, word(g, 0), before, word(g, 0));
        *to = choose(g, LLVMIntSLT, left, word(g, s->trip), left, word(g, s->trip));
    }
}

static void loop(struct gen *g, const struct lp_names *names, const struct lp_stmt *s, bool leaving) {
    const bool maybe_empty = s->kind != LP_STMT_FOR; /* others have a trip >= 1 */
    const int32_t v = s->var;
    if (!leaving) {
        LLVMValueRef first;
        bounds(g, s, &first, &g->to[v]);
        LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b);
        g->head[v] = LLVMAppendBasicBlockInContext(g->c, g->fn, oct_sprintf(g->a, "for.%s", names->var[v]));
        g->exit[v] = LLVMAppendBasicBlockInContext(g->c, g->fn, "done");
        if (maybe_empty) LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, first, g->to[v], ""), g->head[v], g->exit[v]);
        else LLVMBuildBr(g->b, g->head[v]);
        LLVMPositionBuilderAtEnd(g->b, g->head[v]);
        g->var[v] = LLVMBuildPhi(g->b, g->word, names->var[v]);
        LLVMAddIncoming(g->var[v], &first, &before, 1);
        return;
    }
    LLVMValueRef next = LLVMBuildAdd(g->b, g->var[v], word(g, 1), "");
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
    LLVMAddIncoming(g->var[v], &next, &latch, 1);
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, next, g->to[v], ""), g->head[v], g->exit[v]);
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
    oct_ll_debug_function(g, g->fn, f->name, f->line, true);
    attribute(g, g->fn, whole_function, "noinline", 0); /* one function a layer, one frame at a time */
    if (g->isa >= LP_ISA_AVX2 &&
        g->isa <= LP_ISA_VNNI) /* not told before it knows what it spills, LLVM leaves vectors unaligned */
        attribute_text(g, g->fn, "stackrealign", "");
    describe_buffers(g, &names);
    if (k->has_range) {
        LLVMSetValueName2(LLVMGetParam(g->fn, (unsigned)k->nbufs), "lo", 2);
        LLVMSetValueName2(LLVMGetParam(g->fn, (unsigned)k->nbufs + 1), "hi", 2);
        g->lo = LLVMBuildSExtOrBitCast(g->b, LLVMGetParam(g->fn, (unsigned)k->nbufs), g->word, "from");
        g->hi = LLVMBuildSExtOrBitCast(g->b, LLVMGetParam(g->fn, (unsigned)k->nbufs + 1), g->word, "to");
    }
    g->slot = OCT_NEW_N(g->a, LLVMValueRef, k->nregs);
    g->var = OCT_NEW_N(g->a, LLVMValueRef, k->nvars);
    g->to = OCT_NEW_N(g->a, LLVMValueRef, k->nvars);
    g->head = OCT_NEW_N(g->a, LLVMBasicBlockRef, k->nvars);
    g->exit = OCT_NEW_N(g->a, LLVMBasicBlockRef, k->nvars);
    struct lp_walk w;
    int32_t *defs = OCT_NEW_N(g->a, int32_t, k->nregs);
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));)
        if (!lp_is_loop(s) && s->dst >= 0) defs[s->dst]++;
    for (int32_t r = 0; r < k->nregs; r++) /* a register that changes names the values that mem2reg joins */
        g->slot[r] = LLVMBuildAlloca(g->b, oct_ll_type(g, k->reg[r].type), k->reg[r].name && defs[r] > 1 ? names.reg[r] : "");
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (lp_is_loop(s)) loop(g, &names, s, w.leaving);
        else statement(g, &names, s);
    }
    LLVMBuildRetVoid(g->b);
    return g->fn;
}

/* ---- constants and entries ----------------------------------------------------------------------------------------- */

/* As aligned as any kernel that reads it wants it to be. */
static unsigned alignment(const struct oct_program *p, int number) {
    int align = 1;
    for (int i = 0; i < p->nentries; i++)
        for (int c = 0; c < p->entry[i].ncalls; c++) {
            const struct oct_call *call = &p->entry[i].call[c];
            const struct lp_kernel *k = oct_call_kernel(p, call);
            for (int32_t b = 0; k && b < k->nbufs; b++)
                if (call->arg[b].kind == OCT_ARG_CONST && call->arg[b].at == number && k->buf[b].align > align)
                    align = k->buf[b].align;
        }
    return (unsigned)align;
}

static LLVMValueRef data(const struct gen *g, const struct oct_program *p, int number) {
    const struct oct_packed *d = p->constant[number].data;
    LLVMValueRef bytes = LLVMConstStringInContext2(g->c, d->data, (size_t)oct_packed_bytes(d), 1);
    LLVMValueRef v = LLVMAddGlobal(g->m, LLVMTypeOf(bytes), oct_sprintf(g->a, "data_%d", number));
    LLVMSetInitializer(v, bytes);
    LLVMSetGlobalConstant(v, 1);
    LLVMSetLinkage(v, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(v, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(v, alignment(p, number));
    return v;
}

/* The bound of a part's share: (part + more) n / parts. */
static LLVMValueRef share(const struct gen *g, LLVMValueRef fn, unsigned part, unsigned more, int64_t n) {
    LLVMValueRef of = LLVMBuildAdd(g->b, LLVMGetParam(fn, part), LLVMConstInt(g->i32, more, 0), "");
    return LLVMBuildSDiv(g->b, LLVMBuildMul(g->b, of, LLVMConstInt(g->i32, (uint64_t)n, 0), ""), LLVMGetParam(fn, part + 1), "");
}

/* Code up to `*after` is for part 0 alone. */
static void begin_alone(const struct gen *g, LLVMValueRef fn, unsigned part, LLVMBasicBlockRef *after) {
    LLVMBasicBlockRef alone = LLVMAppendBasicBlockInContext(g->c, fn, "alone");
    *after = LLVMAppendBasicBlockInContext(g->c, fn, "all");
    LLVMValueRef first = LLVMBuildICmp(g->b, LLVMIntEQ, LLVMGetParam(fn, part), LLVMConstInt(g->i32, 0, 0), "");
    LLVMBuildCondBr(g->b, first, alone, *after);
    LLVMPositionBuilderAtEnd(g->b, alone);
}

static void meet(const struct gen *g, LLVMValueRef fn, unsigned part) {
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->c), (LLVMTypeRef[]){g->ptr}, 1, 0);
    LLVMValueRef team = LLVMGetParam(fn, part + 3);
    LLVMBuildCall2(g->b, type, LLVMGetParam(fn, part + 2), &team, 1, "");
}

static LLVMValueRef entry(const struct gen *g, const struct oct_program *p, const struct oct_entry *e,
                          const LLVMValueRef *function, const LLVMValueRef *constants) {
    enum { OF_PART = 4 }; /* part, parts, meet, team */
    LLVMTypeRef *param = OCT_NEW_N(g->a, LLVMTypeRef, e->nparams + 1 + OF_PART);
    for (int i = 0; i <= e->nparams + OF_PART; i++) param[i] = g->ptr;
    const int outer = e->nparams + e->run, n = outer + (e->parts ? OF_PART : 0);
    const unsigned part = (unsigned)outer;
    if (e->parts) param[part] = param[part + 1] = g->i32;
    LLVMValueRef fn = new_function(g, e->name, e->run ? g->i32 : LLVMVoidTypeInContext(g->c), param, n), arena = NULL;
    for (int i = 0; i < e->nparams; i++) {
        LLVMSetValueName2(LLVMGetParam(fn, (unsigned)i), e->param[i].name, strlen(e->param[i].name));
        attribute(g, fn, (unsigned)i + 1, "nocapture", 0);
    }
    if (e->run) {
        arena = LLVMGetParam(fn, (unsigned)e->nparams);
        LLVMSetValueName2(arena, "arena", 5);
        attribute(g, fn, (unsigned)outer, "nocapture", 0);
    }
    for (unsigned i = 0; e->parts && i < OF_PART; i++) {
        static const char *const names[OF_PART] = {"part", "parts", "meet", "team"};
        LLVMSetValueName2(LLVMGetParam(fn, part + i), names[i], strlen(names[i]));
    }
    oct_ll_debug_function(g, fn, e->name, e->ncalls ? e->call[0].line : 0, false);
    for (int c = 0; c < e->ncalls; c++) {
        const struct oct_call *call = &e->call[c];
        oct_ll_debug_line(g, fn, call->line);
        const struct lp_kernel *k = oct_call_kernel(p, call);
        LLVMBasicBlockRef after = NULL;
        if (call->meet) meet(g, fn, part);
        if (e->parts && !call->split) begin_alone(g, fn, part, &after);
        LLVMValueRef to = k ? function[call->function] : LLVMGetNamedFunction(g->m, p->entry[0].name);
        int nargs = k ? k->nbufs : p->entry[0].nparams + 1;
        LLVMValueRef *arg = OCT_NEW_N(g->a, LLVMValueRef, nargs + 2);
        for (int i = 0; i < nargs; i++) {
            const struct oct_arg *x = &call->arg[i];
            LLVMValueRef at = word(g, x->at);
            arg[i] = x->kind == OCT_ARG_PARAM ? LLVMGetParam(fn, (unsigned)x->at)
                     : x->kind == OCT_ARG_CONST
                         ? constants[x->at]
                         : LLVMBuildInBoundsGEP2(g->b, LLVMInt8TypeInContext(g->c), arena, &at, 1, call->layer);
            if (x->kind != OCT_ARG_ARENA || !call->split || !x->per_part) continue;
            LLVMValueRef number = LLVMBuildSExtOrBitCast(g->b, LLVMGetParam(fn, part), g->word, "");
            LLVMValueRef further = LLVMBuildMul(g->b, number, word(g, x->per_part), "");
            arg[i] = LLVMBuildInBoundsGEP2(g->b, LLVMInt8TypeInContext(g->c), arg[i], &further, 1, "");
        }
        if (call->split) {
            for (unsigned more = 0; more < 2; more++) arg[nargs++] = share(g, fn, part, more, oct_call_end(p, call));
        } else if (k && k->has_range) {
            arg[nargs++] = LLVMConstInt(g->i32, (uint64_t)call->lo, 0);
            arg[nargs++] = LLVMConstInt(g->i32, (uint64_t)oct_call_end(p, call), 0);
        }
        LLVMBuildCall2(g->b, LLVMGlobalGetValueType(to), to, arg, (unsigned)nargs, "");
        if (!after) continue;
        LLVMBuildBr(g->b, after);
        LLVMPositionBuilderAtEnd(g->b, after);
    }
    if (e->status) {
        LLVMValueRef at = word(g, e->status);
        LLVMBuildRet(g->b, LLVMBuildLoad2(g->b, g->i32,
                                          LLVMBuildInBoundsGEP2(g->b, LLVMInt8TypeInContext(g->c), arena, &at, 1, ""), "status"));
    } else if (e->run) LLVMBuildRet(g->b, LLVMConstInt(g->i32, 0, 0));
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
const char *oct_ll_shim_name(struct oct_arena *a, int entry_number) { return oct_sprintf(a, "octavo_entry_%d", entry_number); }

void oct_ll_program(struct gen *g, const struct oct_program *p, bool shims) {
    LLVMValueRef *function = OCT_NEW_N(g->a, LLVMValueRef, p->nfunctions),
                 *constants = OCT_NEW_N(g->a, LLVMValueRef, p->nconstants);
    oct_ll_debug_begin(g, p);
    for (int i = 0; i < p->nconstants; i++) constants[i] = data(g, p, i);
    for (int i = 0; i < p->nfunctions; i++) function[i] = layer(g, &p->function[i]);
    for (int i = 0; i < p->nentries; i++) {
        LLVMValueRef fn = entry(g, p, &p->entry[i], function, constants);
        if (shims && !p->entry[i].parts) shim(g, &p->entry[i], fn, oct_ll_shim_name(g->a, i));
    }
    oct_ll_debug_end(g);
}
