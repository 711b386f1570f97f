/* walk.c - see walk.h. The model is cut where the passes that walk it stop. Each piece becomes a module of its own, whose inputs
 * are the kept values of earlier ones, and runs over the samples like any model (oct_run_dataset): the same bits for any number
 * of threads. dequantize is not kept but computed again where its result is read, so quantized values are kept as codes. */
#include <string.h>

#include "walk.h"

/* Of a node, as its tag. */
struct value {
    uint32_t at, last;                  /* place in the model, and of its last reader */
    const struct oct_input_data *input; /* of the data set; NULL: computed */
    struct oct_arena *mine;             /* holds data; NULL: not kept */
    const char *data;
    char *fill;            /* data, while it is computed */
    size_t bytes;          /* of one run */
    struct oct_node *copy; /* in the module of piece `segment` */
    uint32_t segment;
};

static struct value *value_of(const struct oct_walk *w, struct oct_node *n) {
    if (!n->tag) n->tag = OCT_NEW(w->env->scratch, struct value); /* the pass has made it since */
    return n->tag;
}

/* Computed anew where it is read: dequantize, and codes of a constant. */
static bool is_fleeting(const struct oct_node *n) {
    return n->op == OCT_OP_dequantize || (n->op == OCT_OP_quantize && oct_is_const(n->operand[0]));
}
static bool is_kept(const struct oct_node *n) { return n->op != OCT_OP_input && !oct_is_const(n) && !is_fleeting(n); }

static size_t bytes_of(const struct oct_type *t) { return (size_t)oct_type_elements(t, 1) * oct_dtype_size(t->dtype); }

static void take_inputs(struct oct_walk *w) {
    const struct oct_dataset *d = w->env->data;
    OCT_FOR_NODES(w->m, n)
    for (uint32_t i = 0; i < d->nin; i++)
        if (n->op == OCT_OP_input && !strcmp(d->in[i].input->name, n->name)) value_of(w, n)->input = &d->in[i];
}

int64_t oct_walk_plan(struct oct_walk *w, struct oct_pass_env *env, struct oct_module *m) {
    *w = (struct oct_walk){.env = env, .m = m, .done = m->first};
    w->runs = env->data->samples / oct_dataset_chunk(env->data->in, env->data->nin);
    uint32_t at = 0;
    OCT_FOR_NODES(m, n) n->tag = NULL;
    OCT_FOR_NODES(m, n) {
        struct value *v = value_of(w, n);
        v->at = ++at;
        v->bytes = bytes_of(&n->type);
        for (int i = 0; i < n->noperands; i++)
            for (struct oct_node *x = n->operand[i]; x; x = is_fleeting(x) ? x->operand[0] : NULL) value_of(w, x)->last = v->at;
    }
    int64_t *step = OCT_NEW_N(env->scratch, int64_t, at + 2), now = 0, most = 0;
    OCT_FOR_NODES(m, n) {
        const struct value *v = value_of(w, n);
        if (!is_kept(n) || v->last <= v->at) continue;
        step[v->at] += (int64_t)v->bytes;
        step[v->last + 1] -= (int64_t)v->bytes;
    }
    for (uint32_t i = 0; i < at + 2; i++) {
        now += step[i];
        if (now > most) most = now;
    }
    take_inputs(w);
    return most;
}

/* ---- one piece ------------------------------------------------------------------------------------------------------------ */

struct piece {
    struct oct_walk *w;
    struct oct_module *m;
    struct oct_input_data *in;
    uint32_t nin;
    int64_t chunk;
};

static bool copied(const struct piece *p, struct oct_node *x) { return value_of(p->w, x)->segment == p->w->segment; }

static struct oct_node *note(const struct piece *p, struct oct_node *x, struct oct_node *copy) {
    struct value *v = value_of(p->w, x);
    v->segment = p->w->segment;
    return v->copy = copy;
}

/* Copies x, whose operands are copied. */
static struct oct_node *copy_node(struct piece *p, struct oct_node *x) {
    struct oct_node **operand = OCT_NEW_N(p->m->arena, struct oct_node *, x->noperands);
    for (int i = 0; i < x->noperands; i++) operand[i] = x->operand[i] ? value_of(p->w, x->operand[i])->copy : NULL;
    return note(p, x, oct_make(p->m, x->op, x->name, operand, x->noperands, &x->at, &x->type, x->span));
}

/* A value that the piece reads: what it stands on is at most two fleeting ops away. */
static void bring(struct piece *p, struct oct_node *x) {
    struct oct_node *chain[4];
    int n = 0;
    for (; x && !copied(p, x); x = is_fleeting(x) ? x->operand[0] : NULL) {
        OCT_CHECK(p->w->env->cx, n < 4);
        chain[n++] = x;
    }
    while (n-- > 0) {
        struct oct_node *y = chain[n];
        if (is_fleeting(y)) copy_node(p, y);
        else if (oct_is_const(y))
            note(p, y, oct_build_const(p->m, oct_fresh_const_name(p->m, y->name), &y->type, y->data, y->span));
        else {
            const struct value *v = value_of(p->w, y);
            OCT_CHECK(p->w->env->cx, v->data || v->input);
            struct oct_input_data *in = &p->in[p->nin++];
            if (v->input) *in = *v->input;
            else in->data = v->data;
            in->input = note(p, y, oct_build_input(p->m, oct_fresh_value_name(p->m, y->name), &y->type, y->span));
        }
    }
}

static void keep(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *x) {
    (void)worker;
    const struct piece *p = user;
    const struct value *v = n->tag;
    if (v) memcpy(v->fill + (size_t)(first / p->chunk) * v->bytes, x->data, v->bytes);
}

bool oct_walk_to(struct oct_walk *w, struct oct_node *n) {
    const uint32_t at = value_of(w, n)->at;
    w->segment++;
    struct piece p = {.w = w, .m = oct_module_new(w->env->cx, "piece")};
    p.in = OCT_NEW_N(p.m->arena, struct oct_input_data, w->m->nnodes);
    bool any = false;
    for (struct oct_node *x = w->done; x != n; x = x->next) {
        if (!is_kept(x)) continue;
        for (int i = 0; i < x->noperands; i++)
            if (x->operand[i]) bring(&p, x->operand[i]);
        struct oct_node *copy = copy_node(&p, x);
        struct value *v = value_of(w, x);
        if (v->last < at) continue;
        v->mine = oct_arena_new(w->env->cx);
        v->data = v->fill = oct_alloc_n(v->mine, (size_t)w->runs, v->bytes);
        copy->tag = v;
        oct_add_output(p.m, copy->name, copy, x->span);
        any = true;
    }
    p.chunk = oct_dataset_chunk(p.in, p.nin);
    const bool ok = !any || oct_run_dataset(w->env->cx, p.m, p.in, p.nin, w->runs * p.chunk, keep, &p);
    oct_module_free(p.m);
    w->done = n;
    for (struct oct_node *x = w->m->first; x != n; x = x->next) {
        struct value *v = value_of(w, x);
        if (!v->mine || v->last >= at) continue;
        oct_arena_free(v->mine);
        v->mine = NULL;
        v->data = NULL;
    }
    return ok;
}

const void *oct_walk_data(const struct oct_walk *w, const struct oct_node *value) {
    while (is_fleeting(value)) value = value->operand[0];
    struct value *v = value->tag;
    if (v->input && !v->data) { /* dropped like any other by the next oct_walk_to that nobody reads it behind */
        v->mine = oct_arena_new(w->env->cx);
        v->data = v->fill = oct_alloc_n(v->mine, (size_t)w->runs, v->bytes);
        for (int64_t run = 0; run < w->runs; run++) oct_input_read(v->input, run, v->fill + (size_t)run * v->bytes);
    }
    return v->data;
}

void oct_walk_end(struct oct_walk *w) {
    OCT_FOR_NODES(w->m, n) {
        struct value *v = n->tag;
        if (v && v->mine) oct_arena_free(v->mine);
        n->tag = NULL;
    }
}
