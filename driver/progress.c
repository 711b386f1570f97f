/* progress.c - how far work is and how long it will still take: a line on stderr where that is a terminal that can go back on a
 * line (TERM=dumb says it cannot), nothing anywhere else, and nothing for work of less than a second. No colours, no escapes. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

enum { WIDTH = 30, SETTLE_MS = 300, REDRAW_MS = 100, WORTH_MS = 1000 }; /* an estimate after SETTLE_MS is one */

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool can_show(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

void drv_progress_begin(struct drv_progress *p, const char *what, int64_t total) {
    p->what = what;
    p->total = total;
    p->on = total > 0 && can_show();
    p->began = p->on ? now_ms() : 0;
    atomic_store(&p->done, 0);
    atomic_store(&p->drawn, 0);
}

/* "4 s", "2 min 05 s", "1 h 02 min" */
static void print_time(char *to, size_t size, int64_t s) {
    if (s < 60) snprintf(to, size, "%lld s", (long long)s);
    else if (s < 3600) snprintf(to, size, "%lld min %02lld s", (long long)(s / 60), (long long)(s % 60));
    else snprintf(to, size, "%lld h %02lld min", (long long)(s / 3600), (long long)(s / 60 % 60));
}

void drv_progress_add(struct drv_progress *p, int64_t n) {
    if (!p->on) return;
    const int64_t done = atomic_fetch_add(&p->done, n) + n, passed = now_ms() - p->began;
    int64_t drawn = atomic_load(&p->drawn);
    if (passed < SETTLE_MS || (drawn && passed - drawn < REDRAW_MS)) return;
    const int64_t left = (int64_t)((double)passed * (double)(p->total - done) / (double)done);
    if (!drawn && passed + left < WORTH_MS) return;
    if (!atomic_compare_exchange_strong(&p->drawn, &drawn, passed)) return; /* another thread draws */
    char bar[WIDTH + 1], eta[40];
    for (int i = 0; i < WIDTH; i++) bar[i] = i < done * WIDTH / p->total ? '=' : ' ';
    bar[WIDTH] = 0;
    print_time(eta, sizeof eta, (left + 999) / 1000);
    fprintf(stderr, "\r%-10s [%s] %3lld %%, %s left    ", p->what, bar, (long long)(done * 100 / p->total), eta);
}

void drv_progress_end(struct drv_progress *p) {
    if (p->on && atomic_load(&p->drawn)) fprintf(stderr, "\r%*s\r", WIDTH + 50, "");
}
