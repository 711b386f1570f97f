/* Weights become codes: the scale that each weight has, the codes that the rule allows, and who rounds. Everything is checked
 * against numbers computed here from the floats of the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "parse_helper.h"
#include "passes/pass.h"

/* A dense layer of 4 outputs and 6 inputs, whose weights grow along both axes. */
static const char *model(struct parse_test *t, const char *rule) {
    return oct_sprintf(t->a,
                       "octavo 1\nmodel m\nrule any %s\ninput x : f32[N,6]\nx.obs = observe(x) range=(-1.0,1.0)\n"
                       "const @w : f32[4,6] = (0.1,-0.2,0.3,0.4,-0.5,0.6, 1.0,-2.0,3.0,4.0,-5.0,6.0,"
                       "0.7,0.8,0.9,1.1,1.2,-1.3, -11.0,12.0,13.0,14.0,15.0,16.0)\n"
                       "y = dense(x.obs, @w)\ny.obs = observe(y) range=(-8.0,8.0)\noutput y.obs\n",
                       rule);
}

static struct oct_module *quantized(struct parse_test *t, const char *rule, oct_round_fn *round, void *user) {
    parse_begin(t);
    struct oct_module *m = parse_at(t, NULL, model(t, rule));
    const char *const passes[] = {"insert_qdq", NULL};
    if (!oct_run_pipeline(&t->cx, m, &(struct oct_run_options){.passes = passes, .round = round, .round_user = user}))
        fail_msg("%s", parse_errors(t));
    return m;
}

struct seen {
    struct oct_reach codes;
    int64_t outs, per;
    uint32_t last_index;
    bool decline;
};
/* Rounds towards zero, which no weight but the largest of a channel survives unchanged. */
static bool truncate_codes(void *user, const struct oct_weights *w, int32_t *code) {
    struct seen *s = user;
    s->codes = w->codes;
    s->outs = w->outs;
    s->per = w->per;
    s->last_index = oct_weight_index(w, w->outs * w->per - 1);
    for (int64_t i = 0; i < w->outs * w->per; i++) code[i] = (int32_t)truncf(w->w[i] / w->q->scale[oct_weight_index(w, i)]);
    return !s->decline;
}

static void someone_else_rounds(void **state) {
    (void)state;
    struct parse_test t;
    for (int decline = 0; decline < 2; decline++) {
        struct seen s = {.decline = decline};
        struct oct_module *m = quantized(&t, "granularity=channel", truncate_codes, &s);
        const struct oct_node *q = oct_find_const(m, "w.q");
        const int8_t *code = q->data;
        assert_int_equal(s.outs, 4);
        assert_int_equal(s.per, 6);
        assert_int_equal(s.last_index, 3);
        assert_int_equal(s.codes.lo, -127);
        assert_int_equal(s.codes.hi, 127);
        assert_int_equal(code[5], 127);
        assert_int_equal(code[0], 21);                    /* 0.1 / 0.6 * 127 = 21.17 */
        assert_int_equal(code[4], decline ? -106 : -105); /* -105.8 */
        parse_end(&t);
    }
}

static void one_scale_or_one_a_channel(void **state) {
    (void)state;
    struct parse_test t;
    struct seen s = {.decline = true};
    struct oct_module *m = quantized(&t, "granularity=tensor weight_scheme=full", truncate_codes, &s);
    const struct oct_node *q = oct_find_const(m, "w.q");
    assert_int_equal(s.last_index, 0);
    assert_int_equal(s.codes.lo, -128);
    assert_int_equal(q->type.q->n, 1);
    assert_true(q->type.q->scale[0] == (float)(16.0 / 127.5));
    assert_int_equal(((const int8_t *)q->data)[6], 8); /* 1 / 16 * 127.5 = 7.97 */
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(someone_else_rounds),
        cmocka_unit_test(one_scale_or_one_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
