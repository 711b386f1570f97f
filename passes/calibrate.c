/* calibrate.c - runs the data through the model, counts what every observe node sees, lets its observer choose the range.
 * Requires insert_observers and data (or statistics that cover every observed value). Memory grows neither with the data nor with
 * the threads: one histogram a value, which workers add to in turn; the state, and so the ranges, are the same bits whatever the
 * order of the samples, the threads and the machine. Values whose range is known already are left as they are. */
#include <pthread.h>

#include "rewrite.h"

struct collection {
    int64_t chunk, batches;   /* samples that the model takes at once; how often it runs */
    float *rate;              /* of value index: what a moving average of it takes */
    struct oct_histogram *h;  /* of value index; node->mark is the index + 1 */
    pthread_mutex_t *lock;    /* of each */
};

static void collect(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *value) {
    const struct collection *c = user;
    (void)worker;
    if (n->op != OCT_OP_observe || !n->mark) return;
    const uint32_t i = n->mark - 1;
    pthread_mutex_lock(&c->lock[i]);
    oct_histogram_add_batch(&c->h[i], value->data, oct_tensor_elements(value), c->rate[i], first / c->chunk, c->batches);
    pthread_mutex_unlock(&c->lock[i]);
}

/* Share of the counted values in bins that lie wholly outside [lo, hi]. */
static double clipped_share(const struct oct_histogram *h, float lo, float hi) {
    uint64_t out = 0;
    for (int i = 0; i < OCT_GRID_BINS; i++)
        if (oct_histogram_edge(h, i + 1) <= (double)lo || oct_histogram_edge(h, i) > (double)hi) out += h->count[i];
    return h->total ? (double)out / (double)h->total : 0;
}

static bool choose(struct oct_pass_env *env, struct oct_arena *scratch, struct oct_node *n, const struct oct_histogram *h) {
    const char *name = n->at.observer ? n->at.observer : "mse";
    const struct oct_reach codes = oct_observed_codes(n);
    struct oct_observed o = {.h = h, .scheme = n->at.scheme, .qmin = codes.lo, .qmax = codes.hi, .scratch = scratch};
    const struct oct_observer *observer = oct_observer_for(env->cx, n->span, name, n->at.param, &o.param);
    if (!observer) return false;
    o.name = n->operand[0]->name;
    o.observer = observer;
    if (h->nan || h->inf)
        oct_warning(env->cx, n->span, OCT_E5102,
                    "'%s' took %llu NaN and %llu infinite values during calibration; they were left out", n->operand[0]->name,
                    (unsigned long long)h->nan, (unsigned long long)h->inf);
    float range[2] = {0, 0};
    if (h->total && !observer->range(&o, range)) {
        oct_error(env->cx, n->span, OCT_E5104, "observer %s gives no range for '%s': %s", name, n->operand[0]->name, o.why);
        return false;
    }
    oct_arena_reset(scratch);
    const double clipped = clipped_share(h, range[0], range[1]);
    if (env->explain && clipped > 0)
        oct_text_addf(
            env->explain,
            "observe: %s: %s keeps [%g, %g] of [%g, %g] and clips %.4f %% of the values; act_observer=minmax clips none\n",
            n->operand[0]->name, name, (double)range[0], (double)range[1], (double)h->min, (double)h->max, 100 * clipped);
    OCT_MARK(n->at, range);
    n->at.range[0] = range[0];
    n->at.range[1] = range[1];
    return true;
}

/* Runs the data; adds what every observed value (node->mark from 1) takes to the statistics. */
static bool observe(struct oct_pass_env *env, struct oct_module *m, uint32_t count, struct oct_stats *stats) {
    struct collection c = {.h = OCT_NEW_N(env->scratch, struct oct_histogram, count)};
    const struct oct_observer *moving = oct_observer_find(env->cx, "moving");
    c.chunk = oct_dataset_chunk(env->data->in, env->data->nin);
    c.batches = env->data->samples / c.chunk;
    c.rate = OCT_NEW_N(env->scratch, float, count);
    OCT_FOR_NODES(m, n) {
        if (!n->mark || !n->at.observer || oct_observer_find(env->cx, n->at.observer) != moving) continue;
        c.rate[n->mark - 1] = n->at.param > 0 ? n->at.param : (float)moving->param;
    }
    c.lock = OCT_NEW_N(env->scratch, pthread_mutex_t, count);
    for (uint32_t i = 0; i < count; i++) {
        oct_histogram_init(&c.h[i]);
        pthread_mutex_init(&c.lock[i], NULL);
    }
    const bool ok = env->observe ? env->observe(env->observe_user, m, env->data, collect, &c)
                                 : oct_run_dataset(env->cx, m, env->data->in, env->data->nin, env->data->samples, collect, &c);
    for (uint32_t i = 0; i < count; i++) pthread_mutex_destroy(&c.lock[i]);
    OCT_FOR_NODES(m, n) {
        if (ok && n->mark) oct_histogram_merge(oct_stats_get(stats, n->operand[0]->name), &c.h[n->mark - 1]);
    }
    return ok;
}

bool oct_pass_calibrate(struct oct_pass_env *env, struct oct_module *m) {
    uint32_t count = 0;
    struct oct_node *some = NULL;
    struct oct_stats own, *stats = env->stats;
    if (!stats) oct_stats_init(stats = &own, env->scratch);
    OCT_FOR_NODES(m, n) {
        n->mark = n->op == OCT_OP_observe && !OCT_HAS(n->at, range) ? ++count : 0;
        if (n->mark && !oct_stats_find(stats, n->operand[0]->name)) some = n;
    }
    if (!count) return true;
    if (env->data) {
        if (!observe(env, m, count, stats)) return false;
    } else if (some) {
        oct_error(env->cx, some->span, OCT_E5103, "calibrate: nothing is known of the range of '%s'", some->operand[0]->name);
        oct_help(env->cx, "give calibration data: --data CAL.npy, or statistics of an earlier run: --stats S.stats");
        return false;
    }
    struct oct_arena *scratch = oct_arena_new(env->cx); /* of one value at a time */
    OCT_FOR_NODES(m, n) {
        if (!n->mark) continue;
        if (!choose(env, scratch, n, oct_stats_find(stats, n->operand[0]->name))) return false;
        env->changes++;
    }
    oct_arena_free(scratch);
    return true;
}
