/* observe.c - calibration with a bar that shows how far it is; and by a compiled engine: what observe nodes hold, computed by the
 * model as C or by LLVM in place of the interpreter, with the interpreter's bits (strict float), and so with the same ranges.
 * Memory does not grow with the data. */
#include "../passes/pass.h"
#include "cc.h"

static const struct oct_span nowhere;

/* A copy whose outputs are what the observe nodes hold, in their order, and which holds nothing else. */
static struct oct_module *observed(struct drv *d, const struct oct_module *m, uint32_t *count) {
    struct oct_module *c = oct_module_clone(m, d->cx);
    c->noutputs = *count = 0;
    OCT_FOR_NODES(c, n) {
        if (n->op != OCT_OP_observe) continue;
        oct_add_output(c, oct_sprintf(d->a, "observed_%u", (*count)++), n->operand[0], nowhere);
        oct_replace(c, n, n->operand[0]);
    }
    oct_module_settle(c);
    struct oct_pass_env env = {.cx = d->cx, .m = c, .scratch = d->a};
    if (!oct_pass_find("dce")->run(&env, c)) return NULL;
    oct_module_settle(c);
    return c;
}

static const struct drv_native *load(struct drv *d, const struct oct_module *c) {
    struct oct_compiled compiled;
    const bool strict = d->o.strict_float;
    d->o.strict_float = true;
    const struct drv_native *n =
        drv_engine_of(d) == DRV_ENGINE_JIT ? drv_jit_load(d, c) : drv_native_load(d, c, "-O2", false, &compiled);
    d->o.strict_float = strict;
    return n;
}

struct watching {
    const struct oct_module *m;
    oct_each_fn *each;
    void *user;
    struct drv_progress progress;
};

static void watch(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *value) {
    struct watching *w = user;
    w->each(w->user, worker, first, n, value);
    if (n == w->m->last) drv_progress_add(&w->progress, 1);
}

static bool interpreted(struct drv *d, const struct oct_module *m, const struct oct_dataset *data, oct_each_fn *each,
                        void *user) {
    struct watching w = {.m = m, .each = each, .user = user};
    drv_progress_begin(&w.progress, "calibrate", data->samples / oct_dataset_chunk(data->in, data->nin));
    const bool ok = oct_run_dataset(d->cx, m, data->in, data->nin, data->samples, watch, &w);
    drv_progress_end(&w.progress);
    return ok;
}

bool drv_observe(void *user, const struct oct_module *m, const struct oct_dataset *data, oct_each_fn *each, void *each_user) {
    struct drv *d = user;
    if (drv_engine_of(d) == DRV_ENGINE_INTERP) return interpreted(d, m, data, each, each_user);
    uint32_t count;
    struct oct_module *c = observed(d, m, &count);
    const struct drv_native *n = c ? load(d, c) : NULL;
    if (!n) return false;
    void **io = OCT_NEW_N(d->a, void *, data->nin + count), *arena = drv_aligned(oct_alloc(d->a, n->arena_bytes + 256));
    struct oct_tensor *value = OCT_NEW_N(d->a, struct oct_tensor, count);
    for (uint32_t i = 0; i < data->nin; i++) io[i] = oct_alloc(d->a, oct_input_bytes(&data->in[i]) + 64);
    for (uint32_t i = 0; i < count; i++) {
        const struct oct_type *t = &c->output[i].node->type;
        value[i].type = *t;
        io[data->nin + i] = value[i].data = oct_alloc_n(d->a, (size_t)oct_type_elements(t, 1), oct_dtype_size(t->dtype));
    }
    const int64_t chunk = oct_dataset_chunk(data->in, data->nin);
    struct drv_progress progress;
    drv_progress_begin(&progress, "calibrate", data->samples / chunk);
    for (int64_t first = 0; first + chunk <= data->samples; first += chunk) {
        for (uint32_t i = 0; i < data->nin; i++) oct_input_read(&data->in[i], first / chunk, io[i]);
        if (!drv_native_run(n, io, arena)) oct_internal(d->cx, nowhere, "the compiled model returned an error");
        uint32_t k = 0;
        OCT_FOR_NODES(m, x) {
            if (x->op == OCT_OP_observe) each(each_user, 0, first, x, &value[k++]);
        }
        drv_progress_add(&progress, 1);
    }
    drv_progress_end(&progress);
    return true;
}
