/* onnx_bootstrap.c - stands in for the ONNX reader until it is there: names what cannot be read yet. */
#include "frontend.h"

struct oct_module *oct_import_onnx(struct oct_ctx *cx, const char *path, struct oct_bytes file) {
    oct_error(cx, (struct oct_span){0, 0, 0}, OCT_E7006, "%s: %zu bytes that are no model text; ONNX is not read yet", path, file.len);
    return NULL;
}
