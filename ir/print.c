/* print.c - a module as text of the language; parses back to an equal module. Requires settled modules. The statements, in order:
 *
 *   octavo 1, model, option, rule, weights, then nodes in execution order, then outputs
 *
 * A constant has a line of its own only when the weights file cannot say all of it. */
#include <string.h>

#include "ir.h"

enum { LANGUAGE = 1 };

/* ---- constants and the weights file ---- */

static bool is_random(const struct oct_node *n) { return OCT_HAS(n->at, seed); }

/* The element as text; codes and integers exactly, floats shortest. */
static void add_element(struct oct_text *out, enum oct_dtype t, const void *data, int64_t i) {
    if (t == OCT_F32) oct_text_add_f32(out, ((const float *)data)[i]);
    else oct_text_addf(out, "%lld", (long long)oct_load_int(t, data, i));
}

bool oct_const_in_file(const struct oct_node *n) {
    const int64_t elements = oct_type_elements(&n->type, 1);
    if (is_random(n)) return false;
    if (elements > OCT_INLINE_MAX) return true;
    if (n->type.dtype == OCT_F32)
        for (int64_t i = 0; i < elements; i++)
            if (isnan(((const float *)n->data)[i])) return true; /* text would lose its payload */
    return false;
}

static bool long_quant(const struct oct_type *t) { return t->q && t->q->axis >= 0 && t->q->n > OCT_INLINE_MAX; }

/* Does the constant need a line of its own: has it anything that name and file do not say? */
static bool const_has_line(const struct oct_node *n, const struct oct_weights_ref *w) {
    const bool sub_byte = n->type.dtype == OCT_I4 || n->type.dtype == OCT_U4;
    return !oct_const_in_file(n) || n->type.q || n->at.set || sub_byte || (w && w->by_hash);
}

/* The tensors of one node that go to the weights file, at most three, under their keys. Only constants have parameters under a
 * name of their own; those of values go there by hash alone. */
static int stored(struct oct_arena *a, const struct oct_node *n, bool by_hash, struct oct_stored out[3]) {
    int k = 0;
    const bool constant = n->op == OCT_OP_const;
    if (constant && oct_const_in_file(n)) {
        out[k] = (struct oct_stored){.key = n->name, .dtype = n->type.dtype, .rank = n->type.rank, .data = n->data};
        memcpy(out[k++].dim, n->type.dim, sizeof n->type.dim);
    }
    if (long_quant(&n->type) && (constant || by_hash)) {
        const struct oct_quant *q = n->type.q;
        out[k++] = (struct oct_stored){
            .key = oct_sprintf(a, "%s:scale", n->name), .dtype = OCT_F32, .rank = 1, .dim = {q->n}, .data = q->scale};
        if (q->zero)
            out[k++] = (struct oct_stored){
                .key = oct_sprintf(a, "%s:zero", n->name), .dtype = OCT_I32, .rank = 1, .dim = {q->n}, .data = q->zero};
    }
    for (int i = 0; by_hash && i < k; i++) {
        char hex[17];
        oct_tensor_hash(out[i].dtype, out[i].rank, out[i].dim, out[i].data, hex);
        out[i].key = oct_strdup(a, hex);
    }
    return k;
}

void oct_each_stored(const struct oct_module *m, const struct oct_weights_ref *w,
                     void (*each)(void *user, const struct oct_stored *t), void *user) {
    struct oct_arena *a = oct_arena_new(m->cx);
    OCT_FOR_NODES(m, n) {
        struct oct_stored s[3];
        const int k = stored(a, n, w && w->by_hash, s);
        for (int i = 0; i < k; i++) each(user, &s[i]);
    }
    oct_arena_free(a);
}

/* ---- attributes ---- */

static void add_pair(struct oct_text *out, const float v[2]) {
    oct_text_add(out, "(");
    oct_text_add_f32(out, v[0]);
    oct_text_add(out, ",");
    oct_text_add_f32(out, v[1]);
    oct_text_add(out, ")");
}

static void add_ints(struct oct_text *out, const int64_t *v, int n) {
    oct_text_add(out, "(");
    for (int i = 0; i < n; i++) {
        if (i) oct_text_add(out, ",");
        if (v[i] == OCT_DIM_N) oct_text_add(out, "N");
        else oct_text_addf(out, "%lld", (long long)v[i]);
    }
    oct_text_add(out, ")");
}

static void add_attr(struct oct_text *out, const struct oct_attrs *at, const struct oct_attr_info *info) {
    const void *field = (const char *)at + info->offset;
    const int64_t *ints = field;
    oct_text_addf(out, info->kind == OCT_KIND_FLAG ? " %s" : " %s=", info->name);
    switch (info->kind) {
    case OCT_KIND_FLAG: break;
    case OCT_KIND_INT: oct_text_addf(out, "%lld", (long long)*ints); break;
    case OCT_KIND_INT2:
        if (ints[0] == ints[1]) oct_text_addf(out, "%lld", (long long)*ints);
        else add_ints(out, ints, 2);
        break;
    case OCT_KIND_INT4: add_ints(out, ints, 4); break;
    case OCT_KIND_INTS: add_ints(out, ((const struct oct_ints *)field)->v, ((const struct oct_ints *)field)->n); break;
    case OCT_KIND_F32: oct_text_add_f32(out, *(const float *)field); break;
    case OCT_KIND_F32X2: add_pair(out, field); break;
    case OCT_KIND_STR: oct_text_add_quoted(out, *(const char *const *)field ? *(const char *const *)field : ""); break;
    case OCT_KIND_WORD: {
        int word;
        memcpy(&word, field, sizeof word);
        oct_text_add(out, info->words[word]);
        break;
    }
    }
}

static void add_attrs(struct oct_text *out, const struct oct_attrs *at) {
    for (unsigned i = 0; i < OCT_ATTR_COUNT; i++)
        if (at->set >> i & 1u && (oct_attr_info(i)->kind != OCT_KIND_FLAG || *((const char *)at + oct_attr_info(i)->offset)))
            add_attr(out, at, oct_attr_info(i));
}

/* ---- statements ---- */

static void add_quoted_doc(struct oct_text *out, const char *doc) {
    if (!doc) return;
    oct_text_add(out, " ");
    oct_text_add_quoted(out, doc);
}

static void add_header(struct oct_text *out, struct oct_arena *a, const struct oct_module *m, const struct oct_weights_ref *w) {
    oct_text_addf(out, "octavo %d\nmodel %s", LANGUAGE, m->name);
    add_quoted_doc(out, m->doc);
    if (m->after) oct_text_addf(out, " after=%s", m->after);
    oct_text_add(out, "\n");
    for (unsigned i = 0; i < OCT_OPTION_COUNT; i++)
        if (m->option_set >> i & 1u)
            oct_text_addf(out, "option %s=%s\n", oct_option_info(i)->name,
                          oct_word_at(a, oct_option_info(i)->words, m->option[i]));
    for (uint32_t i = 0; i < m->nrules; i++) {
        const struct oct_rule *r = &m->rule[i];
        oct_text_add(out, "rule ");
        if (r->kind == OCT_RULE_ANY) oct_text_add(out, "any");
        else if (r->kind == OCT_RULE_OP) oct_text_addf(out, "op=%s", oct_op_info(r->op)->name);
        else {
            oct_text_add(out, "name=");
            oct_text_add_quoted(out, r->pattern);
        }
        for (unsigned k = 0; k < OCT_QRULE_COUNT; k++)
            if (r->set >> k & 1u)
                oct_text_addf(out, " %s=%s", oct_qrule_info(k)->name, oct_qrule_text(a, &r->q, k));
        oct_text_add(out, "\n");
    }
    if (w && w->file) {
        oct_text_add(out, "weights ");
        oct_text_add_quoted(out, w->file);
        if (w->xxh3) oct_text_addf(out, " xxh3=%s", w->xxh3);
        oct_text_add(out, "\n");
    }
}

/* The type; a constant's long vector of parameters as `file`, any as `#hash` where keys are hashes. */
static void add_type(struct oct_text *out, struct oct_arena *a, const struct oct_node *n, bool by_hash) {
    if (!long_quant(&n->type) || (n->op != OCT_OP_const && !by_hash)) {
        oct_type_print(out, &n->type);
        return;
    }
    struct oct_stored s[3];
    const int k = stored(a, n, by_hash, s), first = k - (n->type.q->zero ? 2 : 1);
    struct oct_type bare = n->type;
    bare.q = NULL;
    oct_type_print(out, &bare);
    oct_quant_print(out, &n->type, by_hash ? oct_sprintf(a, "#%s", s[first].key) : "file",
                    by_hash ? oct_sprintf(a, "#%s", s[k - 1].key) : "file");
}

static void add_const(struct oct_text *out, struct oct_arena *a, const struct oct_node *n, const struct oct_weights_ref *w) {
    const bool by_hash = w && w->by_hash;
    oct_text_addf(out, "const @%s : ", n->name);
    add_type(out, a, n, by_hash);
    if (is_random(n)) oct_text_add(out, " = random");
    else if (!oct_const_in_file(n)) {
        const int64_t elements = oct_type_elements(&n->type, 1);
        oct_text_add(out, " = (");
        for (int64_t i = 0; i < elements; i++) {
            if (i) oct_text_add(out, ", ");
            add_element(out, n->type.dtype, n->data, i);
        }
        oct_text_add(out, ")");
    } else if (by_hash) {
        char hex[17];
        oct_const_hash(n, hex);
        oct_text_addf(out, " = #%s", hex);
    }
    add_attrs(out, &n->at);
    oct_text_add(out, "\n");
}

static void add_ref(struct oct_text *out, const struct oct_node *n) {
    if (!n) oct_text_add(out, "_");
    else {
        if (n->op == OCT_OP_const) oct_text_add(out, "@");
        oct_text_add(out, n->name);
    }
}

static void add_node(struct oct_text *out, struct oct_arena *a, const struct oct_node *n, const struct oct_weights_ref *w) {
    if (n->op == OCT_OP_input) oct_text_add(out, "input ");
    oct_text_addf(out, "%s : ", n->name);
    add_type(out, a, n, w && w->by_hash);
    if (n->op != OCT_OP_input) {
        oct_text_addf(out, " = %s(", oct_op_info(n->op)->name);
        for (int i = 0; i < n->noperands; i++) {
            if (i) oct_text_add(out, ", ");
            add_ref(out, n->operand[i]);
        }
        oct_text_add(out, ")");
    }
    add_attrs(out, &n->at);
    oct_text_add(out, "\n");
}

void oct_print(struct oct_text *out, const struct oct_module *m, const struct oct_weights_ref *w) {
    struct oct_arena *a = oct_arena_new(m->cx);
    add_header(out, a, m, w);
    oct_text_add(out, "\n");
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_const) add_node(out, a, n, w);
        else if (const_has_line(n, w)) add_const(out, a, n, w);
    }
    oct_text_add(out, "\n");
    for (uint32_t i = 0; i < m->noutputs; i++) {
        const struct oct_output *o = &m->output[i];
        const bool same = o->node->op != OCT_OP_const && !strcmp(o->name, o->node->name);
        oct_text_addf(out, "output %s", o->name);
        if (!same) {
            oct_text_add(out, " = ");
            add_ref(out, o->node);
        }
        oct_text_add(out, "\n");
    }
    oct_arena_free(a);
}
