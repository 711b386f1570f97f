/* interp_impl.h - what the files of the interpreter share: the instance, the hooks, reading and writing codes. Not for others.
 *
 * Hooks run on worker threads: they allocate nothing, take scratch from ex->scratch (whose size oct_interp_prepare asked for) and
 * report nothing. Whatever can be refused is refused by oct_interp_prepare, on the thread that makes the instance. */
#ifndef OCT_INTERP_IMPL_H
#define OCT_INTERP_IMPL_H

#include <string.h>

#include "hooks.h"
#include "interp.h"

/* One node, its tensors bound to the batch size. */
struct oct_step {
    const struct oct_node *n;
    struct oct_tensor out;
    const struct oct_tensor **in; /* operand values; NULL for an absent optional operand */
    void *prep;                   /* what oct_interp_prepare made: packed weights, requantizers; shared by clones, immutable */
    size_t scratch;               /* bytes of scratch the hook takes */
};
struct oct_exec {
    struct oct_ctx *cx;
    const struct oct_module *m;
    struct oct_arena *arena;
    int64_t batch;
    bool keep_all, placed; /* placed: intermediate values have buffers */
    struct oct_step *step;
    uint32_t nsteps;
    const struct oct_step *now; /* the step at work */
    uint32_t *slot;             /* node -> step, open addressing over mask + 1 slots, 0 = empty, else step + 1 */
    uint32_t mask;
    unsigned char *scratch;
    size_t scratch_used, scratch_size;
};

/* Makes s->prep and s->scratch; false after a diagnostic (a requantizer that its profile refuses). */
bool oct_interp_prepare(struct oct_exec *ex, struct oct_step *s);
bool oct_prepare_linear(struct oct_exec *ex, struct oct_step *s);      /* interp_linear.c: conv2d, dense, matmul */
bool oct_prepare_elementwise(struct oct_exec *ex, struct oct_step *s); /* interp_elementwise.c: add, sub, mul, requantize */
bool oct_prepare_reduce(struct oct_exec *ex, struct oct_step *s);      /* interp_reduce.c: pools, mean, softmax */
bool oct_prepare_move(struct oct_exec *ex, struct oct_step *s);        /* interp_move.c: concat */
bool oct_prepare_recurrent(struct oct_exec *ex, struct oct_step *s);   /* interp_recurrent.c: lstm, gru */
/* The diagnostic of all of them. */
bool oct_refuse_requant(struct oct_exec *ex, const struct oct_node *n, double m);

/* Scratch, 64-aligned, until the hook returns. */
static inline size_t oct_scratch_bytes(int64_t n, size_t size) { return ((size_t)n * size + 63) & ~(size_t)63; }
void *oct_scratch(struct oct_exec *ex, int64_t n, size_t size);

static inline bool oct_is_integer_form(const struct oct_type *t) { return t->q != NULL; }

/* The clip attribute, and the codes that a result may take: [lo, hi]. */
struct oct_code_range {
    int32_t lo, hi;
};
struct oct_code_range oct_code_range(const struct oct_node *n);
static inline int32_t oct_clamp_code(int64_t v, struct oct_code_range r) {
    return v < r.lo ? r.lo : v > r.hi ? r.hi : (int32_t)v;
}
static inline float oct_clampf(float x, float lo, float hi) {
    float y = x < lo ? lo : x;
    return y > hi ? hi : y;
}

/* n codes from element `at` on, `stride` apart, minus `minus`, into dst; and back (values are within the type). */
void oct_load_codes(const struct oct_tensor *t, int64_t at, int64_t stride, int64_t n, int64_t minus, int32_t *dst);
void oct_store_codes(const struct oct_tensor *t, int64_t at, int64_t n, const int32_t *src);
enum { OCT_RUN = 256 }; /* codes that elementwise hooks take at a time */

/* Elements behind one index of `axis`. */
static inline int64_t oct_inner(const struct oct_type *t, int axis) {
    int64_t n = 1;
    for (int i = axis + 1; i < t->rank; i++) n *= t->dim[i];
    return n;
}

/* Runs a float hook between dequantize and quantize: the meaning of profile onnx for everything but linear ops. Scratch: the sum
 * of oct_float_scratch over operands and result. */
size_t oct_through_float_scratch(const struct oct_step *s);
void oct_through_float(struct oct_exec *ex, const struct oct_node *n, oct_interp_fn *hook, const struct oct_tensor *const *in,
                       struct oct_tensor *out);
void oct_dequantize_tensor(const struct oct_tensor *q, float *dst);
void oct_quantize_tensor(const float *src, const struct oct_tensor *q, struct oct_code_range codes, enum oct_divide d,
                         enum oct_order o);

/* gemmlowp's two roundings (requant.c). */
int32_t oct_srdhm(int32_t a, int32_t b);
int32_t oct_rdbpot(int32_t x, int s);

#endif
