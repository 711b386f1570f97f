/* stats_file.c - observer state as text. The form, one line each:
 *   octavo-stats 2
 *   value NAME k=K min=HEXFLOAT max=HEXFLOAT nan=N inf=N bins=B
 *   batches N low=HEX high=HEX         sums of N batches' extremes; the line is left out where N is 0
 *   moving RATE low=HEX high=HEX       moving averages of one run; `moving mixed` of several; left out where there is none
 *   BIN:COUNT BIN:COUNT ...            B pairs, bins rising, counts > 0
 * Exact (hexadecimal floats and fixed-point sums, integer counts) and locale-free; equal states print to equal bytes. Version 1,
 * which is read too, has neither batches nor moving. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"

enum { NAME_MAX_BYTES = 256, MAX_VALUES = 1000 }; /* a histogram takes 64 KB: few bytes must not ask for many */

static void add_sums(struct oct_text *out, const struct oct_sum *low, const struct oct_sum *high) {
    char a[OCT_SUM_TEXT], b[OCT_SUM_TEXT];
    oct_sum_print(low, a);
    oct_sum_print(high, b);
    oct_text_addf(out, " low=%s high=%s\n", a, b);
}

static void add_batches(struct oct_text *out, const struct oct_batches *b) {
    if (!b->n) return;
    oct_text_addf(out, "batches %" PRIu64, b->n);
    add_sums(out, &b->low, &b->high);
    if (b->moving == OCT_MOVING_MIXED) oct_text_add(out, "moving mixed\n");
    if (b->moving != OCT_MOVING_ONE_RUN) return;
    oct_text_addf(out, "moving %a", (double)b->rate);
    add_sums(out, &b->moving_low, &b->moving_high);
}

void oct_stats_print(struct oct_text *out, const struct oct_stats *s) {
    oct_text_add(out, "octavo-stats 2\n");
    for (uint32_t i = 0; i < s->n; i++) {
        const struct oct_histogram *h = s->entry[i].h;
        int bins = 0;
        for (int b = 0; b < OCT_GRID_BINS; b++) bins += h->count[b] != 0;
        oct_text_addf(out, "value %s k=%d min=%a max=%a nan=%" PRIu64 " inf=%" PRIu64 " bins=%d\n", s->entry[i].name, h->k,
                      (double)h->min, (double)h->max, h->nan, h->inf, bins);
        add_batches(out, &h->batches);
        const char *gap = "";
        for (int b = 0; b < OCT_GRID_BINS; b++) {
            if (!h->count[b]) continue;
            oct_text_addf(out, "%s%d:%" PRIu64, gap, b, h->count[b]);
            gap = " ";
        }
        oct_text_add(out, "\n");
    }
}

struct reader {
    struct oct_ctx *cx;
    uint32_t source;
    const char *text, *p, *end;
};

static bool bad(const struct reader *r, const char *what) {
    const uint32_t at = (uint32_t)(r->p - r->text);
    oct_error(r->cx, (struct oct_span){r->source, at, at + (r->p < r->end)}, OCT_E4020, "statistics file: %s", what);
    return false;
}

static bool word(struct reader *r, const char *w) {
    const size_t n = strlen(w);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n)) return false;
    r->p += n;
    return true;
}

static bool natural(struct reader *r, uint64_t *out) {
    const char *start = r->p;
    uint64_t v = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        const uint64_t d = (uint64_t)(*r->p - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return r->p > start;
}

static bool integer(struct reader *r, int *out) {
    const bool minus = word(r, "-");
    uint64_t v;
    if (!natural(r, &v) || v > 1000000) return false;
    *out = minus ? -(int)v : (int)v;
    return true;
}

/* A float as %a prints it; the text is copied out first, since it is not NUL-terminated. */
static bool number(struct reader *r, float *out) {
    char buf[48];
    size_t n = 0;
    while (r->p + n < r->end && n < sizeof buf - 1 && r->p[n] > ' ') buf[n] = r->p[n], n++;
    buf[n] = 0;
    char *stop;
    const double d = strtod(buf, &stop);
    r->p += n;
    *out = (float)d;
    return n > 0 && !*stop && isfinite(d) && (double)*out == d;
}

static bool identifier(struct reader *r, char *out) {
    size_t n = 0;
    for (; r->p<r->end && * r->p> ' ' && *r->p < 0x7f && n < NAME_MAX_BYTES; r->p++) out[n++] = *r->p;
    out[n] = 0;
    return n > 0 && n < NAME_MAX_BYTES;
}

static bool sums(struct reader *r, struct oct_sum *low, struct oct_sum *high) {
    if (!word(r, " low=")) return false;
    const char *p = oct_sum_parse(r->p, r->end, low);
    if (!p) return false;
    r->p = p;
    if (!word(r, " high=")) return false;
    p = oct_sum_parse(r->p, r->end, high);
    if (!p) return false;
    r->p = p;
    return word(r, "\n");
}

static bool read_batches(struct reader *r, struct oct_batches *b) {
    if (!word(r, "batches ")) return true;
    if (!natural(r, &b->n) || !b->n || !sums(r, &b->low, &b->high)) return bad(r, "expected `batches N low=SUM high=SUM`");
    if (word(r, "moving mixed\n")) b->moving = OCT_MOVING_MIXED;
    else if (word(r, "moving ")) {
        b->moving = OCT_MOVING_ONE_RUN;
        if (!number(r, &b->rate) || !(b->rate > 0) || b->rate > 1 || !sums(r, &b->moving_low, &b->moving_high))
            return bad(r, "expected `moving RATE low=SUM high=SUM`");
    }
    return true;
}

static bool read_value(struct reader *r, struct oct_stats *out, struct oct_histogram *h) {
    char name[NAME_MAX_BYTES + 1];
    int bins, last = -1;
    oct_histogram_init(h);
    if (!identifier(r, name) || !word(r, " k=") || !integer(r, &h->k) || !word(r, " min=") || !number(r, &h->min) ||
        !word(r, " max=") || !number(r, &h->max) || !word(r, " nan=") || !natural(r, &h->nan) || !word(r, " inf=") ||
        !natural(r, &h->inf) || !word(r, " bins=") || !integer(r, &bins) || !word(r, "\n"))
        return bad(r, "expected `value NAME k=K min=A max=B nan=N inf=N bins=B`");
    if (out->n >= MAX_VALUES && !oct_stats_find(out, name)) return bad(r, "more than 1000 values");
    if (h->k < OCT_GRID_MIN_K || h->k > OCT_GRID_MAX_K || bins < 0 || bins > OCT_GRID_BINS || h->min > h->max)
        return bad(r, "a number of this line is out of range");
    if (!read_batches(r, &h->batches)) return false;
    for (int i = 0; i < bins; i++) {
        int b;
        uint64_t c;
        if ((i && !word(r, " ")) || !integer(r, &b) || !word(r, ":") || !natural(r, &c)) return bad(r, "expected BIN:COUNT");
        if (b <= last || b >= OCT_GRID_BINS || c == 0 || h->total + c < c)
            return bad(r, "bins must rise within 0..8191 and counts be above 0");
        h->count[last = b] = c;
        h->total += c;
    }
    if (!word(r, "\n")) return bad(r, "expected the end of the line");
    const double top = ldexp(1.0, h->k);
    if (h->total && !((double)h->min >= -top && (double)h->max < top)) return bad(r, "min and max lie outside the grid 2^k");
    oct_histogram_merge(oct_stats_get(out, name), h);
    return true;
}

bool oct_stats_parse(struct oct_ctx *cx, struct oct_bytes file, const char *name, struct oct_stats *out) {
    const char *text = (const char *)file.data;
    struct reader r = {cx, oct_source_add(cx, name, text, file.len), text, text, text + file.len};
    if (!word(&r, "octavo-stats 2\n") && !word(&r, "octavo-stats 1\n")) return bad(&r, "does not start with `octavo-stats 2`");
    struct oct_arena *scratch = oct_arena_new(cx);
    struct oct_histogram *h = OCT_NEW(scratch, struct oct_histogram);
    bool ok = true;
    while (ok && r.p < r.end) ok = word(&r, "value ") ? read_value(&r, out, h) : bad(&r, "expected a `value` line");
    oct_arena_free(scratch);
    return ok;
}
