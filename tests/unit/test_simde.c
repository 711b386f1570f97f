/* test_simde.c - vectors of AVX-512 and VNNI in C, on a machine that lacks them: through SIMDe; on one that has them: natively
 * too. */
#include "vector_rows.h"
#include "simde_shim.h"
#include "../../backend/backend.h"

/* The file, for AVX2 but with the intrinsics that it calls in plain C. */
static void *load_shimmed(const char *text, const char *compiler) {
    (void)compiler;
    char dir[] = "/tmp/octavo-simde-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *header = oct_sprintf(arena, "%s/immintrin.h", dir);
    FILE *f = fopen(header, "w");
    assert_non_null(f);
    fputs(shim_header(arena, text), f);
    assert_int_equal(fclose(f), 0);
    struct oct_text t;
    oct_text_init(&t, arena);
    for (const char *p = text, *at; *p; p = at) { /* no instruction of the machine that is not there */
        at = strstr(p, "avx512");
        if (!at) at = p + strlen(p);
        oct_text_addn(&t, p, (size_t)(at - p));
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (*at == ',') at++;
    }
    void *so = load_c(t.s, oct_sprintf(arena, "gcc -O1 -mavx2 -mfma -isystem %s", dir));
    assert_int_equal(unlink(header), 0);
    assert_int_equal(rmdir(dir), 0);
    return so;
}

static bool avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static void vnni_by_simde(void **state) {
    (void)state;
    if (!avx2()) skip();
    vectors_of(LP_ISA_VNNI, load_shimmed);
}
static void avx512_by_simde(void **state) { /* what VNNI takes from AVX-512 was tested with it */
    (void)state;
    if (!avx2()) skip();
    lane_vectors(LP_ISA_AVX512, load_shimmed);
}
static void avx512_natively(void **state) {
    (void)state;
    if (strncmp(oct_target_host(), "x86-64-v4", 9)) skip();
    vectors_of(LP_ISA_AVX512, load_c);
}
static void vnni_natively(void **state) {
    (void)state;
    if (strcmp(oct_target_host(), "x86-64-v4-vnni")) skip();
    vectors_of(LP_ISA_VNNI, load_c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vnni_by_simde), cmocka_unit_test(avx512_by_simde),
                                       cmocka_unit_test(avx512_natively), cmocka_unit_test(vnni_natively)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
