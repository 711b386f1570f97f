/* certificate.c - certificates as text: printing and reading. What is read must be exactly what printing it again gives, so there
 * is one form only; the last line is the digest of all before it, so nothing is missing. */
#include <string.h>

#include "certificate.h"

const char *const drv_vectors_word[DRV_VECTORS_COUNT] = {
#define VECTORS(name, word) word,
    DRV_VECTORS
#undef VECTORS
};
const enum drv_option drv_cert_options[] = {DRV_target,  DRV_emit,     DRV_weights,      DRV_io_layout, DRV_batch,
                                            DRV_threads, DRV_no_float, DRV_strict_float, DRV_self_test, DRV_OPTION_COUNT};

static const char first_line[] = "octavo certificate 1\n";
static const struct {
    const char *key;
    size_t at;
} lines[] = {
#define LINE(field, key) {key, offsetof(struct drv_cert, field)},
    DRV_CERT_LINES
#undef LINE
};
enum { LINES = sizeof lines / sizeof *lines };
static const char **field(struct drv_cert *c, int line) { return (const char **)(void *)((char *)c + lines[line].at); }

/* ---- printing -------------------------------------------------------------------------------------------------------------- */

static void add_line(struct oct_text *t, const char *key, const char *value) {
    if (value) oct_text_addf(t, "%s%s%s\n", key, *value ? " " : "", value);
}

void drv_cert_print(struct oct_text *t, const struct drv_cert *c) {
    const size_t begin = t->len;
    oct_text_add(t, first_line);
    for (int i = 0; i < LINES; i++)
        add_line(t, lines[i].key, *(const char *const *)(const void *)((const char *)c + lines[i].at));
    for (const enum drv_option *o = drv_cert_options; *o != DRV_OPTION_COUNT; o++)
        if (c->option[*o]) add_line(t, oct_sprintf(t->arena, "option %s", drv_option_spelling(*o)), c->option[*o]);
    for (int i = 0; i < c->nfiles; i++) {
        oct_text_addf(t, "file %s %s\n", c->file[i].digest, c->file[i].name);
        add_line(t, "  code", c->file[i].code);
    }
    for (int i = 0; i < c->nlayers; i++) {
        const struct drv_cert_layer *l = &c->layer[i];
        oct_text_addf(t, "layer %s %s\n", l->op, l->name);
        add_line(t, "  constants", l->constants);
        for (int v = 0; v < DRV_VECTORS_COUNT; v++) add_line(t, oct_sprintf(t->arena, "  %s", drv_vectors_word[v]), l->sum[v]);
    }
    oct_text_addf(t, "end %s\n", drv_digest(t->arena, t->s + begin, t->len - begin));
}

/* ---- reading
 * -------------------------------------------------------------------------------------------------------------------- */

struct reader {
    struct drv *d;
    struct drv_cert *c;
    uint32_t source;
    const char *text, *line; /* a copy, NUL-terminated; the line at hand ends in NUL */
    bool in_layer, in_file;  /* what lines with an indent belong to */
};

static bool damaged(struct reader *r, size_t at, const char *why) {
    const uint32_t place = (uint32_t)at;
    oct_error(r->d->cx, (struct oct_span){r->source, place, place + 1}, OCT_E4021, "%s", why);
    return false;
}

/* Behind `key` and a space, or at the end of the line; NULL: the line has another key. */
static const char *after(const char *line, const char *key) {
    const size_t n = strlen(key);
    if (strncmp(line, key, n) != 0 || (line[n] && line[n] != ' ')) return NULL;
    return line + n + (line[n] == ' ');
}

static bool set_once(const char **to, const char *value) {
    if (*to) return false;
    *to = value;
    return true;
}

static bool read_option(struct reader *r, const char *rest) {
    for (const enum drv_option *o = drv_cert_options; *o != DRV_OPTION_COUNT; o++) {
        const char *value = after(rest, drv_option_spelling(*o));
        if (value) return set_once(&r->c->option[*o], value);
    }
    return false;
}

/* "WORD REST" of a block's first line. */
static bool read_two(struct reader *r, const char *rest, const char **word, const char **name) {
    const size_t n = strcspn(rest, " ");
    if (!n || !rest[n] || !rest[n + 1]) return false;
    *word = oct_strndup(r->d->a, rest, n);
    *name = rest + n + 1;
    return true;
}

static bool read_inner(struct reader *r, const char *line) {
    const char *rest;
    if (r->in_file) return (rest = after(line, "code")) && set_once(&r->c->file[r->c->nfiles - 1].code, rest);
    if (!r->in_layer) return false;
    struct drv_cert_layer *l = &r->c->layer[r->c->nlayers - 1];
    if ((rest = after(line, "constants"))) return set_once(&l->constants, rest);
    for (int v = 0; v < DRV_VECTORS_COUNT; v++)
        if ((rest = after(line, drv_vectors_word[v]))) return set_once(&l->sum[v], rest);
    return false;
}

static bool read_line(struct reader *r, const char *line) {
    struct drv_cert *c = r->c;
    const char *rest;
    if (strncmp(line, "  ", 2) == 0) return read_inner(r, line + 2);
    r->in_layer = r->in_file = false;
    if ((rest = after(line, "layer"))) {
        r->in_layer = true;
        c->nlayers++;
        return read_two(r, rest, &c->layer[c->nlayers - 1].op, &c->layer[c->nlayers - 1].name);
    }
    if ((rest = after(line, "file"))) {
        r->in_file = true;
        c->nfiles++;
        return read_two(r, rest, &c->file[c->nfiles - 1].digest, &c->file[c->nfiles - 1].name);
    }
    if ((rest = after(line, "option"))) return read_option(r, rest);
    for (int i = 0; i < LINES; i++)
        if ((rest = after(line, lines[i].key))) return set_once(field(c, i), rest);
    return false;
}

/* Where the last line begins that says "end DIGEST" and is right; 0: there is none. */
static size_t find_end(struct reader *r, size_t len) {
    static const char key[] = "end ";
    const size_t last = sizeof key - 1 + 32 + 1;
    if (len < last || r->text[len - 1] != '\n' || memcmp(r->text + len - last, key, sizeof key - 1) != 0) return 0;
    const char *digest = drv_digest(r->d->a, r->text, len - last);
    return memcmp(digest, r->text + len - 33, 32) == 0 ? len - last : 0;
}

/* The form that printing gives is the only one. */
static bool is_canonical(struct reader *r, size_t len) {
    struct oct_text again;
    oct_text_init(&again, r->d->a);
    drv_cert_print(&again, r->c);
    size_t i = 0;
    while (i < len && i < again.len && r->text[i] == again.s[i]) i++;
    return (i == len && i == again.len) || damaged(r, i < len ? i : len - 1, "octavo does not write certificates like this");
}

bool drv_cert_read(struct drv *d, const char *path, struct drv_cert *c) {
    enum { MOST = 64 << 20 };
    struct oct_bytes file;
    *c = (struct drv_cert){0};
    if (!oct_read_file(d->cx, path, &file)) return false;
    const size_t len = file.len;
    char *copy = oct_strndup(d->a, (const char *)file.data, len < MOST ? len : MOST);
    struct reader r = {.d = d, .c = c, .text = copy, .source = oct_source_add(d->cx, path, oct_strdup(d->a, copy), strlen(copy))};
    if (strncmp(copy, first_line, sizeof first_line - 1) != 0)
        return damaged(&r, 0, "this is no certificate of octavo's, or one of another version");
    if (strlen(copy) != len)
        return damaged(&r, strlen(copy), len < MOST ? "a NUL byte in a certificate" : "a certificate of more than 64 MB");
    const size_t end = find_end(&r, len);
    if (!end)
        return damaged(&r, len - 1,
                       "the certificate is cut off or was changed: its last line is not the digest of all before it");
    int most = 0;
    for (size_t i = 0; i < end; i++) most += copy[i] == '\n';
    c->layer = OCT_NEW_N(d->a, struct drv_cert_layer, most);
    c->file = OCT_NEW_N(d->a, struct drv_cert_file, most);
    char *lines_text = oct_strdup(d->a, copy);
    for (size_t at = sizeof first_line - 1; at < end;) {
        char *line = lines_text + at;
        const size_t n = strcspn(line, "\n");
        line[n] = 0;
        if (!read_line(&r, line)) return damaged(&r, at, "this line does not belong here");
        at += n + 1;
    }
    for (int i = 0; i < LINES; i++)
        if (!*field(c, i)) return damaged(&r, 0, oct_sprintf(d->a, "the certificate has no line '%s'", lines[i].key));
    return is_canonical(&r, len);
}
