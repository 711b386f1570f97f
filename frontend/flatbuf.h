/* flatbuf.h - a bounded view of FlatBuffers bytes, which are hostile: nothing outside the file is read, whatever its offsets say,
 * and there is no recursion (offsets to parts point forward only).
 *
 * A read that finds something malformed says so once, in f->fault and f->fault_at, and gives the absent value; so a caller reads
 * all it wants and then looks at the fault. */
#ifndef OCT_FLATBUF_H
#define OCT_FLATBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oct_fb {
    const uint8_t *data;
    size_t len;
    const char *fault; /* NULL: none so far */
    size_t fault_at;   /* byte of the file */
};
/* A table: at 0, absent (no field is there). A vector: at is its first element. */
struct oct_fb_table {
    size_t at, vtable;
    uint32_t vtable_size, size;
};
struct oct_fb_vector {
    size_t at;
    uint32_t n;
};

/* The root table; `identifier`: the four bytes at offset 4. */
struct oct_fb_table oct_fb_root(struct oct_fb *f, const char *identifier);
bool oct_fb_has(struct oct_fb *f, struct oct_fb_table t, unsigned field);
/* Fields by number, in the schema's order. Integers of 1, 2, 4 or 8 bytes, sign-extended. */
int64_t oct_fb_int(struct oct_fb *f, struct oct_fb_table t, unsigned field, unsigned size, int64_t otherwise);
float oct_fb_float(struct oct_fb *f, struct oct_fb_table t, unsigned field, float otherwise);
struct oct_fb_table oct_fb_table(struct oct_fb *f, struct oct_fb_table t, unsigned field);
/* A vector of elements of `size` bytes (tables: 4). */
struct oct_fb_vector oct_fb_vector(struct oct_fb *f, struct oct_fb_table t, unsigned field, unsigned size);
/* Into the file, terminated there; "" when absent. */
const char *oct_fb_string(struct oct_fb *f, struct oct_fb_table t, unsigned field);
/* Element i < n of a vector. */
struct oct_fb_table oct_fb_table_at(struct oct_fb *f, struct oct_fb_vector v, uint32_t i);
int64_t oct_fb_int_at(const struct oct_fb *f, struct oct_fb_vector v, uint32_t i, unsigned size);
float oct_fb_float_at(const struct oct_fb *f, struct oct_fb_vector v, uint32_t i);

#endif
