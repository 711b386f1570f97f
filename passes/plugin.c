/* plugin.c - loads shared objects that bring an observer or a rounding, and holds what they return against what they promised:
 * whoever calls them here sees octavo's own forms (plugin.h). Requires a context, which keeps what was loaded. */
#include <dlfcn.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/octavo_plugin.h"
#include "mass.h"
#include "plugin.h"

static const struct oct_span nowhere;

struct oct_plugins {
    struct loaded {
        const char *path;
        unsigned needs;
        struct oct_observer observer;
        int (*range)(const struct octavo_observed *, double[2]);
        struct loaded *next;
    } * observers;
    const char *rounding, *rounding_name; /* path */
    unsigned rounding_needs;
    int (*round)(const struct octavo_weights *, int32_t *);
};

static struct oct_plugins *plugins_of(struct oct_ctx *cx) {
    if (!cx->plugins) cx->plugins = OCT_NEW(oct_own(cx), struct oct_plugins);
    return cx->plugins;
}

static void close_library(void *handle) { dlclose(handle); }

/* A function of the object; a pointer to one, which POSIX lets a data pointer hold. */
static bool function(struct oct_ctx *cx, void *handle, const char *path, const char *name, void *out) {
    void *f = dlsym(handle, name);
    if (!f) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' lacks the function %s", path, name);
        oct_help(cx, "runtime/octavo_plugin.h declares what it has to define; in C++ it must be extern \"C\"");
        return false;
    }
    memcpy(out, &f, sizeof f);
    return true;
}

/* Opens it and checks what observers and roundings have alike: abi, name, needs. */
static void *open_plugin(struct oct_ctx *cx, const char *path, const char *kind, unsigned known, const char **name,
                         unsigned *needs) {
    if (access(path, R_OK) != 0) {
        oct_error(cx, nowhere, OCT_E7002, "cannot read plugin '%s'", path);
        return NULL;
    }
    /* dlopen looks for a bare name in the system's folders */
    void *handle = dlopen(strchr(path, '/') ? path : oct_sprintf(oct_own(cx), "./%s", path), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' does not load: %s", path, dlerror());
        return NULL;
    }
    oct_defer(oct_own(cx), close_library, handle);
    int (*abi)(void);
    const char *(*name_of)(void);
    unsigned (*needs_of)(void);
    if (!function(cx, handle, path, oct_sprintf(oct_own(cx), "octavo_%s_abi", kind), &abi)) return NULL;
    if (abi() != OCTAVO_PLUGIN_ABI) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' is made for ABI %d; this octavo has %d", path, abi(), OCTAVO_PLUGIN_ABI);
        oct_help(cx, "build it again with this octavo's octavo_plugin.h");
        return NULL;
    }
    if (!function(cx, handle, path, oct_sprintf(oct_own(cx), "octavo_%s_name", kind), &name_of) ||
        !function(cx, handle, path, oct_sprintf(oct_own(cx), "octavo_%s_needs", kind), &needs_of))
        return NULL;
    *needs = needs_of();
    if (*needs & ~known) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' needs what this octavo does not give (bits 0x%x)", path, *needs & ~known);
        return NULL;
    }
    struct oct_qconfig q;
    const char *given = name_of();
    if (!given || !oct_qrule_set(oct_own(cx), &q, OCT_Q_act_observer, given, 0)) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' has no name that a rule can say", path);
        return NULL;
    }
    *name = q.act_observer;
    return handle;
}

/* An oct_range_fn: the plugin's range, checked. */
static bool range_of(struct oct_observed *o, float range[2]) {
    const struct loaded *p = (const struct loaded *)(const void *)((const char *)o->observer - offsetof(struct loaded, observer));
    const struct oct_mass m = oct_mass_of(o, (p->needs & OCTAVO_NEEDS_MAGNITUDES) != 0);
    struct octavo_observed v = {.name = o->name, .total = (uint64_t)m.total, .min = m.min, .max = m.max, .runs = m.n};
    v.lower = m.lo, v.upper = m.hi, v.count = m.count;
    v.qmin = o->qmin, v.qmax = o->qmax, v.symmetric = oct_is_symmetric(o), v.param = o->param;
    if (p->needs & OCTAVO_NEEDS_BATCHES) {
        if (!o->h || !o->h->batches.n) {
            o->why = "its statistics were kept without the extremes of batches; make them anew";
            return false;
        }
        v.low_mean = oct_sum_mean(&o->h->batches.low, o->h->batches.n);
        v.high_mean = oct_sum_mean(&o->h->batches.high, o->h->batches.n);
    }
    double r[2] = {NAN, NAN};
    const int rc = p->range(&v, r);
    range[0] = (float)r[0], range[1] = (float)r[1];
    if (rc) o->why = oct_sprintf(o->scratch, "plugin '%s' returned %d", p->path, rc);
    else if (!isfinite(range[0]) || !isfinite(range[1]) || range[0] > range[1])
        o->why = oct_sprintf(o->scratch, "plugin '%s' returned [%g, %g]", p->path, r[0], r[1]);
    else return true;
    return false;
}

bool oct_plugin_load_observer(struct oct_ctx *cx, const char *path) {
    struct oct_plugins *all = plugins_of(cx);
    for (const struct loaded *p = all->observers; p; p = p->next)
        if (!strcmp(p->path, path)) return true;
    struct loaded *p = OCT_NEW(oct_own(cx), struct loaded);
    const char *name;
    void *handle = open_plugin(cx, path, "observer", OCTAVO_NEEDS_MAGNITUDES | OCTAVO_NEEDS_BATCHES, &name, &p->needs);
    if (!handle || !function(cx, handle, path, "octavo_observer_range", &p->range)) return false;
    if (oct_observer_find(cx, name)) {
        oct_error(cx, nowhere, OCT_E5120, "plugin '%s' brings an observer '%s', and there is one already", path, name);
        return false;
    }
    p->path = oct_strdup(oct_own(cx), path);
    p->observer = (struct oct_observer){name, "of a plugin", 0, 0, 0, 1e6, range_of};
    p->next = all->observers;
    all->observers = p;
    return true;
}

bool oct_plugin_load_rounding(struct oct_ctx *cx, const char *path) {
    struct oct_plugins *all = plugins_of(cx);
    if (all->rounding && !strcmp(all->rounding, path)) return true;
    void *handle = open_plugin(cx, path, "rounding", OCTAVO_NEEDS_ZERO_AT_ZERO, &all->rounding_name, &all->rounding_needs);
    if (!handle || !function(cx, handle, path, "octavo_rounding_round", &all->round)) return false;
    all->rounding = oct_strdup(oct_own(cx), path);
    return true;
}

const struct oct_observer *oct_plugin_observer(const struct oct_ctx *cx, const char *name) {
    for (const struct loaded *p = cx && cx->plugins ? cx->plugins->observers : NULL; p; p = p->next)
        if (!strcmp(p->observer.name, name)) return &p->observer;
    return NULL;
}

bool oct_plugin_round(void *user, const struct oct_weights *w, int32_t *code) {
    struct oct_ctx *cx = user;
    const struct oct_plugins *all = cx->plugins;
    if (!all || !all->round) return false;
    struct oct_arena *a = oct_arena_new(cx);
    float *scale = OCT_NEW_N(a, float, w->outs);
    int32_t *zero = OCT_NEW_N(a, int32_t, w->outs);
    bool shifted = false;
    for (int64_t o = 0; o < w->outs; o++) {
        const uint32_t k = oct_weight_index(w, o * w->per);
        scale[o] = oct_scale(w->q, k);
        zero[o] = oct_zero(w->q, k);
        shifted |= zero[o] != 0;
    }
    const struct octavo_weights v = {w->op->name, w->w, w->outs, w->per, scale, zero, w->codes.lo, w->codes.hi};
    const int64_t total = w->outs * w->per;
    for (int64_t i = 0; i < total; i++) code[i] = INT32_MIN; /* what is forgotten is out of range */
    const int rc = shifted && (all->rounding_needs & OCTAVO_NEEDS_ZERO_AT_ZERO) ? 1 : all->round(&v, code);
    oct_arena_free(a);
    if (rc == 1) return false;
    int64_t bad = 0;
    while (!rc && bad < total && code[bad] >= w->codes.lo && code[bad] <= w->codes.hi) bad++;
    if (rc)
        oct_error(cx, w->op->span, OCT_E5121, "rounding plugin '%s' returned %d for the weights of '%s'", all->rounding, rc,
                  v.name);
    else if (bad < total)
        oct_error(cx, w->op->span, OCT_E5121, "rounding plugin '%s' gives weight %lld of '%s' the code %d, outside %d..%d",
                  all->rounding, (long long)bad, v.name, (int)code[bad], (int)w->codes.lo, (int)w->codes.hi);
    return !rc && bad == total;
}
