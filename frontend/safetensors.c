/* safetensors.c - the weights container: 8 bytes of header length, a JSON header, then data without holes or overlaps.
 * The reader refuses all else; the JSON itself is jansson's. Requires file.c for the bytes. */
#include <stdlib.h>
#include <string.h>

#include "json_in.h"

static const uint64_t header_max = 100000000; /* the format's own limit */
enum { ALIGN = 64 };
static const struct oct_span nowhere;

/* What the format can hold; those that octavo has no type for are named so that they can be refused by name. */
static const struct {
    const char *word;
    int dtype; /* enum oct_dtype, or -1 */
} words[] = {{"F32", OCT_F32}, {"I8", OCT_I8},  {"U8", OCT_U8},  {"I16", OCT_I16}, {"U16", OCT_U16}, {"I32", OCT_I32},
             {"I64", OCT_I64}, {"F64", -1},     {"F16", -1},     {"BF16", -1},     {"U32", -1},      {"U64", -1},
             {"BOOL", -1},     {"F8_E4M3", -1}, {"F8_E5M2", -1}, {"F8_E8M0", -1},  {"C64", -1}};

struct reader {
    struct oct_ctx *cx;
    struct oct_arena *a;
    const char *file;
    const uint8_t *data; /* first byte behind the header */
    size_t data_len;
};

static bool bad(const struct reader *r, const char *fmt, ...) OCT_PRINTF(2, 3);
static bool bad(const struct reader *r, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, r->a);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(r->cx, nowhere, OCT_E4001, "%s: not a sound safetensors file: %s", r->file, t.s);
    return false;
}

/* A name for messages: hostile ones may be long or have control characters. */
static const char *shown(const struct reader *r, const char *name) {
    struct oct_text t;
    oct_text_init(&t, r->a);
    oct_text_add_quoted(&t, strlen(name) > 80 ? oct_strndup(r->a, name, 80) : name);
    return t.s;
}

/* Bounds what a JSON tree can cost before jansson builds it: a tensor's entry takes at least 50 bytes for its three
 * containers, and nothing nests deeper than {"name":{"shape":[. */
static bool cheap(const struct reader *r, const char *s, size_t n) {
    size_t containers = 0;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (s[i] == '\\') i++;
            else if (s[i] == '"') in_string = false;
        } else if (s[i] == '"') in_string = true;
        else if (s[i] == '{' || s[i] == '[') {
            containers++;
            if (++depth > 3) return bad(r, "the header nests too deeply");
        } else if (s[i] == '}' || s[i] == ']') depth--;
    }
    return containers <= n / 16 + 2 || bad(r, "the header holds %zu lists and objects in %zu bytes", containers, n);
}

static bool natural(const json_t *j, uint64_t *out) {
    if (!json_is_integer(j) || json_integer_value(j) < 0) return false;
    *out = (uint64_t)json_integer_value(j);
    return true;
}

static bool read_dtype(const struct reader *r, const char *name, const json_t *j, struct oct_st_tensor *t) {
    const char *word = json_string_value(j);
    if (!word) return bad(r, "tensor %s has no dtype", shown(r, name));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i].word) != 0) continue;
        if (words[i].dtype >= 0) {
            t->dtype = (enum oct_dtype)words[i].dtype;
            return true;
        }
        oct_error(r->cx, nowhere, OCT_E4002, "%s: tensor %s is %s, which octavo does not read", r->file, shown(r, name), word);
        oct_help(r->cx, "convert it to F32 before saving");
        return false;
    }
    return bad(r, "tensor %s has the unknown dtype %s", shown(r, name), shown(r, word));
}

static bool read_shape(const struct reader *r, const char *name, const json_t *j, struct oct_st_tensor *t) {
    if (!json_is_array(j)) return bad(r, "tensor %s has no shape", shown(r, name));
    if (json_array_size(j) > OCT_MAX_RANK)
        return bad(r, "tensor %s has %zu axes, at most %d are read", shown(r, name), json_array_size(j), OCT_MAX_RANK);
    t->rank = (int)json_array_size(j);
    uint64_t bytes = oct_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++) {
        uint64_t d;
        if (!natural(json_array_get(j, (size_t)i), &d))
            return bad(r, "tensor %s has a shape that is not made of natural numbers", shown(r, name));
        if (__builtin_mul_overflow(bytes, d, &bytes) || bytes > SIZE_MAX / 2)
            return bad(r, "the size of tensor %s overflows", shown(r, name));
        t->dim[i] = (int64_t)d;
    }
    t->bytes = (size_t)bytes;
    return true;
}

static bool read_offsets(const struct reader *r, const char *name, const json_t *j, struct oct_st_tensor *t) {
    uint64_t begin, end;
    if (json_array_size(j) != 2 || !natural(json_array_get(j, 0), &begin) || !natural(json_array_get(j, 1), &end))
        return bad(r, "tensor %s has no two data_offsets", shown(r, name));
    if (begin > end || end > r->data_len)
        return bad(r, "data of tensor %s at [%llu, %llu) lie outside of the file's %zu bytes of data", shown(r, name),
                   (unsigned long long)begin, (unsigned long long)end, r->data_len);
    if (end - begin != t->bytes)
        return bad(r, "tensor %s has %llu bytes of data, its shape needs %zu", shown(r, name), (unsigned long long)(end - begin),
                   t->bytes);
    t->data = r->data + begin;
    return true;
}

static bool read_tensor(const struct reader *r, const char *name, const json_t *entry, struct oct_st_tensor *t) {
    if (!json_is_object(entry)) return bad(r, "the entry of tensor %s is no object", shown(r, name));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)entry, key, value) {
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 && strcmp(key, "data_offsets") != 0)
            return bad(r, "tensor %s has the unknown field %s", shown(r, name), shown(r, key));
    }
    t->name = oct_strdup(r->a, name);
    return read_dtype(r, name, json_object_get(entry, "dtype"), t) && read_shape(r, name, json_object_get(entry, "shape"), t) &&
           read_offsets(r, name, json_object_get(entry, "data_offsets"), t);
}

static bool read_metadata(const struct reader *r, const json_t *meta) {
    const char *key;
    json_t *value;
    if (!json_is_object(meta)) return bad(r, "__metadata__ is no object");
    json_object_foreach((json_t *)meta, key, value) {
        if (!json_is_string(value)) return bad(r, "__metadata__ %s is no text", shown(r, key));
    }
    return true;
}

static int by_place(const void *x, const void *y) {
    const struct oct_st_tensor *a = x, *b = y;
    const uintptr_t p = (uintptr_t)a->data, q = (uintptr_t)b->data;
    if (p != q) return p < q ? -1 : 1;
    return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}
static int by_name(const void *x, const void *y) {
    return strcmp(((const struct oct_st_tensor *)x)->name, ((const struct oct_st_tensor *)y)->name);
}

/* Every byte of data belongs to exactly one tensor: polyglot files hide in holes. */
static bool gapless(const struct reader *r, struct oct_safetensors *s) {
    if (s->n) qsort(s->tensor, s->n, sizeof *s->tensor, by_place);
    size_t at = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct oct_st_tensor *t = &s->tensor[i];
        const size_t begin = (size_t)((const uint8_t *)t->data - r->data);
        if (begin < at)
            return bad(r, "data of tensor %s overlap those of %s", shown(r, t->name), shown(r, s->tensor[i - 1].name));
        if (begin > at) return bad(r, "%zu bytes of data before tensor %s belong to none", begin - at, shown(r, t->name));
        at = begin + t->bytes;
    }
    return at == r->data_len || bad(r, "the last %zu bytes of data belong to no tensor", r->data_len - at);
}

static void align(const struct reader *r, struct oct_safetensors *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        struct oct_st_tensor *t = &s->tensor[i];
        if ((uintptr_t)t->data % oct_dtype_size(t->dtype) == 0) continue;
        void *copy = oct_alloc(r->a, t->bytes);
        memcpy(copy, t->data, t->bytes);
        t->data = copy;
    }
}

bool oct_safetensors_read(struct oct_ctx *cx, struct oct_arena *a, struct oct_bytes file, const char *name,
                          struct oct_safetensors *out) {
    struct reader r = {.cx = cx, .a = a, .file = name};
    uint64_t n = 0;
    if (file.len < 8) return bad(&r, "%zu bytes are too few for a header", file.len);
    for (int i = 7; i >= 0; i--) n = n << 8 | file.data[i];
    if (n > header_max)
        return bad(&r, "a header of %llu bytes is longer than the format allows (100,000,000)", (unsigned long long)n);
    if (n > file.len - 8) return bad(&r, "the header of %llu bytes is cut off", (unsigned long long)n);
    const char *header = (const char *)file.data + 8;
    if (n == 0 || header[0] != '{') return bad(&r, "the header does not start with '{'");
    r.data = file.data + 8 + n;
    r.data_len = file.len - 8 - (size_t)n;
    if (!cheap(&r, header, (size_t)n)) return false;

    struct oct_arena *guard = oct_arena_new(cx);
    json_error_t fault;
    json_t *json = oct_json_parse(guard, (struct oct_bytes){file.data + 8, (size_t)n}, &fault);
    if (!json) {
        oct_arena_free(guard);
        return bad(&r, "the header is not JSON: %s (byte %d)", shown(&r, fault.text), fault.position);
    }
    *out = (struct oct_safetensors){.tensor = OCT_NEW_N(a, struct oct_st_tensor, json_object_size(json))};
    bool ok = true;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value) {
        if (!ok) break;
        if (strcmp(key, "__metadata__") == 0) ok = read_metadata(&r, value);
        else ok = read_tensor(&r, key, value, &out->tensor[out->n++]);
    }
    oct_arena_free(guard);
    if (!ok || !gapless(&r, out)) return false;
    align(&r, out);
    if (out->n) qsort(out->tensor, out->n, sizeof *out->tensor, by_name);
    return true;
}

const struct oct_st_tensor *oct_safetensors_find(const struct oct_safetensors *s, const char *name) {
    const struct oct_st_tensor key = {.name = name};
    return s->n ? bsearch(&key, s->tensor, s->n, sizeof key, by_name) : NULL;
}

static const char *word_of(enum oct_dtype t) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].dtype == (int)t) return words[i].word;
    return t == OCT_I4 ? "I8" : "U8"; /* sub-byte codes are stored one to a byte */
}

void oct_safetensors_write(struct oct_text *out, const struct oct_st_tensor *t, uint32_t n) {
    struct oct_text h;
    oct_text_init(&h, out->arena);
    oct_text_add(&h, "{");
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        oct_text_add(&h, i ? "," : "");
        oct_text_add_json(&h, t[i].name);
        oct_text_addf(&h, ":{\"dtype\":\"%s\",\"shape\":[", word_of(t[i].dtype));
        for (int k = 0; k < t[i].rank; k++) oct_text_addf(&h, "%s%lld", k ? "," : "", (long long)t[i].dim[k]);
        oct_text_addf(&h, "],\"data_offsets\":[%zu,%zu]}", at, at + t[i].bytes);
        at += t[i].bytes;
    }
    oct_text_add(&h, "}");
    while ((h.len + 8) % ALIGN) oct_text_add(&h, " ");
    char length[8];
    for (int i = 0; i < 8; i++) length[i] = (char)((uint64_t)h.len >> 8 * i & 0xff);
    oct_text_addn(out, length, 8);
    oct_text_addn(out, h.s, h.len);
    for (uint32_t i = 0; i < n; i++) oct_text_addn(out, t[i].data, t[i].bytes);
}
