/* npy.c - NumPy's array files, format 1 to 3: magic, version, a Python dict as header, C-order data. Only that dict is
 * understood, never Python: no pickles, no structured types. Requires file.c. */
#include <string.h>

#include "frontend.h"

enum { HEADER_MAX = 10000, ALIGN = 64 };
static const struct oct_span nowhere;

static const struct {
    const char *descr;
    size_t size;
} types[OCT_NPY_TYPE_COUNT] = {
    [OCT_NPY_F32] = {"<f4", 4}, [OCT_NPY_F64] = {"<f8", 8}, [OCT_NPY_I8] = {"|i1", 1}, [OCT_NPY_U8] = {"|u1", 1},
    [OCT_NPY_I16] = {"<i2", 2}, [OCT_NPY_I32] = {"<i4", 4}, [OCT_NPY_I64] = {"<i8", 8}};

struct reader {
    struct oct_ctx *cx;
    const char *file;
    const char *p, *end; /* what is left of the header */
    struct oct_array *out;
    size_t size;   /* bytes per element */
    unsigned seen; /* bits of keys */
};
enum { DESCR = 1, FORTRAN = 2, SHAPE = 4 };

static bool bad(const struct reader *r, const char *fmt, ...) OCT_PRINTF(2, 3);
static bool bad(const struct reader *r, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, oct_own(r->cx));
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(r->cx, nowhere, OCT_E4003, "%s: not a readable .npy file: %s", r->file, t.s);
    return false;
}

static void skip_space(struct reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t')) r->p++;
}

/* Takes `word` when it comes next. */
static bool take(struct reader *r, const char *word) {
    skip_space(r);
    const size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) return false;
    r->p += n;
    return true;
}

/* string: '...' or "..." without escapes; NULL when there is none. */
static const char *take_string(struct reader *r) {
    skip_space(r);
    if (r->p == r->end || (*r->p != '\'' && *r->p != '"')) return NULL;
    const char *begin = r->p + 1, *close = memchr(begin, *r->p, (size_t)(r->end - begin));
    if (!close) return NULL;
    r->p = close + 1;
    for (const char *c = begin; c < close; c++)
        if (*c < 0x20 || *c > 0x7e || *c == '\\') return NULL;
    return oct_strndup(oct_own(r->cx), begin, (size_t)(close - begin));
}

static bool read_descr(struct reader *r) {
    const char *s = take_string(r);
    if (!s) return bad(r, "its element type is structured or malformed");
    if (strchr(s, 'O')) {
        bad(r, "it holds Python objects, which would have to be unpickled");
        oct_help(r->cx, "save a plain numeric array: numpy.save(file, x.astype('float32'))");
        return false;
    }
    for (int i = 0; i < OCT_NPY_TYPE_COUNT; i++) {
        if (strcmp(s + 1, types[i].descr + 1) != 0 || !strchr(types[i].size == 1 ? "|<=>" : "<=", s[0])) continue;
        r->out->type = (enum oct_npy_type)i;
        r->size = types[i].size;
        return true;
    }
    bad(r, "its element type '%s' is not one of f4 f8 i1 u1 i2 i4 i8, little-endian", strlen(s) > 40 ? "..." : s);
    oct_help(r->cx, "convert it first: x.astype('<f4')");
    return false;
}

/* shape: ( [int {, int} [,]] ) */
static bool read_shape(struct reader *r) {
    if (!take(r, "(")) return bad(r, "its shape is no tuple");
    while (!take(r, ")")) {
        if (r->out->rank == OCT_MAX_RANK) return bad(r, "it has more than %d axes", OCT_MAX_RANK);
        int64_t d = 0;
        const char *first = r->p;
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
            if (__builtin_mul_overflow(d, 10, &d) || __builtin_add_overflow(d, *r->p++ - '0', &d))
                return bad(r, "an axis of its shape overflows");
        if (r->p == first) return bad(r, "its shape is malformed");
        r->out->dim[r->out->rank++] = d;
        if (take(r, ",")) continue;
        if (!take(r, ")")) return bad(r, "its shape is malformed");
        break;
    }
    return true;
}

static bool read_order(struct reader *r, bool *fortran) {
    *fortran = take(r, "True");
    return *fortran || take(r, "False") || bad(r, "its fortran_order is neither True nor False");
}

static bool read_header(struct reader *r) {
    bool fortran = false;
    if (!take(r, "{")) return bad(r, "its header is no dict");
    while (!take(r, "}")) {
        const char *key = take_string(r);
        const unsigned bit = !key                                ? 0
                             : strcmp(key, "descr") == 0         ? DESCR
                             : strcmp(key, "fortran_order") == 0 ? FORTRAN
                             : strcmp(key, "shape") == 0         ? SHAPE
                                                                 : 0;
        if (!bit || !take(r, ":")) return bad(r, "its header has an entry other than descr, fortran_order and shape");
        if (r->seen & bit) return bad(r, "its header gives %s twice", key);
        r->seen |= bit;
        if (!(bit == DESCR ? read_descr(r) : bit == FORTRAN ? read_order(r, &fortran) : read_shape(r))) return false;
        if (take(r, ",")) continue;
        if (!take(r, "}")) return bad(r, "its header is malformed");
        break;
    }
    skip_space(r);
    if (r->p != r->end) return bad(r, "its header does not end behind the dict");
    if (r->seen != (DESCR | FORTRAN | SHAPE)) return bad(r, "its header lacks descr, fortran_order or shape");
    if (fortran && r->out->rank > 1) {
        bad(r, "it is in Fortran order");
        oct_help(r->cx, "save it in C order: numpy.save(file, numpy.ascontiguousarray(x))");
        return false;
    }
    return true;
}

bool oct_npy_parse(struct oct_ctx *cx, struct oct_bytes file, const char *name, struct oct_array *out) {
    struct reader r = {.cx = cx, .file = name, .out = out};
    *out = (struct oct_array){.name = name};
    if (file.len < 10 || memcmp(file.data, "\x93NUMPY", 6) != 0) return bad(&r, "it does not start with the magic of one");
    const int version = file.data[6];
    if (version < 1 || version > 3 || file.data[7] != 0) return bad(&r, "format %d.%d is unknown", version, file.data[7]);
    size_t at = version == 1 ? 10 : 12;
    if (file.len < at) return bad(&r, "it is cut off");
    uint32_t n = file.data[8] | (uint32_t)file.data[9] << 8;
    if (version > 1) n |= (uint32_t)file.data[10] << 16 | (uint32_t)file.data[11] << 24;
    if (n > HEADER_MAX) return bad(&r, "its header has %u bytes, more than %d", n, HEADER_MAX);
    if (n > file.len - at) return bad(&r, "its header is cut off");
    r.p = (const char *)file.data + at;
    r.end = r.p + n;
    if (!read_header(&r)) return false;

    at += n;
    size_t bytes = r.size;
    for (int i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)out->dim[i], &bytes)) return bad(&r, "the size of its shape overflows");
    if (bytes != file.len - at) return bad(&r, "its shape needs %zu bytes of data, the file has %zu", bytes, file.len - at);
    out->data = file.data + at;
    if ((uintptr_t)out->data % r.size) {
        void *copy = oct_alloc(oct_own(cx), bytes);
        memcpy(copy, out->data, bytes);
        out->data = copy;
    }
    return true;
}

void oct_array_slice(struct oct_array *x, int64_t from, int64_t to) {
    size_t row = types[x->type].size;
    for (int i = 1; i < x->rank; i++) row *= (size_t)x->dim[i];
    x->data = (const uint8_t *)x->data + (size_t)from * row;
    x->dim[0] = to - from;
}

bool oct_npy_read(struct oct_ctx *cx, struct oct_arena *a, const char *path, struct oct_array *out) {
    struct oct_file file;
    if (!oct_open_file(cx, path, &file)) return false;
    if (!oct_npy_parse(cx, file.bytes, oct_strdup(a, strcmp(path, "-") ? path : "<stdin>"), out)) return false;
    const uintptr_t at = (uintptr_t)out->data, begin = (uintptr_t)file.bytes.data;
    if (at >= begin && at <= begin + file.bytes.len) out->file = file; /* else it was copied */
    oct_file_forget(&file);
    return true;
}

void oct_npy_write(struct oct_text *out, const struct oct_array *x) {
    struct oct_text h;
    oct_text_init(&h, out->arena);
    oct_text_addf(&h, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[x->type].descr);
    size_t bytes = types[x->type].size;
    for (int i = 0; i < x->rank; i++) {
        oct_text_addf(&h, "%s%lld", i ? ", " : "", (long long)x->dim[i]);
        bytes *= (size_t)x->dim[i];
    }
    oct_text_add(&h, x->rank == 1 ? ",), }" : "), }");
    while ((10 + h.len + 1) % ALIGN) oct_text_add(&h, " ");
    oct_text_add(&h, "\n");
    const char prefix[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(h.len & 0xff), (char)(h.len >> 8)};
    oct_text_addn(out, prefix, sizeof prefix);
    oct_text_addn(out, h.s, h.len);
    oct_text_addn(out, x->data, bytes);
}
