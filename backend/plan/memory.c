/* memory.c - places in the arena by liveness. */
#include <stdlib.h>

#include "plan.h"

static bool overlap(const struct oct_root *a, const struct oct_root *b) { return a->first <= b->last && b->first <= a->last; }

static int larger_first(const void *x, const void *y) {
    const struct oct_root *a = *(struct oct_root *const *)x, *b = *(struct oct_root *const *)y;
    if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
    return a < b ? -1 : a > b; /* order of the plan, so that the result is unique */
}
static int lower_first(const void *x, const void *y) {
    const struct oct_root *a = *(struct oct_root *const *)x, *b = *(struct oct_root *const *)y;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

void oct_plan_memory(struct oct_plan *p, struct oct_arena *scratch) {
    struct oct_root **order = OCT_NEW_N(scratch, struct oct_root *, p->nroots),
                    **busy = OCT_NEW_N(scratch, struct oct_root *, p->nroots);
    const int64_t align = p->align;
    int n = 0;
    for (int i = 0; i < p->nroots; i++)
        if (p->root[i].kind == OCT_ROOT_ARENA) order[n++] = &p->root[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    p->arena_bytes = 0;
    for (int i = 0; i < n; i++) {
        int m = 0;
        for (int j = 0; j < i; j++)
            if (overlap(order[i], order[j])) busy[m++] = order[j];
        qsort(busy, (size_t)m, sizeof *busy, lower_first);
        int64_t need = (order[i]->bytes + align - 1) / align * align, at = 0, best = -1,
                gap = INT64_MAX;
        for (int j = 0; j <= m; j++) { /* the tightest gap that takes it, else the end */
            int64_t end = j < m ? busy[j]->offset : INT64_MAX;
            if (j == m && best < 0) best = at;
            if (j < m && end - at >= need && end - at < gap) best = at, gap = end - at;
            if (j < m) {
                int64_t past = (busy[j]->offset + busy[j]->bytes + align - 1) / align * align;
                if (past > at) at = past;
            }
        }
        order[i]->offset = best;
        if (best + need > p->arena_bytes) p->arena_bytes = best + need;
    }
    p->arena_lower_bound = 0;
    for (int s = 0; s < p->nsteps; s++) {
        int64_t live = 0;
        for (int i = 0; i < n; i++)
            if (order[i]->first <= s && s <= order[i]->last) live += order[i]->logical;
        if (live > p->arena_lower_bound) p->arena_lower_bound = live;
    }
}
