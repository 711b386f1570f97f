/* check_rounding.h - see check_rounding.c. */
#ifndef DRV_CHECK_ROUNDING_H
#define DRV_CHECK_ROUNDING_H

#include "../ir/steps.h"
#include "driver.h"

/* Appends to `check`'s report how many codes can differ from those of the system that quantized the model, which was read from
 * `path`, by the format of the file; nothing for models of octavo's own format, or without codes. Takes the model through the
 * passes. json NULL: as text. False after a diagnostic. */
bool drv_check_rounding(struct drv *d, struct oct_module *m, const char *path, struct drv_json *json);

#endif
