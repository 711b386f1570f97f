/* interp.c - instances of a module: values bound to a batch size, buffers, running. Requires a verified module in execution
 * order; the hooks (interp_*.c) compute. Inputs, constants and outputs keep their buffers; other values share one block by
 * liveness, unless keep_all. */
#include "interp_impl.h"

/* ---- node -> step ------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const struct oct_node *n) { return (uint32_t)(((uintptr_t)n >> 4) * 2654435761u); }

static void map_add(struct oct_exec *ex, const struct oct_node *n, uint32_t step) {
    uint32_t i = hash_of(n) & ex->mask;
    while (ex->slot[i]) i = (i + 1) & ex->mask;
    ex->slot[i] = step + 1;
}

static struct oct_step *step_of(const struct oct_exec *ex, const struct oct_node *n) {
    for (uint32_t i = hash_of(n) & ex->mask; ex->slot[i]; i = (i + 1) & ex->mask) {
        struct oct_step *s = &ex->step[ex->slot[i] - 1];
        if (s->n == n) return s;
    }
    oct_internal(ex->cx, n->span, "interpreter: '%s' is not a value of the module", n->name);
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static bool bind_type(struct oct_exec *ex, const struct oct_node *n, struct oct_type *t) {
    *t = n->type;
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] == OCT_DIM_N) t->dim[i] = ex->batch;
    int64_t elements = oct_type_elements(t, 1);
    if (elements >= 0 && elements <= OCT_MAX_ELEMENTS) return true;
    oct_error(ex->cx, n->span, OCT_E5401, "'%s' has more than %lld elements at batch %lld", n->name, (long long)OCT_MAX_ELEMENTS,
              (long long)ex->batch);
    return false;
}

static size_t bytes_of(const struct oct_tensor *t) { return (size_t)oct_tensor_elements(t) * oct_dtype_size(t->type.dtype); }

/* An instance without prepared steps. */
static struct oct_exec *bare(struct oct_ctx *cx, const struct oct_module *m, int64_t batch) {
    struct oct_arena *a = oct_arena_new(cx);
    struct oct_exec *ex = OCT_NEW(a, struct oct_exec);
    *ex = (struct oct_exec){.cx = cx, .m = m, .arena = a, .batch = batch};
    for (const struct oct_node *n = m->first; n; n = n->next) ex->nsteps++;
    ex->step = OCT_NEW_N(a, struct oct_step, ex->nsteps);
    for (ex->mask = 15; ex->mask / 2 < ex->nsteps; ex->mask = ex->mask * 2 + 1) {}
    ex->slot = OCT_NEW_N(a, uint32_t, (size_t)ex->mask + 1);
    uint32_t i = 0;
    for (const struct oct_node *n = m->first; n; n = n->next, i++) {
        struct oct_step *s = &ex->step[i];
        s->n = n;
        map_add(ex, n, i);
        if (!bind_type(ex, n, &s->out.type)) {
            oct_arena_free(a);
            return NULL;
        }
        s->in = OCT_NEW_N(a, const struct oct_tensor *, n->noperands);
        for (int k = 0; k < n->noperands; k++) s->in[k] = n->operand[k] ? &step_of(ex, n->operand[k])->out : NULL;
        if (n->op == OCT_OP_const) {
            union {
                const void *from;
                void *to;
            } data = {n->data}; /* constants are read only */
            s->out.data = data.to;
        }
        if (n->op == OCT_OP_input) s->out.data = oct_alloc(a, bytes_of(&s->out));
    }
    return ex;
}

struct oct_exec *oct_exec_new(struct oct_ctx *cx, const struct oct_module *m, int64_t batch) {
    struct oct_exec *ex = bare(cx, m, batch);
    bool ok = ex != NULL;
    for (uint32_t i = 0; ex && i < ex->nsteps; i++) {
        ok = oct_interp_prepare(ex, &ex->step[i]) && ok;
        if (ex->step[i].scratch > ex->scratch_size) ex->scratch_size = ex->step[i].scratch;
    }
    if (ok) return ex;
    oct_exec_free(ex);
    return NULL;
}

struct oct_exec *oct_exec_clone(const struct oct_exec *from) {
    struct oct_exec *ex = bare(from->cx, from->m, from->batch);
    for (uint32_t i = 0; i < ex->nsteps; i++) {
        ex->step[i].prep = from->step[i].prep;
        ex->step[i].scratch = from->step[i].scratch;
    }
    ex->scratch_size = from->scratch_size;
    return ex;
}

void oct_exec_free(struct oct_exec *ex) {
    if (ex) oct_arena_free(ex->arena);
}

/* ---- buffers --------------------------------------------------------------------------------------------------------- */

/* Free stretches of the block that intermediate values share, in order of place. */
struct stretch {
    size_t from, to;
};
struct block {
    struct stretch *free;
    uint32_t n;
    size_t size;
};

/* First fit; the end of the block is always free. */
static size_t take(struct block *b, size_t size) {
    uint32_t i = 0;
    while (i < b->n && b->free[i].to - b->free[i].from < size) i++;
    size_t at = i < b->n ? b->free[i].from : b->size;
    if (i == b->n) {
        if (b->n > 0 && b->free[b->n - 1].to == b->size) at = b->free[--b->n].from;
        b->size = at + size;
        return at;
    }
    b->free[i].from += size;
    if (b->free[i].from == b->free[i].to) {
        memmove(b->free + i, b->free + i + 1, (b->n - i - 1) * sizeof *b->free);
        b->n--;
    }
    return at;
}

static void give(struct block *b, size_t from, size_t size) {
    if (size == 0) return;
    uint32_t i = 0;
    while (i < b->n && b->free[i].from < from) i++;
    memmove(b->free + i + 1, b->free + i, (b->n - i) * sizeof *b->free);
    b->free[i] = (struct stretch){from, from + size};
    b->n++;
    if (i + 1 < b->n && b->free[i].to == b->free[i + 1].from) {
        b->free[i].to = b->free[i + 1].to;
        memmove(b->free + i + 1, b->free + i + 2, (b->n - i - 2) * sizeof *b->free);
        b->n--;
    }
    if (i > 0 && b->free[i - 1].to == b->free[i].from) {
        b->free[i - 1].to = b->free[i].to;
        memmove(b->free + i, b->free + i + 1, (b->n - i - 1) * sizeof *b->free);
        b->n--;
    }
}

void oct_exec_place(struct oct_exec *ex) {
    if (ex->placed) return;
    ex->placed = true;
    if (!ex->scratch) ex->scratch = oct_alloc(ex->arena, ex->scratch_size);
    struct oct_arena *a = oct_arena_new(ex->cx);
    uint32_t *last = OCT_NEW_N(a, uint32_t, ex->nsteps); /* last step that reads the value; nsteps: lives to the end */
    size_t *at = OCT_NEW_N(a, size_t, ex->nsteps);
    for (uint32_t i = 0; i < ex->nsteps; i++) {
        last[i] = i;
        const struct oct_node *n = ex->step[i].n;
        for (int k = 0; k < n->noperands; k++)
            if (n->operand[k]) last[step_of(ex, n->operand[k]) - ex->step] = i;
    }
    for (uint32_t i = 0; i < ex->nsteps; i++) /* only now: their readers have set it above */
        if (ex->keep_all || ex->step[i].n->op == OCT_OP_input || ex->step[i].n->op == OCT_OP_const) last[i] = ex->nsteps;
    for (uint32_t i = 0; i < ex->m->noutputs; i++) last[step_of(ex, ex->m->output[i].node) - ex->step] = ex->nsteps;
    struct block b = {OCT_NEW_N(a, struct stretch, ex->nsteps + 2), 0, 0};
    for (uint32_t i = 0; i < ex->nsteps; i++) {
        struct oct_step *s = &ex->step[i];
        bool fixed = s->n->op == OCT_OP_input || s->n->op == OCT_OP_const;
        size_t size = (bytes_of(&s->out) + 63) & ~(size_t)63;
        if (!fixed) at[i] = take(&b, size);
        if (!fixed && last[i] == i) give(&b, at[i], size); /* nobody reads it */
        for (int k = 0; k < s->n->noperands; k++) {
            if (!s->n->operand[k]) continue;
            struct oct_step *from = step_of(ex, s->n->operand[k]);
            uint32_t j = (uint32_t)(from - ex->step);
            if (last[j] != i) continue;
            last[j] = ex->nsteps; /* an operand may stand twice */
            give(&b, at[j], (bytes_of(&from->out) + 63) & ~(size_t)63);
        }
    }
    unsigned char *base = oct_alloc(ex->arena, b.size + 64);
    base += (64 - (uintptr_t)base % 64) % 64;
    for (uint32_t i = 0; i < ex->nsteps; i++) {
        struct oct_step *s = &ex->step[i];
        if (s->n->op != OCT_OP_input && s->n->op != OCT_OP_const) s->out.data = base + at[i];
    }
    oct_arena_free(a);
}

void oct_exec_keep_all(struct oct_exec *ex, bool keep) {
    if (ex->keep_all != keep) ex->placed = false;
    ex->keep_all = keep;
}

struct oct_tensor *oct_exec_value(struct oct_exec *ex, const struct oct_node *n) {
    oct_exec_place(ex);
    return &step_of(ex, n)->out;
}

void *oct_scratch(struct oct_exec *ex, int64_t n, size_t size) {
    size_t bytes = oct_scratch_bytes(n, size);
    if (ex->scratch_used + bytes > ex->scratch_size)
        oct_internal(ex->cx, ex->now->n->span, "interpreter: '%s' takes more scratch than it asked for", ex->now->n->name);
    void *p = ex->scratch + ex->scratch_used;
    ex->scratch_used += bytes;
    return p;
}

/* ---- running ----------------------------------------------------------------------------------------------------------- */

void oct_exec_run(struct oct_exec *ex, oct_visit_fn *visit, void *user) {
    oct_exec_place(ex);
    for (uint32_t i = 0; i < ex->nsteps; i++) {
        struct oct_step *s = &ex->step[i];
        ex->now = s;
        ex->scratch_used = 0;
        oct_op_info(s->n->op)->interp(ex, s->n, s->in, &s->out);
        if (visit) visit(user, s->n, &s->out);
    }
}

/* ---- what hooks share ---------------------------------------------------------------------------------------------------- */

bool oct_refuse_requant(struct oct_exec *ex, const struct oct_node *n, double m) {
    oct_error(ex->cx, n->span, OCT_E5402, "'%s': profile %s cannot requantize by %.9g", n->name,
              oct_attr_info(OCT_A_profile)->words[n->at.profile], m);
    oct_help(ex->cx, n->at.profile == OCT_profile_pot ? "pot needs scales whose ratio is a power of two; use q31"
                                                      : "the factor must lie in (0, 2^30); check the scales");
    return false;
}

bool oct_interp_prepare(struct oct_exec *ex, struct oct_step *s) {
    if (!oct_prepare_linear(ex, s) || !oct_prepare_elementwise(ex, s) || !oct_prepare_reduce(ex, s) || !oct_prepare_move(ex, s) ||
        !oct_prepare_recurrent(ex, s))
        return false;
    return true;
}

struct oct_code_range oct_code_range(const struct oct_node *n) {
    int64_t lo = oct_dtype_min(n->type.dtype), hi = oct_dtype_max(n->type.dtype);
    double from = ceil((double)n->at.clip[0]), to = floor((double)n->at.clip[1]);
    if (from > (double)lo) lo = from < (double)hi ? (int64_t)from : hi;
    if (to < (double)hi) hi = to > (double)lo ? (int64_t)to : lo;
    return (struct oct_code_range){(int32_t)lo, (int32_t)hi};
}

#define LOAD(T)                                                                                                                  \
    {                                                                                                                            \
        const T *p = (const T *)t->data + at;                                                                                    \
        for (int64_t i = 0; i < n; i++) dst[i] = (int32_t)((int64_t)p[i * stride] - minus);                                      \
        return;                                                                                                                  \
    }
void oct_load_codes(const struct oct_tensor *t, int64_t at, int64_t stride, int64_t n, int64_t minus, int32_t *dst) {
    switch (t->type.dtype) {
    case OCT_I8:
    case OCT_I4: LOAD(int8_t)
    case OCT_U8:
    case OCT_U4: LOAD(uint8_t)
    case OCT_I16: LOAD(int16_t)
    case OCT_U16: LOAD(uint16_t)
    case OCT_I64: LOAD(int64_t)
    default: LOAD(int32_t)
    }
}

#define STORE(T)                                                                                                                 \
    {                                                                                                                            \
        T *p = (T *)t->data + at;                                                                                                \
        for (int64_t i = 0; i < n; i++) p[i] = (T)src[i];                                                                        \
        return;                                                                                                                  \
    }
void oct_store_codes(const struct oct_tensor *t, int64_t at, int64_t n, const int32_t *src) {
    switch (t->type.dtype) {
    case OCT_I8:
    case OCT_I4: STORE(int8_t)
    case OCT_U8:
    case OCT_U4: STORE(uint8_t)
    case OCT_I16: STORE(int16_t)
    case OCT_U16: STORE(uint16_t)
    case OCT_I64: STORE(int64_t)
    default: STORE(int32_t)
    }
}
