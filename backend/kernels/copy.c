/* copy.c - elements from one layout to another of equal dims: runs of neighbours by vectors; where neighbours of one side are
 * none on the other, tiles that are turned in registers; a few planes to pixels. */
#include "map.h"

enum { VECTOR_BYTES = 16, MOST_LANES = VECTOR_BYTES }; /* of the vectors that are turned: interleaving crosses no 16 bytes */

struct copy {
    int32_t x, y;
    int n;      /* elements of such a vector; rows of a tile */
    int planes; /* of planes to pixels */
    /* Distance of the operand's elements that become neighbours, of the result's that were. */
    int64_t gather, scatter;
};

static struct lp_val same(struct oct_kbuild *b, void *user, const struct lp_val *x) {
    (void)b, (void)user;
    return x[0];
}

/* ---- planes to pixels: elements of a few planes, side by side in memory, become neighbours (images as models declare them)
 * ------ */

enum { MOST_PLANES = 4 };

static void interleave(struct oct_kbuild *b, void *user, int lanes, const struct lp_addr *at) {
    const struct copy *p = user;
    struct lp_kernel *k = b->k;
    struct lp_val v[MOST_PLANES];
    uint8_t lane[MOST_LANES];
    for (int c = 0; c < p->planes; c++)
        v[c] = lp_load(k, "plane", lp_vector(k->buf[p->x].elem, lanes), p->x, lp_offset(at[1], c * p->gather));
    for (int part = 0; part < p->planes; part++) {
        struct lp_val out = lanes > 1 ? v[0] : v[part];
        for (int c = 1; c < p->planes && lanes > 1; c++) { /* one plane more; first its lanes are put in order */
            for (int l = 0; l < lanes; l++) {
                const int e = part * lanes + l, from = e % p->planes, place = e / p->planes;
                lane[l] = (uint8_t)(from == c ? lanes + place : c > 1 ? l : from == 0 ? place : 0);
            }
            out = lp_shuffle(k, "pixels", out, v[c], lanes, lane);
        }
        lp_store(k, p->y, lp_offset(at[0], part * lanes), out);
    }
}
static bool copy_planes(struct oct_kbuild *b, const struct copy *c, int walks, const struct oct_walk *walk, struct lp_addr *at) {
    if (walks < 2) return false;
    const struct oct_walk *channel = &walk[walks - 1], *pixel = channel - 1;
    struct copy p = *c;
    p.planes = (int)channel->dim;
    p.gather = channel->stride[1];
    if (channel->dim > MOST_PLANES || channel->stride[0] != 1 || pixel->stride[0] != channel->dim || pixel->stride[1] != 1)
        return false;
    oct_k_say_lanes(b, p.n);
    oct_k_open(b, walks - 2, walk, 2, at);
    oct_k_chunks(b, oct_k_axis_name(walks - 2), pixel->dim, p.n, OCT_FEWEST, 2, pixel->stride, at, interleave, &p);
    oct_k_close(b, walks - 2);
    return true;
}

/* ---- tiles --------------------------------------------------------------------------------------------------------------------
 */

/* n rows of n elements; at[0]: the result's first, at[1]: the operand's. Each round takes the first bit of the row's number to
 * the end of the lane's, and the lane's first to the end of the row's. */
static void turn_tile(struct oct_kbuild *b, const struct copy *c, const struct lp_addr *at) {
    struct lp_kernel *k = b->k;
    const struct lp_type t = lp_vector(k->buf[c->x].elem, c->n);
    struct lp_val v[MOST_LANES], w[MOST_LANES];
    for (int r = 0; r < c->n; r++) v[r] = lp_load(k, "row", t, c->x, lp_offset(at[1], r * c->gather));
    for (int round = 1; round < c->n; round *= 2) {
        for (int i = 0; i < c->n; i++) {
            uint8_t lane[MOST_LANES];
            for (int l = 0; l < c->n; l++) lane[l] = (uint8_t)(l % 2 * c->n + i % 2 * c->n / 2 + l / 2);
            w[i] = lp_shuffle(k, "turned", v[i / 2], v[i / 2 + c->n / 2], c->n, lane);
        }
        for (int i = 0; i < c->n; i++) v[i] = w[i];
    }
    for (int r = 0; r < c->n; r++) lp_store(k, c->y, lp_offset(at[0], r * c->scatter), v[r]);
}

/* Tiles along the two axes; the last of an axis may overlap the one before. */
static void turn(struct oct_kbuild *b, const struct copy *c, const struct oct_walk *const *axis, int level,
                 const struct lp_addr *at) {
    static const char *const names[] = {"tile", "across"};
    if (level == 2) {
        turn_tile(b, c, at);
        return;
    }
    const struct oct_walk *w = axis[level];
    const int64_t whole = w->dim / c->n;
    struct lp_addr here[2];
    const int32_t var = whole > 1 ? lp_loop(b->k, names[level], whole) : -1;
    for (int i = 0; i < 2; i++) here[i] = whole > 1 ? lp_plus(at[i], var, c->n * w->stride[i]) : at[i];
    turn(b, c, axis, level + 1, here);
    if (whole > 1) lp_end(b->k);
    if (w->dim % c->n == 0) return;
    for (int i = 0; i < 2; i++) here[i] = lp_offset(at[i], (w->dim - c->n) * w->stride[i]);
    turn(b, c, axis, level + 1, here);
}

/* Where the result's innermost axis lies apart in the operand, whose own innermost axis lies apart in the result. */
static bool copy_turned(struct oct_kbuild *b, const struct copy *c, int walks, const struct oct_walk *walk, struct lp_addr *at) {
    struct oct_walk outer[OCT_MAX_RANK];
    const struct oct_walk *axis[2] = {walks ? &walk[walks - 1] : NULL, NULL};
    int n = 0;
    for (int i = 0; i < walks - 1; i++) {
        if (!axis[1] && walk[i].stride[1] == 1) axis[1] = &walk[i];
        else outer[n++] = walk[i];
    }
    if (!axis[1] || axis[0]->stride[0] != 1 || axis[0]->stride[1] < c->n || axis[0]->dim < c->n || axis[1]->dim < c->n)
        return false;
    struct copy turned = *c;
    turned.gather = axis[0]->stride[1];
    turned.scatter = axis[1]->stride[0];
    b->k->isa = b->target->isa;
    b->recipe = oct_sprintf(b->arena, "tiles of %d x %d", c->n, c->n);
    oct_k_open(b, n, outer, 2, at);
    turn(b, &turned, axis, 0, at);
    oct_k_close(b, n);
    return true;
}

void oct_k_copy(struct oct_kbuild *b, int32_t x, const struct oct_layout *from, int32_t y, const struct oct_layout *to) {
    const enum lp_elem e = b->k->buf[x].elem;
    const int lanes = oct_vec_lanes(b->target, e);
    struct oct_walk walk[OCT_MAX_RANK];
    const int walks = oct_k_walks(2, (const struct oct_layout *[]){to, from}, 0, walk);
    const struct copy c = {.x = x, .y = y, .n = VECTOR_BYTES / (int)lp_elem_size(e)};
    struct lp_addr at[2] = {lp_at(to->offset), lp_at(from->offset)};
    if (lanes > 1 && (copy_planes(b, &c, walks, walk, at) || copy_turned(b, &c, walks, walk, at))) return;
    const struct oct_map m = {.n = 2, .buf = {y, x}, .at = {to, from}, .lanes = lanes, .fn = same};
    oct_k_map(b, &m);
}
