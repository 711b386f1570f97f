/* object.c - from a program to text of LLVM IR, assembler or an object for any target, and to functions in this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "../llvm.h"
#include "gen.h"

static void check(const struct gen *g, const char *doing, LLVMErrorRef e) {
    if (e) oct_ll_refused(g, doing, LLVMGetErrorMessage(e), LLVMDisposeErrorMessage);
}

/* ---- from a program to an object ----------------------------------------------------------------------------------- */

/* Frames by function of the module, as code generation tells them. */
struct frames {
    struct oct_code *function;
    int n;
    char fault[200]; /* the first error that LLVM reported */
};

/* Owns what LLVM made; closing twice does nothing, unwinding closes too. */
struct session {
    struct gen g;
    const char *target;
    LLVMTargetMachineRef tm;
    LLVMTargetDataRef layout;
    LLVMPassBuilderOptionsRef options;
    LLVMMemoryBufferRef made;
    LLVMBinaryRef object;
    struct frames frames;
    bool open;
};
static void close_session(void *arg) {
    struct session *w = arg;
    if (!w->open) return;
    w->open = false;
    if (w->object) LLVMDisposeBinary(w->object);
    if (w->made) LLVMDisposeMemoryBuffer(w->made);
    if (w->options) LLVMDisposePassBuilderOptions(w->options);
    oct_ll_debug_close(&w->g);
    if (w->g.b) LLVMDisposeBuilder(w->g.b);
    if (w->g.m) LLVMDisposeModule(w->g.m);
    if (w->layout) LLVMDisposeTargetData(w->layout);
    if (w->tm) LLVMDisposeTargetMachine(w->tm);
    LLVMContextDispose(w->g.c);
    oct_ll_handle_faults(NULL);
}

/* "<place>: stack frame size (416) exceeds limit (0) in function 'f'", since functions are marked to warn of any; or an error.
 * Called from within LLVM: it must not unwind, so it allocates nothing. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *arg) {
    struct frames *f = arg;
    const LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(info);
    if (severity != LLVMDSError && severity != LLVMDSWarning) return; /* remarks are many */
    char *text = LLVMGetDiagInfoDescription(info);
    const char *frame = strstr(text, "stack frame size ("), *name = frame ? strchr(frame, '\'') : NULL;
    const size_t len = name ? strcspn(++name, "'") : 0;
    for (int i = 0; i < f->n && len; i++)
        if (strlen(f->function[i].name) == len && memcmp(f->function[i].name, name, len) == 0)
            f->function[i].stack_bytes = strtoll(strchr(frame, '(') + 1, NULL, 10);
    if (severity == LLVMDSError && !*f->fault) snprintf(f->fault, sizeof f->fault, "%s", text);
    LLVMDisposeMessage(text);
}

/* false after diagnostics. */
static bool open_session(struct session *w, struct oct_ctx *cx, struct oct_arena *a, const struct oct_target *t,
                         const char *name) {
    struct gen *g = &w->g;
    const char *triple;
    *w = (struct session){.target = oct_ll_target_text(a, t), .open = true};
    *g = (struct gen){.cx = cx, .a = a, .c = LLVMContextCreate(), .cpu = t->cpu, .isa = t->isa};
    oct_defer(a, close_session, w);
    oct_ll_handle_faults(w->target);
    LLVMContextSetDiagnosticHandler(g->c, on_diagnostic, &w->frames);
    w->tm = oct_ll_machine(g, t, &triple);
    if (!w->tm) return false;
    w->layout = LLVMCreateTargetDataLayout(w->tm);
    g->m = LLVMModuleCreateWithNameInContext(name, g->c);
    LLVMSetTarget(g->m, triple);
    LLVMSetModuleDataLayout(g->m, w->layout);
    g->b = LLVMCreateBuilderInContext(g->c);
    g->ptr = LLVMPointerTypeInContext(g->c, 0);
    g->i32 = LLVMInt32TypeInContext(g->c);
    g->word = LLVMIntPtrTypeInContext(g->c, w->layout);
    w->options = LLVMCreatePassBuilderOptions();
    return true;
}

static void verify(const struct gen *g) {
    char *why = NULL;
    if (LLVMVerifyModule(g->m, LLVMReturnStatusAction, &why))
        oct_ll_refused(g, "the module is not well formed", why, LLVMDisposeMessage);
    LLVMDisposeMessage(why);
}

/* The module, verified; optimised unless it is to be read. Of the pipelines tried (bench/RESULTS.md) none wins on all models. */
static void make(struct session *w, const struct oct_program *p, bool shims, bool optimise) {
    oct_ll_program(&w->g, p, shims);
    verify(&w->g);
    check(&w->g, "passes", LLVMRunPasses(w->g.m, optimise ? "default<O2>" : "function(mem2reg)", w->tm, w->options));
}

static const char *name_of(const struct gen *g, LLVMValueRef v) {
    size_t len;
    const char *name = LLVMGetValueName2(v, &len);
    return oct_strndup(g->a, name, len);
}

/* A section for each function and each constant, so that a linker leaves out what nobody calls; and a list of the functions, each
 * to tell its frame. */
static void prepare(struct session *w) {
    const struct gen *g = &w->g;
    static const char limit[] = "warn-stack-size";
    LLVMAttributeRef warn = LLVMCreateStringAttribute(g->c, limit, sizeof limit - 1, "0", 1);
    int n = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(g->m); f; f = LLVMGetNextFunction(f)) n++;
    w->frames.function = OCT_NEW_N(g->a, struct oct_code, n);
    for (LLVMValueRef f = LLVMGetFirstFunction(g->m); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f)) continue;
        const char *name = name_of(g, f);
        LLVMSetSection(f, oct_sprintf(g->a, ".text.%s", name));
        LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, warn);
        w->frames.function[w->frames.n++] = (struct oct_code){.name = name};
    }
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->m); v; v = LLVMGetNextGlobal(v))
        LLVMSetSection(v, oct_sprintf(g->a, ".rodata.%s", name_of(g, v)));
}

/* false after diagnostics. */
static bool generate(struct session *w, LLVMCodeGenFileType type) {
    const struct gen *g = &w->g;
    char *why = NULL;
    prepare(w);
    const bool failed = LLVMTargetMachineEmitToMemoryBuffer(w->tm, g->m, type, &why, &w->made);
    if (failed) {
        w->made = NULL;
        snprintf(w->frames.fault, sizeof w->frames.fault, "%s", why);
        LLVMDisposeMessage(why);
    }
    if (!*w->frames.fault) return true;
    oct_error(g->cx, (struct oct_span){0, 0, 0}, OCT_E6008, "LLVM cannot make code for %s: %s", w->target, w->frames.fault);
    oct_help(g->cx, OCT_LL_ADVICE);
    return false;
}

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* Reads the object's sections; they are those of prepare(), and pools of constants that LLVM adds as .rodata.SOMETHING. */
static void measure(struct session *w, struct oct_sizes *sizes) {
    char *why = NULL;
    *sizes = (struct oct_sizes){.function = w->frames.function, .nfunctions = w->frames.n};
    w->object = LLVMCreateBinary(w->made, w->g.c, &why);
    if (!w->object) oct_ll_refused(&w->g, "the object", why, LLVMDisposeMessage);
    LLVMSectionIteratorRef at = LLVMObjectFileCopySectionIterator(w->object);
    for (; !LLVMObjectFileIsSectionIteratorAtEnd(w->object, at); LLVMMoveToNextSection(at)) {
        const char *name = LLVMGetSectionName(at) ? LLVMGetSectionName(at) : "";
        const int64_t bytes = (int64_t)LLVMGetSectionSize(at);
        if (starts(name, ".rodata")) sizes->rodata_bytes += bytes;
        if (!starts(name, ".text")) continue;
        sizes->text_bytes += bytes;
        for (int i = 0; i < sizes->nfunctions && name[5]; i++)
            if (strcmp(name + 6, sizes->function[i].name) == 0) sizes->function[i].text_bytes = bytes;
    }
    LLVMDisposeSectionIterator(at);
}

static bool emit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, const struct oct_target *t,
                 enum oct_llvm_form form, struct oct_text *out, struct oct_sizes *sizes) {
    struct session *w = OCT_NEW(a, struct session);
    if (!open_session(w, cx, a, t, p->name)) return false;
    make(w, p, false, form != OCT_LLVM_IR);
    oct_text_init(out, a);
    if (form == OCT_LLVM_IR) {
        char *text = LLVMPrintModuleToString(w->g.m);
        oct_text_add(out, text);
        LLVMDisposeMessage(text);
    } else {
        if (!generate(w, form == OCT_LLVM_ASM ? LLVMAssemblyFile : LLVMObjectFile)) return false;
        oct_text_addn(out, LLVMGetBufferStart(w->made), LLVMGetBufferSize(w->made));
        if (form == OCT_LLVM_OBJ) measure(w, sizes);
    }
    close_session(w);
    return true;
}

/* ---- in this process ----------------------------------------------------------------------------------------------- */

static void close_jit(void *jit) {
    LLVMErrorRef e = LLVMOrcDisposeLLJIT(jit);
    if (e) LLVMConsumeError(e);
}

/* Loads the very object that emit would write for the target, and the entries' shims. */
static bool jit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_program *p, const struct oct_target *t,
                oct_jit_fn **fn) {
    struct session *w = OCT_NEW(a, struct session);
    LLVMOrcLLJITRef j;
    if (!open_session(w, cx, a, t, p->name)) return false;
    make(w, p, true, true);
    if (!generate(w, LLVMObjectFile)) return false;
    check(&w->g, "JIT", LLVMOrcCreateLLJIT(&j, NULL));
    oct_defer(a, close_jit, j);
    LLVMMemoryBufferRef object = w->made;
    w->made = NULL; /* the JIT's from here on */
    check(&w->g, "JIT", LLVMOrcLLJITAddObjectFile(j, LLVMOrcLLJITGetMainJITDylib(j), object));
    for (int i = 0; i < p->nentries; i++) {
        LLVMOrcExecutorAddress at;
        if (p->entry[i].parts) continue;
        check(&w->g, p->entry[i].name, LLVMOrcLLJITLookup(j, &at, oct_ll_shim_name(a, i)));
        const uintptr_t address_of = (uintptr_t)at;
        memcpy(&fn[i], &address_of, sizeof fn[i]); /* a number is no pointer to a function */
    }
    close_session(w);
    return true;
}

const struct oct_llvm octavo_llvm = {OCTAVO_VERSION, oct_ll_made_by, emit, jit};
