/* report.h - what `compare` and `quantize --report` find out about a model B beside the model A that it came from: figures,
 * collected once (report.c and the files it calls), and printed as a table, as JSON and as HTML (report_table.c, report_json.c,
 * report_html.c). Every figure is the same whatever the threads. */
#ifndef DRV_REPORT_H
#define DRV_REPORT_H

#include "driver.h"

/* Values of A in equal bins over [lo, hi), which reaches a sixth beyond what B's codes can stand for on either side. */
enum { DRV_BINS = 64, DRV_BINS_OUTSIDE = 8 };
struct drv_bins {
    double lo, hi;
    uint64_t count[DRV_BINS], below, above;
};

/* Weights of a linear op of B beside those of A, folded as the passes before observers fold them. */
struct drv_weight_figures {
    bool known;
    bool tensor;              /* one scale for all */
    int bits;                 /* of the codes */
    double sqnr_db, worst_db; /* of all, of the worst output channel */
    double spread;            /* largest |weight| of the median channel by that of the channel that a tenth lie below */
};

struct drv_finding {
    const char *why, *advice; /* advice NULL: nothing to try here */
};
enum { DRV_FINDINGS = 6 };

/* One value of the same name in both models. Sums are over all elements of all runs; errors are B's value less A's. */
struct drv_layer {
    const char *name, *op; /* B's op */
    const char *from;      /* what the layer was called in the file it came from; NULL: nothing else */
    const struct oct_node *a, *b;
    int64_t elements;             /* of one run */
    int64_t channels, inner;      /* of axis 1, and elements behind one index of it; channels 0: no such axis, or too many */
    const struct oct_type *codes; /* B's type, or that of the quantize behind it; NULL: neither quantizes it */
    double range[2];              /* what those codes can stand for */
    double signal, power, dot, noise, max_abs; /* sums of a^2, b^2, ab, (b-a)^2; max |b-a| */
    int64_t seen, clipped;                     /* elements; beyond the range by more than rounding takes it */
    double rounding, clipping; /* squared error of A's own value put into B's codes, within and beyond the range */
    bool is_alone;             /* it could be computed by B from A's values: */
    double alone, shift;       /* squared error then; the part of it that is a mean error of channels */
    bool is_weighed;           /* it could be computed by A from its own values with B's weights: */
    double weighed;            /* squared error then */
    double effect,
        reached; /* squared error at A's first output when this layer alone is B's; a^2 there. reached 0: not measured */
    struct drv_weight_figures weight;
    struct drv_bins *bins; /* NULL: without codes */
    struct drv_finding finding[DRV_FINDINGS];
    int nfindings;
};
/* Nothing differs: infinite, even where all is zero. */
double drv_decibels(double signal, double noise);
static inline double drv_layer_sqnr(const struct drv_layer *l) { return drv_decibels(l->signal, l->noise); }
static inline double drv_layer_alone(const struct drv_layer *l) { return drv_decibels(l->signal, l->alone); }
static inline double drv_layer_effect(const struct drv_layer *l) { return drv_decibels(l->reached, l->effect); }
static inline double drv_layer_clipped(const struct drv_layer *l) { return (double)l->clipped / (double)l->seen; }
double drv_layer_cosine(const struct drv_layer *l);

/* A piece of the arena: bytes [offset, offset + bytes) while steps first .. last run. */
struct drv_block {
    const char *name;
    bool scratch;
    int64_t offset, bytes;
    int first, last;
};
struct drv_memory {
    const char *target;
    const char *why_not; /* the compiler refuses the model: its first message; else NULL */
    const char **step;   /* what each step makes */
    int nsteps, nblocks;
    struct drv_block *block;
    int64_t arena_bytes, lower_bound;
};

/* How the first output's classes differ. Without labels a label is A's answer. */
struct drv_move { /* so many samples of one label went from one answer to another */
    int64_t label, from, to, samples;
};
struct drv_answers {
    bool known, labelled;
    int64_t samples, classes;
    int64_t right_a, right_b, changed, gained, lost; /* gained: wrong in A and right in B */
    struct drv_move *move;                           /* most samples first */
    int64_t nmoves;
    const int64_t *matrix; /* [label][answer of B] less the same of A; NULL: too many classes */
};

struct drv_report {
    const char *a, *b, *doc; /* names of the models, what B says of itself */
    const char *of;          /* what the samples are: "calibration data", "data" */
    int64_t samples, effect_runs;
    struct drv_layer *layer; /* in A's order */
    int nlayers;
    int *worst; /* indices into layer: those that harm most first */
    struct drv_answers answers;
    struct drv_memory memory;
};

struct drv_comparison { /* what to compare on what */
    struct oct_module *a, *b;
    const struct oct_dataset *data_a, *data_b; /* the same samples, as each takes them */
    const int64_t *labels;                     /* NULL: none */
    const char *of;
};
/* All of it; B's values by --engine. false after diagnostics. */
bool drv_report_make(struct drv *d, const struct drv_comparison *c, struct drv_report *r);

/* A copy of a float model as it stands before anything is quantized: batch norms folded, layers equalized; with data (--data
 * calibrates), smoothed too, as the rules want it. NULL after diagnostics. */
struct oct_module *drv_report_float(struct drv *d, const struct oct_module *m, bool data);

/* Parts of it, in the order in which they are made. */
void drv_report_match(struct drv *d, const struct drv_comparison *c, struct drv_report *r); /* report_match.c */
/* A model in which every layer starts from A's values: wherever a node reads one that is matched, it reads an input of the model,
 * which is quantized where the model wants codes. */
struct drv_variant {
    struct oct_module *m;          /* NULL: nothing to compute */
    const struct oct_node **given; /* for each layer: the input, of f32, that stands for A's value; NULL: there is none */
    const struct oct_node **value; /* what the layer makes; NULL: the variant does not show it */
};
/* Of a clone `m` of a model that holds the layers under B's names; shows those that `shown` says. false after diagnostics. */
bool drv_report_variant(struct drv *d, struct oct_module *m, const struct drv_report *r, bool (*shown)(const struct drv_layer *l),
                        struct drv_variant *out);
/* Weights of B's linear ops beside A's, and A with the former. */
bool drv_report_weights(struct drv *d, const struct drv_comparison *c, struct drv_report *r,
                        struct drv_variant *weighed); /* report_weights.c */
bool drv_report_measure(struct drv *d, const struct drv_comparison *c, struct drv_report *r,
                        const struct drv_variant *weighed); /* report_measure.c */
void drv_report_answers(struct drv *d, const struct drv_result *a, const struct drv_result *b, const int64_t *labels,
                        struct drv_answers *out);                                          /* report_answers.c */
bool drv_report_memory(struct drv *d, const struct oct_module *b, struct drv_memory *out); /* report_memory.c */
void drv_report_explain(struct drv *d, struct drv_report *r);                              /* report_why.c */

/* Printing. */
void drv_report_table(struct oct_text *t, const struct drv_report *r);
void drv_report_json(struct oct_text *t, const struct drv_report *r);
void drv_report_html(struct oct_text *t, const struct drv_report *r);
/* Queues it as a file: HTML, or JSON where the name ends in .json. */
bool drv_report_write(struct drv *d, const struct drv_report *r, const char *path);

/* ---- HTML and SVG (svg.c): text is escaped, bytes that are no text are shown as such
 * ------------------------------------------- */

void drv_html_text(struct oct_text *t, const char *s);
struct drv_svg { /* a picture of width x height units in the page */
    struct oct_text *t;
};
void drv_svg_open(struct drv_svg *g, struct oct_text *t, const char *class_, double width, double height, const char *label);
void drv_svg_close(struct drv_svg *g);
/* title: what a pointer that rests on it shows, NULL: nothing. */
void drv_svg_rect(struct drv_svg *g, const char *class_, double x, double y, double w, double h, const char *title);
void drv_svg_line(struct drv_svg *g, const char *class_, double x1, double y1, double x2, double y2);
void drv_svg_text(struct drv_svg *g, const char *class_, double x, double y, const char *text);

#endif
