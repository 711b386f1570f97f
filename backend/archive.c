/* archive.c - writes an ar archive with index and long names as GNU tools write and read it, so that linkers need no ranlib.
 *
 *   "!<arch>\n"
 *   member "/"     the index: how many symbols; for each the offset of its member's header; their names, each with its NUL.
 *                  Numbers are 4 bytes, the highest first.
 *   member "//"    names that do not fit into a header, each with "/\n" behind it. Only where there are any.
 *   members        as they are
 * Each member has a header of 60 characters and starts at an even offset. A header holds, padded with spaces: name (16; a '/'
 * ends it, or it is '/' and an offset into "//"), date (12), owner (6), group (6), mode in octal (8), size (10), and "`\n". */
#include "archive.h"

#include <string.h>

enum { HEADER = 60, NAME_MAX_SHORT = 15 };

static bool is_long(const struct oct_member *m) { return strlen(m->name) > NAME_MAX_SHORT; }
static size_t even(size_t n) { return n + (n & 1); }
static size_t member_bytes(size_t len) { return HEADER + even(len); }

static void add_number(struct oct_text *t, size_t v) {
    const char bytes[] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    oct_text_addn(t, bytes, sizeof bytes);
}

/* `zero`: date and owner of nobody; blank for "//". */
static void add_member(struct oct_text *t, const char *name, const char *zero, const char *mode, const void *data, size_t len) {
    oct_text_addf(t, "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, zero, zero, zero, mode, len);
    oct_text_addn(t, data, len);
    if (len & 1) oct_text_add(t, "\n");
}

bool oct_archive_write(struct oct_text *out, const struct oct_member *m, size_t n) {
    static const char magic[] = "!<arch>\n";
    struct oct_text names, index, symbols, name;
    struct oct_text *const texts[] = {&names, &index, &symbols, &name};
    size_t nsymbols = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) oct_text_init(texts[i], out->arena);
    for (size_t i = 0; i < n; i++) {
        if (is_long(&m[i])) oct_text_addf(&names, "%s/\n", m[i].name);
        for (size_t s = 0; s < m[i].nsymbols; s++) oct_text_addn(&symbols, m[i].symbol[s], strlen(m[i].symbol[s]) + 1);
        nsymbols += m[i].nsymbols;
    }
    if (symbols.len & 1) oct_text_addn(&symbols, "", 1);
    if (names.len & 1) oct_text_add(&names, "\n");

    size_t at = strlen(magic) + member_bytes(4 + 4 * nsymbols + symbols.len) + (names.len ? member_bytes(names.len) : 0);
    add_number(&index, nsymbols);
    for (size_t i = 0; i < n; i++) {
        for (size_t s = 0; s < m[i].nsymbols; s++) add_number(&index, at);
        if (m[i].len > UINT32_MAX || at + member_bytes(m[i].len) > UINT32_MAX) return false;
        at += member_bytes(m[i].len);
    }
    oct_text_addn(&index, symbols.len ? symbols.s : "", symbols.len);

    oct_text_add(out, magic);
    add_member(out, "/", "0", "0", index.s, index.len);
    if (names.len) add_member(out, "//", "", "", names.s, names.len);
    for (size_t i = 0, offset = 0; i < n; i++) {
        name.len = 0;
        if (is_long(&m[i])) oct_text_addf(&name, "/%zu", offset);
        else oct_text_addf(&name, "%s/", m[i].name);
        if (is_long(&m[i])) offset += strlen(m[i].name) + 2;
        add_member(out, name.s, "0", "644", m[i].data, m[i].len);
    }
    return true;
}
