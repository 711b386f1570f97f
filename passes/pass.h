/* pass.h - model -> model. A pass is one file and one row of passes.def; the order is pipeline.def. The runner (runner.c), not
 * the pass, verifies, settles, dumps, times and stops. Passes name no target. */
#ifndef OCT_PASS_H
#define OCT_PASS_H

#include "../ir/interp.h"
#include "../ir/ir.h"
#include "../ir/stats.h"

/* Words of OPTION(quantize), OPTION(permute_channels), OPTION(nudge_scales), OPTION(io) and QRULE(act), in order. */
enum { OCT_QUANTIZE_ON, OCT_QUANTIZE_OFF };
enum { OCT_PERMUTE_OFF, OCT_PERMUTE_ON };
enum { OCT_NUDGE_OFF, OCT_NUDGE_ON };
enum { OCT_BIAS_I32, OCT_BIAS_NONE, OCT_BIAS_FLOAT }; /* of QRULE(bias) */
enum { OCT_IO_INT8, OCT_IO_FLOAT };
enum { OCT_ACT_I8, OCT_ACT_U8, OCT_ACT_I16, OCT_ACT_FLOAT, OCT_ACT_DYNAMIC };

/* Calibration data, already fitted to the module's inputs. */
struct oct_dataset {
    const struct oct_input_data *in;
    uint32_t nin;
    int64_t samples;
};

/* Shows `each` what the observe nodes hold for all the data, in place of oct_run_dataset; the same bits. */
typedef bool oct_observe_fn(void *user, const struct oct_module *m, const struct oct_dataset *data, oct_each_fn *each,
                            void *each_user);

/* Weights of one linear op that are about to become codes, under scales that are final. */
struct oct_weights {
    const struct oct_node *op; /* conv2d or dense; its operand 1 is the float constant */
    const float *w;            /* row-major: `outs` output channels, `per` elements each */
    int64_t outs, per;
    const struct oct_quant *q; /* element i has the parameters oct_scale, oct_zero of oct_weight_index(w, i) */
    struct oct_reach codes;    /* least and greatest code */
};
uint32_t oct_weight_index(const struct oct_weights *w, int64_t i);
/* Rounds: fills code[outs * per], each within w->codes. False: nearest codes are wanted. */
typedef bool oct_round_fn(void *user, const struct oct_weights *w, int32_t *code);

struct oct_pass_env {
    struct oct_ctx *cx;
    struct oct_module *m;           /* the module at work */
    struct oct_arena *scratch;      /* reset by the runner after each pass */
    const struct oct_dataset *data; /* NULL when none was given */
    oct_observe_fn *observe;        /* computes what calibrate observes; NULL: the interpreter */
    void *observe_user;
    oct_round_fn *round; /* chooses the codes of weights for given scales; NULL: the nearest */
    void *round_user;
    struct oct_stats *stats;  /* observer state to start from and to fill; NULL: private to calibrate */
    struct oct_text *explain; /* lines for --explain; NULL: not wanted */
    unsigned changes;         /* the pass counts its rewrites here */
};
/* One line "NAME: what (why)" for --explain; also goes to `why` of the node when it stays in the model. */
void oct_explain(struct oct_pass_env *env, const struct oct_node *n, const char *fmt, ...) OCT_PRINTF(3, 4);

/* True when done; false after a diagnostic. */
typedef bool oct_pass_fn(struct oct_pass_env *env, struct oct_module *m);

enum oct_pass_flag {
    /* requires */
    OCT_NEEDS_SHAPES = 1, /* every type inferred: always so */
    OCT_NEEDS_RANGES = 2, /* every observe node has its range */
    /* establishes; what it leaves as it was is checked by check_each.c */
    OCT_MAKES_RANGES = 16,
    OCT_MAKES_QPARAMS = 32, /* quantized types stand where rules and ranges want them */
    OCT_MAKES_INTEGER = 64, /* islands between dequantize and quantize are integer ops */
    OCT_KEEPS_BITS = 256,   /* every output has the same bits as before */
    OCT_KEEPS_VALUES = 512, /* float outputs within a small bound (OCT_CHECK_FLOAT_BOUND of their range) */
};
/* oct_pass_NAME for every row of passes.def. */
#define PASS(name, requires_, establishes, doc) oct_pass_fn oct_pass_##name;
#include "passes.def"
#undef PASS
struct oct_pass_info {
    const char *name, *doc;
    oct_pass_fn *run;
    unsigned requires_, establishes;
};
const struct oct_pass_info *oct_pass_find(const char *name);
const struct oct_pass_info *oct_pass_list(uint32_t *n);

/* One row of the default pipeline. label = pass name, or name.2 for a second occurrence; module->after holds a label. */
struct oct_pipeline_row {
    const char *label, *pass, *reason;
};
const struct oct_pipeline_row *oct_pipeline(uint32_t *n);

struct oct_run_options {
    const struct oct_dataset *data;
    oct_observe_fn *observe; /* as in struct oct_pass_env */
    void *observe_user;
    oct_round_fn *round;
    void *round_user;
    struct oct_stats *stats;
    const char *const *passes; /* run exactly these, in order (NULL-terminated) instead of the pipeline; m->after goes on only
                                * with those whose turn it is in the pipeline */
    const char *stop_after;    /* pipeline label, or NULL: to the end */
    /* Called after each pass that ran, m->after up to date; NULL: none. */
    bool (*after)(void *user, struct oct_module *m, const char *label, double ms, unsigned changes);
    void *user;
    struct oct_text *explain;
    bool check_each; /* also run before and after on random inputs (P9), for tests */
};
/* Runs the pipeline from the row after m->after (from the first without it). A module that is calibrated already (or has no
 * float left to quantize) passes through the rows that have nothing to do. */
bool oct_run_pipeline(struct oct_ctx *cx, struct oct_module *m, const struct oct_run_options *opt);

/* Runs both modules on the same pseudo-random inputs and stops with an internal error when the pass changed more than its flags
 * allow (check_each.c). */
void oct_check_pass(struct oct_module *before, struct oct_module *after, const struct oct_pass_info *pass);

/* Does any rule leave codes of weights, or biases, to the pass repair_layers, which reads data? */
bool oct_wants_repair(const struct oct_module *m);

/* ---- choosing parameters: pure number code, apart from graph rewriting (qparams.c) --------------------------------------- */

/* Scale and zero point for codes [qmin, qmax] from a range (NUMERICS 1); zero is always representable. Degenerate ranges give
 * s = 1, z = 0. The asymmetric scheme, meant for activations, keeps s >= FLT_EPSILON; the symmetric ones do not, since weight
 * channels may be as small as they like. */
void oct_choose_qparams(float lo, float hi, enum oct_scheme s, int32_t qmin, int32_t qmax, float *scale, int32_t *zero);
/* Scale of weights w[0], w[stride], ... (n of them): from their range, or (mse) the one that minimises the squared error among
 * range * i/128. [qmin, qmax]: all codes of the width, of which sym and pot leave out the least; the asymmetric scheme takes
 * what it is given. 0 for weights that are all zero: the caller decides (NUMERICS 3, bias). */
float oct_weight_scale(const float *w, int64_t n, int64_t stride, enum oct_scheme s, bool mse, int32_t qmin, int32_t qmax);
/* The zero point under that scale, or a greater one. */
int32_t oct_weight_zero(const float *w, int64_t n, enum oct_scheme s, float scale, int32_t qmin, int32_t qmax);

/* ---- observers: one file and one row each (observers.def, observer_*.c) ----------------------------------------------- */

/* What a range is wanted for: an activation's state, or the weights of one scale. */
struct oct_observed {
    const struct oct_histogram *h; /* h->total > 0; NULL: weights */
    const float *w;                /* n > 0 finite weights */
    int64_t n;
    enum oct_scheme scheme;
    int32_t qmin, qmax; /* codes */
    double param;       /* the observer's number */
    const char *name;   /* of the value */
    const struct oct_observer *observer;
    struct oct_arena *scratch;
    const char *why;    /* set where there is no range: the reason, and what to do */
};
/* Chooses (lo, hi). False: none, o->why says why. */
typedef bool oct_range_fn(struct oct_observed *o, float range[2]);
#define OBSERVER(name, serves, parameter, least, greatest, doc) oct_range_fn oct_observe_##name;
#include "../ir/observers.def"
#undef OBSERVER

enum { OCT_OBSERVES_WEIGHTS = 1 };
struct oct_observer {
    const char *name, *doc;
    unsigned flags;
    double param, least, greatest; /* its number when no rule gives one, and its bounds; all 0: it takes none */
    oct_range_fn *range;
};
/* One of octavo's own, or of a plugin that the context (or NULL) has loaded. */
const struct oct_observer *oct_observer_find(const struct oct_ctx *cx, const char *name);
const struct oct_observer *oct_observer_list(uint32_t *n);
/* The observer that a rule or a node names, and the number that it works with: `given`, or its own where that is 0. NULL after a
 * diagnostic. */
const struct oct_observer *oct_observer_for(struct oct_ctx *cx, struct oct_span span, const char *name, float given,
                                            double *param);

#endif
