/* shape_recurrent.c - shapes of lstm, gru, gather and dynamic_quantize. Requires infer.c. */
#include <string.h>

#include "hooks.h"
#include "infer.h"

bool shape_dynamic_quantize(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    (void)cx;
    const struct oct_type *x = &n->operand[0]->type;
    out->rank = n->at.part == OCT_part_codes ? x->rank : 0;
    memcpy(out->dim, x->dim, sizeof out->dim);
    return true;
}

/* A state of one step: [N,H]. */
static bool check_state(struct oct_ctx *cx, const struct oct_node *n, int i, int64_t batch, int64_t hidden) {
    if (!oct_has_operand(n, i)) return true;
    const struct oct_type *t = &n->operand[i]->type;
    if (t->rank == 2 && t->dim[0] == batch && t->dim[1] == hidden) return true;
    oct_misuse(cx, n, OCT_E2113, "initial state %s must be one row of %lld for each sample", oct_quoted(cx, n->operand[i]),
               (long long)hidden);
    oct_note_operand(cx, n, 0);
    return oct_note_operand(cx, n, i);
}

/* g[T,N,gates H] and r[gates H,H]; *h: H. */
static bool check_gates(struct oct_ctx *cx, const struct oct_node *n, int64_t gates, int64_t *h) {
    if (!oct_need_rank(cx, n, 0, 3, 3) || !oct_need_rank(cx, n, 1, 2, 2) || !oct_need_numbers(cx, n, 0, 2) ||
        !oct_need_numbers(cx, n, 1, 0))
        return false;
    const struct oct_type *g = &n->operand[0]->type, *r = &n->operand[1]->type;
    if (g->dim[0] == OCT_DIM_N) {
        oct_misuse(cx, n, OCT_E2119, "axis 0 is the batch, but steps follow each other along it");
        oct_note_operand(cx, n, 0);
        oct_help(cx, "transpose it to [steps,N,gates]");
        return false;
    }
    *h = r->dim[1];
    if (r->dim[0] == gates * *h && g->dim[2] == r->dim[0]) return true;
    oct_misuse(cx, n, OCT_E2114, "%lld gates of %lld want g[steps,N,%lld] and r[%lld,%lld]", (long long)gates, (long long)*h,
               (long long)(gates * *h), (long long)(gates * *h), (long long)*h);
    oct_note_operand(cx, n, 0);
    return oct_note_operand(cx, n, 1);
}

bool shape_lstm(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    int64_t h;
    if (!check_gates(cx, n, 4, &h)) return false;
    const struct oct_type *g = &n->operand[0]->type;
    out->rank = 3;
    out->dim[0] = g->dim[0] + 1;
    out->dim[1] = g->dim[1];
    out->dim[2] = h;
    return check_state(cx, n, 2, g->dim[1], h) && check_state(cx, n, 3, g->dim[1], h);
}

bool shape_gru(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    int64_t h;
    if (!check_gates(cx, n, 3, &h)) return false;
    const struct oct_type *g = &n->operand[0]->type, *b = oct_has_operand(n, 2) ? &n->operand[2]->type : NULL;
    out->rank = 3;
    out->dim[0] = g->dim[0];
    out->dim[1] = g->dim[1];
    out->dim[2] = h;
    if (b && (!n->at.reset_after || b->rank != 1 || b->dim[0] != h)) {
        oct_misuse(cx, n, OCT_E2113,
                   n->at.reset_after ? "bias %s must have %lld elements, as the state has"
                                     : "bias %s (%lld elements) has a place only under reset_after; add it to g",
                   oct_quoted(cx, n->operand[2]), (long long)h);
        return oct_note_operand(cx, n, 2);
    }
    return check_state(cx, n, 3, g->dim[1], h);
}

bool verify_recurrent(struct oct_ctx *cx, const struct oct_node *n) {
    for (int i = 1; i < n->noperands; i++)
        if (!oct_need_finite(cx, n, i)) return false;
    return true;
}

/* rows[...] of x[V,D...]: [...,D...] */
bool shape_gather(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type, *rows = &n->operand[1]->type;
    if (!oct_need_rank(cx, n, 0, 1, OCT_MAX_RANK) || !oct_need_numbers(cx, n, 0, 0)) return false;
    if (x->dim[0] < 1) return oct_misuse(cx, n, OCT_E2127, "table %s has no rows", oct_quoted(cx, n->operand[0]));
    if (rows->rank + x->rank - 1 > OCT_MAX_RANK)
        return oct_misuse(cx, n, OCT_E2107, "the result would have %d axes", rows->rank + x->rank - 1);
    out->rank = rows->rank + x->rank - 1;
    for (int i = 0; i < rows->rank; i++) out->dim[i] = rows->dim[i];
    for (int i = 1; i < x->rank; i++) out->dim[rows->rank + i - 1] = x->dim[i];
    return true;
}
