/* gram.c - see gram.h. Codes are summed in integers: exact, so that neither threads nor order can matter. */
#include <string.h>

#include "gram.h"

enum { MOST_PATCHES = 1 << 16, BLOCK = 256 };
static const double most_work = 0x1p36; /* products */

void oct_patches_of(const struct oct_node *n, struct oct_patches *p) {
    const struct oct_type *x = &n->operand[0]->type, *w = &n->operand[1]->type, *y = &n->type;
    *p = (struct oct_patches){.groups = 1,
                              .k = w->dim[1],
                              .c = w->dim[1],
                              .h = 1,
                              .w = 1,
                              .kh = 1,
                              .kw = 1,
                              .oh = 1,
                              .ow = 1,
                              .stride = {1, 1},
                              .dilation = {1, 1}};
    p->rows = oct_type_elements(x, 1) / w->dim[1];
    if (n->op != OCT_OP_conv2d) return;
    p->groups = n->at.groups;
    p->h = x->dim[2], p->w = x->dim[3], p->kh = w->dim[2], p->kw = w->dim[3], p->oh = y->dim[2], p->ow = y->dim[3];
    p->k = p->c * p->kh * p->kw;
    p->rows = oct_type_elements(y, 1) / w->dim[0];
    for (int i = 0; i < 2; i++) p->stride[i] = n->at.stride[i], p->dilation[i] = n->at.dilation[i], p->pad[i] = n->at.pad[i];
}

/* ---- sums -------------------------------------------------------------------------------------------------------------------
 */

struct sums {
    const struct oct_patch_data *d;
    double *sum;
};

/* Places [*lo, *hi) of `outs` along one axis where tap `k` meets the image. */
static void meets(const struct oct_patches *p, int axis, int64_t k, int64_t size, int64_t outs, int64_t *lo, int64_t *hi) {
    const int64_t first = k * p->dilation[axis] - p->pad[axis], stride = p->stride[axis];
    *lo = first < 0 ? (-first + stride - 1) / stride : 0;
    *hi = first < size ? (size - 1 - first) / stride + 1 : 0;
    if (*hi > outs) *hi = outs;
}

/* Element k of all patches of a group. A dense layer is a window of one pixel over an image of channels. */
static void sum_element(void *user, int64_t job) {
    const struct sums *s = user;
    const struct oct_patch_data *d = s->d;
    const struct oct_patches *p = d->p;
    const int64_t k = job % p->k, channel = job / p->k * p->c + k / (p->kh * p->kw), ky = k / p->kw % p->kh, kx = k % p->kw;
    const int64_t images = d->runs * p->rows / (p->oh * p->ow);
    int64_t ylo, yhi, xlo, xhi;
    meets(p, 0, ky, p->h, p->oh, &ylo, &yhi);
    meets(p, 1, kx, p->w, p->ow, &xlo, &xhi);
    double real = 0;
    int64_t code = 0;
    for (int64_t image = 0; image < images; image++)
        for (int64_t oy = ylo; oy < yhi; oy++) {
            const int64_t y = oy * p->stride[0] + ky * p->dilation[0] - p->pad[0];
            const int64_t at = ((image * p->groups * p->c + channel) * p->h + y) * p->w + kx * p->dilation[1] - p->pad[1];
            if (d->code)
                for (int64_t ox = xlo; ox < xhi; ox++) code += d->code[at + ox * p->stride[1]];
            else
                for (int64_t ox = xlo; ox < xhi; ox++) real += (double)d->real[at + ox * p->stride[1]];
        }
    s->sum[job] = d->code ? (double)code : real;
}

void oct_patch_sums(const struct oct_ctx *cx, const struct oct_patch_data *d, double *sum) {
    struct sums s = {d, sum};
    oct_parallel(cx, d->p->groups * d->p->k, sum_element, &s);
}

/* ---- products ---------------------------------------------------------------------------------------------------------------
 */

int64_t oct_gram_step(const struct oct_patches *p, int64_t runs) {
    const double least = most_work / ((double)p->k * (double)p->k * (double)p->groups);
    const int64_t most = least < (double)MOST_PATCHES ? (int64_t)least + 1 : MOST_PATCHES, all = p->rows * runs;
    return all <= most ? 1 : (all + most - 1) / most | 1; /* odd: no column of an image is left out */
}

struct gram {
    const struct oct_patch_data *d;
    int64_t group, step, jobs;
    int16_t *block; /* [job][k][BLOCK] */
    int64_t *sum;   /* [k][k], lower triangle */
    int64_t *first; /* [k] */
};

/* Fills block[k][0..BLOCK) from patch `row` on; patches behind the last are 0. */
static void gather(const struct gram *g, int64_t row, int16_t *block) {
    const struct oct_patch_data *d = g->d;
    const struct oct_patches *p = d->p;
    int64_t image[BLOCK], top[BLOCK], left[BLOCK]; /* of each patch: its group's channels, and its first pixel */
    for (int64_t i = 0; i < BLOCK; i++, row += g->step) {
        const int64_t n = row / (p->oh * p->ow);
        image[i] = row < p->rows * d->runs ? (n * p->groups + g->group) * p->c * p->h * p->w : -1;
        top[i] = row / p->ow % p->oh * p->stride[0] - p->pad[0];
        left[i] = row % p->ow * p->stride[1] - p->pad[1];
    }
    for (int64_t channel = 0; channel < p->c; channel++)
        for (int64_t ky = 0; ky < p->kh; ky++)
            for (int64_t kx = 0; kx < p->kw; kx++, block += BLOCK)
                for (int64_t i = 0; i < BLOCK; i++) {
                    const int64_t y = top[i] + ky * p->dilation[0], x = left[i] + kx * p->dilation[1];
                    const bool there = image[i] >= 0 && y >= 0 && y < p->h && x >= 0 && x < p->w;
                    block[i] = there ? d->code[image[i] + (channel * p->h + y) * p->w + x] : 0;
                }
}

static void sum_rows(void *user, int64_t job) {
    const struct gram *g = user;
    const int64_t k = g->d->p->k;
    int16_t *block = g->block + job * k * BLOCK;
    for (int64_t row = 0; row < g->d->p->rows * g->d->runs; row += BLOCK * g->step) {
        gather(g, row, block);
        for (int64_t i = job; i < k; i += g->jobs) {
            const int16_t *a = block + i * BLOCK;
            for (int64_t j = 0; j <= i; j++) {
                const int16_t *b = block + j * BLOCK;
                int32_t sum = 0; /* 256 products of 9 bits and a sign each */
                for (int t = 0; t < BLOCK; t++) sum += a[t] * b[t];
                g->sum[i * k + j] += sum;
            }
            int32_t sum = 0;
            for (int t = 0; t < BLOCK; t++) sum += a[t];
            g->first[i] += sum;
        }
    }
}

void oct_gram(const struct oct_ctx *cx, struct oct_arena *scratch, const struct oct_patch_data *d, int64_t group, int64_t step,
              double *h, double *mean) {
    const int64_t k = d->p->k, patches = (d->p->rows * d->runs + step - 1) / step;
    struct gram g = {.d = d, .group = group, .step = step, .jobs = cx->threads > 1 && k > 16 ? cx->threads : 1};
    g.block = OCT_NEW_N(scratch, int16_t, g.jobs * k * BLOCK);
    g.sum = OCT_NEW_N(scratch, int64_t, k * k);
    g.first = OCT_NEW_N(scratch, int64_t, k);
    oct_parallel(cx, g.jobs, sum_rows, &g);
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j <= i; j++) h[i * k + j] = h[j * k + i] = (double)g.sum[i * k + j] / (double)patches;
        mean[i] = (double)g.first[i] / (double)patches;
    }
}
