/* recipe.c - see recipe.h. */
#include "recipe.h"

#include <inttypes.h>
#include <stdio.h>

#include "../../ir/sat16.h"
#include "layer.h"

struct oct_recipes oct_recipes_of(const struct oct_kbuild *b, const struct oct_shape *s, struct oct_arena *a) {
    struct oct_recipes r = {.b = b, .outputs = b->in[1].node->type.dim[0], .rows = s->kh, .length = s->kw * s->c};
    int32_t hi;
    oct_layer_codes(b, &r.lowest, &hi);
    r.range = hi - r.lowest;
    r.direct = s->flat && oct_k_elem(b->in[0].node->type.dtype) == LP_U8 && r.lowest == 0 && s->in_channel == 1 &&
               s->c % OCT_SAT16_QUAD == 0;
    r.w = oct_layer_rows(b, a);
    r.most = OCT_NEW_N(a, uint8_t, r.outputs);
    for (int64_t o = 0; o < r.outputs; o++)
        for (int n = 1; n <= OCT_RECIPE_MOST; n *= 2) {
            if (!oct_sat16_exact(oct_sat16_reach(r.w + o * r.rows * r.length, r.rows, r.length, r.range, n))) break;
            r.most[o] = (uint8_t)n;
        }
    return r;
}

bool oct_recipe_at(const struct oct_target *t, int i, int *how) {
    if (i == 0) *how = OCT_PAIRS;
    else if (t->isa == LP_ISA_VNNI) *how = OCT_DOT4;
    else *how = 1 << (i - 1);
    return t->isa == LP_ISA_VNNI ? i < 2 : *how <= OCT_RECIPE_MOST;
}

const char *oct_recipe_name(int how, char to[8]) {
    if (how == OCT_PAIRS) *to = 0;
    else if (how == OCT_DOT4) snprintf(to, 8, "dot4");
    else if (how == 1) snprintf(to, 8, "b");
    else snprintf(to, 8, "%c%d", how <= OCT_DOTS_AT_ONCE ? 'b' : 'c', how);
    return to;
}

bool oct_recipe_fits(const struct oct_recipes *r, int how, int64_t first, int64_t outputs) {
    for (int64_t o = first; o < first + outputs && o < r->outputs; o++)
        if (how > r->most[o]) return false;
    return true;
}

void oct_recipe_explain(const struct oct_recipes *r, struct oct_kbuild *b, int how, int64_t block) {
    if (how == OCT_DOT4) return;
    const int n = how == OCT_PAIRS ? 1 : how; /* pairs: what the first of the cheap ones would reach */
    int64_t reach[2] = {0, 0}, blocks[2] = {0, 0};
    for (int64_t first = 0; first < r->outputs; first += block) {
        const bool fits = oct_recipe_fits(r, n, first, block);
        blocks[fits]++;
        for (int64_t o = first; o < first + block && o < r->outputs; o++) {
            const struct oct_sat16 s = oct_sat16_reach(r->w + o * r->rows * r->length, r->rows, r->length, r->range, n);
            if (s.most > reach[fits]) reach[fits] = s.most;
            if (-s.least > reach[fits]) reach[fits] = -s.least;
        }
    }
    const char *what = n == 1 ? "sums of two products" : oct_sprintf(b->arena, "sums of %d products", 2 * n);
    if (how != OCT_PAIRS && blocks[1])
        oct_text_addf(&b->proof, "|%s| <= %" PRId64 " < 2^15 in %" PRId64 " of %" PRId64 " blocks of channels. ", what, reach[1],
                      blocks[1], blocks[0] + blocks[1]);
    if (how == OCT_PAIRS && blocks[0])
        oct_text_addf(&b->proof, "Bytes refused in %" PRId64 " of %" PRId64 " blocks: |%s| may reach %" PRId64 " >= 2^15. ",
                      blocks[0], blocks[0] + blocks[1], what, reach[0]);
    if (how != OCT_PAIRS && blocks[0])
        oct_k_fallback(b, "pairs of 16 bits in %" PRId64 " of %" PRId64 " blocks of channels: %s may reach %" PRId64, blocks[0],
                       blocks[0] + blocks[1], what, reach[0]);
}
