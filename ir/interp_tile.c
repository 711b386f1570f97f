/* interp_tile.c - instances of interp_tile.h: float, and exact integers in 32 and 64 bits; for the build's instruction set and,
 * on x86, for AVX2, chosen when an instance is made. Requires -ffp-contract=off: AVX2 alone brings no FMA, and none may come. */
#include "interp_tile_row.h"

#if defined __x86_64__ && defined __GNUC__
#define HAVE_AVX2 1
#endif

#define TILE_TARGET
#define TILE_T     float
#define TILE(name) name##_f32
#include "interp_tile.h"
#define TILE_T     int32_t
#define TILE(name) name##_i32
#include "interp_tile.h"
#define TILE_T     int64_t
#define TILE(name) name##_i64
#include "interp_tile.h"
#undef TILE_TARGET

#ifdef HAVE_AVX2
#define TILE_TARGET __attribute__((target("avx2")))
#define TILE_T      float
#define TILE(name)  name##_f32_avx2
#include "interp_tile.h"
#define TILE_T     int32_t
#define TILE(name) name##_i32_avx2
#include "interp_tile.h"
#define TILE_T     int64_t
#define TILE(name) name##_i64_avx2
#include "interp_tile.h"
#endif

oct_tile_fn *oct_tile_for(enum oct_tile_type t) {
    static oct_tile_fn *const base[OCT_TILE_TYPES] = {row_f32, row_i32, row_i64};
#ifdef HAVE_AVX2
    static oct_tile_fn *const avx2[OCT_TILE_TYPES] = {row_f32_avx2, row_i32_avx2, row_i64_avx2};
    if (__builtin_cpu_supports("avx2")) return avx2[t];
#endif
    return base[t];
}
