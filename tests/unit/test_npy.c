/* The npy reader and writer: what is accepted, what must be refused (PROMISES, attacks), every truncation and flipped byte. */
#include "hostile.h"

static bool reads_it(struct oct_ctx *cx, struct oct_bytes file) {
    struct oct_array x;
    if (!oct_npy_parse(cx, file, "x.npy", &x)) return false;
    static const size_t size[] = {4, 8, 1, 1, 2, 4, 8};
    size_t n = size[x.type];
    for (int i = 0; i < x.rank; i++) n *= (size_t)x.dim[i];
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const uint8_t *)x.data)[i];
    return sum < UINT32_MAX;
}

static size_t file_of(uint8_t *to, int version, const char *header, size_t data) {
    const size_t n = strlen(header), at = version == 1 ? 10 : 12;
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (uint8_t)version;
    to[7] = 0;
    for (size_t i = 8; i < at; i++) to[i] = (uint8_t)(n >> 8 * (i - 8));
    memcpy(to + at, header, n);
    for (size_t i = 0; i < data; i++) to[at + n + i] = (uint8_t)i;
    return at + n + data;
}

static void refuses(const char *header, size_t data, const char *says) {
    uint8_t file[4096];
    const size_t len = file_of(file, 1, header, data);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    assert_false(reads_it(&cx, (struct oct_bytes){file, len}));
    assert_int_equal(oct_exit_code(&cx), OCT_EXIT_DATA);
    assert_int_equal(oct_error_count(&cx), 1);
    const char *text = diagnostics(&cx);
    if (!strstr(text, says)) fail_msg("'%s' is not in: %s", says, text);
    oct_ctx_free(&cx);
}

static void accepts(int version, const char *header, size_t data, enum oct_npy_type type, int rank, int64_t dim0) {
    uint8_t file[4096];
    const size_t len = file_of(file, version, header, data);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_array x;
    if (!oct_npy_parse(&cx, (struct oct_bytes){file, len}, "x", &x)) fail_msg("%s", diagnostics(&cx));
    assert_int_equal(x.type, type);
    assert_int_equal(x.rank, rank);
    if (rank) assert_int_equal(x.dim[0], dim0);
    for (size_t i = 0; i < data; i++) assert_int_equal(((const uint8_t *)x.data)[i], i & 0xff);
    oct_ctx_free(&cx);
}

static void accepts_numpys_files(void **state) {
    (void)state;
    accepts(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }    \n", 24, OCT_NPY_F32, 2, 2);
    accepts(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", 24, OCT_NPY_F64, 1, 3);
    accepts(3, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", 8, OCT_NPY_I64, 0, 0);
    accepts(1, "{'shape':(5,),'fortran_order':True,'descr':'|u1'}", 5, OCT_NPY_U8, 1, 5);
    accepts(1, "{\"descr\": \"|i1\", \"fortran_order\": False, \"shape\": (0, 7)}", 0, OCT_NPY_I8, 2, 0);
    accepts(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (1,)}", 2, OCT_NPY_I16, 1, 1);
    accepts(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", 4, OCT_NPY_I32, 1, 1);
}

static void refuses_attacks(void **state) {
    (void)state;
#define H(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"
    refuses(H("'|O'", "False", "(1,)"), 8, "unpickled");
    refuses(H("[('a', '<f4')]", "False", "(1,)"), 4, "structured");
    refuses(H("'>f4'", "False", "(1,)"), 4, "not one of f4");
    refuses(H("'<f2'", "False", "(1,)"), 2, "not one of f4");
    refuses(H("'<U4'", "False", "(1,)"), 16, "not one of f4");
    refuses(H("''", "False", "(1,)"), 4, "not one of f4");
    refuses(H("'<f4'", "True", "(2, 2)"), 16, "Fortran");
    refuses(H("'<f4'", "0", "(2, 2)"), 16, "neither True nor False");
    refuses(H("'<f4'", "False", "(2, 2)"), 15, "needs 16 bytes of data, the file has 15");
    refuses(H("'<f4'", "False", "(2, 2)"), 17, "needs 16 bytes of data, the file has 17");
    refuses(H("'<f4'", "False", "(4611686018427387904, 4)"), 0, "overflows");
    refuses(H("'<f4'", "False", "(99999999999999999999,)"), 0, "overflows");
    refuses(H("'<f4'", "False", "(-1,)"), 4, "malformed");
    refuses(H("'<f4'", "False", "(1 1)"), 4, "malformed");
    refuses(H("'<f4'", "False", "(1.5,)"), 4, "malformed");
    refuses(H("'<f4'", "False", "1"), 4, "no tuple");
    refuses(H("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "more than 8 axes");
    refuses("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, "twice");
    refuses("{'descr': '<f4', 'shape': (1,)}", 4, "lacks");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "other than");
    refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} or exit()", 4, "behind the dict");
    refuses("__import__('os')", 4, "no dict");
    refuses("", 4, "no dict");
#undef H
}

static void refuses_long_headers(void **state) {
    (void)state;
    uint8_t *file = malloc(200000);
    char *header = malloc(100002);
    for (int version = 1; version <= 2; version++) {
        memset(header, ' ', 100001);
        memcpy(header, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 55);
        header[10001] = 0;
        int code;
        size_t len = file_of(file, version, header, 4);
        assert_false(read_once(reads_it, file, len, &code));
        assert_int_equal(code, OCT_EXIT_DATA);
        header[10000] = 0;
        len = file_of(file, version, header, 4);
        assert_true(read_once(reads_it, file, len, NULL));
    }
    free(header);
    free(file);
}

static void survives_mangling(void **state) {
    (void)state;
    uint8_t file[512];
    mangle(reads_it, file, file_of(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }    \n", 24));
    mangle(reads_it, file, file_of(file, 2, "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }\n", 5));
}

static void writes_what_it_reads(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    static const int32_t data[12] = {1, -2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const struct oct_array arrays[] = {{.type = OCT_NPY_I32, .rank = 3, .dim = {2, 2, 3}, .data = data},
                                              {.type = OCT_NPY_I8, .rank = 1, .dim = {7}, .data = data},
                                              {.type = OCT_NPY_F64, .rank = 0, .data = data}};
    static const size_t bytes[] = {48, 7, 8};
    for (int i = 0; i < 3; i++) {
        struct oct_text out;
        oct_text_init(&out, oct_own(&cx));
        oct_npy_write(&out, &arrays[i]);
        assert_int_equal((out.len - bytes[i]) % 64, 0);
        struct oct_array x;
        assert_true(oct_npy_parse(&cx, (struct oct_bytes){(const uint8_t *)out.s, out.len}, "x", &x));
        assert_int_equal(x.type, arrays[i].type);
        assert_int_equal(x.rank, arrays[i].rank);
        for (int k = 0; k < x.rank; k++) assert_int_equal(x.dim[k], arrays[i].dim[k]);
        assert_memory_equal(x.data, data, bytes[i]);
    }
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepts_numpys_files), cmocka_unit_test(refuses_attacks),
                                       cmocka_unit_test(refuses_long_headers), cmocka_unit_test(survives_mangling),
                                       cmocka_unit_test(writes_what_it_reads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
