/* tune.c - compile --tune: times the ways to build each shape of layer that the file does not know yet, and writes what it found.
 *
 * Each way runs by itself, on made-up codes, in code by the compiler that compile uses. They take turns, so that a slow phase of
 * the machine meets all of them; before each run memory is read that is as large as the model, as other layers do that in a run
 * of it, and the operands, which the layer before has just written. The results must be the same, byte for byte. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../backend/ceiling.h"
#include "../backend/tuning.h"
#include "tuned.h"

enum { LEAST_TURNS = 9, MOST_TURNS = 200, MOST_WAYS_TIMED = 64, LARGEST_WALK = 32 << 20 };
static const uint64_t enough_ns = 60000000; /* for a layer */

struct tuner {
    struct drv *d;
    struct oct_tuning t;
    oct_jit_fn **entry;
    unsigned char *arena, *walk;
    int64_t walk_bytes;
    unsigned seen; /* so that what is read for the sake of the cache is read */
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
/* As a file gives it back, which must compile to the same report. */
static double as_written(double v) {
    const uint64_t tenths = (uint64_t)(v * 10 + 0.5);
    return (double)(tenths / 10) + (double)(tenths % 10) / 10.0;
}

static void pass_over(struct tuner *w, const unsigned char *p, int64_t bytes) {
    const volatile unsigned char *v = p;
    for (int64_t i = 0; i < bytes; i += 64) w->seen += v[i];
}

static uint64_t time_once(struct tuner *w, const struct oct_tuning_layer *l, int way) {
    pass_over(w, w->walk, w->walk_bytes);
    pass_over(w, w->arena + l->in, l->in_bytes);
    const uint64_t start = now_ns();
    w->entry[l->first + way](NULL, w->arena);
    return now_ns() - start;
}

/* The result of a way, in the arena: from the same bytes, so that even what lies between results is the same. */
static const unsigned char *result_of(struct tuner *w, const struct oct_tuning_layer *l, int way) {
    memset(w->arena + l->out, 0x5a, (size_t)l->out_bytes);
    w->entry[l->first + way](NULL, w->arena);
    return w->arena + l->out;
}
static void compare(struct tuner *w, const struct oct_tuning_layer *l) {
    unsigned char *first = oct_alloc(w->d->a, (size_t)l->out_bytes);
    memcpy(first, result_of(w, l, 0), (size_t)l->out_bytes);
    for (int i = 1; i < l->count; i++)
        if (memcmp(first, result_of(w, l, i), (size_t)l->out_bytes) != 0)
            oct_internal(w->d->cx, l->span, "'%s' built as '%s' is not what '%s' gives", l->name, w->t.way[l->first + i].text,
                         w->t.way[l->first].text);
}

/* The shortest time of each way: what disturbs a machine makes runs longer, never shorter. */
static void time_ways(struct tuner *w, const struct oct_tuning_layer *l, uint64_t *best) {
    const uint64_t start = now_ns();
    for (int i = 0; i < l->count; i++) best[i] = UINT64_MAX;
    for (int turn = 0; turn < MOST_TURNS && (turn < LEAST_TURNS || now_ns() - start < enough_ns); turn++)
        for (int i = 0; i < l->count; i++) {
            const int way = (i + turn) % l->count;
            const uint64_t ns = time_once(w, l, way);
            if (ns < best[way]) best[way] = ns;
        }
}

static void record(struct tuner *w, const struct oct_tuning_layer *l, const uint64_t *ns, struct oct_tuned *r) {
    struct oct_tuned_layer *to = oct_tuned_add(r, w->d->a, l->key, l->count);
    for (int i = 0; i < l->count; i++) {
        const double us = as_written((double)ns[i] / 1e3);
        int place = to->nways++;
        for (; place > 0 && to->way[place - 1].us > us; place--) to->way[place] = to->way[place - 1];
        to->way[place] = (struct oct_tuned_way){.text = w->t.way[l->first + i].text, .us = us, .span = r->span};
    }
    if (w->d->o.explain)
        oct_text_addf(&w->d->talk, "%s: tuned: %s, %.1f us; as costs say: %s, %.1f us\n", l->name, to->way[0].text, to->way[0].us,
                      w->t.way[l->first].text, (double)ns[0] / 1e3);
}

static bool load(struct drv *d, const struct oct_compile_options *opt, const struct oct_llvm *llvm, const char *cflags,
                 const struct oct_compiled *c, oct_jit_fn **entry) {
    return llvm ? llvm->jit(d->cx, d->a, c->program, opt->target, entry) : drv_native_entries(d, c, cflags, entry);
}

/* The best of many short runs: what disturbs them makes them longer. */
bool drv_ceilings(struct drv *d, const struct oct_compile_options *options, const struct oct_llvm *llvm, const char *cflags,
                  struct oct_tuned *r) {
    enum { RUNS = 100 };
    struct oct_compile_options opt = *options;
    struct oct_ceiling c[OCT_CEILINGS_MOST];
    struct oct_compiled made;
    oct_jit_fn *entry[OCT_CEILINGS_MOST];
    uint64_t best[OCT_CEILINGS_MOST];
    opt.name = drv_native_prefix;
    opt.no_source = llvm != NULL;
    const int n = r->nceilings = oct_ceiling_make(d->cx, d->a, &opt, c, &made);
    if (!n) return true;
    if (!load(d, &opt, llvm, cflags, &made, entry)) return false;
    void *arena = drv_aligned(oct_alloc(d->a, (size_t)made.program->arena_bytes + 64));
    for (int i = 0; i < n; i++) best[i] = UINT64_MAX;
    for (int run = 0; run < RUNS; run++)
        for (int i = 0; i < n; i++) {
            const uint64_t start = now_ns();
            entry[i](NULL, arena);
            const uint64_t ns = now_ns() - start;
            if (ns < best[i]) best[i] = ns;
        }
    for (int i = 0; i < n; i++) r->ceiling[i].steps = c[i].steps, r->ceiling[i].gmacs = as_written(c[i].macs / (double)best[i]);
    return true;
}

static bool measure(struct drv *d, const struct oct_module *m, const struct oct_compile_options *options,
                    const struct oct_llvm *llvm, const char *cflags, struct oct_tuned *r) {
    struct oct_compile_options opt = *options;
    struct tuner w = {.d = d};
    opt.name = drv_native_prefix;
    if (!oct_tuning_make(d->cx, d->a, m, &opt, r, &w.t)) return false;
    if (!w.t.nlayers) return true;
    w.entry = OCT_NEW_N(d->a, oct_jit_fn *, w.t.made.program->nentries);
    if (!load(d, &opt, llvm, cflags, &w.t.made, w.entry)) return false;
    w.arena = w.t.arena;
    w.walk_bytes = w.t.model_bytes < LARGEST_WALK ? w.t.model_bytes : LARGEST_WALK;
    w.walk = oct_alloc(d->a, (size_t)w.walk_bytes);
    struct drv_progress bar;
    drv_progress_begin(&bar, "tune", w.t.nlayers);
    for (int i = 0; i < w.t.nlayers; i++) {
        uint64_t ns[MOST_WAYS_TIMED];
        OCT_CHECK(d->cx, w.t.layer[i].count <= MOST_WAYS_TIMED);
        compare(&w, &w.t.layer[i]);
        time_ways(&w, &w.t.layer[i], ns);
        record(&w, &w.t.layer[i], ns, r);
        drv_progress_add(&bar, 1);
    }
    drv_progress_end(&bar);
    return true;
}

/* What the file holds already, or nothing yet. Times of two machines, or of two compilers, do not compare. */
static struct oct_tuned *known(struct drv *d, const struct oct_tuned *now) {
    struct stat st;
    if (stat(d->o.tune, &st) != 0 && errno == ENOENT) {
        struct oct_tuned *r = OCT_NEW(d->a, struct oct_tuned);
        *r = *now;
        return r;
    }
    struct oct_tuned *r = drv_tuned_read(d, d->o.tune);
    if (!r || (strcmp(r->target, now->target) == 0 && strcmp(r->cpu, now->cpu) == 0 && strcmp(r->code, now->code) == 0)) return r;
    oct_error(d->cx, r->span, OCT_E6009, "this was measured for %s on '%s' with %s; here that is %s on '%s' with %s", r->target,
              r->cpu, r->code, now->target, now->cpu, now->code);
    oct_help(d->cx, "name another file for --tune; --tuned takes this one as it is");
    return NULL;
}

/* Of commands and names only what a line of the file may hold. */
static const char *line_of(struct drv *d, const char *s) {
    char *line = oct_strdup(d->a, s);
    for (char *c = line; *c; c++)
        if (*c < 32 || *c > 126) *c = '?';
    return line;
}

const struct oct_tuned *drv_tune(struct drv *d, const struct oct_module *m, const struct oct_compile_options *opt,
                                 const struct oct_llvm *llvm) {
    struct oct_tuned now = {.target = opt->target->row, .cpu = oct_host_cpu(d->a)};
    struct oct_text *text = OCT_NEW(d->a, struct oct_text);
    const char *cflags = d->o.cflags ? d->o.cflags : "-O2";
    if (strcmp(d->o.tune, "-") == 0) return drv_misuse(d, "--tune names a file"), NULL;
    if (!drv_runs_here(opt->target))
        return drv_misuse(d, "--tune measures on this machine, which does not run code for %s", opt->target->name), NULL;
    now.code = line_of(d, llvm ? llvm->made_by(d->a, opt->target) : oct_sprintf(d->a, "%s %s", d->o.cc ? d->o.cc : "cc", cflags));
    struct oct_tuned *r = known(d, &now);
    if (!r || (!r->nceilings && !drv_ceilings(d, opt, llvm, cflags, r)) || !measure(d, m, opt, llvm, cflags, r)) return NULL;
    oct_text_init(text, d->a);
    drv_tuned_print(text, r);
    return oct_outputs_add(d->out, d->o.tune, text->s, text->len) ? r : NULL;
}
