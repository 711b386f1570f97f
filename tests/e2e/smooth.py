#!/usr/bin/env python3
"""SmoothQuant and bias absorption against numpy: weights and biases are the closed forms, computed here from the calibration data; in a
network of convolutions both sides of every link reach equally far afterwards, and it computes what it did; what --explain says of the
outputs is what they are; the same bytes from any number of threads, from compiled C and any dump; refusals with their reasons."""
import json, os, re, subprocess
import numpy as np

from common import octavo, out, heard
os.makedirs(out, exist_ok=True)
os.chdir(out)
rng = np.random.default_rng(7)


def text(name):
    return open(name, encoding="utf-8").read()


def const(name, x):
    return f"const @{name} : f32[{','.join(map(str, x.shape))}] = ({', '.join(repr(float(v)) for v in x.ravel())})\n"


def consts(name):
    """Constants of a dump by the name that they had at first; parameters as numpy arrays."""
    found = re.findall(r"^const @([\w.]+) : f32\[([\d,]+)\] = \((.*?)\)", text(name), re.M | re.S)
    first = lambda name: re.sub(r"\.(smoothed|absorbed)$", "", name)
    c = {first(n): np.array([float(v) for v in vs.split(",")]).reshape([int(d) for d in dims.split(",")]) for n, dims, vs in found}
    raw = open(name.replace(".8vo", ".safetensors"), "rb").read()
    n = int.from_bytes(raw[:8], "little")
    for key, t in json.loads(raw[8 : 8 + n]).items():
        if key != "__metadata__":
            c[first(key)] = np.frombuffer(raw[8 + n :][slice(*t["data_offsets"])], np.float32).reshape(t["shape"]).astype(np.float64)
    return c


def close(a, b, bound=1e-6):
    assert a.shape == b.shape and (np.abs(a - b) <= bound * np.abs(b) + 1e-30).all(), (a, b)


def value(model, *names):
    """What values of a dump hold for the calibration data: they become outputs of an edited model."""
    t = re.sub(r"^output .*\n", "", re.sub(r" after=\S+", "", text(model)), flags=re.M)
    open("seen.8vo", "w").write(t + "".join(f"output {n}\n" for n in names))
    heard("run", "seen.8vo", "--input", "cal.npy", *(a for n in names for a in ("-o", f"{n}={n}.npy")))
    return [np.load(f"{n}.npy").astype(np.float64) for n in names]


def db(real, y):
    return 10 * np.log10((real**2).sum() / ((real - y) ** 2).sum())


def f32(x):
    return x.astype(np.float32).astype(np.float64)


# ---- smooth: three dense layers by the formula, the last link first; channel 2 of a is always zero --------------------------------

spread = 10.0 ** np.array([0, 1, 0, -1, 0.5, 1.5, -0.5, 0])
wa, ba = f32(rng.standard_normal((8, 6)) * spread[:, None]), f32(rng.standard_normal(8) * spread)
wb, bb = f32(rng.standard_normal((5, 8)) / spread), f32(rng.standard_normal(5) + 9)
wc = f32(rng.standard_normal((3, 5)) * 10.0 ** np.array([0, -1, 0, 1, 2.0]))
ba[2] = -1000
x = f32(rng.standard_normal((200, 6)))
np.save("cal.npy", x.astype(np.float32))
NET = ("octavo 1\nmodel net\ninput x : f32[N,6]\n" + const("a.w", wa) + const("a.b", ba) + const("b.w", wb) + const("b.b", bb) + const("c.w", wc)
       + "a = dense(x, @a.w, @a.b)\na.r = relu(a)\nb = dense(a.r, @b.w, @b.b)\nb.r = relu(b)\nc = dense(b.r, @c.w)\noutput c\n")
open("net.8vo", "w").write(NET)
A = np.maximum(x @ wa.T + ba, 0)
B = np.maximum(A @ wb.T + bb, 0)
for alpha in (0.5, 0.75):
    sb = B.max(0) ** alpha / np.abs(wc).max(0) ** (1 - alpha)
    wb2 = wb / sb[:, None]
    live = A.max(0) > 0
    assert (live == (np.arange(8) != 2)).all()
    sa = np.ones(8)
    sa[live] = A.max(0)[live] ** alpha / np.abs(wb2).max(0)[live] ** (1 - alpha)
    sa[2] = np.exp(np.log(sa[live]).mean())
    open("rule.json", "w").write('{"default": {"smooth": "on", "smooth_alpha": %g, "granularity": "tensor"}, "rules": []}' % alpha)
    said = heard("opt", "net.8vo", "--data", "cal.npy", "--config", "rule.json", "--stop-after", "smooth", "--explain", "-o", "s.8vo")
    got = consts("s.8vo")
    for name, wanted in (("a.w", wa / sa[:, None]), ("a.b", ba / sa), ("b.w", wb2 * sa), ("b.b", bb / sb), ("c.w", wc * sb)):
        close(got[name], wanted, 2e-6)
    # what is said of the outputs is what the model gives, and a gain
    real, = value("net.8vo", "c")
    told = [float(v) for v in re.search(r"smooth: .* as quantized now: ([\d.]+) dB, were ([\d.]+)", said).groups()]
    for i, model in enumerate(("s.8vo", "net.8vo")):
        heard("opt", model, "--data", "cal.npy", "--granularity", "tensor", "--stop-after", "insert_qdq", "-o", "q.8vo")
        heard("run", "q.8vo", "--input", "cal.npy", "-o", "c=c.npy")
        assert abs(db(real[:64], np.load("c.npy")[:64]) - told[i]) < 0.06, (model, told)
    assert told[0] > told[1] + 3 and "a loss" not in said, told

# ---- absorb: c = max(0, mean - 3 deviations) of what is behind the relu ---------------------------------------------------------

ba = f32(np.array([8, 0, 40, -5, 3, 100, 0.5, 6]) * spread)
MODEL = (NET.replace(re.search(r"const @a\.b.*\n", NET)[0], const("a.b", ba)).replace(", @b.b)", ")").replace(re.search(r"const @b\.b.*\n", NET)[0], ""))
open("net.8vo", "w").write(MODEL)
A = np.maximum(x @ wa.T + ba, 0)
c = np.maximum(0, A.mean(0) - 3 * A.std(0))
assert 2 <= (c > 0).sum() <= 6
open("rule.json", "w").write('{"default": {}, "rules": [{"name": "a.r", "absorb_bias": "on"}]}')
said = heard("opt", "net.8vo", "--data", "cal.npy", "--config", "rule.json", "--stop-after", "absorb_bias", "--explain", "-o", "s.8vo")
got = consts("s.8vo")
scale = np.abs(A).max(0)
assert (np.abs(got["a.b"] - (ba - c)) < 1e-3 * scale).all(), (got["a.b"], ba - c)  # fixed point: 2^-16 of the largest magnitude
took = f32(ba) - got["a.b"]
close(got["b.w"] @ took + 1, wb @ c + 1, 1e-2)
close(got["b.w.b"], wb @ took, 1e-4)
assert re.search(r"absorb_bias: a\.r: 'b\.r' takes the bias of %d of 8 channels" % (c > 0).sum(), said), said
# the float model differs just by values below c, which come out as c
real, y = value("net.8vo", "c")[0], value("s.8vo", "c")[0]
mine = np.maximum(np.maximum(x @ wa.T + ba, took) @ wb.T, 0) @ wc.T
assert np.abs(y - mine).max() < 1e-5 * np.abs(mine).max()
told = float(re.search(r"outputs in float: ([\d.]+|inf) dB", said)[1])
assert told == np.inf or abs(told - db(real[:64], y[:64])) < 0.1 or told > 120

# ---- convolutions, a pool, flatten: both sides of each link; the same function, bytes, dumps -------------------------------------

x = rng.standard_normal((24, 3, 8, 8)).astype(np.float32)
np.save("cal.npy", x)
k = lambda n: 10.0 ** rng.uniform(-1, 1, n)
open("net.8vo", "w").write(
    "octavo 1\nmodel net\ninput x : f32[N,3,8,8]\n" + const("a.w", rng.standard_normal((6, 3, 3, 3)) * k((6, 1, 1, 1))) + const("a.b", rng.standard_normal(6))
    + const("b.w", rng.standard_normal((6, 1, 3, 3)) * k((6, 1, 1, 1))) + const("c.w", rng.standard_normal((4, 6, 1, 1)) * k((1, 6, 1, 1)))
    + const("c.b", rng.standard_normal(4)) + const("d.w", rng.standard_normal((5, 16))) + const("e.w", rng.standard_normal((3, 5)))
    + "a = conv2d(x, @a.w, @a.b) pad=1 clip=(0.0,inf)\nb = conv2d(a, @b.w) pad=1 groups=6\nb.l = leaky_relu(b) alpha=0.1\n"
    "c = conv2d(b.l, @c.w, @c.b) clip=(0.0,inf)\nc.p = max_pool2d(c) kernel=4 stride=4\nc.f = flatten(c.p)\nd = dense(c.f, @d.w)\n"
    "d.s = sigmoid(d)\ne = dense(d.s, @e.w)\noutput e\n")
said = heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "smooth", "--explain", "--stop-after", "smooth", "-o", "s.8vo")
for why in ("smooth: d: not smoothed for what reads it: sigmoid 'd.s'", "smooth: e: not smoothed for what reads it: 'e' is an output", "smooth: 3 links; "):
    assert why in said, (why, said)
w = consts("s.8vo")
a, bl, f, y = value("s.8vo", "a", "b.l", "c.f", "e")
close(np.abs(a).max((0, 2, 3)), np.abs(w["b.w"]).max((1, 2, 3)), 1e-5)
close(np.abs(bl).max((0, 2, 3)), np.abs(w["c.w"]).max((0, 2, 3)), 1e-5)
close(np.abs(f).reshape(24, 4, 4).max((0, 2)), np.abs(w["d.w"]).reshape(5, 4, 4).max((0, 2)), 1e-5)
real, = value("net.8vo", "e")
assert np.abs(y - real).max() < 1e-5 * np.abs(real).max()
said = heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "absorb", "--explain", "--stop-after", "absorb_bias", "-o", "s.8vo")
for why in ("absorb_bias: a: keeps its bias: zeros stand beside", "absorb_bias: b.l: keeps its bias: no relu", "absorb_bias: c: 'd' takes"):
    assert why in said or why.replace("b.l", "b") in said, (why, said)

same = lambda a, b: re.sub(r'"\w+\.safetensors"', "", text(a)) == re.sub(r'"\w+\.safetensors"', "", text(b))
REPAIRS = ["--repair", "cle,absorb,smooth,bias_analytic"]
heard("quantize", "net.8vo", "--data", "cal.npy", *REPAIRS, "--threads", "1", "-o", "one.8vo")
heard("quantize", "net.8vo", "--data", "cal.npy", *REPAIRS, "--threads", "3", "--dump-after", "all", "--dump-dir", "steps", "-o", "three.8vo")
assert same("one.8vo", "three.8vo")
heard("quantize", "net.8vo", "--data", "cal.npy", *REPAIRS, "--engine", "c", "-o", "c.8vo")
assert same("one.8vo", "c.8vo")
for dump in sorted(f for f in os.listdir("steps") if re.match(r"\d+_(equalize|absorb_bias|smooth|calibrate)\.8vo", f)):
    heard("quantize", f"steps/{dump}", "--data", "cal.npy", "-o", "again.8vo")
    assert same("again.8vo", "one.8vo"), dump

# statistics alone do not serve, and say so
heard("quantize", "net.8vo", "--data", "cal.npy", "--save-stats", "s.stats", "-o", "q.8vo")
for word, rule in (("smooth", "smooth"), ("absorb", "absorb_bias")):
    assert f"rule {rule} needs calibration data" in heard("quantize", "net.8vo", "--stats", "s.stats", "--repair", word, "-o", "q.8vo", expect=65)
print("smooth: ok")
