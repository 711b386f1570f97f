/* Reading files, the safe open beneath a folder (P4), outputs that appear all or not at all (P6). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hostile.h"

static char dir[64];
static char *at(const char *name) {
    static char paths[8][256];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, 256, "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/octavo-test-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}
static int remove_dir(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static unsigned entries(const char *path) {
    unsigned n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void holds(const char *path, const char *text) {
    char got[64] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    got[fread(got, 1, sizeof got - 1, f)] = 0;
    fclose(f);
    assert_string_equal(got, text);
}

static void reads_small_large_and_empty(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    const size_t sizes[] = {0, 1, 65535, 65536, 300001};
    for (size_t i = 0; i < 5; i++) {
        uint8_t *data = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++) data[k] = (uint8_t)(k * 7 + i);
        const char *path = write_temp(dir, "f", data, sizes[i]);
        struct oct_bytes b;
        assert_true(oct_read_file(&cx, path, &b));
        unlink(path);
        assert_int_equal(b.len, sizes[i]);
        assert_non_null(b.data);
        assert_int_equal((uintptr_t)b.data % 16, 0);
        assert_memory_equal(b.data, data, b.len);
        free(data);
    }
    oct_ctx_free(&cx);
}

static void refuses(int code, const char *path) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_bytes b;
    assert_false(oct_read_file(&cx, path, &b));
    assert_int_equal(oct_error_count(&cx), 1);
    assert_int_equal(oct_exit_code(&cx), code);
    oct_ctx_free(&cx);
}

static void refuses_what_is_no_file(void **state) {
    (void)state;
    refuses(66, at("missing"));
    refuses(66, dir);
    refuses(66, at("missing/deeper"));
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    refuses(66, at("fifo")); /* and does not hang */
    refuses(66, "/dev/zero");
    if (geteuid() != 0) {
        chmod(write_temp(dir, "secret", "x", 1), 0);
        refuses(74, at("secret"));
    }
}

/* The exit code of reading `name` beneath the folder of DIR/m/model.8vo; 0 when it was read. */
static int beneath(const char *name) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_bytes b;
    const bool ok = oct_read_beneath(&cx, at("m/model.8vo"), name, (struct oct_span){0, 0, 0}, &b);
    if (ok) assert_memory_equal(b.data, "inside", 6);
    const int code = oct_exit_code(&cx);
    assert_int_equal(ok, code == 0);
    oct_ctx_free(&cx);
    return code;
}

static void make_traps(void) {
    mkdir(at("m"), 0700);
    mkdir(at("m/sub"), 0700);
    mkdir(at("out"), 0700);
    write_temp(dir, "m/w", "inside", 6);
    write_temp(dir, "m/sub/w", "inside", 6);
    write_temp(dir, "outside", "secret", 6);
    write_temp(dir, "out/w", "secret", 6);
    write_temp(dir, "m/hard", "inside", 6);
    assert_int_equal(link(at("m/hard"), at("m/hard2")), 0);
    assert_int_equal(symlink("../outside", at("m/link")), 0);
    assert_int_equal(symlink("w", at("m/inner_link")), 0);
    assert_int_equal(symlink("../out", at("m/parent_link")), 0);
    assert_int_equal(symlink("sub", at("m/sub_link")), 0);
    assert_int_equal(symlink("/proc/self/root", at("m/magic")), 0);
    assert_int_equal(mkfifo(at("m/fifo"), 0600), 0);
}

/* How many names were treated wrongly. */
static int check_traps(void) {
    static const struct {
        int code;
        const char *name;
    } names[] = {{0, "w"},           {0, "sub/w"},
                 {0, "./sub//w"},    {65, "../outside"},
                 {65, ".."},         {65, "sub/../../outside"},
                 {65, "sub/../w"},   {65, "/etc/passwd"},
                 {65, ""},           {65, "link"},
                 {65, "inner_link"}, {65, "parent_link/w"},
                 {65, "sub_link/w"}, {65, "magic/etc/passwd"},
                 {65, "fifo"},       {65, "hard"},
                 {65, "hard2"},      {65, "sub"},
                 {65, "."},          {65, "..\\outside"},
                 {65, "sub/.."},     {66, "missing"},
                 {66, "w/deeper"}};
    int wrong = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int code = beneath(names[i].name);
        if (code == names[i].code) continue;
        print_error("'%s' gave %d, not %d\n", names[i].name, code, names[i].code);
        wrong++;
    }
    return wrong;
}

static void stays_beneath_the_folder(void **state) {
    (void)state;
    make_traps();
    assert_int_equal(check_traps(), 0);
}

/* The same in a process whose kernel does not know openat2. */
static void stays_beneath_without_openat2(void **state) {
    (void)state;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog prog = {sizeof code / sizeof *code, code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0) _exit(3);
        if (syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) != -1 || errno != ENOSYS) _exit(4);
        _exit(check_traps());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int commit2(const char *a, const char *b) {
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_outputs *o = oct_outputs_new(&cx);
    const bool ok = oct_outputs_add(o, a, "new a", 5) && oct_outputs_add(o, b, "new b", 5) && oct_outputs_commit(o);
    const int code = oct_exit_code(&cx);
    assert_int_equal(ok, code == 0);
    oct_ctx_free(&cx);
    return code;
}

static void outputs_come_all_or_none(void **state) {
    (void)state;
    mkdir(at("o"), 0700);
    assert_int_equal(commit2(at("o/a"), at("o/b")), 0);
    holds(at("o/a"), "new a");
    holds(at("o/b"), "new b");
    assert_int_equal(entries(at("o")), 2);

    write_temp(dir, "o/a", "old", 3);
    assert_int_equal(commit2(at("o/a"), at("o/none/b")), 73);
    holds(at("o/a"), "old");
    mkdir(at("o/folder"), 0700);
    assert_int_equal(commit2(at("o/a"), at("o/folder")), 73);
    assert_int_equal(commit2(at("o/c"), at("o/folder")), 73);
    assert_int_equal(commit2(at("o/a"), "/dev/full"), 74);
    assert_int_equal(commit2("/dev/full", at("o/a")), 74);
    assert_int_equal(commit2(at("o/a"), at("o/a")), 64);
    holds(at("o/a"), "old");
    assert_int_equal(entries(at("o")), 3);

    /* A symlink is written through, a new folder is made, and unmade on failure. */
    assert_int_equal(symlink("a", at("o/l")), 0);
    assert_int_equal(commit2(at("o/l"), at("o/b")), 0);
    holds(at("o/a"), "new a");
    for (int fails = 0; fails < 2; fails++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        struct oct_outputs *o = oct_outputs_new(&cx);
        oct_outputs_dir(o, at("o/made"));
        oct_outputs_add(o, at("o/made/x"), "x", 1);
        if (fails) oct_outputs_add(o, "/dev/full", "x", 1);
        assert_int_equal(oct_outputs_commit(o), !fails);
        assert_int_equal(access(at("o/made/x"), F_OK), fails ? -1 : 0);
        assert_int_equal(access(at("o/made"), F_OK), fails ? -1 : 0);
        unlink(at("o/made/x"));
        rmdir(at("o/made"));
        oct_ctx_free(&cx);
    }
}

/* Kills a process that rewrites two large files again and again; whatever the moment, each is wholly one version, and a signal
 * that can be caught leaves no temporaries. */
static void a_kill_leaves_old_or_new(void **state) {
    (void)state;
    mkdir(at("k"), 0700);
    const size_t size = 1 << 20;
    char *data = malloc(size);
    unsigned seed = 1;
    for (int round = 0; round < 60; round++) {
        const int sig = round % 3 == 0 ? SIGKILL : round % 3 == 1 ? SIGTERM : SIGINT;
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            struct oct_ctx cx;
            oct_ctx_init(&cx);
            for (int i = 0;; i++) {
                memset(data, 'a' + i % 26, size);
                struct oct_outputs *o = oct_outputs_new(&cx);
                oct_outputs_add(o, at("k/one"), data, size);
                oct_outputs_add(o, at("k/two"), data, size);
                if (!oct_outputs_commit(o)) _exit(1);
            }
        }
        seed = seed * 1664525u + 1013904223u;
        usleep(seed >> 8 & 0x3fff);
        kill(child, sig);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == sig);
        for (int k = 0; k < 2; k++) {
            FILE *f = fopen(at(k ? "k/two" : "k/one"), "rb");
            if (!f) continue;
            const size_t n = fread(data, 1, size, f);
            assert_int_equal(n, size);
            assert_int_equal(fgetc(f), EOF);
            fclose(f);
            for (size_t i = 1; i < n; i++)
                if (data[i] != data[0]) fail_msg("round %d: a file is a mixture", round);
        }
        if (sig != SIGKILL) assert_true(entries(at("k")) <= 2);
        else {
            DIR *d = opendir(at("k"));
            for (struct dirent *e; (e = readdir(d));)
                if (strstr(e->d_name, ".tmp")) {
                    char path[600];
                    snprintf(path, sizeof path, "%s/k/%s", dir, e->d_name);
                    unlink(path);
                }
            closedir(d);
        }
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_small_large_and_empty), cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(stays_beneath_the_folder),    cmocka_unit_test(stays_beneath_without_openat2),
        cmocka_unit_test(outputs_come_all_or_none),    cmocka_unit_test(a_kill_leaves_old_or_new)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
