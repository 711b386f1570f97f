/* pack.c - the generic packer of constants (dims, pad, permutation, transform) and its inverse. */
#include <string.h>

#include "kernels.h"

int64_t oct_pack_elements(const struct oct_pack *p) {
    int64_t n = 1;
    for (int i = 0; i < p->ndims; i++) n *= p->d[i].extent;
    return n;
}

enum lp_elem oct_pack_elem(const struct oct_pack *p, enum lp_elem source) {
    return p->transform == OCT_PACK_WIDEN16 ? LP_I16 : source;
}

/* Source element of packed place `i`, or -1: padding. */
static int64_t source_of(const struct oct_pack *p, int64_t i) {
    int64_t at[OCT_MAX_RANK] = {0};
    for (int k = p->ndims - 1; k >= 0; k--) {
        at[p->d[k].axis] += i % p->d[k].extent * p->d[k].step;
        i /= p->d[k].extent;
    }
    int64_t s = 0;
    for (int a = 0; a < p->rank; a++) {
        if (at[a] < 0 || at[a] >= p->dim[a]) return -1;
        s = s * p->dim[a] + (p->perm[a] ? p->perm[a][at[a]] : at[a]);
    }
    return s;
}

void *oct_pack_data(struct oct_arena *a, const struct oct_pack *p, enum lp_elem elem, const void *source) {
    const int64_t n = oct_pack_elements(p);
    const size_t size = lp_elem_size(elem), out_size = lp_elem_size(oct_pack_elem(p, elem));
    char *out = oct_alloc_n(a, (size_t)n, out_size);
    for (int64_t i = 0; i < n; i++) {
        int64_t s = source_of(p, i);
        if (p->transform == OCT_PACK_WIDEN16) {
            int16_t v = (int16_t)(s < 0 ? p->pad : elem == LP_U8 ? ((const uint8_t *)source)[s] : ((const int8_t *)source)[s]);
            memcpy(out + (size_t)i * out_size, &v, sizeof v);
        } else if (s >= 0) {
            memcpy(out + (size_t)i * size, (const char *)source + (size_t)s * size, size);
        } else if (elem != LP_F32 && elem != LP_F64) {     /* a float's padding is 0, as allocated */
            memcpy(out + (size_t)i * size, &p->pad, size); /* little-endian, as all data here */
        }
    }
    return out;
}

bool oct_unpack_data(const struct oct_pack *p, enum lp_elem elem, const void *packed, void *source) {
    int64_t total = 1;
    for (int a = 0; a < p->rank; a++) total *= p->dim[a];
    const size_t size = lp_elem_size(elem), in_size = lp_elem_size(oct_pack_elem(p, elem));
    const int64_t n = oct_pack_elements(p);
    /* Seen: the packed place that gave each element; a second pass finds disagreement without memory of its own. */
    int64_t found = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            int64_t s = source_of(p, i);
            if (s < 0) continue;
            char v[8];
            memcpy(v, (const char *)packed + (size_t)i * in_size,
                   in_size); /* little-endian: the low byte of a widened code comes first */
            char *to = (char *)source + (size_t)s * size;
            if (pass == 0) memcpy(to, v, size);
            else if (memcmp(to, v, size) != 0) return false;
        }
    for (int64_t s = 0; s < total; s++) { /* every source element occurs */
        bool there = false;
        for (int64_t i = 0; i < n && !there; i++) there = source_of(p, i) == s;
        found += there;
    }
    return found == total;
}
