/* json_in.h - reading JSON: jansson behind the house's rules for memory. Not part of the interface of the front end. */
#ifndef OCT_JSON_IN_H
#define OCT_JSON_IN_H

#include <jansson.h>

#include "frontend.h"

/* The tree of a JSON text without duplicate keys; it lives outside of the arenas and goes back with `guard`, an arena that is to
 * be freed when the tree was read. NULL when it is malformed, with *fault filled; out of memory unwinds. */
json_t *oct_json_parse(struct oct_arena *guard, struct oct_bytes file, json_error_t *fault);

#endif
