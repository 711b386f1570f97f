/* qconfig.c - quantization rules from a JSON file (see frontend.h for its form). The file is read by jansson; what it says
 * becomes rules of the module, so that every dump carries it. */
#include <math.h>
#include <string.h>

#include "json_in.h"

struct reader {
    struct oct_ctx *cx;
    struct oct_module *m;
    struct oct_span at; /* the file; JSON values carry no place of their own */
};

static bool bad_field(const struct reader *r, const char *key) {
    const char *names[OCT_QRULE_COUNT];
    for (int i = 0; i < OCT_QRULE_COUNT; i++) names[i] = oct_qrule_info((enum oct_qrule_id)i)->name;
    const char *near = oct_did_you_mean(key, names, OCT_QRULE_COUNT);
    oct_error(r->cx, r->at, OCT_E5110, "quantization rules: there is no field '%.64s'", key);
    if (near) oct_help(r->cx, "did you mean '%s'?", near);
    return false;
}

static bool read_field(const struct reader *r, struct oct_rule *rule, const char *key, const json_t *value) {
    for (int i = 0; i < OCT_QRULE_COUNT; i++) {
        const struct oct_choice_info *info = oct_qrule_info((enum oct_qrule_id)i);
        if (strcmp(info->name, key)) continue;
        if (!oct_qrule_set(r->m->arena, &rule->q, (enum oct_qrule_id)i, json_string_value(value),
                           json_is_number(value) ? (float)json_number_value(value) : NAN)) {
            const char *word = json_string_value(value);
            oct_error(r->cx, r->at, OCT_E5110, "quantization rules: '%s' cannot be %s%.64s%s", key, word ? "'" : "",
                      word ? word : "that", word ? "'" : "");
            oct_help(r->cx, "it takes %s", oct_qrule_takes(r->m->arena, (enum oct_qrule_id)i));
            return false;
        }
        rule->set |= 1u << i;
        return true;
    }
    return bad_field(r, key);
}

/* One object of fields, with "op" or "name" when `targeted`. */
static bool read_rule(const struct reader *r, const json_t *object, bool targeted, struct oct_rule *rule) {
    *rule = (struct oct_rule){.kind = OCT_RULE_ANY};
    if (!json_is_object(object)) {
        oct_error(r->cx, r->at, OCT_E5110, "quantization rules: a rule must be an object of fields");
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        const bool op = targeted && !strcmp(key, "op"), name = targeted && !strcmp(key, "name");
        if (!op && !name) {
            if (!read_field(r, rule, key, value)) return false;
            continue;
        }
        const char *word = json_string_value(value);
        if (!word || rule->kind != OCT_RULE_ANY || (op && !oct_op_parse(word, &rule->op))) {
            oct_error(r->cx, r->at, OCT_E5110,
                      "quantization rules: a rule names one op (\"op\": a name that `octavo ops` lists) or one \"name\" pattern");
            return false;
        }
        rule->kind = op ? OCT_RULE_OP : OCT_RULE_NAME;
        if (name) rule->pattern = oct_strdup(r->m->arena, word);
    }
    return true;
}

static void append(struct oct_module *m, const struct oct_rule *rule) {
    struct oct_rule *all = OCT_NEW_N(m->arena, struct oct_rule, m->nrules + 1);
    if (m->nrules) memcpy(all, m->rule, m->nrules * sizeof *all);
    all[m->nrules++] = *rule;
    m->rule = all;
}

bool oct_read_qconfig(struct oct_ctx *cx, const char *path, struct oct_module *m) {
    struct oct_bytes file;
    if (!oct_read_file(cx, path, &file)) return false;
    const struct reader r = {cx, m, {oct_source_add(cx, path, NULL, 0), 0, 0}};
    struct oct_arena *guard = oct_arena_new(cx);
    json_error_t fault;
    bool ok = true;
    json_t *json = file.len < 1 << 20 ? oct_json_parse(guard, file, &fault) : NULL;
    if (!json || !json_is_object(json)) {
        if (json || file.len >= 1 << 20)
            oct_error(cx, r.at, OCT_E5110, "quantization rules: not a JSON object of less than 1 MB");
        else oct_error(cx, r.at, OCT_E5110, "quantization rules: line %d: %s", fault.line, fault.text);
        ok = false;
    }
    const char *key;
    json_t *value;
    if (ok) json_object_foreach(json, key, value) {
            struct oct_rule rule;
            if (!strcmp(key, "default")) {
                ok = read_rule(&r, value, false, &rule);
                if (ok) append(m, &rule);
            } else if (!strcmp(key, "rules") && json_is_array(value)) {
                for (size_t i = 0; ok && i < json_array_size(value); i++) {
                    ok = read_rule(&r, json_array_get(value, i), true, &rule);
                    if (ok) append(m, &rule);
                }
            } else {
                oct_error(cx, r.at, OCT_E5110,
                          "quantization rules: '%.64s' is neither \"default\" (an object) nor \"rules\" (a list)", key);
                ok = false;
            }
            if (!ok) break;
        }
    oct_arena_free(guard);
    return ok;
}
