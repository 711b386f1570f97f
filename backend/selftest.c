/* selftest.c - NAME_selftest(arena): the program checks itself where it runs. It fills the inputs with pseudo-random codes, runs,
 * and compares checksums with those that the interpreter gave at compile time. On the first vector every layer is checked as it
 * is made; the others go through NAME_run. All of it is loops and calls as any program's, so every back end prints it.
 *
 * Its arena holds that of NAME_run, then the inputs, the outputs, and four words of state. */
#include <inttypes.h>
#include <string.h>

#include "../ir/interp.h"
#include "program.h"

enum { VECTORS = 3, SEED = 1 };
enum { SUM, RANDOM, NUMBER, STATUS, STATE_WORDS }; /* of the state: STATUS is the number of the first check that failed */
/* FNV-1a over bytes: each step is a bijection of the sum, so that one wrong byte cannot be lost. */
#define SUM_BASIS UINT32_C(2166136261)
#define SUM_PRIME UINT32_C(16777619)
/* The linear congruential generator of Numerical Recipes; its high bits are used. */
#define RANDOM_FACTOR UINT32_C(1664525)
#define RANDOM_STEP   UINT32_C(1013904223)

struct selftest {
    struct oct_unit *u;
    struct oct_exec *ex;
    struct oct_entry *e;
    int64_t *base;   /* of each parameter in the arena */
    int64_t state;   /* where the words are */
    uint32_t random; /* as the program's own will be */
    uint32_t *want;  /* of each check */
    int nchecks, done;
    int begin, sum, verdict, *fill; /* functions */
    struct oct_arg *verdict_arg;    /* of all its calls */
    struct oct_text doc;
};

/* ---- the kernels --------------------------------------------------------------------------------------------------------------
 */

static struct lp_val u32(uint32_t v) { return lp_int(LP_U32, (int64_t)v); }
static struct lp_val load_word(struct lp_kernel *k, int32_t state, int word, const char *name) {
    return lp_load(k, name, lp_scalar(LP_U32), state, lp_at(word));
}
static int32_t state_of(struct lp_kernel *k, enum lp_buf_kind kind) {
    return lp_buffer(k, "state", LP_U32, kind, STATE_WORDS, OCT_ARENA_ALIGN);
}

static int add_kernel(struct selftest *t, const struct lp_kernel *k, const char *name, const char *doc) {
    const char *why;
    if (!lp_verify(k, &why)) oct_internal(t->u->cx, (struct oct_span){0, 0, 0}, "self-test, %s: %s", name, why);
    return oct_program_function(t->u->program, t->u->a, k, name, doc);
}

static int build_begin(struct selftest *t) {
    struct lp_kernel *k = lp_new(t->u->cx, t->u->a);
    const int32_t state = state_of(k, LP_BUF_OUT);
    static const uint32_t first[STATE_WORDS] = {[SUM] = SUM_BASIS, [RANDOM] = SEED};
    for (int i = 0; i < STATE_WORDS; i++) lp_store(k, state, lp_at(i), u32(first[i]));
    return add_kernel(t, k, "selftest_begin", "self-test: sum, generator, number of checks, first that failed");
}

/* The next code in [min, max] of a type, from all bits; floats lie in [lo, hi). */
static struct lp_val code_of(struct lp_kernel *k, const struct oct_type *type, struct lp_val r, float lo, float hi) {
    const enum lp_elem elem = oct_k_elem(type->dtype);
    if (type->dtype == OCT_F32) {
        struct lp_val x = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I32), lp_shift(k, NULL, LP_OP_shr, r, 8));
        x = lp_op1(k, NULL, LP_OP_i2f, lp_scalar(LP_F32), x);
        x = lp_op2(k, NULL, LP_OP_fmul, x, lp_flt(LP_F32, (double)((hi - lo) / 16777216)));
        return lp_op2(k, NULL, LP_OP_fadd, x, lp_flt(LP_F32, (double)lo));
    }
    const int64_t count = oct_dtype_max(type->dtype) - oct_dtype_min(type->dtype);
    int shift = 0; /* from 32 bits to those of the type */
    while (shift < 31 && (count >> (31 - shift)) == 0) shift++;
    struct lp_val x = shift ? lp_shift(k, NULL, LP_OP_shr, r, shift) : r;
    if (elem == LP_I64) return lp_op1(k, NULL, LP_OP_cvt, lp_scalar(elem), x);
    x = lp_op2(k, NULL, LP_OP_add, x, u32((uint32_t)oct_dtype_min(type->dtype)));
    return elem == LP_U32 ? x : lp_op1(k, NULL, LP_OP_cvt, lp_scalar(elem), x);
}

static int build_fill(struct selftest *t, const struct oct_node *input) {
    struct lp_kernel *k = lp_new(t->u->cx, t->u->a);
    float lo, hi;
    oct_input_range(t->u->m, input, &lo, &hi);
    const int64_t n = oct_type_elements(&input->type, 1);
    const int32_t state = state_of(k, LP_BUF_INOUT),
                  out = lp_buffer(k, "x", oct_k_elem(input->type.dtype), LP_BUF_OUT, n, OCT_ARENA_ALIGN);
    struct lp_val r = load_word(k, state, RANDOM, "random");
    const int32_t i = lp_loop(k, "i", n);
    lp_set(k, r, lp_op2(k, NULL, LP_OP_add, lp_op2(k, NULL, LP_OP_mul, r, u32(RANDOM_FACTOR)), u32(RANDOM_STEP)));
    lp_store(k, out, lp_plus(lp_at(0), i, 1), code_of(k, &input->type, r, lo, hi));
    lp_end(k);
    lp_store(k, state, lp_at(RANDOM), r);
    return add_kernel(t, k, "selftest_fill", "self-test: pseudo-random codes for an input");
}

/* The bytes [lo, hi) of the arena. */
static int build_sum(struct selftest *t) {
    struct lp_kernel *k = lp_new(t->u->cx, t->u->a);
    const int32_t state = state_of(k, LP_BUF_INOUT), bytes = lp_buffer(k, "bytes", LP_U8, LP_BUF_IN, t->state, OCT_ARENA_ALIGN);
    const int32_t i = lp_range(k, "i", t->state);
    struct lp_val sum = load_word(k, state, SUM, "sum");
    struct lp_val x = lp_load(k, NULL, lp_scalar(LP_U8), bytes, lp_plus(lp_at(0), i, 1));
    x = lp_op2(k, NULL, LP_OP_xor, sum, lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_U32), x));
    lp_store(k, state, lp_at(SUM), lp_op2(k, NULL, LP_OP_mul, x, u32(SUM_PRIME)));
    lp_end(k);
    return add_kernel(t, k, "selftest_sum", "self-test: checksum of bytes of the arena (FNV-1a)");
}

static int build_verdict(struct selftest *t) {
    struct lp_kernel *k = lp_new(t->u->cx, t->u->a);
    const int32_t state = state_of(k, LP_BUF_INOUT),
                  want = lp_buffer(k, "want", LP_U32, LP_BUF_CONST, t->nchecks, OCT_ARENA_ALIGN);
    struct lp_val number = lp_op1(k, "number", LP_OP_cvt, lp_scalar(LP_I32), load_word(k, state, NUMBER, NULL));
    struct lp_val at = lp_op2(k, NULL, LP_OP_max, number, lp_int(LP_I32, 0)); /* for the verifier: it is in bounds */
    at = lp_op2(k, "at", LP_OP_min, at, lp_int(LP_I32, t->nchecks - 1));
    struct lp_val expected = lp_load(k, NULL, lp_scalar(LP_U32), want, lp_indexed(lp_at(0), at, 0, t->nchecks - 1));
    struct lp_val right = lp_op2(k, NULL, LP_OP_eq, load_word(k, state, SUM, NULL), expected);
    struct lp_val status = load_word(k, state, STATUS, "status"), failed = lp_op2(k, NULL, LP_OP_ne, status, u32(0));
    struct lp_val next = lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_U32), number);
    next = lp_op2(k, "next", LP_OP_add, next, u32(1));
    lp_store(k, state, lp_at(STATUS), lp_op3(k, NULL, LP_OP_select, lp_op2(k, NULL, LP_OP_or, right, failed), status, next));
    lp_store(k, state, lp_at(NUMBER), next);
    lp_store(k, state, lp_at(SUM), u32(SUM_BASIS));
    return add_kernel(t, k, "selftest_verdict", "self-test: is the sum what the interpreter's was?");
}

/* ---- what the checks are, for the header ---- */

/* The number of the check that comes next, and what it checks. */
static void describe(struct selftest *t, const char *what) {
    const char *line = strrchr(t->doc.s, '\n');
    const size_t width = t->doc.len - (size_t)((line ? line : t->doc.s) - t->doc.s);
    oct_text_addf(&t->doc, "%s%s%d ", t->done ? "," : "", width > 100 ? "\n * " : " ", t->done + 1);
    oct_comment_text(&t->doc, what);
}

/* ---- calls
 * ----------------------------------------------------------------------------------------------------------------------- */

static struct oct_arg arena(int64_t at) { return oct_arg(OCT_ARG_ARENA, at); }

/* Of a kernel whose first buffer is the state. */
static struct oct_call *call(struct selftest *t, int function, const char *what, struct oct_arg second) {
    struct oct_arg *arg = OCT_NEW_N(t->u->a, struct oct_arg, 2);
    arg[0] = arena(t->state);
    arg[1] = second;
    struct oct_call *c = &t->e->call[t->e->ncalls++];
    *c = (struct oct_call){.layer = what, .function = function, .arg = arg};
    return c;
}

static void add_sum(struct selftest *t, int64_t at, int64_t bytes) {
    struct oct_call *c = call(t, t->sum, "sum", arena(0));
    c->lo = at;
    c->hi = at + bytes;
}
static void add_verdict(struct selftest *t, uint32_t sum, const char *what) {
    describe(t, what);
    t->e->call[t->e->ncalls++] = (struct oct_call){.layer = "verdict", .function = t->verdict, .arg = t->verdict_arg};
    t->want[t->done++] = sum;
}

static void run_call(struct selftest *t) {
    const struct oct_entry *run = &t->u->program->entry[0];
    struct oct_arg *arg = OCT_NEW_N(t->u->a, struct oct_arg, run->nparams + 1);
    for (int i = 0; i < run->nparams; i++) arg[i] = arena(t->base[i]);
    arg[run->nparams] = arena(0);
    t->e->call[t->e->ncalls++] = (struct oct_call){.layer = "run", .function = OCT_CALL_RUN, .arg = arg};
}

/* A call of the run entry on the self-test's own inputs and outputs. */
static void step_call(struct selftest *t, const struct oct_call *from) {
    const int n = t->u->program->function[from->function].k->nbufs;
    struct oct_arg *arg = OCT_NEW_N(t->u->a, struct oct_arg, n);
    for (int i = 0; i < n; i++) arg[i] = from->arg[i].kind == OCT_ARG_PARAM ? arena(t->base[from->arg[i].at]) : from->arg[i];
    struct oct_call *c = &t->e->call[t->e->ncalls++];
    *c = *from;
    c->arg = arg;
}

/* ---- what the interpreter says
 * ------------------------------------------------------------------------------------------------------ */

static uint32_t add_bytes(uint32_t sum, const void *data, size_t n) {
    for (size_t i = 0; i < n; i++) sum = (sum ^ ((const uint8_t *)data)[i]) * SUM_PRIME;
    return sum;
}

/* The bytes of a value as a layout has them, its border filled. */
static uint32_t add_value(struct selftest *t, uint32_t sum, const struct oct_node *n, const struct oct_layout *at) {
    const size_t size = oct_dtype_size(n->type.dtype);
    const char *from = oct_exec_value(t->ex, n)->data;
    struct oct_arena *scratch = oct_arena_new(t->u->cx);
    char *image = oct_alloc_n(scratch, (size_t)at->size, size);
    const int64_t elements = oct_layout_elements(at), zero = n->type.q ? oct_zero(n->type.q, 0) : 0;
    if (elements < at->size)
        for (int64_t i = 0; i < at->size && !oct_dtype_is_float(n->type.dtype); i++) oct_store_int(n->type.dtype, image, i, zero);
    for (int64_t i = 0; i < elements; i++) memcpy(image + (size_t)oct_layout_place(at, i) * size, from + (size_t)i * size, size);
    sum = add_bytes(sum, image, (size_t)at->size * size);
    oct_arena_free(scratch);
    return sum;
}

/* Is the memory that a step writes that of one value with its border, and nothing else? A part of another value's is not. */
static bool is_checked(const struct oct_step *s) {
    const struct oct_layout *at = &s->b.out.at;
    int64_t n = oct_layout_elements(at);
    if (at->rank == 4)
        n = n / (at->dim[2] * at->dim[3]) * (at->dim[2] + at->border[0] + at->border[2]) *
            (at->dim[3] + at->border[1] + at->border[3]);
    return s->kind == OCT_STEP_NODE && n == at->size;
}

/* What selftest_fill writes, as the interpreter's input. */
static void feed(struct selftest *t, const struct oct_node *input) {
    struct oct_layout at;
    struct oct_tensor *x = oct_exec_value(t->ex, input);
    const size_t size = oct_dtype_size(input->type.dtype);
    const int64_t n = oct_tensor_elements(x);
    float lo, hi;
    oct_input_range(t->u->m, input, &lo, &hi);
    oct_layout_outer(&at, &input->type, t->u->opt->io_layout);
    char *memory = oct_alloc_n(t->u->a, (size_t)n, size);
    for (int64_t i = 0; i < n; i++) {
        t->random = t->random * RANDOM_FACTOR + RANDOM_STEP;
        if (input->type.dtype == OCT_F32) {
            const float part = (float)(t->random >> 8) * ((hi - lo) / 16777216);
            ((float *)(void *)memory)[i] = part + lo;
            continue;
        }
        const int64_t least = oct_dtype_min(input->type.dtype), count = oct_dtype_max(input->type.dtype) - least;
        uint32_t r = t->random;
        for (int bit = 31; bit > 0 && (count >> bit) == 0; bit--) r >>= 1;
        oct_store_int(input->type.dtype, memory, i, input->type.dtype == OCT_I64 ? (int64_t)r : least + (int64_t)r);
    }
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)x->data + (size_t)i * size, memory + (size_t)oct_layout_place(&at, i) * size, size);
}

/* ---- vectors
 * ---------------------------------------------------------------------------------------------------------------------------- */

/* Fills the inputs, there and here. */
static void begin_vector(struct selftest *t) {
    for (int i = 0; i < t->u->plan.ninputs; i++) {
        call(t, t->fill[i], "inputs", arena(t->base[i]));
        feed(t, t->u->plan.input[i]);
    }
    oct_exec_run(t->ex, NULL, NULL);
}

static void first_vector(struct selftest *t) {
    const struct oct_plan *plan = &t->u->plan;
    const struct oct_entry *run = &t->u->program->entry[0];
    begin_vector(t);
    for (int i = 0; i < plan->nsteps; i++) {
        const struct oct_step *s = &plan->step[i];
        const struct oct_root *r = &plan->root[s->out_root];
        step_call(t, &run->call[i]);
        if (!is_checked(s)) continue;
        const int64_t at = r->kind == OCT_ROOT_ARENA ? r->offset : t->base[plan->ninputs + r->index];
        add_sum(t, at, s->b.out.at.size * (int64_t)oct_dtype_size(s->node->type.dtype));
        add_verdict(t, add_value(t, SUM_BASIS, s->node, &s->b.out.at), s->node->name);
    }
}

static void later_vector(struct selftest *t, int number) {
    uint32_t sum = SUM_BASIS;
    begin_vector(t);
    run_call(t);
    for (uint32_t i = 0; i < t->u->m->noutputs; i++) {
        const struct oct_node *n = t->u->m->output[i].node;
        struct oct_layout at;
        oct_layout_outer(&at, &n->type, t->u->opt->io_layout);
        add_sum(t, t->base[t->u->plan.ninputs + (int)i], at.size * (int64_t)oct_dtype_size(n->type.dtype));
        sum = add_value(t, sum, n, &at);
    }
    add_verdict(t, sum, oct_sprintf(t->u->a, "outputs of vector %d", number));
}

/* ---- */

static int64_t aligned(int64_t n) { return (n + OCT_ARENA_ALIGN - 1) / OCT_ARENA_ALIGN * OCT_ARENA_ALIGN; }

static void place_parameters(struct selftest *t) {
    const struct oct_unit *u = t->u;
    const int nin = u->plan.ninputs, nparams = u->program->entry[0].nparams;
    int64_t at = aligned(u->plan.arena_bytes);
    t->base = OCT_NEW_N(u->a, int64_t, nparams + 1);
    for (int i = 0; i < nparams; i++) {
        const struct oct_type *type = i < nin ? &u->plan.input[i]->type : &u->m->output[i - nin].node->type;
        t->base[i] = at;
        at += aligned(oct_type_elements(type, 1) * (int64_t)oct_dtype_size(type->dtype));
    }
    t->state = at;
}

static void build_kernels(struct selftest *t) {
    t->begin = build_begin(t);
    t->fill = OCT_NEW_N(t->u->a, int, t->u->plan.ninputs + 1);
    for (int i = 0; i < t->u->plan.ninputs; i++) t->fill[i] = build_fill(t, t->u->plan.input[i]);
    t->sum = build_sum(t);
    t->nchecks = VECTORS - 1;
    for (int i = 0; i < t->u->plan.nsteps; i++) t->nchecks += is_checked(&t->u->plan.step[i]);
    t->want = OCT_NEW_N(t->u->a, uint32_t, t->nchecks);
    t->verdict = build_verdict(t);
}

static void add_vectors(struct selftest *t) {
    struct oct_arg *state = OCT_NEW_N(t->u->a, struct oct_arg, 2);
    state[0] = arena(t->state);
    t->verdict_arg = state;
    t->e->call[t->e->ncalls++] = (struct oct_call){.layer = "begin", .function = t->begin, .arg = state};
    first_vector(t);
    for (int i = 2; i <= VECTORS; i++) later_vector(t, i);
    struct oct_packed *want = OCT_NEW(t->u->a, struct oct_packed);
    *want = (struct oct_packed){"checksums of the self-test", LP_U32, t->nchecks, t->want};
    state[1] = oct_arg(OCT_ARG_CONST, oct_program_constant(t->u->program, want));
}

bool oct_selftest_add(struct oct_unit *u) {
    struct oct_program *p = u->program;
    struct selftest t = {.u = u, .random = SEED};
    if (!oct_require_exact(u->cx, u->m, u->opt, "--self-test")) return false;
    t.ex = oct_exec_new(u->cx, u->m, 1);
    if (!t.ex) return false;
    oct_exec_keep_all(t.ex, true);
    oct_text_init(&t.doc, u->a);
    place_parameters(&t);
    t.e = &p->entry[p->nentries++];
    *t.e = (struct oct_entry){
        .name = oct_sprintf(u->a, "%s_selftest", p->name),
        .run = true,
        .status = t.state + STATUS * (int64_t)sizeof(uint32_t),
        .call = OCT_NEW_N(u->a, struct oct_call, 3 * u->plan.nsteps + VECTORS * (u->plan.ninputs + (int)u->m->noutputs + 2) + 1)};
    p->selftest_bytes = t.state + STATE_WORDS * (int64_t)sizeof(uint32_t);
    oct_text_addf(
        &t.doc, "Checks itself on %d vectors. arena: %" PRId64 " bytes. 0, or the number of the first check that fails:", VECTORS,
        p->selftest_bytes);
    build_kernels(&t);
    add_vectors(&t);
    p->selftest_doc = t.doc.s;
    oct_exec_free(t.ex);
    return true;
}
