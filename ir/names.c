/* names.c - names of values and constants. Requires arena. Fresh names follow from the names in use alone, never from history:
 * `base`, else base.1, base.2, ... the smallest unused. Each entry remembers a suffix below which all are taken, so that a
 * hundred thousand values of one base cost linear time; dropping base.k lowers it to k. */
#include <string.h>

#include "names.h"

struct entry {
    struct entry *next;
    uint32_t hash;
    const char *name;
    struct oct_node *node[2]; /* value, constant; NULL: unused */
    uint32_t first_free[2];   /* suffixes 1 .. first_free-1 of this name are taken */
};
struct oct_names {
    struct oct_arena *arena;
    struct entry **bucket;
    uint32_t nbuckets, n; /* nbuckets: a power of two */
};

static uint32_t hash(const char *s, size_t len) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ (h >> 15);
}

struct oct_names *oct_names_new(struct oct_arena *a) {
    struct oct_names *t = OCT_NEW(a, struct oct_names);
    *t = (struct oct_names){.arena = a, .nbuckets = 64, .bucket = OCT_NEW_N(a, struct entry *, 64)};
    return t;
}

static struct entry *lookup(const struct oct_names *t, const char *name, size_t len) {
    const uint32_t h = hash(name, len);
    for (struct entry *e = t->bucket[h & (t->nbuckets - 1)]; e; e = e->next)
        if (e->hash == h && !strncmp(e->name, name, len) && !e->name[len]) return e;
    return NULL;
}

static void grow(struct oct_names *t) {
    const uint32_t nbuckets = t->nbuckets * 2;
    struct entry **bucket = OCT_NEW_N(t->arena, struct entry *, nbuckets);
    for (uint32_t i = 0; i < t->nbuckets; i++)
        for (struct entry *e = t->bucket[i], *next; e; e = next) {
            next = e->next;
            e->next = bucket[e->hash & (nbuckets - 1)];
            bucket[e->hash & (nbuckets - 1)] = e;
        }
    t->bucket = bucket;
    t->nbuckets = nbuckets;
}

static struct entry *obtain(struct oct_names *t, const char *name, size_t len) {
    struct entry *e = lookup(t, name, len);
    if (e) return e;
    if (++t->n > t->nbuckets) grow(t);
    e = OCT_NEW(t->arena, struct entry);
    *e = (struct entry){.hash = hash(name, len), .name = oct_strndup(t->arena, name, len), .first_free = {1, 1}};
    struct entry **head = &t->bucket[e->hash & (t->nbuckets - 1)];
    e->next = *head;
    return *head = e;
}

struct oct_node *oct_names_find(const struct oct_names *t, const char *name, bool constant) {
    const struct entry *e = lookup(t, name, strlen(name));
    return e ? e->node[constant] : NULL;
}

void oct_names_put(struct oct_names *t, const char *name, bool constant, struct oct_node *n) {
    obtain(t, name, strlen(name))->node[constant] = n;
}

/* Splits "base.12" into the length of its base and 12; 0 when the name has no such suffix. */
static uint32_t suffix(const char *name, size_t *base_len) {
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] < '1' || dot[1] > '9' || strlen(dot) > 10) return 0;
    uint32_t k = 0;
    for (const char *p = dot + 1; *p; p++) {
        if (*p < '0' || *p > '9') return 0;
        k = k * 10 + (uint32_t)(*p - '0');
    }
    *base_len = (size_t)(dot - name);
    return k;
}

void oct_names_drop(struct oct_names *t, const char *name, bool constant) {
    struct entry *e = lookup(t, name, strlen(name));
    if (e) e->node[constant] = NULL;
    size_t len = 0;
    const uint32_t k = suffix(name, &len);
    struct entry *base = k ? lookup(t, name, len) : NULL;
    if (base && k < base->first_free[constant]) base->first_free[constant] = k;
}

static bool first_byte(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
static bool later_byte(char c) { return first_byte(c) || (c >= '0' && c <= '9') || c == '.'; }

bool oct_is_identifier(const char *s) {
    size_t n = 0;
    if (!first_byte(s[0])) return false;
    while (later_byte(s[n]) && n <= OCT_NAME_MAX) n++;
    return !s[n] && n <= OCT_NAME_MAX && strcmp(s, "_") != 0; /* _ is an absent operand */
}

const char *oct_names_fresh(struct oct_names *t, const char *base, bool constant) {
    char name[OCT_NAME_MAX + 1];
    size_t n = 0;
    if (!first_byte(base[0])) name[n++] = '_';
    for (const char *p = base; *p && n < OCT_NAME_MAX; p++) name[n++] = later_byte(*p) ? *p : '_';
    name[n] = 0;
    if (!strcmp(name, "_")) name[0] = 'v';
    if (!oct_names_find(t, name, constant)) return oct_strdup(t->arena, name);

    enum { SUFFIX = 11 }; /* room for '.' and ten digits */
    if (n > OCT_NAME_MAX - SUFFIX) n = OCT_NAME_MAX - SUFFIX;
    struct entry *e = obtain(t, name, n);
    for (;; e->first_free[constant]++) {
        const char *s = oct_sprintf(t->arena, "%.*s.%u", (int)n, name, e->first_free[constant]);
        if (!oct_names_find(t, s, constant)) return s;
    }
}
