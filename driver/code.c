/* code.c - the digest of machine code: the executable sections of an ELF object, or of those in an ar library. Only section
 * tables are read, as <elf.h> has them; what does not fit its file counts as no code. */
#include <elf.h>
#include <string.h>

#include "certificate.h"

/* Little-endian, as all our targets are. */
static uint64_t get(const unsigned char *p, size_t size) {
    uint64_t v = 0;
    while (size--) v = v << 8 | p[size];
    return v;
}
#define GET(p, type, field)        get((p) + offsetof(type, field), sizeof(((type *)0)->field))
#define GET2(wide, p, type, field) ((wide) ? GET(p, Elf64_##type, field) : GET(p, Elf32_##type, field))

/* Appends every executable section, with its length before it. */
static void add_object(struct oct_text *code, const unsigned char *p, size_t len) {
    if (len < sizeof(Elf32_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_DATA] != ELFDATA2LSB) return;
    const bool wide = p[EI_CLASS] == ELFCLASS64;
    if (wide && len < sizeof(Elf64_Ehdr)) return;
    const uint64_t table = GET2(wide, p, Ehdr, e_shoff), n = GET2(wide, p, Ehdr, e_shnum),
                   size = wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    if (table > len || n > (len - table) / size) return;
    for (uint64_t i = 0; i < n; i++) {
        const unsigned char *s = p + table + i * size;
        const uint64_t at = GET2(wide, s, Shdr, sh_offset), bytes = GET2(wide, s, Shdr, sh_size);
        if (!(GET2(wide, s, Shdr, sh_flags) & SHF_EXECINSTR) || GET2(wide, s, Shdr, sh_type) != SHT_PROGBITS || at > len ||
            bytes > len - at)
            continue;
        oct_text_addn(code, (const char *)&bytes, sizeof bytes);
        oct_text_addn(code, (const char *)p + at, bytes);
    }
}

/* Members of a library: a header of 60 bytes with the size as a decimal number in columns 48 to 57; they begin at even places. */
static void add_library(struct oct_text *code, const char *p, size_t len) {
    enum { MAGIC = 8, HEADER = 60, SIZE = 48, DIGITS = 10 };
    for (size_t at = MAGIC; at + HEADER <= len;) {
        uint64_t bytes = 0;
        for (const char *c = p + at + SIZE; c < p + at + SIZE + DIGITS && *c >= '0' && *c <= '9'; c++)
            bytes = bytes * 10 + (uint64_t)(*c - '0');
        at += HEADER;
        if (bytes > len - at) return;
        add_object(code, (const unsigned char *)p + at, bytes);
        at += bytes + (bytes & 1);
    }
}

const char *drv_code_digest(struct oct_arena *a, const void *data, size_t len) {
    struct oct_text code;
    oct_text_init(&code, a);
    if (len >= 8 && memcmp(data, "!<arch>\n", 8) == 0) add_library(&code, data, len);
    else add_object(&code, data, len);
    return code.len ? drv_digest(a, code.s, code.len) : NULL;
}
