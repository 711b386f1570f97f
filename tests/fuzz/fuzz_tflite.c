/* fuzz_tflite.c - libFuzzer target: any bytes as a TFLite file. */
#include "check_import.h"

static struct oct_module *import(struct oct_ctx *cx, struct oct_bytes file) {
    return oct_import_tflite(cx, NULL, file, OCT_PRESET_tflite_ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return check_import(data, size, import); }
