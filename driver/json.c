/* json.c - writes JSON. Objects of the outermost list get a line each, so that the output can be read and diffed. */
#include <math.h>

#include "driver.h"

void drv_json_init(struct drv_json *j, struct oct_text *out) { *j = (struct drv_json){.out = out, .first = true}; }

static void item(struct drv_json *j, const char *key) {
    if (!j->first) oct_text_add(j->out, j->depth == 1 ? ",\n " : ", ");
    j->first = false;
    if (!key) return;
    oct_text_add_json(j->out, key);
    oct_text_add(j->out, ": ");
}

void drv_json_open(struct drv_json *j, const char *key, char bracket) {
    item(j, key);
    if (j->depth == 2 && bracket == '{') oct_text_add(j->out, "\n  ");
    oct_text_addn(j->out, &bracket, 1);
    j->depth++;
    j->first = true;
}

void drv_json_close(struct drv_json *j, char bracket) {
    oct_text_addn(j->out, &bracket, 1);
    j->first = false;
    if (--j->depth == 0) oct_text_add(j->out, "\n");
}

void drv_json_str(struct drv_json *j, const char *key, const char *v) {
    item(j, key);
    if (v) oct_text_add_json(j->out, v);
    else oct_text_add(j->out, "null");
}

void drv_json_int(struct drv_json *j, const char *key, int64_t v) {
    item(j, key);
    oct_text_addf(j->out, "%lld", (long long)v);
}

void drv_json_num(struct drv_json *j, const char *key, double v) {
    item(j, key);
    if (isfinite(v)) oct_text_addf(j->out, "%.10g", v);
    else oct_text_add(j->out, "null");
}
