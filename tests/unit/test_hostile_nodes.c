/* Nodes at random, most of them nonsense: whatever operands and attributes, building either fails with one diagnostic of exit 65
 * or gives a node that verifies, infers the same again, and comes back from its text. */
#include "build.h"
#include "frontend/frontend.h"

static uint64_t rng;
static uint32_t any(uint32_t n) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

static int64_t hostile_int(void) {
    static const int64_t big[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, -1 - (1ll << 31), 1ll << 31, INT32_MAX,
                                  INT32_MIN, 1ll << 40,     -100};
    const uint32_t k = any(24);
    return k < sizeof big / sizeof *big ? big[k] : k < 12 ? (int64_t)any(200) : (int64_t)any(6) - 2;
}
static float hostile_float(void) {
    static const float odd[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, 3.4e38f, 0.5f, -128, 127, 128, 6};
    return odd[any(sizeof odd / sizeof *odd)];
}

static struct oct_attrs hostile_attrs(enum oct_op op) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    for (unsigned i = 0; i < OCT_ATTR_COUNT; i++) {
        if (oct_op_info(op)->attrs >> i & 1u ? any(3) == 0 : any(200) != 0) continue;
        const struct oct_attr_info *info = oct_attr_info(i);
        void *field = (char *)&at + info->offset;
        at.set |= (uint64_t)1 << i;
        switch (info->kind) {
        case OCT_KIND_INT: *(int64_t *)field = hostile_int(); break;
        case OCT_KIND_INT2:
            for (int k = 0; k < 2; k++) ((int64_t *)field)[k] = any(3) ? 1 + any(3) : hostile_int();
            break;
        case OCT_KIND_INT4:
            for (int k = 0; k < 4; k++) ((int64_t *)field)[k] = any(3) ? any(3) : hostile_int();
            break;
        case OCT_KIND_INTS:
            ((struct oct_ints *)field)->n = (int)any(any(4) ? 4 : 9);
            for (int k = 0; k < OCT_MAX_RANK; k++) ((struct oct_ints *)field)->v[k] = any(3) ? any(4) : hostile_int();
            break;
        case OCT_KIND_F32: *(float *)field = hostile_float(); break;
        case OCT_KIND_F32X2:
            for (int k = 0; k < 2; k++) ((float *)field)[k] = hostile_float();
            break;
        case OCT_KIND_FLAG: *(bool *)field = true; break;
        case OCT_KIND_STR: *(const char **)field = any(2) ? "a\"\\\n\x01" : "minmax"; break;
        case OCT_KIND_WORD: {
            int n = 0;
            while (info->words[n]) n++;
            n = (int)any((uint32_t)n);
            memcpy(field, &n, sizeof n);
            break;
        }
        }
    }
    return at;
}

static struct oct_type hostile_type(struct fix *f, bool sane) {
    struct oct_type t = {.dtype = any(2) ? OCT_F32 : (enum oct_dtype)any(OCT_DTYPE_COUNT), .rank = (int)any(5)};
    for (int i = 0; i < t.rank; i++) t.dim[i] = sane || any(4) ? 1 + any(4) : hostile_int();
    if (t.rank && any(2)) t.dim[0] = OCT_DIM_N;
    if (t.dtype != OCT_F32 && any(4)) {
        const int axis = any(3) ? -1 : (int)any((uint32_t)t.rank + 1);
        const uint32_t n = axis < 0 ? 1 : axis < t.rank && t.dim[axis] > 0 && t.dim[axis] < 9 ? (uint32_t)t.dim[axis] : 3;
        float scale[8];
        int32_t zero[8];
        for (uint32_t i = 0; i < n; i++)
            scale[i] = any(8) ? 0.25f * (float)(1 + any(7)) : hostile_float(), zero[i] = any(8) ? 0 : (int32_t)hostile_int();
        t.q = oct_quant_channel(oct_own(&f->cx), axis, n, scale, any(3) ? zero : NULL);
    }
    return t;
}

/* A leaf that a text can hold: inputs, inline and random constants. */
static struct oct_node *hostile_leaf(struct fix *f) {
    struct oct_type t = hostile_type(f, any(3) != 0);
    if (any(2)) return oct_build_input(f->m, NULL, &t, no_span);
    const int64_t n = oct_type_elements(&t, 1);
    if (n > 4096) return NULL; /* the parser caps random constants */
    if (t.dtype == OCT_F32 && n > OCT_INLINE_MAX) {
        const struct oct_attrs at = attrs(f, "seed=3 within=(-1,1)");
        return oct_build(f->m, OCT_OP_const, NULL, NULL, 0, &at, &t, no_span);
    }
    return n > OCT_INLINE_MAX ? NULL : oct_build_const_copy(f->m, NULL, &t, (const int64_t[OCT_INLINE_MAX]){0}, no_span);
}

static int refused, built;

static void check_round_trip(struct fix *f) {
    if (!oct_verify(f->m)) fail_msg("%s", diags(f));
    struct oct_text a, b;
    oct_text_init(&a, oct_own(&f->cx));
    oct_text_init(&b, oct_own(&f->cx));
    oct_print(&a, f->m, NULL);
    struct oct_module *back = oct_parse(&f->cx, NULL, a.s, a.len);
    if (!back) fail_msg("%s", diags(f));
    oct_print(&b, back, NULL);
    assert_string_equal(a.s, b.s);
}

static void one_module(uint64_t seed) {
    struct fix f;
    enum { POOL = 40, TRIES = 400 };
    struct oct_node *pool[POOL];
    uint32_t n = 0;
    rng = seed;
    fix_begin(&f);
    for (int i = 0; i < TRIES && n < POOL; i++) {
        const unsigned errors = oct_error_count(&f.cx);
        const uint32_t nodes = f.m->nnodes;
        struct oct_node *y = NULL, *operand[9];
        if (n < 4 || !any(6)) {
            y = hostile_leaf(&f);
            if (!y) continue;
        } else {
            const enum oct_op op = (enum oct_op)any(OCT_OP_COUNT);
            const int most = oct_op_info(op)->max_operands, count = any(20) ? (most > 5 ? 1 + (int)any(5) : most) : (int)any(9);
            for (int k = 0; k < count; k++) operand[k] = any(30) ? pool[any(n)] : NULL;
            struct oct_type t = hostile_type(&f, true);
            if (any(2) && count && operand[0]) { /* an annotation that has a chance */
                t = operand[0]->type;
                if (t.q) t.q = oct_quant_tensor(oct_own(&f.cx), 0.5f, 0);
            }
            if (any(2)) t.rank = OCT_ANY_RANK;
            const struct oct_attrs at = hostile_attrs(op);
            y = oct_build(f.m, op, NULL, operand, count, &at, any(2) ? &t : NULL, no_span);
        }
        if (!y) {
            refused++;
            assert_int_equal(oct_error_count(&f.cx), errors + 1);
            assert_int_equal(f.m->nnodes, nodes);
            continue;
        }
        built++;
        assert_int_equal(oct_error_count(&f.cx), errors);
        assert_int_equal(f.m->nnodes, nodes + 1);
        if (y->op == OCT_OP_const && !y->data && !OCT_HAS(y->at, seed)) oct_remove(f.m, y);
        else pool[n++] = y;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!oct_type_has_n(&pool[i]->type) || pool[i]->type.dim[0] == OCT_DIM_N) oct_add_output(f.m, NULL, pool[i], no_span);
    for (uint32_t i = 0; i < f.m->noutputs; i++) f.m->output[i].name = oct_sprintf(f.m->arena, "o%u", i);
    f.cx.diags = NULL;
    if (f.m->noutputs) check_round_trip(&f);
    fix_end(&f);
}

static void nonsense_is_refused_and_the_rest_round_trips(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) one_module(seed);
    assert_true(built > 5000);
    assert_true(refused > 20000);
}

/* Names that could be taken for something else, of values, constants and outputs. */
static void any_name_round_trips(void **state) {
    (void)state;
    static const char *const names[] = {"inf",   "nan",    "N",      "file",     "random",  "input", "output", "const",
                                        "model", "octavo", "option", "rule",     "weights", "any",   "i8",     "f32",
                                        "scale", "zero",   "same",   "relu",     "conv2d",  "e5",    "x.1",    "_x",
                                        "__",    "_1",     "a..b.",  "infinity", "True"};
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct oct_node *two[2] = {x, leaf(&f, names[i], "@f32[3]")};
        x = oct_build(f.m, OCT_OP_add, names[i], two, 2, NULL, NULL, no_span);
        assert_non_null(x);
        oct_add_output(f.m, names[i], x, no_span);
    }
    check_round_trip(&f);
    fix_end(&f);
}

/* Every allocation may fail: exit 71, nothing lost. */
static int allocations_left;
static void *failing_alloc(size_t n) { return allocations_left-- > 0 ? malloc(n) : NULL; }

static void no_memory_anywhere(void **state) {
    (void)state;
    volatile int done = 0, points = 0;
    for (volatile int k = 0; !done; k++) {
        struct fix f;
        jmp_buf out;
        oct_ctx_init(&f.cx);
        f.cx.sys_alloc = failing_alloc;
        f.cx.on_fatal = &out;
        allocations_left = k;
        const int rc = setjmp(out);
        if (rc == 0) {
            f.m = oct_module_new(&f.cx, "m");
            for (int i = 0; i < 200; i++) {
                struct oct_node *y = build(&f, "conv2d", "f32[N,3,8,8] @f32[16,3,3,3] @f32[16]", "pad=(1,1,1,1) from=Conv", NULL);
                oct_add_output(f.m, oct_sprintf(f.m->arena, "o%d", i), y, no_span);
                build(&f, "relu", "i8[2]q", "", NULL);
            }
            struct oct_module *c = oct_module_clone(f.m, &f.cx);
            struct oct_text t;
            oct_text_init(&t, c->arena);
            assert_true(oct_verify(c));
            oct_print(&t, c, NULL);
            diags(&f);
            done = 1;
        } else {
            assert_int_equal(rc, OCT_EXIT_MEMORY);
            points++;
        }
        oct_ctx_free(&f.cx);
        assert_int_equal(oct_memory_now(&f.cx), 0);
    }
    assert_true(points > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nonsense_is_refused_and_the_rest_round_trips),
                                       cmocka_unit_test(any_name_round_trips), cmocka_unit_test(no_memory_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
