#!/usr/bin/env python3
"""Shapes of data and results: N, a fixed batch, no batch, inputs whose batches differ; several inputs and outputs; an output that is
an input, a constant, or named twice under two names; an op that reads one value twice. Both engines, and compare."""
import os, struct
from common import *

d = folder("batches")
path = lambda name: os.path.join(d, name)
t = Tally()


def write(name, shape, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(11 + len(header)) % 64) + "\n"
    with open(path(name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}f", *values))


def load(name):
    raw = read(path(name))
    start = 10 + struct.unpack("<H", raw[8:10])[0]
    head = eval(raw[10:start], {})
    body = raw[start:]
    return head["shape"], list(struct.unpack(f"<{len(body) // 4}f", body))


def case(name, text, data, want):
    """data: input -> (shape, values); want: output -> (shape, values)."""
    with open(path("m.8vo"), "w") as f:
        f.write("octavo 1\nmodel m\n" + text)
    for key, (shape, values) in data.items():
        write(key + ".npy", shape, values)
    given = [a for key in data for a in ("--input", f"{key}={path(key + '.npy')}")]
    wanted = [a for key in want for a in ("-o", f"{key}={path('y.' + key + '.npy')}")]
    for engine in ("interp", "c"):
        for threads in (1, 2):
            run("run", path("m.8vo"), *given, *wanted, "--engine", engine, "--threads", threads, "--strict-float", "--cflags", "-O1")
            for key, (shape, values) in want.items():
                got = load("y." + key + ".npy")
                t.check(got == (shape, values), f"{name}, {engine}, {threads} threads: {key} is {got}, not {(shape, values)}")
    given[::2] = ["--data"] * (len(given) // 2)
    for x in run_json("compare", path("m.8vo"), path("m.8vo"), *given)["tensors"]:
        t.check(x["max_abs"] == 0 and x["cosine"] == 1, f"{name}: {x['name']} differs from itself: {x}")


two = [1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0]
pos = [1.0, 0.0, 3.0, 4.0, 0.0, 6.0, 7.0, 8.0]
case("N", "input x : f32[N,2]\ny = relu(x)\noutput y", {"x": ((4, 2), two)}, {"y": ((4, 2), pos)})
case("batch 1", "input x : f32[1,2]\ny = relu(x)\noutput y", {"x": ((4, 2), two)}, {"y": ((4, 2), pos)})
case("batch 2", "input x : f32[2,2]\ny = relu(x)\noutput y", {"x": ((4, 2), two)}, {"y": ((4, 2), pos)})
case("an axis before a fixed batch", "input x : f32[2,2]\ny = relu(x)\noutput y", {"x": ((2, 2, 2), two)}, {"y": ((4, 2), pos)})
case("no batch", "input x : f32[]\ny = relu(x)\noutput y", {"x": ((8,), two)}, {"y": ((8,), pos)})
case("the result loses the batch", "input x : f32[1,2]\ny = reshape(x) shape=(2)\noutput y", {"x": ((4, 2), two)}, {"y": ((4, 2), two)})
case("the result has another batch", "input x : f32[2,2]\ny = reshape(x) shape=(4)\noutput y", {"x": ((4, 2), two)}, {"y": ((2, 4), two)})
case("batches differ", "input a : f32[4,2]\ninput b : f32[2,1]\ny = matmul(a, b)\nb2 = relu(b)\noutput y\noutput b2",
     {"a": ((4, 2), two), "b": ((2, 1), [1.0, 2.0])}, {"y": ((1, 4, 1), [-3.0, 11.0, 7.0, 23.0]), "b2": ((1, 2, 1), [1.0, 2.0])})
case("batches differ, two samples", "input a : f32[2,2]\ninput b : f32[1,2]\ny = add(a, b)\noutput y",
     {"a": ((4, 2), two), "b": ((2, 2), [1.0, 1.0, 2.0, 2.0])}, {"y": ((2, 2, 2), [2.0, -1.0, 4.0, 5.0, -3.0, 8.0, 9.0, 10.0])})
case("one value twice", "input x : f32[N,2]\ny = add(x, x)\nz = mul(y, y)\noutput y\noutput w = y\noutput z",
     {"x": ((1, 2), [1.0, -2.0])}, {"y": ((1, 2), [2.0, -4.0]), "w": ((1, 2), [2.0, -4.0]), "z": ((1, 2), [4.0, 16.0])})
case("an output that is an input", "input x : f32[N,2]\ny = relu(x)\noutput x\noutput y",
     {"x": ((2, 2), two[:4])}, {"x": ((2, 2), two[:4]), "y": ((2, 2), pos[:4])})
case("an output that is a constant", "const @c : f32[2] = (5, 6)\ninput x : f32[N,2]\ny = relu(x)\noutput c = @c\noutput y",
     {"x": ((2, 2), two[:4])}, {"c": ((2, 2), [5.0, 6.0, 5.0, 6.0]), "y": ((2, 2), pos[:4])})
case("nothing but zeros", "input x : f32[N,1]\ny = relu(x)\noutput y", {"x": ((2, 1), [0.0, 0.0])}, {"y": ((2, 1), [0.0, 0.0])})
case("an input that nothing reads", "input x : f32[N,1]\ninput u : f32[N,3]\ny = relu(x)\noutput y",
     {"x": ((2, 1), [-1.0, 2.0]), "u": ((2, 3), [0.0] * 6)}, {"y": ((2, 1), [0.0, 2.0])})

# ---- a long chain of moves costs linear time
with open(path("m.8vo"), "w") as f:
    f.write("octavo 1\nmodel m\ninput x : f32[N,4]\nv0 = relu(x)\n")
    f.writelines(f"v{i + 1} = reshape(v{i}) shape=(N,{'4' if i % 2 else '2,2'})\n" for i in range(40000))
    f.write("output v40000\n")
write("x.npy", (2, 4), two)
run("quantize", path("m.8vo"), "--data", path("x.npy"), "-o", path("q.8vo"), timeout=20)

# ---- data that do not fit
with open(path("m.8vo"), "w") as f:
    f.write("octavo 1\nmodel m\ninput a : f32[4,2]\ninput b : f32[2,2]\ny = relu(a)\noutput y\noutput b")
write("a.npy", (8, 2), two + two)
write("b.npy", (2, 2), two[:4])
write("x.npy", (3, 2), two[:6])
for a, b in (("a", "b"), ("x", "b"), ("b", "a")):
    run("run", path("m.8vo"), "--input", f"a={path(a)}.npy", "--input", f"b={path(b)}.npy", "-o", f"y={path('no.npy')}", expect=65)
    t.check(not os.path.exists(path("no.npy")), f"a={a}, b={b} is refused")
t.close()
