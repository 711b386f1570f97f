/* c_text.h - what the parts of the C printer share: emit_c.c prints statements, c_spell.c fills in the templates of loops.def for
 * one lane, c_vector.c makes the functions that operations on vectors are calls of, c_file.c prints what stands around kernels.
 */
#ifndef OCT_LOOPS_C_TEXT_H
#define OCT_LOOPS_C_TEXT_H

#include "rows.h"

enum { LP_C_MAX_READS = 12, LP_C_MAX_LOG_LANES = 9 };

/* How tightly an expression binds; an operand that binds less than its place needs is put in parentheses. */
enum lp_c_level { LP_C_LOOSE, LP_C_PRODUCT, LP_C_UNARY, LP_C_ATOM };
struct lp_c_expr {
    const char *text;
    enum lp_c_level level;
    bool loads; /* from memory that some store may change */
    int nreads;
    int32_t read[LP_C_MAX_READS]; /* registers it reads */
};

/* What kernels of one file call: helpers of c_helpers.def, vector types, functions on vectors in the order of definition. */
struct lp_c_function {
    const char *key, *name, *definition;
    struct lp_c_function *next;
};
enum lp_c_kind { LP_C_SIGNED, LP_C_UNSIGNED, LP_C_FLOAT, LP_C_KINDS };
struct lp_c_file {
    struct oct_ctx *cx;
    struct oct_arena *a;
    uint64_t helpers;                                  /* bit: number of the helper */
    bool types[LP_C_KINDS][4][LP_C_MAX_LOG_LANES + 1]; /* kind, log2 of a lane's bytes, log2 of the lanes */
    struct lp_c_function *first, **last;
    int nshuffles;
    bool floats, vectors, intrinsics; /* are used; intrinsics: of <immintrin.h> */
    enum lp_isa isa;                  /* of all kernels that use vectors */
};

OCT_NORETURN void lp_c_refuse(const struct lp_c_file *f, const char *what, const char *which);
/* "oct_NAME" into t, and the helper into the file. */
void lp_c_use_helper(struct lp_c_file *f, struct oct_text *t, const char *name);

/* ---- c_spell.c: one lane */
const char *lp_c_scalar(enum lp_elem e); /* the C type; masks are int32_t */
/* "uint8_t" ... of as many bits as e, or more. */
const char *lp_c_unsigned(enum lp_elem e, int at_least);
/* An immediate as a literal. */
struct lp_c_expr lp_c_literal(struct lp_c_file *f, struct lp_val v);
void lp_c_add_operand(struct oct_text *t, const struct lp_c_expr *x, enum lp_c_level need);
/* The row's scalar template with operands x, whose types (and values of immediates) v says; imm: the row's immediate in C. */
struct lp_c_expr lp_c_fill(struct lp_c_file *f, enum lp_row row, enum lp_elem to, int nargs, const struct lp_val *v,
                           const struct lp_c_expr *x, const char *imm);

/* ---- c_vector.c: all lanes at once. A mask of several lanes is a vector of signed integers, 0 or -1, of `bits` each. */
/* Name of the C type; bits: of a lane, where it is a mask. */
const char *lp_c_type(struct lp_c_file *f, struct lp_type t, int bits);
/* The function that computes the row, of operands of types `arg`; masks of several lanes have `bits` in it (lp_c_mask_bits). */
const char *lp_c_row(struct lp_c_file *f, const struct lp_stmt *s, struct lp_type to, const struct lp_type *arg, int bits);
/* Bits of a lane of the masks that the row reads or makes; to_bits where any will do. */
int lp_c_mask_bits(enum lp_row row, struct lp_type to, const struct lp_type *arg, int to_bits);
const char *lp_c_splat(struct lp_c_file *f, struct lp_type t, int bits); /* of a scalar */
const char *lp_c_mask_to(struct lp_c_file *f, int lanes, int from_bits, int to_bits);
/* Function that loads from, or stores at, a pointer to elements; aligned: to 4 bytes. */
const char *lp_c_load(struct lp_c_file *f, struct lp_type t, bool masked, bool aligned);
const char *lp_c_store(struct lp_c_file *f, struct lp_type t, bool masked);

#endif
