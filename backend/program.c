/* program.c - from a plan to a program: names, functions and constants each once, the entries and their calls.
 *
 * Names and texts of the model are hostile: they reach a program only through identifier() and oct_comment_text(). */
#include <ctype.h>
#include <string.h>

#include "program.h"

/* ---- names and texts ---------------------------------------------------------------------------------------------------------
 */

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

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* Names that a program prints where parameters are in scope: types and limits, helpers, constants, entries. (Functions make way
 * for parameters: function_of.) */
static bool is_printed(const struct oct_unit *u, const char *s) {
    const size_t prefix = strlen(u->program->name);
    const char *type = s + (*s == 'u' || *s == 'U'); /* int8_t, UINT32_C, INT64_MIN */
    if ((starts(type, "int") || starts(type, "INT")) && isdigit((unsigned char)type[3])) return true;
    if (starts(s, "oct_") || starts(s, "OCT_")) return true;
    if (starts(s, "data_") && strspn(s + 5, "0123456789") == strlen(s + 5)) return true;
    return starts(s, u->program->name) && s[prefix] == '_';
}

/* A C identifier from any text, different from the `n` names before it. */
static const char *identifier(struct oct_unit *u, const char *s, const char **before, int n) {
    char *id = oct_strndup(u->a, s, strlen(s) < 64 ? strlen(s) : 64);
    for (char *c = id; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 128) *c = '_';
    const char *r = id;
    if (!*id || !isalpha((unsigned char)*id) || is_keyword(id) || is_printed(u, id)) r = oct_sprintf(u->a, "v_%s", id);
    for (int tries = 2, i = 0; i < n; i++)
        if (strcmp(before[i], r) == 0) r = oct_sprintf(u->a, "%s_%d", id, tries++), i = -1;
    return r;
}

void oct_comment_text(struct oct_text *t, const char *s) {
    for (int i = 0; *s && i < 120; s++, i++) {
        char c = *s;
        if (c < 32 || c > 126 || c == '*' || c == '/' || c == '\\' || c == '?') c = '_';
        oct_text_addn(t, &c, 1);
    }
}

/* ---- functions and constants --------------------------------------------------------------------------------------------------
 */

static const char *describe(struct oct_unit *u, const struct oct_step *s) {
    struct oct_text text, *t = &text;
    oct_text_init(t, u->a);
    const struct oct_node *n = s->node;
    oct_text_addf(t, "%s: ", n->name);
    oct_text_add(t, s->kind == OCT_STEP_NODE   ? oct_op_info(n->op)->name
                    : s->kind == OCT_STEP_COPY ? "copy to another layout"
                                               : "border of zero points");
    for (int i = 0; i < s->b.nin && s->kind == OCT_STEP_NODE; i++)
        if (s->b.in[i].node) oct_text_addf(t, "%s%s", i ? ", " : " ", oct_type_text(u->a, &s->b.in[i].node->type));
    oct_text_addf(t, " -> %s", oct_type_text(u->a, &n->type));
    if (n->at.from) {
        oct_text_add(t, ", from '");
        oct_comment_text(t, n->at.from);
        oct_text_add(t, "'");
    }
    oct_text_addf(t, ". %s.", s->b.recipe);
    if (s->b.proof.len) oct_text_addf(t, "\n   %s", s->b.proof.s);
    return text.s;
}

int oct_program_function(struct oct_program *p, struct oct_arena *a, const struct lp_kernel *k, const char *what,
                         const char *doc) {
    struct oct_text text;
    oct_text_init(&text, a);
    lp_print(&text, k);
    for (int i = 0; i < p->nfunctions; i++)
        if (strcmp(p->function[i].text, text.s) == 0) return i;
    const char *name = oct_sprintf(a, "%s_%d", what, p->nfunctions);
    for (int i = 0; i < p->entry[0].nparams; i++) /* a parameter keeps its name, which users see */
        if (strcmp(p->entry[0].param[i].name, name) == 0) name = oct_sprintf(a, "%s_", name), i = -1;
    p->function[p->nfunctions] = (struct oct_function){.name = name, .k = k, .text = text.s, .doc = doc};
    return p->nfunctions++;
}

static int function_of(struct oct_unit *u, const struct oct_step *s) {
    const char *what = s->kind == OCT_STEP_NODE ? s->info->name : s->kind == OCT_STEP_COPY ? "copy" : "border";
    return oct_program_function(u->program, u->a, s->b.k, what, describe(u, s));
}

enum { MUCH = 64 * 1024, LINE = 64 }; /* bytes: of a constant that starts a cache line; of that line */

int oct_program_constant(struct oct_program *p, const struct oct_packed *d) {
    for (int i = 0; i < p->nconstants; i++) {
        const struct oct_packed *e = p->constant[i].data;
        if (e->elem == d->elem && e->n == d->n && memcmp(e->data, d->data, (size_t)oct_packed_bytes(d)) == 0) return i;
    }
    const int64_t align = oct_packed_bytes(d) < MUCH ? 16 : LINE;
    p->constant[p->nconstants] = (struct oct_constant){d, (p->weight_bytes + align - 1) / align * align};
    p->weight_bytes = p->constant[p->nconstants].offset + oct_packed_bytes(d);
    return p->nconstants++;
}

/* ---- calls
 * ---------------------------------------------------------------------------------------------------------------------- */

/* Where a step finds its operands and leaves its result. */
typedef struct oct_arg place_of(const struct oct_unit *u, const struct oct_step *s, const struct oct_bind *bind);

static struct oct_arg root(const struct oct_unit *u, int number, int64_t extra) {
    const struct oct_root *r = &u->plan.root[number];
    if (r->kind == OCT_ROOT_ARENA) return oct_arg(OCT_ARG_ARENA, r->offset + extra);
    return oct_arg(OCT_ARG_PARAM, r->index + (r->kind == OCT_ROOT_OUTPUT ? u->plan.ninputs : 0));
}
static struct oct_arg planned(const struct oct_unit *u, const struct oct_step *s, const struct oct_bind *bind) {
    switch (bind->kind) {
    case OCT_BIND_OPERAND: return root(u, s->in_root[bind->index], 0);
    case OCT_BIND_RESULT: return root(u, s->out_root, 0);
    default: {
        struct oct_arg at = root(u, s->scratch_root, bind->index);
        at.per_part = s->split ? oct_plan_scratch(s) : 0;
        return at;
    }
    }
}
/* A conversion at the boundary: from its first parameter to its second. */
static struct oct_arg converted(const struct oct_unit *u, const struct oct_step *s, const struct oct_bind *bind) {
    if (bind->kind == OCT_BIND_SCRATCH) oct_internal(u->cx, s->node->span, "a conversion that needs scratch memory");
    return oct_arg(OCT_ARG_PARAM, bind->kind == OCT_BIND_RESULT);
}

static struct oct_call call_of(struct oct_unit *u, const struct oct_step *s, place_of *place) {
    struct oct_call call = {.layer = s->node->name, .function = function_of(u, s)};
    struct oct_arg *arg = OCT_NEW_N(u->a, struct oct_arg, s->b.k->nbufs);
    for (int32_t i = 0; i < s->b.k->nbufs; i++) {
        const struct oct_bind *bind = &s->b.bind[i];
        if (bind->kind == OCT_BIND_CONST)
            arg[i] = oct_arg(OCT_ARG_CONST, oct_program_constant(u->program, &s->b.constant[bind->index]));
        else arg[i] = place(u, s, bind);
    }
    call.arg = arg;
    if (u->program->source) call.line = oct_span_line(u->cx, s->node->span);
    if (!u->program->function[call.function].line) u->program->function[call.function].line = call.line;
    return call;
}

/* ---- entries
 * --------------------------------------------------------------------------------------------------------------------- */

static void add_run(struct oct_unit *u, struct oct_param *param) {
    struct oct_program *p = u->program;
    struct oct_entry *e = &p->entry[p->nentries++];
    *e = (struct oct_entry){.name = oct_sprintf(u->a, "%s_run", p->name), .run = true, .param = param};
    e->nparams = u->plan.ninputs + (int)u->m->noutputs;
    e->call = OCT_NEW_N(u->a, struct oct_call, u->plan.nsteps + 1);
    for (; e->ncalls < u->plan.nsteps; e->ncalls++) e->call[e->ncalls] = call_of(u, &u->plan.step[e->ncalls], planned);
}

/* The calls of NAME_run again, where threads share them. A call of part 0 alone waits for what others did before it, and they
 * wait for it; between two such calls nobody waits. */
static void add_run_part(struct oct_unit *u) {
    struct oct_program *p = u->program;
    const struct oct_entry *run = &p->entry[0];
    struct oct_entry *e = &p->entry[p->nentries++];
    *e = *run;
    e->name = oct_sprintf(u->a, "%s_run_part", p->name);
    e->parts = true;
    e->call = OCT_NEW_N(u->a, struct oct_call, run->ncalls + 1);
    for (int i = 0; i < run->ncalls; i++) {
        e->call[i] = run->call[i];
        e->call[i].split = u->plan.step[i].split;
        e->call[i].meet = i > 0 && (e->call[i].split || e->call[i - 1].split);
    }
}

/* One conversion for each quantized input and output. */
static void add_conversion(struct oct_unit *u, const struct oct_node *n, const char *name, bool input) {
    if (!n->type.q || n->type.q->axis >= 0) return;
    struct oct_node *from = OCT_NEW(u->a, struct oct_node), *to = OCT_NEW(u->a, struct oct_node);
    from->op = OCT_OP_input;
    oct_attrs_init(&from->at);
    oct_attrs_init(&to->at);
    to->op = input ? OCT_OP_quantize : OCT_OP_dequantize;
    from->name = to->name = n->name;
    from->type = to->type = n->type;
    from->span = to->span = n->span;
    struct oct_node *floats = input ? from : to;
    floats->type.dtype = OCT_F32;
    floats->type.q = NULL;
    to->operand = OCT_NEW_N(u->a, struct oct_node *, 1);
    to->operand[0] = from;
    to->noperands = 1;
    struct oct_step *s = OCT_NEW(u->a, struct oct_step);
    s->kind = OCT_STEP_NODE;
    s->node = to;
    s->b = (struct oct_kbuild){.cx = u->cx, .arena = u->a, .target = u->opt->target, .node = to, .nin = 1, .inplace = -1};
    s->b.in = OCT_NEW(u->a, struct oct_operand);
    s->b.in[0].node = from;
    oct_layout_plain(&s->b.in[0].at, n->type.rank, n->type.dim);
    s->b.out = (struct oct_operand){to, s->b.in[0].at};
    s->info = oct_kernel_find(&s->b);
    if (!s->info || !oct_kernel_build(&s->b, s->info)) return;

    struct oct_program *p = u->program;
    struct oct_param *param = OCT_NEW_N(u->a, struct oct_param, 2);
    param[0] = (struct oct_param){input ? "x" : "q", oct_k_elem(from->type.dtype), false};
    param[1] = (struct oct_param){input ? "q" : "y", oct_k_elem(to->type.dtype), true};
    struct oct_entry *e = &p->entry[p->nentries++];
    *e = (struct oct_entry){.name = oct_sprintf(u->a, "%s_%s_%s", p->name, input ? "quantize" : "dequantize", name),
                            .param = param,
                            .nparams = 2,
                            .call = OCT_NEW(u->a, struct oct_call),
                            .ncalls = 1};
    e->call[0] = call_of(u, s, converted);
}

/* Line info points into the text that the values come from: one, if any. */
static void find_source(struct oct_unit *u) {
    if (!u->opt->debug_folder) return;
    OCT_FOR_NODES(u->m, n) {
        const struct oct_source *s = oct_source_get(u->cx, n->span.source);
        if (!s || !s->text) continue;
        u->program->source = s->name;
        u->program->folder = u->opt->debug_folder;
        return;
    }
}

void oct_program_make(struct oct_unit *u) {
    struct oct_program *p = u->program = OCT_NEW(u->a, struct oct_program);
    const int nin = u->plan.ninputs, nparams = nin + (int)u->m->noutputs;
    int constants = 4 * nparams + 2;
    for (int i = 0; i < u->plan.nsteps; i++) constants += u->plan.step[i].b.nconstants;
    p->name = u->opt->name;
    p->file = u->opt->file ? u->opt->file : p->name;
    p->arena_bytes = u->plan.arena_bytes;
    p->threads = u->opt->threads > 1 ? u->opt->threads : 1;
    p->parts = 1;
    for (int i = 0; i < u->plan.nsteps; i++)
        if (u->plan.step[i].split) p->parts = p->threads;
    find_source(u);
    p->function = OCT_NEW_N(u->a, struct oct_function, u->plan.nsteps + 2 * nparams + OCT_SELFTEST_KERNELS + 1);
    p->constant = OCT_NEW_N(u->a, struct oct_constant, constants);
    p->entry = OCT_NEW_N(u->a, struct oct_entry, nparams + 3);

    const char **name = OCT_NEW_N(u->a, const char *, nparams + 1);
    struct oct_param *param = OCT_NEW_N(u->a, struct oct_param, nparams + 1);
    for (int i = 0; i < nparams; i++) {
        const struct oct_node *n = i < nin ? u->plan.input[i] : u->m->output[i - nin].node;
        name[i] = identifier(u, i < nin ? n->name : u->m->output[i - nin].name, name, i);
        param[i] = (struct oct_param){name[i], oct_k_elem(n->type.dtype), i >= nin};
    }
    add_run(u, param);
    if (p->threads > 1) add_run_part(u);
    for (int i = 0; i < nparams && !u->opt->no_float; i++)
        add_conversion(u, i < nin ? u->plan.input[i] : u->m->output[i - nin].node, name[i], i < nin);
}

/* ---- programs that are no model ----------------------------------------------------------------------------------------------
 */

void oct_program_open(struct oct_program *p, struct oct_arena *a, const char *name, int entries) {
    *p = (struct oct_program){.name = name, .file = name, .threads = 1};
    p->function = OCT_NEW_N(a, struct oct_function, entries + 1);
    p->constant = OCT_NEW_N(a, struct oct_constant, (entries + 1) * OCT_K_MAX_BUFS);
    p->entry = OCT_NEW_N(a, struct oct_entry, entries + 1);
}
void oct_program_entry(struct oct_program *p, struct oct_arena *a, const char *what, const struct lp_kernel *k, const char *doc,
                       const char *layer, const struct oct_arg *arg) {
    struct oct_call *call = OCT_NEW(a, struct oct_call);
    *call = (struct oct_call){.layer = layer, .arg = arg};
    call->function = oct_program_function(p, a, k, what, doc);
    p->entry[p->nentries] =
        (struct oct_entry){.name = oct_sprintf(a, "%s_%d", p->name, p->nentries), .run = true, .call = call, .ncalls = 1};
    p->nentries++;
}
void oct_program_finish(struct oct_unit *u, struct oct_compiled *made) {
    oct_compiled_init(made, u->a);
    made->program = u->program;
    oct_text_add(&made->h, "#include <stdint.h>\n");
    for (int i = 0; i < u->program->nentries; i++) oct_text_addf(&made->h, "int %s(void *arena);\n", u->program->entry[i].name);
    if (!u->opt->no_source) oct_print_source(u, made);
}
