/* ceiling.c - see ceiling.h. Every step is pinned, lest a compiler finds that all are the same. */
#include "ceiling.h"

#include <string.h>

enum { TURNS = 4096, ROOM = 64 * 2 /* bytes of codes, of weights */ };

/* One step for an accumulator: how it is made of rows, and MACs of a lane of 32 bits. */
struct core {
    struct lp_kernel *k;
    int lanes;
    struct lp_val codes, pairs, weights, pair_weights, ones;
};
static struct lp_val again(const struct core *c, struct lp_val v) {
    lp_op_to(c->k, v, LP_OP_pin, 1, &v, 0);
    return v;
}
static void add_to(const struct core *c, struct lp_val acc, struct lp_val v) {
    lp_op_to(c->k, acc, LP_OP_add, 2, (struct lp_val[]){acc, v}, 0);
}
static struct lp_val quad(const struct core *c) { return lp_op2(c->k, NULL, LP_OP_maddubs, again(c, c->codes), c->weights); }

static void step(const struct core *c, const char *steps, int sums, struct lp_val acc) {
    if (*steps == 'a') add_to(c, acc, lp_op2(c->k, NULL, LP_OP_madd16, again(c, c->pairs), c->pair_weights));
    else if (*steps == 'c') add_to(c, acc, quad(c));
    else if (*steps == 'd') lp_op_to(c->k, acc, LP_OP_dot4, 3, (struct lp_val[]){acc, again(c, c->codes), c->weights}, 0);
    else {
        struct lp_val sum = lp_reg(c->k, lp_vector(LP_I16, 2 * c->lanes), "sum");
        lp_set(c->k, sum, quad(c));
        for (int i = 1; i < sums; i++) add_to(c, sum, quad(c));
        add_to(c, acc, lp_op2(c->k, NULL, LP_OP_madd16, sum, c->ones));
    }
}

/* 10 accumulators: enough to hide what an addition takes, and room beside them. */
static double build(struct lp_kernel *k, const struct oct_target *t, const char *steps) {
    enum { SUMS = 10 };
    const int sums = *steps == 'b' && steps[1] ? steps[1] - '0' : 1, lanes = t->vector_bits / 32;
    const enum lp_elem e = *steps == 'c' ? LP_I16 : LP_I32;
    k->isa = t->isa;
    const int32_t x = lp_buffer(k, "x", LP_U8, LP_BUF_SCRATCH, ROOM, 64), w = lp_buffer(k, "w", LP_I8, LP_BUF_SCRATCH, ROOM, 64),
                  y = lp_buffer(k, "y", e, LP_BUF_SCRATCH, SUMS * 2 * lanes, 64);
    struct core c = {.k = k, .lanes = lanes};
    struct lp_val acc[SUMS];
    c.ones = lp_op1(k, "ones", LP_OP_splat, lp_vector(LP_I16, 2 * lanes), lp_int(LP_I16, 1));
    c.codes = lp_load(k, "codes", lp_vector(LP_U8, 4 * lanes), x, lp_at(0));
    c.weights = lp_load(k, "weights", lp_vector(LP_I8, 4 * lanes), w, lp_at(0));
    c.pairs =
        lp_op1(k, "pairs", LP_OP_cvt, lp_vector(LP_I16, 2 * lanes), lp_load(k, NULL, lp_vector(LP_U8, 2 * lanes), x, lp_at(0)));
    c.pair_weights =
        lp_op1(k, "by", LP_OP_cvt, lp_vector(LP_I16, 2 * lanes), lp_load(k, NULL, lp_vector(LP_I8, 2 * lanes), w, lp_at(0)));
    const struct lp_type type = lp_vector(e, e == LP_I16 ? 2 * lanes : lanes);
    for (int i = 0; i < SUMS; i++) {
        acc[i] = lp_reg(k, type, "acc");
        lp_set(k, acc[i], lp_int(e, 0));
    }
    lp_loop(k, "turn", TURNS);
    for (int i = 0; i < SUMS; i++) {
        step(&c, steps, sums, acc[i]);
        lp_op_to(k, acc[i], LP_OP_pin, 1, &acc[i], 0);
    }
    lp_end(k);
    for (int i = 0; i < SUMS; i++) lp_store(k, y, lp_at((int64_t)i * type.lanes), acc[i]);
    return (double)((int64_t)TURNS * SUMS * sums * lanes * (*steps == 'a' ? 2 : 4));
}

int oct_ceiling_make(struct oct_ctx *cx, struct oct_arena *a, const struct oct_compile_options *opt,
                     struct oct_ceiling c[OCT_CEILINGS_MOST], struct oct_compiled *made) {
    struct oct_program *p = OCT_NEW(a, struct oct_program);
    struct oct_unit u = {.cx = cx, .a = a, .opt = opt, .program = p};
    int n = 0;
    while (n < OCT_CEILINGS_MOST && (c[n].steps = oct_target_steps(opt->target, n))) n++;
    oct_program_open(p, a, opt->name, n);
    for (int i = 0; i < n; i++) {
        struct lp_kernel *k = lp_new(cx, a);
        const char *why;
        c[i].macs = build(k, opt->target, c[i].steps);
        lp_legalise(k, opt->target->lacks);
        if (!lp_verify(k, &why)) oct_internal(cx, (struct oct_span){0, 0, 0}, "ceiling of '%s': %s", c[i].steps, why);
        struct oct_arg *arg = OCT_NEW_N(a, struct oct_arg, k->nbufs);
        for (int32_t b = 0; b < k->nbufs; b++) {
            arg[b] = oct_arg(OCT_ARG_ARENA, p->arena_bytes);
            p->arena_bytes += (k->buf[b].size * (int64_t)lp_elem_size(k->buf[b].elem) + 63) / 64 * 64;
        }
        oct_program_entry(p, a, "ceiling", k, c[i].steps, c[i].steps, arg);
    }
    oct_program_finish(&u, made);
    return n;
}
