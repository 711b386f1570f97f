/* The safetensors reader: what it accepts, what it must refuse (PROMISES, attacks), every truncation and flipped byte. */
#include "hostile.h"

static bool reads_it(struct oct_ctx *cx, struct oct_bytes file) {
    struct oct_safetensors s;
    if (!oct_safetensors_read(cx, oct_own(cx), file, "x.safetensors", &s)) return false;
    unsigned sum = 0; /* touch every byte that was promised */
    for (uint32_t i = 0; i < s.n; i++)
        for (size_t k = 0; k < s.tensor[i].bytes; k++) sum += ((const uint8_t *)s.tensor[i].data)[k];
    return sum < UINT32_MAX;
}

/* A file from a header and so many bytes of data. */
static size_t file_of(uint8_t *to, const char *header, uint64_t header_len, size_t data) {
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(header_len >> 8 * i);
    memcpy(to + 8, header, strlen(header));
    for (size_t i = 0; i < data; i++) to[8 + strlen(header) + i] = (uint8_t)i;
    return 8 + strlen(header) + data;
}

static void refuses(const char *header, size_t data, int code, const char *says) {
    uint8_t file[4096];
    const size_t len = file_of(file, header, strlen(header), data);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    assert_false(reads_it(&cx, (struct oct_bytes){file, len}));
    assert_int_equal(oct_exit_code(&cx), code);
    const char *text = diagnostics(&cx);
    if (!strstr(text, says)) fail_msg("'%s' is not in: %s", says, text);
    oct_ctx_free(&cx);
}

static void accepts_sound_files(void **state) {
    (void)state;
    uint8_t file[512];
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[8,11]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[0,4],\"data_offsets\":[11,11]}}  ";
    const size_t len = file_of(file, header, strlen(header), 11);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_safetensors s;
    assert_true(oct_safetensors_read(&cx, oct_own(&cx), (struct oct_bytes){file, len}, "x", &s));
    assert_int_equal(s.n, 3);
    const struct oct_st_tensor *a = oct_safetensors_find(&s, "a"), *b = oct_safetensors_find(&s, "b");
    assert_non_null(a);
    assert_non_null(b);
    assert_null(oct_safetensors_find(&s, "c"));
    assert_int_equal(a->dtype, OCT_F32);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->dim[0], 2);
    assert_int_equal((uintptr_t)a->data % 4, 0);
    assert_int_equal(((const uint8_t *)a->data)[7], 7);
    assert_int_equal(((const int8_t *)b->data)[2], 10);
    assert_int_equal(oct_safetensors_find(&s, "none")->bytes, 0);
    oct_ctx_free(&cx);
    assert_true(read_once(reads_it, file, len, NULL));
    const size_t empty = file_of(file, "{}", 2, 0);
    assert_true(read_once(reads_it, file, empty, NULL));
}

#define T(name, dtype, shape, begin, end)                                                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void refuses_attacks(void **state) {
    (void)state;
    refuses(" {}", 0, 65, "does not start with '{'");
    refuses("[]", 0, 65, "does not start with '{'");
    refuses("{\"a\":}", 0, 65, "not JSON");
    refuses("{}x", 0, 65, "not JSON");
    refuses("{" T("a", "I8", "[1]", "0", "1") "," T("a", "I8", "[1]", "1", "2") "}", 2, 65, "duplicate");
    refuses("{\"a\":{\"dtype\":\"I8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 65, "duplicate");
    refuses("{" T("a", "I8", "[1]", "0", "1") "," T("b", "I8", "[1]", "2", "3") "}", 3, 65, "belong to none");
    refuses("{" T("a", "I8", "[1]", "1", "2") "}", 2, 65, "belong to none");
    refuses("{" T("a", "I8", "[1]", "0", "1") "}", 2, 65, "belong to no tensor");
    refuses("{" T("a", "I8", "[2]", "0", "2") "," T("b", "I8", "[2]", "1", "3") "}", 3, 65, "overlap");
    refuses("{" T("a", "I8", "[2]", "0", "2") "," T("b", "I8", "[2]", "0", "2") "}", 2, 65, "overlap");
    refuses("{" T("a", "F32", "[4611686018427387904,4]", "0", "0") "}", 0, 65, "overflows");
    refuses("{" T("a", "F32", "[2147483648,2147483648]", "0", "0") "}", 0, 65, "overflows");
    refuses("{" T("a", "F32", "[99999999999999999999]", "0", "0") "}", 0, 65, "not JSON");
    refuses("{" T("a", "F32", "[-1]", "0", "4") "}", 4, 65, "natural");
    refuses("{" T("a", "F32", "[1.0]", "0", "4") "}", 4, 65, "natural");
    refuses("{" T("a", "F32", "[1]", "-4", "0") "}", 4, 65, "data_offsets");
    refuses("{" T("a", "F32", "[1]", "4", "0") "}", 4, 65, "outside");
    refuses("{" T("a", "F32", "[1]", "0", "9223372036854775807") "}", 4, 65, "outside");
    refuses("{" T("a", "F32", "[1]", "0", "8") "}", 8, 65, "8 bytes of data, its shape needs 4");
    refuses("{" T("a", "Q7", "[1]", "0", "1") "}", 1, 65, "unknown dtype \"Q7\"");
    refuses("{" T("a", "F16", "[1]", "0", "2") "}", 2, 69, "F16, which octavo does not read");
    refuses("{" T("a", "I8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, 65, "9 axes");
    refuses("{\"a\":[]}", 0, 65, "no object");
    refuses("{\"a\":{}}", 0, 65, "no dtype");
    refuses("{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1, 65, "unknown field \"more\"");
    refuses("{\"__metadata__\":{\"a\":1}}", 0, 65, "no text");
    refuses("{\"__metadata__\":[]}", 0, 65, "no object");
    refuses("{\"a\":{\"dtype\":\"I8\",\"shape\":[[1]],\"data_offsets\":[0,1]}}", 1, 65, "nests too deeply");
    refuses("{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}", 0, 65, "lists and objects");
}

static void refuses_long_headers(void **state) {
    (void)state;
    uint8_t file[64];
    int code;
    for (int k = 0; k < 4; k++) {
        static const uint64_t lens[] = {100000001, 3, UINT64_MAX, (uint64_t)1 << 63};
        const size_t len = file_of(file, "{}", lens[k], 0);
        assert_false(read_once(reads_it, file, len, &code));
        assert_int_equal(code, OCT_EXIT_DATA);
    }
    /* Really there: 100,000,001 bytes of header. */
    const size_t big = 100000001;
    uint8_t *p = malloc(8 + big);
    memset(p + 8, ' ', big);
    p[8] = '{';
    p[8 + big - 1] = '}';
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)((uint64_t)big >> 8 * i);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    assert_false(reads_it(&cx, (struct oct_bytes){p, 8 + big}));
    assert_non_null(strstr(diagnostics(&cx), "longer than the format allows"));
    oct_ctx_free(&cx);
    free(p);
}

static void survives_mangling(void **state) {
    (void)state;
    uint8_t file[512];
    static const char header[] = "{" T("w", "F32", "[2,2]", "0", "16") "," T("b", "I8", "[3]", "16", "19") "}";
    mangle(reads_it, file, file_of(file, header, strlen(header), 19));
}

static void writes_what_it_reads(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    static const float f[6] = {1, 2, 3, 4, 5, 6};
    static const int8_t q[3] = {-1, 0, 1};
    const struct oct_st_tensor t[] = {{.name = "we\"ird\\", .dtype = OCT_I8, .rank = 1, .dim = {3}, .data = q, .bytes = 3},
                                      {.name = "f", .dtype = OCT_F32, .rank = 2, .dim = {2, 3}, .data = f, .bytes = 24},
                                      {.name = "scalar", .dtype = OCT_F32, .data = f, .bytes = 4}};
    struct oct_text out;
    oct_text_init(&out, oct_own(&cx));
    oct_safetensors_write(&out, t, 3);
    uint64_t n;
    memcpy(&n, out.s, 8);
    assert_int_equal((n + 8) % 64, 0);
    struct oct_safetensors s;
    assert_true(oct_safetensors_read(&cx, oct_own(&cx), (struct oct_bytes){(const uint8_t *)out.s, out.len}, "x", &s));
    for (int i = 0; i < 3; i++) {
        const struct oct_st_tensor *x = oct_safetensors_find(&s, t[i].name);
        assert_non_null(x);
        assert_int_equal(x->dtype, t[i].dtype);
        assert_int_equal(x->rank, t[i].rank);
        assert_int_equal(x->bytes, t[i].bytes);
        assert_memory_equal(x->data, t[i].data, x->bytes);
        assert_int_equal((uintptr_t)x->data % oct_dtype_size(x->dtype), 0);
    }
    struct oct_text again;
    oct_text_init(&again, oct_own(&cx));
    oct_safetensors_write(&again, t, 3);
    assert_int_equal(again.len, out.len);
    assert_memory_equal(again.s, out.s, out.len);
    oct_ctx_free(&cx);
}

/* Every allocation fails in turn: the unwinding must give jansson's tree back (the leak sanitizer looks). */
static int allocations_left;
static void *limited(size_t n) { return allocations_left-- > 0 ? malloc(n) : NULL; }

static void no_memory_is_71(void **state) {
    (void)state;
    uint8_t file[512];
    static const char header[] = "{" T("w", "F32", "[2,2]", "0", "16") "," T("b", "F32", "[1]", "16", "20") "}";
    const size_t len = file_of(file, header, strlen(header), 20);
    volatile bool done = false;
    for (volatile int n = 0; !done; n++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        cx.sys_alloc = limited;
        jmp_buf out;
        cx.on_fatal = &out;
        allocations_left = n;
        const int rc = setjmp(out);
        if (rc == 0) done = reads_it(&cx, (struct oct_bytes){file, len});
        else assert_int_equal(rc, OCT_EXIT_MEMORY);
        oct_ctx_free(&cx);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepts_sound_files),  cmocka_unit_test(refuses_attacks),
                                       cmocka_unit_test(refuses_long_headers), cmocka_unit_test(survives_mangling),
                                       cmocka_unit_test(writes_what_it_reads), cmocka_unit_test(no_memory_is_71)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
