#!/usr/bin/env python3
"""What goes wrong around the LLVM back end: machines that it does not know or that lack what the kernels use, its module absent, broken or
of another version, memory, files and disks that end. Each time a message, its own exit code, and not a file: what stood there before
stays. And start-up: a command that needs no LLVM does not load it."""
import re, resource, shutil, signal
from common import *

t = Tally()
MODULE = os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")
if not os.path.exists(MODULE):
    print("built without the LLVM back end")
    sys.exit(1 if os.environ.get("CI") else 77)
DIGITS = os.path.join(source, "examples", "digits", "digits")
d = folder("m")
q = os.path.join(d, "q.8vo")
run("quantize", DIGITS + ".8vo", "--data", DIGITS + "_cal.npy", "-o", q)
BEFORE = {"net.o": b"old object", "net.h": b"old header", "net.json": b"old report"}


def place():
    """A folder in which something stands already; its prefix."""
    to = os.path.join(d, "out")
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    for name, old in BEFORE.items():
        with open(os.path.join(to, name), "wb") as f:
            f.write(old)
    return os.path.join(to, "net")


def holds(to, what):
    """The folder of a prefix holds what stood there before, and nothing else."""
    there = os.path.dirname(to)
    got = {name: read(os.path.join(there, name)) for name in os.listdir(there)}
    return t.check(got == BEFORE, f"{what}: files are {sorted(got)}, or not what they were")


def refused(what, code, told, *args, command=octavo, **kw):
    """The command fails with that code (or one of them), says so in that many words, and leaves what was there."""
    to = place()
    p = subprocess.run([command, "compile", q, "--emit", "obj", "-o", to, *args], capture_output=True, text=True, **kw)
    codes = code if isinstance(code, tuple) else (code,)
    t.check(p.returncode in codes and all(w in p.stderr for w in ("octavo: ", *told)) and len(p.stderr) < 2000, f"{what}: exit {p.returncode}: {p.stderr[:500]}")
    holds(to, what)
    return p.returncode


# ---- machines
for what, told, args in (
        ("unknown name", ["there is no target 'cortex-m99'"], ["--target", "cortex-m99"]),
        ("unknown triple", ["there is no target 'sparc-unknown-linux-gnu'"], ["--target", "sparc-unknown-linux-gnu"]),
        ("unknown system", ["there is no target 'x86_64-pc-windows-msvc'"], ["--target", "x86_64-pc-windows-msvc"])):
    refused(what, 64, told, *args)
for what, told, args in (
        ("unknown cpu", ["cpu cortex-m99", "'cortex-m99' is not a recognized processor"], ["--target", "cortex-m4", "--cpu", "cortex-m99"]),
        ("unknown feature", ["'+warp' is not a recognized feature"], ["--target", "aarch64", "--features", "+warp"]),
        ("no 64 bits", ["target x86-64-v2, cpu i386", "64-bit code requested"], ["--target", "x86-64-v2", "--cpu", "i386"]),
        ("no FPU", ["target cortex-m4", "features -vfp2sp", "Cannot select"], ["--target", "cortex-m4", "--features=-vfp2sp"]),
        ("no Thumb", ["features -thumb-mode", "does not support ARM mode"], ["--target", "cortex-m4", "--features=-thumb-mode"])):
    refused(what, 69, ["[E6008]" if "recognized" in told[-1] or "ARM mode" in told[-1] else "LLVM cannot make code", "choose a --cpu", *told], *args)

# ---- the module
alone = os.path.join(folder("alone"), "octavo")
copied = os.path.join(os.path.dirname(alone), os.path.basename(MODULE))
shutil.copy(octavo, alone)
real, version = read(MODULE), run("--version").split()[1].encode()
other = real.replace(version + b"\0", b"9" * len(version) + b"\0")
t.check(other != real, "the module does not hold its version")
for what, bytes_, told in ("absent", None, "not there"), ("broken", b"\x7fELF, no more", "not there"), ("another version", other, f"is of octavo {'9' * len(version)}"):
    if os.path.exists(copied):
        os.remove(copied)
    if bytes_ is not None:
        with open(copied, "wb") as f:
            f.write(bytes_)
    for args in ["--target", "aarch64"], ["--target", "aarch64", "--emit", "asm"], ["--target", "cortex-m4", "--emit", "lib"], ["--emit", "llvm"]:
        refused(f"module {what}", 69, ["[E7006]", told, "--emit c"], *args, command=alone)
    made = os.path.join(d, "no.npy")
    p = subprocess.run([alone, "run", q, "--input", DIGITS + "_test.npy", "--engine", "jit", "-o", made], capture_output=True, text=True)
    t.check(p.returncode == 69 and told in p.stderr and not os.path.exists(made), f"module {what}: --engine jit: exit {p.returncode}: {p.stderr[:500]}")
    p = subprocess.run([alone, "compile", q, "-o", os.path.join(d, "c", "net")], capture_output=True, text=True)
    t.check(p.returncode == 0, f"module {what}: C needs no LLVM: {p.stderr[:500]}")
    p = subprocess.run([alone, "compile", q, "--emit", "obj", "-o", os.path.join(d, "o", "net")], capture_output=True, text=True)
    t.check(p.returncode == 0 and "note: " in p.stderr and "cc" in p.stderr, f"module {what}: this machine's object by cc: {p.stderr[:500]}")

# ---- start-up: what LLVM would cost is not paid, with the module beside the command or without it
os.remove(copied)
times = {}
for what, command in ("with", octavo), ("without", alone):
    times[what] = 1
    for _ in range(30):
        begun = time.time()
        subprocess.run([command, "--version"], capture_output=True, check=True)
        times[what] = min(times[what], time.time() - begun)
    t.check(times[what] <= 0.010, f"octavo --version {what} the module takes {times[what] * 1000:.1f} ms")
needed = subprocess.run(["readelf", "-d", octavo], capture_output=True, text=True, check=True).stdout
t.check("LLVM" not in needed, "octavo links LLVM")

# ---- files that cannot be made, disks that are full
for what, path in ("a file as folder", os.path.join(q, "net")), ("no such device", "/proc/octavo/net"):
    p = subprocess.run([octavo, "compile", q, "--emit", "obj", "-o", path], capture_output=True, text=True)
    t.check(p.returncode == 73 and "[E7004]" in p.stderr, f"{what}: exit {p.returncode}: {p.stderr[:500]}")
to = place()
os.remove(to + ".o")
os.makedirs(to + ".o")  # in the way of the rename
p = subprocess.run([octavo, "compile", q, "--emit", "obj", "-o", to], capture_output=True, text=True)
t.check(p.returncode == 73 and read(to + ".h") == BEFORE["net.h"] and os.listdir(to + ".o") == [] and len(os.listdir(os.path.dirname(to))) == 3,
        f"a folder in the way: exit {p.returncode}: {p.stderr[:500]}, {os.listdir(os.path.dirname(to))}")
for size in 0, 100, 4096, 16384:
    refused(f"files of {size} bytes at most", 74, ["[E7005]", "net.o"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
for text in "llvm", "asm":
    with open("/dev/full", "w") as full_disk:
        p = subprocess.run([octavo, "compile", q, "--emit", text, "-o", "-"], stdout=full_disk, stderr=subprocess.PIPE, text=True)
    t.check(p.returncode == 74 and "octavo: error" in p.stderr, f"--emit {text} to a full disk: exit {p.returncode}: {p.stderr[:500]}")

# Every write, close and rename of a run fails in turn.
shim = os.path.join(d, "faults.so")
subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, os.path.join(source, "tests", "e2e", "Inputs", "faults.c"), "-ldl"], check=True)
if b"__asan" not in read(octavo):
    new = place()
    run("compile", q, "--emit", "obj", "-o", new)
    NEW = {name: read(os.path.join(os.path.dirname(new), name)) for name in BEFORE}
    for call, expected, least in ("write", 74, 3), ("close", 74, 3), ("rename", 73, 0):  # of two ways to rename, one is left
        failed = 0
        for n in range(1, 100):
            to = place()
            log = os.path.join(d, "log")
            if os.path.exists(log):
                os.remove(log)
            p = subprocess.run([octavo, "compile", q, "--emit", "obj", "-o", to], capture_output=True, text=True,
                               env=dict(os.environ, LD_PRELOAD=shim, FAULT_CALL=call, FAULT_AT=str(n), FAULT_LOG=log))
            there = {name: read(os.path.join(d, "out", name)) for name in os.listdir(os.path.join(d, "out"))}
            t.check(p.returncode in (0, expected) and (p.stderr or not p.returncode) and there == (BEFORE if p.returncode else NEW),
                    f"{call} {n} failed: exit {p.returncode}: {p.stderr[:300]}, {sorted(there)}")
            failed += p.returncode != 0
            if os.path.exists(log) and int(read(log)) < n:
                break
        t.check(failed >= least, f"{call}: only {failed} faults were noticed")

    # ---- memory: around the least that suffices, in small steps, and allocations that fail here and there. A message, never a signal;
    # far below it LLVM cannot even be loaded.
    codes = set()

    def limit(kb):
        return lambda: resource.setrlimit(resource.RLIMIT_AS, (kb << 10, kb << 10))

    def suffices(kb):
        to = place()
        p = subprocess.run([octavo, "compile", q, "--emit", "obj", "--target", "aarch64", "-o", to], capture_output=True, text=True, preexec_fn=limit(kb))
        loader = p.returncode == 127 and "thread-local data" in p.stderr  # the dynamic loader's own end, which nobody can catch
        if not loader:
            codes.add(p.returncode)
        if p.returncode == 0:
            return True
        t.check(loader or p.returncode in (69, 71) and "octavo: " in p.stderr, f"{kb} KB: exit {p.returncode}: {p.stderr[-300:]}")
        holds(to, f"{kb} KB")
        return False

    low, high = 40 << 10, 600 << 10
    while high - low > 512:
        mid = (low + high) // 2
        low, high = (low, mid) if suffices(mid) else (mid, high)
    for kb in range(high - 10 * 512, high, 512):
        suffices(kb)
    t.check(codes == {0, 69, 71}, f"limits of memory gave {codes}")
    env = dict(os.environ, LD_PRELOAD=shim, FAULT_CALL="malloc", FAULT_STICKY="1")
    seen = set()  # 127: the dynamic loader's, which ends the process when it has no memory
    for n in [100 * 4**k for k in range(7)] + [150000 + 40011 * k for k in range(4)]:
        to = place()
        p = subprocess.run([octavo, "compile", q, "--emit", "obj", "-o", to], capture_output=True, text=True, env=dict(env, FAULT_AT=str(n)))
        seen.add(p.returncode)
        if t.check(p.returncode in (0, 69, 71, 127) and (p.stderr or not p.returncode), f"malloc {n} failed: exit {p.returncode}: {p.stderr[-300:]}") and p.returncode:
            holds(to, f"malloc {n} failed")
    t.check(71 in seen, f"failing allocations gave {seen}")
    print(f"exit codes under limits of memory {sorted(codes)}, of failing allocations {sorted(seen)}")
print("octavo --version: " + ", ".join(f"{s * 1000:.1f} ms {what} the module" for what, s in times.items()))
t.close()
