/* search_journal.c - what a search has measured, as a text file that grows by a line for each figure: a search that was stopped
 * goes on where it was, and journals of parts of a search, one behind the other, are the journal of the whole. Doubles are
 * written in base 16, so that what is read again is what was measured.
 *
 *   octavo search 1
 *   search DIGEST                     of the model, the data, the labels and the target; journals of others are refused
 *   figure LOSS TOP1 AGREEMENT SQNR WEIGHTS FLASH ARENA ok|failed RULES */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certificate.h"
#include "search.h"

static const char first_line[] = "octavo search 1";
static const struct oct_span nowhere;

struct srch_journal {
    FILE *f;
};

static void close_journal(void *arg) {
    struct srch_journal *j = arg;
    if (j->f) fclose(j->f);
    j->f = NULL;
}

static const char *digest_of(const struct search *s) {
    struct oct_text t;
    oct_text_init(&t, s->d->a);
    oct_print(&t, s->base, &(struct oct_weights_ref){.by_hash = true});
    oct_text_addf(&t, "%s %s\n", s->target->triple, s->target->row);
    for (uint32_t i = 0; i < s->ref.n; i++) {
        const struct drv_result *r = &s->ref.r[i];
        oct_text_addn(&t, r->data, (size_t)(r->row * s->ref.samples) * oct_dtype_size(r->type.dtype));
    }
    if (s->labels) oct_text_addn(&t, (const char *)s->labels, (size_t)s->ref.r[0].dim[0] * sizeof *s->labels);
    return drv_digest(s->d->a, t.s, t.len);
}

static bool malformed(const struct search *s, const char *path, int line, const char *why) {
    oct_error(s->d->cx, nowhere, OCT_E4030, "%s:%d: %s", path, line, why);
    oct_help(s->d->cx, "a search with another model, other data or another target wants a journal of its own");
    return false;
}

/* "figure ..." without its line end. */
static bool read_figure(struct search *s, char *line) {
    double v[4];
    int64_t n[3];
    char *at = line + strlen("figure ");
    for (int i = 0; i < 4; i++) {
        char *end;
        v[i] = strtod(at, &end);
        if (end == at || *end != ' ') return false;
        at = end + 1;
    }
    for (int i = 0; i < 3; i++) {
        char *end;
        n[i] = strtoll(at, &end, 10);
        if (end == at || *end != ' ' || n[i] < -1) return false;
        at = end + 1;
    }
    const bool failed = strncmp(at, "failed ", 7) == 0;
    if (!failed && strncmp(at, "ok ", 3) != 0) return false;
    struct srch_score *x = srch_remember(s, at + (failed ? 7 : 3));
    *x = (struct srch_score){failed, v[0], v[1], v[2], v[3], n[0], n[1], n[2]};
    return true;
}

static bool read_line(struct search *s, const char *path, int line, char *at, const char *head) {
    if (line == 1 || strcmp(at, first_line) == 0) /* again where journals were put together */
        return strcmp(at, first_line) == 0 || malformed(s, path, line, "this is no journal of a search");
    if (strncmp(at, "search ", 7) == 0)
        return strcmp(at, head) == 0 || malformed(s, path, line, "this is the journal of another search");
    return (strncmp(at, "figure ", 7) == 0 && read_figure(s, at)) || malformed(s, path, line, "this line is none of a journal");
}

/* Whole lines of the file; *kept: bytes up to the last line end. */
static bool read_journal(struct search *s, const char *path, const char *digest, size_t *kept) {
    struct oct_bytes file;
    if (!oct_read_file(s->d->cx, path, &file)) return false;
    char *text = oct_strndup(s->d->a, (const char *)file.data, file.len), *end;
    const size_t len = strlen(text); /* a zero byte ends it */
    const char *head = oct_sprintf(s->d->a, "search %s", digest);
    *kept = 0;
    for (int line = 1; (end = memchr(text + *kept, '\n', len - *kept)); line++) {
        *end = 0;
        if (!read_line(s, path, line, text + *kept, head)) return false;
        *kept = (size_t)(end + 1 - text);
    }
    return true;
}

bool srch_journal_open(struct search *s, const char *path) {
    const char *digest = digest_of(s);
    struct srch_journal *j = OCT_NEW(s->d->a, struct srch_journal);
    size_t kept = 0;
    oct_defer(s->d->a, close_journal, j);
    FILE *there = fopen(path, "rb");
    if (there) {
        fclose(there);
        if (!read_journal(s, path, digest, &kept)) return false;
    }
    j->f = fopen(path, there ? "r+b" : "wb");
    if (j->f && (ftruncate(fileno(j->f), (off_t)kept) != 0 || fseek(j->f, (long)kept, SEEK_SET) != 0)) close_journal(j);
    if (!j->f) {
        oct_error(s->d->cx, nowhere, OCT_E7005, "cannot write '%s': %s", path, strerror(errno));
        return false;
    }
    if (!kept) fprintf(j->f, "%s\nsearch %s\n", first_line, digest);
    fflush(j->f);
    s->journal = j;
    return true;
}

void srch_journal_add(struct search *s, const struct srch_point *p) {
    const struct srch_score *x = &p->score;
    fprintf(s->journal->f, "figure %a %a %a %a %lld %lld %lld %s %s\n", x->loss, x->top1, x->agreement, x->sqnr_db,
            (long long)x->weights, (long long)x->flash, (long long)x->arena, x->failed ? "failed" : "ok", p->key);
    fflush(s->journal->f);
}
