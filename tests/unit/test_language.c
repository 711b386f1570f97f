/* The language: what is read, what is refused and how, hostile texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parse_helper.h"

/* ---- texts that are right ---- */

static void prints_as(const char *text, const char *printed) {
    struct parse_test t;
    parse_begin(&t);
    assert_string_equal(parse_print(&t, parse_model(&t, text), NULL), printed);
    parse_end(&t);
}

static void a_model_reads_and_prints(void **state) {
    (void)state;
    prints_as("octavo 1\n"
              "model net \"two layers\"  # comment\n"
              "option io=float\n"
              "rule any act=i8 granularity=channel\n"
              "rule op=softmax act=float\n"
              "rule name=\"c*\" weight_observer=mse\n"
              "\n"
              "input image : f32[N,3,8,8]\n"
              "const @w : f32[4,3,3,3] = random seed=7 within=(-0.5,0.5)\n"
              "const @b : f32[4] = (0.1, -2, 3e-9, -3.4e38)\n"
              "c1 = conv2d(image, @w, @b) pad=same stride=2 doc=\"a \\\"quote\\\"\"\n"
              "p = mean(relu(c1)) axes=(2,-1)\n"
              "y = softmax(p) axis=-1\n"
              "output probs = y\n",
              "octavo 1\n"
              "model net \"two layers\"\n"
              "option io=float\n"
              "rule any act=i8 granularity=channel\n"
              "rule op=softmax act=float\n"
              "rule name=\"c*\" weight_observer=mse\n"
              "\n"
              "input image : f32[N,3,8,8]\n"
              "const @w : f32[4,3,3,3] = random seed=7 within=(-0.5,0.5)\n"
              "const @b : f32[4] = (0.1, -2.0, 3e-09, -3.4e+38)\n"
              "c1 : f32[N,4,4,4] = conv2d(image, @w, @b) pad=(0,0,1,1) stride=2 doc=\"a \\\"quote\\\"\"\n"
              "relu : f32[N,4,4,4] = relu(c1)\n"
              "p : f32[N,4] = mean(relu) axes=(2,3)\n"
              "y : f32[N,4] = softmax(p) axis=1\n"
              "\n"
              "output probs = y\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_reads_and_prints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
