/* linear_f32_case.h - conv2d and dense on floats: a table of shapes. */
#ifndef LINEAR_F32_CASE_H
#define LINEAR_F32_CASE_H

#include "kernel_case.h"

static void convolutions(void **state) {
    (void)state;
    static const struct {
        const char *x, *w, *attrs;
        int outputs;
    } c[] = {
        {"1,3,8,8", "8,3,3,3", "pad=1", 8},
        {"1,1,5,5", "1,1,1,1", "", 1},
        {"2,3,7,5", "17,3,3,3", "pad=same stride=2", 17},
        {"1,4,9,9", "4,1,3,3", "groups=4 pad=1", 4},
        {"1,4,9,9", "8,1,5,3", "groups=4 pad=(2,1,2,1) stride=(2,1)", 8},
        {"1,6,6,6", "9,2,3,3", "groups=3 dilation=2 pad=2", 9},
        {"1,16,4,4", "16,16,1,1", "clip=(0.0,6.0)", 16},
        {"1,3,2,2", "5,3,5,5", "pad=2", 5},
        {"1,2,10,10", "7,2,2,3", "pad=(0,2,1,0) stride=(3,2)", 7},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        kc_check("input x : f32[%s]\nconst @w : f32[%s] = random seed=%d within=(-0.5,0.5)\nconst @b : f32[%d] = random seed=9 "
                 "within=(-1,1)\ny = conv2d(x, @w, @b) %s",
                 c[i].x, c[i].w, (int)i, c[i].outputs, c[i].attrs);
        kc_check("input x : f32[%s]\nconst @w : f32[%s] = random seed=%d within=(-0.5,0.5)\ny = conv2d(x, @w) %s", c[i].x, c[i].w,
                 (int)i, c[i].attrs);
    }
}

static void dense_layers(void **state) {
    (void)state;
    static const int n[][3] = {{1, 10, 10}, {3, 64, 8}, {1, 7, 23}, {2, 1, 1}, {1, 130, 16}};
    for (int i = 0; i < 5; i++) {
        kc_check("input x : f32[%d,%d]\nconst @w : f32[%d,%d] = random seed=3 within=(-0.5,0.5)\nconst @b : f32[%d] = random "
                 "seed=4 within=(-1,1)\ny = dense(x, @w, @b) clip=(0.0,inf)",
                 n[i][0], n[i][1], n[i][2], n[i][1], n[i][2]);
        kc_check("input x : f32[2,%d,%d]\nconst @w : f32[%d,%d] = random seed=3 within=(-0.5,0.5)\ny = dense(x, @w)", n[i][0],
                 n[i][1], n[i][2], n[i][1]);
    }
}

#endif
