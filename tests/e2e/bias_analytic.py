#!/usr/bin/env python3
"""Analytic bias correction against numpy: what one corrected layer gives, less what it gives uncorrected, is -(W~ - W) E[x], with weights
rounded here and E[x] by the closed form from moments of the calibration data: behind relu, behind other bounds, without any, with the
zeros of padding, through averages. What is no Gaussian says so; the same bytes for any threads."""
import math, os, re, subprocess
import numpy as np

from common import octavo, out, heard
os.makedirs(out, exist_ok=True)
os.chdir(out)
rng = np.random.default_rng(3)
cdf = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))))
pdf = lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def clipped(beta, gamma, lo, hi):
    """E of a clipped Gaussian, from that of max(0, .): clip(x, lo, hi) = lo + max(0, x - lo) - max(0, x - hi)."""
    relu = lambda b: b * (1 - cdf(-b / gamma)) + gamma * pdf(-b / gamma)
    return beta if lo is None else lo + relu(beta - lo) - (0 if hi is None else relu(beta - hi))


def const(name, x):
    return f"const @{name} : f32[{','.join(map(str, x.shape))}] = ({', '.join(repr(float(v)) for v in x.ravel())})\n"


def conv(x, w, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return np.einsum("nchwij,ocij->nohw", np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3)), w)


x = rng.standard_normal((300, 3, 6, 6)).astype(np.float32)
np.save("cal.npy", x)
wa, ba = rng.standard_normal((5, 3, 1, 1)).astype(np.float32), np.linspace(-2, 3, 5).astype(np.float32)
pre = conv(x.astype(np.float64), wa.astype(np.float64), 0) + ba[:, None, None]
beta, gamma = pre.mean((0, 2, 3)), pre.std((0, 2, 3))
b3, b4 = np.float32(rng.standard_normal(4)), np.float32(rng.standard_normal(7))
wb, wd = rng.standard_normal((4, 5, 3, 3)).astype(np.float32), rng.standard_normal((7, 5)).astype(np.float32)


def corrected(clip, layer, between=""):
    """The corrected layer's results less the uncorrected ones, of each channel; they do not depend on the sample."""
    bound = {None: "", (0, None): " clip=(0.0,inf)"}.get(clip) if clip is None or clip[1] is None else f" clip=({clip[0]},{clip[1]})"
    open("net.8vo", "w").write("octavo 1\nmodel net\ninput x : f32[N,3,6,6]\n" + const("a.w", wa) + const("a.b", ba) + const("b.w", wb) + const("b.b", b3)
                               + const("d.w", wd) + const("d.b", b4) + f"a = conv2d(x, @a.w, @a.b){bound}\n" + between + layer + "output y\n")
    y = []
    for rule in ("analytic", "off"):
        open("rule.json", "w").write('{"default": {}, "rules": [{"name": "y", "rounding": "nearest", "bias_correction": "%s"}]}' % rule)
        said = heard("opt", "net.8vo", "--data", "cal.npy", "--config", "rule.json", "--stop-after", "repair_layers", "--explain", "-o", "q.8vo")
        t = open("q.8vo").read()  # the layer itself, not yet rounded to codes
        open("seen.8vo", "w").write(re.sub(r"^output .*", "output y", re.sub(r" after=\S+", "", t), flags=re.M))
        heard("run", "seen.8vo", "--input", "cal.npy", "-o", "y=y.npy")
        y.append(np.load("y.npy").astype(np.float64))
        if rule == "analytic":
            told = said
    d = y[0] - y[1]
    d = d.transpose(1, 0, 2, 3).reshape(4, -1) if d.ndim == 4 else d.T
    assert np.ptp(d, axis=1).max() < 1e-4, np.ptp(d, axis=1)
    return d.mean(1), told


def rounded(w):
    """Weights as codes, symmetric, by channel, less the weights."""
    s = np.abs(w.reshape(len(w), -1)).max(1) / np.float32(127)
    s = s.reshape((-1,) + (1,) * (w.ndim - 1))
    return (np.rint(w / s) * s).astype(np.float64) - w


UNIT = 1e-3  # biases are integers in units of about 1e-4
for clip in ((0, None), (-1.0, 2.0), None):
    e = clipped(beta, gamma, *(clip or (None, None)))
    d, said = corrected(clip, "y = conv2d(a, @b.w, @b.b) pad=1\n")
    mean = conv(np.broadcast_to(e[None, :, None, None], (1, 5, 6, 6)), rounded(wb), 1).mean((0, 2, 3))
    assert np.abs(d + mean).max() < UNIT and np.abs(mean).max() > 2 * UNIT, (clip, d, mean)
    assert "bias: y: means of its results were off by" in said and "for Gaussians" in said, said
    d, said = corrected(clip, "a.m = mean(a) axes=(2,3)\ny = dense(a.m, @d.w, @d.b)\n")
    assert np.abs(d + rounded(wd) @ e).max() < UNIT, (clip, d, rounded(wd) @ e)
d, said = corrected((0, None), "a.p = max_pool2d(a) kernel=2 stride=2\ny = conv2d(a.p, @b.w, @b.b)\n")
assert "bias: y: not corrected: what it reads is no linear op's result" in said and (d == 0).all(), said

# the word of --repair; the same bytes for any threads
heard("quantize", "net.8vo", "--data", "cal.npy", "--repair", "bias_analytic,gptq", "--threads", "1", "-o", "one.8vo")
heard("quantize", "net.8vo", "--data", "cal.npy", "--repair", "bias_analytic,gptq", "--threads", "3", "-o", "three.8vo")
same = lambda a, b: re.sub(r'"\w+\.safetensors"', "", open(a).read()) == re.sub(r'"\w+\.safetensors"', "", open(b).read())
assert same("one.8vo", "three.8vo")
print("bias_analytic: ok")
