/* driver.h - the command: what main.c hands to a verb, and what verbs share. A verb is one row of verbs.def and one file. It
 * appends what belongs on stdout to d->say and queues files in d->out; main writes both, or neither when the verb failed. */
#ifndef DRV_H
#define DRV_H

#include "../frontend/frontend.h"
#include "../ir/interp.h"
#include "../passes/pass.h"

/* ---- options (options.c, options.def) ---------------------------------------------------------------------------------- */

enum drv_option {
#define OPT(field, kind, spelling, arg, doc) DRV_##field,
#define REWRITE OPT
#include "options.def"
    DRV_OPTION_COUNT
};
enum { /* bits of drv_verb.options: one an option, and one for all REWRITE options */
    DRV_BIT_rewrite,
#define OPT(field, kind, spelling, arg, doc) DRV_BIT_##field,
#define REWRITE(field, kind, spelling, arg, doc)
#include "options.def"
    DRV_BIT_COUNT
};
struct drv_list {
    const char **v;
    int n;
};
#define DRV_FIELD_FLAG(f) bool f;
#define DRV_FIELD_STR(f)  const char *f;
#define DRV_FIELD_LIST(f) struct drv_list f;
#define DRV_FIELD_INT(f)  int64_t f; /* 0: not given */
#define DRV_FIELD_NUM(f)  double f;  /* NAN: not given */
#define DRV_FIELD_NAME(f) const char *f;
#define DRV_FIELD_WORD(f) int f;     /* index into the words; -1: not given */
struct drv_options {
#define OPT(field, kind, spelling, arg, doc) DRV_FIELD_##kind(field)
#define REWRITE OPT
#include "options.def"
    struct drv_list args; /* what is no option, without the verb */
};

struct drv;
struct drv_verb {
    const char *name, *args, *doc;
    int least, most;   /* arguments */
    uint64_t options;  /* bits DRV_BIT_x */
    bool (*run)(struct drv *d);
};
#define VERB(name, args, least, most, options, doc) bool verb_##name(struct drv *d);
#include "verbs.def"
#undef VERB
enum { /* a row that is there twice does not compile */
#define VERB(name, args, least, most, options, doc) DRV_VERB_##name,
#include "verbs.def"
#undef VERB
};
const struct drv_verb *drv_verbs(int *n);
/* An option's spelling; its value as the command line has it ("" for a flag), NULL where it was not given; setting it
 * so (false, without a report, where that is no value for it). */
const char *drv_option_spelling(enum drv_option o);
const char *drv_option_text(struct drv *d, enum drv_option o);
bool drv_option_set(struct drv *d, enum drv_option o, const char *text);
/* Reads argv behind the verb. *help is set when --help was among it. */
bool drv_parse(struct oct_ctx *cx, const struct drv_verb *verb, int argc, char **argv, struct drv_options *o, bool *help);
void drv_usage(struct oct_text *out, const struct drv_verb *verb); /* NULL: of the command */

/* A file that compile makes: NAME with a suffix. */
struct drv_file {
    const char *suffix;
    const void *data;
    size_t len;
};
struct drv_arrays;
struct drv_certified;
struct drv {
    struct oct_ctx *cx;
    struct oct_arena *a;
    const struct drv_verb *verb;
    struct drv_options o;
    struct oct_outputs *out;
    struct oct_text say;   /* goes to stdout */
    struct oct_text talk;  /* goes to stderr: explanations */
    int exit_code;         /* OCT_EXIT_THRESHOLD when a threshold failed */
    const struct drv_arrays *data; /* --data, once it was read */
    struct drv_file made[8];       /* by compile */
    int nmade;
    struct drv_certified *certified; /* certificate.h */
    const char *toolchain;         /* that made machine code; NULL: none did */
};
/* Misuse of the command line, exit 64; returns false. */
bool drv_misuse(struct drv *d, const char *fmt, ...) OCT_PRINTF(2, 3);
/* The one output path of a verb that writes one thing; NULL with an error when there is none or more. */
const char *drv_out(struct drv *d);

/* ---- models and data (model.c) -------------------------------------------------------------------------------------------- */

/* Reads a model and applies the options that rule quantization (--config, --observer, --profile, --io, --quantize). */
struct oct_module *drv_read_model(struct drv *d, const char *path);
/* A word of --repair, and the rule that it stands for (repair.c, repairs.def). */
struct drv_repair {
    const char *word, *doc;
    enum oct_qrule_id field;
    uint8_t value;
};
/* Each word of a list with commas; false after a diagnostic. */
bool drv_repairs(struct drv *d, const char *list, void (*each)(void *user, const struct drv_repair *r), void *user);
/* Arrays named by --data or --input, read once; fitted to each model that takes them. */
struct drv_arrays {
    const char *option;   /* for messages */
    struct oct_array *x;
    const char **name;    /* input; NULL: the only one */
    int n;
};
/* Length of the NAME of NAME=PATH, 0 for a plain path. */
size_t drv_name_length(const char *s);
bool drv_read_arrays(struct drv *d, const char *option, const struct drv_list *paths, struct drv_arrays *out);
/* Those of --data, which are read once; NULL after a diagnostic. */
const struct drv_arrays *drv_data(struct drv *d);
/* What --samples leaves of n samples; all of them without it. */
bool drv_samples(struct drv *d, int64_t n, int64_t *from, int64_t *to);
bool drv_fit(struct drv *d, const struct drv_arrays *x, const struct oct_module *m, struct oct_dataset *out);
/* Runs passes with data, dumps and explanations as the options say, from wherever the model stands. */
bool drv_rewrite(struct drv *d, struct oct_module *m);
/* Has the model passed calibrate, and what else its rules make read data, so that they would do nothing? */
bool drv_is_calibrated(const struct oct_module *m);
/* Is anything in it quantized or observed, so that it may need no data, or must have them? The passes decide. */
bool drv_holds_quantized(const struct oct_module *m);

/* ---- search (search.c) -------------------------------------------------------------------------------------------------- */

/* Do options ask for rules that keep a budget (--budget, --flash, --ram)? Finds them: the quantized model, or NULL where the budget
 * cannot be kept (exit 1, by how much is said) or --part asked for figures alone. */
bool drv_search_wanted(const struct drv *d);
bool drv_search(struct drv *d, struct oct_module *m, struct oct_module **found);

/* ---- targets (target.c)
 * ---------------------------------------------------------------------------------------------------- */

struct oct_target;
/* What --target, --targets, --cpu and --features say; the host without them. NULL after an error. */
const struct oct_target *drv_target(struct drv *d);
/* The table, then what the file of --targets adds. NULL after an error. */
const struct oct_target *drv_target_list(struct drv *d, uint32_t *n);

/* ---- running (execute.c) -------------------------------------------------------------------------------------------------- */

enum drv_engine { /* as the words of --engine */ DRV_ENGINE_INTERP, DRV_ENGINE_C, DRV_ENGINE_JIT };
/* One output over all samples. Axis 0 of dim counts them. */
struct drv_result {
    const char *name;
    struct oct_type type;  /* of the module's output */
    int rank;
    int64_t dim[OCT_MAX_RANK + 1];
    int64_t row;           /* elements of one sample */
    void *data;            /* in the output's dtype */
};
struct drv_results {
    struct drv_result *r;
    uint32_t n;
    int64_t samples;
};
/* What --engine says. */
static inline enum drv_engine drv_engine_of(const struct drv *d) {
    return d->o.engine < 0 ? DRV_ENGINE_INTERP : (enum drv_engine)d->o.engine;
}
/* Room for an output over all samples, `chunk` of them a run: its axis 0 is the batch, or one is added. */
void drv_result_init(struct drv *d, const struct oct_output *o, int64_t samples, int64_t chunk, struct drv_result *r);
bool drv_execute(struct drv *d, struct oct_module *m, const struct oct_dataset *data, enum drv_engine engine, struct drv_results *out);
/* Element i as a real value: codes are dequantized (per-tensor parameters). */
double drv_real(const struct oct_type *t, const void *data, int64_t i);

/* ---- figures about outputs (score.c) ---------------------------------------------------------------------------------------- */

/* The right classes that --labels names, one for each sample. */
bool drv_read_labels(struct drv *d, int64_t samples, const int64_t **out);
/* Class of sample i: index of the largest element, the first of equals; NaN never wins. */
int64_t drv_class(const struct drv_result *r, int64_t i);
/* Shares (0..1) of n samples whose class is the label, or that of `ref`; signal-to-noise ratio in dB to `ref`, of equal shape. */
double drv_top1(const struct drv_result *r, const int64_t *labels, int64_t n);
double drv_agreement(const struct drv_result *r, const struct drv_result *ref, int64_t n);
double drv_sqnr_db(const struct drv_result *r, const struct drv_result *ref, int64_t n);

/* ---- progress (progress.c): a bar on stderr, only where that is a terminal, and only for what takes a second ------------------- */

struct drv_progress {
    const char *what;
    int64_t total;
    bool on;
    int64_t began; /* ms */
    _Atomic int64_t done, drawn; /* drawn: ms after that, the last time; 0: never */
};
void drv_progress_begin(struct drv_progress *p, const char *what, int64_t total);
void drv_progress_add(struct drv_progress *p, int64_t n); /* from any thread */
void drv_progress_end(struct drv_progress *p);

/* ---- JSON out (json.c): a value at a time, commas and line breaks by themselves --------------------------------------------- */

struct drv_json {
    struct oct_text *out;
    int depth;
    bool first;
};
void drv_json_init(struct drv_json *j, struct oct_text *out);
/* key is NULL for elements of a list. */
void drv_json_open(struct drv_json *j, const char *key, char bracket);
void drv_json_close(struct drv_json *j, char bracket); /* the outermost ends the line */
void drv_json_str(struct drv_json *j, const char *key, const char *v); /* NULL: null */
void drv_json_int(struct drv_json *j, const char *key, int64_t v);
void drv_json_num(struct drv_json *j, const char *key, double v); /* not finite: null */

#endif
