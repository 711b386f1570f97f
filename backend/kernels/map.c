/* map.c - see map.h. */
#include "map.h"

#include <string.h>

/* Where lane l of the first (second) operand lies after a pack: runs of 16 bytes of both alternate. */
static int packed(int l, int second, int lanes, int run) {
    if (run > lanes) run = lanes;
    return (2 * (l / run) + second) * run + l % run;
}

struct lp_val oct_k_bytes_of(struct oct_kbuild *b, int n, const struct lp_val *v, int32_t lo, int32_t hi) {
    struct lp_kernel *k = b->k;
    const enum oct_dtype t = b->node->type.dtype;
    const bool u = oct_k_elem(t) == LP_U8;
    const int lanes = v[0].type.lanes;
    struct lp_val half = lp_op2(k, NULL, LP_OP_packs32, v[0], v[n - 1]);
    if (lo > oct_dtype_min(t)) half = lp_op2(k, NULL, LP_OP_max, half, lp_int(LP_I16, lo));
    if (hi < oct_dtype_max(t)) half = lp_op2(k, NULL, LP_OP_min, half, lp_int(LP_I16, hi));
    struct lp_val all = lp_op2(k, NULL, u ? LP_OP_packus16 : LP_OP_packs16, half, half);
    uint8_t lane[64];
    for (int i = 0; i < n * lanes; i++) lane[i] = (uint8_t)packed(packed(i % lanes, i / lanes, lanes, 4), 0, 2 * lanes, 8);
    return lp_shuffle(k, "codes", all, all, n * lanes, lane);
}

void oct_k_chunks(struct oct_kbuild *b, const char *name, int64_t dim, int lanes, int fewest, int n, const int64_t *stride,
                  const struct lp_addr *at, oct_chunk_fn *fn, void *user) {
    struct lp_addr here[OCT_MAX_MAPPED];
    int64_t done = 0;
    OCT_CHECK(b->cx, n <= OCT_MAX_MAPPED);
    if (lanes > 1) b->k->isa = b->target->isa;
    while (done < dim) {
        while (lanes > 1 && (lanes > dim - done || lanes < fewest)) lanes = lanes / 2 < fewest ? 1 : lanes / 2;
        const int64_t count = (dim - done) / lanes;
        for (int i = 0; i < n; i++) here[i] = lp_offset(at[i], done * stride[i]);
        int32_t var = count > 1 ? lp_loop(b->k, name, count) : -1;
        for (int i = 0; i < n && count > 1; i++) here[i] = lp_plus(here[i], var, lanes * stride[i]);
        fn(b, user, lanes, here);
        if (count > 1) lp_end(b->k);
        done += count * lanes;
    }
}

void oct_k_say_lanes(struct oct_kbuild *b, int lanes) {
    const char *how = strcmp(b->recipe, "plain") == 0 ? "" : b->recipe;
    if (!strstr(how, " at once")) b->recipe = oct_sprintf(b->arena, "%s%s%d at once", how, *how ? ", " : "", lanes);
}

struct run {
    const struct oct_map *m;
    int64_t stride[OCT_MAX_MAPPED];
};

static void chunk(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct run *r = user;
    const struct oct_map *m = r->m;
    struct lp_kernel *k = b->k;
    struct lp_val x[OCT_MAX_MAPPED];
    for (int i = 1; i < m->n; i++) {
        const enum lp_elem e = k->buf[m->buf[i]].elem;
        x[i - 1] = lp_load(k, "x", r->stride[i] ? lp_vector(e, lanes) : lp_scalar(e), m->buf[i], at[i]);
        if (lanes > 1 && !r->stride[i]) x[i - 1] = lp_op1(k, "all", LP_OP_splat, lp_vector(e, lanes), x[i - 1]);
    }
    struct lp_val y = m->fn(b, m->user, x);
    const enum lp_elem to = k->buf[m->buf[0]].elem;
    if (y.type.elem != to) y = lp_op1(k, "code", LP_OP_cvt, lp_vector(to, lanes), y);
    lp_store(k, m->buf[0], at[0], y);
}

void oct_k_map(struct oct_kbuild *b, const struct oct_map *m) {
    struct oct_walk walk[OCT_MAX_RANK], one = {.dim = 1};
    struct lp_addr at[OCT_MAX_MAPPED];
    const int walks = oct_k_walks(m->n, m->at, 0, walk);
    const struct oct_walk *last = walks ? &walk[walks - 1] : &one;
    struct run r = {.m = m};
    bool neighbours = walks > 0;
    for (int i = 0; i < m->n; i++) {
        at[i] = lp_at(m->at[i]->offset);
        r.stride[i] = last->stride[i];
        neighbours &= last->stride[i] == 1 || (i > 0 && last->stride[i] == 0);
    }
    if (m->lanes > 1 && walks && !neighbours) oct_k_fallback(b, "scalar code: elements that are no neighbours in memory");
    else if (m->lanes > 1 && last->dim >= m->lanes) oct_k_say_lanes(b, m->lanes);
    oct_k_open(b, walks - 1, walk, m->n, at);
    oct_k_chunks(b, oct_k_axis_name(walks - 1), last->dim, neighbours ? m->lanes : 1, m->fewest ? m->fewest : OCT_FEWEST, m->n,
                 r.stride, at, chunk, &r);
    oct_k_close(b, walks - 1);
}
