/* program.h - a compiled module before any language: functions (loops), constants, and entries that call them in order. The C
 * printer (source.c) and the LLVM back end (llvm/emit_llvm.c) both print this; neither walks the plan. */
#ifndef OCT_PROGRAM_H
#define OCT_PROGRAM_H

#include "plan/plan.h"

/* Equal kernels are one function. */
struct oct_function {
    const char *name;
    const struct lp_kernel *k;
    const char *text; /* of the loops */
    const char *doc;  /* what it computes, without characters that could end a comment; NULL: nothing to say */
    uint32_t line;    /* in the source, of the first value that it makes; 0: unknown */
};
/* Equal constants are one. */
struct oct_constant {
    const struct oct_packed *data;
    int64_t offset; /* in a file that holds them all, each aligned to 16 */
};
enum oct_arg_kind { OCT_ARG_PARAM, OCT_ARG_ARENA, OCT_ARG_CONST };
struct oct_arg {
    enum oct_arg_kind kind;
    int64_t at;       /* number of the parameter; bytes into the arena; number of the constant */
    int64_t per_part; /* ARENA: so many bytes further for each part */
};
static inline struct oct_arg oct_arg(enum oct_arg_kind kind, int64_t at) { return (struct oct_arg){kind, at, 0}; }
enum { OCT_CALL_RUN = -1 }; /* the run entry, by the self-test */
struct oct_call {
    const char *layer;         /* the value it makes */
    int function;              /* or OCT_CALL_RUN */
    const struct oct_arg *arg; /* one for each buffer of the kernel; of the run entry, for each parameter and the arena */
    int64_t lo, hi;            /* of a kernel with a range; hi 0: all of it */
    uint32_t line;             /* in the source; 0: unknown */
    /* In an entry of parts. Split: part i of n takes the i-th share of the range; else part 0 makes the call. Meet: all parts
     * wait for each other before it. */
    bool split, meet;
};
struct oct_param {
    const char *name;
    enum lp_elem elem;
    bool out;
};
/* An external function. `run` returns an int and takes the arena behind its parameters; the others return nothing. Number 0 is
 * NAME_run. An entry of parts takes behind the arena: int32_t part, int32_t parts, void (*meet)(void *team), void *team; all
 * parts together do what NAME_run does. */
struct oct_entry {
    const char *name;
    bool run, parts;
    int64_t status; /* run: bytes into the arena of the int32 that it returns; 0: it returns 0 */
    const struct oct_param *param;
    int nparams;
    struct oct_call *call;
    int ncalls;
};
struct oct_program {
    const char *name;            /* prefix of the entries */
    const char *file;            /* of the files: FILE.c and so on */
    const char *source, *folder; /* for line info: the model's text, and where a relative path starts; NULL: no line info */
    struct oct_function *function;
    int nfunctions;
    struct oct_constant *constant;
    int nconstants;
    int64_t weight_bytes; /* with the padding between constants */
    struct oct_entry *entry;
    int nentries;
    int64_t arena_bytes;
    int threads;              /* > 1: there is an entry of parts */
    int parts;                /* the most that it takes; 1: no step is worth sharing */
    int64_t selftest_bytes;   /* arena of NAME_selftest; 0: there is none */
    const char *selftest_doc; /* what its checks are, for a comment */
};
/* NULL: it calls the run entry. */
static inline const struct lp_kernel *oct_call_kernel(const struct oct_program *p, const struct oct_call *c) {
    return c->function == OCT_CALL_RUN ? NULL : p->function[c->function].k;
}
static inline int64_t oct_call_end(const struct oct_program *p, const struct oct_call *c) {
    return c->hi ? c->hi : lp_units(p->function[c->function].k);
}
static inline int64_t oct_packed_bytes(const struct oct_packed *d) { return d->n * (int64_t)lp_elem_size(d->elem); }

/* What compile works on: shared by program.c, source.c and header.c. */
struct oct_unit {
    struct oct_ctx *cx;
    struct oct_arena *a;
    const struct oct_compile_options *opt;
    struct oct_module *m; /* N bound */
    struct oct_plan plan;
    struct oct_program *program;
};
/* compile.c: opens the texts; clones the model, binds N, plans. */
void oct_compiled_init(struct oct_compiled *c, struct oct_arena *a);
bool oct_unit_plan(struct oct_unit *u, const struct oct_module *model);
/* program.c: from the plan. */
void oct_program_make(struct oct_unit *u);
/* source.c: NAME.c and, where weights go to a file, NAME.weights.bin and NAME.weights.S. */
void oct_print_source(const struct oct_unit *u, struct oct_compiled *out);
void oct_print_parameter(struct oct_text *t, const struct oct_param *p);
void oct_print_signature(struct oct_text *t, const struct oct_entry *e); /* in C, without ; or { */
/* Programs that are no model: entries that take the arena alone and call one kernel, at most so many; what compilers want of
 * them. */
void oct_program_open(struct oct_program *p, struct oct_arena *a, const char *name, int entries);
void oct_program_entry(struct oct_program *p, struct oct_arena *a, const char *what, const struct lp_kernel *k, const char *doc,
                       const char *layer, const struct oct_arg *arg);
void oct_program_finish(struct oct_unit *u, struct oct_compiled *made);
/* The number of a kernel's function; `what` starts its name where it is new. */
int oct_program_function(struct oct_program *p, struct oct_arena *a, const struct lp_kernel *k, const char *what,
                         const char *doc);
int oct_program_constant(struct oct_program *p, const struct oct_packed *d);
/* selftest.c: adds NAME_selftest, its kernels, and what the interpreter expects; false after diagnostics. Takes at most so many
 * functions and one more for each input, one constant, one entry. */
enum { OCT_SELFTEST_KERNELS = 3 };
bool oct_selftest_add(struct oct_unit *u);
/* header.c: NAME.h. */
void oct_print_header(const struct oct_unit *u, struct oct_text *h);
/* advice.c: what would make a step faster, NULL: nothing that is known. */
const char *oct_advice(struct oct_arena *a, const struct oct_target *t, const struct oct_step *s);
/* report.c: NAME.json, and the lines of --explain. */
void oct_print_report(const struct oct_unit *u, struct oct_text *json, struct oct_text *explain);
/* Text that cannot leave a comment: printable ASCII without * / \ and ?, at most 120 bytes. */
void oct_comment_text(struct oct_text *t, const char *s);

#endif
