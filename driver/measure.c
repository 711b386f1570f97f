/* measure.c - how much machine code and stack an object takes, read from what its compiler says: sections from `size`, frames
 * from -fstack-usage. Where a compiler does not tell, the report says null. */
#include <stdlib.h>
#include <string.h>

#include "../backend/program.h"
#include "cc.h"

/* ---- machine code ------------------------------------------------------------------------------------------------------ */

/* "section  size  address" in decimal, one a line; sections of code are .text and .text.SOMETHING. -1: none. */
static int64_t text_of_sections(const char *log) {
    int64_t sum = -1;
    for (const char *line = log; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, ".text", 5) != 0 || (line[5] != '.' && line[5] != ' ')) continue;
        const char *at = line + strcspn(line, " ");
        sum = (sum < 0 ? 0 : sum) + strtoll(at, NULL, 10);
    }
    return sum;
}

/* ---- stack --------------------------------------------------------------------------------------------------------------- */

struct frame {
    const char *name; /* without the suffix of a clone */
    size_t len;
    int64_t bytes;
    bool bounded;
};
/* One line of a .su file: FILE:LINE[:COLUMN]:FUNCTION tab BYTES tab static|dynamic|dynamic,bounded. */
static bool read_frame(const char *line, struct frame *f) {
    const char *end = line + strcspn(line, "\n"), *tab = memchr(line, '\t', (size_t)(end - line));
    if (!tab) return false;
    const char *name = tab;
    while (name > line && name[-1] != ':') name--;
    *f = (struct frame){.name = name, .len = (size_t)(tab - name)};
    const char *clone = memchr(name, '.', f->len); /* NAME.constprop.0, NAME.part.0 */
    if (clone) f->len = (size_t)(clone - name);
    char *kind;
    f->bytes = strtoll(tab, &kind, 10);
    f->bounded = strncmp(kind, "\tstatic", 7) == 0 || strncmp(kind, "\tdynamic,bounded", 16) == 0;
    return true;
}
static bool is(const struct frame *f, const char *name) { return strlen(name) == f->len && memcmp(name, f->name, f->len) == 0; }

/* The deepest chain of calls from NAME_run: it calls kernels, a kernel calls helpers, and helpers may call each other, so all of
 * them count; a function and its clones count together. Frames leave out what is added here: clang's the return address, and all
 * of them the 128 bytes below its frame that a leaf may use on x86-64. -1: unknown. */
static int64_t stack_of_frames(const struct oct_program *p, const char *su, int pointer_bytes) {
    int64_t run = -1, kernel = 0, helpers = 0;
    enum { LEVELS = 3, RED_ZONE = 128 };
    for (int i = 0; i <= p->nfunctions; i++) {
        int64_t own = 0;
        for (const char *line = su; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            struct frame f;
            if (!read_frame(line, &f)) continue;
            if (!f.bounded) return -1;
            if (i < p->nfunctions) {
                own += is(&f, p->function[i].name) ? f.bytes : 0;
                continue;
            }
            bool known = false; /* the last round: what is no kernel */
            for (int j = 0; j < p->nfunctions; j++) known |= is(&f, p->function[j].name);
            for (int j = 0; j < p->nentries; j++) {
                if (!is(&f, p->entry[j].name)) continue;
                known = true;
                if (j == 0) run = (run < 0 ? 0 : run) + f.bytes;
            }
            if (!known) helpers += f.bytes;
        }
        if (own > kernel) kernel = own;
    }
    return run < 0 ? -1 : run + kernel + helpers + LEVELS * pointer_bytes + (pointer_bytes == 8 ? RED_ZONE : 0);
}

/* ---- */

const char *drv_measure_flag(struct drv_build *b, const char *cc) {
    const struct oct_text nothing = {.s = "typedef int nothing;\n", .len = sizeof "typedef int nothing;\n" - 1};
    const char *args[] = {"-fstack-usage", "-c", "-o", "probe.o", "probe.c", NULL};
    return drv_build_write(b, "probe.c", &nothing) && drv_build_try(b, cc, args, NULL) ? "-fstack-usage" : NULL;
}

void drv_measure(struct drv_build *b, const char *cc, const struct oct_target *target, struct oct_compiled *c) {
    const char *ask[] = {"-print-prog-name=size", NULL}, *args[] = {"-A", "-d", "c.o", NULL}, *size, *sections;
    struct oct_bytes su;
    if (drv_build_try(b, cc, ask, &size)) {
        char *program = oct_strndup(drv_build_arena(b), size, strcspn(size, "\n"));
        if (*program && drv_build_try(b, program, args, &sections))
            oct_report_number(&c->json, "text_bytes", text_of_sections(sections));
    }
    if (!drv_build_has(b, "c.su") || !drv_build_read(b, "c.su", &su)) return;
    const char *frames = oct_strndup(drv_build_arena(b), (const char *)su.data, su.len);
    oct_report_number(&c->json, "stack_bytes", stack_of_frames(c->program, frames, target->pointer_bytes));
}
