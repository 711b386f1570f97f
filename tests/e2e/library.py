#!/usr/bin/env python3
"""Libraries that octavo writes itself, of its own objects and of compilers': the bytes that ar writes, an index with what nm finds, and
GNU ld and lld link them without ranlib, for the host, aarch64, armhf and Cortex-M; a program that was linked gives the interpreter's codes."""
import shutil, subprocess
from common import *

digits = os.path.join(source, "examples", "digits", "digits")
d = folder("l")
t = Tally()
if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
    print("built without the LLVM back end")
    sys.exit(1 if os.environ.get("CI") else 77)
q = os.path.join(d, "q.8vo")
run("quantize", digits + ".8vo", "--data", digits + "_cal.npy", "-o", q)
run("run", q, "--input", digits + "_test.npy", "-o", os.path.join(d, "y.npy"))

MAIN = """
#include "NAME.h"
static unsigned char arena[UPPER_ARENA_SIZE + 64];
static unsigned char pixels[64];
static float x[64];
static signed char q[64], y[10];
#ifdef HOSTED
#include <stdio.h>
int main(void) {
    while (fread(pixels, sizeof pixels, 1, stdin) == 1) {
        for (int i = 0; i < 64; i++) x[i] = pixels[i];
        NAME_quantize_image(x, q);
        if (NAME_run(q, y, arena)) return 1;
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
#else
void _start(void) { NAME_quantize_image(x, q); for (;;) (void)NAME_run(q, y, arena); }
#endif
"""


def tool(*args, **kw):
    p = subprocess.run(args, capture_output=True, **kw)
    if p.returncode != 0:
        sys.exit(f"{' '.join(args)}: {p.stderr.decode()[:2000]}")
    return p.stdout


def elements(path):
    raw = read(path)
    return raw[10 + struct.unpack("<H", raw[8:10])[0]:]


def index(archive):
    """Symbols of the index, as nm -s reads it."""
    text = tool("nm", "-s", archive).decode()
    lines = text[text.index("Archive index:"):].split("\n\n")[0].splitlines()[1:]
    return {line.split(" in ")[0] for line in lines}


def one(target, name, *by):
    to = os.path.join(d, target + "-cc" * bool(by), name)
    run("compile", q, "--target", target, "--emit", "obj", "-o", to, *by)
    alone = set(os.listdir(os.path.dirname(to)))
    run("compile", q, "--target", target, "--emit", "lib", "-o", to, *by)
    t.check(set(os.listdir(os.path.dirname(to))) == alone | {name + ".a"}, f"{target}: files beside the library")
    a = to + ".a"
    t.check(tool("ar", "t", a).decode() == name + ".o\n", f"{target}: ar t")
    t.check(tool("ar", "p", a) == read(to + ".o"), f"{target}: the member is not the object")
    defined = {line.split()[-1] for line in tool("nm", "-g", "--defined-only", to + ".o").decode().splitlines()}
    t.check(index(a) == defined and name + "_run" in defined, f"{target}: index {index(a)}, object {defined}")
    ref = to + ".ref.a"
    tool("ar", "rcsD", ref, to + ".o")
    t.check(by or read(ref) == read(a), f"{target}: not the bytes of ar")  # which lists symbols as a compiler left them
    with open(to + "_main.c", "w") as f:
        f.write(MAIN.replace("NAME", name).replace("UPPER", name.upper()))
    return to


def links(to, what, *cc, run_by=None):
    """Links with the compiler, with GNU ld or lld; runs it where it can run."""
    folder_, name = os.path.split(to)
    exe = to + "." + what
    tool(*cc, "-I", folder_, to + "_main.c", "-L", folder_, "-l:" + name + ".a", "-o", exe)
    t.check(f" T {name}_run" in tool("nm", exe).decode(), f"{what}: {name}_run was not linked")
    if run_by is not None:
        y = tool(*run_by, exe, input=elements(digits + "_test.npy"))
        t.check(y == elements(os.path.join(d, "y.npy")), f"{what}: other codes than the interpreter")


long_name = "a_network_whose_name_is_longer_than_a_header_of_ar_can_hold"
def arm(cpu, abi):
    return ["arm-none-eabi-gcc", "-mcpu=" + cpu, "-mthumb", "-mfloat-abi=" + abi]


long_name = "a_network_whose_name_is_longer_than_a_header_of_ar_can_hold"
MACHINES = {  # compiler, how to link, how to run
    "host": (["gcc"], ["-DHOSTED"], []),
    "aarch64": (["aarch64-linux-gnu-gcc"], ["-static", "-DHOSTED"], ["qemu-aarch64"]),
    "armv7": (["arm-linux-gnueabihf-gcc", "-mfpu=neon"], ["-static", "-DHOSTED"], ["qemu-arm"]),
    "cortex-m0plus": (arm("cortex-m0plus", "soft"), ["-nostartfiles"], None),
    "cortex-m4": (arm("cortex-m4", "hard"), ["-nostartfiles"], None),
    "cortex-m55": (arm("cortex-m55", "hard"), ["-nostartfiles"], None),
}
for target, (cc, how, emulator) in MACHINES.items():
    for name in ("net", "exactly_15_cha", long_name) if target in ("host", "cortex-m4") else (long_name,):
        to = one(target, name)
        links(to, "gnu", *cc, *how, run_by=emulator)
    if target == "host":
        links(to, "lld", "clang-19", "-fuse-ld=lld", *how, run_by=[])
    if target == "cortex-m4": # lld takes the members that the index names; nothing is missing
        tool(*cc, "-c", "-I", os.path.dirname(to), to + "_main.c", "-o", to + "_main.o")
        tool("ld.lld-19", to + "_main.o", to + ".a", "-o", to + ".lld")
        t.check(f" T {long_name}_run" in tool("nm", to + ".lld").decode(), "lld: not linked")
    # The same of the object that the compiler makes of C, with weights in the file and beside it.
    to = one(target, "by_cc", "--cc", " ".join(cc), *(["--weights", "incbin"] if target in ("aarch64", "cortex-m4") else []))
    links(to, "gnu", *cc, *how, run_by=emulator)

# ---- other texts that a file name can hold; the same bytes wherever they go
for name in "two words", "a+b", "\u00e4", "x" * 200:
    to = os.path.join(d, "names", name)
    run("compile", q, "--target", "cortex-m4", "--emit", "lib", "-o", to)
    t.check(tool("ar", "t", to + ".a").decode() == name + ".o\n", f"a library named '{name}'")
shutil.copy(to + ".a", os.path.join(d, "first.a"))
run("compile", q, "--target", "cortex-m4", "--emit", "lib", "-o", os.path.join(d, "again", name))
t.check(read(os.path.join(d, "first.a")) == read(os.path.join(d, "again", name + ".a")), "a library is not reproducible")
t.close()
