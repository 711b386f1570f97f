/* targets.c - the table of targets (targets.def): by name, and by triple. */
#include "../backend.h"

#include <string.h>

enum { KB = 1024 };
static const struct oct_target targets[] = {
#define TARGET(name, triple, cpu, features, isa, lacks, vector_bits, registers, pointer_bytes, inline_kb, tile_oc, tile_px,      \
               unroll, flash, ram, doc)                                                                                          \
    {name,      doc,           triple,         cpu,     features, LP_ISA_##isa, LP_LACK_##lacks, vector_bits,                    \
     registers, pointer_bytes, inline_kb * KB, tile_oc, tile_px,  unroll,       flash * KB,      ram * KB},
#define ARCH(name, row, isa)
#include "targets.def"
#undef TARGET
#undef ARCH
};

static const struct {
    const char *name, *row;
    enum lp_isa isa;
} architectures[] = {
#define TARGET(...)
#define ARCH(name, row, isa) {name, row, LP_ISA_##isa},
#include "targets.def"
#undef ARCH
};
const char *const oct_target_architectures[] = {
#define ARCH(name, row, isa) name,
#include "targets.def"
#undef ARCH
#undef TARGET
    NULL};

const struct oct_target *oct_target_find(const char *name) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    return NULL;
}

const struct oct_target *oct_target_list(uint32_t *n) {
    *n = (uint32_t)(sizeof targets / sizeof *targets);
    return targets;
}

bool oct_target_of_triple(const char *triple, struct oct_target *out) {
    const size_t len = strcspn(triple, "-");
    if (!strstr(triple, "-linux") && !strstr(triple, "-none")) return false; /* where objects are ELF */
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        if (strlen(architectures[i].name) != len || memcmp(architectures[i].name, triple, len) != 0) continue;
        *out = *oct_target_find(architectures[i].row);
        out->name = out->triple = triple;
        out->cpu = out->features = "";
        out->isa = architectures[i].isa;
        return true;
    }
    return false;
}

const char *oct_target_float_abi(const struct oct_target *t) {
    const char *eabi = strstr(t->triple, "eabi");
    return !eabi ? "" : strcmp(eabi, "eabihf") == 0 ? "hard" : "soft";
}
