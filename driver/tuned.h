/* tuned.h - the tuner: its file (tuned.c), and the measuring (tune.c).
 *
 * The file is lines of text, made to be read, committed and edited:
 *   octavo tuned 1
 *   target x86-64-v3
 *   cpu AMD EPYC 7B13
 *   code LLVM 19.1.7, x86_64-unknown-linux-gnu
 *   ceiling a 83.1 GMAC/s
 *   layer conv2d i8[1,64,56,56] i8[64,64,3,3] i32[64] -> i8[1,64,56,56] pad=1,1,1,1 q31
 *       412.3 us winograd f4 3x4
 *       903.1 us conv2d_vec 6x2
 * A ceiling is what steps of that kind reach in registers (costs.def). Layers are sorted by their text; of a layer's ways the
 * first that it offers is taken. */
#ifndef DRV_TUNED_H
#define DRV_TUNED_H

#include "../backend/tuned.h"
#include "cc.h"

void drv_tuned_print(struct oct_text *t, const struct oct_tuned *r);
/* NULL after diagnostics. */
struct oct_tuned *drv_tuned_read(struct drv *d, const char *path);
/* What --tuned says for a target: NULL, *ok: nothing; NULL, !*ok: after diagnostics. */
const struct oct_tuned *drv_tuned(struct drv *d, const struct oct_target *target, bool *ok);
/* The ceilings of this machine, measured in code by LLVM or, llvm NULL, by the C compiler; n is 0 for targets that have none. */
bool drv_ceilings(struct drv *d, const struct oct_compile_options *opt, const struct oct_llvm *llvm, const char *cflags,
                  struct oct_tuned *r);
/* Does what --tune says: times what its file does not know, queues the file. llvm NULL: by way of C. NULL after diagnostics. */
const struct oct_tuned *drv_tune(struct drv *d, const struct oct_module *m, const struct oct_compile_options *opt,
                                 const struct oct_llvm *llvm);

#endif
