/* check_certificate.c - octavo check --certificate: compiles the model again as the certificate says, in memory, makes the
 * certificate anew from that, and compares item by item; then the files beside the certificate (or the one that is named), which
 * run when this machine can run them. The first item that does not hold ends it: code that is not the certified one is never
 * executed. */
#include <string.h>
#include <unistd.h>

#include "certificate.h"

struct checking {
    struct drv *d;
    const char *path, *built; /* the certificate; the file named on the command line, or NULL */
    struct drv_cert then;
    const struct drv_cert *now;
    struct drv_file here[8]; /* files as they are on disk, the rest as they were made again */
    int nhere;
    struct drv_json j;
    bool failed;
};
enum verdict { HOLDS, FAILED, UNKNOWN };

/* One line, or one element of `items`. */
static bool say(struct checking *w, enum verdict v, const char *item, const char *why) {
    static const char *const words[] = {"holds", "FAILED", "not checked"};
    w->failed = w->failed || v == FAILED;
    if (w->d->o.json) {
        drv_json_open(&w->j, NULL, '{');
        drv_json_str(&w->j, "item", item);
        drv_json_str(&w->j, "verdict", words[v]);
        drv_json_str(&w->j, "why", why);
        drv_json_close(&w->j, '}');
    } else oct_text_addf(&w->d->say, "%s: %s%s%s\n", item, words[v], why ? ": " : "", why ? why : "");
    return v != FAILED;
}

static bool same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static bool compare(struct checking *w, const char *item, const char *then, const char *now) {
    if (same(then, now)) return say(w, HOLDS, item, NULL);
    return say(w, FAILED, item,
               oct_sprintf(w->d->a, "the certificate says '%s', here it is '%s'", then ? then : "", now ? now : ""));
}

/* ---- the model and its layers
 * --------------------------------------------------------------------------------------------------- */

static bool check_layer(struct checking *w, const struct drv_cert_layer *then, const struct drv_cert_layer *now, bool data) {
    const char *item = oct_sprintf(w->d->a, "layer %s", then->name);
    if (!same(then->name, now->name) || !same(then->op, now->op))
        return say(w, FAILED, item, oct_sprintf(w->d->a, "in its place the model has %s '%s'", now->op, now->name));
    if (!same(then->constants, now->constants))
        return say(w, FAILED, item, "its weights, biases, scales or zero points are others");
    for (int v = 0; v < DRV_VECTORS_COUNT; v++)
        if (!same(then->sum[v], now->sum[v]) && (v != DRV_VECTORS_DATA || data))
            return say(w, FAILED, item, oct_sprintf(w->d->a, "it computes other values on vectors '%s'", drv_vectors_word[v]));
    return say(w, HOLDS, item, NULL);
}

static bool check_model(struct checking *w) {
    const struct drv_cert *then = &w->then, *now = w->now;
    const bool data = !same(then->data, "none") && !same(now->data, "none");
    if (!compare(w, "profiles", then->profiles, now->profiles)) return false;
    if (!compare(w, "target", then->target, now->target)) return false;
    if (data && !compare(w, "data", then->data, now->data)) return false;
    if (!data && !same(then->data, "none")) say(w, UNKNOWN, "data", "name them: --data X.npy");
    if (!compare(w, "random vectors", then->random, now->random)) return false;
    for (int i = 0; i < then->nlayers && i < now->nlayers; i++)
        if (!check_layer(w, &then->layer[i], &now->layer[i], data)) return false;
    if (then->nlayers != now->nlayers)
        return say(w, FAILED, "layers",
                   oct_sprintf(w->d->a, "the certificate has %d, the model %d", then->nlayers, now->nlayers));
    return compare(w, "model", then->model, now->model) && compare(w, "model text", then->text, now->text) &&
           compare(w, "weights", then->weights, now->weights);
}

/* ---- files
 * ---------------------------------------------------------------------------------------------------------------------------- */

static const struct drv_cert_file *find(const struct drv_cert *c, const char *name) {
    for (int i = 0; i < c->nfiles; i++)
        if (same(c->file[i].name, name)) return &c->file[i];
    return NULL;
}

/* Compiling again gives the certified bytes, if the same tools do it. */
static bool check_made(struct checking *w) {
    const struct drv_cert *then = &w->then, *now = w->now;
    if (!same(then->made_by, now->made_by) || !same(then->toolchain, now->toolchain) || !same(then->cflags, now->cflags))
        return say(w, UNKNOWN, "compiled again",
                   oct_sprintf(w->d->a, "by %s, %s, flags %s; it was %s, %s, flags %s", now->made_by, now->toolchain, now->cflags,
                               then->made_by, then->toolchain, then->cflags));
    for (int i = 0; i < then->nfiles; i++) {
        const struct drv_cert_file *f = find(now, then->file[i].name);
        if (!f || !same(f->digest, then->file[i].digest))
            return say(w, FAILED, oct_sprintf(w->d->a, "compiled again, %s", then->file[i].name),
                       f ? "its bytes are others" : "compiling does not make it");
    }
    return say(w, HOLDS, "compiled again", then->toolchain);
}

/* The suffix of a file of ours, NULL for another name. */
static const char *suffix_of(const struct checking *w, const char *name) {
    const size_t n = strlen(w->then.name);
    return strncmp(name, w->then.name, n) == 0 && name[n] == '.' && !strchr(name, '/') ? name + n : NULL;
}

static bool check_bytes(struct checking *w, const struct drv_cert_file *f, const char *item, struct oct_bytes b) {
    const char *digest = drv_digest(w->d->a, b.data, b.len), *code = drv_code_digest(w->d->a, b.data, b.len);
    if (same(digest, f->digest)) return say(w, HOLDS, item, f->code ? "code and all other bytes" : NULL);
    return say(w, FAILED, item,
               oct_sprintf(w->d->a, "%s: digest %s, code %s",
                           !f->code              ? "it was changed"
                           : same(code, f->code) ? "it was changed, but not its code"
                                                 : "its code was changed",
                           digest, code ? code : "none"));
}

static bool check_files(struct checking *w) {
    struct drv *d = w->d;
    const char *slash = strrchr(w->path, '/');
    const char *folder = slash ? oct_strndup(d->a, w->path, (size_t)(slash - w->path) + 1) : "";
    for (int i = 0; i < w->then.nfiles; i++) {
        const struct drv_cert_file *f = &w->then.file[i];
        const char *suffix = suffix_of(w, f->name);
        const bool this_one = w->built && i == 0; /* what compile was asked for comes first */
        struct oct_bytes b;
        if (!suffix || w->nhere == (int)(sizeof w->here / sizeof *w->here))
            return say(w, FAILED, f->name, "compile makes no such file");
        if (!this_one && access(oct_sprintf(d->a, "%s%s", folder, f->name), F_OK) != 0) {
            say(w, UNKNOWN, f->name, "it is not beside the certificate");
            continue;
        }
        if (this_one ? !oct_read_file(d->cx, w->built, &b)
                     : !oct_read_beneath(d->cx, w->path, f->name, (struct oct_span){0, 0, 0}, &b))
            return false;
        if (!check_bytes(w, f, this_one ? w->built : f->name, b)) return false;
        w->here[w->nhere++] = (struct drv_file){suffix, b.data, b.len};
    }
    return true;
}

/* ---- execution
 * -------------------------------------------------------------------------------------------------------------------------- */

/* The files that were looked at; what is not here, and the header, as compiled again. */
static bool check_outputs(struct checking *w) {
    struct drv *d = w->d;
    struct drv_file file[16];
    int n = 0;
    bool code = false;
    for (int i = 0; i < w->nhere; i++)
        if (!same(w->here[i].suffix, ".h")) file[n++] = w->here[i], code = code || drv_is_code(w->here[i].suffix);
    for (int i = 0; i < d->nmade; i++) {
        bool there = false;
        for (int k = 0; k < n; k++) there = there || same(file[k].suffix, d->made[i].suffix);
        if (!there) file[n++] = d->made[i];
    }
    const char *what = NULL, *fault;
    const bool ok = drv_trial_run(d, &d->certified->opt, file, n, &d->certified->trial, &what, &fault);
    if (!ok && !fault) return false;
    if (!ok) return say(w, FAILED, "outputs", fault);
    if (!code) what = oct_sprintf(d->a, "%s, compiled again", what);
    return strncmp(what, "no: ", 4) == 0 ? say(w, UNKNOWN, "outputs", what + 4) : say(w, HOLDS, "outputs", what);
}

/* ---- */

static bool impossible(struct checking *w, const char *what, const char *value) {
    oct_error(w->d->cx, (struct oct_span){0, 0, 0}, OCT_E4021, "%s: impossible %s '%s'", w->path, what, value);
    return false;
}

/* As `octavo compile` would with the options of the certificate; nothing is written. */
static bool compile_again(struct checking *w) {
    struct drv *d = w->d;
    struct oct_outputs *const real = d->out;
    if (!*w->then.name || strchr(w->then.name, '/')) return impossible(w, "file name", w->then.name);
    for (const enum drv_option *o = drv_cert_options; *o != DRV_OPTION_COUNT; o++)
        if (w->then.option[*o] && !drv_option_set(d, *o, w->then.option[*o]))
            return impossible(w, drv_option_spelling(*o), w->then.option[*o]);
    drv_option_set(d, DRV_out, oct_sprintf(d->a, ".octavo-check/%s", w->then.name));
    d->o.certify = true;
    d->out = oct_outputs_new(d->cx);
    const bool ok = verb_compile(d);
    d->out = real;
    w->now = ok ? &d->certified->cert : NULL;
    return ok;
}

bool drv_check_certificate(struct drv *d) {
    struct checking w = {.d = d, .path = d->o.certificate, .built = d->o.args.n > 1 ? d->o.args.v[1] : NULL};
    if (!drv_cert_read(d, w.path, &w.then) || !compile_again(&w)) return false;
    drv_json_init(&w.j, &d->say);
    if (d->o.json) {
        drv_json_open(&w.j, NULL, '{');
        drv_json_str(&w.j, "certificate", w.path);
        drv_json_open(&w.j, "items", '[');
    }
    const bool ok = check_model(&w) && check_files(&w) && check_made(&w) && check_outputs(&w);
    if (d->o.json) {
        drv_json_close(&w.j, ']');
        drv_json_str(&w.j, "verdict", ok ? "holds" : "FAILED");
        drv_json_close(&w.j, '}');
    } else oct_text_addf(&d->say, "%s: %s\n", w.path, ok ? "holds" : "does not hold");
    if (w.failed) d->exit_code = OCT_EXIT_THRESHOLD;
    return ok || w.failed;
}
