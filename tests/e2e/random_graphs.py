#!/usr/bin/env python3
"""Random integer graphs: the same bytes from the interpreter, compiled C and the LLVM back end's objects, on this machine, on 64- and
32-bit Arm Linux and on Cortex-M boards.

Makes OCTAVO_GRAPHS graphs (default 300; graphs.py), in batches of 50; a program runs all graphs of a batch and compares with the
interpreter's outputs, and looks that nothing is written beside outputs and arena. Prints how many graphs each executor ran, and how
often each op and attribute occurred. Fails on any difference and any refusal, and when an op with an integer form occurred fewer than 20
times. OCTAVO_SEED chooses the series; a failing graph is kept and named."""
import collections, dataclasses, os, random, re, shutil, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
from common import Tally, folder, npy_read, npy_write, octavo, run_json, source
from graphs import NPY, Graph, codes
from machines import AARCH64, ARMHF, BOARDS, CORTEX_M, CPU_FLAGS, HOST, M4, M55, Machine

count, seed0 = int(os.environ.get("OCTAVO_GRAPHS", 300)), int(os.environ.get("OCTAVO_SEED", 1))
BATCH, SAMPLES = 50, 3
NOT_INTEGER = {"input", "const", "batchnorm", "observe", "div", "less", "equal", "where", "dynamic_quantize", "lstm", "gru", "gather"}  # rows without an integer form
WANTED = 20
C_TYPE = {"|i1": "int8_t", "|u1": "uint8_t", "<i2": "int16_t", "<f4": "float"}
INPUTS = os.path.join(source, "tests", "e2e", "Inputs")


@dataclasses.dataclass(frozen=True)
class Executor:
    name: str
    machine: Machine       # None: JIT
    batches: range         # of each ten batches
    cc: str = None         # compiles the graphs' C; None: the LLVM back end makes objects
    target: str = None     # other than the machine's
    image: int = BATCH     # graphs in one program
    share: int = BATCH     # graphs of each batch


ALL, BOARD_BATCH = range(10), range(1)
AVX2 = range(1, 10, 2) if "avx2" in CPU_FLAGS else range(0)  # every other batch by vectors
PLAIN = range(0, 10, 2) if AVX2 else ALL
EXECUTORS = [
    Executor("C, gcc", HOST, PLAIN, "gcc -O1", "c99"),
    Executor("C, gcc, x86-64-v3", HOST, AVX2, "gcc -O1", "x86-64-v3"),
    Executor("LLVM object", HOST, PLAIN),
    Executor("LLVM object, x86-64-v3", HOST, AVX2, target="x86-64-v3"),
    Executor("aarch64, LLVM object", AARCH64, ALL),
    Executor("aarch64 with dotprod, LLVM object", AARCH64, range(1, 2), target="aarch64-dotprod"),
    Executor("JIT", None, range(2, 3)),
    Executor("aarch64, C", AARCH64, range(3, 4), AARCH64.cc + " -O2"),
    Executor("aarch64 with i8mm, LLVM object", AARCH64, range(5, 6), target="aarch64-i8mm"),
    Executor("armhf, C", ARMHF, range(4, 5), ARMHF.cc + " -O2"),
    Executor("armhf, LLVM object", ARMHF, range(4, 5)),
]
for machine in BOARDS:
    how = {"image": 10 if machine is M55 else BATCH,  # its board has 512 KB for code and constants
           "share": BATCH if machine in (M4, M55) else 20}
    EXECUTORS += [Executor(f"{machine.target}, C", machine, BOARD_BATCH, machine.cc + " -O1", **how),
                  Executor(f"{machine.target}, LLVM object", machine, BOARD_BATCH, **how)]

t, lock = Tally(), threading.Lock()
coverage, ran = collections.Counter(), collections.Counter()
failed = set()


class Case:
    """A graph with inputs and the interpreter's outputs, in a folder of its own."""
    def __init__(self, i):
        self.i, self.name = i, f"g{i}"
        g = Graph(seed0 * 1000003 + i)
        text, self.outputs = g.build()
        self.folder, self.inputs = folder(self.name), [v.name for v in g.inputs]
        self.samples = SAMPLES if g.batch == "N" else 1
        with open(self.path("g.8vo"), "w") as f:
            f.write(text)
        rng = random.Random(i)
        for v in g.inputs:
            data, shape = codes(v, rng, SAMPLES)
            npy_write(self.path(v.name + ".npy"), NPY[v.dtype][0], shape, data)
        with lock:
            coverage.update(g.used)

    def path(self, name):
        return os.path.join(self.folder, name)

    def check(self, ok, what):
        with lock:
            if not t.check(ok, f"{self.name} ({self.path('g.8vo')}): {what}"):
                failed.add(self.i)
        return ok

    def octavo(self, *args):
        p = subprocess.run([octavo, args[0], self.path("g.8vo"), *args[1:]], capture_output=True, text=True)
        return self.check(p.returncode == 0, f"{' '.join(args)}: exit {p.returncode}: {p.stderr.strip()[:400]}")

    def run(self, engine):
        """The outputs: element type and bytes of each; None when that failed."""
        x = [a for i in self.inputs for a in ("--input", f"{i}={self.path(i)}.npy")]
        y = [a for o in self.outputs for a in ("-o", f"{o}={self.path(o)}.{engine}.npy")]
        return self.octavo("run", "--engine", engine, *x, *y) and [npy_read(self.path(f"{o}.{engine}.npy")) for o in self.outputs]

    def interpret(self):
        self.want = self.run("interp")
        return bool(self.want)


def split(data, samples):
    n = len(data) // samples
    return [data[i * n:(i + 1) * n] for i in range(samples)]


def write_program(d, cases):
    """graphs.h and data.bin of Inputs/graphs.c for graphs whose headers stand in d."""
    heads, calls, rows, blob, most_output, gap = [], [], [], bytearray(), 0, 64
    for c in cases:
        given = [npy_read(c.path(f"{i}.npy")) for i in c.inputs]
        ports = [[split(data, c.samples) for _, _, data in side] for side in (given, c.want)]
        x = [f"({'const ' + C_TYPE[kind]} *)x[{k}]" for k, (kind, _, _) in enumerate(given)]
        y = [f"({C_TYPE[kind]} *)y[{k}]" for k, (kind, _, _) in enumerate(c.want)]
        sizes = ["{" + ", ".join(str(len(s[0])) for s in side) + "}" for side in ports]
        heads.append(f'#include "{c.name}.h"\n')
        calls.append(f"static int call_{c.name}(const void *const *x, void *const *y, void *arena) {{ return {c.name}_run({', '.join(x + y)}, arena); }}\n")
        rows.append(f'    {{"{c.name}", call_{c.name}, {c.name.upper()}_ARENA_SIZE, {c.samples}, {sizes[0]}, {sizes[1]}}},\n')
        for s in range(c.samples):
            for piece in (p[s] for side in ports for p in side):
                blob += piece + bytes(-len(piece) % gap)
        most_output = max(most_output, sum(len(s[0]) + 2 * gap for s in ports[1]))
    with open(f"{d}/data.bin", "wb") as f:
        f.write(blob)
    arena = "union { " + " ".join(f"char {c.name}[{c.name.upper()}_ARENA_SIZE + 1];" for c in cases) + " }"
    with open(f"{d}/graphs.h", "w") as f:
        f.writelines(heads + calls + ["static const struct graph graphs[] = {\n", *rows, "};\n"])
        f.write(f"enum {{ MOST_OUTPUT = {most_output}, MOST_ARENA = sizeof({arena}) }};\n")


def run_image(e, d, cases):
    """One program with these graphs, by executor e."""
    emit = ["--emit", "c" if e.cc else "obj"]
    cases = [c for c in cases if c.octavo("compile", "--io", "float", "--target", e.target or e.machine.target, *emit, "-o", f"{d}/{c.name}")]
    if not cases:
        return
    write_program(d, cases)
    flags = ["-Wall", "-Werror", "-I", d, f"-Wa,-I,{d}"] + (["-DBOARD", "-I", CORTEX_M] if e.machine in BOARDS else [])
    files = [f"{d}/{c.name}.{'c' if e.cc else 'o'}" for c in cases]
    machine = dataclasses.replace(e.machine, cc=e.cc) if e.cc else e.machine
    ok, said = machine.build(f"{d}/program", f"{INPUTS}/graphs.c", f"{INPUTS}/graphs.S", *files, flags=flags)
    if not t.check(ok, f"{e.name} in {d}: {said}"):
        return failed.update(c.i for c in cases)
    code, text = machine.run(f"{d}/program")
    wrong = dict(re.findall(r"^(g\d+) (\d+)$", text, re.M))
    for c in cases:
        c.check(wrong.get(c.name) == "0", f"{e.name}: " + (f"{wrong[c.name]} bytes differ" if c.name in wrong else f"did not run: exit {code}: {text[-400:]}"))
        ran[e.name] += c.name in wrong
    t.check(code == 0, f"{e.name} in {d}: exit {code}")


def run_jit(cases):
    for c in cases:
        c.check(c.run("jit") == c.want, "JIT differs")
        ran["JIT"] += 1


def run_batch(first):
    cases = [c for c in map(Case, range(first, min(first + BATCH, count))) if c.interpret()]
    for e in EXECUTORS:
        if first // BATCH % 10 not in e.batches:
            continue
        if not e.machine:
            run_jit(cases)
            continue
        for at in range(0, min(len(cases), e.share), e.image):
            d = folder(f"batch{first}-{re.sub(r'[^a-z0-9A-Z]+', '-', e.name)}-{at}")
            run_image(e, d, cases[at:min(at + e.image, e.share)])
            if not failed.intersection(c.i for c in cases):
                shutil.rmtree(d)
    for c in cases:
        if c.i not in failed:
            shutil.rmtree(c.folder)


def main():
    for e in EXECUTORS:
        if e.machine:
            e.machine.need()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run_batch, range(0, count, BATCH)))
    table = run_json("ops")
    rows = [o["name"] for o in (table["ops"] if isinstance(table, dict) else table)]
    print("op x attribute coverage:")
    for op in rows:
        attrs = "  ".join(f"{k.split('.')[1]} {v}" for k, v in sorted(coverage.items()) if k.startswith(op + "."))
        print(f"  {op:12} {coverage[op]:5}  {attrs}")
    for e in EXECUTORS:
        print(f"{e.name}: {ran[e.name]} graphs")
    print(f"{count} graphs, {len(failed)} failed")
    if count >= 300:
        rare = [op for op in rows if op not in NOT_INTEGER and coverage[op] < WANTED]
        t.check(not rare, f"seen fewer than {WANTED} times: {', '.join(rare)}")
    t.close()


main()
