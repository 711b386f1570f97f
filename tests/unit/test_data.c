/* Data fitted to inputs: shapes, conversions and what they lose, codes and real values for quantized inputs. */
#include "hostile.h"

#include "ir/interp.h"

static struct oct_ctx cx;
static int begin(void **state) {
    (void)state;
    oct_ctx_init(&cx);
    return 0;
}
static int end(void **state) {
    (void)state;
    oct_ctx_free(&cx);
    return 0;
}

static struct oct_type type_of(enum oct_dtype t, int rank, int64_t d0, int64_t d1) {
    return (struct oct_type){.dtype = t, .rank = rank, .dim = {d0, d1}};
}
static struct oct_array array_of(enum oct_npy_type t, int rank, int64_t d0, int64_t d1, const void *data) {
    return (struct oct_array){.type = t, .rank = rank, .dim = {d0, d1}, .data = data, .name = "x.npy"};
}

/* Fits and gives the data as the runs read them; NULL when refused. `*said` gets what was reported. */
static const void *fit(const struct oct_type *t, const struct oct_array *x, int64_t *samples, const char **said) {
    static struct oct_node input;
    input = (struct oct_node){.op = OCT_OP_input, .name = "in", .type = *t};
    struct oct_input_data in;
    const bool ok = oct_data_fit(&cx, oct_own(&cx), x, &input, &in, samples);
    *said = diagnostics(&cx);
    if (!ok) return NULL;
    const int64_t runs = *samples / oct_input_batch(t);
    char *data = oct_alloc_n(oct_own(&cx), (size_t)runs, oct_input_bytes(&in));
    for (int64_t i = runs; i-- > 0;) oct_input_read(&in, i, data + (size_t)i * oct_input_bytes(&in));
    assert_true(!in.data || memcmp(in.data, data, (size_t)runs * oct_input_bytes(&in)) == 0);
    return data;
}

static void shapes_must_fit(void **state) {
    (void)state;
    static const float f[24];
    int64_t samples;
    const char *said;
    const struct {
        int64_t in0, in1, x0, x1, samples; /* of f32[in0,in1] and f32[x0,x1]; samples 0: refused */
        int rank, xrank;
    } cases[] = {{OCT_DIM_N, 3, 5, 3, 5, 2, 2}, {1, 3, 5, 3, 5, 2, 2},         {4, 3, 8, 3, 8, 2, 2},
                 {OCT_DIM_N, 3, 5, 4, 0, 2, 2}, {OCT_DIM_N, 3, 3, 0, 0, 2, 1}, {OCT_DIM_N, 3, 0, 3, 0, 2, 2},
                 {3, 0, 3, 0, 3, 1, 1},         {3, 0, 2, 3, 6, 1, 2},         {0, 0, 7, 0, 7, 0, 1},
                 {0, 0, 0, 0, 0, 0, 0},         {OCT_DIM_N, 0, 6, 0, 6, 1, 1}, {OCT_DIM_N, 0, 2, 3, 0, 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct oct_type t = type_of(OCT_F32, cases[i].rank, cases[i].in0, cases[i].in1);
        const struct oct_array x = array_of(OCT_NPY_F32, cases[i].xrank, cases[i].x0, cases[i].x1, f);
        const void *got = fit(&t, &x, &samples, &said);
        if (!!got != (cases[i].samples > 0)) fail_msg("case %zu: %s", i, said);
        if (!got) {
            assert_int_equal(oct_exit_code(&cx), OCT_EXIT_DATA);
            continue;
        }
        assert_int_equal(samples, cases[i].samples);
    }
}

static void conversions_tell_what_they_lose(void **state) {
    (void)state;
    static const double f64[] = {0.5, 0.1, 1e300, -3};
    static const int64_t i64[] = {1, 16777217, -5, 3};
    static const uint8_t u8[] = {0, 127, 128, 255};
    int64_t n;
    const char *said;
    struct oct_type t = type_of(OCT_F32, 1, OCT_DIM_N, 0);
    struct oct_array x = array_of(OCT_NPY_F64, 1, 4, 0, f64);
    const float *f = fit(&t, &x, &n, &said);
    assert_non_null(f);
    assert_true(f[0] == 0.5f && f[1] == 0.1f && isinf(f[2]) && f[3] == -3);
    assert_non_null(strstr(said, "2 of 4 elements changed when converted from f64 to f32"));
    x = array_of(OCT_NPY_I64, 1, 4, 0, i64);
    f = fit(&t, &x, &n, &said);
    assert_true(f[1] == 16777216.0f && f[2] == -5);
    assert_non_null(strstr(said, "1 of 4"));
    x = array_of(OCT_NPY_U8, 1, 4, 0, u8);
    f = fit(&t, &x, &n, &said);
    assert_true(f[3] == 255);
    assert_string_equal(said, "");

    t = type_of(OCT_I8, 1, OCT_DIM_N, 0); /* an integer input without parameters saturates */
    const int8_t *q = fit(&t, &x, &n, &said);
    assert_true(q[1] == 127 && q[2] == 127 && q[3] == 127);
    assert_non_null(strstr(said, "2 of 4"));
    static const double halves[] = {0.5, 1.5, -2.5, NAN};
    x = array_of(OCT_NPY_F64, 1, 4, 0, halves);
    q = fit(&t, &x, &n, &said);
    assert_true(q[0] == 0 && q[1] == 2 && q[2] == -2 && q[3] == 0);
    assert_non_null(strstr(said, "4 of 4"));
    static const int64_t wide[] = {INT64_MAX, INT64_MIN, ((int64_t)1 << 53) + 1, 0};
    t = type_of(OCT_I32, 1, OCT_DIM_N, 0);
    x = array_of(OCT_NPY_I64, 1, 4, 0, wide);
    const int32_t *w = fit(&t, &x, &n, &said);
    assert_true(w[0] == INT32_MAX && w[1] == INT32_MIN && w[2] == INT32_MAX && w[3] == 0);
    assert_non_null(strstr(said, "3 of 4"));
}

static void quantized_inputs_take_codes_or_real_values(void **state) {
    (void)state;
    static const float scale = 0.5f;
    static const int32_t zero = 10;
    const struct oct_quant qu = {.axis = -1, .n = 1, .scale = &scale, .zero = &zero};
    struct oct_type t = type_of(OCT_I8, 1, OCT_DIM_N, 0);
    t.q = &qu;
    static const float f[] = {0.0f, 1.0f, 0.25f, 1000.0f};
    static const int8_t codes[] = {1, 2, 3, 4};
    static const uint8_t pixels[] = {0, 1, 2, 255};
    int64_t n;
    const char *said;
    struct oct_array x = array_of(OCT_NPY_F32, 1, 4, 0, f);
    const int8_t *q = fit(&t, &x, &n, &said);
    assert_true(q[0] == 10 && q[1] == 12 && q[2] == 10 && q[3] == 127);
    assert_non_null(strstr(said, "note: x.npy: f32 values were quantized with the parameters of input 'in'"));
    assert_null(strstr(said, "warning"));
    x = array_of(OCT_NPY_I8, 1, 4, 0, codes);
    assert_memory_equal(fit(&t, &x, &n, &said), codes, sizeof codes);
    assert_string_equal(said, "");
    x = array_of(OCT_NPY_U8, 1, 4, 0, pixels);
    q = fit(&t, &x, &n, &said);
    assert_true(q[0] == 10 && q[1] == 12 && q[2] == 14 && q[3] == 127);
    assert_non_null(strstr(said, "codes must be given in its own element type"));
    t.dtype = OCT_U8; /* pixels could be meant: said, though nothing is converted */
    assert_memory_equal(fit(&t, &x, &n, &said), pixels, sizeof pixels);
    assert_non_null(strstr(said, "note: x.npy: u8 data are taken as codes of input 'in' (scale 0.5, zero point 10)"));
    t.dtype = OCT_I4; /* codes below a byte are stored one to a byte, and must be in range */
    static const int8_t nibbles[] = {-8, 7, 8, 0};
    x = array_of(OCT_NPY_I8, 1, 4, 0, nibbles);
    q = fit(&t, &x, &n, &said);
    assert_true(q[0] == -8 && q[1] == 7 && q[2] == 7 && q[3] == 0);
    assert_non_null(strstr(said, "1 of 4"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes_must_fit), cmocka_unit_test(conversions_tell_what_they_lose),
                                       cmocka_unit_test(quantized_inputs_take_codes_or_real_values)};
    return cmocka_run_group_tests(tests, begin, end);
}
