/* c_file.c - what stands before and behind the kernels of a C file: what the compiler is told, types, helpers, functions. */
#include <string.h>

#include "c_text.h"

static const struct {
    const char *name, *text;
} helpers[] = {
#define HELPER(name, text) {#name, text},
#include "c_helpers.def"
#undef HELPER
};
enum { HELPER_COUNT = sizeof helpers / sizeof *helpers };

struct lp_c_file *lp_c_file_new(struct oct_ctx *cx, struct oct_arena *a) {
    struct lp_c_file *f = OCT_NEW(a, struct lp_c_file);
    f->cx = cx;
    f->a = a;
    f->last = &f->first;
    return f;
}

void lp_c_refuse(const struct lp_c_file *f, const char *what, const char *which) {
    oct_internal(f->cx, (struct oct_span){0, 0, 0}, "loops: C: %s: %s", which, what);
}

void lp_c_use_helper(struct lp_c_file *f, struct oct_text *t, const char *name) {
    for (int i = 0; i < HELPER_COUNT; i++)
        if (!strcmp(helpers[i].name, name)) {
            f->helpers |= (uint64_t)1 << i;
            oct_text_addf(t, "oct_%s", name);
            return;
        }
    lp_c_refuse(f, "no such helper", name);
}

static void print_helpers(struct oct_text *out, uint64_t wanted) {
    for (int i = HELPER_COUNT - 1; i >= 0; i--) { /* helpers that wanted ones call stand above them */
        if (!(wanted >> i & 1)) continue;
        for (const char *p = helpers[i].text; (p = strchr(p, '@')); p++)
            for (int j = 0; j < i; j++) {
                size_t len = strlen(helpers[j].name);
                if (!strncmp(p + 1, helpers[j].name, len) && p[len + 1] == '(') wanted |= (uint64_t)1 << j;
            }
    }
    for (int i = 0; i < HELPER_COUNT; i++) {
        if (!(wanted >> i & 1)) continue;
        const char *p = helpers[i].text;
        for (const char *at; (at = strchr(p, '@')); p = at + 1) {
            oct_text_addn(out, p, (size_t)(at - p));
            oct_text_add(out, "oct_");
        }
        oct_text_add(out, p);
    }
}

/* ---- the machine -------------------------------------------------------------------------------------------------------------
 */

/* What gcc and clang are told of an x86 machine, so that the file needs no options. */
static const struct {
    enum lp_isa isa;
    const char *features;
} machines[] = {{LP_ISA_VNNI, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"},
                {LP_ISA_AVX512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"},
                {LP_ISA_AVX2, "avx2,fma"}};
static const char *features(const struct lp_c_file *f) {
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (f->vectors && f->isa == machines[i].isa) return machines[i].features;
    return NULL;
}

/* immintrin.h is 0.4 s of a compiler's time, most of it AVX-512. Its parts, which ask that it be included for them, have kept
 * their names and its guards in all these versions. */
static const char avx2_intrinsics[] = "#if defined __clang__ ? __clang_major__ < 14 || __clang_major__ > 20 : __GNUC__ > 15\n"
                                      "#include <immintrin.h>\n"
                                      "#else /* the parts of it that this file needs: the whole takes compilers long */\n"
                                      "#define _IMMINTRIN_H_INCLUDED\n"
                                      "#define __IMMINTRIN_H\n"
                                      "#include <smmintrin.h>\n"
                                      "#include <avxintrin.h>\n"
                                      "#include <avx2intrin.h>\n"
                                      "#include <fmaintrin.h>\n"
                                      "#endif\n";

static void print_types(struct oct_text *out, const struct lp_c_file *f) {
    static const char *const prefix[] = {"int", "uint"}, *const letter = "iuf";
    for (int kind = 0; kind < LP_C_KINDS; kind++)
        for (int size = 0; size < 4; size++)
            for (int log = 1; log <= LP_C_MAX_LOG_LANES; log++) {
                if (!f->types[kind][size][log]) continue;
                const int bits = 8 << size, lanes = 1 << log;
                if (kind == LP_C_FLOAT) oct_text_addf(out, "typedef %s", bits == 32 ? "float" : "double");
                else oct_text_addf(out, "typedef %s%d_t", prefix[kind], bits);
                oct_text_addf(out, " oct_%c%dx%d __attribute__((vector_size(%d)));\n", letter[kind], bits, lanes,
                              bits / 8 * lanes);
            }
}

void lp_emit_c_prologue(struct oct_text *out, const struct lp_c_file *f) {
    const char *machine = features(f);
    oct_text_add(out,
                 "/* Loops stay loops: gcc would make calls of some, to memmove too, and gcc 12 parts stores that overlap. */\n"
                 "#if defined __GNUC__ && !defined __clang__\n"
                 "#pragma GCC optimize(\"no-tree-loop-distribute-patterns\", \"no-tree-loop-distribution\")\n"
                 "#endif\n");
    if (f->floats)
        oct_text_add(out, "#ifdef __FAST_MATH__\n"
                          "#error \"octavo: results are defined by IEEE arithmetic; compile without -ffast-math\"\n"
                          "#endif\n"
                          "/* Multiply, then add: no contraction into one rounding. */\n"
                          "#if defined __clang__\n"
                          "#pragma STDC FP_CONTRACT OFF\n"
                          "#elif defined __GNUC__\n"
                          "#pragma GCC optimize(\"fp-contract=off\")\n"
                          "#else\n"
                          "#pragma STDC FP_CONTRACT OFF\n"
                          "#endif\n");
    if (f->vectors)
        oct_text_add(out, "/* Vectors are those of GNU C. */\n"
                          "#if !defined __GNUC__ || (!defined __clang__ && __GNUC__ < 12)\n"
                          "#error \"octavo: vector code is for gcc 12, clang and later; for other compilers: --target c99\"\n"
                          "#endif\n"
                          "#pragma GCC diagnostic ignored \"-Wpsabi\" /* no function on vectors is external */\n");
    if (f->vectors && (f->isa == LP_ISA_DSP || f->isa == LP_ISA_MVE))
        oct_text_add(out, "/* Loads stay side by side, so that two become one. */\n"
                          "#if defined __GNUC__ && !defined __clang__\n"
                          "#pragma GCC optimize(\"no-schedule-insns,no-tree-ter\")\n"
                          "#endif\n");
    if (machine) {
        oct_text_add(out, "#ifndef __x86_64__\n"
                          "#error \"octavo: made for x86-64\"\n"
                          "#endif\n");
        if (f->intrinsics) oct_text_add(out, f->isa == LP_ISA_AVX2 ? avx2_intrinsics : "#include <immintrin.h>\n");
        oct_text_addf(out,
                      "#ifdef __clang__\n"
                      "#pragma clang attribute push(__attribute__((target(\"%s\"))), apply_to = function)\n"
                      "#else\n"
                      "#pragma GCC target(\"%s\")\n"
                      "#endif\n",
                      machine, machine);
    }
    if (f->vectors)
        oct_text_add(out, "#define OCT_INLINE static inline __attribute__((always_inline, no_instrument_function))\n");
    print_types(out, f);
    print_helpers(out, f->helpers);
    for (const struct lp_c_function *fn = f->first; fn; fn = fn->next) oct_text_add(out, fn->definition);
}

void lp_emit_c_epilogue(struct oct_text *out, const struct lp_c_file *f) {
    if (features(f))
        oct_text_add(out, "#ifdef __clang__\n"
                          "#pragma clang attribute pop\n"
                          "#endif\n");
}
