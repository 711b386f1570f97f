/* permute_channels.c - reorders channels so that products of opposite sign meet in the 16-bit sums of the layers that read them
 * (option permute_channels=on; rule saturation says which sums). The op that makes the channels gets its output channels
 * permuted, its readers their input channels: a free choice where nobody outside knows the order. Additions tie the orders of
 * their operands together; inputs, outputs and ops that mix channels in another way forbid a change.
 *
 * Requires calibrate. The order is found by exchanges: two channels swap places wherever that lowers what rule saturation will
 * cost, log2 of how much scales rise, summed over all output channels of all readers; from the given order on, always in the same
 * sequence, so the result depends on the model alone. Weights count unrounded here: the scales that insert_qdq chooses are exact.
 * Channels that fold_channels will take out go last. The float model computes the same sums in another order. */
#include <math.h>
#include <string.h>

#include "channels.h"

/* A layer that reads the channels at work. Weights as w[(ky, kx)][channel][output]. */
struct reader {
    const struct oct_node *n;
    int64_t outs, kh, kw, quads;
    float factor; /* codes' sum times it: the scale that holds it, in units of weights */
    float *w, *least;
    int64_t lanes;              /* of a row */
    float *positive, *negative; /* [ky][lane][output]: sums of the weights of either sign */
    float *need;                /* [output]: most of any lane, times factor */
    int64_t *worst;             /* [output]: the row and lane that needs it */
};
struct order {
    struct oct_arena *scratch;
    int64_t channels, live; /* those behind `live` will be taken out */
    int32_t *at;            /* at[place] = channel */
    struct reader *reader;
    int readers;
    int64_t most_outs, most_lanes;
    float *sum[2]; /* of the lanes that an exchange changes */
    int64_t *lane; /* which they are */
    double work;   /* left */
};
struct value {
    struct oct_channels c;
    int32_t *at; /* of a root: the order chosen, or NULL */
};
static struct value *root(const struct oct_node *n) {
    return oct_channels_of(n) ? (struct value *)oct_channels_root(oct_channels_of(n)) : NULL;
}

/* ---- what an order costs -----------------------------------------------------------------------------------------------------
 */

/* The lane of a row that the channel in `place` is summed in at kx: ir/sat16.h. */
static int64_t lane_of(const struct order *o, const struct reader *r, int64_t kx, int64_t place) {
    const int64_t flat = kx * o->live + place;
    return flat / (4 * r->quads) * 2 + flat % 4 / 2;
}

static const float *weights_at(const struct order *o, const struct reader *r, int64_t ky, int64_t kx, int32_t channel) {
    return r->w + ((ky * r->kw + kx) * o->channels + channel) * r->outs;
}

static void add_weights(float *positive, float *negative, const float *w, int64_t outs, float sign) {
    for (int64_t i = 0; i < outs; i++) {
        positive[i] += sign * fmaxf(w[i], 0);
        negative[i] += sign * fmaxf(-w[i], 0);
    }
}

/* Sums of one lane from the order as it is. */
static void sum_lane(const struct order *o, struct reader *r, int64_t ky, int64_t lane) {
    float *p = r->positive + (ky * r->lanes + lane) * r->outs, *n = r->negative + (ky * r->lanes + lane) * r->outs;
    memset(p, 0, (size_t)r->outs * sizeof *p);
    memset(n, 0, (size_t)r->outs * sizeof *n);
    const int64_t first = lane / 2 * 4 * r->quads + lane % 2 * 2;
    for (int64_t q = 0; q < r->quads; q++)
        for (int64_t flat = first + 4 * q; flat < first + 4 * q + 2 && flat < r->kw * o->live; flat++)
            add_weights(p, n, weights_at(o, r, ky, flat / o->live, o->at[flat % o->live]), r->outs, 1);
}

static double bits(const struct reader *r, int64_t out, float need) {
    return need > r->least[out] ? (double)log2f(need / r->least[out]) : 0;
}

static void find_worst(struct reader *r, int64_t out) {
    r->need[out] = 0;
    r->worst[out] = 0;
    for (int64_t l = 0; l < r->kh * r->lanes; l++) {
        const float s = r->factor * fmaxf(r->positive[l * r->outs + out], r->negative[l * r->outs + out]);
        if (s > r->need[out]) r->need[out] = s, r->worst[out] = l;
    }
}

static double cost(const struct order *o) {
    double sum = 0;
    for (int i = 0; i < o->readers; i++)
        for (int64_t out = 0; out < o->reader[i].outs; out++) sum += bits(&o->reader[i], out, o->reader[i].need[out]);
    return sum;
}

/* ---- exchanges ---------------------------------------------------------------------------------------------------------------
 */

/* What changes for reader r when the channels in places a and b swap: rows and lanes in o->lane, their sums in o->sum. */
static int64_t changed_lanes(struct order *o, const struct reader *r, int64_t a, int64_t b) {
    const int64_t outs = r->outs;
    int64_t n = 0;
    for (int64_t ky = 0; ky < r->kh; ky++)
        for (int64_t kx = 0; kx < r->kw; kx++) {
            const int64_t la = lane_of(o, r, kx, a), lb = lane_of(o, r, kx, b);
            if (la == lb) continue;
            for (int side = 0; side < 2; side++) {
                const int64_t l = ky * r->lanes + (side ? lb : la);
                int64_t i = n;
                while (i > 0 && o->lane[i - 1] != l && o->lane[i - 1] >= ky * r->lanes)
                    i--; /* only lanes of this row can recur */
                i = i > 0 && o->lane[i - 1] == l ? i - 1 : n;
                if (i == n) {
                    o->lane[n++] = l;
                    memcpy(o->sum[0] + i * outs, r->positive + l * outs, (size_t)outs * sizeof(float));
                    memcpy(o->sum[1] + i * outs, r->negative + l * outs, (size_t)outs * sizeof(float));
                }
                const float *out = weights_at(o, r, ky, kx, o->at[side ? b : a]),
                            *in = weights_at(o, r, ky, kx, o->at[side ? a : b]);
                add_weights(o->sum[0] + i * outs, o->sum[1] + i * outs, out, outs, -1);
                add_weights(o->sum[0] + i * outs, o->sum[1] + i * outs, in, outs, 1);
            }
        }
    return n;
}

/* Bits that swapping places a and b saves in reader r; negative: costs. */
static double saved_in(struct order *o, struct reader *r, int64_t a, int64_t b) {
    const int64_t n = changed_lanes(o, r, a, b);
    double saved = 0;
    o->work -= (double)(6 * n * r->outs);
    for (int64_t out = 0; out < r->outs; out++) {
        float need = 0;
        bool was_worst = false;
        for (int64_t i = 0; i < n; i++) {
            need = fmaxf(need, fmaxf(o->sum[0][i * r->outs + out], o->sum[1][i * r->outs + out]));
            was_worst |= o->lane[i] == r->worst[out];
        }
        need *= r->factor;
        if (!was_worst) {
            need = fmaxf(need, r->need[out]);
        } else if (need < r->need[out] && r->need[out] > r->least[out]) { /* another lane may be the worst now */
            o->work -= (double)(r->kh * r->lanes);
            for (int64_t l = 0; l < r->kh * r->lanes; l++) {
                bool changed = false;
                for (int64_t i = 0; i < n; i++) changed |= o->lane[i] == l;
                if (!changed)
                    need = fmaxf(need, r->factor * fmaxf(r->positive[l * r->outs + out], r->negative[l * r->outs + out]));
            }
        }
        if (need != r->need[out]) saved += bits(r, out, r->need[out]) - bits(r, out, need);
    }
    return saved;
}

static void swap(struct order *o, int64_t a, int64_t b) {
    const int32_t c = o->at[a];
    o->at[a] = o->at[b];
    o->at[b] = c;
    for (int i = 0; i < o->readers; i++) {
        struct reader *r = &o->reader[i];
        for (int64_t ky = 0; ky < r->kh; ky++)
            for (int64_t kx = 0; kx < r->kw; kx++) {
                sum_lane(o, r, ky, lane_of(o, r, kx, a));
                sum_lane(o, r, ky, lane_of(o, r, kx, b));
            }
        for (int64_t out = 0; out < r->outs; out++) find_worst(r, out);
    }
}

/* Sweeps over all pairs of places until none helps, or the work that a layer may take is done. */
static void exchange(struct order *o) {
    const double least = 1e-4; /* bits: below it lies rounding */
    for (bool better = true; better;) {
        better = false;
        for (int64_t a = 0; a < o->live; a++)
            for (int64_t b = a + 1; b < o->live; b++) {
                double saved = 0;
                for (int i = 0; i < o->readers; i++) saved += saved_in(o, &o->reader[i], a, b);
                if (o->work < 0) return;
                if (saved < least) continue;
                swap(o, a, b);
                better = true;
            }
    }
}

/* ---- groups ------------------------------------------------------------------------------------------------------------------
 */

/* Steps between the least and the greatest code that n will read; an estimate: insert_qdq knows. */
static int32_t span_of(const struct oct_node *n) {
    const struct oct_node *x = oct_operand(n, 0);
    while (oct_has_flag(x, OCT_SHARESQ)) x = oct_operand(x, 0);
    return x->op == OCT_OP_observe && x->at.reduced ? 127 : 255;
}

static bool is_reader(const struct oct_module *m, const struct oct_node *n) {
    if (!oct_channels_of(n) || oct_channel_role(n) != OCT_PRODUCES || !oct_const_floats(n->operand[1])) return false;
    return oct_qconfig_for(m, n).saturation != 0 && !oct_kept_float(m, n);
}

static void open_reader(struct order *o, struct reader *r, const struct oct_module *m, const struct oct_node *n) {
    const struct oct_type *t = &n->operand[1]->type;
    const float *w = oct_const_floats(n->operand[1]);
    const bool window = t->rank == 4;
    *r = (struct reader){.n = n, .outs = t->dim[0], .kh = window ? t->dim[2] : 1, .kw = window ? t->dim[3] : 1};
    const struct oct_qconfig rule = oct_qconfig_for(m, n);
    const int64_t taps = r->kh * r->kw;
    r->quads = oct_safe_quads(&rule);
    r->factor = (float)span_of(n) / (float)OCT_SAT16_MOST;
    r->w = OCT_NEW_N(o->scratch, float, r->outs * o->channels * taps);
    r->least = OCT_NEW_N(o->scratch, float, r->outs);
    for (int64_t out = 0; out < r->outs; out++) {
        float most = 0;
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t k = 0; k < taps; k++) {
                const float x = w[(out * o->channels + c) * taps + k];
                r->w[(k * o->channels + c) * r->outs + out] = x;
                most = fmaxf(most, fabsf(x));
            }
        r->least[out] = fmaxf(most / 127, 1e-30f);
    }
    r->lanes = (r->kw * o->live + 4 * r->quads - 1) / (4 * r->quads) * 2;
    r->positive = OCT_NEW_N(o->scratch, float, r->kh * r->lanes * r->outs);
    r->negative = OCT_NEW_N(o->scratch, float, r->kh * r->lanes * r->outs);
    r->need = OCT_NEW_N(o->scratch, float, r->outs);
    r->worst = OCT_NEW_N(o->scratch, int64_t, r->outs);
    for (int64_t ky = 0; ky < r->kh; ky++)
        for (int64_t l = 0; l < r->lanes; l++) sum_lane(o, r, ky, l);
    for (int64_t out = 0; out < r->outs; out++) find_worst(r, out);
    if (r->outs > o->most_outs) o->most_outs = r->outs;
    if (2 * taps > o->most_lanes) o->most_lanes = 2 * taps;
}

enum { WORK = 1000000000 }; /* steps of the innermost loops for one group of values: about a second */

/* The order of one group; NULL: as it is. */
static int32_t *choose_order(struct oct_pass_env *env, const struct oct_module *m, struct value *group,
                             const struct oct_fold_ahead *ahead) {
    struct order o = {.scratch = oct_arena_new(env->cx), .channels = group->c.n, .work = WORK};
    const uint8_t *dead = NULL;
    const struct oct_node *first = NULL;
    OCT_FOR_NODES(m, n) {
        if (!is_reader(m, n) || root(n->operand[0]) != group) continue;
        o.readers++;
        if (!dead) dead = oct_fold_ahead_dead(ahead, n);
        if (!first) first = n;
    }
    int32_t *at = NULL;
    if (o.readers && o.channels > 2) {
        at = o.at = OCT_NEW_N(env->scratch, int32_t, o.channels);
        for (int pass = 0; pass < 2; pass++)
            for (int32_t c = 0, place = (int32_t)o.live; c < o.channels; c++)
                if ((dead && dead[c]) == (pass == 1)) at[place++] = c, o.live += pass == 0;
        o.reader = OCT_NEW_N(o.scratch, struct reader, o.readers);
        int i = 0;
        OCT_FOR_NODES(m, n) if (is_reader(m, n) && root(n->operand[0]) == group) open_reader(&o, &o.reader[i++], m, n);
        for (int s = 0; s < 2; s++) o.sum[s] = OCT_NEW_N(o.scratch, float, o.most_lanes *o.most_outs);
        o.lane = OCT_NEW_N(o.scratch, int64_t, o.most_lanes);
        const double before = cost(&o);
        exchange(&o);
        int64_t outs = 0;
        for (i = 0; i < o.readers; i++) outs += o.reader[i].outs;
        if (env->explain)
            oct_text_addf(env->explain,
                          "permute_channels: what '%s' reads: scales will rise by %.3f bits on average instead of %.3f\n",
                          first->name, cost(&o) / (double)outs, before / (double)outs);
    }
    oct_arena_free(o.scratch);
    return at;
}

/* ---- rewriting ---------------------------------------------------------------------------------------------------------------
 */

/* A constant whose indices along two axes are permuted: element [i][j] comes from [rows[i]][columns[j]]; NULL: as they are. */
static struct oct_node *permuted(struct oct_module *m, const struct oct_node *c, const int32_t *rows, const int32_t *columns) {
    const struct oct_type *t = &c->type;
    const int64_t outer = t->dim[0], inner = t->rank > 1 ? t->dim[1] : 1, run = oct_type_elements(t, 1) / (outer * inner);
    const float *from = oct_const_floats(c);
    float *to = OCT_NEW_N(m->arena, float, outer *inner *run);
    for (int64_t i = 0; i < outer; i++)
        for (int64_t j = 0; j < inner; j++)
            memcpy(to + (i * inner + j) * run, from + ((rows ? rows[i] : i) * inner + (columns ? columns[j] : j)) * run,
                   (size_t)run * sizeof *to);
    return oct_new_const(m, c->name, "permuted", t, to, c->span);
}

static bool float_constants(const struct oct_node *n) {
    return oct_const_floats(n->operand[1]) && (n->noperands < 3 || !n->operand[2] || oct_const_floats(n->operand[2]));
}

bool oct_pass_permute_channels(struct oct_pass_env *env, struct oct_module *m) {
    if (m->option[OCT_OPT_permute_channels] == OCT_PERMUTE_OFF || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF ||
        !oct_wants_safe(m))
        return true;
    struct oct_fold_ahead ahead;
    oct_fold_ahead(&ahead, env, m);
    OCT_FOR_NODES(m, n) {
        struct value *v = NULL;
        if (oct_has_channels(n) && n->type.dtype == OCT_F32) {
            v = OCT_NEW(env->scratch, struct value);
            v->c.n = (int32_t)n->type.dim[1];
            v->c.group = &v->c;
        }
        n->tag = v;
        const enum oct_channel_role role = oct_channel_role(n);
        oct_channels_join(n, role != OCT_MIXES && oct_has_flag(n, OCT_LINEAR) && !float_constants(n) ? OCT_MIXES : role);
    }
    oct_channels_pin_outputs(m);
    OCT_FOR_NODES(m, n)
    if (oct_channels_of(n) && root(n) == n->tag && !root(n)->c.pinned) root(n)->at = choose_order(env, m, root(n), &ahead);
    oct_fold_ahead_end(&ahead);
    OCT_FOR_NODES(m, n) {
        if (!oct_has_flag(n, OCT_LINEAR) || !oct_channels_of(n) || oct_channel_role(n) == OCT_MIXES) continue;
        const int32_t *outs = root(n)->at, *ins = oct_is_depthwise(n) ? NULL : root(n->operand[0])->at;
        if (!outs && !ins) continue;
        m->cursor = n;
        n->operand[1] = permuted(m, n->operand[1], outs, ins);
        if (outs && n->noperands > 2 && n->operand[2]) n->operand[2] = permuted(m, n->operand[2], outs, NULL);
        env->changes++;
    }
    OCT_FOR_NODES(m, n) n->tag = NULL;
    return true;
}
