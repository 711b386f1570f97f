/* plan.c - layouts, aliases, steps. Requires a module with N bound; node->tag is the planner's. */
#include "plan.h"

#include "../kernels/map.h"

#include <math.h>
#include <string.h>

struct value {
    struct oct_layout at;
    int root;
    bool external; /* lies in the caller's memory */
};
struct planner {
    struct oct_ctx *cx;
    struct oct_arena *a;
    struct oct_module *m;
    const struct oct_compile_options *opt;
    struct oct_plan *p;
    int cap_steps, cap_roots;
    int untuned; /* layers of several ways that the tuner's file does not know */
};

static struct value *value_of(const struct oct_node *n) { return n->tag; }
static size_t elem_bytes(const struct oct_node *n) { return lp_elem_size(oct_k_elem(n->type.dtype)); }

static int new_root(struct planner *pl, enum oct_root_kind kind, int index, int64_t bytes, int64_t logical) {
    struct oct_plan *p = pl->p;
    if (p->nroots == pl->cap_roots) {
        struct oct_root *more = OCT_NEW_N(pl->a, struct oct_root, pl->cap_roots = pl->cap_roots * 2 + 32);
        if (p->nroots) memcpy(more, p->root, sizeof *more * (size_t)p->nroots);
        p->root = more;
    }
    p->root[p->nroots] = (struct oct_root){kind, index, bytes, logical, INT32_MAX, -1, 0};
    return p->nroots++;
}
static void touch(struct oct_plan *p, int root, int step) {
    if (root < 0) return;
    if (step < p->root[root].first) p->root[root].first = step;
    if (step > p->root[root].last) p->root[root].last = step;
}

static struct oct_step *new_step(struct planner *pl, enum oct_step_kind kind, const struct oct_node *node, int nin) {
    struct oct_plan *p = pl->p;
    if (p->nsteps == pl->cap_steps) {
        struct oct_step *more = OCT_NEW_N(pl->a, struct oct_step, pl->cap_steps = pl->cap_steps * 2 + 32);
        if (p->nsteps) memcpy(more, p->step, sizeof *more * (size_t)p->nsteps);
        p->step = more;
    }
    struct oct_step *s = &p->step[p->nsteps++];
    *s = (struct oct_step){.kind = kind, .node = node, .out_root = -1, .scratch_root = -1};
    s->in_root = OCT_NEW_N(pl->a, int, nin + 1);
    s->b = (struct oct_kbuild){.cx = pl->cx,
                               .arena = pl->a,
                               .target = pl->opt->target,
                               .strict_float = pl->opt->strict_float,
                               .no_float = pl->opt->no_float,
                               .no_requant_proof = pl->opt->no_requant_proof,
                               .threads = pl->opt->threads > 1 ? pl->opt->threads : 1,
                               .node = node,
                               .nin = nin,
                               .in = OCT_NEW_N(pl->a, struct oct_operand, nin + 1),
                               .inplace = -1};
    return s;
}

/* ---- layouts
 * --------------------------------------------------------------------------------------------------------------------- */

/* The output that a node's kernel may write at once: it is read by nothing else. */
static int direct_output(const struct oct_module *m, const struct oct_node *n) {
    int at = -1;
    for (uint32_t i = 0; i < m->noutputs; i++)
        if (m->output[i].node == n) {
            if (at >= 0) return -1;
            at = (int)i;
        }
    return at >= 0 && n->nuses == 1 ? at : -1;
}

/* The first kernel that takes this convolution's operand without a border; NULL: padding is read from the operand's. */
static const struct oct_kernel_info *borderless(const struct planner *pl, const struct oct_node *conv) {
    static const int64_t none[4] = {0};
    struct oct_operand in[4] = {0};
    struct oct_kbuild b = {
        .cx = pl->cx, .arena = pl->a, .target = pl->opt->target, .node = conv, .nin = conv->noperands, .in = in, .inplace = -1};
    for (int i = 0; i < conv->noperands; i++) {
        const struct oct_node *o = in[i].node = conv->operand[i];
        if (o && o->type.rank == 4) oct_layout_nhwc(&in[i].at, o->type.dim, none);
        else if (o) oct_layout_plain(&in[i].at, o->type.rank, o->type.dim);
    }
    b.out.node = conv;
    if (direct_output(pl->m, conv) >= 0) oct_layout_outer(&b.out.at, &conv->type, pl->opt->io_layout);
    else oct_layout_nhwc(&b.out.at, conv->type.dim, none);
    return oct_kernel_fits(&b);
}
/* Border that the convolutions on codes that read a value need; or also what they are better with. */
static void wanted_border(const struct planner *pl, const struct oct_node *n, bool better, int64_t border[4]) {
    memset(border, 0, 4 * sizeof *border);
    OCT_FOR_NODES(pl->m, c) {
        if (c->op != OCT_OP_conv2d || c->operand[0] != n || !oct_k_is_codes(&c->type)) continue;
        const struct oct_kernel_info *k = borderless(pl, c);
        const bool rows = !k || (better && k->flags & OCT_K_BORDER_ROWS);
        for (int i = 0; i < 4; i++)
            if ((i % 2 ? !k : rows) && c->at.pad[i] > border[i]) border[i] = c->at.pad[i];
    }
}
static void inner_layout(const struct planner *pl, const struct oct_node *n, bool better, struct oct_layout *at) {
    int64_t border[4];
    wanted_border(pl, n, better, border);
    if (n->type.rank == 4) oct_layout_nhwc(at, n->type.dim, border);
    else oct_layout_plain(at, n->type.rank, n->type.dim);
}
static void outer_layout(const struct planner *pl, const struct oct_node *n, struct oct_layout *at) {
    oct_layout_outer(at, &n->type, pl->opt->io_layout);
}
static bool has_border(const struct oct_layout *at) {
    return (at->border[0] | at->border[1] | at->border[2] | at->border[3]) != 0;
}

/* A reshape whose elements all stay where they are. */
static bool stays(const struct oct_node *n, const struct oct_layout *in, struct oct_layout *out) {
    if (n->op != OCT_OP_reshape && n->op != OCT_OP_flatten && n->op != OCT_OP_squeeze && n->op != OCT_OP_unsqueeze) return false;
    struct oct_layout a, b;
    if (has_border(out) || !oct_layout_refine(in, out, &a, &b)) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] > 1 && a.stride[i] != b.stride[i]) return false;
    out->offset = in->offset;
    out->size = in->size;
    return true;
}

/* ---- views: a slice read where its operand lies, parts of a concat written where its result lies
 * ------------------------------------ */

static bool needs_border(const struct planner *pl, const struct oct_node *n) {
    int64_t border[4];
    wanted_border(pl, n, false, border);
    return (border[0] | border[1] | border[2] | border[3]) != 0;
}

/* The part of `whole` that starts at `begin` along `axis` and takes each `step`-th of `dim` indices. */
static void narrow(struct oct_layout *whole, int axis, int64_t begin, int64_t step, int64_t dim) {
    whole->offset += begin * whole->stride[axis];
    whole->stride[axis] *= step;
    whole->dim[axis] = dim;
    memset(whole->border, 0, sizeof whole->border);
}

/* A slice takes no step and no memory: unless it runs backwards, must have a border, or is an output. */
static bool slice_view(const struct planner *pl, const struct oct_node *n, struct oct_layout *out) {
    if (n->op != OCT_OP_slice || n->operand[0]->op == OCT_OP_const || needs_border(pl, n)) return false;
    *out = value_of(n->operand[0])->at;
    for (int i = 0; i < n->at.axes.n; i++) {
        const int axis = (int)n->at.axes.v[i];
        if (n->at.step.n && n->at.step.v[i] < 1) return false;
        narrow(out, axis, n->at.begin.v[i], n->at.step.n ? n->at.step.v[i] : 1, n->type.dim[axis]);
    }
    return true;
}

/* Can the kernel that makes `part` write it into the concat's result? Its codes must be the result's, nobody else may read it,
 * and a kernel must make it: a view or a part of another concat has its place already. */
static bool joins(const struct oct_node *part, const struct oct_node *concat) {
    if (part->op == OCT_OP_const || part->op == OCT_OP_input || part->nuses != 1 || part->tag || part->op == OCT_OP_concat)
        return false;
    if (oct_op_info(part->op)->flags & OCT_MOVES) return false;
    if (part->type.dtype != concat->type.dtype || (part->type.q == NULL) != (concat->type.q == NULL)) return false;
    if (part->type.q && !oct_quant_equal(part->type.q, concat->type.q)) return false;
    return true;
}

/* ---- threads
 * ------------------------------------------------------------------------------------------------------------------------ */

/* What a step takes: as its kernel predicts, or about so much. */
static double cycles_of(const struct oct_step *s) {
    const bool vectors = s->b.target->vector_bits >= 256;
    int64_t elements = oct_layout_elements(&s->b.out.at);
    if (s->kind == OCT_STEP_NODE && s->b.way.cycles < HUGE_VAL) return s->b.way.cycles;
    for (int i = 0; i < s->b.nin; i++)
        if (s->in_root[i] >= 0 && oct_layout_elements(&s->b.in[i].at) > elements) elements = oct_layout_elements(&s->b.in[i].at);
    const int64_t macs = s->kind == OCT_STEP_NODE ? oct_macs(s->node) : 0;
    return vectors ? (double)macs / 8 + (double)elements / 2 : (double)(macs + elements);
}
/* Threads meet before and after a step that they share: some hundred cycles where all arrive together, and more where they do
 * not; and what one of them made comes slowly to another. Less than a microsecond is not worth it. */
static void share(const struct planner *pl, struct oct_step *s) {
    enum { LEAST_CYCLES = 2500 };
    if (pl->opt->threads < 2 || cycles_of(s) < (double)LEAST_CYCLES) return;
    s->split = lp_share(s->b.k) && lp_units(s->b.k) > 1;
}
static void finish(const struct planner *pl, struct oct_step *s) {
    const char *why;
    share(pl, s);
    if (!lp_verify(s->b.k, &why)) oct_internal(pl->cx, s->node->span, "step for %s: %s", s->node->name, why);
}
/* Parts do not share a line of the cache. */
int64_t oct_plan_scratch(const struct oct_step *s) { return s->split ? (s->b.scratch_bytes + 63) / 64 * 64 : s->b.scratch_bytes; }

/* ---- copies and fills, which belong to no op
 * -------------------------------------------------------------------------------------- */

static void build_begin(struct oct_kbuild *b) {
    b->k = lp_new(b->cx, b->arena);
    b->acc_bound = -1;
    oct_text_init(&b->proof, b->arena);
    for (int i = 0; i < OCT_K_MAX_BUFS; i++) b->opened_in[i] = -1;
    b->opened_out = -1;
}
static void build_copy(struct oct_kbuild *b) {
    build_begin(b);
    b->recipe = "copy";
    int32_t x = oct_k_in(b, 0), y = oct_k_out(b);
    oct_k_copy(b, x, &b->in[0].at, y, &b->out.at);
}
/* Runs of border elements: from one row's last pixel to the next row's first they lie together. */
static void fill_run(struct oct_kbuild *b, int32_t y, struct lp_addr at, int64_t n, struct lp_val v) {
    if (n <= 0) return;
    int32_t i = lp_loop(b->k, "i", n);
    lp_store(b->k, y, lp_plus(at, i, 1), v);
    lp_end(b->k);
}
static void build_fill(struct oct_kbuild *b) {
    build_begin(b);
    b->recipe = "border";
    const struct oct_layout *at = &b->out.at;
    enum lp_elem e = oct_k_elem(b->node->type.dtype);
    int32_t y = oct_k_out(b);
    struct lp_val v = b->node->type.q ? lp_int(e, oct_zero(b->node->type.q, 0)) : lp_flt(e, 0);
    struct lp_addr image = lp_at(0);
    const bool batch = at->dim[0] > 1;
    if (batch) image = lp_plus(image, lp_loop(b->k, "n", at->dim[0]), at->stride[0]);
    const int64_t row = at->dim[3] * at->stride[3], gap = at->stride[2] - row, rows = at->dim[2];
    fill_run(b, y, image, at->offset, v);
    if (rows > 1 && gap > 0) {
        int32_t r = lp_loop(b->k, "row", rows - 1);
        fill_run(b, y, lp_plus(lp_offset(image, at->offset + row), r, at->stride[2]), gap, v);
        lp_end(b->k);
    }
    int64_t end = at->offset + (rows - 1) * at->stride[2] + row;
    fill_run(b, y, lp_offset(image, end), at->stride[0] - end, v);
    if (batch) lp_end(b->k);
}

static void add_fill(struct planner *pl, const struct oct_node *n) {
    struct value *v = value_of(n);
    if (!has_border(&v->at)) return;
    struct oct_step *s = new_step(pl, OCT_STEP_FILL, n, 0);
    s->b.out = (struct oct_operand){n, v->at};
    s->out_root = v->root;
    build_fill(&s->b);
    finish(pl, s);
    touch(pl->p, v->root, pl->p->nsteps - 1);
}
static void add_copy(struct planner *pl, const struct oct_node *n, const struct oct_layout *from, int from_root,
                     const struct oct_layout *to, int to_root) {
    struct oct_step *s = new_step(pl, OCT_STEP_COPY, n, 1);
    s->b.in[0] = (struct oct_operand){n, *from};
    s->b.out = (struct oct_operand){n, *to};
    s->in_root[0] = from_root;
    s->out_root = to_root;
    build_copy(&s->b);
    finish(pl, s);
    touch(pl->p, from_root, pl->p->nsteps - 1);
    touch(pl->p, to_root, pl->p->nsteps - 1);
}

/* ---- values and steps
 * ------------------------------------------------------------------------------------------------------------------ */

static int arena_root(struct planner *pl, const struct oct_node *n, const struct oct_layout *at) {
    int64_t size = (int64_t)elem_bytes(n);
    return new_root(pl, OCT_ROOT_ARENA, 0, at->size * size, oct_layout_elements(at) * size);
}

static void plan_input(struct planner *pl, struct oct_node *n, int index) {
    struct value *v = n->tag = OCT_NEW(pl->a, struct value);
    struct oct_layout outer;
    outer_layout(pl, n, &outer);
    inner_layout(pl, n, false, &v->at);
    int root = new_root(pl, OCT_ROOT_INPUT, index, outer.size * (int64_t)elem_bytes(n), 0);
    if (!has_border(&v->at) && oct_layout_same(&v->at, &outer)) {
        *v = (struct value){outer, root, true};
        return;
    }
    v->root = arena_root(pl, n, &v->at);
    add_fill(pl, n);
    add_copy(pl, n, &outer, root, &v->at, v->root);
}

static bool last_reader(const struct oct_module *m, const struct oct_node *n, int root) {
    for (const struct oct_node *later = n->next; later; later = later->next)
        for (int i = 0; i < later->noperands; i++)
            if (later->operand[i] && later->operand[i]->tag && value_of(later->operand[i])->root == root) return false;
    for (uint32_t i = 0; i < m->noutputs; i++)
        if (m->output[i].node->tag && value_of(m->output[i].node)->root == root) return false;
    return true;
}

/* When all parts join, the concat gets its place before they are made, and takes no step. */
static void place_concat(struct planner *pl, struct oct_node *concat) {
    for (int i = 0; i < concat->noperands; i++)
        if (!joins(concat->operand[i], concat)) return;
    struct value *v = concat->tag = OCT_NEW(pl->a, struct value);
    inner_layout(pl, concat, false, &v->at);
    const int out = direct_output(pl->m, concat);
    if (out >= 0) {
        outer_layout(pl, concat, &v->at);
        v->root = new_root(pl, OCT_ROOT_OUTPUT, out, v->at.size * (int64_t)elem_bytes(concat), 0);
        v->external = true;
    } else v->root = arena_root(pl, concat, &v->at);
    int64_t begin = 0;
    for (int i = 0; i < concat->noperands; i++) {
        struct oct_node *part = concat->operand[i];
        struct value *p = part->tag = OCT_NEW(pl->a, struct value);
        *p = (struct value){v->at, v->root, v->external};
        narrow(&p->at, (int)concat->at.axis, begin, 1, part->type.dim[concat->at.axis]);
        begin += part->type.dim[concat->at.axis];
    }
}

static bool plan_node(struct planner *pl, struct oct_node *n) {
    struct value *v = n->tag;
    const struct oct_node *x = n->operand[0];
    const bool placed = v != NULL; /* a part of a concat, or a concat whose parts are in place */
    if (placed && n->op == OCT_OP_concat) {
        if (!v->external) add_fill(pl, n);
        return true;
    }
    if (!placed) {
        v = n->tag = OCT_NEW(pl->a, struct value);
        inner_layout(pl, n, false, &v->at);
        v->root = -1;
    }
    struct oct_layout view;
    if (!placed && direct_output(pl->m, n) < 0 && slice_view(pl, n, &view)) {
        *v = (struct value){view, value_of(x)->root, value_of(x)->external};
        return true;
    }
    if (!placed && x->op != OCT_OP_const && stays(n, &value_of(x)->at, &v->at)) {
        v->root = value_of(x)->root;
        v->external = value_of(x)->external;
        return true;
    }
    int out = placed ? -1 : direct_output(pl->m, n);
    if (out >= 0) {
        outer_layout(pl, n, &v->at);
        v->root = new_root(pl, OCT_ROOT_OUTPUT, out, v->at.size * (int64_t)elem_bytes(n), 0);
        v->external = true;
    }
    /* Rows around the result of a convolution cost nobody anything: it writes them like any, and takes over no operand's memory.
     */
    if (out < 0 && !placed && n->op == OCT_OP_conv2d) inner_layout(pl, n, true, &v->at);
    /* a border is filled before the kernel: decide on it before the step exists */
    bool fill = !placed && out < 0 && has_border(&v->at);
    if (fill) {
        v->root = arena_root(pl, n, &v->at);
        add_fill(pl, n);
    }
    struct oct_step *s = new_step(pl, OCT_STEP_NODE, n, n->noperands);
    for (int i = 0; i < n->noperands; i++) {
        const struct oct_node *o = n->operand[i];
        s->in_root[i] = -1;
        if (!o) continue;
        s->b.in[i].node = o;
        if (o->op == OCT_OP_const) inner_layout(pl, o, false, &s->b.in[i].at);
        else s->b.in[i].at = value_of(o)->at, s->in_root[i] = value_of(o)->root;
    }
    s->b.out = (struct oct_operand){n, v->at};
    if (pl->opt->tuned) s->b.tuned = oct_tuned_find(pl->opt->tuned, oct_tuned_key(pl->a, &s->b));
    s->info = oct_kernel_find(&s->b);
    if (pl->opt->tuned && !s->b.tuned && s->b.nways > 1) pl->untuned++;
    if (!s->info) {
        oct_error(pl->cx, n->span, OCT_E6001, "%s '%s': no kernel for %s", oct_op_info(n->op)->name, n->name,
                  oct_type_text(pl->a, &n->type));
        return false;
    }
    if (v->root < 0 && (s->info->flags & OCT_K_INPLACE))
        for (int i = 0; i < n->noperands && v->root < 0; i++) {
            const struct oct_node *o = n->operand[i];
            if (!o || o->op == OCT_OP_const || value_of(o)->external || elem_bytes(o) != elem_bytes(n)) continue;
            if (oct_k_elem(o->type.dtype) != oct_k_elem(n->type.dtype) || !oct_layout_same(&value_of(o)->at, &v->at)) continue;
            bool twice = false;
            for (int j = 0; j < n->noperands; j++)
                if (j != i && n->operand[j] && n->operand[j]->tag && value_of(n->operand[j])->root == value_of(o)->root)
                    twice = true;
            if (twice || value_of(o)->at.size != v->at.size || !last_reader(pl->m, n, value_of(o)->root)) continue;
            s->b.inplace = i;
            v->root = value_of(o)->root;
        }
    if (v->root < 0) v->root = arena_root(pl, n, &v->at);
    s->out_root = v->root;
    if (!oct_kernel_build(&s->b, s->info)) return false;
    finish(pl, s);
    int step = pl->p->nsteps - 1;
    for (int i = 0; i < n->noperands; i++) touch(pl->p, s->in_root[i], step);
    touch(pl->p, v->root, step);
    if (s->b.scratch_bytes) {
        int root = new_root(pl, OCT_ROOT_ARENA, 0, oct_plan_scratch(s) * (s->split ? pl->opt->threads : 1), 0);
        pl->p->step[step].scratch_root = root;
        touch(pl->p, root, step);
    }
    return true;
}

bool oct_plan_make(struct oct_ctx *cx, struct oct_arena *a, struct oct_module *m, const struct oct_compile_options *opt,
                   struct oct_plan *p) {
    *p = (struct oct_plan){0};
    struct planner pl = {.cx = cx, .a = a, .m = m, .opt = opt, .p = p};
    const unsigned errors = oct_error_count(cx);
    bool ok = true;
    oct_count_uses(m);
    p->input = OCT_NEW_N(a, const struct oct_node *, m->nnodes + 1);
    OCT_FOR_NODES(m, n) n->tag = NULL;
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_input) p->input[p->ninputs++] = n;
    }
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_concat) place_concat(&pl, n);
    }
    int index = 0;
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_const) continue;
        if (n->op == OCT_OP_input) plan_input(&pl, n, index++);
        else if (!plan_node(&pl, n)) {
            ok = false;
            if (!n->tag || value_of(n)->root < 0)
                value_of(n)->root = arena_root(&pl, n, &value_of(n)->at); /* go on: list all that is missing */
        }
    }
    for (uint32_t i = 0; i < m->noutputs && ok; i++) {
        struct oct_node *n = m->output[i].node;
        const struct value *v = n->tag; /* NULL: a constant, which the copy holds itself */
        if (v && v->external && p->root[v->root].kind == OCT_ROOT_OUTPUT) continue;
        struct oct_layout outer;
        outer_layout(&pl, n, &outer);
        int root = new_root(&pl, OCT_ROOT_OUTPUT, (int)i, outer.size * (int64_t)elem_bytes(n), 0);
        add_copy(&pl, n, v ? &v->at : &outer, v ? v->root : -1, &outer, root);
    }
    if (pl.untuned)
        oct_note(cx, opt->tuned->span, "%d layers have a shape that is not in this file: they are built as costs say",
                 pl.untuned);
    ok = ok && oct_error_count(cx) == errors;                          /* a tuner's file that a layer refused */
    p->align = opt->target->vector_bits >= 256 ? 64 : OCT_ARENA_ALIGN; /* vectors that cross cache lines cost twice */
    if (ok) oct_plan_memory(p, a);
    return ok;
}
