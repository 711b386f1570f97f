/* rule.c - which quantization rules of a model apply to a node. Requires choice.c. */
#include <string.h>

#include "infer.h"

/* Matches in time |pattern| x |s|: on a mismatch only the last * can take one byte more. */
bool oct_glob(const char *pattern, const char *s) {
    const char *star = NULL, *resume = NULL;
    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            resume = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++resume;
        } else return false;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static bool matches(const struct oct_rule *r, const struct oct_node *n) {
    switch (r->kind) {
    case OCT_RULE_ANY: return true;
    case OCT_RULE_OP: return r->op == n->op;
    case OCT_RULE_NAME: return n->name && oct_glob(r->pattern, n->name);
    }
    return false;
}

struct oct_qconfig oct_qconfig_for(const struct oct_module *m, const struct oct_node *n) {
    struct oct_qconfig q;
    oct_qconfig_default(&q);
    q.cx = m->cx;
    for (uint32_t i = 0; i < m->nrules; i++) {
        const struct oct_rule *r = &m->rule[i];
        if (!matches(r, n)) continue;
        for (unsigned k = 0; k < OCT_QRULE_COUNT; k++)
            if (r->set >> k & 1u) oct_qrule_copy(NULL, &q, &r->q, k);
    }
    return q;
}
