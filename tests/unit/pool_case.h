/* pool_case.h - pools and means over a table of shapes and parameters, every profile. */
#ifndef POOL_CASE_H
#define POOL_CASE_H

#include "kernel_case.h"

static const char *const types[] = {"i8[%s] scale=0.5 zero=-128", "i8[%s] scale=0.5 zero=127", "u8[%s] scale=0.25 zero=3",
                                    "f32[%s]"};
static const char *const others[] = {"i8[%s] scale=0.31 zero=5", "i8[%s] scale=0.0029 zero=-128", "u8[%s] scale=7.5 zero=255"};
static const struct {
    const char *in, *out, *attrs;
} windows[] = {
    {"1,3,5,7", "1,3,4,6", "kernel=2"},
    {"1,1,6,6", "1,1,3,3", "kernel=2 stride=2"},
    {"1,5,7,7", "1,5,4,4", "kernel=3 stride=2 pad=1"},
    {"2,2,5,3", "2,2,5,3", "kernel=(3,5) pad=(1,2,1,2)"},
    {"1,16,8,8", "1,16,1,1", "kernel=8"},
    {"1,4,5,5", "1,4,3,3", "kernel=2 stride=2 ceil"},
    {"1,2,1,13", "1,2,1,11", "kernel=(1,3)"},
    {"1,3,4,4", "1,3,5,5", "kernel=2 pad=(1,1,1,1) stride=1"},
    {"1,2,3,3", "1,2,3,3", "kernel=7 pad=3"},
};
enum { WINDOWS = sizeof windows / sizeof *windows };

static const char *typed(const char *type, const char *dims) {
    char *s = oct_alloc(kc.arena, 200);
    const char *at = strchr(type, '%');
    snprintf(s, 200, "%.*s%s%s", (int)(at - type), type, dims, at + 2);
    return s;
}

static void max_pools(void **state) {
    (void)state;
    for (int t = 0; t < 4; t++) {
        for (int w = 0; w < WINDOWS; w++)
            kc_check("input x : %s\ny = max_pool2d(x) %s", typed(types[t], windows[w].in), windows[w].attrs);
        kc_check("input x : %s\ny = max_pool2d(x) kernel=2 dilation=3 pad=(2,0,1,3)", typed(types[t], "1,3,9,8"));
    }
}

static void average_pools(void **state) {
    (void)state;
    static const char *const profiles[] = {"profile=q31", "profile=tflm", "profile=q31 count_pad"};
    for (int t = 0; t < 3; t++)
        for (int w = 0; w < WINDOWS; w++)
            for (int p = 0; p < 3; p++) {
                kc_check("input x : %s\ny : %s = avg_pool2d(x) %s %s", typed(types[t], windows[w].in),
                         typed(types[t], windows[w].out), windows[w].attrs, profiles[p]);
                kc_check("input x : %s\ny : %s = avg_pool2d(x) %s %s", typed(types[t], windows[w].in),
                         typed(others[t], windows[w].out), windows[w].attrs, profiles[p]);
            }
    for (int w = 0; w < WINDOWS; w++) {
        kc_check("input x : f32[%s]\ny = avg_pool2d(x) %s", windows[w].in, windows[w].attrs);
        kc_check("input x : f32[%s]\ny = avg_pool2d(x) %s count_pad", windows[w].in, windows[w].attrs);
    }
    kc_check("input x : i8[1,2,4,4] scale=0.5 zero=3\ny : i8 scale=0.25 zero=0 = avg_pool2d(x) kernel=3 pad=1 profile=pot");
}

static void means(void **state) {
    (void)state;
    static const struct {
        const char *in, *out, *attrs;
    } m[] = {{"1,5,7,3", "1,5,1,1", "axes=(2,3) keepdims"},
             {"1,5,7,3", "1,5", "axes=(2,3)"},
             {"2,3,4,5", "2,4", "axes=(1,3)"},
             {"6,10", "6", "axes=(-1)"},
             {"1,8,25,5", "1,8,1,1", "axes=(2,3) keepdims"}};
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 5; i++)
            for (int p = 0; p < (t < 3 ? 2 : 1); p++) {
                kc_check("input x : %s\ny : %s = mean(x) %s%s", typed(types[t], m[i].in), typed(types[t], m[i].out), m[i].attrs,
                         p ? " profile=tflm" : "");
                if (t < 3)
                    kc_check("input x : %s\ny : %s = mean(x) %s%s", typed(types[t], m[i].in), typed(others[t], m[i].out),
                             m[i].attrs, p ? " profile=tflm" : "");
            }
}

#endif
