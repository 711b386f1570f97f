/* source.c - a program as C99: NAME.c, and the weights where they do not stand in it. */
#include <inttypes.h>

#include "program.h"

static const char *c_type(enum lp_elem e) {
    static const char *const names[] = {"int8_t",   "uint8_t", "int16_t", "uint16_t", "int32_t",
                                        "uint32_t", "int64_t", "float",   "double"};
    return names[e];
}

/* ---- constants
 * ------------------------------------------------------------------------------------------------------------------ */

static void print_number(const struct oct_unit *u, struct oct_text *t, const struct oct_packed *d, int64_t i) {
    switch (d->elem) {
    case LP_I8: oct_text_addf(t, "%d", ((const int8_t *)d->data)[i]); break;
    case LP_U8: oct_text_addf(t, "%u", ((const uint8_t *)d->data)[i]); break;
    case LP_I16: oct_text_addf(t, "%d", ((const int16_t *)d->data)[i]); break;
    case LP_U16: oct_text_addf(t, "%u", ((const uint16_t *)d->data)[i]); break;
    case LP_I32: {
        int32_t v = ((const int32_t *)d->data)[i];
        if (v == INT32_MIN) oct_text_add(t, "INT32_MIN");
        else oct_text_addf(t, "%" PRId32, v);
        break;
    }
    case LP_U32: oct_text_addf(t, "%" PRIu32 "u", ((const uint32_t *)d->data)[i]); break;
    case LP_F32: {
        const float v = ((const float *)d->data)[i];
        if (v != v || v - v != 0) { /* no literal without math.h */
            oct_text_add(t, v != v ? "0.0f / 0.0f" : v > 0 ? "1.0f / 0.0f" : "-1.0f / 0.0f");
            break;
        }
        oct_text_add_f32(t, v);
        oct_text_add(t, "f");
        break;
    }
    case LP_I64: {
        int64_t v = ((const int64_t *)d->data)[i];
        if (v == INT64_MIN) oct_text_add(t, "INT64_MIN");
        else oct_text_addf(t, "INT64_C(%" PRId64 ")", v);
        break;
    }
    default: oct_internal(u->cx, (struct oct_span){0, 0, 0}, "constant of a type that C does not print");
    }
}

static void print_constants(const struct oct_unit *u, struct oct_text *t, bool in_file) {
    const struct oct_program *p = u->program;
    if (in_file) {
        oct_text_addf(
            t,
            "/* %" PRId64
            " bytes of weights: the file .weights.bin through .weights.S */\nextern const unsigned char %s_weights[];\n\n",
            p->weight_bytes, p->name);
        return;
    }
    for (int i = 0; i < p->nconstants; i++) {
        const struct oct_packed *d = p->constant[i].data;
        const bool by_words = lp_elem_size(d->elem) < OCT_K_CONST_ALIGN;
        oct_text_addf(t, "static %sconst %s data_%d[%" PRId64 "] = { /* ", by_words ? "OCT_WORDS " : "", c_type(d->elem), i,
                      d->n);
        oct_comment_text(t, d->name);
        oct_text_add(t, " */");
        size_t line = t->len;
        for (int64_t j = 0; j < d->n; j++) {
            if (j == 0 || t->len - line > 116) {
                oct_text_add(t, "\n   ");
                line = t->len;
            }
            oct_text_add(t, " ");
            print_number(u, t, d, j);
            if (j + 1 < d->n) oct_text_add(t, ",");
        }
        oct_text_add(t, "\n};\n");
    }
    oct_text_add(t, "\n");
}

static void write_weights_file(const struct oct_program *p, struct oct_compiled *out) {
    for (int i = 0; i < p->nconstants; i++) {
        static const char zeros[16] = {0};
        oct_text_addn(&out->weights, zeros, (size_t)(p->constant[i].offset - (int64_t)out->weights.len));
        oct_text_addn(&out->weights, p->constant[i].data->data, (size_t)oct_packed_bytes(p->constant[i].data));
    }
    oct_text_addf(&out->weights_s,
                  "    .section .rodata.%s_weights,\"a\",%%progbits\n    .balign 64\n    .globl %s_weights\n%s_weights:\n"
                  "    .incbin \"%s.weights.bin\"\n    .section .note.GNU-stack,\"\",%%progbits\n",
                  p->name, p->name, p->name, p->file);
}

/* ---- functions and entries
 * -------------------------------------------------------------------------------------------------------- */

void oct_print_parameter(struct oct_text *t, const struct oct_param *p) {
    oct_text_addf(t, "%s%s *%s", p->out ? "" : "const ", c_type(p->elem), p->name);
}

void oct_print_signature(struct oct_text *t, const struct oct_entry *e) {
    oct_text_addf(t, "%s %s(", e->run ? "int" : "void", e->name);
    for (int i = 0; i < e->nparams; i++) {
        if (i) oct_text_add(t, ", ");
        oct_print_parameter(t, &e->param[i]);
    }
    if (e->run) oct_text_addf(t, "%svoid *arena", e->nparams ? ", " : "");
    if (e->parts) oct_text_add(t, ", int32_t part, int32_t parts, void (*meet)(void *team), void *team");
    oct_text_add(t, ")");
}

static void print_call(const struct oct_program *p, struct oct_text *t, const struct oct_entry *e, const struct oct_call *call,
                       bool in_file) {
    const struct lp_kernel *k = oct_call_kernel(p, call);
    const int nargs = k ? k->nbufs : p->entry[0].nparams + 1;
    oct_text_addf(t, k ? "    %s(" : "    (void)%s(", k ? p->function[call->function].name : p->entry[0].name);
    for (int i = 0; i < nargs; i++) {
        const struct oct_arg *arg = &call->arg[i];
        if (i) oct_text_add(t, ", ");
        if (arg->kind == OCT_ARG_ARENA && call->split && arg->per_part)
            oct_text_addf(t, "(void *)(a + %" PRId64 " + (int64_t)part * %" PRId64 ")", arg->at, arg->per_part);
        else if (arg->kind == OCT_ARG_ARENA) oct_text_addf(t, "(void *)(a + %" PRId64 ")", arg->at);
        else if (arg->kind == OCT_ARG_PARAM) oct_text_add(t, e->param[arg->at].name);
        else if (in_file) oct_text_addf(t, "(const void *)(%s_weights + %" PRId64 ")", p->name, p->constant[arg->at].offset);
        else oct_text_addf(t, "data_%" PRId64, arg->at);
    }
    if (call->split) {
        const int64_t n = oct_call_end(p, call);
        oct_text_addf(t, ", part * %" PRId64 " / parts, (part + 1) * %" PRId64 " / parts", n, n);
    } else if (k && k->has_range) oct_text_addf(t, ", %" PRId64 ", %" PRId64, call->lo, oct_call_end(p, call));
    oct_text_add(t, ");\n");
}

static bool uses_arena(const struct oct_program *p, const struct oct_entry *e) {
    for (int c = 0; c < e->ncalls && !e->status; c++)
        for (int32_t i = 0; i < p->function[e->call[c].function].k->nbufs; i++)
            if (e->call[c].arg[i].kind == OCT_ARG_ARENA) return true;
    return e->status;
}

static void print_entry(const struct oct_program *p, struct oct_text *t, const struct oct_entry *e, bool in_file) {
    oct_print_signature(t, e);
    oct_text_add(t, " {\n");
    if (e->run) oct_text_add(t, uses_arena(p, e) ? "    unsigned char *a = arena;\n" : "    (void)arena;\n");
    for (int i = 0; i < e->ncalls; i++) {
        const struct oct_call *c = &e->call[i];
        if (c->meet) oct_text_add(t, "    meet(team);\n");
        if (e->run) oct_text_addf(t, "    /* %s */\n", c->layer);
        if (e->parts && !c->split) oct_text_add(t, "    if (part == 0)\n    ");
        print_call(p, t, e, c, in_file);
    }
    if (e->status) oct_text_addf(t, "    return *(const int32_t *)(const void *)(a + %" PRId64 ");\n}\n", e->status);
    else oct_text_add(t, e->run ? "    return 0;\n}\n" : "}\n");
}

static bool weights_in_file(const struct oct_unit *u) {
    int64_t bytes = 0;
    for (int i = 0; i < u->program->nconstants; i++) bytes += oct_packed_bytes(u->program->constant[i].data);
    return u->opt->weights == OCT_WEIGHTS_INCBIN || u->opt->weights == OCT_WEIGHTS_OBJ ||
           (u->opt->weights == OCT_WEIGHTS_AUTO && bytes > u->opt->target->inline_weights_max);
}

void oct_print_source(const struct oct_unit *u, struct oct_compiled *out) {
    const struct oct_program *p = u->program;
    const bool in_file = weights_in_file(u);
    struct lp_c_file *file = lp_c_file_new(u->cx, u->a);
    struct oct_text *c = &out->c, functions;
    oct_text_init(&functions, u->a);
    for (int i = 0; i < p->nfunctions; i++) {
        const struct oct_function *f = &p->function[i];
        oct_text_addf(&functions, "/* %s */\n", f->doc);
        oct_text_add(&functions, "OCT_LAYER ");
        lp_emit_c(&functions, f->k, f->name, file);
        oct_text_add(&functions, "\n");
    }
    oct_text_addf(c,
                  "/* Made by octavo; see the header. C99, no library but memcpy and memset that the compiler may call. */\n"
                  "#include \"%s.h\"\n\n",
                  p->file);
    lp_emit_c_prologue(c, file);
    oct_text_add(c, "/* One function a layer, one frame at a time; inlined into one they would share too few registers. */\n"
                    "#ifdef __GNUC__\n"
                    "#define OCT_LAYER __attribute__((noinline))\n"
                    "#define OCT_WORDS __attribute__((aligned(4)))\n"
                    "#else\n"
                    "#define OCT_LAYER\n"
                    "#define OCT_WORDS\n"
                    "#endif\n");
    oct_text_add(c, "\n");
    print_constants(u, c, in_file);
    oct_text_addn(c, functions.s ? functions.s : "", functions.len);
    for (int i = 0; i < p->nentries; i++) {
        if (i) oct_text_add(c, "\n");
        print_entry(p, c, &p->entry[i], in_file);
    }
    lp_emit_c_epilogue(c, file);
    if (in_file) write_weights_file(p, out);
}
