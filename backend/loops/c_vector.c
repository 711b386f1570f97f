/* c_vector.c - operations on vectors in C: each is a call of a small function that the file defines once, from the row's
 * templates. Vectors are those of GNU C, a power of two of lanes: the lanes above those of the kernel's type hold anything.
 * Requires compilers that inline such functions (gcc 12, clang). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c_text.h"

/* ---- types -------------------------------------------------------------------------------------------------------------------
 */

static int padded(int lanes) {
    int n = 1;
    while (n < lanes) n *= 2;
    return n;
}

static const char *vector(struct lp_c_file *f, enum lp_c_kind kind, int bits, int lanes) {
    int size = 0, log = 0;
    while (8 << size < bits) size++;
    while (1 << log < lanes) log++;
    f->types[kind][size][log] = true;
    return oct_sprintf(f->a, "oct_%c%dx%d", "iuf"[kind], bits, 1 << log);
}
static enum lp_c_kind kind_of(enum lp_elem e) {
    return lp_is(e, LP_FLOATS) ? LP_C_FLOAT : lp_is(e, LP_SIGNED | LP_IS(MASK)) ? LP_C_SIGNED : LP_C_UNSIGNED;
}
static int bits_of(struct lp_type t, int mask_bits) { return t.elem == LP_MASK ? mask_bits : lp_elem_bits((enum lp_elem)t.elem); }

const char *lp_c_type(struct lp_c_file *f, struct lp_type t, int bits) {
    if (t.lanes == 1) return lp_c_scalar((enum lp_elem)t.elem);
    return vector(f, kind_of((enum lp_elem)t.elem), bits_of(t, bits), t.lanes);
}

/* ---- functions ---------------------------------------------------------------------------------------------------------------
 */

static const char *find(const struct lp_c_file *f, const char *key) {
    for (const struct lp_c_function *fn = f->first; fn; fn = fn->next)
        if (!strcmp(fn->key, key)) return fn->name;
    return NULL;
}
static const char *define(struct lp_c_file *f, const char *key, const char *name, const char *definition) {
    struct lp_c_function *fn = OCT_NEW(f->a, struct lp_c_function);
    *fn = (struct lp_c_function){key, name, definition, NULL};
    *f->last = fn;
    f->last = &fn->next;
    return name;
}

const char *lp_c_splat(struct lp_c_file *f, struct lp_type t, int bits) {
    const char *type = lp_c_type(f, t, bits), *name = oct_sprintf(f->a, "oct_splat_%s", type + 4), *known = find(f, name);
    if (known) return known;
    char from[16];
    if (t.elem == LP_MASK) snprintf(from, sizeof from, "int%d_t", bits);
    else snprintf(from, sizeof from, "%s", lp_c_scalar((enum lp_elem)t.elem));
    return define(f, name, name, oct_sprintf(f->a, "OCT_INLINE %s %s(%s a) { return a - (%s){0}; }\n", type, name, from, type));
}

const char *lp_c_mask_to(struct lp_c_file *f, int lanes, int from_bits, int to_bits) {
    const char *from = vector(f, LP_C_SIGNED, from_bits, lanes), *to = vector(f, LP_C_SIGNED, to_bits, lanes),
               *name = oct_sprintf(f->a, "oct_mask_%s_%s", to + 4, from + 4), *known = find(f, name);
    return known ? known
                 : define(f, name, name,
                          oct_sprintf(f->a, "OCT_INLINE %s %s(%s a) { return __builtin_convertvector(a, %s); }\n", to, name, from,
                                      to));
}

static const char *prefix(int width) { return width <= 128 ? "_mm" : width == 256 ? "_mm256" : "_mm512"; }

/* A masked access as one instruction, NULL where the machine has none: lanes of 32 and 64 bits with AVX2, all with AVX-512. */
static const char *masked_access(struct lp_c_file *f, bool load, struct lp_type t) {
    const int bits = lp_elem_bits((enum lp_elem)t.elem), width = bits * t.lanes;
    const bool avx512 = f->isa == LP_ISA_AVX512 || f->isa == LP_ISA_VNNI;
    if ((width != 128 && width != 256 && width != 512) || t.lanes != padded(t.lanes)) return NULL;
    if (!avx512 && (f->isa != LP_ISA_AVX2 || bits < 32 || width > 256)) return NULL;
    f->intrinsics = true;
    const char *m = prefix(width), *type = lp_c_type(f, t, 0), *whole = bits == 32 ? "int" : "long long";
    if (avx512)
        return load ? oct_sprintf(f->a, "return (%s)%s_maskz_loadu_epi%d(%s_movepi%d_mask((__m%di)m), p)", type, m, bits, m, bits,
                                  width)
                    : oct_sprintf(f->a, "%s_mask_storeu_epi%d(p, %s_movepi%d_mask((__m%di)m), (__m%di)a)", m, bits, m, bits,
                                  width, width);
    return load ? oct_sprintf(f->a, "return (%s)%s_maskload_epi%d((const %s *)(const void *)p, (__m%di)m)", type, m, bits, whole,
                              width)
                : oct_sprintf(f->a, "%s_maskstore_epi%d((%s *)(void *)p, (__m%di)m, (__m%di)a)", m, bits, whole, width, width);
}

/* Exactly the bytes of the lanes are touched. */
static const char *access(struct lp_c_file *f, bool load, struct lp_type t, bool masked, bool aligned) {
    const enum lp_elem e = (enum lp_elem)t.elem;
    const bool whole = t.lanes == padded(t.lanes);
    const char *type = lp_c_type(f, t, 0), *mask = masked ? vector(f, LP_C_SIGNED, lp_elem_bits(e), t.lanes) : NULL;
    const char *name = oct_sprintf(f->a, "oct_%s%s%s_%s%s", load ? "load" : "store", masked ? "_masked" : "",
                                   aligned ? "_aligned" : "", type + 4, whole ? "" : oct_sprintf(f->a, "_%d", t.lanes)),
               *known = find(f, name);
    if (known) return known;
    struct oct_text d;
    oct_text_init(&d, f->a);
    if (load) oct_text_addf(&d, "OCT_INLINE %s %s(const %s *p", type, name, lp_c_scalar(e));
    else oct_text_addf(&d, "OCT_INLINE void %s(%s *p, %s a", name, lp_c_scalar(e), type);
    if (masked) oct_text_addf(&d, ", %s m", mask);
    oct_text_add(&d, ") {\n");
    const char *machine = masked ? masked_access(f, load, t) : NULL;
    if (machine) oct_text_addf(&d, "    %s;\n", machine);
    else if (load) {
        oct_text_addf(&d, "    %s r%s;\n", type, whole && !masked ? "" : " = {0}");
        if (masked) oct_text_addf(&d, "    for (int32_t l = 0; l < %d; ++l)\n        if (m[l]) r[l] = p[l];\n", t.lanes);
        else
            oct_text_addf(&d, "    __builtin_memcpy(&r, %s, %d);\n", aligned ? "__builtin_assume_aligned(p, 4)" : "p",
                          t.lanes * lp_elem_bits(e) / 8);
        oct_text_add(&d, "    return r;\n");
    } else if (masked) oct_text_addf(&d, "    for (int32_t l = 0; l < %d; ++l)\n        if (m[l]) p[l] = a[l];\n", t.lanes);
    else oct_text_addf(&d, "    __builtin_memcpy(p, &a, %d);\n", t.lanes * lp_elem_bits(e) / 8);
    oct_text_add(&d, "}\n");
    return define(f, name, name, d.s);
}
const char *lp_c_load(struct lp_c_file *f, struct lp_type t, bool masked, bool aligned) {
    return access(f, true, t, masked, aligned);
}
const char *lp_c_store(struct lp_c_file *f, struct lp_type t, bool masked) { return access(f, false, t, masked, false); }

/* ---- a row on vectors
 * ----------------------------------------------------------------------------------------------------------
 */

struct op {
    struct lp_c_file *f;
    const struct lp_stmt *s;
    const struct lp_row_info *r;
    struct lp_type to, arg[LP_MAX_ARGS];
    int bits;  /* of a mask's lanes */
    int width; /* bits of the widest operand or result */
};

static int width_of(const struct op *o, struct lp_type t) { return bits_of(t, o->bits) * padded(t.lanes); }
static void measure(struct op *o) {
    o->width = width_of(o, o->to);
    for (int i = 0; i < o->s->nargs; i++)
        if (width_of(o, o->arg[i]) > o->width) o->width = width_of(o, o->arg[i]);
}

int lp_c_mask_bits(enum lp_row row, struct lp_type to, const struct lp_type *arg, int to_bits) {
    switch (row) {
    case LP_OP_lt:
    case LP_OP_le:
    case LP_OP_eq:
    case LP_OP_ne: return lp_elem_bits((enum lp_elem)arg[0].elem);
    case LP_OP_select: return lp_elem_bits((enum lp_elem)to.elem);
    case LP_OP_mladav: return 8;
    default: return to_bits;
    }
}

static const char *type_of(const struct op *o, int operand) {
    return lp_c_type(o->f, operand < 0 ? o->to : o->arg[operand], o->bits);
}
/* The type with lanes as signed or unsigned integers. */
static const char *twin(const struct op *o, int operand, enum lp_c_kind kind) {
    struct lp_type t = operand < 0 ? o->to : o->arg[operand];
    return vector(o->f, kind, bits_of(t, o->bits), t.lanes);
}

/* ---- templates that an ISA has: alternatives, one a line, each perhaps with a [guard] of words: element types of operand 0,
 * >element type or >bits of the result, a width in bits, wider or narrower result, full (no lanes to spare, 128 bits at least).
 */

static int native_width(enum lp_isa isa) {
    switch (isa) {
    case LP_ISA_AVX2: return 256;
    case LP_ISA_AVX512:
    case LP_ISA_VNNI: return 512;
    case LP_ISA_NEON:
    case LP_ISA_DOT:
    case LP_ISA_I8MM:
    case LP_ISA_MVE: return 128;
    default: return 0;
    }
}

static const char *pin_constraint(enum lp_isa isa) {
    switch (isa) {
    case LP_ISA_AVX2: return "x";
    case LP_ISA_AVX512:
    case LP_ISA_VNNI: return "v";
    default: return "w";
    }
}

static bool word_is(const char *p, size_t n, const char *s) { return strlen(s) == n && !memcmp(p, s, n); }

static bool admits(const struct op *o, const char *p, const char *end) {
    const enum lp_elem from = (enum lp_elem)o->arg[0].elem, to = (enum lp_elem)o->to.elem;
    bool elem_asked = false, elem = false, to_asked = false, result = false, width_asked = false, width = false;
    char bits[16];
    while (p < end) {
        const size_t n = strcspn(p, " ]");
        if (*p == '>') {
            to_asked = true;
            snprintf(bits, sizeof bits, "%d", lp_elem_bits(to));
            result |= word_is(p + 1, n - 1, lp_elem_name(to)) || word_is(p + 1, n - 1, bits);
        } else if (*p >= '0' && *p <= '9') {
            width_asked = true;
            width |= (int)strtol(p, NULL, 10) == (o->width < 128 ? 128 : o->width);
        } else if (word_is(p, n, "wider")) {
            if (lp_elem_bits(to) <= lp_elem_bits(from)) return false;
        } else if (word_is(p, n, "narrower")) {
            if (lp_elem_bits(to) >= lp_elem_bits(from)) return false;
        } else if (word_is(p, n, "full")) {
            if (o->arg[0].lanes != padded(o->arg[0].lanes) || width_of(o, o->arg[0]) < 128) return false;
        } else {
            elem_asked = true;
            elem |= word_is(p, n, lp_elem_name(from));
        }
        p += n + 1;
    }
    return (elem || !elem_asked) && (result || !to_asked) && (width || !width_asked);
}

/* The template of the ISA, or of one that it builds on, that admits the operands; NULL: none. */
static const char *alternative(const struct op *o, size_t *len) {
    if (o->width > native_width(o->f->isa)) return NULL;
    for (enum lp_isa isa = o->f->isa; isa != LP_ISA_C99 && isa != LP_ISA_DSP; isa = lp_isa_base(isa))
        for (const char *p = o->r->c[isa]; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
            const char *guard = *p == '[' ? p + 1 : NULL, *text = guard ? strchr(p, ']') + 2 : p;
            if (guard && !admits(o, guard, text - 2)) continue;
            if (o->to.lanes == 1 && *text != '{') continue;
            if (*text == '=' && width_of(o, o->to) < 128) continue;
            *len = strcspn(text, "\n");
            return text;
        }
    return NULL;
}

/* A parameter as the intrinsics have it. */
static void add_machine_operand(const struct op *o, struct oct_text *t, int i) {
    const enum lp_elem e = (enum lp_elem)o->arg[i].elem;
    const int width = width_of(o, o->arg[i]);
    const char letter = (char)('a' + i), *suffix = e == LP_F32 ? "" : e == LP_F64 ? "d" : "i";
    oct_text_addf(t, "(__m%d%s)", width < 128 ? 128 : width, suffix);
    if (width >= 128) oct_text_addf(t, "%c", letter);
    else if (width == 64) oct_text_addf(t, "_mm_cvtsi64_si128((int64_t)%c)", letter);
    else if (width == 32) oct_text_addf(t, "_mm_cvtsi32_si128((int32_t)%c)", letter);
    else oct_text_addf(t, "_mm_cvtsi32_si128((int%d_t)%c)", width, letter);
}

static void add_half(const struct op *o, struct oct_text *t, int i, bool high) {
    const bool wide = width_of(o, o->arg[i]) == 512;
    oct_text_add(t, wide ? (high ? "_mm512_extracti64x4_epi64(" : "_mm512_castsi512_si256(")
                         : (high ? "_mm256_extracti128_si256(" : "_mm256_castsi256_si128("));
    add_machine_operand(o, t, i);
    oct_text_add(t, high ? ", 1)" : ")");
}

static void expand_machine(const struct op *o, struct oct_text *t, const char *p, size_t len) {
    const enum lp_elem to = (enum lp_elem)o->to.elem, from = (enum lp_elem)o->arg[0].elem;
    for (const char *end = p + len; p < end;) {
        if (*p != '$') {
            oct_text_addn(t, p++, 1);
            continue;
        }
        switch (p[1]) {
        case 'm': oct_text_add(t, prefix(o->width)); break;
        case 'e': oct_text_addf(t, "ep%c%d", lp_is(to, LP_SIGNED) ? 'i' : 'u', lp_elem_bits(to)); break;
        case 'f': oct_text_addf(t, "ep%c%d", lp_is(from, LP_SIGNED) ? 'i' : 'u', lp_elem_bits(from)); break;
        case 's': oct_text_addf(t, "epi%d", lp_elem_bits(to)); break;
        case 'g': oct_text_addf(t, "epi%d", lp_elem_bits(from)); break;
        case 'p': oct_text_add(t, from == LP_F64 ? "pd" : "ps"); break;
        case 'k': oct_text_add(t, lp_is(to, LP_SIGNED) ? "packs" : "packus"); break;
        case 'T': oct_text_add(t, type_of(o, -1)); break;
        case 'S': oct_text_add(t, twin(o, -1, LP_C_SIGNED)); break;
        case 'l':
        case 'h':
            add_half(o, t, p[2] - 'a', p[1] == 'h');
            p++;
            break;
        default: add_machine_operand(o, t, p[1] - 'a'); break;
        }
        p += 2;
    }
}

static void add_machine_body(const struct op *o, struct oct_text *t, const char *p, size_t len) {
    const int width = width_of(o, o->to);
    o->f->intrinsics = true;
    if (*p == '{') {
        expand_machine(o, t, p, len);
        return;
    }
    const bool raw = *p == '=';
    oct_text_add(t, "{ return ");
    if (!raw) {
        oct_text_addf(t, "(%s)", type_of(o, -1));
        if (width == 64) oct_text_add(t, "_mm_cvtsi128_si64((__m128i)");
        else if (width < 64) oct_text_addf(t, "%s_mm_cvtsi128_si32((__m128i)", width == 32 ? "" : "(int16_t)");
    }
    expand_machine(o, t, p + raw, len - raw);
    oct_text_add(t, !raw && width < 128 ? "); }" : "; }");
}

/* ---- templates of GNU C */

/* Lanes of the operand that has most. */
static int most_lanes(const struct op *o) {
    int n = 1;
    for (int i = 0; i < o->s->nargs; i++)
        if (o->arg[i].lanes > n) n = o->arg[i].lanes;
    return n;
}
/* "@name(": the helper. */
static const char *add_helper(const struct op *o, struct oct_text *t, const char *p) {
    const size_t n = strcspn(++p, "(");
    lp_c_use_helper(o->f, t, oct_strndup(o->f->a, p, n));
    return p + n;
}
/* A parameter; an index behind it goes where it has one lane. */
static const char *add_parameter(const struct op *o, struct oct_text *t, const char *p) {
    oct_text_addn(t, p, 1);
    return p[1] == '[' && o->arg[*p - 'a'].lanes == 1 ? strchr(p, ']') + 1 : p + 1;
}

static void expand_gnu(const struct op *o, struct oct_text *t, const char *p) {
    const enum lp_elem e = (enum lp_elem)o->to.elem;
    const char *close = "";
    while (*p) {
        if (*p == '}' && *close) {
            oct_text_add(t, close);
            close = "";
            p++;
            continue;
        }
        if (*p == '@') {
            p = add_helper(o, t, p);
            continue;
        }
        if (*p != '$') {
            oct_text_addn(t, p++, 1);
            continue;
        }
        switch (p[1]) {
        case 'T': oct_text_add(t, type_of(o, -1)); break;
        case 'S': oct_text_add(t, twin(o, -1, LP_C_SIGNED)); break;
        case 'U': oct_text_add(t, twin(o, -1, LP_C_UNSIGNED)); break;
        case 'e': oct_text_add(t, lp_c_scalar(e)); break;
        case 'i': oct_text_addf(t, "(%s)i", lp_c_scalar(e)); break;
        case 'n': oct_text_addf(t, "%d", most_lanes(o)); break;
        case 'R':
        case 'N':
            oct_text_addf(t, p[1] == 'R' ? "(%s)(" : "(", type_of(o, -1));
            close = ")";
            p++;
            break;
        case 'u':
        case 'w':
        case 's':
            if (p[2] == 'e') {
                oct_text_add(t, lp_c_unsigned(e, 8));
                p++;
                break;
            }
            oct_text_addf(t, "(%s)%c", twin(o, p[2] - 'a', p[1] == 's' ? LP_C_SIGNED : LP_C_UNSIGNED), p[2]);
            p++;
            break;
        default: p = add_parameter(o, t, p + 1); continue;
        }
        p += 2;
    }
}

/* One lane: $a[index], where an operand of one lane has no index; l is the lane; $i the immediate. */
static const char *expand_lane(const struct op *o, const char *p) {
    struct oct_text t;
    oct_text_init(&t, o->f->a);
    while (*p) {
        if (*p == '@') p = add_helper(o, &t, p);
        else if (*p != '$') oct_text_addn(&t, p++, 1);
        else if (p[1] == 'i') {
            oct_text_add(&t, "i");
            p += 2;
        } else if (p[1] == 'n') {
            oct_text_addf(&t, "%d", most_lanes(o));
            p += 2;
        } else p = add_parameter(o, &t, p + 1);
    }
    return t.s;
}

static const char *scalar_lane(const struct op *o) {
    struct lp_val v[LP_MAX_ARGS];
    struct lp_c_expr x[LP_MAX_ARGS];
    for (int i = 0; i < o->s->nargs; i++) {
        v[i] = (struct lp_val){lp_scalar((enum lp_elem)o->arg[i].elem), 0, {0}};
        x[i] =
            (struct lp_c_expr){.text = oct_sprintf(o->f->a, o->arg[i].lanes == 1 ? "%c" : "%c[l]", 'a' + i), .level = LP_C_ATOM};
    }
    return lp_c_fill(o->f, o->s->row, (enum lp_elem)o->to.elem, o->s->nargs, v, x, "i").text;
}

static void add_lanes(const struct op *o, struct oct_text *t, const char *lane) {
    if (o->to.lanes == 1) {
        oct_text_addf(t, "{\n    const int32_t l = 0;\n    (void)l;\n    return %s;\n}", lane);
        return;
    }
    const char *type = type_of(o, -1);
    oct_text_addf(t, "{\n    %s r = {0};\n    for (int32_t l = 0; l < %d; ++l) r[l] = %s%s;\n    return r;\n}", type, o->to.lanes,
                  o->to.elem == LP_MASK ? oct_sprintf(o->f->a, "(int%d_t)-", o->bits) : "",
                  o->to.elem == LP_MASK ? oct_sprintf(o->f->a, "(%s)", lane) : lane);
}

/* ---- rows about lanes */

static void add_lane_list(const struct op *o, struct oct_text *t, int (*from)(const struct op *o, int lane)) {
    const int n = padded(o->to.lanes);
    oct_text_addf(t, "__builtin_shufflevector(a, %c", o->s->nargs > 1 ? 'b' : 'a');
    for (int l = 0; l < n; l++) oct_text_addf(t, ", %d", l < o->to.lanes ? from(o, l) : -1);
    oct_text_add(t, ")");
}
static int shuffled(const struct op *o, int l) {
    const int n = o->arg[0].lanes, from = o->s->shuffle[l];
    return from < n ? from : from - n + padded(n);
}
static int repeated(const struct op *o, int l) { return l % o->arg[0].lanes; }

static bool in_words(enum lp_isa isa) { return isa == LP_ISA_DSP || isa == LP_ISA_MVE; }
/* 0, 1: the lower, the upper halves of two words, where the ISA has that; -1: another shuffle. */
static int halves(const struct op *o) {
    const uint8_t *lane = o->s->shuffle;
    if (!in_words(o->f->isa) || o->to.elem != LP_I16 || o->to.lanes != 2 || o->arg[0].lanes != 2) return -1;
    return lane[0] < 2 && lane[1] == lane[0] + 2 ? lane[0] : -1;
}
static void add_shuffle(const struct op *o, struct oct_text *t) {
    const int n = o->arg[0].lanes;
    const char *truth = o->to.elem == LP_MASK ? " & 1" : "";
    const int half = halves(o);
    if (half >= 0) {
        oct_text_addf(t, "{ return (%s)", type_of(o, -1));
        lp_c_use_helper(o->f, t, "halves");
        oct_text_addf(t, "((int32_t)a, (int32_t)b, %d); }", half);
    } else if (n > 1 && o->to.lanes > 1) {
        oct_text_add(t, "{ return ");
        add_lane_list(o, t, shuffled);
        oct_text_add(t, "; }");
    } else if (o->to.lanes == 1) {
        const int from = o->s->shuffle[0];
        const char *lane = n == 1 ? "" : oct_sprintf(o->f->a, "[%d]", from % n);
        oct_text_addf(t, "{ (void)a; (void)b; return %c%s%s; }", from < n ? 'a' : 'b', lane, n == 1 ? "" : truth);
    } else {
        oct_text_addf(t, "{\n    %s r = {0};\n    (void)a, (void)b;\n", type_of(o, -1));
        for (int l = 0; l < o->to.lanes; l++)
            oct_text_addf(t, "    r[%d] = %s%c;\n", l, o->to.elem == LP_MASK ? oct_sprintf(o->f->a, "(int%d_t)-", o->bits) : "",
                          "ab"[o->s->shuffle[l]]);
        oct_text_add(t, "    return r;\n}");
    }
}

/* Up to 64 bits are one integer that fills the vector: one load that broadcasts. */
static void add_repeat(const struct op *o, struct oct_text *t) {
    const int bits = width_of(o, o->arg[0]), n = o->arg[0].lanes;
    const enum lp_elem as = bits == 16 ? LP_I16 : bits == 32 ? LP_I32 : LP_I64;
    if (n == padded(n) && bits <= 64 && bits > 8) {
        const int lanes = width_of(o, o->to) / bits;
        if (lanes == 1) oct_text_add(t, "{ return a; }");
        else
            oct_text_addf(t, "{ return (%s)%s((%s)a); }", type_of(o, -1), lp_c_splat(o->f, lp_vector(as, lanes), 0),
                          lp_c_scalar(as));
        return;
    }
    oct_text_add(t, "{ return ");
    add_lane_list(o, t, repeated);
    oct_text_add(t, "; }");
}

/* The low bytes of wider lanes. gcc 12 numbers more than 256 of them wrongly. */
static bool takes_low_bytes(const struct op *o) {
    const int to = lp_elem_bits((enum lp_elem)o->to.elem);
    return o->s->row == LP_OP_cvt && to < lp_elem_bits((enum lp_elem)o->arg[0].elem) && width_of(o, o->arg[0]) / to <= 256;
}
static void add_truncation(const struct op *o, struct oct_text *t) {
    const enum lp_elem e = (enum lp_elem)o->to.elem;
    const int step = lp_elem_bits((enum lp_elem)o->arg[0].elem) / lp_elem_bits(e);
    const char *parts = vector(o->f, kind_of(e), lp_elem_bits(e), step * o->arg[0].lanes);
    oct_text_addf(t, "{\n    const %s b = (%s)a;\n    return __builtin_shufflevector(b, b", parts, parts);
    for (int l = 0; l < padded(o->to.lanes); l++) oct_text_addf(t, ", %d", l * step);
    oct_text_add(t, ");\n}");
}

/* ---- wider than the machine: two halves, where the machine has them */

static const char *define_row(const struct op *o);

static bool by_lanes(const struct op *o) {
    const char *p = o->r->signature;
    if (strchr(p, ':') || strchr("VS", *p) || !strncmp(p, "U*", 2) || o->to.lanes < 4) return false;
    for (; (p = strchr(p, ',')); p++)
        if (p[1] == 'S') return false;
    return o->to.lanes == padded(o->to.lanes);
}
static struct op half_of(const struct op *o) {
    struct op h = *o;
    h.to.lanes /= 2;
    for (int i = 0; i < o->s->nargs; i++) h.arg[i].lanes /= 2;
    measure(&h);
    return h;
}
static bool halves_help(const struct op *o) {
    struct op h = *o;
    size_t len;
    while (by_lanes(&h)) {
        h = half_of(&h);
        if (alternative(&h, &len)) return true;
    }
    return false;
}
static void add_halves(const struct op *o, struct oct_text *t) {
    const struct op h = half_of(o);
    const char *name = define_row(&h);
    oct_text_add(t, "{\n    return __builtin_shufflevector(");
    for (int half = 0; half < 2; half++) {
        oct_text_addf(t, "%s%s(", half ? ",\n                                   " : "", name);
        for (int i = 0; i < o->s->nargs; i++) {
            oct_text_addf(t, "%s__builtin_shufflevector(%c, %c", i ? ", " : "", 'a' + i, 'a' + i);
            for (int l = 0; l < h.arg[i].lanes; l++) oct_text_addf(t, ", %d", l + half * h.arg[i].lanes);
            oct_text_add(t, ")");
        }
        oct_text_add(t, strchr(o->r->signature, '#') ? ", i)" : ")");
    }
    for (int l = 0; l < o->to.lanes; l++) oct_text_addf(t, ", %d", l);
    oct_text_add(t, ");\n}");
}

/* ---- */

/* Compilers would add up the products of several steps of a kernel first, or load for them ahead, and spill, unless they are told
 * that the sum changes here; gcc, that memory may, too. */
static void add_pin(const struct op *o, struct oct_text *t) {
    const char *reg = pin_constraint(o->f->isa);
    if (o->width <= native_width(o->f->isa) && o->width >= 128)
        oct_text_addf(t,
                      "{\n#ifdef __clang__\n    __asm__(\"\" : \"+%s\"(a));\n#else\n"
                      "    __asm__ volatile(\"\" : \"+%s\"(a) : : \"memory\");\n#endif\n    return a;\n}",
                      reg, reg);
    else oct_text_add(t, "{ return a; }");
}

/* GNU C, as an expression or a body. */
static void add_gnu(const struct op *o, struct oct_text *t, const char *p) {
    oct_text_add(t, *p == '{' ? "" : "{ return ");
    expand_gnu(o, t, p);
    oct_text_add(t, *p == '{' ? "" : "; }");
}

static void add_body(const struct op *o, struct oct_text *t) {
    size_t len;
    const char *words = in_words(o->f->isa) && o->width <= 32 ? o->r->c[LP_ISA_DSP] : NULL;
    const char *machine = alternative(o, &len);
    const enum lp_row row = o->s->row;
    if (row == LP_OP_shuffle) add_shuffle(o, t);
    else if (row == LP_OP_repeat) add_repeat(o, t);
    else if (row == LP_OP_pin) add_pin(o, t);
    else if (words) add_gnu(o, t, words);
    else if (machine) add_machine_body(o, t, machine, len);
    else if (o->width > native_width(o->f->isa) && halves_help(o)) add_halves(o, t);
    else if (takes_low_bytes(o)) add_truncation(o, t);
    else if (o->r->c[LP_C_LANE]) add_lanes(o, t, expand_lane(o, o->r->c[LP_C_LANE]));
    else if (o->r->c[LP_C_VECTOR] && (o->to.lanes > 1 || o->r->c[LP_C_VECTOR][0] == '{')) add_gnu(o, t, o->r->c[LP_C_VECTOR]);
    else add_lanes(o, t, scalar_lane(o));
}

static const char *short_name(const struct op *o, int operand) {
    const struct lp_type t = operand < 0 ? o->to : o->arg[operand];
    if (t.lanes == 1) return lp_elem_name((enum lp_elem)t.elem);
    return oct_sprintf(o->f->a, "%c%dx%d", "iuf"[kind_of((enum lp_elem)t.elem)], bits_of(t, o->bits), t.lanes);
}
/* The name says the result's type, and the first operand type that differs from it. */
static const char *name_of(const struct op *o) {
    const char *to = short_name(o, -1), *other = to;
    for (int i = 0; i < o->s->nargs && !strcmp(other, to); i++)
        if (o->s->row != LP_OP_select || i) other = short_name(o, i);
    const char *number = o->s->row == LP_OP_shuffle ? oct_sprintf(o->f->a, "%d", ++o->f->nshuffles) : "";
    const bool same = !strcmp(other, to);
    return oct_sprintf(o->f->a, "oct_%s%s_%s%s%s", o->r->name, number, to, same ? "" : "_", same ? "" : other);
}

static const char *define_row(const struct op *o) {
    struct lp_c_file *f = o->f;
    struct oct_text key, d;
    oct_text_init(&key, f->a);
    oct_text_init(&d, f->a);
    oct_text_addf(&key, "%s %s %d", o->r->name, type_of(o, -1), o->to.lanes);
    for (int i = 0; i < o->s->nargs; i++) oct_text_addf(&key, " %s %d", type_of(o, i), o->arg[i].lanes);
    for (int l = 0; o->s->shuffle && l < o->to.lanes; l++) oct_text_addf(&key, ",%d", o->s->shuffle[l]);
    const char *known = find(f, key.s);
    if (known) return known;
    const char *name = name_of(o);
    oct_text_addf(&d, "OCT_INLINE %s %s(", type_of(o, -1), name);
    for (int i = 0; i < o->s->nargs; i++) oct_text_addf(&d, "%s%s %c", i ? ", " : "", type_of(o, i), 'a' + i);
    oct_text_add(&d, strchr(o->r->signature, '#') ? ", int32_t i) " : ") ");
    add_body(o, &d);
    oct_text_add(&d, "\n");
    return define(f, key.s, name, d.s);
}

const char *lp_c_row(struct lp_c_file *f, const struct lp_stmt *s, struct lp_type to, const struct lp_type *arg, int bits) {
    struct op o = {.f = f, .s = s, .r = lp_row_info(s->row), .to = to, .bits = bits};
    for (int i = 0; i < s->nargs; i++) o.arg[i] = arg[i];
    measure(&o);
    return define_row(&o);
}
