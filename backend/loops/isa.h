/* isa.h - whose instructions a kernel may use: chooses the column of loops.def. A row without a spelling for an ISA takes that of
 * the ISA's base; rows of C99 serve all. */
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

#endif
