/* .stats files and qconfig JSON: round trip, merging through files, every truncation and flipped byte, misuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/frontend.h"

static struct oct_bytes bytes(const char *s, size_t n) { return (struct oct_bytes){(const uint8_t *)s, n}; }

static void fill(struct oct_stats *s, int shard, int shards) {
    for (int i = 0; i < 3000; i++) {
        if (i % shards != shard) continue;
        float x = (float)((i * 7919) % 1000 - 300) * 0.01f, y = (float)(i % 17);
        oct_histogram_add(oct_stats_get(s, "c1"), &x, 1);
        oct_histogram_add_batch(oct_stats_get(s, "fc.out"), &y, 1, 0, i, 3000);
    }
    oct_stats_get(s, "empty");
}

static void shards_merge_through_files_to_the_same_bytes(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    struct oct_stats whole, merged;
    struct oct_text expect, got;
    oct_stats_init(&whole, a);
    oct_stats_init(&merged, a);
    fill(&whole, 0, 1);
    oct_text_init(&expect, a);
    oct_stats_print(&expect, &whole);
    for (int i = 0; i < 3; i++) {
        struct oct_stats part;
        struct oct_text t;
        oct_stats_init(&part, a);
        fill(&part, i, 3);
        oct_text_init(&t, a);
        oct_stats_print(&t, &part);
        assert_true(oct_stats_parse(&cx, bytes(t.s, t.len), "part.stats", &merged));
    }
    oct_text_init(&got, a);
    oct_stats_print(&got, &merged);
    assert_string_equal(got.s, expect.s);
    oct_ctx_free(&cx);
}

/* Cut short anywhere but behind a whole value, or with one byte changed: one diagnostic of exit 65, or an equal meaning; never a
 * crash (the sanitizers watch). */
static void damaged_files_are_refused(void **state) {
    (void)state;
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_arena *a = oct_arena_new(&cx);
    struct oct_stats s;
    struct oct_text t;
    oct_stats_init(&s, a);
    for (int i = 0; i < 40; i++) {
        float x = (float)(i - 7) * 0.37f;
        oct_histogram_add_batch(oct_stats_get(&s, i % 2 ? "a" : "b"), &x, 1, i % 2 ? 0.01f : 0, i / 2, 20);
    }
    oct_text_init(&t, a);
    oct_stats_print(&t, &s);
    size_t whole = 0;
    for (size_t cut = 0; cut < t.len; cut++) {
        struct oct_ctx one;
        oct_ctx_init(&one);
        struct oct_stats out;
        oct_stats_init(&out, oct_arena_new(&one));
        const bool ok = oct_stats_parse(&one, bytes(t.s, cut), "cut.stats", &out);
        assert_int_equal(oct_exit_code(&one), ok ? 0 : OCT_EXIT_DATA);
        assert_int_equal(oct_error_count(&one), ok ? 0 : 1);
        whole += ok;
        oct_ctx_free(&one);
    }
    assert_int_equal(whole, 2); /* behind the first line, behind the first value */
    for (size_t i = 0; i < t.len; i++)
        for (int flip = 1; flip < 256; flip <<= 1) {
            struct oct_ctx one;
            oct_ctx_init(&one);
            struct oct_arena *b = oct_arena_new(&one);
            struct oct_stats out;
            oct_stats_init(&out, b);
            char *copy = oct_strndup(b, t.s, t.len);
            copy[i] = (char)(copy[i] ^ flip);
            const bool ok = oct_stats_parse(&one, bytes(copy, t.len), "flip.stats", &out);
            assert_int_equal(oct_exit_code(&one), ok ? 0 : OCT_EXIT_DATA);
            oct_ctx_free(&one);
        }
    oct_ctx_free(&cx);
}

static int read_rules(const char *json, uint32_t *nrules, struct oct_rule *last) {
    char path[] = "/tmp/octavo-qconfig-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, strlen(json)), strlen(json));
    close(fd);
    struct oct_ctx cx;
    oct_ctx_init(&cx);
    struct oct_module *m = oct_module_new(&cx, "m");
    const bool ok = oct_read_qconfig(&cx, path, m);
    unlink(path);
    assert_true(ok == (oct_error_count(&cx) == 0));
    *nrules = m->nrules;
    if (m->nrules) *last = m->rule[m->nrules - 1];
    const int rc = oct_exit_code(&cx);
    oct_ctx_free(&cx);
    return rc;
}

static void rules_keep_their_order_and_words(void **state) {
    (void)state;
    uint32_t n;
    struct oct_rule last = {0};
    assert_int_equal(
        read_rules("{\"default\": {\"act_observer\": \"minmax\"}, \"rules\": [{\"op\": \"softmax\", \"act\": \"float\"},"
                   "{\"name\": \"c*\", \"weight_observer\": \"mse\", \"granularity\": \"tensor\"}]}",
                   &n, &last),
        0);
    assert_int_equal(n, 3);
    assert_int_equal(last.kind, OCT_RULE_NAME);
    assert_int_equal(last.q.granularity, 1);
    assert_int_equal(last.set, 1u << OCT_Q_weight_observer | 1u << OCT_Q_granularity);
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{",
                                        "{\"default\": 3}",
                                        "{\"defaults\": {}}",
                                        "{\"rules\": {}}",
                                        "{\"rules\": [3]}",
                                        "{\"default\": {\"act\": \"i7\"}}",
                                        "{\"default\": {\"act\": 8}}",
                                        "{\"default\": {\"acts\": \"i8\"}}",
                                        "{\"rules\": [{\"op\": \"nope\"}]}",
                                        "{\"rules\": [{\"op\": \"add\", \"name\": \"x\"}]}",
                                        "{\"default\": {}, \"default\": {}}",
                                        "{\"default\": {\"op\": \"add\"}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(read_rules(wrong[i], &n, &last), OCT_EXIT_DATA);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shards_merge_through_files_to_the_same_bytes),
                                       cmocka_unit_test(damaged_files_are_refused),
                                       cmocka_unit_test(rules_keep_their_order_and_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
