/* tuned.c - the tuner's file as text: printing and reading (tuned.h shows it). What is read is anybody's: one line of it is named
 * in every complaint. */
#include "tuned.h"

#include <string.h>

static const char first_line[] = "octavo tuned 1";
static const struct {
    const char *key;
    size_t at;
} heads[] = {{"target", offsetof(struct oct_tuned, target)},
             {"cpu", offsetof(struct oct_tuned, cpu)},
             {"code", offsetof(struct oct_tuned, code)}};
enum { HEADS = sizeof heads / sizeof *heads };
static const char **head(struct oct_tuned *r, int i) { return (const char **)(void *)((char *)r + heads[i].at); }

void drv_tuned_print(struct oct_text *t, const struct oct_tuned *r) {
    oct_text_addf(t, "%s\n", first_line);
    for (int i = 0; i < HEADS; i++)
        oct_text_addf(t, "%s %s\n", heads[i].key, *(const char *const *)(const void *)((const char *)r + heads[i].at));
    for (int i = 0; i < r->nceilings; i++) oct_text_addf(t, "ceiling %s %.1f GMAC/s\n", r->ceiling[i].steps, r->ceiling[i].gmacs);
    for (int i = 0; i < r->nlayers; i++) {
        const struct oct_tuned_layer *l = r->layer[i];
        oct_text_addf(t, "layer %s\n", l->key);
        for (int j = 0; j < l->nways; j++) oct_text_addf(t, "    %.1f us %s\n", l->way[j].us, l->way[j].text);
    }
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

struct reader {
    struct drv *d;
    struct oct_tuned *r;
    uint32_t source;
    int heads; /* read so far */
    struct oct_tuned_layer *layer;
};

static bool malformed(const struct reader *r, size_t at, const char *why) {
    const uint32_t place = (uint32_t)at;
    oct_error(r->d->cx, (struct oct_span){r->source, place, place + 1}, OCT_E4022, "%s", why);
    return false;
}

/* Behind `key` and a space; NULL: the line has another key, or nothing behind it. */
static const char *after(const char *line, const char *key) {
    const size_t n = strlen(key);
    return strncmp(line, key, n) == 0 && line[n] == ' ' && line[n + 1] && line[n + 1] != ' ' ? line + n + 1 : NULL;
}

/* At most 9 digits and one behind the point, whatever the locale, then a blank: what follows; NULL: no such figure. */
static const char *read_figure(const char *s, double *v) {
    const size_t digits = strspn(s, "0123456789");
    if (!digits || digits > 9 || s[digits] != '.' || s[digits + 1] < '0' || s[digits + 1] > '9' || s[digits + 2] != ' ')
        return NULL;
    *v = 0;
    for (size_t i = 0; i < digits; i++) *v = *v * 10 + (s[i] - '0');
    *v += (s[digits + 1] - '0') / 10.0;
    return s + digits + 3;
}

/* "    US us WAY" */
static bool read_way(struct reader *r, const char *line, size_t at) {
    struct oct_tuned_layer *l = r->layer;
    double us;
    const char *rest = strncmp(line, "    ", 4) == 0 ? read_figure(line + 4, &us) : NULL, *text = rest ? after(rest, "us") : NULL;
    if (!rest) return malformed(r, at, "a way begins with four blanks and its time, as in '    12.3 us conv2d_vec 6x2'");
    if (!text) return malformed(r, at, "behind its time in ' us ' the name of a way is missing");
    if (!l) return malformed(r, at, "a way without a layer");
    for (int i = 0; i < l->nways; i++)
        if (strcmp(l->way[i].text, text) == 0) return malformed(r, at, "this way of the layer is there twice");
    const uint32_t place = (uint32_t)at;
    l->way[l->nways++] = (struct oct_tuned_way){text, us, {r->source, place + 4, place + (uint32_t)strlen(line)}};
    return true;
}

/* "STEPS GMACS GMAC/s" */
static bool read_ceiling(struct reader *r, const char *text, size_t at) {
    struct oct_tuned *t = r->r;
    const size_t n = strcspn(text, " ");
    double gmacs;
    const char *rest = text[n] ? read_figure(text + n + 1, &gmacs) : NULL;
    if (!rest || strcmp(rest, "GMAC/s") != 0 || r->layer || t->nceilings == OCT_TUNED_CEILINGS)
        return malformed(r, at, "a ceiling is as in 'ceiling a 83.1 GMAC/s', and comes before all layers");
    t->ceiling[t->nceilings].steps = oct_strndup(r->d->a, text, n);
    t->ceiling[t->nceilings++].gmacs = gmacs;
    return true;
}

/* Ways that follow a line at hand: how much room its layer needs. */
static int ways_behind(const char *text) {
    int n = 0;
    while (strncmp(text, "    ", 4) == 0) {
        n++;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return n;
}

/* `rest`: the text behind the line. */
static bool read_line(struct reader *r, const char *line, size_t at, const char *rest) {
    const char *value;
    if (r->heads < HEADS) {
        value = after(line, heads[r->heads].key);
        if (!value) return malformed(r, at, oct_sprintf(r->d->a, "here a line '%s ...' is expected", heads[r->heads].key));
        *head(r->r, r->heads++) = value;
        return true;
    }
    if ((value = after(line, "ceiling"))) return read_ceiling(r, value, at);
    value = after(line, "layer");
    if (!value) return read_way(r, line, at);
    if (r->layer && !r->layer->nways) return malformed(r, at, "the layer before has no way");
    r->layer = oct_tuned_add(r->r, r->d->a, value, ways_behind(rest));
    return r->layer || malformed(r, at, "this layer is there twice");
}

struct oct_tuned *drv_tuned_read(struct drv *d, const char *path) {
    enum { MOST = 4 << 20 };
    struct oct_bytes file;
    if (!oct_read_file(d->cx, path, &file)) return NULL;
    struct reader r = {.d = d, .r = OCT_NEW(d->a, struct oct_tuned)};
    char *text = oct_strndup(d->a, (const char *)file.data, file.len < MOST ? file.len : MOST);
    const size_t first = sizeof first_line - 1;
    r.source = oct_source_add(d->cx, path, oct_strdup(d->a, text), strlen(text));
    r.r->span = (struct oct_span){r.source, 0, 1};
    if (strncmp(text, first_line, first) != 0 || text[first] != '\n')
        return malformed(&r, 0, "this is no file of octavo's --tune, or one of another version"), NULL;
    if (file.len >= MOST) return malformed(&r, MOST - 1, "a file of --tune of more than 4 MB"), NULL;
    for (size_t i = 0; i < file.len; i++)
        if (text[i] != '\n' && (text[i] < 32 || text[i] > 126))
            return malformed(&r, i, "a byte that is no printable ASCII"), NULL;
    if (text[file.len - 1] != '\n') return malformed(&r, file.len - 1, "the last line is cut off"), NULL;
    for (size_t at = first + 1, n; at < file.len; at += n + 1) {
        n = strcspn(text + at, "\n");
        text[at + n] = 0;
        if (!read_line(&r, text + at, at, text + at + n + 1)) return NULL;
    }
    if (r.heads < HEADS || (r.layer && !r.layer->nways)) return malformed(&r, file.len - 1, "the file is cut off"), NULL;
    return r.r;
}

/* ---- replaying ------------------------------------------------------------------------------------------------------------- */

const struct oct_tuned *drv_tuned(struct drv *d, const struct oct_target *target, bool *ok) {
    *ok = true;
    if (!d->o.tuned) return NULL;
    const struct oct_tuned *r = drv_tuned_read(d, d->o.tuned);
    *ok = r != NULL;
    if (!r || strcmp(r->target, target->row) == 0) return r;
    oct_error(d->cx, r->span, OCT_E6009, "this was tuned for %s; what is compiled is for %s", r->target, target->row);
    *ok = false;
    return NULL;
}
