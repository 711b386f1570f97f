/* loops.h - the kernel IR: static loops over typed buffers with scalar and vector operations of exact meaning.
 *
 * A kernel is a structured list of statements: constant-trip loops, one runtime range [lo,hi) at most, whose bands are outermost
 * loops, and operations on mutable virtual registers. Addresses are buffer + affine(loop variables) (+ one data-dependent index
 * for tables), so the verifier proves every access in bounds. Integer operations wrap; the *_nw forms need a proof by the builder
 * that no wrap happens. Kernels are *built* by ordinary C (backend/kernels): the builder unrolls, so each accumulator is a named
 * register. The rows (name, signature, meaning, spellings) are loops.def; C and LLVM IR are two printings of the same text. */
#ifndef OCT_LOOPS_H
#define OCT_LOOPS_H

#include "../../ir/context.h"
#include "isa.h"

enum lp_elem { LP_I8, LP_U8, LP_I16, LP_U16, LP_I32, LP_U32, LP_I64, LP_F32, LP_F64, LP_MASK, LP_ELEM_COUNT };
struct lp_type {
    uint8_t elem;  /* enum lp_elem; LP_MASK: one truth value per lane */
    uint8_t lanes; /* 1..64 */
};
static inline struct lp_type lp_scalar(enum lp_elem e) { return (struct lp_type){(uint8_t)e, 1}; }
static inline struct lp_type lp_vector(enum lp_elem e, int lanes) { return (struct lp_type){(uint8_t)e, (uint8_t)lanes}; }
size_t lp_elem_size(enum lp_elem e);

const char *lp_elem_name(enum lp_elem e); /* "i8" ... "mask" */
static inline bool lp_type_equal(struct lp_type a, struct lp_type b) { return a.elem == b.elem && a.lanes == b.lanes; }

enum lp_row {
#define ROW(name, ...) LP_OP_##name,
#include "loops.def"
#undef ROW
    LP_ROW_COUNT
};

/* A register or an immediate (imm.i for integers, imm.f for floats; an immediate serves every lane). */
struct lp_val {
    struct lp_type type;
    int32_t reg; /* < 0: immediate */
    union {
        int64_t i;
        double f;
    } imm;
};
static inline struct lp_val lp_int(enum lp_elem e, int64_t v) { return (struct lp_val){lp_scalar(e), -1, {.i = v}}; }
static inline struct lp_val lp_flt(enum lp_elem e, double v) { return (struct lp_val){lp_scalar(e), -1, {.f = v}}; }

/* Buffers are the kernel's parameters, in order. */
enum lp_buf_kind { LP_BUF_IN, LP_BUF_OUT, LP_BUF_INOUT, LP_BUF_CONST, LP_BUF_SCRATCH };
enum lp_tail { LP_TAIL_NONE, LP_TAIL_OVERREAD, LP_TAIL_MASK, LP_TAIL_OVERLAP }; /* how vector ends are met */
struct lp_buf {
    const char *name;
    enum lp_elem elem;
    enum lp_buf_kind kind;
    enum lp_tail tail;
    int64_t size;     /* elements that may be accessed: [0, size) */
    int64_t overread; /* elements past size that may be loaded (their value unused) under LP_TAIL_OVERREAD */
    int align;        /* bytes, of element 0 */
};

enum { LP_MAX_TERMS = 10, LP_MAX_ARGS = 4, LP_MAX_PIECES = 1 << 15 };
/* Element index in a buffer: base + sum coef * loop variable (+ scale * index register, which the verifier bounds by
 * [index_min, index_max]). */
struct lp_addr {
    int64_t base;
    int nterms;
    struct {
        int32_t var; /* number of the loop statement */
        int64_t coef;
    } term[LP_MAX_TERMS];
    struct lp_val index; /* type.lanes == 0: none */
    int64_t index_min, index_max;
};
static inline struct lp_addr lp_at(int64_t base) {
    struct lp_addr a = {0};
    a.base = base;
    return a;
}
struct lp_addr lp_plus(struct lp_addr a, int32_t var, int64_t coef);
struct lp_addr lp_offset(struct lp_addr a, int64_t d);
struct lp_addr lp_indexed(struct lp_addr a, struct lp_val index, int64_t min, int64_t max);

enum lp_stmt_kind { LP_STMT_FOR, LP_STMT_RANGE, LP_STMT_PIECE, LP_STMT_OP, LP_STMT_LOAD, LP_STMT_STORE, LP_STMT_NOTE };
struct lp_stmt {
    enum lp_stmt_kind kind;
    struct lp_stmt *next;
    /* FOR, RANGE, PIECE: for var in [0, trip), RANGE and PIECE in that part of it which [lo, hi) has at run time */
    int32_t var;
    const char *name; /* of the variable; NOTE: the comment's text */
    int64_t trip;
    int64_t first; /* PIECE: the piece that its first turn belongs to */
    struct lp_stmt *body;
    /* OP: dst = row(arg...); LOAD: dst = buf[addr]; STORE: buf[addr] = arg[0]; masked when mask is a register */
    enum lp_row row;
    int32_t dst; /* register, -1 for rows without result */
    int nargs;
    struct lp_val arg[LP_MAX_ARGS];
    int64_t imm;            /* rows with an immediate: shift distance, lane, shuffle number */
    const uint8_t *shuffle; /* constant lane list of shuffles, lanes of the result */
    int32_t buf;
    struct lp_addr addr;
    struct lp_val mask; /* type.lanes == 0: none */
};
struct lp_reg {
    struct lp_type type;
    const char *name; /* a readable base; printed name_N with a number where needed to be unique */
};
struct lp_kernel {
    struct oct_ctx *cx;
    struct oct_arena *arena;
    enum lp_isa isa; /* C99 unless the builder sets it */
    struct lp_buf *buf;
    int32_t nbufs, cap_bufs;
    struct lp_reg *reg;
    int32_t nregs, cap_regs;
    int32_t nvars;
    /* Units of work that threads may share: bands x pieces, of which a call does [lo, hi); unit = band * pieces + piece. One
     * piece a band: a RANGE loop runs over [lo trip / bands, hi trip / bands), so several of them, of any trips, make one kernel.
     * More: there is one RANGE, of `bands`, and it visits the bands of which [lo, hi) has a piece; within it the turns of a PIECE
     * loop belong to the pieces from number `first` on. What stands outside of PIECE loops is done by all calls that share the
     * band. */
    bool has_range;
    int64_t bands, pieces;
    struct lp_stmt *body;
    /* builder state */
    struct lp_stmt **tail;
    struct lp_stmt *open[24]; /* enclosing loops */
    struct lp_stmt **open_tail[24];
    int depth;
};

/* ---- builder (build.c). Misuse is an internal error: types are checked as the kernel is built. ------------------------------
 * A register whose name is NULL is a temporary: printers may write its value where it is used. */
struct lp_kernel *lp_new(struct oct_ctx *cx, struct oct_arena *a);
int32_t lp_buffer(struct lp_kernel *k, const char *name, enum lp_elem elem, enum lp_buf_kind kind, int64_t size, int align);
int32_t lp_loop(struct lp_kernel *k, const char *name, int64_t trip);  /* opens a loop, returns its variable */
int32_t lp_range(struct lp_kernel *k, const char *name, int64_t trip); /* the runtime range, outermost: bands = trip */
/* The range of bands of `pieces`; and within it a loop over what pieces share, a plain one where a band is one piece. */
int32_t lp_range_of(struct lp_kernel *k, const char *name, int64_t trip, int64_t pieces);
int32_t lp_piece(struct lp_kernel *k, const char *name, int64_t first, int64_t trip);
static inline int64_t lp_units(const struct lp_kernel *k) { return k->has_range ? k->bands * k->pieces : 0; }
/* Makes a range of the outermost loops where no order binds their turns (share.c); false: it cannot. */
bool lp_share(struct lp_kernel *k);
void lp_end(struct lp_kernel *k); /* closes the innermost loop */
void lp_note(struct lp_kernel *k, const char *fmt, ...) OCT_PRINTF(2, 3);
struct lp_val lp_reg(struct lp_kernel *k, struct lp_type t, const char *name); /* a fresh register */
struct lp_val lp_load(struct lp_kernel *k, const char *name, struct lp_type t, int32_t buf, struct lp_addr at);
void lp_load_to(struct lp_kernel *k, struct lp_val dst, int32_t buf, struct lp_addr at);
void lp_store(struct lp_kernel *k, int32_t buf, struct lp_addr at, struct lp_val v);
/* Lanes whose mask is clear are not accessed; a load leaves 0 in them. Buffers with LP_TAIL_MASK only. */
struct lp_val lp_load_masked(struct lp_kernel *k, const char *name, struct lp_type t, int32_t buf, struct lp_addr at,
                             struct lp_val mask);
void lp_store_masked(struct lp_kernel *k, int32_t buf, struct lp_addr at, struct lp_val v, struct lp_val mask);
void lp_prefetch(struct lp_kernel *k, int32_t buf, struct lp_addr at);
/* Lanes of a (0..n-1) and b (n..2n-1), n the lanes of a, in the order of `lane` (`lanes` entries, copied). */
struct lp_val lp_shuffle(struct lp_kernel *k, const char *name, struct lp_val a, struct lp_val b, int lanes, const uint8_t *lane);
void lp_set(struct lp_kernel *k, struct lp_val dst, struct lp_val v); /* dst = v */
/* dst = row(args): the result type follows from the row's signature; conversions and the like take it from `t`. */
struct lp_val lp_op(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_type t, int nargs, const struct lp_val *arg,
                    int64_t imm);
void lp_op_to(struct lp_kernel *k, struct lp_val dst, enum lp_row row, int nargs, const struct lp_val *arg, int64_t imm);
/* Shorthands for the common arities; result type = that of a (or t where given). */
struct lp_val lp_op1(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_type t, struct lp_val a);
struct lp_val lp_op2(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, struct lp_val b);
struct lp_val lp_op3(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, struct lp_val b, struct lp_val c);
struct lp_val lp_shift(struct lp_kernel *k, const char *name, enum lp_row row, struct lp_val a, int distance);

/* Writes what a machine lacks (bits of enum lp_lack) in rows that it has; the kernel means the same (legal.c). */
void lp_legalise(struct lp_kernel *k, unsigned lacks);

bool lp_has_floats(const struct lp_kernel *k); /* in a buffer or a register */

/* ---- verifier, printer, evaluator
 * ---------------------------------------------------------------------------------------------- */
/* Types, definite assignment, every access within its buffer for all loop values, range only outermost. Reports what is wrong in
 * `why` (in the arena) and returns false. */
bool lp_verify(const struct lp_kernel *k, const char **why);
/* Canonical text: equal text = equal kernel (names of registers and variables included). */
void lp_print(struct oct_text *out, const struct lp_kernel *k);
/* Runs a kernel on memory; mem[i] is buffer i. The only meaning there is: printers must agree with it. Traps (internal error) on
 * a kernel that lp_verify refuses, an index register outside its bounds, a *_nw row that wraps, a shift distance or divisor out
 * of range. lo, hi: units of the range (ignored without one). */
void lp_eval(const struct lp_kernel *k, void *const *mem, int64_t lo, int64_t hi);
/* As lp_eval, and counts executed rows by enum lp_row into counts[LP_ROW_COUNT + 2] (loads and stores last); cost models. */
void lp_eval_count(const struct lp_kernel *k, void *const *mem, int64_t lo, int64_t hi, uint64_t *counts);

/* ---- C printer (emit_c.c, c_*.c)
 * -------------------------------------------------------------------------------------------------- */
/* What the kernels of one C file share: helpers, types, functions on vectors. Kernels with vectors are all for one ISA. */
struct lp_c_file *lp_c_file_new(struct oct_ctx *cx, struct oct_arena *a);
/* Definition of a static function `name(buffers..., int32_t lo, int32_t hi)` (lo, hi only with a range); what it needs is noted
 * in the file. One lane is C99; vectors are GNU C with the intrinsics of the kernel's ISA. */
void lp_emit_c(struct oct_text *out, const struct lp_kernel *k, const char *name, struct lp_c_file *file);
/* What goes before the first function once all are printed, and behind the last: the compiler is told of the machine, to keep
 * loops from becoming calls, and with floats to refuse fast math and not to contract; types, helpers, functions. */
void lp_emit_c_prologue(struct oct_text *out, const struct lp_c_file *file);
void lp_emit_c_epilogue(struct oct_text *out, const struct lp_c_file *file);

#endif
