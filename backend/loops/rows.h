/* rows.h - what the parts of loops/ share: the rows as data, the type rules, names. Kernels include loops.h only. */
#ifndef OCT_LOOPS_ROWS_H
#define OCT_LOOPS_ROWS_H

#include "loops.h"

#define LP_IS(e)  (1u << LP_##e)
#define LP_SIGNED (LP_IS(I8) | LP_IS(I16) | LP_IS(I32) | LP_IS(I64))
#define LP_INTS   (LP_SIGNED | LP_IS(U8) | LP_IS(U16) | LP_IS(U32))
#define LP_WIDE   (LP_IS(I32) | LP_IS(U32) | LP_IS(I64))
#define LP_FLOATS (LP_IS(F32) | LP_IS(F64))
#define LP_NUMS   (LP_INTS | LP_FLOATS)
#define LP_ANY    (LP_NUMS | LP_IS(MASK))

enum { LP_C_VECTOR = LP_ISA_COUNT, LP_C_LANE, LP_C_SPELLINGS }; /* beside the ISAs: GNU C for vectors, a lane at a time */
struct lp_row_info {
    const char *name, *signature, *doc;
    unsigned classes;              /* element types that T may be; 0: the signature fixes all */
    const char *c[LP_C_SPELLINGS]; /* in C, by ISA: C99 for one lane; NULL: none */
    const char *llvm;
};
const struct lp_row_info *lp_row_info(enum lp_row row);
/* LLVM's intrinsic for a row of so many lanes where an ISA needs one (llvm_steps.def); else NULL. */
const char *lp_row_llvm_step(enum lp_row row, enum lp_isa isa, int lanes);

static inline bool lp_is(enum lp_elem e, unsigned classes) { return (classes >> e) & 1u; }
static inline bool lp_is_imm(struct lp_val v) { return v.reg < 0; }
int64_t lp_elem_min(enum lp_elem e); /* integers only */
int64_t lp_elem_max(enum lp_elem e);
int lp_elem_bits(enum lp_elem e);

/* The result type that the operands imply; `wanted` (lanes 0: nothing) decides what they leave open. *why: what is wrong. */
bool lp_row_result(enum lp_row row, struct lp_type wanted, int nargs, const struct lp_val *arg, struct lp_type *out,
                   const char **why);
/* Does the statement, an OP, keep to its row's signature with a destination of this type? */
bool lp_row_check(const struct lp_stmt *s, struct lp_type dst, const char **why);

/* Types of the operands, an immediate's with as many lanes as the row reads. */
void lp_row_operands(const struct lp_stmt *s, struct lp_type dst, struct lp_type *type);
/* Whose spellings serve too; C99 at last. */
enum lp_isa lp_isa_base(enum lp_isa isa);

/* Bytes that divide the address of a load or store, whatever the loop variables are. */
unsigned lp_align_of(const struct lp_kernel *k, const struct lp_stmt *access);

/* Unique readable names: a register's base, then base_1, base_2, ...; loops side by side may share a name. */
struct lp_names {
    const char **reg, **var, **buf;
    struct lp_name_table *table;
};
struct lp_names lp_name_all(const struct lp_kernel *k, struct oct_arena *a);
/* One more, at most as many as the kernel has statements. */
const char *lp_name_more(const struct lp_names *n, const char *base);

/* Walks statements in text order without recursion: enter is called on loops before their body, leave after it, visit on
 * the rest. */
struct lp_walk {
    const struct lp_stmt *open[24];
    int depth;
    const struct lp_stmt *at;
    bool leaving; /* `at` is a loop whose body is done */
};
void lp_walk_start(struct lp_walk *w, const struct lp_kernel *k);
/* The next event: a statement (leaving: the end of a loop), NULL at the end. */
const struct lp_stmt *lp_walk_next(struct lp_walk *w);
static inline bool lp_is_loop(const struct lp_stmt *s) { return s->kind <= LP_STMT_PIECE; }

#endif
