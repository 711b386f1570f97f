// onednn.cpp - one convolution of bench/peers/nets.py by oneDNN, behind the same line protocol as peer.py:
//   onednn f32|int8 THREADS K STRIDE DEPTHWISE CI CO H W
// Layouts are the library's choice (format any); ReLU is fused. int8 is u8 x s8 -> u8 with full-range data and per-channel scales.
// `outputs` answers "WRONG TOTAL": int8 codes that are more than one off those of exact 32-bit sums.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <sched.h>
#include <string>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

using namespace dnnl;
using tag = memory::format_tag;
using dt = memory::data_type;

int main(int argc, char **argv) {
    if (argc != 10) return 64;
    const bool int8 = !strcmp(argv[1], "int8");
    const int threads = atoi(argv[2]), k = atoi(argv[3]), stride = atoi(argv[4]), groups = atoi(argv[5]) ? atoi(argv[6]) : 1;
    const int ci = atoi(argv[6]), co = atoi(argv[7]), h = atoi(argv[8]), w = atoi(argv[9]), pad = k / 2;
    const int oh = (h + 2 * pad - k) / stride + 1, ow = (w + 2 * pad - k) / stride + 1, cig = ci / groups, cog = co / groups;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < threads; i++) CPU_SET(threads == 1 ? 1 : i, &set);
    sched_setaffinity(0, sizeof set, &set);

    std::mt19937 rng(1);
    std::vector<uint8_t> x((size_t)ci * h * w);
    std::vector<int8_t> wt((size_t)co * cig * k * k);
    for (auto &v : x) v = (uint8_t)(rng() & 255);
    for (auto &v : wt) v = (int8_t)((int)(rng() % 255) - 127);
    std::vector<float> scale((size_t)co, 1.0f / (256.0f * std::sqrt((float)(cig * k * k)) * 8));
    std::vector<float> xf(x.begin(), x.end()), wf(wt.begin(), wt.end());

    engine eng(engine::kind::cpu, 0);
    stream st(eng);
    memory::dims xd = {1, ci, h, w}, yd = {1, co, oh, ow};
    memory::dims wd = groups > 1 ? memory::dims{groups, cog, cig, k, k} : memory::dims{co, ci, k, k};
    const tag wtag = groups > 1 ? tag::goihw : tag::oihw;
    primitive_attr attr;
    post_ops ops;
    ops.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
    attr.set_post_ops(ops);
    if (int8) attr.set_output_scales(2, scale);
    const dt xt = int8 ? dt::u8 : dt::f32, wt_t = int8 ? dt::s8 : dt::f32;
    convolution_forward::desc desc(prop_kind::forward_inference, algorithm::convolution_auto, {xd, xt, tag::any}, {wd, wt_t, tag::any},
                                   {yd, xt, tag::any}, {stride, stride}, {pad, pad}, {pad, pad});
    convolution_forward::primitive_desc pd(desc, attr, eng);
    memory user_x({xd, xt, tag::nchw}, eng, int8 ? (void *)x.data() : xf.data()), user_w({wd, wt_t, wtag}, eng, int8 ? (void *)wt.data() : wf.data());
    memory mx(pd.src_desc(), eng), mw(pd.weights_desc(), eng), my(pd.dst_desc(), eng);
    reorder(user_x, mx).execute(st, user_x, mx);
    reorder(user_w, mw).execute(st, user_w, mw);
    st.wait();
    convolution_forward conv(pd);
    auto call = [&] {
        conv.execute(st, {{DNNL_ARG_SRC, mx}, {DNNL_ARG_WEIGHTS, mw}, {DNNL_ARG_DST, my}});
        st.wait();
    };
    for (int i = 0; i < 3; i++) call();
    std::puts("ready");
    std::fflush(stdout);
    std::string word;
    while (std::cin >> word) {
        if (word == "outputs") {
            std::vector<uint8_t> y((size_t)co * oh * ow);
            long wrong = 0;
            if (int8) {
                memory user_y({yd, dt::u8, tag::nchw}, eng, y.data());
                call();
                reorder(my, user_y).execute(st, my, user_y);
                st.wait();
                for (int o = 0; o < co; o++)
                    for (int r = 0; r < oh; r++)
                        for (int c = 0; c < ow; c++) {
                            int32_t sum = 0;
                            for (int i = 0; i < cig; i++)
                                for (int a = 0; a < k; a++)
                                    for (int b = 0; b < k; b++) {
                                        const int yy = r * stride + a - pad, xx = c * stride + b - pad;
                                        if (yy < 0 || yy >= h || xx < 0 || xx >= w) continue;
                                        sum += x[(size_t)(((o / cog) * cig + i) * h + yy) * w + xx] * wt[(size_t)((o * cig + i) * k + a) * k + b];
                                    }
                            const float v = std::nearbyint(std::fmax(0.0f, (float)sum * scale[(size_t)o]));
                            wrong += std::fabs(std::fmin(v, 255.0f) - y[(size_t)(o * oh + r) * ow + c]) > 1;
                        }
            }
            std::printf("%ld %zu\n", wrong, y.size());
        } else {
            double seconds;
            std::cin >> seconds;
            long n = 0;
            const auto start = std::chrono::steady_clock::now();
            double spent = 0;
            while (word == "time" && spent < seconds) {
                for (int i = 0; i < 4; i++) call();
                n += 4;
                spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            }
            std::printf("%.12g\n", n ? spent / (double)n : 0.0);
        }
        std::fflush(stdout);
    }
}
