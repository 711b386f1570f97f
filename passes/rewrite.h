/* rewrite.h - small things that several passes do to a graph (rewrite.c). Everything here reads operands through oct_resolve. */
#ifndef OCT_REWRITE_H
#define OCT_REWRITE_H

#include "../ir/sat16.h"
#include "pass.h"

/* Resolves the node's operands in place: a pass calls it on each node it visits, then reads n->operand directly. */
void oct_resolve_operands(struct oct_node *n);
/* Operand i or NULL when absent. */
static inline struct oct_node *oct_operand(const struct oct_node *n, int i) {
    return i < n->noperands ? oct_resolve(n->operand[i]) : NULL;
}
static inline bool oct_is_const(const struct oct_node *n) { return n && n->op == OCT_OP_const; }
/* A float constant's elements, NULL for anything else. */
static inline const float *oct_const_floats(const struct oct_node *n) {
    return oct_is_const(n) && n->type.dtype == OCT_F32 ? (const float *)n->data : NULL;
}
static inline bool oct_takes(const struct oct_node *n, enum oct_attr_id a) { return oct_op_info(n->op)->attrs >> a & 1u; }
static inline bool oct_has_flag(const struct oct_node *n, unsigned flag) { return (oct_op_info(n->op)->flags & flag) != 0; }
/* The interval that relu, relu6 or clip clamps to; false for other ops (fuse_act.c). */
bool oct_clamp_of(const struct oct_node *n, float *lo, float *hi);
/* Is this op float by its own form or by a rule (act=float, act=dynamic)? Then its result is no codes, whatever stands around it.
 */
bool oct_kept_float(const struct oct_module *m, const struct oct_node *n);
const char *oct_kept_float_why(const struct oct_module *m, const struct oct_node *n);
/* The value whose parameters n carries: back through the ops that share their operand's. A pass notes it in `tag`, node by node
 * in execution order, so that long chains cost linear time; a node without a note is its own. */
void oct_note_origin(const struct oct_module *m, struct oct_node *n);
static inline struct oct_node *oct_origin(struct oct_node *n) { return n->tag ? n->tag : n; }
/* All codes of 1 to 16 bits. */
struct oct_reach oct_codes_of_bits(int bits, bool with_sign);
/* Least and greatest code for what an observe node watches. */
struct oct_reach oct_observed_codes(const struct oct_node *o);
/* "%s.%s", for the names of what a pass makes of a value. */
const char *oct_suffixed(struct oct_module *m, const char *base, const char *suffix);
/* A new constant before m->cursor whose data (from the module's arena) is handed over; the name is made fresh from base.suffix.
 */
struct oct_node *oct_new_const(struct oct_module *m, const char *base, const char *suffix, const struct oct_type *t,
                               const void *data, struct oct_span span);
/* The same op with the same attributes (but for `why`) on other operands, before m->cursor; span, from and doc are inherited.
 * Never NULL: what a pass builds must be legal, otherwise it is an internal error. */
struct oct_node *oct_build_like(struct oct_module *m, const struct oct_node *n, struct oct_node *const *operand, int noperands,
                                const struct oct_type *declared);
/* oct_build for a pass: `name` is made fresh, and failing is an internal error. */
struct oct_node *oct_make(struct oct_module *m, enum oct_op op, const char *name, struct oct_node *const *operand, int noperands,
                          const struct oct_attrs *at, const struct oct_type *declared, struct oct_span span);
/* Notes on the node why it is as it is, without a line for --explain. */
void oct_set_why(struct oct_module *m, struct oct_node *n, const char *fmt, ...) OCT_PRINTF(3, 4);
/* Settles the module and drops what no output needs; inputs stay. A pass that strands nodes ends with it, so that a dump shows no
 * dead code. Returns how many values went. */
unsigned oct_sweep(struct oct_module *m);

/* Channel c of a batch norm as g x + t (fold_bn.c); false when its parameters are no constants, or g or t is infinite. */
bool oct_bn_channel(const struct oct_node *bn, int64_t c, double *g, double *t);

/* ---- fold_channels.c, asked beforehand ---- */

/* Which channels fold_channels will take out of a calibrated float model: found on a copy that is quantized with plain scales.
 * (Other scales may make another channel constant, or fewer: then a proof of the compiler is refused, nothing worse.) */
struct oct_fold_ahead {
    struct oct_module *copy;
};
void oct_fold_ahead(struct oct_fold_ahead *f, struct oct_pass_env *env, const struct oct_module *m);
/* Of the operand of a conv2d or dense of the float model: one byte a channel, or NULL where nothing is known to go. Lives until:
 */
const uint8_t *oct_fold_ahead_dead(const struct oct_fold_ahead *f, const struct oct_node *linear);
void oct_fold_ahead_end(struct oct_fold_ahead *f);

/* ---- safe_scale.c: scales that sums of 16 bits survive ---- */

struct oct_loss { /* log2 of how much scales rose */
    double bits, most;
    uint32_t channels, raised;
};
/* Of one linear op: the order in which its kernels read the weights of an output channel, and the sums they make. */
struct oct_safe {
    int quads;                       /* pairs of products in one sum, in each of two lanes (ir/sat16.h) */
    int32_t range;                   /* activations less the lowest are 0 .. range */
    struct oct_reach codes;          /* of weights */
    int64_t c, kh, kw, nlive, *live; /* channels that stay (fold_channels takes the others out), in their order */
    float *w;
    int8_t *code;
    struct oct_loss loss;
};
/* Quads that a rule lets kernels add in 16 bits; 0: none. */
int oct_safe_quads(const struct oct_qconfig *rule);
/* Does any rule ask for scales that cannot saturate? */
bool oct_wants_safe(const struct oct_module *m);
/* Operand 1 of n is its float weight; dead: channels that will go, or NULL. False: its rule does not ask for it, or its kernels
 * have no such sums. */
bool oct_safe_begin(struct oct_safe *s, struct oct_arena *scratch, const struct oct_node *n, const struct oct_qconfig *rule,
                    int32_t range, const uint8_t *dead);
/* The least scale >= `scale` for one output channel w[c][kh][kw] under which none of its sums can saturate. */
float oct_safe_scale(struct oct_safe *s, const float *w, float scale, bool power_of_two);
void oct_safe_note(struct oct_safe *s, float before, float after);

/* ---- nudge_scales.c ---- */

struct oct_nudged {
    struct oct_node *weight, *bias; /* constants of codes, the op's own; bias may be NULL */
    const struct oct_type *x, *y;   /* of its codes */
    int32_t x_lo, x_hi;             /* what x can have, less its zero point; 0 among them */
    int32_t qmin, qmax;             /* codes of the result */
};
struct oct_nudges { /* channels, and layers all of whose channels are proved, before and after; the largest move */
    unsigned channels, before, after;
    int ulps;
    unsigned layers, whole_before, whole_after;
};
/* Sets the scales of op->weight and op->bias; adds to *sum. n: the linear op, for --explain. */
void oct_nudge_scales(struct oct_pass_env *env, struct oct_module *m, const struct oct_node *n, const struct oct_nudged *op,
                      struct oct_nudges *sum);

/* ---- quantize_weights.c ---- */

/* What a linear op reads. */
struct oct_input {
    float scale;
    int32_t range;         /* its codes span so many steps */
    const uint8_t *dead;   /* channels that fold_channels will take out, or NULL */
    struct oct_loss *loss; /* sums up what rule saturation costs; NULL: that rule has no say */
};
/* Quantizes the float constants that a linear op reads as weight and bias, as its rule says. Returns how many constants it
 * replaced. */
unsigned oct_quantize_weights(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, const struct oct_input *in);
/* The float constant that n reads as operand i as codes under its rule, by rows of axis 0 or as a whole; NULL: it is none, or the
 * rule keeps it float (noted on n). */
struct oct_node *oct_codes_by_rule(struct oct_pass_env *env, struct oct_module *m, struct oct_node *n, int i);
/* Codes that weights take by the rule, and the nearest of them, ties to even. */
struct oct_reach oct_weight_codes(const struct oct_qconfig *rule);
/* So many of `outs` output channels in a row share a scale by the rule. */
int64_t oct_weight_run(const struct oct_qconfig *rule, int64_t outs);
/* Parameters of n weights that share them by the rule. Scale 0: all are zero. */
float oct_weight_scale_of(const struct oct_qconfig *rule, const float *w, int64_t n);
int32_t oct_weight_zero_of(const struct oct_qconfig *rule, const float *w, int64_t n, float scale);
int32_t oct_weight_code(float w, float scale, int32_t zero, struct oct_reach codes);
/* The codes that env->round chooses, else the nearest ones. */
void oct_round_weights(struct oct_pass_env *env, const struct oct_weights *w, int32_t *code);
/* A bias in units of s_x s_w, ties to even, clamped to +-(2^31 - 1). */
int32_t oct_bias_code(float b, float s_x, float s_w);

#endif
