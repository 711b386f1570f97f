/* Runs over data sets: the same bits whatever the threads, the batch size, and whether values share memory; what visitors see;
 * misuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "interp_case.h"

enum { SAMPLES = 37, SAMPLE = 3 * 6 * 6, RESULT = 10 };
static const struct oct_span nowhere = {0, 0, 0};

static struct oct_node *conv(struct net *t, struct oct_node *x, const char *name, int64_t o, int64_t c, int64_t pad) {
    struct oct_type wt = float_type(DIMS(o, c, 3, 3));
    float *w = oct_alloc_n(t->a, (size_t)(o * c * 9), sizeof *w);
    net_fill(t, &wt, w);
    struct oct_node *in[] = {x, oct_build_const(t->m, oct_fresh_const_name(t->m, "w"), &wt, w, nowhere)};
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (int i = 0; i < 4; i++) OCT_MARK(at, pad), at.pad[i] = pad;
    return oct_build(t->m, OCT_OP_conv2d, name, in, 2, &at, NULL, nowhere);
}

/* A small net with a branch, quantized in the middle, so that buffers have overlapping lives. */
static void build(struct net *t, int64_t batch) {
    net_open(t, 42);
    struct oct_type xt = float_type(DIMS(batch, 3, 6, 6));
    struct oct_node *x = oct_build_input(t->m, "x", &xt, nowhere), *a = conv(t, x, "a", 8, 3, 1), *b = conv(t, a, "b", 8, 8, 1);
    struct oct_node *sum = oct_build(t->m, OCT_OP_add, "sum", (struct oct_node *[]){a, b}, 2, NULL, NULL, nowhere);
    struct oct_node *c = conv(t, sum, "c", 5, 8, 0), *d = oct_build(t->m, OCT_OP_relu, "d", &c, 1, NULL, NULL, nowhere);
    struct oct_type qt = like_codes(t, OCT_I8, 0.5f, -100);
    struct oct_node *q = oct_build(t->m, OCT_OP_quantize, "q", &d, 1, NULL, &qt, nowhere);
    struct oct_node *e = oct_build(t->m, OCT_OP_dequantize, "e", &q, 1, NULL, NULL, nowhere);
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, axes, ((struct oct_ints){1, {3}}));
    struct oct_node *f = oct_build(t->m, OCT_OP_mean, "f", &e, 1, &at, NULL, nowhere);
    struct oct_node *g = oct_build(t->m, OCT_OP_flatten, "g", &f, 1, NULL, NULL, nowhere);
    struct oct_type wt = float_type(DIMS(RESULT, 20));
    float *w = oct_alloc_n(t->a, RESULT * 20, sizeof *w);
    net_fill(t, &wt, w);
    t->operand[0] = x;
    t->node = oct_build(t->m, OCT_OP_dense, "y", (struct oct_node *[]){g, oct_build_const(t->m, "wd", &wt, w, nowhere)}, 2, NULL,
                        NULL, nowhere);
    assert_non_null(t->node);
    oct_add_output(t->m, "y", t->node, nowhere);
    oct_add_output(t->m, "sum", sum, nowhere);
}

static const float *data_of(struct net *t) {
    float *x = oct_alloc_n(t->a, SAMPLES * SAMPLE, sizeof *x);
    for (int64_t i = 0; i < SAMPLES * SAMPLE; i++) x[i] = net_float(t);
    return x;
}

struct seen {
    float y[SAMPLES * RESULT];
    const struct oct_node *node;
    uint64_t values[8], checksum[8]; /* by worker; the sum does not depend on order */
    unsigned workers;
    int64_t samples_of_a_chunk;
};
static uint64_t bits_in(const struct oct_tensor *v) {
    uint64_t sum = 0;
    size_t n = (size_t)oct_tensor_elements(v) * oct_dtype_size(v->type.dtype);
    for (size_t i = 0; i < n; i++) sum += (uint64_t)((const unsigned char *)v->data)[i] * (i + 1);
    return sum;
}
static void each(void *user, unsigned worker, int64_t first, const struct oct_node *n, const struct oct_tensor *v) {
    struct seen *s = user;
    assert_true(worker < s->workers);
    s->values[worker]++;
    s->checksum[worker] += bits_in(v) ^ (uint64_t)first * 1000003u;
    if (n == s->node) memcpy(s->y + first * RESULT, v->data, (size_t)oct_tensor_elements(v) * sizeof(float));
}

static void run(unsigned threads, int64_t model_batch, struct seen *s) {
    struct net t;
    build(&t, model_batch);
    t.cx.threads = threads;
    *s = (struct seen){.node = t.node, .workers = threads};
    struct oct_input_data in = {.input = t.operand[0], .data = data_of(&t)};
    int64_t samples = model_batch > 1 ? SAMPLES / model_batch * model_batch : SAMPLES;
    assert_true(oct_run_dataset(&t.cx, t.m, &in, 1, samples, each, s));
    net_close(&t);
}

static void threads_change_nothing(void **state) {
    (void)state;
    static struct seen one, many;
    run(1, OCT_DIM_N, &one);
    assert_int_equal(one.values[0] % SAMPLES, 0);
    for (unsigned threads = 2; threads <= 5; threads++) {
        run(threads, OCT_DIM_N, &many);
        assert_memory_equal(one.y, many.y, sizeof one.y);
        uint64_t values = 0, checksum = 0;
        for (int i = 0; i < 8; i++) values += many.values[i], checksum += many.checksum[i];
        assert_true(values == one.values[0] && checksum == one.checksum[0]);
    }
    run(1, 1, &many);
    assert_memory_equal(one.y, many.y, sizeof one.y);
    run(2, 4, &many); /* 36 of the 37 */
    assert_memory_equal(one.y, many.y, 36 * RESULT * sizeof(float));
}

static void a_batch_is_its_samples(void **state) {
    (void)state;
    static struct seen one;
    run(1, OCT_DIM_N, &one);
    for (int64_t batch = 1; batch <= SAMPLES; batch += 9) {
        for (int keep = 0; keep < 2; keep++) {
            struct net t;
            build(&t, OCT_DIM_N);
            const float *x = data_of(&t);
            t.ex = oct_exec_new(&t.cx, t.m, batch);
            assert_non_null(t.ex);
            oct_exec_keep_all(t.ex, keep);
            memcpy(oct_exec_value(t.ex, t.operand[0])->data, x, (size_t)(batch * SAMPLE) * sizeof *x);
            oct_exec_run(t.ex, NULL, NULL);
            oct_exec_run(t.ex, NULL, NULL); /* nothing is left over */
            assert_memory_equal(oct_exec_value(t.ex, t.node)->data, one.y, (size_t)(batch * RESULT) * sizeof(float));
            net_close(&t);
        }
    }
}

/* keep_all: every value is still what the visitor saw. */
struct kept {
    uint64_t sum[64];
    const struct oct_node *node[64];
    int n;
};
static void remember(void *user, const struct oct_node *n, const struct oct_tensor *v) {
    struct kept *k = user;
    k->node[k->n] = n;
    k->sum[k->n++] = bits_in(v);
}
static void values_stay_when_asked(void **state) {
    (void)state;
    struct net t;
    build(&t, OCT_DIM_N);
    t.ex = oct_exec_new(&t.cx, t.m, 2);
    oct_exec_keep_all(t.ex, true);
    memcpy(oct_exec_value(t.ex, t.operand[0])->data, data_of(&t), 2 * SAMPLE * sizeof(float));
    struct kept k = {.n = 0};
    oct_exec_run(t.ex, remember, &k);
    for (int i = 0; i < k.n; i++) assert_true(bits_in(oct_exec_value(t.ex, k.node[i])) == k.sum[i]);
    assert_true(k.n > 10);
    net_close(&t);
}

/* Memory does not grow with the samples, and comes back. */
static void memory_is_constant(void **state) {
    (void)state;
    struct net t;
    build(&t, OCT_DIM_N);
    struct oct_input_data in = {.input = t.operand[0], .data = data_of(&t)};
    assert_true(oct_run_dataset(&t.cx, t.m, &in, 1, 1, NULL, NULL));
    size_t now = oct_memory_now(&t.cx), peak = oct_memory_peak(&t.cx);
    assert_true(oct_run_dataset(&t.cx, t.m, &in, 1, SAMPLES, NULL, NULL));
    assert_int_equal(oct_memory_now(&t.cx), now);
    assert_int_equal(oct_memory_peak(&t.cx), peak);
    net_close(&t);
}

static void samples_must_fill_the_batch(void **state) {
    (void)state;
    struct net t;
    build(&t, 4);
    struct oct_input_data in = {.input = t.operand[0], .data = data_of(&t)};
    assert_false(oct_run_dataset(&t.cx, t.m, &in, 1, SAMPLES, NULL, NULL));
    assert_int_equal(oct_exit_code(&t.cx), OCT_EXIT_DATA);
    net_close(&t);
}

static void values_too_large_are_refused(void **state) {
    (void)state;
    struct net t;
    build(&t, OCT_DIM_N);
    assert_null(oct_exec_new(&t.cx, t.m, (int64_t)1 << 30));
    assert_int_equal(oct_exit_code(&t.cx), OCT_EXIT_DATA);
    net_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing),      cmocka_unit_test(a_batch_is_its_samples),
        cmocka_unit_test(values_stay_when_asked),      cmocka_unit_test(memory_is_constant),
        cmocka_unit_test(samples_must_fill_the_batch), cmocka_unit_test(values_too_large_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
