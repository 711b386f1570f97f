/* json_in.c - see json_in.h. */
#include <errno.h>

#include "json_in.h"

static void drop(void *slot) { json_decref(*(json_t **)slot); }

json_t *oct_json_parse(struct oct_arena *guard, struct oct_bytes file, json_error_t *fault) {
    json_t **json = OCT_NEW(guard, json_t *); /* registered before it is filled: allocations may unwind */
    oct_defer(guard, drop, json);
    errno = 0;
    *json = json_loadb((const char *)file.data, file.len, JSON_REJECT_DUPLICATES, fault);
    /* jansson calls some failed allocations a syntax error; errno tells them apart */
    if (!*json && (errno == ENOMEM || json_error_code(fault) == json_error_out_of_memory)) oct_alloc(guard, SIZE_MAX);
    return *json;
}
