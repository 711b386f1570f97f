/* names.h - the names of a module: a hash table that also finds the smallest unused suffix in constant time. Private to ir/. */
#ifndef OCT_NAMES_H
#define OCT_NAMES_H

#include "ir.h"

enum { OCT_NAME_MAX = 64 }; /* bytes of an identifier */

struct oct_names *oct_names_new(struct oct_arena *a);
/* Constants and values are separate spaces. */
struct oct_node *oct_names_find(const struct oct_names *t, const char *name, bool constant);
void oct_names_put(struct oct_names *t, const char *name, bool constant, struct oct_node *n);
void oct_names_drop(struct oct_names *t, const char *name, bool constant);
const char *oct_names_fresh(struct oct_names *t, const char *base, bool constant);
bool oct_is_identifier(const char *s);

#endif
