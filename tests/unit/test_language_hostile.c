/* The language against hostile texts (P1, P2, P3, P5): every truncation and every flipped byte of several models, deep nesting,
 * huge names, numbers, lists and strings, bytes that are no text, memory that runs out. Each reading ends clean: a module and no
 * error, or no module, errors and exit code 65, in bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

#define FLOAT_MODEL                                                                                                              \
    "octavo 1\nmodel net \"a float model\" after=fold_bn\noption io=float\nrule any act=i8 granularity=channel\n"                \
    "rule name=\"c*\" weight_observer=mse\ninput x : f32[N,3,8,8]\n"                                                             \
    "const @w : f32[4,3,3,3] = random seed=7 within=(-0.5,0.5)\nconst @b : f32[4] = (0.1, -2, 3e-9, 1)\n"                        \
    "c1 = conv2d(x, @w, @b) pad=same stride=2 clip=(0.0,inf) from=\"Conv_1\"\n"                                                  \
    "p = mean(relu6(max_pool2d(c1) kernel=2)) axes=(2,3) keepdims\nf = reshape(p) shape=(N,-1)\n"                                \
    "s = softmax(add(f, 1.0)) axis=-1\noutput s\noutput joined = f\n"
#define QUANTIZED_MODEL                                                                                                          \
    "octavo 1\nmodel q after=elim_qdq.2\ninput x : i8[N,3,8,8] scale=0.02 zero=-3\n"                                             \
    "const @w : i8[2,3,1,1] scale[0]=(0.01,0.02) = (1,2,3,-4,-5,-6)\nconst @b : i32[2] = (100,-100)\n"                           \
    "c : i8[N,2,8,8] scale=0.1 zero=4 = conv2d(x, @w, @b) clip=(4,127) profile=tflm why=\"kept\\x01\\n\"\n"                      \
    "d = dequantize(c)\ne : u8 scale=0.5 zero=128 = quantize(d) divide=rcp order=after\n"                                        \
    "o = observe(d) observer=mse to=i8 scheme=asym range=(-1.0,2.0)\nr : i8 scale=0.2 zero=0 = requantize(c)\n"                  \
    "output r\noutput e\noutput o\n"
#define BROKEN_MODEL                                                                                                             \
    "octavo 1\nweights \"w.safetensors\" xxh3=9c1e0123456789ab\nconst @k : i8[3] scale[0]=#0123456789abcdef = "                  \
    "#9c1e0123456789ab\n"                                                                                                        \
    "\xef\xbb\xbf# \xff\ny = relu(\n  relu(_, @k, 1e999)\n)\noutput y"
static const char *const models[] = {FLOAT_MODEL, QUANTIZED_MODEL, BROKEN_MODEL};
enum { NMODELS = sizeof models / sizeof *models };

/* One reading of exactly `len` bytes in a block of that size. True: it parsed. */
static bool read_once(const char *text, size_t len, size_t *peak) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len) memcpy(copy, text, len);
    const struct oct_module *m = oct_parse(&cx, NULL, copy, len);
    assert_int_equal(oct_exit_code(&cx), m ? 0 : OCT_EXIT_DATA);
    assert_true(oct_error_count(&cx) <= 20);
    if (peak) *peak = oct_memory_peak(&cx);
    struct oct_text out;
    oct_text_init(&out, oct_own(&cx));
    oct_diag_render(&cx, &out);
    if (!m) assert_true(out.len > 0 && out.len < 100000);
    if (m) oct_print(&out, m, NULL);
    oct_ctx_free(&cx);
    assert_int_equal(oct_memory_now(&cx), 0);
    free(copy);
    return m != NULL;
}

static void truncated_anywhere(void **state) {
    (void)state;
    for (int i = 0; i < NMODELS; i++)
        for (size_t n = 0, len = strlen(models[i]); n < len; n++) read_once(models[i], n, NULL);
    assert_true(read_once(models[0], strlen(models[0]), NULL) && read_once(models[1], strlen(models[1]), NULL));
}

static void any_byte_flipped(void **state) {
    (void)state;
    static const unsigned char masks[] = {0x01, 0x02, 0x10, 0x20, 0x40, 0x80, 0xff};
    int refused = 0, read = 0;
    for (int i = 0; i < NMODELS; i++) {
        const size_t len = strlen(models[i]);
        char *text = strdup(models[i]);
        for (size_t at = 0; at < len; at++)
            for (size_t k = 0; k < sizeof masks; k++) {
                text[at] = (char)(models[i][at] ^ masks[k]);
                if (read_once(text, len, NULL)) read++;
                else refused++;
                text[at] = models[i][at];
            }
        for (size_t at = 0; at < len; at++) { /* a byte gone, a byte zero */
            text[at] = 0;
            read_once(text, len, NULL);
            memmove(text + at, models[i] + at + 1, len - at - 1);
            read_once(text, len - 1, NULL);
            memcpy(text, models[i], len);
        }
        free(text);
    }
    assert_true(refused > 1000 && read > 100);
}

/* head, then `unit` until the text has `size` bytes, then tail: refused, or read, within 64 MiB + 20 x its size. */
static bool grown(const char *head, const char *unit, size_t size, const char *tail) {
    const size_t h = strlen(head), u = strlen(unit), t = strlen(tail);
    char *text = malloc(size + h + u + t);
    assert_non_null(text);
    memcpy(text, head, h);
    size_t len = h;
    for (; len < size; len += u) memcpy(text + len, unit, u);
    memcpy(text + len, tail, t);
    size_t peak;
    const bool ok = read_once(text, len + t, &peak);
    if (peak > ((size_t)64 << 20) + 20 * len) fail_msg("%zu bytes of '%s' took %zu", len, unit, peak);
    free(text);
    return ok;
}
#define IMAGE "octavo 1\ninput x : f32[N,4,8,8]\n"

static void deep_and_huge(void **state) {
    (void)state;
    enum { MB = 1 << 20 };
    assert_false(grown(IMAGE "y = ", "relu(", 10 * MB, "x\noutput y\n"));
    assert_false(grown(IMAGE "y = ", "(", MB, ""));
    assert_false(grown(IMAGE "y = relu(x) ", ")", MB, "\n"));
    assert_false(grown(IMAGE, "[\n", MB, ""));
    assert_false(grown(IMAGE "y", "y", 10 * MB, " = relu(x)\noutput x\n"));
    assert_false(grown(IMAGE "y = relu(x) doc=\"", "d", 10 * MB, "\"\noutput y\n"));
    assert_false(grown(IMAGE "y = relu(x) doc=\"", "\\", 10 * MB, "\"\noutput y\n"));
    assert_false(grown(IMAGE "y = leaky_relu(x) alpha=", "9", 10 * MB, "\noutput y\n"));
    assert_false(grown(IMAGE "const @k : f32[4] = (1", ",1", 10 * MB, ")\noutput x\n"));
    assert_false(grown(IMAGE "const @k : f32[1", ",1", MB, "] = random\noutput x\n"));
    assert_false(grown(IMAGE "y = concat(x", ",x", 10 * MB, ") axis=1\noutput y\n"));
    assert_false(grown(IMAGE "y = relu(x)", " why=\"\"", 10 * MB, "\noutput y\n"));
    assert_false(grown(IMAGE, "output x\n", MB, ""));
    assert_false(grown(IMAGE, "rule any act=i8\n", MB, "output x\n"));
    assert_false(grown(IMAGE, "const @k : f32[1000000] = random\n", MB, "output x\n"));
    assert_false(grown(IMAGE, "y = rleu(x)\n", MB, ""));
    assert_false(grown("", "\n", 10 * MB, ""));
    assert_false(grown("octavo 1", "\n", 10 * MB, ""));
    assert_false(grown("", "# comment\n", 10 * MB, ""));
    assert_false(grown("", "\377", MB, ""));
    assert_true(grown(IMAGE "y = relu(", "\n", MB, "x)\noutput y\n"));
    assert_true(grown(IMAGE "y = relu(x) #", " #", 10 * MB, "\noutput y\n"));
    assert_true(grown(IMAGE "y = relu(x) doc=\"", "d", 60000, "\"\noutput y\n"));
    assert_true(grown(IMAGE "k = leaky_relu(x) alpha=0.", "1", MB, "\noutput k\n"));
}

static void a_chain_of_a_hundred_thousand(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_text t;
    oct_text_init(&t, oct_own(&cx));
    oct_text_add(&t, "octavo 1\ninput x : f32[N,4]\nv0 = relu(x)\n");
    for (int i = 1; i < 100000; i++) oct_text_addf(&t, "v%d = add(relu(v%d), v%d)\n", i, i - 1, i - 1);
    oct_text_add(&t, "output v99999\n");
    struct oct_module *m = oct_parse(&cx, NULL, t.s, t.len);
    assert_non_null(m);
    assert_int_equal(m->nnodes, 200000);
    oct_ctx_free(&cx);
}

static void too_large_is_not_read(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    assert_null(oct_parse(&cx, NULL, "octavo 1", ((size_t)64 << 20) + 1)); /* nothing behind the eight bytes is touched */
    assert_int_equal(oct_exit_code(&cx), OCT_EXIT_DATA);
    oct_ctx_free(&cx);
}

static int failing_after;
static void *failing_alloc(size_t n) { return failing_after-- > 0 ? malloc(n) : NULL; }

static void no_memory_unwinds(void **state) {
    (void)state;
    for (volatile int i = 0; i < NMODELS; i++)
        for (volatile int after = 0;; after++) {
            struct oct_ctx cx;
            oct_ctx_init(&cx);
            cx.sys_alloc = failing_alloc;
            failing_after = after;
            jmp_buf out;
            cx.on_fatal = &out;
            const int rc = setjmp(out);
            if (rc == 0) oct_parse(&cx, NULL, models[i], strlen(models[i]));
            else assert_int_equal(rc, OCT_EXIT_MEMORY);
            const bool done = failing_after > 0;
            oct_ctx_free(&cx);
            assert_int_equal(oct_memory_now(&cx), 0);
            if (done) break;
            assert_true(after < 10000);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_anywhere),    cmocka_unit_test(any_byte_flipped),
        cmocka_unit_test(deep_and_huge),         cmocka_unit_test(a_chain_of_a_hundred_thousand),
        cmocka_unit_test(too_large_is_not_read), cmocka_unit_test(no_memory_unwinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
