/* main.c - the command `octavo`: finds the verb, runs it, then writes what it made, all or nothing. Diagnostics and talk go to
 * stderr, data to stdout. Out of memory and internal errors unwind to here. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

#ifndef OCTAVO_VERSION
#define OCTAVO_VERSION "unknown"
#endif

static void write_stderr(const struct oct_text *t) {
    if (t->len) fwrite(t->s, 1, t->len, stderr);
}

bool drv_misuse(struct drv *d, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, d->a);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E7001, "octavo %s: %s", d->verb->name, t.s);
    return false;
}

const char *drv_out(struct drv *d) {
    if (d->o.out.n == 1) return d->o.out.v[0];
    drv_misuse(d, d->o.out.n ? "-o is given more than once" : "say where to write: -o OUT ('-' is stdout)");
    return NULL;
}

/* A file that shrinks while it is mapped; nothing has been written by then. */
static void on_bus_error(int sig) {
    (void)sig;
    static const char text[] = "octavo: an input file changed while it was read\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(OCT_EXIT_IO);
    _exit(OCT_EXIT_IO);
}

static const struct drv_verb *find_verb(const char *word) {
    int n;
    const struct drv_verb *verbs = drv_verbs(&n);
    for (int i = 0; i < n; i++)
        if (strcmp(verbs[i].name, word) == 0) return &verbs[i];
    return NULL;
}

static bool unknown_verb(struct oct_ctx *cx, const char *word) {
    int n;
    const struct drv_verb *verbs = drv_verbs(&n);
    const char **names = OCT_NEW_N(oct_own(cx), const char *, n);
    for (int i = 0; i < n; i++) names[i] = verbs[i].name;
    const char *near = oct_did_you_mean(word, names, (size_t)n);
    oct_error(cx, (struct oct_span){0, 0, 0}, OCT_E7001, "there is no verb '%s'", word);
    if (near) oct_help(cx, "did you mean '%s'?", near);
    else oct_help(cx, "'octavo --help' lists them");
    return false;
}

/* Does a first word that is no verb name a model? */
static bool names_model(const char *word) { return strcmp(word, "-") == 0 || strpbrk(word, "./") || access(word, F_OK) == 0; }

static bool run(struct drv *d, int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "--help";
    bool help = false;
    if (strcmp(word, "--version") == 0) {
        oct_text_add(&d->say, "octavo " OCTAVO_VERSION "\n");
        return true;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        if (argc > 2 && !(d->verb = find_verb(argv[2]))) return unknown_verb(d->cx, argv[2]);
        drv_usage(&d->say, d->verb);
        if (argc > 1) return true;
        oct_error(d->cx, (struct oct_span){0, 0, 0}, OCT_E7001,
                  "say what to do: octavo VERB ...; 'octavo --help' lists the verbs");
        return false;
    }
    d->verb = find_verb(word);
    const int skip = d->verb ? 2 : 1;
    if (!d->verb && names_model(word)) d->verb = find_verb("compile");
    if (!d->verb) return unknown_verb(d->cx, word);
    if (!drv_parse(d->cx, d->verb, argc - skip, argv + skip, &d->o, &help)) return false;
    if (help) {
        drv_usage(&d->say, d->verb);
        return true;
    }
    if (d->o.threads) d->cx->threads = (unsigned)(d->o.threads > 256 ? 256 : d->o.threads);
    return d->verb->run(d);
}

/* Everything but the context lives in its arenas, so that unwinding frees it. */
static int command(struct oct_ctx *cx, int argc, char **argv) {
    struct drv *d = OCT_NEW(oct_own(cx), struct drv);
    *d = (struct drv){.cx = cx, .a = oct_own(cx), .out = oct_outputs_new(cx)};
    oct_text_init(&d->say, d->a);
    oct_text_init(&d->talk, d->a);
    bool ok = run(d, argc, argv);
    if (ok && d->say.len) ok = oct_outputs_add(d->out, "-", d->say.s, d->say.len);
    ok = ok && oct_outputs_commit(d->out);
    struct oct_text diagnostics;
    oct_text_init(&diagnostics, d->a);
    oct_diag_render(cx, &diagnostics);
    write_stderr(&diagnostics);
    write_stderr(&d->talk);
    const int code = oct_exit_code(cx);
    return code ? code : ok ? d->exit_code : OCT_EXIT_INTERNAL;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, exit 74 */
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
    signal(SIGBUS, on_bus_error);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cx.threads = cpus < 1 ? 1 : cpus > 64 ? 64 : (unsigned)cpus;
    jmp_buf fatal;
    cx.on_fatal = &fatal;
    int code = setjmp(fatal);
    if (code == 0) code = command(&cx, argc, argv);
    else if (code == OCT_EXIT_MEMORY) fputs("octavo: out of memory\n", stderr); /* internal errors have printed themselves */
    oct_ctx_free(&cx);
    return code;
}
