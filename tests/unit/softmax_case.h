/* softmax_case.h - softmax of codes and floats along every axis, every kind of scale. */
#ifndef SOFTMAX_CASE_H
#define SOFTMAX_CASE_H

#include "kernel_case.h"

static void codes(void **state) {
    (void)state;
    static const char *const inputs[] = {"i8[%s] scale=0.12 zero=31", "u8[%s] scale=0.9 zero=0", "i8[%s] scale=1e-4 zero=-128",
                                         "i8[%s] scale=30.0 zero=127"};
    static const char *const results[] = {"i8[%s] scale=0.00390625 zero=-128", "u8[%s] scale=0.00390625 zero=0",
                                          "i8[%s] scale=0.0123 zero=5", "i16[%s] scale=1e-4 zero=-100"};
    static const struct {
        const char *dims;
        int axis;
    } shapes[] = {{"1,10", -1}, {"3,1", 1}, {"2,4,3,5", 1}, {"2,4,3,5", 3}, {"7,300", 1}, {"5,17", 0}};
    for (int x = 0; x < 4; x++)
        for (int y = 0; y < 4; y++)
            for (int s = 0; s < 6; s++) {
                char a[80], b[80];
                snprintf(a, sizeof a, "%.2s%s[%s]%s", inputs[x], "", shapes[s].dims, strchr(inputs[x], ']') + 1);
                snprintf(b, sizeof b, "%.*s[%s]%s", (int)(strchr(results[y], '[') - results[y]), results[y], shapes[s].dims,
                         strchr(results[y], ']') + 1);
                kc_check("input x : %s\ny : %s = softmax(x) axis=%d", a, b, shapes[s].axis);
                if (y < 2) kc_check("input x : %s\ny : %s = softmax(x) axis=%d profile=tflm", a, b, shapes[s].axis);
            }
}

static void floats(void **state) {
    (void)state;
    kc_check("input x : f32[1,10]\ny = softmax(x) axis=-1");
    kc_check("input x : f32[2,4,3,5]\ny = softmax(x) axis=1");
    kc_check("input x : f32[2,4,3,5]\ny = softmax(x) axis=2");
    kc_check("input x : f32[3,1]\ny = softmax(x) axis=1");
}

#endif
