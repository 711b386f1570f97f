/* svg.c - text and pictures of an HTML page. Whatever a name holds, it stays text: markup is escaped, and bytes that are no text
 * (control characters, broken UTF-8) show as U+FFFD. Numbers have two decimals, so that bytes are the same everywhere. */
#include "report.h"

void drv_html_text(struct oct_text *t, const char *s) {
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        const size_t n = *p >= 0x80 ? oct_utf8_length((const char *)p) : 0;
        const char *as = *p == '&'    ? "&amp;"
                         : *p == '<'  ? "&lt;"
                         : *p == '>'  ? "&gt;"
                         : *p == '"'  ? "&quot;"
                         : *p == '\'' ? "&#39;"
                                      : NULL;
        /* U+0080 .. U+009F (c2 80 .. c2 9f) are control characters too */
        const bool control = *p < 0x20 || *p == 0x7f || (*p == 0xc2 && n == 2 && p[1] < 0xa0);
        if (as) oct_text_add(t, as);
        else if (control || (*p >= 0x80 && !n)) oct_text_add(t, "\xef\xbf\xbd");
        else oct_text_addn(t, (const char *)p, n ? n : 1);
        if (n) p += n - 1;
    }
}

static void attribute(struct oct_text *t, const char *name, double v) { oct_text_addf(t, " %s=\"%.2f\"", name, v); }

void drv_svg_open(struct drv_svg *g, struct oct_text *t, const char *class_, double width, double height, const char *label) {
    g->t = t;
    oct_text_addf(t, "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", class_, width, height);
    drv_html_text(t, label);
    oct_text_add(t, "\">\n");
}

void drv_svg_close(struct drv_svg *g) { oct_text_add(g->t, "</svg>\n"); }

void drv_svg_rect(struct drv_svg *g, const char *class_, double x, double y, double w, double h, const char *title) {
    oct_text_addf(g->t, "<rect class=\"%s\"", class_);
    attribute(g->t, "x", x);
    attribute(g->t, "y", y);
    attribute(g->t, "width", w);
    attribute(g->t, "height", h);
    if (!title) {
        oct_text_add(g->t, "/>\n");
        return;
    }
    oct_text_add(g->t, "><title>");
    drv_html_text(g->t, title);
    oct_text_add(g->t, "</title></rect>\n");
}

void drv_svg_line(struct drv_svg *g, const char *class_, double x1, double y1, double x2, double y2) {
    oct_text_addf(g->t, "<line class=\"%s\"", class_);
    attribute(g->t, "x1", x1);
    attribute(g->t, "y1", y1);
    attribute(g->t, "x2", x2);
    attribute(g->t, "y2", y2);
    oct_text_add(g->t, "/>\n");
}

void drv_svg_text(struct drv_svg *g, const char *class_, double x, double y, const char *text) {
    oct_text_addf(g->t, "<text class=\"%s\"", class_);
    attribute(g->t, "x", x);
    attribute(g->t, "y", y);
    oct_text_add(g->t, ">");
    drv_html_text(g->t, text);
    oct_text_add(g->t, "</text>\n");
}
