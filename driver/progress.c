/* progress.c - a progress bar on stderr where that is a terminal; nothing anywhere else. */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "driver.h"

enum { WIDTH = 40 };

void drv_progress_begin(struct drv_progress *p, const char *what, int64_t total) {
    p->what = what;
    p->total = total;
    atomic_store(&p->done, 0);
    atomic_store(&p->shown, -1);
    p->on = total > 0 && isatty(STDERR_FILENO);
}

void drv_progress_add(struct drv_progress *p, int64_t n) {
    if (!p->on) return;
    const int64_t done = atomic_fetch_add(&p->done, n) + n;
    const int percent = (int)(done * 100 / p->total);
    int shown = atomic_load(&p->shown);
    if (percent <= shown || !atomic_compare_exchange_strong(&p->shown, &shown, percent)) return; /* another thread draws */
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) bar[i] = i < percent * WIDTH / 100 ? '=' : ' ';
    bar[WIDTH] = 0;
    fprintf(stderr, "\r%-10s [%s] %3d %%", p->what, bar, percent);
}

void drv_progress_end(struct drv_progress *p) {
    if (p->on) fputs("\r\033[K", stderr);
}
