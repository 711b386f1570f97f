/* interp_recurrent.c - lstm and gru (docs/numerics.md 11). A step multiplies the state of the step before it with r: in floats,
 * from the gates' share of the inputs on, or, under `dynamic`, in exact integers on codes by the range of all rows of that state.
 */
#include "interp_impl.h"

static float sigmoid(float x) { return oct_sigmoidf(x); }

/* y[row][o] = first(row, o) + sum of state[row][i] r[o][i] for outputs [o0, o1); first: y's own values. */
static void product(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *r, const float *state, int64_t rows,
                    int64_t o0, int64_t o1, float *y, int64_t pitch) {
    const int64_t h = r->type.dim[1];
    if (!n->at.dynamic) {
        const float *w = r->data;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t o = o0; o < o1; o++) {
                float acc = y[row * pitch + o];
                for (int64_t i = 0; i < h; i++) acc += state[row * h + i] * w[o * h + i];
                y[row * pitch + o] = acc;
            }
        return;
    }
    const size_t used = ex->scratch_used;
    int32_t *term = oct_scratch(ex, h, sizeof *term), *weight = oct_scratch(ex, h, sizeof *weight);
    const struct oct_dynamic d = oct_dynamic_of(state, rows * h);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < h; i++) term[i] = oct_dynamic_term(d, state[row * h + i]);
        for (int64_t o = o0; o < o1; o++) {
            int64_t acc = 0;
            oct_load_codes(r, o * h, 1, h, oct_zero(r->type.q, (uint32_t)o), weight);
            for (int64_t i = 0; i < h; i++) acc += (int64_t)term[i] * weight[i];
            const float scale = d.scale * oct_scale(r->type.q, (uint32_t)o), share = (float)acc * scale;
            y[row * pitch + o] += share;
        }
    }
    ex->scratch_used = used;
}

/* The state before the first step. */
static void start(float *to, const struct oct_tensor *from, int64_t n) {
    if (from) memcpy(to, from->data, (size_t)n * sizeof *to);
    else
        for (int64_t i = 0; i < n; i++) to[i] = 0;
}
static const struct oct_tensor *operand(const struct oct_node *n, const struct oct_tensor *const *in, int i) {
    return i < n->noperands ? in[i] : NULL;
}

void interp_lstm(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct oct_type *tg = &in[0]->type;
    const int64_t steps = tg->dim[0], rows = tg->dim[1], h = out->type.dim[2], state = rows * h;
    float *y = out->data, *c = y + steps * state, *before = oct_scratch(ex, state, sizeof *before),
          *gate = oct_scratch(ex, 4 * state, sizeof *gate);
    start(before, operand(n, in, 2), state);
    start(c, operand(n, in, 3), state);
    const float *last = before;
    for (int64_t t = 0; t < steps; t++) {
        float *now = y + t * state;
        memcpy(gate, (const float *)in[0]->data + t * 4 * state, (size_t)(4 * state) * sizeof *gate);
        product(ex, n, in[1], last, rows, 0, 4 * h, gate, 4 * h);
        for (int64_t k = 0; k < state; k++) {
            const float *g = gate + k / h * 4 * h + k % h; /* i o f c */
            const float kept = sigmoid(g[2 * h]) * c[k], added = sigmoid(g[0]) * oct_tanhf(g[3 * h]);
            c[k] = kept + added;
            now[k] = sigmoid(g[h]) * oct_tanhf(c[k]);
        }
        last = now;
    }
}

void interp_gru(struct oct_exec *ex, const struct oct_node *n, const struct oct_tensor *const *in, struct oct_tensor *out) {
    const struct oct_type *tg = &in[0]->type;
    const int64_t steps = tg->dim[0], rows = tg->dim[1], h = out->type.dim[2], state = rows * h;
    const struct oct_tensor *bias = operand(n, in, 2);
    float *y = out->data, *before = oct_scratch(ex, state, sizeof *before), *gate = oct_scratch(ex, 3 * state, sizeof *gate),
          *reset = oct_scratch(ex, state, sizeof *reset);
    start(before, operand(n, in, 3), state);
    const float *last = before;
    for (int64_t t = 0; t < steps; t++) {
        const float *g = (const float *)in[0]->data + t * 3 * state;
        float *now = y + t * state;
        memcpy(gate, g, (size_t)(3 * state) * sizeof *gate);
        for (int64_t k = 0; n->at.reset_after && k < state; k++)
            gate[k / h * 3 * h + 2 * h + k % h] = bias ? ((const float *)bias->data)[k % h] : 0;
        product(ex, n, in[1], last, rows, 0, n->at.reset_after ? 3 * h : 2 * h, gate, 3 * h);
        for (int64_t k = 0; k < state; k++) {
            float *a = gate + k / h * 3 * h + k % h; /* z r h */
            a[h] = sigmoid(a[h]);
            reset[k] = a[h] * last[k];
        }
        if (!n->at.reset_after) product(ex, n, in[1], reset, rows, 2 * h, 3 * h, gate, 3 * h);
        for (int64_t k = 0; k < state; k++) {
            const int64_t at = k / h * 3 * h + k % h;
            const float *a = gate + at, z = sigmoid(a[0]), under = a[h] * a[2 * h];
            const float fresh = oct_tanhf(n->at.reset_after ? g[at + 2 * h] + under : a[2 * h]);
            const float added = (1.0f - z) * fresh, kept = z * last[k];
            now[k] = added + kept;
        }
        last = now;
    }
}

bool oct_prepare_recurrent(struct oct_exec *ex, struct oct_step *s) {
    (void)ex;
    if (s->n->op != OCT_OP_lstm && s->n->op != OCT_OP_gru) return true;
    const struct oct_type *g = &s->in[0]->type, *r = &s->in[1]->type;
    const int64_t state = g->dim[1] * r->dim[1];
    s->scratch = 2 * oct_scratch_bytes(state, sizeof(float)) + oct_scratch_bytes(4 * state, sizeof(float)) +
                 2 * oct_scratch_bytes(r->dim[1], sizeof(int32_t));
    return true;
}
