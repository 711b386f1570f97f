/* cc.h - what makes machine code of a model: the C compiler, run in a private temporary folder which is gone afterwards whatever
 * happens; and the LLVM back end. */
#ifndef DRV_CC_H
#define DRV_CC_H

#include "../backend/llvm.h"
#include "driver.h"

/* From begin to end, SIGINT, SIGTERM and SIGHUP are held back; one that comes while the compiler runs ends it, removes the folder
 * and is then delivered. Unwinding ends it too. */
struct drv_build;
struct drv_build *drv_build_begin(struct drv *d);
void drv_build_end(struct drv_build *b);
const char *drv_build_path(struct drv_build *b, const char *name);
bool drv_build_write(struct drv_build *b, const char *name, const struct oct_text *text);
/* Reads what the compiler made, for the life of the context. */
bool drv_build_read(struct drv_build *b, const char *name, struct oct_bytes *out);
/* Runs `command` (words separated by spaces) with more arguments, NULL-terminated, in the folder. What it prints is shown when it
 * fails; `log`, if not NULL, gets it otherwise. Exit 69 when it is not there, 70 when it refuses what we wrote. */
bool drv_build_run(struct drv_build *b, const char *command, const char *const *args, const char **log);
/* The same of a command that need not work: nothing is said. */
bool drv_build_try(struct drv_build *b, const char *command, const char *const *args, const char **log);
bool drv_build_has(struct drv_build *b, const char *name);
struct oct_arena *drv_build_arena(const struct drv_build *b);
/* Writes NAME.c, NAME.h and the weights of what was compiled; appends their names to args (room for 2 more). */
bool drv_build_sources(struct drv_build *b, const char *name, const struct oct_compiled *c, const char **args, int *nargs);

/* Sizes (measure.c): the flag that makes this compiler tell frames, or NULL; once c.o was made with it and `out` of that, what
 * they take (memcpy and memset are not counted). */
const char *drv_measure_flag(struct drv_build *b, const char *cc);
void drv_measure(struct drv_build *b, const char *cc, struct oct_sizes *sizes);
/* The object of what was compiled, by --cc and --cflags, and what it takes (object.c). */
bool drv_cc_object(struct drv *d, const char *name, const struct oct_compiled *c, struct oct_text *made, struct oct_sizes *sizes);

/* Does this machine run code for the target, without an emulator? (trial.c) */
bool drv_runs_here(const struct oct_target *t);

/* ---- LLVM (llvm.c) -----------------------------------------------------------------------------------------------------------
 */

/* The LLVM back end; NULL, with an error where it is required, when it cannot be loaded. */
const struct oct_llvm *drv_llvm(struct drv *d, bool required);

/* ---- compiled models in this process (engine_c.c, llvm.c) --------------------------------------------------------------------
 */

typedef void drv_part_fn(void *const *io, void *arena, int32_t part, int32_t parts, void (*meet)(void *team), void *team);
struct drv_native {
    oct_jit_fn *run;
    drv_part_fn *part; /* NULL: made for one thread */
    size_t arena_bytes;
    const uint64_t *times, *products;
    const unsigned *steps;
};
/* Compiles a module for the host and loads it: as C, or by LLVM. */
/* An oct_observe_fn, the user being the command (observe.c). */
bool drv_observe(void *user, const struct oct_module *m, const struct oct_dataset *data, oct_each_fn *each, void *each_user);
const struct drv_native *drv_jit_load(struct drv *d, const struct oct_module *m);
const struct drv_native *drv_native_load(struct drv *d, const struct oct_module *m, const char *cflags, bool timed,
                                         struct oct_compiled *out);
/* As C for up to so many threads. */
const struct drv_native *drv_native_load_parts(struct drv *d, const struct oct_module *m, const char *cflags, bool timed,
                                               int threads, struct oct_compiled *out);
/* The entries of a program whose name is drv_native_prefix, which take the arena alone, as C. */
extern const char drv_native_prefix[];
bool drv_native_entries(struct drv *d, const struct oct_compiled *c, const char *cflags, oct_jit_fn **entry);
/* Memory for an arena, 64 bytes larger than it need be, from its first cache line on. */
void *drv_aligned(void *memory);
/* One run: pointers to the inputs, then to the outputs, in order of declaration; arena of arena_bytes, 64-aligned. */
bool drv_native_run(const struct drv_native *n, void *const *io, void *arena);
/* Of a module loaded with `timed`: nanoseconds of each step of the last run, in order of execution. */
const uint64_t *drv_native_times(const struct drv_native *n, unsigned *steps);
/* The same, of its products alone where its kernel tells them from the rest; else 0. */
const uint64_t *drv_native_products(const struct drv_native *n);
/* All runs of a data set, split over threads. */
bool drv_native_dataset(struct drv *d, const struct drv_native *n, const struct oct_dataset *data, struct drv_results *out);

#endif
