"""Inner loops of the vector kernels keep their sums in registers: what gcc, clang and LLVM make of some layers is read, and moves of
vectors to and from the stack are counted in every innermost loop that multiplies. For AVX2 and for VNNI."""
import os, re, subprocess

from common import Tally, folder, read, run

LAYERS = {  # input's shape, weights' shape, attributes; weights of "bytes" are small enough for sums of 16 bits
    "conv3x3": ("64,14,14", "64,64,3,3", "pad=same"),
    "conv1x1": ("128,14,14", "128,128,1,1", ""),
    "strassen": ("256,14,14", "256,256,1,1", ""),
    "bytes": ("128,14,14", "128,128,1,1", ""),
    "first": ("3,33,33", "32,3,3,3", "stride=2"),
    "depthwise": ("64,14,14", "64,1,3,3", "pad=same groups=64"),
    "dense": ("640", "128,640", None),
}
TARGETS = ("x86-64-v3", "x86-64-v4-vnni")
# Moves that are allowed for each multiplication, and where a loop is known to have more.
BY = {"gcc": 0.1, "clang-19": 0.1, "llvm": 0.1}
MORE = {("first", "clang-19"): 0.75, ("first", "llvm"): 0.75, ("dense", "gcc"): 0.25, ("dense", "clang-19"): 0.25, ("dense", "llvm"): 0.5, ("bytes", "clang-19"): 0.25,
        ("strassen", "gcc"): 0.25, ("strassen", "clang-19"): 0.2, ("first", "gcc"): 0.2, ("conv3x3", "gcc"): 0.2,
        ("depthwise", "gcc"): 0.15, ("depthwise", "clang-19"): 0.9, ("depthwise", "llvm"): 0.9}

PRODUCT = re.compile(r"\sv(pmaddwd|pmaddubsw|pdpbusd|pdpwssd|pmuldq|pmulld|fmadd\w+)\s")
SPILL = re.compile(r"%[xyz]mm.*\(%r[sb]p|\(%r[sb]p[^)]*\).*%[xyz]mm")


def text(shape, weights, how, within="(-127,128)"):
    op = "dense(x, @w, @b)" if how is None else f"conv2d(x, @w, @b) {how}"
    last = "" if how is None else "z = transpose(y) perm=(0,2,3,1)\n"  # the layer writes as inner ones do
    return f"""octavo 1
model m
input x : i8[N,{shape}] scale=0.05 zero=3
const @w : i8[{weights}] scale=0.01 = random seed=1 within={within}
const @b : i32[{weights.split(",")[0]}] = random seed=2 within=(-2000,2000)
y : i8 scale=0.5 zero=-4 = {op}
{last}output {"z" if last else "y"}
"""


def functions(assembler):
    name, body = None, []
    for line in assembler.splitlines():
        label = re.match(r"([A-Za-z_][\w.]*):", line)
        if label:
            yield name, body
            name, body = label.group(1), []
        else:
            body.append(line.split("#")[0])
    yield name, body


def innermost(body):
    at, loops = {}, []
    for i, line in enumerate(body):
        label, jump = re.match(r"(\.L\w+):", line), re.match(r"\s+j\w+\s+(\.L\w+)", line)
        if label:
            at[label.group(1)] = i
        elif jump and jump.group(1) in at:
            loops.append((at[jump.group(1)], i))
    return [body[a:b] for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)]


t = Tally()
for name, layer in LAYERS.items():
    d = folder(name)
    m = os.path.join(d, "m.8vo")
    with open(m, "w") as f:
        f.write(text(*layer, *["(-1,2)"][name != "bytes":]))
    for target in TARGETS[name in ("conv3x3", "conv1x1"):]:  # vector_asm.py reads those for AVX2
        for by in BY:
            allowed = MORE.get((name, by), BY[by])
            at = os.path.join(d, target, "m")
            run("compile", m, "--target", target, "--emit", "asm" if by == "llvm" else "c", "-o", at)
            if by != "llvm":
                subprocess.run([by, "-O2", "-S", "-o", at + ".s", at + ".c"], check=True)
            products = spills = 0
            for function, body in functions(read(at + ".s").decode()):
                for loop in innermost(body):
                    n, s = (sum(bool(what.search(line)) for line in loop) for what in (PRODUCT, SPILL))
                    if n < 4:
                        continue
                    products, spills = products + n, spills + s
                    t.check(s <= allowed * n, f"{name} for {target} by {by}: {function} has a loop of {n} products and {s} spills")
            print(f"{name:10} {target:15} {by:9} {products:4} products, {spills} moves to and from the stack", flush=True)
            fused = read(at + ".s").count(b"vpdpwssd")  # a step of pairs in one instruction
            t.check(fused > 0 or name != "depthwise" or target != "x86-64-v4-vnni", f"{name} for {target} by {by}: no vpdpwssd")
            t.check(products, f"{name} for {target} by {by}: no loop multiplies vectors")
t.close()
