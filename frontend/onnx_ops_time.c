/* onnx_ops_time.c - LSTM, GRU, ONNX Runtime's DynamicQuantizeLSTM, and Gather. The inputs' share of the gates is one dense over
 * all steps; lstm and gru go on from there. A backward direction reads and writes through slices of step -1; two are joined. */
#include <string.h>

#include "onnx_import.h"

oct_onnx_handler oct_onnx_build_lstm, oct_onnx_build_gru, oct_onnx_build_gather;

/* One direction at work. */
struct recurrence {
    struct oct_onnx *im;
    const char *tag; /* of names */
    int64_t hidden, gates;
    int64_t direction, directions;
    bool turned; /* batch first */
    bool coded;  /* weights are codes */
};

static struct oct_node *step1(struct oct_onnx *im, const char *suffix, enum oct_op op, struct oct_node *x,
                              const struct oct_attrs *at) {
    return x ? oct_onnx_step(im, suffix, op, &x, 1, at, NULL) : NULL;
}
static struct oct_node *sliced(struct oct_onnx *im, const char *suffix, struct oct_node *x, int64_t axis, int64_t begin,
                               int64_t end, int64_t step) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {axis}}));
    OCT_SET(at, begin, ((struct oct_ints){1, {begin}}));
    OCT_SET(at, end, ((struct oct_ints){1, {end}}));
    OCT_SET(at, step, ((struct oct_ints){1, {step}}));
    return step1(im, suffix, OCT_OP_slice, x, &at);
}
static struct oct_node *backwards(struct oct_onnx *im, const char *suffix, struct oct_node *x) {
    return x ? sliced(im, suffix, x, 0, -1, -x->type.dim[0] - 1, -1) : NULL;
}
static struct oct_node *permuted(struct oct_onnx *im, const char *suffix, struct oct_node *x, struct oct_ints perm) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, perm, perm);
    return step1(im, suffix, OCT_OP_transpose, x, &at);
}
static struct oct_node *squeezed(struct oct_onnx *im, const char *suffix, enum oct_op op, struct oct_node *x, int64_t axis) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {axis}}));
    return step1(im, suffix, op, x, &at);
}

static const char *tagged(const struct recurrence *r, const char *what) { return oct_sprintf(r->im->a, ".%s%s", what, r->tag); }

/* Part [first, first + n) of this direction's share of a float constant, as a constant of these dims. */
static struct oct_node *part(const struct recurrence *r, int i, int64_t first, int rank, const int64_t *dim) {
    struct oct_onnx *im = r->im;
    const struct oct_onnx_const *c = oct_onnx_constant(im, i);
    if (!c) return NULL;
    struct oct_type t = {.dtype = OCT_F32, .rank = rank};
    int64_t n = 1;
    for (int a = 0; a < rank; a++) n *= t.dim[a] = dim[a];
    const int64_t share = c->n / r->directions;
    if (c->type != ONNX_FLOAT || first + n > share) return oct_onnx_invalid(im, "its input %d has another shape", i), NULL;
    return oct_build_const(im->m,
                           oct_fresh_const_name(im->m, oct_sprintf(im->a, "%s%s", oct_import_readable(im->in[i]->name), r->tag)),
                           &t, (const float *)c->data + r->direction * share + first, im->span);
}

/* The weights i of DynamicQuantizeLSTM, [D,inputs,outs] of codes; their scale and zero point are inputs `scale` and the next. */
static struct oct_node *coded_part(const struct recurrence *r, int i, int scale, int64_t outs, int64_t inputs) {
    struct oct_onnx *im = r->im;
    if (!oct_onnx_has(im, scale) || !oct_onnx_has(im, scale + 1))
        return oct_onnx_invalid(im, "input %d is left out", scale), NULL;
    const struct oct_onnx_const *c = oct_onnx_constant(im, i), *s = c ? oct_onnx_constant(im, scale) : NULL,
                                *z = s ? oct_onnx_constant(im, scale + 1) : NULL;
    struct oct_type t = {.rank = 2, .dim = {outs, inputs}};
    if (!z) return NULL;
    const int64_t n = outs * inputs, each = s->n / r->directions;
    if (!oct_onnx_dtype(c->type, &t.dtype) || oct_dtype_size(t.dtype) != 1 || c->n != n * r->directions ||
        s->type != ONNX_FLOAT || (each != 1 && each != outs) || z->n != s->n)
        return oct_onnx_invalid(im, "its input %d is no such matrix of codes", i), NULL;
    int8_t *codes = OCT_NEW_N(im->a, int8_t, n);
    if (!oct_onnx_budget(im, (size_t)n)) return NULL;
    for (int64_t k = 0; k < n; k++)
        oct_store_int(t.dtype, codes, k % outs * inputs + k / outs, oct_onnx_get_int(c, r->direction * n + k));
    const float *scales = (const float *)s->data + r->direction * each;
    for (int64_t k = 0; k < each; k++) {
        if (!(scales[k] > 0) || !isfinite(scales[k]))
            return oct_onnx_invalid(im, "scale %lld is %g", (long long)k, (double)scales[k]), NULL;
        if (each > 1 && oct_onnx_get_int(z, r->direction * each + k))
            return oct_onnx_unsupported(im, "quantize its weights symmetrically", "zero points by channel are not 0"), NULL;
    }
    t.q = each > 1 ? oct_quant_channel(im->a, 0, (uint32_t)outs, scales, NULL)
                   : oct_quant_tensor(im->a, scales[0], (int32_t)oct_onnx_get_int(z, r->direction));
    return oct_build_const(im->m,
                           oct_fresh_const_name(im->m, oct_sprintf(im->a, "%s%s", oct_import_readable(im->in[i]->name), r->tag)),
                           &t, codes, im->span);
}

/* This direction's initial state, [N,H]; absent: NULL. */
static struct oct_node *state(const struct recurrence *r, int i) {
    struct oct_onnx *im = r->im;
    if (!oct_onnx_has(im, i)) return NULL;
    const int64_t axis = r->turned;
    struct oct_node *x = oct_onnx_float_operand(im, i);
    if (!x) return NULL;
    if (x->type.rank != 3) return oct_onnx_invalid(im, "its initial state has %d dimensions", x->type.rank), NULL;
    if (r->directions > 1) x = sliced(im, tagged(r, i == 5 ? "h" : "c"), x, axis, r->direction, r->direction + 1, 1);
    return squeezed(im, tagged(r, i == 5 ? "h0" : "c0"), OCT_OP_squeeze, x, axis);
}

/* W x + Wb + Rb for all steps; gates whose Rb stays apart: from `apart` on. */
static struct oct_node *share_of_inputs(const struct recurrence *r, struct oct_node *x, int64_t apart) {
    struct oct_onnx *im = r->im;
    const int64_t outs = r->gates * r->hidden, inputs = x->type.dim[2];
    struct oct_node *w = r->coded ? coded_part(r, 1, 8, outs, inputs) : part(r, 1, 0, 2, (int64_t[]){outs, inputs}), *b = NULL;
    struct oct_attrs at;
    oct_attrs_init(&at);
    if (r->coded) OCT_SET(at, dynamic, true);
    if (!w) return NULL;
    if (oct_onnx_has(im, 3)) {
        struct oct_node *two = part(r, 3, 0, 1, (int64_t[]){2 * outs});
        if (!two || !oct_onnx_budget(im, (size_t)outs * sizeof(float))) return NULL;
        float *sum = OCT_NEW_N(im->a, float, outs);
        const float *v = two->data;
        for (int64_t o = 0; o < outs; o++) sum[o] = o < apart ? v[o] + v[outs + o] : v[o];
        const struct oct_type t = {.dtype = OCT_F32, .rank = 1, .dim = {outs}};
        b = oct_build_const(
            im->m, oct_fresh_const_name(im->m, oct_sprintf(im->a, "%s%s.sum", oct_import_readable(im->in[3]->name), r->tag)), &t,
            sum, im->span);
        if (!b) return NULL;
    }
    return oct_onnx_step(im, tagged(r, "gates"), OCT_OP_dense, (struct oct_node *[]){x, w, b}, b ? 3 : 2, &at, NULL);
}

/* What ONNX's two operators share; false after a report. */
static bool check_form(struct oct_onnx *im, size_t functions, int64_t *directions, bool *backward) {
    const char *way = oct_onnx_attr_str(im, "direction", "forward");
    *directions = strcmp(way, "bidirectional") ? 1 : 2;
    *backward = !strcmp(way, "reverse");
    if (oct_onnx_attr(im, "clip")) return oct_onnx_unsupported(im, NULL, "its gates are clipped");
    if (oct_onnx_attr_int(im, "input_forget", 0)) return oct_onnx_unsupported(im, NULL, "its input and forget gates are coupled");
    const OctOnnx__Attribute *f = oct_onnx_attr(im, "activations");
    for (size_t i = 0; f && i < f->n_strings; i++) {
        const char *name = f->strings[i];
        if (strcmp(name, i % functions ? "Tanh" : "Sigmoid"))
            return oct_onnx_unsupported(im, "use the usual activations", "an activation is %s", oct_onnx_quote(im, name));
    }
    if (oct_onnx_attr(im, "activation_alpha") || oct_onnx_attr(im, "activation_beta"))
        return oct_onnx_unsupported(im, NULL, "its activations have parameters");
    return true;
}

static bool whole_sequences(struct oct_onnx *im, int64_t steps) {
    if (!oct_onnx_has(im, 4)) return true;
    const struct oct_onnx_const *lens = oct_onnx_constant(im, 4);
    if (!lens) return false;
    for (int64_t i = 0; i < lens->n; i++)
        if (oct_onnx_get_int(lens, i) != steps)
            return oct_onnx_unsupported(im, "pad the input, and take the step that is wanted",
                                        "sequence %lld has %lld steps of %lld", (long long)i,
                                        (long long)oct_onnx_get_int(lens, i), (long long)steps);
    return true;
}

/* Joins what the directions gave, [...] each with the axis of directions inserted, to result i. */
static bool joined(struct oct_onnx *im, int i, struct oct_node *const *part_, int64_t n, int64_t axis) {
    struct oct_node *with[2];
    for (int64_t d = 0; d < n; d++) {
        with[d] = squeezed(im, oct_sprintf(im->a, ".y%d%s", i, d ? ".back" : ""), OCT_OP_unsqueeze, part_[d], axis);
        if (!with[d]) return false;
    }
    if (n == 1) return oct_onnx_result(im, i, with[0]);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axis, axis);
    return oct_onnx_emit_to(im, i, OCT_OP_concat, with, 2, &at, NULL);
}

static bool build(struct oct_onnx *im, enum oct_op op, int gates) {
    struct recurrence r = {.im = im, .gates = gates};
    bool backward;
    struct oct_node *x = oct_onnx_float_operand(im, 0);
    if (!x || !check_form(im, op == OCT_OP_lstm ? 3 : 2, &r.directions, &backward)) return false;
    if (x->type.rank != 3) return oct_onnx_invalid(im, "its input has %d dimensions, not 3", x->type.rank);
    if (op == OCT_OP_lstm && oct_onnx_has(im, 7)) {
        const struct oct_onnx_const *p = oct_onnx_constant(im, 7);
        for (int64_t i = 0; p && i < p->n; i++)
            if (oct_onnx_get_real(p, i) != 0) return oct_onnx_unsupported(im, "train without peepholes", "it has peepholes");
        if (!p) return false;
    }
    const struct oct_onnx_const *rc = oct_onnx_constant(im, 2);
    if (!rc) return false;
    r.coded = !strcmp(im->op->name, "DynamicQuantizeLSTM");
    const int out = r.coded ? 2 : 1; /* axis of the gates */
    if (rc->rank != 3 || rc->dim[0] != r.directions || rc->dim[out] != gates * rc->dim[3 - out])
        return oct_onnx_invalid(im, "its R has another shape");
    r.hidden = rc->dim[3 - out];
    if (r.hidden < 1 || x->type.dim[2] < 1) return oct_onnx_invalid(im, "its input is %s", oct_type_text(im->a, &x->type));
    r.turned = oct_onnx_attr_int(im, "layout", 0);
    if (r.turned) x = permuted(im, ".steps", x, (struct oct_ints){3, {1, 0, 2}});
    if (!x || x->type.dim[0] == OCT_DIM_N)
        return im->failed
                   ? false
                   : oct_onnx_unsupported(im, "export with a fixed number of steps", "the number of its steps is symbolic");
    if (!whole_sequences(im, x->type.dim[0])) return false;
    const bool after = op == OCT_OP_gru && oct_onnx_attr_int(im, "linear_before_reset", 0);
    const int64_t steps = x->type.dim[0], h = r.hidden;
    struct oct_node *y[2] = {0}, *last[2] = {0}, *memory[2] = {0};
    for (r.direction = 0; r.direction < r.directions; r.direction++) {
        const bool back = backward || r.direction == 1;
        r.tag = r.direction ? ".back" : "";
        struct oct_node *in = back ? backwards(im, tagged(&r, "reversed"), x) : x,
                        *g = in ? share_of_inputs(&r, in, after ? 2 * h : gates * h) : NULL,
                        *w = !g        ? NULL
                             : r.coded ? coded_part(&r, 2, 10, gates * h, h)
                                       : part(&r, 2, 0, 2, (int64_t[]){gates * h, h});
        if (!w) return false;
        struct oct_node *operand[4] = {g, w, NULL, NULL}, *all;
        struct oct_attrs at;
        oct_attrs_init(&at);
        if (r.coded) OCT_SET(at, dynamic, true);
        if (op == OCT_OP_lstm) {
            operand[2] = state(&r, 5);
            operand[3] = state(&r, 6);
        } else {
            if (after) OCT_SET(at, reset_after, true);
            if (after && oct_onnx_has(im, 3) && !(operand[2] = part(&r, 3, (gates + 2) * h, 1, (int64_t[]){h}))) return false;
            operand[3] = state(&r, 5);
        }
        if (im->failed) return false;
        const int n = operand[3] ? 4 : operand[2] ? 3 : 2;
        all = oct_onnx_step(im, tagged(&r, op == OCT_OP_lstm ? "lstm" : "gru"), op, operand, n, &at, NULL);
        if (!all) return false;
        y[r.direction] = op == OCT_OP_lstm ? sliced(im, tagged(&r, "states"), all, 0, 0, steps, 1) : all;
        last[r.direction] =
            squeezed(im, tagged(&r, "last"), OCT_OP_squeeze, sliced(im, tagged(&r, "end"), all, 0, steps - 1, steps, 1), 0);
        if (op == OCT_OP_lstm)
            memory[r.direction] = squeezed(im, tagged(&r, "memory"), OCT_OP_squeeze,
                                           sliced(im, tagged(&r, "cell"), all, 0, steps, steps + 1, 1), 0);
        if (back) y[r.direction] = backwards(im, tagged(&r, "forth"), y[r.direction]);
        if (r.turned) y[r.direction] = permuted(im, tagged(&r, "turned"), y[r.direction], (struct oct_ints){3, {1, 0, 2}});
        if (!y[r.direction] || !last[r.direction]) return false;
    }
    /* Y [T,D,N,H], turned [N,T,D,H]; states [D,N,H], turned [N,D,H] */
    if (im->nout > 0 && im->out[0] && !joined(im, 0, y, r.directions, r.turned ? 2 : 1)) return false;
    if (im->nout > 1 && im->out[1] && !joined(im, 1, last, r.directions, r.turned)) return false;
    return im->nout < 3 || !im->out[2] || joined(im, 2, memory, r.directions, r.turned);
}

bool oct_onnx_build_lstm(struct oct_onnx *im) { return build(im, OCT_OP_lstm, 4); }
bool oct_onnx_build_gru(struct oct_onnx *im) { return build(im, OCT_OP_gru, 3); }

/* ---- Gather
 * ----------------------------------------------------------------------------------------------------------------------- */

/* Fixed numbers of rows as an i32 constant. */
static struct oct_node *fixed_rows(struct oct_onnx *im, const struct oct_onnx_const *c) {
    struct oct_type t = {.dtype = OCT_I32, .rank = c->rank};
    memcpy(t.dim, c->dim, sizeof t.dim);
    if (c->type == ONNX_FLOAT || c->has_n || !c->n) return oct_onnx_invalid(im, "its indices are no integers"), NULL;
    if (!oct_onnx_budget(im, (size_t)c->n * sizeof(int32_t))) return NULL;
    int32_t *v = OCT_NEW_N(im->a, int32_t, c->n);
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t k = oct_onnx_get_int(c, i);
        v[i] = (int32_t)(k < INT32_MIN ? INT32_MIN : k > INT32_MAX ? INT32_MAX : k);
    }
    return oct_build_const(im->m, oct_fresh_const_name(im->m, oct_import_readable(im->in[1]->name)), &t, v, im->span);
}

/* Axis `from` of x moved to `to`. */
static struct oct_node *moved(struct oct_onnx *im, const char *suffix, struct oct_node *x, int from, int to, int n) {
    if (!x || from == to) return x;
    struct oct_ints perm = {0};
    for (int a = 0; a < x->type.rank; a++)
        if (a < from || a >= from + n) perm.v[perm.n++] = a;
    memmove(perm.v + to + n, perm.v + to, (size_t)(perm.n - to) * sizeof *perm.v);
    for (int a = 0; a < n; a++) perm.v[to + a] = from + a;
    perm.n += n;
    return permuted(im, suffix, x, perm);
}

bool oct_onnx_build_gather(struct oct_onnx *im) {
    const struct oct_onnx_const *table = im->in[0]->c;
    struct oct_node *x, *rows;
    int axis;
    if (table && table->type != ONNX_FLOAT && table->type != ONNX_INT64) /* codes: numbers, until DequantizeLinear says more */
        x = oct_onnx_const_node(im, im->in[0]->name, table, oct_quant_tensor(im->a, 1, 0));
    else x = oct_onnx_float_operand(im, 0);
    if (!x || !oct_onnx_axis(im, oct_onnx_attr_int(im, "axis", 0), x->type.rank, &axis)) return false;
    rows = im->in[1]->c ? fixed_rows(im, im->in[1]->c) : im->in[1]->node;
    if (!rows) return false;
    if (x->type.dim[axis] == OCT_DIM_N) return oct_onnx_unsupported(im, NULL, "it takes samples out of the batch");
    x = moved(im, ".table", x, axis, 0, 1);
    struct oct_node *y =
        x ? oct_onnx_step(im, axis ? ".rows" : "", OCT_OP_gather, (struct oct_node *[]){x, rows}, 2, NULL, NULL) : NULL;
    return oct_onnx_result(im, 0, moved(im, "", y, 0, axis, rows->type.rank));
}
