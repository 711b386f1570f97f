/* flatbuf.c - see flatbuf.h. The format: a table starts with the signed distance back to its vtable; the vtable holds its own
 * size, the table's, and for each field the distance from the table's start (0: absent). Tables, vectors and strings are referred
 * to by an unsigned distance forward from where it is stored; vectors and strings start with their length. All little-endian. */
#include "flatbuf.h"

#include <string.h>

static bool fault(struct oct_fb *f, size_t at, const char *what) {
    if (!f->fault) f->fault = what, f->fault_at = at;
    return false;
}

static bool within(struct oct_fb *f, size_t at, size_t bytes) {
    return (at <= f->len && bytes <= f->len - at) || fault(f, at, "something lies behind the end of the file");
}

/* Bytes that were found within the file. */
static uint64_t load(const struct oct_fb *f, size_t at, unsigned size) {
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) v |= (uint64_t)f->data[at + i] << (8 * i);
    return v;
}

static struct oct_fb_table table(struct oct_fb *f, size_t at) {
    const struct oct_fb_table none = {0, 0, 0, 0};
    if (!within(f, at, 4)) return none;
    const int64_t vtable = (int64_t)at - (int32_t)load(f, at, 4);
    if (vtable < 0 || !within(f, (size_t)vtable, 4)) return fault(f, at, "a table without a vtable"), none;
    const struct oct_fb_table t = {at, (size_t)vtable, (uint32_t)load(f, (size_t)vtable, 2),
                                   (uint32_t)load(f, (size_t)vtable + 2, 2)};
    if (t.vtable_size < 4 || t.vtable_size % 2 || t.size < 4) return fault(f, t.vtable, "a vtable of an impossible size"), none;
    return within(f, t.vtable, t.vtable_size) && within(f, at, t.size) ? t : none;
}

/* Where a field of so many bytes lies; 0: it is absent. */
static size_t field_at(struct oct_fb *f, struct oct_fb_table t, unsigned field, unsigned size) {
    if (!t.at || 4 + 2 * (size_t)field + 2 > t.vtable_size) return 0;
    const uint32_t offset = (uint32_t)load(f, t.vtable + 4 + 2 * (size_t)field, 2);
    if (!offset) return 0;
    if (offset < 4 || offset + size > t.size) return fault(f, t.at, "a field outside its table"), (size_t)0;
    return t.at + offset;
}

/* What a stored distance points to; 0 after a fault. */
static size_t follow(struct oct_fb *f, size_t at) {
    const size_t distance = (size_t)load(f, at, 4);
    if (distance < 4) return fault(f, at, "an offset that points nowhere"), (size_t)0;
    return within(f, at, distance) ? at + distance : 0;
}

struct oct_fb_table oct_fb_root(struct oct_fb *f, const char *identifier) {
    if (!within(f, 0, 8)) return (struct oct_fb_table){0, 0, 0, 0};
    if (memcmp(f->data + 4, identifier, 4) != 0) fault(f, 4, "another file identifier");
    const size_t at = follow(f, 0);
    return at && !f->fault ? table(f, at) : (struct oct_fb_table){0, 0, 0, 0};
}

bool oct_fb_has(struct oct_fb *f, struct oct_fb_table t, unsigned field) { return field_at(f, t, field, 1) != 0; }

static int64_t extended(uint64_t v, unsigned size) {
    const unsigned unused = 64 - 8 * size;
    return (int64_t)(v << unused) >> unused;
}

int64_t oct_fb_int(struct oct_fb *f, struct oct_fb_table t, unsigned field, unsigned size, int64_t otherwise) {
    const size_t at = field_at(f, t, field, size);
    return at ? extended(load(f, at, size), size) : otherwise;
}

static float float_of(uint64_t bits) {
    const uint32_t u = (uint32_t)bits;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float oct_fb_float(struct oct_fb *f, struct oct_fb_table t, unsigned field, float otherwise) {
    const size_t at = field_at(f, t, field, 4);
    return at ? float_of(load(f, at, 4)) : otherwise;
}

struct oct_fb_table oct_fb_table(struct oct_fb *f, struct oct_fb_table t, unsigned field) {
    const size_t at = field_at(f, t, field, 4), to = at ? follow(f, at) : 0;
    return to ? table(f, to) : (struct oct_fb_table){0, 0, 0, 0};
}

struct oct_fb_vector oct_fb_vector(struct oct_fb *f, struct oct_fb_table t, unsigned field, unsigned size) {
    const struct oct_fb_vector none = {0, 0};
    const size_t at = field_at(f, t, field, 4), to = at ? follow(f, at) : 0;
    if (!to || !within(f, to, 4)) return none;
    const uint32_t n = (uint32_t)load(f, to, 4);
    return within(f, to + 4, (size_t)n * size) ? (struct oct_fb_vector){to + 4, n} : none;
}

const char *oct_fb_string(struct oct_fb *f, struct oct_fb_table t, unsigned field) {
    const struct oct_fb_vector v = oct_fb_vector(f, t, field, 1);
    if (!v.at) return "";
    if (!within(f, v.at, (size_t)v.n + 1)) return "";
    const char *s = (const char *)f->data + v.at;
    if (memchr(s, 0, (size_t)v.n + 1) != s + v.n)
        return fault(f, v.at, "a string with a zero byte, or without one at its end"), "";
    return s;
}

struct oct_fb_table oct_fb_table_at(struct oct_fb *f, struct oct_fb_vector v, uint32_t i) {
    const size_t to = follow(f, v.at + 4 * (size_t)i);
    return to ? table(f, to) : (struct oct_fb_table){0, 0, 0, 0};
}

int64_t oct_fb_int_at(const struct oct_fb *f, struct oct_fb_vector v, uint32_t i, unsigned size) {
    return extended(load(f, v.at + (size_t)i * size, size), size);
}

float oct_fb_float_at(const struct oct_fb *f, struct oct_fb_vector v, uint32_t i) {
    return float_of(load(f, v.at + 4 * (size_t)i, 4));
}
