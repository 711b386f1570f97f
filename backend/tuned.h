/* tuned.h - which way to build a layer is fastest, as a tuner measured it: for each shape of layer its ways in order of
 * preference. The first that a layer offers is taken, whatever the figures say: so a file of it can be edited, and gives the same
 * object on any machine. */
#ifndef OCT_TUNED_H
#define OCT_TUNED_H

#include "../ir/ir.h"

struct oct_tuned_way {
    const char *text; /* of struct oct_way */
    double us;        /* that it took */
    struct oct_span span;
};
struct oct_tuned_layer {
    const char *key; /* op, types, windows: all that makes layers one shape */
    struct oct_tuned_way *way;
    int nways;
};
enum { OCT_TUNED_CEILINGS = 8 };
struct oct_tuned {
    const char *target, *cpu, *code; /* for what, on what, and by what compiler it was measured */
    struct {
        const char *steps; /* of struct oct_way */
        double gmacs;      /* 10^9 multiplications a second, in registers */
    } ceiling[OCT_TUNED_CEILINGS];
    int nceilings;
    struct oct_tuned_layer **layer; /* by key */
    int nlayers, room;
    struct oct_span span; /* of the file */
};
struct oct_kbuild;
/* 0: not known. */
double oct_tuned_ceiling(const struct oct_tuned *t, const char *steps);
double oct_tuned_us(const struct oct_tuned_layer *l, const char *way);
const char *oct_tuned_key(struct oct_arena *a, const struct oct_kbuild *b);
struct oct_tuned_layer *oct_tuned_find(const struct oct_tuned *t, const char *key);
/* A layer, without ways yet but with room for `ways`; NULL: the key is there already. */
struct oct_tuned_layer *oct_tuned_add(struct oct_tuned *t, struct oct_arena *a, const char *key, int ways);

#endif
