/* check.c - octavo check: everything that is wrong with a model or that octavo cannot do, in one run; or, with a certificate,
 * whether it holds (check_certificate.c). */
#include "certificate.h"
#include "check_rounding.h"

bool verb_check(struct drv *d) {
    if (d->o.certificate) return drv_check_certificate(d);
    if (d->o.args.n > 1)
        return drv_misuse(d, "octavo check: '%s' is one argument too many without --certificate NAME.cert", d->o.args.v[1]);
    struct oct_module *m = drv_read_model(d, d->o.args.v[0]);
    if (d->o.json) {
        struct oct_text text;
        oct_text_init(&text, d->a);
        oct_diag_render(d->cx, &text);
        oct_text_addn(&d->talk, text.s, text.len);
        struct drv_json j;
        drv_json_init(&j, &d->say);
        drv_json_open(&j, NULL, '{');
        drv_json_str(&j, "model", m ? m->name : NULL);
        drv_json_int(&j, "errors", oct_error_count(d->cx));
        drv_json_int(&j, "exit_code", oct_exit_code(d->cx));
        drv_json_str(&j, "diagnostics", text.s);
        if (m && !drv_check_rounding(d, m, d->o.args.v[0], &j)) return false;
        drv_json_close(&j, '}');
    } else if (m) {
        unsigned inputs = 0, constants = 0;
        OCT_FOR_NODES(m, n) {
            inputs += n->op == OCT_OP_input;
            constants += n->op == OCT_OP_const;
        }
        oct_text_addf(&d->say, "%s: sound: %u inputs, %u outputs, %u constants, %u operations\n", m->name, inputs, m->noutputs,
                      constants, m->nnodes - inputs - constants);
        if (!drv_check_rounding(d, m, d->o.args.v[0], NULL)) return false;
    }
    return true; /* what was found is reported, and rules the exit code */
}
