/* dce.c - drops values and constants that no output needs. Inputs stay: they are the model's signature. */
#include "rewrite.h"

bool oct_pass_dce(struct oct_pass_env *env, struct oct_module *m) {
    env->changes += oct_sweep(m);
    return true;
}
