/* context.h - what every call hangs off: memory, text, diagnostics; no process globals.
 *
 * Memory comes from arenas that the context knows, so that running out of it can unwind to the driver (longjmp
 * to cx->on_oom), free everything and exit 71. Code may therefore use a result of oct_alloc without a check, and
 * must not hold a resource that no arena owns (a FILE, a foreign library's object) across a call that allocates;
 * where it has to, it registers an undo with oct_defer. */
#ifndef OCT_CONTEXT_H
#define OCT_CONTEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __GNUC__
#define OCT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define OCT_NORETURN     __attribute__((noreturn))
#else
#define OCT_PRINTF(f, a)
#define OCT_NORETURN
#endif

struct oct_ctx;
struct oct_arena;

/* ---- arenas (arena.c) ---------------------------------------------------------------------------------------- */

/* A new arena, freed by oct_arena_free or with the context. Arenas are not locked: one thread at a time. */
struct oct_arena *oct_arena_new(struct oct_ctx *cx);
void oct_arena_free(struct oct_arena *a);
/* Drops all that was allocated, keeps the arena (debug builds poison it). */
void oct_arena_reset(struct oct_arena *a);
/* `size` bytes, zeroed, aligned to 16, from 256 bytes on to 64; never NULL. Size 0 gives a valid unique pointer. */
void *oct_alloc(struct oct_arena *a, size_t size);
/* `n` elements of `size` bytes; a product that overflows is out of memory. */
void *oct_alloc_n(struct oct_arena *a, size_t n, size_t size);
#define OCT_NEW(a, T)      ((T *)oct_alloc((a), sizeof(T)))
#define OCT_NEW_N(a, T, n) ((T *)oct_alloc_n((a), (size_t)(n), sizeof(T)))
char *oct_strdup(struct oct_arena *a, const char *s);
char *oct_strndup(struct oct_arena *a, const char *s, size_t n);
char *oct_sprintf(struct oct_arena *a, const char *fmt, ...) OCT_PRINTF(2, 3);
/* Bytes handed out by all arenas of the context, now and at the most. */
size_t oct_memory_now(const struct oct_ctx *cx);
size_t oct_memory_peak(const struct oct_ctx *cx);

/* Runs `undo(arg)` when the arena is freed or reset, last registered first. */
void oct_defer(struct oct_arena *a, void (*undo)(void *), void *arg);

/* ---- growing text (text.c) ------------------------------------------------------------------------------------ */

struct oct_text {
    struct oct_arena *arena;
    char *s; /* always NUL-terminated once anything was added; NULL before */
    size_t len, cap;
};
void oct_text_init(struct oct_text *t, struct oct_arena *a);
void oct_text_add(struct oct_text *t, const char *s);
void oct_text_addn(struct oct_text *t, const char *s, size_t n);
void oct_text_addf(struct oct_text *t, const char *fmt, ...) OCT_PRINTF(2, 3);
void oct_text_vaddf(struct oct_text *t, const char *fmt, va_list ap);
/* Shortest decimal that reads back as exactly this float: "0.1", "1e-09", "-128.0", "inf", "-inf", "nan". It always
 * looks like a float (a point, an exponent or a word); it never depends on the locale. */
void oct_text_add_f32(struct oct_text *t, float x);
/* A double-quoted string with \n \t \" \\ and \xNN for every other byte that is not printable ASCII or valid UTF-8. */
void oct_text_add_quoted(struct oct_text *t, const char *s);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void oct_text_add_json(struct oct_text *t, const char *s);
/* Bytes of the UTF-8 character at s (1 to 4), 0 when it is none; reads no further than the first byte that does not belong. */
size_t oct_utf8_length(const char *s);

/* ---- source text and spans ------------------------------------------------------------------------------------ */

/* A place in a source: bytes [start, end) of source number `source` (1-based; 0 = no place known). */
struct oct_span {
    uint32_t source, start, end;
};
struct oct_source {
    const char *name; /* as the user wrote it; "<stdin>" */
    const char *text; /* NULL for a source without text (a binary model): spans then have no caret */
    size_t len;
};
/* Registers a source; text is not copied and must live as long as the context. Returns its number, from 1. */
uint32_t oct_source_add(struct oct_ctx *cx, const char *name, const char *text, size_t len);
const struct oct_source *oct_source_get(const struct oct_ctx *cx, uint32_t source);
/* The line, from 1, where a span starts; 0 for a source without text. */
uint32_t oct_span_line(const struct oct_ctx *cx, struct oct_span span);

/* ---- diagnostics (diag.c, ids in diag.def) --------------------------------------------------------------------- */

enum oct_diag_id {
#define DIAG(id, exit_code, summary) OCT_##id,
#include "diag.def"
#undef DIAG
    OCT_DIAG_COUNT
};

/* Reports an error and goes on: callers return false, the driver prints all that were collected and takes the exit
 * code of the first. `span` points at the fault. Notes and helps that follow belong to the error before them:
 * note = "'x' is f32[1,3,8,8], defined here" with its own span; help = what to do, one line. */
void oct_error(struct oct_ctx *cx, struct oct_span span, enum oct_diag_id id, const char *fmt, ...) OCT_PRINTF(4, 5);
void oct_note(struct oct_ctx *cx, struct oct_span span, const char *fmt, ...) OCT_PRINTF(3, 4);
void oct_help(struct oct_ctx *cx, const char *fmt, ...) OCT_PRINTF(2, 3);
void oct_warning(struct oct_ctx *cx, struct oct_span span, enum oct_diag_id id, const char *fmt, ...) OCT_PRINTF(4, 5);

/* Errors so far; at 20 the parser stops looking for more. */
unsigned oct_error_count(const struct oct_ctx *cx);
/* Exit code that the errors so far ask for: 0 without errors, otherwise that of the first. */
int oct_exit_code(const struct oct_ctx *cx);
/* Renders all diagnostics collected since the last call, in order, as DESIGN.md draws them. */
void oct_diag_render(struct oct_ctx *cx, struct oct_text *out);

/* A broken invariant of ours: names phase (pass), node and place, then aborts the command with exit 70. */
void oct_internal(struct oct_ctx *cx, struct oct_span span, const char *fmt, ...) OCT_PRINTF(3, 4) OCT_NORETURN;
#define OCT_CHECK(cx, cond) ((cond) ? (void)0 : oct_internal((cx), (struct oct_span){0, 0, 0}, "%s:%d: %s", __func__, __LINE__, #cond))

/* Nearest of `n` candidate words within edit distance <= max(1, len/3); NULL when none is near. */
const char *oct_did_you_mean(const char *word, const char *const *candidates, size_t n);

/* ---- the context ------------------------------------------------------------------------------------------------ */

enum { OCT_EXIT_OK = 0, OCT_EXIT_THRESHOLD = 1, OCT_EXIT_USAGE = 64, OCT_EXIT_DATA = 65, OCT_EXIT_NO_INPUT = 66,
       OCT_EXIT_UNSUPPORTED = 69, OCT_EXIT_INTERNAL = 70, OCT_EXIT_MEMORY = 71, OCT_EXIT_CANNOT_CREATE = 73, OCT_EXIT_IO = 74 };

struct oct_diag_list;
struct oct_plugins;
struct oct_ctx {
    jmp_buf *on_fatal;      /* where out-of-memory and internal errors unwind to, with setjmp's value = exit code 71 or 70;
                               NULL: print one line on stderr and _exit with that code */
    const char *phase;      /* the pass or step at work, for internal errors; set by the runner */
    unsigned threads;       /* worker threads to use, >= 1; results never depend on it */
    void *(*sys_alloc)(size_t); /* malloc and free, or a test's failing ones */
    void (*sys_free)(void *);
    struct oct_arena *arenas;   /* all live arenas */
    struct oct_arena *own;      /* lives as long as the context */
    struct oct_diag_list *diags;
    struct oct_source *sources;
    uint32_t nsources;
    const char **files;         /* inputs that were read, by path (frontend/file.c) */
    uint32_t nfiles;
    size_t mem_now, mem_peak;
    struct oct_plugins *plugins; /* passes/plugin.c */
};
/* The context is the caller's; free releases every arena, and with them everything. */
void oct_ctx_init(struct oct_ctx *cx);
void oct_ctx_free(struct oct_ctx *cx);
/* The arena that lives as long as the context, made on first use. */
static inline struct oct_arena *oct_own(struct oct_ctx *cx) { return cx->own ? cx->own : (cx->own = oct_arena_new(cx)); }

#endif
