#!/usr/bin/env python3
"""Repairs on a small network of three convolutions and a dense layer, against numpy: bias correction leaves no mean error in any layer on
the calibration data (but for what int32 does to biases); rounded weights lie beside the float ones, and bring results nearer than the nearest codes do; the same bytes from
any number of threads and from every dump compiled on; what needs data says so; --repair refuses what it does not know."""
import os, re, subprocess, sys
import numpy as np

from common import octavo, out, heard
os.makedirs(out, exist_ok=True)
os.chdir(out)
rng = np.random.default_rng(1)


def text(name):
    return open(name, encoding="utf-8").read()


MODEL = """octavo 1
model net
input x : f32[N,3,10,10]
const @a.w : f32[12,3,3,3] = random seed=1
const @a.b : f32[12] = random seed=2 within=(-0.5,0.5)
const @b.w : f32[12,1,3,3] = random seed=3
const @c.w : f32[8,12,1,1] = random seed=4
const @c.b : f32[8] = random seed=5
const @d.w : f32[5,8] = random seed=6
a = conv2d(x, @a.w, @a.b) pad=1 clip=(0.0,inf)
b = conv2d(a, @b.w) pad=1 stride=2 groups=12
b.l = leaky_relu(b) alpha=0.1
c = conv2d(b.l, @c.w, @c.b) clip=(0.0,inf)
c.p = max_pool2d(c) kernel=5 stride=5
f = flatten(c.p)
d = dense(f, @d.w)
output d
"""
open("net.8vo", "w").write(MODEL)
x = (np.clip(np.rint(16 * rng.standard_normal((40, 3, 10, 10)) + 8), -127, 128) / 16).astype(np.float32)
x.flat[:2] = -127 / 16, 128 / 16  # so that minmax quantizes the input without an error
np.save("cal.npy", x)


def unclipped(name):
    """A dump's values before activation as outputs: an edited model, run on the calibration data."""
    t = re.sub(r"^([ac])((?: : \S+)? = .*?) clip=\(0\.0,inf\)", r"\1.raw\2\n\1 = relu(\1.raw)", text(name), flags=re.M)
    raw = ["a.raw", "b", "c.raw", "d"]
    t = re.sub(r"^output .*\n", "", t, flags=re.M) + "".join(f"output {v}\n" for v in raw)
    t = re.sub(r" after=\S+", "", t)
    open("raw.8vo", "w").write(t)
    heard("run", "raw.8vo", "--input", "cal.npy", *(a for v in raw for a in ("-o", f"{v}={v}.npy")))
    return [np.load(f"{v}.npy").astype(np.float64) for v in raw]


def means(y):
    return y.mean(axis=(0, 2, 3) if y.ndim == 4 else 0)


real = unclipped("net.8vo")
for bits in ("bias", "bias,adaround", "gptq,bias", "cle,bias"):
    said = heard("opt", "net.8vo", "--data", "cal.npy", "--repair", bits, "--stop-after", "repair_layers", "--explain", "-o", "q.8vo")
    assert said.count("bias: ") >= 4, said
    if "cle" in bits:
        heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "cle", "--stop-after", "equalize", "-o", "level.8vo")
        wanted = unclipped("level.8vo")
        assert np.abs(wanted[3] - real[3]).max() < 1e-4 * np.abs(real[3]).max()
    else:
        wanted = real
    heard("opt", "net.8vo", "--data", "cal.npy", "--stop-after", "elim_qdq", "-o", "plain.8vo")
    for was, y in zip(wanted, unclipped("q.8vo")):
        off = np.abs(means(y) - means(was)).max()
        assert off < 1e-4 * np.abs(was).max(), (bits, off, np.abs(was).max())

# without correction there is a mean error to correct: the check above can fail
heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "adaround", "--stop-after", "repair_layers", "-o", "q.8vo")
off = max(np.abs(means(y) - means(was)).max() / np.abs(was).max() for was, y in zip(real, unclipped("q.8vo")))
assert off > 2e-4, off

# rounding: nearer results, by the tool's own figures and by numpy's on the first layer, whose input has no other errors
said = heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "adaround", "--explain", "--stop-after", "repair_layers", "-o", "q.8vo")
gains = re.findall(r"adaround: \w+: results of its rounded weights: ([\d.]+) dB, were ([\d.]+)", said)
assert len(gains) == 4 and all(float(a) >= float(b) for a, b in gains), said
errors = {}
for how in ("adaround", "gptq", "nearest"):
    open("rule.json", "w").write('{"default": {"act_observer": "minmax"}, "rules": [{"op": "conv2d", "rounding": "%s", "bias_correction": "empirical"}]}' % how)
    heard("opt", "net.8vo", "--data", "cal.npy", "--config", "rule.json", "--stop-after", "repair_layers", "-o", "q.8vo")
    y = unclipped("q.8vo")[0] - real[0]
    errors[how] = ((y - means(y)[None, :, None, None]) ** 2).mean()
assert errors["adaround"] < errors["nearest"] and errors["gptq"] < errors["nearest"], errors

# the same bytes however they come about
REPAIRS = ["--repair", "cle,bias,adaround"]
heard("quantize", "net.8vo", "--data", "cal.npy", *REPAIRS, "--threads", "1", "-o", "one.8vo")
heard("quantize", "net.8vo", "--data", "cal.npy", *REPAIRS, "--threads", "3", "--dump-after", "all", "--dump-dir", "steps", "-o", "three.8vo")
same = lambda a, b: re.sub(r'"\w+\.safetensors"', "", text(a)) == re.sub(r'"\w+\.safetensors"', "", text(b))
assert same("one.8vo", "three.8vo")
for dump in sorted(f for f in os.listdir("steps") if f.endswith(".8vo")):
    said = heard("quantize", f"steps/{dump}", "--data", "cal.npy", "-o", "again.8vo")
    assert same("again.8vo", "one.8vo"), dump
    if re.match(r"\d+_(insert_qdq|calibrate)", dump): # ranges are known, but codes are not chosen yet
        assert "calibration data" in heard("opt", f"steps/{dump}", "-o", "again.8vo", expect=65)

assert "did you mean 'adaround'" in heard("quantize", "net.8vo", "--data", "cal.npy", "--repair", "cle,adarond", "-o", "q.8vo", expect=64)
said = heard("opt", "net.8vo", "--data", "cal.npy", "--repair", "adaround", "--saturation", "pair", "--explain", "-o", "q.8vo")
assert "adaround: a: weights take the nearest codes: rule saturation" in said, said
print("repairs: ok")
