/* model_file.c - whole models: read from text, ONNX or TFLite, written as text with a weights file beside it. Dumps of one run share
 * a store whose keys are hashes of what they hold. Requires file.c, outputs.c, safetensors.c, the parser and the printer. */
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "frontend.h"

/* An ONNX model starts with field tags and lengths, which are control characters; a model text may have one by mistake, but not
 * in its first bytes, and then hears about it as a text. */
static bool looks_binary(struct oct_bytes f) {
    for (size_t i = 0; i < f.len && i < 16; i++)
        if (f.data[i] < 0x20 && (!f.data[i] || !strchr("\t\n\r\f\v", f.data[i]))) return true;
    return false;
}

static bool is_tflite(struct oct_bytes f) { return f.len >= 8 && memcmp(f.data + 4, "TFL3", 4) == 0; }

struct oct_module *oct_read_model(struct oct_ctx *cx, const char *path, int profile) {
    struct oct_bytes file;
    if (!oct_read_file(cx, path, &file)) return NULL;
    if (strcmp(path, "-") == 0) path = "<stdin>"; /* weights then lie beneath the current folder */
    struct oct_module *m = is_tflite(file)      ? oct_import_tflite(cx, path, file, profile < 0 ? OCT_PRESET_tflite_ref : profile)
                           : looks_binary(file) ? oct_import_onnx(cx, path, file)
                                                : oct_parse(cx, path, (const char *)file.data, file.len);
    if (m && profile >= 0) {
        m->option[OCT_OPT_profile] = (uint8_t)profile;
        m->option_set |= (uint32_t)1 << OCT_OPT_profile;
    }
    return m;
}

/* ---- what goes into a weights file ---------------------------------------------------------------------------------- */

struct tensors {
    struct oct_arena *arena;
    struct oct_st_tensor *t;
    uint32_t n, cap;
};

static void add_tensor(void *user, const struct oct_stored *x) {
    struct tensors *s = user;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 32;
        struct oct_st_tensor *more = OCT_NEW_N(s->arena, struct oct_st_tensor, s->cap);
        if (s->n) memcpy(more, s->t, s->n * sizeof *more);
        s->t = more;
    }
    struct oct_st_tensor *t = &s->t[s->n++];
    *t = (struct oct_st_tensor){.name = oct_strdup(s->arena, x->key), .dtype = x->dtype, .rank = x->rank, .data = x->data};
    memcpy(t->dim, x->dim, sizeof t->dim);
    t->bytes = oct_dtype_size(x->dtype);
    for (int i = 0; i < x->rank; i++) t->bytes *= (size_t)x->dim[i];
}

static const char *folder_of(struct oct_arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? oct_strndup(a, path, (size_t)(slash - path) + 1) : "";
}

bool oct_write_model(struct oct_outputs *o, const struct oct_module *m, const char *path) {
    struct oct_arena *a = oct_own(m->cx);
    struct oct_text text, file;
    struct tensors s = {.arena = a};
    oct_text_init(&text, a);
    oct_text_init(&file, a);
    oct_each_stored(m, NULL, add_tensor, &s);
    const bool to_stdout = strcmp(path, "-") == 0;
    if (s.n == 0 || to_stdout) {
        oct_print(&text, m, NULL);
        if (s.n)
            oct_note(m->cx, (struct oct_span){0, 0, 0}, "the text on stdout is without its weights; -o FILE.8vo writes both");
        return oct_outputs_add(o, path, text.s, text.len);
    }
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t n = strlen(base);
    if (n > 4 && strcmp(base + n - 4, ".8vo") == 0) n -= 4;
    const char *name = oct_sprintf(a, "%.*s.safetensors", (int)n, base);
    oct_safetensors_write(&file, s.t, s.n);
    const struct oct_weights_ref ref = {.file = name,
                                        .xxh3 = oct_sprintf(a, "%016llx", (unsigned long long)XXH3_64bits(file.s, file.len))};
    oct_print(&text, m, &ref);
    return oct_outputs_add(o, path, text.s, text.len) &&
           oct_outputs_add(o, oct_sprintf(a, "%s%s", folder_of(a, path), name), file.s, file.len);
}

/* ---- dumps ------------------------------------------------------------------------------------------------------------ */

struct oct_dumps {
    struct oct_ctx *cx;
    struct oct_outputs *outputs;
    const char *dir;
    struct tensors store;
};

struct oct_dumps *oct_dumps_new(struct oct_ctx *cx, struct oct_outputs *o, const char *dir) {
    struct oct_dumps *d = OCT_NEW(oct_own(cx), struct oct_dumps);
    *d = (struct oct_dumps){.cx = cx, .outputs = o, .dir = oct_strdup(oct_own(cx), dir), .store.arena = oct_own(cx)};
    oct_outputs_dir(o, d->dir);
    return d;
}

/* The text is printed now, as the module goes on changing; constants never change, so their data may wait. */
bool oct_dumps_add(struct oct_dumps *d, const struct oct_module *m, const char *file_name) {
    const uint32_t before = d->store.n;
    struct oct_weights_ref ref = {.by_hash = true};
    oct_each_stored(m, &ref, add_tensor, &d->store);
    if (d->store.n > before) ref.file = "store.safetensors";
    struct oct_text text;
    oct_text_init(&text, d->store.arena);
    oct_print(&text, m, &ref);
    return oct_outputs_add(d->outputs, oct_sprintf(d->store.arena, "%s/%s", d->dir, file_name), text.s, text.len);
}

static int by_name(const void *x, const void *y) {
    return strcmp(((const struct oct_st_tensor *)x)->name, ((const struct oct_st_tensor *)y)->name);
}

bool oct_dumps_finish(struct oct_dumps *d) {
    struct tensors *s = &d->store;
    if (!s->n) return true;
    qsort(s->t, s->n, sizeof *s->t, by_name);
    uint32_t n = 1; /* equal keys: equal contents */
    for (uint32_t i = 1; i < s->n; i++)
        if (strcmp(s->t[n - 1].name, s->t[i].name) != 0) s->t[n++] = s->t[i];
    struct oct_text file;
    oct_text_init(&file, s->arena);
    oct_safetensors_write(&file, s->t, n);
    return oct_outputs_add(d->outputs, oct_sprintf(s->arena, "%s/store.safetensors", d->dir), file.s, file.len);
}
