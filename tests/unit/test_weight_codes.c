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

static struct oct_module *of_bits(struct parse_test *t, const char *rule, int bits) {
    char text[99];
    snprintf(text, sizeof text, "%s weight_bits=%d", rule, bits);
    return quantized(t, text, NULL, NULL);
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

static const float weights[4][6] = {{0.1f, -0.2f, 0.3f, 0.4f, -0.5f, 0.6f},
                                    {1.0f, -2.0f, 3.0f, 4.0f, -5.0f, 6.0f},
                                    {0.7f, 0.8f, 0.9f, 1.1f, 1.2f, -1.3f},
                                    {-11.0f, 12.0f, 13.0f, 14.0f, 15.0f, 16.0f}};

/* Output channels [from, to) have this scale and zero point, and the codes that follow, within [lo, hi]. */
static void expect(const struct oct_node *q, int from, int to, double scale, int zero, int lo, int hi) {
    const float s = (float)scale;
    for (int o = from; o < to; o++) {
        assert_true(oct_scale(q->type.q, (uint32_t)o) == s);
        assert_int_equal(oct_zero(q->type.q, (uint32_t)o), zero);
        for (int i = 0; i < 6; i++) {
            const double v = rint((double)(weights[o][i] / s)) + zero;
            assert_int_equal(oct_load_int(q->type.dtype, q->data, 6 * o + i), (int64_t)fmax(fmin(v, hi), lo));
        }
    }
}

static void every_width_and_scheme(void **state) {
    (void)state;
    struct parse_test t;
    static const float largest[] = {0.6f, 6.0f, 1.3f, 16.0f};
    for (int bits = 2; bits <= 8; bits++) {
        const int most = (1 << (bits - 1)) - 1;
        struct oct_module *m = of_bits(&t, "", bits);
        const struct oct_node *q = oct_find_const(m, "w.q");
        assert_int_equal(q->type.dtype, bits <= 4 ? OCT_I4 : OCT_I8);
        for (int o = 0; o < 4; o++) expect(q, o, o + 1, (double)largest[o] / most, 0, -most, most);
        parse_end(&t);

        m = of_bits(&t, "weight_scheme=full", bits);
        for (int o = 0; o < 4; o++)
            expect(oct_find_const(m, "w.q"), o, o + 1, (double)largest[o] / (most + 0.5), 0, -most - 1, most);
        parse_end(&t);

        /* a zero point: one scale, whatever the granularity; -11 .. 16 */
        m = of_bits(&t, "weight_scheme=asym", bits);
        const int all = 2 * most + 1;
        float s = (float)(27.0 / all);
        expect(oct_find_const(m, "w.q"), 0, 4, (double)s, -most - 1 - (int)rint(-11 / (double)s), -most - 1, most);
        parse_end(&t);

        m = of_bits(&t, "weight=u8 weight_scheme=asym weight_range=narrow", bits);
        q = oct_find_const(m, "w.q");
        assert_int_equal(q->type.dtype, bits <= 4 ? OCT_U4 : OCT_U8);
        s = (float)(27.0 / (all - 1));
        expect(q, 0, 4, (double)s, 1 - (int)rint(-11 / (double)s), 1, all);
        parse_end(&t);

        m = of_bits(&t, "weight=u8", bits);
        expect(oct_find_const(m, "w.q"), 0, 4, 16.0 / most, most + 1, 1, all);
        parse_end(&t);
    }
}

static void groups_of_channels(void **state) {
    (void)state;
    struct parse_test t;
    struct oct_module *m = quantized(&t, "granularity=group group_size=2 weight_bits=5", NULL, NULL);
    const struct oct_node *q = oct_find_const(m, "w.q");
    assert_int_equal(q->type.q->n, 4); /* each channel has that of its group */
    expect(q, 0, 2, (double)6.0f / 15, 0, -15, 15);
    expect(q, 2, 4, (double)16.0f / 15, 0, -15, 15);
    parse_end(&t);
    m = quantized(&t, "granularity=group group_size=64", NULL, NULL); /* more than there are */
    expect(oct_find_const(m, "w.q"), 0, 4, (double)16.0f / 127, 0, -127, 127);
    parse_end(&t);
}

/* Activations: codes of the result, and the parameters that follow from the range -8 .. 8. */
static void widths_of_activations(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        int lo, hi;
    } cases[] = {{"act_bits=2", -2, 1},
                 {"act_bits=4", -8, 7},
                 {"act_bits=7", -64, 63},
                 {"act=u8 act_bits=4", 0, 15},
                 {"act=i16 act_bits=12", -2048, 2047},
                 {"act=i16 act_bits=3", -4, 3},
                 {"act_range=narrow", -127, 127},
                 {"act=u8 act_bits=3 act_range=narrow", 1, 7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parse_test t;
        parse_begin(&t);
        struct oct_module *m = parse_at(&t, NULL,
                                        oct_sprintf(t.a,
                                                    "octavo 1\nmodel m\nrule any %s\ninput x : f32[N,2]\n"
                                                    "const @w : f32[2,2] = (1.0,0.5,-1.0,1.0)\ny = dense(x, @w)\noutput y\n",
                                                    cases[i].rule));
        const char *const observers[] = {"insert_observers", NULL}, *const passes[] = {"insert_qdq", NULL};
        assert_true(oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = observers}));
        OCT_FOR_NODES(m, n) {
            if (n->op == OCT_OP_observe) OCT_MARK(n->at, range), n->at.range[0] = -8, n->at.range[1] = 8;
        }
        if (!oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = passes})) fail_msg("%s", parse_errors(&t));
        const struct oct_node *q = oct_find_value(m, "y.q");
        const float s = (float)(16.0 / (cases[i].hi - cases[i].lo));
        assert_true(q->type.q->scale[0] == s);
        assert_int_equal(oct_zero(q->type.q, 0), cases[i].lo - (int)rint(-8 / (double)s));
        assert_true(q->at.clip[0] == (float)cases[i].lo && q->at.clip[1] == (float)cases[i].hi);
        assert_false(OCT_HAS(oct_find_value(m, "x.q")->at, clip)); /* nobody clips what a caller passes */
        parse_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(someone_else_rounds),    cmocka_unit_test(one_scale_or_one_a_channel),
        cmocka_unit_test(every_width_and_scheme), cmocka_unit_test(groups_of_channels),
        cmocka_unit_test(widths_of_activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
