/* op.c - the table of ops, generated from ops.def. Requires the hooks that its rows name. */
#include <limits.h>
#include <string.h>

#include "hooks.h"

#define NO_OPERANDS (const char *const[]){NULL}, 0, 0
#define IN(required, ...)                                                                                                        \
    (const char *const[]){__VA_ARGS__, NULL}, required, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define MANY(name) (const char *const[]){name, NULL}, 1, INT_MAX
#define A(field)   ((uint64_t)1 << OCT_A_##field)
#define EVERYWHERE (A(from) | A(doc) | A(why))

static const struct oct_op_info infos[] = {
#define OP(name, operands, attrs, flags, shape, verify, interp, doc)                                                             \
    {#name, doc, operands, (attrs) | EVERYWHERE, flags, shape_##shape, verify_##verify, interp_##interp},
#include "ops.def"
#undef OP
};

const struct oct_op_info *oct_op_info(enum oct_op op) { return &infos[op]; }

bool oct_op_parse(const char *word, enum oct_op *out) {
    for (unsigned i = 0; i < OCT_OP_COUNT; i++)
        if (!strcmp(word, infos[i].name)) {
            *out = (enum oct_op)i;
            return true;
        }
    return false;
}
