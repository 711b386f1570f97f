/* report_memory.c - the arena over time, as the compiler's own planner lays it out for --target (c99 without it: the same on
 * every machine). It plans in a context of its own: a model that the compiler refuses can still be compared. */
#include <setjmp.h>
#include <string.h>

#include "../backend/program.h"
#include "report.h"

static const char *label(struct drv *d, const struct oct_step *s, bool scratch) {
    const char *of = s->kind == OCT_STEP_COPY   ? "copy of "
                     : s->kind == OCT_STEP_FILL ? "border of "
                     : scratch                  ? "scratch of "
                                                : "";
    return oct_sprintf(d->a, "%s%s", of, s->node->name);
}

static void draw(struct drv *d, const struct oct_plan *p, struct drv_memory *out) {
    out->nsteps = p->nsteps;
    out->step = OCT_NEW_N(d->a, const char *, p->nsteps);
    out->block = OCT_NEW_N(d->a, struct drv_block, p->nroots);
    out->arena_bytes = p->arena_bytes;
    out->lower_bound = p->arena_lower_bound;
    const char **name = OCT_NEW_N(d->a, const char *, p->nroots);
    bool *scratch = OCT_NEW_N(d->a, bool, p->nroots);
    for (int i = 0; i < p->nsteps; i++) {
        const struct oct_step *s = &p->step[i];
        out->step[i] = label(d, s, false);
        if (s->out_root >= 0 && (!name[s->out_root] || s->kind == OCT_STEP_NODE)) name[s->out_root] = out->step[i];
        if (s->scratch_root < 0) continue;
        name[s->scratch_root] = label(d, s, true);
        scratch[s->scratch_root] = true;
    }
    for (int i = 0; i < p->nroots; i++) {
        const struct oct_root *r = &p->root[i];
        if (r->kind == OCT_ROOT_ARENA)
            out->block[out->nblocks++] =
                (struct drv_block){name[i] ? name[i] : "?", scratch[i], r->offset, r->bytes, r->first, r->last};
    }
}

/* The other context unwinds to here; what it made is freed by the caller. */
static bool plan(struct drv *d, struct oct_ctx *cx, const struct oct_module *b, const struct oct_compile_options *opt,
                 struct drv_memory *out) {
    jmp_buf fatal;
    cx->on_fatal = &fatal;
    if (setjmp(fatal)) return false;
    struct oct_unit u = {.cx = cx, .a = oct_own(cx), .opt = opt};
    if (!oct_unit_plan(&u, b)) return false;
    draw(d, &u.plan, out);
    return true;
}

/* "error: what is wrong", the first line, without the place. */
static const char *first_message(struct drv *d, struct oct_ctx *cx) {
    struct oct_text t;
    oct_text_init(&t, d->a);
    oct_diag_render(cx, &t);
    const char *s = t.len ? strstr(t.s, "error: ") : NULL;
    s = s ? s + strlen("error: ") : "out of memory";
    return oct_strndup(d->a, s, strcspn(s, "\n"));
}

bool drv_report_memory(struct drv *d, const struct oct_module *b, struct drv_memory *out) {
    const struct oct_target *target =
        d->o.target || d->o.targets || d->o.cpu || d->o.features ? drv_target(d) : oct_target_find("c99");
    if (!target) return false;
    const struct oct_compile_options opt = {.target = target, .name = "model", .batch = 1, .threads = 1, .no_source = true};
    *out = (struct drv_memory){.target = target->name};
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    if (!plan(d, &cx, b, &opt, out)) { *out = (struct drv_memory){.target = target->name, .why_not = first_message(d, &cx)}; }
    oct_ctx_free(&cx);
    return true;
}
