/* model.c - what verbs share about models: reading them under the options that rule quantization, fitting data to their inputs,
 * running passes with dumps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../passes/plugin.h"
#include "cc.h"

static const struct oct_span nowhere;

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static void set_option(struct oct_module *m, enum oct_option_id id, int word) {
    if (word < 0) return;
    m->option[id] = (uint8_t)word;
    m->option_set |= (uint32_t)1 << id;
}

/* A rule behind the model's own and before those of --config: it changes the default, and what is said of single ops stays.
 * False: the field does not take it. */
static bool set_rule(struct oct_module *m, enum oct_qrule_id id, const char *word, double number) {
    struct oct_rule r = {.kind = OCT_RULE_ANY, .set = (uint32_t)1 << id};
    if (!word && isnan(number)) return true;
    if (!oct_qrule_set(m->arena, &r.q, id, word, (float)number)) return false;
    struct oct_rule *rules = OCT_NEW_N(m->arena, struct oct_rule, m->nrules + 1);
    if (m->nrules) memcpy(rules, m->rule, m->nrules * sizeof *rules);
    rules[m->nrules++] = r;
    m->rule = rules;
    return true;
}

static void add_rule(struct oct_module *m, enum oct_qrule_id id, int word) {
    set_rule(m, id, oct_word_at(m->arena, oct_qrule_info(id)->words, word), NAN);
}

static const struct preset {
    const char *name, *profile, *rules;
} presets[] = {
#define SCHEME(name, profile, rules) {name, profile, rules},
#include "presets.def"
};

/* The row of --preset, NULL: it was not given. */
static const struct preset *find_preset(struct drv *d) {
    const char *word = drv_option_text(d, DRV_preset);
    for (size_t i = 0; word && i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].name, word)) return &presets[i];
    return NULL;
}

/* Its fields become rules for all, behind which come those of other options. */
static void add_preset(struct drv *d, struct oct_module *m, const struct preset *p) {
    for (const char *at = p->rules; *at; at += strspn(at, " ")) {
        const size_t name = strcspn(at, "="), word = strcspn(at + name + 1, " ");
        const char *value = oct_strndup(d->a, at + name + 1, word);
        const bool digit = *value >= '0' && *value <= '9';
        for (int id = 0; id < OCT_QRULE_COUNT; id++) {
            const char *field = oct_qrule_info((enum oct_qrule_id)id)->name;
            if (strlen(field) != name || memcmp(field, at, name)) continue;
            OCT_CHECK(d->cx, set_rule(m, (enum oct_qrule_id)id, digit ? NULL : value, digit ? *value - '0' : NAN));
        }
        at += name + 1 + word;
    }
}

/* From an INT; 0: it was not given. */
static bool add_number(struct drv *d, struct oct_module *m, enum oct_qrule_id id, enum drv_option option, int64_t number) {
    if (!number || set_rule(m, id, NULL, (double)number)) return true;
    return drv_misuse(d, "%s wants %s", drv_option_spelling(option), oct_qrule_takes(d->a, id));
}

/* --observer and --act-param: a name that is neither a word nor a plugin's is a mistake in the command. */
static bool add_observer(struct drv *d, struct oct_module *m) {
    const char *name = d->o.observer;
    if (!set_rule(m, OCT_Q_act_observer, name, NAN) || (name && !oct_observer_find(d->cx, m->rule[m->nrules - 1].q.act_observer)))
        return drv_misuse(d, "--observer wants %s, not '%s'", oct_qrule_takes(d->a, OCT_Q_act_observer), name);
    if (!set_rule(m, OCT_Q_act_param, NULL, d->o.act_param))
        return drv_misuse(d, "--act-param wants %s", oct_qrule_takes(d->a, OCT_Q_act_param));
    return true;
}

static void add_repair(void *user, const struct drv_repair *r) { add_rule(user, r->field, r->value); }

static bool load_plugins(struct drv *d) {
    for (int i = 0; i < d->o.observer_plugin.n; i++)
        if (!oct_plugin_load_observer(d->cx, d->o.observer_plugin.v[i])) return false;
    return !d->o.rounding_plugin || oct_plugin_load_rounding(d->cx, d->o.rounding_plugin);
}

struct oct_module *drv_read_model(struct drv *d, const char *path) {
    const struct preset *preset = find_preset(d);
    const int profile =
        d->o.profile >= 0 || !preset ? d->o.profile : oct_word_index(oct_option_info(OCT_OPT_profile)->words, preset->profile);
    struct oct_module *m = oct_read_model(d->cx, path, profile);
    if (!m) return NULL;
    if (preset) add_preset(d, m, preset);
    set_option(m, OCT_OPT_io, d->o.io);
    set_option(m, OCT_OPT_permute_channels, d->o.permute_channels);
    set_option(m, OCT_OPT_nudge_scales, d->o.nudge_scales);
    set_option(m, OCT_OPT_quantize, d->o.quantize);
    if (d->o.dynamic) add_rule(m, OCT_Q_act, OCT_ACT_DYNAMIC);
    if (!load_plugins(d) || !add_observer(d, m)) return NULL;
    add_rule(m, OCT_Q_act_range, d->o.act_range);
    add_rule(m, OCT_Q_saturation, d->o.saturation);
    if (!add_number(d, m, OCT_Q_weight_bits, DRV_weight_bits, d->o.weight_bits)) return NULL;
    add_rule(m, OCT_Q_granularity, d->o.granularity);
    if (!add_number(d, m, OCT_Q_group_size, DRV_group_size, d->o.group_size)) return NULL;
    if (d->o.repair && !drv_repairs(d, d->o.repair, add_repair, m)) return NULL;
    if (d->o.config && !oct_read_qconfig(d->cx, d->o.config, m)) return NULL;
    return m;
}

/* ---- data ----------------------------------------------------------------------------------------------------------------- */

size_t drv_name_length(const char *s) {
    const size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    return s[n] == '=' && !(s[0] >= '0' && s[0] <= '9') && s[0] != '.' ? n : 0;
}

static bool number(const char **p, int64_t *out) {
    char *end;
    errno = 0;
    *out = **p >= '0' && **p <= '9' ? strtoll(*p, &end, 10) : -1;
    if (*out < 0 || errno) return false;
    *p = end;
    return true;
}

bool drv_samples(struct drv *d, int64_t n, int64_t *from, int64_t *to) {
    const char *p = d->o.samples, *const colon = p ? strchr(p, ':') : NULL;
    int64_t part, parts;
    *from = 0;
    *to = n;
    if (!p) return true;
    if (!colon) {
        if (!number(&p, &part) || *p++ != '/' || !number(&p, &parts) || *p || part < 1 || part > parts || parts > INT32_MAX)
            return drv_misuse(d, "--samples wants FROM:TO, or K/N with K from 1 to N, not '%s'", d->o.samples);
        *from = n / parts * (part - 1) + n % parts * (part - 1) / parts; /* n (part - 1) / parts, rounded down */
        *to = n / parts * part + n % parts * part / parts;
    } else if ((p != colon && !number(&p, from)) || *p++ != ':' || (*p && !number(&p, to)) || *p)
        return drv_misuse(d, "--samples wants FROM:TO, or K/N with K from 1 to N, not '%s'", d->o.samples);
    if (*from < *to && *to <= n) return true;
    oct_error(d->cx, nowhere, OCT_E4004, "--samples %s: there are none; the data have %lld samples", d->o.samples, (long long)n);
    return false;
}

/* --samples takes the same part of all arrays. */
static bool slice(struct drv *d, const struct drv_arrays *x) {
    int64_t from, to;
    for (int i = 0; i < x->n && d->o.samples; i++) {
        if (x->x[i].rank < 1 || x->x[i].dim[0] != x->x[0].dim[0])
            return drv_misuse(d, "--samples takes data of equal length: '%s' and '%s' differ", x->x[0].name, x->x[i].name);
        if (!drv_samples(d, x->x[i].dim[0], &from, &to)) return false;
        oct_array_slice(&x->x[i], from, to);
    }
    return true;
}

bool drv_read_arrays(struct drv *d, const char *option, const struct drv_list *paths, struct drv_arrays *out) {
    *out = (struct drv_arrays){.option = option, .n = paths->n};
    out->x = OCT_NEW_N(d->a, struct oct_array, paths->n);
    out->name = OCT_NEW_N(d->a, const char *, paths->n);
    for (int i = 0; i < paths->n; i++) {
        const char *path = paths->v[i];
        const size_t n = drv_name_length(path);
        if (n) {
            out->name[i] = oct_strndup(d->a, path, n);
            path += n + 1;
        }
        if (!oct_npy_read(d->cx, d->a, path, &out->x[i])) return false;
    }
    return slice(d, out);
}

/* "'a', 'b'": the inputs, for messages. */
static const char *input_names(struct drv *d, const struct oct_module *m) {
    struct oct_text t;
    oct_text_init(&t, d->a);
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_input) oct_text_addf(&t, "%s'%s'", t.len ? ", " : "", n->name);
    }
    return t.len ? t.s : "none";
}

static const struct oct_array *array_for(const struct drv_arrays *x, const char *input, bool only) {
    for (int i = 0; i < x->n; i++)
        if (x->name[i] ? strcmp(x->name[i], input) == 0 : only) return &x->x[i];
    return NULL;
}

const struct drv_arrays *drv_data(struct drv *d) {
    struct drv_arrays *x = OCT_NEW(d->a, struct drv_arrays);
    if (!d->data && drv_read_arrays(d, "--data", &d->o.data, x)) d->data = x;
    return d->data;
}

bool drv_fit(struct drv *d, const struct drv_arrays *x, const struct oct_module *m, struct oct_dataset *out) {
    uint32_t inputs = 0, k = 0;
    OCT_FOR_NODES(m, n) inputs += n->op == OCT_OP_input;
    struct oct_input_data *in = OCT_NEW_N(d->a, struct oct_input_data, inputs);
    int64_t *samples = OCT_NEW_N(d->a, int64_t, inputs);
    *out = (struct oct_dataset){.in = in, .nin = inputs};
    if ((uint32_t)x->n != inputs)
        return drv_misuse(d, "the model has %u input%s (%s), %s names data for %d", inputs, inputs == 1 ? "" : "s",
                          input_names(d, m), x->option, x->n);
    OCT_FOR_NODES(m, n) {
        if (n->op != OCT_OP_input) continue;
        const struct oct_array *a = array_for(x, n->name, inputs == 1);
        if (!a)
            return drv_misuse(d, "no data for input '%s': %s %s=X.npy (inputs: %s)", n->name, x->option, n->name,
                              input_names(d, m));
        if (!oct_data_fit(d->cx, d->a, a, n, &in[k], &samples[k])) return false;
        k++;
    }
    const int64_t chunk = oct_dataset_chunk(in, inputs);
    for (k = 0; k < inputs; k++) {
        samples[k] = samples[k] / oct_input_batch(&in[k].input->type) * chunk;
        if (samples[k] != samples[0]) {
            oct_error(d->cx, nowhere, OCT_E4004, "input '%s' has %lld samples, but '%s' has %lld", in[k].input->name,
                      (long long)samples[k], in[0].input->name, (long long)samples[0]);
            return false;
        }
    }
    out->samples = inputs ? samples[0] : 0;
    return true;
}

/* ---- passes ------------------------------------------------------------------------------------------------------------------
 */

/* Row of the pipeline with this label, -1 when there is none. */
static int row_of(const char *label) {
    uint32_t n;
    const struct oct_pipeline_row *rows = oct_pipeline(&n);
    for (uint32_t i = 0; label && i < n; i++)
        if (strcmp(rows[i].label, label) == 0) return (int)i;
    return -1;
}

bool drv_is_calibrated(const struct oct_module *m) {
    return row_of(m->after) >= row_of(oct_wants_repair(m) ? "repair_layers" : "calibrate");
}

bool drv_holds_quantized(const struct oct_module *m) {
    for (uint32_t i = 0; i < m->nrules; i++) /* or will without data */
        if ((m->rule[i].set >> OCT_Q_act & 1) && m->rule[i].q.act == OCT_ACT_DYNAMIC) return true;
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_observe || n->type.q) return true;
    }
    return false;
}

struct rewriting {
    struct drv *d;
    struct oct_dumps *dumps;
    unsigned steps;
};

static bool after_pass(void *user, struct oct_module *m, const char *label, double ms, unsigned changes) {
    struct rewriting *r = user;
    const struct drv_options *o = &r->d->o;
    if (o->timing) oct_text_addf(&r->d->talk, "%-18s %6u change%s %9.2f ms\n", label, changes, changes == 1 ? " " : "s", ms);
    const int step = o->passes ? (int)r->steps++ : row_of(label);
    if (!r->dumps || (strcmp(o->dump_after, "all") != 0 && strcmp(o->dump_after, label) != 0)) return true;
    return oct_dumps_add(r->dumps, m, oct_sprintf(r->d->a, "%02d_%s.8vo", step, label));
}

/* "a,b,c" as a NULL-terminated list. */
static const char *const *split(struct drv *d, const char *s) {
    const char **list = OCT_NEW_N(d->a, const char *, strlen(s) + 2);
    for (int n = 0; *s;) {
        const size_t len = strcspn(s, ",");
        if (len) list[n++] = oct_strndup(d->a, s, len);
        s += len + (s[len] == ',');
    }
    return list;
}

static bool begin_dumps(struct rewriting *r) {
    struct drv *d = r->d;
    const char *label = d->o.dump_after;
    if (!label && !d->o.dump_dir) return true;
    if (!label || !d->o.dump_dir) return drv_misuse(d, "--dump-after and --dump-dir belong together");
    if (strcmp(label, "all") != 0 && row_of(label) < 0 && !oct_pass_find(label)) {
        oct_error(d->cx, nowhere, OCT_E5001, "--dump-after: pass '%s' is not known", label);
        oct_help(d->cx, "'octavo passes' lists them");
        return false;
    }
    r->dumps = oct_dumps_new(d->cx, d->out, d->o.dump_dir);
    return true;
}

static bool read_stats(struct drv *d, struct oct_stats *s) {
    for (int i = 0; i < d->o.stats.n; i++) {
        struct oct_bytes file;
        if (!oct_read_file(d->cx, d->o.stats.v[i], &file) || !oct_stats_parse(d->cx, file, d->o.stats.v[i], s)) return false;
    }
    return true;
}

bool drv_rewrite(struct drv *d, struct oct_module *m) {
    struct rewriting r = {.d = d};
    struct oct_run_options run = {.after = after_pass, .user = &r, .stop_after = d->o.stop_after, .check_each = d->o.check_each};
    if (d->o.passes && d->o.stop_after) return drv_misuse(d, "--passes and --stop-after exclude each other");
    if (d->o.passes) run.passes = split(d, d->o.passes);
    if (d->o.explain) run.explain = &d->talk;
    if (!begin_dumps(&r)) return false;

    struct oct_dataset data;
    if (d->o.data.n && drv_is_calibrated(m)) {
        if (!d->o.certify) oct_note(d->cx, nowhere, "--data is ignored: the model is calibrated already (after=%s)", m->after);
    } else if (d->o.data.n) {
        if (!drv_data(d) || !drv_fit(d, d->data, m, &data)) return false;
        run.data = &data;
        run.observe = drv_observe;
        run.observe_user = d;
    }
    struct oct_stats stats;
    oct_stats_init(&stats, d->a);
    if (!read_stats(d, &stats)) return false;
    if (d->o.stats.n || d->o.save_stats) run.stats = &stats;

    if (!oct_run_pipeline(d->cx, m, &run)) return false;
    if (d->o.save_stats) {
        struct oct_text text;
        oct_text_init(&text, d->a);
        oct_stats_print(&text, &stats);
        if (!oct_outputs_add(d->out, d->o.save_stats, text.s, text.len)) return false;
    }
    return !r.dumps || oct_dumps_finish(r.dumps);
}
