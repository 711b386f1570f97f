/* sizes.c - what an object takes, in its report: machine code, read-only data, and the deepest stack of NAME_run. The frames are
 * those that a compiler stated for each function; who calls whom is known from the program. */
#include <inttypes.h>
#include <string.h>

#include "program.h"

/* NAME_run calls kernels, a kernel calls helpers, and helpers may call each other, so all of them count. Frames leave out what is
 * added here: with some compilers the return address, and with all of them the 128 bytes below its frame that a leaf may use on
 * 64-bit machines. -1: unknown. */
static int64_t deepest(const struct oct_program *p, const struct oct_sizes *s, int pointer_bytes) {
    enum { LEVELS = 3, RED_ZONE = 128 };
    int64_t run = -1, kernel = 0, helpers = 0;
    for (int i = 0; i < s->nfunctions; i++) {
        const struct oct_code *c = &s->function[i];
        bool known = false;
        for (int j = 0; j < p->nentries; j++) {
            if (strcmp(p->entry[j].name, c->name) != 0) continue;
            known = true;
            if (j == 0) run = c->stack_bytes;
        }
        for (int j = 0; j < p->nfunctions && !known; j++) {
            if (strcmp(p->function[j].name, c->name) != 0) continue;
            known = true;
            if (c->stack_bytes > kernel) kernel = c->stack_bytes;
        }
        if (!known) helpers += c->stack_bytes;
        if (c->stack_bytes < 0) return -1;
    }
    return run < 0 ? -1 : run + kernel + helpers + LEVELS * pointer_bytes + (pointer_bytes == 8 ? RED_ZONE : 0);
}

static void number(struct oct_text *t, const char *key, int64_t v) {
    if (v < 0) oct_text_addf(t, "\"%s\": null", key);
    else oct_text_addf(t, "\"%s\": %" PRId64, key, v);
}

void oct_report_sizes(struct oct_compiled *c, const struct oct_sizes *s, int pointer_bytes) {
    oct_report_number(&c->json, "text_bytes", s->text_bytes);
    oct_report_number(&c->json, "rodata_bytes", s->rodata_bytes);
    oct_report_number(&c->json, "stack_bytes", deepest(c->program, s, pointer_bytes));
    if (!s->nfunctions) return;
    struct oct_text list;
    oct_text_init(&list, c->json.arena);
    oct_text_add(&list, "[");
    for (int i = 0; i < s->nfunctions; i++) {
        oct_text_add(&list, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        oct_text_add_json(&list, s->function[i].name);
        oct_text_add(&list, ", ");
        number(&list, "text_bytes", s->function[i].text_bytes);
        oct_text_add(&list, ", ");
        number(&list, "stack_bytes", s->function[i].stack_bytes);
        oct_text_add(&list, "}");
    }
    oct_text_add(&list, "\n  ]");
    oct_report_fill(&c->json, "functions", list.s);
}
