/* object.c - from a program to text of LLVM IR, assembler or an object for any target, and to functions in this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "../llvm.h"
#include "gen.h"

/* ---- when LLVM fails ----------------------------------------------------------------------------------------------- */

/* It ends the process: a fault that it finds itself through a handler, out of memory by abort(). Nothing has been written by
 * then. */

static void on_fatal_error(const char *why) {
    fprintf(stderr, "octavo: LLVM: %s\n", why);
    _exit(OCT_EXIT_INTERNAL);
}

/* Reports what LLVM says and disposes of it. */
static void refused(const struct gen *g, const char *doing, char *why, void (*dispose)(char *)) {
    const char *copy = oct_strdup(g->a, why ? why : "no reason given");
    if (why && dispose) dispose(why);
    oct_internal(g->cx, (struct oct_span){0, 0, 0}, "LLVM: %s: %s", doing, copy);
}
static void check(const struct gen *g, const char *doing, LLVMErrorRef e) {
    if (e) refused(g, doing, LLVMGetErrorMessage(e), LLVMDisposeErrorMessage);
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
    LLVMContextSetDiagnosticHandler(g->c, on_diagnostic, &w->frames);
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

static void generate(struct session *w, LLVMCodeGenFileType type) {
    char *why = NULL;
    prepare(w);
    if (LLVMTargetMachineEmitToMemoryBuffer(w->tm, w->g.m, type, &why, &w->made)) {
        w->made = NULL;
        refused(&w->g, "code generation", why, LLVMDisposeMessage);
    }
    if (*w->frames.fault) refused(&w->g, "code generation", w->frames.fault, NULL);
}

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* Reads the object's sections; they are those of prepare(), and pools of constants that LLVM adds as .rodata.SOMETHING. */
static void measure(struct session *w, struct oct_sizes *sizes) {
    char *why = NULL;
    *sizes = (struct oct_sizes){.function = w->frames.function, .nfunctions = w->frames.n};
    w->object = LLVMCreateBinary(w->made, w->g.c, &why);
    if (!w->object) refused(&w->g, "the object", why, LLVMDisposeMessage);
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
    open_session(w, cx, a, t, p->name);
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

static const char *made_by(struct oct_arena *a) {
    unsigned v[3];
    LLVMGetVersion(&v[0], &v[1], &v[2]);
    return oct_sprintf(a, "LLVM %u.%u.%u", v[0], v[1], v[2]);
}

const struct oct_llvm octavo_llvm = {OCTAVO_VERSION, made_by, emit, jit};
