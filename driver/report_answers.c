/* report_answers.c - whose answers changed: classes of the first output, label by label. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { MOST_CLASSES = 24 }; /* of a matrix that can be read */

static int by_samples(const void *x, const void *y) {
    const struct drv_move *a = x, *b = y;
    if (a->samples != b->samples) return a->samples > b->samples ? -1 : 1;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    return (a->to > b->to) - (a->to < b->to);
}

/* Equal moves become one. */
static int64_t gather(struct drv_move *m, int64_t n) {
    int64_t kept = 0;
    qsort(m, (size_t)n, sizeof *m, by_samples); /* each of one sample: so in the order of label, from, to */
    for (int64_t i = 0; i < n; i++) {
        struct drv_move *last = kept ? &m[kept - 1] : NULL;
        if (last && last->label == m[i].label && last->from == m[i].from && last->to == m[i].to) last->samples++;
        else m[kept++] = m[i];
    }
    qsort(m, (size_t)kept, sizeof *m, by_samples);
    return kept;
}

void drv_report_answers(struct drv *d, const struct drv_result *a, const struct drv_result *b, const int64_t *labels,
                        struct drv_answers *out) {
    const int64_t samples = a->dim[0], classes = a->row;
    *out = (struct drv_answers){.labelled = labels, .samples = samples, .classes = classes};
    if (classes < 2 || b->row != classes || b->dim[0] != samples) return;
    out->known = true;
    out->move = OCT_NEW_N(d->a, struct drv_move, samples);
    int64_t n = 0, *matrix = classes <= MOST_CLASSES ? OCT_NEW_N(d->a, int64_t, classes * classes) : NULL;
    out->matrix = matrix;
    for (int64_t i = 0; i < samples; i++) {
        const int64_t from = drv_class(a, i), to = drv_class(b, i), label = labels ? labels[i] : from;
        out->right_a += from == label;
        out->right_b += to == label;
        out->gained += from != label && to == label;
        out->lost += from == label && to != label;
        if (from == to) continue;
        out->move[n++] = (struct drv_move){label, from, to, 1};
        if (!matrix || label < 0 || label >= classes) continue;
        matrix[label * classes + from]--;
        matrix[label * classes + to]++;
    }
    out->changed = n;
    out->nmoves = gather(out->move, n);
}
