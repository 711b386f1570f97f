#!/usr/bin/env python3
"""What the emitted C is like, over every shared float model in int8 and in float: clean under two compilers' strictest flags (P13),
self-contained and without writable data (P14), refused under --no-float when it computes in float, and safe whatever the
model's names and texts are. Float models compiled with --strict-float give the interpreter's bits."""
import os, re, shutil, subprocess
from common import *

STRICT = ("-std=c99 -pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wcast-align -Wvla -Werror").split()
MAY_CALL = {"memcpy", "memset", "__aeabi_memcpy", "__aeabi_memcpy4", "__aeabi_memcpy8", "__aeabi_memset", "__aeabi_memclr", "__aeabi_memclr4",
            "__aeabi_memclr8", "__aeabi_lmul", "__aeabi_ldivmod", "__aeabi_uldivmod", "_GLOBAL_OFFSET_TABLE_"}


def cc(command, *args):
    p = subprocess.run([*command, *args], capture_output=True, text=True)
    return p.returncode == 0, p.stderr[-800:]


def symbols(obj):
    """(undefined names, names of writable data) of an object."""
    undefined, writable = set(), set()
    for line in subprocess.run(["nm", obj], capture_output=True, text=True, check=True).stdout.splitlines():
        kind, name = line.split()[-2:]
        if kind == "U":
            undefined.add(name)
        elif kind in "DdBbCGgSs":
            writable.add(name)
    return undefined, writable


X86 = (["gcc"], ["clang-19"])
ALL = (*X86, ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"], ["aarch64-linux-gnu-gcc"])

# Vectors, without options: the file says itself what it is for.
VECTORS = {"kws_dscnn": "x86-64-v3", "ic_resnet8": "x86-64-v4", "ad_autoencoder": "x86-64-v3", "vww_mobilenetv1_025_96": "x86-64-v4-vnni"}


def check_source(t, name, prefix, compilers=ALL):
    src, folder = prefix + ".c", os.path.dirname(prefix)
    for command in compilers:
        obj = os.path.join(folder, command[0] + ".o")
        ok, said = cc(command, *STRICT, "-O2", "-c", src, "-o", obj)
        if not t.check(ok, f"{name}: {command[0]}: {said}"):
            continue
        undefined, writable = symbols(obj)
        t.check(undefined <= MAY_CALL, f"{name}: {command[0]}: calls {sorted(undefined - MAY_CALL)}")
        t.check(not writable, f"{name}: {command[0]}: writable data {sorted(writable)}")
    if re.search(r"\b(float|double)\b", open(src).read()):
        ok, said = cc(["gcc"], "-ffast-math", "-c", src, "-o", os.devnull)
        t.check(not ok and "fast-math" in said, f"{name}: -ffast-math was not refused")
    ok, said = cc(["g++"], "-x", "c++", "-fsyntax-only", "-Wall", "-Werror", prefix + ".h")
    t.check(ok, f"{name}: the header is no C++: {said}")


HOSTILE = r'''octavo 1
model int "*/ \" \\ %s %n ??/ \n#error no\n /*"
input for : i8[1,3,4,4] scale=0.5 zero=0 doc="*/ int x; /*"
const @while : i8[2,3,1,1] scale=0.1 zero=0 = random seed=1 within=(-100.0,100.0) from="a*/b"
return : i8[1,2,4,4] scale=0.7 zero=3 = conv2d(for, @while) profile=q31 from="*/\n#include <stdio.h>\n??/" doc="\x07\xff\" */"
_Bool : i8[1,2,4,4] scale=0.7 zero=3 = relu(return) profile=q31 why="%d*/"
static.x : i8[1,2,4,4] scale=0.9 zero=3 = relu(_Bool) profile=q31
static_x : i8[1,2,4,4] scale=0.8 zero=3 = relu(static.x) profile=q31
arena : i8[1,2,4,4] scale=0.8 zero=3 = add(static_x, static.x) profile=q31
output run = arena
output arena
output memcpy = static_x
output memcpy.1 = static.x
'''


def main():
    need_shared()
    t = Tally()
    for name, (cal, test, _) in FLOAT_MODELS.items():
        d = folder(name)
        net = os.path.join(d, "net")
        run("compile", model(name), "--data", data(cal), "--no-float", "--weights", "inline", "--target", "c99", "-o", net)
        check_source(t, name, net)
        if name in VECTORS:
            run("compile", model(name), "--data", data(cal), "--weights", "inline", "--target", VECTORS[name], "-o", os.path.join(d, "vec"))
            check_source(t, f"{name} for {VECTORS[name]}", os.path.join(d, "vec"), X86)
        report = json.loads(read(net + ".json"))
        missing = {"arena_bytes", "arena_lower_bound", "weight_bytes", "text_bytes", "stack_bytes", "macs", "layers", "fallbacks"} - set(report)
        t.check(not missing, f"{name}: report lacks {missing}")
        t.check(report["arena_bytes"] >= report["arena_lower_bound"] > 0, f"{name}: arena below its lower bound")
        t.check(all({"name", "kernel", "recipe", "proof", "macs"} <= set(l) for l in report["layers"]), f"{name}: layers of the report")
        t.check(sum(l["macs"] for l in report["layers"]) == report["macs"], f"{name}: MACs do not add up")
        size = re.search(r"NET_ARENA_SIZE (\d+)", open(net + ".h").read()).group(1)
        t.check(int(size) == report["arena_bytes"], f"{name}: header and report name different arenas")
        # the float model
        flt = os.path.join(d, "flt")
        run("compile", model(name), "--weights", "inline", "--target", "c99", "-o", flt)
        check_source(t, name + " (float)", flt)
        run("compile", model(name), "--no-float", "-o", os.path.join(d, "refused"), expect=69)
        t.check(not os.path.exists(os.path.join(d, "refused.c")), f"{name}: a refused compile left output")
        a, b = os.path.join(d, "interp.npy"), os.path.join(d, "c.npy")
        if name not in ("resnet20_cifar10", "ic_resnet8") or full:
            run("run", model(name), "--input", data(test), "-o", a)
            run("run", model(name), "--input", data(test), "--engine", "c", "--strict-float", "-o", b)
            t.check(read(a) == read(b), f"{name}: float C differs from the interpreter under --strict-float")
        print(name, flush=True)
    d = folder("hostile")
    with open(os.path.join(d, "h.8vo"), "w") as f:
        f.write(HOSTILE)
    run("compile", os.path.join(d, "h.8vo"), "--target", "c99", "-o", os.path.join(d, "default"))
    check_source(t, "hostile names", os.path.join(d, "default"))
    json.loads(read(os.path.join(d, "default.json")))
    t.close()


main()
