/* check_each.c - P9: a pass keeps the meaning. Both modules run on the same pseudo-random inputs; outputs are paired by position.
 * Passes that choose or apply quantization change values on purpose and promise nothing here: their tests measure them. */
#include <string.h>

#include "pass.h"

/* Float outputs may differ by this share of the output's own range (fold_bn multiplies in another order). */
#define OCT_CHECK_FLOAT_BOUND 1e-4f

/* Deterministic noise: a splitmix64 step, as a float in [-2, 2). */
static float noise(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(int64_t)(z >> 40) * 0x1p-22f - 2.0f;
}

static void fill(struct oct_tensor *t, uint64_t seed) {
    const int64_t n = oct_tensor_elements(t);
    const size_t size = oct_dtype_size(t->type.dtype);
    for (int64_t i = 0; i < n; i++) {
        const float x = noise(&seed);
        if (t->type.dtype == OCT_F32) {
            ((float *)t->data)[i] = x;
            continue;
        }
        /* any code of the type: the low bytes of a spread number */
        const double lo = (double)oct_dtype_min(t->type.dtype), hi = (double)oct_dtype_max(t->type.dtype);
        const int64_t code = (int64_t)(lo + (hi - lo) * (double)(x + 2.0f) / 4);
        memcpy((char *)t->data + (size_t)i * size, &code, size); /* little-endian hosts */
    }
}

static struct oct_exec *run(struct oct_module *m) {
    struct oct_exec *ex = oct_exec_new(m->cx, m, 2);
    uint64_t seed = 1;
    if (!ex) return NULL;
    OCT_FOR_NODES(m, n)
    if (n->op == OCT_OP_input) fill(oct_exec_value(ex, n), seed++ << 32);
    oct_exec_run(ex, NULL, NULL);
    return ex;
}

/* Largest difference of float outputs as a share of the range of `a`; 1 for any differing bit of others or any lone NaN. */
static float distance(const struct oct_tensor *a, const struct oct_tensor *b) {
    const int64_t n = oct_tensor_elements(a);
    if (n != oct_tensor_elements(b) || a->type.dtype != b->type.dtype) return 1;
    if (!memcmp(a->data, b->data, (size_t)n * oct_dtype_size(a->type.dtype))) return 0;
    if (a->type.dtype != OCT_F32) return 1;
    const float *x = a->data, *y = b->data;
    float lo = 0, hi = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]) != isnan(y[i])) return 1;
        if (isnan(x[i])) continue;
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
        if (x[i] != y[i]) worst = fmaxf(worst, fabsf(x[i] - y[i]));
    }
    return worst > 0 ? worst / (hi - lo) : 0;
}

void oct_check_pass(struct oct_module *before, struct oct_module *after, const struct oct_pass_info *pass) {
    const bool bits = pass->establishes & OCT_KEEPS_BITS, values = pass->establishes & OCT_KEEPS_VALUES;
    if (!bits && !values) return;
    struct oct_exec *a = run(before), *b = run(after);
    OCT_CHECK(after->cx, a && b && before->noutputs == after->noutputs);
    for (uint32_t i = 0; i < after->noutputs; i++) {
        const float d = distance(oct_exec_value(a, before->output[i].node), oct_exec_value(b, after->output[i].node));
        if (d > (bits ? 0 : OCT_CHECK_FLOAT_BOUND))
            oct_internal(after->cx, after->output[i].span, "pass '%s' changed output '%s' by %g of its range", pass->name,
                         after->output[i].name, (double)d);
    }
    oct_exec_free(a);
    oct_exec_free(b);
}
