/* report_match.c - which values of two models are compared, and the second model made to start every layer from the first one's
 * values, so that each layer shows the error of its own. */
#include <string.h>

#include "report.h"

enum { MOST_CHANNELS = 4096 };

static int64_t elements_of(const struct oct_node *n) { return oct_type_elements(&n->type, 1); }

/* The codes that B gives a value: its own, or, while quantizing is still a node of its own, those of a quantize that reads it. */
static const struct oct_type *codes_of(const struct oct_module *b, const struct oct_node *y) {
    if (y->type.q) return y->type.q->axis < 0 ? &y->type : NULL;
    OCT_FOR_NODES(b, n) {
        if (n->op == OCT_OP_quantize && n->operand[0] == y && n->type.q->axis < 0) return &n->type;
    }
    return NULL;
}

static struct drv_layer layer_of(struct drv *d, const struct oct_module *b, const char *name, const struct oct_node *x,
                                 const struct oct_node *y) {
    struct drv_layer l = {
        .name = name, .op = oct_op_info(y->op)->name, .from = y->at.from ? y->at.from : x->at.from, .a = x, .b = y};
    l.elements = elements_of(x);
    if (y->type.rank > 1 && y->type.dim[1] <= MOST_CHANNELS) {
        l.channels = y->type.dim[1];
        l.inner = 1;
        for (int i = 2; i < y->type.rank; i++) l.inner *= y->type.dim[i];
    }
    l.codes = codes_of(b, y);
    if (!l.codes) return l;
    const double scale = (double)oct_scale(l.codes->q, 0), zero = oct_zero(l.codes->q, 0);
    l.range[0] = scale * ((double)oct_dtype_min(l.codes->dtype) - zero);
    l.range[1] = scale * ((double)oct_dtype_max(l.codes->dtype) - zero);
    const double outside = (l.range[1] - l.range[0]) * (double)DRV_BINS_OUTSIDE / (DRV_BINS - 2 * DRV_BINS_OUTSIDE);
    l.bins = OCT_NEW(d->a, struct drv_bins);
    l.bins->lo = l.range[0] - outside;
    l.bins->hi = l.range[1] + outside;
    return l;
}

/* Values of the same name and size in both models, in A's order; then outputs of the same name. */
void drv_report_match(struct drv *d, const struct drv_comparison *c, struct drv_report *r) {
    const struct oct_module *a = c->a, *b = c->b;
    struct drv_layer *p = OCT_NEW_N(d->a, struct drv_layer, a->nnodes + a->noutputs);
    int n = 0;
    OCT_FOR_NODES(a, x) {
        const struct oct_node *y = x->op == OCT_OP_const ? NULL : oct_find_value(b, x->name);
        if (y && elements_of(x) == elements_of(y)) p[n++] = layer_of(d, b, x->name, x, y);
    }
    const int values = n;
    for (uint32_t i = 0; i < a->noutputs; i++)
        for (uint32_t k = 0; k < b->noutputs; k++) {
            const struct oct_node *x = a->output[i].node, *y = b->output[k].node;
            bool known = strcmp(a->output[i].name, b->output[k].name) != 0 || elements_of(x) != elements_of(y);
            for (int v = 0; v < values; v++) known = known || (p[v].a == x && p[v].b == y);
            if (!known) p[n++] = layer_of(d, b, a->output[i].name, x, y);
        }
    r->layer = p;
    r->nlayers = n;
}

/* Can a value of this type be made of real ones? */
static bool can_be_given(const struct oct_type *t) {
    return t->dtype == OCT_F32 || (t->q && t->dtype != OCT_I32 && t->dtype != OCT_I64);
}

/* The input for A's value, and what reads it instead of the value: itself, or its codes. */
static struct oct_node *give(struct oct_module *m, const struct oct_node *value, const struct oct_node **given) {
    struct oct_type real = value->type;
    real.dtype = OCT_F32;
    real.q = NULL;
    struct oct_node *x = oct_build_input(m, oct_fresh_value_name(m, "given"), &real, value->span);
    *given = x;
    if (!x || !value->type.q) return x;
    return oct_build(m, OCT_OP_quantize, oct_fresh_value_name(m, "codes"), &x, 1, NULL, &value->type, value->span);
}

bool drv_report_variant(struct drv *d, struct oct_module *m, const struct drv_report *r, bool (*shown)(const struct drv_layer *l),
                        struct drv_variant *out) {
    struct oct_node *const first = m->first;
    *out = (struct drv_variant){.m = m};
    out->given = OCT_NEW_N(d->a, const struct oct_node *, r->nlayers);
    out->value = OCT_NEW_N(d->a, const struct oct_node *, r->nlayers);
    OCT_FOR_NODES(m, n) n->tag = NULL;
    m->noutputs = 0;
    for (int i = 0; i < r->nlayers; i++) {
        const struct drv_layer *l = &r->layer[i];
        struct oct_node *value = oct_find_value(m, l->b->name);
        if (!value || elements_of(value) != l->elements) continue;
        if (value->op != OCT_OP_input && shown(l)) {
            out->value[i] = value;
            oct_add_output(m, oct_sprintf(d->a, "value_%d", i), value, value->span);
        }
        if (value->tag || !can_be_given(&value->type)) continue;
        m->cursor = first;
        value->tag = give(m, value, &out->given[i]);
        if (!value->tag) return false;
    }
    for (struct oct_node *n = first; n; n = n->next)
        for (int k = 0; k < n->noperands; k++)
            if (n->operand[k] && n->operand[k]->tag) n->operand[k] = n->operand[k]->tag;
    m->cursor = NULL;
    struct oct_pass_env env = {.cx = d->cx, .m = m, .scratch = d->a};
    oct_module_settle(m);
    if (!oct_pass_find("dce")->run(&env, m)) return false;
    oct_module_settle(m);
    return true;
}
