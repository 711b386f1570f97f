/* compile.c - octavo compile: the pipeline from wherever the model stands, then a back end: NAME.c, .ll, .s, .o or .a with NAME.h
 * and NAME.json. LLVM IR, assembler, objects and libraries come from the LLVM back end; objects and libraries from a C compiler
 * where one is named. All of it appears, or nothing. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../backend/archive.h"
#include "certificate.h"
#include "tuned.h"

enum { MAX_PARTS = 64 }; /* OCTAVO_POOL_MAX of the runtime */
enum { EMIT_C, EMIT_LLVM, EMIT_ASM, EMIT_OBJ, EMIT_LIB }; /* as the words of --emit */

/* Where output goes: files are FOLDER NAME.suffix, symbols start with `symbol`. */
struct place {
    const char *folder; /* with its slash, or "" */
    const char *name, *symbol;
};

/* A prefix of C symbols made of a file name. */
static const char *symbol_of(struct oct_arena *a, const char *name) {
    char *s = oct_sprintf(a, "%s%s", *name >= '0' && *name <= '9' ? "m" : "", name);
    for (char *p = s; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", *p)) *p = '_';
    return s;
}

/* -o is a prefix, a folder that exists or ends in '/', or missing: the model's own name, here. */
static bool find_place(struct drv *d, const struct oct_module *m, struct place *p) {
    struct stat st;
    *p = (struct place){.folder = "", .name = m->name};
    if (d->o.out.n > 1) return drv_misuse(d, "-o is given more than once");
    if (d->o.out.n && strcmp(d->o.out.v[0], "-") != 0) {
        const char *out = d->o.out.v[0], *slash = strrchr(out, '/');
        if (!*out) return drv_misuse(d, "-o is empty");
        if (stat(out, &st) == 0 && S_ISDIR(st.st_mode)) p->folder = slash && !slash[1] ? out : oct_sprintf(d->a, "%s/", out);
        else {
            if (slash) p->folder = oct_strndup(d->a, out, (size_t)(slash - out) + 1);
            if (!slash || slash[1]) p->name = slash ? slash + 1 : out;
        }
        if (*p->folder) oct_outputs_dir(d->out, p->folder);
    }
    p->symbol = symbol_of(d->a, p->name);
    for (const char *s = p->name; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127 || *s == '"' || *s == '\\' || *s == '?')
            return drv_misuse(d, "-o: C cannot include a file whose name has quotes, backslashes, '?' or control characters");
    return true;
}

static bool queue(struct drv *d, const struct place *p, const char *suffix, const void *data, size_t len) {
    OCT_CHECK(d->cx, d->nmade < (int)(sizeof d->made / sizeof *d->made));
    d->made[d->nmade++] = (struct drv_file){suffix, data, len};
    return oct_outputs_add(d->out, oct_sprintf(d->a, "%s%s%s", p->folder, p->name, suffix), data, len);
}
static bool queue_text(struct drv *d, const struct place *p, const char *suffix, const struct oct_text *t) {
    return queue(d, p, suffix, t->len ? t->s : "", t->len);
}

/* Without calibration data a model that nothing was quantized in stays in float, and is told so. */
static void decide_float(struct drv *d, struct oct_module *m) {
    if (d->o.data.n || d->o.stats.n || drv_is_calibrated(m) || drv_holds_quantized(m) || (m->option_set >> OCT_OPT_quantize & 1))
        return;
    m->option[OCT_OPT_quantize] = OCT_QUANTIZE_OFF;
    m->option_set |= (uint32_t)1 << OCT_OPT_quantize;
    oct_note(d->cx, (struct oct_span){0, 0, 0}, "no calibration data: compiled in float; --data CAL.npy quantizes");
}

static const char *here(struct drv *d) {
    char path[PATH_MAX];
    return realpath(".", path) ? oct_strdup(d->a, path) : ".";
}

/* A board's memory is the user's to know; the target's is what such boards have. */
static void compare_budgets(struct drv *d, const struct oct_target *t, const struct oct_program *p) {
    const struct oct_span nowhere = {0, 0, 0};
    if (t->ram && p->arena_bytes > t->ram)
        oct_note(d->cx, nowhere, "the arena takes %lld bytes; a usual board of %s has %lld of RAM", (long long)p->arena_bytes,
                 t->name, (long long)t->ram);
    if (t->flash && p->weight_bytes > t->flash)
        oct_note(d->cx, nowhere, "weights alone take %lld bytes; a usual board of %s has %lld of flash",
                 (long long)p->weight_bytes, t->name, (long long)t->flash);
}

/* The object as a library; what it defines for others are the program's entries, and for itself weights that the assembler
 * included. */
static bool make_library(struct drv *d, const struct place *p, const struct oct_compiled *c, struct oct_text *made) {
    const struct oct_program *program = c->program;
    const char **symbol = OCT_NEW_N(d->a, const char *, program->nentries + 1);
    int n = 0;
    for (; n < program->nentries; n++) symbol[n] = program->entry[n].name;
    if (c->weights.len) symbol[n++] = oct_sprintf(d->a, "%s_weights", program->name);
    const struct oct_member member = {
        .name = oct_sprintf(d->a, "%s.o", p->name), .data = made->s, .len = made->len, .symbol = symbol, .nsymbols = (size_t)n};
    oct_text_init(made, d->a);
    return oct_archive_write(made, &member, 1) || drv_misuse(d, "a library cannot hold 4 GB");
}

static bool write_built(struct drv *d, const struct place *p, const struct oct_target *t, struct oct_compiled *c) {
    struct oct_text *made = OCT_NEW(d->a, struct oct_text);
    struct oct_sizes sizes;
    if (!drv_cc_object(d, p->name, c, made, &sizes)) return false;
    oct_report_sizes(c, &sizes, t->pointer_bytes);
    if (d->o.emit == EMIT_LIB && !make_library(d, p, c, made)) return false;
    return queue_text(d, p, d->o.emit == EMIT_OBJ ? ".o" : ".a", made);
}

static bool write_source(struct drv *d, const struct place *p, const struct oct_compiled *c) {
    return queue_text(d, p, ".c", &c->c) &&
           (!c->weights.len || (queue_text(d, p, ".weights.bin", &c->weights) && queue_text(d, p, ".weights.S", &c->weights_s)));
}

/* Which back end: a C compiler that is named, or that alone can do it; else LLVM. *llvm: NULL for C. */
static bool choose(struct drv *d, const struct oct_target *t, const struct oct_llvm **llvm) {
    const bool host = !*t->triple, named = d->o.cc || d->o.cflags, binary = d->o.emit >= EMIT_OBJ;
    *llvm = NULL;
    if (d->o.emit <= EMIT_C) return true;
    if (!binary && named)
        return drv_misuse(d, "--cc and --cflags are for --emit obj and lib; LLVM IR and assembler come from octavo itself");
    if (named) return host || d->o.cc || drv_misuse(d, "--cflags is for a compiler: --cc COMMAND");
    /* Machine code for this machine can also be had from its compiler. */
    *llvm = drv_llvm(d, !binary || !host);
    if (*llvm) return true;
    if (!binary || !host) return false;
    oct_note(d->cx, (struct oct_span){0, 0, 0}, "the LLVM back end is not there: the %s is made by cc",
             d->o.emit == EMIT_OBJ ? "object" : "library");
    return true;
}

static bool write_llvm(struct drv *d, const struct place *p, const struct oct_llvm *llvm, const struct oct_target *t,
                       struct oct_compiled *c, bool to_stdout) {
    static const struct {
        enum oct_llvm_form form;
        const char *suffix;
    } as[] = {[EMIT_LLVM] = {OCT_LLVM_IR, ".ll"},
              [EMIT_ASM] = {OCT_LLVM_ASM, ".s"},
              [EMIT_OBJ] = {OCT_LLVM_OBJ, ".o"},
              [EMIT_LIB] = {OCT_LLVM_OBJ, ".a"}};
    struct oct_text *made = OCT_NEW(d->a, struct oct_text);
    struct oct_sizes sizes;
    if (!llvm->emit(d->cx, d->a, c->program, t, as[d->o.emit].form, made, &sizes)) return false;
    if (as[d->o.emit].form == OCT_LLVM_OBJ) oct_report_sizes(c, &sizes, t->pointer_bytes);
    if (d->o.emit == EMIT_LIB && !make_library(d, p, c, made)) return false;
    return to_stdout ? oct_outputs_add(d->out, "-", made->s, made->len) : queue_text(d, p, as[d->o.emit].suffix, made);
}

/* No certificate, and nothing else either, where what was compiled does not give what the interpreter gives. */
static bool certify(struct drv *d, const struct place *p, struct oct_module *m, const struct oct_compile_options *opt) {
    struct drv_certified *c = d->certified = OCT_NEW(d->a, struct drv_certified);
    struct oct_text *text = OCT_NEW(d->a, struct oct_text);
    const char *fault;
    c->opt = *opt;
    if (!drv_certify(d, m, opt, &c->cert, &c->trial)) return false;
    if (d->o.certificate) return true; /* check has a build of its own to try */
    if (!drv_trial_run(d, opt, d->made, d->nmade, &c->trial, &c->cert.executed, &fault)) {
        if (fault) oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E6007, "not certified: %s", fault);
        return false;
    }
    oct_text_init(text, d->a);
    drv_cert_print(text, &c->cert);
    return queue_text(d, p, ".cert", text);
}

static void add_path(struct oct_text *t, const char *path) {
    for (const char *s = path; *s; s++) {
        if (*s == '$') oct_text_add(t, "$");
        if (strchr(" #\\", *s)) oct_text_add(t, "\\");
        oct_text_addn(t, s, 1);
    }
}
/* "OUTPUT: INPUT ...", as make and ninja read it: the first file that is made, and all that were read. */
static bool write_depfile(struct drv *d, const struct place *p) {
    struct oct_text *t = OCT_NEW(d->a, struct oct_text);
    oct_text_init(t, d->a);
    add_path(t, oct_sprintf(d->a, "%s%s%s", p->folder, p->name, d->made[0].suffix));
    oct_text_add(t, ":");
    for (uint32_t i = 0; i < d->cx->nfiles; i++) {
        oct_text_add(t, " \\\n  ");
        add_path(t, d->cx->files[i]);
    }
    oct_text_add(t, "\n");
    return oct_outputs_add(d->out, d->o.depfile, t->s, t->len);
}

bool verb_compile(struct drv *d) {
    struct place p;
    const struct oct_llvm *llvm;
    const bool to_stdout = d->o.out.n && strcmp(d->o.out.v[0], "-") == 0;
    const bool built = d->o.emit == EMIT_OBJ || d->o.emit == EMIT_LIB;
    struct oct_compile_options opt = {
        .batch = d->o.batch ? d->o.batch : 1, .threads = (int)(d->o.threads < MAX_PARTS ? d->o.threads : MAX_PARTS), .no_float = d->o.no_float, .strict_float = d->o.strict_float};
    if (built && to_stdout) return drv_misuse(d, "only text can go to stdout");
    opt.target = drv_target(d);
    if (!opt.target || !choose(d, opt.target, &llvm)) return false;
    opt.no_source = llvm != NULL;
    if (d->o.depfile && to_stdout) return drv_misuse(d, "--depfile is for output that is a file: -o OUT");
    if (d->o.certify && to_stdout) return drv_misuse(d, "--certify writes a file: -o OUT");
    if (d->o.certify && d->o.debug)
        return drv_misuse(d, "--debug puts the name of this folder into the object: --certify wants bytes that come again");
    if (d->o.certify && llvm) d->toolchain = llvm->made_by(d->a, opt.target);
    if (d->o.debug && !llvm)
        return drv_misuse(
            d, "--debug is for what octavo makes itself: --emit llvm, asm, obj or lib without --cc; for C: --cflags -g");
    if (d->o.debug) opt.debug_folder = here(d);
    opt.self_test = d->o.self_test;
    if (d->o.weights >= 0) opt.weights = (enum oct_weights_mode)d->o.weights;
    if (d->o.io_layout >= 0) opt.io_layout = (enum oct_io_layout)d->o.io_layout;
    struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (!m || !find_place(d, m, &p)) return false;
    decide_float(d, m);
    if (!drv_rewrite(d, m)) return false;
    opt.name = p.symbol;
    opt.file = p.name;
    bool ok;
    if (d->o.tune && d->o.tuned) return drv_misuse(d, "--tune writes the file that --tuned reads: one of them");
    opt.tuned = d->o.tune ? drv_tune(d, m, &opt, llvm) : drv_tuned(d, opt.target, &ok);
    if (d->o.tune ? !opt.tuned : !ok) return false;

    struct oct_compiled *c = OCT_NEW(d->a, struct oct_compiled); /* lives until the outputs are written */
    if (!oct_compile(d->cx, d->a, m, &opt, c)) return false;
    compare_budgets(d, opt.target, c->program);
    if (d->o.debug && !c->program->source)
        oct_note(d->cx, (struct oct_span){0, 0, 0},
                 "the model has no text that line info could point into; 'octavo import' makes one");
    if (d->o.explain) oct_text_addn(&d->talk, c->explain.len ? c->explain.s : "", c->explain.len);
    if (to_stdout) return llvm ? write_llvm(d, &p, llvm, opt.target, c, true) : oct_outputs_add(d->out, "-", c->c.s, c->c.len);
    return (llvm    ? write_llvm(d, &p, llvm, opt.target, c, false)
            : built ? write_built(d, &p, opt.target, c)
                    : write_source(d, &p, c)) &&
           queue_text(d, &p, ".h", &c->h) && queue_text(d, &p, ".json", &c->json) && (!d->o.certify || certify(d, &p, m, &opt)) &&
           (!d->o.depfile || write_depfile(d, &p));
}
