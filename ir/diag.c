/* diag.c - sources, diagnostics and internal errors. Requires arena and text. Errors are collected in order and rendered on
 * demand; nothing is printed here but an internal error. The picture that rendering draws:
 *
 *   net.8vo:12:14: error: conv2d: input has 32 channels but weight 'w' expects 64 [E2103]
 *     12 |   y = conv2d(x, w) stride=2
 *        |       ^~~~~~~~~~~~
 *   net.8vo:9:3: note: 'x' is f32[1,32,28,28], defined here
 *      9 |   x = relu(a)
 *        |       ^~~~~~~
 *        = did you mean 'x_wide' (f32[1,64,28,28])?
 *
 * Columns count characters from 1, a tab being one; tabs are drawn up to the next multiple of 4. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

enum kind { ERROR, WARNING, NOTE, HELP };
struct diag {
    enum kind kind;
    enum oct_diag_id id; /* ERROR, WARNING */
    struct oct_span span;
    const char *text;
};
struct oct_diag_list {
    struct diag *d;
    uint32_t n, cap, rendered;
    unsigned errors;
    int exit_code; /* of the first error */
};

static const struct {
    const char *id;
    int exit_code;
} rows[] = {
#define DIAG(id, exit_code, summary) {#id, exit_code},
#include "diag.def"
#undef DIAG
};

/* ---- sources ---- */

uint32_t oct_source_add(struct oct_ctx *cx, const char *name, const char *text, size_t len) {
    const uint32_t n = cx->nsources;
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        struct oct_source *more = OCT_NEW_N(oct_own(cx), struct oct_source, n ? 2 * (size_t)n : 1);
        if (n) memcpy(more, cx->sources, n * sizeof *more);
        cx->sources = more;
    }
    cx->sources[n] = (struct oct_source){.name = oct_strdup(oct_own(cx), name), .text = text, .len = len};
    return ++cx->nsources;
}

const struct oct_source *oct_source_get(const struct oct_ctx *cx, uint32_t source) {
    return source && source <= cx->nsources ? &cx->sources[source - 1] : NULL;
}

/* ---- collecting ---- */

static void collect(struct oct_ctx *cx, enum kind kind, struct oct_span span, enum oct_diag_id id, const char *fmt, va_list ap) {
    struct oct_arena *own = oct_own(cx);
    if (!cx->diags) cx->diags = OCT_NEW(own, struct oct_diag_list);
    struct oct_diag_list *l = cx->diags;
    if (l->n == l->cap) {
        const uint32_t cap = l->cap ? l->cap * 2 : 16;
        struct diag *more = OCT_NEW_N(own, struct diag, cap);
        if (l->n) memcpy(more, l->d, l->n * sizeof *more);
        l->d = more;
        l->cap = cap;
    }
    struct oct_text t;
    oct_text_init(&t, own);
    oct_text_vaddf(&t, fmt, ap);
    l->d[l->n++] = (struct diag){.kind = kind, .id = id, .span = span, .text = t.s};
    if (kind == ERROR && !l->errors++) l->exit_code = rows[id].exit_code;
}

#define COLLECT(kind, span, id)                                                                                                  \
    do {                                                                                                                         \
        va_list ap;                                                                                                              \
        va_start(ap, fmt);                                                                                                       \
        collect(cx, kind, span, id, fmt, ap);                                                                                    \
        va_end(ap);                                                                                                              \
    } while (0)

static const struct oct_span nowhere = {0, 0, 0};
void oct_error(struct oct_ctx *cx, struct oct_span span, enum oct_diag_id id, const char *fmt, ...) { COLLECT(ERROR, span, id); }
void oct_warning(struct oct_ctx *cx, struct oct_span span, enum oct_diag_id id, const char *fmt, ...) {
    COLLECT(WARNING, span, id);
}
void oct_note(struct oct_ctx *cx, struct oct_span span, const char *fmt, ...) { COLLECT(NOTE, span, 0); }
void oct_help(struct oct_ctx *cx, const char *fmt, ...) { COLLECT(HELP, nowhere, 0); }

unsigned oct_error_count(const struct oct_ctx *cx) { return cx->diags ? cx->diags->errors : 0; }
int oct_exit_code(const struct oct_ctx *cx) { return cx->diags ? cx->diags->exit_code : 0; }

/* ---- rendering ---- */

/* Adds n bytes of foreign text with control bytes made harmless: a terminal must not obey a model. */
static void add_clean(struct oct_text *out, const char *s, size_t n) {
    for (size_t i = 0, run = 0; i <= n; i++) {
        const unsigned char c = i < n ? (unsigned char)s[i] : 0;
        if (i < n && c >= 0x20 && c != 0x7f) continue;
        oct_text_addn(out, s + run, i - run);
        if (i < n) oct_text_add(out, c == '\n' || c == '\t' ? " " : "?");
        run = i + 1;
    }
}

static bool is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

struct place {
    uint32_t line, column; /* from 1 */
    size_t start, end;     /* bytes of the line, without its newline */
};

static struct place find(const struct oct_source *s, size_t at) {
    struct place p = {.line = 1, .column = 1};
    if (at > s->len) at = s->len;
    for (size_t i = 0; i < at; i++)
        if (s->text[i] == '\n') {
            p.line++;
            p.start = i + 1;
        }
    for (size_t i = p.start; i < at; i++) p.column += !is_continuation(s->text[i]);
    const char *nl = s->len > p.start ? memchr(s->text + p.start, '\n', s->len - p.start) : NULL;
    p.end = nl ? (size_t)(nl - s->text) : s->len;
    if (p.end > p.start && s->text[p.end - 1] == '\r') p.end--;
    return p;
}

uint32_t oct_span_line(const struct oct_ctx *cx, struct oct_span span) {
    const struct oct_source *s = oct_source_get(cx, span.source);
    return s && s->text ? find(s, span.start).line : 0;
}

enum { TAB = 4, WIDTH = 110, BEFORE = 60 }; /* a longer line is cut to WIDTH columns, at most BEFORE of them left of the caret */

static size_t width_at(char c, size_t column) { return c == '\t' ? TAB - column % TAB : !is_continuation(c); }

static void draw(struct oct_text *out, const struct oct_source *s, struct oct_span span, const struct place *p) {
    const char *line = s->text + p->start;
    const size_t n = p->end - p->start;
    const size_t from = span.start - p->start < n ? span.start - p->start : n;
    size_t to = span.end > span.start ? span.end - p->start : from + 1;
    if (to > n) to = n > from ? n : from + 1; /* a span over several lines is marked to the end of the first */

    /* Columns of the marked part and of the line, tabs expanded. */
    size_t col = 0, col_from = 0, col_to = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == from) col_from = col;
        if (i == to) col_to = col;
        col += width_at(line[i], col);
    }
    if (from >= n) col_from = col;
    if (to >= n) col_to = col > col_from ? col : col_from + 1;
    const size_t total = col;
    const size_t first = total > WIDTH && col_from > BEFORE ? col_from - BEFORE : 0, last = first + WIDTH;

    oct_text_addf(out, "%4u | %s", p->line, first ? "..." : "");
    col = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t w = width_at(line[i], col);
        const bool shown = col >= first && col < last && (w || col > first);
        if (shown && line[i] == '\t')
            for (size_t k = 0; k < w; k++) oct_text_add(out, " ");
        else if (shown) add_clean(out, line + i, 1);
        col += w;
    }
    if (total > last) oct_text_add(out, "...");
    oct_text_addf(out, "\n     | %s", first ? "   " : "");
    for (size_t i = first; i < col_from; i++) oct_text_add(out, " ");
    oct_text_add(out, "^");
    for (size_t i = col_from + 1; i < col_to && i < last; i++) oct_text_add(out, "~");
    oct_text_add(out, "\n");
}

static void render(struct oct_ctx *cx, struct oct_text *out, const struct diag *d) {
    static const char *const words[] = {[ERROR] = "error", [WARNING] = "warning", [NOTE] = "note"};
    if (d->kind == HELP) {
        oct_text_add(out, "     = ");
        add_clean(out, d->text, strlen(d->text));
        oct_text_add(out, "\n");
        return;
    }
    const struct oct_source *s = oct_source_get(cx, d->span.source);
    const bool has_text = s && s->text;
    struct place p = {0};
    if (s) add_clean(out, s->name, strlen(s->name));
    else oct_text_add(out, "octavo");
    if (has_text) {
        p = find(s, d->span.start);
        oct_text_addf(out, ":%u:%u", p.line, p.column);
    }
    oct_text_addf(out, ": %s: ", words[d->kind]);
    add_clean(out, d->text, strlen(d->text));
    if (d->kind != NOTE) oct_text_addf(out, " [%s]", rows[d->id].id);
    oct_text_add(out, "\n");
    if (has_text) draw(out, s, d->span, &p);
}

void oct_diag_render(struct oct_ctx *cx, struct oct_text *out) {
    oct_text_add(out, "");
    if (!cx->diags) return;
    while (cx->diags->rendered < cx->diags->n) render(cx, out, &cx->diags->d[cx->diags->rendered++]);
}

/* ---- broken invariants ---- */

void oct_internal(struct oct_ctx *cx, struct oct_span span, const char *fmt, ...) {
    const struct oct_source *s = oct_source_get(cx, span.source);
    fflush(stdout);
    fprintf(stderr, "octavo: internal error in %s: ", cx->phase ? cx->phase : "?");
    if (s && s->text) {
        const struct place p = find(s, span.start);
        fprintf(stderr, "%s:%u:%u: ", s->name, p.line, p.column);
    }
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    if (cx->on_fatal) longjmp(*cx->on_fatal, OCT_EXIT_INTERNAL);
    _exit(OCT_EXIT_INTERNAL);
}

/* ---- did you mean ---- */

enum { LONGEST = 64 };

/* Edit distance with transpositions of neighbours (optimal string alignment); both at most LONGEST bytes. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb) {
    unsigned row[3][LONGEST + 1];
    for (size_t j = 0; j <= nb; j++) row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best) best = up2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *oct_did_you_mean(const char *word, const char *const *candidates, size_t n) {
    const size_t len = strlen(word), most = len / 3 > 1 ? len / 3 : 1;
    const char *best = NULL;
    if (len > LONGEST) return NULL;
    size_t best_distance = most + 1;
    for (size_t i = 0; i < n; i++) {
        const size_t nc = strnlen(candidates[i], LONGEST + 1);
        if (nc > LONGEST || nc > len + most || len > nc + most) continue;
        const unsigned d = distance(word, len, candidates[i], nc);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}
