/* llvm.c - loads the LLVM back end when a command needs it, and the engine jit. The module stands beside the command, or in
 * ../lib/octavo: the command's run path says so. */
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tuned.h"

static const struct oct_span nowhere;

/* LLVM throws when it has no memory, and C catches nothing. No output has been written by then. */
static void on_abort(int sig) {
    (void)sig;
    static const char text[] = "octavo: out of memory\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(OCT_EXIT_MEMORY);
    _exit(OCT_EXIT_MEMORY);
}

const struct oct_llvm *drv_llvm(struct drv *d, bool required) {
    signal(SIGABRT, on_abort);
    void *module = dlopen("liboctavo_llvm.so", RTLD_NOW | RTLD_LOCAL); /* stays loaded */
    const char *why = module ? NULL : dlerror();
    const struct oct_llvm *llvm = module ? dlsym(module, OCT_LLVM_TABLE) : NULL;
    if (llvm && strcmp(llvm->version, OCTAVO_VERSION) == 0) return llvm;
    if (!required) return NULL;
    if (llvm) oct_error(d->cx, nowhere, OCT_E7006, "the LLVM back end is of octavo %s, this is " OCTAVO_VERSION, llvm->version);
    else oct_error(d->cx, nowhere, OCT_E7006, "the LLVM back end is not there: %s", why ? why : "no table in its module");
    oct_help(d->cx, "build octavo with -DOCTAVO_LLVM=ON; or compile C: --emit c, --emit obj --cc COMMAND, --engine c");
    return NULL;
}

const struct drv_native *drv_jit_load(struct drv *d, const struct oct_module *m) {
    struct oct_compile_options opt = {.target = oct_target_find("host"),
                                      .name = "octavo_model",
                                      .batch = 1,
                                      .strict_float = d->o.strict_float,
                                      .no_source = true};
    const struct oct_llvm *llvm = drv_llvm(d, true);
    struct oct_compiled c;
    bool ok;
    opt.tuned = drv_tuned(d, opt.target, &ok);
    if (!ok || !llvm || !oct_compile(d->cx, d->a, m, &opt, &c)) return NULL;
    oct_jit_fn **entry = OCT_NEW_N(d->a, oct_jit_fn *, c.program->nentries);
    if (!llvm->jit(d->cx, d->a, c.program, opt.target, entry)) return NULL;
    struct drv_native *n = OCT_NEW(d->a, struct drv_native);
    *n = (struct drv_native){.run = entry[0], .arena_bytes = (size_t)c.program->arena_bytes};
    return n;
}
