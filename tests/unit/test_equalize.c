/* equalize: after it, the ranges of each channel on both sides of a link are equal (what s = sqrt(r1 r2) / r2 does), bias and
 * weights moved by the same factor, and the model computes what it did. Chains share layers: the fixed point of all links at once
 * is asked for, not one step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "parse_helper.h"
#include "passes/links.h"

/* conv -> depthwise, padded -> grouped -> pool -> flatten with pixels -> dense -> dense over the last of three axes. */
static const char text[] =
    "octavo 1\nmodel m\nrule any cle=on\ninput x : f32[N,3,8,8]\n"
    "const @a.w : f32[8,3,3,3] = random seed=1\nconst @a.b : f32[8] = random seed=2\n"
    "a = conv2d(x, @a.w, @a.b) pad=1 clip=(0.0,inf)\n"
    "const @b.w : f32[8,1,3,3] = random seed=3\nb = conv2d(a, @b.w) pad=1 groups=8\nb.l = leaky_relu(b) alpha=0.1\n"
    "const @c.w : f32[6,4,1,1] = random seed=4\nconst @c.b : f32[6] = random seed=5\n"
    "c = conv2d(b.l, @c.w, @c.b) groups=2 clip=(0.0,inf)\nc.p = avg_pool2d(c) kernel=4 stride=4\nc.f = flatten(c.p)\n"
    "const @d.w : f32[5,24] = random seed=6\nd = dense(c.f, @d.w) clip=(0.0,inf)\n"
    "const @e.w : f32[4,5] = random seed=7\ne = dense(d, @e.w)\noutput e\n";

/* Spreads the ranges of the output channels over five decades. */
static void spread(struct oct_module *m) {
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_const || n->type.rank < 2) continue;
        const int64_t total = oct_type_elements(&n->type, 1), per = total / n->type.dim[0];
        float *w = OCT_NEW_N(m->arena, float, total);
        for (int64_t i = 0; i < total; i++) w[i] = ((const float *)n->data)[i] * powf(10, (float)(i / per % 5 - 2));
        n->data = w;
        OCT_DROP(n->at, seed);
        OCT_DROP(n->at, within);
    }
}

static struct oct_module *parsed(struct oct_ctx *cx) {
    struct oct_module *m = oct_parse(cx, "t", text, sizeof text - 1);
    assert_non_null(m);
    spread(m);
    return m;
}

static double from_range(const struct oct_layer *l, int64_t c) {
    double r = 0;
    for (int64_t k = c * l->ins * l->taps; k < (c + 1) * l->ins * l->taps; k++) r = fmax(r, fabs((double)l->w[k]));
    return r;
}
static double to_range(const struct oct_layer *l, int64_t c, int64_t run) {
    double r = 0;
    for (int64_t k = 0; k < l->outs * l->ins * l->taps; k++) {
        const int64_t o = k / (l->ins * l->taps), i = k / l->taps % l->ins;
        const int64_t channel = o / (l->outs / l->groups) * l->ins + i;
        if (channel / run == c) r = fmax(r, fabs((double)l->w[k]));
    }
    return r;
}

static void levels_every_link(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_module *m = parsed(&cx);
    const char *const passes[] = {"equalize", NULL};
    const struct oct_run_options opt = {.passes = passes, .check_each = true};
    assert_true(oct_run_pipeline(&cx, m, &opt));
    oct_links_begin(m);
    int links = 0;
    OCT_FOR_NODES(m, n) {
        struct oct_link l;
        if (!oct_has_flag(n, OCT_LINEAR) || oct_link_from(m, n, &l)) continue;
        links++;
        assert_int_equal(l.run, n->op == OCT_OP_conv2d && n->at.groups == 2 ? 4 : 1);
        for (int64_t c = 0; c < l.from.outs; c++) {
            const double a = from_range(&l.from, c), b = to_range(&l.to, c, l.run);
            assert_true(a > 0 && fabs(a / b - 1) < 5e-3);
        }
    }
    assert_int_equal(links, 4);
    oct_ctx_free(&cx);
}

/* One link alone: the closed form, channel by channel. */
static void equals_the_formula(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    static const char two[] = "octavo 1\nmodel m\nrule name=\"a\" cle=on\ninput x : f32[N,7]\n"
                              "const @a.w : f32[9,7] = random seed=1\nconst @a.b : f32[9] = random seed=2\n"
                              "a = dense(x, @a.w, @a.b) clip=(0.0,inf)\nconst @b.w : f32[4,9] = random seed=3\n"
                              "b = dense(a, @b.w)\nconst @c.w : f32[4,4] = random seed=4\nc = dense(b, @c.w)\noutput c\n";
    struct oct_module *m = oct_parse(&cx, "t", two, sizeof two - 1);
    assert_non_null(m);
    spread(m);
    struct oct_layer was[3], is[3];
    const char *const name[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) assert_true(oct_layer_of(oct_find_value(m, name[i]), &was[i]));
    const char *const passes[] = {"equalize", NULL};
    const struct oct_run_options opt = {.passes = passes};
    assert_true(oct_run_pipeline(&cx, m, &opt));
    for (int i = 0; i < 3; i++) assert_true(oct_layer_of(oct_find_value(m, name[i]), &is[i]));
    for (int64_t c = 0; c < 9; c++) {
        const double s = sqrt(from_range(&was[0], c) * to_range(&was[1], c, 1)) / to_range(&was[1], c, 1);
        for (int64_t i = 0; i < 7; i++) assert_true(is[0].w[c * 7 + i] == (float)((double)was[0].w[c * 7 + i] / s));
        assert_true(is[0].b[c] == (float)((double)was[0].b[c] / s));
        for (int64_t o = 0; o < 4; o++) assert_true(is[1].w[o * 9 + c] == (float)((double)was[1].w[o * 9 + c] * s));
    }
    assert_ptr_equal(is[2].w, was[2].w); /* no rule asks for b -> c */
    oct_ctx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels_every_link), cmocka_unit_test(equals_the_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
