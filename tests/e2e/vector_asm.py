#!/usr/bin/env python3
"""The innermost loops of vector kernels as compilers leave them: nothing goes to the stack and comes back, each pair of codes is one
broadcast from memory, weights of 8 bits widen as they are loaded. By gcc, clang and the LLVM back end, for AVX2."""
import os, re, subprocess
from common import Tally, folder, read, run

t = Tally()
LAYERS = {"direct": (64, 64, 25, 5, 1, 1, 0), "strided": (64, 128, 28, 28, 3, 2, 1), "winograd": (96, 64, 28, 28, 3, 1, 1)}
at = folder("vector_asm")


def assembler(name):
    """Path by compiler of what it makes of the layer."""
    ci, co, h, w, k, stride, pad = LAYERS[name]
    with open(f"{at}/{name}.8vo", "w") as f:
        f.write(f"octavo 1\ninput x : i8[1,{ci},{h},{w}] scale=0.05 zero=-3\nconst @w : i8[{co},{ci},{k},{k}] scale=0.01 = random seed=1 "
                f"within=(-128,128)\ny : i8 scale=3.0 zero=5 = conv2d(x, @w) pad={pad} stride={stride}\noutput y\n")
    options = ["--target", "x86-64-v3", "--io-layout", "nhwc"]
    run("compile", f"{at}/{name}.8vo", *options, "-o", f"{at}/{name}")
    t.check(('"kernel": "winograd"' in read(f"{at}/{name}.json").decode()) == (name == "winograd"), f"{name}: another kernel")
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
            t.check(all("(" in x for x in widened) and bool(widened) == (name != "winograd"), f"{name} by {cc}: weights {widened}")
t.close()
