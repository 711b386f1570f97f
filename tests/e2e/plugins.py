#!/usr/bin/env python3
"""The plugins of examples/plugin, built and used: the range and the codes are those that their definition gives, computed here; the
observer's name works in rules and stands in dumps, and a dump with its ranges compiles without it. Then plugins that are wrong
in each way that docs/plugins.md names."""
import math, random, re, struct
from common import *

d = folder("plugins")
os.chdir(d)
t = Tally()
cc = os.environ.get("CC", "cc")


def build(name, text=None):
    path = os.path.join(source, "examples", "plugin", name + ".c")
    if text:
        path = name + ".c"
        open(path, "w").write('#include "octavo_plugin.h"\n' + text)
    subprocess.run([cc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(source, "runtime"), path, "-o", name + ".so", "-lm"], check=True)
    return "./" + name + ".so"


def npy(path, rows):
    shape = (len(rows), len(rows[0]))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode())
        for r in rows:
            f.write(struct.pack(f"<{len(r)}f", *r))


def fails(args, code, says, what):
    p = subprocess.run([octavo, *args], capture_output=True, text=True)
    t.check(p.returncode == code and says in p.stderr and not os.path.exists("bad.8vo"), f"{what}: exit {p.returncode}, {p.stderr[-300:]}")


rng = random.Random(3)
f32 = lambda v: struct.unpack("<f", struct.pack("<f", v))[0]
x = [[f32(rng.gauss(0, 1)) for _ in range(8)] for _ in range(200)]
x[5][2] = 40.0
npy("x.npy", x)
weights = [[f32(rng.uniform(-1, 1)) for _ in range(8)] for _ in range(3)]
open("m.8vo", "w").write("octavo 1\nmodel m\ninput x : f32[N,8]\nconst @w : f32[3,8] = ("
                         + ", ".join(repr(v) for r in weights for v in r) + ")\ny = dense(x, @w)\noutput y\n")
use = ["m.8vo", "--data", "x.npy"]

# ---- the observer
trimmed = build("trimmed")
run("opt", *use, "--observer-plugin", trimmed, "--observer", "trimmed", "--stop-after", "calibrate", "-o", "cal.8vo")
text = open("cal.8vo").read()
found = re.search(r'observe\(x\) observer="trimmed".* range=\(([^,]+),([^)]+)\)', text)
width = 2.0 ** 6 / 4096  # the grid holds 40 in [-64, 64)
flat = sorted(v for r in x for v in r)


def trim(values, spare):
    """The edge, on the side of the first value, of the bin that makes up `spare` values or more."""
    out, k = 0, 0
    while True:
        b = math.floor(values[k] / width)
        n = sum(math.floor(v / width) == b for v in values)
        if out + n >= spare:
            return b
        out, k = out + n, k + n


lo, hi = (float(v) for v in found.groups())
t.check(lo == max(trim(flat, 3) * width, flat[0]) and hi == (trim(flat[::-1], 3) + 1) * width and hi < 40, f"trimmed: [{lo}, {hi}]")
t.check('rule any act_observer=trimmed' in text and 'observe(y) observer="trimmed"' in text, "rules and dumps carry the plugin's name")
run("quantize", "cal.8vo", "-o", "q.8vo")
run("quantize", *use, "--observer-plugin", trimmed, "--observer", "trimmed", "-o", "q2.8vo")
same = lambda a, b: re.sub(r"weights .*", "", open(a).read()) == re.sub(r"weights .*", "", open(b).read())
t.check(same("q.8vo", "q2.8vo"), "a dump with its ranges compiles on without the plugin, to the same model")
json.dump({"rules": [{"op": "dense", "act_observer": "trimmed", "act_param": 20}]}, open("c.json", "w"))
run("opt", *use, "--observer-plugin", trimmed, "--config", "c.json", "--stop-after", "calibrate", "-o", "cal.8vo")
t.check('observe(y) observer="trimmed" param=2e+01' in open("cal.8vo").read(), "a rule names it, with its number")
fails(["quantize", *use, "--config", "c.json", "-o", "bad.8vo"], 65, "no observer is called 'trimmed'", "the rule without the plugin")
fails(["quantize", *use, "--observer", "trimmed", "-o", "bad.8vo"], 64, "--observer wants", "the option without the plugin")

# ---- the rounding
carried = build("carried")
run("opt", *use, "--rounding-plugin", carried, "--stop-after", "insert_qdq", "-o", "r.8vo")
scales = [max(abs(v) for v in r) / 127 for r in weights]
expect = []
for r in weights:
    s = f32(f32(max(abs(v) for v in r)) / 127.0)
    carry = 0.0
    for v in r:
        want = v / s + carry
        got = min(max(round(want), -127), 127)
        carry = want - got
        expect.append(got)
raw = open("r.safetensors", "rb").read()
start = 8 + struct.unpack("<Q", raw[:8])[0]
a, b = json.loads(raw[8:start])["w.q"]["data_offsets"]
codes = list(struct.unpack(f"{b - a}b", raw[start + a:start + b]))
t.check(codes == expect, f"carried: {codes}, {expect}")
t.check(codes != [round(v / s) for r, s in zip(weights, scales) for v in r], "which are not the nearest")
run("quantize", *use, "--rounding-plugin", carried, "-o", "q.8vo")
t.check(run("run", "q.8vo", "--input", "x.npy", "-o", "y.npy") is not None, "the model runs without it")

# ---- wrong ones
OBSERVER = """int octavo_observer_abi(void) { return ABI; }
const char *octavo_observer_name(void) { return NAME; }
unsigned octavo_observer_needs(void) { return NEEDS; }
int octavo_observer_range(const struct octavo_observed *v, double r[2]) { (void)v, (void)r; BODY }
"""
ROUNDING = """int octavo_rounding_abi(void) { return ABI; }
const char *octavo_rounding_name(void) { return "mine"; }
unsigned octavo_rounding_needs(void) { return NEEDS; }
int octavo_rounding_round(const struct octavo_weights *w, int32_t *c) { (void)w, (void)c; BODY }
"""


def form(text, abi="OCTAVO_PLUGIN_ABI", name='"mine"', needs="0", body="return 0;"):
    return text.replace("ABI;", abi + ";").replace("NAME", name).replace("NEEDS;", needs + ";").replace("BODY", body)


ALL = "for (int64_t i = 0; i < w->outs * w->per; i++) c[i] = "
# name, kind, source, exit code, what the message says
wrong = [
    ("abi", "observer", form(OBSERVER, abi="OCTAVO_PLUGIN_ABI + 1"), 65, "made for ABI 2"),
    ("needs", "observer", form(OBSERVER, needs="64"), 65, "bits 0x40"),
    ("taken", "observer", form(OBSERVER, name='"mse"'), 65, "there is one already"),
    ("unnamed", "observer", form(OBSERVER, name='"a b"'), 65, "no name that a rule can say"),
    ("missing", "observer", form(OBSERVER).replace("octavo_observer_range", "octavo_observer_rang"), 65, "lacks the function octavo_observer_range"),
    ("nan", "observer", form(OBSERVER, body="r[0] = 0; r[1] = 0.0 / (double)(v->total - v->total); return 0;"), 65, "returned [0, "),
    ("unset", "observer", form(OBSERVER), 65, "returned [nan, nan]"),
    ("inverted", "observer", form(OBSERVER, body="r[0] = 1; r[1] = -1; return 0;"), 65, "returned [1, -1]"),
    ("huge", "observer", form(OBSERVER, body="r[0] = -1e300; r[1] = 1; return 0;"), 65, "returned [-1e+300, 1]"),
    ("gives_up", "observer", form(OBSERVER, body="return 7;"), 65, "returned 7"),
    ("round_abi", "rounding", form(ROUNDING, abi="0"), 65, "made for ABI 0"),
    ("round_missing", "rounding", form(ROUNDING).replace("octavo_rounding_needs", "octavo_rounding_need"), 65, "lacks the function octavo_rounding_needs"),
    ("round_needs", "rounding", form(ROUNDING, needs="6"), 65, "bits 0x6"),
    ("round_out", "rounding", form(ROUNDING, body=ALL + "i == 4 ? w->qmax + 1 : 0; return 0;"), 65, "gives weight 4 of 'y' the code 128"),
    ("round_unset", "rounding", form(ROUNDING), 65, "gives weight 0 of 'y'"),
    ("round_gives_up", "rounding", form(ROUNDING, body="return -3;"), 65, "returned -3"),
]
for name, kind, text, code, says in wrong:
    so = build(name, text)
    fails(["quantize", *use, f"--{kind}-plugin", so, *(["--observer", "mine"] if kind == "observer" else []), "-o", "bad.8vo"], code, says, name)
fails(["quantize", *use, "--observer-plugin", "./nothing.so", "-o", "bad.8vo"], 66, "cannot read plugin", "no file")
fails(["quantize", *use, "--observer-plugin", "x.npy", "-o", "bad.8vo"], 65, "does not load", "no shared object")

# ---- needs, and rounding that leaves it to octavo
magnitudes = build("magnitudes", form(OBSERVER, needs="OCTAVO_NEEDS_MAGNITUDES | OCTAVO_NEEDS_BATCHES", body="r[0] = v->min; r[1] = v->high_mean; return 0;"))
run("opt", *use, "--observer-plugin", magnitudes, "--observer", "mine", "--stop-after", "calibrate", "-o", "cal.8vo")
lo, hi = (float(v) for v in re.search(r'observe\(x\) observer="mine".* range=\(([^,]+),([^)]+)\)', open("cal.8vo").read()).groups())
t.check(0 <= lo < width and abs(hi - math.fsum(max(r) for r in x) / len(x)) < 1e-5, f"magnitudes and means of batches: [{lo}, {hi}]")
run("quantize", *use, "-o", "q.8vo")
run("quantize", *use, "--rounding-plugin", build("leaves", form(ROUNDING, body="return 1;")), "-o", "q2.8vo")
t.check(same("q.8vo", "q2.8vo"), "1 leaves the weights to octavo")
t.close()
