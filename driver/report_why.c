/* report_why.c - why a layer lost what it lost, and what to try: rules over measured shares of its error (docs/reports.md states
 * them with the same thresholds). */
#include <math.h>
#include <string.h>

#include "report.h"

/* A cause is named from this share of a layer's own error on, and the largest one always. */
static const double NAMED = 0.3;
static const double INHERITED = 0.5; /* share of a value's error from which its origin is named */
static const double FEW_CODES = 0.25, SPREAD = 3, SHIFT = 0.2;

static void find(struct drv_layer *l, const char *why, const char *advice) {
    if (l->nfindings < DRV_FINDINGS) l->finding[l->nfindings++] = (struct drv_finding){why, advice};
}

/* Of the layer's operands, seen through nodes that only change how values are written, the compared one with the least SQNR, in
 * the whole model or, alone, in its own codes. */
static const struct drv_layer *worst_input(const struct drv_report *r, const struct drv_layer *l, bool alone) {
    const struct drv_layer *worst = NULL;
    double least = INFINITY;
    for (int k = 0; k < l->b->noperands; k++) {
        const struct oct_node *x = l->b->operand[k];
        const struct drv_layer *found = NULL;
        while (x && !found) {
            for (int i = 0; i < r->nlayers && !found; i++)
                if (r->layer[i].b == x) found = &r->layer[i];
            x = oct_op_info(x->op)->flags & OCT_QDQ ? x->operand[0] : NULL;
        }
        const double db = !found  ? INFINITY
                          : alone ? drv_decibels(found->signal, found->rounding + found->clipping)
                                  : drv_layer_sqnr(found);
        if (found && db < least) worst = found, least = db;
    }
    return worst;
}

/* Share of the codes' range that holds all but a thousandth of the values: the bins at both ends that can go. */
static double used_range(const struct drv_bins *b) {
    uint64_t total = b->below + b->above, out = 0;
    int lo = DRV_BINS_OUTSIDE, hi = DRV_BINS - DRV_BINS_OUTSIDE;
    for (int i = 0; i < DRV_BINS; i++) total += b->count[i];
    for (;;) {
        const bool low = b->count[lo] <= b->count[hi - 1];
        const uint64_t less = low ? b->count[lo] : b->count[hi - 1];
        if (lo == hi - 1 || (double)(out + less) > (double)total / 1000) break;
        out += less;
        if (low) lo++;
        else hi--;
    }
    return (double)(hi - lo) / (DRV_BINS - 2 * DRV_BINS_OUTSIDE);
}

/* Parts of the layer's own error, each measured by itself; the inputs get what is left. */
struct causes {
    double clipping, rounding, weights, inputs;
};
static struct causes causes_of(const struct drv_layer *l, double own) {
    struct causes c = {l->clipping / own, l->rounding / own, l->is_weighed ? l->weighed / own : 0, 0};
    if (l->is_alone) c.inputs = fmax(0, 1 - c.clipping - c.rounding - c.weights);
    return c;
}

static void clipping(struct drv *d, struct drv_layer *l, double share) {
    find(l,
         oct_sprintf(d->a, "%.3g %% of its values lie beyond [%.4g, %.4g]: %.0f %% of its own error", 100 * drv_layer_clipped(l),
                     l->range[0], l->range[1], 100 * share),
         "a wider range: act_observer=minmax, or calibration data that hold such values");
}

static void rounding(struct drv *d, struct drv_layer *l, double share) {
    const double used = l->bins ? used_range(l->bins) : 1;
    const int bits = (int)(8 * oct_dtype_size(l->codes->dtype));
    if (used <= FEW_CODES)
        find(l,
             oct_sprintf(d->a, "rounding to its %d bits, of which 99.9 %% of the values use %.0f %%: %.0f %% of its own error",
                         bits, 100 * used, 100 * share),
             "a narrower range: act_observer=mse or percentile");
    else
        find(l, oct_sprintf(d->a, "rounding to its %d bits: %.0f %% of its own error", bits, 100 * share),
             bits < 16 ? "act=i16, or act=float" : "act=float");
}

static void weights(struct drv *d, struct drv_layer *l, double share) {
    const struct drv_weight_figures *w = &l->weight;
    if (w->tensor && w->spread >= SPREAD)
        find(l,
             oct_sprintf(
                 d->a,
                 "one scale for weights of channels that differ %.3g-fold (largest weights, median to smallest tenth; the worst "
                 "channel keeps %.1f dB): %.0f %% of its own error",
                 w->spread, w->worst_db, 100 * share),
             "granularity=channel; where one scale is a must, equalize weights across layers: --repair cle");
    else
        find(l,
             oct_sprintf(d->a, "weights of %d bits (%.1f dB, %.1f dB in the worst channel): %.0f %% of its own error", w->bits,
                         w->sqnr_db, w->worst_db, 100 * share),
             w->tensor ? "granularity=channel, weight_observer=mse, or --repair adaround"
                       : "weight_observer=mse, --repair adaround, or more bits");
}

/* An operand that is compared with nothing: its error counts as the layer's. */
static const struct oct_node *unmatched(const struct drv_report *r, const struct drv_layer *l) {
    for (int k = 0; k < l->b->noperands; k++) {
        const struct oct_node *x = l->b->operand[k];
        bool matched = !x || x->op == OCT_OP_const || (oct_op_info(x->op)->flags & OCT_QDQ);
        for (int i = 0; i < r->nlayers && !matched; i++) matched = r->layer[i].b == x;
        if (!matched) return x;
    }
    return NULL;
}

static void inputs(struct drv *d, const struct drv_report *r, struct drv_layer *l, double share) {
    const struct drv_layer *in = worst_input(r, l, true);
    const struct oct_node *apart = unmatched(r, l);
    struct oct_text t;
    oct_text_init(&t, d->a);
    oct_text_add(&t, "rounding of its inputs");
    if ((oct_op_info(l->b->op)->flags & OCT_LINEAR) && !l->is_weighed) oct_text_add(&t, " and weights");
    if (in) oct_text_addf(&t, ", foremost '%s' (%.1f dB)", in->name, drv_decibels(in->signal, in->rounding + in->clipping));
    if (apart) oct_text_addf(&t, ", with all of '%s' before it, of which the other model has no equal", apart->name);
    oct_text_addf(&t, ": %.0f %% of its own error", 100 * share);
    find(l, t.s, apart ? NULL : "a better range or more bits there: act_observer, act=i16");
}

static void explain(struct drv *d, const struct drv_report *r, struct drv_layer *l) {
    const double own = l->is_alone ? l->alone : l->rounding + l->clipping;
    if (l->noise == 0 || !(own > 0)) return;
    const struct causes c = causes_of(l, own);
    const double most = fmax(fmax(c.clipping, c.rounding), fmax(c.weights, c.inputs));
    if (c.clipping == most || c.clipping >= NAMED) clipping(d, l, c.clipping);
    if (l->weight.known && c.weights > 0 && (c.weights == most || c.weights >= NAMED)) weights(d, l, c.weights);
    if (c.rounding > 0 && (c.rounding == most || c.rounding >= NAMED)) rounding(d, l, c.rounding);
    if (c.inputs > 0 && (c.inputs == most || c.inputs >= NAMED)) inputs(d, r, l, c.inputs);
    if (l->is_alone && l->shift >= SHIFT * own)
        find(l, oct_sprintf(d->a, "a mean shift of channels is %.0f %% of its own error", 100 * l->shift / own), "--repair bias");
    const struct drv_layer *from = worst_input(r, l, false);
    if (l->is_alone && own <= (1 - INHERITED) * l->noise)
        find(l,
             oct_sprintf(d->a, "%.0f %% of the error that its value has in the whole model comes with its inputs%s",
                         100 * (1 - own / l->noise),
                         from ? oct_sprintf(d->a, ", foremost '%s' (%.1f dB)", from->name, drv_layer_sqnr(from)) : ""),
             NULL);
}

/* What harms most first: by the effect on the output, where it was measured; what has no error of its own last. */
static double harm(const struct drv_layer *l) {
    return l->reached > 0 ? drv_layer_effect(l) : l->is_alone ? drv_layer_alone(l) : INFINITY;
}

void drv_report_explain(struct drv *d, struct drv_report *r) {
    r->worst = OCT_NEW_N(d->a, int, r->nlayers);
    for (int i = 0; i < r->nlayers; i++) {
        explain(d, r, &r->layer[i]);
        int at = i; /* insertion: equal ones stay in order */
        for (; at > 0 && harm(&r->layer[i]) < harm(&r->layer[r->worst[at - 1]]); at--) r->worst[at] = r->worst[at - 1];
        r->worst[at] = i;
    }
}
