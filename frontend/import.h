/* import.h - what the importers of other formats (ONNX, TFLite) share: names of the source, and constants moved into octavo's
 * layouts. */
#ifndef OCT_IMPORT_H
#define OCT_IMPORT_H

#include "frontend.h"

/* Text from the file for a message: in single quotes, cut when long. */
const char *oct_import_quote(struct oct_arena *a, const char *s);
/* "dir/My model.onnx" -> My_model: what the file is called names the model and the functions compiled from it. */
const char *oct_import_model_name(struct oct_arena *a, const char *path);
/* What to make a value's name of: names of scopes begin with '/', which would become '_'. */
const char *oct_import_readable(const char *source);
/* Sets `from` where the source's name is not the value's. */
void oct_import_from(struct oct_arena *a, struct oct_attrs *at, const char *name, const char *source);
/* A node for the value `source` of the file, or, with a suffix, on the way to it, which is named after it. Attributes may be NULL;
 * `declared` is needed for quantized results only. NULL when the module refuses it. */
struct oct_node *oct_import_node(struct oct_module *m, const char *source, const char *suffix, enum oct_op op,
                                 struct oct_node *const *operand, int n, const struct oct_attrs *given,
                                 const struct oct_type *declared, struct oct_span span);
/* Elements copied in the order that per-axis strides (in elements, of the source) give. */
void oct_import_gather(void *to, const void *from, size_t size, int rank, const int64_t *dim, const int64_t *stride);
/* Weights that were taken in another form leave the original, and what only moved or dequantized it, without use. */
void oct_import_drop_unused(struct oct_module *m);

#endif
