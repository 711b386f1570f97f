/* kernels.c - the registry of kernels and what every builder needs: buffers and their bindings, loops over layouts, codes. */
#include "kernels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct oct_kernel_info kernels[] = {
#define KERNEL(name, op, fits, build, flags, doc) {#name, doc, OCT_OP_##op, flags, oct_fits_##fits, NULL, oct_build_##build},
#define KERNEL_WAYS(name, op, fits, build, flags, doc)                                                                           \
    {#name, doc, OCT_OP_##op, flags, oct_fits_##fits, oct_ways_##build, oct_build_##build},
#include "kernels.def"
#undef KERNEL
    {NULL, NULL, OCT_OP_COUNT, 0, NULL, NULL, NULL},
};

const struct oct_kernel_info *oct_kernel_list(uint32_t *n) {
    *n = (uint32_t)(sizeof kernels / sizeof *kernels) - 1;
    return kernels;
}

/* ---- the choice of a kernel and of a way to build with it -------------------------------------------------------------------
 */

static bool fits(const struct oct_kernel_info *k, const struct oct_kbuild *b) { return k->op == b->node->op && k->fits(b); }

const struct oct_kernel_info *oct_kernel_fits(const struct oct_kbuild *b) {
    for (const struct oct_kernel_info *k = kernels; k->name; k++)
        if (fits(k, b)) return k;
    return NULL;
}

struct oct_way *oct_k_offer(struct oct_ways *out, const char *fmt, ...) {
    struct oct_way *w = &out->way[out->n];
    if (out->n < OCT_MAX_WAYS) out->n++;
    *w = (struct oct_way){.kernel = out->kernel, .gain = 1, .cycles = HUGE_VAL};
    char detail[sizeof w->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    snprintf(w->text, sizeof w->text, "%.19s%s%.19s", out->kernel->name, *detail ? " " : "", detail);
    return w;
}

void oct_kernel_ways(const struct oct_kbuild *b, struct oct_ways *out) {
    out->n = 0;
    for (const struct oct_kernel_info *k = kernels; k->name; k++) {
        if (!fits(k, b)) continue;
        out->kernel = k;
        if (k->ways) k->ways(b, out);
        else oct_k_offer(out, "%s", "");
    }
}

static const struct oct_way *cheapest(const struct oct_ways *all) {
    const struct oct_way *best = all->way;
    for (const struct oct_way *w = all->way + 1; w < all->way + all->n; w++)
        if (w->cycles < best->cycles) best = w;
    return best;
}
static const struct oct_way *named(const struct oct_ways *all, const char *text) {
    for (const struct oct_way *w = all->way; w < all->way + all->n; w++)
        if (strcmp(w->text, text) == 0) return w;
    return NULL;
}
static const struct oct_way *tuned(const struct oct_kbuild *b, const struct oct_ways *all) {
    const struct oct_tuned_layer *l = b->tuned;
    for (int i = 0; i < l->nways; i++) {
        const struct oct_way *w = named(all, l->way[i].text);
        if (w) return w;
    }
    oct_error(b->cx, l->way[0].span, OCT_E6009, "'%s' cannot be built in any way that is named here", b->node->name);
    oct_note(b->cx, b->node->span, "the best that it can be built in is '%s'", cheapest(all)->text);
    oct_help(b->cx, "a file of --tune serves the octavo that wrote it, and models of such layers: take it away and tune again");
    return cheapest(all);
}

const struct oct_kernel_info *oct_kernel_find(struct oct_kbuild *b) {
    struct oct_ways all;
    oct_kernel_ways(b, &all);
    b->nways = all.n;
    if (!all.n) return NULL;
    b->way = *(b->tuned ? tuned(b, &all) : cheapest(&all));
    return b->way.kernel;
}

bool oct_kernel_build(struct oct_kbuild *b, const struct oct_kernel_info *info) {
    b->k = lp_new(b->cx, b->arena);
    b->k->isa = b->target->isa;
    b->nconstants = 0;
    b->scratch_bytes = 0;
    b->recipe = "plain";
    b->acc_bound = -1;
    b->products = 0;
    b->overflow_proofs.accepted = b->overflow_proofs.refused = 0;
    b->proofs_accepted = b->proofs_refused = 0;
    oct_text_init(&b->proof, b->arena);
    b->fallback.len = 0;
    if (info->flags & OCT_K_FALLBACK) oct_k_fallback(b, "%s", info->doc);
    for (int i = 0; i < OCT_K_MAX_BUFS; i++) b->opened_in[i] = -1;
    b->opened_out = -1;
    if (!info->build(b)) return false;
    const bool soft_floats = strcmp(oct_target_float_abi(b->target), "soft") == 0;
    lp_legalise(b->k, b->target->lacks | (soft_floats ? LP_LACK_SQRT : LP_LACK_NONE));
    const char *why;
    if (!lp_verify(b->k, &why)) oct_internal(b->cx, b->node->span, "kernel %s for %s: %s", info->name, b->node->name, why);
    return true;
}

double oct_k_idle(const struct oct_kbuild *b, int64_t units) {
    const int64_t most = b->threads > 1 ? (units + b->threads - 1) / b->threads : units;
    return b->threads > 1 ? 1 - (double)units / (double)(most * b->threads) : 0;
}

/* ---- buffers ------------------------------------------------------------------------------------------------------------------
 */

static int32_t open_buffer(struct oct_kbuild *b, struct oct_bind bind, const char *name, enum lp_elem elem, enum lp_buf_kind kind,
                           int64_t size, int align) {
    if (align < (int)lp_elem_size(elem)) align = (int)lp_elem_size(elem);
    int32_t buf = lp_buffer(b->k, name, elem, kind, size, align);
    OCT_CHECK(b->cx, buf < OCT_K_MAX_BUFS);
    b->bind[buf] = bind;
    return buf;
}

int32_t oct_k_in(struct oct_kbuild *b, int i) {
    if (i == b->inplace) return oct_k_out(b);
    if (b->opened_in[i] >= 0) return b->opened_in[i];
    const struct oct_operand *x = &b->in[i];
    const struct oct_op_info *op = oct_op_info(b->node->op);
    const char *name = op->operands[0] ? op->operands[0] : "x"; /* a variadic row has one name for all */
    for (int j = 0; j <= i && op->operands[j]; j++) name = op->operands[j];
    if (strchr(name, '.')) name = oct_sprintf(b->arena, "x%d", i);
    enum lp_elem elem = oct_k_elem(x->node->type.dtype);
    if (x->node->op == OCT_OP_const) {
        char *data = oct_alloc_n(b->arena, (size_t)x->at.size, lp_elem_size(elem));
        const size_t size = lp_elem_size(elem);
        int64_t index[OCT_MAX_RANK] = {0}, place = x->at.offset;
        const char *from = x->node->data;
        for (int64_t left = oct_layout_elements(&x->at); left > 0; left--, from += size) {
            memcpy(data + (size_t)place * size, from, size);
            for (int a = x->at.rank - 1; a >= 0; a--) { /* the next element in row-major order */
                place += x->at.stride[a];
                if (++index[a] < x->at.dim[a]) break;
                place -= x->at.stride[a] * x->at.dim[a];
                index[a] = 0;
            }
        }
        b->opened_in[i] = oct_k_const(b, name, elem, x->at.size, data);
    } else {
        b->opened_in[i] = open_buffer(b, (struct oct_bind){OCT_BIND_OPERAND, i}, name, elem, LP_BUF_IN, x->at.size, 1);
    }
    return b->opened_in[i];
}

int32_t oct_k_out(struct oct_kbuild *b) {
    if (b->opened_out < 0)
        b->opened_out = open_buffer(b, (struct oct_bind){OCT_BIND_RESULT, 0}, "y", oct_k_elem(b->node->type.dtype),
                                    b->inplace >= 0 ? LP_BUF_INOUT : LP_BUF_OUT, b->out.at.size, 1);
    return b->opened_out;
}

int32_t oct_k_const(struct oct_kbuild *b, const char *name, enum lp_elem elem, int64_t n, const void *data) {
    OCT_CHECK(b->cx, b->nconstants < OCT_K_MAX_BUFS);
    b->constant[b->nconstants] = (struct oct_packed){name, elem, n, data};
    return open_buffer(b, (struct oct_bind){OCT_BIND_CONST, b->nconstants++}, name, elem, LP_BUF_CONST, n, OCT_K_CONST_ALIGN);
}

int32_t oct_k_scratch(struct oct_kbuild *b, const char *name, enum lp_elem elem, int64_t n) {
    enum { ALIGN = 16, LINE = 64 }; /* of the arena, too; vectors that cross cache lines cost twice */
    const int64_t align = b->target->vector_bits >= 256 ? LINE : ALIGN;
    int64_t at = (b->scratch_bytes + align - 1) / align * align;
    b->scratch_bytes = at + n * (int64_t)lp_elem_size(elem);
    return open_buffer(b, (struct oct_bind){OCT_BIND_SCRATCH, (int)at}, name, elem, LP_BUF_SCRATCH, n, ALIGN);
}

void oct_k_fallback(struct oct_kbuild *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (!b->fallback.len) oct_text_init(&b->fallback, b->arena);
    else oct_text_add(&b->fallback, "; ");
    oct_text_vaddf(&b->fallback, fmt, ap);
    va_end(ap);
}

enum lp_elem oct_k_elem(enum oct_dtype t) {
    switch (t) {
    case OCT_F32: return LP_F32;
    case OCT_U4:
    case OCT_U8: return LP_U8;
    case OCT_I4:
    case OCT_I8: return LP_I8;
    case OCT_I16: return LP_I16;
    case OCT_U16: return LP_U16;
    case OCT_I32: return LP_I32;
    default: return LP_I64;
    }
}

/* ---- loops over layouts
 * --------------------------------------------------------------------------------------------------------- */

/* May axis `in` be merged into `out` around it: does one step of `out` go exactly past all of `in`, in every layout? */
static bool merges(const struct oct_walk *out, const struct oct_walk *in, int n) {
    for (int i = 0; i < n; i++)
        if (out->stride[i] != in->dim * in->stride[i]) return false;
    return true;
}

int oct_k_walks(int n, const struct oct_layout *const *at, unsigned skip, struct oct_walk *walk) {
    struct oct_walk axis[OCT_MAX_RANK];
    int naxes = 0, walks = 0;
    for (int a = 0; a < at[0]->rank; a++) {
        if ((skip >> a & 1u) || at[0]->dim[a] == 1) continue;
        struct oct_walk w = {.dim = at[0]->dim[a]};
        for (int i = 0; i < n; i++) w.stride[i] = at[i]->stride[a];
        int place = naxes++;
        for (; place > 0 && axis[place - 1].stride[0] < w.stride[0]; place--) axis[place] = axis[place - 1];
        axis[place] = w;
    }
    for (int a = 0; a < naxes; a++) {
        if (walks > 0 && merges(&walk[walks - 1], &axis[a], n)) {
            int64_t outer = walk[walks - 1].dim;
            walk[walks - 1] = axis[a];
            walk[walks - 1].dim *= outer;
        } else {
            walk[walks++] = axis[a];
        }
    }
    return walks;
}

const char *oct_k_axis_name(int depth) {
    static const char *const names[OCT_MAX_RANK] = {"i", "j", "l", "m", "n", "o", "p", "q"};
    return names[depth < 0 ? 0 : depth];
}

void oct_k_open(struct oct_kbuild *b, int walks, const struct oct_walk *walk, int n, struct lp_addr *addr) {
    for (int l = 0; l < walks; l++) {
        int32_t var = lp_loop(b->k, oct_k_axis_name(l), walk[l].dim);
        for (int i = 0; i < n; i++) addr[i] = lp_plus(addr[i], var, walk[l].stride[i]);
    }
}

int oct_k_nest(struct oct_kbuild *b, int n, const struct oct_layout *const *at, unsigned skip, struct lp_addr *addr) {
    struct oct_walk walk[OCT_MAX_RANK];
    OCT_CHECK(b->cx, n <= OCT_MAX_WALKED);
    for (int i = 0; i < n; i++) {
        OCT_CHECK(b->cx, at[i]->rank == at[0]->rank);
        for (int a = 0; a < at[0]->rank; a++) OCT_CHECK(b->cx, (skip >> a & 1u) || at[i]->dim[a] == at[0]->dim[a]);
        addr[i] = lp_at(at[i]->offset);
    }
    const int walks = oct_k_walks(n, at, skip, walk);
    oct_k_open(b, walks, walk, n, addr);
    return walks;
}

void oct_k_close(struct oct_kbuild *b, int loops) {
    while (loops-- > 0) lp_end(b->k);
}

/* ---- types and codes
 * --------------------------------------------------------------------------------------------------------------- */

bool oct_k_is_float(const struct oct_type *t) { return t->dtype == OCT_F32; }
bool oct_k_is_codes(const struct oct_type *t) { return t->q && t->dtype != OCT_F32; }

void oct_k_clamp_range(const struct oct_node *n, int32_t *lo, int32_t *hi) {
    *lo = (int32_t)oct_dtype_min(n->type.dtype);
    *hi = (int32_t)oct_dtype_max(n->type.dtype);
    bool has_codes_clip = n->op == OCT_OP_conv2d || n->op == OCT_OP_dense || n->op == OCT_OP_matmul || n->op == OCT_OP_add ||
                          n->op == OCT_OP_sub || n->op == OCT_OP_mul || n->op == OCT_OP_requantize || n->op == OCT_OP_quantize;
    if (!has_codes_clip || !OCT_HAS(n->at, clip)) return;
    if (n->at.clip[0] > (float)*lo) *lo = (int32_t)n->at.clip[0];
    if (n->at.clip[1] < (float)*hi) *hi = (int32_t)n->at.clip[1];
}

void oct_k_code_range(const struct oct_node *n, int32_t *lo, int32_t *hi) {
    const struct oct_reach r = oct_reach_of(n);
    *lo = r.lo;
    *hi = r.hi;
}

struct lp_val oct_k_code_of(struct oct_kbuild *b, struct lp_val x) {
    return x.type.elem == LP_I32 ? x : lp_op1(b->k, b->k->reg[x.reg].name, LP_OP_cvt, lp_vector(LP_I32, x.type.lanes), x);
}

struct lp_val oct_k_load_code(struct oct_kbuild *b, const char *name, int32_t buf, struct lp_addr at) {
    return oct_k_code_of(b, lp_load(b->k, name, lp_scalar(b->k->buf[buf].elem), buf, at));
}

void oct_k_store_code(struct oct_kbuild *b, int32_t buf, struct lp_addr at, struct lp_val v) {
    enum lp_elem elem = b->k->buf[buf].elem;
    if (elem != v.type.elem) v = lp_op1(b->k, "code", LP_OP_cvt, lp_vector(elem, v.type.lanes), v);
    lp_store(b->k, buf, at, v);
}
