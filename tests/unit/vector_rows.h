/* vector_rows.h - every row on vectors as C for an ISA: each type and number of lanes, shuffles, masks, against formulas and the
 * evaluator. */
#ifndef VECTOR_ROWS_H
#define VECTOR_ROWS_H

#include "loops_rows.h"

/* Compilers that differ for vectors: the first alone where tests are to be quick. */
static const char *const vector_compilers[] = {"gcc -O1", "gcc -O3", "clang-19 -O2"};
static inline size_t vector_compiler_count(void) { return full_matrix() ? 3 : 1; }
typedef void *loader(const char *text, const char *compiler); /* compiles a file and loads it */

/* A file of kernels; the kernel numbered n is w<n>(buffers). */
struct c_file {
    struct oct_text body, text;
    struct lp_c_file *file;
    int n;
};
static inline struct c_file new_c_file(void) {
    struct c_file f = {.file = lp_c_file_new(&cx, arena)};
    oct_text_init(&f.body, arena);
    oct_text_init(&f.text, arena);
    return f;
}
static inline void add_kernel(struct c_file *f, struct lp_kernel *k, enum lp_isa isa) {
    k->isa = isa;
    lp_emit_c(&f->body, k, oct_sprintf(arena, "k%d", f->n), f->file);
    oct_text_addf(&f->body, "void w%d(void **m);\nvoid w%d(void **m) { k%d(", f->n, f->n, f->n);
    for (int32_t i = 0; i < k->nbufs; i++) oct_text_addf(&f->body, "%sm[%d]", i ? ", " : "", i);
    oct_text_add(&f->body, "); }\n");
    f->n++;
}
static inline const char *finish(struct c_file *f) {
    oct_text_add(&f->text, "#include <stdint.h>\n");
    lp_emit_c_prologue(&f->text, f->file);
    oct_text_add(&f->text, f->body.s);
    lp_emit_c_epilogue(&f->text, f->file);
    return f->text.s;
}
static inline void call(void *so, int n, void **mem) {
    void (*run)(void **);
    *(void **)&run = dlsym(so, oct_sprintf(arena, "w%d", n));
    assert_non_null(run);
    run(mem);
}

/* Every row on every type, lanes in turn: the number of lanes follows the number of the case, and of the compiler. */
static inline void element_wise_vectors(enum lp_isa isa, loader *load) {
    static const int lanes[] = {2, 3, 4, 8, 12, 16, 32, 64};
    enum { N = sizeof lanes / sizeof *lanes };
    struct cases *cs = make_cases();
    void *got = oct_alloc(arena, COUNT * 8);
    for (size_t c = 0; c < vector_compiler_count(); c++) {
        struct c_file f = new_c_file();
        for (int i = 0; i < cs->n; i++) add_kernel(&f, case_kernel(&cs->c[i], lanes[((size_t)i + c) % N]), isa);
        void *so = load(finish(&f), vector_compilers[c]);
        for (int i = 0; i < cs->n; i++) {
            void *mem[4] = {cs->c[i].in[0], cs->c[i].in[1], cs->c[i].in[2]};
            mem[cs->c[i].nargs] = got;
            memset(got, 0x55, COUNT * 8);
            call(so, i, mem);
            same(&cs->c[i], got, oct_sprintf(arena, "%s, %d lanes", vector_compilers[c], lanes[((size_t)i + c) % N]));
        }
        dlclose(so);
    }
}

/* Rows over several lanes, and any shuffle, against the evaluator. */
static inline void lane_vectors(enum lp_isa isa, loader *load) {
    enum { ROWS = sizeof lane_rows / sizeof *lane_rows, LANES = 16, SHUFFLES = 200 };
    struct c_file f = new_c_file();
    struct lp_kernel **k = OCT_NEW_N(arena, struct lp_kernel *, ROWS * LANES * 2 + SHUFFLES);
    for (int r = 0; r < ROWS; r++)
        for (int n = 1; n <= LANES; n++)
            for (int imm = 0; imm < lane_rows[r].imms; imm++) {
                k[f.n] = lane_kernel(&lane_rows[r], n, imm);
                add_kernel(&f, k[f.n], isa);
            }
    const int rows = f.n;
    for (uint64_t i = 0; i < SHUFFLES; i++) {
        static const enum lp_elem elem[] = {LP_I8, LP_U8, LP_I16, LP_I32, LP_F32, LP_I64, LP_F64};
        const enum lp_elem e = elem[i % 7];
        const int from = i % 3 ? 1 << mix(i) % 6 : 1 + (int)(mix(i) % 32), to = i % 2 ? from : 1 + (int)(mix(i + 7) % 32);
        uint8_t lane[64];
        for (int l = 0; l < to; l++) lane[l] = (uint8_t)(mix(i * 64 + (uint64_t)l) % (2 * (uint64_t)from));
        struct lp_kernel *q = k[f.n] = lp_new(&cx, arena);
        int32_t x = lp_buffer(q, "x", e, LP_BUF_IN, 2 * from, 8), y = lp_buffer(q, "y", e, LP_BUF_OUT, to, 8);
        struct lp_val a = lp_load(q, "a", lp_vector(e, from), x, lp_at(0)),
                      b = lp_load(q, "b", lp_vector(e, from), x, lp_at(from));
        lp_store(q, y, lp_at(0), lp_shuffle(q, NULL, a, b, to, lane));
        add_kernel(&f, q, isa);
    }
    const char *text = finish(&f);
    static uint64_t data[4][64], want[64], got[64];
    for (size_t c = 0; c < vector_compiler_count(); c++) {
        void *so = load(text, vector_compilers[c]);
        for (uint64_t seed = 0; seed < 20; seed++)
            for (int n = 0, r = 0, left = LANES * lane_rows[0].imms; n < f.n; n++) {
                if (n < rows && !left--) left = LANES * lane_rows[++r].imms - 1;
                void *mem[5];
                lane_data(&lane_rows[r], seed, data, mem);
                const int out = k[n]->nbufs - 1;
                mem[out] = memset(want, 0x55, sizeof want);
                lp_eval(k[n], mem, 0, 0);
                mem[out] = memset(got, 0x55, sizeof got);
                call(so, n, mem);
                if (memcmp(want, got, sizeof got))
                    fail_msg("%s, seed %d by %s: %s", n < rows ? lp_row_info(lane_rows[r].row)->name : "shuffle", (int)seed,
                             vector_compilers[c], oct_sprintf(arena, "kernel %d", n));
            }
        dlclose(so);
    }
}

/* Masks made by a comparison of lanes with a number, joined, kept, and used on lanes of another width; nothing outside is
 * touched. */
static inline void masks_and_tails(enum lp_isa isa, loader *load) {
    static const enum lp_elem elem[] = {LP_I8, LP_U16, LP_I32, LP_F32, LP_I64, LP_F64};
    static const int lanes[] = {2, 4, 8, 10, 16, 32, 64};
    struct c_file f = new_c_file();
    struct lp_kernel *k[6 * 7];
    for (int e = 0; e < 6; e++)
        for (int n = 0; n < 7; n++) {
            struct lp_kernel *q = k[f.n] = lp_new(&cx, arena);
            const struct lp_type t = lp_vector(elem[e], lanes[n]);
            int32_t x = lp_buffer(q, "x", elem[e], LP_BUF_IN, 64, 8), i = lp_buffer(q, "i", LP_I16, LP_BUF_IN, 64, 8),
                    y = lp_buffer(q, "y", elem[e], LP_BUF_INOUT, 64, 8);
            q->buf[x].tail = q->buf[y].tail = LP_TAIL_MASK;
            struct lp_val lane = lp_load(q, "lane", lp_vector(LP_I16, lanes[n]), i, lp_at(0));
            struct lp_val m = lp_op2(q, "m", LP_OP_lt, lane, lp_int(LP_I16, lanes[n] * 2 / 3));
            struct lp_val v = lp_load_masked(q, "v", t, x, lp_at(64 - lanes[n] * 2 / 3), m), zero = lp_reg(q, t, "zero");
            lp_set(q, zero, lp_is(elem[e], LP_FLOATS) ? lp_flt(elem[e], 0) : lp_int(elem[e], 0));
            struct lp_val p = lp_op2(q, "p", LP_OP_le, zero, v), both = lp_op2(q, "both", LP_OP_and, m, p);
            lp_op_to(q, both, LP_OP_or, 2, (struct lp_val[]){both, lp_op2(q, "e", LP_OP_eq, lane, lp_int(LP_I16, 1))}, 0);
            lp_prefetch(q, x, lp_at(3));
            lp_store_masked(q, y, lp_at(1), lp_op3(q, NULL, LP_OP_select, both, v, zero), m);
            add_kernel(&f, q, isa);
        }
    const char *text = finish(&f);
    static uint64_t x[64], want[64], got[64];
    int16_t lane[64];
    for (int l = 0; l < 64; l++) lane[l] = (int16_t)l;
    for (size_t c = 0; c < vector_compiler_count(); c++) {
        void *so = load(text, vector_compilers[c]);
        for (int n = 0; n < f.n; n++)
            for (uint64_t seed = 0; seed < 5; seed++) {
                for (uint64_t l = 0; l < 64; l++) x[l] = mix(l + 64 * seed) & 0x3f8f3f8f3f8f3f8fu; /* no NaN */
                memset(want, 0x55, sizeof want);
                memset(got, 0x55, sizeof got);
                lp_eval(k[n], (void *[]){x, lane, want}, 0, 0);
                call(so, n, (void *[]){x, lane, got});
                if (memcmp(want, got, sizeof got)) fail_msg("kernel %d by %s", n, vector_compilers[c]);
            }
        dlclose(so);
    }
}

static inline void vectors_of(enum lp_isa isa, loader *load) {
    element_wise_vectors(isa, load);
    lane_vectors(isa, load);
    masks_and_tails(isa, load);
}

#endif
