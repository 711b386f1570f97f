/* inspect.c - octavo inspect: what a model consists of: values with types, MACs, parameters, ranges. */
#include <math.h>
#include <string.h>

#include "driver.h"

struct facts {
    int64_t macs, parameters, bytes; /* constants of one value, or of the model */
    double lo, hi;                   /* NAN: not known */
};

static void add_constant(const struct oct_node *c, struct facts *f) {
    f->parameters += oct_type_elements(&c->type, 1);
    f->bytes += oct_type_elements(&c->type, 1) * (int64_t)oct_dtype_size(c->type.dtype);
}

/* The range that calibration chose, or the one that the codes can stand for. */
static struct facts facts_of(const struct oct_node *n) {
    struct facts f = {.macs = oct_macs(n), .lo = NAN, .hi = NAN};
    for (int k = 0; k < n->noperands; k++)
        if (n->operand[k] && n->operand[k]->op == OCT_OP_const) add_constant(n->operand[k], &f);
    if (OCT_HAS(n->at, range)) {
        f.lo = (double)n->at.range[0];
        f.hi = (double)n->at.range[1];
    } else if (n->type.q && n->type.q->axis < 0) {
        const double scale = (double)oct_scale(n->type.q, 0), zero = oct_zero(n->type.q, 0);
        f.lo = scale * ((double)oct_dtype_min(n->type.dtype) - zero);
        f.hi = scale * ((double)oct_dtype_max(n->type.dtype) - zero);
    }
    return f;
}

static struct facts total(const struct oct_module *m) {
    struct facts f = {0};
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_const) add_constant(n, &f);
        f.macs += oct_macs(n);
    }
    return f;
}

static void to_json(struct drv *d, const struct oct_module *m) {
    const struct facts sum = total(m);
    struct drv_json j;
    drv_json_init(&j, &d->say);
    drv_json_open(&j, NULL, '{');
    drv_json_str(&j, "name", m->name);
    drv_json_str(&j, "doc", m->doc);
    drv_json_str(&j, "after", m->after);
    drv_json_int(&j, "macs", sum.macs);
    drv_json_int(&j, "parameters", sum.parameters);
    drv_json_int(&j, "weight_bytes", sum.bytes);
    drv_json_open(&j, "nodes", '[');
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_const) continue;
        const struct facts f = facts_of(n);
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "name", n->name);
        drv_json_str(&j, "op", oct_op_info(n->op)->name);
        drv_json_str(&j, "type", oct_type_text(d->a, &n->type));
        drv_json_int(&j, "macs", f.macs);
        drv_json_int(&j, "parameters", f.parameters);
        drv_json_num(&j, "lo", f.lo);
        drv_json_num(&j, "hi", f.hi);
        drv_json_str(&j, "from", n->at.from);
        drv_json_str(&j, "why", n->at.why);
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_open(&j, "outputs", '[');
    for (uint32_t i = 0; i < m->noutputs; i++) drv_json_str(&j, NULL, m->output[i].name);
    drv_json_close(&j, ']');
    drv_json_close(&j, '}');
}

static void to_table(struct drv *d, const struct oct_module *m) {
    const struct facts sum = total(m);
    int name = 5, type = 4; /* widths of the columns */
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_const) continue;
        const int a = (int)strlen(n->name), b = (int)strlen(oct_type_text(d->a, &n->type));
        if (a > name) name = a;
        if (b > type) type = b;
    }
    oct_text_addf(&d->say, "%s%s%s%s%s\n\n", m->name, m->doc ? ": " : "", m->doc ? m->doc : "", m->after ? ", after " : "",
                  m->after ? m->after : "");
    oct_text_addf(&d->say, "%-*s %-12s %-*s %12s %10s  %s\n", name, "value", "op", type, "type", "MACs", "parameters", "range");
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_const) continue;
        const struct facts f = facts_of(n);
        oct_text_addf(&d->say, "%-*s %-12s %-*s %12lld %10lld", name, n->name, oct_op_info(n->op)->name, type,
                      oct_type_text(d->a, &n->type), (long long)f.macs, (long long)f.parameters);
        if (!isnan(f.lo)) oct_text_addf(&d->say, "  %.6g .. %.6g", f.lo, f.hi);
        oct_text_add(&d->say, "\n");
    }
    oct_text_addf(&d->say, "\n%lld MACs, %lld parameters in %lld bytes; outputs:", (long long)sum.macs, (long long)sum.parameters,
                  (long long)sum.bytes);
    for (uint32_t i = 0; i < m->noutputs; i++) oct_text_addf(&d->say, " %s", m->output[i].name);
    oct_text_add(&d->say, "\n");
}

bool verb_inspect(struct drv *d) {
    const struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (m) (d->o.json ? to_json : to_table)(d, m);
    return m != NULL;
}
