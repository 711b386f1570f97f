/* onnx_tensor.c - TensorProto to constants: dims, raw bytes or typed fields or external data, and the element types that become
 * others. Nothing here trusts a length. */
#include <string.h>

#include "onnx_import.h"

/* ---- element types ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t size;
    int dtype; /* octavo's, or -1; 4-bit elements, once read, lie one to a byte */
} types[] = {
    [0] = {"undefined", 0, -1},
    [ONNX_FLOAT] = {"float", 4, OCT_F32},
    [ONNX_UINT8] = {"uint8", 1, OCT_U8},
    [ONNX_INT8] = {"int8", 1, OCT_I8},
    [ONNX_UINT16] = {"uint16", 2, OCT_U16},
    [ONNX_INT16] = {"int16", 2, OCT_I16},
    [ONNX_INT32] = {"int32", 4, OCT_I32},
    [ONNX_INT64] = {"int64", 8, -1},
    [8] = {"string", 0, -1},
    [ONNX_BOOL] = {"bool", 1, -1},
    [ONNX_FLOAT16] = {"float16", 2, -1},
    [ONNX_DOUBLE] = {"double", 8, -1},
    [ONNX_UINT32] = {"uint32", 4, -1},
    [ONNX_UINT64] = {"uint64", 8, -1},
    [14] = {"complex64", 0, -1},
    [15] = {"complex128", 0, -1},
    [ONNX_BFLOAT16] = {"bfloat16", 2, -1},
    [17] = {"float8e4m3fn", 0, -1},
    [18] = {"float8e4m3fnuz", 0, -1},
    [19] = {"float8e5m2", 0, -1},
    [20] = {"float8e5m2fnuz", 0, -1},
    [ONNX_UINT4] = {"uint4", 1, OCT_U4},
    [ONNX_INT4] = {"int4", 1, OCT_I4},
    [23] = {"float4e2m1", 0, -1},
};
static bool known(int32_t type) { return type >= 0 && type < (int32_t)(sizeof types / sizeof *types); }

size_t oct_onnx_size(int32_t type) { return known(type) ? types[type].size : 0; }
const char *oct_onnx_type_name(int32_t type) { return known(type) && types[type].name ? types[type].name : "unknown"; }
bool oct_onnx_dtype(int32_t type, enum oct_dtype *out) {
    if (!known(type) || types[type].size == 0 || types[type].dtype < 0) return false;
    *out = (enum oct_dtype)types[type].dtype;
    return true;
}

int64_t oct_onnx_get_int(const struct oct_onnx_const *c, int64_t i) {
    switch (c->type) {
    case ONNX_BOOL:
    case ONNX_UINT4:
    case ONNX_UINT8: return ((const uint8_t *)c->data)[i];
    case ONNX_INT4:
    case ONNX_INT8: return ((const int8_t *)c->data)[i];
    case ONNX_UINT16: return ((const uint16_t *)c->data)[i];
    case ONNX_INT16: return ((const int16_t *)c->data)[i];
    case ONNX_INT32: return ((const int32_t *)c->data)[i];
    case ONNX_INT64: return ((const int64_t *)c->data)[i];
    default: return 0;
    }
}
double oct_onnx_get_real(const struct oct_onnx_const *c, int64_t i) {
    return c->type == ONNX_FLOAT ? (double)((const float *)c->data)[i] : (double)oct_onnx_get_int(c, i);
}

/* IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. Exact. */
static float from_half(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float x = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return h & 0x8000 ? -x : x;
}
static float from_bfloat(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

struct reader {
    struct oct_onnx *im;
    const char *what;
};
static bool invalid(const struct reader *r, enum oct_diag_id id, const char *text) {
    oct_error(r->im->cx, r->im->span, id, "%s: %s", r->what, text);
    r->im->failed = true;
    return false;
}

static bool read_dims(const struct reader *r, const OctOnnx__Tensor *t, struct oct_onnx_const *c) {
    if (t->n_dims > OCT_MAX_RANK) return invalid(r, OCT_E3009, "more than 8 dimensions");
    c->rank = (int)t->n_dims;
    c->n = 1;
    bool empty = false;
    for (int i = 0; i < c->rank; i++) {
        c->dim[i] = t->dims[i];
        if (c->dim[i] < 0) return invalid(r, OCT_E3007, "a dimension is negative");
        if (c->dim[i] > OCT_MAX_ELEMENTS) return invalid(r, OCT_E3007, "its dimensions multiply to too many elements");
        if (c->dim[i] == 0) empty = true;
        else if (c->n > OCT_MAX_ELEMENTS / c->dim[i])
            return invalid(r, OCT_E3007, "its dimensions multiply to too many elements");
        else c->n *= c->dim[i];
    }
    if (empty) c->n = 0;
    return true;
}

static bool is_nibble(int32_t type) { return type == ONNX_UINT4 || type == ONNX_INT4; }
/* Bytes that the file has of it: of 4-bit elements two to a byte, the first in the low half. */
static size_t stored_bytes(const struct oct_onnx_const *c) {
    return is_nibble(c->type) ? ((size_t)c->n + 1) / 2 : (size_t)c->n * oct_onnx_size(c->type);
}

/* Elements out of the typed fields, in the type's own width; the format keeps small integers in int32_data. */
static bool typed_field(const struct reader *r, const OctOnnx__Tensor *t, struct oct_onnx_const *c) {
    size_t size = oct_onnx_size(c->type),
           n = is_nibble(c->type) ? stored_bytes(c) : (size_t)c->n; /* of 4-bit elements the bytes */
    const void *from = NULL;
    size_t have = 0;
    switch (c->type) {
    case ONNX_FLOAT: from = t->float_data, have = t->n_float_data; break;
    case ONNX_DOUBLE: from = t->double_data, have = t->n_double_data; break;
    case ONNX_INT64: from = t->int64_data, have = t->n_int64_data; break;
    case ONNX_UINT32:
    case ONNX_UINT64: from = t->uint64_data, have = t->n_uint64_data; break;
    default: from = t->int32_data, have = t->n_int32_data;
    }
    if (have != n)
        return invalid(r, OCT_E3007, oct_sprintf(r->im->a, "it holds %zu elements, but its dimensions ask for %zu", have, n));
    if (n == 0 || size == 8 || c->type == ONNX_FLOAT || c->type == ONNX_INT32) {
        c->data = from;
        return true;
    }
    uint8_t *to = OCT_NEW_N(r->im->a, uint8_t, n * size);
    for (size_t i = 0; i < n; i++) { /* little-endian: the low bytes come first */
        bool narrow = c->type == ONNX_UINT32;
        int64_t v = narrow ? (int64_t)t->uint64_data[i] : t->int32_data[i];
        bool fits = narrow                  ? t->uint64_data[i] <= UINT32_MAX
                    : c->type == ONNX_INT8  ? v >= INT8_MIN && v <= INT8_MAX
                    : c->type == ONNX_INT16 ? v >= INT16_MIN && v <= INT16_MAX
                    : c->type == ONNX_BOOL  ? v == 0 || v == 1
                                            : v >= 0 && v < (int64_t)1 << 8 * size;
        if (!fits) return invalid(r, OCT_E3007, oct_sprintf(r->im->a, "element %zu is no %s", i, oct_onnx_type_name(c->type)));
        memcpy(to + i * size, &v, size);
    }
    c->data = to;
    return true;
}

/* ---- external data -------------------------------------------------------------------------------------------------------- */

struct oct_onnx_file {
    const char *name;
    struct oct_bytes bytes;
    struct oct_onnx_file *next;
};

static bool open_file(const struct reader *r, const char *name, struct oct_bytes *out) {
    for (const struct oct_onnx_file *f = r->im->files; f; f = f->next)
        if (!strcmp(f->name, name)) {
            *out = f->bytes;
            return true;
        }
    if (!r->im->path || !oct_read_beneath(r->im->cx, r->im->path, name, r->im->span, out)) {
        if (r->im->path) oct_note(r->im->cx, r->im->span, "%s is kept there", r->what);
        else invalid(r, OCT_E3008, "external data of a model that is no file");
        r->im->failed = true;
        return false;
    }
    struct oct_onnx_file *f = OCT_NEW(r->im->a, struct oct_onnx_file);
    *f = (struct oct_onnx_file){name, *out, r->im->files};
    r->im->files = f;
    return true;
}

/* A decimal number without sign, at most 2^62. */
static bool number(const char *s, uint64_t *out) {
    *out = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || *out > ((uint64_t)1 << 62) / 10) return false;
        *out = *out * 10 + (uint64_t)(*s - '0');
    }
    return true;
}

static bool external(const struct reader *r, const OctOnnx__Tensor *t, struct oct_onnx_const *c) {
    static const char *const keys[] = {"location", "offset", "length", "checksum"};
    enum { KEYS = sizeof keys / sizeof *keys };
    const char *given[KEYS] = {NULL};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key ? t->external_data[i]->key : "";
        int k = 0;
        while (k < KEYS && strcmp(key, keys[k])) k++;
        if (k == KEYS)
            return invalid(r, OCT_E3008,
                           oct_sprintf(r->im->a, "its external data has the unknown key %s", oct_onnx_quote(r->im, key)));
        if (given[k]) return invalid(r, OCT_E3008, oct_sprintf(r->im->a, "its external data gives '%s' twice", keys[k]));
        given[k] = t->external_data[i]->value ? t->external_data[i]->value : "";
    }
    uint64_t offset = 0, length = 0, need = stored_bytes(c);
    if (!given[0] || !*given[0]) return invalid(r, OCT_E3008, "its external data names no file");
    if ((given[1] && !number(given[1], &offset)) || (given[2] && !number(given[2], &length)))
        return invalid(r, OCT_E3008, "offset or length of its external data is no number of bytes");
    struct oct_bytes file;
    if (!open_file(r, given[0], &file)) return false;
    if (offset > file.len || (given[2] && length > file.len - offset))
        return invalid(r, OCT_E3008,
                       oct_sprintf(r->im->a, "its external data lies beyond the %zu bytes of %s", file.len,
                                   oct_onnx_quote(r->im, given[0])));
    if (!given[2]) length = file.len - offset;
    if (length != need)
        return invalid(r, OCT_E3008,
                       oct_sprintf(r->im->a, "its external data is %llu bytes, but its dimensions ask for %llu",
                                   (unsigned long long)length, (unsigned long long)need));
    c->data = file.data + offset;
    return true;
}

/* ---- one tensor ---------------------------------------------------------------------------------------------------------------
 */

/* Types that octavo computes in another one. */
static bool convert(const struct reader *r, struct oct_onnx_const *c) {
    bool real = c->type == ONNX_FLOAT16 || c->type == ONNX_BFLOAT16 || c->type == ONNX_DOUBLE;
    if (!real && c->type != ONNX_UINT32 && c->type != ONNX_UINT64) return true;
    size_t n = (size_t)c->n;
    if (!oct_onnx_budget(r->im, n * (real ? 4 : 8))) return false;
    float *f = real ? OCT_NEW_N(r->im->a, float, n) : NULL;
    int64_t *v = real ? NULL : OCT_NEW_N(r->im->a, int64_t, n);
    for (size_t i = 0; i < n; i++) {
        switch (c->type) {
        case ONNX_FLOAT16: f[i] = from_half(((const uint16_t *)c->data)[i]); break;
        case ONNX_BFLOAT16: f[i] = from_bfloat(((const uint16_t *)c->data)[i]); break;
        case ONNX_DOUBLE:
            f[i] = (float)((const double *)c->data)[i];
            if (isinf(f[i]) && !isinf(((const double *)c->data)[i]))
                return invalid(r, OCT_E3007, "an element exceeds the range of f32");
            break;
        case ONNX_UINT32: v[i] = ((const uint32_t *)c->data)[i]; break;
        default:
            if (((const uint64_t *)c->data)[i] > INT64_MAX) return invalid(r, OCT_E3007, "an element exceeds 2^63");
            v[i] = (int64_t)((const uint64_t *)c->data)[i];
        }
    }
    if (real) oct_onnx_tell_type(r->im, c->type, "f32");
    c->data = real ? (void *)f : v;
    c->type = real ? ONNX_FLOAT : ONNX_INT64;
    return true;
}

/* 4-bit elements, one to a byte from here on. */
static bool unpack(const struct reader *r, struct oct_onnx_const *c) {
    if (!oct_onnx_budget(r->im, (size_t)c->n)) return false;
    uint8_t *to = OCT_NEW_N(r->im->a, uint8_t, c->n);
    for (int64_t i = 0; i < c->n; i++) {
        const unsigned pair = ((const uint8_t *)c->data)[i / 2], v = (i % 2 ? pair >> 4 : pair) & 15u;
        to[i] = (uint8_t)(c->type == ONNX_INT4 && v > 7 ? v | 0xf0u : v);
    }
    c->data = to;
    return true;
}

/* Elements are read in place, so they have to lie where their type may. */
static bool align(const struct reader *r, struct oct_onnx_const *c) {
    size_t size = oct_onnx_size(c->type), bytes = (size_t)c->n * size;
    if ((uintptr_t)c->data % size == 0 || bytes == 0) return true;
    if (!oct_onnx_budget(r->im, bytes)) return false;
    c->data = memcpy(oct_alloc(r->im->a, bytes), c->data, bytes);
    return true;
}

const struct oct_onnx_const *oct_onnx_read_tensor(struct oct_onnx *im, const OctOnnx__Tensor *t, const char *what) {
    struct reader r = {im, what};
    struct oct_onnx_const *c = OCT_NEW(im->a, struct oct_onnx_const);
    c->type = t->data_type;
    size_t size = oct_onnx_size(c->type);
    if (!size) {
        invalid(&r, OCT_E3009,
                oct_sprintf(im->a, "elements of type %s (%d) are not read", oct_onnx_type_name(c->type), (int)c->type));
        return NULL;
    }
    if (!read_dims(&r, t, c)) return NULL;
    size_t typed = t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data + t->n_uint64_data;
    bool outside = t->data_location == 1 || t->n_external_data;
    if ((outside && (t->has_raw_data || typed)) || (t->has_raw_data && typed)) {
        invalid(&r, OCT_E3007, "it has data in more than one place");
        return NULL;
    }
    if (outside) {
        if (!external(&r, t, c)) return NULL;
    } else if (t->has_raw_data) {
        if (t->raw_data.len != stored_bytes(c)) {
            invalid(&r, OCT_E3007,
                    oct_sprintf(im->a, "it holds %zu bytes, but its dimensions ask for %zu", t->raw_data.len, stored_bytes(c)));
            return NULL;
        }
        c->data = t->raw_data.data;
    } else if (!typed_field(&r, t, c)) {
        return NULL;
    }
    if (is_nibble(c->type)) return unpack(&r, c) ? c : NULL;
    return align(&r, c) && convert(&r, c) ? c : NULL;
}
