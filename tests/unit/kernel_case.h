/* kernel_case.h - one op as text; its kernel, run by the evaluator, against the interpreter, in several memory layouts; and the
 * printed C of all kernels of a test, compiled, against the evaluator. */
#ifndef KERNEL_CASE_H
#define KERNEL_CASE_H

#include <math.h>

#include "loops_case.h"
#include "../../backend/kernels/kernels.h"
#include "../../frontend/frontend.h"
#include "../../ir/interp.h"

/* How operands and result lie in memory. */
enum { KC_PLAIN, KC_BORDERS, KC_VIEWS, KC_INPLACE, KC_LAYOUTS };

struct kc_ran { /* a kernel that the evaluator ran: what printed C has to reproduce */
    struct lp_kernel *k;
    int64_t hi;
    int function; /* of the printed C: equal kernels share one */
    void *before[OCT_K_MAX_BUFS], *after[OCT_K_MAX_BUFS];
};
struct kc {
    struct oct_ctx cx;
    struct oct_arena *arena;
    uint64_t seed;
    const struct oct_target *target;    /* of the kernels to come */
    struct oct_kbuild last;             /* the kernel that ran last */
    const struct oct_kernel_info *info; /* its row */
    bool share_all;                     /* check shares of every kernel, not of each third */
    int shared;                         /* kernels of which shares were checked */
    int runs, sample;                   /* of the kernels run, each sample-th is also compared as C (0: all) */
    struct kc_ran ran[4000];
    int nran;
    bool no_requant_proof;
    const char *prefer; /* a kernel, or ways whose text starts like this, taken where it fits, whatever it costs; the cheapest, */
    int turn, preferred; /* or the turn-th that starts so; how many kernels were such */
    int nth;             /* of the ways, counted from 1, that is taken; 0: as costs say */
    bool loose;          /* kernels may round otherwise than the interpreter: sums within 1e-4 */
    int used[400];       /* by kernel of the registry */
};
static struct kc kc;

static inline int kc_setup(void **state) {
    (void)state;
    oct_ctx_init(&kc.cx);
    kc.cx.threads = 1;
    kc.arena = oct_arena_new(&kc.cx);
    kc.target = oct_target_find("c99");
    kc.nran = 0;
    return 0;
}
static inline int kc_teardown(void **state) {
    (void)state;
    oct_ctx_free(&kc.cx);
    return 0;
}

/* Inputs: all kinds of codes; floats with zeros of both signs, large and tiny ones. `extreme`: lowest and highest codes only. */
static inline void kc_fill(const struct oct_tensor *t, bool extreme) {
    int64_t n = oct_tensor_elements(t);
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = mix(kc.seed++);
        size_t size = oct_dtype_size(t->type.dtype);
        if (t->type.dtype == OCT_F32) {
            float f = (float)((double)(int64_t)r * 0x1p-61);
            if (r % 13 == 0) f = r & 64 ? 0.0f : -0.0f;
            if (extreme && r % 7 == 0) f = r & 64 ? 1e30f : -1e30f;
            if (extreme && r % 7 == 1) f = r & 64 ? INFINITY : r & 128 ? NAN : 1e-40f;
            ((float *)t->data)[i] = f;
        } else {
            int64_t v = extreme ? r & 64 ? oct_dtype_min(t->type.dtype) : oct_dtype_max(t->type.dtype) : (int64_t)(r >> 8);
            memcpy((char *)t->data + (size_t)i * size, &v, size);
        }
    }
}

/* How often a kernel ran, by its name. */
static inline int kc_used(const char *name) {
    uint32_t n;
    const struct oct_kernel_info *k = oct_kernel_list(&n);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(k[i].name, name) == 0) return kc.used[i];
    fail_msg("no kernel %s", name);
    return 0;
}

/* Is operand 0 an image whose kernel reads its padding from the border around it? */
static inline bool kc_bordered(const struct oct_node *n) { return n->op == OCT_OP_conv2d && n->type.dtype != OCT_F32; }

/* pad: the border that the kernel asks for, or NULL. More may lie around it. */
static inline struct oct_layout kc_layout(const struct oct_type *t, int how, int which, const int64_t *pad) {
    struct oct_layout at;
    int64_t border[4] = {0};
    for (int i = 0; i < 4 && pad; i++) border[i] = pad[i];
    for (int i = 0; i < 4 && how == KC_BORDERS; i++) border[i] += (const int64_t[]){1 + which, 2, which, 1}[i];
    if (t->rank == 4) oct_layout_nhwc(&at, t->dim, border);
    else oct_layout_plain(&at, t->rank, t->dim);
    if (how == KC_VIEWS && oct_layout_elements(&at) > 0) { /* a part of something larger */
        for (int a = 0; a < at.rank; a++) at.stride[a] = at.stride[a] * 2 + (at.stride[a] > 1 ? at.stride[a] : 0);
        at.offset = 5 + which + (t->rank == 4 ? border[0] * at.stride[2] + border[1] * at.stride[3] : 0);
        at.size = at.offset + 1 + (t->rank == 4 ? border[2] * at.stride[2] + border[3] * at.stride[3] : 0);
        for (int a = 0; a < at.rank; a++) at.size += (at.dim[a] - 1) * at.stride[a];
    }
    return at;
}

/* The zero point in all places that padding takes elements from; whatever lies farther out stays as it is. */
static inline void kc_fill_border(const struct oct_layout *at, const int64_t *pad, size_t size, char *memory, int64_t zero) {
    for (int64_t n = 0; n < at->dim[0]; n++)
        for (int64_t y = -pad[0]; y < at->dim[2] + pad[2]; y++)
            for (int64_t x = -pad[1]; x < at->dim[3] + pad[3]; x++)
                for (int64_t c = 0; c < at->dim[1]; c++) {
                    int64_t place = at->offset + n * at->stride[0] + c * at->stride[1] + y * at->stride[2] + x * at->stride[3];
                    assert_true(place >= 0 && place < at->size);
                    memcpy(memory + (size_t)place * size, &zero, size); /* little-endian */
                }
}

static inline void kc_move(const struct oct_layout *at, size_t size, char *memory, char *logical, bool to_memory) {
    int64_t n = oct_layout_elements(at), index[OCT_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++) {
        int64_t place = at->offset;
        for (int a = 0; a < at->rank; a++) place += index[a] * at->stride[a];
        char *m = memory + (size_t)place * size, *l = logical + (size_t)i * size;
        memcpy(to_memory ? m : l, to_memory ? l : m, size);
        for (int a = at->rank - 1; a >= 0 && ++index[a] == at->dim[a]; a--) index[a] = 0;
    }
}

static inline void *kc_memory(const struct lp_buf *b) {
    size_t bytes = (size_t)b->size * lp_elem_size(b->elem);
    char *p = oct_alloc(kc.arena, bytes);
    for (size_t i = 0; i < bytes; i++) p[i] = (char)mix(kc.seed++); /* what a kernel must not depend on */
    return p;
}

/* The kernel as threads share it: each part alone, on memory as it was before, writes bytes that no other part writes, and all of
 * them together what the whole kernel wrote. */
static inline void kc_check_shares(struct oct_kbuild b, const struct kc_ran *whole, int result, const char *text) {
    const struct oct_bind *bind = kc.last.bind;
    const int nbufs = kc.last.k->nbufs;
    b.threads = 2 + (int)(mix(kc.seed++) % 7);
    assert_true(oct_kernel_build(&b, kc.info));
    if (!lp_share(b.k) || lp_units(b.k) < 2) return;
    kc.shared++;
    const struct lp_kernel *k = b.k;
    const char *why;
    if (!lp_verify(k, &why)) fail_msg("%s, %d threads: %s", text, b.threads, why);
    const size_t bytes = (size_t)k->buf[b.opened_out].size * lp_elem_size(k->buf[b.opened_out].elem);
    char *all = oct_alloc(kc.arena, bytes), *written = oct_alloc(kc.arena, bytes);
    memcpy(all, whole->before[result], bytes);
    for (int part = 0; part < b.threads; part++) {
        void *mem[OCT_K_MAX_BUFS];
        for (int i = 0; i < k->nbufs; i++) {
            const size_t size = (size_t)k->buf[i].size * lp_elem_size(k->buf[i].elem);
            mem[i] = kc_memory(&k->buf[i]);
            if (b.bind[i].kind == OCT_BIND_CONST) memcpy(mem[i], b.constant[b.bind[i].index].data, size);
            for (int j = 0; j < nbufs; j++)
                if (b.bind[i].kind < OCT_BIND_CONST && bind[j].kind == b.bind[i].kind && bind[j].index == b.bind[i].index)
                    memcpy(mem[i], whole->before[j], size);
        }
        lp_eval(k, mem, part * lp_units(k) / b.threads, (part + 1) * lp_units(k) / b.threads);
        const char *before = whole->before[result], *after = mem[b.opened_out];
        for (size_t i = 0; i < bytes; i++) {
            if (before[i] == after[i]) continue;
            if (written[i]) fail_msg("%s: kernel %s: two of %d threads write byte %zu", text, kc.info->name, b.threads, i);
            written[i] = 1;
            all[i] = after[i];
        }
    }
    if (memcmp(all, whole->after[result], bytes))
        fail_msg("%s: kernel %s: shares of %d threads differ", text, kc.info->name, b.threads);
}

static inline bool kc_prefers(const struct oct_way *w) {
    const size_t len = strlen(kc.prefer);
    return strncmp(w->text, kc.prefer, len) == 0 && (!w->text[len] || w->text[len] == ' ' || kc.prefer[len - 1] == ' ');
}
static inline const struct oct_kernel_info *kc_choose(struct oct_kbuild *b) {
    const struct oct_kernel_info *info = oct_kernel_find(b);
    struct oct_ways all;
    if (!info) return NULL;
    oct_kernel_ways(b, &all);
    const struct oct_way *best = NULL, *found[OCT_MAX_WAYS];
    int n = 0;
    for (int i = 0; i < all.n; i++)
        if (kc.nth ? i == kc.nth - 1 : kc.prefer && kc_prefers(&all.way[i])) {
            if (!best || all.way[i].cycles < best->cycles) best = &all.way[i];
            found[n++] = &all.way[i];
        }
    if (n && kc.turn) best = found[kc.turn % n];
    if (best) b->way = *best;
    kc.preferred += best != NULL;
    return b->way.kernel;
}

static inline void kc_run_layout(struct oct_exec *ex, const struct oct_node *n, int how, const char *text) {
    struct oct_kbuild b = {
        .cx = &kc.cx, .arena = kc.arena, .node = n, .nin = n->noperands, .inplace = -1, .strict_float = !kc.loose};
    const int64_t *pad = NULL;
    b.target = kc.target;
    b.no_requant_proof = kc.no_requant_proof;
    b.in = OCT_NEW_N(kc.arena, struct oct_operand, n->noperands);
    struct oct_tensor *y = oct_exec_value(ex, n);
    b.out = (struct oct_operand){n, kc_layout(&y->type, how, 0, NULL)};
    for (int i = 0; i < n->noperands; i++)
        if (n->operand[i]) {
            const bool fixed = n->operand[i]->op == OCT_OP_const;
            const struct oct_type *t = &oct_exec_value(ex, n->operand[i])->type;
            b.in[i] = (struct oct_operand){n->operand[i], kc_layout(t, fixed ? KC_PLAIN : how, 1, NULL)};
        }
    if (kc_bordered(n)) { /* by a kernel that takes it without a border, if there is one */
        const struct oct_type *t = &oct_exec_value(ex, n->operand[0])->type;
        b.in[0].at = kc_layout(t, KC_PLAIN, 1, NULL);
        if (oct_kernel_fits(&b)) b.in[0].at = kc_layout(t, how, 1, NULL);
        if (!oct_kernel_fits(&b)) pad = n->at.pad, b.in[0].at = kc_layout(t, how, 1, pad);
    }
    const struct oct_kernel_info *info = kc_choose(&b);
    if (!info) fail_msg("no kernel for: %s", text);
    if (info->flags & OCT_K_BORDER_ROWS) pad = b.in[0].at.border; /* it may read all of a border that is there */
    for (int i = 0; how == KC_INPLACE && (info->flags & OCT_K_INPLACE) && i < n->noperands && b.inplace < 0; i++)
        if (n->operand[i]->op != OCT_OP_const && n->operand[i]->type.dtype == n->type.dtype &&
            oct_layout_same(&b.in[i].at, &b.out.at))
            b.inplace = i;
    if (how == KC_INPLACE && b.inplace < 0) return;
    uint32_t nkernels;
    kc.used[info - oct_kernel_list(&nkernels)]++;
    if (!oct_kernel_build(&b, info)) {
        struct oct_text t;
        oct_text_init(&t, kc.arena);
        oct_diag_render(&kc.cx, &t);
        fail_msg("%s: %s", text, t.s ? t.s : "refused");
    }
    kc.last = b;
    kc.info = info;
    assert_true(kc.nran < (int)(sizeof kc.ran / sizeof *kc.ran));
    struct kc_ran *r = &kc.ran[kc.nran];
    if (kc.runs++ % (kc.sample ? kc.sample : 1) == 0) kc.nran++;
    *r = (struct kc_ran){.k = b.k};
    r->hi = lp_units(b.k);
    int result = -1;
    for (int i = 0; i < b.k->nbufs; i++) {
        const struct lp_buf *buf = &b.k->buf[i];
        size_t size = lp_elem_size(buf->elem);
        char *p = kc_memory(buf);
        int operand = b.bind[i].kind == OCT_BIND_OPERAND ? b.bind[i].index : b.bind[i].kind == OCT_BIND_RESULT ? b.inplace : -1;
        if (b.bind[i].kind == OCT_BIND_RESULT) result = i;
        if (b.bind[i].kind == OCT_BIND_CONST) {
            assert_int_equal(buf->size, b.constant[b.bind[i].index].n);
            memcpy(p, b.constant[b.bind[i].index].data, (size_t)buf->size * size);
        }
        if (operand == 0 && pad) kc_fill_border(&b.in[0].at, pad, size, p, oct_zero(b.in[0].node->type.q, 0));
        if (operand >= 0) kc_move(&b.in[operand].at, size, p, oct_exec_value(ex, n->operand[operand])->data, true);
        r->before[i] = p;
        r->after[i] = oct_alloc(kc.arena, (size_t)buf->size * size);
        memcpy(r->after[i], p, (size_t)buf->size * size);
    }

    lp_eval(b.k, r->after, 0, r->hi);
    assert_true(result >= 0);
    size_t size = lp_elem_size(b.k->buf[result].elem);
    int64_t elements = oct_tensor_elements(y);
    char *got = oct_alloc(kc.arena, (size_t)elements * size);
    kc_move(&b.out.at, size, r->after[result], got, false);
    for (int64_t i = 0; i < elements; i++) {
        const char *p = got + (size_t)i * size, *q = (const char *)y->data + (size_t)i * size;
        bool nan = y->type.dtype == OCT_F32 && isnan(*(const float *)(const void *)p) && isnan(*(const float *)(const void *)q);
        bool near = false;
        if (kc.loose && y->type.dtype == OCT_F32) {
            const float v = *(const float *)(const void *)p, w = *(const float *)(const void *)q;
            near = !(fabsf(w) < 1e6f) || fabsf(v - w) <= 1e-4f * fmaxf(1.0f, fabsf(w)); /* beyond: cancellation, infinities */
        }
        if (memcmp(p, q, size) && !nan && !near) {
            struct oct_text t;
            oct_text_init(&t, kc.arena);
            lp_print(&t, b.k);
            int64_t g = 0, w = 0;
            memcpy(&g, p, size), memcpy(&w, q, size);
            fail_msg("%s\nkernel %s, layout %d, element %lld of %lld: 0x%llx instead of 0x%llx (%s)\n%s", text, info->name, how,
                     (long long)i, (long long)elements, (unsigned long long)g, (unsigned long long)w, b.proof.s ? b.proof.s : "",
                     t.len < 6000 ? t.s : "");
        }
    }
    /* Nothing but the result's own elements may have changed in its buffer. */
    char *own = oct_alloc(kc.arena, (size_t)b.out.at.size * size);
    memcpy(own, r->before[result], (size_t)b.out.at.size * size);
    kc_move(&b.out.at, size, own, got, true);
    if (memcmp(own, r->after[result], (size_t)b.out.at.size * size))
        fail_msg("%s: kernel %s, layout %d writes outside its result", text, info->name, how);
    if (kc.share_all || kc.runs % 3 == 0) kc_check_shares(b, r, result, text);
}

/* A model without its first line whose last node is the op; parsed. */
static inline struct oct_module *kc_parse(const char **text, const char *fmt, va_list ap) {
    struct oct_text t;
    oct_text_init(&t, kc.arena);
    oct_text_add(&t, "octavo 1\n");
    oct_text_vaddf(&t, fmt, ap);
    oct_text_add(&t, "\noutput y\n");
    struct oct_module *m = oct_parse(&kc.cx, "case", t.s, t.len);
    if (!m) {
        struct oct_text d;
        oct_text_init(&d, kc.arena);
        oct_diag_render(&kc.cx, &d);
        fail_msg("%s", d.s ? d.s : t.s);
    }
    *text = t.s;
    return m;
}

/* Runs its last node on random and on extreme inputs. */
static inline void kc_check(const char *fmt, ...) OCT_PRINTF(1, 2);
static inline void kc_check(const char *fmt, ...) {
    const char *text;
    va_list ap;
    va_start(ap, fmt);
    struct oct_module *m = kc_parse(&text, fmt, ap);
    va_end(ap);
    struct oct_exec *ex = oct_exec_new(&kc.cx, m, 1);
    assert_non_null(ex);
    oct_exec_keep_all(ex, true);
    for (int extreme = 0; extreme < 2; extreme++) {
        OCT_FOR_NODES(m, n)
        if (n->op == OCT_OP_input) kc_fill(oct_exec_value(ex, n), extreme);
        oct_exec_run(ex, NULL, NULL);
        for (int how = 0; how < KC_LAYOUTS; how++) kc_run_layout(ex, m->last, how, text);
    }
    oct_exec_free(ex);
}

/* Numbers the kernels that ran; equal text is one function. Returns how many there are. */
static inline int kc_functions(const struct lp_kernel **function) {
    char **text = OCT_NEW_N(kc.arena, char *, kc.nran);
    int n = 0;
    for (int i = 0; i < kc.nran; i++) {
        struct oct_text t;
        oct_text_init(&t, kc.arena);
        lp_print(&t, kc.ran[i].k);
        int f = n; /* the latest are the likeliest: a case runs on several inputs */
        while (f > 0 && strcmp(text[f - 1], t.s) != 0) f--;
        if (f == 0) text[n] = t.s, function[n] = kc.ran[i].k, f = ++n;
        kc.ran[i].function = f - 1;
    }
    return n;
}

static inline bool kc_same(const struct lp_buf *buf, const void *p, const void *q) {
    size_t size = lp_elem_size(buf->elem), bytes = (size_t)buf->size * size;
    if (memcmp(p, q, bytes) == 0) return true;
    for (size_t e = 0; e < bytes; e += size) { /* the bits of a NaN are free */
        const char *a = (const char *)p + e, *b = (const char *)q + e;
        bool nan = buf->elem == LP_F32 && isnan(*(const float *)(const void *)a) && isnan(*(const float *)(const void *)b);
        if (memcmp(a, b, size) && !nan) return false;
    }
    return true;
}

/* Can this machine run the instructions of a kernel? *flags: what the compiler has to be told. */
static inline bool kc_runs_here(const struct lp_kernel *k, const char **flags) {
    if (k->isa == LP_ISA_C99) return true;
    *flags = "-mavx2 -mfma";
#if defined __x86_64__
    return k->isa == LP_ISA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

/* Prints the kernels that ran, compiles them cleanly in one file, runs them on the same memory. By default a share of them, by
 * one compiler; all of them by two where the environment says OCTAVO_FULL=1 (tests/e2e/kernels_c.sh does). */
static inline void kc_compare_c(void) {
    enum { SHARE = 120 };
    static const char *const by[] = {"gcc -O1", "clang-19 -O2"};
    const bool full = full_matrix();
    const struct lp_kernel **function = OCT_NEW_N(kc.arena, const struct lp_kernel *, kc.nran);
    const int functions = kc_functions(function), step = full || functions <= SHARE ? 1 : (functions + SHARE - 1) / SHARE;
    struct oct_text body, file;
    oct_text_init(&body, kc.arena);
    oct_text_init(&file, kc.arena);
    struct lp_c_file *shared = lp_c_file_new(&kc.cx, kc.arena);
    const char *flags = "";
    for (int i = 0; i < functions; i += step) {
        if (!kc_runs_here(function[i], &flags)) continue;
        lp_emit_c(&body, function[i], oct_sprintf(kc.arena, "k%d", i), shared);
        oct_text_addf(&body, "void w%d(void **m, int32_t hi);\nvoid w%d(void **m, int32_t hi) { (void)hi; k%d(", i, i, i);
        for (int j = 0; j < function[i]->nbufs; j++) oct_text_addf(&body, "%sm[%d]", j ? ", " : "", j);
        oct_text_addf(&body, "%s); }\n", function[i]->has_range ? ", 0, hi" : "");
    }
    oct_text_add(&file, "#include <stdint.h>\n");
    lp_emit_c_prologue(&file, shared);
    oct_text_add(&file, body.s);
    lp_emit_c_epilogue(&file, shared);
    for (int c = 0; c < (full ? 2 : 1); c++) {
        void *so = load_c(file.s, oct_sprintf(kc.arena, "%s %s", by[c], flags));
        for (int i = 0; i < kc.nran; i++) {
            if (kc.ran[i].function % step || !kc_runs_here(function[kc.ran[i].function], &flags)) continue;
            char name[16];
            snprintf(name, sizeof name, "w%d", kc.ran[i].function);
            void (*run)(void **, int32_t), *mem[OCT_K_MAX_BUFS];
            *(void **)&run = dlsym(so, name);
            const struct lp_kernel *k = kc.ran[i].k;
            for (int j = 0; j < k->nbufs; j++) {
                size_t bytes = (size_t)k->buf[j].size * lp_elem_size(k->buf[j].elem);
                mem[j] = oct_alloc(kc.arena, bytes);
                memcpy(mem[j], kc.ran[i].before[j], bytes);
            }
            run(mem, (int32_t)kc.ran[i].hi);
            for (int j = 0; j < k->nbufs; j++)
                if (!kc_same(&k->buf[j], mem[j], kc.ran[i].after[j])) {
                    struct oct_text t;
                    oct_text_init(&t, kc.arena);
                    lp_emit_c(&t, k, "kernel", shared);
                    fail_msg("%s: buffer %s of\n%s", by[c], k->buf[j].name, t.s);
                }
        }
        dlclose(so);
    }
}

#endif
