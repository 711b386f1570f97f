/* onnx_upgrade.c - older operator sets: what was an attribute then and is an input now becomes a constant input, so that handlers
 * know one form; attributes that only training or old broadcasting had are checked. The changes of meaning are in the handlers
 * (Softmax before 13, broadcasting before 7). Source: ONNX's Changelog.md. */
#include <string.h>

#include "onnx_import.h"

/* `attr` of `op` became input `input` with operator set `until`. */
static const struct {
    const char *op, *attr;
    int input;
    int64_t until;
} moved[] = {
    {"Clip", "min", 1, 11},     {"Clip", "max", 2, 11},   {"Pad", "pads", 1, 11},   {"Pad", "value", 2, 11},
    {"Slice", "starts", 1, 10}, {"Slice", "ends", 2, 10}, {"Slice", "axes", 3, 10}, {"Split", "split", 1, 13},
    {"Upsample", "scales", 1, 9},
};
/* Dropped with operator set `until`; octavo reads the value that an inference has. ANY: the handler looks. */
enum { ANY = -1 };
static const struct {
    const char *op, *attr;
    int64_t until, value;
} dropped[] = {
    {"BatchNormalization", "spatial", 9, 1},
    {"BatchNormalization", "is_test", 7, 1},
    {"Dropout", "is_test", 7, 1},
    {"Dropout", "ratio", 12, ANY},
    {"Add", "broadcast", 7, ANY},
    {"Add", "axis", 7, ANY},
    {"Sub", "broadcast", 7, ANY},
    {"Sub", "axis", 7, ANY},
    {"Mul", "broadcast", 7, ANY},
    {"Mul", "axis", 7, ANY},
    {"Div", "broadcast", 7, ANY},
    {"Div", "axis", 7, ANY},
    {"Gemm", "broadcast", 7, ANY},
};
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

bool oct_onnx_had_attr(const struct oct_onnx *im, const char *name) {
    for (int i = 0; i < COUNT(moved); i++)
        if (im->opset < moved[i].until && !strcmp(moved[i].op, im->op->name) && !strcmp(moved[i].attr, name)) return true;
    for (int i = 0; i < COUNT(dropped); i++)
        if (im->opset < dropped[i].until && !strcmp(dropped[i].op, im->op->name) && !strcmp(dropped[i].attr, name)) return true;
    return false;
}

/* An attribute's numbers as a constant; NULL when it is of another kind. */
static struct oct_onnx_const *constant_of(struct oct_onnx *im, const char *name) {
    const OctOnnx__Attribute *a = oct_onnx_attr(im, name);
    struct oct_onnx_const *c = OCT_NEW(im->a, struct oct_onnx_const);
    if (a->n_ints) {
        if (!oct_onnx_budget(im, a->n_ints * sizeof(int64_t))) return NULL;
        int64_t *v = OCT_NEW_N(im->a, int64_t, a->n_ints);
        for (size_t i = 0; i < a->n_ints; i++) v[i] = a->ints[i];
        *c = (struct oct_onnx_const){
            .type = ONNX_INT64, .rank = 1, .dim = {(int64_t)a->n_ints}, .n = (int64_t)a->n_ints, .data = v};
        return c;
    }
    if (a->n_floats) { /* where the file has them */
        *c = (struct oct_onnx_const){
            .type = ONNX_FLOAT, .rank = 1, .dim = {(int64_t)a->n_floats}, .n = (int64_t)a->n_floats, .data = a->floats};
        return c;
    }
    float *v = OCT_NEW(im->a, float);
    *v = oct_onnx_attr_float(im, name, 0);
    *c = (struct oct_onnx_const){.type = ONNX_FLOAT, .n = 1, .data = v};
    return im->failed ? NULL : c;
}

bool oct_onnx_upgrade(struct oct_onnx *im) {
    for (int i = 0; i < COUNT(dropped); i++) {
        if (im->opset >= dropped[i].until || dropped[i].value == ANY || strcmp(dropped[i].op, im->op->name)) continue;
        /* is_test is 0 where it is left out; exporters of that time wrote it */
        if (oct_onnx_attr(im, dropped[i].attr) && oct_onnx_attr_int(im, dropped[i].attr, 1) != dropped[i].value)
            return oct_onnx_unsupported(im, "export the model for inference", "%s is %lld", dropped[i].attr,
                                        (long long)oct_onnx_attr_int(im, dropped[i].attr, 1));
    }
    for (int i = 0; i < COUNT(moved); i++) {
        if (im->opset >= moved[i].until || strcmp(moved[i].op, im->op->name) || !oct_onnx_attr(im, moved[i].attr)) continue;
        if (moved[i].input < im->nin && im->in[moved[i].input])
            return oct_onnx_invalid(im, "%s is given as an attribute and as an input", moved[i].attr);
        const struct oct_onnx_const *c = constant_of(im, moved[i].attr);
        if (!c) return false;
        if (moved[i].input >= im->nin) {
            struct oct_onnx_value **in = OCT_NEW_N(im->a, struct oct_onnx_value *, moved[i].input + 1);
            memcpy(in, im->in, (size_t)im->nin * sizeof *in);
            im->in = in;
            im->nin = moved[i].input + 1;
        }
        struct oct_onnx_value *v = im->in[moved[i].input] = OCT_NEW(im->a, struct oct_onnx_value);
        *v = (struct oct_onnx_value){.name = moved[i].attr, .state = ONNX_KNOWN, .c = c};
    }
    return !im->failed;
}
