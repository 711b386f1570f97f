/* onnx_ops.c - the table of ONNX operators, from onnx_ops.def. */
#include <limits.h>
#include <string.h>

#include "onnx_import.h"

#define ONNX(name, lo, hi, results, attrs, build, fold, op)                                                                      \
    oct_onnx_handler oct_onnx_build_##build;                                                                                     \
    oct_onnx_folder oct_onnx_fold_##fold;
#define MICROSOFT ONNX
#include "onnx_ops.def"
#undef ONNX
#undef MICROSOFT
#define oct_onnx_build_none NULL
#define oct_onnx_fold_none  NULL

static const struct oct_onnx_op ops[] = {
#define ROW(domain, name, lo, hi, results, attrs, build, fold, op)                                                               \
    {#name, domain, lo, hi, results, attrs, oct_onnx_build_##build, oct_onnx_fold_##fold, OCT_OP_##op},
#define ONNX(...)      ROW("", __VA_ARGS__)
#define MICROSOFT(...) ROW("com.microsoft", __VA_ARGS__)
#include "onnx_ops.def"
#undef ONNX
#undef MICROSOFT
};
enum { OPS = sizeof ops / sizeof *ops };

static const char *const names[] = {
#define ONNX(name, ...) #name,
#define MICROSOFT       ONNX
#include "onnx_ops.def"
#undef ONNX
#undef MICROSOFT
    NULL};

const struct oct_onnx_op *oct_onnx_op_find(const char *domain, const char *name) {
    if (!domain || !strcmp(domain, "ai.onnx")) domain = "";
    for (int i = 0; i < OPS; i++)
        if (!strcmp(ops[i].name, name) && !strcmp(ops[i].domain, domain)) return &ops[i];
    return NULL;
}

const char *const *oct_onnx_op_names(size_t *n) {
    *n = OPS;
    return names;
}
