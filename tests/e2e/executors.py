#!/usr/bin/env python3
"""The same bits everywhere: every shared network, quantized by octavo itself, and the digits example, by every executor: the C under
two compilers, the LLVM back end's objects and its JIT, on this machine, on 32- and 64-bit Arm Linux, on Cortex-M boards. Each
cell is the number of output codes that are not the interpreter's, over the number of test inputs; each comes from a program that was
built and run here. All must be 0. OCTAVO_INPUTS=N: N inputs in every cell, as far as the test data go."""
import dataclasses, os, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from common import FLOAT_MODELS, Tally, data, folder, model, need_shared, octavo, read, run, run_json, source
from machines import AARCH64, ARMHF, BOARDS, CPU_FLAGS, HOST, M0PLUS, M33, M4, M55, M7, Machine

DIGITS = os.path.join(source, "examples", "digits", "digits")
# column: model, calibration data, test data
NETS = {"digits": (DIGITS + ".8vo", DIGITS + "_cal.npy", DIGITS + "_test.npy")}
for column, name in {"ad": "ad_autoencoder", "kws": "kws_dscnn", "kws_folded": "kws_dscnn_folded", "ic": "ic_resnet8", "resnet20": "resnet20_cifar10",
                     "vww": "vww_mobilenetv1_025_96", "sww": "sww_streaming"}.items():
    NETS[column] = model(name), data(FLOAT_MODELS[name][0]), data(FLOAT_MODELS[name][1])
HERE, QEMU_USER, BOARD = 300, 12, 3  # inputs in a cell


@dataclasses.dataclass(frozen=True)
class Executor:
    name: str
    machine: Machine = None  # None: JIT
    inputs: int = HERE
    target: str = None       # other than the machine's
    cc: str = None           # compiles the network's C; None: the LLVM back end makes the object
    needs: str = ""          # of this machine's processor, as /proc/cpuinfo calls it


def by_c(name, machine, inputs, **kw):
    return Executor(name, machine, inputs, cc=kw.pop("cc", machine.cc), **kw)


def both(name, machine, inputs):
    """C by the machine's own compiler, and the LLVM back end's object."""
    return by_c(f"{name}, C", machine, inputs), Executor(f"{name}, LLVM object", machine, inputs)


EXECUTORS = (
    by_c("C, gcc", HOST, HERE, target="c99"),
    by_c("C, clang-19", HOST, HERE, target="c99", cc="clang-19"),
    by_c("C, gcc, x86-64-v3", HOST, HERE, target="x86-64-v3", needs="avx2"),
    by_c("C, clang-19, x86-64-v3", HOST, HERE, target="x86-64-v3", cc="clang-19", needs="avx2"),
    Executor("LLVM object", HOST),
    Executor("LLVM object, x86-64-v2", HOST, target="x86-64-v2", needs="sse4_2"),
    Executor("LLVM object, x86-64-v3", HOST, target="x86-64-v3", needs="avx2"),
    Executor("LLVM object, x86-64-v4", HOST, target="x86-64-v4", needs="avx512bw"),
    Executor("LLVM object, x86-64-v4-vnni", HOST, target="x86-64-v4-vnni", needs="avx512_vnni"),
    Executor("JIT"),
    *both("aarch64", AARCH64, QEMU_USER),
    Executor("aarch64 with dotprod, LLVM object", AARCH64, QEMU_USER, target="aarch64-dotprod"),
    Executor("aarch64 with i8mm, LLVM object", AARCH64, QEMU_USER, target="aarch64-i8mm"),
    *both("armhf", ARMHF, QEMU_USER),
    *both("Cortex-M0+ (run by an M3)", M0PLUS, BOARD),
    *both("Cortex-M4", M4, BOARD),
    *both("Cortex-M7", M7, BOARD),
    *both("Cortex-M33", M33, BOARD),
    *both("Cortex-M55", M55, BOARD),
)
t = Tally()


def embed(net, count):
    """A folder with the quantized network, its first `count` test inputs and the interpreter's codes for them; how many they are."""
    m, cal, test = NETS[net]
    count = int(os.environ.get("OCTAVO_INPUTS", count))
    to = folder(net, f"inputs-{count}")
    if not os.path.exists(f"{to}/samples.h"):
        q = os.path.join(folder(net), "q.8vo")
        if not os.path.exists(q):
            run("quantize", m, "--data", cal, "-o", q)
        subprocess.run([sys.executable, f"{source}/examples/embed.py", octavo, q, cal, test, str(count), to], check=True, stderr=subprocess.DEVNULL)
        t.check(len(set(read(f"{to}/codes.bin"))) > 1, f"{net}: the interpreter gives one code only")
    return to, int(re.search(r"SAMPLES = (\d+)", read(f"{to}/samples.h").decode())[1])


def jit(net, e):
    at, n = embed(net, e.inputs)
    run("run", f"{at}/q.8vo", "--engine", "jit", "--input", f"{at}/x.npy", "-o", f"{at}/jit.npy")
    a, b = read(f"{at}/y.npy"), read(f"{at}/jit.npy")
    return (sum(x != y for x, y in zip(a, b)) if len(a) == len(b) else None), n


def build(net, e):
    """The path of the program that compares, and how many inputs it holds."""
    at, n = embed(net, e.inputs)
    to = folder(net, re.sub(r"\W+", "-", e.name))
    how = ["--cc", e.cc, "--cflags", "-O3"] if e.cc else []
    run("compile", f"{at}/q.8vo", "--target", e.target or e.machine.target, "--emit", "obj", *how, "-o", f"{to}/net")
    quantize = re.search(r"net_quantize_\w+", read(f"{to}/net.h").decode())[0]
    main = "cortex-m" if e.machine in BOARDS else "linux-arm"
    ok, said = e.machine.build(f"{to}/program", f"{source}/examples/{main}/main.c", f"{source}/examples/samples.S", f"{to}/net.o",
                               flags=["-Wall", "-Werror", "-I", to, "-I", at, f"-Wa,-I,{at}", f"-DQUANTIZE={quantize}"])
    return (f"{to}/program", n) if t.check(ok, f"{net} by {e.name} does not link: {said}") else (None, n)


def counted(machine, program):
    """How many codes the program says differ, out of how many inputs; it exits as it says."""
    code, said = machine.run(program)
    got = dict(re.findall(r"(inputs|differing codes): (\d+)", said))
    wrong = int(got.get("differing codes", -1))
    return (wrong, int(got["inputs"])) if wrong >= 0 and code == (wrong != 0) else (None, f"exit {code}: {said[-500:]}")


def cell(net, e):
    if e.machine is None:
        wrong, n = jit(net, e)
        return f"{wrong} / {n}" if t.check(wrong == 0, f"{net} by {e.name}: {wrong} codes differ") else f"**{wrong}** / {n}"
    program, n = build(net, e)
    wrong, said = counted(e.machine, program) if program else (None, "no program")
    if net == "digits" and program:  # the comparison notices one code
        image, codes = bytearray(read(program)), read(f"{embed(net, e.inputs)[0]}/codes.bin")
        image[image.index(codes)] ^= 1
        with open(f"{program}-flipped", "wb") as f:
            f.write(image)
        os.chmod(f"{program}-flipped", 0o755)
        flipped = counted(e.machine, f"{program}-flipped")
        t.check(flipped == (1, n), f"{net} by {e.name} with one expected code changed: {flipped}")
    return f"{wrong} / {n}" if t.check((wrong, said) == (0, n), f"{net} by {e.name}: {wrong}, {said}") else f"**{wrong}** / {n}"


def row(e):
    if e.needs and e.needs not in CPU_FLAGS:
        return f"| {e.name} (this processor has no {e.needs}) |" + " not here |" * len(NETS)
    return f"| {e.name} | " + " | ".join(cell(net, e) for net in NETS) + " |"


def main():
    need_shared()
    if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
        sys.exit("built without the LLVM back end")
    for machine in {e.machine for e in EXECUTORS} - {None}:
        machine.need()
    for target in run_json("targets")["targets"]:
        t.check(any(target["name"] == (e.target or e.machine.target) for e in EXECUTORS if e.machine), f"no executor for target {target['name']}")
    for net in NETS:
        for n in HERE, QEMU_USER, BOARD:
            embed(net, n)
    print("| executor | " + " | ".join(NETS) + " |\n|---|" + "---|" * len(NETS))
    print("| interpreter: the reference | " + " | ".join(f"{embed(net, HERE)[1]} inputs" for net in NETS) + " |", flush=True)
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(row, EXECUTORS):
            print(line, flush=True)
    t.close()


main()
