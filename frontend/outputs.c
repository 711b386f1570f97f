/* outputs.c - a set of output files that appear all or not at all (PROMISES P6).
 *
 * Nothing touches the disk before commit. Commit holds back SIGINT, SIGTERM and SIGHUP, writes every file under a temporary
 * name beside its target, then swaps all of them in; whatever fails puts the old state back. So no handler and no global is
 * needed: a signal finds either nothing done or all of it. What is no regular file (a device, a FIFO, stdout) is written
 * after the rest was prepared and before it is swapped in. Requires arena.c. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frontend.h"

enum { SWAP_NAMES = 2 }; /* RENAME_EXCHANGE of linux/fs.h, which clashes with sys/mount.h */

enum state { QUEUED, WRITTEN, SWAPPED, PLACED }; /* SWAPPED: the temporary name holds the old file */
struct file {
    struct file *next;
    const char *path; /* as the user wrote it */
    const void *data;
    size_t len;
    bool special; /* no regular file: written in place */
    bool existed;
    char *real, *temp;
    enum state state;
};
struct folder {
    struct folder *next;
    const char *path;
    bool made;
};
struct oct_outputs {
    struct oct_ctx *cx;
    struct oct_arena *arena;
    struct file *first, **end;
    struct folder *folders;
};
static const struct oct_span nowhere;

struct oct_outputs *oct_outputs_new(struct oct_ctx *cx) {
    struct oct_arena *a = oct_own(cx);
    struct oct_outputs *o = OCT_NEW(a, struct oct_outputs);
    *o = (struct oct_outputs){.cx = cx, .arena = a, .end = &o->first};
    return o;
}

bool oct_outputs_add(struct oct_outputs *o, const char *path, const void *data, size_t len) {
    for (struct file *f = o->first; f; f = f->next)
        if (strcmp(f->path, path) == 0) {
            oct_error(o->cx, nowhere, OCT_E7001, "two outputs would be written to '%s'", path);
            return false;
        }
    struct file *f = OCT_NEW(o->arena, struct file);
    *f = (struct file){.path = oct_strdup(o->arena, path), .data = data, .len = len};
    *o->end = f;
    o->end = &f->next;
    return true;
}

bool oct_outputs_dir(struct oct_outputs *o, const char *path) {
    for (struct folder *d = o->folders; d; d = d->next)
        if (strcmp(d->path, path) == 0) return true;
    struct folder *d = OCT_NEW(o->arena, struct folder);
    *d = (struct folder){.next = o->folders, .path = oct_strdup(o->arena, path)};
    o->folders = d;
    return true;
}

static bool failed(struct oct_outputs *o, enum oct_diag_id id, const char *what, const char *path) {
    oct_error(o->cx, nowhere, id, "cannot %s '%s': %s", what, path, strerror(errno));
    return false;
}

static bool write_all(int fd, const void *data, size_t len) {
    for (const char *p = data; len;) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Finds out what the target is; a symlink is written through. */
static bool look(struct oct_outputs *o, struct file *f) {
    struct stat st;
    if (strcmp(f->path, "-") == 0) {
        f->special = true;
        return true;
    }
    f->real = oct_strdup(o->arena, f->path);
    if (stat(f->path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            errno = EISDIR;
            return failed(o, OCT_E7004, "create", f->path);
        }
        f->special = !S_ISREG(st.st_mode);
        f->existed = !f->special;
        char real[PATH_MAX];
        if (!f->special && realpath(f->path, real)) f->real = oct_strdup(o->arena, real);
    }
    return true;
}

/* The temporary name stands beside the target, so that rename never crosses a file system. */
static bool prepare(struct oct_outputs *o, struct file *f) {
    const char *slash = strrchr(f->real, '/');
    const int folder = slash ? (int)(slash - f->real) + 1 : 0;
    int fd = -1;
    for (int i = 0; fd < 0 && i < 100; i++) {
        f->temp = oct_sprintf(o->arena, "%.*s.octavo-%ld-%d.tmp", folder, f->real, (long)getpid(), i);
        fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd < 0) return failed(o, OCT_E7004, "create", f->path);
    f->state = WRITTEN;
    const bool ok = write_all(fd, f->data, f->len);
    const int e = errno;
    if (close(fd) == 0 && ok) return true;
    if (!ok) errno = e;
    return failed(o, OCT_E7005, "write", f->path);
}

static bool write_special(struct oct_outputs *o, const struct file *f) {
    const bool to_stdout = strcmp(f->path, "-") == 0;
    const int fd = to_stdout ? STDOUT_FILENO : open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return failed(o, OCT_E7004, "open", f->path);
    const bool ok = write_all(fd, f->data, f->len);
    const int e = errno;
    if (!to_stdout && close(fd) != 0 && ok) return failed(o, OCT_E7005, "write", f->path);
    if (ok) return true;
    errno = e;
    return failed(o, OCT_E7005, "write", to_stdout ? "<stdout>" : f->path);
}

/* Exchanges the new file with the old one where there is one, so that a later failure can undo it (not where the file system
 * cannot exchange: there the new file stays, whole). */
static bool place(struct oct_outputs *o, struct file *f) {
    if (f->existed && syscall(SYS_renameat2, AT_FDCWD, f->temp, AT_FDCWD, f->real, SWAP_NAMES) == 0) f->state = SWAPPED;
    else if (rename(f->temp, f->real) == 0) f->state = PLACED;
    else return failed(o, OCT_E7004, "create", f->path);
    return true;
}

static void undo(struct oct_outputs *o) {
    for (struct file *f = o->first; f; f = f->next) {
        if (f->state == SWAPPED && rename(f->temp, f->real) == 0) f->state = QUEUED;
        if (f->state == PLACED && !f->existed) unlink(f->real);
        if (f->state == WRITTEN) unlink(f->temp);
        f->state = QUEUED;
    }
    for (struct folder *d = o->folders; d; d = d->next)
        if (d->made) rmdir(d->path);
}

static bool write_everything(struct oct_outputs *o) {
    for (struct folder *d = o->folders; d; d = d->next) {
        if (mkdir(d->path, 0777) == 0) d->made = true;
        else if (errno != EEXIST) return failed(o, OCT_E7004, "create the folder", d->path);
    }
    for (struct file *f = o->first; f; f = f->next)
        if (!f->special && !prepare(o, f)) return false;
    for (struct file *f = o->first; f; f = f->next)
        if (f->special && !write_special(o, f)) return false;
    for (struct file *f = o->first; f; f = f->next)
        if (!f->special && !place(o, f)) return false;
    for (struct file *f = o->first; f; f = f->next)
        if (f->state == SWAPPED) unlink(f->temp);
    return true;
}

/* Everything may unwind out of commit (an allocation fails): then the context's arena undoes what was begun. */
struct commit {
    struct oct_outputs *o;
    sigset_t before;
    bool over;
};
static void abandon(void *arg) {
    struct commit *c = arg;
    if (c->over) return;
    undo(c->o);
    sigprocmask(SIG_SETMASK, &c->before, NULL);
}

bool oct_outputs_commit(struct oct_outputs *o) {
    struct commit *c = OCT_NEW(o->arena, struct commit);
    *c = (struct commit){.o = o, .over = true};
    oct_defer(o->arena, abandon, c);
    bool regular = o->folders != NULL;
    for (struct file *f = o->first; f; f = f->next) {
        if (!look(o, f)) return false;
        regular = regular || !f->special;
    }
    sigset_t held; /* none when all goes to pipes and devices, where a write may wait for long */
    sigemptyset(&held);
    if (regular) sigaddset(&held, SIGINT);
    if (regular) sigaddset(&held, SIGTERM);
    if (regular) sigaddset(&held, SIGHUP);
    sigprocmask(SIG_BLOCK, &held, &c->before);
    c->over = false;
    const bool ok = write_everything(o);
    if (!ok) undo(o);
    c->over = true;
    o->first = NULL;
    o->end = &o->first;
    o->folders = NULL;
    sigprocmask(SIG_SETMASK, &c->before, NULL);
    return ok;
}
