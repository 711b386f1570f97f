/* language.c - the parse of a model text, and the meaning of its statements. Requires parser.y (which calls this),
 * language_args.c, language_const.c and oct_build, which infers and checks types. */
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "language.h"
#include "parser.h"

int oct_yylex_init_extra(struct oct_lang *l, void **scanner);
struct yy_buffer_state *oct_yy_scan_bytes(const char *text, int len, void *scanner);

/* ---- faults ----------------------------------------------------------------------------------------------------------- */

/* What does not start as every model text does gets that one message, whatever it stumbled over. */
static void no_model(struct oct_lang *l) {
    const char *end = memchr(l->text, '\n', l->len);
    const uint32_t n = end ? (uint32_t)(end - l->text) : l->len;
    const struct oct_span at = l->first.kind ? l->first.at : (struct oct_span){l->source, 0, n < 1 ? n : 1};
    oct_error(l->cx, at, OCT_E1007, "this does not start as a model text does");
    oct_help(l->cx, "write 'octavo %d' in its first line", OCT_LANGUAGE_VERSION);
    l->bad = l->stop = l->have_version = true;
}

bool oct_lang_error(struct oct_lang *l, struct oct_span at, enum oct_diag_id id, const char *fmt, ...) {
    if (!l->have_version) no_model(l);
    l->bad = true;
    if (l->stop || oct_error_count(l->cx) >= OCT_ERRORS_MAX) return false;
    struct oct_text t;
    oct_text_init(&t, l->parse);
    va_list ap;
    va_start(ap, fmt);
    oct_text_vaddf(&t, fmt, ap);
    va_end(ap);
    oct_error(l->cx, at, id, "%s", t.s);
    return true;
}

void oct_lang_suggest(struct oct_lang *l, const char *word, const char *const *candidates, size_t n, const char *otherwise) {
    const char *near = oct_did_you_mean(word, candidates, n);
    if (near) oct_help(l->cx, "did you mean '%s'?", near);
    else if (otherwise) oct_help(l->cx, "%s", otherwise);
}

static const char *const statements[] = {"octavo", "model", "option", "rule", "weights", "input", "const", "output"};
enum { NSTATEMENTS = sizeof statements / sizeof *statements };

/* Advice for a statement that went wrong at a token, from how it began. */
static void advise(struct oct_lang *l, struct oct_span at, bool name_expected) {
    const char found = at.start < l->len ? l->text[at.start] : '\n';
    const bool keyword = l->first.kind == OCT_ITEM_NAME && oct_did_you_mean(l->first.u.text, statements, NSTATEMENTS) &&
                         l->second.kind != OCT_ITEM_NONE;
    if (l->tokens <= 1)
        oct_help(l->cx,
                 "a statement is 'name = op(operands) attributes', or starts with input, const, output, model, option, rule "
                 "or weights");
    else if (l->tokens == 2 && keyword) oct_lang_suggest(l, l->first.u.text, statements, NSTATEMENTS, NULL);
    else if (l->tokens == 2 && found == '(') oct_help(l->cx, "a call needs a name for its result: y = %s(...)", l->first.u.text);
    else if (found == '@' && name_expected) oct_help(l->cx, "@ is for constants; values are written without it");
    else if (found == '"' && name_expected) oct_help(l->cx, "names stand without quotes");
    else if (found == '=' && l->depth && l->text[l->open[l->depth - 1].start] == '[')
        oct_help(l->cx, "close the dimensions with ']'");
    else if (found == '=' && l->depth) oct_help(l->cx, "attributes stand behind the call: y = op(x) name=value");
    else if (found == ',' && !l->depth) oct_help(l->cx, "attributes are separated by spaces");
}

void oct_lang_syntax_error(struct oct_lang *l, struct oct_span at, const char *expected, bool name_expected) {
    if (l->bad) return;
    const char *found =
        at.start >= l->len || l->text[at.start] == '\n' || l->text[at.start] == '\r'
            ? "the line ends"
            : oct_sprintf(l->scratch, "found '%.*s'", (int)(at.end - at.start > 40 ? 40 : at.end - at.start), l->text + at.start);
    const bool reported = *expected ? oct_lang_error(l, at, OCT_E1001, "expected %s, but %s", expected, found)
                                    : oct_lang_error(l, at, OCT_E1001, "%s where no statement goes on like that", found);
    if (reported) advise(l, at, name_expected);
}

void oct_lang_silence(struct oct_lang *l, bool is_const, const char *name) {
    if (!oct_names_find(l->m->names, name, is_const)) oct_names_put(l->m->names, name, is_const, &l->silent);
}

void oct_lang_define(struct oct_lang *l, bool is_const, const char *name) {
    if (oct_names_find(l->m->names, name, is_const) == &l->silent) oct_names_drop(l->m->names, name, is_const);
}

bool oct_lang_end_statement(struct oct_lang *l) {
    if (!l->have_version) no_model(l);
    if (l->bad) {
        const struct oct_item *named[] = {&l->first, &l->second};
        for (int i = 0; i < 2; i++)
            if (named[i]->kind) oct_lang_silence(l, named[i]->kind == OCT_ITEM_CONST, named[i]->u.text);
    }
    l->bad = false;
    l->first = l->second = (struct oct_item){.kind = OCT_ITEM_NONE};
    l->tokens = 0;
    oct_arena_reset(l->scratch);
    return !l->stop && oct_error_count(l->cx) < OCT_ERRORS_MAX;
}

/* ---- statements that are not tensors -------------------------------------------------------------------------------------- */

void oct_lang_version(struct oct_lang *l, const struct oct_item *version) {
    if (l->bad) return;
    if (l->have_version) {
        oct_lang_error(l, version->at, OCT_E1007, "the version is said already, in the first line");
        return;
    }
    l->have_version = true;
    if (version->kind == OCT_ITEM_INT && version->u.i == OCT_LANGUAGE_VERSION) return;
    if (oct_lang_error(l, version->at, OCT_E1007, "language version %lld is not known to this octavo", (long long)version->u.i))
        oct_help(l->cx, "it reads version %d; a newer octavo may have written this", OCT_LANGUAGE_VERSION);
    l->stop = true;
}

void oct_lang_model(struct oct_lang *l, const struct oct_item *name, const struct oct_item *doc, const struct oct_args *args) {
    if (l->bad) return;
    if (l->have_model) {
        oct_lang_error(l, name->at, OCT_E1008, "a second model statement; a text holds one model");
        return;
    }
    l->have_model = true;
    l->m->name = oct_strdup(l->m->arena, name->u.text);
    if (doc->kind == OCT_ITEM_STRING) l->m->doc = oct_strdup(l->m->arena, doc->u.text);
    for (uint32_t i = 0; i < args->n; i++) {
        const struct oct_arg *a = &args->arg[i];
        if (strcmp(a->name.u.text, "after") != 0 || a->value.kind != OCT_ITEM_NAME) {
            if (oct_lang_error(l, a->name.at, OCT_E1014, "a model statement does not take '%s' like this", a->name.u.text))
                oct_help(l->cx, "it is: model NAME \"what it is\" after=PASS; both may be left out");
        } else if (l->m->after) oct_lang_error(l, a->name.at, OCT_E1015, "'after' is given twice");
        else l->m->after = oct_strdup(l->m->arena, a->value.u.text);
    }
}

/* The row that a `name=value` names, -1 after a report. */
static int row_named(struct oct_lang *l, const struct oct_arg *a, const struct oct_choice_info *(*row)(int), int nrows,
                     const char *what) {
    const char **names = OCT_NEW_N(l->scratch, const char *, nrows);
    for (int i = 0; i < nrows; i++) {
        names[i] = row(i)->name;
        if (!strcmp(names[i], a->name.u.text)) return i;
    }
    struct oct_text all;
    oct_text_init(&all, l->scratch);
    oct_text_addf(&all, "there are:");
    for (int i = 0; i < nrows; i++) oct_text_addf(&all, " %s", names[i]);
    if (oct_lang_error(l, a->name.at, OCT_E1016, "there is no %s '%s'", what, a->name.u.text))
        oct_lang_suggest(l, a->name.u.text, names, (size_t)nrows, all.s);
    return -1;
}

/* The value of a `name=value` is none that the row takes. */
static void misfit(struct oct_lang *l, const struct oct_arg *a, const char *what, const char *takes, const char *example) {
    if (oct_lang_error(l, a->value.kind ? a->value.at : a->name.at, OCT_E1017, "%s '%s' is %s", what, a->name.u.text, takes))
        oct_help(l->cx, "write %s=%s", a->name.u.text, example);
}

static const struct oct_choice_info *option_row(int i) { return oct_option_info((enum oct_option_id)i); }
static const struct oct_choice_info *rule_row(int i) { return oct_qrule_info((enum oct_qrule_id)i); }

void oct_lang_option(struct oct_lang *l, const struct oct_args *args) {
    for (uint32_t i = 0; i < args->n && !l->bad; i++) {
        const struct oct_arg *a = &args->arg[i];
        const int id = row_named(l, a, option_row, OCT_OPTION_COUNT, "option");
        if (id < 0) return;
        const struct oct_choice_info *info = option_row(id);
        const int index = a->value.kind == OCT_ITEM_NAME ? oct_word_index(info->words, a->value.u.text) : -1;
        if (index < 0) {
            misfit(l, a, "option", oct_sprintf(l->scratch, "one of: %s", info->words),
                   oct_word_at(l->scratch, info->words, info->def));
            return;
        }
        if (l->m->option_set >> id & 1) {
            oct_lang_error(l, args->arg[i].name.at, OCT_E1015, "option '%s' is given twice", args->arg[i].name.u.text);
            return;
        }
        l->m->option[id] = (uint8_t)index;
        l->m->option_set |= 1u << id;
    }
}

static void unknown_op(struct oct_lang *l, const struct oct_item *name) {
    const char *ops[OCT_OP_COUNT];
    size_t n = 0;
    for (int i = 0; i < OCT_OP_COUNT; i++)
        if (i != OCT_OP_input && i != OCT_OP_const) ops[n++] = oct_op_info((enum oct_op)i)->name;
    if (oct_lang_error(l, name->at, OCT_E1010, "there is no op '%s'", name->u.text))
        oct_lang_suggest(l, name->u.text, ops, n, "'octavo ops' lists all");
}

static bool find_op(struct oct_lang *l, const struct oct_item *name, enum oct_op *op) {
    if (oct_op_parse(name->u.text, op) && *op != OCT_OP_input && *op != OCT_OP_const) return true;
    unknown_op(l, name);
    return false;
}

void oct_lang_rule(struct oct_lang *l, const struct oct_args *args) {
    if (l->bad) return;
    const struct oct_arg *who = &args->arg[0];
    struct oct_rule r = {.span = who->name.at};
    if (!strcmp(who->name.u.text, "any") && !who->value.kind) r.kind = OCT_RULE_ANY;
    else if (!strcmp(who->name.u.text, "op") && who->value.kind == OCT_ITEM_NAME) {
        r.kind = OCT_RULE_OP;
        if (!find_op(l, &who->value, &r.op)) return;
    } else if (!strcmp(who->name.u.text, "name") && who->value.kind == OCT_ITEM_STRING) {
        r.kind = OCT_RULE_NAME;
        r.pattern = oct_strdup(l->m->arena, who->value.u.text);
    } else {
        if (oct_lang_error(l, who->name.at, OCT_E1018, "a rule says first what it is about"))
            oct_help(l->cx, "write: rule any ..., rule op=conv2d ..., or rule name=\"c*\" ...");
        return;
    }
    for (uint32_t i = 1; i < args->n; i++) {
        const struct oct_arg *a = &args->arg[i];
        const int id = row_named(l, a, rule_row, OCT_QRULE_COUNT, "rule field");
        if (id < 0) return;
        if (r.set >> id & 1) {
            oct_lang_error(l, args->arg[i].name.at, OCT_E1015, "rule field '%s' is given twice", args->arg[i].name.u.text);
            return;
        }
        const bool word = a->value.kind == OCT_ITEM_NAME;
        float number = NAN;
        if (!word) oct_lang_float(&a->value, &number);
        if (!oct_qrule_set(l->m->arena, &r.q, (enum oct_qrule_id)id, word ? a->value.u.text : NULL, number)) {
            struct oct_qconfig q;
            oct_qconfig_default(&q);
            misfit(l, a, "rule field", oct_qrule_takes(l->scratch, (enum oct_qrule_id)id),
                   oct_qrule_text(l->scratch, &q, (enum oct_qrule_id)id));
            return;
        }
        r.set |= 1u << id;
    }
    const uint32_t n = l->m->nrules;
    if (n == OCT_RULES_MAX) {
        oct_lang_error(l, who->name.at, OCT_E1013, "more than %d rules", OCT_RULES_MAX);
        return;
    }
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        struct oct_rule *more = OCT_NEW_N(l->m->arena, struct oct_rule, n ? 2 * (size_t)n : 1);
        if (n) memcpy(more, l->m->rule, n * sizeof *more);
        l->m->rule = more;
    }
    l->m->rule[l->m->nrules++] = r;
}

void oct_lang_weights(struct oct_lang *l, const struct oct_item *file, const struct oct_item *xxh3) {
    const bool again = l->have_weights;
    l->have_weights = l->weights_bad = true; /* until it is read: constants of a file that failed are no faults of their own */
    if (l->bad || file->kind == OCT_ITEM_BAD) return;
    if (again) {
        oct_lang_error(l, file->at, OCT_E1008, "a second weights statement; a text names one file");
        return;
    }
    if (!l->path) {
        if (oct_lang_error(l, file->at, OCT_E1009, "a model that is not a file cannot name a weights file"))
            oct_help(l->cx, "files are found beneath the folder of the model; save the text there");
        return;
    }
    struct oct_bytes bytes;
    const unsigned errors = oct_error_count(l->cx);
    if (!oct_read_beneath(l->cx, l->path, file->u.text, file->at, &bytes)) {
        l->bad = true;
        return;
    }
    if (xxh3->kind) {
        const char *is = oct_sprintf(l->scratch, "%016llx", (unsigned long long)XXH3_64bits(bytes.data, bytes.len));
        if (strcmp(is, xxh3->u.text) != 0) {
            if (oct_lang_error(l, xxh3->at, OCT_E1009, "the weights file has changed: its hash is %s", is))
                oct_help(l->cx, "use the file that belongs to this model; if the change is meant, write the new hash");
            return;
        }
    }
    if (oct_safetensors_read(l->cx, l->m->arena, bytes, file->u.text, &l->weights)) l->weights_bad = false;
    else l->bad = true;
    OCT_CHECK(l->cx, l->weights_bad == (oct_error_count(l->cx) > errors));
}

/* ---- values -------------------------------------------------------------------------------------------------------------------
 */

/* Up to this many names are searched for one that was meant. */
enum { SEARCH_MAX = 10000 };

static void unknown_value(struct oct_lang *l, const struct oct_item *name) {
    const char **names = OCT_NEW_N(l->scratch, const char *, SEARCH_MAX);
    size_t n = 0;
    for (struct oct_node *v = l->m->last; v && n < SEARCH_MAX; v = v->prev)
        if (v->op != OCT_OP_const) names[n++] = v->name;
    if (!oct_lang_error(l, name->at, OCT_E1011, "there is no value '%s' up to here", name->u.text)) return;
    const struct oct_node *c = oct_find_const(l->m, name->u.text);
    if ((c && c != &l->silent) || oct_safetensors_find(&l->weights, name->u.text))
        oct_help(l->cx, "the constant of this name is written @%s", name->u.text);
    else oct_lang_suggest(l, name->u.text, names, n, "a value is defined above its uses");
}

struct oct_node *oct_lang_use_value(struct oct_lang *l, const struct oct_item *name) {
    struct oct_node *n = oct_find_value(l->m, name->u.text);
    if (n) return n;
    if (!l->bad) unknown_value(l, name);
    oct_lang_silence(l, false, name->u.text);
    return &l->silent;
}

void oct_lang_operand(struct oct_lang *l, struct oct_call *c, struct oct_node *n) {
    if (c->n == OCT_OPERANDS_MAX) {
        if (!l->bad) oct_lang_error(l, c->op.at, OCT_E1013, "more than %d operands", OCT_OPERANDS_MAX);
        return;
    }
    if (c->n == c->cap) {
        struct oct_node **more = OCT_NEW_N(l->scratch, struct oct_node *, c->cap ? 2 * c->cap : 4);
        if (c->n) memcpy(more, c->operand, c->n * sizeof *more);
        c->operand = more;
        c->cap = c->cap ? 2 * c->cap : 4;
    }
    if (n == &l->silent) c->bad = true;
    c->operand[c->n++] = n;
}

/* Builds a call whose parts are sound; NULL, and the statement marked bad, otherwise. */
static struct oct_node *build(struct oct_lang *l, struct oct_call *c, enum oct_op op, const char *name,
                              const struct oct_attrs *at, const struct oct_type *declared) {
    if (c->bad) l->bad = true;
    if (l->bad) return NULL;
    struct oct_node *n =
        oct_build(l->m, op, name ? oct_strdup(l->m->arena, name) : NULL, c->operand, (int)c->n, at, declared, c->at);
    if (!n) l->bad = true;
    return n;
}

/* Attributes that every op takes. */
static const uint64_t always = (uint64_t)1 << OCT_A_from | (uint64_t)1 << OCT_A_doc | (uint64_t)1 << OCT_A_why;

/* The op and the attributes of a call; false when one of them is wrong. */
static bool read_call(struct oct_lang *l, const struct oct_call *c, const struct oct_args *args, enum oct_op *op,
                      struct oct_attrs *at) {
    if (l->bad || !find_op(l, &c->op, op)) return false;
    oct_attrs_init(at);
    for (uint32_t i = 0; i < args->n; i++) oct_lang_attr(l, at, oct_op_info(*op)->attrs | always, c->op.u.text, &args->arg[i]);
    return !l->bad;
}

struct oct_node *oct_lang_nested(struct oct_lang *l, struct oct_call *c, const struct oct_args *args) {
    enum oct_op op;
    struct oct_attrs at;
    if (!read_call(l, c, args, &op, &at)) return &l->silent;
    struct oct_node *n = build(l, c, op, NULL, &at, NULL);
    return n ? n : &l->silent;
}

void oct_lang_value(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type, struct oct_call *call,
                    const struct oct_args *args) {
    enum oct_op op;
    struct oct_attrs at;
    if (!read_call(l, call, args, &op, &at)) return;
    struct oct_type declared;
    if (type->given) {
        for (uint32_t i = 0; i < type->quals.n; i++)
            if (!oct_lang_is_qual(&type->quals.arg[i]) &&
                oct_lang_error(l, type->quals.arg[i].name.at, OCT_E1014, "'%s' stands between type and '='",
                               type->quals.arg[i].name.u.text))
                oct_help(l->cx, "only scale and zero belong there; attributes follow the call");
        if (!oct_lang_type(l, type, true, &declared) || !oct_lang_quant(l, &type->quals, NULL, &declared)) return;
    }
    build(l, call, op, name->u.text, &at, type->given ? &declared : NULL);
}

void oct_lang_input(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type) {
    if (l->bad) return;
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (uint32_t i = 0; i < type->quals.n; i++)
        if (!oct_lang_is_qual(&type->quals.arg[i])) oct_lang_attr(l, &at, always, "an input", &type->quals.arg[i]);
    struct oct_type t;
    if (!oct_lang_type(l, type, true, &t) || !oct_lang_quant(l, &type->quals, NULL, &t) || l->bad) return;
    if (t.rank == OCT_ANY_RANK) {
        if (oct_lang_error(l, type->dtype.at, OCT_E1019, "input '%s' has no dimensions", name->u.text))
            oct_help(l->cx, "write them all, N being the batch: input %s : f32[N,3,32,32]", name->u.text);
        return;
    }
    oct_lang_define(l, false, name->u.text);
    struct oct_node *n = oct_build_input(l->m, oct_strdup(l->m->arena, name->u.text), &t, name->at);
    if (n) n->at = at;
    else l->bad = true;
}

void oct_lang_output(struct oct_lang *l, const struct oct_item *name, struct oct_node *n) {
    if (l->bad) return;
    if (n == &l->silent) {
        l->bad = true;
        return;
    }
    if (l->m->noutputs == OCT_OUTPUTS_MAX) {
        oct_lang_error(l, name->at, OCT_E1013, "more than %d outputs", OCT_OUTPUTS_MAX);
        return;
    }
    for (uint32_t i = 0; i < l->m->noutputs; i++)
        if (!strcmp(l->m->output[i].name, name->u.text)) {
            if (oct_lang_error(l, name->at, OCT_E2305, "a second output '%s'", name->u.text))
                oct_note(l->cx, l->m->output[i].span, "the first is here");
            return;
        }
    oct_add_output(l->m, oct_strdup(l->m->arena, name->u.text), n, name->at);
}

/* ---- the parse
 * ------------------------------------------------------------------------------------------------------------------ */

struct oct_module *oct_parse(struct oct_ctx *cx, const char *path, const char *text, size_t len) {
    const unsigned errors = oct_error_count(cx);
    const char *shown = path ? path : "<text>";
    if (len > OCT_TEXT_MAX) {
        const uint32_t source = oct_source_add(cx, shown, NULL, 0);
        oct_error(cx, (struct oct_span){source, 0, 0}, OCT_E1007, "a model text of %zu bytes; at most %d are read", len,
                  OCT_TEXT_MAX);
        return NULL;
    }
    struct oct_arena *parse = oct_arena_new(cx);
    struct oct_lang *l = OCT_NEW(parse, struct oct_lang);
    *l = (struct oct_lang){
        .cx = cx, .path = path, .text = text, .len = (uint32_t)len, .parse = parse, .scratch = oct_arena_new(cx)};
    l->source = oct_source_add(cx, shown, text, len);
    l->m = oct_module_new(cx, "model");
    const uint32_t mark = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* the byte order mark of some editors */
    l->offset = mark;
    oct_yylex_init_extra(l, &l->scanner);
    oct_yy_scan_bytes(text + mark, (int)(l->len - mark), l->scanner);
    oct_yyparse(l);
    struct oct_module *m = l->m;
    if (!l->have_version && oct_error_count(cx) == errors) no_model(l);
    if (oct_error_count(cx) >= OCT_ERRORS_MAX) oct_help(cx, "there may be more faults; reading stopped at %d", OCT_ERRORS_MAX);
    oct_arena_free(l->scratch);
    oct_arena_free(parse);
    if (oct_error_count(cx) == errors && oct_verify(m)) return m;
    oct_module_free(m);
    return NULL;
}
