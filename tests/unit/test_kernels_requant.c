/* Requantization as kernels do it: sequences against the independent definition at random accumulators, the threshold proof with
 * near misses that it must refuse; the packer against its inverse; places in the arena never overlap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plan/plan.h"
#include "ir/interp.h"

static uint64_t seed = 1;
static uint32_t rnd(void) { return (uint32_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 32); }

static struct oct_kbuild *builder(struct oct_ctx *cx) {
    struct oct_arena *a = oct_arena_new(cx);
    struct oct_kbuild *b = OCT_NEW(a, struct oct_kbuild);
    struct oct_node *n = OCT_NEW(a, struct oct_node);
    n->name = "y";
    b->cx = cx, b->arena = a, b->node = n, b->target = oct_target_find("c99");
    oct_text_init(&b->proof, a);
    return b;
}

/* The plan's values, and the loops that it builds, equal the interpreter's definition. */
static void check(const char *target, enum oct_profile p, const double *m, uint32_t n, int64_t range, bool proof) {
    static const int32_t bounds[][2] = {{-128, 127}, {-5, 127}, {-128, 90}, {-100, 3}};
    const int32_t *clip = bounds[rnd() % 4];
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_kbuild *b = builder(&cx);
    b->target = oct_target_find(target);
    b->no_requant_proof = !proof;
    int64_t *lo = OCT_NEW_N(b->arena, int64_t, n), *hi = OCT_NEW_N(b->arena, int64_t, n);
    for (uint32_t c = 0; c < n; c++) lo[c] = -range, hi[c] = range;
    struct oct_rq rq;
    assert_true(oct_rq_plan(b, p, n, m, lo, hi, -5, clip[0], clip[1], &rq));
    b->k = lp_new(&cx, b->arena);
    int32_t x = lp_buffer(b->k, "x", LP_I32, LP_BUF_IN, n, 4), words = -1, y = lp_buffer(b->k, "y", LP_I32, LP_BUF_OUT, n, 4);
    int32_t *fill = OCT_NEW_N(b->arena, int32_t, n * 2), *in = OCT_NEW_N(b->arena, int32_t, n),
            *out = OCT_NEW_N(b->arena, int32_t, n);
    oct_rq_fill(&rq, fill);
    if (oct_rq_words(&rq)) words = lp_buffer(b->k, "p", LP_I32, LP_BUF_CONST, (int64_t)n * oct_rq_words(&rq), 4);
    struct lp_addr at = lp_plus(lp_at(0), lp_loop(b->k, "c", n), 1);
    lp_store(b->k, y, at, oct_rq_build(b, &rq, lp_load(b->k, "acc", lp_scalar(LP_I32), x, at), words, at));
    lp_end(b->k);
    for (int t = 0; t < 300; t++) {
        for (uint32_t c = 0; c < n; c++)
            in[c] = (int32_t)(t == 0 ? -range : t == 1 ? range : (int64_t)(rnd() % (uint64_t)(2 * range + 1)) - range);
        lp_eval(b->k, (void *[]){in, out, fill}, 0, 0);
        for (uint32_t c = 0; c < n; c++) {
            struct oct_requant r;
            assert_true(oct_requant_from_real(p, m[c], &r));
            int64_t want = oct_requant_apply(&r, in[c]) - 5;
            want = want < clip[0] ? clip[0] : want > clip[1] ? clip[1] : want;
            assert_int_equal(out[c], want);
            assert_int_equal(oct_rq_value(&rq, c, in[c]), want);
        }
    }
    oct_ctx_free(&cx);
}
static void sequences_equal_the_definition(void **state) {
    (void)state;
    static const enum oct_profile profiles[] = {OCT_profile_q31, OCT_profile_tflm};
    for (int round = 0; round < 60; round++) {
        double m[5];
        for (int c = 0; c < 5; c++) m[c] = ((double)rnd() + 1) / 4294967297.0 / (double)(1u << rnd() % 20);
        m[4] = 1e-12;
        int64_t range = 1 + rnd() % (round % 2 ? 5000u : 2000000000u);
        for (int p = 0; p < 2; p++)
            for (int proof = 0; proof < 2; proof++) {
                const char *target = rnd() % 2 ? "c99" : "cortex-m4"; /* with 64-bit products, or their upper words */
                check(target, profiles[p], m, 5, range, proof);
                check(target, profiles[p], m, 1, range, proof);
            }
    }
}

/* One channel whose shared multiplier would have too few bits for its range: refused; on a short range the same is accepted. */
static void a_near_miss_is_refused(void **state) {
    (void)state;
    const double m[2] = {1000.3, 0.0000000004656613}; /* the small one keeps a few bits of its 31 under the large one's shift */
    for (int wide = 0; wide < 2; wide++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        struct oct_kbuild *b = builder(&cx);
        int64_t reach = wide ? INT32_MAX : 1000, lo[2] = {-1000, -reach}, hi[2] = {1000, reach};
        struct oct_rq rq;
        assert_true(oct_rq_plan(b, OCT_profile_q31, 2, m, lo, hi, 0, -128, 127, &rq));
        assert_int_equal(b->proofs_accepted, !wide);
        assert_int_equal(b->proofs_refused, wide);
        assert_int_equal(rq.form, wide ? OCT_RQ_Q31 : OCT_RQ_SHARED);
        oct_ctx_free(&cx);
    }
}

static void packing_has_an_inverse(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    static const int32_t perm[7] = {3, 0, 6, 2, 5, 1, 4};
    int8_t source[7 * 3 * 5], back[7 * 3 * 5];
    for (size_t i = 0; i < sizeof source; i++) source[i] = (int8_t)rnd();
    for (int t = 0; t < 2; t++) { /* blocks of 4 outputs, the last one padded */
        struct oct_pack p = {
            .rank = 3, .dim = {7, 3, 5}, .ndims = 4, .d = {{2, 0, 4}, {5, 2, 1}, {3, 1, 1}, {4, 0, 1}}, .pad = -9};
        p.perm[0] = perm;
        p.transform = t ? OCT_PACK_WIDEN16 : OCT_PACK_ID;
        assert_int_equal(oct_pack_elements(&p), 120);
        char *packed = oct_pack_data(a, &p, LP_I8, source);
        assert_true(oct_unpack_data(&p, LP_I8, packed, back));
        assert_memory_equal(source, back, sizeof source);
        if (t) assert_int_equal(((int16_t *)packed)[119], -9);
        else assert_int_equal(((int8_t *)packed)[119], -9);
        p.d[1].extent = 4; /* a tap is missing */
        assert_false(oct_unpack_data(&p, LP_I8, packed, back));
    }
    oct_ctx_free(&cx);
}

static void live_memory_never_overlaps(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct oct_ctx cx;
        oct_ctx_init(&cx);
        struct oct_arena *a = oct_arena_new(&cx);
        struct oct_plan p = {.nsteps = 20, .nroots = 15, .align = round & 1 ? 64 : OCT_ARENA_ALIGN};
        p.root = OCT_NEW_N(a, struct oct_root, p.nroots);
        for (int i = 0; i < p.nroots; i++) {
            int first = (int)(rnd() % 20), last = first + (int)(rnd() % 6);
            int64_t bytes = 1 + rnd() % 1000;
            p.root[i] = (struct oct_root){OCT_ROOT_ARENA, 0, bytes, bytes, first, last < 20 ? last : 19, -1};
        }
        oct_plan_memory(&p, a);
        assert_true(p.arena_bytes >= p.arena_lower_bound);
        for (int i = 0; i < p.nroots; i++) {
            assert_true(p.root[i].offset >= 0 && p.root[i].offset % p.align == 0 &&
                        p.root[i].offset + p.root[i].bytes <= p.arena_bytes);
            for (int j = 0; j < i; j++)
                for (int s = 0; s < p.nsteps; s++) {
                    bool both = p.root[i].first <= s && s <= p.root[i].last && p.root[j].first <= s && s <= p.root[j].last;
                    if (both)
                        assert_true(p.root[i].offset + p.root[i].bytes <= p.root[j].offset ||
                                    p.root[j].offset + p.root[j].bytes <= p.root[i].offset);
                }
        }
        oct_ctx_free(&cx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_equal_the_definition),
        cmocka_unit_test(a_near_miss_is_refused),
        cmocka_unit_test(packing_has_an_inverse),
        cmocka_unit_test(live_memory_never_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
