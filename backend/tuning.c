/* tuning.c - see tuning.h. Layers keep the layouts that the plan of the whole model gives them. */
#include "tuning.h"

#include <math.h>
#include <string.h>

enum {
    MOST_WAYS = 6, /* tried for a layer */
    WORSE = 2,     /* ways of which costs say that they are so many times worse are not tried, but for the best of each recipe */
    LINE = 64
};

struct tuner {
    struct oct_unit *u;
    struct oct_tuning *t;
    const struct oct_step **step; /* by layer */
    struct oct_kbuild *built;     /* by entry */
    int nbuilt;
};

static int64_t take(struct oct_tuning *t, int64_t bytes) {
    const int64_t at = t->arena_bytes;
    t->arena_bytes = (at + bytes + LINE - 1) / LINE * LINE;
    return at;
}
static bool is_memory(const struct oct_operand *x) { return x->node && x->node->op != OCT_OP_const; }
static int64_t bytes_of(const struct oct_operand *x) {
    return x->at.size * (int64_t)lp_elem_size(oct_k_elem(x->node->type.dtype));
}

/* ---- which ways are worth trying --------------------------------------------------------------------------------------------
 */

static bool is_same_recipe(const struct oct_way *a, const struct oct_way *b) {
    return a->kernel == b->kernel && a->recipe == b->recipe;
}
/* The cheapest that is not among the `n` before it; of a recipe that is not, if `fresh`. */
static const struct oct_way *next_way(const struct oct_ways *all, const struct oct_way *before, int n, bool fresh) {
    const struct oct_way *best = NULL;
    for (const struct oct_way *x = all->way; x < all->way + all->n; x++) {
        bool taken = false;
        for (int i = 0; i < n; i++)
            taken = taken || strcmp(x->text, before[i].text) == 0 || (fresh && is_same_recipe(x, &before[i]));
        if (!taken && (!best || x->cycles < best->cycles)) best = x;
    }
    return best;
}
/* The one that costs choose, the best of each other recipe that has a figure, then whatever is nearly as good. */
static int short_list(const struct oct_ways *all, struct oct_way *list) {
    int n = 0;
    for (int fresh = 1; fresh >= 0; fresh--)
        for (const struct oct_way *x; n < MOST_WAYS && (x = next_way(all, list, n, fresh)); list[n++] = *x)
            if (n && (fresh ? x->cycles == HUGE_VAL : !(x->cycles < (double)WORSE * list[0].cycles))) break;
    return n;
}

/* ---- the program -------------------------------------------------------------------------------------------------------------
 */

/* Codes that the operand can take, its zero point around them; floats in [-1, 1). */
static void fill(const struct oct_operand *x, unsigned char *to) {
    const struct oct_type *type = &x->node->type;
    const enum lp_elem e = oct_k_elem(type->dtype);
    const size_t size = lp_elem_size(e);
    int32_t lo = 0, hi = 0;
    if (e != LP_F32) oct_k_code_range(x->node, &lo, &hi);
    const int64_t zero = type->q ? oct_zero(type->q, 0) : 0;
    for (int64_t i = 0; i < x->at.size; i++) memcpy(to + (size_t)i * size, &zero, size); /* little-endian */
    for (int64_t i = 0; i < oct_layout_elements(&x->at); i++) {
        const uint64_t r = oct_random(1, (uint64_t)i);
        const float f = (float)(int32_t)(r >> 40) / 8388608.0f - 1;
        const int64_t code = lo + (int64_t)(r % (uint64_t)((int64_t)hi - lo + 1));
        memcpy(to + (size_t)oct_layout_place(&x->at, i) * size, e == LP_F32 ? (const void *)&f : &code, size);
    }
}

/* Builds the ways that are worth it of a layer. */
static bool add_layer(struct tuner *w, const struct oct_step *s, const char *key) {
    struct oct_ways all;
    struct oct_way way[MOST_WAYS];
    struct oct_tuning_layer *l = &w->t->layer[w->t->nlayers];
    oct_kernel_ways(&s->b, &all);
    *l = (struct oct_tuning_layer){.key = key, .name = s->node->name, .span = s->node->span, .first = w->nbuilt};
    w->step[w->t->nlayers++] = s;
    l->count = short_list(&all, way);
    for (int i = 0; i < l->count; i++) {
        struct oct_kbuild *b = &w->built[w->nbuilt++];
        *b = s->b;
        b->inplace = -1;
        b->way = way[i];
        b->fallback = (struct oct_text){0};
        if (!oct_kernel_build(b, b->way.kernel)) return false;
    }
    return true;
}

/* Where they find what: operands and result in places of the layer's own, all scratch memory in one. */
static void place_layer(struct tuner *w, struct oct_tuning_layer *l, int64_t *operand) {
    const struct oct_kbuild *b = &w->step[l - w->t->layer]->b;
    l->in = w->t->arena_bytes;
    for (int i = 0; i < b->nin; i++) operand[i] = is_memory(&b->in[i]) ? take(w->t, bytes_of(&b->in[i])) : -1;
    l->in_bytes = w->t->arena_bytes - l->in;
    l->out_bytes = bytes_of(&b->out);
    l->out = take(w->t, l->out_bytes);
}
static void add_entry(struct tuner *w, const struct oct_kbuild *b, const struct oct_tuning_layer *l, const int64_t *operand) {
    struct oct_program *p = w->u->program;
    struct oct_arg *arg = OCT_NEW_N(w->u->a, struct oct_arg, b->k->nbufs);
    for (int32_t i = 0; i < b->k->nbufs; i++) {
        const struct oct_bind *bind = &b->bind[i];
        switch (bind->kind) {
        case OCT_BIND_OPERAND: arg[i] = oct_arg(OCT_ARG_ARENA, operand[bind->index]); break;
        case OCT_BIND_RESULT: arg[i] = oct_arg(OCT_ARG_ARENA, l->out); break;
        case OCT_BIND_CONST: arg[i] = oct_arg(OCT_ARG_CONST, oct_program_constant(p, &b->constant[bind->index])); break;
        case OCT_BIND_SCRATCH: arg[i] = oct_arg(OCT_ARG_ARENA, bind->index); break;
        }
    }
    w->t->way[p->nentries] = b->way;
    oct_program_entry(p, w->u->a, b->way.kernel->name, b->k, b->way.text, l->name, arg);
}

static void make_program(struct tuner *w) {
    struct oct_unit *u = w->u;
    struct oct_tuning *t = w->t;
    struct oct_program *p = u->program = OCT_NEW(u->a, struct oct_program);
    int64_t scratch = 0, **operand = OCT_NEW_N(u->a, int64_t *, t->nlayers + 1);
    oct_program_open(p, u->a, u->opt->name, w->nbuilt);
    t->way = OCT_NEW_N(u->a, struct oct_way, w->nbuilt + 1);
    for (int i = 0; i < w->nbuilt; i++)
        if (w->built[i].scratch_bytes > scratch) scratch = w->built[i].scratch_bytes;
    take(t, scratch); /* at 0 */
    for (int i = 0; i < t->nlayers; i++) {
        struct oct_tuning_layer *l = &t->layer[i];
        operand[i] = OCT_NEW_N(u->a, int64_t, w->step[i]->b.nin + 1);
        place_layer(w, l, operand[i]);
        for (int j = 0; j < l->count; j++) add_entry(w, &w->built[l->first + j], l, operand[i]);
    }
    p->arena_bytes = t->arena_bytes;
    t->arena = oct_alloc(u->a, (size_t)t->arena_bytes);
    for (int i = 0; i < t->nlayers; i++)
        for (int o = 0; o < w->step[i]->b.nin; o++)
            if (operand[i][o] >= 0) fill(&w->step[i]->b.in[o], t->arena + operand[i][o]);
}

/* Has it several ways, in a shape that is not among those known? NULL: no. */
static const char *new_shape(const struct tuner *w, const struct oct_step *s, const struct oct_tuned *known) {
    if (s->kind != OCT_STEP_NODE || s->b.nways < 2) return NULL;
    const char *key = oct_tuned_key(w->u->a, &s->b);
    for (int i = 0; i < w->t->nlayers; i++)
        if (strcmp(w->t->layer[i].key, key) == 0) return NULL;
    return oct_tuned_find(known, key) ? NULL : key;
}

bool oct_tuning_make(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *m,
                     const struct oct_compile_options *options, const struct oct_tuned *known, struct oct_tuning *t) {
    struct oct_compile_options opt = *options;
    struct oct_unit u = {.cx = cx, .a = a, .opt = &opt};
    struct tuner w = {.u = &u, .t = t};
    opt.tuned = NULL;
    *t = (struct oct_tuning){0};
    if (!oct_unit_plan(&u, m)) return false;
    const int steps = u.plan.nsteps;
    t->layer = OCT_NEW_N(a, struct oct_tuning_layer, steps + 1);
    w.step = OCT_NEW_N(a, const struct oct_step *, steps + 1);
    w.built = OCT_NEW_N(a, struct oct_kbuild, steps * MOST_WAYS + 1);
    t->model_bytes = u.plan.arena_bytes;
    for (int i = 0; i < steps; i++) {
        const struct oct_step *s = &u.plan.step[i];
        const char *key = new_shape(&w, s, known);
        if (key && !add_layer(&w, s, key)) return false;
        for (int c = 0; c < s->b.nconstants; c++) t->model_bytes += oct_packed_bytes(&s->b.constant[c]);
    }
    make_program(&w);
    oct_program_finish(&u, &t->made);
    return true;
}
