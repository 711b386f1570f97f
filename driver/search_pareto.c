/* search_pareto.c - what a search measured, as the front of points that no other one beats: bytes of weights against loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"

static int by_size(const void *a, const void *b) {
    const struct srch_score *x = &(*(const struct srch_point *const *)a)->score,
                            *y = &(*(const struct srch_point *const *)b)->score;
    if (x->weights != y->weights) return x->weights < y->weights ? -1 : 1;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    return strcmp((*(const struct srch_point *const *)a)->key, (*(const struct srch_point *const *)b)->key);
}

uint32_t srch_pareto(const struct search *s, struct oct_arena *a, const struct srch_point ***front) {
    const struct srch_point **p = OCT_NEW_N(a, const struct srch_point *, s->npoints + 1);
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < s->npoints; i++)
        if (!s->point[i].score.failed && !isnan(s->point[i].score.loss)) p[n++] = &s->point[i];
    qsort(p, n, sizeof *p, by_size);
    double least = INFINITY;
    for (uint32_t i = 0; i < n; i++)
        if (p[i]->score.loss < least) {
            least = p[i]->score.loss;
            p[kept++] = p[i];
        }
    *front = p;
    return kept;
}

static void number(struct drv_json *j, const char *key, int64_t v) {
    if (v < 0) drv_json_num(j, key, NAN);
    else drv_json_int(j, key, v);
}

static void json(struct oct_text *t, const struct srch_point *const *front, uint32_t n) {
    struct drv_json j;
    drv_json_init(&j, t);
    drv_json_open(&j, NULL, '{');
    drv_json_open(&j, "pareto", '[');
    for (uint32_t i = 0; i < n; i++) {
        const struct srch_score *x = &front[i]->score;
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "rules", front[i]->key);
        drv_json_int(&j, "weight_bytes", x->weights);
        number(&j, "flash_bytes", x->flash);
        number(&j, "arena_bytes", x->arena);
        drv_json_num(&j, "loss", x->loss);
        drv_json_num(&j, "top1", x->top1);
        drv_json_num(&j, "agreement", x->agreement);
        drv_json_num(&j, "sqnr_db", x->sqnr_db);
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_close(&j, '}');
}

/* ---- the picture
 * ---------------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 640, HEIGHT = 400, LEFT = 70, RIGHT = 20, TOP = 30, BOTTOM = 50 };

struct axes {
    double x0, x1, y0, y1; /* bytes; logarithm of the loss */
};

static double log_loss(const struct srch_score *s) { return log10(fmax(s->loss, 1e-9)); }
static double across(const struct axes *v, const struct srch_score *s) {
    return (double)LEFT + ((double)s->weights - v->x0) / (v->x1 - v->x0) * (WIDTH - LEFT - RIGHT);
}
static double down(const struct axes *v, const struct srch_score *s) {
    return (double)TOP + (v->y1 - log_loss(s)) / (v->y1 - v->y0) * (HEIGHT - TOP - BOTTOM);
}

static void svg(struct oct_text *t, const struct search *s, const struct srch_point *const *front, uint32_t n) {
    struct axes v = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (uint32_t i = 0; i < s->npoints; i++) {
        const struct srch_score *x = &s->point[i].score;
        if (x->failed || isnan(x->loss)) continue;
        v.x0 = fmin(v.x0, (double)x->weights), v.x1 = fmax(v.x1, (double)x->weights);
        v.y0 = fmin(v.y0, floor(log_loss(x))), v.y1 = fmax(v.y1, ceil(log_loss(x)));
    }
    if (!(v.x1 > v.x0)) v.x1 = v.x0 + 1;
    if (!(v.y1 > v.y0)) v.y1 = v.y0 + 1;
    oct_text_addf(t,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<title>Loss against bytes of weights</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                  WIDTH, HEIGHT, WIDTH, HEIGHT);
    for (double y = v.y0; y <= v.y1; y++) {
        const struct srch_score at = {.loss = pow(10, y), .weights = (int64_t)v.x0};
        oct_text_addf(t, "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">1e%.0f</text>\n",
                      LEFT, down(&v, &at), WIDTH - RIGHT, LEFT - 8, down(&v, &at) + 4, y);
    }
    oct_text_addf(t,
                  "<text x=\"%d\" y=\"%d\">%.0f</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.0f bytes of weights</text>\n",
                  LEFT, HEIGHT - BOTTOM + 20, v.x0, WIDTH - RIGHT, HEIGHT - BOTTOM + 20, v.x1);
    oct_text_addf(t, "<text x=\"%d\" y=\"18\">loss against the float model (log scale)</text>\n", LEFT);
    for (uint32_t i = 0; i < s->npoints; i++) {
        const struct srch_score *x = &s->point[i].score;
        if (!x->failed && !isnan(x->loss))
            oct_text_addf(t, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"#999\"/>\n", across(&v, x), down(&v, x));
    }
    oct_text_add(t, "<path fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" d=\"");
    for (uint32_t i = 0; i < n; i++)
        oct_text_addf(t, "%s%.1f %.1f", i ? "L" : "M", across(&v, &front[i]->score), down(&v, &front[i]->score));
    oct_text_add(t, "\"/>\n");
    for (uint32_t i = 0; i < n; i++) /* names in rules are identifiers: nothing to escape */
        oct_text_addf(t,
                      "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#06c\"><title>%lld bytes, loss %.4g: %s</title></circle>\n",
                      across(&v, &front[i]->score), down(&v, &front[i]->score), (long long)front[i]->score.weights,
                      front[i]->score.loss, *front[i]->key ? front[i]->key : "as it is");
    oct_text_add(t, "</svg>\n");
}

bool srch_pareto_write(struct search *s, const char *path) {
    const struct srch_point **front;
    const uint32_t n = srch_pareto(s, s->d->a, &front);
    struct oct_text *t = OCT_NEW(s->d->a, struct oct_text);
    const size_t len = strlen(path);
    oct_text_init(t, s->d->a);
    if (len > 4 && strcmp(path + len - 4, ".svg") == 0) svg(t, s, front, n);
    else json(t, front, n);
    return oct_outputs_add(s->d->out, path, t->s, t->len);
}
