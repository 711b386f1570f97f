/* nudge_scales: codes stay, scales move by a few ulp, and where one moved, one fused multiply-add now gives what q31 gives on
 * every accumulator that the channel can reach (looked at one by one here), while with the scale before nothing was found: the
 * near miss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ir/fma_rq.h"
#include "parse_helper.h"
#include "passes/pass.h"

enum { INS = 400 };

static struct oct_module *quantized(struct parse_test *t, const char *options, struct oct_text *explain) {
    const char *text = oct_sprintf(
        t->a,
        "octavo 1\nmodel m\n%sinput x : f32[N,%d]\nx.obs = observe(x) range=(-0.7,1.0)\n"
        "const @w : f32[300,%d] = random seed=12\nconst @b : f32[300] = random seed=13\ny = dense(x.obs, @w, @b) clip=(0.0,inf)\n"
        "y.obs = observe(y) range=(0.0,17.0)\noutput y.obs\n",
        options, INS, INS);
    struct oct_module *m = parse_model(t, text);
    const char *const passes[] = {"insert_qdq", NULL};
    if (!oct_run_pipeline(&t->cx, m, &(struct oct_run_options){.passes = passes, .explain = explain}))
        fail_msg("%s", parse_errors(t));
    return m;
}

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

struct own {
    struct oct_requant r;
    int32_t zero;
};
static int32_t own_code(const void *user, int64_t acc) {
    const struct own *o = user;
    const int64_t v = oct_requant_apply(&o->r, acc) + o->zero;
    return (int32_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

static void where_a_scale_moved_it_is_proved(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_text explain;
    oct_text_init(&explain, t.a);
    oct_text_add(&explain, "");
    struct oct_module *plain = quantized(&t, "", NULL), *moved = quantized(&t, "option nudge_scales=on\n", &explain);
    const struct oct_node *w0 = oct_find_const(plain, "w.q"), *w1 = oct_find_const(moved, "w.q"),
                          *b0 = oct_find_const(plain, "b.q"), *b1 = oct_find_const(moved, "b.q"),
                          *x = oct_find_value(moved, "x.q"), *y = oct_find_value(moved, "y.q");
    const int64_t outs = w0->type.dim[0];
    assert_memory_equal(w0->data, w1->data, (size_t)(outs * INS));
    assert_memory_equal(b0->data, b1->data, (size_t)outs * 4);
    const float s_x = x->type.q->scale[0], s_y = y->type.q->scale[0];
    const int32_t zx = oct_zero(x->type.q, 0);
    unsigned changed = 0, looked_at = 0;
    struct oct_steps steps;
    oct_steps_init(&steps, t.a, 256);
    for (int64_t o = 0; o < outs; o++) {
        const float before = w0->type.q->scale[o], after = w1->type.q->scale[o];
        const uint32_t a = bits_of(before), b = bits_of(after);
        assert_true((a > b ? a - b : b - a) <= 64);
        assert_true(b1->type.q->scale[o] == s_x * after);
        if (a == b) continue;
        changed++;
        int64_t lo = ((const int32_t *)b0->data)[o], hi = lo;
        for (int64_t i = 0; i < INS; i++) {
            const int64_t v = ((const int8_t *)w0->data)[o * INS + i], p = v * (-128 - zx), q = v * (127 - zx);
            lo += p < q ? p : q;
            hi += p < q ? q : p;
        }
        const struct oct_fma_limits one = {1, false};
        struct oct_fma_rq fit;
        struct own own = {.zero = oct_zero(y->type.q, 0)};
        assert_true(oct_requant_linear(OCT_profile_q31, OCT_I8, s_x, before, s_y, &own.r));
        double m = (double)s_x * (double)before / (double)s_y;
        oct_steps_find(&steps, own_code, &own, lo, hi, m, own.zero);
        assert_false(oct_fma_rq_fit(&steps, m, -128, 127, &one, &fit));
        assert_true(oct_requant_linear(OCT_profile_q31, OCT_I8, s_x, after, s_y, &own.r));
        m = (double)s_x * (double)after / (double)s_y;
        oct_steps_find(&steps, own_code, &own, lo, hi, m, own.zero);
        assert_true(oct_fma_rq_fit(&steps, m, -128, 127, &one, &fit));
        if (looked_at == 3) continue;
        looked_at++;
        for (int64_t acc = lo; acc <= hi; acc++) {
            int32_t code;
            if (!oct_fma_rq_value(&fit, acc, &code)) fail_msg("acc %lld", (long long)acc);
            code = code < -128 ? -128 : code > 127 ? 127 : code;
            if (code != own_code(&own, acc)) fail_msg("acc %lld: %d, q31 %d", (long long)acc, code, own_code(&own, acc));
        }
    }
    assert_true(changed > 0);
    unsigned before, all, after, ulps;
    const char *line = strstr(explain.s, "nudge_scales: in all");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "nudge_scales: in all %u of %u channels proved as they are, %u when moved by at most %u ulp",
                            &before, &all, &after, &ulps),
                     4);
    assert_true(all == 300 && after == 300 && before == all - changed && ulps > 0);
    parse_end(&t);
}

/* Weights that were quantized elsewhere are not touched. */
static void imported_scales_stay(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m =
        parse_model(&t, "octavo 1\nmodel m\noption nudge_scales=on\ninput x : f32[N,2]\nx.obs = observe(x) range=(0.0,1.0)\n"
                        "const @w : i8[2,2] scale[0]=(0.011,0.013) = (127,-127,1,2)\nv = dequantize(@w)\ny = dense(x.obs, v)\n"
                        "y.obs = observe(y) range=(-2.0,2.0)\noutput y.obs\n");
    const char *const passes[] = {"insert_qdq", NULL};
    assert_true(oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = passes}));
    const struct oct_quant *q = oct_find_const(m, "w")->type.q;
    assert_true(q->scale[0] == 0.011f && q->scale[1] == 0.013f);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_scale_moved_it_is_proved),
        cmocka_unit_test(imported_scales_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
