/* run.c - octavo run: inputs in, outputs out, as .npy. Integer outputs are written as codes. */
#include <string.h>

#include "driver.h"

/* The output called `name`; NULL when there is none. */
static const struct drv_result *find(const struct drv_results *r, const char *name, size_t n) {
    for (uint32_t i = 0; i < r->n; i++)
        if (strlen(r->r[i].name) == n && memcmp(r->r[i].name, name, n) == 0) return &r->r[i];
    return NULL;
}

/* Element type in the file, and the data for it: .npy as we write it has no u16 and nothing below a byte. */
static enum oct_npy_type file_type(struct drv *d, const struct drv_result *r, int64_t n, const void **data) {
    *data = r->data;
    switch (r->type.dtype) {
    case OCT_F32: return OCT_NPY_F32;
    case OCT_I4:
    case OCT_I8: return OCT_NPY_I8;
    case OCT_U4:
    case OCT_U8: return OCT_NPY_U8;
    case OCT_I16: return OCT_NPY_I16;
    case OCT_I32: return OCT_NPY_I32;
    case OCT_I64: return OCT_NPY_I64;
    default: break;
    }
    int32_t *wide = OCT_NEW_N(d->a, int32_t, n);
    for (int64_t i = 0; i < n; i++) wide[i] = ((const uint16_t *)r->data)[i];
    *data = wide;
    return OCT_NPY_I32;
}

static bool write_result(struct drv *d, const struct drv_result *r, const char *path) {
    if (r->rank > OCT_MAX_RANK) return drv_misuse(d, "output '%s' would have more than %d axes", r->name, OCT_MAX_RANK);
    struct oct_array x = {.rank = r->rank};
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= x.dim[i] = r->dim[i];
    x.type = file_type(d, r, n, &x.data);
    struct oct_text *file = OCT_NEW(d->a, struct oct_text);
    oct_text_init(file, d->a);
    oct_npy_write(file, &x);
    return oct_outputs_add(d->out, path, file->s, file->len);
}

bool verb_run(struct drv *d) {
    struct drv_arrays arrays;
    struct oct_dataset data;
    struct drv_results results;
    if (!d->o.out.n) return drv_misuse(d, "say where to write: -o Y.npy, or -o NAME=Y.npy for each output");
    struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (!m || !drv_read_arrays(d, "--input", &d->o.input, &arrays) || !drv_fit(d, &arrays, m, &data)) return false;
    if (!drv_execute(d, m, &data, drv_engine_of(d), &results)) return false;
    for (int i = 0; i < d->o.out.n; i++) {
        const char *path = d->o.out.v[i];
        const size_t n = drv_name_length(path);
        const struct drv_result *r = n ? find(&results, path, n) : results.n == 1 ? &results.r[0] : NULL;
        if (!r && n) return drv_misuse(d, "the model has no output '%.*s'", (int)n, path);
        if (!r) return drv_misuse(d, "the model has %u outputs: -o NAME=Y.npy for each that is wanted", results.n);
        if (!write_result(d, r, n ? path + n + 1 : path)) return false;
    }
    return true;
}
