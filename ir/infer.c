/* infer.c - the type of one node: counts operands, checks attributes, then asks forms.c for the element type, the op's shape hook
 * for the dimensions and its verify hook for the rest. Requires the tables. Every misuse is reported with both sides named. */
#include <limits.h>
#include <string.h>

#include "infer.h"

/* ---- words of diagnostics ---- */

bool oct_misuse(struct oct_ctx *cx, const struct oct_node *n, enum oct_diag_id id, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, oct_own(cx));
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(cx, n->span, id, "%s: %s", oct_op_info(n->op)->name, t.s);
    return false;
}

const char *oct_quoted(struct oct_ctx *cx, const struct oct_node *n) {
    return oct_sprintf(oct_own(cx), "'%s%s'", n->op == OCT_OP_const ? "@" : "", n->name ? n->name : "?");
}

const char *oct_typed(struct oct_ctx *cx, const struct oct_node *n) { return oct_type_text(oct_own(cx), &n->type); }

bool oct_note_operand(struct oct_ctx *cx, const struct oct_node *n, int i) {
    const struct oct_node *x = n->operand[i];
    oct_note(cx, x->span, "%s is %s, defined here", oct_quoted(cx, x), oct_typed(cx, x));
    return false;
}

/* ---- what hooks ask for ---- */

static const char *operand_name(const struct oct_node *n, int i) {
    const struct oct_op_info *info = oct_op_info(n->op);
    return info->operands[info->max_operands == INT_MAX ? 0 : i];
}

bool oct_need_rank(struct oct_ctx *cx, const struct oct_node *n, int operand, int least, int most) {
    const int rank = n->operand[operand]->type.rank;
    if (rank >= least && rank <= most) return true;
    const char *want = oct_sprintf(oct_own(cx),
                                   least == most          ? "%d"
                                   : most >= OCT_MAX_RANK ? "%d or more"
                                                          : "%d to %d",
                                   least, most);
    oct_misuse(cx, n, OCT_E2104, "'%s' must have %s axes, but %s has %d", operand_name(n, operand), want,
               oct_quoted(cx, n->operand[operand]), rank);
    return oct_note_operand(cx, n, operand);
}

bool oct_need_numbers(struct oct_ctx *cx, const struct oct_node *n, int operand, int from) {
    const struct oct_type *t = &n->operand[operand]->type;
    for (int i = from; i < t->rank; i++)
        if (t->dim[i] == OCT_DIM_N) {
            oct_misuse(cx, n, OCT_E2106, "axis %d of '%s' must be a number, not N", i, operand_name(n, operand));
            return oct_note_operand(cx, n, operand);
        }
    return true;
}

bool oct_need_finite(struct oct_ctx *cx, const struct oct_node *n, int operand) {
    if (!oct_has_operand(n, operand)) return true;
    const struct oct_node *c = n->operand[operand];
    const float *x = c->data;
    if (!x || c->type.dtype != OCT_F32) return true;
    const int64_t elements = oct_type_elements(&c->type, 1);
    float sum = 0; /* of zeros, but for NaN and infinity: quick to rule out */
    for (int64_t i = 0; i < elements; i++) sum += x[i] - x[i];
    if (sum == 0) return true;
    int64_t at = 0;
    while (isfinite(x[at])) at++;
    oct_misuse(cx, n, OCT_E2308, "%s holds %g at element %lld", oct_quoted(cx, c), (double)x[at], (long long)at);
    return oct_note_operand(cx, n, operand);
}

bool oct_resolve_axis(struct oct_ctx *cx, const struct oct_node *n, int rank, int64_t *axis) {
    if (*axis >= -rank && *axis < rank) {
        if (*axis < 0) *axis += rank;
        return true;
    }
    oct_misuse(cx, n, OCT_E2117, "axis %s%lld is not among the %d axes", *axis == OCT_DIM_N ? "N = " : "", (long long)*axis,
               rank);
    if (oct_has_operand(n, 0)) oct_note_operand(cx, n, 0);
    if (rank) oct_help(cx, "axes count from 0 to %d, or from -%d to -1", rank - 1, rank);
    return false;
}

bool oct_resolve_axes(struct oct_ctx *cx, const struct oct_node *n, int rank, struct oct_ints *axes) {
    unsigned seen = 0;
    for (int i = 0; i < axes->n; i++) {
        if (!oct_resolve_axis(cx, n, rank, &axes->v[i])) return false;
        if (seen >> axes->v[i] & 1u) return oct_misuse(cx, n, OCT_E2118, "axis %lld is named twice", (long long)axes->v[i]);
        seen |= 1u << axes->v[i];
    }
    return true;
}

bool oct_broadcast_dim(int64_t a, int64_t b, int64_t *out) {
    *out = a == 1 ? b : a;
    return a == b || a == 1 || b == 1;
}

/* ---- the steps ---- */

static bool check_operands(struct oct_ctx *cx, const struct oct_node *n) {
    const struct oct_op_info *info = oct_op_info(n->op);
    bool ok = n->noperands >= info->min_operands && n->noperands <= info->max_operands;
    for (int i = 0; i < n->noperands; i++)
        if (!n->operand[i] && (i < info->min_operands || info->max_operands == INT_MAX)) ok = false;
    if (ok) return true;
    if (info->min_operands == info->max_operands)
        oct_misuse(cx, n, OCT_E2003, "takes %d operand%s, not %d", info->min_operands, info->min_operands == 1 ? "" : "s",
                   n->noperands);
    else if (info->max_operands == INT_MAX) oct_misuse(cx, n, OCT_E2003, "takes one operand or more, each given");
    else
        oct_misuse(cx, n, OCT_E2003, "takes %d to %d operands, the first %d given, not %d", info->min_operands,
                   info->max_operands, info->min_operands, n->noperands);
    struct oct_text t;
    oct_text_init(&t, oct_own(cx));
    for (int i = 0; info->operands[i]; i++)
        oct_text_addf(&t, "%s%s%s", i ? ", " : "", info->operands[i], i >= info->min_operands ? "?" : "");
    oct_help(cx, "%s(%s%s)", info->name, t.s ? t.s : "", info->max_operands == INT_MAX ? ", ..." : "");
    return false;
}

static bool check_attrs(struct oct_ctx *cx, const struct oct_node *n) {
    const struct oct_op_info *info = oct_op_info(n->op);
    for (unsigned i = 0; i < OCT_ATTR_COUNT; i++) {
        if (!(n->at.set >> i & 1u)) continue;
        const struct oct_attr_info *a = oct_attr_info(i);
        const void *field = (const char *)&n->at + a->offset;
        if (!(info->attrs >> i & 1u)) {
            oct_misuse(cx, n, OCT_E2004, "has no attribute '%s'", a->name);
            struct oct_text t;
            oct_text_init(&t, oct_own(cx));
            for (unsigned k = 0; k < OCT_ATTR_COUNT; k++)
                if (info->attrs >> k & 1u) oct_text_addf(&t, " %s", oct_attr_info(k)->name);
            oct_help(cx, "%s takes%s", info->name, t.s);
            return false;
        }
        const int64_t *v = a->kind == OCT_KIND_INTS ? ((const struct oct_ints *)field)->v : field;
        const int ints = a->kind == OCT_KIND_INT    ? 1
                         : a->kind == OCT_KIND_INT2 ? 2
                         : a->kind == OCT_KIND_INT4 ? 4
                         : a->kind == OCT_KIND_INTS ? ((const struct oct_ints *)field)->n
                                                    : 0;
        for (int k = 0; k < ints; k++)
            if (v[k] == OCT_DIM_N && i != OCT_A_shape && !(i == OCT_A_pad && k == 0)) /* where it means 'same' */
                return oct_misuse(cx, n, OCT_E2106, "N is no value for %s", a->name);
        const float *f = field;
        const int floats = a->kind == OCT_KIND_F32 ? 1 : a->kind == OCT_KIND_F32X2 ? 2 : 0;
        for (int k = 0; k < floats; k++)
            if (isnan(f[k])) return oct_misuse(cx, n, OCT_E2005, "%s is not a number", a->name);
        if (floats == 2 && f[0] > f[1])
            return oct_misuse(cx, n, OCT_E2219, "%s=(%g,%g) holds no value", a->name, (double)f[0], (double)f[1]);
    }
    if (!isfinite(n->at.alpha)) return oct_misuse(cx, n, OCT_E2005, "alpha must be finite");
    if (!isfinite(n->at.eps) || n->at.eps < 0)
        return oct_misuse(cx, n, OCT_E2005, "eps=%g must be finite and not negative", (double)n->at.eps);
    return true;
}

/* Dimensions of the result: each at least 1, N at most once, the whole within the cap. */
static bool check_dims(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *t) {
    if (t->rank > OCT_MAX_RANK)
        return oct_misuse(cx, n, OCT_E2107, "a result of %d axes, but at most %d are possible", t->rank, OCT_MAX_RANK);
    int batches = 0;
    for (int i = 0; i < t->rank; i++) {
        batches += t->dim[i] == OCT_DIM_N;
        if (t->dim[i] != OCT_DIM_N && t->dim[i] < 1)
            return oct_misuse(cx, n, OCT_E2105, "dimension %d is %lld, but each must be at least 1", i, (long long)t->dim[i]);
    }
    if (batches > 1) return oct_misuse(cx, n, OCT_E2106, "N stands in %d axes of %s", batches, oct_type_text(oct_own(cx), t));
    if (oct_type_elements(t, 1) < 0)
        return oct_misuse(cx, n, OCT_E2105, "%s has more than %lld elements", oct_type_text(oct_own(cx), t),
                          (long long)OCT_MAX_ELEMENTS);
    return true;
}

bool oct_infer_declared(struct oct_ctx *cx, struct oct_node *n, const struct oct_type *declared) {
    const struct oct_op_info *info = oct_op_info(n->op);
    struct oct_type t = {.rank = OCT_ANY_RANK};
    if (!check_operands(cx, n) || !check_attrs(cx, n)) return false;
    if (declared && declared->rank > OCT_MAX_RANK) return check_dims(cx, n, declared);
    if (!oct_form_check(cx, n, declared, &t) || !info->shape(cx, n, &t) || !check_dims(cx, n, &t) ||
        !oct_form_agrees(cx, n, declared, &t))
        return false;
    if (declared && declared->rank != OCT_ANY_RANK && !oct_shape_equal(declared, &t)) {
        oct_misuse(cx, n, OCT_E2102, "the result is %s, but the annotation says %s", oct_type_text(oct_own(cx), &t),
                   oct_type_text(oct_own(cx), declared));
        oct_help(cx, "dimensions may be left out: they are inferred");
        return false;
    }
    if (!oct_quant_check(cx, n, &t)) return false;
    if (declared && declared->q && t.q != declared->q && oct_quant_equal(t.q, declared->q))
        t.q = declared->q; /* verifying again allocates nothing new */
    n->type = t;
    return info->verify(cx, n);
}

bool oct_infer(struct oct_ctx *cx, struct oct_node *n) {
    const struct oct_op_info *info = oct_op_info(n->op);
    if (!info->max_operands) return oct_infer_declared(cx, n, &n->type);
    struct oct_type t = n->type;
    t.rank = OCT_ANY_RANK;
    return oct_infer_declared(cx, n, t.q && !(info->flags & OCT_SHARESQ) ? &t : NULL);
}
