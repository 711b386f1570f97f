/* Modules: names, building, rewriting, copying, verifying, rules, hashes; linear time at a hundred thousand nodes. */
#include <time.h>

#include "build.h"

static struct oct_node *unary(struct fix *f, enum oct_op op, const char *name, struct oct_node *x) {
    struct oct_node *n = oct_build(f->m, op, name, &x, 1, NULL, NULL, no_span);
    assert_non_null(n);
    return n;
}

static const char *listing(struct fix *f) {
    struct oct_text t;
    oct_text_init(&t, f->m->arena);
    oct_text_add(&t, "");
    OCT_FOR_NODES(f->m, n) oct_text_addf(&t, "%s%s ", n->op == OCT_OP_const ? "@" : "", n->name);
    for (struct oct_node *n = f->m->last; n; n = n->prev) assert_ptr_equal(n->prev ? n->prev->next : f->m->first, n);
    return t.s;
}

static void fresh_names_are_the_smallest_unused(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]"), *r[4];
    for (int i = 0; i < 4; i++) r[i] = unary(&f, OCT_OP_relu, NULL, x);
    assert_string_equal(listing(&f), "x relu relu.1 relu.2 relu.3 ");
    oct_remove(f.m, r[2]);
    assert_string_equal(unary(&f, OCT_OP_relu, NULL, x)->name, "relu.2");
    assert_string_equal(oct_fresh_value_name(f.m, "relu"), "relu.4");
    assert_string_equal(oct_fresh_value_name(f.m, "relu.1"), "relu.1.1");
    assert_string_equal(oct_fresh_value_name(f.m, "relu"), "relu.4"); /* asking takes nothing */
    for (int i = 4; i < 12; i++) unary(&f, OCT_OP_relu, NULL, x);
    oct_remove(f.m, oct_find_value(f.m, "relu.9"));
    assert_string_equal(unary(&f, OCT_OP_relu, NULL, x)->name, "relu.9");
    oct_remove(f.m, oct_find_value(f.m, "relu.1"));
    assert_string_equal((r[1] = unary(&f, OCT_OP_relu, NULL, x))->name, "relu.1");
    oct_remove(f.m, oct_find_value(f.m, "relu.4"));
    oct_rename(f.m, r[0], "other");
    assert_string_equal(oct_fresh_value_name(f.m, "relu"), "relu");
    assert_ptr_equal(oct_find_value(f.m, "other"), r[0]);
    assert_string_equal(oct_fresh_const_name(f.m, "x"), "x"); /* constants are a space of their own */
    assert_string_equal(oct_fresh_value_name(f.m, "3/a b\xff"), "_3_a_b_");
    assert_string_equal(oct_fresh_value_name(f.m, ""), "v");
    assert_string_equal(oct_fresh_value_name(f.m, "_"), "v");
    char longest[200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *name = oct_fresh_value_name(f.m, longest);
    assert_int_equal(strlen(name), 64);
    unary(&f, OCT_OP_relu, name, x);
    name = oct_fresh_value_name(f.m, longest);
    assert_int_equal(strlen(name), 55);
    assert_string_equal(name + 53, ".1");
    fix_end(&f);
}

static void misuse_of_names_is_reported(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]");
    assert_null(oct_build(f.m, OCT_OP_relu, "x", &x, 1, NULL, NULL, no_span));
    assert_non_null(strstr(diags(&f), "value 'x' is defined twice [E2001]"));
    static const char *const bad[] = {
        "", "1a", "a b", "a-b", "_", ".a", "a*/b", "a\nb", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(oct_build(f.m, OCT_OP_relu, bad[i], &x, 1, NULL, NULL, no_span));
        assert_non_null(strstr(diags(&f), "[E2002]"));
    }
    assert_int_equal(f.m->nnodes, 1);
    assert_non_null(oct_build(f.m, OCT_OP_relu, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &x, 1, NULL,
                              NULL, no_span));
    fix_end(&f);
}

static void replacing_settles(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]"), *a = unary(&f, OCT_OP_relu, "a", x), *b = unary(&f, OCT_OP_exp, "b", a),
                    *c = unary(&f, OCT_OP_tanh, "c", b);
    OCT_SET(b->at, from, "Exp_7");
    oct_add_output(f.m, NULL, c, no_span);
    oct_add_output(f.m, "mid", b, no_span);
    f.m->cursor = b;
    struct oct_node *w = leaf(&f, "w", "@f32[3]"), *ops[2] = {a, w};
    struct oct_node *by = oct_build(f.m, OCT_OP_add, NULL, ops, 2, NULL, NULL, no_span);
    oct_replace_named(f.m, b, by);
    oct_replace(f.m, a, x); /* a chain: by's operand a is x */
    oct_module_settle(f.m);
    assert_string_equal(listing(&f), "x @w b c ");
    assert_ptr_equal(by->operand[0], x);
    assert_ptr_equal(c->operand[0], by);
    assert_ptr_equal(f.m->output[1].node, by);
    assert_string_equal(f.m->output[0].name, "c");
    assert_string_equal(by->at.from, "Exp_7");
    assert_ptr_equal(oct_find_value(f.m, "b"), by);
    assert_null(oct_find_value(f.m, "a"));
    assert_int_equal(f.m->nnodes, 4);
    oct_count_uses(f.m);
    assert_int_equal(x->nuses, 1);
    assert_int_equal(by->nuses, 2);
    assert_int_equal(c->nuses, 1);
    assert_true(oct_verify(f.m));

    /* Constants move to just before their first use, in operand order. */
    f.m->cursor = NULL;
    struct oct_node *late = leaf(&f, "late", "@f32[3]"), *early = leaf(&f, "early", "@f32[3]"), *two[2] = {early, late};
    struct oct_node *sum = oct_build(f.m, OCT_OP_add, "sum", two, 2, NULL, NULL, no_span);
    by->operand[1] = late;
    oct_module_settle(f.m);
    assert_string_equal(listing(&f), "x @late b c @early sum ");
    assert_ptr_equal(sum->operand[1], late);
    leaf(&f, "unused", "@f32[3]");
    struct oct_node *out = leaf(&f, "returned", "@f32[3]");
    f.m->cursor = sum;
    leaf(&f, "unused.1", "@f32[3]");
    oct_add_output(f.m, "k", out, no_span);
    oct_module_settle(f.m);
    assert_string_equal(listing(&f), "x @late b c @early sum @returned ");
    assert_null(oct_find_const(f.m, "unused"));
    fix_end(&f);
}

static void clones_are_equal_and_apart(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *y = build(&f, "conv2d", "i8[N,3,8,8]q @i8[4,3,3,3]c @i32[4]", "pad=(1,1,1,1) from=Conv_1", "i8[N,4,8,8]q");
    oct_add_output(f.m, "y", y, no_span);
    f.m->after = "elim_qdq";
    f.m->rule = OCT_NEW(f.m->arena, struct oct_rule);
    *f.m->rule = (struct oct_rule){.kind = OCT_RULE_NAME, .pattern = "c*", .set = 1};
    f.m->nrules = 1;
    y->tag = &f;
    struct oct_ctx other;
    oct_ctx_init(&other);
    struct oct_module *c = oct_module_clone(f.m, &other);
    struct oct_text before, after;
    oct_text_init(&before, oct_own(&f.cx));
    oct_text_init(&after, oct_own(&other));
    oct_print(&before, f.m, NULL);
    fix_end(&f); /* the copy owns all but constant data, which this one keeps no more */
    OCT_FOR_NODES(c, n) n->data = NULL;
    OCT_FOR_NODES(c, n) if (n->op == OCT_OP_const) n->data = oct_alloc(c->arena, 4096);
    assert_true(oct_verify(c));
    oct_print(&after, c, NULL);
    assert_string_equal(c->after, "elim_qdq");
    assert_string_equal(
        after.s,
        "octavo 1\nmodel test after=elim_qdq\nrule name=\"c*\" act=i8\n\ninput x : i8[N,3,8,8] scale=0.5 zero=0\n"
        "const @w : i8[4,3,3,3] scale[0]=(0.5,0.5,0.5,0.5)\nconst @w.1 : i32[4] = (0, 0, 0, 0)\n"
        "conv2d : i8[N,4,8,8] scale=0.5 zero=0 = conv2d(x, @w, @w.1) pad=(1,1,1,1) from=\"Conv_1\"\n\noutput y = conv2d\n");
    oct_ctx_free(&other);
}

static void the_verifier_finds(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]"), *a = unary(&f, OCT_OP_relu, "a", x), *b = unary(&f, OCT_OP_exp, "b", a);
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "[E2304]"));
    oct_add_output(f.m, "y", b, no_span);
    assert_true(oct_verify(f.m));
    oct_add_output(f.m, "y", a, no_span);
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "give it a name of its own: output y.1 = ..."));
    f.m->noutputs = 1;
    a->operand[0] = b; /* a cycle */
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "relu: operand 'b' is used before it is defined [E2301]"));
    a->operand[0] = x;
    const struct oct_node *w = leaf(&f, "w", "@f32[3]");
    ((struct oct_node *)w)->data = NULL;
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "[E2303]"));
    oct_remove(f.m, (struct oct_node *)w);
    b->type.dim[1] = 4;
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "[E2102]"));
    assert_true(oct_infer(&f.cx, b));
    b->name = "zzz";
    assert_false(oct_verify(f.m));
    assert_non_null(strstr(diags(&f), "[E2302]"));
    fix_end(&f);
}

static void nodes_own_their_parameters(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    float scale = 0.5f;
    int32_t zero = 3;
    const struct oct_quant q = {.axis = -1, .n = 1, .scale = &scale, .zero = &zero};
    const struct oct_type t = {.dtype = OCT_I8, .rank = 1, .dim = {4}, .q = &q};
    struct oct_node *x = oct_build_input(f.m, "x", &t, no_span), *y = oct_build(f.m, OCT_OP_relu, "y", &x, 1, NULL, &t, no_span);
    struct oct_attrs at = attrs(&f, "shape=(2,2)");
    struct oct_node *z = oct_build(f.m, OCT_OP_reshape, "z", &y, 1, &at, NULL, no_span);
    scale = 7;
    zero = 9;
    assert_true(oct_scale(x->type.q, 0) == 0.5f && oct_zero(x->type.q, 0) == 3);
    assert_true(oct_scale(y->type.q, 0) == 0.5f && oct_zero(y->type.q, 0) == 3);
    assert_ptr_equal(z->type.q, y->type.q);
    fix_end(&f);
}

static void weights_are_finite(void **state) {
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        struct fix f;
        fix_begin(&f);
        struct oct_node *y = build(&f, "dense", "f32[N,6] @f32[2,6] @f32[2]", "", NULL);
        float *w = (float *)(uintptr_t)y->operand[1]->data, *b = (float *)(uintptr_t)y->operand[2]->data;
        oct_add_output(f.m, "y", y, no_span);
        w[3] = 3.4e38f;
        w[4] = -3.4e38f;
        w[5] = 1e-45f;
        assert_true(oct_verify(f.m));
        w[11] = odd[i];
        assert_false(oct_verify(f.m));
        assert_non_null(strstr(diags(&f), "at element 11 [E2308]"));
        w[11] = 0;
        b[0] = odd[i];
        assert_false(oct_verify(f.m));
        assert_non_null(strstr(diags(&f), "at element 0 [E2308]"));
        fix_end(&f);
    }
}

static void rules_apply_in_order(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    struct oct_node *x = leaf(&f, "x", "f32[N,3]"), *c1 = unary(&f, OCT_OP_relu, "c1.relu", x);
    struct oct_rule rules[] = {
        {.kind = OCT_RULE_ANY, .set = 1u << OCT_Q_act | 1u << OCT_Q_granularity, .q = {.act = 1, .granularity = 1}},
        {.kind = OCT_RULE_OP, .op = OCT_OP_relu, .set = 1u << OCT_Q_act, .q = {.act = 2}},
        {.kind = OCT_RULE_NAME, .pattern = "c?.re*", .set = 1u << OCT_Q_weight, .q = {.weight = 1}}};
    struct oct_qconfig q = oct_qconfig_for(f.m, c1);
    assert_int_equal(q.act + q.weight + q.granularity, 0);
    f.m->rule = rules;
    f.m->nrules = 3;
    q = oct_qconfig_for(f.m, c1);
    assert_int_equal(q.act, 2);
    assert_int_equal(q.granularity, 1);
    assert_int_equal(q.weight, 1);
    assert_int_equal(oct_qconfig_for(f.m, x).act, 1);
    assert_int_equal(oct_qconfig_for(f.m, x).weight, 0);

    static const struct {
        const char *pattern, *name;
        bool want;
    } globs[] = {
        {"*", "", true},  {"", "", true},      {"", "a", false},       {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false},
        {"?", "", false}, {"**a", "ba", true}, {"*.w", "c.w.w", true}, {"a*", "ba", false}};
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        struct oct_rule r = {.kind = OCT_RULE_NAME, .pattern = globs[i].pattern, .set = 1u << OCT_Q_act, .q = {.act = 3}};
        const struct oct_node n = {.op = OCT_OP_relu, .name = globs[i].name};
        f.m->rule = &r;
        f.m->nrules = 1;
        assert_int_equal(oct_qconfig_for(f.m, &n).act == 3, globs[i].want);
    }
    char stars[2001], text[20001]; /* bounded time: a naive matcher would take longer than the sun lasts */
    for (int i = 0; i < 2000; i++) stars[i] = i % 2 ? 'a' : '*';
    stars[2000] = 0;
    stars[1999] = 'b';
    memset(text, 'a', 20000);
    text[20000] = 0;
    struct oct_rule r = {.kind = OCT_RULE_NAME, .pattern = stars, .set = 1u << OCT_Q_act, .q = {.act = 3}};
    const struct oct_node n = {.op = OCT_OP_relu, .name = text};
    f.m->rule = &r;
    assert_int_equal(oct_qconfig_for(f.m, &n).act, 0);
    fix_end(&f);
}

static void macs_and_hashes(void **state) {
    (void)state;
    struct fix f;
    fix_begin(&f);
    assert_int_equal(oct_macs(build(&f, "conv2d", "f32[N,8,16,16] @f32[4,2,3,5]", "groups=4 stride=2 pad=(1,2,1,2)", NULL)),
                     4 * 8 * 8 * 2 * 3 * 5);
    assert_int_equal(oct_macs(build(&f, "dense", "f32[N,7,6] @f32[2,6]", "", NULL)), 7 * 6 * 2);
    assert_int_equal(oct_macs(build(&f, "matmul", "f32[N,4,2,6] f32[6,5]", "", NULL)), 4 * 2 * 6 * 5);
    assert_int_equal(oct_macs(build(&f, "relu", "f32[N,7,6]", "", NULL)), 0);
    char a[17], b[17];
    const int64_t d1[] = {2, 3}, d2[] = {3, 2};
    const int32_t data[6] = {1, 2, 3, 4, 5, 6};
    oct_tensor_hash(OCT_I32, 2, d1, data, a);
    assert_int_equal(strspn(a, "0123456789abcdef"), 16);
    assert_string_equal(a, "51f2a065c27b90f8"); /* pinned: stores outlive releases */
    oct_tensor_hash(OCT_I32, 2, d2, data, b);
    assert_string_not_equal(a, b);
    oct_tensor_hash(OCT_F32, 2, d1, data, b);
    assert_string_not_equal(a, b);
    const struct oct_type t = {.dtype = OCT_I32, .rank = 2, .dim = {2, 3}};
    oct_const_hash(oct_build_const_copy(f.m, "k", &t, data, no_span), b);
    assert_string_equal(a, b);
    fix_end(&f);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Each step takes a tenth of this where nothing else runs; quadratic ones take minutes. */
static void step_took(const char *what, double *since) {
    const double now = seconds();
    if (now - *since > 5) fail_msg("%s: %.1f s", what, now - *since);
    *since = now;
}

static void a_hundred_thousand_nodes(void **state) {
    (void)state;
    enum { N = 100000 };
    struct fix f;
    fix_begin(&f);
    double t = seconds();
    struct oct_node *x = leaf(&f, "x", "f32[N,3]"), *n = x;
    for (int i = 0; i < N / 2; i++) {
        struct oct_node *ops[2] = {n, leaf(&f, oct_fresh_const_name(f.m, "w"), "@f32[3]")};
        n = oct_build(f.m, OCT_OP_add, NULL, ops, 2, NULL, NULL, no_span);
    }
    oct_add_output(f.m, NULL, n, no_span);
    assert_string_equal(n->name, "add.49999");
    step_took("build", &t);
    assert_true(oct_verify(f.m));
    step_took("verify", &t);
    struct oct_text text;
    oct_text_init(&text, oct_own(&f.cx));
    oct_print(&text, f.m, NULL);
    step_took("print", &t);
    struct oct_module *c = oct_module_clone(f.m, &f.cx);
    step_took("clone", &t);
    assert_int_equal(c->nnodes, f.m->nnodes);
    for (struct oct_node *old = c->first->next, *next; old; old = next) { /* all adds become their operand: one chain */
        next = old->next;
        if (old->op == OCT_OP_add) oct_replace(c, old, old->operand[0]->fwd ? old->operand[0]->fwd : old->operand[0]);
    }
    oct_module_settle(c);
    step_took("settle", &t);
    assert_ptr_equal(c->output[0].node, c->first);
    assert_string_equal(oct_fresh_value_name(c, "add"), "add");

    struct oct_module *r = oct_module_clone(f.m, &f.cx); /* replaced from the end: the longest chains */
    for (struct oct_node *old = r->last; old; old = old->prev)
        if (old->op == OCT_OP_add) old->fwd = old->operand[0];
    oct_module_settle(r);
    step_took("settle of a long chain", &t);
    assert_ptr_equal(r->output[0].node, r->first);
    fix_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fresh_names_are_the_smallest_unused),
                                       cmocka_unit_test(misuse_of_names_is_reported),
                                       cmocka_unit_test(replacing_settles),
                                       cmocka_unit_test(clones_are_equal_and_apart),
                                       cmocka_unit_test(the_verifier_finds),
                                       cmocka_unit_test(nodes_own_their_parameters),
                                       cmocka_unit_test(weights_are_finite),
                                       cmocka_unit_test(rules_apply_in_order),
                                       cmocka_unit_test(macs_and_hashes),
                                       cmocka_unit_test(a_hundred_thousand_nodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
