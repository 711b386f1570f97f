/* test_legal.c - kernels without what a machine lacks: every row over edges and random operands gives what it gave before, by the
 * evaluator and by printed C; nothing that is lacked is left; the rest is not touched. */
#include "loops_rows.h"

enum { ALL = LP_LACK_DIV | LP_LACK_DIV64 | LP_LACK_MUL64 | LP_LACK_SHIFT64 | LP_LACK_SQRT };

static bool lacked(const struct lp_kernel *k, const struct lp_stmt *s) {
    if (s->kind != LP_STMT_OP || s->dst < 0) return false;
    const bool is64 = k->reg[s->dst].type.elem == LP_I64;
    switch (s->row) {
    case LP_OP_div:
    case LP_OP_mull:
    case LP_OP_fsqrt:
    case LP_OP_mulh_add:
    case LP_OP_mulhr_add: return true;
    case LP_OP_mul:
    case LP_OP_mul_nw:
    case LP_OP_shlv:
    case LP_OP_shrv:
    case LP_OP_sarv:
    case LP_OP_sar: return is64;
    default: return false;
    }
}
static int count_lacked(const struct lp_kernel *k) {
    struct lp_walk w;
    int n = 0;
    lp_walk_start(&w, k);
    for (const struct lp_stmt *s; (s = lp_walk_next(&w));) n += lacked(k, s);
    return n;
}
static const char *text_of(const struct lp_kernel *k) {
    struct oct_text t;
    oct_text_init(&t, arena);
    lp_print(&t, k);
    return t.s;
}
static struct lp_kernel *legal(struct lp_kernel *k) {
    const char *why, *before = text_of(k);
    const int n = count_lacked(k);
    lp_legalise(k, LP_LACK_NONE);
    assert_string_equal(text_of(k), before);
    lp_legalise(k, ALL);
    assert_int_equal(count_lacked(k), 0);
    if (!n) assert_string_equal(text_of(k), before);
    if (!lp_verify(k, &why)) fail_msg("%s\n%s", why, text_of(k));
    return k;
}

static void every_row_means_the_same(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    void *got = oct_alloc(arena, COUNT * 8);
    int rewritten = 0;
    for (int i = 0; i < cs->n; i++)
        for (int lanes = 1; lanes <= 16; lanes += 15) {
            const struct scalar_case *c = &cs->c[i];
            struct lp_kernel *k = case_kernel(c, lanes);
            if (lanes > 1 && !count_lacked(k)) continue;
            rewritten += count_lacked(k);
            memset(got, 0x55, COUNT * 8);
            void *mem[4] = {c->in[0], c->in[1], c->in[2]};
            mem[c->nargs] = got;
            lp_eval(legal(k), mem, 0, 0);
            same(c, got, "the evaluator");
        }
    /* div of three types; mull and two of its kind; mul, mul_nw; shifts by a register, and to the right by 33 distances; fsqrt */
    assert_int_equal(rewritten, 2 * (3 + 3 + 2 + 3 + 33 + 1));
}

static struct lp_kernel *legal_if_lacked(struct lp_kernel *k) { return count_lacked(k) ? legal(k) : NULL; }
static void printed_c_means_the_same(void **state) {
    (void)state;
    struct cases *cs = make_cases();
    assert_true(check_cases_in_c(cs, legal_if_lacked) > 0);
}

/* ---- operands that are immediates, destinations that are operands, loops around ---------------------------------------------
 */

static const int64_t numbers[] = {0,
                                  1,
                                  -1,
                                  2,
                                  -3,
                                  31,
                                  32,
                                  33,
                                  63,
                                  65535,
                                  65536,
                                  -65536,
                                  INT32_MAX,
                                  INT32_MIN,
                                  (int64_t)1 << 31,
                                  (int64_t)1 << 32,
                                  ((int64_t)1 << 32) - 1,
                                  INT64_MAX,
                                  INT64_MIN,
                                  0x123456789abcdef0,
                                  -0x7654321012345678};
enum { NUMBERS = sizeof numbers / sizeof *numbers, TRIP = 5 };

/* y[j] is x[j], then `row` with an immediate on one side, applied again and again in loops. */
static struct lp_kernel *chain(enum lp_row row, enum lp_elem e, int64_t imm, bool first) {
    struct lp_kernel *k = lp_new(&cx, arena);
    const int32_t x = lp_buffer(k, "x", e, LP_BUF_IN, NUMBERS, 8), y = lp_buffer(k, "y", e, LP_BUF_OUT, NUMBERS, 8);
    const int32_t j = lp_range(k, "j", NUMBERS);
    struct lp_val v = lp_load(k, "v", lp_scalar(e), x, lp_plus(lp_at(0), j, 1)), other = lp_int(e, imm);
    lp_loop(k, "again", TRIP);
    lp_note(k, "a note");
    lp_op_to(k, v, row, 2, first ? (struct lp_val[]){other, v} : (struct lp_val[]){v, other}, 0);
    lp_end(k);
    lp_store(k, y, lp_plus(lp_at(0), j, 1), v);
    lp_end(k);
    return k;
}

static void immediates_and_places(void **state) {
    (void)state;
    static const struct {
        enum lp_row row;
        enum lp_elem e;
    } uses[] = {{LP_OP_mul, LP_I64},  {LP_OP_div, LP_I64},  {LP_OP_div, LP_I32}, {LP_OP_div, LP_U32},
                {LP_OP_shlv, LP_I64}, {LP_OP_shrv, LP_I64}, {LP_OP_sarv, LP_I64}};
    for (size_t u = 0; u < sizeof uses / sizeof *uses; u++)
        for (int i = 0; i < NUMBERS; i++)
            for (int first = 0; first < 2; first++) {
                const enum lp_row row = uses[u].row;
                const bool shift = row != LP_OP_mul && row != LP_OP_div;
                int64_t imm = numbers[i], want[NUMBERS], got[NUMBERS], in[NUMBERS];
                if (uses[u].e == LP_I32) imm = (int32_t)imm;
                if (uses[u].e == LP_U32) imm = (uint32_t)imm;
                if (shift && (first || imm < 0 || imm > 63)) continue;
                if (row == LP_OP_div && (first || imm == 0 || imm == -1)) continue; /* what comes of it may be no divisor */
                for (int n = 0; n < NUMBERS; n++) in[n] = numbers[(n + 7) % NUMBERS];
                memset(want, 0, sizeof want);
                memset(got, 0, sizeof got);
                lp_eval(chain(row, uses[u].e, imm, first), (void *[]){in, want}, 3, NUMBERS);
                lp_eval(legal(chain(row, uses[u].e, imm, first)), (void *[]){in, got}, 3, NUMBERS);
                assert_memory_equal(want, got, sizeof got);
            }
}

static void mull_of_immediates(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS; i++) {
        int64_t y[2][3];
        int32_t x = (int32_t)mix((uint64_t)i);
        for (int j = 0; j < 2; j++) {
            struct lp_kernel *k = lp_new(&cx, arena);
            const int32_t in = lp_buffer(k, "x", LP_I32, LP_BUF_IN, 1, 8), out = lp_buffer(k, "y", LP_I64, LP_BUF_OUT, 3, 8);
            struct lp_val v = lp_load(k, "v", lp_scalar(LP_I32), in, lp_at(0)), imm = lp_int(LP_I32, (int32_t)numbers[i]);
            lp_store(k, out, lp_at(0), lp_op2(k, NULL, LP_OP_mull, v, imm));
            lp_store(k, out, lp_at(1), lp_op2(k, NULL, LP_OP_mull, imm, v));
            lp_store(k, out, lp_at(2), lp_op2(k, NULL, LP_OP_mull, imm, imm));
            lp_eval(j ? legal(k) : k, (void *[]){&x, y[j]}, 0, 0);
        }
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        assert_true(y[0][0] == (int64_t)x * (int32_t)numbers[i] && y[0][0] == y[0][1]);
    }
}

/* Only what is asked for. */
static void one_lack_at_a_time(void **state) {
    (void)state;
    static const struct {
        enum lp_row row;
        enum lp_elem e;
        unsigned lack;
    } uses[] = {{LP_OP_mul, LP_I64, LP_LACK_MUL64},
                {LP_OP_div, LP_I64, LP_LACK_DIV64},
                {LP_OP_div, LP_I32, LP_LACK_DIV},
                {LP_OP_div, LP_U32, LP_LACK_DIV},
                {LP_OP_shlv, LP_I64, LP_LACK_SHIFT64},
                {LP_OP_mul, LP_I32, 0},
                {LP_OP_shlv, LP_I32, 0}};
    for (size_t u = 0; u < sizeof uses / sizeof *uses; u++)
        for (unsigned lacks = 0; lacks <= ALL; lacks++) {
            struct lp_kernel *k = chain(uses[u].row, uses[u].e, 3, false);
            const char *before = text_of(k);
            lp_legalise(k, lacks);
            assert_int_equal(strcmp(text_of(k), before) != 0, (lacks & uses[u].lack) != 0);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_means_the_same), cmocka_unit_test(printed_c_means_the_same),
        cmocka_unit_test(immediates_and_places),    cmocka_unit_test(mull_of_immediates),
        cmocka_unit_test(one_lack_at_a_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
