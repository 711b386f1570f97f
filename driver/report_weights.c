/* report_weights.c - what rounding did to the weights: those of B's linear ops beside those of A, to which the passes before
 * observers are applied, so that both have batch norms folded in. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static double weight(const struct oct_node *w, int64_t i, int64_t channel) {
    if (w->type.dtype == OCT_F32) return (double)((const float *)w->data)[i];
    const struct oct_quant *q = w->type.q;
    const uint32_t k = q->axis < 0 ? 0 : (uint32_t)channel;
    return (double)oct_scale(q, k) * (double)(oct_load_int(w->type.dtype, w->data, i) - oct_zero(q, k));
}

static int rising(const void *x, const void *y) {
    return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
}

static void compare_weights(struct drv *d, const struct oct_node *a, const struct oct_node *b, struct drv_weight_figures *f) {
    const int64_t channels = b->type.dim[0], each = oct_type_elements(&b->type, 1) / channels;
    double signal = 0, noise = 0, *largest = OCT_NEW_N(d->a, double, channels);
    f->worst_db = INFINITY;
    for (int64_t c = 0; c < channels; c++) {
        double s = 0, e2 = 0;
        for (int64_t i = c * each; i < (c + 1) * each; i++) {
            const double x = weight(a, i, c), e = weight(b, i, c) - x;
            s += x * x;
            e2 += e * e;
            if (fabs(x) > largest[c]) largest[c] = fabs(x);
        }
        signal += s;
        noise += e2;
        if (s > 0 && drv_decibels(s, e2) < f->worst_db) f->worst_db = drv_decibels(s, e2);
    }
    qsort(largest, (size_t)channels, sizeof *largest, rising);
    const double few = largest[channels / 10],
                 middle = largest[channels / 2]; /* not the very least: dead channels cost nothing */
    f->spread = few > 0 ? middle / few : 1;
    f->known = true;
    f->tensor = b->type.q->axis < 0;
    f->bits = 0;
    for (int64_t codes = oct_dtype_max(b->type.dtype) - oct_dtype_min(b->type.dtype); codes; codes >>= 1) f->bits++;
    f->sqnr_db = drv_decibels(signal, noise);
}

/* The weight of a linear op, when it is a constant with one parameter set for all or for each output channel. */
static const struct oct_node *weight_of(const struct oct_node *n) {
    if (!n || !(oct_op_info(n->op)->flags & OCT_LINEAR)) return NULL;
    const struct oct_node *w = n->operand[1];
    if (w->op == OCT_OP_dequantize) w = w->operand[0];
    if (w->op != OCT_OP_const || w->type.rank == 0) return NULL;
    return w->type.dtype == OCT_F32 || (w->type.q && w->type.q->axis <= 0 && w->type.q->block == 0) ? w : NULL;
}

/* What B's weight stands for, as floats. */
static const void *as_floats(struct oct_module *m, const struct oct_node *w) {
    const int64_t n = oct_type_elements(&w->type, 1), each = n / w->type.dim[0];
    float *f = OCT_NEW_N(m->arena, float, n);
    for (int64_t i = 0; i < n; i++) f[i] = (float)weight(w, i, i / each);
    return f;
}

static bool is_weighed(const struct drv_layer *l) { return l->weight.known; }

bool drv_report_weights(struct drv *d, const struct drv_comparison *c, struct drv_report *r, struct drv_variant *weighed) {
    struct oct_module *folded = drv_report_float(d, c->a, false);
    bool any = false;
    *weighed = (struct drv_variant){0};
    if (!folded) return false;
    for (int i = 0; i < r->nlayers; i++) {
        struct oct_node *x = oct_find_value(folded, r->layer[i].name);
        const struct oct_node *a = weight_of(x), *b = weight_of(r->layer[i].b);
        if (!a || !b || !b->type.q || !oct_shape_equal(&a->type, &b->type)) continue;
        compare_weights(d, a, b, &r->layer[i].weight);
        any = true;
        if (a->type.dtype != OCT_F32) continue;
        folded->cursor = x;
        x->operand[1] = oct_build_const(folded, oct_fresh_const_name(folded, "weights"), &a->type, as_floats(folded, b), x->span);
    }
    return !any || drv_report_variant(d, folded, r, is_weighed, weighed);
}
