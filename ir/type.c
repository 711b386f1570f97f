/* type.c - element types, tensor types and quantization parameters. Requires arena and text; everything of the IR uses it. */
#include <string.h>

#include "ir.h"

static const struct dtype_row {
    const char *word;
    uint8_t bits, is_float, is_signed;
} dtypes[] = {
#define DTYPE(name, word, bits, is_float, is_signed) {word, bits, is_float, is_signed},
#include "dtypes.def"
#undef DTYPE
};

const char *oct_dtype_name(enum oct_dtype t) { return dtypes[t].word; }
bool oct_dtype_is_float(enum oct_dtype t) { return dtypes[t].is_float; }
size_t oct_dtype_size(enum oct_dtype t) { return dtypes[t].bits < 8 ? 1 : dtypes[t].bits / 8u; }
int64_t oct_dtype_min(enum oct_dtype t) { return dtypes[t].is_signed ? -oct_dtype_max(t) - 1 : 0; }
int64_t oct_dtype_max(enum oct_dtype t) { return (int64_t)((1ull << (dtypes[t].bits - dtypes[t].is_signed)) - 1); }

void oct_store_int(enum oct_dtype t, void *data, int64_t i, int64_t v) {
    switch (oct_dtype_size(t)) {
    case 1: ((uint8_t *)data)[i] = (uint8_t)v; break;
    case 2: ((uint16_t *)data)[i] = (uint16_t)v; break;
    case 4: ((uint32_t *)data)[i] = (uint32_t)v; break;
    default: ((int64_t *)data)[i] = v; break;
    }
}

int64_t oct_load_int(enum oct_dtype t, const void *data, int64_t i) {
    switch (oct_dtype_size(t)) {
    case 1: return dtypes[t].is_signed ? (int64_t)((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
    case 2: return dtypes[t].is_signed ? (int64_t)((const int16_t *)data)[i] : ((const uint16_t *)data)[i];
    case 4: return ((const int32_t *)data)[i];
    default: return ((const int64_t *)data)[i];
    }
}

bool oct_dtype_parse(const char *word, enum oct_dtype *out) {
    for (unsigned t = 0; t < OCT_DTYPE_COUNT; t++)
        if (!strcmp(word, dtypes[t].word)) {
            *out = (enum oct_dtype)t;
            return true;
        }
    return false;
}

bool oct_shape_equal(const struct oct_type *a, const struct oct_type *b) {
    return a->rank == b->rank && (a->rank <= 0 || !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]));
}

bool oct_quant_equal(const struct oct_quant *a, const struct oct_quant *b) {
    if (a == b) return true;
    if (!a || !b || a->axis != b->axis || a->block != b->block || a->n != b->n) return false;
    if (memcmp(a->scale, b->scale, a->n * sizeof *a->scale)) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if ((a->zero ? a->zero[i] : 0) != (b->zero ? b->zero[i] : 0)) return false;
    return true;
}

bool oct_type_equal(const struct oct_type *a, const struct oct_type *b) {
    return a->dtype == b->dtype && oct_shape_equal(a, b) && oct_quant_equal(a->q, b->q);
}

bool oct_type_has_n(const struct oct_type *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] == OCT_DIM_N) return true;
    return false;
}

int64_t oct_type_elements(const struct oct_type *t, int64_t batch) {
    int64_t n = 1, cap = 0;
    if (__builtin_mul_overflow(OCT_MAX_ELEMENTS, batch, &cap)) return -1;
    for (int i = 0; i < t->rank; i++) {
        const int64_t d = t->dim[i] == OCT_DIM_N ? batch : t->dim[i];
        if (d < 0 || __builtin_mul_overflow(n, d, &n) || n > cap) return -1;
    }
    return n;
}

static void print_shape(struct oct_text *out, const struct oct_type *t) {
    oct_text_add(out, dtypes[t->dtype].word);
    if (t->rank < 0) return; /* dimensions not stated */
    oct_text_add(out, "[");
    for (int i = 0; i < t->rank; i++) {
        if (i) oct_text_add(out, ",");
        if (t->dim[i] == OCT_DIM_N) oct_text_add(out, "N");
        else oct_text_addf(out, "%lld", (long long)t->dim[i]);
    }
    oct_text_add(out, "]");
}

static void print_zeros(struct oct_text *out, const struct oct_quant *q) {
    for (uint32_t i = 0; i < q->n; i++) oct_text_addf(out, "%s%d", i ? "," : "", (int)q->zero[i]);
}

void oct_quant_print(struct oct_text *out, const struct oct_type *t, const char *scale_ref, const char *zero_ref) {
    const struct oct_quant *q = t->q;
    if (!q) return;
    if (q->axis < 0) {
        oct_text_add(out, " scale=");
        oct_text_add_f32(out, q->scale[0]);
        if (q->zero || t->dtype != OCT_I32) oct_text_addf(out, " zero=%d", (int)oct_zero(q, 0));
        return;
    }
    oct_text_addf(out, " scale[%d]=", q->axis);
    if (scale_ref) oct_text_add(out, scale_ref);
    else {
        oct_text_add(out, "(");
        for (uint32_t i = 0; i < q->n; i++) {
            if (i) oct_text_add(out, ",");
            oct_text_add_f32(out, q->scale[i]);
        }
        oct_text_add(out, ")");
    }
    if (!q->zero) return;
    oct_text_addf(out, " zero[%d]=", q->axis);
    if (zero_ref) oct_text_add(out, zero_ref);
    else {
        oct_text_add(out, "(");
        print_zeros(out, q);
        oct_text_add(out, ")");
    }
}

void oct_type_print(struct oct_text *out, const struct oct_type *t) {
    print_shape(out, t);
    oct_quant_print(out, t, NULL, NULL);
}

const char *oct_type_text(struct oct_arena *a, const struct oct_type *t) {
    struct oct_text out;
    oct_text_init(&out, a);
    print_shape(&out, t);
    if (t->q && t->q->axis < 0) oct_quant_print(&out, t, NULL, NULL);
    else if (t->q) oct_text_addf(&out, " scale[%d]=(%u values)", t->q->axis, t->q->n);
    return out.s;
}

const struct oct_quant *oct_quant_tensor(struct oct_arena *a, float scale, int32_t zero) {
    return oct_quant_channel(a, -1, 1, &scale, &zero);
}

const struct oct_quant *oct_quant_channel(struct oct_arena *a, int axis, uint32_t n, const float *scale, const int32_t *zero) {
    struct oct_quant *q = OCT_NEW(a, struct oct_quant);
    float *s = OCT_NEW_N(a, float, n);
    memcpy(s, scale, n * sizeof *s);
    *q = (struct oct_quant){.axis = axis, .n = n, .scale = s};
    if (zero) {
        int32_t *z = OCT_NEW_N(a, int32_t, n);
        memcpy(z, zero, n * sizeof *z);
        q->zero = z;
    }
    return q;
}
