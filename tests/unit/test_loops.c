/* test_loops.c - every row of loops.def: the evaluator against a formula of its own, vectors against scalars, and the printed C
 * of four compilations against the evaluator. */
#include "vector_rows.h"

static void evaluator_agrees_with_formulas(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    assert_true(cs->n > 200);
    void *got = oct_alloc(arena, COUNT * 8);
    const int lanes[] = {1, 2, 3, 16, 64};
    for (int i = 0; i < cs->n; i++)
        for (int j = 0; j < 5; j++) {
            const struct scalar_case *c = &cs->c[i];
            memset(got, 0x55, COUNT * 8);
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            lp_eval(case_kernel(c, lanes[j]), mem, 0, 0);
            same(c, got, "the evaluator");
        }
}

static struct lp_kernel *as_it_is(struct lp_kernel *k) { return k; }
static void printed_c_agrees_with_formulas(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    assert_int_equal(check_cases_in_c(cs, as_it_is), cs->n);
}

static void vectors_in_gnu_c_agree_with_formulas(void **state) {
    (void)state;
    vectors_of(LP_ISA_C99, load_c);
}
static void vectors_for_avx2_agree_with_formulas(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) skip();
    vectors_of(LP_ISA_AVX2, load_c);
}

/* f2i, ffloor, fsqrt: helper functions in C; a dense sweep over all exponents and around every tie up to 2^24. */
static void float_helpers_agree_on_a_dense_sweep(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    int32_t *bits = oct_alloc(arena, N * 4), *want = oct_alloc(arena, 3 * N * 4), *got = oct_alloc(arena, 3 * N * 4);
    for (int32_t i = 0; i < N; i++) {
        float f = ldexpf((float)(2 * (i / 4) + 1) * (i & 2 ? 1.0f : -1.0f), -1); /* halves */
        if (i & 1) bits[i] = (int32_t)((uint32_t)i * 4099u);
        else memcpy(&bits[i], &f, 4);
        if (i % 8 == 6) bits[i]++;
        if (i % 8 == 4) bits[i]--;
    }
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t in = lp_buffer(k, "bits", LP_I32, LP_BUF_IN, N, 4), out = lp_buffer(k, "out", LP_I32, LP_BUF_OUT, 3 * N, 4);
    int32_t i = lp_loop(k, "i", N);
    struct lp_val x =
        lp_op1(k, "x", LP_OP_of_bits, (struct lp_type){0}, lp_load(k, NULL, lp_scalar(LP_I32), in, lp_plus(lp_at(0), i, 1)));
    struct lp_val y[3];
    y[0] = lp_op1(k, "n", LP_OP_f2i, (struct lp_type){0}, x);
    struct lp_val nan_free = lp_op2(k, "ok", LP_OP_eq, x, x);
    for (int j = 1; j < 3; j++) {
        struct lp_val f = lp_op1(k, "f", j == 1 ? LP_OP_ffloor : LP_OP_fsqrt, (struct lp_type){0}, x);
        if (j == 2) nan_free = lp_op2(k, "ok", LP_OP_eq, f, f);
        y[j] = lp_op3(k, "y", LP_OP_select, nan_free, lp_op1(k, NULL, LP_OP_bits_of, (struct lp_type){0}, f), lp_int(LP_I32, 0));
    }
    for (int j = 0; j < 3; j++) lp_store(k, out, lp_plus(lp_at(j), i, 3), y[j]);
    lp_end(k);
    lp_eval(k, (void *[]){bits, want}, 0, 0);
    struct oct_text t, file;
    oct_text_init(&t, arena);
    oct_text_init(&file, arena);
    struct lp_c_file *shared = lp_c_file_new(&cx, arena);
    lp_emit_c(&t, k, "k", shared);
    oct_text_add(&file, "#include <stdint.h>\n");
    lp_emit_c_prologue(&file, shared);
    oct_text_addf(&file, "%svoid w(void **m);\nvoid w(void **m) { k(m[0], m[1]); }\n", t.s);
    for (size_t j = 0; j < compiler_count(); j++) {
        void *so = load_c(file.s, compilers[j]);
        void (*run)(void **);
        *(void **)&run = dlsym(so, "w");
        run((void *[]){bits, got});
        assert_memory_equal(want, got, 3 * N * 4);
        dlclose(so);
    }
}

/* ---- rows that need vectors
 * ------------------------------------------------------------------------------------------------------ */

static void run_row(enum lp_row row, int64_t imm, struct lp_type to, int nargs, const struct lp_type *types, void *const *in,
                    void *out) {
    void *mem[5];
    for (int i = 0; i < nargs; i++) mem[i] = in[i];
    mem[nargs] = out;
    lp_eval(row_kernel(row, imm, to, nargs, types), mem, 0, 0);
}

static int64_t clamped(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static void dot_steps(void **state) {
    (void)state;
    for (int n = 1; n <= 16; n++)
        for (uint64_t seed = 0; seed < 40; seed++) {
            int16_t a[64], b[64], r16[64];
            int8_t s[64], t[64];
            uint8_t u[64], msk[64];
            int32_t acc[64], got[64], b32[64];
            int64_t wide64[64];
            for (int i = 0; i < 64; i++) {
                b32[i] = seed < 2 ? INT32_MIN : (int32_t)(uint32_t)(mix(seed * 91 + (uint64_t)i) >> (i % 5 * 8));
                wide64[i] = seed < 2 ? INT64_MIN : (int64_t)mix(seed * 97 + (uint64_t)i);
                uint64_t r = mix(seed * 64 + (uint64_t)i);
                a[i] = seed < 2 ? INT16_MIN : (int16_t)r;
                b[i] = seed < 1 ? INT16_MIN : seed < 2 ? INT16_MAX : (int16_t)(r >> 16);
                s[i] = seed < 2 ? INT8_MIN : (int8_t)(r >> 24);
                t[i] = seed < 1 ? INT8_MIN : seed < 2 ? INT8_MAX : (int8_t)(r >> 48);
                u[i] = seed < 2 ? 255 : (uint8_t)(r >> 32);
                msk[i] = (uint8_t)(r >> 40 & 1);
                acc[i] = seed < 1 ? INT32_MAX : (int32_t)(uint32_t)(r >> 20);
            }
            struct lp_type i32n = lp_vector(LP_I32, n), i16p = lp_vector(LP_I16, 2 * n), u8q = lp_vector(LP_U8, 4 * n),
                           i8q = lp_vector(LP_I8, 4 * n);
            run_row(LP_OP_madd16, 0, i32n, 2, (struct lp_type[]){i16p, i16p}, (void *[]){a, b}, got);
            for (int l = 0; l < n; l++)
                assert_int_equal(got[l], (int32_t)((uint32_t)(a[2 * l] * b[2 * l]) + (uint32_t)(a[2 * l + 1] * b[2 * l + 1])));
            int64_t p[64];
            struct lp_type i64n = lp_vector(LP_I64, n), i32p = lp_vector(LP_I32, 2 * n), i16n = lp_vector(LP_I16, n);
            run_row(LP_OP_mul_even, 0, i64n, 2, (struct lp_type[]){i32p, i32p}, (void *[]){acc, b32}, p);
            for (int l = 0; l < n; l++) assert_int_equal(p[l], (int64_t)acc[2 * l] * b32[2 * l]);
            run_row(LP_OP_high, 0, i32p, 2, (struct lp_type[]){i64n, i64n}, (void *[]){p, wide64}, got);
            for (int l = 0; l < n; l++) {
                assert_int_equal(got[2 * l], (int32_t)floor_shift(p[l], 32));
                assert_int_equal(got[2 * l + 1], (int32_t)floor_shift(wide64[l], 32));
            }
            /* lane 3 of b follows lane 3 of a by as many lanes as 16 bytes hold, or as there are */
            run_row(LP_OP_packs32, 0, i16p, 2, (struct lp_type[]){i32n, i32n}, (void *[]){acc, b32}, r16);
            for (int l = 0; l < n; l++) {
                int block = l / 4 * 4, run = n - block < 4 ? n - block : 4;
                assert_int_equal(r16[l + block], clamped(acc[l], INT16_MIN, INT16_MAX));
                assert_int_equal(r16[l + block + run], clamped(b32[l], INT16_MIN, INT16_MAX));
            }
            uint8_t bytes[64];
            for (int sign = 0; sign < 2; sign++) {
                run_row(sign ? LP_OP_packs16 : LP_OP_packus16, 0, lp_vector(sign ? LP_I8 : LP_U8, 2 * n), 2,
                        (struct lp_type[]){i16n, i16n}, (void *[]){a, b}, bytes);
                for (int l = 0; l < n; l++) {
                    int block = l / 8 * 8, run = n - block < 8 ? n - block : 8, lo = sign ? -128 : 0, hi = sign ? 127 : 255;
                    assert_int_equal(bytes[l + block], (uint8_t)clamped(a[l], lo, hi));
                    assert_int_equal(bytes[l + block + run], (uint8_t)clamped(b[l], lo, hi));
                }
            }
            run_row(LP_OP_dot2, 0, i32n, 3, (struct lp_type[]){i32n, i16p, i16p}, (void *[]){acc, a, b}, got);
            for (int l = 0; l < n; l++)
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)(a[2 * l] * b[2 * l]) +
                                                   (uint32_t)(a[2 * l + 1] * b[2 * l + 1])));
            run_row(LP_OP_maddubs, 0, lp_vector(LP_I16, n), 2,
                    (struct lp_type[]){lp_vector(LP_U8, 2 * n), lp_vector(LP_I8, 2 * n)}, (void *[]){u, s}, r16);
            for (int l = 0; l < n; l++) {
                int v = u[2 * l] * s[2 * l] + u[2 * l + 1] * s[2 * l + 1];
                assert_int_equal(r16[l], v > 32767 ? 32767 : v < -32768 ? -32768 : v);
            }
            run_row(LP_OP_dot4, 0, i32n, 3, (struct lp_type[]){i32n, u8q, i8q}, (void *[]){acc, u, s}, got);
            for (int l = 0; l < n; l++) {
                int v = 0;
                for (int i = 4 * l; i < 4 * l + 4; i++) v += u[i] * s[i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            run_row(LP_OP_dot4s, 0, i32n, 3, (struct lp_type[]){i32n, i8q, i8q}, (void *[]){acc, s, t}, got);
            for (int l = 0; l < n; l++) {
                int v = 0;
                for (int i = 4 * l; i < 4 * l + 4; i++) v += s[i] * t[i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            struct lp_type i8n = lp_vector(LP_I8, n);
            run_row(LP_OP_mladav, 0, lp_scalar(LP_I32), 4, (struct lp_type[]){lp_scalar(LP_I32), i8n, i8n, lp_vector(LP_MASK, n)},
                    (void *[]){acc, s, t, msk}, got);
            uint32_t sum = (uint32_t)acc[0];
            for (int i = 0; i < n; i++) sum += msk[i] ? (uint32_t)(s[i] * t[i]) : 0;
            assert_int_equal(got[0], (int32_t)sum);
            struct lp_type i8v = lp_vector(LP_I8, 16), i4 = lp_vector(LP_I32, 4);
            run_row(LP_OP_mmla, 0, i4, 3, (struct lp_type[]){i4, i8v, i8v}, (void *[]){acc, s, t}, got);
            for (int l = 0; l < 4; l++) {
                int v = 0;
                for (int i = 0; i < 8; i++) v += s[l / 2 * 8 + i] * t[l % 2 * 8 + i];
                assert_int_equal(got[l], (int32_t)((uint32_t)acc[l] + (uint32_t)v));
            }
            uint8_t found[64];
            run_row(LP_OP_lookup16, 0, lp_vector(LP_U8, n), 2, (struct lp_type[]){lp_vector(LP_U8, 16), lp_vector(LP_U8, n)},
                    (void *[]){t, u}, found);
            for (int l = 0; l < n; l++) assert_int_equal(found[l], u[l] < 128 ? (uint8_t)t[u[l] % 16] : 0);
            for (int half = 0; half < 2; half++) {
                run_row(LP_OP_sxtb16, half, lp_vector(LP_I16, n), 1, (struct lp_type[]){lp_vector(LP_I8, 2 * n)}, (void *[]){s},
                        r16);
                for (int l = 0; l < n; l++) assert_int_equal(r16[l], s[2 * l + half]);
            }
            run_row(LP_OP_reduce_add, 0, lp_scalar(LP_I32), 1, (struct lp_type[]){i32n}, (void *[]){acc}, got);
            sum = 0;
            for (int l = 0; l < n; l++) sum += (uint32_t)acc[l];
            assert_int_equal(got[0], (int32_t)sum);
            int8_t r8[64];
            run_row(LP_OP_repeat, 0, lp_vector(LP_I8, 3 * n), 1, (struct lp_type[]){i8n}, (void *[]){s}, r8);
            for (int l = 0; l < 3 * n; l++) assert_int_equal(r8[l], s[l % n]);
            run_row(LP_OP_splat, 0, i8q, 1, (struct lp_type[]){lp_scalar(LP_I8)}, (void *[]){s}, r8);
            for (int l = 0; l < 4 * n; l++) assert_int_equal(r8[l], s[0]);
        }
}

static void shuffles_and_tails(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, 10, 1), y = lp_buffer(k, "y", LP_I8, LP_BUF_OUT, 19, 1),
            n = lp_buffer(k, "n", LP_I8, LP_BUF_IN, 8, 1);
    k->buf[y].tail = LP_TAIL_MASK;
    k->buf[x].tail = LP_TAIL_OVERREAD;
    k->buf[x].overread = 6;
    struct lp_val a = lp_load(k, "a", lp_vector(LP_I8, 8), x, lp_at(0)), b = lp_load(k, "b", lp_vector(LP_I8, 8), x, lp_at(8));
    const uint8_t interleave[8] = {0, 8, 1, 9, 2, 3, 4, 5};
    lp_store(k, y, lp_at(0), lp_shuffle(k, "s", a, b, 8, interleave));
    struct lp_val m = lp_op2(k, "m", LP_OP_lt, lp_load(k, "n", lp_vector(LP_I8, 8), n, lp_at(0)), lp_int(LP_I8, 3));
    lp_store_masked(k, y, lp_at(16), a, m);
    int8_t in[10] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, out[24] = {0}, lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    lp_eval(k, (void *[]){in, out, lane}, 0, 0);
    const int8_t want[24] = {10, 18, 11, 19, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 12, 0, 0, 0, 0, 0};
    assert_memory_equal(out, want, 24);
    struct lp_kernel *q = lp_new(&cx, arena);
    x = lp_buffer(q, "x", LP_I8, LP_BUF_IN, 5, 1);
    y = lp_buffer(q, "y", LP_I8, LP_BUF_OUT, 8, 1);
    n = lp_buffer(q, "n", LP_I8, LP_BUF_IN, 8, 1);
    q->buf[x].tail = LP_TAIL_MASK;
    m = lp_op2(q, "m", LP_OP_lt, lp_load(q, "n", lp_vector(LP_I8, 8), n, lp_at(0)), lp_int(LP_I8, 5));
    lp_store(q, y, lp_at(0), lp_load_masked(q, "v", lp_vector(LP_I8, 8), x, lp_at(0), m));
    lp_eval(q, (void *[]){in, out, lane}, 0, 0);
    const int8_t masked[8] = {10, 11, 12, 13, 14, 0, 0, 0};
    assert_memory_equal(out, masked, 8);
}

/* ---- loops, ranges, tables
 * --------------------------------------------------------------------------------------------------------- */

/* y[r][c] = table[x[r][c] + 128] summed along c, over rows of a range; also the sample whose C is looked at. */
static struct lp_kernel *sample(void) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, 6 * 5, 1), table = lp_buffer(k, "table", LP_I32, LP_BUF_CONST, 256, 4);
    int32_t y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 6, 4);
    int32_t r = lp_range(k, "r", 6);
    struct lp_val acc = lp_reg(k, lp_scalar(LP_I32), "acc");
    lp_set(k, acc, lp_int(LP_I32, 7));
    int32_t c = lp_loop(k, "c", 5);
    struct lp_val v = lp_load(k, NULL, lp_scalar(LP_I8), x, lp_plus(lp_plus(lp_at(0), r, 5), c, 1));
    struct lp_val i = lp_op2(k, NULL, LP_OP_add_nw, lp_op1(k, NULL, LP_OP_cvt, lp_scalar(LP_I32), v), lp_int(LP_I32, 128));
    struct lp_val t = lp_load(k, NULL, lp_scalar(LP_I32), table, lp_indexed(lp_at(0), i, 0, 255));
    lp_op_to(k, acc, LP_OP_add_nw, 2, (struct lp_val[]){acc, t}, 0);
    lp_end(k);
    lp_store(k, y, lp_plus(lp_at(0), r, 1), acc);
    lp_end(k);
    return k;
}

static void ranges_tables_and_text(void **state) {
    (void)state;
    struct lp_kernel *k = sample();
    int8_t x[30];
    int32_t table[256], y[6] = {0};
    for (int i = 0; i < 30; i++) x[i] = (int8_t)(mix((uint64_t)i));
    for (int i = 0; i < 256; i++) table[i] = i * i;
    uint64_t counts[LP_ROW_COUNT + 2] = {0};
    lp_eval_count(k, (void *[]){x, table, y}, 2, 5, counts);
    for (int r = 0; r < 6; r++) {
        int32_t want = 7;
        for (int c = 0; c < 5; c++) want += table[x[r * 5 + c] + 128];
        assert_int_equal(y[r], r >= 2 && r < 5 ? want : 0);
    }
    assert_int_equal(counts[LP_OP_add_nw], 3 * 5 * 2);
    assert_int_equal(counts[LP_ROW_COUNT], 3 * 5 * 2);
    assert_int_equal(counts[LP_ROW_COUNT + 1], 3);
    struct oct_text one, two, c;
    oct_text_init(&one, arena);
    oct_text_init(&two, arena);
    oct_text_init(&c, arena);
    lp_print(&one, k);
    lp_print(&two, sample());
    assert_string_equal(one.s, two.s);
    assert_string_equal(one.s, "in x : i8[30] align 1\nconst table : i32[256] align 4\nout y : i32[6] align 4\nrange r < 6\n  "
                               "acc : i32 = mov 7\n  for c < 5\n"
                               "    t : i8 = x[5*r + 1*c + 0]\n    t_1 : i32 = cvt t\n    t_2 : i32 = add_nw t_1, 128\n"
                               "    t_3 : i32 = table[0 + t_2 in 0..255]\n    acc : i32 = add_nw acc, t_3\n  y[1*r + 0] = acc\n");
    struct lp_c_file *shared = lp_c_file_new(&cx, arena);
    lp_emit_c(&c, k, "rows", shared);
    assert_string_equal(c.s, "static void rows(const int8_t *restrict x, const int32_t *restrict table, int32_t *restrict y, "
                             "int32_t lo, int32_t hi) {\n"
                             "    for (int32_t r = lo; r < hi; ++r) {\n"
                             "        int32_t acc = 7;\n"
                             "        for (int32_t c = 0; c < 5; ++c) {\n"
                             "            acc = acc + table[(int32_t)x[r * 5 + c] + 128];\n"
                             "        }\n"
                             "        y[r] = acc;\n"
                             "    }\n"
                             "}\n");
}

/* A temporary is not moved past a store that may change what it loaded, nor past a new value of a register that it read. */
static void temporaries_keep_their_value(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t b = lp_buffer(k, "b", LP_I32, LP_BUF_INOUT, 3, 4);
    struct lp_type i32 = lp_scalar(LP_I32);
    struct lp_val old = lp_load(k, NULL, i32, b, lp_at(0)), acc = lp_reg(k, i32, "acc");
    lp_set(k, acc, lp_int(LP_I32, 5));
    struct lp_val twice = lp_op2(k, NULL, LP_OP_add, acc, acc);
    lp_store(k, b, lp_at(0), lp_int(LP_I32, INT32_MIN));
    lp_set(k, acc, lp_int(LP_I32, -9));
    lp_store(k, b, lp_at(1), old);
    lp_store(k, b, lp_at(2), lp_op2(k, NULL, LP_OP_sub, twice, acc));
    lp_load(k, "unused", i32, b, lp_at(0));
    struct oct_text t;
    oct_text_init(&t, arena);
    struct lp_c_file *shared = lp_c_file_new(&cx, arena);
    oct_text_add(&t, "#include <stdint.h>\n");
    lp_emit_c(&t, k, "k", shared);
    oct_text_add(&t, "void w(void **m);\nvoid w(void **m) { k(m[0]); }\n");
    int32_t want[3] = {77, 0, 0}, got[3];
    lp_eval(k, (void *[]){want}, 0, 0);
    assert_int_equal(want[1], 77);
    assert_int_equal(want[2], 19);
    for (size_t j = 0; j < compiler_count(); j++) {
        memcpy(got, (int32_t[]){77, 0, 0}, sizeof got);
        void *so = load_c(t.s, compilers[j]);
        void (*run)(void **);
        *(void **)&run = dlsym(so, "w");
        run((void *[]){got});
        assert_memory_equal(got, want, sizeof got);
        dlclose(so);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluator_agrees_with_formulas),
        cmocka_unit_test(printed_c_agrees_with_formulas),
        cmocka_unit_test(vectors_in_gnu_c_agree_with_formulas),
        cmocka_unit_test(vectors_for_avx2_agree_with_formulas),
        cmocka_unit_test(float_helpers_agree_on_a_dense_sweep),
        cmocka_unit_test(dot_steps),
        cmocka_unit_test(shuffles_and_tails),
        cmocka_unit_test(ranges_tables_and_text),
        cmocka_unit_test(temporaries_keep_their_value),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
