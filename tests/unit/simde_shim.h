/* simde_shim.h - intrinsics of AVX-512 on a machine without: for each one that a C file calls a definition in plain C, that of
 * SIMDe or, where SIMDe 0.7.4 lacks it, a loop over lanes made here from its name. Names that neither knows stay undefined, and
 * the file does not compile. */
#ifndef SIMDE_SHIM_H
#define SIMDE_SHIM_H

#include <ctype.h>
#include <stdio.h>

#include "../../ir/context.h"

/* The register that holds so many bits. */
static inline const char *shim_register(struct oct_arena *a, int bits, const char *suffix) {
    return oct_sprintf(a, "%s%d%s", bits > 256 ? "simde__m" : "__m", bits < 128 ? 128 : bits, suffix);
}

/* Lanes of `from` bits to lanes of `to` bits; how: "" modulo, "s" or "us" saturating; sign: i or u of the source. */
static inline void shim_convert(struct oct_text *t, struct oct_arena *a, const char *name, int width, const char *how, char sign,
                                int from, int to) {
    const int lanes = width / (from > to ? from : to), in = lanes * from, out = lanes * to;
    const bool us = *how == 'u';
    const char *u = us ? "u" : "", *source = shim_register(a, in, "i"), *result = shim_register(a, out, "i");
    oct_text_addf(t,
                  "static inline %s shim%s(%s a) {\n    union { %s v; %sint%d_t l[%d]; } x;\n"
                  "    union { %s v; %sint%d_t l[%d]; } r = {0};\n    x.v = a;\n    for (int i = 0; i < %d; i++) {\n",
                  result, name, source, source, sign == 'u' || us ? "u" : "", from, (in < 128 ? 128 : in) / from, result, u, to,
                  (out < 128 ? 128 : out) / to, lanes);
    if (us) oct_text_addf(t, "        r.l[i] = (uint%d_t)(x.l[i] > UINT%d_MAX ? UINT%d_MAX : x.l[i]);\n", to, to, to);
    else if (*how)
        oct_text_addf(t,
                      "        r.l[i] = (int%d_t)(x.l[i] < INT%d_MIN ? INT%d_MIN : x.l[i] > INT%d_MAX ? INT%d_MAX : x.l[i]);\n",
                      to, to, to, to, to);
    else oct_text_addf(t, "        r.l[i] = (int%d_t)x.l[i];\n", to);
    oct_text_add(t, "    }\n    return r.v;\n}\n");
}

/* A loop for the name; false where it has none. */
static inline bool shim_loop(struct oct_text *t, struct oct_arena *a, const char *name) {
    static const struct {
        const char *name, *definition;
    } floats[] = {
        {"_mm512_cvtepi32_pd",
         "static inline simde__m512d shim_mm512_cvtepi32_pd(__m256i a) { union { __m256i v; int32_t l[8]; } x; "
         "union { simde__m512d v; double l[8]; } r; x.v = a; for (int i = 0; i < 8; i++) r.l[i] = x.l[i]; "
         "return r.v; }\n"},
        {"_mm512_cvtps_pd",
         "static inline simde__m512d shim_mm512_cvtps_pd(__m256 a) { union { __m256 v; float l[8]; } x; "
         "union { simde__m512d v; double l[8]; } r; x.v = a; for (int i = 0; i < 8; i++) r.l[i] = (double)x.l[i]; "
         "return r.v; }\n"},
        {"_mm512_cvtpd_ps",
         "static inline __m256 shim_mm512_cvtpd_ps(simde__m512d a) { union { simde__m512d v; double l[8]; } x; "
         "union { __m256 v; float l[8]; } r; x.v = a; for (int i = 0; i < 8; i++) r.l[i] = (float)x.l[i]; "
         "return r.v; }\n"},
        {"_mm512_cvtps_epi32",
         "static inline simde__m512i shim_mm512_cvtps_epi32(simde__m512 a) { union { simde__m512 v; __m256 h[2]; } x; "
         "union { simde__m512i v; __m256i h[2]; } r; x.v = a; for (int i = 0; i < 2; i++) "
         "r.h[i] = _mm256_cvtps_epi32(x.h[i]); return r.v; }\n"},
        {"_mm512_cvtpd_epi32",
         "static inline __m256i shim_mm512_cvtpd_epi32(simde__m512d a) { union { simde__m512d v; __m256d h[2]; } x; "
         "union { __m256i v; __m128i h[2]; } r; x.v = a; for (int i = 0; i < 2; i++) "
         "r.h[i] = _mm256_cvtpd_epi32(x.h[i]); return r.v; }\n"},
    };
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (!strcmp(floats[i].name, name)) {
            oct_text_add(t, floats[i].definition);
            return true;
        }
    int width = 128, from, to, end = 0, n = 0;
    const char *p = name + 3;
    if (isdigit((unsigned char)*p)) width = (int)strtol(p, (char **)&p, 10);
    char how[4] = "", sign;
    if ((sscanf(p, "_cvtep%c%d_epi%d%n", &sign, &from, &to, &end) == 3 ||
         sscanf(p, "_cvt%1[s]ep%c%d_epi%d%n", how, &sign, &from, &to, &end) == 4 ||
         sscanf(p, "_cvt%2[us]ep%c%d_epi%d%n", how, &sign, &from, &to, &end) == 4) &&
        !p[end] && (width == 512 || from > to)) {
        shim_convert(t, a, name, width, how, sign, from, to);
        return true;
    }
    const char *reg = shim_register(a, width, "i");
    char what[4];
    if (sscanf(p, "_m%3[axin]_epi64%n", what, &end) == 1 && !p[end] && width < 512) {
        oct_text_addf(
            t,
            "static inline %s shim%s(%s a, %s b) { union { %s v; int64_t l[%d]; } x, y; x.v = a; y.v = b; for (int i = 0; i "
            "< %d; i++) x.l[i] = x.l[i] %c y.l[i] ? x.l[i] : y.l[i]; return x.v; }\n",
            reg, name, reg, reg, reg, width / 64, width / 64, *what == 'a' ? '>' : '<');
        return true;
    }
    if (sscanf(p, "_movepi%d_mask%n", &n, &end) == 1 && end && !p[end]) {
        oct_text_addf(
            t,
            "static inline uint64_t shim%s(%s a) { union { %s v; int%d_t l[%d]; } x; uint64_t m = 0; x.v = a; for (int i = "
            "0; i < %d; i++) m |= (uint64_t)(x.l[i] < 0) << i; return m; }\n",
            name, reg, reg, n, width / n, width / n);
        return true;
    }
    if (sscanf(p, "_maskz_loadu_epi%d%n", &n, &end) == 1 && end && !p[end]) {
        oct_text_addf(
            t,
            "static inline %s shim%s(uint64_t m, const void *p) { union { %s v; int%d_t l[%d]; } r = {0}; for (int i = 0; i "
            "< %d; i++) if (m >> i & 1) memcpy(&r.l[i], (const char *)p + %d * i, %d); return r.v; }\n",
            reg, name, reg, n, width / n, width / n, n / 8, n / 8);
        return true;
    }
    if (sscanf(p, "_mask_storeu_epi%d%n", &n, &end) == 1 && end && !p[end]) {
        oct_text_addf(
            t,
            "static inline void shim%s(void *p, uint64_t m, %s a) { union { %s v; int%d_t l[%d]; } x; x.v = a; for (int i = "
            "0; i < %d; i++) if (m >> i & 1) memcpy((char *)p + %d * i, &x.l[i], %d); }\n",
            name, reg, reg, n, width / n, width / n, n / 8, n / 8);
        return true;
    }
    return false;
}

/* The text of an immintrin.h for a C file. AVX2 is the machine's own. */
static inline const char *shim_header(struct oct_arena *a, const char *text) {
    static const char *const newer[] = {"roundscale", "dpbusd", "dpwssd"}; /* of fewer bits, but not of AVX2 */
    struct oct_text t, done;
    oct_text_init(&t, a);
    oct_text_init(&done, a);
    oct_text_add(&done, " ");
    oct_text_add(&t, "#ifndef OCT_SHIM\n#define OCT_SHIM\n#include <stdint.h>\n#include <string.h>\n"
                     "#include \"simde/x86/avx512.h\"\n#include <immintrin.h>\n");
    for (const char *p = text; (p = strstr(p, "_mm"));) {
        size_t n = strspn(p, "_abcdefghijklmnopqrstuvwxyz0123456789");
        const char *name = oct_strndup(a, p, n);
        bool call = p[n] == '(' && (p == text || !isalnum((unsigned char)p[-1]));
        p += n;
        if (!call || strstr(done.s, oct_sprintf(a, " %s ", name))) continue;
        oct_text_addf(&done, "%s ", name);
        bool simde = !strncmp(name, "_mm512", 6);
        for (int i = 0; i < 3; i++) simde |= strstr(name, newer[i]) != NULL;
        if (shim_loop(&t, a, name)) oct_text_addf(&t, "#define %s shim%s\n", name, name);
        else if (simde) oct_text_addf(&t, "#define %s simde%s\n", name, name);
    }
    oct_text_add(&t, "#define __m512i simde__m512i\n#define __m512 simde__m512\n#define __m512d simde__m512d\n"
                     "#else\n#include_next <immintrin.h>\n#endif\n");
    return t.s;
}

#endif
