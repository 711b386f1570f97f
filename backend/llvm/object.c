/* object.c - from a program to text of LLVM IR, assembler or an object for any target, and to functions in this process. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "../llvm.h"
#include "gen.h"

/* ---- when LLVM fails ----------------------------------------------------------------------------------------------- */

/* It ends the process: a fault that it finds itself through a handler, out of memory by abort(). Nothing has been written by then. */

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

/* ---- from a program to an object ----------------------------------------------------------------------------------- */

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
    oct_ll_program(&w->g, p, shims);
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

/* ---- in this process ----------------------------------------------------------------------------------------------- */

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
        check(&w->g, p->entry[i].name, LLVMOrcLLJITLookup(j, &at, oct_ll_shim_name(a, i)));
        const uintptr_t address_of = (uintptr_t)at;
        memcpy(&fn[i], &address_of, sizeof fn[i]); /* a number is no pointer to a function */
    }
    close_session(w);
    return true;
}

const struct oct_llvm octavo_llvm = {OCTAVO_VERSION, emit, jit};
