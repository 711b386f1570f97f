/* tflite_import.h - what the parts of the TFLite importer share.
 *
 * tflite.c reads tensors and walks the one subgraph; tflite_ops.c builds nodes, one handler a kind of operator, listed in
 * tflite_ops.def. TFLite's images are NHWC, octavo's NCHW: a tensor of rank 4 may have a node in either order, and the other is
 * made (a transpose) when an operator asks for it, so that none stands between two convolutions. */
#ifndef OCT_TFLITE_IMPORT_H
#define OCT_TFLITE_IMPORT_H

#include "flatbuf.h"
#include "import.h"

/* TFLite's numbers of element types. */
enum oct_tfl_type {
    TFL_FLOAT32 = 0,
    TFL_FLOAT16 = 1,
    TFL_INT32 = 2,
    TFL_UINT8 = 3,
    TFL_INT64 = 4,
    TFL_INT16 = 7,
    TFL_INT8 = 9,
    TFL_INT4 = 17
};

enum oct_tfl_state {
    TFL_UNDEFINED,
    TFL_LOST,  /* an error was reported; what reads it is passed over */
    TFL_SIZES, /* shape arithmetic at run time: of no use but to operators whose result's shape the file states */
    TFL_KNOWN
};
struct oct_tfl_tensor {
    const char *name;
    int type; /* TFLite's */
    int rank;
    int64_t dim[OCT_MAX_RANK]; /* as stored: the batch is 1 where `batch` */
    bool batch, unfixed;       /* dimension 0 is symbolic; another one is */
    const struct oct_quant *q; /* NULL: none */
    const void *data;          /* constants: aligned, one code a byte; NULL: computed */
    enum oct_tfl_state state;
    struct oct_node *node, *nchw; /* in TFLite's order; rank 4, in octavo's. Either may be missing */
};

struct oct_tfl {
    struct oct_ctx *cx;
    struct oct_module *m;
    struct oct_arena *a; /* the module's */
    struct oct_span span;
    struct oct_fb fb;
    struct oct_tfl_tensor *tensor;
    int64_t ntensors;
    size_t memory_left; /* what copies of constants may still take, bytes */

    const struct oct_tfl_op *op; /* at work: its row of tflite_ops.def */
    uint32_t number;             /*   its place in the file */
    struct oct_fb_table options;
    struct oct_tfl_tensor **in; /*   NULL where an optional input is absent */
    int nin;
    struct oct_tfl_tensor *out;
    bool failed; /*   something about it was reported */
};

typedef bool oct_tfl_handler(struct oct_tfl *im);
struct oct_tfl_op {
    const char *name;
    int64_t code;
    int min_in, max_in;
    oct_tfl_handler *build;
    enum oct_op to;
};
const struct oct_tfl_op *oct_tfl_op_find(int64_t code);

/* Both name the operator at work, mark it failed and return false: a form octavo does not know (exit 69; advice: what to do
 * instead, or NULL), an error of the model's (65). */
bool oct_tfl_unsupported(struct oct_tfl *im, const char *advice, const char *fmt, ...) OCT_PRINTF(3, 4);
bool oct_tfl_invalid(struct oct_tfl *im, const char *fmt, ...) OCT_PRINTF(2, 3);

static inline bool oct_tfl_has(const struct oct_tfl *im, int i) { return i < im->nin && im->in[i]; }
bool oct_tfl_is_float(const struct oct_tfl_tensor *t);
/* Memory for a copy of a constant; NULL after a report. */
void *oct_tfl_memory(struct oct_tfl *im, int64_t n, size_t size);

/* A tensor as a node in TFLite's order; an image (rank 4) in octavo's. NULL after a report. */
struct oct_node *oct_tfl_as_is(struct oct_tfl *im, struct oct_tfl_tensor *t);
struct oct_node *oct_tfl_nchw(struct oct_tfl *im, struct oct_tfl_tensor *t);
/* Is octavo's order the one that is at hand? */
static inline bool oct_tfl_prefers_nchw(const struct oct_tfl_tensor *t) { return t->nchw && !t->node; }
/* A constant with these axes permuted: result axis i is axis perm[i] of the tensor; dims of 1 may be put in front of it by -1. */
struct oct_node *oct_tfl_permuted(struct oct_tfl *im, const struct oct_tfl_tensor *t, int rank, const int *perm);
/* A list of at most OCT_MAX_RANK integers that input i holds; false after a report. */
bool oct_tfl_int_list(struct oct_tfl *im, int i, struct oct_ints *out);

/* Builds a node named after the result with a suffix; NULL when the module refuses it. `declared`: as oct_build wants it. */
struct oct_node *oct_tfl_step(struct oct_tfl *im, const char *suffix, enum oct_op op, struct oct_node *const *operand, int n,
                              const struct oct_attrs *at, const struct oct_type *declared);
/* The result: type and parameters as the file states them, its shape checked. nchw: it is in octavo's order. Integer ops get
 * their rounding profile. A fused activation (TFLite's number) becomes an op of its own in float, a clip of codes otherwise. */
bool oct_tfl_emit(struct oct_tfl *im, enum oct_op op, struct oct_node *const *operand, int n, const struct oct_attrs *at,
                  bool nchw, int64_t activation);

#endif
