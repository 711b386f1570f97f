/* machine.c - LLVM's machine for a target, and what happens when LLVM fails. It knows one way to report a processor that it does
 * not know, a line on stderr before it goes on with another; and one for code that it cannot make, a handler behind which it ends
 * the process. Out of memory it aborts. Nothing has been written by then. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>

#include "gen.h"

static const struct oct_span nowhere;

/* The handler has no argument: where the user reads, and what code is made for. */
static struct {
    int fd;
    const char *target;
} fault = {STDERR_FILENO, NULL};

static void on_fatal_error(const char *why) {
    /* "Cannot select: ..." goes on for pages; what matters more is the function, in the last line. */
    const char *in = strstr(why, "In function: ");
    const int len = (int)strcspn(why, "\n") < 200 ? (int)strcspn(why, "\n") : 200;
    dprintf(fault.fd, "octavo: error: LLVM cannot make code for %s: %.*s%s%s\n     = " OCT_LL_ADVICE "\n", fault.target, len, why,
            in ? ", in " : "", in ? in + 13 : "");
    _exit(OCT_EXIT_UNSUPPORTED);
}
void oct_ll_handle_faults(const char *target) {
    fault.target = target;
    if (target) LLVMInstallFatalErrorHandler(on_fatal_error);
    else LLVMResetFatalErrorHandler();
}

void oct_ll_refused(const struct gen *g, const char *doing, char *why, void (*dispose)(char *)) {
    const char *copy = oct_strdup(g->a, why ? why : "no reason given");
    if (why) dispose(why);
    oct_internal(g->cx, nowhere, "LLVM: %s: %s", doing, copy);
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

/* Float vectors of MVE stay out: LLVM 19 has VCMP say lt for NaN where a constant was the left operand of gt, and encodes
 * fixed-point VCVT with a register in place of its fraction bits (random graphs on Cortex-M55 found both). Floats are scalar
 * there, integers are vectors. */
static const char *features_of(struct oct_arena *a, const struct oct_target *t, const char *triple) {
    if (strncmp(triple, "thumbv8.1m", 10) != 0) return t->features;
    return oct_sprintf(a, "%s%s-mve.fp", t->features, *t->features ? "," : "");
}

/* From listen() to overheard(), what is written to stderr is kept: its first bytes, in `said`. Unwinds in between: never. */
struct ear {
    int from, to;
};
static struct ear listen_to_stderr(void) {
    struct ear e = {-1, -1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return e;
    const int user = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (user >= 0 && dup2(ends[1], STDERR_FILENO) >= 0) {
        e = (struct ear){ends[0], user};
        fault.fd = user;
    } else {
        close(ends[0]);
        if (user >= 0) close(user);
    }
    close(ends[1]);
    return e;
}
static void overheard(struct ear e, char *said, size_t size) {
    *said = 0;
    if (e.to < 0) return;
    dup2(e.to, STDERR_FILENO);
    fault.fd = STDERR_FILENO;
    close(e.to);
    const ssize_t n = read(e.from, said, size - 1);
    close(e.from);
    said[n > 0 ? n : 0] = 0;
}

const char *oct_ll_target_text(struct oct_arena *a, const struct oct_target *t) {
    return oct_sprintf(a, "target %s%s%s%s%s", t->name, *t->cpu ? ", cpu " : "", t->cpu, *t->features ? ", features " : "",
                       t->features);
}

const char *oct_ll_made_by(struct oct_arena *a, const struct oct_target *t) {
    unsigned v[3];
    LLVMGetVersion(&v[0], &v[1], &v[2]);
    return oct_sprintf(a, "LLVM %u.%u.%u, %s", v[0], v[1], v[2], triple_of(a, t));
}

/* Addresses that step behind an access: our loops walk several arrays at once, and LLVM's choice for Thumb-2, a step before it,
 * costs up to 14 % more instructions (bench/RESULTS.md). It is an option of LLVM's own command line, for the process, and may be
 * given once: a process makes code for one board. */
static void prefer_post_indexed(const char *triple) {
    static bool given = false;
    static const char *const words[] = {"octavo", "-lsr-preferred-addressing-mode=postindexed"};
    if (given || strncmp(triple, "thumb", 5) != 0 || strncmp(triple, "thumbv6", 7) == 0) return;
    given = true;
    LLVMParseCommandLineOptions(2, words, "");
}

LLVMTargetMachineRef oct_ll_machine(struct gen *g, const struct oct_target *t, const char **triple) {
    char *why = NULL, said[400];
    LLVMTargetRef target;
    initialize();
    *triple = triple_of(g->a, t);
    g->features = features_of(g->a, t, *triple);
    if (LLVMGetTargetFromTriple(*triple, &target, &why)) {
        oct_error(g->cx, nowhere, OCT_E6008, "LLVM makes no code for %s: %s", *triple, oct_strdup(g->a, why));
        LLVMDisposeMessage(why);
        return NULL;
    }
    prefer_post_indexed(*triple);
    /* Where programs are loaded anywhere, position-independent; on bare metal as the target has it. */
    const LLVMRelocMode reloc = strstr(*triple, "-linux") ? LLVMRelocPIC : LLVMRelocDefault;
    const struct ear ear = listen_to_stderr();
    LLVMTargetMachineRef tm =
        LLVMCreateTargetMachine(target, *triple, g->cpu, g->features, LLVMCodeGenLevelDefault, reloc, LLVMCodeModelDefault);
    overheard(ear, said, sizeof said);
    if (tm && !*said) return tm;
    if (tm) LLVMDisposeTargetMachine(tm);
    char *more = strstr(said, " ("); /* "'x' is not a recognized processor for this target (ignoring processor)" */
    said[more ? (size_t)(more - said) : strcspn(said, "\n")] = 0;
    oct_error(g->cx, nowhere, OCT_E6008, "LLVM makes no code for %s: %s", oct_ll_target_text(g->a, t), said);
    oct_help(g->cx, OCT_LL_ADVICE);
    return NULL;
}
