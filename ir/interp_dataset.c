/* interp_dataset.c - a module over many samples, split over worker threads. Each worker has an instance of its own, made here on
 * the calling thread; inside the threads nothing allocates. Every sample is run by itself (or by the batch that the model fixes),
 * so neither the number of threads nor the number of samples changes a result. */
#include <pthread.h>

#include "interp_impl.h"

/* ---- pieces of work over threads ------------------------------------------------------------------------------------------ */

struct share {
    int64_t n, next; /* next: the first piece that nobody took yet; under lock */
    pthread_mutex_t lock;
    oct_piece_fn *work;
    void *user;
};
struct hand {
    struct share *share;
    unsigned number;
};

static void *take_pieces(void *arg) {
    const struct hand *h = arg;
    struct share *s = h->share;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        const int64_t i = s->next++;
        pthread_mutex_unlock(&s->lock);
        if (i >= s->n) return NULL;
        s->work(s->user, h->number, i);
    }
}

unsigned oct_workers(const struct oct_ctx *cx, int64_t n) {
    const unsigned threads = cx->threads > 1 ? cx->threads : 1;
    return n >= threads ? threads : n > 0 ? (unsigned)n : 1;
}

void oct_share(struct oct_ctx *cx, int64_t n, oct_piece_fn *work, void *user) {
    struct share s = {.n = n, .work = work, .user = user};
    const unsigned workers = oct_workers(cx, n);
    struct oct_arena *a = oct_arena_new(cx);
    struct hand *hand = OCT_NEW_N(a, struct hand, workers);
    pthread_t *thread = OCT_NEW_N(a, pthread_t, workers);
    for (unsigned i = 0; i < workers; i++) hand[i] = (struct hand){&s, i};
    pthread_mutex_init(&s.lock, NULL);
    unsigned started = 1; /* worker 0 is this thread; a thread that cannot start leaves its share to the others */
    while (started < workers && pthread_create(&thread[started], NULL, take_pieces, &hand[started]) == 0) started++;
    take_pieces(&hand[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&s.lock);
    oct_arena_free(a);
}

/* ---- data sets ----------------------------------------------------------------------------------------------------------------
 */

struct worker {
    struct oct_exec *ex;
    struct job *job;
    unsigned number;
    int64_t first; /* sample of the chunk at work */
};
struct job {
    const struct oct_input_data *in;
    uint32_t nin;
    int64_t samples, chunk;
    struct worker *worker;
    oct_each_fn *each;
    void *user;
};

static void visit(void *user, const struct oct_node *n, const struct oct_tensor *value) {
    struct worker *w = user;
    w->job->each(w->job->user, w->number, w->first, n, value);
}

size_t oct_input_bytes(const struct oct_input_data *in) {
    return (size_t)oct_type_elements(&in->input->type, 1) * oct_dtype_size(in->input->type.dtype);
}

void oct_input_read(const struct oct_input_data *in, int64_t run, void *to) {
    const size_t bytes = oct_input_bytes(in);
    if (in->read) in->read(in->source, run, to);
    else memcpy(to, (const unsigned char *)in->data + (size_t)run * bytes, bytes);
}

void oct_exec_feed(struct oct_exec *ex, const struct oct_input_data *in, uint32_t nin, int64_t run) {
    for (uint32_t i = 0; i < nin; i++) oct_input_read(&in[i], run, oct_exec_value(ex, in[i].input)->data);
}

static void run_chunk(void *user, unsigned number, int64_t i) {
    const struct job *j = user;
    struct worker *w = &j->worker[number];
    w->first = i * j->chunk;
    oct_exec_feed(w->ex, j->in, j->nin, i);
    oct_exec_run(w->ex, j->each ? visit : NULL, w);
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
    const int64_t chunks = samples / j.chunk;
    const unsigned n = oct_workers(cx, chunks);
    j.worker = OCT_NEW_N(a, struct worker, n);
    struct oct_exec *ex = oct_exec_new(cx, m, 1);
    for (unsigned i = 0; ex && i < n; i++) {
        j.worker[i] = (struct worker){.job = &j, .ex = i == 0 ? ex : oct_exec_clone(ex), .number = i};
        oct_exec_place(j.worker[i].ex);
    }
    if (ex) oct_share(cx, chunks, run_chunk, &j);
    for (unsigned i = n; i-- > 0;) oct_exec_free(j.worker[i].ex);
    oct_arena_free(a);
    return ex != NULL;
}
