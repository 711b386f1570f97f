/* test_llvm.c - the LLVM back end in this process: every row of loops.def against the formulas and the evaluator, on scalars and
 * vectors; ranges, tables, masks; objects for every target. */
#include "loops_rows.h"
#include "../../backend/llvm.h"

/* ---- programs of kernels: an entry for each, whose parameters are its buffers
 * ------------------------------------------------------ */

enum { MOST = 6000 };
static struct oct_function function[MOST];
static struct oct_entry entry[MOST];
static oct_jit_fn *fn[MOST];
static struct oct_program program;

static void begin(void) { program = (struct oct_program){.name = "rows", .function = function, .entry = entry}; }
static int add(const struct lp_kernel *k) {
    const int n = program.nfunctions++;
    assert_true(n < MOST);
    struct oct_arg *arg = OCT_NEW_N(arena, struct oct_arg, k->nbufs);
    struct oct_param *param = OCT_NEW_N(arena, struct oct_param, k->nbufs);
    for (int32_t i = 0; i < k->nbufs; i++) {
        arg[i] = oct_arg(OCT_ARG_PARAM, i);
        param[i] = (struct oct_param){k->buf[i].name, k->buf[i].elem, k->buf[i].kind == LP_BUF_OUT};
    }
    function[n] = (struct oct_function){.name = oct_sprintf(arena, "k%d", n), .k = k};
    struct oct_call *call = OCT_NEW(arena, struct oct_call);
    *call = (struct oct_call){.layer = "y", .function = n, .arg = arg};
    entry[program.nentries++] =
        (struct oct_entry){.name = oct_sprintf(arena, "e%d", n), .param = param, .nparams = k->nbufs, .call = call, .ncalls = 1};
    return n;
}
static void load_for(const char *target) { assert_true(octavo_llvm.jit(&cx, arena, &program, oct_target_find(target), fn)); }
static void load(void) { load_for("host"); }
/* For AVX2 where the machine has it: rows that have a step of the machine's own. */
static const char *machine(void) {
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64-v3";
#endif
    return "host";
}

/* ---- rows
 * ---------------------------------------------------------------------------------------------------------------------------- */

static void element_wise_rows(void **state) {
    (void)state;
    static const int lanes[] = {1, 3, 16};
    struct cases *cs = make_cases();
    begin();
    for (int i = 0; i < cs->n; i++)
        for (int j = 0; j < 3; j++) add(case_kernel(&cs->c[i], lanes[j]));
    load();
    void *got = oct_alloc(arena, COUNT * 8);
    for (int i = 0; i < cs->n; i++)
        for (int j = 0; j < 3; j++) {
            const struct scalar_case *c = &cs->c[i];
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            memset(got, 0x55, COUNT * 8);
            fn[3 * i + j](mem, NULL);
            same(c, got, j ? "LLVM's vectors" : "LLVM");
        }
}

/* f2i, d2i, ffloor, fsqrt: all exponents, around every tie. */
static void roundings_over_all_exponents(void **state) {
    (void)state;
    static const struct {
        enum lp_row row;
        enum lp_elem from, to;
    } rows[] = {
        {LP_OP_f2i, LP_F32, LP_I32}, {LP_OP_ffloor, LP_F32, LP_F32}, {LP_OP_fsqrt, LP_F32, LP_F32}, {LP_OP_d2i, LP_F64, LP_I32}};
    enum { ROWS = sizeof rows / sizeof *rows, N = 16384 };
    const struct lp_kernel *k[ROWS];
    begin();
    for (int i = 0; i < ROWS; i++) {
        struct lp_kernel *q = lp_new(&cx, arena);
        int32_t x = lp_buffer(q, "x", rows[i].from, LP_BUF_IN, N, 8), y = lp_buffer(q, "y", rows[i].to, LP_BUF_OUT, N, 8);
        struct lp_addr at = lp_plus(lp_at(0), lp_loop(q, "i", N), 1);
        lp_store(q, y, at, lp_op1(q, NULL, rows[i].row, lp_scalar(rows[i].to), lp_load(q, NULL, lp_scalar(rows[i].from), x, at)));
        lp_end(q);
        add(k[i] = q);
    }
    load();
    float *x = oct_alloc(arena, N * 4);
    double *d = oct_alloc(arena, N * 8);
    int32_t *want = oct_alloc(arena, N * 4), *got = oct_alloc(arena, N * 4);
    for (uint32_t round = 0; round < 64; round++) {
        for (uint32_t i = 0; i < N; i++) {
            uint32_t bits = i << 18 | (uint32_t)(mix(round * N + i) >> (round % 46)); /* with few or many fraction bits */
            memcpy(&x[i], &bits, 4);
            d[i] = round % 2 ? (double)x[i] : (double)(int32_t)mix(i + round) + 0.5 * (double)(i % 5) + (i % 3 ? 0 : 1e-9);
        }
        for (int j = 0; j < ROWS; j++) {
            void *in = rows[j].from == LP_F64 ? (void *)d : x;
            lp_eval(k[j], (void *[]){in, want}, 0, 0);
            fn[j]((void *[]){in, got}, NULL);
            for (int i = 0; i < N; i++) {
                const bool nan = rows[j].to == LP_F32 && isnan(getf(want, LP_F32, i)) && isnan(getf(got, LP_F32, i));
                if (!nan && want[i] != got[i])
                    fail_msg("%s of %a gave %x, not %x", lp_row_info(rows[j].row)->name, getf(in, rows[j].from, i),
                             (unsigned)got[i], (unsigned)want[i]);
            }
        }
    }
}

/* Rows over several lanes: operands and results in multiples of n, or exactly so many. */
static void rows_of_lanes_for(const char *target) {
    const struct lane_row *rows = lane_rows;
    enum { ROWS = sizeof lane_rows / sizeof *lane_rows, LANES = 16 };
    bool covered[LP_ROW_COUNT] = {false};
    const struct lp_kernel *k[ROWS][LANES][2];
    int number[ROWS][LANES][2];
    begin();
    for (int r = 0; r < ROWS; r++)
        for (int n = 1; n <= LANES; n++)
            for (int imm = 0; imm < rows[r].imms; imm++) {
                covered[rows[r].row] = true;
                number[r][n - 1][imm] = add(k[r][n - 1][imm] = lane_kernel(&rows[r], n, imm));
            }
    load_for(target);
    for (int row = 0; row < LP_ROW_COUNT; row++) /* no row goes untested: C spells it, or it stands above, or below */
        if (!lp_row_info((enum lp_row)row)->c[LP_ISA_C99] && row != LP_OP_shuffle) assert_true(covered[row]);
    static uint64_t data[4][64], want[64], got[64];
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int r = 0; r < ROWS; r++)
            for (int n = 0; n < LANES; n++)
                for (int imm = 0; imm < rows[r].imms; imm++) {
                    void *mem[5];
                    lane_data(&rows[r], seed, data, mem);
                    memset(want, 0x55, sizeof want);
                    memset(got, 0x55, sizeof got);
                    mem[rows[r].nargs] = want;
                    lp_eval(k[r][n][imm], mem, 0, 0);
                    mem[rows[r].nargs] = got;
                    fn[number[r][n][imm]](mem, NULL);
                    if (memcmp(want, got, sizeof got))
                        fail_msg("%s of %d lanes, immediate %d, seed %d", lp_row_info(rows[r].row)->name, n + 1, imm, (int)seed);
                }
}

static void rows_of_lanes(void **state) {
    (void)state;
    rows_of_lanes_for("host");
    rows_of_lanes_for(machine());
}

static int32_t buffer(struct lp_kernel *k, const char *name, enum lp_elem e, enum lp_buf_kind kind, int64_t n,
                      enum lp_tail tail) {
    int32_t b = lp_buffer(k, name, e, kind, n, (int)lp_elem_size(e));
    k->buf[b].tail = tail;
    return b;
}

/* Accesses: shuffles, masked ones of one lane and of many, tables, a prefetch, a whole range. */
static void accesses(void **state) {
    (void)state;
    begin();
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = buffer(k, "x", LP_I8, LP_BUF_IN, 13, LP_TAIL_MASK), y = buffer(k, "y", LP_I8, LP_BUF_OUT, 30, LP_TAIL_MASK);
    int32_t n = buffer(k, "n", LP_I8, LP_BUF_IN, 8, LP_TAIL_NONE);
    struct lp_val m = lp_op2(k, "m", LP_OP_lt, lp_load(k, "n", lp_vector(LP_I8, 8), n, lp_at(0)), lp_int(LP_I8, 5));
    struct lp_val a = lp_load(k, "a", lp_vector(LP_I8, 8), x, lp_at(0)),
                  b = lp_load_masked(k, "b", lp_vector(LP_I8, 8), x, lp_at(8), m);
    static const uint8_t lane[10] = {0, 8, 1, 9, 15, 15, 3, 7, 12, 2};
    lp_prefetch(k, x, lp_at(0));
    lp_store(k, y, lp_at(0), lp_shuffle(k, "s", a, b, 10, lane));
    lp_store_masked(k, y, lp_at(10), a, m);
    struct lp_val one = lp_load(k, "one", lp_scalar(LP_I8), n, lp_at(0));
    struct lp_val yes = lp_op2(k, "yes", LP_OP_lt, one, lp_int(LP_I8, 1)), no = lp_op2(k, "no", LP_OP_lt, one, lp_int(LP_I8, 0));
    lp_store_masked(k, y, lp_at(18), lp_load_masked(k, "v", lp_scalar(LP_I8), x, lp_at(3), yes), yes);
    lp_store_masked(k, y, lp_at(19), lp_load_masked(k, "v", lp_scalar(LP_I8), x, lp_at(4), no), yes);
    lp_store_masked(k, y, lp_at(20), one, no);
    add(k);

    struct lp_kernel *q = lp_new(&cx, arena);
    int32_t t = buffer(q, "t", LP_I16, LP_BUF_CONST, 256, LP_TAIL_NONE), u = buffer(q, "u", LP_U8, LP_BUF_IN, 40, LP_TAIL_NONE),
            z = buffer(q, "z", LP_I32, LP_BUF_OUT, 8, LP_TAIL_NONE);
    int32_t row = lp_range(q, "row", 8);
    struct lp_val sum = lp_op1(q, "sum", LP_OP_mov, lp_scalar(LP_I32), lp_int(LP_I32, 0));
    int32_t col = lp_loop(q, "col", 5);
    struct lp_val index = lp_op1(q, NULL, LP_OP_cvt, lp_scalar(LP_I32),
                                 lp_load(q, NULL, lp_scalar(LP_U8), u, lp_plus(lp_plus(lp_at(39), row, -5), col, -1)));
    struct lp_val v = lp_load(q, "v", lp_scalar(LP_I16), t, lp_indexed(lp_at(0), index, 0, 255));
    lp_op_to(q, sum, LP_OP_add, 2, (struct lp_val[]){sum, lp_op1(q, NULL, LP_OP_cvt, lp_scalar(LP_I32), v)}, 0);
    lp_end(q);
    lp_store(q, z, lp_plus(lp_at(0), row, 1), sum);
    lp_end(q);
    add(q);
    load();

    int8_t in[13] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    int8_t want[32], got[32];
    memset(want, 0x55, sizeof want);
    memset(got, 0x55, sizeof got);
    lp_eval(k, (void *[]){in, want, lanes}, 0, 0);
    fn[0]((void *[]){in, got, lanes}, NULL);
    assert_memory_equal(want, got, sizeof got);
    assert_int_equal(got[18], 13);
    assert_int_equal(got[19], 0);
    assert_int_equal(got[20], 0x55);

    int16_t table[256];
    uint8_t codes[40];
    int32_t w[8] = {0}, g[8] = {0};
    for (int i = 0; i < 256; i++) table[i] = (int16_t)mix((uint64_t)i);
    for (int i = 0; i < 40; i++) codes[i] = (uint8_t)mix(1000u + (uint64_t)i);
    lp_eval(q, (void *[]){table, codes, w}, 0, 8); /* entries run the whole range */
    fn[1]((void *[]){table, codes, g}, NULL);
    assert_memory_equal(w, g, sizeof g);
}

/* ---- objects
 * -------------------------------------------------------------------------------------------------------------------------- */

static uint16_t half_at(const struct oct_text *t, size_t at) {
    assert_true(at + 2 <= t->len);
    return (uint16_t)((uint8_t)t->s[at] | (uint8_t)t->s[at + 1] << 8);
}

/* The program of this file's functions, as text or an object. */
static struct oct_sizes emitted(const struct oct_target *t, enum oct_llvm_form form, struct oct_text *out) {
    struct oct_sizes sizes = {-1, -1, NULL, 0};
    assert_true(octavo_llvm.emit(&cx, arena, &program, t, form, out, &sizes));
    return sizes;
}

/* What it takes: an entry and a kernel for each function, all of it in sections of their own. */
static void check_sizes(const struct oct_sizes *s) {
    int64_t sum = 0;
    assert_int_equal(s->nfunctions, program.nfunctions + program.nentries);
    for (int i = 0; i < s->nfunctions; i++) {
        assert_true(s->function[i].text_bytes > 0 && s->function[i].stack_bytes >= 0);
        sum += s->function[i].text_bytes;
    }
    assert_int_equal(sum, s->text_bytes);
}

/* All rows for every target; the same bytes again; the right machine and, on ARM, the float ABI of the triple.
 */
static void objects_for_every_target(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    begin();
    for (int i = 0; i < cs->n; i += 23) add(case_kernel(&cs->c[i], 1));
    uint32_t n;
    const struct oct_target *t = oct_target_list(&n);
    for (uint32_t i = 0; i < n; i++) {
        struct oct_text a, b;
        const struct oct_sizes sizes = emitted(&t[i], OCT_LLVM_OBJ, &a);
        check_sizes(&sizes);
        emitted(&t[i], OCT_LLVM_OBJ, &b);
        assert_true(a.len == b.len && memcmp(a.s, b.s, a.len) == 0);
        assert_memory_equal(a.s, "\177ELF", 4);
        assert_int_equal(a.s[4], t[i].pointer_bytes == 4 ? 1 : 2);
        const int machine = t[i].pointer_bytes == 4 ? 40 : strstr(t[i].triple, "aarch64") ? 183 : 62;
        assert_int_equal(half_at(&a, 18), machine);
        emitted(&t[i], OCT_LLVM_IR, &b);
        assert_non_null(strstr(b.s, "define void @e0("));
        assert_non_null(strstr(b.s, "\"no-builtins\""));
        if (machine != 40) continue;
        emitted(&t[i], OCT_LLVM_ASM, &b);
        const bool hard = strcmp(oct_target_float_abi(&t[i]), "hard") == 0; /* arguments in VFP registers */
        assert_int_equal(strstr(b.s, ".eabi_attribute\t28, 1") != NULL, hard);
    }
}

/* no-wrap flags stand only where the row says so. */
static void flags_only_where_proved(void **state) {
    (void)state;
    struct oct_text t;
    for (int nw = 0; nw < 2; nw++) {
        begin();
        struct lp_kernel *k = lp_new(&cx, arena);
        int32_t x = lp_buffer(k, "x", LP_I32, LP_BUF_IN, 9, 4), y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 9, 4);
        struct lp_addr at = lp_plus(lp_at(0), lp_loop(k, "i", 9), 1);
        struct lp_val v = lp_load(k, "v", lp_scalar(LP_I32), x, at);
        lp_store(k, y, at, lp_op2(k, "twofold", nw ? LP_OP_add_nw : LP_OP_add, v, v));
        lp_end(k);
        add(k);
        emitted(oct_target_find("host"), OCT_LLVM_IR, &t);
        assert_int_equal(strstr(t.s, "nsw") != NULL, nw);
        assert_non_null(strstr(t.s, nw ? "%twofold = add nsw i32 %v" : "%twofold = add i32 %v"));
        assert_null(strstr(t.s, "nuw"));
        assert_non_null(strstr(t.s, "ptr noalias nocapture readonly align 4 dereferenceable(36) %x, "
                                    "ptr noalias nocapture align 4 dereferenceable(36) %y"));
        assert_non_null(strstr(t.s, "nounwind"));
        assert_non_null(strstr(t.s, "target datalayout = \"e-"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_wise_rows),
        cmocka_unit_test(roundings_over_all_exponents),
        cmocka_unit_test(rows_of_lanes),
        cmocka_unit_test(accesses),
        cmocka_unit_test(objects_for_every_target),
        cmocka_unit_test(flags_only_where_proved),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
