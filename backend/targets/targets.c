/* targets.c - the table of targets (targets.def): by name, and by triple. */
#include "../backend.h"

#include <string.h>

enum { KB = 1024 };
#define ARCH(name, row, isa)
#define TARGET(name, triple, cpu, features, isa, lacks, vector_bits, registers, pointer_bytes, inline_kb, tile_oc, tile_px,      \
               unroll, flash, ram, doc)                                                                                          \
    {ROW_NAME(name),                                                                                                             \
     doc,                                                                                                                        \
     ROW_TRIPLE(triple),                                                                                                         \
     cpu,                                                                                                                        \
     features,                                                                                                                   \
     LP_ISA_##isa,                                                                                                               \
     LP_LACK_##lacks,                                                                                                            \
     vector_bits,                                                                                                                \
     registers,                                                                                                                  \
     pointer_bytes,                                                                                                              \
     inline_kb * KB,                                                                                                             \
     tile_oc,                                                                                                                    \
     tile_px,                                                                                                                    \
     unroll,                                                                                                                     \
     flash * KB,                                                                                                                 \
     ram * KB,                                                                                                                   \
     name},
static const struct oct_target targets[] = {
#define ROW_NAME(name) name
#define ROW_TRIPLE(t)  t
#include "targets.def"
#undef ROW_NAME
#undef ROW_TRIPLE
};
/* The same rows as this machine. */
static const struct oct_target hosts[] = {
#define ROW_NAME(name) "host"
#define ROW_TRIPLE(t)  ""
#include "targets.def"
};
#undef TARGET
#undef ARCH
enum { TARGETS = sizeof targets / sizeof *targets };

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

static const struct oct_target *find_in(const struct oct_target *list, const char *row) {
    for (size_t i = 0; i < TARGETS; i++)
        if (strcmp(list[i].row, row) == 0) return &list[i];
    return NULL;
}
const struct oct_target *oct_target_find(const char *name) {
    return strcmp(name, "host") == 0 ? find_in(hosts, oct_target_host()) : find_in(targets, name);
}

const struct oct_target *oct_target_list(uint32_t *n) {
    *n = TARGETS;
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
    const char *eabi = t->triple ? strstr(t->triple, "eabi") : NULL; /* targets made by hand need no triple */
    return !eabi ? "" : strcmp(eabi, "eabihf") == 0 ? "hard" : "soft";
}

/* ---- costs ------------------------------------------------------------------------------------------------------------------
 */

static const struct oct_costs costs[] = {
#define CEILING(...)
#define COSTS(isa, operations, first, second, beyond, far, finish, widen)                                                        \
    {LP_ISA_##isa, operations, (first) * 1024, (second) * 1024, beyond, far, finish, widen},
#include "costs.def"
#undef COSTS
#undef CEILING
};
static const struct {
    enum lp_isa isa;
    const char *steps;
    double macs;
} ceilings[] = {
#define COSTS(...)
#define CEILING(isa, steps, macs) {LP_ISA_##isa, steps, macs},
#include "costs.def"
#undef CEILING
#undef COSTS
};

const struct oct_costs *oct_target_costs(const struct oct_target *t) {
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        if (costs[i].isa == t->isa) return &costs[i];
    return &costs[0];
}
double oct_target_ceiling(const struct oct_target *t, const char *steps) {
    for (size_t i = 0; i < sizeof ceilings / sizeof *ceilings; i++)
        if (ceilings[i].isa == t->isa && strcmp(ceilings[i].steps, steps) == 0) return ceilings[i].macs;
    return 0;
}
const char *oct_target_steps(const struct oct_target *t, int i) {
    for (size_t j = 0; j < sizeof ceilings / sizeof *ceilings; j++)
        if (ceilings[j].isa == t->isa && i-- == 0) return ceilings[j].steps;
    return NULL;
}
