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

#include "../backend/tuning.h"
#include "tuned.h"

enum { LEAST_TURNS = 9, MOST_TURNS = 200, MOST_WAYS_TIMED = 64, LARGEST_WALK = 64 << 20 };
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
static int by_value(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
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

/* The time of each way: the lower quartile of its turns. What disturbs a machine makes runs longer, never shorter. */
static void time_ways(struct tuner *w, const struct oct_tuning_layer *l, double *us) {
    uint64_t *ns = OCT_NEW_N(w->d->a, uint64_t, l->count * MOST_TURNS);
    const uint64_t start = now_ns();
    int turns = 0;
    for (; turns < MOST_TURNS && (turns < LEAST_TURNS || now_ns() - start < enough_ns); turns++)
        for (int i = 0; i < l->count; i++) {
            const int way = (i + turns) % l->count;
            ns[way * MOST_TURNS + turns] = time_once(w, l, way);
        }
    for (int i = 0; i < l->count; i++) {
        qsort(ns + i * MOST_TURNS, (size_t)turns, sizeof *ns, by_value);
        us[i] = (double)ns[i * MOST_TURNS + turns / 4] / 1e3;
    }
}

static void record(struct tuner *w, const struct oct_tuning_layer *l, const double *us, struct oct_tuned *r) {
    struct oct_tuned_layer *to = oct_tuned_add(r, w->d->a, l->key, l->count);
    for (int i = 0; i < l->count; i++) {
        int place = to->nways++;
        for (; place > 0 && to->way[place - 1].us > us[i]; place--) to->way[place] = to->way[place - 1];
        to->way[place] = (struct oct_tuned_way){.text = w->t.way[l->first + i].text, .us = us[i], .span = r->span};
    }
    if (w->d->o.explain)
        oct_text_addf(&w->d->talk, "%s: tuned: %s, %.1f us; as costs say: %s, %.1f us\n", l->name, to->way[0].text, to->way[0].us,
                      w->t.way[l->first].text, us[0]);
}

static bool load(struct tuner *w, const struct oct_compile_options *opt, const struct oct_llvm *llvm) {
    const struct oct_compiled *c = &w->t.made;
    w->entry = OCT_NEW_N(w->d->a, oct_jit_fn *, c->program->nentries);
    return llvm ? llvm->jit(w->d->cx, w->d->a, c->program, opt->target, w->entry)
                : drv_native_entries(w->d, c, w->d->o.cflags ? w->d->o.cflags : "-O2", w->entry);
}

static bool measure(struct drv *d, const struct oct_module *m, const struct oct_compile_options *options,
                    const struct oct_llvm *llvm, struct oct_tuned *r) {
    struct oct_compile_options opt = *options;
    struct tuner w = {.d = d};
    opt.name = drv_native_prefix;
    if (!oct_tuning_make(d->cx, d->a, m, &opt, r, &w.t)) return false;
    if (!w.t.nlayers) return true;
    if (!load(&w, &opt, llvm)) return false;
    w.arena = w.t.arena;
    w.walk_bytes = w.t.model_bytes < LARGEST_WALK ? w.t.model_bytes : LARGEST_WALK;
    w.walk = oct_alloc(d->a, (size_t)w.walk_bytes);
    struct drv_progress bar;
    drv_progress_begin(&bar, "tune", w.t.nlayers);
    for (int i = 0; i < w.t.nlayers; i++) {
        double us[MOST_WAYS_TIMED];
        OCT_CHECK(d->cx, w.t.layer[i].count <= MOST_WAYS_TIMED);
        compare(&w, &w.t.layer[i]);
        time_ways(&w, &w.t.layer[i], us);
        record(&w, &w.t.layer[i], us, r);
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
    if (strcmp(d->o.tune, "-") == 0) return drv_misuse(d, "--tune names a file"), NULL;
    if (!drv_runs_here(opt->target))
        return drv_misuse(d, "--tune measures on this machine, which does not run code for %s", opt->target->name), NULL;
    now.code = line_of(d, llvm ? llvm->made_by(d->a, opt->target)
                               : oct_sprintf(d->a, "%s %s", d->o.cc ? d->o.cc : "cc", d->o.cflags ? d->o.cflags : "-O2"));
    struct oct_tuned *r = known(d, &now);
    if (!r || !measure(d, m, opt, llvm, r)) return NULL;
    oct_text_init(text, d->a);
    drv_tuned_print(text, r);
    return oct_outputs_add(d->out, d->o.tune, text->s, text->len) ? r : NULL;
}
