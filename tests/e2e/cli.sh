#!/bin/sh
# The contract of the command: exit codes, one clean diagnostic, no partial output whatever fails, stdin and stdout, the same
# bytes from other folders, locales and thread counts.
set -eu
rm -rf "$OCTAVO_OUT"
mkdir -p "$OCTAVO_OUT/in" "$OCTAVO_OUT/out"
cd "$OCTAVO_OUT"
tests=0

die() {
    echo "cli: $*" >&2
    exit 1
}

# expect CODE TEXT COMMAND...: the exit code, TEXT on stderr, stdout empty, and nothing new in out/.
expect() {
    code=$1 text=$2
    shift 2
    tests=$((tests + 1))
    before=$(ls -A out)
    rc=0
    "$@" >stdout 2>stderr </dev/null || rc=$?
    [ "$rc" = "$code" ] || { cat stderr; die "exit $rc instead of $code: $*"; }
    grep -qF -e "$text" stderr || { cat stderr; die "stderr does not say '$text': $*"; }
    [ ! -s stdout ] || die "a failed command wrote to stdout: $*"
    [ "$(ls -A out)" = "$before" ] || die "a failed command left files: $(ls -A out): $*"
    [ -z "$(find . -name '.octavo*' -o -name '*.tmp')" ] || die "temporaries were left: $*"
}
octavo() { "$OCTAVO" "$@"; }
same() { cmp "$1" "$2" >&2 || die "$1 and $2 differ"; tests=$((tests + 1)); }

# npy FILE SHAPE SEED: f32 values in [-1, 1), by a plain script without numpy.
npy() {
    python3 - "$1" "$2" "$3" <<'PY'
import sys, struct
path, shape, x = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
n = 1
for d in shape: n *= d
head = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (shape,)
head += " " * (-(len(head) + 11) % 64) + "\n"
with open(path, "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    for _ in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        f.write(struct.pack("<f", (x >> 40) / 2**23 - 1))
PY
}

cat >in/tiny.8vo <<'M'
octavo 1
model tiny "for tests"
input x : f32[N,3,8,8]
const @w : f32[4,3,3,3] = random seed=1 within=(-0.5,0.5)
const @b : f32[4] = (0.1, -0.2, 0.3, 0.0)
const @d : f32[5,4] = random seed=2 within=(-1.0,1.0)
c = conv2d(x, @w, @b) pad=same
r = relu(c)
m = mean(r) axes=(2,3)
y = dense(m, @d)
output y
M
npy in/x.npy '(6,3,8,8)' 1
npy in/wrong.npy '(6,3,8,9)' 1

# ---- usage: 64
expect 64 "say what to do" octavo
expect 64 "did you mean 'quantize'" octavo quantise in/tiny.8vo
expect 64 "there is no verb 'frobnicate'" octavo frobnicate
expect 64 "did you mean '--passes'" octavo opt in/tiny.8vo --pases dce -o -
expect 64 "wants a value" octavo opt in/tiny.8vo -o
expect 64 "one argument too many" octavo check in/tiny.8vo in/tiny.8vo
expect 64 "wants MODEL" octavo check
expect 64 "say where to write" octavo import in/tiny.8vo
expect 64 "-o is given more than once" octavo import in/tiny.8vo -o out/a.8vo -o out/b.8vo
expect 64 "stdin ('-') can be read only once" octavo run - --input - -o out/y.npy
expect 64 "wants one of: interp c" octavo run in/tiny.8vo --input in/x.npy -o out/y.npy --engine turbo
expect 64 "wants a number above zero" octavo run in/tiny.8vo --input in/x.npy -o out/y.npy --threads -1
expect 64 "takes no value" octavo ops --json=yes
expect 64 "exclude each other" octavo opt in/tiny.8vo --passes dce --stop-after dce -o out/a.8vo
expect 64 "belong together" octavo opt in/tiny.8vo --dump-after all -o out/a.8vo
expect 64 "pass 'fold_bm' is not known" octavo opt in/tiny.8vo --passes fold_bm -o out/a.8vo
expect 64 "'nope' is not known" octavo opt in/tiny.8vo --dump-after nope --dump-dir out/d
expect 64 "calibration data are needed" octavo quantize in/tiny.8vo -o out/q.8vo
expect 64 "the model has 1 input ('x')" octavo run in/tiny.8vo -o out/y.npy
expect 64 "no data for input 'x'" octavo run in/tiny.8vo --input z=in/x.npy -o out/y.npy
expect 64 "no output 'z'" octavo run in/tiny.8vo --input in/x.npy -o z=out/y.npy
expect 64 "say what to compare with" octavo eval in/tiny.8vo --data in/x.npy
expect 64 "two outputs would be written" octavo run in/tiny.8vo --input in/x.npy -o y=out/y.npy -o y=out/y.npy

# ---- bad models and data: 65
echo 'octavo 1 model' >in/bad.8vo
expect 65 "in/bad.8vo:1" octavo check in/bad.8vo
expect 65 "" octavo import in/bad.8vo -o out/a.8vo
expect 65 "data are f32[6,3,8,9], but input 'x' is f32[N,3,8,8]" octavo run in/tiny.8vo --input in/wrong.npy -o out/y.npy
head -c 500 in/x.npy >in/cut.npy
expect 65 "in/cut.npy: not a readable .npy file" octavo run in/tiny.8vo --input in/cut.npy -o out/y.npy
expect 65 "in/tiny.8vo: not a readable .npy file" octavo run in/tiny.8vo --input in/tiny.8vo -o out/y.npy
printf '\010\010\022\003abc' >in/bad.onnx
expect 65 "in/bad.onnx" octavo check in/bad.onnx
expect 65 "wanted 6 integers" octavo eval in/tiny.8vo --data in/x.npy --labels in/x.npy
echo '{"rules": [{"op": "conv2d", "act": "i7"}]}' >in/bad.json
expect 65 "in/bad.json" octavo quantize in/tiny.8vo --data in/x.npy --config in/bad.json -o out/q.8vo
echo 'nothing' >in/bad.stats
expect 65 "in/bad.stats" octavo stats merge in/bad.stats -o out/c.stats

# ---- the weights file: hash, truncation, absence
mkdir w
octavo opt in/tiny.8vo --quantize off --passes const_fold,cse -o w/m.8vo
sed 's/ = random seed=[12] within=([^)]*)//' w/m.8vo >w/no_file.8vo
expect 65 "w/no_file.8vo" octavo check w/no_file.8vo
sed '/^model/a weights "gone.safetensors"' w/no_file.8vo >w/gone.8vo
expect 66 "gone.safetensors" octavo check w/gone.8vo
sed '/^model/a weights "../in/x.npy"' w/no_file.8vo >w/up.8vo
expect 65 "refused to read '../in/x.npy'" octavo check w/up.8vo

# ---- missing inputs: 66
expect 66 "in/none.8vo" octavo check in/none.8vo
expect 66 "in/none.npy" octavo run in/tiny.8vo --input in/none.npy -o out/y.npy
expect 66 "in/none.json" octavo quantize in/tiny.8vo --data in/x.npy --config in/none.json -o out/q.8vo
expect 66 "is a folder" octavo check in
mkfifo in/fifo
expect 66 "not a regular file" octavo check in/fifo

# ---- unsupported: 69, every such node in one run
python3 - <<'PY'
def field(n, b): return bytes([n << 3 | 2, len(b)]) + b
def num(n, v): return bytes([n << 3, v])
def info(name): return field(1, name) + field(2, field(1, num(1, 1) + field(2, field(1, num(1, 4)))))
def node(op, a, b): return field(1, field(1, a) + field(2, b) + field(3, b"node_" + b) + field(4, op))
graph = node(b"Frob", b"x", b"t") + node(b"Nicate", b"t", b"y") + field(2, b"g") + field(11, info(b"x")) + field(12, info(b"y"))
open("in/odd.onnx", "wb").write(num(1, 8) + field(7, graph) + field(8, num(2, 17)))
PY
expect 69 "Frob" octavo import in/odd.onnx -o out/a.8vo
grep -q Nicate stderr || die "the second unsupported node is not named"

# ---- out of memory: 71 (a model of 32 MB, in 30 MB of address space)
cp in/tiny.8vo in/huge.8vo
printf 'const @h : f32[2000000,4] = random seed=3 within=(0.0,1.0)\nh = dense(m, @h)\noutput h\n' >>in/huge.8vo
if ! nm -D "$OCTAVO" 2>/dev/null | grep -q __asan; then
    expect 71 "out of memory" sh -c 'ulimit -v 30000; exec "$@"' sh "$OCTAVO" import in/huge.8vo -o out/a.8vo
fi

# ---- outputs that cannot be made or written: 73, 74
expect 73 "out/none/a.8vo" octavo import in/tiny.8vo -o out/none/a.8vo
expect 73 "cannot create 'out'" octavo import in/tiny.8vo -o out
expect 73 "/proc/octavo.8vo" octavo import in/tiny.8vo -o /proc/octavo.8vo
expect 73 "none/d" octavo opt in/tiny.8vo --quantize off --dump-after all --dump-dir out/none/d
expect 73 "none/s.stats" octavo quantize in/tiny.8vo --data in/x.npy --save-stats out/none/s.stats -o out/q.8vo
expect 74 "No space left" octavo import in/tiny.8vo -o /dev/full
expect 74 "No space left" octavo quantize in/tiny.8vo --data in/x.npy --save-stats /dev/full -o out/q.8vo
tests=$((tests + 1))
rc=0
octavo ops >/dev/full 2>stderr || rc=$?
[ "$rc" = 74 ] || die "ops > /dev/full gave $rc"
if [ "$(id -u)" != 0 ]; then
    mkdir locked
    chmod a-w locked
    expect 73 "locked/a.8vo" octavo import in/tiny.8vo -o locked/a.8vo
    cp in/tiny.8vo in/secret.8vo
    chmod 0 in/secret.8vo
    expect 74 "in/secret.8vo" octavo check in/secret.8vo
fi
echo old >out/kept.8vo
expect 65 "in/bad.8vo" octavo import in/bad.8vo -o out/kept.8vo
[ "$(cat out/kept.8vo)" = old ] || die "a failed command changed an old file"

# ---- stdin and stdout
octavo import in/tiny.8vo -o out/tiny.8vo
octavo import - -o - <in/tiny.8vo >out/piped.8vo
same out/tiny.8vo out/piped.8vo
octavo import out/tiny.8vo -o - >out/again.8vo
same out/tiny.8vo out/again.8vo
octavo run - --input in/x.npy -o out/y1.npy <in/tiny.8vo
octavo run in/tiny.8vo --input - -o - <in/x.npy >out/y2.npy
same out/y1.npy out/y2.npy

# ---- a threshold that fails: 1, and the figures are there all the same
rc=0
octavo eval in/tiny.8vo --data in/x.npy --against in/tiny.8vo --min-agreement 1 --json >ok.json || die "equal models disagree"
python3 -c 'import json; r = json.load(open("ok.json")); assert r["n"] == 6 and r["agreement"] == 1 and r["top1"] is None'
octavo eval in/tiny.8vo --data in/x.npy --against in/tiny.8vo --min-agreement 1.1 >stdout 2>stderr || rc=$?
[ "$rc" = 1 ] && [ -s stdout ] || die "a failed threshold gave $rc"
tests=$((tests + 2))

# ---- the same bytes: threads, folder, locale, umask
mkdir -p "far away/x" q
cp in/tiny.8vo in/x.npy "far away/x"
octavo quantize in/tiny.8vo --data in/x.npy --threads 1 --save-stats q/s.stats -o q/q.8vo
(cd "far away/x" && umask 077 && LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo "$OCTAVO" quantize ./tiny.8vo --data ./x.npy --threads 3 --save-stats s.stats -o q.8vo)
for f in q/*; do same "$f" "far away/x/$(basename "$f")"; done
octavo quantize in/tiny.8vo --stats q/s.stats -o from_stats.8vo
tests=$((tests + 1))
octavo quantize q/q.8vo --data in/none.npy -o again.8vo 2>stderr
grep -q "note: --data is ignored" stderr || die "data for a calibrated model are not said to be ignored"
grep -v '^weights' q/q.8vo >a
grep -v '^weights' from_stats.8vo >b
same a b

# ---- signals in the middle leave no temporaries, and whole files
i=0
while [ $i -lt 30 ]; do
    i=$((i + 1))
    "$OCTAVO" opt in/tiny.8vo --data in/x.npy --dump-after all --dump-dir out/dumps 2>/dev/null &
    pid=$!
    sleep 0.00$((i % 10))
    case $((i % 2)) in 0) kill -TERM $pid 2>/dev/null || : ;; *) kill -HUP $pid 2>/dev/null || : ;; esac
    wait $pid || :
    [ -z "$(find out -name '.octavo*')" ] || die "a signal left temporaries"
    for f in out/dumps/*.8vo; do
        [ ! -e "$f" ] || octavo check "$f" >/dev/null || die "a signal left a broken $f"
    done
done
tests=$((tests + 1))

# ---- help everywhere
for verb in $(octavo --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p'); do
    octavo "$verb" --help | grep -q "usage: octavo $verb" || die "no help for $verb"
    octavo help "$verb" | grep -q "usage: octavo $verb" || die "no help for $verb"
    tests=$((tests + 1))
done
octavo --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/octavo \1/p' >words
grep -o '"-[a-z0-9-]*"' "$OCTAVO_SOURCE/driver/options.def" | tr -d '"' >>words
[ "$(wc -l <words)" -gt 40 ] || die "the list of verbs and options is short"
while read -r word; do
    grep -q -e "$word" "$OCTAVO_SOURCE/docs/command.md" || die "docs/command.md does not mention '$word'"
    tests=$((tests + 1))
done <words
octavo --version | grep -q '^octavo [0-9]' || die "no version"
echo "cli: $tests checks"
[ "$tests" -ge 120 ] || die "only $tests checks ran"
