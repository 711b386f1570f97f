/* target.c - which target a command is for: a row of the back end's table, a preset from a file, or a triple.
 *
 * A file of presets is JSON: {"NAME": {"base": ROW, "triple": "...", "cpu": "...", "features": "...", "flash": BYTES, "ram":
 * BYTES, "doc": "..."}, ...}; all but "base" may be left out and are then the row's. */
#include <string.h>

#include "../backend/backend.h"
#include "../frontend/json_in.h"
#include "driver.h"

/* ---- presets ----------------------------------------------------------------------------------------------------------- */

struct reader {
    struct drv *d;
    struct oct_span at; /* the file; JSON values carry no place of their own */
    const char *name;   /* of the preset */
};

static bool bad(const struct reader *r, const char *fmt, ...) OCT_PRINTF(2, 3);
static bool bad(const struct reader *r, const char *fmt, ...) {
    struct oct_text t;
    va_list ap;
    oct_text_init(&t, r->d->a);
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(r->d->cx, r->at, OCT_E7008, "targets: %s%.64s%s%s", r->name ? "'" : "", r->name ? r->name : "",
              r->name ? "': " : "", t.s);
    return false;
}

/* Names and texts go into commands, reports and lines of a table. */
static bool printable(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 32 || (unsigned char)*s > 126) return false;
    return true;
}

static const struct field {
    const char *name;
    size_t offset;
    bool bytes;
} fields[] = {
    {"triple", offsetof(struct oct_target, triple), false},     {"cpu", offsetof(struct oct_target, cpu), false},
    {"features", offsetof(struct oct_target, features), false}, {"doc", offsetof(struct oct_target, doc), false},
    {"flash", offsetof(struct oct_target, flash), true},        {"ram", offsetof(struct oct_target, ram), true},
};

static bool read_field(const struct reader *r, struct oct_target *t, const char *key, const json_t *value) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        void *to = (char *)t + fields[i].offset;
        if (strcmp(fields[i].name, key) != 0) continue;
        if (fields[i].bytes) {
            if (!json_is_integer(value) || json_integer_value(value) < 0) return bad(r, "\"%s\" is a number of bytes", key);
            *(int64_t *)to = json_integer_value(value);
            return true;
        }
        const char *s = json_string_value(value);
        if (!s || !printable(s)) return bad(r, "\"%s\" is a text of printable ASCII", key);
        *(const char **)to = oct_strdup(r->d->a, s);
        return true;
    }
    return bad(r, "there is no field \"%.64s\"; a target has base, triple, cpu, features, doc, flash, ram", key);
}

static bool same_architecture(const char *a, const char *b) {
    struct oct_target x, y;
    return oct_target_of_triple(a, &x) && oct_target_of_triple(b, &y) && x.pointer_bytes == y.pointer_bytes && x.isa == y.isa &&
           x.lacks == y.lacks;
}

static bool read_preset(const struct reader *r, const json_t *object, struct oct_target *t) {
    const char *name = json_string_value(json_object_get(object, "base")), *key;
    const struct oct_target *base = name ? oct_target_find(name) : NULL;
    if (!*r->name || !printable(r->name) || strchr(r->name, ' ')) return bad(r, "a name is printable ASCII without spaces");
    if (oct_target_find(r->name)) return bad(r, "octavo has a target of this name");
    if (!json_is_object(object)) return bad(r, "a target is an object of fields");
    if (!name) return bad(r, "\"base\" names the target that it is made of");
    if (!base) return bad(r, "its base '%.64s' is no target that `octavo targets` lists", name);
    *t = *base;
    t->name = oct_strdup(r->d->a, r->name);
    json_t *value;
    json_object_foreach((json_t *)object, key, value) if (strcmp(key, "base") != 0 && !read_field(r, t, key, value)) return false;
    if (t->triple != base->triple && !same_architecture(t->triple, base->triple))
        return bad(r, "\"triple\" '%.64s' is of another architecture than %s", t->triple, name);
    return true;
}

/* Appends the targets of the file. */
static bool read_presets(struct drv *d, const char *path, struct oct_target **list, uint32_t *n) {
    struct oct_bytes file;
    if (!oct_read_file(d->cx, path, &file)) return false;
    struct reader r = {d, {oct_source_add(d->cx, path, NULL, 0), 0, 0}, NULL};
    struct oct_arena *guard = oct_arena_new(d->cx);
    json_error_t fault;
    json_t *json = file.len < 1 << 20 ? oct_json_parse(guard, file, &fault) : NULL, *value;
    bool ok = json_is_object(json);
    if (!ok && !json && file.len < 1 << 20) bad(&r, "line %d: %s", fault.line, fault.text);
    else if (!ok) bad(&r, "not a JSON object of less than 1 MB");
    else {
        struct oct_target *all = OCT_NEW_N(d->a, struct oct_target, *n + json_object_size(json));
        memcpy(all, *list, *n * sizeof *all);
        json_object_foreach(json, r.name, value) {
            ok = read_preset(&r, value, &all[*n]);
            if (!ok) break;
            ++*n;
        }
        *list = all;
    }
    oct_arena_free(guard);
    return ok;
}

const struct oct_target *drv_target_list(struct drv *d, uint32_t *n) {
    const struct oct_target *table = oct_target_list(n);
    struct oct_target *list = OCT_NEW_N(d->a, struct oct_target, *n + 1);
    list[0] = *oct_target_find("host");
    memcpy(list + 1, table, *n * sizeof *list);
    ++*n;
    return !d->o.targets || read_presets(d, d->o.targets, &list, n) ? list : NULL;
}

/* ---- the target of a command ------------------------------------------------------------------------------------------- */

static void list_names(struct drv *d, const struct oct_target *all, uint32_t n, const char *wanted) {
    struct oct_text t;
    oct_text_init(&t, d->a);
    const char **names = OCT_NEW_N(d->a, const char *, n);
    for (uint32_t i = 0; i < n; i++) names[i] = all[i].name;
    const char *near = oct_did_you_mean(wanted, names, n);
    if (near) oct_help(d->cx, "did you mean '%s'?", near);
    for (uint32_t i = 0; i < n; i++) oct_text_addf(&t, "%s%s", i ? ", " : "", names[i]);
    oct_help(d->cx, "there are %s", t.s);
    t.len = 0;
    for (const char *const *a = oct_target_architectures; *a; a++) oct_text_addf(&t, "%s%s", t.len ? ", " : "", *a);
    oct_help(d->cx, "or a triple of Linux or bare metal (-none) that starts with %s", t.s);
}

const struct oct_target *drv_target(struct drv *d) {
    uint32_t n;
    const char *name = d->o.target ? d->o.target : "host";
    const struct oct_target *all = drv_target_list(d, &n), *found = NULL;
    if (!all) return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0) found = &all[i];
    struct oct_target *t = OCT_NEW(d->a, struct oct_target);
    if (found) *t = *found;
    else if (!oct_target_of_triple(name, t)) {
        drv_misuse(d, "there is no target '%s'", name);
        list_names(d, all, n, name);
        return NULL;
    }
    if (d->o.cpu) t->cpu = d->o.cpu;
    if (d->o.features) t->features = d->o.features;
    return t;
}
