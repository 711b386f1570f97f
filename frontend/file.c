/* file.c - reading files: the one place that opens an input. Small files are read, large ones mapped, both for the life of
 * the context. A file that a model names is opened strictly beneath the model's folder (PROMISES P4). Requires arena.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frontend.h"

enum { MAP_FROM = 1 << 16, STDIN_CHUNK = 1 << 16 };
static const size_t stdin_max = (size_t)1 << 31;
static const struct oct_span nowhere;

/* What must be given back: registered before it is acquired, because every allocation may unwind. */
struct held {
    int fd;
    void *map;
    size_t len;
};

static void release(void *arg) {
    struct held *h = arg;
    if (h->fd >= 0) close(h->fd);
    if (h->map) munmap(h->map, h->len);
    *h = (struct held){.fd = -1};
}

static struct held *hold(struct oct_ctx *cx) {
    struct held *h = OCT_NEW(oct_own(cx), struct held);
    h->fd = -1;
    oct_defer(oct_own(cx), release, h);
    return h;
}

static bool failed(struct oct_ctx *cx, struct oct_span at, const char *name, const char *what) {
    const int e = errno;
    const bool missing = e == ENOENT || e == ENOTDIR;
    oct_error(cx, at, missing ? OCT_E7002 : OCT_E7003, "cannot %s '%s': %s", what, name, strerror(e));
    return false;
}

/* Reads until the end or `size` bytes; a file that shrinks meanwhile is an error. */
static bool read_all(int fd, uint8_t *to, size_t size) {
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, to + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

/* Notes that the file was read, once. */
static void note_file(struct oct_ctx *cx, const char *path) {
    const uint32_t n = cx->nfiles;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(cx->files[i], path) == 0) return;
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        const char **more = OCT_NEW_N(oct_own(cx), const char *, n ? 2 * n : 1);
        if (n) memcpy(more, cx->files, n * sizeof *more);
        cx->files = more;
    }
    cx->files[cx->nfiles++] = oct_strdup(oct_own(cx), path);
}

/* Takes the open regular file h->fd in; it stays open if it is mapped and `keep` says so. */
static bool take(struct oct_ctx *cx, struct held *h, size_t size, struct oct_span at, const char *name, const char *path,
                 bool keep, struct oct_bytes *out) {
    if (size >= MAP_FROM) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, h->fd, 0);
        if (p == MAP_FAILED) return failed(cx, at, name, "map");
        h->map = p;
        h->len = size;
        *out = (struct oct_bytes){p, size};
    } else {
        uint8_t *p = oct_alloc(oct_own(cx), size + 64); /* 64: data of small files are aligned as mapped ones are */
        if (!read_all(h->fd, p, size)) return failed(cx, at, name, "read");
        *out = (struct oct_bytes){p, size};
    }
    note_file(cx, path);
    if (keep && h->map) return true;
    close(h->fd);
    h->fd = -1;
    return true;
}

static bool read_stdin(struct oct_ctx *cx, struct oct_bytes *out) {
    struct oct_text t;
    oct_text_init(&t, oct_own(cx));
    char *chunk = oct_alloc(oct_own(cx), STDIN_CHUNK);
    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, STDIN_CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(cx, nowhere, "<stdin>", "read");
        if (n == 0) break;
        oct_text_addn(&t, chunk, (size_t)n);
        if (t.len > stdin_max) {
            oct_error(cx, nowhere, OCT_E7003, "cannot read '<stdin>': more than 2 GiB");
            return false;
        }
    }
    *out = (struct oct_bytes){(const uint8_t *)(t.s ? t.s : ""), t.len};
    return true;
}

static bool open_named(struct oct_ctx *cx, const char *path, struct held *h, bool keep, struct oct_bytes *out) {
    struct stat st;
    h->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* NONBLOCK: a FIFO must not hang us */
    if (h->fd < 0 || fstat(h->fd, &st) != 0) return failed(cx, nowhere, path, "open");
    if (!S_ISREG(st.st_mode)) {
        oct_error(cx, nowhere, OCT_E7002, "'%s' is %s, not a regular file", path, S_ISDIR(st.st_mode) ? "a folder" : "special");
        return false;
    }
    return take(cx, h, (size_t)st.st_size, nowhere, path, path, keep, out);
}

bool oct_read_file(struct oct_ctx *cx, const char *path, struct oct_bytes *out) {
    return strcmp(path, "-") == 0 ? read_stdin(cx, out) : open_named(cx, path, hold(cx), false, out);
}

bool oct_open_file(struct oct_ctx *cx, const char *path, struct oct_file *out) {
    struct held *h = hold(cx);
    *out = (struct oct_file){0};
    if (strcmp(path, "-") == 0) return read_stdin(cx, &out->bytes);
    if (!open_named(cx, path, h, true, &out->bytes)) return false;
    out->open = h->fd >= 0;
    out->fd = h->fd;
    return true;
}

void oct_file_fetch(const struct oct_file *f, const void *from, size_t len, void *to) {
    const size_t at = f->open ? (size_t)((const uint8_t *)from - f->bytes.data) : 0;
    size_t got = 0;
    while (f->open && got < len) {
        const ssize_t n = pread(f->fd, (uint8_t *)to + got, len - got, (off_t)(at + got));
        if (n <= 0) break;
        got += (size_t)n;
    }
    if (got < len) memcpy((uint8_t *)to + got, (const uint8_t *)from + got, len - got); /* a file cut off meanwhile: SIGBUS */
}

void oct_file_forget(const struct oct_file *f) {
    union {
        const void *from;
        void *to;
    } map = {f->bytes.data}; /* nothing is written: the map is read only */
    if (f->open) madvise(map.to, f->bytes.len, MADV_DONTNEED);
}

/* ---- beneath ------------------------------------------------------------------------------------------------------ */

/* Why a name cannot be safe, whatever lies on the disk; NULL when it may be. */
static const char *bad_name(const char *name) {
    if (!*name) return "the name is empty";
    if (*name == '/') return "the path is absolute";
    if (strchr(name, '\\')) return "the path has a backslash";
    for (const char *p = name;; p++) {
        const size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return "the path has '..'";
        p += n;
        if (!*p) return NULL;
    }
}

/* One component after the other, never through a symlink; the last is opened as openat2 would. */
static int walk(int dir, const char *name) {
    int at = dup(dir);
    while (at >= 0) {
        char part[256];
        const size_t n = strcspn(name, "/");
        if (n >= sizeof part) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, name, n);
        part[n] = 0;
        const bool last = !name[n];
        const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK | O_NOCTTY : O_DIRECTORY);
        const int next = openat(at, n ? part : ".", flags);
        int e = errno;
        struct stat st; /* O_DIRECTORY hides that it was a symlink */
        if (next < 0 && e == ENOTDIR && fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) e = ELOOP;
        close(at);
        errno = e;
        if (last) return next;
        at = next;
        name += n + 1;
    }
    return -1;
}

static int open_beneath(int dir, const char *name) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    const long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != E2BIG)) return (int)fd;
    return walk(dir, name); /* an old kernel, or a sandbox that does not know the call */
}

bool oct_read_beneath(struct oct_ctx *cx, const char *model_path, const char *name, struct oct_span at, struct oct_bytes *out) {
    const char *why = bad_name(name);
    if (!why) {
        const char *slash = strrchr(model_path, '/');
        const char *folder = !slash                ? "."
                             : slash == model_path ? "/"
                                                   : oct_strndup(oct_own(cx), model_path, (size_t)(slash - model_path));
        struct held *dir = hold(cx), *h = hold(cx);
        dir->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir->fd < 0) return failed(cx, at, folder, "open the folder");
        h->fd = open_beneath(dir->fd, name);
        const int e = errno;
        release(dir);
        errno = e;
        struct stat st;
        if (h->fd < 0 && (errno == ELOOP || errno == EXDEV)) why = "the path leads through a symbolic link";
        else if (h->fd < 0 || fstat(h->fd, &st) != 0) return failed(cx, at, name, "open");
        else if (!S_ISREG(st.st_mode)) why = "it is not a regular file";
        else if (st.st_nlink != 1) why = "the file has more than one link";
        else return take(cx, h, (size_t)st.st_size, at, name, oct_sprintf(oct_own(cx), "%s/%s", folder, name), false, out);
    }
    oct_error(cx, at, OCT_E4006, "refused to read '%s': %s", name, why);
    oct_help(cx, "a model may only name regular files in or beneath its own folder; copy the file there");
    return false;
}
