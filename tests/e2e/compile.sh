#!/bin/sh
# compile, bench and the engine c on the example: the same bits as the interpreter, the same bytes from every dump, objects and
# libraries that link, compilers that fail or are interrupted and leave nothing behind.
set -eu
rm -rf "$OCTAVO_OUT"
mkdir -p "$OCTAVO_OUT/tmp"
cd "$OCTAVO_OUT"
export TMPDIR="$OCTAVO_OUT/tmp"
cp "$OCTAVO_SOURCE"/examples/digits/digits.8vo "$OCTAVO_SOURCE"/examples/digits/digits.safetensors "$OCTAVO_SOURCE"/examples/digits/*.npy .

die() {
    echo "compile: $*" >&2
    [ ! -s stderr ] || cat stderr >&2
    exit 1
}
octavo() { "$OCTAVO" "$@"; }
same() { cmp "$1" "$2" >&2 || die "$1 and $2 differ"; }
nothing_left() { [ -z "$(ls -A tmp)" ] || die "temporary files are left: $(ls -A tmp)"; }
# expect CODE COMMAND...: and neither output nor temporaries.
expect() {
    code=$1 rc=0
    shift
    "$@" >stdout 2>stderr || rc=$?
    [ "$rc" = "$code" ] || die "exit $rc instead of $code: $*"
    [ ! -e failed ] && [ -z "$(ls -d failed.* 2>/dev/null)" ] || die "a failed command left output: $*"
    nothing_left
}

octavo compile digits.8vo -o probe/p 2>stderr || {
    grep -q "back end is not there" stderr || die "compile fails"
    echo "compile: no back end in this tree" >&2
    exit 77
}

octavo quantize digits.8vo --data digits_cal.npy -o q.8vo

# ---- the engine c
octavo run q.8vo --input digits_test.npy -o y1.npy
octavo run q.8vo --input digits_test.npy -o y2.npy --engine c
same y1.npy y2.npy
octavo run q.8vo --input digits_test.npy -o y3.npy --engine c --threads 1 --cc gcc --cflags "-O0 -fsanitize=undefined -fno-sanitize-recover"
same y1.npy y3.npy
octavo run digits.8vo --input digits_test.npy -o f1.npy --strict-float
octavo run digits.8vo --input digits_test.npy -o f2.npy --engine c --strict-float
same f1.npy f2.npy
octavo eval q.8vo --data digits_test.npy --labels digits_labels.npy --engine c --json >e1
octavo eval q.8vo --data digits_test.npy --labels digits_labels.npy --json >e2
same e1 e2
nothing_left

# ---- one line, step by step, from every dump in another folder: the same bytes
octavo compile digits.8vo --data digits_cal.npy -o out/net
octavo compile q.8vo -o steps/net
octavo opt digits.8vo --data digits_cal.npy --dump-after all --dump-dir dumps
n=0
for dump in dumps/*.8vo; do
    rm -rf there
    mkdir there
    cp "$dump" dumps/store.safetensors digits_cal.npy there
    (cd there && octavo compile "$(basename "$dump")" --data digits_cal.npy -o net 2>/dev/null)
    for f in out/*; do same "$f" "there/${f#out/}"; done
    n=$((n + 1))
done
[ "$n" -gt 10 ] || die "only $n dumps"
for f in out/*; do same "$f" "steps/${f#out/}"; done
[ -e out/net.c ] && [ -e out/net.h ] && [ -e out/net.json ] || die "files are missing: $(ls out)"
octavo compile q.8vo -o - >net.c
python3 - <<'PY'
import json
r = json.load(open("out/net.json"))
for key in "arena_bytes arena_lower_bound weight_bytes macs layers fallbacks".split():
    assert key in r, key
PY

# ---- objects and libraries
cat >main.c <<'M'
#include "net.h"
static unsigned char arena[NET_ARENA_SIZE + 64];
int main(void) { return sizeof arena < 64 || !&net_run; }
M
for emit in obj lib; do
    octavo compile q.8vo --emit $emit -o $emit/net
    octavo compile q.8vo --emit $emit -o $emit.2/net
    suffix=$([ $emit = obj ] && echo o || echo a)
    same $emit/net.$suffix $emit.2/net.$suffix
    cc -I$emit main.c $emit/net.$suffix -o $emit/main
    ./$emit/main || die "$emit does not run"
    [ "$(nm $emit/net.$suffix | grep -c ' T net_run')" = 1 ] || die "net_run is not in net.$suffix"
done
nothing_left

# ---- what was read, as make reads it
mkdir "in put#"
cp q.8vo q.safetensors "in put#"
octavo compile "in put#/q.8vo" --depfile "in put#/d" -o "in put#/a b"
cp "in put#/d" d.mk
printf '%s:\n\t@echo again\ninclude d.mk\n' 'in\ put\#/a\ b.c' >Makefile
[ "$(grep -c 'in\\ put' d.mk)" = 3 ] || die "inputs are missing: $(cat d.mk)"
[ "$(make -s)" != again ] || die "make wants it again: $(cat d.mk)"
sleep 0.01
touch "in put#/q.safetensors"
[ "$(make -s)" = again ] || die "make does not see the weights: $(cat d.mk)"

# ---- bench
octavo bench q.8vo --runs 20 --data digits_test.npy --json >bench.json
python3 - <<'PY'
import json
r = json.load(open("bench.json"))
assert 0 < r["p10_ns"] <= r["median_ns"] <= r["p90_ns"] and r["runs"] == 20
assert r["layers"] and all(l["ns"] is not None and l["ns"] > 0 for l in r["layers"]), r["layers"]
PY
octavo bench q.8vo --runs 10 >/dev/null

# ---- float inside an op on codes
printf 'octavo 1\ninput x : i8[2,5] scale=0.5 zero=0\ny : i8[2,5] scale=0.01 zero=0 = softmax(x) axis=1 profile=onnx\noutput y\n' >inside.8vo
octavo compile inside.8vo -o inside
expect 69 octavo compile inside.8vo --no-float -o failed

# ---- compilers that are not there, that fail, that are interrupted
expect 69 octavo compile q.8vo --emit obj --cc no-such-compiler -o failed
expect 70 octavo compile q.8vo --emit obj --cc false -o failed
expect 70 octavo run q.8vo --input digits_test.npy -o failed.npy --engine c --cc false
expect 64 octavo compile q.8vo --emit obj -o -
expect 64 octavo compile q.8vo --depfile d -o -
expect 64 octavo compile q.8vo --target cortex-m4 --emit lib --cflags -O1 -o failed
expect 64 octavo compile q.8vo --target cortex-m5 -o failed
expect 73 octavo compile q.8vo -o none/none/failed
printf '#!/bin/sh\nexec sleep 20\n' >slow
chmod +x slow
for sig in TERM HUP; do
    "$OCTAVO" compile q.8vo --emit lib --cc ./slow -o failed 2>stderr &
    pid=$!
    while [ -z "$(ls -A tmp)" ]; do sleep 0.02; done
    sleep 0.1
    kill -$sig $pid
    rc=0
    wait $pid || rc=$?
    [ $rc -gt 128 ] || die "SIG$sig gave exit $rc"
    nothing_left
    [ -z "$(ls -d failed* 2>/dev/null)" ] || die "an interrupted command left output"
done
echo "compile: $n dumps, all the same"
