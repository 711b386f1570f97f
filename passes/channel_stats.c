/* channel_stats.c - see channel_stats.h. Observe nodes stand behind the values while the data runs, so that whatever engine
 * calibrates serves here too; then they go. Moments are sums of integers, in steps of 2^-16 of the channel's largest magnitude:
 * their order does not matter. */
#include <pthread.h>

#include "channel_stats.h"

static const double steps = 0x1p16;

struct collection {
    struct oct_channel_stats *s; /* of node->mark - 1 */
    int64_t **sum;               /* of each, by channel; NULL: maxima are wanted */
    uint64_t **squares;
    pthread_mutex_t *lock;
};

static void add_run(const struct collection *c, uint32_t i, int64_t channel, const float *x, int64_t n) {
    struct oct_channel_stats *s = &c->s[i];
    if (!c->sum) {
        for (int64_t k = 0; k < n; k++)
            if (isfinite(x[k])) s->most[channel] = fmaxf(s->most[channel], fabsf(x[k]));
        return;
    }
    const double scale = s->most[channel] > 0 ? steps / (double)s->most[channel] : 0;
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(x[k])) continue;
        const int64_t q = (int64_t)rint((double)x[k] * scale);
        s->count[channel]++;
        c->sum[i][channel] += q;
        c->squares[i][channel] += (uint64_t)(q * q);
    }
}

static void collect(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *value) {
    const struct collection *c = user;
    (void)worker, (void)first;
    if (n->op != OCT_OP_observe || !n->mark) return;
    const uint32_t i = n->mark - 1;
    const struct oct_channel_stats *s = &c->s[i];
    int64_t inner = s->run;
    for (int k = s->axis + 1; k < value->type.rank; k++) inner *= value->type.dim[k];
    const int64_t runs = oct_tensor_elements(value) / inner;
    pthread_mutex_lock(&c->lock[i]);
    for (int64_t k = 0; k < runs; k++) add_run(c, i, k % s->channels, (const float *)value->data + k * inner, inner);
    pthread_mutex_unlock(&c->lock[i]);
}

/* The data for any copy of the model: inputs have the same names. */
static struct oct_input_data *inputs_of(const struct oct_pass_env *env, const struct oct_module *m) {
    struct oct_input_data *in = OCT_NEW_N(env->scratch, struct oct_input_data, env->data->nin);
    for (uint32_t i = 0; i < env->data->nin; i++) {
        in[i] = env->data->in[i];
        in[i].input = oct_find_value(m, in[i].input->name);
    }
    return in;
}

static bool run_data(struct oct_pass_env *env, struct oct_module *m, struct collection *c, uint32_t n) {
    struct oct_node **seen = OCT_NEW_N(env->scratch, struct oct_node *, n);
    c->lock = OCT_NEW_N(env->scratch, pthread_mutex_t, n);
    for (uint32_t i = 0; i < n; i++) {
        struct oct_attrs at;
        oct_attrs_init(&at);
        m->cursor = c->s[i].value->next;
        seen[i] = oct_make(m, OCT_OP_observe, "channels", &c->s[i].value, 1, &at, NULL, c->s[i].value->span);
        pthread_mutex_init(&c->lock[i], NULL);
    }
    m->cursor = NULL;
    oct_module_settle(m);
    struct oct_dataset data = *env->data;
    data.in = inputs_of(env, m);
    OCT_FOR_NODES(m, x) x->mark = 0;
    for (uint32_t i = 0; i < n; i++) seen[i]->mark = i + 1;
    const bool ok = env->observe ? env->observe(env->observe_user, m, &data, collect, c)
                                 : oct_run_dataset(env->cx, m, data.in, data.nin, data.samples, collect, c);
    for (uint32_t i = 0; i < n; i++) {
        pthread_mutex_destroy(&c->lock[i]);
        oct_remove(m, seen[i]);
    }
    oct_module_settle(m);
    return ok;
}

bool oct_channel_maxima(struct oct_pass_env *env, struct oct_module *m, struct oct_channel_stats *s, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) s[i].most = OCT_NEW_N(env->scratch, float, s[i].channels);
    struct collection c = {.s = s};
    return run_data(env, m, &c, n);
}

bool oct_channel_moments(struct oct_pass_env *env, struct oct_module *m, struct oct_channel_stats *s, uint32_t n) {
    if (!oct_channel_maxima(env, m, s, n)) return false;
    struct collection c = {
        .s = s, .sum = OCT_NEW_N(env->scratch, int64_t *, n), .squares = OCT_NEW_N(env->scratch, uint64_t *, n)};
    for (uint32_t i = 0; i < n; i++) {
        c.sum[i] = OCT_NEW_N(env->scratch, int64_t, s[i].channels);
        c.squares[i] = OCT_NEW_N(env->scratch, uint64_t, s[i].channels);
        s[i].count = OCT_NEW_N(env->scratch, uint64_t, s[i].channels);
        s[i].mean = OCT_NEW_N(env->scratch, double, s[i].channels);
        s[i].deviation = OCT_NEW_N(env->scratch, double, s[i].channels);
    }
    if (!run_data(env, m, &c, n)) return false;
    for (uint32_t i = 0; i < n; i++)
        for (int64_t k = 0; k < s[i].channels; k++) {
            if (!s[i].count[k]) continue;
            const double unit = (double)s[i].most[k] / steps, all = (double)s[i].count[k], mean = (double)c.sum[i][k] / all;
            s[i].mean[k] = mean * unit;
            s[i].deviation[k] = sqrt(fmax(0, (double)c.squares[i][k] / all - mean * mean)) * unit;
        }
    return true;
}

bool oct_channel_data(struct oct_pass_env *env, const struct oct_module *m, const char *pass) {
    if (env->data) return true;
    oct_error(env->cx, m->first->span, OCT_E5103, "%s: rule %s needs calibration data", pass, pass);
    oct_help(env->cx, "give them: --data CAL.npy; statistics alone do not serve");
    return false;
}

/* ---- what a repair gains ----------------------------------------------------------------------------------------------------
 */

enum { MOST_RUNS = 64 };

/* In dB, over all outputs that are float in both, for the first runs of the data. */
static double outputs_sqnr(struct oct_pass_env *env, const struct oct_module *real, const struct oct_module *q) {
    const int64_t runs = env->data->samples / oct_dataset_chunk(env->data->in, env->data->nin);
    const struct oct_input_data *in[2] = {inputs_of(env, real), inputs_of(env, q)};
    struct oct_exec *ex[2] = {oct_exec_new(env->cx, real, 1), oct_exec_new(env->cx, q, 1)};
    double signal = 0, noise = 0;
    for (int64_t run = 0; run < runs && run < MOST_RUNS && ex[0] && ex[1]; run++) {
        for (int k = 0; k < 2; k++) {
            oct_exec_feed(ex[k], in[k], env->data->nin, run);
            oct_exec_run(ex[k], NULL, NULL);
        }
        for (uint32_t i = 0; i < real->noutputs; i++) {
            const struct oct_tensor *x = oct_exec_value(ex[0], real->output[i].node),
                                    *y = oct_exec_value(ex[1], q->output[i].node);
            if (x->type.dtype != OCT_F32 || y->type.dtype != OCT_F32) continue;
            for (int64_t e = oct_tensor_elements(x); e-- > 0;) {
                const double a = (double)((const float *)x->data)[e], b = (double)((const float *)y->data)[e];
                signal += a * a;
                noise += (a - b) * (a - b);
            }
        }
    }
    for (int k = 0; k < 2; k++)
        if (ex[k]) oct_exec_free(ex[k]);
    if (!ex[0] || !ex[1]) return NAN;
    return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}

static double quantized_sqnr(struct oct_pass_env *env, const struct oct_module *reference, const struct oct_module *m) {
    static const char *const passes[] = {"quantize_dynamic", "insert_observers", "calibrate", "insert_qdq", NULL};
    struct oct_module *q = oct_module_clone(m, env->cx);
    struct oct_dataset data = *env->data;
    data.in = inputs_of(env, q);
    const struct oct_run_options opt = {
        .data = &data, .observe = env->observe, .observe_user = env->observe_user, .passes = passes};
    const double db = oct_run_pipeline(env->cx, q, &opt) ? outputs_sqnr(env, reference, q) : NAN;
    oct_module_free(q);
    return db;
}

void oct_explain_repair(struct oct_pass_env *env, const char *repair, uint32_t links, const struct oct_module *reference,
                        const struct oct_module *m) {
    const double is = quantized_sqnr(env, reference, m), was = quantized_sqnr(env, reference, reference);
    oct_text_addf(env->explain, "%s: %u link%s; outputs in float: %.1f dB; as quantized now: %.1f dB, were %.1f%s\n", repair,
                  links, links == 1 ? "" : "s", outputs_sqnr(env, reference, m), is, was,
                  is < was ? ": a loss, so leave it out or name the ops that gain" : "");
}
