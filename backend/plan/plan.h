/* plan.h - from a prepared module to a list of steps: where each value lies, which kernel makes it, what memory it takes.
 *
 * Every value has a layout (kernels.h) within a root: a piece of the arena, or memory of the caller. Images are NHWC with the
 * border that the convolutions reading them ask for; model inputs and outputs are as declared, so a copy stands at the boundary
 * where that differs. Reshapes whose elements stay in place take no step and no memory. */
#ifndef OCT_PLAN_H
#define OCT_PLAN_H

#include "../kernels/kernels.h"

enum oct_root_kind { OCT_ROOT_ARENA, OCT_ROOT_INPUT, OCT_ROOT_OUTPUT };
struct oct_root {
    enum oct_root_kind kind;
    int index; /* of the input or output */
    int64_t bytes;
    int64_t logical; /* bytes of the value's elements, without border */
    int first, last; /* steps that need it, inclusive */
    int64_t offset;  /* in the arena */
};
enum oct_step_kind { OCT_STEP_NODE, OCT_STEP_COPY, OCT_STEP_FILL };
struct oct_step {
    enum oct_step_kind kind;
    const struct oct_node *node;
    const struct oct_kernel_info *info; /* NODE */
    struct oct_kbuild b;
    int *in_root;               /* per operand; -1: constant or absent */
    int out_root, scratch_root; /* -1: none */
    bool split;                 /* threads share its range; scratch memory is there for each of them */
};
struct oct_plan {
    struct oct_step *step;
    int nsteps;
    struct oct_root *root;
    int nroots;
    int64_t align; /* bytes, of what lies in the arena, if the arena itself is so aligned */
    int64_t arena_bytes, arena_lower_bound;
    const struct oct_node **input;
    int ninputs;
};
/* Bytes of scratch memory of one part of a step. */
int64_t oct_plan_scratch(const struct oct_step *s);
/* m: N bound. Builds every kernel; false after diagnostics. */
bool oct_plan_make(struct oct_ctx *cx, struct oct_arena *a, struct oct_module *m, const struct oct_compile_options *opt,
                   struct oct_plan *p);

/* memory.c: offsets for all arena roots (largest first, lowest place that is free for its whole life), and the bound that no
 * planner can beat: the most logical bytes alive in one step. */
void oct_plan_memory(struct oct_plan *p, struct oct_arena *scratch);
enum { OCT_ARENA_ALIGN = 16 };
#endif
