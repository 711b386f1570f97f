/* onnx.c - ONNX import: scan, unpack, then one walk over the graph in its own order. What the operators mean is in
 * onnx_ops.def and the files it names; here are names, values and reports. The file is hostile: see onnx_import.h. */
#include "onnx_import.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "onnx_scan.h"

enum { OPSET_FIRST = 6, OPSET_LAST = 22, MAX_ATTRIBUTES = 64, MAX_ENDS = 1024 };

/* ---- reports ---------------------------------------------------------------------------------------------------- */

const char *oct_onnx_quote(struct oct_onnx *im, const char *s) { return oct_import_quote(im->a, s); }

/* "node 'Conv_12' (Conv)"; nameless nodes go by their result. */
static const char *node_text(struct oct_onnx *im) {
    const OctOnnx__Node *n = im->node;
    const char *op = n->op_type ? oct_onnx_quote(im, n->op_type) : "''";
    const char *domain = n->domain && *n->domain && strcmp(n->domain, "ai.onnx")
                             ? oct_sprintf(im->a, " of %s", oct_onnx_quote(im, n->domain))
                             : "";
    bool named = n->name && *n->name;
    const char *name = named ? n->name : n->n_output ? n->output[0] : "";
    return oct_sprintf(im->a, "node %s%s (%.*s%s)", named ? "" : "of result ", oct_onnx_quote(im, name), (int)strlen(op) - 2,
                       op + 1, domain);
}

bool oct_onnx_unsupported(struct oct_onnx *im, const char *advice, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, im->a);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(im->cx, im->span, OCT_E3005, "%s: %s", node_text(im), t.s);
    if (advice) oct_help(im->cx, "%s", advice);
    im->failed = true;
    return false;
}

bool oct_onnx_invalid(struct oct_onnx *im, const char *fmt, ...) {
    struct oct_text t;
    oct_text_init(&t, im->a);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(im->cx, im->span, OCT_E3006, "%s: %s", node_text(im), t.s);
    im->failed = true;
    return false;
}

void oct_onnx_tell_type(struct oct_onnx *im, int32_t type, const char *became) {
    if (im->told >> type & 1) return;
    im->told |= (uint32_t)1 << type;
    oct_warning(im->cx, im->span, OCT_E3010, "%s values of the model become %s", oct_onnx_type_name(type), became);
}

bool oct_onnx_budget(struct oct_onnx *im, size_t bytes) {
    if (bytes <= im->fold_left) {
        im->fold_left -= bytes;
        return true;
    }
    if (!im->failed) oct_error(im->cx, im->span, OCT_E3002, "computing the model's constants would take too much memory");
    im->failed = true;
    return false;
}

/* ---- values by name ------------------------------------------------------------------------------------------------ */

/* The entry of a name, made when missing. The table was sized for all names of the graph. */
static struct oct_onnx_value *value_of(struct oct_onnx *im, const char *name, bool make) {
    size_t i = (size_t)XXH3_64bits(name, strlen(name)) & (im->nslots - 1);
    while (im->slot[i] && strcmp(im->slot[i]->name, name)) i = (i + 1) & (im->nslots - 1);
    if (!im->slot[i] && make) {
        im->slot[i] = OCT_NEW(im->a, struct oct_onnx_value);
        im->slot[i]->name = name;
    }
    return im->slot[i];
}

static void make_table(struct oct_onnx *im, const OctOnnx__Graph *g) {
    size_t names = g->n_input + g->n_initializer + g->n_output;
    for (size_t i = 0; i < g->n_node; i++) names += g->node[i]->n_output;
    im->nslots = 16;
    while (im->nslots < 2 * names) im->nslots *= 2;
    im->slot = OCT_NEW_N(im->a, struct oct_onnx_value *, im->nslots);
    /* Results of nodes are entered first, as undefined: a use before the definition is then told from a missing one. */
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (*g->node[i]->output[k]) value_of(im, g->node[i]->output[k], true);
}

/* ---- building -------------------------------------------------------------------------------------------------------- */

static struct oct_node *build(struct oct_onnx *im, const char *source, const char *suffix, enum oct_op op,
                              struct oct_node *const *operand, int n, const struct oct_attrs *given,
                              const struct oct_type *declared) {
    for (int i = 0; i < n; i++)
        if (!operand[i] && im->failed) return NULL; /* an operand that was refused */
    struct oct_node *node = oct_import_node(im->m, source, suffix, op, operand, n, given, declared, im->span);
    if (!node) {
        oct_note(im->cx, im->span, "in ONNX %s", node_text(im));
        im->failed = true;
    }
    return node;
}

bool oct_onnx_result(struct oct_onnx *im, int i, struct oct_node *node) {
    if (!node) return false;
    im->out[i]->state = ONNX_KNOWN;
    im->out[i]->node = node;
    return true;
}

bool oct_onnx_emit_to(struct oct_onnx *im, int i, enum oct_op op, struct oct_node *const *operand, int n,
                      const struct oct_attrs *at, const struct oct_type *declared) {
    return oct_onnx_result(im, i, build(im, im->out[i]->name, "", op, operand, n, at, declared));
}

bool oct_onnx_emit(struct oct_onnx *im, enum oct_op op, struct oct_node *const *operand, int n, const struct oct_attrs *at,
                   const struct oct_type *declared) {
    return oct_onnx_emit_to(im, 0, op, operand, n, at, declared);
}

struct oct_node *oct_onnx_step(struct oct_onnx *im, const char *suffix, enum oct_op op, struct oct_node *const *operand, int n,
                               const struct oct_attrs *at, const struct oct_type *declared) {
    int i = 0; /* the first result that is wanted: LSTM and the like may have its later ones alone */
    while (!im->out[i]) i++;
    return build(im, im->out[i]->name, suffix, op, operand, n, at, declared);
}

bool oct_onnx_alias(struct oct_onnx *im) {
    im->out[0]->state = ONNX_KNOWN;
    im->out[0]->c = im->in[0]->c;
    im->out[0]->node = im->in[0]->node;
    return true;
}

struct oct_node *oct_onnx_const_node(struct oct_onnx *im, const char *base, const struct oct_onnx_const *c,
                                     const struct oct_quant *q) {
    struct oct_type t = {.rank = c->rank, .q = q};
    memcpy(t.dim, c->dim, sizeof t.dim);
    struct oct_onnx_const truth;
    if (c->type == ONNX_BOOL && !c->has_n) { /* 0 and 1 in f32 */
        float *v = oct_onnx_new_const(im, &truth, ONNX_FLOAT, c->rank, c->dim);
        if (!v) return NULL;
        for (int64_t i = 0; i < c->n; i++) v[i] = ((const uint8_t *)c->data)[i] ? 1.0f : 0.0f;
        c = &truth;
    }
    if (!oct_onnx_dtype(c->type, &t.dtype) || c->has_n || c->n == 0) {
        oct_onnx_unsupported(im, NULL, "its operand %s is %s", oct_onnx_quote(im, base),
                             c->n == 0  ? "empty"
                             : c->has_n ? "the shape of a tensor, used as data"
                                        : "of a type that only shape arithmetic may have");
        return NULL;
    }
    const char *name = oct_fresh_const_name(im->m, oct_import_readable(base));
    struct oct_node *node = oct_build_const(im->m, name, &t, c->data, im->span);
    if (node) oct_import_from(im->a, &node->at, name, base);
    else im->failed = true;
    return node;
}

/* ---- one node ------------------------------------------------------------------------------------------------------------- */

static bool graph_error(struct oct_onnx *im, const char *what, const char *name) {
    oct_error(im->cx, im->span, OCT_E3003, "%s: %s %s", im->node ? node_text(im) : "graph", what, oct_onnx_quote(im, name));
    im->failed = true;
    return false;
}

/* Makes `n` the node at work. False: an operand does not exist, a result does already. */
static bool bind(struct oct_onnx *im, const OctOnnx__Node *n, bool define) {
    im->node = n;
    im->failed = false;
    im->nin = (int)n->n_input;
    im->nout = (int)n->n_output;
    im->in = OCT_NEW_N(im->a, struct oct_onnx_value *, n->n_input + 1);
    im->out = OCT_NEW_N(im->a, struct oct_onnx_value *, n->n_output + 1);
    for (int i = 0; i < im->nin; i++) {
        if (!*n->input[i]) continue;
        im->in[i] = value_of(im, n->input[i], false);
        if (!define) continue;
        if (!im->in[i]) graph_error(im, "nothing defines its input", n->input[i]);
        else if (im->in[i]->state == ONNX_UNDEFINED)
            graph_error(im, "the graph is cyclic or not sorted; defined only later is its input", n->input[i]);
    }
    for (int i = 0; i < im->nout; i++) {
        if (!*n->output[i]) continue;
        im->out[i] = value_of(im, n->output[i], true);
        if (!define) continue;
        if (im->out[i]->state != ONNX_UNDEFINED) graph_error(im, "a value is defined twice:", n->output[i]);
        im->out[i]->state = ONNX_LOST; /* until a handler says otherwise */
    }
    return !im->failed;
}

static bool one_of(const char *word, const char *list) {
    size_t len = strlen(word);
    if (len == 0 || strchr(word, ' ')) return false;
    for (const char *p = list; (p = strstr(p, word)); p += len)
        if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == 0)) return true;
    return false;
}

static bool check_form(struct oct_onnx *im, const struct oct_onnx_op *op) {
    const OctOnnx__Node *n = im->node;
    if (n->n_attribute > MAX_ATTRIBUTES) return oct_onnx_invalid(im, "it has %zu attributes", n->n_attribute);
    for (size_t i = 0; i < n->n_attribute; i++) {
        const char *name = n->attribute[i]->name ? n->attribute[i]->name : "";
        for (size_t k = 0; k < i; k++)
            if (n->attribute[k]->name && !strcmp(n->attribute[k]->name, name))
                oct_onnx_invalid(im, "attribute %s is given twice", oct_onnx_quote(im, name));
        if (!one_of(name, op->attrs) && !oct_onnx_had_attr(im, name))
            oct_onnx_unsupported(im, NULL, "attribute %s is not one that octavo knows", oct_onnx_quote(im, name));
    }
    if (im->failed || !oct_onnx_upgrade(im)) return false;
    if (im->nin < op->min_in || im->nin > op->max_in)
        oct_onnx_invalid(im, "%d inputs, but %d to %d are allowed", im->nin, op->min_in, op->max_in);
    for (int i = 0; i < op->min_in && i < im->nin; i++)
        if (!im->in[i]) oct_onnx_invalid(im, "input %d is left out", i);
    const bool each =
        op->to == OCT_OP_lstm || op->to == OCT_OP_gru || op->to == OCT_OP_dynamic_quantize; /* result may be left out */
    bool any = false;
    for (int i = 0; i < im->nout && (each || i == 0); i++) any |= im->out[i] != NULL;
    if (!any) return oct_onnx_invalid(im, "no result");
    for (int i = op->max_out; i < im->nout; i++)
        if (im->out[i])
            oct_onnx_unsupported(im, "export the model for inference", "result %d (%s) is not one that octavo computes", i,
                                 oct_onnx_quote(im, n->output[i]));
    return !im->failed;
}

static void unknown_op(struct oct_onnx *im, const OctOnnx__Model *model) {
    const char *type = im->node->op_type ? im->node->op_type : "", *domain = im->node->domain ? im->node->domain : "";
    bool standard = !*domain || !strcmp(domain, "ai.onnx");
    oct_error(im->cx, im->span, OCT_E3004, "%s: octavo does not know this operator", node_text(im));
    size_t n;
    const char *const *names = oct_onnx_op_names(&n);
    const char *near = standard ? oct_did_you_mean(type, names, n) : NULL;
    if (!standard && model->n_functions)
        oct_help(im->cx, "the file defines functions; inline them before the import (onnx.inliner)");
    else if (!standard)
        oct_help(im->cx, "export with the standard operators: only those of the domain ai.onnx and the quantized ones of "
                         "com.microsoft are read");
    else if (!strcmp(type, "If") || !strcmp(type, "Loop") || !strcmp(type, "Scan"))
        oct_help(im->cx, "control flow has to be resolved before the import (onnxsim, or a traced export)");
    else if (near) oct_help(im->cx, "did you mean %s?", near);
    else oct_help(im->cx, "replace it by operators that octavo reads, or cut the model before it");
}

static void import_node(struct oct_onnx *im, const OctOnnx__Model *model, const OctOnnx__Node *n) {
    if (!bind(im, n, true)) return;
    const struct oct_onnx_op *op = n->op_type ? oct_onnx_op_find(n->domain, n->op_type) : NULL;
    if (!op) {
        unknown_op(im, model);
        return;
    }
    im->op = op;
    if (!check_form(im, op)) return;
    for (int i = 0; i < im->nin; i++)
        if (im->in[i] && im->in[i]->state == ONNX_LOST) return;
    struct oct_onnx_const c = {.n = 0};
    if (op->fold && op->fold(im, &c) && !im->failed) {
        struct oct_onnx_const *copy = OCT_NEW(im->a, struct oct_onnx_const);
        *copy = c;
        im->out[0]->c = copy;
        im->out[0]->state = ONNX_KNOWN;
        return;
    }
    if (im->failed) return;
    if (!op->build) {
        oct_onnx_unsupported(im, "octavo computes it at import where its inputs are constants",
                             "its inputs are computed at run time");
        return;
    }
    op->build(im);
    if (!im->failed) return;
    for (int i = 0; i < im->nout; i++)
        if (im->out[i]) im->out[i]->state = ONNX_LOST;
}

/* ---- inputs and outputs of the graph ------------------------------------------------------------------------------------------
 */

static bool input_error(struct oct_onnx *im, enum oct_diag_id id, const char *name, const char *what, const char *advice) {
    oct_error(im->cx, im->span, id, "input %s: %s", oct_onnx_quote(im, name), what);
    if (advice) oct_help(im->cx, "%s", advice);
    return false;
}

static bool input_dims(struct oct_onnx *im, const char *name, const OctOnnx__Shape *s, struct oct_type *t) {
    if (s->n_dim > OCT_MAX_RANK) return input_error(im, OCT_E3009, name, "too many dimensions", NULL);
    t->rank = (int)s->n_dim;
    for (int i = 0; i < t->rank; i++) {
        const OctOnnx__Dim *d = s->dim[i];
        if (d->has_dim_value) {
            if (d->dim_value == 0)
                return input_error(im, OCT_E3009, name, oct_sprintf(im->a, "dimension %d is 0", i),
                                   "octavo has no empty tensors");
            if (d->dim_value < 0 || d->dim_value > OCT_MAX_ELEMENTS)
                return input_error(im, OCT_E3007, name, oct_sprintf(im->a, "dimension %d is %lld", i, (long long)d->dim_value),
                                   NULL);
            t->dim[i] = d->dim_value;
            continue;
        }
        const char *symbol = d->dim_param ? d->dim_param : "";
        if (i > 0)
            return input_error(
                im, OCT_E3009, name,
                oct_sprintf(im->a, "dimension %d (%s) is not fixed", i, *symbol ? oct_onnx_quote(im, symbol) : "nameless"),
                "only dimension 0, the batch, may be symbolic; export with fixed sizes");
        if (*symbol && im->batch && strcmp(im->batch, symbol))
            return input_error(im, OCT_E3009, name,
                               oct_sprintf(im->a, "dimension 0 is %s, that of another input %s", oct_onnx_quote(im, symbol),
                                           oct_onnx_quote(im, im->batch)),
                               "there is one symbolic dimension, the batch");
        if (*symbol) im->batch = symbol;
        t->dim[i] = OCT_DIM_N;
    }
    return oct_type_elements(t, 1) > 0 || input_error(im, OCT_E3007, name, "its dimensions multiply to too many elements", NULL);
}

/* Integer inputs get their parameters from the operator on codes that reads them, or what only moves their elements. */
static const struct oct_quant *input_quant(struct oct_onnx *im, const OctOnnx__Graph *g, const char *name,
                                           const struct oct_type *t) {
    bool moved = false;
    for (size_t i = 0; i < g->n_node; i++) {
        const OctOnnx__Node *n = g->node[i];
        if (!n->op_type || !n->n_input || !n->n_output) continue;
        const struct oct_onnx_op *op = oct_onnx_op_find(n->domain, n->op_type);
        if (op && op->build == oct_onnx_build_qlinear) {
            bind(im, n, false);
            im->op = op;
            bool reads;
            const struct oct_quant *q = oct_onnx_qlinear_input(im, name, t, &reads);
            if (reads) return q && moved && q->axis >= 0 ? NULL : q;
        }
        if (op && op->build == oct_onnx_build_integer) /* numbers, less a zero point that is an input too */
            for (size_t k = 0; k < n->n_input; k++)
                if (!strcmp(n->input[k], name)) return oct_quant_tensor(im->a, 1, 0);
        if (strcmp(n->input[0], name)) continue;
        if (op && oct_op_info(op->to)->flags & OCT_MOVES) {
            name = n->output[0];
            moved = true;
            continue;
        }
        if (!op || op->to != OCT_OP_dequantize) continue;
        bind(im, n, false);
        const struct oct_quant *q = oct_onnx_has(im, 1) ? oct_onnx_quant(im, t) : NULL;
        return q && moved && q->axis >= 0 ? NULL : q;
    }
    return NULL;
}

/* Numbers of rows that Gather takes stand for nothing but themselves. */
static bool counts_rows(const OctOnnx__Graph *g, const char *name) {
    for (size_t i = 0; i < g->n_node; i++) {
        const OctOnnx__Node *n = g->node[i];
        if (n->op_type && !strcmp(n->op_type, "Gather") && n->n_input == 2 && !strcmp(n->input[1], name)) return true;
    }
    return false;
}

static bool import_input(struct oct_onnx *im, const OctOnnx__Graph *g, const OctOnnx__Value *v) {
    const char *name = v->name ? v->name : "";
    if (!*name) return input_error(im, OCT_E3003, name, "has no name", NULL);
    struct oct_onnx_value *value = value_of(im, name, true);
    if (value->state == ONNX_KNOWN && value->c) return true; /* an initializer that may be overridden: it is not */
    if (value->state != ONNX_UNDEFINED) return input_error(im, OCT_E3003, name, "is declared twice", NULL);
    value->state = ONNX_LOST;
    if (!v->type || !v->type->tensor_type)
        return input_error(im, OCT_E3009, name, "is no tensor", "octavo reads tensors only, no sequences or maps");
    const OctOnnx__TensorType *tt = v->type->tensor_type;
    int32_t type = tt->elem_type;
    struct oct_type t = {.rank = 0};
    if (type == ONNX_FLOAT16 || type == ONNX_DOUBLE || type == ONNX_BFLOAT16 || type == ONNX_BOOL) {
        oct_onnx_tell_type(im, type, "f32");
        type = ONNX_FLOAT;
    }
    const bool rows = (type == ONNX_INT64 || type == ONNX_INT32) && counts_rows(g, name);
    if (rows) t.dtype = type == ONNX_INT64 ? OCT_I64 : OCT_I32;
    else if (!oct_onnx_dtype(type, &t.dtype))
        return input_error(im, OCT_E3009, name, oct_sprintf(im->a, "its elements are of type %s", oct_onnx_type_name(type)),
                           "octavo reads float, bool, int8, uint8, int16, uint16, int32");
    if (!tt->shape)
        return input_error(im, OCT_E3009, name, "has no shape", "export with a shape; only dimension 0 may be symbolic");
    if (!input_dims(im, name, tt->shape, &t)) return false;
    if (t.dtype != OCT_F32 && !rows) {
        t.q = input_quant(im, g, name, &t);
        im->node = NULL;
        if (!t.q)
            return im->failed ? false
                              : input_error(im, OCT_E3009, name, "is an integer tensor without a scale",
                                            "integer inputs have to go to DequantizeLinear; export the model with float inputs");
    }
    const char *id = oct_fresh_value_name(im->m, name);
    value->node = oct_build_input(im->m, id, &t, im->span);
    if (!value->node) return false;
    oct_import_from(im->a, &value->node->at, id, name);
    value->state = ONNX_KNOWN;
    return true;
}

/* A result that has a name of its own keeps it; one that stands for another value (Identity) gets the output's. */
static const char *output_name(struct oct_onnx *im, const struct oct_onnx_value *value, const char *name) {
    const char *source = OCT_HAS(value->node->at, from) ? value->node->at.from : value->node->name;
    return strcmp(source, name) ? oct_fresh_value_name(im->m, oct_import_readable(name)) : value->node->name;
}

static void import_output(struct oct_onnx *im, const OctOnnx__Value *v) {
    const char *name = v->name ? v->name : "";
    const struct oct_onnx_value *value = *name ? value_of(im, name, false) : NULL;
    if (!value || value->state == ONNX_UNDEFINED) {
        graph_error(im, "nothing defines the output", name);
    } else if (value->state == ONNX_KNOWN && !value->node) {
        oct_error(im->cx, im->span, OCT_E3009, "output %s is a constant", oct_onnx_quote(im, name));
        oct_help(im->cx, "remove this output from the model");
    } else if (value->state == ONNX_KNOWN) {
        const char *id = strcmp(value->node->name, oct_import_readable(name)) ? output_name(im, value, name) : value->node->name;
        for (uint32_t i = 0; i < im->m->noutputs; i++)
            if (!strcmp(im->m->output[i].name, id)) graph_error(im, "an output is named twice:", name);
        oct_add_output(im->m, id, value->node, im->span);
    }
}

/* ---- the file
 * -------------------------------------------------------------------------------------------------------------------- */

/* protobuf-c allocates from the module's arena, so that weights stay where they were unpacked; at most what the scan foresaw. */
struct capped {
    struct oct_arena *a;
    size_t left;
};
static void *capped_alloc(void *data, size_t size) {
    struct capped *c = data;
    if (size > c->left) return NULL;
    c->left -= size;
    return oct_alloc(c->a, size);
}
static void capped_free(void *data, void *p) { (void)data, (void)p; }

static OctOnnx__Model *unpack(struct oct_onnx *im, struct oct_bytes file) {
    size_t memory;
    if (!oct_onnx_scan(im->cx, im->span, file, &memory)) return NULL;
    struct capped c = {im->a, memory};
    ProtobufCAllocator allocator = {capped_alloc, capped_free, &c};
    OctOnnx__Model *model = oct_onnx__model__unpack(&allocator, file.len, file.data);
    if (!model) {
        oct_error(im->cx, im->span, OCT_E3001, "malformed ONNX file: its messages do not unpack");
        oct_help(im->cx, "the file is damaged or is no ONNX model; export or copy it again");
    }
    return model;
}

static bool check_versions(struct oct_onnx *im, const OctOnnx__Model *model) {
    int found = 0;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const OctOnnx__Opset *o = model->opset_import[i];
        if (o->domain && *o->domain && strcmp(o->domain, "ai.onnx")) continue; /* reported where a node uses it */
        if (found++ && im->opset != o->version) {
            oct_error(im->cx, im->span, OCT_E3003, "the model imports two versions of the standard operators");
            return false;
        }
        im->opset = o->version;
    }
    if (!model->graph || !found) {
        oct_error(im->cx, im->span, OCT_E3003, "%s",
                  model->graph ? "the model names no operator set" : "the file holds no ONNX graph");
        return false;
    }
    if (im->opset < OPSET_FIRST || im->opset > OPSET_LAST) {
        oct_error(im->cx, im->span, OCT_E3009, "the model uses opset %lld; octavo reads %d to %d", (long long)im->opset,
                  OPSET_FIRST, OPSET_LAST);
        oct_help(im->cx, "export with opset_version=17, or convert with onnx.version_converter");
        return false;
    }
    if (model->graph->n_node > OCT_ONNX_NODES) {
        oct_error(im->cx, im->span, OCT_E3002, "the graph has %zu nodes; octavo reads at most %d", model->graph->n_node,
                  OCT_ONNX_NODES);
        return false;
    }
    if (model->graph->n_input > MAX_ENDS + model->graph->n_initializer || model->graph->n_output > MAX_ENDS) {
        oct_error(im->cx, im->span, OCT_E3002, "the graph has more than %d inputs or outputs", MAX_ENDS);
        return false;
    }
    return true;
}

static void import_graph(struct oct_onnx *im, const OctOnnx__Model *model) {
    const OctOnnx__Graph *g = model->graph;
    make_table(im, g);
    for (size_t i = 0; i < g->n_initializer; i++) {
        const OctOnnx__Tensor *t = g->initializer[i];
        const char *name = t->name ? t->name : "";
        struct oct_onnx_value *v = *name ? value_of(im, name, true) : NULL;
        if (!v || v->state != ONNX_UNDEFINED) {
            graph_error(im, v ? "two initializers have the name" : "an initializer has no name", name);
            continue;
        }
        v->c = oct_onnx_read_tensor(im, t, oct_sprintf(im->a, "initializer %s", oct_onnx_quote(im, name)));
        v->state = v->c ? ONNX_KNOWN : ONNX_LOST;
    }
    if (g->n_sparse_initializer) {
        oct_error(im->cx, im->span, OCT_E3009, "the model holds %zu sparse initializers", g->n_sparse_initializer);
        oct_help(im->cx, "export with dense weights");
    }
    for (size_t i = 0; i < g->n_input; i++) import_input(im, g, g->input[i]);
    for (size_t i = 0; i < g->n_node; i++) import_node(im, model, g->node[i]);
    im->node = NULL;
    if (!g->n_output) oct_error(im->cx, im->span, OCT_E3003, "the graph has no outputs");
    for (size_t i = 0; i < g->n_output; i++) import_output(im, g->output[i]);
}

struct oct_module *oct_import_onnx(struct oct_ctx *cx, const char *path, struct oct_bytes file) {
    unsigned before = oct_error_count(cx);
    struct oct_module *m = oct_module_new(cx, oct_import_model_name(oct_own(cx), path));
    struct oct_onnx *im = OCT_NEW(m->arena, struct oct_onnx);
    *im = (struct oct_onnx){.cx = cx, .m = m, .a = m->arena, .path = path};
    im->span.source = oct_source_add(cx, path ? path : "<onnx>", NULL, file.len);
    im->fold_left = ((size_t)16 << 20) + 4 * file.len;
    OctOnnx__Model *model = unpack(im, file);
    if (model && check_versions(im, model)) {
        if (model->doc_string && *model->doc_string) m->doc = model->doc_string;
        import_graph(im, model);
    }
    if (oct_error_count(cx) == before) {
        oct_import_drop_unused(m);
        oct_module_settle(m);
        if (oct_verify(m)) return m;
    }
    oct_module_free(m);
    return NULL;
}
