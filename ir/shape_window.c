/* shape_window.c - shapes of ops that slide a window over an image: conv2d and the pools. Requires infer.c. All arithmetic stays
 * below 2^63 because every attribute is first held below 2^31. */
#include "hooks.h"
#include "infer.h"

enum { H = 2, W = 3 }; /* axes of NCHW */
static const char *const side[] = {"height", "width"};

static bool in_range(int64_t v, int64_t least) { return v >= least && v <= INT32_MAX; }

void oct_same_pad(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, bool upper, int64_t *before, int64_t *after) {
    const int64_t out = (in + stride - 1) / stride;
    int64_t total = (out - 1) * stride + (kernel - 1) * dilation + 1 - in;
    if (total < 0) total = 0;
    *before = upper ? total / 2 : total - total / 2;
    *after = total - *before;
}

static bool check_steps(struct oct_ctx *cx, const struct oct_node *n, const int64_t kernel[2]) {
    for (int i = 0; i < 2; i++) {
        const int64_t s = n->at.stride[i], d = n->at.dilation[i];
        if (in_range(kernel[i], 1) && in_range(s, 1) && in_range(d, 1)) continue;
        return oct_misuse(cx, n, OCT_E2108, "kernel %lld, stride %lld and dilation %lld of the %s must each be from 1 to %d",
                          (long long)kernel[i], (long long)s, (long long)d, side[i], INT32_MAX);
    }
    return true;
}

static bool check_pads(struct oct_ctx *cx, const struct oct_node *n) {
    static const char *const names[] = {"top", "left", "bottom", "right"};
    for (int i = 0; i < 4; i++)
        if (!in_range(n->at.pad[i], 0)) {
            oct_misuse(cx, n, OCT_E2109, "padding %lld at the %s must be from 0 to %d", (long long)n->at.pad[i], names[i],
                       INT32_MAX);
            if (n->at.pad[i] < 0) oct_help(cx, "to cut rows or columns off, use slice");
            return false;
        }
    return true;
}

/* Both spatial sizes of the result; resolves pad=same. A rounded-up last window must still start on input or leading padding. */
static bool slide(struct oct_ctx *cx, struct oct_node *n, const int64_t kernel[2], struct oct_type *out) {
    const struct oct_type *x = &n->operand[0]->type;
    const int64_t *stride = n->at.stride, *dilation = n->at.dilation;
    int64_t *pad = n->at.pad;
    if (!check_steps(cx, n, kernel)) return false;
    if (pad[0] == OCT_PAD_SAME)
        for (int i = 0; i < 2; i++) oct_same_pad(x->dim[H + i], kernel[i], stride[i], dilation[i], true, &pad[i], &pad[2 + i]);
    if (!check_pads(cx, n)) return false;
    for (int i = 0; i < 2; i++) {
        const int64_t covers = (kernel[i] - 1) * dilation[i] + 1, padded = x->dim[H + i] + pad[i] + pad[2 + i],
                      room = padded - covers;
        if (room < 0) {
            oct_misuse(cx, n, OCT_E2111, "a window of %lld over the %s is larger than the padded input's %lld", (long long)covers,
                       side[i], (long long)padded);
            return oct_note_operand(cx, n, 0);
        }
        int64_t size = room / stride[i] + 1;
        if (n->at.ceil && room % stride[i] && size * stride[i] < x->dim[H + i] + pad[i]) size++;
        out->dim[H + i] = size;
    }
    return true;
}

static bool check_image(struct oct_ctx *cx, const struct oct_node *n) {
    return oct_need_rank(cx, n, 0, 4, 4) && oct_need_numbers(cx, n, 0, 1);
}

bool shape_conv2d(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    if (!check_image(cx, n) || !oct_need_rank(cx, n, 1, 4, 4) || !oct_need_numbers(cx, n, 1, 0)) return false;
    const struct oct_type *x = &n->operand[0]->type, *w = &n->operand[1]->type;
    const int64_t channels = x->dim[1], results = w->dim[0], groups = n->at.groups;
    if (groups < 1 || channels % groups || results % groups) {
        oct_misuse(cx, n, OCT_E2110, "groups=%lld must divide both the %lld input and the %lld output channels",
                   (long long)groups, (long long)channels, (long long)results);
        oct_note_operand(cx, n, 0);
        return oct_note_operand(cx, n, 1);
    }
    if (channels / groups != w->dim[1]) {
        oct_misuse(cx, n, OCT_E2103, "input has %lld channels but weight %s expects %lld", (long long)channels,
                   oct_quoted(cx, n->operand[1]), (long long)w->dim[1] * groups);
        oct_note_operand(cx, n, 0);
        oct_note_operand(cx, n, 1);
        if (w->dim[1] == 1 && groups == 1) oct_help(cx, "for a depthwise convolution: groups=%lld", (long long)channels);
        return false;
    }
    out->rank = 4;
    out->dim[0] = x->dim[0];
    out->dim[1] = results;
    return slide(cx, n, &w->dim[2], out);
}

bool shape_pool2d(struct oct_ctx *cx, struct oct_node *n, struct oct_type *out) {
    if (!check_image(cx, n)) return false;
    const struct oct_type *x = &n->operand[0]->type;
    if (!OCT_HAS(n->at, kernel)) {
        oct_misuse(cx, n, OCT_E2006, "needs kernel=(h,w)");
        oct_help(cx, "to pool over all of the image: mean(x) axes=(2,3) keepdims");
        return false;
    }
    out->rank = 4;
    out->dim[0] = x->dim[0];
    out->dim[1] = x->dim[1];
    if (!slide(cx, n, n->at.kernel, out)) return false;
    for (int i = 0; i < 4; i++) {
        const int64_t covers = (n->at.kernel[i % 2] - 1) * n->at.dilation[i % 2] + 1;
        if (n->at.pad[i] >= covers)
            return oct_misuse(cx, n, OCT_E2112, "padding %lld leaves a window of %lld over the %s without any input",
                              (long long)n->at.pad[i], (long long)covers, side[i % 2]);
    }
    return true;
}
