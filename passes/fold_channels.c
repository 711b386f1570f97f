/* fold_channels.c - takes out channels whose codes are proved constant.
 * Requires integer ops (elim_qdq). An interval of codes is carried through the graph for every channel, from the actual weights,
 * requantizers, clamps and tables; a channel whose ends meet is constant. It leaves the op that makes it, and every consumer's
 * bias takes its place: the same bits with fewer multiplications. Padding adds the input's zero point, so a constant other than
 * that stays where a padded convolution reads it.
 *
 * Channels that must go together (through depthwise, pooling, pointwise ops and additions) form a group of values; a channel goes
 * when it is constant in every value of its group and every reader can absorb it. Groups that touch an input, an output or an op
 * that mixes channels in another way stay whole. */
#include <string.h>

#include "channels.h"

struct value {
    struct oct_channels c;
    int32_t *lo, *hi; /* code interval of each channel */
    uint8_t *dead;    /* of a root: channels that go */
    int32_t live;     /* of a root: how many stay */
};

struct work {
    struct oct_pass_env *env;
    struct oct_module *m;
};

static struct value *val(const struct oct_node *n) { return n->tag; }
static struct value *root(struct value *v) { return (struct value *)oct_channels_root(&v->c); }

static bool padded(const struct oct_node *n) {
    return n->op == OCT_OP_conv2d && (n->at.pad[0] | n->at.pad[1] | n->at.pad[2] | n->at.pad[3]);
}

/* ---- intervals ------------------------------------------------------------------------------------------------------------ */

static int32_t const_code(const struct oct_node *c, int64_t i) { return (int32_t)oct_load_int(c->type.dtype, c->data, i); }

static const struct oct_node *bias_of(const struct oct_node *n) { return n->noperands > 2 ? n->operand[2] : NULL; }

/* conv2d and dense: sum of w (x - zx) over the taps with every x at its own end, then requantized; padded taps contribute 0. */
static bool linear_interval(const struct oct_node *n) {
    const struct oct_node *x = n->operand[0], *w = n->operand[1], *b = bias_of(n);
    struct value *v = val(n);
    const int64_t per_group = w->type.dim[1], taps = w->type.rank == 4 ? w->type.dim[2] * w->type.dim[3] : 1;
    const int32_t zx = oct_zero(x->type.q, 0), zy = oct_zero(n->type.q, 0);
    const bool pads = padded(n), dw = oct_is_depthwise(n);
    const double qmin = (double)oct_dtype_min(n->type.dtype), qmax = (double)oct_dtype_max(n->type.dtype);
    const double cmin = fmax(qmin, (double)n->at.clip[0]), cmax = fmin(qmax, (double)n->at.clip[1]);
    for (int32_t o = 0; o < v->c.n; o++) {
        int64_t lo = b ? const_code(b, o) : 0, hi = lo;
        const int32_t zw = oct_zero(w->type.q, (uint32_t)o);
        for (int64_t i = 0; i < per_group; i++) {
            const int64_t c = dw ? o : i;
            const int64_t xl = val(x)->lo[c] - zx, xh = val(x)->hi[c] - zx;
            for (int64_t t = 0; t < taps; t++) {
                const int64_t k = const_code(w, (o * per_group + i) * taps + t) - zw;
                int64_t tl = k >= 0 ? k * xl : k * xh, th = k >= 0 ? k * xh : k * xl;
                if (pads && tl > 0) tl = 0;
                if (pads && th < 0) th = 0;
                lo += tl, hi += th;
            }
        }
        struct oct_requant r;
        if (!oct_requant_linear(n->at.profile, x->type.dtype, oct_scale(x->type.q, 0), oct_scale(w->type.q, (uint32_t)o),
                                oct_scale(n->type.q, 0), &r))
            return false;
        const double yl = fmin(fmax((double)oct_requant_apply(&r, lo) + zy, cmin), cmax),
                     yh = fmin(fmax((double)oct_requant_apply(&r, hi) + zy, cmin), cmax);
        v->lo[o] = (int32_t)yl, v->hi[o] = (int32_t)yh;
    }
    return true;
}

/* Runs the node alone with every channel of its operands at one end of its interval; widens v's interval by what comes out. */
static bool run_at(struct work *k, const struct oct_node *n, bool high) {
    struct oct_module *probe = oct_module_new(k->env->cx, "probe");
    struct oct_node *in[2] = {NULL, NULL};
    for (int i = 0; i < n->noperands; i++)
        in[i] = oct_is_const(n->operand[i]) ? oct_build_const(probe, NULL, &n->operand[i]->type, n->operand[i]->data, n->span)
                                            : oct_build_input(probe, i ? "b" : "a", &n->operand[i]->type, n->span);
    struct oct_node *y = oct_build(probe, n->op, "y", in, n->noperands, &n->at, &n->type, n->span);
    if (y) oct_add_output(probe, "y", y, n->span);
    struct oct_exec *ex = y ? oct_exec_new(k->env->cx, probe, 1) : NULL;
    if (ex) {
        for (int i = 0; i < n->noperands; i++) {
            if (oct_is_const(n->operand[i])) continue;
            const struct oct_tensor *t = oct_exec_value(ex, in[i]);
            const struct value *v = val(n->operand[i]);
            const int64_t elements = oct_tensor_elements(t), inner = elements / (t->type.dim[0] * v->c.n);
            for (int64_t e = 0; e < elements; e++) {
                const int64_t c = e / inner % v->c.n;
                oct_store_int(t->type.dtype, t->data, e, high ? v->hi[c] : v->lo[c]);
            }
        }
        oct_exec_run(ex, NULL, NULL);
        const struct oct_tensor *t = oct_exec_value(ex, y);
        struct value *v = val(n);
        const int64_t elements = oct_tensor_elements(t), inner = elements / (t->type.dim[0] * v->c.n);
        for (int64_t e = 0; e < elements; e++) {
            const int64_t c = e / inner % v->c.n;
            const int32_t code = (int32_t)oct_load_int(t->type.dtype, t->data, e);
            if (code < v->lo[c]) v->lo[c] = code;
            if (code > v->hi[c]) v->hi[c] = code;
        }
        oct_exec_free(ex);
    }
    oct_module_free(probe);
    return ex != NULL;
}

static bool all_constant(const struct oct_node *n, int32_t c) {
    for (int i = 0; i < n->noperands; i++)
        if (val(n->operand[i]) && val(n->operand[i])->lo[c] != val(n->operand[i])->hi[c]) return false;
    return true;
}

/* Ops that keep channels apart. Those that never decrease in any operand are run at both ends; a table is scanned; the rest are
 * taken as constant where their operands are, as full range elsewhere. */
static bool keeping_interval(struct work *k, const struct oct_node *n) {
    struct value *v = val(n);
    const int32_t qmin = (int32_t)oct_dtype_min(n->type.dtype), qmax = (int32_t)oct_dtype_max(n->type.dtype);
    if (n->op == OCT_OP_lut) {
        const int32_t base = (int32_t)oct_dtype_min(n->operand[0]->type.dtype);
        for (int32_t c = 0; c < v->c.n; c++) {
            v->lo[c] = qmax, v->hi[c] = qmin;
            for (int32_t x = val(n->operand[0])->lo[c]; x <= val(n->operand[0])->hi[c]; x++) {
                const int32_t y = const_code(n->operand[1], x - base);
                if (y < v->lo[c]) v->lo[c] = y;
                if (y > v->hi[c]) v->hi[c] = y;
            }
        }
        return true;
    }
    for (int32_t c = 0; c < v->c.n; c++) v->lo[c] = qmax, v->hi[c] = qmin;
    if (!run_at(k, n, false) || !run_at(k, n, true)) return false;
    const bool monotone = n->op == OCT_OP_add || n->op == OCT_OP_max_pool2d || n->op == OCT_OP_avg_pool2d ||
                          n->op == OCT_OP_mean || n->op == OCT_OP_requantize ||
                          (oct_op_info(n->op)->flags & (OCT_MONOTONE | OCT_MOVES));
    for (int32_t c = 0; c < v->c.n && !monotone; c++)
        if (!all_constant(n, c)) v->lo[c] = qmin, v->hi[c] = qmax;
    return true;
}

/* ---- groups --------------------------------------------------------------------------------------------------------------- */

static struct value *new_value(struct work *k, const struct oct_node *n) {
    const struct oct_type *t = &n->type;
    if (!oct_has_channels(n) || !t->q || t->q->axis >= 0 || (t->dtype != OCT_I8 && t->dtype != OCT_U8 && t->dtype != OCT_I16))
        return NULL;
    struct value *v = OCT_NEW(k->env->scratch, struct value);
    v->c.group = &v->c;
    v->c.n = (int32_t)t->dim[1];
    v->lo = OCT_NEW_N(k->env->scratch, int32_t, v->c.n);
    v->hi = OCT_NEW_N(k->env->scratch, int32_t, v->c.n);
    for (int32_t c = 0; c < v->c.n; c++) v->lo[c] = (int32_t)oct_dtype_min(t->dtype), v->hi[c] = (int32_t)oct_dtype_max(t->dtype);
    return v;
}

static bool analyse(struct work *k) {
    OCT_FOR_NODES(k->m, n) {
        n->tag = new_value(k, n);
        const enum oct_channel_role role = oct_channel_role(n);
        if (n->op != OCT_OP_input && role != OCT_MIXES)
            if (oct_has_flag(n, OCT_LINEAR) ? !linear_interval(n) : !keeping_interval(k, n)) return false;
        oct_channels_join(n, role);
    }
    oct_channels_pin_outputs(k->m);
    return true;
}

/* A constant that `n` reads can move into its bias: no padding, or equal to what padding is. */
static bool absorbs(const struct oct_node *n, int32_t c) {
    const struct oct_node *x = n->operand[0];
    return !padded(n) || val(x)->lo[c] == oct_zero(x->type.q, 0);
}

static void choose(struct work *k) {
    OCT_FOR_NODES(k->m, n) {
        if (!val(n)) continue;
        struct value *r = root(val(n));
        if (!r->dead) {
            r->dead = OCT_NEW_N(k->env->scratch, uint8_t, r->c.n);
            memset(r->dead, !r->c.pinned, (size_t)r->c.n);
        }
        for (int32_t c = 0; c < r->c.n; c++)
            if (val(n)->lo[c] != val(n)->hi[c]) r->dead[c] = 0;
    }
    OCT_FOR_NODES(k->m, n) {
        if (!val(n) || oct_channel_role(n) != OCT_PRODUCES) continue;
        struct value *r = root(val(n->operand[0]));
        for (int32_t c = 0; c < r->c.n; c++)
            if (r->dead[c] && !absorbs(n, c)) r->dead[c] = 0;
    }
    OCT_FOR_NODES(k->m, n) {
        if (!val(n) || root(val(n)) != val(n)) continue;
        struct value *r = val(n);
        r->live = 0;
        for (int32_t c = 0; c < r->c.n; c++) r->live += !r->dead[c];
        if (r->live == 0) r->dead[0] = 0, r->live = 1; /* a tensor keeps at least one channel */
    }
}

/* ---- rewriting ------------------------------------------------------------------------------------------------------------ */

static const uint8_t *dead_of(const struct oct_node *n) { return val(n) ? root(val(n))->dead : NULL; }
static int32_t live_of(const struct oct_node *n) { return root(val(n))->live; }

/* Weights without the dead result channels and without the dead operand channels (in: NULL when operand channels do not count).
 */
static struct oct_node *slice_weights(struct work *k, const struct oct_node *n, const uint8_t *out, const uint8_t *in) {
    const struct oct_node *w = n->operand[1];
    const int64_t per = w->type.dim[1], taps = w->type.rank == 4 ? w->type.dim[2] * w->type.dim[3] : 1,
                  size = (int64_t)oct_dtype_size(w->type.dtype);
    struct oct_type t = w->type;
    t.dim[0] = live_of(n);
    if (in) t.dim[1] = live_of(n->operand[0]);
    char *data = OCT_NEW_N(k->m->arena, char, oct_type_elements(&t, 1) * size), *p = data;
    for (int64_t o = 0; o < w->type.dim[0]; o++)
        for (int64_t i = 0; i < per && !out[o]; i++) {
            if (in && in[i]) continue;
            memcpy(p, (const char *)w->data + (o * per + i) * taps * size, (size_t)(taps * size));
            p += taps * size;
        }
    if (t.q->axis == 0) {
        float *scale = OCT_NEW_N(k->m->arena, float, t.dim[0]);
        int32_t *zero = t.q->zero ? OCT_NEW_N(k->m->arena, int32_t, t.dim[0]) : NULL;
        uint32_t to = 0;
        for (uint32_t o = 0; o < t.q->n; o++) {
            if (out[o]) continue;
            scale[to] = t.q->scale[o];
            if (zero) zero[to] = t.q->zero[o];
            to++;
        }
        t.q = oct_quant_channel(k->m->arena, 0, to, scale, zero);
    }
    return oct_build_const(k->m, oct_fresh_const_name(k->m, oct_sprintf(k->env->scratch, "%s.live", w->name)), &t, data, w->span);
}

/* Bias of result channel o, plus what the dead operand channels (in: NULL when none count) contribute to it. */
static int64_t folded_bias(const struct oct_node *n, int64_t o, const uint8_t *in) {
    const struct oct_node *x = n->operand[0], *w = n->operand[1], *b = bias_of(n);
    const int64_t per = w->type.dim[1], taps = w->type.rank == 4 ? w->type.dim[2] * w->type.dim[3] : 1;
    int64_t sum = b ? const_code(b, o) : 0;
    for (int64_t i = 0; in && i < per; i++)
        for (int64_t t = 0; in[i] && t < taps; t++)
            sum += (int64_t)(const_code(w, (o * per + i) * taps + t) - oct_zero(w->type.q, (uint32_t)o)) *
                   (val(x)->lo[i] - oct_zero(x->type.q, 0));
    return sum;
}

static struct oct_node *slice_bias(struct work *k, const struct oct_node *n, const uint8_t *out, const uint8_t *in) {
    struct oct_type t = {.dtype = OCT_I32, .rank = 1, .dim = {live_of(n)}};
    int32_t *data = OCT_NEW_N(k->m->arena, int32_t, t.dim[0]), *p = data;
    for (int64_t o = 0; o < n->operand[1]->type.dim[0]; o++)
        if (!out[o]) *p++ = (int32_t)folded_bias(n, o, in);
    const char *base = oct_sprintf(k->env->scratch, "%s.live", bias_of(n) ? bias_of(n)->name : n->name);
    return oct_build_const(k->m, oct_fresh_const_name(k->m, base), &t, data, n->span);
}

/* Notes on a linear node what was proved of its channels: NAME.json counts it. */
static void count_folded(const struct oct_node *n, struct oct_attrs *at) {
    int32_t constant = 0;
    for (int32_t c = 0; c < val(n)->c.n; c++) constant += val(n)->lo[c] == val(n)->hi[c];
    if (!constant) return;
    OCT_MARK(*at, folded);
    at->folded[0] = val(n)->c.n - live_of(n);
    at->folded[1] = constant - at->folded[0];
}

static bool rewrite(struct work *k, struct oct_node *n) {
    const struct oct_node *x = n->noperands ? n->operand[0] : NULL;
    const bool linear = (oct_op_info(n->op)->flags & OCT_LINEAR) && oct_channel_role(n) != OCT_MIXES;
    const bool fewer_in = x && val(x) && live_of(x) < val(x)->c.n, fewer_out = val(n) && live_of(n) < val(n)->c.n;
    struct oct_node *operand[3] = {NULL, NULL, NULL};
    for (int i = 0; i < n->noperands && i < 3; i++) operand[i] = oct_resolve(n->operand[i]);
    if (linear && val(n)) count_folded(n, &n->at);
    if (!fewer_in && !fewer_out) return true;
    k->m->cursor = n;
    struct oct_attrs at = n->at;
    struct oct_type t = n->type;
    if (val(n)) t.dim[1] = live_of(n);
    int noperands = n->noperands;
    if (linear) {
        const bool dw = oct_is_depthwise(n);
        const uint8_t *in = dw ? NULL : dead_of(x);
        operand[2] = slice_bias(k, n, dead_of(n), in);
        operand[1] = slice_weights(k, n, dead_of(n), in);
        if (!operand[1] || !operand[2]) return false;
        noperands = 3;
        if (dw) OCT_SET(at, groups, live_of(n));
    } else if (n->op == OCT_OP_reshape) {
        at.shape.v[1] = t.dim[1];
    }
    struct oct_node *y = oct_build(k->m, n->op, NULL, operand, noperands, &at, &t, n->span);
    if (!y) return false;
    if (linear) k->env->changes++;
    if (fewer_out)
        oct_explain(k->env, y, "%s: %d of %d channels are constant and were taken out", n->name, val(n)->c.n - live_of(n),
                    val(n)->c.n);
    oct_replace_named(k->m, n, y);
    return true;
}

/* Folding must not overflow a bias: checked for all before anything is built. */
static bool biases_fit(const struct work *k) {
    OCT_FOR_NODES(k->m, n) {
        if (!val(n) || oct_channel_role(n) != OCT_PRODUCES) continue;
        for (int64_t o = 0; o < n->operand[1]->type.dim[0]; o++) {
            const int64_t b = folded_bias(n, o, dead_of(n->operand[0]));
            if (b < INT32_MIN || b > INT32_MAX) return false;
        }
    }
    return true;
}

/* What goes, for each value; false: nothing does (*ok: or it failed). */
static bool plan(struct work *k, bool *ok) {
    if (k->m->option[OCT_OPT_fold_channels] != 0) return false; /* off */
    *ok = analyse(k);
    if (!*ok) return false;
    choose(k);
    return biases_fit(k);
}

bool oct_pass_fold_channels(struct oct_pass_env *env, struct oct_module *m) {
    struct work k = {env, m};
    bool ok = true;
    if (!plan(&k, &ok)) {
        if (ok && env->explain && m->option[OCT_OPT_fold_channels] == 0)
            oct_text_addf(env->explain, "%s: constant channels stay: a bias would leave 32 bits\n", m->name);
        return ok;
    }
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        if (!rewrite(&k, n)) return false;
    }
    m->cursor = NULL;
    return true;
}

/* ---- asked beforehand ------------------------------------------------------------------------------------------------------ */

/* The rest of the pipeline up to here, on a copy whose weights have their plain scales. */
static bool integer_copy(struct oct_pass_env *env, struct oct_module *copy) {
    copy->option[OCT_OPT_nudge_scales] = OCT_NUDGE_OFF;
    const uint32_t plain = (uint32_t)1 << OCT_Q_saturation | (uint32_t)1 << OCT_Q_rounding | (uint32_t)1 << OCT_Q_bias_correction;
    for (uint32_t i = 0; i < copy->nrules; i++) copy->rule[i].set &= ~plain;
    static oct_pass_fn *const passes[] = {oct_pass_insert_qdq, oct_pass_cse, oct_pass_elim_qdq, oct_pass_int_io};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        copy->cursor = NULL;
        if (!passes[i](env, copy)) return false;
        copy->cursor = NULL;
        oct_module_settle(copy);
    }
    return true;
}

void oct_fold_ahead(struct oct_fold_ahead *f, struct oct_pass_env *env, const struct oct_module *m) {
    *f = (struct oct_fold_ahead){NULL};
    if (m->option[OCT_OPT_fold_channels] != 0) return;
    bool ok = true;
    f->copy = oct_module_clone(m, env->cx);
    struct oct_pass_env e = {.cx = env->cx, .m = f->copy, .scratch = f->copy->arena};
    struct work k = {&e, f->copy};
    if (integer_copy(&e, f->copy) && plan(&k, &ok)) return;
    oct_fold_ahead_end(f);
}

const uint8_t *oct_fold_ahead_dead(const struct oct_fold_ahead *f, const struct oct_node *linear) {
    const struct oct_node *n = f->copy ? oct_find_value(f->copy, linear->name) : NULL;
    const struct oct_node *x = n && n->op == linear->op ? n->operand[0] : NULL;
    if (!x || !val(x) || val(x)->c.n != linear->operand[1]->type.dim[1] || oct_channel_role(n) != OCT_PRODUCES) return NULL;
    return dead_of(x);
}

void oct_fold_ahead_end(struct oct_fold_ahead *f) {
    if (f->copy) oct_module_free(f->copy);
    f->copy = NULL;
}
