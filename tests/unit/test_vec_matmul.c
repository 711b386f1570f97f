/* test_vec_matmul.c - matmul of two activations on vectors of 256 and of 512 bits against the interpreter: rows, columns and
 * terms around tiles and lanes, odd terms, batches and broadcast, every profile, zero points at both ends; and what stays scalar.
 */
#include "linear_case.h"
#include "vector_case.h"

static void tiles(void **state) {
    (void)state;
    static const int columns[] = {1, 3, 7, 8, 9, 16, 23, 33, 64, 67}, rows[] = {1, 2, 5, 12, 13},
                     terms[] = {1, 2, 3, 16, 31, 64, 65};
    static const char *const profiles[] = {"q31", "tflm", "onnx"};
    int n = 0;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++, n++)
            kc_check(
                "input a : %s[%d,%d] scale=0.1 zero=%d\ninput b : %s[%d,%d] scale=0.03 zero=%d\ny : %s[%d,%d] scale=%s zero=3 = "
                "matmul(a, b) profile=%s",
                n % 2 ? "i8" : "u8", rows[j], terms[n % 7], n % 2 ? -128 : 255, n % 3 ? "u8" : "i8", terms[n % 7], columns[i],
                n % 3 ? 0 : 127, n % 5 ? "i8" : "i16", rows[j], columns[i], n % 4 ? "1.3" : "0.05", profiles[n % 3]);
}

static void batches(void **state) {
    (void)state;
    static const char *const d[][3] = {
        {"2,3,5,7", "2,3,7,9", "2,3,5,9"}, {"3,5,7", "1,7,17", "3,5,17"}, {"1,4,6", "5,6,8", "5,4,8"}};
    for (size_t i = 0; i < sizeof d / sizeof *d; i++)
        kc_check(
            "input a : i8[%s] scale=0.1 zero=4\ninput b : i8[%s] scale=0.3 zero=-7\ny : i8[%s] scale=1.1 zero=0 = matmul(a, b) "
            "clip=(-100,90)",
            d[i][0], d[i][1], d[i][2]);
}

static void refusals(void **state) {
    (void)state;
    kc_check(
        "input a : i16[5,7] scale=0.1 zero=0\ninput b : i8[7,9] scale=0.3 zero=-7\ny : i8[5,9] scale=9.1 zero=0 = matmul(a, b)");
    assert_non_null(strstr(kc.last.fallback.s, "scalar code: codes of 16 bits"));
    int fast = 0;
    for (int i = 0; i < kc.nran; i++)
        for (int32_t j = 0; j < kc.ran[i].k->nbufs; j++) fast += strcmp(kc.ran[i].k->buf[j].name, "wide") == 0;
    assert_true(fast >= kc.nran / 2 && fast > 0);
}

static int setup(void **state) {
    kc.sample = full_matrix() ? 1 : 11; /* LLVM takes its time */
    return kc_setup(state);
}
int main(void) {
#define CASES cmocka_unit_test(tiles), cmocka_unit_test(batches), cmocka_unit_test(refusals)
    const struct CMUnitTest tests[] = {VC_BOTH_WIDTHS(CASES)};
    return cmocka_run_group_tests(tests, setup, kc_teardown);
}
