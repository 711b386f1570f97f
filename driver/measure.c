/* measure.c - how much machine code, read-only data and stack an object takes, read from what its compiler says: sections from
 * `size`, functions from `nm`, frames from -fstack-usage. Where a compiler does not tell, the report says null. */
#include <stdlib.h>
#include <string.h>

#include "../backend/program.h"
#include "cc.h"

enum { MOST_FUNCTIONS = 4096 };

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

/* The function called by the first `len` bytes of name, without the suffix of a clone (NAME.constprop.0, NAME.part.0); NULL when
 * there are too many. */
static struct oct_code *code_of(struct oct_arena *a, struct oct_sizes *s, const char *name, size_t len) {
    const char *clone = memchr(name, '.', len);
    if (clone) len = (size_t)(clone - name);
    for (int i = 0; i < s->nfunctions; i++)
        if (strlen(s->function[i].name) == len && memcmp(s->function[i].name, name, len) == 0) return &s->function[i];
    if (!len || s->nfunctions == MOST_FUNCTIONS) return NULL;
    s->function[s->nfunctions] = (struct oct_code){oct_strndup(a, name, len), -1, -1};
    return &s->function[s->nfunctions++];
}
static void add(int64_t *sum, int64_t v) { *sum = (*sum < 0 ? 0 : *sum) + v; }

/* "section  size  address" in decimal, one a line; a kind is the section of its name and all that follow it with a point. */
static int64_t bytes_of_kind(const char *log, const char *kind) {
    const size_t len = strlen(kind);
    int64_t sum = -1;
    for (const char *line = log; *line; line = next_line(line))
        if (strncmp(line, kind, len) == 0 && (line[len] == '.' || line[len] == ' '))
            add(&sum, strtoll(line + strcspn(line, " "), NULL, 10));
    return sum;
}

/* "name type value size", the numbers in base 16. */
static void read_symbols(struct oct_arena *a, const char *log, struct oct_sizes *s) {
    for (const char *line = log; *line; line = next_line(line)) {
        const char *type = line + strcspn(line, " \n");
        if (type[0] != ' ' || (type[1] != 't' && type[1] != 'T') || type[2] != ' ') continue;
        char *size;
        strtoll(type + 3, &size, 16);
        struct oct_code *c = code_of(a, s, line, (size_t)(type - line));
        if (c && *size == ' ') add(&c->text_bytes, strtoll(size, NULL, 16));
    }
}

/* FILE:LINE[:COLUMN]:FUNCTION tab BYTES tab static|dynamic|dynamic,bounded. A frame without a bound makes the figure unknown. */
static void read_frames(struct oct_arena *a, const char *su, struct oct_sizes *s) {
    for (const char *line = su; *line; line = next_line(line)) {
        const char *tab = memchr(line, '\t', strcspn(line, "\n")), *name = tab;
        if (!tab) continue;
        while (name > line && name[-1] != ':') name--;
        char *kind;
        const int64_t bytes = strtoll(tab, &kind, 10);
        struct oct_code *c = code_of(a, s, name, (size_t)(tab - name));
        const bool bounded = strncmp(kind, "\tstatic", 7) == 0 || strncmp(kind, "\tdynamic,bounded", 16) == 0;
        if (c) add(&c->stack_bytes, bounded ? bytes : INT32_MAX);
    }
    for (int i = 0; i < s->nfunctions; i++)
        if (s->function[i].stack_bytes >= INT32_MAX) s->function[i].stack_bytes = -1;
}

const char *drv_measure_flag(struct drv_build *b, const char *cc) {
    const struct oct_text nothing = {.s = "typedef int nothing;\n", .len = sizeof "typedef int nothing;\n" - 1};
    const char *args[] = {"-fstack-usage", "-c", "-o", "probe.o", "probe.c", NULL};
    return drv_build_write(b, "probe.c", &nothing) && drv_build_try(b, cc, args, NULL) ? "-fstack-usage" : NULL;
}

/* What the compiler's tool of that name says of an object; NULL without it. */
static const char *told(struct drv_build *b, const char *cc, const char *tool, const char *const *args) {
    const char *ask[] = {oct_sprintf(drv_build_arena(b), "-print-prog-name=%s", tool), NULL}, *name, *log;
    if (!drv_build_try(b, cc, ask, &name)) return NULL;
    char *program = oct_strndup(drv_build_arena(b), name, strcspn(name, "\n"));
    return *program && drv_build_try(b, program, args, &log) ? log : NULL;
}

void drv_measure(struct drv_build *b, const char *cc, struct oct_sizes *s) {
    struct oct_arena *a = drv_build_arena(b);
    *s = (struct oct_sizes){-1, -1, OCT_NEW_N(a, struct oct_code, MOST_FUNCTIONS), 0};
    const char *sections = told(b, cc, "size", (const char *const[]){"-A", "-d", "out", NULL});
    const char *symbols = told(b, cc, "nm", (const char *const[]){"-P", "-S", "--defined-only", "out", NULL});
    if (sections) {
        s->text_bytes = bytes_of_kind(sections, ".text");
        s->rodata_bytes = bytes_of_kind(sections, ".rodata");
    }
    if (symbols) read_symbols(a, symbols, s);
    struct oct_bytes su;
    if (drv_build_has(b, "c.su") && drv_build_read(b, "c.su", &su))
        read_frames(a, oct_strndup(a, (const char *)su.data, su.len), s);
}
