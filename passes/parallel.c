/* parallel.c - the same work for each of many things, on several threads; see walk.h. */
#include <pthread.h>

#include "walk.h"

enum { MOST_THREADS = 64 };

struct work {
    _Atomic int64_t next;
    int64_t n;
    void (*job)(void *user, int64_t i);
    void *user;
};

static void *run(void *arg) {
    struct work *w = arg;
    for (int64_t i; (i = w->next++) < w->n;) w->job(w->user, i);
    return NULL;
}

void oct_parallel(const struct oct_ctx *cx, int64_t n, void (*job)(void *user, int64_t i), void *user) {
    struct work w = {.n = n, .job = job, .user = user};
    pthread_t thread[MOST_THREADS];
    unsigned most = cx->threads < MOST_THREADS ? cx->threads : MOST_THREADS, started = 1; /* this one counts */
    while (started < most && started < n && pthread_create(&thread[started], NULL, run, &w) == 0) started++;
    run(&w);
    for (unsigned i = 1; i < started; i++) pthread_join(thread[i], NULL);
}
