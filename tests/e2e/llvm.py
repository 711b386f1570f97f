#!/usr/bin/env python3
"""The LLVM back end: the values inside int8 models are the interpreter's, bit for bit (outputs: executors.py). Objects need nothing but
memcpy and memset; the module is not loaded by commands that do not need it; without it, and out of memory, the command says so."""
import resource, shutil
from common import *

# name: inputs
MODELS = {"kws_dscnn": 60, "ic_resnet8": 12, "ad_autoencoder": 60}
# What objects may need from outside, by suffix of the target.
ALLOWED = {"", "memcpy", "memset", "__aeabi_memcpy", "__aeabi_memclr", "__aeabi_memset"}


def undefined(path, nm="nm"):
    text = subprocess.run([nm, "-u", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines()}


def one_model(t, name, few):
    cal, test, _ = FLOAT_MODELS[name]
    d = folder(name)
    q, small = os.path.join(d, "q.8vo"), head(data(test), os.path.join(d, "few.npy"), few)
    run("quantize", model(name), "--data", data(cal), "-o", q)
    inside = run_json("compare", q, q, "--data", small, "--engine", "jit")["tensors"]
    t.check(len(inside) > 5 and all(v["max_abs"] == 0 for v in inside), f"{name}: values inside differ")
    for target in "host", "x86-64-v3", "aarch64", "cortex-m4", "cortex-m55":
        to = os.path.join(d, target, "net")
        run("compile", q, "--target", target, "--emit", "obj", "-o", to)
        needs = undefined(to + ".o") - ALLOWED
        t.check(not needs, f"{name}: for {target} the object needs {needs}")
        t.check(not os.path.exists(to + ".c"), f"{name}: C was written beside the object")
    print(f"{name}: {len(inside)} values of {few} inputs", flush=True)
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
                 ["--emit", "lib", "-o", "-"], ["--emit", "obj", "--target", "cortex-m4", "--cflags", "-O1"]):
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
        for emit in "llvm", "asm", "obj", "lib":
            code, err = by_copy("compile", q, "--emit", emit, "--target", "aarch64", "-o", bad)
            t.check(code == 69 and told in err and "--emit c" in err, f"--emit {emit} without LLVM: exit {code}: {err}")
        code, err = by_copy("run", q, "--input", data("kws_test_f32"), "--engine", "jit", "-o", os.path.join(d, "no.npy"))
        t.check(code == 69 and told in err, f"--engine jit without LLVM: exit {code}: {err}")
        t.check(by_copy("compile", q, "-o", os.path.join(d, "c", "net"))[0] == 0, "C needs no LLVM")
        for emit in "obj", "lib":
            code, err = by_copy("compile", q, "--emit", emit, "-o", os.path.join(d, "o", "net"))
            t.check(code == 0 and "note: " in err and "cc" in err, f"--emit {emit} by cc needs no LLVM, and is announced")
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
