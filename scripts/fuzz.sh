#!/bin/sh
# Builds every fuzz target (tests/fuzz/fuzz_*.c) with clang, libFuzzer, ASan and UBSan, and runs each for SECONDS (default 30) from
# its corpus folder tests/fuzz/corpus_NAME with its dictionary tests/fuzz/NAME.dict. Fails on a finding, which stays in build-fuzz/found.
#   scripts/fuzz.sh [SECONDS [NAME...]]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-30}
[ $# -gt 0 ] && shift
CC=${CC_FUZZ:-clang-19} cmake -S . -B build-fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DOCTAVO_FUZZ=ON >/dev/null
cmake --build build-fuzz --target fuzzers
mkdir -p build-fuzz/found
failed=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    mkdir -p "build-fuzz/corpus_$name"
    dict=""
    [ -f "tests/fuzz/$name.dict" ] && dict="-dict=tests/fuzz/$name.dict"
    log=build-fuzz/$name.log
    # shellcheck disable=SC2086 # an empty dictionary option must vanish
    if build-fuzz/tests/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/found/$name-" $dict "build-fuzz/corpus_$name" "tests/fuzz/corpus_$name" >"$log" 2>&1 &&
        ! grep -q 'Is the code instrumented' "$log"; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions, 0 findings"
    else
        failed=1
        echo "fuzz: $name: FINDING after $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions:"
        tail -40 "$log"
    fi
done
exit $failed
