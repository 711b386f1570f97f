/* backend.h - model -> kernels -> C (later LLVM IR). Back ends change no model: they clone what they must prepare. */
#ifndef OCT_BACKEND_H
#define OCT_BACKEND_H

#include "../ir/ir.h"
#include "loops/isa.h"

/* What a target offers: data, not control flow (targets/targets.def). */
struct oct_target {
    const char *name, *doc, *triple;
    const char *cpu, *features; /* LLVM's names; "": what every machine of the triple has */
    enum lp_isa isa;      /* rows that kernels may use */
    unsigned lacks;       /* bits of enum lp_lack */
    int vector_bits;      /* 0: scalar code only */
    int registers;        /* of the accumulator kind, for the tile choice */
    int pointer_bytes;
    int inline_weights_max; /* bytes of weights that may be C arrays */
    int tile_oc, tile_px; /* output channels and pixels that a scalar kernel accumulates at once */
    int unroll;           /* turns of its innermost loop that are written out */
    int64_t flash, ram;   /* bytes that a usual board has; 0: no budget */
    const char *row;      /* of the table: the name, but for presets, triples and the host */
};
/* By name. "host": the best row that this machine runs, under that name and without a triple. */
const struct oct_target *oct_target_find(const char *name);
const char *oct_target_host(void); /* name of that row */
const char *oct_host_cpu(struct oct_arena *a); /* this machine's processor, as it calls itself */
const struct oct_target *oct_target_list(uint32_t *n);
/* The row that serves the architecture of a triple, with this triple and without what not every machine of it has. False when the
 * architecture or the system is none that objects are written for. The texts are the caller's and the table's. */
bool oct_target_of_triple(const char *triple, struct oct_target *out);
/* How floats are passed: "hard", "soft", or "" where the triple leaves no choice. */
const char *oct_target_float_abi(const struct oct_target *t);
/* Architectures that oct_target_of_triple knows; NULL ends them. */
extern const char *const oct_target_architectures[];

/* What steps and memory cost one of its cores (targets/costs.def); of targets without figures, those of some other. */
struct oct_costs {
    enum lp_isa isa;
    double operations;     /* of vectors, a cycle */
    int64_t first, second; /* bytes of the near caches */
    double beyond, far;    /* bytes a cycle from beyond the second cache, and from memory */
    double finish, widen;  /* cycles for a vector of sums to become codes in memory; to widen a vector of codes */
};
const struct oct_costs *oct_target_costs(const struct oct_target *t);
/* Multiplications a cycle, at best, of a kind of steps; 0: no figure. */
double oct_target_ceiling(const struct oct_target *t, const char *steps);
const char *oct_target_steps(const struct oct_target *t, int i); /* that have one; NULL: no more */

/* Comments in the C of a kernel around the products of a layer that does more beside them: who times them makes calls of these. */
#define OCT_PRODUCTS_BEGIN "products"
#define OCT_PRODUCTS_END "end of products"

enum oct_weights_mode { OCT_WEIGHTS_AUTO, OCT_WEIGHTS_INLINE, OCT_WEIGHTS_INCBIN, OCT_WEIGHTS_OBJ };
enum oct_io_layout { OCT_LAYOUT_MODEL, OCT_LAYOUT_NHWC, OCT_LAYOUT_NCHW };

struct oct_compile_options {
    const struct oct_target *target;
    const char *name;               /* prefix of every symbol: an identifier of C */
    const char *file;               /* files are FILE.c, FILE.h, ...: printable, without quotes and backslashes; NULL: name */
    int64_t batch;                  /* what N means; >= 1 */
    int threads;                    /* > 1: also NAME_run_part, which up to so many threads call together */
    enum oct_weights_mode weights;
    enum oct_io_layout io_layout;
    bool no_float, strict_float;
    bool self_test;                 /* NAME_selftest goes with it */
    const char *debug_folder;       /* lines of the model's text go with the program; relative paths of it start here. NULL: none */
    bool no_requant_proof;          /* tests: always the profile's own sequence */
    const struct oct_tuned *tuned;  /* which way to build a layer (tuned.h); NULL: as costs say */
    bool no_source;                 /* the program is printed by another back end than C */
};
/* What compile produced; texts live in the arena. */
struct oct_program; /* program.h */
struct oct_compiled {
    const struct oct_program *program; /* lives in the arena */
    struct oct_text c, h, json;     /* json: NAME.json, keys as in DESIGN.md */
    struct oct_text weights;        /* bytes of NAME.weights.bin for incbin; len 0 when inline */
    struct oct_text weights_s;      /* NAME.weights.S */
    struct oct_text explain;        /* a line per layer and per fallback */
};
/* Fills into NAME.json, for a key that is null there, what was not known when it was written; a negative number stays null. */
void oct_report_fill(struct oct_text *json, const char *key, const char *value);
void oct_report_number(struct oct_text *json, const char *key, int64_t v);
/* Reports values whose bits compiled code need not share with the interpreter (float, but under strict_float); `what` wants them. */
bool oct_require_exact(struct oct_ctx *cx, const struct oct_module *m, const struct oct_compile_options *opt, const char *what);

/* What an object takes, as it was read from the object and its compiler; -1: not known. */
struct oct_code { /* a function with its clones */
    const char *name;
    int64_t text_bytes, stack_bytes; /* stack: its own frame */
};
struct oct_sizes {
    int64_t text_bytes, rodata_bytes; /* sections .text, .rodata, and those whose names begin with them and a point */
    struct oct_code *function;
    int nfunctions;
};
/* Fills all of that into NAME.json, and stack_bytes: the deepest chain of calls of NAME_run (sizes.c). */
void oct_report_sizes(struct oct_compiled *c, const struct oct_sizes *s, int pointer_bytes);
/* false after diagnostics (float under --no-float, an overflow that cannot be widened, ...). */
bool oct_compile(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *m, const struct oct_compile_options *opt, struct oct_compiled *out);

#endif
