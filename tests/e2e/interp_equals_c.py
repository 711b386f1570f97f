#!/usr/bin/env python3
"""Interpreter == compiled C, bit for bit, for every float model of shared/models and its own int8 quantization: all test inputs at
gcc -O3; 16 inputs each with clang, -O0, -march=native and the sanitizers (all of them under --full)."""
import os, subprocess
from common import *

COMPILERS = {
    "gcc -O3": None,
    "clang -O2": ["--cc", "clang-19", "--cflags", "-O2"],
    "gcc -O0": ["--cflags", "-O0"],
    "gcc -march=native": ["--cflags", "-O3 -march=native"],
    "gcc asan+ubsan": ["--cflags", "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"],
}


def main():
    need_shared()
    t, differences = Tally(), 0
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    sanitized = dict(os.environ, LD_PRELOAD=os.path.realpath(asan), ASAN_OPTIONS="detect_leaks=0")
    for name, (cal, test, _) in FLOAT_MODELS.items():
        d = folder(name)
        q = os.path.join(d, "q.8vo")
        run("quantize", model(name), "--data", data(cal), "-o", q)
        few = head(data(test), os.path.join(d, "few.npy"), 16)
        for label, flags in COMPILERS.items():
            x = data(test) if flags is None or full else few
            a, b = os.path.join(d, "interp.npy"), os.path.join(d, "c.npy")
            run("run", q, "--input", x, "-o", a)
            run("run", q, "--input", x, "--engine", "c", *(flags or ["--cflags", "-O3"]), "-o", b, env=sanitized if "asan" in label else None)
            same = read(a) == read(b)
            differences += not same
            t.check(same, f"{name}: {label} differs from the interpreter")
        print(f"{name}: {len(COMPILERS)} compilers", flush=True)
    print(f"{differences} differences")
    t.close()


main()
