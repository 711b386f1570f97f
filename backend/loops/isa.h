/* isa.h - whose instructions a kernel may use: chooses the column of loops.def. A row without a spelling for an ISA takes that of
 * the ISA's base; rows of C99 serve all. And what a machine cannot do in instructions, so that a compiler would call a library. */
#ifndef OCT_LOOPS_ISA_H
#define OCT_LOOPS_ISA_H

enum lp_isa {
    LP_ISA_C99,    /* scalar, any compiler */
    LP_ISA_AVX2,   /* with FMA */
    LP_ISA_AVX512, /* F, BW, DQ, VL; base AVX2 */
    LP_ISA_VNNI,   /* vpdpbusd, vpdpwssd; base AVX512 */
    LP_ISA_NEON,
    LP_ISA_DOT, /* sdot, udot; base NEON */
    LP_ISA_I8MM, /* smmla, usdot; base DOT */
    LP_ISA_DSP, /* SMLAD, SXTB16 in general registers */
    LP_ISA_MVE, /* M-profile vectors; base DSP */
    LP_ISA_COUNT
};

/* Bits of what a machine lacks (struct oct_target); legal.c writes kernels without it. */
enum lp_lack {
    LP_LACK_NONE = 0,
    LP_LACK_DIV = 1,     /* 32-bit division */
    LP_LACK_DIV64 = 2,   /* 64-bit division */
    LP_LACK_MUL64 = 4,   /* any product of more than 32 bits */
    LP_LACK_SHIFT64 = 8, /* 64-bit shifts, but by what a compiler knows */
    LP_LACK_SQRT = 16,   /* the root of a float: wherever floats are soft */
    LP_LACK_ARM = LP_LACK_DIV64,                                                        /* v7-M and later */
    LP_LACK_ARM_A = LP_LACK_DIV | LP_LACK_DIV64,                                        /* v7-A without the virtualisation extension */
    LP_LACK_THUMB1 = LP_LACK_DIV | LP_LACK_DIV64 | LP_LACK_MUL64 | LP_LACK_SHIFT64      /* v6-M */
};

#endif
