#!/bin/sh
# backend/llvm prints loops and nothing else: no op of the language, no kernel, no row of the kernel IR is named there (but for what
# the LLVM column of loops.def calls functions, and prefetch, which is an access); and no other folder includes llvm-c. A planted
# sample of each shows that the search finds it.
set -eu
out=${OCTAVO_OUT:?} source=${OCTAVO_SOURCE:?}
mkdir -p "$out"
die() { echo "no_ops_in_llvm: $*"; exit 1; }

# Words of ops, kernels and rows, without those that the column itself uses and those of plain English.
"${OCTAVO:?}" ops --json | grep -o '"name": *"[a-z0-9_]*"' | grep -o '[a-z0-9_]*"$' | tr -d '"' >"$out/ops"
sed -n 's/^KERNEL[A-Z_]*(\([a-z0-9_]*\),.*/\1/p' "$source/backend/kernels/kernels.def" >"$out/kernels"
sed -n 's/^ROW(\([a-z0-9_]*\),.*/\1/p' "$source/backend/loops/loops.def" >"$out/rows"
grep '^ROW(' "$source/backend/loops/loops.def" | sed 's/.*, "\([^"]*\)", "[^"]*")$/\1/' | grep -oE '[a-z][a-z0-9]*\b' | sort -u >"$out/functions"
[ "$(wc -l <"$out/ops")" -gt 30 ] && [ "$(wc -l <"$out/kernels")" -gt 10 ] && [ "$(wc -l <"$out/rows")" -gt 40 ] || die "tables not found"
cat "$out/ops" "$out/kernels" "$out/rows" | sort -u | grep -vxF -f "$out/functions" | grep -vxE 'input|output|const|prefetch|mov|not' >"$out/words"
grep -qx conv2d "$out/words" && grep -qx dense "$out/words" && grep -qx softmax "$out/words" || die "ops are missing among the words"

# In code, not in comments.
found() {
    sed 's|/\*.*\*/||; s|^ \* .*||; s|^/\* .*||' "$1" >"$out/code"
    grep -nwF -f "$out/words" "$out/code" || grep -nE 'OCT_OP_|LP_OP_|oct_node|oct_step|oct_plan|oct_module' "$out/code"
}
n=0
while IFS= read -r line; do
    n=$((n + 1))
    printf '%s\n' "$line" >"$out/bad.c"
    found "$out/bad.c" >/dev/null || die "the search misses: $line"
done <<'SAMPLES'
if (!strcmp(call->layer, "softmax")) return;
if (f->k->isa == LP_ISA_C99 && s->row == LP_OP_add) return;
switch (node->op) { case OCT_OP_conv2d: break; }
static LLVMValueRef dense(const struct gen *g) {
{"madd16", fn_dots, true, 0, 0, 0, NULL, NULL},
SAMPLES
[ "$n" = 5 ]
printf '%s\n' '/* softmax is a kernel */ struct val fn_add(void);' >"$out/good.c"
if found "$out/good.c"; then die "the search finds too much"; fi
files=0
for f in "$source"/backend/llvm/*.[ch]; do
    files=$((files + 1))
    if found "$f"; then die "$f names an op, a kernel or a row"; fi
done
[ "$files" -gt 2 ] || die "no files to search"

others=$(grep -rlE '#include *[<"]llvm-c' "$source" --include='*.[chyl]' | grep -v '/backend/llvm/[a-z_]*\.[ch]$' || true)
[ -z "$others" ] || die "llvm-c is included by $others"
echo "no_ops_in_llvm: $(wc -l <"$out/words") words"
