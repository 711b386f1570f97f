/* language.h - what lexer.l, parser.y and language*.c share; nobody else includes it.
 *
 * The lexer makes items (tokens with their text), the parser gathers them into lists, arguments and calls and hands whole
 * statements to language*.c, which build the module. A statement with a fault is reported once, builds nothing, and its name
 * becomes "silent": uses of it cause no errors of their own. */
#ifndef OCT_LANGUAGE_H
#define OCT_LANGUAGE_H

#include "../ir/names.h"
#include "frontend.h"

enum {
    OCT_TEXT_MAX = 64 << 20,   /* bytes of one model text */
    OCT_STRING_MAX = 64 << 10, /* bytes of a string, written */
    OCT_DEPTH_MAX = 64,        /* calls and lists within each other */
    OCT_LIST_MAX = 1 << 16,    /* elements of a list */
    OCT_ARGS_MAX = 64,         /* attributes of one statement */
    OCT_OPERANDS_MAX = 4096,
    OCT_OUTPUTS_MAX = 1024,
    OCT_RULES_MAX = 1024,
    OCT_ERRORS_MAX = 20,       /* then the parser stops */
    OCT_RANDOM_MAX = 32 << 20, /* bytes of all random constants of a model */
    OCT_LANGUAGE_VERSION = 1
};

/* One token that carries a value. */
enum oct_item_kind {
    OCT_ITEM_NONE,
    OCT_ITEM_BAD /* already reported */,
    OCT_ITEM_INT,
    OCT_ITEM_FLOAT,
    OCT_ITEM_NAME,
    OCT_ITEM_CONST,
    OCT_ITEM_STRING,
    OCT_ITEM_HASH,
    OCT_ITEM_LIST
};
struct oct_list;
struct oct_item {
    enum oct_item_kind kind;
    struct oct_span at;
    union {
        int64_t i;
        float f;
        const char *text; /* NAME, CONST (without @), STRING, HASH (without #): NUL-terminated */
        const struct oct_list *list;
    } u;
};
struct oct_list {
    struct oct_item *item;
    uint32_t n, cap;
};
/* `name`, `name=value` or `name[index]=value`. */
struct oct_arg {
    struct oct_item name, index, value;
};
struct oct_args {
    struct oct_arg *arg;
    uint32_t n, cap;
};
struct oct_call {
    struct oct_item op;
    struct oct_span at; /* from the op to the closing bracket */
    struct oct_node **operand;
    uint32_t n, cap;
    bool bad; /* an operand is silent */
};
/* As written after ':'. */
struct oct_annotation {
    bool given;
    struct oct_item dtype;
    struct oct_list *dims; /* NULL: left out */
    struct oct_args quals; /* scale, zero; for inputs and constants other attributes too */
};

/* The state of one parse: the parser's parameter and the scanner's extra. */
struct oct_lang {
    struct oct_ctx *cx;
    struct oct_module *m;
    const char *path; /* of the model, NULL when no files may be named */
    const char *text;
    uint32_t source, len;
    struct oct_arena *parse;   /* lives as long as the parse: scanner, silent names */
    struct oct_arena *scratch; /* items of the statement at work */
    /* lexer */
    void *scanner;
    uint32_t offset;                     /* of the next byte */
    struct oct_span open[OCT_DEPTH_MAX]; /* brackets that are open */
    int depth;
    struct oct_item first, second; /* the statement's first two tokens that can name something */
    uint32_t tokens;               /* of the statement so far */
    int last_token;
    /* statements */
    bool bad;  /* the statement at work has a fault that is reported */
    bool stop; /* nothing that follows can make sense */
    bool have_version, have_model, have_weights, weights_bad;
    struct oct_safetensors weights;
    struct oct_node silent; /* stands under the name of each value or constant whose definition failed */
    uint64_t random_bytes;
};

/* ---- language.c: the parse, and statements ------------------------------------------------------------------------- */

/* Reports a fault of the statement at work; false when errors are full and nothing was reported. Marks it bad. */
bool oct_lang_error(struct oct_lang *l, struct oct_span at, enum oct_diag_id id, const char *fmt, ...) OCT_PRINTF(4, 5);
/* "did you mean 'near'?" among candidates, or else the help given (NULL: none). Follows an oct_lang_error that returned true. */
void oct_lang_suggest(struct oct_lang *l, const char *word, const char *const *candidates, size_t n, const char *otherwise);

void oct_lang_version(struct oct_lang *l, const struct oct_item *version);
void oct_lang_model(struct oct_lang *l, const struct oct_item *name, const struct oct_item *doc, const struct oct_args *args);
void oct_lang_option(struct oct_lang *l, const struct oct_args *args);
void oct_lang_rule(struct oct_lang *l, const struct oct_args *args);
void oct_lang_weights(struct oct_lang *l, const struct oct_item *file, const struct oct_item *xxh3);
void oct_lang_input(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type);
void oct_lang_value(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type, struct oct_call *call,
                    const struct oct_args *args);
void oct_lang_output(struct oct_lang *l, const struct oct_item *name, struct oct_node *n);
/* After each statement, sound or not; false: stop parsing. */
bool oct_lang_end_statement(struct oct_lang *l);
/* A syntax error at a token: what was expected ("a, b or c"; "" when too many), and whether a name was. */
void oct_lang_syntax_error(struct oct_lang *l, struct oct_span at, const char *expected, bool name_expected);

/* Uses of this name cause no errors from here on. */
void oct_lang_silence(struct oct_lang *l, bool is_const, const char *name);
/* Before a sound definition: an earlier one of this name that failed, or a use above it, no longer counts. */
void oct_lang_define(struct oct_lang *l, bool is_const, const char *name);

/* Operands of a call: a node, NULL for '_', &l->silent for one that was reported already. */
void oct_lang_operand(struct oct_lang *l, struct oct_call *c, struct oct_node *n);
struct oct_node *oct_lang_use_value(struct oct_lang *l, const struct oct_item *name);
/* A call as an operand, built at once under a fresh name. */
struct oct_node *oct_lang_nested(struct oct_lang *l, struct oct_call *c, const struct oct_args *args);

/* ---- language_args.c: lists, arguments, types ------------------------------------------------------------------------- */

void oct_lang_push_item(struct oct_lang *l, struct oct_list *list, const struct oct_item *it);
void oct_lang_push_arg(struct oct_lang *l, struct oct_args *args, const struct oct_arg *arg);
void oct_lang_push_first(struct oct_lang *l, struct oct_args *args, const struct oct_arg *arg);
bool oct_lang_float(const struct oct_item *it, float *out); /* a number or inf, nan */
/* Reads one argument into an attribute that `legal` allows; `owner` is what takes them ("conv2d", "a constant"). */
bool oct_lang_attr(struct oct_lang *l, struct oct_attrs *at, uint64_t legal, const char *owner, const struct oct_arg *arg);
/* dtype and dims; quantization parameters come apart. Batch N only where `with_n`. */
bool oct_lang_type(struct oct_lang *l, const struct oct_annotation *a, bool with_n, struct oct_type *out);
/* Is this one of scale, zero? */
bool oct_lang_is_qual(const struct oct_arg *arg);
/* Reads scale and zero among `quals` into t->q. `key`: constant whose parameters `file` names, NULL where there is none. */
bool oct_lang_quant(struct oct_lang *l, const struct oct_args *quals, const char *key, struct oct_type *t);

/* ---- language_const.c: constants ----------------------------------------------------------------------------------------- */

void oct_lang_const(struct oct_lang *l, const struct oct_item *name, const struct oct_annotation *type,
                    const struct oct_item *data, const struct oct_args *args);
struct oct_node *oct_lang_use_const(struct oct_lang *l, const struct oct_item *name);
/* A number in an operand's place: a scalar constant. */
struct oct_node *oct_lang_number(struct oct_lang *l, const struct oct_item *number);
/* A tensor of the weights file; NULL after a report (at most one while there is no weights file). */
const struct oct_st_tensor *oct_lang_tensor(struct oct_lang *l, const char *key, struct oct_span at);
/* Where the key is a content hash: is it that of the tensor? */
bool oct_lang_hash_fits(struct oct_lang *l, const struct oct_item *hash, enum oct_dtype dtype, const struct oct_st_tensor *t);

#endif
