/* archive.h - static libraries: ar archives in the GNU form. */
#ifndef OCT_ARCHIVE_H
#define OCT_ARCHIVE_H

#include "../ir/context.h"

struct oct_member {
    const char *name; /* of a file, without its folder */
    const void *data;
    size_t len;
    const char *const *symbol; /* what it defines for others */
    size_t nsymbols;
};
/* Appends the archive: the same members give the same bytes, whoever runs it, whenever. False when it would take 4 GB or more, which
 * the index cannot count. */
bool oct_archive_write(struct oct_text *out, const struct oct_member *m, size_t n);

#endif
