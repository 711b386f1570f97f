/* infer.h - what the files of ir/ share among themselves: inference, and the words of its diagnostics. Private to ir/. */
#ifndef OCT_INFER_H
#define OCT_INFER_H

#include "ir.h"

/* Sets n->type from operands, attributes and the annotation `declared` (NULL: none; rank OCT_ANY_RANK: dimensions left out), and
 * checks the node entirely. Reports and returns false on misuse. */
bool oct_infer_declared(struct oct_ctx *cx, struct oct_node *n, const struct oct_type *declared);
bool oct_glob(const char *pattern, const char *s);

/* ---- for shape and verify hooks ---- */

/* Reports "<op>: ..." at the node; false. Notes may follow. */
bool oct_misuse(struct oct_ctx *cx, const struct oct_node *n, enum oct_diag_id id, const char *fmt, ...) OCT_PRINTF(4, 5);
/* Adds "'x' is f32[1,3,8,8], defined here"; false, so that a rule may end with it. */
bool oct_note_operand(struct oct_ctx *cx, const struct oct_node *n, int i);
/* "'x'" or "'@w'"; the type as text. Both live as long as the context. */
const char *oct_quoted(struct oct_ctx *cx, const struct oct_node *n);
const char *oct_typed(struct oct_ctx *cx, const struct oct_node *n);
bool oct_need_rank(struct oct_ctx *cx, const struct oct_node *n, int operand, int least, int most);
/* No N from axis `from` on. */
bool oct_need_numbers(struct oct_ctx *cx, const struct oct_node *n, int operand, int from);
/* A float constant without NaN or infinity; anything else passes, and so does an absent operand. */
bool oct_need_finite(struct oct_ctx *cx, const struct oct_node *n, int operand);
/* Brings an axis into [0, rank); makes `v` of a list of axes so, without repetitions. `across_ok`: may name the batch axis. */
bool oct_resolve_axis(struct oct_ctx *cx, const struct oct_node *n, int rank, int64_t *axis);
bool oct_resolve_axes(struct oct_ctx *cx, const struct oct_node *n, int rank, struct oct_ints *axes);
/* Two sides of a broadcast axis: one number, N counting as itself; false when they do not fit. */
bool oct_broadcast_dim(int64_t a, int64_t b, int64_t *out);
/* An operand that is there. */
static inline bool oct_has_operand(const struct oct_node *n, int i) { return i < n->noperands && n->operand[i]; }

/* ---- forms.c ---- */

/* Element types: checks operands against what the op takes, sets dtype and q of *out, from the annotation where it decides. */
bool oct_form_check(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *declared, struct oct_type *out);
/* Where it does not decide it may only repeat what operands imply; asked after the shape rule, which may move a channel axis. */
bool oct_form_agrees(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *declared, const struct oct_type *t);
/* Checks parameters against dtype and dimensions. */
bool oct_quant_check(struct oct_ctx *cx, const struct oct_node *n, const struct oct_type *t);

#endif
