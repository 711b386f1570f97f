/* fuzz_onnx.c - libFuzzer target: any bytes as an ONNX file. */
#include "check_import.h"

static struct oct_module *import(struct oct_ctx *cx, struct oct_bytes file) { return oct_import_onnx(cx, NULL, file); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return check_import(data, size, import); }
