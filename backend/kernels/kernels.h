/* kernels.h - from one op with known shapes, layouts and constants to one loops kernel k(in..., out, constants..., scratch, lo,
 * hi).
 *
 * A kernel is one row of kernels.def: the op it serves, a predicate on types and layouts, and a builder. Where several rows serve
 * a layer, or one in several ways, oct_kernel_find chooses. A builder is ordinary C that writes loops (backend/loops/loops.h); it
 * opens its buffers through oct_k_in / oct_k_out / oct_k_const / oct_k_scratch, which also note what the caller has to pass for
 * each. No kernel file holds text of a target language. */
#ifndef OCT_KERNELS_H
#define OCT_KERNELS_H

#include "../backend.h"
#include "../loops/loops.h"
#include "../tuned.h"

/* ---- physical layout ------------------------------------------------------------------------------------------------------- */

/* Where element (i0, i1, ...) lies in its buffer: element number offset + sum i_k * stride_k. Tensors of rank 4 are NHWC with
 * an optional border around each image that holds the zero point (0.0 in float), so that a convolution reads its padding;
 * others are row-major. A slice or a part of a concat may be a view: strides and size of the buffer that it lies in. */
struct oct_layout {
    int rank;
    int64_t dim[OCT_MAX_RANK];    /* logical, the batch bound */
    int64_t stride[OCT_MAX_RANK]; /* elements; >= 0 (0: broadcast) except in views of a reversed slice */
    int64_t offset;
    int64_t size;      /* elements of the whole buffer */
    int64_t border[4]; /* top, left, bottom, right; of buffers made for this tensor, 0 in views */
};
int64_t oct_layout_elements(const struct oct_layout *at); /* logical elements */
/* Row-major, and NHWC with a border (rank 4). */
void oct_layout_plain(struct oct_layout *at, int rank, const int64_t *dim);
void oct_layout_nhwc(struct oct_layout *at, const int64_t *dim, const int64_t *border);
/* As inputs and outputs lie in the caller's memory. */
void oct_layout_outer(struct oct_layout *at, const struct oct_type *t, enum oct_io_layout io);
/* Where logical element i (row-major) lies. */
int64_t oct_layout_place(const struct oct_layout *at, int64_t i);
/* `from` stretched to rank and dims of `to` as broadcasting wants it: stride 0 along repeated axes. */
struct oct_layout oct_layout_broadcast(const struct oct_layout *from, const struct oct_layout *to);
/* Same place for every logical element (strides of axes of size 1 do not matter). */
bool oct_layout_same(const struct oct_layout *a, const struct oct_layout *b);
/* The same elements in row-major order under another shape: writes both layouts over common finer axes. False where the shapes
 * have no common refinement, as [2,3] and [3,2]; then one of the two must be contiguous. */
bool oct_layout_refine(const struct oct_layout *a, const struct oct_layout *b, struct oct_layout *fine_a,
                       struct oct_layout *fine_b);

/* ---- what a builder gets and gives -------------------------------------------------------------------------------------------
 */

struct oct_operand {
    const struct oct_node *node; /* its type (dtype, parameters); for a constant also its data, row-major */
    struct oct_layout at;        /* for a constant: the layout that oct_k_in packs it into (as an activation's) */
};

/* One buffer of the kernel: what the caller passes. */
enum oct_bind_kind { OCT_BIND_OPERAND, OCT_BIND_RESULT, OCT_BIND_CONST, OCT_BIND_SCRATCH };
struct oct_bind {
    enum oct_bind_kind kind;
    int index; /* operand number; constant number */
};
struct oct_packed {
    const char *name;
    enum lp_elem elem;
    int64_t n; /* elements */
    const void *data;
};
/* One way to build a layer. Whether it can be built that way, the kernel has made sure of; whether it should, oct_kernel_find
 * decides by the cycles, or whoever names one (a tuner's file). */
struct oct_way {
    char text[40]; /* the kernel's name and more: "conv2d_vec 6x2". No two ways to build a layer share it */
    const struct oct_kernel_info *kernel;
    int recipe, pixels, vectors; /* read back by the kernel that offered it, and by no one else */
    char steps[8]; /* what its sums are made of, as costs.def calls it: "a", "b4"; "": of nothing that has a ceiling */
    double gain;   /* multiplications of the layer for each that is done: 1, of Winograd more */
    double cycles; /* predicted for the whole layer on one core of the target; HUGE_VAL: there is no figure */
};
enum { OCT_MAX_WAYS = 128 };
struct oct_ways {
    struct oct_way way[OCT_MAX_WAYS + 1]; /* the last: of no use, for what finds no room */
    int n;
    const struct oct_kernel_info *kernel; /* that is being asked */
};
enum { OCT_K_MAX_BUFS = 32, OCT_K_CONST_ALIGN = 4 /* bytes: constants of bytes may be read by words */ };

struct oct_kbuild {
    struct oct_ctx *cx;
    struct oct_arena *arena;
    const struct oct_target *target;
    bool strict_float, no_float, no_requant_proof;
    const struct oct_node *node; /* attributes and result type */
    int nin;
    struct oct_operand *in; /* node == NULL: an absent optional operand */
    struct oct_operand out;
    int inplace;                         /* operand whose memory the result takes over; -1: none */
    const struct oct_tuned_layer *tuned; /* the ways to take, the first that is offered; NULL: the cheapest */
    struct oct_way way;                  /* that was chosen: the builder builds it */
    int nways;                           /* of how many */
    int threads;                         /* > 1: so many may share the kernel's range, so it should have shares for them */
    /* filled by the builder */
    struct lp_kernel *k;
    struct oct_bind bind[OCT_K_MAX_BUFS]; /* one per buffer of k */
    struct oct_packed constant[OCT_K_MAX_BUFS];
    int nconstants;
    int64_t scratch_bytes;
    const char *recipe;    /* how, in a word or two: "direct 4x2", "table" */
    struct oct_text proof; /* one line: bound of the accumulator, which requantization and why it is right */
    int64_t acc_bound;     /* |accumulator| never exceeds it; -1: the kernel has none */
    int64_t products;      /* multiplications between OCT_PRODUCTS_BEGIN and _END, in all; 0: no such part stands out */
    struct {
        uint32_t accepted, refused; /* no sum leaves 32 bits; one may, so it is 64 bits wide */
    } overflow_proofs;
    uint32_t proofs_accepted,
        proofs_refused;       /* requantizers (blocks of channels) that a cheaper sequence was proved equal to, or not */
    struct oct_text fallback; /* why it is slower than such a layer need be (oct_k_fallback); empty: it is not */
    /* which buffer was opened for what; -1: not yet */
    int32_t opened_in[OCT_K_MAX_BUFS], opened_out;
};

enum {
    OCT_K_INPLACE = 1,    /* element-wise: each element of the result depends on the same element of the operands that have its
                             layout, read before it is written; the result may take over such an operand's memory */
    OCT_K_FALLBACK = 2,   /* right but slow: reported */
    OCT_K_BORDER_ROWS = 4 /* needs no border, but is smaller where rows of padding lie above and below its operand */
};
struct oct_kernel_info {
    const char *name, *doc;
    enum oct_op op;
    unsigned flags;
    bool (*fits)(const struct oct_kbuild *b);                       /* can it be built at all */
    void (*ways)(const struct oct_kbuild *b, struct oct_ways *out); /* NULL: there is one, without a figure */
    bool (*build)(struct oct_kbuild *b); /* false after a diagnostic (an accumulator that cannot be held, a profile not served) */
};
/* The hooks of kernels.def. */
#define KERNEL(name, op, fits, build, flags, doc)                                                                                \
    bool oct_fits_##fits(const struct oct_kbuild *b), oct_build_##build(struct oct_kbuild *b);
#define KERNEL_WAYS(name, op, fits, build, flags, doc)                                                                           \
    KERNEL(name, op, fits, build, flags, doc)                                                                                    \
    void oct_ways_##build(const struct oct_kbuild *b, struct oct_ways *out);
#include "kernels.def"
#undef KERNEL
const struct oct_kernel_info *oct_kernel_list(uint32_t *n);
/* The first kernel that fits; NULL: there is none. */
const struct oct_kernel_info *oct_kernel_fits(const struct oct_kbuild *b);
/* Every way of every kernel that fits, in the order of the table. */
void oct_kernel_ways(const struct oct_kbuild *b, struct oct_ways *out);
/* Chooses b->way: the tuned one, else the cheapest, else (none has a figure) the first. Its kernel; NULL: none fits. A tuner's
 * file that names no way of the layer is an error. */
const struct oct_kernel_info *oct_kernel_find(struct oct_kbuild *b);
/* For a hook `ways`: one more, its text the kernel's name and what `fmt` gives, at most 19 characters each. Without a figure
 * until it is set.
 */
struct oct_way *oct_k_offer(struct oct_ways *out, const char *fmt, ...) OCT_PRINTF(2, 3);
/* Starts b->k and the fields that the builder fills, runs the builder, verifies the loops (a fault is an internal error). */
bool oct_kernel_build(struct oct_kbuild *b, const struct oct_kernel_info *info);

/* How much of the time threads wait when they share so many equal units of work, as evenly as they can: 0 to 1. */
double oct_k_idle(const struct oct_kbuild *b, int64_t units);

/* ---- for builders (kernels.c)
 * ---------------------------------------------------------------------------------------------------- */

/* The buffer of operand i, of the result (the same where the result takes over the operand's memory), a constant (data are not
 * copied), scratch memory of n elements. Asking twice gives the same buffer (constants and scratch: another). */
int32_t oct_k_in(struct oct_kbuild *b, int i);
int32_t oct_k_out(struct oct_kbuild *b);
int32_t oct_k_const(struct oct_kbuild *b, const char *name, enum lp_elem elem, int64_t n, const void *data);
int32_t oct_k_scratch(struct oct_kbuild *b, const char *name, enum lp_elem elem, int64_t n);
enum lp_elem oct_k_elem(enum oct_dtype t); /* how a model type is stored */

/* Notes a reason why this kernel does not take the fast way; the report lists it. */
void oct_k_fallback(struct oct_kbuild *b, const char *fmt, ...) OCT_PRINTF(2, 3);

/* One axis that several layouts walk together. */
enum { OCT_MAX_WALKED = 8 };
struct oct_walk {
    int64_t dim;
    int64_t stride[OCT_MAX_WALKED];
};
/* The axes that `n` layouts of equal dims walk together, outermost first, at most OCT_MAX_RANK: axes of size 1 vanish, neighbours
 * merge where all layouts allow it, the axis with the smallest stride of at[0] is innermost. */
int oct_k_walks(int n, const struct oct_layout *const *at, unsigned skip, struct oct_walk *walk);
const char *oct_k_axis_name(int depth); /* what its loop is called */
/* A loop for each of them; addr[i] moves along in layout i. */
void oct_k_open(struct oct_kbuild *b, int walks, const struct oct_walk *walk, int n, struct lp_addr *addr);
/* Opens loops over the axes that `n` layouts of equal dims walk together. addr[i] becomes the address of the
 * current element in layout i. Returns the number of loops opened; close with oct_k_close. `skip` axes (bit mask) get no loop:
 * their index stays 0 (an axis the builder walks itself, as softmax does). */
int oct_k_nest(struct oct_kbuild *b, int n, const struct oct_layout *const *at, unsigned skip, struct lp_addr *addr);
void oct_k_close(struct oct_kbuild *b, int loops);

/* Quantized integer (has a scale) and plain float operands, for predicates. */
bool oct_k_is_float(const struct oct_type *t);
bool oct_k_is_codes(const struct oct_type *t);

/* ---- requantization (requant.c)
 * ------------------------------------------------------------------------------------------------------ */

/* Accumulators to codes for n channels: clamp(round(acc * M[c]) + zero, qmin, qmax) under a profile, as the cheapest sequence
 * that is proved equal on the reachable range [lo[c], hi[c]] (NUMERICS 5, threshold proof), else the profile's own. */
enum oct_rq_form {
    OCT_RQ_SHARED,  /* (acc * mul[c] + round + (zero << shift)) >> shift in 64 bits, one shift for all channels */
    OCT_RQ_Q31,     /* the same with a shift for each channel */
    OCT_RQ_LONG,    /* Q31 of an accumulator of up to 62 bits: two products, one above the other by 32 bits */
    OCT_RQ_TFLM,    /* left shift that saturates (where a channel has one), doubling high multiply, rounding shift */
    OCT_RQ_FLOAT,   /* onnx: to fp32, times scale[c], to the nearest integer */
    OCT_RQ_IDENTITY /* acc + zero */
};
struct oct_rq {
    enum oct_rq_form form;
    uint32_t n;
    int shift;             /* SHARED */
    bool wide;             /* acc comes as i64 and is clamped to i32 first */
    bool full;             /* acc comes as i64 and all of it counts (LONG, FLOAT) */
    bool narrow;           /* the unclamped result fits i32 on the whole range */
    bool left;             /* TFLM: some channel shifts left first */
    const int32_t *mul;    /* [n], >= 0 */
    const int32_t *shifts; /* [n]; Q31: total shift 1..62; LONG: less 32; TFLM: right shift 0..31 */
    const int32_t *lefts;  /* [n]; TFLM: left shift 0..30 */
    const float *scale;    /* [n]; FLOAT */
    int64_t lo, hi;        /* range of acc over all channels */
    int32_t zero, qmin, qmax;
};
/* The multiplier of conv2d, dense and matmul, s_x s_w / s_y as the profile of y forms it. *p: the profile whose rounding goes
 * with it (16-bit operands under tflm have multipliers of 16 bits and q31's one rounding: docs/numerics.md 2). */
double oct_rq_linear(const struct oct_node *y, const struct oct_node *x, float s_w, enum oct_profile *p);
/* Plans it; reports at b->node and returns false for M >= 2^30, an M that is no power of two under pot, or an accumulator that no
 * sequence holds. lo and hi bound acc, bias included; the caller brings acc as i64 when they leave int32 (oct_rq_build). Adds to
 * the proof text and the counters. */
bool oct_rq_plan(struct oct_kbuild *b, enum oct_profile p, uint32_t n, const double *m, const int64_t *lo, const int64_t *hi,
                 int32_t zero, int32_t qmin, int32_t qmax, struct oct_rq *rq);
/* Words of i32 per channel that the sequence reads from memory when n > 1: mul (FLOAT: the bits of the scale), then shifts where
 * they differ (Q31, LONG: less one), then left shifts. They lie behind each other as arrays of `n`. n == 1: none, all immediates.
 */
int oct_rq_words(const struct oct_rq *rq);
void oct_rq_fill(const struct oct_rq *rq, int32_t *words);
/* Builds the sequence for one accumulator (i32 or i64). n > 1: `params` at `at` is the channel's mul. The result is an i32,
 * clamped. */
struct lp_val oct_rq_build(struct oct_kbuild *b, const struct oct_rq *rq, struct lp_val acc, int32_t params, struct lp_addr at);
/* The value that the sequence gives, computed here (the kernels' own arithmetic; the interpreter has its own). */
int32_t oct_rq_value(const struct oct_rq *rq, uint32_t c, int64_t acc);

/* Stores a register as the element type of the result: i32 codes narrow to i8/u8/i16 (they are in range already). */
void oct_k_store_code(struct oct_kbuild *b, int32_t buf, struct lp_addr at, struct lp_val v);
/* Codes as loaded, one or a vector, widened to i32. */
struct lp_val oct_k_code_of(struct oct_kbuild *b, struct lp_val x);
/* Loads a code and widens it to i32. */
struct lp_val oct_k_load_code(struct oct_kbuild *b, const char *name, int32_t buf, struct lp_addr at);

/* Codes that an operand can take (oct_reach_of). */
void oct_k_code_range(const struct oct_node *n, int32_t *lo, int32_t *hi);
/* Clamp of the result: its dtype's codes met with the node's clip attribute (codes). */
void oct_k_clamp_range(const struct oct_node *n, int32_t *lo, int32_t *hi);

/* ---- packed constants (pack.c)
 * --------------------------------------------------------------------------------------------------------- */

/* A packed array walks dims in order (outermost first). Each dim steps along one source axis; several may share one (a block and
 * the place within it): the index on an axis is the sum of i_k * step_k over its dims. An element whose index runs past an axis
 * is `pad`. */
enum oct_transform { OCT_PACK_ID, OCT_PACK_WIDEN16 };
struct oct_pack_dim {
    int64_t extent;
    int axis;     /* of the source */
    int64_t step; /* distance along that axis for one index */
};
struct oct_pack {
    int rank; /* of the source, row-major */
    int64_t dim[OCT_MAX_RANK];
    int ndims;
    struct oct_pack_dim d[12];
    const int32_t *perm[OCT_MAX_RANK]; /* source index = perm[axis][index]; NULL: identity */
    int64_t pad;                       /* code where a dim runs past its axis (also the float 0) */
    enum oct_transform transform;
};
int64_t oct_pack_elements(const struct oct_pack *p);
enum lp_elem oct_pack_elem(const struct oct_pack *p, enum lp_elem source);
/* Packed data in the arena; elements of `elem`. */
void *oct_pack_data(struct oct_arena *a, const struct oct_pack *p, enum lp_elem elem, const void *source);
/* The inverse: rebuilds the source; false when two packed places disagree or a source element is missing. */
bool oct_unpack_data(const struct oct_pack *p, enum lp_elem elem, const void *packed, void *source);

#endif
