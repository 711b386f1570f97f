/* tuning.h - the layers of a model that can be built in several ways, and a program that runs each way of each by itself. */
#ifndef OCT_TUNING_H
#define OCT_TUNING_H

#include "program.h"
#include "tuned.h"

struct oct_tuning_layer {
    const char *key, *name; /* name: of one layer of that shape */
    struct oct_span span;
    int first, count;       /* entries of its ways; the first is what the costs choose */
    int64_t in, in_bytes;   /* place of its operands in the arena */
    int64_t out, out_bytes; /* of its result */
};
struct oct_tuning {
    struct oct_compiled made; /* a run entry without parameters for each way */
    struct oct_way *way;      /* by entry */
    struct oct_tuning_layer *layer;
    int nlayers;
    unsigned char *arena; /* to start from: codes that the operands can take */
    int64_t arena_bytes;
    int64_t model_bytes; /* weights and memory of the whole model: what runs between two runs of a layer passes over so much */
};
/* Those layers of `m` whose shape is not in `known`. Of the ways those are taken that could be the fastest, as their costs say.
 * opt->name is the prefix of the entries. false after diagnostics. */
bool oct_tuning_make(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *m, const struct oct_compile_options *opt,
                     const struct oct_tuned *known, struct oct_tuning *out);

#endif
