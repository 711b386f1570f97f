#!/usr/bin/env python3
"""Every observer against its definition, computed anew by numpy from the raw data: from the data themselves where the definition has
a closed form (within a bin of the state's grid), and from counts on that grid, made here, where it searches. Then the same for
a value of a trained network that ONNX Runtime computes. Order, threads, shards and repetition of the data do not matter; of a moving average
of shards octavo says that there is none."""
import re
from common import *

need_oracles(__file__)
import numpy as np

os.makedirs(os.path.join(out, "observers"), exist_ok=True)
os.chdir(os.path.join(out, "observers"))
t = Tally()
OBSERVERS = re.findall(r"^OBSERVER\((\w+),", open(os.path.join(source, "ir", "observers.def")).read(), re.M)
BINS = 2048


# ---- the state: counts on [-2^k, 2^k) in 8192 bins, and what follows from them

def grid(x):
    """Occupied bins as (lower edges, upper edges, counts); the outermost end at the extremes."""
    lo, hi = float(x.min()), float(x.max())
    k = max(int(np.floor(np.log2(abs(v)))) + 1 if v else -120 for v in (lo, hi))
    if lo == -2.0 ** (k - 1) and hi < 2.0 ** (k - 1):
        k -= 1
    width = 2.0 ** k / 4096
    bins, count = np.unique(np.floor(x.astype(np.float64).ravel() / width).astype(int), return_counts=True)
    a, b = bins * width, (bins + 1) * width
    a[0], b[-1] = max(a[0], lo), min(b[-1], hi)
    return a, b, count.astype(float), width


def magnitudes(x):
    return np.abs(x)


def spread(a, b, count, lo, hi):
    """The counts in 2048 equal bins of [lo, hi], uniform within each bin of the grid: by differences of the distribution function."""
    edges = np.linspace(lo, hi, BINS + 1)
    cdf = np.concatenate([[0], np.cumsum(count)])
    x, y = np.empty(2 * len(a)), np.empty(2 * len(a))
    x[0::2], x[1::2], y[0::2], y[1::2] = a, b, cdf[:-1], cdf[1:]
    inner = np.interp(edges, x, y)
    inner[0], inner[-1] = 0, cdf[-1]
    return np.diff(inner)


def refined(lo, hi, error, coarse, rounds):
    """Least error(lo a, hi c) of a grid, then of halved steps around the best; an end at 0 stays; ties keep the wider."""
    side = lambda end: [coarse] if end == 0 else range(coarse, 0, -1)
    best, a, c = np.inf, 1.0, 1.0
    for i in side(lo):
        for j in side(hi):
            e = error(lo * i / coarse, hi * j / coarse)
            if e < best:
                best, a, c = e, i / coarse, j / coarse
    step = 1 / coarse
    for _ in range(rounds):
        step /= 2
        a0, c0 = a, c
        for i in (1, 0, -1):
            for j in (1, 0, -1):
                p, q = a0 + i * step, c0 + j * step
                if (i or j) and 0 < p <= 1 and 0 < q <= 1 and not (lo == 0 and i) and not (hi == 0 and j):
                    e = error(lo * p, hi * q)
                    if e < best:
                        best, a, c = e, p, q
    return a, c


# ---- the definitions

def by_hist(x, sym, codes):
    a, b, count, _ = grid(x)
    lo, hi = min(float(x.min()), 0), max(float(x.max()), 0)
    h = spread(a, b, count, lo, hi)
    edge = lo + np.arange(BINS + 1) * ((hi - lo) / BINS)
    step = (hi - lo) / BINS

    def error(l, r):
        if sym:
            r = max(-l, r)
            l = -r
        w = (r - l) / codes
        u = (edge - l) / w
        cell = np.clip(np.floor(u), 0, codes - 1)
        f = w ** 3 * (cell / 12 + (u - cell - 0.5) ** 3 / 3)
        return float((h / step * np.diff(f)).sum())
    p, q = refined(lo, hi, error, 32, 6)
    return lo * p, hi * q


def by_hist_torch(x, sym, codes):
    """PyTorch's HistogramObserver._non_linear_param_search, as its documentation and source describe it."""
    a, b, count, _ = grid(x)
    low, high = float(x.min()), float(x.max())
    h = spread(a, b, count, low, high)
    cum = np.cumsum(h)
    total, src = cum[-1], np.arange(BINS, dtype=float)
    cells = 2 ** int(np.ceil(np.log2(codes)))

    def norm(begin, end):
        return (end ** 3 - begin ** 3) / 3

    def error(first, last):
        w = (last - first + 1) / cells
        s0 = src - first
        s1 = s0 + 1
        d0, d1 = np.clip(s0 // w, 0, cells - 1), np.clip(s1 // w, 0, cells - 1)
        e = norm(s0 - (d0 + 0.5) * w, w / 2) + (d1 - d0 - 1) * norm(-w / 2, w / 2) + norm(-w / 2, s1 - (d1 + 0.5) * w)
        return float((e * h).sum())
    alpha, beta, first, last, least = 0.0, 1.0, 0, BINS - 1, np.inf
    while alpha < beta:
        na, nb = alpha + 1e-5, beta - 1e-5
        l, r = first, last
        while l < last and cum[l] < na * total:
            l += 1
        while r > first and cum[r] > nb * total:
            r -= 1
        f, g = first, last
        if l - first > last - r:
            f, alpha = l, na
        else:
            g, beta = r, nb
        if (f, g) == (first, last):
            continue
        e = error(f, g)
        if e > least:
            break
        least, first, last = e, f, g
    w = (high - low) / BINS
    return low + w * first, low + w * (last + 1)


def by_entropy(x, sym, codes):
    y = magnitudes(x) if sym else x
    a, b, count, _ = grid(y)
    if sym:  # the grid is of x: a bin below zero counts with its mirror image
        k = grid(x)[3]
        a, b, count, _ = grid_of_magnitudes(x, k)
    lo, hi = (0.0 if sym else min(float(x.min()), 0)), max(float(y.max()), 0)
    share = spread(a, b, count, lo, hi) / count.sum()
    groups = codes // 2 if sym else codes
    width = (hi - lo) / BINS
    zero = min(int(-lo / width), BINS - 1)
    even = 1e-4 / BINS

    def window(l, r):
        return (zero - int(np.rint(l / lo * zero)) if lo < 0 else zero, zero + int(np.rint(r / hi * (BINS - 1 - zero))) if hi > 0 else zero)

    def error(l, r):
        f, g = window(l, r)
        n = g - f + 1
        if n < groups:
            return np.inf
        p = share[f:g + 1].copy()
        start = np.arange(groups + 1) * n // groups
        raw = share[f:g + 1]
        if not raw.sum() > 0:
            return np.inf
        p[0] += share[:f].sum()
        p[-1] += share[g + 1:].sum()
        mass = np.add.reduceat(raw, start[:-1])
        used = np.add.reduceat((p > 0).astype(float), start[:-1])
        q = np.repeat(np.where(used > 0, mass / raw.sum() / np.maximum(used, 1), 0), np.diff(start)) * (p > 0)
        P, Q = (p + even) / (1 + n * even), (q + even) / (1 + n * even)
        return float((P * np.log2(P / Q)).sum())
    p, q = refined(lo, hi, error, BINS if sym else 64, 0 if sym else 6)
    f, g = window(lo * p, hi * q)
    top = lo + (g + 1) * width
    return (-top if sym else lo + f * width), top


def grid_of_magnitudes(x, width):
    j = np.floor(x.astype(np.float64).ravel() / width).astype(int)
    bins, count = np.unique(np.where(j < 0, -1 - j, j), return_counts=True)
    a, b = bins * width, (bins + 1) * width
    a, b = a.astype(float), b.astype(float)
    top = float(np.abs(x).max())
    a[0], b[-1] = max(a[0], x.min() if x.min() > 0 else -x.max() if x.max() < 0 else 0), min(b[-1], top)
    return a, b, count.astype(float), width


def moments(x):
    a, b, count, _ = grid(x)
    n = count.sum()
    mean = float((count * (a + b) / 2).sum() / n)
    var = float((count * (((a + b) / 2 - mean) ** 2 + (b - a) ** 2 / 12)).sum() / n)
    w = np.where((a < mean) & (b > mean), ((a - mean) ** 2 + (b - mean) ** 2) / np.maximum(2 * (b - a), 1e-300), abs(a + b - 2 * mean) / 2)
    return mean, var ** 0.5, float((count * w).sum() / n)


def around(x, sym, mean, reach):
    lo, hi = (-abs(mean) - reach, abs(mean) + reach) if sym else (mean - reach, mean + reach)
    return max(lo, float(x.min())), min(hi, float(x.max()))


def by_std(x, sym, codes, n=5):
    m, s, _ = moments(x)
    return around(x, sym, m, n * s)


# alpha of NUMERICS 4 for 2 to 8 bits; nine: the minimum of the expected error, found here.
ALPHA = {"laplace": {7: 8.64, 8: 9.89}, "gauss": {7: 3.61, 8: 3.92}}


def nine_bits(kind):
    from math import erfc, exp, pi, sqrt
    grid_ = np.arange(3, 13, 0.001)
    levels = 3 * 4.0 ** 9
    e = [2 * exp(-g) + g * g / levels if kind == "laplace" else
         (1 + g * g) * erfc(g / sqrt(2)) - sqrt(2 / pi) * g * exp(-g * g / 2) + g * g / levels for g in grid_]
    return round(float(grid_[int(np.argmin(e))]), 2)


for kind in ALPHA:
    ALPHA[kind][9] = nine_bits(kind)


def by_aciq(x, sym, codes, which=0):
    m, s, b = moments(x)
    bits = int(np.ceil(np.log2(codes))) + (not sym and (x.min() >= 0 or x.max() <= 0))
    laplace = -np.log(2 * b) - 1 > -0.5 * np.log(2 * np.pi * s * s) - 0.5  # log likelihood a value, each fitted
    if which:
        laplace = which == 1
    return around(x, sym, m, ALPHA["laplace"][bits] * b if laplace else ALPHA["gauss"][bits] * s)


def by_percentile(x, sym, codes, p=float(np.float32(99.999))):
    def quantile(a, b, count, below):
        cdf = np.cumsum(count)
        i = int(np.searchsorted(cdf, below))
        return a[i] + (b[i] - a[i]) * (below - (cdf[i] - count[i])) / count[i]
    if sym:
        a, b, count, _ = grid_of_magnitudes(x, grid(x)[3])
        m = quantile(a, b, count, count.sum() * p / 100)
        return -m, m
    a, b, count, _ = grid(x)
    tail = count.sum() * (100 - p) / 200
    return quantile(a, b, count, tail), quantile(a, b, count, count.sum() - tail)


def by_moving(x, sym, codes, c=float(np.float32(0.01))):
    lo, hi = x.reshape(len(x), -1).min(1).astype(float), x.reshape(len(x), -1).max(1).astype(float)
    a, b = lo[0], hi[0]
    for l, h in zip(lo[1:], hi[1:]):
        a += c * (l - a)
        b += c * (h - b)
    return a, b


def by_averaged(x, sym, codes):
    from math import fsum
    flat = x.reshape(len(x), -1)
    return fsum(flat.min(1).astype(float)) / len(x), fsum(flat.max(1).astype(float)) / len(x)


def by_minmax(x, sym, codes):
    return float(x.min()), float(x.max())


def by_mse(x, sym, codes):
    """No closed form: the best of an exhaustive search on the raw data; judged by the error, see below."""
    return None


EXPECT = {n: globals()["by_" + n] for n in OBSERVERS}  # a row without a definition here fails


def raw_error(x, lo, hi, sym, qmin, qmax):
    x = x.astype(np.float64).ravel()
    lo, hi = min(lo, 0), max(hi, 0)
    if sym:
        s, z = np.float32(max(-lo, hi) / ((qmax - qmin - 1) / 2)), 0  # the lowest code is spare, but there
    else:
        s = np.float32((hi - lo) / (qmax - qmin))
        z = np.clip(qmin - np.rint(lo / float(s)), qmin, qmax)
    q = np.clip(np.rint(x / float(s)) + z, qmin, qmax)
    return float(((x - float(s) * (q - z)) ** 2).sum())


# ---- octavo's ranges: a model that observes copies of its input, each by another observer

VARIANTS = [(o, scheme, "i8", reduced, 0) for o in OBSERVERS for scheme in ("asym", "sym") for reduced in (False, True)]
VARIANTS += [("percentile", "asym", "u8", False, 99.5), ("std", "sym", "i8", False, 3), ("moving", "asym", "i8", False, 0.25),
             ("aciq", "asym", "i8", False, 1), ("aciq", "asym", "i8", False, 2)]


def text(shape, batch="N"):
    lines = ["octavo 1", "model m", f"input x : f32[{','.join([batch, *map(str, shape)])}]"]
    for i, (o, scheme, to, reduced, param) in enumerate(VARIANTS):
        lines += [f"v{i} = mul(x, 1.0)", f"o{i} = observe(v{i}) observer=\"{o}\" to={to} scheme={scheme}" + (" reduced" if reduced else "") + (f" param={param}" if param else ""),
                  f"output o{i}"]
    return "\n".join(lines) + "\n"


def ranges(x, *options, batch="N", data=True):
    np.save("x.npy", x)
    open("m.8vo", "w").write(text(x.shape[1:], batch))
    run("opt", "m.8vo", "--passes", "calibrate", *(["--data", "x.npy"] if data else []), *options, "-o", "r.8vo")
    found = re.findall(r"observe\(v(\d+)\).* range=\(([^,]+),([^)]+)\)", open("r.8vo").read())
    return {int(i): (float(a), float(b)) for i, a, b in found}


def check(name, x):
    found = ranges(x)
    width = grid(x)[3]
    for i, (o, scheme, to, reduced, param) in enumerate(VARIANTS):
        sym, codes = scheme == "sym", 128 if reduced else 256
        label = f"{name}: {o} {scheme}{' reduced' if reduced else ''}{f' {param}' if param else ''}"
        got = found[i]
        if o == "mse":
            qmin, qmax = (-64, 63) if reduced else (-128, 127)
            lo, hi = min(float(x.min()), 0), max(float(x.max()), 0)
            some = np.linspace(0.15, 1, 18)
            best = min(raw_error(x, lo * p, hi * q, sym, qmin, qmax) for p in (some if lo else [1]) for q in (some if hi else [1]))
            e = raw_error(x, *got, sym, qmin, qmax)
            t.check(e <= 1.02 * best, f"{label} {got}: error {e:.6g}, exhaustive {best:.6g}")
            continue
        want = EXPECT[o](x, sym, codes, float(np.float32(param))) if param else EXPECT[o](x, sym, codes)
        near = all(abs(g - w) <= 2e-6 * max(abs(want[0]), abs(want[1])) for g, w in zip(got, want))
        t.check(near, f"{label}: {got}, numpy {want}")
    # closed forms on the data themselves: within the grid's resolution
    flat = x.astype(np.float64).ravel()
    by = {(o, s, r, p): found[i] for i, (o, s, _, r, p) in enumerate(VARIANTS)}
    lo, hi = by["std", "sym", False, 3]
    reach = abs(flat.mean()) + 3 * flat.std()
    t.check(abs(hi - min(reach, flat.max())) <= 5 * width, f"{name}: std of the data: {hi}, {reach}")
    lo, hi = by["percentile", "asym", False, 99.5]
    for q, g in ((0.0025, lo), (0.9975, hi)):
        v = np.sort(flat)[[max(int(q * flat.size) - 1, 0), min(int(q * flat.size) + 1, flat.size - 1)]]
        t.check(v[0] - width <= g <= v[1] + width, f"{name}: percentile of the data: {g} in {v}")


rng = np.random.default_rng(11)
normal = rng.standard_normal((40, 3, 100)).astype(np.float32)
normal[3, 1, 7] = 9.5
sets = {"normal, an outlier": normal, "half of a Laplace": np.maximum(rng.laplace(size=(50, 400)), 0).astype(np.float32),
        "skewed": (rng.gamma(2, 1.5, (30, 2, 150)) - 1.25).astype(np.float32), "below zero": -rng.random((20, 64)).astype(np.float32) - 0.5}
for name, x in sets.items():
    check(name, x)

# ---- order, threads, shards, repetition
x = sets["skewed"]
ordered = {i for i, v in enumerate(VARIANTS) if v[0] == "moving"}
base = ranges(x, "--save-stats", "whole.stats")
for threads in 1, 2, 3:
    t.check(ranges(x, "--threads", threads) == base, f"{threads} threads")
shuffled = ranges(x[rng.permutation(len(x))])
t.check(all(shuffled[i] == base[i] for i in base if i not in ordered), "another order of the samples gives the same ranges")
t.check(any(shuffled[i] != base[i] for i in ordered), "but for a moving average")
twice = ranges(np.concatenate([x, x]))
t.check(all(twice[i] == base[i] for i in base if i not in ordered), "the data twice give the same ranges")
by_batch = ranges(x, batch="5")
per_batch = {i for i, v in enumerate(VARIANTS) if v[0] in ("moving", "averaged")}
t.check(all(by_batch[i] == base[i] for i in base if i not in per_batch), "batches of 5 give the same ranges")
five = x.reshape(6, 5, -1)
t.check(all(np.allclose(by_batch[i], EXPECT[v[0]](five, False, 256, *([float(np.float32(v[4]))] if v[4] else [])), rtol=2e-6) for i, v in enumerate(VARIANTS) if i in per_batch),
        "moving and averaged take batches of 5")

kept = [v for v in VARIANTS if v[0] != "moving"]
VARIANTS_ALL, VARIANTS = VARIANTS, kept
ranges(x, "--save-stats", "whole.stats")
one_run = open("r.8vo").read()
for i, part in enumerate((x[:7], x[7:20], x[20:])):
    ranges(part, "--save-stats", f"{i}.stats")
run("stats", "merge", "2.stats", "0.stats", "1.stats", "-o", "merged.stats")
t.check(open("merged.stats").read() == open("whole.stats").read(), "three shards, merged in another order, are the state of one run")
ranges(x, "--stats", "merged.stats", data=False)
t.check(open("r.8vo").read() == one_run, "and give the same model")
VARIANTS = [v for v in VARIANTS_ALL if v[0] == "moving"][:1]
ranges(x[:7], "--save-stats", "0.stats")
ranges(x[7:], "--save-stats", "1.stats")
run("stats", "merge", "0.stats", "1.stats", "-o", "merged.stats")
p = subprocess.run([octavo, "opt", "m.8vo", "--passes", "calibrate", "--stats", "merged.stats", "-o", "r.8vo"], capture_output=True, text=True)
t.check(p.returncode == 65 and "several runs" in p.stderr, f"a moving average of shards is refused: {p.stderr}")
ranges(x, "--save-stats", "0.stats")
lone = open("r.8vo").read()
ranges(x, "--stats", "0.stats", data=False)
t.check(open("r.8vo").read() == lone, "a moving average of one run survives its file")

# ---- words, numbers and mistakes
open("q.8vo", "w").write("octavo 1\nmodel q\nrule any act_observer=percentile act_param=99.5\ninput x : f32[N,2,150]\nw = tanh(x)\ny = sigmoid(w)\noutput y\n")
np.save("x.npy", x)
run("opt", "q.8vo", "--stop-after", "insert_observers", "-o", "d.8vo")
t.check(open("d.8vo").read().count('observer="percentile" param=99.5') == 3, "a rule's number stands in the dump")
json.dump({"default": {"act_observer": "hist-torch"}, "rules": [{"name": "y", "act_observer": "std", "act_param": 2.5}]}, open("c.json", "w"))
run("opt", "q.8vo", "--config", "c.json", "--stop-after", "insert_observers", "-o", "d.8vo")
d = open("d.8vo").read()
t.check('observer="std" param=2.5' in d and 'observer="hist_torch"' in d, f"the same by JSON: {d}")
run("quantize", "q.8vo", "--observer", "hist-torch", "--data", "x.npy", "-o", "d.8vo")
for args, code in ((["--observer", "nope"], 64), (["--act-param", "-1"], 64), (["--observer", "percentile", "--act-param", "3"], 65)):
    run("quantize", "q.8vo", "--data", "x.npy", *args, "-o", "bad.8vo", expect=code)
    t.check(not os.path.exists("bad.8vo"), f"{args} is refused")

# ---- observers of weights: of the weights of each scale themselves
w = (rng.standard_normal((4, 600)) * [[1], [0.2], [3], [0.01]]).astype(np.float32)
w[0, 5], w[2, 9] = 8, -30
for i, v in enumerate(w[3]):
    w[3, i] = abs(v)
open("w.8vo", "w").write("octavo 1\nmodel w\ninput x : f32[N,600]\nconst @w : f32[4,600] = (" + ", ".join(repr(float(v)) for v in w.ravel()) + ")\ny = dense(x, @w)\noutput y\n")
np.save("x.npy", rng.standard_normal((8, 600)).astype(np.float32))


def weight_range(o, c):
    c = c.astype(np.float64)
    a = np.sort(np.abs(c))
    if o == "percentile":
        return a[int(np.ceil(c.size * float(np.float32(99.5)) / 100)) - 1]
    if o == "std":
        return min(abs(c.mean()) + 2.5 * c.std(), a[-1])
    b, s = np.abs(c - c.mean()).mean(), c.std()
    reach = 9.89 * b if np.log(2 * b) + 1 < 0.5 * np.log(2 * np.pi * s * s) + 0.5 else 3.92 * s
    return min(abs(c.mean()) + reach, a[-1])


for o, param in (("percentile", 99.5), ("std", 2.5), ("aciq", 0)):
    json.dump({"default": {"weight_observer": o, "weight_param": param}}, open("c.json", "w"))
    run("opt", "w.8vo", "--data", "x.npy", "--config", "c.json", "--stop-after", "insert_qdq", "-o", "d.8vo")
    got = [float(v) for v in re.search(r"i8\[4,600\] scale\[0\]=\(([^)]*)\)", open("d.8vo").read())[1].split(",")]
    want = [weight_range(o, c) / 127 for c in w]
    t.check(np.allclose(got, want, rtol=1e-5), f"weights by {o}: {got}, numpy {want}")

# ---- a value of a trained network, as ONNX Runtime computes it
if os.path.isdir(os.path.join(shared, "models")):
    import onnx
    import onnxruntime as ort
    net = onnx.load(model("ic_resnet8"))
    relu = next(n for n in net.graph.node if n.op_type == "Relu").output[0]
    net.graph.output.append(onnx.helper.make_tensor_value_info(relu, onnx.TensorProto.FLOAT, None))
    x = np.load(data("ic_cal_f32"))[:60]
    y = ort.InferenceSession(net.SerializeToString(), providers=["CPUExecutionProvider"]).run([relu], {net.graph.input[0].name: x})[0]
    np.save("ic.npy", x)
    width = grid(y)[3]
    run("import", model("ic_resnet8"), "-o", "ic.8vo")
    for o in OBSERVERS:
        run("opt", "ic.8vo", "--data", "ic.npy", "--observer", o, "--stop-after", "calibrate", "-o", "r.8vo")
        found = re.findall(r"= observe\((\w+)\).* range=\(([^,]+),([^)]+)\)", open("r.8vo").read())
        got = tuple(map(float, found[1][1:]))
        if o == "mse":
            best = min(raw_error(y, 0, float(y.max()) * q, False, -128, 127) for q in np.linspace(0.3, 1, 29))
            e = raw_error(y, *got, False, -128, 127)
            t.check(e <= 1.01 * best, f"ic: mse: error {e:.6g}, exhaustive {best:.6g}")
            continue
        want = EXPECT[o](y, False, 256)
        t.check(all(abs(g - w) <= 2 * width for g, w in zip(got, want)), f"ic, {found[1][0]}: {o}: {got}, numpy {want}")
t.close()
