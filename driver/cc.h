/* cc.h - running the C compiler in a private temporary folder, which is gone afterwards whatever happens. */
#ifndef DRV_CC_H
#define DRV_CC_H

#include "../backend/backend.h"
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

/* Sizes (measure.c): the flag that makes this compiler tell frames, or NULL; once c.o was made with it, the report's text_bytes
 * (code sections) and stack_bytes (deepest chain of calls of NAME_run, memcpy and memset not counted). */
const char *drv_measure_flag(struct drv_build *b, const char *cc);
void drv_measure(struct drv_build *b, const char *cc, const struct oct_target *target, struct oct_compiled *c);

/* ---- compiled C in this process (engine_c.c) ----------------------------------------------------------------------------- */

struct drv_native;
/* Compiles a module for the host and loads it. */
struct drv_native *drv_native_load(struct drv *d, const struct oct_module *m, const char *cflags, bool timed,
                                   struct oct_compiled *out);
/* One run: pointers to the inputs, then to the outputs, in order of declaration; arena of drv_native_arena bytes, 64-aligned. */
bool drv_native_run(const struct drv_native *n, void *const *io, void *arena);
size_t drv_native_arena(const struct drv_native *n);
/* Of a module loaded with `timed`: nanoseconds of each step of the last run, in order of execution. */
const uint64_t *drv_native_times(const struct drv_native *n, unsigned *steps);
/* All runs of a data set, split over threads. */
bool drv_native_dataset(struct drv *d, struct oct_module *m, const struct oct_dataset *data, struct drv_results *out);

#endif
