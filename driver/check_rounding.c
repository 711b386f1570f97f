/* check_rounding.c - how many codes can change because a model that was quantized elsewhere is compiled with another rounding
 * than its source has. Ops with sums: per channel, the accumulators between the steps of one requantizer and those of the other,
 * over all that the weights at hand and the codes of the operand can reach (ir/steps.h). Ops on elements of 8 bits: all pairs of
 * codes, by the interpreter. Nothing is sampled; what cannot be enumerated is said not to be. */
#include <stdlib.h>
#include <string.h>

#include "check_rounding.h"

struct tally {
    int64_t channels, channels_differ;
    int64_t points, points_differ; /* accumulators, or pairs of codes */
    int64_t most;                  /* largest difference of two codes */
};

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

/* Both never decrease, so each is a list of runs of equal codes, which start at every second point: walked side by side. */
static bool differing(struct oct_arena *a, const struct oct_requant_codes *f, const struct oct_requant_codes *g, int64_t lo,
                      int64_t hi, double slope, struct tally *t) {
    struct oct_steps s[2];
    const struct oct_requant_codes *of[2] = {f, g};
    for (int i = 0; i < 2; i++) {
        oct_steps_init(&s[i], a, (int64_t)of[i]->hi - of[i]->lo + 1);
        oct_steps_find(&s[i], oct_requant_code, of[i], lo, hi, slope, of[i]->zero);
        if (!s[i].n) return false;
    }
    int64_t differ = 0, at[2] = {0, 0};
    for (int64_t from = lo; from <= hi;) {
        int64_t next = hi + 1;
        for (int i = 0; i < 2; i++)
            if (at[i] + 2 < s[i].n && s[i].acc[at[i] + 2] < next) next = s[i].acc[at[i] + 2];
        const int64_t apart = llabs((int64_t)s[0].code[at[0]] - s[1].code[at[1]]);
        if (apart) differ += next - from;
        if (apart > t->most) t->most = apart;
        for (int i = 0; i < 2; i++)
            if (at[i] + 2 < s[i].n && s[i].acc[at[i] + 2] == next) at[i] += 2;
        from = next;
    }
    t->channels++;
    t->channels_differ += differ > 0;
    t->points += hi - lo + 1;
    t->points_differ += differ;
    return true;
}

/* What the sum of output channel o can be: every product at its least and its greatest, padding as nothing. */
static void sums(const struct oct_node *n, int64_t o, int64_t *lo, int64_t *hi) {
    const struct oct_node *x = n->operand[0], *w = n->operand[1], *b = n->noperands > 2 ? n->operand[2] : NULL;
    const struct oct_reach r = oct_reach_of(x);
    const int64_t depth = oct_type_elements(&w->type, 1) / w->type.dim[0], zx = oct_zero(x->type.q, 0),
                  zw = oct_zero(w->type.q, (uint32_t)o);
    const bool border = n->op == OCT_OP_conv2d && (n->at.pad[0] || n->at.pad[1] || n->at.pad[2] || n->at.pad[3]);
    *lo = *hi = b ? oct_load_int(b->type.dtype, b->data, o) : 0;
    for (int64_t i = 0; i < depth; i++) {
        const int64_t c = oct_load_int(w->type.dtype, w->data, o * depth + i) - zw, p = c * (r.lo - zx), q = c * (r.hi - zx);
        int64_t least = p < q ? p : q, most = p < q ? q : p;
        if (border && least > 0) least = 0;
        if (border && most < 0) most = 0;
        *lo += least;
        *hi += most;
    }
}

static bool is_const(const struct oct_node *n) { return !n || n->op == OCT_OP_const; }

static bool count_linear(struct oct_arena *a, const struct oct_node *n, enum oct_profile source, struct tally *t) {
    const struct oct_node *x = n->operand[0], *w = n->operand[1];
    if (!is_const(w) || (n->noperands > 2 && !is_const(n->operand[2])) || n->type.q->axis >= 0) return false;
    const float sx = oct_scale(x->type.q, 0), sy = oct_scale(n->type.q, 0);
    struct oct_requant_codes f = {
        .zero = oct_zero(n->type.q, 0), .lo = (int32_t)oct_dtype_min(n->type.dtype), .hi = (int32_t)oct_dtype_max(n->type.dtype)};
    if (OCT_HAS(n->at, clip)) {
        if (n->at.clip[0] > (float)f.lo) f.lo = (int32_t)n->at.clip[0];
        if (n->at.clip[1] < (float)f.hi) f.hi = (int32_t)n->at.clip[1];
    }
    for (int64_t o = 0; o < w->type.dim[0]; o++) {
        const float sw = oct_scale(w->type.q, (uint32_t)o);
        struct oct_requant_codes g = f;
        int64_t lo, hi;
        if (!oct_requant_linear(source, x->type.dtype, sx, sw, sy, &f.r) ||
            !oct_requant_linear(n->at.profile, x->type.dtype, sx, sw, sy, &g.r))
            return false;
        sums(n, o, &lo, &hi);
        if (!differing(a, &f, &g, lo, hi, (double)sx * (double)sw / (double)sy, t)) return false;
    }
    return true;
}

/* ---- elements ------------------------------------------------------------------------------------------------------------ */

enum { CODES = 256 };

/* The node alone, on all codes of its operands, one operand along each axis; NULL where its profile refuses the scales. */
static uint8_t *all_codes(struct oct_ctx *cx, struct oct_arena *a, const struct oct_node *n, enum oct_profile profile,
                          int64_t *count) {
    struct oct_module *side = oct_module_new(cx, "rounding");
    struct oct_node *in[2];
    for (int i = 0; i < n->noperands; i++) {
        struct oct_type t = n->operand[i]->type;
        t.rank = 2;
        t.dim[i] = CODES;
        t.dim[1 - i] = 1;
        in[i] = oct_build_input(side, oct_fresh_value_name(side, "x"), &t, n->span);
        if (!in[i]) break;
    }
    struct oct_attrs at = n->at;
    OCT_SET(at, profile, profile);
    struct oct_type declared = n->type;
    declared.rank = OCT_ANY_RANK;
    struct oct_node *y = oct_build(side, n->op, "y", in, n->noperands, &at, &declared, n->span);
    struct oct_exec *ex = NULL;
    uint8_t *out = NULL;
    if (y) {
        oct_add_output(side, "y", y, y->span);
        ex = oct_exec_new(cx, side, 1);
    }
    if (ex) {
        for (int i = 0; i < n->noperands; i++) {
            const int64_t lowest = oct_dtype_min(in[i]->type.dtype);
            for (int64_t c = 0; c < CODES; c++) oct_store_int(in[i]->type.dtype, oct_exec_value(ex, in[i])->data, c, lowest + c);
        }
        oct_exec_run(ex, NULL, NULL);
        *count = oct_type_elements(&y->type, 1);
        out = memcpy(oct_alloc(a, (size_t)*count), oct_exec_value(ex, y)->data, (size_t)*count);
        oct_exec_free(ex);
    }
    oct_module_free(side);
    return out;
}

static bool byte(const struct oct_type *t) { return t->q && t->q->axis < 0 && (t->dtype == OCT_I8 || t->dtype == OCT_U8); }

static bool count_elements(struct oct_ctx *cx, struct oct_arena *a, const struct oct_node *n, enum oct_profile source,
                           struct tally *t) {
    if (!byte(&n->type)) return false;
    for (int i = 0; i < n->noperands; i++)
        if (!byte(&n->operand[i]->type)) return false;
    int64_t count = 0;
    const uint8_t *f = all_codes(cx, a, n, source, &count), *g = f ? all_codes(cx, a, n, n->at.profile, &count) : NULL;
    if (!f || !g) return false;
    t->channels = 1;
    t->points = count;
    for (int64_t i = 0; i < count; i++) {
        const int apart = n->type.dtype == OCT_I8 ? abs((int8_t)f[i] - (int8_t)g[i]) : abs(f[i] - g[i]);
        t->points_differ += apart > 0;
        if (apart > t->most) t->most = apart;
    }
    t->channels_differ = t->points_differ > 0;
    return true;
}

/* ---- the model ------------------------------------------------------------------------------------------------------------- */

static bool has_flag(const struct oct_node *n, unsigned flag) { return (oct_op_info(n->op)->flags & flag) != 0; }
static bool takes_profile(const struct oct_node *n) { return oct_op_info(n->op)->attrs >> OCT_A_profile & 1u; }

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

/* The word of option profile that the format of the file means; -1: it means none. */
static int source_of(const char *path) {
    return ends_with(path, ".onnx") ? (int)OCT_profile_onnx : ends_with(path, ".tflite") ? (int)OCT_PRESET_tflite_ref : -1;
}

static const char *profile_word(struct drv *d, int word) {
    return oct_word_at(d->a, oct_option_info(OCT_OPT_profile)->words, word);
}

static void say(struct drv *d, struct drv_json *j, const struct oct_node *n, bool linear, const char *source, const char *used,
                const struct tally *t) {
    const char *points = linear ? "accumulators" : n->noperands == 2 ? "pairs of codes" : "codes";
    if (j) {
        drv_json_open(j, NULL, '{');
        drv_json_str(j, "name", n->name);
        drv_json_str(j, "op", oct_op_info(n->op)->name);
        drv_json_str(j, "source", source);
        drv_json_str(j, "compiled", used);
        drv_json_int(j, "channels", t->channels);
        drv_json_int(j, "channels_differ", t->channels_differ);
        drv_json_str(j, "of", points);
        drv_json_int(j, "points", t->points);
        drv_json_int(j, "points_differ", t->points_differ);
        drv_json_int(j, "most", t->most);
        drv_json_close(j, '}');
    } else if (t->points_differ) {
        oct_text_addf(&d->say, "%s (%s): source rounds as %s, compiled as %s: ", n->name, oct_op_info(n->op)->name, source, used);
        if (linear)
            oct_text_addf(&d->say, "%lld of %lld channels can differ, ", (long long)t->channels_differ, (long long)t->channels);
        oct_text_addf(&d->say, "by at most %lld, for %lld of %lld %s\n", (long long)t->most, (long long)t->points_differ,
                      (long long)t->points, points);
    }
}

bool drv_check_rounding(struct drv *d, struct oct_module *m, const char *path, struct drv_json *json) {
    const int source = source_of(path);
    if (source < 0 || !drv_holds_quantized(m)) return true;
    m->option[OCT_OPT_quantize] = OCT_QUANTIZE_OFF; /* what is float stays so: no data are needed */
    if (!drv_rewrite(d, m)) return false;
    struct oct_module as_source = *m;
    as_source.option[OCT_OPT_profile] = (uint8_t)source;
    int64_t same = 0, differ = 0;
    struct oct_text unknown;
    oct_text_init(&unknown, d->a);
    if (json) drv_json_open(json, "rounding", '[');
    OCT_FOR_NODES(m, n) {
        if (!takes_profile(n) || !n->type.q || n->op == OCT_OP_max || n->op == OCT_OP_min || has_flag(n, OCT_POINTWISE)) continue;
        const enum oct_profile theirs = oct_profile_for(&as_source, n->op), ours = n->at.profile;
        const bool linear = has_flag(n, OCT_LINEAR),
                   elements = n->op == OCT_OP_add || n->op == OCT_OP_sub || n->op == OCT_OP_mul || n->op == OCT_OP_requantize;
        struct tally t = {0};
        if (theirs != ours) {
            if (linear ? !count_linear(d->a, n, theirs, &t) : !elements || !count_elements(d->cx, d->a, n, theirs, &t)) {
                oct_text_addf(&unknown, "%s%s (%s)", unknown.len ? ", " : "", n->name, oct_op_info(n->op)->name);
                continue;
            }
            say(d, json, n, linear, profile_word(d, (int)theirs), profile_word(d, (int)ours), &t);
        }
        if (t.points_differ) differ++;
        else same++;
    }
    if (json) {
        drv_json_close(json, ']');
        drv_json_str(json, "rounding_not_counted", unknown.len ? unknown.s : NULL);
        return true;
    }
    if (!same && !differ && !unknown.len) return true;
    oct_text_addf(&d->say, "rounding: the source is %s: codes of %lld operations can differ, of %lld none can\n",
                  profile_word(d, source), (long long)differ, (long long)same);
    if (unknown.len)
        oct_text_addf(&d->say, "rounding: not counted, as these have too many operands to go through: %s\n", unknown.s);
    return true;
}
