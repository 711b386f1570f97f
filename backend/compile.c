/* compile.c - a module as a program with its header and report, and as C. Clones the module, binds N, plans. */
#include <inttypes.h>

#include "program.h"

static bool bind_batch(struct oct_ctx *cx, struct oct_module *m, const struct oct_compile_options *opt) {
    bool ok = true;
    OCT_FOR_NODES(m, n) {
        if (opt->no_float && n->op != OCT_OP_const && n->type.dtype == OCT_F32) {
            oct_error(cx, n->span, OCT_E6004, "%s '%s' is float", oct_op_info(n->op)->name, n->name);
            ok = false;
        }
        for (int i = 0; i < n->type.rank; i++)
            if (n->type.dim[i] == OCT_DIM_N) n->type.dim[i] = opt->batch;
        if (oct_type_elements(&n->type, 1) < 0) {
            oct_error(cx, n->span, OCT_E6005, "'%s' has too many elements at batch %" PRId64, n->name, opt->batch);
            return false;
        }
    }
    return ok;
}

/* Ops on codes that a profile defines through float. */
static bool refuse_float(const struct oct_unit *u) {
    bool ok = true;
    for (int i = 0; i < u->plan.nsteps; i++) {
        const struct oct_step *s = &u->plan.step[i];
        if (!lp_has_floats(s->b.k)) continue;
        oct_error(u->cx, s->node->span, OCT_E6004, "%s '%s' computes in float under its profile", oct_op_info(s->node->op)->name,
                  s->node->name);
        oct_help(u->cx, "profiles q31, tflm and pot are integer throughout");
        ok = false;
    }
    return ok;
}

/* Quantizing, at run time too, dequantizing and moving floats are exact always. */
bool oct_require_exact(struct oct_ctx *cx, const struct oct_module *m, const struct oct_compile_options *opt, const char *what) {
    bool ok = true;
    if (opt->strict_float) return true;
    OCT_FOR_NODES(m, n) {
        if (n->type.dtype != OCT_F32 || n->op == OCT_OP_input || n->op == OCT_OP_const || n->op == OCT_OP_dequantize) continue;
        if (oct_op_info(n->op)->flags & OCT_MOVES || n->op == OCT_OP_gather || n->op == OCT_OP_dynamic_quantize) continue;
        if (n->at.dynamic) continue; /* docs/numerics.md 10: nothing of it is contracted */
        oct_error(cx, n->span, OCT_E6006, "%s: %s '%s' is float, whose bits are not promised", what, oct_op_info(n->op)->name,
                  n->name);
        oct_help(cx, "--strict-float promises them");
        ok = false;
    }
    return ok;
}

void oct_compiled_init(struct oct_compiled *c, struct oct_arena *a) {
    struct oct_text *const texts[] = {&c->c, &c->h, &c->json, &c->weights, &c->weights_s, &c->explain};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) oct_text_init(texts[i], a);
}

bool oct_unit_plan(struct oct_unit *u, const struct oct_module *model) {
    u->m = oct_module_clone(model, u->cx);
    return bind_batch(u->cx, u->m, u->opt) && oct_plan_make(u->cx, u->a, u->m, u->opt, &u->plan);
}

bool oct_compile(struct oct_ctx *cx, struct oct_arena *a, const struct oct_module *model, const struct oct_compile_options *opt,
                 struct oct_compiled *out) {
    struct oct_unit u = {.cx = cx, .a = a, .opt = opt};
    oct_compiled_init(out, a);
    if (!oct_unit_plan(&u, model)) return false;
    if (opt->no_float && !refuse_float(&u)) return false;
    oct_program_make(&u);
    if (opt->self_test && !oct_selftest_add(&u)) return false;
    out->program = u.program;
    if (!opt->no_source) oct_print_source(&u, out);
    oct_print_header(&u, &out->h);
    oct_print_report(&u, &out->json, &out->explain);
    return true;
}
