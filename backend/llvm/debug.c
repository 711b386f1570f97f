/* debug.c - line info that points into the model's text: each layer's function stands at the line of its value, each call of an
 * entry at the line of the layer that it makes. Everything here does nothing for a program without a source. */
#include <string.h>

#include <llvm-c/DebugInfo.h>

#include "gen.h"

static void flag(const struct gen *g, const char *name, unsigned value) {
    LLVMAddModuleFlag(g->m, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                      LLVMValueAsMetadata(LLVMConstInt(g->i32, value, 0)));
}

void oct_ll_debug_begin(struct gen *g, const struct oct_program *p) {
    static const char producer[] = "octavo " OCTAVO_VERSION;
    enum { DWARF = 4 }; /* which debuggers for microcontrollers read */
    if (!p->source) return;
    g->di = LLVMCreateDIBuilder(g->m);
    g->file = LLVMDIBuilderCreateFile(g->di, p->source, strlen(p->source), p->folder, strlen(p->folder));
    LLVMDIBuilderCreateCompileUnit(g->di, LLVMDWARFSourceLanguageC99, g->file, producer, sizeof producer - 1, 1, "", 0, 0, "", 0,
                                   LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
    g->type = LLVMDIBuilderCreateSubroutineType(g->di, g->file, NULL, 0, LLVMDIFlagZero);
    flag(g, "Debug Info Version", LLVMDebugMetadataVersion());
    flag(g, "Dwarf Version", DWARF);
}

void oct_ll_debug_function(const struct gen *g, LLVMValueRef fn, const char *name, uint32_t line, bool local) {
    if (!g->di) return;
    const size_t len = strlen(name);
    LLVMSetSubprogram(fn, LLVMDIBuilderCreateFunction(g->di, g->file, name, len, NULL, 0, g->file, line, g->type, local, 1, line,
                                                      LLVMDIFlagPrototyped, 1));
    oct_ll_debug_line(g, fn, line);
}

void oct_ll_debug_line(const struct gen *g, LLVMValueRef fn, uint32_t line) {
    if (!g->di) return;
    LLVMSetCurrentDebugLocation2(g->b, LLVMDIBuilderCreateDebugLocation(g->c, line, 0, LLVMGetSubprogram(fn), NULL));
}

void oct_ll_debug_end(struct gen *g) {
    if (g->di) LLVMDIBuilderFinalize(g->di);
}

void oct_ll_debug_close(struct gen *g) {
    if (g->di) LLVMDisposeDIBuilder(g->di);
    g->di = NULL;
}
