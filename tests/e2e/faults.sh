#!/bin/sh
# Promises 5 and 6: every allocation, read, write, close, rename, open and mapping of a run fails in turn, once and for good. The
# command must end with its own exit code, and the files it was to replace be wholly old or wholly new.
set -eu
rm -rf "$OCTAVO_OUT"
mkdir -p "$OCTAVO_OUT/out" "$OCTAVO_OUT/old"
cd "$OCTAVO_OUT"
if nm -D "$OCTAVO" 2>/dev/null | grep -q __asan; then
    echo "faults: a sanitizer owns malloc in this build" >&2
    exit 77
fi
cc -O1 -shared -fPIC -o faults.so "$OCTAVO_SOURCE/tests/e2e/Inputs/faults.c" -ldl
runs=0

die() {
    echo "faults: $*" >&2
    [ ! -s stderr ] || cat stderr >&2
    exit 1
}

cp "$OCTAVO_SOURCE"/examples/digits/digits.8vo "$OCTAVO_SOURCE"/examples/digits/digits.safetensors .
cp "$OCTAVO_SOURCE"/examples/digits/digits_cal.npy x.npy
echo '{"rules": [{"op": "dense", "granularity": "tensor"}]}' >q.json

quantize() { "$OCTAVO" quantize digits.8vo --data x.npy --config q.json --threads 1 --save-stats "$1/s.stats" -o "$1/q.8vo"; }
quantize old
for f in old/*; do sed 's/1/2/' "$f" >"$f.2" && mv "$f.2" "$f"; done # what stood there before: something else
mkdir new
quantize new

# holds KIND: out/ has the three files of that folder, and nothing else.
holds() {
    kind=$1
    shift
    [ "$(ls -A out)" = "$(ls -A "$kind")" ] || die "files are left or missing after $*: $(ls -A out)"
    for f in "$kind"/*; do cmp -s "out/${f#*/}" "$f" || die "out/ is not $kind after $*"; done
}

# sweep CALL CODES [sticky]: fails the 1st, 2nd, ... call until the command no longer notices; for good: every 7th and all later.
sweep() {
    call=$1 codes=$2 step=${3:+7} n=0
    step=${step:-1}
    while :; do
        n=$((n + step))
        cp old/* out/
        rm -f log
        rc=0
        env LD_PRELOAD="$PWD/faults.so" FAULT_CALL="$call" FAULT_AT=$n FAULT_LOG="$PWD/log" ${3:+FAULT_STICKY=1} \
            "$OCTAVO" quantize digits.8vo --data x.npy --config q.json --threads 1 --save-stats out/s.stats -o out/q.8vo >stdout 2>stderr || rc=$?
        runs=$((runs + 1))
        case " $codes " in *" $rc "*) ;; *) die "exit $rc, not one of $codes, when $call $n failed ${3:-}" ;; esac
        [ ! -s stdout ] || die "something on stdout when $call $n failed"
        [ "$rc" = 0 ] || [ -s stderr ] || die "silent when $call $n failed"
        if [ "$rc" = 0 ]; then holds new "$call $n ${3:-}"; else holds old "$call $n ${3:-}"; fi
        rm -rf out
        mkdir out
        [ -s log ] && [ "$(cat log)" -lt $n ] && return 0 # the command made fewer calls than that
        [ $n -lt 5000 ] || die "$call never ends"
    done
}

sweep malloc "0 71"
sweep malloc "0 71" sticky
sweep read "0 74"
sweep mmap "0 74"
sweep open "0 73 74"
sweep write "0 74"
sweep short_write "0"
sweep close "0 74"
sweep rename "0 73"
echo "faults: $runs runs"
[ "$runs" -gt 500 ] || die "only $runs runs"
