/* names.c - readable unique names for what a kernel declares, usable in C: keywords and the printers' own names are avoided. */
#include <string.h>

#include "rows.h"

static const char *const taken[] = {
    "auto",   "break",  "case",   "char",   "const",  "continue", "default", "do",    "double",   "else",     "enum",
    "extern", "float",  "for",    "goto",   "if",     "inline",   "int",     "long",  "register", "restrict", "return",
    "short",  "signed", "sizeof", "static", "struct", "switch",   "typedef", "union", "unsigned", "void",     "volatile",
    "while",  "asm",    "typeof", "bool",   "true",   "false",    "lo",      "hi",
};

/* A name in use; loop variables come and go, and a name whose loop is closed may serve another loop. */
struct entry {
    const char *name;
    int32_t next; /* suffix to try next for this base */
    bool variable;
    bool open;
};
struct lp_name_table {
    struct oct_arena *arena;
    struct entry *slot;
    size_t mask;
};

static struct entry *find(const struct lp_name_table *t, const char *name) {
    uint64_t h = 1469598103934665603u;
    for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    size_t i = (size_t)(h ^ h >> 29) & t->mask;
    while (t->slot[i].name && strcmp(t->slot[i].name, name)) i = (i + 1) & t->mask;
    return &t->slot[i];
}

/* An identifier: other bytes become _; never starts with a digit or with oct_, which helpers use. */
static const char *identifier(struct oct_arena *a, const char *name) {
    bool bad = !*name || (*name >= '0' && *name <= '9') || *name == '_' || !strncmp(name, "oct_", 4);
    char *s = oct_sprintf(a, "%s%s", bad ? "v" : "", name);
    for (char *p = s; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))) *p = '_';
    return s;
}

static const char *claim(struct lp_name_table *t, const char *base, bool variable) {
    base = identifier(t->arena, base);
    struct entry *b = find(t, base), *e = b;
    const char *name = base;
    while (e->name && !(variable && e->variable && !e->open)) {
        name = oct_sprintf(t->arena, "%s_%d", base, (int)++b->next);
        e = find(t, name);
    }
    *e = (struct entry){.name = name, .next = e->next, .variable = variable, .open = variable};
    return name;
}

struct lp_names lp_name_all(const struct lp_kernel *k, struct oct_arena *a) {
    struct lp_names n = {OCT_NEW_N(a, const char *, k->nregs), OCT_NEW_N(a, const char *, k->nvars),
                         OCT_NEW_N(a, const char *, k->nbufs), OCT_NEW(a, struct lp_name_table)};
    size_t ntaken = sizeof taken / sizeof *taken, most = ntaken + (size_t)k->nregs + (size_t)k->nvars + (size_t)k->nbufs,
           size = 64;
    struct lp_walk w;
    lp_walk_start(&w, k);
    while (lp_walk_next(&w)) most++; /* lp_name_more */
    while (size < 2 * most) size *= 2;
    struct lp_name_table *t = n.table;
    *t = (struct lp_name_table){a, OCT_NEW_N(a, struct entry, size), size - 1};
    for (size_t i = 0; i < ntaken; i++) *find(t, taken[i]) = (struct entry){.name = taken[i]};
    for (int32_t i = 0; i < k->nbufs; i++) n.buf[i] = claim(t, k->buf[i].name, false);
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) {
        if (!lp_is_loop(s)) continue;
        if (w.leaving) find(t, n.var[s->var])->open = false;
        else n.var[s->var] = claim(t, s->name, true);
    }
    for (int32_t i = 0; i < k->nregs; i++) n.reg[i] = claim(t, k->reg[i].name ? k->reg[i].name : "t", false);
    return n;
}

const char *lp_name_more(const struct lp_names *n, const char *base) { return claim(n->table, base, false); }
