#!/usr/bin/env python3
"""How fast objects of the LLVM back end are beside the same kernels as C under gcc -O3 and clang -O3, on this machine: one process, the
objects asked in turn, so that only ratios mean anything where the machine is busy. --pipelines: also LLVM's other pipelines, by opt-19
and llc-19 on the IR that octavo prints.

    python3 bench/llvm_speed.py build-release/octavo [../shared] [--target T] [--pipelines]"""
import os, subprocess, sys, tempfile
from compile_cost import MODELS

args, target, pipelines = sys.argv[1:], "host", False
if "--pipelines" in args:
    pipelines = bool(args.remove("--pipelines")) or True
if "--target" in args:
    target = args.pop(args.index("--target") + 1)
    args.remove("--target")
octavo, shared = os.path.abspath(args[0]), os.path.abspath(args[1] if len(args) > 1 else "../shared")
march = [] if target in ("host", "c99") else [f"-march={target}"]
PIPELINES = {"O3": "default<O3>", "no SLP": "default<O2> -vectorize-slp=false", "no loop vectorizer": "default<O2> -vectorize-loops=false",
             "no unrolling": "default<O2> -disable-loop-unrolling",
             "full unrolling only": "function(mem2reg,instcombine,loop(indvars,loop-unroll-full)),default<O2> -disable-loop-unrolling"}


def sh(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


with tempfile.TemporaryDirectory() as tmp:
    sh("gcc", "-O2", "-o", f"{tmp}/bench", os.path.join(os.path.dirname(os.path.abspath(__file__)), "llvm_speed.c"), "-ldl")
    names = ["gcc -O3", "clang -O3", "LLVM object"] + list(PIPELINES) * pipelines
    print(f"| {target} | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for name, (model, data, _) in MODELS.items():
        q, d = f"{tmp}/{name}.8vo", f"{tmp}/{name}"
        sh(octavo, "quantize", f"{shared}/models/{model}.onnx", "--data", f"{shared}/data/{data}_cal_f32.npy", "-o", q)
        for emit in "c", "obj", "llvm":
            sh(octavo, "compile", q, "--target", target, "--weights", "inline", "--emit", emit, "-o", f"{d}/net")
        made = [f"{d}/gcc.so", f"{d}/clang.so", f"{d}/llvm.so"]
        sh("gcc", "-O3", *march, "-fPIC", "-shared", f"{d}/net.c", "-o", made[0])
        sh("clang-19", "-O3", *march, "-fPIC", "-shared", f"{d}/net.c", "-o", made[1])
        sh("gcc", "-shared", f"{d}/net.o", "-o", made[2])
        for i, passes in enumerate(PIPELINES.values() if pipelines else ()):
            passes, *flags = passes.split(" ")
            sh("opt-19", f"-passes={passes}", *flags, f"{d}/net.ll", "-o", f"{d}/{i}.bc")
            sh("llc-19", "-O2", "-relocation-model=pic", "-filetype=obj", f"{d}/{i}.bc", "-o", f"{d}/{i}.o")
            sh("gcc", "-shared", f"{d}/{i}.o", "-o", f"{d}/{i}.so")
            made.append(f"{d}/{i}.so")
        took = [float(s) for s in sh(f"{tmp}/bench", "60", *made).split()]
        print(f"| {name} | {took[0]:.0f} us | " + " | ".join(f"{s / took[0]:.2f}" for s in took[1:]) + " |", flush=True)
