#!/usr/bin/env python3
"""The innermost loops of vector kernels as compilers leave them: nothing goes to the stack and comes back, each pair of codes is one
broadcast from memory, weights of 8 bits widen as they are loaded, or before. By gcc, clang and the LLVM back end, for AVX2. And the object for
VNNI, taken apart: its hot loop is made of vpdpbusd."""
import os, re, subprocess
from common import Tally, folder, read, run

t = Tally()
LAYERS = {"direct": (80, 64, 25, 5, 1, 1, 0), "strassen": (128, 128, 14, 14, 1, 1, 0), "strided": (64, 128, 28, 28, 3, 2, 1), "winograd": (96, 64, 28, 28, 3, 1, 1)}
at = folder("vector_asm")


def assembler(name):
    """Path by compiler of what it makes of the layer."""
    ci, co, h, w, k, stride, pad = LAYERS[name]
    with open(f"{at}/{name}.8vo", "w") as f:
        f.write(f"octavo 1\ninput x : i8[1,{ci},{h},{w}] scale=0.05 zero=-3\nconst @w : i8[{co},{ci},{k},{k}] scale=0.01 = random seed=1 "
                f"within=(-128,128)\ny : i8 scale=3.0 zero=5 = conv2d(x, @w) pad={pad} stride={stride}\noutput y\n")
    options = ["--target", "x86-64-v3", "--io-layout", "nhwc"]
    run("compile", f"{at}/{name}.8vo", *options, "-o", f"{at}/{name}")
    kernel = name if name in ("winograd", "strassen") else "conv2d_vec"
    t.check(f'"kernel": "{kernel}"' in read(f"{at}/{name}.json").decode(), f"{name}: another kernel")
    run("compile", f"{at}/{name}.8vo", *options, "--emit", "asm", "-o", f"{at}/{name}-llvm")
    for cc in "gcc", "clang-19":
        subprocess.run([cc, "-O3", "-S", f"{at}/{name}.c", "-o", f"{at}/{name}-{cc}.s"], check=True)
    return {cc: f"{at}/{name}-{cc}.s" for cc in ("gcc", "clang-19", "llvm")}


def inner_loops(path):
    """Basic blocks with many products, up to the jump back."""
    for block in re.split(r"^\.?L[\w.]*:.*$", read(path).decode(), flags=re.M):
        jump = re.search(r"^\s+j(?!mp)\w+\s", block, flags=re.M)
        block = block[:jump.start()] if jump else ""
        if block.count("vpmaddwd") >= 12:
            yield block


for name in LAYERS:
    for cc, path in assembler(name).items():
        loops = list(inner_loops(path))
        t.check(loops, f"{name} by {cc}: no inner loop found")
        for loop in loops:
            products, stack = loop.count("vpmaddwd"), len(re.findall(r"\(%rsp", loop))
            t.check(stack == 0, f"{name} by {cc}: {stack} accesses of the stack beside {products} products")
            t.check(loop.count("vpbroadcastd") == products // 2, f"{name} by {cc}: {loop.count('vpbroadcastd')} broadcasts for {products} products")
            widened = re.findall(r"vpmovsxbw\s+(\S+)", loop)
            t.check(all("(" in x for x in widened) and bool(widened) == (name not in ("winograd", "strassen")), f"{name} by {cc}: weights {widened}")
run("compile", f"{at}/direct.8vo", "--target", "x86-64-v4-vnni", "--io-layout", "nhwc", "--emit", "obj", "-o", f"{at}/direct-vnni")
text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"{at}/direct-vnni.o"], check=True, capture_output=True, text=True).stdout
line = [re.match(r"\s*([0-9a-f]+):\s+(\w+)\s*(\S*)", x) for x in text.splitlines()]
line = [(int(m[1], 16), m[2], m[3]) for m in line if m]
place = {where: i for i, (where, _, _) in enumerate(line)}
back = [(place.get(int(to, 16)), i) for i, (_, op, to) in enumerate(line) if op[0] == "j" and re.fullmatch("[0-9a-f]+", to)]
loops = [[op for _, op, _ in line[a:i]] for a, i in back if a is not None and a < i]
hot = [x for x in loops if x.count("vpdpbusd") >= 8 and not any(op[0] == "j" for op in x)]
t.check(hot, "no loop of vpdpbusd in the object for VNNI")
t.check(not any("vpmadd" in op for x in hot for op in x), "other products in the loop of vpdpbusd")
t.close()
