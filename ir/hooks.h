/* hooks.h - prototypes of every hook that a row of ops.def names. A row without its functions does not link. */
#ifndef OCT_HOOKS_H
#define OCT_HOOKS_H

#include "ir.h"

#define OP(name, operands, attrs, flags, shape, verify, interp, doc)                                                             \
    oct_shape_fn shape_##shape;                                                                                                  \
    oct_verify_fn verify_##verify;                                                                                               \
    oct_interp_fn interp_##interp;
#include "ops.def"
#undef OP

#endif
