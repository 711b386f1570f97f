#!/usr/bin/env python3
"""Interpreter == compiled C, bit for bit, for the int8 form of every float model of shared/models: 16 inputs each at -O0, with
-march=native and with the sanitizers (all test inputs under --full). What executors.py runs, it does not run again."""
import os, subprocess
from common import *

COMPILERS = {
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
        x, a, b = data(test), os.path.join(d, "interp.npy"), os.path.join(d, "c.npy")
        if not full:
            x = head(x, os.path.join(d, "few.npy"), 16)
        run("run", q, "--input", x, "-o", a)
        for label, flags in COMPILERS.items():
            run("run", q, "--input", x, "--engine", "c", *flags, "-o", b, env=sanitized if "asan" in label else None)
            same = read(a) == read(b)
            differences += not same
            t.check(same, f"{name}: {label} differs from the interpreter")
        print(f"{name}: {len(COMPILERS)} compilers", flush=True)
    print(f"{differences} differences")
    t.close()


main()
