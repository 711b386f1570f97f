/* shape.c - see shape.h. */
#include "shape.h"

#include "window.h"

enum { SCRATCH_BYTES = 64 * 1024 };

/* A window of one pixel that moves by one sees the image as one long row; it is cut where that divides it. */
static bool is_flat(const struct oct_shape *s) {
    return s->kh == 1 && s->kw == 1 && s->sy == 1 && s->sx == 1 && !(s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) &&
           s->in_row == s->w * s->in_col && s->out_row == s->ow * s->out_col;
}

static int64_t seen_by(const struct oct_shape *s, int64_t rows) { return (rows - 1) * s->sy + (s->kh - 1) * s->dy + 1; }

/* A long row as `rows` rows. */
static void cut_row(struct oct_shape *s, int64_t rows) {
    const int64_t pixels = s->h * s->w;
    s->h = s->oh = rows;
    s->w = s->ow = pixels / rows;
    s->in_row = s->w * s->in_col;
    s->out_row = s->ow * s->out_col;
}
/* Bands of so many rows. */
static void cut_bands(struct oct_shape *s, int64_t rows) {
    s->cols = (s->ow - 1) * s->sx + s->kw;
    s->pitch = s->cols * s->c;
    s->rows = rows;
    s->bands = s->oh / rows;
    s->seen = seen_by(s, rows);
}

struct oct_shape oct_shape_cut(struct oct_shape s, int64_t bytes) {
    if (s.flat) {
        const int64_t pixels = s.h * s.w, most = SCRATCH_BYTES / bytes / s.c;
        int64_t parts = 1;
        while (parts < pixels && (pixels % parts || pixels / parts > most)) parts++;
        cut_row(&s, parts);
    }
    cut_bands(&s, 1);
    int64_t best = 1;
    for (int64_t rows = 2; rows <= s.oh; rows++) /* as many as divide the rows and fit */
        if (s.oh % rows == 0 && seen_by(&s, rows) * s.pitch * bytes <= SCRATCH_BYTES) best = rows;
    cut_bands(&s, best);
    return s;
}

void oct_shape_share(const struct oct_kbuild *b, struct oct_shape *s, int64_t pieces, int64_t tile) {
    const double little = 0.03;
    const int64_t pixels = s->h * s->w, fewest = 4 * tile; /* of a shorter row, too many would not be a tile's */
    int64_t best = s->rows;
    for (int64_t rows = s->rows; rows >= 1 && oct_k_idle(b, s->oh / best * pieces) > little; rows--)
        if (s->oh % rows == 0 && oct_k_idle(b, s->oh / rows * pieces) < oct_k_idle(b, s->oh / best * pieces)) best = rows;
    for (int even = 1; even >= 0 && s->flat && oct_k_idle(b, s->oh / best * pieces) > little; even--)
        for (int64_t n = s->oh; n * fewest <= pixels; n++)
            if (pixels % n == 0 && (!even || pixels / n % tile == 0) && oct_k_idle(b, n * pieces) <= little) {
                cut_row(s, n);
                best = 1;
                break;
            }
    cut_bands(s, best);
}

struct oct_shape oct_shape_of_conv(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    const struct oct_attrs *at = &b->node->at;
    const struct oct_type *w = &b->in[1].node->type;
    struct oct_shape s = {
        .images = out->dim[0],
        .in_image = in->stride[0],
        .out_image = out->stride[0],
        .c = in->dim[1],
        .in_channel = in->stride[1],
        .out_channel = out->stride[1],
        .h = in->dim[2],
        .oh = out->dim[2],
        .kh = w->dim[2],
        .sy = at->stride[0],
        .dy = at->dilation[0],
        .in_row = in->stride[2],
        .out_row = out->stride[2],
        .w = in->dim[3],
        .ow = out->dim[3],
        .kw = w->dim[3],
        .sx = at->stride[1],
        .in_col = in->stride[3],
        .out_col = out->stride[3],
    };
    for (int i = 0; i < 4; i++) s.pad[i] = at->pad[i];
    s.flat = is_flat(&s);
    return s;
}

/* Rows are pixels of an image of one line. */
struct oct_shape oct_shape_of_dense(const struct oct_kbuild *b) {
    const struct oct_layout *in = &b->in[0].at, *out = &b->out.at;
    struct oct_shape s = {.images = 1, .h = 1, .oh = 1, .kh = 1, .kw = 1, .sy = 1, .sx = 1, .dy = 1};
    oct_rows_of(b, &s.w, &s.in_col, &s.out_col);
    s.ow = s.w;
    s.c = in->dim[in->rank - 1];
    s.in_channel = in->stride[in->rank - 1];
    s.out_channel = out->stride[out->rank - 1];
    if (s.w == 1) s.in_col = s.c;
    s.in_row = s.w * s.in_col;
    s.out_row = s.ow * s.out_col;
    s.flat = true;
    return s;
}
