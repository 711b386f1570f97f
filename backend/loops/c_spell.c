/* c_spell.c - the templates of loops.def for one lane: operands, casts, literals, parentheses. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c_text.h"

static const char *const c_types[LP_ELEM_COUNT] = {"int8_t",   "uint8_t", "int16_t", "uint16_t", "int32_t",
                                                   "uint32_t", "int64_t", "float",   "double",   "int32_t"};
const char *lp_c_scalar(enum lp_elem e) { return c_types[e]; }
static bool narrow(enum lp_elem e) { return e == LP_I8 || e == LP_U8 || e == LP_I16 || e == LP_U16; }

/* ---- literals -----------------------------------------------------------------------------------------------------------------
 */

static void add_float(struct lp_c_file *file, struct oct_text *t, struct lp_val v) {
    float f = (float)v.imm.f;
    if (v.imm.f - v.imm.f != 0) { /* infinite or NaN: no literal without math.h */
        int32_t bits;
        memcpy(&bits, &f, 4);
        if (v.type.elem == LP_F64) oct_text_add(t, "(double)");
        lp_c_use_helper(file, t, "of_bits");
        oct_text_addf(t, "(%" PRId32 ")", bits);
    } else if (v.type.elem == LP_F32) {
        oct_text_add_f32(t, f);
        oct_text_add(t, "f");
    } else {
        char s[40];
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(s, sizeof s, "%.*g", digits, v.imm.f);
            if (strtod(s, NULL) == v.imm.f) break;
        }
        oct_text_addf(t, "%s%s", s, strpbrk(s, ".e") ? "" : ".0");
    }
}

/* An integer as C type `e` (U32 also serves the unsigned form of narrower ones). */
static void add_int(struct oct_text *t, enum lp_elem e, int64_t v) {
    if (e == LP_I64) {
        if (v == INT64_MIN) oct_text_add(t, "INT64_MIN");
        else oct_text_addf(t, "INT64_C(%" PRId64 ")", v);
    } else if (e == LP_I32 && v == INT32_MIN) oct_text_add(t, "INT32_MIN");
    else oct_text_addf(t, "%" PRId64 "%s", v, e == LP_U32 ? "u" : "");
}

struct lp_c_expr lp_c_literal(struct lp_c_file *f, struct lp_val v) {
    struct oct_text t;
    oct_text_init(&t, f->a);
    if (lp_is((enum lp_elem)v.type.elem, LP_FLOATS)) add_float(f, &t, v);
    else add_int(&t, (enum lp_elem)v.type.elem, v.imm.i);
    return (struct lp_c_expr){.text = t.s, .level = t.s[0] == '-' ? LP_C_LOOSE : LP_C_ATOM};
}

/* ---- operands ----------------------------------------------------------------------------------------------------------------
 */

void lp_c_add_operand(struct oct_text *t, const struct lp_c_expr *x, enum lp_c_level need) {
    oct_text_addf(t, x->level < need ? "(%s)" : "%s", x->text);
}

/* Operand as an unsigned type `to`, so that arithmetic wraps; no cast where it is that already. */
static void add_unsigned(struct oct_text *t, const struct lp_c_expr *x, struct lp_val v, const char *to) {
    const enum lp_elem from = (enum lp_elem)v.type.elem;
    if (lp_is_imm(v) && v.imm.i >= 0 && from != LP_I64) oct_text_addf(t, "%" PRId64 "u", v.imm.i);
    else if (!strcmp(c_types[from], to)) lp_c_add_operand(t, x, LP_C_UNARY);
    else {
        oct_text_addf(t, "(%s)", to);
        lp_c_add_operand(t, x, LP_C_UNARY);
    }
}

const char *lp_c_unsigned(enum lp_elem e, int at_least) {
    int bits = lp_elem_bits(e) < at_least ? at_least : lp_elem_bits(e);
    return bits == 8 ? "uint8_t" : bits == 16 ? "uint16_t" : bits == 32 ? "uint32_t" : "uint64_t";
}

/* Rows that C spells as a call of a helper: "@name(...)", perhaps cast back. */
static bool is_call(enum lp_row row) {
    const char *p = lp_row_info(row)->c[LP_ISA_C99];
    return p && (p[0] == '@' || !strncmp(p, "%fma", 4) || !strncmp(p, "$N{@", 4));
}

static enum lp_c_level place(enum lp_row row, int arg) {
    switch (row) {
    case LP_OP_add_nw:
    case LP_OP_fadd: return LP_C_PRODUCT;
    case LP_OP_sub_nw:
    case LP_OP_fsub: return arg ? LP_C_UNARY : LP_C_PRODUCT;
    case LP_OP_mov:
    case LP_OP_pin: return LP_C_LOOSE;
    case LP_OP_mul_nw:
    case LP_OP_fmul:
    case LP_OP_mull:
    case LP_OP_sarv:
    case LP_OP_cvt:
    case LP_OP_i2f:
    case LP_OP_i2d:
    case LP_OP_f2d:
    case LP_OP_d2f: return LP_C_UNARY;
    default: return is_call(row) ? LP_C_LOOSE : LP_C_ATOM;
    }
}

static enum lp_c_level level_of(enum lp_row row, bool cast, const struct lp_c_expr *arg) {
    if (cast) return LP_C_UNARY;
    switch (row) {
    case LP_OP_mov:
    case LP_OP_pin: return arg->level;
    case LP_OP_mul_nw:
    case LP_OP_fmul:
    case LP_OP_mull: return LP_C_PRODUCT;
    case LP_OP_cvt:
    case LP_OP_sat:
    case LP_OP_i2f:
    case LP_OP_i2d:
    case LP_OP_f2d:
    case LP_OP_d2f: return LP_C_UNARY;
    default: return is_call(row) ? LP_C_ATOM : LP_C_LOOSE;
    }
}

/* Nearest value of the result type; only the comparisons that can matter. */
static void add_saturating(struct oct_text *t, const struct lp_c_expr *x, enum lp_elem from, enum lp_elem to) {
    oct_text_addf(t, "(%s)(", c_types[to]);
    if (lp_elem_min(from) < lp_elem_min(to)) {
        oct_text_addf(t, "%s < ", x->text);
        add_int(t, from, lp_elem_min(to));
        oct_text_add(t, " ? ");
        add_int(t, from, lp_elem_min(to));
        oct_text_add(t, " : ");
    }
    if (lp_elem_max(from) > lp_elem_max(to)) {
        oct_text_addf(t, "%s > ", x->text);
        add_int(t, from, lp_elem_max(to));
        oct_text_add(t, " ? ");
        add_int(t, from, lp_elem_max(to));
        oct_text_add(t, " : ");
    }
    oct_text_addf(t, "%s)", x->text);
}

/* ---- templates ----------------------------------------------------------------------------------------------------------------
 */

struct lp_c_expr lp_c_fill(struct lp_c_file *f, enum lp_row row, enum lp_elem to, int nargs, const struct lp_val *v,
                           const struct lp_c_expr *arg, const char *imm) {
    const char *p = lp_row_info(row)->c[LP_ISA_C99], *close = "";
    if (!p) lp_c_refuse(f, "no spelling for one lane", lp_row_info(row)->name);
    enum lp_elem from = nargs ? (enum lp_elem)v[0].type.elem : to;
    struct oct_text t;
    oct_text_init(&t, f->a);
    while (*p) {
        if (!strncmp(p, "%sat", 4)) {
            add_saturating(&t, &arg[0], from, to);
            p += 4;
        } else if (!strncmp(p, "%fma", 4)) {
            oct_text_add(&t, to == LP_F32 ? "__builtin_fmaf" : "__builtin_fma");
            p += 4;
        } else if (*p == '@') {
            size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
            bool sized = p[len + 1] == '$';
            lp_c_use_helper(f, &t, oct_sprintf(f->a, "%.*s%s", (int)len, p + 1, !sized ? "" : from == LP_I64 ? "64" : "32"));
            p += len + (sized ? 3 : 1);
        } else if (*p == '}') {
            oct_text_add(&t, close);
            p++;
        } else if (*p != '$') oct_text_addn(&t, p++, 1);
        else if (p[1] == 'N' || p[1] == 'R') {
            bool cast = p[1] == 'N' ? narrow(to) : to != LP_U32;
            if (cast) oct_text_addf(&t, "(%s)(", c_types[to]);
            close = cast ? ")" : "";
            p += 3;
        } else if (p[1] == 'T') {
            oct_text_add(&t, c_types[to]);
            p += 2;
        } else if (p[1] == 'i') {
            oct_text_add(&t, imm);
            p += 2;
        } else if (p[1] == 'w' || p[1] == 'u') {
            int i = p[2] - 'a';
            add_unsigned(&t, &arg[i], v[i], lp_c_unsigned((enum lp_elem)v[i].type.elem, p[1] == 'w' ? 32 : 8));
            p += 3;
        } else {
            lp_c_add_operand(&t, &arg[p[1] - 'a'], place(row, p[1] - 'a'));
            p += 2;
        }
    }
    return (struct lp_c_expr){.text = t.s ? t.s : "", .level = level_of(row, *close != 0, &arg[0])};
}
