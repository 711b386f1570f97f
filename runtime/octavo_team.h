/* octavo_team.h - threads for the objects that `octavo compile --threads N` makes: a barrier, and a pool for callers that have no
 * threads of their own. Nothing is allocated: both live in memory of the caller, who keeps them in place while they are in use.
 * C99 with GCC's or Clang's atomics; POSIX threads; Linux parks waiting threads by futex, others yield. */
#ifndef OCTAVO_TEAM_H
#define OCTAVO_TEAM_H

#include <pthread.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Threads that wait for each other: they spin for some microseconds, then park. */
struct octavo_team {
    int32_t parts;
    int32_t arrived;
    int32_t round; /* counts meetings; what waiters watch */
    int32_t parked;
};
void octavo_team_init(struct octavo_team *t, int32_t parts);
/* Returns when all parts have called it; what each wrote before, all see after. Its type is that of NAME_run_part's `meet`. */
void octavo_team_meet(void *team);

/* A pool of parts - 1 threads; the caller of octavo_pool_run is part 0. One run at a time. */
enum { OCTAVO_POOL_MAX = 64 };
typedef void octavo_work(void *arg, int32_t part, int32_t parts, void (*meet)(void *team), void *team);
struct octavo_pool {
    struct octavo_team team, gate; /* gate: start and end of a run */
    octavo_work *work;             /* NULL: the threads end */
    void *arg;
    int32_t parts;
    struct octavo_pool_seat {
        struct octavo_pool *pool;
        int32_t part;
        pthread_t thread;
    } seat[OCTAVO_POOL_MAX];
};
/* 0, or an error number of pthread_create, then no thread is left. parts: 1..OCTAVO_POOL_MAX. */
int octavo_pool_start(struct octavo_pool *p, int32_t parts);
/* All parts call work; returns when the last has returned. */
void octavo_pool_run(struct octavo_pool *p, octavo_work *work, void *arg);
void octavo_pool_stop(struct octavo_pool *p);

#ifdef __cplusplus
}
#endif

#endif
