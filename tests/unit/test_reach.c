/* oct_reach_of: which codes a value can take. Too few would make proofs wrong, too many only refuse them; so each case names the
 * codes at both ends, and the values are also computed, by the interpreter, for every code or over random inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/interp.h"
#include "parse_helper.h"

static const char text[] =
    "octavo 1\nmodel m\ninput x : i8[1,2,3,3] scale=0.5 zero=3\ninput f : f32[1,2,3,3]\n"
    "const @w : i8[4,2,1,1] scale=0.1 zero=0 = random seed=1\n"
    "c : i8 scale=0.2 zero=-5 = conv2d(x, @w) clip=(-20,30)\n"
    "c1 = max_pool2d(c) kernel=2\nc2 = reshape(c1) shape=(1,-1)\n"
    "p = pad(c) pads=(0,0,1,1,0,0,0,0) value=9.0\n" /* code 40 */
    "z = pad(c) pads=(0,0,1,1,0,0,0,0)\n"
    "const @t : i8[256] = random seed=2 within=(-7,9)\nl : i8 scale=0.1 zero=0 = lut(x, @t)\n"
    "q : i8 scale=0.01 zero=-40 = quantize(f) clip=(-30,63)\n" /* NaN gives the zero point, beyond the clip */
    "k : i8 scale=0.5 zero=3 = clip(x) clip=(0.0,1.0)\n"       /* real values: no clip of codes */
    "a : i8 scale=0.5 zero=0 = mean(x) axes=(2,3)\n"
    "output c2\noutput p\noutput z\noutput l\noutput q\noutput a\noutput k\n";

static void ends_are_named(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    const struct oct_module *m = parse_model(&t, text);
    static const struct {
        const char *name;
        int32_t lo, hi;
    } cases[] = {{"x", -128, 127}, {"c", -20, 30}, {"c1", -20, 30},  {"c2", -20, 30}, {"p", -20, 40},
                 {"z", -20, 30},   {"q", -40, 63}, {"a", -128, 127}, {"k", -128, 127}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct oct_reach r = oct_reach_of(oct_find_value(m, cases[i].name));
        if (r.lo != cases[i].lo || r.hi != cases[i].hi) fail_msg("%s: %d to %d", cases[i].name, r.lo, r.hi);
    }
    const struct oct_reach l = oct_reach_of(oct_find_value(m, "l"));
    const int8_t *table = oct_find_const(m, "t")->data;
    bool least = false, most = false;
    for (int i = 0; i < 256; i++) {
        assert_true(table[i] >= l.lo && table[i] <= l.hi);
        least |= table[i] == l.lo;
        most |= table[i] == l.hi;
    }
    assert_true(least && most && l.lo > -128 && l.hi < 127);
    parse_end(&t);
}

static void nothing_leaves_it(void **state) {
    (void)state;
    struct parse_test t;
    parse_begin(&t);
    const struct oct_module *m = parse_model(&t, text);
    struct oct_exec *ex = oct_exec_new(&t.cx, m, 1);
    assert_non_null(ex);
    uint32_t noise = 5;
    for (int round = 0; round < 50; round++) {
        OCT_FOR_NODES(m, n) {
            if (n->op != OCT_OP_input) continue;
            const struct oct_tensor *v = oct_exec_value(ex, n);
            for (int64_t i = 0; i < oct_tensor_elements(v); i++) {
                noise = noise * 1664525u + 1013904223u;
                if (v->type.dtype == OCT_F32) ((float *)v->data)[i] = i == 2 ? NAN : (float)(noise >> 8) / 0x1p22f - 2;
                else ((int8_t *)v->data)[i] = (int8_t)(noise >> 24);
            }
        }
        oct_exec_run(ex, NULL, NULL);
        for (uint32_t o = 0; o < m->noutputs; o++) {
            const struct oct_reach r = oct_reach_of(m->output[o].node);
            const struct oct_tensor *v = oct_exec_value(ex, m->output[o].node);
            for (int64_t i = 0; i < oct_tensor_elements(v); i++) {
                const int64_t code = oct_load_int(v->type.dtype, v->data, i);
                if (code < r.lo || code > r.hi)
                    fail_msg("%s: %d is outside of %d to %d", m->output[o].name, (int)code, r.lo, r.hi);
            }
        }
    }
    oct_exec_free(ex);
    parse_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends_are_named), cmocka_unit_test(nothing_leaves_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
