#!/usr/bin/env python3
"""The LLVM back end: interpreter == JIT == linked object of the host == aarch64 object under qemu, bit for bit, on int8 models and
their test inputs; values inside too. Objects need nothing but memcpy and memset; the module is not loaded by commands that do not
need it; without it, and out of memory, the command says so."""
import resource, shutil
from common import *

# name: (the model's own name for its input and output, inputs under qemu)
MODELS = {"kws_dscnn": 60, "ic_resnet8": 12, "ad_autoencoder": 60}
# What objects may need from outside, by suffix of the target.
ALLOWED = {"", "memcpy", "memset", "__aeabi_memcpy", "__aeabi_memclr", "__aeabi_memset"}

# Floats from stdin go through NAME_quantize_x, NAME_run; codes of the output go to stdout.
HARNESS = r"""
#include <stdio.h>
#include "net.h"
static float x[%(nin)d];
static int8_t q[%(nin)d], y[%(nout)d];
static _Alignas(64) unsigned char arena[NET_ARENA_SIZE];
int main(void) {
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_quantize_%(x)s(x, q);
        if (net_run(q, y, arena)) return 1;
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


def payload(path):
    """The elements of an npy file, and its shape."""
    raw = read(path)
    n = 10 + struct.unpack("<H", raw[8:10])[0]
    return raw[n:], ast.literal_eval(raw[10:n].decode())["shape"]


def elements(shape):
    n = 1
    for d in shape[1:]:
        n *= d
    return n


def undefined(path, nm="nm"):
    text = subprocess.run([nm, "-u", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines()}


def linked(d, cc, run_by, source, x):
    exe = os.path.join(d, "main")
    with open(os.path.join(d, "main.c"), "w") as f:
        f.write(source)
    subprocess.run([*cc, "-Wall", "-Werror", "-I", d, os.path.join(d, "main.c"), os.path.join(d, "net.o"), "-o", exe], check=True)
    with open(x, "rb") as f:
        return subprocess.run([*run_by, exe], input=payload(x)[0], capture_output=True, check=True).stdout


def one_model(t, name, few):
    cal, test, _ = FLOAT_MODELS[name]
    d, x = folder(name), data(test)
    q, a, b = os.path.join(d, "q.8vo"), os.path.join(d, "interp.npy"), os.path.join(d, "jit.npy")
    run("quantize", model(name), "--data", data(cal), "-o", q)
    run("run", q, "--input", x, "-o", a)
    run("run", q, "--input", x, "--engine", "jit", "-o", b)
    t.check(read(a) == read(b), f"{name}: JIT differs from the interpreter")
    small = head(x, os.path.join(d, "few.npy"), few)
    inside = run_json("compare", q, q, "--data", small, "--engine", "jit")["tensors"]
    t.check(len(inside) > 5 and all(v["max_abs"] == 0 for v in inside), f"{name}: values inside differ")

    want, yshape = payload(a)
    _, xshape = payload(x)
    begun = time.time()
    run("compile", q, "--emit", "obj", "-o", os.path.join(d, "host", "net"))
    seconds = time.time() - begun
    header = read(os.path.join(d, "host", "net.h")).decode()
    source = HARNESS % {"nin": elements(xshape), "nout": elements(yshape), "x": header.split("net_quantize_")[1].split("(")[0]}
    t.check(linked(os.path.join(d, "host"), ["gcc", "-std=c11"], [], source, x) == want, f"{name}: the host's object differs")
    run("compile", q, "--target", "aarch64", "--emit", "obj", "-o", os.path.join(d, "arm", "net"))
    got = linked(os.path.join(d, "arm"), ["aarch64-linux-gnu-gcc", "-std=c11", "-static"], ["qemu-aarch64"], source, small)
    t.check(len(got) == few * elements(yshape) and got == want[:len(got)], f"{name}: the aarch64 object differs")

    for target in "host", "x86-64-v3", "aarch64", "cortex-m4", "cortex-m55":
        to = os.path.join(d, target, "net")
        run("compile", q, "--target", target, "--emit", "obj", "-o", to)
        needs = undefined(to + ".o") - ALLOWED
        t.check(not needs, f"{name}: for {target} the object needs {needs}")
        t.check(not os.path.exists(to + ".c"), f"{name}: C was written beside the object")
    print(f"{name}: {xshape[0]} inputs by JIT and object, {few} on aarch64; object in {seconds:.2f} s", flush=True)
    return q


def limited(bytes_):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))


def misuse(t, q):
    d = folder("misuse")
    text = run("compile", q, "--emit", "llvm", "-o", "-")
    t.check("define i32 @" in text and "target datalayout" in text and "noalias" in text, "LLVM IR on stdout")
    ir = os.path.join(d, "net.ll")
    with open(ir, "w") as f:
        f.write(text)
    again = subprocess.run(["opt-19", "-passes=verify", "-disable-output", ir], capture_output=True, text=True)
    t.check(again.returncode == 0, "opt-19 refuses the IR: " + again.stderr[:400])
    run("compile", q, "--emit", "asm", "--target", "cortex-m4", "-o", os.path.join(d, "m4", "net"))
    t.check(b"net_run:" in read(os.path.join(d, "m4", "net.s")), "assembler has the entry")
    # The same bytes again, whatever folder they go to.
    for n in "1", "2":
        run("compile", q, "--emit", "obj", "--target", "cortex-m7", "-o", os.path.join(d, n, "net"))
    t.check(read(os.path.join(d, "1", "net.o")) == read(os.path.join(d, "2", "net.o")), "an object is not reproducible")
    bad = os.path.join(d, "bad", "net")
    for args in (["--emit", "llvm", "--cc", "gcc"], ["--emit", "asm", "--cflags", "-O1"], ["--emit", "obj", "-o", "-"],
                 ["--emit", "lib", "--target", "cortex-m4"], ["--emit", "obj", "--target", "cortex-m4", "--cflags", "-O1"]):
        run("compile", q, *(["-o", bad] if "-o" not in args else []), *args, expect=64)
    t.check(not os.path.exists(os.path.dirname(bad)), "a refused command left output")

    # A copy of the command without the module, or with the module of another version.
    alone = os.path.join(folder("alone"), "octavo")
    shutil.copy(octavo, alone)
    module = os.path.join(os.path.dirname(alone), "liboctavo_llvm.so")
    real = read(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so"))
    version = run("--version").split()[1].encode()

    def by_copy(*args):
        p = subprocess.run([alone, *args], capture_output=True, text=True)
        return p.returncode, p.stderr

    for what, told in (None, "not there"), (b"\x7fELF, no more", "not there"), (real.replace(version + b"\0", b"9" * len(version) + b"\0"), "is of octavo"):
        if os.path.exists(module):
            os.remove(module)
        if what is not None:
            with open(module, "wb") as f:
                f.write(what)
        for emit in "llvm", "asm", "obj":
            code, err = by_copy("compile", q, "--emit", emit, "--target", "aarch64", "-o", bad)
            t.check(code == 69 and told in err and "--emit c" in err, f"--emit {emit} without LLVM: exit {code}: {err}")
        code, err = by_copy("run", q, "--input", data("kws_test_f32"), "--engine", "jit", "-o", os.path.join(d, "no.npy"))
        t.check(code == 69 and told in err, f"--engine jit without LLVM: exit {code}: {err}")
        t.check(by_copy("compile", q, "-o", os.path.join(d, "c", "net"))[0] == 0, "C needs no LLVM")
        code, err = by_copy("compile", q, "--emit", "obj", "-o", os.path.join(d, "o", "net"))
        t.check(code == 0 and "note: " in err and "cc" in err, "an object by cc needs no LLVM, and is announced")
    t.check(not os.path.exists(os.path.dirname(bad)) and not os.path.exists(os.path.join(d, "no.npy")), "a failed command left output")

    # Out of memory: a message and its code, never a signal, nothing left. Around the least memory that suffices, in small steps;
    # far below it LLVM cannot even be loaded.
    codes = set()

    def with_kb(kb):
        p = subprocess.run([octavo, "compile", q, "--emit", "obj", "--target", "aarch64", "-o", bad], capture_output=True, text=True,
                           preexec_fn=limited(kb << 10))
        codes.add(p.returncode)
        if p.returncode == 0:
            shutil.rmtree(os.path.dirname(bad))
            return True
        return not t.check(p.returncode in (69, 71) and "octavo: " in p.stderr and not os.path.exists(os.path.dirname(bad)),
                           f"{kb} KB: exit {p.returncode}: {p.stderr[-300:]}")

    low, high = 40 << 10, 600 << 10
    while high - low > 256:
        mid = (low + high) // 2
        low, high = (low, mid) if with_kb(mid) else (mid, high)
    for kb in range(high - 16 * 512, high, 512):
        with_kb(kb)
    t.check(codes == {0, 69, 71}, f"limits of memory gave {codes}")

    # LLVM is loaded when it is needed, and start-up does not pay for it.
    best = 1
    for _ in range(20):
        begun = time.time()
        run("--version")
        best = min(best, time.time() - begun)
    t.check(best <= 0.010, f"octavo --version takes {best * 1000:.1f} ms")
    needed = subprocess.run(["readelf", "-d", octavo], capture_output=True, text=True, check=True).stdout
    t.check("LLVM" not in needed, "octavo links LLVM")
    print(f"exit codes under limits of memory: {sorted(codes)}; start-up {best * 1000:.1f} ms", flush=True)


def main():
    need_shared()
    if not os.path.exists(os.path.join(os.path.dirname(octavo), "liboctavo_llvm.so")):
        print("built without the LLVM back end")
        sys.exit(1 if os.environ.get("CI") else 77)
    t = Tally()
    made = [one_model(t, name, few) for name, few in MODELS.items()]
    misuse(t, made[0])
    t.close()


main()
