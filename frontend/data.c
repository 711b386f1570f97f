/* data.c - makes arrays fit a model's inputs: shapes checked, element types converted, loudly where that loses something.
 * Requires npy.c, and the interpreter's oct_quantize1 for real values that a quantized input takes. */
#include <math.h>
#include <string.h>

#include "../ir/interp.h"
#include "frontend.h"

static const struct oct_span nowhere;

static const struct {
    const char *name;
    size_t size;
    int dtype; /* enum oct_dtype with the same elements, or -1 */
} types[OCT_NPY_TYPE_COUNT] = {
    [OCT_NPY_F32] = {"f32", 4, OCT_F32}, [OCT_NPY_F64] = {"f64", 8, -1},      [OCT_NPY_I8] = {"i8", 1, OCT_I8},
    [OCT_NPY_U8] = {"u8", 1, OCT_U8},    [OCT_NPY_I16] = {"i16", 2, OCT_I16}, [OCT_NPY_I32] = {"i32", 4, OCT_I32},
    [OCT_NPY_I64] = {"i64", 8, OCT_I64}};

static bool is_float(enum oct_npy_type t) { return t == OCT_NPY_F32 || t == OCT_NPY_F64; }

/* Element i as a double; exact but for i64 beyond 2^53, which *exact tells. */
static double element(const struct oct_array *x, int64_t i, bool *exact) {
    switch (x->type) {
    case OCT_NPY_F32: return (double)((const float *)x->data)[i];
    case OCT_NPY_F64: return ((const double *)x->data)[i];
    case OCT_NPY_I8: return ((const int8_t *)x->data)[i];
    case OCT_NPY_U8: return ((const uint8_t *)x->data)[i];
    case OCT_NPY_I16: return ((const int16_t *)x->data)[i];
    case OCT_NPY_I32: return ((const int32_t *)x->data)[i];
    default: break;
    }
    const int64_t v = ((const int64_t *)x->data)[i];
    *exact = v >= -((int64_t)1 << 53) && v <= (int64_t)1 << 53;
    return (double)v;
}

static void store(enum oct_dtype t, void *to, int64_t i, int64_t v) {
    switch (t) {
    case OCT_I4:
    case OCT_I8: ((int8_t *)to)[i] = (int8_t)v; break;
    case OCT_U4:
    case OCT_U8: ((uint8_t *)to)[i] = (uint8_t)v; break;
    case OCT_I16: ((int16_t *)to)[i] = (int16_t)v; break;
    case OCT_U16: ((uint16_t *)to)[i] = (uint16_t)v; break;
    case OCT_I32: ((int32_t *)to)[i] = (int32_t)v; break;
    default: ((int64_t *)to)[i] = v; break;
    }
}

/* The integer nearest to d (ties to even) among those of the type; *exact: it is d. */
static int64_t nearest(enum oct_dtype t, double d, bool *exact) {
    const int64_t lo = oct_dtype_min(t), hi = oct_dtype_max(t);
    int64_t v;
    if (isnan(d)) v = 0;
    else if (d >= (double)hi) v = hi; /* also where hi rounds up to 2^63 */
    else if (d <= (double)lo) v = lo;
    else v = (int64_t)nearbyint(d);
    *exact = *exact && (double)v == d;
    return v;
}

/* Tells how many elements changed. */
static int64_t convert(const struct oct_array *x, int64_t n, const struct oct_type *t, bool as_codes, void *to) {
    int64_t changed = 0;
    for (int64_t i = 0; i < n; i++) {
        bool exact = true;
        const double d = element(x, i, &exact);
        if (t->dtype == OCT_F32) {
            const float f = (float)d;
            ((float *)to)[i] = f;
            exact = exact && ((double)f == d || isnan(d));
        } else if (as_codes) store(t->dtype, to, i, nearest(t->dtype, d, &exact));
        else {
            store(t->dtype, to, i,
                  oct_quantize1((float)d, oct_scale(t->q, 0), oct_zero(t->q, 0), (int32_t)oct_dtype_min(t->dtype),
                                (int32_t)oct_dtype_max(t->dtype), OCT_divide_div, OCT_order_before));
            exact = !isnan(d); /* rounding is what quantizing means */
        }
        changed += !exact;
    }
    return changed;
}

static const char *shape_text(struct oct_arena *a, const struct oct_array *x) {
    struct oct_text t;
    oct_text_init(&t, a);
    oct_text_addf(&t, "%s[", types[x->type].name);
    for (int i = 0; i < x->rank; i++) oct_text_addf(&t, "%s%lld", i ? "," : "", (long long)x->dim[i]);
    oct_text_add(&t, "]");
    return t.s;
}

/* Axis 0 of the data counts the samples: it stands for the input's N or fills its fixed batch once or more, or it comes before
 * an input that has neither. */
static bool fit_shape(struct oct_ctx *cx, struct oct_arena *a, const struct oct_array *x, const struct oct_node *input,
                      int64_t *samples) {
    const struct oct_type *t = &input->type;
    const bool has_n = oct_type_has_n(t);
    for (int lead = t->rank == 0; lead <= !has_n; lead++) { /* lead: the data have an axis more than the input */
        bool same = x->rank == t->rank + lead;
        for (int i = !lead; same && i < t->rank; i++) same = t->dim[i] == x->dim[i + lead];
        if (!same || (!lead && !has_n && x->dim[0] % t->dim[0] != 0)) continue;
        *samples = x->dim[0] * (lead && t->rank ? t->dim[0] : 1);
        if (*samples > 0) return true;
        oct_error(cx, nowhere, OCT_E4004, "%s: there are no samples in %s", x->name, shape_text(a, x));
        return false;
    }
    oct_error(cx, nowhere, OCT_E4004, "%s: data are %s, but input '%s' is %s", x->name, shape_text(a, x), input->name,
              oct_type_text(a, t));
    if (input->span.source) oct_note(cx, input->span, "'%s' is an input of the model here", input->name);
    oct_help(cx, "axis 0 of the data counts the samples; the other axes must be those of the input");
    return false;
}

/* An array as an input takes it. Nothing of it is kept in memory: a run is copied or converted when it is read. */
struct source {
    struct oct_array x;
    struct oct_type type;
    int64_t each; /* elements of one run */
    bool same, as_codes;
};

static const void *place(const struct oct_array *x, int64_t element) {
    return (const unsigned char *)x->data + (size_t)element * types[x->type].size;
}

/* Elements [at, at + n) of the array, converted; tells how many changed. */
static int64_t fetch_converted(const struct source *s, int64_t at, int64_t n, unsigned char *to) {
    enum { PIECE = 2048 };
    int64_t elements[PIECE], changed = 0; /* as the file has them: at most 8 bytes each */
    struct oct_array piece = s->x;
    piece.data = elements;
    for (int64_t done = 0, k; done < n; done += k) {
        k = n - done < PIECE ? n - done : PIECE;
        oct_file_fetch(&s->x.file, place(&s->x, at + done), (size_t)k * types[s->x.type].size, elements);
        changed += convert(&piece, k, &s->type, s->as_codes, to + (size_t)done * oct_dtype_size(s->type.dtype));
    }
    return changed;
}

static void read_run(const void *source, int64_t run, void *to) {
    const struct source *s = source;
    const int64_t at = run * s->each;
    if (s->same) oct_file_fetch(&s->x.file, place(&s->x, at), (size_t)s->each * types[s->x.type].size, to);
    else fetch_converted(s, at, s->each, to);
}

/* How many of n elements change when they are read. */
static int64_t count_changes(const struct source *s, int64_t n) {
    enum { PIECE = 2048 };
    int64_t changed = 0, ignored[PIECE];
    for (int64_t at = 0; at < n; at += PIECE)
        changed += fetch_converted(s, at, n - at < PIECE ? n - at : PIECE, (unsigned char *)ignored);
    return changed;
}

bool oct_data_fit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_array *x, const struct oct_node *input,
                  struct oct_input_data *out, int64_t *samples) {
    const struct oct_type *t = &input->type;
    if (!fit_shape(cx, a, x, input, samples)) return false;
    int64_t n = 1;
    for (int i = 0; i < x->rank; i++) n *= x->dim[i]; /* the file holds them: no overflow */
    /* Integers of the code's own width are codes, whatever the sub-byte type; all else are real values. */
    const bool sub_byte = (t->dtype == OCT_I4 && x->type == OCT_NPY_I8) || (t->dtype == OCT_U4 && x->type == OCT_NPY_U8);
    struct source *s = OCT_NEW(a, struct source);
    *s = (struct source){.x = *x, .type = *t, .each = oct_type_elements(t, 1)};
    s->same = types[x->type].dtype == (int)t->dtype;
    s->as_codes = !t->q || sub_byte;
    *out = (struct oct_input_data){.input = input, .data = s->same ? x->data : NULL, .read = read_run, .source = s};
    if (s->same) {
        if (t->q && t->dtype == OCT_U8 && (t->q->scale[0] != 1 || oct_zero(t->q, 0) != 0)) /* pixels look the same */
            oct_note(cx, nowhere,
                     "%s: u8 data are taken as codes of input '%s' (scale %g, zero point %d); real values must be f32", x->name,
                     input->name, (double)t->q->scale[0], (int)oct_zero(t->q, 0));
        return true;
    }
    const int64_t changed = count_changes(s, n);
    if (!s->as_codes)
        oct_note(cx, nowhere, "%s: %s values were quantized with the parameters of input '%s'%s", x->name, types[x->type].name,
                 input->name, is_float(x->type) ? "" : "; codes must be given in its own element type");
    if (changed)
        oct_warning(cx, nowhere, OCT_E4005, "%s: %lld of %lld elements changed when converted from %s to %s", x->name,
                    (long long)changed, (long long)n, types[x->type].name, oct_dtype_name(t->dtype));
    return true;
}
