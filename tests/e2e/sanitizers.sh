#!/bin/sh
# The unit tests again, built with address and undefined-behaviour sanitizers, and the build with clang: no warning, no finding.
set -eu
cd "$OCTAVO_SOURCE"
cmake -S . -B "$OCTAVO_OUT/asan" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" >/dev/null
cmake --build "$OCTAVO_OUT/asan" >"$OCTAVO_OUT/asan.log" 2>&1 || { tail -30 "$OCTAVO_OUT/asan.log"; exit 1; }
ASAN_OPTIONS=detect_leaks=1 ctest --test-dir "$OCTAVO_OUT/asan" -R '^unit/' -E sweep --output-on-failure --no-tests=error \
    >"$OCTAVO_OUT/asan-tests.log" 2>&1 || { tail -60 "$OCTAVO_OUT/asan-tests.log"; exit 1; }
grep 'tests passed' "$OCTAVO_OUT/asan-tests.log"
cmake -S . -B "$OCTAVO_OUT/clang" -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_C_FLAGS_RELEASE="-O0 -DNDEBUG" >/dev/null # warnings do not depend on the level
cmake --build "$OCTAVO_OUT/clang" >"$OCTAVO_OUT/clang.log" 2>&1 || { tail -30 "$OCTAVO_OUT/clang.log"; exit 1; }
echo "built with clang without warnings"
