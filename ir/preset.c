/* preset.c - the rounding profile of each op under option profile, by presets.def. */
#include "ir.h"

enum { OCT_OP_any = OCT_OP_COUNT };

static const struct {
    int preset, op;
    enum oct_profile profile;
} rows[] = {
#define PRESET(name, doc)
#define ROUNDS(preset, op, profile) {OCT_PRESET_##preset, (int)OCT_OP_##op, OCT_profile_##profile},
#include "presets.def"
#undef PRESET
#undef ROUNDS
};

enum oct_profile oct_profile_for(const struct oct_module *m, enum oct_op op) {
    const int word = m->option[OCT_OPT_profile];
    if (word < OCT_profile_COUNT) return (enum oct_profile)word;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].preset == word && (rows[i].op == (int)op || rows[i].op == OCT_OP_any)) return rows[i].profile;
    return OCT_profile_q31;
}
