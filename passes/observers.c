/* observers.c - the table of observers, from observers.def. */
#include <string.h>

#include "pass.h"

typedef void range_fn(const struct oct_histogram *h, enum oct_scheme s, int32_t qmin, int32_t qmax, float *lo, float *hi);
#define OBSERVER(name, doc) range_fn oct_observe_##name;
#include "observers.def"
#undef OBSERVER

static const struct oct_observer table[] = {
#define OBSERVER(name, doc) {#name, doc, oct_observe_##name},
#include "observers.def"
#undef OBSERVER
};

const struct oct_observer *oct_observer_list(uint32_t *n) {
    *n = sizeof table / sizeof *table;
    return table;
}

const struct oct_observer *oct_observer_find(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return NULL;
}
