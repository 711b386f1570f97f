/* arena.c - contexts and arenas. Requires nothing; everything else requires it. See context.h for the contract. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

enum { ALIGN = 64, FIRST_CHUNK = 4096, MAX_CHUNK = 1 << 20 };

struct chunk {
    struct chunk *next;
    size_t size, used; /* of the payload, which starts at the first aligned byte behind this header */
};
struct undo {
    struct undo *next;
    void (*fn)(void *);
    void *arg;
};
struct oct_arena {
    struct oct_ctx *cx;
    struct oct_arena *prev, *next;
    struct chunk *chunks; /* newest first */
    struct undo *undos;
    size_t next_size;
};

static OCT_NORETURN void out_of_memory(struct oct_ctx *cx) {
    if (cx->on_fatal) longjmp(*cx->on_fatal, OCT_EXIT_MEMORY);
    fputs("octavo: out of memory\n", stderr);
    _exit(OCT_EXIT_MEMORY);
}

static void *sys_alloc(struct oct_ctx *cx, size_t size) {
    void *p = cx->sys_alloc(size);
    if (!p) out_of_memory(cx);
    return p;
}

static char *payload(struct chunk *c) { return (char *)(((uintptr_t)(c + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1)); }

struct oct_arena *oct_arena_new(struct oct_ctx *cx) {
    struct oct_arena *a = sys_alloc(cx, sizeof *a);
    *a = (struct oct_arena){.cx = cx, .next = cx->arenas, .next_size = FIRST_CHUNK};
    if (a->next) a->next->prev = a;
    cx->arenas = a;
    return a;
}

static void run_undos(struct oct_arena *a) {
    while (a->undos) {
        struct undo *u = a->undos;
        a->undos = u->next;
        u->fn(u->arg);
    }
}

static void drop_chunks(struct oct_arena *a, struct chunk *keep) {
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        if (c == keep) continue;
        a->cx->mem_now -= c->size;
        a->cx->sys_free(c);
    }
    a->chunks = keep;
    if (keep) keep->next = NULL;
}

void oct_arena_free(struct oct_arena *a) {
    if (!a) return;
    run_undos(a);
    drop_chunks(a, NULL);
    if (a->prev) a->prev->next = a->next;
    else a->cx->arenas = a->next;
    if (a->next) a->next->prev = a->prev;
    a->cx->sys_free(a);
}

void oct_arena_reset(struct oct_arena *a) {
    run_undos(a);
    drop_chunks(a, a->chunks);
    if (a->chunks) {
#ifndef NDEBUG
        memset(payload(a->chunks), 0xa5, a->chunks->used);
#endif
        a->chunks->used = 0;
    }
}

void *oct_alloc(struct oct_arena *a, size_t size) {
    if (size > SIZE_MAX / 2) out_of_memory(a->cx);
    const size_t align = size < 256 ? 16 : ALIGN;
    size = (size + (size == 0) + 15) & ~(size_t)15;
    struct chunk *c = a->chunks;
    size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0;
    if (!c || at > c->size || c->size - at < size) {
        size_t want = size > a->next_size ? size : a->next_size;
        if (a->next_size < MAX_CHUNK) a->next_size *= 2;
        c = sys_alloc(a->cx, sizeof *c + ALIGN + want);
        *c = (struct chunk){.size = want};
        if (a->chunks && want == size) { /* a big block of its own: keep filling the chunk before it */
            c->next = a->chunks->next;
            a->chunks->next = c;
        } else {
            c->next = a->chunks;
            a->chunks = c;
        }
        a->cx->mem_now += want;
        if (a->cx->mem_now > a->cx->mem_peak) a->cx->mem_peak = a->cx->mem_now;
    }
    at = (c->used + align - 1) & ~(align - 1);
    void *p = payload(c) + at;
    c->used = at + size;
    return memset(p, 0, size);
}

void *oct_alloc_n(struct oct_arena *a, size_t n, size_t size) {
    if (size && n > SIZE_MAX / 2 / size) out_of_memory(a->cx);
    return oct_alloc(a, n * size);
}

char *oct_strndup(struct oct_arena *a, const char *s, size_t n) {
    char *p = oct_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *oct_strdup(struct oct_arena *a, const char *s) { return oct_strndup(a, s, strlen(s)); }

char *oct_sprintf(struct oct_arena *a, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, a);
    oct_text_add(&t, "");
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    return t.s;
}

void oct_defer(struct oct_arena *a, void (*undo)(void *), void *arg) {
    struct undo *u = OCT_NEW(a, struct undo);
    *u = (struct undo){.next = a->undos, .fn = undo, .arg = arg};
    a->undos = u;
}

size_t oct_memory_now(const struct oct_ctx *cx) { return cx->mem_now; }
size_t oct_memory_peak(const struct oct_ctx *cx) { return cx->mem_peak; }

void oct_ctx_init(struct oct_ctx *cx) {
    *cx = (struct oct_ctx){.threads = 1, .sys_alloc = malloc, .sys_free = free, .phase = "start"};
}

void oct_ctx_free(struct oct_ctx *cx) {
    while (cx->arenas) oct_arena_free(cx->arenas);
    cx->own = NULL;
    cx->diags = NULL;
    cx->sources = NULL;
    cx->nsources = 0;
}
