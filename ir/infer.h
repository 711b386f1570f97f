/* infer.h - what the files of ir/ share among themselves: inference, and the words of its diagnostics. Private to ir/. */
#ifndef OCT_INFER_H
#define OCT_INFER_H

#include "ir.h"

/* Sets n->type from operands, attributes and the annotation `declared` (NULL: none; rank -1: dimensions left out), and checks the
 * node entirely. Reports and returns false on misuse. */
bool oct_infer_declared(struct oct_ctx *cx, struct oct_node *n, const struct oct_type *declared);
bool oct_glob(const char *pattern, const char *s);

#endif
