/* ir.h - the model IR: a typed SSA graph of tensors. One node is one value. Tables: ops.def, attrs.def, dtypes.def.
 *
 * Layout is always logical: images NCHW, conv weights OIHW, dense weights OI. Quantization parameters belong to the type:
 * x = scale (q - zero). The list of nodes is in execution order; printing, iteration and fresh names follow it alone. */
#ifndef OCT_IR_H
#define OCT_IR_H

#include <math.h>

#include "context.h"

/* ---- element types and tensor types (type.c) -------------------------------------------------------------------- */

enum oct_dtype {
#define DTYPE(name, word, bits, is_float, is_signed) OCT_##name,
#include "dtypes.def"
#undef DTYPE
    OCT_DTYPE_COUNT
};
const char *oct_dtype_name(enum oct_dtype t);
bool oct_dtype_parse(const char *word, enum oct_dtype *out);
size_t oct_dtype_size(enum oct_dtype t);      /* bytes per element as stored in the model: i4 takes 1 */
bool oct_dtype_is_float(enum oct_dtype t);
int64_t oct_dtype_min(enum oct_dtype t);      /* smallest and largest code; integer types only */
int64_t oct_dtype_max(enum oct_dtype t);
/* Element i of integer data. */
void oct_store_int(enum oct_dtype t, void *data, int64_t i, int64_t v);
int64_t oct_load_int(enum oct_dtype t, const void *data, int64_t i);

enum { OCT_MAX_RANK = 8 };
#define OCT_DIM_N INT64_MIN                   /* the symbolic batch, printed N */
#define OCT_MAX_ELEMENTS ((int64_t)1 << 31)   /* cap on the elements of one tensor (N counted as 1) */

/* Quantization parameters. axis < 0: per tensor (n = 1). Otherwise one per index of `axis` (n = that dimension); with
 * block > 0 one per run of `block` indices (room for blocks; nothing makes them yet). zero NULL: all zero. */
struct oct_quant {
    int axis;
    int64_t block;
    uint32_t n;
    const float *scale;   /* each finite and > 0 */
    const int32_t *zero;  /* each within the codes of the dtype */
};
static inline int32_t oct_zero(const struct oct_quant *q, uint32_t i) { return q->zero ? q->zero[q->axis < 0 ? 0 : i] : 0; }
static inline float oct_scale(const struct oct_quant *q, uint32_t i) { return q->scale[q->axis < 0 ? 0 : i]; }

struct oct_type {
    enum oct_dtype dtype;
    int rank;
    int64_t dim[OCT_MAX_RANK];
    const struct oct_quant *q; /* NULL: not quantized */
};
/* Rank of a type annotation without dimensions ("i8 scale=0.5 zero=3"); only `declared` of oct_build may have it. */
enum { OCT_ANY_RANK = -1 };
bool oct_type_equal(const struct oct_type *a, const struct oct_type *b); /* parameters compared by value, scales by bits */
bool oct_shape_equal(const struct oct_type *a, const struct oct_type *b);
bool oct_quant_equal(const struct oct_quant *a, const struct oct_quant *b);
/* Elements with N counted as `batch`; -1 when the product exceeds OCT_MAX_ELEMENTS * batch. */
int64_t oct_type_elements(const struct oct_type *t, int64_t batch);
bool oct_type_has_n(const struct oct_type *t);
/* "i8[N,16,32,32] scale=0.5 zero=3"; the form of the language. Per-channel parameters as (a,b,...). */
void oct_type_print(struct oct_text *out, const struct oct_type *t);
/* The parameters alone, " scale=... zero=...", nothing without any; a per-channel vector as its ref where that is not NULL. */
void oct_quant_print(struct oct_text *out, const struct oct_type *t, const char *scale_ref, const char *zero_ref);
/* Text of a type for a diagnostic, in the arena: shape and dtype, without long parameter lists. */
const char *oct_type_text(struct oct_arena *a, const struct oct_type *t);
/* Per-tensor parameters, in the arena. */
const struct oct_quant *oct_quant_tensor(struct oct_arena *a, float scale, int32_t zero);
const struct oct_quant *oct_quant_channel(struct oct_arena *a, int axis, uint32_t n, const float *scale, const int32_t *zero);

/* ---- attributes (attr.c) ------------------------------------------------------------------------------------------ */

#include "words.def"
#define OCT_WORD(enumeration, word, doc) OCT_##enumeration##_##word,
#define OCT_WORD_ENUM(enumeration) enum oct_##enumeration { OCT_WORDS_##enumeration(OCT_WORD) OCT_##enumeration##_COUNT };
OCT_WORD_ENUM(profile)
OCT_WORD_ENUM(divide)
OCT_WORD_ENUM(order)
OCT_WORD_ENUM(scheme)
OCT_WORD_ENUM(part)

struct oct_ints {
    int n;
    int64_t v[OCT_MAX_RANK];
};

#define OCT_FIELD_INT(f)          int64_t f;
#define OCT_FIELD_INT2(f)         int64_t f[2];
#define OCT_FIELD_INT4(f)         int64_t f[4];
#define OCT_FIELD_INTS(f)         struct oct_ints f;
#define OCT_FIELD_F32(f)          float f;
#define OCT_FIELD_F32X2(f)        float f[2];
#define OCT_FIELD_FLAG(f)         bool f;
#define OCT_FIELD_STR(f)          const char *f;
#define OCT_FIELD_WORD_profile(f) enum oct_profile f;
#define OCT_FIELD_WORD_divide(f)  enum oct_divide f;
#define OCT_FIELD_WORD_order(f)   enum oct_order f;
#define OCT_FIELD_WORD_scheme(f)  enum oct_scheme f;
#define OCT_FIELD_WORD_part(f)    enum oct_part f;
#define OCT_FIELD_WORD_dtype(f)   enum oct_dtype f;

enum oct_attr_id {
#define ATTR(field, kind, def, doc) OCT_A_##field,
#include "attrs.def"
#undef ATTR
    OCT_ATTR_COUNT
};
struct oct_attrs {
    uint64_t set; /* bit OCT_A_x: given; otherwise the field holds the default */
#define ATTR(field, kind, def, doc) OCT_FIELD_##kind(field)
#include "attrs.def"
#undef ATTR
};
/* pad[0] of `pad=same`, until the shape rule resolves it. */
#define OCT_PAD_SAME INT64_MIN
void oct_attrs_init(struct oct_attrs *at); /* all defaults, nothing set */
/* oct_set(n->at, stride)[0] = 2: marks the attribute as given. */
#define OCT_HAS(at, field)  (((at).set >> OCT_A_##field) & 1u)
#define OCT_MARK(at, field) ((at).set |= (uint64_t)1 << OCT_A_##field)
#define OCT_DROP(at, field) ((at).set &= ~((uint64_t)1 << OCT_A_##field)) /* caller restores the default */
#define OCT_SET(at, field, val) (OCT_MARK(at, field), (at).field = (val))
/* Same value; an attribute that is not given has its default. Floats by bits. */
bool oct_attr_equal(const struct oct_attrs *a, const struct oct_attrs *b, enum oct_attr_id id);

enum oct_attr_kind { OCT_KIND_INT, OCT_KIND_INT2, OCT_KIND_INT4, OCT_KIND_INTS, OCT_KIND_F32, OCT_KIND_F32X2, OCT_KIND_FLAG,
                     OCT_KIND_STR, OCT_KIND_WORD };
struct oct_attr_info {
    const char *name, *doc;
    enum oct_attr_kind kind;
    size_t offset;               /* of the field in struct oct_attrs */
    const char *const *words;    /* KIND_WORD: its words, NULL-terminated; the field is an int index into them */
};
const struct oct_attr_info *oct_attr_info(enum oct_attr_id id);

/* ---- ops (op.c) ----------------------------------------------------------------------------------------------------- */

enum oct_op {
#define OP(name, ...) OCT_OP_##name,
#include "ops.def"
#undef OP
    OCT_OP_COUNT
};
enum oct_op_flag {
    OCT_LINEAR = 1,     /* has weight w and bias b */
    OCT_POINTWISE = 2,  /* the same function on every element of one operand: a code table can stand for it */
    OCT_MONOTONE = 4,   /* never decreasing */
    OCT_MOVES = 8,      /* elements only move or repeat: result codes are operand codes */
    OCT_SHARESQ = 16,   /* the result has the operand's scale and zero */
    OCT_REQUANT = 32,   /* the integer form rounds, so it takes profile */
    OCT_QDQ = 64,       /* quantize, dequantize, requantize, observe */
    OCT_FLOAT_ONLY = 128, /* has no integer form */
};

struct oct_node;
struct oct_module;
struct oct_exec;
struct oct_tensor;
/* Sets rank and dimensions of *out from operands and attributes (and resolves 'same', -1 and negative axes in the node's
 * attributes). Element type and parameters are set already, by forms.c; so are operand count, attributes and operand types
 * checked. Reports and returns false on misuse. */
typedef bool oct_shape_fn(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out);
/* Checks what the shape rule did not need; n->type is set. */
typedef bool oct_verify_fn(struct oct_ctx *cx, const struct oct_node *n);
/* Computes one value; see interp.h. */
typedef void oct_interp_fn(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out);

struct oct_op_info {
    const char *name, *doc;
    const char *const *operands; /* names, NULL-terminated */
    int min_operands, max_operands; /* max INT_MAX for "x..." */
    uint64_t attrs;              /* bit OCT_A_x: legal */
    unsigned flags;
    oct_shape_fn *shape;
    oct_verify_fn *verify;
    oct_interp_fn *interp;
};
const struct oct_op_info *oct_op_info(enum oct_op op);
bool oct_op_parse(const char *word, enum oct_op *out);

/* ---- nodes and modules (module.c) -------------------------------------------------------------------------------------- */

struct oct_node {
    enum oct_op op;
    const char *name;            /* an identifier [A-Za-z_][A-Za-z0-9_.]*, not just "_", unique among values (or constants) */
    struct oct_type type;
    struct oct_node **operand;
    int noperands;               /* an absent optional operand in the middle is NULL */
    struct oct_attrs at;
    struct oct_span span;
    struct oct_node *prev, *next;
    const void *data;            /* const: row-major little-endian elements; immutable */
    struct oct_node *fwd;        /* replaced by this one; resolved by oct_module_settle */
    uint32_t nuses;              /* as of the last oct_count_uses: operand slots and outputs that name it */
    uint32_t mark;               /* scratch of the pass at work */
    void *tag;                   /* scratch of the pass at work */
};
struct oct_output {
    const char *name;
    struct oct_node *node;
    struct oct_span span;
};
struct oct_qconfig { /* words as indices into those of qconfig.def */
    struct oct_ctx *cx; /* of the module that it holds for; NULL in a rule */
#define QRULE(field, words, def, doc)     uint8_t field;
#define QNAME(field, words, def, doc)     const char *field;
#define QNUM(field, least, most, def, doc) float field;
#include "qconfig.def"
#undef QRULE
#undef QNAME
#undef QNUM
};
enum oct_qrule_id {
#define QRULE(field, words, def, doc)     OCT_Q_##field,
#define QNAME(field, words, def, doc)     OCT_Q_##field,
#define QNUM(field, least, most, def, doc) OCT_Q_##field,
#include "qconfig.def"
#undef QRULE
#undef QNAME
#undef QNUM
    OCT_QRULE_COUNT
};
enum oct_rule_kind { OCT_RULE_ANY, OCT_RULE_OP, OCT_RULE_NAME };
struct oct_rule {
    enum oct_rule_kind kind;
    enum oct_op op;              /* RULE_OP */
    const char *pattern;         /* RULE_NAME: a glob of * and ? over value names */
    uint32_t set;                /* bit OCT_Q_x */
    struct oct_qconfig q;
    struct oct_span span;
};
enum oct_option_id {
#define OPTION(name, words, def, doc) OCT_OPT_##name,
#include "options.def"
#undef OPTION
    OCT_OPTION_COUNT
};

/* Words of option profile from OCT_profile_COUNT on: a profile for each op (presets.def). */
enum oct_preset {
    OCT_PRESET_before_first = OCT_profile_COUNT - 1,
#define PRESET(name, doc) OCT_PRESET_##name,
#define ROUNDS(preset, op, profile)
#include "presets.def"
#undef PRESET
#undef ROUNDS
};

/* Rows of options.def and qconfig.def (choice.c). */
enum oct_choice_kind { OCT_CHOICE_WORD, OCT_CHOICE_NAME, OCT_CHOICE_NUMBER };
struct oct_choice_info {
    const char *name, *words, *doc; /* words separated by one space; "" for a number */
    uint8_t def;                    /* index of the default word */
    enum oct_choice_kind kind;
    const char *def_name;     /* of a NAME */
    float least, most, number; /* of a NUMBER; its default */
    bool whole;                /* a NUMBER without fraction */
};
const struct oct_choice_info *oct_option_info(enum oct_option_id id);
const struct oct_choice_info *oct_qrule_info(enum oct_qrule_id id);
/* Index of a word in such a list, -1 when it is not there ('-' and '_' are equal); and the other way, in the arena (NULL out of
 * range). */
int oct_word_index(const char *words, const char *word);
const char *oct_word_at(struct oct_arena *a, const char *words, int index);
/* The field of a qconfig that a row of words names. */
uint8_t *oct_qrule_field(struct oct_qconfig *q, enum oct_qrule_id id);
void oct_qconfig_default(struct oct_qconfig *q);
/* Sets a field to a word, or where word is NULL to a number; false when the field does not take it. A name that is none of the
 * words is copied into the arena. */
bool oct_qrule_set(struct oct_arena *a, struct oct_qconfig *q, enum oct_qrule_id id, const char *word, float number);
/* Copies one field; names into the arena, when one is given. */
void oct_qrule_copy(struct oct_arena *a, struct oct_qconfig *to, const struct oct_qconfig *from, enum oct_qrule_id id);
/* A field as text that the language reads back; what a field takes, for messages: "one of: a b" or "a number from 0 to 1". */
const char *oct_qrule_text(struct oct_arena *a, const struct oct_qconfig *q, enum oct_qrule_id id);
const char *oct_qrule_takes(struct oct_arena *a, enum oct_qrule_id id);

struct oct_names;
struct oct_module {
    struct oct_ctx *cx;
    struct oct_arena *arena;     /* everything of the module lives here */
    const char *name;            /* an identifier */
    const char *doc;             /* or NULL */
    const char *after;           /* label of the last pipeline row up to which all have run, or NULL */
    uint8_t option[OCT_OPTION_COUNT];   /* index into the words of options.def */
    uint32_t option_set;         /* bit OCT_OPT_x: given (printed); otherwise the default */
    struct oct_rule *rule;
    uint32_t nrules;
    struct oct_node *first, *last;      /* in execution order; const nodes precede their first use */
    struct oct_node *cursor;     /* new nodes go before this one; NULL: at the end */
    struct oct_output *output;
    uint32_t noutputs;
    uint32_t nnodes;
    struct oct_names *names;
};

struct oct_module *oct_module_new(struct oct_ctx *cx, const char *name);
void oct_module_free(struct oct_module *m);
#define OCT_FOR_NODES(m, n) for (struct oct_node *n = (m)->first; n; n = n->next)

/* A fresh name: `base` made an identifier (other bytes become _, cut to 64, "_" alone becomes "v") if unused, else base.1, base.2, ...: the smallest
 * unused. Values and constants are separate name spaces. */
const char *oct_fresh_value_name(struct oct_module *m, const char *base);
const char *oct_fresh_const_name(struct oct_module *m, const char *base);
struct oct_node *oct_find_value(const struct oct_module *m, const char *name);
struct oct_node *oct_find_const(const struct oct_module *m, const char *name);

/* Makes a node before m->cursor. The name must be unused (NULL: fresh from the op's name); operands are copied; attributes
 * may be NULL. `declared` is the annotated result type or NULL; for a quantized result that does not share its operand's
 * parameters it must be given, with q; its rank may be OCT_ANY_RANK. Runs shape and verify hooks; on misuse reports at `span` and
 * returns NULL. */
struct oct_node *oct_build(struct oct_module *m, enum oct_op op, const char *name, struct oct_node *const *operand, int noperands,
                           const struct oct_attrs *at, const struct oct_type *declared, struct oct_span span);
/* A graph input, and a constant whose data is not copied (it must live as long as the module). */
struct oct_node *oct_build_input(struct oct_module *m, const char *name, const struct oct_type *t, struct oct_span span);
struct oct_node *oct_build_const(struct oct_module *m, const char *name, const struct oct_type *t, const void *data, struct oct_span span);
/* A constant as oct_build_const, from a copy in the module's arena; scalars and small vectors. */
struct oct_node *oct_build_const_copy(struct oct_module *m, const char *name, const struct oct_type *t, const void *data, struct oct_span span);
void oct_add_output(struct oct_module *m, const char *name, struct oct_node *n, struct oct_span span);

/* Rewriting. A pass walks the list, builds new nodes before m->cursor and calls oct_replace; operands that name a replaced
 * node are read through oct_resolve. The runner calls oct_module_settle after each pass: operands and outputs are resolved,
 * replaced nodes leave the list, constants move to just before their first use, and leave without one. */
void oct_replace(struct oct_module *m, struct oct_node *old, struct oct_node *by);
/* As oct_replace, and `by` takes over the old node's name and its from and doc: it stands for the same value. */
void oct_replace_named(struct oct_module *m, struct oct_node *old, struct oct_node *by);
static inline struct oct_node *oct_resolve(struct oct_node *n) { while (n && n->fwd) n = n->fwd; return n; }
void oct_rename(struct oct_module *m, struct oct_node *n, const char *name);
void oct_remove(struct oct_module *m, struct oct_node *n);    /* unused nodes only */
void oct_module_settle(struct oct_module *m);
void oct_count_uses(struct oct_module *m);
/* Deep copy into a new module (constant data is shared, spans kept); for executing before and after. */
struct oct_module *oct_module_clone(const struct oct_module *m, struct oct_ctx *cx);

/* Re-runs shape and verify hooks over the whole module, checks SSA order, unique names, const data. Reports. */
bool oct_verify(struct oct_module *m);
/* Infers the result type anew after operands or attributes changed. */
bool oct_infer(struct oct_ctx *cx, struct oct_node *n);

/* Random constants (random.c): 64 well-mixed bits of element `index`; the elements of a constant with attributes seed and within,
 * floats uniform in [lo, hi), integers uniform over the codes there (all codes where no limits are given); what is wrong with such
 * attributes, or NULL. */
uint64_t oct_random(uint64_t seed, uint64_t index);
void oct_random_fill(const struct oct_type *t, const struct oct_attrs *at, void *data);
const char *oct_random_fault(const struct oct_type *t, const struct oct_attrs *at);

/* What a float input can be expected to hold (vectors.c): the values that the codes of the quantize reading it stand for, else
 * [-1, 1]. */
void oct_input_range(const struct oct_module *m, const struct oct_node *input, float *lo, float *hi);

/* The rule for a node: defaults of qconfig.def, then every matching rule in order. */
struct oct_qconfig oct_qconfig_for(const struct oct_module *m, const struct oct_node *n);

/* Codes that an integer value can take: those of its dtype, narrowed by the clip or the table of the op that makes it, through
 * ops that only place codes (reach.c). */
struct oct_reach {
    int32_t lo, hi;
};
struct oct_reach oct_reach_of(const struct oct_node *n);

/* The rounding profile that the module's option gives to an op (preset.c). */
enum oct_profile oct_profile_for(const struct oct_module *m, enum oct_op op);

/* The padding of pad=same along one axis: ceil(in / stride) results, the odd element after (upper, the language's) or before.
 * All arguments in [1, 2^31). */
void oct_same_pad(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, bool upper, int64_t *before, int64_t *after);

/* Multiply-accumulates of one node for one input (N = 1): conv2d, dense, matmul, lstm, gru; 0 for the rest. */
int64_t oct_macs(const struct oct_node *n);
/* xxh3-64 of a constant's dtype, shape and bytes, as 16 hex digits; the key of content-addressed stores. */
void oct_const_hash(const struct oct_node *n, char hex[17]);
/* The same for any tensor; a vector of scales is hashed as f32[n], of zero points as i32[n]. */
void oct_tensor_hash(enum oct_dtype dtype, int rank, const int64_t *dim, const void *data, char hex[17]);

/* ---- the printer (print.c) --------------------------------------------------------------------------------------------- */

/* Where constants go that are not written inline. */
struct oct_weights_ref {
    const char *file;       /* file name to write in the `weights` line, NULL: no such line */
    const char *xxh3;       /* hash of the file to write there, or NULL */
    bool by_hash;           /* constants are keyed by content hash (stores shared by dumps), not by name */
};
/* The module as text; parses back to an equal module. Docs: docs/language.md. */
void oct_print(struct oct_text *out, const struct oct_module *m, const struct oct_weights_ref *w);
/* Constants of at most this many elements are written in the text. */
enum { OCT_INLINE_MAX = 8 };
/* Calls `each` for every tensor that oct_print with the same `w` expects in the weights file, in module order: constants and long
 * parameter vectors, under the keys that the text refers to. By hash, a key may come more than once. */
struct oct_stored {
    const char *key;
    enum oct_dtype dtype;
    int rank;
    int64_t dim[OCT_MAX_RANK];
    const void *data;
};
void oct_each_stored(const struct oct_module *m, const struct oct_weights_ref *w, void (*each)(void *user, const struct oct_stored *t), void *user);
/* Will this constant be written in a weights file (as opposed to inline or as random(...))? */
bool oct_const_in_file(const struct oct_node *n);

#endif
