/* octavo_team.c - see octavo_team.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, sched_getcpu */
#endif
#include "octavo_team.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- waiting ---------------------------------------------------------------------------------------------------------- */

/* A waiter looks so often, some microseconds, as the others are as a rule about to arrive. Then it lends its processor after each
 * few looks: where threads outnumber processors, the one that is waited for may need it. After some tens of microseconds it
 * parks. */
enum { LOOKS = 100, LOANS = 100, LOOKS_BETWEEN = 30, LONG_LOAN = 4000 /* ns */ };

static void breathe(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

static void park(const int32_t *word, int32_t seen) {
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    (void)word, (void)seen;
    sched_yield();
#endif
}
static void wake_all(const int32_t *word) {
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

/* Lends the processor; has another thread used it? Where that was one of the team, the two share it. */
static int lend(void) {
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    sched_yield();
    clock_gettime(CLOCK_MONOTONIC, &after);
    return (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec > LONG_LOAN;
}

/* To another processor, where there are enough. Two threads that take turns on one of them look busy to the scheduler, which may
 * leave another idle for seconds. */
static void move_away(int32_t parts) {
#ifdef __linux__
    cpu_set_t all, others;
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof all, &all) || CPU_COUNT(&all) < parts) return;
    others = all;
    CPU_CLR((size_t)here, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof all, &all);
#else
    (void)parts;
#endif
}

/* ---- the barrier ------------------------------------------------------------------------------------------------------ */

void octavo_team_init(struct octavo_team *t, int32_t parts) { *t = (struct octavo_team){.parts = parts}; }

static int is_over(const struct octavo_team *t, int32_t round, int looks) {
    for (int i = 0; i < looks; i++) {
        if (__atomic_load_n(&t->round, __ATOMIC_ACQUIRE) != round) return 1;
        breathe();
    }
    return 0;
}

void octavo_team_meet(void *team) {
    struct octavo_team *t = team;
    const int32_t round = __atomic_load_n(&t->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&t->arrived, 1, __ATOMIC_ACQ_REL) == __atomic_load_n(&t->parts, __ATOMIC_RELAXED)) {
        __atomic_store_n(&t->arrived, 0, __ATOMIC_RELAXED); /* nobody arrives again before the round is over */
        __atomic_add_fetch(&t->round, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&t->parked, __ATOMIC_SEQ_CST)) wake_all(&t->round);
        return;
    }
    for (int i = 0; i <= LOANS; i++) {
        if (is_over(t, round, i ? LOOKS_BETWEEN : LOOKS)) return;
        if (!lend() || !is_over(t, round, 1)) continue;
        move_away(t->parts);
        return;
    }
    /* Either the last to arrive sees that we are parked, or we see, here or in the kernel, that the round is over. */
    __atomic_add_fetch(&t->parked, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&t->round, __ATOMIC_SEQ_CST) == round) park(&t->round, round);
    __atomic_sub_fetch(&t->parked, 1, __ATOMIC_SEQ_CST);
}

/* ---- the pool --------------------------------------------------------------------------------------------------------- */

static void *sit(void *arg) {
    const struct octavo_pool_seat *s = arg;
    struct octavo_pool *p = s->pool;
    for (;;) {
        octavo_team_meet(&p->gate);
        if (!p->work) return NULL;
        p->work(p->arg, s->part, p->parts, octavo_team_meet, &p->team);
        octavo_team_meet(&p->gate);
    }
}

int octavo_pool_start(struct octavo_pool *p, int32_t parts) {
    if (parts < 1 || parts > OCTAVO_POOL_MAX) return EINVAL;
    p->work = NULL;
    p->parts = parts;
    octavo_team_init(&p->team, parts);
    octavo_team_init(&p->gate, parts);
    for (int32_t i = 1; i < parts; i++) {
        p->seat[i].pool = p;
        p->seat[i].part = i;
        const int rc = pthread_create(&p->seat[i].thread, NULL, sit, &p->seat[i]);
        if (rc == 0) continue;
        __atomic_store_n(&p->gate.parts, i, __ATOMIC_SEQ_CST); /* those that are there end together */
        p->parts = i;
        octavo_pool_stop(p);
        return rc;
    }
    return 0;
}

void octavo_pool_run(struct octavo_pool *p, octavo_work *work, void *arg) {
    p->work = work;
    p->arg = arg;
    octavo_team_meet(&p->gate);
    work(arg, 0, p->parts, octavo_team_meet, &p->team);
    octavo_team_meet(&p->gate);
}

void octavo_pool_stop(struct octavo_pool *p) {
    p->work = NULL;
    octavo_team_meet(&p->gate);
    for (int32_t i = 1; i < p->parts; i++) pthread_join(p->seat[i].thread, NULL);
}
