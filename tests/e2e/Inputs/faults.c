/* faults.c - a shared object to preload: the FAULT_AT-th call (from 1) of the function FAULT_CALL fails; with FAULT_STICKY all later ones
 * too. FAULT_CALL=malloc counts calloc and realloc as well. When the process ends the calls made are appended to FAULT_LOG. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *victim;
static long at, seen;
static int sticky, armed;

__attribute__((constructor)) static void begin(void) {
    victim = getenv("FAULT_CALL");
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    sticky = getenv("FAULT_STICKY") != NULL;
    armed = victim != NULL;
}

/* Is this call one to fail? */
static int strikes(const char *name) {
    if (!armed || strcmp(name, victim) != 0) return 0;
    const long n = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
    return n == at || (sticky && at && n > at);
}

__attribute__((destructor)) static void end(void) {
    const char *log = getenv("FAULT_LOG");
    if (!armed || !log) return;
    armed = 0;
    char line[32];
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int n = snprintf(line, sizeof line, "%ld\n", seen);
    if (fd >= 0 && write(fd, line, (size_t)n) == n) close(fd);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}
void *malloc(size_t n) { return strikes("malloc") ? no_memory() : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return strikes("malloc") ? no_memory() : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return strikes("malloc") ? no_memory() : __libc_realloc(p, n); }

static int fails(int e) {
    errno = e;
    return -1;
}
ssize_t read(int fd, void *p, size_t n) { return strikes("read") ? fails(EIO) : REAL(read)(fd, p, n); }
ssize_t write(int fd, const void *p, size_t n) {
    if (strikes("write")) return fails(ENOSPC);
    if (strikes("short_write") && n > 1) n /= 2;
    return REAL(write)(fd, p, n);
}
int close(int fd) {
    if (!strikes("close")) return REAL(close)(fd);
    REAL(close)(fd);
    return fails(EIO);
}
int rename(const char *a, const char *b) { return strikes("rename") ? fails(EACCES) : REAL(rename)(a, b); }
void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t o) {
    if (fd >= 0 && strikes("mmap")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return REAL(mmap)(p, n, prot, flags, fd, o);
}
int open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    const int mode = va_arg(ap, int);
    va_end(ap);
    return strikes("open") ? fails(EMFILE) : REAL(open)(path, flags, mode);
}
long syscall(long n, ...) {
    long a[6];
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (n == SYS_renameat2 && strikes("rename")) return fails(EACCES);
    if (n == SYS_openat2 && strikes("open")) return fails(EMFILE);
    return REAL(syscall)(n, a[0], a[1], a[2], a[3], a[4], a[5]);
}
