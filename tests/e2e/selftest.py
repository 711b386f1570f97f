#!/usr/bin/env python3
"""NAME_selftest on every machine: 0 from C and from LLVM's objects, here, on aarch64 and armhf under qemu-user, on Cortex-M boards under
qemu; the number of the right check where one byte of a layer's weights is flipped in the object. Prints what it costs in bytes."""
import re
import common
import machines
from common import *

DIGITS = os.path.join(source, "examples", "digits")
# The arena is dirty both times, and each run may only see what it writes itself.
MAIN = """#include <string.h>
#include "net.h"
static _Alignas(16) unsigned char arena[NET_SELFTEST_ARENA_SIZE];
int main(void) {
    memset(arena, 0x5a, sizeof arena);
    int failed = net_selftest(arena);
    return failed ? failed : net_selftest(arena);
}
"""
t = Tally()
WAYS = [(machines.HOST, ["--emit", "c"]), (machines.HOST, ["--emit", "obj"]), (machines.AARCH64, ["--target", "aarch64", "--emit", "obj"]),
        (machines.ARMHF, ["--target", "armv7", "--emit", "obj"]), (machines.ARMHF, ["--target", "c99", "--emit", "c"]),
        (machines.M4, ["--target", "cortex-m4", "--emit", "obj"]), (machines.M4, ["--target", "cortex-m4", "--emit", "c"]),
        (machines.M7, ["--target", "cortex-m7", "--emit", "obj"]), (machines.M55, ["--target", "cortex-m55", "--emit", "obj"])]


def sections(path):
    """(name, place in the file, bytes) of each section."""
    text = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    return [(m[1], int(m[2], 16), int(m[3], 16)) for m in re.finditer(r"\] (\S+)\s+PROGBITS\s+\w+ (\w+) (\w+)", text)]


def size(path):
    return sum(n for name, _, n in sections(path) if name.startswith((".text", ".rodata")))


def run_on(machine, d, built):
    """Exit code of the program, 0 to 255."""
    main = os.path.join(d, "main.c")
    with open(main, "w") as f:
        f.write(MAIN)
    program = os.path.join(d, "program")
    ok, said = machine.build(program, main, built, flags=("-I", d, "-Wall", "-Wextra", "-Werror"))
    return machine.run(program) if t.check(ok, f"{d}: does not build: {said}") else (None, said)


def checks(d):
    """Number and subject of each check, from the header."""
    text = re.search(r"the first check that fails:(.*?)\*/", read(f"{d}/net.h").decode(), re.S)[1]
    return {int(n): what for n, what in re.findall(r"(\d+) ([^,*]+?)(?:,|\s*$)", text.replace("\n *", ""))}


def flip(path, to, section, part, bits, length=1):
    """Bits of the byte at `part` of a section, or of so many."""
    raw = bytearray(read(path))
    _, at, n = section
    for i in range(length):
        raw[at + int(n * part) // length * length + i] ^= bits
    with open(to, "wb") as f:
        f.write(raw)
    return to


def weights(path):
    """Sections of constants, the largest first; one for each constant where LLVM made the object."""
    return sorted((s for s in sections(path) if s[0].startswith(".rodata")), key=lambda s: -s[2])


def one_model(name, net, ways, flips):
    for i, (machine, args) in enumerate(ways):
        machine.need()
        d = folder(name, str(i))
        how = f"{name} {' '.join(args)}"
        run("compile", net, *args, "--self-test", "-o", f"{d}/net")
        built = f"{d}/net." + ("o" if "obj" in args else "c")
        code, said = run_on(machine, d, built)
        t.check(code == 0, f"{how}: check {code} failed: {said}")
        if built.endswith(".c"):
            continue
        plain = folder(name, str(i), "plain")
        run("compile", net, *args, "-o", f"{plain}/net")
        cost = size(built) - size(f"{plain}/net.o")
        t.check(0 < cost < 4096, f"{how}: {cost} bytes more")
        known = checks(d)
        for part, bits in flips:
            code, said = run_on(machine, d, flip(built, f"{d}/bad.o", weights(built)[0], part, bits))
            if code:
                break  # a weight whose input is its zero point on every vector makes no difference: then the next place
        t.check(code in known and "outputs" not in known[code], f"{how}: with a flipped weight: {code} of {known}: {said}")
        print(f"{how}: {len(known)} checks, {cost} bytes; a flipped weight fails check {code}, {known.get(code)}", flush=True)


def which_layer(net):
    """One word of each constant of the digits in turn: the number is that of the layer that reads it."""
    d = folder("which")
    run("compile", net, "--emit", "obj", "--self-test", "-o", f"{d}/net")
    known, seen = checks(d), set()
    t.check(list(known.values()) == ["r1", "r2", "r3", "p1", "r4", "n5", "r5", "pooled", "logits", "probs", "outputs of vector 2", "outputs of vector 3"],
            f"the header names the checks: {known}")
    for s in weights(f"{d}/net.o"):
        if not s[0].startswith(".rodata.data_"):
            continue  # the compiler's own
        code, _ = run_on(machines.HOST, d, flip(f"{d}/net.o", f"{d}/bad.o", s, 0.5, 255, 4))
        # the table of softmax has this size; a vector reads ten entries of it
        t.check(code != 0 or s[2] == 256 * 4, f"a flipped byte in {s[0]} is not seen")
        seen.add(known.get(code))
    # logits is so small that its weights become part of its code
    t.check({"r1", "r2", "r3", "r4", "n5", "r5"} <= seen, f"layers found: {seen}")


net = os.path.join(folder("model"), "net.8vo")
run("quantize", f"{DIGITS}/digits.8vo", "--data", f"{DIGITS}/digits_cal.npy", "-o", net)
one_model("digits", net, WAYS, [(0.5, 64), (0.1, 1), (0.9, 1), (0.3, 128)])
one_model("layouts", net, [(machines.HOST, ["--emit", form, "--io-layout", "nhwc", "--batch", "3"]) for form in ("c", "obj")], [(0.5, 64)])
which_layer(net)
run("compile", f"{DIGITS}/digits.8vo", "--self-test", "-o", f"{folder('float')}/net", expect=69)
d = folder("strict")
run("compile", f"{DIGITS}/digits.8vo", "--self-test", "--strict-float", "-o", f"{d}/net")
t.check(run_on(machines.HOST, d, f"{d}/net.c")[0] == 0, "strict float")
if os.path.isdir(os.path.join(shared, "models")):
    for name in "kws_dscnn", "ic_resnet8":
        made = os.path.join(folder(name), "net.8vo")
        run("quantize", model(name), "--data", data(common.FLOAT_MODELS[name][0]), "-o", made)
        one_model(name, made, [WAYS[1], WAYS[5], WAYS[8]], [(0.5, 64), (0.4, 64), (0.6, 64)])
t.close()
