#!/bin/sh
# An object of ResNet-20 in 15 s and 500 MB, of ResNet-8 in 5 s, by the LLVM back end.
set -eu
if [ ! -d "${OCTAVO_SHARED:?}/models" ] || [ ! -e "$(dirname "${OCTAVO:?}")/liboctavo_llvm.so" ]; then
    echo "compile_cost: shared models or the LLVM back end are absent"
    [ -n "${CI:-}" ] && exit 1 || exit 77
fi
python3 "${OCTAVO_SOURCE:?}/bench/compile_cost.py" "$OCTAVO" "$OCTAVO_SHARED" --check
