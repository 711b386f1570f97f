/* layout.c - physical layouts: row-major, NHWC with a border, broadcast views, and two shapes of the same elements. */
#include "kernels.h"

int64_t oct_layout_elements(const struct oct_layout *at) {
    int64_t n = 1;
    for (int a = 0; a < at->rank; a++) n *= at->dim[a];
    return n;
}

void oct_layout_plain(struct oct_layout *at, int rank, const int64_t *dim) {
    *at = (struct oct_layout){.rank = rank, .size = 1};
    for (int a = rank - 1; a >= 0; a--) {
        at->dim[a] = dim[a];
        at->stride[a] = at->size;
        at->size *= dim[a];
    }
}

void oct_layout_nhwc(struct oct_layout *at, const int64_t *dim, const int64_t *border) {
    int64_t rows = dim[2] + border[0] + border[2], cols = dim[3] + border[1] + border[3];
    *at = (struct oct_layout){.rank = 4, .dim = {dim[0], dim[1], dim[2], dim[3]}};
    at->stride[1] = 1;
    at->stride[3] = dim[1];
    at->stride[2] = cols * dim[1];
    at->stride[0] = rows * at->stride[2];
    at->offset = border[0] * at->stride[2] + border[1] * at->stride[3];
    at->size = dim[0] * at->stride[0];
    for (int i = 0; i < 4; i++) at->border[i] = border[i];
}

void oct_layout_outer(struct oct_layout *at, const struct oct_type *t, enum oct_io_layout io) {
    static const int64_t none[4] = {0};
    if (t->rank == 4 && io == OCT_LAYOUT_NHWC) oct_layout_nhwc(at, t->dim, none);
    else oct_layout_plain(at, t->rank, t->dim);
}

int64_t oct_layout_place(const struct oct_layout *at, int64_t i) {
    int64_t place = at->offset;
    for (int a = at->rank - 1; a >= 0; a--, i /= at->dim[a + 1]) place += i % at->dim[a] * at->stride[a];
    return place;
}

struct oct_layout oct_layout_broadcast(const struct oct_layout *from, const struct oct_layout *to) {
    struct oct_layout r = {.rank = to->rank, .offset = from->offset, .size = from->size};
    for (int a = 0; a < to->rank; a++) {
        int f = a - (to->rank - from->rank);
        r.dim[a] = to->dim[a];
        r.stride[a] = f >= 0 && from->dim[f] == to->dim[a] ? from->stride[f] : 0;
    }
    return r;
}

bool oct_layout_same(const struct oct_layout *a, const struct oct_layout *b) {
    if (a->rank != b->rank || a->offset != b->offset) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i] || (a->dim[i] > 1 && a->stride[i] != b->stride[i])) return false;
    return true;
}

/* Walks both shapes from the last axis: as long as one axis divides what is left of the other, it becomes a finer axis of both.
 */
bool oct_layout_refine(const struct oct_layout *a, const struct oct_layout *b, struct oct_layout *fine_a,
                       struct oct_layout *fine_b) {
    int64_t dim[2 * OCT_MAX_RANK], sa[2 * OCT_MAX_RANK], sb[2 * OCT_MAX_RANK];
    int n = 0, i = a->rank - 1, j = b->rank - 1;
    int64_t left_a = 1, left_b = 1, step_a = 0, step_b = 0; /* what is left of the two axes at hand, and their steps */
    for (;;) {
        while (left_a == 1 && i >= 0) left_a = a->dim[i], step_a = a->stride[i], i--;
        while (left_b == 1 && j >= 0) left_b = b->dim[j], step_b = b->stride[j], j--;
        if (left_a == 1 && left_b == 1) break;
        int64_t d = left_a < left_b ? left_a : left_b;
        if (left_a % d || left_b % d) return false;
        dim[n] = d, sa[n] = step_a, sb[n] = step_b, n++;
        left_a /= d, step_a *= d, left_b /= d, step_b *= d;
    }
    /* innermost first so far; neighbours that merge in both keep the number of axes within OCT_MAX_RANK */
    int m = 0;
    for (int k = 0; k < n; k++) {
        if (m > 0 && sa[k] == sa[m - 1] * dim[m - 1] && sb[k] == sb[m - 1] * dim[m - 1]) {
            dim[m - 1] *= dim[k];
        } else {
            dim[m] = dim[k], sa[m] = sa[k], sb[m] = sb[k], m++;
        }
    }
    if (m > OCT_MAX_RANK) return false;
    *fine_a = (struct oct_layout){.rank = m, .offset = a->offset, .size = a->size};
    *fine_b = (struct oct_layout){.rank = m, .offset = b->offset, .size = b->size};
    for (int k = 0; k < m; k++) {
        fine_a->dim[k] = fine_b->dim[k] = dim[m - 1 - k];
        fine_a->stride[k] = sa[m - 1 - k];
        fine_b->stride[k] = sb[m - 1 - k];
    }
    return true;
}
