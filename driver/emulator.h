/* emulator.h - programs that emulate.c writes into its folder: a counter for qemu, and what a bare board needs around main. They are
 * texts because an installed octavo has no sources beside it. */
#ifndef DRV_EMULATOR_H
#define DRV_EMULATOR_H

/* A qemu plugin (interface 1: functions that qemu exports; no header is needed). It adds up the instructions of translated blocks as
 * they begin: a block is left early only by a fault, and an interrupt comes between blocks. A line "NAME COUNT" is written whenever
 * control reaches the entry of a function that the file `marks` names: the instructions before it. An entry is the first block of
 * a symbol that is translated; compilers name clones NAME.SOMETHING. One CPU, one thread. */
static const char counter_c[] =
    "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "#define EXPORT __attribute__((visibility(\"default\")))\n"
    "struct qemu_plugin_tb;\nstruct qemu_plugin_insn;\nstruct qemu_info;\n"
    "size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);\n"
    "struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);\n"
    "uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);\n"
    "const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);\n"
    "void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));\n"
    "void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned cpu, void *user), int flags,\n"
    "    void *user);\n"
    "EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);\n"
    "EXPORT int qemu_plugin_version = 1;\n"
    "struct mark { struct mark *next; uint64_t entry; bool seen; char name[]; };\n"
    "struct block { const struct mark *mark; uint64_t n; };\n"
    "static struct mark *marks;\nstatic uint64_t count;\nstatic FILE *out;\n"
    "static void run(unsigned cpu, void *user) {\n"
    "    const struct block *b = user;\n    (void)cpu;\n"
    "    if (b->mark) { fprintf(out, \"%s %llu\\n\", b->mark->name, (unsigned long long)count); fflush(out); }\n"
    "    count += b->n;\n}\n"
    "static void translate(uint64_t id, struct qemu_plugin_tb *tb) {\n"
    "    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));\n"
    "    struct block *b = calloc(1, sizeof *b);\n    (void)id;\n    if (!b) exit(71);\n"
    "    b->n = qemu_plugin_tb_n_insns(tb);\n"
    "    const size_t len = symbol ? strcspn(symbol, \".\") : 0;\n"
    "    for (struct mark *m = marks; m && len; m = m->next) {\n"
    "        if (strlen(m->name) != len || memcmp(m->name, symbol, len)) continue;\n"
    "        if (!m->seen) m->entry = qemu_plugin_tb_vaddr(tb), m->seen = true;\n"
    "        if (m->entry == qemu_plugin_tb_vaddr(tb)) b->mark = m;\n"
    "    }\n"
    "    qemu_plugin_register_vcpu_tb_exec_cb(tb, run, 0, b);\n}\n"
    "int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv) {\n"
    "    char line[4096];\n    FILE *names = fopen(\"marks\", \"r\");\n    (void)info, (void)argc, (void)argv;\n"
    "    if (!names || !(out = fopen(\"counts\", \"w\"))) return -1;\n"
    "    while (fgets(line, sizeof line, names)) {\n"
    "        const size_t n = strcspn(line, \"\\n\");\n"
    "        struct mark *m = calloc(1, sizeof *m + n + 1);\n        if (!m) return -1;\n"
    "        memcpy(m->name, line, n);\n        m->next = marks, marks = m;\n    }\n"
    "    fclose(names);\n    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);\n    return 0;\n}\n";

/* A board with nothing on it: vectors, FPU and MVE on, .bss to zero, files and the end by semihosting. */
static const char board_c[] =
    "#include <stdint.h>\n"
    "int main(void);\n"
    "void fetch(void *to, uint32_t n);\nvoid give(const void *from, uint32_t n);\n"
    "extern uint32_t bss_begin[], bss_end[], stack_top[];\n"
    "static uint32_t ask(uint32_t request, const void *argument) {\n"
    "    register uint32_t r0 __asm__(\"r0\") = request;\n    register const void *r1 __asm__(\"r1\") = argument;\n"
    "    __asm__ volatile(\"bkpt 0xab\" : \"+r\"(r0) : \"r\"(r1) : \"memory\");\n    return r0;\n}\n"
    "static _Noreturn void leave(uint32_t code) {\n"
    "    const uint32_t why[] = {0x20026, code};\n    ask(0x20, why);\n    for (;;) {}\n}\n"
    "static void move(const char *name, uint32_t mode, uint32_t request, const void *p, uint32_t n) {\n"
    "    static uint32_t file[2];\n"
    "    if (!file[mode > 1]) {\n"
    "        const uint32_t open[] = {(uint32_t)name, mode, mode > 1 ? 7 : 6};\n"
    "        file[mode > 1] = ask(0x01, open);\n    }\n"
    "    const uint32_t args[] = {file[mode > 1], (uint32_t)p, n};\n"
    "    if (ask(request, args) != 0) leave(3);\n}\n"
    "void fetch(void *to, uint32_t n) { move(\"in.bin\", 1, 0x06, to, n); }\n"
    "void give(const void *from, uint32_t n) { move(\"out.bin\", 5, 0x05, from, n); }\n"
    "static void fault(void) { leave(70); }\n"
    "void reset(void) {\n"
    "    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR, before anything may use FPU and MVE */\n"
    "    __asm__ volatile(\"dsb\\n\\tisb\" ::: \"memory\");\n"
    "    for (uint32_t *p = bss_begin; p < bss_end;) *p++ = 0;\n"
    "    leave((uint32_t)main());\n}\n"
    "union vector { const uint32_t *stack; void (*handler)(void); };\n"
    "__attribute__((section(\".vectors\"), used)) static const union vector vectors[16] = {\n"
    "    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault},\n"
    "    {.handler = fault}, {.handler = fault}, {.handler = fault}, {.handler = fault}};\n";

/* Code where the processor starts, all data in the board's largest memory. %s: memory map. */
static const char board_ld[] =
    "MEMORY\n{\n%s\n}\n"
    "ENTRY(reset)\nSECTIONS\n{\n"
    "    .vectors : { KEEP(*(.vectors)) } > CODE\n"
    "    .text : { *(.text .text.*) } > CODE\n"
    "    .ARM.exidx : { *(.ARM.exidx*) } > CODE\n"
    "    .rodata : ALIGN(64) { *(.rodata .rodata.*) } > BIG\n"
    "    .data : { *(.data .data.*) } > BIG\n"
    "    .bss (NOLOAD) : ALIGN(64) { bss_begin = .; *(.bss .bss.* COMMON) . = ALIGN(4); bss_end = .; } > BIG\n"
    "    stack_top = ORIGIN(STACK) + LENGTH(STACK);\n}\n";

/* The same for a program of Linux. */
static const char linux_c[] =
    "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
    "void fetch(void *to, uint32_t n);\nvoid give(const void *from, uint32_t n);\n"
    "static void move(FILE **f, const char *name, const char *mode, void *p, uint32_t n, int out) {\n"
    "    if (!*f) *f = fopen(name, mode);\n"
    "    if (!*f || (out ? fwrite(p, 1, n, *f) : fread(p, 1, n, *f)) != n || fflush(*f)) exit(3);\n}\n"
    "void fetch(void *to, uint32_t n) { static FILE *f; move(&f, \"in.bin\", \"rb\", to, n, 0); }\n"
    "void give(const void *from, uint32_t n) { static FILE *f; move(&f, \"out.bin\", \"wb\", (void *)from, n, 1); }\n";

#endif
