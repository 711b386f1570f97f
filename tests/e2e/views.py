#!/usr/bin/env python3
"""Slices and concats take no step and no memory where they can be views: a slice is read where its operand lies, the parts of a
concat are written where its result lies. Where they cannot (another scale, another reader, a border, an output), they stay
steps. The bits are the interpreter's in every case."""
import os, struct
from common import *

HEAD = """octavo 1
model m
input x : i8[N,4,6,5] scale=0.5 zero=3
const @w : i8[3,4,3,3] scale=0.01 zero=0 = random seed=1 within=(-128.0,128.0)
const @v : i8[5,4,1,1] scale=0.02 zero=0 = random seed=2 within=(-128.0,128.0)
const @u : i8[2,8,3,3] scale=0.01 zero=0 = random seed=3 within=(-128.0,128.0)
a : i8[N,3,6,5] scale=0.7 zero=-9 = conv2d(x, @w) pad=(1,1,1,1) profile=q31
b : i8[N,5,6,5] scale={scale} zero=-9 = conv2d(x, @v) profile=q31
c : i8[N,8,6,5] scale=0.7 zero=-9 = concat(a, b) axis=1 profile=q31
"""
# name: text behind HEAD, scale of b, kernels that must not, and must, stand in the report
CASES = {
    "parts in place, under a border": ("d : i8[N,2,6,5] scale=2.0 zero=0 = conv2d(c, @u) pad=(1,1,1,1) profile=q31\noutput d\n", 0.7, {"concat"}, set()),
    "a concat that is the output": ("output c\n", 0.7, {"concat"}, set()),
    "a part of another scale": ("d : i8[N,2,4,3] scale=2.0 zero=0 = conv2d(c, @u) profile=q31\noutput d\n", 0.3, set(), {"concat"}),
    "a part with another reader": ("d : i8[N,3,6,5] scale=0.9 zero=1 = requantize(a) profile=q31\noutput c\noutput d\n", 0.7, set(), {"concat"}),
    "slices of a concat, strided": (
        "s : i8[N,3,3,5] scale=0.7 zero=-9 = slice(c) axes=(1,2) begin=(0,1) end=(3,6) step=(1,2)\n"
        "t : i8[N,3,3,5] scale=0.7 zero=-9 = slice(c) axes=(1,2) begin=(5,0) end=(8,6) step=(1,2)\n"
        "d : i8[N,3,3,5] scale=1.1 zero=4 = add(s, t) profile=q31\n"
        "f : i8[N,45] scale=1.1 zero=4 = flatten(d) axis=1\noutput f\n", 0.7, {"concat", "slice"}, set()),
    "a slice of an input": ("s : i8[N,4,2,5] scale=0.5 zero=3 = slice(x) axes=(2) begin=(2) end=(4) step=(1)\n"
                            "d : i8[N,4,2,5] scale=1.1 zero=4 = sigmoid(s)\noutput c\noutput d\n", 0.7, {"concat", "slice"}, set()),
    "a slice that must have a border, one backwards, one an output": (
        "s : i8[N,8,3,5] scale=0.7 zero=-9 = slice(c) axes=(2) begin=(1) end=(4) step=(1)\n"
        "d : i8[N,2,3,5] scale=2.0 zero=0 = conv2d(s, @u) pad=(1,1,1,1) profile=q31\n"
        "t : i8[N,8,6,5] scale=0.7 zero=-9 = slice(c) axes=(3) begin=(4) end=(-6) step=(-1)\n"
        "e : i8[N,8,6,5] scale=1.0 zero=0 = relu(t)\noutput d\noutput e\noutput s\n", 0.7, {"concat"}, {"slice"}),
}


def main():
    t, d = Tally(), folder("m")
    codes = bytes((i * 89 + i // 7) & 255 for i in range(5 * 4 * 6 * 5))
    head = "{'descr': '|i1', 'fortran_order': False, 'shape': (5, 4, 6, 5), }"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(os.path.join(d, "x.npy"), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + codes)
    for i, (name, (text, scale, absent, present)) in enumerate(CASES.items()):
        model, net = os.path.join(d, f"m{i}.8vo"), os.path.join(d, f"n{i}")
        with open(model, "w") as f:
            f.write(HEAD.format(scale=scale) + text)
        outputs = [line.split()[1] for line in text.splitlines() if line.startswith("output ")]
        for engine in ("interp", "c"):
            to = [x for o in outputs for x in ("-o", f"{o}={d}/{o}.{engine}.npy")]
            run("run", model, "--input", os.path.join(d, "x.npy"), "--engine", engine, *to)
        for o in outputs:
            t.check(read(f"{d}/{o}.interp.npy") == read(f"{d}/{o}.c.npy"), f"{name}: output {o} differs")
        run("compile", model, "-o", net)
        kernels = {layer["kernel"] for layer in json.loads(read(net + ".json"))["layers"]}
        t.check(not kernels & absent, f"{name}: {kernels & absent} are steps")
        t.check(present <= kernels, f"{name}: {present - kernels} are no steps")
    t.close()


main()
