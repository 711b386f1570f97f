/* header.c - what goes with a compiled program whatever its language: NAME.h. */
#include <ctype.h>
#include <inttypes.h>

#include "program.h"

static void print_parameter(const struct oct_unit *u, struct oct_text *t, const struct oct_node *n, const char *name,
                            bool input) {
    struct oct_layout at;
    const bool nhwc = n->type.rank == 4 && u->opt->io_layout == OCT_LAYOUT_NHWC;
    oct_layout_outer(&at, &n->type, u->opt->io_layout);
    oct_text_addf(t, " *   %s: %s %s, order %s, strides", name, input ? "input" : "output", oct_type_text(u->a, &n->type),
                  nhwc                ? "NHWC"
                  : n->type.rank == 4 ? "NCHW"
                                      : "row-major");
    for (int i = 0; i < at.rank; i++) oct_text_addf(t, " %" PRId64, at.stride[i]);
    if (n->type.q && n->type.q->axis < 0) {
        oct_text_add(t, ", scale ");
        oct_text_add_f32(t, n->type.q->scale[0]);
        oct_text_addf(t, ", zero point %" PRId32, oct_zero(n->type.q, 0));
    }
    oct_text_add(t, "\n");
}

/* What threads need: the most that may share a run, and a run as one value that a pool hands to each of them. */
static void print_job(const struct oct_program *p, struct oct_text *h, const char *upper) {
    struct oct_text fields, args;
    oct_text_init(&fields, h->arena);
    oct_text_init(&args, h->arena);
    for (int i = 0; i < p->entry[0].nparams; i++) {
        oct_text_addn(&fields, "    ", 4);
        oct_print_parameter(&fields, &p->entry[0].param[i]);
        oct_text_add(&fields, ";\n");
        oct_text_addf(&args, "j->%s, ", p->entry[0].param[i].name);
    }
    oct_text_addf(
        h,
        "\n/* A run that 1 to %s_MAX_PARTS threads share: each calls %s_run_part with the same pointers, its number of\n"
        " * 0..parts-1, and a function that returns when all of them have called it with the team (octavo_team.h has one).\n"
        " * The outputs are there when all have returned; they never depend on the number of parts. As work for\n"
        " * octavo_pool_run: struct %s_job j = {...}; octavo_pool_run(&pool, %s_job_part, &j); */\n"
        "#define %s_MAX_PARTS %d\n"
        "struct %s_job {\n%s    void *arena;\n};\n"
        "static inline void %s_job_part(void *job, int32_t part, int32_t parts, void (*meet)(void *team), void *team) {\n"
        "    const struct %s_job *j = (const struct %s_job *)job;\n"
        "    (void)%s_run_part(%sj->arena, part, parts, meet, team);\n}\n",
        upper, p->name, p->name, p->name, upper, p->parts, p->name, fields.s ? fields.s : "", p->name, p->name, p->name, p->name,
        args.s ? args.s : "");
}

void oct_print_header(const struct oct_unit *u, struct oct_text *h) {
    const struct oct_program *p = u->program;
    const struct oct_param *param = p->entry[0].param;
    char *upper = oct_strdup(u->a, p->name);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    oct_text_addf(h, "/* %s - made by octavo from model ", p->name);
    oct_comment_text(h, u->m->name);
    oct_text_add(h, ".\n");
    for (int i = 0; i < u->plan.ninputs; i++) print_parameter(u, h, u->plan.input[i], param[i].name, true);
    for (uint32_t i = 0; i < u->m->noutputs; i++)
        print_parameter(u, h, u->m->output[i].node, param[u->plan.ninputs + (int)i].name, false);
    oct_text_addf(
        h,
        " * x = scale (code - zero point). The arena is the caller's: %s_ARENA_SIZE bytes, aligned to %d%s; nothing in it lasts\n"
        " * from one call to the next. Re-entrant; allocates nothing; returns 0. */\n"
        "#ifndef %s_H\n#define %s_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "#define %s_ARENA_SIZE %" PRId64 "\n\n",
        upper, OCT_ARENA_ALIGN, u->plan.align > OCT_ARENA_ALIGN ? " (at 64 it is faster)" : "", upper, upper, upper,
        p->arena_bytes ? p->arena_bytes : 1);
    if (p->selftest_bytes) oct_text_addf(h, "#define %s_SELFTEST_ARENA_SIZE %" PRId64 "\n\n", upper, p->selftest_bytes);
    for (int i = 0; i < p->nentries; i++) {
        if (p->entry[i].status) oct_text_addf(h, "/* %s */\n", p->selftest_doc);
        oct_print_signature(h, &p->entry[i]);
        oct_text_add(h, ";\n");
    }
    if (p->threads > 1) print_job(p, h, upper);
    oct_text_add(h, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
