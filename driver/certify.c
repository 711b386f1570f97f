/* certify.c - makes a certificate: digests of the model and of what was compiled from it, and checksums of every layer's values
 * on vectors. The values are the interpreter's; that compiled code gives the same is trial.c's to find out. */
#define XXH_INLINE_ALL
#include "certificate.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "../backend/kernels/kernels.h"

enum { RANDOM_VECTORS = 16, RANDOM_SEED = 1, DATA_VECTORS = 64 };

/* ---- digests ----------------------------------------------------------------------------------------------------------------
 */

static const char *hex_of(struct oct_arena *a, XXH128_hash_t h) {
    return oct_sprintf(a, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}
const char *drv_digest(struct oct_arena *a, const void *data, size_t len) { return hex_of(a, XXH3_128bits(data, len)); }

static XXH3_state_t *new_digest(struct oct_arena *a) {
    XXH3_state_t *s = OCT_NEW(a, XXH3_state_t); /* aligned to 64, as the arena aligns what is this large */
    XXH3_128bits_reset(s);
    return s;
}
static const char *end_digest(struct oct_arena *a, const XXH3_state_t *s) { return hex_of(a, XXH3_128bits_digest(s)); }

static void add_parameters(XXH3_state_t *s, const struct oct_quant *q) {
    if (!q) return;
    XXH3_128bits_update(s, q->scale, q->n * sizeof *q->scale);
    if (q->zero) XXH3_128bits_update(s, q->zero, q->n * sizeof *q->zero);
}
static size_t bytes_of(const struct oct_type *t) { return (size_t)oct_type_elements(t, 1) * oct_dtype_size(t->dtype); }

/* Weights, and the scales and zero points that go with them and with the result. */
static const char *constants_of(struct oct_arena *a, const struct oct_node *n) {
    XXH3_state_t *s = new_digest(a);
    bool any = n->type.q != NULL;
    add_parameters(s, n->type.q);
    for (int i = 0; i < n->noperands; i++) {
        const struct oct_node *c = n->operand[i];
        if (!c || c->op != OCT_OP_const) continue;
        any = true;
        XXH3_128bits_update(s, c->data, bytes_of(&c->type));
        add_parameters(s, c->type.q);
    }
    return any ? end_digest(a, s) : NULL;
}

static void add_stored(void *user, const struct oct_stored *t) {
    struct oct_type type = {.dtype = t->dtype, .rank = t->rank};
    memcpy(type.dim, t->dim, sizeof type.dim);
    XXH3_128bits_update(user, t->key, strlen(t->key) + 1);
    XXH3_128bits_update(user, t->data, bytes_of(&type));
}

/* ---- the model
 * -------------------------------------------------------------------------------------------------------------------- */

static const char *profiles_of(struct oct_arena *a, const struct oct_module *m) {
    struct oct_text t;
    unsigned seen = 0;
    oct_text_init(&t, a);
    OCT_FOR_NODES(m, n) {
        if (!(oct_op_info(n->op)->flags & OCT_REQUANT) || !n->type.q || seen >> n->at.profile & 1) continue;
        seen |= 1u << n->at.profile;
        oct_text_addf(&t, "%s%s", t.len ? " " : "", oct_attr_info(OCT_A_profile)->words[n->at.profile]);
    }
    return t.len ? t.s : "none";
}

static void describe_model(struct oct_arena *a, const struct oct_module *m, struct drv_cert *c) {
    struct oct_text text;
    oct_text_init(&text, a);
    oct_print(&text, m, NULL);
    XXH3_state_t *weights = new_digest(a);
    oct_each_stored(m, NULL, add_stored, weights);
    c->model = m->name;
    c->profiles = profiles_of(a, m);
    c->text = drv_digest(a, text.s, text.len);
    c->weights = end_digest(a, weights);
}

/* ---- vectors
 * ------------------------------------------------------------------------------------------------------------------------ */

struct certifying {
    struct drv *d;
    struct oct_module *m;
    const struct oct_compile_options *opt;
    struct drv_cert *c;
    struct drv_trial *trial;
    struct oct_exec *ex;
    XXH3_state_t **sum; /* layers x kinds of vectors */
    enum drv_vectors kind;
    struct oct_dataset data;
    int64_t data_runs;
};

/* An input for a kind of vectors; `number` counts within the kind. */
static void fill(struct certifying *w, const struct oct_node *input, struct oct_tensor *x, int64_t number) {
    const struct oct_type *t = &x->type;
    const int64_t n = oct_tensor_elements(x);
    float lo, hi;
    oct_input_range(w->m, input, &lo, &hi);
    if (w->kind == DRV_VECTORS_RANDOM) {
        struct oct_attrs at;
        oct_attrs_init(&at);
        at.seed = RANDOM_SEED + number;
        at.within[0] = lo; /* of floats; integers take every code */
        at.within[1] = hi;
        oct_random_fill(t, &at, x->data);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const enum drv_vectors k = w->kind != DRV_VECTORS_ALTERNATING ? w->kind : i & 1 ? DRV_VECTORS_MAX : DRV_VECTORS_MIN;
        if (t->dtype == OCT_F32) ((float *)x->data)[i] = k == DRV_VECTORS_MIN ? lo : k == DRV_VECTORS_MAX ? hi : 0;
        else
            oct_store_int(t->dtype, x->data, i,
                          k == DRV_VECTORS_MIN   ? oct_dtype_min(t->dtype)
                          : k == DRV_VECTORS_MAX ? oct_dtype_max(t->dtype)
                          : t->q                 ? oct_zero(t->q, 0)
                                                 : 0);
    }
}

static void feed(struct certifying *w, int64_t number) {
    uint32_t k = 0;
    OCT_FOR_NODES(w->m, n) {
        if (n->op != OCT_OP_input) continue;
        struct oct_tensor *x = oct_exec_value(w->ex, n);
        if (w->kind != DRV_VECTORS_DATA) fill(w, n, x, number);
        else oct_input_read(&w->data.in[k], number, x->data);
        k++;
    }
}

/* As it lies in the memory of NAME_run's caller. */
static void add_outer(struct certifying *w, struct oct_text *to, const struct oct_node *n) {
    const struct oct_tensor *x = oct_exec_value(w->ex, n);
    const size_t size = oct_dtype_size(x->type.dtype), bytes = bytes_of(&x->type);
    struct oct_layout at;
    oct_layout_outer(&at, &x->type, w->opt->io_layout);
    const size_t begin = to->len;
    oct_text_addn(to, x->data, bytes);
    for (size_t i = 0; i < bytes / size; i++)
        memcpy(to->s + begin + (size_t)oct_layout_place(&at, (int64_t)i) * size, (const char *)x->data + i * size, size);
}

/* node->mark: number of the layer, from 1. */
static void visit(void *user, const struct oct_node *n, const struct oct_tensor *value) {
    struct certifying *w = user;
    if (!n->mark) return;
    XXH3_state_t **s = &w->sum[(n->mark - 1) * DRV_VECTORS_COUNT + w->kind];
    if (!*s) *s = new_digest(w->d->a);
    XXH3_128bits_update(*s, value->data, bytes_of(&value->type));
}

static void run_vector(struct certifying *w, int64_t number, const char *label) {
    feed(w, number);
    OCT_FOR_NODES(w->m, n) {
        if (n->op == OCT_OP_input) add_outer(w, &w->trial->in, n);
    }
    oct_exec_run(w->ex, visit, w);
    for (uint32_t i = 0; i < w->m->noutputs; i++) add_outer(w, &w->trial->out, w->m->output[i].node);
    w->trial->label[w->trial->runs++] = label;
}

static void run_vectors(struct certifying *w) {
    struct drv_trial *t = w->trial;
    *t = (struct drv_trial){.m = w->m,
                            .label = OCT_NEW_N(w->d->a, const char *, DRV_VECTORS_COUNT + RANDOM_VECTORS + DATA_VECTORS)};
    oct_text_init(&t->in, w->d->a);
    oct_text_init(&t->out, w->d->a);
    for (int kind = 0; kind < DRV_VECTORS_COUNT; kind++) {
        const int64_t n = kind == DRV_VECTORS_RANDOM ? RANDOM_VECTORS : kind == DRV_VECTORS_DATA ? w->data_runs : 1;
        w->kind = (enum drv_vectors)kind;
        for (int64_t i = 0; i < n; i++)
            run_vector(w, i,
                       n == 1 ? drv_vectors_word[kind] : oct_sprintf(w->d->a, "%s %" PRId64, drv_vectors_word[kind], i + 1));
    }
}

/* ---- data
 * ------------------------------------------------------------------------------------------------------------------------------
 */

/* The first samples of --data, as the compiled model takes them. */
static bool fit_data(struct certifying *w) {
    struct drv *d = w->d;
    w->c->data = "none";
    if (!d->o.data.n) return true;
    if (!drv_data(d) || !drv_fit(d, drv_data(d), w->m, &w->data)) return false;
    bool symbolic = false;
    for (uint32_t i = 0; i < w->data.nin; i++) symbolic = symbolic || oct_type_has_n(&w->data.in[i].input->type);
    const int64_t runs = w->data.samples / oct_dataset_chunk(w->data.in, w->data.nin) / (symbolic ? w->opt->batch : 1);
    w->data_runs = runs < DATA_VECTORS ? runs : DATA_VECTORS;
    if (!w->data_runs) return true;
    XXH3_state_t *s = new_digest(d->a);
    uint32_t k = 0;
    OCT_FOR_NODES(w->m, n) {
        if (n->op != OCT_OP_input) continue;
        const struct oct_tensor *x = oct_exec_value(w->ex, n);
        for (int64_t i = 0; i < w->data_runs; i++) {
            oct_input_read(&w->data.in[k], i, x->data);
            XXH3_128bits_update(s, x->data, bytes_of(&x->type));
        }
        k++;
    }
    w->c->data = oct_sprintf(d->a, "%" PRId64 " %s", w->data_runs, end_digest(d->a, s));
    return true;
}

/* ---- */

static void list_layers(struct certifying *w) {
    struct drv_cert *c = w->c;
    c->layer = OCT_NEW_N(w->d->a, struct drv_cert_layer, w->m->nnodes);
    OCT_FOR_NODES(w->m, n) {
        n->mark = 0;
        if (n->op == OCT_OP_input || n->op == OCT_OP_const) continue;
        c->layer[c->nlayers] =
            (struct drv_cert_layer){.name = n->name, .op = oct_op_info(n->op)->name, .constants = constants_of(w->d->a, n)};
        n->mark = (uint32_t)++c->nlayers;
    }
    w->sum = OCT_NEW_N(w->d->a, XXH3_state_t *, c->nlayers * DRV_VECTORS_COUNT);
}

static void list_files(struct drv *d, struct drv_cert *c) {
    c->file = OCT_NEW_N(d->a, struct drv_cert_file, d->nmade);
    for (int i = 0; i < d->nmade; i++) {
        const struct drv_file *f = &d->made[i];
        c->file[c->nfiles++] = (struct drv_cert_file){.name = oct_sprintf(d->a, "%s%s", c->name, f->suffix),
                                                      .digest = drv_digest(d->a, f->data, f->len),
                                                      .code = drv_code_digest(d->a, f->data, f->len)};
    }
}

static const char *or_none(const char *s) { return *s ? s : "none"; }

static void describe_build(struct drv *d, const struct oct_compile_options *opt, struct drv_cert *c) {
    c->made_by = "octavo " OCTAVO_VERSION;
    c->name = opt->file;
    c->target = oct_sprintf(d->a, "%s, triple %s, cpu %s, features %s", opt->target->name, or_none(opt->target->triple),
                            or_none(opt->target->cpu), or_none(opt->target->features));
    c->toolchain = d->toolchain ? d->toolchain : "none";
    c->cflags = d->o.cflags ? d->o.cflags : "default";
    for (const enum drv_option *o = drv_cert_options; *o != DRV_OPTION_COUNT; o++) c->option[*o] = drv_option_text(d, *o);
    list_files(d, c);
}

bool drv_certify(struct drv *d, struct oct_module *m, const struct oct_compile_options *opt, struct drv_cert *c,
                 struct drv_trial *trial) {
    struct certifying w = {.d = d, .m = m, .opt = opt, .c = c, .trial = trial};
    *c = (struct drv_cert){.random = oct_sprintf(d->a, "%d seed %d", RANDOM_VECTORS, RANDOM_SEED)};
    if (!oct_require_exact(d->cx, m, opt, "--certify")) return false;
    describe_build(d, opt, c);
    describe_model(d->a, m, c);
    w.ex = oct_exec_new(d->cx, m, opt->batch);
    if (!w.ex || !fit_data(&w)) return false;
    list_layers(&w);
    run_vectors(&w);
    for (int i = 0; i < c->nlayers; i++)
        for (int v = 0; v < DRV_VECTORS_COUNT; v++) {
            const XXH3_state_t *s = w.sum[i * DRV_VECTORS_COUNT + v];
            c->layer[i].sum[v] = s ? end_digest(d->a, s) : NULL;
        }
    oct_exec_free(w.ex);
    return true;
}
