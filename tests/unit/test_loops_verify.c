/* test_loops_verify.c - the verifier refuses each kind of unsound kernel, by one element where bounds are concerned; the builder
 * and the evaluator trap what only they can see. */
#include "loops_case.h"

static struct oct_ctx cx;
static struct oct_arena *arena;
static int setup(void **state) {
    (void)state;
    oct_ctx_init(&cx);
    arena = oct_arena_new(&cx);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    oct_ctx_free(&cx);
    return 0;
}

static const struct lp_type i8 = {LP_I8, 1}, i32 = {LP_I32, 1};

static void accepts(const struct lp_kernel *k) {
    const char *why;
    if (!lp_verify(k, &why)) fail_msg("refused: %s", why);
}
static void refuses(const struct lp_kernel *k, const char *part) {
    const char *why;
    if (lp_verify(k, &why)) fail_msg("accepted, not refused with: %s", part);
    if (!strstr(why, part)) fail_msg("'%s' does not say '%s'", why, part);
}

/* Copies `lanes` from x[base + coef i] for i < trip, x of 64 elements. */
static struct lp_kernel *copy(int64_t trip, int64_t coef, int64_t base, int lanes, bool range) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, 64, 1), y = lp_buffer(k, "y", LP_I8, LP_BUF_OUT, 64, 1);
    int32_t i = range ? lp_range(k, "i", trip) : lp_loop(k, "i", trip);
    struct lp_val v = lp_load(k, "v", lp_vector(LP_I8, lanes), x, lp_plus(lp_at(base), i, coef));
    lp_store(k, y, lp_at(0), v);
    lp_end(k);
    return k;
}

static void bounds_to_the_element(void **state) {
    (void)state;
    for (int range = 0; range < 2; range++) {
        accepts(copy(64, 1, 0, 1, range));
        refuses(copy(65, 1, 0, 1, range), "outside [0, 64)");
        refuses(copy(64, 1, 1, 1, range), "outside");
        accepts(copy(64, -1, 63, 1, range));
        refuses(copy(64, -1, 62, 1, range), "outside");
        accepts(copy(4, 16, 0, 16, range));
        refuses(copy(4, 16, 1, 16, range), "outside");
        refuses(copy(5, 16, 0, 16, range), "outside");
        refuses(copy(2, (int64_t)1 << 62, 0, 1, range), "32 bits");
        refuses(copy(3, INT64_MAX, 0, 1, range), "overflows");
    }
    struct lp_kernel *k = copy(4, 16, 8, 16, false);
    k->buf[0].tail = LP_TAIL_OVERREAD;
    k->buf[0].overread = 8;
    accepts(k);
    k->buf[0].overread = 7;
    refuses(k, "outside");
    k = copy(4, 16, 0, 16, false);
    k->buf[1].size = 15; /* over-reading is no over-writing */
    k->buf[1].tail = LP_TAIL_OVERREAD;
    k->buf[1].overread = 8;
    refuses(k, "outside");
}

/* y[0] = x[f(v)] where v is any i8: what the interval of f(v) must prove. */
static struct lp_kernel *indexed(int add, int and_with, int64_t min, int64_t max, int64_t size) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_IN, size, 1), y = lp_buffer(k, "y", LP_I8, LP_BUF_OUT, 1, 1);
    struct lp_val v = lp_op1(k, "v", LP_OP_cvt, i32, lp_load(k, "c", i8, x, lp_at(0)));
    if (add) v = lp_op2(k, "v", LP_OP_add, v, lp_int(LP_I32, add));
    if (and_with) v = lp_op2(k, "v", LP_OP_and, v, lp_int(LP_I32, and_with));
    lp_store(k, y, lp_at(0), lp_load(k, "t", i8, x, lp_indexed(lp_at(0), v, min, max)));
    return k;
}

static void index_registers_are_proved(void **state) {
    (void)state;
    accepts(indexed(128, 0, 0, 255, 256));
    refuses(indexed(127, 0, 0, 255, 256), "not proved");
    refuses(indexed(129, 0, 0, 255, 256), "not proved");
    refuses(indexed(128, 0, 0, 255, 255), "outside");
    refuses(indexed(128, 0, 0, 254, 255), "not proved");
    accepts(indexed(0, 15, 0, 15, 16));
    refuses(indexed(0, 16, 0, 15, 17), "not proved");
    struct lp_kernel *k = lp_new(&cx, arena); /* two definitions: only the type is known */
    int32_t x = lp_buffer(k, "x", LP_I8, LP_BUF_INOUT, 8, 1);
    struct lp_val v = lp_reg(k, i32, "v");
    lp_set(k, v, lp_int(LP_I32, 3));
    lp_set(k, v, lp_int(LP_I32, 4));
    lp_store(k, x, lp_indexed(lp_at(0), v, 3, 4), lp_int(LP_I8, 1));
    refuses(k, "not proved");
}

static void registers_are_set_before_they_are_read(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 8, 4);
    struct lp_val v = lp_reg(k, i32, "v");
    lp_store(k, y, lp_at(0), v);
    lp_set(k, v, lp_int(LP_I32, 0));
    refuses(k, "before it is set");
    for (int range = 0; range < 2; range++) { /* a loop runs at least once, a range need not */
        k = lp_new(&cx, arena);
        y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 8, 4);
        v = lp_reg(k, i32, "v");
        int32_t i = range ? lp_range(k, "i", 8) : lp_loop(k, "i", 8);
        lp_set(k, v, lp_int(LP_I32, 0));
        lp_store(k, y, lp_plus(lp_at(0), i, 1), v);
        lp_end(k);
        struct lp_val w = lp_op2(k, "w", LP_OP_add, v, v);
        (void)w;
        if (range) refuses(k, "before it is set");
        else accepts(k);
    }
    k = lp_new(&cx, arena); /* set by the iteration before is not set in the first */
    y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 8, 4);
    v = lp_reg(k, i32, "v");
    lp_loop(k, "i", 8);
    lp_store(k, y, lp_at(0), v);
    lp_set(k, v, lp_int(LP_I32, 0));
    lp_end(k);
    refuses(k, "before it is set");
}

static void ranges_loops_and_kinds(void **state) {
    (void)state;
    struct lp_kernel *k = copy(4, 1, 0, 1, true);
    struct lp_stmt outer = {.kind = LP_STMT_FOR, .name = "o", .trip = 2, .var = 1, .dst = -1, .buf = -1, .body = k->body};
    k->body = &outer;
    k->nvars = 2;
    refuses(k, "outermost");
    k = copy(4, 1, 0, 1, true);
    lp_store(k, 1, lp_at(0), lp_int(LP_I8, 1));
    refuses(k, "outside the range");
    k = copy(4, 1, 0, 1, true);
    struct lp_stmt second = *k->body;
    second.next = NULL;
    k->body->next = &second;
    accepts(k);
    second.trip = k->bands + 1;
    refuses(k, "other units");
    k->pieces = 2;
    refuses(k, "outside the pieces");
    k->body->body = NULL;
    second.trip = k->bands;
    refuses(k, "second range");
    for (int how = 0; how < 5; how++) { /* pieces within a range; none; within pieces; of a band that is one */
        k = lp_new(&cx, arena);
        int32_t y = lp_buffer(k, "y", LP_I8, LP_BUF_OUT, 64, 1);
        const int32_t band = lp_range_of(k, "band", 4, 4), piece = lp_piece(k, "piece", how == 4, 4);
        if (how == 2) lp_piece(k, "again", 0, 2), lp_end(k);
        lp_store(k, y, lp_plus(lp_plus(lp_at(0), band, 4), piece, 1), lp_int(LP_I8, 1));
        lp_end(k);
        if (how == 1) lp_store(k, y, lp_plus(lp_at(0), band, 4), lp_int(LP_I8, 1));
        lp_end(k);
        if (how == 3) k->pieces = 1;
        if (how == 0) accepts(k);
        else refuses(k, how == 1 ? "outside the pieces" : how == 4 ? "no band has" : "pieces of no range");
    }
    k = copy(4, 1, 0, 1, false);
    lp_store(k, 0, lp_at(0), lp_int(LP_I8, 1));
    refuses(k, "only read");
    k = copy(4, 1, 0, 1, false);
    lp_store(k, 1, lp_plus(lp_at(0), 0, 1), lp_int(LP_I8, 1));
    refuses(k, "not open");
    k = copy(4, 1, 0, 1, false);
    lp_loop(k, "left_open", 2);
    refuses(k, "still open");
    k = copy(4, 1, 0, 1, false);
    k->body->trip = 0;
    refuses(k, "loop");
    k = copy(4, 1, 0, 1, false);
    lp_store(k, 1, lp_at(0), lp_int(LP_I8, 128));
    refuses(k, "does not fit");
    k = copy(4, 1, 0, 1, false);
    struct lp_val m = lp_op2(k, "m", LP_OP_lt, lp_int(LP_I8, 1), lp_int(LP_I8, 2));
    lp_store_masked(k, 1, lp_at(0), lp_int(LP_I8, 1), m);
    refuses(k, "without mask tail");
    k->buf[1].tail = LP_TAIL_MASK;
    accepts(k);
}

/* Statements damaged after they were built: the verifier does not trust the builder. */
static void types(void **state) {
    (void)state;
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t y = lp_buffer(k, "y", LP_I32, LP_BUF_OUT, 8, 4);
    struct lp_val a = lp_op2(k, "a", LP_OP_add, lp_int(LP_I32, 1), lp_int(LP_I32, 2)), b = lp_shift(k, "b", LP_OP_sar, a, 31);
    struct lp_val c = lp_reg(k, i8, "c");
    lp_set(k, c, lp_int(LP_I8, 0));
    struct lp_val d = lp_op2(k, "d", LP_OP_mul, a, b);
    lp_store(k, y, lp_at(0), d);
    accepts(k);
    struct lp_stmt *add = k->body, *sar = add->next, *mul = sar->next->next, *store = mul->next;
    sar->imm = 32;
    refuses(k, "immediate");
    sar->imm = 31;
    mul->arg[1] = c;
    refuses(k, "operand types");
    mul->arg[1] = b;
    mul->dst = c.reg;
    refuses(k, "result type");
    mul->dst = d.reg;
    mul->row = LP_OP_fmul;
    refuses(k, "classes");
    mul->row = LP_OP_not;
    refuses(k, "number of operands");
    mul->row = LP_OP_mul;
    mul->arg[0].type.lanes = 2;
    refuses(k, "register's type");
    mul->arg[0].type.lanes = 1;
    store->arg[0] = c;
    refuses(k, "not the buffer's");
    store->arg[0] = d;
    accepts(k);
}

/* acc = acc op b in place: the checked rows must not mistake it for a wrap. */
static void checked_rows_in_place(void **state) {
    (void)state;
    const enum lp_row rows[] = {LP_OP_add_nw, LP_OP_sub_nw, LP_OP_mul_nw};
    const int64_t want[] = {8388608 + 5328130, 8388608 - 5328130, (int64_t)8388608 * 5328130};
    for (int i = 0; i < 3; i++) {
        struct lp_kernel *k = lp_new(&cx, arena);
        int32_t x = lp_buffer(k, "x", LP_I64, LP_BUF_INOUT, 1, 8);
        struct lp_val a = lp_load(k, "a", lp_scalar(LP_I64), x, lp_at(0));
        lp_op_to(k, a, rows[i], 2, (struct lp_val[]){a, lp_int(LP_I64, 5328130)}, 0);
        lp_store(k, x, lp_at(0), a);
        int64_t v = 8388608;
        lp_eval(k, (void *[]){&v}, 0, 0);
        assert_true(v == want[i]);
    }
}

/* ---- internal errors: what = 1.. builds or runs something that must trap
 * ---------------------------------------------------------- */

static void trapping(int what) {
    struct lp_kernel *k = lp_new(&cx, arena);
    int32_t x = lp_buffer(k, "x", LP_I32, LP_BUF_INOUT, 4, 4);
    int32_t mem[4] = {INT32_MAX, 1, 32, 0};
    struct lp_val a = lp_load(k, "a", i32, x, lp_at(0)),
                  b = lp_load(k, "b", i32, x,
                              lp_at(what == 0 || what == 1 ? 1
                                    : what == 2            ? 2
                                                           : 3)),
                  r = a;
    switch (what) {
    case 0: r = lp_op2(k, "r", LP_OP_sub_nw, a, b); break; /* sound */
    case 1: r = lp_op2(k, "r", LP_OP_add_nw, a, b); break;
    case 2: r = lp_op2(k, "r", LP_OP_sarv, a, b); break;
    case 3: r = lp_op2(k, "r", LP_OP_div, a, b); break;
    case 4: lp_op2(k, "r", LP_OP_add, a, lp_int(LP_I8, 1)); break;
    case 5: lp_op2(k, "r", LP_OP_fadd, a, b); break;
    case 6: lp_shift(k, "r", LP_OP_shl, a, 32); break;
    case 7: lp_op1(k, "r", LP_OP_cvt, (struct lp_type){0}, a); break;
    case 8:
        lp_range(k, "r", 4);
        lp_range(k, "s", 4);
        break;
    case 9: lp_loop(k, "l", 0); break;
    case 10: lp_end(k); break;
    case 11: lp_store(k, x, lp_at(0), lp_int(LP_I8, 1)); break;
    case 12: lp_store(k, 7, lp_at(0), a); break;
    case 13: lp_store(k, x, lp_at(4), a); break; /* built, and refused when run */
    case 14: lp_buffer(k, "y", LP_I8, LP_BUF_IN, 0, 1); break;
    default: break;
    }
    lp_store(k, x, lp_at(0), r);
    lp_eval(k, (void *[]){mem}, 0, 0);
}

static void misuse_is_an_internal_error(void **state) {
    (void)state;
    for (volatile int what = 0; what <= 14; what++) {
        jmp_buf out;
        cx.on_fatal = &out;
        int code = setjmp(out);
        if (!code) trapping(what);
        cx.on_fatal = NULL;
        if (code != (what ? OCT_EXIT_INTERNAL : 0)) fail_msg("case %d gave %d", what, code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_to_the_element),
        cmocka_unit_test(index_registers_are_proved),
        cmocka_unit_test(registers_are_set_before_they_are_read),
        cmocka_unit_test(ranges_loops_and_kinds),
        cmocka_unit_test(types),
        cmocka_unit_test(checked_rows_in_place),
        cmocka_unit_test(misuse_is_an_internal_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
