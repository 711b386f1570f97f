/* targets.c - octavo targets: the table of the back end, and presets. */
#include <string.h>

#include "../backend/backend.h"
#include "driver.h"

static const char *or_none(const char *s) { return *s ? s : "-"; }

static const char *kilobytes(struct drv *d, int64_t bytes) {
    return !bytes         ? "-"
           : bytes % 1024 ? oct_sprintf(d->a, "%lld B", (long long)bytes)
                          : oct_sprintf(d->a, "%lld KB", (long long)bytes / 1024);
}

static void print_text(struct drv *d, const struct oct_target *t) {
    const bool host = !*t->triple && strcmp(t->name, t->row) != 0;
    oct_text_addf(&d->say, "%-16s %-34s %s\n", t->name, host ? oct_sprintf(d->a, "this machine: %s", t->row) : t->triple, t->doc);
    if (!d->o.verbose) return;
    oct_text_addf(&d->say, "    cpu %s, features %s, float ABI %s, pointers of %d bits, ", or_none(t->cpu), or_none(t->features),
                  or_none(oct_target_float_abi(t)), 8 * t->pointer_bytes);
    if (t->vector_bits) oct_text_addf(&d->say, "vectors of %d bits, ", t->vector_bits);
    oct_text_addf(&d->say, "flash %s, RAM %s\n", kilobytes(d, t->flash), kilobytes(d, t->ram));
}

static void print_json(struct drv_json *j, const struct oct_target *t) {
    drv_json_open(j, NULL, '{');
    drv_json_str(j, "name", t->name);
    drv_json_str(j, "row", t->row);
    drv_json_str(j, "triple", t->triple);
    drv_json_str(j, "cpu", t->cpu);
    drv_json_str(j, "features", t->features);
    drv_json_str(j, "float_abi", oct_target_float_abi(t));
    drv_json_int(j, "vector_bits", t->vector_bits);
    drv_json_int(j, "pointer_bytes", t->pointer_bytes);
    drv_json_int(j, "flash", t->flash);
    drv_json_int(j, "ram", t->ram);
    drv_json_str(j, "doc", t->doc);
    drv_json_close(j, '}');
}

bool verb_targets(struct drv *d) {
    uint32_t n;
    const struct oct_target *t = drv_target_list(d, &n);
    struct drv_json j;
    if (!t) return false;
    drv_json_init(&j, &d->say);
    if (d->o.json) {
        drv_json_open(&j, NULL, '{');
        drv_json_open(&j, "targets", '[');
    }
    for (uint32_t i = 0; i < n; i++)
        if (d->o.json) print_json(&j, &t[i]);
        else print_text(d, &t[i]);
    if (d->o.json) {
        drv_json_close(&j, ']');
        drv_json_close(&j, '}');
    }
    return true;
}
