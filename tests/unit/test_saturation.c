/* Rule saturation: the codes that insert_qdq gives a layer are run through saturating 16-bit sums here, lane by lane, with every
 * choice of activations at the ends of their range, and compared with exact sums. The scale is the least that passes: with the
 * next smaller float the same weights saturate somewhere (where the scale rose at all). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "parse_helper.h"
#include "passes/pass.h"

static int32_t sat16(int32_t v) { return v > 32767 ? 32767 : v < -32768 ? -32768 : v; }

/* One lane: pairs are added saturating, then to the sum, saturating. All 2^n choices of activations where n is small, otherwise
 * the two that reach farthest and some at random. */
static bool lane_is_exact(const int32_t *w, int n, int32_t range) {
    static uint32_t noise = 3;
    const int64_t all = n <= 8 ? (int64_t)1 << n : 200;
    for (int64_t k = 0; k < all; k++) {
        int32_t exact = 0, sum = 0;
        for (int i = 0; i < n; i += 2) {
            int32_t pair = 0;
            for (int j = i; j < i + 2 && j < n; j++) {
                noise = noise * 1664525u + 1013904223u;
                const bool on = n <= 8 ? k >> j & 1 : k == 0 ? w[j] > 0 : k == 1 ? w[j] < 0 : noise >> 31;
                pair += on ? range * w[j] : 0;
            }
            exact += pair;
            sum = sat16(sum + sat16(pair));
        }
        if (sum != exact) return false;
    }
    return true;
}

struct layer {
    int64_t c, kh, kw;
};
static int32_t code_of(float w, float s) { return (int32_t)fmax(fmin(rint((double)(w / s)), 127), -127); }

/* Output channel w[c][kh][kw] at scale s; a lane is every second pair of 4 neighbours of a row [kx][c], `quads` times. */
static bool channel_is_exact(const struct layer *l, const float *w, float s, int32_t range, int quads) {
    const int64_t length = l->kw * l->c;
    for (int64_t ky = 0; ky < l->kh; ky++)
        for (int64_t first = 0; first < length; first += 4 * quads)
            for (int half = 0; half < 2; half++) {
                int32_t lane[64];
                int n = 0;
                for (int64_t at = first; at < first + 4 * quads; at++) {
                    if (at % 4 / 2 != half) continue;
                    lane[n++] = at < length ? code_of(w[(at % l->c * l->kh + ky) * l->kw + at / l->c], s) : 0;
                }
                if (!lane_is_exact(lane, n, range)) return false;
            }
    return true;
}

struct result {
    unsigned channels, raised;
};

static struct result check(const char *shape, const struct layer *l, int64_t outs, const char *rule, int quads,
                           const char *seed) {
    struct parse_test t;
    parse_begin(&t);
    const bool dense = l->kh == 0;
    const struct layer like = {l->c, dense ? 1 : l->kh, dense ? 1 : l->kw};
    char input[64];
    if (dense) snprintf(input, sizeof input, "f32[N,%d]", (int)l->c);
    else snprintf(input, sizeof input, "f32[N,%d,9,9]", (int)l->c);
    const char *text = oct_sprintf(t.a,
                                   "octavo 1\nmodel m\nrule any %s\ninput x : %s\n"
                                   "x.obs = observe(x) range=(-1.0,1.5)\nconst @w : f32[%s] = random seed=%s\n"
                                   "y = %s(x.obs, @w)\ny.obs = observe(y) range=(-8.0,8.0)\noutput y.obs\n",
                                   rule, input, shape, seed, dense ? "dense" : "conv2d");
    struct oct_module *m = parse_model(&t, text);
    const struct oct_node *wf = oct_find_const(m, "w");
    const float *w = wf->data;
    const char *const passes[] = {"insert_qdq", NULL};
    if (!oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = passes})) fail_msg("%s", parse_errors(&t));
    const struct oct_node *q = oct_find_const(m, "w.q");
    assert_non_null(q);
    struct result r = {0, 0};
    const int64_t per = like.c * like.kh * like.kw;
    for (int64_t o = 0; o < outs; o++) {
        float largest = 0;
        for (int64_t i = 0; i < per; i++) largest = fmaxf(largest, fabsf(w[o * per + i]));
        const float s = q->type.q->scale[o], plain = (float)((double)largest / 127);
        for (int64_t i = 0; i < per; i++) assert_int_equal(((const int8_t *)q->data)[o * per + i], code_of(w[o * per + i], s));
        assert_true(s >= plain);
        assert_true(channel_is_exact(&like, w + o * per, s, 255, quads));
        r.channels++;
        if (s == plain) continue;
        r.raised++;
        assert_false(channel_is_exact(&like, w + o * per, nextafterf(s, 0), 255, quads));
    }
    parse_end(&t);
    return r;
}

static void the_least_scale_that_cannot_saturate(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        int quads;
    } levels[] = {{"saturation=pair", 1},
                  {"saturation=pair2", 2},
                  {"saturation=pair4", 4},
                  {"saturation=pair8", 8},
                  {"saturation=pair16", 16}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        unsigned raised = 0;
        raised +=
            check("6,5,3,3", &(struct layer){5, 3, 3}, 6, levels[i].rule, levels[i].quads, "1").raised; /* pairs straddle taps */
        raised += check("6,16,1,1", &(struct layer){16, 1, 1}, 6, levels[i].rule, levels[i].quads, "2").raised;
        raised += check("4,3,2,5", &(struct layer){3, 2, 5}, 4, levels[i].rule, levels[i].quads, "3").raised;
        raised += check("7,131", &(struct layer){131, 0, 0}, 7, levels[i].rule, levels[i].quads, "4").raised;
        assert_true(raised > 10);
    }
}

static void one_product_never_saturates(void **state) {
    (void)state;
    assert_int_equal(check("5,1,1,1", &(struct layer){1, 1, 1}, 5, "saturation=pair16", 16, "5").raised, 0);
}

/* Without the rule these very weights do saturate. */
static void off_is_unsafe(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = parse_model(&t, "octavo 1\nmodel m\ninput x : f32[N,4]\nx.obs = observe(x) range=(0.0,1.0)\n"
                                           "const @w : f32[1,4] = (1.0,0.5,-1.0,1.0)\ny = dense(x.obs, @w)\n"
                                           "y.obs = observe(y) range=(-8.0,8.0)\noutput y.obs\n");
    const char *const passes[] = {"insert_qdq", NULL};
    assert_true(oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = passes}));
    const struct oct_node *q = oct_find_const(m, "w.q");
    const float *w = (const float[]){1.0f, 0.5f, -1.0f, 1.0f};
    assert_false(channel_is_exact(&(struct layer){4, 1, 1}, w, q->type.q->scale[0], 255, 1));
    parse_end(&t);
}

/* One scale for all channels, and powers of two. */
static void other_granularities_and_schemes(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    struct oct_module *m = parse_model(
        &t,
        "octavo 1\nmodel m\nrule any saturation=pair granularity=tensor\nrule name=\"z\" granularity=channel weight_scheme=pot\n"
        "input x : f32[N,2]\nx.obs = observe(x) range=(0.0,1.0)\n"
        "const @w : f32[2,2] = (1.0,-1.0,0.9,0.9)\ny = dense(x.obs, @w)\ny.obs = observe(y) range=(-8.0,8.0)\n"
        "const @v : f32[2,2] = (127.0,-1.0,127.0,127.0)\nz = dense(x.obs, @v)\nz.obs = observe(z) range=(-8.0,8.0)\n"
        "output y.obs\noutput z.obs\n");
    const char *const passes[] = {"insert_qdq", NULL};
    assert_true(oct_run_pipeline(&t.cx, m, &(struct oct_run_options){.passes = passes}));
    const struct oct_node *w = oct_find_const(m, "w.q"), *v = oct_find_const(m, "v.q");
    assert_int_equal(w->type.q->n, 1);
    assert_int_equal(((const int8_t *)w->data)[2], 64); /* 2 * 64 * 255 < 32767 < 2 * 65 * 255 */
    assert_int_equal(((const int8_t *)w->data)[0], 72); /* 64.5 / 0.9 */
    assert_true(v->type.q->scale[0] == 1 && v->type.q->scale[1] == 2);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_scale_that_cannot_saturate),
        cmocka_unit_test(one_product_never_saturates),
        cmocka_unit_test(off_is_unsafe),
        cmocka_unit_test(other_granularities_and_schemes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
