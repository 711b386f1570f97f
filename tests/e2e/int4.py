#!/usr/bin/env python3
"""Weights of 4 bits: two lie in a byte, in C and in LLVM's objects, so the constants of the network take little more than half;
outputs keep the interpreter's bits on scalar code and on Cortex-M's own kernels. Kernels for vectors keep a byte for each weight."""
import os, re, subprocess, sys
from common import *
from machines import M0PLUS, M4

t = Tally()
DIGITS = os.path.join(source, "examples", "digits", "digits")
d = folder("int4")
path = lambda name: os.path.join(d, name)


def rodata(file):
    """Bytes of constants in an object."""
    text = subprocess.run(["readelf", "-SW", file], capture_output=True, text=True, check=True).stdout
    return sum(int(size, 16) for name, size in re.findall(r"(\.rodata[\w.]*)\s+PROGBITS\s+\w+ \w+ (\w+)", text))


def weights(file):
    """Elements of the constants that conv2d and dense read as weights."""
    shapes = re.findall(r"const @[\w.]+ : i[48]\[([\d,]+)\]", open(file).read())
    return sum(eval(s.replace(",", "*")) for s in shapes)


q = {}
for bits in 4, 8:
    q[bits] = path(f"q{bits}.8vo")
    run("quantize", DIGITS + ".8vo", "--data", DIGITS + "_cal.npy", "--weight-bits", bits, "-o", q[bits])
n = weights(q[4])
t.check(n == weights(q[8]) and n > 1000, f"both have {n} weights")
top1 = run_json("eval", q[4], "--data", DIGITS + "_test.npy", "--labels", DIGITS + "_labels.npy")["top1"]
t.check(top1 >= 0.95, f"top-1 with weights of 4 bits: {top1}")
for target, emit in ("c99", "obj"), ("cortex-m4", "obj"), ("c99", "c"):
    size = {}
    for bits in q:
        out = path(f"net{bits}-{target}-{emit}")
        run("compile", q[bits], "--target", target, "--emit", emit, "-o", out)
        if emit == "c":
            subprocess.run(["cc", "-O1", "-c", f"{out}.c", "-o", f"{out}.o"], check=True)
        size[bits] = rodata(f"{out}.o")
    saved = size[8] - size[4]
    # an odd channel of a tile keeps a byte for itself; layers of 16-bit pairs were larger still
    t.check(saved >= 0.45 * n, f"{target}, {emit}: constants take {size[4]} instead of {size[8]} bytes; {n} weights")
    recipes = [k.get("recipe", "") for k in json.load(open(path(f"net4-{target}-{emit}.json")))["layers"]]
    t.check(any("two to a byte" in r for r in recipes), f"{target}: the report says so: {recipes}")
for engine in ["c", "--cflags", "-O1"], ["jit"]:
    for out, how in ("a.npy", []), ("b.npy", ["--engine", *engine]):
        run("run", q[4], "--input", DIGITS + "_test.npy", "-o", path(out), *how)
    t.check(read(path("a.npy")) == read(path("b.npy")), f"{engine[0]} gives the interpreter's codes")

# ---- on boards, by both compilers
samples = folder("int4", "samples")
subprocess.run([sys.executable, f"{source}/examples/embed.py", octavo, q[4], DIGITS + "_cal.npy", DIGITS + "_test.npy", "3", samples], check=True, stderr=subprocess.DEVNULL)
for machine in M0PLUS, M4:
    machine.need()
    for how in [], ["--cc", machine.cc, "--cflags", "-O2"]:
        to = folder("int4", f"{machine.target}-{'c' if how else 'llvm'}")
        run("compile", f"{samples}/q.8vo" if os.path.exists(f"{samples}/q.8vo") else q[4], "--target", machine.target, "--emit", "obj", *how, "-o", f"{to}/net")
        quantize = re.search(r"net_quantize_\w+", read(f"{to}/net.h").decode())[0]
        ok, said = machine.build(f"{to}/program", f"{source}/examples/cortex-m/main.c", f"{source}/examples/samples.S", f"{to}/net.o",
                                 flags=["-I", to, "-I", samples, f"-Wa,-I,{samples}", f"-DQUANTIZE={quantize}"])
        said = machine.run(f"{to}/program")[1] if t.check(ok, said) else said
        t.check(re.search("differing codes: 0\\b", said), f"{machine.target} {how}: {said[-300:]}")
t.close()
