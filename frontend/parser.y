/* parser.y - the grammar of the language, as docs/language.md explains it; each rule stands above its action. Requires lexer.l for
 * tokens and language*.c, which give statements their meaning. A faulty statement is skipped to its end, and parsing goes on. */
%require "3.8"
%define api.pure full
%define api.prefix {oct_yy}
%define api.location.type {struct oct_span}
%define parse.lac full
%define parse.error custom
%locations
%expect 0
%param {struct oct_lang *l}

%code requires {
#include <string.h>

#include "language.h"
}
%code provides {
int oct_yyparse(struct oct_lang *l);
}
%code {
/* The stack is never grown: the lexer bounds how deep brackets nest, and everything else is left-recursive. */
#define YYINITDEPTH 600
#define YYMAXDEPTH 600
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                     \
    ((cur) = (n) ? (struct oct_span){YYRHSLOC(rhs, 1).source, YYRHSLOC(rhs, 1).start, YYRHSLOC(rhs, n).end} \
                 : (struct oct_span){YYRHSLOC(rhs, 0).source, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})

int oct_yylex(OCT_YYSTYPE *value, struct oct_span *at, void *scanner);
static int next_token(OCT_YYSTYPE *value, struct oct_span *at, struct oct_lang *l) { return l->stop ? OCT_YYEOF : oct_yylex(value, at, l->scanner); }
#define oct_yylex next_token
static void yyerror(struct oct_span *at, struct oct_lang *l, const char *what);
}
%initial-action { (void)yynerrs; @$ = (struct oct_span){l->source, 0, 0}; }

%union {
    struct oct_item item;
    struct oct_list *list;
    struct oct_arg arg;
    struct oct_args args;
    struct oct_annotation type;
    struct oct_call *call;
    struct oct_node *node;
}
%token NEWLINE "the end of the line" ABSENT "_"
%token <item> NAME "a name" CONSTNAME "a constant (@name)" INT "a whole number" FLOAT "a number" STRING "a string" HASH "a content key"
%token <item> XXH3 "xxh3"
%token <item> OCTAVO "octavo" MODEL "model" OPTION "option" RULE "rule" WEIGHTS "weights" INPUT "input" CONST "const" OUTPUT "output"
%type <item> name index value number element doc data xxh3
%type <list> elements dims
%type <arg> arg qual
%type <args> args quals
%type <type> type annotation
%type <call> operands
%type <call> call
%type <node> operand
%%
/* text = { [ statement ] NEWLINE } */
text
    : %empty
    | text statement NEWLINE { if (!oct_lang_end_statement(l)) YYABORT; }
    | text error NEWLINE     { yyerrok; l->bad = true; if (!oct_lang_end_statement(l)) YYABORT; }
    ;

/* statement = "octavo" INT
 *           | "model" name [ STRING ] { arg }                   arg: after=PASS
 *           | "option" arg { arg }
 *           | "rule" arg { arg }                                first arg: any, op=OP or name="GLOB"
 *           | "weights" STRING [ "xxh3=" HEX16 ]
 *           | "input" name ":" type
 *           | "const" "@" name ":" type [ "=" data { arg } ]
 *           | name [ ":" type ] "=" call { arg }
 *           | "output" name [ "=" ( name | "@" name ) ] */
statement
    : OCTAVO INT                                { oct_lang_version(l, &$2); }
    | MODEL name doc args                       { oct_lang_model(l, &$2, &$3, &$4); }
    | OPTION arg args                           { oct_lang_push_first(l, &$3, &$2); oct_lang_option(l, &$3); }
    | RULE arg args                             { oct_lang_push_first(l, &$3, &$2); oct_lang_rule(l, &$3); }
    | WEIGHTS STRING xxh3                       { oct_lang_weights(l, &$2, &$3); }
    | INPUT name ':' type                       { oct_lang_input(l, &$2, &$4); }
    | CONST CONSTNAME ':' type                  { oct_lang_const(l, &$2, &$4, NULL, NULL); }
    | CONST CONSTNAME ':' type '=' data args    { oct_lang_const(l, &$2, &$4, &$6, &$7); }
    | name annotation '=' call args             { oct_lang_value(l, &$1, &$2, $4, &$5); }
    | OUTPUT name                               { oct_lang_output(l, &$2, oct_lang_use_value(l, &$2)); }
    | OUTPUT name '=' name                      { oct_lang_output(l, &$2, oct_lang_use_value(l, &$4)); }
    | OUTPUT name '=' CONSTNAME                 { oct_lang_output(l, &$2, oct_lang_use_const(l, &$4)); }
    ;
doc
    : %empty { $$ = (struct oct_item){.kind = OCT_ITEM_NONE}; }
    | STRING
    ;
xxh3
    : %empty { $$ = (struct oct_item){.kind = OCT_ITEM_NONE}; }
    | XXH3
    ;

/* type = NAME [ "[" [ element { "," element } ] "]" ] { qual }      the name is an element type; elements: sizes, or N
 * qual = name [ "[" INT "]" ] "=" value                              scale=0.5  scale[0]=(0.5,0.25)  zero=3 */
annotation
    : %empty   { $$ = (struct oct_annotation){.given = false}; }
    | ':' type { $$ = $2; }
    ;
type
    : name dims quals { $$ = (struct oct_annotation){true, $1, $2, $3}; }
    ;
dims
    : %empty           { $$ = NULL; }
    | '[' ']'          { $$ = OCT_NEW(l->scratch, struct oct_list); }
    | '[' elements ']' { $$ = $2; }
    ;
quals
    : %empty     { $$ = (struct oct_args){.n = 0}; }
    | quals qual { $$ = $1; oct_lang_push_arg(l, &$$, &$2); }
    ;
qual
    : name index '=' value { $$ = (struct oct_arg){$1, $2, $4}; }
    ;
index
    : %empty      { $$ = (struct oct_item){.kind = OCT_ITEM_NONE}; }
    | '[' INT ']' { $$ = $2; }
    ;

/* call    = name "(" [ operand { "," operand } ] ")"                 the name is an op
 * operand = name | "@" name | number | "_" | call { arg }            "_": an optional operand that is absent */
call
    : name '(' ')'          { $$ = OCT_NEW(l->scratch, struct oct_call); $$->op = $1; $$->at = @$; }
    | name '(' operands ')' { $$ = $3; $$->op = $1; $$->at = @$; }
    ;
operands
    : operand              { $$ = OCT_NEW(l->scratch, struct oct_call); oct_lang_operand(l, $$, $1); }
    | operands ',' operand { $$ = $1; oct_lang_operand(l, $$, $3); }
    ;
operand
    : name      { $$ = oct_lang_use_value(l, &$1); }
    | CONSTNAME { $$ = oct_lang_use_const(l, &$1); }
    | number    { $$ = oct_lang_number(l, &$1); }
    | ABSENT    { $$ = NULL; }
    | call args { $$ = oct_lang_nested(l, $1, &$2); }
    ;

/* arg   = name [ "=" value ]
 * value = number | name | STRING | "#" HEX16 | "(" [ element { "," element } ] ")"      element = number | name */
args
    : %empty   { $$ = (struct oct_args){.n = 0}; }
    | args arg { $$ = $1; oct_lang_push_arg(l, &$$, &$2); }
    ;
arg
    : name           { $$ = (struct oct_arg){.name = $1}; }
    | name '=' value { $$ = (struct oct_arg){.name = $1, .value = $3}; }
    ;
data
    : value
    ;
value
    : number
    | name
    | STRING
    | HASH
    | '(' ')'          { $$ = (struct oct_item){OCT_ITEM_LIST, @$, {.list = OCT_NEW(l->scratch, struct oct_list)}}; }
    | '(' elements ')' { $$ = (struct oct_item){OCT_ITEM_LIST, @$, {.list = $2}}; }
    ;
elements
    : element              { $$ = OCT_NEW(l->scratch, struct oct_list); oct_lang_push_item(l, $$, &$1); }
    | elements ',' element { $$ = $1; oct_lang_push_item(l, $$, &$3); }
    ;
element
    : number
    | name
    ;
number
    : INT
    | FLOAT
    ;

/* name = NAME | any of the words that start statements */
name
    : NAME
    | OCTAVO
    | MODEL
    | OPTION
    | RULE
    | WEIGHTS
    | INPUT
    | CONST
    | OUTPUT
    ;
%%
/* Only for a stack that is full, which the lexer's bound on nesting excludes. */
static void yyerror(struct oct_span *at, struct oct_lang *l, const char *what) { oct_lang_error(l, *at, OCT_E1006, "%s", what); }

/* Adds "a, b or c" to a text, one item a call; `left` items follow. */
static void add_choice(struct oct_text *t, const char *s, int left) {
    oct_text_addf(t, "%s%s", s, left == 0 ? "" : left == 1 ? " or " : ", ");
}

static const char *shown(struct oct_lang *l, yysymbol_kind_t k) {
    const char *name = yysymbol_name(k);
    return name[0] >= 'a' && name[0] <= 'z' && strchr(name, ' ') ? name : oct_sprintf(l->scratch, "'%s'", name[0] == '\'' ? oct_strndup(l->scratch, name + 1, 1) : name);
}

static int yyreport_syntax_error(const yypcontext_t *context, struct oct_lang *l) {
    enum { MANY = 5 };
    yysymbol_kind_t kind[YYNTOKENS];
    const int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
    bool name = false;
    int kept = 0;
    for (int i = 0; i < n; i++) name |= kind[i] == YYSYMBOL_NAME;
    /* Where a name may stand so may every keyword, and a whole number is a number: not worth their own words. */
    bool number = false;
    for (int i = 0; i < n; i++) number |= kind[i] == YYSYMBOL_FLOAT;
    for (int i = 0; i < n; i++)
        if (!(name && kind[i] >= YYSYMBOL_OCTAVO && kind[i] <= YYSYMBOL_OUTPUT) && !(number && kind[i] == YYSYMBOL_INT)) kind[kept++] = kind[i];
    struct oct_text expected;
    oct_text_init(&expected, l->scratch);
    const bool start = n > 0 && kind[0] == YYSYMBOL_YYEOF;
    oct_text_add(&expected, start ? "a statement" : "");
    for (int i = 0; i < kept && kept <= MANY && !start; i++) add_choice(&expected, shown(l, kind[i]), kept - 1 - i);
    oct_lang_syntax_error(l, *yypcontext_location(context), expected.s, name);
    return 0;
}
