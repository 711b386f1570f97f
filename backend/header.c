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
        " * x = scale (code - zero point). The arena is the caller's: %s_ARENA_SIZE bytes, aligned to %d; nothing in it lasts\n"
        " * from one call to the next. Re-entrant; allocates nothing; returns 0. */\n"
        "#ifndef %s_H\n#define %s_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "#define %s_ARENA_SIZE %" PRId64 "\n\n",
        upper, OCT_ARENA_ALIGN, upper, upper, upper, p->arena_bytes ? p->arena_bytes : 1);
    if (p->selftest_bytes) oct_text_addf(h, "#define %s_SELFTEST_ARENA_SIZE %" PRId64 "\n\n", upper, p->selftest_bytes);
    for (int i = 0; i < p->nentries; i++) {
        if (p->entry[i].status) oct_text_addf(h, "/* %s */\n", p->selftest_doc);
        oct_print_signature(h, &p->entry[i]);
        oct_text_add(h, ";\n");
    }
    oct_text_add(h, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
