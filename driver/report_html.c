/* report_html.c - a report as one HTML file that needs nothing else: no scripts, no fonts, no pictures but inline SVG. Light or
 * dark as the reader's system says, narrow on a phone, white on paper. Equal figures give equal bytes. */
#include <math.h>

#include "report.h"

static const char style[] =
    ":root{color-scheme:light "
    "dark;--bg:#fff;--fg:#1b1f24;--soft:#59636e;--line:#d1d9e0;--card:#f6f8fa;--all:#0b69a3;--own:#e07b00;"
    "--bad:#c0341d;--good:#1a7f37;--b0:#9ecbff;--b1:#b4e0b4;--b2:#ffd8a8;--b3:#d9c2f0}\n"
    "@media "
    "(prefers-color-scheme:dark){:root{--bg:#11151a;--fg:#e3e8ee;--soft:#9aa5b1;--line:#39424d;--card:#1a2028;--all:#58a6ff;"
    "--own:#f0a040;--bad:#ff7b6b;--good:#56d364;--b0:#1f4b7a;--b1:#245a33;--b2:#77501c;--b3:#51407a}}\n"
    "@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--card:#fff;--all:#0b69a3;--own:#e07b00;"
    "--bad:#c0341d;--good:#1a7f37;--b0:#9ecbff;--b1:#b4e0b4;--b2:#ffd8a8;--b3:#d9c2f0}section,.card,tr{break-inside:avoid}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:72rem;margin:0 auto;padding:1rem}h1{font-size:1.5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}"
    "p,li{max-width:48rem}.soft{color:var(--soft);font-size:.9rem}code,.name{font-family:ui-monospace,monospace;overflow-wrap:"
    "anywhere}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.75rem}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem}.card "
    "b{display:block;font-size:1.3rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}td,th{padding:.2rem .4rem;border-bottom:1px solid "
    "var(--line);"
    "text-align:right;font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}.bars "
    "td:nth-child(2){width:45%}"
    ".matrix{width:auto}.matrix td,.matrix th{text-align:center;min-width:2.2rem}.up{color:var(--good)}.down{color:var(--bad)}"
    "svg{display:block;width:100%;height:auto}svg.map{min-width:40rem}svg text{fill:var(--fg);font:11px system-ui,sans-serif}"
    ".all{fill:var(--all)}.own{fill:var(--own)}.in{fill:var(--all)}.out{fill:var(--bad)}.edge{stroke:var(--fg);stroke-dasharray:"
    "3 2}"
    ".axis{stroke:var(--line)}.b0{fill:var(--b0)}.b1{fill:var(--b1)}.b2{fill:var(--b2)}.b3{fill:var(--b3)}.scratch{fill:var(--"
    "line)}"
    ".map rect{stroke:var(--bg)}.key{display:inline-block;width:.8em;height:.8em;margin-right:.3em}";

static void text(struct oct_text *t, const char *before, const char *s, const char *after) {
    oct_text_add(t, before);
    drv_html_text(t, s);
    oct_text_add(t, after);
}

static const char *decibels(struct oct_text *t, double db) {
    return isnan(db) ? "&ndash;" : isinf(db) ? "exact" : oct_sprintf(t->arena, "%.1f", db);
}
static double alone_of(const struct drv_layer *l) { return l->is_alone ? drv_layer_alone(l) : (double)NAN; }
static double effect_of(const struct drv_layer *l) { return l->reached > 0 ? drv_layer_effect(l) : (double)NAN; }

/* ---- the head, and what a hurried reader wants
 * ---------------------------------------------------------------------------------- */

static void card(struct oct_text *t, const char *value, const char *what) {
    oct_text_addf(t, "<div class=\"card\"><b>%s</b>", value);
    text(t, "", what, "</div>\n");
}

static void summary(struct oct_text *t, const struct drv_report *r) {
    const struct drv_answers *a = &r->answers;
    const struct drv_layer *last = &r->layer[r->nlayers - 1];
    oct_text_add(t, "<div class=\"grid\">\n");
    card(t, oct_sprintf(t->arena, "%s dB", decibels(t, drv_layer_sqnr(last))), oct_sprintf(t->arena, "SQNR of %s", last->name));
    if (a->known && a->labelled)
        card(t,
             oct_sprintf(t->arena, "%.2f &rarr; %.2f %%", 100.0 * (double)a->right_a / (double)a->samples,
                         100.0 * (double)a->right_b / (double)a->samples),
             "top-1, before and now");
    if (a->known)
        card(t, oct_sprintf(t->arena, "%.2f %%", 100.0 * (double)(a->samples - a->changed) / (double)a->samples),
             "equal answers");
    if (!r->memory.why_not)
        card(t, oct_sprintf(t->arena, "%lld bytes", (long long)r->memory.arena_bytes),
             oct_sprintf(t->arena, "arena, target %s", r->memory.target));
    oct_text_add(t, "</div>\n");
}

static void findings(struct oct_text *t, const struct drv_layer *l) {
    for (int k = 0; k < l->nfindings; k++) {
        text(t, "<br>", l->finding[k].why, "");
        if (l->finding[k].advice) text(t, ". <b>Try:</b> ", l->finding[k].advice, "");
        oct_text_add(t, ".\n");
    }
}

static void worst(struct oct_text *t, const struct drv_report *r) {
    enum { WORST = 8 };
    oct_text_add(t, "<section><h2>What harms the output most</h2>\n<p class=\"soft\">Ordered by effect: the output's SQNR when "
                    "this layer alone is quantized");
    if (r->effect_runs) oct_text_addf(t, ", on the first %lld runs", (long long)r->effect_runs);
    oct_text_add(t, ".</p>\n<ol>\n");
    for (int i = 0, shown = 0; i < r->nlayers && shown < WORST; i++) {
        const struct drv_layer *l = &r->layer[r->worst[i]];
        if (!l->nfindings || !l->is_alone) continue;
        shown++;
        text(t, "<li><span class=\"name\">", l->name, "</span>");
        text(t, " (", l->op, "");
        if (l->from) text(t, ", from ", l->from, "");
        oct_text_addf(t, "): effect %s dB, alone %s dB", decibels(t, effect_of(l)), decibels(t, alone_of(l)));
        findings(t, l);
        oct_text_add(t, "</li>\n");
    }
    oct_text_add(t, "</ol></section>\n");
}

/* ---- bars
 * ------------------------------------------------------------------------------------------------------------------------ */

enum { BAR_WIDTH = 240, BAR_MOST = 60 }; /* units; dB at the right end */

static void bar(struct drv_svg *g, const char *class_, double y, double db) {
    const double w = isnan(db) || db <= 0 ? 0 : (db >= (double)BAR_MOST ? 1 : db / (double)BAR_MOST) * (double)BAR_WIDTH;
    if (w > 0) drv_svg_rect(g, class_, 0, y, w, 6, NULL);
}

static void bars(struct oct_text *t, const struct drv_report *r, const char *title, const int *order) {
    text(t, "<section><h2>", title, "</h2>\n");
    oct_text_add(t, "<p class=\"soft\"><svg class=\"key\" viewBox=\"0 0 1 1\"><rect class=\"all\" width=\"1\" "
                    "height=\"1\"/></svg>SQNR of the value in the whole model "
                    "<svg class=\"key\" viewBox=\"0 0 1 1\"><rect class=\"own\" width=\"1\" height=\"1\"/></svg>alone: computed "
                    "from the other model's inputs. dB, longer is better.</p>\n"
                    "<table class=\"bars\"><tr><th>value</th><th></th><th>SQNR</th><th>alone</th><th>effect</th></tr>\n");
    for (int i = 0; i < r->nlayers; i++) {
        const struct drv_layer *l = &r->layer[order ? order[i] : i];
        struct drv_svg g;
        text(t, "<tr><td class=\"name\">", l->name, "</td><td>");
        drv_svg_open(&g, t, "bar", BAR_WIDTH, 14, oct_sprintf(t->arena, "SQNR of %s", l->name));
        bar(&g, "all", 0, drv_layer_sqnr(l));
        bar(&g, "own", 7, alone_of(l));
        drv_svg_close(&g);
        oct_text_addf(t, "</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", decibels(t, drv_layer_sqnr(l)),
                      decibels(t, alone_of(l)), decibels(t, effect_of(l)));
    }
    oct_text_add(t, "</table></section>\n");
}

/* ---- histograms
 * -------------------------------------------------------------------------------------------------------------------- */

enum { PLOT_WIDTH = 320, PLOT_HEIGHT = 80 };

static void histogram(struct oct_text *t, const struct drv_layer *l) {
    const struct drv_bins *b = l->bins;
    const double w = (double)PLOT_WIDTH / (double)DRV_BINS;
    double most = 1;
    struct drv_svg g;
    for (int i = 0; i < DRV_BINS; i++)
        if ((double)b->count[i] > most) most = (double)b->count[i];
    text(t, "<div class=\"card\"><span class=\"name\">", l->name, "</span>\n");
    drv_svg_open(&g, t, "plot", PLOT_WIDTH, PLOT_HEIGHT + 14, oct_sprintf(t->arena, "values of %s", l->name));
    for (int i = 0; i < DRV_BINS; i++) {
        if (!b->count[i]) continue;
        const double h = log1p((double)b->count[i]) / log1p(most) * (PLOT_HEIGHT - 2);
        drv_svg_rect(&g, i < DRV_BINS_OUTSIDE || i >= DRV_BINS - DRV_BINS_OUTSIDE ? "out" : "in", i * w, (double)PLOT_HEIGHT - h,
                     w * 0.9, h, NULL);
    }
    drv_svg_line(&g, "axis", 0, PLOT_HEIGHT, PLOT_WIDTH, PLOT_HEIGHT);
    for (int i = 0; i < 2; i++) {
        const double x = (i ? DRV_BINS - DRV_BINS_OUTSIDE : DRV_BINS_OUTSIDE) * w;
        drv_svg_line(&g, "edge", x, 0, x, PLOT_HEIGHT);
        drv_svg_text(&g, "tick", i ? x - 40 : x - 20, PLOT_HEIGHT + 12, oct_sprintf(t->arena, "%.4g", l->range[i]));
    }
    drv_svg_close(&g);
    oct_text_addf(t, "<span class=\"soft\">clipped %.4g %%", 100 * drv_layer_clipped(l));
    if (b->below + b->above) oct_text_addf(t, "; %llu values beyond the picture", (unsigned long long)(b->below + b->above));
    oct_text_add(t, "</span></div>\n");
}

static void histograms(struct oct_text *t, const struct drv_report *r) {
    oct_text_add(t,
                 "<section><h2>Values and their ranges</h2>\n<p class=\"soft\">The float values, heights on a logarithmic scale. "
                 "Between the dashed lines is what the codes can stand for; red is clipped.</p>\n<div class=\"grid\">\n");
    for (int i = 0; i < r->nlayers; i++)
        if (r->layer[i].bins) histogram(t, &r->layer[i]);
    oct_text_add(t, "</div></section>\n");
}

/* ---- answers
 * ----------------------------------------------------------------------------------------------------------------------- */

static void matrix(struct oct_text *t, const struct drv_answers *a) {
    oct_text_addf(t, "<div class=\"wide\"><table class=\"matrix\"><tr><th>%s \\ answer</th>",
                  a->labelled ? "label" : "answer before");
    for (int64_t k = 0; k < a->classes; k++) oct_text_addf(t, "<th>%lld</th>", (long long)k);
    oct_text_add(t, "</tr>\n");
    for (int64_t i = 0; i < a->classes; i++) {
        oct_text_addf(t, "<tr><th>%lld</th>", (long long)i);
        for (int64_t k = 0; k < a->classes; k++) {
            const long long v = (long long)a->matrix[i * a->classes + k];
            if (v) oct_text_addf(t, "<td class=\"%s\">%+lld</td>", (v > 0) == (i == k) ? "up" : "down", v);
            else oct_text_add(t, "<td></td>");
        }
        oct_text_add(t, "</tr>\n");
    }
    oct_text_add(t, "</table></div>\n");
}

static void answers(struct oct_text *t, const struct drv_answers *a) {
    enum { MOVES = 20 };
    if (!a->known) return;
    oct_text_addf(t, "<section><h2>Answers</h2>\n<p>%lld of %lld samples get another answer", (long long)a->changed,
                  (long long)a->samples);
    if (a->labelled)
        oct_text_addf(t, ": %lld were right and are wrong now, %lld the other way", (long long)a->lost, (long long)a->gained);
    oct_text_add(t, ".</p>\n");
    if (a->matrix && a->changed) {
        oct_text_add(t, "<p class=\"soft\">How the confusion matrix changes, in samples.</p>\n");
        matrix(t, a);
    }
    if (a->nmoves) {
        oct_text_addf(t, "<table><tr>%s<th>answer before</th><th>answer now</th><th>samples</th></tr>\n",
                      a->labelled ? "<th>label</th>" : "");
        for (int64_t i = 0; i < a->nmoves && i < MOVES; i++) {
            const struct drv_move *m = &a->move[i];
            oct_text_add(t, "<tr>");
            if (a->labelled) oct_text_addf(t, "<td>%lld</td>", (long long)m->label);
            oct_text_addf(t, "<td>%lld</td><td>%lld</td><td>%lld</td></tr>\n", (long long)m->from, (long long)m->to,
                          (long long)m->samples);
        }
        oct_text_add(t, "</table>\n");
        if (a->nmoves > MOVES)
            oct_text_addf(t, "<p class=\"soft\">and %lld more kinds of change.</p>\n", (long long)(a->nmoves - MOVES));
    }
    oct_text_add(t, "</section>\n");
}

/* ---- the arena over time
 * ------------------------------------------------------------------------------------------------------------- */

enum { MAP_WIDTH = 720, MAP_HEIGHT = 320, MAP_FOOT = 16, LETTER = 6 };

static void memory_map(struct oct_text *t, const struct drv_memory *m) {
    static const char *const colour[] = {"b0", "b1", "b2", "b3"};
    struct drv_svg g;
    const double step = (double)MAP_WIDTH / m->nsteps, byte = (double)MAP_HEIGHT / (double)m->arena_bytes;
    oct_text_add(t, "<div class=\"wide\">\n");
    drv_svg_open(&g, t, "map", MAP_WIDTH, MAP_HEIGHT + MAP_FOOT, "arena over time");
    for (int i = 0; i < m->nblocks; i++) {
        const struct drv_block *b = &m->block[i];
        const double x = b->first * step, w = (b->last - b->first + 1) * step, h = (double)b->bytes * byte,
                     y = (double)MAP_HEIGHT - (double)b->offset * byte - h;
        char title[200];
        drv_svg_rect(&g, b->scratch ? "scratch" : colour[i % 4], x, y, w, h,
                     oct_sprintf(t->arena, "%s: %lld bytes at %lld, steps %d to %d", b->name, (long long)b->bytes,
                                 (long long)b->offset, b->first, b->last));
        const int room = (int)(w / (double)LETTER);
        if (h < 12 || room < 3) continue;
        size_t n = 0;
        for (; b->name[n] && n < (size_t)room && n < sizeof title - 1; n++) title[n] = b->name[n];
        title[n] = 0;
        drv_svg_text(&g, "block", x + 2, y + h / 2 + 4, title);
    }
    drv_svg_line(&g, "axis", 0, MAP_HEIGHT, MAP_WIDTH, MAP_HEIGHT);
    for (int i = 0; i < m->nsteps; i += 1 + m->nsteps / 24)
        drv_svg_text(&g, "tick", (i + 0.5) * step - 4, MAP_HEIGHT + 13, oct_sprintf(t->arena, "%d", i));
    drv_svg_close(&g);
    oct_text_add(t, "</div>\n");
}

static void memory(struct oct_text *t, const struct drv_memory *m) {
    text(t, "<section><h2>The arena over time</h2>\n<p class=\"soft\">As the compiler lays it out for target ", m->target, "");
    if (m->why_not) {
        text(t, ": it refuses this model, saying: ", m->why_not, ".</p></section>\n");
        return;
    }
    oct_text_addf(t,
                  ", one sample at a time: %lld bytes; no plan takes fewer than %lld. Steps go right, addresses up; grey is "
                  "scratch memory.</p>\n",
                  (long long)m->arena_bytes, (long long)m->lower_bound);
    if (m->nblocks && m->arena_bytes) memory_map(t, m);
    oct_text_add(t, "<details><summary>steps</summary><ol start=\"0\">\n");
    for (int i = 0; i < m->nsteps; i++) text(t, "<li class=\"name\">", m->step[i], "</li>\n");
    oct_text_add(t, "</ol></details></section>\n");
}

void drv_report_html(struct oct_text *t, const struct drv_report *r) {
    oct_text_add(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                    "content=\"width=device-width, initial-scale=1\">\n");
    text(t, "<title>", r->b, ": what quantizing did</title>\n<style>\n");
    oct_text_add(t, style);
    text(t, "\n</style></head><body><main>\n<h1><span class=\"name\">", r->b, "</span> beside ");
    text(t, "<span class=\"name\">", r->a, "</span></h1>\n");
    if (r->doc) text(t, "<p>", r->doc, "</p>\n");
    text(t, "<p class=\"soft\">", oct_sprintf(t->arena, "%lld samples of %s", (long long)r->samples, r->of), "</p>\n");
    summary(t, r);
    worst(t, r);
    bars(t, r, "Values, most harmful first", r->worst);
    bars(t, r, "Values in order", NULL);
    histograms(t, r);
    answers(t, &r->answers);
    memory(t, &r->memory);
    oct_text_add(t, "</main></body></html>\n");
}
