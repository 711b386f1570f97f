/* execute.c - a module over a data set, by any engine; its outputs, sample after sample. */
#include <string.h>

#include "cc.h"

/* Integer codes and integers; floats as they are. */
static double raw(enum oct_dtype t, const void *data, int64_t i) {
    switch (t) {
    case OCT_F32: return (double)((const float *)data)[i];
    case OCT_I4:
    case OCT_I8: return ((const int8_t *)data)[i];
    case OCT_U4:
    case OCT_U8: return ((const uint8_t *)data)[i];
    case OCT_I16: return ((const int16_t *)data)[i];
    case OCT_U16: return ((const uint16_t *)data)[i];
    case OCT_I32: return ((const int32_t *)data)[i];
    default: return (double)((const int64_t *)data)[i];
    }
}

double drv_real(const struct oct_type *t, const void *data, int64_t i) {
    const double v = raw(t->dtype, data, i);
    return t->q ? (double)oct_scale(t->q, 0) * (v - (double)oct_zero(t->q, 0)) : v;
}

struct collecting {
    const struct oct_module *m;
    struct drv_results *out;
    int64_t chunk;
    struct drv_progress progress;
};

/* Each run writes a part of its own: workers need no lock. */
static void collect(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *value) {
    (void)worker;
    struct collecting *c = user;
    for (uint32_t i = 0; i < c->m->noutputs; i++) {
        if (c->m->output[i].node != n) continue;
        const size_t bytes = (size_t)oct_tensor_elements(value) * oct_dtype_size(n->type.dtype);
        memcpy((char *)c->out->r[i].data + (size_t)(first / c->chunk) * bytes, value->data, bytes);
    }
    if (n == c->m->last) drv_progress_add(&c->progress, c->chunk);
}

void drv_result_init(struct drv *d, const struct oct_output *o, int64_t samples, int64_t chunk, struct drv_result *r) {
    const struct oct_type *t = &o->node->type;
    const int64_t each = oct_type_elements(t, 1), runs = samples / chunk;
    const bool batched = t->rank > 0 && (t->dim[0] == OCT_DIM_N || t->dim[0] == chunk);
    *r = (struct drv_result){.name = o->name, .type = *t, .rank = t->rank + !batched, .row = batched ? each / chunk : each};
    memcpy(r->dim + !batched, t->dim, (size_t)t->rank * sizeof *t->dim);
    r->dim[0] = batched ? samples : runs;
    r->data = oct_alloc_n(d->a, (size_t)(runs * each), oct_dtype_size(t->dtype));
}

bool drv_execute(struct drv *d, struct oct_module *m, const struct oct_dataset *data, enum drv_engine engine,
                 struct drv_results *out) {
    struct collecting c = {.m = m, .out = out, .chunk = oct_dataset_chunk(data->in, data->nin)};
    *out = (struct drv_results){.r = OCT_NEW_N(d->a, struct drv_result, m->noutputs), .n = m->noutputs, .samples = data->samples};
    for (uint32_t i = 0; i < m->noutputs; i++) drv_result_init(d, &m->output[i], data->samples, c.chunk, &out->r[i]);
    if (engine != DRV_ENGINE_INTERP) {
        struct oct_compiled compiled;
        const struct drv_native *n = engine == DRV_ENGINE_JIT
                                         ? drv_jit_load(d, m)
                                         : drv_native_load(d, m, d->o.cflags ? d->o.cflags : "-O2", false, &compiled);
        return n && drv_native_dataset(d, n, data, out);
    }
    drv_progress_begin(&c.progress, d->verb->name, data->samples);
    const bool ok = oct_run_dataset(d->cx, m, data->in, data->nin, data->samples, collect, &c);
    drv_progress_end(&c.progress);
    return ok;
}
