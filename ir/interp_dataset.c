/* interp_dataset.c - a module over many samples, split over worker threads. Each worker has an instance of its own, made here on
 * the calling thread; inside the threads nothing allocates. Every sample is run by itself (or by the batch that the model fixes),
 * so neither the number of threads nor the number of samples changes a result. */
#include <pthread.h>

#include "interp_impl.h"

struct job {
    const struct oct_input_data *in;
    uint32_t nin;
    int64_t samples, chunk;
    int64_t next; /* first sample not yet taken; under lock */
    pthread_mutex_t lock;
    oct_each_fn *each;
    void *user;
};
struct worker {
    struct job *job;
    struct oct_exec *ex;
    unsigned number;
    int64_t first; /* of the chunk at work */
};

static void visit(void *user, const struct oct_node *n, const struct oct_tensor *value) {
    struct worker *w = user;
    w->job->each(w->job->user, w->number, w->first, n, value);
}

static void *work(void *arg) {
    struct worker *w = arg;
    struct job *j = w->job;
    for (;;) {
        pthread_mutex_lock(&j->lock);
        w->first = j->next;
        j->next += j->chunk;
        pthread_mutex_unlock(&j->lock);
        if (w->first >= j->samples) return NULL;
        for (uint32_t i = 0; i < j->nin; i++) {
            struct oct_tensor *t = oct_exec_value(w->ex, j->in[i].input);
            size_t bytes = (size_t)oct_tensor_elements(t) * oct_dtype_size(t->type.dtype); /* of one chunk */
            memcpy(t->data, (const unsigned char *)j->in[i].data + (size_t)(w->first / j->chunk) * bytes, bytes);
        }
        oct_exec_run(w->ex, j->each ? visit : NULL, w);
    }
}

int64_t oct_input_batch(const struct oct_type *t) { return t->rank > 0 && t->dim[0] != OCT_DIM_N ? t->dim[0] : 1; }

int64_t oct_dataset_chunk(const struct oct_input_data *in, uint32_t nin) {
    int64_t chunk = nin ? oct_input_batch(&in[0].input->type) : 1;
    for (uint32_t i = 1; i < nin; i++)
        if (oct_input_batch(&in[i].input->type) != chunk) return 1;
    return chunk;
}

static bool fills_chunks(struct oct_ctx *cx, const struct job *j) {
    if (j->samples % j->chunk == 0) return true;
    oct_error(cx, j->in[0].input->span, OCT_E5404, "%lld samples do not fill batches of %lld", (long long)j->samples,
              (long long)j->chunk);
    oct_help(cx, "give a multiple of %lld samples, or make the batch of the model N", (long long)j->chunk);
    return false;
}

bool oct_run_dataset(struct oct_ctx *cx, const struct oct_module *m, const struct oct_input_data *in, uint32_t nin,
                     int64_t samples, oct_each_fn *each, void *user) {
    struct job j = {.in = in, .nin = nin, .samples = samples, .each = each, .user = user};
    j.chunk = oct_dataset_chunk(in, nin);
    if (!fills_chunks(cx, &j)) return false;
    struct oct_arena *a = oct_arena_new(cx);
    int64_t chunks = samples / j.chunk;
    unsigned n = cx->threads > 1 ? cx->threads : 1;
    if (chunks < n) n = chunks > 0 ? (unsigned)chunks : 1;
    struct worker *w = OCT_NEW_N(a, struct worker, n);
    pthread_t *thread = OCT_NEW_N(a, pthread_t, n);
    bool ok = (w[0].ex = oct_exec_new(cx, m, 1)) != NULL;
    for (unsigned i = 0; ok && i < n; i++) {
        w[i] = (struct worker){.job = &j, .ex = i == 0 ? w[0].ex : oct_exec_clone(w[0].ex), .number = i};
        oct_exec_place(w[i].ex);
    }
    if (ok) {
        pthread_mutex_init(&j.lock, NULL);
        unsigned started = 1; /* worker 0 is this thread; a thread that cannot start leaves its share to the others */
        while (started < n && pthread_create(&thread[started], NULL, work, &w[started]) == 0) started++;
        work(&w[0]);
        for (unsigned i = 1; i < started; i++) pthread_join(thread[i], NULL);
        pthread_mutex_destroy(&j.lock);
    }
    for (unsigned i = n; i-- > 0;) oct_exec_free(w[i].ex);
    oct_arena_free(a);
    return ok;
}
