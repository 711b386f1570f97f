/* cc.c - see cc.h. No shell is involved: the command's words go to the program as they are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cc.h"

enum { MAX_WORDS = 64, LOG_SHOWN = 4000 };
static const struct oct_span nowhere;
extern char **environ;

struct drv_build {
    struct drv *d;
    sigset_t before;
    char *folder; /* NULL: ended */
};

static void remove_folder(const char *folder) {
    DIR *dir = opendir(folder);
    if (dir) {
        for (struct dirent *e; (e = readdir(dir));) unlinkat(dirfd(dir), e->d_name, 0); /* . and .. refuse */
        closedir(dir);
    }
    rmdir(folder);
}

static void end(void *arg) {
    struct drv_build *b = arg;
    if (!b->folder) return;
    remove_folder(b->folder);
    b->folder = NULL;
    sigprocmask(SIG_SETMASK, &b->before, NULL);
}
void drv_build_end(struct drv_build *b) { end(b); }

/* What would end us, but for signals that the caller had us ignore (nohup, jobs in the background); and the end of the child. */
static sigset_t held_signals(void) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGCHLD);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction now;
        if (sigaction(ends[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(&s, ends[i]);
    }
    return s;
}

struct drv_build *drv_build_begin(struct drv *d) {
    const char *tmp = getenv("TMPDIR");
    char *folder = oct_sprintf(d->a, "%s/octavo-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
    struct drv_build *b = OCT_NEW(d->a, struct drv_build);
    b->d = d;
    oct_defer(d->a, end, b);
    const sigset_t held = held_signals();
    sigprocmask(SIG_BLOCK, &held, &b->before);
    if (mkdtemp(folder)) {
        b->folder = folder;
        return b;
    }
    oct_error(d->cx, nowhere, OCT_E7004, "cannot create a temporary folder '%s': %s", folder, strerror(errno));
    sigprocmask(SIG_SETMASK, &b->before, NULL);
    return NULL;
}

const char *drv_build_path(struct drv_build *b, const char *name) { return oct_sprintf(b->d->a, "%s/%s", b->folder, name); }

bool drv_build_write(struct drv_build *b, const char *name, const struct oct_text *text) {
    const char *path = drv_build_path(b, name);
    FILE *f = fopen(path, "wbx");
    const bool ok = f && fwrite(text->len ? text->s : "", 1, text->len, f) == text->len;
    if (f && fclose(f) == 0 && ok) return true;
    oct_error(b->d->cx, nowhere, OCT_E7005, "cannot write '%s': %s", path, strerror(errno));
    return false;
}

struct oct_arena *drv_build_arena(const struct drv_build *b) {
    return b->d->a;
}
bool drv_build_has(struct drv_build *b, const char *name) { return access(drv_build_path(b, name), R_OK) == 0; }

bool drv_build_read(struct drv_build *b, const char *name, struct oct_bytes *out) {
    return oct_read_file(b->d->cx, drv_build_path(b, name), out);
}

bool drv_build_sources(struct drv_build *b, const char *name, const struct oct_compiled *c, const char **args, int *nargs) {
    struct oct_arena *a = b->d->a;
    if (!drv_build_write(b, args[(*nargs)++] = oct_sprintf(a, "%s.c", name), &c->c)) return false;
    if (!drv_build_write(b, oct_sprintf(a, "%s.h", name), &c->h)) return false;
    if (!c->weights.len) return true;
    return drv_build_write(b, oct_sprintf(a, "%s.weights.bin", name), &c->weights) &&
           drv_build_write(b, args[(*nargs)++] = oct_sprintf(a, "%s.weights.S", name), &c->weights_s);
}

/* Waits for the child; a signal that asks us to end ends it first. Returns its status, and the signal in *caught. */
static int wait_for(pid_t child, int *caught) {
    const sigset_t held = held_signals();
    const struct timespec tick = {.tv_nsec = 100 * 1000 * 1000}; /* lest a SIGCHLD was taken before */
    int status = 0;
    *caught = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        const int sig = sigtimedwait(&held, NULL, &tick);
        if (sig <= 0 || sig == SIGCHLD || *caught) continue;
        *caught = sig;
        kill(child, SIGKILL);
    }
    return status;
}

static const char *read_log(struct drv_build *b, size_t most) {
    struct oct_bytes log = {NULL, 0};
    if (!drv_build_read(b, "log", &log)) return "";
    return oct_strndup(b->d->a, (const char *)log.data, log.len < most ? log.len : most);
}

static int spawn(struct drv_build *b, char *const *argv, pid_t *child) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    int rc = posix_spawn_file_actions_init(&files);
    if (rc) return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setsigmask(&attr, &b->before);
        posix_spawnattr_setsigdefault(&attr, &defaults);
        posix_spawn_file_actions_addchdir_np(&files, b->folder);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, "log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
        rc = posix_spawnp(child, argv[0], &files, &attr, argv, environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static bool run(struct drv_build *b, const char *command, const char *const *args, const char **log, bool quiet) {
    struct drv *d = b->d;
    char *argv[MAX_WORDS + 1], *words = oct_strdup(d->a, command), *rest = NULL;
    int n = 0;
    for (char *w = strtok_r(words, " ", &rest); w && n < MAX_WORDS; w = strtok_r(NULL, " ", &rest)) argv[n++] = w;
    for (; *args && n < MAX_WORDS; args++) argv[n++] = oct_strdup(d->a, *args);
    argv[n] = NULL;
    if (!n || n == MAX_WORDS) return drv_misuse(d, "'%s' is no command", command);
    char here[PATH_MAX]; /* the child starts in another folder */
    if (strchr(argv[0], '/') && realpath(argv[0], here)) argv[0] = here;
    pid_t child;
    const int rc = spawn(b, argv, &child);
    if (rc) {
        if (quiet) return false;
        oct_error(d->cx, nowhere, OCT_E7006, "cannot run '%s': %s", argv[0], strerror(rc));
        oct_help(d->cx, "name a C compiler with --cc");
        return false;
    }
    int caught;
    const int status = wait_for(child, &caught);
    if (caught) {
        const int sig = caught;
        end(b); /* the mask is open again */
        signal(sig, SIG_DFL);
        raise(sig);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (log) *log = read_log(b, SIZE_MAX);
        return true;
    }
    if (quiet) return false;
    oct_error(d->cx, nowhere, OCT_E7007, "'%s' failed on generated code", argv[0]);
    oct_text_addf(&d->talk, "%s\n", read_log(b, LOG_SHOWN));
    return false;
}

bool drv_build_run(struct drv_build *b, const char *command, const char *const *args, const char **log) {
    return run(b, command, args, log, false);
}
bool drv_build_try(struct drv_build *b, const char *command, const char *const *args, const char **log) {
    return run(b, command, args, log, true);
}
