#!/usr/bin/env python3
"""Objects of the LLVM back end in their users' links: as part of a shared object and of a position-independent program on every Linux
target; two models in a program that calls one, whose other --gc-sections drops to the last byte; the float ABI and the processor in the
attributes of every Arm object, beside what gcc makes for it. Linkers may not warn."""
import re
from common import *

t = Tally()
if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
    print("built without the LLVM back end")
    sys.exit(1 if os.environ.get("CI") else 77)
DIGITS = os.path.join(source, "examples", "digits", "digits")
at = folder("samples")
subprocess.run([sys.executable, f"{source}/examples/embed.py", octavo, DIGITS + ".8vo", DIGITS + "_cal.npy", DIGITS + "_test.npy", "16", at],
               check=True, stderr=subprocess.DEVNULL)
small = os.path.join(at, "small.8vo")
with open(small, "w") as f:
    f.write("octavo 1\nmodel small\ninput x : i8[N,8] scale=1.0\nconst @w : i8[4,8] scale=0.01 = random seed=1\n"
            "y : i8 scale=0.5 zero=3 = dense(x, @w)\noutput y\n")


def compiled(q, target, to):
    run("compile", q, "--target", target, "--emit", "obj", "-o", to)
    return to + ".o"


def sh(*args):
    p = subprocess.run(args, capture_output=True, text=True)
    return p if t.check(p.returncode == 0, f"{' '.join(args)}: exit {p.returncode}: {p.stdout[-1000:]}{p.stderr[-1000:]}") else None


# ---- loaded anywhere: no relocation in text, as a library and as a program
def loaded_anywhere(target, cc, run_by):
    d = folder(target)
    o = compiled(f"{at}/q.8vo", target, f"{d}/net")
    strict = "-Wl,-z,text,--fatal-warnings"
    main = [*cc, "-std=c11", "-O1", "-pie", "-fPIE", "-Wall", "-Werror", "-I", d, "-I", at, f"-Wa,-I,{at}", "-DQUANTIZE=net_quantize_image", strict,
            f"{source}/examples/linux-arm/main.c", f"{source}/examples/samples.S"]
    if not sh(*cc, "-shared", strict, o, "-o", f"{d}/libnet.so") or not sh(*main, f"-L{d}", "-lnet", f"-Wl,-rpath,{d}", "-o", f"{d}/by_library") \
            or not sh(*main, o, "-o", f"{d}/by_object"):
        return
    for made in "libnet.so", "by_object":
        dynamic = sh("readelf", "-dh", f"{d}/{made}")
        t.check(dynamic and "TEXTREL" not in dynamic.stdout and re.search(r"Type: +DYN", dynamic.stdout), f"{target}: {made} is not position-independent")
    for made in "by_library", "by_object":
        p = sh(*run_by, f"{d}/{made}")
        t.check(p and "inputs: 16\ndiffering codes: 0\n" in p.stdout, f"{target}: {made} computes something else")


QEMU_ARM = ["qemu-arm", "-L", "/usr/arm-linux-gnueabihf"]
ARM_CC = ["arm-linux-gnueabihf-gcc", "-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"]
loaded_anywhere("host", ["gcc"], [])
loaded_anywhere("x86-64-v2", ["gcc"], [])
for target in "aarch64", "aarch64-dotprod":
    loaded_anywhere(target, ["aarch64-linux-gnu-gcc"], ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"])
loaded_anywhere("armv7", ARM_CC, QEMU_ARM)


# ---- two models, of which one is called
def network_bytes(path, nm):
    """Symbols of both networks and their kernels in a linked program, and the bytes of its text and constants."""
    symbols = {line.split()[-1] for line in sh(nm, path).stdout.splitlines()}
    rows = [line.split() for line in sh(nm.replace("nm", "size"), "-A", path).stdout.splitlines()]
    return symbols, sum(int(r[1]) for r in rows if r and r[0] in (".text", ".rodata", ".network"))


def one_of_two(target, cc, more, nm):
    d = folder(f"two-{target}")
    o = {name: compiled(q, target, f"{d}/{name}") for name, q in (("first", f"{at}/q.8vo"), ("second", small))}
    with open(f"{d}/main.c", "w") as f:
        f.write('#include "second.h"\n' + ("void reset(void);\nvoid reset(void)" if more else "int main(void)") +
                "{ static int8_t x[8], y[4]; (void)second_run(x, y, x); for (;;) { } }\n")
    link = [*cc, "-O1", "-I", d, f"{d}/main.c", *more, "-Wl,--gc-sections,--fatal-warnings"]
    if not sh(*link, o["second"], "-o", f"{d}/one") or not sh(*link, o["first"], o["second"], "-o", f"{d}/two") \
            or not sh(*[x.replace(",--gc-sections", "") for x in link], o["first"], o["second"], "-o", f"{d}/all"):
        return
    (one, a), (two, b), (every, c) = (network_bytes(f"{d}/{x}", nm) for x in ("one", "two", "all"))
    t.check(one == two and not any(s.startswith("first_") for s in two), f"{target}: symbols of a model that nobody calls stay: {two - one}")
    t.check(a == b, f"{target}: a model that nobody calls takes {b - a} bytes")
    report = json.loads(read(f"{d}/first.json"))
    # the linker makes one of small constants that both models have
    t.check("first_run" in every and c - a >= 0.99 * (report["text_bytes"] + report["rodata_bytes"]), f"{target}: {c - a} bytes without --gc-sections, {report['text_bytes']} + {report['rodata_bytes']} reported")
    t.check("second_run" in one and "second_quantize_x" not in one, f"{target}: entries that nobody calls stay")


BARE = ["-nostartfiles", "-Wl,-e,reset,-z,noexecstack", "-Wl,-Ttext=0x8000", "-specs=nosys.specs"]
one_of_two("host", ["gcc"], [], "nm")
one_of_two("aarch64", ["aarch64-linux-gnu-gcc"], [], "aarch64-linux-gnu-nm")
one_of_two("cortex-m4", ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"], BARE, "arm-none-eabi-nm")

# ---- attributes of Arm objects: those that decide whether objects may be linked are those of gcc's object for the same processor
MUST = ("Tag_CPU_arch", "Tag_CPU_arch_profile", "Tag_THUMB_ISA_use", "Tag_ABI_VFP_args")


def attributes(path):
    return dict(re.findall(r"^ *(Tag_\w+): (.*)$", sh("arm-none-eabi-readelf", "-A", path).stdout, re.M))


targets = [x for x in run_json("targets")["targets"] if x["float_abi"]]
t.check(len(targets) > 5, "Arm targets")
for x in targets:
    name, hard = x["name"], x["float_abi"] == "hard"
    cc = ARM_CC if "linux" in x["triple"] else ["arm-none-eabi-gcc", f"-mcpu={x['cpu']}", "-mthumb", f"-mfloat-abi={'hard' if hard else 'soft'}"]
    d = folder(f"arm-{name}")
    o = compiled(small, name, f"{d}/net")
    with open(f"{d}/main.c", "w") as f:
        f.write('#include "net.h"\nfloat half(float x);\nfloat half(float x) { return 0.5f * x; }\n')
    if not sh(*cc, "-O1", "-c", "-I", d, f"{d}/main.c", "-o", f"{d}/main.o"):
        continue
    ours, theirs = attributes(o), attributes(f"{d}/main.o")
    t.check(("VFP registers" in ours.get("Tag_ABI_VFP_args", "")) == hard, f"{name}: float ABI: {ours.get('Tag_ABI_VFP_args')}")
    differ = {k: (ours.get(k), theirs.get(k)) for k in MUST if ours.get(k) != theirs.get(k)}
    t.check(not differ, f"{name}: attributes differ from gcc's: {differ}")
    header = sh("arm-none-eabi-readelf", "-h", o).stdout
    t.check("Version5 EABI" in header, f"{name}: not of the EABI")
    # Beside gcc's object it links; beside one that passes floats otherwise it does not, where the processor knows both ways.
    for abi in ("hard", "softfp") if hard and "linux" not in x["triple"] else (x["float_abi"],):
        if not sh(*[c for c in cc if "float-abi" not in c], f"-mfloat-abi={abi}", "-O1", "-c", "-I", d, f"{d}/main.c", "-o", f"{d}/{abi}.o"):
            continue
        p = subprocess.run([cc[0].replace("gcc", "ld"), "-e", "0", "-z", "noexecstack", "--fatal-warnings", "--unresolved-symbols=ignore-all", o,
                            f"{d}/{abi}.o", "-o", f"{d}/linked"], capture_output=True, text=True)
        t.check((p.returncode == 0) == (abi == x["float_abi"]), f"{name} beside {abi} float: exit {p.returncode}: {p.stderr[:300]}")
t.close()
