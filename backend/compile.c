/* compile.c - a module as C99: NAME.c, NAME.h and NAME.json. Clones the module, binds N, plans, prints.
 *
 * Equal kernels and equal constants are printed once. Names and texts of the model are hostile: they reach the output only
 * through identifier() and comment_text(). */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "plan/plan.h"

struct function {
    const char *text; /* of the loops */
    const char *name;
};
struct constant {
    const struct oct_packed *data;
    int64_t offset; /* in the weights file */
};
struct printer {
    struct oct_ctx *cx;
    struct oct_arena *a;
    const struct oct_compile_options *opt;
    struct oct_module *m;
    struct oct_plan plan;
    struct oct_compiled *out;
    struct function *function;
    int nfunctions;
    struct constant *constant;
    int nconstants;
    int64_t weight_bytes;
    bool in_file, floats;
    uint64_t helpers;
    struct oct_text functions, body, wrappers;
    const char **name; /* parameters: inputs, outputs */
    const char *upper;
};

/* ---- names and texts
 * ---------------------------------------------------------------------------------------------------------------- */

static bool is_keyword(const char *s) {
    static const char *const words[] = {
        "auto",   "break",    "case",     "char",     "const",    "continue", "default", "do",     "double",
        "else",   "enum",     "extern",   "float",    "for",      "goto",     "if",      "inline", "int",
        "long",   "register", "restrict", "return",   "short",    "signed",   "sizeof",  "static", "struct",
        "switch", "typedef",  "union",    "unsigned", "void",     "volatile", "while",   "arena",  "a",
        "class",  "new",      "delete",   "this",     "template", "operator", "private", "public", "namespace",
        "bool",   "true",     "false",    "and",      "or",       "not",      "xor",     "try",    "catch",
        "throw",  "using",    "virtual",  "friend",   "asm",      "unix",     "linux"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], s) == 0) return true;
    return false;
}

/* A C identifier from any text, different from the `n` names before it. */
static const char *identifier(struct printer *p, const char *s, const char **before, int n) {
    char *id = oct_strndup(p->a, s, strlen(s) < 64 ? strlen(s) : 64);
    for (char *c = id; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 128) *c = '_';
    const char *r = id;
    if (!*id || !isalpha((unsigned char)*id) || is_keyword(id)) r = oct_sprintf(p->a, "v_%s", id);
    for (int tries = 2, i = 0; i < n; i++)
        if (strcmp(before[i], r) == 0) r = oct_sprintf(p->a, "%s_%d", id, tries++), i = -1;
    return r;
}

/* Text that cannot leave a comment: printable ASCII without * / \ and ?, at most 120 bytes. */
static void comment_text(struct oct_text *t, const char *s) {
    for (int i = 0; *s && i < 120; s++, i++) {
        char c = *s;
        if (c < 32 || c > 126 || c == '*' || c == '/' || c == '\\' || c == '?') c = '_';
        oct_text_addn(t, &c, 1);
    }
}

static void json_string(struct oct_text *t, const char *s) {
    oct_text_add(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') oct_text_addf(t, "\\%c", c);
        else if (c < 32 || c > 126) oct_text_addf(t, "\\u%04x", c);
        else oct_text_addn(t, s, 1);
    }
    oct_text_add(t, "\"");
}

static const char *c_type(enum lp_elem e) {
    static const char *const names[] = {"int8_t",   "uint8_t", "int16_t", "uint16_t", "int32_t",
                                        "uint32_t", "int64_t", "float",   "double"};
    return names[e];
}

/* ---- constants
 * ----------------------------------------------------------------------------------------------------------------------- */

static int64_t packed_bytes(const struct oct_packed *d) { return d->n * (int64_t)lp_elem_size(d->elem); }

static int find_constant(struct printer *p, const struct oct_packed *d) {
    for (int i = 0; i < p->nconstants; i++) {
        const struct oct_packed *e = p->constant[i].data;
        if (e->elem == d->elem && e->n == d->n && memcmp(e->data, d->data, (size_t)packed_bytes(d)) == 0) return i;
    }
    p->constant[p->nconstants] = (struct constant){d, (p->weight_bytes + 15) / 16 * 16};
    p->weight_bytes = p->constant[p->nconstants].offset + packed_bytes(d);
    return p->nconstants++;
}

static void print_number(struct printer *p, struct oct_text *t, const struct oct_packed *d, int64_t i) {
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
    case LP_F32:
        p->floats = true;
        oct_text_add_f32(t, ((const float *)d->data)[i]);
        oct_text_add(t, "f");
        break;
    case LP_I64: {
        int64_t v = ((const int64_t *)d->data)[i];
        if (v == INT64_MIN) oct_text_add(t, "INT64_MIN");
        else oct_text_addf(t, "INT64_C(%" PRId64 ")", v);
        break;
    }
    default: oct_internal(p->cx, (struct oct_span){0, 0, 0}, "constant of a type that C does not print");
    }
}

static void print_constants(struct printer *p, struct oct_text *t) {
    if (p->in_file) {
        oct_text_addf(t,
                      "/* %" PRId64
                      " bytes of weights: %s.weights.bin through %s.weights.S */\nextern const unsigned char %s_weights[];\n\n",
                      p->weight_bytes, p->opt->name, p->opt->name, p->opt->name);
        return;
    }
    for (int i = 0; i < p->nconstants; i++) {
        const struct oct_packed *d = p->constant[i].data;
        oct_text_addf(t, "static const %s data_%d[%" PRId64 "] = { /* ", c_type(d->elem), i, d->n);
        comment_text(t, d->name);
        oct_text_add(t, " */");
        size_t line = t->len;
        for (int64_t j = 0; j < d->n; j++) {
            if (j == 0 || t->len - line > 116) {
                oct_text_add(t, "\n   ");
                line = t->len;
            }
            oct_text_add(t, " ");
            print_number(p, t, d, j);
            if (j + 1 < d->n) oct_text_add(t, ",");
        }
        oct_text_add(t, "\n};\n");
    }
    oct_text_add(t, "\n");
}

static void write_weights_file(struct printer *p) {
    for (int i = 0; i < p->nconstants; i++) {
        static const char zeros[16] = {0};
        oct_text_addn(&p->out->weights, zeros, (size_t)(p->constant[i].offset - (int64_t)p->out->weights.len));
        oct_text_addn(&p->out->weights, p->constant[i].data->data, (size_t)packed_bytes(p->constant[i].data));
    }
    oct_text_addf(&p->out->weights_s,
                  "    .section .rodata.%s_weights,\"a\",%%progbits\n    .balign 64\n    .globl %s_weights\n%s_weights:\n"
                  "    .incbin \"%s.weights.bin\"\n    .section .note.GNU-stack,\"\",%%progbits\n",
                  p->opt->name, p->opt->name, p->opt->name, p->opt->name);
}

/* ---- kernels
 * -------------------------------------------------------------------------------------------------------------------------- */

static void describe(struct printer *p, struct oct_text *t, const struct oct_step *s) {
    const struct oct_node *n = s->node;
    oct_text_addf(t, "/* %s: ", n->name);
    oct_text_add(t, s->kind == OCT_STEP_NODE   ? oct_op_info(n->op)->name
                    : s->kind == OCT_STEP_COPY ? "copy to another layout"
                                               : "border of zero points");
    for (int i = 0; i < s->b.nin && s->kind == OCT_STEP_NODE; i++)
        if (s->b.in[i].node) oct_text_addf(t, "%s%s", i ? ", " : " ", oct_type_text(p->a, &s->b.in[i].node->type));
    oct_text_addf(t, " -> %s", oct_type_text(p->a, &n->type));
    if (n->at.from) {
        oct_text_add(t, ", from '");
        comment_text(t, n->at.from);
        oct_text_add(t, "'");
    }
    oct_text_addf(t, ". %s.", s->b.recipe);
    if (s->b.proof.len) oct_text_addf(t, "\n   %s", s->b.proof.s);
    oct_text_add(t, " */\n");
}

static const char *function_of(struct printer *p, const struct oct_step *s) {
    struct oct_text text;
    oct_text_init(&text, p->a);
    lp_print(&text, s->b.k);
    for (int i = 0; i < p->nfunctions; i++)
        if (strcmp(p->function[i].text, text.s) == 0) return p->function[i].name;
    const char *what = s->kind == OCT_STEP_NODE   ? s->info ? s->info->name : oct_op_info(s->node->op)->name
                       : s->kind == OCT_STEP_COPY ? "copy"
                                                  : "border";
    const char *name = oct_sprintf(p->a, "%s_%d", what, p->nfunctions);
    p->function[p->nfunctions++] = (struct function){text.s, name};
    describe(p, &p->functions, s);
    lp_emit_c(&p->functions, s->b.k, name, &p->helpers);
    oct_text_add(&p->functions, "\n");
    for (int32_t i = 0; i < s->b.k->nbufs; i++) p->floats |= s->b.k->buf[i].elem == LP_F32 || s->b.k->buf[i].elem == LP_F64;
    for (int32_t i = 0; i < s->b.k->nregs; i++)
        p->floats |= s->b.k->reg[i].type.elem == LP_F32 || s->b.k->reg[i].type.elem == LP_F64;
    return name;
}

static void print_root(struct printer *p, struct oct_text *t, int root, int64_t extra) {
    const struct oct_root *r = &p->plan.root[root];
    if (r->kind == OCT_ROOT_ARENA) oct_text_addf(t, "(void *)(a + %" PRId64 ")", r->offset + extra);
    else oct_text_add(t, p->name[r->index + (r->kind == OCT_ROOT_OUTPUT ? p->plan.ninputs : 0)]);
}

static void print_call(struct printer *p, struct oct_text *t, const struct oct_step *s, const char *x, const char *y) {
    oct_text_addf(t, "    %s(", function_of(p, s));
    for (int32_t i = 0; i < s->b.k->nbufs; i++) {
        const struct oct_bind *bind = &s->b.bind[i];
        if (i) oct_text_add(t, ", ");
        switch (bind->kind) {
        case OCT_BIND_OPERAND:
            if (x) oct_text_add(t, x);
            else print_root(p, t, s->in_root[bind->index], 0);
            break;
        case OCT_BIND_RESULT:
            if (y) oct_text_add(t, y);
            else print_root(p, t, s->out_root, 0);
            break;
        case OCT_BIND_SCRATCH: print_root(p, t, s->scratch_root, bind->index); break;
        case OCT_BIND_CONST: {
            int c = find_constant(p, &s->b.constant[bind->index]);
            if (p->in_file) oct_text_addf(t, "(const void *)(%s_weights + %" PRId64 ")", p->opt->name, p->constant[c].offset);
            else oct_text_addf(t, "data_%d", c);
            break;
        }
        }
    }
    if (s->b.k->has_range) oct_text_addf(t, ", 0, %" PRId64, s->b.k->body->trip);
    oct_text_add(t, ");\n");
}

/* ---- boundary helpers: one conversion kernel for each quantized input and output
 * -------------------------------------------------------- */

static void print_wrapper(struct printer *p, const struct oct_node *n, const char *name, bool input) {
    if (!n->type.q || n->type.q->axis >= 0) return;
    struct oct_node *from = OCT_NEW(p->a, struct oct_node), *to = OCT_NEW(p->a, struct oct_node);
    from->op = OCT_OP_input;
    oct_attrs_init(&from->at);
    oct_attrs_init(&to->at);
    to->op = input ? OCT_OP_quantize : OCT_OP_dequantize;
    from->name = to->name = n->name;
    from->type = to->type = n->type;
    struct oct_node *floats = input ? from : to;
    floats->type.dtype = OCT_F32;
    floats->type.q = NULL;
    to->operand = OCT_NEW_N(p->a, struct oct_node *, 1);
    to->operand[0] = from;
    to->noperands = 1;
    struct oct_step *s = OCT_NEW(p->a, struct oct_step);
    s->kind = OCT_STEP_NODE;
    s->node = to;
    s->b = (struct oct_kbuild){.cx = p->cx, .arena = p->a, .target = p->opt->target, .node = to, .nin = 1, .inplace = -1};
    s->b.in = OCT_NEW(p->a, struct oct_operand);
    s->b.in[0].node = from;
    oct_layout_plain(&s->b.in[0].at, n->type.rank, n->type.dim);
    s->b.out = (struct oct_operand){to, s->b.in[0].at};
    s->info = oct_kernel_find(&s->b);
    if (!s->info || !oct_kernel_build(&s->b, s->info)) return;
    const char *q = c_type(oct_k_elem(n->type.dtype));
    const char *sign = input ? oct_sprintf(p->a, "void %s_quantize_%s(const float *x, %s *q)", p->opt->name, name, q)
                             : oct_sprintf(p->a, "void %s_dequantize_%s(const %s *q, float *y)", p->opt->name, name, q);
    oct_text_addf(&p->out->h, "%s;\n", sign);
    oct_text_addf(&p->wrappers, "\n%s {\n", sign);
    print_call(p, &p->wrappers, s, input ? "x" : "q", input ? "q" : "y");
    oct_text_add(&p->wrappers, "}\n");
}

/* ---- the files
 * -----------------------------------------------------------------------------------------------------------------------------
 */

static void print_parameter(struct printer *p, struct oct_text *t, const struct oct_node *n, const char *name, bool input) {
    struct oct_layout at;
    static const int64_t none[4] = {0};
    const bool nhwc = n->type.rank == 4 && p->opt->io_layout == OCT_LAYOUT_NHWC;
    if (nhwc) oct_layout_nhwc(&at, n->type.dim, none);
    else oct_layout_plain(&at, n->type.rank, n->type.dim);
    oct_text_addf(t, " *   %s: %s %s, order %s, strides", name, input ? "input" : "output", oct_type_text(p->a, &n->type),
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

static const char *run_signature(struct printer *p) {
    struct oct_text t;
    oct_text_init(&t, p->a);
    oct_text_addf(&t, "int %s_run(", p->opt->name);
    for (int i = 0; i < p->plan.ninputs; i++)
        oct_text_addf(&t, "const %s *%s, ", c_type(oct_k_elem(p->plan.input[i]->type.dtype)), p->name[i]);
    for (uint32_t i = 0; i < p->m->noutputs; i++)
        oct_text_addf(&t, "%s *%s, ", c_type(oct_k_elem(p->m->output[i].node->type.dtype)), p->name[p->plan.ninputs + (int)i]);
    oct_text_add(&t, "void *arena)");
    return t.s;
}

static void print_header(struct printer *p) {
    struct oct_text *h = &p->out->h;
    oct_text_addf(h, "/* %s.h - made by octavo from model ", p->opt->name);
    comment_text(h, p->m->name);
    oct_text_add(h, ".\n");
    for (int i = 0; i < p->plan.ninputs; i++) print_parameter(p, h, p->plan.input[i], p->name[i], true);
    for (uint32_t i = 0; i < p->m->noutputs; i++)
        print_parameter(p, h, p->m->output[i].node, p->name[p->plan.ninputs + (int)i], false);
    oct_text_addf(
        h,
        " * x = scale (code - zero point). The arena is the caller's: %s_ARENA_SIZE bytes, aligned to %d; nothing in it lasts\n"
        " * from one call to the next. Re-entrant; allocates nothing; returns 0. */\n"
        "#ifndef %s_H\n#define %s_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "#define %s_ARENA_SIZE %" PRId64 "\n\n%s;\n",
        p->upper, OCT_ARENA_ALIGN, p->upper, p->upper, p->upper, p->plan.arena_bytes ? p->plan.arena_bytes : 1, run_signature(p));
    for (int i = 0; i < p->plan.ninputs; i++) print_wrapper(p, p->plan.input[i], p->name[i], true);
    for (uint32_t i = 0; i < p->m->noutputs; i++)
        print_wrapper(p, p->m->output[i].node, p->name[p->plan.ninputs + (int)i], false);
    oct_text_add(h, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

static void print_source(struct printer *p) {
    struct oct_text *c = &p->out->c;
    oct_text_addf(c,
                  "/* %s.c - made by octavo; see %s.h. C99, no library but memcpy and memset that the compiler may call. "
                  "*/\n#include \"%s.h\"\n\n",
                  p->opt->name, p->opt->name, p->opt->name);
    lp_emit_c_prologue(c, p->floats);
    lp_emit_c_helpers(c, p->helpers);
    oct_text_add(c, "\n");
    print_constants(p, c);
    oct_text_addn(c, p->functions.s ? p->functions.s : "", p->functions.len);
    oct_text_addf(c, "%s {\n", run_signature(p));
    bool uses_arena = false;
    for (int i = 0; i < p->plan.nroots; i++) uses_arena |= p->plan.root[i].kind == OCT_ROOT_ARENA && p->plan.root[i].last >= 0;
    oct_text_add(c, uses_arena ? "    unsigned char *a = arena;\n" : "    (void)arena;\n");
    oct_text_addn(c, p->body.s ? p->body.s : "", p->body.len);
    oct_text_add(c, "    return 0;\n}\n");
    oct_text_addn(c, p->wrappers.s ? p->wrappers.s : "", p->wrappers.len);
}

static void print_report(struct printer *p) {
    struct oct_text *j = &p->out->json, *e = &p->out->explain;
    int64_t macs = 0, weights = 0;
    unsigned accepted = 0, refused = 0;
    for (int i = 0; i < p->nconstants; i++) weights += packed_bytes(p->constant[i].data);
    for (int i = 0; i < p->plan.nsteps; i++) {
        const struct oct_step *s = &p->plan.step[i];
        if (s->kind == OCT_STEP_NODE) macs += oct_macs(s->node);
        accepted += s->b.proofs_accepted;
        refused += s->b.proofs_refused;
    }
    oct_text_addf(j,
                  "{\n  \"arena_bytes\": %" PRId64 ",\n  \"arena_lower_bound\": %" PRId64 ",\n  \"weight_bytes\": %" PRId64
                  ",\n  \"text_bytes\": null,\n  \"stack_bytes\": null,\n  \"macs\": %" PRId64
                  ",\n  \"requant_proofs\": {\"accepted\": %u, \"refused\": %u},\n  \"layers\": [",
                  p->plan.arena_bytes, p->plan.arena_lower_bound, weights, macs, accepted, refused);
    for (int i = 0; i < p->plan.nsteps; i++) {
        const struct oct_step *s = &p->plan.step[i];
        oct_text_addf(j, "%s\n    {\"name\": ", i ? "," : "");
        json_string(j, s->node->name);
        oct_text_add(j, ", \"kernel\": ");
        json_string(j, s->kind == OCT_STEP_NODE ? s->info->name : s->kind == OCT_STEP_COPY ? "copy" : "border");
        oct_text_add(j, ", \"recipe\": ");
        json_string(j, s->b.recipe);
        oct_text_add(j, ", \"proof\": ");
        json_string(j, s->b.proof.len ? s->b.proof.s : "");
        oct_text_addf(j, ", \"macs\": %" PRId64 "}", s->kind == OCT_STEP_NODE ? oct_macs(s->node) : 0);
        oct_text_addf(e, "%s: %s, %s. %s\n", s->node->name, s->kind == OCT_STEP_NODE ? s->info->name : "layout", s->b.recipe,
                      s->b.proof.len ? s->b.proof.s : "");
    }
    oct_text_add(j, "\n  ],\n  \"fallbacks\": [");
    int n = 0;
    for (int i = 0; i < p->plan.nsteps; i++) {
        const struct oct_step *s = &p->plan.step[i];
        if (s->kind != OCT_STEP_NODE || !(s->info->flags & OCT_K_FALLBACK)) continue;
        oct_text_addf(j, "%s\n    {\"name\": ", n++ ? "," : "");
        json_string(j, s->node->name);
        oct_text_add(j, ", \"kernel\": ");
        json_string(j, s->info->name);
        oct_text_add(j, "}");
    }
    oct_text_add(j, n ? "\n  ]\n}\n" : "]\n}\n");
    oct_text_addf(e, "arena: %" PRId64 " bytes, no planner can do with less than %" PRId64 "\n", p->plan.arena_bytes,
                  p->plan.arena_lower_bound);
}

/* ---- preparing
 * ------------------------------------------------------------------------------------------------------------------------------
 */

static bool bind_batch(struct oct_ctx *cx, struct oct_module *m, const struct oct_compile_options *opt) {
    bool ok = true;
    OCT_FOR_NODES(m, n) {
        if (opt->no_float && n->op != OCT_OP_const && n->type.dtype == OCT_F32) {
            oct_error(cx, n->span, OCT_E6004, "%s '%s' is float", oct_op_info(n->op)->name, n->name);
            ok = false;
        }
        for (int i = 0; i < n->type.rank; i++)
            if (n->type.dim[i] == OCT_DIM_N) n->type.dim[i] = opt->batch;
        if (oct_type_elements(&n->type, 1) < 0) {
            oct_error(cx, n->span, OCT_E6005, "'%s' has too many elements at batch %" PRId64, n->name, opt->batch);
            return false;
        }
    }
    return ok;
}

bool oct_compile(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *model, const struct oct_compile_options *opt,
                 struct oct_compiled *out) {
    struct printer p = {.cx = cx, .a = a, .opt = opt, .out = out};
    struct oct_text *const texts[] = {&out->c,       &out->h,      &out->json, &out->weights, &out->weights_s,
                                      &out->explain, &p.functions, &p.body,    &p.wrappers};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) oct_text_init(texts[i], a);
    p.m = oct_module_clone(model, cx);
    if (!bind_batch(cx, p.m, opt) || !oct_plan_make(cx, a, p.m, opt, &p.plan)) return false;

    const int nparams = p.plan.ninputs + (int)p.m->noutputs;
    p.name = OCT_NEW_N(a, const char *, nparams + 1);
    for (int i = 0; i < p.plan.ninputs; i++) p.name[i] = identifier(&p, p.plan.input[i]->name, p.name, i);
    for (int i = p.plan.ninputs; i < nparams; i++) p.name[i] = identifier(&p, p.m->output[i - p.plan.ninputs].name, p.name, i);
    char *upper = oct_strdup(a, opt->name);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    p.upper = upper;

    int64_t bytes = 0;
    int most = 0;
    for (int i = 0; i < p.plan.nsteps; i++) {
        const struct oct_kbuild *b = &p.plan.step[i].b;
        most += b->nconstants;
        for (int c = 0; c < b->nconstants; c++) bytes += packed_bytes(&b->constant[c]);
    }
    p.in_file = opt->weights == OCT_WEIGHTS_INCBIN || opt->weights == OCT_WEIGHTS_OBJ ||
                (opt->weights == OCT_WEIGHTS_AUTO && bytes > opt->target->inline_weights_max);
    p.constant = OCT_NEW_N(a, struct constant, most + 4 * nparams + 1);
    p.function = OCT_NEW_N(a, struct function, p.plan.nsteps + nparams + 1);

    for (int i = 0; i < p.plan.nsteps; i++) {
        oct_text_addf(&p.body, "    /* %s */\n", p.plan.step[i].node->name);
        print_call(&p, &p.body, &p.plan.step[i], NULL, NULL);
    }
    print_header(&p);
    print_source(&p);
    if (p.in_file) write_weights_file(&p);
    print_report(&p);
    return true;
}
