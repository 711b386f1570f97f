/* ops.c - octavo ops: the op table. */
#include <limits.h>

#include "driver.h"

static void to_json(struct drv *d) {
    struct drv_json j;
    drv_json_init(&j, &d->say);
    drv_json_open(&j, NULL, '{');
    drv_json_open(&j, "ops", '[');
    for (int i = 0; i < OCT_OP_COUNT; i++) {
        const struct oct_op_info *op = oct_op_info((enum oct_op)i);
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "name", op->name);
        drv_json_open(&j, "operands", '[');
        for (int k = 0; op->operands[k]; k++) drv_json_str(&j, NULL, op->operands[k]);
        drv_json_close(&j, ']');
        drv_json_int(&j, "least_operands", op->min_operands);
        drv_json_int(&j, "most_operands", op->max_operands == INT_MAX ? -1 : op->max_operands);
        drv_json_open(&j, "attributes", '[');
        for (int k = 0; k < OCT_ATTR_COUNT; k++)
            if (op->attrs >> k & 1) drv_json_str(&j, NULL, oct_attr_info((enum oct_attr_id)k)->name);
        drv_json_close(&j, ']');
        drv_json_str(&j, "doc", op->doc);
        drv_json_close(&j, '}');
    }
    drv_json_close(&j, ']');
    drv_json_close(&j, '}');
}

/* "x w [b]", "x..." */
static const char *operands(struct drv *d, const struct oct_op_info *op) {
    struct oct_text t;
    oct_text_init(&t, d->a);
    oct_text_add(&t, "");
    for (int k = 0; op->operands[k]; k++)
        oct_text_addf(&t, k < op->min_operands ? "%s%s" : "%s[%s]", k ? " " : "", op->operands[k]);
    if (op->max_operands == INT_MAX) oct_text_add(&t, "...");
    return t.s;
}

bool verb_ops(struct drv *d) {
    if (d->o.json) {
        to_json(d);
        return true;
    }
    for (int i = 0; i < OCT_OP_COUNT; i++) {
        const struct oct_op_info *op = oct_op_info((enum oct_op)i);
        oct_text_addf(&d->say, "%-12s %-22s %s\n", op->name, operands(d, op), op->doc);
    }
    oct_text_add(&d->say, "\nattributes:\n");
    for (int i = 0; i < OCT_ATTR_COUNT; i++) {
        const struct oct_attr_info *at = oct_attr_info((enum oct_attr_id)i);
        oct_text_addf(&d->say, "  %-10s %s\n", at->name, at->doc);
    }
    return true;
}
