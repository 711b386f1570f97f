/* targets.c - the table of targets (targets.def) and look-up by name. */
#include "../backend.h"

#include <string.h>

static const struct oct_target targets[] = {
#define TARGET(name, triple, cpu, features, isa, vector_bits, registers, pointer_bytes, inline_max, native_i64, tile_oc, tile_px, unroll, doc)  \
    {name, doc, triple, cpu, features, LP_ISA_##isa, vector_bits, registers, pointer_bytes, inline_max, native_i64, tile_oc, tile_px, unroll},
#include "targets.def"
#undef TARGET
};

const struct oct_target *oct_target_find(const char *name) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    return NULL;
}

const struct oct_target *oct_target_list(uint32_t *n) {
    *n = (uint32_t)(sizeof targets / sizeof *targets);
    return targets;
}
