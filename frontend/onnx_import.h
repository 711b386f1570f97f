/* onnx_import.h - what the parts of the ONNX importer share.
 *
 * onnx.c walks the graph; onnx_tensor.c reads tensors; onnx_fold.c computes what is constant (shape arithmetic); onnx_ops*.c
 * build nodes, one handler an operator, listed in onnx_ops.def. Handlers report what they cannot do and return false: the results
 * are then "lost", and nodes that read a lost value are checked for what can be checked and otherwise passed over, so that one
 * run lists everything that is unsupported. */
#ifndef OCT_ONNX_IMPORT_H
#define OCT_ONNX_IMPORT_H

#include "import.h"
#include "onnx.pb-c.h"

/* ONNX's numbers for element types. After reading, f16, bf16 and f64 are FLOAT, u32 and u64 INT64. */
enum oct_onnx_type {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
    ONNX_BFLOAT16 = 16,
    ONNX_UINT4 = 21,
    ONNX_INT4 = 22
};

/* A tensor whose elements are known: an initializer or a folded value. In has_n tensors (INT64, from Shape of a value with a
 * symbolic batch) the element OCT_DIM_N stands for the batch. */
struct oct_onnx_const {
    int32_t type;
    int rank;
    int64_t dim[OCT_MAX_RANK];
    int64_t n;        /* elements */
    const void *data; /* row-major, native byte order; lives as long as the module */
    bool has_n;
};

enum oct_onnx_state { ONNX_UNDEFINED, ONNX_LOST, ONNX_KNOWN };
struct oct_onnx_value {
    const char *name; /* as in the file; never empty */
    enum oct_onnx_state state;
    const struct oct_onnx_const *c; /* NULL: computed at run time */
    struct oct_node *node;          /* of the module; for a constant made on first use */
    bool is_output;
    const struct oct_quant *input_q; /* graph inputs of integer type: parameters that their DequantizeLinear gives */
};

struct oct_onnx {
    struct oct_ctx *cx;
    struct oct_module *m;
    struct oct_arena *a; /* the module's */
    struct oct_span span;
    const char *path;
    int64_t opset;
    const char *batch;            /* the name that dimension 0 of the inputs has, NULL: none yet */
    struct oct_onnx_value **slot; /* open addressing, a power of two */
    size_t nslots;
    size_t fold_left;            /* bytes that folded and converted constants may still take */
    struct oct_onnx_file *files; /* external data opened so far */
    uint32_t told;               /* bit t: the conversion of element type t has been told */

    const OctOnnx__Node *node;    /* at work: */
    const struct oct_onnx_op *op; /*   its row of onnx_ops.def */
    struct oct_onnx_value **in;   /*   NULL where an optional input is absent */
    int nin;
    struct oct_onnx_value **out;
    int nout;
    bool failed; /*   something about it was reported */
};

/* ---- onnx.c: reports and building -------------------------------------------------------------------------------------- */

/* Text from the file for a message: quoted, cut when long. */
const char *oct_onnx_quote(struct oct_onnx *im, const char *s);
/* Both name the node at work, mark it failed and return false: a form octavo does not know (exit 69; advice: what to do instead),
 * an error of the model's (65). */
bool oct_onnx_unsupported(struct oct_onnx *im, const char *advice, const char *fmt, ...) OCT_PRINTF(3, 4);
bool oct_onnx_invalid(struct oct_onnx *im, const char *fmt, ...) OCT_PRINTF(2, 3);
/* Once for each element type: it was converted to `became`. */
void oct_onnx_tell_type(struct oct_onnx *im, int32_t type, const char *became);
/* Takes `bytes` from the budget of derived constants; reports when it is used up. */
bool oct_onnx_budget(struct oct_onnx *im, size_t bytes);

/* Build a node. _emit: it is result 0; _emit_to: result i; _step: a value on the way, named after result 0 with a suffix; NULL or
 * false when the module refuses it. Attributes may be NULL; `declared` is needed for quantized results only. */
bool oct_onnx_emit(struct oct_onnx *im, enum oct_op op, struct oct_node *const *operand, int n, const struct oct_attrs *at,
                   const struct oct_type *declared);
bool oct_onnx_emit_to(struct oct_onnx *im, int i, enum oct_op op, struct oct_node *const *operand, int n,
                      const struct oct_attrs *at, const struct oct_type *declared);
struct oct_node *oct_onnx_step(struct oct_onnx *im, const char *suffix, enum oct_op op, struct oct_node *const *operand, int n,
                               const struct oct_attrs *at, const struct oct_type *declared);
/* Result i is this node; false when it is NULL. */
bool oct_onnx_result(struct oct_onnx *im, int i, struct oct_node *node);
/* Result 0 is input 0, whatever that is. */
bool oct_onnx_alias(struct oct_onnx *im);

/* ---- onnx_attr.c: operands and attributes of the node at work -------------------------------------------------------------- */

static inline bool oct_onnx_has(const struct oct_onnx *im, int i) { return i < im->nin && im->in[i]; }
/* Input i, which is present: as a node of the module; as a float node; as a constant. NULL after a report. */
struct oct_node *oct_onnx_operand(struct oct_onnx *im, int i);
struct oct_node *oct_onnx_float_operand(struct oct_onnx *im, int i);
const struct oct_onnx_const *oct_onnx_constant(struct oct_onnx *im, int i);
/* As a list of at most OCT_MAX_RANK integers (or `limit`, into v); false after a report. */
bool oct_onnx_int_list(struct oct_onnx *im, int i, struct oct_ints *out);
/* A scalar float constant. */
bool oct_onnx_scalar(struct oct_onnx *im, int i, float *out);
/* A constant of the module with the same elements under the value's name (a fresh one). */
struct oct_node *oct_onnx_const_node(struct oct_onnx *im, const char *base, const struct oct_onnx_const *c,
                                     const struct oct_quant *q);

const OctOnnx__Attribute *oct_onnx_attr(const struct oct_onnx *im, const char *name);
int64_t oct_onnx_attr_int(struct oct_onnx *im, const char *name, int64_t otherwise);
float oct_onnx_attr_float(struct oct_onnx *im, const char *name, float otherwise);
const char *oct_onnx_attr_str(struct oct_onnx *im, const char *name, const char *otherwise);
/* n < 0 in *out when absent. */
bool oct_onnx_attr_ints(struct oct_onnx *im, const char *name, struct oct_ints *out);
/* Axis in [-rank, rank) to [0, rank); reports. */
bool oct_onnx_axis(struct oct_onnx *im, int64_t axis, int rank, int *out);
/* As oct_onnx_axis for a list, which may not name an axis twice. */
bool oct_onnx_axes(struct oct_onnx *im, struct oct_ints *axes, int rank);
/* The list of axes that squeeze, unsqueeze and the reductions take: from input i, or from the attribute (older opsets); n < 0:
 * absent. */
bool oct_onnx_axes_input(struct oct_onnx *im, int i, struct oct_ints *out);

/* ---- onnx_upgrade.c --------------------------------------------------------------------------------------------------------- */

/* Had the operator at work this attribute in the model's operator set, though it has not now? */
bool oct_onnx_had_attr(const struct oct_onnx *im, const char *name);
/* Brings the node at work into the form of today's operator sets; false after a report. */
bool oct_onnx_upgrade(struct oct_onnx *im);

/* ---- onnx_tensor.c ------------------------------------------------------------------------------------------------------------
 */

size_t oct_onnx_size(int32_t type); /* bytes of an element; 0: a type we do not read */
const char *oct_onnx_type_name(int32_t type);
bool oct_onnx_dtype(int32_t type, enum oct_dtype *out);
/* Reads a tensor, from the file itself or from external data; `what` names it in reports. NULL after one. */
const struct oct_onnx_const *oct_onnx_read_tensor(struct oct_onnx *im, const OctOnnx__Tensor *t, const char *what);
int64_t oct_onnx_get_int(const struct oct_onnx_const *c, int64_t i); /* any integer type or bool */
double oct_onnx_get_real(const struct oct_onnx_const *c, int64_t i); /* any type */

/* ---- onnx_fold.c
 * ---------------------------------------------------------------------------------------------------------------- */

/* All inputs of the node at work are constants. */
bool oct_onnx_known(const struct oct_onnx *im);
/* Memory for the elements of a new constant, from the budget; NULL after a report. */
void *oct_onnx_new_const(struct oct_onnx *im, struct oct_onnx_const *out, int32_t type, int rank, const int64_t *dim);
/* Starts, ends, axes, steps of Slice (inputs 1 to 4), of one length, with the defaults filled in and axes resolved. */
bool oct_onnx_slice_lists(struct oct_onnx *im, int rank, struct oct_ints *begin, struct oct_ints *end, struct oct_ints *axes,
                          struct oct_ints *step);

/* Quantization parameters that QuantizeLinear and DequantizeLinear at work give to a tensor of this type (its dtype and shape);
 * onnx_ops_quant.c. */
const struct oct_quant *oct_onnx_quant(struct oct_onnx *im, const struct oct_type *t);
/* The same of the value `name` where the operator from codes to codes at work *reads it. */
const struct oct_quant *oct_onnx_qlinear_input(struct oct_onnx *im, const char *name, const struct oct_type *t, bool *reads);

/* A handler builds the results from the inputs, none of which is lost. */
typedef bool oct_onnx_handler(struct oct_onnx *im);
/* A fold computes result 0 when it can be known now: true and *out filled. False: it cannot (no report), or im->failed. */
typedef bool oct_onnx_folder(struct oct_onnx *im, struct oct_onnx_const *out);
struct oct_onnx_op {
    const char *name, *domain; /* "": the standard's */
    int min_in, max_in, max_out;
    const char *attrs;       /* all it may have, separated by blanks */
    oct_onnx_handler *build; /* NULL: only folded */
    oct_onnx_folder *fold;   /* NULL: never folded */
    enum oct_op to;          /* for handlers that serve several operators */
};
bool oct_onnx_build_qlinear(struct oct_onnx *im);
bool oct_onnx_build_integer(struct oct_onnx *im);
/* The convolution at work on these operands (b may be NULL) as result 0; declared: for sums that stay integers. */
bool oct_onnx_conv_of(struct oct_onnx *im, struct oct_node *x, struct oct_node *w, struct oct_node *b,
                      const struct oct_type *declared);
const struct oct_onnx_op *oct_onnx_op_find(const char *domain, const char *name); /* domain NULL: the standard's */
/* Names of all operators, NULL-terminated, for advice. */
const char *const *oct_onnx_op_names(size_t *n);

/* Windows of Conv and the pools over an input [N,C,H,W]. */
struct oct_onnx_window {
    int64_t kernel[2], stride[2], dilation[2], pad[4];
};
/* Reads strides, dilations, pads, auto_pad of the node at work for a kernel of `spatial` (1 or 2) dimensions; a 1-D window
 * becomes one of height 1. */
bool oct_onnx_window(struct oct_onnx *im, const struct oct_type *x, int spatial, struct oct_onnx_window *w);

#endif
