/* test_vec_rq.c - requantization of vectors: by the evaluator and by LLVM, against the values that test_kernels_requant.c holds
 * against the definition. All forms, multipliers from far below to far above 1, zero points and clamps at their ends,
 * accumulators at both ends of their reach and around every step between. */
#include "kernel_case.h"
#include "vector_case.h"
#include "../../backend/kernels/rq_vec.h"

enum { ROWS = 96, MOST = 64 };

struct ways { /* what the cases met */
    int form[8], cut, left, folded, apart, uniform, each, clamped_float, wide;
    int fused[3], times; /* layers by way; sums multiplied */
};
static struct ways met;

static void note(const struct oct_rqv *v) {
    met.form[v->rq->form]++;
    met.cut += v->word[OCT_RQV_LEAST].used;
    met.left += v->word[OCT_RQV_LEFT].used && v->rq->form != OCT_RQ_TFLM;
    met.folded += v->zero_added;
    met.apart += v->rq->zero && !v->zero_added;
    met.uniform += v->word[OCT_RQV_SHIFT].used && v->word[OCT_RQV_SHIFT].at < 0;
    met.each += v->word[OCT_RQV_SHIFT].used && v->word[OCT_RQV_SHIFT].at >= 0;
    met.clamped_float += v->clamps && v->rq->form == OCT_RQ_FLOAT;
    met.wide += v->wide;
}

/* `pieces` vectors of channels side by side, the last of `rest` lanes. */
struct one {
    enum oct_profile profile;
    const double *m;
    const int64_t *lo, *hi;
    int32_t zero, qmin, qmax;
    enum lp_elem elem;
    int pieces, rest;
    bool own;   /* no cheaper way */
    int starts; /* sums that may start elsewhere (1), and be multiplied (2) */
};

static void check(const struct one *o, uint64_t seed) {
    struct oct_kbuild *b = OCT_NEW(kc.arena, struct oct_kbuild);
    struct oct_node *node = OCT_NEW(kc.arena, struct oct_node);
    node->name = "y";
    *b = (struct oct_kbuild){.cx = &kc.cx, .arena = kc.arena, .node = node, .target = kc.target};
    oct_text_init(&b->proof, kc.arena);
    b->k = lp_new(&kc.cx, kc.arena);
    const int lanes = kc.target->vector_bits / 32, padded = o->pieces * lanes, n = padded - lanes + o->rest;
    struct oct_rq rq;
    struct oct_rqv v;
    b->no_requant_proof = o->own;
    assert_true(oct_rq_plan(b, o->profile, (uint32_t)n, o->m, o->lo, o->hi, o->zero, o->qmin, o->qmax, &rq));
    int32_t bias[MOST] = {0}, times[MOST];
    const struct oct_rqv_sums sums = {.lo = o->lo,
                                      .hi = o->hi,
                                      .padded = padded,
                                      .bias = o->starts ? bias : NULL,
                                      .times = o->starts > 1 ? times : NULL,
                                      .most_times = 127};
    for (int c = 0; c < MOST; c++) times[c] = 1;
    if (o->starts) oct_rqv_begin(&v, b, &rq, &sums);
    else oct_rqv_open(&v, b, &rq, o->lo, o->hi, padded);
    note(&v);
    met.fused[v.way]++;
    for (int c = 0; c < n; c++) met.times += times[c] > 1;
    int32_t x = lp_buffer(b->k, "x", LP_I32, LP_BUF_IN, ROWS * padded, 4),
            y = lp_buffer(b->k, "y", o->elem, LP_BUF_OUT, ROWS * n, (int)lp_elem_size(o->elem));
    const int32_t row = lp_loop(b->k, "row", ROWS / 2); /* two pixels at once */
    struct oct_rqv_piece piece[2 * 4];
    for (int i = 0; i < o->pieces; i++) {
        const struct oct_rqv_loaded w = oct_rqv_words(&v, lp_at(i * lanes));
        for (int p = 0; p < 2; p++) {
            const struct lp_addr from = lp_plus(lp_at(p * padded + i * lanes), row, 2 * padded);
            struct lp_val acc = lp_load(b->k, "acc", lp_vector(LP_I32, lanes), x, from);
            piece[p * o->pieces + i] = (struct oct_rqv_piece){
                oct_rqv_codes(&v, &w, acc), lp_plus(lp_at(p * n + i * lanes), row, 2 * n), i + 1 < o->pieces ? lanes : o->rest};
        }
    }
    oct_rqv_store(&v, y, 2 * o->pieces, piece);
    lp_end(b->k);
    const char *why;
    if (!lp_verify(b->k, &why)) fail_msg("%s", why);

    int32_t *in = OCT_NEW_N(kc.arena, int32_t, ROWS * padded), *sum = OCT_NEW_N(kc.arena, int32_t, ROWS * padded);
    for (int c = 0; c < n; c++) { /* ends, steps, anything */
        int64_t at = o->lo[c];
        for (int r = 0; r < ROWS; r++) {
            int64_t acc = o->lo[c] + (int64_t)(mix(seed++) % (uint64_t)(o->hi[c] - o->lo[c] + 1));
            if (r == 0) acc = o->lo[c];
            else if (r == 1) acc = o->hi[c];
            else if (r == 2 || r == 3) acc = (r == 2 ? -1 : 1) < o->lo[c] || (r == 2 ? -1 : 1) > o->hi[c] ? acc : r == 2 ? -1 : 1;
            else if (r % 3 && at < o->hi[c]) { /* both sides of a step: a random place, and the next step from there */
                int64_t low = acc, high = o->hi[c];
                const int32_t code = oct_rq_value(&rq, (uint32_t)c, low);
                while (high - low > 1) {
                    const int64_t mid = low + (high - low) / 2;
                    if (oct_rq_value(&rq, (uint32_t)c, mid) > code) high = mid;
                    else low = mid;
                }
                acc = r % 3 == 1 ? low : high;
            }
            in[r * padded + c] = (int32_t)acc;
            sum[r * padded + c] = (int32_t)((uint32_t)acc * (uint32_t)times[c] + (uint32_t)bias[c]);
        }
    }
    void *mem[3] = {NULL};
    void *got = oct_alloc(kc.arena, ROWS * (size_t)n * 2);
    int at = 0;
    if (v.buf >= 0) mem[at++] = (void *)(uintptr_t)b->constant[0].data;
    mem[at++] = sum;
    mem[at] = got;
    for (int by = 0; by < 2; by++) {
        memset(got, 0x5a, ROWS * (size_t)n * 2);
        if (by) vc_run(b->k, mem);
        else lp_eval(b->k, mem, 0, 0);
        for (int i = 0; i < ROWS * n; i++) {
            const int32_t acc = in[i / n * padded + i % n], want = oct_rq_value(&rq, (uint32_t)(i % n), acc),
                          code = o->elem == LP_I16  ? ((int16_t *)got)[i]
                                 : o->elem == LP_U8 ? ((uint8_t *)got)[i]
                                                    : ((int8_t *)got)[i];
            if (code != want)
                fail_msg("%s: form %d, M %.17g in [%lld, %lld], zero %d, clamp [%d, %d]: %d gives %d, not %d",
                         by ? "LLVM" : "evaluator", rq.form, o->m[i % n], (long long)o->lo[i % n], (long long)o->hi[i % n],
                         o->zero, o->qmin, o->qmax, acc, code, want);
        }
    }
}

static void all_sequences(void **state) {
    (void)state;
    static const enum oct_profile profiles[] = {OCT_profile_q31, OCT_profile_tflm, OCT_profile_onnx, OCT_profile_pot};
    static const struct {
        enum lp_elem elem;
        int32_t lo, hi, zero[4];
    } types[] = {
        {LP_I8, -128, 127, {-128, 127, 0, -5}}, {LP_U8, 0, 255, {0, 255, 128, 3}}, {LP_I16, -32768, 32767, {0, 0, 0, 0}}};
    for (uint64_t round = 0; round < 260; round++) {
        double m[MOST];
        int64_t lo[MOST], hi[MOST];
        uint64_t r = mix(round);
        const int exponent = (int)(r % 34) - 24; /* of M: mostly below 1 */
        for (int c = 0; c < MOST; c++) {
            const uint64_t q = mix(round * MOST + (uint64_t)c);
            m[c] = ldexp(1 + (double)(q >> 40) * 0x1p-24, exponent + (round % 3 == 0 ? 0 : (int)(q % 4)));
            if (round % 7 == 6) m[c] = ldexp(m[c], (int)(q >> 8 & 15));
            if (round % 5 == 4) m[c] = ldexp(1.0, exponent + (int)(q % 3)); /* ties */
            if (round % 11 == 10 && q % 8 == 0) m[c] = 1e-13;
            if (round % 13 == 12) m[c] = 1.0;
            const uint64_t mask = ((uint64_t)1 << (round % 4 == 3 ? 30 + round % 8 / 4 : 8 + round % 16)) - 1;
            const int64_t reach = 1 + (int64_t)(q >> 20 & mask);
            lo[c] = round % 9 == 8 ? reach / 3 : -reach;
            hi[c] = reach;
        }
        const enum oct_profile profile = round % 5 == 4 ? profiles[r >> 8 & 3] : profiles[(r >> 8) % 3];
        const int t = (int)((r >> 16) % 3);
        struct one o = {profile,
                        m,
                        lo,
                        hi,
                        types[t].zero[r >> 24 & 3],
                        types[t].lo,
                        types[t].hi,
                        types[t].elem,
                        1 + (int)(r >> 32 & 3),
                        0,
                        round < 130,
                        (int)((r >> 44 & 3) % 3)};
        kc.target = oct_target_find(r >> 40 & 1 ? "x86-64-v4" : "x86-64-v3");
        const int lanes = kc.target->vector_bits / 32;
        if (o.pieces > MOST / lanes) o.pieces = MOST / lanes;
        o.rest = r >> 48 & 1 ? lanes : 1 + (int)((r >> 50) % (uint64_t)lanes);
        if (r >> 41 & 1) o.qmin += 9, o.qmax -= 30;
        if (profile == OCT_profile_pot && (round % 13 == 12 || round % 11 == 10)) continue;
        check(&o, round * 1000);
    }
    for (int f = 0; f < 8; f++)
        if (f != OCT_RQ_LONG && f <= OCT_RQ_IDENTITY) assert_true(met.form[f] > 0);
    assert_true(met.fused[OCT_RQV_FMA] && met.fused[OCT_RQV_FMA2] && met.fused[OCT_RQV_OWN] && met.times);
    assert_true(met.cut && met.left && met.folded && met.apart && met.uniform && met.each && met.clamped_float && met.wide);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(all_sequences, kc_setup, kc_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
