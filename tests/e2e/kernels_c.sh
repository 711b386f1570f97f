#!/bin/sh
# The unit tests of the kernels again, with every kernel that they build printed as C and compiled by both compilers (by themselves
# they take a share and one compiler, so that they stay quick).
set -eu
ran=0
for t in "$(dirname "${OCTAVO:?}")"/tests/test_kernels_* "$(dirname "$OCTAVO")"/tests/test_loops; do
    [ -f "$t" ] || continue
    OCTAVO_FULL=1 "$t" >"${OCTAVO_OUT:?}.log" 2>&1 || { tail -40 "$OCTAVO_OUT.log"; echo "$t"; exit 1; }
    ran=$((ran + 1))
done
[ "$ran" -ge 8 ] || { echo "only $ran programs"; exit 1; }
