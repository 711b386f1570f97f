#!/bin/sh
# Kernels are built, never printed: no text of C, assembler or LLVM IR in backend/kernels. A planted sample of each shows that the
# search finds it.
set -eu
out=${OCTAVO_OUT:?}
mkdir -p "$out/planted"

# What string literals must not hold, and what must not stand in the code.
literal='int(8|16|32|64)_t|restrict|#include|#pragma|for *\(|static |return |; *\\n|__asm|__builtin|_mm[0-9]*_|llvm\.|getelementptr'
code='<(immintrin|arm_neon|arm_acle)\.h>|\b_mm(256|512)?_[a-z]|\bv[a-z0-9]+q_[su](8|16|32)|__asm|llvm-c'
found() {
    {
        grep -HnoE '"([^"\\]|\\.)*"' "$@" | grep -E ":\".*($literal)"
        grep -HnE "$code" "$@"
        grep -HnE 'oct_text_' "$@" | grep -v -e '->proof' -e '->fallback' # what a kernel says about its proof and its speed is the only text it makes
    } | grep .
}

cat >"$out/planted/good.c" <<'SAMPLE'
struct lp_val acc = lp_op2(k, "acc", LP_OP_add_nw, a, b); /* for (each) channel: acc, int32_t range proved */
lp_note(k, "columns that see no padding");
oct_text_addf(&b->proof, "sum in [%lld, %lld]", lo, hi);
SAMPLE
n=0
while IFS= read -r line; do
    n=$((n + 1))
    printf '%s\n' "$line" >"$out/planted/bad.c"
    found "$out/planted/bad.c" >/dev/null || { echo "the search misses: $line"; exit 1; }
done <<'SAMPLES'
oct_text_add(t, "x");
const char *s = "int32_t acc = 0;";
emit("for (int i = 0; i < n; ++i)");
emit("y = x;\n");
emit("%s = _mm256_madd_epi16(%s, %s)");
__m256i v = _mm256_setzero_si256();
int8x16_t v = vld1q_s8(p);
#include <arm_neon.h>
__asm__ volatile("nop");
emit("call @llvm.smax.i32");
emit("getelementptr i8");
SAMPLES
[ "$n" = 11 ]
if found "$out/planted/good.c"; then echo "the search finds too much"; exit 1; fi

[ -d "${OCTAVO_SOURCE:?}/backend/kernels" ] || { echo "no backend/kernels"; exit 1; }
if found "$OCTAVO_SOURCE"/backend/kernels/*; then
    echo "target-language text in backend/kernels"
    exit 1
fi
